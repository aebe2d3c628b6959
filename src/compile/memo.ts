/**
 * What was computed before, kept by what it was computed from: a pass asks here instead of computing again. Inputs are
 * told apart by identity, so whatever is new is also computed anew, and the bytes are those of a compiler without memory.
 */
import { flatten, isSame, type Moved, sameMembers } from './arrays.ts'
import { alike, commonEnds, List } from './list.ts'

export interface Memo {
  /** `make` again only when one of `inputs` is another; it is given what it made before, to patch where that is cheaper. */
  once<T>(name: string, inputs: readonly unknown[], make: (before?: Made<T>) => T): T
  /**
   * A row for each object of the first column: `make` again where the object, or what stands beside it in another column,
   * is another; everywhere when one of `world` is.
   */
  rows<R extends readonly unknown[], T>(name: string, world: readonly unknown[], columns: Columns<R>, make: (...row: R) => T): List<T>
  /** Likewise, where a row of which only what stands beside its object is another is cheaper to patch than to make. */
  patchedRows<R extends readonly unknown[], T>(
    name: string,
    world: readonly unknown[],
    columns: Columns<R>,
    make: (row: R, before?: MadeRow<R, T>) => T,
  ): List<T>
  /** All that rows hold, one after the other, where most of thousands hold nothing: the same while that is. */
  sparse<R extends readonly unknown[], T>(
    name: string,
    world: readonly unknown[],
    columns: Columns<R>,
    make: (...row: R) => readonly T[],
  ): readonly T[]
  /** An array that comes anew each time, as a list that shares what it can with the one before. */
  list<T>(name: string, all: readonly T[]): List<T>
  /** A list with other values at some places. */
  overlaid<T>(name: string, list: List<T>, values: readonly (readonly [place: number, value: T])[]): List<T>
  /** `value`, or what stood here before when it says the same: so that what depends on it is not computed again. `of`: of whom, where many have one. */
  keep<T>(name: string, value: T, of?: string): T
  /** Likewise for a short list: the same when its members are. */
  members<T>(name: string, list: readonly T[]): readonly T[]
}
/** Arrays where they are short. */
type Columns<R extends readonly unknown[]> = readonly [...{ [N in keyof R]: List<R[N]> | readonly R[N][] }]
export interface MadeRow<R, T> {
  readonly row: R
  readonly value: T
}
type MakeRow<T> = (row: readonly unknown[], before?: MadeRow<readonly unknown[], T>) => T
export interface Made<T> {
  readonly inputs: readonly unknown[]
  readonly value: T
}

export function createMemo(): Memo {
  // What stands here is overwritten, not replaced. V8 makes objects old from the start where most live long, and an old one
  // that nobody holds any more keeps alive what it holds until the next full collection: the long arrays of every pass.
  const once = new Map<string, Overwritten<Made<unknown>>>()
  const tables = new Map<string, Overwritten<Table<unknown>>>()
  const kept = new Map<string, Map<string, unknown>>()
  const lists = new Map<string, Overwritten<Listed<unknown>>>()
  const members = new Map<string, readonly unknown[]>()
  return {
    once<T>(name: string, inputs: readonly unknown[], make: (before?: Made<T>) => T): T {
      const before = once.get(name) as Overwritten<Made<T>> | undefined
      if (before && sameMembers(before.inputs, inputs)) return before.value
      const value = make(before)
      if (before) [before.inputs, before.value] = [inputs, value]
      else once.set(name, { inputs, value })
      return value
    },
    rows<R extends readonly unknown[], T>(name: string, world: readonly unknown[], columns: Columns<R>, make: (...row: R) => T): List<T> {
      return this.patchedRows<R, T>(name, world, columns, (row) => make(...row))
    },
    patchedRows<R extends readonly unknown[], T>(
      name: string,
      world: readonly unknown[],
      columns: Columns<R>,
      make: (row: R, before?: MadeRow<R, T>) => T,
    ): List<T> {
      const before = tables.get(name) as Overwritten<Table<T>> | undefined
      const table = fill(before, sameMembers(before?.world ?? [], world), columns, make as unknown as MakeRow<T>)
      if (before) [before.world, before.columns, before.made] = [world, table.columns, table.made]
      else tables.set(name, { world, columns: table.columns, made: table.made })
      return table.made
    },
    sparse<R extends readonly unknown[], T>(
      name: string,
      world: readonly unknown[],
      columns: Columns<R>,
      make: (...row: R) => readonly T[],
    ): readonly T[] {
      const rows = this.rows(name, world, columns, (...row: R) => {
        const held = make(...row)
        return held.length === 0 ? nothing : held
      })
      return this.once(`all of ${name}`, [rows], (before?: Made<Sparse<T>>): Sparse<T> => {
        const [old, now] = [before?.inputs[0] as List<readonly T[]> | undefined, rows.chunks]
        const shift = (old?.chunks.length ?? 0) - now.length
        const partOf = (chunk: (typeof now)[number], c: number): readonly T[] =>
          old?.chunks[c] === chunk ? before!.value.parts[c]! : old?.chunks[c + shift] === chunk ? before!.value.parts[c + shift]! : flatten(chunk)
        const parts = now.map(partOf)
        const all = flatten(parts)
        return { parts, all: before && sameMembers(before.value.all, all) ? before.value.all : all }
      }).all
    },
    list<T>(name: string, all: readonly T[]): List<T> {
      const before = lists.get(name) as Overwritten<Listed<T>> | undefined
      if (before?.of === all) return before.list
      const list = before ? before.list.relisted(all) : List.of(all)
      if (before) [before.of, before.list] = [all, list]
      else lists.set(name, { of: all, list })
      return list
    },
    overlaid<T>(name: string, list: List<T>, values: readonly (readonly [place: number, value: T])[]): List<T> {
      return this.once(name, [list, ...values.flat()], (before?: Made<List<T>>) => {
        const all = list.with(values)
        return before ? alike(before.value, all.chunks) : all
      })
    },
    keep<T>(name: string, value: T, of = ''): T {
      let all = kept.get(name)
      if (!all) kept.set(name, (all = new Map()))
      const before = all.get(of)
      if (before !== undefined && isSame(before, value)) return before as T
      all.set(of, value)
      return value
    },
    members<T>(name: string, list: readonly T[]): readonly T[] {
      const before = members.get(name)
      if (before && sameMembers(before, list)) return before as readonly T[]
      members.set(name, list)
      return list
    },
  }
}
type Overwritten<T> = { -readonly [K in keyof T]: T[K] }
interface Listed<T> {
  readonly of: readonly T[]
  readonly list: List<T>
}
interface Sparse<T> {
  /** Of each chunk. */
  readonly parts: readonly (readonly T[])[]
  readonly all: readonly T[]
}
const nothing: readonly never[] = []

interface Filled<T> {
  /** All in chunks as long as those of the first. */
  readonly columns: readonly List<unknown>[]
  readonly made: List<T>
}
interface Table<T> extends Filled<T> {
  readonly world: readonly unknown[]
}
/** Chunks of which every column is as it was are not looked at, and rows of the others are found by their keys. */
function fill<T>(
  before: Filled<T> | undefined,
  sameWorld: boolean,
  given: readonly (List<unknown> | readonly unknown[])[],
  make: MakeRow<T>,
): Filled<T> {
  const columns = inStep(given, before?.columns)
  const [keys] = columns
  const rowAt = (c: number, n: number) => columns.map((column) => column.chunks[c]![n])
  if (!before || !sameWorld) {
    const chunks = keys!.chunks.map((chunk, c) => chunk.map((_, n) => make(rowAt(c, n))))
    return { columns, made: before ? alike(before.made, chunks) : new List(chunks) }
  }
  const old = before.columns
  if (sameMembers(old, columns)) return before
  const rowBefore = (c: number, n: number): MadeRow<readonly unknown[], T> => ({
    row: old.map((column) => column.chunks[c]![n]),
    value: before.made.chunks[c]![n]!,
  })
  const remade = (c: number, n: number, was: number, at: number): T => {
    for (let k = 1; k < columns.length; k++) if (columns[k]!.chunks[c]![n] !== old[k]!.chunks[was]![at]) return make(rowAt(c, n), rowBefore(was, at))
    return before.made.chunks[was]![at]!
  }
  const isAsItWas = (c: number, was: number): boolean => {
    for (let k = 0; k < columns.length; k++) if (columns[k]!.chunks[c] !== old[k]!.chunks[was]) return false
    return true
  }
  /** What was made of a chunk before, where it says the same: whoever reads it need not know that it was asked. */
  const kept = (was: number, made: readonly T[]): readonly T[] => {
    const known = before.made.chunks[was]
    return known && sameMembers(known, made) ? known : made
  }
  const [head, tail] = untouched(old, columns)
  const lookUp = finderOfKeys(old[0]!, keys!)
  const between = keys!.chunks.slice(head, keys!.chunks.length - tail).map((chunk, n): readonly T[] => {
    const c = head + n
    const was = lookUp.chunk(c)
    if (was >= 0) {
      if (isAsItWas(c, was)) return before.made.chunks[was]!
      return kept(
        was,
        chunk.map((_, n) => remade(c, n, was, n)),
      )
    }
    // Its neighbours mostly are where they were, or as far from the end.
    const near = lookUp.near(c)
    const keysNear = old[0]!.chunks[near] ?? nothing
    const late = keysNear.length - chunk.length
    return kept(
      near,
      chunk.map((key, n) => {
        if (keysNear[n] === key) return remade(c, n, near, n)
        if (keysNear[n + late] === key) return remade(c, n, near, n + late)
        const place = lookUp.key(key)
        return place ? remade(c, n, place[0], place[1]) : make(rowAt(c, n))
      }),
    )
  })
  const known = before.made.chunks
  const chunks = [...known.slice(0, head), ...between, ...known.slice(known.length - tail)]
  return { columns, made: sameMembers(known, chunks) ? before.made : new List(chunks) }
}
/** How many chunks before, and behind, all that an edit has moved are the same in every column. */
function untouched(before: readonly List<unknown>[], now: readonly List<unknown>[]): readonly [head: number, tail: number] {
  const moved = now.flatMap(({ chunks }, k) => (sameMembers(before[k]!.chunks, chunks) ? [] : [commonEnds(before[k]!.chunks, chunks)]))
  return [Math.min(...moved.map(([head]) => head)), Math.min(...moved.map(([, tail]) => tail))]
}
/** More keys than these are not looked for one by one. */
const few = 8
/** Where chunks and keys of now stood before: nearly all chunks are where they were, or as far from the end. */
function finderOfKeys(before: List<unknown>, now: List<unknown>) {
  const shift = before.chunks.length - now.chunks.length
  const [head, same] = commonEnds(before.chunks, now.chunks)
  const tail = now.chunks.length - same
  // What an edit took apart lies between.
  const places = new Map(before.chunks.slice(head, tail + shift).map((chunk, c) => [chunk, head + c]))
  const inside = now.chunks.slice(head, tail)
  const found = inside.map((chunk) => places.get(chunk) ?? -1)
  for (const chunk of inside) places.delete(chunk)
  let keys: Map<unknown, readonly [number, number]> | undefined
  let asked = 0
  return {
    chunk: (c: number): number => (c < head ? c : c >= tail ? c + shift : found[c - head]!),
    near: (c: number): number => (shift === 0 || c < tail - 1 ? c : c + shift),
    key(key: unknown): readonly [number, number] | undefined {
      if (++asked > few) {
        keys ??= new Map([...places].flatMap(([chunk, c]) => chunk.map((one, n) => [one, [c, n]] as const)))
        return keys.get(key)
      }
      for (const [chunk, c] of places) {
        const n = chunk.indexOf(key)
        if (n >= 0) return [c, n]
      }
      return undefined
    },
  }
}
/** As lists, in chunks like those of the first. */
function inStep(given: readonly (List<unknown> | readonly unknown[])[], before?: readonly List<unknown>[]): readonly List<unknown>[] {
  const [first] = given
  const keys = first instanceof List ? first : (before?.[0]?.relisted(first!) ?? List.of(first!))
  return given.map((column, k) => {
    if (k === 0) return keys
    const isInStep = column instanceof List && column.chunks.length === keys.chunks.length
    if (isInStep && column.chunks.every((chunk, c) => chunk.length === keys.chunks[c]!.length)) return column
    const all = column instanceof List ? column.all : column
    let from = 0
    const chunks = keys.chunks.map(({ length }) => all.slice(from, (from += length)))
    return before?.[k] ? alike(before[k], chunks) : new List(chunks)
  })
}
/** What left a list and what came since `before` was made of it, as its n-th input. */
export const since = <T>(before: Made<unknown> | undefined, list: List<T>, n = 0): Moved<T> => list.since(before?.inputs[n] as List<T> | undefined)
/** Likewise of what the rows of several lists hold. */
export function membersSince<T>(before: Made<unknown> | undefined, lists: readonly List<readonly T[]>[]): Moved<T> {
  const moved = lists.map((list, n) => since(before, list, n))
  return { gone: new Set(moved.flatMap((one) => [...one.gone]).flat()), come: flatten(moved.flatMap((one) => one.come)) }
}
/** What was made of each key, along with the keys as they are now. */
export const along = <K, T>(made: List<T>, keysBefore: List<K>, keys: List<K>, make: (key: K) => T): List<T> =>
  fill({ columns: [keysBefore], made }, true, [keys], ([key]) => make(key as K)).made
