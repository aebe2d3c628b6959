/**
 * Proves that a path carries packets of the overlay's MTU (routing.md rule 24): beside the ordinary probes, which are
 * small, the deciding end sends padded ones, and their replies are padded as well. One that answers small probes but no
 * padded one is a black hole for full packets: TCP connects there and then stands still.
 */
import type { ProbedPath } from './paths.ts'

export interface MtuProof {
  /** Tick of the next padded probe. */
  nextAt: number
  /** Tick at which the one on its way counts as lost; Infinity when there is none. */
  dueAt: number
  sequence: number
  /** Unanswered in a row. */
  lost: number
}
export const newProof = (): MtuProof => ({ nextAt: Number.POSITIVE_INFINITY, dueAt: Number.POSITIVE_INFINITY, sequence: -1, lost: 0 })

const activeMs = 10_000
const standbyMs = 60_000
const meteredMs = 3_600_000
const retryMs = 1_000
/** While a path is known to be narrow it is asked as often as that: whoever repairs it wants to see it. */
const narrowMs = 10_000
/** Of ordinary loss three in a row are rare. */
const mostLost = 3

/** IPv6 and UDP headers inside the tunnel. */
export const paddedPayload = (mtu: number): number => mtu - 48

const intervalOf = ({ role, path, tunnel }: ProbedPath): number =>
  path.narrow && !tunnel.metered ? narrowMs : role === 'active' ? activeMs : role === 'standby' ? standbyMs : meteredMs

/** The path has come up, or its role changed: soon enough, whatever was planned. */
export function planProof(record: ProbedPath, now: number): void {
  const { proof } = record
  if (record.path.alive !== 'UP') Object.assign(proof, newProof())
  else if (proof.nextAt === Number.POSITIVE_INFINITY && proof.dueAt === Number.POSITIVE_INFINITY) proof.nextAt = now
  else proof.nextAt = Math.min(proof.nextAt, now + intervalOf(record))
}

/** A padded probe of this sequence number has left. */
export function paddedSent(record: ProbedPath, now: number, sequence: number): void {
  const { proof, path } = record
  proof.sequence = sequence
  proof.nextAt = Number.POSITIVE_INFINITY
  proof.dueAt = now + Math.max(retryMs, Number.isNaN(path.rttMs) ? 0 : 2 * path.rttMs + 4 * path.jitterMs)
}

/** true when the path's verdict changed. */
export function paddedAnswered(record: ProbedPath, now: number, sequence: number): boolean {
  const { proof, path } = record
  if (sequence !== proof.sequence) return false
  const changed = path.narrow
  path.narrow = false
  proof.lost = 0
  proof.sequence = -1
  proof.dueAt = Number.POSITIVE_INFINITY
  proof.nextAt = now + intervalOf(record)
  return changed
}

/** Time passed; true when the path has just turned out to be narrow. */
export function paddedLost(record: ProbedPath, now: number): boolean {
  const { proof, path } = record
  if (now < proof.dueAt) return false
  proof.dueAt = Number.POSITIVE_INFINITY
  proof.sequence = -1
  proof.lost++
  const changed = proof.lost >= mostLost && !path.narrow
  if (changed) path.narrow = true
  proof.nextAt = now + (proof.lost < mostLost ? 0 : intervalOf(record))
  return changed
}
