import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { counted } from '#src/fabric/plural.ts'
import { request } from '../connection.ts'
import { exit, type ExitCode, type Output } from '../output.ts'
import { command } from '../program.ts'
import { phaseText } from '../operation.ts'
import type { StatusView } from '../shapes.ts'
import { ago, utc } from '../table.ts'

const colours = { green: 'green', degraded: 'red', changing: 'yellow', empty: 'dim' } as const
/** More than fits a screen is counted. */
const shown = 12

function render(status: StatusView, output: Output): string {
  const { verdict, sites, tunnels, problems, proof } = status
  if (verdict === 'empty') return 'no network yet. Next: causeway apply'
  const lines = [
    `${status.network}  generation ${status.generation}  ${sites.active}/${counted(sites.total, 'site')}  ${tunnels.up}/${counted(tunnels.total, 'tunnel')} up    ${output.style(colours[verdict], verdict.toUpperCase())}${status.frozen ? output.style('red', '  FROZEN') : ''}`,
    ...problems
      .slice(0, shown)
      .map((one) => `${output.style('red', '!')} ${one.subject.replace(/^(site|path|drill)\//, '')}  ${one.says}, ${ago(one.since)}`),
    ...(problems.length > shown ? [`  and ${problems.length - shown} more`] : []),
    ...status.operations.map(
      (one) =>
        `${output.style('yellow', '~')} ${one.kind} of ${one.subject.replace(/^\w+\//, '')} ${one.phase ? `is ${phaseText(one.phase)}` : `runs for ${ago(one.since)}`}`,
    ),
    ...(proof
      ? [`  proven for this generation: ${proof.held} of ${counted(proof.expects, 'expectation')} under ${counted(proof.failures, 'single failure')}`]
      : []),
    ...drillsLine(status.drills),
  ]
  const paused = status.operations.find(({ phase }) => phase?.is === 'paused')
  const next =
    problems[0]?.next ??
    (paused ? `causeway rollout resume ${paused.id}, or causeway rollout abort ${paused.id}` : undefined) ??
    (status.operations[0] ? `causeway rollout watch ${status.operations[0].id}` : sites.active < sites.total ? 'causeway site list' : '')
  return next ? `${lines.join('\n')}\nnext: ${next}` : lines.join('\n')
}

function drillsLine({ oldest, next }: StatusView['drills']): readonly string[] {
  const parts = [
    ...(oldest ? [`oldest drill ${ago(oldest.at)} ago (${oldest.site})`] : []),
    ...(next ? [`next ${utc(next.at)} (${next.site}.${next.uplink})`] : []),
  ]
  return parts.length > 0 ? [`  ${parts.join(', ')}`] : []
}

export function status(program: Command): void {
  command(program, 'status', 'one screen: what is red, why, since when, the next command')
    .option('--watch', 'again every two seconds')
    .action(async ({ output, options }): Promise<ExitCode> => {
      for (;;) {
        const now = await request<StatusView>('/v1/status')
        if (output.json) output.document('Status', now)
        else output.line(`${options['watch'] && output.colour ? '\u001b[H\u001b[2J' : ''}${render(now, output)}`)
        if (!options['watch']) return now.verdict === 'green' || now.verdict === 'empty' ? exit.done : exit.notGreen
        await sleep(2000)
      }
    })
}
