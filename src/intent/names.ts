/** Every name that the files declare, and that no two of them clash. */
import type { SegmentId, SiteId, Waypoint } from '#src/fabric/fabric.ts'
import { defaultTransport } from './defaults.ts'
import type { Intent, UplinkSelector } from './intent.ts'
import { onceOf } from '#src/net/once.ts'
import { gatewaysOf, type NamedSite, type Raw } from './raw.ts'
import type { Report } from './report.ts'
import { type Names, reservedWords } from './selector.ts'
import type { Located } from './spec.ts'
import { oneOf } from './suggest.ts'
import { media } from './values.ts'

type Kind = 'segment' | 'group' | 'service' | 'site' | 'region' | 'peer' | 'label'

export function readNames(raw: Raw, report: Report): Names {
  const fields = raw.network?.fields
  const held = new Map<string, { readonly kind: Kind; readonly name: Located<string> }>()
  const declare = (kind: Kind, name: Located<string>): void => {
    if (reservedWords.some((word) => word === name.value)) {
      report.error('I011', name.at, `"${name.value}" is a word of the language and can't name a ${kind}`, 'write another name')
      return
    }
    const other = held.get(name.value)
    if (!other) held.set(name.value, { kind, name })
    else if (other.kind !== kind)
      report.error(
        'I011',
        [name.at, other.name.at],
        `${kind} "${name.value}" has the name of a ${other.kind}`,
        'rename one: segments, groups, services, sites, regions, peers and labels share one set of names',
      )
    else if (kind !== 'label') report.error('I009', [name.at, other.name.at], `${kind} "${name.value}" is declared twice`, 'keep one')
  }
  for (const segment of fields?.segments ?? []) declare('segment', segment)
  for (const group of fields?.groups ?? []) declare('group', group.key)
  for (const service of fields?.services ?? []) declare('service', service.key)
  for (const site of raw.sites) declare('site', site.name)
  for (const region of raw.regions) declare('region', region.name)
  for (const peer of raw.peers) declare('peer', peer.name)
  for (const site of raw.sites) for (const label of site.fields.labels ?? []) declare('label', label)
  const byKind = Map.groupBy(held.values(), ({ kind }) => kind)
  const all = (kind: Kind): ReadonlySet<string> => new Set(byKind.get(kind)?.map(({ name }) => name.value))
  for (const segment of fields?.segments ?? []) report.origins.set(`segment/${segment.value}`, segment.at)
  return {
    sites: all('site'),
    labels: all('label'),
    segments: all('segment'),
    groups: all('group'),
    services: all('service'),
    regions: all('region'),
    peers: all('peer'),
    partial: raw.partial || fields?.segments === undefined,
  }
}

/** A segment that a region or peer names. */
export function reportUnknownSegment({ value, at }: Located<string>, names: Names, report: Report): void {
  const meant = names.segments.has(value) || names.partial ? null : report.meant(value, names.segments)
  if (meant !== null)
    report.error(
      'I013',
      at,
      `"${value}" is no segment of the network${meant}`,
      meant === '' && names.segments.size > 0 ? `write one of ${oneOf(names.segments)}, or add it to the network's segments` : '',
    )
}

export const segmentsOf = (names: Names): readonly SegmentId[] => ([...names.segments] as SegmentId[]).sort()

/** The network's hubs in the order written; each must be a core site that exists. */
export function readHubs(raw: Raw, names: Names, report: Report): readonly SiteId[] {
  const out: SiteId[] = []
  const network = raw.network
  const hubs = network?.fields.hubs ?? []
  const named = new Set(hubs.map(({ value }) => value))
  const sites = new Map(raw.sites.filter(({ name }) => named.has(name.value)).map((site) => [site.name.value, site]))
  for (const hub of hubs) {
    const id = hub.value as SiteId
    report.origins.set(`hubs/${out.length}`, hub.at)
    const site = sites.get(id)
    if (out.includes(id)) report.error('I060', hub.at, `hub "${id}" stands twice`, 'remove one')
    else if (site) {
      out.push(id)
      const { role } = site.fields
      if (role ? role.value === 'edge' : !site.wrote.has('role'))
        report.error(
          'I061',
          [hub.at, role?.at ?? site.name.at],
          `hub "${id}" is an edge`,
          `write role: core in the file of ${id}, or take it out of the hubs`,
        )
    } else if (!raw.partial) {
      const others = [...names.sites].filter((site) => !named.has(site))
      const meant = report.meant(id, others)
      const cores = raw.sites.flatMap(({ name, fields }) => (fields.role?.value === 'core' && !named.has(name.value) ? [name.value] : []))
      const instead = cores.length > 0 ? `write one of ${oneOf(cores)}` : 'add a file that declares it, with role: core'
      report.error('I012', hub.at, `hub "${id}" is not a site${meant}`, meant === '' ? instead : '')
    }
  }
  if (
    network &&
    !raw.partial &&
    hubs.length === 0 &&
    !(network.wrote.has('hubs') && network.fields.hubs === undefined) &&
    (raw.sites.length > 1 || raw.regions.length > 0 || raw.peers.length > 0)
  ) {
    const cores = raw.sites.filter((site) => site.fields.role?.value === 'core').map((site) => site.name.value)
    report.error(
      'I062',
      network.fields.network?.at ?? network.at,
      `the network has no hubs, so its ${raw.sites.length > 1 ? 'sites' : raw.regions.length > 0 ? 'site and region' : 'site and peer'} are not joined`,
      `add hubs: [${cores.join(', ') || 'the sites that end the tunnels'}]`,
    )
  }
  return out
}

/** The hubs of one spoke, a site, region or peer, in its own order of preference: among the network's. */
export function readOwnHubs(
  base: string,
  own: readonly Located<string>[] | undefined,
  all: readonly SiteId[],
  names: Names,
  report: Report,
): readonly SiteId[] {
  if (!own) return all
  const out: SiteId[] = []
  for (const [i, { value, at }] of own.entries()) {
    const id = value as SiteId
    report.origins.set(`${base}/hubs/${i}`, at)
    if (out.includes(id)) report.error('I060', at, `hub "${id}" stands twice`, 'remove one')
    else if (all.includes(id)) out.push(id)
    else if (names.sites.has(id))
      report.error(
        'I061',
        at,
        `site "${id}" is not a hub`,
        all.length > 0 ? `write one of ${oneOf(all)}, or add it to the network's hubs` : "add it to the network's hubs",
      )
    else if (!names.partial) report.error('I012', at, `hub "${id}" is not a site${report.meant(id, all.length > 0 ? all : names.sites)}`)
  }
  return out
}

/** `internet` always exists. */
export function readTransports(raw: Raw, report: Report): Intent['transports'] {
  const entries = raw.network?.fields.transports ?? []
  const known = new Set([defaultTransport, ...entries.map((entry) => entry.key.value)])
  const out = new Map<string, readonly string[]>([[defaultTransport, []]])
  for (const { key, value } of entries) {
    report.origins.set(`transport/${key.value}`, key.at)
    const reaches: string[] = []
    for (const other of value?.fields.reaches ?? []) {
      if (!known.has(other.value)) {
        const meant = report.meant(other.value, known)
        report.error('I053', other.at, `transport "${other.value}" is not declared${meant}`, meant === '' ? `write one of ${oneOf(known)}` : '')
      } else if (other.value !== key.value) reaches.push(other.value)
    }
    out.set(key.value, [...new Set(reaches)].sort())
  }
  return [...out].map(([id, reaches]) => ({ id, reaches })).sort((a, b) => (a.id < b.id ? -1 : 1))
}

export type UplinkWords = ReadonlyMap<string, UplinkSelector['kind']>

/** What `prefer`, `avoid` and `never` may say: media, transports, tags and `metered`, each word one thing only. */
export function readUplinkWords(raw: Raw, transports: Intent['transports'], report: Report): UplinkWords {
  const words = new Map<string, UplinkSelector['kind']>(media.map((medium) => [medium, 'medium']))
  words.set('metered', 'metered')
  const clash = (name: Located<string>, kind: 'transport' | 'tag'): void => {
    const other = words.get(name.value)
    if (other === undefined || other === kind) return
    report.error(
      'I011',
      name.at,
      other === 'metered' ? `"metered" is a word of the language and can't name a ${kind}` : `${kind} "${name.value}" has the name of a ${other}`,
      'rename it: `avoid` and `never` could mean either',
    )
  }
  for (const entry of raw.network?.fields.transports ?? []) clash(entry.key, 'transport')
  for (const transport of transports) if (!words.has(transport.id)) words.set(transport.id, 'transport')
  for (const site of raw.sites) {
    for (const tag of tagsOf(site)) {
      clash(tag, 'tag')
      if (!words.has(tag.value)) words.set(tag.value, 'tag')
    }
  }
  return words
}
const tagsOf = onceOf((site: NamedSite): readonly Located<string>[] =>
  gatewaysOf(site).flatMap(({ uplinks }) => uplinks.flatMap(({ value }) => value?.fields.tags ?? [])),
)

/** What `via` and `not` may say. `twice`: a hub that has the name of something else. */
export type Waypoints = ReadonlyMap<string, { readonly kind: Waypoint['kind']; readonly twice: Waypoint['kind'] | null }>

/** The uplink words, hubs, and uplinks by name (`isp-a`) or in full (`frankfurt.isp-a`); a medium comes before an uplink of its name. */
export function readWaypoints(raw: Raw, words: UplinkWords, hubs: readonly SiteId[]): Waypoints {
  const out = new Map(
    [...words].map(([word, kind]): [string, { kind: Waypoint['kind']; twice: Waypoint['kind'] | null }] => [word, { kind, twice: null }]),
  )
  for (const { id, uplinks } of raw.sites.flatMap(gatewaysOf)) {
    for (const { key } of uplinks) {
      for (const word of [key.value, `${id}.${key.value}`]) if (!out.has(word)) out.set(word, { kind: 'uplink', twice: null })
    }
  }
  for (const hub of hubs) out.set(hub, { kind: 'hub', twice: out.get(hub)?.kind ?? null })
  return out
}
