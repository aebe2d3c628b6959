/** A hub that learns by OSPF, v2 and v3, what is behind the routers of its LAN: FRR at both ends, real tunnels, real packets. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Lan, SiteConfig } from '#src/fabric/fabric.ts'
import { isIpsec } from '#src/fabric/ipsec.ts'
import type { Learning } from '#providers/device.ts'
import { address, addressWithLength, prefix } from '#src/net/address.ts'
import { configOf, inference, type Name, rules } from '#test/unit/linux/network.ts'
import { eventually, setSite, startWorld, type World } from './linux-world.ts'
import { pingCommand, readPings } from './ping.ts'

const names = ['dublin', 'frankfurt', 'berlin'] as const
const declared = [prefix('10.7.0.0/16'), prefix('2001:db8:7::/48')] as const
const [lanSix, berlinSix] = [prefix('2001:db8:3:10::/64'), prefix('2001:db8:1:10::/64')]
let world: World

const usual = { area: '0.0.0.0', neighbors: ['10.3.10.10', 'fe80::fe'], berlin: ['10.1.10.0/24', berlinSix], bgp: false }
/** What the compiler makes of `ospf: { neighbor: [10.3.10.10, fe80::fe], prefixes: […declared], hello: 1s }` at frankfurt. */
function withRouter(site: Name, how: Partial<typeof usual> = {}): SiteConfig {
  const { area, neighbors, berlin, bgp } = { ...usual, ...how }
  const config = configOf(site, {
    withRules: rules.map((rule) => ({
      ...rule,
      from: { ...rule.from, prefixes: [...berlin.map(prefix), ...rule.from.prefixes.slice(1), ...declared] },
      to: { ...rule.to, prefixes: [...rule.to.prefixes, ...declared] },
    })),
  })
  const six = (net: string): Lan => ({ ...config.lans[0]!, prefix: prefix(net), address: addressWithLength(net.replace('::/', '::1/')) })
  if (site !== 'frankfurt')
    return {
      ...config,
      lans: [...config.lans, ...(site === 'berlin' ? [six(berlinSix)] : [])],
      routes: [...config.routes, ...declared.map((to) => ({ segment: inference, to, remote: 'frankfurt' as never }))],
      transits: config.transits.map((one) => ({ ...one, b: [...one.b, declared[0]] })),
    }
  const links = [config.lans[0]!, six(lanSix)]
  const behind = links.map((link, n): Lan => ({ ...link, prefix: declared[n]!, via: address(usual.neighbors[n]!), learned: true }))
  const ospf = { segment: inference, interface: 'lan0', area: address(area), neighbors: neighbors.map(address), hello: 1, dead: 4 }
  const beside = { segment: inference, interface: 'lan0', asn: 65_010, localAsn: 65_000, neighbors: [address('10.3.10.20')], hold: 9, maxPrefixes: 5 }
  const tunnels = config.tunnels.map((one) =>
    isIpsec(one)
      ? one
      : { ...one, peer: { ...one.peer, allowedIps: [...new Set([...one.peer.allowedIps, ...(one.remote === 'berlin' ? [berlinSix] : [])])] } },
  )
  return {
    ...config,
    tunnels,
    lans: [...links, ...behind],
    routes: [...config.routes, { segment: inference, to: berlinSix, remote: 'berlin' as never }],
    ospf,
    ...(bgp ? { bgp: [beside] } : {}),
  }
}
const set = (site: Name, config = withRouter(site)): Promise<void> => setSite(world, site, config)
const learning = (): Promise<Learning> => world.call<Learning>('frankfurt', 'learning')
/** Of five in each family, from the host at berlin to the one behind the router: the fewest that were answered. */
async function pings(): Promise<number> {
  const answered = await Promise.all(
    ['10.7.1.10', '2001:db8:7:1::10'].map(
      async (host) => readPings((await world.run('b0', pingCommand(host, { count: 5, seconds: 0.1 }))).stdout, 5).received,
    ),
  )
  return Math.min(...answered)
}
const routesOf = async (box: string): Promise<readonly string[]> =>
  (await world.run(box, 'ip route show proto ospf; ip -6 route show proto ospf')).stdout
    .split('\n')
    .map((line) => line.split(' ')[0]!)
    .filter((one) => one !== '')
const learned = () => routesOf('frankfurt')
const told = () => routesOf('f0')
/** Once it is learned: a ping into nothing waits long. */
async function reached(): Promise<void> {
  expect(await eventually(async () => (await learned()).length === 2, 60)).toBe(true)
  expect(await eventually(async () => (await pings()) === 5)).toBe(true)
}
const atRouter = (...words: readonly string[]): Promise<unknown> =>
  world.run('f0', `vtysh --config_dir /run/router --vty_socket /run/router ${['configure terminal', ...words].map((one) => `-c '${one}'`).join(' ')}`)

/** Of OSPFv2, as the router counts it. */
const uptime = async (): Promise<number> =>
  Number(
    /"upTimeInMsec":(\d+)/.exec(
      (await world.run('f0', 'vtysh --config_dir /run/router --vty_socket /run/router -c "show ip ospf neighbor json"')).stdout,
    )?.[1],
  )

beforeAll(async () => {
  world = await startWorld()
  await world.run('b0', 'ip addr add 2001:db8:1:10::10/64 dev eth0 nodad; ip -6 route add default via 2001:db8:1:10::1 dev eth0')
  await world.run(
    'f0',
    `set -e
    ip netns add behind; ip link add back type veth peer name eth0 netns behind; ip addr add 10.7.1.1/24 dev back; ip link set back up
    ip -n behind addr add 10.7.1.10/24 dev eth0; ip -n behind link set eth0 up; ip -n behind route add default via 10.7.1.1
    sysctl -qw net.ipv4.ip_forward=1; ip route del default; ip route add 10.99.0.0/16 dev back; ip route add 10.2.10.0/25 dev back
    sysctl -qw net.ipv6.conf.all.forwarding=1; ip link set eth0 addrgenmode none; ip -6 addr flush dev eth0; ip addr add fe80::fe/64 dev eth0 nodad
    ip addr add 2001:db8:3:10::fe/64 dev eth0 nodad
    ip addr add 2001:db8:7:1::1/64 dev back nodad; ip -6 route add 2001:db8:99::/48 dev back
    ip -n behind addr add 2001:db8:7:1::10/64 dev eth0 nodad; ip -n behind route add default via 2001:db8:7:1::1
    mkdir /run/router; cd /run/router; touch vtysh.conf zebra.conf
    cat > ospfd.conf <<'END'
interface eth0
 ip ospf area 0.0.0.0
 ip ospf hello-interval 1
 ip ospf dead-interval 4
interface back
 ip ospf area 0.0.0.0
router ospf
 ospf router-id 192.0.2.77
 timers throttle lsa all 1000
 redistribute kernel
 default-information originate always
END
    cat > ospf6d.conf <<'END'
interface eth0
 ipv6 ospf6 area 0.0.0.0
 ipv6 ospf6 hello-interval 1
 ipv6 ospf6 dead-interval 4
 ipv6 ospf6 retransmit-interval 1
interface back
 ipv6 ospf6 area 0.0.0.0
 ipv6 ospf6 passive
router ospf6
 ospf6 router-id 192.0.2.77
 timers lsa min-arrival 0
 redistribute kernel
 default-information originate always
END
    for program in zebra ospfd ospf6d; do
      setsid /usr/lib/frr/$program -u root -g root -i $PWD/$program.pid -z $PWD/zserv --vty_socket $PWD -P 0 -f $PWD/$program.conf >$program.log 2>&1 </dev/null &
      sleep 0.3
    done`,
  )
  for (const site of names) await set(site)
  await reached()
})
afterAll(() => world.stop())

describe('a learned prefix', () => {
  it('is within what was declared: neither a default route nor what others have is taken', async () => {
    expect(await learned()).toEqual(['10.7.1.0/24', '2001:db8:7:1::/64'])
    const session = { protocol: 'ospf', segment: 'inference', interface: 'lan0', state: 'Full', up: true }
    expect(await learning()).toEqual({
      sessions: usual.neighbors.map((neighbor) => ({ ...session, neighbor })),
      missing: [],
    })
  })
  it('is told in return what its segment may talk to, and nothing else', async () => {
    expect(await told()).toEqual(['10.1.10.0/24', '10.2.10.0/24', berlinSix])
  })
  it('is reached from afar, and what is announced takes no packet from its way', async () => {
    expect(await pings()).toBe(5)
    const { stdout } = await world.run('frankfurt', 'ip route get 10.1.10.10 from 10.3.10.10 iif lan0; ip route show 10.1.10.0/24')
    expect(stdout).toMatch(/^10\.1\.10\.10 .*dev cw/)
    expect(stdout).toContain('10.1.10.0/24 dev lo proto 67')
    const six = 'ip route get 2001:db8:1:10::10 from 2001:db8:3:10::10 iif lan0; ip -6 route show 2001:db8:1:10::/64; ip route get 2001:db8:7:1::10'
    const said = (await world.run('frankfurt', six)).stdout
    expect(said).toMatch(/^2001:db8:1:10::10 .*dev cw/)
    expect(said).toContain('2001:db8:1:10::/64 dev lo proto 67')
    expect(said).toMatch(/2001:db8:7:1::10 .*via fe80::fe dev lan0/)
  })
})

describe('the session', () => {
  it('is as wanted when it is compared, so a second apply does nothing', async () => {
    world.echoes('frankfurt')
    await set('frankfurt')
    expect(world.echoes('frankfurt')).toEqual([])
    expect(await world.call('frankfurt', 'drift', withRouter('frankfurt'))).toEqual([])
  })
  it('tells of other allows as they come', async () => {
    const narrow = ['10.1.10.0/25', '2001:db8:1:10::/65']
    const isTold = async (some: readonly string[]) => (await told()).join() === [some[0], '10.2.10.0/24', some[1]].join()
    await set('frankfurt', withRouter('frankfurt', { berlin: narrow }))
    expect(await eventually(() => isTold(narrow), 20)).toBe(true)
    await set('frankfurt')
    expect(await eventually(() => isTold(usual.berlin), 20)).toBe(true)
  })
  it('stays while BGP with another router comes and goes', async () => {
    const before = await uptime()
    await set('frankfurt', withRouter('frankfurt', { bgp: true }))
    expect((await learning()).sessions.map(({ protocol, up }) => [protocol, up])).toEqual([
      ['bgp', false],
      ['ospf', true],
      ['ospf', true],
    ])
    expect(await world.call('frankfurt', 'drift', withRouter('frankfurt', { bgp: true }))).toEqual([])
    await set('frankfurt')
    expect((await world.run('frankfurt', 'pgrep -f "bgpd.*vty_socket /run/[s]tate-frankfurt"')).stdout).toBe('')
    expect(await uptime()).toBeGreaterThan(before)
    expect(await pings()).toBe(5)
  })
  it('moves to another area, and is with nobody who is not named', async () => {
    await set('frankfurt', withRouter('frankfurt', { area: '0.0.0.1' }))
    expect(await eventually(async () => (await learning()).sessions.every(({ up }) => !up))).toBe(true)
    expect(await world.call('frankfurt', 'drift', withRouter('frankfurt', { area: '0.0.0.1' }))).toEqual([])
    await set('frankfurt', withRouter('frankfurt', { neighbors: ['10.3.10.11', 'fe80::fd'] }))
    // Two hellos, of which none is heard.
    const known = 'sleep 2.5; for by in ip\\ ospf ipv6\\ ospf6; do vtysh --config_dir $0 --vty_socket $0 -c "show $by neighbor json"; done'
    expect((await world.run('frankfurt', `sh -c '${known}' /run/state-frankfurt/frr`)).stdout).not.toContain('192.0.2.77')
    expect(await learned()).toEqual([])
    const down = { state: 'Down', up: false }
    expect((await learning()).sessions).toMatchObject([
      { neighbor: '10.3.10.11', ...down },
      { neighbor: 'fe80::fd', ...down },
    ])
    await set('frankfurt')
    await reached()
  })
  it('of IPv6 goes and comes without that of IPv4', async () => {
    const before = await uptime()
    const fourAlone = withRouter('frankfurt', { neighbors: usual.neighbors.slice(0, 1) })
    await set('frankfurt', fourAlone)
    expect((await world.run('frankfurt', 'pgrep -f "ospf6d.*vty_socket /run/[s]tate-frankfurt"; ip -6 route show proto 67 dev lo')).stdout).toBe('')
    expect(await world.call('frankfurt', 'drift', fourAlone)).toEqual([])
    expect(await learning()).toMatchObject({ sessions: [{ up: true }], missing: [declared[1]] })
    await set('frankfurt')
    await reached()
    expect(await uptime()).toBeGreaterThan(before)
  })
})

describe('what a router no longer announces', () => {
  it('ends in an ICMP error of the owner, for whoever asks from afar, and comes back', async () => {
    await atRouter('interface back', 'no ip ospf area 0.0.0.0', 'no ipv6 ospf6 area 0.0.0.0')
    await atRouter('router ospf', 'no redistribute kernel')
    expect(await eventually(async () => (await learned()).length === 0)).toBe(true)
    expect((await world.run('b0', 'ping -c 2 -W 1 10.7.1.10')).stdout).toMatch(/From 10\.3\.10\.1 .*Unreachable/)
    expect((await world.run('b0', 'ping -c 2 -W 1 2001:db8:7:1::10')).stdout).toMatch(/From 2001:db8:3:10::1 .*unreachable/)
    expect((await learning()).missing).toEqual(declared)
    await atRouter('interface back', 'ip ospf area 0.0.0.0', 'ipv6 ospf6 area 0.0.0.0')
    await reached()
  })
  it('is gone when the router falls silent, and back when it speaks again', async () => {
    await world.run('f0', 'kill -STOP $(cat /run/router/ospfd.pid /run/router/ospf6d.pid)')
    expect(await eventually(async () => (await learned()).length === 0)).toBe(true)
    expect((await learning()).sessions.map(({ up }) => up)).toEqual([false, false])
    await world.run('f0', 'kill -CONT $(cat /run/router/ospfd.pid /run/router/ospf6d.pid)')
    await reached()
  })
})

describe('trouble', () => {
  it('OSPF of the gateway that is killed is noticed, started and told again', async () => {
    await world.run('frankfurt', 'kill -KILL $(cat /run/state-frankfurt/frr/ospfd.pid /run/state-frankfurt/frr/ospf6d.pid)')
    const codes = (await world.call<readonly { readonly code: string }[]>('frankfurt', 'drift', withRouter('frankfurt'))).map(({ code }) => code)
    expect(codes).toContain('D027')
    expect(await eventually(async () => (await learning()).sessions.every(({ up }) => up), 60)).toBe(true)
    await reached()
  })
  it('a LAN without a router any more leaves nothing running, and a wipe nothing at all', async () => {
    const left =
      'ls /run/state-frankfurt | grep frr; pgrep -f "vty_socket /run/[s]tate-frankfurt"; ip route show proto 67 dev lo; ip -6 route show proto 67 dev lo; ip link show dev lo | grep -o "group [^ ]*"'
    await set('frankfurt', configOf('frankfurt'))
    expect((await world.run('frankfurt', left)).stdout).toBe('frr.log\ngroup default\n')
    await set('frankfurt')
    expect((await world.run('frankfurt', left)).stdout).toMatch(
      /^frr\nfrr\.log\n\d+\n\d+\n\d+\n10\.1\.10\.0\/24 .*\n10\.2\.10\.0\/24 .*\n2001:db8:1:10::\/64 .*\ngroup 7713\n$/,
    )
    await world.call('frankfurt', 'wipe')
    expect((await world.run('frankfurt', left)).stdout).toBe('group default\n')
  })
})
