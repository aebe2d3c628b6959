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
  /** SIGKILL; each is started again. */
  kill(): Promise<void>
  stop(): Promise<void>
}
export interface Keeping {
  readonly boundaries?: boolean
  /** Only boundaries that match this are fatal. */
  readonly at?: string
  /** The fake cloud's address. */
  readonly cloud?: string
  /** How many are alive at once; one. */
  readonly workers?: number
}

export function keepWorking({ store, temporal, kek }: World, { boundaries = false, at = '', cloud, workers = 1 }: Keeping): Worker {
  const file = join(tmpdir(), `cw-boundaries-${process.pid}-${Date.now()}`)
  const logFile = `${file}.log`
  const log = openSync(logFile, 'a')
  let stopped = false
  let starts = 0
  const children = new Set<ChildProcess>()
  const start = () => {
    starts += 1
    const child = spawn(process.execPath, [join(import.meta.dirname, 'worker-child.ts')], {
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
    children.add(child)
    child.once('exit', () => {
      children.delete(child)
      if (!stopped) start()
    })
  }
  for (let n = 0; n < workers; n += 1) start()
  const kill = async () => {
    await Promise.all(
      [...children].map(async (child) => {
        const ended = new Promise((resolve) => child.once('exit', resolve))
        child.kill('SIGKILL')
        await ended
      }),
    )
  }
  return {
    crossed: () =>
      existsSync(file)
        ? readFileSync(file, 'utf8')
            .split('\n')
            .filter((line, at, all) => line !== '' && all.indexOf(line) === at)
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
