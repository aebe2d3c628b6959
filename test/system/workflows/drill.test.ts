import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadAuthority } from '#src/controller/pki/authority.ts'
import { drills } from '#src/controller/store/index.ts'
import { openEvidence } from '#src/wire/evidence.ts'
import { startWorker, type RunningWorker } from '#workflows/worker.ts'
import { onboardAll } from './life.ts'
import { model } from './model.ts'
import { startWorld, type World } from './world.ts'

let world: World
let worker: RunningWorker
beforeAll(async () => {
  world = await startWorld()
  worker = await startWorker({
    address: world.temporal.address,
    namespace: 'default',
    deps: { store: world.store, model, offlineAfter: 30_000, vault: world.vault },
  })
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
    evidence: { drill, site: 'berlin', uplink: 'fiber', held: true, measured: { classes: [{ movedAfterMs: 140 }] } },
  })
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

test('an uplink that is not there is refused by name', async () => {
  const { operationId } = await world.drill('berlin', 'fibre')
  expect(await world.ended(operationId)).toMatchObject({
    state: 'failed',
    findings: [{ code: 'C110', says: 'berlin has no uplink "fibre"', instead: 'it has fiber, lte' }],
  })
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
