/** Bursts of probes that people asked for: the order until its box has told, then the result, for an hour. */
import { sql } from 'kysely'
import type { MeasureReport } from '#src/wire/messages.ts'
import { type Db, json, type Tx } from './database.ts'

export interface PathTestRow {
  readonly id: string
  readonly site: string
  readonly tunnels: readonly string[]
  readonly count: number
  /** Nobody waits for it after that. */
  readonly until: Date
  readonly result: MeasureReport | null
}

export async function insert(tx: Tx, of: Omit<PathTestRow, 'result'>): Promise<void> {
  await tx.deleteFrom('path_tests').where('until', '<', sql<Date>`now() - interval '1 hour'`).execute()
  await tx
    .insertInto('path_tests')
    .values({ id: of.id, site: of.site, tunnels: json(of.tunnels), count: of.count, until: of.until })
    .execute()
  // The box is told at once by the stream of hints, and asks.
  await sql`select pg_notify('assigned', ${of.site})`.execute(tx)
}
export const get = (db: Db, id: string): Promise<PathTestRow | undefined> =>
  db.selectFrom('path_tests').selectAll().where('id', '=', id).executeTakeFirst()
/** What the site's box is to measure now. */
export const orderFor = (db: Db, site: string, now: Date): Promise<PathTestRow | undefined> =>
  db.selectFrom('path_tests').selectAll().where('site', '=', site).where('result', 'is', null).where('until', '>', now).executeTakeFirst()

/** Only of a test that this site was ordered, and once. */
export async function reported(tx: Tx, site: string, report: MeasureReport): Promise<void> {
  const { numUpdatedRows } = await tx
    .updateTable('path_tests')
    .set({ result: json(report) })
    .where('id', '=', report.test)
    .where('site', '=', site)
    .where('result', 'is', null)
    .executeTakeFirst()
  if (numUpdatedRows > 0n) await sql`select pg_notify('operations', ${report.test})`.execute(tx)
}
