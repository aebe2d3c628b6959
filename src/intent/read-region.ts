/** One cloud region: what its keys mean together, with defaults. */
import type { Origin, RegionId, SegmentId, SiteId } from '#src/fabric/fabric.ts'
import { comparePrefixes, contains, type Family, familyOf, lengthOf, type Prefix } from '#src/net/address.ts'
import { defaultCloudAsn, hubAsn } from './defaults.ts'
import type { IntentRegion } from './intent.ts'
import { readOwnHubs, reportUnknownSegment } from './names.ts'
import { overlapping } from './overlap.ts'
import type { NamedRegion } from './raw.ts'
import { noteFields } from './places.ts'
import { special } from './ranges.ts'
import type { Report } from './report.ts'
import { locationPattern, type RawVpc } from './schema-region.ts'
import type { Names } from './selector.ts'
import type { Located } from './spec.ts'

/** `aws-eu-west-1` is in eu-west-1, unless the file says where it is. */
const locationOf = (name: string): string | undefined => {
  const tail = name.slice(name.indexOf('-') + 1)
  return locationPattern.test(tail) ? tail : locationPattern.test(name) ? name : undefined
}

export function readRegion({ name, fields, wrote }: NamedRegion, names: Names, networkHubs: readonly SiteId[], report: Report): IntentRegion {
  const id = name.value as RegionId
  const base = `region/${id}`
  report.origins.set(base, name.at)
  const { provider, attach, routing, in: location, asn, hubs } = fields
  noteFields(base, { provider, attach, routing, in: location, asn, hubs }, report.origins)
  const found = location?.value ?? locationOf(id)
  if (found === undefined && !wrote.has('in') && provider)
    report.error('I080', name.at, `the name "${id}" does not end in a region of AWS`, 'add in: eu-west-1, with the code of the region')
  if (asn?.value === hubAsn)
    report.error('I083', asn.at, `${hubAsn} is the AS number of the hubs`, `write another one, like ${defaultCloudAsn}, or leave it out`)
  const { segment, networks } = readSegments(base, name, fields.segments ?? [], wrote.has('segments'), names, report)
  return {
    id,
    provider: provider?.value ?? 'aws',
    attach: attach?.value ?? 'transit-gateway',
    routing: routing?.value ?? 'static',
    location: found ?? '',
    asn: asn?.value ?? defaultCloudAsn,
    hubAsn,
    hubs: readOwnHubs(base, hubs, networkHubs, names, report),
    segment,
    networks,
  }
}

function readSegments(
  base: string,
  name: Located<string>,
  entries: NonNullable<NamedRegion['fields']['segments']>,
  written: boolean,
  names: Names,
  report: Report,
): Pick<IntentRegion, 'segment' | 'networks'> {
  const [first, second] = entries
  if (second)
    report.error('I008', second.key.at, 'more than one segment in a region is not supported yet', 'keep one; its VPCs can hold several networks')
  if (!first) {
    if (written)
      report.error(
        'I080',
        name.at,
        `region "${name.value}" has no segment`,
        'write one, with its VPC: inference: { vpcs: vpc-…, prefixes: 10.96.0.0/16 }',
      )
    return { segment: '' as SegmentId, networks: [] }
  }
  for (const { key } of entries) reportUnknownSegment(key, names, report)
  const segment = first.key.value as SegmentId
  report.origins.set(`${base}/lan/${segment}`, first.key.at)
  const { vpcs = [], prefixes } = first.value?.fields ?? {}
  const seen = new Map<string, Located<string>>()
  for (const { id } of vpcs) {
    const other = seen.get(id.value)
    if (other) report.error('I081', [id.at, other.at], `${id.value} stands twice in this region`, 'keep one, with all its prefixes')
    else seen.set(id.value, id)
    report.origins.set(`${base}/vpc/${id.value}`, id.at)
  }
  const stated = statedPrefixes(first.key.at, vpcs, prefixes, first.value?.wrote.has('prefixes') ?? false, report)
  const usable = stated.map(({ id, own }) => ({ id, own: own.filter((each) => isUsable(each, report)) }))
  const all = usable.flatMap(({ own }) => own).sort((a, b) => comparePrefixes(a.value, b.value))
  for (const [i, { at }] of all.entries()) report.origins.set(`${base}/lan/${segment}/${i}`, at)
  for (const [each, over] of overlapping(all.map(({ value, at }) => ({ prefix: value, at })))) {
    const says =
      each.prefix === over.prefix ? `${each.prefix} stands twice in this region` : `${each.prefix} is part of ${over.prefix} in this region`
    report.error('I033', [each.at, over.at], says, 'state every network once; VPCs of a region have networks of their own')
  }
  return {
    segment,
    networks: usable
      .map(({ id, own }) => ({ id, prefixes: own.map((each) => each.value).sort(comparePrefixes) }))
      .sort((a, b) => (a.id < b.id ? -1 : 1)),
  }
}

/** Which prefixes are in which VPC: `prefixes:` beside the only one, or each VPC's own. */
function statedPrefixes(
  at: Origin,
  vpcs: readonly RawVpc[],
  shared: readonly Located<Prefix>[] | undefined,
  written: boolean,
  report: Report,
): readonly { readonly id: string; readonly own: readonly Located<Prefix>[] }[] {
  const byMap = vpcs.some((vpc) => vpc.prefixes !== null)
  const unsaid = !byMap && vpcs.length > 1
  const example = [...new Set(vpcs.map((vpc) => vpc.id.value))].map((id, i) => `${id}: 10.${96 + i}.0.0/16`).join(', ')
  if (byMap && written)
    report.error('I082', shared?.[0]?.at ?? at, 'the prefixes are stated twice, by VPC and for all', 'remove prefixes:, or the map')
  else if (unsaid)
    report.error('I082', shared?.[0]?.at ?? at, `which of ${vpcs.length} VPCs has which prefix is not said`, `write vpcs: { ${example} }`)
  else if (!byMap && vpcs.length === 1 && !written)
    report.error(
      'I082',
      vpcs[0]!.id.at,
      `the prefixes of ${vpcs[0]!.id.value} are not said`,
      'add prefixes: with its networks; they are compared with what the cloud reports',
    )
  return vpcs.map(({ id, prefixes }) => ({ id: id.value, own: prefixes ?? (unsaid ? [] : (shared ?? [])) }))
}

/** Amazon VPC User Guide, "VPC CIDR blocks": IPv4 of any length between, IPv6 of every fourth. */
const vpcLengths: Readonly<Record<Family, { readonly from: number; readonly to: number; readonly step: number; readonly text: string }>> = {
  4: { from: 16, to: 28, step: 1, text: 'a VPC has networks of /16 to /28' },
  6: { from: 44, to: 60, step: 4, text: 'a VPC has IPv6 networks of /44, /48, /52, /56 or /60' },
}
const forHosts: Readonly<Record<Family, string>> = { 4: 'one of 10.0.0.0/8', 6: '2600:1f18:1234:5600::/56' }
function isUsable({ value, at }: Located<Prefix>, report: Report): boolean {
  const family = familyOf(value)
  const { from, to, step, text } = vpcLengths[family]
  const length = lengthOf(value)
  const inSpecial = special.some((range) => contains(range, value) || contains(value, range))
  if (inSpecial || length < from || length > to || (length - from) % step !== 0) {
    report.error('I082', at, `${value} can't be a network of a VPC`, inSpecial ? `write a network for hosts, like ${forHosts[family]}` : text)
    return false
  }
  return true
}
