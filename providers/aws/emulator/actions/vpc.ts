/** VPCs, subnets and route tables, which exist by the seed, and their routes. Zones, regions and tags. */
import { contains, type Family, familyOf, lengthOf, type Prefix, rangeOf } from '#src/net/address.ts'
import { action, find, isLiving, kinds, limitTags, tagList, tagSet, tagsOf } from '../action.ts'
import { filterList, matching, page, pageFields, select } from '../describe.ts'
import { flag, list, needed, text } from '../query.ts'
import { invalidValue, missing, Refusal } from '../refusal.ts'
import type { Context, Resource, RouteTable, Subnet, Vpc, World } from '../world.ts'
import type { Xml } from '../xml.ts'
import { cidrOf } from './transit-routes.ts'

const ipv6Set = (kind: string, { id, ipv6 }: Vpc | Subnet): Xml =>
  ipv6 === undefined
    ? []
    : [{ associationId: `${kind}-cidr-assoc-6${id.slice(kind.length + 2)}`, ipv6CidrBlock: ipv6, ipv6CidrBlockState: { state: 'associated' } }]
const vpcXml = (world: World, row: Vpc): Xml => ({
  vpcId: row.id,
  ownerId: world.account,
  state: row.state,
  cidrBlock: row.cidr,
  cidrBlockAssociationSet: [{ associationId: `vpc-cidr-assoc-${row.id.slice(4)}`, cidrBlock: row.cidr, cidrBlockState: { state: 'associated' } }],
  ipv6CidrBlockAssociationSet: ipv6Set('vpc', row),
  dhcpOptionsId: 'default',
  instanceTenancy: 'default',
  isDefault: false,
  tagSet: tagSet(row.tags),
})
const subnetXml = (world: World, row: Subnet): Xml => {
  const { low, high } = rangeOf(row.cidr)
  return {
    subnetId: row.id,
    subnetArn: `arn:aws:ec2:${world.seed.name}:${world.account}:subnet/${row.id}`,
    vpcId: row.vpc,
    ownerId: world.account,
    state: row.state,
    cidrBlock: row.cidr,
    ipv6CidrBlockAssociationSet: ipv6Set('subnet', row),
    ipv6Native: false,
    availabilityZone: row.zone,
    // AWS keeps five addresses of each subnet.
    availableIpAddressCount: Number(high - low) + 1 - 5,
    defaultForAz: false,
    mapPublicIpOnLaunch: false,
    tagSet: tagSet(row.tags),
  }
}
/** A route into a transit gateway works while the VPC is attached to it. */
export const routeState = (world: World, table: RouteTable, gateway: string): 'active' | 'blackhole' =>
  Object.values(world.attachments).some((row) => row.gateway === gateway && row.resourceId === table.vpc && row.state === 'available')
    ? 'active'
    : 'blackhole'
/** The VPC's own blocks. */
const localOf = (world: World, { vpc }: RouteTable): readonly Prefix[] => {
  const { cidr, ipv6 } = world.vpcs[vpc] ?? {}
  return [cidr, ipv6].filter((one) => one !== undefined)
}
const destinationXml = (destination: string): { [name: string]: Xml } =>
  destination.includes(':') ? { destinationIpv6CidrBlock: destination } : { destinationCidrBlock: destination }
const routeTableXml = (world: World, row: RouteTable): Xml => ({
  routeTableId: row.id,
  vpcId: row.vpc,
  ownerId: world.account,
  associationSet: [
    ...(row.main
      ? [{ main: true, routeTableAssociationId: `rtbassoc-${row.id.slice(4)}`, routeTableId: row.id, associationState: { state: 'associated' } }]
      : []),
    ...row.subnets.map((subnetId) => ({
      main: false,
      routeTableAssociationId: `rtbassoc-${subnetId.slice(7)}`,
      routeTableId: row.id,
      subnetId,
      associationState: { state: 'associated' },
    })),
  ],
  propagatingVgwSet: [],
  routeSet: [
    ...localOf(world, row).map((local) => ({ ...destinationXml(local), gatewayId: 'local', origin: 'CreateRouteTable', state: 'active' })),
    ...Object.entries(row.routes).map(([destination, transitGatewayId]) => ({
      ...destinationXml(destination),
      transitGatewayId,
      origin: 'CreateRoute',
      state: routeState(world, row, transitGatewayId),
    })),
  ],
  tagSet: tagSet(row.tags),
})

const destinationFields = { DestinationCidrBlock: text, DestinationIpv6CidrBlock: text }
const routeFields = { RouteTableId: needed(text), ...destinationFields, TransitGatewayId: needed(text) }
/** A field for each family, and one of them. */
function destinationOf({
  DestinationCidrBlock: four,
  DestinationIpv6CidrBlock: six,
}: {
  readonly DestinationCidrBlock: string | undefined
  readonly DestinationIpv6CidrBlock: string | undefined
}): Prefix {
  if (four !== undefined && six !== undefined)
    throw new Refusal('InvalidParameterCombination', 'The parameter DestinationIpv6CidrBlock cannot be used with the parameter DestinationCidrBlock')
  if (six !== undefined) return cidrOf(6, six, 'destinationIpv6CidrBlock')
  if (four === undefined) throw missing('DestinationCidrBlock')
  return cidrOf(4, four, 'destinationCidrBlock')
}
/** EC2 answers that the gateway does not exist as long as the VPC is not attached to it. */
function routeTarget(world: World, table: RouteTable, id: string, context: Context): string {
  const gateway = find(kinds.transitGateway, world.transitGateways, id, context)
  if (routeState(world, table, gateway.id) !== 'active')
    throw new Refusal(kinds.transitGateway.notFound, `The transitGateway ID '${id}' does not exist.`)
  return gateway.id
}
const noRoute = (destination: string, table: string): Refusal =>
  new Refusal(
    'InvalidRoute.NotFound',
    `no route with destination-${destination.includes(':') ? 'ipv6-' : ''}cidr-block ${destination} in route table ${table}`,
  )

/** Everything that can be tagged, by the type that DescribeTags says. */
const taggable = (world: World): readonly (readonly [string, Resource])[] =>
  (
    [
      ['transit-gateway', world.transitGateways],
      ['transit-gateway-attachment', world.attachments],
      ['transit-gateway-route-table', world.transitRouteTables],
      ['customer-gateway', world.customerGateways],
      ['vpn-connection', world.vpnConnections],
      ['vpc', world.vpcs],
      ['subnet', world.subnets],
      ['route-table', world.routeTables],
      ['security-group', world.securityGroups],
    ] as const
  ).flatMap(([type, rows]) => Object.values(rows).map((row): readonly [string, Resource] => [type, row]))
const rulesOf = (world: World) => Object.values(world.securityGroups).flatMap((group) => group.rules)
function toTag(world: World, id: string, { now }: Context): { tags: Record<string, string> } {
  const resource =
    taggable(world).find(([, row]) => row.id === id && row.visibleAt <= now && row.state !== 'deleted')?.[1] ??
    rulesOf(world).find((rule) => rule.id === id)
  if (resource) return resource
  const kind = Object.values(kinds).find((one) => id.startsWith(`${one.prefix}-`) && /^[0-9a-f]+$/.test(id.slice(one.prefix.length + 1)))
  throw kind ? new Refusal(kind.notFound, `The ${kind.noun} ID '${id}' does not exist`) : new Refusal('InvalidID', `The ID '${id}' is not valid`)
}
const zonesOf = (world: World): readonly string[] => ['a', 'b', 'c'].map((letter) => `${world.seed.name}${letter}`)

/** Routes are counted in each family by itself (Amazon VPC quotas). */
const destinationsOf = (world: World, table: RouteTable, family: Family): readonly Prefix[] =>
  [...localOf(world, table), ...(Object.keys(table.routes) as Prefix[])].filter((one) => familyOf(one) === family)

export const vpcActions = [
  action('DescribeVpcs', { VpcId: list(text), Filter: filterList, ...pageFields }, (world, { VpcId, ...asked }, context) => {
    const { rows, nextToken } = select(
      kinds.vpc,
      world.vpcs,
      { ids: VpcId, ...asked },
      {
        'vpc-id': (row) => [row.id],
        cidr: (row) => [row.cidr],
        'ipv6-cidr-block-association.ipv6-cidr-block': (row) => [row.ipv6],
        'cidr-block-association.cidr-block': (row) => [row.cidr],
        state: (row) => [row.state],
        'is-default': () => [false],
        'owner-id': () => [world.account],
      },
      context,
    )
    return { vpcSet: rows.map((row) => vpcXml(world, row)), nextToken }
  }),
  action('DescribeSubnets', { SubnetId: list(text), Filter: filterList, ...pageFields }, (world, { SubnetId, ...asked }, context) => {
    const { rows, nextToken } = select(
      kinds.subnet,
      world.subnets,
      { ids: SubnetId, ...asked },
      {
        'subnet-id': (row) => [row.id],
        'vpc-id': (row) => [row.vpc],
        'cidr-block': (row) => [row.cidr],
        'availability-zone': (row) => [row.zone],
        state: (row) => [row.state],
      },
      context,
    )
    return { subnetSet: rows.map((row) => subnetXml(world, row)), nextToken }
  }),
  action('DescribeRouteTables', { RouteTableId: list(text), Filter: filterList, ...pageFields }, (world, { RouteTableId, ...asked }, context) => {
    const { rows, nextToken } = select(
      kinds.routeTable,
      world.routeTables,
      { ids: RouteTableId, ...asked },
      {
        'route-table-id': (row) => [row.id],
        'vpc-id': (row) => [row.vpc],
        'association.main': (row) => [row.main],
        'association.subnet-id': (row) => row.subnets,
        'route.destination-cidr-block': (row) => destinationsOf(world, row, 4),
        'route.destination-ipv6-cidr-block': (row) => destinationsOf(world, row, 6),
        'route.transit-gateway-id': (row) => Object.values(row.routes),
        'route.state': (row) => ['active', ...Object.values(row.routes).map((gateway) => routeState(world, row, gateway))],
      },
      context,
    )
    return { routeTableSet: rows.map((row) => routeTableXml(world, row)), nextToken }
  }),
  action('CreateRoute', routeFields, (world, { RouteTableId, TransitGatewayId, ...asked }, context) => {
    const table = find(kinds.routeTable, world.routeTables, RouteTableId, context)
    const destination = destinationOf(asked)
    const gateway = routeTarget(world, table, TransitGatewayId, context)
    const local = localOf(world, table).find((one) => contains(one, destination))
    if (local !== undefined && lengthOf(destination) === lengthOf(local))
      throw new Refusal('RouteAlreadyExists', `The route identified by ${destination} already exists.`)
    if (local !== undefined) throw invalidValue(destination, 'destinationCidrBlock', `It is more specific than the VPC's own ${local}.`)
    const existing = table.routes[destination]
    if (existing === gateway) return { return: true }
    if (existing !== undefined) throw new Refusal('RouteAlreadyExists', `The route identified by ${destination} already exists.`)
    if (destinationsOf(world, table, familyOf(destination)).length >= world.seed.quotas.routes)
      throw new Refusal('RouteLimitExceeded', `The maximum number of routes of ${table.id} has been reached: ${world.seed.quotas.routes}`)
    table.routes[destination] = gateway
    return { return: true }
  }),
  action('ReplaceRoute', routeFields, (world, { RouteTableId, TransitGatewayId, ...asked }, context) => {
    const table = find(kinds.routeTable, world.routeTables, RouteTableId, context)
    const destination = destinationOf(asked)
    const gateway = routeTarget(world, table, TransitGatewayId, context)
    if (table.routes[destination] === undefined) throw noRoute(destination, table.id)
    table.routes[destination] = gateway
    return { return: true }
  }),
  action('DeleteRoute', { RouteTableId: needed(text), ...destinationFields }, (world, { RouteTableId, ...asked }, context) => {
    const table = find(kinds.routeTable, world.routeTables, RouteTableId, context)
    const destination = destinationOf(asked)
    if (table.routes[destination] === undefined) throw noRoute(destination, table.id)
    delete table.routes[destination]
    return { return: true }
  }),
  action('DescribeAvailabilityZones', { ZoneName: list(text), AllAvailabilityZones: flag, Filter: filterList }, (world, { ZoneName, Filter }) => {
    const zones = zonesOf(world)
    for (const name of ZoneName ?? []) if (!zones.includes(name)) throw invalidValue(name, 'ZoneName', 'The zone does not exist.')
    const rows = matching(ZoneName ?? zones, Filter, {
      'zone-name': (zone) => [zone],
      state: () => ['available'],
      'region-name': () => [world.seed.name],
    })
    return {
      availabilityZoneInfo: rows.map((zoneName) => ({
        zoneName,
        zoneState: 'available',
        regionName: world.seed.name,
        zoneType: 'availability-zone',
        groupName: `${world.seed.name}-zg-1`,
        networkBorderGroup: world.seed.name,
        optInStatus: 'opt-in-not-required',
      })),
    }
  }),
  action('DescribeRegions', { RegionName: list(text), AllRegions: flag, Filter: filterList }, (world, { RegionName, Filter }) => {
    for (const name of RegionName ?? []) if (!world.regions.includes(name)) throw invalidValue(name, 'RegionName', 'The region does not exist.')
    const rows = matching(RegionName ?? world.regions, Filter, { 'region-name': (name) => [name], 'opt-in-status': () => ['opt-in-not-required'] })
    return {
      regionInfo: rows.map((regionName) => ({ regionName, regionEndpoint: `ec2.${regionName}.amazonaws.com`, optInStatus: 'opt-in-not-required' })),
    }
  }),
  action('CreateTags', { ResourceId: needed(list(text)), Tag: needed(tagList) }, (world, { ResourceId, Tag }, context) => {
    const tags = tagsOf(Tag)
    for (const id of ResourceId) {
      const resource = toTag(world, id, context)
      resource.tags = { ...resource.tags, ...tags }
      limitTags(resource.tags)
    }
    return { return: true }
  }),
  action('DeleteTags', { ResourceId: needed(list(text)), Tag: tagList }, (world, { ResourceId, Tag }, context) => {
    for (const id of ResourceId) {
      const resource = toTag(world, id, context)
      // Without tags, all; a tag with a value only when it has that value.
      const left = Object.entries(resource.tags).filter(
        ([key, value]) => Tag && !Tag.some((one) => one.Key === key && (one.Value === undefined || one.Value === value)),
      )
      resource.tags = Object.fromEntries(left)
    }
    return { return: true }
  }),
  action('DescribeTags', { Filter: filterList, ...pageFields }, (world, { Filter, ...asked }, { now }) => {
    const all = taggable(world)
      .filter(([, row]) => row.visibleAt <= now && (isLiving(row) || row.state === 'deleting'))
      .flatMap(([resourceType, row]) => Object.entries(row.tags).map(([key, value]) => ({ resourceId: row.id, resourceType, key, value })))
    const { rows, nextToken } = page(
      matching(
        all,
        Filter,
        {
          key: (row) => [row.key],
          value: (row) => [row.value],
          'resource-id': (row) => [row.resourceId],
          'resource-type': (row) => [row.resourceType],
        },
        (row) => ({ [row.key]: row.value }),
      ),
      (row) => `${row.resourceId} ${row.key}`,
      asked,
    )
    return { tagSet: rows.map((row) => ({ ...row })), nextToken }
  }),
]
