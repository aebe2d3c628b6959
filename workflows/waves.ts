/** Who moves when: pure, so that it is tested as a table. */
import type { Wave } from './rollout.ts'

const widest = 50

/**
 * Hubs alone, one after another; the first edge as canary; then a quarter of the rest at a time, at most 50. Edges that wait
 * for a maintenance window come last, a window after the other, so that they hold nobody else. `windowOf`: by site, any
 * name of it. Of a pair of gateways the second, which stands by, is confirmed before the first is moved.
 */
export function wavesOf(hubs: readonly string[], edges: readonly string[], windowOf: ReadonlyMap<string, string> = new Map()): readonly Wave[] {
  const wave = (kind: Wave['kind'], sites: readonly string[]): Wave => {
    const held = sites.filter((site) => windowOf.has(site))
    return { kind, sites, ...(held.length > 0 ? { held } : {}) }
  }
  const waves = hubs.map((hub) => wave('hub', [hub]))
  const free = edges.filter((edge) => !windowOf.has(edge))
  const waiting = Map.groupBy(
    edges.filter((edge) => windowOf.has(edge)),
    (edge) => windowOf.get(edge),
  )
  let canary = true
  const moving = new Set(edges)
  const second = (edge: string) => `${edge}.b`
  const inTurn = [free, ...waiting.values()].flatMap((group) => [
    group.filter((edge) => !moving.has(second(edge))),
    group.filter((edge) => moving.has(second(edge))),
  ])
  for (const group of inTurn) {
    const [first, ...others] = group
    if (canary && first !== undefined) waves.push(wave('canary', [first]))
    const rest = canary ? others : group
    canary &&= first === undefined
    const width = Math.min(widest, Math.max(1, Math.ceil(rest.length / 4)))
    for (let at = 0; at < rest.length; at += width) waves.push(wave('edges', rest.slice(at, at + width)))
  }
  return waves
}
