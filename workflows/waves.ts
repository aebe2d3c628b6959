/** Who moves when: pure, so that it is tested as a table. */
import type { Wave } from './rollout.ts'

const widest = 50

/** Hubs alone, one after another; the first edge as canary; then a quarter of the rest at a time, at most 50. */
export function wavesOf(hubs: readonly string[], edges: readonly string[]): readonly Wave[] {
  const [canary, ...rest] = edges
  const width = Math.min(widest, Math.max(1, Math.ceil(rest.length / 4)))
  const waves: Wave[] = hubs.map((hub) => ({ kind: 'hub', sites: [hub] }))
  if (canary !== undefined) waves.push({ kind: 'canary', sites: [canary] })
  for (let at = 0; at < rest.length; at += width) waves.push({ kind: 'edges', sites: rest.slice(at, at + width) })
  return waves
}
