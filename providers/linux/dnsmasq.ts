/** DHCP and router advertisements by one dnsmasq for all LANs of the box: what it is told. Pure. */
import type { Lan, SiteConfig } from '#src/fabric/fabric.ts'
import { addressBits, familyOf, hostOf, lengthOf, type Prefix, rangeOf, addressFromBits } from '#src/net/address.ts'
import { isSecondGateway } from '#src/fabric/ids.ts'
import type { WantedDaemon } from './daemons.ts'
import { standingAddress } from './vrrp.ts'

/** Its hosts ask the gateway for addresses, by DHCP. */
export const leases = (lan: Lan): boolean => lan.dhcp !== undefined
export const serves = (lan: Lan): boolean => leases(lan) || lan.ra !== undefined

/** Seconds between advertisements, for which the gateway is a router, and for which an address that was made holds. */
const advertising = { interval: 600, router: 1800, prefix: 7200 }

/** Seconds that the second gateway of a site lets the first answer. */
const patience = 2

/** undefined: no LAN here has hosts that ask. */
export function wantedDnsmasq(config: SiteConfig): WantedDaemon | undefined {
  const lans = config.lans.filter(serves)
  if (lans.length === 0) return undefined
  return {
    name: 'dnsmasq',
    settings: settings(lans, isSecondGateway(config.site)),
    command: ({ settings: file, folder, users }) => [
      'dnsmasq',
      // Without a shell between: its pid is the one that was started.
      '--keep-in-foreground',
      `--conf-file=${file}`,
      `--dhcp-leasefile=${folder}/leases`,
      '--pid-file=',
      ...(users ? [] : ['--user=', '--group=']),
    ],
  }
}

/** `waits`: another gateway serves the same LANs. Hosts take the first offer, so this one's counts while the other is silent. */
function settings(lans: readonly Lan[], waits: boolean): string {
  const count = lans.reduce((sum, { dhcp }) => sum + (dhcp?.kind === 'server' ? sizeOf(dhcp.range) + dhcp.reserved.length : 0), 0)
  return [
    '# Made by Causeway; changes here are undone.',
    // DHCP and advertisements only: names are no business of the gateway.
    'port=0',
    'no-resolv',
    'no-hosts',
    'log-facility=-',
    'quiet-dhcp',
    'quiet-dhcp6',
    'quiet-ra',
    ...[...new Set(lans.map((lan) => lan.interface))].sort().map((device) => `interface=${device}`),
    'except-interface=lo',
    // There is no other server on these LANs, so a host that comes with an address of elsewhere is told at once.
    ...(count > 0 ? ['dhcp-authoritative', `dhcp-lease-max=${count}`] : []),
    ...(count > 0 && waits ? [`dhcp-reply-delay=${patience}`] : []),
    ...lans.flatMap((lan, n) => [...dhcpLines(lan, `v4-${n}`), ...advertisementLines(lan, `v6-${n}`)]),
    ...(lans.some((lan) => lan.ra) ? ['enable-ra'] : []),
    ...[...new Set(lans.filter((lan) => lan.ra).map((lan) => lan.interface))]
      .sort()
      .map((device) => `ra-param=${device},${advertising.interval},${advertising.router}`),
    '',
  ].join('\n')
}

function dhcpLines(lan: Lan, tag: string): readonly string[] {
  const { dhcp, address, prefix } = lan
  if (!dhcp) return []
  // Of a pair each relays as itself: the answer comes back to the one that asked, through whichever carries the LAN.
  if (dhcp.kind === 'relay') return [`dhcp-relay=${hostOf(standingAddress(lan))},${dhcp.server}`]
  const option = (name: string, value: string) => `dhcp-option=tag:${tag},option:${name},${value}`
  return [
    `dhcp-range=set:${tag},${dhcp.range.first},${dhcp.range.last},${maskOf(prefix)},${dhcp.lease}`,
    option('router', hostOf(address)),
    // An empty one: else it would name itself, and it answers no names.
    dhcp.dns.length > 0 ? option('dns-server', dhcp.dns.join(',')) : `dhcp-option=tag:${tag},option:dns-server`,
    ...(dhcp.domain === '' ? [] : [option('domain-name', dhcp.domain)]),
    ...dhcp.reserved.map(({ name, mac, address: own }) => `dhcp-host=${mac},${own},${name}`),
  ]
}

function advertisementLines({ ra, prefix }: Lan, tag: string): readonly string[] {
  if (!ra) return []
  const option = (name: string, value: string) => `dhcp-option=tag:${tag},option6:${name},${value}`
  return [
    // `ra-only`: hosts make their addresses, nobody leases any.
    `dhcp-range=set:${tag},${hostOf(prefix)},ra-only,${lengthOf(prefix)},${advertising.prefix}`,
    ...(ra.dns.length > 0 ? [option('dns-server', ra.dns.map((one) => `[${one}]`).join(','))] : []),
    ...(ra.domain === '' ? [] : [option('domain-search', ra.domain)]),
  ]
}

const sizeOf = ({ first, last }: { readonly first: Parameters<typeof addressBits>[0]; readonly last: Parameters<typeof addressBits>[0] }): number =>
  Number(addressBits(last) - addressBits(first)) + 1
function maskOf(prefix: Prefix): string {
  const { low, high } = rangeOf(prefix)
  return addressFromBits(familyOf(prefix), 0xffffffffn ^ (high - low))
}
