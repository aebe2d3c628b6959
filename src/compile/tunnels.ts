/** Paths and numbers → tunnels, interfaces and uplinks (routing rules 6 and 7), and the proof that no two peers overlap. */
import type { Endpoint, Finding, Interface, SiteId, Tunnel, TunnelEnd, TunnelId, Uplink, WireguardTunnel } from '#src/fabric/fabric.ts'
import {
  compareText,
  edgeInterfaceId,
  edgeStem,
  firstHubPort,
  hubInterfaceId,
  hubPort,
  hubStem,
  insideOf,
  meshInterfaceId,
  meshStem,
} from '#src/fabric/ids.ts'
import type { Intent, IntentSite, IntentUplink } from '#src/intent/intent.ts'
import { comparePrefixes, hostOf, hostPrefix, overlaps, type Prefix } from '#src/net/address.ts'
import type { Numbers } from './allocate.ts'
import { type ExternalPath, ipsecInterface, ipsecTunnels } from './externals.ts'
import type { Path, PathEnd } from './paths.ts'

export interface Tunnels {
  readonly tunnels: readonly Tunnel[]
  readonly uplinks: ReadonlyMap<SiteId, readonly Uplink[]>
  readonly interfaces: ReadonlyMap<SiteId, readonly Interface[]>
  readonly findings: readonly Finding[]
}

export function tunnels(intent: Intent, paths: readonly Path[], joins: readonly ExternalPath[], numbers: Numbers): Tunnels {
  const made = new Map<SiteId, Map<string, Interface & { readonly tunnels: TunnelId[] }>>()
  const attach = (end: PathEnd, far: PathEnd, path: Path, index: 0 | 1): TunnelEnd => {
    const planned = interfaceOf(end, far, path.role, index, numbers)
    const own = made.get(end.site.id) ?? new Map()
    made.set(end.site.id, own)
    const existing = own.get(planned.id)
    if (existing) existing.tunnels.push(path.id)
    else own.set(planned.id, { ...planned, tunnels: [path.id] })
    return { site: end.site.id, uplink: end.uplink.id, interface: planned.id }
  }
  const spokesAndMesh = paths.map(
    (path): WireguardTunnel => ({
      id: path.id,
      kind: 'wireguard',
      index: numbers.tunnel(path.id),
      role: path.role,
      ends: [attach(path.ends[0], path.ends[1], path, 0), attach(path.ends[1], path.ends[0], path, 1)],
    }),
  )
  const ipsec = ipsecTunnels(joins, numbers)
  for (const tunnel of ipsec) {
    const own = made.get(tunnel.ends[0].site) ?? new Map()
    made.set(tunnel.ends[0].site, own.set(tunnel.ends[0].interface, { ...ipsecInterface(tunnel, numbers), tunnels: [tunnel.id] }))
  }
  const tunnels: readonly Tunnel[] = [...spokesAndMesh, ...ipsec].sort((a, b) => compareText(a.id, b.id))
  const interfaces = new Map([...made].map(([site, own]) => [site, [...own.values()].sort((a, b) => compareText(a.id, b.id))]))
  const uplinks = new Map(intent.sites.map((site) => [site.id, uplinksOf(site, numbers)]))
  return { tunnels, uplinks, interfaces, findings: overlappingPeers(hubPeers(intent, spokesAndMesh, numbers.ula)) }
}

function interfaceOf(end: PathEnd, far: PathEnd, role: Path['role'], index: 0 | 1, numbers: Numbers): Omit<Interface, 'tunnels'> {
  const own = numbers.slot(end.site.id, end.uplink.id)
  const theirs = numbers.slot(far.site.id, far.uplink.id)
  const uplink = end.uplink.id
  if (role === 'spoke' && index === 1)
    return { id: hubInterfaceId(uplink, theirs), kind: 'hub', uplink, stem: hubStem(own, theirs), port: hubPort(own, theirs) }
  const id = role === 'spoke' ? edgeInterfaceId(uplink, far.site.id, far.uplink.id) : meshInterfaceId(uplink, far.site.id, far.uplink.id)
  const stem = (role === 'spoke' ? edgeStem : meshStem)(numbers.node(far.site.id), own, theirs)
  return { id, kind: role === 'spoke' ? 'edge' : 'mesh', uplink, stem, port: numbers.port(`${end.site.id}/${id}`) }
}

const uplinksOf = (site: IntentSite, numbers: Numbers): Uplink[] =>
  site.uplinks
    .map(
      ({ id, interface: device, transport, medium, metered, tags, up, down, ...rest }): Uplink => ({
        id,
        slot: numbers.slot(site.id, id),
        interface: device,
        transport,
        medium,
        metered,
        tags: [...tags].sort(compareText),
        up,
        down,
        endpoint: endpointOf(rest),
      }),
    )
    .sort((a, b) => compareText(a.id, b.id))

function endpointOf({ address, router, public: dialled }: Pick<IntentUplink, 'address' | 'router' | 'public'>): Endpoint {
  if (address === null || router === null) return { kind: 'dynamic' }
  return { kind: 'fixed', address, router, public: dialled?.address ?? hostOf(address), base: dialled?.base ?? firstHubPort }
}

export interface Peer {
  readonly site: SiteId
  /** The interface it is a peer of. */
  readonly interface: string
  readonly tunnel: TunnelId
  readonly remote: SiteId
  readonly allowedIps: readonly Prefix[]
}

/** The peers of hub interfaces with the AllowedIPs of rule 6; edge and mesh interfaces have one peer each. */
function hubPeers(intent: Intent, tunnels: readonly WireguardTunnel[], ula: Prefix): Peer[] {
  const lans = new Map(intent.sites.map((site) => [site.id, site.lans.map((lan) => lan.prefix)]))
  return tunnels.flatMap(({ id, role, index, ends: [edge, hub] }): Peer[] =>
    role === 'mesh'
      ? []
      : [
          {
            site: hub.site,
            interface: hub.interface,
            tunnel: id,
            remote: edge.site,
            allowedIps: [...(lans.get(edge.site) ?? []), ...([0, 1] as const).map((parity) => hostPrefix(insideOf(ula, index, 0, parity)))],
          },
        ],
  )
}

/**
 * WireGuard gives a prefix to the peer that was configured last and takes it silently from the other, so two peers of
 * one interface must have nothing in common. Nested or equal prefixes are neighbours once sorted.
 */
export function overlappingPeers(peers: readonly Peer[]): Finding[] {
  const findings: Finding[] = []
  for (const [where, group] of Map.groupBy(peers, (peer) => `${peer.site}/${peer.interface}`)) {
    const all = group.flatMap((peer) => peer.allowedIps.map((prefix) => ({ peer, prefix })))
    all.sort((a, b) => comparePrefixes(a.prefix, b.prefix) || compareText(a.peer.tunnel, b.peer.tunnel))
    let outer = all[0]
    for (const one of all.slice(1)) {
      if (!outer || !overlaps(outer.prefix, one.prefix)) outer = one
      else if (outer.peer !== one.peer) {
        findings.push({
          code: 'I130',
          severity: 'error',
          at: [`site/${one.peer.remote}`, `site/${outer.peer.remote}`],
          says: `two peers of ${where} would both own ${one.prefix}: ${outer.peer.tunnel} and ${one.peer.tunnel}`,
          instead: 'the allocations contradict each other; restore the `allocations` table from a backup',
          witness: [],
        })
      }
    }
  }
  return findings
}
