/** The vault's rows: wrapped keys and ciphertext, never a secret. Versions are added, not rewritten. */
import type { Db } from './database.ts'

export interface SecretRow {
  readonly id: string
  readonly version: number
  readonly wrapped_key: Buffer
  readonly ciphertext: Buffer
  readonly fingerprint: string
}
export const newest = (db: Db, id: string): Promise<SecretRow | undefined> => db.selectFrom('secrets').selectAll().where('id', '=', id).orderBy('version', 'desc').limit(1).executeTakeFirst()
export const get = (db: Db, id: string, version: number): Promise<SecretRow | undefined> =>
  db.selectFrom('secrets').selectAll().where('id', '=', id).where('version', '=', version).executeTakeFirst()
/** False when (id, version) exists. */
export async function insert(db: Db, row: SecretRow): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db.insertInto('secrets').values(row).onConflict((at) => at.doNothing()).executeTakeFirst()
  return numInsertedOrUpdatedRows === 1n
}
