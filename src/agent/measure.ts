/** `path test`: bursts over the paths that the controller names, all at once, and what came of them. */
import type { TunnelId } from '#src/fabric/fabric.ts'
import { counted } from '#src/fabric/plural.ts'
import { MeasurePayload, type MeasureReport, type Signed } from '#src/wire/messages.ts'
import type { Clock } from './clock.ts'
import type { Identity } from './enrol.ts'
import type { Log } from './log.ts'
import { openOrder } from './orders.ts'
import type { Prober } from './probe.ts'
import { why } from './trouble.ts'

export interface MeasurerOptions {
  readonly prober: Pick<Prober, 'burst'>
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
  /** It is worth a report. */
  readonly changed: () => void
}
export interface Measurer {
  /** Resolves when it is over; one that was answered is not taken again. */
  order(signed: Signed, identity: Identity): Promise<void>
  report(): MeasureReport | null
  /** The controller took `sent` and asks for no test any more. */
  told(sent: MeasureReport | null): void
}

export function createMeasurer({ prober, clock, log, changed }: MeasurerOptions): Measurer {
  let report: MeasureReport | null = null
  let active = false
  return {
    async order(signed, identity) {
      const order = openOrder(signed, identity, MeasurePayload, 'test', log)
      if (order === null || active || report?.test === order.test) return
      const { test, tunnels, count, intervalMs, beginBefore } = order
      active = true
      try {
        if (clock.now() > Date.parse(beginBefore)) throw new Error(`it had to begin before ${beginBefore}`)
        log('test', `${counted(count, 'probe')} over each of ${counted(tunnels.length, 'path')}`)
        const paths = await Promise.all(
          tunnels.map(async (tunnel) => {
            const measured = await prober.burst(tunnel as TunnelId, { count, intervalMs })
            return measured === undefined ? [] : [{ tunnel, ...measured }]
          }),
        )
        report = { test, paths: paths.flat(), why: '' }
      } catch (error) {
        report = { test, paths: [], why: why(error) }
      } finally {
        active = false
      }
      changed()
    },
    report: () => report,
    told: (sent) => {
      if (!active && report === sent) report = null
    },
  }
}
