#!/usr/bin/env node
/**
 * Builds the guest kernel of `npm run test:uml`: Debian's linux-source-6.1 as User-Mode Linux, a program that boots in a
 * third of a second. `node test/uml/build.mjs TARGET`; plain JavaScript like src/setup.mjs, which calls it.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'

const source = '/usr/src/linux-source-6.1.tar.xz'
const config = join(import.meta.dirname, 'kernel.config')

function run(command, args, options = {}) {
  const ran = spawnSync('nice', ['-n', '10', command, ...args], { encoding: 'utf8', maxBuffer: 256 << 20, ...options })
  if (ran.status === 0) return
  const said = `${ran.stdout ?? ''}${ran.stderr ?? ''}${ran.error?.message ?? ''}`.trimEnd().split('\n').slice(-15).join('\n')
  throw new Error(`${command} ${args[0]} failed:\n${said}`)
}

/** UML keeps 2,696 bytes of a process's registers, and the host refuses less than all: processors with AMX have 11,008. */
function makeRoomForRegisters(tree) {
  const file = join(tree, 'arch/x86/um/user-offsets.c')
  const text = readFileSync(file, 'utf8')
  const roomy = text.replace('DEFINE_LONGS(HOST_FP_SIZE, 2696)', 'DEFINE_LONGS(HOST_FP_SIZE, 16384)')
  if (roomy === text) throw new Error(`${file} is not as expected: another version of the source?`)
  writeFileSync(file, roomy)
}

function build(target) {
  mkdirSync(dirname(target), { recursive: true })
  const scratch = mkdtempSync(join(dirname(target), 'build-'))
  try {
    run('tar', ['-xJf', source, '--strip-components=1', '-C', scratch])
    makeRoomForRegisters(scratch)
    const make = (...args) => run('make', ['-C', scratch, 'ARCH=um', ...args])
    make(`KCONFIG_ALLCONFIG=${config}`, 'allnoconfig')
    const made = new Set(readFileSync(join(scratch, '.config'), 'utf8').split('\n'))
    const lost = readFileSync(config, 'utf8').match(/^CONFIG_.*$/gm).filter((line) => !made.has(line))
    if (lost.length > 0) throw new Error(`the kernel's configuration does not take ${lost.join(', ')}`)
    make(`-j${availableParallelism()}`, 'linux')
    run('strip', [join(scratch, 'linux')])
    copyFileSync(join(scratch, 'linux'), `${target}.new`)
    renameSync(`${target}.new`, target)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

const [target] = process.argv.slice(2)
if (!target) throw new Error('node test/uml/build.mjs TARGET')
build(target)
