import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anyPort, applicationsOf, formatPortRange, parsePortRange, portsOverlap, rangesOf } from '#src/net/ports.ts'

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

describe('on the line of all applications', () => {
  const read = (text: string) => {
    const parsed = parsePortRange(text)
    if (!parsed.ok) throw new TypeError(parsed.says)
    return parsed.value
  }
  it.each([
    [['tcp/22'], ['tcp/22']],
    [
      ['tcp', 'udp'],
      ['tcp', 'udp'],
    ],
    [
      ['tcp/1-5', 'tcp/6', 'icmp'],
      ['tcp/1-6', 'icmp'],
    ],
    [['any'], ['any']],
  ])('%j are %j', (from, to) => {
    const ranges = rangesOf(from.map(read).map(applicationsOf))
    expect(ranges.map(({ ports }) => formatPortRange(ports))).toEqual(to)
    expect(ranges.flatMap(({ except }) => except)).toEqual([])
  })
  it('what is missing of any is named', () => {
    const { low, high } = applicationsOf(read('tcp/22'))
    const [all] = rangesOf([
      { low: 0, high: low - 1 },
      { low: high + 1, high: applicationsOf(anyPort).high },
    ])
    expect(all).toEqual({ ports: anyPort, except: [read('tcp/22')] })
  })
  it.each([
    ['tcp/22', 'tcp/1-22', true],
    ['tcp/22', 'udp/22', false],
    ['tcp/22', 'tcp/23', false],
    ['icmp', 'any', true],
    ['icmp', 'icmp', true],
  ])('%s and %s overlap: %s', (a, b, expected) => expect(portsOverlap(read(a), read(b))).toBe(expected))
})
