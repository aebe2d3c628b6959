/** A box that is to take another's place at its site: what it is told and reports, apart from the one that still runs. */
import type { Fact, Triple } from '#src/fabric/fabric.ts'
import type { Inventory, Report } from '#src/wire/messages.ts'
import { type Db, json, type Pending, type Tx } from './database.ts'

export interface ReplacementRow {
  readonly site: string
  readonly operation_id: string
  readonly device: string | null
  readonly claim_id: string | null
  readonly assigned: Triple | null
  readonly running: Triple | null
  readonly commit: Report['commit'] | null
  readonly pending: Pending | null
  readonly findings: Report['findings']
  readonly inventory: Inventory | null
  readonly last_seen: Date | null
  readonly up: readonly string[]
  readonly keys: readonly Fact[]
  readonly former: readonly Fact[] | null
  readonly failed: string | null
}

export const get = (db: Db, site: string): Promise<ReplacementRow | undefined> =>
  db.selectFrom('replacements').selectAll().where('site', '=', site).executeTakeFirst()
export const lock = (tx: Tx, site: string): Promise<ReplacementRow | undefined> =>
  tx.selectFrom('replacements').selectAll().where('site', '=', site).forUpdate().executeTakeFirst()
/** What this very box shall run: the site's own one, or the one that is to take its place. */
export async function assignedTo(db: Db, site: string, device: string): Promise<Triple | null> {
  const row = await get(db, site)
  if (row?.device === device) return row.assigned
  return (await db.selectFrom('sites').select('assigned').where('id', '=', site).executeTakeFirst())?.assigned ?? null
}

/** Starts over: whatever box was to take the site's place before is not that any more. */
export async function begin(tx: Tx, site: string, operationId: string): Promise<void> {
  await forget(tx, site)
  await tx.insertInto('replacements').values({ site, operation_id: operationId }).execute()
}
/** Yes, this very box; also once more, after a takeover that was taken back. */
export const approve = async (tx: Tx, site: string, of: { readonly device: string; readonly claimId: string }): Promise<void> => {
  await tx.updateTable('replacements').set({ device: of.device, claim_id: of.claimId, failed: null }).where('site', '=', site).execute()
}
export const assign = async (tx: Tx, site: string, triple: Triple): Promise<void> => {
  await tx
    .updateTable('replacements')
    .set({ assigned: json(triple) })
    .where('site', '=', site)
    .execute()
}
export const takeOver = async (tx: Tx, site: string, former: readonly Fact[]): Promise<void> => {
  await tx
    .updateTable('replacements')
    .set({ former: json(former), up: '[]' })
    .where('site', '=', site)
    .execute()
}
export const takeBack = async (tx: Tx, site: string, failed: string): Promise<void> => {
  await tx.updateTable('replacements').set({ former: null, failed }).where('site', '=', site).execute()
}
export const forget = async (tx: Tx, site: string): Promise<void> => {
  await tx.deleteFrom('replacements').where('site', '=', site).execute()
}

export interface ReplacementReport {
  readonly report: Report
  readonly keys: readonly Fact[]
  readonly at: Date
}
export async function reported(tx: Tx, site: string, { report, keys, at }: ReplacementReport): Promise<void> {
  const { commit, paths } = report
  await tx
    .updateTable('replacements')
    .set({
      running: report.running && json(report.running),
      commit: json(commit),
      pending: commit.state === 'pending' ? json({ triple: commit.triple, nonce: commit.nonce, deadline: commit.deadline }) : null,
      findings: json(report.findings),
      up: json(paths.filter(({ state }) => state === 'UP' || state === 'DEGRADED').map(({ tunnel }) => tunnel)),
      keys: json(keys),
      last_seen: at,
      ...(report.inventory ? { inventory: json(report.inventory) } : {}),
    })
    .where('site', '=', site)
    .execute()
}

/** It has taken over: what it runs and says is the site's from now on. */
export async function succeed(tx: Tx, of: ReplacementRow): Promise<void> {
  await tx
    .updateTable('sites')
    .set({
      device: of.device,
      assigned: of.assigned && json(of.assigned),
      running: of.running && json(of.running),
      confirmed: of.running && json(of.running),
      pending: of.pending && json(of.pending),
      commit: of.commit && json(of.commit),
      findings: json(of.findings),
      inventory: of.inventory && json(of.inventory),
      last_seen: of.last_seen,
      headless_since: null,
      drain_report: null,
    })
    .where('id', '=', of.site)
    .execute()
  await forget(tx, of.site)
}
