/** What holds for every network, not only for the examples. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import type { Fabric, Fact, ReadyTunnel, SiteId } from '#src/fabric/fabric.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { canonicalJson, fabricHash } from '#src/fabric/hash.ts'
import { nodeOf } from '#src/fabric/ids.ts'
import { routesOf } from '#src/fabric/routes.ts'
import { siteHash } from '#src/fabric/slice.ts'
import type { Intent, IntentSite, IntentUplink } from '#src/intent/intent.ts'
import { overlaps } from '#src/net/address.ts'
import { allow, edge, fixed, fourClasses, isolate, network, reach, site, siteId, trafficClass, uplink } from './networks.ts'

const transports = [
  { id: 'internet', reaches: [] },
  { id: 'mpls-a', reaches: ['internet'] },
  { id: 'mpls-b', reaches: ['mpls-a', 'internet'] },
]
const transport = fc.constantFrom('internet', 'mpls-a', 'mpls-b')
const medium = fc.constantFrom('fiber', 'lte', 'sat', 'ethernet')

const hubSite = (n: number): fc.Arbitrary<IntentSite> =>
  fc.array(transport, { minLength: 1, maxLength: 3 }).map((on) =>
    site(
      `hub${n}`,
      'core',
      // Every hub is on the internet, so that it meets everyone.
      ['internet', ...on].map((name, i) => fixed(`isp-${i}`, `192.0.${n}.${i * 16 + 2}/28`, `192.0.${n}.${i * 16 + 1}`, { transport: name })),
      { inference: [`10.${n}.0.0/16`, `2001:db8:${n}::/48`], training: [`10.${100 + n}.0.0/16`] },
    ),
  )
const edgeUplinks: fc.Arbitrary<IntentUplink[]> = fc
  .array(fc.record({ on: transport, medium, metered: fc.boolean() }), { minLength: 1, maxLength: 3 })
  .map((lines) => lines.map((line, i) => uplink(`up${i}`, { transport: line.on, medium: line.medium, metered: line.metered })))
const spoke = (n: number, hubs: readonly SiteId[]): fc.Arbitrary<IntentSite> =>
  fc
    .record({
      uplinks: edgeUplinks,
      hubs: fc.shuffledSubarray([...hubs], { minLength: 1 }),
      cameras: fc.boolean(),
      families: fc.constantFrom([4], [4, 6], [6]),
      core: fc.boolean(),
      labels: fc.subarray(['north', 'south']),
    })
    .map((of) =>
      site(
        `site${n}`,
        of.core ? 'core' : 'edge',
        of.uplinks,
        {
          inference: of.families.map((family) => (family === 4 ? `172.16.${n}.0/24` : `fd16:${n}::/64`)),
          ...(of.cameras ? { cameras: [`192.168.${n}.0/25`, `192.168.${n}.128/25`] } : {}),
        },
        { hubs: of.hubs, labels: of.labels },
      ),
    )
const lines = [
  'edge/inference -> model-api',
  'inference -> registry',
  'inference -> inference',
  'cameras -> same/camera-rtp',
  'label:north/inference -> training',
  'cameras -> site0/inference',
  'core/inference -> edge/cameras',
]
const classes = fc
  .subarray(['prefer', 'avoid', 'never'] as const)
  .map((words) => [
    ...fourClasses,
    trafficClass('odd', Object.fromEntries(words.map((word, i) => [word, [{ kind: 'medium', value: ['fiber', 'lte', 'sat'][i]! }]]))),
  ])

const anIntent: fc.Arbitrary<Intent> = fc.record({ hubs: fc.integer({ min: 1, max: 3 }), spokes: fc.integer({ min: 0, max: 5 }) }).chain((size) => {
  const hubs = Array.from({ length: size.hubs }, (_, n) => siteId(`hub${n}`))
  return fc
    .record({
      hubSites: fc.tuple(...hubs.map((_, n) => hubSite(n))),
      spokes: fc.tuple(...Array.from({ length: size.spokes }, (_, n) => spoke(n, hubs))),
      allow: fc.subarray(lines),
      classes,
    })
    .map((of) =>
      network({
        hubs,
        transports,
        sites: [...of.hubSites, ...of.spokes],
        allow: of.allow.map((line) => allow(line)),
        classes: of.classes,
        expect: [reach('inference -> model-api'), isolate('cameras -> training')],
      }),
    )
})
const fabricOf = (intent: Intent, held: Parameters<typeof compile>[1] = []): Fabric => {
  const { fabric, findings } = compile(intent, held)
  expect(findings.filter((finding) => finding.severity === 'error')).toEqual([])
  return fabric!
}
const everyKey = (fabric: Fabric): Fact[] =>
  fabric.sites.flatMap((one) =>
    one.interfaces.map((planned): Fact => ({ kind: 'key', site: one.id, interface: planned.id, linkEpoch: 0, publicKey: `${one.id} ${planned.id}` })),
  )
const check = (property: (fabric: Fabric, intent: Intent) => void) =>
  fc.assert(
    fc.property(anIntent, (intent) => property(fabricOf(intent), intent)),
    { numRuns: 60 },
  )

const claims = ({ peer }: ReadyTunnel) => (peer.kind === 'wireguard' ? peer.allowedIps : [])
describe('interfaces and tunnels', () => {
  test('no two peers of an interface overlap', () =>
    check((fabric) => {
      for (const one of fabric.sites) {
        const { tunnels, waiting } = configure(fabric, everyKey(fabric), one.id)
        expect(waiting).toEqual([])
        for (const [, peers] of Map.groupBy(tunnels, (tunnel) => tunnel.interface)) {
          for (const [i, a] of peers.entries())
            for (const b of peers.slice(i + 1))
              for (const x of claims(a)) for (const y of claims(b)) expect(overlaps(x, y), `${a.id} ${b.id}`).toBe(false)
        }
      }
    }))
  test('names, ports and insides are unique at each site, devices have at most 15 characters', () =>
    check((fabric) => {
      const unique = (all: readonly unknown[]) => expect(new Set(all).size).toBe(all.length)
      for (const one of fabric.sites) {
        const config = configure(fabric, everyKey(fabric), one.id)
        unique(config.interfaces.map((ready) => ready.device))
        unique(config.interfaces.flatMap((ready) => [ready.port, ready.port + 1]))
        unique(config.tunnels.flatMap((tunnel) => [tunnel.inside, tunnel.farInside]))
        expect(config.interfaces.every((ready) => ready.device.length <= 15)).toBe(true)
        expect(new Set(config.interfaces.map((ready) => ready.id))).toEqual(new Set(config.tunnels.map((tunnel) => tunnel.interface)))
      }
    }))
  test('both ends see the same tunnel: one decides, insides and keys cross over', () =>
    check((fabric) => {
      const seen = new Map(
        fabric.sites.map((one) => [one.id, new Map(configure(fabric, everyKey(fabric), one.id).tunnels.map((tunnel) => [tunnel.id, tunnel]))]),
      )
      for (const tunnel of fabric.tunnels) {
        if (tunnel.kind !== 'wireguard') continue
        const [a, b] = [seen.get(tunnel.ends[0].site)!.get(tunnel.id)!, seen.get(tunnel.ends[1].site)!.get(tunnel.id)!]
        expect([a.inside, a.farInside, a.decides, a.metered]).toEqual([b.farInside, b.inside, !b.decides, b.metered])
      }
    }))
})

describe('allocations', () => {
  test('are unique in their scope', () =>
    fc.assert(
      fc.property(anIntent, (intent) => {
        const { claims } = compile(intent, [])
        const scope = (owner: string, kind: string) => (kind === 'slot' || kind === 'port' ? owner.slice(0, owner.indexOf('/')) : '')
        const values = claims.map(({ kind, owner, value }) => `${kind} ${scope(owner, kind)} ${value}`)
        expect(new Set(values).size).toBe(values.length)
      }),
      { numRuns: 60 },
    ))
  test('once committed, the same intent gives the same bytes and claims nothing', () =>
    fc.assert(
      fc.property(anIntent, fc.infiniteStream(fc.nat()), (intent, random) => {
        const first = compile(intent, [])
        const shuffled = first.claims
          .map((claim) => [random.next().value, claim] as const)
          .toSorted(([a], [b]) => a - b)
          .map(([, claim]) => claim)
        const again = compile(intent, shuffled)
        expect(again.claims).toEqual([])
        expect(canonicalJson(again.fabric)).toBe(canonicalJson(first.fabric))
      }),
      { numRuns: 60 },
    ))
})

describe('routes', () => {
  test('each has a group for every class, whose hops exist, start here, end at the next node and rise by stage and cost', () =>
    check((fabric) => {
      const tunnels = new Map(fabric.tunnels.map((tunnel) => [tunnel.id, tunnel]))
      for (const one of fabric.sites) {
        const groups = new Map(groupsOf(one).map((group) => [`${group.remote} ${group.trafficClass} ${group.arrived}`, group]))
        expect(groups.size).toBe(groupsOf(one).length)
        for (const route of routesOf(fabric, one)) {
          expect(route.remote).not.toBe(one.id)
          for (const { id } of fabric.classes) expect(groups.has(`${route.remote} ${id} anywhere`), `${one.id} > ${route.to} ${id}`).toBe(true)
        }
        for (const { via, arrived, remote } of groupsOf(one)) {
          for (const hop of via) {
            const ends = tunnels.get(hop.tunnel)!.ends.map(nodeOf)
            expect(ends).toContain(one.id)
            expect(ends).toContain(hop.next)
            expect(hop.next).not.toBe(one.id)
            expect(arrived === 'anywhere' || hop.next === remote).toBe(true)
          }
          const order = via.map((hop) => [hop.stage, hop.cost] as const)
          expect(order).toEqual(order.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]))
        }
      }
    }))
  test('lead to an owner, and every rule between sites has its route and its transits', () =>
    check((fabric) => {
      const owner = new Map(fabric.sites.flatMap((one) => one.lans.map((lan) => [lan.prefix, one] as const)))
      for (const one of fabric.sites) {
        for (const route of routesOf(fabric, one)) expect(owner.get(route.to)!.id).toBe(route.remote)
        for (const rule of one.rules) {
          for (const prefix of [...rule.from.prefixes, ...rule.to.prefixes]) {
            const at = owner.get(prefix)!
            expect(at.id === one.id || routesOf(fabric, one).some((route) => route.to === prefix)).toBe(true)
          }
          const pairs = rule.from.prefixes.flatMap((from) => rule.to.prefixes.map((to) => [from, to] as const))
          for (const [from, to] of pairs) {
            const [a, b] = [owner.get(from)!, owner.get(to)!]
            if (a.id === b.id) continue
            for (const hub of [...a.hubs, ...b.hubs].filter((id) => id !== a.id && id !== b.id)) {
              const { transits } = fabric.sites.find(({ id }) => id === hub)!
              expect(
                transits.some((pair) => (pair.a.includes(from) && pair.b.includes(to)) || (pair.a.includes(to) && pair.b.includes(from))),
                `${hub}: ${from} ${to}`,
              ).toBe(true)
            }
          }
        }
      }
    }))
  test('nothing is routed, ruled or carried without an allow', () =>
    fc.assert(
      fc.property(anIntent, (intent) => {
        const fabric = fabricOf({ ...intent, allow: [] })
        expect(fabric.sites.flatMap((one) => [...one.rules, ...one.transits, ...(one.routes ?? [])])).toEqual([])
      }),
      { numRuns: 20 },
    ))
})

describe('hashes', () => {
  test('the order of the input means nothing', () =>
    fc.assert(
      fc.property(anIntent, fc.nat(), (intent, turn) => {
        const turned = <T>(all: readonly T[]): T[] =>
          [...all.slice(turn % Math.max(1, all.length)), ...all.slice(0, turn % Math.max(1, all.length))].reverse()
        const other: Intent = {
          ...intent,
          segments: turned(intent.segments),
          transports: turned(intent.transports),
          services: turned(intent.services),
          classes: turned(intent.classes),
          allow: turned(intent.allow),
          expect: turned(intent.expect),
          sites: turned(intent.sites).map((one) => ({ ...one, uplinks: turned(one.uplinks), lans: turned(one.lans), labels: turned(one.labels) })),
        }
        const [a, b] = [compile(intent, []), compile(other, [])]
        expect(JSON.stringify(b.fabric)).toBe(JSON.stringify(a.fabric))
        expect(b.claims).toEqual(a.claims)
        expect(fabricHash(b.fabric!)).toBe(fabricHash(a.fabric!))
      }),
      { numRuns: 60 },
    ))
  test('a new site moves the hashes of its hubs, of those it talks to and its own, nobody else’s', () =>
    fc.assert(
      fc.property(anIntent, (intent) => {
        const served = { ...intent, allow: [allow('edge/inference -> model-api')] }
        const before = compile(served, [])
        const comer = edge('comer', { inference: ['172.20.0.0/24', 'fd20::/64'] }, { hubs: intent.hubs })
        const after = fabricOf({ ...served, sites: [...served.sites, comer] }, before.claims)
        const moved = before.fabric!.sites.filter((one) => siteHash(after, one.id) !== siteHash(before.fabric!, one.id))
        expect(moved.map((one) => one.id)).toEqual(before.fabric!.sites.filter((one) => one.role === 'core').map((one) => one.id))
      }),
      { numRuns: 60 },
    ))
})
