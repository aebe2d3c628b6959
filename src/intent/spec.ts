/**
 * What a file may contain, as values: each spec reads YAML nodes into located values, reports what doesn't fit, and
 * carries the zod schema of the same shape, from which the editors' JSON Schema is made. Reading goes on after an error,
 * so that every mistake is reported at once.
 */
import type { Node, Pair } from 'yaml'
import * as z from 'zod'
import type { Origin } from '#src/fabric/fabric.ts'
import type { Parsed, ParseFailure } from '#src/net/address.ts'
import { once } from '#src/net/once.ts'
import type { IntentCode } from './codes.ts'
import type { Report } from './report.ts'
import type { RefusedKeys } from './refused.ts'
import { didYouMean, oneOf, suggest } from './suggest.ts'
import { isMap, isScalar, isSeq, type Source } from './yaml.ts'

/** A value and where it was written. */
export interface Located<T> {
  readonly value: T
  readonly at: Origin
  /** As written. */
  readonly text: string
  /** A part of the text, for errors inside a string. */
  within(offset: number, length: number): Origin
}
export interface Entry<T> {
  readonly key: Located<string>
  /** undefined: reported already. */
  readonly value: T | undefined
}
/** The keys that were written and read well. `wrote` has also those that were not, and where each stands. */
export interface Fields<F> {
  readonly at: Origin
  readonly wrote: ReadonlyMap<string, Origin>
  readonly fields: { readonly [K in keyof F]?: F[K] extends Spec<infer T> ? T : never }
}
export interface Reading {
  readonly source: Source
  readonly report: Report
  /** Where else a key stands, for one that was written where it has no meaning. */
  readonly home: (key: string) => Home | undefined
}
/** `what` has the key, and `instead` says how to write it there. */
export interface Home {
  readonly what: string
  readonly instead: string
}
/** Where a value is expected and how people call it, e.g. `uplinks`. */
interface Slot {
  readonly at: Origin
  readonly name: string
  readonly required?: boolean
}
export interface Spec<T> {
  /** Made when it is first asked for: a folder uses a few of the two hundred, and each takes as long as a small file. */
  readonly schema: () => z.ZodType
  /** What to write, for messages. */
  readonly example: string
  /** `a map`, `a single value`. */
  readonly wants: string
  read(node: Node | null, slot: Slot, reading: Reading): T | undefined
}
export type ReadOf<S> = S extends Spec<infer T> ? T : never

const kindOf = (node: Node | null): string =>
  isMap(node) ? 'a map' : isSeq(node) ? 'a list' : node === null || (isScalar(node) && node.value === null) ? 'nothing' : 'a text'

function wrongKind({ wants, example }: Pick<Spec<unknown>, 'wants' | 'example'>, node: Node | null, slot: Slot, reading: Reading): undefined {
  const found = kindOf(node)
  if (node === null || found === 'nothing') return refuseEmpty(example, slot.at, slot, reading)
  reading.report.error('I007', reading.source.at(node), `"${slot.name}" is ${found}, not ${wants}`, `write ${slot.name}: ${example}`)
  return undefined
}
export function refuseEmpty(example: string, at: Origin, { name, required }: Slot, { report }: Reading): undefined {
  report.error('I007', at, `"${name}" is empty`, required ? `write ${name}: ${example}` : `write ${name}: ${example}, or remove the key`)
  return undefined
}

/** A zod issue that carries what a Finding needs. */
interface Refusal {
  readonly code: IntentCode
  readonly says: string
  readonly instead: string
}

const numbers = ['1', '1000'] as const
/** A string that a parser of ours judges; `code` is the finding's when it refuses. */
export function parsedText<T>(
  code: IntentCode | ((failure: ParseFailure) => IntentCode),
  parse: (text: string) => Parsed<T>,
  meta: { readonly description: string; readonly examples: readonly (string | number)[] },
): Spec<Located<T>> {
  // What YAML takes for a number is read as it is written; editors see the number.
  const schema = () => {
    const written = numbers.some((number) => parse(number).ok) ? z.union([z.string(), z.number()]) : z.string()
    return written.meta({ description: meta.description, examples: [...meta.examples] }).transform((input, context) => {
      const parsed = parse(String(input))
      if (parsed.ok) return parsed.value
      const refusal: Refusal = { code: typeof code === 'string' ? code : code(parsed), says: parsed.says, instead: parsed.instead }
      context.addIssue({ code: 'custom', message: parsed.says, params: { ...refusal } })
      return z.NEVER
    })
  }
  return scalar(schema, String(meta.examples[0]), () => undefined)
}

/** The name of something, or several in a line; whoever looks them up judges it. */
export const text = (description: string, example: string): Spec<Located<string>> =>
  scalar(
    () => z.string().meta({ description, examples: [example] }),
    example,
    () => undefined,
  )

/** One of a few words; those of `refused` are known, and this says why they can't be had. */
export function word<const W extends readonly [string, ...string[]]>(
  code: IntentCode,
  noun: string,
  words: W,
  description: string,
  refused: Readonly<Record<string, string>> = {},
): Spec<Located<W[number]>> {
  return scalar(
    () => z.enum(words).meta({ description }),
    words[0],
    (text) => {
      if (Object.hasOwn(refused, text))
        return { code: 'I008', says: `${noun} "${text}" can't be had: ${refused[text]}`, instead: `write ${oneOf(words)}` }
      const meant = didYouMean(text, words)
      return { code, says: `${noun} "${text}" does not exist${meant}`, instead: meant === '' ? `write ${oneOf(words)}` : '' }
    },
  )
}

export function integer(code: IntentCode, low: number, high: number, description: string): Spec<Located<number>> {
  return scalar(
    () => z.int().min(low).max(high).meta({ description }),
    String(low),
    (text, name) => ({ code, says: `"${name}" is ${text}`, instead: `write a whole number from ${low} to ${high}` }),
    true,
  )
}
export const flag = (description: string): Spec<Located<boolean>> =>
  scalar(
    () => z.boolean().meta({ description }),
    'true',
    (text, name) => ({ code: 'I007', says: `"${name}" is "${text}"`, instead: 'write true or false' }),
    true,
  )

function scalar<T>(
  made: () => z.ZodType<T>,
  example: string,
  refuse: (text: string, name: string) => Refusal | undefined,
  native = false,
): Spec<Located<T>> {
  const wants = 'a single value'
  const schema = once(made)
  return {
    schema,
    example,
    wants,
    read(node, slot, reading) {
      const { source, report } = reading
      const text = source.textOf(node)
      if (node === null || !isScalar(node) || text === undefined) return wrongKind({ wants, example }, node, slot, reading)
      const result = schema().safeParse(native ? node.value : text)
      if (result.success) return { value: result.data, at: source.at(node), text, within: (offset, length) => source.within(node, offset, length) }
      const quoted =
        native && typeof node.value === 'string' && schema().safeParse(text === 'true' || text === 'false' ? text === 'true' : Number(text)).success
      if (quoted) {
        report.error(refuse(text, slot.name)!.code, source.at(node), `"${slot.name}" is a text, "${text}"`, `write ${text} without quotes`)
        return undefined
      }
      const [issue] = result.error.issues
      const own = issue?.code === 'custom' ? (issue.params as Refusal | undefined) : undefined
      const { code, says, instead } = own ??
        refuse(text, slot.name) ?? { code: 'I007', says: `"${slot.name}" is "${text}"`, instead: `write ${example}` }
      report.error(code, source.at(node), says, instead)
      return undefined
    },
  }
}

/** A single value, or a map that says more about it. */
export function briefly<T, U>(brief: Spec<T>, full: Spec<U>, spelled: (value: T) => U | undefined): Spec<U> {
  const [wants, example] = [`${brief.wants} or a map`, brief.example]
  return {
    schema: once(() => z.union([brief.schema(), full.schema()])),
    example,
    wants,
    read(node, slot, reading) {
      if (isMap(node)) return full.read(node, slot, reading)
      if (isSeq(node)) return wrongKind({ wants, example }, node, slot, reading)
      const value = brief.read(node, slot, reading)
      return value === undefined ? undefined : spelled(value)
    },
  }
}

/** A list; one item alone may stand without brackets. Items that don't fit are reported and left out. */
export const list = <T>(item: Spec<T>): Spec<readonly T[]> => listOf(item, () => z.array(item.schema()))
/** One that has an item at least: without any it would say nothing, or more than was meant. */
export function some<T>(item: Spec<T>): Spec<readonly T[]> {
  const any = listOf(item, () => z.array(item.schema()).min(1))
  return {
    ...any,
    read(node, slot, reading) {
      if (isSeq(node) && node.items.length === 0) return refuseEmpty(any.example, reading.source.at(node), slot, reading)
      return any.read(node, slot, reading)
    },
  }
}
function listOf<T>(item: Spec<T>, all: () => z.ZodType): Spec<readonly T[]> {
  return {
    schema: once(() => z.union([all(), item.schema()])),
    example: item.example,
    wants: `${item.wants} or a list`,
    read(node, slot, reading) {
      if (!isSeq(node)) {
        if (isMap(node) && !item.wants.endsWith('a map'))
          return wrongKind({ wants: `${item.wants} or a list`, example: item.example }, node, slot, reading)
        const only = item.read(node, slot, reading)
        return only === undefined ? undefined : [only]
      }
      const out: T[] = []
      for (const member of node.items) {
        const inner = reading.source.follow(member as Node | null)
        if (kindOf(inner) === 'nothing') {
          reading.report.error('I007', inner ? reading.source.at(inner) : slot.at, `an item of "${slot.name}" is empty`, 'write it, or remove it')
          continue
        }
        const value = item.read(inner, { at: inner ? reading.source.at(inner) : slot.at, name: slot.name }, reading)
        if (value !== undefined) out.push(value)
      }
      return out
    },
  }
}

/** Says no to a key that stood in the map before, and reports it. */
function firstOnly({ source, report }: Reading): (key: Node) => boolean {
  const seen = new Map<string | undefined, Node>()
  return (key) => {
    const text = source.textOf(key)
    const first = seen.get(text)
    if (!first) seen.set(text, key)
    else report.error('I009', [source.at(key), source.at(first)], `"${text}" stands twice in one map`, 'join the two, or remove one')
    return first === undefined
  }
}

/** `name: value` for names that the author makes. */
export function map<T>(name: Spec<Located<string>>, value: Spec<T>, example: string): Spec<readonly Entry<T>[]> {
  return {
    schema: once(() => z.record(z.string(), value.schema())),
    example,
    wants: 'a map',
    read(node, slot, reading) {
      if (!isMap(node)) return wrongKind({ wants: 'a map', example }, node, slot, reading)
      const out: Entry<T>[] = []
      const isFirst = firstOnly(reading)
      for (const pair of node.items as Pair<Node, Node | null>[]) {
        const keyNode = reading.source.follow(pair.key)
        if (keyNode && !isFirst(keyNode)) continue
        const key = name.read(keyNode, slot, reading)
        // Also under a bad name: what stands below has its own mistakes.
        const under: Slot = { at: keyNode ? reading.source.at(keyNode) : slot.at, name: reading.source.textOf(keyNode) ?? slot.name }
        const read = value.read(reading.source.follow(pair.value), under, reading)
        if (key) out.push({ key, value: read })
      }
      return out
    },
  }
}

interface ObjectOptions {
  readonly required?: readonly string[]
  /** Keys of which there has to be one, the usual one first. */
  readonly either?: readonly string[]
  /** Keys that are known and not read. */
  readonly refused?: RefusedKeys
  readonly example: string
}
export interface ObjectSpec<F> extends Spec<Fields<F>> {
  readonly fields: F
}
/** A map of known keys. */
export function object<const F extends Readonly<Record<string, Spec<unknown>>>>(
  fields: F,
  { required = [], either = [], refused = {}, example }: ObjectOptions,
): ObjectSpec<F> {
  /** With one of `either`. */
  const withOne = (one?: string): z.ZodType =>
    z.strictObject(
      Object.fromEntries(
        Object.entries(fields)
          .filter(([key]) => key === one || !either.includes(key))
          .map(([key, spec]) => [key, key === one || required.includes(key) ? spec.schema() : spec.schema().optional()]),
      ),
    )
  const known = Object.keys(fields)
  return {
    fields,
    schema: once(() => (either.length > 0 ? z.union(either.map(withOne)) : withOne())),
    example,
    wants: 'a map',
    read(node, slot, reading) {
      const { source, report, home } = reading
      if (!isMap(node)) return wrongKind({ wants: 'a map', example }, node, slot, reading)
      const wrote = new Map<string, Origin>()
      const isFirst = firstOnly(reading)
      const out: Record<string, unknown> = {}
      const pairs = node.items as Pair<Node, Node | null>[]
      const written = new Set(pairs.map((pair) => source.textOf(source.follow(pair.key))))
      for (const pair of pairs) {
        const keyNode = source.follow(pair.key)
        const text = source.textOf(keyNode)
        const at = keyNode ? source.at(keyNode) : source.at(node)
        if (text === undefined) {
          report.error('I007', at, 'a key is missing before the colon', `write one of ${oneOf(known)}`)
          continue
        }
        if (keyNode && !isFirst(keyNode)) continue
        const no = !known.includes(text) && Object.hasOwn(refused, text) ? refused[text] : undefined
        if (no) {
          report.error('I008', at, `"${text}" can't be written here: ${no.because}`, no.instead)
          continue
        }
        const meant = known.includes(text) ? text : suggest(text, [...known, ...Object.keys(refused)])
        const elsewhere = meant === undefined ? home(text) : undefined
        if (elsewhere) {
          report.error('I005', at, `"${text}" is not a key here, it is one of ${elsewhere.what}`, elsewhere.instead)
          continue
        }
        if (meant !== text) {
          report.error(
            'I005',
            at,
            `"${text}" is not a key here${meant === undefined ? '' : `; did you mean "${meant}"?`}`,
            meant === undefined ? `write one of ${oneOf(known)}` : '',
          )
          // A slip of the pen is read as what was meant, or each use of what stands below would be an error too.
          if (meant === undefined || written.has(meant) || wrote.has(meant) || !known.includes(meant)) continue
        }
        wrote.set(meant, at)
        const value = fields[meant]!.read(source.follow(pair.value), { at, name: meant, required: required.includes(meant) }, reading)
        if (value !== undefined) out[meant] = value
      }
      for (const key of either.some((one) => wrote.has(one)) ? required : [...required, ...either.slice(0, 1)]) {
        if (!wrote.has(key)) report.error('I006', slot.at, `"${slot.name}" has no "${key}"`, `add ${key}: ${fields[key]!.example}`)
      }
      return { at: source.at(node), wrote, fields: out as Fields<F>['fields'] }
    },
  }
}
