/** One input after the other on a thread of its own, so that whoever watches can end it when one takes too long. */
import { parentPort, workerData } from 'node:worker_threads'
import { judge, type Judgement } from './judge.ts'
import { spoiled } from './mutate.ts'

export interface Told extends Omit<Judgement, 'codes'> {
  readonly run: number
  /** Of processor time. */
  readonly ms: number
  readonly codes: readonly string[]
}
export interface Orders {
  readonly seed: number
  readonly first: number
  readonly end: number
  /** [0]: the run at work. */
  readonly at: Int32Array
}
/** Runs of one seed are inputs of their own. */
export const inputOf = (seed: number, run: number): ReturnType<typeof spoiled> => spoiled(Math.imul(seed, 0x9e3779b1) + run)

/** What it throws is a problem like another. */
export function judged(seed: number, run: number): Told {
  const { from, files } = inputOf(seed, run)
  const begun = process.threadCpuUsage()
  const spent = (): number => {
    const { user, system } = process.threadCpuUsage(begun)
    return (user + system) / 1000
  }
  try {
    const judgement = judge(files, from)
    return { ...judgement, run, ms: spent() }
  } catch (error) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
    const problems = [
      stack
        .split('\n')
        .slice(0, 4)
        .map((line) => line.trim())
        .join(' | '),
    ]
    return { stage: 'refused', codes: [], problems, run, ms: spent() }
  }
}

if (parentPort && workerData) {
  const { seed, first, end, at } = workerData as Orders
  for (let run = first; run < end; run++) {
    Atomics.store(at, 0, run)
    parentPort.postMessage(judged(seed, run), [])
  }
}
