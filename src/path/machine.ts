/**
 * The state machine of one path as one end sees it. Time is an argument, in milliseconds of any monotonic clock.
 *
 * A Path is one mutable record that `step` updates in place: a hub feeds 400 of them at 20 probes a second, and an
 * object per probe would be garbage collected in the middle of a failover. The named functions are the same events
 * without the event object.
 */
import type { Sla } from '#src/fabric/fabric.ts'
import type { HopHealth, PathState, ProbeTiming } from './path.ts'

export type PathEvent =
  /** A probe left; `seq` rises by one a probe. */
  | { readonly kind: 'sent'; readonly at: number; readonly seq: number }
  /** Its reply came: late, doubled and reordered ones are all right. A follower gives the decider's probe. */
  | { readonly kind: 'reply'; readonly at: number; readonly seq: number; readonly rttMs: number }
  /** Time passed: silence and windows are judged. Call it at `deadline`, at least once a second. */
  | { readonly kind: 'tick'; readonly at: number }
  /** Role or state changed the probes' interval. */
  | { readonly kind: 'timing'; readonly at: number; readonly timing: ProbeTiming }
  /** The far end's view of the same tunnel, from its TLV. */
  | { readonly kind: 'remote'; readonly at: number; readonly state: PathState; readonly draining: boolean }

export interface PathOptions {
  readonly at: number
  readonly timing: ProbeTiming
  /** One per class, in the caller's order; `health(path, i)` judges by the i-th. */
  readonly slas: readonly Sla[]
  /** This end hears the other's probes and sends none: silence alone decides. */
  readonly follows?: boolean
}

/** Replies in a row, with no silence between them, that make a path UP. */
export const repliesToUp = 5
/** A path that nobody ever answered counts as DOWN after that long, ms. */
export const initGraceMs = 3_000
export const windowMs = 1_000
export const cleanHoldMs = 30_000
export const longestHoldMs = 600_000
export const flapMemoryMs = 3_600_000
/**
 * How long a path that was broken must be UP before traffic returns to it, ms: twice as long after each break, in the
 * manner of IOS XR's `bfd dampening`, and short again once it was UP for twice the longest.
 */
export const settleFirstMs = 2_000
export const settleLongestMs = 30_000
/** What counts as clean again, as a share of the SLA. */
export const cleanShare = 0.8

interface ClassWatch {
  readonly sla: Sla
  /** Last three judged windows, newest in bit 0: 1 = breached. */
  breaches: number
  degraded: boolean
  /** NaN: not clean now. */
  cleanSince: number
  cleanSent: number
  cleanLost: number
  holdMs: number
  flappedAt: number
  readonly health: { -readonly [K in keyof HopHealth]: HopHealth[K] }
}
interface Window {
  index: number
  sent: number
  answered: number
}
export interface Path {
  /** Without regard to any SLA: DEGRADED is per class, see `health` and `overall`. */
  alive: 'INIT' | 'UP' | 'DOWN'
  /** When `alive` last changed. */
  since: number
  /** At both ends; −Infinity: since it was first heard, never broken. */
  upSince: number
  /** How long it must be UP before traffic returns to it, ms; 0 until it breaks. */
  settleMs: number
  timing: ProbeTiming
  readonly follows: boolean
  remoteState: PathState
  remoteDraining: boolean
  /** Small packets pass and those of the overlay's MTU don't: no class may rely on it, but it is better than nothing. */
  narrow: boolean
  rttMs: number
  jitterMs: number
  loss: number
  lastRtt: number
  lastReplyAt: number
  /** Silence is counted from here: the last reply, or a change of timing. */
  quietFrom: number
  replies: number
  broken: boolean
  sentSeq: number
  repliedSeq: number
  /** Bit n: the reply to repliedSeq − n has come. */
  seen: number
  /** When the probe left that made `multiplier` of them unanswered; NaN if there are fewer. */
  overdueAt: number
  readonly origin: number
  readonly windows: readonly [Window, Window]
  judged: number
  readonly classes: readonly ClassWatch[]
}

/** Of a path that nobody has heard yet. */
export const unproven: HopHealth = {
  state: 'INIT',
  rttMs: Number.NaN,
  jitterMs: 0,
  loss: 0,
  remoteState: 'INIT',
  remoteDraining: false,
  upSince: Number.POSITIVE_INFINITY,
  settledAt: Number.POSITIVE_INFINITY,
}

export function createPath(options: PathOptions): Path {
  const watch = (sla: Sla): ClassWatch => ({
    sla,
    breaches: 0,
    degraded: false,
    cleanSince: Number.NaN,
    cleanSent: 0,
    cleanLost: 0,
    holdMs: cleanHoldMs,
    flappedAt: Number.NEGATIVE_INFINITY,
    health: { ...unproven },
  })
  return {
    alive: 'INIT',
    since: options.at,
    upSince: Number.POSITIVE_INFINITY,
    settleMs: 0,
    timing: options.timing,
    follows: options.follows ?? false,
    remoteState: 'INIT',
    remoteDraining: false,
    narrow: false,
    rttMs: Number.NaN,
    jitterMs: 0,
    loss: 0,
    lastRtt: Number.NaN,
    lastReplyAt: Number.NEGATIVE_INFINITY,
    quietFrom: options.at,
    replies: 0,
    broken: false,
    sentSeq: -1,
    repliedSeq: -1,
    seen: 0,
    overdueAt: Number.NaN,
    origin: options.at,
    windows: [
      { index: 0, sent: 0, answered: 0 },
      { index: 1, sent: 0, answered: 0 },
    ],
    judged: -1,
    classes: options.slas.map(watch),
  }
}

/** Applies one event in place; the same path comes back, so that it reads as a fold. */
export function step(path: Path, event: PathEvent): Path {
  switch (event.kind) {
    case 'sent':
      probeSent(path, event.at, event.seq)
      return path
    case 'reply':
      probeAnswered(path, event.at, event.seq, event.rttMs)
      return path
    case 'tick':
      tick(path, event.at)
      return path
    case 'timing':
      retime(path, event.at, event.timing)
      return path
    case 'remote':
      hearRemote(path, event.at, event.state, event.draining)
      return path
    default:
      throw new TypeError(`no such event: ${event satisfies never}`)
  }
}

export function probeSent(path: Path, at: number, seq: number): void {
  closeWindows(path, at)
  path.sentSeq = seq
  const window = windowAt(path, at)
  if (window) window.sent++
  if (Number.isNaN(path.overdueAt) && seq - path.repliedSeq >= path.timing.multiplier) path.overdueAt = at
}

export function probeAnswered(path: Path, at: number, seq: number, rttMs: number): void {
  if (!firstReplyTo(path, seq)) return
  // Replies far apart are no proof that the path works now.
  if (at - path.quietFrom > silenceMs(path)) path.replies = 0
  path.lastReplyAt = at
  path.quietFrom = at
  if (path.sentSeq - path.repliedSeq < path.timing.multiplier) path.overdueAt = Number.NaN
  measure(path, rttMs)
  if (!path.follows) {
    const window = windowAt(path, at - rttMs)
    if (window) window.answered = Math.min(window.answered + 1, window.sent)
  }
  path.replies++
  if (path.alive !== 'UP' && path.replies >= repliesToUp) {
    path.alive = 'UP'
    path.since = at
    if (path.remoteState !== 'DOWN') path.upSince = path.broken ? at : Number.NEGATIVE_INFINITY
    path.judged = indexAt(path, at)
  }
}

export function tick(path: Path, at: number): void {
  closeWindows(path, at)
  if (at < deadline(path)) return
  if (path.alive === 'UP') {
    if (path.remoteState !== 'DOWN') breakOff(path, at)
    for (const watch of path.classes) {
      watch.breaches = 0
      watch.cleanSince = Number.NaN
    }
  }
  if (path.alive !== 'DOWN') {
    path.alive = 'DOWN'
    path.since = at
  }
  path.replies = 0
}

/** It was UP, and one of its ends says that it no longer is. */
function breakOff(path: Path, at: number): void {
  const wasQuiet = path.settleMs === 0 || at - path.upSince >= 2 * settleLongestMs
  path.settleMs = wasQuiet ? settleFirstMs : Math.min(settleLongestMs, path.settleMs * 2)
  path.broken = true
  path.upSince = Number.POSITIVE_INFINITY
}

/** Before this time `tick` can't make the path DOWN, ms; Infinity when it is DOWN or too few probes are unanswered. */
export function deadline(path: Path): number {
  if (path.alive === 'DOWN') return Number.POSITIVE_INFINITY
  if (path.alive === 'INIT') return Math.max(path.since, path.lastReplyAt) + Math.max(initGraceMs, silenceMs(path))
  const silent = path.quietFrom + silenceMs(path)
  if (path.follows) return silent
  if (Number.isNaN(path.overdueAt)) return Number.POSITIVE_INFINITY
  // The last of the unanswered probes had its chance, too: with ±25 % on the interval two losses would else be enough.
  return Math.max(silent, path.overdueAt + Math.min(path.rttMs, path.timing.intervalMs))
}

export function retime(path: Path, at: number, timing: ProbeTiming): void {
  if (timing.intervalMs === path.timing.intervalMs && timing.multiplier === path.timing.multiplier) return
  path.timing = timing
  // A standby that becomes active was last heard up to 500 ms ago: that is not silence at 50 ms.
  if (path.quietFrom < at) path.quietFrom = at
}

export function hearRemote(path: Path, at: number, state: PathState, draining: boolean): void {
  const wasDown = path.remoteState === 'DOWN'
  path.remoteState = state
  if (path.alive === 'UP' && wasDown !== (state === 'DOWN')) {
    if (wasDown) path.upSince = path.broken ? at : Number.NEGATIVE_INFINITY
    else breakOff(path, at)
  }
  path.remoteDraining = draining
}

/** How long nobody has answered a path that is INIT or DOWN, ms: what `timingFor` backs off by. */
export const silentFor = (path: Path, at: number): number => (path.replies > 0 ? 0 : at - Math.max(path.since, path.lastReplyAt))

/** For people and reports: DEGRADED when any class's SLA is breached, or full packets don't pass. */
export function overall(path: Path): PathState {
  if (path.alive !== 'UP') return path.alive
  if (path.narrow) return 'DEGRADED'
  for (const watch of path.classes) if (watch.degraded) return 'DEGRADED'
  return 'UP'
}

/** Indexes of the classes that may not call the path good: their SLA is breached, or full packets don't pass. */
export const breaches = (path: Path): readonly number[] =>
  path.alive === 'UP' ? path.classes.flatMap((watch, i) => (watch.degraded || path.narrow ? [i] : [])) : []

/** The path as the i-th class of `slas` sees it. The same object each time, refreshed: copy it to keep it. */
export function health(path: Path, i: number): HopHealth {
  const watch = path.classes[i]
  if (!watch) throw new RangeError(`path has ${path.classes.length} classes, not ${i + 1}`)
  const out = watch.health
  out.state = path.alive === 'UP' && (watch.degraded || path.narrow) ? 'DEGRADED' : path.alive
  out.rttMs = path.rttMs
  out.jitterMs = path.jitterMs
  // Every full packet is lost: among paths that are all bad it is the worst.
  out.loss = path.narrow ? 1 : path.loss
  out.remoteState = path.remoteState
  out.remoteDraining = path.remoteDraining
  out.upSince = path.upSince
  out.settledAt = path.upSince + path.settleMs
  return out
}

/** Lower end of the 95 % Wilson score interval of `lost` out of `sent`: one lost probe of twenty proves nothing yet. */
export function wilsonLower(lost: number, sent: number): number {
  if (sent === 0) return 0
  const z = 1.96
  const p = lost / sent
  const spread = z * Math.sqrt((p * (1 - p)) / sent + (z * z) / (4 * sent * sent))
  return Math.max(0, (p + (z * z) / (2 * sent) - spread) / (1 + (z * z) / sent))
}

const silenceMs = (path: Path): number => Math.max(path.timing.multiplier * path.timing.intervalMs, 3 * path.jitterMs)

function firstReplyTo(path: Path, seq: number): boolean {
  const ahead = seq - path.repliedSeq
  if (ahead > 0) {
    path.seen = ahead > 31 ? 1 : (path.seen << ahead) | 1
    path.repliedSeq = seq
    return true
  }
  if (ahead < -31) return false
  const bit = 1 << -ahead
  if ((path.seen & bit) !== 0) return false
  path.seen |= bit
  return true
}

function measure(path: Path, rttMs: number): void {
  if (!Number.isFinite(rttMs)) return
  if (Number.isNaN(path.rttMs)) path.rttMs = rttMs
  else {
    path.rttMs += (rttMs - path.rttMs) / 8 // RFC 6298 section 2.3
    path.jitterMs += (Math.abs(rttMs - path.lastRtt) - path.jitterMs) / 16 // RFC 3550 section 6.4.1
  }
  path.lastRtt = rttMs
}

const indexAt = (path: Path, at: number): number => Math.floor((at - path.origin) / windowMs)

/** The open window of a send time; undefined when it is already judged. */
function windowAt(path: Path, at: number): Window | undefined {
  const index = indexAt(path, at)
  const window = path.windows[index & 1]!
  if (window.index === index) return window
  if (index < window.index) return undefined
  window.index = index
  window.sent = 0
  window.answered = 0
  return window
}

/** Judges each window once its last probe has had two round trips, at most a window more. */
function closeWindows(path: Path, at: number): void {
  const grace = Math.min(windowMs, Math.max(50, Number.isNaN(path.rttMs) ? 0 : 2 * path.rttMs + 4 * path.jitterMs))
  const last = indexAt(path, at - grace) - 1
  if (last <= path.judged) return
  for (const window of path.windows[0].index < path.windows[1].index ? path.windows : [path.windows[1], path.windows[0]]) {
    if (window.index <= path.judged || window.index > last || window.sent === 0) continue
    if (path.alive === 'UP') judge(path, window, path.origin + (window.index + 1) * windowMs)
  }
  path.judged = last
}

function judge(path: Path, window: Window, at: number): void {
  const lost = window.sent - window.answered
  const lower = wilsonLower(lost, window.sent)
  path.loss += (lost / window.sent - path.loss) / 4
  for (const watch of path.classes) {
    const { sla } = watch
    watch.breaches = ((watch.breaches << 1) & 7) | (over(path, sla, lower, 1) ? 1 : 0)
    if (watch.degraded) recover(path, watch, at, window.sent, lost, lower)
    else if ((watch.breaches & (watch.breaches - 1)) !== 0) degrade(watch, at)
  }
}

function over(path: Path, sla: Sla, loss: number, share: number): boolean {
  return (
    (sla.loss > 0 && loss > sla.loss * share) ||
    (sla.latencyMs > 0 && path.rttMs > sla.latencyMs * share) ||
    (sla.jitterMs > 0 && path.jitterMs > sla.jitterMs * share)
  )
}

function degrade(watch: ClassWatch, at: number): void {
  const quietHours = Math.floor((at - watch.flappedAt) / flapMemoryMs)
  watch.holdMs =
    watch.flappedAt === Number.NEGATIVE_INFINITY
      ? cleanHoldMs
      : Math.min(longestHoldMs, Math.max(cleanHoldMs, (watch.holdMs * 2) / 2 ** Math.min(quietHours, 16)))
  watch.flappedAt = at
  watch.degraded = true
  watch.cleanSince = Number.NaN
}

/** Back only after `holdMs` in which no window was bad and the loss of all of them together is under 80 % of the limit. */
function recover(path: Path, watch: ClassWatch, at: number, sent: number, lost: number, lower: number): void {
  if (over(path, watch.sla, lower, cleanShare)) {
    watch.cleanSince = Number.NaN
    return
  }
  if (Number.isNaN(watch.cleanSince)) {
    watch.cleanSince = at - windowMs
    watch.cleanSent = 0
    watch.cleanLost = 0
  }
  watch.cleanSent += sent
  watch.cleanLost += lost
  if (at - watch.cleanSince < watch.holdMs) return
  if (watch.sla.loss > 0 && watch.cleanLost / watch.cleanSent > watch.sla.loss * cleanShare) {
    watch.cleanSince = Number.NaN
    return
  }
  watch.degraded = false
  watch.breaches = 0
  watch.flappedAt = at
}
