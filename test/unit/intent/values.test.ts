import fc from 'fast-check'
import { formatDuration, formatRate } from '#src/fabric/quantities.ts'
import { describe, expect, it } from 'vitest'
import type { Parsed } from '#src/net/address.ts'
import {
  formatPercent,
  mediumOfName,
  meteredByDefault,
  parseDscp,
  parseDuration,
  parseInterface,
  parseName,
  parsePercent,
  parsePublic,
  parseRate,
  parseShare,
} from '#src/intent/values.ts'

const value = <T>(parsed: Parsed<T>): T => {
  if (!parsed.ok) throw new Error(parsed.says)
  return parsed.value
}
const refused = (parsed: Parsed<unknown>): string => (parsed.ok ? 'accepted' : `${parsed.says}: ${parsed.instead}`)

describe('rates', () => {
  it.each([
    ['500M/100M', { down: 500e6, up: 100e6 }],
    ['300M', { down: 300e6, up: 300e6 }],
    ['2.5G', { down: 2.5e9, up: 2.5e9 }],
    ['64K', { down: 64_000, up: 64_000 }],
    ['1000', { down: 1000, up: 1000 }],
    ['100T', { down: 100e12, up: 100e12 }],
  ])('%s', (text, rate) => {
    expect(value(parseRate(text))).toEqual(rate)
  })
  it.each([
    '',
    '500m',
    '500Mbit/s',
    '500 M',
    'M',
    '1/2/3',
    '-1M',
    '1e6',
    '999',
    '101T',
    '/100M',
    '500M/',
    '500M/fast',
    'Infinity',
    'NaN',
    '1'.repeat(400),
  ])('"%s" is none', (text) => {
    expect(refused(parseRate(text))).toContain('is not a rate: write bits per second as down/up like 500M/100M, or once for both like 1G')
  })
  it('survive being written and read', () => {
    const bits = fc.tuple(fc.integer({ min: 1, max: 999_999 }), fc.constantFrom(1e3, 1e6)).map(([n, unit]) => n * unit)
    fc.assert(
      fc.property(bits, bits, (down, up) => {
        expect(value(parseRate(formatRate({ down, up })))).toEqual({ down, up })
      }),
    )
  })
})

describe('times', () => {
  it.each([
    ['120ms', 120],
    ['1.5s', 1500],
    ['60s', 60_000],
    ['none', 0],
  ])('%s', (text, ms) => {
    expect(value(parseDuration(text))).toBe(ms)
  })
  it('have a unit', () => {
    expect(refused(parseDuration('120'))).toBe('"120" is not a time, its unit is missing: write 120ms, or 120s')
  })
  it.each(['', '0ms', '61s', '2m', 'ms', '1.ms', '-1ms', '0.5ms'])('"%s" is none', (text) => {
    expect(refused(parseDuration(text))).toContain('write a time from 1ms to 60s like 120ms, or none')
  })
  it('survive being written and read', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60_000 }), (ms) => {
        expect(value(parseDuration(formatDuration(ms)))).toBe(ms)
      }),
    )
    expect(formatDuration(0)).toBe('none')
  })
})

describe('percentages', () => {
  it.each([
    ['2%', 0.02],
    ['0.5%', 0.005],
    ['0.07%', 0.0007],
    ['99%', 0.99],
    ['none', 0],
  ])('%s', (text, fraction) => {
    expect(value(parsePercent(text))).toBe(fraction)
  })
  it('are not fractions', () => {
    expect(refused(parsePercent('0.02'))).toBe('"0.02" is not a percentage: write 2%, or 0.02%')
    expect(refused(parsePercent('2'))).toBe('"2" is not a percentage: write 2%')
  })
  it.each(['0%', '100%', '%', '-1%', '2 %', ''])('"%s" is none', (text) => {
    expect(refused(parsePercent(text))).toContain('write more than 0% and less than 100%, like 2%, or none')
  })
  it('survive being written and read', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9999 }), (hundredths) => {
        const fraction = Number(`${hundredths}e-4`)
        expect(value(parsePercent(formatPercent(fraction)))).toBe(fraction)
      }),
    )
    expect(formatPercent(0)).toBe('none')
  })
  it('of a line are whole', () => {
    expect(value(parseShare('30%'))).toBe(30)
    expect(value(parseShare('100'))).toBe(100)
    for (const text of ['0', '101', '30.5%', '', 'all'])
      expect(refused(parseShare(text))).toContain('write a whole percentage from 1 to 100, like 30%')
  })
})

describe('DSCPs', () => {
  it.each([
    ['EF', 46],
    ['af41', 34],
    ['CS1', 8],
    ['CS0', 0],
    ['LE', 1],
    ['VA', 44],
    ['63', 63],
  ])('%s', (text, dscp) => {
    expect(value(parseDscp(text))).toBe(dscp)
  })
  it.each(['64', 'AF44', 'AF51', 'CS8', '-1', 'VOICE', ''])('"%s" is none', (text) => {
    expect(refused(parseDscp(text))).toContain('write a name like EF, AF21, CS1 or LE, or a number from 0 to 63')
  })
})

describe('public endpoints', () => {
  it.each([
    ['203.0.113.7', { address: '203.0.113.7', base: 51820 }],
    ['203.0.113.7:40000', { address: '203.0.113.7', base: 40000 }],
    ['2001:db8::7', { address: '2001:db8::7', base: 51820 }],
    ['[2001:db8::7]:40000', { address: '2001:db8::7', base: 40000 }],
  ])('%s', (text, endpoint) => {
    expect(value(parsePublic(text))).toEqual(endpoint)
  })
  it.each(['203.0.113.7:80', '203.0.113.7:65536', '203.0.113.7:', 'hub.example.net', '203.0.113.7/24', ''])('"%s" is none', (text) => {
    expect(parsePublic(text).ok).toBe(false)
  })
})

describe('names', () => {
  it.each(['berlin', 'b1', 'aws-eu-west-1', 'x'.repeat(40)])('%s', (text) => {
    expect(value(parseName(text))).toBe(text)
  })
  it.each([
    ['Berlin', 'write berlin: '],
    ['new york', 'write new-york: '],
    ['a--b', 'write a-b: '],
    ['-x-', 'write x: '],
    ['1', 'write lower-case letters'],
    ['', 'write lower-case letters'],
    ['x'.repeat(41), 'write at most 40'],
    ['__proto__', 'write proto: '],
  ])('"%s" is none', (text, instead) => {
    expect(refused(parseName(text))).toContain(`: ${instead}`)
  })
  it('of interfaces are Linux’s', () => {
    for (const text of ['eth0', 'bond0.10', 'enp1s0f0np0', 'wwan0', 'cwan0', 'br-lan']) expect(value(parseInterface(text))).toBe(text)
    for (const text of ['', 'eth 0', '-eth0', 'a/b', 'enterprise-link0', 'lo', 'cwh0s1p0', 'cwe0u1', 'cwm2', 'eth0\n', 'eth0;reboot'])
      expect(parseInterface(text).ok).toBe(false)
  })
  it('say what an uplink is made of', () => {
    expect(['fiber', 'lte-b', '5g', 'isp-a', 'ltex', 'sat-2', 'lte2', 'lte2-b'].map(mediumOfName)).toEqual([
      'fiber',
      'lte',
      '5g',
      'ethernet',
      'ethernet',
      'sat',
      'lte',
      'lte',
    ])
    expect(['lte', '5g', 'sat', 'fiber', 'ethernet'].map(meteredByDefault)).toEqual([true, true, true, false, false])
  })
})
