/**
 * A burst of probes over one path, for `path test`. They go beside the ordinary ones and count for no verdict: each has
 * the number of the ordinary probe before it, as padded ones do, and is told by its time, which comes back in the reply:
 * ordinary ones leave at whole milliseconds, these half a millisecond beside.
 */
import type { PathMeasured } from '#src/wire/messages.ts'
import type { EchoTarget, OpenEcho } from './echo.ts'
import { pause } from './clock.ts'

export interface Shots {
  readonly count: number
  readonly intervalMs: number
}
export type Measured = Omit<PathMeasured, 'tunnel'>
export interface Burst {
  /** Sends them all, waits for the last; `send` gives a time that it puts into the probe. */
  run(shots: Shots, send: (sentAt: number, padded: boolean) => void, tick: () => number, wall: () => number): Promise<Measured>
  /** Whether a reply to a probe of this time belongs to it. */
  answered(sentAt: number, now: number): boolean
}

const beside = 0.5
/** One that is lost proves nothing, three are rare. */
const paddedCount = 3
/** A probe that is not answered by then counts as lost. */
const lateMs = 1_000

export function createBurst(): Burst {
  const small = new Map<number, { readonly sent: number; rttMs: number | null }>()
  const padded = new Map<number, boolean>()
  return {
    async run({ count, intervalMs }, send, tick, wall) {
      const began = tick()
      let last = 0
      for (let shot = 0; shot < count + paddedCount; shot++) {
        await pause(began + shot * intervalMs - tick())
        // A clock that was set back, or stands: each has a time of its own all the same.
        last = Math.max(last + 1, Math.round(wall()))
        if (shot < count) small.set(last, { sent: tick(), rttMs: null })
        else padded.set(last, false)
        send(last + beside, shot >= count)
      }
      await pause(lateMs)
      return summary(
        [...small.values()].map(({ rttMs }) => rttMs),
        [...padded.values()].some(Boolean),
      )
    },
    answered(sentAt, now) {
      const at = Math.round(sentAt - beside)
      if (Math.abs(sentAt - beside - at) > beside / 2) return false
      const one = small.get(at)
      if (one) one.rttMs ??= now - one.sent
      else if (padded.has(at)) padded.set(at, true)
      return one !== undefined || padded.has(at)
    },
  }
}

/** By ICMP, where the far end reflects nothing else: a `ping` of its own, and another one that must not be fragmented. */
export async function echoBurst(echo: OpenEcho, target: EchoTarget, mtu: number, { count, intervalMs }: Shots): Promise<Measured> {
  const ping = (of: { readonly count: number; readonly bytes?: number }) =>
    new Promise<ReadonlyMap<number, number>>((resolve) => {
      const replies = new Map<number, number>()
      echo(
        { ...target, intervalMs, ...of },
        (line) => {
          if (line.kind === 'reply' && !replies.has(line.sequence)) replies.set(line.sequence, line.rttMs)
        },
        () => resolve(replies),
      )
    })
  const replies = await ping({ count })
  const full = await ping({ count: paddedCount, bytes: mtu - (target.to.includes(':') ? headers.v6 : headers.v4) })
  return summary(
    Array.from({ length: count }, (_, index) => replies.get(index + 1) ?? null),
    full.size > 0,
  )
}
/** IP and ICMP. */
const headers = { v4: 28, v6: 48 } as const

/** `rtts` in the order of sending; null: lost. */
export function summary(rtts: readonly (number | null)[], fullPackets: boolean): Measured {
  const heard = rtts.filter((rtt) => rtt !== null)
  const sorted = heard.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  // RFC 3393: of neighbours that both came.
  const steps = rtts.flatMap((rtt, index) => {
    const before = rtts[index - 1]
    return rtt === null || before === null || before === undefined ? [] : [Math.abs(rtt - before)]
  })
  const round = (ms: number) => Math.round(ms * 1000) / 1000
  return {
    sent: rtts.length,
    received: heard.length,
    rttMs: heard.length === 0 ? null : { min: round(sorted[0]!), median: round(median), max: round(sorted.at(-1)!) },
    jitterMs: steps.length === 0 ? null : round(steps.reduce((sum, step) => sum + step, 0) / steps.length),
    fullPackets,
  }
}
