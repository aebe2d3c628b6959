/** What the owner of a peer sets at the other end: a swanctl.conf to use as it stands, or to read the values from. */
import type { Deny, Fabric, Peer } from '#src/fabric/fabric.ts'
import { endsInside, familiesThrough, insidesOf, natTraversalPort, selectorOf, type TunnelToPeer, tunnelsToPeer } from '#src/fabric/ipsec.ts'
import { counted } from '#src/fabric/plural.ts'
import { type Address, type AddressWithLength, hostOf, lengthOf, type Prefix } from '#src/net/address.ts'
import { mergePrefixes } from '#src/net/sets.ts'

export interface PeerLine extends TunnelToPeer {
  readonly name: string
  /** From 1; names the peer's device, and with xfrm interfaces is its if_id. */
  readonly number: number
  /** Inside, one of a family, the peer's with the length of its prefix. The first tells whether the tunnel is up. */
  readonly ends: readonly { readonly peer: AddressWithLength; readonly hub: Address }[]
}
/** Its tunnels, in the order of preference of the hubs. */
export const linesOf = (peer: Peer): readonly PeerLine[] =>
  tunnelsToPeer(peer).map((one, i) => ({
    ...one,
    // Names have no underscore, and sections of swanctl.conf no dot.
    name: `${one.site}_${one.uplink}_${one.member}`,
    number: i + 1,
    ends: insidesOf(one).map((of) => {
      const { inside, farInside } = endsInside(of)
      return { peer: `${farInside}/${lengthOf(of)}` as AddressWithLength, hub: inside }
    }),
  }))
/** What the peer sends into the tunnels. */
export const ourPrefixes = ({ routes }: Peer): readonly Prefix[] => mergePrefixes(routes.map(({ to }) => to))

const lineText = ({ id, from, to }: Deny): string => `#   ${id.replace(/#.*$/, '')}: ${from.prefixes.join(', ')} -> ${to.prefixes.join(', ')}`

/** `secret`: null leaves a placeholder. */
export function peerConfig({ network }: Fabric, peer: Peer, secret: string | null): string {
  const { ike, esp, lifetime } = peer.profile
  const lines = linesOf(peer)
  const behind = peer.lans.map(({ prefix }) => prefix)
  const selectors = familiesThrough(lines.flatMap(insidesOf), behind)
    .map((family) => selectorOf[family])
    .join(', ')
  const section = ({ name, number, gateway, hub }: PeerLine): readonly string[] => [
    `  ${name} {`,
    '    version = 2',
    `    local_addrs = ${gateway.address}, %any`,
    `    remote_addrs = ${hub}`,
    `    proposals = ${ike.join(', ')}`,
    `    rekey_time = ${lifetime.ike}s`,
    '    encap = yes',
    '    mobike = no',
    '    dpd_delay = 5s',
    '    local {',
    '      auth = psk',
    `      id = ${gateway.id}`,
    '    }',
    '    remote {',
    '      auth = psk',
    `      id = ${hub}`,
    '    }',
    '    children {',
    `      ${name} {`,
    `        local_ts = ${selectors}`,
    `        remote_ts = ${selectors}`,
    `        esp_proposals = ${esp.join(', ')}`,
    `        rekey_time = ${lifetime.esp}s`,
    '        dpd_action = clear',
    `        if_id_in = ${number}`,
    `        if_id_out = ${number}`,
    '      }',
    '    }',
    '  }',
  ]
  // One secret for all: each pair of identities once.
  const pairs = [...new Map(lines.map((line) => [`${line.gateway.id} ${line.hub}`, line])).values()]
  const shared = ({ name, gateway, hub }: PeerLine): readonly string[] => [
    `  ike-${name} {`,
    `    id-peer = ${gateway.id}`,
    `    id-hub = ${hub}`,
    `    secret = ${secret === null ? `"<pre-shared key: causeway peer config ${peer.id} --secret>"` : `"${secret}"`}`,
    '  }',
  ]
  const device = (number: number): string => `causeway${number}`
  return `${[
    `# swanctl.conf of ${peer.id}, the other end of network ${network.id}: ${counted(lines.length, 'tunnel')}, IKEv2 with a pre-shared key.`,
    `# The hubs dial, from the addresses below to UDP ${natTraversalPort}; ESP is always in UDP (RFC 3948). Route-based: the selectors are everything.`,
    '#',
    '# Each tunnel has its own interface, answers ICMP on its inside address, and carries what is routed into it. It is up',
    '# while the inside address of the hub, behind the arrow, answers: track that, for an interface stays up without a tunnel.',
    ...lines.flatMap(({ number, ends, name }) => [
      `#   ip link add ${device(number)} type xfrm if_id ${number}   # ${name}, ${ends.map(({ peer: own, hub }) => `${hostOf(own)} -> ${hub}`).join(', ')}`,
      `#   ${ends.map(({ peer: own }) => `ip address add ${own} dev ${device(number)}; `).join('')}ip link set ${device(number)} mtu ${network.mtu} up`,
    ]),
    '# Routes, each through every tunnel that is up, the first preferred; whichever is used, the hubs accept it:',
    ...ourPrefixes(peer).map((to) => `#   ip route add ${to} dev ${device(1)} metric 1`),
    ...(peer.denies ? ['# Drop, before anything passes:'] : []),
    ...(peer.denies ?? []).map(lineText),
    ...(peer.rules.length > 0 ? ['# Let pass:'] : []),
    ...peer.rules.map(lineText),
    'connections {',
    ...lines.flatMap(section),
    '}',
    'secrets {',
    ...pairs.flatMap(shared),
    '}',
  ].join('\n')}\n`
}
