import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anyPort, formatPortRange, parsePortRange } from '#src/net/ports.ts'

describe('ports', () => {
  it.each([
    ['tcp/8443', { protocol: 'tcp', from: 8443, to: 8443 }],
    ['udp/5004-5010', { protocol: 'udp', from: 5004, to: 5010 }],
    ['tcp', { protocol: 'tcp', from: 0, to: 65535 }],
    ['icmp', { protocol: 'icmp', from: 0, to: 65535 }],
    ['any', anyPort],
  ])('%s', (text, range) => {
    expect(parsePortRange(text)).toEqual({ ok: true, value: range })
    expect(formatPortRange(range as never)).toBe(text)
  })
  it.each([
    ['8443', '"8443" is not a port'],
    ['TCP/8443', '"TCP/8443" is not a port'],
    ['tcp/0', '"tcp/0" is out of range'],
    ['tcp/65536', '"tcp/65536" is out of range'],
    ['udp/9-5', '"udp/9-5" ends before it starts'],
    ['icmp/8', 'icmp has no ports'],
    ['tcp/ 80', '"tcp/ 80" is not a port'],
    ['tcp/80-', '"tcp/80-" is not a port'],
  ])('"%s" is refused', (text, says) => {
    expect(parsePortRange(text)).toMatchObject({ ok: false, says })
  })
  it('survive being written and read', () => {
    const ranges = fc.tuple(fc.constantFrom('tcp' as const, 'udp' as const), fc.integer({ min: 1, max: 65535 }), fc.integer({ min: 1, max: 65535 }))
    fc.assert(
      fc.property(ranges, ([protocol, a, b]) => {
        const range = { protocol, from: Math.min(a, b), to: Math.max(a, b) }
        expect(parsePortRange(formatPortRange(range))).toEqual({ ok: true, value: range })
      }),
    )
  })
})
