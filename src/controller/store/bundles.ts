/** A site's rendered configuration per (term, generation, revision); signed when it is first fetched. */
import { sql } from 'kysely'
import type { SiteConfig, Triple } from '#src/fabric/fabric.ts'
import type { Signed } from '#src/wire/messages.ts'
import { type Db, json } from './database.ts'

export interface BundleRow {
  readonly site: string
  readonly term: number
  readonly generation: number
  readonly revision: number
  readonly hash: string
  readonly config: SiteConfig
  readonly signed: Signed | null
  readonly operation_id: string | null
  readonly created_at: Date
}
export interface NewBundle {
  readonly site: string
  readonly triple: Triple
  readonly hash: string
  readonly config: SiteConfig
  readonly operationId: string | null
}

export const get = (db: Db, site: string, { term, generation, revision }: Triple): Promise<BundleRow | undefined> =>
  db
    .selectFrom('bundles')
    .selectAll()
    .where('site', '=', site)
    .where('term', '=', term)
    .where('generation', '=', generation)
    .where('revision', '=', revision)
    .executeTakeFirst()
/** The newest of the site, by (term, generation, revision). */
export const newest = (db: Db, site: string): Promise<BundleRow | undefined> =>
  db
    .selectFrom('bundles')
    .selectAll()
    .where('site', '=', site)
    .orderBy('term', 'desc')
    .orderBy('generation', 'desc')
    .orderBy('revision', 'desc')
    .limit(1)
    .executeTakeFirst()
/** The lowest revision that (term, generation) has not used yet. */
export async function nextRevision(db: Db, site: string, term: number, generation: number): Promise<number> {
  const row = await db
    .selectFrom('bundles')
    .select((eb) => eb.fn.max('revision').as('revision'))
    .where('site', '=', site)
    .where('term', '=', term)
    .where('generation', '=', generation)
    .executeTakeFirst()
  return row?.revision === null || row === undefined ? 0 : row.revision + 1
}
/** False when the triple is taken; rows are never rewritten. */
export async function insert(tx: Db, of: NewBundle): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('bundles')
    .values({ site: of.site, ...of.triple, hash: of.hash, config: json(of.config), operation_id: of.operationId })
    .onConflict((at) => at.doNothing())
    .executeTakeFirst()
  return numInsertedOrUpdatedRows === 1n
}
export const setSigned = async (db: Db, site: string, { term, generation, revision }: Triple, signed: Signed): Promise<void> => {
  await db
    .updateTable('bundles')
    .set({ signed: json(signed) })
    .where('site', '=', site)
    .where('term', '=', term)
    .where('generation', '=', generation)
    .where('revision', '=', revision)
    .execute()
}
/** Keeps the newest `keep` of a site and whatever its pointers name. */
export async function prune(db: Db, site: string, keep: number): Promise<void> {
  await sql`
    delete from bundles b where b.site = ${site}
      and (b.term, b.generation, b.revision) not in (select term, generation, revision from bundles where site = ${site} order by term desc, generation desc, revision desc limit ${keep})
      and not exists (select from sites s where s.id = b.site
        and jsonb_build_object('term', b.term, 'generation', b.generation, 'revision', b.revision) in (s.assigned, s.running, s.confirmed, s.pending->'triple'))`.execute(
    db,
  )
}
