/** The one row that says which network this database is for. */
import type { Db, Tx } from './database.ts'

export interface NetworkRow {
  readonly id: string
  readonly head: number
  readonly term: number
  readonly frozen: boolean
}

export const get = (db: Db): Promise<NetworkRow | undefined> => db.selectFrom('network').select(['id', 'head', 'term', 'frozen']).executeTakeFirst()

/** The first plan names the network; later ones must name the same. Returns the name that holds. */
export async function name(db: Db, id: string): Promise<string> {
  await db
    .insertInto('network')
    .values({ id })
    .onConflict((at) => at.doNothing())
    .execute()
  return (await db.selectFrom('network').select('id').executeTakeFirstOrThrow()).id
}

/** Compare-and-swap: false when another generation came first. */
export async function advance(tx: Tx, from: number, to: number): Promise<boolean> {
  const { numUpdatedRows } = await tx.updateTable('network').set({ head: to }).where('head', '=', from).executeTakeFirst()
  return numUpdatedRows === 1n
}
