/** `causeway serve` as a process of its own, as a person or a service manager starts it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Line {
  readonly type: string
  readonly [name: string]: unknown
}
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: { readonly [name: string]: unknown }
}
export interface Served {
  readonly child: ChildProcess
  readonly data: string
  /** What it said with --json. */
  readonly lines: readonly Line[]
  /** What it wrote to the terminal. */
  terminal(): string
  /** Its `ready` line, or its last one when it ended before. */
  ready(): Promise<Line>
  call(path: string, body?: unknown): Promise<Answer>
  /** Its exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}
export interface ServeHow {
  /** Holds `data` and the agents' socket. */
  readonly folder: string
  readonly args?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  /** The first administrator's token; of another process on the same database, if not this one made it. */
  readonly admin?: () => string
  /** false: sentences on the terminal, no JSON. */
  readonly json?: boolean
}

const running = new Set<ChildProcess>()
/** Of `afterAll`: whatever a failed test left. */
export const killAll = (): void => {
  for (const child of running) child.kill('SIGKILL')
}

export function serve({ folder, args = [], env = {}, json = true, admin = () => join(folder, 'data', 'admin.token') }: ServeHow): Served {
  const data = join(folder, 'data')
  const child = spawn(
    process.execPath,
    ['src/controller/main.ts', '--data', data, '--agents-socket', join(folder, 'agents'), ...(json ? ['--json'] : []), ...args],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, DATABASE_URL: '', TEMPORAL_ADDRESS: '', ...env },
    },
  )
  running.add(child)
  const lines: Line[] = []
  let rest = ''
  let terminal = ''
  let arrived = () => {}
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop()!
    lines.push(...parts.map((text) => JSON.parse(text) as Line))
    arrived()
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (terminal += chunk))
  const ended = once(child, 'close').then(([code]) => {
    running.delete(child)
    arrived()
    return code as number | null
  })
  return {
    child,
    data,
    lines,
    terminal: () => terminal,
    ready: async () => {
      for (;;) {
        const line = lines.find(({ type }) => type === 'ready') ?? (running.has(child) ? undefined : (lines.at(-1) ?? { type: 'nothing', terminal }))
        if (line) return line
        await new Promise<void>((resolve) => (arrived = resolve))
      }
    },
    call: async (path, body) => {
      const { url } = JSON.parse(readFileSync(join(data, 'run.json'), 'utf8')) as { readonly url: string }
      const answer = await fetch(`${url}${path}`, {
        headers: { authorization: `Bearer ${readFileSync(admin(), 'utf8').trim()}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
      })
      return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Answer['body'] }
    },
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal)
      return ended
    },
  }
}

/** Of several processes on one database, each with its folder below this one, one has made the token. */
export const tokenBelow = (folder: string): string =>
  readdirSync(folder)
    .map((name) => join(folder, name, 'data', 'admin.token'))
    .find((file) => existsSync(file)) ?? ''

/** Process id and start time of a child that the controller supervises. */
export function recorded(data: string, name: 'postgres' | 'temporal'): { readonly pid: number; readonly start: string } {
  const [pid, start] = readFileSync(join(data, `${name}.pid`), 'utf8')
    .trim()
    .split(' ')
  return { pid: Number(pid), start: start! }
}
