/** The controller's stream of hints: that something is assigned, or asked. What it is the next report tells. */
import { backoff, pause } from './clock.ts'
import type { Controller } from './controller.ts'

export interface Hints {
  /** Listens until the signal, again whenever the stream ends. */
  run(): Promise<void>
  /**
   * After a change: a firewall that is loaded under an open connection knows it only by what this end sends, and on the
   * stream only the far end speaks.
   */
  anew(): void
}

export function createHints(of: {
  readonly controller: Pick<Controller, 'stream'>
  readonly heard: () => void
  readonly signal: AbortSignal
}): Hints {
  const { controller, heard, signal } = of
  let present = new AbortController()
  return {
    anew: () => present.abort(),
    async run() {
      for (let attempt = 0; !signal.aborted; attempt++) {
        const own = (present = new AbortController())
        try {
          await controller.stream(
            '/v1/hints',
            () => {
              attempt = 0
              heard()
            },
            AbortSignal.any([signal, own.signal]),
          )
        } catch {
          // The reports say that the controller is away; two voices would say it twice.
        }
        if (own.signal.aborted) attempt = 0
        await pause(backoff(attempt), signal)
      }
    },
  }
}
