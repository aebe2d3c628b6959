/** Groups of hosts: read in order, and each host behind a LAN that is declared. */
import type { NodeId, SegmentId, SiteId } from '#src/fabric/fabric.ts'
import { isSecondGateway, secondGateway } from '#src/fabric/ids.ts'
import {
  type AddressWithLength,
  comparePrefixes,
  contains,
  enclosing,
  formatHosts,
  hostOf,
  hostPrefix,
  isHostOf,
  type Prefix,
} from '#src/net/address.ts'
import type { Intent, IntentGroup, IntentLan, IntentPeer, IntentSite } from './intent.ts'
import { once, onceOf } from '#src/net/once.ts'
import { overlapping } from './overlap.ts'
import type { Raw } from './raw.ts'
import type { Report } from './report.ts'
import type { Located } from './spec.ts'

export function readGroups(raw: Raw, report: Report): readonly IntentGroup[] {
  const out: IntentGroup[] = []
  for (const { key, value } of raw.network?.fields.groups ?? []) {
    report.origins.set(`group/${key.value}`, key.at)
    if (value) out.push({ id: key.value, hosts: readHosts(`group/${key.value}/hosts`, value.fields.hosts ?? [], report) })
  }
  return out.sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** In order, none within another; their origins are `base/<i>`. */
export function readHosts(base: string, written: readonly Located<Prefix>[], report: Report): readonly Prefix[] {
  const held = new Set<Prefix>()
  for (const [inner, outer] of overlapping(written.map((each) => ({ prefix: each.value, each })))) {
    const twice = inner.prefix === outer.prefix
    report.warning(
      'I072',
      [inner.each.at, outer.each.at],
      twice ? `"${inner.each.text}" stands twice` : `"${inner.each.text}" is part of "${outer.each.text}"`,
      'remove one',
    )
    if (!twice) held.add(inner.prefix)
  }
  const at = new Map(written.map((each) => [each.value, each.at]))
  const hosts = [...at.keys()].filter((each) => !held.has(each)).sort(comparePrefixes)
  for (const [i, each] of hosts.entries()) report.origins.set(`${base}/${i}`, at.get(each)!)
  return hosts
}

export interface Land {
  readonly node: NodeId
  readonly segment: SegmentId
  readonly prefix: Prefix
  /** Where a gateway of ours is on it, and no router in between that may divide it. */
  readonly lan?: IntentLan
}
/** All LANs of the network, and whose holds an address. */
export interface Lands {
  readonly all: () => readonly Land[]
  /** The LANs that hold all of `hosts`: more than one only where some are translated. */
  readonly around: (hosts: Prefix) => readonly Land[]
  /** What an address of the LAN is that no host there can have; undefined: one may. */
  readonly taken: (host: Prefix, land: Land) => string | undefined
}
export function landsOf({ sites, regions, peers }: Pick<Intent, 'sites' | 'regions' | 'peers'>): Lands {
  const all = once((): readonly Land[] => [
    ...sites.flatMap(landsAt),
    ...peers.flatMap(landsAt),
    ...regions.flatMap(({ id, segment, networks }) => networks.flatMap(({ prefixes }) => prefixes.map((prefix) => ({ node: id, segment, prefix })))),
  ])
  const byPrefix = once(() => Map.groupBy(all(), (land) => land.prefix))
  /** Of a pair each has an address of its own beside the one that both share. */
  const gatewaysOn = (node: NodeId, lan: IntentLan): readonly AddressWithLength[] => {
    const second = lan.own === undefined ? undefined : sites.find(({ id }) => id === secondGateway(node as SiteId))
    return [lan.address, lan.own, second?.lans.find(({ prefix }) => prefix === lan.prefix)?.own].filter((one) => one !== undefined)
  }
  return {
    all,
    around: (hosts) => [...enclosing(hosts)].flatMap((prefix) => byPrefix().get(prefix) ?? []),
    taken: (host, { node, prefix, lan }) => {
      const address = hostOf(host)
      if (lan === undefined || host !== hostPrefix(address)) return undefined
      if (gatewaysOn(node, lan).some((own) => hostOf(own) === address)) return "the gateway's own address"
      return isHostOf(prefix, address) ? undefined : `the first or last address of ${prefix}`
    },
  }
}
/** Both of a pair have the same. */
const landsAt = onceOf(({ id, lans }: IntentSite | IntentPeer): readonly Land[] =>
  isSecondGateway(id)
    ? []
    : lans.map((lan) => ({
        node: id,
        segment: lan.segment,
        prefix: lan.prefix,
        ...('address' in lan && lan.via === undefined ? { lan } : {}),
      })),
)

export function checkGroups(groups: readonly IntentGroup[], lands: Lands, report: Report): void {
  for (const { id, hosts } of groups)
    for (const [i, each] of hosts.entries()) {
      const [land, other] = lands.around(each)
      if (!land) reportNowhere(`group/${id}/hosts/${i}`, each, `group "${id}"`, lands, report)
      else if (lands.taken(each, land) !== undefined) reportTaken(`group/${id}/hosts/${i}`, each, `group "${id}"`, land, lands, report)
      else if (other)
        report.error(
          'I022',
          `group/${id}/hosts/${i}`,
          `${formatHosts(each)} of group "${id}" is at ${land.node}/${land.segment} and at ${other.node}/${other.segment}`,
          `renumber one of the LANs, or, where it is called, make it an endpoint of a service, whose \`at: ${land.node}/${land.segment}\` says which is meant`,
        )
    }
}

/** A gateway lets through what is for hosts; what is for itself it answers alone, whatever a line says. */
export function reportTaken(key: string, host: Prefix, of: string, land: Land, lands: Lands, report: Report): void {
  report.error(
    'I023',
    key,
    `${formatHosts(host)} of ${of} is ${lands.taken(host, land)}, at ${land.node}/${land.segment}`,
    'write the address of a host',
  )
}

/** An address that is nobody's can be neither allowed nor denied: it would be a line about nothing. */
export function reportNowhere(key: string, hosts: Prefix, of: string, { all }: Lands, report: Report): void {
  const inside = all().find((land) => contains(hosts, land.prefix))
  report.error(
    'I020',
    key,
    inside
      ? `${hosts} of ${of} is wider than ${inside.prefix}, the LAN ${inside.node}/${inside.segment}`
      : `${formatHosts(hosts)} of ${of} is in no LAN of the network`,
    inside
      ? 'write addresses or prefixes within one LAN; for whole LANs select their segment'
      : 'write addresses within the LAN of a site, region or peer',
  )
}
