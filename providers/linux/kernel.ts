/**
 * The kernel's state in the form in which it is compared: what `desired` wants and what `observe` found have the same
 * shape, and an object is equal when the arguments of the `ip` command that makes it are equal.
 */
import type { Family } from '#src/net/address.ts'
import { announcedGroup, hex, protocol } from './scheme.ts'

export interface Peer {
  readonly publicKey: string
  /** `192.0.2.10:51820`, `[2001:db8::1]:51820`, or '' when it roams. */
  readonly endpoint: string
  /** Sorted. */
  readonly allowedIps: readonly string[]
  /** Seconds, 0 = off. */
  readonly keepalive: number
}
export interface Link {
  readonly name: string
  readonly up: boolean
  readonly mtu: number
  readonly publicKey: string
  readonly listenPort: number
  readonly fwmark: number
  /** Sorted by public key. */
  readonly peers: readonly Peer[]
}
/** The device of an IPsec tunnel with kernel ESP. */
export interface XfrmLink {
  readonly name: string
  readonly ifId: number
  readonly up: boolean
  readonly mtu: number
}
export interface DeviceAddress {
  readonly device: string
  /** With length. */
  readonly address: string
}
export interface Nexthop {
  readonly id: number
  readonly family: Family
  /** A device, or '' for a blackhole. */
  readonly device: string
}
export interface Route {
  readonly family: Family
  readonly table: number | 'main'
  /** With length; `0.0.0.0/0` and `::/0` for default. */
  readonly to: string
  readonly metric: number
  readonly target:
    | { readonly kind: 'nexthop'; readonly id: number }
    | { readonly kind: 'device'; readonly device: string; readonly router: string }
    | { readonly kind: 'unreachable' }
  /** Preferred source, or ''. */
  readonly source: string
}
export interface PolicyRule {
  readonly family: Family
  readonly priority: number
  readonly fwmark: number
  readonly mask: number
  readonly from: string
  readonly iif: string
  /** `withoutDefault`: nor what is only announced, scheme.ts. */
  readonly action: { readonly kind: 'lookup'; readonly table: number | 'main'; readonly withoutDefault: boolean } | { readonly kind: 'unreachable' }
}
export interface Sysctl {
  /** Path below /proc/sys. */
  readonly key: string
  /** Of a list that others write to as well (reserved-ports.ts): what has to be in it. */
  readonly value: string
}
export interface Kernel {
  /** WireGuard's. */
  readonly links: readonly Link[]
  readonly xfrm: readonly XfrmLink[]
  readonly addresses: readonly DeviceAddress[]
  readonly nexthops: readonly Nexthop[]
  readonly routes: readonly Route[]
  readonly rules: readonly PolicyRule[]
}

export const nexthopArguments = (of: Nexthop): string => `id ${of.id} ${of.device === '' ? 'blackhole' : `dev ${of.device}`} protocol ${protocol}`

export function routeArguments(of: Route): string {
  const words: string[] = []
  if (of.target.kind === 'unreachable') words.push('unreachable')
  words.push(of.to)
  switch (of.target.kind) {
    case 'nexthop':
      words.push(`nhid ${of.target.id}`)
      break
    case 'device':
      if (of.target.router !== '') words.push(`via ${of.target.router}`)
      words.push(`dev ${of.target.device}`)
      if (of.target.router !== '') words.push('onlink')
      break
    case 'unreachable':
      break
    default:
      of.target satisfies never
  }
  if (of.source !== '') words.push(`src ${of.source}`)
  if (of.metric !== 0) words.push(`metric ${of.metric}`)
  words.push(`table ${of.table} proto ${protocol}`)
  return words.join(' ')
}
/** Two routes with the same key replace one another. */
export const routeKey = (of: Route): string => `-${of.family} ${of.to} metric ${of.metric} table ${of.table}`
/** What `ip route del` needs. */
export const routeIdentity = (of: Route): string =>
  `${of.target.kind === 'unreachable' ? 'unreachable ' : ''}${of.to}${of.metric === 0 ? '' : ` metric ${of.metric}`} table ${of.table} proto ${protocol}`

export function ruleArguments(of: PolicyRule): string {
  const words = [`priority ${of.priority}`]
  if (of.from !== '') words.push(`from ${of.from}`)
  if (of.fwmark !== 0 || of.mask !== 0) words.push(`fwmark ${hex(of.fwmark)}/${hex(of.mask)}`)
  if (of.iif !== '') words.push(`iif ${of.iif}`)
  if (of.action.kind === 'unreachable') words.push('unreachable')
  else {
    words.push(`lookup ${of.action.table}`)
    if (of.action.withoutDefault) words.push(`suppress_prefixlength 0 suppress_ifgroup ${announcedGroup}`)
  }
  words.push(`protocol ${protocol}`)
  return words.join(' ')
}

/** Kernel state as sorted lines that a person can read: for goldens, `--dry-run` and test failures. */
export function describe(of: Kernel): string {
  const lines: string[] = []
  for (const link of [...of.links].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    lines.push(
      `link ${link.name} ${link.up ? 'up' : 'down'} mtu ${link.mtu} port ${link.listenPort} fwmark ${hex(link.fwmark)} key ${link.publicKey}`,
    )
    for (const peer of link.peers) {
      lines.push(
        `  peer ${peer.publicKey} endpoint ${peer.endpoint || 'roams'} keepalive ${peer.keepalive || 'off'} allowed ${peer.allowedIps.join(',')}`,
      )
    }
  }
  for (const link of [...of.xfrm].sort((a, b) => (a.name < b.name ? -1 : 1)))
    lines.push(`xfrm ${link.name} ${link.up ? 'up' : 'down'} mtu ${link.mtu} if_id ${link.ifId}`)
  const sorted = (texts: readonly string[]): readonly string[] => [...texts].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
  lines.push(...sorted(of.addresses.map((at) => `address ${at.address} dev ${at.device}`)))
  lines.push(...sorted(of.nexthops.map((hop) => `-${hop.family} nexthop ${nexthopArguments(hop)}`)))
  lines.push(...sorted(of.rules.map((rule) => `-${rule.family} rule ${ruleArguments(rule)}`)))
  lines.push(...sorted(of.routes.map((route) => `-${route.family} route ${routeArguments(route)}`)))
  return `${lines.join('\n')}\n`
}
