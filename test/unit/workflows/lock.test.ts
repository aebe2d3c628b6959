import { expect, test } from 'vitest'
import { lock } from '#workflows/lock.ts'

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
