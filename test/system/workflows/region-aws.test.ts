/** The same workflows with the real SDK against the emulated EC2, a process of its own: made, changed by hand, taken down. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DeleteTransitGatewayRouteCommand, DescribeTransitGatewayRouteTablesCommand, SearchTransitGatewayRoutesCommand } from '@aws-sdk/client-ec2'
import { createAwsProvider } from '#providers/aws/index.ts'
import { operations, regions } from '#src/controller/store/index.ts'
import type { Intent } from '#src/intent/intent.ts'
import { type Cloud, clouds } from '#test/contract/clouds.ts'
import { startWorker, type RunningWorker } from '#workflows/worker.ts'
import { fetchHistories, leaks } from './histories.ts'
import { model } from './model.ts'
import { cloudy, region } from './region-life.ts'
import { startWorld, type World } from './world.ts'

let world: World
let cloud: Cloud
let worker: RunningWorker
const provider = () => createAwsProvider({ client: cloud.client, timing: cloud.timing })
beforeAll(async () => {
  const kind = clouds.find(({ name }) => name === 'the emulator')
  if (kind === undefined) throw new Error('no emulator')
  cloud = await kind.start()
  world = await startWorld()
  const aws = provider()
  worker = await startWorker({
    address: world.temporal.address,
    namespace: 'default',
    deps: { store: world.store, model, offlineAfter: 30_000, vault: world.vault, clouds: async () => aws },
  })
})
afterAll(async () => {
  await worker?.close()
  await world?.stop()
  await cloud?.close()
})

const intent = (): Intent => {
  const base = cloudy()
  // Frankfurt's training has the VPC's prefix.
  const sites = base.sites.map((site) => ({ ...site, lans: site.lans.filter((lan) => lan.segment !== 'training') }))
  return { ...base, sites, regions: base.regions.map((of) => ({ ...of, networks: [{ id: cloud.vpc, prefixes: cloud.prefixes }] })) }
}
const row = async () => {
  const found = await regions.get(world.store.db, region)
  if (found === undefined) throw new Error('no region')
  return found
}
const sweep = async () => await provider().sweep('demo' as never, [cloud.location], new AbortController().signal)

test('a region is made as the intent says, and ACTIVE when its hub reports the tunnels', async () => {
  expect(await world.ended(await world.apply(intent()))).toMatchObject({ state: 'succeeded' })
  await world.onboard('frankfurt')
  await world.approve('frankfurt')
  await world.until('the region is ACTIVE', async () => {
    const { state, finding } = await row()
    if (state === 'FAILED') throw new Error(JSON.stringify(finding))
    return state === 'ACTIVE'
  })
  expect(await row()).toMatchObject({ finding: null, findings: [] })
  const types = (await sweep()).map(({ type }) => type)
  expect({
    gateways: types.filter((of) => of === 'transit-gateway').length,
    connections: types.filter((of) => of === 'vpn-connection').length,
  }).toEqual({ gateways: 1, connections: 2 })
})

test('a return route that was deleted by hand is made again by a repair', async () => {
  const client = cloud.client(cloud.location, 'again')
  const tables = (await client.send(new DescribeTransitGatewayRouteTablesCommand({}))).TransitGatewayRouteTables ?? []
  const routes = async () =>
    (
      await Promise.all(
        tables.map(async ({ TransitGatewayRouteTableId }) =>
          (
            (
              await client.send(
                new SearchTransitGatewayRoutesCommand({ TransitGatewayRouteTableId, Filters: [{ Name: 'type', Values: ['static'] }] }),
              )
            ).Routes ?? []
          ).map((of) => ({ table: TransitGatewayRouteTableId, to: of.DestinationCidrBlock })),
        ),
      )
    ).flat()
  const before = await routes()
  expect(before.length).toBeGreaterThan(0)
  await client.send(new DeleteTransitGatewayRouteCommand({ TransitGatewayRouteTableId: before[0]?.table, DestinationCidrBlock: before[0]?.to }))
  expect(await world.ended(await world.regionCommand('region-repair', region))).toMatchObject({ state: 'succeeded', findings: [] })
  expect((await routes()).length).toBe(before.length)
})

test('decommissioned, a sweep finds nothing, and no key was in any history', async () => {
  const keys = await Promise.all(
    (await world.store.db.selectFrom('facts').select('fact').where('kind', '=', 'psk').execute()).map(async ({ fact }) =>
      fact.kind === 'psk' ? (await world.vault.get(fact.ref)).toString() : '',
    ),
  )
  expect(keys).toHaveLength(4)
  expect(await world.ended(await world.regionCommand('region-decommission', region))).toMatchObject({ state: 'succeeded' })
  expect((await sweep()).filter(({ state }) => state !== 'deleting')).toEqual([])
  expect(leaks(await fetchHistories(world.temporal.address), keys)).toEqual([])
  expect(await operations.open(world.store.db)).toEqual([])
})
