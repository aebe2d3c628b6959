/** The controller's log: one JSON line an event, never a secret. */
import pino from 'pino'

export interface Log {
  error(error: unknown): void
  warn(text: string): void
  close(): void
}

export function openLog(file: string): Log {
  const destination = pino.destination({ dest: file, append: true, mkdir: false, sync: true })
  const log = pino({ redact: ['*.token', '*.secret', '*.authorization', 'err.config', 'err.parameters'], base: null }, destination)
  let open = true
  return {
    error: (error) => void (open && log.error({ err: error })),
    warn: (text) => void (open && log.warn(text)),
    close: () => {
      // Something that is cut off by the end may still want to say so.
      open = false
      destination.end()
    },
  }
}
