/** A region with both families: what holds of one is proven of it, and what is built wrong for one is told of it. */
import { expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import type { Fabric, Failure, Finding, SharedGroup, SiteId, TunnelId } from '#src/fabric/fabric.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { address } from '#src/net/address.ts'
import { downWith } from '#src/verify/failures.ts'
import { walk } from '#src/verify/forward.ts'
import { modelOf } from '#src/verify/model.ts'
import { readFailure } from '#src/verify/question.ts'
import { verify } from '#src/verify/verify.ts'
import { neverUsed } from '#src/verify/words.ts'
import { dualFabric, dualNetwork, reach } from '#test/unit/compile/networks.ts'

const fabric = dualFabric()
const packet = (family: 4 | 6) => ({
  source: address(family === 4 ? '10.1.10.10' : 'fd10:0::a'),
  destination: address(family === 4 ? '10.96.1.10' : '2600:1f18:1234:5600::a'),
  protocol: 'tcp' as const,
  port: 8443,
})
const failures = (...names: readonly string[]): readonly Failure[] => names.map((name) => readFailure(fabric, name)!)
/** By which connection it came to the region, or where it ended. */
function came(family: 4 | 6, ...without: readonly string[]): string {
  const { hops, outcome } = walk(modelOf(fabric), packet(family), downWith(fabric, failures(...without)).down)
  return outcome.kind === 'delivered'
    ? hops.at(-1)!.hop.tunnel.replace(/\.\d$/, '')
    : `${outcome.kind === 'dropped' ? outcome.why : ''} at ${outcome.at}`
}
const ofHub = (one: Fabric, id: string, edit: (group: SharedGroup) => readonly SharedGroup[]): Fabric => ({
  ...one,
  sites: one.sites.map((site) => (site.id === id ? { ...site, groups: site.groups.flatMap(edit) } : site)),
})
const texts = (findings: readonly Finding[]) => findings.filter(({ severity }) => severity === 'error').map(({ code, says }) => `${code} ${says}`)

test('each family goes by its own connections, and the loss of one moves that one alone', () => {
  const lost = 'frankfurt.isp-a:v6--aws-eu-west-1'
  expect([came(4), came(6)]).toEqual(['frankfurt.isp-a--aws-eu-west-1', lost])
  expect([came(4, lost), came(6, lost)]).toEqual(['frankfurt.isp-a--aws-eu-west-1', 'frankfurt.isp-b:v6--aws-eu-west-1'])
  const all = fabric.regions[0]!.connections.filter(({ id }) => id.endsWith(':v6')).map(({ id }) => `${id}--aws-eu-west-1`)
  const here = all.filter((one) => one.startsWith('frankfurt'))
  expect([came(4, ...here), came(6, ...here)]).toEqual(['frankfurt.isp-a--aws-eu-west-1', 'dublin.isp-a:v6--aws-eu-west-1'])
  expect([came(4, ...all), came(6, ...all)]).toEqual(['frankfurt.isp-a--aws-eu-west-1', 'all-down at dublin'])
})
test('what must survive a connection is asked of both: one hub uplink of IPv6 too few is found', () => {
  const intent = {
    ...dualNetwork({ hubs: ['frankfurt' as SiteId] }),
    expect: [{ ...reach('edge/inference -> aws-eu-west-1/inference'), survives: ['connection' as const] }],
  }
  const sound = compile(intent, []).fabric!
  expect(texts(verify(sound).findings)).toEqual([])
  const gone = (id: string) => id.startsWith('frankfurt.isp-b:v6')
  const poor: Fabric = {
    ...sound,
    tunnels: sound.tunnels.filter(({ id }) => !gone(id)),
    regions: sound.regions.map((region) => ({
      ...region,
      connections: region.connections.filter(({ id }) => !gone(id)),
      groups: region.groups.map((group) => ({ ...group, via: group.via.filter(({ tunnel }) => !gone(tunnel)) })),
    })),
    sites: sound.sites.map((site) => ({
      ...site,
      groups: site.groups.map((group) => ({ ...group, via: group.via.filter(({ tunnel }) => !gone(tunnel)) })),
    })),
  }
  expect(texts(verify(poor).findings)).toEqual(['V003 berlin loses aws-eu-west-1/inference if frankfurt.isp-a:v6--aws-eu-west-1 fails'])
})
test('a class without a group for one family of a remote: V022', () => {
  const half = ofHub(fabric, 'frankfurt', (group) => (group.family === 6 && group.trafficClass === 'bulk' ? [] : [group]))
  expect(texts(verify(half).findings)).toContain('V022 frankfurt routes to aws-eu-west-1, but class bulk has no group for it in IPv6')
})
test('a tunnel of the other family is not told as one that a class never takes', () => {
  const [group] = groupsOf(fabric.sites.find(({ id }) => id === 'frankfurt')!).filter(({ remote }) => remote === 'aws-eu-west-1')
  const own = group!.via.filter(({ next }) => next === 'aws-eu-west-1').map(({ tunnel }) => tunnel)
  const told = neverUsed(fabric, 'frankfurt' as SiteId, { ...group!, via: [] })
  expect(told.map(({ id }) => id).sort()).toEqual(own.sort())
})
test('a tunnel does not carry the other family, whatever a group says', () => {
  const six = (tunnel: string) => tunnel.replace(/^(frankfurt\.isp-.)--/, '$1:v6--') as TunnelId
  const wrong = ofHub(fabric, 'frankfurt', (group) => [
    group.family === 4 ? { ...group, via: group.via.map((hop) => ({ ...hop, tunnel: six(hop.tunnel) })) } : group,
  ])
  expect(walk(modelOf(wrong), packet(4), () => false).outcome).toMatchObject({ kind: 'dropped', at: 'frankfurt', why: 'peer' })
})
test('packets that go round in one family are found in it', () => {
  const via = fabric.tunnels.find(({ role }) => role === 'mesh')!
  const round = (id: string, next: string) => (one: Fabric) =>
    ofHub(one, id, (group) => {
      const hop = { tunnel: via.id, next: next as SiteId, stage: 0, cost: 1, returnAfter: 0 }
      return [group.family === 6 && group.trafficClass === 'bulk' && group.arrived === 'mesh' ? { ...group, via: [hop, ...group.via] } : group]
    })
  const both = round('dublin', 'frankfurt')(round('frankfurt', 'dublin')(fabric))
  expect(texts(verify(both).findings)).toContain('V020 packets of class bulk for aws-eu-west-1 can go round: dublin → frankfurt → dublin')
})
