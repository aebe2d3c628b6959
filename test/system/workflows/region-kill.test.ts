/** The most dangerous moments only: right after the cloud acted. `test/system/kills/region.ts` takes every boundary that there is. */
import { expect, test } from 'vitest'
import { killThroughRegion } from './region-kills.ts'

test('killed when the cloud has acted and nobody knows it yet, nothing is made twice and nothing is left', async () => {
  const { crossed, made, left, running, leaked, keys } = await killThroughRegion('cloud (create|update|delete) .* after')
  expect([...crossed].sort()).toEqual(
    ['connection', 'gateway', 'route']
      .flatMap((type) => [`applyCloudStep cloud create ${type} after`, `applyCloudStep cloud delete ${type} after`])
      .concat('applyCloudStep cloud update route after')
      .sort(),
  )
  expect(Object.entries(made).filter(([, count]) => count !== 1)).toEqual([])
  expect({ left, running, leaked, keys }).toEqual({ left: [], running: [], leaked: [], keys: 4 })
})
