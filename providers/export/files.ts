/**
 * A network as plain files, for reading, diffing and air-gapped review: per site a README, the WireGuard interfaces in
 * wg-quick's form, those of IPsec in swanctl's and the policy as an nftables file; per cloud region a README, per peer what
 * its owner sets. Secrets stand as placeholders.
 */
import type { Deny, Fabric, Fact, Interface, Region, Site, Transit } from '#src/fabric/fabric.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { atHome } from '#src/fabric/home.ts'
import { deviceName, externalOf, listenPort } from '#src/fabric/ids.ts'
import { isIpsecInterface } from '#src/fabric/ipsec.ts'
import { type CloudEndpoints, cloudEndpoints, commonEpoch, type Keyring, keyring, peerOf } from '#src/fabric/peers.ts'
import { type SiteSlice, type SliceExternal, type SlicePeer, siteSlice, tunnelsOf } from '#src/fabric/slice.ts'
import { endpointText, type Family, familyOf, nth, type Prefix } from '#src/net/address.ts'
import type { PortRange } from '#src/net/ports.ts'
import { nftRewrite } from '#src/net/translate.ts'
import { peerConfig } from './peer.ts'

export interface ExportedFile {
  /** Relative, with `/`. */
  readonly path: string
  readonly text: string
}

/** Without facts public keys are placeholders too. Sorted by path. */
export function exportFiles(fabric: Fabric, facts: readonly Fact[] = []): readonly ExportedFile[] {
  const clouds = cloudEndpoints(facts)
  const keys = keyring(facts)
  const files = fabric.sites.flatMap((site) => {
    const slice = siteSlice(fabric, site.id)
    const folder = `sites/${site.id}`
    return [
      { path: `${folder}/README.md`, text: siteReadme(slice, keys) },
      { path: `${folder}/policy.nft`, text: policy(atHome(slice)) },
      ...site.interfaces.flatMap((own) =>
        devicesOf(slice, own, keys).map((device) => ({ path: `${folder}/wireguard/${device.name}.conf`, text: wireguard(slice, own, device, keys) })),
      ),
      ...slice.externals.map((external) => ipsec(folder, site, external, clouds)),
    ]
  })
  const regions = fabric.regions.map((region) => ({ path: `regions/${region.id}/README.md`, text: regionReadme(region) }))
  const peers = fabric.peers.map((peer) => ({ path: `peers/${peer.id}/swanctl.conf`, text: peerConfig(fabric, peer, null) }))
  return [{ path: 'README.md', text: networkReadme(fabric) }, ...files, ...regions, ...peers].sort((a, b) => (a.path < b.path ? -1 : 1))
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
    ...(endpoint === 'roams' ? [] : [`Endpoint = ${endpointText(endpoint.address, endpoint.port)}`]),
    ...(peer.end === 0 ? ['PersistentKeepalive = 25'] : []),
  ])
  return `${[...interfaceLines, ...peerLines].join('\n')}\n`
}

/** One tunnel to a cloud or peer, as strongSwan reads it; the connection is route-based, so its selectors are everything. */
function ipsec(folder: string, site: Site, { tunnel, address, far: stated, profile }: SliceExternal, clouds: CloudEndpoints): ExportedFile {
  const own = site.interfaces.find((one) => one.id === tunnel.ends[0].interface)!
  const device = deviceName(own.stem, 0)
  const cloud = clouds.address(tunnel.id) ?? `<address of ${externalOf(tunnel)}>`
  const far = stated ?? { address: cloud, id: cloud }
  const { ike, esp, rekey } = profile
  const lines = [
    `# ${tunnel.id}, inside ${nth(tunnel.inside, 2)} to ${nth(tunnel.inside, 1)}`,
    'connections {',
    `  ${device} {`,
    '    version = 2',
    `    remote_addrs = ${far.address}`,
    `    proposals = ${ike.join(', ')}`,
    `    rekey_time = ${rekey.ike}s`,
    `    local { auth = psk, id = ${address} }`,
    `    remote { auth = psk, id = ${far.id} }`,
    '    children {',
    `      ${device} {`,
    '        local_ts = 0.0.0.0/0',
    '        remote_ts = 0.0.0.0/0',
    `        esp_proposals = ${esp.join(', ')}`,
    `        rekey_time = ${rekey.esp}s`,
    '        start_action = start',
    '      }',
    '    }',
    '  }',
    '}',
    `secrets { ike-${device} { id = ${far.id}, secret = <pre-shared key of ${stated ? externalOf(tunnel) : tunnel.id}> } }`,
  ]
  return { path: `${folder}/ipsec/${device}.conf`, text: `${lines.join('\n')}\n` }
}

/** Owners are stateful, transit is stateless: routing rules 3 and 22. */
function policy({ site, translations }: ReturnType<typeof atHome>): string {
  const lines = (rules: readonly Deny[], verdict: 'accept' | 'drop') =>
    rules.flatMap((rule) => [`    # ${rule.id}`, ...ruleLines(rule, verdict).map((line) => `    ${line}`)])
  const carried = (verdict: string) =>
    site.transits.flatMap((transit) => [`    # ${transit.id}`, ...transitLines(transit).map((line) => `    ${line} ${verdict}`)])
  const transit =
    site.transits.length === 0
      ? []
      : ['  chain transit {', '    type filter hook prerouting priority raw; policy accept;', ...carried('notrack'), '  }']
  const translating =
    translations.length === 0
      ? []
      : [
          '  # what the overlay calls something else',
          '  chain translate_in {',
          '    type filter hook prerouting priority -350; policy accept;',
          ...translations.map(({ local }) => `    iifname "cw*" ${word(familyOf(local))} daddr ${local} drop`),
          ...translations.map(({ local, overlay }) => `    iifname "cw*" ${nftRewrite('daddr', overlay, local)}`),
          '  }',
          '  chain translate_out {',
          '    type filter hook postrouting priority 350; policy accept;',
          ...translations.map(({ local, overlay }) => `    oifname "cw*" ${nftRewrite('saddr', local, overlay)}`),
          '  }',
        ]
  return `${[
    `# ${site.id}: what is not allowed here is dropped`,
    'table inet causeway {',
    ...translating,
    ...transit,
    '  chain forward {',
    '    type filter hook forward priority filter; policy drop;',
    '    ct state established,related accept',
    '    # errors and neighbour discovery always pass',
    '    icmp type { destination-unreachable, time-exceeded, parameter-problem } accept',
    '    icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, nd-neighbor-solicit, nd-neighbor-advert } accept',
    ...lines(site.denies ?? [], 'drop'),
    ...lines(site.rules, 'accept'),
    ...(site.transits.length === 0 ? [] : ['    # carried for others', ...carried('accept')]),
    '  }',
    '}',
  ].join('\n')}\n`
}
const word = (family: Family): string => (family === 4 ? 'ip' : 'ip6')

/** In both directions. */
const transitLines = ({ a, b }: Transit): string[] =>
  ([4, 6] as const).flatMap((family) => {
    const [near, far] = [set(a, family), set(b, family)]
    const one = (from: string, to: string) => `${word(family)} saddr ${from} ${word(family)} daddr ${to}`
    return near === '' || far === '' ? [] : [one(near, far), one(far, near)]
  })

function ruleLines({ from, to, ports, log }: Deny, verdict: 'accept' | 'drop'): string[] {
  return ([4, 6] as const).flatMap((family) => {
    const [source, target] = [set(from.prefixes, family), set(to.prefixes, family)]
    return source === '' || target === ''
      ? []
      : ports.map((range) => `${word(family)} saddr ${source} ${word(family)} daddr ${target}${match(range, family)}${log ? ' log' : ''} ${verdict}`)
  })
}
const set = (prefixes: readonly Prefix[], family: Family): string => {
  const own = prefixes.filter((prefix) => familyOf(prefix) === family)
  return own.length === 0 ? '' : `{ ${own.join(', ')} }`
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
  const ipsecDevices = site.interfaces.flatMap((own) =>
    isIpsecInterface(own) ? [[deviceName(own.stem, 0), String(own.port), own.kind, own.tunnels.join('<br>')]] : [],
  )
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
    lan.via === undefined ? lan.address : lan.learned ? `learned from ${lan.via}` : `next hop ${lan.via}`,
  ])
  const routes = site.routes.map((route) => [route.to, `${route.remote}/${route.segment}`])
  const groups = groupsOf(site)
    .filter((group) => group.arrived === 'anywhere')
    .map((group) => [group.remote, group.trafficClass, stages(group.via)])
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
      site.transits.map(({ a, b }) => [a.join(', '), b.join(', ')]),
    ),
  ].join('\n')}\n`
}
function stages(via: Site['groups'][number]['via']): string {
  const byStage = Map.groupBy(via, (hop) => hop.stage)
  return [...byStage.values()].map((hops) => hops.map((hop) => hop.tunnel).join(', ')).join('; ') || 'none: unreachable'
}

function regionReadme(region: Region): string {
  const connectionOf = new Map(region.connections.flatMap(({ id, members }) => members.map((member) => [member.tunnel, id] as const)))
  const back = [...new Map(groupsOf(region).map((group) => [group.remote, group.via])).entries()].map(([remote, via]) => [
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

const networkReadme = (fabric: Fabric): string =>
  `${[
    `# Network ${fabric.network.id}`,
    '',
    `${fabric.sites.length} sites, ${fabric.regions.length > 0 ? `${fabric.regions.length} cloud ${fabric.regions.length === 1 ? 'region' : 'regions'}, ` : ''}${fabric.peers.length > 0 ? `${fabric.peers.length} ${fabric.peers.length === 1 ? 'peer' : 'peers'}, ` : ''}${fabric.tunnels.length} tunnels. Tunnel insides and loopbacks come from ${fabric.network.ula}.`,
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
