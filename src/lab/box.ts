/**
 * Network namespaces as boxes. Each has a process that holds its network and mount namespace (a /run of its own, because
 * WireGuard's userspace sockets are named by device and two sites may use the same names); everything else enters by its pid.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Family } from '#src/net/address.ts'

export interface Box {
  readonly name: string
  /** Of the holder, in the lab's pid namespace. */
  readonly pid: number
}
export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export async function openBox(name: string): Promise<Box> {
  const script = [
    'mount -t tmpfs tmpfs /run',
    'ip link set lo up',
    'sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0',
    // FRR wants whom it runs as, here root, to be of its groups, and no other group is known in here.
    "{ grep -v '^frr' /etc/group; printf 'frr:x:0:root\\nfrrvty:x:0:root\\n'; } > /run/group",
    'mount --bind /run/group /etc/group',
    'echo ready',
    'exec sleep infinity',
  ].join(' && ')
  const holder = spawn('unshare', ['-n', '-m', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'pipe'] })
  let complaint = ''
  holder.stderr.on('data', (text: Buffer) => {
    complaint += text.toString()
  })
  const [first] = (await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')])) as [unknown]
  if (!Buffer.isBuffer(first) || holder.pid === undefined) throw new Error(`namespace ${name} could not be made: ${complaint.trim()}`)
  return { name, pid: holder.pid }
}

export const enter = (box: Box, argv: readonly string[]): string[] => ['nsenter', '-t', String(box.pid), '-m', '-n', '--', ...argv]

/** Runs to its end; never throws for an exit code. */
export async function run(argv: readonly string[], options: { readonly stdin?: string; readonly timeoutMs?: number } = {}): Promise<Ran> {
  const [command = '', ...args] = argv
  const child = spawn(command, args, { stdio: 'pipe', timeout: options.timeoutMs ?? 30_000, killSignal: 'SIGKILL' })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (text: Buffer) => {
    stdout += text.toString()
  })
  child.stderr.on('data', (text: Buffer) => {
    stderr += text.toString()
  })
  // The child may end before it has read its input.
  child.stdin.on('error', () => {})
  child.stdin.end(options.stdin ?? '')
  const code = await new Promise<number>((resolve) => {
    child.on('error', (error) => {
      stderr += error.message
      resolve(127)
    })
    child.on('close', (status) => resolve(status ?? 137))
  })
  return { code, stdout, stderr }
}

/** Many `ip` commands at the cost of one process. Rules are of the `family` said here, whatever stands in them. */
export async function ipBatch(box: Box, lines: readonly string[], family: Family = 4): Promise<void> {
  if (lines.length === 0) return
  const ran = await run(enter(box, ['ip', ...(family === 6 ? ['-6'] : []), '-batch', '-']), { stdin: `${lines.join('\n')}\n` })
  if (ran.code !== 0) throw new Error(`ip in ${box.name}: ${ran.stderr.trim()}`)
}

let wires = 0
/** Two boxes, joined by a link. Its ends are made where the lab itself is, and then moved. */
export async function wire(a: Box, nameA: string, b: Box, nameB: string): Promise<void> {
  const [one, other] = [`wire${wires}a`, `wire${wires}b`]
  wires++
  await must(
    ['ip', '-batch', '-'],
    `link add ${one} type veth peer name ${other}\nlink set ${one} netns ${a.pid} name ${nameA}\nlink set ${other} netns ${b.pid} name ${nameB}\n`,
  )
}

export async function must(argv: readonly string[], stdin?: string): Promise<string> {
  const ran = await run(argv, stdin === undefined ? {} : { stdin })
  if (ran.code !== 0) throw new Error(`${argv.join(' ')}: ${ran.stderr.trim() || `exit ${ran.code}`}`)
  return ran.stdout
}

/** A process that goes on; its output is appended to a file by the shell, so that it survives a busy parent. */
export function start(
  argv: readonly string[],
  options: { readonly log: string; readonly stdin?: string; readonly env?: Readonly<Record<string, string>> },
): ChildProcess {
  const child = spawn('sh', ['-c', 'log=$1; shift; exec "$@" >>"$log" 2>&1', 'sh', options.log, ...argv], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { ...process.env, ...options.env },
  })
  child.stdin?.on('error', () => {})
  child.stdin?.end(options.stdin ?? '')
  return child
}
