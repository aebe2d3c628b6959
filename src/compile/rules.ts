/**
 * Allows and denies → stateful rules at the owners of either end, and stateless prefixes at the hubs in between (routing
 * rules 2, 3 and 22). A region's rules are the same lines as its security groups see them, a peer's as its owner should
 * (rule 4). Ports and the direction of a connection are the owners' to tell: a hub leaves out what is denied whatever its
 * port, of each allow its own, so that the answers to another one pass.
 */
import type { Deny, NodeId, Place, Rule, SegmentId, Transit } from '#src/fabric/fabric.ts'
import { compareText } from '#src/fabric/ids.ts'
import type { Intent } from '#src/intent/intent.ts'
import { comparePrefixes, type Prefix, sortPrefixes } from '#src/net/address.ts'
import { commonPrefixes, subtractPrefixes } from '#src/net/sets.ts'
import { anyPort, formatPortRange, type PortRange } from '#src/net/ports.ts'
import { createMemo, difference, isSame, type Made, type Memo, patched } from './memo.ts'
import type { Located, Pairing, Resolved, ResolvedAllow, ResolvedLine, Selection } from './resolve.ts'

export interface Policy {
  readonly rules: readonly Rule[]
  readonly denies?: readonly Deny[]
  readonly transits: readonly Transit[]
}
const nothing: Policy = { rules: [], transits: [] }

export interface Policies {
  /** In the order of the intent's. */
  readonly sites: readonly Policy[]
  readonly of: (node: NodeId) => Policy
}

export function rules(intent: Intent, resolved: Resolved, memo: Memo = createMemo()): Policies {
  const denies = resolved.denies.map((deny) => ({ ...deny, id: `${deny.text}${portsText(deny.ports)}` }))
  const shut = memo.members(
    'pairs that are denied whatever the port',
    denies
      .filter(({ ports }) => ports.some((range) => isSame(range, anyPort)))
      .flatMap(({ id, pairings }) =>
        memo.once(`pairs of ${id}`, [pairings], () => between(pairings).flatMap((pairing) => segmentPairs(pairing, memo))),
      ),
  )
  const shares = [
    ...resolved.allows.map((allow): Share => {
      const id = `${allow.text}${portsText(allow.ports)}`
      return memo.once(`rules of ${id}`, [allow.pairings, allow.trafficClass, allow.log, shut], () => allowed(id, allow, shut, memo))
    }),
    ...denies.map((deny): Share => memo.once(`rules of ${deny.id}`, [deny.pairings, deny.log], () => denied(deny.id, deny, memo))),
  ]
  const policies = memo.once('policies', shares, (before?: Made<Shelf>): Shelf => {
    const moved = affected((before?.inputs ?? []) as readonly Share[], shares)
    const at = before?.value.at ?? createShelf()
    for (const node of moved) at(node).policy = policyAt(node, shares)
    return { at, moved }
  })
  const places = memo.rows('places of policies', [], [intent.sites], ({ id }) => policies.at(id))
  return {
    sites: memo.once('policies of sites', [policies, places], (before?: Made<readonly Policy[]>) => {
      if (!before || before.inputs[1] !== places || policies.moved.size * 16 > places.length) return places.map((one) => one.policy)
      const [all, moved] = [[...before.value], new Set([...policies.moved].map(policies.at))]
      for (let n = 0; n < all.length; n++) if (moved.has(places[n]!)) all[n] = places[n]!.policy
      return all
    }),
    of: (node) => policies.at(node).policy,
  }
}

/** Kept from one network to the next, each policy at its place: most stay as they are. */
interface Shelf {
  /** Since the network before. */
  readonly moved: ReadonlySet<NodeId>
  readonly at: (node: NodeId) => { policy: Policy }
}
function createShelf(): Shelf['at'] {
  const places = new Map<NodeId, { policy: Policy }>()
  return (node) => {
    const known = places.get(node) ?? { policy: nothing }
    places.set(node, known)
    return known
  }
}

interface Entry<T> {
  readonly node: NodeId
  readonly of: T
}
/** What one line adds to each node: lists by node, each node once in each. */
interface Share {
  readonly id: string
  readonly rules: readonly (readonly Entry<Rule>[])[]
  readonly denies: readonly (readonly Entry<Deny>[])[]
  readonly transits: readonly Entry<Transit>[]
}
function affected(before: readonly Share[], after: readonly Share[]): ReadonlySet<NodeId> {
  const { gone, come } = difference(before, after)
  const old = new Map([...gone].map((share) => [share.id, share]))
  const fresh = new Map(come.map((share) => [share.id, share]))
  const nodes = new Set<NodeId>()
  const note = (was: readonly Entry<unknown>[], is: readonly Entry<unknown>[]) => {
    const moved = difference(was, is)
    for (const { node } of moved.gone) nodes.add(node)
    for (const { node } of moved.come) nodes.add(node)
  }
  for (const id of new Set([...old.keys(), ...fresh.keys()])) {
    const [was, is] = [old.get(id), fresh.get(id)]
    for (const kind of ['rules', 'denies'] as const) {
      const [old, now] = [was?.[kind] ?? [], is?.[kind] ?? []]
      for (let n = 0; n < Math.max(old.length, now.length); n++) note(old[n] ?? [], now[n] ?? [])
    }
    note(was?.transits ?? [], is?.transits ?? [])
  }
  return nodes
}
/** Each id once, in order. */
function policyAt(node: NodeId, shares: readonly Share[]): Policy {
  const denies = byId(shares.flatMap((share) => share.denies.flatMap((list) => entryAt(list, node))))
  return {
    rules: byId(shares.flatMap((share) => share.rules.flatMap((list) => entryAt(list, node)))),
    ...(denies.length > 0 ? { denies } : {}),
    transits: byId(shares.flatMap((share) => share.transits.filter((one) => one.node === node).map((one) => one.of))),
  }
}
const byId = <T extends { readonly id: string }>(all: readonly T[]): readonly T[] =>
  [...new Map(all.map((one) => [one.id, one])).values()].sort((a, b) => compareText(a.id, b.id))
function entryAt<T>(list: readonly Entry<T>[], node: NodeId): readonly T[] {
  let [low, high] = [0, list.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (list[middle]!.node < node) low = middle + 1
    else high = middle
  }
  return list[low]?.node === node ? [list[low]!.of] : []
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
  readonly segment: SegmentId
  readonly located: readonly Located[]
  readonly places: readonly Place[]
}
interface SegmentPair {
  readonly from: Side
  readonly to: Side
}
/** A flow has one segment, a service may be in several. */
const segmentPairs = ({ from, to }: Pairing, memo: Memo): SegmentPair[] =>
  sidesOf(from, memo).flatMap((source) => sidesOf(to, memo).map((target) => ({ from: source, to: target })))
function sidesOf({ name, located, places }: Selection, memo: Memo): Side[] {
  const segment = places[0]?.segment
  if (segment === undefined) return []
  if (places.every((place) => place.segment === segment)) return [{ segment, located, places }]
  return [...Map.groupBy(located, (one) => one.place.segment)].map(([of, own]) => ({
    segment: of,
    located: own,
    places: memo.members(
      `places ${name} in ${of}`,
      own.map((one) => one.place),
    ),
  }))
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
const ruleOf = <S extends Said>(id: string, from: Rule['from'], to: Rule['to'], said: S): readonly Ruled<S>[] =>
  from.prefixes.length === 0 || to.prefixes.length === 0 ? [] : [{ id, from, to, ...said }]
const flowOf = ({ segment, prefixes }: Place) => ({ segment, prefixes })
/** Hosts of one LAN talk without the gateway; several LANs of a segment do not. */
const localRule = <S extends Said>(line: string, said: S, from: Place, to: Place): readonly Ruled<S>[] =>
  to.prefixes.length > 1 || from.prefixes.length > 1 || to.prefixes[0] !== from.prefixes[0]
    ? ruleOf(ruleId(line, 'local', from.segment, to.segment), flowOf(from), flowOf(to), said)
    : []

function ownerRules<S extends Said>(line: string, said: S, { from, to }: SegmentPair, memo: Memo): (readonly Entry<Ruled<S>>[])[] {
  const id = (way: 'out' | 'in' | 'local') => ruleId(line, way, from.segment, to.segment)
  const world = worldOf(said)
  const callers = prefixesOf(`callers of ${id('in')}`, from.places, memo)
  const targets = prefixesOf(`targets of ${id('out')}`, to.places, memo)
  const [answering, calling] = [beside(from.places, to.places), beside(to.places, from.places)]
  const out = memo.rows(id('out'), [targets, ...world], [from.places, answering], (caller, own) =>
    entries(caller.node, ruleOf(id('out'), flowOf(caller), { segment: to.segment, prefixes: without(targets, own) }, said)),
  )
  const local = memo.rows(id('local'), world, [from.places, answering], (caller, own) =>
    own ? entries(caller.node, localRule(line, said, caller, own)) : [],
  )
  const into = memo.rows(id('in'), [callers, ...world], [to.places, calling], (target, own) =>
    entries(target.node, ruleOf(id('in'), { segment: from.segment, prefixes: without(callers, own) }, flowOf(target), said)),
  )
  return [out, local, into].map((list) => list.flat())
}
/** Ports are in the id. */
const worldOf = (said: Said): readonly unknown[] => ['trafficClass' in said ? said.trafficClass : null, said.log]
const without = (all: readonly Prefix[], own: Place | undefined): readonly Prefix[] =>
  own ? all.filter((prefix) => !own.prefixes.includes(prefix)) : all
const entries = <T>(node: NodeId, of: readonly T[]): readonly Entry<T>[] => of.map((one) => ({ node, of: one }))
/** For each place the one of the others that is at the same node. */
function beside(places: readonly Place[], others: readonly Place[]): readonly (Place | undefined)[] {
  const byNode = new Map(others.map((place) => [place.node, place]))
  return places.map((place) => byNode.get(place.node))
}

/** `same`: what a caller finds at its own site. A service may be there in several segments. */
function localRules<S extends Said>(line: string, said: S, within: readonly Pairing[], memo: Memo): (readonly Entry<Ruled<S>>[])[] {
  const pairs = within.flatMap(({ from, to }) => from.places.flatMap((caller) => to.places.map((target) => ({ caller, target }))))
  return [...Map.groupBy(pairs, ({ caller, target }) => `${caller.segment}>${target.segment}`)].map(([segments, some]) =>
    memo
      .rows(`${line}#local ${segments}`, worldOf(said), [some.map((one) => one.caller), some.map((one) => one.target)], (caller, target) =>
        entries(caller.node, localRule(line, said, caller, target)),
      )
      .flat(),
  )
}

/**
 * Whatever runs between two nodes crosses the hubs of either, never an owner of an end: there the stateful rules apply.
 * Callers behind the hub with all targets, and targets behind it with the callers that are left. What several nodes call
 * of each other includes each with itself, which no gateway sends.
 */
function transitsOf(text: string, { from, to }: SegmentPair, shut: readonly SegmentPair[], memo: Memo): readonly Entry<Transit>[] {
  const hubs = [...new Set([...from.located, ...to.located].flatMap((one) => one.hubs))]
  const cuts = shut.filter((one) => one.from.segment === from.segment && one.to.segment === to.segment)
  return hubs.flatMap((hub) => {
    const behind = ({ hubs }: Located) => hubs.includes(hub)
    const elsewhere = ({ place }: Located) => place.node !== hub
    const [callers, targets] = [from.located.filter(elsewhere), to.located.filter(elsewhere)]
    const carry = (way: 'out' | 'in', some: readonly Located[], others: readonly Located[]): readonly Entry<Transit>[] => {
      const [a, b] = [meeting(some, others), meeting(others, some)]
      const id = `${text}#${way} ${from.segment}>${to.segment}`
      const side = (name: 'a' | 'b', some: readonly Located[]) =>
        prefixesOf(
          `${name} of ${hub} ${id}`,
          some.map((one) => one.place),
          memo,
        )
      if (a.length === 0) return []
      const whole = memo.keep(`transit ${hub} ${id}`, { node: hub, of: { id, a: side('a', a), b: side('b', b) } })
      return cuts.length === 0 ? [whole] : memo.once(`transits ${hub} ${id}`, [whole, ...cuts], () => cut(whole, cuts))
    }
    return [
      ...carry('out', callers.filter(behind), targets),
      ...carry(
        'in',
        callers.filter((caller) => !behind(caller)),
        targets.filter(behind),
      ),
    ]
  })
}
/** The same without pairs that are denied, in as many as that takes. */
function cut({ node, of }: Entry<Transit>, cuts: readonly SegmentPair[]): readonly Entry<Transit>[] {
  let pieces: readonly Pick<Transit, 'a' | 'b'>[] = [of]
  for (const { from, to } of cuts) {
    const [callers, targets] = [from, to].map(({ places }) => sortPrefixes(places.flatMap((place) => place.prefixes))) as [Prefix[], Prefix[]]
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
function meeting(some: readonly Located[], others: readonly Located[]): readonly Located[] {
  const only = others[0]?.place.node
  if (only === undefined) return []
  return others.some((one) => one.place.node !== only) ? some : some.filter((one) => one.place.node !== only)
}
/** In order; those of places that came or left are put in or taken out. */
const prefixesOf = (name: string, places: readonly Place[], memo: Memo): readonly Prefix[] =>
  memo.once(name, places, (before?: Made<readonly Prefix[]>) => {
    const prefixes = (some: Iterable<Place>) => [...some].flatMap((place) => place.prefixes)
    if (!before) return sortPrefixes(prefixes(places))
    const { gone, come } = difference(before.inputs as readonly Place[], places)
    return patched(before.value, new Set(prefixes(gone)), prefixes(come), comparePrefixes)
  })
