/**
 * A small network run as people run it: `serve`, the CLI and the agents are processes, the boxes are the lab's, and all
 * of it lives in one temporary folder that goes when the tests end.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Status } from '#src/agent/status.ts'
import { bridge } from '#src/lab/bridge.ts'
import { type Lab, startLab } from '#src/lab/client.ts'
import { until } from '../until.ts'

export { until }

export const node = resolve('node_modules/node/bin/node')
const causeway = resolve('bin/causeway.js')
const causewayAgent = resolve('bin/causeway-agent.js')

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}
/** A command that runs until it is told to stop. */
export interface Started {
  readonly child: ChildProcess
  /** stdout and stderr up to now. */
  said(): string
  readonly ended: Promise<Ran>
}

export function start(
  argv: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string; readonly stdin?: string } = {},
): Started {
  const child = spawn(argv[0]!, argv.slice(1), { cwd: options.cwd, env: { ...process.env, NO_COLOR: '1', ...options.env }, stdio: 'pipe' })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (text: Buffer) => (stdout += text.toString()))
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()))
  child.stdin.on('error', () => {})
  child.stdin.end(options.stdin ?? '')
  const ended = new Promise<Ran>((done, failed) => {
    child.once('error', failed)
    child.once('close', (code, signal) => done({ code: code ?? (signal === 'SIGKILL' ? 137 : 143), stdout, stderr }))
  })
  return { child, said: () => stdout + stderr, ended }
}

// ── the intent ───────────────────────────────────────────────────────────────────────────────────────────────────

const edge = (site: string, n: number) => `site: ${site}
uplinks:
  fiber: { interface: eth0, rate: 500M/100M }
  lte: { interface: wwan0, rate: 50M/10M }
segments:
  inference: { interface: eth1, prefixes: 10.${n}.10.0/24 }
`
export const networkFiles = (edges: readonly string[]): Readonly<Record<string, string>> => ({
  'network.yaml': `network: small
hubs: [frankfurt]
segments: [inference]
services:
  model-api: { at: core/inference, ports: [tcp/8443, icmp], class: business }
allow:
  - edge/inference -> model-api
expect:
  - reach: edge/inference -> model-api
`,
  'frankfurt.yaml': `site: frankfurt
role: core
uplinks:
  isp-a: { interface: eth0, address: 192.0.2.10/28, router: 192.0.2.1, rate: 1G }
  isp-b: { interface: eth1, address: 198.51.100.10/28, router: 198.51.100.1, rate: 1G }
segments:
  inference: { interface: eth2, prefixes: 10.10.0.0/16 }
`,
  ...Object.fromEntries(edges.map((site, index) => [`${site}.yaml`, edge(site, index + 1)])),
})

/** Two hubs, and what the edges say to one another goes through either. */
export const twoHubs = (edges: readonly string[]): Readonly<Record<string, string>> => ({
  ...networkFiles(edges),
  'network.yaml': `network: small
hubs: [frankfurt, dublin]
segments: [inference]
services:
  model-api: { at: core/inference, ports: [tcp/8443, icmp], class: business }
  branch: { at: edge/inference, ports: [icmp], class: business }
allow:
  - edge/inference -> model-api
  - edge/inference -> branch
expect:
  - reach: edge/inference -> model-api
    survives: [uplink, hub]
  - reach-all: edge/inference -> branch
    survives: [uplink, hub]
`,
  'dublin.yaml': `site: dublin
role: core
uplinks:
  isp-a: { interface: eth0, address: 192.0.2.26/28, router: 192.0.2.17, rate: 1G }
  isp-b: { interface: eth1, address: 198.51.100.26/28, router: 198.51.100.17, rate: 1G }
segments:
  inference: { interface: eth2, prefixes: 10.11.0.0/16 }
`,
})

// ── serve ────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Pointer {
  readonly url: string
  readonly port: number
  readonly pid: number
}
export interface Controller {
  readonly data: string
  /** What it printed, over all its starts. */
  readonly console: string
  start(): Promise<Pointer>
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<number | null>
}

export const serveCommand = (data: string, ...more: readonly string[]): readonly string[] => [node, causeway, 'serve', '--data', data, ...more]
export const pointerOf = (data: string): Pointer => JSON.parse(readFileSync(join(data, 'run.json'), 'utf8')) as Pointer

export function controllerIn(folder: string, options: readonly string[] = [], environment: Readonly<Record<string, string>> = {}): Controller {
  const data = join(folder, 'data')
  const console = join(folder, 'serve.log')
  let child: ChildProcess | undefined
  return {
    data,
    console,
    async start() {
      const log = openSync(console, 'a')
      const [command, ...args] = serveCommand(data, ...options)
      // Goes with the tests, whatever ends them; its own children go with it.
      child = spawn('setpriv', ['--pdeathsig', 'KILL', command!, ...args], {
        stdio: ['ignore', log, log],
        env: { ...process.env, NO_COLOR: '1', ...environment },
      })
      closeSync(log)
      const started = child
      await until('serve answers', 60, () => started.exitCode !== null || pointerOf(data).pid === started.pid)
      if (started.exitCode !== null) throw new Error(`serve ended with ${started.exitCode}: ${readFileSync(console, 'utf8').slice(-500)}`)
      return pointerOf(data)
    },
    async stop(signal = 'SIGTERM') {
      const running = child
      child = undefined
      if (!running || running.exitCode !== null || running.signalCode !== null) return running?.exitCode ?? null
      const gone = new Promise((done) => running.once('exit', done))
      running.kill(signal)
      await gone
      return running.exitCode
    },
  }
}

// ── all of it ────────────────────────────────────────────────────────────────────────────────────────────────────

export interface World {
  readonly folder: string
  /** Of the intent's files. */
  readonly sites: string
  readonly lab: Lab
  readonly controller: Controller
  /** Runs `causeway …` in the intent's folder to its end. */
  cli(...args: readonly string[]): Promise<Ran>
  /** Starts it; `stdin` and the environment as given. */
  launch(args: readonly string[], options?: { readonly stdin?: string; readonly env?: Readonly<Record<string, string>> }): Started
  /** The `data` of `--json`. */
  read<T>(...args: readonly string[]): Promise<T>
  /** What is asked again and again: by HTTP, for a process each time would be most of the load. */
  get<T>(path: string): Promise<T>
  site<T = SiteDetail>(name: string): Promise<T>
  isGreen(): Promise<boolean>
  token(site: string): Promise<string>
  /** Every bootstrap token that was handed out. */
  readonly tokens: readonly string[]
  /** An agent in a box, as process `name` with the state folder `stateOf(name)`; without a token it goes on where it was. */
  agent(
    box: string,
    options?: { readonly name?: string; readonly token?: string; readonly serial?: string; readonly env?: Readonly<Record<string, string>> },
  ): Promise<void>
  stateOf(name: string): string
  /** What the agent's `status.json` says. */
  status(name: string): Status
  logOf(name: string): string
  /** From token to ACTIVE; a core is approved. */
  onboard(...sites: readonly string[]): Promise<void>
  close(): Promise<void>
}

/** What a command in a box would be, to run the agent. */
export const agentCommand = (...args: readonly string[]): readonly string[] => [node, causewayAgent, ...args]

export interface SiteDetail {
  readonly state: string
  readonly finding: { readonly code: string; readonly says: string } | null
  readonly tunnels: { readonly total: number; readonly up: number }
  readonly claims: readonly {
    readonly fingerprint: string
    readonly serial: string
    readonly state: string
    readonly confirmationCode: string
    readonly since: string
  }[]
  readonly reported: readonly { readonly code: string; readonly says: string; readonly instead: string }[]
  readonly running: { readonly generation: number; readonly revision: number } | null
  readonly assigned: { readonly generation: number; readonly revision: number } | null
  readonly commit: { readonly state: string; readonly why: string } | null
}

const accessKey = 'AKIALABLABLABLABLAB0'

/** `seed`: what an emulated AWS starts with; the access key is put in. */
export async function openWorld(edges: readonly string[], files = networkFiles(edges), seed?: object): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'cwp-'))
  const sites = join(folder, 'sites')
  mkdirSync(sites)
  for (const [path, text] of Object.entries(files)) writeFileSync(join(sites, path), text)
  const socket = join(folder, 'agents.sock')
  const aws = { seed: join(folder, 'seed.json'), socket: join(folder, 'ec2'), control: join(folder, 'ec2c'), timeScale: 0.2 }
  if (seed) writeFileSync(aws.seed, JSON.stringify({ accessKeys: [accessKey], ...seed }))
  const endpoint = seed && (await bridge(aws.socket))
  const environment = endpoint && {
    AWS_ENDPOINT_URL_EC2: endpoint.url,
    AWS_ACCESS_KEY_ID: accessKey,
    AWS_SECRET_ACCESS_KEY: 'not-a-secret-the-cloud-is-emulated',
    CAUSEWAY_CLOUD_PACE: 'lab',
  }
  const controller = controllerIn(folder, ['--agents-socket', socket, '--agents-public', '203.0.113.250:443'], environment)
  const state = join(folder, 'lab')
  await controller.start()
  const running = await startLab({ sites, controllerSocket: socket, state, detached: false, ...(seed && { aws }) }).catch(async (error: unknown) => {
    await controller.stop()
    throw error
  })
  const { lab } = running
  const tokens: string[] = []
  const stateOf = (name: string) => join(folder, 'boxes', name)
  const env = { CAUSEWAY_STATE: join(folder, 'state'), CAUSEWAY_DATA: controller.data, CAUSEWAY_LAB: state }

  const world: World = {
    folder,
    sites,
    lab,
    controller,
    tokens,
    cli: (...args) => world.launch(args).ended,
    launch: (args, options = {}) => start([node, causeway, ...args], { cwd: sites, ...options, env: { ...env, ...options.env } }),
    async read<T>(...args: readonly string[]) {
      const ran = await world.cli(...args, '--json')
      try {
        return (JSON.parse(ran.stdout) as { data: T }).data
      } catch {
        throw new Error(`causeway ${args.join(' ')} (exit ${ran.code}): ${ran.stdout}${ran.stderr}`)
      }
    },
    async get<T>(path: string) {
      const token = readFileSync(join(controller.data, 'admin.token'), 'utf8').trim()
      const response = await fetch(new URL(path, pointerOf(controller.data).url), { headers: { authorization: `Bearer ${token}` } })
      if (response.status !== 200) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`)
      return (await response.json()) as T
    },
    site: async <T>(name: string) => await world.get<T>(`/v1/sites/${name}`),
    isGreen: async () => (await world.get<{ verdict: string }>('/v1/status')).verdict === 'green',
    async token(site) {
      const { token } = await world.read<{ token: string }>('site', 'token', site)
      tokens.push(token)
      return token
    },
    stateOf,
    status: (name) => JSON.parse(readFileSync(join(stateOf(name), 'status.json'), 'utf8')) as Status,
    logOf: (name) => {
      const file = join(state, 'logs', `agent-${name}.log`)
      return existsSync(file) ? readFileSync(file, 'utf8') : ''
    },
    async agent(box, { name = box, token, serial = `LAB-${name.toUpperCase()}`, env: more = {} } = {}) {
      await lab.start(box, `agent-${name}`, agentCommand('up', '--state', stateOf(name)), {
        stdin: token === undefined ? '' : `${token}\n`,
        env: { CAUSEWAY_SERIAL: serial, ...more },
      })
    },
    async onboard(...names) {
      for (const site of names) await world.agent(site, { token: await world.token(site) })
      for (const site of names) {
        await until(`${site} is ACTIVE`, 150, async () => {
          const { state: now, claims } = await world.site(site)
          const waiting = claims.find((claim) => claim.state === 'claimed')
          if (now === 'CLAIMED' && waiting) await world.cli('site', 'approve', site, waiting.fingerprint)
          return now === 'ACTIVE'
        })
      }
    },
    async close() {
      await running.stop()
      await controller.stop()
      endpoint?.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  return world
}

/** Every file under a folder. */
export const filesUnder = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
