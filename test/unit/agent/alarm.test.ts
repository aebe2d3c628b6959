import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createAlarm } from '#src/agent/alarm.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance'] }))
afterEach(() => void vi.useRealTimers())

function create() {
  const rung: number[] = []
  const alarm = createAlarm(
    () => performance.now(),
    () => {
      alarm.clear()
      rung.push(Math.round(performance.now() - from))
    },
  )
  const from = performance.now()
  return { alarm, rung, at: (ms: number) => alarm.set(from + ms) }
}

test('rings when it is due, and where it is moved to', async () => {
  const { rung, at } = create()
  at(50)
  await vi.advanceTimersByTimeAsync(20)
  at(30)
  await vi.advanceTimersByTimeAsync(100)
  expect(rung.length).toBe(1)
  // A timer counts whole milliseconds of a clock that has fractions.
  expect(rung[0]! - 30).toBeLessThanOrEqual(1)
})
test('asked for at once however often in one turn, rings once, and not again when it would have been due', async () => {
  const { alarm, rung, at } = create()
  at(50)
  for (let packets = 0; packets < 100; packets++) alarm.soon()
  expect(rung, 'not before the sockets are read').toEqual([])
  await vi.advanceTimersByTimeAsync(100)
  expect(rung).toEqual([0])
})
