/** What stands in the way before anything is made: foreign things, and what AWS will not take. The judging is pure. */
import type { CustomerGateway, RouteTable, Subnet, TransitGateway, Vpc } from '@aws-sdk/client-ec2'
import type { Finding, NetworkId, Region } from '#src/fabric/fabric.ts'
import { comparePrefixes, contains, familyOf, lengthOf, type Prefix, prefix } from '#src/net/address.ts'
import { familiesIn } from '#src/net/sets.ts'
import { CloudError, finding } from './errors.ts'
import { groupRules, overlayPrefixes } from './desired.ts'
import { foreignCustomerGateway } from './kinds-gateway.ts'
import { foreignRoute } from './kinds-vpc.ts'
import { attachmentSubnets, destinationOf, hasIpv6, isOurs, tagValue, usableTables, zonesOf } from './observe.ts'
import type { Reads } from './reads.ts'
import { tagOf } from './scheme.ts'

export interface Surroundings {
  readonly vpcs: readonly Vpc[]
  readonly subnets: readonly Subnet[]
  readonly tables: readonly RouteTable[]
  readonly customerGateways: readonly CustomerGateway[]
  readonly transitGateways: readonly TransitGateway[]
}
export async function surroundings(reads: Reads, region: Region): Promise<Surroundings> {
  const vpcs = region.networks.map((of) => of.id)
  const [found, subnets, tables, customerGateways, transitGateways] = await Promise.all([
    reads.vpcs(vpcs),
    reads.subnets(vpcs),
    reads.vpcTables(vpcs),
    reads.customerGatewaysAt([...new Set(region.connections.map((of) => of.address))]),
    reads.transitGateways(),
  ])
  return { vpcs: found, subnets, tables, customerGateways, transitGateways }
}

/** Also what can be told without asking anybody. */
export function judge(network: NetworkId, region: Region, around: Surroundings): readonly Finding[] {
  return [...region.networks.flatMap((of) => judgeVpc(region, of, around)), ...judgeCustomerGateways(network, region, around), ...misfits(region)]
}

function judgeVpc(region: Region, of: Region['networks'][number], around: Surroundings): readonly Finding[] {
  const vpc = around.vpcs.find((one) => one.VpcId === of.id)
  if (!vpc)
    return [
      finding(
        'R030',
        [`${region.id}/${of.id}`, region.id],
        `There is no VPC ${of.id} in ${region.location} for this account`,
        'the id from the console, or another account or Region (AWS_PROFILE, `location`)',
      ),
    ]
  const subnets = around.subnets.filter((subnet) => subnet.VpcId === of.id)
  return [
    ...judgePrefixes(region, of, vpc),
    ...judgeSubnets(region, of, subnets),
    ...judgeRoutes(
      region,
      around.tables.filter((table) => table.VpcId === of.id),
      around.transitGateways,
    ),
  ]
}
/** The interfaces of an attachment have IPv6 by their subnets. */
function judgeSubnets(region: Region, of: Region['networks'][number], subnets: readonly Subnet[]): readonly Finding[] {
  const at = [`${region.id}/${of.id}`, region.id]
  if (attachmentSubnets(subnets, false).length === 0)
    return [finding('R032', at, `The VPC ${of.id} has no subnet to attach to`, 'make one, a /28 in each availability zone is enough')]
  if (!familiesIn(of.prefixes).includes(6)) return []
  const lacking = zonesOf(subnets).filter((zone) => !zonesOf(subnets.filter(hasIpv6)).includes(zone))
  return lacking.length === 0
    ? []
    : [
        finding(
          'R032',
          at,
          `The VPC ${of.id} has no subnet with IPv6 to attach to in ${lacking.join(', ')}`,
          'give a subnet of each availability zone an IPv6 CIDR block, or take the IPv6 prefixes out of the intent',
        ),
      ]
}
/** Those of the families that are stated: a VPC always has IPv4, and nobody has to reach it. */
function judgePrefixes(region: Region, of: Region['networks'][number], vpc: Vpc): readonly Finding[] {
  const isThere = (state: { readonly State?: string | undefined } | undefined): boolean => state?.State === undefined || state.State === 'associated'
  const fours = vpc.CidrBlockAssociationSet?.filter((set) => isThere(set.CidrBlockState)).map((set) => set.CidrBlock) ?? [vpc.CidrBlock]
  const sixes = vpc.Ipv6CidrBlockAssociationSet?.filter((set) => isThere(set.Ipv6CidrBlockState)).map((set) => set.Ipv6CidrBlock) ?? []
  const stated = of.prefixes.length === 0 ? [4] : familiesIn(of.prefixes)
  const all = [...new Set([...fours, ...sixes])].flatMap((cidr) => (cidr === undefined || cidr === '' ? [] : [prefix(cidr)]))
  const real = all.filter((cidr) => stated.includes(familyOf(cidr)))
  const same = real.length === of.prefixes.length && real.every((cidr) => of.prefixes.includes(cidr))
  if (same) return []
  const list = (prefixes: readonly Prefix[]): string => [...prefixes].sort(comparePrefixes).join(', ')
  return [
    finding(
      'R031',
      [`${region.id}/${of.id}`, region.id],
      `The VPC ${of.id} has ${list(real)}, the intent says ${list(of.prefixes)}`,
      `prefixes: [${list(real)}]`,
    ),
  ]
}
function judgeRoutes(region: Region, tables: readonly RouteTable[], gateways: readonly TransitGateway[]): readonly Finding[] {
  const ours = new Set(gateways.map((of) => of.TransitGatewayId))
  const overlay = overlayPrefixes(region)
  return usableTables(tables).flatMap((table) =>
    (table.Routes ?? []).flatMap((route) => {
      const to = destinationOf(route)
      if (to === undefined || route.GatewayId === 'local' || ours.has(route.TransitGatewayId)) return []
      const around = overlay.find((own) => contains(own, to))
      if (around === undefined) return []
      const error = foreignRoute(region.id, table, to)
      if (around === to) return error instanceof CloudError ? [error.trouble.finding] : []
      return [
        finding(
          'R034',
          [region.id],
          `Route table ${table.RouteTableId} leads ${to} elsewhere, a part of ${around}`,
          'that part stays out of reach from this VPC until the route is deleted',
          { severity: 'warning' },
        ),
      ]
    }),
  )
}
function judgeCustomerGateways(network: NetworkId, region: Region, around: Surroundings): readonly Finding[] {
  return around.customerGateways.flatMap((of) => {
    const owner = tagValue(of.Tags, tagOf.id)
    const same =
      of.State !== 'deleted' && of.State !== 'deleting' && Number(of.BgpAsn ?? of.BgpAsnExtended) === region.hubAsn && of.Type === 'ipsec.1'
    const ours = isOurs(of.Tags, network) && owner?.startsWith(`${region.id}/`) === true
    return same && !ours ? [foreignCustomerGateway(region.id, of.CustomerGatewayId ?? '', of.IpAddress ?? '', region.hubAsn, owner)] : []
  })
}

const reserved = ['169.254.0.0/30', '169.254.1.0/30', '169.254.2.0/30', '169.254.3.0/30', '169.254.4.0/30', '169.254.5.0/30', '169.254.169.252/30']
/** AWS's defaults (Service Quotas); most can be raised, so more is only worth a word. */
const quota = { connections: 50, groupRules: 60, vpcRoutes: 50 }
/** Routes of a table and rules of a group are counted in each family by itself (Amazon VPC quotas). */
const most = (of: readonly { readonly includes: (text: string) => boolean }[]): number => {
  const six = of.filter((one) => one.includes(':')).length
  return Math.max(six, of.length - six)
}

/** CreateVpnConnection, VpnTunnelOptionsSpecification: `TunnelInsideCidr`, `TunnelInsideIpv6Cidr`. */
const isInside = (inside: Prefix): boolean =>
  familyOf(inside) === 6
    ? lengthOf(inside) === 126 && contains(prefix('fd00::/8'), inside)
    : /^169\.254\.\d+\.\d+\/30$/.test(inside) && !reserved.includes(inside)

/** What AWS does not take, whatever the account. */
export function misfits(region: Region): readonly Finding[] {
  const insides = region.connections.flatMap((of) => of.members)
  const carried = familiesIn(insides.map(({ inside }) => inside))
  const tooMany = (what: string, count: number, limit: number): readonly Finding[] =>
    count > limit
      ? [
          finding('R038', [region.id], `${count} ${what} are needed, AWS's default quota is ${limit}`, 'have it raised in Service Quotas first', {
            severity: 'warning',
          }),
        ]
      : []
  return [
    ...insides.flatMap(({ tunnel, inside }) =>
      isInside(inside)
        ? []
        : [
            finding(
              'R036',
              [tunnel],
              `AWS takes no inside prefix ${inside} for ${tunnel}`,
              familyOf(inside) === 6 ? 'a /126 of fd00::/8' : `a /30 of 169.254.0.0/16 other than ${reserved.join(', ')}`,
            ),
          ],
    ),
    ...insides
      .filter(({ inside }, at) => insides.findIndex((other) => other.inside === inside) !== at)
      .map(({ tunnel, inside }) =>
        finding('R036', [tunnel], `The inside prefix ${inside} is used twice in ${region.id}`, 'one for each tunnel of a transit gateway'),
      ),
    ...[...region.routes.map((of) => of.to), ...region.networks.flatMap((of) => of.prefixes)]
      .filter((of) => !carried.includes(familyOf(of)))
      .map((of) =>
        finding(
          'R037',
          [region.id],
          `${of} can't be routed to ${region.id}: none of its VPN connections carries IPv${familyOf(of)}`,
          'connections of that family, or none of its prefixes',
        ),
      ),
    ...tooMany('VPN connections', region.connections.length, quota.connections),
    ...tooMany('routes in a VPC route table', most(overlayPrefixes(region)), quota.vpcRoutes),
    ...region.networks.flatMap((of) => {
      const { ingress, egress } = groupRules(region, of.prefixes)
      return tooMany('rules in one direction of a security group', Math.max(most(ingress), most(egress)), quota.groupRules)
    }),
  ]
}
