/** A provider on the fake, and the loop with which a region's workflow drives it. */
import { createAwsProvider, type AwsProvider, waves } from '#providers/aws/index.ts'
import type { Observed, Resource, Run, Step } from '#providers/cloud.ts'
import type { Region } from '#src/fabric/fabric.ts'
import { prefix } from '#src/net/address.ts'
import { network, sampleRegion, sampleRoutes } from '#test/contract/aws-region.ts'
import { createFakeEc2, type FakeEc2, Killed } from './fake-ec2.ts'

export const vpc = 'vpc-1'
export const never = new AbortController().signal
export const keyOf = (tunnel: string): string => `k${tunnel.replaceAll(/[^a-z0-9]/g, '.')}`

export interface World {
  readonly fake: FakeEc2
  readonly provider: AwsProvider
  readonly region: Region
  readonly wanted: readonly Resource[]
  observe(): Promise<readonly Observed[]>
  run(more?: Partial<Run>): Run
  /** Steps until none is left; a kill takes up the step with what the last heartbeat said. */
  converge(wanted?: readonly Resource[], kills?: { readonly heartbeats: boolean }): Promise<number>
}
export function createWorld(options: { readonly lag?: number; readonly takes?: number; readonly region?: Partial<Region> } = {}): World {
  const fake = createFakeEc2(options)
  fake.plant('Vpc', { id: vpc, VpcId: vpc, CidrBlockAssociationSet: [{ CidrBlock: '10.20.0.0/16', CidrBlockState: { State: 'associated' } }] })
  for (const [at, zone] of ['euw1-az1', 'euw1-az2'].entries())
    fake.plant('Subnet', { id: `subnet-${at}`, VpcId: vpc, AvailabilityZoneId: zone, CidrBlock: `10.20.${at}.0/28`, AvailableIpAddressCount: 9 })
  for (const id of ['rtb-main', 'rtb-b']) fake.plant('VpcTable', { id, VpcId: vpc })
  const region = sampleRegion(vpc, [prefix('10.20.0.0/16')], options.region)
  const create = (): AwsProvider =>
    createAwsProvider({
      client: () => fake.client,
      clock: fake.clock,
      timing: { poll: 500, gather: 0, settle: (options.lag ?? 0) + 5000, patience: 1 },
    })
  let provider = create()
  const wanted = provider.resources(network, region, sampleRoutes(region))
  const observe = (): Promise<readonly Observed[]> => provider.observe(network, region, never)
  const run = (more: Partial<Run> = {}): Run => ({
    operation: 'op-1',
    signal: never,
    heartbeat: () => {},
    resume: undefined,
    psk: async (tunnel) => keyOf(tunnel),
    cloudId: () => undefined,
    ...more,
  })

  async function apply(step: Step, heartbeats: boolean): Promise<number> {
    let resume: string | undefined
    for (let kills = 0; ; kills++) {
      try {
        await provider.apply(network, region, step, run({ resume, heartbeat: (details) => void (resume = heartbeats ? details : undefined) }))
        return kills
      } catch (error) {
        if (!(error instanceof Killed)) throw error
        provider = create()
        // The next attempt begins when the heartbeat has timed out.
        if (!heartbeats) await fake.clock.sleep(options.lag ?? 0, never)
      }
    }
  }
  return {
    fake,
    provider,
    region,
    wanted,
    observe,
    run,
    async converge(goal = wanted, { heartbeats } = { heartbeats: true }) {
      let kills = 0
      for (let round = 0; round < 6; round++) {
        const left = provider.steps(goal, await observe())
        if (left.length === 0) return kills
        for (const group of waves(left)) for (const step of group) kills += await apply(step, heartbeats)
        await fake.clock.sleep(options.lag ?? 0, never)
      }
      throw new Error(
        `does not converge: ${provider
          .steps(goal, await observe())
          .map((step) => (step.kind === 'delete' ? `delete ${step.cloudId}` : `${step.kind} ${step.resource.id}`))
          .join(', ')}`,
      )
    },
  }
}
