/** One site's part of the Fabric: exactly what `configure` reads, so its hash moves when, and only when, the site's config can. */
import type { Fabric, Network, Segment, Site, SiteId, TrafficClass, Tunnel, Uplink } from './fabric.ts'
import { contentHash } from './hash.ts'
import type { Prefix } from '#src/net/address.ts'

export interface SiteSlice {
  readonly network: Network
  readonly site: Site
  readonly classes: readonly TrafficClass[]
  readonly segments: readonly Segment[]
  readonly peers: readonly SlicePeer[]
}
/** A tunnel of the site and what is needed of its far end. */
export interface SlicePeer {
  readonly tunnel: Tunnel
  readonly end: 0 | 1
  readonly farPort: number
  readonly farEndpoint: Uplink['endpoint']
  readonly farMetered: boolean
  /** The far site's overlay prefixes where this end is a hub interface; else none. */
  readonly farPrefixes: readonly Prefix[]
}

interface Index {
  readonly sites: ReadonlyMap<SiteId, Site>
  readonly tunnels: ReadonlyMap<SiteId, readonly { readonly tunnel: Tunnel; readonly end: 0 | 1 }[]>
  readonly hashes: Map<SiteId, string>
}
// A Fabric never changes, and slicing all its sites must not look at all tunnels for each.
const indices = new WeakMap<Fabric, Index>()
function indexOf(fabric: Fabric): Index {
  let index = indices.get(fabric)
  if (!index) {
    const tunnels = new Map<SiteId, { tunnel: Tunnel; end: 0 | 1 }[]>(fabric.sites.map((site) => [site.id, []]))
    for (const tunnel of fabric.tunnels) for (const end of [0, 1] as const) tunnels.get(tunnel.ends[end].site)!.push({ tunnel, end })
    index = { sites: new Map(fabric.sites.map((site) => [site.id, site])), tunnels, hashes: new Map() }
    indices.set(fabric, index)
  }
  return index
}

export const siteOf = (fabric: Fabric, id: SiteId): Site | undefined => indexOf(fabric).sites.get(id)
/** The tunnels that end at a site, in the Fabric's order. */
export const tunnelsOf = (fabric: Fabric, id: SiteId): readonly { readonly tunnel: Tunnel; readonly end: 0 | 1 }[] =>
  indexOf(fabric).tunnels.get(id) ?? []

/** Throws TypeError when the site isn't in the Fabric. */
export function siteSlice(fabric: Fabric, id: SiteId): SiteSlice {
  const site = siteOf(fabric, id)
  if (!site) throw new TypeError(`no site "${id}" in network ${fabric.network.id}`)
  const peers = tunnelsOf(fabric, id).map(({ tunnel, end }): SlicePeer => {
    const far = tunnel.ends[end === 0 ? 1 : 0]
    const farSite = siteOf(fabric, far.site)!
    const farUplink = farSite.uplinks.find((one) => one.id === far.uplink)!
    return {
      tunnel,
      end,
      farPort: farSite.interfaces.find((one) => one.id === far.interface)!.port,
      farEndpoint: farUplink.endpoint,
      farMetered: farUplink.metered,
      farPrefixes: tunnel.role === 'spoke' && end === 1 ? farSite.lans.map((lan) => lan.prefix) : [],
    }
  })
  return { network: fabric.network, site, classes: fabric.classes, segments: fabric.segments, peers }
}

/** SHA-256, hex, of the site's slice. */
export function siteHash(fabric: Fabric, id: SiteId): string {
  const { hashes } = indexOf(fabric)
  const hash = hashes.get(id) ?? contentHash(siteSlice(fabric, id))
  hashes.set(id, hash)
  return hash
}
