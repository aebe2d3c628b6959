/**
 * One site's part of the Fabric: exactly what `configure` reads, so its hash moves when, and only when, the site's config
 * can. A region's part is the region itself.
 */
import type {
  ExternalId,
  Fabric,
  Interface,
  InterfaceId,
  IpsecProfile,
  IpsecTunnel,
  Network,
  NodeId,
  Peer,
  PeerGateway,
  Region,
  RegionId,
  Route,
  Segment,
  Site,
  SiteId,
  TrafficClass,
  Tunnel,
  Uplink,
  WireguardTunnel,
} from './fabric.ts'
import { contentHash } from './hash.ts'
import { externalOf, nodeOf } from './ids.ts'
import { carries, ipsecProfiles } from './ipsec.ts'
import { routesOf } from './routes.ts'
import { type Address, familyOf, type Prefix } from '#src/net/address.ts'
import { onceOf } from '#src/net/once.ts'

export interface SiteSlice {
  readonly network: Network
  readonly site: Site
  readonly routes: readonly Route[]
  readonly classes: readonly TrafficClass[]
  readonly segments: readonly Segment[]
  readonly peers: readonly SlicePeer[]
  readonly externals: readonly SliceExternal[]
}
/** A WireGuard tunnel of the site and what is needed of its far end. */
export interface SlicePeer {
  readonly tunnel: WireguardTunnel
  readonly end: 0 | 1
  readonly farPort: number
  readonly farEndpoint: Uplink['endpoint']
  readonly farMetered: boolean
  /** The far site's overlay prefixes where this end is a hub interface; else none. */
  readonly farPrefixes: readonly Prefix[]
}
/** An IPsec tunnel of the site. */
export interface SliceExternal {
  readonly tunnel: IpsecTunnel
  /** The hub's end as the far end knows it: to a cloud, the customer gateway. */
  readonly address: Address
  /** null: a cloud's, which is a fact. */
  readonly far: PeerGateway | null
  readonly farPrefixes: readonly Prefix[]
  readonly profile: IpsecProfile
  /** null: the far inside. */
  readonly probe: Address | null
}

interface Index {
  readonly sites: ReadonlyMap<SiteId, Site>
  readonly externals: ReadonlyMap<ExternalId, Region | Peer>
  readonly tunnels: ReadonlyMap<NodeId, readonly { readonly tunnel: Tunnel; readonly end: 0 | 1 }[]>
  readonly hashes: Map<SiteId, string>
}
// A Fabric never changes, and slicing all its sites must not look at all tunnels for each.
const indexOf = onceOf((fabric: Fabric): Index => {
  const tunnels = new Map<NodeId, { tunnel: Tunnel; end: 0 | 1 }[]>(nodesOf(fabric).map((node) => [node.id, []]))
  for (const tunnel of fabric.tunnels) for (const end of [0, 1] as const) tunnels.get(nodeOf(tunnel.ends[end]))!.push({ tunnel, end })
  return {
    sites: new Map(fabric.sites.map((site) => [site.id, site])),
    externals: new Map(externalsOf(fabric).map((one) => [one.id, one])),
    tunnels,
    hashes: new Map(),
  }
})

/** Everything that owns prefixes. */
export const nodesOf = (fabric: Fabric): readonly (Site | Region | Peer)[] => [...fabric.sites, ...externalsOf(fabric)]
/** What hubs join by IPsec. */
export const externalsOf = (fabric: Fabric): readonly (Region | Peer)[] => [...fabric.regions, ...fabric.peers]
export const siteOf = (fabric: Fabric, id: SiteId): Site | undefined => indexOf(fabric).sites.get(id)
/** A region or peer. */
export const externalAt = (fabric: Fabric, id: ExternalId): Region | Peer | undefined => indexOf(fabric).externals.get(id)
export function regionOf(fabric: Fabric, id: RegionId): Region | undefined {
  const found = externalAt(fabric, id)
  return found?.kind === 'region' ? found : undefined
}
/** The same node in another Fabric. */
export const twinOf = (fabric: Fabric, node: Site | Region | Peer): Site | Region | Peer | undefined =>
  node.kind === 'site' ? siteOf(fabric, node.id) : externalAt(fabric, node.id)
/** The tunnels that end at a node, in the Fabric's order. */
export const tunnelsOf = (fabric: Fabric, id: NodeId): readonly { readonly tunnel: Tunnel; readonly end: 0 | 1 }[] =>
  indexOf(fabric).tunnels.get(id) ?? []

/** A hub among hundreds has one for each, and each of them asks for its own. */
const interfacesOf = onceOf((site: Site): ReadonlyMap<InterfaceId, Interface> => new Map(site.interfaces.map((one) => [one.id, one])))

/** Throws TypeError when the site isn't in the Fabric. */
export function siteSlice(fabric: Fabric, id: SiteId): SiteSlice {
  const site = siteOf(fabric, id)
  if (!site) throw new TypeError(`no site "${id}" in network ${fabric.network.id}`)
  const peers: SlicePeer[] = []
  const externals: SliceExternal[] = []
  for (const { tunnel, end } of tunnelsOf(fabric, id)) {
    if (tunnel.kind === 'ipsec') {
      externals.push(sliceExternal(fabric, tunnel))
      continue
    }
    const far = tunnel.ends[end === 0 ? 1 : 0]
    const farSite = siteOf(fabric, far.site)!
    const farUplink = farSite.uplinks.find((one) => one.id === far.uplink)!
    peers.push({
      tunnel,
      end,
      farPort: interfacesOf(farSite).get(far.interface)!.port,
      farEndpoint: farUplink.endpoint,
      farMetered: farUplink.metered,
      farPrefixes: tunnel.role === 'spoke' && end === 1 ? farSite.lans.map((lan) => lan.prefix) : none,
    })
  }
  return { network: fabric.network, site, routes: routesOf(fabric, site), classes: fabric.classes, segments: fabric.segments, peers, externals }
}
const none: readonly Prefix[] = []
function sliceExternal(fabric: Fabric, tunnel: IpsecTunnel): SliceExternal {
  const { connection: name, member } = tunnel.ends[1]
  const id = externalOf(tunnel)
  const external = externalAt(fabric, id)
  const connection = external?.connections.find((one) => one.id === name)
  if (!external || !connection) throw new TypeError(`no connection ${name} of ${id}`)
  const behind = external.lans.map((lan) => lan.prefix).filter((prefix) => carries(tunnel, familyOf(prefix)))
  const common = { tunnel, address: connection.address, farPrefixes: behind }
  if (external.kind === 'peer') return { ...common, far: external.gateways[member]!, profile: external.profile, probe: external.probe }
  if (tunnel.role !== 'cloud') throw new TypeError(`${tunnel.id} is a peer's, and ${id} is a region`)
  return { ...common, far: null, profile: ipsecProfiles[tunnel.profile], probe: null }
}

// By the site as the compiler keeps it from one Fabric to the next: most slices come again as they were.
const hashed = new WeakMap<Site, { readonly slice: SiteSlice; readonly hash: string }>()
/** SHA-256, hex, of the site's slice. */
export function siteHash(fabric: Fabric, id: SiteId): string {
  const { hashes } = indexOf(fabric)
  const known = hashes.get(id)
  if (known !== undefined) return known
  const slice = siteSlice(fabric, id)
  const before = hashed.get(slice.site)
  const hash = before && isSameSlice(before.slice, slice) ? before.hash : sliceHash(fabric, slice)
  hashed.set(slice.site, { slice, hash })
  hashes.set(id, hash)
  return hash
}
/** A spoke's routes are part of the site. A hub's are those of the network, read once for all hubs, but for its own LANs. */
const sliceHash = ({ routes: all }: Fabric, slice: SiteSlice): string =>
  contentHash({ ...slice, routes: slice.site.routes || !all ? [] : routesHash(all) })
const routesHash = onceOf((routes: readonly Route[]): string => contentHash(routes))
const isSameSlice = (a: SiteSlice, b: SiteSlice): boolean =>
  a.site === b.site &&
  a.routes === b.routes &&
  a.network === b.network &&
  a.classes === b.classes &&
  a.segments === b.segments &&
  sameEntries(a.peers, b.peers) &&
  sameEntries(a.externals, b.externals)
/** By identity of what they hold, and their prefixes one by one. */
const sameEntries = <T extends SlicePeer | SliceExternal>(a: readonly T[], b: readonly T[]): boolean =>
  a.length === b.length &&
  a.every((one, n) => {
    const { farPrefixes: theirs, ...other } = b[n]!
    const own = one.farPrefixes
    return (
      own.length === theirs.length &&
      own.every((prefix, i) => prefix === theirs[i]) &&
      Object.entries(other).every(([key, value]) => one[key as keyof T] === value)
    )
  })
/** SHA-256, hex, of the region: all that its cloud is made from. Throws TypeError when it isn't in the Fabric. */
export function regionHash(fabric: Fabric, id: RegionId): string {
  const region = regionOf(fabric, id)
  if (!region) throw new TypeError(`no region "${id}" in network ${fabric.network.id}`)
  return contentHash(region)
}
