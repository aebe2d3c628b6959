/**
 * A worker is killed by SIGKILL at every boundary of every activity, once before and once after; a controller loses its
 * Temporal database in the middle of a rollout. Nothing is done twice, nothing is left undone.
 */
import { afterEach, expect, test } from 'vitest'
import { operations, sites } from '#src/controller/store/index.ts'
import { recorded } from '#test/replay/histories.ts'
import { createActivities } from '#workflows/activities/index.ts'
import { activitiesOf, fetchHistories, leaks } from './histories.ts'
import { keepWorking, type Worker } from './keep-working.ts'
import { liveThrough, onboardAll, small } from './life.ts'
import { model } from './model.ts'
import { startWorld, type World } from './world.ts'

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

let world: World | undefined
let worker: Worker | undefined
async function start(how: { readonly boundaries?: boolean }) {
  world = await startWorld()
  worker = keepWorking(world, how)
  return { world, worker }
}
afterEach(async () => {
  await worker?.stop()
  worker = undefined
  await world?.stop()
  world = undefined
})

test('killed at every boundary, everything happens exactly once', async () => {
  const { world, worker } = await start({ boundaries: true })
  await liveThrough(world)

  expect(worker.crossed().sort()).toEqual(scheduled.flatMap((of) => [`${of} after`, `${of} before`]).sort())
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
}, 400_000)

test('Temporal loses its database in the middle of a rollout, which still ends', async () => {
  const { world, worker } = await start({})
  await onboardAll(world)
  const lost: Promise<void>[] = []
  const berlin = world.fleet.gateways.get('berlin')
  berlin?.reject((_, { generation }) => {
    if (generation === 2 && lost.length === 0)
      lost.push(
        world.temporal
          .loseEverything()
          .then(() => worker.kill())
          .then(() => world.reopen()),
      )
    return null
  })
  const operation = await world.apply(small(90))
  await world.until('Temporal is lost', async () => lost.length > 0)
  await Promise.all(lost)
  expect(await world.ended(operation)).toMatchObject({ state: 'succeeded', result: { generation: 2, lagging: [] } })
  await world.isActive('frankfurt', 'berlin', 'oslo')
  await happenedOnce(world)
  expect((await sites.list(world.store.db)).map(({ id, confirmed }) => `${id} ${confirmed?.generation}`)).toEqual([
    'berlin 2',
    'frankfurt 2',
    'oslo 2',
  ])
})

test('a paused rollout stays paused when its worker is killed and when Temporal loses its database; resumed, it ends', async () => {
  const { world, worker } = await start({})
  await onboardAll(world)
  const rollout = await world.apply(small(90))
  await world.steer('pause', rollout)
  await world.isHeld(rollout)
  const moved = async () => (await sites.list(world.store.db)).filter(({ assigned }) => assigned?.generation === 2).map(({ id }) => id)
  const before = await moved()
  const gates = async () =>
    (await fetchHistories(world.temporal.address))
      .filter(({ type, workflowId }) => type === 'rollout' && workflowId.endsWith(rollout))
      .flatMap(({ history }) => history.events ?? [])
      .filter(({ activityTaskCompletedEventAttributes: completed }) => completed).length
  await worker.kill()
  await world.temporal.loseEverything()
  await worker.kill()
  await world.reopen()
  await world.until('the rollout runs again and stands at its gate', async () => (await gates()) === 1)
  expect(await operations.get(world.store.db, rollout)).toMatchObject({ state: 'running', phase: 'paused', phase_by: 'test' })
  expect(await moved()).toEqual(before)
  expect(before.length).toBeLessThan(3)
  await expect(world.steer('pause', rollout)).rejects.toMatchObject({ code: 'C123' })

  await world.steer('resume', rollout)
  expect(await world.ended(rollout)).toMatchObject({ state: 'succeeded', result: { generation: 2, lagging: [] } })
  await happenedOnce(world)
  await expect(world.steer('abort', rollout)).rejects.toMatchObject({ code: 'C121' })
})

/** One generation an apply, one bundle a triple and none without a reason, one certificate a box; nobody tried a bundle twice. */
async function happenedOnce(world: World, boxes = 3): Promise<void> {
  const { db } = world.store
  const certificates = await db.selectFrom('certificates').select(['site', 'serial']).execute()
  expect([...new Set(certificates.map(({ site }) => site))].sort()).toEqual(['berlin', 'frankfurt', 'oslo'])
  expect(certificates).toHaveLength(boxes)
  for (const [site, { tried }] of world.fleet.gateways) {
    const triples = tried.map(({ triple }) => `${triple.term}/${triple.generation}/${triple.revision}`)
    expect({ site, triples }).toEqual({ site, triples: [...new Set(triples)] })
  }
  // Revisions count up without a gap, and each says something else than the one before.
  const rows = await db
    .selectFrom('bundles')
    .select(['site', 'generation', 'revision', 'hash'])
    .orderBy('site')
    .orderBy('generation')
    .orderBy('revision')
    .execute()
  const series = Map.groupBy(rows, ({ site, generation }) => `${site} ${generation}`)
  for (const bundles of series.values()) {
    expect(bundles.map(({ revision }) => revision)).toEqual(bundles.map((_, index) => index))
    expect(bundles.filter(({ hash }, index) => hash === bundles[index - 1]?.hash)).toEqual([])
  }
  const allocated = await db.selectFrom('allocations').select(['kind', 'owner']).execute()
  expect(new Set(allocated.map(({ kind, owner }) => `${kind} ${owner}`)).size).toBe(allocated.length)
}
