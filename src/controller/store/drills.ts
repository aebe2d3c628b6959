/** Failover exercises and their signed evidence. */
import { sql } from 'kysely'
import type { Finding } from '#src/fabric/fabric.ts'
import type { DrillReport, Signed } from '#src/wire/messages.ts'
import { type Db, type DrillState, json, type OperationState, type Tx } from './database.ts'

export interface DrillRow {
  readonly id: string
  readonly site: string
  readonly uplink: string
  readonly seconds: number
  readonly operation_id: string
  readonly state: DrillState
  readonly gate: unknown
  /** Orders that the box was given. */
  readonly attempt: number
  readonly ordered: Signed | null
  readonly measured: unknown
  readonly evidence: string | null
  readonly created_by: string
  readonly created_at: Date
  readonly broken_at: Date | null
  readonly healed_at: Date | null
  /** Commanded by the schedule of its site and uplink. */
  readonly scheduled: boolean
}
export interface NewDrill {
  readonly id: string
  readonly site: string
  readonly uplink: string
  readonly seconds: number
  readonly operationId: string
  readonly createdBy: string
  readonly scheduled?: boolean
}
export const insert = async (tx: Db, of: NewDrill): Promise<void> => {
  await tx
    .insertInto('drills')
    .values({
      id: of.id,
      site: of.site,
      uplink: of.uplink,
      seconds: of.seconds,
      operation_id: of.operationId,
      state: 'GATED',
      created_by: of.createdBy,
      scheduled: of.scheduled ?? false,
    })
    .onConflict((at) => at.doNothing())
    .execute()
}
export const get = (db: Db, id: string): Promise<DrillRow | undefined> => db.selectFrom('drills').selectAll().where('id', '=', id).executeTakeFirst()
export const list = (db: Db, limit = 100): Promise<readonly DrillRow[]> =>
  db.selectFrom('drills').selectAll().orderBy('created_at', 'desc').limit(limit).execute()
/** The newest drill that has ended, of each uplink that was ever drilled. */
export const newest = (db: Db): Promise<readonly (DrillRow & { readonly outcome: OperationState; readonly findings: readonly Finding[] })[]> =>
  db
    .selectFrom('drills')
    .innerJoin('operations', 'operations.id', 'drills.operation_id')
    .selectAll('drills')
    .select(['operations.state as outcome', 'operations.findings'])
    .where('operations.state', '!=', 'running')
    .distinctOn(['drills.site', 'drills.uplink'])
    .orderBy('drills.site')
    .orderBy('drills.uplink')
    .orderBy('drills.created_at', 'desc')
    .execute()
/** When a drill of each site last succeeded. */
export const lastHeld = (db: Db): Promise<readonly { readonly site: string; readonly at: Date }[]> =>
  db
    .selectFrom('drills')
    .innerJoin('operations', 'operations.id', 'drills.operation_id')
    .select(['drills.site', (of) => of.fn.max('drills.created_at').as('at')])
    .where('operations.state', '=', 'succeeded')
    .groupBy('drills.site')
    .execute()
/** The last one that the schedule of this uplink commanded. */
export const lastScheduled = (db: Db, site: string, uplink: string): Promise<DrillRow | undefined> =>
  db
    .selectFrom('drills')
    .selectAll()
    .where('site', '=', site)
    .where('uplink', '=', uplink)
    .where('scheduled', '=', true)
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirst()

/** An uplink is cut now, or may be at any moment. */
const running = ['ORDERED', 'BROKEN'] as const satisfies readonly DrillState[]
/** What the site's agent is to do now, if anything. */
export const orderFor = (db: Db, site: string): Promise<DrillRow | undefined> =>
  db.selectFrom('drills').selectAll().where('site', '=', site).where('state', 'in', running).orderBy('created_at', 'desc').limit(1).executeTakeFirst()
/** The drills that run at these sites. Holds a lock until the transaction ends: two that are judged at once would not see each other. */
export async function runningAt(tx: Tx, sites: readonly string[]): Promise<readonly DrillRow[]> {
  await sql`select pg_advisory_xact_lock(${judging})`.execute(tx)
  return tx.selectFrom('drills').selectAll().where('site', 'in', sites).where('state', 'in', running).orderBy('created_at').execute()
}
const judging = 7_701_003

export async function move(
  tx: Db,
  id: string,
  state: DrillState,
  more: {
    readonly gate?: unknown
    readonly attempt?: number
    readonly ordered?: Signed
    readonly measured?: unknown
    readonly evidence?: string
  } = {},
): Promise<void> {
  await tx
    .updateTable('drills')
    .set({
      state,
      ...(more.gate === undefined ? {} : { gate: json(more.gate) }),
      ...(more.attempt === undefined ? {} : { attempt: more.attempt }),
      ...(more.ordered === undefined ? {} : { ordered: json(more.ordered) }),
      ...(more.measured === undefined ? {} : { measured: json(more.measured) }),
      ...(more.evidence === undefined ? {} : { evidence: more.evidence }),
      ...(state === 'BROKEN' ? { broken_at: sql<Date>`now()` } : {}),
      ...(state === 'HEALED' ? { healed_at: sql<Date>`now()` } : {}),
    })
    .where('id', '=', id)
    .execute()
}

/** Only of the order that this site was given last, and only forwards: a repeated report changes nothing. */
export async function reported(tx: Db, site: string, report: DrillReport): Promise<void> {
  const row = await get(tx, report.drill)
  if (row === undefined || row.site !== site || (row.state !== 'ORDERED' && row.state !== 'BROKEN')) return
  if ((report.attempt ?? 1) !== row.attempt) return
  const state = stateAfter(report)
  if (state !== row.state || state !== 'BROKEN') await move(tx, row.id, state, { measured: report })
}
/** An order that was out of date leaves the drill to be judged again. */
const stateAfter = ({ state, outdated = false }: DrillReport): DrillState =>
  state === 'broken' ? 'BROKEN' : state === 'healed' ? 'HEALED' : outdated ? 'GATED' : 'FAILED'

export interface EvidenceRow {
  readonly id: string
  readonly subject: string
  readonly signed: Signed
  readonly at: Date
}
export const evidence = (db: Db, id: string): Promise<EvidenceRow | undefined> =>
  db.selectFrom('evidence').selectAll().where('id', '=', id).executeTakeFirst()
export const keep = async (tx: Db, id: string, subject: string, signed: Signed): Promise<void> => {
  await tx
    .insertInto('evidence')
    .values({ id, subject, signed: json(signed) })
    .onConflict((at) => at.doNothing())
    .execute()
}
