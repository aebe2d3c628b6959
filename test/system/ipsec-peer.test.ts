/**
 * A hub's tunnels to a third party: declared, compiled and configured as ever, and at the other end plain strongSwan with
 * the very text that `causeway peer config` prints. Its owner does by hand what that text says in its comments: inside
 * addresses, routes, and a script that tracks which tunnel is up.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Fabric } from '#src/fabric/fabric.ts'
import { espProposals, ikeProposals, roomInEsp } from '#src/fabric/ipsec.ts'
import { verify } from '#src/verify/verify.ts'
import { type HubWorld, startHubWorld } from './ipsec-hub-world.ts'
import { bothEnds, configOf, networkOf, ownerOf, textOf } from './ipsec-partner.ts'

const [a, b] = ['frankfurt.isp-a--partner.0', 'frankfurt.isp-b--partner.0']
const networkWith = (ipsec = '{ id: gw.partner.example }', mtu = 1360): Fabric =>
  networkOf({
    mtu,
    behind: ['172.20.0.0/16', 'fd20::/64'],
    a: 'address: 192.0.2.10/24, router: 192.0.2.1',
    b: 'address: 198.51.100.10/24, router: 198.51.100.1',
    partner: `address: 203.0.113.200\nipsec: ${ipsec}`,
  })

let world: HubWorld
const fabric = networkWith()
const owner = ownerOf(() => world)
const { scene, until, shows, received, bothWays, fullBothWays, sixBothWays, sends, run: runAs } = bothEnds(() => world)
const run = (of: Fabric = fabric, version?: number, key?: string) => runAs(of, version, key)

beforeAll(async () => {
  world = await startHubWorld('partner')
  const { tunnels, routes } = await owner.start(textOf(fabric))
  expect(tunnels).toEqual([
    { gateway: '203.0.113.200', hub: '192.0.2.10', insides: ['169.254.100.1/30'], hubInside: '169.254.100.2' },
    { gateway: '203.0.113.200', hub: '198.51.100.10', insides: ['169.254.100.5/30'], hubInside: '169.254.100.6' },
  ])
  expect(routes).toEqual(['10.9.0.0/24', 'fd09::/64'])
}, 60_000)
afterAll(() => world.end())

test('what is declared is proven: any tunnel may break, in both directions', () => {
  expect(verify(fabric).findings.filter(({ severity }) => severity === 'error')).toEqual([])
})

test('tunnels come up to what `causeway peer config` prints, probed by the host that the peer states; traffic passes both ways', async () => {
  await run()
  await shows(`${a} UP carries`, `${b} UP`)
  await sends('1 2')
  expect(await bothWays()).toEqual(['5/5', '5/5'])
  expect(await world.ask('drift', configOf(fabric))).toEqual([])
  const pings = await world.sh('hub', 'for p in /proc/[0-9]*; do tr "\\0" " " < $p/cmdline; echo; done 2>/dev/null | grep "^ping"')
  expect(pings).toMatch(/-I cwi\S+ -I 169\.254\.100\.2 172\.20\.0\.10/)
  expect(pings).toMatch(/-I cwi\S+ -I 169\.254\.100\.6 172\.20\.0\.10/)
})

test('IPv6 passes the same tunnels, out of which no other source comes', async () => {
  expect(await sixBothWays()).toEqual(['5/5', '5/5'])
  await world.sh('partner', 'ip addr add fd21::10/128 dev lo nodad')
  expect(await received('partner', 'fd21::10', 'fd09::1')).toBe('0/5')
  await world.sh('partner', 'ip addr del fd21::10/128 dev lo')
})

test('a cut uplink: the other tunnel takes over, out at once and back when the owner’s gateway has noticed', async () => {
  await world.sh('internet', 'ip link set isp-a down')
  await shows(`${a} DOWN`, `${b} UP carries`)
  await sends('2')
  expect(await bothWays()).toEqual(['5/5', '5/5'])
  await world.sh('internet', 'ip link set isp-a up')
  await shows(`${a} UP carries`, `${b} UP`)
  await sends('1 2')
  expect(await bothWays()).toEqual(['5/5', '5/5'])
})

test('a peer whose host does not answer is DOWN, though its tunnel is up', async () => {
  await world.sh('partner', 'ip addr del 172.20.0.10/32 dev lo')
  await shows(`${a} DOWN`, `${b} DOWN`)
  expect(await received('hub', '169.254.100.2', '169.254.100.1')).toBe('5/5')
  await world.sh('partner', 'ip addr add 172.20.0.10/32 dev lo')
  await shows(`${a} UP carries`, `${b} UP`)
})

test('a wrong pre-shared key is named, and the right one brings both back; it is nowhere in clear', async () => {
  await run(fabric, 2, 'not-what-we-agreed-on-in-any-year')
  await shows(`${a} DOWN`, `${b} DOWN`)
  await until(async () => (await world.ask<readonly unknown[]>('findings')).length > 0)
  expect(await world.ask('findings')).toMatchObject([
    { code: 'D044', says: expect.stringMatching(`^the IPsec tunnel ${a} to 203.0.113.200 does not come up: .*AUTH`) as string },
    { code: 'D044' },
  ])
  await run(fabric, 3)
  await shows(`${a} UP carries`, `${b} UP`)
  // Brackets: the search itself is a process, too.
  const where = `grep -rl 'we-[a]greed-on' /run/h; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | grep -ac 'we-[a]greed-on'`
  expect(await world.sh('hub', where)).toBe('0\n')
})

test.each(ikeProposals.map((ike, i) => [ike, espProposals[i]!] as const))(
  '%s with %s comes up at both ends, and carries the largest packets that `verify` admits in one piece',
  async (ike, esp) => {
    const other = networkWith(`{ id: gw.partner.example, ike: ${ike}, esp: ${esp}, lifetime: { ike: 2h, esp: 20m } }`, roomInEsp(esp, 4))
    // From nothing, so that what comes up is this one.
    await world.ask('wipe')
    await sends('')
    expect(await owner.load(textOf(other))).toMatch(/successfully loaded 2 connections/)
    await run(other, 3)
    await shows(`${a} UP carries`, `${b} UP`)
    await sends('1 2')
    expect(verify(other).findings.filter(({ severity }) => severity === 'error')).toEqual([])
    const { answered, pieces } = await fullBothWays(other)
    if (`${answered.join()} ${pieces}` !== '5/5,5/5 0') throw new Error(`${answered.join()}, ${pieces} in pieces\n${await scene()}`)
    expect(await world.sh('partner', 'swanctl --list-sas --uri unix:///run/tunnel0/vici')).toContain(
      esp.includes('gcm') ? 'AES_GCM_16' : 'AES_CBC-256',
    )
  },
)

test('proposals that the two have not in common are named', async () => {
  const weak = networkWith('{ id: gw.partner.example, ike: aes128gcm16-prfsha256-ecp256 }')
  await world.ask('wipe')
  await run(weak, 3)
  await shows(`${a} DOWN`, `${b} DOWN`)
  await until(async () => (await world.ask<readonly unknown[]>('findings')).length > 0)
  expect(await world.ask('findings')).toMatchObject([{ code: 'D044', says: expect.stringMatching(/NO_PROP/) as string }, { code: 'D044' }])
})
