/**
 * What was computed before, kept by what it was computed from: a pass asks here instead of computing again. Inputs are
 * told apart by identity, so whatever is new is also computed anew, and the bytes are those of a compiler without memory.
 */
import { flatten, isSame, type Moved, sameMembers } from './arrays.ts'
import { once } from '#src/net/once.ts'
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
  /** Likewise, where a member that says the same as the one of its name before is that one: passes tell by identity what is new. */
  recognised<T extends { readonly id: string }>(name: string, all: readonly T[]): List<T>
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
  const results = new Map<string, Overwritten<Made<unknown>>>()
  const tables = new Map<string, Overwritten<Table<unknown>>>()
  const kept = new Map<string, Map<string, unknown>>()
  const lists = new Map<string, Overwritten<Listed<unknown>>>()
  const members = new Map<string, readonly unknown[]>()
  const listOf = new WeakMap<readonly unknown[], List<unknown>>()
  const listed = <T>(name: string, all: readonly T[], make: (before?: List<T>) => List<T>): List<T> => {
    const before = lists.get(name) as Overwritten<Listed<T>> | undefined
    if (before?.of === all) return before.list
    const list = make(before?.list)
    if (before) [before.of, before.list] = [all, list]
    else lists.set(name, { of: all, list })
    return list
  }
  return {
    once<T>(name: string, inputs: readonly unknown[], make: (before?: Made<T>) => T): T {
      const before = results.get(name) as Overwritten<Made<T>> | undefined
      if (before && sameMembers(before.inputs, inputs)) return before.value
      const value = make(before)
      if (before) [before.inputs, before.value] = [inputs, value]
      else results.set(name, { inputs, value })
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
      return listed(name, all, (before) => (listOf.get(all) as List<T> | undefined) ?? before?.relisted(all) ?? List.of(all))
    },
    recognised<T extends { readonly id: string }>(name: string, all: readonly T[]): List<T> {
      return listed(name, all, (before) => {
        const list = before ? known(before.relisted(all), before) : List.of(all)
        listOf.set(list.all, list)
        return list
      })
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
function known<T extends { readonly id: string }>(now: List<T>, before: List<T>): List<T> {
  const { gone, come } = now.since(before)
  const old = new Map([...gone].map((one) => [one.id, one]))
  const same = new Map(come.map((one) => [one, old.get(one.id)] as const).filter(([one, was]) => isSame(one, was)))
  return same.size === 0 ? now : before.relisted(now.all.map((one) => same.get(one) ?? one))
}

interface Filled<T> {
  /** All in chunks as long as those of the first. */
  readonly columns: readonly List<unknown>[]
  readonly made: List<T>
}
interface Table<T> extends Filled<T> {
  readonly world: readonly unknown[]
}
/**
 * Chunks of which every column is as it was are not looked at, nor in the others the rows before and behind all that an
 * edit moved. Those between are found by their keys.
 */
function fill<T>(
  before: Filled<T> | undefined,
  sameWorld: boolean,
  given: readonly (List<unknown> | readonly unknown[])[],
  make: MakeRow<T>,
): Filled<T> {
  const columns = inStep(given, before?.columns)
  const keys = columns[0]!.chunks
  const rowAt = (c: number, n: number) => columns.map((column) => column.chunks[c]![n])
  if (!before || !sameWorld) {
    const chunks = keys.map((chunk, c) => chunk.map((_, n) => make(rowAt(c, n))))
    return { columns, made: before ? alike(before.made, chunks) : new List(chunks) }
  }
  const old = before.columns
  if (sameMembers(old, columns)) return before
  const known = before.made.chunks
  const [head, tail] = unmovedEnds(old.map(chunksOf), columns.map(chunksOf))
  const lookUp = finderOfKeys(old[0]!.chunks, keys, head, tail)
  const remade = (c: number, n: number, was: number, at: number): T => {
    for (let k = 1; k < columns.length; k++) {
      if (columns[k]!.chunks[c]![n] === old[k]!.chunks[was]![at]) continue
      return make(rowAt(c, n), { row: old.map((column) => column.chunks[was]![at]), value: known[was]![at]! })
    }
    return known[was]![at]!
  }
  /** Of a chunk, beside the one where most of its rows were. */
  const refilled = (c: number, near: number): readonly T[] => {
    const [chunk, keysNear, madeNear] = [keys[c]!, old[0]!.chunks[near] ?? nothing, known[near] ?? nothing]
    const [from, behind] = unmovedEnds(
      old.map((column) => column.chunks[near] ?? nothing),
      columns.map((column) => column.chunks[c]!),
    )
    const late = keysNear.length - chunk.length
    const between: T[] = []
    for (let n = from; n < chunk.length - behind; n++) {
      const key = chunk[n]
      if (keysNear[n] === key) between.push(remade(c, n, near, n))
      else if (keysNear[n + late] === key) between.push(remade(c, n, near, n + late))
      else {
        const place = lookUp.key(key)
        between.push(place ? remade(c, n, place[0], place[1]) : make(rowAt(c, n)))
      }
    }
    // Where they say the same, whoever reads them need not know that they were asked.
    if (late === 0 && between.every((one, n) => one === madeNear[from + n])) return madeNear
    return madeNear.toSpliced(from, keysNear.length - behind - from, ...between)
  }
  const between = keys.slice(head, keys.length - tail).map((_, n) => refilled(head + n, lookUp.near(head + n)))
  const chunks = known.toSpliced(head, known.length - tail - head, ...between)
  return { columns, made: sameMembers(known, chunks) ? before.made : new List(chunks) }
}
const chunksOf = ({ chunks }: List<unknown>): readonly (readonly unknown[])[] => chunks
/** How many rows before, and behind, all that an edit has moved are the same in every column. */
function unmovedEnds(before: readonly (readonly unknown[])[], now: readonly (readonly unknown[])[]): readonly [head: number, tail: number] {
  const least = Math.min(before[0]!.length, now[0]!.length)
  let [head, tail] = [least, least]
  for (let k = 0; k < now.length; k++) {
    if (before[k] === now[k]) continue
    const [same, alike] = commonEnds(before[k]!, now[k]!)
    head = Math.min(head, same)
    tail = Math.min(tail, alike)
  }
  return [head, Math.min(tail, least - head)]
}
/** More keys than these are not looked for one by one. */
const few = 8
type Chunks = readonly (readonly unknown[])[]
/** Where chunks and keys of now stood before, between `head` and `tail`: nearly all are where they were, or as far from the end. */
function finderOfKeys(before: Chunks, now: Chunks, head: number, tail: number) {
  const shift = before.length - now.length
  const end = now.length - tail
  const places = once(() => new Map(before.slice(head, end + shift).map((chunk, c) => [chunk, head + c])))
  // Of the chunks that an edit took apart.
  const apart = once(() => {
    const whole = new Set(now.slice(head, end))
    return [...places()].filter(([chunk]) => !whole.has(chunk))
  })
  const keys = once(() => new Map(apart().flatMap(([chunk, c]) => chunk.map((one, n) => [one, [c, n]] as const))))
  let asked = 0
  return {
    near(c: number): number {
      if (before[c] === now[c]) return c
      const usual = shift === 0 || c < end - 1 ? c : c + shift
      return end - head === 1 ? usual : (places().get(now[c]!) ?? usual)
    },
    key(key: unknown): readonly [number, number] | undefined {
      if (++asked > few) return keys().get(key)
      for (const [chunk, c] of apart()) {
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
    if (column instanceof List && isInStep(column.chunks, keys.chunks)) return column
    const all = column instanceof List ? column.all : column
    let from = 0
    const chunks = keys.chunks.map(({ length }) => all.slice(from, (from += length)))
    return before?.[k] ? alike(before[k], chunks) : new List(chunks)
  })
}
function isInStep(a: Chunks, b: Chunks): boolean {
  if (a.length !== b.length) return false
  for (let c = 0; c < a.length; c++) if (a[c]!.length !== b[c]!.length) return false
  return true
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
