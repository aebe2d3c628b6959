/** What the rules of a node name, and the routes that follow: to whole LANs, for the rules tell hosts apart. */
import type { NodeId, Route } from '#src/fabric/fabric.ts'
import { compareText } from '#src/fabric/ids.ts'
import { comparePrefixes, contains, enclosing, type Prefix } from '#src/net/address.ts'
import { firstFrom, firstOf, inOrder } from '#src/net/sorted.ts'
import { difference, type Moved, patched, sameMembers } from './arrays.ts'
import { type Policy, withAll } from './rules.ts'

export const unmoved = <T>(): Moved<T> => ({ gone: new Set(), come: [] })
/** Who owns what, and how that differs from the network before. */
export interface Routing extends Owners {
  readonly moved: Moved<Route>
  /** Some prefix lies in another. */
  readonly nested: boolean
}
/** Kept from one network to the next: most of it stays. */
export interface Owners {
  readonly owner: Map<Prefix, Route>
  readonly owned: Map<NodeId, readonly Route[]>
  /** What nodes of this network name whose rules name the same lists. */
  readonly alike: Step
}
/** From list to list. */
interface Step {
  readonly next: WeakMap<readonly Prefix[], Step>
  named?: Named
}
const newStep = (): Step => ({ next: new WeakMap() })
export function ownersOf({ gone, come }: Moved<Route>, before?: Owners): Owners {
  const { owner, owned } = before ?? { owner: new Map<Prefix, Route>(), owned: new Map<NodeId, readonly Route[]>() }
  for (const route of gone) {
    owner.delete(route.to)
    const left = owned.get(route.remote)!.filter((one) => one !== route)
    if (left.length > 0) owned.set(route.remote, left)
    else owned.delete(route.remote)
  }
  for (const route of come) {
    owner.set(route.to, route)
    owned.set(route.remote, [...(owned.get(route.remote) ?? []), route])
  }
  return { owner, owned, alike: newStep() }
}

export interface Named {
  readonly lists: readonly (readonly Prefix[])[]
  /** Of what is in any of them, whoever has it. */
  readonly known: Known
}
/**
 * By the rules of a node: the same object for thousands, for rules of one allow share their lists. `before`: what the same
 * node named in the network before.
 */
export function namesOf({ rules }: Policy, node: NodeId, routing: Routing, before?: Named): Named {
  const lists = new Set<readonly Prefix[]>()
  const own = routing.nested ? [] : (routing.owned.get(node) ?? [])
  const isOwn = (prefix: Prefix): boolean => own.some(({ to }) => contains(to, prefix))
  for (const { from, to } of rules) for (const { prefixes } of [from, to]) if (!prefixes.every(isOwn)) lists.add(withAll(prefixes))
  let step = routing.alike
  for (const list of lists) {
    let next = step.next.get(list)
    if (!next) step.next.set(list, (next = newStep()))
    step = next
  }
  return (step.named ??= nameAll([...lists], routing, before))
}
function nameAll(lists: readonly (readonly Prefix[])[], routing: Routing, before?: Named): Named {
  return { lists, known: routesTo(prefixesIn(lists, before), routing, before?.known) }
}
/** To what a node names and others have. */
export function knownTo(node: NodeId, { known }: Named, { owned }: Owners, before?: { readonly named: Named; readonly known: Known }): Known {
  if (before?.named.known === known) return before.known
  const at = firstFrom(known.remotes, node, compareText)
  if (known.remotes[at] !== node) return known
  const places = owned.get(node)!.map((route) => known.routes.indexOf(route))
  const others = places.filter((place) => place >= 0).sort((a, b) => b - a)
  return {
    ...known,
    routes: others.reduce<readonly Route[]>((routes, place) => routes.toSpliced(place, 1), known.routes),
    remotes: known.remotes.toSpliced(at, 1),
  }
}
/** What is in any of some lists, in order. After small changes of a few long lists those changes alone are made. */
function prefixesIn(lists: readonly (readonly Prefix[])[], before?: Named): readonly Prefix[] {
  if (before?.lists.length !== lists.length) {
    const prefixes = united(lists)
    return before && sameMembers(before.known.prefixes, prefixes) ? before.known.prefixes : prefixes
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
  return patched(before.known.prefixes, left, joined, comparePrefixes)
}
/** Of lists in order, what is in any. Mostly one is long and holds what is in most others. */
function united(lists: readonly (readonly Prefix[])[]): readonly Prefix[] {
  const longest = lists.reduce((long, list) => (list.length > long.length ? list : long), [])
  const more = new Set<Prefix>()
  for (const list of lists) {
    if (sameMembers(longest, list)) continue
    for (const prefix of list) if (!holds(longest, prefix)) more.add(prefix)
  }
  return patched(longest, new Set(), [...more], comparePrefixes)
}
const short = 16
/** A list in order. */
const holds = (list: readonly Prefix[], prefix: Prefix): boolean =>
  list.length < short ? list.includes(prefix) : list[firstFrom(list, prefix, comparePrefixes)] === prefix
/** To the LAN that holds some hosts. Routes are to whole LANs: the rules tell hosts apart. */
export function around(hosts: Prefix, owner: ReadonlyMap<Prefix, Route>): Route | undefined {
  for (const prefix of enclosing(hosts)) {
    const route = owner.get(prefix)
    if (route) return route
  }
  return undefined
}
export interface Known {
  /** What was named. */
  readonly prefixes: readonly Prefix[]
  /** By prefix. */
  readonly routes: readonly Route[]
  /** Of them, by name. */
  readonly remotes: readonly NodeId[]
}
/** Each name once, in order. */
function distinct(names: NodeId[]): readonly NodeId[] {
  return inOrder(names, compareText).filter((name, n) => name !== names[n - 1])
}
/** More news than this are not looked up one by one. */
const many = 64
/** `before`: in the network before. */
function routesTo(prefixes: readonly Prefix[], routing: Routing, before?: Known): Known {
  const { owner, owned, moved, nested } = routing
  if (before?.prefixes === prefixes && moved.gone.size + moved.come.length === 0) return before
  const news = before && difference(before.prefixes, prefixes)
  if (!before || !news || nested || news.gone.size + news.come.length + moved.gone.size + moved.come.length > many) {
    const found: Route[] = []
    for (const prefix of prefixes) {
      const route = owner.get(prefix) ?? around(prefix, owner)
      // Hosts of one LAN follow each other.
      if (route && route !== found.at(-1)) found.push(route)
    }
    const routes = nested ? [...new Set(found)] : found
    return { prefixes, routes, remotes: distinct(routes.map((route) => route.remote)) }
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
  const joining = [...found].filter((route) => had(route.to) !== route)
  if (leaving.size + joining.length === 0) return { ...before, prefixes }
  const routes = patched(before.routes, leaving, joining, (a, b) => comparePrefixes(a.to, b.to))
  const leavers = new Set([...leaving].map((route) => route.remote))
  const lost = new Set([...leavers].filter((remote) => !owned.get(remote)?.some((route) => upTo(routes, route.to) === route)))
  const won = new Set(joining.map((route) => route.remote))
  for (const remote of won) if (before.remotes[firstFrom(before.remotes, remote, compareText)] === remote) won.delete(remote)
  return { prefixes, routes, remotes: patched(before.remotes, lost, [...won], compareText) }
}
/** The last route that doesn't start after `prefix`. */
const upTo = (routes: readonly Route[], prefix: Prefix): Route | undefined =>
  routes[firstOf(routes.length, (n) => comparePrefixes(routes[n]!.to, prefix) > 0) - 1]
