/** What may go wrong with an account, over the wire: a finding that says what to do, and nothing of others is touched. */
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateRouteCommand,
  CreateTransitGatewayCommand,
  CreateTransitGatewayVpcAttachmentCommand,
  DeleteTransitGatewayRouteCommand,
  DeleteVpnConnectionCommand,
  DescribeTransitGatewaysCommand,
  type EC2Client,
  ModifyTransitGatewayCommand,
  ModifyTransitGatewayVpcAttachmentCommand,
  ModifyVpnTunnelOptionsCommand,
  ReplaceRouteCommand,
} from '@aws-sdk/client-ec2'
import { afterEach, describe, expect, test } from 'vitest'
import { permissions } from '#providers/aws/permissions.ts'
import type { Finding, Region } from '#src/fabric/fabric.ts'
import { prefix } from '#src/net/address.ts'
import { carrying, network, sampleRegion, sampleRoutes } from '#test/contract/aws-region.ts'
import { ids, off } from '#test/unit/aws-emulator/cloud.ts'
import { type Account, type AccountOptions, keyOf, never, openAccount } from './emulated.ts'

let account: Account
const open = async (options?: AccountOptions) => (account = await openAccount(options))
afterEach(() => account.cloud.close())

const changing = () => account.calls().filter(({ action }) => !/^(Describe|Search)/.test(action))
const sweep = async () => (await account.provider.sweep(network, ['eu-west-1'], never)).filter(({ state }) => state !== 'deleting')
const verify = async () => account.provider.verify(account.wanted, await account.observe())
const says = (found: readonly Finding[]) => found.map(({ code, says: text }) => `${code} ${text}`)
const idOf = async (local: string) => (await account.observe()).find(({ id }) => id === `${account.region.id}/${local}`)!.cloudId
/** The other network's transit gateway: whatever leads there is not ours. */
const foreignGateway = (ec2: EC2Client) =>
  ec2
    .send(new DescribeTransitGatewaysCommand({ Filters: [{ Name: 'tag:causeway:network', Values: ['others'] }] }))
    .then(({ TransitGateways }) => TransitGateways![0]!.TransitGatewayId!)

/** Everything that can happen to a region in its life, by our hand and by others'. */
async function live(): Promise<void> {
  const { provider, region, wanted, observe, converge, byHand } = account
  expect(await provider.preflight(network, region, never)).toEqual([])
  await converge()
  expect(await verify()).toEqual([])
  await provider.tunnels(network, region, never)
  // Return routes move, a key is rotated, an allow changes in both directions.
  const [first] = region.connections
  await converge(provider.resources(network, region, new Map([...sampleRoutes(region)].map(([to]) => [to, carrying(region, to)[1]!.id]))))
  const rotated = first!.members[0].tunnel
  for (const resource of wanted.filter(({ type }) => type === 'vpn-connection'))
    await provider.apply(
      network,
      region,
      { kind: 'update', resource },
      account.run({ psk: async (of) => (of === rotated ? 'rotated.key' : keyOf(of)) }),
    )
  const ports = region.rules.map((rule) => ({ ...rule, ports: rule.ports.map((of) => ({ ...of, to: of.to + 1 })) }))
  await converge(provider.resources(network, { ...region, rules: ports }, sampleRoutes(region)))
  // By hand: ECMP off, a zone taken off the attachment, and a route of ours pointed to another gateway of ours.
  const [gateway, attachment] = [await idOf('transit-gateway'), await idOf(`attachment/${ids.vpc}`)]
  await byHand((ec2) => ec2.send(new ModifyTransitGatewayCommand({ TransitGatewayId: gateway, Options: { VpnEcmpSupport: 'disable' } })))
  await byHand((ec2) =>
    ec2.send(new ModifyTransitGatewayVpcAttachmentCommand({ TransitGatewayAttachmentId: attachment, RemoveSubnetIds: [ids.subnetB] })),
  )
  await converge()
  await byHand(pointToAnotherOfOurs)
  await converge()
  expect(await verify()).toEqual([])
  await converge([])
  expect(await sweep()).toEqual([])
  expect(await observe()).toEqual([])
}

/** As an earlier life of the region would have left it: a gateway of ours that nothing wants, with a route to it. */
async function pointToAnotherOfOurs(ec2: EC2Client): Promise<void> {
  const tags = (ResourceType: 'transit-gateway' | 'transit-gateway-attachment', id: string) => ({
    TagSpecifications: [
      {
        ResourceType,
        Tags: [
          { Key: 'causeway:network', Value: network },
          { Key: 'causeway:id', Value: `aws-eu-west-1/${id}` },
        ],
      },
    ],
  })
  const { TransitGateway } = await ec2.send(new CreateTransitGatewayCommand({ ...off, ...tags('transit-gateway', 'transit-gateway-before') }))
  const TransitGatewayId = TransitGateway!.TransitGatewayId!
  const attach = { TransitGatewayId, VpcId: ids.vpc, SubnetIds: [ids.subnetA] }
  await ec2.send(new CreateTransitGatewayVpcAttachmentCommand({ ...attach, ...tags('transit-gateway-attachment', 'attachment/before') }))
  await ec2.send(new ReplaceRouteCommand({ RouteTableId: ids.routes, DestinationCidrBlock: overlay(), TransitGatewayId }))
}
/** An overlay prefix as the VPC's tables have it. */
const overlay = () => String(account.wanted.find(({ type }) => type === 'vpc-route')!.properties['destination'])

const statements = permissions()['Statement'] as readonly { readonly Action: readonly string[]; readonly Condition?: object }[]
const allowed = [...new Set(statements.flatMap(({ Action }) => Action))].sort()
/** AWS asks for these itself: to tag what is made, and at the first transit gateway of an account. */
const implied = ['ec2:CreateTags', 'iam:CreateServiceLinkedRole']
const callable = allowed.filter((action) => !implied.includes(action))

describe('the policy of `region permissions`', () => {
  test('names exactly the calls that a whole life makes, as the cloud recorded them', async () => {
    await open()
    const before = account.strangers()
    await live()
    expect([...new Set(account.calls().map(({ action }) => `ec2:${action}`))].sort()).toEqual(callable)
    const tagging = account.calls().filter(({ parameters }) => Object.keys(parameters).some((name) => name.startsWith('TagSpecification')))
    expect(statements.find(({ Action }) => Action.includes('ec2:CreateTags'))?.Condition).toEqual({
      StringEquals: {
        'ec2:CreateAction': expect.toSatisfy(
          (of: readonly string[]) => [...of].sort().join() === [...new Set(tagging.map(({ action }) => action))].sort().join(),
        ),
      },
    })
    expect(account.strangers()).toEqual(before)
  })
})

describe('a region with both families', () => {
  test('lives as one of IPv4 does', async () => {
    await open({ ipv6: true })
    const before = account.strangers()
    await live()
    expect(account.strangers()).toEqual(before)
  })
  test('is made with IPv6 from the start', async () => {
    await open({ ipv6: true })
    await account.converge()
    const calls = account.calls().filter(({ action }) => action.endsWith('TransitGatewayVpcAttachment'))
    expect(calls.map(({ action, parameters }) => [action, parameters['Options.Ipv6Support']])).toEqual([
      ['CreateTransitGatewayVpcAttachment', 'enable'],
    ])
  })
  test('comes of one of IPv4, whose connections and routes are left alone', async () => {
    await open({ ipv6: true })
    const { region, provider, byHand } = account
    const four = sampleRegion(ids.vpc, [prefix('10.50.0.0/16')])
    await account.converge(provider.resources(network, four, sampleRoutes(four)))
    // The zone's other subnet, which has no IPv6.
    const TransitGatewayAttachmentId = await idOf(`attachment/${ids.vpc}`)
    const swap = { TransitGatewayAttachmentId, AddSubnetIds: [ids.subnetA2], RemoveSubnetIds: [ids.subnetA] }
    await byHand((ec2) => ec2.send(new ModifyTransitGatewayVpcAttachmentCommand(swap)))
    const made = changing().length
    await account.converge()
    expect(await verify()).toEqual([])
    const calls = changing().slice(made)
    expect(calls.filter(({ action }) => /^(Delete|Replace|ModifyVpn)/.test(action))).toEqual([])
    expect(calls.filter(({ action }) => action === 'ModifyTransitGatewayVpcAttachment').map(({ parameters }) => parameters)).toMatchObject([
      { 'AddSubnetIds.1': ids.subnetA, 'RemoveSubnetIds.1': ids.subnetA2, 'Options.Ipv6Support': 'enable' },
    ])
    expect((await provider.tunnels(network, region, never)).map(({ tunnel }) => tunnel).sort()).toEqual(
      region.connections.flatMap(({ members }) => members.map(({ tunnel }) => tunnel)).sort(),
    )
    // And goes back: what it had of IPv6 is gone.
    await account.converge(provider.resources(network, four, sampleRoutes(four)))
    expect((await account.observe()).filter(({ id }) => /:v6|fd10|2600/.test(id))).toEqual([])
  })
})

describe('what is refused says what is missing and what to do', () => {
  test('wrong credentials, before anything is made', async () => {
    await open({ accessKeyId: 'AKIAWRONG' })
    expect(await account.trouble()).toMatchObject({
      kind: 'credentials',
      finding: {
        code: 'R001',
        says: 'AWS does not accept the credentials: AWS was not able to validate the provided access credentials',
        instead: 'set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, of an account that exists',
      },
    })
    expect(changing()).toEqual([])
  })

  test.each(['DescribeVpcs', 'CreateTransitGateway', 'CreateVpnConnection', 'AuthorizeSecurityGroupIngress', 'DeleteTransitGatewayRouteTable'])(
    'a missing permission, by the action: %s',
    async (action) => {
      await open({ denied: [action] })
      const met = await account.provider
        .preflight(network, account.region, never)
        .then(() => account.converge())
        .then(() => account.converge([]))
        .then(
          () => undefined,
          (error: unknown) => account.provider.classify(error),
        )
      expect(met).toMatchObject({
        kind: 'permission',
        finding: {
          code: 'R002',
          at: [`ec2:${action}`],
          says: `The identity may not ec2:${action}`,
          instead: '`causeway region permissions` prints the policy that is needed',
        },
      })
    },
  )

  test('a quota, by its name; what was made stays, and is taken away without a trace', async () => {
    await open({ quotas: { vpnConnections: 2 } })
    expect(await account.trouble()).toMatchObject({
      kind: 'quota',
      finding: {
        code: 'R003',
        says: 'The quota "Site-to-Site VPN connections per Region" is used up (VpnConnectionLimitExceeded)',
        instead: 'have it raised in Service Quotas, or delete what is not needed; what is done so far stays and is taken up',
      },
    })
    expect((await account.observe()).filter(({ type }) => type === 'vpn-connection')).toHaveLength(1)
    await account.converge([])
    expect(await sweep()).toEqual([])
  })

  test('a VPC that does not exist, or has another CIDR than the intent says', async () => {
    await open()
    const [vpc] = account.region.networks
    const judge = async (networks: Region['networks']) => await account.provider.preflight(network, { ...account.region, networks }, never)
    expect(await judge([{ ...vpc!, id: 'vpc-0123456789abcdef0' }])).toMatchObject([
      {
        code: 'R030',
        says: 'There is no VPC vpc-0123456789abcdef0 in eu-west-1 for this account',
        instead: 'the id from the console, or another account or Region (AWS_PROFILE, `location`)',
      },
    ])
    expect(await judge([{ ...vpc!, prefixes: [prefix('10.60.0.0/16')] }])).toMatchObject([
      { code: 'R031', says: `The VPC ${ids.vpc} has 10.50.0.0/16, the intent says 10.60.0.0/16`, instead: 'prefixes: [10.50.0.0/16]' },
    ])
    expect(changing()).toEqual([])
  })
})

describe('foreign things', () => {
  test('a route that leads an overlay prefix elsewhere is a finding before, and stays if it comes in between', async () => {
    await open()
    const route = { RouteTableId: ids.routes, DestinationCidrBlock: overlay(), TransitGatewayId: await account.byHand(foreignGateway) }
    await account.byHand((ec2) => ec2.send(new CreateRouteCommand(route)))
    const before = account.strangers()
    const finding = {
      code: 'R023',
      says: `Route table ${ids.routes} of ${ids.vpc} leads ${overlay()} to ${route.TransitGatewayId}`,
      instead: `delete that route (aws ec2 delete-route --route-table-id ${ids.routes} --destination-cidr-block ${overlay()}), or take the prefix out of the intent`,
    }
    expect(await account.provider.preflight(network, account.region, never)).toMatchObject([finding])
    expect(await account.trouble()).toMatchObject({ kind: 'conflict', finding })
    await account.converge([])
    expect(await sweep()).toEqual([])
    expect(account.strangers()).toEqual(before)
  })

  test('are not in any changing call of a life that is cancelled half way and taken down', async () => {
    await open()
    const before = account.strangers()
    const cancelled = new AbortController()
    let told = 0
    const met = await account.trouble(account.wanted, {
      signal: cancelled.signal,
      heartbeat: (details) => {
        if (details.startsWith('made ') && ++told === 8) cancelled.abort()
      },
    })
    expect(met).toMatchObject({
      kind: 'retry',
      finding: { code: 'R011', says: 'The call was cancelled', instead: 'it is taken up again by the operation' },
    })
    const half = (await account.observe()).length
    expect(half).toBeGreaterThan(0)
    expect(half).toBeLessThan(account.wanted.length)
    // Taken up, there is one of each; taken down, nothing.
    await account.converge()
    expect((await account.observe()).map(({ id }) => id).sort()).toEqual(account.wanted.map(({ id }) => id).sort())
    await account.converge([])
    expect(await sweep()).toEqual([])
    expect(account.strangers()).toEqual(before)
  })
})

describe('by hand', () => {
  test('what was changed is a finding with both values, and is put right', async () => {
    await open()
    await account.converge()
    const connection = await idOf('connection/frankfurt.isp-a')
    const group = await idOf(`security-group/${ids.vpc}`)
    // In no order.
    const tunnel = (await account.provider.tunnels(network, account.region, never)).find((of) => of.tunnel.startsWith('frankfurt.isp-a'))
    const everybody = [{ IpProtocol: 'tcp', FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: '0.0.0.0/0' }] }]
    await account.byHand(async (ec2) => {
      await ec2.send(
        new ModifyVpnTunnelOptionsCommand({
          VpnConnectionId: connection,
          VpnTunnelOutsideIpAddress: tunnel!.outside,
          TunnelOptions: { DPDTimeoutSeconds: 60 },
        }),
      )
      await ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId: group, IpPermissions: everybody }))
    })
    const found = await verify()
    expect(says(found).sort()).toEqual([
      `R041 ${tunnel!.tunnel} dpdTimeout of aws-eu-west-1/connection/frankfurt.isp-a (${connection}) is 60 in AWS, it must be 30`,
      `R041 ingress of aws-eu-west-1/security-group/${ids.vpc} (${group}) is icmp/3.4 0.0.0.0/0, tcp/22 0.0.0.0/0, tcp/8443 10.1.10.0/23 in AWS, it must be icmp/3.4 0.0.0.0/0, tcp/8443 10.1.10.0/23`,
    ])
    expect(found.map(({ instead }) => instead)).toEqual(found.map(() => 'was it changed by hand? `causeway apply` puts it right'))
    await account.converge()
    expect(await verify()).toEqual([])
  })

  test('what was deleted is a finding, and is made again', async () => {
    await open()
    await account.converge()
    const connection = await idOf('connection/dublin.isp-a')
    const [route] = (await account.observe()).filter(({ type }) => type === 'transit-gateway-route')
    const [table, destination] = route!.cloudId.split('|')
    await account.byHand(async (ec2) => {
      await ec2.send(new DeleteTransitGatewayRouteCommand({ TransitGatewayRouteTableId: table, DestinationCidrBlock: destination }))
      await ec2.send(new DeleteVpnConnectionCommand({ VpnConnectionId: connection }))
    })
    const found = await verify()
    expect(says(found)).toEqual(
      expect.arrayContaining([
        `R040 The transit gateway route ${route!.id} does not exist in AWS`,
        'R040 The vpn connection aws-eu-west-1/connection/dublin.isp-a does not exist in AWS',
      ]),
    )
    expect(found[0]?.instead).toBe('was it deleted by hand? `causeway apply` puts it right')
    await account.converge()
    expect(await verify()).toEqual([])
  })
})
