/**
 * Who saw which packet: an nft table in each box, apart from ours and before it, that writes every arriving packet into
 * a set. At a gateway with the tunnel device it came from, at a host with its DSCP.
 */
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
  set seen-tcp { type ipv4_addr . ipv4_addr . inet_service . inet_service . mark; flags dynamic; size 65535; }
  set seen-udp { type ipv4_addr . ipv4_addr . inet_service . inet_service . mark; flags dynamic; size 65535; }
  set seen-icmp { type ipv4_addr . ipv4_addr . mark; flags dynamic; size 65535; }
  set seen-other { type ipv4_addr . ipv4_addr . mark; flags dynamic; size 65535; }
  chain arrivals {
    type filter hook prerouting priority -320; policy accept;
    ${noted}
    add @seen-tcp { ip saddr . ip daddr . tcp sport . tcp dport . meta mark }
    add @seen-udp { ip saddr . ip daddr . udp sport . udp dport . meta mark }
    icmp type { echo-request, echo-reply } add @seen-icmp { ip saddr . ip daddr . meta mark }
    ip protocol ${otherProtocol} add @seen-other { ip saddr . ip daddr . meta mark }
    meta mark set 0
  }
${more}}
`

/** Numbers its tunnel devices from 1, in the order given. */
export const gatewayWitness = (devices: readonly string[]): string =>
  table(`iifname != "cw*" accept\n    meta mark set iifname map { ${devices.map((device, index) => `"${device}" : ${index + 1}`).join(', ')} }`, '')

/** Also claims to be voice in everything that it sends: LANs are not trusted to mark. */
export const hostWitness = (own: readonly string[], mss: number): string =>
  table(
    `iifname "lo" accept\n    meta mark set ip dscp map { ${Array.from({ length: 64 }, (_, dscp) => `${dscp} : ${dscp}`).join(', ')} }`,
    `  chain segments {
    type filter hook prerouting priority -310; policy accept;
    ip saddr { ${own.join(', ')} } accept
    iifname "lo" accept
    tcp flags & syn == syn tcp option maxseg size <= ${mss} counter name clamped
    tcp flags & syn == syn tcp option maxseg size > ${mss} counter name unclamped
  }
  chain claims { type filter hook output priority mangle; policy accept; oifname "eth0" ip dscp set ef; }
  chain sink { type nat hook prerouting priority dstnat; policy accept; iifname "eth0" meta l4proto { tcp, udp } redirect to :9; }
`,
  )

export const forgetting = ['tcp', 'udp', 'icmp', 'other'].map((name) => `flush set inet witness seen-${name}\n`).join('')

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
      const key = `${set!.name.replace('seen-', '')} ${concat.slice(0, -1).join(' ')}`
      packets.set(key, [...(packets.get(key) ?? []), Number(concat.at(-1))])
    }
  }
  const count = (name: string): number => listing.find(({ counter }) => counter?.name === name)?.counter?.packets ?? 0
  return { packets, clamped: count('clamped'), unclamped: count('unclamped') }
}
