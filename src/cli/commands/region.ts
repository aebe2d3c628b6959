import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { counted } from '#src/fabric/plural.ts'
import { parsePrefix } from '#src/net/address.ts'
import { request } from '../connection.ts'
import { findFolder } from '../folder.ts'
import { followOperation } from '../operation.ts'
import { exit, type ExitCode, type Output, Stop } from '../output.ts'
import { command } from '../program.ts'
import type { RegionDetailView, RegionView } from '../shapes.ts'
import { ago, clock, columns } from '../table.ts'

const pathOf = (name: string) => `/v1/regions/${encodeURIComponent(name)}`
const colours: Readonly<Record<string, 'green' | 'red' | 'yellow'>> = { ACTIVE: 'green', FAILED: 'red' }
const stateOf = (of: RegionView, output: Output) => output.style(colours[of.state] ?? 'yellow', of.state)

export function region(program: Command): void {
  const group = program.command('region').description('gateways in a cloud')

  command(group, 'list', 'every region: state, resources, tunnels').action(async ({ output }) => {
    const { regions } = await request<{ regions: RegionView[] }>('/v1/regions')
    if (output.json) return output.document('Regions', regions)
    if (regions.length === 0)
      return output.line('no region yet. Next: causeway region add aws-eu-west-1 --vpc vpc-… --cidr 10.50.0.0/16 --segment inference')
    output.line(
      columns(
        regions.map((one) => [
          one.id,
          stateOf(one, output),
          `${one.resources.ready}/${counted(one.resources.total, 'resource')}`,
          `${one.tunnels.up}/${counted(one.tunnels.total, 'tunnel')}`,
          one.finding?.says ?? '',
        ]),
      ),
    )
  })

  command(group, 'status <region>', 'one region: connections, return routes, what differs from what it should be').action(
    async ({ output, args: [name = ''] }): Promise<ExitCode> => {
      const one = await request<RegionDetailView>(pathOf(name))
      if (output.json) output.document('Region', one)
      else print(one, output)
      return one.state === 'ACTIVE' && !one.finding && one.findings.length === 0 ? exit.done : exit.notGreen
    },
  )

  command(group, 'add <region>', 'write the file of a new region; touches no cloud')
    .option('--vpc <id>', 'the VPC that its segment is in')
    .option('--cidr <prefixes>', 'what the VPC has, comma-separated')
    .option('--segment <name>', 'which segment it is')
    .option('--folder <dir>', 'the network; default: the one here')
    .action(({ output, args: [name = ''], options }) => {
      const [, provider, location] = /^(aws)-([a-z]{2}(?:-[a-z]+)+-\d)$/.exec(name) ?? []
      if (provider === undefined || location === undefined)
        throw new Stop(exit.usage, `"${name}" is not a cloud and its region`, 'write it like aws-eu-west-1; other clouds are not supported yet')
      const option = (key: string, example: string): string => {
        const value = options[key]
        if (typeof value !== 'string' || value === '') throw new Stop(exit.usage, `--${key} is missing`, `write --${key} ${example}`)
        return value
      }
      const vpc = option('vpc', 'vpc-0a1b2c3d4e5f60718')
      if (!/^vpc-[0-9a-f]{8,17}$/.test(vpc))
        throw new Stop(exit.usage, `"${vpc}" is not the id of a VPC`, 'the cloud shows it, like vpc-0a1b2c3d4e5f60718')
      const prefixes = option('cidr', '10.50.0.0/16')
        .split(',')
        .map((one) => one.trim())
      for (const one of prefixes) {
        const parsed = parsePrefix(one)
        if (!parsed.ok) throw new Stop(exit.usage, `--cidr ${one}: ${parsed.says}`, 'write it like 10.50.0.0/16')
      }
      const segment = option('segment', 'inference')
      const file = join(findFolder(options['folder'] as string | undefined), `${name}.yaml`)
      if (existsSync(file)) throw new Stop(exit.conflict, `${file} is there already`, 'edit it, then: causeway plan')
      const text = `region: ${name}\nprovider: ${provider}\nsegments:\n  ${segment}: { vpcs: ${vpc}, prefixes: ${prefixes.length === 1 ? prefixes[0] : `[${prefixes.join(', ')}]`} }\n`
      writeFileSync(file, text, { flag: 'wx' })
      if (output.json) return output.document('Written', { file, text })
      output.line(`wrote ${file}. Next: causeway check, causeway plan (it has the price), causeway apply`)
    })

  command(group, 'wait <region>', 'until it is ACTIVE, or gone after a decommissioning')
    .option('--timeout <seconds>', 'give up waiting, not the work (5400)')
    .action(async ({ output, args: [name = ''], options }): Promise<ExitCode> => {
      const limit = Number(options['timeout'] ?? 5400)
      if (!(limit > 0)) throw new Stop(exit.usage, `"${String(options['timeout'])}" is not a number of seconds`, 'write --timeout 600')
      const until = Date.now() + limit * 1000
      let told = ''
      for (;;) {
        const one = await request<RegionView>(pathOf(name))
        const now = `${one.state}, ${one.resources.ready} of ${counted(one.resources.total, 'resource')}, ${one.tunnels.up} of ${counted(one.tunnels.total, 'tunnel')} up${one.finding ? `: ${one.finding.says}` : ''}`
        if (now !== told) {
          told = now
          if (output.json)
            output.event({ type: 'region', region: name, state: one.state, resources: one.resources, tunnels: one.tunnels, finding: one.finding })
          else output.progress(`${clock()}  ${name}  ${now}${one.state === 'CREATING' ? ' (gateways take 5 to 40 min in a real cloud)' : ''}`)
        }
        if (one.state === 'ACTIVE' || one.state === 'RETIRED') {
          if (output.json) output.event({ type: 'result', exit: exit.done })
          else output.line(`${name} is ${one.state}`)
          return exit.done
        }
        if (one.state === 'FAILED')
          throw new Stop(
            exit.failed,
            `${name} failed: ${one.finding?.says ?? 'no reason is known'}`,
            one.finding?.instead || `put that right, then: causeway region repair ${name}`,
          )
        if (Date.now() > until)
          throw new Stop(
            exit.timedOut,
            `${name} is still ${one.state} after ${limit} s; the work goes on`,
            `look again: causeway region status ${name}`,
          )
        await sleep(500)
      }
    })

  command(group, 'repair <region>', 'make it as it should be, after a failure or a change by hand').action(async ({ output, args: [name = ''] }) => {
    const accepted = await request<{ operation: string }>(`${pathOf(name)}/repair`, { method: 'POST' })
    return followOperation(accepted.operation, output)
  })

  command(group, 'decommission <region>', 'take it out: the hubs let go, then all that was made there is deleted')
    .option('--yes', 'do not ask')
    .action(async ({ output, args: [name = ''], options }) => {
      if (!options['yes'] && !output.interactive)
        throw new Stop(
          exit.usage,
          'this deletes the gateways of the region, and nobody is there to ask',
          `say so: causeway region decommission ${name} --yes`,
        )
      if (!options['yes']) {
        const { confirm } = await import('@clack/prompts')
        if ((await confirm({ message: `Delete everything that was made in ${name}?` })) !== true) throw new Stop(exit.done, 'nothing was changed')
      }
      const accepted = await request<{ operation: string }>(`${pathOf(name)}/decommission`, { method: 'POST' })
      return followOperation(accepted.operation, output)
    })

  command(group, 'permissions [cloud]', 'the least policy that all of this needs, as JSON').action(async ({ output, args: [cloud = 'aws'] }) => {
    const policy = await request<object>(`/v1/clouds/${encodeURIComponent(cloud)}/permissions`)
    if (output.json) output.document('Policy', policy)
    else output.line(JSON.stringify(policy, null, 2))
  })
}

export function cloud(program: Command): void {
  const group = program.command('cloud').description('a whole cloud account')
  command(group, 'sweep [cloud]', 'find everything of ours by its tag, whatever the database says; changes nothing')
    .option('--in <locations>', 'where, comma-separated, such as eu-west-1; default: where there is or was a region')
    .action(async ({ output, args: [name = 'aws'], options }): Promise<ExitCode> => {
      const where = options['in'] as string | undefined
      const { locations, resources } = await request<Sweep>(
        `/v1/clouds/${encodeURIComponent(name)}/sweep${where === undefined ? '' : `?locations=${encodeURIComponent(where)}`}`,
      )
      const orphans = resources.filter(({ known }) => !known)
      if (output.json) output.document('Sweep', { locations, resources })
      else if (resources.length === 0) output.line(`nothing of ours in ${locations.join(', ')}`)
      else
        output.line(
          `${columns(resources.map((of) => [of.location, of.type, of.cloudId, of.id, of.state, of.known ? '' : output.style('red', 'orphan')]))}\n${counted(resources.length, 'resource')}, ${orphans.length} that no region owns`,
        )
      return orphans.length === 0 ? exit.done : exit.notGreen
    })
}
interface Sweep {
  readonly locations: readonly string[]
  readonly resources: readonly {
    readonly id: string
    readonly type: string
    readonly cloudId: string
    readonly state: string
    readonly location: string
    readonly known: boolean
  }[]
}

function print(one: RegionDetailView, output: Output): void {
  output.line(`${one.id}  ${one.provider} ${one.location}  ${stateOf(one, output)} for ${ago(one.stateSince)}`)
  output.line(
    `  resources  ${one.resources.ready} of ${one.resources.total} ready${one.checkedAt ? `, compared with the cloud ${ago(one.checkedAt)} ago` : ''}`,
  )
  for (const of of one.connections) {
    const tunnels = of.tunnels.map(({ state, outside }) => `${state}${outside ? ` ${outside}` : ''}`).join(', ')
    output.line(`  ${of.id}  ${tunnels}${of.carriesReturn ? '  carries return traffic' : ''}`)
  }
  for (const finding of [...(one.finding ? [one.finding] : []), ...one.findings])
    output.line(output.style('red', `  ${finding.code}  ${finding.says}${finding.instead ? `: ${finding.instead}` : ''}`))
}
