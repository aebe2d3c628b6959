/** One agent per state folder. A lock whose process is gone is nobody's: the pid alone may have been given away again. */
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { errno } from './trouble.ts'

export interface Holder {
  readonly pid: number
  /** Field 22 of /proc/PID/stat, clock ticks after boot. */
  readonly started: string
}
export interface Lock {
  release(): void
}

export function startedAt(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold anything, spaces and parentheses included.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? null : (fields[19] ?? null)
  } catch {
    return null
  }
}

export function holderOf(state: string): Holder | null {
  let text: string
  try {
    text = readFileSync(join(state, 'run.lock'), 'utf8')
  } catch {
    return null
  }
  const [pid = '', started = ''] = text.split(' ')
  return startedAt(Number(pid)) === started ? { pid: Number(pid), started } : null
}

/** null: somebody who lives holds it. */
export function takeLock(state: string): Lock | null {
  const path = join(state, 'run.lock')
  mkdirSync(state, { recursive: true, mode: 0o700 })
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      const file = openSync(path, 'wx', 0o600)
      writeSync(file, `${process.pid} ${startedAt(process.pid)}`)
      closeSync(file)
      return { release: () => rmSync(path, { force: true }) }
    } catch (error) {
      if (errno(error) !== 'EEXIST') throw error
      if (holderOf(state)) return null
      rmSync(path, { force: true })
    }
  }
  return null
}
