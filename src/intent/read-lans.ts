/** The LANs of a site: their prefixes, the gateway's addresses there, what it does for hosts, and the routers behind which more lies. */
import type { BgpLan, Origin, OspfLan, SegmentId } from '#src/fabric/fabric.ts'
import {
  type Address,
  type AddressWithLength,
  comparePrefixes,
  familyOf,
  firstHost,
  hostOf,
  isHostOf,
  lengthOf,
  networkOf,
  nth,
  overlaps,
  type Prefix,
  width,
} from '#src/net/address.ts'
import { PrefixTable } from '#src/net/lpm.ts'
import type { Breakout, Intent, IntentSite, IntentUplink } from './intent.ts'
import { overlapping } from './overlap.ts'
import { noteFields, type Places } from './places.ts'
import { largest, special } from './ranges.ts'
import { readBgp } from './read-bgp.ts'
import { type Neighbour, readAdvertisement, readDhcp } from './read-lan-services.ts'
import { readOspf } from './read-ospf.ts'
import type { ReadLan } from './read-routers.ts'
import { claim } from './read-uplinks.ts'
import type { Report } from './report.ts'
import type { LanAddress, RawLan } from './schema.ts'
import type { Names } from './selector.ts'
import type { Entry, Located } from './spec.ts'
import { oneOf } from './suggest.ts'

export function readLans(
  base: string,
  entries: readonly Entry<readonly RawLan[]>[] | undefined,
  standing: readonly Address[],
  claimed: Map<string, Located<string>>,
  names: Names,
  uplinks: readonly IntentUplink[],
  internet: Intent['internet'],
  report: Report,
): Pick<IntentSite, 'lans' | 'bgp' | 'ospf'> {
  const out: ReadLan[] = []
  const spoken: Spoken = { bgp: [], ospf: [] }
  for (const { key, value } of entries ?? []) {
    const segment = key.value as SegmentId
    if (!names.segments.has(segment) && !names.partial) {
      const meant = report.meant(segment, names.segments)
      report.error(
        'I013',
        key.at,
        `"${segment}" is no segment of the network${meant}`,
        meant === '' ? `write one of ${oneOf(names.segments)}, or add it to \`segments:\` of the network` : '',
      )
    }
    const lanBase = `${base}/lan/${segment}`
    report.origins.set(lanBase, key.at)
    const breakout = internet.find((one) => one.segment === segment)?.breakout ?? 'none'
    const own = (value ?? []).flatMap((raw) => readLan(lanBase, segment, raw, standing, claimed, uplinks, breakout, spoken, report))
    own.sort((a, b) => comparePrefixes(a.lan.prefix, b.lan.prefix))
    for (const [i, { at }] of own.entries()) {
      report.origins.set(`${lanBase}/${i}`, at.prefix)
      for (const field of ['interface', 'address', 'internet', 'translate', 'trust'] as const)
        if (at[field]) report.origins.set(`${lanBase}/${i}/${field}`, at[field])
      noteServices(`${lanBase}/${i}`, at, report.origins)
    }
    out.push(...own)
  }
  for (const [each, over] of overlapping(out.map(({ lan, at }) => ({ prefix: lan.prefix, at: at.prefix, on: `${lan.segment} ${lan.interface}` })))) {
    const says = each.prefix === over.prefix ? `${each.prefix} stands twice in this site` : `${each.prefix} is part of ${over.prefix} in this site`
    report.error(
      'I033',
      [each.at, over.at],
      says,
      each.on === over.on ? 'remove it here: the LAN has it already' : 'give every LAN of a site a network of its own',
    )
  }
  const ospf = spoken.ospf[0]?.session
  return {
    lans: out.map(({ lan }) => lan).sort((a, b) => (a.segment === b.segment ? comparePrefixes(a.prefix, b.prefix) : a.segment < b.segment ? -1 : 1)),
    ...(spoken.bgp.length > 0 ? { bgp: spoken.bgp.sort((a, b) => (a.interface < b.interface ? -1 : 1)) } : {}),
    ...(ospf ? { ospf } : {}),
  }
}

/** On the LANs of a site. */
interface Spoken {
  readonly bgp: BgpLan[]
  readonly ospf: { readonly at: Origin; readonly session: OspfLan | undefined }[]
}

function readLan(
  base: string,
  segment: SegmentId,
  { fields }: RawLan,
  standing: readonly Address[],
  claimed: Map<string, Located<string>>,
  uplinks: readonly IntentUplink[],
  breakout: Breakout,
  spoken: Spoken,
  report: Report,
): readonly ReadLan[] {
  if (fields.interface) claim(fields.interface, claimed, report)
  const own = (fields.prefixes ?? []).filter((each) => usable(each, uplinks, report) && hasRoom(each, report))
  const addresses = readLanAddresses(own, fields.address ?? [], report)
  const links = own.map(({ value: network, at }): ReadLan => {
    const written = addresses.get(network)
    const address = written?.value ?? (`${nth(network, 1) ?? nth(network, 0)!}/${lengthOf(network)}` as AddressWithLength)
    return {
      lan: {
        segment,
        interface: fields.interface?.value ?? '',
        prefix: network,
        address,
        internet: fields.internet?.value ?? breakout,
        ...(fields.translate ? { translate: fields.translate.value } : {}),
        ...(fields.trust?.value === 'dscp' ? { trust: fields.trust.value } : {}),
      },
      at: {
        prefix: at,
        interface: fields.interface?.at,
        address: written?.at,
        internet: fields.internet?.at,
        translate: fields.translate?.at,
        trust: fields.trust?.at,
      },
    }
  })
  const isUsable = (each: Located<Prefix>): boolean => usable(each, uplinks, report)
  const bgp = readBgp(fields.bgp, base, links, isUsable, report)
  const ospf = readOspf(fields.ospf, base, links, isUsable, report)
  if (fields.bgp && fields.ospf) report.error('I065', fields.ospf.at, 'the routers of a LAN speak BGP or OSPF, not both', 'keep one of the two')
  if (fields.ospf && spoken.ospf.length > 0)
    report.error(
      'I065',
      [fields.ospf.at, ...spoken.ospf.slice(0, 1).map(({ at }) => at)],
      'a gateway speaks OSPF on one of its LANs: what it is told there it would tell on every other',
      'write bgp: at this LAN, or next_hop:',
    )
  if (bgp.session) spoken.bgp.push(bgp.session)
  if (fields.ospf) spoken.ospf.push({ at: fields.ospf.at, session: ospf.session })
  const learned = [...bgp.learned, ...ospf.learned]
  const routers = [
    ...(fields.next_hop ?? []).map(({ key }) => ({ address: key.value as Address, key: 'next_hop' })),
    ...(bgp.session?.neighbors ?? []).map((address) => ({ address, key: 'bgp' })),
    ...(ospf.session?.neighbors ?? []).map((address) => ({ address, key: 'ospf' })),
  ]
  const others = [
    ...routers.map(({ address, key }): Neighbour => ({ address, who: `the address of a router, by \`${key}:\`` })),
    ...standing.map((one): Neighbour => ({ address: one, who: "one gateway's own address" })),
  ]
  return [...served(fields, links, others, report), ...readNextHops(fields.next_hop ?? [], links, uplinks, report), ...learned]
}

function noteServices(base: string, { dhcp, ra }: ReadLan['at'], origins: Places): void {
  for (const [name, raw] of Object.entries({ dhcp, ra })) {
    if (!raw) continue
    origins.set(`${base}/${name}`, raw.at)
    noteFields(`${base}/${name}`, raw.fields, origins)
  }
  for (const { key } of dhcp?.fields.reserved ?? []) origins.set(`${base}/dhcp/reserved/${key.value}`, key.at)
}

/** What is behind a router is served by that router, if at all. */
function served({ dhcp, ra }: RawLan['fields'], links: readonly ReadLan[], others: readonly Neighbour[], report: Report): readonly ReadLan[] {
  const plain = links.map(({ lan, at }) => ({ lan, at: at.prefix }))
  const leased = dhcp && readDhcp(dhcp, plain, others, report)
  const advertised = ra && readAdvertisement(ra, plain, report)
  return links.map(({ lan, at }): ReadLan => {
    const leases = leased?.prefix === lan.prefix
    const advertises = advertised?.prefixes.includes(lan.prefix) === true
    return {
      lan: { ...lan, ...(leases ? { dhcp: leased.dhcp } : {}), ...(advertises ? { ra: advertised.ra } : {}) },
      at: { ...at, ...(leases ? { dhcp: dhcp! } : {}), ...(advertises ? { ra: ra! } : {}) },
    }
  })
}

function readNextHops(
  entries: readonly Entry<readonly Located<Prefix>[]>[],
  links: readonly ReadLan[],
  uplinks: readonly IntentUplink[],
  report: Report,
): readonly ReadLan[] {
  return entries.flatMap(({ key, value }): readonly ReadLan[] => {
    const via = key.value as Address
    const link = links.find(({ lan }) => isHostOf(lan.prefix, via))
    const behind = (value ?? []).filter((each) => usable(each, uplinks, report))
    // With no readable prefix there is nothing to compare with, and that was said already.
    if (links.length === 0) return []
    if (!link) {
      const prefixes = links.map(({ lan }) => lan.prefix)
      report.error('I036', key.at, `next hop ${via} is not a host of this LAN`, `write the router's address in ${oneOf(prefixes)}`)
      return []
    }
    if (hostOf(link.lan.address) === via) {
      report.error('I036', key.at, `${via} is the gateway's own address, not that of a router`, 'write the address of the router')
      return []
    }
    const strange = behind.find(({ value: network }) => familyOf(network) !== familyOf(via))
    if (strange) {
      report.error('I036', strange.at, `${strange.value} can't be behind ${via}, which is IPv${familyOf(via)}`, 'write a next hop of the same family')
      return []
    }
    return behind.map(({ value: network, at }) => ({
      lan: { ...link.lan, prefix: network, via },
      at: { ...link.at, prefix: at },
    }))
  })
}

function usable({ value, at }: Located<Prefix>, uplinks: readonly IntentUplink[], report: Report): boolean {
  const family = familyOf(value)
  if (lengthOf(value) < largest[family] || special.some((range) => overlaps(range, value))) {
    report.error(
      'I032',
      at,
      `${value} can't be a LAN`,
      lengthOf(value) < largest[family]
        ? `write networks of /${largest[family]} or smaller`
        : `write a network for hosts, like one of ${family === 4 ? '10.0.0.0/8' : 'fd00::/8'}`,
    )
    return false
  }
  const uplink = uplinks.find((each) => each.address !== null && overlaps(networkOf(each.address), value))
  if (uplink)
    report.error(
      'I039',
      at,
      `LAN ${value} overlaps the network of uplink "${uplink.id}", ${networkOf(uplink.address!)}`,
      'change one of the two: the gateway must know on which side a host is',
    )
  return true
}

/** For a host beside the gateway, which is on the LAN itself. */
function hasRoom({ value, at }: Located<Prefix>, report: Report): boolean {
  const family = familyOf(value)
  if (lengthOf(value) < width(family)) return true
  const whole = networkOf(`${hostOf(value)}/${family === 4 ? 24 : 64}` as AddressWithLength)
  report.error(
    'I032',
    at,
    `${value} can't be a LAN: its one address would be the gateway's`,
    `write the network that its hosts are in, like ${whole}`,
  )
  return false
}

function readLanAddresses(
  prefixes: readonly Located<Prefix>[],
  addresses: readonly Located<LanAddress>[],
  report: Report,
): ReadonlyMap<Prefix, { readonly value: AddressWithLength; readonly at: Origin }> {
  const out = new Map<Prefix, { readonly value: AddressWithLength; readonly at: Origin }>()
  const table = new PrefixTable<Prefix>()
  for (const { value } of prefixes) table.set(value, value)
  for (const { value: written, at, text } of addresses) {
    const host = written.kind === 'plain' ? written.address : hostOf(written.address)
    const of = table.lookup(host)
    // With no readable prefix there is nothing to compare with, and that was said already.
    if (prefixes.length === 0) continue
    if (!of)
      report.error(
        'I035',
        at,
        `${host} is outside the LAN's ${oneOf(prefixes.map((each) => each.value))}`,
        `write a host of it, like ${firstHost(prefixes[0]!.value)}; by default the gateway takes the first`,
      )
    else if (written.kind === 'with-length' && lengthOf(written.address) !== lengthOf(of))
      report.error('I035', at, `${text} has another length than the LAN's ${of}`, `write ${host}`)
    else if (!isHostOf(of, host))
      report.error('I035', at, `${host} can't be the address of a host in ${of}`, `write a host of it, like ${firstHost(of)}`)
    else if (out.has(of)) report.error('I035', at, `${of} has two addresses of the gateway`, 'keep one')
    else out.set(of, { value: `${host}/${lengthOf(of)}` as AddressWithLength, at })
  }
  return out
}
