/** A controller whose Temporal loses its database in the middle of a rollout goes on by what stands in PostgreSQL. */
import { Connection } from '@temporalio/client'
import { afterEach, expect, test } from 'vitest'
import { operations, sites } from '#src/controller/store/index.ts'
import { taskQueue, workflowType } from '#workflows/contract.ts'
import { fetchHistories } from './histories.ts'
import { keepWorking, type Worker } from './keep-working.ts'
import { onboardAll, small } from './life.ts'
import { happenedOnce } from './once.ts'
import { startWorld, type World } from './world.ts'

let world: World | undefined
let worker: Worker | undefined
async function start() {
  world = await startWorld()
  worker = keepWorking(world, {})
  return { world, worker }
}
afterEach(async () => {
  await worker?.stop()
  worker = undefined
  await world?.stop()
  world = undefined
})

test('Temporal loses its database in the middle of a rollout, which still ends', async () => {
  const { world, worker } = await start()
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
  const { world, worker } = await start()
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

test('a command waits for a site whose task failed again and again, and is carried out when a worker is well', async () => {
  const { world, worker: first } = await start()
  await world.ended(await world.apply(small(100)))
  await first.stop()
  worker = undefined
  const connection = await Connection.connect({ address: world.temporal.address })
  const service = connection.workflowService
  const spoil = async () => {
    const queue = { namespace: 'default', taskQueue: { name: taskQueue.workflows } }
    const { taskToken, workflowType: type } = await connection.withDeadline(Date.now() + 20_000, () => service.pollWorkflowTaskQueue(queue))
    if (type?.name) await service.respondWorkflowTaskFailed({ namespace: 'default', taskToken })
    return type?.name
  }
  try {
    await world.commands().reported('frankfurt')
    for (let times = 0; times < 4; ) if ((await spoil()) === workflowType.site) times += 1
    const invited = world.invite('frankfurt', 3_600_000)
    worker = keepWorking(world, {})
    await invited
    expect((await sites.get(world.store.db, 'frankfurt'))?.state).toBe('INVITED')
  } finally {
    await connection.close()
  }
})
