/**
 * Starts a program of this repository on Node 24 from an esbuild bundle that is cached by the sources' newest change: a
 * warm start costs one walk over the folders. Plain JavaScript for any Node from 20.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import module from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
export const node24 = join(root, 'node_modules', 'node', 'bin', 'node')

function newestChange(folders) {
  let newest = 0
  let files = 0
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) walk(path)
      else if (entry.name.endsWith('.ts')) {
        files++
        newest = Math.max(newest, statSync(path).mtimeMs)
      }
    }
  }
  for (const folder of folders) walk(join(root, folder))
  return `${files}-${newest}`
}

/** Path of what to run: the cached bundle, or the source itself where no cache can be written. */
export async function bundle({ name, entry, folders, external }) {
  const source = join(root, entry)
  const cache = join(root, '.causeway', 'cache')
  const file = join(cache, `${name}.mjs`)
  const stamp = `${newestChange(folders)}-${process.version}`
  try {
    if (readFileSync(`${file}.stamp`, 'utf8') === stamp && existsSync(file)) return file
  } catch {
    // no bundle yet
  }
  try {
    mkdirSync(cache, { recursive: true })
    const { build } = await import('esbuild')
    const fresh = `${file}.${process.pid}`
    await build({
      entryPoints: [source],
      outfile: fresh,
      bundle: true,
      platform: 'node',
      target: 'node24',
      format: 'esm',
      minify: true,
      keepNames: true,
      external,
      logLevel: 'silent',
      banner: { js: "import { createRequire as __require } from 'node:module'; const require = __require(import.meta.url);" },
    })
    rmSync(`${file}.stamp`, { force: true })
    renameSync(fresh, file)
    writeFileSync(`${file}.stamp`, stamp)
    return file
  } catch (error) {
    if (error.code === 'EROFS' || error.code === 'EACCES' || error.code === 'ENOSPC') return source
    throw error
  }
}

/** Compiled code is kept, for this process and what it starts; where nothing can be written Node goes on without. */
process.env.NODE_COMPILE_CACHE ??= join(root, '.causeway', 'cache', 'compiled')
module.enableCompileCache?.(process.env.NODE_COMPILE_CACHE)

/** @param {{name: string, entry: string, folders: string[], external: string[], flags?: string[]}} program */
export async function launch(program) {
  if (!existsSync(join(root, 'node_modules', 'esbuild'))) {
    process.stderr.write(`The packages are not installed yet. Run: npm run types, or npm install, in ${root}\n`)
    process.exit(10)
  }
  const file = await bundle(program)
  const flags = program.flags ?? []
  if (flags.length === 0 && Number(process.versions.node.split('.')[0]) >= 24) {
    await import(pathToFileURL(file).href)
    return
  }
  const child = spawn(existsSync(node24) ? node24 : process.execPath, [...flags, file, ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    if (signal) process.kill(process.pid, signal)
    process.exit(code ?? 1)
  })
}
