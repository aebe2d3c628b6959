/** What separates two kernel states, as the smallest list of changes. Pure. */
import { type FrrChange, ofThoseThatRun, settingsDifference } from './frr-settings.ts'
import { programsFor, type Start } from './frr.ts'
import { type ObservedTunnel, type TunnelWork, type WantedTunnel, workFor } from './charons.ts'
import type { ObservedDaemon, WantedDaemon } from './daemons.ts'
import type { Desired } from './desired.ts'
import {
  type DeviceAddress,
  type Link,
  type XfrmLink,
  nexthopArguments,
  type Peer,
  routeArguments,
  routeIdentity,
  routeKey,
  ruleArguments,
} from './kernel.ts'
import type { Observed } from './observe.ts'
import { reservedPorts, reservedWith } from './reserved-ports.ts'
import type { Started } from './run.ts'
import { announcedGroup, isOurs, priority, uplinkTable } from './scheme.ts'
import { slots } from '#src/fabric/ids.ts'
import { contains, type Family, type Prefix } from '#src/net/address.ts'

export type Change =
  /** A WireGuard device, or with an `ifId` an xfrm interface. */
  | { readonly kind: 'create'; readonly device: string; readonly ifId?: number }
  | { readonly kind: 'wireguard'; readonly link: Link; readonly why: string }
  /** A line for `ip -FAMILY -batch -`. */
  | { readonly kind: 'ip'; readonly object: 'link' | 'addr' | 'nexthop' | 'route' | 'rule'; readonly family: Family; readonly line: string }
  | { readonly kind: 'sysctl'; readonly key: string; readonly value: string; readonly was: string | undefined }
  | { readonly kind: 'nft'; readonly text: string }
  | { readonly kind: 'remove'; readonly device: string; readonly ifId?: number }
  | { readonly kind: 'ipsec'; readonly work: Exclude<TunnelWork, ''>; readonly want: WantedTunnel; readonly have: ObservedTunnel | undefined }
  | { readonly kind: 'ipsec-stop'; readonly have: ObservedTunnel }
  /** The one of kernel ESP; `ifIds` of the tunnels that it will have. */
  | { readonly kind: 'charon'; readonly ifIds: readonly number[] }
  | { readonly kind: 'charon-stop'; readonly have: Started }
  /** FRR is told, and started before if it isn't there. */
  | ({ readonly kind: 'frr'; readonly start: Start | undefined } & FrrChange)
  | ({ readonly kind: 'frr-stop' } & Start)
  | { readonly kind: 'daemon'; readonly want: WantedDaemon; readonly have: ObservedDaemon | undefined }
  | { readonly kind: 'daemon-stop'; readonly have: ObservedDaemon }

export interface Difference {
  /** In the order in which they are made. */
  readonly make: readonly Change[]
  /** What the kernel has of ours and the config doesn't name, last used first. */
  readonly prune: readonly Change[]
}
/** What the driver remembers between runs, because a kernel can't tell it. */
export interface Memory {
  /** Networks whose addresses on `lo` are ours. */
  readonly ulas: readonly string[]
  /** LAN addresses that the OS didn't have. */
  readonly addedAddresses: readonly DeviceAddress[]
  /** The ruleset that was loaded last, and how the kernel listed it then. */
  readonly nft: { readonly text: string; readonly listing: string }
}
export interface Sysctls {
  readonly [key: string]: string | undefined
}

/** net/ipv4/conf/DEVICE/… */
const deviceOfKey = (key: string): string => key.split('/')[3] ?? ''
const outerTables: ReadonlySet<number | 'main'> = new Set(Array.from({ length: slots }, (_, slot) => uplinkTable(slot)))
const isOuterRoute = (route: Desired['routes'][number]): boolean => outerTables.has(route.table)
const peerText = (peer: Peer): string => `${peer.publicKey} ${peer.allowedIps.join(',')} ${peer.keepalive}`

/** Why a device's WireGuard settings have to be written again, or ''. */
export function wireguardDiffers(want: Link, have: Link | undefined): string {
  if (!have) return 'new'
  if (want.publicKey !== have.publicKey) return 'another key'
  if (want.listenPort !== have.listenPort) return `listens on ${have.listenPort} instead of ${want.listenPort}`
  if (want.fwmark !== have.fwmark) return 'another mark'
  const found = new Map(have.peers.map((peer) => [peer.publicKey, peer]))
  for (const peer of want.peers) {
    const there = found.get(peer.publicKey)
    if (!there) return `peer ${peer.publicKey} is missing`
    if (peerText(there) !== peerText(peer)) return `peer ${peer.publicKey} has other allowed IPs or keepalive`
    // A peer that roams has no endpoint of ours; what WireGuard learned stays.
    if (peer.endpoint !== '' && peer.endpoint !== there.endpoint)
      return `peer ${peer.publicKey} is at ${there.endpoint || 'no endpoint'} instead of ${peer.endpoint}`
  }
  const wanted = new Set(want.peers.map((peer) => peer.publicKey))
  const foreign = have.peers.find((peer) => !wanted.has(peer.publicKey))
  return foreign ? `peer ${foreign.publicKey} does not belong there` : ''
}

export function difference(want: Desired, have: Observed, sysctls: Sysctls, memory: Memory): Difference {
  const make: Change[] = []
  const prune: Change[] = []
  const ip = (to: Change[], object: (Change & { kind: 'ip' })['object'], family: Family, line: string): void =>
    void to.push({ kind: 'ip', object, family, line })
  const addressKey = (at: DeviceAddress): string => `${at.address} dev ${at.device}`
  const familyOfText = (text: string): Family => (text.includes(':') ? 6 : 4)

  // Uplinks first: a tunnel that comes up before its mark leads anywhere would shake hands over the wrong uplink, and
  // wireguard-go keeps the source address that it used then.
  const [late, early] = [want.sysctls.filter((one) => /forward/.test(one.key)), want.sysctls.filter((one) => !/forward/.test(one.key))]
  const sysctl = (one: Desired['sysctls'][number]): void => {
    const was = sysctls[one.key]
    const value = one.key === reservedPorts ? reservedWith(was ?? '', one.value) : one.value
    if (was !== value) make.push({ kind: 'sysctl', key: one.key, value, was })
  }
  early.filter((one) => !isOurs(deviceOfKey(one.key))).forEach(sysctl)
  const routes = new Map(have.routes.map((route) => [routeKey(route), routeArguments(route)]))
  const replaceRoutes = (some: Desired['routes']): void => {
    for (const route of some)
      if (routes.get(routeKey(route)) !== routeArguments(route)) ip(make, 'route', route.family, `route replace ${routeArguments(route)}`)
  }
  const ruleKey = (rule: Desired['rules'][number]): string => `-${rule.family} ${ruleArguments(rule)}`
  const rules = new Set(have.rules.map(ruleKey))
  const addRules = (some: Desired['rules']): void => {
    for (const rule of some) if (!rules.has(ruleKey(rule))) ip(make, 'rule', rule.family, `rule add ${ruleArguments(rule)}`)
  }
  replaceRoutes(want.routes.filter(isOuterRoute))
  addRules(want.rules.filter((rule) => rule.priority < priority.mesh))

  const sameXfrm = (a: XfrmLink) => (b: XfrmLink) => a.name === b.name && a.ifId === b.ifId
  const wantedTunnels = new Map(want.tunnels.map(({ tunnel }) => [tunnel.device, tunnel]))
  // What holds a tunnel's name and is not its device: of an agent before, or of a kernel that had no ESP.
  for (const one of have.tunnels) if ((wantedTunnels.get(one.device)?.esp ?? one.esp) !== one.esp) make.push({ kind: 'ipsec-stop', have: one })
  for (const link of have.xfrm)
    if (wantedTunnels.has(link.name) && !want.xfrm.some(sameXfrm(link))) make.push({ kind: 'remove', device: link.name, ifId: link.ifId })
  for (const link of want.links) if (!have.links.some((one) => one.name === link.name)) make.push({ kind: 'create', device: link.name })
  for (const link of want.xfrm) if (!have.xfrm.some(sameXfrm(link))) make.push({ kind: 'create', device: link.name, ifId: link.ifId })
  for (const link of want.links) {
    const why = wireguardDiffers(
      link,
      have.links.find((one) => one.name === link.name),
    )
    if (why !== '') make.push({ kind: 'wireguard', link, why })
  }
  if (want.xfrm.length > 0 && !have.charon) make.push({ kind: 'charon', ifIds: want.xfrm.map((link) => link.ifId) })
  const starting = new Set<string>()
  for (const one of want.tunnels) {
    const { device, esp } = one.tunnel
    const running = have.tunnels.find((each) => each.device === device && each.esp === esp)
    const work = workFor(one, running, esp === 'kernel' || have.tuns.includes(device))
    if (work === '') continue
    make.push({ kind: 'ipsec', work, want: one, have: running })
    // A TUN brings its address along.
    if (work !== 'secret' && esp === 'userspace') starting.add(device)
  }
  for (const link of [...want.links, ...want.xfrm]) {
    const found = have.links.find((one) => one.name === link.name) ?? have.xfrm.find((one) => one.name === link.name)
    if (found?.mtu !== link.mtu || !found.up) ip(make, 'link', 6, `link set dev ${link.name} addrgenmode none mtu ${link.mtu} up`)
  }
  for (const device of new Set(want.addresses.map((at) => at.device))) {
    if (!isOurs(device) && have.off.includes(device)) ip(make, 'link', 6, `link set dev ${device} up`)
  }
  const present = new Set(have.addresses.map(addressKey))
  for (const at of want.addresses) {
    if (!present.has(addressKey(at)) && !starting.has(at.device))
      ip(make, 'addr', familyOfText(at.address), `addr add ${addressKey(at)}${familyOfText(at.address) === 6 ? ' nodad' : ''}`)
  }
  early.filter((one) => isOurs(deviceOfKey(one.key))).forEach(sysctl)

  const hops = new Map(have.nexthops.map((hop) => [hop.id, nexthopArguments(hop)]))
  for (const hop of want.nexthops)
    if (hops.get(hop.id) !== nexthopArguments(hop)) ip(make, 'nexthop', hop.family, `nexthop replace ${nexthopArguments(hop)}`)
  if (want.announces && !have.announces) ip(make, 'link', 4, `link set dev lo group ${announcedGroup}`)
  replaceRoutes(want.routes.filter((route) => !isOuterRoute(route)))
  addRules(want.rules.filter((rule) => rule.priority >= priority.mesh))
  if (have.nft === '' || memory.nft.text !== want.nft || memory.nft.listing !== have.nft) make.push({ kind: 'nft', text: want.nft })
  late.forEach(sysctl)
  // Last: a router that doesn't answer keeps nothing else waiting, and what it announces is policed from the start.
  const wanted = programsFor(want.frr)
  const speaks = wanted.every((one) => have.frr.daemons.has(one))
  const tell = (to: Change[], change: FrrChange, start: Start | undefined): void => {
    if (start || change.lines.length > 0) to.push({ kind: 'frr', start, ...change })
  }
  if (wanted.length > 0)
    tell(
      make,
      settingsDifference(want.frr, speaks ? have.frr.settings : ofThoseThatRun(have.frr.settings)).make,
      speaks ? undefined : { wanted, have: have.frr },
    )
  // Last: they serve on addresses, and through a policy, that must stand.
  for (const one of want.daemons) {
    const running = have.daemons.find(({ name }) => name === one.name)
    if (running?.settings !== one.settings) make.push({ kind: 'daemon', want: one, have: running })
  }

  const wantedRules = new Set(want.rules.map(ruleKey))
  for (const rule of have.rules) if (!wantedRules.has(ruleKey(rule))) ip(prune, 'rule', rule.family, `rule del ${ruleArguments(rule)}`)
  const wantedRoutes = new Set(want.routes.map(routeKey))
  for (const route of have.routes) if (!wantedRoutes.has(routeKey(route))) ip(prune, 'route', route.family, `route del ${routeIdentity(route)}`)
  if (have.announces && !want.announces) ip(prune, 'link', 4, 'link set dev lo group 0')
  const wantedHops = new Set(want.nexthops.map((hop) => hop.id))
  for (const hop of have.nexthops) if (!wantedHops.has(hop.id)) ip(prune, 'nexthop', hop.family, `nexthop del id ${hop.id}`)
  const wantedAddresses = new Set(want.addresses.map(addressKey))
  const wantedLinks = new Set([...want.links.map((link) => link.name), ...wantedTunnels.keys()])
  for (const at of have.addresses) {
    const ours =
      (wantedLinks.has(at.device) && isOurs(at.device)) ||
      (at.device === 'lo' && memory.ulas.some((ula) => contains(ula as Prefix, at.address.slice(0, at.address.indexOf('/')) as Prefix))) ||
      memory.addedAddresses.some((one) => addressKey(one) === addressKey(at))
    if (ours && !wantedAddresses.has(addressKey(at))) ip(prune, 'addr', familyOfText(at.address), `addr del ${addressKey(at)}`)
  }
  for (const link of have.links) if (!wantedLinks.has(link.name)) prune.push({ kind: 'remove', device: link.name })
  for (const one of have.tunnels) if (!wantedLinks.has(one.device)) prune.push({ kind: 'ipsec-stop', have: one })
  for (const link of have.xfrm) if (!wantedLinks.has(link.name)) prune.push({ kind: 'remove', device: link.name, ifId: link.ifId })
  for (const one of have.daemons) if (!want.daemons.some(({ name }) => name === one.name)) prune.push({ kind: 'daemon-stop', have: one })
  if (want.xfrm.length === 0 && have.charon) prune.push({ kind: 'charon-stop', have: have.charon })
  if (wanted.length > 0) tell(prune, settingsDifference(want.frr, have.frr.settings).prune, undefined)
  if (have.frr.daemons.keys().some((one) => !wanted.includes(one))) prune.push({ kind: 'frr-stop', wanted, have: have.frr })
  return { make, prune }
}

/** One change in words, for findings and test failures. */
export function say(change: Change): string {
  switch (change.kind) {
    case 'create':
      return `interface ${change.device} is missing`
    case 'wireguard':
      return `${change.link.name}: ${change.why}`
    case 'ip':
      return `ip -${change.family} ${change.line}`
    case 'sysctl':
      return `${change.key} is ${change.was === '' ? 'empty' : (change.was ?? 'missing')} instead of ${change.value}`
    case 'nft':
      return 'table inet causeway is not the one that was loaded'
    case 'ipsec':
      switch (change.work) {
        case 'start':
          return `${change.want.tunnel.device}: no charon has it`
        case 'again':
          return `${change.want.tunnel.device}: charon has other settings`
        case 'secret':
          return `${change.want.tunnel.device}: charon has another version of the pre-shared key`
        default:
          return change.work satisfies never
      }
    case 'ipsec-stop':
      return `charon's tunnel ${change.have.device} is left over`
    case 'charon':
      return 'no charon runs for the IPsec tunnels'
    case 'charon-stop':
      return 'a charon is left over'
    case 'frr':
      return change.start
        ? `FRR does not run for the routers of the LANs: ${change.start.wanted.join(', ')}`
        : `FRR is to be told: ${change.lines.join('; ')}`
    case 'frr-stop':
      return 'a daemon of FRR is left over'
    case 'daemon':
      return change.have ? `${change.want.name} has other settings` : `${change.want.name} does not run`
    case 'daemon-stop':
      return `${change.have.name} is left over`
    case 'remove':
      return `interface ${change.device} is left over`
    default:
      return change satisfies never
  }
}
