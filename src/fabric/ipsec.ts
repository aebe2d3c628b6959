/** IPsec that AWS, Azure and strongSwan all accept; both ends of a tunnel are made from the same entry. */
import { type Address, type Family, familyOf, nth, type Prefix } from '#src/net/address.ts'
import type {
  ConnectionMember,
  InsideEnds,
  Insides,
  Interface,
  IpsecProfile,
  IpsecProfileId,
  Peer,
  PeerGateway,
  ReadyIpsec,
  ReadyTunnel,
  SiteId,
  Tunnel,
  UplinkId,
} from './fabric.ts'

/** New keys well before the old ones end: at five sixths of their time. */
const rekeyOf = (lifetime: number): number => Math.floor((lifetime * 5) / 6)
export const profileOf = (ike: readonly string[], esp: readonly string[], lifetime: IpsecProfile['lifetime']): IpsecProfile => ({
  ike,
  esp,
  lifetime,
  rekey: { ike: rekeyOf(lifetime.ike), esp: rekeyOf(lifetime.esp) },
})
export const ipsecProfiles: Readonly<Record<IpsecProfileId, IpsecProfile>> = {
  strong: profileOf(['aes256gcm16-prfsha384-ecp384'], ['aes256gcm16-ecp384'], { ike: 28_800, esp: 3_600 }),
}
/**
 * What a third party may be offered, strongest first, in strongSwan's notation: AES, SHA-2, at least 112 bits of DH
 * (RFC 8247), and always perfect forward secrecy.
 */
export const ikeProposals = [
  'aes256gcm16-prfsha384-ecp384',
  'aes256gcm16-prfsha256-ecp256',
  'aes128gcm16-prfsha256-ecp256',
  'aes256-sha384-ecp384',
  'aes256-sha256-ecp256',
  'aes256-sha256-modp3072',
  'aes256-sha256-modp2048',
] as const
export const espProposals = [
  'aes256gcm16-ecp384',
  'aes256gcm16-ecp256',
  'aes128gcm16-ecp256',
  'aes256-sha384-ecp384',
  'aes256-sha256-ecp256',
  'aes256-sha256-modp3072',
  'aes256-sha256-modp2048',
] as const
/** kernel-libipsec reads no more of its TUN at once, whatever the MTU of that says: what is longer loses its end. */
const mostInUserspace = 1400
/** The most that fits into one packet of ESP in UDP over a line of 1500 bytes (RFC 4106, RFC 3602), whoever encrypts. */
export function roomInEsp(proposal: string, outer: Family): number {
  const [iv, icv, block] = proposal.includes('gcm16') ? [8, 16, 4] : [16, proposal.includes('sha384') ? 24 : 16, 16]
  const [udp, header, trailer] = [8, 8, 2]
  const encrypted = 1500 - (outer === 4 ? 20 : 40) - udp - header - iv - icv
  return Math.min(encrypted - (encrypted % block) - trailer, mostInUserspace)
}
/** IKE and ESP in UDP on one port (RFC 3948): what a charon of its own can speak behind NAT and beside others. */
export const natTraversalPort = 4500

/** Those that an uplink can dial whose address is of this family. `member` names the tunnel: the place among all. */
export const gatewaysOver = (
  gateways: readonly PeerGateway[],
  family: Family,
): readonly { readonly gateway: PeerGateway; readonly member: 0 | 1 }[] =>
  gateways.flatMap((gateway, n) => (familyOf(gateway.address) === family ? [{ gateway, member: n as 0 | 1 }] : []))

/** A cloud's tunnel carries what is inside of it, every other both families. */
export const carries = (tunnel: Tunnel, family: Family): boolean => tunnel.role !== 'cloud' || familyOf(tunnel.inside) === family

/** The first is probed, unless something else is stated. */
export const insidesOf = ({ inside, alsoInside }: Insides): readonly Prefix[] => (alsoInside === undefined ? [inside] : [inside, alsoInside])
/**
 * Of a /30 or /126. Not of a /127 (RFC 6164), whose first address is the one that routers may hold for all routers of the
 * link (RFC 4291 section 2.6.1): tunnels discover no neighbours, and hubs let nothing pass to other addresses of theirs.
 */
export const endsInside = (of: Prefix): InsideEnds => ({ inside: nth(of, 2)!, farInside: nth(of, 1)! })
/** As `insidesOf`. */
export const insideEndsOf = (tunnel: ReadyTunnel): readonly InsideEnds[] =>
  isIpsec(tunnel) && tunnel.alsoInside ? [tunnel, tunnel.alsoInside] : [tunnel]
/** Between which addresses its probes run. `stated`: to what answers in place of the far inside. */
export interface ProbeEnds {
  readonly from: Address
  readonly to: Address
  readonly stated: boolean
}
export function probeEnds(tunnel: ReadyTunnel): ProbeEnds {
  const stated = isIpsec(tunnel) ? tunnel.probed : undefined
  const ends = insideEndsOf(tunnel).find(({ inside }) => stated !== undefined && familyOf(inside) === familyOf(stated)) ?? tunnel
  return { from: ends.inside, to: stated ?? ends.farInside, stated: stated !== undefined }
}

/** Whose packets a tunnel of IPsec lets through: those of its insides, and of what is behind its far end. */
export const familiesThrough = (insides: readonly (Address | Prefix)[], behind: readonly Prefix[]): readonly Family[] =>
  ([4, 6] as const).filter((family) => [...insides, ...behind].some((one) => familyOf(one) === family))
/** What IKE is told of them: everything. */
export const selectorOf = { 4: '0.0.0.0/0', 6: '::/0' } as const

export interface TunnelToPeer extends ConnectionMember {
  readonly site: SiteId
  readonly uplink: UplinkId
  /** The hub's end: what it comes from, and its IKE identity. */
  readonly hub: Address
  readonly gateway: PeerGateway
  readonly member: 0 | 1
}
/** In the order of preference of the hubs. */
export const tunnelsToPeer = ({ connections, gateways }: Pick<Peer, 'connections' | 'gateways'>): readonly TunnelToPeer[] =>
  connections.flatMap(({ site, uplink, address, members }) =>
    gatewaysOver(gateways, familyOf(address)).map((end, n) => ({ ...members[n]!, ...end, site, uplink, hub: address })),
  )

export const isIpsec = (tunnel: ReadyTunnel): tunnel is ReadyIpsec => tunnel.peer.kind === 'ipsec'
/** Its device is charon's, and its keys are IKE's: no link epoch of ours makes or moves them. */
export const isIpsecInterface = ({ kind }: Pick<Interface, 'kind'>): boolean => kind === 'cloud' || kind === 'peer'

/** What a third party's key may be: long enough that who listens can't guess it (RFC 7296 section 2.15), printable, and nothing that files need quoted. */
export const pskLength = { least: 20, most: 128 } as const
export function pskFault(secret: string): string | null {
  if (secret.length < pskLength.least || secret.length > pskLength.most)
    return `the pre-shared key has ${secret.length} characters, not ${pskLength.least} to ${pskLength.most}`
  return /^[!#-[\]-~]+$/.test(secret) ? null : 'the pre-shared key has a character that is not printable ASCII, or a space, a quote or a backslash'
}
