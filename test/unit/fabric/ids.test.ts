import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  deviceName,
  edgeStem,
  firstEdgePort,
  firstMeshPort,
  hubPort,
  hubStem,
  insideOf,
  listenPort,
  loopbackOf,
  meshStem,
  nodeLimit,
  publicPort,
} from '#src/fabric/ids.ts'
import { address, addressWithLength, contains, prefix } from '#src/net/address.ts'

const slot = fc.integer({ min: 0, max: 7 })
const node = fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: nodeLimit - 1 }))
const epoch = fc.integer({ min: 0, max: 9 })
const ula = prefix('fd12:3456:789a::/48')

describe('kernel names', () => {
  test('say kind, slots and parity', () => {
    expect(deviceName(hubStem(1, 3), 0)).toBe('cwh1s3p0')
    expect(deviceName(edgeStem(2, 0, 1), 7)).toBe('cwe2u0u1p1')
    expect(deviceName(meshStem(36, 1, 0), 2)).toBe('cwm10u1u0p0')
  })
  test('fit 15 characters for every node that a network can hold', () => {
    expect(deviceName(edgeStem(nodeLimit - 1, 7, 7), 1)).toBe('cwezzzzzzu7u7p1')
    fc.assert(
      fc.property(node, slot, slot, epoch, (index, own, far, e) =>
        [edgeStem(index, own, far), meshStem(index, own, far), hubStem(own, far)].every((stem) => deviceName(stem, e).length <= 15),
      ),
    )
  })
  test('are different for different tunnels, also where an index contains the letter u', () => {
    const planned = fc.record({
      kind: fc.constantFrom('edge', 'mesh', 'hub'),
      index: fc.oneof(node, fc.constantFrom(30, 36 * 30, 1080 + 30)),
      own: slot,
      far: slot,
    })
    const stem = ({ kind, index, own, far }: { kind: string; index: number; own: number; far: number }) =>
      kind === 'hub' ? hubStem(own, far) : (kind === 'edge' ? edgeStem : meshStem)(index, own, far)
    const identity = ({ kind, index, own, far }: { kind: string; index: number; own: number; far: number }) =>
      [kind, kind === 'hub' ? '' : index, own, far].join()
    fc.assert(
      fc.property(planned, planned, (a, b) => {
        expect(stem(a) === stem(b)).toBe(identity(a) === identity(b))
      }),
    )
  })
})

describe('ports', () => {
  test('of hub interfaces are 51820 and up, one pair per (own slot, remote slot), below the mesh', () => {
    const all = Array.from({ length: 64 }, (_, i) => hubPort(i >> 3, i & 7))
    expect(all[0]).toBe(51820)
    expect(new Set(all.flatMap((port) => [listenPort(port, 0), listenPort(port, 1)])).size).toBe(128)
    expect(Math.max(...all) + 1).toBeLessThan(firstMeshPort)
    expect(firstMeshPort).toBeLessThan(firstEdgePort)
  })
  test('behind a forwarding router count from its base', () => {
    const endpoint = {
      kind: 'fixed',
      address: addressWithLength('10.0.0.2/24'),
      router: address('10.0.0.1'),
      public: address('203.0.113.7'),
      base: 40000,
    } as const
    expect(publicPort(endpoint, hubPort(0, 1))).toBe(40002)
    expect(publicPort({ ...endpoint, base: 51820 }, 52003)).toBe(52003)
  })
})

describe('overlay addresses', () => {
  test('are readable', () => {
    expect(insideOf(ula, 1, 0, 0)).toBe('fd12:3456:789a:1::4')
    expect(insideOf(ula, 1, 1, 1)).toBe('fd12:3456:789a:1::7')
    expect(loopbackOf(ula, 0)).toBe('fd12:3456:789a::1')
  })
  test('differ for every (tunnel, end, parity), lie in the ULA and never meet a loopback', () => {
    const inside = fc.record({
      tunnel: fc.integer({ min: 1, max: 2 ** 40 }),
      end: fc.constantFrom(0 as const, 1 as const),
      parity: fc.constantFrom(0, 1),
    })
    fc.assert(
      fc.property(inside, inside, node, (a, b, index) => {
        const of = (x: typeof a) => insideOf(ula, x.tunnel, x.end, x.parity)
        expect(of(a) === of(b)).toBe(a.tunnel === b.tunnel && a.end === b.end && a.parity === b.parity)
        expect(contains(ula, of(a)) && contains(ula, loopbackOf(ula, index))).toBe(true)
        expect(of(a)).not.toBe(loopbackOf(ula, index))
      }),
    )
  })
})
