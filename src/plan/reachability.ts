/** What a change opens and closes, read from the owners' rules. */
import type { Fabric, Forwarding, NodeId, Rule, SegmentId } from '#src/fabric/fabric.ts'
import { compareText } from '#src/fabric/ids.ts'
import { nodesOf, twinOf } from '#src/fabric/slice.ts'
import { enclosing, type Prefix } from '#src/net/address.ts'
import { formatPortRange, type PortRange } from '#src/net/ports.ts'

export interface AllowedEnd {
  readonly node: NodeId
  readonly segment: SegmentId
  readonly prefix: Prefix
}
/** `from` may open connections to `to` on these ports. */
export interface Allowed {
  readonly from: AllowedEnd
  readonly to: AllowedEnd
  readonly ports: PortRange
}
export interface ReachabilityDifference {
  readonly opened: readonly Allowed[]
  readonly closed: readonly Allowed[]
}

/**
 * Exact for allows: (from prefix, to prefix, ports) that some rule permits in one of the two and none in the other. The
 * same ports written as one range or as two count as different.
 */
export function diffReachability(before: Fabric | null, after: Fabric): ReachabilityDifference {
  const was = before ? allowedIn(before, after) : new Map<string, Allowed>()
  const is = allowedIn(after, before)
  const only = (these: ReadonlyMap<string, Allowed>, those: ReadonlyMap<string, Allowed>) =>
    [...these]
      .filter(([key]) => !those.has(key))
      .sort(([a], [b]) => compareText(a, b))
      .map(([, allowed]) => allowed)
  return { opened: only(is, was), closed: only(was, is) }
}

/** Sites with equal rules in both have nothing to tell: what they allow, the other Fabric's same site allows too. */
function allowedIn(fabric: Fabric, other: Fabric | null): Map<string, Allowed> {
  const owners = new Map<Prefix, AllowedEnd>(
    nodesOf(fabric).flatMap((node) => node.lans.map(({ prefix, segment }) => [prefix, { node: node.id, segment, prefix }] as const)),
  )
  const found = new Map<string, Allowed>()
  for (const site of nodesOf(fabric)) {
    const twin = other && twinOf(other, site)
    if (twin && sameRules(site, twin)) continue
    for (const rule of site.rules) each(rule, owners, found)
  }
  return found
}

const sameRules = (a: Forwarding, b: Forwarding): boolean => JSON.stringify(a.rules) === JSON.stringify(b.rules)

/** A LAN, or hosts in one. */
function endOf(prefix: Prefix, owners: ReadonlyMap<Prefix, AllowedEnd>): AllowedEnd {
  for (const lan of enclosing(prefix)) {
    const owner = owners.get(lan)
    if (owner) return lan === prefix ? owner : { ...owner, prefix }
  }
  throw new TypeError(`a rule names ${prefix}, which is in no LAN`)
}

function each(rule: Rule, owners: ReadonlyMap<Prefix, AllowedEnd>, found: Map<string, Allowed>): void {
  for (const from of rule.from.prefixes) {
    for (const to of rule.to.prefixes) {
      for (const ports of rule.ports)
        found.set(`${from} ${to} ${formatPortRange(ports)}`, { from: endOf(from, owners), to: endOf(to, owners), ports })
    }
  }
}
