/** The vault's key-encryption key: 32 bytes in a file of mode 0400, outside the data folder, so that a copied database alone is worth nothing. */
import { randomBytes } from 'node:crypto'
import { link, lstat, open, readFile, rm } from 'node:fs/promises'
import { relative, resolve } from 'node:path'
import { PkiError } from './error.ts'

/**
 * Reads the key, or makes it at the first start. Throws PkiError C064 (inside the data folder), C065 (readable by
 * others, or not a plain file), C066 (not 64 hex digits), C067 (can't be read or written).
 */
export async function loadKek(file: string, dataFolder: string): Promise<Buffer> {
  const way = relative(resolve(dataFolder), resolve(file))
  if (way === '' || !(way === '..' || way.startsWith('../')))
    throw new PkiError(
      'C064',
      `The vault key ${file} is inside the data folder ${dataFolder}`,
      'Keep it elsewhere: whoever copies the data folder would have the secrets too',
    )
  try {
    if (!(await lstat(file).catch(notThere))) await make(file)
    const { mode } = await lstat(file).then((stat) => {
      if (!stat.isFile()) throw new PkiError('C065', `The vault key ${file} is not a plain file`, 'Name the file itself, not a link to it')
      return stat
    })
    if ((mode & 0o077) !== 0)
      throw new PkiError('C065', `The vault key ${file} can be read by others (mode ${(mode & 0o777).toString(8)})`, `chmod 400 ${file}`)
    const text = (await readFile(file, 'utf8')).trim()
    if (!/^[0-9a-f]{64}$/.test(text))
      throw new PkiError('C066', `The vault key ${file} is not 64 hex digits`, 'Restore it from the backup that belongs to this database')
    return Buffer.from(text, 'hex')
  } catch (error) {
    if (error instanceof PkiError) throw error
    throw new PkiError(
      'C067',
      `The vault key ${file} can't be read or made (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`,
      'Its folder must exist and belong to the user who runs the controller',
    )
  }
}

function notThere(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
/** Under its name only when it is whole: of several that start at once one makes it, and none reads half of it. */
async function make(file: string): Promise<void> {
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`
  try {
    const made = await open(draft, 'wx', 0o400)
    try {
      await made.writeFile(`${randomBytes(32).toString('hex')}\n`)
      await made.sync()
    } finally {
      await made.close()
    }
    await link(draft, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(draft, { force: true })
  }
}
