/** What `ip route get` must answer at a site after every apply: the compiler's routes restated as questions to the kernel. */
import type { ClassId, Lan, NodeId, Route, RouteVector, Site } from '#src/fabric/fabric.ts'
import type { GroupName } from '#src/fabric/groups.ts'
import type { SiteHome } from '#src/fabric/home.ts'
import type { SiteSlice } from '#src/fabric/slice.ts'
import {
  type Address,
  address,
  contains,
  type Family,
  familyOf,
  firstHost,
  hostOf,
  networkOf,
  nth,
  prefix,
  type Prefix,
  rangeOf,
  sortPrefixes,
} from '#src/net/address.ts'
import { subtractPrefixes } from '#src/net/sets.ts'

/** Above this, remotes take turns with LANs and classes, so that a hub of thousands is still checked in a moment. */
const exhaustive = 512
const families: readonly Family[] = [4, 6]

/** Of a slice in the words of its own hosts, see home.ts. */
export function routeVectors({ network: { pool }, site: whole, classes, peers, translations }: SiteHome): readonly RouteVector[] {
  // What a router announces comes and goes.
  const site = { ...whole, lans: whole.lans.filter((lan) => !lan.learned) }
  const locals = sortPrefixes(translations.map(({ local }) => local))
  const leads = leadsAt(site)
  const remotes = firstRoutes(site.routes)
  const classIds = classes.map((one) => one.id)
  const combinations = site.lans.length * remotes.length * classIds.length
  const waysOf = (family: Family) =>
    site.lans.flatMap((lan) => {
      const source = familyOf(lan.prefix) === family ? neighbour(lan) : undefined
      return source === undefined ? [] : classIds.map((trafficClass) => ({ lan, source, trafficClass }))
    })
  const ways = { 4: waysOf(4), 6: waysOf(6) }
  const fromLan = remotes.flatMap((route, index): RouteVector[] => {
    const to = firstBeyond(route.to, locals)
    if (to === undefined) return []
    const all = ways[familyOf(to)]
    const some = combinations <= exhaustive ? all : all.length === 0 ? [] : [all[index % all.length]!]
    return some.map(({ lan, source, trafficClass }) => ({
      from: { kind: 'lan', segment: lan.segment },
      source,
      to,
      trafficClass,
      expect: leads({ remote: route.remote, trafficClass, arrived: 'anywhere', family: familyOf(to) }),
    }))
  })
  return [
    ...fromLan,
    ...families.flatMap((family) => meshVectors(site, peers, classIds, leads, family)),
    ...families.flatMap((family) => guardVector(site, whole.lans, classIds, family)),
    ...exitVectors(site, pool, classIds, leads),
  ]
}

type Leads = (of: Required<GroupName>) => RouteVector['expect']
/** Where a route leads while nothing is DOWN; a group that `never` has emptied leads nowhere. */
function leadsAt(site: Site): Leads {
  // A hub's groups for all classes have one list of hundreds.
  const sets = new Map<readonly NodeId[], ReadonlySet<NodeId>>()
  const setOf = (remotes: readonly NodeId[]): ReadonlySet<NodeId> => {
    const known = sets.get(remotes) ?? new Set(remotes)
    sets.set(remotes, known)
    return known
  }
  const filled = site.groups.filter((group) => group.via.length > 0).map(({ remotes, ...group }) => ({ ...group, remotes: setOf(remotes) }))
  return ({ remote, trafficClass, arrived, family }) =>
    filled.some(
      (group) => group.trafficClass === trafficClass && group.arrived === arrived && (group.family ?? family) === family && group.remotes.has(remote),
    )
      ? { kind: 'remote', remote }
      : { kind: 'unreachable' }
}

/** The first prefix of every remote, in each family that it has. */
function firstRoutes(routes: readonly Route[]): readonly Route[] {
  const seen = { 4: new Set<NodeId>(), 6: new Set<NodeId>() }
  return routes.filter(({ to, remote }) => !seen[familyOf(to)].has(remote) && seen[familyOf(to)].add(remote))
}

/** What comes in from the mesh may go to a LAN or to a spoke directly, never back into the mesh (rule 10). */
function meshVectors(site: Site, peers: SiteSlice['peers'], classIds: readonly ClassId[], leads: Leads, family: Family): RouteVector[] {
  const peer = peers.find((one) => one.tunnel.role === 'mesh')
  const trafficClass = classIds[0]
  if (!peer || trafficClass === undefined) return []
  const other = peer.tunnel.ends[peer.end === 0 ? 1 : 0].site
  const routes = site.routes.filter((route) => familyOf(route.to) === family)
  const behind = routes.find((route) => route.remote === other)
  if (!behind) return []
  const ask = { from: { kind: 'mesh', tunnel: peer.tunnel.id }, source: firstHost(behind.to), trafficClass } as const
  const attached = new Set(site.groups.filter((group) => group.arrived === 'mesh').flatMap((group) => group.remotes))
  const spoke = routes.find((route) => attached.has(route.remote))
  const own = site.lans.flatMap((lan) => {
    const to = familyOf(lan.prefix) === family ? neighbour(lan) : undefined
    return to === undefined ? [] : [{ ...ask, to, expect: { kind: 'lan', segment: lan.segment } } as const]
  })
  return [
    ...own,
    ...(spoke ? [{ ...ask, to: firstHost(spoke.to), expect: leads({ remote: spoke.remote, trafficClass, arrived: 'mesh', family }) }] : []),
    { ...ask, to: firstHost(behind.to), expect: { kind: 'unreachable' } },
  ]
}

/** Nobody's, most likely: the last of each private range (RFC 1918, RFC 4193). */
const undeclared: Readonly<Record<Family, readonly Prefix[]>> = {
  4: ['10.255.255.254/32', '172.31.255.254/32', '192.168.255.254/32'].map(prefix),
  6: ['fdff:ffff:ffff:ffff::1/128', 'fcff:ffff:ffff:ffff::1/128'].map(prefix),
}
/** An undeclared private address must not leak to local breakout (rule 16). */
function guardVector(site: Site, declared: readonly Lan[], classIds: readonly ClassId[], family: Family): RouteVector[] {
  const lan = site.lans.find((one) => familyOf(one.prefix) === family)
  const source = lan && neighbour(lan)
  if (lan === undefined || source === undefined) return []
  const known = [...declared.map((one) => one.prefix), ...site.routes.map((route) => route.to)]
  const free = undeclared[family].find((one) => !known.some((range) => contains(range, one)))
  const trafficClass = classIds[0]
  return free === undefined || trafficClass === undefined
    ? []
    : [{ from: { kind: 'lan', segment: lan.segment }, source, to: hostOf(free), trafficClass, expect: { kind: 'unreachable' } }]
}

/** A LAN that may leave does so by an exit or by way of its hub, and another doesn't. Where none may, the guard alone is asked. */
function exitVectors(site: Site, pool: readonly Prefix[], classIds: readonly ClassId[], leads: Leads): RouteVector[] {
  const trafficClass = classIds.find((id) => id === 'default')
  if (!site.lans.some((lan) => lan.internet) || trafficClass === undefined) return []
  const links = site.uplinks.flatMap(({ endpoint }) => (endpoint.kind === 'fixed' ? [networkOf(endpoint.address)] : []))
  return site.lans.flatMap((lan): RouteVector[] => {
    const source = neighbour(lan)
    // RFC 5737, RFC 3849 and RFC 9637: addresses that nobody has; nothing is sent to them.
    const documented = familyOf(lan.prefix) === 4 ? ['192.0.2.1', '198.51.100.1', '203.0.113.1'] : ['2001:db8::1', '3fff::1']
    const to = documented.map(address).find((one) => ![...pool, ...links].some((range) => contains(range, one)))
    return source === undefined || to === undefined
      ? []
      : [
          {
            from: { kind: 'lan', segment: lan.segment },
            source,
            to,
            trafficClass,
            expect:
              lan.internet === 'local'
                ? { kind: 'exit' }
                : lan.internet === 'hub' && site.exitHub
                  ? leads({ remote: site.exitHub, trafficClass, arrived: 'anywhere', family: familyOf(to) })
                  : { kind: 'unreachable' },
          },
        ]
  })
}

/** Addresses of a translated LAN may lie within a wider network elsewhere, and lead to the LAN. */
function firstBeyond(of: Prefix, locals: readonly Prefix[]): Address | undefined {
  if (locals.length === 0) return firstHost(of)
  const [rest] = subtractPrefixes([of], locals)
  return rest === undefined ? undefined : firstHost(rest)
}

/** A host on the LAN that isn't the gateway: the kernel refuses its own address as the source of a forwarded packet. */
function neighbour(lan: Lan): Address | undefined {
  const { family, low, high } = rangeOf(lan.prefix)
  // The first address of a link is no host, nor is the last of IPv4 (RFC 4291 section 2.6.1), but where there are but two
  // (RFC 3021, RFC 6164).
  const two = high - low <= 1n
  const last = family === 4 && !two ? high - 1n : high
  const first = two ? 0 : 1
  const ours = [lan.address, ...(lan.own ? [lan.own] : [])].map(hostOf)
  return ours
    .map((_, n) => first + n)
    .concat(first + ours.length)
    .filter((n) => low + BigInt(n) <= last)
    .map((n) => nth(lan.prefix, n)!)
    .find((one) => !ours.includes(one))
}
