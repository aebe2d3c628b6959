/** DHCP by one dnsmasq for all LANs of the box: what it is told. Pure. */
import type { Lan, SiteConfig } from '#src/fabric/fabric.ts'
import { addressBits, familyOf, hostOf, type Prefix, rangeOf, addressFromBits } from '#src/net/address.ts'
import { isSecondGateway } from '#src/fabric/ids.ts'
import type { WantedDaemon } from './daemons.ts'
import { standingAddress } from './vrrp.ts'

/** Its hosts ask the gateway for addresses, by DHCP. */
export const leases = (lan: Lan): boolean => lan.dhcp !== undefined
/** Seconds that the second gateway of a site lets the first answer. */
const patience = 4

/** undefined: no LAN here has hosts that ask. */
export function wantedDnsmasq(config: SiteConfig): WantedDaemon | undefined {
  const lans = config.lans.filter(leases)
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
    // DHCP only: names are no business of the gateway.
    'port=0',
    'no-resolv',
    'no-hosts',
    'log-facility=-',
    'quiet-dhcp',
    ...[...new Set(lans.map((lan) => lan.interface))].sort().map((device) => `interface=${device}`),
    'except-interface=lo',
    // There is no other server on these LANs, so a host that comes with an address of elsewhere is told at once.
    ...(count > 0 ? ['dhcp-authoritative', `dhcp-lease-max=${count}`] : []),
    ...(count > 0 && waits ? [`dhcp-reply-delay=${patience}`] : []),
    ...lans.flatMap((lan, n) => dhcpLines(lan, `lan${n}`)),
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

const sizeOf = ({ first, last }: { readonly first: Parameters<typeof addressBits>[0]; readonly last: Parameters<typeof addressBits>[0] }): number =>
  Number(addressBits(last) - addressBits(first)) + 1
function maskOf(prefix: Prefix): string {
  const { low, high } = rangeOf(prefix)
  return addressFromBits(familyOf(prefix), 0xffffffffn ^ (high - low))
}
