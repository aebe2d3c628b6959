/** `causeway serve`: database, Temporal, vault, worker, API and the agents' listener as one process, wired here and nowhere else. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { getRequestListener } from '@hono/node-server'
import { counted } from '#src/fabric/plural.ts'
import { defaultTiming } from '#workflows/contract.ts'
import type { RunningWorker } from '#workflows/worker.ts'
import { grant, newAccessToken } from './access.ts'
import { listenPort } from './agents.ts'
import { createApp } from './api/app.ts'
import { cloudTimingOf, openClouds } from './clouds.ts'
import { lockFolder, makeFolder, removePointer, writePointer } from './folder.ts'
import { openIdentity } from './identity.ts'
import { openLog } from './log.ts'
import { openNotifications } from './notifications.ts'
import { type Given, readOptions, type ServeOptions } from './options.ts'
import { loadKek } from './pki/kek.ts'
import { openVault } from './pki/vault.ts'
import { planner } from './planner.ts'
import { embeddedUrl, startPostgres } from './postgres.ts'
import { openRelay } from './relay.ts'
import { access, migrate, network, openStore, secrets, sites, type Store } from './store/index.ts'
import { namespace, startTemporal, temporalBinary, temporalPointer } from './temporal.ts'
import { watchHubs } from './silence.ts'
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
    for (const { name, close } of opened.reverse())
      await close().catch((error: unknown) => say.line('stop-failed', { name }, `${name} did not stop cleanly: ${String(error)}`))
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
    void (json
      ? process.stdout.write(`${JSON.stringify({ type: 'result', exit, code, says: message, instead })}\n`)
      : process.stderr.write(`error[${code}] ${message}\n${instead ? `  ${instead}\n` : ''}`)),
})

async function start(options: ServeOptions, opened: Opened[], say: Speaker, signal: AbortSignal): Promise<void> {
  const { data, role } = options
  makeFolder(data)
  if (role === 'all') {
    const unlock = lockFolder(data)
    opened.push({ name: 'lock', close: async () => unlock() })
  }
  const log = openLog(join(data, 'controller.log'))
  opened.push({ name: 'log', close: async () => log.close() })
  const trouble = (error: unknown) => log.error(error)

  const took = stopwatch()
  let running: RunningWorker | undefined
  let temporalBack = () => {}

  // Side by side: the API needs the database only, and what is commanded before workflows are there is kept for them.
  const temporal = startOrFindTemporal()
  // Also when we fail before: a server that is starting by then has to be stopped.
  opened.push({
    name: 'Temporal',
    close: () =>
      temporal.then(
        ({ stop }) => stop(),
        () => {},
      ),
  })
  const temporalAddress = temporal.then(({ address }) => (took('temporal'), address))
  temporalAddress.catch(() => {})
  // What is only looked up is there or not, before anything is written.
  if (role !== 'all') await temporal
  const store = openStore(await database(), { max: 20 })
  opened.push({ name: 'store', close: store.close })
  took('database')
  await migrate(store)
  took('schema')
  const vault = await openVault(await loadKek(options.vaultKey, data), secrets.rows(store.db))
  // A worker has nobody to show it to.
  const admin = role === 'worker' ? null : await firstAdmin(store, join(data, 'admin.token'))
  const notifications = await openNotifications(store)
  opened.push({ name: 'notifications', close: notifications.close })

  const clouds = openClouds()
  const relay = openRelay({ store, address: temporalAddress, namespace, timing: { ...defaultTiming, cloud: cloudTimingOf() }, log: trouble })
  opened.push({ name: 'commands', close: relay.close })
  temporalBack = relay.again
  let polling: Promise<void> | undefined
  if (role !== 'api') {
    polling = runWorker()
    opened.push({ name: 'worker', close: () => running?.close() ?? Promise.resolve() })
  }

  const identity = openIdentity({
    store,
    vault,
    relay,
    notifications,
    listen: options.agents,
    publicHost: options.agentsPublic,
    now: () => new Date(),
    log: trouble,
    told: (port) => {
      agentsPort = port
      if (pointer) writePointer(data, { ...pointer, agentsPort })
    },
  })
  let agentsPort: number | null = null
  let pointer: object | undefined
  if (role !== 'worker') {
    opened.push({ name: 'agents', close: identity.close })
    opened.push({ name: 'hubs', close: watchHubs({ store, signals: relay.signals, now: () => new Date(), log: trouble }).close })
    const app = createApp({
      store,
      notifications,
      planner,
      clouds,
      vault,
      facts: relay.signals.facts,
      version,
      log: trouble,
      commands: relay.commands,
      again: relay.again,
      tokens: identity.tokens,
      trust: identity.trust,
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
    opened.push({ name: 'pointer', close: async () => removePointer(data) })
    took('api')
    await temporalAddress
    if (port !== options.port) say.line('port', { wanted: options.port, port }, `port ${options.port} is taken, this is ${port}`)
    if (admin?.made)
      say.line(
        'admin',
        { token: admin.token, file: join(data, 'admin.token') },
        `first administrator's access token, shown once: ${admin.token}\n  kept for the CLI on this machine in ${join(data, 'admin.token')}`,
      )
    const count = named ? (await sites.list(store.db)).length : 0
    say.line(
      'ready',
      { url: api, port, agentsPort, network: named?.id ?? null },
      `controller ${api}/v1/docs${named ? `, network ${named.id}, ${counted(count, 'site')}` : '. Next: causeway apply'}`,
    )
  } else {
    relay.again()
    await polling
    say.line('ready', { role }, 'worker is ready')
  }

  async function database(): Promise<string> {
    if (options.databaseUrl) return options.databaseUrl
    if (role !== 'all') {
      const there = embeddedUrl(data)
      if (!there)
        throw new ServeFailed(
          'C043',
          6,
          `there is no database for --role ${role}`,
          'set DATABASE_URL, or start causeway serve on this data folder first',
        )
      return there
    }
    const postgres = await startPostgres({ folder: data, died: (how) => log.warn(how) })
    opened.push({ name: 'PostgreSQL', close: postgres.stop })
    return postgres.url
  }
  async function startOrFindTemporal(): Promise<{ readonly address: string; stop(): Promise<void> }> {
    const elsewhere = (address: string) => ({ address, stop: async () => {} })
    if (options.temporalAddress) return elsewhere(options.temporalAddress)
    if (role !== 'all') {
      const pointer = temporalPointer(data)
      if (!existsSync(pointer))
        throw new ServeFailed(
          'C045',
          6,
          `there is no Temporal for --role ${role}`,
          'set TEMPORAL_ADDRESS, or start causeway serve on this data folder first',
        )
      return elsewhere(readFileSync(pointer, 'utf8').trim())
    }
    const binary = temporalBinary()
    if (!binary)
      throw new ServeFailed(
        'C045',
        10,
        'the Temporal server is not installed',
        'npm run dev fetches it; or put `temporal` on PATH, or set TEMPORAL_ADDRESS',
      )
    return startTemporal({ folder: data, binary, died: (how) => log.warn(how), restarted: () => temporalBack() })
  }
  /** Resolves when it takes tasks. A worker that fails is started again; one that can't connect yet tries again, and says so once. */
  function runWorker(): Promise<void> {
    const { promise, resolve: polls } = Promise.withResolvers<void>()
    const keep = async () => {
      const [{ startWorker }, address] = await Promise.all([import('#workflows/worker.ts'), temporalAddress])
      let said = false
      for (let delay = 100; !signal.aborted; delay = Math.min(delay * 2, 5_000)) {
        try {
          running = await startWorker({
            address,
            namespace,
            deps: { store, model: planner, offlineAfter: sites.offlineAfterMs, clouds, vault },
            log: (level, message) => log.warn(`worker ${level}: ${message}`),
          })
          took('worker')
          polls()
          delay = 100
          await running.done
        } catch (error) {
          trouble(error)
          if (!said && role === 'worker')
            say.line('waiting', { address }, `no worker yet: Temporal does not answer at ${address}; trying again until it does`)
          said = true
        }
        running = undefined
        if (!signal.aborted) await sleep(delay)
      }
    }
    void keep().catch(trouble).finally(polls)
    return promise
  }
  /** How long each part of the start took, for the log. */
  function stopwatch(): (part: string) => void {
    const begun = performance.now()
    return (part) => log.info('started', { part, afterMs: Math.round(performance.now() - begun), processMs: Math.round(performance.now()) })
  }
}

/** The file first: a start that is killed between the two finds the token there and stores it then. */
function firstAdmin(store: Store, file: string): Promise<{ readonly made: boolean; readonly token: string }> {
  return store.transaction(async (tx) => {
    // Of several that start on an empty database at once, one makes it.
    await access.lock(tx)
    if ((await access.list(tx)).length > 0) return { made: false, token: '' }
    const token = existsSync(file) ? readFileSync(file, 'utf8').trim() : newAccessToken()
    writeFileSync(file, `${token}\n`, { mode: 0o600 })
    await grant(tx, 'first administrator', 'admin', token)
    return { made: true, token }
  })
}

// Started as a program of its own: `node src/controller/main.ts --data DIR …`, for tests and the lab.
if (process.argv[1] && resolve(process.argv[1]) === import.meta.filename) {
  const { argumentsOf } = await import('./options.ts')
  process.exitCode = await serve(argumentsOf(process.argv.slice(2)))
}
