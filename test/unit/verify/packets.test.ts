import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { address, prefix } from '#src/net/address.ts'
import {
  applicationOf,
  cut,
  formatPacket,
  intersect,
  longest,
  overlay,
  type Packets,
  packetsBetween,
  packetsOfOne,
  reversed,
  sample,
  subtract,
  subtractAll,
} from '#src/verify/packets.ts'
import { ports } from './build.ts'

const span = (most: number) => fc.tuple(fc.nat(most), fc.nat(most)).map(([a, b]) => ({ low: BigInt(Math.min(a, b)), high: BigInt(Math.max(a, b)) }))
const box: fc.Arbitrary<Packets> = fc.record({ family: fc.constant(4 as const), source: span(5), destination: span(5), application: span(5) })
const points = Array.from({ length: 216 }, (_, i) => [BigInt(Math.floor(i / 36)), BigInt(Math.floor(i / 6) % 6), BigInt(i % 6)] as const)
const inside = (of: Packets, [s, d, a]: readonly [bigint, bigint, bigint]): boolean =>
  of.source.low <= s &&
  s <= of.source.high &&
  of.destination.low <= d &&
  d <= of.destination.high &&
  of.application.low <= a &&
  a <= of.application.high

describe('sets of packets, point by point', () => {
  test('intersect', () => {
    fc.assert(
      fc.property(box, box, (a, b) => {
        const common = intersect(a, b)
        for (const point of points) expect(common !== undefined && inside(common, point)).toBe(inside(a, point) && inside(b, point))
      }),
    )
  })
  test('subtract gives disjoint pieces of exactly the rest', () => {
    fc.assert(
      fc.property(box, box, (a, b) => {
        const rest = subtract(a, b)
        for (const point of points) expect(rest.filter((piece) => inside(piece, point)).length).toBe(inside(a, point) && !inside(b, point) ? 1 : 0)
      }),
    )
  })
  test('subtractAll', () => {
    fc.assert(
      fc.property(box, fc.array(box, { maxLength: 4 }), (a, others) => {
        const rest = subtractAll(a, others)
        for (const point of points)
          expect(rest.some((piece) => inside(piece, point))).toBe(inside(a, point) && !others.some((one) => inside(one, point)))
      }),
    )
  })
  test('families never meet', () => {
    const [v4] = packetsBetween([prefix('10.0.0.0/8')], [prefix('10.0.0.0/8'), prefix('fd00::/8')], [ports('any')])
    const [v6] = packetsBetween([prefix('fd00::/8')], [prefix('10.0.0.0/8'), prefix('fd00::/8')], [ports('any')])
    expect(v4?.family).toBe(4)
    expect(v6?.family).toBe(6)
    expect(intersect(v4!, v6!)).toBeUndefined()
    expect(subtract(v4!, v6!)).toEqual([v4])
  })
})

describe('longest-prefix match as spans', () => {
  const nested = fc.array(fc.tuple(fc.nat(31), fc.nat(5)), { maxLength: 8 }).map((list) => [
    ...new Map(
      list.map(([at, length]) => {
        const size = 2 ** (5 - length)
        return [`${at - (at % size)}/${length}`, { low: BigInt(at - (at % size)), high: BigInt(at - (at % size) + size - 1), value: length }]
      }),
    ).values(),
  ])
  test('each address gets the longest prefix that holds it', () => {
    fc.assert(
      fc.property(nested, fc.nat(31), (entries, at) => {
        const holding = entries.filter((one) => one.low <= BigInt(at) && BigInt(at) <= one.high).map((one) => one.value)
        const found = cut(longest(entries), { low: BigInt(at), high: BigInt(at) })
        expect(found).toEqual([{ low: BigInt(at), high: BigInt(at), value: holding.length === 0 ? undefined : Math.max(...holding) }])
        expect(cut(overlay(entries), { low: BigInt(at), high: BigInt(at) })[0]!.value?.length ?? 0).toBe(holding.length)
      }),
    )
  })
  test('cut covers the whole span without gaps', () => {
    fc.assert(
      fc.property(nested, span(31), (entries, whole) => {
        const pieces = cut(longest(entries), whole)
        expect(pieces[0]!.low).toBe(whole.low)
        expect(pieces.at(-1)!.high).toBe(whole.high)
        for (const [i, piece] of pieces.slice(1).entries()) expect(piece.low).toBe(pieces[i]!.high + 1n)
      }),
    )
  })
})

describe('one packet', () => {
  test.each([
    ['10.1.10.0/24', '10.10.0.0/16', 'tcp/8443', '10.1.10.10 → 10.10.0.10 tcp/8443'],
    ['10.1.10.0/30', '10.10.0.7/32', 'udp', '10.1.10.1 → 10.10.0.7 udp/1'],
    ['10.1.10.0/31', '10.10.0.0/16', 'icmp', '10.1.10.0 → 10.10.0.10 icmp'],
    ['fd01::/64', 'fd02::/64', 'any', 'fd01::a → fd02::a tcp/1'],
  ])('%s → %s %s is shown as %s', (from, to, port, text) => {
    const [packets] = packetsBetween([prefix(from)], [prefix(to)], [ports(port)])
    expect(formatPacket(sample(packets!))).toBe(text)
    expect(intersect(packets!, packetsOfOne(sample(packets!)))).toEqual(packetsOfOne(sample(packets!)))
  })
  test('what is neither TCP, UDP nor ICMP is in `any` alone', () => {
    const other = packetsOfOne({ source: address('10.0.0.1'), destination: address('10.0.0.2'), protocol: 'other', port: 0 }).application.low
    for (const text of ['tcp', 'udp', 'icmp']) expect(applicationOf(ports(text)).high < other).toBe(true)
    expect(applicationOf(ports('any')).high).toBe(other)
  })
  test('a reply has both ends exchanged', () => {
    const [packets] = packetsBetween([prefix('10.1.0.0/16')], [prefix('10.2.0.0/16')], [ports('tcp/1')])
    expect(reversed(reversed(packets!))).toEqual(packets)
    expect(reversed(packets!).source).toEqual(packets!.destination)
  })
})
