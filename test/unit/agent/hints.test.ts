import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createHints } from '#src/agent/hints.ts'

beforeEach(() => {
  vi.useFakeTimers()
  // No jitter: every wait is its ceiling.
  vi.spyOn(Math, 'random').mockReturnValue(1)
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

function listening(stream: (onEvent: (data: string) => void, signal: AbortSignal) => Promise<void>) {
  const stop = new AbortController()
  let [asked, heard] = [0, 0]
  const hints = createHints({
    controller: {
      stream(_, onEvent, signal) {
        asked++
        return stream(onEvent, signal)
      },
    },
    heard: () => heard++,
    signal: stop.signal,
  })
  const run = hints.run()
  return {
    hints,
    asked: () => asked,
    heard: () => heard,
    async stop() {
      stop.abort()
      await run
    },
  }
}
const open = (_: unknown, signal: AbortSignal) => new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))

test('refused, asks ever more rarely, and stops with the agent', async () => {
  const one = listening(() => Promise.reject(new Error('no')))
  const askedBy = async (ms: number) => {
    await vi.advanceTimersByTimeAsync(ms)
    return one.asked()
  }
  expect([await askedBy(0), await askedBy(250), await askedBy(499), await askedBy(1), await askedBy(999), await askedBy(1)]).toEqual([
    1, 2, 2, 3, 3, 4,
  ])
  await one.stop()
})
test('a stream on which something came begins anew at once', async () => {
  const one = listening(async (onEvent) => onEvent('{}'))
  await vi.advanceTimersByTimeAsync(2_500)
  expect(one.asked()).toBe(11)
  expect(one.heard()).toBe(11)
  await one.stop()
})
test('is asked for anew after a change', async () => {
  const one = listening(open)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(one.asked()).toBe(1)
  for (const asked of [2, 3, 4]) {
    one.hints.anew()
    await vi.advanceTimersByTimeAsync(250)
    expect(one.asked()).toBe(asked)
  }
  await one.stop()
})
