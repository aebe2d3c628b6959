/** Fabric + Facts → one site's SiteConfig. A late join: pure, deterministic, and whatever lacks a fact is listed as `waiting`. */
import type { Fabric, Fact, Interface, InterfaceId, ReadyInterface, ReadyTunnel, SiteConfig, SiteId, TunnelId } from '#src/fabric/fabric.ts'
import { deviceName, insideOf, listenPort, publicPort } from '#src/fabric/ids.ts'
import { type SiteSlice, type SlicePeer, siteSlice } from '#src/fabric/slice.ts'
import { hostPrefix, prefix } from '#src/net/address.ts'
import { routeVectors } from './vectors.ts'

/** Throws TypeError when the site isn't in the Fabric. */
export function configure(fabric: Fabric, facts: readonly Fact[], site: SiteId): SiteConfig {
  const slice = siteSlice(fabric, site)
  const own = slice.site
  const keys = keyring(facts, new Set([site, ...slice.peers.map((peer) => peer.tunnel.ends[peer.end === 0 ? 1 : 0].site)]))
  const interfaces = new Map(own.interfaces.map((one) => [one.id, one]))

  const ready: ReadyTunnel[] = []
  const waiting: TunnelId[] = []
  const inUse = new Map<InterfaceId, Set<number>>()
  for (const peer of slice.peers) {
    const near = peer.tunnel.ends[peer.end]
    const far = peer.tunnel.ends[peer.end === 0 ? 1 : 0]
    const linkEpoch = highestCommon(keys.epochs(near.site, near.interface), keys.epochs(far.site, far.interface))
    if (linkEpoch === undefined) {
      waiting.push(peer.tunnel.id)
      continue
    }
    const used = inUse.get(near.interface) ?? new Set<number>()
    inUse.set(near.interface, used.add(linkEpoch))
    ready.push(readyTunnel(slice, interfaces.get(near.interface)!, peer, linkEpoch, keys.key(far.site, far.interface, linkEpoch)!))
  }
  return {
    kind: 'site-config',
    network: slice.network,
    site,
    index: own.index,
    role: own.role,
    hub: own.hub,
    loopback: own.loopback,
    uplinks: own.uplinks,
    classes: slice.classes,
    segments: slice.segments,
    lans: own.lans,
    routes: own.routes,
    groups: own.groups,
    rules: own.rules,
    transits: own.transits,
    interfaces: own.interfaces.flatMap((one) => withEpochs(one, keys.epochs(site, one.id), inUse.get(one.id) ?? new Set())),
    tunnels: ready,
    waiting,
    vectors: routeVectors(slice),
  }
}

/** Public keys by (site, interface, link epoch), of these sites only. */
function keyring(facts: readonly Fact[], sites: ReadonlySet<SiteId>) {
  const keys = new Map<string, Map<number, string>>()
  for (const fact of facts) {
    if (fact.kind !== 'key' || !sites.has(fact.site)) continue
    const owner = `${fact.site}/${fact.interface}`
    const epochs = keys.get(owner) ?? new Map<number, string>()
    keys.set(owner, epochs.set(fact.linkEpoch, fact.publicKey))
  }
  return {
    epochs: (site: SiteId, id: InterfaceId): readonly number[] => [...(keys.get(`${site}/${id}`)?.keys() ?? [])].sort((a, b) => a - b),
    key: (site: SiteId, id: InterfaceId, linkEpoch: number): string | undefined => keys.get(`${site}/${id}`)?.get(linkEpoch),
  }
}

const highestCommon = (near: readonly number[], far: readonly number[]): number | undefined => near.filter((linkEpoch) => far.includes(linkEpoch)).at(-1)

/**
 * The newest link epoch, for the peers to come, and those that tunnels still use. Epoch 0 is what an interface starts
 * with: the agent makes its key when it sees it here.
 */
function withEpochs(one: Interface, known: readonly number[], used: ReadonlySet<number>): ReadyInterface[] {
  const newest = known.at(-1) ?? 0
  return [...new Set([...used, newest])].sort((a, b) => a - b).map((linkEpoch) => ({ ...one, linkEpoch, device: deviceName(one.stem, linkEpoch), listenPort: listenPort(one.port, linkEpoch) }))
}

const everything = [prefix('0.0.0.0/0'), prefix('::/0')] as const

function readyTunnel({ network: { ula }, site }: SiteSlice, own: Interface, peer: SlicePeer, linkEpoch: number, publicKey: string): ReadyTunnel {
  const { tunnel, end } = peer
  const other = end === 0 ? 1 : 0
  const far = tunnel.ends[other]
  const farInside = insideOf(ula, tunnel.index, other, linkEpoch)
  return {
    id: tunnel.id,
    index: tunnel.index,
    role: tunnel.role,
    interface: own.id,
    linkEpoch,
    uplink: own.uplink,
    remote: far.site,
    remoteUplink: far.uplink,
    metered: peer.farMetered || site.uplinks.some((uplink) => uplink.id === own.uplink && uplink.metered),
    decides: end === 0,
    initiates: end === 0,
    inside: insideOf(ula, tunnel.index, end, linkEpoch),
    farInside,
    peer: {
      publicKey,
      endpoint: peer.farEndpoint.kind === 'fixed' ? { address: peer.farEndpoint.public, port: publicPort(peer.farEndpoint, listenPort(peer.farPort, linkEpoch)) } : 'roams',
      allowedIps: own.kind === 'hub' ? [...peer.farPrefixes, hostPrefix(farInside)] : everything,
    },
  }
}

