/** A hub's ways to a region with both families: chosen in each by itself, also while a second family comes or goes. */
import { expect, test } from 'vitest'
import { createChooser } from '#src/agent/choices.ts'
import { createProbed, type ProbedPath } from '#src/agent/paths.ts'
import { compile } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import type { Fabric, SiteConfig, SiteId, TunnelId } from '#src/fabric/fabric.ts'
import { cloud, dualFabric, dualNetwork, factsOf } from '#test/unit/compile/networks.ts'

const configOf = (fabric: Fabric): SiteConfig => configure(fabric, factsOf(fabric), 'frankfurt' as SiteId)
const both = configOf(dualFabric())
const four = configOf(compile(dualNetwork({ networks: cloud.networks }), []).fabric!)

function hub(config: SiteConfig) {
  const chooser = createChooser()
  const byTunnel = new Map<TunnelId, ProbedPath>(config.tunnels.map((tunnel) => [tunnel.id, createProbed(tunnel, config, 0, () => 0)]))
  for (const { path } of byTunnel.values()) Object.assign(path, { alive: 'UP', remoteState: 'UP', rttMs: 10, upSince: 0 })
  const ways = (of: SiteConfig) =>
    chooser
      .chosen(of)
      .filter(({ group }) => group.remote === 'aws-eu-west-1' && group.trafficClass === 'default' && group.arrived === 'anywhere')
      .map(({ group: { family }, tunnel }) => `${family ?? 'either'} ${tunnel}`)
  return {
    chooser,
    down(...names: readonly string[]) {
      for (const [id, { path }] of byTunnel) if (names.some((name) => id.startsWith(name))) path.alive = 'DOWN'
    },
    ways(now: number) {
      const { moved } = chooser.decide(config, byTunnel, now)
      return { ways: ways(config), moved: new Set(moved.filter(({ remote }) => remote === 'aws-eu-west-1').map(({ family }) => family)) }
    },
    /** Where it is after the change to another configuration. */
    after(next: SiteConfig) {
      chooser.load(chooser.startOf(config, next, 0))
      return ways(next)
    },
  }
}

test('the loss of one family’s connections moves the groups of that family', () => {
  const { ways, down } = hub(both)
  expect(ways(0).ways).toEqual(['4 frankfurt.isp-a--aws-eu-west-1.0', '6 frankfurt.isp-a:v6--aws-eu-west-1.0'])
  down('frankfurt.isp-a:v6--')
  expect(ways(100)).toEqual({ ways: ['4 frankfurt.isp-a--aws-eu-west-1.0', '6 frankfurt.isp-b:v6--aws-eu-west-1.0'], moved: new Set([6]) })
  down('frankfurt.isp-b:v6--')
  expect(ways(200).ways[1]).toMatch(/^6 dublin\..*--frankfurt\./)
})
test('a second family that comes, or goes, leaves the other on the tunnel that it takes', () => {
  const before = hub(four)
  before.down('frankfurt.isp-a--aws')
  expect(before.ways(0).ways).toEqual(['either frankfurt.isp-b--aws-eu-west-1.0'])
  expect(before.after(both)).toEqual(['4 frankfurt.isp-b--aws-eu-west-1.0', '6 frankfurt.isp-a:v6--aws-eu-west-1.0'])
  const after = hub(both)
  after.down('frankfurt.isp-a--aws', 'frankfurt.isp-a:v6')
  after.ways(0)
  expect(after.after(four)).toEqual(['either frankfurt.isp-b--aws-eu-west-1.0'])
})
