import { expect, test } from 'vitest'
import { createBell } from '#src/agent/bell.ts'

const never = new AbortController().signal
const isOver = async (rest: Promise<void>): Promise<boolean> => {
  let over = false
  void rest.then(() => (over = true))
  await new Promise(setImmediate)
  return over
}

test('ends the present rest', async () => {
  const bell = createBell()
  const rest = bell.rest(60_000, never)
  expect([await isOver(rest), bell.rang()]).toEqual([false, false])
  bell.ring()
  expect([await isOver(rest), bell.rang()]).toEqual([true, true])
})
test('rung before a rest, lets none begin until it is seen to', async () => {
  const bell = createBell()
  bell.ring()
  expect(await isOver(bell.rest(60_000, never))).toBe(true)
  expect(await isOver(bell.rest(60_000, never))).toBe(true)
  bell.hush()
  const rest = bell.rest(60_000, never)
  expect([await isOver(rest), bell.rang()]).toEqual([false, false])
  bell.ring()
  expect(await isOver(rest)).toBe(true)
})
test('a rest ends in time, and with its signal', async () => {
  const stop = new AbortController()
  const bell = createBell()
  await bell.rest(1, never)
  const rest = bell.rest(60_000, stop.signal)
  stop.abort()
  expect([await isOver(rest), bell.rang()]).toEqual([true, false])
})
