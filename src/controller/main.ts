/** `causeway serve`: database, Temporal, vault, worker, API and the agents' listener as one process, wired here and nowhere else. */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { getRequestListener } from '@hono/node-server'
import type { RunningWorker } from '#workflows/worker.ts'
import { grant, newAccessToken } from './access.ts'
import { listenPort } from './agents.ts'
import { createApp } from './api/app.ts'
import { alive, startTime } from './children.ts'
import { openIdentity } from './identity.ts'
import { openLog } from './log.ts'
import { openNotifications } from './notifications.ts'
import { type Given, readOptions, type ServeOptions } from './options.ts'
import { loadKek } from './pki/kek.ts'
import { openVault } from './pki/vault.ts'
import { planner } from './planner.ts'
import { embeddedUrl, startPostgres } from './postgres.ts'
import { openRelay } from './relay.ts'
import { access, type Db, migrate, network, openStore, secrets, sites } from './store/index.ts'
import { namespace, startTemporal, temporalBinary, temporalPointer } from './temporal.ts'
import { ServeFailed, toFailure } from './trouble.ts'
import { version } from './version.ts'

export type { Given } from './options.ts'

/** What ends in reverse order when the controller stops, whichever way that comes about. */
interface Opened {
  readonly name: string
  close(): Promise<unknown>
}

/** Runs until SIGTERM or SIGINT; returns the exit code of experience.md. */
export async function serve(given: Given): Promise<number> {
  const say = speaker(given.json ?? false)
  const opened: Opened[] = []
  const stopping = new AbortController()
  const stop = () => stopping.abort()
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  // Whoever read our output may go (`serve | head`, a closed terminal): that is no reason to end.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  try {
    await start(readOptions(given), opened, say, stopping.signal)
    if (!stopping.signal.aborted) await new Promise((done) => stopping.signal.addEventListener('abort', done, { once: true }))
    say.line('stopping', {}, 'stopping …')
    return 0
  } catch (error) {
    if (stopping.signal.aborted) return 0
    const failure = toFailure(error)
    say.failure(failure)
    return failure.exit
  } finally {
    process.removeListener('SIGTERM', stop)
    process.removeListener('SIGINT', stop)
    for (const { name, close } of opened.reverse()) await close().catch((error: unknown) => say.line('stop-failed', { name }, `${name} did not stop cleanly: ${String(error)}`))
    // Ours is all closed; a broken connection of Temporal's native core may still hold the process.
    setTimeout(() => process.exit(), 1_000).unref()
  }
}

interface Speaker {
  line(type: string, data: object, text: string): void
  failure(failure: ServeFailed): void
}
const speaker = (json: boolean): Speaker => ({
  line: (type, data, text) => void (json ? process.stdout.write(`${JSON.stringify({ type, ...data })}\n`) : process.stderr.write(`${text}\n`)),
  failure: ({ code, message, instead, exit }) =>
    void (json ? process.stdout.write(`${JSON.stringify({ type: 'result', exit, code, says: message, instead })}\n`) : process.stderr.write(`error[${code}] ${message}\n${instead ? `  ${instead}\n` : ''}`)),
})

async function start(options: ServeOptions, opened: Opened[], say: Speaker, signal: AbortSignal): Promise<void> {
  const { data, role } = options
  makeFolder(data)
  if (role === 'all') opened.push(lockFolder(data))
  const log = openLog(join(data, 'controller.log'))
  opened.push({ name: 'log', close: async () => log.close() })
  const trouble = (error: unknown) => log.error(error)

  let running: RunningWorker | undefined
  let temporalBack = () => {}

  // The two servers side by side; nothing else is slow.
  const [url, temporalAddress] = await both(database(), temporal())
  const store = openStore(url, { max: 20 })
  opened.push({ name: 'store', close: store.close })
  await migrate(store)
  const vault = await openVault(await loadKek(options.vaultKey, data), secrets.rows(store.db))
  const admin = await firstAdmin(store.db, join(data, 'admin.token'))
  const notifications = await openNotifications(store)
  opened.push({ name: 'notifications', close: notifications.close })

  const relay = openRelay({ store, address: temporalAddress, namespace, log: trouble })
  opened.push({ name: 'commands', close: relay.close })
  temporalBack = relay.again
  let worker: Promise<void> | undefined
  if (role !== 'api') {
    worker = runWorker()
    opened.push({ name: 'worker', close: () => running?.close() ?? Promise.resolve() })
  }

  const identity = openIdentity({ store, vault, relay, notifications, listen: options.agents, publicHost: options.agentsPublic, now: () => new Date(), log: trouble, told: (port) => {
    agentsPort = port
    if (pointer) writePointer(data, { ...pointer, agentsPort })
  } })
  let agentsPort: number | null = null
  let pointer: object | undefined
  if (role !== 'worker') {
    opened.push({ name: 'agents', close: identity.close })
    const app = createApp({
      store, notifications, planner, version, log: trouble,
      commands: relay.commands,
      again: relay.again,
      tokens: identity.tokens,
      named: identity.start,
      now: () => new Date(),
    })
    const server = createServer(getRequestListener(app.fetch) as Parameters<typeof createServer>[1])
    const port = await listenPort(server, options.port, '127.0.0.1')
    opened.push({
      name: 'API',
      close: () => {
        server.closeAllConnections()
        return new Promise((done) => server.close(done))
      },
    })
    // Agents of a network that has a name already are waiting.
    const named = await network.get(store.db)
    if (named) await identity.start(named.id)
    const api = `http://127.0.0.1:${port}`
    pointer = { url: api, port, pid: process.pid, agentsSocket: options.agents.kind === 'socket' ? options.agents.path : null }
    writePointer(data, { ...pointer, agentsPort })
    opened.push({ name: 'pointer', close: async () => rmSync(join(data, 'run.json'), { force: true }) })
    if (port !== options.port) say.line('port', { wanted: options.port, port }, `port ${options.port} is taken, this is ${port}`)
    if (admin.made) say.line('admin', { token: admin.token, file: join(data, 'admin.token') }, `first administrator's access token, shown once: ${admin.token}\n  kept for the CLI on this machine in ${join(data, 'admin.token')}`)
    const count = named ? (await sites.list(store.db)).length : 0
    say.line('ready', { url: api, port, agentsPort, network: named?.id ?? null }, `controller ${api}/v1/docs${named ? `, network ${named.id}, ${count} sites` : '. Next: causeway apply'}`)
  } else {
    relay.again()
    say.line('ready', { role }, 'worker is ready')
  }
  if (worker) void worker.catch(trouble)

  async function database(): Promise<string> {
    if (options.databaseUrl) return options.databaseUrl
    if (role !== 'all') {
      const there = embeddedUrl(data)
      if (!there) throw new ServeFailed('C043', 6, `there is no database for --role ${role}`, 'set DATABASE_URL, or start causeway serve on this data folder first')
      return there
    }
    const postgres = await startPostgres({ folder: data, died: (how) => log.warn(how) })
    opened.push({ name: 'PostgreSQL', close: postgres.stop })
    return postgres.url
  }
  async function temporal(): Promise<string> {
    if (options.temporalAddress) return options.temporalAddress
    if (role !== 'all') {
      const pointer = temporalPointer(data)
      if (!existsSync(pointer)) throw new ServeFailed('C045', 6, `there is no Temporal for --role ${role}`, 'set TEMPORAL_ADDRESS, or start causeway serve on this data folder first')
      return readFileSync(pointer, 'utf8').trim()
    }
    const binary = temporalBinary()
    if (!binary) throw new ServeFailed('C045', 10, 'the Temporal server is not installed', 'npm run dev fetches it; or put `temporal` on PATH, or set TEMPORAL_ADDRESS')
    const server = await startTemporal({ folder: data, binary, died: (how) => log.warn(how), restarted: () => temporalBack() })
    opened.push({ name: 'Temporal', close: server.stop })
    return server.address
  }
  /** A worker that fails is started again; one that can't connect yet tries again. */
  async function runWorker(): Promise<void> {
    const { startWorker } = await import('#workflows/worker.ts')
    for (let delay = 100; !signal.aborted; delay = Math.min(delay * 2, 5_000)) {
      try {
        running = await startWorker({ address: temporalAddress, namespace, deps: { store, model: planner, offlineAfter: sites.offlineAfterSeconds * 1000 }, log: (level, message) => log.warn(`worker ${level}: ${message}`) })
        delay = 100
        await running.done
      } catch (error) {
        trouble(error)
      }
      running = undefined
      if (!signal.aborted) await sleep(delay)
    }
  }
}

/** Waits for both also when one fails: the other has started a server by then that has to be stopped. */
async function both<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b])
  return Promise.all([a, b])
}

/** Not by `recursive`: Node 24 loops for ever where a parent can't hold folders, as in /proc. */
function makeFolder(data: string): void {
  if (!existsSync(data)) {
    if (dirname(data) !== data) makeParent(dirname(data))
    mkdirSync(data, { mode: 0o700 })
  }
  // It holds the administrator's token and the sockets' pointers, so it is nobody else's.
  chmodSync(data, 0o700)
  writeFileSync(join(data, '.writable'), '')
  rmSync(join(data, '.writable'))
}

function makeParent(folder: string): void {
  if (existsSync(folder)) return
  makeParent(dirname(folder))
  mkdirSync(folder)
}

/** One controller a folder; the file of a killed one is taken over, for its start time tells it from whoever has its id now. */
function lockFolder(data: string): Opened {
  const file = join(data, 'serve.pid')
  const [pid, start] = existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ') : []
  if (pid && start && alive({ pid: Number(pid), start }) && Number(pid) !== process.pid) throw new ServeFailed('C041', 5, `another controller runs on ${data} (process ${pid})`, `stop it, or use another folder: causeway serve --data DIR`)
  writeFileSync(file, `${process.pid} ${startTime(process.pid) ?? ''}\n`, { mode: 0o600 })
  return { name: 'lock', close: async () => rmSync(file, { force: true }) }
}

/** In place at once or not at all: the CLI may read it at any moment. */
function writePointer(data: string, content: object): void {
  const file = join(data, 'run.json')
  writeFileSync(`${file}.new`, `${JSON.stringify(content)}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

/** The file first: a start that is killed between the two finds the token there and stores it then. */
async function firstAdmin(db: Db, file: string): Promise<{ readonly made: boolean; readonly token: string }> {
  if ((await access.list(db)).length > 0) return { made: false, token: '' }
  const token = existsSync(file) ? readFileSync(file, 'utf8').trim() : newAccessToken()
  writeFileSync(file, `${token}\n`, { mode: 0o600 })
  await grant(db, 'first administrator', 'admin', token)
  return { made: true, token }
}

// Started as a program of its own: `node src/controller/main.ts --data DIR …`, for tests and the lab.
if (process.argv[1] && resolve(process.argv[1]) === import.meta.filename) {
  const { argumentsOf } = await import('./options.ts')
  process.exitCode = await serve(argumentsOf(process.argv.slice(2)))
}
