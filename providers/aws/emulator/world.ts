/** The resources of one region, as plain data. Only `core.ts` and the actions it calls change them, on a copy. */
import type { Address, Prefix } from '#src/net/address.ts'
import type { RegionSeed, Seed } from './seed.ts'

export type Tags = Record<string, string>
/** A state, and the one that follows by itself. Times are milliseconds since 1970. */
export interface Timed {
  state: string
  next?: { readonly at: number; readonly state: string } | undefined
}
export interface Resource extends Timed {
  readonly id: string
  readonly createdAt: number
  /** Before this it is not found: eventual consistency. */
  readonly visibleAt: number
  tags: Tags
}
export interface TransitGateway extends Resource {
  description: string
  readonly asn: number
  ecmp: string
  dns: string
}
export interface Attachment extends Resource {
  readonly gateway: string
  readonly resourceType: 'vpc' | 'vpn'
  readonly resourceId: string
  /** Empty for a VPN. */
  readonly subnets: readonly string[]
  /** Of a VPC: its interfaces have IPv6. */
  readonly ipv6: boolean
}
export interface TransitRoute {
  /** null: blackhole on purpose. */
  attachment: string | null
}
export interface TransitRouteTable extends Resource {
  readonly gateway: string
  /** By attachment. */
  associations: Record<string, Timed>
  propagations: Record<string, Timed>
  /** Static routes by destination. */
  routes: Record<string, TransitRoute>
}
export interface CustomerGateway extends Resource {
  readonly asn: number
  readonly address: string
  readonly deviceName: string | undefined
}
/** As AWS keeps it after its defaults were filled in. */
export interface TunnelSettings {
  insideCidr: Prefix
  /** Beside it in a connection that carries IPv6; else null. */
  insideIpv6Cidr: Prefix | null
  preSharedKey: string
  phase1Lifetime: number
  phase2Lifetime: number
  rekeyMargin: number
  rekeyFuzz: number
  replayWindow: number
  dpdTimeout: number
  dpdAction: string
  phase1Encryption: readonly string[]
  phase2Encryption: readonly string[]
  phase1Integrity: readonly string[]
  phase2Integrity: readonly string[]
  phase1Groups: readonly number[]
  phase2Groups: readonly number[]
  ikeVersions: readonly string[]
  startup: string
  lifecycleControl: boolean
}
export interface Negotiated {
  readonly phase1: { readonly encryption: string; readonly integrity: string; readonly group: number }
  readonly phase2: { readonly encryption: string; readonly integrity: string; readonly group: number }
  readonly ike: 'ikev1' | 'ikev2'
}
export interface VpnTunnel {
  readonly outside: Address
  settings: TunnelSettings
  /** The endpoint is replaced until then. */
  readyAt: number
  up: boolean
  changedAt: number
  negotiated: Negotiated | null
}
/** Which packets the tunnels of a connection process. */
export type InsideVersion = 'ipv4' | 'ipv6'
export interface VpnConnection extends Resource {
  readonly customerGateway: string
  readonly gateway: string
  readonly insideVersion: InsideVersion
  /** Of that family. */
  readonly localCidr: string
  readonly remoteCidr: string
  readonly staticRoutesOnly: boolean
  readonly tunnels: VpnTunnel[]
}
export interface Vpc extends Resource {
  readonly cidr: Prefix
  readonly ipv6: Prefix | undefined
}
export interface Subnet extends Resource {
  readonly vpc: string
  readonly cidr: Prefix
  readonly ipv6: Prefix | undefined
  readonly zone: string
}
export interface RouteTable extends Resource {
  readonly vpc: string
  readonly main: boolean
  readonly subnets: readonly string[]
  /** Destination → transit gateway. */
  routes: Record<string, string>
}
export interface Rule {
  readonly id: string
  readonly egress: boolean
  readonly protocol: string
  readonly from: number
  readonly to: number
  readonly source: { readonly cidr: string } | { readonly group: string }
  readonly description: string | undefined
  tags: Tags
}
export interface SecurityGroup extends Resource {
  readonly vpc: string
  readonly name: string
  readonly description: string
  rules: Rule[]
}
export interface World {
  readonly seed: RegionSeed
  readonly account: string
  /** Names of all regions of the account. */
  readonly regions: readonly string[]
  transitGateways: Record<string, TransitGateway>
  attachments: Record<string, Attachment>
  transitRouteTables: Record<string, TransitRouteTable>
  customerGateways: Record<string, CustomerGateway>
  vpnConnections: Record<string, VpnConnection>
  vpcs: Record<string, Vpc>
  subnets: Record<string, Subnet>
  routeTables: Record<string, RouteTable>
  securityGroups: Record<string, SecurityGroup>
}
/** Everything that an action may not make up for itself. */
export interface Context {
  readonly now: number
  /** `n` hex digits that nobody had before. */
  hex(n: number): string
}

export const allRule = (id: string, egress: boolean, source: Rule['source']): Rule => ({
  id,
  egress,
  protocol: '-1',
  from: -1,
  to: -1,
  source,
  description: undefined,
  tags: {},
})

/** What a new group lets out: everything, in the families of its VPC. */
export const allOut = ({ ipv6 }: { readonly ipv6?: Prefix | undefined }, hex: Context['hex']): readonly Rule[] =>
  ['0.0.0.0/0', ...(ipv6 === undefined ? [] : ['::/0'])].map((cidr) => allRule(`sgr-${hex(17)}`, true, { cidr }))

export function worldOf(seed: Seed, name: string, { now, hex }: Context): World | undefined {
  const region = seed.regions.find((one) => one.name === name)
  if (!region) return undefined
  const base = { createdAt: now, visibleAt: now }
  const table = <T extends { readonly id: string }>(rows: readonly T[]): Record<string, T> => Object.fromEntries(rows.map((row) => [row.id, row]))
  return {
    seed: region,
    account: seed.account,
    regions: seed.regions.map((one) => one.name),
    transitGateways: {},
    attachments: {},
    transitRouteTables: {},
    customerGateways: {},
    vpnConnections: {},
    vpcs: table(region.vpcs.map(({ id, cidr, ipv6, tags }) => ({ ...base, id, cidr, ipv6, tags, state: 'available' }))),
    subnets: table(
      region.vpcs.flatMap((vpc) =>
        vpc.subnets.map(({ id, cidr, ipv6, zone, tags }) => ({ ...base, id, cidr, ipv6, zone, tags, vpc: vpc.id, state: 'available' })),
      ),
    ),
    routeTables: table(
      region.vpcs.flatMap((vpc) =>
        vpc.routeTables.map(({ id, main, subnets, tags }) => ({ ...base, id, main, subnets, tags, vpc: vpc.id, state: 'available', routes: {} })),
      ),
    ),
    securityGroups: table(
      region.vpcs.map((vpc) => {
        const id = `sg-${hex(17)}`
        const rules = [allRule(`sgr-${hex(17)}`, false, { group: id }), ...allOut(vpc, hex)]
        return { ...base, id, vpc: vpc.id, name: 'default', description: 'default VPC security group', rules, tags: {}, state: 'available' }
      }),
    ),
  }
}
