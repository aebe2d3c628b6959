/** Who did what: each row's hash covers the one before it, so a row can't be changed or taken out unseen. */
import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import { canonicalJson } from '#src/fabric/hash.ts'
import { type Db, json, type Tx } from './database.ts'

export interface AuditEntry {
  readonly actor: string
  readonly action: string
  readonly subject: string
  readonly detail: unknown
}

const first = '0'.repeat(64)
const lock = 7_701_002

const hashOf = (entry: AuditEntry, at: Date, previous: string): string =>
  createHash('sha256')
    .update(canonicalJson({ actor: entry.actor, action: entry.action, subject: entry.subject, detail: entry.detail, at: at.toISOString(), previous }))
    .digest('hex')

export async function append(tx: Tx, entry: AuditEntry): Promise<void> {
  // One writer at a time, until commit: two entries must not name the same predecessor.
  await sql`select pg_advisory_xact_lock(${lock})`.execute(tx)
  const last = await tx.selectFrom('audit').select('hash').orderBy('seq', 'desc').limit(1).executeTakeFirst()
  const previous = last?.hash ?? first
  const at = new Date()
  await tx
    .insertInto('audit')
    .values({
      actor: entry.actor,
      action: entry.action,
      subject: entry.subject,
      detail: json(entry.detail),
      at,
      previous,
      hash: hashOf(entry, at, previous),
    })
    .execute()
}

/** The number of the first row that doesn't follow from the one before, or null when the chain holds. */
export async function broken(db: Db): Promise<number | null> {
  let previous = first
  for (const row of await db.selectFrom('audit').selectAll().orderBy('seq').execute()) {
    if (row.previous !== previous || row.hash !== hashOf(row, row.at, previous)) return row.seq
    previous = row.hash
  }
  return null
}
