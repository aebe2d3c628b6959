/** What `ip route get` must answer at a site after every apply: its config restated as questions to the kernel. */
import type { ClassId, Lan, NodeId, Route, SegmentId, SiteConfig, TunnelId } from '#src/fabric/fabric.ts'
import { type GroupName, groupsOf } from '#src/fabric/groups.ts'
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
import { onceOf } from '#src/net/once.ts'
import { subtractPrefixes } from '#src/net/sets.ts'
import { groupFor } from './lookup.ts'

export interface RouteVector {
  /** Where the packet comes from: a LAN's segment, or a mesh interface. */
  readonly from: { readonly kind: 'lan'; readonly segment: SegmentId } | { readonly kind: 'mesh'; readonly tunnel: TunnelId }
  readonly source: Address
  readonly to: Address
  readonly trafficClass: ClassId
  readonly expect:
    | { readonly kind: 'remote'; readonly remote: NodeId }
    | { readonly kind: 'lan'; readonly segment: SegmentId }
    /** One of the exits. */
    | { readonly kind: 'exit' }
    | { readonly kind: 'unreachable' }
}

/** Above this, remotes take turns with LANs and classes, so that a hub of thousands is still checked in a moment. */
const exhaustive = 512
const families: readonly Family[] = [4, 6]

/** Once a config: they are asked after every apply. */
export const routeVectors = onceOf((config: SiteConfig): readonly RouteVector[] => {
  // What a router announces comes and goes.
  const lans = config.lans.filter((lan) => !lan.learned)
  const locals = sortPrefixes((config.translations ?? []).map(({ local }) => local))
  const remotes = firstRoutes(config.routes)
  const classIds = config.classes.map((one) => one.id)
  const combinations = lans.length * remotes.length * classIds.length
  const waysOf = (family: Family) =>
    lans.flatMap((lan) => {
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
      expect: leads(config, { remote: route.remote, trafficClass, arrived: 'anywhere', family: familyOf(to) }),
    }))
  })
  return [
    ...fromLan,
    ...families.flatMap((family) => meshVectors(config, lans, family)),
    ...families.flatMap((family) => guardVector(config, lans, family)),
    ...exitVectors(config, lans),
  ]
})

/** Where a route leads while nothing is DOWN; a group that `never` has emptied leads nowhere. */
function leads(config: SiteConfig, of: Required<GroupName>): RouteVector['expect'] {
  const via = groupFor(config, of)?.via ?? []
  return via.length > 0 ? { kind: 'remote', remote: of.remote } : { kind: 'unreachable' }
}

/** The first prefix of every remote, in each family that it has. */
function firstRoutes(routes: readonly Route[]): readonly Route[] {
  const seen = { 4: new Set<NodeId>(), 6: new Set<NodeId>() }
  return routes.filter(({ to, remote }) => !seen[familyOf(to)].has(remote) && seen[familyOf(to)].add(remote))
}

/** What comes in from the mesh may go to a LAN or to a spoke directly, never back into the mesh (rule 10). */
function meshVectors(config: SiteConfig, lans: readonly Lan[], family: Family): RouteVector[] {
  const tunnel = config.tunnels.find((one) => one.role === 'mesh')
  const trafficClass = config.classes[0]?.id
  if (!tunnel || trafficClass === undefined) return []
  const routes = config.routes.filter((route) => familyOf(route.to) === family)
  const behind = routes.find((route) => route.remote === tunnel.remote)
  if (!behind) return []
  const ask = { from: { kind: 'mesh', tunnel: tunnel.id }, source: firstHost(behind.to), trafficClass } as const
  const attached = new Set(groupsOf(config).flatMap((group) => (group.arrived === 'mesh' ? [group.remote] : [])))
  const spoke = routes.find((route) => attached.has(route.remote))
  const own = lans.flatMap((lan) => {
    const to = familyOf(lan.prefix) === family ? neighbour(lan) : undefined
    return to === undefined ? [] : [{ ...ask, to, expect: { kind: 'lan', segment: lan.segment } } as const]
  })
  return [
    ...own,
    ...(spoke ? [{ ...ask, to: firstHost(spoke.to), expect: leads(config, { remote: spoke.remote, trafficClass, arrived: 'mesh', family }) }] : []),
    { ...ask, to: firstHost(behind.to), expect: { kind: 'unreachable' } },
  ]
}

/** Nobody's, most likely: the last of each private range (RFC 1918, RFC 4193). */
const undeclared: Readonly<Record<Family, readonly Prefix[]>> = {
  4: ['10.255.255.254/32', '172.31.255.254/32', '192.168.255.254/32'].map(prefix),
  6: ['fdff:ffff:ffff:ffff::1/128', 'fcff:ffff:ffff:ffff::1/128'].map(prefix),
}
/** An undeclared private address must not leak to local breakout (rule 16). */
function guardVector(config: SiteConfig, lans: readonly Lan[], family: Family): RouteVector[] {
  const lan = lans.find((one) => familyOf(one.prefix) === family)
  const source = lan && neighbour(lan)
  if (lan === undefined || source === undefined) return []
  const known = [...config.lans.map((one) => one.prefix), ...config.routes.map((route) => route.to)]
  const free = undeclared[family].find((one) => !known.some((range) => contains(range, one)))
  const trafficClass = config.classes[0]?.id
  return free === undefined || trafficClass === undefined
    ? []
    : [{ from: { kind: 'lan', segment: lan.segment }, source, to: hostOf(free), trafficClass, expect: { kind: 'unreachable' } }]
}

/** A LAN that may leave does so by an exit or by way of its hub, and another doesn't. Where none may, the guard alone is asked. */
function exitVectors(config: SiteConfig, lans: readonly Lan[]): RouteVector[] {
  const trafficClass = config.classes.find(({ id }) => id === 'default')?.id
  if (!lans.some((lan) => lan.internet) || trafficClass === undefined) return []
  const links = config.uplinks.flatMap(({ endpoint }) => (endpoint.kind === 'fixed' ? [networkOf(endpoint.address)] : []))
  return lans.flatMap((lan): RouteVector[] => {
    const source = neighbour(lan)
    // RFC 5737, RFC 3849 and RFC 9637: addresses that nobody has; nothing is sent to them.
    const documented = familyOf(lan.prefix) === 4 ? ['192.0.2.1', '198.51.100.1', '203.0.113.1'] : ['2001:db8::1', '3fff::1']
    const to = documented.map(address).find((one) => ![...config.network.pool, ...links].some((range) => contains(range, one)))
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
                : lan.internet === 'hub' && config.exitHub
                  ? leads(config, { remote: config.exitHub, trafficClass, arrived: 'anywhere', family: familyOf(to) })
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
