/** causeway-agent: wires the parts to this system. Exit codes as in the CLI: 0, 1 failed, 2 usage, 10 the box lacks something. */
import { existsSync, readFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { DeviceDriver } from '#providers/device.ts'
import { dryRun } from './dry-run.ts'
import { systemClock } from './clock.ts'
import { restore } from './commit.ts'
import { openDisk } from './disk.ts'
import { enrol, type Identity, readIdentity } from './enrol.ts'
import { diskFiles } from './files.ts'
import { storedBundle } from './session.ts'
import { openPing } from './echo.ts'
import { fireGuard } from './guard.ts'
import { destroy, openBoxKeys } from './keys.ts'
import { holderOf, startedAt, takeLock } from './lock.ts'
import { createLog } from './log.ts'
import { type Arguments, readArguments, usage } from './options.ts'
import { createProber } from './probe.ts'
import { run } from './run.ts'
import { openUdp } from './sockets.ts'
import { proven, renderStatus, type Status } from './status.ts'
import { AgentError, errno, line, troubleOf, why } from './trouble.ts'
import { agentVersion } from './version.ts'

const out = (text: string) => void process.stdout.write(text)

async function linux(state: string, dryRun = false): Promise<DeviceDriver> {
  const { createLinuxDriver } = await import('#providers/linux/index.ts')
  return createLinuxDriver({ stateDir: join(state, 'device'), dryRun })
}

/** A token of a few hundred bytes: whoever pastes a book gets its beginning refused. */
async function readToken(file: string): Promise<string> {
  if (file !== '') {
    try {
      return readFileSync(file, 'utf8').slice(0, 8_192)
    } catch (error) {
      throw new AgentError(
        'A01',
        `The token file ${file} can't be read: ${errno(error) === 'ENOENT' ? 'there is none' : why(error)}`,
        'Name the file that holds the line that causeway site token printed',
      )
    }
  }
  if (process.stdin.isTTY) out('Paste the token, then press Enter twice: ')
  let text = ''
  for await (const one of createInterface({ input: process.stdin })) {
    if (one.trim() === '' && text !== '') break
    text += `${one}\n`
    if (text.length > 8_192) break
  }
  return text
}

async function tokenFor(args: Arguments, identity: Identity | null): Promise<string | null> {
  if (args.tokenFile !== '') return readToken(args.tokenFile)
  // Who is enrolled, or was on the way to it, needs no second paste after a reboot.
  if (args.command === 'up' && (identity !== null || existsSync(join(args.state, 'token')))) return null
  return readToken('')
}

function signalled(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => controller.abort())
  return controller.signal
}

async function joinAndRun(args: Arguments): Promise<number> {
  const state = resolve(args.state)
  const clock = systemClock()
  const log = createLog(args.json, () => clock.now(), out)
  const files = diskFiles(state)
  const signal = signalled()
  let identity = await readIdentity(files)
  if (args.command !== 'run') {
    const token = await tokenFor(args, identity)
    const say = args.json ? (text: string) => log('enrol', text.trim()) : (text: string) => out(`${text}\n`)
    identity = await enrol({ files, token, driver: await linux(state), clock, serial: args.serial, say, signal })
  }
  if (!identity)
    throw new AgentError(
      'A13',
      `This box is not enrolled: ${state} holds no certificate`,
      'Ask for a token (causeway site token SITE) and run causeway-agent up --token-file F',
    )
  if (args.command === 'enrol') return 0
  if (args.dryRun) return dryRun({ files, identity, driver: await linux(state, true), out })
  const lock = await takeLockSoon(state, signal)
  // Probes are answered within milliseconds or taken for lost: before other work of the box, where that is permitted.
  try {
    setPriority(-10)
  } catch {
    // Not permitted.
  }
  let ended: 'stopped' | 'wiped'
  try {
    ended = await run({
      state,
      identity,
      driver: await linux(state),
      clock,
      log,
      serial: args.serial,
      deadlineSeconds: args.deadline,
      guardCommand: [process.execPath, ...process.execArgv, process.argv[1]!, 'guard', '--state', state],
      open: openUdp,
      echo: openPing,
      onStatus: args.command === 'up' && !args.json ? sayWhenGreen(identity) : () => {},
      signal,
    })
  } finally {
    lock.release()
  }
  log(
    'stop',
    ended === 'wiped' ? 'this box is out of service: tunnels, rules and keys are gone' : 'traffic goes on without the agent, as it was set up last',
  )
  return 0
}

/** A guard that is restoring, or an agent that is just ending, gives the lock back within seconds. */
async function takeLockSoon(state: string, signal: AbortSignal) {
  for (let tries = 0; ; tries++) {
    const lock = takeLock(state)
    if (lock) return lock
    if (tries >= 40 || signal.aborted)
      throw new AgentError(
        'A14',
        `Another agent (process ${holderOf(state)?.pid ?? 'unknown'}) runs on ${state}`,
        'Leave it running, or stop it first',
      )
    await new Promise((resolveLater) => setTimeout(resolveLater, 250))
  }
}

/** The installer's last lines, once: tunnels, proof, and that they can leave. */
function sayWhenGreen(identity: Identity): (status: Status) => void {
  let said = ''
  return (status) => {
    if (said === 'GREEN' || status.light === said || status.paths.length === 0 || status.paths.some((one) => one.state === 'INIT')) return
    said = status.light
    out(`[5/6] tunnels      ${status.uplinks.map(({ uplink, up, of }) => `${uplink} ${up}/${of}`).join(' · ')}\n`)
    const shown = proven(status.paths)
    if (shown !== '') out(`[6/6] proven       ${shown}\n`)
    const leave = status.light === 'GREEN' ? 'You can leave.' : `${status.says[0]!.toUpperCase()}${status.says.slice(1)}.`
    out(`${status.light}. ${leave} Confirmation code ${identity.confirmationCode} (the engineer sees the same).\n`)
  }
}

async function guard(args: Arguments): Promise<number> {
  const state = resolve(args.state)
  const clock = systemClock()
  const files = diskFiles(state)
  const identity = await readIdentity(files)
  if (!identity) return 0
  const driver = await linux(state)
  const silent = createProber({
    tick: () => clock.tick(),
    wall: () => clock.now(),
    random: Math.random,
    open: () => ({ send() {}, close() {} }),
    echo: () => ({ close() {}, retire() {} }),
    steer: async () => {},
    leave: async () => {},
    rehandshake: async () => {},
    event() {},
    changed() {},
  })
  try {
    const result = await fireGuard({
      state,
      nonce: args.nonce,
      openDisk: () => openDisk(files),
      driver,
      clock,
      say: (text) => out(`${new Date(clock.now()).toISOString()} ${text}\n`),
      async restore(disk) {
        await restore(
          { driver, prober: silent, keys: await openBoxKeys(files, identity) },
          await storedBundle(disk, identity, disk.state().confirmed),
        )
      },
    })
    out(`guard: ${result}\n`)
  } finally {
    silent.close()
    await driver.close()
  }
  return 0
}

function status(args: Arguments): number {
  let text: string
  try {
    text = readFileSync(join(args.state, 'status.json'), 'utf8')
  } catch {
    throw new AgentError('A13', `No agent has run on ${args.state} yet`, 'Start it: causeway-agent up --token-file F')
  }
  const read = JSON.parse(text) as Status
  const holder = holderOf(args.state)
  const alive = holder !== null && holder.pid === read.pid && startedAt(read.pid) !== null
  out(args.json ? `${JSON.stringify({ v: 1, kind: 'AgentStatus', data: { ...read, alive }, findings: read.findings })}\n` : renderStatus(read, alive))
  return alive && read.light !== 'RED' ? 0 : 9
}

async function wipe(args: Arguments): Promise<number> {
  const state = resolve(args.state)
  const holder = holderOf(state)
  if (holder) throw new AgentError('A14', `The agent (process ${holder.pid}) is running on ${state}`, 'Stop it first')
  const driver = await linux(state)
  await driver.wipe()
  await driver.close()
  const files = diskFiles(state)
  await destroy(files)
  out('Wiped: tunnels, rules and keys are gone. Connections of the operating system are as they were.\n')
  return 0
}

async function main(argv: readonly string[]): Promise<number> {
  const args = readArguments(argv)
  switch (args.command) {
    case 'help':
      out(usage)
      return 0
    case 'version':
      out(`causeway-agent ${agentVersion}\n`)
      return 0
    case 'enrol':
    case 'run':
    case 'up':
      return joinAndRun(args)
    case 'guard':
      return guard(args)
    case 'status':
      return status(args)
    case 'wipe':
      return wipe(args)
    default:
      throw new TypeError(`no such command: ${args.command satisfies never}`)
  }
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    const trouble = troubleOf(error)
    process.stderr.write(`${line(trouble)}\n`)
    process.exitCode = trouble.code === 'A18' || trouble.code === 'A11' ? 2 : trouble.code === 'A10' ? 10 : 1
  },
)
