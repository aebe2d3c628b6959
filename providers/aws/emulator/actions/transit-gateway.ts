/** Transit gateways and their attachments. */
import { action, becoming, find, findLiving, fresh, isLiving, kinds, tagsFor, tagSet, tagSpecifications } from '../action.ts'
import { filterList, pageFields, select } from '../describe.ts'
import { group, integer, list, needed, text } from '../query.ts'
import { incorrectState, invalidValue, Refusal } from '../refusal.ts'
import type { Attachment, Context, TransitGateway, World } from '../world.ts'
import { time, type Xml } from '../xml.ts'

const transitGatewayXml = (world: World, row: TransitGateway): Xml => ({
  transitGatewayId: row.id,
  transitGatewayArn: `arn:aws:ec2:${world.seed.name}:${world.account}:transit-gateway/${row.id}`,
  state: row.state,
  ownerId: world.account,
  description: row.description,
  creationTime: time(row.createdAt),
  options: {
    amazonSideAsn: row.asn,
    autoAcceptSharedAttachments: 'disable',
    defaultRouteTableAssociation: 'disable',
    defaultRouteTablePropagation: 'disable',
    vpnEcmpSupport: row.ecmp,
    dnsSupport: row.dns,
    securityGroupReferencingSupport: 'disable',
    multicastSupport: 'disable',
  },
  tagSet: tagSet(row.tags),
})
const choice = (name: string, value: string | undefined, initial: 'enable' | 'disable'): string => {
  if (value !== undefined && value !== 'enable' && value !== 'disable') throw invalidValue(value, name, 'Expecting enable or disable.')
  return value ?? initial
}
/** AWS's own default is `enable`: then it makes a route table by itself, which is not emulated. */
const mustBeDisabled = (name: string, value: string | undefined): void => {
  if (choice(name, value, 'enable') !== 'disable') throw invalidValue(value ?? 'enable', name, 'The emulator knows only disable: state it.')
}
function transitAsn(asn = 64512): number {
  if (!((asn >= 64512 && asn <= 65534) || (asn >= 4_200_000_000 && asn <= 4_294_967_294)))
    throw invalidValue(String(asn), 'AmazonSideAsn', 'Expecting 64512-65534 or 4200000000-4294967294.')
  return asn
}

/** Throws IncorrectState unless it can be attached to and routed in. */
export function availableGateway(world: World, id: string, context: Context): TransitGateway {
  const row = findLiving(kinds.transitGateway, world.transitGateways, id, context)
  if (row.state !== 'available') throw incorrectState(`${id} is in invalid state: ${row.state}`)
  return row
}

export const attachmentsOf = (world: World, gateway: string): readonly Attachment[] =>
  Object.values(world.attachments).filter((row) => row.gateway === gateway && row.state !== 'deleted')

const vpcAttachmentXml = (world: World, row: Attachment): Xml => ({
  transitGatewayAttachmentId: row.id,
  transitGatewayId: row.gateway,
  vpcId: row.resourceId,
  vpcOwnerId: world.account,
  state: row.state,
  subnetIds: row.subnets,
  creationTime: time(row.createdAt),
  options: {
    dnsSupport: 'enable',
    securityGroupReferencingSupport: 'disable',
    ipv6Support: row.ipv6 ? 'enable' : 'disable',
    applianceModeSupport: 'disable',
  },
  tagSet: tagSet(row.tags),
})
export const associationOf = (world: World, attachment: string): { readonly table: string; readonly state: string } | undefined => {
  for (const table of Object.values(world.transitRouteTables)) {
    const association = table.associations[attachment]
    if (association) return { table: table.id, state: association.state }
  }
  return undefined
}
const attachmentXml = (world: World, row: Attachment): Xml => {
  const association = associationOf(world, row.id)
  return {
    transitGatewayAttachmentId: row.id,
    transitGatewayId: row.gateway,
    transitGatewayOwnerId: world.account,
    resourceOwnerId: world.account,
    resourceType: row.resourceType,
    resourceId: row.resourceId,
    state: row.state,
    association: association && { transitGatewayRouteTableId: association.table, state: association.state },
    creationTime: time(row.createdAt),
    tagSet: tagSet(row.tags),
  }
}
const attachmentFilters = {
  'transit-gateway-attachment-id': (row: Attachment) => [row.id],
  'transit-gateway-id': (row: Attachment) => [row.gateway],
  state: (row: Attachment) => [row.state],
}

const attachmentOptions = group({ DnsSupport: text, Ipv6Support: text, ApplianceModeSupport: text })
function ipv6Of(
  of:
    | { readonly DnsSupport: string | undefined; readonly Ipv6Support: string | undefined; readonly ApplianceModeSupport: string | undefined }
    | undefined,
  before: boolean,
): boolean {
  if (choice('ApplianceModeSupport', of?.ApplianceModeSupport, 'disable') === 'enable')
    throw invalidValue('enable', 'ApplianceModeSupport', 'The emulator does not know it.')
  choice('DnsSupport', of?.DnsSupport, 'enable')
  return choice('Ipv6Support', of?.Ipv6Support, before ? 'enable' : 'disable') === 'enable'
}

export const transitGatewayActions = [
  action(
    'CreateTransitGateway',
    {
      Description: text,
      Options: group({
        AmazonSideAsn: integer,
        AutoAcceptSharedAttachments: text,
        DefaultRouteTableAssociation: text,
        DefaultRouteTablePropagation: text,
        VpnEcmpSupport: text,
        DnsSupport: text,
        MulticastSupport: text,
      }),
      TagSpecification: tagSpecifications,
    },
    (world, { Description, Options, TagSpecification }, context) => {
      const living = Object.values(world.transitGateways).filter((row) => row.state !== 'deleted')
      if (living.length >= world.seed.quotas.transitGateways)
        throw new Refusal('TransitGatewayLimitExceeded', `You have reached the limit of ${world.seed.quotas.transitGateways} transit gateways`)
      mustBeDisabled('DefaultRouteTableAssociation', Options?.DefaultRouteTableAssociation)
      mustBeDisabled('DefaultRouteTablePropagation', Options?.DefaultRouteTablePropagation)
      if (choice('AutoAcceptSharedAttachments', Options?.AutoAcceptSharedAttachments, 'disable') === 'enable')
        throw invalidValue('enable', 'AutoAcceptSharedAttachments', 'The emulator shares nothing.')
      if (choice('MulticastSupport', Options?.MulticastSupport, 'disable') === 'enable')
        throw invalidValue('enable', 'MulticastSupport', 'The emulator has no multicast.')
      const row: TransitGateway = {
        ...fresh(kinds.transitGateway, world, context),
        ...becoming('pending', 'available', world.seed.times.transitGateway, context),
        tags: tagsFor('transit-gateway', TagSpecification),
        description: Description ?? '',
        asn: transitAsn(Options?.AmazonSideAsn),
        ecmp: choice('VpnEcmpSupport', Options?.VpnEcmpSupport, 'enable'),
        dns: choice('DnsSupport', Options?.DnsSupport, 'enable'),
      }
      world.transitGateways[row.id] = row
      return { transitGateway: transitGatewayXml(world, row) }
    },
  ),
  action(
    'DescribeTransitGateways',
    { TransitGatewayIds: list(text), Filter: filterList, ...pageFields },
    (world, { TransitGatewayIds, ...asked }, context) => {
      const { rows, nextToken } = select(
        kinds.transitGateway,
        world.transitGateways,
        { ids: TransitGatewayIds, ...asked },
        {
          'transit-gateway-id': (row) => [row.id],
          state: (row) => [row.state],
          'owner-id': () => [world.account],
          'options.amazon-side-asn': (row) => [row.asn],
          'options.vpn-ecmp-support': (row) => [row.ecmp],
        },
        context,
      )
      return { transitGatewaySet: rows.map((row) => transitGatewayXml(world, row)), nextToken }
    },
  ),
  action(
    'ModifyTransitGateway',
    { TransitGatewayId: needed(text), Description: text, Options: group({ VpnEcmpSupport: text, DnsSupport: text, AmazonSideAsn: integer }) },
    (world, { TransitGatewayId, Description, Options }, context) => {
      const row = availableGateway(world, TransitGatewayId, context)
      if (Options?.AmazonSideAsn !== undefined && Options.AmazonSideAsn !== row.asn && attachmentsOf(world, row.id).length > 0)
        throw incorrectState(`${row.id} has attachments: its ASN can't be changed`)
      const changed: TransitGateway = {
        ...row,
        ...becoming('modifying', 'available', world.seed.times.transitGateway, context),
        description: Description ?? row.description,
        ecmp: choice('VpnEcmpSupport', Options?.VpnEcmpSupport, row.ecmp as 'enable'),
        dns: choice('DnsSupport', Options?.DnsSupport, row.dns as 'enable'),
        asn: transitAsn(Options?.AmazonSideAsn ?? row.asn),
      }
      world.transitGateways[row.id] = changed
      return { transitGateway: transitGatewayXml(world, changed) }
    },
  ),
  action('DeleteTransitGateway', { TransitGatewayId: needed(text) }, (world, { TransitGatewayId }, context) => {
    const row = availableGateway(world, TransitGatewayId, context)
    const attached = attachmentsOf(world, row.id)
    for (const [resourceType, noun] of [
      ['vpn', 'VPN'],
      ['vpc', 'VPC'],
    ] as const) {
      const ids = attached.filter((one) => one.resourceType === resourceType).map((one) => one.id)
      if (ids.length > 0) throw incorrectState(`${row.id} has non-deleted ${noun} Attachments: ${ids.join(', ')}.`)
    }
    const tables = Object.values(world.transitRouteTables).filter((table) => table.gateway === row.id && table.state !== 'deleted')
    if (tables.length > 0)
      throw incorrectState(`${row.id} has non-deleted Transit Gateway Route Tables: ${tables.map((table) => table.id).join(', ')}.`)
    Object.assign(row, becoming('deleting', 'deleted', world.seed.times.transitGateway, context))
    return { transitGateway: transitGatewayXml(world, row) }
  }),
  action(
    'CreateTransitGatewayVpcAttachment',
    {
      TransitGatewayId: needed(text),
      VpcId: needed(text),
      SubnetIds: needed(list(text)),
      Options: attachmentOptions,
      TagSpecifications: tagSpecifications,
    },
    (world, { TransitGatewayId, VpcId, SubnetIds, Options, TagSpecifications }, context) => {
      const gateway = availableGateway(world, TransitGatewayId, context)
      const vpc = find(kinds.vpc, world.vpcs, VpcId, context)
      const ipv6 = ipv6Of(Options, false)
      judgeSubnets(world, vpc.id, SubnetIds, ipv6, context)
      const twin = attachmentsOf(world, gateway.id).find((row) => row.resourceId === vpc.id)
      if (twin)
        throw new Refusal(
          'DuplicateTransitGatewayAttachment',
          `${gateway.id} has non-deleted Transit Gateway Attachments with same VPC ID: ${twin.id}`,
        )
      limitAttachments(world)
      const row: Attachment = {
        ...fresh(kinds.attachment, world, context),
        ...becoming('pending', 'available', world.seed.times.attachment, context),
        tags: tagsFor('transit-gateway-attachment', TagSpecifications),
        gateway: gateway.id,
        resourceType: 'vpc',
        resourceId: vpc.id,
        subnets: SubnetIds,
        ipv6,
      }
      world.attachments[row.id] = row
      return { transitGatewayVpcAttachment: vpcAttachmentXml(world, row) }
    },
  ),
  action(
    'DescribeTransitGatewayVpcAttachments',
    { TransitGatewayAttachmentIds: list(text), Filter: filterList, ...pageFields },
    (world, { TransitGatewayAttachmentIds, ...asked }, context) => {
      const vpcs = Object.fromEntries(Object.entries(world.attachments).filter(([, row]) => row.resourceType === 'vpc'))
      const { rows, nextToken } = select(
        kinds.attachment,
        vpcs,
        { ids: TransitGatewayAttachmentIds, ...asked },
        { ...attachmentFilters, 'vpc-id': (row) => [row.resourceId] },
        context,
      )
      return { transitGatewayVpcAttachments: rows.map((row) => vpcAttachmentXml(world, row)), nextToken }
    },
  ),
  action(
    'ModifyTransitGatewayVpcAttachment',
    { TransitGatewayAttachmentId: needed(text), AddSubnetIds: list(text), RemoveSubnetIds: list(text), Options: attachmentOptions },
    (world, { TransitGatewayAttachmentId, AddSubnetIds = [], RemoveSubnetIds = [], Options }, context) => {
      const row = findLiving(kinds.attachment, world.attachments, TransitGatewayAttachmentId, context)
      if (row.resourceType !== 'vpc') throw new Refusal(kinds.attachment.notFound, `The ${kinds.attachment.noun} ID '${row.id}' does not exist`)
      if (row.state !== 'available') throw incorrectState(`${row.id} is in invalid state: ${row.state}`)
      const stranger = RemoveSubnetIds.find((id) => !row.subnets.includes(id))
      if (stranger !== undefined) throw new Refusal('InvalidSubnetID.NotFound', `${stranger} is not attached by ${row.id}`)
      const subnets = [...row.subnets.filter((id) => !RemoveSubnetIds.includes(id)), ...AddSubnetIds]
      if (subnets.length === 0) throw new Refusal('InvalidParameterValue', `${row.id} must keep at least one subnet`)
      const ipv6 = ipv6Of(Options, row.ipv6)
      judgeSubnets(world, row.resourceId, subnets, ipv6, context)
      const changed: Attachment = { ...row, ...becoming('modifying', 'available', world.seed.times.attachment, context), subnets, ipv6 }
      world.attachments[row.id] = changed
      return { transitGatewayVpcAttachment: vpcAttachmentXml(world, changed) }
    },
  ),
  action('DeleteTransitGatewayVpcAttachment', { TransitGatewayAttachmentId: needed(text) }, (world, { TransitGatewayAttachmentId }, context) => {
    const row = findLiving(kinds.attachment, world.attachments, TransitGatewayAttachmentId, context)
    if (row.resourceType !== 'vpc') throw new Refusal(kinds.attachment.notFound, `The ${kinds.attachment.noun} ID '${row.id}' does not exist`)
    if (!isLiving(row) || row.state === 'pending') throw incorrectState(`${row.id} is in invalid state: ${row.state}`)
    Object.assign(row, becoming('deleting', 'deleted', world.seed.times.attachment, context))
    return { transitGatewayVpcAttachment: vpcAttachmentXml(world, row) }
  }),
  action(
    'DescribeTransitGatewayAttachments',
    { TransitGatewayAttachmentIds: list(text), Filter: filterList, ...pageFields },
    (world, { TransitGatewayAttachmentIds, ...asked }, context) => {
      const filters = {
        ...attachmentFilters,
        'resource-id': (row: Attachment) => [row.resourceId],
        'resource-type': (row: Attachment) => [row.resourceType],
        'resource-owner-id': () => [world.account],
        'transit-gateway-owner-id': () => [world.account],
        'association.transit-gateway-route-table-id': (row: Attachment) => [associationOf(world, row.id)?.table],
        'association.state': (row: Attachment) => [associationOf(world, row.id)?.state],
      }
      const { rows, nextToken } = select(kinds.attachment, world.attachments, { ids: TransitGatewayAttachmentIds, ...asked }, filters, context)
      return { transitGatewayAttachments: rows.map((row) => attachmentXml(world, row)), nextToken }
    },
  ),
]

/** Of the VPC, and one a zone at the most; stricter than EC2 documents, each has IPv6 where the attachment is to have it. */
function judgeSubnets(world: World, vpc: string, subnets: readonly string[], ipv6: boolean, context: Context): void {
  const zones = new Set<string>()
  for (const id of subnets) {
    const subnet = find(kinds.subnet, world.subnets, id, context)
    if (subnet.vpc !== vpc) throw new Refusal('InvalidParameterValue', `Subnet ${id} does not belong to VPC ${vpc}`)
    if (zones.has(subnet.zone)) throw new Refusal('DuplicateSubnetsInSameZone', `Duplicate Subnets for same AZ: ${subnet.zone}`)
    zones.add(subnet.zone)
    if (ipv6 && subnet.ipv6 === undefined)
      throw new Refusal('InvalidParameterValue', `Subnet ${id} has no IPv6 CIDR block: it can't be used with Ipv6Support`)
  }
}

export function limitAttachments(world: World): void {
  if (Object.values(world.attachments).filter((row) => row.state !== 'deleted').length >= world.seed.quotas.attachments)
    throw new Refusal(
      'TransitGatewayAttachmentLimitExceeded',
      `You have reached the limit of ${world.seed.quotas.attachments} transit gateway attachments`,
    )
}
