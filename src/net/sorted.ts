/** Of a sorted list, the place of the first that is not before `one`; its length where there is none. */
export function firstFrom<T>(sorted: readonly T[], one: T, compare: (a: T, b: T) => number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (compare(sorted[middle]!, one) < 0) low = middle + 1
    else high = middle
  }
  return low
}
