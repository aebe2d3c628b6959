/**
 * Routes and their groups (routing rules 8 to 12). A hub knows every prefix; a spoke knows those that one of its rules
 * names, so its tables don't grow with sites it never talks to. A cloud's region is a spoke whose lines are connections:
 * it ends at its hubs, is reached as a spoke is, and forwards nothing for others.
 */
import type { ClassId, Finding, Group, Hop, NodeId, Route, SiteId, Tunnel, Uplink } from '#src/fabric/fabric.ts'
import { compareText, nodeOf, siteEnds } from '#src/fabric/ids.ts'
import type { Intent, IntentClass, IntentRegion, UplinkSelector } from '#src/intent/intent.ts'
import { comparePrefixes, type Prefix } from '#src/net/address.ts'
import type { Policy } from './rules.ts'

export interface Reachability {
  readonly routes: readonly Route[]
  readonly groups: readonly Group[]
}
/** Seconds of a clean home before an edge returns to it (rule 8). */
const homeReturn = 300
/** Seconds of a clean connection before a cloud's return route goes back to it: each move is a call to the provider. */
const connectionReturn = 60

export function routes(
  intent: Intent,
  tunnels: readonly Tunnel[],
  uplinksOf: ReadonlyMap<SiteId, readonly Uplink[]>,
  policyOf: (node: NodeId) => Policy,
): { readonly at: ReadonlyMap<NodeId, Reachability>; readonly findings: readonly Finding[] } {
  const sites = [...intent.sites].sort((a, b) => compareText(a.id, b.id))
  const hubs = new Set<SiteId>(intent.hubs)
  const everything: Route[] = [
    ...sites.flatMap((site) => site.lans.map((lan): Route => ({ segment: lan.segment, to: lan.prefix, remote: site.id }))),
    ...intent.regions.flatMap(({ id, segment, networks }) =>
      networks.flatMap((one) => one.prefixes.map((to): Route => ({ segment, to, remote: id }))),
    ),
  ].sort((a, b) => comparePrefixes(a.to, b.to))
  const owner = new Map(everything.map((route) => [route.to, route]))
  const byId = new Map<NodeId, Ended>([...sites, ...intent.regions].map((node) => [node.id, node]))
  const hopsTo = directHops(intent, tunnels, uplinksOf)
  const classIds = intent.classes.map((one) => one.id).sort(compareText)

  const at = new Map(
    sites.map((site): [NodeId, Reachability] => {
      const isHub = hubs.has(site.id)
      const known = isHub ? everything.filter((route) => route.remote !== site.id) : namedBy(policyOf(site.id), site.id, owner)
      const remotes = remotesOf(known)
      const shared = new Map<string, readonly Hop[]>()
      const groups = remotes.flatMap((remote) =>
        classIds.flatMap((trafficClass): Group[] => {
          const stages = stagesTo(site, byId.get(remote)!, hubs)
          // Spokes behind the same hubs have the same hops: kept once.
          const key = `${trafficClass} ${stages.map((stage) => `${stage.next} ${stage.returnAfter}`).join(' ')}`
          const via =
            shared.get(key) ??
            stages.flatMap(({ next, returnAfter }, stage) => hopsTo(site.id, next, trafficClass).map((hop): Hop => ({ ...hop, stage, returnAfter })))
          shared.set(key, via)
          const group: Group = { remote, trafficClass, arrived: 'anywhere', via }
          const attached = isHub && !hubs.has(remote as SiteId) && stages[0]?.next === remote
          return attached ? [group, { ...group, arrived: 'mesh', via: via.filter((hop) => hop.next === remote) }] : [group]
        }),
      )
      return [site.id, { routes: known, groups }]
    }),
  )
  for (const region of intent.regions) {
    const known = namedBy(policyOf(region.id), region.id, owner)
    const groups = remotesOf(known).flatMap((remote) => {
      const via = returnHops(region, byId.get(remote)!, intent, tunnels)
      return classIds.map((trafficClass): Group => ({ remote, trafficClass, arrived: 'anywhere', via }))
    })
    at.set(region.id, { routes: known, groups })
  }
  return { at, findings: emptyClasses(intent, uplinksOf) }
}

const remotesOf = (of: readonly Route[]): readonly NodeId[] => [...new Set(of.map((route) => route.remote))].sort(compareText)

/** `never` may leave a class without any uplink at a site: legal, verified as unreachable, and seldom meant. */
function emptyClasses(intent: Intent, uplinksOf: ReadonlyMap<SiteId, readonly Uplink[]>): Finding[] {
  return intent.classes.flatMap((trafficClass): Finding[] => {
    const without = intent.sites
      .map((site) => site.id)
      .filter((site) => (uplinksOf.get(site) ?? []).every((uplink) => costOf(uplink, trafficClass) === 'never'))
    if (trafficClass.never.length === 0 || without.length === 0) return []
    const more = without.length > 3 ? ` and ${without.length - 3} more` : ''
    return [
      {
        code: 'I140',
        severity: 'warning',
        at: [`class/${trafficClass.id}/never`, `class/${trafficClass.id}`],
        says: `class "${trafficClass.id}" may use no uplink of ${without.sort(compareText).slice(0, 3).join(', ')}${more}: its traffic is unreachable there`,
        instead: 'use `avoid:`, which takes such an uplink when nothing else is left',
        witness: [],
      },
    ]
  })
}

function namedBy(policy: Policy, node: NodeId, owner: ReadonlyMap<Prefix, Route>): Route[] {
  const named = new Set(policy.rules.flatMap((rule) => [...rule.from.prefixes, ...rule.to.prefixes]))
  return [...named]
    .flatMap((prefix) => owner.get(prefix) ?? [])
    .filter((route) => route.remote !== node)
    .sort((a, b) => comparePrefixes(a.to, b.to))
}

/** A site or region, and where its tunnels end. */
interface Ended {
  readonly id: NodeId
  readonly hubs: readonly SiteId[]
}
/**
 * Where a region sends what is for `remote`: over the connections of the remote's hubs in their order, then over the
 * others, each connection a stage, because a static route points to one. Which of its two tunnels is the cloud's choice.
 */
function returnHops(region: IntentRegion, remote: Ended, intent: Intent, tunnels: readonly Tunnel[]): readonly Hop[] {
  const near: readonly NodeId[] = intent.hubs.some((hub) => hub === remote.id) ? [remote.id] : remote.hubs
  const order = [...region.hubs.filter((hub) => near.includes(hub)).sort((a, b) => near.indexOf(a) - near.indexOf(b)), ...region.hubs]
  const ours = tunnels.flatMap((tunnel) => (tunnel.kind === 'ipsec' && tunnel.ends[1].region === region.id ? [tunnel] : []))
  const connections = [...new Set(order)].flatMap((hub) => {
    const ending = ours.filter((tunnel) => tunnel.ends[0].site === hub)
    return [...Map.groupBy(ending, (tunnel) => tunnel.ends[1].connection).values()]
  })
  return connections.flatMap((members, stage) =>
    members.map(({ id, ends }): Hop => ({ tunnel: id, next: ends[0].site, stage, cost: 0, returnAfter: stage === 0 ? 0 : connectionReturn })),
  )
}

/** Whose tunnels are tried, one stage after the other. */
function stagesTo(site: Ended, remote: Ended, hubs: ReadonlySet<NodeId>): readonly { readonly next: NodeId; readonly returnAfter: number }[] {
  const at = (returnAfter: number) => (next: NodeId, index: number) => ({ next, returnAfter: index === 0 ? 0 : returnAfter })
  if (hubs.has(site.id)) {
    if (hubs.has(remote.id)) return [remote.id].map(at(0))
    const direct = remote.hubs.some((hub) => hub === site.id) ? [remote.id] : []
    return [...direct, ...remote.hubs.filter((hub) => hub !== site.id)].map(at(0))
  }
  if (site.hubs.some((hub) => hub === remote.id)) return [remote.id, ...site.hubs.filter((hub) => hub !== remote.id)].map(at(0))
  return site.hubs.map(at(homeReturn))
}

type DirectHop = Pick<Hop, 'tunnel' | 'next' | 'cost'>
/** The tunnels from a site to a neighbour for a class, best first. */
function directHops(
  intent: Intent,
  tunnels: readonly Tunnel[],
  uplinksOf: ReadonlyMap<SiteId, readonly Uplink[]>,
): (site: NodeId, next: NodeId, trafficClass: ClassId) => readonly DirectHop[] {
  const uplinks = new Map([...uplinksOf].flatMap(([site, own]) => own.map((uplink) => [`${site}/${uplink.id}`, uplink] as const)))
  const between = new Map<string, Tunnel[]>()
  for (const tunnel of tunnels) {
    const [a, b] = tunnel.ends.map(nodeOf)
    for (const key of [`${a} ${b}`, `${b} ${a}`]) {
      const known = between.get(key)
      if (known) known.push(tunnel)
      else between.set(key, [tunnel])
    }
  }
  const ranked = new Map<string, readonly Omit<DirectHop, 'next'>[]>()
  const rank = (trafficClass: IntentClass, all: readonly Tunnel[]) =>
    all
      .flatMap((tunnel) => {
        const ends = siteEnds(tunnel).map((end) => uplinks.get(`${end.site}/${end.uplink}`)!)
        const costs = ends.map((uplink) => costOf(uplink, trafficClass))
        // `never` at either end leaves the hop out; equal costs go by slot, seen the same from both ends.
        return costs.includes('never')
          ? []
          : [
              {
                tunnel: tunnel.id,
                cost: Math.max(...(costs as number[])),
                order: ends[0]!.slot * 8 + (tunnel.kind === 'ipsec' ? tunnel.ends[1].member : ends[1]!.slot),
              },
            ]
      })
      .sort((a, b) => a.cost - b.cost || a.order - b.order || compareText(a.tunnel, b.tunnel))
      .map(({ tunnel, cost }) => ({ tunnel, cost }))
  const classes = new Map(intent.classes.map((one) => [one.id, one]))
  return (site, next, id) => {
    const key = `${site < next ? `${site} ${next}` : `${next} ${site}`} ${id}`
    let hops = ranked.get(key)
    if (!hops) {
      hops = rank(classes.get(id)!, between.get(`${site} ${next}`) ?? [])
      ranked.set(key, hops)
    }
    return hops.map((hop) => ({ ...hop, next }))
  }
}

const mediumCost: Readonly<Record<string, number>> = { fiber: 10, ethernet: 10, lte: 50, '5g': 50, sat: 80 }
const unknownMediumCost = 20
const meteredCost = 20
/** More than medium and metered can add up to, so a preference always decides first. */
const preferStep = 200
/** More than any preference: avoided is used when nothing else is left. */
const avoidTier = 100_000

/** Lower is better; `never` is hard (rule 12). */
export function costOf(uplink: Uplink, trafficClass: Pick<IntentClass, 'prefer' | 'avoid' | 'never'>): number | 'never' {
  const selected = (selector: UplinkSelector) => selects(selector, uplink)
  if (trafficClass.never.some(selected)) return 'never'
  const preferred = trafficClass.prefer.findIndex(selected)
  const rank = preferred < 0 ? trafficClass.prefer.length : preferred
  return (
    (mediumCost[uplink.medium] ?? unknownMediumCost) +
    (uplink.metered ? meteredCost : 0) +
    rank * preferStep +
    (trafficClass.avoid.some(selected) ? avoidTier : 0)
  )
}

function selects({ kind, value }: UplinkSelector, uplink: Uplink): boolean {
  switch (kind) {
    case 'medium':
      return uplink.medium === value
    case 'transport':
      return uplink.transport === value
    case 'tag':
      return uplink.tags.includes(value)
    case 'metered':
      return uplink.metered
    default:
      throw new TypeError(`unknown uplink selector ${String(kind satisfies never)}`)
  }
}
