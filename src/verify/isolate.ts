/** Proves that no connection comes about: only rules that touch both sides are looked at, and no failure, for those only take hops away. */
import { isSameLan } from '#src/fabric/lans.ts'
import type { ClassId, Expect, Finding, NodeId, Place, Rule } from '#src/fabric/fabric.ts'
import { counted } from '#src/fabric/plural.ts'
import { contains, type Family, type Prefix, rangeOf } from '#src/net/address.ts'
import { anyPort } from '#src/net/ports.ts'
import { anyDelivery, type Delivery, marked } from './forward.ts'
import { match, type Model, type Node } from './model.ts'
import { gatewaysAt } from './pairs.ts'
import { cut, type Entry, formatPacket, overlay, type Packets, packetsBetween, sample } from './packets.ts'
import type { Shapes } from './shapes.ts'
import { halves, lineOf, pathText, placeName } from './words.ts'
import type { Verdict } from './reach.ts'

export type Isolate = Extract<Expect, { kind: 'isolate' }>

/** No connection from any of `from` to any of `to`, whatever fails. With two models: at no moment of a change either. */
export function proveIsolate(models: readonly Model[], expect: Isolate, { alike, weight }: Shapes): Verdict {
  const findings: Finding[] = []
  let checks = 0
  const { from: fromText, to: toText } = halves(expect.text)
  const leaks = (from: readonly Place[], to: readonly Place[]): readonly Leak[] => {
    const found: Leak[] = []
    const targets = targetsOf(to)
    for (const place of from) {
      const speaksFor = alike(place.node).length
      if (speaksFor === 0) continue
      for (const model of models) {
        for (const { id } of gatewaysAt(model, place.node)) {
          const node = model.node(id)!
          for (const { packets, rule, to } of trafficBetween(node, place, targets)) {
            const pieces = speaksFor * weight(to)
            checks += pieces
            const delivery = rule === null ? { packets, path: [], at: id } : deliveryOf(models, model, node, packets, rule.trafficClass)
            if (delivery) found.push({ place, packets: delivery.packets, rule, path: delivery.path, at: id, model, pieces })
          }
          checks += speaksFor
        }
      }
    }
    return found
  }
  const [worst, ...others] = leaks(expect.from, expect.to)
  if (worst) {
    const where = `${placeName(worst.place)} → ${targetName(expect.to, worst.packets)}, for example ${formatPacket(sample(worst.packets))}`
    const rules = new Set([worst, ...others].flatMap((leak) => (leak.rule ? [leak.rule.id] : [])))
    const rest = others.reduce((sum, leak) => sum + leak.pieces, worst.pieces - 1)
    const more = rest > 0 ? [`and ${counted(rest, 'more piece')} of traffic`] : []
    findings.push(
      worst.rule === null
        ? {
            code: 'V012',
            severity: 'error',
            at: [lineOf(expect.id)],
            says: `${fromText} and ${toText} share a LAN, where no gateway can keep them apart`,
            instead: 'give each its own segment',
            witness: [where, ...more],
          }
        : {
            code: models.length > 1 ? 'V041' : 'V011',
            severity: 'error',
            at: [...new Set([expect.id, ...rules].map(lineOf))],
            says: `${fromText} can reach ${toText}, and this line expects that it can't${models.length > 1 ? ', while the change is under way' : ''}`,
            instead: 'take back the allow, or the expectation',
            witness: [where, `  ${pathText(worst.model, worst.at, worst.path)}: delivered`, ...more],
          },
    )
    return { expect, asked: [], findings, checks }
  }
  if (models.length > 1) return { expect, asked: [], findings, checks }
  const [answered] = leaks(expect.to, expect.from)
  if (answered?.rule) {
    findings.push({
      code: 'V013',
      severity: 'warning',
      at: [lineOf(expect.id), lineOf(answered.rule.id)],
      says: `${fromText} can't open a connection to ${toText}, but answers those that ${toText} opens`,
      instead: `if that must not be either, expect it: isolate: ${toText} -> ${fromText}`,
      witness: [
        `${placeName(answered.place)} → ${targetName(expect.from, answered.packets)}, for example ${formatPacket(sample(answered.packets))}, and its replies`,
      ],
    })
  }
  return { expect, asked: [], findings, checks }
}

interface Leak {
  readonly place: Place
  readonly packets: Packets
  /** null: within one LAN. */
  readonly rule: Rule | null
  readonly path: Parameters<typeof pathText>[2]
  /** The gateway at which it begins. */
  readonly at: NodeId
  readonly model: Model
  /** As many in all that are alike. */
  readonly pieces: number
}
type Targets = Readonly<Record<Family, readonly Entry<readonly Place[]>[]>>
function targetsOf(places: readonly Place[]): Targets {
  const ranges = places.flatMap((value) => value.prefixes.map((prefix) => ({ ...rangeOf(prefix), value })))
  const of = (family: Family) => overlay(ranges.filter((range) => range.family === family))
  return { 4: of(4), 6: of(6) }
}

interface Traffic {
  readonly packets: Packets
  /** null: within one LAN. */
  readonly rule: Rule | null
  readonly to: NodeId
}
/** Traffic from the place to the targets that the node's rules let out, and what stays within one LAN. A place is not kept apart from itself. */
function* trafficBetween(node: Node, place: Place, targets: Targets): Generator<Traffic> {
  const other = (to: Place): boolean => to.node !== place.node || to.segment !== place.segment || to.prefixes.join() !== place.prefixes.join()
  const wanted = (packets: Packets): readonly Omit<Traffic, 'rule'>[] =>
    cut(targets[packets.family], packets.destination).flatMap((piece) => {
      const to = piece.value?.find(other)
      return to ? [{ packets: { ...packets, destination: { low: piece.low, high: piece.high } }, to: to.node }] : []
    })
  const mine = (prefixes: readonly Prefix[]): readonly Prefix[] =>
    prefixes.flatMap((prefix) => place.prefixes.flatMap((own) => (contains(prefix, own) ? [own] : contains(own, prefix) ? [prefix] : [])))
  for (const lan of node.of.lans) {
    const beside = node.of.lans.filter((other) => isSameLan(lan, other)).map((other) => other.prefix)
    for (const inside of packetsBetween(mine([lan.prefix]), beside, [anyPort])) for (const traffic of wanted(inside)) yield { ...traffic, rule: null }
  }
  for (const rule of node.of.rules) {
    const sources = mine(rule.from.prefixes)
    if (sources.length === 0) continue
    for (const allowed of packetsBetween(sources, rule.to.prefixes, rule.ports))
      for (const { packets, to } of wanted(allowed)) for (const rest of undenied(node, packets)) yield { packets: rest, to, rule }
  }
}

function undenied(node: Node, packets: Packets): readonly Packets[] {
  const left: Packets[] = []
  const todo = [packets]
  for (let piece = todo.pop(); piece; piece = todo.pop()) {
    const denies = match(node.denies, piece)
    if (denies.kind === 'split') todo.push(...denies.pieces)
    else if (denies.value.length === 0) left.push(piece)
  }
  return left
}

/** In whichever class their LAN lets them have. */
const deliveryOf = (models: readonly Model[], model: Model, node: Node, packets: Packets, given: ClassId): Delivery | null =>
  marked(model, node, packets, given)
    .flatMap((piece) => piece.classes.map((trafficClass) => ({ packets: piece.packets, trafficClass })))
    .reduce<Delivery | null>((found, one) => found ?? anyDelivery(models, node.id, one.packets, one.trafficClass), null)

const targetName = (places: readonly Place[], packets: Packets): string => {
  const hit = places.find((place) =>
    place.prefixes.some((prefix) => {
      const range = rangeOf(prefix)
      return range.family === packets.family && range.low <= packets.destination.low && packets.destination.low <= range.high
    }),
  )
  return hit ? placeName(hit) : 'there'
}
