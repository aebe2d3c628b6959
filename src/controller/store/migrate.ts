import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { sql } from 'kysely'
import type { Store } from './database.ts'

const folder = new URL('./migrations/', import.meta.url)
/** Any fixed number: two controllers that start at once migrate one after the other. */
const lock = 7_701_001

export interface Migration {
  readonly number: number
  readonly name: string
  readonly text: string
}

/** A database that this version can't use; its message is for people. */
export class SchemaMismatch extends Error {
  override readonly name = 'SchemaMismatch'
}

async function bundled(): Promise<readonly Migration[]> {
  const names = (await readdir(folder)).filter((name) => /^\d{3}-.*\.sql$/.test(name)).sort()
  return Promise.all(names.map(async (name) => ({ number: Number(name.slice(0, 3)), name, text: await readFile(new URL(name, folder), 'utf8') })))
}

/** Brings the database to this version's schema, all pending files in one transaction. Returns the names that were run. */
export async function migrate(store: Store, migrations?: readonly Migration[]): Promise<readonly string[]> {
  const wanted = migrations ?? (await bundled())
  return store.transaction(async (tx) => {
    await sql`select pg_advisory_xact_lock(${lock})`.execute(tx)
    await sql`create table if not exists migrations (number int primary key, name text not null, hash text not null, applied_at timestamptz not null default now())`.execute(
      tx,
    )
    const applied = new Map((await tx.selectFrom('migrations').selectAll().execute()).map((row) => [row.number, row]))
    const newest = wanted.at(-1)?.number ?? 0
    const foreign = [...applied.values()].find((row) => row.number > newest)
    if (foreign)
      throw new SchemaMismatch(
        `the database was made by a newer version of Causeway (it has ${foreign.name}); start that version, or restore a backup made by this one`,
      )
    const ran: string[] = []
    for (const { number, name, text } of wanted) {
      const hash = createHash('sha256').update(text).digest('hex')
      const before = applied.get(number)
      if (before) {
        if (before.hash !== hash)
          throw new SchemaMismatch(
            `the database was made with another ${name} than this version's; use the version that made it, or another --data folder`,
          )
        continue
      }
      await sql.raw(text).execute(tx)
      await tx.insertInto('migrations').values({ number, name, hash }).execute()
      ran.push(name)
    }
    return ran
  })
}
