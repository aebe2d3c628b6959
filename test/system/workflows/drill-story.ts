/** A drill that a schedule commands, and whose first order traffic makes void: uses every activity of a drill. For recording and for kills. */
import { drills, drillSchedules } from '#src/controller/store/index.ts'
import { onboardAll } from './life.ts'
import type { World } from './world.ts'

/** More often than the API allows. */
export const everySeconds = 4

export async function liveThroughDrill(world: World): Promise<void> {
  const { db } = world.store
  await onboardAll(world)
  await world.until(
    'berlin carries traffic',
    async () => (await db.selectFrom('paths').select('tunnel').where('site', '=', 'berlin').execute()).length === 4,
  )
  world.fleet.gateways.get('berlin')?.moveBeforeDrills(1)
  await drillSchedules.put(db, { site: 'berlin', uplink: 'fiber', seconds: 1, everySeconds, firstAt: new Date(), createdBy: 'test' })
  await world.commands().scheduleDrills(world.store)
  await world.until('a drill was carried out', async () => (await drills.list(db)).some(({ state }) => state === 'HEALED'))
  await drillSchedules.remove(db, 'berlin', 'fiber')
  await world.commands().scheduleDrills(world.store)
  await world.until('none runs any more', async () =>
    (await drills.list(db)).every(({ state, evidence }) => state === 'REFUSED' || state === 'FAILED' || evidence !== null),
  )
}
