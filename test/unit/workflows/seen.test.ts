import { expect, test } from 'vitest'
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
