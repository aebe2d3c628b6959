/** Every version of the signed trust document. */
import type { Signed } from '#src/wire/messages.ts'
import { type Db, json } from './database.ts'

export interface TrustRow {
  readonly version: number
  readonly signed: Signed
}
export const newest = (db: Db): Promise<TrustRow | undefined> => db.selectFrom('trust').select(['version', 'signed']).orderBy('version', 'desc').limit(1).executeTakeFirst()
export const insert = async (tx: Db, version: number, signed: Signed): Promise<void> => {
  await tx.insertInto('trust').values({ version, signed: json(signed) }).onConflict((at) => at.doNothing()).execute()
}
