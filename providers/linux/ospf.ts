/** OSPF with the routers of a LAN, v2 and v3, as lines of FRR's configuration. Pure. */
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { announced, learnable, spokenTo } from '#src/fabric/lan-routing.ts'
import { ospfMetrics } from '#src/fabric/vrrp.ts'
import { type Family, familyOf, hostOf, hostPrefix, type Prefix } from '#src/net/address.ts'
import { ip, orLonger, routerId, type Setting, written } from './frr-settings.ts'
import type { Observed } from './observe.ts'
import { sharedLans } from './vrrp.ts'

/** RFC 2328, appendix D, and RFC 5340. */
const usual = { hello: 10, dead: 40 } as const
/** As FRR calls them; each is a program of its own. */
export const ospfOf: Readonly<Record<Family, 'ospf' | 'ospf6'>> = { 4: 'ospf', 6: 'ospf6' }

/** What the gateway announces into OSPF that is no route in its main table yet; [] when it speaks to none. */
export const announcedByOspf = (config: SiteConfig): readonly Prefix[] => {
  const { lans, ospf } = config
  // To another LAN of its own, and behind a `next_hop` there, it has a route already, which packets go by.
  const routed = new Set(lans.filter(({ learned }) => !learned).map(({ prefix }) => prefix))
  return ospf ? spokenTo(ospf).flatMap((family) => announced(config, ospf, family).prefixes.filter((one) => !routed.has(one))) : []
}

/** Of a pair: whether it has the LAN on which it speaks OSPF. */
export type Duty = 'carries' | 'stands by'

/**
 * Everything that FRR is told; [] when the site speaks OSPF to no router. Filters come first, as for BGP. Of a pair both
 * announce the same, and say by the metric who has the LAN.
 */
export const ospfSettings = (config: SiteConfig, duty: Duty): readonly Setting[] =>
  config.ospf ? spokenTo(config.ospf).flatMap((family) => settingsOf(config, config.ospf!, family, duty)) : []

/** What the two share of the LAN on which they speak OSPF; [] of a box that is no pair. */
const sharedBy = ({ lans, ospf }: SiteConfig) => sharedLans({ lans }).filter((lan) => lan.interface === ospf?.interface)
/** By what the kernel says of the addresses that the two share there. */
export function dutyBy(config: SiteConfig, interfaces: Observed['interfaces']): Duty {
  const present = interfaces.find(({ name }) => name === config.ospf?.interface)?.addresses ?? []
  return sharedBy(config).some(({ address }) => present.includes(hostPrefix(hostOf(address)))) ? 'carries' : 'stands by'
}

/** Those that are others when the LAN comes or goes; [] of a box that is no pair. */
export function dutySettings(config: SiteConfig, duty: Duty): readonly Setting[] {
  const key = (one: Setting): string => one.join('\n')
  const before = new Set(ospfSettings(config, duty === 'carries' ? 'stands by' : 'carries').map(key))
  return ospfSettings(config, duty).filter((one) => !before.has(key(one)))
}

/** Whether these lines tell FRR nothing but who has the LAN. */
export const isDutyAlone = (config: SiteConfig, lines: readonly string[]): boolean =>
  lines.length > 0 && (['carries', 'stands by'] as const).some((duty) => written(dutySettings(config, duty)).join() === lines.join())

/**
 * What is run whenever keepalived tells that a LAN has come or gone, so that routers are told at once, and also while the
 * agent is away. It says what the kernel says by then. `vtysh`: the command. '' where nothing is told.
 */
export function dutyScript(config: SiteConfig, vtysh: readonly string[]): string {
  const { ospf } = config
  const shared = sharedBy(config)
  if (!ospf || shared.length === 0) return ''
  const say = (duty: Duty): string =>
    [...vtysh, ...['configure terminal', ...written(dutySettings(config, duty))].flatMap((line) => ['-c', line])].map((word) => `'${word}'`).join(' ')
  const has = shared.map(({ address }) => `ip -o addr show dev '${ospf.interface}' to ${hostPrefix(hostOf(address))}`)
  return `#!/bin/sh
if [ -n "$(${has.join('; ')})" ]; then
  exec ${say('carries')}
fi
exec ${say('stands by')}
`
}

function settingsOf(config: SiteConfig, ospf: NonNullable<SiteConfig['ospf']>, family: Family, duty: Duty): readonly Setting[] {
  const [word, name] = [ip[family], ospfOf[family]]
  const [learn, announce] = [`learn-${name}`, `announce-${name}`]
  const { prefixes, passedOn, byDefault } = announced(config, ospf, family)
  const shared = sharedBy(config)
  const { carries, standsBy } = ospfMetrics(config.site)
  const metric = shared.length > 0 ? ` metric ${duty === 'carries' ? carries : standsBy}` : ''
  // A map whose list is empty lets nothing pass.
  const maps = [
    [learn, learnable(config, ospf, family).map(orLonger)],
    [announce, [...prefixes, ...passedOn.map(orLonger)]],
  ] as const
  return [
    ...maps.flatMap(([map, some]) => some.map((one): Setting => [`${word} prefix-list ${map} permit ${one}`])),
    ...maps.flatMap(([map]): readonly Setting[] => [
      [`route-map ${map} permit 10`],
      [`route-map ${map} permit 10`, `match ${word} address prefix-list ${map}`],
    ]),
    // Every router of an area knows the same, so what is taken is judged on its way to the kernel.
    [`${word} protocol ${name} route-map ${learn}`],
    ...[
      `router ${name}`,
      `${name} router-id ${routerId(config)}`,
      // As often as routers take it (MinLSArrival, RFC 2328 appendix B), and not every five seconds; ospf6d can't.
      ...(family === 4 ? ['timers throttle lsa all 1000'] : []),
      // Our own announcements, which stand in the main table for this alone, and what comes by BGP from routers of other LANs.
      `redistribute kernel${metric} route-map ${announce}`,
      ...(config.lans.some(({ prefix, via }) => via === undefined && prefixes.includes(prefix))
        ? [`redistribute connected${metric} route-map ${announce}`]
        : []),
      ...(passedOn.length > 0 ? [`redistribute bgp${metric} route-map ${announce}`] : []),
      ...(byDefault ? [`default-information originate always${metric}`] : []),
    ].map((line, n): Setting => (n === 0 ? [line] : [`router ${name}`, line])),
    ...[
      // What is usual it doesn't write back.
      ...(ospf.dead === usual.dead ? [] : [`${word} ${name} dead-interval ${ospf.dead}`]),
      ...(ospf.hello === usual.hello ? [] : [`${word} ${name} hello-interval ${ospf.hello}`]),
      // Two gateways don't hear each other, and needn't: the designated router is one of the routers, and nobody waits for an election.
      ...(shared.length > 0 ? [`${word} ${name} priority 0`] : []),
      // Last: it begins here, and waits for a dead interval until it knows who is the designated router.
      ...(shared.length > 0 && family === 4
        ? // From its own address alone, or the shared one were announced as this gateway's, also when it has died.
          shared.flatMap(({ own }) => (familyOf(own) === 4 ? [`ip ospf area ${ospf.area} ${hostOf(own)}`] : []))
        : [`${word} ${name} area ${ospf.area}`]),
    ].map((line): Setting => [`interface ${ospf.interface}`, line]),
  ]
}
