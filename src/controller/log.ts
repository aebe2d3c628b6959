/** The controller's log: one JSON line an event, never a secret. */
import pino from 'pino'

export interface Log {
  error(error: unknown): void
  warn(text: string): void
  info(text: string, data: object): void
  close(): void
}

export function openLog(file: string): Log {
  const destination = pino.destination({ dest: file, append: true, mkdir: false, sync: true })
  // A full disk must not end the controller: what can't be logged is lost, the rest goes on.
  destination.on('error', () => {})
  const log = pino({ redact: ['*.token', '*.secret', '*.authorization', 'err.config', 'err.parameters'], base: null }, destination)
  let open = true
  return {
    error: (error) => void (open && log.error({ err: error })),
    warn: (text) => void (open && log.warn(text)),
    info: (text, data) => void (open && log.info(data, text)),
    close: () => {
      // Something that is cut off by the end may still want to say so.
      open = false
      destination.end()
    },
  }
}
