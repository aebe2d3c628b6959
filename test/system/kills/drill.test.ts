/** A worker that dies at every boundary of a scheduled drill, and a Temporal that forgets its schedules. */
import { Client, Connection } from '@temporalio/client'
import { afterEach, expect, test } from 'vitest'
import { audit, drillSchedules, drills, operations } from '#src/controller/store/index.ts'
import { recorded } from '#test/replay/histories.ts'
import { drillScheduleId, scheduledDrillWorkflowId, taskQueue, workflowType } from '#workflows/contract.ts'
import { liveThroughDrill } from '#test/system/workflows/drill-story.ts'
import { activitiesOf } from '#test/system/workflows/histories.ts'
import { keepWorking, type Worker } from '#test/system/workflows/keep-working.ts'
import { startWorld, type World } from '#test/system/workflows/world.ts'

const scheduled = [
  ...new Set(
    recorded()
      .filter(({ type }) => type === workflowType.drill || type === workflowType.scheduledDrill)
      .flatMap(activitiesOf),
  ),
]

let world: World | undefined
let worker: Worker | undefined
afterEach(async () => {
  await worker?.stop()
  await world?.stop()
})

test('killed at every boundary, each drill is commanded once, ends once and is signed once', async () => {
  world = await startWorld()
  worker = keepWorking(world, { boundaries: true, at: '^(drill|scheduledDrill) ' })
  await liveThroughDrill(world)

  expect(scheduled).toContain('scheduledDrill commandDrill')
  expect(worker.crossed().sort()).toEqual(scheduled.flatMap((of) => [`${of} after`, `${of} before`]).sort())
  const { db } = world.store
  const done = await drills.list(db)
  expect(done.map(({ state, attempt, scheduled: bySchedule }) => ({ state, attempt, bySchedule }))).toEqual(
    done.map((_, index) => ({ state: 'HEALED', attempt: index === done.length - 1 ? 2 : 1, bySchedule: true })),
  )
  expect((await operations.list(db)).filter(({ kind }) => kind === 'drill').map(({ state }) => state)).toEqual(done.map(() => 'succeeded'))
  const evidence = await db.selectFrom('evidence').select('subject').orderBy('subject').execute()
  expect(evidence.map(({ subject }) => subject)).toEqual(done.map(({ id }) => `drill/${id}`).sort())
  const audited = await db.selectFrom('audit').select('actor').where('action', '=', 'drill').execute()
  expect(audited.map(({ actor }) => actor)).toEqual(done.map(() => 'schedule'))
  expect(await audit.broken(db)).toBeNull()

  // What was scheduled is a row: Temporal's memory is made from it, whatever it held.
  const week = 7 * 86_400
  const firstAt = new Date('2026-11-28T02:10:00Z')
  await drillSchedules.put(db, { site: 'oslo', uplink: 'lte', seconds: 5, everySeconds: week, firstAt, createdBy: 'test' })
  await world.temporal.loseEverything()
  await worker.kill()
  const connection = await Connection.connect({ address: world.temporal.address })
  try {
    const { schedule } = new Client({ connection })
    const ids = async () => {
      const found: string[] = []
      for await (const { scheduleId } of schedule.list()) found.push(scheduleId)
      return found.sort()
    }
    const stranger = async (scheduleId: string) => {
      const action = { type: 'startWorkflow', workflowType: workflowType.scheduledDrill, taskQueue: taskQueue.workflows, args: [] } as const
      await schedule.create({ scheduleId, spec: { intervals: [{ every: '30d' }] }, action })
    }
    await stranger(drillScheduleId('berlin', 'fiber'))
    await stranger('somebody-else')
    await world.until('Temporal lists both', async () => (await ids()).length === 2)
    await world.reopen()
    await world.until('the schedules are what the rows say', async () => (await ids()).join() === `${drillScheduleId('oslo', 'lte')},somebody-else`)
    const made = async () => await schedule.getHandle(drillScheduleId('oslo', 'lte')).describe()
    expect(await made()).toMatchObject({
      spec: { intervals: [{ every: week * 1000, offset: firstAt.getTime() % (week * 1000) }], jitter: 300_000 },
      policies: { overlap: 'SKIP', catchupWindow: 600_000 },
      action: { workflowType: workflowType.scheduledDrill, workflowId: scheduledDrillWorkflowId('oslo', 'lte') },
      info: { nextActionTimes: expect.any(Array) as unknown },
    })
    await drillSchedules.put(db, { site: 'oslo', uplink: 'lte', seconds: 5, everySeconds: 86_400, firstAt, createdBy: 'test' })
    await world.commands().scheduleDrills(world.store)
    expect(await made()).toMatchObject({ spec: { intervals: [{ every: 86_400_000 }] } })
  } finally {
    await connection.close()
  }
}, 400_000)
