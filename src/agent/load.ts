/** bit/s through each tunnel: the kernel's counters, over the time between two looks at them. */
import type { TunnelId } from '#src/fabric/fabric.ts'
import type { TunnelCounters } from '#providers/device.ts'
import type { PathReport } from '#src/wire/messages.ts'

export type Load = NonNullable<PathReport['load']>
export interface Meter {
  /** A look would tell something new. */
  isDue(): boolean
  look(counters: readonly TunnelCounters[]): void
  of(tunnel: TunnelId): Load | undefined
}

/** Shorter than that, one burst of packets would look like a full line. */
const shortestMs = 1_000

interface Bytes {
  readonly tx: number
  readonly rx: number
}
/** `tick`: monotonic, ms. */
export function createMeter(tick: () => number): Meter {
  let at = Number.NEGATIVE_INFINITY
  let before: ReadonlyMap<TunnelId, Bytes> = new Map()
  let loads: ReadonlyMap<TunnelId, Load> = new Map()
  const isDue = () => tick() - at >= shortestMs
  return {
    isDue,
    look(counters) {
      if (!isDue()) return
      const now = tick()
      const seconds = (now - at) / 1000
      // While link epochs overlap, a tunnel has two interfaces.
      const bytes = new Map<TunnelId, Bytes>()
      for (const { tunnel, txBytes, rxBytes } of counters) {
        const sum = bytes.get(tunnel)
        bytes.set(tunnel, { tx: txBytes + (sum?.tx ?? 0), rx: rxBytes + (sum?.rx ?? 0) })
      }
      loads = new Map(
        [...bytes].flatMap(([tunnel, { tx, rx }]) => {
          const last = before.get(tunnel)
          // An interface that was made anew counts from 0: nothing is known of this interval.
          if (!last || tx < last.tx || rx < last.rx) return []
          const rate = (of: number) => Math.round((of * 8) / seconds)
          return [[tunnel, { up: rate(tx - last.tx), down: rate(rx - last.rx) }] as const]
        }),
      )
      before = bytes
      at = now
    },
    of: (tunnel) => loads.get(tunnel),
  }
}
