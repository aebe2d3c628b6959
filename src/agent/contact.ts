/** The box and its controller: what it tells in each report, and what the answers ask of it. */
import type { Triple } from '#src/fabric/fabric.ts'
import { type Report, ReportAnswer } from '#src/wire/messages.ts'
import { type Clock, instant, pause } from './clock.ts'
import type { Answer, Controller } from './controller.ts'
import type { Drain } from './drain.ts'
import type { Driller } from './drill.ts'
import type { Log } from './log.ts'
import type { Measurer } from './measure.ts'
import type { Reporter, Told } from './reporter.ts'
import type { Session } from './session.ts'
import { AgentError, line, troubleOf } from './trouble.ts'

export interface ContactOptions {
  readonly controller: Pick<Controller, 'call'>
  readonly session: Pick<Session, 'identity' | 'renewTrust'>
  readonly reporter: Reporter
  readonly driller: Driller
  readonly drain: Pick<Drain, 'report'>
  readonly measurer: Measurer
  readonly clock: Pick<Clock, 'now' | 'atLeast'>
  readonly log: Log
  /** What the box is now. */
  readonly now: () => Omit<Told, 'headlessSince'>
  readonly signal: AbortSignal
}
export interface Contact {
  /** null: in touch. */
  headlessSince(): string | null
  /** By the last answer. */
  assigned(): Triple | null
  /** Why this box is to remove itself; '' as long as it is not. */
  leaving(): string
  /** Until the next report. */
  reportEveryMs(): number
  /** Reports, and does what the answer asks. Throws AgentError when there is none, or it can't be understood. */
  report(): Promise<void>
  /** No report came through. */
  lost(error: unknown): void
}

const tooFastMs = 1_000

/** Throws AgentError. */
function read({ status, body, problem }: Answer): ReportAnswer {
  if (problem) throw new AgentError(problem.code || (status === 401 || status === 403 ? 'A17' : 'A16'), problem.detail, problem.instead, true)
  const answer = ReportAnswer.safeParse(body)
  if (!answer.success)
    throw new AgentError('A16', "The controller's answer to a report is not understood", 'Upgrade the agent, or the controller', true)
  return answer.data
}

export function createContact(of: ContactOptions): Contact {
  const { controller, session, reporter, driller, drain, measurer, clock, log, now, signal } = of
  let headlessSince: string | null = null
  let headlessSaid = ''
  let assigned: Triple | null = null
  let leaving = ''
  let reportEveryMs = 5_000

  return {
    headlessSince: () => headlessSince,
    assigned: () => assigned,
    leaving: () => leaving,
    reportEveryMs: () => reportEveryMs,
    async report() {
      const composed = await reporter.compose({ ...now(), headlessSince })
      const [drill, drained, measured] = [driller.report(), drain.report(), measurer.report()]
      const body: Report = {
        ...composed.report,
        ...(drill ? { drill } : {}),
        ...(drained ? { drain: drained } : {}),
        ...(measured ? { measured } : {}),
      }
      const said = await controller.call({ method: 'POST', path: '/v1/report', body, signal })
      // It answers, so this is not the controller being away.
      if (said.status === 429) return pause(tooFastMs, signal)
      const answer = read(said)
      composed.delivered()
      clock.atLeast(Date.parse(answer.serverTime))
      reportEveryMs = Math.max(500, answer.reportEverySeconds * 1000)
      assigned = answer.assigned?.triple ?? null
      if (headlessSince !== null) log('controller', `back after ${Math.round((clock.now() - Date.parse(headlessSince)) / 1000)} s`)
      headlessSince = null
      headlessSaid = ''
      await session.renewTrust(answer.trustVersion)
      const { site } = session.identity()
      leaving = answer.wipe !== true ? '' : answer.replaced ? `another box is the one of ${site} now` : `site ${site} is decommissioned`
      if (answer.drill) void driller.order(answer.drill, session.identity())
      else driller.told(drill)
      if (answer.measure) void measurer.order(answer.measure, session.identity())
      else measurer.told(measured)
    },
    lost(error) {
      const trouble = troubleOf(error)
      headlessSince ??= instant(clock.now())
      if (trouble.says !== headlessSaid) log('controller', `${line(trouble)}${now().config ? '; traffic goes on' : ''}`, { code: trouble.code })
      headlessSaid = trouble.says
    },
  }
}
