/** `bgp` of a LAN: the routers that may announce what is behind them, and what they may announce. */
import type { BgpLan } from '#src/fabric/fabric.ts'
import type { Prefix } from '#src/net/address.ts'
import { bgpDefaults } from './defaults.ts'
import { type ReadLan, readRouters } from './read-routers.ts'
import type { Report } from './report.ts'
import type { RawBgp } from './schema.ts'
import type { Located } from './spec.ts'
import { formatLifetime } from './values.ts'

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
  const { neighbors, learned } = readRouters({ neighbor, prefixes }, 'I067', links, isUsable, report)
  const [first] = links
  if (!first) return nothing
  const { segment, interface: device } = first.lan
  for (const [key, one] of Object.entries({ asn, local_asn, hold, max_prefixes, neighbor: neighbor?.[0] }))
    if (one) report.origins.set(`${base}/bgp/${device}/${key}`, one.at)
  return {
    session:
      asn && neighbors.length > 0 && learned.length > 0
        ? {
            segment,
            interface: device,
            asn: asn.value,
            localAsn,
            neighbors,
            hold: seconds,
            maxPrefixes: max_prefixes?.value ?? bgpDefaults.maxPrefixes,
          }
        : undefined,
    learned,
  }
}
