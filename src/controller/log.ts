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
  return {
    error: (error) => log.error({ err: error }),
    warn: (text) => log.warn(text),
    close: () => destination.end(),
  }
}
