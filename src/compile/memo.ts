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
  }
}

const sameMembers = (a: readonly unknown[], b: readonly unknown[]): boolean => {
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
  let head = Math.min(old, keys.length)
  for (const [c, column] of columns.entries()) head = commonHead(before.columns[c]!, column, head)
  if (head === old && head === keys.length) return before.made
  let tail = Math.min(old, keys.length) - head
  for (const [c, column] of columns.entries()) tail = commonTail(before.columns[c]!, column, tail)
  const places = new Map<unknown, number>()
  for (let n = head; n < old - tail; n++) places.set(before.columns[0]![n], n)
  const made = before.made.slice(0, head)
  for (let n = head; n < keys.length - tail; n++) {
    const was = places.get(keys[n])
    made.push(was !== undefined && isOld(was, n) ? before.made[was]! : make(...row(n)))
  }
  for (let n = old - tail; n < old; n++) made.push(before.made[n]!)
  return made
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

/** How many members two lists have in common at their head, at most `most`; and at their tail. */
function commonHead(a: readonly unknown[], b: readonly unknown[], most: number): number {
  for (let n = 0; n < most; n++) if (a[n] !== b[n]) return n
  return most
}
function commonTail(a: readonly unknown[], b: readonly unknown[], most: number): number {
  for (let n = 0; n < most; n++) if (a[a.length - 1 - n] !== b[b.length - 1 - n]) return n
  return most
}

/** What left a list and what came, when most of it stayed. */
export function difference<T>(before: readonly T[], after: readonly T[]): { readonly gone: ReadonlySet<T>; readonly come: readonly T[] } {
  const most = Math.min(before.length, after.length)
  const head = commonHead(before, after, most)
  const tail = commonTail(before, after, most - head)
  const gone = new Set(before.slice(head, before.length - tail))
  const come = after.slice(head, after.length - tail).filter((one) => !gone.delete(one))
  return { gone, come }
}

/** A sorted list without `gone` and with `come`, each at its place. */
export function patched<T>(sorted: readonly T[], gone: ReadonlySet<T>, come: readonly T[], compare: (a: T, b: T) => number): readonly T[] {
  const rest = gone.size === 0 ? sorted : sorted.filter((one) => !gone.has(one))
  if (come.length === 0) return rest
  const newcomers = [...come].sort(compare)
  if (newcomers.length * 16 > rest.length) return [...rest, ...newcomers].sort(compare)
  const out: T[] = []
  let from = 0
  for (const one of newcomers) {
    let [low, high] = [from, rest.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (compare(rest[middle]!, one) <= 0) low = middle + 1
      else high = middle
    }
    for (; from < low; from++) out.push(rest[from]!)
    out.push(one)
  }
  for (; from < rest.length; from++) out.push(rest[from]!)
  return out
}
