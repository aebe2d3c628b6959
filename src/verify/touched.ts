/**
 * Which sites an edit touches. A question reads only facts that name its source, its target, or no exchangeable site at
 * all (see shapes.ts): where every changed fact names one of a few sites, all questions about others keep their answers.
 */
import type { Deny, Expect, Fabric, NodeId, Peer, Place, Region, Route, SharedGroup, Site } from '#src/fabric/fabric.ts'
import { isSecondGateway, nodeOf, siteOfGateway } from '#src/fabric/ids.ts'
import { externalsOf, nodesOf } from '#src/fabric/slice.ts'
import { type Prefix, rangeOf } from '#src/net/address.ts'
import { callerOf } from './words.ts'
import { onceOf } from '#src/net/once.ts'

/** More are proven faster from the start. */
const most = 16

export interface Touched {
  /** Each changed fact names one of them. */
  readonly sites: ReadonlySet<NodeId>
  /** Exchangeable sites with a changed table, new ones included, and those that a changed route or group leads to. */
  readonly tables: ReadonlySet<NodeId>
}
/** undefined: something changed that names nobody, or too many. */
export function touchedSites(before: Fabric, after: Fabric): Touched | undefined {
  const fixed = new Set<NodeId>(
    [before, after].flatMap((fabric) => [...fabric.sites.filter((site) => site.hub), ...externalsOf(fabric)].map(({ id }) => id)),
  )
  /** Who each changed fact names. */
  const named: (readonly NodeId[])[] = []
  const note = (...ids: readonly (NodeId | null | undefined)[]): void => {
    named.push(ids.filter((id): id is NodeId => id !== null && id !== undefined && !fixed.has(id)))
  }
  const general = ({ network, classes, segments, risks }: Fabric): unknown => [network.mtu, network.mss, classes, segments, risks]
  if (!same(general(before), general(after))) return undefined
  const owners = [lanOwners(before), lanOwners(after)]
  const ownerOf = (prefix: Prefix): NodeId | undefined => owners[0]!.get(prefix) ?? owners[1]!.get(prefix)

  for (const tunnel of differing(before.tunnels, after.tunnels)) note(...tunnel.ends.map(nodeOf))
  const tables = new Set<NodeId>()
  const leading =
    (from: NodeId | null): Note =>
    (...ids) => {
      note(from, ...ids)
      for (const id of ids) if (id !== null && id !== undefined && !fixed.has(id)) tables.add(id)
    }
  // Of whichever hub.
  routesDiffer(before.routes, after.routes, leading(null), ownerOf)
  const known = new Map<NodeId, Site | Region | Peer>(nodesOf(before).map((node) => [node.id, node]))
  for (const node of nodesOf(after)) {
    const old = known.get(node.id)
    known.delete(node.id)
    if (old === node) continue
    const before = named.length
    if (!old || !same(ownPart(old), ownPart(node))) note(node.id)
    else tablesDiffer(old, node, note, leading(node.id), ownerOf)
    if (named.length > before && !fixed.has(node.id)) tables.add(node.id)
  }
  for (const id of known.keys()) note(id)
  expectsDiffer(before.expects, after.expects, note)

  const sites = cover(named)
  // A pair is asked about by the name of its first.
  const isPaired = sites && [...sites].some((id) => isSecondGateway(id))
  return sites && !isPaired && !shareAddresses(before, after, sites) ? { sites, tables } : undefined
}

/** A few sites that together are named in all. First those that nobody is named beside, then whom most facts name. */
function cover(named: readonly (readonly NodeId[])[]): ReadonlySet<NodeId> | undefined {
  if (named.some((ids) => ids.length === 0)) return undefined
  const chosen = new Set(named.flatMap((ids) => (ids.length === 1 ? ids : [])))
  for (;;) {
    if (chosen.size > most) return undefined
    const counts = new Map<NodeId, number>()
    for (const ids of named) if (!ids.some((id) => chosen.has(id))) for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1)
    const [best] = [...counts].reduce<readonly [NodeId | undefined, number]>((top, one) => (one[1] > top[1] ? one : top), [undefined, 0])
    if (best === undefined) return chosen
    chosen.add(best)
  }
}

type Note = (...ids: readonly (NodeId | null | undefined)[]) => void

/** All of a node but its tables. */
function ownPart(node: Site | Region | Peer): unknown {
  const rest = { ...node, routes: [], groups: [], rules: [], denies: [], transits: [] }
  return 'interfaces' in rest ? { ...rest, exitsFor: [] } : rest
}

/** `leads`: to whom a route or a group does, or did. */
function tablesDiffer(
  old: Site | Region | Peer,
  node: Site | Region | Peer,
  note: Note,
  leads: Note,
  ownerOf: (prefix: Prefix) => NodeId | undefined,
): void {
  routesDiffer(old.routes, node.routes, leads, ownerOf)
  const lists = (before: readonly Prefix[], after: readonly Prefix[]): void => {
    for (const prefix of differing(before, after)) note(node.id, ownerOf(prefix))
  }
  const rulesDiffer = (before: readonly Deny[], after: readonly Deny[]): void => {
    for (const [was, is] of byKey(before, after, ({ id }) => id)) {
      if (was === is) continue
      const rest = (rule: typeof was) => rule && { ...rule, from: rule.from.segment, to: rule.to.segment }
      if (!was || !is || !same(rest(was), rest(is))) note(node.id)
      else {
        lists(was.from.prefixes, is.from.prefixes)
        lists(was.to.prefixes, is.to.prefixes)
      }
    }
  }
  rulesDiffer(old.rules, node.rules)
  rulesDiffer(old.denies ?? [], node.denies ?? [])
  for (const [was, is] of byKey(old.transits, node.transits, ({ id }) => id)) {
    if (was === is) continue
    if (!was || !is) note(node.id)
    else {
      lists(was.a, is.a)
      lists(was.b, is.b)
    }
  }
  if (old.groups !== node.groups) {
    const alike = ({ trafficClass, arrived, family, via }: SharedGroup): string => JSON.stringify([trafficClass, arrived, family, via])
    for (const [was, is] of byKey(old.groups, node.groups, alike)) {
      if (was !== is) for (const remote of differing(was?.remotes ?? [], is?.remotes ?? [])) leads(remote)
    }
  }
  if (old.kind === 'site' && node.kind === 'site') lists(old.exitsFor ?? [], node.exitsFor ?? [])
}

function routesDiffer(
  before: readonly Route[] = [],
  after: readonly Route[] = [],
  leads: Note,
  ownerOf: (prefix: Prefix) => NodeId | undefined,
): void {
  for (const route of differing(before, after)) leads(ownerOf(route.to), route.remote)
}
function expectsDiffer(before: readonly Expect[], after: readonly Expect[], note: Note): void {
  for (const [was, is] of byKey(before, after, ({ id }) => id)) {
    if (was === is) continue
    const caller = callerOf((was ?? is)!.id)
    const rest = (expect: Expect | undefined) => expect && { ...expect, from: [], to: [] }
    if (!was || !is || !same(rest(was), rest(is))) {
      note(caller)
      continue
    }
    const places = (old: readonly Place[], now: readonly Place[]): void => {
      for (const place of differing(old, now)) note(caller, place.node)
    }
    places(was.from, is.from)
    places(was.to, is.to)
  }
}

/** Both of one key; a key that stands twice counts once more each time. */
function byKey<T>(before: readonly T[], after: readonly T[], keyOf: (one: T) => string): Iterable<readonly [T | undefined, T | undefined]> {
  if (before === after) return []
  const pairs = new Map<string, [T | undefined, T | undefined]>()
  for (const [side, list] of [before, after].entries()) {
    const twins = new Map<string, number>()
    for (const one of list) {
      const text = keyOf(one)
      const twin = twins.get(text) ?? 0
      twins.set(text, twin + 1)
      const key = twin === 0 ? text : `${text}#${twin}`
      const pair = pairs.get(key) ?? [undefined, undefined]
      pair[side] = one
      pairs.set(key, pair)
    }
  }
  return pairs.values()
}

/** What is in one of two lists only; order means nothing. Most is the same object at the same place. */
function differing<T>(before: readonly T[], after: readonly T[]): readonly T[] {
  if (before === after) return []
  let head = 0
  while (head < before.length && head < after.length && before[head] === after[head]) head++
  let tail = 0
  const most = Math.min(before.length, after.length) - head
  while (tail < most && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++
  const gone = new Set(before.slice(head, before.length - tail))
  const come = after.slice(head, after.length - tail).filter((one) => !gone.delete(one))
  if (come.length === 0 || typeof come[0] !== 'object') return [...gone, ...come]
  const left = new Map([...gone].map((one) => [JSON.stringify(one), one]))
  const fresh = come.filter((one) => !left.delete(JSON.stringify(one)))
  return [...left.values(), ...fresh]
}
const same = (a: unknown, b: unknown): boolean => a === b || JSON.stringify(a) === JSON.stringify(b)

/** Who has exactly this prefix as a LAN. */
export const lanOwners = onceOf((fabric: Fabric): ReadonlyMap<Prefix, NodeId> => {
  const made = new Map<Prefix, NodeId>()
  for (const node of nodesOf(fabric)) for (const lan of node.lans) made.set(lan.prefix, siteOfGateway(node.id))
  return made
})
/** A touched site has new addresses that are somebody's already. */
function shareAddresses(before: Fabric, after: Fabric, touched: ReadonlySet<NodeId>): boolean {
  const had = lanOwners(before)
  const fresh = after.sites
    .filter((site) => touched.has(site.id))
    .flatMap((site) => site.lans.filter((lan) => had.get(lan.prefix) !== site.id).map((lan) => ({ node: site.id, prefix: lan.prefix })))
  if (fresh.length === 0) return false
  const ranges = fresh.map((one) => ({ ...one, ...rangeOf(one.prefix) }))
  return nodesOf(after).some((node) =>
    node.lans.some(({ prefix }) => {
      const { family, low, high } = rangeOf(prefix)
      return ranges.some((one) => one.family === family && one.low <= high && low <= one.high && (one.node !== node.id || one.prefix !== prefix))
    }),
  )
}
