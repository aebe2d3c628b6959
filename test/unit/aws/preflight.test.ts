import { describe, expect, test } from 'vitest'
import { judge, misfits, type Surroundings } from '#providers/aws/preflight.ts'
import type { Region } from '#src/fabric/fabric.ts'
import { type Prefix, prefix } from '#src/net/address.ts'
import { network, sampleRegion } from '#test/contract/aws-region.ts'

const region = sampleRegion('vpc-1', [prefix('10.20.0.0/16')])
const fine: Surroundings = {
  vpcs: [{ VpcId: 'vpc-1', CidrBlockAssociationSet: [{ CidrBlock: '10.20.0.0/16', CidrBlockState: { State: 'associated' } }] }],
  subnets: [{ SubnetId: 'subnet-1', VpcId: 'vpc-1', AvailabilityZoneId: 'euw1-az1', CidrBlock: '10.20.0.0/28' }],
  tables: [
    {
      RouteTableId: 'rtb-1',
      VpcId: 'vpc-1',
      Routes: [
        { DestinationCidrBlock: '10.20.0.0/16', GatewayId: 'local' },
        { DestinationCidrBlock: '0.0.0.0/0', GatewayId: 'igw-1' },
      ],
    },
  ],
  customerGateways: [],
  transitGateways: [],
}
const says = (around: Partial<Surroundings>, of: Region = region): readonly string[] =>
  judge(network, of, { ...fine, ...around }).map((one) => `${one.code} ${one.severity} ${one.says}`)
const withRoute = (route: object, more: object = {}): Partial<Surroundings> => ({
  tables: [{ RouteTableId: 'rtb-1', VpcId: 'vpc-1', Routes: [route], ...more }],
})

describe('before anything is made', () => {
  test('nothing is said of a VPC that is as stated', () => {
    expect(says({})).toEqual([])
  })
  test('a VPC of another account or Region', () => {
    expect(says({ vpcs: [] })).toEqual(['R030 error There is no VPC vpc-1 in eu-west-1 for this account'])
  })
  test('a VPC with a second prefix', () => {
    const sets = ['10.20.0.0/16', '10.21.0.0/16'].map((CidrBlock) => ({ CidrBlock, CidrBlockState: { State: 'associated' as const } }))
    expect(says({ vpcs: [{ VpcId: 'vpc-1', CidrBlockAssociationSet: sets }] })).toEqual([
      'R031 error The VPC vpc-1 has 10.20.0.0/16, 10.21.0.0/16, the intent says 10.20.0.0/16',
    ])
  })
  test('a prefix that is being taken off the VPC no longer counts', () => {
    const sets = [
      { CidrBlock: '10.20.0.0/16', CidrBlockState: { State: 'associated' as const } },
      { CidrBlock: '10.21.0.0/16', CidrBlockState: { State: 'disassociated' as const } },
    ]
    expect(says({ vpcs: [{ VpcId: 'vpc-1', CidrBlockAssociationSet: sets }] })).toEqual([])
  })
  test('a VPC whose only subnets are in a Local Zone', () => {
    expect(says({ subnets: [{ ...fine.subnets[0], AvailabilityZoneId: 'usw2-lax1-az1' }] })).toEqual([
      'R032 error The VPC vpc-1 has no subnet to attach to',
    ])
  })
  test('a VPC has its IPv6 compared where that is stated, and its IPv4 where that is', () => {
    const six = [{ Ipv6CidrBlock: '2600:1f18:1234:5600::/56', Ipv6CidrBlockState: { State: 'associated' as const } }]
    const vpcs = [{ ...fine.vpcs[0]!, Ipv6CidrBlockAssociationSet: six }]
    const subnets = fine.subnets.map((one) => ({ ...one, Ipv6CidrBlockAssociationSet: [{ Ipv6CidrBlock: '2600:1f18:1234:5600::/64' }] }))
    const stated = (...prefixes: readonly string[]) => sampleRegion('vpc-1', prefixes.map(prefix))
    expect(says({ vpcs, subnets })).toEqual([])
    expect(says({ vpcs, subnets }, stated('10.20.0.0/16', '2600:1f18:1234:5600::/56'))).toEqual([])
    expect(says({ vpcs, subnets }, { ...stated('2600:1f18:1234:5600::/56'), routes: [] })).toEqual([])
    expect(says({ subnets }, stated('10.20.0.0/16', '2600:1f18:1234:5600::/56'))).toEqual([
      'R031 error The VPC vpc-1 has 10.20.0.0/16, the intent says 10.20.0.0/16, 2600:1f18:1234:5600::/56',
    ])
    expect(says({ vpcs }, stated('10.20.0.0/16', '2600:1f18:1234:5600::/56'))).toEqual([
      'R032 error The VPC vpc-1 has no subnet with IPv6 to attach to in euw1-az1',
    ])
  })
  test('a route for an IPv6 prefix that leads elsewhere', () => {
    const dual = sampleRegion('vpc-1', ['10.20.0.0/16', '2600:1f18:1234:5600::/56'].map(prefix))
    const found = says(withRoute({ DestinationIpv6CidrBlock: 'fd10:2:0:10::/64', EgressOnlyInternetGatewayId: 'eigw-1' }), dual)
    expect(found).toContain('R023 error Route table rtb-1 of vpc-1 leads fd10:2:0:10::/64 to eigw-1')
  })
  test('a route for an overlay prefix that leads elsewhere, even nowhere', () => {
    expect(says(withRoute({ DestinationCidrBlock: '10.2.10.0/24', VpcPeeringConnectionId: 'pcx-1' }))).toEqual([
      'R023 error Route table rtb-1 of vpc-1 leads 10.2.10.0/24 to pcx-1',
    ])
    expect(says(withRoute({ DestinationCidrBlock: '10.2.10.0/24', TransitGatewayId: 'tgw-old', State: 'blackhole' }))).toEqual([
      'R023 error Route table rtb-1 of vpc-1 leads 10.2.10.0/24 to tgw-old, which no longer exists',
    ])
  })
  test('a more specific route takes a part away', () => {
    expect(says(withRoute({ DestinationCidrBlock: '10.2.10.128/25', NatGatewayId: 'nat-1' }))).toEqual([
      'R034 warning Route table rtb-1 leads 10.2.10.128/25 elsewhere, a part of 10.2.10.0/24',
    ])
  })
  test('our own routes and those of gateways do not count', () => {
    const own = { DestinationCidrBlock: '10.2.10.0/24', TransitGatewayId: 'tgw-1' }
    expect(says({ ...withRoute(own), transitGateways: [{ TransitGatewayId: 'tgw-1' }] })).toEqual([])
    expect(
      says(withRoute({ DestinationCidrBlock: '10.2.10.0/24', NetworkInterfaceId: 'eni-1' }, { Associations: [{ GatewayId: 'igw-1' }] })),
    ).toEqual([])
  })
  test("somebody else's customer gateway for a hub's address", () => {
    const of = { CustomerGatewayId: 'cgw-1', IpAddress: '192.0.2.10', BgpAsn: '64600', Type: 'ipsec.1', State: 'available' }
    expect(says({ customerGateways: [of] })).toEqual([
      'R035 error The customer gateway cgw-1 for 192.0.2.10 with ASN 64600 exists already and belongs to somebody else',
    ])
    expect(
      says({
        customerGateways: [
          { ...of, BgpAsn: '65000' },
          { ...of, State: 'deleted' },
        ],
      }),
    ).toEqual([])
    const tags = [
      { Key: 'causeway:network', Value: 'acme' },
      { Key: 'causeway:id', Value: 'aws-eu-west-1/customer-gateway/192.0.2.10' },
    ]
    expect(says({ customerGateways: [{ ...of, Tags: tags }] })).toEqual([])
  })
})

describe('what AWS does not take', () => {
  const inside = (first: string, second: string): Region => {
    const [a, b] = region.connections
    return {
      ...region,
      connections: [
        {
          ...a!,
          members: [
            { ...a!.members[0], inside: first as Prefix },
            { ...a!.members[1], inside: second as Prefix },
          ],
        },
        b!,
      ],
    }
  }
  const codes = (of: Region): readonly string[] => misfits(of).map((one) => `${one.code} ${one.says}`)
  const dual = sampleRegion('vpc-1', ['10.20.0.0/16', '2600:1f18:1234:5600::/56'].map(prefix))
  test.each(['169.254.0.0/30', '169.254.5.0/30', '169.254.169.252/30', '169.254.9.0/29', '10.0.0.0/30'])('the inside prefix %s', (of) => {
    expect(codes(inside(of, '169.254.9.4/30'))).toEqual([`R036 AWS takes no inside prefix ${of} for frankfurt.isp-a--aws-eu-west-1/0`])
  })
  test('an inside prefix twice', () => {
    expect(codes(inside('169.254.9.4/30', '169.254.9.4/30'))).toEqual(['R036 The inside prefix 169.254.9.4/30 is used twice in aws-eu-west-1'])
  })
  test('a prefix of a family that no connection carries', () => {
    const v6 = { ...region, routes: [{ ...region.routes[0]!, to: prefix('2001:db8::/48') }] }
    expect(codes(v6)).toEqual(["R037 2001:db8::/48 can't be routed to aws-eu-west-1: none of its VPN connections carries IPv6"])
    expect(codes(dual)).toEqual([])
    const fours = { ...dual, connections: dual.connections.filter(({ id }) => !id.endsWith(':v6')) }
    expect(codes(fours).map((one) => one.slice(0, one.indexOf(' can')))).toEqual([
      'R037 fd10:1:0:10::/64',
      'R037 fd10:1:0:11::/64',
      'R037 fd10:2:0:10::/64',
      'R037 2600:1f18:1234:5600::/56',
    ])
  })
  test.each(['fd00:6::/125', '2001:db8::/126'])('the inside prefix %s of IPv6', (of) => {
    const [a, b] = dual.connections
    const odd = { ...dual, connections: [a!, { ...b!, members: [{ ...b!.members[0], inside: prefix(of) }, b!.members[1]] as const }] }
    expect(misfits(odd).map(({ code, says: text, instead }) => `${code} ${text}: ${instead}`)).toEqual([
      `R036 AWS takes no inside prefix ${of} for frankfurt.isp-a:v6--aws-eu-west-1/0: a /126 of fd00::/8`,
    ])
  })
  test('quotas are of each family by itself', () => {
    const many = (text: (n: number) => string) => Array.from({ length: 50 }, (_, n) => ({ ...region.routes[0]!, to: prefix(text(n * 2)) }))
    const of = { ...dual, routes: [...many((n) => `10.${n}.0.0/24`), ...many((n) => `fd10:${n}::/64`)] }
    expect(codes(of)).toEqual([])
    expect(codes({ ...of, routes: [...of.routes, { ...region.routes[0]!, to: prefix('fd11::/64') }] })).toEqual([
      "R038 51 routes in a VPC route table are needed, AWS's default quota is 50",
    ])
  })
  test('more than the default quotas, as a warning', () => {
    const many = { ...region, routes: Array.from({ length: 51 }, (_, n) => ({ ...region.routes[0]!, to: prefix(`10.${n * 2}.0.0/24`) })) }
    expect(misfits(many).map((one) => `${one.code} ${one.severity} ${one.says}`)).toEqual([
      "R038 warning 51 routes in a VPC route table are needed, AWS's default quota is 50",
    ])
  })
})
