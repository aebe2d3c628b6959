/** One line an event: for people by default, one JSON object a line with `--json`. */
export interface Log {
  (event: string, text: string, data?: Readonly<Record<string, unknown>>): void
}

export const createLog =
  (json: boolean, now: () => number, write: (line: string) => void): Log =>
  (event, text, data = {}) => {
    const at = new Date(now()).toISOString()
    write(json ? `${JSON.stringify({ at, event, text, ...data })}\n` : `${at.slice(11, 23)} ${event.padEnd(9)} ${text}\n`)
  }
