import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Fabric, NodeId, TunnelId } from '#src/fabric/fabric.ts'
import { nodeOf } from '#src/fabric/ids.ts'
import { nodesOf } from '#src/fabric/slice.ts'
import { verify, verifyTransition } from '#src/verify/verify.ts'
import { wavesOf } from '#workflows/waves.ts'
import { build, change, type Sketch } from './build.ts'
import { cloudify } from './cloudify.ts'
import { reader, type Reader, sound } from './random.ts'

/** What an engineer changes: lines of a site, hubs too; a hub more or less; what a class never uses. */
function edited(of: Reader, sketch: Sketch): Sketch {
  const lines = (one: Sketch['sites'][number]) => ({ ...one, uplinks: of.pick([['a'], ['b'], ['a', 'b'], ['b', 'c'], ['c']]) })
  const victim = of.pick(sketch.sites)
  const hubs = sketch.sites.filter((one) => one.hub)
  return of.pick<() => Sketch>([
    () => ({ ...sketch, sites: sketch.sites.map((one) => (one === victim ? lines(one) : one)) }),
    () => ({ ...sketch, sites: sketch.sites.map((one) => (one.hub ? lines(one) : one)) }),
    () => ({ ...sketch, sites: [...sketch.sites, { id: 't0', hub: true, uplinks: ['a'], lans: { red: '10.0.9.0/30' } }] }),
    () => (hubs.length < 2 ? sketch : { ...sketch, sites: sketch.sites.map((one) => (one === hubs[1] ? { ...one, hub: false } : one)) }),
    () => ({ ...sketch, never: { bulk: ['a'] } }),
  ])()
}

/** The network with some nodes on the one generation and the others on the other; a tunnel is up when both ends have it. */
function mixed(before: Fabric, after: Fabric, isNew: (id: NodeId) => boolean): Fabric {
  const pick = <T extends { readonly id: NodeId }>(old: readonly T[], next: readonly T[]): readonly T[] => [
    ...old.filter(({ id }) => !isNew(id)),
    ...next.filter(({ id }) => isNew(id)),
  ]
  const part = { sites: pick(before.sites, after.sites), regions: pick(before.regions, after.regions), peers: pick(before.peers, after.peers) }
  const has = new Map<NodeId, Set<TunnelId>>(
    [...part.sites, ...part.regions, ...part.peers].map(({ id }) => {
      const ending = (isNew(id) ? after : before).tunnels.filter((tunnel) => tunnel.ends.some((end) => nodeOf(end) === id))
      return [id, new Set(ending.map((tunnel) => tunnel.id))]
    }),
  )
  const all = new Map([...before.tunnels, ...after.tunnels].map((tunnel) => [tunnel.id, tunnel]))
  return { ...after, ...part, tunnels: [...all.values()].filter((tunnel) => tunnel.ends.every((end) => has.get(nodeOf(end))?.has(tunnel.id))) }
}

const changes = fc.array(fc.nat(9_999), { minLength: 60, maxLength: 60 }).map((tape) => {
  const of = reader(tape)
  const sketch = { ...sound(of), never: {} }
  let next = edited(of, sketch)
  if (of.chance(40)) next = edited(of, next)
  const external = of.chance(30) ? of.pick(sketch.sites.filter((one) => !one.hub)).id : null
  const role = of.chance(30) ? 'peer' : 'cloud'
  const made = (one: Sketch): Fabric => (external === null ? build(one) : cloudify(build(one), external, role))
  // Edges move in any order.
  return { before: made(sketch), after: made(next), order: Array.from({ length: 8 }, () => of.below(9_999)) }
})
const seen = { lost: 0, betweenHubs: 0, kept: 0, changed: 0 }
const failing = (fabric: Fabric): ReadonlySet<string> =>
  new Set(verify(fabric).findings.flatMap(({ severity, at }) => (severity === 'error' ? at.slice(0, 1) : [])))

test('what is lost after some wave of a rollout is refused, and nothing else', () => {
  fc.assert(
    fc.property(changes, ({ before, after, order }) => {
      const asked = (fabric: Fabric): Fabric => ({
        ...fabric,
        expects: after.expects.flatMap((one) =>
          one.kind === 'reach' && before.expects.some((old) => JSON.stringify(old) === JSON.stringify(one)) ? [{ ...one, survives: [] }] : [],
        ),
      })
      const text = (id: NodeId) => [before, after].map((fabric) => JSON.stringify(nodesOf(fabric).find((node) => node.id === id)))
      const moves = (id: NodeId) => text(id)[0] !== text(id)[1]
      const ofHubs = new Set([...before.sites, ...after.sites].filter((site) => site.hub).map((site) => site.id as string))
      const moving = after.sites.filter(({ id }) => moves(id)).map(({ id }) => id as string)
      const edges = moving.filter((id) => !ofHubs.has(id)).sort((a, b) => order[a.charCodeAt(1) % 8]! - order[b.charCodeAt(1) % 8]!)
      const waves = wavesOf(
        moving.filter((id) => ofHubs.has(id)),
        edges,
      )
      const externals = new Set<string>([...after.regions, ...after.peers].map(({ id }) => id))
      const lost = new Map<string, number>()
      // A site that is no more was taken out of service before.
      const gone = new Set<string>(before.sites.filter(({ id }) => !after.sites.some((one) => one.id === id)).map(({ id }) => id))
      for (let wave = 0; wave <= waves.length; wave++) {
        const done = new Set<string>(waves.slice(0, wave).flatMap(({ sites }) => sites))
        for (const external of [true, false])
          for (const id of failing(asked(mixed(before, after, (node) => gone.has(node) || (externals.has(node) ? external : done.has(node))))))
            if (!lost.has(id)) lost.set(id, wave)
      }
      const sides = [failing(asked(before)), failing(asked(after))]
      const refused = new Map(verifyTransition(before, after).findings.flatMap(({ code, at, says }) => (code === 'V042' ? [[at[0]!, says]] : [])))
      if (moving.length > 0) seen.changed++
      for (const { id } of asked(after).expects) {
        if (sides.some((side) => side.has(id))) continue
        expect({ [id]: refused.has(id) }).toEqual({ [id]: lost.has(id) })
        seen[lost.has(id) ? 'lost' : 'kept']++
        if (refused.get(id)?.includes(' is not yet')) seen.betweenHubs++
      }
    }),
    { numRuns: Number(process.env['RUNS'] ?? 300), seed: 5 },
  )
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(5)
}, 600_000)

describe('the finding names the wave', () => {
  const two: Sketch = {
    sites: [
      { id: 'berlin', uplinks: ['fiber'], lans: { red: '10.1.0.0/24' } },
      { id: 'dublin', hub: true, uplinks: ['a'], lans: { red: '10.2.0.0/24' } },
      { id: 'frankfurt', hub: true, uplinks: ['a'], lans: { red: '10.3.0.0/24' } },
    ],
    allow: [{ from: 'dublin/red', to: 'frankfurt/red', ports: 'tcp/1', class: 'default' }],
    expect: [{ reach: 'dublin/red', to: 'frankfurt/red', ports: 'tcp/1' }],
  }
  const renamed = (fabric: Fabric, from: string, to: string): Fabric => JSON.parse(JSON.stringify(fabric).replaceAll(from, to))
  test('between two hubs', () => {
    const before = build(two)
    const { findings } = verifyTransition(before, renamed(before, 'dublin.a--frankfurt.a', 'dublin.b--frankfurt.a'))
    expect(findings).toMatchObject([
      { code: 'V042', says: "dublin can't reach frankfurt/red between the waves, when dublin is changed and frankfurt is not yet" },
    ])
    expect(findings[0]!.witness.at(-1)).toBe('  stops at dublin: every path that class default may use at dublin is down')
  })
  test('where a cloud moves in its own time', () => {
    const asked: Sketch = {
      ...two,
      allow: [{ from: 'dublin/red', to: 'berlin/red', ports: 'tcp/1', class: 'default' }],
      expect: [{ reach: 'dublin/red', to: 'berlin/red', ports: 'tcp/1' }],
    }
    const before = cloudify(build(asked), 'berlin')
    const after = change(before, 'dublin', () => ({}))
    expect(verifyTransition(before, after).findings).toEqual([])
    const moved = renamed(renamed(before, 'dublin.a--berlin', 'dublin.b--berlin'), 'frankfurt.a--berlin', 'frankfurt.b--berlin')
    const [finding] = verifyTransition(before, moved).findings
    expect(finding!.says).toBe("dublin can't reach berlin/red between the waves, when no hub or edge is changed yet, and berlin already")
    expect(finding!.witness.at(-1)).toBe('nor when hubs are changed and edges are not yet, and berlin not yet')
  })
})
