/** A provider before an emulated account, with the real SDK between them; beside ours stand things of others. */
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateCustomerGatewayCommand,
  CreateRouteCommand,
  CreateSecurityGroupCommand,
  CreateTransitGatewayCommand,
  CreateTransitGatewayRouteTableCommand,
  CreateTransitGatewayVpcAttachmentCommand,
  CreateVpnConnectionCommand,
  type EC2Client,
} from '@aws-sdk/client-ec2'
import { createClient } from '#providers/aws/client.ts'
import type { JournalEntry } from '#providers/aws/emulator/emulator.ts'
import { type AwsProvider, createAwsProvider } from '#providers/aws/index.ts'
import type { Observed, Resource, Run, Trouble } from '#providers/cloud.ts'
import type { Region } from '#src/fabric/fabric.ts'
import { prefix } from '#src/net/address.ts'
import { converge, network, sampleRegion, sampleRoutes } from '#test/contract/aws-region.ts'
import { type Cloud, ids, off, seed, startCloud } from '#test/unit/aws-emulator/cloud.ts'

export const never = new AbortController().signal
export const keyOf = (tunnel: string): string => `k${tunnel.replaceAll(/[^a-z0-9]/g, '.')}`

export interface Account {
  readonly cloud: Cloud
  readonly provider: AwsProvider
  readonly region: Region
  readonly wanted: readonly Resource[]
  observe(): Promise<readonly Observed[]>
  run(more?: Partial<Run>): Run
  /** Takes steps until none is left; rejects as the first step that can't be taken does. */
  converge(wanted?: readonly Resource[], more?: Partial<Run>): Promise<void>
  /** What `converge` meets, as the workflow would judge it; undefined if nothing. */
  trouble(wanted?: readonly Resource[], more?: Partial<Run>): Promise<Trouble | undefined>
  /** As somebody in the console does it: not among `calls`. */
  byHand<T>(act: (client: EC2Client) => Promise<T>): Promise<T>
  /** The provider's own, as the emulator recorded them. */
  calls(): readonly JournalEntry[]
  /** Everything that is not ours, as it is now. */
  strangers(): unknown
}
export interface AccountOptions {
  readonly denied?: readonly string[]
  readonly quotas?: Readonly<Record<string, number>>
  readonly accessKeyId?: string
  /** The VPC has IPv6, and the region states it. */
  readonly ipv6?: boolean
}

/** The VPC has a foreign transit gateway, a route to it, a group, a customer gateway and a connection. */
export async function openAccount({ denied = [], quotas = {}, accessKeyId = 'AKIAEXAMPLE', ipv6 = false }: AccountOptions = {}): Promise<Account> {
  const [four, ...others] = seed.regions
  const first = ipv6 ? { ...four, vpcs: four!.vpcs!.map(withIpv6) } : four
  const cloud = await startCloud({ seed: { ...seed, denied: [...denied], regions: [{ ...first, quotas }, ...others] } })
  const foreign = new Set<JournalEntry>()
  const byHand: Account['byHand'] = async (act) => {
    const before = cloud.emulator.journal().length
    const answer = await act(cloud.client)
    for (const entry of cloud.emulator.journal().slice(before)) foreign.add(entry)
    return answer
  }
  if (denied.length === 0) await byHand(plant)
  const planted = new Set(rowsOf(cloud).map(([id]) => id))
  const region = sampleRegion(ids.vpc, ['10.50.0.0/16', ...(ipv6 ? ['2600:1f18:1234:5600::/56'] : [])].map(prefix))
  const clients = new Map<string, EC2Client>()
  const provider = createAwsProvider({
    client: (location, retries) => {
      const key = `${location} ${retries}`
      const client =
        clients.get(key) ?? createClient(location, retries, { endpoint: cloud.endpoint, credentials: { accessKeyId, secretAccessKey: 'unused' } })
      clients.set(key, client)
      return client
    },
    timing: { poll: 2, gather: 0, settle: 20, patience: 1 / 30 },
  })
  const wanted = provider.resources(network, region, sampleRoutes(region))
  const run: Account['run'] = (more = {}) => ({
    operation: 'op-1',
    signal: never,
    heartbeat: () => {},
    resume: undefined,
    psk: async (tunnel) => keyOf(tunnel),
    cloudId: () => undefined,
    ...more,
  })
  const observe = () => provider.observe(network, region, never)
  const account: Account = {
    cloud: {
      ...cloud,
      close: async () => {
        for (const client of clients.values()) client.destroy()
        await cloud.close()
      },
    },
    provider,
    region,
    wanted,
    observe,
    run,
    converge: async (goal = wanted, more = {}) => void (await converge(provider, network, region, goal, run(more))),
    trouble: async (goal, more) =>
      account.converge(goal, more).then(
        () => undefined,
        (error: unknown) => provider.classify(error),
      ),
    byHand,
    calls: () => cloud.emulator.journal().filter((entry) => !foreign.has(entry)),
    strangers: () => {
      const ours = new Set(rowsOf(cloud).flatMap(([id, row]) => (row.tags?.['causeway:network'] === network ? [id] : [])))
      const left = rowsOf(cloud)
        .filter(([id]) => planted.has(id))
        // Routes of ours are in tables of others.
        .map(([, row]) => ({
          ...row,
          ...(row.routes && { routes: Object.entries(row.routes).filter(([, to]) => typeof to !== 'string' || !ours.has(to)) }),
        }))
      return JSON.parse(JSON.stringify(left))
    },
  }
  return account
}

/** One subnet of each zone has it. */
const withIpv6 = (vpc: NonNullable<(typeof seed.regions)[number]['vpcs']>[number]) => ({
  ...vpc,
  ipv6: '2600:1f18:1234:5600::/56',
  subnets: vpc.subnets.map((one, n) => (one.id === ids.subnetA2 ? one : { ...one, ipv6: `2600:1f18:1234:560${n}::/64` })),
})

interface Row {
  readonly tags?: Readonly<Record<string, string>>
  readonly routes?: Readonly<Record<string, unknown>>
}
const rowsOf = (cloud: Cloud): readonly (readonly [string, Row])[] => {
  const { transitGateways, attachments, transitRouteTables, customerGateways, vpnConnections, vpcs, subnets, routeTables, securityGroups } =
    cloud.emulator.world('eu-west-1')!
  return [transitGateways, attachments, transitRouteTables, customerGateways, vpnConnections, vpcs, subnets, routeTables, securityGroups].flatMap(
    (rows) => Object.entries(rows as Readonly<Record<string, Row>>),
  )
}

/** Another network's region of the same name, and what a person made: all that could be taken for ours. */
async function plant(ec2: EC2Client): Promise<void> {
  const tags = (ResourceType: 'transit-gateway' | 'transit-gateway-attachment' | 'vpn-connection', id: string) => ({
    TagSpecifications: [
      {
        ResourceType,
        Tags: [
          { Key: 'causeway:network', Value: 'others' },
          { Key: 'causeway:id', Value: `aws-eu-west-1/${id}` },
        ],
      },
    ],
  })
  const { TransitGateway } = await ec2.send(new CreateTransitGatewayCommand({ ...off, ...tags('transit-gateway', 'transit-gateway') }))
  const TransitGatewayId = TransitGateway!.TransitGatewayId!
  await ec2.send(new CreateTransitGatewayRouteTableCommand({ TransitGatewayId }))
  const attach = { TransitGatewayId, VpcId: ids.vpc, SubnetIds: [ids.subnetA] }
  await ec2.send(new CreateTransitGatewayVpcAttachmentCommand({ ...attach, ...tags('transit-gateway-attachment', `attachment/${ids.vpc}`) }))
  const { CustomerGateway } = await ec2.send(new CreateCustomerGatewayCommand({ Type: 'ipsec.1', IpAddress: '192.0.2.200', BgpAsn: 64_600 }))
  const connect = { Type: 'ipsec.1', TransitGatewayId, CustomerGatewayId: CustomerGateway!.CustomerGatewayId! }
  await ec2.send(
    new CreateVpnConnectionCommand({ ...connect, Options: { StaticRoutesOnly: true }, ...tags('vpn-connection', 'connection/frankfurt.isp-a') }),
  )
  const { GroupId } = await ec2.send(new CreateSecurityGroupCommand({ GroupName: 'people', Description: 'made by people', VpcId: ids.vpc }))
  const web = [{ IpProtocol: 'tcp', FromPort: 443, ToPort: 443, IpRanges: [{ CidrIp: '0.0.0.0/0' }] }]
  await ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId: GroupId!, IpPermissions: web }))
  await ec2.send(new CreateRouteCommand({ RouteTableId: ids.routes, DestinationCidrBlock: '172.16.0.0/12', TransitGatewayId }))
}
