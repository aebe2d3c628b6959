/** A tunnel seen from one of its ends, for a link epoch: what its WireGuard peer is told. */
import type { Fact, Interface, InterfaceId, ReadyTunnel, SecretRef, SiteId, TunnelId, WireguardPeer } from './fabric.ts'
import { insideOf, listenPort, publicPort } from './ids.ts'
import type { SlicePeer } from './slice.ts'
import { type Address, hostPrefix, type Prefix, prefix } from '#src/net/address.ts'

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
  /** Link epochs whose public key is known, rising. */
  epochs(site: SiteId, of: InterfaceId): readonly number[]
  publicKey(site: SiteId, of: InterfaceId, linkEpoch: number): string | undefined
}
const keyrings = new WeakMap<readonly Fact[], Keyring>()
/** The public keys among facts, read once for all sites. */
export function keyring(facts: readonly Fact[]): Keyring {
  const known = keyrings.get(facts)
  if (known) return known
  const keys = new Map<SiteId, Map<InterfaceId, Map<number, string>>>()
  const rising = new Map<ReadonlyMap<number, string>, readonly number[]>()
  for (const fact of facts) {
    if (fact.kind !== 'key') continue
    const site = keys.get(fact.site) ?? new Map<InterfaceId, Map<number, string>>()
    const epochs = site.get(fact.interface) ?? new Map<number, string>()
    keys.set(fact.site, site.set(fact.interface, epochs.set(fact.linkEpoch, fact.publicKey)))
  }
  const made: Keyring = {
    epochs(site, of) {
      const epochs = keys.get(site)?.get(of)
      if (!epochs) return []
      const sorted = rising.get(epochs) ?? [...epochs.keys()].sort((a, b) => a - b)
      rising.set(epochs, sorted)
      return sorted
    },
    publicKey: (site, of, linkEpoch) => keys.get(site)?.get(of)?.get(linkEpoch),
  }
  keyrings.set(facts, made)
  return made
}

/** The newest link epoch that both ends have a key for. */
export const commonEpoch = (near: readonly number[], far: readonly number[]): number | undefined =>
  near.findLast((linkEpoch) => far.includes(linkEpoch))

export interface CloudEndpoints {
  /** The newest pre-shared key of a tunnel. */
  secret(of: TunnelId): { readonly ref: SecretRef; readonly linkEpoch: number } | undefined
  /** The cloud's outside address. */
  address(of: TunnelId): Address | undefined
}
const endpointsOf = new WeakMap<readonly Fact[], CloudEndpoints>()
/** What is known of the tunnels to clouds, read once for all sites. */
export function cloudEndpoints(facts: readonly Fact[]): CloudEndpoints {
  const known = endpointsOf.get(facts)
  if (known) return known
  const secrets = new Map<TunnelId, Fact & { readonly kind: 'psk' }>()
  const addresses = new Map<TunnelId, Address>()
  for (const fact of facts) {
    if (fact.kind === 'cloud-endpoint') addresses.set(fact.tunnel, fact.address)
    else if (fact.kind === 'psk' && fact.linkEpoch >= (secrets.get(fact.tunnel)?.linkEpoch ?? 0)) secrets.set(fact.tunnel, fact)
  }
  const made: CloudEndpoints = { secret: (of) => secrets.get(of), address: (of) => addresses.get(of) }
  endpointsOf.set(facts, made)
  return made
}
