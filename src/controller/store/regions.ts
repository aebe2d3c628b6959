/** Cloud regions and what was made in them, with the fences that keep two workers from making the same thing. */
import { sql } from 'kysely'
import type { Connection, Finding, Region, SiteId } from '#src/fabric/fabric.ts'
import type { Prefix } from '#src/net/address.ts'
import { type Db, json, type RegionState, type Tx } from './database.ts'
import { isOnline, offlineAfterMs } from './sites.ts'

export interface RegionRow {
  readonly id: string
  readonly provider: string
  readonly location: string
  readonly state: RegionState
  readonly config: Region | null
  readonly generation: number | null
  readonly reached: string | null
  readonly tried: string | null
  readonly routes: readonly RouteRow[]
  readonly down: readonly string[]
  readonly finding: Finding | null
  readonly findings: readonly Finding[]
  readonly checked_at: Date | null
  readonly state_since: Date
}
export type RouteRow = readonly [to: Prefix, via: Connection['id']]

export const get = (db: Db, id: string): Promise<RegionRow | undefined> =>
  db.selectFrom('regions').selectAll().where('id', '=', id).executeTakeFirst()
export const list = (db: Db): Promise<readonly RegionRow[]> => db.selectFrom('regions').selectAll().orderBy('id').execute()
/** Locks the row until the transaction ends. */
export const lock = (tx: Tx, id: string): Promise<RegionRow | undefined> =>
  tx.selectFrom('regions').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()

/** The hubs that hold its connections. */
export const hubsOf = (region: Region): readonly SiteId[] => [...new Set(region.connections.map(({ site }) => site))].sort()
/** Those of its hubs that have reported once and do not any more. */
export async function silentHubs(db: Db, region: Region, now: Date, after = offlineAfterMs): Promise<readonly SiteId[]> {
  const hubs = hubsOf(region)
  const rows = await db.selectFrom('sites').select(['id', 'last_seen', 'report_every']).where('id', 'in', hubs).execute()
  return hubs.filter((hub) => rows.some((row) => row.id === hub && row.last_seen !== null && !isOnline(row, now, after)))
}

/** A generation names the region. One that is known keeps its state; RETIRED starts over. */
export async function declare(tx: Tx, { id, provider, location }: Region): Promise<void> {
  await tx
    .insertInto('regions')
    .values({ id, provider, location, state: 'DECLARED' })
    .onConflict((at) => at.column('id').doNothing())
    .execute()
  await tx
    .updateTable('regions')
    .set({
      state: 'DECLARED',
      state_since: sql<Date>`now()`,
      provider,
      location,
      finding: null,
      findings: '[]',
      config: null,
      generation: null,
      reached: null,
      tried: null,
      routes: '[]',
      down: '[]',
      checked_at: null,
    })
    .where('id', '=', id)
    .where('state', '=', 'RETIRED')
    .execute()
}
export async function setState(tx: Db, id: string, state: RegionState, finding: Finding | null): Promise<void> {
  await tx
    .updateTable('regions')
    .set({ state, finding: finding && json(finding), state_since: sql<Date>`case when state = ${state} then state_since else now() end` })
    .where('id', '=', id)
    .execute()
}
export async function begin(
  tx: Db,
  id: string,
  at: { readonly config: Region; readonly generation: number; readonly hash: string; readonly routes: readonly RouteRow[] },
): Promise<void> {
  await tx
    .updateTable('regions')
    .set({ config: json(at.config), generation: at.generation, tried: at.hash, routes: json(at.routes) })
    .where('id', '=', id)
    .execute()
}
export const reach = async (tx: Db, id: string, hash: string): Promise<void> => {
  await tx.updateTable('regions').set({ reached: hash }).where('id', '=', id).execute()
}
export const setRoutes = async (tx: Db, id: string, routes: readonly RouteRow[], down: readonly string[]): Promise<void> => {
  await tx
    .updateTable('regions')
    .set({ routes: json(routes), down: json(down) })
    .where('id', '=', id)
    .execute()
}
export const checked = async (tx: Db, id: string, findings: readonly Finding[]): Promise<void> => {
  await tx
    .updateTable('regions')
    .set({ findings: json(findings), checked_at: sql<Date>`now()` })
    .where('id', '=', id)
    .execute()
}

// ── what was made ──
export interface ResourceRow {
  readonly region: string
  readonly id: string
  readonly type: string
  readonly cloud_id: string | null
  readonly state: 'making' | 'ready' | 'gone'
  readonly fence: number
  readonly holder: string
  readonly lease_until: Date
  readonly begun_at: Date
  readonly resume: string | null
  readonly operation_id: string
}
export const resources = (db: Db, region: string): Promise<readonly ResourceRow[]> =>
  db.selectFrom('cloud_resources').selectAll().where('region', '=', region).orderBy('id').execute()

export interface Claim {
  readonly region: string
  readonly id: string
  readonly type: string
  /** Unique to the attempt. */
  readonly holder: string
  readonly operationId: string
  readonly leaseMs: number
}
export type Claimed =
  | { readonly kind: 'held'; readonly forMs: number }
  /** `ambiguousForMs`: an earlier attempt may have made it this long ago without having told; null if none can have. */
  | { readonly kind: 'claimed'; readonly fence: number; readonly ambiguousForMs: number | null; readonly resume: string | null }

/**
 * The fencing number of a create or change, committed before the call. Another holder's lease is waited for: it says
 * "I still act" by renewing; it stops acting when it can't.
 */
export async function claim(tx: Tx, { region, id, type, holder, operationId, leaseMs }: Claim): Promise<Claimed> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`cloud ${region} ${id}`}, 2))`.execute(tx)
  const { rows } = await sql<{
    fence: number | string
    holder: string
    state: string
    left: number | string
    ago: number | string
    resume: string | null
  }>`
    select fence, holder, state, resume, extract(epoch from lease_until - now()) * 1000 as left, extract(epoch from now() - begun_at) * 1000 as ago
    from cloud_resources where region = ${region} and id = ${id}`.execute(tx)
  const before = rows[0]
  const making = before?.state === 'making'
  if (making && before.holder !== holder && Number(before.left) > 0) return { kind: 'held', forMs: Math.ceil(Number(before.left)) }
  const fence = Number(before?.fence ?? 0) + 1
  // A create that nobody finished keeps its own begin: what it made may still become visible.
  await sql`
    insert into cloud_resources (region, id, type, state, fence, holder, lease_until, begun_at, operation_id)
    values (${region}, ${id}, ${type}, 'making', ${fence}, ${holder}, now() + ${leaseMs} * interval '1 millisecond', now(), ${operationId})
    on conflict (region, id) do update set type = excluded.type, fence = excluded.fence, holder = excluded.holder, lease_until = excluded.lease_until, operation_id = excluded.operation_id, state = 'making',
      begun_at = case when cloud_resources.state = 'making' then cloud_resources.begun_at else now() end,
      resume = case when cloud_resources.state = 'making' then cloud_resources.resume end`.execute(tx)
  return { kind: 'claimed', fence, ambiguousForMs: making ? Number(before.ago) : null, resume: making ? before.resume : null }
}
/** False when the fence has moved on: whoever asks must not act any more. */
export async function renew(
  db: Db,
  {
    region,
    id,
    fence,
    leaseMs,
    resume,
  }: { readonly region: string; readonly id: string; readonly fence: number; readonly leaseMs: number; readonly resume: string | undefined },
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('cloud_resources')
    .set({ lease_until: sql<Date>`now() + ${leaseMs} * interval '1 millisecond'`, ...(resume === undefined ? {} : { resume }) })
    .where('region', '=', region)
    .where('id', '=', id)
    .where('fence', '=', fence)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}
/** Gives the lease back without a result: the next attempt need not wait for its end. What was begun stays ambiguous. */
export const release = async (db: Db, region: string, id: string, fence: number): Promise<void> => {
  await db
    .updateTable('cloud_resources')
    .set({ lease_until: sql<Date>`now()` })
    .where('region', '=', region)
    .where('id', '=', id)
    .where('fence', '=', fence)
    .execute()
}
/** `cloudId` null: it has none, or keeps the one that it has. */
export const made = async (tx: Db, region: string, id: string, fence: number, cloudId: string | null): Promise<void> => {
  await tx
    .updateTable('cloud_resources')
    .set({ state: 'ready', resume: null, ...(cloudId === null ? {} : { cloud_id: cloudId }) })
    .where('region', '=', region)
    .where('id', '=', id)
    .where('fence', '=', fence)
    .execute()
}
/** What the cloud was seen to hold; a row that somebody is making now stays his. */
export async function observed(tx: Db, region: string, seen: readonly { readonly id: string; readonly cloudId: string }[]): Promise<void> {
  for (const { id, cloudId } of seen)
    await tx
      .updateTable('cloud_resources')
      .set({ cloud_id: cloudId })
      .where('region', '=', region)
      .where('id', '=', id)
      .where('state', '!=', 'gone')
      .execute()
}
/** A duplicate's deletion says nothing about the one that stays. */
export const gone = async (tx: Db, region: string, id: string, cloudId: string): Promise<void> => {
  await sql`update cloud_resources set state = 'gone', resume = null, cloud_id = ${cloudId} where region = ${region} and id = ${id} and (cloud_id is null or cloud_id = ${cloudId})`.execute(
    tx,
  )
}
export const forgetResources = async (tx: Db, region: string): Promise<void> => {
  await tx.deleteFrom('cloud_resources').where('region', '=', region).execute()
}
