/**
 * What passes between two places: followed once, over every hop of every group, into a graph of a few nodes (edge, its
 * hubs, the far end). What a failure takes from it is then a question to that graph.
 */
import { isSameLan } from '#src/fabric/lans.ts'
import type { ClassId, Deny, Place, Rule, Survives, TunnelId } from '#src/fabric/fabric.ts'
import { anyPort, type PortRange } from '#src/net/ports.ts'
import type { Break, Breaks } from './failures.ts'
import { courses, type Down, firstStop, marked, type Patience, type Stop, tunnelsOf, type Vertex } from './forward.ts'
import { lookup, match, type Model, type Node } from './model.ts'
import { dutyOf, type Gateway, gatewaysAt, standingBy } from './pairs.ts'
import { everything, type Packets, packetsBetween, reversed, subtractAll } from './packets.ts'

/** Traffic of one rule that is treated alike both ways. */
export interface Flow {
  readonly packets: Packets
  readonly trafficClass: ClassId
  /** Of the replies: another where one end is trusted to mark its packets. */
  readonly replyClass: ClassId
  readonly rule: Rule
  readonly there: Vertex
  readonly back: Vertex
}
export const classOf = ({ trafficClass, replyClass }: Flow, way: 'there' | 'back'): ClassId => (way === 'there' ? trafficClass : replyClass)
/** `by`: the deny, if it is one. */
interface Refused {
  readonly packets: Packets
  readonly by: Deny | null
}
export interface Pair {
  readonly from: Place
  readonly to: Place
  readonly flows: readonly Flow[]
  /** Traffic that no rule at the source's owner admits, or a deny there forbids. */
  readonly refused: Refused | null
  /** One has IPv4 addresses only, the other IPv6: nothing can be sent. */
  readonly unlike: boolean
  readonly tunnels: ReadonlySet<TunnelId>
  /** Of each end that has two gateways, both; there are flows from and to either. */
  readonly gateways: readonly (readonly Gateway[])[]
}
export type Loss =
  /** One has IPv4 addresses only, the other IPv6. */
  | { readonly kind: 'family' }
  | ({ readonly kind: 'refused' } & Refused)
  | { readonly kind: 'dead' }
  | { readonly kind: 'stopped'; readonly flow: Flow; readonly stop: Stop; readonly way: 'there' | 'back' }

const nothing: Down = () => false

export function pairOf(model: Model, from: Place, to: Place, expect: { readonly ports: readonly PortRange[] }): Pair {
  const flows: Flow[] = []
  const tunnels = new Set<TunnelId>()
  let refused: Refused | null = null
  const near = model.node(from.node)
  const far = model.node(to.node)
  const [nears, fars] = [gatewaysAt(model, from.node), gatewaysAt(model, to.node)]
  const joined = nears.flatMap((one) => fars.map((other) => [one.id, other.id] as const)).filter(([a, b]) => from.node !== to.node || a === b)
  const all = packetsBetween(from.prefixes, to.prefixes, expect.ports.length > 0 ? expect.ports : [anyPort])
  for (const wanted of all) {
    if (!near || !far) {
      refused ??= { packets: wanted, by: null }
      continue
    }
    const { admitted, denied } = admit(near, wanted)
    // A segment has no ports of its own: reach to it asks for whatever `allow` opens to it, so that at least one is.
    const anyWillDo = wanted.application.low === everything.low && wanted.application.high === everything.high
    const opened = admitted.map(({ packets }) => ({ ...packets, application: everything }))
    const closed = anyWillDo ? denied.flatMap(({ packets, by }) => subtractAll(packets, opened).map((piece) => ({ packets: piece, by }))) : denied
    refused ??= closed[0] ?? null
    for (const { packets, rule } of admitted) {
      const pieces = marked(model, near, packets, rule.trafficClass)
      for (const [a, b] of joined) {
        const asked = pieces.flatMap((piece) =>
          piece.classes.flatMap((trafficClass) =>
            courses(model, model.node(a)!, piece.packets, trafficClass, 'request').map((there) => ({ trafficClass, ...there })),
          ),
        )
        for (const { trafficClass, packets: sent, entry: there } of asked) {
          for (const { packets: answers, classes } of marked(model, far, reversed(sent), rule.trafficClass)) {
            for (const replyClass of classes) {
              for (const { packets: returned, entry: back } of courses(model, model.node(b)!, answers, replyClass, 'reply')) {
                flows.push({ packets: reversed(returned), trafficClass, replyClass, rule, there, back })
                tunnelsOf(there, tunnels)
                tunnelsOf(back, tunnels)
              }
            }
          }
        }
      }
    }
  }
  const gateways = (from.node === to.node ? [nears] : [nears, fars]).filter((one) => one.length > 1)
  // Also one that no packet passes decides who of two is on duty.
  for (const { tunnels: own } of gateways.flat()) for (const tunnel of own) tunnels.add(tunnel)
  return { from, to, flows, refused, unlike: all.length === 0, tunnels, gateways }
}

/** The flows of a pair while those gateways are on duty that may be, and what is down for them. */
export interface OnDuty {
  readonly flows: readonly Flow[]
  readonly down: Down
}
export const settledOn = (pair: Pair, down: Down): OnDuty => onDuty(pair, down, 'settled')[0]!
function onDuty(pair: Pair, down: Down, patience: Patience): readonly OnDuty[] {
  let states: readonly OnDuty[] = [{ flows: pair.flows, down }]
  for (const gateways of pair.gateways)
    states = states.flatMap((state) =>
      dutyOf(gateways, down, patience).map((one) => ({
        flows: state.flows.filter(
          ({ there, back }) => !gateways.some((other) => other !== one && (there.node === other.id || back.node === other.id)),
        ),
        down: standingBy(gateways, one, state.down),
      })),
    )
  return states
}

/** What the source's owner lets out, by rule; one entry for each class that the rules give. Within one LAN nobody is asked. */
function admit(
  node: Node,
  wanted: Packets,
): { readonly admitted: readonly { readonly packets: Packets; readonly rule: Rule }[]; readonly denied: readonly Refused[] } {
  const admitted: { packets: Packets; rule: Rule }[] = []
  const denied: Refused[] = []
  const todo = [wanted]
  for (let packets = todo.pop(); packets; packets = todo.pop()) {
    const source = lookup(node.lans, packets, 'source')
    const destination = lookup(node.lans, packets, 'destination')
    if (source.kind === 'split' || destination.kind === 'split') {
      todo.push(...(source.kind === 'split' ? source.pieces : destination.kind === 'split' ? destination.pieces : []))
      continue
    }
    if (source.value !== undefined && destination.value !== undefined && isSameLan(source.value, destination.value)) continue
    const denies = match(node.denies, packets)
    const rules = denies.kind === 'split' ? denies : match(node.rules, packets)
    if (denies.kind === 'split' || rules.kind === 'split') {
      todo.push(...(denies.kind === 'split' ? denies.pieces : rules.kind === 'split' ? rules.pieces : []))
      continue
    }
    const [deny] = denies.value
    if (deny || rules.value.length === 0) denied.push({ packets, by: deny ?? null })
    if (deny) continue
    for (const rule of new Map([...rules.value].reverse().map((rule) => [rule.trafficClass, rule])).values()) admitted.push({ packets, rule })
  }
  return { admitted, denied }
}

export function lossOf(pair: Pair, broken: Break | null, patience: Patience): Loss | null {
  if (broken !== null && broken.dead !== null && (broken.dead === pair.to.node || broken.dead === pair.from.node)) return { kind: 'dead' }
  if (pair.unlike) return { kind: 'family' }
  if (pair.refused) return { kind: 'refused', ...pair.refused }
  for (const { flows, down } of onDuty(pair, broken?.down ?? nothing, patience)) {
    for (const flow of flows) {
      const there = firstStop(flow.there, down, patience)
      if (there) return { kind: 'stopped', flow, stop: there, way: 'there' }
      const back = firstStop(flow.back, down, patience)
      if (back) return { kind: 'stopped', flow, stop: back, way: 'back' }
    }
  }
  return null
}

export function relevant(breaks: Breaks, pair: Pair, expect: { readonly survives: readonly Survives[] }): ReadonlySet<Break> {
  const out = new Set<Break>()
  for (const tunnel of pair.tunnels) for (const broken of breaks.of(tunnel)) if (survivalOf(broken, expect)) out.add(broken)
  // Also between two LANs of a site, where no tunnel is used.
  if (expect.survives.includes('gateway')) for (const broken of breaks.at(pair)) out.add(broken)
  return out
}
/** The word of `survives` that asks for it: who survives any two uplinks survives each. */
export const survivalOf = ({ kind }: Break, { survives }: { readonly survives: readonly Survives[] }): Survives | undefined =>
  survives.find((one) => one === kind) ?? (kind === 'uplink' ? survives.find((one) => one === 'any two uplinks') : undefined)
