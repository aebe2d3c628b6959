/** Kernel → the shapes of kernel.ts, by the JSON output of iproute2 and `wg show all dump`. Reads only. */
import type { OsInterface } from '../device.ts'
import type { Family } from '#src/net/address.ts'
import { type ObservedTunnel, observeTunnels } from './charons.ts'
import { type ObservedDaemon, observeDaemons } from './daemons.ts'
import { DeviceError, finding } from './errors.ts'
import type { DeviceAddress, Kernel, Link, Nexthop, Peer, PolicyRule, Route, XfrmLink } from './kernel.ts'
import { type ObservedFrr, observeFrr } from './frr.ts'
import { firstLine, type Runner, type Started } from './run.ts'
import type { TransitCount } from '../device.ts'
import { announcedGroup, isIpsecDevice, isOurs, nftTable, protocol, transitCounter } from './scheme.ts'

export interface ObservedPeer extends Peer {
  /** Seconds since the epoch, 0 = never. */
  readonly lastHandshake: number
  readonly rxBytes: number
  readonly txBytes: number
}
export interface ObservedLink extends Link {
  readonly peers: readonly ObservedPeer[]
}
/** A default route of the OS: what an uplink's table is filled from. */
export interface DefaultRoute {
  readonly family: Family
  readonly device: string
  /** '' on point-to-point links. */
  readonly router: string
  readonly metric: number
}
export interface Observed extends Kernel {
  readonly links: readonly ObservedLink[]
  /** IPsec: charons of this state folder, and the TUNs that there are. */
  readonly charon: Started | undefined
  readonly tunnels: readonly ObservedTunnel[]
  readonly tuns: readonly string[]
  /** What speaks with routers of LANs. */
  readonly frr: ObservedFrr
  /** Of this state folder, too. */
  readonly daemons: readonly ObservedDaemon[]
  /** Every interface that isn't ours. */
  readonly interfaces: readonly OsInterface[]
  readonly defaults: readonly DefaultRoute[]
  /** IPv6 addresses that nothing can be sent from yet: whether they are duplicates is not known (RFC 4862 section 5.4). */
  readonly tentative: readonly DeviceAddress[]
  /** Interfaces of the OS that are switched off (not: without carrier). */
  readonly off: readonly string[]
  /** `lo` is in the group of what is only announced. */
  readonly announces: boolean
  /** The nft table as listed, without handles and counters; '' if there is none. */
  readonly nft: string
}

interface IpLink {
  readonly ifname: string
  readonly flags: readonly string[]
  readonly mtu: number
  readonly group?: string
  readonly linkinfo?: { readonly info_kind?: string; readonly info_data?: { readonly if_id?: string } }
  readonly addr_info?: readonly {
    readonly family: string
    readonly local: string
    readonly prefixlen: number
    readonly scope: string
    readonly tentative?: boolean
  }[]
}
interface IpRoute {
  readonly dst: string
  readonly type?: string
  readonly table?: string
  readonly nhid?: number
  readonly dev?: string
  readonly gateway?: string
  readonly prefsrc?: string
  readonly metric?: number
}
interface IpRule {
  readonly priority: number
  readonly src: string
  readonly srclen?: number
  readonly fwmark?: string
  readonly fwmask?: string
  readonly iif?: string
  readonly table?: string
  readonly suppress_prefixlen?: number
  readonly suppress_ifgroup?: string
  readonly action?: string
  readonly protocol?: string
}
interface IpNexthop {
  readonly id: number
  readonly dev?: string
  readonly blackhole?: null
  readonly protocol?: string
}

async function json<T>(runner: Runner, command: readonly string[]): Promise<readonly T[]> {
  const output = await runner.read(command)
  // iproute2 exits 2 with "FIB table does not exist" when nothing of the kind was ever made: that is an empty list.
  if (output.code !== 0 && !output.stderr.includes('does not exist')) {
    throw new DeviceError(
      finding('D030', [], `"${command.join(' ')}" failed: ${firstLine(output)}`, 'run the agent as root, with iproute2 5.3 or newer installed'),
    )
  }
  return output.stdout.trim() === '' ? [] : (JSON.parse(output.stdout) as readonly T[])
}

const tableOf = (text: string | undefined): number | 'main' => (text === undefined || text === 'main' ? 'main' : Number(text))
const withLength = (dst: string, family: Family): string =>
  dst === 'default' ? (family === 4 ? '0.0.0.0/0' : '::/0') : dst.includes('/') ? dst : `${dst}/${family === 4 ? 32 : 128}`

function readRoute(family: Family, of: IpRoute): Route {
  const target: Route['target'] =
    of.nhid !== undefined
      ? { kind: 'nexthop', id: of.nhid }
      : of.type === 'unreachable'
        ? { kind: 'unreachable' }
        : { kind: 'device', device: of.dev ?? '', router: of.gateway ?? '' }
  // 1024 is what the kernel writes when an IPv6 route has none.
  const metric = of.metric === undefined || (family === 6 && of.metric === 1024) ? 0 : of.metric
  return { family, table: tableOf(of.table), to: withLength(of.dst, family), metric, target, source: of.prefsrc ?? '' }
}

function readRule(family: Family, of: IpRule): PolicyRule {
  return {
    family,
    priority: of.priority,
    fwmark: Number(of.fwmark ?? 0),
    mask: of.fwmark === undefined ? 0 : Number(of.fwmask ?? 0xffffffff),
    from: of.src === 'all' ? '' : of.srclen === undefined ? of.src : `${of.src}/${of.srclen}`,
    iif: of.iif ?? '',
    action:
      of.action === 'unreachable'
        ? { kind: 'unreachable' }
        : { kind: 'lookup', table: tableOf(of.table), withoutDefault: of.suppress_prefixlen === 0 && of.suppress_ifgroup === String(announcedGroup) },
  }
}

/** `wg show all dump`: five fields of an interface, nine of a peer; see wg(8). */
export function readDump(dump: string): ReadonlyMap<string, Omit<ObservedLink, 'name' | 'up' | 'mtu'>> {
  const links = new Map<string, { publicKey: string; listenPort: number; fwmark: number; peers: ObservedPeer[] }>()
  const none = (text: string | undefined): string => (text === undefined || text === '(none)' ? '' : text)
  for (const line of dump.split('\n')) {
    const field = line.split('\t')
    if (field.length === 5) {
      links.set(field[0]!, { publicKey: none(field[2]), listenPort: Number(field[3]), fwmark: field[4] === 'off' ? 0 : Number(field[4]), peers: [] })
    } else if (field.length === 9) {
      links.get(field[0]!)?.peers.push({
        publicKey: field[1]!,
        endpoint: none(field[3]),
        allowedIps: none(field[4])
          .split(',')
          .filter((text) => text !== '')
          .sort(),
        lastHandshake: Number(field[5]),
        rxBytes: Number(field[6]),
        txBytes: Number(field[7]),
        keepalive: field[8] === 'off' ? 0 : Number(field[8]),
      })
    }
  }
  for (const link of links.values()) link.peers.sort((a, b) => (a.publicKey < b.publicKey ? -1 : 1))
  return links
}

/** Counters, handles and the nft version change by themselves; nothing else in a listing does. */
export function withoutCounters(listing: string): string {
  const { nftables = [] } = JSON.parse(listing) as { readonly nftables?: readonly object[] }
  const kept = nftables.filter((entry) => !('metainfo' in entry))
  return JSON.stringify(kept, (key, value: unknown) => (key === 'handle' || key === 'packets' || key === 'bytes' ? undefined : value))
}

async function readNft(runner: Runner): Promise<string> {
  const output = await runner.read(['nft', '-j', 'list', 'table', 'inet', nftTable])
  return output.code === 0 && output.stdout.trim() !== '' ? withoutCounters(output.stdout) : ''
}

/** None before a policy was loaded. */
export async function readTransit(runner: Runner): Promise<TransitCount> {
  const output = await runner.read(['nft', '-j', 'list', 'counter', 'inet', nftTable, transitCounter])
  if (output.code !== 0) return { packets: 0, bytes: 0 }
  const { nftables } = JSON.parse(output.stdout) as { readonly nftables: readonly { readonly counter?: TransitCount }[] }
  const { packets, bytes } = nftables.find(({ counter }) => counter !== undefined)?.counter ?? { packets: 0, bytes: 0 }
  return { packets, bytes }
}

export const readWireguard = async (runner: Runner): Promise<ReturnType<typeof readDump>> =>
  readDump((await runner.read(['wg', 'show', 'all', 'dump'])).stdout)

const bothFamilies = async <T>(read: (family: Family) => Promise<readonly T[]>): Promise<readonly T[]> =>
  (await Promise.all([read(4), read(6)])).flat()

export async function readInterfaces(
  runner: Runner,
): Promise<Pick<Observed, 'defaults' | 'interfaces' | 'tentative'> & { readonly links: readonly IpLink[] }> {
  const [links, defaults] = await Promise.all([
    json<IpLink>(runner, ['ip', '-j', '-d', 'addr', 'show']),
    bothFamilies(async (family) => {
      const routes = await json<IpRoute>(runner, ['ip', `-${family}`, '-j', 'route', 'show', 'default', 'table', 'main'])
      return routes
        .filter((route) => route.dev !== undefined)
        .map((route): DefaultRoute => ({ family, device: route.dev!, router: route.gateway ?? '', metric: route.metric ?? 0 }))
        .sort((a, b) => a.metric - b.metric)
    }),
  ])
  const interfaces = links
    .filter((link) => !isOurs(link.ifname) && link.ifname !== 'lo')
    .map(
      (link): OsInterface => ({
        name: link.ifname,
        up: link.flags.includes('LOWER_UP'),
        addresses: (link.addr_info ?? []).filter((at) => at.scope === 'global').map((at) => `${at.local}/${at.prefixlen}`),
        router: defaults.find((route) => route.device === link.ifname)?.router ?? '',
        mtu: link.mtu,
      }),
    )
  return { links, defaults, interfaces, tentative: addressesOf(links, (at) => at.tentative === true) }
}
const addressesOf = (links: readonly IpLink[], which: (at: NonNullable<IpLink['addr_info']>[number]) => boolean): readonly DeviceAddress[] =>
  links.flatMap((link) =>
    (link.addr_info ?? [])
      .filter((at) => at.scope === 'global' && which(at))
      .map((at): DeviceAddress => ({ device: link.ifname, address: `${at.local}/${at.prefixlen}` })),
  )

export async function observe(runner: Runner, stateDir = ''): Promise<Observed> {
  const ours = <T extends { readonly protocol?: string }>(all: readonly T[]): readonly T[] => all.filter((one) => one.protocol === String(protocol))
  const [{ links, defaults, interfaces, tentative }, ipsec, daemons, frr, wireguard, nexthops, routes, rules, nft] = await Promise.all([
    readInterfaces(runner),
    observeTunnels(runner, stateDir),
    observeDaemons(runner, stateDir),
    observeFrr(runner, stateDir),
    readWireguard(runner),
    bothFamilies(async (family) =>
      ours(await json<IpNexthop>(runner, ['ip', `-${family}`, '-j', 'nexthop', 'show'])).map(
        (hop): Nexthop => ({ id: hop.id, family, device: hop.blackhole === null ? '' : (hop.dev ?? '') }),
      ),
    ),
    bothFamilies(async (family) =>
      (await json<IpRoute>(runner, ['ip', `-${family}`, '-j', 'route', 'show', 'table', 'all', 'proto', String(protocol)])).map((route) =>
        readRoute(family, route),
      ),
    ),
    bothFamilies(async (family) =>
      ours(await json<IpRule>(runner, ['ip', `-${family}`, '-j', 'rule', 'show'])).map((rule) => readRule(family, rule)),
    ),
    readNft(runner),
  ])
  const cloud = links.filter((link) => isIpsecDevice(link.ifname))
  return {
    links: links
      .filter((link) => isOurs(link.ifname) && !isIpsecDevice(link.ifname))
      .map(
        (link): ObservedLink => ({
          name: link.ifname,
          up: link.flags.includes('UP'),
          mtu: link.mtu,
          ...(wireguard.get(link.ifname) ?? { publicKey: '', listenPort: 0, fwmark: 0, peers: [] }),
        }),
      ),
    ...ipsec,
    frr,
    daemons,
    xfrm: cloud
      .filter((link) => link.linkinfo?.info_kind === 'xfrm')
      .map(
        (link): XfrmLink => ({
          name: link.ifname,
          ifId: Number(link.linkinfo?.info_data?.if_id ?? 0),
          up: link.flags.includes('UP'),
          mtu: link.mtu,
        }),
      ),
    tuns: cloud.filter((link) => link.linkinfo?.info_kind !== 'xfrm').map((link) => link.ifname),
    addresses: addressesOf(links, () => true),
    nexthops,
    routes,
    rules,
    nft,
    interfaces,
    defaults,
    tentative,
    announces: links.some((link) => link.ifname === 'lo' && link.group === String(announcedGroup)),
    off: links.filter((link) => !link.flags.includes('UP')).map((link) => link.ifname),
  }
}
