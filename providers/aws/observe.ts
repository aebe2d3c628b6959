/** EC2's answers → Observed. The first half is pure, one function a type; the second half asks. */
import type {
  CustomerGateway,
  IKEVersionsListValue,
  Route,
  RouteTable,
  SecurityGroup,
  Subnet,
  Tag,
  TransitGateway,
  TransitGatewayAttachment,
  TransitGatewayRoute,
  TransitGatewayRouteTable,
  TransitGatewayVpcAttachment,
  TunnelOption,
  VpnConnection,
} from '@aws-sdk/client-ec2'
import type { NetworkId, Region } from '#src/fabric/fabric.ts'
import { type Address, parsePrefix, type Prefix } from '#src/net/address.ts'
import type { Observed, ResourceId } from '../cloud.ts'
import { ruleTexts } from './group.ts'
import type { Reads } from './reads.ts'
import { type AwsType, compound, localName, type ObservedProperties, type ObservedTunnel, regionOf, resourceId, tableName, tagOf } from './scheme.ts'

/** Keyed or not: turns a key into what may be seen of it. */
export type Fingerprint = (secret: string) => string

export const tagValue = (tags: readonly Tag[] | undefined, key: string): string | undefined => (tags ?? []).find((tag) => tag.Key === key)?.Value
const idOf = (tags: readonly Tag[] | undefined): ResourceId => (tagValue(tags, tagOf.id) ?? '') as ResourceId

function observed<T extends AwsType>(
  type: T,
  id: ResourceId,
  cloudId: string,
  state: Observed['state'],
  properties: Partial<ObservedProperties<T>>,
): Observed {
  return { id, type, cloudId, state, properties }
}
/** `gone` is not observed at all. Every word that is not known is `pending`: AWS adds some. */
type State = Observed['state'] | 'gone'
const stateOf = (word: string | undefined): State => {
  switch (word) {
    case 'available':
    case 'active':
    case 'associated':
      return 'ready'
    case 'deleting':
    case 'disassociating':
      return 'deleting'
    case 'deleted':
    case 'disassociated':
      return 'gone'
    case 'failed':
    case 'failing':
    case 'rejected':
    case 'rejecting':
      return 'failed'
    default:
      return 'pending'
  }
}
/** An answer without a state field is of a type that has none. */
const present = <T>(of: readonly T[], state: (item: T) => string | undefined): readonly (readonly [T, Observed['state']])[] =>
  of.flatMap((item) => {
    const found = stateOf(state(item))
    return found === 'gone' ? [] : [[item, found] as const]
  })

export const readTransitGateways = (of: readonly TransitGateway[]): readonly Observed[] =>
  present(of, (item) => item.State).map(([item, state]) =>
    observed('transit-gateway', idOf(item.Tags), item.TransitGatewayId ?? '', state, {
      ...known('asn', item.Options?.AmazonSideAsn),
      ...known('ecmp', item.Options?.VpnEcmpSupport),
      ...known('defaultAssociation', item.Options?.DefaultRouteTableAssociation),
      ...known('defaultPropagation', item.Options?.DefaultRouteTablePropagation),
    }),
  )
const known = <K extends string, V>(key: K, value: V | undefined): { readonly [key in K]?: V } =>
  value === undefined ? {} : ({ [key]: value } as { readonly [key in K]: V })

export const readRouteTables = (of: readonly TransitGatewayRouteTable[]): readonly Observed[] =>
  present(of, (item) => item.State).map(([item, state]) =>
    observed(
      'transit-gateway-route-table',
      idOf(item.Tags),
      item.TransitGatewayRouteTableId ?? '',
      state,
      known('transitGateway', item.TransitGatewayId),
    ),
  )

export const readCustomerGateways = (of: readonly CustomerGateway[]): readonly Observed[] =>
  present(of, (item) => item.State).map(([item, state]) =>
    observed('customer-gateway', idOf(item.Tags), item.CustomerGatewayId ?? '', state, {
      ...known('address', item.IpAddress),
      ...known('asn', asnOf(item)),
    }),
  )
const asnOf = (of: CustomerGateway): number | undefined => {
  const text = of.BgpAsn ?? of.BgpAsnExtended
  return text === undefined ? undefined : Number(text)
}

export const readConnections = (of: readonly VpnConnection[], fingerprint: Fingerprint): readonly Observed[] =>
  present(of, (item) => item.State).map(([item, state]) =>
    observed('vpn-connection', idOf(item.Tags), item.VpnConnectionId ?? '', state, {
      ...known('transitGateway', item.TransitGatewayId),
      ...known('customerGateway', item.CustomerGatewayId),
      ...known('static', item.Options?.StaticRoutesOnly),
      ...known(
        'tunnels',
        item.Options?.TunnelOptions?.map((tunnel) => readTunnel(tunnel, fingerprint)),
      ),
    }),
  )
const words = (of: readonly IKEVersionsListValue[] | undefined): readonly string[] =>
  (of ?? []).flatMap(({ Value }) => (Value === undefined ? [] : [Value]))
const numbers = (of: readonly { readonly Value?: number | undefined }[] | undefined): readonly number[] =>
  (of ?? []).flatMap(({ Value }) => (Value === undefined ? [] : [Value]))
/** A tunnel that carries IPv6 has both, and a /30 that nobody uses (AWS Site-to-Site VPN User Guide, "IPv4 and IPv6 traffic"). */
export const insideOf = (of: TunnelOption): Prefix => prefixOf(of.TunnelInsideIpv6Cidr ?? of.TunnelInsideCidr)
/** As we write them, whatever AWS's spelling of IPv6 is. */
export function prefixOf(text: string | undefined): Prefix {
  const parsed = parsePrefix(text ?? '')
  return parsed.ok ? parsed.value : ((text ?? '') as Prefix)
}
/** AWS leaves out of a report what stands at its default. */
export function readTunnel(of: TunnelOption, fingerprint: Fingerprint): ObservedTunnel {
  return {
    outside: (of.OutsideIpAddress ?? '') as Address,
    inside: insideOf(of),
    ike: words(of.IkeVersions),
    encryption: [words(of.Phase1EncryptionAlgorithms), words(of.Phase2EncryptionAlgorithms)],
    integrity: [words(of.Phase1IntegrityAlgorithms), words(of.Phase2IntegrityAlgorithms)],
    groups: [numbers(of.Phase1DHGroupNumbers), numbers(of.Phase2DHGroupNumbers)],
    ikeLifetime: of.Phase1LifetimeSeconds ?? 28_800,
    espLifetime: of.Phase2LifetimeSeconds ?? 3600,
    rekeyMargin: of.RekeyMarginTimeSeconds ?? 270,
    rekeyFuzz: of.RekeyFuzzPercentage ?? 100,
    replayWindow: of.ReplayWindowSize ?? 1024,
    dpdTimeout: of.DpdTimeoutSeconds ?? 30,
    dpdAction: of.DpdTimeoutAction ?? 'clear',
    startup: of.StartupAction ?? 'add',
    // Kept in Secrets Manager, the key is not reported at all.
    ...(of.PreSharedKey ? { psk: fingerprint(of.PreSharedKey) } : {}),
  }
}

export const readVpcAttachments = (of: readonly TransitGatewayVpcAttachment[], subnets: readonly Subnet[]): readonly Observed[] =>
  present(of, (item) => item.State).map(([item, state]) => {
    const zones = zonesOf(subnets.filter((subnet) => subnet.VpcId === item.VpcId))
    const used = subnets.filter((subnet) => item.SubnetIds?.includes(subnet.SubnetId ?? ''))
    const attached = zonesOf(used)
    return observed('vpc-attachment', idOf(item.Tags), item.TransitGatewayAttachmentId ?? '', state, {
      ...known('transitGateway', item.TransitGatewayId),
      ...known('vpc', item.VpcId),
      everywhere: zones.every((zone) => attached.includes(zone)),
      ipv6: item.Options?.Ipv6Support === 'enable' && used.every(hasIpv6),
    })
  })
const zoneOf = (of: Subnet): string => of.AvailabilityZoneId ?? of.AvailabilityZone ?? ''
export const zonesOf = (of: readonly Subnet[]): readonly string[] => [...new Set(of.filter(attachable).map(zoneOf))].sort()
/** Zone ids are `euw1-az1`; those of Local and Wavelength Zones have a third part. They, Outposts and IPv6-only subnets can't carry an attachment. */
const attachable = (of: Subnet): boolean =>
  of.OutpostArn === undefined && of.Ipv6Native !== true && /^[a-z0-9]+-az\d+$/.test(of.AvailabilityZoneId ?? 'any-az1')

/** Or is about to. */
export const hasIpv6 = (of: Subnet): boolean =>
  (of.Ipv6CidrBlockAssociationSet ?? []).some(({ Ipv6CidrBlockState: state }) => !leaving.includes(state?.State ?? ''))
const leaving: readonly string[] = ['disassociating', 'disassociated', 'failing', 'failed']

/** One a zone, `ipv6`: of those that have it; the smallest, because AWS advises small subnets of their own for it, then the lowest id; always the same. */
export function attachmentSubnets(of: readonly Subnet[], ipv6: boolean): readonly string[] {
  const byZone = Map.groupBy(
    of.filter((subnet) => attachable(subnet) && (!ipv6 || hasIpv6(subnet))),
    zoneOf,
  )
  const length = (subnet: Subnet): number => Number(subnet.CidrBlock?.split('/')[1] ?? 0)
  const usable = (subnet: Subnet): number => ((subnet.AvailableIpAddressCount ?? 1) > 0 ? 0 : 1)
  return [...byZone.values()]
    .map(
      (zone) =>
        zone.toSorted((a, b) => usable(a) - usable(b) || length(b) - length(a) || ((a.SubnetId ?? '') < (b.SubnetId ?? '') ? -1 : 1))[0]?.SubnetId ??
        '',
    )
    .sort()
}
/** The zones that an attachment lacks, as subnets to add. */
export function missingSubnets(subnets: readonly Subnet[], attached: readonly string[], ipv6: boolean): readonly string[] {
  const have = zonesOf(subnets.filter((subnet) => attached.includes(subnet.SubnetId ?? '')))
  return attachmentSubnets(
    subnets.filter((subnet) => !have.includes(zoneOf(subnet))),
    ipv6,
  )
}

export const readGroups = (of: readonly SecurityGroup[]): readonly Observed[] =>
  of.map((item) =>
    observed('security-group', idOf(item.Tags), item.GroupId ?? '', 'ready', {
      ...known('vpc', item.VpcId),
      ...known('name', item.GroupName),
      ingress: ruleTexts(item.IpPermissions ?? []),
      egress: ruleTexts(item.IpPermissionsEgress ?? []),
    }),
  )

/** `parents`: tagged connections and VPC attachments, whose names the associations get. Foreign attachments have none and are left out. */
export function readAssociations(of: readonly TransitGatewayAttachment[], parents: readonly Observed[]): readonly Observed[] {
  return of.flatMap((item) => {
    const table = item.Association?.TransitGatewayRouteTableId
    const parent = parents.find((one) => one.cloudId === item.ResourceId || one.cloudId === item.TransitGatewayAttachmentId)
    const state = stateOf(item.Association?.State)
    if (table === undefined || !parent || state === 'gone') return []
    return [associationOf(item.TransitGatewayAttachmentId ?? '', table, parent, state)]
  })
}
function associationOf(attachment: string, table: string, parent: Observed, state: Observed['state']): Observed {
  const name = localName(parent.id).replace(/^(connection|attachment)\//, '')
  return observed('transit-gateway-association', resourceId.association(regionOf(parent.id), name), compound.association(attachment, table), state, {
    routeTable: table,
    of: parent.cloudId,
  })
}

export function readRoutes(of: readonly TransitGatewayRoute[], table: Observed, parents: readonly Observed[]): readonly Observed[] {
  return present(of, (route) => (route.State === 'blackhole' ? 'active' : route.State)).flatMap(([route, state]) => {
    const destination = prefixOf(route.DestinationCidrBlock)
    if (route.DestinationCidrBlock === undefined) return []
    const targets = route.TransitGatewayAttachments ?? []
    const target = parents.find((one) => targets.some((to) => to.ResourceId === one.cloudId || to.TransitGatewayAttachmentId === one.cloudId))
    // A blackhole leads nowhere: it differs from whatever is wanted, so it is pointed there again.
    const to = route.State === 'blackhole' ? '' : (target?.cloudId ?? targets[0]?.ResourceId ?? '')
    const id = resourceId.route(regionOf(table.id), tableName(table.id) as 'hubs', destination)
    return [observed('transit-gateway-route', id, compound.route(table.cloudId, destination), state, { routeTable: table.cloudId, destination, to })]
  })
}

/** Gateways' own tables (ingress routing) can't lead to a transit gateway. */
export const usableTables = (of: readonly RouteTable[]): readonly RouteTable[] =>
  of.filter((table) => !(table.Associations ?? []).some((association) => association.GatewayId !== undefined))

/** undefined: a prefix list. */
export function destinationOf({ DestinationCidrBlock: four, DestinationIpv6CidrBlock: six }: Route): Prefix | undefined {
  return (six ?? four) === undefined ? undefined : prefixOf(six ?? four)
}
/** `transitGateways`: ours in whatever state, by cloud id, so that routes of a deleted one are still known as ours. */
export function readVpcRoutes(of: readonly RouteTable[], transitGateways: ReadonlyMap<string, string>): readonly Observed[] {
  const usable = Map.groupBy(usableTables(of), (table) => table.VpcId ?? '')
  return [...usable].flatMap(([vpc, tables]) => {
    const routes = tables.flatMap((table) => (table.Routes ?? []).filter((route) => transitGateways.has(route.TransitGatewayId ?? '')))
    const byTarget = Map.groupBy(routes, (route) => `${destinationOf(route)} ${route.TransitGatewayId}`)
    return [...byTarget.values()].flatMap((same) => {
      const [first] = same
      const destination = first && destinationOf(first)
      const target = first?.TransitGatewayId
      if (destination === undefined || target === undefined) return []
      const id = resourceId.vpcRoute(regionOf(transitGateways.get(target) ?? ''), vpc, destination)
      return [
        observed('vpc-route', id, compound.vpcRoute(vpc, destination, target), 'ready', {
          transitGateway: target,
          vpc,
          destination,
          everywhere: same.length === tables.length,
        }),
      ]
    })
  })
}

/** Everything of the network's at one location. `vpcs` bounds the search for VPC routes; none means wherever they are. */
export async function observeAll(reads: Reads, fingerprint: Fingerprint, vpcs: readonly string[] | undefined): Promise<readonly Observed[]> {
  const [rawGateways, rawTables, rawCustomers, rawConnections, rawAttachments, rawGroups] = await Promise.all([
    reads.transitGateways(),
    reads.routeTables(),
    reads.customerGateways(),
    reads.connections(),
    reads.vpcAttachments(),
    reads.securityGroups(),
  ])
  const tables = readRouteTables(rawTables)
  const owners = new Map(rawGateways.map((of) => [of.TransitGatewayId ?? '', idOf(of.Tags)] as const))
  const attachedVpcs = rawAttachments.map((of) => of.VpcId ?? '')
  const searched = vpcs === undefined ? undefined : [...new Set([...vpcs, ...attachedVpcs])].sort()
  const living = [...readTransitGateways(rawGateways), ...tables].flatMap((of) => (of.type === 'transit-gateway' ? [of.cloudId] : []))
  const [attachments, subnets, vpcTables, ...routes] = await Promise.all([
    reads.attachments([...new Set(living)].sort()),
    reads.subnets([...new Set(attachedVpcs)].sort()),
    owners.size === 0 ? [] : searched === undefined ? tablesEverywhere(reads, [...owners.keys()].sort()) : reads.vpcTables(searched),
    ...tables.map((table) => (table.state === 'ready' ? reads.routes(table.cloudId) : Promise.resolve([]))),
  ])
  const unlisted = await unlistedConnections(reads, attachments, rawConnections)
  const parents = [...readConnections([...rawConnections, ...unlisted], fingerprint), ...readVpcAttachments(rawAttachments, subnets)]
  return [
    ...readTransitGateways(rawGateways),
    ...tables,
    ...readCustomerGateways(rawCustomers),
    ...parents,
    ...readGroups(rawGroups),
    ...readAssociations(attachments, parents),
    ...tables.flatMap((table, at) => readRoutes(routes[at] ?? [], table, parents)),
    ...readVpcRoutes(vpcTables, owners),
  ].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : a.cloudId < b.cloudId ? -1 : 1))
}
/** The list by tag may lag behind; a connection whose attachment is there already is then asked for by its id. */
async function unlistedConnections(
  reads: Reads,
  attachments: readonly TransitGatewayAttachment[],
  listed: readonly VpnConnection[],
): Promise<readonly VpnConnection[]> {
  const known = new Set(listed.map((of) => of.VpnConnectionId))
  const missing = attachments.filter(
    (of) => of.ResourceType === 'vpn' && !['deleting', 'deleted'].includes(of.State ?? '') && !known.has(of.ResourceId),
  )
  return reads.connectionsById(missing.map((of) => of.ResourceId ?? '').sort())
}
/** The tables that hold such a route, then their VPCs' others too: whether a route is everywhere can't be told otherwise. */
async function tablesEverywhere(reads: Reads, transitGateways: readonly string[]): Promise<readonly RouteTable[]> {
  const holding = await reads.vpcTablesTo(transitGateways)
  return reads.vpcTables([...new Set(holding.map((table) => table.VpcId ?? ''))].sort())
}

export const ofRegion = (of: readonly Observed[], region: Region): readonly Observed[] => of.filter((one) => regionOf(one.id) === region.id)
/** Ours of the network, whatever the region: a tag `causeway:id` cut off by hand is then a nameless orphan that `sweep` still finds. */
export const isOurs = (tags: readonly Tag[] | undefined, network: NetworkId): boolean => tagValue(tags, tagOf.network) === network
