/** The vault's rows: wrapped keys and ciphertext, never a secret. Versions are added, not rewritten. */
import type { SecretRow, SecretRows } from '../pki/vault.ts'
import type { Database, Db } from './database.ts'
import type { Selectable } from 'kysely'

const rowOf = ({ id, version, wrapped_key, ciphertext, fingerprint }: Selectable<Database['secrets']>): SecretRow => ({
  id,
  version,
  wrappedKey: wrapped_key,
  ciphertext,
  fingerprint,
})

export const rows = (db: Db): SecretRows => ({
  get: async (id, version) => {
    const row = await db.selectFrom('secrets').selectAll().where('id', '=', id).where('version', '=', version).executeTakeFirst()
    return row && rowOf(row)
  },
  latest: async (id) => {
    const row = await db.selectFrom('secrets').selectAll().where('id', '=', id).orderBy('version', 'desc').limit(1).executeTakeFirst()
    return row && rowOf(row)
  },
  insert: async ({ id, version, wrappedKey, ciphertext, fingerprint }) => {
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('secrets')
      .values({ id, version, wrapped_key: wrappedKey, ciphertext, fingerprint })
      .onConflict((at) => at.doNothing())
      .executeTakeFirst()
    return numInsertedOrUpdatedRows === 1n
  },
  any: async () => (await db.selectFrom('secrets').select('id').limit(1).executeTakeFirst()) !== undefined,
})
