/**
 * An EC2 in memory, behind the real client: just enough of what AWS documents for one region, with states that take
 * time, describes that lag, and calls whose answer is lost. Time is the fake's own and passes while somebody sleeps.
 */
import { EC2Client } from '@aws-sdk/client-ec2'
import type { Clock } from '#providers/aws/poll.ts'

export interface Fault {
  /** The n-th call that changes something, from 0. */
  readonly at: number
  /** `lost`: done, no answer. `refused`: HTTP 500, nothing done. `killed`: done, and the worker dies. `throttled`: refused, nothing done. */
  readonly kind: 'lost' | 'refused' | 'killed' | 'throttled'
}
export class Killed extends Error {}

interface Thing {
  readonly type: string
  readonly id: string
  readonly fields: Record<string, unknown>
  readonly born: number
  readonly ready: number
  gone?: number
}
export interface FakeEc2 {
  readonly client: EC2Client
  readonly clock: Clock
  readonly calls: string[]
  /** Ids of what lives, e.g. `vpn-3`. */
  living(type: string): readonly Thing[]
  /** Puts something there that is not ours. */
  plant(type: string, fields: Record<string, unknown>): Thing
  tgwRoutes(): readonly Record<string, unknown>[]
  vpcRoutes(): readonly Record<string, unknown>[]
  faults: readonly Fault[]
  delay: number
}
const fail = (name: string, message: string, status = 400): Error =>
  Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status } })
type Input = Record<string, unknown>
const text = (value: unknown): string => String(value)

export function createFakeEc2(options: { readonly lag?: number; readonly takes?: number } = {}): FakeEc2 {
  const { lag = 0, takes = 2000 } = options
  let now = 0
  let serial = 0
  let changes = 0
  const things: Thing[] = []
  const tgwRoutes: Record<string, unknown>[] = []
  const vpcRoutes: Record<string, unknown>[] = []
  const associations: { attachment: string; table: string; ready: number }[] = []
  const calls: string[] = []

  const alive = (thing: Thing): boolean => thing.gone === undefined
  const stateOf = (thing: Thing): string =>
    thing.gone === undefined ? (now >= thing.ready ? 'available' : 'pending') : now >= thing.gone ? 'deleted' : 'deleting'
  const get = (type: string, id: unknown): Thing => {
    const thing = things.find((one) => one.type === type && one.id === id && stateOf(one) !== 'deleted')
    if (!thing) throw fail(`Invalid${type}.NotFound`, `The ${type} '${text(id)}' does not exist.`)
    return thing
  }
  const settled = (thing: Thing): Thing => {
    if (stateOf(thing) !== 'available') throw fail('IncorrectState', `${thing.id} is in the state ${stateOf(thing)}.`)
    return thing
  }
  const tagsOf = (input: Input): unknown => (input['TagSpecifications'] as { Tags: unknown }[] | undefined)?.[0]?.Tags
  const make = (type: string, prefix: string, input: Input, fields: Input, duration = takes): Thing => {
    const thing: Thing = { type, id: `${prefix}-${++serial}`, fields: { Tags: tagsOf(input), ...fields }, born: now, ready: now + duration }
    things.push(thing)
    return thing
  }
  const end = (thing: Thing, duration = takes): void => void (thing.gone ??= now + duration)
  /** Seen by describes: old enough, deleted ones for an hour, and only with the tag or value asked for. */
  const list = (type: string, input: Input): readonly Thing[] => {
    const filters = (input['Filters'] ?? []) as { Name: string; Values: string[] }[]
    return things.filter((thing) => {
      if (thing.type !== type || now < thing.born + lag) return false
      return filters.every(({ Name, Values }) => {
        if (!Name.startsWith('tag:')) return Values.includes(text(fieldFor(thing, Name)))
        const tags = (thing.fields['Tags'] ?? []) as { Key: string; Value: string }[]
        return tags.some((tag) => `tag:${tag.Key}` === Name && Values.includes(tag.Value))
      })
    })
  }
  const fieldFor = (thing: Thing, filter: string): unknown =>
    ({
      'transit-gateway-id': thing.fields['TransitGatewayId'],
      'vpc-id': thing.fields['VpcId'],
      'ip-address': thing.fields['IpAddress'],
      'vpn-connection-id': thing.id,
    })[filter]
  const shown = (thing: Thing, idField: string): Input => ({ ...thing.fields, [idField]: thing.id, State: stateOf(thing) })

  const actions: Record<string, (input: Input) => object> = {
    DescribeTransitGateways: (input) => ({ TransitGateways: list('TransitGateway', input).map((of) => shown(of, 'TransitGatewayId')) }),
    DescribeTransitGatewayRouteTables: (input) => ({
      TransitGatewayRouteTables: list('RouteTable', input).map((of) => shown(of, 'TransitGatewayRouteTableId')),
    }),
    DescribeCustomerGateways: (input) => ({ CustomerGateways: list('CustomerGateway', input).map((of) => shown(of, 'CustomerGatewayId')) }),
    DescribeVpnConnections: (input) => ({ VpnConnections: list('VpnConnection', input).map((of) => shown(of, 'VpnConnectionId')) }),
    DescribeTransitGatewayVpcAttachments: (input) => ({
      TransitGatewayVpcAttachments: list('VpcAttachment', input).map((of) => shown(of, 'TransitGatewayAttachmentId')),
    }),
    DescribeSecurityGroups: (input) => ({
      SecurityGroups: list('SecurityGroup', input)
        .filter(alive)
        .map((of) => shown(of, 'GroupId')),
    }),
    DescribeVpcs: (input) => ({ Vpcs: list('Vpc', input).map((of) => ({ ...of.fields })) }),
    DescribeSubnets: (input) => ({ Subnets: list('Subnet', input).map((of) => ({ ...of.fields, SubnetId: of.id })) }),
    DescribeRouteTables: (input) => ({
      RouteTables: list('VpcTable', input).map((of) => ({
        ...of.fields,
        RouteTableId: of.id,
        Routes: vpcRoutes.filter((route) => route['RouteTableId'] === of.id),
      })),
    }),
    DescribeTransitGatewayAttachments: (input) => ({
      TransitGatewayAttachments: [...list('VpnConnection', input), ...list('VpcAttachment', input)].map((of) => {
        const id = of.type === 'VpcAttachment' ? of.id : `att-${of.id}`
        const there = associations.find((one) => one.attachment === id)
        return {
          TransitGatewayAttachmentId: id,
          ResourceId: of.type === 'VpcAttachment' ? of.fields['VpcId'] : of.id,
          State: stateOf(of),
          ...(there ? { Association: { TransitGatewayRouteTableId: there.table, State: now >= there.ready ? 'associated' : 'associating' } } : {}),
        }
      }),
    }),
    SearchTransitGatewayRoutes: (input) => ({
      Routes: tgwRoutes
        .filter((route) => route['table'] === input['TransitGatewayRouteTableId'])
        .map((route) => ({
          DestinationCidrBlock: route['destination'],
          State: attachmentAlive(text(route['attachment'])) ? 'active' : 'blackhole',
          TransitGatewayAttachments: [{ TransitGatewayAttachmentId: route['attachment'], ResourceId: resourceOf(text(route['attachment'])) }],
        })),
    }),
    CreateTransitGateway: (input) => {
      const { AmazonSideAsn, VpnEcmpSupport, DefaultRouteTableAssociation, DefaultRouteTablePropagation } = input['Options'] as Input
      const Options = { AmazonSideAsn, VpnEcmpSupport, DefaultRouteTableAssociation, DefaultRouteTablePropagation }
      return { TransitGateway: { TransitGatewayId: make('TransitGateway', 'tgw', input, { Options }).id } }
    },
    CreateTransitGatewayRouteTable: (input) => {
      const { id } = settled(get('TransitGateway', input['TransitGatewayId']))
      return { TransitGatewayRouteTable: { TransitGatewayRouteTableId: make('RouteTable', 'rtb', input, { TransitGatewayId: id }).id } }
    },
    CreateCustomerGateway: (input) => {
      const { IpAddress, BgpAsn, Type } = input
      const same = things.find(
        (one) => one.type === 'CustomerGateway' && alive(one) && one.fields['IpAddress'] === IpAddress && one.fields['BgpAsn'] === text(BgpAsn),
      )
      const of = same ?? make('CustomerGateway', 'cgw', input, { IpAddress, BgpAsn: text(BgpAsn), Type }, 0)
      return { CustomerGateway: shown(of, 'CustomerGatewayId') }
    },
    CreateVpnConnection: (input) => {
      const [gateway, customer] = [
        settled(get('TransitGateway', input['TransitGatewayId'])),
        settled(get('CustomerGateway', input['CustomerGatewayId'])),
      ]
      const options = input['Options'] as { TunnelOptions: Input[]; StaticRoutesOnly: boolean }
      const n = serial + 1
      const tunnels = options.TunnelOptions.map((tunnel, at) => reported(tunnel, `203.0.113.${n * 2 + at}`))
      // In the other order than given: position means nothing.
      const of = make('VpnConnection', 'vpn', input, {
        TransitGatewayId: gateway.id,
        CustomerGatewayId: customer.id,
        CustomerGatewayConfiguration: `<secret>${tunnels.map((tunnel) => tunnel['PreSharedKey']).join(' ')}</secret>`,
        Options: { StaticRoutesOnly: options.StaticRoutesOnly, TunnelOptions: tunnels.toReversed() },
        VgwTelemetry: tunnels.map((tunnel, at) => ({
          OutsideIpAddress: tunnel['OutsideIpAddress'],
          Status: at === 0 ? 'UP' : 'DOWN',
          StatusMessage: '',
          LastStatusChange: new Date(0),
        })),
      })
      return { VpnConnection: shown(of, 'VpnConnectionId') }
    },
    ModifyVpnTunnelOptions: (input) => {
      const of = settled(get('VpnConnection', input['VpnConnectionId']))
      const options = of.fields['Options'] as { TunnelOptions: Input[] }
      options.TunnelOptions = options.TunnelOptions.map((tunnel) =>
        tunnel['OutsideIpAddress'] === input['VpnTunnelOutsideIpAddress']
          ? { ...tunnel, ...reported(input['TunnelOptions'] as Input, text(tunnel['OutsideIpAddress'])) }
          : tunnel,
      )
      return {}
    },
    CreateTransitGatewayVpcAttachment: (input) => {
      const { id } = settled(get('TransitGateway', input['TransitGatewayId']))
      if (
        things.some(
          (one) => one.type === 'VpcAttachment' && alive(one) && one.fields['VpcId'] === input['VpcId'] && one.fields['TransitGatewayId'] === id,
        )
      )
        throw fail('DuplicateTransitGatewayAttachment', 'It has an attachment already.')
      const of = make('VpcAttachment', 'att', input, { TransitGatewayId: id, VpcId: input['VpcId'], SubnetIds: input['SubnetIds'] })
      return { TransitGatewayVpcAttachment: { TransitGatewayAttachmentId: of.id } }
    },
    ModifyTransitGatewayVpcAttachment: (input) => {
      const of = settled(get('VpcAttachment', input['TransitGatewayAttachmentId']))
      of.fields['SubnetIds'] = [...(of.fields['SubnetIds'] as string[]), ...(input['AddSubnetIds'] as string[])]
      return {}
    },
    AssociateTransitGatewayRouteTable: (input) => {
      const [attachment, table] = [text(input['TransitGatewayAttachmentId']), settled(get('RouteTable', input['TransitGatewayRouteTableId'])).id]
      if (associations.some((one) => one.attachment === attachment)) throw fail('Resource.AlreadyAssociated', 'The attachment is associated already.')
      if (!attachmentAlive(attachment)) throw fail('InvalidTransitGatewayAttachmentID.NotFound', 'There is no such attachment.')
      associations.push({ attachment, table, ready: now + takes })
      return {}
    },
    DisassociateTransitGatewayRouteTable: (input) => {
      associations.splice(0, associations.length, ...associations.filter((one) => one.attachment !== input['TransitGatewayAttachmentId']))
      return {}
    },
    CreateTransitGatewayRoute: (input) => {
      const [table, destination] = [input['TransitGatewayRouteTableId'], input['DestinationCidrBlock']]
      settled(get('RouteTable', table))
      if (tgwRoutes.some((route) => route['table'] === table && route['destination'] === destination))
        throw fail('RouteAlreadyExists', 'There is such a route.')
      tgwRoutes.push({ table, destination, attachment: input['TransitGatewayAttachmentId'] })
      return {}
    },
    ReplaceTransitGatewayRoute: (input) => {
      const route = tgwRoutes.find(
        (one) => one['table'] === input['TransitGatewayRouteTableId'] && one['destination'] === input['DestinationCidrBlock'],
      )
      if (!route) throw fail('InvalidRoute.NotFound', 'There is no such route.')
      route['attachment'] = input['TransitGatewayAttachmentId']
      return {}
    },
    DeleteTransitGatewayRoute: (input) =>
      drop(tgwRoutes, (route) => route['table'] === input['TransitGatewayRouteTableId'] && route['destination'] === input['DestinationCidrBlock']),
    CreateRoute: (input) => {
      const { RouteTableId, DestinationCidrBlock, TransitGatewayId } = input
      if (vpcRoutes.some((route) => route['RouteTableId'] === RouteTableId && route['DestinationCidrBlock'] === DestinationCidrBlock))
        throw fail('RouteAlreadyExists', 'There is such a route.')
      vpcRoutes.push({ RouteTableId, DestinationCidrBlock, TransitGatewayId, State: 'active' })
      return {}
    },
    ReplaceRoute: (input) => {
      const route = vpcRoutes.find(
        (one) => one['RouteTableId'] === input['RouteTableId'] && one['DestinationCidrBlock'] === input['DestinationCidrBlock'],
      )
      if (!route) throw fail('InvalidRoute.NotFound', 'There is no such route.')
      route['TransitGatewayId'] = input['TransitGatewayId']
      return {}
    },
    DeleteRoute: (input) =>
      drop(vpcRoutes, (route) => route['RouteTableId'] === input['RouteTableId'] && route['DestinationCidrBlock'] === input['DestinationCidrBlock']),
    CreateSecurityGroup: (input) => {
      if (
        things.some(
          (one) =>
            one.type === 'SecurityGroup' && alive(one) && one.fields['VpcId'] === input['VpcId'] && one.fields['GroupName'] === input['GroupName'],
        )
      )
        throw fail('InvalidGroup.Duplicate', 'The security group exists already.')
      const anywhere = [{ IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }] }]
      const of = make(
        'SecurityGroup',
        'sg',
        input,
        { VpcId: input['VpcId'], GroupName: input['GroupName'], IpPermissions: [], IpPermissionsEgress: anywhere },
        0,
      )
      return { GroupId: of.id }
    },
    AuthorizeSecurityGroupIngress: (input) => permit(input, 'IpPermissions', true),
    AuthorizeSecurityGroupEgress: (input) => permit(input, 'IpPermissionsEgress', true),
    RevokeSecurityGroupIngress: (input) => permit(input, 'IpPermissions', false),
    RevokeSecurityGroupEgress: (input) => permit(input, 'IpPermissionsEgress', false),
    DeleteSecurityGroup: (input) => (end(get('SecurityGroup', input['GroupId']), 0), {}),
    DeleteVpnConnection: (input) => {
      const of = get('VpnConnection', input['VpnConnectionId'])
      end(of)
      drop(associations, (one) => one['attachment'] === `att-${of.id}`, true)
      return {}
    },
    DeleteCustomerGateway: (input) => {
      const of = get('CustomerGateway', input['CustomerGatewayId'])
      if (things.some((one) => one.type === 'VpnConnection' && stateOf(one) !== 'deleted' && one.fields['CustomerGatewayId'] === of.id))
        throw fail('IncorrectState', 'The customer gateway is in use.')
      end(of, 0)
      return {}
    },
    DeleteTransitGatewayVpcAttachment: (input) => {
      const of = get('VpcAttachment', input['TransitGatewayAttachmentId'])
      end(of)
      drop(associations, (one) => one['attachment'] === of.id, true)
      return {}
    },
    DeleteTransitGatewayRouteTable: (input) => {
      const of = get('RouteTable', input['TransitGatewayRouteTableId'])
      if (associations.some((one) => one.table === of.id)) throw fail('IncorrectState', `${of.id} has associations.`)
      end(of)
      drop(tgwRoutes, (route) => route['table'] === of.id, true)
      return {}
    },
    DeleteTransitGateway: (input) => {
      const of = get('TransitGateway', input['TransitGatewayId'])
      if (
        things.some(
          (one) => ['VpnConnection', 'VpcAttachment'].includes(one.type) && stateOf(one) !== 'deleted' && one.fields['TransitGatewayId'] === of.id,
        )
      )
        throw fail('IncorrectState', `${of.id} has non-deleted attachments.`)
      end(of)
      return {}
    },
  }
  const attachmentAlive = (id: string): boolean => things.some((one) => (one.id === id || `att-${one.id}` === id) && stateOf(one) === 'available')
  const resourceOf = (id: string): unknown => {
    const thing = things.find((one) => one.id === id || `att-${one.id}` === id)
    return thing?.type === 'VpcAttachment' ? thing.fields['VpcId'] : thing?.id
  }
  const drop = (from: Input[], which: (one: Input) => boolean, quiet = false): object => {
    const rest = from.filter((one) => !which(one))
    if (rest.length === from.length && !quiet) throw fail('InvalidRoute.NotFound', 'There is no such route.')
    from.splice(0, from.length, ...rest)
    return {}
  }
  const permit = (input: Input, field: string, add: boolean): object => {
    const of = get('SecurityGroup', input['GroupId'])
    const flat = (list: unknown): string[] =>
      (list as Input[]).flatMap((one) =>
        ((one['IpRanges'] ?? []) as Input[]).map((range) =>
          JSON.stringify({
            IpProtocol: one['IpProtocol'],
            ...(one['FromPort'] === undefined ? {} : { FromPort: one['FromPort'], ToPort: one['ToPort'] }),
            IpRanges: [{ CidrIp: range['CidrIp'] }],
          }),
        ),
      )
    const [there, asked] = [flat(of.fields[field]), flat(input['IpPermissions'])]
    if (add && asked.some((one) => there.includes(one))) throw fail('InvalidPermission.Duplicate', 'The rule exists already.')
    const next = add ? [...there, ...asked] : there.filter((one) => !asked.includes(one))
    of.fields[field] = next.map((one) => JSON.parse(one) as Input)
    return {}
  }

  const fake: FakeEc2 = {
    client: new EC2Client({ region: 'eu-west-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } }),
    clock: {
      now: () => now,
      sleep: async (milliseconds, signal) => {
        signal.throwIfAborted()
        now += milliseconds
        await new Promise((resolve) => setImmediate(resolve))
      },
    },
    calls,
    living: (type) => things.filter((thing) => thing.type === type && alive(thing)),
    plant: (type, fields) => {
      const thing: Thing = { type, id: text(fields['id'] ?? `${type.toLowerCase()}-${++serial}`), fields, born: -1e9, ready: -1e9 }
      things.push(thing)
      return thing
    },
    tgwRoutes: () => tgwRoutes,
    vpcRoutes: () => vpcRoutes,
    faults: [],
    delay: 0,
  }
  fake.client.middlewareStack.add(
    (_next, context) => async (args) => {
      const action = (context as { commandName?: string }).commandName!.replace(/Command$/, '')
      calls.push(action)
      const act = actions[action]
      if (!act) throw new Error(`the fake has no ${action}`)
      const fault = /^(Describe|Search)/.test(action) ? undefined : fake.faults.find(({ at }) => at === changes++)
      if (fault?.kind === 'refused') throw fail('InternalError', 'An internal error has occurred.', 500)
      if (fault?.kind === 'throttled') throw fail('RequestLimitExceeded', 'Request limit exceeded.', 503)
      const output = act(args.input as Input)
      if (fault?.kind === 'lost') throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
      if (fault?.kind === 'killed') throw new Killed('killed')
      return { output: { $metadata: {}, ...output } as never, response: {} }
    },
    { step: 'initialize', priority: 'low', name: 'fake' },
  )
  return fake
}

const reported = (tunnel: Input, outside: string): Input => {
  const { IKEVersions, DPDTimeoutSeconds, DPDTimeoutAction, ...same } = tunnel
  return {
    ...same,
    OutsideIpAddress: outside,
    ...(IKEVersions ? { IkeVersions: IKEVersions } : {}),
    ...(DPDTimeoutSeconds ? { DpdTimeoutSeconds: DPDTimeoutSeconds } : {}),
    ...(DPDTimeoutAction ? { DpdTimeoutAction: DPDTimeoutAction } : {}),
  }
}
