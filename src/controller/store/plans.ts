/** Plans as they were proven: applying one later runs exactly it, or is refused as stale. */
import type { Allocation, Fabric, Finding } from '#src/fabric/fabric.ts'
import type { Handover, Owner } from '#src/fabric/owners.ts'
import type { Fragment } from '#src/intent/fragments.ts'
import type { Intent } from '#src/intent/intent.ts'
import { type Db, json, type Proof, type Tx, type Verdict } from './database.ts'

export interface NewPlan {
  readonly id: string
  readonly base: number
  readonly intent: Intent | null
  readonly intentHash: string
  readonly plan: unknown
  readonly verdict: Verdict
  readonly findings: readonly Finding[]
  readonly fabric: Fabric | null
  readonly fabricHash: string | null
  readonly claims: readonly Allocation[]
  readonly proof: Proof | null
  readonly compiler: string
  readonly createdBy: string
  /** Whose fragments it changes; null when it goes back to what all owners said. */
  readonly owner: Owner | null
  /** What the network is made of then; [] when refused. */
  readonly fragments: readonly Fragment[]
  readonly handed: readonly Handover[]
}
export interface PlanRow extends NewPlan {
  readonly createdAt: Date
  readonly appliedByOperation: string | null
}

export async function insert(db: Db, plan: NewPlan): Promise<void> {
  await db
    .insertInto('plans')
    .values({
      id: plan.id,
      base: plan.base,
      intent: plan.intent && json(plan.intent),
      intent_hash: plan.intentHash,
      plan: plan.plan === null ? null : json(plan.plan),
      verdict: plan.verdict,
      findings: json(plan.findings),
      fabric: plan.fabric && json(plan.fabric),
      fabric_hash: plan.fabricHash,
      claims: json(plan.claims),
      proof: plan.proof && json(plan.proof),
      compiler: plan.compiler,
      created_by: plan.createdBy,
      owner: plan.owner,
      fragments: json(plan.fragments),
      handed: json(plan.handed),
    })
    .execute()
}

export async function get(db: Db, id: string): Promise<PlanRow | undefined> {
  const row = await db.selectFrom('plans').selectAll().where('id', '=', id).executeTakeFirst()
  if (!row) return undefined
  return {
    id: row.id,
    base: row.base,
    intent: row.intent,
    intentHash: row.intent_hash,
    plan: row.plan,
    verdict: row.verdict,
    findings: row.findings,
    fabric: row.fabric,
    fabricHash: row.fabric_hash,
    claims: row.claims,
    proof: row.proof,
    compiler: row.compiler,
    createdBy: row.created_by,
    owner: row.owner,
    fragments: row.fragments,
    handed: row.handed,
    createdAt: row.created_at,
    appliedByOperation: row.applied_by_operation,
  }
}

/** Marks the plan as being applied; false when another operation has it. The same operation may ask again. */
export async function take(tx: Tx, id: string, operationId: string): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('plans')
    .set({ applied_by_operation: operationId })
    .where('id', '=', id)
    .where((eb) => eb.or([eb('applied_by_operation', 'is', null), eb('applied_by_operation', '=', operationId)]))
    .executeTakeFirst()
  return numUpdatedRows === 1n
}
