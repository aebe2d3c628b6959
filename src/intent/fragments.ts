/**
 * Who says what. A network is written by several: folders of files, and programs over the API. What one file says is a
 * fragment, and each thing that a file declares (`network/acme`, `site/berlin`, `region/…`, `peer/…`) has one owner, as
 * in Terraform a resource is in one state. A plan of one owner is made of what it sends and of what the others said
 * last, which stands beside it as `causeway pull` writes it: read-only, in `pulled/`, with its owner in the first line.
 */
import type { Origin } from '#src/fabric/fabric.ts'
import { contentHash } from '#src/fabric/hash.ts'
import type { Handover, Owner, Thing } from '#src/fabric/owners.ts'
import { createReport } from './report.ts'
import { parseName } from './values.ts'
import { readYaml, type SourceFile } from './yaml.ts'

export interface Fragment {
  readonly owner: Owner
  /** Within its owner's folder. */
  readonly path: string
  /** As its owner wrote it, comments and all. */
  readonly text: string
  /** Sorted; several where network.yaml has `sites:`, `regions:` or `peers:`. */
  readonly declares: readonly Thing[]
  /** The generation since which it is so. */
  readonly since: number
}
export const folderOwner = (name: string): Owner => `folder:${name}`
export const nameOfFolder = (owner: Owner): string => owner.slice(owner.indexOf(':') + 1)
/** Of whoever has an access token of that name: a new token of the same name is the same owner. */
export const apiOwner = (name: string): Owner => `api:${encodeURIComponent(name)}`

/** By what files say of themselves. */
export interface Identity {
  readonly owner: Owner
  readonly network: string
}
/** Whose files these are and of which network: what `folder:` says, else the network's own. null: it can't be read. */
export function identityOf(files: readonly SourceFile[]): Identity | null {
  const said: { folder?: string; of?: string; network?: string } = {}
  for (const file of files) {
    // A key may be spelt with escapes.
    if (isPulled(file.path) || !/network|folder|\\/.test(file.text)) continue
    const source = readYaml(file, createReport())
    const scalars = new Map(source?.root.items.map((pair) => [source.textOf(source.follow(pair.key)), source.textOf(source.follow(pair.value))]))
    const keys = scalars.has('folder') ? (['folder', 'of'] as const) : (['network'] as const)
    for (const key of keys) {
      const name = scalars.get(key)
      if (name !== undefined && parseName(name).ok) said[key] ??= name
    }
  }
  const [name, network] = [said.folder ?? said.network, said.of ?? said.network]
  return name === undefined || network === undefined ? null : { owner: folderOwner(name), network }
}

// ── as pulled ──
/** What an editor or a system keeps beside a file begins with a dot: `.#berlin.yaml`, `._berlin.yaml`. A file called OSLO.YAML was meant. */
export const isSourceName = (name: string): boolean => /^[^.].*\.ya?ml$/i.test(name)
/** Beside the files of a folder. */
export const pulledFolder = 'pulled'
export const isPulled = (path: string): boolean => path.startsWith(`${pulledFolder}/`)

/** Who reads a finding may write in the first place of it. */
export const ownFirst = (places: readonly Origin[]): readonly Origin[] =>
  [...places].sort((a, b) => Number(isPulled(a.file)) - Number(isPulled(b.file)))

const first = /^# (\S+) owns this since generation (\d{1,9}) \(([0-9a-f]{12})\)\. Read-only: `causeway pull` writes it\.\n/
const seal = (owner: Owner, since: number, text: string): string => contentHash({ owner, since, text }).slice(0, 12)

/** What `causeway pull` writes. Its path is below the folder: `pulled/folder-acme/network.yaml`. */
export function renderPulled({ owner, path, text, since }: Omit<Fragment, 'declares'>): SourceFile {
  const plain = text.replace(/^\uFEFF/, '')
  // Over the API a path may be any text.
  const name = /^[A-Za-z0-9_][A-Za-z0-9_.-]*\.ya?ml$/.test(path) ? path : `${encodeURIComponent(path)}.yaml`
  return {
    path: `${pulledFolder}/${owner.replace(':', '-')}/${name}`,
    text: `# ${owner} owns this since generation ${since} (${seal(owner, since, plain)}). Read-only: \`causeway pull\` writes it.\n${plain}`,
  }
}
/** The owner and what it wrote; null when this is not, or no longer, what `causeway pull` wrote. */
export function readPulled(text: string): Pick<Fragment, 'owner' | 'since' | 'text'> | null {
  const [line, owner = '', number, sealed] = first.exec(text) ?? []
  if (line === undefined) return null
  const [since, rest] = [Number(number), text.slice(line.length)]
  return seal(owner, since, rest) === sealed ? { owner, since, text: rest } : null
}
/** Whether pull ever wrote it: what was edited since is its editor's, what never was is its author's. */
export const wasPulled = (text: string): boolean => first.test(text)

// ── one owner's plan ──
export interface Standing {
  /** Of the others, after `take`. */
  readonly others: readonly Fragment[]
  /** Taken, but only with more: those that `take` does not name stand in the same file. */
  readonly torn: readonly { readonly fragment: Fragment; readonly missing: readonly Thing[] }[]
}
/** What the others of `owner` say, without what it takes over: a file goes whole or not at all. */
export function standingOf(all: readonly Fragment[], owner: Owner, take: readonly Thing[]): Standing {
  const foreign = all.filter((fragment) => fragment.owner !== owner)
  const touched = foreign.filter(({ declares }) => declares.some((thing) => take.includes(thing)))
  const torn = touched.flatMap((fragment) => {
    const missing = fragment.declares.filter((thing) => !take.includes(thing))
    return missing.length === 0 ? [] : [{ fragment, missing }]
  })
  return { others: foreign.filter((fragment) => !touched.includes(fragment)), torn }
}

/** What is owned by somebody else after than before; sorted by thing. */
export function handedOver(before: readonly Fragment[], after: readonly Fragment[]): readonly Handover[] {
  const owners = ownersOf(before)
  return [...ownersOf(after)]
    .flatMap(([thing, to]) => {
      const from = owners.get(thing)
      return from === undefined || from === to ? [] : [{ thing, from, to }]
    })
    .sort((a, b) => (a.thing < b.thing ? -1 : 1))
}
export const ownersOf = (fragments: readonly Fragment[]): ReadonlyMap<Thing, Owner> =>
  new Map(fragments.flatMap(({ owner, declares }) => declares.map((thing) => [thing, owner] as const)))
