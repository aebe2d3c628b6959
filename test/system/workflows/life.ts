/** A small network's whole life: one hub, two edges, a change, one that is undone, one held, one aborted, a farewell. Uses every activity. */
import { edge, fourClasses, frankfurt, hubOrder, isolate, network } from '#test/unit/compile/networks.ts'
import { replacements } from '#src/controller/store/index.ts'
import type { Intent } from '#src/intent/intent.ts'
import type { World } from './world.ts'

const hubs = { hubs: hubOrder.hubs.slice(0, 1) }
const berlin = edge('berlin', { inference: ['10.1.10.0/24'] }, hubs)
const oslo = edge('oslo', { inference: ['10.1.12.0/24'] }, hubs)

/** Another limit of a class moves every site's config. */
export const small = (latencyMs: number): Intent =>
  network({
    sites: [berlin, frankfurt, oslo],
    hubs: hubs.hubs,
    expect: [isolate('cameras -> training')],
    classes: fourClasses.map((of) => (of.id === 'realtime' ? { ...of, sla: { ...of.sla, latencyMs } } : of)),
  })

export async function onboardAll(world: World): Promise<void> {
  const first = await world.ended(await world.apply(small(100)))
  if (first.state !== 'succeeded') throw new Error(`the first plan: ${JSON.stringify(first)}`)
  await world.onboard('frankfurt')
  await world.approve('frankfurt')
  await world.onboard('berlin')
  await world.onboard('oslo')
  await world.isActive('frankfurt', 'berlin', 'oslo')
}

async function pausedAndResumed(world: World, rollout: string): Promise<void> {
  await world.steer('pause', rollout)
  await world.isHeld(rollout)
  await world.steer('resume', rollout)
  await world.ended(rollout)
}
async function pausedAndAborted(world: World, rollout: string): Promise<void> {
  await world.steer('pause', rollout)
  await world.isHeld(rollout)
  await world.steer('abort', rollout)
  await world.ended(rollout)
}

/** Three sites come, a change reaches them, and one that berlin does not keep is undone. */
export async function onboardAndRoll(world: World): Promise<void> {
  await onboardAll(world)
  await world.ended(await world.apply(small(90)))
  const canary = world.fleet.gateways.get('berlin')
  canary?.reject((_, { generation }) => (generation === 3 ? 'no fresh connection to the controller' : null))
  await world.ended(await world.apply(small(80)))
  canary?.reject(() => null)
}

export async function liveThrough(world: World): Promise<void> {
  await onboardAndRoll(world)
  await pausedAndResumed(world, await world.apply(small(70)))
  await pausedAndAborted(world, await world.apply(small(60)))
  await serviceOnce(world)
  await exchangeOnce(world)
  await world.ended(await world.decommission('oslo'))
}

/** Drained and put back, and a window that ends by itself. */
async function serviceOnce(world: World): Promise<void> {
  await world.isActive('berlin')
  await world.ended(await world.drain('berlin', 3_600_000))
  await world.ended(await world.undrain('berlin'))
  world.fleet.gateways.get('berlin')?.passOn(1)
  await world.ended(await world.drain('berlin', 20_000))
  world.fleet.gateways.get('berlin')?.passOn(null)
  await world.isActive('berlin')
}

/** Another box takes berlin over, at its second try; a token that nobody brings ends. */
async function exchangeOnce(world: World): Promise<void> {
  const { operationId, box } = await world.replace('berlin')
  box.reject(({ tunnels }) => (tunnels.length > 0 ? 'nft refused the rules' : null))
  await world.approveNext('berlin')
  await world.until('it did not take over', async () => ((await replacements.get(world.store.db, 'berlin'))?.failed ?? '') !== '')
  await world.until('it has let go', async () => box.running()?.config.tunnels.length === 0)
  box.reject(() => null)
  await world.approveNext('berlin')
  await world.ended(operationId)
  await world.ended((await world.replace('berlin', 300)).operationId)
}
