/**
 * One hub uplink and two cloud tunnel endpoints, as in one AWS connection, in namespaces of one unprivileged `unshare`:
 *
 *   hub wan0 192.0.2.10 ── internet ─┬─ 203.0.113.1 cloud-a ┐ 172.31.0.10 behind both
 *                                    └─ 203.0.113.2 cloud-b ┘
 *
 * The clouds run strongSwan from plain files and share no code with the driver; only the hub does. Run as a process this
 * is the init of those namespaces, so that nothing outlives it.
 */
import { execFile, execFileSync, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type UserspaceTunnel, type RunningTunnel, startTunnel } from '#providers/linux/ipsec.ts'
import { DeviceError } from '#providers/linux/errors.ts'
import { createRunner } from '#providers/linux/run.ts'

export const keys = { a: 'a key of forty-two characters for tunnel a!', b: 'a key of forty-two characters for tunnel b!' } as const
const here = fileURLToPath(import.meta.url)
const network = `
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/netns
for name in internet hub cloud-a cloud-b; do ip netns add $name; ip -n $name link set lo up; done
ip netns exec internet sysctl -qw net.ipv4.ip_forward=1
wire() { ip -n $1 link add wan0 type veth peer name x0 netns internet; ip -n internet link set x0 name $1; ip -n $1 addr add $2 dev wan0; ip -n $1 link set wan0 up; ip -n internet link set $1 up; ip -n internet addr add $3 dev $1; }
wire hub 192.0.2.10/24 192.0.2.1/24
wire cloud-a 203.0.113.1/31 203.0.113.0/31
wire cloud-b 203.0.113.2/31 203.0.113.3/31
ip -n cloud-a route add default via 203.0.113.0
ip -n cloud-b route add default via 203.0.113.3
for cloud in cloud-a cloud-b; do ip -n $cloud addr add 172.31.0.10/32 dev lo; done
ip -n hub addr add 10.9.0.1/32 dev lo
# The hub has default routes only in the table of its uplink, as the driver makes it.
ip -n hub rule add fwmark 0x10000/0xff0000 lookup 7700 prio 10
ip -n hub route add default via 192.0.2.1 table 7700
`
function startCloud(name: 'a' | 'b', inside: string): void {
  const folder = `/run/cloud-${name}`
  execFileSync('mkdir', ['-p', `${folder}/swanctl`])
  writeFileSync(
    `${folder}/strongswan.conf`,
    `charon-systemd {
  load_modular = no
  load = random nonce openssl aes gcm sha2 hmac kdf curve25519 kernel-libipsec kernel-netlink socket-default vici
  routing_table = 9001
  routing_table_prio = 40001
  plugins { kernel-libipsec { allow_peer_ts = yes } kernel-netlink { fwmark = !0x41 } socket-default { fwmark = 0x41 } vici { socket = unix://${folder}/vici } }
  filelog { stderr { default = 1 } }
}
`,
  )
  writeFileSync(
    `${folder}/swanctl/swanctl.conf`,
    `connections { cloud {
  version = 2
  encap = yes
  proposals = aes256gcm16-prfsha384-ecp384
  local { auth = psk
    id = cloud-${name} }
  remote { auth = psk
    id = hub-${name} }
  children { cloud { local_ts = 0.0.0.0/0
    remote_ts = 0.0.0.0/0
    esp_proposals = aes256gcm16 } }
} }
secrets { ike { secret = "${keys[name]}" } }
`,
  )
  execFileSync(
    'bash',
    [
      '-c',
      `set -e
cd ${folder}
STRONGSWAN_CONF=${folder}/strongswan.conf ip netns exec cloud-${name} charon-systemd >log 2>&1 </dev/null &
echo $! >pid
for i in $(seq 100); do [ -S vici ] && break; sleep 0.05; done
SWANCTL_DIR=${folder}/swanctl swanctl --load-all --uri unix://${folder}/vici >/dev/null
ip -n cloud-${name} addr add ${inside} dev ipsec0
ip -n cloud-${name} link set ipsec0 mtu 1400
ip -n cloud-${name} route add 10.9.0.1/32 dev ipsec0`,
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  )
}

type Line = { readonly id: number; readonly value?: unknown; readonly error?: string }
const say = (line: Line): void => void process.stdout.write(`${JSON.stringify(line)}\n`)

/** The hub: a process in its namespace that runs the driver's code. */
function serveHub(): void {
  const run = createRunner()
  const tunnels = new Map<string, RunningTunnel>()
  const methods = {
    start: async (tunnel: UserspaceTunnel, secret: string) => {
      const started = await startTunnel(tunnel, Buffer.from(secret), { run, folder: `/run/hub/${tunnel.device}` })
      tunnels.set(tunnel.device, started)
      return { device: started.device, pid: started.pid }
    },
    state: (device: string) => tunnels.get(device)!.state(),
    stop: async (device: string) => tunnels.get(device)!.stop(),
  } as const
  createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, method, args } = JSON.parse(line) as { readonly id: number; readonly method: keyof typeof methods; readonly args: readonly never[] }
    const work = methods[method] as (...args: readonly never[]) => Promise<unknown>
    work(...args).then(
      (value) => say({ id, value: value ?? null }),
      (error: unknown) =>
        say({
          id,
          error: error instanceof DeviceError ? `${error.finding.code} ${error.finding.says} (${error.finding.witness.join('; ')})` : String(error),
        }),
    )
  })
}

function serveWorld(): void {
  execFileSync('bash', ['-c', network], { stdio: ['ignore', 'inherit', 'inherit'] })
  startCloud('a', '169.254.10.1/30')
  startCloud('b', '169.254.10.5/30')
  execFileSync('mkdir', ['-m', '700', '-p', '/run/hub'])
  const hub = spawn('ip', ['netns', 'exec', 'hub', process.execPath, here, 'hub'], { stdio: ['pipe', 'pipe', 'inherit'] })
  createInterface({ input: hub.stdout }).on('line', (line) => void process.stdout.write(`${line}\n`))
  createInterface({ input: process.stdin })
    .on('line', (line) => {
      const { id, method, args } = JSON.parse(line) as { readonly id: number; readonly method: string; readonly args: readonly string[] }
      if (method === 'restartCloud') {
        execFileSync('bash', [
          '-c',
          'kill -9 $(cat /run/cloud-a/pid); rm /run/cloud-a/vici; while ip -n cloud-a link show ipsec0 >/dev/null 2>&1; do sleep 0.02; done',
        ])
        startCloud('a', '169.254.10.1/30')
        return say({ id, value: null })
      }
      if (method !== 'run') return void hub.stdin.write(`${line}\n`)
      execFile('ip', ['netns', 'exec', args[0]!, 'sh', '-c', args[1]!], (_error, stdout, stderr) => say({ id, value: stdout + stderr }))
    })
    .on('close', () => process.exit(0))
  say({ id: 0, value: 'ready' })
}

export interface World {
  /** Output of a shell command in a namespace. */
  run(namespace: string, command: string): Promise<string>
  start(tunnel: UserspaceTunnel, secret: string): Promise<{ readonly device: string; readonly pid: number }>
  state(device: string): ReturnType<RunningTunnel['state']>
  stop(device: string): Promise<void>
  /** SIGKILL to cloud-a's charon and a new one, which knows nothing of its security associations. */
  restartCloud(): Promise<void>
  end(): void
}

export async function startWorld(): Promise<World> {
  const world = spawn('setpriv', ['--pdeathsig', 'KILL', 'unshare', '-Urnmpf', '--kill-child', '--mount-proc', process.execPath, here, 'world'], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let trouble = ''
  world.stderr.setEncoding('utf8').on('data', (text: string) => {
    trouble += text
  })
  const waiting = new Map<number, { readonly resolve: (value: never) => void; readonly reject: (error: Error) => void }>()
  const ready = new Promise<void>((resolve, reject) => waiting.set(0, { resolve, reject }))
  world.on('exit', (code) => {
    for (const one of waiting.values()) one.reject(new Error(`the namespaces ended (${code}): ${trouble}`))
  })
  createInterface({ input: world.stdout }).on('line', (line) => {
    const { id, value, error } = JSON.parse(line) as Line
    const one = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) one?.resolve(value as never)
    else one?.reject(new Error(error))
  })
  let last = 0
  const ask = <T>(method: string, ...args: readonly unknown[]): Promise<T> => {
    last += 1
    const id = last
    return new Promise<T>((resolve, reject) => {
      waiting.set(id, { resolve, reject })
      world.stdin.write(`${JSON.stringify({ id, method, args })}\n`)
    })
  }
  await ready
  return {
    run: (namespace, command) => ask('run', namespace, command),
    start: (tunnel, secret) => ask('start', tunnel, secret),
    state: (device) => ask('state', device),
    stop: (device) => ask('stop', device),
    restartCloud: () => ask('restartCloud'),
    end: () => void world.stdin.end(),
  }
}

if (process.argv[1] === here) {
  if (process.argv[2] === 'hub') serveHub()
  else serveWorld()
}
