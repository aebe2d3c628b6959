/** Shared types of path health and selection. Pure: time is an argument, in milliseconds of any monotonic clock. */
import type { ClassId, NodeId, Sla, TunnelId } from '#src/fabric/fabric.ts'

export type PathState = 'INIT' | 'UP' | 'DEGRADED' | 'DOWN'
/** One probe's outcome as the sender sees it. */
export interface Reply {
  readonly at: number
  readonly rttMs: number
}
/** Probe timing of a path in its present role. */
export interface ProbeTiming {
  readonly intervalMs: number
  /** Silence of `multiplier × intervalMs` (with a floor from RTT jitter) is DOWN. */
  readonly multiplier: number
}
export type PathRole = 'active' | 'standby' | 'metered-standby'
/** What a group needs to know of each hop now. */
export interface HopHealth {
  readonly state: PathState
  readonly rttMs: number
  readonly jitterMs: number
  readonly loss: number
  /** The far end says of the same tunnel, by TLV. */
  readonly remoteState: PathState
  /** The far end is draining: rank last. */
  readonly remoteDraining: boolean
  /** Since when it has been UP at both ends without a break; Infinity if it is not, −Infinity if it never broke since it was first heard. */
  readonly upSince: number
  /** From then on traffic may return to it; before, only if nothing else of its stage works. */
  readonly settledAt: number
}
export type { ClassId, NodeId, Sla, TunnelId }
