/** Follows an operation to its end. Ctrl-C detaches and says how to watch again; it never cancels. */
import { follow, request } from './connection.ts'
import { exit, type ExitCode, type Output } from './output.ts'
import type { EventView, OperationView, PhaseView } from './shapes.ts'
import { ago, clock } from './table.ts'

/** `paused by ada for 4 min`, `waiting for a maintenance window until 2026-11-29 01:00 UTC`. */
export const phaseText = ({ is, by, since, until }: PhaseView): string =>
  is === 'waiting' && until !== null
    ? `waiting for a maintenance window until ${until.slice(0, 16).replace('T', ' ')} UTC`
    : `${is === 'released' ? 'let go on outside of windows' : is.replace('-', ' ')}${by === null ? '' : ` by ${by}`} for ${ago(since)}`

/** The operation's own events are the only ones about an operation here. */
const subjectText = (subject: string): string => (subject.startsWith('operation/') ? 'rollout' : subject.replace(/^(site|network)\//, ''))

const pathOf = (id: string) => `/v1/operations/${encodeURIComponent(id)}`

export async function followOperation(id: string, output: Output): Promise<ExitCode> {
  const stop = new AbortController()
  const detach = () => stop.abort()
  process.once('SIGINT', detach)
  let ended: OperationView | undefined
  try {
    if (!output.json) output.progress(`operation ${id}; Ctrl-C leaves it running`)
    for await (const { event, data } of follow(`${pathOf(id)}/events`, stop.signal)) {
      if (event === 'end') {
        ended = data as OperationView
        break
      }
      const { at, subject, text, kind } = data as EventView
      if (output.json) output.event({ type: 'event', ...(data as object) })
      else output.progress(`${clock(at)}  ${subjectText(subject).padEnd(10)}  ${kind.includes('fail') ? output.style('red', text) : text}`)
    }
    ended ??= await request<OperationView>(pathOf(id))
  } finally {
    process.removeListener('SIGINT', detach)
    stop.abort()
  }
  if (ended.state === 'running') {
    if (output.json) output.event({ type: 'result', exit: exit.detached, operation: id })
    else
      output.progress(
        `detached; it ${ended.phase === null ? 'goes on' : `is ${phaseText(ended.phase)}`}. ${ended.kind === 'apply' ? `Back: causeway rollout abort ${id}. ` : ''}Watch: causeway rollout watch ${id}`,
      )
    return exit.detached
  }
  const code = ended.state === 'succeeded' ? exit.done : exit.failed
  if (output.json) output.event({ type: 'result', exit: code, operation: id, state: ended.state, findings: ended.findings })
  else {
    for (const finding of ended.findings)
      output.progress(output.style('red', `${finding.code}  ${finding.says}${finding.instead ? `: ${finding.instead}` : ''}`))
    output.line(
      code === exit.done
        ? `${ended.kind} succeeded. Look: causeway status`
        : `${ended.kind} ${ended.state}. Look: causeway status, causeway generation list`,
    )
  }
  return code
}
