/** The embedded Temporal: the CLI's development server as a supervised child, its file on disk, on loopback only. */
import { randomInt } from 'node:crypto'
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ChildFailed, removeLeftover, supervise } from './children.ts'

export const namespace = 'default'

export interface EmbeddedTemporal {
  readonly address: string
  readonly pid: () => number | undefined
  stop(): Promise<void>
}

/** Where set-up puts the pinned server (`src/setup.mjs`). */
const cached = fileURLToPath(new URL('../../.causeway/cache/temporal-1.9.1/temporal', import.meta.url))

/** `temporal` on PATH, else the project's cache; undefined when there is none. */
export function temporalBinary(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const onPath = (env['PATH'] ?? '')
    .split(delimiter)
    .filter(Boolean)
    .map((folder) => join(folder, 'temporal'))
  return [...onPath, cached].find((file) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Below what the kernel gives to connections (`ip_local_port_range`): nobody takes it by chance while its server is away. */
export async function freePort(): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const port = randomInt(20_000, 32_000)
    const server = createServer()
    const taken = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(true))
      server.listen(port, '127.0.0.1', () => resolve(false))
    })
    if (!taken) {
      await new Promise((resolve) => server.close(resolve))
      return port
    }
    if (attempt === 100) throw new ChildFailed('no free port was found on 127.0.0.1 between 20000 and 32000')
  }
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const connection = createConnection(port, '127.0.0.1')
    const done = (is: boolean) => {
      connection.destroy()
      resolve(is)
    }
    connection.once('connect', () => done(true))
    connection.once('error', () => done(false))
  })

/** Its address, written when it answers; stays, so a folder without it has a server that never did. */
export const temporalPointer = (folder: string): string => join(folder, 'temporal.address')
const databaseOf = (folder: string): string => join(folder, 'temporal.db')
/** Of a server that never answered, on a full disk or killed: half its tables are made, and it would not start on them. */
function removeHalfMade(folder: string): void {
  if (existsSync(temporalPointer(folder))) return
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(`${databaseOf(folder)}${suffix}`, { force: true })
}

export interface TemporalOptions {
  /** Holds `temporal.db`, `temporal.pid`, `temporal.log` and `temporal.address`. */
  readonly folder: string
  readonly binary?: string
  readonly died?: (how: string) => void
  readonly restarted?: () => void
}

export async function startTemporal({ folder, binary = temporalBinary(), died, restarted }: TemporalOptions): Promise<EmbeddedTemporal> {
  if (binary === undefined || !existsSync(binary)) throw new ChildFailed('the Temporal server is not installed')
  await removeLeftover(join(folder, 'temporal.pid'))
  for (let attempt = 1; ; attempt++)
    try {
      removeHalfMade(folder)
      return await startOn(await freePort(), { folder, binary, ...(died ? { died } : {}), ...(restarted ? { restarted } : {}) })
    } catch (error) {
      // Its ports, and those that it chooses inside, may be another's by the time it takes them.
      if (!(error instanceof ChildFailed) || attempt === attempts) throw error
    }
}

const attempts = 3
/** On loopback, without its page, its rows in one file. */
export const temporalCommand = (binary: string, port: number, database: string): readonly [string, ...string[]] => [
  binary,
  'server',
  'start-dev',
  '--headless',
  '--ip',
  '127.0.0.1',
  '--port',
  String(port),
  '--namespace',
  namespace,
  '--log-level',
  'warn',
  '--db-filename',
  database,
  '--sqlite-pragma',
  'journal_mode=WAL',
  '--sqlite-pragma',
  'synchronous=NORMAL',
]

async function startOn(port: number, { folder, binary = '', died, restarted }: TemporalOptions): Promise<EmbeddedTemporal> {
  const address = `127.0.0.1:${port}`
  const child = await supervise({
    name: 'Temporal',
    command: temporalCommand(binary, port, databaseOf(folder)),
    pidFile: join(folder, 'temporal.pid'),
    logFile: join(folder, 'temporal.log'),
    ready: () => answers(port),
    readyWithinMs: 60_000,
    stopSignal: 'SIGTERM',
    ...(died ? { died } : {}),
    ...(restarted ? { restarted } : {}),
  })
  writeFileSync(temporalPointer(folder), `${address}\n`, { mode: 0o600 })
  return { address, pid: child.pid, stop: child.stop }
}
