/** A region of two connections and one VPC, made and removed in the emulator at its own pace: time and calls against the least possible. */
import { clouds } from '#test/contract/clouds.ts'
import { network, sampleRegion, sampleRoutes } from '#test/contract/aws-region.ts'
import { createAwsProvider, waves } from '#providers/aws/index.ts'
import type { Run, Step } from '#providers/cloud.ts'
import type { Figures } from './measure.ts'

/** What the emulator takes for the longest chain: transit gateway, VPN connection, association; milliseconds. */
const criticalPath = 2500 + 3000 + 1500
const poll = 250
/** What each type takes there, milliseconds. */
const durations = { gateway: 2500, tables: 1000, customers: 1000, connections: 3000, attachments: 2000, associations: 1500 }
/** Each change once; each type looked at before; what takes time every `poll`; what is there at once (groups, both kinds of routes) once after. */
const leastCalls = (changing: number): number => changing + 9 + Object.values(durations).reduce((sum, time) => sum + Math.ceil(time / poll), 0) + 3

const settled = new AbortController().signal

export async function run(): Promise<Figures> {
  const cloud = await clouds[0]!.start({ timeScale: 1 })
  try {
    const provider = createAwsProvider({ client: cloud.client, timing: { poll, gather: 25, settle: 3000 } })
    const region = sampleRegion(cloud.vpc, cloud.prefixes)
    const wanted = provider.resources(network, region, sampleRoutes(region))
    const ids = new Map<string, string>()
    const run: Run = {
      operation: 'bench',
      signal: settled,
      heartbeat: () => {},
      resume: undefined,
      psk: async () => 'key.of.the.bench',
      cloudId: (of) => ids.get(of),
    }
    const walk = async (steps: readonly Step[]): Promise<number> => {
      const begun = performance.now()
      for (const group of waves(steps)) {
        const facts = (await Promise.all(group.map((step) => provider.apply(network, region, step, run)))).flat()
        for (const fact of facts) if (fact.kind === 'cloud') ids.set(fact.resource, fact.cloudId)
      }
      return performance.now() - begun
    }
    const making = provider.steps(wanted, await provider.observe(network, region, settled))
    const observing = provider.calls.total()
    const madeIn = await walk(making)
    const calls = provider.calls.total() - observing
    const changing = [...provider.calls.calls].filter(([action]) => !/^(Describe|Search)/.test(action)).reduce((sum, [, n]) => sum + n, 0)
    const before = provider.calls.total()
    await provider.observe(network, region, settled)
    const oneLook = provider.calls.total() - before
    const removedIn = await walk(provider.steps([], await provider.observe(network, region, settled)))
    return {
      create_s: madeIn / 1000,
      create_over_critical_path: madeIn / criticalPath,
      remove_s: removedIn / 1000,
      resources: wanted.length,
      calls,
      changing_calls: changing,
      calls_over_least: calls / leastCalls(changing),
      calls_of_one_observation: oneLook,
    }
  } finally {
    await cloud.close()
  }
}
