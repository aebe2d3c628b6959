/** A region's life under a worker that is killed wherever `at` matches; answers what was left, for whoever judges it. */
import { operations } from '#src/controller/store/index.ts'
import { startFakeCloud } from '#test/system/workflows/fake-cloud.ts'
import { fetchHistories, leaks } from '#test/system/workflows/histories.ts'
import { keepWorking } from '#test/system/workflows/keep-working.ts'
import { liveThroughRegion } from '#test/system/workflows/region-story.ts'
import { impatient, startWorld } from '#test/system/workflows/world.ts'

export interface Aftermath {
  readonly crossed: readonly string[]
  /** How often each resource was ever made: id, count. */
  readonly made: Readonly<Record<string, number>>
  readonly left: readonly string[]
  readonly running: readonly string[]
  readonly leaked: readonly string[]
  readonly keys: number
}
export const storyTiming = { ...impatient, cloud: { ...(impatient.cloud as NonNullable<typeof impatient.cloud>), drift: 2_000 } }

/** Each of the changing calls to the cloud, once before it and once after: the answer is lost, and the cloud has acted. */
export const callBoundaries = (resources: readonly string[], when: readonly ('before' | 'after')[]): readonly string[] =>
  resources.flatMap((id) =>
    ['create', ...(id.includes('/route/') ? ['update'] : []), 'delete'].flatMap((op) => when.map((of) => `applyCloudStep cloud ${op} ${id} ${of}`)),
  )

export async function killThroughRegion(at: string, workers = 1): Promise<Aftermath> {
  const cloud = await startFakeCloud()
  const world = await startWorld(storyTiming)
  const worker = keepWorking(world, { boundaries: true, at, cloud: cloud.url, workers })
  try {
    await liveThroughRegion(world, cloud)
    const histories = await fetchHistories(world.temporal.address)
    const made: Record<string, number> = {}
    for (const { id } of cloud.all) made[id] = (made[id] ?? 0) + 1
    return {
      crossed: worker.crossed(),
      made,
      left: cloud.living().map(({ id }) => id),
      running: (await operations.open(world.store.db)).map(({ kind }) => kind),
      leaked: leaks([histories, worker.log()], [...new Set(cloud.keys), world.kek.toString('hex')]),
      keys: new Set(cloud.keys).size,
    }
  } finally {
    await worker.stop()
    await world.stop()
    await cloud.stop()
  }
}
