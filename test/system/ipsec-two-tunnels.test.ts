/** Two IPsec tunnels on one hub uplink, with the driver's code and strongSwan at both ends: what the types have to carry. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { UserspaceTunnel } from '#providers/linux/ipsec.ts'
import type { Address, AddressWithLength } from '#src/net/address.ts'
import { keys, startWorld, type World } from './ipsec-world.ts'
import { pingCommand, sayPings } from './ping.ts'

const tunnelTo = (name: 'a' | 'b', slot: number, change: Partial<UserspaceTunnel> = {}): UserspaceTunnel => ({
  device: `cwi0${name}`,
  mark: 0x10000,
  local: { address: '192.0.2.10' as Address, id: `hub-${name}`, ports: { ike: 5000 + 2 * slot, nat: 5001 + 2 * slot } },
  remote: { address: `203.0.113.${slot + 1}` as Address, id: `cloud-${name}`, port: 4500 },
  inside: `169.254.10.${2 + 4 * slot}/30` as AddressWithLength,
  initiates: true,
  proposals: { ike: ['aes256gcm16-prfsha384-ecp384'], esp: ['aes256gcm16'] },
  mtu: 1400,
  esp: 'userspace',
  table: 9001 + slot,
  ...change,
})
const far = { a: '169.254.10.1', b: '169.254.10.5' } as const
const vpc = '172.31.0.10'

let world: World
const ping = async (to: string, count: number, seconds: number, from = ''): Promise<string> =>
  sayPings(await world.run('hub', pingCommand(to, { count, seconds, more: from && `-I ${from}` })), count)
const packetsAt = async (cloud: string): Promise<number> => Number(await world.run(cloud, 'cat /sys/class/net/ipsec0/statistics/tx_packets'))
async function eventually(question: () => Promise<boolean>): Promise<boolean> {
  for (let tries = 0; tries < 60; tries++) {
    if (await question()) return true
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
  return false
}

beforeAll(async () => {
  world = await startWorld()
  // One after another: each charon's TUN has its final name before the next one is made.
  await world.start(tunnelTo('a', 0), keys.a)
  await world.start(tunnelTo('b', 1), keys.b)
})
afterAll(() => world.end())

describe('two tunnels on one uplink', () => {
  it('both carry traffic at the same time, without loss', async () => {
    expect(await Promise.all([ping(far.a, 200, 0.01), ping(far.b, 200, 0.01)])).toEqual(['200/200', '200/200'])
    expect(await world.state('cwi0a')).toMatchObject({ ike: 'ESTABLISHED', child: 'INSTALLED' })
    expect((await world.state('cwi0b')).rxBytes).toBeGreaterThanOrEqual(200 * 84)
  })

  it('are steered by an ordinary nexthop, in the middle of a stream and without loss', async () => {
    await world.run('hub', `ip nexthop add id 7 dev cwi0a && ip route add ${vpc} nhid 7 src 10.9.0.1`)
    const before = { a: await packetsAt('cloud-a'), b: await packetsAt('cloud-b') }
    const stream = ping(vpc, 200, 0.01, '10.9.0.1')
    await eventually(async () => (await packetsAt('cloud-a')) - before.a >= 50)
    expect(await world.run('hub', 'ip nexthop replace id 7 dev cwi0b')).toBe('')
    expect(await stream).toBe('200/200')
    const moved = { a: (await packetsAt('cloud-a')) - before.a, b: (await packetsAt('cloud-b')) - before.b }
    expect(moved.a).toBeGreaterThanOrEqual(50)
    // A packet of the kernel's own (IPv6 neighbour discovery) may be among them.
    expect(moved.a + moved.b).toBeGreaterThanOrEqual(200)
    expect(moved.b).toBeGreaterThan(0)
  })

  it('take nothing that has no route, although their selectors are 0/0', async () => {
    const traffic = async () =>
      (await Promise.all([world.state('cwi0a'), world.state('cwi0b')])).map(({ rxBytes, txBytes }) => ({ rxBytes, txBytes }))
    const before = await traffic()
    expect(await ping('198.18.0.1', 3, 0.1)).toBe('0/3')
    expect(await traffic()).toEqual(before)
  })
})

describe('a tunnel', () => {
  it('with a wrong key does not come up, says so, leaves nothing, and the others lose nothing', async () => {
    const stream = Promise.all([ping(far.a, 100, 0.02), ping(far.b, 100, 0.02)])
    const links = await world.run('hub', 'ls /sys/class/net')
    await expect(
      world.start(tunnelTo('a', 0, { device: 'cwi0c', local: { ...tunnelTo('a', 0).local, ports: { ike: 5010, nat: 5011 } }, table: 9009 }), 'wrong'),
    ).rejects.toThrow(
      'D044 the IPsec tunnel cwi0c to 203.0.113.1 does not come up (charon refuses "initiate": establishing CHILD_SA \'cwi0c\' failed)',
    )
    expect(await stream).toEqual(['100/100', '100/100'])
    expect(await world.run('hub', 'ls /sys/class/net')).toBe(links)
  })

  it('comes back by itself when the cloud closes it, under the same name', async () => {
    await world.run('cloud-a', 'swanctl --terminate --ike cloud --uri unix:///run/cloud-a/vici')
    expect(await eventually(async () => (await ping(far.a, 5, 0.01)) === '5/5')).toBe(true)
    expect(await ping(far.b, 5, 0.01)).toBe('5/5')
  })

  it("comes back by itself when the cloud's endpoint dies without a word", async () => {
    await world.restartCloud()
    expect(await eventually(async () => (await ping(far.a, 5, 0.01)) === '5/5')).toBe(true)
    expect(await ping(far.b, 5, 0.01)).toBe('5/5')
  })

  it('that is stopped leaves nothing, and its neighbour runs on', async () => {
    await world.stop('cwi0a')
    expect((await world.run('hub', 'ls /sys/class/net')).split('\n')).not.toContain('cwi0a')
    expect(await world.run('hub', 'ip route show table 9001')).not.toContain('default')
    expect(await world.run('hub', 'ip rule')).not.toContain('lookup 9001')
    expect(await ping(far.b, 20, 0.01)).toBe('20/20')
    await world.start(tunnelTo('a', 0), keys.a)
    expect(await Promise.all([ping(far.a, 20, 0.01), ping(far.b, 20, 0.01)])).toEqual(['20/20', '20/20'])
  })
})
