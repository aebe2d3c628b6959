/**
 * Names, ports and addresses that follow from indices alone. Everybody who has to agree on one of them (compiler,
 * driver, lab, exports) computes it here.
 */
import { type Address, type Family, nth, type Prefix, prefixBits, prefixFromBits } from '#src/net/address.ts'
import type { ConnectionId, Endpoint, ExternalId, InterfaceId, IpsecTunnel, NodeId, SiteId, Tunnel, TunnelEnd, TunnelId, UplinkId } from './fabric.ts'

/** By code unit: the same order on every machine, whatever its locale. */
export const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

export const tunnelId = (
  a: { readonly site: SiteId; readonly uplink: UplinkId },
  b: { readonly site: SiteId; readonly uplink: UplinkId },
): TunnelId => tunnelBetween(uplinkName(a.site, a.uplink), uplinkName(b.site, b.uplink))
export const uplinkName = (site: SiteId, uplink: UplinkId): string => `${site}.${uplink}`
/** Two uplinks by their names. */
export const tunnelBetween = (a: string, b: string): TunnelId => `${a}--${b}` as TunnelId

/**
 * The second gateway of a site, where it has a pair. The first has the name of the site, so that a site that gets a second
 * one keeps the box it has; names of sites have no dot.
 */
export const secondGateway = (site: SiteId): SiteId => `${site}${secondSuffix}` as SiteId
const secondSuffix = '.b'
/** What places, routes and groups call the LANs behind a gateway: one name for both of a pair. */
export const siteOfGateway = <T extends NodeId>(id: T): T => (id.endsWith(secondSuffix) ? (id.slice(0, -secondSuffix.length) as T) : id)
export const isSecondGateway = (id: NodeId): boolean => id.endsWith(secondSuffix)

/** What a connection of an uplink carries alone, for those to a cloud; null: both families. */
export type Carried = Family | null
/** Sets a connection for IPv6 apart from that of the same uplink which was there before; names of uplinks have no colon. */
const ofCarried = (carried: Carried): string => (carried === 6 ? ':v6' : '')
/** Unique within its region or peer. */
export const connectionId = (site: SiteId, uplink: UplinkId, carried: Carried = null): ConnectionId =>
  `${site}.${uplink}${ofCarried(carried)}` as ConnectionId
/** One of the tunnels of a connection. */
export const ipsecTunnelId = (connection: ConnectionId, external: ExternalId, member: 0 | 1): TunnelId =>
  `${connectionName(external, connection)}.${member}` as TunnelId
/** `frankfurt.isp-a--aws-eu-west-1`: unique in the network, what its tunnels' ids begin with. */
export const connectionName = (external: ExternalId, connection: ConnectionId): string => `${connection}--${external}`
/** The far end of an IPsec tunnel. */
export const externalOf = ({ ends: [, far] }: Pick<IpsecTunnel, 'ends'>): ExternalId => ('region' in far ? far.region : far.peer)
/** Which node an end of a tunnel is at. */
export const nodeOf = (end: Tunnel['ends'][number]): NodeId => ('site' in end ? end.site : 'region' in end ? end.region : end.peer)
/** Its ends at sites: both, or the hub's alone. */
export const siteEnds = ({ ends: [near, far] }: Pick<Tunnel, 'ends'>): readonly TunnelEnd[] => ('site' in far ? [near, far] : [near])

export const hubInterfaceId = (uplink: UplinkId, remoteSlot: number): InterfaceId => `hub:${uplink}/s${remoteSlot}` as InterfaceId
export const edgeInterfaceId = (uplink: UplinkId, hub: SiteId, hubUplink: UplinkId): InterfaceId =>
  `edge:${uplink}/${hub}.${hubUplink}` as InterfaceId
export const meshInterfaceId = (uplink: UplinkId, remote: SiteId, remoteUplink: UplinkId): InterfaceId =>
  `mesh:${uplink}/${remote}.${remoteUplink}` as InterfaceId
export const ipsecInterfaceId = (role: IpsecTunnel['role'], uplink: UplinkId, external: ExternalId, member: 0 | 1, carried: Carried): InterfaceId =>
  `${role}:${uplink}${ofCarried(carried)}/${external}.${member}` as InterfaceId

/** Uplinks of a site: slots 0 to 7. */
export const slots = 8
/** WireGuard's registered port; hub interfaces take 51820 to 51947 (64 slot pairs, two parities). */
export const firstHubPort = 51820
/** Mesh interfaces and those of IPsec. */
export const firstMeshPort = 52000
export const firstEdgePort = 53000
export const portsEnd = 54000
export const hubPort = (uplinkSlot: number, remoteSlot: number): number => firstHubPort + 2 * (uplinkSlot * slots + remoteSlot)

/**
 * Kernel names have at most 15 characters (IFNAMSIZ less its NUL), and `p<parity>` takes two. Slots are one digit, so
 * the four characters `u<own>u<far>` end every edge and mesh stem and the index before them is read without doubt;
 * in base 36 it has room for 36^6 nodes.
 */
export const hubStem = (uplinkSlot: number, remoteSlot: number): string => `cwh${uplinkSlot}s${remoteSlot}`
export const edgeStem = (hubIndex: number, ownSlot: number, farSlot: number): string => `cwe${hubIndex.toString(36)}u${ownSlot}u${farSlot}`
export const meshStem = (remoteIndex: number, ownSlot: number, farSlot: number): string => `cwm${remoteIndex.toString(36)}u${ownSlot}u${farSlot}`
export const ipsecStem = (externalIndex: number, ownSlot: number, member: 0 | 1, carried: Carried): string =>
  `cwi${externalIndex.toString(36)}u${ownSlot}m${carried === 6 ? member + 2 : member}`
/** Nodes a network can hold, so that every stem fits. */
export const nodeLimit = 36 ** 6

export const parityOf = (linkEpoch: number): 0 | 1 => (linkEpoch % 2 === 0 ? 0 : 1)
export const deviceName = (stem: string, linkEpoch: number): string => `${stem}p${parityOf(linkEpoch)}`
export const listenPort = (port: number, linkEpoch: number): number => port + parityOf(linkEpoch)
/** Where a listening port is dialled from outside; a port-forwarded uplink maps base + (port − 51820). */
export const publicPort = (endpoint: Endpoint & { readonly kind: 'fixed' }, port: number): number => endpoint.base + (port - firstHubPort)

const subnets = new Map<Prefix, readonly Prefix[]>()
/** The /64s of the network's ULA /48: 0 holds loopbacks, 1 insides of WireGuard, 2 those of IPsec. */
function subnet(ula: Prefix, number: 0 | 1 | 2): Prefix {
  const known = subnets.get(ula) ?? [0n, 1n, 2n].map((each) => prefixFromBits(6, prefixBits(ula).value | (each << 64n), 64))
  subnets.set(ula, known)
  return known[number]!
}
export const loopbackOf = (ula: Prefix, nodeIndex: number): Address => nth(subnet(ula, 0), nodeIndex + 1)!
/** The /128 of one end (0 or 1) of a tunnel, for a link epoch: e and e + 1 differ, so both can be probed side by side. */
export const insideOf = (ula: Prefix, tunnelIndex: number, end: 0 | 1, linkEpoch: number): Address =>
  nth(subnet(ula, 1), tunnelIndex * 4 + end * 2 + parityOf(linkEpoch))!
/** The /126 inside a tunnel of IPsec that carries IPv6, of fd00::/8 as AWS wants it (VpnTunnelOptionsSpecification). */
export const ipsecInsideOf = (ula: Prefix, tunnelIndex: number): Prefix =>
  prefixFromBits(6, prefixBits(subnet(ula, 2)).value | (BigInt(tunnelIndex) << 2n), 126)
