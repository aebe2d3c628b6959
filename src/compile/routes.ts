/**
 * Routes and their groups (routing rules 8 to 12). A hub knows every prefix; a spoke knows those that one of its rules
 * names, so its tables don't grow with sites it never talks to. A cloud's region or a peer is a spoke whose lines are
 * connections: it ends at its hubs, is reached as a spoke is, and forwards nothing for others.
 */
import type { ClassId, Finding, Hop, NodeId, Route, SharedGroup, SiteId, Tunnel, TunnelId, Uplink } from '#src/fabric/fabric.ts'
import { anyRemote } from '#src/fabric/groups.ts'
import { compareText, externalOf, nodeOf, siteEnds } from '#src/fabric/ids.ts'
import type { Intent, IntentClass, UplinkSelector } from '#src/intent/intent.ts'
import { comparePrefixes, type Prefix } from '#src/net/address.ts'
import { type External, externalsOf } from './externals.ts'
import type { Policy } from './rules.ts'

export interface Reachability {
  readonly routes: readonly Route[]
  readonly groups: readonly SharedGroup[]
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
  const hubs = new Set<NodeId>(intent.hubs)
  const externals = externalsOf(intent)
  const everything: Route[] = [
    ...sites.flatMap((site) => site.lans.map((lan): Route => ({ segment: lan.segment, to: lan.prefix, remote: site.id }))),
    ...externals.flatMap(({ id, lans }) => lans.map(({ segment, prefix }): Route => ({ segment, to: prefix, remote: id }))),
  ].sort((a, b) => comparePrefixes(a.to, b.to))
  const owner = new Map(everything.map((route) => [route.to, route]))
  const byId = new Map<NodeId, Ended>([...sites, ...externals].map((node) => [node.id, node]))
  const hopsTo = directHops(intent, tunnels, uplinksOf)
  const classIds = intent.classes.map((one) => one.id).sort(compareText)
  const shapeOf = shapes(uplinksOf, externals)

  const at = new Map<NodeId, Reachability>()
  for (const site of sites) {
    const known = hubs.has(site.id) ? everything.filter((route) => route.remote !== site.id) : namedBy(policyOf(site.id), site.id, owner)
    const groups = shareGroups(remotesOf(known), (remote) => {
      const stages = stagesTo(site, byId.get(remote)!, hubs)
      const spoke = hubs.has(site.id) && !hubs.has(remote) && stages[0]?.next === remote
      const key = stages.map(({ next, returnAfter }) => `${next === remote && spoke ? shapeOf(remote) : next} ${returnAfter}`).join(' ')
      return {
        key,
        make: () =>
          classIds.flatMap((trafficClass) => {
            const via = stages.flatMap(({ next, returnAfter }, stage) =>
              hopsTo(site.id, next, trafficClass).map((hop): Hop => ({ ...(next === remote && spoke ? ofAnyRemote(hop) : hop), stage, returnAfter })),
            )
            const anywhere = { trafficClass, arrived: 'anywhere', via } as const
            return spoke ? [anywhere, { trafficClass, arrived: 'mesh', via: via.filter((hop) => hop.next === anyRemote) } as const] : [anywhere]
          }),
      }
    })
    at.set(site.id, { routes: known, groups })
  }
  for (const external of externals) {
    const known = namedBy(policyOf(external.id), external.id, owner)
    const groups = shareGroups(remotesOf(known), (remote) => {
      const order = returnOrder(external, byId.get(remote)!, hubs)
      const make = () => {
        const via = returnHops(external, order, tunnels)
        return classIds.map((trafficClass) => ({ trafficClass, arrived: 'anywhere', via }) as const)
      }
      return { key: order.join(' '), make }
    })
    at.set(external.id, { routes: known, groups })
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

/** A site, region or peer, and where its tunnels end. */
interface Ended {
  readonly id: NodeId
  readonly hubs: readonly SiteId[]
}
/**
 * Where a region or peer sends what is for `remote`: over the connections of the remote's hubs in their order, then over
 * the others.
 */
function returnOrder(external: External, remote: Ended, hubs: ReadonlySet<NodeId>): readonly SiteId[] {
  const near: readonly NodeId[] = hubs.has(remote.id) ? [remote.id] : remote.hubs
  return [...new Set([...external.hubs.filter((hub) => near.includes(hub)).sort((a, b) => near.indexOf(a) - near.indexOf(b)), ...external.hubs])]
}
/**
 * Each connection is a stage, because a static route points to one. Which of its two tunnels is the cloud's choice. How a
 * peer chooses is not known here: any of its tunnels, all in one stage.
 */
function returnHops(external: External, order: readonly SiteId[], tunnels: readonly Tunnel[]): readonly Hop[] {
  const ours = tunnels.flatMap((tunnel) => (tunnel.kind === 'ipsec' && externalOf(tunnel) === external.id ? [tunnel] : []))
  const connections = order.flatMap((hub) => {
    const ending = ours.filter((tunnel) => tunnel.ends[0].site === hub)
    return [...Map.groupBy(ending, (tunnel) => tunnel.ends[1].connection).values()]
  })
  return connections.flatMap((members, stage) =>
    members.map(({ id, role, ends }): Hop => {
      const moved = role === 'cloud' && stage > 0
      return { tunnel: id, next: ends[0].site, stage: moved ? stage : 0, cost: 0, returnAfter: moved ? connectionReturn : 0 }
    }),
  )
}

type Alike = readonly Omit<SharedGroup, 'remotes'>[]
/** Made once for each `key`; remotes whose groups come out the same share them. */
function shareGroups(
  remotes: readonly NodeId[],
  planOf: (remote: NodeId) => { readonly key: string; readonly make: () => Alike },
): readonly SharedGroup[] {
  const byKey = new Map<string, { readonly remotes: NodeId[]; readonly groups: Alike }>()
  const byContent = new Map<string, { readonly remotes: NodeId[]; readonly groups: Alike }>()
  for (const remote of remotes) {
    const { key, make } = planOf(remote)
    let entry = byKey.get(key)
    if (!entry) {
      const groups = make()
      const content = JSON.stringify(groups)
      entry = byContent.get(content) ?? { remotes: [], groups }
      byContent.set(content, entry)
      byKey.set(key, entry)
    }
    entry.remotes.push(remote)
  }
  return [...byContent.values()].flatMap((entry) => entry.groups.map((group) => ({ remotes: entry.remotes, ...group })))
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

/** What a hub's hops to a node depend on beside the node's name. */
function shapes(uplinksOf: ReadonlyMap<SiteId, readonly Uplink[]>, externals: readonly External[]): (node: NodeId) => string {
  // Every region ends the same tunnels of a hub; a peer those of its transport, as many as it has addresses.
  const ends = new Map<NodeId, string>(externals.map(({ id, transport, members }) => [id, `${transport} ${members.length}`]))
  return (node) =>
    ends.get(node) ??
    JSON.stringify(
      (uplinksOf.get(node as SiteId) ?? []).map(({ id, slot, transport, medium, metered, tags }) => [id, slot, transport, medium, metered, tags]),
    )
}
/** From a hub to a spoke: a site's tunnels start with its name, a region's or peer's end there. */
const ofAnyRemote = (hop: DirectHop): DirectHop => ({
  ...hop,
  tunnel: (hop.tunnel.startsWith(`${hop.next}.`)
    ? hop.tunnel.replace(hop.next, anyRemote)
    : hop.tunnel.replace(`--${hop.next}.`, `--${anyRemote}.`)) as TunnelId,
  next: anyRemote,
})

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
