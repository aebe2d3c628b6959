/** Random small networks: a tape of numbers makes a sketch, then damages what was built from it. */
import type {
  Deny,
  Fabric,
  Forwarding,
  Hop,
  InterfaceId,
  Region,
  RiskId,
  Route,
  Rule,
  SharedGroup,
  Site,
  SiteId,
  Survives,
  TunnelEnd,
  TunnelId,
  Uplink,
  Waypoint,
  WireguardTunnel,
} from '#src/fabric/fabric.ts'
import { anyRemote, thisNode } from '#src/fabric/groups.ts'
import { nodeOf } from '#src/fabric/ids.ts'
import { routesOf } from '#src/fabric/routes.ts'
import { nodesOf } from '#src/fabric/slice.ts'
import { lengthOf, overlaps, type Prefix, prefix, prefixFromBits, rangeOf, width } from '#src/net/address.ts'
import type { PathExpect } from '#src/verify/ways.ts'
import { build, ports, prefixesOf, type Sketch, trafficClass } from './build.ts'
import { cloudify, peerInsides } from './cloudify.ts'

/** Reads random choices from a tape of numbers, so that fast-check can shrink them: 0 is the tamest choice. */
export function reader(tape: readonly number[]) {
  let at = 0
  const below = (n: number): number => (tape[at++ % tape.length] ?? 0) % n
  return { below, pick: <T>(of: readonly T[]): T => of[below(of.length)]!, chance: (percent: number): boolean => below(100) >= 100 - percent }
}
export type Reader = ReturnType<typeof reader>

export const kinds: readonly Survives[] = ['uplink', 'tunnel', 'hub', 'gateway', 'connection', 'shared_risk', 'any two uplinks']

/** LANs of four addresses: all of IPv4, all of IPv6, or some of each and of both. */
function numbering(of: Reader) {
  const choices = of.pick([['v4'], ['v4'], ['v6'], ['both', 'both', 'both', 'v4', 'v6']] as const)
  return () => of.pick<'v4' | 'v6' | 'both'>(choices)
}
const lan = (families: 'v4' | 'v6' | 'both', net: number, site: number, last: number): string => {
  const [v4, v6] = [`10.${net}.${site}.${last}/30`, `fd01::${net}:${site}:${last}/126`]
  return { v4, v6, both: `${v4} ${v6}` }[families]
}
/** A segment with one LAN, or with a second one, which may be behind a router on the first. */
function several(second: '' | ' ' | '>', net: number, site: number, families: () => 'v4' | 'v6' | 'both'): string {
  const first = lan(families(), net, site, 0)
  if (second === '') return first
  const more = lan(families(), net, site, 8)
  return `${first} ${second === '>' ? more.replaceAll(/(?= |$)/g, '>') : more}`
}
/** One address, or two that are a prefix. */
const part = (whole: Prefix, offset: number, size: 1 | 2 = 1): Prefix => {
  const { family, low } = rangeOf(whole)
  return prefixFromBits(family, low + BigInt(offset), width(family) - size + 1)
}
const isWhole = (text: string): boolean => /\/(30|126)$/.test(text)

/** A network that could be compiled, its first sites hubs, with LANs of four addresses. */
export function sound(of: Reader): Sketch {
  const hubs = 1 + of.below(2)
  const count = hubs + 1 + of.below(2)
  const families = numbering(of)
  const sites = Array.from({ length: count }, (_, i) => ({
    id: `s${i}`,
    hub: i < hubs,
    uplinks: of.chance(50) ? ['a'] : ['a', 'b'],
    lans: {
      red: several(of.pick(['', '', '', '', '', ' ', '>'] as const), 0, i, families),
      ...(of.chance(40) ? { blue: lan(families(), 0, i, 4) } : {}),
    } as Record<string, string>,
  }))
  const all = sites.flatMap((one) => Object.keys(one.lans).map((id) => `${one.id}/${id}`))
  const lansOf = (name: string): readonly Prefix[] => {
    const [id = '', segment = ''] = name.split('/')
    return prefixesOf(sites.find((one) => one.id === id)!.lans[segment]!)
  }
  /** A whole LAN, or a group of its hosts. */
  const place = (): string => {
    const name = of.pick(all)
    const own = of.pick(lansOf(name))
    const hosts = of.pick(['', '', '', part(own, 0, 2), part(own, 2, 2), part(own, of.below(4))])
    return hosts === '' ? name : `${name}@${hosts}`
  }
  /** As compiled: one place of a segment at a node. */
  const some = () => [...new Map([place(), ...(of.chance(40) ? [place()] : [])].map((text) => [text.split('@')[0]!, text])).values()].join(',')
  /** A service with endpoints: each host is a place of its own. */
  const endpoints = (): string => {
    const name = of.pick(all)
    const first = of.below(4)
    return [first, (first + 1 + of.below(3)) % 4].map((n) => `${name}@${part(of.pick(lansOf(name)), n)}`).join()
  }
  const classes = ['default', 'bulk']
  const allow = Array.from({ length: 1 + of.below(3) }, () => ({
    from: some(),
    to: of.chance(25) ? endpoints() : some(),
    ports: of.pick(['tcp/1', 'tcp', 'tcp/1-2', 'udp/1', 'icmp', 'any']),
    class: of.pick(classes),
  }))
  const deny = of.chance(50) ? [{ from: some(), to: some(), ports: of.pick(['any', 'tcp/1', 'tcp', 'udp/1-2', 'icmp']) }] : []
  const asked = allow.flatMap((one) => (of.chance(70) ? [one] : []))
  return {
    sites,
    classes,
    never: of.chance(30) ? { bulk: ['b'] } : {},
    allow,
    deny,
    expect: [
      ...asked.map((one) => ({
        reach: one.from,
        to: one.to,
        ports: one.ports,
        mode: of.pick(['any', 'all'] as const),
        survives: kinds.filter(() => of.chance(50)),
      })),
      { reach: some(), to: some(), ports: 'tcp/1', mode: 'any' as const, survives: [] },
      { isolate: some(), to: some() },
      { isolate: some(), to: some() },
    ],
  }
}

/** Every fallback is kept for a while after the first choice is back. */
export const patient = (one: Site): Site => ({
  ...one,
  groups: one.groups.map((group) => ({ ...group, via: group.via.map((hop) => ({ ...hop, returnAfter: hop.stage > 0 ? 300 : 0 })) })),
})

/** Some uplinks, of one site or of several, fail together. */
export function risky(of: Reader, fabric: Fabric): Fabric {
  const uplinks = fabric.sites.flatMap(({ id, uplinks: own }) => own.map((uplink) => ({ site: id, uplink: uplink.id })))
  return {
    ...fabric,
    risks: ['duct', 'pole'].map((id) => ({ id: id as RiskId, uplinks: uplinks.filter(() => of.chance(30)) })),
  }
}

/** Lines of all sorts, one for each kind of site, and something asked of the ways of some of what is to be reached. */
export function lined(of: Reader, fabric: Fabric, kindOf: (site: string) => string = (site) => site): Fabric {
  const rate = (): number => (of.chance(8) ? 0 : of.pick([100e6, 50e6, 20e6, 10e6]))
  const known = new Map<string, Pick<Uplink, 'up' | 'down' | 'metered' | 'transport' | 'tags'>>()
  const line = (key: string) => {
    const made = known.get(key) ?? {
      up: rate(),
      down: rate(),
      metered: of.chance(20),
      transport: of.pick(['internet', 'mpls']),
      tags: of.chance(30) ? ['cheap'] : [],
    }
    known.set(key, made)
    return made
  }
  const sites = fabric.sites.map((site) => ({
    ...site,
    uplinks: site.uplinks.map((uplink) => ({ ...uplink, ...line(`${kindOf(site.id)} ${uplink.id}`) })),
  }))
  const words: readonly Waypoint[] = [
    { kind: 'medium', value: 'a' },
    { kind: 'medium', value: 'b' },
    { kind: 'metered', value: 'metered' },
    { kind: 'transport', value: 'mpls' },
    { kind: 'tag', value: 'cheap' },
    ...sites.flatMap(({ id, hub, uplinks }): Waypoint[] => [
      ...(hub ? [{ kind: 'hub', value: id } as const] : []),
      ...uplinks.map((uplink) => ({ kind: 'uplink', value: `${id}.${uplink.id}` }) as const),
    ]),
  ]
  const some = (most: number): readonly Waypoint[] => [...new Set(Array.from({ length: 1 + of.below(most) }, () => of.pick(words)))]
  const asked = fabric.expects.flatMap((one): PathExpect[] =>
    one.kind !== 'reach' || !of.chance(60)
      ? []
      : [
          {
            ...one,
            kind: 'path',
            id: one.id.replace('reach', 'path'),
            survives: kinds.filter(() => of.chance(25)),
            via: of.chance(50) ? some(3) : [],
            not: of.chance(40) ? some(1) : [],
            symmetric: of.chance(50),
            bandwidth: of.chance(50) ? { up: of.pick([5e6, 10e6, 25e6]), down: of.pick([0, 5e6, 25e6]) } : { up: 0, down: 0 },
            withinMs: 0,
          },
        ],
  )
  return { ...fabric, sites, expects: [...fabric.expects, ...asked] }
}

/** Everybody would carry everything, and hubs send to edges what isn't theirs: only the peers' AllowedIPs stand against it. */
export function careless(of: Reader, fabric: Fabric): Fabric {
  const all = [prefix('10.0.0.0/16'), prefix('fd01::/64')]
  const everything = [{ id: 'everything', a: all, b: all }]
  const astray = (site: Site | Region, group: SharedGroup): SharedGroup => {
    const tunnel = of.pick(fabric.tunnels.filter((one) => one.ends.some((end) => nodeOf(end) === site.id)))
    return {
      ...group,
      via: [
        ...group.via,
        {
          tunnel: tunnel.id,
          next: tunnel.ends.map(nodeOf).find((node) => node !== site.id)!,
          stage: group.via[0]?.stage ?? 0,
          cost: 1,
          returnAfter: 0,
        },
      ],
    }
  }
  const carrying = <T extends Site | Region>(node: T): T => ({
    ...node,
    transits: everything,
    groups: node.groups.map((group) => (of.chance(30) ? astray(node, group) : group)),
  })
  return { ...fabric, sites: fabric.sites.map(carrying), regions: fabric.regions.map(carrying) }
}

/** One mistake, as a faulty compiler could make it. */
export function damage(of: Reader, fabric: Fabric): Fabric {
  const nodes = nodesOf(fabric)
  const victim = of.pick(nodes)
  const without = <T>(list: readonly T[]): readonly T[] => {
    const i = of.below(Math.max(1, list.length))
    return list.filter((_, at) => at !== i)
  }
  const oneOf = <T>(list: readonly T[], edit: (one: T) => T): readonly T[] => {
    const i = of.below(Math.max(1, list.length))
    return list.map((one, at) => (at === i ? edit(one) : one))
  }
  /** Half of it, or one address. */
  const narrow = (whole: Prefix): Prefix => (isWhole(whole) ? of.pick([part(whole, 0, 2), part(whole, 2, 2), part(whole, of.below(4))]) : whole)
  // At all hubs that have them.
  if (fabric.routes && fabric.routes.length > 0 && of.chance(15)) {
    const { routes } = fabric
    return {
      ...fabric,
      routes: of.pick([
        () => without(routes),
        () => oneOf(routes, (route) => ({ ...route, to: narrow(route.to) })),
        () => oneOf(routes, (route) => ({ ...route, remote: of.pick(nodes).id })),
      ])(),
    }
  }
  const hop = (edit: (one: Hop) => Hop) => (site: Pick<Forwarding, 'groups'>) => ({
    groups: oneOf(site.groups, (group): SharedGroup => ({ ...group, via: oneOf(group.via, edit) })),
  })
  const edits: readonly ((site: (typeof nodes)[number]) => Partial<Forwarding>)[] = [
    (site) => ({ routes: without(routesOf(fabric, site)) }),
    (site) => ({ routes: oneOf(routesOf(fabric, site), (route) => ({ ...route, to: narrow(route.to) })) }),
    (site) => ({
      routes: [
        ...routesOf(fabric, site),
        {
          segment: site.lans[0]!.segment,
          to: narrow(of.pick(nodes).lans[0]!.prefix),
          remote: of.pick(nodes.filter((one) => one.id !== site.id)).id,
        },
      ],
    }),
    (site) => ({ transits: without(site.transits) }),
    (site) => ({ transits: oneOf(site.transits, (one) => ({ ...one, a: oneOf(one.a, (each) => narrow(each)) })) }),
    (site) => ({ rules: without(site.rules) }),
    (site) => ({
      rules: oneOf(site.rules, (rule): Rule => ({ ...rule, to: { ...rule.to, prefixes: rule.to.prefixes.map((one) => narrow(one)) } })),
    }),
    (site) => ({
      rules: oneOf(
        site.rules,
        (rule): Rule => ({ ...rule, ports: [ports(of.pick(['tcp/2', 'udp', 'any']))], trafficClass: trafficClass(of.pick(['default', 'bulk'])) }),
      ),
    }),
    (site) => ({ denies: without(site.denies ?? []) }),
    (site) => ({
      denies: oneOf(site.denies ?? [], (deny): Deny => ({ ...deny, from: { ...deny.from, prefixes: deny.from.prefixes.map((one) => narrow(one)) } })),
    }),
    (site) => ({ groups: without(site.groups) }),
    (site) => ({ groups: oneOf(site.groups, (group): SharedGroup => ({ ...group, via: without(group.via) })) }),
    hop((one) => ({ ...one, stage: of.below(3) })),
    hop((one) => ({ ...one, next: of.pick(nodes).id })),
  ]
  const edit = of.pick(edits)
  const damaged = <T extends (typeof nodes)[number]>(one: T): T => (one.id === victim.id ? { ...one, ...edit(one) } : one)
  return { ...fabric, sites: fabric.sites.map(damaged), regions: fabric.regions.map(damaged), peers: fabric.peers.map(damaged) }
}

/** Two hubs and two crowds of edges, each crowd of one kind; lines speak of whole crowds, of some and of single sites. */
export function crowds(of: Reader): Sketch {
  const hubs = 1 + of.below(2)
  const families = numbering(of)
  const sites = Array.from(
    { length: hubs },
    (_, i) => ({ id: `h${i}`, hub: true, uplinks: ['a', 'b'], lans: { red: lan(families(), 0, i, 0) } }) as const,
  )
  const crowd = (name: string, net: number) => {
    const uplinks = of.chance(50) ? ['a'] : ['a', 'b']
    const blue = of.chance(40)
    const second = of.pick(['', '', '', ' ', '>'] as const)
    // The same in all, or they would be no crowd.
    const [red, other] = [families(), families()]
    return Array.from({ length: 5 + of.below(3) }, (_, i) => ({
      id: `${name}${i}`,
      uplinks,
      lans: { red: several(second, net, i, () => red), ...(blue ? { blue: lan(other, net, i, 4) } : {}) } as Record<string, string>,
    }))
  }
  const groups = [crowd('d', 1), ...(of.chance(60) ? [crowd('e', 2)] : [])]
  const edges = groups.flat()
  type Crowd = readonly { readonly id: string; readonly lans: Record<string, string> }[]
  /** Whole LANs, or of each the same host or a pair of them. */
  const places = (some: Crowd, name: string, hosts?: readonly [offset: number, size: 1 | 2]): string =>
    some
      .flatMap(({ id, lans }) => {
        const text = lans[name]
        if (text === undefined) return []
        const own = prefixesOf(text)
        return [hosts === undefined ? `${id}/${name}` : `${id}/${name}@${own.map((one) => part(one, ...hosts)).join('+')}`]
      })
      .join()
  const some = (): string => {
    const hosts = of.pick([undefined, undefined, undefined, [1, 1], [2, 2]] as const)
    const name = of.chance(30) ? 'blue' : 'red'
    const chosen = of.pick([
      places(of.pick(groups), name, hosts),
      places(edges, name, hosts),
      places(of.pick(groups).slice(0, 1 + of.below(3)), name, hosts),
      places(sites, 'red'),
    ])
    return chosen === '' ? places(sites, 'red') : chosen
  }
  const allow = Array.from({ length: 1 + of.below(3) }, () => ({
    from: some(),
    to: of.chance(50) ? places(sites, 'red') : some(),
    ports: of.pick(['tcp/1', 'tcp/1-2', 'any']),
    class: of.pick(['default', 'bulk']),
  }))
  const deny = of.chance(40) ? [{ from: some(), to: of.chance(50) ? places(sites, 'red') : some(), ports: of.pick(['any', 'tcp/1']) }] : []
  return {
    sites: [...sites, ...edges],
    classes: ['default', 'bulk'],
    never: of.chance(30) ? { bulk: ['b'] } : {},
    allow,
    deny,
    expect: [
      ...allow.map((one) => ({
        reach: one.from,
        to: one.to,
        ports: one.ports,
        mode: of.pick(['any', 'all'] as const),
        survives: kinds.filter(() => of.chance(60)),
      })),
      { isolate: some(), to: some() },
    ],
  }
}

/** Some LANs are called something else by their own hosts: what another LAN is called, or what nobody is. */
export function translated(of: Reader, fabric: Fabric): Fabric {
  const names = [...fabric.sites.flatMap(({ lans }) => lans.map((lan) => lan.prefix)), prefix('10.8.0.0/30'), prefix('10.8.0.4/30')]
  return {
    ...fabric,
    sites: fabric.sites.map((site) => {
      let lans = site.lans
      for (const lan of site.lans) {
        const free = names.filter(
          (name) => lengthOf(name) === lengthOf(lan.prefix) && !lans.some((one) => [one.prefix, one.local].some((own) => own && overlaps(own, name))),
        )
        const local = free.length === 0 ? lan.prefix : of.pick(free)
        if (of.chance(40) && local !== lan.prefix) lans = lans.map((one) => (one === lan ? { ...one, local } : one))
      }
      return lans === site.lans ? site : { ...site, lans }
    }),
  }
}

/** A site gets a second gateway: as many uplinks or fewer, LANs, rules and routes as the first. */
export function paired(of: Reader, fabric: Fabric): Fabric {
  const first = of.pick(fabric.sites.filter((one) => !one.hub))
  const second = `${first.id}.b` as SiteId
  const uplinks = first.uplinks.filter((_, n) => n === 0 || of.chance(60)).map((one) => ({ ...one, slot: one.slot + 4 }))
  const own = fabric.tunnels.flatMap((tunnel): WireguardTunnel[] => {
    const [near, far] = tunnel.ends
    if (tunnel.kind === 'ipsec' || near.site !== first.id || !uplinks.some(({ id }) => id === near.uplink)) return []
    const at = far as TunnelEnd
    const [slot] = uplinks.filter(({ id }) => id === near.uplink).map((one) => one.slot)
    return [
      {
        ...tunnel,
        id: tunnel.id.replace(`${first.id}.`, `${second}.`) as TunnelId,
        index: tunnel.index + 1000,
        ends: [
          { ...near, site: second },
          { ...at, interface: `hub:${at.uplink}/s${slot}` as InterfaceId },
        ],
      },
    ]
  })
  const twin = (hop: Hop): readonly Hop[] => {
    const tunnel = hop.tunnel.replace(`${first.id}.`, `${second}.`) as TunnelId
    return own.some(({ id }) => id === tunnel) ? [{ ...hop, tunnel }] : []
  }
  const interfaces = (site: SiteId) =>
    [
      ...Map.groupBy(
        own.flatMap(({ ends }) => ends.filter((end) => end.site === site)),
        (end) => end.interface,
      ),
    ].map(([id, all], n) => ({
      id,
      kind: site === second ? ('edge' as const) : ('hub' as const),
      uplink: all[0]!.uplink,
      stem: `cx${n}`,
      port: 53_000 + 2 * n,
    }))
  const atHub = (site: Site): Site => ({
    ...site,
    interfaces: [...site.interfaces, ...interfaces(site.id)],
    groups: site.groups.map((group) =>
      group.remotes.includes(first.id)
        ? {
            ...group,
            via: group.via.flatMap((hop, n) => {
              const isLast = hop.next === first.id && group.via[n + 1]?.next !== first.id
              const direct = group.via.filter(({ next }) => next === first.id)
              return isLast ? [hop, ...direct.flatMap(twin).map((one) => ({ ...one, next: second, cost: one.cost + 1000 }))] : [hop]
            }),
          }
        : group,
    ),
  })
  const made: Site = {
    ...first,
    id: second,
    index: 99,
    uplinks,
    interfaces: interfaces(second),
    groups: first.groups.map((group) => ({ ...group, via: group.via.flatMap(twin) })),
  }
  return { ...fabric, sites: [...fabric.sites.map((site) => (site.hub ? atHub(site) : site)), made], tunnels: [...fabric.tunnels, ...own] }
}

/** Hosts of some LANs choose their class themselves: of a LAN behind two gateways at both. */
function trusting(of: Reader, fabric: Fabric): Fabric {
  const trusts = new Map<string, boolean>()
  const trusted = <L extends { readonly prefix: string }>(lan: L): L => {
    const is = trusts.get(lan.prefix) ?? of.chance(50)
    trusts.set(lan.prefix, is)
    return is ? { ...lan, trust: 'dscp' } : lan
  }
  return { ...fabric, sites: fabric.sites.map((site) => ({ ...site, lans: site.lans.map(trusted) })) }
}

/**
 * As the compiler does: hops to a spoke name it `*`, those from a spoke `@`, remotes with the same groups share them, and
 * hubs their routes.
 */
export function shared(fabric: Fabric): Fabric {
  const alike = ({ id, groups }: Site): readonly SharedGroup[] => {
    const starred = groups.map((group): SharedGroup => {
      const [remote] = group.remotes
      const star = (hop: Hop): Hop =>
        hop.next === remote && hop.tunnel.startsWith(`${remote}.`)
          ? { ...hop, tunnel: hop.tunnel.replace(remote, '*') as TunnelId, next: anyRemote }
          : hop
      const own = (hop: Hop): Hop => (hop.tunnel.startsWith(`${id}.`) ? { ...hop, tunnel: hop.tunnel.replace(id, thisNode) as TunnelId } : hop)
      return { ...group, via: group.via.map(id.startsWith('h') ? star : own) }
    })
    return [...Map.groupBy(starred, (group) => JSON.stringify({ ...group, remotes: [] })).values()].map((same) => ({
      ...same[0]!,
      remotes: same.flatMap((group) => group.remotes),
    }))
  }
  const text = (route: Route) => JSON.stringify(route)
  const routes = [...new Map(fabric.sites.flatMap((site) => (site.hub ? (site.routes ?? []) : [])).map((route) => [text(route), route])).values()]
  const derived = ({ routes: own, ...site }: Site): Site => {
    const all = new Set(routesOf({ routes }, site).map(text))
    return site.hub && own && all.size === own.length && own.every((route) => all.has(text(route)))
      ? site
      : { ...site, ...(own ? { routes: own } : {}) }
  }
  return { ...fabric, routes, sites: fabric.sites.map((site) => ({ ...derived(site), groups: alike(site) })) }
}

/** One of its edges is a cloud, or a peer with whatever its tunnels have inside. */
export const joined = (of: Reader, fabric: Fabric): Fabric =>
  cloudify(fabric, of.pick(fabric.sites.filter((one) => !one.hub)).id, of.chance(40) ? 'peer' : 'cloud', of.pick(peerInsides))

/** With or without a cloud or a peer, shared risks and second choices, and spoiled fewer than `damages` times. */
export function anyFabric(of: Reader, damages: number, gateways: 'pairs too' | 'one gateway a site' = 'pairs too'): Fabric {
  let fabric = build(sound(of))
  if (of.chance(40)) fabric = joined(of, fabric)
  if (of.chance(40)) fabric = { ...fabric, sites: fabric.sites.map(patient) }
  if (gateways === 'pairs too' && of.chance(40) && fabric.sites.some((one) => !one.hub)) fabric = paired(of, fabric)
  if (of.chance(50)) fabric = risky(of, fabric)
  if (of.chance(25)) fabric = careless(of, fabric)
  for (let n = of.below(damages); n > 0; n--) fabric = damage(of, fabric)
  if (of.chance(30)) fabric = translated(of, fabric)
  if (of.chance(20)) fabric = trusting(of, fabric)
  return fabric
}
