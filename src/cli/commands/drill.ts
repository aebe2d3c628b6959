import { readFileSync, writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { Signed } from '#src/wire/messages.ts'
import { openEvidence } from '#src/wire/evidence.ts'
import { request } from '../connection.ts'
import { followOperation } from '../operation.ts'
import { exit, type ExitCode, Stop } from '../output.ts'
import { command } from '../program.ts'
import { ago, columns } from '../table.ts'

interface DrillView {
  readonly id: string
  readonly site: string
  readonly uplink: string
  readonly seconds: number
  readonly state: string
  readonly evidence: string | null
  readonly createdAt: string
  readonly measured: { readonly classes: readonly Moved[]; readonly why: string } | null
}
interface Moved {
  readonly trafficClass: string
  readonly from: string
  readonly to: string | null
  readonly movedAfterMs: number | null
}
const moved = (of: Moved) => [of.trafficClass, of.from, '→', of.to ?? 'stayed', of.movedAfterMs === null ? '' : `after ${of.movedAfterMs} ms`]

export function drill(program: Command): void {
  const group = program.command('drill').description('failover exercises and their signed evidence')

  command(group, 'run <site>', 'cut one uplink for some seconds, if the standby is proved; it heals by itself')
    .option('--break <uplink>', 'which uplink')
    .option('--seconds <n>', 'how long (5; at most 60)')
    .action(async ({ output, args: [site = ''], options }) => {
      const uplink = options['break'] as string | undefined
      if (uplink === undefined)
        throw new Stop(exit.usage, 'which uplink is not said', `write --break fiber: causeway drill run ${site} --break fiber`)
      const seconds = Number(options['seconds'] ?? 5)
      if (!Number.isInteger(seconds) || seconds < 1 || seconds > 60)
        throw new Stop(exit.usage, `"${String(options['seconds'])}" is not a number of seconds from 1 to 60`, 'write --seconds 5')
      const accepted = await request<{ operation: string; drill: string }>('/v1/drills', { method: 'POST', body: { site, uplink, seconds } })
      if (!output.json) output.progress(`drill ${accepted.drill}. Afterwards: causeway drill show ${accepted.drill}`)
      return followOperation(accepted.operation, output)
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
      if (one.measured && one.measured.classes.length > 0) output.line(columns(one.measured.classes.map(moved), '  '))
      if (one.evidence)
        output.line(
          `evidence ${one.evidence}${out === undefined ? `. Keep it: causeway drill show ${id} --out ${one.evidence}.json --trust trust.json` : ` is in ${out}. Check it: causeway drill verify ${out} --trust ${trust ?? 'trust.json'}`}`,
        )
    })

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
          `${evidence.site}.${evidence.uplink} was cut for ${evidence.seconds} s at generation ${evidence.generation}: ${evidence.held ? 'every class moved' : 'NOT every class moved'}`,
        )
        if (evidence.measured.classes.length > 0) output.line(columns(evidence.measured.classes.map(moved), '  '))
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
