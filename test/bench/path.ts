/** One second of a hub's probes: 400 paths at 20 probes a second, and the choice of a hop for each. */
import type { ClassId, Group, NodeId, Sla, TunnelId } from '#src/fabric/fabric.ts'
import { createPath, health, probeAnswered, probeSent, tick } from '#src/path/machine.ts'
import { select } from '#src/path/selection.ts'
import { type Figures, median } from './measure.ts'

const slas: readonly Sla[] = Array.from({ length: 4 }, () => ({ loss: 0.02, latencyMs: 100, jitterMs: 20 }))

export function run(): Figures {
  const paths = Array.from({ length: 400 }, () => createPath({ at: 0, timing: { intervalMs: 50, multiplier: 3 }, slas }))
  const groups = Array.from(
    { length: 100 },
    (_, i): Group => ({
      remote: `site${i}` as NodeId,
      trafficClass: 'default' as ClassId,
      arrived: 'anywhere',
      via: [0, 1, 2, 3].map((n) => ({
        tunnel: String(i * 4 + n) as TunnelId,
        next: `site${i}` as NodeId,
        stage: n >> 1,
        cost: 10 * n,
        returnAfter: 0,
      })),
    }),
  )
  let now = 0
  let seq = 0
  const second = median(30, () => {
    for (let n = 0; n < 20; n++, now += 50, seq++) {
      for (const path of paths) {
        tick(path, now)
        probeSent(path, now, seq)
        probeAnswered(path, now + 30, seq, 30)
      }
    }
  })
  const choosing = median(30, () => {
    for (const group of groups) select(group, (tunnel) => health(paths[Number(tunnel)]!, 0), slas[0]!, 0, now)
  })
  const before = process.memoryUsage().heapUsed
  for (let n = 0; n < 20; n++, now += 50, seq++) for (const path of paths) probeSent(path, now, seq)
  return {
    probes_8000_ms: second,
    choose_100_groups_ms: choosing,
    heap_bytes_per_probe: Math.max(0, (process.memoryUsage().heapUsed - before) / 8000),
  }
}
