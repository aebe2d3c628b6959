/** Everything put together, every array in its one order: the Fabric. */
import type { Expect, Fabric, Network, NodeId, Peer, Region, Segment, Service, Site, TrafficClass } from '#src/fabric/fabric.ts'
import { compareText, loopbackOf } from '#src/fabric/ids.ts'
import type { Intent } from '#src/intent/intent.ts'
import { comparePrefixes, prefix } from '#src/net/address.ts'
import { mergePrefixes } from '#src/net/sets.ts'
import type { Numbers } from './allocate.ts'
import { type ExternalPath, peerOf, regionOf } from './externals.ts'
import type { Reachability } from './routes.ts'
import type { Policy } from './rules.ts'
import type { Tunnels } from './tunnels.ts'

export interface Parts {
  readonly intent: Intent
  readonly numbers: Numbers
  readonly tunnels: Tunnels
  readonly joins: readonly ExternalPath[]
  readonly sizes: Pick<Network, 'mtu' | 'mss'>
  readonly classes: readonly TrafficClass[]
  readonly policyOf: (node: NodeId) => Policy
  readonly reachability: ReadonlyMap<NodeId, Reachability>
  readonly services: readonly Service[]
  readonly expects: readonly Expect[]
}

/** RFC 1918 and RFC 4193: private in any case, so declaring a LAN inside them changes nobody's guard. */
const privateSpace = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'].map(prefix)

export function seal({ intent, numbers, tunnels, joins, sizes, classes, policyOf, reachability, services, expects }: Parts): Fabric {
  const forwarding = (node: NodeId) => ({ ...(reachability.get(node) ?? { routes: [], groups: [] }), ...policyOf(node) })
  const sites = intent.sites.map((site): Site => {
    const hub = intent.hubs.includes(site.id)
    return {
      kind: 'site',
      id: site.id,
      index: numbers.node(site.id),
      role: site.role,
      hub,
      hubs: hub ? [] : site.hubs,
      loopback: loopbackOf(numbers.ula, numbers.node(site.id)),
      uplinks: tunnels.uplinks.get(site.id) ?? [],
      interfaces: tunnels.interfaces.get(site.id) ?? [],
      lans: site.lans
        .map(({ segment, interface: device, prefix: lan, address }) => ({ segment, interface: device, prefix: lan, address }))
        .sort((a, b) => comparePrefixes(a.prefix, b.prefix)),
      ...forwarding(site.id),
    }
  })
  const regions = intent.regions.map((region): Region => ({ ...regionOf(region, joins, numbers), ...forwarding(region.id) }))
  const peers = intent.peers.map((peer): Peer => ({ ...peerOf(peer, joins, numbers), ...forwarding(peer.id) }))
  const segments = intent.segments.map((id): Segment => ({ id, index: numbers.segment(id) }))
  return {
    network: {
      id: intent.network,
      ula: numbers.ula,
      ...sizes,
      pool: mergePrefixes([...privateSpace, ...[...sites, ...regions, ...peers].flatMap((node) => node.lans.map((lan) => lan.prefix))]),
    },
    sites: sites.sort((a, b) => compareText(a.id, b.id)),
    regions: regions.sort((a, b) => compareText(a.id, b.id)),
    peers: peers.sort((a, b) => compareText(a.id, b.id)),
    tunnels: tunnels.tunnels,
    segments: segments.sort((a, b) => compareText(a.id, b.id)),
    classes,
    services,
    expects,
  }
}
