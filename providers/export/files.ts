/**
 * A network as plain files, for reading, diffing and air-gapped review: per site a README, the WireGuard interfaces in
 * wg-quick's form, those of IPsec in swanctl's and the policy as an nftables file; per cloud region a README, per peer what
 * its owner sets. Secrets stand as placeholders.
 */
import type { Deny, Fabric, Fact, Interface, Site, Transit, TunnelEnd } from '#src/fabric/fabric.ts'
import { atHome } from '#src/fabric/home.ts'
import { deviceName, externalOf, listenPort } from '#src/fabric/ids.ts'
import { endsInside, familiesThrough, insidesOf, selectorOf } from '#src/fabric/ipsec.ts'
import { type CloudEndpoints, cloudEndpoints, type Keyring, keyring, peerOf } from '#src/fabric/peers.ts'
import { type SiteSlice, type SliceExternal, siteSlice } from '#src/fabric/slice.ts'
import { endpointText, type Family, familyOf, type Prefix } from '#src/net/address.ts'
import type { PortRange } from '#src/net/ports.ts'
import { nftRewrite } from '#src/net/translate.ts'
import { type Device, devicesOf, farEnd } from './devices.ts'
import { peerConfig } from './peer.ts'
import { networkReadme, regionReadme, siteReadme } from './readme.ts'

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
  const keyOf = ({ site, interface: of }: TunnelEnd) => keys(site, of).find((key) => key.linkEpoch === linkEpoch)?.publicKey
  const peerLines = peers.flatMap(({ peer, far, endpoint, allowedIps }) => [
    '',
    `# ${peer.tunnel.id}`,
    '[Peer]',
    `PublicKey = ${keyOf(far) ?? `<public key of ${far.site} ${far.interface}>`}`,
    `AllowedIPs = ${allowedIps.join(', ')}`,
    ...(endpoint === 'roams' ? [] : [`Endpoint = ${endpointText(endpoint.address, endpoint.port)}`]),
    ...(peer.end === 0 ? ['PersistentKeepalive = 25'] : []),
  ])
  return `${[...interfaceLines, ...peerLines].join('\n')}\n`
}

/** One tunnel to a cloud or peer, as strongSwan reads it; the connection is route-based, so its selectors are everything. */
function ipsec(
  folder: string,
  site: Site,
  { tunnel, address, far: stated, farPrefixes, profile }: SliceExternal,
  clouds: CloudEndpoints,
): ExportedFile {
  const own = site.interfaces.find((one) => one.id === tunnel.ends[0].interface)!
  const device = deviceName(own.stem, 0)
  const cloud = clouds.address(tunnel.id) ?? `<address of ${externalOf(tunnel)}>`
  const far = stated ?? { address: cloud, id: cloud }
  const { ike, esp, rekey } = profile
  const insides = insidesOf(tunnel)
  const selectors = familiesThrough(insides, farPrefixes)
    .map((family) => selectorOf[family])
    .join(', ')
  const ends = insides.map(endsInside).map(({ inside, farInside }) => `${inside} to ${farInside}`)
  const lines = [
    `# ${tunnel.id}, inside ${ends.join(' and ')}`,
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
    `        local_ts = ${selectors}`,
    `        remote_ts = ${selectors}`,
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
