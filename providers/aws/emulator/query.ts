/**
 * The EC2 query protocol's requests: form-encoded names with dots (`Filter.1.Value.2`), decoded against the shape that an
 * action declares. What is not declared is refused, so that a parameter is never accepted and ignored.
 */
import { invalidValue, missing, Refusal } from './refusal.ts'

interface Text {
  readonly kind: 'text'
}
interface Integer {
  readonly kind: 'integer'
}
interface Flag {
  readonly kind: 'flag'
}
interface List<S extends Shape = Shape> {
  readonly kind: 'list'
  readonly of: S
}
interface Group<F extends Fields = Fields> {
  readonly kind: 'group'
  readonly fields: F
}
interface Needed<S extends Shape = Shape> {
  readonly kind: 'needed'
  readonly of: S
}
export type Shape = Text | Integer | Flag | List | Group | Needed
export interface Fields {
  readonly [name: string]: Shape
}
export type Decoded<S extends Shape> =
  S extends Needed<infer T>
    ? Decoded<T>
    : S extends Text
      ? string
      : S extends Integer
        ? number
        : S extends Flag
          ? boolean
          : S extends List<infer T>
            ? readonly Decoded<T>[]
            : S extends Group<infer F>
              ? DecodedFields<F>
              : never
type NeededNames<F extends Fields> = { [N in keyof F]: F[N] extends Needed ? N : never }[keyof F]
export type DecodedFields<F extends Fields> = { readonly [N in NeededNames<F>]: Decoded<F[N]> } & {
  readonly [N in Exclude<keyof F, NeededNames<F>>]: Decoded<F[N]> | undefined
}

export const text: Text = { kind: 'text' }
export const integer: Integer = { kind: 'integer' }
export const flag: Flag = { kind: 'flag' }
export const list = <S extends Shape>(of: S): List<S> => ({ kind: 'list', of })
export const group = <F extends Fields>(fields: F): Group<F> => ({ kind: 'group', fields })
export const needed = <S extends Shape>(of: S): Needed<S> => ({ kind: 'needed', of })

interface Tree {
  [name: string]: string | Tree
}
const isTree = (value: string | Tree | undefined): value is Tree => typeof value === 'object'

function treeOf(parameters: Iterable<readonly [string, string]>): Tree {
  // No prototype: names come from the wire.
  const root = Object.create(null) as Tree
  for (const [name, value] of parameters) {
    const steps = name.split('.')
    const last = steps.pop()!
    let at = root
    for (const step of steps) {
      const inner = (at[step] ??= Object.create(null) as Tree)
      if (!isTree(inner)) throw new Refusal('MalformedQueryString', `The query string contains a syntax error at ${name}`)
      at = inner
    }
    if (last in at) throw new Refusal('MalformedQueryString', `The parameter ${name} occurs twice`)
    at[last] = value
  }
  return root
}

function decode(shape: Shape, value: string | Tree | undefined, name: string): unknown {
  switch (shape.kind) {
    case 'needed':
      if (value === undefined || value === '') throw missing(name)
      return decode(shape.of, value, name)
    case 'text':
      if (isTree(value)) throw unknownBelow(name, value)
      return value
    case 'integer':
      if (isTree(value)) throw unknownBelow(name, value)
      if (value === undefined) return undefined
      if (!/^-?\d{1,15}$/.test(value)) throw invalidValue(value, name, 'It is not an integer.')
      return Number(value)
    case 'flag':
      if (isTree(value)) throw unknownBelow(name, value)
      if (value === undefined) return undefined
      if (value !== 'true' && value !== 'false') throw invalidValue(value, name, 'It must be true or false.')
      return value === 'true'
    case 'list': {
      if (value === undefined) return undefined
      if (!isTree(value)) throw unknown(name)
      const keys = Object.keys(value)
      for (const key of keys) if (!/^[1-9]\d{0,3}$/.test(key)) throw unknown(`${name}.${key}`)
      return keys.sort((a, b) => Number(a) - Number(b)).map((key) => decode(shape.of, value[key], `${name}.${key}`))
    }
    case 'group':
      if (value === undefined) return undefined
      if (!isTree(value)) throw unknown(name)
      return decodeFields(shape.fields, value, `${name}.`)
    default:
      return shape satisfies never
  }
}
const unknown = (name: string): Refusal => new Refusal('UnknownParameter', `The parameter ${name} is not recognized`)
const unknownBelow = (name: string, tree: Tree): Refusal => unknown(`${name}.${Object.keys(tree)[0] ?? ''}`)

function decodeFields(fields: Fields, tree: Tree, before: string): Record<string, unknown> {
  for (const name of Object.keys(tree)) if (!Object.hasOwn(fields, name)) throw unknown(`${before}${name}`)
  return Object.fromEntries(Object.entries(fields).map(([name, shape]) => [name, decode(shape, tree[name], `${before}${name}`)]))
}

/** As `DecodedFields` of these fields. Throws UnknownParameter, MissingParameter, InvalidParameterValue or MalformedQueryString. */
export const decodeParameters = (fields: Fields, parameters: Iterable<readonly [string, string]>): Readonly<Record<string, unknown>> =>
  decodeFields(fields, treeOf(parameters), '')

/** What a journal may keep: pre-shared keys are left out, whatever their depth. */
export const withoutSecrets = (parameters: Iterable<readonly [string, string]>): Record<string, string> =>
  Object.fromEntries([...parameters].map(([name, value]) => [name, /(^|\.)PreSharedKey$/.test(name) ? '(secret)' : value]))
