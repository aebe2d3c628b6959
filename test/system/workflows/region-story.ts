/** A region's whole life in the fake cloud, for recording and for kills. Uses every activity of a region. */
import { regions } from '#src/controller/store/index.ts'
import type { FakeCloud } from './fake-cloud.ts'
import { cloudy, kinds, region, resourcesOf } from './region-life.ts'
import type { World } from './world.ts'

export async function liveThroughRegion(world: World, cloud: FakeCloud): Promise<void> {
  const row = async () => await regions.get(world.store.db, region)
  const onboarded = async () => {
    await world.onboard('frankfurt')
    await world.approve('frankfurt')
    await world.onboard('berlin')
  }
  const permit = cloud.refuse('create gateway', 'Unauthorized', Number.POSITIVE_INFINITY)
  const first = await world.ended(await world.apply(cloudy()))
  if (first.state !== 'succeeded') throw new Error(JSON.stringify(first))
  await world.until('the region FAILED', async () => (await row())?.state === 'FAILED')
  permit()
  await world.ended(await world.regionCommand('region-repair', region))
  await onboarded()
  await world.until('the region is ACTIVE', async () => (await row())?.state === 'ACTIVE')
  const hub = world.fleet.gateways.get('frankfurt')
  hub?.cut('frankfurt.isp-a--')
  await world.until('the routes have moved', async () => (await row())?.down.length === 1)
  hub?.cut(null)
  await world.until('the routes are back', async () => (await row())?.down.length === 0)
  hub?.unplug()
  cloud.dark('frankfurt.isp-a--')
  await world.until('the routes have moved for a silent hub', async () => (await row())?.down.length === 1)
  cloud.dark(null)
  hub?.plugIn()
  await world.until('the routes are back again', async () => (await row())?.down.length === 0)
  // A comparison with the cloud finds nothing.
  const checked = (await row())?.checked_at?.getTime() ?? 0
  await world.until('it was compared with the cloud', async () => ((await row())?.checked_at?.getTime() ?? 0) > checked)
  await world.isActive('frankfurt', 'berlin')
  const drilled = await world.ended((await world.drill('berlin', 'fiber')).operationId)
  if (drilled.state !== 'succeeded') throw new Error(JSON.stringify(drilled))
  if (JSON.stringify(kinds(cloud)) !== JSON.stringify(resourcesOf())) throw new Error(`the cloud holds ${JSON.stringify(kinds(cloud))}`)
  const gone = await world.ended(await world.regionCommand('region-decommission', region))
  if (gone.state !== 'succeeded') throw new Error(JSON.stringify(gone))
}
