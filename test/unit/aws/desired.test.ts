import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { aggregate, desired, groupRules, overlayPrefixes, strongProfile, withKeys } from '#providers/aws/desired.ts'
import { permissionsOf, ruleTexts } from '#providers/aws/group.ts'
import type { Ref, Resource } from '#providers/cloud.ts'
import type { ClassId, ConnectionId, Deny, TunnelId } from '#src/fabric/fabric.ts'
import { address, contains, type Prefix, prefix, prefixFromBits } from '#src/net/address.ts'
import type { PortRange } from '#src/net/ports.ts'
import { network, sampleRegion, sampleRoutes } from '#test/contract/aws-region.ts'

const region = sampleRegion('vpc-1', [prefix('10.20.0.0/16')])
const resources = desired(network, region, sampleRoutes(region))
const byId = (id: string): Resource => resources.find((of) => of.id === `aws-eu-west-1/${id}`)!
const ref = (id: string): Ref => ({ ref: `aws-eu-west-1/${id}` as Ref['ref'] })

describe('a region with two connections and one VPC', () => {
  test('consists of', () => {
    expect(resources.map((of) => of.id.replace('aws-eu-west-1/', ''))).toEqual([
      'transit-gateway',
      'security-group/vpc-1',
      'customer-gateway/192.0.2.10',
      'customer-gateway/198.51.100.10',
      'route-table/hubs',
      'route-table/networks',
      'connection/frankfurt.isp-a',
      'connection/dublin.isp-a',
      'attachment/vpc-1',
      'association/frankfurt.isp-a',
      'association/dublin.isp-a',
      'association/vpc-1',
      'route/hubs/10.20.0.0/16',
      'route/networks/10.1.10.0/23',
      'route/networks/10.2.10.0/24',
      'vpc-route/vpc-1/10.1.10.0/23',
      'vpc-route/vpc-1/10.2.10.0/24',
    ])
  })

  test('lists everything after what it needs', () => {
    const seen = new Set<string>()
    for (const of of resources) {
      expect(of.after.filter((id) => !seen.has(id))).toEqual([])
      seen.add(of.id)
    }
  })

  test('routes from hubs only into VPCs, so it is never transit between them', () => {
    const fromHubs = resources.filter((of) => of.type === 'transit-gateway-route' && (of.properties['routeTable'] as Ref).ref.endsWith('/hubs'))
    expect(fromHubs.map((of) => of.properties['to'])).toEqual([ref('attachment/vpc-1')])
    expect(byId('association/frankfurt.isp-a').properties['routeTable']).toEqual(ref('route-table/hubs'))
    expect(byId('association/vpc-1').properties['routeTable']).toEqual(ref('route-table/networks'))
  })

  test('gives both tunnels of a connection the strong profile', () => {
    expect(byId('connection/dublin.isp-a').properties['tunnels']).toEqual([
      { tunnel: 'dublin.isp-a--aws-eu-west-1/0', inside: '169.254.11.0/30', ...strongProfile },
      { tunnel: 'dublin.isp-a--aws-eu-west-1/1', inside: '169.254.11.4/30', ...strongProfile },
    ])
  })

  test('has one customer gateway for two connections of one address', () => {
    const [first, second] = region.connections
    const shared = { ...region, connections: [first!, { ...second!, address: address('192.0.2.10') }] }
    expect(desired(network, shared, new Map()).filter((of) => of.type === 'customer-gateway')).toHaveLength(1)
  })

  test('carries fingerprints of keys only where they are given', () => {
    const keyed = withKeys(resources, new Map([['dublin.isp-a--aws-eu-west-1/1' as TunnelId, 'abcd']]))
    const tunnels = keyed.flatMap((of) => (of.type === 'vpn-connection' ? (of.properties['tunnels'] as { psk?: string }[]) : []))
    expect(tunnels.map(({ psk }) => psk)).toEqual([undefined, undefined, undefined, 'abcd'])
  })
})

describe('security groups', () => {
  test('restate the allows, in by source and out by destination', () => {
    expect(byId('security-group/vpc-1').properties).toEqual({
      vpc: 'vpc-1',
      name: 'causeway-acme-aws-eu-west-1',
      ingress: ['icmp/3.4 0.0.0.0/0', 'tcp/8443 10.1.10.0/23'],
      egress: ['udp/5000-5010 10.2.10.0/24'],
    })
  })

  test('take no part in allows between others', () => {
    expect(groupRules(region, [prefix('10.99.0.0/16')])).toEqual({ ingress: ['icmp/3.4 0.0.0.0/0'], egress: [] })
  })

  test('leave out what is denied to all that an allow opens', () => {
    const any: PortRange = { protocol: 'any', from: 0, to: 65535 }
    const tcp = (from: number, to = from): PortRange => ({ protocol: 'tcp', from, to })
    const flow = (...prefixes: string[]) => ({ segment: region.segment, prefixes: prefixes.map(prefix) })
    const from = '10.1.0.0/16'
    const ingress = (allowed: readonly PortRange[], ...denies: readonly Omit<Deny, 'id'>[]) =>
      groupRules(
        {
          rules: [{ id: 'a', from: flow(from), to: flow('10.20.0.0/17'), ports: allowed, trafficClass: 'default' as ClassId }],
          denies: denies.map((deny) => ({ id: 'd', ...deny })),
        },
        [prefix('10.20.0.0/16')],
      ).ingress.filter((line) => !line.startsWith('icmp/'))
    const deny = (ports: readonly PortRange[], whom = '10.1.128.0/17', to = '10.20.0.0/16') => ({ from: flow(whom), to: flow(to), ports })
    expect(ingress([tcp(1, 100)], deny([tcp(50)]))).toEqual(['tcp/1-49 10.1.0.0/16', 'tcp/50 10.1.0.0/17', 'tcp/51-100 10.1.0.0/16'])
    expect(ingress([any], deny([any]))).toEqual(['any 10.1.0.0/17'])
    expect(ingress([tcp(1)], deny([tcp(1)], from))).toEqual([])
    // Who is denied one host of those that it may reach, or one protocol of all, is not kept out here.
    expect(ingress([tcp(1)], deny([tcp(1)], from, '10.20.0.9/32'))).toEqual(['tcp/1 10.1.0.0/16'])
    expect(ingress([any], deny([tcp(1)], from))).toEqual(['any 10.1.0.0/16'])
  })

  test.each([
    ['tcp/443 10.1.0.0/16'],
    ['udp/5000-5010 10.1.0.0/16'],
    ['icmp 10.1.0.0/16'],
    ['icmp/3.4 0.0.0.0/0'],
    ['icmpv6 fd10::/64'],
    ['icmpv6/2.0 ::/0'],
    ['tcp/443 fd10::/64'],
    ['any 10.0.0.0/8'],
    ['any ::/0'],
    ['tcp/22 sg-1'],
    ['tcp/443 pl-1'],
  ])('%s survives the way to AWS and back', (rule) => {
    expect(ruleTexts(permissionsOf([rule]))).toEqual([rule])
  })
})

describe('a region with both families', () => {
  const dual = sampleRegion('vpc-1', ['10.20.0.0/16', '2600:1f18:1234:5600::/56'].map(prefix))
  const both = desired(network, dual, sampleRoutes(dual))
  const of = (id: string): Resource => both.find((one) => one.id === `aws-eu-west-1/${id}`)!

  test('has in addition to its IPv4', () => {
    const fours = new Set<string>(resources.map(({ id }) => id))
    expect(both.map(({ id }) => id.replace('aws-eu-west-1/', '')).filter((id) => !fours.has(`aws-eu-west-1/${id}`))).toEqual([
      'connection/frankfurt.isp-a:v6',
      'connection/dublin.isp-a:v6',
      'association/frankfurt.isp-a:v6',
      'association/dublin.isp-a:v6',
      'route/hubs/2600:1f18:1234:5600::/56',
      'route/networks/fd10:1:0:10::/63',
      'route/networks/fd10:2:0:10::/64',
      'vpc-route/vpc-1/fd10:1:0:10::/63',
      'vpc-route/vpc-1/fd10:2:0:10::/64',
    ])
    // And leaves that alone, but for the attachment, whose interfaces have IPv6 now, and the groups.
    const changed = resources.filter((one) => JSON.stringify(one.properties) !== JSON.stringify(both.find(({ id }) => id === one.id)?.properties))
    expect(changed.map(({ type }) => type)).toEqual(['security-group', 'vpc-attachment'])
    expect(of('attachment/vpc-1').properties).toMatchObject({ everywhere: true, ipv6: true })
  })
  test('leads each family over connections of its own', () => {
    expect(of('route/networks/fd10:1:0:10::/63').properties['to']).toEqual(ref('connection/frankfurt.isp-a:v6'))
    expect(of('route/networks/10.1.10.0/23').properties['to']).toEqual(ref('connection/frankfurt.isp-a'))
  })
  test('has groups that let in from each what an allow does, and "packet too big" of both', () => {
    expect(of('security-group/vpc-1').properties).toMatchObject({
      ingress: ['icmp/3.4 0.0.0.0/0', 'icmpv6/2.0 ::/0', 'tcp/8443 10.1.10.0/23', 'tcp/8443 fd10:1:0:10::/63'],
      egress: ['udp/5000-5010 10.2.10.0/24', 'udp/5000-5010 fd10:2:0:10::/64'],
    })
    const ping = dual.rules.map((rule) => ({ ...rule, ports: [{ protocol: 'icmp' as const, from: 0, to: 65535 }] }))
    expect(groupRules({ rules: ping }, dual.networks[0]!.prefixes).egress).toEqual(['icmp 10.2.10.0/24', 'icmpv6 fd10:2:0:10::/64'])
    expect(groupRules(dual, [prefix('2600:1f18:1234:5600::/56')]).egress, 'a VPC without IPv4 of ours').toEqual(['udp/5000-5010 fd10:2:0:10::/64'])
    const denied = {
      id: 'd',
      from: dual.rules[0]!.from,
      to: { segment: dual.segment, prefixes: [prefix('2600:1f18:1234:5600::/56')] },
      ports: dual.rules[0]!.ports,
    }
    expect(groupRules({ ...dual, denies: [denied] }, dual.networks[0]!.prefixes).ingress, 'one family is denied').toEqual([
      'icmp/3.4 0.0.0.0/0',
      'icmpv6/2.0 ::/0',
      'tcp/8443 10.1.10.0/23',
    ])
  })
})

describe('return routes', () => {
  const prefixes = fc
    .tuple(fc.nat(255), fc.integer({ min: 24, max: 28 }))
    .map(([n, length]) => prefixFromBits(4, BigInt(10 * 2 ** 24 + Math.floor(n / 2 ** (28 - length)) * 2 ** (32 - length) * 2), length))
  const routes = fc
    .uniqueArray(fc.tuple(prefixes, fc.constantFrom('a', 'b')), { selector: ([of]) => of, maxLength: 12 })
    .map((entries) => new Map(entries.map(([of, connection]) => [of, connection as ConnectionId] as const)))
  const longest = (of: Iterable<readonly [Prefix, ConnectionId]>, to: Parameters<typeof contains>[1]): string | undefined =>
    [...of].filter(([one]) => contains(one, to)).toSorted(([a], [b]) => Number(b.split('/')[1]) - Number(a.split('/')[1]))[0]?.[1]

  test('lead every address where they led before they were put together', () => {
    fc.assert(
      fc.property(routes, (before) => {
        const after = aggregate(before)
        expect(after.length).toBeLessThanOrEqual(before.size)
        for (let n = 0; n < 512; n++) {
          const host = address(`10.0.${Math.floor(n / 16)}.${(n % 16) * 16 + 1}`)
          expect(longest(after, host)).toBe(longest(before, host))
        }
      }),
    )
  })

  test('halves of one connection become one, of two stay two', () => {
    const halves = (second: string) =>
      new Map([
        [prefix('10.1.0.0/24'), 'a'],
        [prefix('10.1.1.0/24'), second],
      ]) as unknown as ReadonlyMap<Prefix, ConnectionId>
    expect(aggregate(halves('a'))).toEqual([['10.1.0.0/23', 'a']])
    expect(aggregate(halves('b'))).toEqual([
      ['10.1.0.0/24', 'a'],
      ['10.1.1.0/24', 'b'],
    ])
  })

  test('in the VPC all lead to one place, so they are as few as can be', () => {
    expect(overlayPrefixes(region)).toEqual(['10.1.10.0/23', '10.2.10.0/24'])
  })
})
