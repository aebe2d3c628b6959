/** Nothing was done twice: judged by the rows that are left, after a life with kills in it. */
import { expect } from 'vitest'
import type { World } from './world.ts'

/** One generation an apply, one bundle a triple and none without a reason, one certificate a box; nobody tried a bundle twice. */
export async function happenedOnce(world: World, boxes = 3): Promise<void> {
  const { db } = world.store
  const certificates = await db.selectFrom('certificates').select(['site', 'serial']).execute()
  expect([...new Set(certificates.map(({ site }) => site))].sort()).toEqual(['berlin', 'frankfurt', 'oslo'])
  expect(certificates).toHaveLength(boxes)
  for (const [site, { tried }] of world.fleet.gateways) {
    const triples = tried.map(({ triple }) => `${triple.term}/${triple.generation}/${triple.revision}`)
    expect({ site, triples }).toEqual({ site, triples: [...new Set(triples)] })
  }
  // Revisions count up without a gap, and each says something else than the one before.
  const rows = await db
    .selectFrom('bundles')
    .select(['site', 'generation', 'revision', 'hash'])
    .orderBy('site')
    .orderBy('generation')
    .orderBy('revision')
    .execute()
  const series = Map.groupBy(rows, ({ site, generation }) => `${site} ${generation}`)
  for (const bundles of series.values()) {
    expect(bundles.map(({ revision }) => revision)).toEqual(bundles.map((_, index) => index))
    expect(bundles.filter(({ hash }, index) => hash === bundles[index - 1]?.hash)).toEqual([])
  }
  const allocated = await db.selectFrom('allocations').select(['kind', 'owner']).execute()
  expect(new Set(allocated.map(({ kind, owner }) => `${kind} ${owner}`)).size).toBe(allocated.length)
}
