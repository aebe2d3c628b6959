/** Servers that run as our children: leftovers of a killed run are removed first, a child that dies is started again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export interface ChildOptions {
  /** For messages: `PostgreSQL`, `Temporal`. */
  readonly name: string
  readonly command: readonly [string, ...string[]]
  readonly env?: NodeJS.ProcessEnv
  /** Process id and start time, so that the next start removes what this one left and nothing else. */
  readonly pidFile: string
  /** stdout and stderr are appended here. */
  readonly logFile: string
  /** Resolves when the child answers; asked again every 20 ms, or fails after `readyWithinMs`. */
  readonly ready: () => Promise<boolean>
  readonly readyWithinMs: number
  readonly stopSignal: NodeJS.Signals
  /** Told when the child died by itself and is being started again. */
  readonly died?: (how: string) => void
  /** Told when it answers again. */
  readonly restarted?: () => void
}
export interface Child {
  readonly pid: () => number | undefined
  stop(): Promise<void>
}

/** A child didn't start; the message is for people. */
export class ChildFailed extends Error {
  override readonly name = 'ChildFailed'
}

/** Field 22 of /proc/PID/stat: clock ticks after boot; with the id it names one process for ever. null when it has ended. */
export function startTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command in parentheses may itself hold spaces and parentheses: count from the last one.
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A zombie has ended; where nobody reaps orphans it stays for ever.
    return state === 'Z' || state === 'X' ? null : (fields[18] ?? null)
  } catch {
    return null
  }
}

interface Recorded {
  readonly pid: number
  readonly start: string
}
function recorded(pidFile: string): Recorded | null {
  try {
    const [pid, start] = readFileSync(pidFile, 'utf8').trim().split(' ')
    return pid && start && Number.isSafeInteger(Number(pid)) ? { pid: Number(pid), start } : null
  } catch {
    return null
  }
}
export const alive = ({ pid, start }: Recorded): boolean => startTime(pid) === start

/** Ends the process that an earlier run recorded, if it is still that one. */
export async function removeLeftover(pidFile: string): Promise<boolean> {
  const left = recorded(pidFile)
  if (!left || !alive(left)) return false
  process.kill(left.pid, 'SIGKILL')
  while (alive(left)) await sleep(10)
  rmSync(pidFile, { force: true })
  return true
}

const lastLines = (file: string): string => {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-3).join('\n')
  } catch {
    return ''
  }
}

const longestLog = 16 << 20
/** One old file is kept. */
function rotate(file: string): void {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > longestLog) renameSync(file, `${file}.1`)
}

const firstRestartMs = 100
const lastRestartMs = 10_000
/** Longer than this it is counted as healthy, and the next restart is quick again. */
const healthyMs = 30_000

/** Starts the child and keeps it running until `stop`. */
export async function supervise(options: ChildOptions): Promise<Child> {
  let child: ChildProcess | undefined
  let exited: Promise<string> = Promise.resolve('')
  let stopping = false
  let delay = firstRestartMs

  const start = async (): Promise<void> => {
    await removeLeftover(options.pidFile)
    rotate(options.logFile)
    const log = openSync(options.logFile, 'a', 0o600)
    // setpriv sets the parent-death signal in the child itself: it can't outlive us, whatever kills us.
    const [file, ...args] = ['setpriv', '--pdeathsig', 'KILL', ...options.command]
    const next = spawn(file, args, { stdio: ['ignore', log, log], env: options.env ?? process.env })
    closeSync(log)
    child = next
    exited = new Promise((resolve) => {
      next.once('error', (error) => resolve(error.message))
      next.once('exit', (code, signal) => resolve(signal ? `ended by ${signal}` : `ended with ${code}`))
    })
    if (next.pid !== undefined) writeFileSync(options.pidFile, `${next.pid} ${startTime(next.pid) ?? ''}\n`, { mode: 0o600 })
    let how: string | undefined
    void exited.then((text) => (how = text))
    const end = Date.now() + options.readyWithinMs
    while (!(await options.ready())) {
      if (how !== undefined || stopping) throw new ChildFailed(`${options.name} did not start: ${how ?? 'stopped'}${said()}`)
      if (Date.now() > end) {
        next.kill('SIGKILL')
        throw new ChildFailed(`${options.name} did not answer within ${options.readyWithinMs / 1000} s${said()}`)
      }
      await sleep(20)
    }
  }
  const said = () => {
    const lines = lastLines(options.logFile)
    return lines === '' ? '' : `; its last words are (${options.logFile}):\n${lines}`
  }
  const watch = (since: number): void => {
    void exited.then(async (how) => {
      if (stopping) return
      if (Date.now() - since > healthyMs) delay = firstRestartMs
      options.died?.(`${options.name} ${how}; starting it again`)
      await sleep(delay)
      delay = Math.min(delay * 2, lastRestartMs)
      if (stopping) return
      const now = Date.now()
      await start().then(
        () => options.restarted?.(),
        (error: unknown) => options.died?.(error instanceof Error ? error.message : String(error)),
      )
      watch(now)
    })
  }

  await start().catch(async (error: unknown) => {
    child?.kill('SIGKILL')
    await exited
    rmSync(options.pidFile, { force: true })
    throw error
  })
  watch(Date.now())
  return {
    pid: () => child?.pid,
    stop: async () => {
      stopping = true
      child?.kill(options.stopSignal)
      const late = setTimeout(() => child?.kill('SIGKILL'), 10_000)
      await exited
      clearTimeout(late)
      rmSync(options.pidFile, { force: true })
    },
  }
}
