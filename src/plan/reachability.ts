/** What a change opens and closes, read from the owners' rules. */
import type { Deny, Fabric, Forwarding, NodeId, SegmentId } from '#src/fabric/fabric.ts'
import { compareText } from '#src/fabric/ids.ts'
import { nodesOf, twinOf } from '#src/fabric/slice.ts'
import { contains, enclosing, type Prefix } from '#src/net/address.ts'
import { applicationsOf, formatPortRange, type PortRange, rangesOf, type Span } from '#src/net/ports.ts'
import { subtractPrefix } from '#src/net/sets.ts'

export interface AllowedEnd {
  readonly node: NodeId
  readonly segment: SegmentId
  /** A LAN, or hosts in one. */
  readonly prefix: Prefix
}
/** `from` may open connections to `to` on these ports. */
export interface Allowed {
  readonly from: AllowedEnd
  readonly to: AllowedEnd
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
  const was: ByPair = before ? linesIn(before, after) : new Map()
  const is = linesIn(after, before)
  const only = (these: ByPair, those: ByPair): readonly Allowed[] =>
    [...these]
      .flatMap(([pair, lines]) => left(lines, those.get(pair)).flatMap(({ from, to, spans }) => allowedBy(lines, from, to, spans)))
      .map((allowed) => ({ allowed, key: `${allowed.from.prefix} ${allowed.to.prefix} ${formatPortRange(allowed.ports)}` }))
      .sort((a, b) => compareText(a.key, b.key))
      .map(({ allowed }) => allowed)
  const [leftBefore, leaveNow] = [leaving(before), leaving(after)]
  const lacking = (these: typeof leaveNow, those: typeof leaveNow) => [...these].filter(([key]) => !those.has(key)).map(([, end]) => end)
  return {
    opened: only(is, was),
    closed: only(was, is),
    internet: { opened: lacking(leaveNow, leftBefore), closed: lacking(leftBefore, leaveNow) },
  }
}
const leaving = (fabric: Fabric | null): ReadonlyMap<string, AllowedEnd> =>
  new Map(
    (fabric?.sites ?? []).flatMap(({ id, lans }) =>
      lans.flatMap(({ segment, prefix, internet }) => (internet ? [[`${id} ${prefix}`, { node: id, segment, prefix }] as const] : [])),
    ),
  )

/** Between two LANs. */
interface Lines {
  readonly from: AllowedEnd
  readonly to: AllowedEnd
  readonly allows: Map<string, Box>
  readonly denies: Map<string, Box>
}
type ByPair = ReadonlyMap<string, Lines>
interface Box {
  readonly from: Prefix
  readonly to: Prefix
  readonly span: Span
}

/** Sites with equal rules in both have nothing to tell: what they allow, the other Fabric's same site allows too. */
function linesIn(fabric: Fabric, other: Fabric | null): ByPair {
  const owners = new Map<Prefix, AllowedEnd>(
    nodesOf(fabric).flatMap((node) => node.lans.map(({ prefix, segment }) => [prefix, { node: node.id, segment, prefix }] as const)),
  )
  const found = new Map<string, Lines>()
  for (const site of nodesOf(fabric)) {
    const twin = other && twinOf(other, site)
    if (twin && sameRules(site, twin)) continue
    note('allows', site.rules, owners, found)
    note('denies', site.denies ?? [], owners, found)
  }
  return found
}

const sameRules = (a: Forwarding, b: Forwarding): boolean =>
  JSON.stringify(a.rules) === JSON.stringify(b.rules) && JSON.stringify(a.denies) === JSON.stringify(b.denies)

function note(kind: 'allows' | 'denies', rules: readonly Deny[], owners: ReadonlyMap<Prefix, AllowedEnd>, found: Map<string, Lines>): void {
  for (const rule of rules) {
    const targets = rule.to.prefixes.map((prefix) => ({ prefix, lan: lanOf(prefix, owners) }))
    for (const from of rule.from.prefixes) {
      const source = lanOf(from, owners)
      for (const { prefix: to, lan: target } of targets) {
        // Nobody is asked within one LAN.
        if (source === target) continue
        const pair = `${source.prefix} ${target.prefix}`
        const lines = found.get(pair) ?? { from: source, to: target, allows: new Map<string, Box>(), denies: new Map<string, Box>() }
        found.set(pair, lines)
        for (const ports of rule.ports) lines[kind].set(`${from} ${to} ${formatPortRange(ports)}`, { from, to, span: applicationsOf(ports) })
      }
    }
  }
}
function lanOf(prefix: Prefix, owners: ReadonlyMap<Prefix, AllowedEnd>): AllowedEnd {
  for (const lan of enclosing(prefix)) {
    const owner = owners.get(lan)
    if (owner) return owner
  }
  throw new TypeError(`a rule names ${prefix}, which is in no LAN`)
}

/** What `lines` permit and `others` do not, by the hosts at both ends. */
function left(lines: Lines, others: Lines | undefined): readonly { from: Prefix; to: Prefix; spans: Span[] }[] {
  const byHosts = new Map<string, { from: Prefix; to: Prefix; spans: Span[] }>()
  const denied = [...(others?.denies.values() ?? [])]
  const boxes = [...lines.allows]
  for (const [key, box] of boxes) {
    if (boxes.some(([, other]) => other !== box && holds(other, box))) continue
    // What both say stays out of all, unless a deny tells them apart.
    if (others?.allows.has(key) && denied.length === 0) continue
    for (const piece of without([box], [...lines.denies.values()])) {
      const known = without([piece], others ? permitted(others, piece) : [])
      for (const { from, to, span } of known) {
        const entry = byHosts.get(`${from} ${to}`) ?? { from, to, spans: [] }
        byHosts.set(`${from} ${to}`, entry)
        entry.spans.push(span)
      }
    }
  }
  return [...byHosts.values()]
}
/** What of `asked` the lines permit. */
const permitted = ({ allows, denies }: Lines, asked: Box): readonly Box[] =>
  without(
    [...allows.values()].filter((box) => meets(box, asked)),
    [...denies.values()],
  )

const nested = (a: Prefix, b: Prefix): Prefix | undefined => (contains(a, b) ? b : contains(b, a) ? a : undefined)
const meets = (a: Box, b: Box): boolean =>
  nested(a.from, b.from) !== undefined && nested(a.to, b.to) !== undefined && a.span.low <= b.span.high && b.span.low <= a.span.high
const holds = (outer: Box, inner: Box): boolean =>
  contains(outer.from, inner.from) && contains(outer.to, inner.to) && outer.span.low <= inner.span.low && inner.span.high <= outer.span.high
const without = (boxes: readonly Box[], those: readonly Box[]): readonly Box[] =>
  those.reduce<readonly Box[]>((rest, one) => rest.flatMap((box) => subtract(box, one)), boxes)
function subtract(box: Box, other: Box): readonly Box[] {
  if (!meets(box, other)) return [box]
  const [from, to] = [nested(box.from, other.from)!, nested(box.to, other.to)!]
  const [low, high] = [Math.max(box.span.low, other.span.low), Math.min(box.span.high, other.span.high)]
  const part = (low: number, high: number): readonly Box[] => (low > high ? [] : [{ from, to, span: { low, high } }])
  return [
    ...subtractPrefix(box.from, from).map((rest) => ({ ...box, from: rest })),
    ...subtractPrefix(box.to, to).map((rest) => ({ ...box, from, to: rest })),
    ...part(box.span.low, low - 1),
    ...part(high + 1, box.span.high),
  ]
}

const allowedBy = (lines: Lines, from: Prefix, to: Prefix, spans: readonly Span[]): readonly Allowed[] =>
  rangesOf(spans).map(({ ports, except }) => ({
    from: { ...lines.from, prefix: from },
    to: { ...lines.to, prefix: to },
    ports,
    ...(except.length > 0 ? { except } : {}),
  }))
