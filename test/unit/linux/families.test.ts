/** A region with both families in the kernel of a hub: each family has a nexthop on a tunnel that carries it. */
import { expect, test } from 'vitest'
import { insidesOf, wantedTunnels } from '#providers/linux/charons.ts'
import { choicesBy, desired } from '#providers/linux/desired.ts'
import { connection } from '#providers/linux/ipsec.ts'
import { classTable } from '#providers/linux/scheme.ts'
import { configure } from '#src/compile/configure.ts'
import type { ClassId, NodeId, SiteId } from '#src/fabric/fabric.ts'
import { isIpsec } from '#src/fabric/ipsec.ts'
import { dualFabric, factsOf } from '#test/unit/compile/networks.ts'

const fabric = dualFabric()
const config = configure(fabric, factsOf(fabric), 'frankfurt' as SiteId)
const wanted = (choices: Parameters<typeof choicesBy>[0] = []) =>
  desired(config, {
    interfaces: [],
    defaults: [],
    tentative: [],
    publicKeys: new Map(),
    esp: 'userspace',
    choices: choicesBy(choices),
    leaving: null,
    keptPorts: [],
  })
/** Device by which a class table leads to a prefix. */
function by(to: string, of = wanted()): string {
  const route = of.routes.find((one) => one.to === to && one.table === classTable(0) && one.target.kind === 'nexthop')
  const id = route?.target.kind === 'nexthop' ? route.target.id : undefined
  return of.nexthops.find((one) => one.id === id && one.family === route?.family)?.device ?? ''
}

test('routes lead through the nexthop of their family, and steering one leaves the other', () => {
  expect([by('10.96.0.0/16'), by('2600:1f18:1234:5600::/56')]).toEqual(['cwi0u0m0p0', 'cwi0u0m2p0'])
  const moved = wanted([{ remote: 'aws-eu-west-1' as NodeId, trafficClass: 'default' as ClassId, arrived: 'anywhere', family: 6, hop: 2 }])
  expect([by('10.96.0.0/16', moved), by('2600:1f18:1234:5600::/56', moved)]).toEqual(['cwi0u0m0p0', 'cwi0u1m2p0'])
  expect(wanted().nexthops.filter(({ device }) => device === '')).toEqual([])
})
test('IKE agrees on the family of the inside, which has a /30 or a /126', () => {
  const tunnels = wantedTunnels(config, 'userspace').map(({ tunnel }) => tunnel)
  const of = (device: string) => tunnels.find((tunnel) => tunnel.device === device)!
  const selectors = (device: string) => (connection(of(device))[device] as { children: Record<string, Record<string, unknown>> }).children[device]
  expect(selectors('cwi0u0m0p0')).toMatchObject({ local_ts: ['0.0.0.0/0'], remote_ts: ['0.0.0.0/0'] })
  expect(selectors('cwi0u0m2p0')).toMatchObject({ local_ts: ['::/0'], remote_ts: ['::/0'] })
  expect(of('cwi0u0m2p0').inside).toMatch(/^fd[0-9a-f:]+\/126$/)
  expect(config.tunnels.filter(isIpsec).flatMap((tunnel) => insidesOf(tunnel).map((one) => one.split('/')[1]))).toEqual([
    '30',
    '30',
    '126',
    '126',
    '30',
    '30',
    '126',
    '126',
  ])
})
test('only what is behind a family’s tunnels, and the far inside, may come out of them', () => {
  const { nft } = wanted()
  const chain = (device: string): string => {
    const name = new RegExp(`iifname "${device}" goto (cloud\\d+)`).exec(nft)![1]!
    return nft.split(/^\s*chain /m).find((text) => text.startsWith(`${name} `))!
  }
  const far = (device: string) =>
    config.tunnels.find(({ interface: id }) => config.interfaces.some((one) => one.id === id && one.device === device))!.farInside
  expect(chain('cwi0u0m0p0')).toContain(`ip saddr ${far('cwi0u0m0p0')} accept`)
  expect(chain('cwi0u0m0p0')).toContain('ip saddr != 10.96.0.0/16 counter drop')
  expect(chain('cwi0u0m0p0')).toContain('meta nfproto ipv6 counter drop')
  expect(chain('cwi0u0m2p0')).toContain(`ip6 saddr ${far('cwi0u0m2p0')} accept`)
  expect(chain('cwi0u0m2p0')).toContain('ip6 saddr != 2600:1f18:1234:5600::/56 counter drop')
  expect(chain('cwi0u0m2p0')).toContain('meta nfproto ipv4 counter drop')
})
