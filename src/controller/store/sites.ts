/** A site's durable states and its four bundle pointers. Online, stale, headless are derived, never stored. */
import { sql } from 'kysely'
import type { Finding, Triple } from '#src/fabric/fabric.ts'
import type { DrainReport, Inventory, Report } from '#src/wire/messages.ts'
import { type Db, type Drain, json, type Pending, type SiteState, type Tx } from './database.ts'

export interface SiteRow {
  readonly id: string
  readonly state: SiteState
  readonly role: 'edge' | 'core'
  readonly device: string | null
  readonly assigned: Triple | null
  readonly running: Triple | null
  readonly pending: Pending | null
  readonly confirmed: Triple | null
  readonly commit: Report['commit'] | null
  readonly findings: Report['findings']
  readonly inventory: Inventory | null
  readonly finding: Finding | null
  readonly last_seen: Date | null
  readonly headless_since: Date | null
  /** Seconds between its reports, as it was last told. */
  readonly report_every: number
  readonly state_since: Date
  /** Its service window, from `site drain` until it ends or is closed. */
  readonly drain: Drain | null
  readonly drain_report: DrainReport | null
  /** Of two gateways at a site: whether it has its LANs. */
  readonly carries: boolean | null
}

export const get = (db: Db, id: string): Promise<SiteRow | undefined> => db.selectFrom('sites').selectAll().where('id', '=', id).executeTakeFirst()
export const list = (db: Db): Promise<readonly SiteRow[]> => db.selectFrom('sites').selectAll().orderBy('id').execute()
/** Locks the row until the transaction ends. */
export const lock = (tx: Tx, id: string): Promise<SiteRow | undefined> =>
  tx.selectFrom('sites').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()

const [quickest, slowest] = [5, 60]
/** Seconds between a site's reports, so that 10,000 sites tell a controller no more at once than it can write. */
export const reportEvery = (sites: number): number =>
  Math.round(Math.min(slowest, Math.max(quickest, quickest + ((sites - 100) * (slowest - quickest)) / (10_000 - 100))))

/** Three missed reports and a site counts as offline, milliseconds; of one that reports every 5 s. */
export const offlineAfterMs = 3 * quickest * 1000
/** `after` grows with the time between the site's reports. */
export const isOnline = ({ last_seen, report_every }: Pick<SiteRow, 'last_seen' | 'report_every'>, now: Date, after = offlineAfterMs): boolean =>
  last_seen !== null && now.getTime() - last_seen.getTime() < (after * report_every) / quickest

/** A generation names the site. One that is known keeps its state; RETIRED starts over. */
export async function declare(tx: Tx, id: string, role: 'edge' | 'core'): Promise<void> {
  await tx
    .insertInto('sites')
    .values({ id, role, state: 'DECLARED' })
    .onConflict((at) => at.column('id').doUpdateSet({ role }))
    .execute()
  await tx
    .updateTable('sites')
    .set({ state: 'DECLARED', state_since: sql<Date>`now()`, finding: null })
    .where('id', '=', id)
    .where('state', '=', 'RETIRED')
    .execute()
}

/** The arrows of a site's life, as its events lead (workflows/lifecycle.ts); anything else is a mistake of the caller. */
const allowed: Readonly<Record<SiteState, readonly SiteState[]>> = {
  DECLARED: ['INVITED', 'DECOMMISSIONING'],
  INVITED: ['EXPIRED', 'CLAIMED', 'DECOMMISSIONING'],
  EXPIRED: ['INVITED', 'DECOMMISSIONING'],
  CLAIMED: ['ENROLLED', 'QUARANTINED', 'INVITED', 'DECOMMISSIONING'],
  QUARANTINED: ['INVITED', 'DECOMMISSIONING'],
  ENROLLED: ['PROVISIONING', 'QUARANTINED', 'DECOMMISSIONING'],
  PROVISIONING: ['ACTIVE', 'ENROLLED', 'QUARANTINED', 'DECOMMISSIONING'],
  ACTIVE: ['CHANGING', 'DRAINING', 'REPLACING', 'QUARANTINED', 'DECOMMISSIONING'],
  CHANGING: ['ACTIVE', 'QUARANTINED', 'DECOMMISSIONING'],
  DRAINING: ['MAINTENANCE', 'ACTIVE', 'QUARANTINED', 'DECOMMISSIONING'],
  MAINTENANCE: ['ACTIVE', 'QUARANTINED', 'DECOMMISSIONING'],
  REPLACING: ['ACTIVE', 'QUARANTINED', 'DECOMMISSIONING'],
  DECOMMISSIONING: ['RETIRED'],
  RETIRED: ['DECLARED'],
}

/**
 * Moves `site` to `to` if it is in one of `from`; false if it is elsewhere, so that a repeated or late caller changes
 * nothing. Already being in `to` counts as moved. Throws where there is no such arrow.
 */
export async function transition(
  tx: Db,
  site: string,
  from: SiteState | readonly SiteState[],
  to: SiteState,
  finding: Finding | null = null,
): Promise<boolean> {
  const sources: readonly SiteState[] = typeof from === 'string' ? [from] : from
  const wrong = sources.find((state) => state !== to && !allowed[state].includes(to))
  if (wrong) throw new Error(`a site can't go from ${wrong} to ${to}`)
  const { numUpdatedRows } = await tx
    .updateTable('sites')
    .set({ state: to, finding: finding && json(finding), state_since: sql<Date>`case when state = ${to} then state_since else now() end` })
    .where('id', '=', site)
    .where('state', 'in', [...sources, to])
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** The device that speaks for the site from now on. */
export const setDevice = async (tx: Db, site: string, device: string | null): Promise<void> => {
  await tx.updateTable('sites').set({ device }).where('id', '=', site).execute()
}

/**
 * The only desired pointer; moved only through the site's entity. Agents that listen hear of it at commit. Refuses to go
 * back in (term, generation, revision): an agent would refuse it too.
 */
export async function assign(tx: Tx, site: string, triple: Triple): Promise<boolean> {
  const row = await lock(tx, site)
  if (!row || (row.assigned && compareTriples(triple, row.assigned) < 0)) return false
  await tx
    .updateTable('sites')
    .set({ assigned: json(triple) })
    .where('id', '=', site)
    .execute()
  await sql`select pg_notify('assigned', ${site})`.execute(tx)
  return true
}

export const compareTriples = (a: Triple, b: Triple): number => a.term - b.term || a.generation - b.generation || a.revision - b.revision
export const sameTriple = (a: Triple | null, b: Triple | null): boolean => (a === null || b === null ? a === b : compareTriples(a, b) === 0)

/** The window that the site's next revision carries; null closes it. */
export const setDrain = async (tx: Tx, site: string, drain: Drain | null): Promise<void> => {
  await tx
    .updateTable('sites')
    .set({ drain: drain && json(drain) })
    .where('id', '=', site)
    .execute()
}
/** The box says of this very window that it passes nothing on any more. */
export const isDrained = ({ drain, drain_report }: Pick<SiteRow, 'drain' | 'drain_report'>): boolean =>
  drain !== null && drain_report?.until === drain.until && drain_report.drained

/** One agent's report; written in batches. `confirmed` is what the agent says it last confirmed and runs. */
export interface SiteReport {
  readonly site: string
  readonly running: Triple | null
  readonly commit: Report['commit']
  readonly findings: Report['findings']
  readonly inventory: Inventory | null
  readonly headlessSince: Date | null
  readonly drain: DrainReport | null
  readonly carries: boolean | null
  readonly every: number
  readonly at: Date
}
export async function reported(tx: Db, report: SiteReport): Promise<void> {
  const { commit } = report
  await tx
    .updateTable('sites')
    .set({
      running: report.running && json(report.running),
      confirmed: report.running && json(report.running),
      pending: commit.state === 'pending' ? json({ triple: commit.triple, nonce: commit.nonce, deadline: commit.deadline }) : null,
      commit: json(commit),
      findings: json(report.findings),
      headless_since: report.headlessSince,
      drain_report: report.drain && json(report.drain),
      carries: report.carries,
      last_seen: report.at,
      report_every: report.every,
      ...(report.inventory ? { inventory: json(report.inventory) } : {}),
    })
    .where('id', '=', report.site)
    .execute()
}
/** Decommissioned: nothing is assigned, no device speaks for it. */
export async function forget(tx: Tx, site: string): Promise<void> {
  await tx
    .updateTable('sites')
    .set({
      device: null,
      assigned: null,
      running: null,
      pending: null,
      confirmed: null,
      commit: null,
      findings: '[]',
      drain: null,
      drain_report: null,
      carries: null,
    })
    .where('id', '=', site)
    .execute()
}
