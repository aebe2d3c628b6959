/** All files of a network as they were read, before anything is compared with anything. */
import type { Origin } from '#src/fabric/fabric.ts'
import { homeOf } from './homes.ts'
import type { Report } from './report.ts'
import { peerFile, type RawPeer } from './schema-peer.ts'
import { regionFile, type RawRegion } from './schema-region.ts'
import { networkFile, type RawNetwork, type RawSite, siteFile } from './schema.ts'
import type { Entry, Located, ReadOf, Spec } from './spec.ts'
import { suggest } from './suggest.ts'
import { readYaml, type Source, type SourceFile } from './yaml.ts'

export interface NamedSite {
  readonly name: Located<string>
  readonly fields: RawSite['fields']
  /** `role:` stands there, readable or not. */
  readonly roleWritten: boolean
}
export interface NamedRegion {
  readonly name: Located<string>
  readonly fields: RawRegion['fields']
  readonly wrote: ReadonlySet<string>
}
export interface NamedPeer {
  readonly name: Located<string>
  readonly fields: RawPeer['fields']
}
export interface Raw {
  readonly network: RawNetwork | undefined
  readonly sites: readonly NamedSite[]
  readonly regions: readonly NamedRegion[]
  readonly peers: readonly NamedPeer[]
  /** A file or a name could not be read: what it declares is unknown. */
  readonly partial: boolean
}

const kinds = ['network', 'site', 'region', 'peer'] as const
type Kind = (typeof kinds)[number]

/** What the file declares, by the key that names it. A misspelt one is found too; reading it reports the spelling. */
function kindOf(source: Source, report: Report): Kind | undefined {
  const keys = source.root.items.map((pair) => ({ text: source.textOf(source.follow(pair.key)), pair }))
  const named = keys.filter(({ text }) => kinds.some((kind) => kind === text))
  if (named.length > 1) {
    const [first, second] = named
    report.error('I004', source.at(second!.pair.key), `the file declares a ${first!.text} and a ${second!.text}`, 'write one file for each')
    return undefined
  }
  if (named.length === 1) return named[0]!.text as Kind
  for (const { text } of keys) {
    const meant = text === undefined ? undefined : suggest(text, kinds)
    // `sites` alone is a key of the network file and no slip of the pen.
    if (meant !== undefined && text !== `${meant}s`) return meant as Kind
  }
  report.error(
    'I004',
    source.at(source.root),
    'the file says none of `network:`, `site:`, `region:` and `peer:`',
    'begin with `network: name`, `site: name`, `region: name` or `peer: name`',
  )
  return undefined
}

export function readFiles(files: readonly SourceFile[], report: Report): Raw {
  const networks: { readonly at: Origin; readonly raw: RawNetwork }[] = []
  const sites: NamedSite[] = []
  const regions: NamedRegion[] = []
  const peers: NamedPeer[] = []
  let partial = false
  const readBy = <S extends Spec<unknown>>(spec: S, source: Source, name: string): ReadOf<S> =>
    spec.read(source.root, { at: source.at(source.root), name }, { source, report, home: homeOf }) as ReadOf<S>
  for (const file of [...files].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const source = readYaml(file, report)
    const kind = source && kindOf(source, report)
    if (!source || !kind) {
      partial = true
      continue
    }
    switch (kind) {
      case 'network': {
        const raw = readBy(networkFile, source, file.path)
        networks.push({ at: raw.fields.network?.at ?? raw.at, raw })
        break
      }
      case 'site': {
        const raw = readBy(siteFile, source, file.path)
        if (raw.fields.site) sites.push({ name: raw.fields.site, fields: raw.fields, roleWritten: raw.wrote.has('role') })
        break
      }
      case 'region': {
        const raw = readBy(regionFile, source, file.path)
        if (raw.fields.region) regions.push({ name: raw.fields.region, fields: raw.fields, wrote: raw.wrote })
        break
      }
      case 'peer': {
        const raw = readBy(peerFile, source, file.path)
        if (raw.fields.peer) peers.push({ name: raw.fields.peer, fields: raw.fields })
        break
      }
      default:
        kind satisfies never
    }
  }
  const [first, ...others] = networks
  for (const other of others)
    report.error('I009', [other.at, first!.at], 'a second file declares the network', 'keep one; the others declare sites, regions and peers')
  if (!first && !partial)
    report.error('I003', [], 'no file says `network:`', 'write network.yaml: its name, its hubs and segments; `causeway init` makes one')
  for (const entry of first?.raw.fields.sites ?? []) sites.push(...named(entry))
  for (const { key, value } of first?.raw.fields.regions ?? []) if (value) regions.push({ name: key, fields: value.fields, wrote: value.wrote })
  for (const { key, value } of first?.raw.fields.peers ?? []) if (value) peers.push({ name: key, fields: value.fields })
  return {
    network: first?.raw,
    sites: distinct('site', sites, report),
    regions: distinct('region', regions, report),
    peers: distinct('peer', peers, report),
    partial: partial || !first || report.findings.some((finding) => finding.code === 'I010'),
  }
}

const named = ({ key, value }: Entry<RawSite>): readonly NamedSite[] =>
  value ? [{ name: key, fields: value.fields, roleWritten: value.wrote.has('role') }] : []

function distinct<T extends { readonly name: Located<string> }>(kind: string, all: readonly T[], report: Report): readonly T[] {
  const byName = new Map<string, T>()
  for (const each of all) {
    const held = byName.get(each.name.value)
    if (held)
      report.error(
        'I009',
        [each.name.at, held.name.at],
        `${kind} "${each.name.value}" is declared twice`,
        'keep one, or give one of them another name',
      )
    else byName.set(each.name.value, each)
  }
  return [...byName.values()].sort((a, b) => (a.name.value < b.name.value ? -1 : 1))
}
