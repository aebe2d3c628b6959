/** A region in a fake cloud, through everything that a cloud does to one. One network lives through all of these, in order. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Problem } from '#src/controller/problem.ts'
import { events, facts, operations, regions } from '#src/controller/store/index.ts'
import { startWorker, type RunningWorker } from '#workflows/worker.ts'
import { startFakeCloud, type FakeCloud } from './fake-cloud.ts'
import { fakeProvider } from './fake-provider.ts'
import { fetchHistories, leaks } from './histories.ts'
import { model } from './model.ts'
import { partner } from '#test/unit/compile/networks.ts'
import { offlineAfter, startWorld, type World } from './world.ts'
import { cloudy, kinds, region, resourcesOf } from './region-life.ts'

let world: World
let cloud: FakeCloud
const workers: RunningWorker[] = []
const work = async () => {
  const provider = fakeProvider(cloud.url)
  workers.push(
    await startWorker({
      address: world.temporal.address,
      namespace: 'default',
      deps: { store: world.store, model, offlineAfter, vault: world.vault, clouds: async (name) => (name === 'aws' ? provider : undefined) },
    }),
  )
}
beforeAll(async () => {
  cloud = await startFakeCloud()
  world = await startWorld()
  await work()
})
afterAll(async () => {
  for (const worker of workers) await worker.close()
  await world?.stop()
  await cloud?.stop()
})

const row = async () => {
  const found = await regions.get(world.store.db, region)
  if (found === undefined) throw new Error('no region')
  return found
}
const isIn = async (state: string) => await world.until(`the region is ${state}`, async () => (await row()).state === state)
const routes = () =>
  cloud
    .living()
    .filter(({ type }) => type === 'route')
    .map(({ properties }) => `${String(properties['to'])} via ${String(properties['via'])}`)
    .sort()
const hub = () => {
  const found = world.fleet.gateways.get('frankfurt')
  if (found === undefined) throw new Error('no hub')
  return found
}

test('a missing permission stops it with a sentence; nothing else is begun', async () => {
  cloud.refuse('create gateway', 'Unauthorized')
  await world.ended(await world.apply(cloudy()))
  await isIn('FAILED')
  expect((await row()).finding).toMatchObject({ says: 'the permission fake:Create is missing' })
  expect(cloud.living()).toEqual([])
  expect((await operations.list(world.store.db)).find(({ kind }) => kind === 'region')).toMatchObject({
    state: 'failed',
    findings: [{ says: 'the permission fake:Create is missing' }],
  })
})

test('repaired, it is made once although answers are lost and the cloud is busy', async () => {
  for (const type of ['gateway', 'connection', 'connection', 'route']) cloud.lose(`create ${type}`)
  cloud.refuse('create route', 'Throttling', 3)
  const repaired = await world.ended(await world.regionCommand('region-repair', region))
  expect(repaired).toMatchObject({ state: 'succeeded', findings: [] })
  expect(kinds(cloud)).toEqual(resourcesOf())
  expect(cloud.all.length).toBe(cloud.living().length)
  // No hub has enrolled: nobody has seen a tunnel UP.
  expect((await row()).state).toBe('CREATING')
})

test('the cloud has the keys of the vault, which nobody else has seen', async () => {
  const known = (await facts.all(world.store.db)).flatMap((fact) => (fact.kind === 'psk' ? [fact] : []))
  expect(known).toHaveLength(4)
  const keys = await Promise.all(known.map(async ({ ref }) => (await world.vault.get(ref)).toString()))
  expect([...new Set(cloud.keys)].sort()).toEqual(keys.sort())
  for (const key of keys) expect(key).toMatch(/^[A-Za-z1-9._][A-Za-z0-9._]{47}$/)
})

test('it is ACTIVE once its hub reports every tunnel UP', async () => {
  await world.onboard('frankfurt')
  await world.approve('frankfurt')
  await world.onboard('berlin')
  await isIn('ACTIVE')
  expect((await row()).finding).toBeNull()
  expect(
    hub()
      .running()
      ?.config.tunnels.filter(({ role }) => role === 'cloud'),
  ).toHaveLength(4)
  expect(routes().every((route) => route.endsWith('via frankfurt.isp-a'))).toBe(true)
})

test('return routes leave a connection that is down at once, by updates only, and come back after a hold', async () => {
  const before = cloud.calls.length
  hub().cut('frankfurt.isp-a--')
  await world.until('the routes have moved', async () => routes().every((route) => route.endsWith('via frankfurt.isp-b')))
  await world.until('that is told', async () =>
    (await operations.list(world.store.db)).some(({ kind, state }) => kind === 'return-routes' && state === 'succeeded'),
  )
  expect([...new Set(cloud.calls.slice(before))].sort()).toEqual(['list', 'update route'])
  expect((await row()).down).toEqual(['frankfurt.isp-a'])
  hub().cut(null)
  await world.until('they are back', async () => routes().every((route) => route.endsWith('via frankfurt.isp-a')))
  await world.until('that is stored', async () => (await row()).down.length === 0)
  expect((await row()).state).toBe('ACTIVE')
})

test('a hub that falls silent moves nothing while the cloud sees its tunnels; what the cloud sees down moves, and comes back', async () => {
  const told = async () => (await events.after(world.store.db, 0, { limit: 1_000 })).map(({ text }) => text)
  const asked = () => cloud.calls.filter((call) => call === 'tunnels').length
  const before = asked()
  hub().unplug()
  await world.until('the cloud was asked again and again', async () => asked() >= before + 3)
  expect(await row()).toMatchObject({ state: 'ACTIVE', down: [] })
  cloud.dark('frankfurt.isp-a--')
  await world.until('the routes have moved', async () => routes().every((route) => route.endsWith('via frankfurt.isp-b')))
  expect(await told()).toContain('return traffic of aws-eu-west-1 leaves frankfurt.isp-a: frankfurt told nothing, and the cloud sees no tunnel up')
  // Dark altogether: there is nowhere to move to, and nothing goes back and forth.
  cloud.dark('frankfurt.')
  await world.until('that is known', async () => (await row()).down.length === 2)
  cloud.dark('frankfurt.isp-a--')
  await world.until('one is back', async () => (await row()).down.join() === 'frankfurt.isp-a')
  // It comes back with its agent, whatever the cloud says then.
  hub().plugIn()
  await world.until('they are back', async () => routes().every((route) => route.endsWith('via frankfurt.isp-a')))
  cloud.dark(null)
  await world.until('that is stored', async () => (await row()).down.length === 0)
  const quiet = asked()
  await sleep(1_500)
  expect(asked()).toBe(quiet)
})

test('a change makes what is new and deletes what is wanted no more', async () => {
  const { generation } = (await world.ended(await world.apply(cloudy({ more: ['10.1.20.0/24'] })))).result as { generation: number }
  await world.until(
    'it is changed',
    async () => (await row()).generation === generation && (await row()).state === 'ACTIVE' && (await row()).reached === (await row()).tried,
  )
  expect(routes().some((route) => route.startsWith('10.1.20.0/24'))).toBe(true)
  const again = (await world.ended(await world.apply(cloudy()))).result as { generation: number }
  await world.until('it is changed back', async () => (await row()).generation === again.generation && (await row()).reached === (await row()).tried)
  expect(kinds(cloud)).toEqual(resourcesOf())
})

test('a plan without the region is refused while its resources stand', async () => {
  const refused = await world.ended(await world.apply({ ...cloudy(), regions: [] }))
  expect(refused).toMatchObject({
    state: 'failed',
    findings: [{ code: 'C108', says: 'the plan no longer names aws-eu-west-1, whose resources are in the cloud' }],
  })
})

test('what was deleted by hand is found by a repair and made again', async () => {
  const victim = cloud.living().find(({ type }) => type === 'route')
  if (victim !== undefined) victim.deletedAt = Date.now()
  expect(await world.ended(await world.regionCommand('region-repair', region))).toMatchObject({ state: 'succeeded' })
  expect(kinds(cloud)).toEqual(resourcesOf())
})

test('a quota, and a region that is not there, are refused by name', async () => {
  await expect(world.regionCommand('region-repair', 'aws-nowhere')).rejects.toMatchObject({
    code: 'C100',
    message: 'there is no region "aws-nowhere"',
  })
  const victim = cloud.living().find(({ type }) => type === 'route')
  if (victim !== undefined) victim.deletedAt = Date.now()
  cloud.refuse('create route', 'Quota')
  expect(await world.ended(await world.regionCommand('region-repair', region))).toMatchObject({
    state: 'failed',
    findings: [{ says: 'the quota of 5 gateways is used up' }],
  })
  await isIn('FAILED')
})

test('two workers alive at once make nothing twice', async () => {
  await work()
  for (const of of cloud.living().filter(({ type }) => type === 'route')) of.deletedAt = Date.now()
  expect(await world.ended(await world.regionCommand('region-repair', region))).toMatchObject({ state: 'succeeded' })
  expect(kinds(cloud)).toEqual(resourcesOf())
  await isIn('ACTIVE')
})

let peerKey = ''
test('a peer gets one key for all of its tunnels with its generation; its hub has them, until a generation is without it', async () => {
  const peered = { ...cloudy(), peers: [{ ...partner, hubs: cloudy().hubs }] }
  expect(await world.ended(await world.apply(peered))).toMatchObject({ state: 'succeeded' })
  const psks = (await facts.all(world.store.db)).flatMap((fact) => (fact.kind === 'psk' && fact.tunnel.includes('--partner.') ? [fact] : []))
  expect(psks.map(({ tunnel, linkEpoch }) => `${tunnel} ${linkEpoch}`)).toEqual(
    ['isp-a--partner.0', 'isp-a--partner.1', 'isp-b--partner.0', 'isp-b--partner.1'].map((tunnel) => `frankfurt.${tunnel} 0`),
  )
  expect(new Set(psks.map(({ ref }) => ref.fingerprint)).size).toBe(1)
  peerKey = (await world.vault.get(psks[0]!.ref)).toString()
  const held = () => (hub().running()?.config.tunnels ?? []).filter(({ role }) => role === 'peer')
  await world.until('the hub has them', async () => held().length === 4)
  expect(JSON.stringify(hub().running())).not.toContain(peerKey)
  expect(await world.ended(await world.apply(cloudy()))).toMatchObject({ state: 'succeeded' })
  await world.until('they are gone', async () => held().length === 0)
  await isIn('ACTIVE')
})

test('decommissioned, the hub lets go first and nothing is left, even of answers that were lost', async () => {
  cloud.lose('delete connection')
  cloud.lose('delete gateway')
  const done = await world.ended(await world.regionCommand('region-decommission', region))
  expect(done.state).toBe('succeeded')
  await isIn('RETIRED')
  expect(cloud.living()).toEqual([])
  await world.until(
    'the hub has no tunnel to it',
    async () =>
      hub()
        .running()
        ?.config.tunnels.some(({ role }) => role === 'cloud') === false,
  )
  const again = await world.regionCommand('region-decommission', region).catch((error: unknown) => error)
  expect(again).toBeInstanceOf(Problem)
  expect(again).toMatchObject({ code: 'C102', message: 'aws-eu-west-1 is RETIRED already' })
  await expect(world.regionCommand('region-repair', region)).rejects.toMatchObject({ code: 'C101' })
})

test('decommissioned in the middle of its making, it leaves nothing', async () => {
  const keys = new Set(cloud.keys)
  await world.ended(await world.apply(cloudy()))
  await world.until('something is made', async () => cloud.living().length > 0)
  expect((await world.ended(await world.regionCommand('region-decommission', region))).state).toBe('succeeded')
  expect(cloud.living()).toEqual([])
  // Never a key again that the cloud has seen before.
  expect(cloud.keys.slice(keys.size).filter((key) => keys.has(key))).toEqual([])
  expect((await operations.list(world.store.db)).filter(({ state }) => state === 'running')).toEqual([])
})

test('no key is in any history', async () => {
  const histories = await fetchHistories(world.temporal.address)
  expect(new Set(cloud.keys).size).toBeGreaterThanOrEqual(4)
  expect(peerKey).not.toBe('')
  expect(leaks(histories, [...cloud.keys, peerKey])).toEqual([])
})
