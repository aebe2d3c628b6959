/**
 * Three gateways with hosts behind them and an internet between, as network namespaces of one unprivileged `unshare`:
 *
 *   b0 b1 ─ berlin ─ wan0 100.64.1.2 ─┐            ┌─ 198.51.100.10 dublin ─ d0
 *                  ─ wan1 100.64.2.2 ─┴─ internet ─┴─ 192.0.2.10 frankfurt ─ f0
 *
 * Run as a process it is the init of those namespaces, and whatever it started ends with it. `startWorld` is its other
 * end, for tests.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import type { Choice } from '#providers/device.ts'
import { keysOf, type Name } from '#test/unit/linux/network.ts'

type Message = { readonly id: number; readonly value?: unknown; readonly error?: unknown; readonly echo?: string; readonly site?: string }
export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}
export interface World {
  /** Runs a command in a namespace. */
  run(namespace: string, command: string): Promise<CommandResult>
  /** Calls a driver's method at a gateway; rejects with the Finding. */
  call<T>(site: string, method: string, ...args: readonly unknown[]): Promise<T>
  /** Commands that a gateway printed since the last time. */
  echoes(site: string): readonly string[]
  /** SIGKILL to the gateway's agent process, and a new one in its place. */
  restart(site: string): Promise<void>
  stop(): void
}

const sites = { berlin: ['b0', 'b1'], dublin: ['d0'], frankfurt: ['f0'] } as const
const script = `
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/netns
# FRR asks for its groups, and here is nobody but root.
printf 'root:x:0:\\nfrr:x:0:root\\nfrrvty:x:0:root\\n' > /run/group
mount --bind /run/group /etc/group
ip link set lo up
for name in internet berlin dublin frankfurt b0 b1 d0 f0; do ip netns add $name; ip -n $name link set lo up; done
ip netns exec internet sysctl -qw net.ipv4.ip_forward=1
wire() { ip -n $1 link add $2 type veth peer name x0 netns $3; ip -n $3 link set x0 name $4; ip -n $1 link set $2 up; ip -n $3 link set $4 up; }
uplink() { wire $1 $2 internet $3; ip -n $1 addr add $4/24 dev $2; ip -n internet addr add $5/24 dev $3; ip -n $1 route add default via $5 dev $2 metric $6; }
uplink berlin wan0 b-fiber 100.64.1.2 100.64.1.1 100
uplink berlin wan1 b-lte 100.64.2.2 100.64.2.1 200
uplink dublin wan0 d-a 198.51.100.10 198.51.100.1 100
uplink frankfurt wan0 f-a 192.0.2.10 192.0.2.1 100
host() { wire $1 $2 $3 eth0; ip -n $3 addr add $4/24 dev eth0; ip -n $3 route add default via $5; }
host berlin lan0 b0 10.1.10.10 10.1.10.1
host berlin lan1 b1 10.1.20.10 10.1.20.1
host dublin lan0 d0 10.2.10.10 10.2.10.1
host frankfurt lan0 f0 10.3.10.10 10.3.10.1
`

function serve(): void {
  execFileSync('bash', ['-c', script], { stdio: ['ignore', 'inherit', 'inherit'] })
  const say = (message: Message): void => void process.stdout.write(`${JSON.stringify(message)}\n`)
  const gateways = new Map<string, ChildProcess>()
  const start = (site: string): void => {
    // WireGuard's sockets are files named by device, and every gateway has a cwh0s0p0.
    const enter = `mkdir -p /run/wireguard && mount --bind /run/wg-${site} /run/wireguard && exec "$0" "$@"`
    execFileSync('mkdir', ['-p', `/run/wg-${site}`])
    const gateway = spawn(
      'ip',
      [
        'netns',
        'exec',
        site,
        'unshare',
        '-m',
        'sh',
        '-c',
        enter,
        process.execPath,
        fileURLToPath(new URL('linux-site.ts', import.meta.url)),
        `/run/state-${site}`,
        process.argv[2]!,
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    )
    createInterface({ input: gateway.stdout }).on('line', (line) => say({ ...(JSON.parse(line) as Message), site }))
    gateways.set(site, gateway)
  }
  for (const site of Object.keys(sites)) start(site)
  createInterface({ input: process.stdin })
    .on('line', (line) => {
      const { id, to, method, args } = JSON.parse(line) as {
        readonly id: number
        readonly to: string
        readonly method: string
        readonly args: readonly string[]
      }
      if (method === 'run') {
        execFile('ip', ['netns', 'exec', to, 'sh', '-c', args[0]!], (error, stdout, stderr) =>
          say({ id, value: { code: error ? (typeof error.code === 'number' ? error.code : 1) : 0, stdout, stderr } }),
        )
      } else if (method === 'restart') {
        const gateway = gateways.get(to)!
        gateway.on('exit', () => {
          start(to)
          say({ id, value: null })
        })
        gateway.kill('SIGKILL')
      } else gateways.get(to)!.stdin!.write(`${JSON.stringify({ id, method, args })}\n`)
    })
    .on('close', () => process.exit(0))
  say({ id: 0, value: 'ready' })
}

/** `still`: gateways don't follow what the operating system changes, so that a test sees it before they do. */
export async function startWorld(gateways: 'follow' | 'still' = 'follow'): Promise<World> {
  const world = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', 'unshare', '-Urnmpf', '--kill-child', '--mount-proc', process.execPath, fileURLToPath(import.meta.url), gateways],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  )
  let trouble = ''
  world.stderr.setEncoding('utf8').on('data', (text: string) => {
    trouble += text
  })
  const echoed = new Map<string, string[]>()
  const waiting = new Map<number, { readonly resolve: (value: never) => void; readonly reject: (error: unknown) => void }>()
  const ready = new Promise<void>((resolve, reject) => waiting.set(0, { resolve, reject }))
  world.on('exit', (code) => {
    for (const one of waiting.values()) one.reject(new Error(`the namespaces ended (${code}): ${trouble}`))
  })
  createInterface({ input: world.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as Message
    if (message.echo !== undefined) {
      echoed.set(message.site!, [...(echoed.get(message.site!) ?? []), message.echo])
      return
    }
    const one = waiting.get(message.id)
    waiting.delete(message.id)
    if (message.error === undefined) one?.resolve(message.value as never)
    else one?.reject(message.error)
  })
  let last = 0
  const ask = <T>(to: string, method: string, args: readonly unknown[]): Promise<T> => {
    last += 1
    const id = last
    return new Promise<T>((resolve, reject) => {
      waiting.set(id, { resolve, reject })
      world.stdin.write(`${JSON.stringify({ id, to, method, args })}\n`)
    })
  }
  await ready
  return {
    run: (namespace, command) => ask(namespace, 'run', [command]),
    call: (site, method, ...args) => ask(site, method, args),
    restart: (site) => ask(site, 'restart', []),
    echoes(site) {
      const all = echoed.get(site) ?? []
      echoed.delete(site)
      return all
    },
    stop: () => void world.stdin.end(),
  }
}

export interface SetHow {
  readonly prune?: boolean
  readonly choices?: readonly Choice[]
}
/** Applies a config at a gateway, with the keys that the test's network made for it. */
export async function setSite(world: World, site: Name, config: SiteConfig, how: SetHow = {}): Promise<void> {
  const keys = await Promise.all(
    config.interfaces.map(
      async (one) => [`${one.id} ${one.linkEpoch}`, await keysOf(site).privateKey({ interface: one.id, linkEpoch: one.linkEpoch })] as const,
    ),
  )
  await world.call(site, 'set', config, { prune: how.prune ?? true, choices: how.choices ?? [], privateKeys: Object.fromEntries(keys) })
}
/** Asks until it holds: handshakes and neighbour discovery take their time. */
export async function eventually(question: () => Promise<boolean>, seconds = 10): Promise<boolean> {
  for (let tries = 0; tries < 5 * seconds; tries++) {
    if (await question()) return true
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  return false
}

if (process.argv[1] === fileURLToPath(import.meta.url)) serve()
