/** Arrays of which an edit moves few members, and what a memory needs to tell that. */
import { firstOf, inOrder } from '#src/net/sorted.ts'

/** What left and what came. */
export interface Moved<T> {
  readonly gone: ReadonlySet<T>
  readonly come: readonly T[]
}

export function sameMembers(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let n = 0; n < a.length; n++) if (a[n] !== b[n]) return false
  return true
}
/** As `flat` does, which takes ten times as long for thousands of short ones. */
export function flatten<T>(rows: readonly (readonly T[])[]): T[] {
  const all: T[] = []
  for (const row of rows) for (let n = 0; n < row.length; n++) all.push(row[n]!)
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

/** What left an array and what came, when most of it stayed. What moved is in both. */
export function difference<T>(before: readonly T[], after: readonly T[]): Moved<T> {
  const gone = new Set<T>()
  const come: T[] = []
  let [was, is] = [0, 0]
  if (before === after) return { gone, come }
  while (was < before.length || is < after.length) {
    if (was < before.length && is < after.length && before[was] === after[is]) {
      was++
      is++
      continue
    }
    const [left, joined] = nextCommon(before, was, after, is)
    for (const end = was + left; was < end; was++) gone.add(before[was]!)
    for (const end = is + joined; is < end; is++) come.push(after[is]!)
  }
  return gone.size === 0 ? { gone, come } : { gone, come: come.filter((one) => !gone.delete(one)) }
}
/** How far two arrays must be read from here to meet again: to the nearest, else to where both go on in step, else to their ends. */
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

/** A sorted array without `gone` and with `come`, each at its place; the array itself where nothing moves. */
export function patched<T>(sorted: readonly T[], gone: ReadonlySet<T>, come: readonly T[], compare: (a: T, b: T) => number): readonly T[] {
  if ((gone.size + come.length) * 16 > sorted.length) {
    const rest = gone.size === 0 ? sorted : sorted.filter((one) => !gone.has(one))
    return come.length === 0 ? (rest.length === sorted.length ? sorted : rest) : merged(rest, inOrder([...come], compare), compare)
  }
  // A few in many: each is looked for, and neighbours move together.
  const leaving = [...gone].map((one) => placeOf(sorted, one, compare)).filter((at) => at >= 0)
  const joining = inOrder([...come], compare).map((one) => ({ at: after(sorted, one, compare), gone: 0, come: [one] }))
  const edits = [...joining, ...leaving.map((at) => ({ at, gone: 1, come: [] as T[] }))]
  inOrder(edits, (a, b) => a.at - b.at)
  const gaps: typeof edits = []
  for (const { at, gone: leaves, come: comes } of edits) {
    const last = gaps.at(-1)
    if (last && last.at + last.gone === at) {
      last.gone += leaves
      last.come.push(...comes)
    } else gaps.push({ at, gone: leaves, come: comes })
  }
  const [first, ...others] = gaps.reverse()
  if (!first) return sorted
  const all = sorted.toSpliced(first.at, first.gone, ...first.come)
  // From the end, so that places before stay true.
  for (const gap of others) all.splice(gap.at, gap.gone, ...gap.come)
  return all
}
/** Behind the last that is not greater. */
const after = <T>(sorted: readonly T[], one: T, compare: (a: T, b: T) => number): number =>
  firstOf(sorted.length, (n) => compare(sorted[n]!, one) > 0)
function placeOf<T>(sorted: readonly T[], one: T, compare: (a: T, b: T) => number): number {
  for (let at = after(sorted, one, compare) - 1; at >= 0 && compare(sorted[at]!, one) === 0; at--) if (sorted[at] === one) return at
  return -1
}
/** Of two sorted lists one; of equals those of the first come first. */
export function merged<T>(a: readonly T[], b: readonly T[], compare: (a: T, b: T) => number): T[] {
  if (a.length === 0 || b.length === 0 || compare(a.at(-1)!, b[0]!) <= 0) return a.concat(b)
  const all: T[] = []
  let [left, right] = [0, 0]
  while (left < a.length && right < b.length) all.push(compare(a[left]!, b[right]!) <= 0 ? a[left++]! : b[right++]!)
  while (left < a.length) all.push(a[left++]!)
  while (right < b.length) all.push(b[right++]!)
  return all
}
