/**
 * How often a path is probed. Fast only where traffic flows: 400 paths at 50 ms cost a hub 15 % of a core, and a
 * metered line pays for every probe.
 */
import { masterDownMs } from '#src/fabric/vrrp.ts'
import type { PathRole, PathState, ProbeTiming } from './path.ts'

/** Of silence, in probe intervals: 20 ms × 3 gave false positives, 50 ms × 3 is seen after 108–152 ms. */
export const multiplier = 3
/** Share of an interval by which the caller's random number moves it, both ways (RFC 5880 section 6.8.7 in spirit). */
export const intervalJitter = 0.25

const activeMs = 50
const standbyMs = 500
const meteredMs = 15_000
const meteredAlertMs = 1_000
const searchMs = 200
const searchFastForMs = 30_000
const searchSlowestMs = 5_000

export interface TimingQuestion {
  readonly state: PathState
  readonly role: PathRole
  /** How long the path has been INIT or DOWN without a single reply, ms; 0 as soon as one came. */
  readonly silentMs: number
  /** The path that carries the traffic now is DEGRADED: a metered standby must be known to be good. */
  readonly primaryDegraded: boolean
}

/**
 * The longest that a path in use takes to be declared DOWN, and traffic to leave it at both ends, ms: three unanswered
 * probes at their longest interval, or silence of three times the jitter where a class allows that much, and one interval
 * more to act. `jitterMs` of the class's SLA; 0 = no limit, and then none is reckoned with.
 */
export const failoverMs = (jitterMs: number): number =>
  Math.max(multiplier * activeMs * (1 + intervalJitter), multiplier * jitterMs) + activeMs * (1 + intervalJitter)

/** The longest that the second gateway of a pair takes to carry the traffic of the first, ms: until it misses the first, and half as much to act and to be heard of. */
export const takeoverMs = Math.ceil(1.5 * masterDownMs)

const timing = (intervalMs: number): ProbeTiming => ({ intervalMs, multiplier })
const fixed = {
  active: timing(activeMs),
  standby: timing(standbyMs),
  metered: timing(meteredMs),
  meteredAlert: timing(meteredAlertMs),
  search: timing(searchMs),
}

/** Interval and multiplier of a path in its present state and role. Doubles every 30 s while nobody answers. */
export function timingFor(of: TimingQuestion): ProbeTiming {
  if (of.state === 'INIT' || of.state === 'DOWN') {
    if (of.silentMs < searchFastForMs) return fixed.search
    const doublings = Math.floor(of.silentMs / searchFastForMs)
    const slowest = of.role === 'metered-standby' ? meteredMs : searchSlowestMs
    return timing(Math.min(slowest, searchMs * 2 ** Math.min(doublings, 16)))
  }
  switch (of.role) {
    case 'active':
      return fixed.active
    case 'standby':
      return fixed.standby
    case 'metered-standby':
      return of.primaryDegraded ? fixed.meteredAlert : fixed.metered
    default:
      throw new TypeError(`no such role: ${of.role satisfies never}`)
  }
}

/** When the next probe leaves, ms: `random` in [0, 1) is the caller's, so that paths don't march in step. */
export const nextProbeAt = (sentAt: number, intervalMs: number, random: number): number =>
  sentAt + intervalMs * (1 - intervalJitter + 2 * intervalJitter * random)
