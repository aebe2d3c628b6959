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
  /** `value`, or what stood here before when it says the same: so that what depends on it is not computed again. */
  keep<T>(name: string, value: T): T
  /** Likewise for a long list: the same when its members are. */
  members<T>(name: string, list: readonly T[]): readonly T[]
  /** All that rows hold, one after the other, where most of thousands hold nothing: kept while none that holds something moves. */
  joined<T>(name: string, rows: readonly (readonly T[])[]): readonly T[]
}
type Columns<R extends readonly unknown[]> = readonly [...{ [N in keyof R]: readonly R[N][] }]
export interface Made<T> {
  readonly inputs: readonly unknown[]
  readonly value: T
}

export function createMemo(): Memo {
  const once = new Map<string, Made<unknown>>()
  const tables = new Map<string, Table<unknown>>()
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
      const before = tables.get(name) as Table<T> | undefined
      const made = fill(
        before && sameMembers(before.world, world) ? before : undefined,
        columns,
        make as unknown as (...row: readonly unknown[]) => T,
      )
      tables.set(name, { world, columns, made })
      return made
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
    joined<T>(name: string, rows: readonly (readonly T[])[]): readonly T[] {
      return this.once(name, [rows], (before?: Made<readonly T[]>) => {
        const old = before?.inputs[0] as readonly (readonly T[])[] | undefined
        const { gone, come } = difference(old ?? [], rows)
        if (before && [...gone, ...come].every((row) => row.length === 0)) return before.value
        return rows.filter((row) => row.length > 0).flat()
      })
    },
  }
}

const sameMembers = (a: readonly unknown[], b: readonly unknown[]): boolean => {
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
/** Rows stay where they were but for a few: those before and after what moved are not even looked up. */
function fill<T>(before: Table<T> | undefined, columns: readonly (readonly unknown[])[], make: (...row: readonly unknown[]) => T): readonly T[] {
  const [keys = []] = columns
  const row = (n: number) => columns.map((column) => column[n])
  if (!before) return keys.map((_, n) => make(...row(n)))
  const old = before.made.length
  const isOld = (was: number, is: number): boolean => columns.every((column, c) => column[is] === before.columns[c]![was])
  const most = Math.min(old, keys.length)
  let [head, tail] = [most, most]
  for (const [c, column] of columns.entries()) {
    const common = commonEnds(before.columns[c]!, column)
    head = Math.min(head, common.head)
    tail = Math.min(tail, common.tail)
  }
  if (head === old && head === keys.length) return before.made
  tail = Math.min(tail, most - head)
  const places = new Map<unknown, number>()
  for (let n = head; n < old - tail; n++) places.set(before.columns[0]![n], n)
  const made: T[] = []
  for (let n = head; n < keys.length - tail; n++) {
    const was = places.get(keys[n])
    made.push(was !== undefined && isOld(was, n) ? before.made[was]! : make(...row(n)))
  }
  // Rows that came out as they were: whoever reads them need not know that they were asked.
  if (old === keys.length && made.every((one, n) => one === before.made[head + n])) return before.made
  return before.made.slice(0, head).concat(made, before.made.slice(old - tail))
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

interface Ends {
  readonly head: number
  readonly tail: number
}
// Many tables have the same column: its thousands of members are compared once.
const ends = new WeakMap<readonly unknown[], Ends & { readonly before: readonly unknown[] }>()
/** How many members two lists have in common at their head and at their tail; together no more than the shorter has. */
function commonEnds(before: readonly unknown[], now: readonly unknown[]): Ends {
  const most = Math.min(before.length, now.length)
  if (before === now) return { head: most, tail: most }
  const known = ends.get(now)
  if (known?.before === before) return known
  let head = 0
  while (head < most && before[head] === now[head]) head++
  let tail = 0
  const [last, end] = [before.length - 1, now.length - 1]
  while (tail < most - head && before[last - tail] === now[end - tail]) tail++
  // From the head on what is left is the tail: a table whose other columns changed further up asks for more of it.
  const found = { before, head, tail: head === most && before.length === now.length ? most : tail }
  ends.set(now, found)
  return found
}

/** How far two lists must be read from here to meet again; to their ends where that is not near. */
function nextCommon(a: readonly unknown[], from: number, end: number, b: readonly unknown[], start: number, stop: number): readonly [number, number] {
  const near = 12
  for (let sum = 0; sum < near; sum++) {
    for (let left = Math.min(sum, end - from - 1); left >= 0; left--) {
      const right = sum - left
      if (start + right < stop && a[from + left] === b[start + right]) return [left, right]
    }
  }
  return [end - from, stop - start]
}

/** What left a list and what came, when most of it stayed. */
export function difference<T>(before: readonly T[], after: readonly T[]): { readonly gone: ReadonlySet<T>; readonly come: readonly T[] } {
  if (before === after) return { gone: new Set(), come: [] }
  const { head, tail } = commonEnds(before, after)
  const gone = new Set<T>()
  const come: T[] = []
  let [was, is] = [head, head]
  const [wasEnd, isEnd] = [before.length - tail, after.length - tail]
  while (was < wasEnd || is < isEnd) {
    const [left, joined] = was < wasEnd && is < isEnd ? nextCommon(before, was, wasEnd, after, is, isEnd) : [wasEnd - was, isEnd - is]
    for (const end = was + left; was < end; was++) gone.add(before[was]!)
    for (const end = is + joined; is < end; is++) come.push(after[is]!)
    for (; was < wasEnd && is < isEnd && before[was] === after[is]; was++) is++
  }
  // What moved is in both.
  return gone.size === 0 ? { gone, come } : { gone, come: come.filter((one) => !gone.delete(one)) }
}

/** A sorted list without `gone` and with `come`, each at its place; the list itself where nothing moves. */
export function patched<T>(sorted: readonly T[], gone: ReadonlySet<T>, come: readonly T[], compare: (a: T, b: T) => number): readonly T[] {
  if ((gone.size + come.length) * 16 > sorted.length) {
    const rest = gone.size === 0 ? sorted : sorted.filter((one) => !gone.has(one))
    return come.length === 0 ? rest : [...rest, ...come].sort(compare)
  }
  // A few in a long list: each is looked for, and what lies between them is copied as it is.
  const holes = [...gone].map((one) => placeOf(sorted, one, compare)).filter((at) => at >= 0)
  const inserts = [...come].sort(compare).map((one) => ({ at: after(sorted, one, compare), one }))
  if (holes.length + inserts.length === 0) return sorted
  const cuts = [...holes.map((at) => ({ at, one: undefined })), ...inserts].sort((a, b) => a.at - b.at)
  const pieces: (readonly T[])[] = []
  let from = 0
  for (const { at, one } of cuts) {
    if (at > from) pieces.push(sorted.slice(from, at))
    from = Math.max(from, at)
    if (one === undefined) from++
    else pieces.push([one])
  }
  return ([] as T[]).concat(...pieces, sorted.slice(from))
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
