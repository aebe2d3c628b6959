/** Region → what AWS must hold for it. Pure. */
import type { Connection, NetworkId, Region, TunnelId } from '#src/fabric/fabric.ts'
import { comparePrefixes, contains, familyOf, overlaps, type Prefix } from '#src/net/address.ts'
import type { PortRange } from '#src/net/ports.ts'
import { mergePrefixes, subtractPrefixes } from '#src/net/sets.ts'
import type { Ref, Resource, ResourceId, ReturnRoutes } from '../cloud.ts'
import { packetTooBig, ruleText } from './group.ts'
import { type AwsResource, type AwsType, groupName, resourceId, type TunnelProperties, type WantedProperties, type WantedTunnel } from './scheme.ts'

/**
 * The strong profile that AWS and strongSwan both accept (RFC 6379's suite B GCM-256 with ECP-384). The hub initiates
 * and closes, so AWS only adds and clears. DPD's shortest timeout there is 30 s.
 */
export const strongProfile: Omit<TunnelProperties, 'inside'> = {
  ike: ['ikev2'],
  encryption: [['AES256-GCM-16'], ['AES256-GCM-16']],
  integrity: [['SHA2-384'], ['SHA2-384']],
  groups: [[20], [20]],
  ikeLifetime: 28_800,
  espLifetime: 3600,
  rekeyMargin: 270,
  rekeyFuzz: 100,
  replayWindow: 1024,
  dpdTimeout: 30,
  dpdAction: 'clear',
  startup: 'add',
}

const ref = (id: ResourceId): Ref => ({ ref: id })
const isV6 = (prefix: Prefix): boolean => familyOf(prefix) === 6

function resource<T extends AwsType>(type: T, id: ResourceId, properties: WantedProperties<T>, after: readonly ResourceId[]): Resource {
  return { id, type, after, properties } satisfies Resource
}

/** In an order in which they can be made; `after` says what could be made at the same time. */
export function desired(network: NetworkId, region: Region, routes: ReturnRoutes): readonly Resource[] {
  const transitGateway = resourceId.transitGateway(region.id)
  const overlay = overlayPrefixes(region)
  return [
    resource(
      'transit-gateway',
      transitGateway,
      { asn: region.asn, ecmp: 'enable', defaultAssociation: 'disable', defaultPropagation: 'disable' },
      [],
    ),
    ...region.networks.map((of) =>
      resource(
        'security-group',
        resourceId.securityGroup(region.id, of.id),
        { vpc: of.id, name: groupName(network, region.id), ...groupRules(region, of.prefixes) },
        [],
      ),
    ),
    ...customerGateways(region),
    ...(['hubs', 'networks'] as const).map((table) =>
      resource('transit-gateway-route-table', resourceId.routeTable(region.id, table), { transitGateway: ref(transitGateway) }, [transitGateway]),
    ),
    ...region.connections.map((connection) => vpnConnection(region, connection)),
    ...region.networks.map((of) =>
      resource(
        'vpc-attachment',
        resourceId.attachment(region.id, of.id),
        { transitGateway: ref(transitGateway), vpc: of.id, everywhere: true, ...(of.prefixes.some(isV6) ? { ipv6: true } : {}) },
        [transitGateway],
      ),
    ),
    ...region.connections.map((of) => association(region, 'hubs', of.id, resourceId.connection(region.id, of.id))),
    ...region.networks.map((of) => association(region, 'networks', of.id, resourceId.attachment(region.id, of.id))),
    ...region.networks.flatMap((of) =>
      mergePrefixes(of.prefixes).map((destination) => route(region, 'hubs', destination, resourceId.attachment(region.id, of.id))),
    ),
    ...aggregate(routes).map(([destination, connection]) => route(region, 'networks', destination, resourceId.connection(region.id, connection))),
    ...region.networks.flatMap((of) =>
      overlay.map((destination) =>
        resource(
          'vpc-route',
          resourceId.vpcRoute(region.id, of.id, destination),
          { transitGateway: ref(transitGateway), vpc: of.id, destination, everywhere: true },
          // AWS refuses a VPC route to a transit gateway to which the VPC is not attached.
          [resourceId.attachment(region.id, of.id)],
        ),
      ),
    ),
  ]
}

/** What the VPCs must send to the transit gateway, in as few routes as say exactly that. */
export const overlayPrefixes = (region: Region): readonly Prefix[] => mergePrefixes(region.routes.map((route) => route.to))

/**
 * The same forwarding in fewer routes: per connection, prefixes that add up to one are one. A prefix inside another of
 * the same connection stays if a third, of another connection, lies between the two.
 */
export function aggregate(routes: ReturnRoutes): readonly (readonly [Prefix, Connection['id']])[] {
  const byConnection = Map.groupBy(routes, ([, connection]) => connection)
  const merged = [...byConnection].flatMap(([connection, entries]) => {
    const others = [...routes].filter(([, other]) => other !== connection).map(([prefix]) => prefix)
    const own = entries.map(([prefix]) => prefix)
    // Merging is exact only where no other connection's prefix is inside the result or around one of its parts.
    const alone = own.filter((prefix) => !others.some((other) => overlaps(prefix, other)))
    const tangled = own.filter((prefix) => !alone.includes(prefix))
    return [...mergePrefixes(alone), ...tangled].map((prefix) => [prefix, connection] as const)
  })
  return merged.sort(([a], [b]) => comparePrefixes(a, b))
}

function customerGateways(region: Region): readonly Resource[] {
  const addresses = [...new Set(region.connections.map((connection) => connection.address))]
  return addresses.map((address) => resource('customer-gateway', resourceId.customerGateway(region.id, address), { address, asn: region.hubAsn }, []))
}

function vpnConnection(region: Region, of: Connection): Resource {
  const transitGateway = resourceId.transitGateway(region.id)
  const customerGateway = resourceId.customerGateway(region.id, of.address)
  const tunnels = of.members.map(({ tunnel, inside }): WantedTunnel => ({ tunnel, inside, ...strongProfile }))
  return resource(
    'vpn-connection',
    resourceId.connection(region.id, of.id),
    { transitGateway: ref(transitGateway), customerGateway: ref(customerGateway), static: true, tunnels },
    [transitGateway, customerGateway],
  )
}

function association(region: Region, table: 'hubs' | 'networks', name: string, of: ResourceId): Resource {
  const routeTable = resourceId.routeTable(region.id, table)
  return resource('transit-gateway-association', resourceId.association(region.id, name), { routeTable: ref(routeTable), of: ref(of) }, [
    routeTable,
    of,
  ])
}

function route(region: Region, table: 'hubs' | 'networks', destination: Prefix, to: ResourceId): Resource {
  const routeTable = resourceId.routeTable(region.id, table)
  return resource(
    'transit-gateway-route',
    resourceId.route(region.id, table, destination),
    { routeTable: ref(routeTable), destination, to: ref(to) },
    [routeTable, to],
  )
}

/**
 * A group can't tell the hosts that carry it apart: an allow to one address of the VPC opens the port on all of them, and
 * a deny of one closes it for none. The owner at the other end of the flow enforces the exact address; this is the second
 * line. What is denied to all that an allow opens is left out of it, since groups only allow.
 */
export function groupRules(
  { rules, denies = [] }: Pick<Region, 'rules' | 'denies'>,
  inVpc: readonly Prefix[],
): { readonly ingress: readonly string[]; readonly egress: readonly string[] } {
  const inside = (prefixes: readonly Prefix[]): readonly Prefix[] => prefixes.filter((prefix) => inVpc.some((own) => overlaps(own, prefix)))
  const lines = (near: 'from' | 'to', far: 'from' | 'to'): readonly string[] => {
    const byPorts = new Map<string, { readonly ports: PortRange; readonly prefixes: Prefix[] }>()
    for (const rule of rules) {
      for (const [family, hosts] of Map.groupBy(inside(rule[near].prefixes), familyOf)) {
        const others = (prefixes: readonly Prefix[]) => mergePrefixes(prefixes.filter((prefix) => familyOf(prefix) === family))
        const without = denies.filter((deny) => hosts.every((host) => deny[near].prefixes.some((prefix) => contains(prefix, host))))
        for (const range of rule.ports) {
          let pieces: readonly Opening[] = [{ ports: range, prefixes: others(rule[far].prefixes) }]
          for (const deny of without)
            for (const closed of deny.ports) pieces = pieces.flatMap((piece) => shut(piece, closed, others(deny[far].prefixes)))
          for (const { ports, prefixes } of pieces) {
            const key = `${ports.protocol}/${ports.from}-${ports.to}`
            const entry = byPorts.get(key) ?? { ports, prefixes: [] }
            entry.prefixes.push(...prefixes)
            byPorts.set(key, entry)
          }
        }
      }
    }
    return [...byPorts.values()].flatMap(({ ports, prefixes }) => mergePrefixes(prefixes).map((prefix) => ruleText(ports, prefix)))
  }
  const tooBig = [packetTooBig[4], ...(inVpc.some(isV6) ? [packetTooBig[6]] : [])]
  return { ingress: [...new Set([...lines('to', 'from'), ...tooBig])].sort(), egress: [...new Set(lines('from', 'to'))].sort() }
}
interface Opening {
  readonly ports: PortRange
  readonly prefixes: readonly Prefix[]
}
/** Without `closed` for `those`. One protocol can't be taken out of all of them: that is left to the other end. */
function shut({ ports, prefixes }: Opening, closed: PortRange, those: readonly Prefix[]): readonly Opening[] {
  const whole = closed.protocol === 'any'
  if (!whole && ports.protocol !== closed.protocol) return [{ ports, prefixes }]
  const [from, to] = whole ? [ports.from, ports.to] : [Math.max(ports.from, closed.from), Math.min(ports.to, closed.to)]
  if (from > to) return [{ ports, prefixes }]
  const part = (low: number, high: number, of: readonly Prefix[]): readonly Opening[] =>
    low > high || of.length === 0 ? [] : [{ ports: { ...ports, from: low, to: high }, prefixes: of }]
  return [...part(ports.from, from - 1, prefixes), ...part(from, to, subtractPrefixes(prefixes, those)), ...part(to + 1, ports.to, prefixes)]
}

/** Puts the fingerprints of the pre-shared keys that must be in force beside the tunnels, so that another key is a difference. */
export function withKeys(resources: readonly Resource[], fingerprints: ReadonlyMap<TunnelId, string>): readonly Resource[] {
  return (resources as readonly AwsResource[]).map((of) => {
    if (of.type !== 'vpn-connection') return of
    const tunnels = of.properties.tunnels.map((tunnel) => {
      const psk = fingerprints.get(tunnel.tunnel)
      return psk === undefined ? tunnel : { ...tunnel, psk }
    })
    return { ...of, properties: { ...of.properties, tunnels } }
  })
}
