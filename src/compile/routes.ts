/**
 * Routes and their groups (routing rules 8 to 12). A hub knows every prefix; a spoke knows those that one of its rules
 * names, so its tables don't grow with sites it never talks to. A cloud's region or a peer is a spoke whose lines are
 * connections: it ends at its hubs, is reached as a spoke is, and forwards nothing for others.
 */
import type {
  ClassId,
  ExternalId,
  Finding,
  Hop,
  IpsecTunnel,
  NodeId,
  Route,
  SharedGroup,
  SiteId,
  Tunnel,
  TunnelEnd,
  TunnelId,
  Uplink,
} from '#src/fabric/fabric.ts'
import { anyRemote } from '#src/fabric/groups.ts'
import { compareText, externalOf, nodeOf, siteEnds } from '#src/fabric/ids.ts'
import type { Intent, IntentClass, IntentSite, UplinkSelector } from '#src/intent/intent.ts'
import { comparePrefixes, enclosing, type Prefix, sortPrefixes } from '#src/net/address.ts'
import { type External, externalsOf } from './externals.ts'
import { createMemo, difference, type Made, type Memo, patched } from './memo.ts'
import type { NetworkRoutes } from './network-routes.ts'
import { hubsOf } from './paths.ts'
import type { Policies, Policy } from './rules.ts'
import type { Tunnels } from './tunnels.ts'

export interface Reachability {
  readonly routes: readonly Route[]
  readonly groups: readonly SharedGroup[]
}
export interface Routed {
  /** In the order of the intent's. */
  readonly sites: readonly Reachability[]
  readonly of: (external: ExternalId) => Reachability
  readonly findings: readonly Finding[]
}
/** Seconds of a clean home before an edge returns to it (rule 8). */
const homeReturn = 300
/** Seconds of a clean connection before a cloud's return route goes back to it: each move is a call to the provider. */
const connectionReturn = 60

export function routes(intent: Intent, network: NetworkRoutes, tunnels: Tunnels, policies: Policies, memo: Memo = createMemo()): Routed {
  const hubs = hubsOf(intent, memo)
  const hubById = new Map<NodeId, IntentSite>(hubs.map((hub) => [hub.id, hub]))
  const classesText = JSON.stringify(intent.classes)
  const world = [classesText, tunnels.ipsec, tunnels.mesh, ...hubs, ...hubs.map((hub) => tunnels.uplinks[intent.sites.indexOf(hub)])]
  const classIds = intent.classes.map((one) => one.id).sort(compareText)
  const owner = memo.once('owners of prefixes', [network.all], (before?: Made<Map<Prefix, Route>>) => ownersOf(network.all, before))

  // The LANs behind hosts that rules name: a rule may stay the same while its LAN becomes another.
  const named = [...intent.groups.flatMap((group) => group.hosts), ...intent.services.flatMap((service) => service.endpoints)]
  const holders = memo.members(
    'LANs of hosts',
    memo.once('holders of hosts', [network.all, named.join(' ')], () => named.flatMap((hosts) => around(hosts, owner))),
  )

  const kinds = kindsOf(intent, tunnels, world, memo)
  const hubPlaces = new Map<NodeId, number>(hubs.map((hub) => [hub.id, intent.sites.indexOf(hub)]))
  const uplinksOf = (hub: SiteId) => tunnels.uplinks[hubPlaces.get(hub)!]!
  const classOf = new Map(intent.classes.map((one) => [one.id, one]))
  const rank = (of: ClassId, between: readonly Tunnel[], own?: { readonly id: NodeId; readonly uplinks: readonly Uplink[] }) =>
    ranked(classOf.get(of)!, between, (end) => (own?.id === end.site ? own.uplinks : uplinksOf(end.site)).find((one) => one.id === end.uplink)!)
  const toHub = (hub: SiteId, next: SiteId, of: ClassId) => rank(of, tunnels.mesh.between(hub, next))
  const routesAt = (hub: SiteId): readonly Route[] =>
    memo.once(`routes of ${hub}`, [network.all], (before?: Made<readonly Route[]>) => {
      const { gone, come } = difference((before?.inputs[0] ?? []) as readonly Route[], network.all)
      return patched(
        before?.value ?? [],
        gone,
        come.filter((route) => route.remote !== hub),
        (a, b) => comparePrefixes(a.to, b.to),
      )
    })
  const reachFrom = (hub: SiteId, known: readonly Kind[]): Reachability => {
    const groups = known.flatMap((kind): Alike[] => {
      const { sample } = kind
      if (hubById.has(sample.id)) {
        // A mesh tunnel starts with the lower name: to those below the remote's comes first, to those above the hub's.
        return [kind.remotes.filter((remote) => remote < hub), kind.remotes.filter((remote) => remote > hub)].flatMap((remotes) => {
          const [first] = remotes
          const direct = (of: ClassId) => toHub(hub, first as SiteId, of).map((hop) => ofAnyRemote(hop, first!))
          return first === undefined ? [] : [{ remotes, groups: groupsVia(classIds, [[anyRemote, 0, direct]]) }]
        })
      }
      const attached = sample.hubs.includes(hub)
      const between = [...kind.own, ...tunnels.ipsec].filter(({ ends: [near, far] }) => {
        const nodes = [nodeOf(near), nodeOf(far)]
        return nodes.includes(hub) && nodes.includes(sample.id)
      })
      const direct: Stage = [
        anyRemote,
        0,
        (of) => rank(of, between, { id: sample.id, uplinks: kind.uplinks }).map((hop) => ofAnyRemote(hop, sample.id)),
      ]
      const others = sample.hubs.filter((id) => id !== hub && hubById.has(id)).map((next): Stage => [next, 0, (of) => toHub(hub, next, of)])
      const groups = groupsVia(classIds, [...(attached ? [direct] : []), ...others])
      return [{ remotes: kind.remotes, groups: attached ? groups.flatMap(withSplitHorizon) : groups }]
    })
    return { routes: routesAt(hub), groups: shared(groups) }
  }

  const ofSpokes = memo.rows(
    'reachability of spokes',
    [...world, holders],
    [intent.sites, policies.sites, tunnels.uplinks, tunnels.ofSpokes],
    (site, policy, uplinks, ours): Reachability => {
      if (hubById.has(site.id)) return nowhere
      const known = namedBy(policy, site.id, owner)
      const own = site.hubs.flatMap((id) => hubById.get(id) ?? [])
      const ends = { id: site.id, uplinks }
      const via = (order: readonly IntentSite[], returnAfter: number) =>
        groupsVia(
          classIds,
          order.map(
            (hub, stage): Stage => [
              hub.id,
              stage === 0 ? 0 : returnAfter,
              (of) =>
                rank(
                  of,
                  ours.filter((tunnel) => tunnel.ends[1].site === hub.id),
                  ends,
                ),
            ],
          ),
        )
      const remotes = remotesOf(known)
      const alike = own
        .filter((hub) => remotes.includes(hub.id))
        .map((hub): Alike => ({ remotes: [hub.id], groups: via([hub, ...own.filter((other) => other !== hub)], 0) }))
      const others = remotes.filter((remote) => !own.some((hub) => hub.id === remote))
      return { routes: known, groups: shared([...alike, ...(others.length > 0 ? [{ remotes: others, groups: via(own, homeReturn) }] : [])]) }
    },
  )
  const ofHubs = hubs.map((hub) => memo.once(`reachability of ${hub.id}`, [...world, network.all, kinds], () => reachFrom(hub.id, kinds)))
  const homesOf = memo.rows('homes of sites', [], [intent.sites], ({ id, hubs }) => memo.keep(`homes of ${id}`, { id, hubs }))
  const homes = memo.once('homes', [homesOf], (before?: Made<Homes>): Homes => {
    const { gone, come } = difference((before?.inputs[0] ?? []) as typeof homesOf, homesOf)
    const of = before?.value.of ?? new Map<NodeId, readonly SiteId[]>()
    for (const { id } of gone) of.delete(id)
    for (const { id, hubs: own } of come) of.set(id, own)
    return { of }
  })
  const ofExternal = (external: External): Reachability => {
    const named = memo.once(`named by ${external.id}`, listsOf(policies.of(external.id)), (before?: Made<readonly Prefix[]>) =>
      unionOf(listsOf(policies.of(external.id)), before),
    )
    const known = routesTo(named, external.id, owner)
    const near = (remote: NodeId) => (hubById.has(remote) ? [remote as SiteId] : (homes.of.get(remote) ?? []))
    const orders = new Map<string, string>()
    const orderOf = (hubs: readonly SiteId[]): string => {
      const key = hubs.join(' ')
      const order = orders.get(key) ?? returnOrder(external, hubs).join(' ')
      orders.set(key, order)
      return order
    }
    const byOrder = Map.groupBy(remotesOf(known), (remote) => orderOf(near(remote)))
    const alike = [...byOrder].map(([order, remotes]): Alike => {
      const via = returnHops(external, order.split(' ') as SiteId[], tunnels.ipsec)
      return { remotes, groups: classIds.map((trafficClass) => ({ trafficClass, arrived: 'anywhere', via })) }
    })
    return { routes: known, groups: shared(alike) }
  }
  const sites = [...ofSpokes]
  for (const [n, hub] of hubs.entries()) sites[hubPlaces.get(hub.id)!] = ofHubs[n]!
  const externals = new Map<NodeId, Reachability>(
    externalsOf(intent, memo).map((external) => [
      external.id,
      memo.once(`reachability of ${external.id}`, [...world, external, policies.of(external.id), homes, holders], () => ofExternal(external)),
    ]),
  )
  return { sites, of: (external) => externals.get(external)!, findings: emptyClasses(intent, classesText, tunnels, memo) }
}
/** Kept from one network to the next. */
interface Homes {
  readonly of: Map<NodeId, readonly SiteId[]>
}
const nowhere: Reachability = { routes: [], groups: [] }

const remotesOf = (of: readonly Route[]): readonly NodeId[] => [...new Set(of.map((route) => route.remote))].sort(compareText)

/** Kept from one network to the next: most of it stays. */
function ownersOf(all: readonly Route[], before?: Made<Map<Prefix, Route>>): Map<Prefix, Route> {
  const owner = before?.value ?? new Map<Prefix, Route>()
  const { gone, come } = difference((before?.inputs[0] ?? []) as readonly Route[], all)
  for (const { to } of gone) owner.delete(to)
  for (const route of come) owner.set(route.to, route)
  return owner
}

/** Nodes with prefixes that hubs reach alike: their uplinks differ in nothing that counts, and they end at the same hubs. */
interface Kind {
  readonly sample: { readonly id: NodeId; readonly hubs: readonly SiteId[] }
  readonly uplinks: readonly Uplink[]
  readonly own: readonly Tunnel[]
  /** By name. */
  readonly remotes: readonly NodeId[]
}
function kindsOf(intent: Intent, tunnels: Tunnels, world: readonly unknown[], memo: Memo): readonly Kind[] {
  const hubIds = new Set<NodeId>(intent.hubs)
  const names = memo.rows('kinds of sites', [intent.hubs.join(' ')], [intent.sites, tunnels.uplinks], (site, uplinks) => {
    if (site.lans.length === 0) return { node: site.id, kind: null }
    const shape = uplinks.map(({ id, slot, transport, medium, metered, tags }) => [id, slot, transport, medium, metered, tags])
    return memo.keep(`kind of ${site.id}`, { node: site.id, kind: JSON.stringify([hubIds.has(site.id) ? 'hub' : site.hubs, shape]) })
  })
  const members = memo.once('members of kinds', [names], (before?: Made<ReadonlyMap<string, readonly SiteId[]>>) => {
    const { gone, come } = difference((before?.inputs[0] ?? []) as typeof names, names)
    const kinds = new Map(before?.value ?? [])
    for (const kind of new Set([...gone, ...come].map((one) => one.kind))) {
      if (kind === null) continue
      const leaving = new Set([...gone].filter((one) => one.kind === kind).map((one) => one.node))
      const joining = come.filter((one) => one.kind === kind).map((one) => one.node)
      const left = patched(kinds.get(kind) ?? [], leaving, joining, compareText)
      if (left.length > 0) kinds.set(kind, left)
      else kinds.delete(kind)
    }
    return kinds
  })
  const ofSites = [...members].map(([name, remotes]) =>
    memo.once(`kind ${name}`, [remotes, ...world], (): Kind => {
      const n = intent.sites.findIndex((site) => site.id === remotes[0])
      return { sample: intent.sites[n]!, uplinks: tunnels.uplinks[n]!, own: tunnels.ofSpokes[n]!, remotes }
    }),
  )
  // Every region ends the same tunnels of a hub; a peer those of its transport, as many as it has addresses.
  const ofExternals = memo.once('kinds of externals', [externalsOf(intent, memo)], () =>
    [
      ...Map.groupBy(
        externalsOf(intent, memo).filter((one) => one.lans.length > 0),
        ({ hubs, transport, members }) => JSON.stringify([hubs, transport, members]),
      ).values(),
    ].map((same): Kind => ({ sample: same[0]!, uplinks: [], own: [], remotes: same.map((one) => one.id).sort(compareText) })),
  )
  return memo.members('kinds', [...ofSites, ...ofExternals])
}
/** `never` may leave a class without any uplink at a site: legal, verified as unreachable, and seldom meant. */
function emptyClasses({ classes, sites }: Intent, classesText: string, { uplinks }: Tunnels, memo: Memo): Finding[] {
  const limited = classes.filter((one) => one.never.length > 0)
  const empty = memo.rows('classes without an uplink', [classesText], [uplinks], (own) =>
    limited.filter((one) => own.every((uplink) => costOf(uplink, one) === 'never')).map((one) => one.id),
  )
  const without = new Map<ClassId, SiteId[]>(limited.map((one) => [one.id, []]))
  for (const [n, ids] of empty.entries()) for (const id of ids) without.get(id)!.push(sites[n]!.id)
  return limited.flatMap(({ id }): Finding[] => {
    const all = without.get(id)!.sort(compareText)
    if (all.length === 0) return []
    const more = all.length > 3 ? ` and ${all.length - 3} more` : ''
    return [
      {
        code: 'I140',
        severity: 'warning',
        at: [`class/${id}/never`, `class/${id}`],
        says: `class "${id}" may use no uplink of ${all.slice(0, 3).join(', ')}${more}: its traffic is unreachable there`,
        instead: 'use `avoid:`, which takes such an uplink when nothing else is left',
        witness: [],
      },
    ]
  })
}

const namedBy = (policy: Policy, node: NodeId, owner: ReadonlyMap<Prefix, Route>): Route[] => routesTo(unionOf(listsOf(policy)), node, owner)
/** Each list of prefixes that rules name. Rules of one allow share theirs. */
const listsOf = ({ rules }: Policy): readonly (readonly Prefix[])[] => [...new Set(rules.flatMap(({ from, to }) => [from.prefixes, to.prefixes]))]
/** In order. After a small change of one of a few long lists that change alone is made. */
function unionOf(lists: readonly (readonly Prefix[])[], before?: Made<readonly Prefix[]>): readonly Prefix[] {
  const old = before?.inputs as typeof lists | undefined
  const changed = old?.length === lists.length ? lists.flatMap((list, n) => (list === old[n] ? [] : [difference(old[n]!, list)])) : []
  if (!before || changed.length !== 1) return sortPrefixes([...new Set(lists.flat())])
  const [{ gone, come }] = changed as [(typeof changed)[0]]
  const left = new Set([...gone].filter((prefix) => !lists.some((list) => list.includes(prefix))))
  const joined = come.filter((prefix) => !old!.some((list) => list.includes(prefix)))
  return patched(before.value, left, joined, comparePrefixes)
}
/** To the LAN that holds some hosts. Routes are to whole LANs: the rules tell hosts apart. */
function around(hosts: Prefix, owner: ReadonlyMap<Prefix, Route>): readonly Route[] {
  for (const prefix of enclosing(hosts)) {
    const route = owner.get(prefix)
    if (route) return [route]
  }
  return []
}
function routesTo(named: readonly Prefix[], node: NodeId, owner: ReadonlyMap<Prefix, Route>): Route[] {
  const routes = new Set(named.flatMap((prefix) => owner.get(prefix) ?? around(prefix, owner)))
  return [...routes].filter((route) => route.remote !== node)
}

/**
 * Where a region or peer sends what is for a remote: over the connections of the hubs near it in their order, then over
 * the others.
 */
const returnOrder = (external: External, near: readonly SiteId[]): readonly SiteId[] => [
  ...new Set([...near.filter((hub) => external.hubs.includes(hub)), ...external.hubs]),
]
/**
 * Each connection is a stage, because a static route points to one. Which of its two tunnels is the cloud's choice. How a
 * peer chooses is not known here: any of its tunnels, all in one stage.
 */
function returnHops(external: External, order: readonly SiteId[], tunnels: readonly IpsecTunnel[]): readonly Hop[] {
  const ours = tunnels.filter((tunnel) => externalOf(tunnel) === external.id)
  const connections = order.flatMap((hub) => {
    const ending = ours.filter((tunnel) => tunnel.ends[0].site === hub).sort((a, b) => compareText(a.id, b.id))
    return [...Map.groupBy(ending, (tunnel) => tunnel.ends[1].connection).values()]
  })
  return connections.flatMap((members, stage) =>
    members.map(({ id, role, ends }): Hop => {
      const moved = role === 'cloud' && stage > 0
      return { tunnel: id, next: ends[0].site, stage: moved ? stage : 0, cost: 0, returnAfter: moved ? connectionReturn : 0 }
    }),
  )
}

type Unnamed = Omit<SharedGroup, 'remotes'>
interface Alike {
  readonly remotes: readonly NodeId[]
  readonly groups: readonly Unnamed[]
}
/** Remotes whose groups come out the same share them; by the first of them. */
function shared(all: readonly Alike[]): readonly SharedGroup[] {
  const filled = all.filter((one) => one.remotes.length > 0)
  return [...Map.groupBy(filled, (one) => JSON.stringify(one.groups)).values()]
    .map((same) => ({
      remotes: same.length === 1 ? same[0]!.remotes : same.flatMap((one) => one.remotes).sort(compareText),
      groups: same[0]!.groups,
    }))
    .sort((a, b) => compareText(a.remotes[0]!, b.remotes[0]!))
    .flatMap(({ remotes, groups }) => groups.map((group) => ({ remotes, ...group })))
}

/** Whose tunnels are tried, one stage after the other: next node, seconds until a return, its tunnels for a class. */
type Stage = readonly [next: NodeId, returnAfter: number, hops: (trafficClass: ClassId) => readonly RankedHop[]]
const groupsVia = (classIds: readonly ClassId[], stages: readonly Stage[]): readonly Unnamed[] =>
  classIds.map((trafficClass) => ({
    trafficClass,
    arrived: 'anywhere',
    via: stages.flatMap(([next, returnAfter, hops], stage) => hops(trafficClass).map((hop): Hop => ({ ...hop, next, stage, returnAfter }))),
  }))
/** What came in on the mesh goes on directly or not at all (rule 10). */
const withSplitHorizon = (group: Unnamed): Unnamed[] => [group, { ...group, arrived: 'mesh', via: group.via.filter((hop) => hop.next === anyRemote) }]

/** From a hub: tunnels start with the remote's name, or end there. */
const ofAnyRemote = ({ tunnel, cost }: RankedHop, remote: NodeId): RankedHop => ({
  tunnel: (tunnel.startsWith(`${remote}.`) ? tunnel.replace(remote, anyRemote) : tunnel.replace(`--${remote}.`, `--${anyRemote}.`)) as TunnelId,
  cost,
})

type RankedHop = Pick<Hop, 'tunnel' | 'cost'>
/** The tunnels between two nodes for a class, best first. */
function ranked(trafficClass: IntentClass, between: readonly Tunnel[], uplinkAt: (end: TunnelEnd) => Uplink): readonly RankedHop[] {
  return between
    .flatMap((tunnel) => {
      const ends = siteEnds(tunnel).map(uplinkAt)
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
