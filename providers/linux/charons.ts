/**
 * The IPsec tunnels of a configuration as processes: one charon each, which stands in for the kernel's ESP, so it outlives
 * the agent and is found again by the folder that its environment names. What a tunnel was made from lies beside its
 * socket, without the secret: a difference there touches this tunnel and no other.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ReadyIpsec, SecretRef, SiteConfig } from '#src/fabric/fabric.ts'
import { type Address, type AddressWithLength, hostOf } from '#src/net/address.ts'
import { DeviceError, finding } from './errors.ts'
import { connection, type IpsecTunnel, remove, shared, socketOf, startTunnel, stateOf, type TunnelState } from './ipsec.ts'
import { interfaceOf } from './lookup.ts'
import type { Runner, Started } from './run.ts'
import { outerMark } from './scheme.ts'
import { connectVici, type Vici } from './vici.ts'

export interface WantedTunnel {
  readonly tunnel: IpsecTunnel
  readonly psk: SecretRef
}
export interface ObservedTunnel {
  readonly device: string
  readonly charon: Started
  /** What it was made from; undefined when it was never finished. */
  readonly made: WantedTunnel | undefined
}

/** Always charon's own ESP, kernel-libipsec: the same on every kernel. */
export async function ipsecKind(runner: Runner): Promise<'userspace' | 'none'> {
  const [charon, ...plugins] = await Promise.all([
    runner.read(['sh', '-c', 'command -v charon-systemd']),
    ...['/usr/lib/ipsec/plugins', '/usr/lib/strongswan/plugins', '/usr/lib64/strongswan/plugins'].map((folder) => runner.list(folder)),
  ])
  const has = (name: string): boolean => plugins.some((names) => names.includes(`libstrongswan-${name}.so`))
  return charon.code === 0 && ['kernel-libipsec', 'vici', 'openssl', 'gcm'].every(has) ? 'userspace' : 'none'
}

export const foldersOf = (stateDir: string): string => join(stateDir, 'ipsec')
const folderOf = (stateDir: string, device: string): string => join(foldersOf(stateDir), device)
const record = 'tunnel.json'
/** Of charon's own 0/0 routes, which nothing may use: one per tunnel, told by its port. */
const strayTable = (port: number): number => 100_000 + port

const isIpsec = (tunnel: SiteConfig['tunnels'][number]): tunnel is ReadyIpsec => tunnel.peer.kind === 'ipsec'

export function wantedTunnels(config: SiteConfig): readonly WantedTunnel[] {
  return config.tunnels.filter(isIpsec).flatMap((ready): readonly WantedTunnel[] => {
    const uplink = config.uplinks.find((one) => one.id === ready.uplink)
    const own = interfaceOf(config, ready)
    if (!uplink || !own) return []
    const { peer } = ready
    return [
      {
        psk: peer.psk,
        tunnel: {
          device: own.device,
          mark: outerMark(uplink.slot),
          local: {
            address: uplink.endpoint.kind === 'fixed' ? hostOf(uplink.endpoint.address) : ('%any' as Address),
            id: peer.localId,
            ports: { ike: own.port, nat: own.port + 1 },
          },
          remote: { address: peer.address, id: peer.remoteId, port: peer.port },
          inside: insideOf(ready),
          initiates: ready.initiates,
          proposals: peer.proposals,
          mtu: config.network.mtu,
          table: strayTable(own.port),
        },
      },
    ]
  })
}
export const insideOf = (tunnel: ReadyIpsec): AddressWithLength => `${tunnel.inside}/30` as AddressWithLength

export type TunnelWork = 'start' | 'again' | 'secret' | ''
/** What has to be done for a tunnel to be as wanted; '' when nothing. */
export function workFor(want: WantedTunnel, have: ObservedTunnel | undefined, present: boolean): TunnelWork {
  if (!have) return 'start'
  if (!have.made || !present || JSON.stringify(have.made.tunnel) !== JSON.stringify(want.tunnel)) return 'again'
  return JSON.stringify(have.made.psk) === JSON.stringify(want.psk) ? '' : 'secret'
}

/** Every charon that runs for this state folder, by the kernel's word: a file could be of a boot before. */
export async function observeTunnels(runner: Runner, stateDir: string): Promise<readonly ObservedTunnel[]> {
  const folders = stateDir === '' ? [] : await runner.list(foldersOf(stateDir))
  if (folders.length === 0) return []
  const found: ObservedTunnel[] = []
  for (const name of await runner.list('/proc')) {
    if (!/^\d+$/.test(name) || (await runner.readFile(`/proc/${name}/comm`))?.trim() !== 'charon-systemd') continue
    const config = /(?:^|\0)STRONGSWAN_CONF=([^\0]*)/.exec((await runner.readFile(`/proc/${name}/environ`)) ?? '')?.[1]
    const device = folders.find((one) => config === join(folderOf(stateDir, one), 'strongswan.conf'))
    const startTime = await runner.startTime(Number(name))
    if (device === undefined || startTime === undefined) continue
    found.push({ device, charon: { pid: Number(name), startTime }, made: await readRecord(stateDir, device) })
  }
  return found
}
async function readRecord(stateDir: string, device: string): Promise<WantedTunnel | undefined> {
  try {
    return JSON.parse(await readFile(join(folderOf(stateDir, device), record), 'utf8')) as WantedTunnel
  } catch {
    return undefined
  }
}

export interface Charons {
  readonly runner: Runner
  readonly stateDir: string
}
/** Starts it and leaves the rest to charon, which tries for ever: a cloud that is away must not hold up a change. */
export async function startCharon({ runner, stateDir }: Charons, want: WantedTunnel, secret: Uint8Array): Promise<void> {
  const folder = folderOf(stateDir, want.tunnel.device)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await rm(join(folder, record), { force: true })
  await startTunnel(want.tunnel, secret, { run: runner, folder, wait: false }).then((one) => one.release())
  await writeFile(join(folder, record), JSON.stringify(want), { mode: 0o600 })
}
export async function stopCharon({ runner, stateDir }: Charons, have: ObservedTunnel): Promise<void> {
  await withVici(stateDir, have.device, (vici) => vici.request('terminate', { ike: have.device, timeout: '2000' })).catch(() => {})
  await remove(have.device, have.charon, runner)
  await rm(folderOf(stateDir, have.device), { force: true, recursive: true })
}
/** A new secret: loaded in place of the old one, and the association is made again with it. */
export async function changeSecret({ stateDir }: Charons, want: WantedTunnel, secret: Uint8Array): Promise<void> {
  const { device } = want.tunnel
  await withVici(stateDir, device, async (vici) => {
    await vici.request('load-shared', shared(want.tunnel, secret))
    await vici.request('load-conn', connection(want.tunnel))
    await vici.request('terminate', { ike: device, timeout: '2000' }).catch(() => {})
    if (want.tunnel.initiates) await vici.request('initiate', { child: device, ike: device, timeout: '-1', 'init-limits': 'no' })
  })
  await writeFile(join(folderOf(stateDir, device), record), JSON.stringify(want), { mode: 0o600 })
}
export const charonState = (stateDir: string, device: string): Promise<TunnelState> => withVici(stateDir, device, (vici) => stateOf(vici, device))

/** Asks for the association unless there is one. Throws DeviceError D044 with the reason that charon gives. */
export async function reinitiate(stateDir: string, of: { readonly tunnel: string; readonly device: string; readonly to: string }): Promise<void> {
  await withVici(stateDir, of.device, async (vici) => {
    const { child } = await stateOf(vici, of.device)
    if (child === 'INSTALLED') return
    const log: string[] = []
    try {
      await vici.stream(
        'initiate',
        'control-log',
        { child: of.device, ike: of.device, timeout: '10000', 'init-limits': 'no', loglevel: '1' },
        (event) => {
          if (typeof event['msg'] === 'string') log.push(event['msg'])
        },
      )
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error
      const reason = log.findLast((line) => /notify error|NO_PROPOSAL|AUTHENTICATION|retransmit|mismatch|constraint/i.test(line))
      throw new DeviceError(
        finding(
          'D044',
          [of.tunnel],
          `the IPsec tunnel ${of.tunnel} to ${of.to} does not come up: ${reason ?? 'its far end does not answer'}`,
          'compare pre-shared key, ids and proposals of both ends, and whether UDP 500 and 4500 pass',
          { witness: log.slice(-5) },
        ),
      )
    }
  })
}

async function withVici<T>(stateDir: string, device: string, work: (vici: Vici) => Promise<T>): Promise<T> {
  const vici = await connectVici(socketOf(folderOf(stateDir, device)))
  try {
    return await work(vici)
  } finally {
    vici.close()
  }
}
