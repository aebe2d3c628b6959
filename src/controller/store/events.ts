/** What happened, for people: one line each, followed by `--watch`, SSE and the demo. */
import { sql } from 'kysely'
import { type Db, json } from './database.ts'

export interface NewEvent {
  readonly operationId?: string
  /** `site/berlin`, `network/acme`, `operation/…`. */
  readonly subject: string
  /** `site.active`, `rollout.wave`, … */
  readonly kind: string
  /** One sentence, no full stop. Never a secret. */
  readonly text: string
  readonly data?: unknown
}
export interface EventRow {
  readonly seq: number
  readonly at: Date
  readonly operation_id: string | null
  readonly subject: string
  readonly kind: string
  readonly text: string
  readonly data: unknown
}

/** Listeners on `events` hear the number once the surrounding transaction commits. */
export async function emit(db: Db, event: NewEvent): Promise<number> {
  const { seq } = await db
    .insertInto('events')
    .values({ operation_id: event.operationId ?? null, subject: event.subject, kind: event.kind, text: event.text, data: json(event.data ?? {}) })
    .returning('seq')
    .executeTakeFirstOrThrow()
  await sql`select pg_notify('events', ${JSON.stringify({ seq, operationId: event.operationId ?? null })})`.execute(db)
  return seq
}

export interface EventFilter {
  readonly operationId?: string
  readonly subject?: string
  readonly limit?: number
}
/** Oldest first, those after `seq`. */
export function after(db: Db, seq: number, { operationId, subject, limit = 200 }: EventFilter = {}): Promise<readonly EventRow[]> {
  let query = db.selectFrom('events').selectAll().where('seq', '>', seq).orderBy('seq').limit(limit)
  if (operationId !== undefined) query = query.where('operation_id', '=', operationId)
  if (subject !== undefined) query = query.where('subject', '=', subject)
  return query.execute()
}
export const lastSeq = async (db: Db): Promise<number> =>
  (
    await db
      .selectFrom('events')
      .select((eb) => eb.fn.max('seq').as('seq'))
      .executeTakeFirst()
  )?.seq ?? 0
