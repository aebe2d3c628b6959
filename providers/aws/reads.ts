/** Everything that is read from EC2: all pages, shared by those who ask at the same time. */
import {
  type CustomerGateway,
  DescribeCustomerGatewaysCommand,
  type EC2Client,
  type Filter,
  paginateDescribeRouteTables,
  paginateDescribeSecurityGroups,
  paginateDescribeSubnets,
  paginateDescribeTransitGatewayAttachments,
  paginateDescribeTransitGatewayRouteTables,
  paginateDescribeTransitGateways,
  paginateDescribeTransitGatewayVpcAttachments,
  DescribeVpnConnectionsCommand,
  DescribeVpcsCommand,
  type RouteTable,
  SearchTransitGatewayRoutesCommand,
  type SecurityGroup,
  type Subnet,
  type Tag,
  type TransitGateway,
  type TransitGatewayAttachment,
  type TransitGatewayRoute,
  type TransitGatewayRouteTable,
  type TransitGatewayVpcAttachment,
  type Vpc,
  type VpnConnection,
} from '@aws-sdk/client-ec2'
import type { NetworkId } from '#src/fabric/fabric.ts'
import { prefix, type Prefix, prefixBits, prefixFromBits, width } from '#src/net/address.ts'
import type { createGatherer } from './poll.ts'
import { tagOf } from './scheme.ts'

export interface Reads {
  /** By tag `causeway:network`; what is deleted is among them for a while. */
  transitGateways(): Promise<readonly TransitGateway[]>
  routeTables(): Promise<readonly TransitGatewayRouteTable[]>
  customerGateways(): Promise<readonly CustomerGateway[]>
  connections(): Promise<readonly VpnConnection[]>
  vpcAttachments(): Promise<readonly TransitGatewayVpcAttachment[]>
  securityGroups(): Promise<readonly SecurityGroup[]>
  /** Of both kinds, of these transit gateways. */
  attachments(transitGateways: readonly string[]): Promise<readonly TransitGatewayAttachment[]>
  routes(routeTable: string): Promise<readonly TransitGatewayRoute[]>
  /** Whoever owns them. */
  vpcs(ids: readonly string[]): Promise<readonly Vpc[]>
  subnets(vpcs: readonly string[]): Promise<readonly Subnet[]>
  vpcTables(vpcs: readonly string[]): Promise<readonly RouteTable[]>
  /** Route tables of any VPC that hold a route to one of these. */
  vpcTablesTo(transitGateways: readonly string[]): Promise<readonly RouteTable[]>
  customerGatewaysAt(addresses: readonly string[]): Promise<readonly CustomerGateway[]>
  /** Those of the network's among these. */
  connectionsById(ids: readonly string[]): Promise<readonly VpnConnection[]>
}

const filter = (Name: string, Values: readonly string[]): Filter => ({ Name, Values: [...Values] })
async function pages<Page, Item>(of: AsyncIterable<Page>, items: (page: Page) => readonly Item[] | undefined): Promise<readonly Item[]> {
  const result: Item[] = []
  for await (const page of of) result.push(...(items(page) ?? []))
  return result
}

export function createReads(client: EC2Client, network: NetworkId, gather: ReturnType<typeof createGatherer>, signal: AbortSignal): Reads {
  const ours = { Filters: [filter(`tag:${tagOf.network}`, [network])] }
  const with_ = { client }
  const subnets = new Map<string, Promise<readonly Subnet[]>>()
  // A shared request belongs to all who wait for it: one who gives up leaves, the request goes on.
  const shared = <T>(name: string, keys: readonly string[], fetch: () => Promise<readonly T[]>): Promise<readonly T[]> =>
    unlessAborted(gather([network, name, ...keys].join(' '), fetch), signal)

  // Asked for by tag and looked at again here: what an endpoint that does not know the filter returns is not ours by that.
  const tagged = async <T extends { readonly Tags?: Tag[] | undefined }>(name: string, fetch: () => Promise<readonly T[]>): Promise<readonly T[]> =>
    (await shared(name, [], fetch)).filter((of) => of.Tags?.some((tag) => tag.Key === tagOf.network && tag.Value === network) === true)

  return {
    transitGateways: () => tagged('transit-gateways', () => pages(paginateDescribeTransitGateways(with_, ours), (page) => page.TransitGateways)),
    routeTables: () =>
      tagged('route-tables', () => pages(paginateDescribeTransitGatewayRouteTables(with_, ours), (page) => page.TransitGatewayRouteTables)),
    customerGateways: () =>
      tagged('customer-gateways', async () => (await client.send(new DescribeCustomerGatewaysCommand(ours))).CustomerGateways ?? []),
    connections: () => tagged('connections', async () => (await client.send(new DescribeVpnConnectionsCommand(ours))).VpnConnections ?? []),
    vpcAttachments: () =>
      tagged('vpc-attachments', () => pages(paginateDescribeTransitGatewayVpcAttachments(with_, ours), (page) => page.TransitGatewayVpcAttachments)),
    securityGroups: () => tagged('security-groups', () => pages(paginateDescribeSecurityGroups(with_, ours), (page) => page.SecurityGroups)),
    attachments: async (ids) => {
      if (ids.length === 0) return []
      const input = { Filters: [filter('transit-gateway-id', ids)] }
      return shared('attachments', ids, () =>
        pages(paginateDescribeTransitGatewayAttachments(with_, input), (page) => page.TransitGatewayAttachments),
      )
    },
    routes: (table) => shared('routes', [table], () => searchRoutes(client, table)),
    vpcs: async (ids) => {
      if (ids.length === 0) return []
      // By filter, not by id: an id that does not exist is then an absent row and not an error for all of them.
      const input = { Filters: [filter('vpc-id', ids)] }
      return shared('vpcs', ids, async () => (await client.send(new DescribeVpcsCommand(input))).Vpcs ?? [])
    },
    subnets: async (ids) => {
      if (ids.length === 0) return []
      const input = { Filters: [filter('vpc-id', ids)] }
      // They hardly ever change: once for each step.
      const key = ids.join(' ')
      const found = subnets.get(key) ?? shared('subnets', ids, () => pages(paginateDescribeSubnets(with_, input), (page) => page.Subnets))
      subnets.set(key, found)
      return found
    },
    vpcTables: async (ids) => {
      if (ids.length === 0) return []
      const input = { Filters: [filter('vpc-id', ids)] }
      return shared('vpc-tables', ids, () => pages(paginateDescribeRouteTables(with_, input), (page) => page.RouteTables))
    },
    vpcTablesTo: async (ids) => {
      if (ids.length === 0) return []
      const input = { Filters: [filter('route.transit-gateway-id', ids)] }
      return shared('vpc-tables-to', ids, () => pages(paginateDescribeRouteTables(with_, input), (page) => page.RouteTables))
    },
    customerGatewaysAt: async (addresses) => {
      if (addresses.length === 0) return []
      const input = { Filters: [filter('ip-address', addresses)] }
      return shared(
        'customer-gateways-at',
        addresses,
        async () => (await client.send(new DescribeCustomerGatewaysCommand(input))).CustomerGateways ?? [],
      )
    },
    connectionsById: async (ids) => {
      if (ids.length === 0) return []
      const input = { Filters: [filter('vpn-connection-id', ids)] }
      return tagged(`connections ${ids.join(' ')}`, async () => (await client.send(new DescribeVpnConnectionsCommand(input))).VpnConnections ?? [])
    },
  }
}

function unlessAborted<T>(of: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason as Error)
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', leave, { once: true })
    of.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
  })
}

/** Static routes only: propagation is off, so every route in our tables is one that we made. */
async function searchRoutes(client: EC2Client, table: string, within?: Prefix): Promise<readonly TransitGatewayRoute[]> {
  const Filters = [filter('type', ['static']), ...(within === undefined ? [] : [filter('route-search.subnet-of-match', [within])])]
  const found: TransitGatewayRoute[] = []
  let token: string | undefined
  let more: boolean
  do {
    const page = await client.send(
      new SearchTransitGatewayRoutesCommand({ TransitGatewayRouteTableId: table, Filters, ...(token === undefined ? {} : { NextToken: token }) }),
    )
    found.push(...(page.Routes ?? []))
    token = page.NextToken
    more = page.AdditionalRoutesAvailable === true && token === undefined
  } while (token !== undefined)
  if (!more) return found
  // Above a thousand without a token: each family, then halves of it, until each part fits.
  const deeper = await Promise.all((within === undefined ? everything : halvesOf(within)).map((part) => searchRoutes(client, table, part)))
  // A route as long as the whole is in neither half.
  const whole = found.filter((route) => route.DestinationCidrBlock === within)
  return [...new Map([...whole, ...deeper.flat()].map((route) => [route.DestinationCidrBlock, route])).values()]
}
const everything = [prefix('0.0.0.0/0'), prefix('::/0')]
function halvesOf(whole: Prefix): readonly Prefix[] {
  const { family, value, length } = prefixBits(whole)
  const half = 1n << BigInt(width(family) - length - 1)
  return [value, value + half].map((start) => prefixFromBits(family, start, length + 1))
}
