import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { echoBurst, type Shots, summary } from '#src/agent/burst.ts'
import type { EchoLine, OpenEcho } from '#src/agent/echo.ts'
import { createMeasurer } from '#src/agent/measure.ts'
import type { Address } from '#src/net/address.ts'
import { keyIdOf, sign } from '#src/wire/bundle.ts'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const signer = { keyId: keyIdOf(publicKey), privateKey }
const trust = {
  kind: 'trust',
  network: 'acme',
  version: 1,
  ca: [],
  bundleSigners: [{ keyId: signer.keyId, publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() }],
  evidenceSigners: [],
  root: { keyId: signer.keyId, publicKey: '' },
  minimumAgent: '0.1.0',
}
const identity = { network: 'acme', site: 'berlin', device: 'd'.repeat(64), trust: sign(trust, signer) } as never
const order = (more: object = {}, by = signer) =>
  sign(
    {
      kind: 'measure',
      network: 'acme',
      site: 'berlin',
      device: 'd'.repeat(64),
      test: 'pt-1',
      tunnels: ['berlin.fiber--frankfurt.isp-a', 'berlin.gone--frankfurt.isp-a'],
      count: 10,
      intervalMs: 20,
      beginBefore: '2026-11-23T12:00:00.000Z',
      ...more,
    },
    by,
  )
const good = { sent: 10, received: 10, rttMs: { min: 1, median: 2, max: 3 }, jitterMs: 0.5, fullPackets: true }

function box(burst: (tunnel: string, shots: Shots) => Promise<typeof good | undefined>) {
  const asked: string[] = []
  const said: string[] = []
  let reports = 0
  const measurer = createMeasurer({
    prober: {
      burst: async (tunnel, shots) => {
        asked.push(`${tunnel} ${shots.count} every ${shots.intervalMs}`)
        return await burst(tunnel, shots)
      },
    },
    clock: { now: () => Date.parse('2026-11-23T11:00:00.000Z') },
    log: (_, text) => void said.push(text),
    changed: () => void reports++,
  })
  return { measurer, asked, said, reports: () => reports }
}

test('every path of the order is measured at once, one that is not there is left out, and it is told until it was taken', async () => {
  const { measurer, asked, reports } = box(async (tunnel) => (tunnel.includes('gone') ? undefined : good))
  await measurer.order(order(), identity)
  expect(asked).toEqual(['berlin.fiber--frankfurt.isp-a 10 every 20', 'berlin.gone--frankfurt.isp-a 10 every 20'])
  expect(measurer.report()).toEqual({ test: 'pt-1', paths: [{ tunnel: 'berlin.fiber--frankfurt.isp-a', ...good }], why: '' })
  expect(reports()).toBe(1)
  await measurer.order(order(), identity)
  expect(asked).toHaveLength(2)
  measurer.told(null)
  expect(measurer.report()).not.toBeNull()
  measurer.told(measurer.report())
  expect(measurer.report()).toBeNull()
})

test('an order that is not ours is not answered', async () => {
  const { measurer, asked, said } = box(async () => good)
  const other = generateKeyPairSync('ed25519')
  await measurer.order(order({}, { keyId: keyIdOf(other.publicKey), privateKey: other.privateKey }), identity)
  await measurer.order(order({ count: 100_000 }), identity)
  await measurer.order(order({ kind: 'drill' }), identity)
  await measurer.order(order({ site: 'madrid' }), identity)
  expect([asked, measurer.report()]).toEqual([[], null])
  expect(said).toEqual([
    ...Array.from({ length: 3 }, () => 'an order that this network did not sign is ignored'),
    'an order for another box is ignored',
  ])
})

test('one that comes late, and one that fails, say why', async () => {
  const late = box(async () => good)
  await late.measurer.order(order({ beginBefore: '2026-11-23T10:00:00.000Z' }), identity)
  expect(late.measurer.report()).toEqual({ test: 'pt-1', paths: [], why: 'it had to begin before 2026-11-23T10:00:00.000Z' })
  expect(late.asked).toEqual([])
  const broken = box(async () => {
    throw new Error('no sockets here')
  })
  await broken.measurer.order(order(), identity)
  expect(broken.measurer.report()).toEqual({ test: 'pt-1', paths: [], why: 'no sockets here' })
})

test('loss, median and the jitter of neighbours', () => {
  expect(summary([10, 12, null, 20, 11], true)).toEqual({
    sent: 5,
    received: 4,
    rttMs: { min: 10, median: 11.5, max: 20 },
    jitterMs: 5.5,
    fullPackets: true,
  })
  expect(summary([null, 7, null], false)).toEqual({
    sent: 3,
    received: 1,
    rttMs: { min: 7, median: 7, max: 7 },
    jitterMs: null,
    fullPackets: false,
  })
  expect(summary([null, null], false)).toEqual({ sent: 2, received: 0, rttMs: null, jitterMs: null, fullPackets: false })
})

test('by ICMP: a ping of its own, then full packets in one piece; doubled replies count once', async () => {
  const started: object[] = []
  const answers: readonly (readonly EchoLine[])[] = [
    [
      { kind: 'reply', sequence: 1, rttMs: 20 },
      { kind: 'reply', sequence: 1, rttMs: 90 },
      { kind: 'unanswered', sequence: 2 },
      { kind: 'reply', sequence: 3, rttMs: 22 },
    ],
    [],
  ]
  const echo: OpenEcho = (of, heard, ended) => {
    const lines = answers[started.length] ?? []
    started.push(of)
    queueMicrotask(() => {
      for (const line of lines) heard(line)
      ended('')
    })
    return { close() {}, retire() {} }
  }
  const target = { from: '169.254.7.2' as Address, to: '169.254.7.1' as Address, device: null }
  expect(await echoBurst(echo, target, 1360, { count: 3, intervalMs: 20 })).toEqual({
    sent: 3,
    received: 2,
    rttMs: { min: 20, median: 21, max: 22 },
    jitterMs: null,
    fullPackets: false,
  })
  expect(started).toEqual([
    { ...target, intervalMs: 20, count: 3 },
    { ...target, intervalMs: 20, count: 3, bytes: 1332 },
  ])
})
