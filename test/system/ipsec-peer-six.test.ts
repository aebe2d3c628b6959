/** A third party that is joined over IPv6, alone or beside IPv4: tunnels run where uplink and gateway have one family, and carry both. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { verify } from '#src/verify/verify.ts'
import { type HubWorld, startHubWorld } from './ipsec-hub-world.ts'
import { bothEnds, configOf, networkOf, ownerOf, textOf } from './ipsec-partner.ts'

const [four, six] = ['203.0.113.200', '2001:db8:c::200']
const over = {
  a: { 4: '192.0.2.10', 6: '2001:db8:a::10' },
  b: { 6: '2001:db8:b::10' },
} as const
const uplinks = {
  a: { 4: 'address: 192.0.2.10/24, router: 192.0.2.1', 6: 'address: "2001:db8:a::10/64", router: "2001:db8:a::1"' },
  b: { 6: 'address: "2001:db8:b::10/64", router: "2001:db8:b::1"' },
} as const

describe.each([
  {
    title: 'over IPv6 alone',
    a: { family: 6, gateway: six, member: 0 },
    b: { member: 0 },
    partner: `address: "${six}"\nipsec: { esp: aes256-sha384-ecp384 }`,
    mtu: 1390,
    // Its own address among them.
    behind: ['172.20.0.0/16', 'fd20::/64', '2001:db8:c::/64'],
  },
  {
    title: 'one line over IPv4, the other over IPv6',
    a: { family: 4, gateway: four, member: 0 },
    b: { member: 1 },
    partner: `address: [${four}, "${six}"]`,
    mtu: 1400,
    behind: ['172.20.0.0/16', 'fd20::/64'],
  },
] as const)('$title', ({ a: first, b: second, partner, mtu, behind }) => {
  const [a, b] = [`frankfurt.isp-a--partner.${first.member}`, `frankfurt.isp-b--partner.${second.member}`]
  const hubs = [over.a[first.family], over.b[6]]
  const fabric = networkOf({ a: uplinks.a[first.family], b: uplinks.b[6], partner, mtu, behind })
  let world: HubWorld
  const { shows, bothWays, fullBothWays, sixBothWays, sends, run } = bothEnds(() => world)
  const owner = ownerOf(() => world)

  beforeAll(async () => {
    world = await startHubWorld('partner')
    const { tunnels } = await owner.start(textOf(fabric))
    expect(tunnels).toEqual([
      { gateway: first.gateway, hub: hubs[0], insides: ['169.254.100.1/30'], hubInside: '169.254.100.2' },
      { gateway: six, hub: hubs[1], insides: ['169.254.100.5/30'], hubInside: '169.254.100.6' },
    ])
  }, 60_000)
  afterAll(() => world.end())

  test('what is declared is proven, and comes up between the addresses that the two ends know each other by', async () => {
    expect(verify(fabric).findings.filter(({ severity }) => severity === 'error')).toEqual([])
    await run(fabric)
    await shows(`${a} UP carries`, `${b} UP`)
    await sends('1 2')
    for (const [i, gateway] of [first.gateway, six].entries()) {
      const said = await world.sh('partner', `swanctl --list-sas --uri unix:///run/tunnel${i}/vici`)
      expect(said).toMatch(new RegExp(`local {2}'${gateway}' @ ${gateway}\\[`))
      expect(said).toMatch(new RegExp(`remote '${hubs[i]}' @ ${hubs[i]}\\[`))
    }
    expect(await world.ask('drift', configOf(fabric))).toEqual([])
  })

  test('carries both families both ways, and the largest packets that `verify` admits in one piece', async () => {
    expect(await bothWays()).toEqual(['5/5', '5/5'])
    expect(await sixBothWays()).toEqual(['5/5', '5/5'])
    expect(await fullBothWays(fabric)).toEqual({ answered: ['5/5', '5/5'], pieces: '0' })
  })

  test.each([
    ['isp-a', `${a} DOWN`, `${b} UP carries`, '2'],
    ['isp-b', `${a} UP carries`, `${b} DOWN`, '1'],
  ])('goes on without %s, and comes back', async (line, ofA, ofB, left) => {
    await world.sh('internet', `ip link set ${line} down`)
    await shows(ofA, ofB)
    await sends(left)
    expect(await bothWays()).toEqual(['5/5', '5/5'])
    // What the kernel forgets of IPv6 with the link, and no line of an ISP does.
    const own = line.slice(-1)
    await world.sh('internet', `ip link set ${line} up; ip addr replace 2001:db8:${own}::1/64 dev ${line} nodad`)
    await shows(`${a} UP carries`, `${b} UP`)
    await sends('1 2')
    expect(await bothWays()).toEqual(['5/5', '5/5'])
  })
})
