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
  Uplink,
  WireguardTunnel,
} from '#src/fabric/fabric.ts'
import { anyRemote } from '#src/fabric/groups.ts'
import { type Carried, compareText, externalOf, nodeOf, secondGateway, siteOfGateway } from '#src/fabric/ids.ts'
import { carries } from '#src/fabric/ipsec.ts'
import type { Intent, IntentSite } from '#src/intent/intent.ts'
import { firstFrom } from '#src/net/sorted.ts'
import { difference, isSame, patched } from './arrays.ts'
import { alikeFor, costOf, type Lines, type Prices, pricesOf, secondTier, wordsAt } from './costs.ts'
import { type External, externalsOf } from './externals.ts'
import {
  type Alike,
  type Groups,
  groupsVia,
  isOne,
  ofAnyRemote,
  ofFamily,
  ofThisNode,
  ranked,
  shared,
  type Stage,
  type Unnamed,
  withSplitHorizon,
} from './hops.ts'
import { familiesApart, gatewayKinds, type Kind, kindsOf } from './kinds.ts'
import type { List } from './list.ts'
import { createMemo, type Made, type MadeRow, type Memo, since } from './memo.ts'
import { around, type Known, knownTo, type Named, namesOf, type Owners, ownersOf, type Routing, unmoved } from './named.ts'
import type { NetworkRoutes } from './network-routes.ts'
import type { Policies, Policy } from './rules.ts'
import { hubsOf, sitesOf } from './sites.ts'
import type { Tunnels } from './tunnels.ts'

export interface Reachability {
  /** Absent, at a hub: all but those to itself. */
  readonly routes?: readonly Route[]
  readonly groups: readonly SharedGroup[]
}
export interface Routed {
  /** Of the network, by prefix. */
  readonly routes: readonly Route[]
  /** In the order of sites. */
  readonly sites: List<Reachability>
  readonly of: (external: ExternalId) => Required<Reachability>
  readonly findings: readonly Finding[]
}
/** Seconds of a clean home before an edge returns to it (rule 8). */
const homeReturn = 300
/** Seconds of a clean connection before a cloud's return route goes back to it: each move is a call to the provider. */
const connectionReturn = 60

export function routes(intent: Intent, network: NetworkRoutes, tunnels: Tunnels, policies: Policies, memo: Memo = createMemo()): Routed {
  const all = sitesOf(intent, memo)
  const hubs = hubsOf(intent, memo)
  const hubById = new Map<NodeId, IntentSite>(hubs.map((hub) => [hub.id, hub]))
  const classesText = JSON.stringify(intent.classes)
  const hubPlaces = new Map<NodeId, number>(hubs.map((hub) => [hub.id, intent.sites.indexOf(hub)]))
  const uplinksOf = (hub: SiteId) => tunnels.uplinks.at(hubPlaces.get(hub)!)!
  // One object while all of it stays, for whoever remembers what was made in it.
  const world = memo.members('world of routes', [
    classesText,
    JSON.stringify(intent.transports),
    tunnels.ipsec,
    tunnels.mesh,
    ...hubs,
    ...hubs.map((hub) => uplinksOf(hub.id)),
  ])
  const classIds = intent.classes.map((one) => one.id).sort(compareText)
  let moved = unmoved<Route>()
  const owners = memo.once('owners of prefixes', [network.all], (before?: Made<Owners>) => {
    moved = since(before, network.all)
    return ownersOf(moved, before?.value)
  })
  const routing: Routing = { ...owners, moved, nested: network.overlap }

  // The LANs behind hosts that rules name: a rule may stay the same while its LAN becomes another.
  const named = [...intent.groups.flatMap((group) => group.hosts), ...intent.services.flatMap((service) => service.endpoints)]
  const holders = memo.members(
    'LANs of hosts',
    memo.once('holders of hosts', [network.all, named.join(' ')], () => named.flatMap((hosts) => around(hosts, owners.owner) ?? [])),
  )

  const ofGateways = gatewayKinds(intent, tunnels, memo)
  const kinds = kindsOf(intent, tunnels, ofGateways, world, memo)
  /** Each site judges its own lines, so both ends of a tunnel see the same. */
  const pricesAt = (lines: Lines) => pricesOf(lines, intent.classes)
  const hubPrices = new Map<NodeId, Prices>(hubs.map(({ id, preferences }) => [id, pricesAt({ uplinks: uplinksOf(id), preferences })]))
  const alike = alikeFor(intent.classes, hubs)
  const alikeAt = (preferences: IntentSite['preferences']) => (preferences ? alikeFor(intent.classes, [{ preferences }, ...hubs]) : alike)
  const rank = (of: ClassId, between: readonly Tunnel[], own?: { readonly id: NodeId; readonly prices: Prices }) =>
    ranked(between, ({ site, uplink }) => (own?.id === site ? own.prices : hubPrices.get(site)!).get(of)!.get(uplink)!)
  const toHub = (hub: SiteId, next: SiteId, of: ClassId) => rank(of, tunnels.mesh.between(hub, next))
  /** A mesh tunnel starts with the lower name: to those below the remote's comes first, to those above the hub's. */
  const overMesh = (hub: SiteId, { name, remotes }: Kind): readonly Alike[] =>
    [remotes.filter((remote) => remote < hub), remotes.filter((remote) => remote > hub)].flatMap((some, side) => {
      const [first] = some
      if (first === undefined) return []
      const direct = (of: ClassId) => toHub(hub, first as SiteId, of).map((hop) => ofAnyRemote(hop, first))
      const make = () => groupsVia(classIds, [[anyRemote, 0, direct]])
      return [{ remotes: some, groups: memo.once(`groups of ${hub} to ${name} ${side}`, [world], make) }]
    })
  /** Of a kind, whoever its sample is. */
  const groupsTo = (hub: SiteId, { name, sample, carried, gateways }: Kind): Groups =>
    memo.once(`groups of ${hub} to ${name}`, [world], () => {
      const attached = sample.hubs.includes(hub)
      const to = ({ id, uplinks, own }: Kind['gateways'][number], family: Carried) => {
        const between = [...own, ...tunnels.ipsec].filter((tunnel) => {
          const nodes = tunnel.ends.map(nodeOf)
          return nodes.includes(hub) && nodes.includes(id) && (family === null || carries(tunnel, family))
        })
        const prices = pricesAt({ uplinks, preferences: sample.preferences })
        return (of: ClassId) => rank(of, between, { id, prices }).map((hop) => ofAnyRemote(hop, sample.id))
      }
      const direct = (family: Carried): Stage => {
        const [first, second] = gateways.map((gateway) => to(gateway, family))
        return [
          anyRemote,
          0,
          (of) => [
            ...first!(of),
            ...(second?.(of) ?? []).map(({ tunnel, cost }) => ({ tunnel, cost: cost + secondTier, next: secondGateway(anyRemote) })),
          ],
        ]
      }
      const others = sample.hubs.filter((id) => id !== hub && hubById.has(id)).map((next): Stage => [next, 0, (of) => toHub(hub, next, of)])
      // Between hubs any tunnel carries both.
      if (!attached) return groupsVia(classIds, others)
      return carried.flatMap((family) =>
        groupsVia(classIds, [direct(family), ...others])
          .flatMap(withSplitHorizon)
          .map(ofFamily(family)),
      )
    })
  const reachFrom = (hub: SiteId): Reachability => ({
    groups: shared(
      kinds.flatMap((kind) => (hubById.has(kind.sample.id) ? overMesh(hub, kind) : [{ remotes: kind.remotes, groups: groupsTo(hub, kind) }])),
    ),
  })

  /** Of a kind, whoever is asked. */
  const groupsFrom = (kind: string, { id, hubs, preferences }: IntentSite, uplinks: readonly Uplink[], tunnels: readonly Tunnel[]): Ways =>
    memo.once(`groups of spokes ${kind}`, [world], () => {
      const own = hubs.filter((hub) => hubById.has(hub))
      const prices = pricesAt({ uplinks, preferences })
      const toOwn = (hub: SiteId) => {
        const between = tunnels.filter(({ ends }) => nodeOf(ends[1]) === hub)
        return (of: ClassId) => rank(of, between, { id, prices }).map((hop) => ofThisNode(hop, id))
      }
      const via = (order: readonly SiteId[], returnAfter: number): Groups =>
        groupsVia(
          classIds,
          order.map((hub, stage): Stage => [hub, stage === 0 ? 0 : returnAfter, toOwn(hub)]),
          alikeAt(preferences),
        )
      const all = [...own.map((hub) => via([hub, ...own.filter((other) => other !== hub)], 0)), via(own, homeReturn)]
      // What is the same is one, and its remotes are one list.
      const distinct = all.map((groups) => all.find((one) => isSame(one, groups))!)
      return { toOwn: own.map((hub, n) => [hub, distinct[n]!] as const), toOthers: distinct.at(-1)! }
    })
  const spokes = memo.patchedRows(
    'reachability of spokes',
    [world, holders],
    [all, policies.sites, ofGateways, tunnels.uplinks, tunnels.ofSpokes],
    ([site, policy, kind, uplinks, ours], before?: MadeRow<SpokeRow, Spoke>): Spoke => {
      if (hubById.has(site.id)) return noSpoke
      const named = namesOf(policy, siteOfGateway(site.id), routing, before?.value.named)
      const known = knownTo(siteOfGateway(site.id), named, routing, before?.value)
      const ways = groupsFrom(kind, site, uplinks, ours)
      if (before?.value.ways === ways && before.value.known === known && before.row[0] === site) return { ...before.value, named }
      const { remotes } = known
      const { toOwn, toOthers } = ways
      const leavesAtHub = site.lans.some((lan) => lan.internet === 'hub')
      const alike = toOwn
        .filter(([hub], n) => remotes.includes(hub) || (n === 0 && leavesAtHub))
        .map(([hub, groups]): Alike => ({ remotes: [hub], groups }))
      const others = patched(remotes, new Set(toOwn.map(([hub]) => hub)), [], compareText)
      const groups = shared([...alike, { remotes: others, groups: toOthers }], isOne)
      return { reach: { routes: known.routes, groups }, named, known, ways }
    },
  )
  const ofSpokes = memo.rows('reachability of sites', [], [spokes], ({ reach }) => reach)
  const ofHubs = hubs.map((hub) => memo.once(`reachability of ${hub.id}`, [world, kinds], () => reachFrom(hub.id)))
  const homesOf = memo.rows('homes of sites', [], [all], ({ id, hubs }) => memo.keep(`homes of ${id}`, { id, hubs }))
  const homes = memo.once('homes', [homesOf], (before?: Made<Homes>): Homes => {
    const { gone, come } = since(before, homesOf)
    const of = before?.value.of ?? new Map<NodeId, readonly SiteId[]>()
    for (const { id } of gone) of.delete(id)
    for (const { id, hubs: own } of come) of.set(id, own)
    return { of }
  })
  const ofExternal = (external: External, before?: Spread): Spread => {
    const named = namesOf(policies.of(external.id), external.id, routing, before?.named)
    const known = knownTo(external.id, named, routing, before)
    const near = (remote: NodeId) => (hubById.has(remote) ? [remote as SiteId] : (homes.of.get(remote) ?? []))
    const orders = new Map<string, string>()
    const orderOf = (hubs: readonly SiteId[]): string => {
      const key = hubs.join(' ')
      const order = orders.get(key) ?? returnOrder(external, hubs).join(' ')
      orders.set(key, order)
      return order
    }
    // Most of thousands are where they were, behind the hubs where they were.
    const orderAt = before?.orderAt ?? new Map<NodeId, string>()
    const { gone, come } = difference(before?.known.remotes ?? [], known.remotes)
    const asked = new Set([...gone, ...come])
    if (before) {
      const homing = homesOf.since(before.homesOf)
      for (const { id } of [...homing.gone, ...homing.come]) if (orderAt.has(id)) asked.add(id)
    }
    const [leaving, joining] = [new Map<string, NodeId[]>(), new Map<string, NodeId[]>()]
    const note = (to: Map<string, NodeId[]>, order: string | undefined, remote: NodeId) => {
      if (order !== undefined) (to.get(order) ?? (to.set(order, []), to.get(order)!)).push(remote)
    }
    for (const remote of asked) {
      const was = orderAt.get(remote)
      const is = known.remotes[firstFrom(known.remotes, remote, compareText)] === remote ? orderOf(near(remote)) : undefined
      if (was === is) continue
      note(leaving, was, remote)
      note(joining, is, remote)
      if (is === undefined) orderAt.delete(remote)
      else orderAt.set(remote, is)
    }
    const byOrder = new Map(before?.byOrder ?? [])
    for (const order of new Set([...leaving.keys(), ...joining.keys()])) {
      const remotes = patched(byOrder.get(order) ?? [], new Set(leaving.get(order) ?? []), joining.get(order) ?? [], compareText)
      if (remotes.length > 0) byOrder.set(order, remotes)
      else byOrder.delete(order)
    }
    const alike = [...byOrder].map(([order, remotes]): Alike => {
      const groups = memo.once(`groups of ${external.id} by ${order}`, [world, external], () => {
        return familiesApart(external).flatMap((family) => {
          const own = tunnels.ipsec.filter((tunnel) => family === null || carries(tunnel, family))
          const via = returnHops(external, order.split(' ') as SiteId[], own)
          return classIds.map((trafficClass): Unnamed => ({ trafficClass, arrived: 'anywhere', via })).map(ofFamily(family))
        })
      })
      return { remotes, groups }
    })
    return { reach: { routes: known.routes, groups: shared(alike) }, named, known, homesOf, orderAt, byOrder }
  }
  const sites = memo.overlaid(
    'reachability',
    ofSpokes,
    hubs.map((hub, n) => [hubPlaces.get(hub.id)!, ofHubs[n]!]),
  )
  const externals = new Map<NodeId, Required<Reachability>>(
    externalsOf(intent, memo).map((external) => [
      external.id,
      memo.once(`reachability of ${external.id}`, [world, external, holders, policies.of(external.id), homes], (before?: Made<Spread>) => {
        const same = before && [world, external, holders].every((one, n) => one === before.inputs[n])
        return ofExternal(external, same ? before.value : undefined)
      }).reach,
    ]),
  )
  return { routes: network.all.all, sites, of: (external) => externals.get(external)!, findings: emptyClasses(intent, classesText, tunnels, memo) }
}
/** Kept from one network to the next. */
interface Homes {
  readonly of: Map<NodeId, readonly SiteId[]>
}
type HomesOf = List<{ readonly id: SiteId; readonly hubs: readonly SiteId[] }>
type SpokeRow = readonly [IntentSite, Policy, string, readonly Uplink[], readonly WireguardTunnel[]]
/** Over which tunnels a spoke reaches each of its hubs, in their order, and all others. */
interface Ways {
  readonly toOwn: readonly (readonly [SiteId, Groups])[]
  readonly toOthers: Groups
}
/** What a spoke reaches, and what that was made of. */
interface Spoke {
  readonly reach: Required<Reachability>
  readonly named: Named
  readonly known: Known
  readonly ways: Ways
}
/** Likewise of a region or peer, whose remotes come back in the order of the connections that are near them. */
interface Spread extends Omit<Spoke, 'ways'> {
  readonly homesOf: HomesOf
  /** Kept from one network to the next. */
  readonly orderAt: Map<NodeId, string>
  readonly byOrder: ReadonlyMap<string, readonly NodeId[]>
}
const nothingKnown: Known = { prefixes: [], routes: [], remotes: [] }
const noSpoke: Spoke = {
  reach: { routes: [], groups: [] },
  named: { lists: [], known: nothingKnown },
  known: nothingKnown,
  ways: { toOwn: [], toOthers: [] },
}

/** `never` may leave a class without any uplink at a site: legal, verified as unreachable, and seldom meant. */
function emptyClasses(intent: Intent, classesText: string, { uplinks }: Tunnels, memo: Memo): Finding[] {
  const { classes, sites } = intent
  const empty = memo.sparse('classes without an uplink', [classesText], [sitesOf(intent, memo), uplinks], (site, own) =>
    classes
      .filter((one) => {
        const words = wordsAt(site, one)
        return words.never.length > 0 && own.every((uplink) => costOf(uplink, words) === 'never')
      })
      .map((one) => ({ id: one.id, site: site.id })),
  )
  return classes.flatMap(({ id }): Finding[] => {
    const all = empty
      .filter((one) => one.id === id)
      .map(({ site }) => site)
      .sort(compareText)
    if (all.length === 0) return []
    // Its own word, where it has one.
    const own = sites.find((site) => site.id === all[0] && site.preferences?.some((one) => one.id === id))?.id
    const more = all.length > 3 ? ` and ${all.length - 3} more` : ''
    return [
      {
        code: 'I140',
        severity: 'warning',
        at: [...(own ? [`site/${own}/class/${id}/never`] : []), `class/${id}/never`, `class/${id}`],
        says: `class "${id}" may use no uplink of ${all.slice(0, 3).join(', ')}${more}: its traffic is unreachable there`,
        instead: 'use `avoid:`, which takes such an uplink when nothing else is left',
        witness: [],
      },
    ]
  })
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
