/** The agent as one file, for boxes that have Node and nothing else: `node src/agent/build.ts OUT.mjs`. */
import { build } from 'esbuild'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

export interface Built {
  readonly bytes: number
  readonly gzipped: number
}

/** @param builtAt ms since the epoch: a box without a clock takes no earlier time than this. */
export async function buildAgent(outfile: string, builtAt: number): Promise<Built> {
  await build({
    entryPoints: [fileURLToPath(new URL('./main.ts', import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    minify: true,
    keepNames: true,
    define: { CAUSEWAY_BUILT: String(builtAt) },
    banner: { js: "import { createRequire as __require } from 'node:module'; const require = __require(import.meta.url);" },
    logLevel: 'silent',
  })
  const text = readFileSync(outfile)
  return { bytes: text.length, gzipped: gzipSync(text).length }
}

if (import.meta.main) {
  const [, , outfile] = process.argv
  if (outfile === undefined) {
    process.stderr.write('Where to? Run: node src/agent/build.ts OUT.mjs\n')
    process.exitCode = 2
  } else {
    const { bytes, gzipped } = await buildAgent(outfile, Date.now())
    process.stdout.write(`${outfile}: ${Math.ceil(bytes / 1024)} KB, ${Math.ceil(gzipped / 1024)} KB gzipped\n`)
  }
}
