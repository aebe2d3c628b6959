/** Whose a change is, where several write the network: a hub of one owner gets peers by what another says. */
import type { Handover, Owner, Thing } from '#src/fabric/owners.ts'
import type { Plan } from './plan.ts'

/** What people are told of owners beside a plan; the controller's answer has it, and an offline plan knows a part. */
export interface Ownership {
  /** Whose fragments the plan changes; null: nobody's in particular. */
  readonly owner: Owner | null
  readonly others: readonly Owner[]
  /** Of what changes, what is not its owner's. */
  readonly owners: Readonly<Record<Thing, Owner>>
  readonly handed: readonly Handover[]
  /** Files recorded otherwise than they were. */
  readonly rewritten: number
}

export function foreignChanges({ changes, regions, peers }: Plan, owner: Owner, owners: ReadonlyMap<Thing, Owner>): Readonly<Record<Thing, Owner>> {
  const things = [
    ...changes.map(({ site }) => `site/${site}`),
    ...regions.map(({ region }) => `region/${region}`),
    ...peers.map(({ peer }) => `peer/${peer}`),
  ]
  return Object.fromEntries(
    things.flatMap((thing) => {
      const other = owners.get(thing)
      return other === undefined || other === owner ? [] : [[thing, other]]
    }),
  )
}
