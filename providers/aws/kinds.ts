/** How each type is found, made, changed and deleted. No waiting here but what one call needs; `apply.ts` does that. */
import {
  AssociateTransitGatewayRouteTableCommand,
  AuthorizeSecurityGroupEgressCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateCustomerGatewayCommand,
  CreateRouteCommand,
  CreateSecurityGroupCommand,
  CreateTransitGatewayCommand,
  CreateTransitGatewayRouteCommand,
  CreateTransitGatewayRouteTableCommand,
  CreateTransitGatewayVpcAttachmentCommand,
  CreateVpnConnectionCommand,
  DeleteCustomerGatewayCommand,
  DeleteRouteCommand,
  DeleteSecurityGroupCommand,
  DeleteTransitGatewayCommand,
  DeleteTransitGatewayRouteCommand,
  DeleteTransitGatewayRouteTableCommand,
  DeleteTransitGatewayVpcAttachmentCommand,
  DeleteVpnConnectionCommand,
  DisassociateTransitGatewayRouteTableCommand,
  type EC2Client,
  ModifyTransitGatewayCommand,
  ModifyTransitGatewayVpcAttachmentCommand,
  ModifyVpnTunnelOptionsCommand,
  ReplaceRouteCommand,
  ReplaceTransitGatewayRouteCommand,
  type ResourceType,
  RevokeSecurityGroupEgressCommand,
  RevokeSecurityGroupIngressCommand,
  type RouteTable,
  type TagSpecification,
  type VpnTunnelOptionsSpecification,
} from '@aws-sdk/client-ec2'
import type { NetworkId, TunnelId } from '#src/fabric/fabric.ts'
import type { Observed, ResourceId } from '../cloud.ts'
import { type Difference, pairTunnels } from './difference.ts'
import { conflict, finding, isNotFound, isTaken } from './errors.ts'
import { permissionsOf } from './group.ts'
import * as read from './observe.ts'
import type { Reads } from './reads.ts'
import { type AwsObserved, type AwsResource, type AwsType, compound, type ObservedTunnel, type TunnelProperties, tagOf } from './scheme.ts'

export interface Context {
  readonly network: NetworkId
  readonly operation: string
  readonly reads: Reads
  /** Sends, with the caller's signal. `once` is never repeated by the SDK. */
  readonly once: EC2Client['send']
  readonly again: EC2Client['send']
  readonly fingerprint: read.Fingerprint
  psk(tunnel: TunnelId): Promise<string>
  /** The cloud id of another resource of ours; throws if there is none. */
  idOf(of: ResourceId): Promise<string>
  /** Waits until a VPN connection is `available` again. */
  settled(connection: ResourceId): Promise<void>
}
export interface Kind<T extends AwsType> {
  /** Milliseconds that AWS may take to make it, and to delete it. */
  readonly limits: readonly [number, number]
  /** All that carries this id, in whatever state. */
  find(context: Context, resource: AwsResource<T>): Promise<readonly Observed[]>
  /** One call that is never repeated by itself; the cloud id. */
  make(context: Context, resource: AwsResource<T>): Promise<string>
  change(context: Context, resource: AwsResource<T>, seen: AwsObserved<T>, differences: readonly Difference[]): Promise<void>
  /** What is left of it by its cloud id; `ours` is false for what does not carry our tag. */
  left(context: Context, cloudId: string): Promise<{ readonly state: Observed['state']; readonly ours: boolean } | undefined>
  remove(context: Context, cloudId: string): Promise<void>
}

const minutes = (n: number): number => n * 60_000
const tags = (context: Context, type: ResourceType, id: ResourceId): TagSpecification[] => [
  {
    ResourceType: type,
    Tags: [
      { Key: 'Name', Value: id },
      { Key: tagOf.network, Value: context.network },
      { Key: tagOf.id, Value: id },
      { Key: tagOf.operation, Value: context.operation },
    ],
  },
]
const withId = (of: readonly Observed[], id: ResourceId): readonly Observed[] => of.filter((one) => one.id === id)
const must = (cloudId: string | undefined): string => {
  if (cloudId === undefined || cloudId === '') throw new SyntaxError('the answer has no id: deserialization error')
  return cloudId
}
/** What the lists by tag hold is ours by that. */
const leftIn = (of: readonly Observed[], cloudId: string): { readonly state: Observed['state']; readonly ours: boolean } | undefined => {
  const one = of.find((candidate) => candidate.cloudId === cloudId)
  return one && { state: one.state, ours: true }
}
const unchangeable = (resource: AwsResource, differences: readonly Difference[]): Error =>
  conflict(
    finding('R026', [resource.id], `AWS can't change ${differences.map(({ key }) => key).join(', ')} of ${resource.id}`, 'it was changed by somebody else meanwhile; plan again, it is then replaced'),
  )

const transitGateway: Kind<'transit-gateway'> = {
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

const routeTable: Kind<'transit-gateway-route-table'> = {
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

const customerGateway: Kind<'customer-gateway'> = {
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

const vpnConnection: Kind<'vpn-connection'> = {
  limits: [minutes(40), minutes(30)],
  find: async (context, { id }) => withId(read.readConnections(await context.reads.connections(), context.fingerprint), id),
  async make(context, { id, properties }) {
    const TunnelOptions = await Promise.all(
      properties.tunnels.map(async (tunnel) => tunnelOptions(tunnel, usableKey(tunnel.tunnel, await context.psk(tunnel.tunnel)))),
    )
    const { VpnConnection: made } = await context.once(
      new CreateVpnConnectionCommand({
        Type: 'ipsec.1',
        CustomerGatewayId: await context.idOf(properties.customerGateway.ref),
        TransitGatewayId: await context.idOf(properties.transitGateway.ref),
        Options: { StaticRoutesOnly: properties.static, TunnelInsideIpVersion: 'ipv4', TunnelOptions },
        TagSpecifications: tags(context, 'vpn-connection', id),
      }),
    )
    return must(made?.VpnConnectionId)
  },
  /** One tunnel a call, one after the other, so that at most one of the two is down. */
  async change(context, resource, seen, differences) {
    if (differences.some(({ key }) => !key.includes(' '))) throw unchangeable(resource, differences)
    const pairs = pairTunnels(resource.properties.tunnels, seen.properties.tunnels)
    for (const [want, there] of pairs) {
      const keys = differences.filter(({ key }) => key.startsWith(`${want.tunnel} `)).map(({ key }) => key.slice(want.tunnel.length + 1))
      if (keys.length === 0 || !there) continue
      const key = keys.includes('psk') ? usableKey(want.tunnel, await context.psk(want.tunnel)) : undefined
      await context.again(
        new ModifyVpnTunnelOptionsCommand({
          VpnConnectionId: seen.cloudId,
          VpnTunnelOutsideIpAddress: there.outside,
          TunnelOptions: onlyChanged(tunnelOptions(want, key), want, there),
        }),
      )
      await context.settled(resource.id)
    }
  },
  left: async (context, cloudId) => leftIn(read.readConnections(await context.reads.connections(), context.fingerprint), cloudId),
  remove: async (context, cloudId) => void (await context.again(new DeleteVpnConnectionCommand({ VpnConnectionId: cloudId }))),
}
const usableKey = (tunnel: TunnelId, psk: string): string => {
  if (/^[A-Za-z1-9._][A-Za-z0-9._]{7,63}$/.test(psk)) return psk
  throw conflict(
    finding('R024', [tunnel], `The pre-shared key of ${tunnel} is not one that AWS takes`, '8 to 64 letters, digits, dots and underscores, not beginning with 0; rotate it'),
  )
}
const values = <T>(of: readonly T[]): { Value: T }[] => of.map((Value) => ({ Value }))
type Options = VpnTunnelOptionsSpecification
const tunnelOptions = (of: TunnelProperties, psk: string | undefined): Options => ({
  TunnelInsideCidr: of.inside,
  ...(psk === undefined ? {} : { PreSharedKey: psk }),
  IKEVersions: values(of.ike),
  Phase1EncryptionAlgorithms: values(of.encryption[0]) as NonNullable<Options['Phase1EncryptionAlgorithms']>,
  Phase2EncryptionAlgorithms: values(of.encryption[1]) as NonNullable<Options['Phase2EncryptionAlgorithms']>,
  Phase1IntegrityAlgorithms: values(of.integrity[0]) as NonNullable<Options['Phase1IntegrityAlgorithms']>,
  Phase2IntegrityAlgorithms: values(of.integrity[1]) as NonNullable<Options['Phase2IntegrityAlgorithms']>,
  Phase1DHGroupNumbers: values(of.groups[0]),
  Phase2DHGroupNumbers: values(of.groups[1]),
  Phase1LifetimeSeconds: of.lifetimes[0],
  Phase2LifetimeSeconds: of.lifetimes[1],
  RekeyMarginTimeSeconds: of.rekeyMargin,
  RekeyFuzzPercentage: of.rekeyFuzz,
  ReplayWindowSize: of.replayWindow,
  DPDTimeoutSeconds: of.dpdTimeout,
  DPDTimeoutAction: of.dpdAction,
  StartupAction: of.startup,
})
/** AWS refuses an inside prefix that the tunnel has already; all else may be said again. */
function onlyChanged(options: Options, want: TunnelProperties, seen: ObservedTunnel): Options {
  const { TunnelInsideCidr: inside, ...others } = options
  return want.inside === seen.inside || inside === undefined ? others : { TunnelInsideCidr: inside, ...others }
}

const vpcAttachment: Kind<'vpc-attachment'> = {
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
        SubnetIds: [...read.attachmentSubnets(await context.reads.subnets([properties.vpc]))],
        TagSpecifications: tags(context, 'transit-gateway-attachment', id),
      }),
    )
    return must(made?.TransitGatewayAttachmentId)
  },
  async change(context, resource, seen, differences) {
    if (differences.some(({ key }) => key !== 'everywhere')) throw unchangeable(resource, differences)
    const [attachments, subnets] = await Promise.all([context.reads.vpcAttachments(), context.reads.subnets([resource.properties.vpc])])
    const attached = attachments.find((of) => of.TransitGatewayAttachmentId === seen.cloudId)?.SubnetIds ?? []
    const AddSubnetIds = [...read.missingSubnets(subnets, attached)]
    if (AddSubnetIds.length > 0) await context.again(new ModifyTransitGatewayVpcAttachmentCommand({ TransitGatewayAttachmentId: seen.cloudId, AddSubnetIds }))
  },
  left: async (context, cloudId) => leftIn(read.readVpcAttachments(await context.reads.vpcAttachments(), []), cloudId),
  remove: async (context, cloudId) => void (await context.again(new DeleteTransitGatewayVpcAttachmentCommand({ TransitGatewayAttachmentId: cloudId }))),
}

/** The attachment of a VPN connection is made by AWS and has an id of its own; a VPC attachment's is its own. */
async function attachmentOf(context: Context, of: string): Promise<{ readonly id: string; readonly state: string } | undefined> {
  const gateways = read.readTransitGateways(await context.reads.transitGateways()).map(({ cloudId }) => cloudId)
  const all = await context.reads.attachments(gateways.sort())
  const found = all.find((one) => (one.ResourceId === of || one.TransitGatewayAttachmentId === of) && one.State !== 'deleted' && one.State !== 'deleting')
  return found && { id: found.TransitGatewayAttachmentId ?? '', state: found.State ?? '' }
}
const notYet = (what: string): Error => Object.assign(new Error(`${what} is not described yet.`), { name: 'ResourceNotReady' })
async function readyAttachment(context: Context, of: string): Promise<string> {
  const found = await attachmentOf(context, of)
  if (found?.state !== 'available') throw notYet(`The attachment of ${of}`)
  return found.id
}

const association: Kind<'transit-gateway-association'> = {
  limits: [minutes(15), minutes(15)],
  async find(context, { id, properties }) {
    const of = await context.idOf(properties.of.ref)
    const gateways = read.readTransitGateways(await context.reads.transitGateways()).map(({ cloudId }) => cloudId)
    const parent: Observed = { id: properties.of.ref, type: '', cloudId: of, state: 'ready', properties: {} }
    return withId(read.readAssociations(await context.reads.attachments(gateways.sort()), [parent]), id)
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
    const gateways = read.readTransitGateways(await context.reads.transitGateways()).map((one) => one.cloudId)
    const found = (await context.reads.attachments(gateways.sort())).find((one) => one.TransitGatewayAttachmentId === attachment)
    const there = found?.Association
    if (there?.TransitGatewayRouteTableId !== table || there?.State === 'disassociated' || found?.State === 'deleted') return undefined
    return { state: there?.State === 'disassociating' ? 'deleting' : 'ready', ours: true }
  },
  async remove(context, cloudId) {
    const [TransitGatewayAttachmentId, TransitGatewayRouteTableId] = cloudId.split('@')
    await context.again(new DisassociateTransitGatewayRouteTableCommand({ TransitGatewayAttachmentId, TransitGatewayRouteTableId }))
  },
}

const transitGatewayRoute: Kind<'transit-gateway-route'> = {
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
    await context.once(new CreateTransitGatewayRouteCommand({ TransitGatewayRouteTableId: table, TransitGatewayAttachmentId: attachment, DestinationCidrBlock }))
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
    const found = (await context.reads.routes(table)).find((route) => route.DestinationCidrBlock === destination && route.State !== 'deleted')
    return found && { state: found.State === 'deleting' ? 'deleting' : 'ready', ours: true }
  },
  async remove(context, cloudId) {
    const [TransitGatewayRouteTableId, DestinationCidrBlock] = cloudId.split('|')
    await context.again(new DeleteTransitGatewayRouteCommand({ TransitGatewayRouteTableId, DestinationCidrBlock }))
  },
}

const ownGateways = async (context: Context): Promise<ReadonlyMap<string, string>> =>
  new Map((await context.reads.transitGateways()).map((of) => [of.TransitGatewayId ?? '', read.tagValue(of.Tags, tagOf.id) ?? ''] as const))
const routeIn = (table: RouteTable, destination: string) => (table.Routes ?? []).find((route) => route.DestinationCidrBlock === destination)
/** The words with which a person finds the route. */
export function foreignRoute(at: string, table: RouteTable, destination: string): Error | undefined {
  const route = routeIn(table, destination)
  if (!route) return undefined
  const target =
    route.TransitGatewayId ?? route.GatewayId ?? route.NatGatewayId ?? route.VpcPeeringConnectionId ?? route.NetworkInterfaceId ?? route.InstanceId ?? route.CoreNetworkArn
  return conflict(
    finding(
      'R023',
      [at],
      `Route table ${table.RouteTableId} of ${table.VpcId} leads ${destination} to ${target ?? 'something else'}${route.State === 'blackhole' ? ', which no longer exists' : ''}`,
      `delete that route (aws ec2 delete-route --route-table-id ${table.RouteTableId} --destination-cidr-block ${destination}), or take the prefix out of the intent`,
    ),
  )
}

const vpcRoute: Kind<'vpc-route'> = {
  limits: [minutes(5), minutes(5)],
  async find(context, { id, properties }) {
    const target = await context.idOf(properties.transitGateway.ref)
    const [tables, gateways] = await Promise.all([context.reads.vpcTables([properties.vpc]), ownGateways(context)])
    const found = withId(read.readVpcRoutes(tables, gateways), id)
    // One that leads to a gateway of ours that is gone is pointed to this one by `make`.
    return found.filter((of) => of.properties['transitGateway'] === target)
  },
  async make(context, { id, properties }) {
    const [target, tables, gateways] = await Promise.all([
      context.idOf(properties.transitGateway.ref),
      context.reads.vpcTables([properties.vpc]),
      ownGateways(context),
    ])
    const DestinationCidrBlock = properties.destination
    const usable = read.usableTables(tables)
    for (const table of usable) {
      const route = routeIn(table, DestinationCidrBlock)
      const foreign = route && !gateways.has(route.TransitGatewayId ?? '') ? foreignRoute(id, table, DestinationCidrBlock) : undefined
      if (foreign) throw foreign
    }
    await Promise.all(
      usable.map(async (table) => {
        const route = routeIn(table, DestinationCidrBlock)
        if (route?.TransitGatewayId === target && route.State !== 'blackhole') return
        const input = { RouteTableId: table.RouteTableId, DestinationCidrBlock, TransitGatewayId: target }
        // Creating never changes a route that somebody else made in between: AWS answers RouteAlreadyExists.
        await (route ? context.again(new ReplaceRouteCommand(input)) : context.once(new CreateRouteCommand(input)))
      }),
    )
    return compound.vpcRoute(properties.vpc, DestinationCidrBlock, target)
  },
  change: async (context, resource) => void (await vpcRoute.make(context, resource)),
  async left(context, cloudId) {
    const [vpc = '', destination, target = ''] = cloudId.split('|')
    const found = read.readVpcRoutes(await context.reads.vpcTables([vpc]), new Map([[target, '']])).find((of) => of.properties['destination'] === destination)
    return found && { state: 'ready', ours: (await ownGateways(context)).has(target) }
  },
  async remove(context, cloudId) {
    const [vpc = '', destination = '', target] = cloudId.split('|')
    const tables = read.usableTables(await context.reads.vpcTables([vpc])).filter((table) => routeIn(table, destination)?.TransitGatewayId === target)
    await Promise.all(
      tables.map((table) => context.again(new DeleteRouteCommand({ RouteTableId: table.RouteTableId, DestinationCidrBlock: destination })).catch(unlessGone)),
    )
  },
}
export const unlessGone = (error: unknown): void => {
  if (!isNotFound(error)) throw error
}
const unlessThere = (error: unknown): void => {
  if (!isTaken(error)) throw error
}

const securityGroup: Kind<'security-group'> = {
  limits: [minutes(2), minutes(10)],
  find: async (context, { id }) => withId(read.readGroups(await context.reads.securityGroups()), id),
  async make(context, { id, properties }) {
    const { GroupId } = await context.once(
      new CreateSecurityGroupCommand({
        GroupName: properties.name,
        Description: `${id}: what the network's allows let in and out`.replaceAll("'", ''),
        VpcId: properties.vpc,
        TagSpecifications: tags(context, 'security-group', id),
      }),
    )
    return must(GroupId)
  },
  /** Added before anything is taken away, so that a changed rule never closes what both versions allow. */
  async change(context, resource, seen, differences) {
    if (differences.some(({ key }) => key !== 'ingress' && key !== 'egress')) throw unchangeable(resource, differences)
    const missing = (want: readonly string[], there: readonly string[]) => permissionsOf(want.filter((text) => !there.includes(text)))
    const { ingress, egress } = resource.properties
    const GroupId = seen.cloudId
    const [addIn, addOut] = [missing(ingress, seen.properties.ingress), missing(egress, seen.properties.egress)]
    const [dropIn, dropOut] = [missing(seen.properties.ingress, ingress), missing(seen.properties.egress, egress)]
    const tagged = { TagSpecifications: tags(context, 'security-group-rule', resource.id) }
    await Promise.all([
      addIn.length > 0 && context.once(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: addIn, ...tagged })).catch(unlessThere),
      addOut.length > 0 && context.once(new AuthorizeSecurityGroupEgressCommand({ GroupId, IpPermissions: addOut, ...tagged })).catch(unlessThere),
    ])
    await Promise.all([
      dropIn.length > 0 && context.again(new RevokeSecurityGroupIngressCommand({ GroupId, IpPermissions: dropIn })).catch(unlessGone),
      dropOut.length > 0 && context.again(new RevokeSecurityGroupEgressCommand({ GroupId, IpPermissions: dropOut })).catch(unlessGone),
    ])
  },
  left: async (context, cloudId) => leftIn(read.readGroups(await context.reads.securityGroups()), cloudId),
  remove: async (context, cloudId) => void (await context.again(new DeleteSecurityGroupCommand({ GroupId: cloudId }))),
}

export const kinds: { readonly [T in AwsType]: Kind<T> } = {
  'transit-gateway': transitGateway,
  'transit-gateway-route-table': routeTable,
  'customer-gateway': customerGateway,
  'vpn-connection': vpnConnection,
  'vpc-attachment': vpcAttachment,
  'transit-gateway-association': association,
  'transit-gateway-route': transitGatewayRoute,
  'vpc-route': vpcRoute,
  'security-group': securityGroup,
}
