/** Uplinks that are drilled again and again. */
import type { Db, Tx } from './database.ts'

export interface DrillScheduleRow {
  readonly site: string
  readonly uplink: string
  /** How long it is cut. */
  readonly seconds: number
  readonly every_seconds: number
  readonly first_at: Date
  readonly created_by: string
  readonly created_at: Date
}
export interface NewDrillSchedule {
  readonly site: string
  readonly uplink: string
  readonly seconds: number
  readonly everySeconds: number
  readonly firstAt: Date
  readonly createdBy: string
}

export const list = (db: Db): Promise<readonly DrillScheduleRow[]> =>
  db.selectFrom('drill_schedules').selectAll().orderBy('site').orderBy('uplink').execute()
export const get = (db: Db, site: string, uplink: string): Promise<DrillScheduleRow | undefined> =>
  db.selectFrom('drill_schedules').selectAll().where('site', '=', site).where('uplink', '=', uplink).executeTakeFirst()
/** Locks the row until the transaction ends. */
export const lock = (tx: Tx, site: string, uplink: string): Promise<DrillScheduleRow | undefined> =>
  tx.selectFrom('drill_schedules').selectAll().where('site', '=', site).where('uplink', '=', uplink).forUpdate().executeTakeFirst()
/** In the place of what the uplink had before. */
export async function put(db: Db, { site, uplink, seconds, everySeconds, firstAt, createdBy }: NewDrillSchedule): Promise<void> {
  const when = { seconds, every_seconds: everySeconds, first_at: firstAt, created_by: createdBy }
  await db
    .insertInto('drill_schedules')
    .values({ site, uplink, ...when })
    .onConflict((at) => at.columns(['site', 'uplink']).doUpdateSet(when))
    .execute()
}
export async function remove(db: Db, site: string, uplink: string): Promise<boolean> {
  const { numDeletedRows } = await db.deleteFrom('drill_schedules').where('site', '=', site).where('uplink', '=', uplink).executeTakeFirst()
  return numDeletedRows === 1n
}

const dayMs = 86_400_000
/** `at`: minute of the day, UTC; without it, one interval from now. */
export const firstAt = (now: Date, everySeconds: number, at: number | null): Date => {
  if (at === null) return new Date(now.getTime() + everySeconds * 1000)
  const today = Math.floor(now.getTime() / dayMs) * dayMs + at * 60_000
  return new Date(today > now.getTime() ? today : today + dayMs)
}
/** Without the jitter. */
export const nextAt = ({ first_at, every_seconds }: Pick<DrillScheduleRow, 'first_at' | 'every_seconds'>, now: Date): Date => {
  const every = every_seconds * 1000
  const passed = Math.max(0, Math.floor((now.getTime() - first_at.getTime()) / every) + 1)
  return new Date(first_at.getTime() + passed * every)
}
