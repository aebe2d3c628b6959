import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { counted } from '#src/fabric/plural.ts'
import { request } from '../connection.ts'
import { exit, type ExitCode, type Output, Stop } from '../output.ts'
import { command } from '../program.ts'
import type { PathView } from '../shapes.ts'
import { ago, clock, columns } from '../table.ts'

interface PathTestView {
  readonly mtu: number
  readonly paths: readonly {
    readonly tunnel: string
    readonly sent: number
    readonly received: number
    readonly rttMs: { readonly min: number; readonly median: number; readonly max: number } | null
    readonly jitterMs: number | null
    readonly fullPackets: boolean
  }[]
  readonly missing: readonly string[]
}

const colours: Readonly<Record<string, 'green' | 'yellow' | 'red' | 'dim'>> = { UP: 'green', DEGRADED: 'yellow', INIT: 'yellow', DOWN: 'red' }
const ms = (value: number | null) => (value === null ? '-' : `${value.toFixed(value < 10 ? 1 : 0)} ms`)

const mbit = (bits: number) => (bits / 1e6).toFixed(1)

/** Load: away from the site and towards it. */
function rows(paths: readonly PathView[], site: string | undefined, output: Output): string[][] {
  return paths.map((path) => {
    const near = path.ends.find((end) => end.site === site) ?? path.ends[0]!
    const far = path.ends.find((end) => end !== near && end.state !== near.state)
    const state = near.breaches.length > 0 ? `${near.state} for ${near.breaches.join(', ')}` : near.state
    const shown = far === undefined ? state : `${state} (${far.site}: ${far.state})`
    return [
      path.tunnel,
      output.style(colours[near.state] ?? 'dim', shown),
      near.since ? `for ${ago(near.since)}` : '',
      ms(near.rttMs),
      near.loss === null ? '-' : `${(near.loss * 100).toFixed(1)} % lost`,
      near.load === null ? '-' : `${mbit(near.load.up)}/${mbit(near.load.down)} Mbit/s`,
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

  command(group, 'test <site[.uplink]>', 'a burst of probes from its box: loss, round trip, jitter, and whether full packets pass')
    .option('--count <n>', 'probes over each path (100; at most 500)')
    .action(async ({ output, args: [target = ''], options }): Promise<ExitCode> => {
      // The second gateway of a site is called berlin.b.
      const [, site = '', uplink] = /^([^.]*(?:\.b(?=\.|$))?)(?:\.(.+))?$/.exec(target) ?? []
      if (site === '') throw new Stop(exit.usage, `"${target}" names no site`, 'write SITE or SITE.UPLINK: causeway path test berlin.fiber')
      const count = Number(options['count'] ?? 100)
      if (!Number.isInteger(count) || count < 1 || count > 500)
        throw new Stop(exit.usage, `"${String(options['count'])}" is not a number of probes from 1 to 500`, 'write --count 100')
      if (!output.json) output.progress(`${counted(count, 'probe')} over each path of ${target}, 50 a second: about ${Math.ceil(count / 50 + 3)} s`)
      const tested = await request<PathTestView>('/v1/paths/test', {
        method: 'POST',
        body: { site, count, ...(uplink === undefined ? {} : { uplink }) },
      })
      if (output.json) output.document('PathTest', tested)
      else
        output.line(
          columns([
            ...tested.paths.map((path) => measured(path, tested.mtu, output)),
            ...tested.missing.map((tunnel) => [tunnel, output.style('yellow', 'not there yet')]),
          ]),
        )
      return tested.missing.length === 0 && tested.paths.every(({ received, fullPackets }) => received > 0 && fullPackets) ? exit.done : exit.notGreen
    })
}

function measured({ tunnel, sent, received, rttMs, jitterMs, fullPackets }: PathTestView['paths'][number], mtu: number, output: Output): string[] {
  const lost = ((sent - received) / sent) * 100
  const loss = output.style(lost === 0 ? 'green' : received === 0 ? 'red' : 'yellow', `${lost.toFixed(1)} % lost`)
  if (rttMs === null) return [tunnel, loss, `of ${sent}`, 'nothing came back']
  return [
    tunnel,
    loss,
    `of ${sent}`,
    `round trip ${rttMs.min.toFixed(1)} to ${rttMs.max.toFixed(1)} ms, median ${rttMs.median.toFixed(1)} ms`,
    jitterMs === null ? '' : `jitter ${jitterMs.toFixed(1)} ms`,
    fullPackets ? `${mtu} bytes pass` : output.style('red', `${mtu} bytes DON'T pass`),
  ]
}
