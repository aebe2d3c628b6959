/** Addresses, numbers and ports that we decided, append-only. `compile(intent, held)` proposes, `claim` commits. */
import type { Allocation } from '#src/fabric/fabric.ts'
import { type Db, json, type Tx } from './database.ts'

/** Within which other values this one must be unique: the network, or one site for slots and ports. */
const scope = (of: Allocation): string => (of.kind === 'slot' || of.kind === 'port' ? (of.owner.split('/')[0] ?? '') : '')

/** All that are held, in a fixed order, so that the same rows compile to the same bytes. */
export async function held(db: Db): Promise<readonly Allocation[]> {
  const rows = await db.selectFrom('allocations').select(['kind', 'owner', 'value']).orderBy('kind').orderBy('owner').execute()
  return rows.map(({ kind, owner, value }) => ({ kind, owner, value }) as Allocation)
}

/** Another plan took the same value, or gave the same owner another one, since this plan was made: compile again. */
export class AllocationTaken extends Error {
  override readonly name = 'AllocationTaken'
}

/** In the generation's own transaction. Claiming what is already held with the same value changes nothing. */
export async function claim(tx: Tx, claims: readonly Allocation[]): Promise<void> {
  if (claims.length === 0) return
  const rows = claims.map((of) => ({ kind: of.kind, owner: of.owner, value: json(of.value), scope: scope(of) }))
  await tx
    .insertInto('allocations')
    .values(rows)
    .onConflict((at) => at.doNothing())
    .execute()
  const now = new Map((await held(tx)).map((of) => [`${of.kind} ${of.owner}`, JSON.stringify(of.value)]))
  for (const of of claims) {
    if (now.get(`${of.kind} ${of.owner}`) !== JSON.stringify(of.value))
      throw new AllocationTaken(`${of.kind} ${JSON.stringify(of.value)} for ${of.owner} is no longer free`)
  }
}
