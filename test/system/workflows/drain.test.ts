/** Service windows: what opens, fills, closes and survives them. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundles, events, facts, operations, sites } from '#src/controller/store/index.ts'
import type { Fact } from '#src/fabric/fabric.ts'
import { fourClasses } from '#test/unit/compile/networks.ts'
import type { RunningWorker } from '#workflows/worker.ts'
import { four, onboardFour } from './four.ts'
import { workIn } from './worker.ts'
import { impatient, startWorld, type World } from './world.ts'

// One network lives through all of these, in order.
let world: World
let worker: RunningWorker
const hour = 3_600_000
beforeAll(async () => {
  world = await startWorld(impatient)
  worker = await workIn(world)
  await onboardFour(world)
})
afterAll(async () => {
  await worker?.close()
  await world?.stop()
})

const row = async (site: string) => (await sites.get(world.store.db, site))!
const gateway = (site: string) => world.fleet.gateways.get(site)!
const running = (site: string) => gateway(site).running()!
const isAtRest = async (site: string) =>
  await world.until(`${site} is at rest`, async () => {
    const { state, assigned, confirmed } = await row(site)
    return state === 'ACTIVE' && sites.sameTriple(assigned, confirmed)
  })
const isIn = async (site: string, state: string) => await world.until(`${site} is ${state}`, async () => (await row(site)).state === state)

test('a hub is DRAINING as long as it passes something on, then in MAINTENANCE; its peers hear nothing of the controller', async () => {
  const peers = (await Promise.all(['dublin', 'berlin', 'madrid'].map(row))).map(({ assigned }) => assigned)
  gateway('frankfurt').passOn(12)
  const operation = await world.drain('frankfurt', hour)
  await world.until(
    'frankfurt says so',
    async () => running('frankfurt').config.drainUntil !== undefined && (await row('frankfurt')).drain_report !== null,
  )
  expect(await row('frankfurt')).toMatchObject({
    state: 'DRAINING',
    drain: { operationId: operation },
    drain_report: { packets: 12, drained: false },
  })
  expect(await operations.get(world.store.db, operation)).toMatchObject({ state: 'running' })
  gateway('frankfurt').passOn(null)
  expect(await world.ended(operation)).toMatchObject({ state: 'succeeded', findings: [] })
  expect(await row('frankfurt')).toMatchObject({ state: 'MAINTENANCE' })
  expect((await Promise.all(['dublin', 'berlin', 'madrid'].map(row))).map(({ assigned }) => assigned)).toEqual(peers)
  expect((await events.after(world.store.db, 0, { operationId: operation })).map(({ kind }) => kind)).toEqual([
    'site.draining',
    'site.assigned',
    'site.maintenance',
  ])
})

test('the other hub is not drained meanwhile, unless that is said', async () => {
  const refused = world.drain('dublin', hour)
  await expect(refused).rejects.toMatchObject({
    code: 'C130',
    message: expect.stringMatching(/^with dublin out of service this would be lost: every way of berlin, madrid; /),
    instead: expect.stringContaining('causeway site drain dublin --force'),
  })
  expect(await row('dublin')).toMatchObject({ state: 'ACTIVE', drain: null })
  expect((await operations.list(world.store.db))[0]).toMatchObject({ kind: 'drain', state: 'failed', findings: [{ code: 'C130' }] })
  await world.ended(await world.drain('dublin', hour, true))
  expect((await row('dublin')).state).toBe('MAINTENANCE')
  await world.ended(await world.undrain('dublin'))
})

test('a change reaches a site in its window, and leaves the window open', async () => {
  const classes = fourClasses.map((of) => (of.id === 'realtime' ? { ...of, sla: { ...of.sla, latencyMs: 90 } } : of))
  expect((await world.ended(await world.apply({ ...four, classes }))).state).toBe('succeeded')
  expect(running('frankfurt')).toMatchObject({ triple: { generation: 2 }, config: { drainUntil: (await row('frankfurt')).drain?.until } })
  expect((await row('frankfurt')).state).toBe('MAINTENANCE')
})

test('put back, it is ACTIVE once its box says so no more', async () => {
  gateway('frankfurt').unplug()
  const operation = await world.undrain('frankfurt')
  await expect(world.undrain('frankfurt')).rejects.toMatchObject({ code: 'C132', message: 'frankfurt is on its way back already' })
  expect((await row('frankfurt')).state).toBe('MAINTENANCE')
  gateway('frankfurt').plugIn()
  expect((await world.ended(operation)).state).toBe('succeeded')
  expect((await row('frankfurt')).state).toBe('ACTIVE')
  expect(running('frankfurt').config.drainUntil).toBeUndefined()
  await expect(world.undrain('frankfurt')).rejects.toMatchObject({ code: 'C132', message: 'frankfurt is ACTIVE: it is not drained' })
})

test('a window that ends before the site is drained puts it back and says what still passed', async () => {
  await isAtRest('frankfurt')
  gateway('frankfurt').passOn(40)
  const ended = await world.ended(await world.drain('frankfurt', 1_500))
  expect(ended).toMatchObject({ state: 'failed', findings: [{ code: 'C133', instead: expect.stringContaining('(40 packets, 4000 bytes)') }] })
  gateway('frankfurt').passOn(null)
  await isAtRest('frankfurt')
  expect(running('frankfurt').config.drainUntil).toBeUndefined()
})

test('so does a window that ends while the site is serviced', async () => {
  const ended = await world.ended(await world.drain('frankfurt', 3_000))
  expect(ended.state).toBe('succeeded')
  await isIn('frankfurt', 'MAINTENANCE')
  await isAtRest('frankfurt')
})

test('a box that does not keep the revision ends its window', async () => {
  gateway('frankfurt').reject(({ drainUntil }) => (drainUntil === undefined ? null : 'nft refused the rules'))
  const ended = await world.ended(await world.drain('frankfurt', hour))
  expect(ended).toMatchObject({ state: 'failed', findings: [{ code: 'C133', says: 'frankfurt is not drained: nft refused the rules (A40)' }] })
  gateway('frankfurt').reject(() => null)
  await isAtRest('frankfurt')
})

test('a site that does not report, or is not at rest, is not drained', async () => {
  gateway('madrid').unplug()
  await world.until('madrid is offline', async () => Date.now() - ((await row('madrid')).last_seen?.getTime() ?? 0) > 2_500)
  await expect(world.drain('madrid', hour)).rejects.toMatchObject({
    code: 'C131',
    message: "madrid can't be drained now: it does not report, so it would not hear of it",
  })
  gateway('madrid').plugIn()
  const [key] = await facts.keysOf(world.store.db, 'dublin')
  const tell = async (fact: Fact) => {
    await world.store.transaction((tx) => facts.put(tx, [fact]))
    await world.commands().facts('berlin')
  }
  gateway('berlin').reject(() => 'the probes stayed silent')
  await tell({ ...key, publicKey: 'another key' } as Fact)
  await world.until('berlin has a finding', async () => (await row('berlin')).finding !== null)
  await expect(world.drain('berlin', hour)).rejects.toMatchObject({
    code: 'C131',
    message: "berlin can't be drained now: it is taking over another change",
  })
  gateway('berlin').reject(() => null)
  await tell(key as Fact)
  await isAtRest('berlin')
  await world.until('madrid is online', async () => Date.now() - ((await row('madrid')).last_seen?.getTime() ?? 0) < 500)
  await world.ended(await world.drain('madrid', hour))
  await expect(world.drain('madrid', hour)).rejects.toMatchObject({ code: 'C131', message: "madrid can't be drained now: it is MAINTENANCE" })
})

test('an order that comes after its window, without a time, or that nobody gave, changes nothing', async () => {
  await expect(world.drain('berlin', -1_000)).rejects.toMatchObject({ code: 'C134' })
  const command = await world.record('drain', 'site/berlin', { until: 'tomorrow', force: false })
  await expect(world.commands().drain('berlin', { ...command, until: 'tomorrow' })).rejects.toMatchObject({ code: 'C134' })
  const until = new Date(Date.now() + hour).toISOString()
  await expect(world.commands().drain('berlin', { ...command, until })).rejects.toMatchObject({ code: 'C082' })
  await expect(world.commands().drain('berlin', { commandId: 'c-forged', operationId: 'o-forged', until })).rejects.toMatchObject({ code: 'C082' })
  expect(await row('berlin')).toMatchObject({ state: 'ACTIVE', drain: null })
})

test('windows outlive Temporal', async () => {
  gateway('berlin').passOn(1)
  const operation = await world.drain('berlin', 8_000)
  await world.temporal.loseEverything()
  await worker.close()
  worker = await workIn(world)
  await world.reopen()
  expect(await world.ended(operation)).toMatchObject({ state: 'failed', findings: [{ code: 'C133' }] })
  gateway('berlin').passOn(null)
  await isAtRest('berlin')
  expect((await row('madrid')).state).toBe('MAINTENANCE')
})

test('a site in its window can be decommissioned', async () => {
  gateway('madrid').passOn(1)
  const back = await world.undrain('madrid')
  await world.ended(back)
  await isAtRest('madrid')
  const operation = await world.drain('madrid', hour)
  expect((await world.ended(await world.decommission('madrid'))).state).toBe('succeeded')
  expect(await world.ended(operation)).toMatchObject({ state: 'cancelled', findings: [{ code: 'C032' }] })
  expect(await row('madrid')).toMatchObject({ state: 'RETIRED', drain: null })
  expect(await bundles.newest(world.store.db, 'madrid')).toBeDefined()
})
