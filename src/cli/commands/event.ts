import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { request } from '../connection.ts'
import { exit, type Output, Stop } from '../output.ts'
import { command } from '../program.ts'
import type { EventView } from '../shapes.ts'
import { when } from '../table.ts'

interface Page {
  readonly events: readonly EventView[]
  readonly last: number
}
const pageOf = (after: number, subject: string | undefined) =>
  request<Page>(`/v1/events?limit=1000&after=${after}${subject === undefined ? '' : `&subject=${encodeURIComponent(subject)}`}`)
const lineOf = ({ at, subject, text }: EventView) => `${when(at)}  ${subject.replace(/^(site|region|network|operation)\//, '').padEnd(15)}  ${text}`

/** The newest `count`, oldest first. */
async function newest(subject: string | undefined, count: number): Promise<Page> {
  let kept: readonly EventView[] = []
  for (let last = 0; ; ) {
    const page = await pageOf(last, subject)
    kept = [...kept, ...page.events].slice(-count)
    last = page.last
    if (page.events.length < 1000) return { events: kept, last }
  }
}

async function show(subject: string | undefined, options: Readonly<Record<string, unknown>>, watch: boolean, output: Output): Promise<void> {
  const count = Number(options['count'] ?? 50)
  if (!Number.isInteger(count) || count < 1) throw new Stop(exit.usage, `"${String(options['count'])}" is not a number of lines`, 'write --count 50')
  if (subject !== undefined && !subject.includes('/'))
    throw new Stop(exit.usage, `"${subject}" does not say what it is`, `write its kind before it: site/${subject}`)
  const page = await newest(subject, count)
  if (output.json && !watch) return output.document('Events', page.events)
  if (page.events.length === 0 && !watch) return output.line(`nothing has happened${subject === undefined ? '' : ` to ${subject}`} yet`)
  const say = (event: EventView) => (output.json ? output.event({ type: 'event', ...event }) : output.line(lineOf(event)))
  for (const event of page.events) say(event)
  for (let { last } = page; watch; ) {
    await sleep(1_000)
    const next = await pageOf(last, subject)
    for (const event of next.events) say(event)
    last = next.last
  }
}

export function event(program: Command): void {
  const group = program.command('event').description('what happened')
  command(group, 'list [subject]', 'the newest, of everything or of site/berlin, region/aws-eu-west-1, drill/…')
    .option('--count <n>', 'how many (50)')
    .action(async ({ output, args: [subject], options }) => await show(subject, options, false, output))
  command(group, 'watch [subject]', 'the newest, and then as it happens')
    .option('--count <n>', 'how many to begin with (50)')
    .action(async ({ output, args: [subject], options }) => await show(subject, options, true, output))
}

/** `site log`. */
export function siteLog(group: Command): void {
  command(group, 'log <site>', 'what happened at one site')
    .option('--count <n>', 'how many (50)')
    .option('--watch', 'and then as it happens')
    .action(async ({ output, args: [name = ''], options }) => {
      await request(`/v1/sites/${encodeURIComponent(name)}`)
      await show(`site/${name}`, options, options['watch'] === true, output)
    })
}
