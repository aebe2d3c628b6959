/** Findings as people read them: where, what, the line, a caret, what to write. */
import type { Finding, Origin, Origins, Severity } from '#src/fabric/fabric.ts'
import { counted } from '#src/fabric/plural.ts'
import { ownFirst } from './fragments.ts'

export interface RenderOptions {
  readonly colour: boolean
  /** What follows from the errors, for the last line. Default: `nothing verified` when the intent itself is wrong. */
  readonly outcome?: string
}

const compare = (a: Origin | undefined, b: Origin | undefined): number => {
  if (!a || !b) return (a ? 0 : 1) - (b ? 0 : 1)
  if (a.file !== b.file) return a.file < b.file ? -1 : 1
  return a.line - b.line || a.column - b.column
}
/** By file, line and column; those without a place last. */
export const sortFindings = (findings: readonly Finding[], origins: Origins): readonly Finding[] =>
  [...findings].sort((a, b) => compare(origins.get(a.at[0] ?? ''), origins.get(b.at[0] ?? '')) || (a.code < b.code ? -1 : a.code > b.code ? 1 : 0))

const paint = (colour: boolean) => (code: number, text: string) => (colour ? `\u001B[${code}m${text}\u001B[0m` : text)
const colours: Readonly<Record<Severity, number>> = { error: 31, warning: 33, note: 36 }

/** Terminals obey control characters, files may hold any: each becomes one visible character, so that carets stay true. */
const visible = (text: string): string => text.replaceAll('\t', ' ').replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '\uFFFD')

const context = 60
const maxLine = 140
/** The source line with the caret's column in it, cut around the caret when it is very long. */
function excerpt(line: string, column: number): { readonly text: string; readonly caret: number } {
  const before = [...visible(line.slice(0, column - 1))]
  const after = [...visible(line.slice(column - 1))]
  if (before.length + after.length <= maxLine) return { text: [...before, ...after].join(''), caret: before.length }
  const head = before.length > context ? ['…', ...before.slice(-context)] : before
  const room = maxLine - head.length
  const tail = after.length > room ? [...after.slice(0, room), '…'] : after
  return { text: [...head, ...tail].join(''), caret: head.length }
}

/** The form of `causeway check`; '' when there is nothing to say. `files` are those that the origins point into. */
export function renderFindings(
  findings: readonly Finding[],
  origins: Origins,
  files: readonly { readonly path: string; readonly text: string }[],
  options: RenderOptions,
): string {
  if (findings.length === 0) return ''
  const inColour = paint(options.colour)
  const lines = new Map<string, readonly string[]>()
  const lineOf = ({ file, line }: Origin): string | undefined => {
    let all = lines.get(file)
    if (!all) {
      all = files.find((each) => each.path === file)?.text.split(/\r?\n/) ?? []
      lines.set(file, all)
    }
    return all[line - 1]
  }
  const where = (origin: Origin): string => `${visible(origin.file)}:${origin.line}:${origin.column}`
  const out: string[] = []
  for (const finding of sortFindings(findings, origins)) {
    const places = ownFirst(finding.at.map((key) => origins.get(key)).filter((origin) => origin !== undefined))
    const [first, ...others] = places
    const label = inColour(colours[finding.severity], `${finding.severity}[${finding.code}]`)
    out.push(`${label} ${first ? `${inColour(1, where(first))}  ` : ''}${visible(finding.says)}`)
    const source = first && lineOf(first)
    const number = String(first?.line ?? '')
    const gutter = ' '.repeat(Math.max(3, number.length + 2))
    const bar = inColour(2, '│')
    const more = finding.instead !== '' || finding.witness.length > 0 || others.length > 0
    if (first && source !== undefined && more) {
      const { text, caret } = excerpt(source, first.column)
      out.push(`${number.padStart(gutter.length)} ${bar} ${text}`)
      out.push(
        `${gutter} ${bar} ${' '.repeat(caret)}${inColour(colours[finding.severity], '^')}${finding.instead === '' ? '' : ` ${visible(finding.instead)}`}`,
      )
    } else if (finding.instead !== '') out.push(`${gutter} ${bar} ${visible(finding.instead)}`)
    for (const other of others) out.push(`${gutter} ${bar} see ${where(other)}`)
    for (const line of finding.witness) out.push(`${gutter}   ${visible(line)}`)
  }
  out.push(inColour(1, summary(findings, options.outcome)))
  return `${out.join('\n')}\n`
}

function summary(findings: readonly Finding[], outcome: string | undefined): string {
  const of = (severity: Severity): number => findings.filter((finding) => finding.severity === severity).length
  const parts = (['error', 'warning', 'note'] as const).filter((severity) => of(severity) > 0).map((severity) => counted(of(severity), severity))
  const stopped = findings.some((finding) => finding.severity === 'error' && finding.code.startsWith('I'))
  const follows = outcome ?? (stopped ? 'nothing verified' : '')
  return [...parts, ...(follows === '' ? [] : [follows])].join(', ')
}
