/** Another box for a site: what it takes over, when, and what is left when it doesn't. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { certificates, claims, events, facts, operations, replacements, sites } from '#src/controller/store/index.ts'
import { fourClasses } from '#test/unit/compile/networks.ts'
import { createActivities } from '#workflows/activities/index.ts'
import type { RunningWorker } from '#workflows/worker.ts'
import type { Gateway } from './fleet.ts'
import { four, onboardFour } from './four.ts'
import { model } from './model.ts'
import { workIn } from './worker.ts'
import { impatient, startWorld, type World } from './world.ts'

// One network lives through all of these, in order.
let world: World
let worker: RunningWorker
beforeAll(async () => {
  world = await startWorld({ ...impatient, deliver: 4_000, paths: 4_000 })
  worker = await workIn(world)
  await onboardFour(world)
})
afterAll(async () => {
  await worker?.close()
  await world?.stop()
})

const row = async (site: string) => (await sites.get(world.store.db, site))!
const gateway = (site: string) => world.fleet.gateways.get(site)!
/** The public keys with which a hub expects a site. */
const keysAt = (hub: string, site: string) =>
  new Set(
    gateway(hub)
      .running()!
      .config.tunnels.flatMap(({ remote, peer }) => (remote === site && peer.kind === 'wireguard' ? [peer.publicKey] : [])),
  )
const factsOf = async (site: string) =>
  new Set((await facts.keysOf(world.store.db, site)).flatMap((fact) => (fact.kind === 'key' ? [fact.publicKey] : [])))
const texts = async (operationId: string) =>
  (await events.after(world.store.db, 0, { operationId, limit: 1_000 })).map(({ kind, text }) => `${kind} ${text}`)
const failure = async (operationId: string, says: string) =>
  await world.until(`it fails: ${says}`, async () =>
    (await texts(operationId)).some((text) => text.startsWith('site.replacement-failed') && text.includes(says)),
  )
const bundlesOf = (box: Gateway) => box.tried.map(({ triple, outcome }) => `${triple.generation}/${triple.revision} ${outcome}`)

test('a new box waits for an operator, and the old one carries on', async () => {
  const before = await row('berlin')
  const { operationId, box } = await world.replace('berlin')
  await world.until('the new box waits', async () => (await claims.ofSite(world.store.db, 'berlin'))[0]?.state === 'claimed')
  expect(await row('berlin')).toMatchObject({ state: 'REPLACING', device: before.device, assigned: before.assigned })
  expect(await operations.get(world.store.db, operationId)).toMatchObject({ kind: 'replace', state: 'running' })
  expect(box.running()).toBeNull()
  expect(gateway('berlin').running()?.triple).toEqual(before.assigned)
})

test('a change reaches the box that runs meanwhile', async () => {
  const classes = fourClasses.map((of) => (of.id === 'realtime' ? { ...of, sla: { ...of.sla, latencyMs: 90 } } : of))
  expect(await world.ended(await world.apply({ ...four, classes }))).toMatchObject({ state: 'succeeded', result: { generation: 2, lagging: [] } })
  expect(gateway('berlin').running()?.triple.generation).toBe(2)
  expect((await row('berlin')).state).toBe('REPLACING')
})

test('approved, it gets ready without a tunnel or a LAN, takes over, and only then the old one is out', async () => {
  const [name, box] = [...world.fleet.gateways].find(([name]) => name.startsWith('berlin t-'))!
  expect(name).toBeDefined()
  const [old, former] = [await row('berlin'), await factsOf('berlin')]
  const seen: { readonly tunnels: number; readonly lans: number; readonly device: string | null }[] = []
  box.reject(({ tunnels, lans }) => {
    void sites.get(world.store.db, 'berlin').then((now) => seen.push({ tunnels: tunnels.length, lans: lans.length, device: now?.device ?? null }))
    return null
  })
  await world.approveNext('berlin')
  const ended = await world.ended((await operations.list(world.store.db)).find(({ kind }) => kind === 'replace')!.id)
  expect(ended).toMatchObject({ state: 'succeeded', findings: [], result: { serial: 'XJ-berlin', former: old.device } })
  const now = await row('berlin')
  expect(now).toMatchObject({ state: 'ACTIVE', finding: null, confirmed: box.running()!.triple, assigned: box.running()!.triple })
  expect(now.device).not.toBe(old.device)
  expect(now.assigned?.generation).toBe(2)
  // The old box was the site's, with its certificate, until the new one had confirmed.
  expect(seen).toEqual([
    { tunnels: 0, lans: 0, device: old.device },
    { tunnels: 8, lans: gateway('berlin').running() === null ? 2 : 2, device: old.device },
  ])
  const keys = await factsOf('berlin')
  expect(keys.intersection(former).size).toBe(0)
  await world.until('both hubs know the new box', async () => ['frankfurt', 'dublin'].every((hub) => keysAt(hub, 'berlin').isSubsetOf(keys)))
  const states = (await claims.ofSite(world.store.db, 'berlin')).map(({ thumbprint, state }) => [thumbprint, state])
  expect(new Map(states as [string, string][])).toEqual(
    new Map([
      [old.device!, 'replaced'],
      [now.device!, 'enrolled'],
    ]),
  )
  const known = await world.store.transaction(async (tx) => await certificates.lockOfKey(tx, old.device!))
  expect(known.length).toBeGreaterThan(0)
  expect(known.every(({ revoked_at }) => revoked_at !== null)).toBe(true)
  await world.until('the old box has removed itself', async () => gateway('berlin').running() === null)
  expect(await replacements.get(world.store.db, 'berlin')).toBeUndefined()
})

test('a box that lacks an interface is not tried with traffic, and once it has it, it is', async () => {
  const before = [await row('madrid'), await row('frankfurt')]
  const { operationId, box } = await world.replace('madrid')
  box.lose('lan-inference')
  await world.approveNext('madrid')
  await failure(operationId, 'it has no lan-inference')
  expect([await row('madrid'), await row('frankfurt')].map(({ assigned }) => assigned)).toEqual(before.map(({ assigned }) => assigned))
  expect(await row('madrid')).toMatchObject({ state: 'REPLACING', device: before[0]!.device })
  expect((await replacements.get(world.store.db, 'madrid'))?.failed).toBe('it has no lan-inference')
  box.lose('nothing')
})

test('a box that does not keep the bundle gives the tunnels back', async () => {
  const { operationId, box } = await world.replace('madrid')
  expect((await operations.list(world.store.db)).find(({ kind, state }) => kind === 'replace' && state === 'cancelled')).toMatchObject({
    findings: [{ code: 'C136', says: 'another token was made for the box of madrid' }],
  })
  const former = await factsOf('madrid')
  box.reject(({ tunnels }) => (tunnels.length > 0 ? 'nft refused the rules' : null))
  await world.approveNext('madrid')
  await failure(operationId, 'nft refused the rules (A40)')
  expect(await factsOf('madrid')).toEqual(former)
  for (const hub of ['frankfurt', 'dublin'])
    await world.until(`${hub} expects the old box again`, async () => keysAt(hub, 'madrid').isSubsetOf(former))
  await world.until('the new box has no tunnels', async () => box.running()?.config.tunnels.length === 0)
  expect(bundlesOf(box).filter((of) => of.endsWith('rolled-back'))).toHaveLength(1)
  expect(gateway('madrid').running()?.config.tunnels).toHaveLength(8)
  expect(await operations.get(world.store.db, operationId)).toMatchObject({ state: 'running' })
})

test('so does one whose paths do not come up; approved again, it takes over', async () => {
  const operationId = (await replacements.get(world.store.db, 'madrid'))!.operation_id
  const box = [...world.fleet.gateways.values()].at(-1)!
  box.reject(() => null)
  box.cut('--')
  await world.approveNext('madrid')
  // Workers that died as they told of the tries before say it again; the approval since stands.
  const { finishReplacement } = createActivities({ store: world.store, model, offlineAfter: 2_000 })
  const ended = (await operations.steps(world.store.db, operationId)).flatMap((step) => /^finish (.+)$/.exec(step)?.[1] ?? [])
  expect(ended.length).toBeGreaterThan(0)
  for (const run of ended) await finishReplacement({ site: 'madrid', operationId, run, why: 'it did not confirm in time' })
  expect((await replacements.get(world.store.db, 'madrid'))?.failed).toBeNull()
  await world.until('it is about to take over', async () => (await replacements.get(world.store.db, 'madrid'))?.former != null)
  const busy = { code: 'C135', message: 'the new box of madrid takes over this very moment' }
  await expect(world.replace('madrid')).rejects.toMatchObject(busy)
  await expect(world.approveNext('madrid')).rejects.toMatchObject(busy)
  await failure(operationId, 'none of its paths came up')
  box.cut(null)
  await world.approveNext('madrid')
  expect(await world.ended(operationId)).toMatchObject({ state: 'succeeded' })
  expect(await row('madrid')).toMatchObject({ state: 'ACTIVE', confirmed: box.running()!.triple })
})

test('a hub is replaced like an edge: those who dial it learn its key as well', async () => {
  const { operationId, box } = await world.replace('dublin')
  await world.approveNext('dublin')
  expect(await world.ended(operationId)).toMatchObject({ state: 'succeeded' })
  await world.isActive('dublin')
  const keys = await factsOf('dublin')
  expect(box.running()!.config.tunnels.length).toBeGreaterThan(8)
  const edges = [...world.fleet.gateways.values()].filter(({ site, running }) => site !== 'dublin' && running() !== null)
  await world.until('its peers know it', async () =>
    edges.every((peer) =>
      peer.running()!.config.tunnels.every(({ remote, peer: far }) => remote !== 'dublin' || (far.kind === 'wireguard' && keys.has(far.publicKey))),
    ),
  )
})

test('a token that nobody brings is forgotten, and the site keeps its box', async () => {
  const before = (await row('madrid')).device
  const { operationId } = await world.replace('madrid', 300)
  expect(await world.ended(operationId)).toMatchObject({
    state: 'failed',
    findings: [{ code: 'C136', says: 'no box was approved for madrid before its token ended' }],
  })
  expect(await row('madrid')).toMatchObject({ state: 'ACTIVE', device: before })
})

test('Temporal is lost while a box takes over, which it still does', async () => {
  const { operationId, box } = await world.replace('madrid')
  const lost: Promise<void>[] = []
  box.reject(({ tunnels }) => {
    if (tunnels.length > 0 && lost.length === 0)
      lost.push(
        (async () => {
          await world.temporal.loseEverything()
          await worker.close()
          worker = await workIn(world)
          await world.reopen()
        })(),
      )
    return null
  })
  await world.approveNext('madrid')
  await world.until('Temporal is lost', async () => lost.length > 0)
  await Promise.all(lost)
  expect(await world.ended(operationId)).toMatchObject({ state: 'succeeded' })
  expect(await row('madrid')).toMatchObject({ state: 'ACTIVE', confirmed: box.running()!.triple })
})

test('what can not be replaced is refused by name', async () => {
  await world.ended(await world.drain('madrid', 3_600_000))
  await expect(world.replace('madrid')).rejects.toMatchObject({ code: 'C135', message: "the box of madrid can't be replaced now: it is MAINTENANCE" })
  await world.ended(await world.undrain('madrid'))
  const command = await world.record('replace', 'site/berlin', { tokenId: 't-none' })
  await expect(world.commands().replace('berlin', { ...command, tokenId: 't-none' })).rejects.toMatchObject({ code: 'C082' })
  expect((await row('berlin')).state).toBe('ACTIVE')
})

test('a site in the middle of it can be decommissioned, with both boxes', async () => {
  const { operationId, box } = await world.replace('berlin')
  box.reject(({ tunnels }) => (tunnels.length > 0 ? 'nft refused the rules' : null))
  await world.approveNext('berlin')
  await failure(operationId, 'nft refused')
  expect((await world.ended(await world.decommission('berlin'))).state).toBe('succeeded')
  expect(await world.ended(operationId)).toMatchObject({ state: 'cancelled' })
  await world.until('both boxes have removed themselves', async () =>
    [...world.fleet.gateways.values()].every(({ site, running }) => site !== 'berlin' || running() === null),
  )
  expect(await row('berlin')).toMatchObject({ state: 'RETIRED', device: null })
})
