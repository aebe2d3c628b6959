/** The transit gateway and what hangs on it: tables, customer gateways, attachments, associations, routes. */
import {
  AssociateTransitGatewayRouteTableCommand,
  CreateCustomerGatewayCommand,
  CreateTransitGatewayCommand,
  CreateTransitGatewayRouteCommand,
  CreateTransitGatewayRouteTableCommand,
  CreateTransitGatewayVpcAttachmentCommand,
  DeleteCustomerGatewayCommand,
  DeleteTransitGatewayCommand,
  DeleteTransitGatewayRouteCommand,
  DeleteTransitGatewayRouteTableCommand,
  DeleteTransitGatewayVpcAttachmentCommand,
  DisassociateTransitGatewayRouteTableCommand,
  ModifyTransitGatewayCommand,
  ModifyTransitGatewayVpcAttachmentCommand,
  ReplaceTransitGatewayRouteCommand,
} from '@aws-sdk/client-ec2'
import type { Observed } from '../cloud.ts'
import { conflict, finding } from './errors.ts'
import { type Context, type Kind, minutes, tags, withId, must, leftIn, unchangeable } from './kind.ts'
import * as read from './observe.ts'
import { compound, tagOf } from './scheme.ts'

export const transitGateway: Kind<'transit-gateway'> = {
  limits: [minutes(10), minutes(10)],
  find: async (context, { id }) => withId(read.readTransitGateways(await context.reads.transitGateways()), id),
  async make(context, { id, properties }) {
    const { TransitGateway: made } = await context.once(
      new CreateTransitGatewayCommand({
        Description: id,
        Options: {
          AmazonSideAsn: properties.asn,
          VpnEcmpSupport: 'enable',
          DefaultRouteTableAssociation: 'disable',
          DefaultRouteTablePropagation: 'disable',
          AutoAcceptSharedAttachments: 'disable',
        },
        TagSpecifications: tags(context, 'transit-gateway', id),
      }),
    )
    return must(made?.TransitGatewayId)
  },
  async change(context, resource, seen, differences) {
    if (differences.some(({ key }) => key !== 'ecmp')) throw unchangeable(resource, differences)
    await context.again(new ModifyTransitGatewayCommand({ TransitGatewayId: seen.cloudId, Options: { VpnEcmpSupport: 'enable' } }))
  },
  left: async (context, cloudId) => leftIn(read.readTransitGateways(await context.reads.transitGateways()), cloudId),
  remove: async (context, cloudId) => void (await context.again(new DeleteTransitGatewayCommand({ TransitGatewayId: cloudId }))),
}

export const routeTable: Kind<'transit-gateway-route-table'> = {
  limits: [minutes(5), minutes(5)],
  find: async (context, { id }) => withId(read.readRouteTables(await context.reads.routeTables()), id),
  async make(context, { id, properties }) {
    const { TransitGatewayRouteTable: made } = await context.once(
      new CreateTransitGatewayRouteTableCommand({
        TransitGatewayId: await context.idOf(properties.transitGateway.ref),
        TagSpecifications: tags(context, 'transit-gateway-route-table', id),
      }),
    )
    return must(made?.TransitGatewayRouteTableId)
  },
  change: async (_context, resource, _seen, differences) => {
    throw unchangeable(resource, differences)
  },
  left: async (context, cloudId) => leftIn(read.readRouteTables(await context.reads.routeTables()), cloudId),
  remove: async (context, cloudId) => void (await context.again(new DeleteTransitGatewayRouteTableCommand({ TransitGatewayRouteTableId: cloudId }))),
}

export const customerGateway: Kind<'customer-gateway'> = {
  limits: [minutes(5), minutes(5)],
  find: async (context, { id }) => withId(read.readCustomerGateways(await context.reads.customerGateways()), id),
  async make(context, { id, properties }) {
    const { CustomerGateway: made } = await context.once(
      new CreateCustomerGatewayCommand({
        Type: 'ipsec.1',
        IpAddress: properties.address,
        ...(properties.asn > 2_147_483_647 ? { BgpAsnExtended: properties.asn } : { BgpAsn: properties.asn }),
        DeviceName: id.slice(-32),
        TagSpecifications: tags(context, 'customer-gateway', id),
      }),
    )
    const cloudId = must(made?.CustomerGatewayId)
    // AWS answers with the one that exists, of whomever, when address, ASN and type are the same.
    if (made?.Tags && read.tagValue(made.Tags, tagOf.id) !== id)
      throw conflict(foreignCustomerGateway(id, cloudId, properties.address, properties.asn, read.tagValue(made.Tags, tagOf.id)))
    return cloudId
  },
  change: async (_context, resource, _seen, differences) => {
    throw unchangeable(resource, differences)
  },
  left: async (context, cloudId) => leftIn(read.readCustomerGateways(await context.reads.customerGateways()), cloudId),
  remove: async (context, cloudId) => void (await context.again(new DeleteCustomerGatewayCommand({ CustomerGatewayId: cloudId }))),
}
export const foreignCustomerGateway = (at: string, cloudId: string, address: string, asn: number, owner: string | undefined) =>
  finding(
    'R035',
    [at],
    `The customer gateway ${cloudId} for ${address} with ASN ${asn} exists already and belongs to ${owner ?? 'somebody else'}`,
    "AWS has one for each address and ASN: give the region another `hub_asn`, or delete that one if it's unused",
  )

export const vpcAttachment: Kind<'vpc-attachment'> = {
  limits: [minutes(10), minutes(10)],
  async find(context, { id, properties }) {
    const [attachments, subnets] = await Promise.all([context.reads.vpcAttachments(), context.reads.subnets([properties.vpc])])
    return withId(read.readVpcAttachments(attachments, subnets), id)
  },
  async make(context, { id, properties }) {
    const { TransitGatewayVpcAttachment: made } = await context.once(
      new CreateTransitGatewayVpcAttachmentCommand({
        TransitGatewayId: await context.idOf(properties.transitGateway.ref),
        VpcId: properties.vpc,
        SubnetIds: [...read.attachmentSubnets(await context.reads.subnets([properties.vpc]), properties.ipv6 === true)],
        ...(properties.ipv6 === true ? { Options: { Ipv6Support: 'enable' as const } } : {}),
        TagSpecifications: tags(context, 'transit-gateway-attachment', id),
      }),
    )
    return must(made?.TransitGatewayAttachmentId)
  },
  async change(context, resource, seen, differences) {
    if (differences.some(({ key }) => key !== 'everywhere' && key !== 'ipv6')) throw unchangeable(resource, differences)
    const ipv6 = resource.properties.ipv6 === true
    const [attachments, subnets] = await Promise.all([context.reads.vpcAttachments(), context.reads.subnets([resource.properties.vpc])])
    const attachment = attachments.find((of) => of.TransitGatewayAttachmentId === seen.cloudId)
    const attached = attachment?.SubnetIds ?? []
    const RemoveSubnetIds = ipv6 ? attached.filter((id) => !subnets.some((subnet) => subnet.SubnetId === id && read.hasIpv6(subnet))) : []
    const kept = attached.filter((id) => !RemoveSubnetIds.includes(id))
    const AddSubnetIds = [...read.missingSubnets(subnets, kept, ipv6)]
    const enable = ipv6 && attachment?.Options?.Ipv6Support !== 'enable'
    if (AddSubnetIds.length + RemoveSubnetIds.length === 0 && !enable) return
    await context.again(
      new ModifyTransitGatewayVpcAttachmentCommand({
        TransitGatewayAttachmentId: seen.cloudId,
        ...(AddSubnetIds.length > 0 ? { AddSubnetIds } : {}),
        ...(RemoveSubnetIds.length > 0 ? { RemoveSubnetIds } : {}),
        ...(enable ? { Options: { Ipv6Support: 'enable' as const } } : {}),
      }),
    )
  },
  left: async (context, cloudId) => leftIn(read.readVpcAttachments(await context.reads.vpcAttachments(), []), cloudId),
  remove: async (context, cloudId) =>
    void (await context.again(new DeleteTransitGatewayVpcAttachmentCommand({ TransitGatewayAttachmentId: cloudId }))),
}

/** The attachment of a VPN connection is made by AWS and has an id of its own; a VPC attachment's is its own. */
async function attachmentOf(context: Context, of: string): Promise<{ readonly id: string; readonly state: string } | undefined> {
  const all = await context.reads.attachments(await context.gateways())
  const found = all.find(
    (one) => (one.ResourceId === of || one.TransitGatewayAttachmentId === of) && one.State !== 'deleted' && one.State !== 'deleting',
  )
  return found && { id: found.TransitGatewayAttachmentId ?? '', state: found.State ?? '' }
}
const notYet = (what: string): Error => Object.assign(new Error(`${what} is not described yet.`), { name: 'ResourceNotReady' })
async function readyAttachment(context: Context, of: string): Promise<string> {
  const found = await attachmentOf(context, of)
  if (found?.state !== 'available') throw notYet(`The attachment of ${of}`)
  return found.id
}

export const association: Kind<'transit-gateway-association'> = {
  limits: [minutes(15), minutes(15)],
  async find(context, { id, properties }) {
    const of = await context.idOf(properties.of.ref)
    const parent: Observed = { id: properties.of.ref, type: '', cloudId: of, state: 'ready', properties: {} }
    return withId(read.readAssociations(await context.reads.attachments(await context.gateways()), [parent]), id)
  },
  async make(context, { properties }) {
    const [attachment, table] = [await readyAttachment(context, await context.idOf(properties.of.ref)), await context.idOf(properties.routeTable.ref)]
    await context.once(new AssociateTransitGatewayRouteTableCommand({ TransitGatewayAttachmentId: attachment, TransitGatewayRouteTableId: table }))
    return compound.association(attachment, table)
  },
  /** An attachment has one table: it must leave the other first, and the step is asked again until it has. */
  async change(context, _resource, seen) {
    await association.remove(context, seen.cloudId)
    throw notYet('The other route table')
  },
  async left(context, cloudId) {
    const [attachment, table] = cloudId.split('@')
    const found = (await context.reads.attachments(await context.gateways())).find((one) => one.TransitGatewayAttachmentId === attachment)
    const there = found?.Association
    if (there?.TransitGatewayRouteTableId !== table || there?.State === 'disassociated' || found?.State === 'deleted') return undefined
    return { state: there?.State === 'disassociating' ? 'deleting' : 'ready', ours: true }
  },
  async remove(context, cloudId) {
    const [TransitGatewayAttachmentId, TransitGatewayRouteTableId] = cloudId.split('@')
    await context.again(new DisassociateTransitGatewayRouteTableCommand({ TransitGatewayAttachmentId, TransitGatewayRouteTableId }))
  },
}

export const transitGatewayRoute: Kind<'transit-gateway-route'> = {
  limits: [minutes(5), minutes(5)],
  async find(context, { id, properties }) {
    const cloudId = await context.idOf(properties.routeTable.ref)
    const table: Observed = { id: properties.routeTable.ref, type: '', cloudId, state: 'ready', properties: {} }
    const to = await context.idOf(properties.to.ref)
    const parent: Observed = { id: properties.to.ref, type: '', cloudId: to, state: 'ready', properties: {} }
    return withId(read.readRoutes(await context.reads.routes(cloudId), table, [parent]), id)
  },
  async make(context, { properties }) {
    const [attachment, table] = [await readyAttachment(context, await context.idOf(properties.to.ref)), await context.idOf(properties.routeTable.ref)]
    const DestinationCidrBlock = properties.destination
    await context.once(
      new CreateTransitGatewayRouteCommand({ TransitGatewayRouteTableId: table, TransitGatewayAttachmentId: attachment, DestinationCidrBlock }),
    )
    return compound.route(table, DestinationCidrBlock)
  },
  /** In one call, without a moment in which there is no route. */
  async change(context, { properties }) {
    await context.again(
      new ReplaceTransitGatewayRouteCommand({
        TransitGatewayRouteTableId: await context.idOf(properties.routeTable.ref),
        DestinationCidrBlock: properties.destination,
        TransitGatewayAttachmentId: await readyAttachment(context, await context.idOf(properties.to.ref)),
      }),
    )
  },
  async left(context, cloudId) {
    const [table = '', destination] = cloudId.split('|')
    // Only a table of ours is looked into: what is in it is ours by that.
    if (!read.readRouteTables(await context.reads.routeTables()).some((of) => of.cloudId === table)) return undefined
    const found = (await context.reads.routes(table)).find(
      (route) => read.prefixOf(route.DestinationCidrBlock) === destination && route.State !== 'deleted',
    )
    return found && { state: found.State === 'deleting' ? 'deleting' : 'ready', ours: true }
  },
  async remove(context, cloudId) {
    const [TransitGatewayRouteTableId, DestinationCidrBlock] = cloudId.split('|')
    await context.again(new DeleteTransitGatewayRouteCommand({ TransitGatewayRouteTableId, DestinationCidrBlock }))
  },
}
