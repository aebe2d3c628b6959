/**
 * Starts a program of this repository on Node 24 from an esbuild bundle that is cached by the sources' newest change: a
 * warm start costs one walk over the folders. Plain JavaScript for any Node from 20.
 *
 * Here and in the bundle what Node has built in is required: an import reads every member of a module, also those that
 * are loaded when they are first read, and takes a twentieth of `causeway check`.
 */
import module from 'node:module'

const require = module.createRequire(import.meta.url)
const { closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } = require('node:fs')
const { dirname, join } = require('node:path')
const { fileURLToPath, pathToFileURL } = require('node:url')
const vm = require('node:vm')

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
export const node24 = join(root, 'node_modules', 'node', 'bin', 'node')
const cache = join(root, '.causeway', 'cache')

function newestChange(folders) {
  let newest = 0
  let files = 0
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      // Not join(), which takes as long as the file system.
      const path = `${folder}/${entry.name}`
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
  const file = join(cache, `${name}.cjs`)
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
      format: 'cjs',
      // Not the names: a stack is to be read, and `keepNames` sets them anew whenever a function is made.
      minifyWhitespace: true,
      minifySyntax: true,
      // Of its two builds the one in modules, of which the bundle takes what it uses.
      alias: { yaml: join(root, 'node_modules', 'yaml', 'browser', 'index.js') },
      external,
      logLevel: 'silent',
      define: { 'import.meta.url': '__url' },
      banner: { js: "const __url = require('node:url').pathToFileURL(__filename).href;" },
    })
    rmSync(`${file}.stamp`, { force: true })
    for (const old of readdirSync(cache)) if (old.startsWith(`${name}.`) && old.endsWith('.code')) rmSync(join(cache, old), { force: true })
    renameSync(fresh, file)
    writeFileSync(`${file}.stamp`, stamp)
    return file
  } catch (error) {
    if (error.code === 'EROFS' || error.code === 'EACCES' || error.code === 'ENOSPC') return source
    throw error
  }
}

/**
 * Runs a bundle with the code that an earlier run of the same command left. Node's own cache is made before a program
 * runs, so it lacks what V8 compiles when it is first called: nearly all of it, and a sixth of the time of `causeway check`.
 */
function run(file, importing) {
  const [, , command = ''] = process.argv
  const isHelp = process.argv.includes('--help') || process.argv.includes('-h')
  if (isHelp || importing.includes(command) || !/^[a-z]+$/.test(command)) {
    require(file)
    return
  }
  // V8 knows a source by its length; a bundle is known by when it was built.
  const kept = `${file}.${statSync(file).mtimeMs}.${command}.code`
  let cachedData
  try {
    cachedData = readFileSync(kept)
  } catch {
    // first run
  }
  const script = new vm.Script(module.wrap(readFileSync(file, 'utf8')), { filename: file, cachedData })
  const started = { exports: {} }
  script.runInThisContext()(started.exports, module.createRequire(file), started, file, dirname(file))
  if (!cachedData || script.cachedDataRejected)
    process.on('exit', (exitCode) => {
      if (exitCode === 0) keep(kept, () => script.createCachedData())
    })
}
/** What can't be written is made again; whether it can is seen before it is made, which takes as long as it saves. */
function keep(file, make) {
  const fresh = `${file.slice(0, -'.code'.length)}.${process.pid}.code`
  try {
    closeSync(openSync(fresh, 'w'))
    writeFileSync(fresh, make())
    renameSync(fresh, file)
  } catch {
    // as before
  }
}

/** Likewise for modules that no bundle holds, for this process and what it starts. */
process.env.NODE_COMPILE_CACHE ??= join(cache, 'compiled')
module.enableCompileCache?.(process.env.NODE_COMPILE_CACHE)

/** @param {{name: string, entry: string, folders: string[], external: string[], importing: string[]}} program */
export async function launch(program) {
  if (!existsSync(join(root, 'node_modules', 'esbuild'))) {
    process.stderr.write(`The packages are not installed yet. Run: npm run types, or npm install, in ${root}\n`)
    process.exit(10)
  }
  if (Number(process.versions.node.split('.')[0]) >= 24 || !existsSync(node24)) {
    const file = await bundle(program)
    if (file.endsWith('.cjs')) run(file, program.importing)
    else await import(pathToFileURL(file).href)
    return
  }
  const child = require('node:child_process').spawn(node24, process.argv.slice(1), { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    if (signal) process.kill(process.pid, signal)
    process.exit(code ?? 1)
  })
}
