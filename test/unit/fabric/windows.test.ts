import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatWindow, isOpen, isTimezone, nextOpening, readWindow } from '#src/fabric/windows.ts'

const windowOf = (text: string) => {
  const read = readWindow(text)
  if (!read.ok) throw new TypeError(text)
  return read.value
}
/** When it opens and closes next, or is open now. */
const asked = (now: string, timezone: string, ...windows: readonly string[]): string => {
  const opening = nextOpening({ timezone, windows: windows.map(windowOf) }, Date.parse(now))
  if (!opening) return 'never'
  const text = (ms: number) => new Date(ms).toISOString().slice(0, 16)
  return `${isOpen(opening, Date.parse(now)) ? 'open' : 'closed'} ${text(opening.opens)} ${text(opening.closes)}`
}

describe('a window', () => {
  it.each([
    ['sun 02:00-04:00', { days: [0], from: 120, to: 240 }],
    ['Mon-Fri 22:00-06:00', { days: [1, 2, 3, 4, 5], from: 1320, to: 1800 }],
    ['fri-mon 01:00-02:30', { days: [0, 1, 5, 6], from: 60, to: 150 }],
    ['daily 00:00-24:00', { days: [0, 1, 2, 3, 4, 5, 6], from: 0, to: 1440 }],
  ])('%s', (text, value) => {
    expect(readWindow(text)).toEqual({ ok: true, value })
    expect(formatWindow(value)).toBe(text.toLowerCase())
  })
  it.each([
    '',
    'sun',
    'sunday 02:00-04:00',
    'sun 2:00-4:00',
    'sun 24:00-02:00',
    'sun 02:00-24:01',
    'sun 02:60-03:00',
    'xxx 02:00-04:00',
    '02:00-04:00',
  ])('is not "%s"', (text) => {
    expect(readWindow(text).ok).toBe(false)
  })
  it('is written as it is read', () => {
    const some = fc.record({ first: fc.nat(6), length: fc.integer({ min: 1, max: 7 }), from: fc.nat(1439), more: fc.integer({ min: 1, max: 1440 }) })
    fc.assert(
      fc.property(some, ({ first, length, from, more }) => {
        const days = Array.from({ length }, (_, i) => (first + i) % 7).sort((a, b) => a - b)
        const window = { days, from, to: from + more }
        expect(readWindow(formatWindow(window))).toEqual({ ok: true, value: window })
      }),
    )
  })
})

describe('the next opening', () => {
  it.each([
    // Thursday.
    ['2026-11-26T21:00:00Z', 'UTC', ['sun 02:00-04:00'], 'closed 2026-11-29T02:00 2026-11-29T04:00'],
    ['2026-11-26T21:00:00Z', 'Europe/Berlin', ['sun 02:00-04:00'], 'closed 2026-11-29T01:00 2026-11-29T03:00'],
    ['2026-11-26T21:00:00Z', 'Asia/Tokyo', ['fri 05:00-07:00'], 'open 2026-11-26T20:00 2026-11-26T22:00'],
    ['2026-11-29T01:00:00Z', 'Europe/Berlin', ['sun 02:00-04:00'], 'open 2026-11-29T01:00 2026-11-29T03:00'],
    ['2026-11-29T03:00:00Z', 'Europe/Berlin', ['sun 02:00-04:00'], 'closed 2026-12-06T01:00 2026-12-06T03:00'],
    ['2026-11-26T21:00:00Z', 'UTC', ['sun 02:00-04:00', 'fri 03:00-04:00'], 'closed 2026-11-27T03:00 2026-11-27T04:00'],
    // Into the next morning.
    ['2026-11-28T05:00:00Z', 'UTC', ['mon-fri 22:00-06:00'], 'open 2026-11-27T22:00 2026-11-28T06:00'],
    ['2026-11-28T07:00:00Z', 'UTC', ['mon-fri 22:00-06:00'], 'closed 2026-11-30T22:00 2026-12-01T06:00'],
    ['2026-11-28T07:00:00Z', 'Asia/Kathmandu', ['daily 00:00-24:00'], 'open 2026-11-27T18:15 2026-11-28T18:15'],
  ] as const)('at %s in %s of %j', (now, timezone, windows, answer) => {
    expect(asked(now, timezone, ...windows)).toBe(answer)
  })
  describe('where clocks change', () => {
    it.each([
      // Berlin, 29 March 2026: 02:00 CET is 03:00 CEST.
      ['2026-03-28T12:00:00Z', 'Europe/Berlin', 'sun 02:00-04:00', 'closed 2026-03-29T01:00 2026-03-29T02:00'],
      ['2026-03-28T12:00:00Z', 'Europe/Berlin', 'sun 02:15-02:45', 'closed 2026-03-29T01:15 2026-03-29T01:45'],
      ['2026-03-28T12:00:00Z', 'Europe/Berlin', 'sun 01:00-02:00', 'closed 2026-03-29T00:00 2026-03-29T01:00'],
      // Skipped whole: the week after.
      ['2026-03-28T12:00:00Z', 'Europe/Berlin', 'sun 02:00-03:00', 'closed 2026-04-05T00:00 2026-04-05T01:00'],
      // 25 October 2026: 03:00 CEST is 02:00 CET.
      ['2026-10-24T12:00:00Z', 'Europe/Berlin', 'sun 02:00-04:00', 'closed 2026-10-25T00:00 2026-10-25T03:00'],
      ['2026-10-24T12:00:00Z', 'Europe/Berlin', 'sun 02:30-02:45', 'closed 2026-10-25T00:30 2026-10-25T00:45'],
      ['2026-10-25T01:35:00Z', 'Europe/Berlin', 'sun 02:30-02:45', 'closed 2026-11-01T01:30 2026-11-01T01:45'],
      ['2026-10-25T02:30:00Z', 'Europe/Berlin', 'sun 02:00-04:00', 'open 2026-10-25T00:00 2026-10-25T03:00'],
      // Half an hour: Lord Howe, 5 April 2026, 02:00 is 01:30.
      ['2026-04-04T03:00:00Z', 'Australia/Lord_Howe', 'sun 01:00-03:00', 'closed 2026-04-04T14:00 2026-04-04T16:30'],
      // At midnight: Santiago, 6 September 2026, 00:00 is 01:00.
      ['2026-09-05T12:00:00Z', 'America/Santiago', 'sun 00:00-02:00', 'closed 2026-09-06T04:00 2026-09-06T05:00'],
    ])('at %s in %s of %s', (now, timezone, window, answer) => {
      expect(asked(now, timezone, window)).toBe(answer)
    })
  })
  it('is never past, and open exactly from its beginning to its end', () => {
    const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'Pacific/Apia']
    const some = fc.record({
      timezone: fc.constantFrom(...zones),
      now: fc.integer({ min: Date.parse('2024-01-01'), max: Date.parse('2030-01-01') }),
      first: fc.nat(6),
      from: fc.nat(1439),
      more: fc.integer({ min: 90, max: 1440 }),
    })
    fc.assert(
      fc.property(some, ({ timezone, now, first, from, more }) => {
        const maintenance = { timezone, windows: [{ days: [first], from, to: from + more }] }
        const opening = nextOpening(maintenance, now)!
        expect(opening.closes).toBeGreaterThan(now)
        expect(opening.opens - now).toBeLessThan(15 * 86_400_000)
        const at = (instant: number) => nextOpening(maintenance, instant)!
        expect(at(opening.opens)).toEqual(opening)
        expect(isOpen(at(opening.closes - 1), opening.closes - 1)).toBe(true)
        expect(isOpen(at(opening.closes), opening.closes)).toBe(false)
      }),
    )
  })
})

it.each([
  ['Europe/Berlin', true],
  ['UTC', true],
  ['America/Argentina/Buenos_Aires', true],
  ['Berlin', false],
  ['+01:00', false],
  ['EST', false],
  ['Europe/Berlni', false],
])('%s is a timezone: %s', (name, is) => {
  expect(isTimezone(name)).toBe(is)
})
