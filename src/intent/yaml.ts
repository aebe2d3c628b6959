/**
 * YAML 1.2 text → nodes with positions. Merge keys are off, aliases few, nesting shallow: no text can cost much. Keys
 * written twice are found by the specs (`spec.ts`), as the parser's own search takes the square of their number.
 */
import {
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  Parser,
  type ParsedNode,
  type YAMLMap,
  type YAMLParseError,
} from 'yaml'
import type { Origin } from '#src/fabric/fabric.ts'
import type { Report } from './report.ts'
import { codePointOf } from './values.ts'

/** One file of a network, its path as people should see it. */
export interface SourceFile {
  readonly path: string
  readonly text: string
}

/** UTF-16 code units. A site is about 500; a network of 10,000 sites has a file for each. */
export const sizeLimit = 1_000_000
export const depthLimit = 24
export const aliasLimit = 32
/** Of YAML, of which one is shown. */
const errorLimit = 100

/** A parsed file: nodes, and where each stands. */
export interface Source {
  readonly path: string
  readonly root: YAMLMap<Node, Node | null>
  /** An alias's target, any other node itself. */
  follow(node: Node | null | undefined): Node | null
  at(node: Node): Origin
  /** `length` characters from `offset` inside a scalar's value; the whole scalar when escapes or folding moved them. */
  within(node: Node, offset: number, length: number): Origin
  /** A scalar as it was written (`010` stays `010`, not 10); undefined for null and for collections. */
  textOf(node: Node | null): string | undefined
}

interface Excess {
  readonly offset: number
  readonly says: string
  readonly instead: string
}
const tooDeep = (offset: number): Excess => ({
  offset,
  says: `nested more than ${depthLimit} deep`,
  instead: 'nothing in the language is; look for a bracket or dash too many',
})
/** Stops where a text opens too much: the parser closes what it left open by recursion, and its stack has an end. */
function tokensOf(text: string): { readonly tokens: readonly CST.Token[]; readonly excess?: Excess } {
  const parser = new Parser()
  const tokens: CST.Token[] = []
  let errors = 0
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) if (token.type !== 'error' || errors++ < errorLimit) tokens.push(token)
    if (parser.stack.length <= depthLimit) continue
    const outermost = parser.stack.filter((token) => 'items' in token)[depthLimit]
    if (outermost) return { tokens, excess: tooDeep(outermost.offset) }
  }
  tokens.push(...parser.end())
  return { tokens }
}
/** Too deep, or too many aliases. Walks with its own stack, as the composer's recursion is what must be protected. */
function excessOf(tokens: readonly CST.Token[]): Excess | undefined {
  let aliases = 0
  const stack: { readonly token: CST.Token; readonly depth: number }[] = tokens.map((token) => ({ token, depth: 0 }))
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { token, depth } = next
    if (token.type === 'document') {
      if (token.value) stack.push({ token: token.value, depth })
      continue
    }
    if (token.type === 'alias' && ++aliases > aliasLimit) {
      return { offset: token.offset, says: `more than ${aliasLimit} aliases in a file`, instead: 'write the values out' }
    }
    if (!('items' in token)) continue
    if (depth >= depthLimit) return tooDeep(token.offset)
    for (const item of token.items) {
      if (item.key) stack.push({ token: item.key, depth: depth + 1 })
      if (item.value) stack.push({ token: item.value, depth: depth + 1 })
    }
  }
  return undefined
}

class Enough extends Error {}
/** Ends at the hundredth error: each costs as much as a line, and a text may hold half a million. */
function compose(
  tokens: readonly CST.Token[],
  length: number,
): { readonly documents: readonly Document.Parsed[]; readonly errors: readonly YAMLParseError[] } {
  const composer = new Composer({ merge: false, uniqueKeys: false, schema: 'core' })
  const note = composer['onError'] as (...error: readonly unknown[]) => void
  let left = errorLimit
  composer['onError'] = (...error: readonly unknown[]) => {
    note(...error)
    if (--left === 0) throw new Enough()
  }
  try {
    const documents = [...composer.compose(tokens, true, length)] as Document.Parsed[]
    return { documents, errors: documents[0]?.errors ?? [] }
  } catch (error) {
    if (!(error instanceof Enough)) throw error
    return { documents: [], errors: composer.streamInfo().errors }
  }
}

/** The parser's words for the commonest slips, in those of somebody who made one. Empty: the parser says it well. */
const slips: Readonly<Record<string, { readonly says: string; readonly instead: string }>> = {
  TAB_AS_INDENT: { says: 'a tab is used as indentation', instead: 'indent with spaces' },
  BAD_INDENT: { says: 'the indentation does not fit the lines above', instead: 'indent with spaces, the same number for all keys of a map' },
  MISSING_CHAR: { says: '', instead: 'close what was opened, or put quotes around the text' },
  UNEXPECTED_TOKEN: { says: '', instead: 'remove it, or put quotes around the text' },
  BLOCK_AS_IMPLICIT_KEY: { says: 'a second colon in one value', instead: 'put quotes around the text; a nested map starts on its own line' },
  MULTILINE_IMPLICIT_KEY: { says: 'a key has no colon on its own line', instead: 'write key: value' },
  BAD_ALIAS: { says: '', instead: 'write the value out; a text that begins with * or & needs quotes' },
}
const openFlow = { says: 'a { or [ is not closed before this line', instead: 'close it; if it is, indent what stands inside and the closing bracket' }

const lowerFirst = (text: string): string => `${text.charAt(0).toLowerCase()}${text.slice(1)}`
/** `message at line 3, column 1:` and an excerpt → the message. */
const plainMessage = (text: string): string => (text.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, '').replace(/[.:]$/, '')

function syntaxFinding(error: YAMLParseError, at: (offset: number, end: number) => Origin, report: Report): void {
  const place = at(error.pos[0], error.pos[1])
  const message = plainMessage(error.message)
  if (error.code === 'MULTIPLE_DOCS')
    report.error('I004', place, 'a second document starts here', 'write one document a file: move this one to a file of its own')
  else {
    const slip = error.code === 'BAD_INDENT' && message.startsWith('Flow') ? openFlow : slips[error.code]
    report.error('I001', place, `not YAML: ${slip?.says || lowerFirst(message)}`, slip?.instead ?? 'see yaml.org, or start from a file of sites/demo')
  }
}

/** Where there is something that YAML has no place for (YAML 1.2 section 5.1), as no database has; -1: nowhere. */
function firstUnprintable(text: string): number {
  const control = text.search(/[^\t\n\r -~\x85\xA0-\uFFFD]/)
  return control >= 0 || text.isWellFormed() ? control : text.search(/\p{Cs}/u)
}

/** The file's top-level map, or nothing after reporting why there is none. */
export function readYaml(file: SourceFile, report: Report): Source | undefined {
  const { path, text } = file
  const lines = new LineCounter()
  lines.addNewLine(0)
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines.addNewLine(at + 1)
  const place = (offset: number, end: number): Origin => {
    const { line, col } = lines.linePos(offset)
    const stop = text.slice(offset, end).search(/[\r\n]/)
    return { file: path, line, column: col, length: Math.max(1, stop < 0 ? Math.min(end, text.length) - offset : stop) }
  }
  if (text.length > sizeLimit) {
    report.error('I002', place(0, 1), `the file has ${text.length} characters`, `write at most ${sizeLimit}: one file a site is usual`)
    return undefined
  }
  const stray = firstUnprintable(text)
  if (stray >= 0) {
    report.error('I001', place(stray, stray + 1), `not YAML: it holds ${codePointOf(text.slice(stray))}, which no text may`, 'remove it')
    return undefined
  }
  const { tokens, excess = excessOf(tokens) } = tokensOf(text)
  if (excess) {
    report.error('I002', place(excess.offset, excess.offset + 1), excess.says, excess.instead)
    return undefined
  }
  const { documents, errors } = compose(tokens, text.length)
  const [document, second] = documents
  if (!document || errors.length > 0) {
    // One broken spot makes the parser stumble on: the first error is the cause, the rest mostly its consequences.
    for (const error of errors.slice(0, 1)) syntaxFinding(error, place, report)
    return undefined
  }
  if (second) {
    const start = second.contents?.range[0] ?? second.range[0]
    report.error('I004', place(start, start + 1), 'a second document starts here', 'write one document a file: move this one to a file of its own')
    return undefined
  }
  for (const warning of document.warnings) {
    report.error(
      'I001',
      place(warning.pos[0], warning.pos[1]),
      `not plain YAML: ${lowerFirst(plainMessage(warning.message))}`,
      'write the value without a tag',
    )
  }
  const follow = (node: Node | null | undefined): Node | null => (isAlias(node) ? (node.resolve(document) ?? null) : (node ?? null))
  const rangeOf = (node: Node): readonly [number, number] => {
    const range = (node as ParsedNode).range
    return [range[0], range[1]]
  }
  const root = follow(document.contents)
  if (!isMap(root)) {
    const says = root === null || (isScalar(root) && root.value === null) ? 'the file is empty' : 'the file is not a map of keys'
    report.error('I004', root === null ? place(0, 1) : place(...rangeOf(root)), says, 'begin with `network: name` or `site: name`')
    return undefined
  }
  return {
    path,
    root: root as YAMLMap<Node, Node | null>,
    follow,
    at: (node) => place(...rangeOf(node)),
    within(node, offset, length) {
      const [start, end] = rangeOf(node)
      if (!isScalar(node) || typeof node.value !== 'string') return place(start, end)
      const first = start + (node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE' ? 1 : 0)
      const part = node.value.slice(offset, offset + length)
      const same = text.slice(first, first + offset + length) === node.value.slice(0, offset + length)
      return same && part !== '' ? place(first + offset, first + offset + length) : place(start, end)
    },
    textOf(node) {
      if (!isScalar(node) || node.value === null) return undefined
      return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value))
    },
  }
}
export { isMap, isScalar, isSeq }
