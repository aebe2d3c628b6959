import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createPace } from '#src/agent/pace.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

async function asked(pace: () => void, everyMs: number, forMs: number): Promise<void> {
  for (let at = 0; at < forMs; at += everyMs) {
    pace()
    await vi.advanceTimersByTimeAsync(everyMs)
  }
}

test('goes at once ten times, then once a second, and at once again after a rest', async () => {
  let went = 0
  const pace = createPace({ tick: () => performance.now(), burst: 10, againMs: 1_000, go: () => void went++ })
  await asked(pace, 10, 100)
  expect(went).toBe(10)
  await asked(pace, 10, 20_000)
  expect(went - 10).toBeGreaterThanOrEqual(19)
  expect(went - 10).toBeLessThanOrEqual(21)
  await vi.advanceTimersByTimeAsync(20_000)
  const before = went
  pace()
  expect(went).toBe(before + 1)
})
test('what was asked last is done, though nobody asks again', async () => {
  let went = 0
  const pace = createPace({ tick: () => performance.now(), burst: 1, againMs: 1_000, go: () => void went++ })
  pace()
  pace()
  expect(went).toBe(1)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(went).toBe(2)
})
