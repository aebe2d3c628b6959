/**
 * What must be right in any Fabric, whatever is expected. Each check reads a list once (sorted where it compares), so
 * the cost is that of reading the Fabric.
 */
import type { ClassId, Fabric, Finding, Group, Lan, NodeId, Peer, Region, Route, SharedGroup, Site, Tunnel, TunnelId } from '#src/fabric/fabric.ts'
import { anyRemote, groupOf, hopsOf, isDirect } from '#src/fabric/groups.ts'
import { isSecondGateway, nodeOf, siteEnds, siteOfGateway } from '#src/fabric/ids.ts'
import { ipsecProfiles, roomInEsp } from '#src/fabric/ipsec.ts'
import { isOnLink, isSameLan } from '#src/fabric/lans.ts'
import { counted } from '#src/fabric/plural.ts'
import { routesOf } from '#src/fabric/routes.ts'
import { externalsOf, nodesOf, tunnelsOf } from '#src/fabric/slice.ts'
import { comparePrefixes, contains, enclosing, type Family, familyOf, hostOf, lengthOf, networkOf, overlaps, type Prefix } from '#src/net/address.ts'
import { onceOf } from '#src/net/once.ts'
import { firstOf } from '#src/net/sorted.ts'
import type { Shapes } from './shapes.ts'
import { neverUsed, uplinksText } from './words.ts'

/** What shapes tell of, so that a few sites of each are enough. */
export const tables = (distinct: Fabric, shapes: Shapes): readonly Finding[] => [
  ...hops(distinct, shapes),
  ...routes(distinct, shapes),
  ...loops(distinct),
]
/** What they don't tell of. */
export const wiring = (fabric: Fabric): readonly Finding[] => [
  ...owners(fabric),
  ...sides(fabric),
  ...pairs(fabric),
  ...nextHops(fabric),
  ...interfaces(fabric),
  ...peers(fabric),
  ...devices(fabric),
  ...mtu(fabric),
]
/** LANs, interfaces, tunnels, routes and hops: each is looked at, or one of its shape is. */
export function countStructure(fabric: Fabric): number {
  let count = fabric.tunnels.length
  for (const site of fabric.sites) count += site.interfaces.length
  for (const node of nodesOf(fabric)) {
    count += node.lans.length + routesOf(fabric, node).length
    for (const { remotes, via } of node.groups) count += remotes.length * via.length
  }
  return count
}

const error = (code: string, at: readonly string[], says: string, instead: string, witness: readonly string[] = []): Finding => ({
  code,
  severity: 'error',
  at,
  says,
  instead,
  witness,
})
const compilerFault = 'this is a fault of the compiler: report it with `causeway bundle`'

/** The sites of the same shape, of which only the first was asked. */
const alsoAt = ([, ...others]: readonly NodeId[]): readonly string[] =>
  others.length === 0 ? [] : [`the same at ${counted(others.length, 'more site')}: ${others.slice(0, 5).join(', ')}${others.length > 5 ? ', …' : ''}`]

interface Owned {
  readonly node: NodeId
  readonly kind: Site['kind'] | Region['kind'] | Peer['kind']
  readonly lan: Lan
}
const sortedLans = onceOf((fabric: Fabric): readonly Owned[] =>
  nodesOf(fabric)
    .flatMap((node) => node.lans.map((lan) => ({ node: node.id, kind: node.kind, lan })))
    .sort((a, b) => comparePrefixes(a.lan.prefix, b.lan.prefix)),
)

/** Every overlay address has one owner. */
function owners(fabric: Fabric): readonly Finding[] {
  const lans = sortedLans(fabric)
  const findings: Finding[] = []
  // Prefixes nest or are disjoint, and the wider comes first: the last wide one is the only one to compare with.
  let outer: Owned | undefined
  for (const one of lans) {
    // Both of a pair own the same.
    if (outer && outer.node !== one.node && outer.lan.prefix === one.lan.prefix && siteOfGateway(outer.node) === siteOfGateway(one.node)) continue
    if (outer && overlaps(outer.lan.prefix, one.lan.prefix)) {
      const both = `${outer.lan.prefix} of ${outer.node}/${outer.lan.segment}`
      findings.push(
        error(
          'V024',
          [`${one.kind}/${one.node}`, `${outer.kind}/${outer.node}`],
          `${one.lan.prefix} of ${one.node}/${one.lan.segment} overlaps ${both}`,
          'renumber one of them',
        ),
      )
    } else outer = one
  }
  for (const { node, kind, lan } of lans) if (lan.local !== undefined) findings.push(...untranslatable(fabric, node, kind, lan, lan.local))
  return findings
}
/**
 * What a site sends into the overlay is not on the link of one of its uplinks: what is connected comes before any route
 * (rule 30 of `providers/linux`), so it would leave for the provider's link, and the firewall drop it.
 */
function sides(fabric: Fabric): readonly Finding[] {
  const lans = sortedLans(fabric)
  const from = (link: Prefix): number => firstOf(lans.length, (at) => comparePrefixes(lans[at]!.lan.prefix, link) >= 0)
  /** Those in it, else the one that it is in. */
  const on = (link: Prefix): readonly Owned[] => {
    const inside: Owned[] = []
    for (let n = from(link); n < lans.length && contains(link, lans[n]!.lan.prefix); n++) inside.push(lans[n]!)
    if (inside.length > 0) return inside
    return [...enclosing(link)].flatMap((prefix) => (lans[from(prefix)]?.lan.prefix === prefix ? [lans[from(prefix)]!] : []))
  }
  return fabric.sites.flatMap((site) =>
    site.uplinks.flatMap((uplink) => {
      const { id } = site
      if (uplink.endpoint.kind !== 'fixed') return []
      const link = networkOf(uplink.endpoint.address)
      const other = on(link).find(
        (one) => siteOfGateway(one.node) !== siteOfGateway(id) && routesOf(fabric, site).some(({ to }) => overlaps(to, one.lan.prefix)),
      )
      if (!other) return []
      return [
        error(
          'V015',
          [`site/${id}/uplink/${uplink.id}/address`, `${other.kind}/${other.node}`],
          `${other.lan.prefix} of ${other.node}/${other.lan.segment} is on the link of uplink ${id}.${uplink.id}, ${link}: what hosts of ${siteOfGateway(id)} send there never enters a tunnel`,
          'renumber one of the two, or give the LAN another prefix in the overlay: translate: always',
        ),
      ]
    }),
  )
}
/** Whichever of a pair carries the traffic, it owns, allows and knows the same. */
function pairs(fabric: Fabric): readonly Finding[] {
  const firsts = new Map(fabric.sites.map((site) => [site.id, site]))
  const shared = (site: Site): unknown => [
    site.role,
    site.hubs,
    site.lans.map(({ segment, prefix, address, internet, via, local, own }) => [segment, prefix, address, internet, via, local, own === undefined]),
    site.rules,
    site.denies,
    site.transits,
    site.routes,
  ]
  return fabric.sites.flatMap((site) => {
    const first = isSecondGateway(site.id) ? firsts.get(siteOfGateway(site.id)) : undefined
    if (!isSecondGateway(site.id) || (first && !first.hub && JSON.stringify(shared(first)) === JSON.stringify(shared(site)))) return []
    return [error('V018', [`site/${site.id}`], `${site.id} is no second gateway of ${siteOfGateway(site.id)}: what both have differs`, compilerFault)]
  })
}

/** Translated is host for host, and the gateway tells its LANs apart. */
function untranslatable(fabric: Fabric, node: NodeId, kind: string, lan: Lan, local: Prefix): readonly Finding[] {
  const others = nodesOf(fabric)
    .find((one) => one.id === node)!
    .lans.filter((one) => one !== lan)
  const faults = [
    ...(familyOf(local) === familyOf(lan.prefix) && lengthOf(local) === lengthOf(lan.prefix) ? [] : ['which is not of its size']),
    ...(kind === 'site' ? [] : ['where no gateway of ours is']),
    ...others.flatMap((one) =>
      [one.prefix, one.local].flatMap((other) => (other !== undefined && overlaps(other, local) ? [`which its LAN ${other} overlaps`] : [])),
    ),
  ]
  return faults.map((fault) =>
    error('V019', [`${kind}/${node}`], `${lan.prefix} of ${node}/${lan.segment} would be ${local} there, ${fault}`, compilerFault),
  )
}

/** A router on a LAN is a neighbour: on a connected prefix of its interface, and not the gateway itself. */
function nextHops(fabric: Fabric): readonly Finding[] {
  return fabric.sites.flatMap(({ id, lans }) =>
    lans.flatMap((lan): readonly Finding[] => {
      const { via } = lan
      if (via === undefined) return []
      const link = lans.find((other) => other.via === undefined && other.interface === lan.interface && isSameLan(lan, other))
      if (link && isOnLink(link.local ?? link.prefix, via) && hostOf(link.address) !== via) return []
      return [
        error('V029', [`site/${id}/lan/${lan.segment}`], `${lan.prefix} of ${id} is behind ${via}, which is no router on that LAN`, compilerFault),
      ]
    }),
  )
}

/** Both ends of every tunnel have an interface for it. */
function interfaces(fabric: Fabric): readonly Finding[] {
  const known = new Map(fabric.sites.map((site) => [site.id, new Set(site.interfaces.map(({ id }) => id))]))
  const findings: Finding[] = []
  for (const tunnel of fabric.tunnels) {
    const { id } = tunnel
    for (const end of siteEnds(tunnel))
      if (!known.get(end.site)?.has(end.interface))
        findings.push(error('V027', [`site/${end.site}`], `${end.site} has no interface for tunnel ${id}`, compilerFault))
  }
  return findings
}

/** Every hop goes over a tunnel that joins this node to the next. */
function hops(fabric: Fabric, { alike }: Shapes): readonly Finding[] {
  const tunnels = tunnelsById(fabric)
  const findings: Finding[] = []
  for (const node of nodesOf(fabric)) {
    if (alike(node.id).length === 0) continue
    // Classes that judge alike have the same.
    const distinct = node.groups.filter(
      (group, n) => node.groups.findIndex((other) => other.via === group.via && other.remotes === group.remotes) === n,
    )
    for (const hop of distinct.flatMap((group) => hopsOf(group, node.id))) {
      const ends: readonly NodeId[] = tunnels.get(hop.tunnel)?.ends.map(nodeOf) ?? []
      if (ends.includes(node.id) && ends.includes(hop.next) && hop.next !== node.id) continue
      findings.push(
        error(
          'V027',
          [`${node.kind}/${node.id}`],
          `${node.id} would reach ${hop.next} over tunnel ${hop.tunnel}, which does not join them`,
          compilerFault,
          alsoAt(alike(node.id)),
        ),
      )
    }
  }
  return findings
}
const tunnelsById = onceOf((fabric: Fabric): ReadonlyMap<TunnelId, Tunnel> => new Map(fabric.tunnels.map((tunnel) => [tunnel.id, tunnel])))

/** Every route leads to the owner, and every class has a group for it, with at least one hop. */
function routes(fabric: Fabric, { alike }: Shapes): readonly Finding[] {
  const nodes = new Map<NodeId, Site | Region | Peer>(nodesOf(fabric).map((node) => [node.id, node]))
  const findings: Finding[] = []
  const silent = new Set(fabric.sites.flatMap((site) => withoutAny(fabric, site).map((id) => `${site.id} ${id}`)))
  const isOwned = ({ to, remote }: Route): boolean =>
    nodes.get(remote)?.lans.some((lan) => contains(lan.prefix, to) || contains(to, lan.prefix)) ?? false
  // Many have the same list.
  const astray = onceOf((list: readonly Route[]): readonly Route[] => list.filter((route) => !isOwned(route)))
  const among = onceOf((remotes: readonly NodeId[]): ReadonlySet<NodeId> => new Set(remotes))
  for (const site of nodes.values()) {
    if (alike(site.id).length === 0) continue
    const at = `${site.kind}/${site.id}`
    const own = routesOf(fabric, site)
    for (const { to, remote } of astray(site.routes ?? fabric.routes ?? none)) {
      if (!site.routes && remote === site.id) continue
      findings.push(
        error(
          'V021',
          [at, `${nodes.get(remote)?.kind ?? 'site'}/${remote}`],
          `${site.id} routes ${to} to ${remote}, which does not own it`,
          compilerFault,
          alsoAt(alike(site.id)),
        ),
      )
    }
    const anywhere = Map.groupBy(
      site.groups.filter(({ arrived }) => arrived === 'anywhere'),
      ({ trafficClass }) => trafficClass,
    )
    for (const [remote, families] of familiesByRemote(own)) {
      for (const { id } of fabric.classes) {
        const groups = (anywhere.get(id) ?? none).filter(({ remotes }) => among(remotes).has(remote))
        const missing = families.filter((family) => !groups.some((group) => group.family === undefined || group.family === family))
        if (missing.length > 0)
          findings.push(
            error(
              'V022',
              [at, `class/${id}`],
              `${site.id} routes to ${remote}, but class ${id} has no group for it${missing.length < families.length ? ` in IPv${missing[0]}` : ''}`,
              compilerFault,
              alsoAt(alike(site.id)),
            ),
          )
      }
    }
    for (const { id } of fabric.classes) {
      // A class that may use no uplink of a site at all is said by the compiler, once and with its line.
      if (silent.has(`${site.id} ${id}`)) continue
      const hopless = (anywhere.get(id) ?? none).flatMap((group) =>
        group.via.length > 0 ? [] : group.remotes.flatMap((remote) => (silent.has(`${remote} ${id}`) ? [] : [groupOf(group, site.id, remote)])),
      )
      if (hopless.length > 0) findings.push({ ...empty(fabric, site.id, hopless), witness: alsoAt(alike(site.id)) })
    }
  }
  return findings
}
const none: readonly never[] = []

/** Classes in which the site sends nothing to anybody. */
function withoutAny({ classes }: Fabric, { groups }: Site): readonly ClassId[] {
  const used = new Set(groups.flatMap(({ trafficClass, via }) => (via.length > 0 ? [trafficClass] : [])))
  return classes.flatMap(({ id }) => (used.has(id) ? [] : [id]))
}

const familiesByRemote = onceOf((routes: readonly Route[]): ReadonlyMap<NodeId, readonly Family[]> => {
  const found = new Map<NodeId, readonly Family[]>()
  for (const { to, remote } of routes) {
    const known = found.get(remote) ?? none
    if (!known.includes(familyOf(to))) found.set(remote, [...known, familyOf(to)])
  }
  return found
})

function empty(fabric: Fabric, at: NodeId, groups: readonly Group[]): Omit<Finding, 'witness'> {
  const { trafficClass } = groups[0]!
  const remotes = groups.map((group) => group.remote).sort()
  const forbidden = groups.flatMap((group) => neverUsed(fabric, at, group))
  const only = forbidden.length > 0 ? `what joins them is ${uplinksText(forbidden, at)}, which the class never uses` : 'no tunnel joins them'
  return {
    code: 'V023',
    severity: 'warning',
    at: [`class/${trafficClass}/never`, `class/${trafficClass}`, `site/${at}`],
    says: `class ${trafficClass} is unreachable from ${at} to ${remotes.slice(0, 3).join(', ')}${remotes.length > 3 ? ` and ${remotes.length - 3} more` : ''}: ${only}`,
    instead: 'give the site another uplink, or write `avoid` instead of `never`',
  }
}

/**
 * No choice of hops, at any nodes, in any state, sends packets round: a search for cycles per (remote, class, and family
 * where they part), among those that others send through. Nobody else can be on one.
 */
function loops(fabric: Fabric): readonly Finding[] {
  const tunnels = tunnelsById(fabric)
  const nodes = nodesOf(fabric)
  const apart = new Set(nodes.flatMap(({ groups }) => groups.filter(({ family }) => family !== undefined).flatMap(({ remotes }) => remotes)))
  const vias = new Set(nodes.flatMap(({ groups }) => groups.map(({ via }) => via)))
  const passed = new Set([
    ...nodes.flatMap(({ id }) => (isSecondGateway(id) ? [id] : [])),
    ...[...vias].flatMap((via) => via.flatMap((hop) => (isDirect(hop) ? [] : [hop.next]))),
  ])
  const byRemote = new Map<string, Map<string, Group>>()
  for (const node of nodes) {
    if (!passed.has(node.id)) continue
    for (const shared of node.groups.map(through)) {
      if (shared.via.length === 0) continue
      for (const remote of shared.remotes) {
        const group = groupOf(shared, node.id, remote)
        for (const family of group.family ? [group.family] : apart.has(remote) ? [4, 6] : [0]) {
          const key = `${remote} ${group.trafficClass} ${family}`
          const groups = byRemote.get(key) ?? new Map<string, Group>()
          byRemote.set(key, groups.set(`${node.id} ${group.arrived}`, group))
        }
      }
    }
  }
  const findings: Finding[] = []
  for (const groups of byRemote.values()) {
    const done = new Set<string>()
    const path: string[] = []
    const cycle = (at: string): readonly string[] | null => {
      if (path.includes(at)) return [...path.slice(path.indexOf(at)), at]
      const group = groups.get(at)
      if (!group || done.has(at)) return null
      path.push(at)
      for (const { next, tunnel } of group.via) {
        const found = next === group.remote ? null : cycle(`${next} ${tunnels.get(tunnel)?.role === 'mesh' ? 'mesh' : 'anywhere'}`)
        if (found) return found
      }
      path.pop()
      done.add(at)
      return null
    }
    for (const start of groups.keys()) {
      const found = cycle(start)
      if (!found) continue
      const names = fromSmallest(found.map((key) => key.split(' ')[0]!))
      const { remote, trafficClass } = groups.get(start)!
      findings.push(
        error('V020', [`site/${names[0]!}`], `packets of class ${trafficClass} for ${remote} can go round: ${names.join(' → ')}`, compilerFault),
      )
      break
    }
  }
  return findings
}
/** The same cycle told from one place, wherever it was entered. */
function fromSmallest(cycle: readonly string[]): readonly string[] {
  const ring = cycle.slice(1)
  const start = ring.indexOf([...ring].sort()[0]!)
  return [...ring.slice(start), ...ring.slice(0, start + 1)]
}
/** Without the hops that end at the remote. */
const through = (group: SharedGroup): SharedGroup => ({ ...group, via: group.via.filter(({ next }) => next !== anyRemote) })

/** No two peers of an interface claim one prefix: WireGuard would silently give it to the last. */
function peers(fabric: Fabric): readonly Finding[] {
  const sites = new Map<NodeId, Site>(fabric.sites.map((site) => [site.id, site]))
  const sharing = withSharedAddresses(fabric)
  const findings: Finding[] = []
  for (const site of fabric.sites) {
    const spokes = tunnelsOf(fabric, site.id).flatMap(({ tunnel, end }) => (tunnel.role === 'spoke' && end === 1 ? [tunnel] : []))
    for (const [id, all] of Map.groupBy(spokes, ({ ends: [, hub] }) => hub.interface)) {
      // Those of an interface are thousands, and hardly ever a site stands there twice or one shares addresses.
      const behind = new Set(all.map(({ ends: [spoke] }) => spoke.site))
      if (behind.size === all.length && !all.some(({ ends: [spoke] }) => sharing.has(spoke.site))) continue
      const claims = all
        .flatMap((tunnel) => (sites.get(tunnel.ends[0].site)?.lans ?? []).map((lan) => ({ tunnel: tunnel.id, prefix: lan.prefix })))
        .sort((a, b) => comparePrefixes(a.prefix, b.prefix))
      let outer: { tunnel: string; prefix: Prefix } | undefined
      for (const claim of claims) {
        if (outer && outer.tunnel !== claim.tunnel && overlaps(outer.prefix, claim.prefix)) {
          findings.push(
            error(
              'V025',
              [`site/${site.id}`],
              `interface ${id} of ${site.id} has ${claim.prefix} behind two peers, ${outer.tunnel} and ${claim.tunnel}`,
              compilerFault,
            ),
          )
        } else if (!outer || !overlaps(outer.prefix, claim.prefix)) outer = claim
      }
    }
  }
  return findings
}
/** Nodes with a LAN that overlaps one of another node. */
function withSharedAddresses(fabric: Fabric): ReadonlySet<NodeId> {
  const found = new Set<NodeId>()
  let outer: Owned | undefined
  for (const one of sortedLans(fabric)) {
    if (!outer || !overlaps(outer.lan.prefix, one.lan.prefix)) outer = one
    else if (outer.node !== one.node) found.add(outer.node).add(one.node)
  }
  return found
}

/** Kernel names and ports of a site don't clash, with both parities of the link epoch. */
function devices(fabric: Fabric): readonly Finding[] {
  const findings: Finding[] = []
  for (const site of fabric.sites) {
    const stems = new Map<string, string>()
    const ports = new Map<number, string>()
    for (const { id, stem, port } of site.interfaces) {
      const sameStem = stems.get(stem)
      const samePort = ports.get(port)
      if (sameStem !== undefined)
        findings.push(error('V028', [`site/${site.id}`], `interfaces ${sameStem} and ${id} of ${site.id} are both called ${stem}`, compilerFault))
      if (samePort !== undefined)
        findings.push(error('V028', [`site/${site.id}`], `interfaces ${samePort} and ${id} of ${site.id} both listen on udp/${port}`, compilerFault))
      if (stem.length > 13)
        findings.push(
          error(
            'V028',
            [`site/${site.id}`],
            `interface ${id} of ${site.id} is called ${stem}p0, longer than the kernel's 15 characters`,
            compilerFault,
          ),
        )
      if (port % 2 !== 0 || port < 1 || port > 65_534)
        findings.push(
          error(
            'V028',
            [`site/${site.id}`],
            `interface ${id} of ${site.id} listens on udp/${port}; ports are even, the odd one above is for the other link epoch`,
            compilerFault,
          ),
        )
      stems.set(stem, id)
      ports.set(port, id)
    }
  }
  return findings
}

/** 1500 less WireGuard's 60 bytes over IPv4, 80 over IPv6, or what ESP takes; IPv6 inside needs 1280 (RFC 8200 section 5). */
function mtu(fabric: Fabric): readonly Finding[] {
  const overV6 = fabric.sites.some((site) =>
    site.uplinks.some((uplink) => uplink.endpoint.kind === 'fixed' && familyOf(uplink.endpoint.public) === 6),
  )
  const inEsp = externalsOf(fabric).flatMap((external) => {
    const { esp } = external.kind === 'peer' ? external.profile : ipsecProfiles.strong
    return external.connections.flatMap(({ address }) => esp.map((proposal) => roomInEsp(proposal, familyOf(address))))
  })
  const most = Math.min(overV6 ? 1420 : 1440, ...inEsp)
  const { mtu: bytes, mss } = fabric.network
  const findings: Finding[] = []
  if (bytes > most)
    findings.push(
      error(
        'V026',
        ['network/mtu', 'network'],
        `packets of ${bytes} bytes do not fit into a tunnel over lines of 1500: at most ${most}`,
        `write mtu: ${most}, or leave it out`,
      ),
    )
  if (bytes < 1280)
    findings.push(
      error(
        'V026',
        ['network/mtu', 'network'],
        `an MTU of ${bytes} is too small for IPv6, which needs 1280`,
        'write at least mtu: 1280, or leave it out',
      ),
    )
  if (mss.v4 !== bytes - 40 || mss.v6 !== bytes - 60)
    findings.push(
      error(
        'V026',
        ['network/mtu', 'network'],
        `TCP would be clamped to ${mss.v4} and ${mss.v6}, an MTU of ${bytes} needs ${bytes - 40} and ${bytes - 60}`,
        compilerFault,
      ),
    )
  return findings
}
