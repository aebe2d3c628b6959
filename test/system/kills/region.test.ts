/**
 * Every kill in a region's life: a worker dies by SIGKILL at every boundary of every activity and at every call to its
 * cloud, while another is alive and takes over.
 */
import { expect, test } from 'vitest'
import { recorded } from '#test/replay/histories.ts'
import { activitiesOf } from '#test/system/workflows/histories.ts'
import { callBoundaries, killThroughRegion } from './region-kills.ts'

const activities = [
  ...new Set(
    recorded()
      .filter(({ type }) => type === 'region')
      .flatMap(activitiesOf),
  ),
]
/** Reads of the cloud have no resource: each once for every activity that makes them. */
const reads = ['planRegion', 'planRegionDeletion', 'applyCloudStep', 'checkRegion']
  .map((of) => `${of} cloud list`)
  .concat('readTunnels cloud tunnels')

// `after` a changing call: the answer is lost, and the cloud has acted.
test.concurrent.for(['before', 'after'] as const)('killed %s every activity and every call, each resource is made once and goes', async (when) => {
  const { crossed, made, left, running, leaked, keys } = await killThroughRegion(`^(region |\\w+ cloud ).* ${when}$`, 2)
  const expected = [...activities, ...reads].map((of) => `${of} ${when}`).concat(callBoundaries(Object.keys(made), [when]))
  expect([...crossed].sort()).toEqual(expected.sort())
  expect(Object.values(made)).toEqual([1, 1, 1, 1, 1])
  expect({ left, running, leaked, keys }).toEqual({ left: [], running: [], leaked: [], keys: 4 })
  console.log(`killed ${crossed.length} times, ${crossed.filter((of) => of.includes(' cloud ')).length} of them at a call to the cloud`)
})
