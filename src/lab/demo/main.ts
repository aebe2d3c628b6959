/** `npm run demo [-- --ci] [-- --json]`: the product on one machine, told as a story with measured claims. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { arch, cpus, release, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { bridge } from '../bridge.ts'
import { startLab } from '../client.ts'
import { controllerAddress, controllerPort } from '../underlay.ts'
import { createController } from './controller.ts'
import { askCloud, cutHubUplink, decommission } from './cloud.ts'
import { drill } from './drill.ts'
import { agentMemory, cutFiber, headless, onboard, refuseMistakes, traffic } from './rows.ts'
import { type Claim, claimTable, createScreen, type Screen } from './screen.ts'
import type { Figures, Story } from './story.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const sites = join(root, 'sites', 'demo')
const state = resolve(root, '.causeway', 'demo')

interface Options {
  readonly json: boolean
  readonly ci: boolean
}
function readOptions(argv: readonly string[]): Options {
  const unknown = argv.find((one) => !['--ci', '--json'].includes(one))
  if (unknown !== undefined) {
    process.stderr.write(`Unknown option "${unknown}". There are --ci (tear down at the end) and --json (end with one line of figures).\n`)
    process.exit(2)
  }
  const json = argv.includes('--json')
  return { json, ci: argv.includes('--ci') || json || !process.stdin.isTTY || !process.stdout.isTTY }
}

/** A demo that was killed leaves only files: its lab and servers went with it. A live one is not disturbed. */
function takePlace(): void {
  const pidFile = join(state, 'pid')
  if (existsSync(pidFile)) {
    const [pid = '', started = ''] = readFileSync(pidFile, 'utf8').split(' ')
    if (startTime(Number(pid)) === started) {
      process.stderr.write(`A demo runs already (process ${pid}). End it with q there, or: kill ${pid}\n`)
      process.exit(5)
    }
  }
  rmSync(state, { recursive: true, force: true })
  mkdirSync(state, { recursive: true })
  writeFileSync(pidFile, `${process.pid} ${startTime(process.pid)}`)
}
function startTime(pid: number): string {
  try {
    // proc(5): field 22, counted after the command's closing parenthesis, because the command may hold spaces.
    return (
      readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')[19] ?? ''
    )
  } catch {
    return ''
  }
}

function describeMachine(screen: Screen): void {
  const kernel = spawnSync('unshare', ['-Urn', 'ip', 'link', 'add', 'wg-probe', 'type', 'wireguard']).status === 0
  screen.step(
    'machine',
    `Linux ${release().split('-')[0]} ${arch()}, ${cpus().length} cores, ${kernel ? 'kernel' : 'userspace'} WireGuard${kernel ? '' : ' (the kernel has none)'}, ${process.getuid?.() === 0 ? 'lab in namespaces' : 'unprivileged lab'}`,
  )
}

async function play(story: Story, figures: Figures): Promise<readonly Claim[]> {
  const claims: Claim[] = [...refuseMistakes(story)]
  claims.push(...(await onboard(story, figures)))
  if (claims.some((claim) => claim.id === 'onboarded' && !claim.ok)) return claims
  const { claims: answered, stream } = await traffic(story)
  claims.push(...answered)
  claims.push(...(await askCloud(story)))
  claims.push(...(await cutFiber(story, stream, figures)))
  claims.push(...(await cutHubUplink(story, figures)))
  claims.push(...(await headless(story, stream, figures)))
  claims.push(...(await drill(story, stream, figures)))
  claims.push(...(await agentMemory(story, figures)))
  return claims
}

/** b h k q, until q or Ctrl-C. */
async function stay({ screen, lab, controller }: Story): Promise<void> {
  screen.line("\nThe lab stays up. Try:  b cut berlin's fiber   h heal   k kill the controller and start it again   q quit")
  screen.line('In another terminal:    npx causeway status      npx causeway path list berlin      npx causeway lab shell berlin wg show')
  const keys = createInterface({ input: process.stdin })
  process.stdin.setRawMode?.(true)
  process.stdin.resume()
  await new Promise<void>((quit) => {
    const act: Readonly<Record<string, () => Promise<void>>> = {
      b: async () => {
        await lab.line('berlin.fiber', { cut: 'all' })
        screen.line('berlin.fiber is cut')
      },
      h: async () => {
        await lab.heal('all')
        screen.line('all lines are whole')
      },
      k: async () => {
        await controller.kill()
        screen.line('controller killed; starting it again …')
        await controller.start()
        screen.line(`controller is back at ${controller.url()}`)
      },
    }
    process.stdin.on('data', (key: Buffer) => {
      const text = key.toString()
      if (text === 'q' || text === '\u0003') quit()
      else act[text]?.().catch((error: unknown) => screen.line(screen.bad((error as Error).message)))
    })
    process.once('SIGTERM', quit)
  })
  process.stdin.setRawMode?.(false)
  keys.close()
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2))
  const startedAt = Date.now()
  const screen = createScreen({ json: options.json, startedAt: Number(process.env['CAUSEWAY_SETUP_STARTED'] ?? startedAt) })
  takePlace()
  describeMachine(screen)

  const short = mkdtempSync(join(tmpdir(), 'cwdemo-'))
  const agentsSocket = join(short, 'agents')
  const aws = { seed: join(root, 'src', 'lab', 'demo', 'aws-seed.json'), socket: join(short, 'ec2'), control: join(short, 'ec2c'), timeScale: 1 }
  // The SDK speaks TCP, and the lab has no network to the host but UNIX sockets.
  const endpoint = await bridge(aws.socket)
  const controller = createController({
    data: join(state, 'data'),
    agentsSocket,
    agentsPublic: `${controllerAddress}:${controllerPort}`,
    log: join(state, 'controller.log'),
    env: {
      AWS_ENDPOINT_URL_EC2: endpoint.url,
      AWS_ACCESS_KEY_ID: 'AKIADEMOLABCAUSEWAY0',
      AWS_SECRET_ACCESS_KEY: 'not-a-secret-the-cloud-is-emulated',
      AWS_EC2_METADATA_DISABLED: 'true',
      CAUSEWAY_CLOUD_PACE: 'lab',
    },
  })
  let stopLab = async () => {}
  const figures: Figures = {}
  let claims: readonly Claim[] = []
  const interrupted = new Promise<never>((_, reject) => {
    process.once('SIGINT', () => reject(new Error('interrupted')))
    process.once('SIGTERM', () => reject(new Error('interrupted')))
  })
  interrupted.catch(() => {})
  try {
    await Promise.race([controller.start(), interrupted])
    screen.step('controller', `${controller.url()}/v1/docs`)
    const running = await startLab({ sites, controllerSocket: agentsSocket, state: join(state, 'lab'), detached: false, aws })
    stopLab = running.stop
    const { links, boxes, impairment } = await running.lab.status()
    screen.step(
      'lab',
      `${links.length} uplinks, ${boxes.length} namespaces, delay and cuts by ${impairment === 'netem' ? 'netem' : 'a relay (the kernel has no netem)'}`,
    )
    const story: Story = { screen, lab: running.lab, controller, sites, state }
    claims = await Promise.race([play(story, figures), interrupted])
    // A person may want to look at the region; without one it goes now.
    if (options.ci) claims = [...claims, ...(await Promise.race([decommission(story, figures), interrupted]))]
    screen.line(`\n${claimTable(claims, screen)}`)
    const seconds = Math.round((Date.now() - startedAt) / 1000)
    const failed = claims.filter((claim) => !claim.ok).length
    screen.line(
      `${failed === 0 ? `All ${claims.length} hold` : screen.bad(`${failed} of ${claims.length} do not hold; logs in ${state}`)}. ${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s.`,
    )
    if (!options.ci) {
      await stay(story)
      claims = [...claims, ...(await decommission(story, figures))]
    }
  } catch (error) {
    screen.line(screen.bad(`\nThe demo ended: ${(error as Error).message}. Logs are in ${state}`))
    claims = [...claims, { id: 'finished', text: 'the demo ran to its end', measured: 0, limit: 1, unit: '', ok: false }]
  } finally {
    await stopLab()
    await controller.stop()
    endpoint.close()
    rmSync(short, { recursive: true, force: true })
    rmSync(join(state, 'pid'), { force: true })
  }
  const ok = claims.length > 0 && claims.every((claim) => claim.ok)
  if (options.json) {
    const result = {
      ok,
      seconds: Math.round((Date.now() - startedAt) / 1000),
      claims: claims.map(({ id, measured, limit, ok: held }) => ({ id, measured, limit, ok: held })),
      figures,
    }
    process.stdout.write(`${JSON.stringify(result)}\n`)
  }
  return ok ? 0 : 1
}

process.exitCode = await main()
// A socket or timer of a finished demo must not keep it from ending.
process.exit()
