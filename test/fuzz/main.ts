/**
 * `npm run fuzz -- [--runs N] [--seed S] [--only RUN] [--limit MS] [--json]`: networks that went wrong, through everything
 * that `check` and `plan` do. The files of each that gave no proper answer are kept under .causeway/fuzz. Exit 1 when one did.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { inputOf, type Orders, type Told } from './run.ts'

const kept = join(import.meta.dirname, '..', '..', '.causeway', 'fuzz')

interface Options {
  readonly seed: number
  readonly first: number
  readonly end: number
  /** Milliseconds of processor time an input may take, whoever else the machine serves. */
  readonly limit: number
}
function optionsOf(args: readonly string[]): Options | undefined {
  const of = { type: 'string' } as const
  const { values } = parseArgs({ args: [...args], options: { runs: of, seed: of, only: of, limit: of, json: { type: 'boolean' } } })
  const number = (text: string | undefined, otherwise: number) => (text === undefined ? otherwise : Number(text))
  const seed = number(values.seed, 1)
  const only = number(values.only, -1)
  const [first, end] = only >= 0 ? [only, only + 1] : [0, number(values.runs, 10_000)]
  const limit = number(values.limit, 5_000)
  return [seed, first, end, limit].every((n) => Number.isSafeInteger(n) && n >= 0) ? { seed, first, end, limit } : undefined
}

/** Answers as they come; where one stays out, `undefined` for it and a new thread for the next. */
async function run({ seed, first, end, limit }: Options, heard: (run: number, told: Told | undefined) => void): Promise<void> {
  for (let next = first; next < end; ) {
    const at = new Int32Array(new SharedArrayBuffer(4))
    const worker = new Worker(new URL('run.ts', import.meta.url), { workerData: { seed, first: next, end, at } satisfies Orders })
    let [seen, since] = [-1, process.cpuUsage()]
    const stuck = setInterval(() => {
      const now = Atomics.load(at, 0)
      if (now !== seen) [seen, since] = [now, process.cpuUsage()]
      else if (process.cpuUsage(since).user / 1000 > limit && next <= now) void worker.terminate()
    }, 100)
    worker.on('message', (told: Told) => {
      heard(told.run, told)
      next = told.run + 1
    })
    // Out of memory, for one.
    let died = ''
    worker.on('error', (error) => (died = error instanceof Error ? error.message : String(error)))
    await new Promise((resolve) => worker.once('exit', resolve))
    clearInterval(stuck)
    if (next < end) {
      heard(next, died === '' ? undefined : { run: next, stage: 'refused', codes: [], problems: [died], ms: 0 })
      next++
    }
  }
}

async function main(args: readonly string[]): Promise<number> {
  const options = optionsOf(args)
  if (!options) {
    process.stderr.write('write --runs, --seed, --only and --limit as whole numbers\n')
    return 2
  }
  const stages: Record<Told['stage'], number> = { refused: 0, read: 0, compiled: 0, proven: 0 }
  const codes = new Set<string>()
  const failed: { readonly run: number; readonly by: readonly string[]; readonly problems: readonly string[] }[] = []
  let slowest = { run: 0, ms: 0 }
  let runs = 0
  await run(options, (n, told) => {
    runs++
    if (told) stages[told.stage]++
    for (const code of told?.codes ?? []) codes.add(code)
    const ms = Math.round(told?.ms ?? options.limit)
    if (ms > slowest.ms) slowest = { run: n, ms }
    const problems = told?.problems ?? [`no answer after ${options.limit} ms`]
    if (problems.length > 0) {
      const { files, by } = inputOf(options.seed, n)
      const folder = join(kept, `${options.seed}-${n}`)
      rmSync(folder, { recursive: true, force: true })
      mkdirSync(folder, { recursive: true })
      for (const { path, text } of files) writeFileSync(join(folder, path), text)
      failed.push({ run: n, by, problems })
      process.stderr.write(`run ${n}, by ${by.join(', ')}: ${problems.slice(0, 3).join('; ')}\n  ${folder}\n`)
    }
    if (runs % 1_000 === 0) process.stderr.write(`${runs} of ${options.end - options.first}\n`)
  })
  const document = { fuzz: { seed: options.seed, runs, failed: failed.length, stages, codes: codes.size, slowest, failures: failed.slice(0, 20) } }
  process.stdout.write(`${JSON.stringify(document)}\n`)
  return failed.length === 0 ? 0 : 1
}

process.exitCode = await main(process.argv.slice(2))
