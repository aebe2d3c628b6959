/**
 * Allows → stateful rules at the owners of either end, and stateless prefix pairs at the hubs in between (routing rules 2,
 * 3 and 22). A region's rules are the same allows as its security groups see them, a peer's as its owner
 * should (rule 4).
 */
import type { Flow, NodeId, Place, Rule, SegmentId, SiteId, Transit } from '#src/fabric/fabric.ts'
import { compareText } from '#src/fabric/ids.ts'
import type { Intent } from '#src/intent/intent.ts'
import { comparePrefixes, type Prefix } from '#src/net/address.ts'
import { anyPort, formatPortRange, type PortRange } from '#src/net/ports.ts'
import type { Pairing, Resolved, ResolvedAllow } from './resolve.ts'

export interface Policy {
  readonly rules: readonly Rule[]
  readonly transits: readonly Transit[]
}
const nothing: Policy = { rules: [], transits: [] }

export function rules(intent: Intent, resolved: Resolved): (node: NodeId) => Policy {
  const owners = new Map<NodeId, Map<string, Rule>>()
  const hubsOf = new Map<NodeId, readonly SiteId[]>([
    ...intent.sites.map((site) => [site.id, intent.hubs.includes(site.id) ? [] : site.hubs] as const),
    ...[...intent.regions, ...intent.peers].map(({ id, hubs }) => [id, hubs] as const),
  ])
  const carried = new Map<SiteId, Map<string, Transit>>()

  const add = (node: NodeId, rule: Rule) => {
    const own = owners.get(node) ?? new Map<string, Rule>()
    owners.set(node, own)
    own.set(rule.id, rule)
  }
  for (const allow of resolved.allows) {
    for (const pairing of allow.pairings) {
      for (const pair of segmentPairs(pairing)) {
        ownerRules(allow, pair, add)
        transitsOf(allow, pair, hubsOf, (hub, transit) => carried.set(hub, (carried.get(hub) ?? new Map<string, Transit>()).set(transit.id, transit)))
      }
    }
  }
  const nodes = new Set<NodeId>([...owners.keys(), ...carried.keys()])
  const policies = new Map(
    [...nodes].map((node): [NodeId, Policy] => [
      node,
      {
        rules: [...(owners.get(node)?.values() ?? [])].sort((a, b) => compareText(a.id, b.id)),
        transits: [...(carried.get(node as SiteId)?.values() ?? [])].sort((a, b) => compareText(a.id, b.id)),
      },
    ]),
  )
  return (node) => policies.get(node) ?? nothing
}

interface SegmentPair {
  readonly from: { readonly segment: SegmentId; readonly places: readonly Place[] }
  readonly to: { readonly segment: SegmentId; readonly places: readonly Place[] }
}
/** A flow has one segment, a service may be in several. */
function segmentPairs({ from, to }: Pairing): SegmentPair[] {
  const targets = [...Map.groupBy(to, (place) => place.segment)]
  return [...Map.groupBy(from, (place) => place.segment)].flatMap(([segment, places]) =>
    targets.map(([target, others]) => ({ from: { segment, places }, to: { segment: target, places: others } })),
  )
}

const portsText = (ports: readonly PortRange[]): string =>
  ports.length === 1 && ports[0] === anyPort ? '' : ` ${[...ports].map(formatPortRange).join(',')}`

/**
 * The id starts with the allow as written, so that a trace can name its line: `edge/inference -> model-api tcp/8443#out
 * inference>inference`. out: this site opens; in: this site answers; local: both LANs are here.
 */
function ownerRules(allow: ResolvedAllow, { from, to }: SegmentPair, add: (node: NodeId, rule: Rule) => void): void {
  const { ports, trafficClass } = allow
  const id = (way: 'out' | 'in' | 'local') => `${allow.text}${portsText(ports)}#${way} ${from.segment}>${to.segment}`
  const flow = (segment: SegmentId, prefixes: readonly Prefix[]): Flow => ({ segment, prefixes })
  const callers = prefixesByNode(from.places)
  const targets = prefixesByNode(to.places)
  const allCallers = [...callers.values()].flat().sort(comparePrefixes)
  const allTargets = [...targets.values()].flat().sort(comparePrefixes)
  const without = (all: readonly Prefix[], own: readonly Prefix[] | undefined) => (own ? all.filter((prefix) => !own.includes(prefix)) : all)

  for (const [site, own] of callers) {
    const others = without(allTargets, targets.get(site))
    if (others.length > 0) add(site, { id: id('out'), from: flow(from.segment, own), to: flow(to.segment, others), ports, trafficClass })
    const local = targets.get(site)
    // Hosts of one LAN talk without the gateway; several LANs of a segment do not.
    if (local && (local.length > 1 || own.length > 1 || local[0] !== own[0]))
      add(site, { id: id('local'), from: flow(from.segment, own), to: flow(to.segment, local), ports, trafficClass })
  }
  for (const [site, own] of targets) {
    const others = without(allCallers, callers.get(site))
    if (others.length > 0) add(site, { id: id('in'), from: flow(from.segment, others), to: flow(to.segment, own), ports, trafficClass })
  }
}

function prefixesByNode(places: readonly Place[]): Map<NodeId, readonly Prefix[]> {
  const found = new Map<NodeId, readonly Prefix[]>()
  for (const place of places) found.set(place.node, place.prefixes)
  return found
}

/**
 * Whatever runs between two nodes crosses the hubs of either, never an owner of an end: there the stateful rules apply.
 * Callers behind the hub with all targets, and targets behind it with the callers that are left. What several nodes call
 * of each other includes each with itself, which no gateway sends.
 */
function transitsOf(
  allow: ResolvedAllow,
  { from, to }: SegmentPair,
  hubsOf: ReadonlyMap<NodeId, readonly SiteId[]>,
  add: (hub: SiteId, transit: Transit) => void,
): void {
  const between = new Set([...from.places, ...to.places].flatMap(({ node }) => hubsOf.get(node) ?? []))
  for (const hub of between) {
    const behind = ({ node }: Place) => hubsOf.get(node)?.includes(hub) ?? false
    const callers = from.places.filter(({ node }) => node !== hub)
    const targets = to.places.filter(({ node }) => node !== hub)
    const carry = (way: 'out' | 'in', callers: readonly Place[], targets: readonly Place[]) => {
      const a = callers.filter(({ node }) => targets.some((target) => target.node !== node))
      const b = targets.filter(({ node }) => callers.some((caller) => caller.node !== node))
      if (a.length > 0) add(hub, { id: `${allow.text}#${way} ${from.segment}>${to.segment}`, a: prefixesOf(a), b: prefixesOf(b) })
    }
    carry('out', callers.filter(behind), targets)
    carry(
      'in',
      callers.filter((caller) => !behind(caller)),
      targets.filter(behind),
    )
  }
}
const prefixesOf = (places: readonly Place[]): readonly Prefix[] => places.flatMap((place) => place.prefixes).sort(comparePrefixes)
