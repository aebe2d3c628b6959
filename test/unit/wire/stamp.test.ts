import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeProbe,
  decodeReply,
  encodeProbe,
  encodeReply,
  maximumClasses,
  maximumUnpadded,
  noTunnel,
  type Probe,
  type Reply,
} from '#src/wire/stamp.ts'

const uint32 = fc.integer({ min: 0, max: 0xffffffff })
// Whole milliseconds survive NTP's 2⁻³² s fractions only to within a nanosecond: compared rounded.
const times = fc.integer({ min: Date.UTC(1970, 0, 1), max: Date.UTC(2100, 0, 1) })
const end = {
  tunnel: uint32,
  generation: uint32,
  state: fc.constantFrom('INIT' as const, 'UP' as const, 'DEGRADED' as const, 'DOWN' as const),
  draining: fc.boolean(),
  received: uint32,
  highest: uint32,
  view: fc.array(uint32, { maxLength: maximumClasses }),
  session: fc.integer({ min: 0, max: 65535 }),
}
const probes: fc.Arbitrary<Probe> = fc.record({ ...end, sequence: uint32, sentAt: times })
const replies: fc.Arbitrary<Reply> = fc.record({
  ...end,
  sequence: uint32,
  sentAt: times,
  receivedAt: times,
  probeSequence: uint32,
  probeSentAt: times,
  probeTtl: fc.integer({ min: 0, max: 255 }),
})

const buffer = Buffer.alloc(2000)
const written = (length: number): Buffer => buffer.subarray(0, length)
const rounded = (of: Probe | Reply | undefined) =>
  of &&
  Object.fromEntries(Object.entries(of).map(([name, value]) => [name, name.endsWith('At') && typeof value === 'number' ? Math.round(value) : value]))

const probe: Probe = {
  sequence: 7,
  session: 0xbeef,
  // 2026-11-23T12:00:00.500Z is NTP second 0xeeaea940 and half of 2³².
  sentAt: Date.UTC(2026, 10, 23, 12, 0, 0, 500),
  tunnel: 0x0102,
  generation: 42,
  state: 'UP',
  draining: false,
  received: 1000,
  highest: 1001,
  view: [0x0102, noTunnel],
}

describe('the bytes of RFC 8762 and RFC 8972', () => {
  test('a session-sender packet: 44 bytes of base, then TLVs with the U flag set', () => {
    expect(written(encodeProbe(buffer, probe)).toString('hex')).toBe(
      [
        '00000007', // sequence number
        'eeaea94080000000', // timestamp, NTP
        '1601', // error estimate: not synchronised, scale 22, multiplier 1
        'beef', // SSID
        '00'.repeat(28), // must be zero
        '80fc000c',
        '00000102',
        '0000002a',
        '01',
        '00',
        '0000', // path: tunnel, generation, UP, no flags
        '80fd0008',
        '000003e8',
        '000003e9', // counters: received, highest
        '80fe0008',
        '00000102',
        'ffffffff', // view by class index
      ].join(''),
    )
  })

  test("a session-reflector packet: the sender's fields copied behind the reflector's own", () => {
    const reply: Reply = {
      ...probe,
      sequence: 9,
      draining: true,
      state: 'DEGRADED',
      sentAt: probe.sentAt + 500,
      receivedAt: probe.sentAt + 250,
      probeSequence: 7,
      probeSentAt: probe.sentAt,
      probeTtl: 64,
      view: [],
    }
    expect(written(encodeReply(buffer, reply)).toString('hex')).toBe(
      [
        '00000009',
        'eeaea94100000000',
        '1601',
        'beef', // the reflector's sequence number, timestamp, error estimate, SSID
        'eeaea940c0000000', // receive timestamp
        '00000007',
        'eeaea94080000000',
        '1601',
        '0000', // of the sender: sequence number, timestamp, error estimate; must be zero
        '40',
        '000000', // TTL of the sender's packet; must be zero
        '00fc000c',
        '00000102',
        '0000002a',
        '02',
        '03',
        '0000', // path: DEGRADED, draining and reply
        '00fd0008',
        '000003e8',
        '000003e9',
        '00fe0000',
      ].join(''),
    )
  })

  test("the second era of NTP begins in February 2036, and probes don't mind", () => {
    for (const sentAt of [Date.UTC(2036, 1, 7, 6, 28, 15), Date.UTC(2036, 1, 7, 6, 28, 16), Date.UTC(2040, 0, 1)]) {
      expect(decodeProbe(written(encodeProbe(buffer, { ...probe, sentAt })))?.sentAt).toBe(sentAt)
    }
    expect(
      written(encodeProbe(buffer, { ...probe, sentAt: Date.UTC(2036, 1, 7, 6, 28, 16) }))
        .subarray(4, 12)
        .toString('hex'),
    ).toBe('0000000000000000')
  })
})

describe('round trip', () => {
  test('a probe is decoded as it was encoded', () => {
    fc.assert(
      fc.property(probes, (any) => {
        expect(rounded(decodeProbe(written(encodeProbe(buffer, any))))).toEqual(any)
      }),
    )
  })
  test('so is a reply', () => {
    fc.assert(
      fc.property(replies, (any) => {
        expect(rounded(decodeReply(written(encodeReply(buffer, any))))).toEqual(any)
      }),
    )
  })
  test('whatever the buffer held before does not show', () => {
    fc.assert(
      fc.property(probes, fc.integer({ min: 0, max: 1400 }), (any, padTo) => {
        const clean = Buffer.alloc(2000)
        const dirty = Buffer.alloc(2000, 0xff)
        const length = encodeProbe(clean, any, padTo)
        expect(encodeProbe(dirty, any, padTo)).toBe(length)
        expect(dirty.subarray(0, length).equals(clean.subarray(0, length))).toBe(true)
      }),
    )
  })
  test('fractions of a millisecond survive to within a microsecond', () => {
    const sentAt = probe.sentAt + 0.123
    expect(decodeProbe(written(encodeProbe(buffer, { ...probe, sentAt })))!.sentAt).toBeCloseTo(sentAt, 3)
  })
})

describe('padding', () => {
  test('reaches the size that is to be proved, with nothing else changed', () => {
    const length = encodeProbe(buffer, probe, 1312)
    expect(length).toBe(1312)
    expect(rounded(decodeProbe(written(length)))).toEqual(probe)
  })
  test('is at most 3 bytes more than asked for, never less', () => {
    fc.assert(
      fc.property(probes, fc.integer({ min: 0, max: 1500 }), (any, padTo) => {
        const bare = encodeProbe(buffer, any)
        const padded = encodeProbe(buffer, any, padTo)
        expect(padded - Math.max(bare, padTo)).toBeGreaterThanOrEqual(0)
        expect(padded - Math.max(bare, padTo)).toBeLessThanOrEqual(3)
      }),
    )
  })
  test('that does not fit into the buffer is an error of the caller', () => {
    expect(() => encodeProbe(Buffer.alloc(100), probe, 1312)).toThrow('a probe of 1312 bytes does not fit into 100')
  })
})

describe('what comes from the wire is never believed', () => {
  test('random bytes never throw and are never a probe by accident', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(decodeProbe(Buffer.from(bytes)) ?? decodeReply(Buffer.from(bytes))).toBeUndefined()
      }),
    )
  })
  test('a probe with bytes changed or cut never throws', () => {
    fc.assert(
      fc.property(probes, fc.nat(), fc.nat(255), fc.nat(), (any, at, value, cut) => {
        const packet = Buffer.from(written(encodeProbe(buffer, any)))
        packet[at % packet.length] = value
        const shorter = packet.subarray(0, cut % (packet.length + 1))
        for (const input of [packet, shorter]) {
          expect(() => [decodeProbe(input), decodeReply(input)]).not.toThrow()
        }
      }),
    )
  })
  test('a cut packet is no probe, wherever it is cut', () => {
    const packet = Buffer.from(written(encodeProbe(buffer, probe)))
    for (let length = 0; length < packet.length; length++) expect(decodeProbe(packet.subarray(0, length))).toBeUndefined()
  })
  test("a reply is not answered, and a probe answers nothing: two reflectors can't be set on each other", () => {
    fc.assert(
      fc.property(probes, (any) => {
        expect(decodeReply(written(encodeProbe(buffer, any)))).toBeUndefined()
      }),
    )
    fc.assert(
      fc.property(replies, (any) => {
        expect(decodeProbe(written(encodeReply(buffer, any)))).toBeUndefined()
      }),
    )
  })
  test("TLVs that we don't know are passed over", () => {
    const bare = Buffer.from(written(encodeProbe(buffer, probe)))
    const foreign = Buffer.from('80040004deadbeef', 'hex')
    expect(rounded(decodeProbe(Buffer.concat([bare.subarray(0, 44), foreign, bare.subarray(44), foreign])))).toEqual(probe)
  })
  test('a TLV that the reflector marked as malformed or unrecognised spoils the reply', () => {
    const length = encodeReply(buffer, { ...probe, receivedAt: 0, probeSequence: 0, probeSentAt: 0, probeTtl: 0 })
    for (const verdict of [0x40, 0x80]) {
      const packet = Buffer.from(written(length))
      packet[44] = verdict
      expect(decodeReply(packet)).toBeUndefined()
    }
  })
  test('an unknown state is no probe', () => {
    const packet = Buffer.from(written(encodeProbe(buffer, probe)))
    packet[44 + 4 + 8] = 4
    expect(decodeProbe(packet)).toBeUndefined()
  })
})

test('any probe without padding fits into maximumUnpadded bytes, and one class more is an error', () => {
  const full = { ...probe, view: Array.from({ length: maximumClasses }, () => 1) }
  expect(encodeProbe(Buffer.alloc(maximumUnpadded), full)).toBe(maximumUnpadded)
  expect(() => encodeProbe(buffer, { ...full, view: [...full.view, 1] })).toThrow('at most 64 classes fit into a probe, not 65')
})
