/** What a command prints and how it ends. stdout is data, stderr progress; a pipe gets no colour and no question. */
import { styleText } from 'node:util'
import type { Finding } from '#src/fabric/fabric.ts'

/** Exit codes, the same for every command. */
export const exit = {
  done: 0,
  /** Ran and failed; what ran was rolled back, or the message says what was not. */
  failed: 1,
  usage: 2,
  /** The intent is wrong or verification refuses; nothing was touched. */
  refused: 3,
  /** Only with --exit-code. */
  pending: 4,
  /** Stale plan, foreign owner. */
  conflict: 5,
  unreachable: 6,
  forbidden: 7,
  /** The wait timed out, the work goes on. */
  timedOut: 8,
  /** Finished, but not green. */
  notGreen: 9,
  machine: 10,
  detached: 130,
} as const
export type ExitCode = (typeof exit)[keyof typeof exit]

/** Ends a command with a sentence: what is wrong, and what to do instead. */
export class Stop extends Error {
  readonly code: ExitCode
  readonly instead: string
  readonly findings: readonly Finding[]
  /** Already printed by the command, e.g. rendered findings. */
  readonly printed: boolean
  constructor(code: ExitCode, says: string, instead = '', more: { readonly findings?: readonly Finding[]; readonly printed?: boolean } = {}) {
    super(says)
    this.code = code
    this.instead = instead
    this.findings = more.findings ?? []
    this.printed = more.printed ?? false
  }
}

export interface Output {
  readonly json: boolean
  /** A person watches stderr. */
  readonly interactive: boolean
  readonly colour: boolean
  /** A line of data. */
  line(text?: string): void
  /** A line of progress. */
  progress(text: string): void
  /** The one document of a read: `{"v":1,"kind","data","findings"}`. With --json only. */
  document(kind: string, data: unknown, findings?: readonly Finding[]): void
  /** One event of a long verb, a line of JSON. With --json only. */
  event(event: Readonly<Record<string, unknown>>): void
  style(format: Parameters<typeof styleText>[0], text: string): string
}

export function createOutput(options: { readonly json: boolean; readonly env?: NodeJS.ProcessEnv }): Output {
  const env = options.env ?? process.env
  const colour = !options.json && process.stdout.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
  return {
    json: options.json,
    interactive: !options.json && process.stderr.isTTY === true && process.stdin.isTTY === true && !env['CI'],
    colour,
    line: (text = '') => void process.stdout.write(`${text}\n`),
    progress: (text) => void process.stderr.write(`${text}\n`),
    document: (kind, data, findings = []) => void process.stdout.write(`${JSON.stringify({ v: 1, kind, data, findings })}\n`),
    event: (event) => void process.stdout.write(`${JSON.stringify(event)}\n`),
    style: (format, text) => (colour ? styleText(format, text, { validateStream: false }) : text),
  }
}
