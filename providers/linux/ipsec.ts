/**
 * What charon, strongSwan's IKE daemon, is told, and how it is started. Selectors are everything: which tunnel a packet takes is
 * an ordinary route to its device.
 *
 * Kernel ESP: one charon for all tunnels, an xfrm interface each. Userspace ESP (kernel-libipsec): a charon per tunnel,
 * because one charon puts all its tunnels on a single TUN and traffic into the last of them.
 */
import { mkdir, readlink, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { selectorOf } from '#src/fabric/ipsec.ts'
import type { Address, AddressWithLength, Family } from '#src/net/address.ts'
import { DeviceError, finding } from './errors.ts'
import { firstLine, type Runner, type Started } from './run.ts'
import { hex, wellKnownPorts, outerMask } from './scheme.ts'
import { connectVici, type Vici, type ViciAnswer, type ViciMessage } from './vici.ts'

interface Tunnel {
  /** Kernel name of the device, at most 15 characters; also the connection's. */
  readonly device: string
  /** fwmark of the uplink's encrypted packets (`outerMark`). */
  readonly mark: number
  /** charon's two UDP ports: IKE, and IKE with ESP in UDP (RFC 3948). */
  readonly local: { readonly address: Address; readonly id: string; readonly ports: { readonly ike: number; readonly nat: number } }
  readonly remote: { readonly address: Address; readonly id: string; readonly port: number }
  readonly inside: AddressWithLength
  /** Where it has addresses of both families inside: that of IPv6. */
  readonly alsoInside?: AddressWithLength
  /** Of the packets that it carries. Absent: IPv4. */
  readonly families?: readonly Family[]
  readonly initiates: boolean
  /** strongSwan's notation, e.g. `aes256gcm16-prfsha384-ecp384`. */
  readonly proposals: { readonly ike: readonly string[]; readonly esp: readonly string[] }
  /** Seconds after which this end makes new keys. */
  readonly rekey?: { readonly ike: number; readonly esp: number }
  readonly mtu: number
}
export interface KernelTunnel extends Tunnel {
  readonly esp: 'kernel'
  /** Ties security associations and policies to the xfrm interface. */
  readonly ifId: number
}
export interface UserspaceTunnel extends Tunnel {
  readonly esp: 'userspace'
  /** Distinct per charon: the table of the 0/0 route that libipsec insists on and nothing may use. */
  readonly table: number
}
export type IpsecTunnel = KernelTunnel | UserspaceTunnel
export interface TunnelState {
  /** '' when there is none. */
  readonly ike: string
  readonly child: string
  /** Seconds since the association was made, 0 when there is none. */
  readonly establishedFor: number
  readonly rxBytes: number
  readonly txBytes: number
}
export interface RunningTunnel {
  readonly device: string
  readonly pid: number
  /** What charon says of the tunnel now. */
  state(): Promise<TunnelState>
  /** Lets go of the control socket; the tunnel runs on. */
  release(): void
  /** Ends the security associations, the process and with it the TUN. */
  stop(): Promise<void>
}

/** Behind `main` and `default`, where charon's 0/0 route can only catch what has no route at all. */
const strayPriority = 40_001
/** `socket-default!`: without its socket charon shall end, not idle. */
const plugins =
  'random nonce openssl aes gcm sha2 hmac kdf curve25519 pem pkcs1 pkcs8 x509 pubkey revocation constraints kernel-netlink socket-default! vici updown'

function strongswanConf(
  folder: string,
  of: {
    readonly load: string
    readonly ports: { readonly ike: number; readonly nat: number }
    readonly lines: readonly string[]
    readonly plugins: readonly string[]
  },
): string {
  return `charon-systemd {
  load_modular = no
  load = ${of.load}
  port = ${of.ports.ike}
  port_nat_t = ${of.ports.nat}
${of.lines.map((line) => `  ${line}\n`).join('')}\
  # Traffic classes overtake each other, by more than the default of 32 packets.
  replay_window = 1024
  # A dead peer is known after about 7 s (1 + 1.4 + 2 + 2.7), and not after 165.
  retransmit_timeout = 1
  retransmit_base = 1.4
  retransmit_tries = 3
  plugins {
${of.plugins.map((line) => `    ${line}\n`).join('')}\
    vici { socket = unix://${socketOf(folder)} }
  }
  journal { default = -1 }
  # Why a tunnel fails is told over VICI; a log of each attempt would fill the disk of a box whose cloud is away.
  filelog { stderr { default = 0
    lib = 1 } }
}
`
}
/** strongswan.conf of one tunnel's charon. Without marks and a late rule IKE would capture its own packets under 0/0. */
export const userspaceSettings = (tunnel: UserspaceTunnel, folder: string): string =>
  strongswanConf(folder, {
    load: `kernel-libipsec ${plugins}`,
    ports: tunnel.local.ports,
    lines: [`routing_table = ${tunnel.table}`, `routing_table_prio = ${strayPriority}`],
    plugins: [
      'kernel-libipsec { allow_peer_ts = yes }',
      `kernel-netlink { fwmark = !${hex(tunnel.mark)}/${hex(outerMask)} }`,
      `socket-default { fwmark = ${hex(tunnel.mark)} }`,
    ],
  })
/** strongswan.conf of the one charon. Its IKE packets find their uplink by their source address. */
export const kernelSettings = (folder: string): string =>
  strongswanConf(folder, {
    load: plugins,
    ports: wellKnownPorts,
    // Table 0 is none: without it charon makes a rule for its own, however empty that stays.
    lines: ['install_routes = no', 'install_virtual_ip = no', 'routing_table = 0'],
    plugins: [],
  })
export const socketOf = (folder: string): string => join(folder, 'vici')
/** sockaddr_un. */
const longestSocketPath = 107
const aliasOf = (device: string): string => `causeway ${device}`

/** `load-conn`: no secret in it. */
export function connection(tunnel: IpsecTunnel): ViciMessage {
  // A far end that knows one family narrows them to it (RFC 7296 section 2.9); a cloud is offered what it has.
  const selectors = (tunnel.families ?? [4]).map((family) => selectorOf[family])
  return {
    [tunnel.device]: {
      version: '2',
      local_addrs: [tunnel.local.address],
      remote_addrs: [tunnel.remote.address],
      local_port: String(tunnel.local.ports.nat),
      remote_port: String(tunnel.remote.port),
      // One form of packet on the wire: libipsec knows no other, and it passes NATs and carriers that drop ESP.
      encap: 'yes',
      mobike: 'no',
      // For ever: a cloud's endpoint may be replaced for minutes.
      keyingtries: '0',
      proposals: tunnel.proposals.ike,
      ...(tunnel.rekey ? { rekey_time: `${tunnel.rekey.ike}s` } : {}),
      dpd_delay: '2s',
      local: { auth: 'psk', id: tunnel.local.id },
      remote: { auth: 'psk', id: tunnel.remote.id },
      children: {
        [tunnel.device]: {
          local_ts: selectors,
          remote_ts: selectors,
          esp_proposals: tunnel.proposals.esp,
          ...(tunnel.rekey ? { rekey_time: `${tunnel.rekey.esp}s` } : {}),
          dpd_action: tunnel.initiates ? 'restart' : 'clear',
          close_action: tunnel.initiates ? 'start' : 'none',
          start_action: 'none',
          ...(tunnel.esp === 'kernel' ? kernelChild(tunnel) : {}),
        },
      },
    },
  }
}
const kernelChild = ({ ifId, mark }: KernelTunnel): ViciMessage => ({
  if_id_in: String(ifId),
  if_id_out: String(ifId),
  // By it the encrypted packet finds the routing table of its uplink.
  set_mark_out: `${hex(mark)}/${hex(outerMask)}`,
  copy_dscp: 'out',
})
/** `load-shared`: the secret goes through the socket only, never into a file or argv. */
export const shared = (tunnel: IpsecTunnel, secret: Uint8Array): ViciMessage => ({
  id: tunnel.device,
  type: 'IKE',
  data: secret,
  owners: [tunnel.local.id, tunnel.remote.id],
})

/** A process with its control socket open; `whose` is for messages. Throws DeviceError D042, D045. */
async function launch(
  run: Runner,
  folder: string,
  of: { readonly at: readonly string[]; readonly whose: string; readonly settings: string },
): Promise<{ readonly charon: Started; readonly vici: Vici; readonly patiently: Patiently }> {
  if (Buffer.byteLength(socketOf(folder)) > longestSocketPath)
    throw new DeviceError(
      finding(
        'D045',
        of.at,
        `${socketOf(folder)} is too long for a socket: ${longestSocketPath} bytes at most`,
        'give the agent a shorter state folder: --state DIR',
      ),
    )
  await mkdir(folder, { recursive: true, mode: 0o700 })
  // Of a charon that was killed.
  await rm(socketOf(folder), { force: true })
  const config = join(folder, 'strongswan.conf')
  await writeFile(config, of.settings, { mode: 0o600 })
  const pid = await run.daemon(['charon-systemd'], { env: { STRONGSWAN_CONF: config }, log: join(folder, 'log') })
  const charon: Started = { pid, startTime: (await run.startTime(pid)) ?? '' }
  /** Asks every 20 ms for 10 s, as long as charon lives. */
  const patiently: Patiently = async (ask) => {
    for (let tries = 0; tries < 500; tries++) {
      const answer = await ask()
      if (answer !== undefined) return answer
      if (!(await isAlive(charon, run))) break
      await pause(20)
    }
    throw new DeviceError(
      finding(
        'D042',
        of.at,
        `charon did not start for ${of.whose}`,
        `look into ${join(folder, 'log')}; the packages are charon-systemd, libcharon-extra-plugins and libstrongswan-standard-plugins`,
      ),
    )
  }
  const vici = await patiently(async () => {
    if ((await run.list(folder)).includes('vici')) return connectVici(socketOf(folder)).catch(() => undefined)
    return undefined
  }).catch(async (error: unknown) => {
    await end(charon, run)
    throw error
  })
  return { charon, vici, patiently }
}
type Patiently = <T>(ask: () => Promise<T | undefined>) => Promise<T>

/** The charon of all tunnels with kernel ESP; they are loaded over its socket. Throws DeviceError D042, D045, D047. */
export async function startSharedCharon(run: Runner, folder: string): Promise<void> {
  const bound = (await Promise.all(['/proc/net/udp', '/proc/net/udp6'].map((path) => run.readFile(path)))).join('\n')
  for (const port of [wellKnownPorts.ike, wellKnownPorts.nat]) {
    if (new RegExp(`^ *\\d+: [0-9A-F]+:${port.toString(16).toUpperCase().padStart(4, '0')} `, 'm').test(bound))
      throw new DeviceError(
        finding(
          'D047',
          [],
          `another program listens on udp/${port}, which the charon of this box's IPsec tunnels needs`,
          `ss -ulpn shows it; if it is the distribution's own: systemctl disable --now strongswan strongswan-starter`,
        ),
      )
  }
  const { vici } = await launch(run, folder, { at: [], whose: 'the IPsec tunnels', settings: kernelSettings(folder) })
  vici.close()
}

/** Takes away what a charon that was killed has left in the kernel: nobody else would, and policies never expire. */
export async function clearAssociations(run: Runner, ifIds: readonly number[]): Promise<void> {
  const listed = await Promise.all(['state', 'policy'].map((what) => run.read(['ip', 'xfrm', what, 'list'])))
  const [states, policies] = listed.map(({ stdout }) =>
    stdout.split(/^(?=src )/m).filter((one) => ifIds.includes(Number(/\bif_id (0x[0-9a-f]+)/.exec(one)?.[1]))),
  )
  const lines = [
    ...(policies ?? []).flatMap((one) => {
      const [, selector, direction, ifId] = /^(src \S+ dst \S+)[^]*?\bdir (\w+)[^]*?\bif_id (\S+)/.exec(one) ?? []
      return selector === undefined ? [] : [`xfrm policy delete ${selector} dir ${direction} if_id ${ifId}`]
    }),
    ...(states ?? []).flatMap((one) => {
      const [, ends, which] = /^(src \S+ dst \S+)\s+(proto \S+ spi \S+)/.exec(one) ?? []
      return ends === undefined ? [] : [`xfrm state delete ${ends} ${which}`]
    }),
  ]
  if (lines.length === 0) return
  await run.change(['ip', '-force', '-batch', '-'], { input: `${lines.join('\n')}\n`, show: lines.map((line) => `ip ${line}`) })
}

/** Connection and secret, and the association if this end makes it. */
export async function load(vici: Vici, tunnel: IpsecTunnel, secret: Uint8Array, { wait }: { readonly wait: boolean }): Promise<void> {
  await vici.request('load-shared', shared(tunnel, secret))
  await vici.request('load-conn', connection(tunnel))
  if (tunnel.initiates) await (wait ? initiate(vici, tunnel) : vici.request('initiate', { ...initiation(tunnel.device), timeout: '-1' }))
}
/** The opposite of `load`. What is not there is as good as unloaded. */
export async function unload(vici: Vici, device: string): Promise<void> {
  await vici.request('unload-conn', { name: device }).catch(() => {})
  await vici.request('terminate', { ike: device, timeout: '2000' }).catch(() => {})
  await vici.request('unload-shared', { id: device }).catch(() => {})
}

/**
 * Starts a tunnel with userspace ESP: charon, its TUN found by the process that holds it and renamed, connection and
 * secret over VICI. Call it for one tunnel after another. `folder` is the tunnel's own, mode 0700; its path is short
 * (sockets end at 107 bytes). Throws DeviceError D040–D045.
 */
export async function startTunnel(
  tunnel: UserspaceTunnel,
  secret: Uint8Array,
  { run, folder, wait = true }: { readonly run: Runner; readonly folder: string /** For the security association. */; readonly wait?: boolean },
): Promise<RunningTunnel> {
  await removePlaceholder(tunnel.device, run)
  const { charon, vici, patiently } = await launch(run, folder, {
    at: [tunnel.device],
    whose: `the IPsec tunnel ${tunnel.device}`,
    settings: userspaceSettings(tunnel, folder),
  })
  try {
    const made = await patiently(() => tunOf(charon.pid, run))
    await ip(run, tunnel, [
      ['link', 'set', 'dev', made, 'down'],
      ['link', 'set', 'dev', made, 'name', tunnel.device],
      ['link', 'set', 'dev', tunnel.device, 'mtu', String(tunnel.mtu), 'up'],
      ['address', 'replace', tunnel.inside, 'dev', tunnel.device],
      ...(tunnel.alsoInside === undefined ? [] : [['address', 'replace', tunnel.alsoInside, 'dev', tunnel.device]]),
    ])
    await ip(run, tunnel, [
      // charon knows its TUN by the old name for ever, and without a device of that name it can't install its 0/0 route
      // and fails the SA, also when DPD brings it up again. So an empty TUN takes the name; what is routed there is lost.
      ['tuntap', 'add', 'dev', made, 'mode', 'tun'],
      // By its alias it is found again, whoever started it.
      ['link', 'set', 'dev', made, 'alias', aliasOf(tunnel.device), 'up'],
    ])
    await load(vici, tunnel, secret, { wait })
    return running(tunnel, vici, charon, run)
  } catch (error) {
    await remove(tunnel.device, charon, run)
    throw error
  }
}

/** Ends charon, with which its TUN goes, and then what took the TUN's first name. */
export async function remove(device: string, charon: Started, run: Runner): Promise<void> {
  await end(charon, run)
  await removePlaceholder(device, run)
}
/** Until it is gone, and its security associations with it. */
export async function end(charon: Started, run: Runner): Promise<void> {
  await run.end(charon)
  for (let tries = 0; tries < 100 && (await isAlive(charon, run)); tries++) await pause(50)
}
async function removePlaceholder(device: string, run: Runner): Promise<void> {
  const listed = await run.read(['ip', '-j', 'link', 'show'])
  if (listed.code !== 0 || listed.stdout.trim() === '') return
  for (const link of JSON.parse(listed.stdout) as readonly { readonly ifname: string; readonly ifalias?: string }[])
    if (link.ifalias === aliasOf(device)) await run.change(['ip', 'link', 'delete', 'dev', link.ifname])
}
/** A zombie that nobody has waited for holds no TUN any more. */
const isAlive = async (charon: Started, run: Runner): Promise<boolean> =>
  (await run.startTime(charon.pid)) === charon.startTime && (await run.list(`/proc/${charon.pid}/fd`)).length > 0

const initiation = (device: string): ViciMessage => ({ child: device, ike: device, timeout: '10000', 'init-limits': 'no' })
async function initiate(vici: Vici, tunnel: IpsecTunnel): Promise<void> {
  try {
    await vici.request('initiate', initiation(tunnel.device))
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error
    throw new DeviceError(
      finding(
        'D044',
        [tunnel.device],
        `the IPsec tunnel ${tunnel.device} to ${tunnel.remote.address} does not come up`,
        'compare pre-shared key, ids and proposals of both ends',
        { witness: [error.finding.says] },
      ),
    )
  }
}

export async function stateOf(vici: Vici, device: string): Promise<TunnelState> {
  const [sa] = await vici.stream('list-sas', 'list-sa', { ike: device })
  const ike = section(sa, device)
  const child = Object.values(section(ike, 'child-sas') ?? {})[0] as ViciAnswer | undefined
  return {
    ike: text(ike, 'state'),
    child: text(child, 'state'),
    establishedFor: Number(text(ike, 'established') || 0),
    rxBytes: Number(text(child, 'bytes-in') || 0),
    txBytes: Number(text(child, 'bytes-out') || 0),
  }
}

function running(tunnel: IpsecTunnel, vici: Vici, charon: Started, run: Runner): RunningTunnel {
  return {
    device: tunnel.device,
    pid: charon.pid,
    state: () => stateOf(vici, tunnel.device),
    release: () => vici.close(),
    async stop() {
      await vici.request('terminate', { ike: tunnel.device, timeout: '2000' }).catch(() => {})
      vici.close()
      await remove(tunnel.device, charon, run)
    },
  }
}
async function ip(run: Runner, tunnel: IpsecTunnel, commands: readonly (readonly string[])[]): Promise<void> {
  for (const words of commands) {
    const done = await run.change(['ip', ...words])
    if (done.code !== 0)
      throw new DeviceError(
        finding('D043', [tunnel.device], `"ip ${words.join(' ')}" failed: ${firstLine(done)}`, 'look for another device of that name'),
      )
  }
}
const section = (of: ViciAnswer | undefined, name: string): ViciAnswer | undefined => {
  const value = of?.[name]
  return value !== undefined && typeof value === 'object' && !Array.isArray(value) ? (value as ViciAnswer) : undefined
}
const text = (of: ViciAnswer | undefined, name: string): string => {
  const value = of?.[name]
  return typeof value === 'string' ? value : ''
}

/** The TUN that this process holds: the kernel names it in the descriptor's fdinfo, so no other charon's can be meant. */
async function tunOf(pid: number, run: Runner): Promise<string | undefined> {
  for (const fd of await run.list(`/proc/${pid}/fd`)) {
    if ((await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')) !== '/dev/net/tun') continue
    const name = /^iff:\s*(\S+)$/m.exec((await run.readFile(`/proc/${pid}/fdinfo/${fd}`)) ?? '')?.[1]
    if (name !== undefined) return name
  }
  return undefined
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
