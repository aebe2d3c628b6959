/** Feeds the state machine of a path from the lines of its `ping`, which keeps its own time: a probe is known when its line is. */
import { probeEnds } from '#src/fabric/ipsec.ts'
import type { EchoLine, EchoTarget, OpenEcho } from './echo.ts'
import { countAnswered, countSent, type ProbedPath } from './paths.ts'

export interface EchoesOptions {
  readonly echo: OpenEcho
  readonly tick: () => number
  /** The tunnel's own. */
  readonly deviceOf: (record: ProbedPath) => string | null
  /** A line was heard: `work` tells the path, between a look at its state before and after. */
  readonly heard: (record: ProbedPath, work: (now: number) => void) => void
  readonly ended: (record: ProbedPath, said: string) => void
}
export interface Echoes {
  /** What it pings, and how it gets there. */
  target(record: ProbedPath): EchoTarget
  open(record: ProbedPath, now: number): void
  /** The probes' interval may have changed. */
  followTiming(record: ProbedPath, now: number): void
  /** It should have said something by now: what hangs or is gone answers nobody, and is started again. */
  overdue(record: ProbedPath, now: number): void
}

const reopenMs = 1_000
/** ping speaks once an interval; on a box that is busy, later. */
const quietIntervals = 3
const slackMs = 100

export function createEchoes({ echo, tick, deviceOf, heard, ended }: EchoesOptions): Echoes {
  /** All up to this number have left. */
  function sentUpTo(record: ProbedPath, sequence: number, at: number): void {
    // ping stood still for long (a suspended box): what happened meanwhile is nobody's loss.
    if (sequence - record.sequence > 64) record.sequence = sequence
    while (record.sequence <= sequence) countSent(record, at)
  }
  function tell(record: ProbedPath, line: EchoLine, sequence: number, own: boolean, now: number): void {
    switch (line.kind) {
      case 'reply':
        if (own) sentUpTo(record, sequence, now - line.rttMs)
        if (sequence >= record.sequence) return
        record.suspect = false
        countAnswered(record, now, sequence, line.rttMs)
        break
      case 'unanswered':
        if (!own) return
        sentUpTo(record, sequence, now - record.echoMs)
        sentUpTo(record, sequence + 1, now)
        break
      default:
        throw new TypeError(`no such line: ${line satisfies never}`)
    }
    if (own) record.nextAt = now + quietIntervals * record.echoMs + slackMs
  }
  const echoes: Echoes = {
    target(record) {
      const { from, to, stated } = probeEnds(record.tunnel)
      // What is behind the far end has a route by the tunnel that is chosen now: the answer must be this tunnel's.
      return { from, to, device: stated ? deviceOf(record) : null }
    },
    open(record, now) {
      const first = record.sequence
      record.echoMs = record.path.timing.intervalMs
      record.nextAt = now + quietIntervals * record.echoMs + slackMs
      const started = echo(
        { ...echoes.target(record), intervalMs: record.echoMs },
        (line) => heard(record, (at) => tell(record, line, first + line.sequence - 1, record.echo === started, at)),
        (said) => {
          if (record.echo !== started) return
          record.echo = null
          record.reopenAt = tick() + reopenMs
          ended(record, said)
        },
      )
      record.echo = started
    },
    followTiming(record, now) {
      if (!record.echo || record.path.timing.intervalMs === record.echoMs) return
      record.echo.retire()
      echoes.open(record, now)
    },
    overdue(record, now) {
      countSent(record, now)
      record.nextAt = now + record.path.timing.intervalMs
      if (!record.echo) return
      record.echo.close()
      echoes.open(record, now)
    },
  }
  return echoes
}
