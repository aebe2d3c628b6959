import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadAuthority } from '#src/controller/pki/authority.ts'
import { drillSchedules, drills, events, operations, sites } from '#src/controller/store/index.ts'
import { openEvidence } from '#src/wire/evidence.ts'
import { createActivities } from '#workflows/activities/index.ts'
import type { RunningWorker } from '#workflows/worker.ts'
import { onboardAll } from './life.ts'
import { model } from './model.ts'
import { workIn } from './worker.ts'
import { startWorld, type World } from './world.ts'

let world: World
let worker: RunningWorker
let other = ''
beforeAll(async () => {
  world = await startWorld()
  worker = await workIn(world, { offlineAfter: 30_000, vault: world.vault })
  await onboardAll(world)
  await world.until(
    'berlin carries traffic',
    async () => (await world.store.db.selectFrom('paths').select('tunnel').where('site', '=', 'berlin').execute()).length === 4,
  )
})
afterAll(async () => {
  await worker?.close()
  await world?.stop()
})

test('a drill ends with evidence that verifies without a controller', async () => {
  const { drill, operationId } = await world.drill('berlin', 'fiber')
  other = drill
  const ended = await world.ended(operationId)
  expect(ended).toMatchObject({ state: 'succeeded', result: { classes: 1, slowestMs: 140 } })
  const row = await drills.get(world.store.db, drill)
  expect(row).toMatchObject({
    state: 'HEALED',
    gate: { moves: [{ trafficClass: 'default', remote: 'frankfurt', from: 'berlin.fiber--frankfurt.isp-a' }] },
  })
  const evidence = await drills.evidence(world.store.db, row?.evidence ?? '')
  const { trust } = await loadAuthority(world.vault, { network: 'demo', now: new Date() })
  if (evidence === undefined) throw new Error('no evidence')
  expect(openEvidence(evidence.signed, trust)).toMatchObject({
    ok: true,
    evidence: { drill, site: 'berlin', uplink: 'fiber', verdict: 'moved', held: true, measured: { classes: [{ movedAfterMs: 140, gapMs: 171 }] } },
  })
})

test('an order that traffic made void is given anew, as it is then', async () => {
  world.fleet.gateways.get('berlin')?.moveBeforeDrills(2)
  const { drill, operationId } = await world.drill('berlin', 'fiber')
  expect(await world.ended(operationId)).toMatchObject({ state: 'succeeded', result: { verdict: 'moved', classes: 1 } })
  expect(await drills.get(world.store.db, drill)).toMatchObject({ state: 'HEALED', attempt: 3 })
  // A word about an order before the last one changes nothing.
  const late = { drill, attempt: 1, state: 'broken' as const, brokenAt: null, healedAt: null, classes: [], why: '' }
  await world.store.transaction((tx) => drills.reported(tx, 'berlin', late))
  expect(await drills.get(world.store.db, drill)).toMatchObject({ state: 'HEALED' })
})

test('traffic that never keeps still ends the drill before anything was cut', async () => {
  world.fleet.gateways.get('berlin')?.moveBeforeDrills(3)
  const { drill, operationId } = await world.drill('berlin', 'fiber')
  expect(await world.ended(operationId)).toMatchObject({
    state: 'failed',
    findings: [
      {
        code: 'C116',
        says: 'traffic moved before each of 3 cuts, so that nothing was cut: class default to frankfurt takes another way now',
        instead: 'wait until berlin is at rest: causeway path watch berlin',
      },
    ],
  })
  expect(await drills.get(world.store.db, drill)).toMatchObject({ state: 'REFUSED', attempt: 3, evidence: null })
})

test('the drill of a standby is not called a failover', async () => {
  const { drill, operationId } = await world.drill('berlin', 'lte')
  expect(await world.ended(operationId)).toMatchObject({ state: 'succeeded', result: { verdict: 'standby', classes: 0 } })
  const row = await drills.get(world.store.db, drill)
  const { trust } = await loadAuthority(world.vault, { network: 'demo', now: new Date() })
  const evidence = await drills.evidence(world.store.db, row?.evidence ?? '')
  expect(evidence && openEvidence(evidence.signed, trust)).toMatchObject({ ok: true, evidence: { verdict: 'standby', measured: { classes: [] } } })
  const said = await events.after(world.store.db, 0, { limit: 1_000 })
  expect(said.filter(({ subject }) => subject === `drill/${drill}`).map(({ text }) => text)).toEqual([
    'berlin.lte is to be cut for 1 s; no class uses it now',
    `berlin.lte was cut: no class used it, and none moved; evidence ${row?.evidence}`,
  ])
})

test('without a standby that is UP it is refused, and nothing is cut', async () => {
  const berlin = world.fleet.gateways.get('berlin')
  berlin?.cut('berlin.lte--')
  await world.until(
    'lte is down',
    async () => (await world.store.db.selectFrom('paths').select('tunnel').where('site', '=', 'berlin').execute()).length === 2,
  )
  const { drill, operationId } = await world.drill('berlin', 'fiber')
  expect(await world.ended(operationId)).toMatchObject({
    state: 'failed',
    findings: [{ code: 'C112', says: 'class default has no other way to frankfurt that is UP: the drill would be an outage' }],
  })
  await world.until('that is kept', async () => (await drills.get(world.store.db, drill))?.state === 'REFUSED')
  expect((await drills.get(world.store.db, drill))?.ordered).toBeNull()
  berlin?.cut(null)
})

test('never both hubs, nor an edge and its hub: one drill at a time among neighbours', async () => {
  const { db } = world.store
  // Of an attempt that frankfurt knows nothing of, so that it doesn't end.
  await db.updateTable('drills').set({ state: 'BROKEN', site: 'frankfurt', uplink: 'isp-a', attempt: 9 }).where('id', '=', other).execute()
  const { operationId } = await world.drill('berlin', 'fiber')
  expect(await world.ended(operationId)).toMatchObject({
    state: 'failed',
    findings: [
      {
        code: 'C112',
        says: `drill ${other} cuts frankfurt.isp-a, so berlin.fiber must stay`,
        instead: 'wait for its end: causeway drill list',
      },
    ],
  })
  await db.updateTable('drills').set({ state: 'HEALED' }).where('id', '=', other).execute()
})

test('an uplink that is not there is refused by name', async () => {
  const { operationId } = await world.drill('berlin', 'fibre')
  expect(await world.ended(operationId)).toMatchObject({
    state: 'failed',
    findings: [{ code: 'C110', says: 'berlin has no uplink "fibre"', instead: 'it has fiber, lte' }],
  })
})

test('a drill that nobody scheduled, or that is not due, is not commanded', async () => {
  const { commandDrill } = createActivities({ store: world.store, model, offlineAfter: 30_000, vault: world.vault })
  const of = { site: 'berlin', uplink: 'fiber' }
  expect(await commandDrill({ ...of, run: 'run-1' })).toBeNull()
  await drillSchedules.put(world.store.db, { ...of, seconds: 1, everySeconds: 3_600, firstAt: new Date(), createdBy: 'test' })
  const first = await commandDrill({ ...of, run: 'run-2' })
  expect(first).toMatchObject({ drill: expect.stringMatching(/^d-/) as string })
  // The same run again, and another one that comes too soon.
  expect(await commandDrill({ ...of, run: 'run-2' })).toEqual(first)
  expect(await commandDrill({ ...of, run: 'run-3' })).toBeNull()
  expect((await drills.list(world.store.db)).filter(({ scheduled }) => scheduled)).toHaveLength(1)
  await drillSchedules.remove(world.store.db, 'berlin', 'fiber')
  // A site that was decommissioned keeps its row, and is left alone.
  await drillSchedules.put(world.store.db, { site: 'gone', uplink: 'fiber', seconds: 1, everySeconds: 3_600, firstAt: new Date(), createdBy: 'test' })
  await world.store.transaction((tx) => sites.declare(tx, 'gone', 'edge'))
  await world.store.db.updateTable('sites').set({ state: 'RETIRED' }).where('id', '=', 'gone').execute()
  expect(await commandDrill({ site: 'gone', uplink: 'fiber', run: 'run-4' })).toBeNull()
  await operations.end(world.store.db, first?.command.operationId ?? '', 'cancelled')
})

test('a box that is not heard of again leaves a finding, and the uplink heals by itself', async () => {
  await world.until(
    'lte is back',
    async () => (await world.store.db.selectFrom('paths').select('tunnel').where('site', '=', 'berlin').execute()).length === 4,
  )
  world.fleet.gateways.get('berlin')?.unplug()
  const { operationId } = await world.drill('berlin', 'fiber')
  expect(await world.ended(operationId)).toMatchObject({ state: 'failed', findings: [{ code: 'C113', says: 'berlin did not tell what it saw' }] })
})
