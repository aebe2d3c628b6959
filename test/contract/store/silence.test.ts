/** Whom a hub's silence is told to, by the rows that its reports write. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { watchHubs } from '#src/controller/silence.ts'
import { regions, sites, type Store } from '#src/controller/store/index.ts'
import { prefix } from '#src/net/address.ts'
import { sampleRegion } from '#test/contract/aws-region.ts'
import { startTestDatabase, type TestDatabase } from './fixture.ts'

let database: TestDatabase
let store: Store
beforeAll(async () => {
  database = await startTestDatabase()
  store = await database.store()
}, 60_000)
afterAll(() => database.stop())

/** Hubs frankfurt and dublin. */
const region = sampleRegion('vpc-0a1b2c3d', [prefix('10.20.0.0/16')])
const report = (site: string, at: Date) =>
  sites.reported(store.db, {
    site,
    running: null,
    commit: { state: 'idle' },
    findings: [],
    inventory: null,
    headlessSince: null,
    drain: null,
    carries: null,
    every: 5,
    at,
  })

test('a region hears once when one of its hubs falls silent, and once when it is heard again; of a hub that never spoke, never', async () => {
  await store.transaction(async (tx) => {
    for (const hub of ['frankfurt', 'dublin']) await sites.declare(tx, hub, 'core')
    await regions.declare(tx, region)
    await regions.begin(tx, region.id, { config: region, generation: 1, hash: 'h', routes: [] })
    await regions.declare(tx, { ...region, id: 'aws-us-east-1' as typeof region.id })
  })
  const started = Date.now()
  let now = started
  const told: string[] = []
  const after = 150
  await report('frankfurt', new Date(now))
  const watch = watchHubs({
    store,
    signals: { region: async (of) => void told.push(of) },
    now: () => new Date(now),
    log: (error) => told.push(String(error)),
    after,
  })
  await sleep(3 * after)
  expect(told).toEqual([])
  expect(await regions.silentHubs(store.db, region, new Date(now), after)).toEqual([])
  now += after
  await expect.poll(() => told).toEqual(['aws-eu-west-1'])
  expect(await regions.silentHubs(store.db, region, new Date(now), after)).toEqual(['frankfurt'])
  await sleep(3 * after)
  expect(told).toEqual(['aws-eu-west-1'])
  await report('frankfurt', new Date(now))
  await expect.poll(() => told).toEqual(['aws-eu-west-1', 'aws-eu-west-1'])
  await watch.close()
  now += after
  await sleep(3 * after)
  expect(told).toHaveLength(2)
})

test('a site that reports seldom is silent later', async () => {
  const at = new Date()
  await sites.reported(store.db, {
    site: 'dublin',
    running: null,
    commit: { state: 'idle' },
    findings: [],
    inventory: null,
    headlessSince: null,
    drain: null,
    carries: null,
    every: 60,
    at,
  })
  const silentAfter = async (ms: number) => await regions.silentHubs(store.db, region, new Date(at.getTime() + ms))
  expect(await silentAfter(179_000)).not.toContain('dublin')
  expect(await silentAfter(181_000)).toContain('dublin')
})
