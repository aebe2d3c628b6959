/** A real Temporal server for one test file, which can be killed and can lose its database. */
import { spawn, type ChildProcess } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Connection } from '@temporalio/client'
import { freePort, temporalBinary, temporalCommand } from '#src/controller/temporal.ts'

export interface TestTemporal {
  readonly address: string
  /** SIGKILL, then the database file is deleted, then a new server on the same port. */
  loseEverything(): Promise<void>
  stop(): Promise<void>
}

export async function startTemporal(folder: string): Promise<TestTemporal> {
  const file = join(folder, 'temporal.db')
  const port = await freePort()
  let server = await start(file, port)
  return {
    address: `127.0.0.1:${port}`,
    loseEverything: async () => {
      await kill(server)
      for (const suffix of ['', '-wal', '-shm']) await rm(`${file}${suffix}`, { force: true })
      server = await start(file, port)
    },
    stop: async () => await kill(server),
  }
}

/** Tries again, as `serve` does: of the ports that it chooses inside, one may be another server's by the time it takes it. */
async function start(file: string, port: number): Promise<ChildProcess> {
  const binary = temporalBinary()
  if (binary === undefined) throw new Error('no Temporal server is installed; npm test installs it')
  let said = ''
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    const server = spawn('setpriv', ['--pdeathsig', 'KILL', ...temporalCommand(binary, port, file)], { stdio: ['ignore', 'ignore', 'pipe'] })
    server.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2_000)))
    while (server.exitCode === null && server.signalCode === null) {
      if (await answers(`127.0.0.1:${port}`)) return server
      await sleep(100)
    }
  }
  throw new Error(`the Temporal server did not start: ${said}`)
}

async function answers(address: string): Promise<boolean> {
  try {
    const connection = await Connection.connect({ address, connectTimeout: 500 })
    await connection.workflowService.describeNamespace({ namespace: 'default' })
    await connection.close()
    return true
  } catch {
    return false
  }
}

async function kill(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const ended = new Promise((resolve) => server.once('exit', resolve))
  server.kill('SIGKILL')
  await ended
}
