/** OSPF with the routers of a LAN, v2 and v3, as lines of FRR's configuration. Pure. */
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { announced, learnable, spokenTo } from '#src/fabric/lan-routing.ts'
import type { Family, Prefix } from '#src/net/address.ts'
import { ip, orLonger, routerId, type Setting } from './frr-settings.ts'

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

/** Everything that FRR is told; [] when the site speaks OSPF to no router. Filters come first, as for BGP. */
export const ospfSettings = (config: SiteConfig): readonly Setting[] =>
  config.ospf ? spokenTo(config.ospf).flatMap((family) => settingsOf(config, config.ospf!, family)) : []

function settingsOf(config: SiteConfig, ospf: NonNullable<SiteConfig['ospf']>, family: Family): readonly Setting[] {
  const [word, name] = [ip[family], ospfOf[family]]
  const [learn, announce] = [`learn-${name}`, `announce-${name}`]
  const { prefixes, passedOn, byDefault } = announced(config, ospf, family)
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
      `redistribute kernel route-map ${announce}`,
      ...(config.lans.some(({ prefix, via }) => via === undefined && prefixes.includes(prefix)) ? [`redistribute connected route-map ${announce}`] : []),
      ...(passedOn.length > 0 ? [`redistribute bgp route-map ${announce}`] : []),
      ...(byDefault ? ['default-information originate always'] : []),
    ].map((line, n): Setting => (n === 0 ? [line] : [`router ${name}`, line])),
    ...[
      // What is usual it doesn't write back.
      ...(ospf.dead === usual.dead ? [] : [`${word} ${name} dead-interval ${ospf.dead}`]),
      ...(ospf.hello === usual.hello ? [] : [`${word} ${name} hello-interval ${ospf.hello}`]),
      // Last: it begins here, and waits for a dead interval until it knows who is the designated router.
      `${word} ${name} area ${ospf.area}`,
    ].map((line): Setting => [`interface ${ospf.interface}`, line]),
  ]
}
