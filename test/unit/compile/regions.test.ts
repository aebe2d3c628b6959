import { describe, expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import type { Allocation, ConnectionId, Fabric, Fact, IpsecTunnel, RegionId, TunnelId } from '#src/fabric/fabric.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { connectionId, ipsecInsideOf, ipsecTunnelId } from '#src/fabric/ids.ts'
import { regionHash, siteHash } from '#src/fabric/slice.ts'
import type { Intent, IntentRegion } from '#src/intent/intent.ts'
import { address, contains, familyOf, nth, prefix, prefixBits, prefixFromBits } from '#src/net/address.ts'
import { returnRoutes } from '#src/path/return-routes.ts'
import { routeVectors } from '#providers/linux/vectors.ts'
import { allow, berlin, cloud, dualNetwork, dublin, frankfurt, madrid, network, oslo, regionId, siteId, uplinkId } from './networks.ts'

const withCloud = (region: Partial<IntentRegion> = {}, more: Partial<Intent> = {}): Intent =>
  network({
    regions: [{ ...cloud, ...region }],
    allow: [...network().allow, allow('edge/inference -> aws-eu-west-1/inference', 'tcp/8443')],
    ...more,
  })
const made = (intent: Intent, held: readonly Allocation[] = []): Fabric => compile(intent, held).fabric!
const fabric = made(withCloud())
const region = fabric.regions[0]!
const frankfurtSite = fabric.sites.find((one) => one.id === 'frankfurt')!
const via = (from: Fabric['sites'][number] | typeof region, remote: string, trafficClass = 'default', arrived = 'anywhere') =>
  groupsOf(from).find((group) => group.remote === remote && group.trafficClass === trafficClass && group.arrived === arrived)!.via
const stages = (hops: ReturnType<typeof via>) => [...Map.groupBy(hops, (hop) => hop.stage).values()].map((stage) => stage.map((hop) => hop.tunnel))

describe('a region', () => {
  test('is joined by one connection a hub uplink, two tunnels each, in the order of its hubs', () => {
    expect(region.connections.map(({ id, address: of, members }) => [id, of, ...members.map((one) => one.tunnel)])).toEqual([
      ['frankfurt.isp-a', '192.0.2.10', 'frankfurt.isp-a--aws-eu-west-1.0', 'frankfurt.isp-a--aws-eu-west-1.1'],
      ['frankfurt.isp-b', '198.51.100.10', 'frankfurt.isp-b--aws-eu-west-1.0', 'frankfurt.isp-b--aws-eu-west-1.1'],
      ['dublin.isp-a', '192.0.2.26', 'dublin.isp-a--aws-eu-west-1.0', 'dublin.isp-a--aws-eu-west-1.1'],
      ['dublin.isp-b', '198.51.100.26', 'dublin.isp-b--aws-eu-west-1.0', 'dublin.isp-b--aws-eu-west-1.1'],
    ])
    const other = made(withCloud({ hubs: [siteId('dublin')] })).regions[0]!
    expect(other.connections.map(({ id }) => id)).toEqual(['dublin.isp-a', 'dublin.isp-b'])
  })
  test('owns its VPCs’ prefixes, knows the ones that a rule names, and carries nothing for others', () => {
    expect(region.lans).toEqual([{ segment: 'inference', interface: 'vpc-0a1b2c3d4e5f60718', prefix: '10.96.0.0/16', address: '10.96.0.1/16' }])
    expect(region.routes.map(({ to, remote }) => `${to} ${remote}`)).toContain('10.1.10.0/24 berlin')
    expect(region.routes.map(({ to }) => to)).not.toContain('10.20.0.0/16')
    expect(region.transits).toEqual([])
    expect(fabric.network.pool).toContain('10.0.0.0/8')
  })
  test('has the allows as its security groups see them', () => {
    const rule = region.rules.find((one) => one.id.startsWith('edge/inference -> aws-eu-west-1/inference'))!
    expect(rule).toMatchObject({
      id: 'edge/inference -> aws-eu-west-1/inference tcp/8443#in inference>inference',
      from: { prefixes: ['10.1.10.0/24', '10.1.11.0/24', '10.1.12.0/24'] },
      to: { prefixes: ['10.96.0.0/16'] },
    })
    const owner = fabric.sites
      .find((one) => one.id === 'berlin')!
      .rules.find((one) => one.id.includes('#out') && one.id.startsWith('edge/inference -> aws'))!
    expect(owner.to.prefixes).toEqual(['10.96.0.0/16'])
    expect(frankfurtSite.transits).toContainEqual({
      id: 'edge/inference -> aws-eu-west-1/inference#out inference>inference',
      a: ['10.1.10.0/24', '10.1.11.0/24', '10.1.12.0/24'],
      b: ['10.96.0.0/16'],
    })
  })
  test('is a part of its own: what only sites need does not move its hash, and an empty list of regions moves no site', () => {
    const held = compile(withCloud(), []).claims
    const sla = network().classes.map((one) => (one.id === 'business' ? { ...one, share: 26 } : one))
    expect(regionHash(made(withCloud({}, { classes: sla }), held), region.id)).toBe(regionHash(fabric, region.id))
    const without = made(network(), held)
    expect(siteHash(made(network({ regions: [] }), held), siteId('berlin'))).toBe(siteHash(without, siteId('berlin')))
    expect(() => regionHash(fabric, 'nowhere' as RegionId)).toThrow('no region "nowhere" in network demo')
  })
})

describe('the ways', () => {
  test('of a hub: its own connections, then the mesh; what came over the mesh only goes directly', () => {
    expect(via(frankfurtSite, 'aws-eu-west-1').map((hop) => `${hop.stage} ${hop.next}`)).toEqual([
      ...Array<string>(4).fill('0 aws-eu-west-1'),
      ...Array<string>(4).fill('1 dublin'),
    ])
    expect(new Set(via(frankfurtSite, 'aws-eu-west-1', 'default', 'mesh').map((hop) => hop.next))).toEqual(new Set(['aws-eu-west-1']))
  })
  test('of an edge: its home, then the next hub', () => {
    const edge = fabric.sites.find((one) => one.id === 'berlin')!
    expect(
      [...Map.groupBy(via(edge, 'aws-eu-west-1'), (hop) => hop.stage)].map(([stage, hops]) => [stage, hops[0]!.next, hops[0]!.returnAfter]),
    ).toEqual([
      [0, 'frankfurt', 0],
      [1, 'dublin', 300],
    ])
    expect(new Set(via(edge, 'frankfurt').map((hop) => hop.returnAfter)), 'to the home itself nothing waits').toEqual(new Set([0]))
  })
  test('of the region: the remote’s hubs in their order, each connection a stage, the same for all classes', () => {
    const order = (remote: string, of = fabric) =>
      stages(via(of.regions[0]!, remote)).map((stage) => stage.map((id) => id.slice(0, id.indexOf('--'))))
    expect(order('berlin')).toEqual([
      ['frankfurt.isp-a', 'frankfurt.isp-a'],
      ['frankfurt.isp-b', 'frankfurt.isp-b'],
      ['dublin.isp-a', 'dublin.isp-a'],
      ['dublin.isp-b', 'dublin.isp-b'],
    ])
    expect(order('dublin')[0]![0]).toBe('dublin.isp-a')
    for (const { id } of fabric.classes) expect(via(region, 'berlin', id)).toEqual(via(region, 'berlin'))
    const odd = made(
      withCloud({ hubs: [siteId('frankfurt')] }, { sites: [{ ...berlin, hubs: [siteId('dublin')] }, dublin, frankfurt, madrid, oslo] }),
    )
    expect(order('berlin', odd)[0]![0], 'a hub that is not its own, when there is no other').toBe('frankfurt.isp-a')
  })
  test('back, by connection: the first that is up, or the first when none is', () => {
    const ids = region.connections.map(({ id }) => id)
    const back = (...down: readonly ConnectionId[]) => returnRoutes(fabric, region.id, new Set(down)).get(prefix('10.1.10.0/24'))
    expect([back(), back(ids[0]!), back(ids[0]!, ids[1]!), back(ids[1]!), back(...ids)]).toEqual([ids[0], ids[1], ids[2], ids[0], ids[0]])
    expect(returnRoutes(fabric, region.id, new Set()).get(prefix('10.11.0.0/16'))).toBe('dublin.isp-a')
    expect([...returnRoutes(fabric, region.id, new Set()).keys()]).toEqual(region.routes.map(({ to }) => to))
    expect(() => returnRoutes(fabric, 'nowhere' as RegionId, new Set())).toThrow('no region "nowhere"')
  })
})

describe('the addresses inside', () => {
  const reserved = ['169.254.0.0/30', '169.254.1.0/30', '169.254.5.0/30', '169.254.21.0/24', '169.254.169.252/30'].map(prefix)
  const insides = (of: readonly Allocation[]) => of.flatMap((one) => (one.kind === 'inside' ? [one] : []))
  test('are /30s that no cloud keeps for itself, each once, and stay with their tunnel', () => {
    const { claims } = compile(withCloud(), [])
    const values = insides(claims).map((one) => one.value)
    expect(values).toHaveLength(8)
    expect(new Set(values).size).toBe(8)
    for (const value of values) {
      expect(contains(prefix('169.254.0.0/16'), value) && value.endsWith('/30')).toBe(true)
      expect(reserved.some((one) => contains(one, value) || contains(value, one))).toBe(false)
    }
    const second: IntentRegion = {
      ...cloud,
      id: regionId('aws-eu-central-1'),
      networks: [{ id: 'vpc-0a1b2c3d4e5f60799', prefixes: [prefix('10.97.0.0/16')] }],
    }
    const later = compile({ ...withCloud(), regions: [second, cloud] }, claims)
    expect(later.fabric!.regions.find((one) => one.id === region.id)!.connections).toEqual(region.connections)
    expect(insides(later.claims)).toHaveLength(8)
    expect(insides(later.claims).filter((one) => values.includes(one.value))).toEqual([])
  })
  test('pass over the metadata, and end: I124', () => {
    const at = (n: number) => prefixFromBits(4, 0xa9fe_8000n + BigInt(n) * 4n, 30)
    const all = Array.from({ length: 8192 }, (_, n) => at(n)).filter((one) => !contains(prefix('169.254.169.0/24'), one))
    const taken = (count: number): Allocation[] =>
      all.slice(0, count).map((value, n) => ({ kind: 'inside', owner: `x.u--gone.${n}` as TunnelId, value }))
    const before = 41 * 64
    const next = insides(compile(withCloud(), taken(before)).claims).map((one) => one.value)
    expect(next[0]).toBe('169.254.170.0/30')
    expect(compile(withCloud(), taken(all.length - 8)).findings).toEqual([])
    expect(compile(withCloud(), taken(all.length - 7)).findings).toMatchObject([
      {
        code: 'I124',
        at: ['region/aws-eu-west-1', 'network'],
        says: 'tunnel frankfurt.isp-b--aws-eu-west-1.1 is one too many for the addresses inside IPsec tunnels',
      },
    ])
  })
})

describe('a region with both families', () => {
  const six = prefix('2600:1f18:1234:5600::/56')
  const { fabric: both, claims } = compile(dualNetwork(), [])
  const there = both!.regions[0]!
  const hub = both!.sites.find((one) => one.id === 'frankfurt')!
  const groups = (of: Parameters<typeof groupsOf>[0], remote: string) =>
    groupsOf(of).filter((one) => one.remote === remote && one.trafficClass === 'default' && one.arrived === 'anywhere')
  const ids = (of: Fabric) => of.regions[0]!.connections.map(({ id }) => id)

  test('has connections of each from every hub uplink, those of IPv6 with insides of the network’s own /48', () => {
    expect(ids(both!)).toEqual(['frankfurt.isp-a', 'frankfurt.isp-b', 'dublin.isp-a', 'dublin.isp-b'].flatMap((one) => [one, `${one}:v6`]))
    const insides = there.connections.flatMap(({ members }) => members.map(({ inside }) => inside))
    expect(insides.filter((one) => contains(prefix('169.254.0.0/16'), one) && one.endsWith('/30'))).toHaveLength(8)
    expect(insides.filter((one) => contains(both!.network.ula, one) && one.endsWith('/126'))).toHaveLength(8)
    expect(new Set(insides).size).toBe(16)
    expect(new Set(hub.interfaces.map(({ stem }) => stem)).size).toBe(hub.interfaces.length)
    expect(hub.interfaces.map(({ stem }) => stem)).toEqual(expect.arrayContaining(['cwi0u0m0', 'cwi0u0m1', 'cwi0u0m2', 'cwi0u0m3']))
  })
  test('whose IPv6 comes later leaves its IPv4 as it was, and takes none of its numbers', () => {
    const before = compile(dualNetwork({ networks: cloud.networks }), [])
    const after = compile(dualNetwork(), before.claims).fabric!
    const fours = after.regions[0]!.connections.filter(({ id }) => !id.endsWith(':v6'))
    expect(fours).toEqual(before.fabric!.regions[0]!.connections)
    const own = before.fabric!.sites.find(({ id }) => id === 'frankfurt')!.interfaces
    expect(after.sites.find(({ id }) => id === 'frankfurt')!.interfaces).toEqual(expect.arrayContaining([...own]))
    expect(claims.filter(({ kind }) => kind === 'inside')).toHaveLength(8)
  })
  test('is reached by a hub over the connections of a family alone, then over the mesh, and by an edge as ever', () => {
    const [four, other] = groups(hub, there.id)
    expect([four!.family, other!.family]).toEqual([4, 6])
    const names = (group: typeof four) => group!.via.map(({ stage, tunnel }) => `${stage} ${tunnel.replace('--aws-eu-west-1', '')}`)
    expect(names(four).filter((one) => one.startsWith('0'))).toEqual([
      '0 frankfurt.isp-a.0',
      '0 frankfurt.isp-a.1',
      '0 frankfurt.isp-b.0',
      '0 frankfurt.isp-b.1',
    ])
    expect(names(other).filter((one) => one.startsWith('0'))).toEqual([
      '0 frankfurt.isp-a:v6.0',
      '0 frankfurt.isp-a:v6.1',
      '0 frankfurt.isp-b:v6.0',
      '0 frankfurt.isp-b:v6.1',
    ])
    expect(names(four).slice(4)).toEqual(names(other).slice(4))
    expect(groups(both!.sites.find((one) => one.id === 'berlin')!, there.id).map(({ family }) => family)).toEqual([undefined])
  })
  test('answers each family over connections of its own: those of one may be down without the other', () => {
    const back = (to: string, ...down: readonly string[]) => returnRoutes(both!, there.id, new Set(down as ConnectionId[])).get(prefix(to))
    expect([back('10.1.10.0/24'), back('fd10:0::/64')]).toEqual(['frankfurt.isp-a', 'frankfurt.isp-a:v6'])
    expect([back('10.1.10.0/24', 'frankfurt.isp-a:v6'), back('fd10:0::/64', 'frankfurt.isp-a:v6')]).toEqual(['frankfurt.isp-a', 'frankfurt.isp-b:v6'])
    const sixes = ids(both!).filter((one) => one.endsWith(':v6'))
    expect([back('10.1.10.0/24', ...sixes), back('fd10:0::/64', ...sixes)]).toEqual(['frankfurt.isp-a', 'frankfurt.isp-a:v6'])
  })
  test('asks the kernels of its hubs where packets of either go, and lets out of a tunnel what it carries', () => {
    const tunnel = 'frankfurt.isp-a:v6--aws-eu-west-1.0' as TunnelId
    const facts: readonly Fact[] = [
      { kind: 'psk', tunnel, linkEpoch: 0, ref: { id: `psk/${tunnel}`, version: 1, fingerprint: '0123456789abcdef' } },
      { kind: 'cloud-endpoint', tunnel, address: address('203.0.113.9') },
    ]
    const config = configure(both!, facts, siteId('frankfurt'))
    const { index, inside } = both!.tunnels.find((one) => one.id === tunnel) as IpsecTunnel
    expect(inside).toBe(ipsecInsideOf(both!.network.ula, index))
    expect(config.tunnels).toMatchObject([{ id: tunnel, inside: nth(inside, 2), farInside: nth(inside, 1), peer: { prefixes: [six] } }])
    const asked = routeVectors(config)
      .filter(({ expect: of }) => of.kind === 'remote' && of.remote === there.id)
      .map(({ to }) => familyOf(to))
    expect(new Set(asked)).toEqual(new Set([4, 6]))
  })
  test('of which one is left has groups for whatever comes, and IPv6 alone keeps the names of its connections', () => {
    const only = compile(dualNetwork({ networks: [{ id: 'vpc-0a1b2c3d4e5f60718', prefixes: [six] }] }), claims).fabric!
    expect(only.regions[0]!.connections).toEqual(there.connections.filter(({ id }) => id.endsWith(':v6')))
    expect(groups(only.sites.find((one) => one.id === 'frankfurt')!, there.id).map(({ family }) => family)).toEqual([undefined])
    expect(only.regions[0]!.routes.every(({ to }) => familyOf(to) === 6)).toBe(true)
  })
  test('has no addresses of the /48 that this network uses inside its tunnels: I131', () => {
    const inside = prefixFromBits(6, prefixBits(both!.network.ula).value, 56)
    expect(compile(dualNetwork({ networks: [{ id: 'vpc-0a1b2c3d4e5f60718', prefixes: [inside] }] }), []).findings).toMatchObject([
      { code: 'I131', at: ['region/aws-eu-west-1/lan/inference', 'region/aws-eu-west-1'] },
    ])
  })
})

describe('a hub’s configuration', () => {
  const tunnel = ipsecTunnelId(connectionId(siteId('frankfurt'), uplinkId('isp-a')), region.id, 0)
  const psk = (linkEpoch: number): Fact => ({
    kind: 'psk',
    tunnel,
    linkEpoch,
    ref: { id: `psk/${tunnel}`, version: linkEpoch + 1, fingerprint: '0123456789abcdef' },
  })
  const endpoint: Fact = { kind: 'cloud-endpoint', tunnel, address: address('203.0.113.9') }
  const config = (...facts: readonly Fact[]) => configure(fabric, facts, siteId('frankfurt'))
  test('waits for the secret and for the cloud’s address', () => {
    for (const facts of [[], [psk(0)], [endpoint]]) {
      expect(config(...facts).tunnels).toEqual([])
      expect(config(...facts).waiting).toContain(tunnel)
    }
    expect(config(psk(0), endpoint).waiting).not.toContain(tunnel)
  })
  test('has all that IKE needs but the secret', () => {
    expect(config(psk(0), endpoint).tunnels).toEqual([
      {
        id: tunnel,
        index: fabric.tunnels.find((one) => one.id === tunnel)!.index,
        role: 'cloud',
        probe: 'icmp',
        interface: 'cloud:isp-a/aws-eu-west-1.0',
        linkEpoch: 0,
        uplink: 'isp-a',
        remote: 'aws-eu-west-1',
        connection: 'frankfurt.isp-a',
        member: 0,
        metered: false,
        decides: true,
        initiates: true,
        inside: '169.254.128.18',
        farInside: '169.254.128.17',
        peer: {
          kind: 'ipsec',
          address: '203.0.113.9',
          port: 4500,
          localId: '192.0.2.10',
          remoteId: '203.0.113.9',
          psk: { id: `psk/${tunnel}`, version: 1, fingerprint: '0123456789abcdef' },
          proposals: { ike: ['aes256gcm16-prfsha384-ecp384'], esp: ['aes256gcm16-ecp384'] },
          rekey: { ike: 24_000, esp: 3_000 },
          prefixes: ['10.96.0.0/16'],
        },
      },
    ])
  })
  test('keeps device and port when the secret is a new one', () => {
    const own = (...facts: readonly Fact[]) => {
      const { interfaces, tunnels } = config(...facts, endpoint)
      const carrying = tunnels.find((one) => one.id === tunnel)!.interface
      return interfaces.filter((one) => one.id === carrying)
    }
    expect(own(psk(0))).toMatchObject([{ kind: 'cloud', device: 'cwi0u0m0p0', linkEpoch: 0 }])
    expect(own(psk(1), psk(0))).toEqual([{ ...own(psk(0))[0]!, linkEpoch: 1 }])
    expect(config(psk(1), psk(0), endpoint).tunnels).toMatchObject([{ linkEpoch: 1, peer: { psk: { version: 2 } } }])
  })
  test('of an edge has none of it', () => {
    const edge = configure(fabric, [psk(0), endpoint], siteId('berlin'))
    expect(edge.interfaces.every((one) => one.kind === 'edge') && edge.waiting.every((id) => !id.includes('aws'))).toBe(true)
  })
})
