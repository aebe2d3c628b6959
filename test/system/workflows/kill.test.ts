/**
 * A worker is killed by SIGKILL at every boundary of every activity of onboarding and rollout. `test/system/kills` goes
 * through a network's whole life.
 */
import { expect, test } from 'vitest'
import { generations } from '#src/controller/store/index.ts'
import { activitiesOf, fetchHistories } from './histories.ts'
import { keepWorking } from './keep-working.ts'
import { onboardAndRoll } from './life.ts'
import { happenedOnce } from './once.ts'
import { startWorld } from './world.ts'

// It mostly waits until Temporal gives a dead worker up: on a machine that others use that is long.
const patience = { timeout: 400_000 }
test.concurrent.for(['before', 'after'])('killed %s every activity, everything happens exactly once', patience, async (when, { onTestFinished }) => {
  const world = await startWorld()
  onTestFinished(() => world.stop())
  const worker = keepWorking(world, { boundaries: true, at: ` ${when}$` })
  onTestFinished(() => worker.stop())
  await onboardAndRoll(world)

  const used = new Set((await fetchHistories(world.temporal.address)).flatMap(activitiesOf))
  expect([...used].map((of) => of.split(' ')[0])).toEqual(expect.arrayContaining(['network', 'onboard', 'rollout', 'site']))
  expect(worker.crossed().sort()).toEqual([...used].sort().map((of) => `${of} ${when}`))
  await happenedOnce(world)
  expect((await generations.list(world.store.db)).map(({ number, base }) => `${base}→${number}`).sort()).toEqual(['0→1', '1→2', '2→3', '3→4'])
})
