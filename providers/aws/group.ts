/** Security-group rules as one line of text each, `tcp/443 10.1.0.0/16`: comparable as sets, readable in a plan. */
import { type Family, familyOf, type Prefix } from '#src/net/address.ts'
import type { PortRange } from '#src/net/ports.ts'
import type { IpPermission } from '@aws-sdk/client-ec2'

/** ICMP "fragmentation needed" (RFC 1191) and "packet too big" (RFC 8201) always pass, whoever on the way sends them. */
export const packetTooBig: Readonly<Record<Family, string>> = { 4: 'icmp/3.4 0.0.0.0/0', 6: 'icmpv6/2.0 ::/0' }

export function ruleText(ports: PortRange, prefix: Prefix): string {
  switch (ports.protocol) {
    case 'tcp':
    case 'udp':
      return `${ports.protocol}/${span(ports.from, ports.to)} ${prefix}`
    case 'icmp':
      return `${familyOf(prefix) === 6 ? 'icmpv6' : 'icmp'} ${prefix}`
    case 'any':
      return `any ${prefix}`
    default:
      return ports.protocol satisfies never
  }
}
const span = (from: number, to: number): string => (from === to ? `${from}` : `${from}-${to}`)

/** Everything that AWS reports, also what only a person can have added: groups, prefix lists. */
export function ruleTexts(permissions: readonly IpPermission[]): readonly string[] {
  return permissions
    .flatMap((permission) => {
      const head = headOf(permission)
      const peers = [
        ...(permission.IpRanges ?? []).map((range) => range.CidrIp),
        ...(permission.Ipv6Ranges ?? []).map((range) => range.CidrIpv6),
        ...(permission.PrefixListIds ?? []).map((list) => list.PrefixListId),
        ...(permission.UserIdGroupPairs ?? []).map((pair) => pair.GroupId),
      ]
      return peers.filter((peer) => peer !== undefined).map((peer) => `${head} ${peer}`)
    })
    .sort()
}
/** Whose "ports" are type and code. EC2 says ICMPv6 by its name, or by its number when it was asked for by that. */
const isIcmp = (protocol: string): boolean => protocol === 'icmp' || protocol === 'icmpv6'
function headOf({ IpProtocol: said = '-1', FromPort: from = -1, ToPort: to = -1 }: IpPermission): string {
  const protocol = said === '58' ? 'icmpv6' : said
  if (protocol === '-1') return 'any'
  if (isIcmp(protocol)) return from === -1 ? protocol : `${protocol}/${from}.${to}`
  return from === -1 ? protocol : `${protocol}/${span(from, to)}`
}

/** One IpPermission per head, so that a difference takes one call whatever its size. */
export function permissionsOf(texts: readonly string[]): IpPermission[] {
  const heads = new Map<string, string[]>()
  for (const text of texts) {
    const at = text.indexOf(' ')
    const head = text.slice(0, at)
    heads.set(head, [...(heads.get(head) ?? []), text.slice(at + 1)])
  }
  return [...heads].map(([head, peers]) => {
    const v6 = peers.filter((peer) => peer.includes(':'))
    const lists = peers.filter((peer) => peer.startsWith('pl-'))
    const groups = peers.filter((peer) => peer.startsWith('sg-'))
    const v4 = peers.filter((peer) => ![v6, lists, groups].some((others) => others.includes(peer)))
    return {
      ...protocolOf(head),
      ...(v4.length > 0 ? { IpRanges: v4.map((CidrIp) => ({ CidrIp })) } : {}),
      ...(v6.length > 0 ? { Ipv6Ranges: v6.map((CidrIpv6) => ({ CidrIpv6 })) } : {}),
      ...(lists.length > 0 ? { PrefixListIds: lists.map((PrefixListId) => ({ PrefixListId })) } : {}),
      ...(groups.length > 0 ? { UserIdGroupPairs: groups.map((GroupId) => ({ GroupId })) } : {}),
    }
  })
}
function protocolOf(head: string): IpPermission {
  const [protocol = '', ports] = head.split('/')
  if (protocol === 'any') return { IpProtocol: '-1' }
  if (ports === undefined) return { IpProtocol: protocol, FromPort: -1, ToPort: -1 }
  const [from = '', to = from] = ports.split(isIcmp(protocol) ? '.' : '-')
  return { IpProtocol: protocol, FromPort: Number(from), ToPort: Number(to) }
}
