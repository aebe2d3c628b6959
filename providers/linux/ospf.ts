/** OSPF with the routers of a LAN, as lines of FRR's configuration. Pure. */
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { announced, learnable } from '#src/fabric/lan-routing.ts'
import type { Prefix } from '#src/net/address.ts'
import { orLonger, routerId, type Setting } from './frr-settings.ts'

/** RFC 2328, appendix D. */
const usual = { hello: 10, dead: 40 } as const
const learn = 'learn-ospf'
const announce = 'announce-ospf'

/** What the gateway announces into OSPF, but for what other routers tell it; [] when it speaks to none. */
export const announcedByOspf = (config: SiteConfig): readonly Prefix[] => (config.ospf ? announced(config, config.ospf, 4).prefixes : [])

/** Everything that FRR is told; [] when the site speaks OSPF to no router. Filters come first, as for BGP. */
export function ospfSettings(config: SiteConfig): readonly Setting[] {
  const { ospf } = config
  if (!ospf) return []
  const { prefixes, passedOn, byDefault } = announced(config, ospf, 4)
  // A map whose list is empty lets nothing pass.
  const maps = [
    [learn, learnable(config, ospf, 4).map(orLonger)],
    [announce, [...prefixes, ...passedOn.map(orLonger)]],
  ] as const
  return [
    ...maps.flatMap(([name, some]) => some.map((one): Setting => [`ip prefix-list ${name} permit ${one}`])),
    ...maps.flatMap(([name]): readonly Setting[] => [
      [`route-map ${name} permit 10`],
      [`route-map ${name} permit 10`, `match ip address prefix-list ${name}`],
    ]),
    // Every router of an area knows the same, so what is taken is judged on its way to the kernel.
    [`ip protocol ospf route-map ${learn}`],
    ...[
      'router ospf',
      `ospf router-id ${routerId(config)}`,
      // As often as routers take it (MinLSArrival, RFC 2328 appendix B), and not every five seconds.
      'timers throttle lsa all 1000',
      // Our own announcements, which stand in the main table for this alone, and what comes by BGP from routers of other LANs.
      `redistribute kernel route-map ${announce}`,
      ...(passedOn.length > 0 ? [`redistribute bgp route-map ${announce}`] : []),
      ...(byDefault ? ['default-information originate always'] : []),
    ].map((line, n): Setting => (n === 0 ? [line] : ['router ospf', line])),
    ...[
      // What is usual it doesn't write back.
      ...(ospf.dead === usual.dead ? [] : [`ip ospf dead-interval ${ospf.dead}`]),
      ...(ospf.hello === usual.hello ? [] : [`ip ospf hello-interval ${ospf.hello}`]),
      // Last: it begins here, and waits for a dead interval until it knows who is the designated router.
      `ip ospf area ${ospf.area}`,
    ].map((line): Setting => [`interface ${ospf.interface}`, line]),
  ]
}
