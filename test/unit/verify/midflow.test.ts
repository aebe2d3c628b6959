/**
 * Connections that are open when something fails. State is kept by the owners alone: the gateways of the two LANs, a
 * cloud's security groups, a peer's own firewall. Whoever carries keeps none. So whatever way a failure sends the packets
 * of an open connection, they meet the same owners, and those know it: it passes wherever a new one would, and there is
 * nothing for a finding to say. Where a second gateway takes over, it knows nothing: there it passes from the next packet
 * of who opened it, and not before. A hub that translates would end that: then this fails first.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ClassId, Group, NodeId, Place } from '#src/fabric/fabric.ts'
import { isSecondGateway, siteOfGateway } from '#src/fabric/ids.ts'
import { nodesOf } from '#src/fabric/slice.ts'
import { addressFromBits, rangeOf } from '#src/net/address.ts'
import { breaksOf, nothingDown } from '#src/verify/failures.ts'
import { type Arrival, decide, type Decision, type Down, follow, type Next, walk } from '#src/verify/forward.ts'
import { match, type Model, modelOf } from '#src/verify/model.ts'
import { type Packet, packetsOfOne } from '#src/verify/packets.ts'
import { dutyOf, gatewaysAt, standingBy } from '#src/verify/pairs.ts'
import { verify } from '#src/verify/verify.ts'
import { anyFabric, reader, type Reader } from './random.ts'

type Choose = (node: NodeId, group: Group, down: Down) => number | 'unreachable'
const passes = <T>(answer: { readonly kind: 'one'; readonly value: T } | { readonly kind: 'split' }): T => {
  if (answer.kind === 'split') throw new Error('one packet was cut in two')
  return answer.value
}

/**
 * One packet through gateways with state: who knows the connection passes it, who owns an end and doesn't asks its rules.
 * Where it arrives, or null; who asked learns the connection.
 */
function send(model: Model, packet: Packet, from: NodeId, trafficClass: ClassId, state: Set<NodeId>, down: Down, choose: Choose): NodeId | null {
  const packets = packetsOfOne(packet)
  let node = model.node(from)!
  const given = node.of.kind === 'site' ? trafficClass : ('default' as ClassId)
  let arrival: Arrival = { kind: 'lan' }
  for (let hops = 0; hops < 8; hops++) {
    const decision: Decision = passes(decide(model, node, arrival, packets, given, state.has(node.id) ? 'reply' : 'request', false))
    if (decision.kind === 'drop' || decision.kind === 'exit') return null
    if (arrival.kind === 'lan' || decision.kind === 'deliver') state.add(node.id)
    if (decision.kind === 'deliver') return node.id
    const index = choose(node.id, decision.group, down)
    const next: Next | undefined = index === 'unreachable' ? undefined : passes(follow(model, node, decision.group.via[index]!, packets))
    if (next?.kind !== 'to') return null
    node = next.node
    arrival = next.arrival
  }
  return null
}

/** Any hop that is up, the same for the same group each time. */
const anyHop =
  (seed: number): Choose =>
  (node, group, down) => {
    const up = [...group.via.entries()].filter(([, hop]) => !down(hop.tunnel)).map(([i]) => i)
    const text = `${seed} ${node} ${group.remote} ${group.trafficClass} ${group.arrived}`
    return up.length === 0 ? 'unreachable' : up[[...text].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 9_973, 7) % up.length]!
  }
function packetBetween(of: Reader, from: Place, to: Place): Packet | undefined {
  const host = ({ prefixes }: Place) => {
    const { family, low, high } = rangeOf(of.pick(prefixes))
    return addressFromBits(family, low + BigInt(of.below(Number(high - low) + 1)))
  }
  const [protocol, port] = of.pick([
    ['tcp', 1],
    ['tcp', 2],
    ['udp', 1],
    ['icmp', 0],
  ] as const)
  return from === to ? undefined : { source: host(from), destination: host(to), protocol, port }
}

const seen = { opened: 0, moved: 0, external: 0, lostByBoth: 0, takenOver: 0, waits: 0 }

test('an open connection passes after a failure wherever a new one would', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9_999), { minLength: 90, maxLength: 90 }), (tape) => {
      const of = reader(tape)
      const fabric = anyFabric(of, 3)
      // Two owners of one address, or a route to a stranger, are refused whatever is expected.
      if (verify({ ...fabric, expects: [] }).findings.some(({ severity }) => severity === 'error')) return
      const model = modelOf(fabric)
      const places = nodesOf(fabric)
        .filter(({ id }) => !isSecondGateway(id))
        .flatMap(({ id, lans }) => lans.map((lan): Place => ({ node: id, segment: lan.segment, prefixes: [lan.prefix] })))
      /** Who is on duty at either site, and what is down for them. */
      const shift = (sites: readonly NodeId[], down: Down) => {
        const all = sites.map((site) => gatewaysAt(model, site))
        const [near, far] = all.map((gateways) => dutyOf(gateways, down, 'settled')[0]!)
        return { near: near!.id, far: far!.id, down: standingBy(all[0]!, near!, standingBy(all[1]!, far!, down)) }
      }
      const sitesOf = (state: ReadonlySet<NodeId>) => [...new Set([...state].map(siteOfGateway))].sort()
      for (let n = 0; n < 12; n++) {
        const [from, to] = [of.pick(places), of.pick(places)]
        const packet = packetBetween(of, from, to)
        const rule = packet && passes(match(model.node(from.node)!.rules, packetsOfOne(packet)))[0]
        if (!packet || !rule || from.node === to.node) continue
        const reply: Packet = { ...packet, source: packet.destination, destination: packet.source }
        const [before, after] = [anyHop(of.below(9_999)), anyHop(of.below(9_999))]
        const state = new Set<NodeId>()
        const { trafficClass } = rule
        const first = shift([from.node, to.node], nothingDown)
        if (send(model, packet, first.near, trafficClass, state, first.down, before) === null) continue
        if (send(model, reply, first.far, trafficClass, state, first.down, before) === null) continue
        seen.opened++
        const firstWay = walk(model, packet, first.down, { from: first.near, trafficClass, choose: before }).hops.map(({ hop }) => hop.tunnel)
        if (nodesOf(fabric).some(({ id, kind }) => kind !== 'site' && state.has(id))) seen.external++
        for (const { down: broken, dead } of breaksOf(fabric).all) {
          if (dead === from.node || dead === to.node) continue
          const options = { trafficClass, choose: after }
          const { near, far, down } = shift([from.node, to.node], broken)
          const there = walk(model, packet, down, { from: near, ...options })
          const back = walk(model, reply, down, { from: far, direction: 'reply', ...options })
          const isNewCarried = there.outcome.kind === 'delivered' && back.outcome.kind === 'delivered'
          const known = new Set(state)
          const isTakenOver = near !== first.near || far !== first.far
          if (isTakenOver && isNewCarried) {
            seen.takenOver++
            if (send(model, reply, far, trafficClass, new Set(state), down, after) === null) seen.waits++
          }
          const isOpenCarried =
            send(model, packet, near, trafficClass, known, down, after) !== null && send(model, reply, far, trafficClass, known, down, after) !== null
          expect({ isOpenCarried, known: sitesOf(known) }).toEqual({ isOpenCarried: isNewCarried, known: sitesOf(state) })
          if (!isNewCarried) seen.lostByBoth++
          else if (there.hops.some(({ hop }, i) => hop.tunnel !== firstWay[i])) seen.moved++
        }
      }
    }),
    { numRuns: Number(process.env['RUNS'] ?? 1_500), seed: 13 },
  )
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(50)
}, 600_000)
