/** One row a mutation, with its audit entry and operation in the same transaction. Mutating activities read it again. */
import { sql } from 'kysely'
import { canonicalJson } from '#src/fabric/hash.ts'
import * as audit from './audit.ts'
import { type Db, json, type Tx } from './database.ts'

export type CommandKind =
  | 'apply'
  | 'invite'
  | 'approve'
  | 'drain'
  | 'undrain'
  | 'replace'
  | 'decommission'
  | 'region-repair'
  | 'region-decommission'
  | 'drill'
  | 'rollout-pause'
  | 'rollout-resume'
  | 'rollout-abort'
export interface NewCommand {
  readonly id: string
  readonly operationId: string
  readonly kind: CommandKind
  /** `network/acme`, `site/berlin`. */
  readonly subject: string
  /** No secrets. */
  readonly args: unknown
  readonly actor: string
  readonly idempotencyKey?: string
}
export interface CommandRow {
  readonly id: string
  readonly kind: string
  readonly subject: string
  readonly args: unknown
  readonly operation_id: string
  readonly actor: string
  readonly consumed_at: Date | null
}

/** Records the command, its audit entry and a running operation. */
export async function record(tx: Tx, command: NewCommand): Promise<void> {
  await tx.insertInto('operations').values({ id: command.operationId, kind: command.kind, subject: command.subject, state: 'running' }).execute()
  await tx
    .insertInto('commands')
    .values({
      id: command.id,
      kind: command.kind,
      subject: command.subject,
      args: json(command.args),
      operation_id: command.operationId,
      actor: command.actor,
      idempotency_key: command.idempotencyKey ?? null,
    })
    .execute()
  await audit.append(tx, {
    actor: command.actor,
    action: command.kind,
    subject: command.subject,
    detail: { commandId: command.id, operationId: command.operationId, args: command.args },
  })
}

export type Repeated =
  | { readonly kind: 'new' }
  | { readonly kind: 'same'; readonly command: CommandRow }
  | { readonly kind: 'other'; readonly command: CommandRow }
/**
 * What an Idempotency-Key was used for before by this actor; `args` may be a part of the stored ones. Holds a lock on the
 * key until the transaction ends.
 */
export async function repeated(
  tx: Tx,
  actor: string,
  key: string,
  now: { readonly kind: CommandKind; readonly subject: string; readonly args: object },
): Promise<Repeated> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`${actor} ${key}`}, 1))`.execute(tx)
  const command = await tx.selectFrom('commands').selectAll().where('actor', '=', actor).where('idempotency_key', '=', key).executeTakeFirst()
  if (!command) return { kind: 'new' }
  const same =
    command.kind === now.kind &&
    command.subject === now.subject &&
    Object.entries(now.args).every(([name, value]) => canonicalJson((command.args as Record<string, unknown>)[name] ?? null) === canonicalJson(value))
  return { kind: same ? 'same' : 'other', command }
}

export const get = (db: Db, id: string): Promise<CommandRow | undefined> =>
  db.selectFrom('commands').selectAll().where('id', '=', id).executeTakeFirst()
/** The command that began an operation. */
export const ofOperation = (db: Db, operationId: string): Promise<CommandRow | undefined> =>
  db.selectFrom('commands').selectAll().where('operation_id', '=', operationId).orderBy('created_at').limit(1).executeTakeFirst()

/** A workflow asked for something that nobody commanded: Temporal's port would otherwise be a root shell. */
export class CommandRefused extends Error {
  override readonly name = 'CommandRefused'
}
export interface ExpectedCommand {
  readonly commandId: string
  readonly operationId: string
  readonly kind: CommandKind
  readonly subject: string
}
/** In the mutating step's own transaction (`operations.once`), so that a retry of the step doesn't find it consumed. */
export async function consume(tx: Tx, { commandId, operationId, kind, subject }: ExpectedCommand): Promise<CommandRow> {
  const command = await tx.selectFrom('commands').selectAll().where('id', '=', commandId).forUpdate().executeTakeFirst()
  if (!command) throw new CommandRefused(`no command ${commandId} was recorded`)
  if (command.kind !== kind || command.subject !== subject || command.operation_id !== operationId)
    throw new CommandRefused(
      `command ${commandId} is ${command.kind} of ${command.subject} for operation ${command.operation_id}, not ${kind} of ${subject} for ${operationId}`,
    )
  if (command.consumed_at) throw new CommandRefused(`command ${commandId} was carried out at ${command.consumed_at.toISOString()}`)
  await tx.updateTable('commands').set({ consumed_at: sql<Date>`now()` }).where('id', '=', commandId).execute()
  return command
}
