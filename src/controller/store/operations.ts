/** Long-running work and its steps. A step's result is stored in the step's own transaction, so a retry runs nothing twice. */
import { sql } from 'kysely'
import type { Finding } from '#src/fabric/fabric.ts'
import { type Db, json, type OperationPhase, type OperationState, type Store, type Tx } from './database.ts'

export interface OperationRow {
  readonly id: string
  readonly kind: string
  readonly subject: string
  readonly state: OperationState
  readonly started_at: Date
  readonly ended_at: Date | null
  readonly result: unknown
  readonly findings: readonly Finding[]
  /** Null: it goes forward, or has ended. */
  readonly phase: OperationPhase | null
  /** By name; null of a way back that nobody asked for. */
  readonly phase_by: string | null
  readonly phase_since: Date | null
  /** Of one that waits: when the maintenance window opens. */
  readonly phase_until: Date | null
}

export const get = (db: Db, id: string): Promise<OperationRow | undefined> =>
  db.selectFrom('operations').selectAll().where('id', '=', id).executeTakeFirst()
/** Until the transaction ends nobody else moves it. */
export const lock = (tx: Tx, id: string): Promise<OperationRow | undefined> =>
  tx.selectFrom('operations').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
/** The newest. */
export function list(
  db: Db,
  { state, limit = 50 }: { readonly state?: OperationState | undefined; readonly limit?: number } = {},
): Promise<readonly OperationRow[]> {
  const query = db.selectFrom('operations').selectAll().orderBy('started_at', 'desc').limit(limit)
  return (state === undefined ? query : query.where('state', '=', state)).execute()
}
/** Still running: at boot a workflow is started again for each, for Temporal may have lost them. */
export const open = (db: Db): Promise<readonly OperationRow[]> =>
  db.selectFrom('operations').selectAll().where('state', '=', 'running').orderBy('started_at').execute()

/** Null: it goes forward again. */
export async function enter(tx: Db, id: string, phase: OperationPhase | null, by: string | null, until: Date | null = null): Promise<void> {
  await tx
    .updateTable('operations')
    .set({ phase, phase_by: by, phase_since: phase === null ? null : sql<Date>`now()`, phase_until: until })
    .where('id', '=', id)
    .execute()
  await sql`select pg_notify('operations', ${id})`.execute(tx)
}
/** Those of one subject. */
export const openOf = async (db: Db, subject: string): Promise<readonly OperationRow[]> => (await open(db)).filter((one) => one.subject === subject)

/** Ends a running operation; one that has ended stays as it is (false). */
export async function end(
  tx: Db,
  id: string,
  state: Exclude<OperationState, 'running'>,
  how: { readonly result?: unknown; readonly findings?: readonly Finding[] } = {},
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('operations')
    .set({
      state,
      phase: null,
      phase_by: null,
      phase_since: null,
      phase_until: null,
      ended_at: sql<Date>`now()`,
      result: how.result === undefined ? null : json(how.result),
      ...(how.findings ? { findings: json(how.findings) } : {}),
    })
    .where('id', '=', id)
    .where('state', '=', 'running')
    .executeTakeFirst()
  if (numUpdatedRows !== 1n) return false
  await sql`select pg_notify('operations', ${id})`.execute(tx)
  return true
}

/**
 * Runs `fn` at most once for (operation, step) and returns its stored result ever after, across retries, restarts and two
 * workers at the same time. `fn` writes through `tx` only: what it does outside the transaction may happen twice.
 */
export function once<T>(store: Store, operationId: string, step: string, fn: (tx: Tx) => Promise<T>): Promise<T> {
  return store.transaction(async (tx) => {
    await sql`select pg_advisory_xact_lock(hashtextextended(${`${operationId} ${step}`}, 0))`.execute(tx)
    const done = await tx
      .selectFrom('operation_steps')
      .select('result')
      .where('operation_id', '=', operationId)
      .where('step', '=', step)
      .executeTakeFirst()
    if (done) return (done.result as { readonly value: T }).value
    const value = await fn(tx)
    // Wrapped, because JSON has no undefined and a column that is not null can't hold it.
    const { result } = await tx
      .insertInto('operation_steps')
      .values({ operation_id: operationId, step, result: json({ value }) })
      .returning('result')
      .executeTakeFirstOrThrow()
    // What was stored, not what `fn` gave: the first call and a repeated one can't differ (dates, undefined members).
    return (result as { readonly value: T }).value
  })
}
export const steps = async (db: Db, operationId: string): Promise<readonly string[]> =>
  (await db.selectFrom('operation_steps').select('step').where('operation_id', '=', operationId).orderBy('at').execute()).map(({ step }) => step)
