import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { createDriller, drillRules } from '#src/agent/drill.ts'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { keyIdOf, sign } from '#src/wire/bundle.ts'
import type { PathReport } from '#src/wire/messages.ts'

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

function box(run: (rules: string) => Promise<void> = async () => {}) {
  const given: string[] = []
  let tick = 0
  let carrier = 'berlin.fiber--frankfurt.isp-a'
  const path = (tunnel: string): PathReport => ({
    tunnel,
    state: 'UP',
    since: '',
    rttMs: 1,
    jitterMs: 0,
    loss: 0,
    classes: tunnel === carrier ? ['realtime'] : [],
  })
  const driller = createDriller({
    prober: { paths: () => config.tunnels.map(({ id }) => path(id)) },
    clock: {
      now: () => Date.parse('2026-11-23T11:00:00.000Z') + tick,
      tick: () => {
        tick += 100
        if (given.length > 0 && tick > 400) carrier = 'berlin.lte--frankfurt.isp-a'
        return tick
      },
    },
    log: () => {},
    config: () => config,
    run: async (rules) => {
      await run(rules)
      given.push(rules)
    },
    changed: () => {},
  })
  return { driller, given }
}

test('it cuts the uplink by rules that the kernel takes back, and tells when each class had moved', async () => {
  const { driller, given } = box()
  await driller.order(order(), identity)
  expect(given).toEqual([drillRules('eth0', 1)])
  expect(given[0]).toContain('add element inet causeway_drill uplinks { "eth0" timeout 1000ms }')
  expect(driller.report()).toMatchObject({
    drill: 'd-1',
    state: 'healed',
    classes: [{ trafficClass: 'realtime', from: 'berlin.fiber--frankfurt.isp-a', to: 'berlin.lte--frankfurt.isp-a' }],
  })
  expect(driller.report()?.classes[0]?.movedAfterMs).toBeGreaterThan(0)
  await driller.order(order(), identity)
  expect(given).toHaveLength(1)
  // An answer to what was sent before the end must not take the end away.
  driller.told(null)
  expect(driller.report()).toMatchObject({ state: 'healed' })
  driller.told(driller.report())
  expect(driller.report()).toBeNull()
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
  const { driller } = box(async () => {
    throw new Error('no nftables here')
  })
  await driller.order(order(), identity)
  expect(driller.report()).toMatchObject({ state: 'refused', why: 'no nftables here' })
})
