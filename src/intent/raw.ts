/** All files of a network as they were read, before anything is compared with anything. */
import type { Origin, SiteId } from '#src/fabric/fabric.ts'
import { secondGateway } from '#src/fabric/ids.ts'
import { homeOf } from './homes.ts'
import type { Report } from './report.ts'
import { isPulled, readPulled } from './fragments.ts'
import { folderFile, type RawFolder } from './schema-folder.ts'
import { peerFile, type RawPeer } from './schema-peer.ts'
import { regionFile, type RawRegion } from './schema-region.ts'
import { networkFile, type RawGateway, type RawNetwork, type RawSite, type RawUplink, siteFile } from './schema.ts'
import type { Entry, Located, ReadOf, Spec } from './spec.ts'
import { suggest } from './suggest.ts'
import { readYaml, type Source, type SourceFile } from './yaml.ts'

export interface NamedSite {
  readonly name: Located<string>
  readonly fields: RawSite['fields']
  /** Keys that stand there, readable or not. */
  readonly wrote: RawSite['wrote']
}
/** One gateway of a site, or the two of a pair. */
export function gatewaysOf({ name, fields }: Pick<NamedSite, 'name' | 'fields'>): readonly {
  readonly id: SiteId
  readonly uplinks: readonly Entry<RawUplink>[]
  /** What is said of it alone. Absent: nothing, it is no pair. */
  readonly raw?: RawGateway
}[] {
  const id = name.value as SiteId
  const { a, b } = fields.gateways?.fields ?? {}
  if (!a || !b) return [{ id, uplinks: fields.uplinks ?? a?.fields.uplinks ?? [] }]
  return [
    { id, uplinks: a.fields.uplinks ?? [], raw: a },
    { id: secondGateway(id), uplinks: b.fields.uplinks ?? [], raw: b },
  ]
}
export interface NamedRegion {
  readonly name: Located<string>
  readonly fields: RawRegion['fields']
  readonly wrote: RawSite['wrote']
}
export interface NamedPeer {
  readonly name: Located<string>
  readonly fields: RawPeer['fields']
}
/** What a file declares, and in which. */
export interface Declared {
  /** `site/berlin`. */
  readonly thing: string
  readonly file: string
}
export interface Raw {
  readonly network: RawNetwork | undefined
  readonly sites: readonly NamedSite[]
  readonly regions: readonly NamedRegion[]
  readonly peers: readonly NamedPeer[]
  /** With what is declared twice. */
  readonly declared: readonly Declared[]
  /** A file or a name could not be read: what it declares is unknown. */
  readonly partial: boolean
}

const kinds = ['network', 'site', 'region', 'peer', 'folder'] as const
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

/** What one file declares; `partial`: it or its name could not be read. */
type Content =
  | { readonly kind: 'partial' }
  | { readonly kind: 'network'; readonly at: Origin; readonly raw: RawNetwork }
  | { readonly kind: 'site'; readonly site: NamedSite | undefined }
  | { readonly kind: 'region'; readonly region: NamedRegion | undefined }
  | { readonly kind: 'peer'; readonly peer: NamedPeer | undefined }
  | { readonly kind: 'folder'; readonly raw: RawFolder }
function readFile(file: SourceFile, report: Report): Content {
  const source = readYaml(file, report)
  const kind = source && kindOf(source, report)
  if (!source || !kind) return { kind: 'partial' }
  const readBy = <S extends Spec<unknown>>(spec: S): ReadOf<S> =>
    spec.read(source.root, { at: source.at(source.root), name: file.path }, { source, report, home: homeOf }) as ReadOf<S>
  switch (kind) {
    case 'network': {
      const raw = readBy(networkFile)
      return { kind, at: raw.fields.network?.at ?? raw.at, raw }
    }
    case 'site': {
      const { fields, wrote } = readBy(siteFile)
      return { kind, site: fields.site && { name: fields.site, fields, wrote } }
    }
    case 'region': {
      const { fields, wrote } = readBy(regionFile)
      return { kind, region: fields.region && { name: fields.region, fields, wrote } }
    }
    case 'peer': {
      const { fields } = readBy(peerFile)
      return { kind, peer: fields.peer && { name: fields.peer, fields } }
    }
    case 'folder':
      return { kind, raw: readBy(folderFile) }
    default:
      throw new TypeError(`no such file: ${kind satisfies never}`)
  }
}

/** By path, files that were read and about which there was nothing to say: with the same text there is nothing again. */
export type ReadBefore = Map<string, { readonly text: string; readonly content: Content }>

/** `before` is brought up to date. */
export function readFiles(files: readonly SourceFile[], report: Report, before: ReadBefore = new Map()): Raw {
  const networks: { readonly at: Origin; readonly raw: RawNetwork }[] = []
  const folders: RawFolder[] = []
  const owners = new Map<string, string>()
  const ownerOf: OwnerOf = (at) => owners.get(at.file)
  const sites: NamedSite[] = []
  const regions: NamedRegion[] = []
  const peers: NamedPeer[] = []
  let partial = false
  const paths = new Set(files.map((file) => file.path))
  for (const path of before.keys()) if (!paths.has(path)) before.delete(path)
  const contentOf = (file: SourceFile): Content => {
    const known = before.get(file.path)
    if (known?.text === file.text) return known.content
    const said = report.findings.length
    const content = readFile(file, report)
    if (report.findings.length > said) before.delete(file.path)
    else before.set(file.path, { text: file.text, content })
    return content
  }
  for (const file of [...files].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    if (isPulled(file.path)) {
      const pulled = readPulled(file.text)
      if (pulled) owners.set(file.path, pulled.owner)
      else {
        const at: Origin = { file: file.path, line: 1, column: 1, length: 1 }
        report.error(
          'I152',
          at,
          'this is not as `causeway pull` wrote it',
          'what its owner wrote is changed by its owner; remove this file, then: causeway pull',
        )
        partial = true
        continue
      }
    }
    const content = contentOf(file)
    switch (content.kind) {
      case 'partial':
        partial = true
        break
      case 'network':
        networks.push(content)
        break
      case 'site':
        if (content.site) sites.push(content.site)
        break
      case 'region':
        if (content.region) regions.push(content.region)
        break
      case 'peer':
        if (content.peer) peers.push(content.peer)
        break
      case 'folder':
        folders.push(content.raw)
        break
      default:
        content satisfies never
    }
  }
  // One's own first: a finding stands where its reader may write.
  const [first, ...others] = [...networks].sort((a, b) => Number(ownerOf(a.at) !== undefined) - Number(ownerOf(b.at) !== undefined))
  for (const other of others) {
    const [mine, theirs] = [first!.raw.fields.network, other.raw.fields.network]
    if (mine && mine.value === theirs?.value && refuseForeign({ kind: 'network', mine, theirs: theirs.at }, ownerOf, report)) continue
    report.error('I009', [other.at, first!.at], 'a second file declares the network', 'keep one; the others declare sites, regions and peers')
  }
  const folder = readFolder(folders, first?.raw.fields.network, report)
  if (!first && !partial) {
    const name = folder?.fields.of?.value
    if (name === undefined)
      report.error('I003', [], 'no file says `network:`', 'write network.yaml: its name, its hubs and segments; `causeway init` makes one')
    else report.error('I003', folder!.at, `nothing is known here of network "${name}"`, 'its own folder is applied first; then, here: causeway pull')
  }
  for (const { raw } of networks) {
    for (const entry of raw.fields.sites ?? []) sites.push(...named(entry))
    for (const { key, value } of raw.fields.regions ?? []) if (value) regions.push({ name: key, fields: value.fields, wrote: value.wrote })
    for (const { key, value } of raw.fields.peers ?? []) if (value) peers.push({ name: key, fields: value.fields })
  }
  const declared = (kind: Kind, all: readonly { readonly name: Located<string> }[]): readonly Declared[] =>
    all.map(({ name }) => ({ thing: `${kind}/${name.value}`, file: name.at.file }))
  return {
    network: first?.raw,
    declared: [
      ...networks.flatMap(({ raw }) => (raw.fields.network ? declared('network', [{ name: raw.fields.network }]) : [])),
      ...declared('site', sites),
      ...declared('region', regions),
      ...declared('peer', peers),
    ],
    sites: distinct('site', sites, ownerOf, report),
    regions: distinct('region', regions, ownerOf, report),
    peers: distinct('peer', peers, ownerOf, report),
    // What stands in the other one may be meant.
    partial: partial || !first || others.length > 0 || report.findings.some((finding) => finding.code === 'I010'),
  }
}

/** undefined: the file is one's own. */
type OwnerOf = (at: Origin) => string | undefined

function readFolder(folders: readonly RawFolder[], network: Located<string> | undefined, report: Report): RawFolder | undefined {
  const [first, ...others] = folders
  for (const other of others) report.error('I009', [other.at, first!.at], 'a second file names the folder', 'keep one')
  for (const [key, one] of Object.entries({ folder: first?.fields.folder, 'folder/of': first?.fields.of })) if (one) report.origins.set(key, one.at)
  const of = first?.fields.of
  if (of && network && of.value !== network.value)
    report.error('I151', [of.at, network.at], `the folder is of network "${of.value}", not of "${network.value}"`, `write of: ${network.value}`)
  return first
}

/** Whether two declare a thing of which one is somebody else's; says so. */
function refuseForeign(
  { kind, mine, theirs }: { readonly kind: Kind; readonly mine: Located<string>; readonly theirs: Origin },
  ownerOf: OwnerOf,
  report: Report,
): boolean {
  const owner = ownerOf(theirs)
  if (owner === undefined || owner === ownerOf(mine.at)) return false
  report.error(
    'I150',
    [mine.at, theirs],
    `${kind} "${mine.value}" belongs to ${owner}`,
    `take it out here; or take it over: causeway plan --take ${kind}/${mine.value}`,
  )
  return true
}

const named = ({ key, value }: Entry<RawSite>): readonly NamedSite[] => (value ? [{ name: key, fields: value.fields, wrote: value.wrote }] : [])

function distinct<T extends { readonly name: Located<string> }>(kind: Kind, all: readonly T[], ownerOf: OwnerOf, report: Report): readonly T[] {
  const byName = new Map<string, T>()
  for (const each of all) {
    const held = byName.get(each.name.value)
    if (!held) {
      byName.set(each.name.value, each)
      continue
    }
    const [mine, theirs] = ownerOf(held.name.at) === undefined ? [held.name, each.name] : [each.name, held.name]
    if (!refuseForeign({ kind, mine, theirs: theirs.at }, ownerOf, report))
      report.error(
        'I009',
        [each.name.at, held.name.at],
        `${kind} "${each.name.value}" is declared twice`,
        'keep one, or give one of them another name',
      )
  }
  return [...byName.values()].sort((a, b) => (a.name.value < b.name.value ? -1 : 1))
}
