/** A Fabric indexed for forwarding. It reads `Forwarding` and the tunnels, nothing else: what is verified is what is pushed. */
import type {
  Deny,
  Fabric,
  Forwarding,
  Group,
  Lan,
  NodeId,
  Peer,
  Region,
  Route,
  Rule,
  Site,
  SiteId,
  Transit,
  Tunnel,
  TunnelId,
  UplinkId,
} from '#src/fabric/fabric.ts'
import { groupKey, type GroupName, groupOf } from '#src/fabric/groups.ts'
import { routesOf } from '#src/fabric/routes.ts'
import { nodesOf, tunnelsOf } from '#src/fabric/slice.ts'
import { familiesOf } from '#src/fabric/uplinks.ts'
import { type Family, familyOf, type Prefix, rangeOf } from '#src/net/address.ts'
import { applicationOf, cut, cutSpan, type Entry, everything, longest, overlay, type Packets, type Span } from './packets.ts'

export type ByFamily<T> = Readonly<Record<Family, T>>
/** Destinations and applications that one source may use. */
export interface Clause<T> {
  readonly destinations: readonly Entry<true>[]
  readonly applications: readonly Span[]
  readonly value: T
}
/** Source → what it may do: a look-up, not a walk over all pairs, so that a hub with ten thousand spokes stays cheap. */
export type Table<T> = ByFamily<readonly Entry<readonly Clause<T>[]>[]>

export interface Node {
  readonly id: NodeId
  /** As it stands in the Fabric. */
  readonly of: Omit<Forwarding, 'routes'> & { readonly kind: (Site | Region | Peer)['kind'] }
  readonly lans: ByFamily<readonly Entry<Lan>[]>
  /** Where hosts leave to the internet, and what never does. null: nobody does here. */
  readonly breakout: Breakout | null
  /** What its own hosts are called on translated LANs, and others may be in the overlay. */
  readonly shadow: ByFamily<readonly Entry<true>[]>
  readonly routes: ByFamily<readonly Entry<Route>[]>
  readonly rules: Table<Rule>
  readonly denies: Table<Deny>
  /** Pairs in both directions. */
  readonly transits: Table<Transit>
  /** Of packets of a family. */
  readonly group: (of: Required<GroupName>) => Group | undefined
}
export interface Breakout {
  /** Those that have the family: there is no other address behind which it could leave. */
  readonly uplinks: ByFamily<readonly UplinkId[]>
  /** LANs of spokes that leave here. */
  readonly guests: ByFamily<readonly Entry<true>[]>
  /** Where own LANs leave that don't do so here. */
  readonly hub: SiteId | undefined
  readonly pool: ByFamily<readonly Entry<true>[]>
}
export interface Model {
  readonly fabric: Fabric
  readonly node: (id: NodeId) => Node | undefined
  readonly tunnel: (id: TunnelId) => Tunnel | undefined
  /** Those that end at a node. */
  readonly tunnelsAt: (id: NodeId) => ReadonlySet<TunnelId>
}

/** Nodes are indexed when they are first asked for: a trace through three sites of ten thousand reads three. */
export function modelOf(fabric: Fabric): Model {
  const all = new Map<NodeId, Site | Region | Peer>(nodesOf(fabric).map((node) => [node.id, node]))
  const tunnels = new Map(fabric.tunnels.map((tunnel) => [tunnel.id, tunnel]))
  const nodes = new Map<NodeId, Node>()
  const ending = new Map<NodeId, ReadonlySet<TunnelId>>()
  let spans: ByFamily<readonly Entry<true>[]> | undefined
  const pool = () => (spans ??= spansOf(fabric.network.pool))
  return {
    fabric,
    tunnel: (id) => tunnels.get(id),
    node: (id) => {
      const known = nodes.get(id)
      const of = all.get(id)
      if (known || !of) return known
      const made = nodeOf(of, routesOf(fabric, of), pool)
      nodes.set(id, made)
      return made
    },
    tunnelsAt: (id) => {
      const made = ending.get(id) ?? new Set(tunnelsOf(fabric, id).map(({ tunnel }) => tunnel.id))
      ending.set(id, made)
      return made
    },
  }
}

function nodeOf(of: Site | Region | Peer, routes: readonly Route[], pool: () => ByFamily<readonly Entry<true>[]>): Node {
  const group = groupFinder(of)
  const [ruleEntries, denyEntries] = [of.rules.flatMap(clausesOf), (of.denies ?? []).flatMap(clausesOf)]
  const transitEntries = of.transits.flatMap((transit) => {
    const one = (from: readonly Prefix[], to: readonly Prefix[]) => {
      const spans = spansOf(to)
      const clauses = perFamily((family) => ({ destinations: spans[family], applications: [everything], value: transit }))
      return from.map((prefix) => ({ prefix, value: clauses[familyOf(prefix)] }))
    }
    return [...one(transit.a, transit.b), ...one(transit.b, transit.a)]
  })
  return {
    id: of.id,
    of,
    lans: longestOf(of.lans, (lan) => lan.prefix),
    breakout: of.kind === 'site' ? breakoutOf(of, pool) : null,
    shadow: spansOf(of.lans.flatMap(({ local }) => local ?? [])),
    routes: longestOf(routes, (route) => route.to),
    rules: tableOf(ruleEntries),
    denies: tableOf(denyEntries),
    transits: tableOf(transitEntries),
    group,
  }
}

const breakoutOf = ({ exits = [], exitsFor, exitHub, uplinks }: Site, pool: () => ByFamily<readonly Entry<true>[]>): Breakout | null =>
  exits.length === 0 && exitHub === undefined
    ? null
    : {
        uplinks: perFamily((family) =>
          exits.filter((id) => uplinks.some((uplink) => uplink.id === id && familiesOf(uplink.endpoint).includes(family))),
        ),
        guests: spansOf(exitsFor ?? []),
        hub: exitHub,
        pool: pool(),
      }

/** By source. */
function clausesOf<T extends Deny>(value: T): readonly { readonly prefix: Prefix; readonly value: Clause<T> }[] {
  const applications = value.ports.map(applicationOf)
  const spans = spansOf(value.to.prefixes)
  const clauses = perFamily((family) => ({ destinations: spans[family], applications, value }))
  return value.from.prefixes.map((from) => ({ prefix: from, value: clauses[familyOf(from)] }))
}

/** Written out when it is asked for: a hub has one for each remote, class and way of arrival, and a proof asks for a few. */
function groupFinder({ id, groups }: Site | Region | Peer): Node['group'] {
  const shared = new Map(groups.flatMap((one) => one.remotes.map((remote) => [groupKey({ ...one, remote }), one] as const)))
  const isApart = groups.some(({ family }) => family !== undefined)
  const written = new Map<string, Group>()
  const named = (name: GroupName): Group | undefined => {
    const key = groupKey(name)
    const known = written.get(key)
    const of = known ? undefined : shared.get(key)
    if (!of) return known
    const made = groupOf(of, id, name.remote)
    written.set(key, made)
    return made
  }
  return ({ family, ...either }) => (isApart ? named({ ...either, family }) : undefined) ?? named(either)
}
const perFamily = <T>(of: (family: Family) => T): ByFamily<T> => ({ 4: of(4), 6: of(6) })
function entries<T, V>(of: readonly T[], prefixOf: (one: T) => Prefix, valueOf: (one: T) => V): ByFamily<readonly Entry<V>[]> {
  const all: ByFamily<Entry<V>[]> = { 4: [], 6: [] }
  for (const one of of) {
    const { family, low, high } = rangeOf(prefixOf(one))
    all[family].push({ low, high, value: valueOf(one) })
  }
  return all
}
function longestOf<T>(of: readonly T[], prefixOf: (one: T) => Prefix): ByFamily<readonly Entry<T>[]> {
  const all = entries(of, prefixOf, (one) => one)
  return perFamily((family) => longest(all[family]))
}
function spansOf(prefixes: readonly Prefix[]): ByFamily<readonly Entry<true>[]> {
  const all = entries(
    prefixes,
    (prefix) => prefix,
    () => true as const,
  )
  return perFamily((family) => longest(all[family]))
}
function tableOf<T>(of: readonly { readonly prefix: Prefix; readonly value: Clause<T> }[]): Table<T> {
  const all = entries(
    of,
    (one) => one.prefix,
    (one) => one.value,
  )
  return perFamily((family) => overlay(all[family]))
}

/** Either the set is of one mind, or here are its pieces: ask again with each. */
export type Answer<T> = { readonly kind: 'one'; readonly value: T } | { readonly kind: 'split'; readonly pieces: readonly Packets[] }
export const one = <T>(value: T): Answer<T> => ({ kind: 'one', value })
const splitBy = (packets: Packets, axis: 'source' | 'destination' | 'application', spans: readonly Span[]): Answer<never> => ({
  kind: 'split',
  pieces: spans.map(({ low, high }) => ({ ...packets, [axis]: { low, high } })),
})

/** What stands in a table of prefixes for the packets' source or destination. */
export function lookup<T>(table: ByFamily<readonly Entry<T>[]>, packets: Packets, axis: 'source' | 'destination'): Answer<T | undefined> {
  const pieces = cut(table[packets.family], packets[axis])
  return pieces.length > 1 ? splitBy(packets, axis, pieces) : one(pieces[0]!.value)
}

/** Everything in the table that covers the packets. */
export function match<T>(table: Table<T>, packets: Packets): Answer<readonly T[]> {
  // Most networks deny nothing, and edges carry nothing for others.
  if (table[packets.family].length === 0) return one([])
  const clauses = lookup(table, packets, 'source')
  if (clauses.kind === 'split') return clauses
  const matched: T[] = []
  for (const clause of clauses.value ?? []) {
    const applications = clause.applications.flatMap((span) => cutSpan(span, packets.application) ?? [])
    if (applications.length === 0) continue
    const destinations = cut(clause.destinations, packets.destination)
    if (destinations.every((piece) => piece.value === undefined)) continue
    if (destinations.length > 1) return splitBy(packets, 'destination', destinations)
    const whole = applications.some((span) => span.low === packets.application.low && span.high === packets.application.high)
    if (!whole) return splitBy(packets, 'application', slices(packets.application, applications))
    matched.push(clause.value)
  }
  return one(matched)
}

/** `whole` cut at both ends of each of the `parts`. */
function slices(whole: Span, parts: readonly Span[]): readonly Span[] {
  const starts = [...new Set([whole.low, ...parts.flatMap((part) => [part.low, part.high + 1n])])]
    .filter((at) => at <= whole.high)
    .sort((a, b) => (a < b ? -1 : 1))
  return starts.map((low, i) => ({ low, high: (starts[i + 1] ?? whole.high + 1n) - 1n }))
}
