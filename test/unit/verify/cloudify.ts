/**
 * An edge of a small Fabric becomes a cloud region or a peer: two IPsec tunnels for each hub uplink instead of its own lines, and
 * to a cloud two for each family that it has.
 */
import type {
  ConnectionId,
  ExternalId,
  Fabric,
  Hop,
  Insides,
  InterfaceId,
  IpsecTunnel,
  NodeId,
  Peer,
  PeerId,
  Region,
  RegionId,
  SharedGroup,
  Site,
  TunnelId,
} from '#src/fabric/fabric.ts'
import { nodeOf, siteEnds } from '#src/fabric/ids.ts'
import { ipsecProfiles } from '#src/fabric/ipsec.ts'
import { address, familyOf, prefix } from '#src/net/address.ts'

/** Inside a peer's tunnels: whatever it is, they carry both families. */
export const peerInsides: readonly Insides[] = [
  { inside: prefix('169.254.128.0/30') },
  { inside: prefix('fd02::/126') },
  { inside: prefix('169.254.128.0/30'), alsoInside: prefix('fd02::/126') },
]

/** `ofPeer`: what a peer's tunnels have inside. */
export function cloudify(fabric: Fabric, id: string, role: IpsecTunnel['role'] = 'cloud', ofPeer: Insides = peerInsides[0]!): Fabric {
  const edge = fabric.sites.find((one) => one.id === id)!
  const external = id as ExternalId
  const hubs = fabric.sites.filter((one) => one.hub)
  const families = role === 'peer' ? ([4] as const) : ([4, 6] as const).filter((family) => edge.lans.some((lan) => familyOf(lan.prefix) === family))
  const ours = hubs.flatMap((hub) =>
    hub.uplinks.flatMap((uplink) =>
      families.flatMap((family) =>
        ([0, 1] as const).map((member): IpsecTunnel => {
          const apart = family === 6 ? ':v6' : ''
          const connection = `${hub.id}.${uplink.id}${apart}` as ConnectionId
          const near = { site: hub.id, uplink: uplink.id, interface: `${role}:${uplink.id}${apart}/${id}.${member}` as InterfaceId }
          const common = { id: `${connection}--${id}.${member}` as TunnelId, kind: 'ipsec', index: 0 } as const
          const inside = prefix(family === 4 ? '169.254.128.0/30' : 'fd02::/126')
          return role === 'cloud'
            ? { ...common, inside, role, ends: [near, { region: id as RegionId, connection, member }], profile: 'strong' }
            : { ...common, ...ofPeer, role, ends: [near, { peer: id as PeerId, connection, member }] }
        }),
      ),
    ),
  )
  const others = new Set(
    fabric.tunnels
      .filter((tunnel) => !tunnel.ends.some((end) => nodeOf(end) === id))
      .flatMap((tunnel) => siteEnds(tunnel).map((end) => `${end.site} ${end.interface}`)),
  )
  const at = (hub: NodeId) => ours.filter((tunnel) => tunnel.ends[0].site === hub)
  const hops = (of: readonly IpsecTunnel[], next: (tunnel: IpsecTunnel) => NodeId, stage: number): readonly Hop[] =>
    of.map((tunnel) => ({ tunnel: tunnel.id, next: next(tunnel), stage, cost: 10, returnAfter: stage > 0 ? 60 : 0 }))
  /** Of a region with both, each its own. */
  const parted = (group: SharedGroup, viaOf: (own: (tunnel: IpsecTunnel) => boolean) => readonly Hop[]): readonly SharedGroup[] =>
    families.length === 1
      ? [{ ...group, via: viaOf(() => true) }]
      : families.map((family) => ({ ...group, family, via: viaOf(({ inside }) => familyOf(inside) === family) }))
  const direct = (site: Site, group: SharedGroup): readonly SharedGroup[] =>
    parted(group, (own) => [...hops(at(site.id).filter(own), () => external, 0), ...group.via.filter((hop) => hop.next !== external)])
  const sites = fabric.sites
    .filter((one) => one.id !== id)
    .map(
      (site): Site =>
        site.hub
          ? {
              ...site,
              interfaces: [
                // A hub's interface has peers of several sites.
                ...site.interfaces.filter((one) => others.has(`${site.id} ${one.id}`)),
                ...at(site.id).map((tunnel, n) => ({
                  id: tunnel.ends[0].interface,
                  kind: role,
                  uplink: tunnel.ends[0].uplink,
                  stem: `cwi${n}`,
                  port: 52_900 + 2 * n,
                })),
              ],
              groups: site.groups.flatMap((group) => (group.remotes[0] === id ? direct(site, group) : [group])),
            }
          : site,
    )
  const groups = edge.groups.flatMap((group) =>
    parted(group, (own) => {
      const order = [...hubs.filter((hub) => hub.id === group.remotes[0]), ...hubs.filter((hub) => hub.id !== group.remotes[0])]
      const connections = order.flatMap((hub) => [...Map.groupBy(at(hub.id).filter(own), (tunnel) => tunnel.ends[1].connection).values()])
      return connections.flatMap((members, stage) => hops(members, (tunnel) => tunnel.ends[0].site, role === 'cloud' ? stage : 0))
    }),
  )
  const connections = [...Map.groupBy(ours, (tunnel) => tunnel.ends[1].connection)].map(([connection, [first, second]]) => ({
    id: connection,
    site: first!.ends[0].site,
    uplink: first!.ends[0].uplink,
    address: address('192.0.2.1'),
    members: [memberOf(first!), memberOf(second!)] as const,
  }))
  const { lans, routes = [], rules, denies } = edge
  const forwarding = { lans, routes, rules, ...(denies ? { denies } : {}), transits: [], groups }
  const cloud: Region = {
    kind: 'region',
    id: id as RegionId,
    index: edge.index,
    provider: 'aws',
    attach: 'transit-gateway',
    location: 'eu-west-1',
    routing: 'static',
    asn: 64_512,
    hubAsn: 65_000,
    segment: edge.lans[0]!.segment,
    networks: [{ id: 'vpc-0a1b2c3d', prefixes: edge.lans.map((lan) => lan.prefix) }],
    connections,
    ...forwarding,
  }
  const peer: Peer = {
    kind: 'peer',
    id: id as PeerId,
    index: edge.index,
    gateways: ['203.0.113.200', '203.0.113.201'].map((own) => ({ address: address(own), id: own })),
    profile: ipsecProfiles.strong,
    probe: null,
    connections,
    ...forwarding,
  }
  return {
    ...fabric,
    sites,
    regions: role === 'cloud' ? [cloud] : [],
    peers: role === 'peer' ? [peer] : [],
    tunnels: [...fabric.tunnels.filter((tunnel) => !tunnel.ends.some((end) => nodeOf(end) === id)), ...ours],
  }
}

const memberOf = ({ id, inside, alsoInside }: IpsecTunnel) => ({ tunnel: id, inside, ...(alsoInside === undefined ? {} : { alsoInside }) })
