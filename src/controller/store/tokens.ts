/** Bootstrap tokens: only hashes. One use, one site, one purpose, an absolute end. */
import { sql } from 'kysely'
import type { Db, Purpose, Tx } from './database.ts'

export interface TokenRow {
  readonly id: string
  readonly site: string
  readonly purpose: Purpose
  readonly hash: string
  readonly expires_at: Date
  readonly created_by: string
  readonly created_at: Date
  readonly redeemed_at: Date | null
  readonly claim_id: string | null
  readonly revoked_at: Date | null
}
export interface NewToken {
  readonly id: string
  readonly site: string
  readonly purpose: Purpose
  readonly hash: string
  readonly expiresAt: Date
  readonly createdBy: string
}

/** Adds a token and revokes the site's unredeemed ones: the newest line is the only one that works. */
export async function issue(tx: Tx, token: NewToken): Promise<void> {
  await tx
    .updateTable('tokens')
    .set({ revoked_at: sql<Date>`now()` })
    .where('site', '=', token.site)
    .where('redeemed_at', 'is', null)
    .where('revoked_at', 'is', null)
    .execute()
  await tx
    .insertInto('tokens')
    .values({ id: token.id, site: token.site, purpose: token.purpose, hash: token.hash, expires_at: token.expiresAt, created_by: token.createdBy })
    .execute()
}
export const get = (db: Db, id: string): Promise<TokenRow | undefined> => db.selectFrom('tokens').selectAll().where('id', '=', id).executeTakeFirst()
/** Locks the row, so that two boxes with the same token are served one after the other. */
export const lockByHash = (tx: Tx, hash: string): Promise<TokenRow | undefined> =>
  tx.selectFrom('tokens').selectAll().where('hash', '=', hash).forUpdate().executeTakeFirst()
export const redeem = async (tx: Tx, id: string, claimId: string): Promise<void> => {
  await tx.updateTable('tokens').set({ redeemed_at: sql<Date>`now()`, claim_id: claimId }).where('id', '=', id).execute()
}
/** The site's newest token, whatever became of it. */
export const newest = (db: Db, site: string): Promise<TokenRow | undefined> =>
  db.selectFrom('tokens').selectAll().where('site', '=', site).orderBy('created_at', 'desc').limit(1).executeTakeFirst()
export const revokeAll = async (tx: Tx, site: string): Promise<void> => {
  await tx.updateTable('tokens').set({ revoked_at: sql<Date>`now()` }).where('site', '=', site).where('revoked_at', 'is', null).execute()
}
