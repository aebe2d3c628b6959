/** Real gateways in namespaces: real WireGuard (wireguard-go where the kernel has none), real nft, real routes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ClassId, Dhcp, Finding, Lan, Rule, SiteConfig } from '#src/fabric/fabric.ts'
import { address, addressWithLength, prefix } from '#src/net/address.ts'
import type { PortRange } from '#src/net/ports.ts'
import type { Choice, TunnelCounters } from '#providers/device.ts'
import { configOf, type Name, realtime, rules, tunnel } from '#test/unit/linux/network.ts'
import { eventually, type SetHow, setSite, startWorld, type World } from './linux-world.ts'
import { pingCommand, readPings } from './ping.ts'

const names = ['dublin', 'frankfurt', 'berlin'] as const
let world: World

const set = (site: Name, config: SiteConfig, how?: SetHow): Promise<void> => setSite(world, site, config, how)
/** Packets that came back of five. */
async function ping(from: string, to: string): Promise<number> {
  const { stdout } = await world.run(from, pingCommand(to, { count: 5, seconds: 0.1 }))
  return readPings(stdout, 5).received
}
const received = async (site: Name, of: string): Promise<number> =>
  (await world.call<readonly TunnelCounters[]>(site, 'counters')).find((one) => one.tunnel === of)!.rxBytes
const choice = (remote: Name, hop: Choice['hop'], trafficClass = realtime): Choice => ({
  remote: remote as never,
  trafficClass,
  arrived: 'anywhere',
  hop,
})

beforeAll(async () => {
  world = await startWorld()
  for (const site of names) await set(site, configOf(site))
  await eventually(async () => (await ping('b0', '10.3.10.10')) === 5 && (await ping('b0', '10.2.10.10')) === 5)
})
afterAll(() => world.stop())

describe('traffic', () => {
  it('passes where an allow says so, and nowhere else', async () => {
    expect(await ping('b0', '10.3.10.10')).toBe(5)
    expect(await ping('f0', '10.2.10.10')).toBe(5)
    expect(await ping('b1', '10.3.10.10')).toBe(0)
    expect(await ping('f0', '10.1.10.10')).toBe(0)
    expect(await ping('b0', '10.1.20.10')).toBe(0)
  })

  it('carries TCP to the allowed port only, with its segments clamped', async () => {
    await world.run(
      'f0',
      `(socat -T5 TCP-LISTEN:8443,fork,reuseaddr SYSTEM:'head -c 100000 /dev/zero' & socat TCP-LISTEN:8444,fork,reuseaddr SYSTEM:'echo no' &) >/dev/null 2>&1 </dev/null`,
    )
    const answer = await world.run('b0', 'timeout 5 socat -u TCP:10.3.10.10:8443 - | wc -c')
    expect(answer.stdout.trim()).toBe('100000')
    expect((await world.run('b0', 'timeout 1 socat -u TCP:10.3.10.10:8444 - | wc -c')).stdout.trim()).toBe('0')
  })

  it('with a forged source never enters', async () => {
    await world.run('b0', 'ip addr add 10.3.10.99/32 dev lo')
    expect((await world.run('b0', 'ping -c 2 -W 1 -I 10.3.10.99 10.2.10.10')).stdout).toContain(' 0 received')
    const { stdout } = await world.run('berlin', 'nft list chain inet causeway lan0')
    expect(stdout).toMatch(/counter packets [1-9]\d* bytes \d+ drop/)
    await world.run('b0', 'ip addr del 10.3.10.99/32 dev lo')
  })

  it('to an undeclared private address ends in an ICMP error at the owner, not at the provider', async () => {
    expect((await world.run('b0', 'ping -c 2 -W 1 10.99.0.1')).stdout).toContain('From 10.1.10.1')
  })
})

describe('the ports of tunnels', () => {
  /** Three clients that ask for no port, where 53990 to 54001 may be given. */
  const clients = `
    const { createSocket } = require('node:dgram')
    const bind = () => new Promise((done) => {
      const socket = createSocket('udp4').on('error', ({ code }) => done(code))
      socket.bind(0, () => done(socket.address().port))
    })
    Promise.all([bind(), bind(), bind()]).then((all) => { console.log(all.sort().join(' ')); process.exit() })`

  it('are given to no client', async () => {
    await world.run('berlin', 'echo 53990 54001 > /proc/sys/net/ipv4/ip_local_port_range')
    expect(await world.run('berlin', `${process.execPath} -e "${clients}"`)).toEqual({ code: 0, stdout: '54000 54001 EADDRINUSE\n', stderr: '' })
    await world.run('berlin', 'echo 32768 60999 > /proc/sys/net/ipv4/ip_local_port_range')
  })
})

describe('steering', () => {
  it('moves a class to the other uplink and leaves the other classes where they are', async () => {
    const lte = tunnel('berlin.lte', 'frankfurt.isp-a')
    await world.call('berlin', 'steer', [choice('frankfurt', 1)])
    await world.call('frankfurt', 'steer', [choice('berlin', 1)])
    const before = await received('berlin', lte)
    expect(await ping('b0', '10.3.10.10')).toBe(5)
    expect((await received('berlin', lte)) - before).toBeGreaterThanOrEqual(5 * 84)
    const { stdout } = await world.run('berlin', 'ip -4 route get 10.3.10.10 from 10.1.10.10 iif lan0 mark 0')
    expect(stdout).toContain('dev cwe2u0u0p0')
  })

  it('over the mesh reaches an edge through the other hub', async () => {
    await world.call('berlin', 'steer', [choice('frankfurt', 2)])
    await world.call('frankfurt', 'steer', [choice('berlin', 2)])
    const mesh = tunnel('dublin.isp-a', 'frankfurt.isp-a')
    const before = await received('dublin', mesh)
    expect(await ping('b0', '10.3.10.10')).toBe(5)
    expect((await received('dublin', mesh)) - before).toBeGreaterThanOrEqual(5 * 84)
  })

  it('may take one way there and another back: transit keeps no state', async () => {
    await world.call('frankfurt', 'steer', [choice('berlin', 0)])
    expect(await ping('b0', '10.3.10.10')).toBe(5)
    const answer = await world.run('b0', 'timeout 5 socat -u TCP:10.3.10.10:8443 - | wc -c')
    expect(answer.stdout.trim()).toBe('100000')
    expect((await world.run('dublin', 'cat /proc/net/nf_conntrack 2>/dev/null | grep src=10.1.10.10 | grep dst=10.3.10.10')).stdout).toBe('')
  })

  it('unreachable drops, and coming back restores', async () => {
    await world.call('berlin', 'steer', [choice('frankfurt', 'unreachable')])
    expect(await ping('b0', '10.3.10.10')).toBe(0)
    await world.call('berlin', 'steer', [choice('frankfurt', 0)])
    await world.call('frankfurt', 'steer', [choice('berlin', 0)])
    expect(await ping('b0', '10.3.10.10')).toBe(5)
  })

  it('refuses a hop that the configuration does not have', async () => {
    await expect(world.call('berlin', 'steer', [choice('frankfurt', 9)])).rejects.toMatchObject({ code: 'D036' })
  })
})

describe('applying', () => {
  it('a second time changes nothing', async () => {
    for (const site of names) world.echoes(site)
    for (const site of names) await set(site, configOf(site))
    expect(names.flatMap((site) => world.echoes(site))).toEqual([])
  })

  it('answers every route vector as the model does', async () => {
    for (const site of names) expect(await world.call<readonly Finding[]>(site, 'drift', configOf(site))).toEqual([])
  })

  it('a taken-back allow ends flows that it had let in', async () => {
    await world.run('b0', '(ping -i 0.1 -c 40 -W 1 10.3.10.10 > /run/flow 2>&1 &) </dev/null')
    expect(await eventually(async () => /icmp_seq=5/.test((await world.run('b0', 'cat /run/flow')).stdout))).toBe(true)
    await set('berlin', configOf('berlin', { withRules: [] }))
    expect(await eventually(async () => /40 packets transmitted/.test((await world.run('b0', 'cat /run/flow')).stdout))).toBe(true)
    expect(Number(/(\d+) received/.exec((await world.run('b0', 'cat /run/flow')).stdout)?.[1])).toBeLessThan(40)
    await set('berlin', configOf('berlin'))
    expect(await ping('b0', '10.3.10.10')).toBe(5)
  })

  it('rotates a key beside the old one and loses no packet', async () => {
    await world.run('b0', `(${pingCommand('10.3.10.10', { count: 60, seconds: 0.05 })} > /run/rotation 2>&1 &) </dev/null`)
    for (const site of ['frankfurt', 'berlin'] as const) await set(site, configOf(site, { epochs: [0, 1] }), { prune: false })
    expect((await world.run('berlin', 'ip -o link')).stdout).toContain('cwe2u0u0p1')
    // What the agent's probes do: the new tunnel has answered before traffic moves to it.
    expect(await eventually(async () => (await world.run('berlin', 'ping -6 -c 1 -W 1 fd42:cafe:1:1::7')).code === 0)).toBe(true)
    for (const site of ['frankfurt', 'berlin'] as const) await set(site, configOf(site, { epochs: [1] }), { prune: false })
    expect(await eventually(async () => /packets transmitted/.test((await world.run('b0', 'cat /run/rotation')).stdout))).toBe(true)
    expect(readPings((await world.run('b0', 'cat /run/rotation')).stdout, 60).lost).toEqual([])
    expect((await world.run('berlin', 'ip -o link')).stdout).toContain('cwe2u0u0p0')
    for (const site of ['frankfurt', 'berlin'] as const) await set(site, configOf(site, { epochs: [1] }))
    expect((await world.run('berlin', 'ip -o link')).stdout).not.toContain('cwe2u0u0p0')
    expect(await ping('b0', '10.3.10.10')).toBe(5)
    for (const prune of [false, true]) for (const site of ['frankfurt', 'berlin'] as const) await set(site, configOf(site), { prune })
    expect(await eventually(async () => (await ping('b0', '10.3.10.10')) === 5)).toBe(true)
  })
})

describe('hosts of a LAN', () => {
  const plain = configOf('berlin')
  const [office, cameras] = plain.lans as readonly [Lan, Lan]
  const server: Dhcp = {
    kind: 'server',
    range: { first: address('10.1.20.100'), last: address('10.1.20.120') },
    lease: 3600,
    dns: [address('10.3.10.53')],
    domain: 'berlin.example.net',
    reserved: [],
  }
  const six: Lan = {
    segment: cameras.segment,
    interface: 'lan1',
    prefix: prefix('2001:db8:20::/64'),
    address: addressWithLength('2001:db8:20::1/64'),
    ra: { dns: [], domain: '' },
  }
  const served: SiteConfig = { ...plain, lans: [office, { ...cameras, dhcp: server }, six] }
  const relay: PortRange = { protocol: 'udp', from: 67, to: 67 }
  const toServer: Rule = {
    id: 'relay',
    from: { segment: office.segment, prefixes: [office.prefix] },
    to: { segment: office.segment, prefixes: [prefix('10.3.10.0/24')] },
    ports: [relay],
    trafficClass: 'default' as ClassId,
  }
  /** What a host is told: `address router resolver domain`, or '' when nobody answers. */
  async function ask(host: string, tries = 8): Promise<string> {
    const script = `/run/udhcpc-${host}`
    await world.run(
      host,
      `printf '#!/bin/sh\\n[ $1 = bound ] && echo $ip $router $dns $domain > ${script}.lease\\n:' > ${script}; chmod +x ${script}; rm -f ${script}.lease`,
    )
    await world.run(host, `udhcpc -i eth0 -n -q -f -s ${script} -t ${tries} -T 1 -A 1`)
    return (await world.run(host, `cat ${script}.lease`)).stdout.trim()
  }
  const pid = async (program = 'dnsmasq'): Promise<string> => (await world.run('berlin', `pgrep -oxf "${program} .*/state-berlin/.*"`)).stdout.trim()

  it('get an address, router and resolver by DHCP, and nobody answers on the LAN beside', async () => {
    await set('berlin', served)
    await world.run('b1', 'ip -4 addr flush dev eth0')
    expect(await ask('b1')).toMatch(/^10\.1\.20\.1(0\d|1\d|20) 10\.1\.20\.1 10\.3\.10\.53 berlin\.example\.net$/)
    expect(await ask('b0', 2)).toBe('')
    expect(await world.call('berlin', 'drift', served)).toEqual([])
  })

  it('make themselves an IPv6 address, and have the gateway as router', async () => {
    const has = async (): Promise<string> => (await world.run('b1', 'ip -6 addr show dev eth0 scope global; ip -6 route show default')).stdout
    expect(
      await eventually(async () => /inet6 2001:db8:20:0?:/.test(await has()) && /default via fe80::\S+ dev eth0 proto ra/.test(await has())),
    ).toBe(true)
    expect(await eventually(async () => (await world.run('b1', 'ping -6 -c 1 -W 1 2001:db8:20::1')).code === 0)).toBe(true)
  })

  it('are told of another resolver by the radvd that runs, which takes no leave of them', async () => {
    const first = await pid('radvd')
    await set('berlin', { ...served, lans: [office, { ...cameras, dhcp: server }, { ...six, ra: { dns: [], domain: 'cams.example.net' } }] })
    expect(await pid('radvd')).toBe(first)
    expect((await world.run('b1', 'ip -6 route show default')).stdout).toMatch(/default via fe80::\S+ dev eth0 proto ra/)
    await set('berlin', served)
    await world.run('berlin', `kill -KILL ${first}`)
    expect(await eventually(async () => !['', first].includes(await pid('radvd')))).toBe(true)
  })

  it('keep their leases when the server is killed, and when the agent is', async () => {
    const leased = await ask('b1')
    const first = await pid()
    await world.restart('berlin')
    expect(await pid()).toBe(first)
    world.echoes('berlin')
    await set('berlin', served)
    expect(world.echoes('berlin')).toEqual([])
    await world.run('berlin', `kill -KILL ${first}`)
    expect(await eventually(async () => !['', first].includes(await pid()))).toBe(true)
    expect(await ask('b1')).toBe(leased)
  })

  it('are told of the server of another site by a relay, whose packets leave from the LAN', async () => {
    await world.run(
      'f0',
      '(dnsmasq --port=0 --keep-in-foreground --user= --group= --conf-file=/dev/null --pid-file=/run/f0.pid --dhcp-leasefile=/run/f0.leases --dhcp-range=10.1.10.200,10.1.10.210,255.255.255.0,3600 --dhcp-option=option:router,10.1.10.1 >/run/f0.log 2>&1 &) </dev/null',
    )
    await set('frankfurt', configOf('frankfurt', { withRules: [...rules, toServer] }))
    const relayed = {
      ...configOf('berlin', { withRules: [...rules, toServer] }),
      lans: [{ ...office, dhcp: { kind: 'relay', server: address('10.3.10.10') } }, cameras],
    } satisfies SiteConfig
    await set('berlin', relayed)
    expect(await ask('b0')).toMatch(/^10\.1\.10\.2(0\d|10) 10\.1\.10\.1/)
    await set('frankfurt', configOf('frankfurt'))
    expect(await ask('b0', 2)).toBe('')
    await world.run('f0', 'kill $(cat /run/f0.pid)')
  })

  it('choose their class by DSCP where they are trusted, and nowhere else', async () => {
    await world.run(
      'f0',
      'nft -f - <<EOF\ntable ip marks {\n chain in {\n type filter hook input priority 0;\n ip saddr 10.1.10.10 ip dscp ef counter\n }\n}\nEOF',
    )
    const marks = async (): Promise<number> => Number(/packets (\d+)/.exec((await world.run('f0', 'nft list table ip marks')).stdout)?.[1])
    const overLte = async (): Promise<number> =>
      (JSON.parse((await world.run('berlin', 'ip -j -s link show dev cwe2u1u0p0')).stdout) as [{ stats64: { tx: { packets: number } } }])[0].stats64
        .tx.packets
    const usual = rules.map((rule): Rule => ({ ...rule, trafficClass: 'default' as ClassId }))
    const whole = configOf('berlin', { withRules: usual })
    await set('berlin', whole, { choices: [choice('frankfurt', 1)] })
    const send = () => world.run('b0', 'ping -Q 0xb8 -c 3 -i 0.1 -W 1 10.3.10.10')
    await send()
    expect(await marks()).toBe(0)
    await set('berlin', { ...whole, lans: [{ ...office, trust: 'dscp' }, cameras] })
    const before = await overLte()
    await send()
    expect(await marks()).toBe(3)
    // Realtime goes by lte now, and the marks take the packets there.
    expect((await overLte()) - before).toBeGreaterThanOrEqual(3)
    await world.run('f0', 'nft delete table ip marks')
  })

  it('are served no longer when no LAN says so', async () => {
    await set('berlin', plain, { choices: [choice('frankfurt', 0)] })
    expect([await pid(), await pid('radvd')]).toEqual(['', ''])
    await world.run('b1', 'ip addr add 10.1.20.10/24 dev eth0; ip route replace default via 10.1.20.1')
    expect(await world.call('berlin', 'drift', plain)).toEqual([])
    expect(await eventually(async () => (await ping('b0', '10.3.10.10')) === 5)).toBe(true)
  })
})

describe('trouble', () => {
  it('an agent that is killed takes no tunnel with it, and a new one finds everything in place', async () => {
    await world.restart('berlin')
    expect(await ping('b0', '10.3.10.10')).toBe(5)
    world.echoes('berlin')
    await set('berlin', configOf('berlin'))
    expect(world.echoes('berlin')).toEqual([])
  })

  it('a tunnel that is lost (its wireguard-go is killed, or its device deleted) is noticed and replaced', async () => {
    await world.run('berlin', 'pkill -KILL -f "^wireguard-go cwe2u0u0p0" || ip link del cwe2u0u0p0')
    expect(await eventually(async () => (await world.run('berlin', 'ip link show dev cwe2u0u0p0')).code !== 0)).toBe(true)
    const findings = await world.call<readonly Finding[]>('berlin', 'drift', configOf('berlin'))
    expect(findings.map((one) => one.code)).toContain('D020')
    expect(findings.map((one) => one.code)).toContain('D024')
    await set('berlin', configOf('berlin'))
    expect(await world.call('berlin', 'drift', configOf('berlin'))).toEqual([])
    expect(await eventually(async () => (await ping('b0', '10.3.10.10')) === 5)).toBe(true)
  })

  it('an uplink with a new address and router keeps its tunnels', async () => {
    await world.run('internet', 'ip addr add 100.64.7.1/24 dev b-fiber')
    await world.run('berlin', 'ip addr flush dev wan0; ip addr add 100.64.7.2/24 dev wan0; ip route add default via 100.64.7.1 dev wan0 metric 100')
    expect(await eventually(async () => (await world.run('berlin', 'ip route show table 7700')).stdout.includes('via 100.64.7.1'))).toBe(true)
    expect((await world.run('berlin', 'ip rule')).stdout).not.toContain('100.64.1.2')
    expect(await eventually(async () => (await ping('b0', '10.3.10.10')) === 5)).toBe(true)
  })

  it('a LAN address that was taken away comes back, with the routes that the kernel dropped with it', async () => {
    await world.run('berlin', 'ip addr del 10.1.10.1/24 dev lan0')
    expect(await eventually(async () => (await world.run('berlin', 'ip addr show dev lan0')).stdout.includes('10.1.10.1/24'))).toBe(true)
    expect(await eventually(async () => (await ping('b0', '10.3.10.10')) === 5)).toBe(true)
    expect(await world.call('berlin', 'drift', configOf('berlin'))).toEqual([])
  })

  it('a tunnel whose uplink is gone does not leave by the other one', async () => {
    await world.run('berlin', 'ip link set wan0 down')
    expect((await world.run('berlin', 'ip route get 192.0.2.10 mark 0x10000')).code).not.toBe(0)
    await world.run('berlin', 'ip link set wan0 up; ip route add default via 100.64.7.1 dev wan0 metric 100')
    expect(await eventually(async () => (await ping('b0', '10.3.10.10')) === 5)).toBe(true)
  })

  it('rehandshake brings a tunnel back to a hub that was recreated', async () => {
    const fiber = tunnel('berlin.fiber', 'frankfurt.isp-a')
    const last = async (): Promise<number> =>
      (await world.call<readonly TunnelCounters[]>('berlin', 'counters')).find((one) => one.tunnel === fiber)!.lastHandshake
    await world.run('frankfurt', 'ip link del cwh0s0p0')
    await set('frankfurt', configOf('frankfurt'))
    await world.call('berlin', 'rehandshake', fiber)
    expect(await eventually(async () => (await ping('b0', '10.3.10.10')) === 5)).toBe(true)
    expect(await last()).toBeGreaterThan(0)
  })
})

describe('wiping', () => {
  it('leaves nothing of ours: no interface, route, rule, nexthop, table, address, process or sysctl', async () => {
    await world.call('berlin', 'wipe')
    expect(await world.call('berlin', 'state')).toMatch(/^(address 100\.64\.\d\.2\/24 dev wan\d\n)+$/)
    expect((await world.run('berlin', 'nft list tables')).stdout).toBe('')
    expect((await world.run('berlin', 'ip rule | wc -l; ip -6 rule | wc -l')).stdout).toBe('3\n2\n')
    expect((await world.run('berlin', 'sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv4.nexthop_compat_mode')).stdout).toBe(
      '0\n0\n1\n',
    )
    expect((await world.run('berlin', 'sysctl -n net.ipv4.ip_local_reserved_ports')).stdout).toBe('\n')
    expect((await world.run('berlin', 'ls /run/wg-berlin; ls /run/state-berlin')).stdout).toBe('')
    expect((await world.run('berlin', 'pgrep -f "^wireguard-go cwe"')).stdout).toBe('')
  })
})
