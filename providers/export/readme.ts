/** The pages of an exported network: what each box, region and the whole is, in tables. */
import type { DhcpServer, Fabric, Group, Lan, Region, Site } from '#src/fabric/fabric.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { deviceName, isSecondGateway, listenPort, secondGateway, siteOfGateway } from '#src/fabric/ids.ts'
import { atHome } from '#src/fabric/home.ts'
import { isIpsecInterface } from '#src/fabric/ipsec.ts'
import { announced, learnable, type Speaking, speaking } from '#src/fabric/lan-routing.ts'
import type { Keyring } from '#src/fabric/peers.ts'
import { counted } from '#src/fabric/plural.ts'
import { type SiteSlice, tunnelsOf } from '#src/fabric/slice.ts'
import { ospfMetrics } from '#src/fabric/vrrp.ts'
import { formatMaintenance } from '#src/fabric/windows.ts'
import { familyOf, hostPrefix } from '#src/net/address.ts'
import { familiesIn } from '#src/net/sets.ts'
import { devicesOf } from './devices.ts'

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string[] => [
  `| ${head.join(' | ')} |`,
  `|${head.map(() => '---').join('|')}|`,
  ...rows.map((row) => `| ${row.join(' | ')} |`),
]
/** Without columns in which nothing stands, and not at all without rows. */
function section(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return []
  const said = head.map((_, n) => rows.some((row) => row[n] !== ''))
  const only = (row: readonly string[]) => row.filter((_, n) => said[n])
  return ['', `## ${title}`, '', ...table(only(head), rows.map(only))]
}

export function siteReadme(slice: SiteSlice, keys: Keyring): string {
  const { site, network } = slice
  const ipsecDevices = site.interfaces.filter(isIpsecInterface).map((own) => {
    const carried = slice.externals.filter(({ tunnel }) => tunnel.ends[0].interface === own.id)
    return [deviceName(own.stem, 0), String(own.port), own.kind, carried.map(({ tunnel }) => tunnel.id).join('<br>')]
  })
  const wireguardDevices = site.interfaces.flatMap((own) =>
    devicesOf(slice, own, keys).map((device) => [
      device.name,
      String(listenPort(own.port, device.linkEpoch)),
      own.kind,
      device.peers.map((peer) => peer.tunnel.id).join('<br>'),
    ]),
  )
  const devices = [...ipsecDevices, ...wireguardDevices]
  const uplinks = site.uplinks.map((one) => [
    one.id,
    one.interface,
    one.transport,
    one.metered ? `${one.medium}, metered` : one.medium,
    one.endpoint.kind === 'fixed' ? one.endpoint.address : 'from the provider',
  ])
  const lans = site.lans.map((lan) => [
    lan.segment,
    lan.interface,
    lan.local === undefined ? lan.prefix : `${lan.local}, ${lan.prefix} in the overlay`,
    lan.via !== undefined
      ? lan.learned
        ? `learned from ${lan.via}`
        : `next hop ${lan.via}`
      : lan.own === undefined
        ? lan.address
        : `${lan.address} of whichever is on duty, its own ${lan.own}`,
    leavingOf(lan, site),
    lan.trust === undefined ? '' : 'believed',
  ])
  const routes = slice.routes.map((route) => [route.to, `${route.remote}/${route.segment}`])
  const groups = groupsOf(site)
    .filter((group) => group.arrived === 'anywhere')
    .map((group) => [remoteText(group), group.trafficClass, stages(group.via)])
  return `${[
    `# ${site.id}`,
    '',
    `${site.hub ? 'Hub' : site.role === 'core' ? 'Core' : 'Edge'} of network ${network.id}, node ${site.index}, loopback ${site.loopback}.${site.hubs.length > 0 ? ` Hubs in order: ${site.hubs.join(', ')}.` : ''}${pairText(site)}`,
    `Overlay MTU ${network.mtu}, TCP MSS ${network.mss.v4} (IPv4) and ${network.mss.v6} (IPv6).`,
    ...section('Uplinks', ['uplink', 'interface', 'transport', 'medium', 'address'], uplinks),
    ...section('LANs', ['segment', 'interface', 'prefix', 'gateway', 'to the internet', 'DSCP of hosts'], lans),
    ...section('What hosts of LANs are told', ['segment', 'interface', 'by', 'what'], site.lans.flatMap(toldTo)),
    ...section('Routers of LANs', ['segment', 'interface', 'neighbors', 'session', 'may announce', 'are told'], routersOf(atHome(slice).site)),
    ...section('Interfaces', ['device', 'port', 'kind', 'tunnels'], devices),
    ...section('Routes', ['to', 'at'], routes),
    ...section('Paths, best first', ['remote', 'class', 'tunnels; a semicolon is where the next stage begins'], groups),
    ...section(
      'Carried for others',
      ['between', 'and'],
      site.transits.map(({ a, b }) => [a.join(', '), b.join(', ')]),
    ),
  ].join('\n')}\n`
}

/** The two of a pair are alike but for their uplinks, and what each has of its LANs. */
function pairText({ id, lans }: Site): string {
  if (lans.every(({ own }) => own === undefined)) return ''
  const other = isSecondGateway(id) ? siteOfGateway(id) : secondGateway(id)
  return ` One of the two gateways of ${siteOfGateway(id)}, with ${other}: they share the addresses of LANs by VRRP (RFC 9568).`
}
const leavingOf = ({ internet, prefix }: Lan, { exits, exitHub }: Site): string =>
  internet === undefined
    ? ''
    : internet === 'hub'
      ? `at hub ${exitHub}`
      : `by ${(exits ?? []).join(', ')}, behind their ${familyOf(prefix) === 4 ? 'IPv4' : 'IPv6'} addresses`
function toldTo({ segment, interface: device, dhcp, ra }: Lan): readonly (readonly string[])[] {
  const resolvers = (dns: readonly string[], domain: string) => [
    ...(dns.length > 0 ? [`resolvers ${dns.join(', ')}`] : []),
    ...(domain === '' ? [] : [`domain ${domain}`]),
  ]
  const leases = (of: DhcpServer) => [
    `${of.range.first} to ${of.range.last} for ${of.lease} s`,
    ...resolvers(of.dns, of.domain),
    ...of.reserved.map(({ name, mac, address }) => `${address} for ${name}, ${mac}`),
  ]
  return [
    ...(dhcp?.kind === 'server' ? [[segment, device, 'DHCP', leases(dhcp).join('<br>')]] : []),
    ...(dhcp?.kind === 'relay' ? [[segment, device, 'DHCP', `what ${dhcp.server} says`]] : []),
    ...(ra ? [[segment, device, 'router advertisements', ['this gateway as router', ...resolvers(ra.dns, ra.domain)].join('<br>')]] : []),
  ]
}
/** Beside what either side announces to the other, as the configuration of FRR has it. */
const routersOf = (site: Site): readonly (readonly string[])[] =>
  speaking(site).map((session) => {
    const families = familiesIn(session.neighbors.map((one) => hostPrefix(one)))
    const told = families.map((family) => announced(site, session, family))
    return [
      session.segment,
      session.interface,
      session.neighbors.join(', '),
      sessionText(site, session),
      families.flatMap((family) => learnable(site, session, family)).join(', '),
      [
        ...told.flatMap(({ prefixes, passedOn }) => [...prefixes, ...passedOn]),
        ...(told.some(({ byDefault }) => byDefault) ? ['a default route'] : []),
      ].join(', '),
    ]
  })
function sessionText({ id, lans, bgp = [], ospf }: Site, { protocol, interface: device }: Speaking): string {
  if (protocol === 'ospf') {
    const { carries, standsBy } = ospfMetrics(id)
    const isShared = lans.some(({ own, interface: on }) => own !== undefined && on === device)
    return `OSPF, area ${ospf!.area}, hello ${ospf!.hello} s, dead ${ospf!.dead} s${isShared ? `, metric ${carries}, or ${standsBy} while it stands by` : ''}`
  }
  const { asn, localAsn, hold } = bgp.find((one) => one.interface === device)!
  return `BGP, AS ${asn}, here ${localAsn}, hold ${hold} s`
}
const remoteText = ({ remote, family }: Group): string => `${remote}${family === undefined ? '' : ` over IPv${family}`}`
function stages(via: Site['groups'][number]['via']): string {
  const byStage = Map.groupBy(via, (hop) => hop.stage)
  return [...byStage.values()].map((hops) => hops.map((hop) => hop.tunnel).join(', ')).join('; ') || 'none: unreachable'
}

export function regionReadme(region: Region): string {
  const connectionOf = new Map(region.connections.flatMap(({ id, members }) => members.map((member) => [member.tunnel, id] as const)))
  const back = [...new Map(groupsOf(region).map((group) => [remoteText(group), group.via])).entries()].map(([remote, via]) => [
    remote,
    [...new Set(via.map((hop) => connectionOf.get(hop.tunnel)!))].join(', '),
  ])
  return `${[
    `# ${region.id}`,
    '',
    `Region ${region.location} of ${region.provider}, segment ${region.segment}, joined by a ${region.attach.replaceAll('-', ' ')} with ${region.routing} routing; AS ${region.asn}, hubs ${region.hubAsn}.`,
    ...section(
      'VPCs',
      ['VPC', 'prefixes'],
      region.networks.map((network) => [network.id, network.prefixes.join(', ')]),
    ),
    ...section(
      'Connections',
      ['connection', 'customer gateway', 'tunnels', 'inside'],
      region.connections.map(({ id, address, members }) => [
        id,
        address,
        members.map((member) => member.tunnel).join('<br>'),
        members.map((member) => member.inside).join('<br>'),
      ]),
    ),
    ...section('Return routes: the first connection that works', ['to', 'connections'], back),
    ...section(
      'Security groups',
      ['allow'],
      region.rules.map((rule) => [rule.id]),
    ),
    ...section(
      'Left out of them',
      ['deny'],
      (region.denies ?? []).map((deny) => [deny.id]),
    ),
  ].join('\n')}\n`
}

export const networkReadme = (fabric: Fabric): string =>
  `${[
    `# Network ${fabric.network.id}`,
    '',
    `${counted(fabric.sites.length, 'site')}, ${fabric.regions.length > 0 ? `${counted(fabric.regions.length, 'cloud region')}, ` : ''}${fabric.peers.length > 0 ? `${counted(fabric.peers.length, 'peer')}, ` : ''}${counted(fabric.tunnels.length, 'tunnel')}. Tunnel insides and loopbacks come from ${fabric.network.ula}.`,
    '',
    ...table(
      ['site', 'role', 'tunnels', 'LANs'],
      fabric.sites.map((site) => [
        `[${site.id}](sites/${site.id}/README.md)`,
        site.hub ? 'hub' : site.role,
        String(tunnelsOf(fabric, site.id).length),
        site.lans.map((lan) => lan.prefix).join(', '),
      ]),
    ),
    ...section(
      'Classes',
      ['class', 'DSCP', 'share'],
      fabric.classes.map((one) => [one.id, String(one.dscp), `${one.share} %`]),
    ),
    ...section(
      'Maintenance windows',
      ['site', 'changes are made'],
      (fabric.maintenance ?? []).map(({ site, ...when }) => [site, formatMaintenance(when)]),
    ),
  ].join('\n')}\n`
