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
  UplinkId,
  WireguardTunnel,
} from '#src/fabric/fabric.ts'
import { anyRemote, isDirect } from '#src/fabric/groups.ts'
import { carries } from '#src/fabric/ipsec.ts'
import { familiesOf } from '#src/fabric/uplinks.ts'
import { type Carried, compareText, externalOf, isSecondGateway, nodeOf, secondGateway, siteOfGateway } from '#src/fabric/ids.ts'
import type { Intent, IntentClass, IntentSite } from '#src/intent/intent.ts'
import { comparePrefixes, contains, enclosing, type Prefix } from '#src/net/address.ts'
import { firstFrom, firstOf } from '#src/net/sorted.ts'
import { difference, isSame, type Moved, patched, sameMembers } from './arrays.ts'
import { costOf, secondTier, wordsAt } from './costs.ts'
import { type External, externalsOf } from './externals.ts'
import { List } from './list.ts'
import { createMemo, type Made, type MadeRow, type Memo, since } from './memo.ts'
import type { NetworkRoutes } from './network-routes.ts'
import type { Policies, Policy } from './rules.ts'
import { hubsOf, sitesOf } from './sites.ts'
import type { Tunnels } from './tunnels.ts'

export interface Reachability {
  readonly routes: readonly Route[]
  readonly groups: readonly SharedGroup[]
}
export interface Routed {
  /** In the order of sites. */
  readonly sites: List<Reachability>
  readonly of: (external: ExternalId) => Reachability
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
  const world = memo.members('world of routes', [classesText, tunnels.ipsec, tunnels.mesh, ...hubs, ...hubs.map((hub) => uplinksOf(hub.id))])
  const classIds = intent.classes.map((one) => one.id).sort(compareText)
  let moved = unmoved<Route>()
  const owner = memo.once('owners of prefixes', [network.all], (before?: Made<Map<Prefix, Route>>) => {
    moved = since(before, network.all)
    return ownersOf(moved, before?.value)
  })
  const routing: Routing = { owner, moved, nested: network.overlap }

  // The LANs behind hosts that rules name: a rule may stay the same while its LAN becomes another.
  const named = [...intent.groups.flatMap((group) => group.hosts), ...intent.services.flatMap((service) => service.endpoints)]
  const holders = memo.members(
    'LANs of hosts',
    memo.once('holders of hosts', [network.all, named.join(' ')], () => named.flatMap((hosts) => around(hosts, owner) ?? [])),
  )

  const kinds = kindsOf(intent, tunnels, world, memo)
  /** Each site judges its own lines, so both ends of a tunnel see the same. */
  const pricesAt = (lines: Lines) => pricesOf(lines, intent.classes)
  const hubPrices = new Map<NodeId, Prices>(hubs.map(({ id, preferences }) => [id, pricesAt({ uplinks: uplinksOf(id), preferences })]))
  const alike = alikeFor(intent.classes, hubs)
  const alikeAt = ({ preferences }: IntentSite) => (preferences ? alikeFor(intent.classes, [{ preferences }, ...hubs]) : alike)
  const rank = (of: ClassId, between: readonly Tunnel[], own?: { readonly id: NodeId; readonly prices: Prices }) =>
    ranked(between, ({ site, uplink }) => (own?.id === site ? own.prices : hubPrices.get(site)!).get(of)!.get(uplink)!)
  const toHub = (hub: SiteId, next: SiteId, of: ClassId) => rank(of, tunnels.mesh.between(hub, next))
  const routesAt = (hub: SiteId): readonly Route[] =>
    memo.once(`routes of ${hub}`, [network.all], (before?: Made<readonly Route[]>) => {
      const { gone, come } = since(before, network.all)
      return patched(
        before?.value ?? [],
        gone,
        come.filter((route) => route.remote !== hub),
        (a, b) => comparePrefixes(a.to, b.to),
      )
    })
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
    routes: routesAt(hub),
    groups: memo.once(`groups of ${hub}`, [world, kinds], () =>
      shared(kinds.flatMap((kind) => (hubById.has(kind.sample.id) ? overMesh(hub, kind) : [{ remotes: kind.remotes, groups: groupsTo(hub, kind) }]))),
    ),
  })

  const spokes = memo.patchedRows(
    'reachability of spokes',
    [world, holders],
    [all, policies.sites, tunnels.uplinks, tunnels.ofSpokes],
    ([site, policy, uplinks, ours], before?: MadeRow<SpokeRow, Spoke>): Spoke => {
      if (hubById.has(site.id)) return noSpoke
      const named = namesOf(listsOf(policy), before?.value.named)
      const known = routesTo(named, siteOfGateway(site.id), routing, before?.value.known)
      const own = site.hubs.flatMap((id) => hubById.get(id) ?? [])
      const same = before?.row[2] === uplinks && before.row[3] === ours && isSame(before.row[0].preferences, site.preferences)
      const made = same ? before.value.made : new Map<string, Groups>()
      let prices: Prices | undefined
      const hops = new Map<string, readonly RankedHop[]>()
      const hopsTo = (hub: SiteId, of: ClassId): readonly RankedHop[] => {
        const name = `${hub} ${of}`
        const known = hops.get(name)
        if (known) return known
        prices ??= pricesAt({ uplinks, preferences: site.preferences })
        const ranks = rank(
          of,
          ours.filter((tunnel) => tunnel.ends[1].site === hub),
          { id: site.id, prices },
        )
        hops.set(name, ranks)
        return ranks
      }
      const via = (name: string, order: readonly IntentSite[], returnAfter: number): Groups => {
        const known = made.get(name)
        if (known) return known
        const groups = groupsVia(
          classIds,
          order.map((hub, stage): Stage => [hub.id, stage === 0 ? 0 : returnAfter, (of) => hopsTo(hub.id, of)]),
          alikeAt(site),
        )
        const twin = [...made.values()].find((one) => isSame(one, groups)) ?? groups
        made.set(name, twin)
        return twin
      }
      if (same && before.value.known === known && before.row[0] === site) return { ...before.value, named }
      const { remotes } = known
      const leavesAtHub = site.lans.some((lan) => lan.internet === 'hub')
      const alike = own
        .filter((hub) => remotes.includes(hub.id) || (hub === own[0] && leavesAtHub))
        .map((hub): Alike => ({ remotes: [hub.id], groups: via(hub.id, [hub, ...own.filter((other) => other !== hub)], 0) }))
      const others = patched(remotes, new Set(own.map((hub) => hub.id)), [], compareText)
      const groups = shared([...alike, ...(others.length > 0 ? [{ remotes: others, groups: via('', own, homeReturn) }] : [])], isOne)
      return { reach: { routes: known.routes, groups }, named, known, made }
    },
  )
  const ofSpokes = memo.rows('reachability of sites', [], [spokes], ({ reach }) => reach)
  const ofHubs = hubs.map((hub) => memo.once(`reachability of ${hub.id}`, [world, network.all, kinds], () => reachFrom(hub.id)))
  const homesOf = memo.rows('homes of sites', [], [all], ({ id, hubs }) => memo.keep(`homes of ${id}`, { id, hubs }))
  const homes = memo.once('homes', [homesOf], (before?: Made<Homes>): Homes => {
    const { gone, come } = since(before, homesOf)
    const of = before?.value.of ?? new Map<NodeId, readonly SiteId[]>()
    for (const { id } of gone) of.delete(id)
    for (const { id, hubs: own } of come) of.set(id, own)
    return { of }
  })
  const ofExternal = (external: External, before?: Spread): Spread => {
    const named = namesOf(listsOf(policies.of(external.id)), before?.named)
    const known = routesTo(named, external.id, routing, before?.known)
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
        return apart(external).flatMap((family) => {
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
  const externals = new Map<NodeId, Reachability>(
    externalsOf(intent, memo).map((external) => [
      external.id,
      memo.once(`reachability of ${external.id}`, [world, external, holders, policies.of(external.id), homes], (before?: Made<Spread>) => {
        const same = before && [world, external, holders].every((one, n) => one === before.inputs[n])
        return ofExternal(external, same ? before.value : undefined)
      }).reach,
    ]),
  )
  return { sites, of: (external) => externals.get(external)!, findings: emptyClasses(intent, classesText, tunnels, memo) }
}
/** Kept from one network to the next. */
interface Homes {
  readonly of: Map<NodeId, readonly SiteId[]>
}
type HomesOf = List<{ readonly id: SiteId; readonly hubs: readonly SiteId[] }>
type SpokeRow = readonly [IntentSite, Policy, readonly Uplink[], readonly WireguardTunnel[]]
/** What a spoke reaches, and what that was made of. */
interface Spoke {
  readonly reach: Reachability
  readonly named: Named
  readonly known: Known
  /** Kept from one network to the next while the spoke's own lines are the same. */
  readonly made: Map<string, Groups>
}
/** Likewise of a region or peer, whose remotes come back in the order of the connections that are near them. */
interface Spread extends Omit<Spoke, 'made'> {
  readonly homesOf: HomesOf
  /** Kept from one network to the next. */
  readonly orderAt: Map<NodeId, string>
  readonly byOrder: ReadonlyMap<string, readonly NodeId[]>
}
const unmoved = <T>(): Moved<T> => ({ gone: new Set(), come: [] })
/** Who owns what, and how that differs from the network before. */
interface Routing {
  readonly owner: ReadonlyMap<Prefix, Route>
  readonly moved: Moved<Route>
  /** Some prefix lies in another. */
  readonly nested: boolean
}
const nowhere: Reachability = { routes: [], groups: [] }
const noSpoke: Spoke = { reach: nowhere, named: { lists: [], prefixes: [] }, known: { prefixes: [], routes: [], remotes: [] }, made: new Map() }

/** Kept from one network to the next: most of it stays. */
function ownersOf({ gone, come }: Moved<Route>, before?: Map<Prefix, Route>): Map<Prefix, Route> {
  const owner = before ?? new Map<Prefix, Route>()
  for (const { to } of gone) owner.delete(to)
  for (const route of come) owner.set(route.to, route)
  return owner
}

/** Nodes with prefixes that hubs reach alike: their uplinks differ in nothing that counts, and they end at the same hubs. */
interface Kind {
  readonly name: string
  readonly sample: { readonly id: NodeId; readonly hubs: readonly SiteId[]; readonly preferences?: IntentSite['preferences'] }
  /** Where each has tunnels of its own: its groups are for one of them. `[null]`: either family takes the same. */
  readonly carried: readonly Carried[]
  /** Of the sample: one, or the two of a pair. */
  readonly gateways: readonly { readonly id: NodeId; readonly uplinks: readonly Uplink[]; readonly own: readonly Tunnel[] }[]
  /** By name. */
  readonly remotes: readonly NodeId[]
}
function kindsOf(intent: Intent, tunnels: Tunnels, world: readonly unknown[], memo: Memo): readonly Kind[] {
  const hubIds = new Set<NodeId>(intent.hubs)
  const { paired, uplinks: seconds } = uplinksOfSeconds(intent, tunnels, memo)
  const names = memo.rows('kinds of sites', [intent.hubs.join(' ')], [sitesOf(intent, memo), tunnels.uplinks, seconds], (site, uplinks, others) => {
    // A pair is reached by the name of its first.
    if (site.lans.length === 0 || isSecondGateway(site.id)) return { node: site.id, kind: null }
    const shapeOf = (of: readonly Uplink[]) =>
      of.map(({ id, slot, transport, medium, metered, tags, endpoint }) => [id, slot, transport, medium, metered, tags, familiesOf(endpoint)])
    const shapes = [shapeOf(uplinks), ...(others ? [{ second: shapeOf(others) }] : [])]
    return memo.keep(`kind of ${site.id}`, {
      node: site.id,
      kind: JSON.stringify([hubIds.has(site.id) ? 'hub' : site.hubs, ...shapes, ...(site.preferences ?? [])]),
    })
  })
  const members = memo.once('members of kinds', [names], (before?: Made<ReadonlyMap<string, readonly SiteId[]>>) => {
    const { gone, come } = since(before, names)
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
    memo.once(`kind ${name}`, [remotes, world], (): Kind => {
      const ids = [remotes[0]!, ...(paired ? [secondGateway(remotes[0]!)] : [])]
      const at = ids.map((id) => intent.sites.findIndex((site) => site.id === id))
      const gateways = at.flatMap((n) => (n < 0 ? [] : [{ id: intent.sites[n]!.id, uplinks: tunnels.uplinks.at(n)!, own: tunnels.ofSpokes.at(n)! }]))
      return { name, sample: intent.sites[at[0]!]!, carried: both, gateways, remotes }
    }),
  )
  // Every region ends the same tunnels of a hub; a peer those of its transport, as many as it has addresses.
  const ofExternals = memo.once('kinds of externals', [externalsOf(intent, memo)], () =>
    [
      ...Map.groupBy(
        externalsOf(intent, memo).filter((one) => one.lans.length > 0),
        ({ hubs, transport, members, carried }) => JSON.stringify([hubs, transport, members, carried]),
      ),
    ].map(
      ([name, same]): Kind => ({
        name,
        sample: same[0]!,
        carried: apart(same[0]!),
        gateways: [{ id: same[0]!.id, uplinks: [], own: [] }],
        remotes: same.map((one) => one.id).sort(compareText),
      }),
    ),
  )
  return memo.members('kinds', [...ofSites, ...ofExternals])
}
/** Beside each first of a pair the uplinks of the second. */
function uplinksOfSeconds(
  intent: Intent,
  { uplinks }: Tunnels,
  memo: Memo,
): { readonly paired: boolean; readonly uplinks: List<readonly Uplink[] | undefined> } {
  const sites = sitesOf(intent, memo)
  const found = memo.sparse('second gateways', [], [sites, uplinks], ({ id }, own): readonly (readonly [SiteId, readonly Uplink[]])[] =>
    isSecondGateway(id) ? [[siteOfGateway(id), own]] : [],
  )
  const seconds = new Map(found)
  return { paired: found.length > 0, uplinks: memo.rows('uplinks of second gateways', [found], [sites], ({ id }) => seconds.get(id)) }
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

/** Each list of prefixes that rules name, in order. Rules of one allow share theirs. */
const listsOf = ({ rules }: Policy): readonly (readonly Prefix[])[] => [...new Set(rules.flatMap(({ from, to }) => [from.prefixes, to.prefixes]))]
interface Named {
  readonly lists: readonly (readonly Prefix[])[]
  /** What is in any of them, in order. */
  readonly prefixes: readonly Prefix[]
}
/** After small changes of a few long lists those changes alone are made. */
function namesOf(lists: readonly (readonly Prefix[])[], before?: Named): Named {
  if (before?.lists.length !== lists.length) {
    const prefixes = united(lists)
    return { lists, prefixes: before && sameMembers(before.prefixes, prefixes) ? before.prefixes : prefixes }
  }
  const gone = new Set<Prefix>()
  const come = new Set<Prefix>()
  for (const [n, list] of lists.entries()) {
    if (list === before.lists[n]) continue
    const moved = difference(before.lists[n]!, list)
    for (const prefix of moved.gone) gone.add(prefix)
    for (const prefix of moved.come) come.add(prefix)
  }
  const left = new Set([...gone].filter((prefix) => !lists.some((list) => holds(list, prefix))))
  const joined = [...come].filter((prefix) => !before.lists.some((list) => holds(list, prefix)))
  return { lists, prefixes: patched(before.prefixes, left, joined, comparePrefixes) }
}
/** Of lists in order, what is in any. Mostly one is long and holds what is in most others. */
function united(lists: readonly (readonly Prefix[])[]): readonly Prefix[] {
  const [longest, ...others] = lists.toSorted((a, b) => b.length - a.length)
  return others.reduce((all, list) => {
    const more = sameMembers(all, list) ? [] : list.filter((prefix) => !holds(all, prefix))
    return patched(all, new Set(), more, comparePrefixes)
  }, longest ?? [])
}
const short = 16
/** A list in order. */
const holds = (list: readonly Prefix[], prefix: Prefix): boolean =>
  list.length < short ? list.includes(prefix) : list[firstFrom(list, prefix, comparePrefixes)] === prefix
/** To the LAN that holds some hosts. Routes are to whole LANs: the rules tell hosts apart. */
function around(hosts: Prefix, owner: ReadonlyMap<Prefix, Route>): Route | undefined {
  for (const prefix of enclosing(hosts)) {
    const route = owner.get(prefix)
    if (route) return route
  }
  return undefined
}
interface Known {
  /** What was named. */
  readonly prefixes: readonly Prefix[]
  /** By prefix. */
  readonly routes: readonly Route[]
  /** Of them, by name. */
  readonly remotes: readonly NodeId[]
}
/** More news than this are not looked up one by one. */
const many = 64
/** To what is named and not the node's own. `before`: what the same node knew in the network before. */
function routesTo({ prefixes }: Named, node: NodeId, routing: Routing, before?: Known): Known {
  const { owner, moved, nested } = routing
  if (before?.prefixes === prefixes && moved.gone.size + moved.come.length === 0) return before
  const news = before && difference(before.prefixes, prefixes)
  if (!before || !news || nested || news.gone.size + news.come.length + moved.gone.size + moved.come.length > many) {
    const found = new Set<Route>()
    const remotes = new Set<NodeId>()
    for (const prefix of prefixes) {
      const route = owner.get(prefix) ?? around(prefix, owner)
      if (!route || route.remote === node) continue
      found.add(route)
      remotes.add(route.remote)
    }
    return { prefixes, routes: [...found], remotes: [...remotes].sort(compareText) }
  }
  // Of disjoint LANs the one that holds a prefix is the last that doesn't start after it.
  const had = (prefix: Prefix): Route | undefined => {
    const at = upTo(before.routes, prefix)
    return at && contains(at.to, prefix) ? at : undefined
  }
  const isNamed = ({ to }: Route): boolean => {
    const first = prefixes[firstFrom(prefixes, to, comparePrefixes)]
    return first !== undefined && contains(to, first)
  }
  const touched = new Set([...news.gone, ...[...moved.gone].map((route) => route.to)].flatMap((prefix) => had(prefix) ?? []))
  const leaving = new Set([...touched].filter((route) => owner.get(route.to) !== route || !isNamed(route)))
  const found = new Set([...news.come.flatMap((prefix) => owner.get(prefix) ?? around(prefix, owner) ?? []), ...moved.come.filter(isNamed)])
  const joining = [...found].filter((route) => route.remote !== node && had(route.to) !== route)
  if (leaving.size + joining.length === 0) return { ...before, prefixes }
  const routes = patched(before.routes, leaving, joining, (a, b) => comparePrefixes(a.to, b.to))
  const leavers = new Set([...leaving].map((route) => route.remote))
  const lost = new Set([...leavers].filter((remote) => !routes.some((route) => route.remote === remote)))
  const won = new Set(joining.map((route) => route.remote))
  for (const remote of won) if (before.remotes[firstFrom(before.remotes, remote, compareText)] === remote) won.delete(remote)
  return { prefixes, routes, remotes: patched(before.remotes, lost, [...won], compareText) }
}
/** The last route that doesn't start after `prefix`. */
const upTo = (routes: readonly Route[], prefix: Prefix): Route | undefined =>
  routes[firstOf(routes.length, (n) => comparePrefixes(routes[n]!.to, prefix) > 0) - 1]

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
type Groups = readonly Unnamed[]
interface Alike {
  readonly remotes: readonly NodeId[]
  readonly groups: Groups
}
const isOne = (a: Groups, b: Groups): boolean => a === b
/** Remotes whose groups come out the same share them; by the first of them. */
function shared(all: readonly Alike[], alike: (a: Groups, b: Groups) => boolean = isSame): readonly SharedGroup[] {
  const merged: { readonly groups: Groups; readonly lists: (readonly NodeId[])[] }[] = []
  for (const { remotes, groups } of all) {
    if (remotes.length === 0) continue
    const same = merged.find((one) => alike(one.groups, groups))
    if (same) same.lists.push(remotes)
    else merged.push({ groups, lists: [remotes] })
  }
  return merged
    .map(({ groups, lists }) => ({ groups, remotes: lists.length === 1 ? lists[0]! : lists.flat().sort(compareText) }))
    .sort((a, b) => compareText(a.remotes[0]!, b.remotes[0]!))
    .flatMap(({ remotes, groups }) => groups.map((group) => ({ remotes, ...group })))
}

/** Whose tunnels are tried, one stage after the other: next node, seconds until a return, its tunnels for a class. */
type Stage = readonly [next: NodeId, returnAfter: number, hops: (trafficClass: ClassId) => readonly RankedHop[]]
/** `alike`: of classes for whom the hops are the same always the same one, whose list the others share. */
function groupsVia(classIds: readonly ClassId[], stages: readonly Stage[], alike = (trafficClass: ClassId): ClassId => trafficClass): Groups {
  const known = new Map<ClassId, readonly Hop[]>()
  const viaOf = (trafficClass: ClassId): readonly Hop[] => {
    const via: Hop[] = []
    for (const [stage, [next, returnAfter, hops]] of stages.entries())
      for (const hop of hops(trafficClass)) via.push({ tunnel: hop.tunnel, cost: hop.cost, next: hop.next ?? next, stage, returnAfter })
    known.set(trafficClass, via)
    return via
  }
  return classIds.map((trafficClass): Unnamed => {
    const like = alike(trafficClass)
    return { trafficClass, arrived: 'anywhere', via: known.get(like) ?? viaOf(like) }
  })
}
const ofFamily =
  (family: Carried) =>
  (group: Unnamed): Unnamed =>
    family === null ? group : { ...group, family }
const both: readonly Carried[] = [null]
/** A region with one family has no tunnel that would not carry it. */
const apart = ({ carried }: External): readonly Carried[] => (carried.length > 1 ? carried : both)
/** What came in on the mesh goes on directly or not at all (rule 10). */
const withSplitHorizon = (group: Unnamed): Unnamed[] => [group, { ...group, arrived: 'mesh', via: group.via.filter(isDirect) }]

/** From a hub: tunnels start with the remote's name, or end there. */
const ofAnyRemote = ({ tunnel, cost }: RankedHop, remote: NodeId): RankedHop => ({
  tunnel: (tunnel.startsWith(`${remote}.`) ? tunnel.replace(remote, anyRemote) : tunnel.replace(`--${remote}.`, `--${anyRemote}.`)) as TunnelId,
  cost,
})

/** What a gateway says of its lines. */
interface Lines {
  readonly uplinks: readonly Uplink[]
  readonly preferences: IntentSite['preferences'] | undefined
}
/** What each of them costs a class, and its slot. */
type Prices = ReadonlyMap<ClassId, ReadonlyMap<UplinkId, Price>>
interface Price {
  readonly cost: number | 'never'
  readonly slot: number
}
const pricesOf = ({ uplinks, preferences }: Lines, classes: readonly IntentClass[]): Prices =>
  new Map(
    classes.map((one) => {
      const words = wordsAt({ preferences }, one)
      return [one.id, new Map(uplinks.map((uplink) => [uplink.id, { cost: costOf(uplink, words), slot: uplink.slot }]))]
    }),
  )
/** Of classes that all of these say the same of, the first. */
function alikeFor(classes: readonly IntentClass[], at: readonly Pick<IntentSite, 'preferences'>[]): (trafficClass: ClassId) => ClassId {
  const first = new Map<string, ClassId>()
  const said = classes.map((one) => {
    const words = JSON.stringify(at.map((each) => wordsAt(each, one)).map(({ prefer, avoid, never }) => [prefer, avoid, never]))
    if (!first.has(words)) first.set(words, one.id)
    return [one.id, first.get(words)!] as const
  })
  const of = new Map(said)
  return (trafficClass) => of.get(trafficClass)!
}
/** `next`: where it is not that of the stage. */
type RankedHop = Pick<Hop, 'tunnel' | 'cost'> & Partial<Pick<Hop, 'next'>>
/** The tunnels between two nodes for a class, best first. */
function ranked(between: readonly Tunnel[], priceAt: (end: TunnelEnd) => Price): readonly RankedHop[] {
  const hops: { readonly tunnel: TunnelId; readonly cost: number; readonly order: number }[] = []
  for (const tunnel of between) {
    const near = priceAt(tunnel.ends[0])
    const far = tunnel.kind === 'ipsec' ? { cost: near.cost, slot: tunnel.ends[1].member } : priceAt(tunnel.ends[1])
    // `never` at either end leaves the hop out; equal costs go by slot, seen the same from both ends.
    if (near.cost === 'never' || far.cost === 'never') continue
    hops.push({ tunnel: tunnel.id, cost: Math.max(near.cost, far.cost), order: near.slot * 8 + far.slot })
  }
  return hops.sort((a, b) => a.cost - b.cost || a.order - b.order || compareText(a.tunnel, b.tunnel))
}
