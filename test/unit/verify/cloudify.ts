/** An edge of a small Fabric becomes a cloud region or a peer: two IPsec tunnels for each hub uplink instead of its own lines. */
import type {
  ConnectionId,
  ExternalId,
  Fabric,
  Hop,
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
import { nodeOf } from '#src/fabric/ids.ts'
import { ipsecProfiles } from '#src/fabric/ipsec.ts'
import { address, prefix } from '#src/net/address.ts'

export function cloudify(fabric: Fabric, id: string, role: IpsecTunnel['role'] = 'cloud'): Fabric {
  const edge = fabric.sites.find((one) => one.id === id)!
  const external = id as ExternalId
  const hubs = fabric.sites.filter((one) => one.hub)
  const ours = hubs.flatMap((hub) =>
    hub.uplinks.flatMap((uplink) =>
      ([0, 1] as const).map((member): IpsecTunnel => {
        const connection = `${hub.id}.${uplink.id}` as ConnectionId
        const near = { site: hub.id, uplink: uplink.id, interface: `${role}:${uplink.id}/${id}.${member}` as InterfaceId }
        const common = { id: `${connection}--${id}.${member}` as TunnelId, kind: 'ipsec', index: 0, inside: prefix('169.254.128.0/30') } as const
        return role === 'cloud'
          ? { ...common, role, ends: [near, { region: id as RegionId, connection, member }], profile: 'strong' }
          : { ...common, role, ends: [near, { peer: id as PeerId, connection, member }] }
      }),
    ),
  )
  const at = (hub: NodeId) => ours.filter((tunnel) => tunnel.ends[0].site === hub)
  const hops = (of: readonly IpsecTunnel[], next: (tunnel: IpsecTunnel) => NodeId, stage: number): readonly Hop[] =>
    of.map((tunnel) => ({ tunnel: tunnel.id, next: next(tunnel), stage, cost: 10, returnAfter: stage > 0 ? 60 : 0 }))
  const direct = (site: Site, group: SharedGroup): SharedGroup => ({
    ...group,
    via: [...hops(at(site.id), () => external, 0), ...group.via.filter((hop) => hop.next !== external)],
  })
  const sites = fabric.sites
    .filter((one) => one.id !== id)
    .map(
      (site): Site =>
        site.hub
          ? {
              ...site,
              interfaces: [
                // A hub's interface has peers of several sites.
                ...site.interfaces.flatMap((one) => {
                  const tunnels = one.tunnels.filter((tunnel) => !tunnel.startsWith(`${id}.`))
                  return tunnels.length > 0 ? [{ ...one, tunnels }] : []
                }),
                ...at(site.id).map((tunnel, n) => ({
                  id: tunnel.ends[0].interface,
                  kind: role,
                  uplink: tunnel.ends[0].uplink,
                  stem: `cwi${n}`,
                  port: 52_900 + 2 * n,
                  tunnels: [tunnel.id],
                })),
              ],
              groups: site.groups.map((group) => (group.remotes[0] === id ? direct(site, group) : group)),
            }
          : site,
    )
  const groups = edge.groups.map((group): SharedGroup => {
    const order = [...hubs.filter((hub) => hub.id === group.remotes[0]), ...hubs.filter((hub) => hub.id !== group.remotes[0])]
    const connections = order.flatMap((hub) => [...Map.groupBy(at(hub.id), (tunnel) => tunnel.ends[1].connection).values()])
    return { ...group, via: connections.flatMap((members, stage) => hops(members, (tunnel) => tunnel.ends[0].site, role === 'cloud' ? stage : 0)) }
  })
  const connections = [...Map.groupBy(ours, (tunnel) => tunnel.ends[1].connection)].map(([connection, [first, second]]) => ({
    id: connection,
    site: first!.ends[0].site,
    uplink: first!.ends[0].uplink,
    address: address('192.0.2.1'),
    members: [
      { tunnel: first!.id, inside: first!.inside },
      { tunnel: second!.id, inside: second!.inside },
    ] as const,
  }))
  const { lans, routes, rules, denies } = edge
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
