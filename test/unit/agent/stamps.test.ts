/** One path and its two ends, packet by packet. */
import { expect, test } from 'vitest'
import { createProbed, type ProbedPath } from '#src/agent/paths.ts'
import { createStamps } from '#src/agent/stamps.ts'
import { configure } from '#src/compile/configure.ts'
import type { Fact, SiteId } from '#src/fabric/fabric.ts'
import { overall } from '#src/path/machine.ts'
import { configOf, smallFabric } from './networks.ts'

const facts: Fact[] = ['berlin', 'frankfurt'].flatMap((site) =>
  configOf(site).interfaces.map(
    (one) => ({ kind: 'key', site: site as SiteId, interface: one.id, linkEpoch: one.linkEpoch, publicKey: 'x'.repeat(44) }) as const,
  ),
)
const configs = [configure(smallFabric(), facts, 'berlin' as SiteId), configure(smallFabric(), facts, 'frankfurt' as SiteId)] as const
const { id } = configs[0].tunnels[0]!
const wall = Date.parse('2026-11-23T10:00:00Z')

/** Berlin decides and Frankfurt follows. What either sends lies here until it is delivered. */
function path() {
  let at = 0
  const wire: { to: 0 | 1; packet: Buffer }[] = []
  const [said, widths]: [string[], string[]] = [[], []]
  const sides = ([0, 1] as const).map((n) => {
    const record = createProbed(configs[n].tunnels.find((one) => one.id === id)!, configs[n], 0, () => n / 2)
    let receive: (packet: Buffer, from: string) => void = () => {}
    let breaks = () => {}
    const stamps = createStamps({
      open(_, onPacket, onBroken) {
        receive = onPacket
        breaks = onBroken
        return { send: (packet, length) => wire.push({ to: n === 0 ? 1 : 0, packet: Buffer.from(packet.subarray(0, length)) }), close() {} }
      },
      tick: () => at,
      wall: () => wall + at,
      random: () => 0.5,
      mtu: () => 1_400,
      view: ({ tunnel, received, highest, path: of }: ProbedPath) => ({
        tunnel: tunnel.index,
        generation: 1,
        state: overall(of),
        draining: false,
        received,
        highest,
        view: [],
      }),
      heard: (_, work) => work(at),
      said: (_, view) => said.push(`${n} hears ${view.state}, ${view.received} received`),
      widthChanged: () => widths.push(`${n}`),
    })
    stamps.open(record)
    return { record, stamps, receive: (packet: Buffer, from: string = record.tunnel.farInside) => receive(packet, from), breaks: () => breaks() }
  })
  const [berlin, frankfurt] = [sides[0]!, sides[1]!]
  return {
    berlin,
    frankfurt,
    wire,
    said,
    widths,
    pass: (ms: number) => (at += ms),
    /** The oldest packet arrives; its length. */
    deliver() {
      const { to, packet } = wire.shift()!
      sides[to]!.receive(packet)
      return packet.length
    },
  }
}

test('a probe is reflected, and its answer measures the way', () => {
  const { berlin, frankfurt, wire, said, pass, deliver } = path()
  berlin.stamps.send(berlin.record, 0)
  pass(20)
  deliver()
  pass(20)
  deliver()
  expect(wire).toEqual([])
  expect([berlin.record.path.rttMs, frankfurt.record.received]).toEqual([40, 1])
  expect(said).toEqual(['1 hears INIT, 0 received', '0 hears INIT, 1 received'])
  expect(berlin.record.nextAt).toBeGreaterThan(0)
})
test('who hears is no longer in doubt', () => {
  const { berlin, frankfurt, deliver } = path()
  berlin.record.suspect = frankfurt.record.suspect = true
  berlin.stamps.send(berlin.record, 0)
  deliver()
  expect([berlin.record.suspect, frankfurt.record.suspect]).toEqual([true, false])
  deliver()
  expect(berlin.record.suspect).toBe(false)
})
test('what comes late counts, and says nothing new', () => {
  const { berlin, frankfurt, wire, said, deliver } = path()
  for (const at of [0, 1]) berlin.stamps.send(berlin.record, at)
  wire.reverse()
  deliver()
  deliver()
  expect([frankfurt.record.received, frankfurt.record.highest, said.length]).toEqual([2, 1, 1])
})
test('a far end that started again counts from 0', () => {
  const { berlin, frankfurt, deliver } = path()
  for (const at of [0, 1, 2]) berlin.stamps.send(berlin.record, at)
  for (let n = 0; n < 3; n++) deliver()
  expect([frankfurt.record.received, frankfurt.record.highest]).toEqual([3, 2])
  const again = path()
  Object.assign(again.berlin.record, { session: berlin.record.session + 1 })
  again.berlin.stamps.send(again.berlin.record, 3)
  frankfurt.receive(again.wire[0]!.packet)
  expect([frankfurt.record.received, frankfurt.record.highest]).toEqual([1, 0])
})
test('nobody else is heard: another address, another tunnel, an answer to a session before, noise', () => {
  const { berlin, frankfurt, wire, said, deliver } = path()
  berlin.stamps.send(berlin.record, 0)
  const { packet } = wire[0]!
  frankfurt.receive(packet, 'fd00::bad')
  frankfurt.receive(packet.subarray(0, 30))
  const { tunnel } = frankfurt.record
  frankfurt.record.tunnel = { ...tunnel, index: tunnel.index + 1 }
  frankfurt.receive(packet)
  frankfurt.record.tunnel = tunnel
  expect([frankfurt.record.received, said, wire.length]).toEqual([0, [], 1])
  deliver()
  Object.assign(berlin.record, { session: berlin.record.session + 1 })
  deliver()
  expect(berlin.record.path.rttMs).toBeNaN()
})
test('a full packet is answered by one as long, proves the width, and counts as no probe', () => {
  const { berlin, frankfurt, widths, deliver } = path()
  berlin.stamps.send(berlin.record, 0)
  expect([deliver(), deliver()].every((length) => length < 400)).toBe(true)
  berlin.record.path.narrow = true
  berlin.stamps.sendPadded(berlin.record, 1)
  expect([deliver(), deliver()]).toEqual([1_352, 1_352])
  expect([berlin.record.path.narrow, widths, frankfurt.record.received, berlin.record.sequence]).toEqual([false, ['0'], 1, 1])
})
test('a socket that broke is opened again a second later; until then probes count as sent', () => {
  const { berlin, wire, pass } = path()
  pass(500)
  berlin.breaks()
  expect([berlin.record.socket, berlin.record.reopenAt]).toEqual([null, 1_500])
  berlin.stamps.send(berlin.record, 600)
  expect([wire, berlin.record.sequence]).toEqual([[], 1])
})
