/**
 * A silent active path throws doubt on all that share a line with it: they are probed at once, so that when it is
 * declared DOWN it is known which of them answer, and traffic isn't moved from one dead path to the next.
 */
import type { ProbedPath } from './paths.ts'

type Records = ReadonlyMap<string, ProbedPath>

/** A path is suspected when it has been silent for so many of its intervals; it is DOWN after three. */
const suspectAfter = 1.5

/** A standby that shares a line with `record`, at this end or at the other. */
const isSibling = (record: ProbedPath, other: ProbedPath): boolean =>
  other !== record &&
  other.role !== 'active' &&
  other.path.alive === 'UP' &&
  (other.tunnel.uplink === record.tunnel.uplink ||
    (other.tunnel.remote === record.tunnel.remote && farLine(other) !== null && farLine(other) === farLine(record)))
/** A cloud's lines are its own matter. */
const farLine = ({ tunnel }: ProbedPath) => ('remoteUplink' in tunnel ? tunnel.remoteUplink : null)

const silentAt = ({ path }: ProbedPath): number => path.quietFrom + suspectAfter * path.timing.intervalMs + path.jitterMs
const mayDoubt = (record: ProbedPath): boolean => record.role === 'active' && record.tunnel.decides && record.path.alive === 'UP' && !record.suspect

/** The end that decides: marks the siblings of every path that is silent, and has each of them asked. */
export function suspectSiblings(records: Records, now: number, ask: (record: ProbedPath) => void): void {
  for (const record of records.values()) {
    if (!mayDoubt(record) || now < silentAt(record)) continue
    for (const other of records.values()) {
      if (other.suspect || !other.tunnel.decides || !isSibling(record, other)) continue
      other.suspect = true
      other.suspectSince = now
      ask(other)
    }
  }
}

/** When `suspectSiblings` may have something to do for this path; Infinity when it has no sibling to ask. */
export function suspicionAt(records: Records, record: ProbedPath): number {
  if (!mayDoubt(record)) return Number.POSITIVE_INFINITY
  for (const other of records.values()) if (!other.suspect && other.tunnel.decides && isSibling(record, other)) return silentAt(record) + 1
  return Number.POSITIVE_INFINITY
}

/** The end that follows hears the other's questions: a sibling that wasn't asked since then is on the dead line, too. */
export function doubtUnheard(records: Records, record: ProbedPath): void {
  for (const other of records.values()) {
    if (other.suspect || other.tunnel.decides || !isSibling(record, other) || other.path.lastReplyAt > record.path.quietFrom) continue
    other.suspect = true
    other.suspectSince = record.path.quietFrom
  }
}

/** Suspected, asked, and silent for longer than an answer takes. */
export const isMute = (record: ProbedPath, now: number): boolean =>
  record.suspect && now - record.suspectSince > Math.max(record.path.rttMs * 1.25 + 4 * record.path.jitterMs, 20)
