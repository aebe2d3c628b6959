/** Router advertisements (RFC 4861) by one radvd for all LANs of the box: what it is told. Pure. */
import type { Lan, SiteConfig } from '#src/fabric/fabric.ts'
import type { WantedDaemon } from './daemons.ts'
import { virtualLinkLocal } from './vrrp.ts'

export const advertises = (lan: Lan): boolean => lan.ra !== undefined

/** Seconds between advertisements, for which the gateway is a router, and for which an address that was made holds. */
const advertising = { interval: 600, router: 1800, prefix: 7200 }

/** undefined: no LAN here has hosts that listen. */
export function wantedRadvd(config: SiteConfig): WantedDaemon | undefined {
  const byDevice = [...Map.groupBy(config.lans.filter(advertises), (lan) => lan.interface)].sort(([a], [b]) => (a < b ? -1 : 1))
  if (byDevice.length === 0) return undefined
  return {
    name: 'radvd',
    settings: ['# Made by Causeway; changes here are undone.', ...byDevice.flatMap(([device, lans]) => interfaceLines(device, lans)), ''].join('\n'),
    command: ({ settings, folder }) => ['radvd', '--nodaemon', '--logmethod=stderr', `--config=${settings}`, `--pidfile=${folder}/pid`],
    // One that ended would take leave of its hosts, which then have no router for a while.
    reload: 'SIGHUP',
  }
}

function interfaceLines(device: string, lans: readonly Lan[]): readonly string[] {
  const dns = [...new Set(lans.flatMap(({ ra }) => ra!.dns))]
  const domains = [...new Set(lans.flatMap(({ ra }) => (ra!.domain === '' ? [] : [ra!.domain])))]
  return [
    `interface ${device} {`,
    '  AdvSendAdvert on;',
    '  IgnoreIfMissing on;',
    `  MaxRtrAdvInterval ${advertising.interval};`,
    `  AdvDefaultLifetime ${advertising.router};`,
    // Of a pair only the one that has this address advertises, as the router that both are.
    ...(lans.some(({ own }) => own !== undefined) ? [`  AdvRASrcAddress { ${virtualLinkLocal}; };`] : []),
    ...lans.flatMap(({ prefix }) => [
      `  prefix ${prefix} {`,
      `    AdvValidLifetime ${advertising.prefix};`,
      `    AdvPreferredLifetime ${advertising.prefix};`,
      '  };',
    ]),
    ...(dns.length > 0 ? [`  RDNSS ${dns.join(' ')} { };`] : []),
    ...(domains.length > 0 ? [`  DNSSL ${domains.join(' ')} { };`] : []),
    '};',
  ]
}
