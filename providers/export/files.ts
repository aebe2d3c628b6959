/**
 * A network as plain files, for reading, diffing and air-gapped review: per site a README, the WireGuard interfaces in
 * wg-quick's form and the policy as an nftables file. Private keys exist only on the boxes and stand as placeholders.
 */
import type { Fabric, Fact, Flow, Interface, Rule, Site, Transit } from '#src/fabric/fabric.ts'
import { deviceName, listenPort } from '#src/fabric/ids.ts'
import { commonEpoch, type Keyring, keyring, peerOf } from '#src/fabric/peers.ts'
import { type SiteSlice, type SlicePeer, siteSlice, tunnelsOf } from '#src/fabric/slice.ts'
import { type Family, familyOf, type Prefix } from '#src/net/address.ts'
import type { PortRange } from '#src/net/ports.ts'

export interface ExportedFile {
  /** Relative, with `/`. */
  readonly path: string
  readonly text: string
}

/** Without facts public keys are placeholders too. Sorted by path. */
export function exportFiles(fabric: Fabric, facts: readonly Fact[] = []): readonly ExportedFile[] {
  const keys = keyring(facts, new Set(fabric.sites.map((site) => site.id)))
  const files = fabric.sites.flatMap((site) => {
    const slice = siteSlice(fabric, site.id)
    const folder = `sites/${site.id}`
    return [
      { path: `${folder}/README.md`, text: siteReadme(slice, keys) },
      { path: `${folder}/policy.nft`, text: policy(site) },
      ...site.interfaces.flatMap((own) =>
        devicesOf(slice, own, keys).map((device) => ({ path: `${folder}/wireguard/${device.name}.conf`, text: wireguard(slice, own, device, keys) })),
      ),
    ]
  })
  return [{ path: 'README.md', text: networkReadme(fabric) }, ...files].sort((a, b) => (a.path < b.path ? -1 : 1))
}

interface Device {
  readonly name: string
  readonly linkEpoch: number
  readonly peers: readonly SlicePeer[]
}
/** One per link epoch in use; peers without a common key are planned for the newest, 0 at first. */
function devicesOf({ site, peers }: SliceOf, own: Interface, keys: Keyring): readonly Device[] {
  const known = keys.epochs(site.id, own.id)
  const newest = known.at(-1) ?? 0
  const byEpoch = Map.groupBy(
    peers.filter(({ tunnel, end }) => tunnel.ends[end].interface === own.id),
    (peer) => commonEpoch(known, keys.epochs(farEnd(peer).site, farEnd(peer).interface)) ?? newest,
  )
  return [...byEpoch].sort(([a], [b]) => a - b).map(([linkEpoch, of]) => ({ name: deviceName(own.stem, linkEpoch), linkEpoch, peers: of }))
}
type SliceOf = Pick<SiteSlice, 'site' | 'peers'>
const farEnd = ({ tunnel, end }: SlicePeer) => tunnel.ends[end === 0 ? 1 : 0]

function wireguard({ site, network }: SiteSlice, own: Interface, device: Device, keys: Keyring): string {
  const { linkEpoch } = device
  const peers = device.peers.map((peer) => ({ peer, far: farEnd(peer), ...peerOf(network.ula, own.kind, peer, linkEpoch) }))
  const interfaceLines = [
    `# ${site.id} ${own.id}`,
    '[Interface]',
    'PrivateKey = <private key stays on the box>',
    ...peers.map(({ inside }) => `Address = ${inside}/128`),
    `ListenPort = ${listenPort(own.port, linkEpoch)}`,
    `MTU = ${network.mtu}`,
    '# Which tunnel carries what is decided by the routes in README.md, not by AllowedIPs.',
    'Table = off',
  ]
  const peerLines = peers.flatMap(({ peer, far, endpoint, allowedIps }) => [
    '',
    `# ${peer.tunnel.id}`,
    '[Peer]',
    `PublicKey = ${keys.publicKey(far.site, far.interface, linkEpoch) ?? `<public key of ${far.site} ${far.interface}>`}`,
    `AllowedIPs = ${allowedIps.join(', ')}`,
    ...(endpoint === 'roams' ? [] : [`Endpoint = ${familyOf(endpoint.address) === 6 ? `[${endpoint.address}]` : endpoint.address}:${endpoint.port}`]),
    ...(peer.end === 0 ? ['PersistentKeepalive = 25'] : []),
  ])
  return `${[...interfaceLines, ...peerLines].join('\n')}\n`
}

/** Owners are stateful, transit is stateless: routing rules 3 and 22. */
function policy(site: Site): string {
  const rules = site.rules.flatMap((rule) => [`    # ${rule.id}`, ...ruleLines(rule).map((line) => `    ${line}`)])
  const both = site.transits.flatMap(({ a, b }) => [pair(a, b), pair(b, a)])
  const transit =
    site.transits.length === 0
      ? []
      : ['  chain transit {', '    type filter hook prerouting priority raw; policy accept;', ...both.map((line) => `    ${line} notrack`), '  }']
  return `${[
    `# ${site.id}: what is not allowed here is dropped`,
    'table inet causeway {',
    ...transit,
    '  chain forward {',
    '    type filter hook forward priority filter; policy drop;',
    '    ct state established,related accept',
    '    # errors and neighbour discovery always pass',
    '    icmp type { destination-unreachable, time-exceeded, parameter-problem } accept',
    '    icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, nd-neighbor-solicit, nd-neighbor-advert } accept',
    ...rules,
    ...(both.length === 0 ? [] : ['    # carried for others', ...both.map((line) => `    ${line} accept`)]),
    '  }',
    '}',
  ].join('\n')}\n`
}
const word = (family: Family): string => (family === 4 ? 'ip' : 'ip6')
const pair = (from: Prefix, to: Prefix): string => `${word(familyOf(from))} saddr ${from} ${word(familyOf(to))} daddr ${to}`

function ruleLines({ from, to, ports }: Rule): string[] {
  return ([4, 6] as const).flatMap((family) => {
    const [source, target] = [set(from, family), set(to, family)]
    return source === '' || target === ''
      ? []
      : ports.map((range) => `${word(family)} saddr ${source} ${word(family)} daddr ${target}${match(range, family)} accept`)
  })
}
const set = (flow: Flow, family: Family): string => {
  const prefixes = flow.prefixes.filter((prefix) => familyOf(prefix) === family)
  return prefixes.length === 0 ? '' : `{ ${prefixes.join(', ')} }`
}
function match({ protocol, from, to }: PortRange, family: Family): string {
  switch (protocol) {
    case 'any':
      return ''
    case 'icmp':
      return ` meta l4proto ${family === 4 ? 'icmp' : 'icmpv6'}`
    case 'tcp':
    case 'udp':
      return from === 0 && to === 65535 ? ` meta l4proto ${protocol}` : ` ${protocol} dport ${from === to ? from : `${from}-${to}`}`
    default:
      throw new TypeError(`unknown protocol ${String(protocol satisfies never)}`)
  }
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string[] => [
  `| ${head.join(' | ')} |`,
  `|${head.map(() => '---').join('|')}|`,
  ...rows.map((row) => `| ${row.join(' | ')} |`),
]
const section = (title: string, head: readonly string[], rows: readonly (readonly string[])[]): string[] =>
  rows.length === 0 ? [] : ['', `## ${title}`, '', ...table(head, rows)]

function siteReadme(slice: SiteSlice, keys: Keyring): string {
  const { site, network } = slice
  const devices = site.interfaces.flatMap((own) =>
    devicesOf(slice, own, keys).map((device) => [
      device.name,
      String(listenPort(own.port, device.linkEpoch)),
      own.kind,
      device.peers.map((peer) => peer.tunnel.id).join('<br>'),
    ]),
  )
  const uplinks = site.uplinks.map((one) => [
    one.id,
    one.interface,
    one.transport,
    one.metered ? `${one.medium}, metered` : one.medium,
    one.endpoint.kind === 'fixed' ? one.endpoint.address : 'from the provider',
  ])
  const lans = site.lans.map((lan) => [lan.segment, lan.interface, lan.prefix, lan.address])
  const routes = site.routes.map((route) => [route.to, `${route.remote}/${route.segment}`])
  const groups = site.groups.filter((group) => group.arrived === 'anywhere').map((group) => [group.remote, group.trafficClass, stages(group.via)])
  return `${[
    `# ${site.id}`,
    '',
    `${site.hub ? 'Hub' : site.role === 'core' ? 'Core' : 'Edge'} of network ${network.id}, node ${site.index}, loopback ${site.loopback}.${site.hubs.length > 0 ? ` Hubs in order: ${site.hubs.join(', ')}.` : ''}`,
    `Overlay MTU ${network.mtu}, TCP MSS ${network.mss.v4} (IPv4) and ${network.mss.v6} (IPv6).`,
    ...section('Uplinks', ['uplink', 'interface', 'transport', 'medium', 'address'], uplinks),
    ...section('LANs', ['segment', 'interface', 'prefix', 'gateway'], lans),
    ...section('Interfaces', ['device', 'port', 'kind', 'tunnels'], devices),
    ...section('Routes', ['to', 'at'], routes),
    ...section('Paths, best first', ['remote', 'class', 'tunnels; a semicolon is where the next stage begins'], groups),
    ...section(
      'Carried for others',
      ['between', 'and'],
      site.transits.map(({ a, b }: Transit) => [a, b]),
    ),
  ].join('\n')}\n`
}
function stages(via: Site['groups'][number]['via']): string {
  const byStage = Map.groupBy(via, (hop) => hop.stage)
  return [...byStage.values()].map((hops) => hops.map((hop) => hop.tunnel).join(', ')).join('; ') || 'none: unreachable'
}

const networkReadme = (fabric: Fabric): string =>
  `${[
    `# Network ${fabric.network.id}`,
    '',
    `${fabric.sites.length} sites, ${fabric.tunnels.length} tunnels. Tunnel insides and loopbacks come from ${fabric.network.ula}.`,
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
  ].join('\n')}\n`
