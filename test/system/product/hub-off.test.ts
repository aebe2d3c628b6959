/**
 * A region with both families. The connections of one are lost without the other. And a hub that is gone tells nobody: the
 * cloud's own word on its tunnels moves the return routes, and only that.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Family } from '#src/net/address.ts'
import { networkFiles, openWorld, twoHubs, until, type World } from './world.ts'

const region = 'aws-eu-west-1'
const vpc = 'vpc-0a1b2c3d4e5f60718'
const seed = {
  regions: [
    {
      name: 'eu-west-1',
      outside: '203.0.113.0/25',
      vpcs: [
        {
          id: vpc,
          cidr: '10.96.0.0/16',
          ipv6: '2600:1f18:1234:5600::/56',
          subnets: [{ id: 'subnet-0a1b2c3d4e5f60001', cidr: '10.96.1.0/24', ipv6: '2600:1f18:1234:5600::/64', zone: 'eu-west-1a' }],
          routeTables: [{ id: 'rtb-0a1b2c3d4e5f60001', main: true }],
          hosts: [
            {
              name: 'vpc-model',
              address: '10.96.1.10',
              ipv6: '2600:1f18:1234:5600::a',
              subnet: 'subnet-0a1b2c3d4e5f60001',
              groups: ['tag:causeway:network'],
            },
          ],
        },
      ],
    },
  ],
}
const small = networkFiles(['berlin'])
const withIpv6 = (text: string, six: string): string => text.replace(/prefixes: (10\.[0-9./]+)/, `prefixes: [$1, "${six}"]`)
const files = {
  ...small,
  'network.yaml': small['network.yaml']!.replace('[frankfurt]', '[frankfurt, dublin]').replace(
    'at: core/inference',
    `at: [core/inference, ${region}/inference]`,
  ),
  'berlin.yaml': withIpv6(small['berlin.yaml']!, 'fd10:1::/64'),
  'frankfurt.yaml': withIpv6(small['frankfurt.yaml']!, 'fd10:10::/64'),
  'dublin.yaml': withIpv6(twoHubs(['berlin'])['dublin.yaml']!, 'fd10:11::/64'),
  [`${region}.yaml`]: `region: ${region}\nprovider: aws\nsegments:\n  inference: { vpcs: ${vpc}, prefixes: [10.96.0.0/16, "2600:1f18:1234:5600::/56"] }\n`,
}

interface Detail {
  readonly state: string
  readonly connections: readonly {
    readonly id: string
    readonly hub: string
    readonly tunnels: readonly { readonly state: string; readonly outside: string | null }[]
  }[]
  readonly routes: readonly { readonly to: string; readonly via: string }[]
}
let world: World
const detail = () => world.get<Detail>(`/v1/regions/${region}`)
/** By which connection the cloud reaches berlin in a family, as it is ordered. */
const berlin = { 4: '10.1.', 6: 'fd10:1::' } as const
const viaOf = async (family: Family) => (await detail()).routes.find(({ to }) => to.startsWith(berlin[family]))?.via ?? ''
/** By which hub, in both. */
const way = async () => [...new Set((await Promise.all(([4, 6] as const).map(viaOf))).map((via) => via.split('.')[0]))].join(' or ')
const tunnelsOf = async (hub: string) =>
  (await detail()).connections.filter((of) => of.hub === hub).flatMap((of) => of.tunnels.map(({ state }) => state))
const target = { 4: 'TCP:10.96.1.10', 6: 'TCP6:[2600:1f18:1234:5600::a]' } as const
const answersIn = async (family: Family) =>
  (
    await world.lab.exec('berlin-inference', [
      'sh',
      '-c',
      `printf 'GET / HTTP/1.1\\r\\n\\r\\n' | timeout 4 socat -t 2 - ${target[family]}:8443,connect-timeout=2 2>/dev/null`,
    ])
  ).stdout.includes('vpc-model')
const answers = async () => (await Promise.all(([4, 6] as const).map(answersIn))).every((answered) => answered)

beforeAll(async () => {
  world = await openWorld(['berlin'], files, seed)
  const applied = await world.cli('apply', '--yes')
  expect(applied.code, applied.stderr).toBe(0)
  await world.onboard('frankfurt', 'dublin', 'berlin')
  await until('the region carries traffic by all tunnels', 120, async () => {
    const { state, connections } = await detail()
    return state === 'ACTIVE' && connections.every(({ tunnels }) => tunnels.every((of) => of.state === 'UP'))
  })
  await until('the VPC answers berlin', 20, answers)
}, 240_000)
afterAll(async () => {
  await world?.close()
})

it('what is lost of one family moves that family, there and back, and leaves the other', async () => {
  expect([await viaOf(4), await viaOf(6)]).toEqual(['frankfurt.isp-a', 'frankfurt.isp-a:v6'])
  const six = async () => (await detail()).connections.filter(({ id, hub }) => hub === 'frankfurt' && id.endsWith(':v6'))
  const outsides = (await six()).flatMap(({ tunnels }) => tunnels.map(({ outside }) => outside)).join(', ')
  const cut = `table ip lost { chain out { type filter hook output priority -400; ip daddr { ${outsides} } drop; }; chain in { type filter hook prerouting priority -400; ip saddr { ${outsides} } drop; }; }`
  expect((await world.lab.exec('frankfurt', ['nft', cut])).stderr).toBe('')
  await until('the IPv6 return route has moved', 30, async () => (await viaOf(6)) === 'dublin.isp-a:v6')
  await until('the VPC answers berlin over IPv6, by way of dublin', 20, () => answersIn(6))
  expect([await viaOf(4), await answersIn(4)]).toEqual(['frankfurt.isp-a', true])
  expect((await world.cli('event', 'list')).stdout).toMatch(/leaves frankfurt\.isp-a:v6, frankfurt\.isp-b:v6$/m)
  await world.lab.exec('frankfurt', ['nft', 'delete', 'table', 'ip', 'lost'])
  await until('its IPv6 tunnels are up again', 60, async () => (await six()).every(({ tunnels }) => tunnels.every(({ state }) => state === 'UP')))
  await until('the IPv6 return route is back', 60, async () => (await viaOf(6)) === 'frankfurt.isp-a:v6')
  await until('the VPC answers berlin', 20, answers)
})

it('a hub whose agent alone is gone keeps its routes: it is silent, and its tunnels still carry', async () => {
  expect(await way()).toBe('frankfurt')
  await world.lab.stop('agent-frankfurt', 'SIGKILL')
  await until('it is known to be silent', 40, async () => (await tunnelsOf('frankfurt')).every((state) => state === 'unknown'))
  // Asked every 2 s in a lab.
  await sleep(6_000)
  expect(await way()).toBe('frankfurt')
  expect(await answers()).toBe(true)
})

it('when its tunnels end as well, the routes move as soon as the cloud sees it, and berlin is answered', async () => {
  // As a power cut would: no packet says goodbye, and a kernel's own WireGuard goes too.
  for (const uplink of ['isp-a', 'isp-b']) await world.lab.line(`frankfurt.${uplink}`, { cut: 'all' })
  const died = await world.lab.exec('frankfurt', [
    'sh',
    '-c',
    'for p in $(pgrep charon); do [ "$(readlink /proc/$p/ns/net)" = "$(readlink /proc/self/ns/net)" ] && kill -9 $p && echo gone; done',
  ])
  expect(died.stdout.split('gone').length - 1).toBeGreaterThanOrEqual(1)
  const at = Date.now()
  // AWS gives a peer up after 30 s at the least; so does the emulated one.
  await until('the routes have moved', 60, async () => (await way()) === 'dublin')
  expect(Date.now() - at).toBeGreaterThan(5_000)
  await until('the VPC answers berlin again', 20, answers)
  expect((await world.cli('event', 'list')).stdout).toMatch(
    /leaves frankfurt\.isp-a, frankfurt\.isp-a:v6, frankfurt\.isp-b, frankfurt\.isp-b:v6: frankfurt told nothing, and the cloud sees no tunnel up/,
  )
})

it('with the hub they come back', async () => {
  await world.lab.heal('all')
  await world.agent('frankfurt')
  await until('its tunnels are up', 60, async () => (await tunnelsOf('frankfurt')).every((state) => state === 'UP'))
  await until('the routes are back', 30, async () => (await way()) === 'frankfurt')
  await until('the VPC answers berlin', 20, answers)
})
