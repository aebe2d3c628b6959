import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { createDriller, drillRules } from '#src/agent/drill.ts'
import type { Heard, Use } from '#src/agent/probe.ts'
import type { ClassId, NodeId, SiteConfig, TunnelId } from '#src/fabric/fabric.ts'
import { keyIdOf, sign } from '#src/wire/bundle.ts'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const keyId = keyIdOf(publicKey)
const signer = { keyId, privateKey }
const trust = {
  kind: 'trust',
  network: 'acme',
  version: 1,
  ca: [],
  bundleSigners: [{ keyId, publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() }],
  evidenceSigners: [],
  root: { keyId, publicKey: '' },
  minimumAgent: '0.1.0',
}
const identity = { network: 'acme', site: 'berlin', device: 'd'.repeat(64), trust: sign(trust, signer) } as never
const config = {
  uplinks: [
    { id: 'fiber', interface: 'eth0' },
    { id: 'lte', interface: 'wwan0' },
  ],
  tunnels: [
    { id: 'berlin.fiber--frankfurt.isp-a', uplink: 'fiber', remote: 'frankfurt' },
    { id: 'berlin.lte--frankfurt.isp-a', uplink: 'lte', remote: 'frankfurt' },
  ],
} as unknown as SiteConfig
const order = (more: object = {}, by = signer) =>
  sign(
    {
      kind: 'drill',
      network: 'acme',
      site: 'berlin',
      device: 'd'.repeat(64),
      drill: 'd-1',
      uplink: 'fiber',
      seconds: 1,
      beginBefore: '2026-11-23T12:00:00.000Z',
      ...more,
    },
    by,
  )

const [fiber, lte] = ['berlin.fiber--frankfurt.isp-a', 'berlin.lte--frankfurt.isp-a'] as [TunnelId, TunnelId]
const use = (tunnel: TunnelId, trafficClass = 'realtime'): Use => ({ trafficClass: trafficClass as ClassId, remote: 'frankfurt' as NodeId, tunnel })
const cutAt = 10_000

interface World {
  /** By milliseconds since the cut; before it, a negative number. */
  readonly uses?: (since: number) => readonly Use[]
  readonly heard?: (tunnel: TunnelId, since: number) => Heard
  readonly run?: () => Promise<void>
}
/** Fiber is answered every 50 ms until the cut, lte all the time; traffic leaves fiber 150 ms after the cut. */
function box({ uses, heard, run = async () => {} }: World = {}) {
  const given: string[] = []
  let tick = cutAt
  const since = () => (given.length === 0 ? -1 : tick - cutAt)
  const before = (at: number) => Math.floor(at / 50) * 50
  const answered = (tunnel: TunnelId, at: number): Heard => ({
    at: cutAt + (tunnel === fiber ? -20 : before(at)),
    next: 100 + before(at) / 50,
    lost: (first, next) => (tunnel === fiber ? next - first : 0),
  })
  const driller = createDriller({
    prober: {
      uses: () => (uses ?? ((at) => [use(at >= 150 ? lte : fiber)]))(since()),
      heard: (tunnel) => (heard ?? answered)(tunnel, tick - cutAt),
    },
    clock: { now: () => Date.parse('2026-11-23T11:00:00.000Z') + tick, tick: () => tick, wait: async (ms) => void (tick += ms) },
    log: () => {},
    config: () => config,
    run: async (rules) => {
      await run()
      given.push(rules)
    },
    changed: () => {},
  })
  return { driller, given }
}

test('it cuts the uplink by rules that the kernel takes back, and tells how each class fared', async () => {
  const { driller, given } = box()
  await driller.order(order(), identity)
  expect(given).toEqual([drillRules('eth0', 1)])
  expect(given[0]).toContain('add element inet causeway_drill uplinks { "eth0" timeout 1000ms }')
  expect(driller.report()).toEqual({
    drill: 'd-1',
    attempt: 1,
    state: 'healed',
    brokenAt: '2026-11-23T11:00:10.000Z',
    healedAt: '2026-11-23T11:00:11.000Z',
    // From the last word over fiber, 20 ms before the cut, to the first over lte once the class had come to it.
    classes: [{ trafficClass: 'realtime', remote: 'frankfurt', from: fiber, to: lte, movedAfterMs: 150, gapMs: 170, probes: { sent: 20, lost: 3 } }],
    disturbed: [],
    why: '',
  })
  await driller.order(order(), identity)
  expect(given).toHaveLength(1)
  // An answer to what was sent before the end must not take the end away.
  driller.told(null)
  expect(driller.report()).toMatchObject({ state: 'healed' })
  driller.told(driller.report())
  expect(driller.report()).toBeNull()
})

test('a class that stays is silent to the end', async () => {
  const { driller } = box({ uses: () => [use(fiber)] })
  await driller.order(order(), identity)
  expect(driller.report()?.classes).toMatchObject([{ to: null, movedAfterMs: null, gapMs: 1_020, probes: { sent: 20, lost: 20 } }])
})

test('where the far end sends the probes, nobody here knows how many were lost', async () => {
  const { driller } = box({ heard: () => ({ at: cutAt, next: null, lost: () => 0 }) })
  await driller.order(order(), identity)
  expect(driller.report()?.classes).toMatchObject([{ movedAfterMs: 150, gapMs: 1_000, probes: null }])
})

const pinned = (from: TunnelId, trafficClass = 'realtime') => ({ trafficClass, remote: 'frankfurt', from })
test.each([
  ['a class that has gone', [use(lte)], [pinned(fiber)], `class realtime to frankfurt takes ${lte} now, not ${fiber}`],
  ['a class that has come', [use(fiber)], [], `class realtime to frankfurt takes ${fiber} now, and was to stay off this uplink`],
  ['a class without a way', [], [pinned(fiber)], `class realtime has no way to frankfurt now, and was to take ${fiber}`],
])('%s makes the order void: nothing is cut', async (_, uses, moves, why) => {
  const { driller, given } = box({ uses: () => uses })
  await driller.order(order({ moves, attempt: 2 }), identity)
  expect(given).toEqual([])
  expect(driller.report()).toMatchObject({ drill: 'd-1', attempt: 2, state: 'refused', outdated: true, why })
  // The same order is answered already, the next one is another.
  await driller.order(order({ moves, attempt: 2 }), identity)
  expect(given).toEqual([])
  await driller.order(order({ moves: uses.filter(({ tunnel }) => tunnel === fiber).map(() => pinned(fiber)), attempt: 3 }), identity)
  expect(driller.report()).toMatchObject({ attempt: 3, state: 'healed' })
})

test('a class whose families part is watched and ordered in each by itself', async () => {
  const apart = (tunnel: TunnelId, family: 4 | 6): Use => ({ ...use(tunnel), family })
  const { driller } = box({ uses: (at) => [apart(at >= 150 ? lte : fiber, 4), apart(at >= 300 ? lte : fiber, 6)] })
  const moves = ([4, 6] as const).map((family) => ({ ...pinned(fiber), family }))
  await driller.order(order({ moves }), identity)
  expect(driller.report()).toMatchObject({ state: 'healed', classes: [{ movedAfterMs: 150 }, { movedAfterMs: 300 }], disturbed: [] })
  const gone = box({ uses: () => [apart(fiber, 4), apart(lte, 6)] })
  await gone.driller.order(order({ moves }), identity)
  expect(gone.driller.report()).toMatchObject({ state: 'refused', why: `class realtime to frankfurt over IPv6 takes ${lte} now, not ${fiber}` })
})

test('what takes another uplink does not make an order void', async () => {
  const { driller } = box({ uses: (at) => [use(at >= 150 ? lte : fiber), use(lte, 'bulk')] })
  await driller.order(order({ moves: [pinned(fiber)] }), identity)
  expect(driller.report()).toMatchObject({ state: 'healed', classes: [{ trafficClass: 'realtime' }], disturbed: [] })
})

test('a standby that nothing uses is cut as well, and what moves then is told', async () => {
  const still = box({ uses: () => [use(lte)] })
  await still.driller.order(order({ moves: [] }), identity)
  expect(still.given).toHaveLength(1)
  expect(still.driller.report()).toMatchObject({ state: 'healed', classes: [], disturbed: [] })
  const moving = box({ uses: (at) => (at >= 300 ? [] : [use(lte)]) })
  await moving.driller.order(order({ moves: [] }), identity)
  expect(moving.driller.report()).toMatchObject({
    classes: [],
    disturbed: [{ trafficClass: 'realtime', remote: 'frankfurt', from: lte, to: null }],
  })
})

test('an order that is not ours is not answered', async () => {
  const { driller, given } = box()
  const other = generateKeyPairSync('ed25519')
  await driller.order(order({}, { keyId: keyIdOf(other.publicKey), privateKey: other.privateKey }), identity)
  await driller.order(order({ site: 'madrid' }), identity)
  await driller.order(order({ seconds: 3_600 }), identity)
  expect([given, driller.report()]).toEqual([[], null])
})

test.each([
  ['an uplink that is not there', order({ uplink: 'fibre' }), 'this box has no uplink fibre'],
  ['an order that comes late', order({ beginBefore: '2026-11-23T10:00:00.000Z' }), 'it had to begin before 2026-11-23T10:00:00.000Z'],
])('%s is refused', async (_, signed, why) => {
  const { driller, given } = box()
  await driller.order(signed, identity)
  expect(given).toEqual([])
  expect(driller.report()).toMatchObject({ state: 'refused', why })
})

test('rules that nft refuses are told', async () => {
  const { driller } = box({
    run: async () => {
      throw new Error('no nftables here')
    },
  })
  await driller.order(order(), identity)
  expect(driller.report()).toMatchObject({ state: 'refused', why: 'no nftables here' })
})
