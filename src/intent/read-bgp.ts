/** `bgp` of a LAN: the routers that may announce what is behind them, and what they may announce. */
import type { BgpLan, Origin } from '#src/fabric/fabric.ts'
import { comparePrefixes, familyOf, hostOf, hostPrefix, isHostOf, type Prefix } from '#src/net/address.ts'
import { bgpDefaults } from './defaults.ts'
import type { IntentLan } from './intent.ts'
import type { Report } from './report.ts'
import type { RawAdvertisement, RawBgp, RawDhcp } from './schema.ts'
import type { Located } from './spec.ts'
import { oneOf } from './suggest.ts'
import { formatLifetime } from './values.ts'

/** One prefix of a LAN, and where its parts were written. */
export interface ReadLan {
  readonly lan: IntentLan
  readonly at: {
    readonly prefix: Origin
    readonly interface: Origin | undefined
    readonly address: Origin | undefined
    readonly internet: Origin | undefined
    readonly translate: Origin | undefined
    readonly trust: Origin | undefined
    /** Only at the prefix that they serve. */
    readonly dhcp?: RawDhcp
    readonly ra?: RawAdvertisement
  }
}

const maxNeighbors = 4
const maxDeclared = 100
/** RFC 4271 section 4.2: none is shorter. The field has 16 bits. */
const holds = { least: 3, most: 65_535 } as const

/** Of the IANA registry of AS numbers: why nobody has one; '' for those that somebody may have. */
function unusable(asn: number): string {
  // RFC 6793, RFC 7300.
  if (asn === 23_456) return 'stands for AS numbers that an old router can not write'
  if (asn === 65_535 || asn === 4_294_967_295) return 'is the last of its kind, which is reserved'
  // RFC 5398; the rest up to 131071 is reserved.
  if ((asn >= 64_496 && asn <= 64_511) || (asn >= 65_536 && asn <= 65_551)) return 'is for documents only'
  return asn >= 65_552 && asn <= 131_071 ? 'is reserved' : ''
}
const anyPrivate = 'write the AS number that the router has, or a private one: 64512 to 65534, 4200000000 to 4294967294'

interface Read {
  readonly session: BgpLan | undefined
  /** One a declared prefix, behind the first neighbor of its family. */
  readonly learned: readonly ReadLan[]
}
const nothing: Read = { session: undefined, learned: [] }

/** `base` of the origins; `links`: the connected prefixes of the LAN. `isUsable` says what keeps a prefix from being one, and reports it. */
export function readBgp(
  raw: RawBgp | undefined,
  base: string,
  links: readonly ReadLan[],
  isUsable: (prefix: Located<Prefix>) => boolean,
  report: Report,
): Read {
  if (!raw) return nothing
  const { asn, local_asn, neighbor, prefixes, hold, max_prefixes } = raw.fields
  const localAsn = local_asn?.value ?? bgpDefaults.localAsn
  for (const one of [asn, local_asn]) {
    const why = one ? unusable(one.value) : ''
    if (one && why !== '') report.error('I068', one.at, `AS ${one.value} ${why}`, anyPrivate)
  }
  if (asn?.value === localAsn)
    report.error(
      'I068',
      asn.at,
      `${asn.value} is the AS number of the gateway itself`,
      'the two differ: write that of the router, or another one for the gateway, like local_asn: 65001',
    )
  const seconds = hold?.value ?? bgpDefaults.hold
  if (hold && (seconds < holds.least || seconds > holds.most))
    report.error(
      'I067',
      hold.at,
      `a hold time of ${formatLifetime(seconds)} is ${seconds < holds.least ? 'too short' : 'too long'}`,
      `write ${holds.least}s to ${holds.most}s; keepalives come in a third of it`,
    )
  const declared = (prefixes ?? []).filter(isUsable)
  const [first] = links
  // With no readable prefix of the LAN there is nothing to compare with, and that was said already.
  if (!first) return nothing

  const neighbors = [...(neighbor ?? [])]
    .sort((a, b) => comparePrefixes(hostPrefix(a.value), hostPrefix(b.value)))
    .flatMap((each) => {
      const link = links.find(({ lan }) => isHostOf(lan.prefix, each.value))
      if (!link)
        report.error(
          'I036',
          each.at,
          `neighbor ${each.value} is not a host of this LAN`,
          `write the router's address in ${oneOf(links.map(({ lan }) => lan.prefix))}`,
        )
      else if (hostOf(link.lan.address) === each.value)
        report.error('I036', each.at, `${each.value} is the gateway's own address, not that of a router`, 'write the address of the router')
      else return [{ ...each, link }]
      return []
    })
  const twice = neighbors.find(({ value }, n) => neighbors.findIndex((one) => one.value === value) < n)
  if (twice) report.error('I067', twice.at, `neighbor ${twice.value} stands twice`, 'keep one')
  const extra = neighbors[maxNeighbors]
  if (extra) report.error('I067', extra.at, `there are ${neighbors.length} neighbors on one LAN`, `write at most ${maxNeighbors}`)
  const more = declared[maxDeclared]
  if (more)
    report.error(
      'I067',
      more.at,
      `${declared.length} prefixes may be learned on one LAN`,
      `write at most ${maxDeclared}: a wider one includes its parts`,
    )
  const written = neighbor?.length === neighbors.length && prefixes?.length === declared.length
  for (const family of written ? ([4, 6] as const) : []) {
    const [to, of] = [neighbors.find(({ value }) => familyOf(value) === family), declared.find(({ value }) => familyOf(value) === family)]
    if (to && !of)
      report.error(
        'I067',
        to.at,
        `neighbor ${to.value} is IPv${family}, and no prefix is`,
        `declare what it may announce, or remove it: a session is for one family`,
      )
    if (of && !to)
      report.error(
        'I067',
        of.at,
        `${of.value} can't be learned: no neighbor is IPv${family}`,
        `write the router's IPv${family} address beside the other`,
      )
  }

  const { segment, interface: device } = first.lan
  for (const [key, one] of Object.entries({ asn, local_asn, hold, max_prefixes, neighbor: neighbor?.[0] }))
    if (one) report.origins.set(`${base}/bgp/${device}/${key}`, one.at)
  return {
    session:
      asn && neighbors.length > 0 && declared.length > 0
        ? {
            segment,
            interface: device,
            asn: asn.value,
            localAsn,
            neighbors: neighbors.map(({ value }) => value),
            hold: seconds,
            maxPrefixes: max_prefixes?.value ?? bgpDefaults.maxPrefixes,
          }
        : undefined,
    learned: declared.flatMap(({ value, at }): readonly ReadLan[] => {
      const to = neighbors.find((one) => familyOf(one.value) === familyOf(value))
      return to ? [{ lan: { ...to.link.lan, prefix: value, via: to.value, learned: true }, at: { ...to.link.at, prefix: at } }] : []
    }),
  }
}
