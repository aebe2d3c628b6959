/** The intent's history: numbered, hashed, never edited. Inserted by compare-and-swap on the network's head. */
import type { Fabric } from '#src/fabric/fabric.ts'
import type { Owner } from '#src/fabric/owners.ts'
import type { Fragment } from '#src/intent/fragments.ts'
import type { Intent } from '#src/intent/intent.ts'
import * as allocations from './allocations.ts'
import { type Db, json, type Proof, type Tx, type Verdict } from './database.ts'
import * as network from './network.ts'
import type { PlanRow } from './plans.ts'

export interface GenerationRow {
  readonly number: number
  readonly base: number
  readonly plan_id: string | null
  readonly intent: Intent
  readonly fabric: Fabric
  readonly fabric_hash: string
  readonly compiler: string
  readonly site_hashes: Readonly<Record<string, string>>
  readonly proof: Proof
  readonly operation_id: string
  readonly created_by: string
  readonly created_at: Date
  /** Who planned it; null when it went back, and from before there were owners. */
  readonly owner: Owner | null
}
export type GenerationHead = Omit<GenerationRow, 'intent' | 'fabric'>

const summary = [
  'number',
  'base',
  'plan_id',
  'fabric_hash',
  'compiler',
  'site_hashes',
  'proof',
  'operation_id',
  'created_by',
  'created_at',
  'owner',
] as const

export const get = (db: Db, number: number): Promise<GenerationRow | undefined> =>
  db
    .selectFrom('generations')
    .select([...summary, 'intent', 'fabric'])
    .where('number', '=', number)
    .executeTakeFirst()
export const head = (db: Db): Promise<GenerationRow | undefined> =>
  db
    .selectFrom('generations')
    .select([...summary, 'intent', 'fabric'])
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst()
/** What it is made of, by owner and path; [] where there is no such generation. */
export const fragments = async (db: Db, number: number): Promise<readonly Fragment[]> =>
  (await db.selectFrom('generations').select('fragments').where('number', '=', number).executeTakeFirst())?.fragments ?? []
export const verdict = async (db: Db, number: number): Promise<Verdict | undefined> =>
  (await db.selectFrom('generations').select('verdict').where('number', '=', number).executeTakeFirst())?.verdict
export const list = (db: Db, limit = 100): Promise<readonly GenerationHead[]> =>
  db.selectFrom('generations').select(summary).orderBy('number', 'desc').limit(limit).execute()

/** The plan's base is no longer the head. */
export class StaleBase extends Error {
  override readonly name = 'StaleBase'
  readonly base: number
  readonly head: number
  constructor(base: number, head: number) {
    super(`the plan is made on generation ${base}, but the network is at generation ${head}; make it again`)
    this.base = base
    this.head = head
  }
}

/** Makes the plan the next generation and commits its allocations; throws `StaleBase` or `AllocationTaken` and changes nothing then. */
export async function commit(tx: Tx, plan: PlanRow, siteHashes: Readonly<Record<string, string>>, operationId: string): Promise<number> {
  if (plan.verdict !== 'passed' || !plan.intent || !plan.fabric || !plan.fabricHash || !plan.proof) throw new Error(`plan ${plan.id} was refused`)
  await network.name(tx, plan.fabric.network.id)
  const number = plan.base + 1
  if (!(await network.advance(tx, plan.base, number))) throw new StaleBase(plan.base, (await network.get(tx))?.head ?? 0)
  await allocations.claim(tx, plan.claims)
  await tx
    .insertInto('generations')
    .values({
      number,
      base: plan.base,
      plan_id: plan.id,
      intent: json(plan.intent),
      fabric: json(plan.fabric),
      fabric_hash: plan.fabricHash,
      compiler: plan.compiler,
      site_hashes: json(siteHashes),
      verdict: 'passed',
      proof: json(plan.proof),
      operation_id: operationId,
      created_by: plan.createdBy,
      owner: plan.owner,
      fragments: json(plan.fragments),
    })
    .execute()
  return number
}
