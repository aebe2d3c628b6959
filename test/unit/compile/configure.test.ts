import { describe, expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import type { Fabric, Fact } from '#src/fabric/fabric.ts'
import { berlin, dublin, fixed, frankfurt, madrid, network, site, siteId } from './networks.ts'

const fabric = compile(network({ sites: [berlin, dublin, frankfurt, madrid] }), []).fabric!
const key = (at: string, of: string, linkEpoch = 0): Fact => ({
  kind: 'key',
  site: siteId(at),
  interface: of as never,
  linkEpoch,
  publicKey: `${at} ${of} ${linkEpoch}`,
})
const allKeys = (of: Fabric, linkEpoch = 0): Fact[] => of.sites.flatMap((one) => one.interfaces.map((planned) => key(one.id, planned.id, linkEpoch)))
const config = (at: string, facts: readonly Fact[] = allKeys(fabric), of = fabric) => configure(of, facts, siteId(at))
const tunnel = (at: string, id: string, facts?: readonly Fact[], of?: Fabric) => config(at, facts, of).tunnels.find((one) => one.id === id)

test('a site that says something of its own about a class is told so, and nobody else', () => {
  const [realtime] = fabric.classes.filter(({ id }) => id === 'realtime')
  const own = { id: realtime!.id, share: 10, sla: { ...realtime!.sla, latencyMs: 700 } }
  const of = compile(network({ sites: [{ ...berlin, classes: [own] }, dublin, frankfurt, madrid] }), []).fabric!
  expect(config('berlin', [], of).classes.find(({ id }) => id === 'realtime')).toEqual({ ...realtime, ...own })
  expect(config('berlin', [], of).classes.map(({ id, index, dscp }) => [id, index, dscp])).toEqual(
    fabric.classes.map(({ id, index, dscp }) => [id, index, dscp]),
  )
  expect(config('madrid', [], of)).toEqual(config('madrid', []))
})

describe('before anyone has enrolled', () => {
  test('interfaces are listed with link epoch 0, so that the agent makes their keys, and every tunnel waits', () => {
    const { interfaces, tunnels, waiting } = config('berlin', [])
    expect(interfaces.map(({ device, linkEpoch, listenPort }) => `${device} ${linkEpoch} ${listenPort}`)).toEqual([
      'cwe1u0u0p0 0 53000',
      'cwe1u0u1p0 0 53002',
      'cwe2u0u0p0 0 53004',
      'cwe2u0u1p0 0 53006',
      'cwe1u1u0p0 0 53008',
      'cwe1u1u1p0 0 53010',
      'cwe2u1u0p0 0 53012',
      'cwe2u1u1p0 0 53014',
    ])
    expect(tunnels).toEqual([])
    expect(waiting).toHaveLength(8)
  })
  test('a tunnel is ready once both of its keys are known, not with one', () => {
    const own = key('berlin', 'edge:fiber/dublin.isp-a')
    const far = key('dublin', 'hub:isp-a/s0')
    expect([config('berlin', [own]).tunnels.length, config('berlin', [far]).tunnels.length]).toEqual([0, 0])
    expect(config('berlin', [own, far]).tunnels.map((one) => one.id)).toEqual(['berlin.fiber--dublin.isp-a'])
    expect(config('berlin', [own, far]).waiting).toHaveLength(7)
  })
})

describe('a ready tunnel', () => {
  test('at the edge: dials the hub, takes everything, decides', () => {
    expect(tunnel('berlin', 'berlin.lte--frankfurt.isp-b')).toEqual({
      id: 'berlin.lte--frankfurt.isp-b',
      index: 8,
      role: 'spoke',
      probe: 'stamp',
      interface: 'edge:lte/frankfurt.isp-b',
      linkEpoch: 0,
      uplink: 'lte',
      remote: 'frankfurt',
      remoteUplink: 'isp-b',
      metered: true,
      decides: true,
      initiates: true,
      inside: 'fd65:b821:8de0:1::20',
      farInside: 'fd65:b821:8de0:1::22',
      peer: {
        kind: 'wireguard',
        publicKey: 'frankfurt hub:isp-b/s1 0',
        endpoint: { address: '198.51.100.10', port: 51838 },
        allowedIps: ['0.0.0.0/0', '::/0'],
      },
    })
  })
  test('at the hub: waits for a roaming peer that may use its own addresses only', () => {
    expect(tunnel('frankfurt', 'berlin.lte--frankfurt.isp-b')).toMatchObject({
      interface: 'hub:isp-b/s1',
      metered: true,
      decides: false,
      initiates: false,
      inside: 'fd65:b821:8de0:1::22',
      farInside: 'fd65:b821:8de0:1::20',
      peer: {
        publicKey: 'berlin edge:lte/frankfurt.isp-b 0',
        endpoint: 'roams',
        allowedIps: ['10.1.10.0/24', '192.168.1.0/24', 'fd65:b821:8de0:1::20/128'],
      },
    })
  })
  test('between hubs: the lower name decides, each dials the other’s own port', () => {
    expect(tunnel('dublin', 'dublin.isp-a--frankfurt.isp-b')).toMatchObject({
      decides: true,
      metered: false,
      peer: { endpoint: { address: '198.51.100.10', port: 52004 }, allowedIps: ['0.0.0.0/0', '::/0'] },
    })
    expect(tunnel('frankfurt', 'dublin.isp-a--frankfurt.isp-b')).toMatchObject({
      decides: false,
      peer: { endpoint: { address: '192.0.2.26', port: 52002 } },
    })
  })
  test('through a forwarding router: public address, base + (port − 51820)', () => {
    const behind = site('dublin', 'core', [fixed('isp-a', '10.0.0.2/24', '10.0.0.1', { public: { address: '203.0.113.7' as never, base: 40000 } })], {
      inference: ['10.11.0.0/16'],
    })
    const forwarded = compile(network({ sites: [berlin, behind, frankfurt] }), []).fabric!
    expect(tunnel('berlin', 'berlin.lte--dublin.isp-a', allKeys(forwarded), forwarded)!.peer).toMatchObject({
      endpoint: { address: '203.0.113.7', port: 40002 },
    })
    expect(tunnel('frankfurt', 'dublin.isp-a--frankfurt.isp-b', allKeys(forwarded), forwarded)!.peer).toMatchObject({
      endpoint: { address: '203.0.113.7', port: 40182 },
    })
  })
})

describe('rotation: link epochs', () => {
  const own = 'edge:fiber/dublin.isp-a'
  test('the newest one that both ends have is used; the next is listed beside it', () => {
    const rotating = [...allKeys(fabric), key('dublin', 'hub:isp-a/s0', 1)]
    expect(tunnel('berlin', 'berlin.fiber--dublin.isp-a', rotating)).toMatchObject({
      linkEpoch: 0,
      peer: { publicKey: 'dublin hub:isp-a/s0 0', endpoint: { port: 51820 } },
    })
    const hub = config('dublin', rotating)
    expect(hub.interfaces.filter((one) => one.id === 'hub:isp-a/s0').map(({ device, listenPort }) => `${device} ${listenPort}`)).toEqual([
      'cwh0s0p0 51820',
      'cwh0s0p1 51821',
    ])
  })
  test('once both have it, key, device, port and insides are the other parity’s; the old epoch goes when nobody uses it', () => {
    const rotated = [...allKeys(fabric), key('dublin', 'hub:isp-a/s0', 1), key('berlin', own, 1)]
    expect(tunnel('berlin', 'berlin.fiber--dublin.isp-a', rotated)).toMatchObject({
      linkEpoch: 1,
      inside: 'fd65:b821:8de0:1::5',
      farInside: 'fd65:b821:8de0:1::7',
      peer: { publicKey: 'dublin hub:isp-a/s0 1', endpoint: { port: 51821 } },
    })
    expect(config('berlin', rotated).interfaces.find((one) => one.id === own)).toMatchObject({
      device: 'cwe1u0u0p1',
      listenPort: 53001,
      linkEpoch: 1,
    })
    // madrid has not rotated: dublin serves both epochs.
    expect(
      config('dublin', rotated)
        .interfaces.filter((one) => one.id === 'hub:isp-a/s0')
        .map((one) => one.linkEpoch),
    ).toEqual([0, 1])
    expect(tunnel('dublin', 'madrid.fiber--dublin.isp-a', rotated)).toMatchObject({ linkEpoch: 0 })
    expect(tunnel('dublin', 'dublin.isp-a--frankfurt.isp-a', rotated)).toMatchObject({ linkEpoch: 0 })
  })
  test('an epoch whose parity was taken over waits, instead of sharing a device', () => {
    const twoAhead = [...allKeys(fabric), key('dublin', 'hub:isp-a/s0', 2)]
    const hub = config('dublin', twoAhead)
    expect(hub.waiting).toEqual(['berlin.fiber--dublin.isp-a', 'madrid.fiber--dublin.isp-a'])
    expect(hub.interfaces.filter((one) => one.id === 'hub:isp-a/s0').map((one) => one.linkEpoch)).toEqual([2])
  })
})

test('facts of others, endpoints and their order change nothing', () => {
  const facts = allKeys(fabric)
  const endpoint: Fact = {
    kind: 'endpoint',
    tunnel: 'berlin.lte--dublin.isp-a' as never,
    site: siteId('berlin'),
    address: '100.64.1.2' as never,
    port: 4242,
  }
  const plain = JSON.stringify(config('berlin', facts))
  expect(JSON.stringify(config('berlin', [...facts].reverse()))).toBe(plain)
  expect(JSON.stringify(config('berlin', [...facts, endpoint, key('nobody', 'edge:x/y.z', 9)]))).toBe(plain)
})

test('a site that is not in the network is refused', () => {
  expect(() => config('atlantis')).toThrow('no site "atlantis" in network demo')
})
