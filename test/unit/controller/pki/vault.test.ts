import { existsSync, readFileSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadKek } from '#src/controller/pki/kek.ts'
import { memoryRows, openVault, type SecretRow, type SecretRows } from '#src/controller/pki/vault.ts'

const kek = Buffer.alloc(32, 1)
const secret = Buffer.from('a pre-shared key of some length')

/** Rows as they lie in the database, so that a test can look at them and change them. */
function openRows(): SecretRows & { readonly rows: SecretRow[] } {
  const rows: SecretRow[] = []
  const find = (id: string, version: number) => rows.find((row) => row.id === id && row.version === version)
  return {
    rows,
    get: async (id, version) => find(id, version),
    latest: async (id) => rows.filter((row) => row.id === id).sort((a, b) => b.version - a.version)[0],
    insert: async (row) => (find(row.id, row.version) ? false : rows.push(row) > 0),
    any: async () => rows.length > 0,
  }
}

describe('a secret', () => {
  test('comes back as it was put, also after a restart', async () => {
    const rows = openRows()
    const ref = await (await openVault(kek, rows)).put('psk/berlin', secret)
    expect(ref).toEqual({ id: 'psk/berlin', version: 1, fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/) })
    expect(await (await openVault(kek, rows)).get(ref)).toEqual(secret)
  })
  test('is nowhere in the rows in plain', async () => {
    const rows = openRows()
    await (await openVault(kek, rows)).put('psk/berlin', secret)
    for (const row of rows.rows)
      expect(Buffer.concat([row.wrappedKey, row.ciphertext, Buffer.from(row.fingerprint)]).includes(secret.subarray(0, 8))).toBe(false)
  })
  test('that exists is kept: two controllers that start at once agree', async () => {
    const vault = await openVault(kek, memoryRows())
    const [first, second] = await Promise.all([vault.put('pki/ca', Buffer.from('one')), vault.put('pki/ca', Buffer.from('two'))])
    expect(second).toEqual(first)
    expect((await vault.get(first)).toString()).toBe('one')
  })
  test('rotates to the next version, and the old one stays readable', async () => {
    const vault = await openVault(kek, memoryRows())
    const first = await vault.put('psk/berlin', secret)
    const second = await vault.rotate('psk/berlin', Buffer.from('new'))
    expect(second).toMatchObject({ id: 'psk/berlin', version: 2 })
    expect(await vault.latest('psk/berlin')).toEqual({ ref: second, secret: Buffer.from('new') })
    expect(await vault.get(first)).toEqual(secret)
  })
  test('that is not there is said so', async () => {
    const vault = await openVault(kek, memoryRows())
    await expect(vault.get({ id: 'psk/oslo', version: 1, fingerprint: 'ff' })).rejects.toMatchObject({
      code: 'C063',
      message: 'The vault has no secret "psk/oslo" version 1 with fingerprint ff',
      instead: 'Rotate the key: causeway key rotate',
    })
    expect(await vault.latest('psk/oslo')).toBeUndefined()
  })
  test('does not open when its row was changed or exchanged for another', async () => {
    const rows = openRows()
    const vault = await openVault(kek, rows)
    const berlin = await vault.put('psk/berlin', secret)
    await vault.put('psk/oslo', Buffer.from('another'))
    const at = rows.rows.findIndex((row) => row.id === 'psk/berlin')
    const original = rows.rows[at]!
    const damaged = { code: 'C062', message: 'The vault\'s secret "psk/berlin" version 1 can\'t be decrypted' }

    const flipped = Buffer.from(original.ciphertext)
    flipped[20] = flipped[20]! ^ 1
    rows.rows[at] = { ...original, ciphertext: flipped }
    await expect(vault.get(berlin)).rejects.toMatchObject(damaged)

    const oslo = rows.rows.find((row) => row.id === 'psk/oslo')!
    rows.rows[at] = { ...oslo, id: 'psk/berlin', fingerprint: original.fingerprint }
    await expect(vault.get(berlin)).rejects.toMatchObject(damaged)
  })
})

describe('at boot', () => {
  test('another key is refused before anything is written', async () => {
    const rows = openRows()
    await openVault(kek, rows)
    await expect(openVault(Buffer.alloc(32, 2), rows)).rejects.toMatchObject({
      code: 'C060',
      message: 'This vault key does not open the vault of this database',
      instead: 'Start with the key file that was made together with the database; without it the network has to be enrolled anew',
    })
    expect(rows.rows).toHaveLength(1)
  })
  test('two that start at once on empty rows both open the vault', async () => {
    const rows = openRows()
    let asked = false
    const slow: SecretRows = {
      ...rows,
      // The other one makes its record between this one's two questions.
      any: async () => {
        if (!asked) await openVault(kek, rows)
        asked = true
        return rows.any()
      },
    }
    const ref = await (await openVault(kek, slow)).put('psk/berlin', secret)
    expect(await (await openVault(kek, rows)).get(ref)).toEqual(secret)
    expect(rows.rows).toHaveLength(2)
  })
  test('secrets without their canary are refused', async () => {
    const rows = openRows()
    await (await openVault(kek, rows)).put('psk/berlin', secret)
    rows.rows.shift()
    await expect(openVault(kek, rows)).rejects.toMatchObject({ code: 'C061', message: 'The vault has secrets but not its canary record' })
  })
})

describe('the key file', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kek-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  test('is made at the first start, for its owner only, and read afterwards', async () => {
    const file = join(folder, 'vault.key')
    const made = await loadKek(file, join(folder, 'data'))
    expect(made).toHaveLength(32)
    expect((await stat(file)).mode & 0o777).toBe(0o400)
    expect((await readFile(file, 'utf8')).trim()).toBe(made.toString('hex'))
    expect(await loadKek(file, join(folder, 'data'))).toEqual(made)
  })
  test('is made once by several that start at the same time, and seen by none before it is whole', async () => {
    const near = join(folder, 'together')
    const file = join(near, 'vault.key')
    await mkdir(near)
    const starting = Promise.all(Array.from({ length: 16 }, () => loadKek(file, join(folder, 'data'))))
    while (!existsSync(file)) await setImmediate()
    expect(readFileSync(file)).toHaveLength(65)
    expect(new Set((await starting).map(String))).toHaveProperty('size', 1)
    expect(await readdir(near)).toEqual(['vault.key'])
  })
  test('must not lie in the data folder', async () => {
    const inside = join(folder, 'data', 'vault.key')
    await expect(loadKek(inside, join(folder, 'data'))).rejects.toMatchObject({
      code: 'C064',
      message: `The vault key ${inside} is inside the data folder ${join(folder, 'data')}`,
    })
    await expect(loadKek(join(folder, '..data'), folder)).rejects.toMatchObject({ code: 'C064' })
  })
  test('must not be readable by others', async () => {
    const file = join(folder, 'open.key')
    await writeFile(file, `${'0'.repeat(64)}\n`)
    await chmod(file, 0o440)
    await expect(loadKek(file, join(folder, 'data'))).rejects.toMatchObject({
      code: 'C065',
      message: `The vault key ${file} can be read by others (mode 440)`,
      instead: `chmod 400 ${file}`,
    })
  })
  test('must be the file itself', async () => {
    const link = join(folder, 'link.key')
    await symlink(join(folder, 'vault.key'), link)
    await expect(loadKek(link, join(folder, 'data'))).rejects.toMatchObject({ code: 'C065', message: `The vault key ${link} is not a plain file` })
  })
  test('must hold a key', async () => {
    const file = join(folder, 'short.key')
    await writeFile(file, 'abc', { mode: 0o400 })
    await expect(loadKek(file, join(folder, 'data'))).rejects.toMatchObject({ code: 'C066', message: `The vault key ${file} is not 64 hex digits` })
  })
  test('needs its folder', async () => {
    const file = join(folder, 'nowhere', 'vault.key')
    await expect(loadKek(file, join(folder, 'data'))).rejects.toMatchObject({
      code: 'C067',
      message: `The vault key ${file} can't be read or made (ENOENT)`,
    })
  })
})
