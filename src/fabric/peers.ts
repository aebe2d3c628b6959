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

export interface Keyring {
  /** Of an interface, by name. */
  at(site: SiteId, of: InterfaceId): Keys
  /** Link epochs whose public key is known, rising. */
  epochs(site: SiteId, of: InterfaceId): readonly number[]
  publicKey(site: SiteId, of: InterfaceId, linkEpoch: number): string | undefined
}
/** The public keys of an interface: link epochs, rising, and the key of each. */
export interface Keys {
  readonly epochs: readonly number[]
  readonly publicKeys: readonly string[]
}
const noKeys: Keys = { epochs: [], publicKeys: [] }
/** The public keys among facts, read once for all sites. */
export const keyring = onceOf((facts: readonly Fact[]): Keyring => {
  const keys = new Map<SiteId, Map<InterfaceId, { epochs: number[]; publicKeys: string[] }>>()
  for (const fact of facts) {
    if (fact.kind !== 'key') continue
    let site = keys.get(fact.site)
    if (!site) keys.set(fact.site, (site = new Map()))
    const known = site.get(fact.interface)
    if (!known) {
      site.set(fact.interface, { epochs: [fact.linkEpoch], publicKeys: [fact.publicKey] })
      continue
    }
    const { epochs, publicKeys } = known
    const before = epochs.findIndex((linkEpoch) => linkEpoch >= fact.linkEpoch)
    const place = before < 0 ? epochs.length : before
    const again = epochs[place] === fact.linkEpoch ? 1 : 0
    epochs.splice(place, again, fact.linkEpoch)
    publicKeys.splice(place, again, fact.publicKey)
  }
  const at = (site: SiteId, of: InterfaceId): Keys => keys.get(site)?.get(of) ?? noKeys
  return {
    at,
    epochs: (site, of) => at(site, of).epochs,
    publicKey: (site, of, linkEpoch) => keyOf(at(site, of), linkEpoch),
  }
})

export const keyOf = ({ epochs, publicKeys }: Keys, linkEpoch: number): string | undefined => publicKeys[epochs.indexOf(linkEpoch)]
/** The newest link epoch that both ends have a key for. */
export const commonEpoch = (near: readonly number[], far: readonly number[]): number | undefined =>
  near.findLast((linkEpoch) => far.includes(linkEpoch))

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
