/** `causeway check --watch` on a folder of 10,000 edges: from a saved file to its findings. */
import { alone, type Figures } from './measure.ts'
import type { Watched } from './watch-fleet.ts'

export function run(): Figures {
  const { firstMs, ms, cpuMs, readMs, proveMs, peakMb } = alone(new URL('watch-fleet.ts', import.meta.url), '10000') as Watched
  return {
    watch_10k_ms: ms,
    watch_10k_cpu_ms: cpuMs,
    watch_read_10k_ms: readMs,
    watch_prove_10k_ms: proveMs,
    first_10k_s: firstMs / 1_000,
    rss_mb: peakMb,
  }
}
