/** Kernel ESP of a hub towards a third party over one line of each family, on a kernel that has it. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type HubWorld, startHubWorld } from '../system/ipsec-hub-world.ts'
import { bothEnds, configOf, networkOf, ownerOf, textOf } from '../system/ipsec-partner.ts'

const [a, b] = ['frankfurt.isp-a--partner.0', 'frankfurt.isp-b--partner.1']
const network = {
  a: 'address: 192.0.2.10/24, router: 192.0.2.1',
  b: 'address: "2001:db8:b::10/64", router: "2001:db8:b::1"',
  partner: 'address: [203.0.113.200, "2001:db8:c::200"]',
  behind: ['172.20.0.0/16', 'fd20::/64'],
  mtu: 1400,
} as const
const fabric = networkOf(network)
let world: HubWorld
const { shows, bothWays, fullBothWays, sixBothWays, sends, run } = bothEnds(() => world)
const owner = ownerOf(() => world)
const hub = (command: string) => world.sh('hub', command)

beforeAll(async () => {
  world = await startHubWorld('partner')
  // The box's own default route of IPv6 leads elsewhere: only the mark makes ESP leave by its uplink.
  await hub('ip route add default via 2001:db8:a::1 dev wan0')
  await owner.start(textOf(fabric))
})
afterAll(() => world.end())

test('one charon holds a tunnel of each family, in the kernel', async () => {
  expect(await world.ask('features')).toMatchObject({ ipsec: 'kernel' })
  // Kernels before 5.8 take no such association.
  expect((await world.ask<readonly string[]>('check', configOf(fabric))).filter((one) => one.startsWith('D018'))).toEqual([])
  await run(fabric)
  await shows(`${a} UP carries`, `${b} UP`)
  await sends('1 2')
  expect(await world.ask('drift', configOf(fabric))).toEqual([])
  const states = await hub('ip xfrm state')
  for (const ends of ['src 192.0.2.10 dst 203.0.113.200', 'src 2001:db8:b::10 dst 2001:db8:c::200'])
    expect(states.split(/^(?=src )/m).find((one) => one.startsWith(ends))).toMatch(/encap type espinudp/)
})

test('either carries both families both ways, the largest packets in one piece, and leaves by its uplink', async () => {
  for (const [line, ofA, ofB, left] of [
    ['isp-b', `${a} UP carries`, `${b} DOWN`, '1'],
    ['isp-a', `${a} DOWN`, `${b} UP carries`, '2'],
  ] as const) {
    await world.sh(
      'internet',
      `nft add table inet cut; nft add chain inet cut in '{ type filter hook prerouting priority -500; }'; nft add rule inet cut in iifname ${line} drop`,
    )
    await shows(ofA, ofB)
    await sends(left)
    expect(await bothWays()).toEqual(['5/5', '5/5'])
    expect(await sixBothWays()).toEqual(['5/5', '5/5'])
    expect(await fullBothWays(fabric)).toEqual({ answered: ['5/5', '5/5'], pieces: '0' })
    await world.sh('internet', 'nft delete table inet cut')
    await shows(`${a} UP carries`, `${b} UP`)
    await sends('1 2')
  }
})

test('IPv6 inside comes and goes without a new association, and a host of IPv6 is asked through each tunnel', async () => {
  const both = networkOf({ ...network, tunnels: 'probe: "fd20::10"\ninside: [169.254.100.0/28, "fd5c:1a2b:3c4d::/64"]' })
  const spis = async () => (await hub('ip xfrm state')).match(/spi 0x[0-9a-f]+/g)
  const insides = async () => (await hub('ip -o -6 addr show scope global | grep " cwi"')).match(/fd5c\S+/g) ?? []
  const before = await spis()
  for (const n of [0, 1]) await world.sh('partner', `ip address add fd5c:1a2b:3c4d::${1 + 4 * n}/126 dev ipsec${n}`)
  await run(both)
  await shows(`${a} UP carries`, `${b} UP`)
  expect(await insides()).toEqual(['fd5c:1a2b:3c4d::2/126', 'fd5c:1a2b:3c4d::6/126'])
  expect(await sixBothWays()).toEqual(['5/5', '5/5'])
  await world.sh('partner', 'ip addr del fd20::10/128 dev lo')
  await shows(`${a} DOWN`, `${b} DOWN`)
  await world.sh('partner', 'ip addr add fd20::10/128 dev lo nodad')
  await shows(`${a} UP carries`, `${b} UP`)
  await run(fabric)
  await shows(`${a} UP carries`, `${b} UP`)
  expect(await insides()).toEqual([])
  expect(await spis()).toEqual(before)
})

test('a charon that is killed leaves nothing of either, and both are made again', async () => {
  await hub('kill -9 $(pgrep -x charon-systemd --ns $$ --nslist net)')
  await run(fabric)
  await shows(`${a} UP carries`, `${b} UP`)
  expect((await hub('ip xfrm state')).match(/^src /gm)).toHaveLength(4)
  await world.ask('wipe')
  expect(await hub('ip xfrm state; ip xfrm policy list nosock; ip -br link show type xfrm')).toBe('')
})
