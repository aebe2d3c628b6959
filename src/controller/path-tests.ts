/** Bursts of probes that people ask for. They change nothing, so no workflow has to see them through: one that nobody answers is asked for again. */
import { randomBytes } from 'node:crypto'
import { siteEnds } from '#src/fabric/ids.ts'
import type { Fabric } from '#src/fabric/fabric.ts'
import { sign } from '#src/wire/bundle.ts'
import type { MeasurePayload, MeasureReport, Signed } from '#src/wire/messages.ts'
import type { Notifications } from './notifications.ts'
import type { Authority } from './pki/authority.ts'
import { Problem } from './problem.ts'
import { audit, pathTests, sites, type Store } from './store/index.ts'
import type { PathTestRow } from './store/path-tests.ts'

/** Between two probes of a path. */
export const intervalMs = 20
export const mostProbes = 500
/** From the request to the box's first probe. */
const beginMs = 10_000
/** The probes of full length, the last replies, and the report. */
const endMs = 6_000

/** The order as the box takes it; no secret and no state, so it is signed anew each time it is asked for. */
export function measureOrder(authority: Authority, device: string, { id, site, tunnels, count, until }: PathTestRow): Signed {
  const payload: MeasurePayload = {
    kind: 'measure',
    network: authority.network,
    site,
    device,
    test: id,
    tunnels: [...tunnels],
    count,
    intervalMs,
    beginBefore: new Date(until.getTime() - endMs - count * intervalMs).toISOString(),
  }
  return sign(payload, authority.bundleSigner)
}

/** The tunnels that the site decides, of one uplink or of all; the other end of each only reflects probes. */
export function testable(fabric: Fabric, site: string, uplink: string | undefined): readonly string[] {
  const own = fabric.sites.find(({ id }) => id === site)
  if (own === undefined) throw new Problem(404, 'C007', `there is no site "${site}" in the newest generation`, 'causeway site list')
  if (uplink !== undefined && !own.uplinks.some(({ id }) => id === uplink))
    throw new Problem(404, 'C150', `${site} has no uplink "${uplink}"`, `it has ${own.uplinks.map(({ id }) => id).join(', ')}`)
  const name = uplink === undefined ? site : `${site}.${uplink}`
  const ends = fabric.tunnels.filter((tunnel) => siteEnds(tunnel).some((end) => end.site === site && (uplink === undefined || end.uplink === uplink)))
  const decided = ends.filter((tunnel) => tunnel.ends[0].site === site)
  const [other] = ends
  if (other === undefined) throw new Problem(409, 'C150', `no path begins at ${name}`, 'causeway path list')
  if (decided.length === 0)
    throw new Problem(
      409,
      'C150',
      `${name} only answers the probes of its ${ends.length === 1 ? 'path: the other end decides' : `${ends.length} paths: their other ends decide`}`,
      `test from there: causeway path test ${other.ends[0].site}`,
    )
  return decided.map(({ id }) => id)
}

export interface Asked {
  readonly site: string
  readonly tunnels: readonly string[]
  readonly count: number
  readonly actor: string
}
/** Resolves when the box has told; refused when it is away, or busy with another. */
export async function runPathTest(
  store: Store,
  notifications: Notifications,
  now: () => Date,
  asked: Asked,
  patienceMs = beginMs + endMs,
): Promise<MeasureReport> {
  const { site, tunnels, count, actor } = asked
  const id = `pt-${randomBytes(6).toString('hex')}`
  const waitMs = count * intervalMs + patienceMs
  let wake = () => {}
  const stop = notifications.on('operations', (payload) => {
    if (payload === id || payload === '') wake()
  })
  try {
    await store.transaction(async (tx) => {
      const row = await sites.lock(tx, site)
      if (row === undefined || row.device === null || !sites.isOnline(row, now()))
        throw new Problem(
          409,
          'C151',
          row?.device
            ? `${site} does not report${row.last_seen ? ` since ${row.last_seen.toISOString().slice(0, 19)}Z` : ''}`
            : `${site} has no box yet`,
          `nobody there could measure: causeway site status ${site}`,
        )
      const busy = await pathTests.orderFor(tx, site, now())
      if (busy) throw new Problem(409, 'C152', `a test runs at ${site} already`, `it ends by ${busy.until.toISOString().slice(0, 19)}Z; then again`)
      await pathTests.insert(tx, { id, site, tunnels, count, until: new Date(now().getTime() + waitMs) })
      await audit.append(tx, { actor, action: 'path-test', subject: `site/${site}`, detail: { test: id, tunnels, count } })
    })
    for (const end = performance.now() + waitMs; ; ) {
      const heard = new Promise<void>((resolve) => {
        wake = resolve
      })
      const result = (await pathTests.get(store.db, id))?.result
      if (result) return result
      const left = end - performance.now()
      if (left <= 0)
        throw new Problem(504, 'C153', `${site} did not tell what it measured within ${Math.ceil(waitMs / 1000)} s`, `causeway site status ${site}`)
      const timer = setTimeout(() => wake(), left)
      await heard
      clearTimeout(timer)
    }
  } finally {
    stop()
  }
}
