/** What `bgp` and `ospf` of a LAN have in common: the routers on it, and what they may announce. */
import type { Origin } from '#src/fabric/fabric.ts'
import { type Address, comparePrefixes, familyOf, hostOf, hostPrefix, isHostOf, isLinkLocal, type Prefix } from '#src/net/address.ts'
import type { IntentLan } from './intent.ts'
import type { Report } from './report.ts'
import type { RawAdvertisement, RawDhcp } from './schema.ts'
import type { Located } from './spec.ts'
import { oneOf } from './suggest.ts'

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

interface Written {
  readonly neighbor?: readonly Located<Address>[] | undefined
  readonly prefixes?: readonly Located<Prefix>[] | undefined
}
export interface ReadRouters {
  /** In order. */
  readonly neighbors: readonly Address[]
  /** One a declared prefix, behind the first neighbor of its family. */
  readonly learned: readonly ReadLan[]
}

/** `links`: the connected prefixes of the LAN. `isUsable` says what keeps a prefix from being one, and reports it; `code` what can't be. */
export function readRouters(
  { neighbor, prefixes }: Written,
  code: 'I065' | 'I067',
  links: readonly ReadLan[],
  isUsable: (prefix: Located<Prefix>) => boolean,
  report: Report,
): ReadRouters {
  const declared = (prefixes ?? []).filter(isUsable)
  // With no readable prefix of the LAN there is nothing to compare with, and that was said already.
  if (links.length === 0) return { neighbors: [], learned: [] }

  const neighbors = [...(neighbor ?? [])]
    .sort((a, b) => comparePrefixes(hostPrefix(a.value), hostPrefix(b.value)))
    .flatMap((each) => {
      // OSPFv3 is spoken by link-local addresses, which are of no prefix (RFC 5340 section 2.5).
      const byLinkLocal = code === 'I065' && familyOf(each.value) === 6
      const link = links.find(({ lan }) => (byLinkLocal ? familyOf(lan.prefix) === 6 : isHostOf(lan.prefix, each.value)))
      if (byLinkLocal && !isLinkLocal(each.value))
        report.error(
          code,
          each.at,
          `${each.value} is not link-local, and OSPF knows no router of IPv6 by another address`,
          'write the one that the router has on this LAN, like fe80::fe',
        )
      else if (!link && byLinkLocal)
        report.error(
          'I036',
          each.at,
          `neighbor ${each.value} is IPv6, and this LAN is not`,
          "add an IPv6 prefix to the LAN's `prefixes:`, or remove it",
        )
      else if (!link)
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
  if (twice) report.error(code, twice.at, `neighbor ${twice.value} stands twice`, 'keep one')
  const extra = neighbors[maxNeighbors]
  if (extra) report.error(code, extra.at, `there are ${neighbors.length} neighbors on one LAN`, `write at most ${maxNeighbors}`)
  const more = declared[maxDeclared]
  if (more)
    report.error(
      code,
      more.at,
      `${declared.length} prefixes may be learned on one LAN`,
      `write at most ${maxDeclared}: a wider one includes its parts`,
    )
  const written = neighbor?.length === neighbors.length && prefixes?.length === declared.length
  for (const family of written ? ([4, 6] as const) : []) {
    const [to, of] = [neighbors.find(({ value }) => familyOf(value) === family), declared.find(({ value }) => familyOf(value) === family)]
    if (to && !of)
      report.error(
        code,
        to.at,
        `neighbor ${to.value} is IPv${family}, and no prefix is`,
        `declare what it may announce, or remove it: a session is for one family`,
      )
    if (of && !to)
      report.error(
        code,
        of.at,
        `${of.value} can't be learned: no neighbor is IPv${family}`,
        `write the router's IPv${family} address beside the other`,
      )
  }
  return {
    neighbors: neighbors.map(({ value }) => value),
    learned: declared.flatMap(({ value, at }): readonly ReadLan[] => {
      const to = neighbors.find((one) => familyOf(one.value) === familyOf(value))
      return to ? [{ lan: { ...to.link.lan, prefix: value, via: to.value, learned: true }, at: { ...to.link.at, prefix: at } }] : []
    }),
  }
}
