/**
 * A hub with two uplinks, a tunnel over each, and a stand-in cloud with a VPC host behind both ends:
 *
 *   wan0 192.0.2.10 ─────┐              ┌─ 203.0.113.1 cloud-a ┐
 *                     internet ─────────┤                      172.31.0.10
 *   wan1 198.51.100.10 ──┘              └─ 203.0.113.2 cloud-b ┘
 *
 * or, instead of the cloud, a third party's gateway, 203.0.113.200 with 172.20.0.10 behind it, that its owner sets up. Then
 * all lines have IPv6 as well: 2001:db8:a::10 and 2001:db8:b::10 at the hub, 2001:db8:c::200 at the third party.
 *
 * The hub is a process with the agent's keys, prober and driver, which can be killed; the clouds run strongSwan from plain
 * files. The world's process is the init of its namespaces, so that nothing outlives it.
 */
import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { openPing } from '#src/agent/echo.ts'
import { diskFiles } from '#src/agent/files.ts'
import { openBoxKeys, sealingKey } from '#src/agent/keys.ts'
import { createProber } from '#src/agent/probe.ts'
import { seal } from '#src/controller/pki/seal.ts'
import type { SecretRef, SiteConfig, TunnelId } from '#src/fabric/fabric.ts'
import { secretsOf } from '#src/fabric/secrets.ts'
import { x25519Raw } from '#src/wire/seal.ts'
import { createLinuxDriver } from '#providers/linux/index.ts'

const here = fileURLToPath(import.meta.url)
const psk = { a: 'a key of forty-two characters for tunnel a!', b: 'a key of forty-two characters for tunnel b!' } as const
type Side = keyof typeof psk
const box = { network: 'acme', site: 'frankfurt' }
/** Version 9 is not what the cloud has. */
const secretFor = (ref: SecretRef): string => (ref.version === 9 ? 'another key' : psk[ref.id.at(-1) as Side])

/** `versions`: of the pre-shared keys. */
export function hubConfig(versions: Readonly<Record<Side, number>> = { a: 1, b: 1 }): SiteConfig {
  const sides = [
    {
      side: 'a',
      slot: 0,
      uplink: 'isp-a',
      wan: 'wan0',
      own: '192.0.2.10',
      router: '192.0.2.1',
      cloud: '203.0.113.1',
      inside: '169.254.10.2',
      far: '169.254.10.1',
    },
    {
      side: 'b',
      slot: 1,
      uplink: 'isp-b',
      wan: 'wan1',
      own: '198.51.100.10',
      router: '198.51.100.1',
      cloud: '203.0.113.2',
      inside: '169.254.10.6',
      far: '169.254.10.5',
    },
  ] as const
  const id = ({ uplink }: (typeof sides)[number]) => `frankfurt.${uplink}--aws.0`
  const classes = [{ id: 'default', index: 0, dscp: 0, share: 100, sla: { loss: 0, latencyMs: 0, jitterMs: 0 } }]
  return {
    kind: 'site-config',
    network: { id: 'acme', ula: 'fd42:cafe:1::/48', mtu: 1360, mss: { v4: 1320, v6: 1300 }, pool: ['10.0.0.0/8', '172.16.0.0/12'] },
    site: 'frankfurt',
    index: 0,
    role: 'core',
    hub: true,
    loopback: 'fd42:cafe:1::1',
    uplinks: sides.map((one) => ({
      id: one.uplink,
      slot: one.slot,
      interface: one.wan,
      transport: 'internet',
      medium: 'fiber',
      metered: false,
      tags: [],
      up: 0,
      down: 0,
      endpoint: { kind: 'fixed', address: `${one.own}/24`, router: one.router, public: one.own, base: 51820 },
    })),
    classes,
    segments: [{ id: 'inference', index: 0 }],
    lans: [{ segment: 'inference', interface: 'lan0', prefix: '10.9.0.0/24', address: '10.9.0.1/24' }],
    routes: [{ segment: 'inference', to: '172.31.0.0/16', remote: 'aws' }],
    groups: [
      {
        remotes: ['aws'],
        trafficClass: 'default',
        arrived: 'anywhere',
        via: sides.map((one, index) => ({ tunnel: id(one), next: 'aws', stage: 0, cost: 10 + 10 * index, returnAfter: 0 })),
      },
    ],
    rules: [],
    transits: [],
    interfaces: sides.map((one) => ({
      id: `cloud:${one.uplink}/aws.0`,
      kind: 'cloud',
      uplink: one.uplink,
      stem: `cwi0u${one.slot}m0`,
      port: 52_000 + 2 * one.slot,
      tunnels: [id(one)],
      linkEpoch: 0,
      device: `cwi0u${one.slot}m0p0`,
      listenPort: 52_000 + 2 * one.slot,
    })),
    tunnels: sides.map((one) => ({
      id: id(one),
      index: one.slot,
      role: 'cloud',
      probe: 'icmp',
      interface: `cloud:${one.uplink}/aws.0`,
      linkEpoch: 0,
      uplink: one.uplink,
      metered: false,
      decides: true,
      initiates: true,
      remote: 'aws',
      connection: `frankfurt.${one.uplink}`,
      member: 0,
      inside: one.inside,
      farInside: one.far,
      peer: {
        kind: 'ipsec',
        address: one.cloud,
        port: 4500,
        localId: `hub-${one.side}`,
        remoteId: `cloud-${one.side}`,
        psk: { id: `psk/${one.side}`, version: versions[one.side], fingerprint: `${versions[one.side]}`.padStart(16, '0') },
        proposals: { ike: ['aes256gcm16-prfsha384-ecp384'], esp: ['aes256gcm16-ecp384'] },
        prefixes: ['172.31.0.0/16'],
      },
    })),
    waiting: [],
  } as unknown as SiteConfig
}

/** Whose namespaces there are beside the hub's: of the two ends of a cloud, or of a third party. */
export type Scene = 'clouds' | 'partner'
const network = (...others: readonly string[]): string => `
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/netns
for name in internet hub ${others.join(' ')}; do ip netns add $name; ip -n $name link set lo up; done
ip netns exec internet sysctl -qw net.ipv4.ip_forward=1
wire() { ip -n $1 link add $2 type veth peer name x0 netns internet; ip -n internet link set x0 name $5; ip -n $1 addr add $3 dev $2; ip -n $1 link set $2 up; ip -n internet link set $5 up; ip -n internet addr add $4 dev $5; }
wire hub wan0 192.0.2.10/24 192.0.2.1/24 isp-a
wire hub wan1 198.51.100.10/24 198.51.100.1/24 isp-b
ip -n hub link add lan0 type veth peer name lan1
ip -n hub link set lan0 up
ip -n hub link set lan1 up
`
const scenes: Readonly<Record<Scene, string>> = {
  clouds: `${network('cloud-a', 'cloud-b')}
wire cloud-a wan0 203.0.113.1/31 203.0.113.0/31 cloud-a
wire cloud-b wan0 203.0.113.2/31 203.0.113.3/31 cloud-b
ip -n cloud-a route add default via 203.0.113.0
ip -n cloud-b route add default via 203.0.113.3
for cloud in cloud-a cloud-b; do ip -n $cloud addr add 172.31.0.10/32 dev lo; done
`,
  partner: `${network('partner')}
wire partner wan0 203.0.113.200/24 203.0.113.1/24 partner
ip -n partner route add default via 203.0.113.1
ip -n partner addr add 172.20.0.10/32 dev lo
ip netns exec partner sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
ip netns exec internet sysctl -qw net.ipv6.conf.all.forwarding=1
wire_six() { ip -n $1 addr add $3 dev $2 nodad; ip -n internet addr add $4 dev $5 nodad; }
wire_six hub wan0 2001:db8:a::10/64 2001:db8:a::1/64 isp-a
wire_six hub wan1 2001:db8:b::10/64 2001:db8:b::1/64 isp-b
wire_six partner wan0 2001:db8:c::200/64 2001:db8:c::1/64 partner
ip -n partner route add default via 2001:db8:c::1
`,
}
function startCloud(side: Side, inside: string): void {
  const folder = `/run/cloud-${side}`
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
    id = cloud-${side} }
  remote { auth = psk
    id = hub-${side} }
  children { cloud { local_ts = 0.0.0.0/0
    remote_ts = 0.0.0.0/0
    esp_proposals = aes256gcm16-ecp384 } }
} }
secrets { ike { secret = "${psk[side]}" } }
`,
  )
  execFileSync(
    'bash',
    [
      '-c',
      `set -e
cd ${folder}
STRONGSWAN_CONF=${folder}/strongswan.conf ip netns exec cloud-${side} charon-systemd >log 2>&1 </dev/null &
for i in $(seq 100); do [ -S vici ] && break; sleep 0.05; done
SWANCTL_DIR=${folder}/swanctl swanctl --load-all --uri unix://${folder}/vici >/dev/null
ip -n cloud-${side} addr add ${inside} dev ipsec0
ip -n cloud-${side} link set ipsec0 mtu 1400
ip -n cloud-${side} route add 10.9.0.0/24 dev ipsec0`,
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  )
}

type Line = { readonly id: number; readonly value?: unknown; readonly error?: string }
const say = (line: Line): void => void process.stdout.write(`${JSON.stringify(line)}\n`)
const serve = (methods: Readonly<Record<string, (...args: never[]) => unknown>>, other: (line: string) => void = () => {}): void =>
  void createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, method, args } = JSON.parse(line) as { readonly id: number; readonly method: string; readonly args: never[] }
    const work = methods[method]
    if (!work) return other(line)
    void (async () => work(...args))().then(
      (value) => say({ id, value: value ?? null }),
      (error: unknown) => say({ id, error: String(error) }),
    )
  })

const state = '/run/h'
/** The agent's parts, without a controller to talk to; secrets come sealed from here when it is not headless. */
async function serveHub(): Promise<void> {
  const files = diskFiles(state)
  const keys = await openBoxKeys(files, box)
  const driver = createLinuxDriver({ stateDir: `${state}/device`, follow: false })
  const events: string[] = []
  const prober = createProber({
    tick: () => performance.now(),
    wall: () => Date.now(),
    random: Math.random,
    open: () => ({ send() {}, close() {} }),
    echo: openPing,
    leave: async () => {},
    steer: (choices) => driver.steer(choices),
    rehandshake: (tunnel) => driver.rehandshake(tunnel),
    event: (_event, text) => void events.push(text),
    changed() {},
  })
  const fetch = async (ref: SecretRef, secret = secretFor(ref)): Promise<string> => {
    const recipient = x25519Raw((await sealingKey(files)).publicKey).toString('base64')
    return seal(Buffer.from(secret), recipient, { ...box, secret: { id: ref.id, version: ref.version } })
  }
  serve({
    async run(config: SiteConfig, headless: boolean, secret?: string) {
      if (!headless) await keys.secrets.ensure(secretsOf(config), (ref) => fetch(ref, secret))
      const choices = prober.choicesFor(config)
      await driver.set(config, { prune: true, choices, keys })
      prober.load(config, 1, choices)
    },
    paths: () => prober.paths().map((one) => `${one.tunnel} ${one.state}${one.classes.length > 0 ? ' carries' : ''}`),
    findings: () => prober.findings(),
    burst: (tunnel: TunnelId) => prober.burst(tunnel, { count: 20, intervalMs: 20 }),
    drift: async (config: SiteConfig) => (await driver.drift(config)).map((one) => `${one.code} ${one.says}`),
    counters: () => driver.counters(),
    features: () => driver.features(),
    check: async (config: SiteConfig) => (await driver.check(config)).map((one) => `${one.code} ${one.says}`),
    events: () => events,
    wipe: async () => {
      prober.unload()
      await driver.wipe()
    },
  })
}

function serveWorld(scene: Scene): void {
  execFileSync('bash', ['-c', scenes[scene]], { stdio: ['ignore', 'inherit', 'inherit'] })
  if (scene === 'clouds') {
    startCloud('a', '169.254.10.1/30')
    startCloud('b', '169.254.10.5/30')
  }
  execFileSync('mkdir', ['-m', '700', '-p', state])
  let hub: ChildProcess
  const startHub = (): void => {
    hub = spawn('ip', ['netns', 'exec', 'hub', process.execPath, here, 'hub'], { stdio: ['pipe', 'pipe', 'ignore'] })
    createInterface({ input: hub.stdout! }).on('line', (line) => void process.stdout.write(`${line}\n`))
  }
  startHub()
  serve(
    {
      sh: (namespace: string, command: string) =>
        new Promise<string>((resolve) =>
          execFile('ip', ['netns', 'exec', namespace, 'sh', '-c', command], (_error, stdout, stderr) => resolve(stdout + stderr)),
        ),
      kill: async () => {
        const gone = new Promise((resolve) => hub.once('exit', resolve))
        hub.kill('SIGKILL')
        await gone
        startHub()
      },
    },
    (line) => hub.stdin!.write(`${line}\n`),
  )
  process.stdin.on('close', () => process.exit(0))
  say({ id: 0, value: 'ready' })
}

export interface HubWorld {
  ask<T>(method: string, ...args: readonly unknown[]): Promise<T>
  /** Output of a shell command in a namespace. */
  sh(namespace: string, command: string): Promise<string>
  end(): void
}
export async function startHubWorld(scene: Scene = 'clouds'): Promise<HubWorld> {
  const world = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', 'unshare', '-Urnmpf', '--kill-child', '--mount-proc', process.execPath, here, 'world', scene],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  )
  let trouble = ''
  world.stderr.setEncoding('utf8').on('data', (text: string) => (trouble += text))
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
    const id = ++last
    return new Promise<T>((resolve, reject) => {
      waiting.set(id, { resolve, reject })
      world.stdin.write(`${JSON.stringify({ id, method, args })}\n`)
    })
  }
  await ready
  return { ask, sh: (namespace, command) => ask('sh', namespace, command), end: () => void world.stdin.end() }
}

if (process.argv[1] === here) {
  if (process.argv[2] === 'hub') await serveHub()
  else serveWorld(process.argv[3] as Scene)
}
