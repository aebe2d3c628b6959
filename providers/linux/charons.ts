/**
 * The IPsec tunnels of a configuration as charon has them: one charon for all with kernel ESP, one each where charon
 * stands in for the kernel. They outlive the agent, and are found again by the folder that their environment names. What a
 * tunnel was made from lies in a folder of its own, without the secret: a difference there touches this tunnel and no other.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ReadyIpsec, SecretRef, SiteConfig } from '#src/fabric/fabric.ts'
import { familiesThrough, insideEndsOf, isIpsec } from '#src/fabric/ipsec.ts'
import { type Address, type AddressWithLength, familyOf, hostOf } from '#src/net/address.ts'
import { DeviceError, finding } from './errors.ts'
import {
  clearAssociations,
  connection,
  end,
  type IpsecTunnel,
  load,
  remove,
  socketOf,
  startSharedCharon,
  startTunnel,
  stateOf,
  type TunnelState,
  unload,
} from './ipsec.ts'
import { interfaceOf } from './lookup.ts'
import type { Runner, Started } from './run.ts'
import { type Esp, ikePorts, outerMark } from './scheme.ts'
import { connectVici, type Vici } from './vici.ts'

export interface WantedTunnel {
  readonly tunnel: IpsecTunnel
  readonly psk: SecretRef
}
export interface ObservedTunnel {
  readonly device: string
  readonly esp: Esp
  readonly charon: Started
  /** What it was made from; undefined when it was never finished. */
  readonly made: WantedTunnel | undefined
}
export interface ObservedIpsec {
  /** The one charon of kernel ESP. */
  readonly charon: Started | undefined
  readonly tunnels: readonly ObservedTunnel[]
}

/** strongSwan with what it needs for ESP in the kernel, else for its own. */
export async function ipsecKind(runner: Runner): Promise<Esp | 'none'> {
  const [charon, ...plugins] = await Promise.all([
    runner.read(['sh', '-c', 'command -v charon-systemd']),
    ...['/usr/lib/ipsec/plugins', '/usr/lib/strongswan/plugins', '/usr/lib64/strongswan/plugins'].map((folder) => runner.list(folder)),
  ])
  const has = (name: string): boolean => plugins.some((names) => names.includes(`libstrongswan-${name}.so`))
  if (charon.code !== 0 || !['kernel-netlink', 'vici', 'openssl', 'gcm'].every(has)) return 'none'
  if (await kernelHasEsp(runner)) return 'kernel'
  return has('kernel-libipsec') ? 'userspace' : 'none'
}
/** Making both is the only sure test: the modules may be built in, loadable, or forbidden in this namespace. */
async function kernelHasEsp(runner: Runner): Promise<boolean> {
  const link = ['dev', 'cwprobe-esp']
  if ((await runner.read(['ip', 'link', 'add', ...link, 'type', 'xfrm', 'if_id', '0x7fffffff'])).code !== 0) return false
  await runner.read(['ip', 'link', 'del', ...link])
  return takesAssociation(runner, '127.0.0.1')
}
/** ESP in UDP over IPv6, which Linux has from 5.8. Asked where the kernel has ESP, which may be IPv4's alone. */
export const kernelHasEspOverSix = (runner: Runner): Promise<boolean> => takesAssociation(runner, '::1', 'encap', 'espinudp', '4500', '4500', '::')
async function takesAssociation(runner: Runner, host: string, ...encapsulation: readonly string[]): Promise<boolean> {
  const state = ['src', host, 'dst', host, 'proto', 'esp', 'spi', '0x63777072']
  const aead = ['aead', 'rfc4106(gcm(aes))', `0x${'00'.repeat(20)}`, '128']
  const made = await runner.read(['ip', 'xfrm', 'state', 'add', ...state, 'mode', 'tunnel', ...aead, ...encapsulation])
  await runner.read(['ip', 'xfrm', 'state', 'delete', ...state])
  return made.code === 0
}

export const foldersOf = (stateDir: string): string => join(stateDir, 'ipsec')
const folderOf = (stateDir: string, device: string): string => join(foldersOf(stateDir), device)
/** The folder of the one charon; a tunnel's is its device, which never has this name. */
const sharedName = 'charon'
const record = 'tunnel.json'
/** Of charon's own 0/0 routes, which nothing may use: one per tunnel, told by its port. */
const strayTable = (port: number): number => 100_000 + port

export function wantedTunnels(config: SiteConfig, esp: Esp): readonly WantedTunnel[] {
  return config.tunnels.filter(isIpsec).flatMap((ready): readonly WantedTunnel[] => {
    const uplink = config.uplinks.find((one) => one.id === ready.uplink)
    const own = interfaceOf(config, ready)
    if (!uplink || !own) return []
    const { peer } = ready
    const common = {
      device: own.device,
      mark: outerMark(uplink.slot),
      local: {
        address: uplink.endpoint.kind === 'fixed' ? hostOf(uplink.endpoint.address) : ('%any' as Address),
        id: peer.localId,
        ports: ikePorts(esp, own.port),
      },
      remote: { address: peer.address, id: peer.remoteId, port: peer.port },
      ...insidesIn(ready),
      ...selectorsOf(ready),
      initiates: ready.initiates,
      proposals: peer.proposals,
      ...(peer.rekey === undefined ? {} : { rekey: peer.rekey }),
      mtu: config.network.mtu,
    }
    return [
      // The port is the interface's own on this box, so it tells tables and xfrm interfaces apart, too.
      { psk: peer.psk, tunnel: esp === 'kernel' ? { ...common, esp, ifId: own.port } : { ...common, esp, table: strayTable(own.port) } },
    ]
  })
}
/** Its own addresses in the tunnel. */
export const insidesOf = (ready: ReadyIpsec): readonly AddressWithLength[] =>
  insideEndsOf(ready).map(({ inside }) => `${inside}/${familyOf(inside) === 6 ? 126 : 30}` as AddressWithLength)
function insidesIn(ready: ReadyIpsec): Pick<IpsecTunnel, 'inside' | 'alsoInside'> {
  const [inside, alsoInside] = insidesOf(ready)
  return { inside: inside!, ...(alsoInside === undefined ? {} : { alsoInside }) }
}
function selectorsOf(ready: ReadyIpsec): Pick<IpsecTunnel, 'families'> {
  const families = familiesThrough(
    insideEndsOf(ready).map(({ inside }) => inside),
    ready.peer.prefixes,
  )
  return families.includes(6) ? { families } : {}
}

export type TunnelWork = 'start' | 'again' | 'secret' | ''
/** What has to be done for a tunnel to be as wanted; '' when nothing. `present`: its device, if charon makes that. */
export function workFor(want: WantedTunnel, have: ObservedTunnel | undefined, present: boolean): TunnelWork {
  if (!have) return 'start'
  if (!have.made || !present || JSON.stringify(told(have.made.tunnel)) !== JSON.stringify(told(want.tunnel))) return 'again'
  return JSON.stringify(have.made.psk) === JSON.stringify(want.psk) ? '' : 'secret'
}
/** What charon has of a tunnel. With kernel ESP address and MTU are the interface's, and none of its business. */
const told = (tunnel: IpsecTunnel): unknown => (tunnel.esp === 'kernel' ? connection(tunnel) : tunnel)

/** Every charon that runs for this state folder, by the kernel's word: a file could be of a boot before. */
export async function observeTunnels(runner: Runner, stateDir: string): Promise<ObservedIpsec> {
  const folders = stateDir === '' ? [] : await runner.list(foldersOf(stateDir))
  const charons = new Map<string, Started>()
  for (const name of folders.length === 0 ? [] : await runner.list('/proc')) {
    if (!/^\d+$/.test(name) || (await runner.readFile(`/proc/${name}/comm`))?.trim() !== 'charon-systemd') continue
    const config = /(?:^|\0)STRONGSWAN_CONF=([^\0]*)/.exec((await runner.readFile(`/proc/${name}/environ`)) ?? '')?.[1]
    const folder = folders.find((one) => config === join(folderOf(stateDir, one), 'strongswan.conf'))
    const startTime = await runner.startTime(Number(name))
    if (folder !== undefined && startTime !== undefined) charons.set(folder, { pid: Number(name), startTime })
  }
  const shared = charons.get(sharedName)
  const tunnels: ObservedTunnel[] = []
  for (const device of folders.filter((one) => one !== sharedName)) {
    const made = await readRecord(stateDir, device)
    const own = charons.get(device)
    if (own) tunnels.push({ device, esp: 'userspace', charon: own, made })
    // A record is of the charon that runs: the one that starts clears those of the one before.
    else if (shared && made?.tunnel.esp === 'kernel') tunnels.push({ device, esp: 'kernel', charon: shared, made })
  }
  return { charon: shared, tunnels }
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
const keepRecord = async (stateDir: string, want: WantedTunnel): Promise<void> =>
  writeFile(join(folderOf(stateDir, want.tunnel.device), record), JSON.stringify(want), { mode: 0o600 })

/** The one charon of kernel ESP, without any tunnel yet. */
export async function startCharon({ runner, stateDir }: Charons, ifIds: readonly number[]): Promise<void> {
  await clearAssociations(runner, ifIds)
  for (const device of await runner.list(foldersOf(stateDir))) await rm(join(folderOf(stateDir, device), record), { force: true })
  await startSharedCharon(runner, folderOf(stateDir, sharedName))
}
export async function stopCharon({ runner, stateDir }: Charons, charon: Started): Promise<void> {
  await end(charon, runner)
  await rm(folderOf(stateDir, sharedName), { force: true, recursive: true })
}
/** Makes it and leaves the rest to charon, which tries for ever: a cloud that is away must not hold up a change. */
export async function addTunnel({ runner, stateDir }: Charons, want: WantedTunnel, secret: Uint8Array): Promise<void> {
  const { tunnel } = want
  const folder = folderOf(stateDir, tunnel.device)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await rm(join(folder, record), { force: true })
  if (tunnel.esp === 'kernel') await withVici(stateDir, tunnel, (vici) => load(vici, tunnel, secret, { wait: false }))
  else await startTunnel(tunnel, secret, { run: runner, folder, wait: false }).then((one) => one.release())
  await keepRecord(stateDir, want)
}
export async function removeTunnel({ runner, stateDir }: Charons, have: ObservedTunnel): Promise<void> {
  await withVici(stateDir, have, (vici) => unload(vici, have.device)).catch(() => {})
  if (have.esp === 'userspace') await remove(have.device, have.charon, runner)
  await rm(folderOf(stateDir, have.device), { force: true, recursive: true })
}
/** A new secret: loaded in place of the old one, and the association is made again with it. */
export async function changeSecret({ stateDir }: Charons, want: WantedTunnel, secret: Uint8Array): Promise<void> {
  const { tunnel } = want
  await withVici(stateDir, tunnel, async (vici) => {
    await vici.request('terminate', { ike: tunnel.device, timeout: '2000' }).catch(() => {})
    await load(vici, tunnel, secret, { wait: false })
  })
  await keepRecord(stateDir, want)
}
type Named = Pick<IpsecTunnel, 'device' | 'esp'>
export const charonState = (stateDir: string, of: Named): Promise<TunnelState> => withVici(stateDir, of, (vici) => stateOf(vici, of.device))

/** Asks for the association unless there is one. Throws DeviceError D044 with the reason that charon gives. */
export async function reinitiate(stateDir: string, of: Named & { readonly tunnel: string; readonly to: string }): Promise<void> {
  await withVici(stateDir, of, async (vici) => {
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

async function withVici<T>(stateDir: string, of: Named, work: (vici: Vici) => Promise<T>): Promise<T> {
  const vici = await connectVici(socketOf(folderOf(stateDir, of.esp === 'kernel' ? sharedName : of.device)))
  try {
    return await work(vici)
  } finally {
    vici.close()
  }
}
