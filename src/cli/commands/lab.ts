import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { text as readAll } from 'node:stream/consumers'
import type { Command } from 'commander'
import { counted } from '#src/fabric/plural.ts'
import type { Line } from '#src/lab/underlay.ts'
import { findFolder, stateFolder } from '../folder.ts'
import { exit, Stop } from '../output.ts'
import { command } from '../program.ts'

// The lab runs from source and only on Linux with namespaces: it is loaded when it is used.
const client = () => import('#src/lab/client.ts')

/** The lab of `lab up`, else the demo's. */
const labState = (): string => {
  const places = [join(stateFolder(), 'lab'), join(stateFolder(), 'demo', 'lab')]
  return process.env['CAUSEWAY_LAB'] ?? places.find((place) => existsSync(join(place, 'control'))) ?? places[0]!
}

/** `8%`, `0.08` → 0.08. */
function fraction(text: string): number {
  const value = text.endsWith('%') ? Number(text.slice(0, -1)) / 100 : Number(text)
  if (!(value >= 0 && value <= 1)) throw new Stop(exit.usage, `"${text}" is not a share`, 'write per cent like 8%, or a number from 0 to 1')
  return value
}
function milliseconds(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(?:ms)?$/.exec(text)
  if (!match) throw new Stop(exit.usage, `"${text}" is not a delay`, 'write milliseconds like 120ms')
  return Number(match[1])
}

async function words<T>(work: () => Promise<T>): Promise<T> {
  const { LabError } = await client()
  try {
    return await work()
  } catch (error) {
    if (error instanceof LabError) throw new Stop(error.code === 'L000' ? exit.unreachable : exit.usage, error.message, error.instead)
    throw error
  }
}

export function lab(program: Command): void {
  const group = program.command('lab').description('the laptop lab: namespaces, links that break, real agents')

  command(group, 'up [folder]', 'build the underlay of a network in namespaces of its own; it stays until `lab down`')
    .option('--controller-socket <path>', "UNIX socket of the controller's agents' listener")
    .action(async ({ output, args: [given], options }) => {
      const state = join(stateFolder(), 'lab')
      const { startLab, attach } = await client()
      const running = await attach(state)
        .status()
        .then(
          () => true,
          () => false,
        )
      if (running) throw new Stop(exit.conflict, 'a lab runs here already', 'end it first: causeway lab down')
      const sites = resolve(findFolder(given))
      await words(() => startLab({ sites, controllerSocket: (options['controllerSocket'] as string | undefined) ?? '', state, detached: true }))
      const status = await attach(state).status()
      if (output.json) output.document('Lab', status)
      else
        output.line(
          `lab of ${sites}: ${counted(status.boxes.length, 'box')}, ${counted(status.links.length, 'link')} by ${status.impairment}. Next: causeway lab shell ${status.boxes[1]?.name ?? ''}, and at the end causeway lab down`,
        )
    })

  command(group, 'down', 'end the lab: every process, namespace and device of it').action(async ({ output }) => {
    const state = join(stateFolder(), 'lab')
    const { attach, endLab } = await client()
    await words(() => attach(state).status())
    await endLab(state)
    if (output.json) output.document('Lab', null)
    else output.line('the lab is gone')
  })

  command(group, 'break <link>', 'break or worsen a line, e.g. `break berlin.fiber --loss 8%`; without an option it is cut')
    .option('--loss <share>', 'random loss, per cent')
    .option('--delay <ms>', 'one way')
    .option('--jitter <ms>', 'more or less')
    .option('--udp', 'drop UDP only, as some carriers do')
    .action(async ({ output, args: [link = ''], options }) => {
      const { attach } = await client()
      const { loss, delay, jitter, udp } = options as { loss?: string; delay?: string; jitter?: string; udp?: boolean }
      const change: Partial<Line> = {
        ...(loss === undefined ? {} : { loss: fraction(loss) }),
        ...(delay === undefined ? {} : { delayMs: milliseconds(delay) }),
        ...(jitter === undefined ? {} : { jitterMs: milliseconds(jitter) }),
        ...(udp ? { cut: 'udp' as const } : {}),
      }
      const whole = Object.keys(change).length === 0
      await words(() => attach(labState()).line(link, whole ? { cut: 'all' } : change))
      if (output.json) output.document('Line', { link, change: whole ? { cut: 'all' } : change })
      else
        output.line(
          `${link} is ${whole ? 'cut' : 'worse'}. Look: causeway path list ${link.slice(0, link.lastIndexOf('.'))}. Undo: causeway lab heal ${link}`,
        )
    })

  command(group, 'heal [link]', 'a line, or all of them, as they were built').action(async ({ output, args: [link = 'all'] }) => {
    const { attach } = await client()
    await words(() => attach(labState()).heal(link))
    if (output.json) output.document('Line', { link })
    else output.line(`${link === 'all' ? 'all lines are' : `${link} is`} whole again`)
  })

  command(group, 'peer <peer>', "set up a third party's gateway: `causeway peer config partner --secret | causeway lab peer partner`").action(
    async ({ output, args: [name = ''] }) => {
      const { attach } = await client()
      const told = await words(async () => attach(labState()).peer(name, await readAll(process.stdin)))
      if (output.json) return output.document('LabPeer', { peer: name, ...told })
      const { length } = told.tunnels
      output.line(`${name} waits for ${length === 1 ? 'its tunnel' : `its ${length} tunnels`}. Look: causeway peer status ${name}`)
    },
  )

  command(group, 'shell <box> [command...]', "a shell (or one command) in a site's gateway or LAN host, e.g. `shell berlin wg show`")
    .passThrough()
    .action(async ({ args }) => {
      const [box = '', ...rest] = args.flat() as string[]
      const { attach, labPid } = await client()
      const state = labState()
      const status = await words(() => attach(state).status())
      const found = status.boxes.find((one) => one.name === box)
      if (!found) throw new Stop(exit.usage, `there is no box "${box}" in the lab`, `write one of: ${status.boxes.map((one) => one.name).join(', ')}`)
      const argv = rest.length > 0 ? rest : [process.env['SHELL'] ?? '/bin/sh']
      const ran = spawnSync(
        'nsenter',
        [
          '-t',
          String(labPid(state)),
          '-U',
          '-m',
          '-n',
          '-p',
          '--preserve-credentials',
          '--',
          'nsenter',
          '-t',
          String(found.pid),
          '-m',
          '-n',
          '--',
          ...argv,
        ],
        {
          stdio: 'inherit',
          env: { ...process.env, PS1: `${box}# ` },
        },
      )
      return ran.status === 0 ? exit.done : exit.failed
    })

  command(group, 'status', 'boxes, links and what runs').action(async ({ output }) => {
    const { attach } = await client()
    const status = await words(() => attach(labState()).status())
    if (output.json) return output.document('Lab', status)
    output.line(`${counted(status.boxes.length, 'box')}: ${status.boxes.map((one) => one.name).join(' ')}`)
    for (const link of status.links) {
      const { line } = link
      output.line(
        `${link.id.padEnd(20)} ${link.address.padEnd(20)} ${line.cut === 'no' ? `${line.delayMs} ms, loss ${Math.round(line.loss * 1000) / 10} %` : `cut (${line.cut})`}${link.nat ? `, behind ${link.nat}` : ''}`,
      )
    }
  })
}
