/**
 * FRR's zebra, bgpd, ospfd and ospf6d for the LANs of a gateway: processes of their own, with sockets of their own, beside
 * whatever FRR the box may run otherwise. They outlive the agent and are found again by the folder that their command line names.
 */
import { createHash } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { speaking } from '#src/fabric/lan-routing.ts'
import { type Address, contains, familyOf, type Prefix } from '#src/net/address.ts'
import type { Learning } from '../device.ts'
import { type FrrChange, readSettings, type Setting } from './frr-settings.ts'
import { DeviceError, finding } from './errors.ts'
import { end } from './ipsec.ts'
import { firstLine, type Runner, type Started } from './run.ts'

export interface ObservedFrr {
  /** By program. */
  readonly daemons: ReadonlyMap<Program, Started>
  /** What they run by; [] without zebra, for then none does. */
  readonly settings: readonly Setting[]
}
/** In the order in which they are started: the others hand their routes to zebra, which puts them into the kernel. */
const programs = ['zebra', 'bgpd', 'ospfd', 'ospf6d'] as const
export type Program = (typeof programs)[number]
/** Who is needed to run by these. */
export const programsFor = (settings: readonly Setting[]): readonly Program[] => {
  const speaks: Readonly<Record<Exclude<Program, 'zebra'>, RegExp>> = { bgpd: /^router bgp /, ospfd: /^router ospf$/, ospf6d: /^router ospf6$/ }
  const speakers = programs.filter((one) => one !== 'zebra' && settings.some(([first]) => speaks[one].test(first!)))
  return speakers.length === 0 ? [] : ['zebra', ...speakers]
}
export const noFrr: ObservedFrr = { daemons: new Map(), settings: [] }

/** Debian and Ubuntu, Fedora and its kin. */
const homes = ['/usr/lib/frr', '/usr/libexec/frr'] as const
/** Where its programs are; undefined: it is not installed. */
export async function frrHome(runner: Runner): Promise<string | undefined> {
  for (const home of homes) {
    const names = await runner.list(home)
    if (programs.every((one) => names.includes(one))) return home
  }
  return undefined
}

interface Place {
  readonly folder: string
  /** FRR gives up root for it. Where a user namespace has no such user, as in a lab, it stays what root is there. */
  readonly user: 'frr' | 'root'
}
/** Below the state folder nobody but root may look, so where FRR is somebody else its folder is elsewhere. */
async function placeOf(runner: Runner, stateDir: string): Promise<Place> {
  const everybody = /^\s*0\s+0\s+4294967295\s*$/.test((await runner.readFile('/proc/self/uid_map')) ?? '')
  if (!everybody) return { folder: join(stateDir, 'frr'), user: 'root' }
  return { folder: join('/run', `causeway-frr-${createHash('sha256').update(stateDir).digest('hex').slice(0, 8)}`), user: 'frr' }
}
const vtysh = (folder: string, ...words: readonly string[]): readonly string[] => ['vtysh', '--config_dir', folder, '--vty_socket', folder, ...words]
/** The command by which others speak to these. */
export const vtyshOf = async ({ runner, stateDir }: Frr): Promise<readonly string[]> => vtysh((await placeOf(runner, stateDir)).folder)

export async function observeFrr(runner: Runner, stateDir: string): Promise<ObservedFrr> {
  if (stateDir === '') return noFrr
  const { folder } = await placeOf(runner, stateDir)
  if ((await runner.list(folder)).length === 0) return noFrr
  const daemons = new Map<Program, Started>()
  for (const pid of (await runner.list('/proc')).filter((one) => /^\d+$/.test(one))) {
    const name = (await runner.readFile(`/proc/${pid}/comm`))?.trim()
    const program = programs.find((one) => one === name)
    if (program === undefined || !((await runner.readFile(`/proc/${pid}/cmdline`)) ?? '').split('\0').includes(folder)) continue
    const startTime = await runner.startTime(Number(pid))
    if (startTime !== undefined) daemons.set(program, { pid: Number(pid), startTime })
  }
  if (!daemons.has('zebra')) return { daemons, settings: [] }
  const { stdout } = await runner.read(vtysh(folder, '-c', 'show running-config'))
  return { daemons, settings: readSettings(stdout) }
}

export interface Frr {
  readonly runner: Runner
  readonly stateDir: string
}
export interface Start {
  readonly wanted: readonly Program[]
  readonly have: ObservedFrr
}
/** Those that are missing; all of them where zebra is, for it alone knows what the others have put into the kernel. */
async function startFrr({ runner, stateDir }: Frr, { wanted, have }: Start): Promise<void> {
  const home = await frrHome(runner)
  if (home === undefined)
    throw new DeviceError(finding('D016', [], 'this box has no FRR to speak with routers', 'apt-get install --no-install-recommends frr'))
  const { folder, user } = await placeOf(runner, stateDir)
  const anew = !have.daemons.has('zebra')
  if (anew) {
    await endAll(runner, have, programs)
    await rm(folder, { force: true, recursive: true })
    await mkdir(folder, { recursive: true, mode: 0o700 })
    // It writes none itself, and without one it would read what the box's own FRR is told.
    for (const name of ['frr.conf', 'vtysh.conf']) await writeFile(join(folder, name), '', { mode: 0o644 })
    if (user !== 'root') await runner.change(['chown', '-R', `${user}:${user}`, folder])
  }
  for (const program of programs.filter((one) => wanted.includes(one) && (anew || !have.daemons.has(one)))) {
    // A dead one's would make it look as if the new one listened already.
    await rm(join(folder, `${program}.vty`), { force: true })
    const options = ['-u', user, '-g', user, '-i', join(folder, `${program}.pid`), '-z', join(folder, 'zserv.api'), '--vty_socket', folder]
    const pid = await runner.daemon([join(home, program), ...options, '-P', '0', '-f', join(folder, 'frr.conf')], {
      env: {},
      log: join(stateDir, 'frr.log'),
    })
    await ready(runner, folder, { pid, startTime: (await runner.startTime(pid)) ?? '' }, program, stateDir)
  }
}
/** Looks every 20 ms for 10 s whether it listens, as long as it lives. */
async function ready(runner: Runner, folder: string, daemon: Started, program: Program, stateDir: string): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if ((await runner.list(folder)).includes(`${program}.vty`)) return
    if ((await runner.startTime(daemon.pid)) !== daemon.startTime) break
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const log = (await runner.readFile(join(stateDir, 'frr.log'))) ?? ''
  throw new DeviceError(
    finding(
      'D048',
      [],
      `FRR's ${program} does not start: ${log.trim().split('\n').at(-1) ?? ''}`,
      'look at frr.log in the state folder of the agent',
      {
        witness: log.trim().split('\n').slice(-5),
      },
    ),
  )
}
/** Those that run and aren't `wanted`; all of them, with their folder, where nobody is. */
export async function stopFrr({ runner, stateDir }: Frr, { wanted, have }: Start): Promise<void> {
  await endAll(
    runner,
    have,
    programs.filter((one) => !wanted.includes(one)),
  )
  if (!runner.dryRun && wanted.length === 0) await rm((await placeOf(runner, stateDir)).folder, { force: true, recursive: true })
}
/** zebra last: the others say goodbye to their neighbors, and take their routes out of the kernel through it. */
async function endAll(runner: Runner, { daemons }: ObservedFrr, which: readonly Program[]): Promise<void> {
  for (const program of [...which].reverse()) {
    const daemon = daemons.get(program)
    if (daemon) await end(daemon, runner)
  }
}

/** `start`: who of them has to be started first. */
export async function tellFrr(frr: Frr, { lines, refresh, start }: FrrChange & { readonly start: Start | undefined }): Promise<void> {
  const { runner, stateDir } = frr
  if (start) await startFrr(frr, start)
  const { folder } = await placeOf(runner, stateDir)
  const file = join(folder, 'change.conf')
  if (lines.length > 0) {
    await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o600 })
    const output = await runner.change(vtysh(folder, '-f', file), { show: lines.map((line) => `vtysh: ${line}`), timeoutMs: 60_000 })
    await rm(file, { force: true })
    if (output.code !== 0)
      throw new DeviceError(finding('D048', [], `FRR refuses a line: ${firstLine(output)}`, 'FRR 8.4 or newer is known to take them all; report it'))
  }
  for (const neighbor of refresh)
    await runner.change(vtysh(folder, '-c', `clear bgp ${familyOf(neighbor) === 4 ? 'ipv4' : 'ipv6'} unicast ${neighbor} soft in`))
}

/** How the sessions stand, and which declared prefixes nobody announces. */
export async function readLearning(frr: Frr, config: SiteConfig): Promise<Learning> {
  const [bgp, ospf, learned] = await Promise.all([
    config.bgp ? sessionStates(frr) : nobody,
    config.ospf ? adjacencies(frr) : nobody,
    learnedRoutes(frr.runner),
  ])
  return {
    sessions: speaking(config).flatMap(({ protocol, segment, interface: device, neighbors }) =>
      neighbors.map((neighbor) => {
        const state = protocol === 'bgp' ? (bgp.get(neighbor) ?? 'no bgpd') : (ospf.get(neighbor) ?? 'Down')
        return { protocol, segment, interface: device, neighbor, state, up: protocol === 'bgp' ? state === 'Established' : adjacent.test(state) }
      }),
    ),
    missing: config.lans.filter((lan) => lan.learned && !learned.some((one) => contains(lan.prefix, one))).map(({ prefix }) => prefix),
  }
}
/** By neighbor: `Established`, or what it waits for (RFC 4271 section 8.2.2). */
async function sessionStates({ runner, stateDir }: Frr): Promise<ReadonlyMap<Address, string>> {
  const { folder } = await placeOf(runner, stateDir)
  const { code, stdout } = await runner.read(vtysh(folder, '-c', 'show bgp summary json'))
  if (code !== 0 || stdout.trim() === '') return new Map()
  const summary = JSON.parse(stdout) as Readonly<
    Record<string, { readonly peers?: Readonly<Record<string, { readonly state: string }>> } | undefined>
  >
  return new Map(
    Object.values(summary).flatMap((of) => Object.entries(of?.peers ?? {}).map(([neighbor, { state }]) => [neighbor as Address, state] as const)),
  )
}
/** By neighbor (RFC 2328 section 10.1), of both versions. */
async function adjacencies({ runner, stateDir }: Frr): Promise<ReadonlyMap<Address, string>> {
  const { folder } = await placeOf(runner, stateDir)
  const said = await Promise.all(
    ['show ip ospf neighbor json', 'show ipv6 ospf6 neighbor detail json'].map((what) => runner.read(vtysh(folder, '-c', what))),
  )
  const [two, three] = said.map(({ code, stdout }): unknown => (code !== 0 || stdout.trim() === '' ? {} : JSON.parse(stdout)))
  return new Map([...neighborsOf(two), ...sixNeighborsOf(three)])
}
function neighborsOf(said: unknown): readonly (readonly [Address, string])[] {
  const { neighbors = {} } = said as {
    readonly neighbors?: Readonly<
      Record<string, readonly { readonly nbrState?: string; readonly state?: string; readonly ifaceAddress?: Address; readonly address?: Address }[]>
    >
  }
  return (
    Object.values(neighbors)
      .flat()
      // By the address it sends from; what it is called by, its router id, may be any number.
      .flatMap(({ address, ifaceAddress, nbrState, state }) => {
        const from = address ?? ifaceAddress
        return from === undefined ? [] : [[from, (nbrState ?? state ?? '').split('/')[0]!] as const]
      })
  )
}
const sixNeighborsOf = (said: unknown): readonly (readonly [Address, string])[] =>
  Object.values(said as Readonly<Record<string, { readonly linkLocalAddress: Address; readonly neighborState: string }>>).map(
    // In the words of the other.
    ({ linkLocalAddress, neighborState }) => [linkLocalAddress, neighborState === 'Twoway' ? '2-Way' : neighborState],
  )
/** Two that neither is the designated router of their LAN stay at 2-Way, and route by each other all the same. */
const adjacent = /^(Full|2-Way)$/
const nobody: ReadonlyMap<Address, string> = new Map()
/** What routers have announced and the kernel has taken. */
async function learnedRoutes(runner: Runner): Promise<readonly Prefix[]> {
  const spoken = [
    ['4', 'bgp'],
    ['6', 'bgp'],
    ['4', 'ospf'],
    ['6', 'ospf'],
  ] as const
  const found = await Promise.all(
    spoken.map(async ([family, by]) => {
      const { code, stdout } = await runner.read(['ip', `-${family}`, '-j', 'route', 'show', 'proto', by])
      if (code !== 0 || stdout.trim() === '') return []
      const routes = JSON.parse(stdout) as readonly { readonly dst: string }[]
      return routes
        .filter(({ dst }) => dst !== 'default')
        .map(({ dst }) => (dst.includes('/') ? dst : `${dst}/${family === '4' ? 32 : 128}`) as Prefix)
    }),
  )
  return found.flat()
}
