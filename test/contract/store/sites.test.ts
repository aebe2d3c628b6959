/** The states of lifecycle.md and the pointers to bundles. */
import { nextState, siteEvents, siteStates } from '#workflows/lifecycle.ts'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { bundles, sites, type SiteState, type Store } from '#src/controller/store/index.ts'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { startTestDatabase, type TestDatabase } from './fixture.ts'

let database: TestDatabase
let store: Store
beforeAll(async () => {
  database = await startTestDatabase()
}, 60_000)
afterAll(() => database.stop())
beforeEach(async () => {
  store = await database.store()
})

/** The arrows as they are drawn: from → to. Everything else is refused. */
const drawn = `
  DECLARED → INVITED DECOMMISSIONING
  INVITED → EXPIRED CLAIMED DECOMMISSIONING
  EXPIRED → INVITED DECOMMISSIONING
  CLAIMED → ENROLLED QUARANTINED INVITED DECOMMISSIONING
  QUARANTINED → INVITED DECOMMISSIONING
  ENROLLED → PROVISIONING QUARANTINED DECOMMISSIONING
  PROVISIONING → ACTIVE ENROLLED QUARANTINED DECOMMISSIONING
  ACTIVE → CHANGING DRAINING REPLACING QUARANTINED DECOMMISSIONING
  CHANGING → ACTIVE QUARANTINED DECOMMISSIONING
  DRAINING → MAINTENANCE ACTIVE QUARANTINED DECOMMISSIONING
  MAINTENANCE → ACTIVE QUARANTINED DECOMMISSIONING
  REPLACING → ACTIVE QUARANTINED DECOMMISSIONING
  DECOMMISSIONING → RETIRED
  RETIRED → DECLARED`
const arrows = new Map(
  drawn
    .trim()
    .split('\n')
    .map((line) => line.trim().split(' → '))
    .map(([from, to]) => [from as SiteState, to!.split(' ') as readonly SiteState[]]),
)
const states = [...arrows.keys()]
const put = async (state: SiteState) => {
  await store.db
    .insertInto('sites')
    .values({ id: 'berlin', role: 'edge', state })
    .onConflict((at) => at.column('id').doUpdateSet({ state }))
    .execute()
}
const stateNow = async () => (await sites.get(store.db, 'berlin'))!.state

test('every arrow that is drawn moves a site, and every one that is not is refused and changes nothing', async () => {
  expect(states).toHaveLength(14)
  let legal = 0
  for (const from of states)
    for (const to of states) {
      await put(from)
      if (from === to || arrows.get(from)!.includes(to)) {
        legal++
        expect(await sites.transition(store.db, 'berlin', from, to)).toBe(true)
        expect(await stateNow()).toBe(to)
      } else {
        await expect(sites.transition(store.db, 'berlin', from, to)).rejects.toThrow(`a site can't go from ${from} to ${to}`)
        expect(await stateNow()).toBe(from)
      }
    }
  expect(legal).toBe(14 + [...arrows.values()].flat().length)
})

test('the arrows are those that events lead along', () => {
  for (const from of siteStates) {
    const led = siteEvents.flatMap((event) => nextState(from, event) ?? []).filter((to) => to !== from)
    expect([from, ...new Set(led)].sort()).toEqual([from, ...arrows.get(from)!].sort())
  }
})

test('a late caller finds the site elsewhere and changes nothing; a repeated one finds it done', async () => {
  await put('RETIRED')
  expect(await sites.transition(store.db, 'berlin', ['PROVISIONING', 'CHANGING'], 'ACTIVE')).toBe(false)
  expect(await stateNow()).toBe('RETIRED')
  await put('PROVISIONING')
  expect(await sites.transition(store.db, 'berlin', ['PROVISIONING', 'CHANGING'], 'ACTIVE')).toBe(true)
  const since = (await sites.get(store.db, 'berlin'))!.state_since
  expect(await sites.transition(store.db, 'berlin', ['PROVISIONING', 'CHANGING'], 'ACTIVE')).toBe(true)
  expect((await sites.get(store.db, 'berlin'))!.state_since).toEqual(since)
  expect(await sites.transition(store.db, 'nowhere', 'ACTIVE', 'CHANGING')).toBe(false)
})

test('two that move a site to different places at once: one of them does', async () => {
  await put('ACTIVE')
  const moved = await Promise.all([
    sites.transition(store.db, 'berlin', 'ACTIVE', 'CHANGING'),
    sites.transition(store.db, 'berlin', 'ACTIVE', 'DRAINING'),
  ])
  expect(moved.filter(Boolean)).toHaveLength(1)
  expect(await stateNow()).toBe(moved[0] ? 'CHANGING' : 'DRAINING')
})

test('a generation that names a site keeps its state; only a retired one starts over', async () => {
  await put('ACTIVE')
  await store.transaction((tx) => sites.declare(tx, 'berlin', 'core'))
  expect(await sites.get(store.db, 'berlin')).toMatchObject({ state: 'ACTIVE', role: 'core' })
  await put('RETIRED')
  await store.transaction((tx) => sites.declare(tx, 'berlin', 'edge'))
  expect(await stateNow()).toBe('DECLARED')
})

const at = (term: number, generation: number, revision: number) => ({ term, generation, revision })

test('what is assigned only goes forward in (term, generation, revision)', async () => {
  await put('ACTIVE')
  const assign = (triple: ReturnType<typeof at>) => store.transaction((tx) => sites.assign(tx, 'berlin', triple))
  expect(await assign(at(1, 7, 2))).toBe(true)
  for (const older of [at(1, 7, 1), at(1, 6, 9)]) expect(await assign(older)).toBe(false)
  expect((await sites.get(store.db, 'berlin'))!.assigned).toEqual(at(1, 7, 2))
  for (const newer of [at(1, 7, 2), at(1, 7, 10), at(1, 8, 0), at(2, 1, 0)]) expect(await assign(newer)).toBe(true)
  expect((await sites.get(store.db, 'berlin'))!.assigned).toEqual(at(2, 1, 0))
  expect(await store.transaction((tx) => sites.assign(tx, 'nowhere', at(1, 1, 0)))).toBe(false)
})

test('listeners hear of an assignment when it is committed, and not of one that is taken back', async () => {
  await put('ACTIVE')
  const heard: string[] = []
  const subscription = await store.listen(['assigned'], (_channel, site) => heard.push(site))
  await store
    .transaction(async (tx) => {
      await sites.assign(tx, 'berlin', at(1, 1, 0))
      throw new Error('taken back')
    })
    .catch(() => {})
  expect((await sites.get(store.db, 'berlin'))!.assigned).toBeNull()
  await store.transaction((tx) => sites.assign(tx, 'berlin', at(1, 1, 1)))
  await expect.poll(() => heard).toEqual(['berlin'])
  await subscription.close()
})

test('pruning keeps the newest bundles and whatever a pointer of the site names', async () => {
  await put('ACTIVE')
  const all = [at(1, 1, 0), at(1, 2, 0), at(1, 2, 1), at(1, 3, 0), at(1, 4, 0), at(1, 5, 0), at(2, 1, 0)]
  await store.transaction(async (tx) => {
    for (const triple of all)
      expect(await bundles.insert(tx, { site: 'berlin', triple, hash: 'h', config: {} as SiteConfig, operationId: null })).toBe(true)
    expect(await bundles.insert(tx, { site: 'oslo', triple: at(1, 1, 0), hash: 'h', config: {} as SiteConfig, operationId: null })).toBe(true)
    expect(await bundles.insert(tx, { site: 'berlin', triple: at(1, 5, 0), hash: 'other', config: {} as SiteConfig, operationId: null })).toBe(false)
  })
  const named = {
    assigned: at(1, 2, 1),
    running: at(1, 1, 0),
    confirmed: at(1, 1, 0),
    pending: { triple: at(1, 2, 0), nonce: 'n', deadline: '2026-01-01T00:00:00Z' },
  }
  await store.db
    .updateTable('sites')
    .set(Object.fromEntries(Object.entries(named).map(([name, value]) => [name, JSON.stringify(value)])))
    .where('id', '=', 'berlin')
    .execute()
  await bundles.prune(store.db, 'berlin', 2)
  const left = async (site: string) =>
    (
      await store.db
        .selectFrom('bundles')
        .select(['term', 'generation', 'revision', 'hash'])
        .where('site', '=', site)
        .orderBy('term')
        .orderBy('generation')
        .orderBy('revision')
        .execute()
    ).map(({ term, generation, revision }) => at(term, generation, revision))
  expect(await left('berlin')).toEqual([at(1, 1, 0), at(1, 2, 0), at(1, 2, 1), at(1, 5, 0), at(2, 1, 0)])
  expect(await left('oslo')).toEqual([at(1, 1, 0)])
  expect(await bundles.newest(store.db, 'berlin')).toMatchObject(at(2, 1, 0))
  expect(await bundles.nextRevision(store.db, 'berlin', 1, 2)).toBe(2)
  expect(await bundles.nextRevision(store.db, 'berlin', 1, 9)).toBe(0)
})
