/** Permits that were granted, for the record: (site, nonce) is asked once, a repeated question is answered alike. */
import type { Triple } from '#src/fabric/fabric.ts'
import { type Db, json } from './database.ts'

/** False when the nonce was granted for another triple. */
export async function grant(tx: Db, site: string, nonce: string, triple: Triple): Promise<boolean> {
  await tx
    .insertInto('permits')
    .values({ site, nonce, triple: json(triple) })
    .onConflict((at) => at.doNothing())
    .execute()
  const row = await tx.selectFrom('permits').select('triple').where('site', '=', site).where('nonce', '=', nonce).executeTakeFirstOrThrow()
  return row.triple.term === triple.term && row.triple.generation === triple.generation && row.triple.revision === triple.revision
}
