/**
 * `npm run bench -- NAME [--json]`: figures of one area, measured here and now. Nothing here passes or fails; tests
 * never look at times. A bench is a file with `run(): Figures` beside this one.
 */
import type { Bench } from './measure.ts'

const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  check: () => import('./check.ts'),
  compile: () => import('./compile.ts'),
  verify: () => import('./verify.ts'),
  path: () => import('./path.ts'),
  reports: () => import('./reports.ts'),
  region: () => import('./region.ts'),
  watch: () => import('./watch.ts'),
}

async function main(args: readonly string[]): Promise<number> {
  const names = args.filter((arg) => !arg.startsWith('-'))
  const unknown = names.find((name) => !(name in benches))
  if (unknown !== undefined || names.length === 0) {
    process.stderr.write(`${unknown === undefined ? 'which bench?' : `no bench "${unknown}"`} Write one of ${Object.keys(benches).join(', ')}\n`)
    return 2
  }
  for (const name of names) {
    const figures = await (await benches[name]!()).run()
    if (args.includes('--json')) process.stdout.write(`${JSON.stringify({ bench: name, figures })}\n`)
    else
      process.stdout.write(
        `${name}\n${Object.entries(figures)
          .map(([key, value]) => `  ${key.padEnd(36)} ${Number(value.toPrecision(4))}\n`)
          .join('')}`,
      )
  }
  return 0
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2))
