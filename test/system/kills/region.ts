/**
 * Every kill: a worker dies by SIGKILL at every boundary of every activity of a region and at every call to its cloud,
 * once before and once after, while another is alive and takes over. Some minutes; not part of `npm test`.
 *   node test/system/kills/region.ts      exit 0: one resource of each, none left, no secret anywhere
 */
import { recorded } from '#test/replay/histories.ts'
import { activitiesOf } from '#test/system/workflows/histories.ts'
import { callBoundaries, killThroughRegion } from '#test/system/workflows/region-kills.ts'

const began = Date.now()
const { crossed, made, left, running, leaked, keys } = await killThroughRegion('^region |^\\w+ cloud ', 2)
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
const expected = [...activities, ...reads]
  .flatMap((of) => [`${of} before`, `${of} after`])
  .concat(callBoundaries(Object.keys(made), ['before', 'after']))
const missed = expected.filter((of) => !crossed.includes(of))
const twice = Object.entries(made)
  .filter(([, count]) => count !== 1)
  .map(([id, count]) => `${id} was made ${count} times`)
const wrong = [
  ...missed.map((of) => `never killed at: ${of}`),
  ...twice,
  ...left.map((id) => `left behind: ${id}`),
  ...running.map((kind) => `an operation never ended: ${kind}`),
  ...leaked.map(() => 'a key is in a history or a log'),
  ...(keys === 4 ? [] : [`${keys} keys instead of 4`]),
  ...(activities.length > 0 ? [] : ['no history of a region is recorded']),
]
for (const line of wrong) console.error(line)
console.log(
  JSON.stringify({
    kills: crossed.length,
    calls: crossed.filter((of) => of.includes(' cloud ')).length,
    resources: Object.keys(made).length,
    twice: twice.length,
    leaked: left.length,
    secrets: leaked.length,
    seconds: Math.round((Date.now() - began) / 1000),
  }),
)
process.exit(wrong.length > 0 ? 1 : 0)
