/** A rollout waits for maintenance windows: of sites whose traffic it would interrupt, and of nobody else. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { events, generations, operations, sites } from '#src/controller/store/index.ts'
import type { Maintenance } from '#src/fabric/fabric.ts'
import type { Intent } from '#src/intent/intent.ts'
import type { RunningWorker } from '#workflows/worker.ts'
import { onboardAll, small } from './life.ts'
import { workIn } from './worker.ts'
import { startWorld, type World } from './world.ts'

let world: World
let worker: RunningWorker
beforeAll(async () => {
  world = await startWorld()
  worker = await workIn(world)
  await onboardAll(world)
})
afterAll(async () => {
  await worker?.close()
  await world?.stop()
})

const minute = 60_000
const day = 24 * 60 * minute
/** For an hour, from the minute that begins then. */
function window(from: number): Maintenance {
  const at = new Date(from)
  const minutes = at.getUTCHours() * 60 + at.getUTCMinutes()
  return { timezone: 'UTC', windows: [{ days: [at.getUTCDay()], from: minutes, to: minutes + 60 }] }
}
const inThreeDays = () => window(Date.now() + 3 * day)
/** Berlin may be interrupted in `maintenance`; the last `fewer` of the allows are taken back, which interrupts everybody. */
const intent = (maintenance: Maintenance, fewer: number, latencyMs = 100): Intent => {
  const of = small(latencyMs)
  return {
    ...of,
    sites: of.sites.map((one) => (one.id === 'berlin' ? { ...one, maintenance } : one)),
    allow: of.allow.slice(0, of.allow.length - fewer),
    expect: [],
  }
}
const head = async () => (await generations.head(world.store.db))!.number
const at = async (generation: number) =>
  (await sites.list(world.store.db)).filter(({ confirmed }) => confirmed?.generation === generation).map(({ id }) => id)
const waits = async (rollout: string) => {
  await world.until(`${rollout} waits`, async () => (await operations.get(world.store.db, rollout))?.phase === 'waiting')
  return (await operations.get(world.store.db, rollout))!
}
const told = async (rollout: string) => (await events.after(world.store.db, 0, { operationId: rollout, limit: 1_000 })).map(({ text }) => text)

test('what interrupts nobody is not held', async () => {
  const applied = await world.ended(await world.apply(intent(inThreeDays(), 0, 90)))
  expect(applied).toMatchObject({ state: 'succeeded', result: { lagging: [] } })
  expect(await at(await head())).toContain('berlin')
})

test('what interrupts a site waits for its window, the others do not, and people may let it go on', async () => {
  const maintenance = inThreeDays()
  const rollout = await world.apply(intent(maintenance, 1, 90))
  const { phase_until } = await waits(rollout)
  expect(phase_until!.getTime() - Date.now()).toBeGreaterThan(2 * day)
  expect(await at(await head())).toEqual(['frankfurt', 'oslo'])
  // Said right after it is so.
  const why = `waits before wave 3 (berlin) for the maintenance window at ${phase_until!.toISOString().slice(0, 16)}Z; at once: causeway rollout resume ${rollout}`
  await world.until('it says why', async () => (await told(rollout)).at(-1) === why)
  await world.steer('resume', rollout)
  expect(await world.ended(rollout)).toMatchObject({ state: 'succeeded', phase: null, phase_until: null, result: { lagging: [] } })
  expect(await told(rollout)).toContain('let go on outside of maintenance windows by test')
  expect(await at(await head())).toEqual(['berlin', 'frankfurt', 'oslo'])
})

test('one that is paused while it waits is still held when it is resumed, and can be aborted', async () => {
  const before = await head()
  const rollout = await world.apply(intent(inThreeDays(), 2, 90))
  await waits(rollout)
  await world.steer('pause', rollout)
  await world.isHeld(rollout)
  await world.steer('resume', rollout)
  await waits(rollout)
  await world.steer('abort', rollout)
  expect(await world.ended(rollout)).toMatchObject({ state: 'rolled-back', findings: [{ code: 'C125' }] })
  // Berlin was never asked.
  expect((await sites.get(world.store.db, 'berlin'))!.confirmed!.generation).toBe(before)
})

test('one whose window opens goes on by itself', async () => {
  const soon = Math.ceil((Date.now() + 10_000) / minute) * minute
  const rollout = await world.apply(intent(window(soon), 2, 90))
  expect((await waits(rollout)).phase_until?.getTime()).toBe(soon)
  expect(await world.ended(rollout)).toMatchObject({ state: 'succeeded' })
  expect(await at(await head())).toEqual(['berlin', 'frankfurt', 'oslo'])
})

test('one that is applied at once waits for no window', async () => {
  const rollout = await world.apply(intent(inThreeDays(), 3, 90), { now: true })
  expect(await world.ended(rollout)).toMatchObject({ state: 'succeeded' })
  expect(await told(rollout)).not.toContainEqual(expect.stringContaining('waits'))
})
