import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Problem } from '#src/controller/problem.ts'
import { claims, events, facts, generations, operations, sites, tokens } from '#src/controller/store/index.ts'
import type { Fact, InterfaceId, SiteId } from '#src/fabric/fabric.ts'
import type { Intent } from '#src/intent/intent.ts'
import { berlin, dublin, edge, fourClasses, frankfurt, madrid, network, oslo } from '#test/unit/compile/networks.ts'
import type { RunningWorker } from '#workflows/worker.ts'
import { four } from './four.ts'
import { workIn } from './worker.ts'
import { impatient, startWorld, type World } from './world.ts'

// One network lives through all of these, in order.
let world: World
let worker: RunningWorker
beforeAll(async () => {
  world = await startWorld({ ...impatient, paths: 8_000 })
  worker = await workIn(world)
})
afterAll(async () => {
  await worker?.close()
  await world?.stop()
})

/** Another limit of a class moves every site's config. */
const slower = (intent: Intent, latencyMs: number): Intent => ({
  ...intent,
  classes: fourClasses.map((of) => (of.id === 'realtime' ? { ...of, sla: { ...of.sla, latencyMs } } : of)),
})
const row = async (site: string) => {
  const found = await sites.get(world.store.db, site)
  if (found === undefined) throw new Error(`no site ${site}`)
  return found
}
const gateway = (site: string) => {
  const found = world.fleet.gateways.get(site)
  if (found === undefined) throw new Error(`no gateway at ${site}`)
  return found
}
const head = async () => (await generations.head(world.store.db))?.number ?? 0
const settled = async (ids: readonly string[], generation: number) =>
  await world.until(`${ids.join(', ')} at generation ${generation}`, async () => {
    const rows = await Promise.all(ids.map(row))
    return rows.every((of) => of.state === 'ACTIVE' && of.confirmed?.generation === generation && sites.sameTriple(of.assigned, of.confirmed))
  })

test('the first plan declares its sites and touches nobody', async () => {
  const applied = await world.ended(await world.apply(four))
  expect(applied).toMatchObject({ state: 'succeeded', result: { generation: 1, lagging: [] } })
  expect((await sites.list(world.store.db)).map(({ id, state }) => `${id} ${state}`)).toEqual([
    'berlin DECLARED',
    'dublin DECLARED',
    'frankfurt DECLARED',
    'madrid DECLARED',
  ])
})

test('a second box with the token of a core puts it into quarantine until there is a new token', async () => {
  await world.onboard('dublin')
  await world.until('dublin waits for approval', async () => (await row('dublin')).state === 'CLAIMED')
  const token = await tokens.newest(world.store.db, 'dublin')
  const second = {
    id: `claim-${randomUUID()}`,
    tokenId: token?.id ?? '',
    site: 'dublin',
    thumbprint: 'f'.repeat(64),
    sealingKey: '',
    serial: 'XJ-1190',
    state: 'quarantined' as const,
  }
  const inventory = {
    serial: 'XJ-1190',
    hostname: '',
    os: '',
    kernel: '',
    agentVersion: '',
    wireguard: 'none' as const,
    ipsec: 'none' as const,
    interfaces: [],
  }
  await world.store.transaction((tx) => claims.insert(tx, { ...second, inventory }))
  await world.commands().claimed('dublin', second.id)
  await world.until('dublin is in quarantine', async () => (await row('dublin')).state === 'QUARANTINED')
  expect((await row('dublin')).finding).toMatchObject({ code: 'C086', says: 'a second box (serial XJ-1190) used the token of dublin' })
  // The first box asks again: that does not free the site.
  await world.commands().claimed('dublin', token?.claim_id ?? '')
  await world.invite('dublin', 3_600_000)
  expect((await row('dublin')).state).toBe('INVITED')
})

test('edges enrol by themselves, cores wait for an operator, and all come up', async () => {
  for (const core of ['frankfurt', 'dublin']) await world.onboard(core)
  for (const edge of ['berlin', 'madrid']) await world.onboard(edge)
  await world.until('berlin is past its claim', async () => (await row('berlin')).device !== null)
  expect((await row('frankfurt')).device).toBeNull()
  for (const core of ['frankfurt', 'dublin']) await world.approve(core)
  await world.isActive('frankfurt', 'dublin', 'berlin', 'madrid')
  expect(gateway('berlin').running()?.config.tunnels).toHaveLength(8)
  expect((await operations.list(world.store.db)).filter(({ kind }) => kind === 'onboard').map(({ state }) => state)).toEqual([
    'succeeded',
    'succeeded',
    'succeeded',
    'succeeded',
  ])
})

test('a fingerprint that nobody has is refused by name', async () => {
  const refused = await approveWith('feedfacefeedface').catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(Problem)
  expect(refused).toMatchObject({ code: 'C031', message: 'no box with the fingerprint feedfacefeedface waits at frankfurt' })
})

test('a site that has a gateway takes no token', async () => {
  const refused = await world.onboard('berlin').catch((error: unknown) => error)
  expect(refused).toMatchObject({ code: 'C030', message: 'berlin is ACTIVE and has a gateway already' })
  expect((await row('berlin')).state).toBe('ACTIVE')
})

test('a command that nobody recorded changes nothing', async () => {
  const forged = { commandId: `c-${randomUUID()}`, operationId: `o-${randomUUID()}` }
  await expect(world.commands().decommission('berlin', forged)).rejects.toMatchObject({ code: 'C082' })
  expect((await row('berlin')).state).toBe('ACTIVE')
})

test('a change rolls hubs first, one after another, then the canary, then the rest', async () => {
  const before = new Map([...world.fleet.gateways].map(([site, { tried }]) => [site, tried.length]))
  const order: string[] = []
  for (const [site, of] of world.fleet.gateways) of.reject(() => (order.push(site), null))
  const applied = await world.ended(await world.apply(slower(four, 90)))
  expect(applied.state).toBe('succeeded')
  await settled(['berlin', 'dublin', 'frankfurt', 'madrid'], 2)
  expect(order).toEqual(['dublin', 'frankfurt', 'berlin', 'madrid'])
  for (const [site, { tried }] of world.fleet.gateways)
    expect({ site, tried: tried.slice(before.get(site)) }).toEqual({
      site,
      tried: [{ triple: { term: 1, generation: 2, revision: 0 }, outcome: 'confirmed' }],
    })
})

test('a plan on an older generation is refused and the queue goes on', async () => {
  const stale = await world.apply(slower(four, 80))
  const second = await world.apply(slower(four, 70))
  expect((await world.ended(stale)).state).toBe('succeeded')
  expect(await world.ended(second)).toMatchObject({ state: 'failed', findings: [{ code: 'C020' }] })
  await settled(['berlin', 'madrid'], 3)
})

test('a canary that rolls back halts the rollout, and a newer generation undoes it', async () => {
  gateway('berlin').reject((_, { generation }) => (generation === 4 ? 'no fresh connection to the controller' : null))
  const applied = await world.ended(await world.apply(slower(four, 60)))
  expect(applied).toMatchObject({
    state: 'rolled-back',
    result: { generation: 5 },
    findings: [{ code: 'C084', says: 'berlin: no fresh connection to the controller (A40)' }],
  })
  await settled(['berlin', 'dublin', 'frankfurt'], 5)
  // Madrid was never touched; what it runs is what generation 5 says.
  expect((await row('madrid')).assigned).toMatchObject({ generation: 3 })
  const [three, five] = [await generations.get(world.store.db, 3), await generations.get(world.store.db, 5)]
  expect(five?.fabric_hash).toBe(three?.fabric_hash)
})

test('a rollout holds between waves, never within one, and an aborted one goes back as a failed one does', async () => {
  const generation = (await head()) + 1
  // Paused while the first hub has its guard armed: it confirms, and the second hub is not asked.
  const rollout: { id?: string; paused?: Promise<void> } = {}
  gateway('dublin').reject((_, triple) => {
    if (triple.generation === generation && rollout.id !== undefined) rollout.paused ??= world.steer('pause', rollout.id)
    return null
  })
  rollout.id = await world.apply(slower(four, 55))
  await world.isHeld(rollout.id)
  await rollout.paused
  expect(await row('dublin')).toMatchObject({ confirmed: { generation } })
  expect((await row('frankfurt')).assigned?.generation).toBe(generation - 1)
  const said = (await events.after(world.store.db, 0, { operationId: rollout.id, limit: 1_000 })).map(({ text }) => text)
  expect(said).toEqual(expect.arrayContaining(['paused by test', 'hub: dublin confirmed', 'holds before hub (frankfurt), paused by test']))

  await world.steer('abort', rollout.id)
  expect(await world.ended(rollout.id)).toMatchObject({
    state: 'rolled-back',
    phase: null,
    result: { generation: generation + 1 },
    findings: [{ code: 'C125', says: 'aborted by test' }],
  })
  await settled(['dublin'], generation + 1)
  expect((await row('frankfurt')).assigned?.generation).toBe(generation - 1)
  const [before, after] = [await generations.get(world.store.db, generation - 1), await generations.get(world.store.db, generation + 1)]
  expect(after?.fabric_hash).toBe(before?.fabric_hash)
})

test('one that waits for another and is aborted never begins', async () => {
  const first = await world.apply(slower(four, 54))
  await world.steer('pause', first)
  const second = await world.apply(slower(four, 53))
  await world.steer('abort', second)
  await world.steer('resume', first)
  expect((await world.ended(first)).state).toBe('succeeded')
  expect(await world.ended(second)).toMatchObject({ state: 'failed', findings: [{ code: 'C125', says: 'test aborted it before it began' }] })
})

test('one that is aborted while its last wave moves goes back nevertheless', async () => {
  const generation = (await head()) + 1
  const rollout: { id?: string; aborted?: Promise<void> } = {}
  gateway('madrid').reject((_, triple) => {
    if (triple.generation === generation && rollout.id !== undefined) rollout.aborted ??= world.steer('abort', rollout.id)
    return null
  })
  rollout.id = await world.apply(slower(four, 52))
  expect(await world.ended(rollout.id)).toMatchObject({
    state: 'rolled-back',
    result: { generation: generation + 1 },
    findings: [{ code: 'C125', says: 'aborted by test' }],
  })
  await rollout.aborted
  await settled(['berlin', 'dublin', 'frankfurt', 'madrid'], generation + 1)
})

test('a way back is not held', async () => {
  const generation = (await head()) + 1
  const refused: Promise<unknown>[] = []
  const rollout: { id?: string } = {}
  gateway('berlin').reject((_, triple) => (triple.generation === generation ? 'no fresh connection to the controller' : null))
  gateway('dublin').reject((_, triple) => {
    if (triple.generation === generation + 1 && rollout.id !== undefined && refused.length === 0)
      refused.push(world.steer('pause', rollout.id).catch((error: unknown) => error))
    return null
  })
  rollout.id = await world.apply(slower(four, 51))
  expect(await world.ended(rollout.id)).toMatchObject({ state: 'rolled-back', findings: [{ code: 'C084' }] })
  expect(await refused[0]).toMatchObject({ code: 'C122' })
  for (const of of world.fleet.gateways.values()) of.reject(() => null)
})

test('a site that is away lags, and takes the newest when it comes back', async () => {
  gateway('madrid').unplug()
  await world.until('madrid is offline', async () => Date.now() - ((await row('madrid')).last_seen?.getTime() ?? 0) > 2_500)
  const applied = await world.ended(await world.apply(slower(four, 50)))
  expect(applied).toMatchObject({ state: 'succeeded', result: { generation: 13, lagging: ['madrid'] } })
  expect(await row('madrid')).toMatchObject({ state: 'CHANGING', assigned: { generation: 13 }, confirmed: { generation: 10 } })
  gateway('madrid').plugIn()
  await settled(['madrid'], 13)
})

test('facts that arrive together become one revision at each peer', async () => {
  await world.ended(await world.apply(slower(network({ sites: [berlin, dublin, frankfurt, madrid, oslo] }), 50)))
  const before = (await row('frankfurt')).assigned
  await world.onboard('oslo')
  await world.isActive('oslo', 'frankfurt', 'dublin')
  const after = (await row('frankfurt')).assigned
  expect(after).toEqual({ term: 1, generation: before?.generation, revision: (before?.revision ?? 0) + 1 })
  // The hubs knew oslo's keys before oslo dialled them.
  expect(gateway('oslo').running()?.config.tunnels).toHaveLength(8)
})

test('while a site is PENDING its assignment does not move', async () => {
  const pendings: string[] = []
  gateway('berlin').reject(() => null)
  const watch = setInterval(() => {
    void sites.get(world.store.db, 'berlin').then((of) => {
      if (of?.pending && !sites.sameTriple(of.pending.triple, of.assigned)) pendings.push(JSON.stringify(of))
    })
  }, 5)
  await world.ended(await world.apply(slower(network({ sites: [berlin, dublin, frankfurt, madrid, oslo] }), 40)))
  for (let times = 0; times < 5; times += 1) await world.commands().facts('berlin')
  await settled(['berlin'], await head())
  clearInterval(watch)
  expect(pendings).toEqual([])
})

test('a revision that a gateway does not keep is noted, and the next one that it keeps clears the note', async () => {
  const hubKey = async (publicKey: string) => {
    const fact: Fact = { kind: 'key', site: 'frankfurt' as SiteId, interface: 'hub:isp-a/s0' as InterfaceId, linkEpoch: 0, publicKey }
    await world.store.transaction((tx) => facts.put(tx, [fact]))
    await world.commands().facts('berlin')
  }
  const { generation, revision } = (await row('berlin')).assigned ?? { generation: 0, revision: 0 }
  gateway('berlin').reject(() => 'the probes stayed silent')
  await hubKey('another key')
  await world.until('berlin has a finding', async () => (await row('berlin')).finding !== null)
  const doubted = await row('berlin')
  gateway('berlin').reject(() => null)
  expect(doubted).toMatchObject({
    state: 'ACTIVE',
    assigned: { generation },
    confirmed: { generation, revision },
    finding: { code: 'C089', says: 'the probes stayed silent (A40)' },
  })
  // On a slow machine the hub has said its own key again by now, and that is one revision more.
  expect(doubted.assigned?.revision).toBeGreaterThan(revision)
  await hubKey('a third key')
  await world.until('berlin has no finding', async () => (await row('berlin')).finding === null)
  const kept = await row('berlin')
  expect(kept).toMatchObject({ state: 'ACTIVE', confirmed: { generation } })
  expect(kept.confirmed?.revision).toBeGreaterThan(revision)
})

test('a plan that leaves out an enrolled site is refused', async () => {
  const refused = await world.ended(await world.apply(network({ sites: [berlin, dublin, frankfurt, madrid] })))
  expect(refused).toMatchObject({ state: 'failed', findings: [{ code: 'C085', says: 'the plan no longer names oslo, whose gateway is enrolled' }] })
})

test('a decommissioned site is let go by its peers first, wiped last, and is gone', async () => {
  const ended = await world.ended(await world.decommission('oslo'))
  expect(ended).toMatchObject({ state: 'succeeded', result: { wiped: true, kept: [] } })
  expect(await row('oslo')).toMatchObject({ state: 'RETIRED', device: null, assigned: null })
  expect(
    gateway('frankfurt')
      .running()
      ?.config.tunnels.filter(({ remote }) => remote === 'oslo'),
  ).toEqual([])
  expect((await facts.all(world.store.db)).filter((fact) => 'site' in fact && fact.site === 'oslo')).toEqual([])
  const certified = await world.store.db.selectFrom('certificates').select('revoked_at').where('site', '=', 'oslo').execute()
  expect(certified.every(({ revoked_at }) => revoked_at !== null)).toBe(true)
  await expect(world.decommission('oslo')).rejects.toMatchObject({ code: 'C032' })
})

test('a token that ends unused makes the site EXPIRED; a new one invites it again', async () => {
  await world.ended(
    await world.apply(slower(network({ sites: [berlin, dublin, frankfurt, madrid, oslo, edge('tokyo', { inference: ['10.1.13.0/24'] })] }), 30)),
  )
  const tokenId = await world.invite('tokyo', 300)
  await world.until('tokyo is EXPIRED', async () => (await row('tokyo')).state === 'EXPIRED')
  expect((await tokens.get(world.store.db, tokenId))?.redeemed_at).toBeNull()
  await world.invite('tokyo', 3_600_000)
  expect((await row('tokyo')).state).toBe('INVITED')
})

test('a claim whose signal was lost is heard at the next start', async () => {
  const token = await tokens.newest(world.store.db, 'tokyo')
  const claim = {
    id: `claim-${randomUUID()}`,
    tokenId: token?.id ?? '',
    site: 'tokyo',
    thumbprint: 'a'.repeat(64),
    sealingKey: '',
    serial: 'XJ-1',
    state: 'enrolled' as const,
  }
  const inventory = {
    serial: 'XJ-1',
    hostname: '',
    os: '',
    kernel: '',
    agentVersion: '',
    wireguard: 'none' as const,
    ipsec: 'none' as const,
    interfaces: [],
  }
  await world.store.transaction(async (tx) => {
    await claims.insert(tx, { ...claim, inventory })
    await tokens.redeem(tx, claim.tokenId, claim.id)
  })
  await world.reopen()
  await world.until('tokyo has a device', async () => (await row('tokyo')).device !== null)
  expect((await row('tokyo')).device).toBe(claim.thumbprint)
  // Oslo was decommissioned and is declared again: its former box does not come back by itself.
  expect(await row('oslo')).toMatchObject({ state: 'DECLARED', device: null })
})

test('a gateway that keeps no first bundle leaves its site ENROLLED, and is tried again', async () => {
  const oslo = await world.onboard('oslo')
  oslo.reject(() => 'nft refused the rules')
  oslo.cut('lte--')
  await world.until('oslo has a finding', async () => (await row('oslo')).finding !== null)
  expect((await row('oslo')).finding).toMatchObject({ code: 'C090', says: 'nft refused the rules (A40)' })
  oslo.reject(() => null)
  await world.isActive('oslo')
  expect(oslo.tried.map(({ outcome }) => outcome)).toContain('confirmed')
})

test('a site with a path that does not come up is ACTIVE with a finding, until it does', async () => {
  const { finding } = await row('oslo')
  expect(finding).toMatchObject({ code: 'C091', severity: 'warning' })
  expect(finding?.says.split(', ')).toHaveLength(4)
  gateway('oslo').cut(null)
  await world.until('oslo has no finding', async () => (await row('oslo')).finding === null)
  expect((await row('oslo')).state).toBe('ACTIVE')
})

test('a failed change that can not go back ends, says both, and the next one goes on', async () => {
  const tokyo = edge('tokyo', { inference: ['10.1.13.0/24'] })
  const rome = edge('rome', { inference: ['10.1.14.0/24'] })
  const seven = network({ sites: [berlin, dublin, frankfurt, madrid, oslo, tokyo, rome] })
  const generation = (await head()) + 1
  const rollout: { id?: string; paused?: Promise<void> } = {}
  gateway('dublin').reject((_, triple) => {
    if (triple.generation === generation && rollout.id !== undefined) rollout.paused ??= world.steer('pause', rollout.id)
    return null
  })
  gateway('berlin').reject((_, triple) => (triple.generation === generation ? 'no fresh connection to the controller' : null))
  rollout.id = await world.apply(slower(seven, 29))
  await world.isHeld(rollout.id)
  // In the generation before there is no rome.
  await world.onboard('rome')
  await world.until('rome is enrolled', async () => (await row('rome')).device !== null)
  await world.steer('resume', rollout.id)
  expect(await world.ended(rollout.id)).toMatchObject({
    state: 'failed',
    result: { generation },
    findings: [
      { code: 'C084', says: 'berlin: no fresh connection to the controller (A40)' },
      { code: 'C083', says: `the network stays at generation ${generation}: the plan no longer names rome, whose gateway is enrolled` },
    ],
  })
  expect((await row('berlin')).confirmed?.generation).toBeLessThan(generation)
  const next = await world.ended(await world.apply(slower(seven, 28)))
  expect(next).toMatchObject({ state: 'succeeded', result: { generation: generation + 1 } })
  expect((await row('berlin')).confirmed?.generation).toBe(generation + 1)
})

test('a site whose box and hub are away is retired all the same, and says what is left', async () => {
  for (const away of ['madrid', 'dublin']) gateway(away).unplug()
  await world.until('both are offline', async () =>
    (await Promise.all(['madrid', 'dublin'].map(row))).every((of) => Date.now() - (of.last_seen?.getTime() ?? 0) > 2_500),
  )
  const ended = await world.ended(await world.decommission('madrid'))
  expect(ended).toMatchObject({
    state: 'succeeded',
    result: { wiped: false, kept: ['dublin lagging: it is not connected'] },
    findings: [{ code: 'C087' }, { code: 'C088', says: 'not every peer has let go of madrid yet: dublin lagging: it is not connected' }],
  })
  expect(await row('madrid')).toMatchObject({ state: 'RETIRED', device: null })
})

test('a command without its ids is not taken', async () => {
  await expect(world.commands().decommission('berlin', { commandId: '', operationId: 'o' })).rejects.toMatchObject({ code: 'C080' })
})

async function approveWith(fingerprint: string) {
  const command = await world.record('approve', 'site/frankfurt', { fingerprint })
  await world.commands().approve('frankfurt', { ...command, fingerprint })
}
