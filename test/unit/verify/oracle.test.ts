import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Fabric, Forwarding, Hop, Region, Rule, SharedGroup, Site, Survives } from '#src/fabric/fabric.ts'
import { nodeOf } from '#src/fabric/ids.ts'
import { nodesOf } from '#src/fabric/slice.ts'
import { prefix } from '#src/net/address.ts'
import { verify } from '#src/verify/verify.ts'
import { build, ports, type Sketch, trafficClass } from './build.ts'
import { cloudify } from './cloudify.ts'
import { oracle } from './oracle.ts'

/** Reads random choices from a tape of numbers, so that fast-check can shrink them: 0 is the tamest choice. */
function reader(tape: readonly number[]) {
  let at = 0
  const below = (n: number): number => (tape[at++ % tape.length] ?? 0) % n
  return { below, pick: <T>(of: readonly T[]): T => of[below(of.length)]!, chance: (percent: number): boolean => below(100) >= 100 - percent }
}
type Reader = ReturnType<typeof reader>

const kinds: readonly Survives[] = ['uplink', 'tunnel', 'hub', 'connection']

/** A network that could be compiled, its first sites hubs, with LANs of four addresses. */
function sound(of: Reader): Sketch {
  const hubs = 1 + of.below(2)
  const count = hubs + 1 + of.below(2)
  const sites = Array.from({ length: count }, (_, i) => ({
    id: `s${i}`,
    hub: i < hubs,
    uplinks: of.chance(50) ? ['a'] : ['a', 'b'],
    lans: { red: `10.0.${i}.0/30`, ...(of.chance(40) ? { blue: `10.0.${i}.4/30` } : {}) } as Record<string, string>,
  }))
  const all = sites.flatMap((one) => Object.keys(one.lans).map((id) => `${one.id}/${id}`))
  const some = () => [...new Set([of.pick(all), ...(of.chance(40) ? [of.pick(all)] : [])])].join(',')
  const classes = ['default', 'bulk']
  const allow = Array.from({ length: 1 + of.below(3) }, () => ({
    from: some(),
    to: some(),
    ports: of.pick(['tcp/1', 'tcp', 'tcp/1-2', 'udp/1', 'icmp', 'any']),
    class: of.pick(classes),
  }))
  const asked = allow.flatMap((one) => (of.chance(70) ? [one] : []))
  return {
    sites,
    classes,
    never: of.chance(30) ? { bulk: ['b'] } : {},
    allow,
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
const patient = (one: Site): Site => ({
  ...one,
  groups: one.groups.map((group) => ({ ...group, via: group.via.map((hop) => ({ ...hop, returnAfter: hop.stage > 0 ? 300 : 0 })) })),
})

/** Everybody would carry everything, and hubs send to edges what isn't theirs: only the peers' AllowedIPs stand against it. */
function careless(of: Reader, fabric: Fabric): Fabric {
  const everything = [{ id: 'everything', a: [prefix('10.0.0.0/16')], b: [prefix('10.0.0.0/16')] }]
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
function damage(of: Reader, fabric: Fabric): Fabric {
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
  const narrow = (text: string): string => {
    const [, net = '', last = ''] = /^(.*\.)(\d+)\/30$/.exec(text) ?? []
    return net === '' ? text : of.pick([`${net}${last}/31`, `${net}${Number(last) + 2}/31`, `${net}${Number(last) + of.below(4)}/32`])
  }
  const hop = (edit: (one: Hop) => Hop) => (site: Forwarding) => ({
    groups: oneOf(site.groups, (group): SharedGroup => ({ ...group, via: oneOf(group.via, edit) })),
  })
  const edits: readonly ((site: (typeof nodes)[number]) => Partial<Forwarding>)[] = [
    (site) => ({ routes: without(site.routes) }),
    (site) => ({ routes: oneOf(site.routes, (route) => ({ ...route, to: prefix(narrow(route.to)) })) }),
    (site) => ({
      routes: [
        ...site.routes,
        {
          segment: site.lans[0]!.segment,
          to: prefix(narrow(of.pick(nodes).lans[0]!.prefix)),
          remote: of.pick(nodes.filter((one) => one.id !== site.id)).id,
        },
      ],
    }),
    (site) => ({ transits: without(site.transits) }),
    (site) => ({ transits: oneOf(site.transits, (one) => ({ ...one, a: oneOf(one.a, (each) => prefix(narrow(each))) })) }),
    (site) => ({ rules: without(site.rules) }),
    (site) => ({
      rules: oneOf(site.rules, (rule): Rule => ({ ...rule, to: { ...rule.to, prefixes: rule.to.prefixes.map((one) => prefix(narrow(one))) } })),
    }),
    (site) => ({
      rules: oneOf(
        site.rules,
        (rule): Rule => ({ ...rule, ports: [ports(of.pick(['tcp/2', 'udp', 'any']))], trafficClass: trafficClass(of.pick(['default', 'bulk'])) }),
      ),
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

const network = fc.array(fc.nat(9_999), { minLength: 60, maxLength: 60 }).map((tape) => {
  const of = reader(tape)
  let fabric = build(sound(of))
  if (of.chance(40)) fabric = cloudify(fabric, of.pick(fabric.sites.filter((one) => !one.hub)).id, of.chance(40) ? 'peer' : 'cloud')
  if (of.chance(25)) fabric = { ...fabric, sites: fabric.sites.map(patient) }
  if (of.chance(25)) fabric = careless(of, fabric)
  for (let n = of.below(4); n > 0; n--) fabric = damage(of, fabric)
  return fabric
})
const seen = new Map<string, number>()

test('verify and brute force agree on every expectation of a thousand small networks, sound and damaged', () => {
  fc.assert(
    fc.property(network, (fabric) => {
      const truth = oracle(fabric)
      for (const one of fabric.expects) {
        const { findings } = verify({ ...fabric, expects: [one] })
        const own = findings.filter((finding) => finding.at.includes(one.id))
        const verdict = own.some((finding) => finding.severity === 'error')
          ? 'no'
          : own.some((finding) => finding.code === 'V004')
            ? 'waiting'
            : own.some((finding) => finding.code === 'V005')
              ? 'moving'
              : 'yes'
        const fact =
          one.kind === 'isolate'
            ? truth.isolates(one)
              ? 'yes'
              : 'no'
            : !truth.reaches(one, 0)
              ? 'no'
              : !truth.reaches(one, 1)
                ? 'waiting'
                : truth.reaches(one, 2)
                  ? 'yes'
                  : 'moving'
        const key = `${one.kind} ${fact}`
        seen.set(key, (seen.get(key) ?? 0) + 1)
        expect({ [one.id]: verdict }).toEqual({ [one.id]: fact })
      }
    }),
    { numRuns: 1_200, seed: 7 },
  )
  // The property means something only if all verdicts occur.
  expect(
    [...seen]
      .filter(([, count]) => count > 10)
      .map(([key]) => key)
      .sort(),
  ).toEqual(['isolate no', 'isolate yes', 'reach moving', 'reach no', 'reach waiting', 'reach yes'])
}, 120_000)
