/** The last report about each tunnel, one row an end. */
import type { PathReport } from '#src/wire/messages.ts'
import { type Db, json, type PathUses } from './database.ts'

export interface PathRow {
  readonly tunnel: string
  readonly site: string
  readonly state: string
  readonly since: Date
  readonly rtt_ms: number | null
  readonly loss: number | null
  readonly jitter_ms: number | null
  readonly active_classes: readonly string[]
  readonly uses: PathUses | null
  /** Classes whose SLA it breaches; null: its agent does not tell. */
  readonly breaches: readonly string[] | null
  /** bit/s away from the site and towards it. */
  readonly load_up: number | null
  readonly load_down: number | null
  /** Of WireGuard, when the driver knows it. */
  readonly handshake_at: Date | null
  readonly at: Date
}

export const all = (db: Db): Promise<readonly PathRow[]> => db.selectFrom('paths').selectAll().orderBy('tunnel').orderBy('site').execute()
export const ofSite = (db: Db, site: string): Promise<readonly PathRow[]> =>
  db.selectFrom('paths').selectAll().where('site', '=', site).orderBy('tunnel').execute()

/** Both ends of the site's tunnels. */
export const around = (db: Db, site: string): Promise<readonly PathRow[]> =>
  db
    .selectFrom('paths')
    .selectAll()
    .where('tunnel', 'in', (own) => own.selectFrom('paths').select('tunnel').where('site', '=', site))
    .orderBy('tunnel')
    .orderBy('site')
    .execute()

/** Replaces what each site said before: a tunnel that it no longer has is gone. */
export async function replace(
  tx: Db,
  reports: readonly { readonly site: string; readonly at: Date; readonly paths: readonly PathReport[] }[],
): Promise<void> {
  if (reports.length === 0) return
  await tx
    .deleteFrom('paths')
    .where(
      'site',
      'in',
      reports.map(({ site }) => site),
    )
    .execute()
  const rows = reports.flatMap(({ site, at, paths }) =>
    [...new Map(paths.map((path) => [path.tunnel, path])).values()].map((path) => ({
      tunnel: path.tunnel,
      site,
      state: path.state,
      since: new Date(path.since),
      rtt_ms: path.rttMs,
      loss: path.loss,
      jitter_ms: path.jitterMs,
      active_classes: json(path.classes),
      uses: path.uses ? json(path.uses) : null,
      breaches: path.breaches ? json(path.breaches) : null,
      load_up: path.load?.up ?? null,
      load_down: path.load?.down ?? null,
      handshake_at: path.handshakeAt ? new Date(path.handshakeAt) : null,
      at,
    })),
  )
  if (rows.length > 0) await tx.insertInto('paths').values(rows).execute()
}
export const forget = async (tx: Db, site: string): Promise<void> => {
  await tx.deleteFrom('paths').where('site', '=', site).execute()
}
