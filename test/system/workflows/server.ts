/** A real Temporal server for one test file, which can be killed and can lose its database. */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Connection } from '@temporalio/client'

export interface TestTemporal {
  readonly address: string
  /** SIGKILL, then the database file is deleted, then a new server on the same port. */
  loseEverything(): Promise<void>
  stop(): Promise<void>
}

const root = join(import.meta.dirname, '..', '..', '..')
function binary(): string {
  const cached = join(root, '.causeway', 'cache', 'temporal-1.9.1', 'temporal')
  const found = [...(process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'temporal')), cached].find((path) => existsSync(path))
  if (found === undefined) throw new Error(`no Temporal server: neither on PATH nor at ${cached}; npm test installs it`)
  return found
}

export async function startTemporal(folder: string): Promise<TestTemporal> {
  const file = join(folder, 'temporal.db')
  const port = await freePort()
  const address = `127.0.0.1:${port}`
  let server = await start(file, port, address)
  return {
    address,
    loseEverything: async () => {
      await kill(server)
      for (const suffix of ['', '-wal', '-shm']) await rm(`${file}${suffix}`, { force: true })
      server = await start(file, port, address)
    },
    stop: async () => await kill(server),
  }
}

async function start(file: string, port: number, address: string): Promise<ChildProcess> {
  const server = spawn(
    'setpriv',
    [
      '--pdeathsig',
      'KILL',
      binary(),
      'server',
      'start-dev',
      '--headless',
      '--ip',
      '127.0.0.1',
      '--port',
      String(port),
      '--db-filename',
      file,
      '--sqlite-pragma',
      'journal_mode=WAL',
      '--sqlite-pragma',
      'synchronous=NORMAL',
      '--log-level',
      'error',
    ],
    { stdio: 'ignore' },
  )
  for (;;) {
    if (server.exitCode !== null) throw new Error(`the Temporal server ended with ${server.exitCode}`)
    try {
      const connection = await Connection.connect({ address, connectTimeout: 500 })
      await connection.workflowService.describeNamespace({ namespace: 'default' })
      await connection.close()
      return server
    } catch {
      await sleep(100)
    }
  }
}

async function kill(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const ended = new Promise((resolve) => server.once('exit', resolve))
  server.kill('SIGKILL')
  await ended
}

const freePort = () =>
  new Promise<number>((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const bound = probe.address()
      probe.close(() => (bound !== null && typeof bound === 'object' ? resolve(bound.port) : reject(new Error('no port'))))
    })
  })
