/** Fabric + Facts → one site's SiteConfig. A late join: pure, deterministic, and what lacks a fact is listed as `waiting`. */
import type {
  Fabric,
  Fact,
  Interface,
  InterfaceId,
  PeerGateway,
  ReadyInterface,
  ReadyIpsec,
  ReadyTunnel,
  ReadyWireguard,
  SecretRef,
  SiteConfig,
  SiteId,
  TunnelId,
} from '#src/fabric/fabric.ts'
import { classesAt } from '#src/fabric/classes.ts'
import { deviceName, externalOf, listenPort, parityOf } from '#src/fabric/ids.ts'
import { isIpsecInterface, natTraversalPort } from '#src/fabric/ipsec.ts'
import { cloudEndpoints, commonEpoch, keyring, peerOf } from '#src/fabric/peers.ts'
import { type SiteSlice, type SliceExternal, type SlicePeer, siteSlice } from '#src/fabric/slice.ts'
import { nth } from '#src/net/address.ts'
import { routeVectors } from './vectors.ts'

/** Throws TypeError when the site isn't in the Fabric. */
export function configure(fabric: Fabric, facts: readonly Fact[], site: SiteId): SiteConfig {
  const slice = siteSlice(fabric, site)
  const own = slice.site
  const keys = keyring(facts)
  const newest = new Map(own.interfaces.map((one) => [one.id, keys.epochs(site, one.id).at(-1) ?? 0]))
  const interfaces = new Map(own.interfaces.map((one) => [one.id, one]))

  const ready: ReadyTunnel[] = []
  const waiting: TunnelId[] = []
  const inUse = new Map<InterfaceId, Set<number>>()
  for (const peer of slice.peers) {
    const near = peer.tunnel.ends[peer.end]
    const far = farEnd(peer)
    const linkEpoch = commonEpoch(keys.epochs(near.site, near.interface), keys.epochs(far.site, far.interface))
    const publicKey = linkEpoch === undefined ? undefined : keys.publicKey(far.site, far.interface, linkEpoch)
    if (linkEpoch === undefined || publicKey === undefined || displaced(linkEpoch, newest.get(near.interface)!)) waiting.push(peer.tunnel.id)
    else {
      inUse.set(near.interface, (inUse.get(near.interface) ?? new Set<number>()).add(linkEpoch))
      ready.push(readyTunnel(slice, interfaces.get(near.interface)!, peer, linkEpoch, publicKey))
    }
  }
  const endpoints = cloudEndpoints(facts)
  for (const external of slice.externals) {
    const { id, ends } = external.tunnel
    const secret = endpoints.secret(id)
    const cloud = endpoints.address(id)
    const far = external.far ?? (cloud === undefined ? undefined : { address: cloud, id: cloud })
    if (secret) newest.set(ends[0].interface, secret.linkEpoch)
    if (secret && far) ready.push(readyIpsec(slice, interfaces.get(ends[0].interface)!, external, secret, far))
    else waiting.push(id)
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
    ...(own.exits ? { exits: own.exits } : {}),
    classes: classesAt(slice.classes, own),
    segments: slice.segments,
    lans: own.lans,
    routes: own.routes,
    groups: own.groups,
    rules: own.rules,
    ...(own.denies ? { denies: own.denies } : {}),
    transits: own.transits,
    interfaces: own.interfaces.flatMap((one) => withEpochs(one, newest.get(one.id)!, inUse.get(one.id) ?? new Set())),
    tunnels: ready,
    waiting,
    vectors: routeVectors(slice),
  }
}

const farEnd = ({ tunnel, end }: SlicePeer) => tunnel.ends[end === 0 ? 1 : 0]

/** Two epochs of one parity would share a device, port and addresses: the newer has taken them. */
const displaced = (linkEpoch: number, newest: number): boolean => linkEpoch !== newest && parityOf(linkEpoch) === parityOf(newest)

/**
 * The newest link epoch, for peers to come, and the one before it while tunnels still use it. Epoch 0 is what an
 * interface starts with: the agent makes its key when it sees it here.
 */
const withEpochs = (one: Interface, newest: number, used: ReadonlySet<number>): ReadyInterface[] =>
  [...new Set([...used, newest])]
    .sort((a, b) => a - b)
    // IKE makes new keys by itself, and a new secret keeps the device.
    .map((linkEpoch) => ({ ...one, linkEpoch, ...placeOf(one, isIpsecInterface(one) ? 0 : linkEpoch) }))
const placeOf = ({ stem, port }: Interface, linkEpoch: number) => ({ device: deviceName(stem, linkEpoch), listenPort: listenPort(port, linkEpoch) })

function readyTunnel({ network, site }: SiteSlice, own: Interface, peer: SlicePeer, linkEpoch: number, publicKey: string): ReadyWireguard {
  const { tunnel, end } = peer
  const far = farEnd(peer)
  const { inside, farInside, endpoint, allowedIps } = peerOf(network.ula, own.kind, peer, linkEpoch)
  return {
    id: tunnel.id,
    index: tunnel.index,
    role: tunnel.role,
    probe: 'stamp',
    interface: own.id,
    linkEpoch,
    uplink: own.uplink,
    remote: far.site,
    remoteUplink: far.uplink,
    metered: peer.farMetered || site.uplinks.some((uplink) => uplink.id === own.uplink && uplink.metered),
    decides: end === 0,
    initiates: end === 0,
    inside,
    farInside,
    peer: { kind: 'wireguard', publicKey, endpoint, allowedIps },
  }
}

/** The far end never dials: it takes the first host of the /30, and waits on its address. */
function readyIpsec(
  { site }: SiteSlice,
  own: Interface,
  { tunnel, address, farPrefixes, profile, probe }: SliceExternal,
  { ref, linkEpoch }: { readonly ref: SecretRef; readonly linkEpoch: number },
  far: PeerGateway,
): ReadyIpsec {
  const { connection, member } = tunnel.ends[1]
  return {
    id: tunnel.id,
    index: tunnel.index,
    role: tunnel.role,
    probe: 'icmp',
    ...(probe === null ? {} : { probed: probe }),
    interface: own.id,
    linkEpoch,
    uplink: own.uplink,
    remote: externalOf(tunnel),
    connection,
    member,
    metered: site.uplinks.some((uplink) => uplink.id === own.uplink && uplink.metered),
    decides: true,
    initiates: true,
    inside: nth(tunnel.inside, 2)!,
    farInside: nth(tunnel.inside, 1)!,
    peer: {
      kind: 'ipsec',
      address: far.address,
      port: natTraversalPort,
      localId: address,
      remoteId: far.id,
      psk: ref,
      proposals: { ike: profile.ike, esp: profile.esp },
      rekey: profile.rekey,
      prefixes: farPrefixes,
    },
  }
}
