import { readFileSync } from 'node:fs'

/** Replaced by the build with the time of the build, ms since the epoch; 0 when run from source. */
declare const CAUSEWAY_BUILT: number | undefined
export const builtAt: number = typeof CAUSEWAY_BUILT === 'number' ? CAUSEWAY_BUILT : 0

export interface Clock {
  /** Milliseconds since the epoch: max(system, last stored, build, the controller's signed word). Never falls. */
  now(): number
  /** Seconds since boot, suspend included (`/proc/uptime`): what deadlines are set by, since nobody can set it. */
  boot(): number
  /** Milliseconds, monotonic, of any origin: for probes. */
  tick(): number
  /** A time that has surely passed: stored before, or told by the controller. */
  atLeast(ms: number): void
  wait(ms: number): Promise<void>
}

export const systemClock = (): Clock => {
  let floor = builtAt
  return {
    now() {
      floor = Math.max(floor, Date.now())
      return floor
    },
    boot: () => Number.parseFloat(readFileSync('/proc/uptime', 'utf8')),
    tick: () => performance.now(),
    atLeast(ms) {
      if (Number.isFinite(ms)) floor = Math.max(floor, ms)
    },
    wait: (ms) => pause(ms),
  }
}

export const instant = (ms: number): string => new Date(ms).toISOString()

/** Full jitter (each wait is uniform between 0 and the ceiling, which doubles), milliseconds. */
export const backoff = (attempt: number, random: () => number = Math.random, first = 250, most = 120_000): number =>
  Math.round(random() * Math.min(most, first * 2 ** Math.min(attempt, 30)))

/** Waits; ends early, without an error, when `signal` is aborted. */
export const pause = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done, { once: true })
  })
