/** A tunnel seen from one of its ends, for a link epoch: what its WireGuard peer is told. */
import type { Fact, Interface, InterfaceId, ReadyTunnel, SecretRef, SiteId, TunnelId, WireguardPeer } from './fabric.ts'
import { insideOf, listenPort, publicPort } from './ids.ts'
import type { SlicePeer } from './slice.ts'
import { type Address, hostPrefix, type Prefix, prefix } from '#src/net/address.ts'
import { onceOf } from '#src/net/once.ts'

const everything = [prefix('0.0.0.0/0'), prefix('::/0')] as const

/** Hub interfaces serve many sites, so each peer may only use its own addresses; the others have one peer (routing rules 6 and 7). */
export function peerOf(
  ula: Prefix,
  own: Interface['kind'],
  { tunnel, end, farEndpoint, farPort, farPrefixes }: SlicePeer,
  linkEpoch: number,
): Pick<ReadyTunnel, 'inside' | 'farInside'> & Omit<WireguardPeer, 'kind' | 'publicKey'> {
  const farInside = insideOf(ula, tunnel.index, end === 0 ? 1 : 0, linkEpoch)
  return {
    inside: insideOf(ula, tunnel.index, end, linkEpoch),
    farInside,
    endpoint: farEndpoint.kind === 'fixed' ? { address: farEndpoint.public, port: publicPort(farEndpoint, listenPort(farPort, linkEpoch)) } : 'roams',
    allowedIps: own === 'hub' ? [...farPrefixes, hostPrefix(farInside)] : everything,
  }
}

export type PublicKey = Fact & { readonly kind: 'key' }
/** The public keys of an interface, by link epoch, rising. */
export type Keyring = (site: SiteId, of: InterfaceId) => readonly PublicKey[]
/** Read once for all sites. */
export const keyring = onceOf((facts: readonly Fact[]): Keyring => {
  const sites = new Map<SiteId, Map<InterfaceId, PublicKey[]>>()
  for (const fact of facts) {
    if (fact.kind !== 'key') continue
    let site = sites.get(fact.site)
    if (!site) sites.set(fact.site, (site = new Map()))
    const known = site.get(fact.interface)
    if (!known) {
      site.set(fact.interface, [fact])
      continue
    }
    const before = known.findIndex(({ linkEpoch }) => linkEpoch >= fact.linkEpoch)
    const place = before < 0 ? known.length : before
    known.splice(place, known[place]?.linkEpoch === fact.linkEpoch ? 1 : 0, fact)
  }
  return (site, of) => sites.get(site)?.get(of) ?? noKeys
})
const noKeys: readonly PublicKey[] = []

/** Of the newest link epoch that both ends have a key for, that of the far end. */
export const commonKey = (near: readonly PublicKey[], far: readonly PublicKey[]): PublicKey | undefined =>
  far.findLast((theirs) => near.some(({ linkEpoch }) => linkEpoch === theirs.linkEpoch))

export interface CloudEndpoints {
  /** The newest pre-shared key of a tunnel. */
  secret(of: TunnelId): { readonly ref: SecretRef; readonly linkEpoch: number } | undefined
  /** The cloud's outside address. */
  address(of: TunnelId): Address | undefined
}
/** What is known of the tunnels to clouds, read once for all sites. */
export const cloudEndpoints = onceOf((facts: readonly Fact[]): CloudEndpoints => {
  const secrets = new Map<TunnelId, Fact & { readonly kind: 'psk' }>()
  const addresses = new Map<TunnelId, Address>()
  for (const fact of facts) {
    if (fact.kind === 'cloud-endpoint') addresses.set(fact.tunnel, fact.address)
    else if (fact.kind === 'psk' && fact.linkEpoch >= (secrets.get(fact.tunnel)?.linkEpoch ?? 0)) secrets.set(fact.tunnel, fact)
  }
  return { secret: (of) => secrets.get(of), address: (of) => addresses.get(of) }
})
