/** BGP with the routers of LANs, as lines of FRR's configuration. Pure. */
import type { BgpLan, SiteConfig } from '#src/fabric/fabric.ts'
import { announced, learnable, spokenTo } from '#src/fabric/lan-routing.ts'
import { type Address, contains, type Family, familyOf, hostOf, networkOf } from '#src/net/address.ts'
import { anywhere, ip, orLonger, routerId, type Setting } from './frr-settings.ts'
import { ospfOf } from './ospf.ts'
import { sharedLans, virtualLinkLocal } from './vrrp.ts'

const routeMap = 'route-map learn permit 10'
const learnList = (neighbor: Address): string => `learn-${neighbor}`
const announceList = (neighbor: Address): string => `announce-${neighbor}`
const unicast = (family: Family): string => `address-family ${family === 4 ? 'ipv4' : 'ipv6'} unicast`
/** One speaker for all LANs; a LAN for which the gateway is of another AS is told that one instead (RFC 7705). */
const ownAsn = (sessions: readonly BgpLan[]): number => Math.min(...sessions.map((one) => one.localAsn))
/** The address that two gateways share on the LAN of a neighbor: whichever of them says it, packets go to the one that has it. */
const sharedWith = ({ lans }: SiteConfig, neighbor: Address): Address | undefined => {
  const lan = sharedLans({ lans }).find(({ address }) => contains(networkOf(address), neighbor))
  return lan && hostOf(lan.address)
}

/** Everything that FRR is told; [] when the site speaks to no router. Filters come first: no session is ever without. */
export function bgpSettings(config: SiteConfig): readonly Setting[] {
  const sessions = config.bgp ?? []
  if (sessions.length === 0) return []
  const peers = sessions.flatMap((session) => session.neighbors.map((neighbor) => ({ session, neighbor, family: familyOf(neighbor) })))
  const told = new Map(sessions.map((session) => [session, { 4: announced(config, session, 4), 6: announced(config, session, 6) }]))
  const lists = peers.flatMap(({ session, neighbor, family }) => {
    const { prefixes, passedOn, byDefault } = told.get(session)![family]
    return [
      ...learnable(config, session, family).map((one) => `${ip[family]} prefix-list ${learnList(neighbor)} permit ${orLonger(one)}`),
      ...[...prefixes, ...(byDefault ? [anywhere[family]] : [])].map((one) => `${ip[family]} prefix-list ${announceList(neighbor)} permit ${one}`),
      ...passedOn.map((one) => `${ip[family]} prefix-list ${announceList(neighbor)} permit ${orLonger(one)}`),
    ]
  })
  const router = `router bgp ${ownAsn(sessions)}`
  const speaker = [
    `bgp router-id ${routerId(config)}`,
    'no bgp default ipv4-unicast',
    // What is announced is in the overlay, and not in this box's main table.
    'no bgp network import-check',
    ...peers.flatMap(({ session: { asn, localAsn, hold }, neighbor }) => [
      `neighbor ${neighbor} remote-as ${asn}`,
      ...(localAsn === ownAsn(sessions) ? [] : [`neighbor ${neighbor} local-as ${localAsn} no-prepend replace-as`]),
      `neighbor ${neighbor} timers ${Math.floor(hold / 3)} ${hold}`,
      `neighbor ${neighbor} timers connect 5`,
    ]),
  ]
  const families = ([4, 6] as const).flatMap((family) =>
    peers.some((one) => one.family === family)
      ? [
          ...new Set(
            sessions.flatMap((session) => {
              const { prefixes, byDefault } = told.get(session)![family]
              return [...prefixes, ...(byDefault ? [anywhere[family]] : [])].map((one) => `network ${one}`)
            }),
          ),
          // What is passed on to whom, the lists say.
          ...(config.ospf && spokenTo(config.ospf).includes(family) ? [`redistribute ${ospfOf[family]}`] : []),
          ...peers
            .filter((one) => one.family === family)
            .flatMap(({ session, neighbor }) => [
              sharedWith(config, neighbor) === undefined
                ? `neighbor ${neighbor} next-hop-self`
                : `neighbor ${neighbor} route-map ${announceList(neighbor)} out`,
              `neighbor ${neighbor} prefix-list ${learnList(neighbor)} in`,
              `neighbor ${neighbor} prefix-list ${announceList(neighbor)} out`,
              // Whatever next hop it names: packets go to the router that the line is about.
              `neighbor ${neighbor} route-map learn in`,
              `neighbor ${neighbor} maximum-prefix ${session.maxPrefixes} restart 1`,
              `neighbor ${neighbor} activate`,
            ]),
        ].map((line): Setting => [router, unicast(family), line])
      : [],
  )
  return [
    ...lists.map((line): Setting => [line]),
    [routeMap],
    [routeMap, 'set ip next-hop peer-address'],
    [routeMap, 'set ipv6 next-hop peer-address'],
    ...peers.flatMap(({ neighbor }): readonly Setting[] => {
      const shared = sharedWith(config, neighbor)
      const map = `route-map ${announceList(neighbor)} permit 10`
      if (shared === undefined) return []
      // Of IPv6 routers take the link-local one that comes along (RFC 2545), which moves with the LAN as the other does.
      const hops = familyOf(shared) === 4 ? [`ip next-hop ${shared}`] : [`ipv6 next-hop global ${shared}`, `ipv6 next-hop local ${virtualLinkLocal}`]
      return [[map], ...hops.map((hop): Setting => [map, `set ${hop}`])]
    }),
    [router],
    ...speaker.map((line): Setting => [router, line]),
    ...families,
  ]
}
