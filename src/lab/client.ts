/** Starts a lab from the host and speaks to it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Ran } from './box.ts'
import type { Answer, Request, Status } from './control.ts'
import type { AwsPart, LabArguments } from './main.ts'
import type { PeerText } from './peer.ts'
import type { Line } from './underlay.ts'

export interface Lab {
  readonly state: string
  status(): Promise<Status>
  exec(box: string, argv: readonly string[], options?: { readonly stdin?: string; readonly timeoutMs?: number }): Promise<Ran>
  start(
    box: string,
    name: string,
    argv: readonly string[],
    options?: { readonly stdin?: string; readonly env?: Readonly<Record<string, string>> },
  ): Promise<void>
  /** Brings a third party's gateway to life by the text of `causeway peer config`. */
  peer(name: string, text: string): Promise<PeerText>
  stop(name: string, signal?: 'SIGTERM' | 'SIGKILL' | 'SIGINT'): Promise<void>
  line(link: string, change: Partial<Line>): Promise<void>
  heal(link: string): Promise<void>
}

/** A refusal of the lab, for people. */
export class LabError extends Error {
  readonly code: string
  readonly instead: string
  constructor(answer: { readonly code: string; readonly says: string; readonly instead: string }) {
    super(answer.says)
    this.code = answer.code
    this.instead = answer.instead
  }
}

function ask(control: string, request: Request): Promise<Extract<Answer, { ok: true }>> {
  return new Promise((resolve, reject) => {
    const socket = connect(control)
    socket.on('error', () => reject(new LabError({ code: 'L000', says: 'no lab runs here', instead: 'start one: causeway lab up' })))
    createInterface({ input: socket }).on('line', (text) => {
      socket.end()
      const answer = JSON.parse(text) as Answer
      if (answer.ok) resolve(answer)
      else reject(new LabError(answer))
    })
    socket.write(`${JSON.stringify(request)}\n`)
  })
}

export function attach(state: string): Lab {
  const pointer = join(state, 'control')
  const send = async (request: Request) => {
    let control: string
    try {
      control = readFileSync(pointer, 'utf8')
    } catch {
      throw new LabError({ code: 'L000', says: 'no lab runs here', instead: 'start one: causeway lab up' })
    }
    return ask(control, request)
  }
  return {
    state,
    status: async () => (await send({ op: 'status' })).status!,
    exec: async (box, argv, options) => (await send({ op: 'exec', box, argv, ...options })).ran!,
    start: async (box, name, argv, options) => void (await send({ op: 'start', box, name, argv, ...options })),
    peer: async (peer, text) => (await send({ op: 'peer', peer, text })).told!,
    stop: async (name, signal = 'SIGTERM') => void (await send({ op: 'stop', name, signal })),
    line: async (link, change) => void (await send({ op: 'line', link, change })),
    heal: async (link) => void (await send({ op: 'heal', link })),
  }
}

/** Pid, on the host, of the first process inside the lab's namespaces: what `nsenter` needs. */
export function labPid(state: string): number {
  const unshare = Number(readFileSync(join(state, 'pid'), 'utf8'))
  return Number(readFileSync(`/proc/${unshare}/task/${unshare}/children`, 'utf8').trim().split(' ')[0])
}

/** Ends a detached lab by its own id. */
export async function endLab(state: string): Promise<void> {
  const pid = Number(readFileSync(join(state, 'pid'), 'utf8'))
  const control = readFileSync(join(state, 'control'), 'utf8')
  // The id may have been given to another process since: only an `unshare` that is ours is ended.
  if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('unshare\0-Urnmpf')) process.kill(pid, 'SIGKILL')
  forget(state, control)
}
function forget(state: string, control: string): void {
  rmSync(dirname(control), { recursive: true, force: true })
  rmSync(join(state, 'control'), { force: true })
  rmSync(join(state, 'pid'), { force: true })
}

export interface LabOptions {
  readonly sites: string
  /** UNIX socket of the controller's agents' listener; '' = none. */
  readonly controllerSocket: string
  /** Folder of the lab's logs, pid and pointer to its control socket. */
  readonly state: string
  /** Goes on when this process ends; `lab down` ends it. */
  readonly detached: boolean
  readonly aws?: AwsPart
}

/**
 * An unprivileged `unshare` holds everything, so that every process, namespace and device goes with it. It outlives its
 * own parent unless told not to: `setpriv --pdeathsig` and the lifeline pipe do that, also when this process is SIGKILLed.
 */
export async function startLab(options: LabOptions): Promise<{ readonly lab: Lab; stop(): Promise<void> }> {
  mkdirSync(options.state, { recursive: true })
  // UNIX socket paths end at 107 bytes, so the socket lives in a short folder and a pointer file says where.
  const short = mkdtempSync(join(tmpdir(), 'cwlab-'))
  const control = join(short, 'c')
  writeFileSync(join(options.state, 'control'), control)
  const lifeline = options.detached ? -1 : 3
  const args: LabArguments = {
    sites: options.sites,
    controllerSocket: options.controllerSocket,
    control,
    state: options.state,
    lifeline,
    ...(options.aws && { aws: options.aws }),
  }
  const inside = ['sh', '-c', '"$@" & wait $!', 'lab', process.execPath, fileURLToPath(new URL('./main.ts', import.meta.url)), JSON.stringify(args)]
  const unshare = ['unshare', '-Urnmpf', '--kill-child', '--mount-proc', ...inside]
  const argv = options.detached ? unshare : ['setpriv', '--pdeathsig', 'KILL', ...unshare]
  const child: ChildProcess = spawn(argv[0]!, argv.slice(1), {
    detached: options.detached,
    stdio: ['ignore', 'pipe', 'pipe', options.detached ? 'ignore' : 'pipe'],
  })
  writeFileSync(join(options.state, 'pid'), String(child.pid))
  // Whoever kills the lab may reset its pipes; `exit` tells that it ended.
  for (const pipe of child.stdio) pipe?.on('error', () => {})
  let complaint = ''
  child.stderr!.on('data', (text: Buffer) => {
    complaint += text.toString()
  })
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout! }).once('line', () => resolve())
    child.once('error', reject)
    child.once('exit', (code) =>
      reject(
        new LabError({
          code: 'L007',
          says: `the lab did not start (exit ${code}): ${complaint.trim()}`,
          instead: `read ${join(options.state, 'logs')}`,
        }),
      ),
    )
  })
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
    }
    forget(options.state, control)
  }
  if (options.detached) {
    child.stdout!.destroy()
    child.stderr!.destroy()
    child.unref()
  }
  return { lab: attach(options.state), stop }
}
