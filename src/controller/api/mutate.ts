/** A mutation: command, audit and operation rows in one transaction, then the Update to its workflow. */
import { randomBytes } from 'node:crypto'
import type { Context } from 'hono'
import { Problem } from '../problem.ts'
import { commands, events, type Tx } from '../store/index.ts'
import type { CommandKind } from '../store/commands.ts'
import { type ApiDeps, type Env, idempotencyKey } from './context.ts'

export interface Mutation<Args extends object> {
  readonly kind: CommandKind
  readonly subject: string
  readonly args: Args
  /** What makes a repeated Idempotency-Key the same command; `args` unless some of them are made anew for each request. */
  readonly identity?: Partial<Args>
  /** Checks and writes that belong to the same transaction; throws a Problem to change nothing. */
  readonly within: (tx: Tx, ids: Ids) => Promise<void>
  /** The Update, with the arguments as they were stored; what it throws does not undo the command. */
  readonly send: (ids: Ids, args: Args) => Promise<unknown>
}
export interface Ids {
  readonly commandId: string
  readonly operationId: string
}
export interface Mutated extends Ids {
  /** The Idempotency-Key was used for this very command before. */
  readonly repeated: boolean
}

export async function mutate<Args extends object>(
  c: Context<Env>,
  deps: ApiDeps,
  { kind, subject, args, identity = args, within, send }: Mutation<Args>,
): Promise<Mutated> {
  const actor = c.get('actor').id
  const key = idempotencyKey(c)
  const fresh: Ids = { commandId: `c-${randomBytes(8).toString('hex')}`, operationId: `op-${randomBytes(6).toString('hex')}` }
  const { stored, ...done } = await deps.store.transaction(async (tx): Promise<Mutated & { readonly stored: Args }> => {
    if (key !== undefined) {
      const before = await commands.repeated(tx, actor, key, { kind, subject, args: identity })
      if (before.kind === 'other')
        throw new Problem(
          409,
          'C012',
          `the Idempotency-Key was used for ${before.command.kind} of ${before.command.subject}`,
          'send a fresh key with each new command',
        )
      if (before.kind === 'same')
        return { commandId: before.command.id, operationId: before.command.operation_id, repeated: true, stored: before.command.args as Args }
    }
    await within(tx, fresh)
    await commands.record(tx, {
      id: fresh.commandId,
      operationId: fresh.operationId,
      kind,
      subject,
      args,
      actor,
      ...(key === undefined ? {} : { idempotencyKey: key }),
    })
    return { ...fresh, repeated: false, stored: args }
  })
  // Sent again when repeated: the first sender may have died in between, and workflows take a command once.
  await send({ commandId: done.commandId, operationId: done.operationId }, stored).catch((error: unknown) =>
    refusedOrLater(deps, done.operationId, subject, error),
  )
  return done
}

/** Workflows refused it, in a sentence for the sender; or they are away: it is stored and will be sent again. */
async function refusedOrLater(deps: ApiDeps, operationId: string, subject: string, error: unknown): Promise<void> {
  if (error instanceof Problem) throw error
  deps.log(error)
  deps.again()
  // For whoever follows the operation; the command itself stands already.
  await events
    .emit(deps.store.db, {
      operationId,
      subject,
      kind: 'operation.waits',
      text: 'workflows do not answer (C011): it is stored and is carried out as soon as they do',
      data: { code: 'C011' },
    })
    .catch(deps.log)
}
