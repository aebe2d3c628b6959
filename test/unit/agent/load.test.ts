import { expect, test } from 'vitest'
import { createMeter } from '#src/agent/load.ts'
import type { TunnelCounters } from '#providers/device.ts'
import type { TunnelId } from '#src/fabric/fabric.ts'

const a = 'a' as TunnelId
const counters = (txBytes: number, rxBytes: number, tunnel = a): TunnelCounters => ({ tunnel, txBytes, rxBytes, lastHandshake: 0, endpoint: '' })
function metered() {
  let now = 0
  const meter = createMeter(() => now)
  return {
    meter,
    after(ms: number, ...seen: readonly TunnelCounters[]) {
      now += ms
      meter.look(seen)
      return meter.of(a)
    },
  }
}

test('bit/s over the time between two looks', () => {
  const { after } = metered()
  expect(after(0, counters(1_000, 5_000))).toBeUndefined()
  expect(after(5_000, counters(626_000, 5_000))).toEqual({ up: 1_000_000, down: 0 })
  expect(after(2_000, counters(626_000, 255_000))).toEqual({ up: 0, down: 1_000_000 })
})

test('looks that follow one another at once keep the last figure', () => {
  const { after, meter } = metered()
  after(0, counters(0, 0))
  after(1_000, counters(1_000, 0))
  expect(meter.isDue()).toBe(false)
  expect(after(10, counters(9_000_000, 0))).toEqual({ up: 8_000, down: 0 })
})

test('two interfaces of one tunnel count together, and one that is made anew tells nothing yet', () => {
  const { after } = metered()
  after(0, counters(1_000, 0), counters(1_000, 0))
  expect(after(1_000, counters(2_000, 0), counters(3_000, 0))).toEqual({ up: 24_000, down: 0 })
  expect(after(1_000, counters(3_500, 0))).toBeUndefined()
  expect(after(1_000, counters(4_500, 0))).toEqual({ up: 8_000, down: 0 })
})
