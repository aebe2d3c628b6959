/** How one class fares while the uplink under it is cut: when it went another way, its longest silence, its lost probes. */
import type { TunnelId } from '#src/fabric/fabric.ts'
import type { DrillReport } from '#src/wire/messages.ts'
import type { Prober, Use } from './probe.ts'

type Fared = DrillReport['classes'][number]
/** Probes of one tunnel while the class was on it. `next` is open as long as it is. */
interface Span {
  readonly tunnel: TunnelId
  readonly first: number
  next: number
}
export interface Watch {
  readonly use: Use
  /** The tunnel that the class takes at tick `now`, or undefined when it has none. */
  look(now: number, tunnel: TunnelId | undefined): void
  fared(now: number): Fared
}

/** `over`: the tunnels of the uplink that was cut at tick `began`. */
export function watchClass(prober: Pick<Prober, 'heard'>, use: Use, over: ReadonlySet<string>, began: number): Watch {
  let on = use.tunnel
  let since = Number.NEGATIVE_INFINITY
  let heardAt = prober.heard(on)?.at ?? began
  let gapMs = 0
  let moved: { readonly to: TunnelId; readonly afterMs: number } | null = null
  const spans: Span[] = []
  let uncounted = false

  const open = (tunnel: TunnelId) => {
    const next = prober.heard(tunnel)?.next ?? null
    if (next === null) uncounted = true
    else spans.push({ tunnel, first: next, next })
  }
  const extend = () => {
    const span = spans.at(-1)
    if (span?.tunnel === on) span.next = prober.heard(on)?.next ?? span.next
  }
  open(on)

  return {
    use,
    look(now, tunnel) {
      extend()
      if (tunnel !== undefined && tunnel !== on) {
        on = tunnel
        // What the standby heard before the class came to it is no word for this class.
        since = now
        open(on)
        if (moved === null && !over.has(on)) moved = { to: on, afterMs: Math.round(now - began) }
      }
      const at = prober.heard(on)?.at ?? Number.NEGATIVE_INFINITY
      if (at < since || at <= heardAt) return
      gapMs = Math.max(gapMs, at - heardAt)
      heardAt = at
    },
    fared: (now) => ({
      trafficClass: use.trafficClass,
      remote: use.remote,
      from: use.tunnel,
      to: moved?.to ?? null,
      movedAfterMs: moved?.afterMs ?? null,
      gapMs: Math.round(Math.max(gapMs, now - heardAt)),
      probes: uncounted
        ? null
        : {
            sent: spans.reduce((sum, { first, next }) => sum + next - first, 0),
            lost: spans.reduce((sum, { tunnel, first, next }) => sum + (prober.heard(tunnel)?.lost(first, next) ?? 0), 0),
          },
    }),
  }
}
