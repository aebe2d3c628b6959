/** What the words of a question name: places, a service, an address, the internet. */
import type { Fabric, NodeId, Place } from '#src/fabric/fabric.ts'
import { isSecondGateway, siteOfGateway } from '#src/fabric/ids.ts'
import { nodesOf } from '#src/fabric/slice.ts'
import { type Address, contains, familyOf, formatHosts, hostPrefix, parseAddress } from '#src/net/address.ts'
import type { PortRange } from '#src/net/ports.ts'
import { translated } from '#src/net/translate.ts'

export interface End {
  readonly places: readonly Place[]
  /** An address that nobody in the network has, null: any. There is no place then. */
  readonly outside?: Address | null
  readonly ports: readonly PortRange[]
}
export interface Unknown {
  readonly says: string
  readonly instead: string
}
/** `where/what`, `what`, a site, or an address; a service only where something can be served, a group of hosts anywhere. */
export function resolveEnd(fabric: Fabric, text: string, services: boolean): End | Unknown {
  const parsed = parseAddress(text)
  if (parsed.ok) return addressEnd(fabric, parsed.value, null, services)
  if (services && text === 'internet') return { places: [], ports: [], outside: null }
  const [before = '', after] = text.split('/')
  const host = after === undefined ? undefined : parseAddress(after)
  const first = siteOfGateway(before as NodeId)
  if (host?.ok) return addressEnd(fabric, host.value, first, services)
  const where = after === undefined ? null : first
  const what = after ?? first
  const places = placesOf(fabric)
  const service = services ? fabric.services.find((one) => one.id === what) : undefined
  const group = fabric.hostGroups?.find((one) => one.id === what)
  const candidates = service
    ? service.places
    : group
      ? group.places
      : where === null && nodesOf(fabric).some((node) => node.id === what)
        ? places.filter((place) => place.node === what)
        : places.filter((place) => place.segment === what)
  const chosen = candidates.filter(
    (place) => where === null || place.node === where || nodesOf(fabric).some((node) => node.id === place.node && roleOf(node) === where),
  )
  const byHost = chosen.flatMap((place) =>
    place.prefixes.every((prefix) => formatHosts(prefix) !== prefix) ? place.prefixes.map((prefix) => ({ ...place, prefixes: [prefix] })) : [place],
  )
  if (byHost.length > 0) return { places: byHost, ports: service?.ports ?? [] }
  const groups = fabric.hostGroups ?? []
  const names = [
    ...fabric.segments.map((segment) => String(segment.id)),
    ...groups.map((one) => one.id),
    ...(services ? fabric.services.map((one) => one.id) : []),
  ]
  return { says: `"${text}" is nothing in this network`, instead: `write site/segment, an address, or one of ${names.join(', ')}` }
}
const roleOf = (node: ReturnType<typeof nodesOf>[number]): string => (node.kind === 'site' ? node.role : node.kind)

/** As the overlay calls it; where nobody is called so, or the site is named too, also as its own hosts do. */
function addressEnd(fabric: Fabric, host: Address, at: string | null, isTarget: boolean): End | Unknown {
  const held = ownersOf(fabric).flatMap((node) => (at === null || node.id === at ? node.lans.map((lan) => ({ node: node.id, lan })) : []))
  const end = ({ node, lan }: (typeof held)[number], one: Address): End => ({
    places: [{ node, segment: lan.segment, prefixes: [hostPrefix(one)] }],
    ports: [],
  })
  const own = held.filter(({ lan }) => lan.local !== undefined && contains(lan.local, host))
  const overlay = held.find(({ lan }) => contains(lan.prefix, host))
  if (overlay) return end(overlay, host)
  const [only, other] = own
  if (only && !other) return end(only, translated(host, only.lan.local!, only.lan.prefix))
  if (only && other)
    return {
      says: `${host} is a host of ${only.node}, and of ${other.node}`,
      instead: `say which: ${only.node}/${host}, or as the overlay calls it`,
    }
  if (at === null && isTarget && !fabric.network.pool.some((inside) => contains(inside, host))) return { places: [], ports: [], outside: host }
  return {
    says: at === null ? `${host} is in no LAN of this network` : `${host} is in no LAN of "${at}"`,
    instead: `write an address inside one of ${nodesOf(fabric)
      .flatMap((site) => site.lans.map((lan) => lan.prefix))
      .filter((one) => familyOf(one) === familyOf(host))
      .slice(0, 6)
      .join(', ')}`,
  }
}
/** A LAN is its site's, once, whichever gateway of a pair carries it. */
const ownersOf = (fabric: Fabric): ReturnType<typeof nodesOf> => nodesOf(fabric).filter(({ id }) => !isSecondGateway(id))
function placesOf(fabric: Fabric): readonly Place[] {
  return ownersOf(fabric).flatMap((site) =>
    [...Map.groupBy(site.lans, (lan) => lan.segment)].map(
      ([segment, lans]): Place => ({ node: site.id, segment, prefixes: lans.map((lan) => lan.prefix) }),
    ),
  )
}
