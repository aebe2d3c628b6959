/** Two hubs and two edges that are ACTIVE: where tests of one site among others begin. */
import { berlin, dublin, frankfurt, madrid, network } from '#test/unit/compile/networks.ts'
import type { World } from './world.ts'

export const four = network({ sites: [berlin, dublin, frankfurt, madrid] })

export async function onboardFour(world: World): Promise<void> {
  await world.ended(await world.apply(four))
  for (const core of ['frankfurt', 'dublin']) await world.onboard(core)
  for (const edge of ['berlin', 'madrid']) await world.onboard(edge)
  for (const core of ['frankfurt', 'dublin']) await world.approve(core)
  await world.isActive('frankfurt', 'dublin', 'berlin', 'madrid')
}
