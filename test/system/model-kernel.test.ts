/**
 * The model agrees with the kernel. The real driver configures every gateway of a lab from `configure(…)`; then packets go
 * through `walk` and through the namespaces, with the same choices, and each must be seen by the same tunnels and hosts,
 * as the same class, there and back.
 */
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ConnectionId, Failure, RegionId, SiteConfig, SiteId, TunnelId, UplinkId } from '#src/fabric/fabric.ts'
import { type Address, addressBits, contains, type Family, familyOf, nth, type Prefix } from '#src/net/address.ts'
import { expectation, observation } from './model-kernel/compare.ts'
import { sendingBy, settled, shuffled, type Situation, via } from './model-kernel/network.ts'
import { hostsOf, type Probe, probesFor } from './model-kernel/probes.ts'
import { startWorld, type World } from './model-kernel/world.ts'

/** Another one each time; a disagreement prints it, and SEED=n repeats the run. */
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
const uplink = (site: string, id: string): Failure => ({ kind: 'uplink', site: site as SiteId, uplink: id as UplinkId })
const hub = (site: string): Failure => ({ kind: 'hub', site: site as SiteId })
const connection = (id: string): Failure => ({ kind: 'connection', external: 'aws-eu-west-1' as RegionId, connection: id as ConnectionId })
const tunnel = (id: string): Failure => ({ kind: 'tunnel', tunnel: id as TunnelId })

let nextPort = 10_000
function probes(world: World, count: number): readonly Probe[] {
  const made = probesFor(world.network.fabric, seed + nextPort, count, nextPort)
  nextPort += count
  return made
}
function probe(world: World, box: string, source: string, destination: string, protocol: Probe['protocol'], port: number): Probe {
  const own = hostsOf(world.network.fabric).filter((one) => one.box === box)
  // A source of somebody else's is a lie.
  const host = own.find(({ lan }) => contains(lan.prefix, source as Address)) ?? own[0]!
  nextPort += 1
  return {
    box,
    site: host.site,
    lan: host.lan.prefix,
    source: source as Address,
    destination: destination as Address,
    protocol,
    port,
    sourcePort: nextPort,
  }
}
/** '' when they agree; else what a person has to read. */
const report = (differences: readonly string[]): string =>
  differences.length === 0 ? '' : `the model and the kernels disagree (SEED=${seed} repeats it)\n\n${differences.join('\n\n')}`

function agreeing(folder: string, failures: readonly { readonly name: string; readonly failure: Failure }[]): () => World {
  let world: World
  beforeAll(async () => {
    world = await startWorld(resolve(folder))
  })
  afterAll(() => world?.stop())

  it('agrees while nothing is broken', async () => {
    expect(report(await world.compare(world.normal, probes(world, 250)))).toBe('')
  })
  it.each(failures)('agrees without $name', async ({ name, failure }) => {
    const situation = settled(world.network.fabric, `${name} down`, [failure])
    await world.become(situation)
    expect(report(await world.compare(situation, probes(world, 120)))).toBe('')
  })
  it.each([1, 2, 3])('agrees whichever hops run time chooses (%i)', async (n) => {
    const situation = shuffled(world.network.fabric, seed + n)
    await world.become(situation)
    expect(report(await world.compare(situation, probes(world, 120)))).toBe('')
  })
  it('answers every route vector after all that steering back and forth', async () => {
    await world.become(world.normal)
    for (const site of world.network.fabric.sites) expect(await world.drift(site.id)).toEqual([])
  })
  it('clamps every TCP segment size that crosses a tunnel', async () => {
    const seen = [...(await world.witnesses()).values()]
    expect(seen.reduce((sum, one) => sum + one.unclamped, 0)).toBe(0)
    expect(seen.reduce((sum, one) => sum + one.clamped, 0)).toBeGreaterThan(10)
  })
  return () => world
}

describe('the demo', () => {
  const world = agreeing('test/networks/branches', [
    { name: 'hub frankfurt', failure: hub('frankfurt') },
    { name: 'hub dublin', failure: hub('dublin') },
    { name: 'uplink berlin.fiber', failure: uplink('berlin', 'fiber') },
    { name: 'uplink frankfurt.isp-a', failure: uplink('frankfurt', 'isp-a') },
    { name: 'tunnel berlin.fiber--frankfurt.isp-a', failure: tunnel('berlin.fiber--frankfurt.isp-a') },
  ])
  it('lets nothing out in clear', async () => {
    expect(await world().leaks()).toBe(0)
  })
})

describe('a network with a cloud region and a third party', () => {
  const world = agreeing('test/system/model-kernel/external', [
    { name: 'uplink frankfurt.isp-a', failure: uplink('frankfurt', 'isp-a') },
    { name: 'uplink frankfurt.isp-v6', failure: uplink('frankfurt', 'isp-v6') },
    { name: 'uplink berlin.fiber', failure: uplink('berlin', 'fiber') },
    { name: 'hub frankfurt', failure: hub('frankfurt') },
    { name: 'connection frankfurt.isp-a:v6', failure: connection('frankfurt.isp-a:v6') },
    { name: 'connection frankfurt.isp-a', failure: connection('frankfurt.isp-a') },
  ])
  it('asked the host in the VPC and was asked by it, there and back, in both families', async () => {
    const { network, normal } = world()
    const allowed = [
      probe(world(), 'berlin-inference', '10.1.10.13', '10.96.1.10', 'tcp', 8443),
      probe(world(), 'berlin-inference', '10.1.10.13', '10.96.1.10', 'icmp', 0),
      probe(world(), 'vpc-model', '10.96.1.10', '10.10.0.20', 'udp', 5005),
      probe(world(), 'vpc-model', '10.96.1.10', '10.1.10.20', 'tcp', 9000),
      probe(world(), 'berlin-inference', 'fd10:11::d', '2600:1f18:1234:5600::a', 'tcp', 8443),
      probe(world(), 'berlin-inference', 'fd10:11::d', '2600:1f18:1234:5600::a', 'icmp', 0),
      probe(world(), 'vpc-model', '2600:1f18:1234:5600::a', 'fd10:10::14', 'udp', 5005),
      probe(world(), 'vpc-model', '2600:1f18:1234:5600::a', 'fd10:11::14', 'tcp', 9000),
    ]
    // One port beside each: the group in the VPC, the gateways and the model agree on that as well.
    const refused = allowed
      .filter(({ protocol }) => protocol !== 'icmp')
      .map((one) => ({ ...one, port: one.port + 1000, sourcePort: one.sourcePort + 500 }))
    await world().become(normal)
    expect(allowed.map((one) => expectation(network, normal, one).answered)).toEqual(allowed.map(() => true))
    expect(refused.map((one) => expectation(network, normal, one).delivered)).toEqual(refused.map(() => false))
    expect(report(await world().compare(normal, [...allowed, ...refused]))).toBe('')
  })
  it('reaches the VPC in one family over what is left of its connections, and in the other over all that it has', async () => {
    const { network, normal } = world()
    const asked = [
      probe(world(), 'berlin-inference', '10.1.10.13', '10.96.1.10', 'tcp', 8443),
      probe(world(), 'berlin-inference', 'fd10:11::d', '2600:1f18:1234:5600::a', 'tcp', 8443),
    ]
    const six = network.fabric.regions[0]!.connections.filter(({ id }) => id.endsWith(':v6')).map(({ id }) => connection(id))
    const half = settled(network.fabric, 'one connection of IPv6 down', six.slice(0, 1))
    const none = settled(network.fabric, 'no connection of IPv6', six)
    for (const [situation, answered] of [
      [half, [true, true]],
      [none, [true, false]],
      [normal, [true, true]],
    ] as const) {
      await world().become(situation)
      expect(asked.map((one) => expectation(network, situation, one).answered)).toEqual(answered)
      expect(report(await world().compare(situation, asked))).toBe('')
    }
  })
  it('asked the host of the third party and was asked by it, in both families and by whichever of its tunnels it likes, over IPv4 or IPv6', async () => {
    const { network, normal } = world()
    const asked = [
      probe(world(), 'berlin-training', '10.1.20.13', '172.20.9.20', 'tcp', 443),
      probe(world(), 'berlin-training', 'fd10:1::d', 'fd20::14', 'udp', 5000),
      probe(world(), 'partner-training', '172.20.9.13', '10.20.0.20', 'tcp', 8004),
      probe(world(), 'partner-training', 'fd20::d', 'fd10:1::14', 'tcp', 8001),
      // What its owner is told to drop comes, and no farther than a gateway of ours.
      probe(world(), 'partner-training', '172.20.9.13', '10.1.20.20', 'tcp', 8004),
      probe(world(), 'partner-training', '172.20.64.13', '10.1.20.20', 'tcp', 8000),
      probe(world(), 'partner-training', '172.20.9.13', '10.1.20.20', 'tcp', 8011),
      probe(world(), 'partner-training', '172.20.9.13', '10.1.10.20', 'tcp', 9000),
      probe(world(), 'partner-training', 'fd10:1::7', 'fd10:20::14', 'tcp', 8001),
    ]
    const answered = [true, true, true, true, false, false, false, false, false]
    const ways = new Set<string>()
    const steerings = [0, 1, 2].map((n) => sendingBy(normal, network.fabric, 'partner', n))
    for (const situation of steerings) {
      await world().become(situation)
      expect(asked.map((one) => expectation(network, situation, one).answered)).toEqual(answered)
      expect(report(await world().compare(situation, asked))).toBe('')
      ways.add(expectation(network, situation, asked[2]!).request.find((one) => one.startsWith('frankfurt by'))!)
    }
    expect(ways.size).toBe(3)
    // It sends by another one than the model believes.
    expect(await world().compare(steerings[0]!, asked.slice(2, 3))).toHaveLength(1)
    await world().become(normal)
  })
})

describe('networks that overlap', () => {
  const world = agreeing('test/system/model-kernel/overlap', [
    { name: 'hub north', failure: hub('north') },
    { name: 'uplink madrid.fiber', failure: uplink('madrid', 'fiber') },
  ])
  const lan = (site: string, segment: string, family: Family = 4) =>
    world()
      .network.fabric.sites.find((one) => one.id === site)!
      .lans.find((one) => one.segment === segment && familyOf(one.prefix) === family)!
  it.each([
    [4, '192.168.1.0/24', '10.20.0'],
    [6, 'fd00:7::/64', 'fd20:20:'],
  ] as const)('lets hosts with one IPv%i address call the same host, and each is answered', async (family, local, office) => {
    const { network, normal } = world()
    expect([lan('berlin', 'cameras', family).local, lan('madrid', 'cameras', family).local]).toEqual([undefined, local])
    const host = (site: string, last: number) => nth(lan(site, 'cameras', family).prefix, last)!
    const [recorder, clerk] = family === 4 ? [`${office}.20`, `${office}.13`] : [`${office}:20`, `${office}:13`]
    const asked = [
      probe(world(), 'berlin-cameras', host('berlin', 13), recorder, 'tcp', 554),
      probe(world(), 'madrid-cameras', host('madrid', 13), recorder, 'tcp', 554),
      probe(world(), 'north-office', clerk, host('madrid', 40), 'icmp', 0),
      probe(world(), 'madrid-cameras', host('madrid', 13), host('oslo', 40), 'udp', 5000),
      // Neighbours to each other.
      probe(world(), 'madrid-cameras', host('madrid', 13), host('berlin', 40), 'udp', 5000),
      probe(world(), 'berlin-cameras', host('berlin', 13), host('madrid', 40), 'udp', 5000),
    ]
    await world().become(normal)
    expect(asked.map((one) => expectation(network, normal, one).answered)).toEqual([true, true, true, true, false, false])
    expect(report(await world().compare(normal, asked))).toBe('')
  })
  it.each([
    ['192.168.1.13', '10.20.0.20', 'Frag needed and DF set (mtu = 1380)', 'From 192.168.1.254', 28],
    ['fd00:7::13', 'fd20:20::20', 'Packet too big: mtu=1380', 'From fd00:7::fe', 48],
  ])('tells a host that its packet from %s is too big, in the words of that host', async (source, target, says, by, headers) => {
    await world().compare(world().normal, [
      probe(world(), 'madrid-cameras', nth(lan('madrid', 'cameras', 6).prefix, 0x13)!, 'fd20:20::20', 'icmp', 0),
    ])
    const said = await world().shell('madrid-cameras', `ping -n -c 2 -i 0.2 -W 1 -M do -I ${source} -s 1400 ${target}`)
    expect(`${said.stdout}${said.stderr}`).toContain(`${by} icmp_seq=1 ${says}`)
    const after = await world().shell('madrid-cameras', `ping -n -c 1 -W 1 -M do -I ${source} -s ${1380 - headers} ${target}`)
    expect(after.stdout).toContain(`${1380 - headers + 8} bytes from ${target}`)
  })
  it('carries a datagram in fragments, there and back', async () => {
    const target = nth(lan('oslo', 'cameras').prefix, 40)!
    const { stdout } = await world().shell(
      'madrid-cameras',
      `head -c 5000 /dev/zero | socat -t 3 -b 6000 - UDP:${target}:5000,bind=192.168.1.13 | wc -c`,
    )
    expect(stdout.trim()).toBe('5000')
  })
  it('delivers an error from beyond, whose quote has the names of the overlay: who asked knows nothing of such a packet', async () => {
    const shell = async (command: string): Promise<string> => (await world().shell('madrid-cameras', command)).stdout
    const overlay = addressBits(nth(lan('madrid', 'cameras').prefix, 13)!).toString(16)
    // The source of the quoted packet: 12 bytes into the IPv4 header behind the 8 of ICMP.
    const counting = `add table ip quote; add chain ip quote in { type filter hook input priority 0; }; add rule ip quote in ip daddr 192.168.1.13 icmp type time-exceeded @th,160,32 0x${overlay} counter`
    await shell(`nft '${counting}'`)
    const ping = 'ping -n -c 1 -W 1 -t 2 -I 192.168.1.13 10.20.0.20'
    expect((await world().shell('berlin-cameras', ping)).stdout).toContain('From 10.20.0.1 icmp_seq=1 Time to live exceeded')
    expect(await shell(ping)).not.toContain('Time to live exceeded')
    expect(await shell('nft list table ip quote; nft delete table ip quote')).toContain('counter packets 1 ')
  })
  it('lets nobody in by a local name, as its own or as that of whom it calls', async () => {
    const { network, normal } = world()
    await world().become(normal)
    const config = [...network.configs.values()].find((one) => one.site === 'north')!
    const mesh = config.interfaces.find((one) => one.kind === 'mesh')!.device
    /** Pings out of a hub's mesh tunnel, past its own checks; whether the host in the south heard it. */
    const heard = async (source: string, destination: string): Promise<boolean> => {
      await world().forget()
      await world().shell(
        'north',
        `ip addr add ${source}/32 dev lo; ip route add ${destination}/32 dev ${mesh}; ping -n -c 1 -W 1 -I ${source} ${destination}; ip route del ${destination}/32 dev ${mesh}; ip addr del ${source}/32 dev lo`,
      )
      return (await world().witnesses()).get('south-office')!.packets.has(`icmp ${source} 10.30.0.20`)
    }
    const overlay = nth(lan('south', 'office').prefix, 20)!
    expect(await heard('192.168.1.13', overlay)).toBe(true)
    expect(await heard('192.168.1.13', '10.30.0.20')).toBe(false)
    expect(await heard('10.30.0.9', overlay)).toBe(false)
  })
})

describe('a pair of gateways', () => {
  const gateway = (site: string): Failure => ({ kind: 'gateway', site: site as SiteId })
  const world = agreeing('test/system/model-kernel/pair', [
    { name: 'gateway harbor', failure: gateway('harbor') },
    { name: 'gateway harbor.b', failure: gateway('harbor.b') },
    { name: 'uplink harbor.fiber', failure: uplink('harbor', 'fiber') },
    { name: 'hub north', failure: hub('north') },
  ])
  it('carries the same packets by whichever has the LANs', async () => {
    const { network, normal } = world()
    const asked = [
      probe(world(), 'harbor-office', '10.50.1.17', '10.20.0.20', 'tcp', 8000),
      probe(world(), 'north-office', '10.20.0.13', '10.50.1.20', 'tcp', 22),
      probe(world(), 'harbor-lab.r1', '10.51.0.5', '10.60.2.20', 'udp', 9),
      probe(world(), 'harbor-lab.r1', '10.51.0.5', '10.61.3.20', 'udp', 9),
      probe(world(), 'harbor-lab.r2', 'fd51::5', 'fd60:2::14', 'udp', 9),
      probe(world(), 'harbor-office', '10.50.1.33', '10.20.0.20', 'tcp', 8005),
    ]
    const second = settled(network.fabric, 'gateway harbor down', [gateway('harbor')])
    const ways = new Set<string>()
    for (const situation of [normal, second]) {
      await world().become(situation)
      expect(asked.map((one) => expectation(network, situation, one).answered)).toEqual([true, true, true, true, true, false])
      expect(report(await world().compare(situation, asked))).toBe('')
      ways.add(expectation(network, situation, asked[1]!).request.find((one) => one.startsWith('harbor'))!)
    }
    expect([...ways].map((one) => one.split(' ')[0])).toEqual(['harbor', 'harbor-office'])
  })
  it('hears from the internet by way of another hub than that of its exit, whatever class somebody out there claims', async () => {
    const { network, normal } = world()
    const asked = [
      probe(world(), 'harbor-lab', '10.50.4.9', '8.8.8.8', 'udp', 53),
      probe(world(), 'harbor-office', '10.50.1.9', '8.8.8.8', 'icmp', 0),
    ]
    const around = via(normal, network.fabric, 'north', 'harbor', 'north.isp-a--south.isp')
    await world().become(around)
    const [there] = asked.map((one) => expectation(network, around, one))
    expect([there!.answered, there!.reply.length]).toEqual([true, 3])
    expect(report(await world().compare(around, asked))).toBe('')
  })
})

describe('a network of oddities', () => {
  const world = agreeing('test/system/model-kernel/odd', [
    { name: 'hub north', failure: hub('north') },
    { name: 'hub south', failure: hub('south') },
    { name: 'uplink east.fiber', failure: uplink('east', 'fiber') },
    { name: 'uplink north.isp-a', failure: uplink('north', 'isp-a') },
    { name: 'uplink north.isp-v6', failure: uplink('north', 'isp-v6') },
    { name: 'tunnel north.isp-b--south.isp', failure: tunnel('north.isp-b--south.isp') },
  ])

  it('keeps hosts out by a deny, and those beside them not', async () => {
    const { network, normal } = world()
    const asked = [
      probe(world(), 'east-lab', '10.50.2.17', '10.21.4.24', 'tcp', 22),
      probe(world(), 'east-lab', '10.50.2.33', '10.21.4.24', 'tcp', 22),
      probe(world(), 'east-lab', '10.50.2.33', '10.21.4.24', 'udp', 5006),
      probe(world(), 'far-office', '10.60.0.9', '10.20.12.4', 'tcp', 631),
      // The endpoint is in the vault.
      probe(world(), 'far-office', '10.60.0.9', '10.20.8.20', 'tcp', 631),
      probe(world(), 'far-office', '10.60.0.9', '10.20.13.4', 'tcp', 631),
      probe(world(), 'east-lab', 'fd50:2:0:1:8000::1', '2001:db8:21:4::8', 'tcp', 22),
      probe(world(), 'east-lab', 'fd50:2:0:1:3000::1', '2001:db8:21:4::8', 'tcp', 22),
      probe(world(), 'east-lab', 'fd50:2:0:1:3000::1', '2001:db8:30:1::8', 'udp', 5006),
      probe(world(), 'east-office', '2001:db8:50:1::9', '2001:db8:20:8001::4', 'tcp', 8000),
      probe(world(), 'east-office', '2001:db8:50:1::9', '2001:db8:20::4', 'icmp', 0),
    ]
    await world().become(normal)
    const v4 = [true, false, true, true, false, false]
    const v6 = [true, false, true, false, true]
    expect(asked.map((one) => expectation(network, normal, one).delivered)).toEqual([...v4, ...v6])
    expect(report(await world().compare(normal, asked))).toBe('')
  })

  it('lets out to the internet who may leave, at the site or at its hub, and nobody else', async () => {
    const { network, normal } = world()
    const asked = [
      probe(world(), 'far-office', '10.60.0.9', '8.8.8.8', 'tcp', 443),
      probe(world(), 'far-plant', '192.168.9.9', '8.8.8.8', 'udp', 53),
      probe(world(), 'far-plant', '2001:db8:9::9', '2001:db8:ffff::8', 'tcp', 443),
      probe(world(), 'east-office', '10.50.1.9', '8.8.8.8', 'icmp', 0),
      probe(world(), 'east-lab', '10.50.2.9', '8.8.8.8', 'tcp', 443),
      probe(world(), 'far-office', '10.60.0.9', '10.99.0.8', 'tcp', 443),
    ]
    await world().become(normal)
    const expected = asked.map((one) => expectation(network, normal, one))
    expect(expected.map((one) => one.answered)).toEqual([true, true, true, true, false, false])
    expect(expected.slice(0, 3).map(({ request }) => request.find((one) => one.startsWith('internet')))).toEqual([
      'internet from south over isp',
      'internet from far over fiber',
      'internet from far over cable',
    ])
    expect(report(await world().compare(normal, asked))).toBe('')
  })

  it('asks the policy between two LANs of one segment as well', async () => {
    const { network, normal } = world()
    const asked = [
      probe(world(), 'north-lab', '10.21.4.17', '10.21.8.24', 'tcp', 5500),
      probe(world(), 'north-lab.2', '10.21.8.17', '10.21.4.24', 'tcp', 5500),
      probe(world(), 'north-lab.2', '10.21.8.17', '10.21.4.24', 'tcp', 22),
      probe(world(), 'north-lab.2', '10.21.8.33', '10.30.1.24', 'udp', 9),
    ]
    await world().become(normal)
    expect(asked.map((one) => expectation(network, normal, one).delivered)).toEqual([true, true, false, true])
    expect(report(await world().compare(normal, asked))).toBe('')
  })

  it('routes what is behind a router on a LAN, and asks nobody between its neighbours', async () => {
    const { network, normal } = world()
    const asked = [
      probe(world(), 'east-lab.r1', '10.51.3.5', '10.50.2.148', 'udp', 9),
      probe(world(), 'west-lab', '10.50.2.149', '10.51.3.8', 'udp', 9),
      probe(world(), 'north-office', '10.20.3.5', '10.51.7.8', 'tcp', 2222),
      probe(world(), 'north-office', '10.20.3.5', '10.51.7.8', 'tcp', 2223),
      probe(world(), 'east-office', '10.50.1.21', '10.51.7.8', 'tcp', 9100),
      probe(world(), 'east-lab', '10.50.2.21', '10.51.7.8', 'tcp', 7),
      probe(world(), 'east-lab', '10.50.2.21', '10.51.7.8', 'icmp', 0),
    ]
    await world().become(normal)
    expect(asked.map((one) => expectation(network, normal, one).delivered)).toEqual([true, false, true, false, false, true, true])
    expect(report(await world().compare(normal, asked))).toBe('')
  })

  describe('an open connection', () => {
    /** East and west have different homes, so there and back never were the same way. */
    it.each([
      ['IPv4', '10.50.2.13', '10.50.2.140'],
      ['IPv6', 'fd50:2:0:1::d', 'fd50:2:0:2::a'],
    ])('of %s survives each steer of either direction, and a failure', async (_, from, to) => {
      const { network, normal } = world()
      const flow = probe(world(), 'east-lab', from, to, 'tcp', 4242)
      const direct = via(normal, network.fabric, 'east', 'west', 'east.lte--north.isp-b')
      const situations: readonly Situation[] = [
        normal,
        direct,
        via(direct, network.fabric, 'north', 'east', 'north.isp-a--south.isp'),
        via(normal, network.fabric, 'north', 'east', 'east.lte--north.isp-a'),
        settled(network.fabric, 'east.fiber down', [uplink('east', 'fiber')]),
        normal,
      ]
      const ways = new Set<string>()
      for (const [index, situation] of situations.entries()) {
        await world().become(situation)
        await world().forget()
        if (index === 0) await world().host('east-lab', 'open', flow)
        expect(await world().host('east-lab', 'say', `still here with ${situation.name}`)).toBe(`still here with ${situation.name}`)
        const expected = expectation(network, situation, flow)
        const seen = observation(network, await world().witnesses(), flow)
        expect(seen).toEqual({ request: expected.request, reply: expected.reply })
        ways.add(JSON.stringify(seen))
      }
      expect(ways.size).toBe(5)
    })
  })

  describe('a gateway that lies about its source', () => {
    /** Sends one datagram from a gateway itself, past its own LAN checks, and says which hosts received it. */
    async function send(from: string, source: string, destination: string, port: number): Promise<readonly string[]> {
      nextPort += 1
      await world().shell(
        from,
        `ip addr add ${source}/32 dev lo; echo lie | socat -u - UDP-SENDTO:${destination}:${port},bind=${source}:${nextPort}; ip addr del ${source}/32 dev lo`,
      )
      for (let tries = 0; tries < 5; tries++) {
        const at = [...(await world().witnesses())].filter(
          ([box, { packets }]) => box.includes('-') && packets.has(`udp ${source} ${destination} ${nextPort} ${port}`),
        )
        if (at.length > 0) return at.map(([box]) => box)
        await new Promise((later) => setTimeout(later, 100))
      }
      return []
    }
    it('is believed about its own LANs only', async () => {
      await world().become(world().normal)
      expect(await send('east', '10.50.2.7', '10.21.4.20', 5000)).toEqual(['north-lab'])
      expect(await send('east', '10.50.2.135', '10.21.4.20', 5000)).toEqual([])
    })
    it('is not believed by the owner of the address, not even as a hub', async () => {
      expect(await send('south', '10.30.0.7', '10.50.1.20', 53)).toEqual(['east-office'])
      // east's policy lets its lab ask its own office, but not from outside.
      expect(await send('south', '10.50.2.7', '10.50.1.20', 53)).toEqual([])
      expect(await send('south', '10.99.0.1', '10.50.1.20', 53)).toEqual([])
    })
  })

  describe('a packet that is too big', () => {
    const ping = async (from: string, to: string, size: number): Promise<string> => {
      const { stdout, stderr } = await world().shell(from, `ping -n -c 2 -i 0.2 -W 1 -M do -s ${size - 28} ${to}`)
      return `${stdout}${stderr}`
    }
    it('is refused by its gateway, with the MTU of the overlay', async () => {
      expect(await ping('east-office', '10.20.0.20', 1380)).toContain('1360 bytes from')
      expect(await ping('east-office', '10.20.4.20', 1381)).toMatch(/From 10\.50\.1\.1 icmp_seq=1 Frag needed and DF set \(mtu = 1380\)/)
    })
    it('of IPv6 is refused likewise, by its gateway and by a hub that has no such LAN', async () => {
      const ping6 = async (size: number): Promise<string> => {
        const { stdout, stderr } = await world().shell('east-lab', `ping -n -c 2 -i 0.2 -W 1 -M do -s ${size - 48} fd50:2:0:2::a`)
        return `${stdout}${stderr}`
      }
      expect(await ping6(1380)).toContain('1340 bytes from')
      expect(await ping6(1381)).toMatch(/From fd50:2:0:1::1 icmp_seq=1 Packet too big: mtu=1380/)
      const south = [...world().network.configs.values()].find((one) => one.site === 'south')!
      const mesh = south.interfaces.filter((one) => one.kind === 'mesh').map((one) => one.device)
      const mtu = (size: number) => world().shell('south', mesh.map((device) => `ip link set ${device} mtu ${size}`).join('; '))
      await mtu(1300)
      const said = await ping6(1380)
      await mtu(1380)
      expect(said).toMatch(/From 2001:db8:30:(30|1)::1 icmp_seq=1 Packet too big: mtu=1300/)
    })
    it('is refused by a hub in between from an address of the overlay', async () => {
      const south = [...world().network.configs.values()].find((one) => one.site === 'south')!
      const mesh = south.interfaces.filter((one) => one.kind === 'mesh').map((one) => one.device)
      const mtu = (size: number) => world().shell('south', mesh.map((device) => `ip link set ${device} mtu ${size}`).join('; '))
      await mtu(1300)
      const said = await ping('east-lab', '10.50.2.180', 1380)
      await mtu(1380)
      const from = /From (\S+) icmp_seq=1 Frag needed and DF set \(mtu = 1300\)/.exec(said)?.[1]
      expect(
        south.lans.some((lan) => from !== undefined && contains(lan.prefix, from as Prefix & Address)),
        said,
      ).toBe(true)
    })
  })

  it('runs tunnels over IPv6 between lines that have it, and puts nothing else on them', async () => {
    const of = (site: string) => [...world().network.configs.values()].find((one) => one.site === site)!
    const over6 = (site: string) =>
      of(site).tunnels.filter(({ uplink: own, remoteUplink: far }: { uplink: string; remoteUplink?: string }) => [own, far].includes('isp-v6'))
    expect(
      of('east')
        .tunnels.map(({ id }) => id)
        .filter((id) => id.includes('v6')),
    ).toEqual(['east.lte--north.isp-v6', 'east.lte--south.isp-v6'])
    expect(of('far').tunnels.map(({ id }) => id)).toEqual(['far.cable--south.isp-v6', 'far.fiber--south.isp'])
    expect(of('north').tunnels.map(({ id }) => id)).toContain('north.isp-v6--south.isp-v6')
    for (const site of ['east', 'far', 'north', 'south']) {
      const { stdout } = await world().shell(site, 'wg show all endpoints')
      const dialled = over6(site).flatMap(({ peer }) =>
        peer.kind === 'wireguard' && peer.endpoint !== 'roams' ? [`[${peer.endpoint.address}]:${peer.endpoint.port}`] : [],
      )
      for (const endpoint of dialled) expect(stdout).toContain(endpoint)
      expect(stdout).toMatch(/\[2001:db8:/)
    }
  })

  it('carries a datagram in fragments through two hubs, there and back', async () => {
    const { stdout } = await world().shell('east-lab', 'head -c 5000 /dev/zero | socat -t 3 -b 6000 - UDP:10.50.2.160:99,bind=10.50.2.10 | wc -c')
    expect(stdout.trim()).toBe('5000')
  })

  describe('this test', () => {
    it('sees a hub that lost a transit pair', async () => {
      const { network, normal } = world()
      const lost = [
        probe(world(), 'east-lab', '10.50.2.17', '10.50.2.144', 'udp', 9),
        probe(world(), 'east-lab', '10.50.2.17', '10.21.4.24', 'tcp', 22),
      ]
      const config = [...network.configs.values()].find((one) => one.site === 'north')!
      const without: SiteConfig = { ...config, transits: config.transits.filter(({ id }) => !id.startsWith('east/lab -> west/lab#')) }
      expect(without.transits.length).toBe(config.transits.length - 1)
      await world().set('north', without)
      const differences = await world().compare(normal, lost)
      expect(differences).toHaveLength(1)
      expect(differences[0]).toContain('10.50.2.17 → 10.50.2.144 udp/9 from east-lab')
      expect(differences[0]).toContain('request: delivered at west')
      await world().set('north', config)
      expect(report(await world().compare(normal, [probe(world(), 'east-lab', '10.50.2.17', '10.50.2.148', 'udp', 9)]))).toBe('')
    })
    it('sees a choice that the kernel does not have', async () => {
      const { network, normal } = world()
      const swapped = via(normal, network.fabric, 'east', 'north', 'east.lte--north.isp-b')
      await world().become(swapped)
      const differences = await world().compare(normal, [probe(world(), 'east-office', '10.50.1.17', '10.20.0.24', 'tcp', 8000)])
      expect(differences).toHaveLength(1)
      expect(differences[0]).toMatch(/kernels saw {2}request at north by cwh1s1p0/)
      await world().become(normal)
    })
    it('sees what leaves an uplink in clear, and there was nothing', async () => {
      expect((await world().shell('east', 'ping -n -c 1 -W 1 10.99.0.1')).code).not.toBe(0)
      expect(await world().leaks()).toBe(0)
      await world().shell('east', 'ip route add 10.99.0.1/32 via 100.64.1.1 dev eth0; ping -n -c 1 -W 1 10.99.0.1; ip route del 10.99.0.1/32')
      expect(await world().leaks()).toBe(1)
    })
  })
})
