/** Folder → Intent → Fabric → proof, offline: what `check`, `plan`, `explain`, `trace` and `export` share. */
import { createCompiler } from '#src/compile/compile.ts'
import type { Allocation, Fabric, Finding, Origins } from '#src/fabric/fabric.ts'
import type { Intent } from '#src/intent/intent.ts'
import { ownFirst } from '#src/intent/fragments.ts'
import { createParser } from '#src/intent/parse.ts'
import type { Declared } from '#src/intent/raw.ts'
import { renderFindings, sortFindings } from '#src/intent/render.ts'
import { createVerifier } from '#src/verify/verify.ts'
import type { SourceFile } from '#src/intent/yaml.ts'
import { findFolder, type Head, readFolder, readHead, readPulledFiles, stateFolder } from './folder.ts'
import { exit, type Output, Stop } from './output.ts'

export interface Loaded {
  readonly folder: string
  /** Own and pulled. */
  readonly files: readonly SourceFile[]
  readonly declared: readonly Declared[]
  readonly intent: Intent | null
  readonly origins: Origins
  readonly fabric: Fabric | null
  readonly claims: readonly Allocation[]
  readonly head: Head | null
  readonly findings: readonly Finding[]
}

/** What remembers, for `check --watch`: after an edit, only what it touches is read, numbered and compiled again. */
export interface Readers {
  readonly parse: ReturnType<typeof createParser>
  readonly compile: ReturnType<typeof createCompiler>
  /** Placeholders of the network as it was, while no controller was seen. */
  held: readonly Allocation[]
}
export const createReaders = (): Readers => ({ parse: createParser(), compile: createCompiler(), held: [] })
/** Likewise proven. */
export const prove = createVerifier()

export function load(given: string | undefined, readers: Readers = createReaders()): Loaded {
  const folder = findFolder(given)
  const files = [...readFolder(folder), ...readPulledFiles(folder)]
  const { intent, origins, declared, findings } = readers.parse(files)
  if (!intent) return { folder, files, declared, intent, origins, fabric: null, claims: [], head: null, findings }
  const head = readHead(stateFolder(), intent.network)
  const compiled = readers.compile(intent, head?.allocations ?? readers.held)
  if (!head && compiled.claims.length > 0) readers.held = [...readers.held, ...compiled.claims]
  return {
    folder,
    files,
    declared,
    intent,
    origins,
    fabric: compiled.fabric,
    claims: compiled.claims,
    head,
    findings: [...findings, ...compiled.findings],
  }
}

const errors = (findings: readonly Finding[]): number => findings.filter((finding) => finding.severity === 'error').length

/** Findings as a compiler shows them. */
export const rendered = (loaded: Loaded, findings: readonly Finding[], output: Output): string =>
  renderFindings(findings, loaded.origins, loaded.files, { colour: output.colour })

/** Ends with exit 3 and all findings when one is an error. */
export function refuseOnErrors(loaded: Loaded, findings: readonly Finding[], output: Output, kind: string): void {
  if (errors(findings) === 0) return
  if (!output.json) output.line(rendered(loaded, findings, output))
  if (output.json) output.document(kind, { ok: false, folder: loaded.folder, proof: null }, locate(findings, loaded.origins))
  throw new Stop(exit.refused, 'refused', '', { printed: true, findings })
}

/** Loads, and ends with the findings when there is no Fabric; what they warn of is left to the command that judges. */
export function loadFabric(
  given: string | undefined,
  output: Output,
  kind: string,
  readers?: Readers,
): Loaded & { readonly fabric: Fabric; readonly intent: Intent } {
  const loaded = load(given, readers)
  refuseOnErrors(loaded, loaded.findings, output, kind)
  if (!loaded.fabric || !loaded.intent)
    throw new Stop(exit.refused, 'the network could not be compiled', 'this is a defect of causeway: please report it with the files')
  return { ...loaded, fabric: loaded.fabric, intent: loaded.intent }
}

/** Findings in the order of the lines, with the place of their first key, for editors and CI. */
export const locate = (
  findings: readonly Finding[],
  origins: Origins,
): readonly (Finding & { readonly file?: string; readonly line?: number; readonly column?: number })[] =>
  sortFindings(findings, origins).map((finding) => {
    const [origin] = ownFirst(finding.at.flatMap((key) => origins.get(key) ?? []))
    return origin ? { ...finding, file: origin.file, line: origin.line, column: origin.column } : finding
  })

/** By what the allocations of an offline run were numbered, in one line. */
export const numberedBy = (head: Head | null): string =>
  head
    ? `generation ${head.generation} as seen on ${head.at.slice(0, 16).replace('T', ' ')}`
    : 'no controller was seen yet: addresses and ports are placeholders'
