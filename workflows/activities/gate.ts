/** What must be proved before an uplink is cut: every class that uses it has another way that is sound, and wide enough. */
import type { PathRow } from '#src/controller/store/paths.ts'
import type { SiteRow } from '#src/controller/store/sites.ts'
import { classesAt } from '#src/fabric/classes.ts'
import type { ClassId, Fabric, Group, Site, TunnelId } from '#src/fabric/fabric.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { siteEnds } from '#src/fabric/ids.ts'
import type { DrillMove } from '#src/wire/messages.ts'
import { finding, Refused } from './context.ts'

export interface Gate {
  /** What uses the uplink now, each with the way that is UP and takes it. */
  readonly moves: readonly (DrillMove & { readonly to: string })[]
  /** bit/s of each line that would take over, where its rate is stated. */
  readonly capacity: readonly {
    readonly uplink: string
    readonly direction: 'up' | 'down'
    readonly line: number
    /** Carried by it now. */
    readonly present: number
    /** Guaranteed to the classes that are on it now and stay there. */
    readonly reserved: number
    /** Carried now by the tunnels that would be left. */
    readonly needs: number
  }[]
}
export interface Judged {
  readonly fabric: Fabric
  readonly site: Site
  readonly uplink: string
  /** Both ends of the site's tunnels, as last reported. */
  readonly paths: readonly PathRow[]
  readonly sites: readonly Pick<SiteRow, 'id' | 'state'>[]
}

/** Throws Refused. A drill that moves nothing passes: it cuts a standby. */
export function judge(of: Judged): Gate {
  const { fabric, site, uplink } = of
  const cut = site.uplinks.find(({ id }) => id === uplink)
  if (cut === undefined)
    throw new Refused(finding('C110', 'error', `${site.id} has no uplink "${uplink}"`, `it has ${site.uplinks.map(({ id }) => id).join(', ')}`))
  const lineOf = lines(fabric, site)
  const unsound = soundness(of)
  const own = new Map(of.paths.filter((path) => path.site === site.id).map((path) => [path.tunnel, path]))
  const moves = groupsOf(site).flatMap((group) => {
    const from = group.via.find(({ tunnel }) => lineOf(tunnel) === uplink && isUsed(own.get(tunnel), group))
    if (group.arrived !== 'anywhere' || from === undefined) return []
    const others = group.via.filter(({ tunnel }) => lineOf(tunnel) !== uplink)
    const to = others.find(({ tunnel }) => unsound(tunnel, group.trafficClass) === null)
    if (to !== undefined) return [{ ...moveOf({ ...group, from: from.tunnel }), to: to.tunnel }]
    const why = others.map(({ tunnel }) => `${tunnel} is ${unsound(tunnel, group.trafficClass) ?? ''}`).join(', ')
    throw new Refused(
      finding(
        'C112',
        'error',
        `class ${group.trafficClass} has no other way to ${group.remote}${group.family === undefined ? '' : ` over IPv${group.family}`} that is UP: the drill would be an outage`,
        `${why === '' ? 'it may take no other uplink' : why}; see causeway path list ${site.id}`,
      ),
    )
  })
  return { moves, capacity: capacityOf(of, moves, lineOf, own) }
}

/**
 * Each standby's line takes what would move to it, besides what it carries and what it guarantees to the classes that
 * are on it already. Throws Refused.
 */
function capacityOf(
  { fabric, site }: Judged,
  moves: Gate['moves'],
  lineOf: (tunnel: string) => string | undefined,
  own: ReadonlyMap<string, PathRow>,
): Gate['capacity'] {
  const shares = new Map<string, number>(classesAt(fabric.classes, site).map(({ id, share }) => [id, share]))
  return [...Map.groupBy(moves, ({ to }) => lineOf(to))].flatMap(([id, arriving]) => {
    const standby = site.uplinks.find((each) => each.id === id)
    if (standby === undefined) return []
    const here = [...own.values()].filter(({ tunnel }) => lineOf(tunnel) === id)
    // A tunnel's counters don't tell its classes apart: all of it counts wherever one of them goes.
    const leaving = [...new Set(arriving.map(({ from }) => from))].flatMap((from) => own.get(from) ?? [])
    const movers = new Set(arriving.map(({ trafficClass }) => trafficClass))
    const residents = [...new Set(here.flatMap((path) => path.active_classes))].filter((each) => !movers.has(each))
    return (['up', 'down'] as const).flatMap((direction) => {
      const line = standby[direction]
      if (line === 0) return []
      const load = (path: PathRow): number => path[`load_${direction}`] ?? unknown(site, path)
      const present = sum(here.map(load))
      const reserved = sum(residents.map((each) => (line * (shares.get(each) ?? 0)) / 100))
      const needs = sum(leaving.map(load))
      const taken = Math.max(present, reserved)
      if (needs > line - taken) {
        const kept = present >= reserved ? 'are in use' : `are guaranteed to ${residents.join(', ')}`
        throw new Refused(
          finding(
            'C112',
            'error',
            `${standby.id} has ${mbit(line)} ${direction}, of which ${mbit(taken)} ${kept}, and ${mbit(needs)} would move to it: ${mbit(needs + taken - line)} are short`,
            'drill when less is under way',
          ),
        )
      }
      return [{ uplink: standby.id, direction, line, present, reserved, needs }]
    })
  })
}
const sum = (of: readonly number[]): number => of.reduce((all, each) => all + each, 0)
function unknown(site: Site, { tunnel }: PathRow): never {
  throw new Refused(
    finding(
      'C112',
      'error',
      `${site.id} does not tell the load of ${tunnel}, so nobody knows whether another line can take it`,
      `wait for its next report; an agent older than this controller has to be upgraded: causeway site status ${site.id}`,
    ),
  )
}

/** The site's uplink under each of its tunnels. */
function lines(fabric: Fabric, site: Site): (tunnel: string) => string | undefined {
  const ends = new Map<string, string | undefined>(
    fabric.tunnels.map((tunnel) => [tunnel.id, siteEnds(tunnel).find((end) => end.site === site.id)?.uplink]),
  )
  return (tunnel) => ends.get(tunnel)
}

/** As the box is told. */
export const moveOf = ({ trafficClass, remote, family, from }: DrillMove): DrillMove => ({
  trafficClass,
  remote,
  ...(family === undefined ? {} : { family }),
  from,
})

/** Why a tunnel can't take a class over, or null when it can: good for it at both ends, and no far end that is about to leave. */
function soundness({ fabric, site, paths, sites }: Judged): (tunnel: TunnelId, trafficClass: ClassId) => string | null {
  const reported = Map.groupBy(paths, ({ tunnel }) => tunnel)
  const farOf = new Map(fabric.tunnels.map((tunnel) => [tunnel.id, siteEnds(tunnel).find((end) => end.site !== site.id)?.site]))
  const states = new Map(sites.map(({ id, state }) => [id, state]))
  return (tunnel, trafficClass) => {
    const ends = reported.get(tunnel) ?? []
    if (!ends.some((end) => end.site === site.id)) return 'not reported'
    const bad = ends.find((end) => !isGoodFor(end, trafficClass))
    if (bad !== undefined) return bad.site === site.id ? bad.state : `${bad.state} at ${bad.site}`
    const far = farOf.get(tunnel)
    const state = far === undefined ? undefined : states.get(far)
    return state === 'DRAINING' || state === 'MAINTENANCE' ? `UP, but ${far} is ${state}` : null
  }
}

/** DEGRADED is a word about the classes whose SLA is breached: the others may go there. */
const isGoodFor = ({ state, breaches }: PathRow, trafficClass: ClassId): boolean =>
  state === 'UP' || (state === 'DEGRADED' && breaches !== null && !breaches.includes(trafficClass))

/** An agent that does not tell remotes names the classes only: then it is any of them. */
const isUsed = (path: PathRow | undefined, { remote, trafficClass, family }: Group): boolean =>
  path?.uses?.some((use) => use.remote === remote && use.family === family && use.classes.includes(trafficClass)) ??
  (path?.uses === null && path.active_classes.includes(trafficClass))

const mbit = (bits: number): string => `${Number((bits / 1e6).toFixed(1))} Mbit/s`
