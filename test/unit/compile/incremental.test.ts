/** A compiler that remembers gives the bytes of one that doesn't, whatever was changed in between. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compile, createCompiler } from '#src/compile/compile.ts'
import type { Allocation, SegmentId } from '#src/fabric/fabric.ts'
import { siteHash } from '#src/fabric/slice.ts'
import { translationPools } from '#src/intent/defaults.ts'
import { type Intent, type IntentSite, modeOf } from '#src/intent/intent.ts'
import { overlapping } from '#src/intent/overlap.ts'
import { comparePrefixes, nth, prefix } from '#src/net/address.ts'
import { allow, cloud, partner, dublin, edge, fixed, frankfurt, group, hubOrder, network, site, siteId, trafficClass, uplink } from './networks.ts'

/** Numbers for one edit, drawn from anywhere. */
const roll = fc.array(fc.nat(9_999), { minLength: 6, maxLength: 6 })
type Roll = readonly number[]
type Edit = (intent: Intent, of: Roll) => Intent

const at = <T>(of: readonly T[], n: number): T => of[n % of.length]!
/** Of a peer's tunnels. */
const inside = { 4: prefix('169.254.100.0/24'), 6: prefix('fd5c:1a2b:3c4d::/64') } as const
const isEdge = (one: IntentSite) => !hubOrder.hubs.includes(one.id)
const lans = (n: number) => ({
  // Of IPv4, of both families, or of IPv6.
  inference: [
    ...(n % 5 === 4 ? [] : [`10.${100 + (n % 100)}.${n % 250}.0/24`]),
    ...(n % 5 > 2 ? [`2001:db8:${((n % 100) + 100).toString(16)}:${(n % 250).toString(16)}::/64`] : []),
  ],
  ...(n % 3 === 0 ? { cameras: [`172.30.${n % 250}.0/25`] } : {}),
})
const line = (n: number) =>
  uplink(at(['fiber', 'lte', 'sat'], n), { metered: n % 2 === 0, medium: at(['fiber', 'lte', 'sat'], n >> 1), tags: n % 5 === 0 ? ['cheap'] : [] })
const oneEdge = (intent: Intent, n: number, edit: (one: IntentSite) => IntentSite): Intent => {
  const edges = intent.sites.filter(isEdge)
  return edges.length === 0 ? intent : { ...intent, sites: intent.sites.map((one) => (one === at(edges, n) ? edit(one) : one)) }
}
const free = (intent: Intent, name: string) => (intent.sites.some((one) => one.id === name) ? `${name}-x` : name)
const texts = [
  'edge/inference -> inference',
  'cameras -> same/camera-rtp',
  'label:north/inference -> training',
  'inference -> aws-eu-west-1/inference',
  'edge/cameras -> label:north/inference',
  'core/inference -> edge/cameras',
  'printers -> training',
  'edge/inference -> core/printers',
  'cameras -> same/printers',
]
/** Hosts of LANs that come and go; half of them are nobody's at times. */
const hosts = (n: number) =>
  Array.from({ length: 1 + (n % 4) }, (_, i) => {
    const site = (n * 7 + i) % 16
    return n % 3 === 2 ? `2001:db8:${(100 + site).toString(16)}:${site.toString(16)}::${n % 9}/128` : `10.${100 + site}.${site}.${16 * (n % 3)}/28`
  })

const edits: Readonly<Record<string, Edit>> = {
  'add a site': (intent, [n = 0, m = 0]) => {
    const name = `site-${n % 40}`
    if (intent.sites.some((one) => one.id === name)) return intent
    return { ...intent, sites: [...intent.sites, edge(name, lans(m), { labels: n % 2 === 0 ? ['north'] : [], uplinks: [line(n)] })] }
  },
  'remove a site': (intent, [n = 0]) => {
    const edges = intent.sites.filter(isEdge)
    return { ...intent, sites: intent.sites.filter((one) => one !== edges[n % Math.max(1, edges.length)]) }
  },
  'rename a site': (intent, [n = 0, m = 0]) => oneEdge(intent, n, (one) => ({ ...one, id: siteId(free(intent, `named-${m % 30}`)) })),
  'change its prefixes': (intent, [n = 0, m = 0]) => oneEdge(intent, n, (one) => ({ ...one, lans: edge('x', lans(m)).lans })),
  'change an uplink': (intent, [n = 0, m = 0]) =>
    oneEdge(intent, n, (one) => ({ ...one, uplinks: [line(m), ...one.uplinks.filter((of) => of.id !== line(m).id)] })),
  'take an uplink away': (intent, [n = 0]) => oneEdge(intent, n, (one) => ({ ...one, uplinks: one.uplinks.slice(0, 1) })),
  'change its hubs': (intent, [n = 0, m = 0]) =>
    oneEdge(intent, n, (one) => ({ ...one, hubs: m % 2 === 0 ? [...one.hubs].reverse() : one.hubs.slice(0, 1) })),
  'change its labels and role': (intent, [n = 0, m = 0]) =>
    oneEdge(intent, n, (one) => ({ ...one, labels: m % 2 === 0 ? ['north'] : [], role: m % 3 === 0 ? 'core' : 'edge' })),
  'read it again': (intent) => structuredClone(intent),
  'another order': (intent) => ({ ...intent, sites: [...intent.sites].reverse(), allow: [...intent.allow].reverse() }),
  'change a group': (intent, [n = 0]) => ({ ...intent, groups: [group('printers', ...new Set([...hosts(n), '10.11.0.9/32']))] }),
  'change endpoints': (intent, [n = 0, m = 0]) => ({
    ...intent,
    services: intent.services.map((one, i) =>
      i === n % intent.services.length ? { ...one, endpoints: m % 3 ? hosts(m).map(prefix).sort(comparePrefixes) : [] } : one,
    ),
  }),
  'widen a LAN': (intent, [n = 0]) =>
    oneEdge(intent, n, (one) => ({
      ...one,
      lans: one.lans.map((lan) => ({
        ...lan,
        prefix: prefix(
          lan.prefix
            .replace(/::\/\d+$/, '::/63')
            .replace(/[0-9a-f]+::\/63$/, (end) => `${(Number.parseInt(end, 16) & ~1).toString(16)}::/63`)
            .replace(/\.0\/\d+$/, '.0/23')
            .replace(/\d+\.0\/23$/, (end) => `${Number.parseInt(end, 10) & 254}.0/23`),
        ),
      })),
    })),
  'put a prefix behind a router on a LAN, or another': (intent, [n = 0, m = 0]) =>
    oneEdge(intent, n, (one) => {
      const [lan] = one.lans
      const via = nth(lan!.prefix, 253 + (m % 2))
      const behind = { ...lan!, prefix: prefix(`10.${100 + (m % 16)}.${16 + (n % 16)}.0/28`), ...(via ? { via } : {}) }
      return { ...one, lans: [...one.lans.filter((each) => each.via === undefined), ...(m % 3 ? [behind] : [])] }
    }),
  'add an allow': (intent, [n = 0, m = 0]) => ({ ...intent, allow: [...intent.allow, allow(at(texts, n), at(['tcp/443', 'udp/53', 'icmp'], m))] }),
  'add a deny': (intent, [n = 0, m = 0]) => ({
    ...intent,
    deny: [...intent.deny, allow(at(texts, n), ...(m % 2 ? [] : [at(['tcp/443', 'udp/53'], m >> 1)]))],
  }),
  'log a line': (intent, [n = 0]) => ({
    ...intent,
    allow: intent.allow.map((one, i) => (i === n % intent.allow.length ? { ...one, log: !one.log } : one)),
  }),
  'remove a deny': (intent, [n = 0]) => ({ ...intent, deny: intent.deny.filter((_, i) => i !== n % Math.max(1, intent.deny.length)) }),
  'remove an allow': (intent, [n = 0]) => ({ ...intent, allow: intent.allow.filter((_, i) => i !== n % Math.max(1, intent.allow.length)) }),
  'move a service': (intent, [n = 0]) => ({
    ...intent,
    services: intent.services.map((one, i) => (i === n % intent.services.length ? { ...one, at: at(intent.services, n + 1).at } : one)),
  }),
  'change a class': (intent, [n = 0, m = 0]) => ({
    ...intent,
    classes: intent.classes.map((one, i) =>
      i === n % intent.classes.length ? trafficClass(one.id, { avoid: m % 2 ? [{ kind: 'medium', value: 'sat' }] : [] }) : one,
    ),
  }),
  'change a hub': (intent, [n = 0]) => ({
    ...intent,
    sites: intent.sites.map((one) =>
      one.id === 'dublin'
        ? n % 3 === 0
          ? dublin
          : site('dublin', 'core', [fixed('isp-a', '192.0.2.26/28', '192.0.2.17', { medium: at(['sat', 'fiber'], n) })], {
              inference: ['10.11.0.0/16'],
            })
        : one,
    ),
  }),
  'take an uplink of a hub away': (intent, [n = 0]) => ({
    ...intent,
    sites: intent.sites.map((one) =>
      one.id === 'dublin' ? { ...one, uplinks: one.uplinks.length > 1 ? [at(one.uplinks, n)] : dublin.uplinks } : one,
    ),
  }),
  'a cloud comes or goes': (intent) => ({ ...intent, regions: intent.regions.length > 0 ? [] : [cloud] }),
  'change what a cloud has': (intent, [n = 0]) => ({
    ...intent,
    regions: intent.regions.map((one) => ({ ...one, hubs: n % 2 === 0 ? [...one.hubs].reverse() : one.hubs.slice(0, 1) })),
  }),
  'a peer comes or goes': (intent) => ({ ...intent, peers: intent.peers.length > 0 ? [] : [partner] }),
  'change what a peer has': (intent, [n = 0, m = 0]) => ({
    ...intent,
    peers: intent.peers.map((one) => ({
      ...one,
      pools: at([[], [inside[6]], [inside[4], inside[6]]], m),
      gateways: n % 2 === 0 ? one.gateways.slice(0, 1) : partner.gateways,
      hubs: [...one.hubs].reverse(),
    })),
  }),
  'translate overlaps, or not': (intent, [n = 0, m = 0]) => {
    const { translate: _, ...plain } = intent
    const pools = { ...translationPools, 4: prefix(at(['198.18.0.0/15', '172.16.0.0/16', '172.16.0.0/22'], m)) }
    return n % 4 === 0 ? plain : { ...plain, translate: { mode: at(['auto', 'always', 'auto'], n), pools } }
  },
  'translate a LAN': (intent, [n = 0, m = 0]) =>
    oneEdge(intent, n, (one) => ({ ...one, lans: one.lans.map((lan) => ({ ...lan, translate: at(['always', 'auto', 'never'], m) })) })),
  'take addresses that another has': (intent, [n = 0, m = 0]) =>
    oneEdge(intent, n, (one) => ({ ...one, lans: edge('x', { inference: [at(at(intent.sites, m).lans, m)?.prefix ?? '10.96.7.0/24'] }).lans })),
  'change what it prefers': (intent, [n = 0, m = 0]) =>
    oneEdge(intent, n, ({ preferences: before, ...one }) => {
      const words = [{ kind: 'medium', value: at(['lte', 'fiber', 'sat'], m) }] as const
      const verb = at(['prefer', 'avoid', 'never'] as const, m >> 1)
      const said = { id: at(intent.classes, m).id, prefer: [], avoid: [], never: [], [verb]: words }
      return m % 4 === 0 && before ? one : { ...one, preferences: [said] }
    }),
  'change its maintenance windows': (intent, [n = 0, m = 0]) =>
    oneEdge(intent, n, ({ maintenance: before, ...one }) =>
      m % 3 === 0 && before
        ? one
        : { ...one, maintenance: { timezone: at(['UTC', 'Europe/Berlin'], m), windows: [{ days: [m % 7], from: 120, to: 240 }] } },
    ),
  'add a segment': (intent, [n = 0]) => ({ ...intent, segments: [...new Set([...intent.segments, `segment-${n % 3}` as SegmentId])] }),
}

/** Two that have the same addresses, and none may be called anything else. */
const overlap = ({ sites, regions, peers, translate }: Intent): boolean =>
  overlapping([
    ...sites.flatMap((one) => one.lans.filter((lan) => modeOf(translate, lan) === 'never')),
    ...regions.flatMap(({ networks }) => networks.flatMap(({ prefixes }) => prefixes.map((own) => ({ prefix: own })))),
    ...peers.flatMap((one) => one.lans),
  ]).length > 0

const start = () =>
  network({
    sites: [frankfurt, dublin, edge('a', lans(3)), edge('a-b', lans(7), { labels: ['north'] }), edge('b', lans(12))],
    regions: [cloud],
    groups: [group('printers', '10.103.3.16/28', '10.107.7.0/28', '10.10.0.9/32')],
    allow: [...network().allow, allow('printers -> training'), allow('edge/inference -> printers')],
    deny: [allow('edge/inference -> dublin/inference')],
  })
/** Of 70 arrays are patched and no longer made again; of 320 lists have several chunks. */
const startLarge = (length: number) => (): Intent => ({
  ...start(),
  sites: [
    ...Array.from({ length }, (_, n) =>
      edge(`s${n}`, lans(n + 20), { labels: n % 3 === 0 ? ['north'] : [], ...(n % 5 === 0 ? { uplinks: [line(n)] } : {}) }),
    ),
    ...start().sites,
  ],
})
const steps = fc.array(fc.tuple(fc.constantFrom(...Object.keys(edits)), roll, fc.boolean()), { minLength: 1, maxLength: 8 })

describe('after any edits', () => {
  test.each([
    ['of five sites', start, 120],
    ['of seventy', startLarge(70), 12],
    ['of hundreds', startLarge(320), 5],
  ])('%s: the same Fabric, claims and findings as without memory', (_, from, numRuns) =>
    fc.assert(
      fc.property(steps, (all) => {
        const remembering = createCompiler()
        let intent = from()
        let held: readonly Allocation[] = []
        remembering(intent, held)
        for (const [name, of, commit] of all) {
          const next = edits[name]!(intent, of)
          // The parser refuses it.
          if (overlap(next)) continue
          const [patched, whole] = [remembering(next, held), compile(next, held)]
          expect(JSON.stringify(patched) === JSON.stringify(whole), name).toBe(true)
          for (const { id } of whole.fabric?.sites ?? []) expect(siteHash(patched.fabric!, id), name).toBe(siteHash(whole.fabric!, id))
          if (commit) held = [...held, ...whole.claims]
          intent = next
        }
      }),
      { numRuns: Number(process.env['RUNS'] ?? numRuns) },
    ),
  )
  const idle = ['read it again', 'another order']
  test.each(Object.keys(edits).filter((name) => !idle.includes(name)))('%s: does something', (name) => {
    const bytes = (intent: Intent) => JSON.stringify(compile(intent, []).fabric)
    const from = edits['a peer comes or goes']!(start(), [])
    const rolls = Array.from({ length: 64 }, (_, n) => [n % 8, n >> 3, 0, 0, 0, 0])
    expect(rolls.some((of) => bytes(edits[name]!(from, of)) !== bytes(from))).toBe(true)
  })
  test.each(idle)('%s: does nothing', (name) => {
    const from = start()
    expect(JSON.stringify(compile(edits[name]!(from, []), []).fabric)).toBe(JSON.stringify(compile(from, []).fabric))
  })
  test('what an edit does not concern stays the same object', () => {
    const remembering = createCompiler()
    const intent = start()
    const held = remembering(intent, []).claims
    const before = remembering(intent, held).fabric!
    const edited = { ...intent, sites: intent.sites.map((one) => (one.id === 'b' ? { ...one, uplinks: [line(4)] } : one)) }
    const after = remembering(edited, held).fabric!
    const moved = after.sites.filter((one, n) => one !== before.sites[n]).map((one) => one.id)
    expect(moved).toEqual(['b', 'dublin', 'frankfurt'])
  })
})
