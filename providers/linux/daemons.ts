/**
 * Daemons that serve a site beside its tunnels, one process each: started, watched, given other settings by a new process,
 * ended. They outlive the agent, and are found again by the kernel's word: a command line that names the settings of this
 * state folder. So no file can claim a process of another boot.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Runner, type Started, statFields } from './run.ts'

export interface Place {
  readonly settings: string
  readonly folder: string
  /** It may become another user: not in a user namespace, which has one. */
  readonly users: boolean
}
export interface WantedDaemon {
  /** Also the program's, and the name of its folder. */
  readonly name: string
  /** The whole of its settings; a process that was started with others is replaced. */
  readonly settings: string
  /** `settings` is the path of the file that has them; what it writes itself goes into `folder`. */
  readonly command: (at: Place) => readonly string[]
  /** What has it read its settings again. Absent: a process is replaced by another. */
  readonly reload?: 'SIGHUP'
}
export interface ObservedDaemon {
  readonly name: string
  readonly process: Started
  /** What it was started with; undefined when that is gone. */
  readonly settings: string | undefined
}
/** Where state is kept, and which daemons there are at all. */
export const daemonFolders = ['dnsmasq', 'radvd'] as const
const folderOf = (stateDir: string, name: string): string => join(stateDir, name)
const settingsOf = (stateDir: string, name: string): string => join(folderOf(stateDir, name), `${name}.conf`)
export const logOf = (stateDir: string, name: string): string => join(folderOf(stateDir, name), `${name}.log`)

export async function observeDaemons(runner: Runner, stateDir: string): Promise<readonly ObservedDaemon[]> {
  const present = stateDir === '' ? [] : await runner.list(stateDir)
  const names = daemonFolders.filter((name) => present.includes(name))
  const found: ObservedDaemon[] = []
  const parents = new Map<number, number>()
  for (const pid of names.length === 0 ? [] : (await runner.list('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    const comm = (await runner.readFile(`/proc/${pid}/comm`))?.trim()
    const name = names.find((one) => one === comm)
    if (name === undefined) continue
    const words = ((await runner.readFile(`/proc/${pid}/cmdline`)) ?? '').split('\0')
    const startTime = await runner.startTime(Number(pid))
    if (startTime === undefined || !words.some((word) => word.endsWith(settingsOf(stateDir, name)))) continue
    const settings = await readFile(settingsOf(stateDir, name), 'utf8').catch(() => undefined)
    found.push({ name, process: { pid: Number(pid), startTime }, settings })
    parents.set(Number(pid), Number(statFields((await runner.readFile(`/proc/${pid}/stat`)) ?? '')[1]))
  }
  // radvd leaves a helper behind that looks like it and would not read settings again: its parent is the daemon.
  return found.filter(({ process: { pid } }) => !parents.has(parents.get(pid)!))
}

/** How long a daemon has to find out that it can't serve: it reads its settings and binds its sockets first. */
const trialMs = 300
const lastLines = 3
/** Starts it, in place of the one that runs, or has that read its settings again; returns why it ended at once, or ''. */
export async function startDaemon(runner: Runner, stateDir: string, want: WantedDaemon, have: ObservedDaemon | undefined): Promise<string> {
  if (have && !want.reload) await endDaemon(runner, have)
  const folder = folderOf(stateDir, want.name)
  const [settings, log] = [settingsOf(stateDir, want.name), logOf(stateDir, want.name)]
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeFile(settings, want.settings, { mode: 0o600 })
  if (have && want.reload) {
    await runner.change(['kill', `-${want.reload.slice(3)}`, String(have.process.pid)])
    return ''
  }
  await rm(log, { force: true })
  const users = ((await runner.readFile('/proc/self/uid_map')) ?? '').trim().endsWith(' 4294967295')
  const pid = await runner.daemon(want.command({ settings, folder, users }), { env: {}, log })
  await new Promise((resolve) => setTimeout(resolve, trialMs))
  if ((await runner.startTime(pid)) !== undefined) return ''
  const said = (await readFile(log, 'utf8').catch(() => '')).split('\n').filter((line) => line.trim() !== '')
  return said.slice(-lastLines).join('; ') || 'it ended without a word'
}

/** Waits until it has let go of its sockets. */
export async function endDaemon(runner: Runner, { process: { pid, startTime } }: ObservedDaemon): Promise<void> {
  await runner.end({ pid, startTime })
  for (let tries = 0; tries < 40 && (await runner.startTime(pid)) === startTime; tries++) await new Promise((resolve) => setTimeout(resolve, 50))
}
