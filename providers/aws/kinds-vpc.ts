/** What stands in VPCs of others: routes in their tables, and a security group of ours. */
import {
  AuthorizeSecurityGroupEgressCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateRouteCommand,
  type CreateRouteCommandInput,
  CreateSecurityGroupCommand,
  DeleteRouteCommand,
  DeleteSecurityGroupCommand,
  ReplaceRouteCommand,
  RevokeSecurityGroupEgressCommand,
  RevokeSecurityGroupIngressCommand,
  type RouteTable,
} from '@aws-sdk/client-ec2'
import { conflict, finding, isTaken } from './errors.ts'
import { permissionsOf } from './group.ts'
import { type Context, type Kind, minutes, tags, withId, must, leftIn, unchangeable, unlessGone } from './kind.ts'
import * as read from './observe.ts'
import { compound, tagOf } from './scheme.ts'

const ownGateways = async (context: Context): Promise<ReadonlyMap<string, string>> =>
  new Map((await context.reads.transitGateways()).map((of) => [of.TransitGatewayId ?? '', read.tagValue(of.Tags, tagOf.id) ?? ''] as const))
const routeIn = (table: RouteTable, destination: string) => (table.Routes ?? []).find((route) => read.destinationOf(route) === destination)
/** EC2 has a field for each family. */
const toDestination = (destination: string): Pick<CreateRouteCommandInput, 'DestinationCidrBlock' | 'DestinationIpv6CidrBlock'> =>
  isSix(destination) ? { DestinationIpv6CidrBlock: destination } : { DestinationCidrBlock: destination }
const isSix = (destination: string): boolean => destination.includes(':')
/** The words with which a person finds the route. */
export function foreignRoute(at: string, table: RouteTable, destination: string): Error | undefined {
  const route = routeIn(table, destination)
  if (!route) return undefined
  const target =
    route.TransitGatewayId ??
    route.GatewayId ??
    route.EgressOnlyInternetGatewayId ??
    route.NatGatewayId ??
    route.VpcPeeringConnectionId ??
    route.NetworkInterfaceId ??
    route.InstanceId ??
    route.CoreNetworkArn
  return conflict(
    finding(
      'R023',
      [at],
      `Route table ${table.RouteTableId} of ${table.VpcId} leads ${destination} to ${target ?? 'something else'}${route.State === 'blackhole' ? ', which no longer exists' : ''}`,
      `delete that route (aws ec2 delete-route --route-table-id ${table.RouteTableId} --destination-${isSix(destination) ? 'ipv6-' : ''}cidr-block ${destination}), or take the prefix out of the intent`,
    ),
  )
}

export const vpcRoute: Kind<'vpc-route'> = {
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
    const { destination } = properties
    const usable = read.usableTables(tables)
    for (const table of usable) {
      const route = routeIn(table, destination)
      const foreign = route && !gateways.has(route.TransitGatewayId ?? '') ? foreignRoute(id, table, destination) : undefined
      if (foreign) throw foreign
    }
    await Promise.all(
      usable.map(async (table) => {
        const route = routeIn(table, destination)
        if (route?.TransitGatewayId === target && route.State !== 'blackhole') return
        const input = { RouteTableId: table.RouteTableId, ...toDestination(destination), TransitGatewayId: target }
        // Creating never changes a route that somebody else made in between: AWS answers RouteAlreadyExists.
        await (route ? context.again(new ReplaceRouteCommand(input)) : context.once(new CreateRouteCommand(input)))
      }),
    )
    return compound.vpcRoute(properties.vpc, destination, target)
  },
  change: async (context, resource) => void (await vpcRoute.make(context, resource)),
  async left(context, cloudId) {
    const [vpc = '', destination, target = ''] = cloudId.split('|')
    const found = read
      .readVpcRoutes(await context.reads.vpcTables([vpc]), new Map([[target, '']]))
      .find((of) => of.properties['destination'] === destination)
    return found && { state: 'ready', ours: (await ownGateways(context)).has(target) }
  },
  async remove(context, cloudId) {
    const [vpc = '', destination = '', target] = cloudId.split('|')
    const tables = read.usableTables(await context.reads.vpcTables([vpc])).filter((table) => routeIn(table, destination)?.TransitGatewayId === target)
    await Promise.all(
      tables.map((table) =>
        context.again(new DeleteRouteCommand({ RouteTableId: table.RouteTableId, ...toDestination(destination) })).catch(unlessGone),
      ),
    )
  },
}
const unlessThere = (error: unknown): void => {
  if (!isTaken(error)) throw error
}

export const securityGroup: Kind<'security-group'> = {
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
