/** What the emulated state means for packets: the tunnels that must run, and who forwards what. Pure. */
import { type Address, type AddressWithLength, lengthOf, type Prefix } from '#src/net/address.ts'
import { groupsOfHost } from './actions/security-group.ts'
import { transitEntries } from './actions/transit-routes.ts'
import { routeState } from './actions/vpc.ts'
import { hostOfInside } from './tunnel-options.ts'
import type { Rule, TunnelSettings, World } from './world.ts'

/** All that a responder is made from: what CreateVpnConnection and CreateCustomerGateway received. */
export interface TunnelOptions {
  readonly region: string
  readonly connection: string
  readonly outside: Address
  /** First host of the inside CIDR, of the family that the connection carries. */
  readonly inside: AddressWithLength
  readonly customer: Address
  readonly settings: TunnelSettings
}
/** Tunnels that must run at `now`; of a tunnel that is being replaced, none. */
export const tunnelsOf = (world: World, now: number): readonly TunnelOptions[] =>
  Object.values(world.vpnConnections)
    .filter((row) => row.state === 'available' || row.state === 'modifying')
    .flatMap((row) =>
      row.tunnels
        .filter((tunnel) => tunnel.readyAt <= now)
        .map(({ outside, settings }) => ({
          region: world.seed.name,
          connection: row.id,
          outside,
          inside: insideOf(settings),
          customer: world.customerGateways[row.customerGateway]!.address as Address,
          settings,
        })),
    )

const insideOf = ({ insideCidr, insideIpv6Cidr }: TunnelSettings): AddressWithLength => {
  const inside = insideIpv6Cidr ?? insideCidr
  return `${hostOfInside(inside, 1)}/${lengthOf(inside)}` as AddressWithLength
}

export interface Forwarding {
  /** By the attachment through which a packet enters the transit gateway; without an association it is dropped. */
  readonly transit: readonly { readonly from: Attached; readonly routes: readonly TransitForward[] }[]
  readonly vpcs: readonly VpcForwarding[]
}
export type Attached = { readonly kind: 'vpc'; readonly vpc: string } | { readonly kind: 'vpn'; readonly connection: string }
export interface TransitForward {
  readonly destination: Prefix
  /** null: dropped. A connection's tunnels: whichever is up. */
  readonly to:
    | { readonly kind: 'vpc'; readonly vpc: string }
    | { readonly kind: 'vpn'; readonly connection: string; readonly tunnels: readonly Address[] }
    | null
}
export interface VpcForwarding {
  readonly vpc: string
  readonly hosts: readonly HostForwarding[]
}
export interface HostForwarding {
  readonly name: string
  /** One of each family that it has. */
  readonly addresses: readonly Address[]
  /** Into the transit gateway; what has no route is dropped. */
  readonly routes: readonly Prefix[]
  readonly ingress: readonly Allowed[]
  readonly egress: readonly Allowed[]
}
export interface Allowed {
  readonly protocol: string
  readonly from: number
  readonly to: number
  readonly peers: readonly string[]
}

export function forwardingOf(world: World): Forwarding {
  const upTunnels = (connection: string): readonly Address[] =>
    world.vpnConnections[connection]?.tunnels.filter((tunnel) => tunnel.up).map((tunnel) => tunnel.outside) ?? []
  const transit = Object.values(world.transitRouteTables).flatMap((table) =>
    Object.entries(table.associations)
      .filter(([id, { state }]) => state === 'associated' && world.attachments[id]?.state === 'available')
      .map(([id]) => {
        const { resourceType, resourceId } = world.attachments[id]!
        const from: Attached = resourceType === 'vpc' ? { kind: 'vpc', vpc: resourceId } : { kind: 'vpn', connection: resourceId }
        const routes = transitEntries(world, table).map(({ destination, attachment, state }): TransitForward => {
          if (!attachment || state !== 'active') return { destination, to: null }
          if (attachment.resourceType === 'vpc') return { destination, to: { kind: 'vpc', vpc: attachment.resourceId } }
          return { destination, to: { kind: 'vpn', connection: attachment.resourceId, tunnels: upTunnels(attachment.resourceId) } }
        })
        return { from, routes }
      }),
  )
  return { transit, vpcs: world.seed.vpcs.map((vpc) => vpcForwarding(world, vpc)) }
}

function vpcForwarding(world: World, vpc: World['seed']['vpcs'][number]): VpcForwarding {
  const members = new Map(vpc.hosts.map((host) => [host.name, groupsOfHost(world, vpc.id, host.groups)]))
  /** A rule that names a group means the addresses of the hosts in it. */
  const peers = ({ source }: Rule): readonly string[] =>
    'cidr' in source ? [source.cidr] : vpc.hosts.filter((host) => members.get(host.name)?.includes(source.group)).flatMap(addressesOf)
  const allowed = (groups: readonly string[], egress: boolean): readonly Allowed[] =>
    groups
      .flatMap((id) => world.securityGroups[id]?.rules ?? [])
      .filter((rule) => rule.egress === egress)
      .map((rule) => ({ protocol: rule.protocol, from: rule.from, to: rule.to, peers: peers(rule) }))
      .filter((one) => one.peers.length > 0)
  const tables = Object.values(world.routeTables).filter((table) => table.vpc === vpc.id)
  const hosts = vpc.hosts.map((host): HostForwarding => {
    const table = tables.find((one) => one.subnets.includes(host.subnet)) ?? tables.find((one) => one.main)
    const routes = Object.entries(table?.routes ?? {}).flatMap(([destination, gateway]) =>
      table && routeState(world, table, gateway) === 'active' ? [destination as Prefix] : [],
    )
    const groups = members.get(host.name) ?? []
    return { name: host.name, addresses: addressesOf(host), routes, ingress: allowed(groups, false), egress: allowed(groups, true) }
  })
  return { vpc: vpc.id, hosts }
}
export const addressesOf = ({ address, ipv6 }: World['seed']['vpcs'][number]['hosts'][number]): readonly Address[] =>
  ipv6 === undefined ? [address] : [address, ipv6]
