/** Who joins which cloud: one connection a hub uplink, two tunnels each, in the region's order of preference. */
import type { Connection, ConnectionId, IpsecTunnel, Region, RegionId, TunnelId } from '#src/fabric/fabric.ts'
import { cloudInterfaceId, cloudTunnelId, compareText, connectionId } from '#src/fabric/ids.ts'
import type { Intent, IntentRegion, IntentSite, IntentUplink } from '#src/intent/intent.ts'
import { type Address, type AddressWithLength, comparePrefixes, hostOf, lengthOf, nth } from '#src/net/address.ts'
import type { Numbers } from './allocate.ts'
import { transportsMeet } from './paths.ts'

export interface CloudPath {
  readonly region: IntentRegion
  readonly connection: ConnectionId
  readonly site: IntentSite
  readonly uplink: IntentUplink
  /** What the cloud dials back and knows the hub by. */
  readonly address: Address
  readonly tunnels: readonly [TunnelId, TunnelId]
}
/** Clouds are on the internet. */
const cloudTransport = 'internet'

export function clouds(intent: Intent): readonly CloudPath[] {
  const meets = transportsMeet(intent)
  const sites = new Map(intent.sites.map((site) => [site.id, site]))
  return intent.regions.flatMap((region) =>
    region.hubs.flatMap((hub) => {
      const site = sites.get(hub)
      if (!site) throw new TypeError(`${region.id} names the hub "${hub}", which is no site`)
      return site.uplinks
        .filter((uplink) => meets(uplink.transport, cloudTransport))
        .flatMap((uplink): CloudPath[] => {
          const address = uplink.public?.address ?? (uplink.address === null ? undefined : hostOf(uplink.address))
          const tunnel = (member: 0 | 1) => cloudTunnelId(site.id, uplink.id, region.id, member)
          return address === undefined
            ? []
            : [{ region, connection: connectionId(site.id, uplink.id), site, uplink, address, tunnels: [tunnel(0), tunnel(1)] }]
        })
    }),
  )
}

/** The two tunnels of each connection, hub end first. */
export const cloudTunnels = (paths: readonly CloudPath[], numbers: Numbers): readonly IpsecTunnel[] =>
  paths.flatMap(({ region, connection, site, uplink, tunnels }) =>
    ([0, 1] as const).map(
      (member): IpsecTunnel => ({
        id: tunnels[member],
        kind: 'ipsec',
        index: numbers.tunnel(tunnels[member]),
        role: 'cloud',
        ends: [
          { site: site.id, uplink: uplink.id, interface: cloudInterfaceId(uplink.id, region.id, member) },
          { region: region.id, connection, member },
        ],
        inside: numbers.inside(tunnels[member]),
        profile: 'strong',
      }),
    ),
  )

/** What a region is beside its forwarding. */
export function regionOf(
  region: IntentRegion,
  paths: readonly CloudPath[],
  numbers: Numbers,
): Omit<Region, 'routes' | 'groups' | 'rules' | 'transits'> {
  const { id, provider, attach, routing, location, asn, hubAsn, segment } = region
  const networks = region.networks
    .map((network) => ({ id: network.id, prefixes: [...network.prefixes].sort(comparePrefixes) }))
    .sort((a, b) => compareText(a.id, b.id))
  return {
    kind: 'region',
    id,
    index: numbers.node(id),
    provider,
    attach,
    location,
    routing,
    asn,
    hubAsn,
    segment,
    networks,
    // The VPC's own router has the first address of every subnet; it stands for the LAN's gateway.
    lans: networks
      .flatMap((network) =>
        network.prefixes.map((prefix) => ({
          segment,
          interface: network.id,
          prefix,
          address: `${nth(prefix, 1)!}/${lengthOf(prefix)}` as AddressWithLength,
        })),
      )
      .sort((a, b) => comparePrefixes(a.prefix, b.prefix)),
    connections: connectionsOf(id, paths, numbers),
  }
}
const connectionsOf = (region: RegionId, paths: readonly CloudPath[], numbers: Numbers): readonly Connection[] =>
  paths
    .filter((path) => path.region.id === region)
    .map(({ connection, site, uplink, address, tunnels: [first, second] }) => ({
      id: connection,
      site: site.id,
      uplink: uplink.id,
      address,
      members: [
        { tunnel: first, inside: numbers.inside(first) },
        { tunnel: second, inside: numbers.inside(second) },
      ],
    }))
