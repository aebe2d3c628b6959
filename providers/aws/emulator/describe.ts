/** What every Describe has in common: ids, filters with wildcards, pages. */
import { find, type Kind } from './action.ts'
import { group, integer, list, needed, text } from './query.ts'
import { invalidValue, Refusal } from './refusal.ts'
import type { Context, Resource, Tags } from './world.ts'

export const filterList = list(group({ Name: needed(text), Value: list(text) }))
export const pageFields = { MaxResults: integer, NextToken: text }
type FilterInput = readonly { readonly Name: string; readonly Value: readonly string[] | undefined }[] | undefined
/** What a row has under a filter's name; a row passes when one of the values asked for matches one of these. */
export type Filters<R> = Readonly<Record<string, (row: R) => readonly (string | number | boolean | undefined)[]>>

/** EC2's wildcards: `*` any text, `?` one character, `\` takes their meaning away. */
function pattern(value: string): RegExp {
  const source = value.replace(/\\[*?\\]|[*?]|[.+^${}()|[\]\\]/g, (one) =>
    one === '*' ? '[^]*' : one === '?' ? '[^]' : one.length === 2 ? `\\${one[1]}` : `\\${one}`,
  )
  return new RegExp(`^${source}$`)
}
export function matching<R>(rows: readonly R[], input: FilterInput, filters: Filters<R>, tagsOf: (row: R) => Tags = () => ({})): readonly R[] {
  const tests = (input ?? []).map(({ Name, Value = [] }) => {
    if (Value.length === 0) throw new Refusal('InvalidParameterValue', `The filter '${Name}' has no values`)
    const patterns = Value.map(pattern)
    const values = valuesOf(Name, filters, tagsOf)
    if (!values) throw new Refusal('InvalidParameterValue', `The filter '${Name}' is invalid`)
    return (row: R) => values(row).some((value) => value !== undefined && patterns.some((one) => one.test(String(value))))
  })
  return rows.filter((row) => tests.every((test) => test(row)))
}
function valuesOf<R>(name: string, filters: Filters<R>, tagsOf: (row: R) => Tags): Filters<R>[string] | undefined {
  if (Object.hasOwn(filters, name)) return filters[name]
  if (name === 'tag-key') return (row) => Object.keys(tagsOf(row))
  if (name.startsWith('tag:')) return (row) => [tagsOf(row)[name.slice(4)]]
  return undefined
}

interface Asked {
  readonly ids?: readonly string[] | undefined
  readonly Filter: FilterInput
  readonly MaxResults?: number | undefined
  readonly NextToken?: string | undefined
}
/** Ids that don't exist are an error; without ids, everything that passes the filters, by id, a page at a time. */
export function select<R extends Resource>(
  of: Kind,
  rows: Record<string, R>,
  asked: Asked,
  filters: Filters<R>,
  context: Context,
): { readonly rows: readonly R[]; readonly nextToken: string | undefined } {
  if (asked.ids?.length && asked.MaxResults !== undefined)
    throw new Refusal('InvalidParameterCombination', `The parameter ${of.prefix} ids cannot be used with the parameter MaxResults`)
  const named = asked.ids?.length
    ? asked.ids.map((id) => find(of, rows, id, context))
    : Object.values(rows).filter((row) => row.visibleAt <= context.now)
  return page(
    matching(named, asked.Filter, filters, (row) => row.tags),
    (row) => row.id,
    asked,
  )
}
export function page<R>(
  rows: readonly R[],
  keyOf: (row: R) => string,
  { MaxResults, NextToken }: { readonly MaxResults?: number | undefined; readonly NextToken?: string | undefined },
): { readonly rows: readonly R[]; readonly nextToken: string | undefined } {
  if (MaxResults !== undefined && (MaxResults < 5 || MaxResults > 1000))
    throw invalidValue(String(MaxResults), 'MaxResults', 'Expecting a value between 5 and 1000.')
  const after = NextToken === undefined || NextToken === '' ? undefined : fromToken(NextToken)
  const sorted = rows.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)).filter((row) => after === undefined || keyOf(row) > after)
  if (MaxResults === undefined || sorted.length <= MaxResults) return { rows: sorted, nextToken: undefined }
  const cut = sorted.slice(0, MaxResults)
  return { rows: cut, nextToken: Buffer.from(`after:${keyOf(cut.at(-1)!)}`).toString('base64') }
}
function fromToken(token: string): string {
  const read = Buffer.from(token, 'base64').toString()
  if (!read.startsWith('after:')) throw new Refusal('InvalidNextToken', 'The specified NextToken is not valid.')
  return read.slice('after:'.length)
}
