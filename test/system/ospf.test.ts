/** A hub that learns by OSPF what is behind the routers of its LAN: FRR at both ends, real tunnels, real packets. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import type { Learning } from '#providers/device.ts'
import { address, addressWithLength, prefix } from '#src/net/address.ts'
import { configOf, inference, type Name, rules } from '#test/unit/linux/network.ts'
import { eventually, setSite, startWorld, type World } from './linux-world.ts'
import { pingCommand, readPings } from './ping.ts'

const names = ['dublin', 'frankfurt', 'berlin'] as const
const declared = prefix('10.7.0.0/16')
let world: World

/** What the compiler makes of `ospf: { neighbor: 10.3.10.10, prefixes: 10.7.0.0/16, hello: 1s }` at frankfurt. */
function withRouter(site: Name, { area = '0.0.0.0', neighbor = '10.3.10.10', berlin = '10.1.10.0/24', bgp = false } = {}): SiteConfig {
  const config = configOf(site, {
    withRules: rules.map((rule) => ({
      ...rule,
      from: { ...rule.from, prefixes: [prefix(berlin), ...rule.from.prefixes.slice(1), declared] },
      to: { ...rule.to, prefixes: [...rule.to.prefixes, declared] },
    })),
  })
  if (site !== 'frankfurt')
    return {
      ...config,
      routes: [...config.routes, { segment: inference, to: declared, remote: 'frankfurt' as never }],
      transits: config.transits.map((one) => ({ ...one, b: [...one.b, declared] })),
    }
  const lan = { ...config.lans[0]!, prefix: declared, address: addressWithLength('10.3.10.1/24'), via: address(neighbor), learned: true } as const
  const ospf = { segment: inference, interface: 'lan0', area: address(area), neighbors: [lan.via], hello: 1, dead: 4 }
  const beside = { segment: inference, interface: 'lan0', asn: 65_010, localAsn: 65_000, neighbors: [address('10.3.10.20')], hold: 9, maxPrefixes: 5 }
  return { ...config, lans: [...config.lans, lan], ospf, ...(bgp ? { bgp: [beside] } : {}) }
}
const set = (site: Name, config = withRouter(site)): Promise<void> => setSite(world, site, config)
const learning = (): Promise<Learning> => world.call<Learning>('frankfurt', 'learning')
/** Of five, from the host at berlin to the one behind the router. */
async function pings(): Promise<number> {
  return readPings((await world.run('b0', pingCommand('10.7.1.10', { count: 5, seconds: 0.1 }))).stdout, 5).received
}
const routesOf = async (box: string, more = ''): Promise<readonly string[]> =>
  (await world.run(box, `ip route show proto ospf ${more}`)).stdout
    .split('\n')
    .map((line) => line.split(' ')[0]!)
    .filter((one) => one !== '')
const learned = () => routesOf('frankfurt')
const told = () => routesOf('f0')
/** Once it is learned: a ping into nothing waits long. */
async function reached(): Promise<void> {
  expect(await eventually(async () => (await learned()).length > 0, 60)).toBe(true)
  expect(await eventually(async () => (await pings()) === 5)).toBe(true)
}
const atRouter = (...words: readonly string[]): Promise<unknown> =>
  world.run('f0', `vtysh --config_dir /run/router --vty_socket /run/router ${['configure terminal', ...words].map((one) => `-c '${one}'`).join(' ')}`)

beforeAll(async () => {
  world = await startWorld()
  await world.run(
    'f0',
    `set -e
    ip netns add behind; ip link add back type veth peer name eth0 netns behind; ip addr add 10.7.1.1/24 dev back; ip link set back up
    ip -n behind addr add 10.7.1.10/24 dev eth0; ip -n behind link set eth0 up; ip -n behind route add default via 10.7.1.1
    sysctl -qw net.ipv4.ip_forward=1; ip route del default; ip route add 10.99.0.0/16 dev back; ip route add 10.2.10.0/25 dev back
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
    for program in zebra ospfd; do
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
    expect(await learned()).toEqual(['10.7.1.0/24'])
    expect(await learning()).toEqual({
      sessions: [{ protocol: 'ospf', segment: 'inference', interface: 'lan0', neighbor: '10.3.10.10', state: 'Full', up: true }],
      missing: [],
    })
  })
  it('is told in return what its segment may talk to, and nothing else', async () => {
    expect(await told()).toEqual(['10.1.10.0/24', '10.2.10.0/24'])
  })
  it('is reached from afar, and what is announced takes no packet from its way', async () => {
    expect(await pings()).toBe(5)
    const { stdout } = await world.run('frankfurt', 'ip route get 10.1.10.10 from 10.3.10.10 iif lan0; ip route show 10.1.10.0/24')
    expect(stdout).toMatch(/^10\.1\.10\.10 .*dev cw/)
    expect(stdout).toContain('10.1.10.0/24 dev lo proto 67')
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
    await set('frankfurt', withRouter('frankfurt', { berlin: '10.1.10.0/25' }))
    expect(await eventually(async () => (await told()).includes('10.1.10.0/25'))).toBe(true)
    expect(await told()).not.toContain('10.1.10.0/24')
    await set('frankfurt')
    expect(await eventually(async () => (await told()).includes('10.1.10.0/24'))).toBe(true)
  })
  it('stays while BGP with another router comes and goes', async () => {
    const uptime = async (): Promise<number> =>
      Number(
        /"upTimeInMsec":(\d+)/.exec(
          (await world.run('f0', 'vtysh --config_dir /run/router --vty_socket /run/router -c "show ip ospf neighbor json"')).stdout,
        )?.[1],
      )
    const before = await uptime()
    await set('frankfurt', withRouter('frankfurt', { bgp: true }))
    expect((await learning()).sessions.map(({ protocol, up }) => [protocol, up])).toEqual([
      ['bgp', false],
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
    expect(await eventually(async () => (await learning()).sessions[0]?.up === false)).toBe(true)
    expect(await world.call('frankfurt', 'drift', withRouter('frankfurt', { area: '0.0.0.1' }))).toEqual([])
    await set('frankfurt', withRouter('frankfurt', { neighbor: '10.3.10.11' }))
    expect(await eventually(async () => (await learned()).length === 0)).toBe(true)
    expect((await learning()).sessions).toMatchObject([{ neighbor: '10.3.10.11', state: 'Down', up: false }])
    await set('frankfurt')
    await reached()
  })
})

describe('what a router no longer announces', () => {
  it('ends in an ICMP error of the owner, for whoever asks from afar, and comes back', async () => {
    await atRouter('interface back', 'no ip ospf area 0.0.0.0')
    await atRouter('router ospf', 'no redistribute kernel')
    expect(await eventually(async () => (await learned()).length === 0)).toBe(true)
    expect((await world.run('b0', 'ping -c 2 -W 1 10.7.1.10')).stdout).toMatch(/From 10\.3\.10\.1 .*Unreachable/)
    expect((await learning()).missing).toEqual([declared])
    await atRouter('interface back', 'ip ospf area 0.0.0.0')
    await reached()
  })
  it('is gone when the router falls silent, and back when it speaks again', async () => {
    await world.run('f0', 'kill -STOP $(cat /run/router/ospfd.pid)')
    expect(await eventually(async () => (await learned()).length === 0)).toBe(true)
    expect((await learning()).sessions[0]!.up).toBe(false)
    await world.run('f0', 'kill -CONT $(cat /run/router/ospfd.pid)')
    await reached()
  })
})

describe('trouble', () => {
  it('an ospfd of the gateway that is killed is noticed, started and told again', async () => {
    await world.run('frankfurt', 'kill -KILL $(cat /run/state-frankfurt/frr/ospfd.pid)')
    const codes = (await world.call<readonly { readonly code: string }[]>('frankfurt', 'drift', withRouter('frankfurt'))).map(({ code }) => code)
    expect(codes).toContain('D027')
    expect(await eventually(async () => (await learning()).sessions[0]?.up === true, 60)).toBe(true)
    await reached()
  })
  it('a LAN without a router any more leaves nothing running, and a wipe nothing at all', async () => {
    const left =
      'ls /run/state-frankfurt | grep frr; pgrep -f "vty_socket /run/[s]tate-frankfurt"; ip route show proto 67 dev lo; ip link show dev lo | grep -o "group [^ ]*"'
    await set('frankfurt', configOf('frankfurt'))
    expect((await world.run('frankfurt', left)).stdout).toBe('frr.log\ngroup default\n')
    await set('frankfurt')
    expect((await world.run('frankfurt', left)).stdout).toMatch(/^frr\nfrr\.log\n\d+\n\d+\n10\.1\.10\.0\/24 .*\n10\.2\.10\.0\/24 .*\ngroup 7713\n$/)
    await world.call('frankfurt', 'wipe')
    expect((await world.run('frankfurt', left)).stdout).toBe('group default\n')
  })
})
