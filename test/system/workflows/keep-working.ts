/** What `serve` does for its worker: starts it again whenever it ends. With `boundaries` it ends by its own hand, by SIGKILL. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { World } from './world.ts'

export interface Worker {
  crossed(): string[]
  starts(): number
  log(): string
  /** SIGKILL; it is started again. */
  kill(): Promise<void>
  stop(): Promise<void>
}
export interface Keeping {
  readonly boundaries?: boolean
  /** Only boundaries that match this are fatal. */
  readonly at?: string
  /** The fake cloud's address. */
  readonly cloud?: string
}

export function keepWorking({ store, temporal, kek }: World, { boundaries = false, at = '', cloud }: Keeping): Worker {
  const file = join(tmpdir(), `cw-boundaries-${process.pid}-${Date.now()}`)
  const logFile = `${file}.log`
  const log = openSync(logFile, 'a')
  let stopped = false
  let starts = 0
  let child: ChildProcess
  const start = () => {
    starts += 1
    child = spawn(process.execPath, [join(import.meta.dirname, 'worker-child.ts')], {
      stdio: ['ignore', log, log],
      env: {
        ...process.env,
        DATABASE_URL: store.url,
        TEMPORAL_ADDRESS: temporal.address,
        ...(boundaries ? { BOUNDARIES: file, KILL_AT: at } : {}),
        KEK: kek.toString('hex'),
        ...(cloud === undefined ? {} : { FAKE_CLOUD: cloud }),
      },
    })
    child.once('exit', () => {
      if (!stopped) start()
    })
  }
  start()
  const kill = async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }
  return {
    crossed: () =>
      existsSync(file)
        ? readFileSync(file, 'utf8')
            .split('\n')
            .filter((line) => line !== '')
        : [],
    starts: () => starts,
    log: () => readFileSync(logFile, 'utf8'),
    kill,
    stop: async () => {
      stopped = true
      await kill()
      closeSync(log)
      rmSync(file, { force: true })
      rmSync(logFile, { force: true })
    },
  }
}
