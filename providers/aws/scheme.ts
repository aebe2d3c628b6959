/**
 * Names and shapes of what a region consists of in AWS. `properties` of a Resource carry Refs, those of an Observed the
 * cloud's ids in the same places, so that the two can be compared key by key.
 */
import type { NetworkId, RegionId, TunnelId } from '#src/fabric/fabric.ts'
import type { Address, Prefix } from '#src/net/address.ts'
import type { Observed, Ref, Resource, ResourceId } from '../cloud.ts'

export type AwsType =
  | 'transit-gateway'
  | 'transit-gateway-route-table'
  | 'customer-gateway'
  | 'vpn-connection'
  | 'vpc-attachment'
  | 'transit-gateway-association'
  | 'transit-gateway-route'
  | 'vpc-route'
  | 'security-group'

export const tagOf = { network: 'causeway:network', id: 'causeway:id', operation: 'causeway:op' } as const

/** One of the two tunnels of a VPN connection, in AWS's words; `psk` is a fingerprint, never the key. */
export interface TunnelProperties {
  /** Of the family that the connection carries. */
  readonly inside: Prefix
  readonly ike: readonly string[]
  readonly encryption: readonly [readonly string[], readonly string[]]
  readonly integrity: readonly [readonly string[], readonly string[]]
  readonly groups: readonly [readonly number[], readonly number[]]
  /** Seconds. */
  readonly ikeLifetime: number
  readonly espLifetime: number
  /** Seconds of rekey margin, per cent of fuzz, packets of the replay window. */
  readonly rekeyMargin: number
  readonly rekeyFuzz: number
  readonly replayWindow: number
  /** Seconds; AWS accepts 30 and more. */
  readonly dpdTimeout: number
  readonly dpdAction: string
  readonly startup: string
  readonly psk?: string
}
export interface WantedTunnel extends TunnelProperties {
  readonly tunnel: TunnelId
}
export interface ObservedTunnel extends TunnelProperties {
  readonly outside: Address
}

interface Shapes<Link> {
  'transit-gateway': { readonly asn: number; readonly ecmp: string; readonly defaultAssociation: string; readonly defaultPropagation: string }
  'transit-gateway-route-table': { readonly transitGateway: Link }
  'customer-gateway': { readonly address: string; readonly asn: number }
  'vpn-connection': { readonly transitGateway: Link; readonly customerGateway: Link; readonly static: boolean }
  /** `everywhere`: a subnet in each availability zone in which the VPC has one. `ipv6`: its interfaces there have IPv6, too. Absent: as it is. */
  'vpc-attachment': { readonly transitGateway: Link; readonly vpc: string; readonly everywhere: boolean; readonly ipv6?: boolean }
  /** `of`: the VPN connection or VPC attachment whose packets the table routes. */
  'transit-gateway-association': { readonly routeTable: Link; readonly of: Link }
  'transit-gateway-route': { readonly routeTable: Link; readonly destination: Prefix; readonly to: Link }
  /** `everywhere`: in every route table of the VPC that subnets can use. */
  'vpc-route': { readonly transitGateway: Link; readonly vpc: string; readonly destination: Prefix; readonly everywhere: boolean }
  'security-group': { readonly vpc: string; readonly name: string; readonly ingress: readonly string[]; readonly egress: readonly string[] }
}
interface Extra<Tunnel> {
  'vpn-connection': { readonly tunnels: readonly Tunnel[] }
}
type Shape<T extends AwsType, Link, Tunnel> = Shapes<Link>[T] & (T extends keyof Extra<Tunnel> ? Extra<Tunnel>[T] : unknown)
export type WantedProperties<T extends AwsType> = Shape<T, Ref, WantedTunnel>
export type ObservedProperties<T extends AwsType> = Shape<T, string, ObservedTunnel>

export type AwsResource<T extends AwsType = AwsType> = { [K in T]: Resource & { readonly type: K; readonly properties: WantedProperties<K> } }[T]
export type AwsObserved<T extends AwsType = AwsType> = { [K in T]: Observed & { readonly type: K; readonly properties: ObservedProperties<K> } }[T]

interface Trait {
  /** Position in a teardown: all of one number may go at the same time. */
  readonly teardown: number
  /** AWS has no call that changes these. */
  readonly fixed: readonly string[]
  /** Stays when the target of this reference is made anew, and is pointed at the new one. */
  readonly follows: readonly string[]
}
export const traits: Readonly<Record<AwsType, Trait>> = {
  'vpc-route': { teardown: 0, fixed: ['vpc', 'destination'], follows: ['transitGateway'] },
  'security-group': { teardown: 0, fixed: ['vpc', 'name'], follows: [] },
  'transit-gateway-route': { teardown: 0, fixed: ['routeTable', 'destination'], follows: ['to'] },
  'transit-gateway-association': { teardown: 1, fixed: ['of'], follows: [] },
  'vpn-connection': { teardown: 2, fixed: ['transitGateway', 'customerGateway', 'static'], follows: [] },
  'vpc-attachment': { teardown: 2, fixed: ['transitGateway', 'vpc'], follows: [] },
  'customer-gateway': { teardown: 3, fixed: ['address', 'asn'], follows: [] },
  'transit-gateway-route-table': { teardown: 3, fixed: ['transitGateway'], follows: [] },
  'transit-gateway': { teardown: 4, fixed: ['asn', 'defaultAssociation', 'defaultPropagation'], follows: [] },
}
export const isAwsType = (type: string): type is AwsType => Object.hasOwn(traits, type)

const idOf = (region: RegionId | string, ...words: readonly string[]): ResourceId => [region, ...words].join('/') as ResourceId
/**
 * `hubs` routes what comes from the hubs, `networks` what comes from the VPCs. The first holds only the VPCs' prefixes,
 * so the region can't be transit between hubs even if one of them asks for it.
 */
export type TableName = 'hubs' | 'networks'
export const resourceId = {
  transitGateway: (region: string) => idOf(region, 'transit-gateway'),
  routeTable: (region: string, table: TableName) => idOf(region, 'route-table', table),
  /** By address: AWS has one customer gateway per (address, ASN), whatever the uplink is called. */
  customerGateway: (region: string, address: string) => idOf(region, 'customer-gateway', address),
  connection: (region: string, connection: string) => idOf(region, 'connection', connection),
  attachment: (region: string, vpc: string) => idOf(region, 'attachment', vpc),
  association: (region: string, of: string) => idOf(region, 'association', of),
  route: (region: string, table: TableName, destination: string) => idOf(region, 'route', table, destination),
  vpcRoute: (region: string, vpc: string, destination: string) => idOf(region, 'vpc-route', vpc, destination),
  securityGroup: (region: string, vpc: string) => idOf(region, 'security-group', vpc),
}
export const regionOf = (id: string): string => id.slice(0, id.indexOf('/'))
/** `connection/frankfurt.isp-a` of `aws-eu-west-1/connection/frankfurt.isp-a`. */
export const localName = (id: string): string => id.slice(id.indexOf('/') + 1)
export const tableName = (id: string): string => localName(id).replace('route-table/', '')

export const groupName = (network: NetworkId | string, region: RegionId | string): string => `causeway-${network}-${region}`

/** Cloud ids of what AWS gives none: made of those of its parts. */
export const compound = {
  association: (attachment: string, table: string) => `${attachment}@${table}`,
  route: (table: string, destination: string) => `${table}|${destination}`,
  vpcRoute: (vpc: string, destination: string, transitGateway: string) => `${vpc}|${destination}|${transitGateway}`,
}
