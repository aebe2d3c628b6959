/** What must hold while sites change one after the other: hubs first, then edges. */
import type { Expect, Fabric, Place, Site, SiteId, TunnelId } from '#src/fabric/fabric.ts'
import { siteEnds } from '#src/fabric/ids.ts'
import type { PortRange } from '#src/net/ports.ts'
import { type Isolate, proveIsolate, proveReach, type Reach, type Verdict } from './expect.ts'
import { breaksOf } from './failures.ts'
import { type Model, modelOf } from './model.ts'
import type { Shapes } from './shapes.ts'

export function duringChange(before: Fabric, after: Fabric, shapes: Shapes): readonly Verdict[] {
  const old = modelOf(before)
  const models = [old, modelOf(after)]
  const boundary = hubsFirst(before, after)
  const boundaryModel = modelOf(boundary)
  const breaks = breaksOf(boundary)
  const known = new Map(before.expects.map((expect) => [expect.id, expect]))
  return after.expects.flatMap((expect): Verdict[] => {
    // What the old generation doesn't isolate yet can't be lost on the way: only the end, `verify(after)`, has to hold it.
    if (expect.kind === 'isolate') return leaks(old, expect, shapes) ? [] : [proveIsolate(models, expect, shapes)]
    const previous = known.get(expect.id)
    const both = previous?.kind === 'reach' && expect.kind === 'reach' ? inBoth(previous, expect) : undefined
    if (!both) return []
    const verdict = proveReach(boundaryModel, breaks, both, shapes)
    return [
      {
        ...verdict,
        findings: verdict.findings
          .filter((finding) => finding.severity === 'error')
          .map((finding) => ({
            ...finding,
            code: 'V042',
            says: `${finding.says} between the waves, when hubs are changed and edges are not yet`,
            instead: 'make the change in two steps: first add, then remove',
          })),
      },
    ]
  })
}

const leaks = (model: Model, expect: Isolate, shapes: Shapes): boolean =>
  proveIsolate([model], expect, shapes).findings.some((finding) => finding.severity === 'error')

/** What is asked before and after the change, with no further failure: who is new, or a port that is, has nothing to lose yet. */
function inBoth(old: Reach, next: Reach): Reach | undefined {
  const key = (place: Place): string => JSON.stringify(place)
  const from = new Set(old.from.map(key))
  const to = new Set(old.to.map(key))
  const both = {
    ...next,
    from: next.from.filter((place) => from.has(key(place))),
    to: next.to.filter((place) => to.has(key(place))),
    ports: commonPorts(old.ports, next.ports),
    survives: [],
  }
  return both.from.length > 0 && both.to.length > 0 && both.ports.length > 0 ? both : undefined
}

/** A port that a service opens or closes with this change was not promised before, or is not any more. */
function commonPorts(old: readonly PortRange[], next: readonly PortRange[]): readonly PortRange[] {
  return next.flatMap((one) =>
    old.flatMap((other): PortRange[] => {
      if (one.protocol === 'any') return [other]
      if (other.protocol === 'any') return [one]
      const [from, to] = [Math.max(one.from, other.from), Math.min(one.to, other.to)]
      return one.protocol === other.protocol && from <= to ? [{ protocol: one.protocol, from, to }] : []
    }),
  )
}

/** The network after the first wave. Hubs of either side are new, the rest old; a tunnel is up when both ends have it. */
export function hubsFirst(before: Fabric, after: Fabric): Fabric {
  const hubs = new Set<SiteId>([...before.sites, ...after.sites].filter((site) => site.hub).map((site) => site.id))
  const next = new Map(after.sites.map((site) => [site.id, site]))
  const sites = before.sites.map((site) => (hubs.has(site.id) ? (next.get(site.id) ?? site) : site))
  const added = after.sites.filter((site) => hubs.has(site.id) && !before.sites.some((old) => old.id === site.id))
  const all: readonly Site[] = [...sites, ...added].sort((a, b) => (a.id < b.id ? -1 : 1))
  const has = new Map(all.map((site) => [site.id, new Set<TunnelId>(site.interfaces.flatMap((one) => one.tunnels))]))
  const tunnels = new Map([...before.tunnels, ...after.tunnels].map((tunnel) => [tunnel.id, tunnel]))
  const expects: readonly Expect[] = []
  // A cloud is changed with the hubs: who has not yet heard of a tunnel to it does not use it.
  return {
    ...after,
    sites: all,
    expects,
    tunnels: [...tunnels.values()].filter((tunnel) => siteEnds(tunnel).every((end) => has.get(end.site)?.has(tunnel.id))),
  }
}
