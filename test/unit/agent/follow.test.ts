/** An agent in this process, on a fake kernel, against a controller with real signatures over real TLS. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { systemClock } from '#src/agent/clock.ts'
import { openDisk } from '#src/agent/disk.ts'
import { enrol } from '#src/agent/enrol.ts'
import { diskFiles } from '#src/agent/files.ts'
import { run } from '#src/agent/run.ts'
import type { Status } from '#src/agent/status.ts'
import { contentHash } from '#src/fabric/hash.ts'
import type { SiteConfig, Triple } from '#src/fabric/fabric.ts'
import { keyIdOf, sign, type Signer } from '#src/wire/bundle.ts'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { createTestController, type TestController } from './controller.ts'
import { fakeDevice, interfaceNamed } from './fake-device.ts'
import { configOf } from './networks.ts'

const config = configOf('berlin')
const withMtu = (mtu: number): SiteConfig => ({ ...config, network: { ...config.network, mtu } })
const triple = (generation: number, revision = 0, term = 1): Triple => ({ term, generation, revision })
const interfaces = ['eth0', 'wwan0', 'eth1'].map((name, i) => interfaceNamed(name, `127.0.${i}.2/24`))

let controller: TestController
let state: string
let agents: Agent[]
beforeEach(async () => {
  controller = await createTestController()
  state = mkdtempSync(join(tmpdir(), 'cw-follow-'))
  agents = []
})
afterEach(async () => {
  for (const agent of agents) await agent.stop()
  await controller.stop()
  rmSync(state, { recursive: true, force: true })
})

interface Agent {
  readonly device: ReturnType<typeof fakeDevice>
  readonly log: string[]
  readonly status: () => Status | null
  readonly ended: Promise<'stopped' | 'wiped'>
  stop(): Promise<void>
}
async function start(device = fakeDevice(interfaces.map((one) => ({ ...one, router: '' })))): Promise<Agent> {
  const stop = new AbortController()
  const log: string[] = []
  let status: Status | null = null
  const clock = systemClock()
  const identity = await enrol({
    files: diskFiles(state),
    token: agents.length === 0 ? controller.token('berlin') : null,
    driver: device,
    clock,
    serial: 'XJ-1',
    say() {},
    signal: stop.signal,
  })
  const ended = run({
    state,
    identity,
    driver: device,
    clock,
    log: (event, text) => log.push(`${event} ${text}`),
    serial: 'XJ-1',
    deadlineSeconds: 6,
    guardCommand: ['true'],
    open: () => ({ send() {}, close() {} }),
    echo: () => ({ close() {}, retire() {} }),
    onStatus: (next) => (status = next),
    signal: stop.signal,
  })
  const agent: Agent = {
    device,
    log,
    status: () => status,
    ended,
    async stop() {
      stop.abort()
      await ended
    },
  }
  agents.push(agent)
  return agent
}
const eventually = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 15_000, interval: 30 })
const lastReport = () => controller.reports.get('berlin')
const runs = async () => (await openDisk(diskFiles(state))).state().confirmed

describe('an agent', () => {
  test('makes its keys, applies what is assigned, and says so', async () => {
    const agent = await start()
    controller.assign('berlin', config, triple(1))
    await eventually(() => expect(lastReport()).toMatchObject({ running: triple(1), commit: { state: 'confirmed', triple: triple(1) } }))
    expect(lastReport()!.keys.map((key) => key.interface)).toEqual(config.interfaces.map((one) => one.id))
    expect(controller.permits).toEqual([{ site: 'berlin', triple: triple(1), nonce: expect.stringMatching(/^[0-9a-f]{32}$/) }])
    expect(agent.device.running).toEqual(config)
    expect(controller.history.filter(({ report }) => report.inventory).length, 'the inventory comes once').toBe(1)
  })

  test('looks again at what the kernel had otherwise, and says when that is over', async () => {
    const agent = await start()
    agent.device.drifts = [{ code: 'D022', severity: 'error', at: [], says: 'missing: a nexthop', instead: '', witness: [] }]
    controller.assign('berlin', config, triple(1))
    await eventually(() => expect(agent.status()?.findings.map(({ code }) => code)).toContain('D022'))
    agent.device.drifts = []
    await eventually(() => expect(agent.status()?.findings.map(({ code }) => code)).not.toContain('D022'))
    expect(
      agent.log.filter((text) => text.startsWith('drift ')),
      'told once',
    ).toHaveLength(1)
  })

  test('keeps its keys over a change', async () => {
    await start()
    controller.assign('berlin', config, triple(1))
    await eventually(() => expect(lastReport()?.running).toEqual(triple(1)))
    const keys = lastReport()!.keys
    controller.assign('berlin', withMtu(1300), triple(2))
    await eventually(() => expect(lastReport()?.running).toEqual(triple(2)))
    expect(lastReport()!.keys).toEqual(keys)
  })

  test('runs its last good bundle with the controller away, also after a restart, and catches up later', async () => {
    const first = await start()
    controller.assign('berlin', config, triple(1))
    await eventually(() => expect(lastReport()?.running).toEqual(triple(1)))
    await first.stop()
    await controller.stop()
    const second = await start(fakeDevice(interfaces))
    await eventually(() => expect(second.status()?.headlessSince).toMatch(/^20/))
    expect(second.device.running).toEqual(config)
    expect(second.log.some((text) => /^controller \[A05\].*; traffic goes on$/.test(text))).toBe(true)
    controller.assign('berlin', withMtu(1300), triple(2))
    await controller.start()
    await eventually(() => expect(lastReport()?.running).toEqual(triple(2)))
    expect(second.log.some((text) => /^controller back after \d+ s$/.test(text))).toBe(true)
  })

  test('renews its certificate in time, by the serial number that the controller wrote, and uses the new one', async () => {
    controller.lifetime = 60_000
    const agent = await start()
    const serial = () => new X509Certificate(JSON.parse(readFileSync(join(state, 'identity.json'), 'utf8')).certificate).serialNumber.toLowerCase()
    const first = serial()
    await eventually(() => expect(agent.log.some((text) => text.startsWith('renew certificate good until'))).toBe(true))
    expect(controller.renewed).toEqual([first])
    expect(serial()).not.toBe(first)
    await eventually(() => expect(lastReport()).toBeDefined())
  })

  test('takes a new trust document from the root it knows, and from nobody else', async () => {
    const agent = await start()
    await eventually(() => expect(lastReport()).toBeDefined())
    const next = (signers: Signer[]) => ({ status: 200, body: sign({ ...controller.trust, version: 2, minimumAgent: '0.2.0' }, ...signers) })
    controller.answer.set('/v1/trust', () => next([controller.bundleSigner]))
    controller.answer.set('/v1/report', () => ({
      status: 200,
      body: { assigned: null, trustVersion: 2, serverTime: new Date().toISOString(), reportEverySeconds: 1 },
    }))
    await eventually(() =>
      expect(agent.log).toContainEqual(
        expect.stringMatching(/^trust \[A29\] Version 2 of the trust document is not signed by the key that this box trusts/),
      ),
    )
    controller.answer.set('/v1/trust', () => next([controller.rootSigner]))
    await eventually(() => expect(agent.log).toContain('trust version 2 accepted'))
  })

  test('goes on when it is given no hints, and hears from its reports what is assigned', async () => {
    let asked = 0
    controller.answer.set('/v1/hints', () => {
      asked++
      return { status: 403, body: { code: 'C051', detail: 'this box does not speak for berlin any more' } }
    })
    await start()
    controller.assign('berlin', config, triple(1))
    await eventually(() => expect(lastReport()?.running).toEqual(triple(1)))
    await eventually(() => expect(asked).toBeGreaterThan(1))
  })

  test('stopped, leaves the data plane as it is', async () => {
    const agent = await start()
    controller.assign('berlin', config, triple(1))
    await eventually(() => expect(lastReport()?.running).toEqual(triple(1)))
    await agent.stop()
    expect(agent.device.running).toEqual(config)
    expect(agent.device.calls).not.toContain('wipe')
  })

  test.each([
    ['of a decommissioned site', {}, 'wipe site berlin is decommissioned: removing tunnels, rules and keys'],
    ['whose place another box has taken', { replaced: true }, 'wipe another box is the one of berlin now: removing tunnels, rules and keys'],
  ])('%s removes everything, says so, and destroys its keys', async (_, more, says) => {
    const agent = await start()
    controller.assign('berlin', config, triple(1))
    await eventually(() => expect(lastReport()?.running).toEqual(triple(1)))
    controller.assigned.delete('berlin')
    controller.answer.set('/v1/report', (site, body) => {
      controller.reports.set(site, body as never)
      return {
        status: 200,
        body: { assigned: null, trustVersion: 1, serverTime: new Date().toISOString(), reportEverySeconds: 1, wipe: true, ...more },
      }
    })
    expect(await agent.ended).toBe('wiped')
    expect(agent.log).toContain(says)
    expect(agent.device.running).toBeNull()
    expect(lastReport()).toMatchObject({ running: null, commit: { state: 'idle' } })
    expect(readdirSync(state).filter((name) => /key|identity|bundles|state/.test(name))).toEqual([])
  })
})

test('a site that drains says in its reports whether it still passes anything on, and on its screen until when', async () => {
  const agent = await start()
  controller.assign('berlin', config, triple(1))
  await eventually(() => expect(lastReport()?.running).toEqual(triple(1)))
  expect(lastReport()).not.toHaveProperty('drain')
  const drainUntil = new Date(Date.now() + 3_600_000).toISOString()
  controller.assign('berlin', { ...config, drainUntil }, triple(1, 1))
  await eventually(() => expect(lastReport()?.drain).toEqual({ until: drainUntil, packets: 0, bytes: 0, drained: false }))
  expect(agent.log.join()).toContain('1/1/1 confirmed')
  controller.assign('berlin', config, triple(1, 2))
  await eventually(() => expect(lastReport()).not.toHaveProperty('drain'))
})

describe('a bundle is refused, with its sentence, and what runs goes on', () => {
  const stranger = (() => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    return { keyId: keyIdOf(publicKey), privateKey }
  })()
  const next = { triple: triple(2), config: withMtu(1300) }
  test.each<[string, (of: TestController) => unknown, string, RegExp]>([
    ['forged', (of) => of.bundle('berlin', next, {}, stranger), 'A20', /^It is not signed by a key that this network trusts$/],
    ['forged under the right name', (of) => of.bundle('berlin', next, {}, { ...stranger, keyId: of.bundleSigner.keyId }), 'A20', /not signed/],
    [
      'changed on its way',
      (of) => ({ ...of.bundle('berlin', next), payload: Buffer.from('{"kind":"bundle"}').toString('base64url') }),
      'A20',
      /not signed/,
    ],
    ['of another site', (of) => of.bundle('berlin', next, { site: 'madrid' }), 'A23', /^The bundle is for site "madrid", and this box is "berlin"$/],
    [
      'of another network',
      (of) => of.bundle('berlin', next, { network: 'acme' }),
      'A22',
      /^The bundle is for network "acme", and this box belongs to "demo"$/,
    ],
    ['of another box', (of) => of.bundle('berlin', next, { device: 'ab'.repeat(32) }), 'A24', /^The bundle is for another box of site "berlin"$/],
    ['whose content was exchanged', (of) => of.bundle('berlin', next, { hash: contentHash(config) }), 'A25', /hash/],
    ['replayed', (of) => of.bundle('berlin', { triple: triple(1), config }), 'A26', /^The bundle is 1\/1\/0, and 1\/1\/0 already runs/],
    ['older', (of) => of.bundle('berlin', { triple: triple(0, 5), config }), 'A26', /^The bundle is 1\/0\/5, and 1\/1\/0 already runs/],
    [
      'kept back for too long',
      (of) => of.bundle('berlin', next, { acceptBefore: '2020-01-01T00:00:00.000Z' }),
      'A27',
      /^The bundle had to be accepted before 2020/,
    ],
    ['newer than what was asked for', (of) => of.bundle('berlin', { triple: triple(3), config }), 'A26', /^1\/2\/0 was asked for, and 1\/3\/0 came$/],
    ['of a form to come', (of) => of.bundle('berlin', next, { schema: 2 as 1 }), 'A21', /schema 2/],
  ])('%s', async (_, forge, code, says) => {
    const agent = await start()
    controller.assign('berlin', config, triple(1))
    await eventually(() => expect(lastReport()?.running).toEqual(triple(1)))
    controller.answer.set('/v1/bundle', () => ({ status: 200, body: forge(controller) }))
    controller.assign('berlin', next.config, next.triple)
    await eventually(() =>
      expect(lastReport()?.commit).toMatchObject({ state: 'refused', triple: triple(2), code, why: expect.stringMatching(says) }),
    )
    expect(lastReport()!.findings).toContainEqual(expect.objectContaining({ code }))
    expect(lastReport()!.running).toEqual(triple(1))
    expect(agent.device.running).toEqual(config)
    expect(await runs()).toEqual(triple(1))
  })

  test('A07: made for other interfaces', async () => {
    const agent = await start(fakeDevice([interfaceNamed('enp1s0', '127.0.0.1/8')]))
    controller.assign('berlin', config, triple(1))
    await eventually(() =>
      expect(lastReport()?.commit).toMatchObject({
        state: 'refused',
        code: 'A07',
        why: 'The plan says eth0, wwan0 and eth1; this box has enp1s0 (cable in, 127.0.0.1)',
      }),
    )
    expect(agent.device.calls).toEqual([])
  })
})

describe('a change goes back', () => {
  test('A32: no permit within the deadline, though the controller answers afterwards: it is not tried again', async () => {
    const agent = await start()
    controller.assign('berlin', config, triple(1))
    await eventually(() => expect(lastReport()?.running).toEqual(triple(1)))
    controller.answer.set('/v1/permit', () => 'cut')
    controller.assign('berlin', withMtu(1300), triple(2))
    await eventually(() => expect(lastReport()?.commit).toMatchObject({ state: 'rolled-back', triple: triple(2), code: 'A32' }))
    expect(agent.device.running).toEqual(config)
    // That report's answer is what shows that the controller was there.
    await eventually(async () => expect((await openDisk(diskFiles(state))).state().attempts).toBe(3))
  })

  test('A36: withdrawn in the middle, and the next one is taken at once', async () => {
    const agent = await start()
    controller.assign('berlin', config, triple(1))
    await eventually(() => expect(lastReport()?.running).toEqual(triple(1)))
    controller.answer.set('/v1/permit', (_, body) => {
      if ((body as { triple: Triple }).triple.generation !== 2) return undefined
      controller.assign('berlin', withMtu(1320), triple(3))
      return { status: 409, body: { code: 'C053', detail: '1/2/0 is not assigned to berlin any more' } }
    })
    controller.assign('berlin', withMtu(1300), triple(2))
    await eventually(() => expect(lastReport()?.running).toEqual(triple(3)))
    expect(agent.log).toContain('commit 1/2/0 goes back: 1/2/0 is not assigned to berlin any more')
    expect(agent.device.running?.network.mtu).toBe(1320)
  })

  test('a permit for another nonce confirms nothing', async () => {
    const agent = await start()
    controller.assign('berlin', config, triple(1))
    await eventually(() => expect(lastReport()?.running).toEqual(triple(1)))
    controller.answer.set('/v1/permit', () => ({
      status: 200,
      body: sign(
        { kind: 'permit', network: 'demo', site: 'berlin', device: controller.device('berlin'), triple: triple(2), nonce: 'yesterday-1234567890' },
        controller.bundleSigner,
      ),
    }))
    controller.assign('berlin', withMtu(1300), triple(2))
    await eventually(() => expect(lastReport()?.commit).toMatchObject({ state: 'rolled-back', code: 'A28' }))
    expect(agent.device.running).toEqual(config)
  })
})
