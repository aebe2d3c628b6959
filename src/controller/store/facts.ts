/** What the world reported: keys and observed endpoints. Joined to the Fabric only by `configure`. */
import type { Fact } from '#src/fabric/fabric.ts'
import { type Db, json, type Tx } from './database.ts'

export const ownerOf = (fact: Fact): string => (fact.kind === 'key' ? `${fact.site}/${fact.interface}/${fact.linkEpoch}` : `${fact.tunnel}/${fact.site}`)

export async function all(db: Db): Promise<readonly Fact[]> {
  const rows = await db.selectFrom('facts').select('fact').orderBy('kind').orderBy('owner').execute()
  return rows.map(({ fact }) => fact)
}
/** Stores what is new or different, returns just those: a repeated report moves nothing. */
export async function put(tx: Tx, facts: readonly Fact[]): Promise<readonly Fact[]> {
  const byOwner = new Map(facts.map((fact) => [`${fact.kind} ${ownerOf(fact)}`, fact]))
  if (byOwner.size === 0) return []
  const rows = [...byOwner.values()].map((fact) => ({ kind: fact.kind, owner: ownerOf(fact), site: fact.site, fact: json(fact) }))
  const changed = await tx
    .insertInto('facts')
    .values(rows)
    .onConflict((at) =>
      at
        .columns(['kind', 'owner'])
        .doUpdateSet((eb) => ({ fact: eb.ref('excluded.fact'), at: eb.fn<Date>('now', []) }))
        .whereRef('facts.fact', 'is distinct from', 'excluded.fact'),
    )
    .returning(['kind', 'owner'])
    .execute()
  return changed.flatMap(({ kind, owner }) => byOwner.get(`${kind} ${owner}`) ?? [])
}
export const forget = async (tx: Db, site: string): Promise<void> => {
  await tx.deleteFrom('facts').where('site', '=', site).execute()
}
