/**
 * A list of thousands in chunks: an edit copies the chunks that it touches and shares the others, and two lists are
 * compared chunk by chunk. So what a change of one site costs hardly grows with the sites. Immutable.
 */
import { firstOf, inOrder } from '#src/net/sorted.ts'
import { merged, type Moved, sameMembers } from './arrays.ts'

export class List<T> implements Iterable<T> {
  readonly chunks: readonly (readonly T[])[]
  private count: number | undefined
  private whole: readonly T[] | undefined
  /** Of the list that it was last compared with. */
  private moved: { readonly from: List<T>; readonly moved: Moved<T> } | undefined

  /** None of `chunks` is empty. `whole`: the same as one array, where there is one. */
  constructor(chunks: readonly (readonly T[])[], whole?: readonly T[]) {
    this.chunks = chunks
    this.whole = whole
  }
  static of<T>(all: readonly T[]): List<T> {
    return new List(cut(all))
  }

  get length(): number {
    return (this.count ??= this.chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  }
  *[Symbol.iterator](): Generator<T> {
    for (const chunk of this.chunks) yield* chunk
  }
  /** As one array, which costs what the list is long. */
  get all(): readonly T[] {
    return (this.whole ??= joined(this.chunks))
  }
  at(n: number): T | undefined {
    const [c, k] = this.placeOf(n)
    return this.chunks[c]?.[k]
  }
  /** Chunk, and place in it. */
  private placeOf(n: number): readonly [number, number] {
    let [c, k] = [0, n]
    for (; c < this.chunks.length - 1 && k >= this.chunks[c]!.length; c++) k -= this.chunks[c]!.length
    return [c, k]
  }
  /** Rising. */
  placesOf(one: T): readonly number[] {
    const places: number[] = []
    let start = 0
    for (const chunk of this.chunks) {
      for (let n = chunk.indexOf(one); n >= 0; n = chunk.indexOf(one, n + 1)) places.push(start + n)
      start += chunk.length
    }
    return places
  }
  some(is: (one: T) => boolean): boolean {
    return this.chunks.some((chunk) => chunk.some(is))
  }
  /** Chunks that come out as those of `like` beside them are those: whoever reads them need not know that they were asked. */
  map<U>(make: (one: T, n: number) => U, like?: List<U>): List<U> {
    let n = 0
    const chunks = this.chunks.map((chunk, c): readonly U[] => {
      const old = like?.chunks[c]
      const made: U[] = []
      if (old?.length !== chunk.length) return chunk.map((one) => make(one, n++))
      for (let k = 0; k < chunk.length; k++) {
        const value = make(chunk[k]!, n++)
        // Copied from the first that is another.
        if (made.length === 0 && value === old[k]) continue
        if (made.length === 0) made.push(...old.slice(0, k))
        made.push(value)
      }
      return made.length === 0 ? old : made
    })
    return like ? alike(like, chunks) : new List(chunks)
  }
  /** With other values at some places. */
  with(values: readonly (readonly [place: number, value: T])[]): List<T> {
    if (values.length === 0) return this
    const chunks: (readonly T[])[] = [...this.chunks]
    for (const [n, value] of values) {
      const [c, k] = this.placeOf(n)
      if (chunks[c]![k] !== value) chunks[c] = chunks[c]!.with(k, value)
    }
    return sameMembers(this.chunks, chunks) ? this : new List(chunks)
  }

  /** Of a sorted list, the place of the first that is not before `one`; its length where there is none. */
  firstFrom<K>(one: K, compare: (a: T, b: K) => number): number {
    const c = firstOf(this.chunks.length, (n) => compare(this.chunks[n]!.at(-1)!, one) >= 0)
    const chunk = this.chunks[c]
    if (!chunk) return this.length
    let start = 0
    for (let before = 0; before < c; before++) start += this.chunks[before]!.length
    return start + firstOf(chunk.length, (n) => compare(chunk[n]!, one) >= 0)
  }
  /** A sorted list without `gone` and with `come`, each at its place; the list itself where nothing moves. */
  patched(gone: ReadonlySet<T>, come: readonly T[], compare: (a: T, b: T) => number): List<T> {
    if ((gone.size + come.length) * 16 > this.length) {
      const rest = gone.size === 0 ? this.all : this.all.filter((one) => !gone.has(one))
      if (come.length === 0 && rest.length === this.length) return this
      return List.of(merged(rest, inOrder([...come], compare), compare))
    }
    const edits = new Map<number, { readonly gone: Set<T>; readonly come: T[] }>()
    const edit = (c: number) => {
      const known = edits.get(c) ?? { gone: new Set(), come: [] }
      edits.set(c, known)
      return known
    }
    for (const one of gone) {
      // Equals may stand in several.
      for (let c = firstOf(this.chunks.length, (n) => compare(this.chunks[n]!.at(-1)!, one) >= 0); c < this.chunks.length; c++) {
        const chunk = this.chunks[c]!
        if (chunk.includes(one)) edit(c).gone.add(one)
        else if (compare(chunk[0]!, one) <= 0) continue
        break
      }
    }
    // Behind the last that is not greater.
    const after = (one: T) =>
      Math.min(
        firstOf(this.chunks.length, (n) => compare(this.chunks[n]!.at(-1)!, one) > 0),
        this.chunks.length - 1,
      )
    for (const one of come) edit(after(one)).come.push(one)
    if (edits.size === 0) return this
    return new List(
      this.chunks.flatMap((chunk, c) => {
        const own = edits.get(c)
        if (!own) return [chunk]
        const rest = own.gone.size === 0 ? chunk : chunk.filter((one) => !own.gone.has(one))
        return cut(own.come.length === 0 ? rest : merged(rest, inOrder(own.come, compare), compare))
      }),
    )
  }
  /** What left `before` and what came. What moved is in both. */
  since(before: List<T> | undefined): Moved<T> {
    if (before === this) return { gone: new Set(), come: [] }
    if (!before) return { gone: new Set(), come: joined(this.chunks) }
    // Many ask what became of the same list. What it became of was asked before, and is forgotten with it.
    if (this.moved?.from !== before) this.moved = { from: before, moved: moved(before.chunks, this.chunks) }
    before.moved = undefined
    return this.moved.moved
  }
  /** These members, in chunks of this list as far as they stand in it. */
  relisted(now: readonly T[]): List<T> {
    const byFirst = new Map(this.chunks.map((chunk) => [chunk[0]!, chunk]))
    const chunks: (readonly T[])[] = []
    let [from, n] = [0, 0]
    while (n < now.length) {
      const chunk = byFirst.get(now[n]!)
      if (!chunk || !standsAt(chunk, now, n)) {
        n++
        continue
      }
      // What is too short to stand alone goes with what is behind it, or edits would wear the list out.
      const end = n + chunk.length
      if (n === from) chunks.push(chunk)
      else if (n - from < least) chunks.push(...cut(now.slice(from, end)))
      else chunks.push(...cut(now.slice(from, n)), chunk)
      from = n = end
    }
    const rest = now.length - from
    if (rest >= least || chunks.length === 0) chunks.push(...cut(now.slice(from)))
    else if (rest > 0) chunks.push(...cut([...chunks.pop()!, ...now.slice(from)]))
    return sameMembers(this.chunks, chunks) ? this : new List(chunks, now)
  }
}

/** Of few long ones; `flatten` is for many short ones. */
const joined = <T>(chunks: readonly (readonly T[])[]): readonly T[] => ([] as readonly T[]).concat(...chunks)
/** How many members both begin with, and how many of the rest both end with. */
export function commonEnds(a: readonly unknown[], b: readonly unknown[]): readonly [head: number, tail: number] {
  const least = Math.min(a.length, b.length)
  let head = 0
  while (head < least && a[head] === b[head]) head++
  let tail = 0
  while (tail < least - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++
  return [head, tail]
}
function unlike<T>(a: readonly T[], b: readonly T[]): readonly [readonly T[], readonly T[]] {
  const [head, tail] = commonEnds(a, b)
  return [a.slice(head, a.length - tail), b.slice(head, b.length - tail)]
}
const without = <T>(chunks: readonly (readonly T[])[], others: readonly (readonly T[])[]): readonly (readonly T[])[] => {
  const known = new Set(others)
  return chunks.filter((chunk) => !known.has(chunk))
}
function moved<T>(before: readonly (readonly T[])[], after: readonly (readonly T[])[]): Moved<T> {
  const [was, is] = unlike(before, after)
  const [old, now] = was.length === 1 && is.length === 1 ? unlike(was[0]!, is[0]!) : unlike(without(was, is).flat(), without(is, was).flat())
  const gone = new Set(old)
  return { gone, come: now.filter((one) => !gone.delete(one)) }
}

/** Members of a chunk: an edit copies as many, and once for each chunk its place in the list. */
const usual = 128
const least = usual / 2
function cut<T>(all: readonly T[]): readonly (readonly T[])[] {
  if (all.length === 0) return []
  if (all.length <= 2 * usual) return [all]
  const size = Math.ceil(all.length / Math.round(all.length / usual))
  return Array.from({ length: Math.ceil(all.length / size) }, (_, n) => all.slice(n * size, (n + 1) * size))
}
/** A list of `chunks`, or of those of `like` in the same place where they say the same. */
export function alike<T>(like: List<T>, chunks: readonly (readonly T[])[]): List<T> {
  const shift = like.chunks.length - chunks.length
  const keep = (chunk: readonly T[], c: number): readonly T[] => {
    for (const old of [c, c + shift]) if (like.chunks[old] && sameMembers(like.chunks[old], chunk)) return like.chunks[old]
    return chunk
  }
  const kept = chunks.map(keep)
  return sameMembers(like.chunks, kept) ? like : new List(kept)
}
function standsAt(chunk: readonly unknown[], all: readonly unknown[], from: number): boolean {
  if (from + chunk.length > all.length) return false
  for (let n = 0; n < chunk.length; n++) if (all[from + n] !== chunk[n]) return false
  return true
}
