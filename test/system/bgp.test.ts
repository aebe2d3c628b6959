/** A hub that learns by BGP what is behind a router of its LAN: FRR at both ends, real tunnels, real packets. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import type { Choice, Learning } from '#providers/device.ts'
import { address, addressWithLength, type Prefix, prefix } from '#src/net/address.ts'
import { configOf, inference, type Name, realtime, rules } from '#test/unit/linux/network.ts'
import { eventually, setSite, startWorld, type World } from './linux-world.ts'
import { pingCommand, readPings } from './ping.ts'

const names = ['dublin', 'frankfurt', 'berlin'] as const
const declared = prefix('10.7.0.0/16')
let world: World

/** What the compiler makes of `bgp: { asn: 65010, neighbor: 10.3.10.10, prefixes: 10.7.0.0/16 }` at frankfurt. */
function withRouter(site: Name, { maxPrefixes = 5, berlin = '10.1.10.0/24' } = {}): SiteConfig {
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
  const lan = { ...config.lans[0]!, prefix: declared, address: addressWithLength('10.3.10.1/24'), via: address('10.3.10.10'), learned: true } as const
  const session = { segment: inference, interface: 'lan0', asn: 65_010, localAsn: 65_000, neighbors: [lan.via], hold: 6, maxPrefixes }
  return { ...config, lans: [...config.lans, lan], bgp: [session] }
}
const set = (site: Name, config = withRouter(site)): Promise<void> => setSite(world, site, config)
const learning = (): Promise<Learning> => world.call<Learning>('frankfurt', 'learning')
const isUp = async (): Promise<boolean> => (await learning()).sessions[0]?.state === 'Established'
/** Of five, from the host at berlin to the one behind the router. */
async function pings(): Promise<number> {
  return readPings((await world.run('b0', pingCommand('10.7.1.10', { count: 5, seconds: 0.1 }))).stdout, 5).received
}
const learned = async (): Promise<readonly string[]> =>
  (await world.run('frankfurt', 'ip route show proto bgp')).stdout
    .split('\n')
    .map((line) => line.split(' ')[0]!)
    .filter((one) => one !== '')
const vtysh = (...words: readonly string[]): string =>
  `vtysh --config_dir /run/router --vty_socket /run/router ${words.map((one) => `-c '${one}'`).join(' ')}`
const atRouter = (...words: readonly string[]): Promise<unknown> =>
  world.run('f0', vtysh('configure terminal', 'router bgp 65010', 'address-family ipv4 unicast', ...words))
async function announcedToRouter(): Promise<readonly string[]> {
  const { routes = {} } = JSON.parse((await world.run('f0', vtysh('show bgp ipv4 unicast json'))).stdout) as {
    readonly routes?: Readonly<Record<Prefix, readonly { readonly peerId: string }[]>>
  }
  return Object.entries(routes).flatMap(([to, ways]) => (ways.some(({ peerId }) => peerId === '10.3.10.1') ? [to] : []))
}
/** How often the router has had the session. */
const establishments = async (): Promise<number> =>
  Number(/"connectionsEstablished":(\d+)/.exec((await world.run('f0', vtysh('show bgp summary json'))).stdout)?.[1])
const choice = (remote: Name, hop: number): Choice => ({ remote: remote as never, trafficClass: realtime, arrived: 'anywhere', hop })

beforeAll(async () => {
  world = await startWorld()
  await world.run(
    'f0',
    `set -e
    ip netns add behind; ip link add back type veth peer name eth0 netns behind; ip addr add 10.7.1.1/24 dev back; ip link set back up
    ip -n behind addr add 10.7.1.10/24 dev eth0; ip -n behind link set eth0 up; ip -n behind route add default via 10.7.1.1
    sysctl -qw net.ipv4.ip_forward=1; ip route del default
    mkdir /run/router; cd /run/router; touch vtysh.conf zebra.conf
    cat > bgpd.conf <<'END'
router bgp 65010
 bgp router-id 10.3.10.10
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor 10.3.10.1 remote-as 65000
 neighbor 10.3.10.1 timers connect 1
 address-family ipv4 unicast
  network 10.7.1.0/24
  network 10.99.0.0/16
  network 10.2.10.0/25
  network 0.0.0.0/0
END
    for program in zebra bgpd; do
      setsid /usr/lib/frr/$program -u root -g root -i $PWD/$program.pid -z $PWD/zserv --vty_socket $PWD -P 0 -f $PWD/$program.conf >$program.log 2>&1 </dev/null &
      sleep 0.3
    done`,
  )
  for (const site of names) await set(site)
  await eventually(async () => (await pings()) === 5)
})
afterAll(() => world.stop())

describe('a learned prefix', () => {
  it('is reached through gateway and tunnel, also over the mesh', async () => {
    expect(await pings()).toBe(5)
    await world.call('berlin', 'steer', [choice('frankfurt', 2)])
    await world.call('frankfurt', 'steer', [choice('berlin', 2)])
    expect(await eventually(async () => (await pings()) === 5)).toBe(true)
    await world.call('berlin', 'steer', [choice('frankfurt', 0)])
    await world.call('frankfurt', 'steer', [choice('berlin', 0)])
  })

  it('is within what was declared: neither a default route nor what others have is taken', async () => {
    expect(await learned()).toEqual(['10.7.1.0/24'])
    expect(await learning()).toEqual({
      sessions: [{ protocol: 'bgp', segment: 'inference', interface: 'lan0', neighbor: '10.3.10.10', state: 'Established', up: true }],
      missing: [],
    })
  })

  it('is told in return what its segment may talk to, and nothing else', async () => {
    expect(await announcedToRouter()).toEqual(['10.1.10.0/24', '10.2.10.0/24'])
  })
})

describe('the session', () => {
  it('is as wanted when it is compared, so a second apply does nothing', async () => {
    world.echoes('frankfurt')
    await set('frankfurt')
    expect(world.echoes('frankfurt')).toEqual([])
    expect(await world.call('frankfurt', 'drift', withRouter('frankfurt'))).toEqual([])
  })

  it('stays up while other allows come, and tells of them', async () => {
    await set('frankfurt', withRouter('frankfurt', { berlin: '10.1.10.0/25' }))
    expect(await eventually(async () => (await announcedToRouter()).includes('10.1.10.0/25'))).toBe(true)
    expect(await announcedToRouter()).not.toContain('10.1.10.0/24')
    await set('frankfurt')
    expect(await eventually(async () => (await announcedToRouter()).includes('10.1.10.0/24'))).toBe(true)
    expect(await establishments()).toBe(1)
  })

  it('stays up while the agent is killed, and a new one finds it in place', async () => {
    await world.restart('frankfurt')
    expect(await pings()).toBe(5)
    world.echoes('frankfurt')
    await set('frankfurt')
    expect(world.echoes('frankfurt')).toEqual([])
    expect(await establishments()).toBe(1)
  })

  it('puts right what somebody changed by hand', async () => {
    const folder = '/run/state-frankfurt/frr'
    const byHand = `vtysh --config_dir ${folder} --vty_socket ${folder} -c 'configure terminal'`
    await world.run(
      'frankfurt',
      `${byHand} -c 'ip prefix-list learn-10.3.10.10 permit 10.99.0.0/16' -c 'no ip prefix-list learn-10.3.10.10 permit ${declared} le 32'`,
    )
    const found = await world.call<readonly { readonly code: string }[]>('frankfurt', 'drift', withRouter('frankfurt'))
    expect(found.map(({ code }) => code)).toEqual(['D027', 'D027'])
    await set('frankfurt')
    expect(await eventually(async () => (await learned()).join() === '10.7.1.0/24')).toBe(true)
    expect(await pings()).toBe(5)
  })
})

describe('what a router no longer announces', () => {
  it('ends in an ICMP error of the owner, for whoever asks from afar, and comes back', async () => {
    await atRouter('no network 10.7.1.0/24')
    expect(await eventually(async () => (await learned()).length === 0)).toBe(true)
    expect((await world.run('b0', 'ping -c 2 -W 1 10.7.1.10')).stdout).toMatch(/From 10\.3\.10\.1 .*Unreachable/)
    expect((await learning()).missing).toEqual([declared])
    await atRouter('network 10.7.1.0/24')
    expect(await eventually(async () => (await pings()) === 5)).toBe(true)
  })

  it('is gone when the router falls silent, and back when it speaks again', async () => {
    await world.run('f0', 'kill -STOP $(cat /run/router/bgpd.pid)')
    expect(await eventually(async () => (await learned()).length === 0)).toBe(true)
    expect(await isUp()).toBe(false)
    expect((await world.run('b0', 'ping -c 2 -W 1 10.7.1.10')).stdout).toMatch(/Unreachable/)
    await world.run('f0', 'kill -CONT $(cat /run/router/bgpd.pid)')
    expect(await eventually(isUp)).toBe(true)
    expect(await eventually(async () => (await pings()) === 5)).toBe(true)
  })
})

describe('trouble', () => {
  it('a bgpd of the gateway that is killed is noticed, started and told again', async () => {
    await world.run('frankfurt', 'kill -KILL $(cat /run/state-frankfurt/frr/bgpd.pid)')
    expect((await world.call<readonly { readonly code: string }[]>('frankfurt', 'drift', withRouter('frankfurt'))).map(({ code }) => code)).toContain(
      'D027',
    )
    expect(await eventually(isUp)).toBe(true)
    expect(await eventually(async () => (await pings()) === 5)).toBe(true)
  })

  it('a router that announces more than it may is not listened to', async () => {
    await atRouter(...[2, 3, 4, 5, 6, 7].map((n) => `network 10.7.${n}.0/24`))
    expect(await eventually(async () => (await learned()).length === 0)).toBe(true)
    expect(await isUp()).toBe(false)
  })

  it('a LAN without a router any more leaves nothing running, and a wipe nothing at all', async () => {
    const left = 'ls /run/state-frankfurt | grep frr; pgrep -f "vty_socket /run/[s]tate-frankfurt"'
    await set('frankfurt', configOf('frankfurt'))
    expect((await world.run('frankfurt', left)).stdout).toBe('frr.log\n')
    await set('frankfurt')
    expect((await world.run('frankfurt', left)).stdout).toMatch(/^frr\nfrr\.log\n\d+\n\d+\n$/)
    await world.call('frankfurt', 'wipe')
    expect((await world.run('frankfurt', `${left}; ls /run/state-frankfurt`)).stdout).toBe('')
  })
})
