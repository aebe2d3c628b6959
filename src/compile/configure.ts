/** Fabric + Facts → one site's SiteConfig. A late join: pure, deterministic, and what lacks a fact is listed as `waiting`. */
import type {
  Fabric,
  Fact,
  Interface,
  InterfaceId,
  Network,
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
import { endsInside, isIpsecInterface, natTraversalPort } from '#src/fabric/ipsec.ts'
import { atHome } from '#src/fabric/home.ts'
import { cloudEndpoints, commonKey, keyring, peerOf, type PublicKey } from '#src/fabric/peers.ts'
import { type SliceExternal, type SlicePeer, siteSlice } from '#src/fabric/slice.ts'

/** Throws TypeError when the site isn't in the Fabric. */
export function configure(fabric: Fabric, facts: readonly Fact[], site: SiteId): SiteConfig {
  const slice = atHome(siteSlice(fabric, site))
  const own = slice.site
  const keysOf = keyring(facts)
  const metered = new Set(own.uplinks.filter((uplink) => uplink.metered).map(({ id }) => id))
  const interfaces = new Map<InterfaceId, Near>()
  for (const one of own.interfaces) {
    const keys = keysOf(site, one.id)
    const newest = keys.at(-1)?.linkEpoch ?? 0
    interfaces.set(one.id, { one, metered: metered.has(one.uplink), keys, newest, inUse: [newest] })
  }

  const ready: ReadyTunnel[] = []
  const waiting: TunnelId[] = []
  for (const peer of slice.peers) {
    const near = interfaces.get(peer.tunnel.ends[peer.end].interface)!
    const far = farEnd(peer)
    const key = commonKey(near.keys, keysOf(far.site, far.interface))
    if (key === undefined || displaced(key.linkEpoch, near.newest)) waiting.push(peer.tunnel.id)
    else {
      if (!near.inUse.includes(key.linkEpoch)) near.inUse.push(key.linkEpoch)
      ready.push(readyTunnel(slice.network, near, peer, key))
    }
  }
  const endpoints = cloudEndpoints(facts)
  for (const external of slice.externals) {
    const { id, ends } = external.tunnel
    const secret = endpoints.secret(id)
    const cloud = endpoints.address(id)
    const far = external.far ?? (cloud === undefined ? undefined : { address: cloud, id: cloud })
    const near = interfaces.get(ends[0].interface)!
    if (secret) near.inUse = [secret.linkEpoch]
    if (secret && far) ready.push(readyIpsec(near, external, secret, far))
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
    ...(own.exitsFor ? { exitsFor: own.exitsFor } : {}),
    ...(own.exitHub ? { exitHub: own.exitHub } : {}),
    ...(own.bgp ? { bgp: own.bgp } : {}),
    ...(own.ospf ? { ospf: own.ospf } : {}),
    classes: classesAt(slice.classes, own),
    segments: slice.segments,
    ...(slice.translations.length > 0 ? { translations: slice.translations } : {}),
    lans: own.lans,
    routes: slice.routes,
    groups: own.groups,
    rules: own.rules,
    ...(own.denies ? { denies: own.denies } : {}),
    transits: own.transits,
    interfaces: own.interfaces.flatMap((one) => withEpochs(interfaces.get(one.id)!)),
    tunnels: ready,
    waiting,
  }
}

/** An interface of the site while its tunnels are joined. */
interface Near {
  readonly one: Interface
  /** Its uplink is. */
  readonly metered: boolean
  readonly keys: readonly PublicKey[]
  readonly newest: number
  /** The newest link epoch, for peers to come, and those before it while tunnels still use them. */
  inUse: number[]
}
const farEnd = ({ tunnel, end }: SlicePeer) => tunnel.ends[end === 0 ? 1 : 0]

/** Two epochs of one parity would share a device, port and addresses: the newer has taken them. */
const displaced = (linkEpoch: number, newest: number): boolean => linkEpoch !== newest && parityOf(linkEpoch) === parityOf(newest)

/** Epoch 0 is what an interface starts with: the agent makes its key when it sees it here. */
const withEpochs = ({ one: { id, kind, uplink, stem, port }, inUse }: Near): ReadyInterface[] =>
  inUse
    .sort((a, b) => a - b)
    .map((linkEpoch) => {
      // IKE makes new keys by itself, and a new secret keeps the device.
      const shown = isIpsecInterface({ kind }) ? 0 : linkEpoch
      return { id, kind, uplink, stem, port, linkEpoch, device: deviceName(stem, shown), listenPort: listenPort(port, shown) }
    })

function readyTunnel({ ula }: Network, near: Near, peer: SlicePeer, { linkEpoch, publicKey }: PublicKey): ReadyWireguard {
  const { tunnel, end } = peer
  const far = farEnd(peer)
  const { inside, farInside, endpoint, allowedIps } = peerOf(ula, near.one.kind, peer, linkEpoch)
  return {
    id: tunnel.id,
    index: tunnel.index,
    role: tunnel.role,
    probe: 'stamp',
    interface: near.one.id,
    linkEpoch,
    uplink: near.one.uplink,
    remote: far.site,
    remoteUplink: far.uplink,
    metered: near.metered || peer.farMetered,
    decides: end === 0,
    initiates: end === 0,
    inside,
    farInside,
    peer: { kind: 'wireguard', publicKey, endpoint, allowedIps },
  }
}

/** The far end never dials: it waits on its address. */
function readyIpsec(
  { one: own, metered }: Near,
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
    metered,
    decides: true,
    initiates: true,
    ...endsInside(tunnel.inside),
    ...(tunnel.alsoInside === undefined ? {} : { alsoInside: endsInside(tunnel.alsoInside) }),
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
