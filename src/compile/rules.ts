/**
 * Allows and denies → stateful rules at the owners of either end, and stateless prefixes at the hubs in between (routing
 * rules 2, 3 and 22). A region's rules are the same lines as its security groups see them, a peer's as its owner should
 * (rule 4). Ports and the direction of a connection are the owners' to tell: a hub leaves out what is denied whatever its
 * port, of each allow its own, so that the answers to another one pass.
 */
import type { Deny, NodeId, Place, Rule, SegmentId, SiteId, Transit } from '#src/fabric/fabric.ts'
import { compareText, siteOfGateway } from '#src/fabric/ids.ts'
import type { Intent } from '#src/intent/intent.ts'
import { comparePrefixes, type Prefix, sortPrefixes } from '#src/net/address.ts'
import { commonPrefixes, familiesIn, meeting as ofCommonFamilies, subtractPrefixes } from '#src/net/sets.ts'
import { onceOf } from '#src/net/once.ts'
import { anyPort, formatPortRange, type PortRange } from '#src/net/ports.ts'
import { difference, flatten, isSame, patched } from './arrays.ts'
import { List } from './list.ts'
import { along, createMemo, type Made, type Memo, since } from './memo.ts'
import { beside, type Located, type Pairing, type Resolved, type ResolvedAllow, type ResolvedLine, risingPlaces, type Selection } from './resolve.ts'
import { sitesOf } from './sites.ts'

export interface Policy {
  readonly rules: readonly Rule[]
  readonly denies?: readonly Deny[]
  readonly transits: readonly Transit[]
}
const nothing: Policy = { rules: [], transits: [] }

export interface Policies {
  /** In the order of sites. */
  readonly sites: List<Policy>
  readonly of: (node: NodeId) => Policy
}

export function rules(intent: Intent, resolved: Resolved, memo: Memo = createMemo()): Policies {
  const shares = memo.once('shares', [resolved.allows, resolved.denies], () => sharesOf(resolved, memo))
  const policies = memo.once('policies', shares, (before?: Made<Shelf>): Shelf => {
    const old = (before?.inputs ?? []) as readonly Share[]
    const moved = movedAt(old, shares)
    const at = before?.value.at ?? createShelf()
    // A line that is written twice gives the same rules twice, and must not lose them with one of the two.
    const alone = (all: readonly Share[]) => new Set(all.map((share) => share.id)).size === all.length
    const patch = alone(old) && alone(shares)
    // Lines of other ports between the same ends have the same transits: they leave with the last of them.
    const stay = patch && old.length === shares.length && old.every(({ id }, n) => id === shares[n]!.id)
    for (const [node, of] of moved) {
      const before = at(node).policy
      const transits = () => (stay ? patched(before.transits, of.transits.gone, byId(of.transits.come), risingIds) : transitsAt(node, shares))
      at(node).policy = patch ? patchedPolicy(before, of, transits) : policyAt(node, shares)
    }
    return { at, moved: [...moved.keys()].map(at) }
  })
  const places = memo.rows('places of policies', [], [sitesOf(intent, memo)], ({ id }) => policies.at(siteOfGateway(id)))
  return {
    sites: memo.once('policies of sites', [policies, places], (before?: Made<List<Policy>>) => policiesOf(places, policies, before)),
    of: (node) => policies.at(node).policy,
  }
}
/** Of each line. */
function sharesOf({ allows, denies }: Pick<Resolved, 'allows' | 'denies'>, memo: Memo): readonly Share[] {
  const shut = memo.members(
    'pairs that are denied whatever the port',
    denies
      .filter(({ ports }) => ports.some((range) => isSame(range, anyPort)))
      .flatMap((deny) =>
        memo.once(`pairs of ${namesOf(deny).id}`, [deny.pairings], () => between(deny.pairings).flatMap((pairing) => segmentPairs(pairing, memo))),
      ),
  )
  return [
    ...allows.map((allow): Share => {
      const { id, rules } = namesOf(allow)
      return memo.once(rules, [allow.pairings, allow.trafficClass, allow.log, shut], () => allowed(id, allow, shut, memo))
    }),
    ...denies.map((deny): Share => {
      const { id, rules } = namesOf(deny)
      return memo.once(rules, [deny.pairings, deny.log], () => denied(id, deny, memo))
    }),
  ]
}
const namesOf = onceOf(({ text, ports }: ResolvedLine) => {
  const id = `${text}${portsText(ports)}`
  return { id, rules: `rules of ${id}` }
})

/** Kept from one network to the next, each policy at its place: most stay as they are. */
interface Shelf {
  readonly at: (node: NodeId) => Kept
  /** Those of which the policy is another than in the network before. */
  readonly moved: readonly Kept[]
}
interface Kept {
  policy: Policy
}
function createShelf(): Shelf['at'] {
  const places = new Map<NodeId, Kept>()
  return (node) => {
    const known = places.get(node) ?? { policy: nothing }
    places.set(node, known)
    return known
  }
}

const policyIn = ({ policy }: Kept): Policy => policy
/** Few move: they are looked for, not all of thousands looked at. */
function policiesOf(places: List<Kept>, { moved }: Shelf, before?: Made<List<Policy>>): List<Policy> {
  if (!before || moved.length > few) return places.map(policyIn, before?.value)
  const policies = along(before.value, before.inputs[1] as List<Kept>, places, policyIn)
  return policies.with(moved.flatMap((one) => places.placesOf(one).map((n) => [n, one.policy] as const)))
}
const few = 16

interface Entry<T> {
  readonly node: NodeId
  readonly of: T
}
/** What one line adds to each node: lists by node, each node once in each. */
interface Share {
  readonly id: string
  readonly rules: readonly List<Entry<Rule>>[]
  readonly denies: readonly List<Entry<Deny>>[]
  readonly transits: readonly Entry<Transit>[]
}
interface MovedAt {
  readonly rules: Moved<Rule>
  readonly denies: Moved<Deny>
  readonly transits: Moved<Transit>
}
interface Moved<T> {
  readonly gone: Set<T>
  readonly come: T[]
}
const newMoved = <T>(): Moved<T> => ({ gone: new Set(), come: [] })
/** What came and left at each node. */
function movedAt(before: readonly Share[], after: readonly Share[]): ReadonlyMap<NodeId, MovedAt> {
  const { gone, come } = difference(before, after)
  const old = new Map([...gone].map((share) => [share.id, share]))
  const fresh = new Map(come.map((share) => [share.id, share]))
  const nodes = new Map<NodeId, MovedAt>()
  const at = (node: NodeId): MovedAt => {
    const known = nodes.get(node) ?? { rules: newMoved<Rule>(), denies: newMoved<Deny>(), transits: newMoved<Transit>() }
    nodes.set(node, known)
    return known
  }
  const note = <T>(was: List<Entry<T>> = List.of([]), is: List<Entry<T>> = List.of([]), to: (at: MovedAt) => Moved<T>) => {
    const moved = is.since(was)
    for (const { node, of } of moved.gone) to(at(node)).gone.add(of)
    for (const { node, of } of moved.come) to(at(node)).come.push(of)
  }
  for (const id of new Set([...old.keys(), ...fresh.keys()])) {
    const [was, is] = [old.get(id), fresh.get(id)]
    const most = (kind: 'rules' | 'denies') => Math.max(was?.[kind].length ?? 0, is?.[kind].length ?? 0)
    for (let n = 0; n < most('rules'); n++) note(was?.rules[n], is?.rules[n], (one) => one.rules)
    for (let n = 0; n < most('denies'); n++) note(was?.denies[n], is?.denies[n], (one) => one.denies)
    const transits = difference(was?.transits ?? [], is?.transits ?? [])
    for (const { node, of } of transits.gone) at(node).transits.gone.add(of)
    for (const { node, of } of transits.come) at(node).transits.come.push(of)
  }
  return nodes
}
/** Each id once, in order. */
function policyAt(node: NodeId, shares: readonly Share[]): Policy {
  return policyOf(
    byId(shares.flatMap((share) => share.rules.flatMap((list) => entryAt(list, node)))),
    byId(shares.flatMap((share) => share.denies.flatMap((list) => entryAt(list, node)))),
    transitsAt(node, shares),
  )
}
const transitsAt = (node: NodeId, shares: readonly Share[]) =>
  byId(shares.flatMap((share) => share.transits.filter((one) => one.node === node).map((one) => one.of)))
const patchedPolicy = (before: Policy, { rules, denies, transits }: MovedAt, transitsNow: () => readonly Transit[]): Policy =>
  policyOf(
    patched(before.rules, rules.gone, rules.come, risingIds),
    patched(before.denies ?? [], denies.gone, denies.come, risingIds),
    transits.gone.size + transits.come.length > 0 ? transitsNow() : before.transits,
  )
const policyOf = (rules: readonly Rule[], denies: readonly Deny[], transits: readonly Transit[]): Policy => ({
  rules,
  ...(denies.length > 0 ? { denies } : {}),
  transits,
})
const risingIds = (a: { readonly id: string }, b: { readonly id: string }): number => compareText(a.id, b.id)
const byId = <T extends { readonly id: string }>(all: readonly T[]): readonly T[] =>
  [...new Map(all.map((one) => [one.id, one])).values()].sort(risingIds)
function entryAt<T>(list: List<Entry<T>>, node: NodeId): readonly T[] {
  const found = list.at(list.firstFrom(node, (one, other) => compareText(one.node, other)))
  return found?.node === node ? [found.of] : []
}

/** Pairings of `same` stay within a site, the others run between nodes. */
const within = (pairings: readonly Pairing[]) => pairings.filter((pairing) => pairing.caller !== null)
const between = (pairings: readonly Pairing[]) => pairings.filter((pairing) => pairing.caller === null)

function allowed(id: string, { text, pairings, ports, log, trafficClass }: ResolvedAllow, shut: readonly SegmentPair[], memo: Memo): Share {
  const pairs = between(pairings).flatMap((pairing) => segmentPairs(pairing, memo))
  const said = { ports, trafficClass, ...(log ? { log } : {}) } as const
  return {
    id,
    rules: [...localRules(id, said, within(pairings), memo), ...pairs.flatMap((pair) => ownerRules(id, said, pair, memo))],
    denies: [],
    transits: pairs.flatMap((pair) => transitsOf(text, pair, shut, memo)),
  }
}
function denied(id: string, { pairings, ports, log }: ResolvedLine, memo: Memo): Share {
  const pairs = between(pairings).flatMap((pairing) => segmentPairs(pairing, memo))
  const said = { ports, ...(log ? { log } : {}) } as const
  return {
    id,
    rules: [],
    denies: [...localRules(id, said, within(pairings), memo), ...pairs.flatMap((pair) => ownerRules(id, said, pair, memo))],
    transits: [],
  }
}

interface Side {
  readonly name: string
  readonly segment: SegmentId
  readonly located: List<Located>
  readonly places: List<Place>
}
interface SegmentPair {
  readonly from: Side
  readonly to: Side
}
/** null: all are in one segment. */
type Divided = readonly (readonly [SegmentId, Located[]])[] | null
/** A flow has one segment, a service may be in several. */
const segmentPairs = ({ from, to }: Pairing, memo: Memo): SegmentPair[] =>
  sidesOf(from, memo).flatMap((source) => sidesOf(to, memo).map((target) => ({ from: source, to: target })))
function sidesOf({ name, located, places }: Selection, memo: Memo): Side[] {
  const segment = places.at(0)?.segment
  if (segment === undefined) return []
  const divided = memo.once(`segments of ${name}`, [located], (before?: Made<Divided>) => {
    // All of them were in one: news can be in another.
    const wereInOne = before?.value === null && (before.inputs[0] as List<Located>).at(0)?.place.segment === segment
    const asked = wereInOne ? since(before, located).come : located.all
    return asked.some(({ place }) => place.segment !== segment) ? [...Map.groupBy(located, (one) => one.place.segment)] : null
  })
  if (divided === null) return [{ name, segment, located, places }]
  return divided.map(([of, own]) => {
    const part = memo.list(`located ${name} in ${of}`, own)
    return { name: `${name} in ${of}`, segment: of, located: part, places: memo.rows(`places ${name} in ${of}`, [], [part], (one) => one.place) }
  })
}

const portsText = (ports: readonly PortRange[]): string =>
  ports.length === 1 && isSame(ports[0], anyPort) ? '' : ` ${ports.map(formatPortRange).join(',')}`

/**
 * The id starts with the line as written, so that a trace can name its line: `edge/inference -> model-api tcp/8443#out
 * inference>inference`. out: this site opens; in: this site answers; local: both LANs are here. A rule stays the same
 * object while it says the same, so that a caller that comes is news to those who answer, not to the other callers.
 */
const ruleId = (line: string, way: 'out' | 'in' | 'local', from: SegmentId, to: SegmentId): string => `${line}#${way} ${from}>${to}`
/** What a line says beside its two ends: an allow has a class, a deny has none. */
type Said = Omit<Rule, 'id' | 'from' | 'to'> | Omit<Deny, 'id' | 'from' | 'to'>
type Ruled<S extends Said> = S & Pick<Rule, 'id' | 'from' | 'to'>
type End = Rule['from']
/** Addresses of a family that the other end has none of meet nobody there. */
function ruleOf<S extends Said>(id: string, from: End, to: End, said: S): readonly Ruled<S>[] {
  const [callers, targets] = ofCommonFamilies(from.prefixes, to.prefixes)
  return callers.length === 0 ? [] : [{ id, from: withPrefixes(from, callers), to: withPrefixes(to, targets), ...said }]
}
const withPrefixes = (end: End, prefixes: readonly Prefix[]): End => (end.prefixes === prefixes ? end : { ...end, prefixes })
const endAt = ({ segment, prefixes }: Place): End => ({ segment, prefixes })
/** Hosts of one LAN talk without the gateway; several LANs of a segment do not. */
function localRule<S extends Said>(line: string, said: S, from: Place, to: Place): readonly Ruled<S>[] {
  const [callers, targets] = ofCommonFamilies(from.prefixes, to.prefixes)
  const oneLan = callers.length === targets.length && callers.length === familiesIn(callers).length && callers.every((one, n) => one === targets[n])
  return oneLan ? [] : ruleOf(ruleId(line, 'local', from.segment, to.segment), endAt(from), endAt(to), said)
}

function ownerRules<S extends Said>(line: string, said: S, { from, to }: SegmentPair, memo: Memo): List<Entry<Ruled<S>>>[] {
  const id = (way: 'out' | 'in' | 'local') => ruleId(line, way, from.segment, to.segment)
  const [outId, localId, inId] = [id('out'), id('local'), id('in')]
  const world = worldOf(said)
  const all = ({ name, segment, located }: Side): End => ({ segment, prefixes: prefixesOf(name, located, memo) })
  const [callers, targets] = [all(from), all(to)]
  const at = (own: Side, others: Side) => beside(`${others.name} beside ${own.name}`, own.places, others.places, ({ node }) => node, memo)
  const [answering, calling] = [at(from, to), at(to, from)]
  const out = memo.rows(outId, [targets.prefixes, ...world], [from.places, answering], (caller, own) =>
    entries(caller.node, ruleOf(outId, endAt(caller), without(targets, own), said)),
  )
  const local = memo.rows(localId, world, [from.places, answering], (caller, own) =>
    own ? entries(caller.node, localRule(line, said, caller, own)) : noEntries,
  )
  const into = memo.rows(inId, [callers.prefixes, ...world], [to.places, calling], (target, own) =>
    entries(target.node, ruleOf(inId, without(callers, own), endAt(target), said)),
  )
  return [joined(outId, out, memo), joined(localId, local, memo), joined(inId, into, memo)]
}
/** Ports are in the id. */
const worldOf = (said: Said): readonly unknown[] => ['trafficClass' in said ? said.trafficClass : null, said.log]
const without = (all: End, own: Place | undefined): End => (own ? { ...all, prefixes: beyond(all.prefixes)(own) } : all)
// Where each may call all others, what it calls and who calls it are one list.
const beyond = onceOf((all: readonly Prefix[]) =>
  onceOf((own: Place) => {
    const others = patched(all, new Set(own.prefixes), [], comparePrefixes)
    whole.set(others, all)
    return others
  }),
)
const whole = new WeakMap<readonly Prefix[], readonly Prefix[]>()
/** The prefixes of a rule with those that its node has itself, where they were left out. */
export const withAll = (prefixes: readonly Prefix[]): readonly Prefix[] => whole.get(prefixes) ?? prefixes
const noEntries: readonly never[] = []
const entries = <T>(node: NodeId, of: readonly T[]): readonly Entry<T>[] => of.map((one) => ({ node, of: one }))
/** By node. */
const joined = <T>(name: string, rows: List<readonly Entry<T>[]>, memo: Memo): List<Entry<T>> =>
  memo.once(`entries of ${name}`, [rows], (before?: Made<List<Entry<T>>>) => {
    const { gone, come } = since(before, rows)
    return (before?.value ?? List.of<Entry<T>>([])).patched(new Set([...gone].flat()), flatten(come), risingNodes)
  })
const risingNodes = (a: { readonly node: NodeId }, b: { readonly node: NodeId }): number => compareText(a.node, b.node)
/** `same`: what a caller finds at its own site. A service may be there in several segments. */
function localRules<S extends Said>(line: string, said: S, within: readonly Pairing[], memo: Memo): List<Entry<Ruled<S>>>[] {
  const rows = memo.rows(`${line}#local`, worldOf(said), [within], ({ from, to }) =>
    from.places.all.flatMap((caller) => to.places.all.flatMap((target) => entries(caller.node, localRule(line, said, caller, target)))),
  )
  const all = joined(`${line}#local`, rows, memo)
  return rows.some((row) => row.length > 1)
    ? [...Map.groupBy(all, ({ of }) => of.id)].map(([id, some]) => memo.list(`${line}#local ${id}`, some))
    : [all]
}

/**
 * Whatever runs between two nodes crosses the hubs of either, never an owner of an end: there the stateful rules apply.
 * Callers behind the hub with all targets, and targets behind it with the callers that are left. What several nodes call
 * of each other includes each with itself, which no gateway sends.
 */
function transitsOf(text: string, { from, to }: SegmentPair, shut: readonly SegmentPair[], memo: Memo): readonly Entry<Transit>[] {
  const hubs = new Set([...hubsBefore(from, memo), ...hubsBefore(to, memo)])
  const cuts = shut.filter((one) => one.from.segment === from.segment && one.to.segment === to.segment)
  return [...hubs].flatMap((hub) => {
    const behind = (side: Side) => part(`behind ${hub}`, side, ({ hubs }) => hubs.includes(hub), memo)
    const before = (side: Side) => part(`not behind ${hub}`, side, ({ place, hubs }) => place.node !== hub && !hubs.includes(hub), memo)
    const elsewhere = (side: Side) => part(`not at ${hub}`, side, ({ place }) => place.node !== hub, memo)
    const carry = (way: 'out' | 'in', some: Part, others: Part): readonly Entry<Transit>[] => {
      const [a, b] = [meeting(some, others, memo), meeting(others, some, memo)]
      const id = `${text}#${way} ${from.segment}>${to.segment}`
      if (a.located.length === 0) return []
      const [ofA, ofB] = [prefixesOf(a.name, a.located, memo), prefixesOf(b.name, b.located, memo)]
      const whole = memo.once(`transit ${hub} ${id}`, [ofA, ofB], (): Entry<Transit> => ({ node: hub, of: { id, a: ofA, b: ofB } }))
      return cuts.length === 0 ? [whole] : memo.once(`transits ${hub} ${id}`, [whole, ...cuts], () => cut(whole, cuts))
    }
    return [...carry('out', behind(from), elsewhere(to)), ...carry('in', before(from), behind(to))]
  })
}
/** Hubs that some of a side are behind. */
const hubsBefore = ({ name, located }: Side, memo: Memo): Iterable<SiteId> =>
  memo
    .once(`hubs before ${name}`, [located], (before?: Made<ReadonlyMap<SiteId, number>>) => {
      const { gone, come } = since(before, located)
      const counts = new Map(before?.value ?? [])
      const count = (some: Iterable<Located>, by: 1 | -1) => {
        for (const { hubs } of some) for (const hub of hubs) counts.set(hub, (counts.get(hub) ?? 0) + by)
      }
      count(gone, -1)
      count(come, 1)
      for (const [hub, left] of counts) if (left === 0) counts.delete(hub)
      return counts
    })
    .keys()
/** Those of a side that something is true of: the same list while none of them moves. */
interface Part {
  readonly name: string
  readonly located: List<Located>
}
const part = (which: string, { name: of, located }: Part, is: (one: Located) => boolean, memo: Memo): Part => {
  const name = `${of}, ${which}`
  return {
    name,
    located: memo.once(`part ${name}`, [located], (before?: Made<List<Located>>) => {
      const { gone, come } = since(before, located)
      return (before?.value ?? nobody).patched(gone, come.filter(is), risingPlaces)
    }),
  }
}
/** The same without pairs that are denied, in as many as that takes. */
function cut({ node, of }: Entry<Transit>, cuts: readonly SegmentPair[]): readonly Entry<Transit>[] {
  let pieces: readonly Pick<Transit, 'a' | 'b'>[] = [of]
  for (const { from, to } of cuts) {
    const [callers, targets] = [from, to].map(({ places }) => sortPrefixes(places.all.flatMap((place) => place.prefixes))) as [Prefix[], Prefix[]]
    pieces = pieces.flatMap((piece) => {
      const [a, b] = [commonPrefixes(piece.a, callers), commonPrefixes(piece.b, targets)]
      if (a.length === 0 || b.length === 0) return [piece]
      return [
        { a: subtractPrefixes(piece.a, callers), b: piece.b },
        { a, b: subtractPrefixes(piece.b, targets) },
      ].filter((rest) => rest.a.length > 0 && rest.b.length > 0)
    })
  }
  return pieces.map((piece, n) => ({ node, of: { id: n === 0 ? of.id : `${of.id}/${n + 1}`, ...piece } }))
}
/** Those for whom there is another node among `others`. */
function meeting(some: Part, others: Part, memo: Memo): Part {
  const only = others.located.at(0)?.place.node
  if (only === undefined) return { name: 'nobody', located: nobody }
  return others.located.some((one) => one.place.node !== only) ? some : part(`not at ${only}`, some, ({ place }) => place.node !== only, memo)
}
const nobody: List<Located> = List.of([])
/** In order; those of places that came or left are put in or taken out. */
const prefixesOf = (name: string, located: List<Located>, memo: Memo): readonly Prefix[] =>
  memo.once(`prefixes of ${name}`, [located], (before?: Made<readonly Prefix[]>) => {
    const prefixes = (some: readonly Place[]) => flatten(some.map((place) => place.prefixes))
    const moved = since(before, located)
    const [gone, come] = [[...moved.gone], moved.come].map((some) => some.map(({ place }) => place)) as [Place[], Place[]]
    if (!before) return sortPrefixes(prefixes(come))
    // What is asked of a node may be other while its place is not.
    if (gone.length === come.length && gone.every((place, n) => place === come[n])) return before.value
    return patched(before.value, new Set(prefixes(gone)), prefixes(come), comparePrefixes)
  })
