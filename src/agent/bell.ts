/** What ends a rest before its time. */
import { pause } from './clock.ts'

export interface Bell {
  /** Ends the present rest, or the next one. */
  ring(): void
  rang(): boolean
  /** What rang so far is being seen to. */
  hush(): void
  /** Until so many ms have passed, it rings, or `signal` is aborted. */
  rest(ms: number, signal: AbortSignal): Promise<void>
}

export function createBell(): Bell {
  let bell = new AbortController()
  return {
    ring: () => bell.abort(),
    rang: () => bell.signal.aborted,
    hush() {
      if (bell.signal.aborted) bell = new AbortController()
    },
    rest: (ms, signal) => pause(ms, AbortSignal.any([signal, bell.signal])),
  }
}
