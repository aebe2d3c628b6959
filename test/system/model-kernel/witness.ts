/**
 * Who saw which packet: an nft table in each box, apart from ours and before it (translation included), that writes every
 * arriving packet into a set. At a gateway with the tunnel device it came from, at a host with its DSCP.
 */
import type { Network } from '#src/fabric/fabric.ts'
import { type Address, familyOf, type Prefix } from '#src/net/address.ts'
import type { Packet } from '#src/verify/packets.ts'

/** For experiments, RFC 3692. */
export const otherProtocol = 253

/** `value`: what is noted beside each packet, an nft map from something of the packet to a number. */
const table = (noted: string, more: string): string => `
add table inet witness
delete table inet witness
table inet witness {
  counter clamped {}
  counter unclamped {}
${[4, 6]
  .flatMap((family) => {
    const pair = `ipv${family}_addr . ipv${family}_addr`
    const kinds = { tcp: `${pair} . inet_service . inet_service`, udp: `${pair} . inet_service . inet_service`, icmp: pair, other: pair }
    return Object.entries(kinds).map(([name, type]) => `  set seen${family}-${name} { type ${type} . mark; flags dynamic; size 65535; }`)
  })
  .join('\n')}
  chain arrivals {
    type filter hook prerouting priority -360; policy accept;
    ${noted}
    add @seen4-tcp { ip saddr . ip daddr . tcp sport . tcp dport . meta mark }
    add @seen4-udp { ip saddr . ip daddr . udp sport . udp dport . meta mark }
    icmp type { echo-request, echo-reply } add @seen4-icmp { ip saddr . ip daddr . meta mark }
    ip protocol ${otherProtocol} add @seen4-other { ip saddr . ip daddr . meta mark }
    add @seen6-tcp { ip6 saddr . ip6 daddr . tcp sport . tcp dport . meta mark }
    add @seen6-udp { ip6 saddr . ip6 daddr . udp sport . udp dport . meta mark }
    icmpv6 type { echo-request, echo-reply } add @seen6-icmp { ip6 saddr . ip6 daddr . meta mark }
    ip6 nexthdr ${otherProtocol} add @seen6-other { ip6 saddr . ip6 daddr . meta mark }
    meta mark set 0
  }
${more}}
`

/** Numbers its tunnel devices from 1, in the order given. */
export const gatewayWitness = (devices: readonly string[]): string =>
  table(`iifname != "cw*" accept\n    meta mark set iifname map { ${devices.map((device, index) => `"${device}" : ${index + 1}`).join(', ')} }`, '')

/** Numbers the lines from 1, in the order given, and answers for all that is outside; of IPv6 from `six`. */
export const internetWitness = (devices: readonly string[], outside: readonly Prefix[], six: Address): string =>
  table(
    `iifname != "u*" accept\n    meta mark set iifname map { ${devices.map((device, index) => `"${device}" : ${index + 1}`).join(', ')} }`,
    `  chain sink { type nat hook prerouting priority dstnat; policy accept;
    ${outside.map((one) => (familyOf(one) === 4 ? `ip daddr ${one} meta l4proto { tcp, udp } redirect to :9` : `ip6 daddr ${one} meta l4proto { tcp, udp } dnat ip6 to [${six}]:9`)).join('\n    ')}
  }
`,
  )

const every = Array.from({ length: 64 }, (_, dscp) => `${dscp} : ${dscp}`).join(', ')
/**
 * Also claims to be voice in everything that it sends: LANs are not trusted to mark, unless they say so. `own`: what comes
 * from there crossed no tunnel. `six`: the one of its IPv6 addresses that it answers from.
 */
export const hostWitness = (own: readonly Prefix[], six: Address | undefined, { v4, v6 }: Network['mss']): string =>
  table(
    `iifname "lo" accept\n    ${['ip', 'ip6'].map((word) => `meta mark set ${word} dscp map { ${every} }`).join('\n    ')}`,
    `  chain segments {
    type filter hook prerouting priority -310; policy accept;
    ${own.map((prefix) => `${familyOf(prefix) === 4 ? 'ip' : 'ip6'} saddr ${prefix} accept`).join('\n    ')}
    iifname "lo" accept
    meta nfproto ipv4 tcp flags & syn == syn tcp option maxseg size <= ${v4} counter name clamped
    meta nfproto ipv4 tcp flags & syn == syn tcp option maxseg size > ${v4} counter name unclamped
    meta nfproto ipv6 tcp flags & syn == syn tcp option maxseg size <= ${v6} counter name clamped
    meta nfproto ipv6 tcp flags & syn == syn tcp option maxseg size > ${v6} counter name unclamped
  }
  chain claims { type filter hook output priority mangle; policy accept; oifname "eth0" ip dscp set ef; oifname "eth0" ip6 dscp set ef; }
  chain sink { type nat hook prerouting priority dstnat; policy accept; iifname "eth0" meta nfproto ipv4 meta l4proto { tcp, udp } redirect to :9; ${six === undefined ? '' : `iifname "eth0" meta nfproto ipv6 meta l4proto { tcp, udp } dnat ip6 to [${six}]:9; `}}
`,
  )

export const forgetting = [4, 6]
  .flatMap((family) => ['tcp', 'udp', 'icmp', 'other'].map((name) => `flush set inet witness seen${family}-${name}\n`))
  .join('')

export interface Seen {
  /** keyOf the packet → numbers noted with it. */
  readonly packets: ReadonlyMap<string, readonly number[]>
  readonly clamped: number
  readonly unclamped: number
}
export const keyOf = (protocol: Packet['protocol'], source: string, sourcePort: number, destination: string, port: number): string =>
  protocol === 'tcp' || protocol === 'udp' ? `${protocol} ${source} ${destination} ${sourcePort} ${port}` : `${protocol} ${source} ${destination}`

/** From `nft -j list table inet witness`. */
export function readWitness(json: string): Seen {
  const listing = (
    JSON.parse(json) as {
      readonly nftables: readonly {
        readonly set?: { readonly name: string; readonly elem?: readonly { readonly concat: readonly (string | number)[] }[] }
        readonly counter?: { readonly name: string; readonly packets: number }
      }[]
    }
  ).nftables
  const packets = new Map<string, number[]>()
  for (const { set } of listing) {
    for (const { concat } of set?.elem ?? []) {
      const key = `${set!.name.replace(/^seen\d-/, '')} ${concat.slice(0, -1).join(' ')}`
      packets.set(key, [...(packets.get(key) ?? []), Number(concat.at(-1))])
    }
  }
  const count = (name: string): number => listing.find(({ counter }) => counter?.name === name)?.counter?.packets ?? 0
  return { packets, clamped: count('clamped'), unclamped: count('unclamped') }
}
