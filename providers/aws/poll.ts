/**
 * Describe and classify, our own way: the SDK's waiters retry on every exception and know only two of our types.
 * Waiters that ask the same question share one request.
 */
import { finding, CloudError, trouble } from './errors.ts'

export interface Timing {
  /** Milliseconds between two looks at something that takes time. */
  readonly poll: number
  /** Milliseconds for which a question waits for others like it. */
  readonly gather: number
  /** How long something that may exist is looked for before it is made (again): AWS is eventually consistent. */
  readonly settle: number
  /** Factor on every deadline. */
  readonly patience: number
}
export const awsTiming: Timing = { poll: 3000, gather: 100, settle: 45_000, patience: 1 }
export interface Clock {
  now(): number
  /** Rejects with the signal's reason when that is raised. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>
}

export const realClock: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve, reject) => {
      const stop = (): void => {
        clearTimeout(timer)
        reject(signal.reason as Error)
      }
      const timer = setTimeout(() => {
        signal.removeEventListener('abort', stop)
        resolve()
      }, milliseconds)
      if (signal.aborted) stop()
      else signal.addEventListener('abort', stop, { once: true })
    }),
}

export interface Wait<T> {
  readonly what: string
  /** Milliseconds. */
  readonly limit: number
  readonly clock: Clock
  readonly timing: Timing
  readonly signal: AbortSignal
  /** Undefined: not yet. It throws what can't come right any more. */
  check(): Promise<T | undefined>
  beat(): void
  /** What kept it from coming right, if anything was said. */
  cause?(): unknown
}
export async function until<T>(of: Wait<T>): Promise<T> {
  const begun = of.clock.now()
  const end = begun + of.limit * of.timing.patience
  for (;;) {
    of.signal.throwIfAborted()
    of.beat()
    const result = await of.check()
    if (result !== undefined) return result
    if (of.clock.now() >= end) throw of.cause?.() ?? tooLate(of.what, of.limit * of.timing.patience)
    // What takes long is looked at less often: never more than a twelfth of its time late.
    await of.clock.sleep(Math.max(of.timing.poll, Math.min((of.clock.now() - begun) / 12, 15_000)), of.signal)
  }
}
export const tooLate = (what: string, limit: number): CloudError =>
  new CloudError(
    trouble(
      'retry',
      finding(
        'R020',
        [what],
        `${what} did not become ready within ${Math.ceil(limit / 60_000)} min`,
        'look at its state in the console; the operation takes it up where it stands',
      ),
      30_000,
    ),
  )

/**
 * One request for all that ask within `gather`. Each is answered by a request that began after it asked, so nobody gets
 * an answer older than what it has just done.
 */
export function createGatherer(wait: () => Promise<void>): <T>(key: string, fetch: () => Promise<T>) => Promise<T> {
  const open = new Map<string, Promise<unknown>>()
  return <T>(key: string, fetch: () => Promise<T>): Promise<T> => {
    const joined = open.get(key)
    if (joined) return joined as Promise<T>
    const asked = (async () => {
      try {
        await wait()
      } finally {
        open.delete(key)
      }
      return fetch()
    })()
    open.set(key, asked)
    return asked
  }
}
