/**
 * The underlay that the lab builds for an intent: a star around one namespace `internet`, each uplink one link to it.
 * Pure: intent in, description out. Hubs keep the addresses of their YAML; edges get 100.64.N.0/24 (RFC 6598), of IPv6 2001:db8:6400:N::/64, and LTE
 * links sit behind a NAT, as a carrier's do.
 */
import type { LanRouters, SiteId, UplinkId } from '#src/fabric/fabric.ts'
import { isSecondGateway, siteOfGateway } from '#src/fabric/ids.ts'
import type { Intent, IntentLan, IntentPeer, IntentSite, IntentUplink } from '#src/intent/intent.ts'
import {
  type Address,
  type AddressWithLength,
  address,
  addressWithLength,
  contains,
  familyOf,
  hostOf,
  hostPrefix,
  isLinkLocal,
  lengthOf,
  nth,
} from '#src/net/address.ts'
import type { Speaker } from './speaker.ts'

export interface Underlay {
  readonly links: readonly Link[]
  readonly lans: readonly LanHost[]
  readonly routers: readonly LanRouter[]
  /** Of pairs. */
  readonly seconds: readonly SecondGateway[]
}
/** One uplink of one site, and the quality of its line in each direction. */
export interface Link {
  /** `berlin.fiber` */
  readonly id: string
  readonly site: SiteId
  readonly uplink: UplinkId
  readonly interface: string
  readonly address: AddressWithLength
  readonly router: Address
  /** The other family's of a line that has both. */
  readonly six: { readonly address: AddressWithLength; readonly router: Address } | null
  /** Address that the internet sees instead, or null without NAT. */
  readonly nat: Address | null
  readonly metric: number
  readonly line: Line
}
export interface Line {
  /** One way, ms. */
  readonly delayMs: number
  readonly jitterMs: number
  /** Fraction 0–1. */
  readonly loss: number
  /** bit/s from the site and to it; 0 = as fast as the machine. */
  readonly up: number
  readonly down: number
  /** Silent loss of everything, or of UDP only. */
  readonly cut: 'no' | 'all' | 'udp'
}
/** A host on a site's LAN: its namespace is `lanHostName`, `.10` of each of its prefixes. */
export interface LanHost {
  readonly namespace: string
  readonly site: SiteId
  readonly interface: string
  /** The host's default routers: the gateway's address on the first prefix of each family. */
  readonly gateways: readonly Address[]
  readonly hosts: readonly AddressWithLength[]
}

/** The second gateway of a site, on the link of a LAN host. */
export interface SecondGateway {
  readonly site: SiteId
  readonly interface: string
  /** The LAN host's. */
  readonly beside: string
}
/** A router on the link of a LAN host. What is behind it answers at itself: `.10` of each prefix. */
export interface LanRouter {
  readonly namespace: string
  readonly site: SiteId
  /** The LAN host's. */
  readonly beside: string
  readonly address: AddressWithLength
  readonly gateway: Address
  readonly hosts: readonly AddressWithLength[]
  /** null: the gateway knows what is behind it without being told. */
  readonly speaks: Speaker | null
}

type LanWords = Pick<IntentLan, 'segment' | 'interface' | 'via'>
/** `<site>-<segment>`, on the second LAN of a segment `<site>-<segment>.2`; what is behind its routers `….r1`, `….r2`. */
export function lanHostName({ id, lans }: { readonly id: string; readonly lans: readonly LanWords[] }, lan: LanWords): string {
  const own = lans.filter(({ segment }) => segment === lan.segment)
  const n = [...new Set(own.map((one) => one.interface))].indexOf(lan.interface)
  const routers = [...new Set(own.flatMap((one) => (one.interface === lan.interface && one.via !== undefined ? [one.via] : [])))]
  return `${id}-${lan.segment}${n > 0 ? `.${n + 1}` : ''}${lan.via === undefined ? '' : `.r${routers.indexOf(lan.via) + 1}`}`
}

/** Where the agents find the controller: a documentation address (RFC 5737) inside the lab. */
export const controllerAddress = address('203.0.113.250')
export const controllerPort = 443
/** The internet's own address towards what is not a site: the gateways of clouds and third parties. */
export const externalRouter = address('203.0.113.249')
/** Of IPv6 on the link of each, as on those of sites: neighbor discovery answers for no address of another interface. */
export const externalRouterSix = addressWithLength('fe80::1/64')

const lines: Readonly<Record<string, { delayMs: number; jitterMs: number }>> = {
  lte: { delayMs: 22, jitterMs: 2 },
  '5g': { delayMs: 12, jitterMs: 2 },
  sat: { delayMs: 280, jitterMs: 4 },
}
const edgeLine = { delayMs: 6, jitterMs: 0 }
const hubLine = { delayMs: 2, jitterMs: 0 }

export function underlay(intent: Intent): Underlay {
  let edgeLinks = 0
  const links = intent.sites.flatMap((site) =>
    site.uplinks.map((uplink, index): Link => {
      const shape = lines[uplink.medium] ?? (uplink.address ? hubLine : edgeLine)
      const line: Line = { ...shape, loss: 0, up: uplink.up, down: uplink.down, cut: 'no' }
      const base = { id: `${site.id}.${uplink.id}`, site: site.id, uplink: uplink.id, interface: uplink.interface, metric: 100 + index, line }
      if (uplink.address && uplink.router) return { ...base, address: uplink.address, router: uplink.router, six: null, nat: null }
      const n = ++edgeLinks
      return { ...base, ...dynamicAddress(uplink, n) }
    }),
  )
  const firsts = intent.sites.filter(({ id }) => !isSecondGateway(id))
  const lans = firsts.flatMap((site) => {
    const connected = site.lans.filter(({ via }) => via === undefined)
    const byInterface = Map.groupBy(connected, (lan) => lan.interface)
    return [...byInterface.values()].flatMap((all): LanHost[] => {
      const hosts = all.flatMap((lan) => {
        const host = nth(lan.prefix, 10)
        return host ? [{ lan, host: addressWithLength(`${host}/${lengthOf(lan.prefix)}`) }] : []
      })
      const first = hosts[0]
      if (!first) return []
      return [
        {
          namespace: lanHostName(site, first.lan),
          site: site.id,
          interface: first.lan.interface,
          gateways: [...Map.groupBy(hosts, ({ host }) => familyOf(host)).values()].map(([{ lan } = first]) => hostOf(lan.address)),
          hosts: hosts.map(({ host }) => host),
        },
      ]
    })
  })
  const routers = firsts.flatMap((site) =>
    [...Map.groupBy(site.lans, (lan) => (lan.via === undefined ? '' : lanHostName(site, lan)))].flatMap(
      ([namespace, [first, ...others]]): LanRouter[] => {
        const { via, ...link } = first!
        if (via === undefined) return []
        const hosts = [first!, ...others].map(({ prefix }) => addressWithLength(hostPrefix(nth(prefix, 10) ?? nth(prefix, 0)!)))
        const address = addressWithLength(`${via}/${isLinkLocal(via) ? 64 : lengthOf(link.address)}`)
        const isWith = ({ interface: device, neighbors }: LanRouters): boolean => device === link.interface && neighbors.includes(via)
        const [session, area] = [site.bgp?.find(isWith), [site.ospf].find((one) => one && isWith(one))]
        const behind = [first!, ...others].flatMap(({ prefix, learned }) => (learned ? [prefix] : []))
        const speaks: Speaker | null = session
          ? { protocol: 'bgp', asn: session.asn, gatewayAsn: session.localAsn, gateways: gatewaysOn(intent, site, link), announces: behind }
          : area
            ? { protocol: 'ospf', area: area.area, hello: area.hello, dead: area.dead, announces: behind }
            : null
        return [{ namespace, site: site.id, beside: lanHostName(site, link), address, gateway: hostOf(link.address), hosts, speaks }]
      },
    ),
  )
  const seconds = intent.sites
    .filter(({ id }) => isSecondGateway(id))
    .flatMap((site) =>
      [...new Map(site.lans.filter(({ via }) => via === undefined).map((lan) => [lan.interface, lan])).values()].map((lan) => ({
        site: site.id,
        interface: lan.interface,
        beside: lanHostName({ ...site, id: siteOfGateway(site.id) }, lan),
      })),
    )
  return { links, lans, routers, seconds }
}

/** What is behind a third party's gateway: a host a segment, `<peer>-<segment>`, and what its gateway has on that link. */
export interface PeerLan {
  readonly namespace: string
  readonly gateways: readonly AddressWithLength[]
  /** `.10` of each prefix, and the host that is asked whether the tunnels carry. */
  readonly hosts: readonly AddressWithLength[]
}
export const peerLans = ({ id, lans, probe }: IntentPeer): readonly PeerLan[] =>
  [...Map.groupBy(lans, ({ segment }) => segment)].map(([segment, own]) => {
    const hosts = own.flatMap(({ prefix }) =>
      [...new Set([nth(prefix, 10), ...(probe !== null && contains(prefix, probe) ? [probe] : [])])].flatMap((host) =>
        host === undefined ? [] : [addressWithLength(`${host}/${lengthOf(prefix)}`)],
      ),
    )
    const gateways = own.flatMap(({ prefix }) => (nth(prefix, 10) ? [addressWithLength(`${nth(prefix, 1)}/${lengthOf(prefix)}`)] : []))
    return { namespace: `${id}-${segment}`, gateways, hosts }
  })

/** By their own addresses on the link of a LAN: one, or of a pair both. */
const gatewaysOn = ({ sites }: Intent, { id }: IntentSite, { address }: Pick<IntentLan, 'address'>): readonly Address[] => [
  ...new Set(
    sites
      .filter((site) => siteOfGateway(site.id) === id)
      .flatMap(({ lans }) => lans.flatMap((lan) => (lan.address === address ? [hostOf(lan.own ?? lan.address)] : []))),
  ),
]

function dynamicAddress(uplink: IntentUplink, n: number) {
  if (n > 120) throw new RangeError('the lab has addresses for 120 dynamic uplinks')
  const v6 = { address: addressWithLength(`2001:db8:6400:${n}::2/64`), router: address('fe80::1') }
  if (!uplink.families.includes(4)) return { ...v6, six: null, nat: null }
  return {
    address: addressWithLength(`100.64.${n}.2/24`),
    router: address(`100.64.${n}.1`),
    six: uplink.families.includes(6) ? v6 : null,
    nat: uplink.medium === 'lte' ? address(`203.0.113.${128 + n}`) : null,
  }
}
