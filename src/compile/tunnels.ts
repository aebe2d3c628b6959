/** Paths and numbers → tunnels, interfaces and uplinks (routing rules 6 and 7), and the proof that no two peers overlap. */
import type {
  Endpoint,
  Finding,
  Interface,
  InterfaceId,
  IpsecTunnel,
  NodeId,
  PeerId,
  Route,
  SiteId,
  Tunnel,
  TunnelEnd,
  TunnelId,
  Uplink,
  WireguardTunnel,
} from '#src/fabric/fabric.ts'
import { compareText, edgeStem, firstHubPort, hubInterfaceId, hubPort, hubStem, insideOf, meshStem } from '#src/fabric/ids.ts'
import { type Intent, type IntentSite, type IntentUplink } from '#src/intent/intent.ts'
import { comparePrefixes, hostOf, hostPrefix, overlaps, type Prefix } from '#src/net/address.ts'
import { onceOfEach } from '#src/net/once.ts'
import { inOrder } from '#src/net/sorted.ts'
import { type Allocated, type Numbers, portAt, slotAt, tunnelAt } from './allocate.ts'
import { flatten, patched } from './arrays.ts'
import { type ExternalPath, ipsecInterface, ipsecTunnels } from './externals.ts'
import { List } from './list.ts'
import { createMemo, type Made, membersSince, type Memo, since } from './memo.ts'
import type { NetworkRoutes } from './network-routes.ts'
import { endsAtHub, interfaceTowards, type Path, type PathEnd, type Paths } from './paths.ts'
import { hubsOf, sitesOf } from './sites.ts'

export interface Tunnels {
  /** By id. */
  readonly tunnels: readonly Tunnel[]
  /** Those to clouds and peers. */
  readonly ipsec: readonly IpsecTunnel[]
  readonly mesh: Mesh
  /** In the order of sites: those to its hubs. */
  readonly ofSpokes: List<readonly WireguardTunnel[]>
  /** In the order of sites, as are `interfaces`. */
  readonly uplinks: List<readonly Uplink[]>
  readonly interfaces: List<readonly Interface[]>
  readonly findings: readonly Finding[]
}
export interface Mesh {
  readonly tunnels: readonly WireguardTunnel[]
  readonly between: (a: SiteId, b: SiteId) => readonly WireguardTunnel[]
}
/** What is built because of a spoke: its own, and its share of its hubs' interfaces. */
interface Spoke {
  readonly uplinks: readonly Uplink[]
  readonly tunnels: readonly WireguardTunnel[]
  readonly interfaces: readonly Interface[]
  readonly atHubs: Share
}
type Share = readonly Standing[]

export function tunnels(
  intent: Intent,
  paths: Paths,
  joins: readonly ExternalPath[],
  { numbers, at }: Pick<Allocated, 'numbers' | 'at'>,
  routes: NetworkRoutes,
  memo: Memo = createMemo(),
): Tunnels {
  const sites = sitesOf(intent, memo)
  const hubs = hubsOf(intent, memo)
  const places = new Map(hubs.map((hub) => [hub, intent.sites.indexOf(hub)]))
  const world = [numbers.ula, ...hubs, ...hubs.map((hub) => at.at(places.get(hub)!))]

  const hubEnds = memo.once('ends at hubs', world, () => endsOfHubs(hubs, numbers))
  const mesh = memo.once('the mesh', world, () =>
    buildMesh(hubs.flatMap((hub) => meshFrom(hub, paths.of.at(places.get(hub)!)!, at.at(places.get(hub)!)!, hubEnds))),
  )
  const built = memo.rows('spokes', world, [sites, paths.of, at], (site, own, values) =>
    places.has(site) ? { ...nothingBuilt, uplinks: uplinksOf(site, values) } : spoke(site, own, values, hubEnds, memo),
  )
  const ipsec = memo.once('IPsec tunnels', [joins, numbers], () => memo.keep('IPsec tunnels', ipsecTunnels(joins, numbers)))
  const outward = memo.once('IPsec interfaces', [ipsec, numbers], () =>
    memo.keep(
      'IPsec interfaces',
      ipsec.map((tunnel) => ({ hub: tunnel.ends[0].site, made: ipsecInterface(tunnel, numbers) })),
    ),
  )
  const shares = memo.rows('shares of hub interfaces', [], [built], (one) => one.atHubs)
  const used = memo.once('interfaces towards spokes', [shares], (before?: Made<HubInterfaces>) => towardsSpokes(shares, before))
  const towards = hubs.map(({ id }) =>
    memo.members(
      `interfaces of ${id} towards spokes`,
      [...(used.get(id)?.values() ?? [])].map((one) => one.interface),
    ),
  )
  const interfacesOfHubs = memo.rows('interfaces of hubs', [mesh, outward], [hubs, towards], (hub, own) =>
    inOrder(flatten([own, mesh.interfaces.get(hub.id) ?? [], outward.filter((one) => one.hub === hub.id).map((one) => one.made)]), byId),
  )
  const hubTunnels = memo.once('tunnels of hubs', [mesh, ipsec], () => List.of<readonly Tunnel[]>([mesh.tunnels, ipsec]))
  const ofSpokes = memo.rows('tunnels of spokes', [], [built], (one) => one.tunnels)
  const all = memo.once('tunnels', [ofSpokes, hubTunnels], (before?: Made<readonly Tunnel[]>) => {
    const { gone, come } = membersSince<Tunnel>(before, [ofSpokes, hubTunnels])
    return patched(before?.value ?? [], gone, come, byId)
  })
  const inUla = memo.once('prefixes in the /48', [numbers.ula, routes.all], (before?: Made<readonly Route[]>) => {
    const same = before?.inputs[0] === numbers.ula
    const { gone, come } = routes.all.since(same ? (before.inputs[1] as typeof routes.all) : undefined)
    const inside = come.filter(({ to }) => overlaps(to, numbers.ula))
    return patched(same ? before.value : [], gone, inside, (a, b) => comparePrefixes(a.to, b.to))
  })
  const doubtful = numbers.contradict || routes.overlap
  return {
    tunnels: all,
    mesh,
    ipsec,
    ofSpokes,
    uplinks: memo.rows('uplinks', [], [built], (one) => one.uplinks),
    interfaces: memo.overlaid(
      'interfaces',
      memo.rows('interfaces of spokes', [], [built], (one) => one.interfaces),
      hubs.map((hub, n) => [places.get(hub)!, interfacesOfHubs.at(n)!]),
    ),
    // Where all prefixes and numbers are told apart, those of the peers of one interface are.
    findings: [
      ...inUla.map((route) => ownedTwice(route, kindOf(intent, route.remote), numbers.ula)),
      ...intent.peers.flatMap((peer) =>
        peer.pools.filter((pool) => overlaps(pool, numbers.ula)).map((pool) => madeTwice(peer.id, pool, numbers.ula)),
      ),
      ...(doubtful ? overlappingPeers(hubPeers(intent, flatten(ofSpokes.all), numbers.ula)) : []),
    ],
  }
}
const kindOf = ({ regions, peers }: Intent, id: NodeId): string =>
  regions.some((region) => region.id === id) ? 'region' : peers.some((peer) => peer.id === id) ? 'peer' : 'site'
/** Whoever is in there could answer for the inside of a tunnel. */
const ownedTwice = ({ to, segment, remote }: Route, kind: string, ula: Prefix): Finding => ({
  code: 'I131',
  severity: 'error',
  at: [`${kind}/${remote}/lan/${segment}`, `${kind}/${remote}`],
  says: `${to} at ${remote} has addresses of ${ula}, which this network uses inside its tunnels`,
  instead: 'give the LAN a prefix of your own: from your provider, or another of fd00::/8',
  witness: [],
})
const madeTwice = (peer: PeerId, pool: Prefix, ula: Prefix): Finding => ({
  code: 'I131',
  severity: 'error',
  at: [`peer/${peer}/inside/6`, `peer/${peer}`],
  says: `${pool} for the tunnels of peer ${peer} has addresses of ${ula}, which this network uses inside its own`,
  instead: 'write another network of fd00::/8',
  witness: [],
})
const nothingBuilt: Spoke = { uplinks: [], tunnels: [], interfaces: [], atHubs: [] }
const byId = (a: { readonly id: string }, b: { readonly id: string }): number => compareText(a.id, b.id)

/** An interface, and a tunnel's end there. */
interface Standing {
  readonly interface: Interface
  readonly end: TunnelEnd
}
const endAt = (site: SiteId, own: Interface): TunnelEnd => ({ site, uplink: own.uplink, interface: own.id })
const standing = (site: SiteId, own: Interface): Standing => ({ interface: own, end: endAt(site, own) })
/** Hubs' uplinks as others name them: what thousands of spokes have in common is made once. */
type HubEnds = ReadonlyMap<PathEnd, HubEnd>
interface HubEnd {
  readonly slot: number
  /** For all spokes' uplinks of a slot. */
  readonly towards: (slot: number) => Standing
  /** Of what leads here from an uplink of a slot, at a spoke or at another hub. */
  readonly stems: Readonly<Record<Path['role'], (slot: number) => string>>
}
const endsOfHubs = (hubs: readonly IntentSite[], numbers: Numbers): HubEnds =>
  new Map(
    hubs.flatMap((hub) => endsAtHub(hub).map((end) => [end, hubEndOf(end, numbers.node(hub.id), numbers.slot(hub.id, end.uplink.id))] as const)),
  )
function hubEndOf({ site, uplink: { id } }: PathEnd, node: number, slot: number): HubEnd {
  const towards = (theirs: number) =>
    standing(site.id, { id: hubInterfaceId(id, theirs), kind: 'hub', uplink: id, stem: hubStem(slot, theirs), port: hubPort(slot, theirs) })
  const spoke = onceOfEach((theirs: number) => edgeStem(node, theirs, slot))
  const mesh = onceOfEach((theirs: number) => meshStem(node, theirs, slot))
  return { slot, towards: onceOfEach(towards), stems: { spoke, mesh } }
}

const tunnelOf = ({ id, role }: Path, index: number, near: TunnelEnd, far: TunnelEnd): WireguardTunnel => ({
  id,
  kind: 'wireguard',
  index,
  role,
  ends: [near, far],
})

function spoke(site: IntentSite, paths: readonly Path[], values: readonly number[], hubEnds: HubEnds, memo: Memo): Spoke {
  const slotOf = ({ ends: [{ uplink }] }: Path) => slotAt(values, site.uplinks.indexOf(uplink))
  const atHubs = paths.map((path) => hubEnds.get(path.ends[1])!.towards(slotOf(path)))
  const interfaces = paths.map((path, n): Interface => {
    const [{ uplink }, far] = path.ends
    const stem = hubEnds.get(far)!.stems.spoke(slotOf(path))
    return { id: interfaceTowards('spoke', uplink.id, far), kind: 'edge', uplink: uplink.id, stem, port: portAt(values, site, paths, n, 0) }
  })
  const tunnels = paths.map((path, n) => tunnelOf(path, tunnelAt(values, site, n), endAt(site.id, interfaces[n]!), atHubs[n]!.end))
  return {
    uplinks: uplinksOf(site, values),
    tunnels: memo.keep('tunnels of a spoke', tunnels, site.id),
    interfaces: inOrder(interfaces, byId),
    atHubs: memo.keep('ends at the hubs of a spoke', atHubs, site.id),
  }
}

interface Built {
  readonly tunnel: WireguardTunnel
  readonly at: readonly [Standing, Standing]
}
/** Of the paths that begin at a hub. */
function meshFrom(hub: IntentSite, paths: readonly Path[], values: readonly number[], hubEnds: HubEnds): readonly Built[] {
  const at = (near: PathEnd, far: PathEnd, port: number): Standing => {
    const stem = hubEnds.get(far)!.stems.mesh(hubEnds.get(near)!.slot)
    return standing(near.site.id, { id: interfaceTowards('mesh', near.uplink.id, far), kind: 'mesh', uplink: near.uplink.id, stem, port })
  }
  return paths.map((path, n): Built => {
    const [low, high] = path.ends
    const near = at(low, high, portAt(values, hub, paths, n, 0))
    const far = at(high, low, portAt(values, hub, paths, n, 1))
    return { tunnel: tunnelOf(path, tunnelAt(values, hub, n), near.end, far.end), at: [near, far] }
  })
}

function buildMesh(made: readonly Built[]) {
  const interfaces = new Map<SiteId, Interface[]>()
  const ofLower = new Map<SiteId, WireguardTunnel[]>()
  const put = <T>(lists: Map<SiteId, T[]>, site: SiteId, one: T): void => {
    const known = lists.get(site)
    if (known) known.push(one)
    else lists.set(site, [one])
  }
  for (const { tunnel, at } of made) {
    for (const { end, interface: own } of at) put(interfaces, end.site, own)
    put(ofLower, tunnel.ends[0].site, tunnel)
  }
  const between = (a: SiteId, b: SiteId): readonly WireguardTunnel[] => {
    const [low, high] = a < b ? [a, b] : [b, a]
    return ofLower.get(low)?.filter((tunnel) => tunnel.ends[1].site === high) ?? []
  }
  return { tunnels: made.map((one) => one.tunnel), interfaces, between }
}

/** By hub and interface: for how many tunnels. */
type HubInterfaces = ReadonlyMap<SiteId, ReadonlyMap<InterfaceId, HubInterface>>
interface HubInterface {
  readonly interface: Interface
  readonly tunnels: number
}
/** Each serves all spokes' uplinks of one slot, while there are any. */
function towardsSpokes(shares: List<Share>, before?: Made<HubInterfaces>): HubInterfaces {
  const { gone, come } = since(before, shares)
  const hubs = new Map(before?.value)
  const fresh = new Map<SiteId, Map<InterfaceId, HubInterface>>()
  const count = (share: Share, by: 1 | -1) => {
    for (const { interface: own, end } of share) {
      const hub = end.site
      let all = fresh.get(hub)
      if (!all) {
        fresh.set(hub, (all = new Map(hubs.get(hub))))
        hubs.set(hub, all)
      }
      const known = all.get(own.id)
      // The interface as those have it that came, where any did: a hub's uplink with another slot is planned anew.
      all.set(own.id, { interface: own, tunnels: (known?.tunnels ?? 0) + by })
    }
  }
  for (const share of gone) count(share, -1)
  for (const share of come) count(share, 1)
  for (const all of fresh.values()) for (const [id, { tunnels }] of all) if (tunnels === 0) all.delete(id)
  return hubs
}

const uplinksOf = (site: IntentSite, values: readonly number[]): Uplink[] =>
  inOrder(
    site.uplinks.map(
      ({ id, interface: device, transport, medium, metered, tags, up, down, ...rest }, n): Uplink => ({
        id,
        slot: slotAt(values, n),
        interface: device,
        transport,
        medium,
        metered,
        tags: [...tags].sort(compareText),
        up,
        down,
        endpoint: endpointOf(rest),
      }),
    ),
    byId,
  )

function endpointOf({ address, router, public: dialled, families }: Pick<IntentUplink, 'address' | 'router' | 'public' | 'families'>): Endpoint {
  if (address === null || router === null) return families.includes(6) ? { kind: 'dynamic', families } : { kind: 'dynamic' }
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
