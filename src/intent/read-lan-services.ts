/** What the gateway does for the hosts of a LAN: DHCP and router advertisements. */
import { siteOfGateway } from '#src/fabric/ids.ts'
import type { Advertisement, Dhcp, Origin } from '#src/fabric/fabric.ts'
import {
  type Address,
  addressBits,
  addressFromBits,
  contains,
  type Family,
  familyOf,
  hostOf,
  hostPrefix,
  lengthOf,
  type Prefix,
  rangeOf,
} from '#src/net/address.ts'
import { defaultLease } from './defaults.ts'
import type { Intent, IntentLan, IntentSite } from './intent.ts'
import { onceOf } from '#src/net/once.ts'
import type { Lands } from './read-groups.ts'
import type { Report } from './report.ts'
import type { RawAdvertisement, RawDhcp } from './schema.ts'
import type { Located } from './spec.ts'
import { formatAddresses } from './values.ts'

/** A prefix on the link, and where it was written. */
export interface Link {
  readonly lan: Pick<IntentLan, 'prefix' | 'address'>
  readonly at: Origin
}
export interface ServedDhcp {
  /** To whose hosts. */
  readonly prefix: Prefix
  readonly dhcp: Dhcp
}

/** Who else has an address on the LAN, in words. */
export interface Neighbour {
  readonly address: Address
  readonly who: string
}
/** `others`: besides the gateway. undefined: refused, and reported. */
export function readDhcp(
  { at, fields, wrote }: RawDhcp,
  links: readonly Link[],
  others: readonly Neighbour[],
  report: Report,
): ServedDhcp | undefined {
  const own = links.filter(({ lan }) => familyOf(lan.prefix) === 4)
  // With no readable prefix there is nothing to compare with, and that was said already.
  if (links.length === 0) return undefined
  const [first] = own
  if (!first) {
    report.error('I075', at, 'DHCP leases IPv4 addresses, and this LAN has none', 'write ra: true, by which hosts make IPv6 addresses themselves')
    return undefined
  }
  if (fields.relay || wrote.has('relay')) return fields.relay && readRelay(fields.relay, wrote, own, report)
  const dns = ofFamily(fields.dns ?? [], 4, 'DHCP names', report)
  if (fields.range === undefined && wrote.has('range')) return undefined
  const written = fields.range
  const link = written ? own.find(({ lan }) => contains(lan.prefix, written.value.first) && contains(lan.prefix, written.value.last)) : first
  if (!link) {
    report.error(
      'I069',
      written!.at,
      `${formatAddresses(written!.value)} is not inside ${own.map(({ lan }) => lan.prefix).join(' or ')}`,
      `write addresses of the LAN, like ${suggested(first, others)}, or leave the range out`,
    )
    return undefined
  }
  const range = written ? checked(written, link, others, report) : freeRange(link, others)
  if (!range) {
    if (!written)
      report.error('I075', [at, link.at], `${link.lan.prefix} has no address left to lease`, 'give the LAN a larger prefix, or remove `dhcp:`')
    return undefined
  }
  const reserved = readReserved(fields.reserved ?? [], link, others, report)
  return {
    prefix: link.lan.prefix,
    dhcp: {
      kind: 'server',
      range,
      lease: fields.lease?.value ?? defaultLease,
      dns,
      domain: fields.domain?.value ?? '',
      reserved,
    },
  }
}

function readRelay(relay: Located<Address>, wrote: RawDhcp['wrote'], own: readonly Link[], report: Report): ServedDhcp | undefined {
  const more = [...wrote.keys()].filter((key) => key !== 'relay')
  if (more.length > 0)
    report.error('I069', relay.at, `a relay leases nothing itself, and ${more.join(', ')} would be for a server`, 'keep `relay:` alone, or remove it')
  if (familyOf(relay.value) === 6)
    report.error('I076', relay.at, `${relay.value} is IPv6, and DHCP is relayed over IPv4`, 'write the IPv4 address of the server')
  const beside = own.find(({ lan }) => contains(lan.prefix, relay.value))
  if (beside)
    report.error(
      'I076',
      relay.at,
      `${relay.value} is on this very LAN, where hosts are heard without a relay`,
      'remove `dhcp:`; the server answers them itself',
    )
  // Relayed as from the first prefix: the server tells by that address of which LAN to lease.
  return beside || more.length > 0 || familyOf(relay.value) === 6
    ? undefined
    : { prefix: own[0]!.lan.prefix, dhcp: { kind: 'relay', server: relay.value } }
}

/** Whoever has an address of the LAN already. */
const takenOf = ({ lan }: Link, others: readonly Neighbour[]): readonly Neighbour[] => [
  { address: hostOf(lan.address), who: "the gateway's own address" },
  ...others.filter(({ address }) => contains(lan.prefix, address)),
]
/** The first and the last address that a host may have. */
function hostBits(prefix: Prefix): { readonly low: bigint; readonly high: bigint } {
  const { low, high } = rangeOf(prefix)
  return lengthOf(prefix) >= 31 ? { low, high } : { low: low + 1n, high: high - 1n }
}
function checked(written: Located<{ readonly first: Address; readonly last: Address }>, link: Link, others: readonly Neighbour[], report: Report) {
  const { first, last } = written.value
  const [from, to] = [addressBits(first), addressBits(last)]
  const { low, high } = hostBits(link.lan.prefix)
  const taken = takenOf(link, others).find(({ address }) => addressBits(address) >= from && addressBits(address) <= to)
  if (taken)
    report.error('I069', written.at, `the range holds ${taken.address}, ${taken.who}`, `write a range beside it, like ${suggested(link, others)}`)
  else if (from < low || to > high)
    report.error(
      'I069',
      written.at,
      `${from < low ? first : last} can't be the address of a host in ${link.lan.prefix}`,
      `write a range within ${formatAddresses({ first: addressFromBits(4, low), last: addressFromBits(4, high) })}`,
    )
  else return written.value
  return undefined
}
/** The longest run of addresses that nobody has, in the upper half of the LAN; undefined: none. */
function freeRange(link: Link, others: readonly Neighbour[]): { readonly first: Address; readonly last: Address } | undefined {
  const { low, high } = rangeOf(link.lan.prefix)
  const hosts = hostBits(link.lan.prefix)
  const middle = low + (high - low + 1n) / 2n
  const taken = takenOf(link, others)
    .map(({ address }) => addressBits(address))
    .sort((a, b) => (a < b ? -1 : 1))
  let best: { readonly from: bigint; readonly to: bigint } | undefined
  let from = middle > hosts.low ? middle : hosts.low
  for (const end of [...taken.filter((bits) => bits >= from && bits <= hosts.high), hosts.high + 1n]) {
    if (end > from && (!best || end - from > best.to - best.from + 1n)) best = { from, to: end - 1n }
    from = end + 1n
  }
  return best && { first: addressFromBits(4, best.from), last: addressFromBits(4, best.to) }
}
function suggested(link: Link, others: readonly Neighbour[]): string {
  const free = freeRange(link, others)
  return free ? formatAddresses(free) : 'one of a larger LAN'
}

function readReserved(entries: NonNullable<RawDhcp['fields']['reserved']>, link: Link, others: readonly Neighbour[], report: Report) {
  const out: { readonly name: string; readonly mac: string; readonly address: Address }[] = []
  const macs = new Map<string, Origin>()
  const addresses = new Map<Address, Origin>()
  const { low, high } = hostBits(link.lan.prefix)
  for (const { key, value } of entries) {
    const { mac, address } = value?.fields ?? {}
    if (!mac || !address) continue
    const taken = takenOf(link, others).find((one) => one.address === address.value)
    const bits = addressBits(address.value)
    const twice = macs.get(mac.value) ?? addresses.get(address.value)
    if (familyOf(address.value) === 6 || bits < low || bits > high)
      report.error('I069', address.at, `${address.value} can't be the address of a host in ${link.lan.prefix}`, 'write an address of the LAN')
    else if (taken) report.error('I069', address.at, `${address.value} is ${taken.who}`, 'write one that nobody has')
    else if (twice)
      report.error(
        'I069',
        [macs.has(mac.value) ? mac.at : address.at, twice],
        `${macs.has(mac.value) ? mac.value : address.value} is reserved twice`,
        'keep one, or correct the other',
      )
    else out.push({ name: key.value, mac: mac.value, address: address.value })
    macs.set(mac.value, macs.get(mac.value) ?? mac.at)
    addresses.set(address.value, addresses.get(address.value) ?? address.at)
  }
  return out.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** To which prefixes of the LAN it belongs: hosts make addresses of a /64 (RFC 4862 section 5.5.3) and of no other. */
export function readAdvertisement(
  { at, fields }: RawAdvertisement,
  links: readonly Link[],
  report: Report,
): { readonly prefixes: readonly Prefix[]; readonly ra: Advertisement } | undefined {
  if (links.length === 0) return undefined
  const own = links.filter(({ lan }) => familyOf(lan.prefix) === 6)
  if (own.length === 0)
    report.error('I075', at, 'router advertisements are of IPv6, and this LAN has none', 'add an IPv6 prefix of /64, or remove `ra:`')
  for (const { lan, at: written } of own.filter(({ lan: { prefix } }) => lengthOf(prefix) !== 64))
    report.error('I075', [written, at], `${lan.prefix} can't be advertised: hosts make addresses of a /64 and of no other`, 'write the LAN as a /64')
  const ra = { dns: ofFamily(fields.dns ?? [], 6, 'router advertisements name', report), domain: fields.domain?.value ?? '' }
  return { prefixes: own.map(({ lan }) => lan.prefix), ra }
}

function ofFamily(written: readonly Located<Address>[], family: Family, what: string, report: Report): readonly Address[] {
  const other = written.find(({ value }) => familyOf(value) !== family)
  if (other)
    report.error(
      'I069',
      other.at,
      `${what} resolvers by IPv${family} addresses, and ${other.value} is IPv${familyOf(other.value)}`,
      family === 4 ? 'write it under `ra:`, or the IPv4 address here' : 'write it under `dhcp:`, or the IPv6 address here',
    )
  return [...new Set(written.filter((one) => one !== other).map(({ value }) => value))]
}

/** A server that is in no LAN of the network would be asked over no tunnel. */
export function checkRelays(sites: Intent['sites'], lands: Lands, report: Report): void {
  for (const site of sites)
    for (const { server, lan } of relaysAt(site)) {
      const host = hostPrefix(server)
      const around = lands.around(host)
      const [taken] = around.every((land) => lands.taken(host, land) !== undefined) ? around : []
      if (around.length > 0 && !taken) continue
      report.error(
        'I076',
        `site/${siteOfGateway(site.id)}/lan/${lan}/dhcp`,
        taken
          ? `${server} is ${lands.taken(host, taken)}, at ${taken.node}/${taken.segment}: no DHCP server answers there`
          : `the DHCP server ${server} is in no LAN of the network`,
        'write the address of one that is, at another LAN or site, in a region or behind a peer',
      )
    }
}
/** Servers that LANs of a site ask through it. `lan`: `inference/0`, as in keys. */
export const relaysAt = onceOf(({ lans }: IntentSite) =>
  [...Map.groupBy(lans, (lan) => lan.segment)].flatMap(([segment, own]) =>
    own.flatMap(({ dhcp }, n) => (dhcp?.kind === 'relay' ? [{ segment, server: dhcp.server, lan: `${segment}/${n}` }] : [])),
  ),
)
