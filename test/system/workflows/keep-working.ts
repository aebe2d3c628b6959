/**
 * What `serve` does for its worker: starts it again whenever it ends. With `boundaries` it ends by its own hand, by
 * SIGKILL. The next one stands by with its code loaded, for most of a start is that.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
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
  const file = join(tmpdir(), `cw-boundaries-${randomUUID()}`)
  const logFile = `${file}.log`
  const log = openSync(logFile, 'a')
  let stopped = false
  let starts = 0
  const children = new Set<ChildProcess>()
  const standBy = () =>
    spawn(process.execPath, [join(import.meta.dirname, 'worker-child.ts')], {
      stdio: ['ignore', log, log, 'ipc'],
      env: {
        ...process.env,
        DATABASE_URL: store.url,
        TEMPORAL_ADDRESS: temporal.address,
        ...(boundaries ? { BOUNDARIES: file, KILL_AT: at } : {}),
        KEK: kek.toString('hex'),
        ...(cloud === undefined ? {} : { FAKE_CLOUD: cloud }),
      },
    })
  let next = standBy()
  const start = () => {
    starts += 1
    const child = next
    next = standBy()
    child.send('work')
    children.add(child)
    child.once('exit', () => {
      children.delete(child)
      if (!stopped) start()
    })
  }
  for (let n = 0; n < workers; n += 1) start()
  const end = async (these: Iterable<ChildProcess>) => {
    await Promise.all(
      [...these].map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return
        const ended = new Promise((resolve) => child.once('exit', resolve))
        child.kill('SIGKILL')
        await ended
      }),
    )
  }
  const kill = async () => await end(children)
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
      await end([...children, next])
      closeSync(log)
      rmSync(file, { force: true })
      rmSync(logFile, { force: true })
    },
  }
}
