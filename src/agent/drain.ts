/** A site that drains: until when, and whether the box still passes packets on from tunnel to tunnel. */
import type { DeviceDriver, TransitCount } from '#providers/device.ts'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import type { DrainReport } from '#src/wire/messages.ts'
import type { Clock } from './clock.ts'

/** Since 1970, ms; −Infinity for a site that does not drain. */
export const drainEnd = (config: SiteConfig | null): number =>
  config?.drainUntil === undefined ? Number.NEGATIVE_INFINITY : Date.parse(config.drainUntil)

/** Peers hear of it within a probe or two; what still comes after that long without a packet is nothing. */
export const quietMs = 10_000

export interface DrainOptions {
  readonly transit: DeviceDriver['transit']
  readonly clock: Pick<Clock, 'now' | 'tick'>
  /** The box is drained, or its time is over: worth a report, and a line on its own screen, at once. */
  readonly changed: () => void
}
export interface Drain {
  /** To be called about once a second with what runs now. */
  look(config: SiteConfig | null): Promise<void>
  report(): DrainReport | null
}

export function createDrain({ transit, clock, changed }: DrainOptions): Drain {
  let window: { readonly until: string; counted: TransitCount; packets: number; bytes: number; movedAt: number; drained: boolean } | null = null
  return {
    async look(config) {
      const until = config?.drainUntil
      if (until === undefined || clock.now() >= drainEnd(config)) {
        if (window) {
          window = null
          changed()
        }
        return
      }
      const now = await transit()
      if (window?.until !== until) {
        window = { until, counted: now, packets: 0, bytes: 0, movedAt: clock.tick(), drained: false }
        return
      }
      // It counts from 0 again whenever the policy was loaded.
      const before = now.packets < window.counted.packets ? { packets: 0, bytes: 0 } : window.counted
      const packets = now.packets - before.packets
      window.packets += packets
      window.bytes += now.bytes - before.bytes
      window.counted = now
      if (packets > 0) window.movedAt = clock.tick()
      const drained = clock.tick() - window.movedAt >= quietMs
      if (drained === window.drained) return
      window.drained = drained
      changed()
    },
    report: () => window && { until: window.until, packets: window.packets, bytes: window.bytes, drained: window.drained },
  }
}
