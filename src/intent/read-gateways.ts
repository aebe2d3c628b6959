/** A pair of gateways at one site: what a site says of either, and what each alone has on LANs whose address both share. */
import type { SiteId } from '#src/fabric/fabric.ts'
import {
  type Address,
  type AddressWithLength,
  addressBits,
  hostOf,
  isHostOf,
  lengthOf,
  networkOf,
  nth,
  type Prefix,
  rangeOf,
} from '#src/net/address.ts'
import { slots } from '#src/fabric/ids.ts'
import { speaking } from '#src/fabric/lan-routing.ts'
import type { IntentLan, IntentSite } from './intent.ts'
import { gatewaysOf, type NamedSite } from './raw.ts'
import type { Report } from './report.ts'
import type { RawGateway } from './schema.ts'
import type { Located } from './spec.ts'
import { oneOf } from './suggest.ts'

const nameAt = (n: number): string => (n === 0 ? 'a' : 'b')

/** A site has uplinks, or two gateways that have; together so many that hubs tell them apart by their slots. */
export function checkGateways(site: NamedSite, isHub: boolean, report: Report): void {
  const { name, fields, wrote } = site
  const pair = fields.gateways
  if (pair && isHub)
    report.error(
      'I059',
      pair.at,
      `hub "${name.value}" can't have a pair of gateways`,
      'write uplinks: instead; what a hub has beside it is another hub, at a site of its own',
    )
  if (pair && wrote.has('uplinks'))
    report.error(
      'I059',
      pair.at,
      `site "${name.value}" has both uplinks and a pair of gateways`,
      'move each uplink under the gateway whose interface it is: gateways: { a: { uplinks: … }, b: { uplinks: … } }',
    )
  const gateways = gatewaysOf(site)
  const of = (n: number): string => (gateways.length === 1 ? `site "${name.value}"` : `gateway ${nameAt(n)} of "${name.value}"`)
  for (const [n, { uplinks, raw }] of gateways.entries()) {
    const known = raw ? raw.fields.uplinks : fields.uplinks
    if (known?.length === 0 && uplinks.length === 0)
      report.error('I042', raw?.at ?? name.at, `${of(n)} has no uplink`, 'write at least one, better two that fail apart: fiber: { interface: eth0 }')
  }
  const all = gateways.flatMap(({ uplinks }) => uplinks)
  const extra = all[slots]
  if (extra)
    report.error(
      'I042',
      extra.key.at,
      `site "${name.value}" has ${all.length} uplinks${gateways.length > 1 ? ' at its two gateways' : ''}`,
      `write at most ${slots}`,
    )
  if (gateways.length === 1) return
  for (const { key } of all)
    if (key.value === 'a' || key.value === 'b')
      report.error('I059', key.at, `uplink "${key.value}" has the name of a gateway`, `call it by what it is, like fiber or lte`)
}

interface Gateway {
  readonly raw: RawGateway
  /** Its interfaces. */
  readonly claimed: Map<string, Located<string>>
}
type Range = { readonly first: Address; readonly last: Address }
type Lans = Pick<IntentSite, 'lans' | 'bgp' | 'ospf'>
/** The same LANs as each of the two has them. */
export function lansOfPair(site: SiteId, shared: Lans, gateways: readonly Gateway[], report: Report): readonly Lans[] {
  const { lans, bgp, ospf } = shared
  const links = [...new Set(lans.filter(({ via }) => via === undefined).map(({ prefix }) => prefix))]
  const taken = new Map<Prefix, Set<Address>>(links.map((link) => [link, new Set()]))
  for (const { address } of lans) taken.get(networkOf(address))?.add(hostOf(address))
  const routers = [...lans.flatMap(({ via }) => via ?? []), ...speaking(shared).flatMap(({ neighbors }) => neighbors)]
  const leased = lans.flatMap(({ dhcp }): Range[] => (dhcp?.kind === 'server' ? [dhcp.range] : []))
  const reserved = lans.flatMap(({ dhcp }) => (dhcp?.kind === 'server' ? dhcp.reserved.map(({ address }) => address) : []))
  for (const one of [...routers, ...reserved]) for (const [link, own] of taken) if (isHostOf(link, one)) own.add(one)
  const written = gateways.map(({ raw }, n) => readOwn(nameAt(n), `site/${site}/gateway/${nameAt(n)}`, raw, links, taken, report))
  return gateways.map(({ raw, claimed }, n) => {
    const names = readInterfaces(`site/${site}/gateway/${nameAt(n)}`, raw, lans, claimed, report)
    const own = new Map(
      links.flatMap((link) => {
        const host =
          written[n]!.get(link) ??
          freeHost(
            link,
            taken.get(link)!,
            leased.filter(({ first }) => isHostOf(link, first)),
          )
        return host === undefined ? [] : [[link, `${host}/${lengthOf(link)}` as AddressWithLength]]
      }),
    )
    const without = links.find((link) => !own.has(link))
    if (without !== undefined && n === 1)
      report.error(
        'I059',
        originOf(lans, without, site),
        `${without} has no room for a pair of gateways`,
        'give it three addresses for them: the one that both share, and one for each',
      )
    const called = (device: string): string => names.get(device) ?? device
    return {
      lans: lans.map((lan): IntentLan => {
        const address = own.get(networkOf(lan.address))
        return { ...lan, interface: called(lan.interface), ...(address === undefined ? {} : { own: address }) }
      }),
      ...(bgp ? { bgp: bgp.map((session) => ({ ...session, interface: called(session.interface) })) } : {}),
      ...(ospf ? { ospf: { ...ospf, interface: called(ospf.interface) } } : {}),
    }
  })
}

/** The first that nobody has, and that no host is leased. */
function freeHost(link: Prefix, taken: Set<Address>, leased: readonly Range[]): Address | undefined {
  const { low } = rangeOf(link)
  for (let n = 1, tries = 0; tries < 64; tries++) {
    const host = nth(link, n)
    if (host === undefined) return undefined
    const range = leased.find(({ first, last }) => addressBits(host) >= addressBits(first) && addressBits(host) <= addressBits(last))
    n = range ? Number(addressBits(range.last) - low) + 1 : n + 1
    if (range || !isHostOf(link, host) || taken.has(host)) continue
    taken.add(host)
    return host
  }
  return undefined
}

function originOf(lans: readonly IntentLan[], link: Prefix, site: SiteId): string {
  const { segment } = lans.find(({ prefix }) => prefix === link)!
  return `site/${site}/lan/${segment}/${lans.filter((lan) => lan.segment === segment).findIndex(({ prefix }) => prefix === link)}`
}

/** What is written at a gateway, each in the LAN that has it; taken by nobody else. */
function readOwn(
  name: string,
  base: string,
  { fields }: RawGateway,
  links: readonly Prefix[],
  taken: ReadonlyMap<Prefix, Set<Address>>,
  report: Report,
): ReadonlyMap<Prefix, Address> {
  const out = new Map<Prefix, Address>()
  for (const { value, at } of fields.address ?? []) {
    const host = value.kind === 'plain' ? value.address : hostOf(value.address)
    const link = links.find((one) => isHostOf(one, host))
    if (link === undefined) {
      if (links.length > 0) report.error('I035', at, `${host} is no host of a LAN of this site`, `write one in ${oneOf(links)}`)
    } else if (value.kind === 'with-length' && lengthOf(value.address) !== lengthOf(link))
      report.error('I035', at, `${value.address} has another length than the LAN's ${link}`, `write ${host}`)
    else if (out.has(link)) report.error('I035', at, `${link} has two addresses of gateway ${name}`, 'keep one')
    else if (taken.get(link)!.has(host))
      report.error(
        'I059',
        at,
        `${host} can't be gateway ${name}'s own: both share it, or another has it`,
        'write an address of this gateway alone; hosts have the shared one as their router',
      )
    else {
      out.set(link, host)
      taken.get(link)!.add(host)
      report.origins.set(`${base}/address/${link}`, at)
    }
  }
  return out
}

/** The site's names of LAN interfaces → this gateway's. */
function readInterfaces(
  base: string,
  { fields }: RawGateway,
  lans: readonly IntentLan[],
  claimed: ReadonlyMap<string, Located<string>>,
  report: Report,
): ReadonlyMap<string, string> {
  const out = new Map<string, string>()
  const known = new Set(lans.map((lan) => lan.interface))
  for (const { key, value } of fields.interfaces ?? []) {
    if (!known.has(key.value)) {
      if (known.size > 0)
        report.error('I059', key.at, `no LAN of this site is on ${key.value}`, `write one of ${oneOf(known)}: what it is called here`)
    } else if (value) {
      out.set(key.value, value.value)
      report.origins.set(`${base}/interfaces/${key.value}`, value.at)
    }
  }
  const held = new Map<string, string>()
  for (const name of known) {
    const own = out.get(name) ?? name
    const other = claimed.get(own)
    const entry = fields.interfaces?.find(({ key }) => key.value === name)
    if (other)
      report.error(
        'I041',
        [...(entry?.value ? [entry.value.at] : []), other.at],
        `interface ${own} of this gateway is an uplink and a LAN`,
        `give it another: interfaces: { ${name}: eth2 }`,
      )
    else if (held.has(own))
      report.error('I041', entry?.value?.at ?? [], `interface ${own} of this gateway is two LANs`, 'give each LAN an interface of its own')
    held.set(own, name)
  }
  return out
}
