import { describe, expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import { ulaOf } from '#src/compile/allocate.ts'
import { overlappingPeers, type Peer } from '#src/compile/tunnels.ts'
import type { Allocation, Fabric, SiteId, TunnelId } from '#src/fabric/fabric.ts'
import { tunnelsOf } from '#src/fabric/slice.ts'
import { nth, prefix } from '#src/net/address.ts'
import { berlin, dublin, edge, fixed, frankfurt, madrid, network, site, siteId } from './networks.ts'

const fabricOf = (intent = network(), held: readonly Allocation[] = []): Fabric => {
  const { fabric, findings } = compile(intent, held)
  expect(findings).toEqual([])
  return fabric!
}
const interfaces = (fabric: Fabric, id: string) =>
  fabric.sites
    .find((one) => one.id === id)!
    .interfaces.map((one) => {
      const carried = tunnelsOf(fabric, siteId(id)).filter(({ tunnel, end }) => 'site' in tunnel.ends[end] && tunnel.ends[end].interface === one.id)
      return `${one.id} ${one.stem} ${one.port} ${carried.length}`
    })

describe('interfaces', () => {
  const fabric = fabricOf()
  test('a hub has one per own uplink and remote slot, however many sites, and one per mesh path', () => {
    expect(interfaces(fabric, 'dublin')).toEqual([
      'hub:isp-a/s0 cwh0s0 51820 3',
      'hub:isp-a/s1 cwh0s1 51822 3',
      'hub:isp-b/s0 cwh1s0 51836 3',
      'hub:isp-b/s1 cwh1s1 51838 3',
      'mesh:isp-a/frankfurt.isp-a cwm2u0u0 52000 1',
      'mesh:isp-a/frankfurt.isp-b cwm2u0u1 52002 1',
      'mesh:isp-b/frankfurt.isp-a cwm2u1u0 52004 1',
      'mesh:isp-b/frankfurt.isp-b cwm2u1u1 52006 1',
    ])
  })
  test('an edge has one per path, with one tunnel', () => {
    expect(interfaces(fabric, 'berlin').slice(0, 3)).toEqual([
      'edge:fiber/dublin.isp-a cwe1u0u0 53000 1',
      'edge:fiber/dublin.isp-b cwe1u0u1 53002 1',
      'edge:fiber/frankfurt.isp-a cwe2u0u0 53004 1',
    ])
  })
  test('a core that is no hub is a spoke with a fixed address', () => {
    const paris = site(
      'paris',
      'core',
      [fixed('isp', '203.0.113.10/28', '203.0.113.1')],
      { inference: ['10.12.0.0/16'] },
      { hubs: [siteId('dublin')] },
    )
    const one = fabricOf(network({ sites: [berlin, dublin, frankfurt, paris] })).sites.find(({ id }) => id === 'paris')!
    expect(one).toMatchObject({ hub: false, hubs: ['dublin'], role: 'core' })
    expect(one.uplinks[0]!.endpoint).toEqual({
      kind: 'fixed',
      address: '203.0.113.10/28',
      router: '203.0.113.1',
      public: '203.0.113.10',
      base: 51820,
    })
    expect(one.interfaces.map(({ kind }) => kind)).toEqual(['edge', 'edge'])
  })
})

describe('no two peers of an interface overlap', () => {
  const peer = (remote: string, ...allowedIps: string[]): Peer => ({
    site: 'dublin' as SiteId,
    interface: 'hub:isp-a/s0',
    tunnel: `${remote}.fiber--dublin.isp-a` as TunnelId,
    remote: siteId(remote),
    allowedIps: allowedIps.map(prefix),
  })
  const says = (...peers: readonly Peer[]) => overlappingPeers(peers).map((finding) => finding.says)

  test('apart', () => expect(says(peer('berlin', '10.1.0.0/24', 'fd00::4/128'), peer('madrid', '10.1.1.0/24', 'fd00::8/128'))).toEqual([]))
  test('one inside the other, with others between', () => {
    expect(says(peer('berlin', '10.0.0.0/8'), peer('madrid', '10.9.0.0/24'), peer('oslo', '10.1.0.0/16', '10.1.7.0/24'))).toEqual([
      'two peers of dublin/hub:isp-a/s0 would both own 10.1.0.0/16: berlin.fiber--dublin.isp-a and oslo.fiber--dublin.isp-a',
      'two peers of dublin/hub:isp-a/s0 would both own 10.1.7.0/24: berlin.fiber--dublin.isp-a and oslo.fiber--dublin.isp-a',
      'two peers of dublin/hub:isp-a/s0 would both own 10.9.0.0/24: berlin.fiber--dublin.isp-a and madrid.fiber--dublin.isp-a',
    ])
  })
  test('the same prefix, and the same on another interface', () => {
    const elsewhere = { ...peer('madrid', '10.1.0.0/24'), interface: 'hub:isp-a/s1' }
    expect(says(peer('berlin', '10.1.0.0/24'), elsewhere)).toEqual([])
    expect(says(peer('berlin', '10.1.0.0/24'), peer('madrid', '10.1.0.0/24'))).toHaveLength(1)
  })

  test('I130: allocations that give two uplinks of a site one slot are caught', () => {
    const held: Allocation[] = [
      { kind: 'slot', owner: 'berlin/fiber', value: 0 },
      { kind: 'slot', owner: 'berlin/lte', value: 0 },
    ]
    const { fabric, findings } = compile(network({ sites: [berlin, dublin, frankfurt] }), held)
    expect(fabric).toBeNull()
    expect(findings[0]).toMatchObject({
      code: 'I130',
      at: ['site/berlin', 'site/berlin'],
      says: 'two peers of dublin/hub:isp-a/s0 would both own 10.1.10.0/24: berlin.fiber--dublin.isp-a and berlin.lte--dublin.isp-a',
    })
  })
  test('I130: prefixes that overlap across sites are caught, should the intent let them pass', () => {
    const twin = edge('twin', { inference: ['10.1.10.128/25'] })
    expect(compile(network({ sites: [berlin, dublin, frankfurt, madrid, twin] }), []).findings[0]).toMatchObject({
      code: 'I130',
      at: ['site/twin', 'site/berlin'],
    })
  })
  test('I131: no LAN has addresses of the insides of tunnels', () => {
    const ula = ulaOf(network().network)
    const inside = edge('madrid', { inference: ['10.1.11.0/24', `${nth(ula, 0)}/64`] })
    expect(compile(network({ sites: [berlin, dublin, frankfurt, inside] }), [])).toMatchObject({
      fabric: null,
      findings: [
        {
          code: 'I131',
          at: ['site/madrid/lan/inference', 'site/madrid'],
          says: `${nth(ula, 0)}/64 at madrid has addresses of ${ula}, which this network uses inside its tunnels`,
        },
      ],
    })
  })
})
