/** Who joins which cloud or third party: one connection a hub uplink (to a cloud, for each family), in its order of preference, and the tunnels of each. */
import type {
  CloudConnection,
  Connection,
  ConnectionId,
  ExternalId,
  Insides,
  Interface,
  IpsecTunnel,
  Lan,
  Peer,
  Region,
  SegmentId,
  SiteId,
  TunnelId,
} from '#src/fabric/fabric.ts'
import { type Carried, compareText, connectionId, externalOf, ipsecInsideOf, ipsecInterfaceId, ipsecStem, ipsecTunnelId } from '#src/fabric/ids.ts'
import { gatewaysOver } from '#src/fabric/ipsec.ts'
import { type Intent, type IntentPeer, type IntentRegion, type IntentSite, type IntentUplink } from '#src/intent/intent.ts'
import {
  type Address,
  type AddressWithLength,
  comparePrefixes,
  type Family,
  familyOf,
  firstHost,
  hostOf,
  lengthOf,
  type Prefix,
} from '#src/net/address.ts'
import type { Numbers } from './allocate.ts'
import { createMemo, type Memo } from './memo.ts'
import { transportsMeet } from './paths.ts'
import { hubsOf } from './sites.ts'

/** A region or peer, as far as hubs need to know it to join it. */
export interface External {
  readonly id: ExternalId
  readonly role: IpsecTunnel['role']
  readonly hubs: readonly SiteId[]
  readonly transport: string
  /** Tunnels of a connection, by the family of the uplink's address: outside of a tunnel there is no other. */
  readonly members: Readonly<Record<Family, readonly (0 | 1)[]>>
  /** Of each uplink's connections. */
  readonly carried: readonly Carried[]
  /** Where the addresses inside its tunnels come from, one of a family; null: where those of clouds do. */
  readonly pools: readonly (Prefix | null)[]
  readonly lans: readonly { readonly segment: SegmentId; readonly prefix: Prefix }[]
}
export interface ExternalPath {
  readonly external: External
  readonly connection: ConnectionId
  readonly carried: Carried
  readonly site: IntentSite
  readonly uplink: IntentUplink
  /** What the far end dials back and knows the hub by. */
  readonly address: Address
  readonly members: readonly { readonly member: 0 | 1; readonly tunnel: TunnelId }[]
}
/** Clouds are on the internet; AWS ends its tunnels at IPv4 addresses. */
const cloudTransport = 'internet'
const cloudMembers: External['members'] = { 4: [0, 1], 6: [] }

export const externalsOf = ({ regions, peers }: Pick<Intent, 'regions' | 'peers'>, memo: Memo = createMemo()): readonly External[] =>
  memo.once('externals', [regions, peers], () => [
    ...regions.map(({ id, hubs, segment, networks }): External => {
      const lans = networks.flatMap((network) => network.prefixes.map((prefix) => ({ segment, prefix })))
      const carried = ([4, 6] as const).filter((family) => lans.some((lan) => familyOf(lan.prefix) === family))
      return { id, role: 'cloud', hubs, transport: cloudTransport, members: cloudMembers, carried, pools: [null], lans }
    }),
    ...peers.map((peer): External => {
      const { id, hubs, transport, gateways, lans } = peer
      const over = (family: Family) => gatewaysOver(gateways, family).map(({ member }) => member)
      const pools = peer.pools.length === 0 ? [null] : peer.pools
      return { id, role: 'peer', hubs, transport, members: { 4: over(4), 6: over(6) }, carried: [null], pools, lans }
    }),
  ])

export function externalPaths(intent: Intent, memo: Memo = createMemo()): readonly ExternalPath[] {
  const hubs = hubsOf(intent, memo)
  const externals = externalsOf(intent, memo)
  return memo.once('paths of externals', [hubs, externals, intent.transports], () => pathsOf(externals, hubs, transportsMeet(intent)))
}
const pathsOf = (externals: readonly External[], hubs: readonly IntentSite[], meets: (a: string, b: string) => boolean): readonly ExternalPath[] =>
  externals.flatMap((external) =>
    external.hubs.flatMap((hub) => {
      const site = hubs.find((one) => one.id === hub)
      if (!site) throw new TypeError(`${external.id} names the hub "${hub}", which is none`)
      return site.uplinks
        .filter((uplink) => meets(uplink.transport, external.transport))
        .flatMap((uplink): ExternalPath[] => {
          const address = uplink.public?.address ?? (uplink.address === null ? undefined : hostOf(uplink.address))
          if (address === undefined) return []
          const own = external.members[familyOf(address)]
          return external.carried.flatMap((carried): ExternalPath[] => {
            const connection = connectionId(site.id, uplink.id, carried)
            const members = own.map((member) => ({ member, tunnel: ipsecTunnelId(connection, external.id, member) }))
            return members.length === 0 ? [] : [{ external, connection, carried, site, uplink, address, members }]
          })
        })
    }),
  )

/** The interface of each tunnel, at the hub. */
export const interfaceOf = ({ external, uplink, carried }: ExternalPath, member: 0 | 1): Interface['id'] =>
  ipsecInterfaceId(external.role, uplink.id, external.id, member, carried)

/** To a cloud, IPv6's follow from the number of the tunnel. */
function insidesOf({ carried, external }: ExternalPath, tunnel: TunnelId, numbers: Numbers): Insides {
  if (carried === 6) return { inside: ipsecInsideOf(numbers.ula, numbers.tunnel(tunnel)) }
  const [inside, alsoInside] = external.pools.map((pool) => numbers.inside(tunnel, pool))
  return { inside: inside!, ...(alsoInside === undefined ? {} : { alsoInside }) }
}

/** The tunnels of each connection, hub end first. */
export const ipsecTunnels = (paths: readonly ExternalPath[], numbers: Numbers): readonly IpsecTunnel[] =>
  paths.flatMap((path) =>
    path.members.map(({ member, tunnel: id }): IpsecTunnel => {
      const { external, connection, site, uplink } = path
      const near = { site: site.id, uplink: uplink.id, interface: interfaceOf(path, member) }
      const common = { id, kind: 'ipsec', index: numbers.tunnel(id) } as const
      const insides = insidesOf(path, id, numbers)
      return external.role === 'cloud'
        ? { ...common, role: 'cloud', ends: [near, { region: external.id as Region['id'], connection, member }], ...insides, profile: 'strong' }
        : { ...common, role: 'peer', ends: [near, { peer: external.id as Peer['id'], connection, member }], ...insides }
    }),
  )

export function ipsecInterface(tunnel: IpsecTunnel, numbers: Numbers): Omit<Interface, 'tunnels'> {
  const [{ site, uplink, interface: name }, { member }] = tunnel.ends
  const carried = tunnel.role === 'cloud' ? familyOf(tunnel.inside) : null
  const stem = ipsecStem(numbers.node(externalOf(tunnel)), numbers.slot(site, uplink), member, carried)
  return { id: name, kind: tunnel.role, uplink, stem, port: numbers.port(`${site}/${name}`) }
}

type BesideForwarding<T> = Omit<T, 'routes' | 'groups' | 'rules' | 'transits'>

/** What a region is beside its forwarding. */
export function regionOf(region: IntentRegion, paths: readonly ExternalPath[], numbers: Numbers): BesideForwarding<Region> {
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
    lans: networks
      .flatMap((network) => network.prefixes.map((prefix) => lanOf(segment, network.id, prefix)))
      .sort((a, b) => comparePrefixes(a.prefix, b.prefix)),
    connections: connectionsOf(id, paths, numbers).map((one): CloudConnection => {
      const [first, second] = one.members
      return { ...one, members: [first!, second!] }
    }),
  }
}

/** What a peer is beside its forwarding. */
export const peerOf = (peer: IntentPeer, paths: readonly ExternalPath[], numbers: Numbers): BesideForwarding<Peer> => ({
  kind: 'peer',
  id: peer.id,
  index: numbers.node(peer.id),
  gateways: peer.gateways,
  profile: peer.profile,
  probe: peer.probe,
  lans: peer.lans.map(({ segment, prefix }) => lanOf(segment, 'lan', prefix)).sort((a, b) => comparePrefixes(a.prefix, b.prefix)),
  connections: connectionsOf(peer.id, paths, numbers),
})

/** Its own router has the first address of every subnet in a VPC; it stands for the LAN's gateway. */
const lanOf = (segment: SegmentId, name: string, prefix: Prefix): Lan => ({
  segment,
  interface: name,
  prefix,
  address: `${firstHost(prefix)}/${lengthOf(prefix)}` as AddressWithLength,
})

const connectionsOf = (of: ExternalId, paths: readonly ExternalPath[], numbers: Numbers): readonly Connection[] =>
  paths
    .filter((path) => path.external.id === of)
    .map((path) => ({
      id: path.connection,
      site: path.site.id,
      uplink: path.uplink.id,
      address: path.address,
      members: path.members.map(({ tunnel }) => ({ tunnel, ...insidesOf(path, tunnel, numbers) })),
    }))
