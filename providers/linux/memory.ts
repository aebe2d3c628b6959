/** What must be known across restarts and can't be read from a kernel: original sysctls, processes, what was loaded. */
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { daemonFolders } from './daemons.ts'
import type { Memory } from './difference.ts'
import type { Started } from './run.ts'

export interface Stored extends Memory {
  readonly version: 1
  /** Key → value before we changed it. */
  readonly sysctls: Readonly<Record<string, string>>
  readonly daemons: Readonly<Record<string, Started>>
}
export const nothing: Stored = { version: 1, ulas: [], addedAddresses: [], nft: { text: '', listing: '' }, sysctls: {}, daemons: {} }

const file = (stateDir: string): string => join(stateDir, 'device.json')

/** A file that is missing or cut is nothing: everything in it is found again by applying once more. */
export async function remember(stateDir: string): Promise<Stored> {
  try {
    const stored = JSON.parse(await readFile(file(stateDir), 'utf8')) as Partial<Stored>
    return stored.version === 1 ? { ...nothing, ...stored } : nothing
  } catch {
    return nothing
  }
}
export async function store(stateDir: string, stored: Stored): Promise<void> {
  await keep(stateDir, 'device.json', JSON.stringify(stored))
}
export async function keep(stateDir: string, name: string, text: string): Promise<string> {
  await mkdir(stateDir, { recursive: true, mode: 0o700 })
  const path = join(stateDir, name)
  await writeFile(`${path}.new`, text, { mode: 0o600 })
  await chmod(`${path}.new`, 0o600)
  await rename(`${path}.new`, path)
  return path
}
/** Only what is ours: the folder may be shared. */
export async function forget(stateDir: string): Promise<void> {
  const names = await readdir(stateDir).catch(() => [])
  const ours = names.filter((name) => ['device.json', 'causeway.nft', 'frr.log'].includes(name) || /^cw[hem]\w*p[01]\.log$/.test(name))
  await Promise.all([...ours, 'ipsec', 'frr', ...daemonFolders].map((name) => rm(join(stateDir, name), { force: true, recursive: true })))
}
