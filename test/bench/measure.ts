/** What every bench needs. */
export type Figures = Readonly<Record<string, number>>
export interface Bench {
  run(): Figures | Promise<Figures>
}

/** Median of `times` runs after as many to warm up, in milliseconds. */
export function median(times: number, work: () => unknown): number {
  const took: number[] = []
  for (let n = 0; n < 2 * times; n++) {
    const start = performance.now()
    work()
    if (n >= times) took.push(performance.now() - start)
  }
  took.sort((a, b) => a - b)
  return took[took.length >> 1]!
}
