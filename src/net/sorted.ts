/** The first of `length` places of which it is true, as it is of all behind; `length` where there is none. */
export function firstOf(length: number, is: (place: number) => boolean): number {
  let [low, high] = [0, length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (is(middle)) high = middle
    else low = middle + 1
  }
  return low
}
/** Of a sorted list, the place of the first that is not before `one`; its length where there is none. */
export const firstFrom = <T>(sorted: readonly T[], one: T, compare: (a: T, b: T) => number): number =>
  firstOf(sorted.length, (n) => compare(sorted[n]!, one) >= 0)
/** In place, as `sort` does it, which takes memory for each list; most lists here are short or in order already. */
export function inOrder<T>(list: T[], compare: (a: T, b: T) => number): T[] {
  for (let n = 1; n < list.length; n++) {
    const one = list[n]!
    if (compare(list[n - 1]!, one) <= 0) continue
    if (list.length > short) return list.sort(compare)
    let at = n
    for (; at > 0 && compare(list[at - 1]!, one) > 0; at--) list[at] = list[at - 1]!
    list[at] = one
  }
  return list
}
const short = 20
