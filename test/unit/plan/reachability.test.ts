/** The difference of two policies, against asking each of them about one packet after the other. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import type { Deny, Fabric } from '#src/fabric/fabric.ts'
import { nodesOf } from '#src/fabric/slice.ts'
import type { Intent } from '#src/intent/intent.ts'
import { type Address, addressFromBits, contains, familyOf, type Prefix, rangeOf } from '#src/net/address.ts'
import { applicationLine, applicationsOf, type PortRange } from '#src/net/ports.ts'
import { type Allowed, diffReachability } from '#src/plan/reachability.ts'
import { allow, berlin, cloud, dublin, edge, frankfurt, group, madrid, network, oslo, partner } from '../compile/networks.ts'

const paris = edge('paris', { inference: ['10.1.13.0/24', 'fd00:13::/64'], cameras: ['10.1.14.0/25'] }, { labels: ['pilot'] })
const rome = edge('rome', { inference: ['10.1.15.0/24', 'fd00:15::/64'] }, { labels: ['pilot'] })
const core = { ...dublin, lans: edge('x', { inference: ['10.11.0.0/16', 'fd00:11::/48'] }).lans }
/** Said otherwise: the same LAN, wider. */
const wider = { ...madrid, lans: edge('x', { inference: ['10.1.10.0/23'] }).lans }

const groups = [group('printers', '10.11.0.0/17', '10.1.13.64/26'), group('admins', '10.11.0.9/32', 'fd00:11::/52', '10.1.13.70/32')]
const lines = [
  'inference -> inference',
  'label:pilot/inference -> label:pilot/inference',
  'edge/inference -> core/inference',
  'cameras -> same/inference',
  'cameras -> cameras',
  'inference -> printers',
  'label:pilot/inference -> admins',
  'admins -> edge/inference',
  'berlin/inference -> paris/inference',
]
const ports = ['tcp/1-100', 'tcp/50-150', 'udp/7', 'icmp', 'any']
const line = fc.tuple(fc.constantFrom(...lines), fc.constantFrom(...ports)).map(([text, on]) => allow(text, on))
const intents = fc
  .record({
    allow: fc.array(line, { maxLength: 4 }),
    deny: fc.array(line, { maxLength: 2 }),
    has: fc.subarray([berlin, madrid, wider, oslo, paris, rome]),
    clouds: fc.boolean(),
  })
  .map(({ allow: allows, deny, has, clouds }): Intent => {
    const edges = has.includes(wider) ? has.filter((one) => one !== madrid && one !== berlin) : has
    const externals = clouds ? { regions: [cloud], peers: [partner] } : {}
    const sites = [core, frankfurt, ...new Set([...edges, paris, ...(has.includes(wider) ? [] : [berlin])])].sort((a, b) => (a.id < b.id ? -1 : 1))
    return network({ sites, groups, allow: allows, deny, services: [], expect: [], ...externals })
  })

/** One host of every part that anything tells apart. */
function hostsIn(fabrics: readonly Fabric[]): readonly Address[] {
  const named = fabrics
    .flatMap(nodesOf)
    .flatMap(({ lans, rules, denies = [] }) => [
      ...lans.map(({ prefix }) => prefix),
      ...[...rules, ...denies].flatMap(({ from, to }) => [...from.prefixes, ...to.prefixes]),
    ])
  const edges = [...new Set(named)].flatMap((prefix) => {
    const { family, low, high } = rangeOf(prefix)
    return [low, high, high + 1n].map((bits) => addressFromBits(family, bits))
  })
  return [...new Set(edges)]
}
const spots = [1, 49, 50, 100, 101, 150, 151].flatMap((port) => [applicationLine.tcp + port, applicationLine.udp + port])
const applications = [...spots, applicationLine.udp + 7, applicationLine.icmp, applicationLine.other]
const among = (prefixes: readonly Prefix[], host: Address) => prefixes.some((prefix) => contains(prefix, host))
const isOn = (ranges: readonly PortRange[], application: number) =>
  ranges.map(applicationsOf).some(({ low, high }) => low <= application && application <= high)

/** What one policy says of two hosts, by application; undefined where nobody is asked: within a LAN. */
function asked(fabric: Fabric, a: Address, b: Address): ((application: number) => boolean) | undefined {
  const nodes = nodesOf(fabric)
  if (nodes.some(({ lans }) => lans.some(({ prefix }) => contains(prefix, a) && contains(prefix, b)))) return undefined
  const concerns = ({ from, to }: Deny) => among(from.prefixes, a) && among(to.prefixes, b)
  const [allows, denies] = [nodes.flatMap((one) => one.rules.filter(concerns)), nodes.flatMap((one) => (one.denies ?? []).filter(concerns))]
  return (application) => allows.some((one) => isOn(one.ports, application)) && !denies.some((one) => isOn(one.ports, application))
}
/** How often a difference tells of it. */
function told(all: readonly Allowed[], a: Address, b: Address): (application: number) => number {
  const ends = (of: Allowed['from']) => of.map(({ prefix }) => prefix)
  const concerning = all.filter(({ from, to }) => among(ends(from), a) && among(ends(to), b))
  return (application) => concerning.filter(({ ports: on, except = [] }) => isOn([on], application) && !isOn(except, application)).length
}

test('what is opened and closed is what one of the two permits and the other does not, each told once', () => {
  const seen = { opened: 0, closed: 0 }
  fc.assert(
    fc.property(intents, intents, (was, is) => {
      const [before, after] = [was, is].map((intent) => compile(intent, []).fabric) as [Fabric, Fabric]
      const { opened, closed } = diffReachability(before, after)
      const hosts = hostsIn([before, after])
      const wrong: unknown[] = []
      for (const [a, b] of hosts.flatMap((one) => hosts.map((other) => [one, other] as const))) {
        if (familyOf(a) !== familyOf(b)) continue
        const [old, now] = [asked(before, a, b), asked(after, a, b)]
        const [comes, goes] = [told(opened, a, b), told(closed, a, b)]
        for (const application of applications) {
          const [was, is] = [old?.(application) ?? false, now?.(application) ?? false]
          if (now && comes(application) !== Number(is && !was)) wrong.push(['opened', a, b, application])
          if (old && goes(application) !== Number(was && !is)) wrong.push(['closed', a, b, application])
          if (is && !was) seen.opened++
          if (was && !is) seen.closed++
        }
      }
      expect(wrong).toEqual([])
    }),
    { numRuns: 40 },
  )
  expect(Math.min(seen.opened, seen.closed)).toBeGreaterThan(1000)
})
