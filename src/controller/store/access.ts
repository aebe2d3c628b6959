/** API access tokens of people and programs: hashes and roles. */
import { sql } from 'kysely'
import type { AccessRole, Db, Tx } from './database.ts'

export interface AccessRow {
  readonly id: string
  readonly name: string
  readonly role: AccessRole
  readonly created_at: Date
  readonly revoked_at: Date | null
}
const columns = ['id', 'name', 'role', 'created_at', 'revoked_at'] as const

export const byHash = (db: Db, hash: string): Promise<AccessRow | undefined> =>
  db.selectFrom('access_tokens').select(columns).where('hash', '=', hash).where('revoked_at', 'is', null).executeTakeFirst()
export const list = (db: Db): Promise<readonly AccessRow[]> => db.selectFrom('access_tokens').select(columns).orderBy('created_at').execute()
/** What people call whoever gave a command. */
export const nameOf = async (db: Db, id: string): Promise<string> =>
  (await db.selectFrom('access_tokens').select('name').where('id', '=', id).executeTakeFirst())?.name ?? id
export const insert = async (
  tx: Db,
  of: { readonly id: string; readonly hash: string; readonly name: string; readonly role: AccessRole },
): Promise<void> => {
  await tx.insertInto('access_tokens').values(of).execute()
}
export const revoke = async (tx: Db, id: string): Promise<void> => {
  await tx.updateTable('access_tokens').set({ revoked_at: sql<Date>`now()` }).where('id', '=', id).execute()
}
/** Until the transaction ends nobody else makes a token. */
export const lock = async (tx: Tx): Promise<void> => {
  await sql`lock table access_tokens in share row exclusive mode`.execute(tx)
}
