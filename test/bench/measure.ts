/** What every bench needs. */
import { execFileSync } from 'node:child_process'

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

/** What a script prints as JSON, run alone: neither memory nor compiled code of an earlier measurement is there. */
export const alone = (script: URL, ...args: readonly string[]): unknown =>
  JSON.parse(execFileSync(process.execPath, [script.pathname, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }))
/** Largest memory that this process ever held, in MB. */
export const peakMemory = (): number => Math.round(process.resourceUsage().maxRSS / 1024)
