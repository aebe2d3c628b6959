import { readFileSync, writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { counted } from '#src/fabric/plural.ts'
import { openEvidence, verdictOf } from '#src/wire/evidence.ts'
import { type DrillReport, type DrillVerdict, Signed } from '#src/wire/messages.ts'
import { request } from '../connection.ts'
import { followOperation } from '../operation.ts'
import { exit, type ExitCode, Stop } from '../output.ts'
import { command } from '../program.ts'
import type { OperationView } from '../shapes.ts'
import { ago, columns, utc } from '../table.ts'

type Measured = Pick<DrillReport, 'classes' | 'disturbed' | 'why'>
interface DrillView {
  readonly id: string
  readonly site: string
  readonly uplink: string
  readonly seconds: number
  readonly state: string
  readonly operation: string
  readonly evidence: string | null
  readonly createdAt: string
  readonly measured: Measured | null
}

const verdicts: Readonly<Record<DrillVerdict, string>> = {
  moved: 'every class that used it moved',
  stayed: 'NOT every class that used it moved',
  standby: 'no class used it, and none moved: it says nothing of a failover',
  disturbed: 'no class used it, and some moved all the same',
}

/** A line a class, and one of them all. */
function fared(site: string, { classes, disturbed = [] }: Measured): readonly string[] {
  const rows = classes.map(({ trafficClass, remote = '', from, to, movedAfterMs, gapMs, probes }) => [
    trafficClass,
    remote,
    `${from} → ${to ?? 'stayed'}`,
    movedAfterMs === null ? '' : `after ${movedAfterMs} ms`,
    gapMs === undefined ? '' : `gap ${gapMs} ms`,
    probes ? `lost ${probes.lost} of ${counted(probes.sent, 'probe')}` : '',
  ])
  const moved = disturbed.map(
    ({ trafficClass, remote, from, to }) => `  class ${trafficClass} to ${remote} went from ${from} to ${to ?? 'no way at all'}`,
  )
  if (classes.length === 0) return moved
  const probes = classes.flatMap((one) => one.probes ?? [])
  const total = (of: 'sent' | 'lost') => probes.reduce((sum, one) => sum + one[of], 0)
  // Where the far ends send the probes, only they can count those that were lost.
  const of = probes.length === classes.length ? 'in all classes' : `on ${probes.length} of ${classes.length} ways, which ${site} probes itself`
  const lost = probes.length === 0 ? '' : `lost ${total('lost')} of ${counted(total('sent'), 'probe packet')} ${of}; `
  const gaps = classes.flatMap(({ gapMs }) => gapMs ?? [])
  return [columns(rows, '  '), ...moved, ...(gaps.length === 0 ? [] : [`${lost}largest gap ${Math.max(...gaps)} ms`])]
}
const keep = ({ id, evidence }: Pick<DrillView, 'id' | 'evidence'>) =>
  `evidence ${evidence}. Keep it: causeway drill show ${id} --out ${evidence}.json --trust trust.json`

function uplinkOf(options: Readonly<Record<string, unknown>>, verb: string): string {
  const uplink = options['break'] as string | undefined
  if (uplink === undefined) throw new Stop(exit.usage, 'which uplink is not said', `write --break fiber: causeway drill ${verb} --break fiber`)
  return uplink
}
function secondsOf(options: Readonly<Record<string, unknown>>): number {
  const seconds = Number(options['seconds'] ?? 5)
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 60)
    throw new Stop(exit.usage, `"${String(options['seconds'])}" is not a number of seconds from 1 to 60`, 'write --seconds 5')
  return seconds
}
const units: Readonly<Record<string, number>> = { h: 3_600, d: 86_400 }
function everyOf(options: Readonly<Record<string, unknown>>): number {
  const text = String(options['every'] ?? '')
  const [, number, unit = ''] = /^(\d{1,4})([hd])$/.exec(text) ?? []
  if (number === undefined)
    throw new Stop(exit.usage, text === '' ? 'how often is not said' : `"${text}" is not an interval`, 'write --every 7d, or --every 12h')
  return Number(number) * (units[unit] ?? 0)
}

interface ScheduleView {
  readonly site: string
  readonly uplink: string
  readonly seconds: number
  readonly everySeconds: number
  readonly nextAt: string
}
const interval = (seconds: number) => (seconds % 86_400 === 0 ? `${seconds / 86_400}d` : `${seconds / 3_600}h`)
const schedulePath = (site: string, uplink: string) => `/v1/drill-schedules/${encodeURIComponent(site)}/${encodeURIComponent(uplink)}`

function schedule(group: Command): void {
  const verbs = group
    .command('schedule')
    .description('drills that the system commands by itself: causeway drill schedule berlin --break fiber --every 7d')

  command(verbs, 'add <site>', 'drill an uplink again and again, each time gated as by hand', { isDefault: true })
    .option('--break <uplink>', 'which uplink')
    .option('--every <interval>', 'how often: 7d, 12h')
    .option('--at <time>', 'when of the day, UTC: 02:10; for whole days')
    .option('--seconds <n>', 'how long it is cut (5; at most 60)')
    .action(async ({ output, args: [site = ''], options }) => {
      const uplink = uplinkOf(options, `schedule ${site}`)
      const body = { everySeconds: everyOf(options), seconds: secondsOf(options), ...(options['at'] === undefined ? {} : { at: options['at'] }) }
      const made = await request<ScheduleView>(schedulePath(site, uplink), { method: 'PUT', body })
      if (output.json) return output.document('DrillSchedule', made)
      output.line(
        `${site}.${uplink} is drilled every ${interval(made.everySeconds)}, next ${utc(made.nextAt)}. Undo: causeway drill schedule remove ${site} --break ${uplink}`,
      )
    })

  command(verbs, 'list', 'which uplinks are drilled, how often, and when next').action(async ({ output }) => {
    const { schedules } = await request<{ schedules: ScheduleView[] }>('/v1/drill-schedules')
    if (output.json) return output.document('DrillSchedules', schedules)
    if (schedules.length === 0) return output.line('nothing is scheduled. Next: causeway drill schedule SITE --break UPLINK --every 7d')
    output.line(
      columns(
        schedules.map((one) => [
          `${one.site}.${one.uplink}`,
          `every ${interval(one.everySeconds)}`,
          `for ${one.seconds} s`,
          `next ${utc(one.nextAt)}`,
        ]),
      ),
    )
  })

  command(verbs, 'remove <site>', 'no more drills by themselves of an uplink')
    .option('--break <uplink>', 'which uplink')
    .action(async ({ output, args: [site = ''], options }) => {
      const uplink = uplinkOf(options, `schedule remove ${site}`)
      await request(schedulePath(site, uplink), { method: 'DELETE' })
      if (output.json) return output.document('DrillSchedule', { site, uplink })
      output.line(`${site}.${uplink} is not drilled by itself any more. By hand: causeway drill run ${site} --break ${uplink}`)
    })
}

export function drill(program: Command): void {
  const group = program.command('drill').description('failover exercises and their signed evidence')

  command(group, 'run <site>', 'cut one uplink for some seconds, if the standby is proved; it heals by itself')
    .option('--break <uplink>', 'which uplink')
    .option('--seconds <n>', 'how long (5; at most 60)')
    .action(async ({ output, args: [site = ''], options }) => {
      const uplink = uplinkOf(options, `run ${site}`)
      const seconds = secondsOf(options)
      const accepted = await request<{ operation: string; drill: string }>('/v1/drills', { method: 'POST', body: { site, uplink, seconds } })
      if (!output.json) output.progress(`drill ${accepted.drill}. Afterwards: causeway drill show ${accepted.drill}`)
      const code = await followOperation(accepted.operation, output)
      if (output.json || code === exit.detached) return code
      const one = await request<DrillView>(`/v1/drills/${accepted.drill}`)
      if (one.measured) for (const line of fared(one.site, one.measured)) output.line(line)
      if (one.evidence) output.line(keep(one))
      return code
    })

  command(group, 'list', 'the newest drills').action(async ({ output }) => {
    const { drills } = await request<{ drills: DrillView[] }>('/v1/drills')
    if (output.json) return output.document('Drills', drills)
    if (drills.length === 0) return output.line('no drill yet. Next: causeway drill run SITE --break UPLINK')
    output.line(columns(drills.map((one) => [one.id, `${one.site}.${one.uplink}`, one.state, one.evidence ?? '-', `${ago(one.createdAt)} ago`])))
  })

  command(group, 'show <drill>', 'what moved, and how fast')
    .option('-o, --out <file>', 'write the signed evidence')
    .option('--trust <file>', 'write the trust document that it is checked against; keep it')
    .action(async ({ output, args: [id = ''], options }) => {
      const one = await request<DrillView>(`/v1/drills/${encodeURIComponent(id)}`)
      const [out, trust] = [options['out'] as string | undefined, options['trust'] as string | undefined]
      if (out !== undefined) {
        if (one.evidence === null) throw new Stop(exit.failed, `drill ${id} has no evidence: it is ${one.state}`, one.measured?.why ?? '')
        writeFileSync(out, `${JSON.stringify(await request(`/v1/evidence/${encodeURIComponent(one.evidence)}`))}\n`)
      }
      if (trust !== undefined) writeFileSync(trust, `${JSON.stringify(await request('/v1/trust'))}\n`)
      if (output.json) return output.document('Drill', one)
      output.line(`${one.id}  ${one.site}.${one.uplink} for ${one.seconds} s  ${one.state}${one.measured?.why ? `: ${one.measured.why}` : ''}`)
      if (one.measured) for (const line of fared(one.site, one.measured)) output.line(line)
      const { findings } = await request<OperationView>(`/v1/operations/${encodeURIComponent(one.operation)}`)
      for (const finding of findings) output.line(`${finding.code}  ${finding.says}${finding.instead ? `: ${finding.instead}` : ''}`)
      if (one.evidence)
        output.line(
          out === undefined
            ? keep(one)
            : `evidence ${one.evidence} is in ${out}. Check it: causeway drill verify ${out} --trust ${trust ?? 'trust.json'}`,
        )
    })

  schedule(group)

  command(group, 'verify <file>', 'check the evidence of a drill; needs no controller')
    .option('--trust <file>', 'the trust document that you keep')
    .action(({ output, args: [file = ''], options }): ExitCode => {
      const trust = options['trust'] as string | undefined
      if (trust === undefined)
        throw new Stop(
          exit.usage,
          'no trust document is named',
          `write --trust trust.json: causeway drill verify ${file || 'ev.json'} --trust trust.json`,
        )
      const checked = openEvidence(readSigned(file), readSigned(trust))
      if (!checked.ok) throw new Stop(exit.failed, checked.says, checked.instead)
      const { evidence, keyId } = checked
      if (output.json) output.document('Evidence', { ...evidence, keyId })
      else {
        output.line(`signed by ${keyId} of network ${evidence.network} on ${evidence.signedAt}`)
        output.line(
          `${evidence.site}.${evidence.uplink} was cut for ${evidence.seconds} s at generation ${evidence.generation}: ${verdicts[evidence.verdict ?? verdictOf(evidence.measured)]}`,
        )
        for (const line of fared(evidence.site, evidence.measured)) output.line(line)
      }
      return evidence.held ? exit.done : exit.notGreen
    })
}

function readSigned(file: string): Signed {
  const text = readFileSync(file, 'utf8')
  try {
    return Signed.parse(JSON.parse(text))
  } catch {
    throw new Stop(exit.usage, `${file} is not a signed document`, 'take a file that causeway drill show --out wrote')
  }
}
