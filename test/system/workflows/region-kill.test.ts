/** The most dangerous moments only: right after the cloud acted. `test/system/kills/region.ts` takes every boundary that there is. */
import { expect, test } from 'vitest'
import { callBoundaries, killThroughRegion } from './region-kills.ts'

test('killed when the cloud has acted and nobody knows it yet, nothing is made twice and nothing is left', async () => {
  const { crossed, made, left, running, leaked, keys } = await killThroughRegion('cloud (create|update|delete) .* after')
  expect([...crossed].sort()).toEqual([...callBoundaries(Object.keys(made), ['after'])].sort())
  expect(Object.values(made)).toEqual([1, 1, 1, 1, 1])
  expect({ left, running, leaked, keys }).toEqual({ left: [], running: [], leaked: [], keys: 4 })
})
