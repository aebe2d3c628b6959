import { expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import type { NodeId, SharedGroup } from '#src/fabric/fabric.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { fleet } from '#test/bench/fleet.ts'

const shared = (via: readonly string[]) =>
  ({
    remotes: ['oslo', 'berlin'],
    trafficClass: 'default',
    arrived: 'anywhere',
    via: via.map((tunnel) => ({ tunnel, next: tunnel.includes('*') ? '*' : 'dublin', stage: 0, cost: 10, returnAfter: 0 })),
  }) as unknown as SharedGroup
const texts = (of: readonly SharedGroup[]) =>
  groupsOf({ id: 'vienna' as NodeId, groups: of }).map(({ remote, via }) => [remote, ...via.map((hop) => `${hop.tunnel} ${hop.next}`)])

test('a group is written out for each remote, whose name stands where `*` stood', () => {
  expect(texts([shared(['*.fiber--hub.isp', 'hub.isp--*.0', 'dublin.isp--hub.isp'])])).toEqual([
    ['berlin', 'berlin.fiber--hub.isp berlin', 'hub.isp--berlin.0 berlin', 'dublin.isp--hub.isp dublin'],
    ['oslo', 'oslo.fiber--hub.isp oslo', 'hub.isp--oslo.0 oslo', 'dublin.isp--hub.isp dublin'],
  ])
})
test('where `@` stood, each node that has a group has its own name there', () => {
  const groups = [shared(['@.fiber--hub.isp', '*.fiber--@.isp'])]
  const tunnels = (node: string) => groupsOf({ id: node as NodeId, groups })[0]!.via.map(({ tunnel }) => tunnel)
  expect(tunnels('vienna')).toEqual(['vienna.fiber--hub.isp', 'berlin.fiber--vienna.isp'])
  expect(tunnels('madrid')).toEqual(['madrid.fiber--hub.isp', 'berlin.fiber--madrid.isp'])
})
test('spokes of a kind have the same ways, once', () => {
  const { sites } = compile(fleet(200), []).fabric!
  const spokes = sites.filter((site) => !site.hub)
  const ways = new Set(spokes.flatMap(({ groups }) => groups.map(({ via }) => via)))
  // Four pairs of hubs, to each of the two and to all others, and two of the four classes say the same of the lines.
  expect(ways.size).toBe(4 * 3 * 3)
  expect(spokes.length).toBe(200)
})
test('a hub has as many as it has kinds of spokes, whatever their number', () => {
  const groups = (edges: number) => compile(fleet(edges), []).fabric!.sites.find((site) => site.hub)!.groups
  expect(groups(200)).toHaveLength(groups(100).length)
  expect(new Set(groups(200).flatMap((group) => group.remotes)).size).toBe(200 + 4 + 3)
})
