/**
 * What a change opens and closes, read from the owners' rules. Lines of an intent speak of thousands of LANs, and pairs of
 * them would be millions: everything here is a rectangle, of all that may call and all that they may call.
 */
import type { Deny, Fabric, NodeId, SegmentId } from '#src/fabric/fabric.ts'
import { compareText, siteOfGateway } from '#src/fabric/ids.ts'
import { nodesOf } from '#src/fabric/slice.ts'
import { comparePrefixes, contains, enclosing, familyOf, type Prefix, sortPrefixes } from '#src/net/address.ts'
import { applicationsOf, formatPortRange, type PortRange, rangesOf, type Span } from '#src/net/ports.ts'
import { firstFrom } from '#src/net/sorted.ts'
import { common, type Rectangle, without } from './rectangles.ts'

export interface AllowedEnd {
  /** Of a pair of gateways, their site. */
  readonly node: NodeId
  readonly segment: SegmentId
  /** A LAN, or hosts in one. */
  readonly prefix: Prefix
}
/** Each of `from` may open connections to each of `to` on these ports; within one LAN nobody is asked. */
export interface Allowed {
  readonly from: readonly AllowedEnd[]
  readonly to: readonly AllowedEnd[]
  readonly ports: PortRange
  /** Of any protocol, but not these. */
  readonly except?: readonly PortRange[]
}
export interface ReachabilityDifference {
  readonly opened: readonly Allowed[]
  readonly closed: readonly Allowed[]
  /** Whose hosts may leave to the internet in one of the two only. */
  readonly internet: { readonly opened: readonly AllowedEnd[]; readonly closed: readonly AllowedEnd[] }
}

/** Exact: what some rule permits and no deny forbids in one of the two, and not in the other. */
export function diffReachability(before: Fabric | null, after: Fabric): ReachabilityDifference {
  const was = policyOf(before)
  const is = policyOf(after)
  const [leftBefore, leaveNow] = [leaving(before), leaving(after)]
  const lacking = (these: typeof leaveNow, those: typeof leaveNow) => [...these].filter(([key]) => !those.has(key)).map(([, end]) => end)
  return {
    opened: named(only(is, was), is),
    closed: named(only(was, is), was),
    internet: { opened: lacking(leaveNow, leftBefore), closed: lacking(leftBefore, leaveNow) },
  }
}
const leaving = (fabric: Fabric | null): ReadonlyMap<string, AllowedEnd> =>
  new Map(
    (fabric?.sites ?? []).flatMap(({ id, lans }) =>
      lans.flatMap(({ segment, prefix, internet }) =>
        internet ? [[`${siteOfGateway(id)} ${prefix}`, { node: siteOfGateway(id), segment, prefix }] as const] : [],
      ),
    ),
  )

interface Policy {
  readonly allows: Lines
  readonly denies: Lines
  /** The LAN that a prefix is in. */
  readonly lanOf: (prefix: Prefix) => AllowedEnd
}
interface Lines {
  /** By what they say, so that what two Fabrics say alike is told at once. */
  readonly byText: ReadonlyMap<string, Rectangle>
  /** Those that may share something with one. */
  readonly near: (one: Rectangle) => readonly Rectangle[]
}

function policyOf(fabric: Fabric | null): Policy {
  const nodes = fabric ? nodesOf(fabric) : []
  const owners = new Map<Prefix, AllowedEnd>(
    nodes.flatMap(({ id, lans }) => lans.map(({ prefix, segment }) => [prefix, { node: siteOfGateway(id), segment, prefix }] as const)),
  )
  const known = new Map<Prefix, AllowedEnd>()
  const lanOf = (prefix: Prefix): AllowedEnd => {
    const lan = known.get(prefix) ?? enclosingLan(prefix, owners)
    known.set(prefix, lan)
    return lan
  }
  return {
    allows: linesOf(
      nodes.flatMap((node) => node.rules),
      lanOf,
    ),
    denies: linesOf(
      nodes.flatMap((node) => node.denies ?? []),
      lanOf,
    ),
    lanOf,
  }
}
function enclosingLan(prefix: Prefix, owners: ReadonlyMap<Prefix, AllowedEnd>): AllowedEnd {
  for (const lan of enclosing(prefix)) {
    const owner = owners.get(lan)
    if (owner) return owner
  }
  throw new TypeError(`a rule names ${prefix}, which is in no LAN`)
}

function linesOf(rules: readonly Deny[], lanOf: Policy['lanOf']): Lines {
  const byText = new Map<string, Rectangle>()
  for (const [, same] of Map.groupBy(rules, ({ id }) => id)) {
    const spans = same[0]!.ports.map(applicationsOf)
    for (const { from, to } of joined(same, lanOf)) {
      const text = `${from.join()} ${to.join()}`
      for (const family of [4, 6]) {
        const [callers, called] = [from, to].map((all) => all.filter((one) => familyOf(one) === family)) as [Prefix[], Prefix[]]
        if (callers.length === 0 || called.length === 0) continue
        for (const span of spans) byText.set(`${family} ${span.low}-${span.high} ${text}`, { from: callers, to: called, span })
      }
    }
  }
  let index: ((one: Rectangle) => readonly Rectangle[]) | undefined
  return { byText, near: (one) => (index ??= indexed([...byText.values()]))(one) }
}

/** Finds those whose callers meet those of another. */
function indexed(rectangles: readonly Rectangle[]): (one: Rectangle) => readonly Rectangle[] {
  const byPrefix = new Map<Prefix, Rectangle[]>()
  for (const one of rectangles) {
    for (const prefix of one.from) {
      const own = byPrefix.get(prefix)
      if (own) own.push(one)
      else byPrefix.set(prefix, [one])
    }
  }
  const keys = sortPrefixes([...byPrefix.keys()])
  /** Of each key the one before it that holds it. */
  const outer: number[] = []
  for (const [n, key] of keys.entries()) {
    let at = n - 1
    while (at >= 0 && !contains(keys[at]!, key)) at = outer[at]!
    outer.push(at)
  }
  return ({ from }) => {
    const found = new Set<Rectangle>()
    const note = (n: number): void => byPrefix.get(keys[n]!)!.forEach((one) => found.add(one))
    for (const prefix of from) {
      const first = firstFrom(keys, prefix, comparePrefixes)
      for (let n = first; n < keys.length && contains(prefix, keys[n]!); n++) note(n)
      for (let n = first - 1; n >= 0; n = outer[n]!) if (contains(keys[n]!, prefix)) note(n)
    }
    return [...found]
  }
}
interface Ends {
  readonly from: readonly Prefix[]
  readonly to: readonly Prefix[]
}
/**
 * One line at all its owners. Each says what its own LAN may call, or who may call it, all others or those of them that are
 * not itself; that is put together again, for within a LAN nobody is asked.
 */
function joined(rules: readonly Deny[], lanOf: Policy['lanOf']): readonly Ends[] {
  const ends = rules.map(({ from, to }): Ends => ({ from: from.prefixes, to: to.prefixes }))
  const turned = ({ from, to }: Ends): Ends => ({ from: to, to: from })
  const [byCalled, byCaller] = [gathered(ends, lanOf), gathered(ends.map(turned), lanOf).map(turned)]
  return byCalled.length <= byCaller.length ? byCalled : byCaller
}
/** Those with the same `to` become one, but for what of it is in the LAN of `from`. */
function gathered(ends: readonly Ends[], lanOf: Policy['lanOf']): readonly Ends[] {
  if (ends.length < 2) return ends
  const all = new Set([...new Set(ends.map(({ to }) => to))].flat())
  const lists = new Map<readonly Prefix[], string>()
  const textOf = (list: readonly Prefix[]): string => {
    const text = lists.get(list) ?? list.join()
    lists.set(list, text)
    return text
  }
  const isAllButItself = ({ from, to }: Ends): boolean => {
    if (to.length === all.size) return true
    const [lan, other] = new Set(from.map(lanOf))
    if (lan === undefined || other !== undefined) return false
    const own = new Set(from.filter((one) => all.has(one)))
    return to.length + own.size === all.size && !to.some((one) => own.has(one))
  }
  const groups = Map.groupBy(ends, (one) => (isAllButItself(one) ? 'all' : textOf(one.to)))
  return [...groups].map(([text, own]) => ({
    from: sortPrefixes([...new Set(own.flatMap(({ from }) => from))]),
    to: text === 'all' ? sortPrefixes([...all]) : own[0]!.to,
  }))
}

/** What `these` permit and `those` do not, disjoint. */
function only(these: Policy, those: Policy): readonly Rectangle[] {
  const out: Rectangle[] = []
  const add = (one: Rectangle, ...others: readonly (readonly Rectangle[])[]): void => {
    out.push(...others.reduce((rest, all) => without(rest, all), [one] as readonly Rectangle[]))
  }
  const told = new Set<Rectangle>()
  for (const [text, one] of these.allows.byText) {
    if (those.allows.byText.has(text)) continue
    const again = these.allows.near(one).filter((other) => told.has(other))
    add(one, again, those.allows.near(one), these.denies.near(one))
    told.add(one)
  }
  // What both allow, and only the others deny.
  for (const [text, deny] of those.denies.byText) {
    if (these.denies.byText.has(text)) continue
    for (const allow of these.allows.near(deny)) {
      const lifted = common(allow, deny)
      if (lifted) add(lifted, these.denies.near(lifted), out)
    }
  }
  return out
}

/** With names, the ports of the same hosts together, in the order of addresses. */
function named(rectangles: readonly Rectangle[], { lanOf }: Policy): readonly Allowed[] {
  const byHosts = Map.groupBy(rectangles.flatMap(betweenLans(lanOf)), ({ from, to }) => `${from.join()} ${to.join()}`)
  const end = (prefix: Prefix): AllowedEnd => ({ ...lanOf(prefix), prefix })
  return [...byHosts.values()]
    .flatMap((same) => rangesOf(same.map(({ span }): Span => span)).map((ranges) => ({ ...same[0]!, ...ranges })))
    .sort(
      (a, b) =>
        comparePrefixes(a.from[0]!, b.from[0]!) ||
        comparePrefixes(a.to[0]!, b.to[0]!) ||
        compareText(formatPortRange(a.ports), formatPortRange(b.ports)),
    )
    .map(({ from, to, ports, except }) => ({ from: from.map(end), to: to.map(end), ports, ...(except.length > 0 ? { except } : {}) }))
}
/** What is within one LAN means nothing, and is left out where that leaves a rectangle. */
const betweenLans =
  (lanOf: Policy['lanOf']) =>
  ({ from, to, span }: Rectangle): readonly Rectangle[] => {
    const [caller, called] = [new Set(from.map(lanOf)), new Set(to.map(lanOf))]
    const rest = {
      from: called.size === 1 ? from.filter((one) => !called.has(lanOf(one))) : from,
      to: caller.size === 1 ? to.filter((one) => !caller.has(lanOf(one))) : to,
      span,
    }
    return rest.from.length > 0 && rest.to.length > 0 ? [rest] : []
  }
