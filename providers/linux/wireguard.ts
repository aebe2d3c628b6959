/**
 * WireGuard devices: the kernel's where it has them, else one wireguard-go process each. Those processes stand in for
 * a kernel module, so they outlive the agent: started in their own session, found again by device and pid.
 */
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { join } from 'node:path'
import { DeviceError, finding } from './errors.ts'
import type { Link } from './kernel.ts'
import { firstLine, type Runner, type Started } from './run.ts'
import { hex } from './scheme.ts'

export type WireguardKind = 'kernel' | 'userspace' | 'none'
/** Where every user space implementation puts its sockets; wg(8) looks nowhere else. */
export const socketFolder = '/var/run/wireguard'
const socketOf = (device: string): string => `${device}.sock`

/** X25519 in the PKCS#8 wrapping of RFC 8410, which is how node:crypto takes a raw key. */
const pkcs8Head = Buffer.from('302e020100300506032b656e04220420', 'hex')
/** base64 → base64. */
export function publicKeyOf(privateKey: string): string {
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Head, Buffer.from(privateKey, 'base64')]), format: 'der', type: 'pkcs8' })
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64')
}

/** Making one is the only sure test: the module may be built in, loadable, or forbidden in this namespace. */
export async function wireguardKind(runner: Runner): Promise<WireguardKind> {
  const probe = 'cwprobe'
  const made = await runner.read(['ip', 'link', 'add', 'dev', probe, 'type', 'wireguard'])
  if (made.code === 0) {
    await runner.read(['ip', 'link', 'del', 'dev', probe])
    return 'kernel'
  }
  if ((await runner.read(['wireguard-go', '--version'])).code !== 0) return 'none'
  // The program alone does nothing: it needs /dev/net/tun, and the right to make a device with it.
  const tun = ['dev', probe, 'mode', 'tun']
  if ((await runner.read(['ip', 'tuntap', 'add', ...tun])).code !== 0) return 'none'
  await runner.read(['ip', 'tuntap', 'del', ...tun])
  return 'userspace'
}

/** What `wg syncconf` reads. It holds the private key, so it goes through a pipe and is never printed. */
export function settings(link: Link, privateKey: string): string {
  const own = `[Interface]\nPrivateKey = ${privateKey}\nListenPort = ${link.listenPort}\nFwMark = ${hex(link.fwmark)}\n`
  return link.peers.reduce((text, { publicKey, allowedIps, endpoint, keepalive }) => {
    const dialled = endpoint === '' ? '' : `Endpoint = ${endpoint}\n`
    const kept = keepalive === 0 ? 'off' : keepalive
    return `${text}\n[Peer]\nPublicKey = ${publicKey}\nAllowedIPs = ${allowedIps.join(', ')}\n${dialled}PersistentKeepalive = ${kept}\n`
  }, own)
}

export async function configure(runner: Runner, link: Link, privateKey: string): Promise<void> {
  // Node gives a child a socket as standard input, which /dev/stdin can't be opened on; `cat |` makes it a pipe.
  const output = await runner.change(['sh', '-c', 'cat | wg syncconf "$0" /dev/stdin', link.name], {
    input: settings(link, privateKey),
    show: [`wg syncconf ${link.name} /dev/stdin`],
  })
  if (output.code !== 0)
    throw new DeviceError(
      finding(
        'D030',
        [link.name],
        `"wg syncconf ${link.name}" failed: ${firstLine(output)}`,
        `look whether udp/${link.listenPort} is taken: ss -ulpn`,
      ),
    )
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const devicePresent = async (runner: Runner, device: string): Promise<boolean> =>
  (await runner.read(['ip', 'link', 'show', 'dev', device])).code === 0

/** Starts one wireguard-go and waits until its device and socket are there. Called for many at once. */
export async function startUserspace(runner: Runner, device: string, stateDir: string): Promise<Started | null> {
  const log = join(stateDir, `${device}.log`)
  const taken = (await runner.list(socketFolder)).includes(socketOf(device))
  if (taken && (await runner.read(['wg', 'show', device, 'listen-port'])).code === 0) {
    throw new DeviceError(
      finding(
        'D034',
        [device],
        `${socketFolder}/${socketOf(device)} belongs to a wireguard-go in another network namespace`,
        `give every gateway on this machine its own ${socketFolder} (a tmpfs in its mount namespace)`,
      ),
    )
  }
  const pid = await runner.daemon(['wireguard-go', device], { env: { WG_PROCESS_FOREGROUND: '1', LOG_LEVEL: 'error' }, log })
  if (runner.dryRun) return null
  // A process starts in milliseconds; on a box that is overloaded it may take seconds.
  for (let waited = 0; waited < 10_000; waited += 20) {
    const startTime = await runner.startTime(pid)
    if (startTime === undefined) break
    if ((await runner.list(socketFolder)).includes(socketOf(device)) && (await devicePresent(runner, device))) return { pid, startTime }
    await pause(20)
  }
  const said = ((await runner.readFile(log)) ?? '').trim().split('\n').at(-1) ?? ''
  throw new DeviceError(
    finding(
      'D033',
      [device],
      `wireguard-go for ${device} did not come up${said === '' ? '' : `: ${said}`}`,
      'look whether /dev/net/tun exists and the agent may use it (CAP_NET_ADMIN)',
    ),
  )
}

/** Ends its wireguard-go, and the device with it; the kernel's own, or one whose process is unknown, is deleted. */
export async function remove(runner: Runner, device: string, daemon: Started | undefined): Promise<void> {
  if (daemon !== undefined) {
    await runner.end(daemon)
    for (let waited = 0; waited < 2000 && !runner.dryRun; waited += 20) {
      if ((await runner.startTime(daemon.pid)) !== daemon.startTime && !(await devicePresent(runner, device))) return
      await pause(20)
    }
  }
  const output = await runner.change(['ip', 'link', 'del', 'dev', device])
  if (output.code !== 0 && (await devicePresent(runner, device)))
    throw new DeviceError(finding('D030', [device], `"ip link del dev ${device}" failed: ${firstLine(output)}`, 'run the agent as root'))
}

/** Takes the peer away and brings it back: its next packet starts a new handshake at once. */
export async function renew(runner: Runner, device: string, peer: Link['peers'][number]): Promise<void> {
  const back = [
    'wg',
    'set',
    device,
    'peer',
    peer.publicKey,
    'allowed-ips',
    peer.allowedIps.join(','),
    'persistent-keepalive',
    peer.keepalive === 0 ? 'off' : String(peer.keepalive),
  ]
  if (peer.endpoint !== '') back.push('endpoint', peer.endpoint)
  for (const command of [['wg', 'set', device, 'peer', peer.publicKey, 'remove'], back]) {
    const output = await runner.change(command)
    if (output.code !== 0)
      throw new DeviceError(
        finding(
          'D030',
          [device],
          `"${command.slice(0, 3).join(' ')}" failed: ${firstLine(output)}`,
          'look whether the interface still exists: ip link',
        ),
      )
  }
}

/**
 * Writes a peer's endpoint once more. wireguard-go keeps the source address that it last used for an endpoint, even when
 * the interface has lost it, and is deaf until its handshake timer ends (15 s, tried); a new endpoint begins without one.
 */
export async function forgetSource(runner: Runner, device: string, peer: Link['peers'][number]): Promise<void> {
  await runner.change(['wg', 'set', device, 'peer', peer.publicKey, 'endpoint', peer.endpoint])
}
