import { constants } from 'node:fs'
import { link, mkdir, open, readdir, readFile, rename, rm, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { AgentError, errno, why } from './trouble.ts'

/** The state folder. A write that returned survives a power cut; one that didn't left the old content. */
export interface Files {
  read(name: string): Promise<string | null>
  /** Replaces or creates, mode 0600. */
  write(name: string, text: string): Promise<void>
  /** Creates with this content unless it exists: of several callers, in any process, exactly one gets true. */
  claim(name: string, text: string): Promise<boolean>
  remove(name: string): Promise<void>
  list(folder: string): Promise<readonly string[]>
}

const trouble = (path: string, error: unknown) =>
  new AgentError(
    'A12',
    `${path} can't be written: ${why(error)}`,
    'Give the agent a folder on a disk with room that it may write (--state DIR)',
    true,
  )

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

export function diskFiles(root: string): Files {
  /** The content in a file of its own beside the target, on disk; the caller renames or links it. */
  async function prepare(path: string, text: string): Promise<string> {
    const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    try {
      const file = await open(temporary, 'wx', 0o600)
      try {
        await file.writeFile(text)
        await file.sync()
      } finally {
        await file.close()
      }
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
    return temporary
  }
  return {
    async read(name) {
      try {
        return await readFile(join(root, name), 'utf8')
      } catch (error) {
        if (errno(error) === 'ENOENT') return null
        throw new AgentError(
          'A12',
          `${join(root, name)} can't be read: ${why(error)}`,
          'Run as the user who enrolled this box (root), or name its folder with --state DIR',
        )
      }
    },
    async write(name, text) {
      const path = join(root, name)
      try {
        await rename(await prepare(path, text), path)
        await syncFolder(dirname(path))
      } catch (error) {
        throw trouble(path, error)
      }
    },
    async claim(name, text) {
      const path = join(root, name)
      let temporary = ''
      try {
        temporary = await prepare(path, text)
        await link(temporary, path)
        await syncFolder(dirname(path))
        return true
      } catch (error) {
        if (errno(error) === 'EEXIST') return false
        throw trouble(path, error)
      } finally {
        if (temporary !== '') await unlink(temporary).catch(() => {})
      }
    },
    async remove(name) {
      await rm(join(root, name), { force: true, recursive: true })
    },
    async list(folder) {
      try {
        return (await readdir(join(root, folder))).filter((name) => !name.endsWith('.tmp')).sort()
      } catch (error) {
        if (errno(error) === 'ENOENT') return []
        throw error
      }
    },
  }
}
