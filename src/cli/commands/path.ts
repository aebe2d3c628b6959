import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { request } from '../connection.ts'
import type { Output } from '../output.ts'
import { command } from '../program.ts'
import type { PathView } from '../shapes.ts'
import { ago, clock, columns } from '../table.ts'

const colours: Readonly<Record<string, 'green' | 'yellow' | 'red' | 'dim'>> = { UP: 'green', DEGRADED: 'yellow', INIT: 'yellow', DOWN: 'red' }
const ms = (value: number | null) => (value === null ? '-' : `${value.toFixed(value < 10 ? 1 : 0)} ms`)

function rows(paths: readonly PathView[], site: string | undefined, output: Output): string[][] {
  return paths.map((path) => {
    const near = path.ends.find((end) => end.site === site) ?? path.ends[0]!
    const far = path.ends.find((end) => end !== near && end.state !== near.state)
    const shown = far === undefined ? near.state : `${near.state} (${far.site}: ${far.state})`
    return [
      path.tunnel,
      output.style(colours[near.state] ?? 'dim', shown),
      near.since ? `for ${ago(near.since)}` : '',
      ms(near.rttMs),
      near.loss === null ? '-' : `${(near.loss * 100).toFixed(1)} % lost`,
      near.classes.length > 0 ? `carries ${near.classes.join(', ')}` : 'standby',
    ]
  })
}

export function path(program: Command): void {
  const group = program.command('path').description('tunnels as their two ends see them')
  command(group, 'list [site]', 'state, round trip, loss, and which classes each path carries').action(async ({ output, args: [site] }) => {
    const { paths } = await request<{ paths: PathView[] }>(`/v1/paths${site === undefined ? '' : `?site=${encodeURIComponent(site)}`}`)
    if (output.json) return output.document('Paths', paths)
    if (paths.length === 0) return output.line(site === undefined ? 'no tunnel yet. Next: causeway apply' : `no tunnel ends at ${site} yet`)
    output.line(columns(rows(paths, site, output)))
  })

  command(group, 'watch [site]', 'the same, again every second').action(async ({ output, args: [site] }) => {
    for (;;) {
      const { paths } = await request<{ paths: PathView[] }>(`/v1/paths${site === undefined ? '' : `?site=${encodeURIComponent(site)}`}`)
      if (output.json) output.event({ type: 'paths', paths })
      else output.line(`${output.colour ? '\u001b[H\u001b[2J' : ''}${clock()}\n${columns(rows(paths, site, output))}`)
      await sleep(1_000)
    }
  })
}
