import { expect, test } from 'vitest'
import { lock } from '#workflows/lock.ts'
import { remember } from '#workflows/seen.ts'

test('an id is new once, also after it was carried over', () => {
  const first = remember([])
  expect([first.add('c-1'), first.add('c-1'), first.add('c-2')]).toEqual([true, false, true])
  const next = remember(first.all())
  expect(next.add('c-2')).toBe(false)
})

test('the oldest are forgotten first', () => {
  const seen = remember([], 2)
  for (const id of ['a', 'b', 'c']) seen.add(id)
  expect(seen.all()).toEqual(['b', 'c'])
})

test('locked work runs one after another in the order of asking, and a failure is its own', async () => {
  const serially = lock()
  const order: string[] = []
  const work = (name: string, fails: boolean) =>
    serially(async () => {
      order.push(`${name} begins`)
      await Promise.resolve()
      order.push(`${name} ends`)
      if (fails) throw new Error(name)
      return name
    })
  const all = await Promise.allSettled([work('a', false), work('b', true), work('c', false)])
  expect(order).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
  expect(all.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
})
