/** The real SDK over a real socket: what it sends is understood, and what is answered deserializes to what EC2 gives. */
import {
  AssociateTransitGatewayRouteTableCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateCustomerGatewayCommand,
  CreateRouteCommand,
  CreateSecurityGroupCommand,
  CreateTagsCommand,
  CreateTransitGatewayCommand,
  CreateTransitGatewayRouteCommand,
  CreateTransitGatewayRouteTableCommand,
  CreateTransitGatewayVpcAttachmentCommand,
  CreateVpnConnectionCommand,
  DeleteCustomerGatewayCommand,
  DeleteRouteCommand,
  DeleteSecurityGroupCommand,
  DeleteTagsCommand,
  DeleteTransitGatewayCommand,
  DeleteTransitGatewayRouteCommand,
  DeleteTransitGatewayRouteTableCommand,
  DeleteTransitGatewayVpcAttachmentCommand,
  DeleteVpnConnectionCommand,
  DescribeAvailabilityZonesCommand,
  DescribeCustomerGatewaysCommand,
  DescribeRegionsCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupRulesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeTagsCommand,
  DescribeTransitGatewayAttachmentsCommand,
  DescribeTransitGatewayRouteTablesCommand,
  DescribeTransitGatewaysCommand,
  DescribeTransitGatewayVpcAttachmentsCommand,
  DescribeVpcsCommand,
  DescribeVpnConnectionsCommand,
  DisableTransitGatewayRouteTablePropagationCommand,
  DisassociateTransitGatewayRouteTableCommand,
  EnableTransitGatewayRouteTablePropagationCommand,
  GetActiveVpnTunnelStatusCommand,
  GetTransitGatewayRouteTableAssociationsCommand,
  GetTransitGatewayRouteTablePropagationsCommand,
  GetVpnTunnelReplacementStatusCommand,
  ModifyTransitGatewayCommand,
  ModifyVpnTunnelOptionsCommand,
  ReplaceRouteCommand,
  ReplaceTransitGatewayRouteCommand,
  RevokeSecurityGroupIngressCommand,
  SearchTransitGatewayRoutesCommand,
  type Tag,
} from '@aws-sdk/client-ec2'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Cloud, ids, off, startCloud, strong } from './cloud.ts'

let cloud: Cloud
beforeAll(async () => {
  cloud = await startCloud()
})
afterAll(() => cloud.close())
const tags: Tag[] = [{ Key: 'causeway:id', Value: 'aws-eu-west-1/x' }]

describe('a region that is built and removed with the SDK', () => {
  const made: Record<string, string> = {}
  const { send } = { send: ((command) => cloud.client.send(command)) as Cloud['client']['send'] }

  it('shows what was there before: VPCs, subnets, route tables, zones and regions', async () => {
    expect((await send(new DescribeVpcsCommand({ VpcIds: [ids.vpc] }))).Vpcs).toMatchObject([
      { VpcId: ids.vpc, CidrBlock: '10.50.0.0/16', State: 'available', IsDefault: false, Tags: [{ Key: 'Name', Value: 'models' }] },
    ])
    const { Subnets } = await send(
      new DescribeSubnetsCommand({
        Filters: [
          { Name: 'vpc-id', Values: [ids.vpc] },
          { Name: 'availability-zone', Values: ['*1b'] },
        ],
      }),
    )
    expect(Subnets).toMatchObject([{ SubnetId: ids.subnetB, CidrBlock: '10.50.2.0/24', AvailableIpAddressCount: 251 }])
    expect((await send(new DescribeRouteTablesCommand({ Filters: [{ Name: 'association.main', Values: ['true'] }] }))).RouteTables).toMatchObject([
      {
        RouteTableId: ids.routes,
        Associations: [{ Main: true }],
        Routes: [{ DestinationCidrBlock: '10.50.0.0/16', GatewayId: 'local', State: 'active' }],
      },
    ])
    expect((await send(new DescribeAvailabilityZonesCommand({}))).AvailabilityZones?.map((zone) => zone.ZoneName)).toEqual([
      'eu-west-1a',
      'eu-west-1b',
      'eu-west-1c',
    ])
    expect((await send(new DescribeRegionsCommand({}))).Regions?.map((region) => region.RegionName)).toEqual(['eu-west-1', 'eu-central-1'])
  })

  it('makes a transit gateway with a route table and attaches the VPC', async () => {
    const gateway = await send(
      new CreateTransitGatewayCommand({
        Options: { ...off.Options, AmazonSideAsn: 64_600, VpnEcmpSupport: 'enable' },
        TagSpecifications: [{ ResourceType: 'transit-gateway', Tags: tags }],
      }),
    )
    expect(gateway.TransitGateway).toMatchObject({
      State: 'pending',
      Options: { AmazonSideAsn: 64_600, DefaultRouteTableAssociation: 'disable' },
      Tags: tags,
    })
    expect(gateway.TransitGateway?.CreationTime).toBeInstanceOf(Date)
    made['tgw'] = gateway.TransitGateway!.TransitGatewayId!
    await send(new ModifyTransitGatewayCommand({ TransitGatewayId: made['tgw'], Description: 'models' }))
    expect(
      (await send(new DescribeTransitGatewaysCommand({ Filters: [{ Name: 'tag:causeway:id', Values: ['aws-eu-west-1/*'] }] }))).TransitGateways,
    ).toMatchObject([{ TransitGatewayId: made['tgw'], Description: 'models' }])
    made['table'] = (await send(new CreateTransitGatewayRouteTableCommand({ TransitGatewayId: made['tgw'] }))).TransitGatewayRouteTable!
      .TransitGatewayRouteTableId!
    expect(
      (await send(new DescribeTransitGatewayRouteTablesCommand({ TransitGatewayRouteTableIds: [made['table']] }))).TransitGatewayRouteTables,
    ).toMatchObject([{ State: 'available', TransitGatewayId: made['tgw'], DefaultAssociationRouteTable: false }])
    const attachment = await send(
      new CreateTransitGatewayVpcAttachmentCommand({ TransitGatewayId: made['tgw'], VpcId: ids.vpc, SubnetIds: [ids.subnetA, ids.subnetB] }),
    )
    expect(attachment.TransitGatewayVpcAttachment).toMatchObject({ VpcId: ids.vpc, SubnetIds: [ids.subnetA, ids.subnetB] })
    made['vpc'] = attachment.TransitGatewayVpcAttachment!.TransitGatewayAttachmentId!
    expect(
      (await send(new DescribeTransitGatewayVpcAttachmentsCommand({ Filters: [{ Name: 'vpc-id', Values: [ids.vpc] }] })))
        .TransitGatewayVpcAttachments,
    ).toMatchObject([{ State: 'available' }])
  })

  it('makes a customer gateway and a VPN connection, whose answer carries both tunnels', async () => {
    const customer = await send(
      new CreateCustomerGatewayCommand({
        Type: 'ipsec.1',
        IpAddress: '192.0.2.10',
        BgpAsn: 64_512,
        DeviceName: 'frankfurt.isp-a',
        TagSpecifications: [{ ResourceType: 'customer-gateway', Tags: tags }],
      }),
    )
    expect(customer.CustomerGateway).toMatchObject({
      IpAddress: '192.0.2.10',
      BgpAsn: '64512',
      Type: 'ipsec.1',
      DeviceName: 'frankfurt.isp-a',
      Tags: tags,
    })
    made['cgw'] = customer.CustomerGateway!.CustomerGatewayId!
    expect((await send(new DescribeCustomerGatewaysCommand({ CustomerGatewayIds: [made['cgw']] }))).CustomerGateways).toMatchObject([
      { State: 'available' },
    ])
    const { VpnConnection: vpn } = await send(
      new CreateVpnConnectionCommand({
        CustomerGatewayId: made['cgw'],
        TransitGatewayId: made['tgw']!,
        Type: 'ipsec.1',
        Options: {
          StaticRoutesOnly: true,
          TunnelOptions: [strong('169.254.10.0/30', 'a.key.of.tunnel_1'), strong('169.254.10.4/30', 'a.key.of.tunnel_2')],
        },
        TagSpecifications: [{ ResourceType: 'vpn-connection', Tags: tags }],
      }),
    )
    made['vpn'] = vpn!.VpnConnectionId!
    expect(vpn?.Options?.TunnelOptions).toMatchObject([
      {
        OutsideIpAddress: '203.0.113.1',
        TunnelInsideCidr: '169.254.10.0/30',
        PreSharedKey: 'a.key.of.tunnel_1',
        Phase1DHGroupNumbers: [{ Value: 20 }],
        DpdTimeoutSeconds: 30,
        RekeyMarginTimeSeconds: 270,
      },
      {
        OutsideIpAddress: '203.0.113.2',
        TunnelInsideCidr: '169.254.10.4/30',
        PreSharedKey: 'a.key.of.tunnel_2',
        IkeVersions: [{ Value: 'ikev2' }],
        StartupAction: 'add',
      },
    ])
    // Not in the order of the options: callers key by outside address.
    expect(vpn?.VgwTelemetry?.map((one) => [one.OutsideIpAddress, one.Status])).toEqual([
      ['203.0.113.2', 'DOWN'],
      ['203.0.113.1', 'DOWN'],
    ])
    expect(vpn?.CustomerGatewayConfiguration).toContain('<pre_shared_key>a.key.of.tunnel_2</pre_shared_key>')
    expect(vpn?.CustomerGatewayConfiguration).toContain(`<vpn_connection id="${made['vpn']}">`)
    const { TransitGatewayAttachments: attached } = await send(
      new DescribeTransitGatewayAttachmentsCommand({
        Filters: [
          { Name: 'resource-type', Values: ['vpn'] },
          { Name: 'resource-id', Values: [made['vpn']] },
        ],
      }),
    )
    expect(attached).toMatchObject([{ ResourceType: 'vpn', ResourceId: made['vpn'], State: 'available' }])
    made['attachment'] = attached![0]!.TransitGatewayAttachmentId!
  })

  it('associates, propagates and routes', async () => {
    const [TransitGatewayRouteTableId, vpc, vpn] = [made['table']!, made['vpc']!, made['attachment']!]
    for (const TransitGatewayAttachmentId of [vpc, vpn])
      expect(
        (await send(new AssociateTransitGatewayRouteTableCommand({ TransitGatewayRouteTableId, TransitGatewayAttachmentId }))).Association,
      ).toMatchObject({ TransitGatewayAttachmentId, State: 'associating' })
    expect(
      (await send(new EnableTransitGatewayRouteTablePropagationCommand({ TransitGatewayRouteTableId, TransitGatewayAttachmentId: vpc }))).Propagation,
    ).toMatchObject({ State: 'enabling', ResourceId: ids.vpc })
    const { Associations } = await send(
      new GetTransitGatewayRouteTableAssociationsCommand({ TransitGatewayRouteTableId, Filters: [{ Name: 'resource-type', Values: ['vpn'] }] }),
    )
    expect(Associations).toEqual([{ TransitGatewayAttachmentId: vpn, ResourceId: made['vpn'], ResourceType: 'vpn', State: 'associated' }])
    expect(
      (await send(new GetTransitGatewayRouteTablePropagationsCommand({ TransitGatewayRouteTableId }))).TransitGatewayRouteTablePropagations,
    ).toHaveLength(1)
    const route = { TransitGatewayRouteTableId, DestinationCidrBlock: '10.1.0.0/16' }
    expect((await send(new CreateTransitGatewayRouteCommand({ ...route, TransitGatewayAttachmentId: vpn }))).Route).toMatchObject({
      Type: 'static',
      State: 'active',
      TransitGatewayAttachments: [{ ResourceId: made['vpn'] }],
    })
    expect((await send(new ReplaceTransitGatewayRouteCommand({ ...route, Blackhole: true }))).Route).toMatchObject({ State: 'blackhole' })
    await send(new ReplaceTransitGatewayRouteCommand({ ...route, TransitGatewayAttachmentId: vpn }))
    const search = async (Name: string, value: string) =>
      (await send(new SearchTransitGatewayRoutesCommand({ TransitGatewayRouteTableId, Filters: [{ Name, Values: [value] }] }))).Routes?.map(
        (one) => `${one.DestinationCidrBlock} ${one.Type}`,
      )
    expect(await search('state', 'active')).toEqual(['10.1.0.0/16 static', '10.50.0.0/16 propagated'])
    expect(await search('route-search.longest-prefix-match', '10.50.1.10')).toEqual(['10.50.0.0/16 propagated'])
    expect(await search('route-search.subnet-of-match', '10.0.0.0/8')).toHaveLength(2)
    expect(await search('route-search.supernet-of-match', '10.1.2.0/24')).toEqual(['10.1.0.0/16 static'])
    expect(await search('route-search.exact-match', '10.1.0.0/24')).toEqual([])
    await send(new CreateRouteCommand({ RouteTableId: ids.routes, DestinationCidrBlock: '10.1.0.0/16', TransitGatewayId: made['tgw']! }))
    await send(new ReplaceRouteCommand({ RouteTableId: ids.routes, DestinationCidrBlock: '10.1.0.0/16', TransitGatewayId: made['tgw']! }))
    expect((await send(new DescribeRouteTablesCommand({ RouteTableIds: [ids.routes] }))).RouteTables?.[0]?.Routes?.[1]).toMatchObject({
      DestinationCidrBlock: '10.1.0.0/16',
      TransitGatewayId: made['tgw'],
      State: 'active',
      Origin: 'CreateRoute',
    })
  })

  it('changes one tunnel and leaves the other alone', async () => {
    const { VpnConnection: vpn } = await send(
      new ModifyVpnTunnelOptionsCommand({
        VpnConnectionId: made['vpn']!,
        VpnTunnelOutsideIpAddress: '203.0.113.2',
        TunnelOptions: { PreSharedKey: 'another.key_2' },
      }),
    )
    expect(vpn?.Options?.TunnelOptions?.map((one) => [one.PreSharedKey, one.TunnelInsideCidr, one.Phase1DHGroupNumbers])).toEqual([
      ['a.key.of.tunnel_1', '169.254.10.0/30', [{ Value: 20 }]],
      ['another.key_2', '169.254.10.4/30', [{ Value: 20 }]],
    ])
    const which = { VpnConnectionId: made['vpn']!, VpnTunnelOutsideIpAddress: '203.0.113.2' }
    expect((await send(new GetVpnTunnelReplacementStatusCommand(which))).MaintenanceDetails).toMatchObject({ PendingMaintenance: 'false' })
    expect((await send(new GetActiveVpnTunnelStatusCommand(which))).ActiveVpnTunnelStatus).toEqual({ ProvisioningStatus: 'available' })
  })

  it('makes a security group whose rules are found by their ids and tags', async () => {
    const { GroupId } = await send(
      new CreateSecurityGroupCommand({
        GroupName: 'causeway',
        Description: 'what branches may open',
        VpcId: ids.vpc,
        TagSpecifications: [{ ResourceType: 'security-group', Tags: tags }],
      }),
    )
    const { SecurityGroupRules: added } = await send(
      new AuthorizeSecurityGroupIngressCommand({
        GroupId: GroupId!,
        IpPermissions: [{ IpProtocol: 'tcp', FromPort: 8443, ToPort: 8443, IpRanges: [{ CidrIp: '10.1.0.0/16', Description: 'model-api' }] }],
        TagSpecifications: [{ ResourceType: 'security-group-rule', Tags: tags }],
      }),
    )
    expect(added).toMatchObject([
      { GroupId, IsEgress: false, IpProtocol: 'tcp', FromPort: 8443, ToPort: 8443, CidrIpv4: '10.1.0.0/16', Description: 'model-api', Tags: tags },
    ])
    expect((await send(new DescribeSecurityGroupsCommand({ GroupIds: [GroupId!] }))).SecurityGroups).toMatchObject([
      {
        GroupName: 'causeway',
        VpcId: ids.vpc,
        IpPermissions: [{ IpProtocol: 'tcp', IpRanges: [{ CidrIp: '10.1.0.0/16' }] }],
        IpPermissionsEgress: [{ IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }] }],
      },
    ])
    const { SecurityGroupRules: rules } = await send(new DescribeSecurityGroupRulesCommand({ Filters: [{ Name: 'group-id', Values: [GroupId!] }] }))
    expect(rules?.map((rule) => rule.IsEgress).sort()).toEqual([false, true])
    await send(new RevokeSecurityGroupIngressCommand({ GroupId: GroupId!, SecurityGroupRuleIds: [added![0]!.SecurityGroupRuleId!] }))
    expect((await send(new DescribeSecurityGroupsCommand({ GroupIds: [GroupId!] }))).SecurityGroups?.[0]?.IpPermissions).toEqual([])
    await send(new DeleteSecurityGroupCommand({ GroupId: GroupId! }))
    await expect(send(new DescribeSecurityGroupsCommand({ GroupIds: [GroupId!] }))).rejects.toMatchObject({ name: 'InvalidGroup.NotFound' })
  })

  it('tags and lists by tag', async () => {
    await send(new CreateTagsCommand({ Resources: [made['table']!, made['cgw']!], Tags: [{ Key: 'causeway:op', Value: 'op_7' }] }))
    const listed = async () =>
      (await send(new DescribeTagsCommand({ Filters: [{ Name: 'key', Values: ['causeway:op'] }] }))).Tags?.map((tag) => tag.ResourceType).sort()
    expect(await listed()).toEqual(['customer-gateway', 'transit-gateway-route-table'])
    await send(new DeleteTagsCommand({ Resources: [made['cgw']!], Tags: [{ Key: 'causeway:op' }] }))
    expect(await listed()).toEqual(['transit-gateway-route-table'])
  })

  it('removes everything in reverse, and only so', async () => {
    const refused = (name: string, text: string) => ({ name, message: expect.stringContaining(text) as string })
    await expect(send(new DeleteTransitGatewayCommand({ TransitGatewayId: made['tgw']! }))).rejects.toMatchObject(
      refused('IncorrectState', 'non-deleted VPN Attachments'),
    )
    await expect(send(new DeleteCustomerGatewayCommand({ CustomerGatewayId: made['cgw']! }))).rejects.toMatchObject(
      refused('IncorrectState', 'in use'),
    )
    await expect(send(new DeleteTransitGatewayRouteTableCommand({ TransitGatewayRouteTableId: made['table']! }))).rejects.toMatchObject(
      refused('IncorrectState', 'associated'),
    )
    await send(new DeleteRouteCommand({ RouteTableId: ids.routes, DestinationCidrBlock: '10.1.0.0/16' }))
    const TransitGatewayRouteTableId = made['table']!
    await send(new DeleteTransitGatewayRouteCommand({ TransitGatewayRouteTableId, DestinationCidrBlock: '10.1.0.0/16' }))
    await send(new DisableTransitGatewayRouteTablePropagationCommand({ TransitGatewayRouteTableId, TransitGatewayAttachmentId: made['vpc']! }))
    for (const name of ['vpc', 'attachment'])
      await send(new DisassociateTransitGatewayRouteTableCommand({ TransitGatewayRouteTableId, TransitGatewayAttachmentId: made[name]! }))
    await send(new DeleteVpnConnectionCommand({ VpnConnectionId: made['vpn']! }))
    const { VpnConnections } = await send(new DescribeVpnConnectionsCommand({ VpnConnectionIds: [made['vpn']!] }))
    expect(VpnConnections).toMatchObject([{ State: 'deleted' }])
    expect(JSON.stringify(VpnConnections)).not.toContain('a.key.of.tunnel_1')
    await send(new DeleteCustomerGatewayCommand({ CustomerGatewayId: made['cgw']! }))
    await send(new DeleteTransitGatewayVpcAttachmentCommand({ TransitGatewayAttachmentId: made['vpc']! }))
    await send(new DeleteTransitGatewayRouteTableCommand({ TransitGatewayRouteTableId }))
    await send(new DeleteTransitGatewayCommand({ TransitGatewayId: made['tgw']! }))
    expect(
      (await send(new DescribeTransitGatewaysCommand({ Filters: [{ Name: 'state', Values: ['available', 'pending', 'deleting'] }] })))
        .TransitGateways,
    ).toEqual([])
    expect((await send(new DescribeTagsCommand({}))).Tags).toEqual([{ Key: 'Name', ResourceId: ids.vpc, ResourceType: 'vpc', Value: 'models' }])
  })
})
