import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nextProbeAt, timingFor } from '#src/path/timing.ts'

describe('timingFor', () => {
  test.each([
    ['active', { state: 'UP', role: 'active', silentMs: 0, primaryDegraded: false }, 50],
    ['active and degraded', { state: 'DEGRADED', role: 'active', silentMs: 0, primaryDegraded: true }, 50],
    ['standby', { state: 'UP', role: 'standby', silentMs: 0, primaryDegraded: false }, 500],
    ['metered standby', { state: 'UP', role: 'metered-standby', silentMs: 0, primaryDegraded: false }, 15_000],
    ['metered standby, while the primary is degraded', { state: 'UP', role: 'metered-standby', silentMs: 0, primaryDegraded: true }, 1_000],
    ['searching, whatever the role', { state: 'INIT', role: 'metered-standby', silentMs: 29_999, primaryDegraded: false }, 200],
    ['backing off after 30 s', { state: 'DOWN', role: 'active', silentMs: 30_000, primaryDegraded: false }, 400],
    ['and more after a minute', { state: 'DOWN', role: 'active', silentMs: 60_000, primaryDegraded: false }, 800],
    ['at most 5 s', { state: 'DOWN', role: 'standby', silentMs: 86_400_000, primaryDegraded: false }, 5_000],
    ['at most 15 s where it costs money', { state: 'DOWN', role: 'metered-standby', silentMs: 86_400_000, primaryDegraded: false }, 15_000],
  ] as const)('%s', (_, question, intervalMs) => {
    expect(timingFor(question)).toEqual({ intervalMs, multiplier: 3 })
  })
})

test('the next probe leaves within 25 % of the interval, by the number that the caller drew', () => {
  expect(nextProbeAt(1000, 100, 0)).toBe(1075)
  expect(nextProbeAt(1000, 100, 0.5)).toBe(1100)
  fc.assert(
    fc.property(fc.double({ min: 0, max: 0.999, noNaN: true }), fc.integer({ min: 20, max: 20_000 }), (random, interval) => {
      const wait = nextProbeAt(0, interval, random)
      expect(wait).toBeGreaterThanOrEqual(interval * 0.75)
      expect(wait).toBeLessThanOrEqual(interval * 1.25)
    }),
  )
})
