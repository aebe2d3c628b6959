/** Everything put together, every array in its one order: the Fabric. */
import type {
  Expect,
  ExternalId,
  Fabric,
  HostGroup,
  Network,
  Peer,
  Region,
  Segment,
  Service,
  SharedRisk,
  Site,
  SiteId,
  TrafficClass,
} from '#src/fabric/fabric.ts'
import { compareText, loopbackOf } from '#src/fabric/ids.ts'
import type { Intent, IntentPeer, IntentRegion } from '#src/intent/intent.ts'
import { comparePrefixes, contains, type Prefix, privateSpace } from '#src/net/address.ts'
import { mergePrefixes } from '#src/net/sets.ts'
import { inOrder } from '#src/net/sorted.ts'
import { type Allocated, nodeAt, type Numbers } from './allocate.ts'
import { patched } from './arrays.ts'
import type { Exits } from './exits.ts'
import { type ExternalPath, externalsOf, peerOf, regionOf } from './externals.ts'
import { createMemo, type Made, type Memo, since } from './memo.ts'
import type { Routed } from './routes.ts'
import type { Policies } from './rules.ts'
import { sitesOf } from './sites.ts'
import type { Tunnels } from './tunnels.ts'

export interface Parts {
  readonly intent: Intent
  readonly numbers: Numbers
  readonly numbersAt: Allocated['at']
  readonly tunnels: Tunnels
  readonly exits: Exits
  readonly joins: readonly ExternalPath[]
  readonly sizes: Pick<Network, 'mtu' | 'mss'>
  readonly classes: readonly TrafficClass[]
  readonly policies: Policies
  readonly routed: Omit<Routed, 'findings'>
  readonly services: readonly Service[]
  readonly hostGroups: readonly HostGroup[]
  readonly expects: readonly Expect[]
}

export function seal(
  { intent, numbers, numbersAt, tunnels, exits, joins, sizes, classes, policies, routed, services, hostGroups, expects }: Parts,
  memo: Memo = createMemo(),
): Fabric {
  const hubs = new Set<SiteId>(intent.hubs)
  const sites = memo.rows(
    'sealed sites',
    [numbers.ula, intent.hubs.join(' ')],
    [sitesOf(intent, memo), numbersAt, tunnels.uplinks, tunnels.interfaces, exits.sites, exits.ways, routed.sites, policies.sites],
    (site, values, uplinks, interfaces, leaving, ways, reach, policy): Site => {
      const index = nodeAt(values)
      const hub = hubs.has(site.id)
      return {
        kind: 'site',
        id: site.id,
        index,
        role: site.role,
        hub,
        hubs: hub ? [] : site.hubs,
        loopback: loopbackOf(numbers.ula, index),
        uplinks,
        interfaces,
        lans: inOrder(
          site.lans.map((lan, n) => {
            const internet = ways[n]
            const { segment, interface: device, address, own, via, learned, local, dhcp, ra, trust } = lan
            return {
              segment,
              interface: device,
              prefix: lan.prefix,
              address,
              ...(own === undefined ? {} : { own }),
              ...(internet ? { internet } : {}),
              ...(via === undefined ? {} : { via }),
              ...(learned ? { learned } : {}),
              ...(local === undefined ? {} : { local }),
              ...(dhcp ? { dhcp } : {}),
              ...(ra ? { ra } : {}),
              ...(trust ? { trust } : {}),
            }
          }),
          (a, b) => comparePrefixes(a.prefix, b.prefix),
        ),
        ...(site.classes.length > 0 ? { classes: site.classes } : {}),
        ...leaving,
        ...(site.bgp ? { bgp: site.bgp } : {}),
        ...(site.ospf ? { ospf: site.ospf } : {}),
        ...reach,
        ...policy,
      }
    },
  )
  /** What it is beside its forwarding is mostly the same. */
  const sealed = <T extends object>(id: ExternalId, of: IntentRegion | IntentPeer, make: () => T) => {
    const itself = memo.once(`${id} itself`, [of, joins, numbers], () => memo.keep('externals', make(), id))
    const [reach, policy] = [routed.of(id), policies.of(id)]
    return memo.once(`sealed ${id}`, [itself, reach, policy], () => ({ ...itself, ...reach, ...policy }))
  }
  const regions = intent.regions.map((region): Region => sealed(region.id, region, () => regionOf(region, joins, numbers)))
  const peers = intent.peers.map((peer): Peer => sealed(peer.id, peer, () => peerOf(peer, joins, numbers)))
  const segments = memo.once('segments', [intent.segments, numbers], () =>
    memo.keep('segments', intent.segments.map((id): Segment => ({ id, index: numbers.segment(id) })).sort(byId)),
  )
  const network = { id: intent.network, ula: numbers.ula, ...sizes, pool: poolOf(intent, memo) }
  return {
    network: memo.keep('network', network),
    sites: memo.once('sealed sites by name', [sites], (before?: Made<readonly Site[]>) => {
      const { gone, come } = since(before, sites)
      return patched(before?.value ?? [], gone, come, byId)
    }),
    regions: memo.members('sealed regions', regions.sort(byId)),
    peers: memo.members('sealed peers', peers.sort(byId)),
    tunnels: tunnels.tunnels,
    routes: routed.routes,
    segments,
    classes: memo.keep('classes', classes),
    services,
    ...(hostGroups.length > 0 ? { hostGroups } : {}),
    risks: memo.keep('risks', risksOf(intent, memo)),
    expects,
    ...maintenanceOf(intent, memo),
  }
}

const byId = (a: { readonly id: string }, b: { readonly id: string }): number => compareText(a.id, b.id)

function maintenanceOf(intent: Intent, memo: Memo): Pick<Fabric, 'maintenance'> {
  const bySite = memo.sparse('maintenance of sites', [], [sitesOf(intent, memo)], ({ id, maintenance }) =>
    maintenance ? [{ site: id, ...maintenance }] : [],
  )
  const all = [...bySite].sort((a, b) => compareText(a.site, b.site))
  return all.length > 0 ? { maintenance: memo.keep('maintenance of all', all) } : {}
}

/** What must not leak: private space in any case, so that a LAN inside it changes nobody's guard, and the declared prefixes outside of it. */
function poolOf(intent: Intent, memo: Memo): readonly Prefix[] {
  const outside = (prefixes: readonly Prefix[]) => prefixes.filter((one) => !privateSpace.some((range) => contains(range, one)))
  const ofSites = memo.sparse('public prefixes of sites', [], [sitesOf(intent, memo)], ({ lans }) =>
    outside(lans.flatMap(({ prefix: overlay, local }) => (local === undefined ? [overlay] : [overlay, local]))),
  )
  const externals = externalsOf(intent, memo)
  return memo.once('pool', [ofSites, externals, intent.translate], () => {
    const ofExternals = outside(externals.flatMap(({ lans }) => lans.map((lan) => lan.prefix)))
    // All of it at once, or each LAN that is translated would change everybody's guard.
    const translation = (intent.translate?.mode ?? 'never') === 'never' ? [] : outside(Object.values(intent.translate!.pools))
    return mergePrefixes([...privateSpace, ...ofSites, ...ofExternals, ...translation])
  })
}

/** Uplinks by what they fail with. */
function risksOf(intent: Intent, memo: Memo): readonly SharedRisk[] {
  const ofSites = memo.sparse('shared risks of sites', [], [sitesOf(intent, memo)], ({ id, uplinks }) =>
    uplinks.flatMap((uplink) => uplink.risks.map((risk) => ({ risk, site: id, uplink: uplink.id }))),
  )
  const named = [...ofSites].sort((a, b) => compareText(a.risk, b.risk) || compareText(a.site, b.site) || compareText(a.uplink, b.uplink))
  return [...Map.groupBy(named, ({ risk }) => risk)].map(([id, of]) => ({ id, uplinks: of.map(({ site, uplink }) => ({ site, uplink })) }))
}
