/**
 * What was computed before, kept by what it was computed from: a pass asks here instead of computing again. Inputs are
 * told apart by identity, so whatever is new is also computed anew, and the bytes are those of a compiler without memory.
 */
export interface Memo {
  /** `make` again only when one of `inputs` is another; it is given what it made before, to patch where that is cheaper. */
  once<T>(name: string, inputs: readonly unknown[], make: (before?: Made<T>) => T): T
  /**
   * A row for each object of the first column: `make` again where the object, or what stands beside it in another column,
   * is another; everywhere when one of `world` is.
   */
  rows<R extends readonly unknown[], T>(name: string, world: readonly unknown[], columns: Columns<R>, make: (...row: R) => T): readonly T[]
  /** Likewise, where a row of which only what stands beside its object is another is cheaper to patch than to make. */
  patchedRows<R extends readonly unknown[], T>(
    name: string,
    world: readonly unknown[],
    columns: Columns<R>,
    make: (row: R, before?: MadeRow<R, T>) => T,
  ): readonly T[]
  /** A list with other values at some places. */
  overlaid<T>(name: string, list: readonly T[], values: readonly (readonly [place: number, value: T])[]): readonly T[]
  /** `value`, or what stood here before when it says the same: so that what depends on it is not computed again. */
  keep<T>(name: string, value: T): T
  /** Likewise for a long list: the same when its members are. */
  members<T>(name: string, list: readonly T[]): readonly T[]
  /** All that rows hold, one after the other, where most of thousands hold nothing: those few alone are kept. */
  sparse<R extends readonly unknown[], T>(
    name: string,
    world: readonly unknown[],
    columns: Columns<R>,
    make: (...row: R) => readonly T[],
  ): readonly T[]
}
type Columns<R extends readonly unknown[]> = readonly [...{ [N in keyof R]: readonly R[N][] }]
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
  const once = new Map<string, Made<unknown>>()
  const tables = new Map<string, Table<unknown>>()
  const sparse = new Map<string, Sparse<unknown>>()
  const kept = new Map<string, unknown>()
  const lists = new Map<string, readonly unknown[]>()
  return {
    once<T>(name: string, inputs: readonly unknown[], make: (before?: Made<T>) => T): T {
      const before = once.get(name) as Made<T> | undefined
      if (before && sameMembers(before.inputs, inputs)) return before.value
      const value = make(before)
      once.set(name, { inputs, value })
      return value
    },
    rows<R extends readonly unknown[], T>(name: string, world: readonly unknown[], columns: Columns<R>, make: (...row: R) => T): readonly T[] {
      return this.patchedRows<R, T>(name, world, columns, (row) => make(...row))
    },
    patchedRows<R extends readonly unknown[], T>(
      name: string,
      world: readonly unknown[],
      columns: Columns<R>,
      make: (row: R, before?: MadeRow<R, T>) => T,
    ): readonly T[] {
      const before = tables.get(name) as Table<T> | undefined
      const made = fill(before && sameMembers(before.world, world) ? before : undefined, columns, make as unknown as MakeRow<T>)
      tables.set(name, { world, columns, made })
      return made
    },
    overlaid<T>(name: string, list: readonly T[], values: readonly (readonly [place: number, value: T])[]): readonly T[] {
      return this.once(name, [list, ...values.flat()], (before?: Made<readonly T[]>) => {
        const all = list.slice()
        for (const [place, value] of values) all[place] = value
        if (before) {
          const [old, ...others] = before.inputs as [readonly T[], ...(number | T)[]]
          const runs = commonRuns(old, list)
          const places = others.filter((_, n) => n % 2 === 0) as number[]
          remember(before.value, all, split(runs, [...values.map(([place]) => place), ...nowAt(runs, places)]))
        }
        return all
      })
    },
    keep<T>(name: string, value: T): T {
      const before = kept.get(name)
      if (before !== undefined && isSame(before, value)) return before as T
      kept.set(name, value)
      return value
    },
    members<T>(name: string, list: readonly T[]): readonly T[] {
      const before = lists.get(name)
      if (before && sameMembers(before, list)) return before as readonly T[]
      lists.set(name, list)
      return list
    },
    sparse<R extends readonly unknown[], T>(
      name: string,
      world: readonly unknown[],
      columns: Columns<R>,
      make: (...row: R) => readonly T[],
    ): readonly T[] {
      const before = sparse.get(name) as Sparse<T> | undefined
      const made = gather(
        before && sameMembers(before.world, world) ? before : undefined,
        columns,
        make as unknown as (...row: unknown[]) => readonly T[],
      )
      sparse.set(name, { world, columns, ...made })
      return made.all
    },
  }
}

export const sameMembers = (a: readonly unknown[], b: readonly unknown[]): boolean => {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

interface Table<T> {
  readonly world: readonly unknown[]
  readonly columns: readonly (readonly unknown[])[]
  readonly made: readonly T[]
}
/** Rows stay beside their old neighbours but for a few: no other is looked at. */
function fill<T>(before: Table<T> | undefined, columns: readonly (readonly unknown[])[], make: MakeRow<T>): readonly T[] {
  const [keys = [], ...others] = columns
  const row = (n: number) => columns.map((column) => column[n])
  if (!before) return keys.map((_, n) => make(row(n)))
  const [oldKeys = [], ...oldOthers] = before.columns
  const old = before.made
  const runs = commonRuns(oldKeys, keys)
  const isOld = (was: number, is: number): boolean => others.every((column, c) => column[is] === oldOthers[c]![was])
  const remade = (was: number, is: number): T => make(row(is), { row: before.columns.map((column) => column[was]), value: old[was]! })

  const moved = movedKeys(oldKeys, runs)
  const made = aligned(old, runs, keys.length, (n): T => {
    const was = moved.get(keys[n])
    return was === undefined ? make(row(n)) : isOld(was, n) ? old[was]! : remade(was, n)
  })
  const asked = new Map<number, number>()
  for (const [c, column] of others.entries()) for (const [was, is] of unlike(runs, oldOthers[c]!, column)) asked.set(is, was)
  const values = [...asked].map(([is, was]) => [is, remade(was, is)] as const)
  // Whoever reads rows that came out as they were need not know that they were asked.
  const changed = values.filter(([is, value]) => made[is] !== value)
  if (made === old) return replaced(old, changed)
  for (const [is, value] of changed) (made as T[])[is] = value
  remember(
    old,
    made,
    split(
      runs,
      changed.map(([is]) => is),
    ),
  )
  return made
}
interface Sparse<T> {
  readonly world: readonly unknown[]
  readonly columns: readonly (readonly unknown[])[]
  /** By key, of the rows that hold something. */
  readonly held: ReadonlyMap<unknown, readonly T[]>
  readonly all: readonly T[]
}
function gather<T>(
  before: Sparse<T> | undefined,
  columns: readonly (readonly unknown[])[],
  make: (...row: unknown[]) => readonly T[],
): Pick<Sparse<T>, 'held' | 'all'> {
  const [keys = [], ...others] = columns
  const [keysBefore = [], ...othersBefore] = before?.columns ?? []
  const runs = before ? commonRuns(keysBefore, keys) : []
  const gone = outside(runs, 'was', keysBefore.length).map((n) => keysBefore[n])
  const asked = [...outside(runs, 'is', keys.length)]
  for (const [c, column] of others.entries()) for (const [, is] of unlike(runs, othersBefore[c] ?? [], column)) asked.push(is)
  const held = new Map(before?.held)
  let same = before !== undefined
  const put = (key: unknown, of: readonly T[]) => {
    if (of.length === 0 && !held.has(key)) return
    same = false
    if (of.length === 0) held.delete(key)
    else held.set(key, of)
  }
  for (const key of gone) put(key, nothing)
  for (const n of asked) put(keys[n], make(...columns.map((column) => column[n])))
  return same ? before! : { held, all: held.size === 0 ? nothing : keys.flatMap((key) => held.get(key) ?? nothing) }
}
const nothing: readonly never[] = []
/** Places that are in no run. */
function outside(runs: readonly Run[], side: 'was' | 'is', length: number): readonly number[] {
  const places: number[] = []
  let at = 0
  for (const run of runs) {
    for (; at < run[side]; at++) places.push(at)
    at += run.length
  }
  for (; at < length; at++) places.push(at)
  return places
}
/** What was made of each key, along with the keys as they are now. */
export const along = <K, T>(made: readonly T[], keysBefore: readonly K[], keys: readonly K[], make: (key: K) => T): readonly T[] =>
  fill({ world: [], columns: [keysBefore], made }, [keys], ([key]) => make(key as K))
/** A list with other values at some places; the list itself where that is none. */
export function replaced<T>(list: readonly T[], values: readonly (readonly [place: number, value: T])[]): readonly T[] {
  if (values.length === 0) return list
  const all = list.slice()
  for (const [place, value] of values) all[place] = value
  remember(
    list,
    all,
    split(
      wholly(list),
      values.map(([place]) => place),
    ),
  )
  return all
}
/** The old values where they are now, and what `make` gives between them; the old list itself where that is all the same. */
function aligned<T>(old: readonly T[], runs: readonly Run[], length: number, make: (n: number) => T): readonly T[] {
  const gaps: Gap<T>[] = []
  let [was, is] = [0, 0]
  let same = old.length === length
  for (const run of [...runs, { was: old.length, is: length, length: 0 }]) {
    if (run.was > was || run.is > is) {
      const come = Array.from({ length: run.is - is }, (_, n) => make(is + n))
      same &&= run.is === run.was && come.every((one, n) => one === old[was + n])
      gaps.push({ at: was, gone: run.was - was, come })
    }
    was = run.was + run.length
    is = run.is + run.length
  }
  return same ? old : spliced(old, gaps)
}
/** What leaves a list at a place of it, and what comes instead. */
interface Gap<T> {
  readonly at: number
  readonly gone: number
  readonly come: readonly T[]
}
/** `gaps` in order. As long at once as it gets, for a list that grows is copied again, and larger. */
function spliced<T>(list: readonly T[], gaps: readonly Gap<T>[]): T[] {
  const growth = gaps.reduce((sum, { gone, come }) => sum + come.length - gone, 0)
  const all = growth > list.length ? [] : growth > 0 ? list.concat(list.slice(0, growth)) : list.slice(0, list.length + growth)
  let [from, to] = [0, 0]
  for (const { at, gone, come } of [...gaps, { at: list.length, gone: 0, come: nothing }]) {
    // What keeps its place stands there already.
    if (from === to && growth <= list.length) from = to = at
    while (from < at) all[to++] = list[from++]!
    for (const one of come) all[to++] = one
    from += gone
  }
  return all
}
const wholly = (list: readonly unknown[]): readonly Run[] => (list.length === 0 ? [] : [{ was: 0, is: 0, length: list.length }])
/** Runs without `places` of now. */
function split(runs: readonly Run[], places: readonly number[]): readonly Run[] {
  if (places.length === 0) return runs
  const sorted = [...places].sort((a, b) => a - b)
  const parts: Run[] = []
  let k = 0
  for (const { was, is, length } of runs) {
    let from = is
    const part = (to: number) => {
      if (to > from) parts.push({ was: was + from - is, is: from, length: to - from })
      from = to + 1
    }
    while (k < sorted.length && sorted[k]! < is) k++
    for (; k < sorted.length && sorted[k]! < is + length; k++) part(sorted[k]!)
    part(is + length)
  }
  return parts
}
/** Where places of before are now, of those in runs. */
const nowAt = (runs: readonly Run[], places: readonly number[]): readonly number[] =>
  runs.flatMap(({ was, is, length }) => places.filter((place) => place >= was && place < was + length).map((place) => place - was + is))
/** Where in runs of the keys another column is another, before and now. */
function unlike(runs: readonly Run[], before: readonly unknown[], now: readonly unknown[]): readonly (readonly [was: number, is: number])[] {
  const found: [number, number][] = []
  const own = commonRuns(before, now)
  let k = 0
  for (const { was, is, length } of runs) {
    const [shift, end] = [was - is, is + length]
    let at = is
    const look = (to: number) => {
      for (; at < to; at++) if (now[at] !== before[at + shift]) found.push([at + shift, at])
    }
    while (k < own.length && own[k]!.is + own[k]!.length <= is) k++
    for (; k < own.length && own[k]!.is < end; k++) {
      const other = own[k]!
      if (other.was - other.is === shift) {
        look(Math.min(other.is, end))
        at = Math.max(at, Math.min(other.is + other.length, end))
      }
      if (other.is + other.length > end) break
    }
    look(end)
  }
  return found
}
/** Places of the old keys that are in no run. */
const movedKeys = (old: readonly unknown[], runs: readonly Run[]): ReadonlyMap<unknown, number> =>
  new Map(outside(runs, 'was', old.length).map((n) => [old[n], n]))

/** As `flat` does, which takes ten times as long for thousands of short ones. */
export function flatten<T>(rows: readonly (readonly T[])[]): T[] {
  const all: T[] = []
  for (const row of rows) for (const one of row) all.push(one)
  return all
}

/** Of plain values, arrays and objects. */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false
    for (let i = 0; i < a.length; i++) if (!isSame(a[i], b[i])) return false
    return true
  }
  if (Array.isArray(b)) return false
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  for (const key of keys) if (!isSame(a[key as keyof typeof a], b[key as keyof typeof b])) return false
  return true
}

/** Members that follow each other in both lists: `before[was + n] === now[is + n]`. */
interface Run {
  readonly was: number
  readonly is: number
  readonly length: number
}
/** How a list came from another: many tables have the same column, and each is made of others. */
interface Origin {
  readonly id: number
  /** The other's id; 0: not known. The list itself would live as long as this one, and the one before it as well. */
  readonly from: number
  readonly runs: readonly Run[]
}
const origins = new WeakMap<readonly unknown[], Origin>()
let lists = 0
function originOf(list: readonly unknown[]): Origin {
  let known = origins.get(list)
  if (!known) origins.set(list, (known = { id: ++lists, from: 0, runs: [] }))
  return known
}
/** Shorter ones are compared again. */
const long = 64
function remember(before: readonly unknown[], now: readonly unknown[], runs: readonly Run[]): void {
  if (now.length < long) return
  const from = originOf(before).id
  origins.set(now, { id: origins.get(now)?.id ?? ++lists, from, runs })
}
/** In order; together all but what left, came or moved, as long as that is little or in its place. */
function commonRuns(before: readonly unknown[], now: readonly unknown[]): readonly Run[] {
  if (before === now) return wholly(now)
  const known = now.length < long ? undefined : origins.get(now)
  if (known && known.from > 0 && known.from === origins.get(before)?.id) return known.runs
  const runs = compareRuns(before, now)
  remember(before, now, runs)
  return runs
}
function compareRuns(before: readonly unknown[], now: readonly unknown[]): readonly Run[] {
  const runs: Run[] = []
  let [was, is] = [0, 0]
  while (was < before.length && is < now.length) {
    const start = is
    while (was < before.length && is < now.length && before[was] === now[is]) {
      was++
      is++
    }
    if (is > start) runs.push({ was: was - (is - start), is: start, length: is - start })
    const [left, joined] = nextCommon(before, was, now, is)
    was += left
    is += joined
  }
  return runs
}
/** How far two lists must be read from here to meet again: to the nearest, else to where both go on in step, else to their ends. */
function nextCommon(a: readonly unknown[], from: number, b: readonly unknown[], start: number): readonly [number, number] {
  const near = 12
  const [end, stop] = [a.length - from, b.length - start]
  for (let sum = 1; sum < near; sum++) {
    for (let left = Math.min(sum, end - 1); left >= 0; left--) {
      const right = sum - left
      if (right < stop && a[from + left] === b[start + right]) return [left, right]
    }
  }
  // In step with their heads, or with their tails.
  const [least, late] = [Math.min(end, stop), end - stop]
  for (let n = 1; n < least; n++) if (a[from + n] === b[start + n]) return [n, n]
  for (let n = late > 0 ? 0 : -late; n < stop; n++) if (a[from + n + late] === b[start + n]) return [n + late, n]
  return [end, stop]
}

/** What left a list and what came, when most of it stayed. */
export function difference<T>(before: readonly T[], after: readonly T[]): { readonly gone: ReadonlySet<T>; readonly come: readonly T[] } {
  const gone = new Set<T>()
  const come: T[] = []
  if (before === after) return { gone, come }
  let [was, is] = [0, 0]
  for (const run of [...commonRuns(before, after), { was: before.length, is: after.length, length: 0 }]) {
    for (; was < run.was; was++) gone.add(before[was]!)
    for (; is < run.is; is++) come.push(after[is]!)
    was += run.length
    is += run.length
  }
  // What moved is in both.
  return gone.size === 0 ? { gone, come } : { gone, come: come.filter((one) => !gone.delete(one)) }
}

/** Likewise of what lists of lists hold. */
export function membersMoved<T>(
  before: readonly unknown[] | undefined,
  after: readonly (readonly (readonly T[])[])[],
): { readonly gone: ReadonlySet<T>; readonly come: readonly T[] } {
  const moved = after.map((lists, n) => difference((before?.[n] ?? nothing) as typeof lists, lists))
  return { gone: new Set(moved.flatMap((one) => [...one.gone].flat())), come: moved.flatMap((one) => flatten(one.come)) }
}

/** A sorted list without `gone` and with `come`, each at its place; the list itself where nothing moves. */
export function patched<T>(sorted: readonly T[], gone: ReadonlySet<T>, come: readonly T[], compare: (a: T, b: T) => number): readonly T[] {
  if ((gone.size + come.length) * 16 > sorted.length) {
    const rest = gone.size === 0 ? sorted : sorted.filter((one) => !gone.has(one))
    return come.length === 0 ? rest : merged(rest, [...come].sort(compare), compare)
  }
  // A few in a long list: each is looked for, and what lies between them is copied as it is.
  const holes = [...gone].map((one) => placeOf(sorted, one, compare)).filter((at) => at >= 0)
  const inserts = [...come].sort(compare).map((one) => ({ at: after(sorted, one, compare), one }))
  if (holes.length + inserts.length === 0) return sorted
  const cuts = new Map<number, { readonly at: number; gone: number; readonly come: T[] }>()
  const cutAt = (at: number) => {
    const known = cuts.get(at) ?? { at, gone: 0, come: [] }
    cuts.set(at, known)
    return known
  }
  for (const at of holes) cutAt(at).gone++
  for (const { at, one } of inserts) cutAt(at).come.push(one)
  const gaps: { readonly at: number; gone: number; come: readonly T[] }[] = []
  for (const cut of [...cuts.values()].sort((a, b) => a.at - b.at)) {
    const last = gaps.at(-1)
    if (last && last.at + last.gone === cut.at) {
      last.gone += cut.gone
      last.come = [...last.come, ...cut.come]
    } else gaps.push(cut)
  }
  const all = spliced(sorted, gaps)
  const runs: Run[] = []
  let [was, is] = [0, 0]
  for (const { at, gone, come } of [...gaps, { at: sorted.length, gone: 0, come: [] }]) {
    if (at > was) runs.push({ was, is, length: at - was })
    is += at - was + come.length
    was = at + gone
  }
  remember(sorted, all, runs)
  return all
}
/** Of two sorted lists one; of equals those of the first come first. */
function merged<T>(a: readonly T[], b: readonly T[], compare: (a: T, b: T) => number): readonly T[] {
  if (a.length === 0) return b
  const all: T[] = []
  let [left, right] = [0, 0]
  while (left < a.length && right < b.length) all.push(compare(a[left]!, b[right]!) <= 0 ? a[left++]! : b[right++]!)
  while (left < a.length) all.push(a[left++]!)
  while (right < b.length) all.push(b[right++]!)
  return all
}
/** Behind the last that is not greater. */
function after<T>(sorted: readonly T[], one: T, compare: (a: T, b: T) => number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (compare(sorted[middle]!, one) <= 0) low = middle + 1
    else high = middle
  }
  return low
}
function placeOf<T>(sorted: readonly T[], one: T, compare: (a: T, b: T) => number): number {
  for (let at = after(sorted, one, compare) - 1; at >= 0 && compare(sorted[at]!, one) === 0; at--) if (sorted[at] === one) return at
  return -1
}
