/** A hub that is gone tells nobody. The cloud's own word on its tunnels moves the return routes, and only that. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
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
          subnets: [{ id: 'subnet-0a1b2c3d4e5f60001', cidr: '10.96.1.0/24', zone: 'eu-west-1a' }],
          routeTables: [{ id: 'rtb-0a1b2c3d4e5f60001', main: true }],
          hosts: [{ name: 'vpc-model', address: '10.96.1.10', subnet: 'subnet-0a1b2c3d4e5f60001', groups: ['tag:causeway:network'] }],
        },
      ],
    },
  ],
}
const small = networkFiles(['berlin'])
const files = {
  ...small,
  'network.yaml': small['network.yaml']!.replace('[frankfurt]', '[frankfurt, dublin]').replace(
    'at: core/inference',
    `at: [core/inference, ${region}/inference]`,
  ),
  'dublin.yaml': twoHubs(['berlin'])['dublin.yaml']!,
  [`${region}.yaml`]: `region: ${region}\nprovider: aws\nsegments:\n  inference: { vpcs: ${vpc}, prefixes: 10.96.0.0/16 }\n`,
}

interface Detail {
  readonly state: string
  readonly connections: readonly { readonly hub: string; readonly tunnels: readonly { readonly state: string }[] }[]
  readonly routes: readonly { readonly to: string; readonly via: string }[]
}
let world: World
const detail = () => world.get<Detail>(`/v1/regions/${region}`)
/** By which hub the cloud reaches berlin, as it is ordered. */
const way = async () => (await detail()).routes.find(({ to }) => to.startsWith('10.1.'))?.via.split('.')[0]
const tunnelsOf = async (hub: string) =>
  (await detail()).connections.filter((of) => of.hub === hub).flatMap((of) => of.tunnels.map(({ state }) => state))
const answers = async () =>
  (
    await world.lab.exec('berlin-inference', [
      'sh',
      '-c',
      "printf 'GET / HTTP/1.1\\r\\n\\r\\n' | timeout 4 socat -t 2 - TCP:10.96.1.10:8443,connect-timeout=2 2>/dev/null",
    ])
  ).stdout.includes('vpc-model')

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
    /leaves frankfurt\.isp-a, frankfurt\.isp-b: frankfurt told nothing, and the cloud sees no tunnel up/,
  )
})

it('with the hub they come back', async () => {
  await world.lab.heal('all')
  await world.agent('frankfurt')
  await until('its tunnels are up', 60, async () => (await tunnelsOf('frankfurt')).every((state) => state === 'UP'))
  await until('the routes are back', 30, async () => (await way()) === 'frankfurt')
  await until('the VPC answers berlin', 20, answers)
})
