/** SiteConfig → the kernel state that it means. Pure: what the box is like now (addresses, keys, choices) is an argument. */
import type { Choice, Leaving } from '../device.ts'
import type { Group, Lan, SiteConfig, Uplink, UplinkId } from '#src/fabric/fabric.ts'
import { groupKey, groupsOf } from '#src/fabric/groups.ts'
import { speaking } from '#src/fabric/lan-routing.ts'
import { isIpsec, isIpsecInterface, probeEnds } from '#src/fabric/ipsec.ts'
import { familiesOf as familiesOfEndpoint } from '#src/fabric/uplinks.ts'
import {
  addressWithLength,
  endpointText,
  type Family,
  familyOf,
  hostOf,
  hostPrefix,
  networkOf,
  type Prefix,
  prefix,
  privateSpace,
} from '#src/net/address.ts'
import type { Setting } from './frr-settings.ts'
import { announcedByOspf, dutyBy } from './ospf.ts'
import { reservedPorts } from './reserved-ports.ts'
import { frrSettings } from './routers.ts'
import type { WantedDaemon } from './daemons.ts'
import { insidesOf, type WantedTunnel, wantedTunnels } from './charons.ts'
import { wantedDnsmasq } from './dnsmasq.ts'
import { wantedRadvd } from './radvd.ts'
import type { DeviceAddress, Kernel, Link, Nexthop, PolicyRule, Route, Sysctl } from './kernel.ts'
import { deviceOf, familiesOf, groupFor, groupOf, interfaceOf, peersOf } from './lookup.ts'
import { ruleset } from './nft.ts'
import type { Observed } from './observe.ts'
import {
  classMask,
  classTable,
  type Esp,
  exitMark,
  exitMask,
  exitTable,
  guestMark,
  hubExitTable,
  guardTable,
  lastResortMetric,
  listenedPorts,
  meshTable,
  nexthopIds,
  nexthopKey,
  outerMark,
  outerMask,
  pinnedTable,
  priority,
  probedTable,
  uplinkTable,
} from './scheme.ts'
import { outermost } from './transit.ts'
import { sharedLans, standingAddress } from './vrrp.ts'

export interface Desired extends Kernel {
  /** IPsec, as charon is told. */
  readonly tunnels: readonly WantedTunnel[]
  /** BGP and OSPF with routers of LANs, as FRR is told. */
  readonly frr: readonly Setting[]
  /** Routes that stand for being announced. */
  readonly announces: boolean
  readonly daemons: readonly WantedDaemon[]
  readonly sysctls: readonly Sysctl[]
  /** `table inet causeway { … }`. */
  readonly nft: string
}
/** By groupKey. */
export type Choices = ReadonlyMap<string, Choice>
export const choicesBy = (choices: readonly Choice[]): Choices => new Map(choices.map((one) => [groupKey(one), one]))

export interface Situation {
  readonly interfaces: Observed['interfaces']
  readonly defaults: Observed['defaults']
  readonly tentative: Observed['tentative']
  /** Device name → public key of the private key that the box holds for it. */
  readonly publicKeys: ReadonlyMap<string, string>
  /** Who encrypts IPsec tunnels here. */
  readonly esp: Esp
  /** A group that isn't named starts on its first hop that is ready. */
  readonly choices: Choices
  /** null: nobody said yet; then the first exit that has a router. */
  readonly leaving: Leaving | null
  /** Ports of tunnels that the config no longer names but that stay until the commit is confirmed. */
  readonly keptPorts: readonly number[]
}

const families: readonly Family[] = [4, 6]
const any: Record<Family, Prefix> = { 4: prefix('0.0.0.0/0'), 6: prefix('::/0') }

/** What a group's nexthop points to: a device, or '' when unreachable. */
export function chosenDevice(config: SiteConfig, group: Group, choices: Choices): string {
  const choice = choices.get(groupKey(group))
  if (choice === undefined) {
    for (const hop of group.via) {
      const device = deviceOf(config, hop.tunnel)
      if (device !== undefined) return device
    }
    return ''
  }
  if (choice.hop === 'unreachable') return ''
  const hop = group.via[choice.hop]
  return (hop && deviceOf(config, hop.tunnel)) ?? ''
}

interface NexthopPlan {
  readonly idOf: (group: Group, family: Family) => number
}
/** Every failover asks for it, and it hashes a name for each group. */
const plans = new WeakMap<SiteConfig, NexthopPlan>()
export function nexthopPlan(config: SiteConfig): NexthopPlan {
  const found = plans.get(config)
  if (found) return found
  const ids = nexthopIds(groupsOf(config).flatMap((group) => familiesOf(config, group).map((family) => ({ ...group, family }))))
  const made: NexthopPlan = { idOf: (group, family) => ids.get(nexthopKey({ ...group, family }))! }
  plans.set(config, made)
  return made
}

function links(config: SiteConfig, publicKeys: ReadonlyMap<string, string>): readonly Link[] {
  return config.interfaces
    .filter((one) => !isIpsecInterface(one))
    .map((one): Link => {
      const uplink = config.uplinks.find((each) => each.id === one.uplink)
      const peers = peersOf(config, one)
        .filter((tunnel) => !isIpsec(tunnel))
        .map((tunnel) => ({
          publicKey: tunnel.peer.publicKey,
          endpoint: tunnel.peer.endpoint === 'roams' ? '' : endpointText(tunnel.peer.endpoint.address, tunnel.peer.endpoint.port),
          allowedIps: [...tunnel.peer.allowedIps].sort(),
          keepalive: tunnel.initiates && uplink !== undefined && behindNat(uplink) ? 15 : 0,
        }))
        .sort((a, b) => (a.publicKey < b.publicKey ? -1 : 1))
      return {
        name: one.device,
        up: true,
        mtu: config.network.mtu,
        publicKey: publicKeys.get(one.device) ?? '',
        listenPort: one.listenPort,
        fwmark: uplink === undefined ? 0 : outerMark(uplink.slot),
        peers,
      }
    })
}
/** A dynamic uplink may be behind NAT, and a forwarded one is: only there does an idle mapping have to be kept open. */
const behindNat = (uplink: Uplink): boolean => uplink.endpoint.kind === 'dynamic' || uplink.endpoint.public !== hostOf(uplink.endpoint.address)

function addresses(config: SiteConfig): readonly DeviceAddress[] {
  return [
    { device: 'lo', address: `${config.loopback}/${familyOf(config.loopback) === 6 ? 128 : 32}` },
    ...config.lans.filter(({ via }) => via === undefined).map((lan) => ({ device: lan.interface, address: standingAddress(lan) })),
    ...config.tunnels.flatMap((tunnel) => {
      const device = interfaceOf(config, tunnel)?.device
      const own = isIpsec(tunnel) ? insidesOf(tunnel) : [`${tunnel.inside}/128`]
      return device === undefined ? [] : own.map((address) => ({ device, address }))
    }),
  ]
}

function uplinkRoutes(
  config: SiteConfig,
  { interfaces, defaults }: Situation,
): { readonly routes: readonly Route[]; readonly rules: readonly PolicyRule[] } {
  const routes: Route[] = []
  const rules: PolicyRule[] = []
  for (const uplink of config.uplinks) {
    const table = uplinkTable(uplink.slot)
    const os = interfaces.find((one) => one.name === uplink.interface)
    const own = (os?.addresses ?? []).map(addressWithLength)
    for (const address of own) {
      const family = familyOf(address)
      routes.push({ family, table, to: networkOf(address), metric: 0, target: { kind: 'device', device: uplink.interface, router: '' }, source: '' })
      rules.push({
        family,
        priority: priority.uplinkSource,
        fwmark: 0,
        mask: 0,
        from: hostOf(address),
        iif: '',
        action: { kind: 'lookup', table, withoutDefault: false },
      })
    }
    for (const family of families) {
      const stated =
        uplink.endpoint.kind === 'fixed' && familyOf(uplink.endpoint.router) === family
          ? { device: uplink.interface, router: uplink.endpoint.router }
          : undefined
      const found = stated ?? defaults.find((route) => route.family === family && route.device === uplink.interface)
      if (found && os?.up === true && own.some((address) => familyOf(address) === family)) {
        routes.push({
          family,
          table,
          to: any[family],
          metric: 0,
          target: { kind: 'device', device: uplink.interface, router: found.router },
          source: '',
        })
      }
      // Without it a tunnel whose uplink is gone would leave by another uplink, and its probes would lie.
      routes.push({ family, table, to: any[family], metric: lastResortMetric, target: { kind: 'unreachable' }, source: '' })
      rules.push({
        family,
        priority: priority.outer,
        fwmark: outerMark(uplink.slot),
        mask: outerMask,
        from: '',
        iif: '',
        action: { kind: 'lookup', table, withoutDefault: false },
      })
    }
  }
  return { routes, rules }
}

/** The router of an uplink in a family; undefined while it has none, and where it is not said to have the family. */
const routerOf = (config: SiteConfig, outer: readonly Route[], id: UplinkId, family: Family): Route['target'] | undefined => {
  const uplink = config.uplinks.find((one) => one.id === id && familiesOfEndpoint(one.endpoint).includes(family))
  return outer.find(
    (route) => route.family === family && route.table === uplinkTable(uplink?.slot ?? -1) && route.to === any[family] && route.metric === 0,
  )?.target
}
/**
 * Local breakout: what may leave does so by one uplink, and connections that left by another stay there as long as it
 * leads out. When it no longer does they are sent the way of the new ones, where the kernel's masquerading notices the
 * other device and forgets them, so that they start anew behind the other address.
 */
function exits(config: SiteConfig, leaving: Leaving | null, outer: readonly Route[]): Pick<Kernel, 'routes' | 'rules'> {
  const own = config.exits ?? []
  const routes: Route[] = []
  const rules: PolicyRule[] = []
  for (const family of families) {
    const open = own.filter((id) => (leaving === null || leaving.open.includes(id)) && routerOf(config, outer, id, family) !== undefined)
    const by = leaving !== null && open.includes(leaving.by) ? leaving.by : open[0]
    const lead = (table: number, through: UplinkId | undefined): void => {
      const target = through === undefined ? undefined : routerOf(config, outer, through, family)
      if (target) routes.push({ family, table, to: any[family], metric: 0, target, source: '' })
      routes.push({ family, table, to: any[family], metric: lastResortMetric, target: { kind: 'unreachable' }, source: '' })
    }
    if (own.length > 0) lead(exitTable, by)
    if (config.exitsFor)
      rules.push({
        family,
        priority: priority.guests,
        fwmark: guestMark,
        mask: exitMask,
        from: '',
        iif: '',
        action: { kind: 'lookup', table: exitTable, withoutDefault: false },
      })
    for (const { id, slot } of config.uplinks.filter((uplink) => own.includes(uplink.id))) {
      lead(pinnedTable(slot), open.includes(id) ? id : by)
      rules.push({
        family,
        priority: priority.pinned(slot),
        fwmark: exitMark(slot),
        mask: exitMask,
        from: '',
        iif: '',
        action: { kind: 'lookup', table: pinnedTable(slot), withoutDefault: false },
      })
    }
  }
  return { routes, rules }
}

/**
 * Where packets of the gateway itself (an ICMP error above all) come from, so that the other end's policy knows them. The
 * kernel takes no route whose source is tentative, as it is for as long as the operating system's LAN has no carrier.
 */
function sourceFor(config: SiteConfig, segment: string, family: Family, tentative: Observed['tentative']): string {
  const ready = (lan: Lan): boolean => !tentative.some((at) => at.device === lan.interface && at.address === standingAddress(lan))
  const lans = config.lans.filter((lan) => familyOf(lan.prefix) === family && ready(lan))
  const lan = lans.find((one) => one.segment === segment) ?? lans[0]
  return lan ? hostOf(standingAddress(lan)) : family === familyOf(config.loopback) ? config.loopback : ''
}

function overlay(config: SiteConfig, { choices, tentative }: Situation): Pick<Kernel, 'nexthops' | 'routes' | 'rules'> {
  const { idOf } = nexthopPlan(config)
  const meshDevices = config.interfaces.filter((one) => one.kind === 'mesh').map((one) => one.device)
  const nexthops: Nexthop[] = []
  const routes: Route[] = []
  const rules: PolicyRule[] = []
  const unreachable = (family: Family, to: string, table: number): Route => ({
    family,
    table,
    to,
    metric: lastResortMetric,
    target: { kind: 'unreachable' },
    source: '',
  })
  const lookup = (
    family: Family,
    at: number,
    table: number | 'main',
    more: { readonly fwmark?: number; readonly iif?: string; readonly withoutDefault?: boolean } = {},
  ): PolicyRule => ({
    family,
    priority: at,
    fwmark: more.fwmark ?? 0,
    mask: more.fwmark === undefined ? 0 : classMask,
    from: '',
    iif: more.iif ?? '',
    action: { kind: 'lookup', table, withoutDefault: more.withoutDefault ?? false },
  })

  for (const group of groupsOf(config)) {
    const device = chosenDevice(config, group, choices)
    for (const family of familiesOf(config, group)) nexthops.push({ id: idOf(group, family), family, device })
  }
  const classes = config.classes.some((one) => one.index === 0) ? config.classes : [{ id: 'default', index: 0 }, ...config.classes]
  for (const one of classes) {
    for (const arrived of meshDevices.length > 0 ? (['anywhere', 'mesh'] as const) : (['anywhere'] as const)) {
      const table = arrived === 'mesh' ? meshTable(one.index) : classTable(one.index)
      for (const route of config.routes) {
        const family = familyOf(route.to)
        const group = groupFor(config, { remote: route.remote, trafficClass: one.id as Group['trafficClass'], arrived, family })
        if (group)
          routes.push({
            family,
            table,
            to: route.to,
            metric: 0,
            target: { kind: 'nexthop', id: idOf(group, family) },
            source: sourceFor(config, route.segment, family, tentative),
          })
        if (arrived === 'anywhere') routes.push(unreachable(family, route.to, table))
      }
      if (arrived === 'mesh') {
        for (const lan of config.lans.filter(({ learned }) => !learned))
          routes.push({
            family: familyOf(lan.prefix),
            table,
            to: lan.prefix,
            metric: 0,
            target: { kind: 'device', device: lan.interface, router: lan.via ?? '' },
            source: '',
          })
        for (const family of families) routes.push(unreachable(family, any[family], table))
      }
    }
  }
  for (const family of families) {
    for (const device of meshDevices) {
      // What is learned is in `main`, and only there.
      if (speaking(config).length > 0) rules.push(lookup(family, priority.learned, 'main', { iif: device, withoutDefault: true }))
      for (const one of classes)
        rules.push(
          lookup(family, priority.mesh + (one.index === 0 ? 1 : 0), meshTable(one.index), {
            iif: device,
            ...(one.index === 0 ? {} : { fwmark: one.index }),
          }),
        )
    }
    rules.push(lookup(family, priority.connected, 'main', { withoutDefault: true }))
    for (const one of classes) {
      if (one.index === 0) rules.push(lookup(family, priority.defaultClass, classTable(0)))
      else rules.push(lookup(family, priority.trafficClass(one.index), classTable(one.index), { fwmark: one.index }))
    }
    rules.push(lookup(family, priority.guard, guardTable))
    for (const lan of new Map(config.lans.map((each) => [`${each.interface} ${each.segment}`, each])).values()) {
      const segment = config.segments.find((each) => each.id === lan.segment)
      const internet = config.lans.find(
        (each) => each.interface === lan.interface && each.segment === lan.segment && familyOf(each.prefix) === family && each.internet,
      )?.internet
      rules.push({
        family,
        priority: priority.lan(segment?.index ?? 0),
        fwmark: 0,
        mask: 0,
        from: '',
        iif: lan.interface,
        action:
          internet === undefined
            ? { kind: 'unreachable' }
            : { kind: 'lookup', table: internet === 'hub' ? hubExitTable : exitTable, withoutDefault: false },
      })
    }
  }
  // What leaves is of the default class.
  const exitGroup =
    config.exitHub && groupOf(config, { remote: config.exitHub, trafficClass: 'default' as Group['trafficClass'], arrived: 'anywhere' })
  for (const family of config.exitHub ? families : []) {
    if (exitGroup && familiesOf(config, exitGroup).includes(family))
      routes.push({ family, table: hubExitTable, to: any[family], metric: 0, target: { kind: 'nexthop', id: idOf(exitGroup, family) }, source: '' })
    routes.push(unreachable(family, any[family], hubExitTable))
  }
  const guarded = outermost([
    ...privateSpace,
    ...config.network.pool,
    ...config.routes.map((route) => route.to),
    ...config.lans.map((lan) => lan.prefix),
  ])
  for (const to of guarded) routes.push(unreachable(familyOf(to), to, guardTable))
  for (const tunnel of config.tunnels) {
    const device = interfaceOf(config, tunnel)?.device
    // The far inside of IPsec is on its /30 or /126.
    if (device !== undefined && !isIpsec(tunnel))
      routes.push({
        family: 6,
        table: 'main',
        to: `${tunnel.farInside}/128`,
        metric: 0,
        target: { kind: 'device', device, router: '' },
        source: tunnel.inside,
      })
  }
  return { nexthops, routes, rules }
}

/**
 * How probes of what is behind a third party's gateway get there by each of its tunnels, whichever is chosen. Over IPv4 a
 * socket that is bound to the device is enough, for where no route leads by it the kernel takes the host for one on the link;
 * over IPv6 it wants a route (ip6_route_output: RT6_LOOKUP_F_IFACE). The metric keeps those to one host apart.
 */
function probing(config: SiteConfig): Pick<Kernel, 'routes' | 'rules'> {
  const probed = config.tunnels.filter(isIpsec).flatMap((tunnel) => {
    const own = interfaceOf(config, tunnel)
    const { from, to, stated } = probeEnds(tunnel)
    return own && stated && familyOf(to) === 6 ? [{ own, from, to }] : []
  })
  return {
    routes: probed.map(({ own, to }) => ({
      family: 6,
      table: probedTable,
      to: hostPrefix(to),
      metric: own.port,
      target: { kind: 'device', device: own.device, router: '' },
      source: '',
    })),
    rules: probed.map(({ from }) => ({
      family: 6,
      priority: priority.probed,
      fwmark: 0,
      mask: 0,
      from,
      iif: '',
      action: { kind: 'lookup', table: probedTable, withoutDefault: false },
    })),
  }
}

/** To what is behind routers on the LANs. The kernel takes them only while the link is up, and forgets them when it goes down. */
const nextHops = (config: SiteConfig, { interfaces }: Situation): readonly Route[] =>
  config.lans.flatMap((lan): readonly Route[] => {
    if (lan.via === undefined || lan.learned || interfaces.find((one) => one.name === lan.interface)?.up !== true) return []
    const target = { kind: 'device', device: lan.interface, router: lan.via } as const
    return [{ family: familyOf(lan.prefix), table: 'main', to: lan.prefix, metric: 0, target, source: '' }]
  })

/** What OSPF announces has to be a route, and no packet goes by it. */
const announcements = (config: SiteConfig): readonly Route[] =>
  announcedByOspf(config).map((to) => ({
    family: familyOf(to),
    table: 'main',
    to,
    metric: 0,
    target: { kind: 'device', device: 'lo', router: '' },
    source: '',
  }))

function sysctls(config: SiteConfig, { interfaces }: Situation): readonly Sysctl[] {
  // An IPsec tunnel that waits for its far end has an interface, and no device yet.
  const devices = config.interfaces.filter((one) => !isIpsecInterface(one) || peersOf(config, one).length > 0).map((one) => one.device)
  const present = config.uplinks.filter((uplink) => interfaces.some((one) => one.name === uplink.interface))
  const all: readonly (readonly [string, string | number])[] = [
    // Before the first tunnel: its port would be somebody's.
    [reservedPorts, listenedPorts],
    // A switch costs the same at one route and at ten thousand: routes are not announced again when a nexthop moves.
    ['net/ipv4/nexthop_compat_mode', 0],
    // The kernel takes the stricter of `all` and the device; asymmetric paths are legal, and nft guards sources.
    ['net/ipv4/conf/all/rp_filter', 0],
    ['net/ipv4/conf/all/src_valid_mark', 1],
    ['net/ipv4/conf/all/send_redirects', 0],
    ...present.flatMap((uplink) => [
      [`net/ipv4/conf/${uplink.interface}/rp_filter`, 0] as const,
      // 2: keep listening to router advertisements although we forward.
      [`net/ipv6/conf/${uplink.interface}/accept_ra`, 2] as const,
    ]),
    // Where the operating system has switched it off, and the LAN has such prefixes.
    ...[...new Set(config.lans.filter((lan) => familyOf(lan.prefix) === 6).map((lan) => lan.interface))].map(
      (device) => [`net/ipv6/conf/${device}/disable_ipv6`, 0] as const,
    ),
    // Whose first address goes, as when its site gets a second gateway, keeps the others.
    ...[...new Set(sharedLans(config).map((lan) => lan.interface))].map((device) => [`net/ipv4/conf/${device}/promote_secondaries`, 1] as const),
    ...devices.flatMap((device) => [[`net/ipv4/conf/${device}/rp_filter`, 0] as const, [`net/ipv4/conf/${device}/send_redirects`, 0] as const]),
    // Last: by now the policy stands.
    ['net/ipv6/conf/all/forwarding', 1],
    ['net/ipv4/ip_forward', 1],
  ]
  return all.map(([key, value]) => ({ key, value: String(value) }))
}

/** What a box can't have now because the interface isn't there: a LAN that is gone must not keep the rest from working. */
function withoutMissing(config: SiteConfig, { interfaces }: Situation): SiteConfig {
  const isHere = (of: { readonly interface: string }): boolean => interfaces.some((one) => one.name === of.interface)
  const { bgp, ospf, ...rest } = config
  return { ...rest, lans: config.lans.filter(isHere), ...(bgp ? { bgp: bgp.filter(isHere) } : {}), ...(ospf && isHere(ospf) ? { ospf } : {}) }
}

export function desired(whole: SiteConfig, situation: Situation): Desired {
  const config = withoutMissing(whole, situation)
  const outer = uplinkRoutes(config, situation)
  const inner = overlay(config, situation)
  const probes = probing(config)
  const leaving = exits(config, situation.leaving, outer.routes)
  const unique = <T>(all: readonly T[]): readonly T[] => [...new Map(all.map((one) => [JSON.stringify(one), one])).values()]
  const tunnels = wantedTunnels(config, situation.esp)
  return {
    sysctls: sysctls(config, situation),
    links: links(config, situation.publicKeys),
    xfrm: tunnels.flatMap(({ tunnel }) => (tunnel.esp === 'kernel' ? [{ name: tunnel.device, ifId: tunnel.ifId, up: true, mtu: tunnel.mtu }] : [])),
    tunnels,
    frr: frrSettings(config, dutyBy(config, situation.interfaces)),
    announces: announcedByOspf(config).length > 0,
    addresses: unique(addresses(config)),
    nexthops: inner.nexthops,
    routes: unique([...outer.routes, ...nextHops(config, situation), ...announcements(config), ...inner.routes, ...probes.routes, ...leaving.routes]),
    rules: unique([...outer.rules, ...probes.rules, ...inner.rules, ...leaving.rules]),
    daemons: [wantedDnsmasq(config), wantedRadvd(config)].filter((one) => one !== undefined),
    nft: ruleset(
      whole,
      [...config.interfaces.filter((one) => !isIpsecInterface(one)).map((one) => one.listenPort), ...situation.keptPorts],
      situation.esp,
    ),
  }
}
