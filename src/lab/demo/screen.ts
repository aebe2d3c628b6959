/** The demo's output: rows for a person, or silence until the one line of --json. */
import { styleText } from 'node:util'

export interface Claim {
  readonly id: string
  /** What a person reads. */
  readonly text: string
  readonly measured: number
  readonly limit: number
  readonly unit: string
  readonly ok: boolean
}
export interface Screen {
  /** `[0:48] controller http://…   ok` */
  step(subject: string, text: string): void
  heading(text: string): void
  row(text: string, result?: string): void
  line(text?: string): void
  good(text: string): string
  bad(text: string): string
}

export function createScreen(options: { readonly json: boolean; readonly startedAt: number }): Screen {
  // With --json, stdout is the one document; people still see the way on stderr.
  const stream = options.json ? process.stderr : process.stdout
  const colour = stream.isTTY === true && !process.env['NO_COLOR']
  const style = (format: Parameters<typeof styleText>[0], text: string) => (colour ? styleText(format, text, { validateStream: false }) : text)
  const clock = () => {
    const seconds = Math.floor((Date.now() - options.startedAt) / 1000)
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
  }
  const write = (text: string) => void stream.write(`${text}\n`)
  return {
    step: (subject, text) => write(`${style('dim', `[${clock()}]`)} ${subject.padEnd(10)} ${text}`),
    heading: (text) => write(`\n${style('bold', text)}`),
    row: (text, result) => write(result === undefined ? `   ${text}` : `   ${`${text} `.padEnd(50, '.')} ${result}`),
    line: (text = '') => write(text),
    good: (text) => style('green', text),
    bad: (text) => style('red', text),
  }
}

const number = (value: number) => (Number.isInteger(value) ? String(value) : value.toFixed(1))

export function claimTable(claims: readonly Claim[], screen: Screen): string {
  const width = Math.max(...claims.map((claim) => claim.text.length), 40)
  const rows = claims.map(
    ({ text, measured, limit, unit, ok }) =>
      `   ${text.padEnd(width)}  ${`${number(measured)} ${unit}`.padEnd(16)} ${`${number(limit)} ${unit}`.padEnd(14)} ${ok ? screen.good('✔') : screen.bad('✘')}`,
  )
  return [`   ${'claim'.padEnd(width)}  ${'measured'.padEnd(16)} limit`, ...rows].join('\n')
}
