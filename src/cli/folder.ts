/** The folder of YAML a command works on, and what `.causeway/` remembers of the controller's last word on it. */
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import type { Allocation, Fabric } from '#src/fabric/fabric.ts'
import { isPulled, isSourceName, pulledFolder } from '#src/intent/fragments.ts'
import type { SourceFile } from '#src/intent/yaml.ts'
import { exit, Stop } from './output.ts'

/** The folder given, else the working folder, else the only network under ./sites. */
export function findFolder(given: string | undefined): string {
  const isNetwork = (folder: string) => existsSync(join(folder, 'network.yaml')) || existsSync(join(folder, 'folder.yaml'))
  if (given !== undefined) {
    if (!existsSync(given)) throw new Stop(exit.usage, `there is no folder ${given}`, 'name the folder that holds network.yaml')
    if (!statSync(given).isDirectory())
      throw new Stop(exit.usage, `${given} is a file`, `name its folder: ${relative('.', dirname(resolve(given))) || '.'}`)
    if (isNetwork(given)) return given
    const other = ['network', 'folder'].find((name) => existsSync(join(given, `${name}.yml`)))
    throw new Stop(
      exit.usage,
      `${given} holds no network.yaml`,
      other === undefined ? `write one: causeway init ${given}` : `rename its ${other}.yml to ${other}.yaml`,
    )
  }
  if (isNetwork('.')) return '.'
  const sites = existsSync('sites') ? readdirSync('sites').filter((name) => isNetwork(join('sites', name))) : []
  if (sites.length === 1) return join('sites', sites[0]!)
  if (sites.length > 1) throw new Stop(exit.usage, 'there are several networks here', `name one: ${sites.map((name) => `sites/${name}`).join(', ')}`)
  throw new Stop(exit.usage, 'there is no network.yaml here', 'go to its folder, name it, or start one: causeway init')
}

export function readFolder(folder: string): readonly SourceFile[] {
  const names = readdirSync(folder).filter(isSourceName).sort()
  return names.flatMap((name) => readSource(folder, name) ?? [])
}
/** The folder of what others own, and each of theirs in it; none where nothing was pulled. */
export function pulledFolders(folder: string): readonly string[] {
  const root = join(folder, pulledFolder)
  if (!existsSync(root)) return []
  const entries = readdirSync(root, { recursive: true, withFileTypes: true })
  return [root, ...entries.filter((entry) => entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name))]
}
/** What others own, as `causeway pull` wrote it below the folder. */
export function readPulledFiles(folder: string): readonly SourceFile[] {
  const root = join(folder, pulledFolder)
  if (!existsSync(root)) return []
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && isSourceName(entry.name))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter(isPulled)
    .sort()
    .flatMap((name) => readSource(folder, name) ?? [])
}
/** undefined: gone since the folder was listed. */
function readSource(folder: string, name: string): SourceFile | undefined {
  const path = join(folder, name)
  const found = kindOf(path)
  if (found === 'gone') return undefined
  // Whoever opened a pipe would wait for somebody to write into it.
  if (found !== 'a file') throw new Stop(exit.refused, `${path} is ${found}, not a file`, 'remove it, or name it otherwise')
  return unchanged(path, (bytes) => {
    try {
      return { path: name, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
    } catch {
      const { line, column, byte } = firstStray(bytes)
      throw new Stop(exit.refused, `${path}:${line}:${column} is not UTF-8 text: byte 0x${byte.toString(16).padStart(2, '0')}`, 'save it as UTF-8')
    }
  })
}

function kindOf(path: string): string {
  try {
    const found = statSync(path)
    return found.isFile() ? 'a file' : found.isDirectory() ? 'a folder' : found.isFIFO() ? 'a pipe' : 'a device or socket'
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ELOOP') return 'a link that leads back to itself'
    if (code !== 'ENOENT') throw error
    return lstatSync(path, { throwIfNoEntry: false }) ? 'a link that leads nowhere' : 'gone'
  }
}

const readBefore = new Map<string, { readonly stamp: string; readonly read: unknown }>()
/** What was read of a file, unless it was written since: whoever watches a folder of thousands asks for each again and again. */
function unchanged<T>(path: string, read: (bytes: Buffer) => T): T {
  const { mtimeNs, ctimeNs, size, ino } = statSync(path, { bigint: true })
  const stamp = [mtimeNs, ctimeNs, size, ino].join(' ')
  const known = readBefore.get(path)
  if (known?.stamp === stamp) return known.read as T
  const made = read(readFileSync(path))
  readBefore.set(path, { stamp, read: made })
  return made
}

/** Where a text stops to be UTF-8: written back, it is as it was up to the first byte that became U+FFFD. */
function firstStray(bytes: Buffer): { readonly line: number; readonly column: number; readonly byte: number } {
  const again = Buffer.from(bytes.toString('utf8'))
  const same = bytes.findIndex((byte, at) => byte !== again[at])
  const good = bytes.toString('utf8', 0, same).replace(/\uFFFD$/, '')
  return { line: good.split('\n').length, column: good.length - good.lastIndexOf('\n'), byte: bytes[Buffer.byteLength(good)]! }
}

/** Head and allocations as of the last contact with the controller: what `check` and `plan` number by when offline. */
export interface Head {
  readonly network: string
  readonly generation: number
  readonly fabric: Fabric
  readonly allocations: readonly Allocation[]
  readonly at: string
}
const headFile = (state: string, network: string) => join(state, 'heads', `${network.replaceAll(/[^\w.-]/g, '_')}.json`)

export function readHead(state: string, network: string): Head | null {
  try {
    return unchanged(headFile(state, network), (bytes) => JSON.parse(bytes.toString('utf8')) as Head)
  } catch {
    return null
  }
}
/** Best effort: a read-only folder only means that the next offline run knows less. */
export function writeHead(state: string, head: Head): void {
  const file = headFile(state, head.network)
  try {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(`${file}.new`, JSON.stringify(head))
    renameSync(`${file}.new`, file)
  } catch {
    // nothing to remember it in
  }
}

/** State of this checkout or installation: `.causeway` beside the work, or CAUSEWAY_STATE. */
export const stateFolder = (): string => process.env['CAUSEWAY_STATE'] ?? resolve('.causeway')
