/** What the world reported: keys and observed endpoints. Joined to the Fabric only by `configure`. */
import type { Fact } from '#src/fabric/fabric.ts'
import { type Db, json, type Tx } from './database.ts'

export function ownerOf(fact: Fact): string {
  switch (fact.kind) {
    case 'key':
      return `${fact.site}/${fact.interface}/${fact.linkEpoch}`
    case 'endpoint':
      return `${fact.tunnel}/${fact.site}`
    case 'psk':
      return `${fact.tunnel}/${fact.linkEpoch}`
    case 'cloud-endpoint':
      return fact.tunnel
    default:
      return fact satisfies never
  }
}
/** The node that the fact is about and ends with: of tunnels to a cloud, the region (`frankfurt.isp-a--aws-eu-west-1.0`). */
export function nodeOf(fact: Fact): string {
  if ('site' in fact) return fact.site
  const far = fact.tunnel.slice(fact.tunnel.indexOf('--') + 2)
  return far.slice(0, far.lastIndexOf('.'))
}

export async function all(db: Db): Promise<readonly Fact[]> {
  const rows = await db.selectFrom('facts').select('fact').orderBy('kind').orderBy('owner').execute()
  return rows.map(({ fact }) => fact)
}
/** A fact, and since when it is as it is. */
export interface Kept {
  readonly fact: Fact
  readonly at: Date
}
export const kept = (db: Db): Promise<readonly Kept[]> => db.selectFrom('facts').select(['fact', 'at']).orderBy('kind').orderBy('owner').execute()
/** The public keys of a site's own interfaces. */
export const keysOf = async (db: Db, site: string): Promise<readonly Fact[]> =>
  (await db.selectFrom('facts').select('fact').where('kind', '=', 'key').where('site', '=', site).orderBy('owner').execute()).map(({ fact }) => fact)
/** Another box answers for the site from now on. */
export async function replaceKeys(tx: Tx, site: string, keys: readonly Fact[]): Promise<void> {
  await tx.deleteFrom('facts').where('kind', '=', 'key').where('site', '=', site).execute()
  await put(tx, keys)
}
/** Stores what is new or different, returns just those: a repeated report moves nothing. */
export async function put(tx: Tx, facts: readonly Fact[]): Promise<readonly Fact[]> {
  const byOwner = new Map(facts.map((fact) => [`${fact.kind} ${ownerOf(fact)}`, fact]))
  if (byOwner.size === 0) return []
  const rows = [...byOwner.values()].map((fact) => ({ kind: fact.kind, owner: ownerOf(fact), site: nodeOf(fact), fact: json(fact) }))
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
/** Of a site or region that is gone. */
export const forget = async (tx: Db, site: string): Promise<void> => {
  await tx.deleteFrom('facts').where('site', '=', site).execute()
}
