/** A third party whose tunnels have IPv6 inside, alone or beside IPv4: both ends use those addresses, and probes come from them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Fabric } from '#src/fabric/fabric.ts'
import { verify } from '#src/verify/verify.ts'
import { type HubWorld, startHubWorld } from './ipsec-hub-world.ts'
import { bothEnds, configOf, networkOf, ownerOf, textOf } from './ipsec-partner.ts'

const [a, b] = ['frankfurt.isp-a--partner.0', 'frankfurt.isp-b--partner.0']
const six = 'fd5c:1a2b:3c4d::/64'
const ends = { gateway: '203.0.113.200', ofA: '192.0.2.10', ofB: '198.51.100.10' }
const networkWith = (tunnels: string, behind: readonly string[] = ['172.20.0.0/16', 'fd20::/64']): Fabric =>
  networkOf({
    mtu: 1360,
    behind,
    a: `address: ${ends.ofA}/24, router: 192.0.2.1`,
    b: `address: ${ends.ofB}/24, router: 198.51.100.1`,
    partner: `address: ${ends.gateway}`,
    tunnels,
  })

describe.each([
  {
    title: 'IPv6 alone',
    inside: `inside: "${six}"`,
    /** What it states to be probed, and what the hub asks without. */
    host: 'fd20::10',
    far: ['fd5c:1a2b:3c4d::1', 'fd5c:1a2b:3c4d::5'],
    insides: [['fd5c:1a2b:3c4d::1/126'], ['fd5c:1a2b:3c4d::5/126']],
    hubInsides: ['fd5c:1a2b:3c4d::2', 'fd5c:1a2b:3c4d::6'],
    asks: ['fd5c:1a2b:3c4d::2', 'fd5c:1a2b:3c4d::6'],
  },
  {
    title: 'both families',
    inside: `inside: ["${six}", 169.254.100.0/28]`,
    host: 'fd20::10',
    far: ['169.254.100.1', '169.254.100.5'],
    insides: [
      ['169.254.100.1/30', 'fd5c:1a2b:3c4d::1/126'],
      ['169.254.100.5/30', 'fd5c:1a2b:3c4d::5/126'],
    ],
    hubInsides: ['169.254.100.2', '169.254.100.6'],
    asks: ['fd5c:1a2b:3c4d::2', 'fd5c:1a2b:3c4d::6'],
  },
] as const)('$title inside', ({ inside, host, far, insides, hubInsides, asks }) => {
  const fabric = networkWith(`probe: "${host}"\n${inside}`)
  const unprobed = networkWith(inside)
  let world: HubWorld
  const { until, shows, received, bothWays, fullBothWays, sixBothWays, sends, run } = bothEnds(() => world)
  const owner = ownerOf(() => world)
  /** Where the hub's pings come from, and whom they ask. One that another takes over from stays for a moment. */
  async function pings(): Promise<readonly string[]> {
    const all = await world.sh('hub', 'for p in /proc/[0-9]*; do tr "\\0" " " < $p/cmdline; echo; done 2>/dev/null | grep "^ping"')
    return [...new Set([...all.matchAll(/-I (\S+) (\S+) $/gm)].map(([, from, to]) => `${from} ${to}`))].sort()
  }
  const asked = (wanted: readonly string[]) => until(async () => JSON.stringify(await pings()) === JSON.stringify(wanted))
  const noDrift = (of: Fabric) => until(async () => (await world.ask<readonly string[]>('drift', configOf(of))).length === 0)

  beforeAll(async () => {
    world = await startHubWorld('partner')
    const { tunnels } = await owner.start(textOf(fabric))
    expect(tunnels).toEqual([
      { gateway: ends.gateway, hub: ends.ofA, insides: insides[0], hubInside: hubInsides[0] },
      { gateway: ends.gateway, hub: ends.ofB, insides: insides[1], hubInside: hubInsides[1] },
    ])
  }, 60_000)
  afterAll(() => world.end())

  test('what is declared is proven, and comes up with these addresses; the stated host is asked through each tunnel', async () => {
    expect(verify(fabric).findings.filter(({ severity }) => severity === 'error')).toEqual([])
    await run(fabric)
    await shows(`${a} UP carries`, `${b} UP`)
    await sends('1 2')
    await asked(asks.map((from) => `${from} ${host}`))
    const own = await world.sh('hub', 'ip -o addr show | grep " cwi"')
    for (const one of insides.flat()) expect(own).toContain(` ${one.replace(/[15](?=\/)/, (n) => String(Number(n) + 1))} `)
    expect(own.match(/ inet /g) ?? []).toHaveLength(insides.flat().length - 2)
    await noDrift(fabric)
  })

  test('both families pass both ways, the largest packets in one piece, and no other source', async () => {
    expect(await bothWays()).toEqual(['5/5', '5/5'])
    expect(await sixBothWays()).toEqual(['5/5', '5/5'])
    expect(await fullBothWays(fabric)).toEqual({ answered: ['5/5', '5/5'], pieces: '0' })
    for (const [n, each] of insides.entries())
      for (const [i, one] of each.entries())
        expect([n, i, await received('hub', i === 0 ? hubInsides[n]! : asks[n]!, one.split('/')[0]!)]).toEqual([n, i, '5/5'])
    await world.sh('partner', 'ip addr add fd21::10/128 dev lo nodad')
    expect(await received('partner', 'fd21::10', 'fd09::1')).toBe('0/5')
    await world.sh('partner', 'ip addr del fd21::10/128 dev lo')
  })

  test('errors of the hub come back, whatever it has inside: from where the other end knows it', async () => {
    await world.sh('hub', 'ip link set lan0 mtu 1290')
    const tooBig = (from: string, to: string) => world.sh('partner', `ping -n -c 1 -W 2 -M do -s 1300 -I ${from} ${to}`)
    expect(await tooBig('172.20.0.10', '10.9.0.50')).toMatch(/From 10\.9\.0\.1 .*mtu = 1290/)
    expect(await tooBig('fd20::10', 'fd09::50')).toMatch(/From fd09::1 .*mtu=1290/)
    await world.sh('hub', 'ip link set lan0 mtu 1500')
  })

  test.each([
    ['isp-a', `${a} DOWN`, `${b} UP carries`, '2'],
    ['isp-b', `${a} UP carries`, `${b} DOWN`, '1'],
  ])('goes on without %s, and comes back', async (line, ofA, ofB, left) => {
    await world.sh('internet', `ip link set ${line} down`)
    await shows(ofA, ofB)
    await sends(left)
    expect(await bothWays()).toEqual(['5/5', '5/5'])
    expect(await sixBothWays()).toEqual(['5/5', '5/5'])
    await world.sh('internet', `ip link set ${line} up`)
    await shows(`${a} UP carries`, `${b} UP`)
    await sends('1 2')
    expect(await sixBothWays()).toEqual(['5/5', '5/5'])
  })

  test('a host that does not answer takes both DOWN, though its tunnels are up; without one the far inside is asked', async () => {
    await world.sh('partner', `ip addr del ${host}/128 dev lo`)
    await shows(`${a} DOWN`, `${b} DOWN`)
    await run(unprobed)
    await shows(`${a} UP carries`, `${b} UP`)
    await asked(hubInsides.map((from, n) => `${from} ${far[n]}`))
    await noDrift(unprobed)
    await world.sh('partner', `ip addr add ${host}/128 dev lo nodad`)
    expect(await sixBothWays()).toEqual(['5/5', '5/5'])
  })

  test('wiped, nothing of it is left', async () => {
    await world.ask('wipe')
    expect(await world.sh('hub', 'ip -o addr show | grep " cwi"; ip -6 rule | grep "^16:"; ip -6 route show table 7730 2>/dev/null')).toBe('')
  })
})
