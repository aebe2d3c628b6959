/** A worker is killed by SIGKILL at every boundary of every activity, once before and once after. Nothing is done twice, nothing is left undone. */
import { expect, test } from 'vitest'
import { operations } from '#src/controller/store/index.ts'
import { recorded } from '#test/replay/histories.ts'
import { createActivities } from '#workflows/activities/index.ts'
import { activitiesOf, fetchHistories, leaks } from '#test/system/workflows/histories.ts'
import { keepWorking } from '#test/system/workflows/keep-working.ts'
import { liveThrough } from '#test/system/workflows/life.ts'
import { model } from '#test/system/workflows/model.ts'
import { happenedOnce } from '#test/system/workflows/once.ts'
import { startWorld } from '#test/system/workflows/world.ts'

/** `onboard readProvisioning`, once each, from the recorded histories. */
const scheduled = [
  ...new Set(
    recorded()
      // Those have stories and kills of their own.
      .filter(({ type }) => type !== 'region' && type !== 'drill' && type !== 'scheduledDrill')
      .flatMap(activitiesOf),
  ),
].sort()
const everywhere = recorded().flatMap(activitiesOf)

test('the recorded histories use every activity that there is', () => {
  const known = Object.keys(createActivities({ store: {} as never, model, offlineAfter: 0 })).sort()
  expect([...new Set(everywhere.map((of) => of.split(' ')[1] ?? ''))].sort()).toEqual(known)
})

// Side by side, for they mostly wait until Temporal gives a dead worker up.
test.concurrent.for(['before', 'after'])('killed %s every activity, everything happens exactly once', async (when, { onTestFinished }) => {
  const world = await startWorld()
  onTestFinished(() => world.stop())
  const worker = keepWorking(world, { boundaries: true, at: ` ${when}$` })
  onTestFinished(() => worker.stop())
  await liveThrough(world)

  expect(worker.crossed().sort()).toEqual(scheduled.map((of) => `${of} ${when}`))
  await world.until('the last one was replaced as well', async () => worker.starts() === worker.crossed().length + 1)
  // Berlin had two.
  await happenedOnce(world, 4)
  const { db } = world.store
  expect((await operations.list(db)).map(({ kind, state }) => `${kind} ${state}`).sort()).toEqual([
    'apply rolled-back',
    'apply rolled-back',
    'apply succeeded',
    'apply succeeded',
    'apply succeeded',
    'approve succeeded',
    'approve succeeded',
    'approve succeeded',
    'decommission succeeded',
    'drain failed',
    'drain succeeded',
    'invite succeeded',
    'invite succeeded',
    'invite succeeded',
    'onboard succeeded',
    'onboard succeeded',
    'onboard succeeded',
    'replace failed',
    'replace succeeded',
    'rollout-abort succeeded',
    'rollout-pause succeeded',
    'rollout-pause succeeded',
    'rollout-resume succeeded',
    'undrain succeeded',
  ])
  expect(
    (await db.selectFrom('generations').select(['number', 'base']).orderBy('number').execute()).map(({ number, base }) => `${base}→${number}`),
  ).toEqual(['0→1', '1→2', '2→3', '3→4', '4→5', '5→6', '6→7'])

  const histories = await fetchHistories(world.temporal.address)
  const secrets = [...world.secrets, ...world.fleet.privateKeys]
  expect(secrets.length).toBeGreaterThan(10)
  expect(leaks([histories, worker.log()], secrets)).toEqual([])
  // The search finds what is there: an id that the histories do hold, in payloads only.
  const token = await db.selectFrom('tokens').select('id').executeTakeFirstOrThrow()
  expect(leaks([histories], [token.id])).toEqual([token.id])
})
