/** Local breakout with a real kernel: hosts of one LAN leave to the internet behind the address of an uplink, others don't. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Finding, Lan, ReadyTunnel, SiteConfig, SiteId, Uplink, UplinkId } from '#src/fabric/fabric.ts'
import { address, addressWithLength, prefix } from '#src/net/address.ts'
import type { Choice, Leaving } from '#providers/device.ts'
import { cameras, configOf, type Name, usual } from '#test/unit/linux/network.ts'
import { eventually, setSite, startWorld, type World } from './linux-world.ts'

/** Somebody on the internet, who tells each caller from where it seems to call. */
const somebody = '203.0.113.80'
const [fiber, lte] = ['fiber', 'lte'] as [UplinkId, UplinkId]
const [fiberAddress, lteAddress] = ['100.64.1.2', '100.64.2.2']

const base = configOf('berlin')
/** b1, a camera, may leave; b0 may not. */
const config: SiteConfig = {
  ...base,
  exits: [fiber, lte],
  lans: base.lans.map((lan) => (lan.segment === cameras ? { ...lan, internet: 'local' } : lan)),
}

/** The same over IPv6: b1 has a unique local prefix (RFC 4193), as nobody on the internet routes it. */
const somebodySix = '2001:db8:80::80'
const sixAt = { fiber: '2001:db8:f1::2', lte: '2001:db8:f2::2', frankfurt: '2001:db8:fa::2' }
const camerasSix = { segment: cameras, interface: 'lan1', prefix: prefix('fd20::/64'), address: addressWithLength('fd20::1/64') } as const
const withSix = (of: SiteConfig, ...those: readonly string[]): SiteConfig => ({
  ...of,
  uplinks: of.uplinks.map((uplink): Uplink => (those.includes(uplink.id) ? { ...uplink, endpoint: { kind: 'dynamic', families: [4, 6] } } : uplink)),
})

/** A hub knows the spoke's IPv6 as it does its IPv4: a route, and what its peers may send. */
const withSpoke = (of: SiteConfig): SiteConfig => ({
  ...of,
  routes: [...of.routes, { segment: cameras, to: camerasSix.prefix, remote: 'berlin' as SiteId }],
  tunnels: of.tunnels.map((tunnel) =>
    tunnel.peer.kind === 'wireguard' && tunnel.remote === 'berlin'
      ? ({ ...tunnel, peer: { ...tunnel.peer, allowedIps: [...tunnel.peer.allowedIps, camerasSix.prefix] } } as ReadyTunnel)
      : tunnel,
  ),
})

let world: World
const set = (of: SiteConfig, at: Name = 'berlin'): Promise<void> => setSite(world, at, of)
/** The address that somebody sees, '' without an answer. */
const seenFrom = async (host: string): Promise<string> =>
  (await world.run(host, `timeout 3 socat -u TCP:${somebody}:80,connect-timeout=2 - 2>/dev/null`)).stdout.trim()
const seenSix = async (): Promise<string> => {
  const { stdout } = await world.run('b1', `timeout 3 socat -u 'TCP6:[${somebodySix}]:80,connect-timeout=2' - 2>/dev/null`)
  // socat writes all eight groups, in brackets.
  return stdout.trim() === '' ? '' : address(stdout.replace(/[[\]\s]/g, ''))
}
const leave = (by: UplinkId, ...open: readonly UplinkId[]): Promise<void> => world.call('berlin', 'leave', { by, open } satisfies Leaving)
const drift = () => world.call<readonly Finding[]>('berlin', 'drift', config)

beforeAll(async () => {
  world = await startWorld()
  await world.run('internet', `ip addr add ${somebody}/32 dev lo; ip addr add ${somebodySix}/128 dev lo; sysctl -qw net.ipv6.conf.all.forwarding=1`)
  await world.run(
    'internet',
    `ip addr add 2001:db8:f1::1/64 dev b-fiber nodad; ip addr add 2001:db8:f2::1/64 dev b-lte nodad; ip addr add 2001:db8:fa::1/64 dev f-a nodad`,
  )
  await world.run(
    'berlin',
    `ip addr add ${sixAt.fiber}/64 dev wan0 nodad; ip -6 route add default via 2001:db8:f1::1 dev wan0 metric 100; ` +
      `ip addr add ${sixAt.lte}/64 dev wan1 nodad; ip -6 route add default via 2001:db8:f2::1 dev wan1 metric 200`,
  )
  await world.run('frankfurt', `ip addr add ${sixAt.frankfurt}/64 dev wan0 nodad; ip -6 route add default via 2001:db8:fa::1 dev wan0`)
  await world.run('b1', 'ip addr add fd20::10/64 dev eth0 nodad; ip -6 route add default via fd20::1')
  await world.run(
    'internet',
    `(socat TCP-LISTEN:80,bind=${somebody},fork,reuseaddr SYSTEM:'echo $SOCAT_PEERADDR' & ` +
      `socat 'TCP6-LISTEN:80,bind=[${somebodySix}],fork,reuseaddr' SYSTEM:'echo $SOCAT_PEERADDR' & ` +
      `socat UDP-LISTEN:7,bind=${somebody},fork SYSTEM:'while read line; do echo $line from $SOCAT_PEERADDR; done' &) >/dev/null 2>&1 </dev/null`,
  )
  await set(config)
  expect(await eventually(async () => (await seenFrom('b1')) !== '')).toBe(true)
})
afterAll(() => world.stop())

describe('a LAN that may leave', () => {
  it('does, behind the address of the uplink that is liked best', async () => {
    expect(await seenFrom('b1')).toBe(fiberAddress)
  })
  it('leaves alone: its neighbour at the same site is told that the internet is unreachable', async () => {
    expect(await seenFrom('b0')).toBe('')
    expect((await world.run('b0', `ping -c 1 -W 1 ${somebody}`)).stdout).toContain('From 10.1.10.1')
  })
  it('never takes a private address out: the owner says that it is unreachable', async () => {
    expect((await world.run('b1', 'ping -c 1 -W 1 10.99.0.1')).stdout).toContain('From 10.1.20.1')
  })
  it('is not reached from there, by whoever guesses its addresses', async () => {
    await world.run('internet', `ip route add 10.1.20.0/24 via ${fiberAddress}`)
    expect((await world.run('internet', 'ping -c 2 -W 1 10.1.20.10')).stdout).toContain(' 0 received')
    await world.run('internet', 'ip route del 10.1.20.0/24')
  })
  it('hears of a router on the way that can carry less, through the translation', async () => {
    await world.run(
      'internet',
      'ip link add thin type veth peer name thick; ip link set thin mtu 1300 up; ip link set thick up; ip route add 203.0.113.81/32 dev thin',
    )
    const { stdout } = await world.run('b1', 'ping -c 1 -W 1 -s 1372 -M do 203.0.113.81')
    expect(stdout).toMatch(/From 100\.64\.1\.1 .*Frag needed and DF set \(mtu = 1300\)/)
    await world.run('internet', 'ip link del thin')
  })
  it('is what the kernel does by every vector, and what a second apply leaves as it is', async () => {
    expect(await drift()).toEqual([])
    world.echoes('berlin')
    await set(config)
    expect(world.echoes('berlin')).toEqual([])
  })
})

describe('when the uplink is another', () => {
  /** A conversation of datagrams from one port, which asks again every 200 ms. */
  const talk = `(while sleep 0.2; do echo $((n=n+1)); done | socat -T30 - UDP:${somebody}:7,sourceport=5555 > /run/talk &) >/dev/null 2>&1 </dev/null`
  const last = async (): Promise<string> => (await world.run('b1', 'tail -n 1 /run/talk')).stdout.trim().replace(/^\d+ /, '')

  it('new connections move, and those that are open stay where they began as long as it leads out', async () => {
    await world.run('b1', talk)
    expect(await eventually(async () => (await last()) === `from ${fiberAddress}`)).toBe(true)
    await leave(lte, fiber, lte)
    expect(await seenFrom('b1')).toBe(lteAddress)
    expect(await last()).toBe(`from ${fiberAddress}`)
    expect(await drift()).toEqual([])
  })
  it('that no longer leads out, the open ones move as well', async () => {
    await leave(lte, lte)
    expect(await eventually(async () => (await last()) === `from ${lteAddress}`)).toBe(true)
    expect(await seenFrom('b1')).toBe(lteAddress)
  })
  it('and back, as nothing had been', async () => {
    await leave(fiber, fiber, lte)
    expect(await seenFrom('b1')).toBe(fiberAddress)
    expect(await last()).toBe(`from ${lteAddress}`)
  })
  it('an agent that starts again moves nothing', async () => {
    await leave(lte, fiber, lte)
    await world.restart('berlin')
    world.echoes('berlin')
    await set(config)
    expect(world.echoes('berlin')).toEqual([])
    expect(await seenFrom('b1')).toBe(lteAddress)
    await leave(fiber, fiber, lte)
  })
  it('a router that went is left without a word from anybody', async () => {
    await world.run('berlin', 'ip route del default dev wan0')
    expect(await eventually(async () => (await seenFrom('b1')) === lteAddress)).toBe(true)
    await world.run('berlin', 'ip route add default via 100.64.1.1 dev wan0 metric 100')
    expect(await eventually(async () => (await seenFrom('b1')) === fiberAddress)).toBe(true)
  })
})

describe('over IPv6', () => {
  const lan: Lan = { ...camerasSix, internet: 'local' }
  const both = (...those: readonly string[]): SiteConfig => ({
    ...withSix(config, ...those),
    lans: [...config.lans, lan],
  })
  it('it leaves behind the address of an uplink that has it', async () => {
    await set(both(fiber))
    expect(await eventually(async () => (await seenSix()) === sixAt.fiber)).toBe(true)
    expect(await seenFrom('b1')).toBe(fiberAddress)
    expect(await world.call('berlin', 'drift', both(fiber))).toEqual([])
  })
  it('is not reached from there, hears what a router says of a packet too big, and takes no private address out', async () => {
    await world.run('internet', `ip -6 route add fd20::/64 via ${sixAt.fiber}`)
    expect((await world.run('internet', 'ping -c 2 -W 1 fd20::10')).stdout).toContain(' 0 received')
    await world.run('internet', 'ip -6 route del fd20::/64')
    await world.run(
      'internet',
      'ip link add thin type veth peer name thick; ip link set thin mtu 1300 up; ip link set thick up; ip -6 route add 2001:db8:81::1/128 dev thin',
    )
    expect((await world.run('b1', 'ping -c 1 -W 1 -s 1372 -M do 2001:db8:81::1')).stdout).toMatch(/From 2001:db8:f1::1 .*Packet too big: mtu=1300/)
    await world.run('internet', 'ip link del thin')
    expect((await world.run('b1', 'ping -c 1 -W 1 fd99::1')).stdout).toContain('From fd20::1')
  })
  it('goes no way that the uplink is not said to have: IPv4 moves to lte, and IPv6 stays on fiber as long as that leads out', async () => {
    await leave(lte, fiber, lte)
    expect([await seenFrom('b1'), await seenSix()]).toEqual([lteAddress, sixAt.fiber])
    await leave(lte, lte)
    expect([await seenFrom('b1'), await seenSix()]).toEqual([lteAddress, ''])
    expect((await world.run('b1', `ping -c 1 -W 1 ${somebodySix}`)).stdout).toContain('From fd20::1')
  })
  it('and moves along when lte has it too, also by itself when a router of IPv6 goes', async () => {
    await set(both(fiber, lte))
    expect([await seenFrom('b1'), await seenSix()]).toEqual([lteAddress, sixAt.lte])
    await leave(fiber, fiber, lte)
    expect([await seenFrom('b1'), await seenSix()]).toEqual([fiberAddress, sixAt.fiber])
    await world.run('berlin', 'ip -6 route del default dev wan0')
    expect(await eventually(async () => (await seenSix()) === sixAt.lte)).toBe(true)
    expect(await seenFrom('b1')).toBe(fiberAddress)
    await world.run('berlin', 'ip -6 route add default via 2001:db8:f1::1 dev wan0 metric 100')
    expect(await eventually(async () => (await seenSix()) === sixAt.fiber)).toBe(true)
  })
  it('an agent that starts again moves nothing, each family on its own uplink', async () => {
    await set(both(lte))
    await leave(fiber, fiber, lte)
    await world.restart('berlin')
    world.echoes('berlin')
    await set(both(lte))
    expect(world.echoes('berlin')).toEqual([])
    expect([await seenFrom('b1'), await seenSix()]).toEqual([fiberAddress, sixAt.lte])
  })
})

describe('a LAN that leaves at the hub', () => {
  const [dublinAddress, frankfurtAddress] = ['198.51.100.10', '192.0.2.10']
  const exits = ['isp-a'] as UplinkId[]
  const frankfurt = 'frankfurt' as SiteId
  const atHub: SiteConfig = {
    ...base,
    exitHub: frankfurt,
    lans: [...base.lans, camerasSix].map((lan) => (lan.segment === cameras ? { ...lan, internet: 'hub' } : lan)),
  }
  /** Frankfurt has IPv6 on its line, and dublin has not. */
  const lettingOut = (hub: 'dublin' | 'frankfurt') => withSpoke(hub === 'frankfurt' ? withSix(configOf(hub), 'isp-a') : configOf(hub))
  const way = (hop: Choice['hop']): Choice => ({ remote: frankfurt, trafficClass: usual, arrived: 'anywhere', hop })
  const steer = (hop: Choice['hop']): Promise<void> => world.call('berlin', 'steer', [way(hop)])

  beforeAll(async () => {
    for (const hub of ['dublin', 'frankfurt'] as const)
      await set({ ...lettingOut(hub), exits, exitsFor: [prefix('10.1.20.0/24'), camerasSix.prefix] }, hub)
    await set(atHub)
    expect(await eventually(async () => (await seenFrom('b1')) !== '')).toBe(true)
  })
  it('does, behind the address of the hub, and its neighbour does not', async () => {
    expect(await seenFrom('b1')).toBe(frankfurtAddress)
    expect(await seenFrom('b0')).toBe('')
  })
  it('so does its IPv6', async () => {
    expect(await eventually(async () => (await seenSix()) === sixAt.frankfurt)).toBe(true)
  })
  it('over whichever uplink of its own the way to the hub takes', async () => {
    await steer(1)
    // WireGuard asks for keys again after five seconds.
    expect(await eventually(async () => (await seenFrom('b1')) === frankfurtAddress)).toBe(true)
  })
  it('by the next hub when the home hub is gone', async () => {
    await steer(2)
    expect(await eventually(async () => (await seenFrom('b1')) === dublinAddress)).toBe(true)
    // It has no line with IPv6, and says so.
    expect((await world.run('b1', `ping -c 1 -W 1 ${somebodySix}`)).stdout).toContain('unreachable')
    await steer(0)
    expect(await seenFrom('b1')).toBe(frankfurtAddress)
  })
  it('is not reached from there, and takes no private address out', async () => {
    await world.run('internet', `ip route add 10.1.20.0/24 via ${frankfurtAddress}`)
    expect((await world.run('internet', 'ping -c 2 -W 1 10.1.20.10')).stdout).toContain(' 0 received')
    await world.run('internet', 'ip route del 10.1.20.0/24')
    expect((await world.run('b1', 'ping -c 1 -W 1 10.99.0.1')).stdout).toContain('From 10.1.20.1')
  })
  it('has the overlay as it was: what an allow opens passes, and nothing else', async () => {
    expect((await world.run('b0', 'ping -c 3 -i 0.2 -W 1 10.3.10.10')).stdout).toContain(' 3 received')
    expect((await world.run('b1', 'ping -c 2 -W 1 10.3.10.10')).stdout).toContain(' 0 received')
  })
  it('is what the kernel does by every vector', async () => {
    expect(await world.call('berlin', 'drift', atHub)).toEqual([])
  })
  it('goes nowhere without a hub that takes it', async () => {
    await set(configOf('frankfurt'), 'frankfurt')
    expect(await seenFrom('b1')).toBe('')
  })
})

it('taken back, ends at once what was open, and leaves nothing in the kernel', async () => {
  await set(base)
  expect(await seenFrom('b1')).toBe('')
  const { stdout } = await world.run('berlin', 'ip rule; ip route show table all; nft list ruleset')
  expect(stdout).not.toMatch(/\b77(11|12|2\d)\b|masquerade/)
})
