import { describe, expect, test } from 'vitest'
import { checkInterfaces, checkRights, missingFamilies, silentUplinks, udpBlocked, waysOf } from '#src/agent/box.ts'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { interfaceNamed } from './fake-device.ts'
import { configOf } from './networks.ts'

const berlin = configOf('berlin')
const fits = ['eth0', 'wwan0', 'eth1'].map((name, i) => interfaceNamed(name, `100.64.${i}.2/24`))

describe('the interfaces of a box', () => {
  test('that are those of the plan are fine', () => expect(checkInterfaces(berlin, fits)).toEqual([]))
  test('A07: others are listed, with what is in them', () => {
    const has = [
      interfaceNamed('enp1s0', '203.0.113.7/24'),
      { ...interfaceNamed('enp2s0', ''), addresses: [], up: false },
      { ...interfaceNamed('wwan0', ''), addresses: [] },
    ]
    expect(checkInterfaces(berlin, has)).toMatchObject([
      {
        code: 'A07',
        says: 'The plan says eth0, wwan0 and eth1; this box has enp1s0 (cable in, 203.0.113.7), enp2s0 (no cable), wwan0 (cable in)',
        instead: 'Reported to the engineer, who can change the plan; leave the cables as they are',
        witness: ['there is no eth0', 'there is no eth1'],
      },
    ])
  })
  test('A08: the provider hands out an address of the LAN', () => {
    expect(checkInterfaces(berlin, [interfaceNamed('eth0', '10.1.10.37/24'), ...fits.slice(1)])).toMatchObject([
      { code: 'A08', says: "The provider's router gives this box 10.1.10.37 on eth0, and the inference network is 10.1.10.0/24 too" },
    ])
  })
  test('A08: the provider hands out addresses of a LAN elsewhere', () => {
    const on = (text: string) => checkInterfaces(berlin, [interfaceNamed('eth0', text), ...fits.slice(1)])
    expect(on('10.10.0.37/24')).toMatchObject([
      {
        code: 'A08',
        says: "The provider's router gives this box 10.10.0.37 on eth0, and 10.10.0.0/16 is at frankfurt: what is sent there stays on the router's 10.10.0.0/24",
      },
    ])
    expect(on('10.0.0.37/8')).toMatchObject([{ code: 'A08' }])
    // A dial-up link has one address, and nobody else is on it.
    expect(on('10.10.0.37/32')).toEqual([])
    const fixed = berlin.uplinks.map((one) => ({ ...one, endpoint: configOf('frankfurt').uplinks[0]!.endpoint }))
    expect(checkInterfaces({ ...berlin, uplinks: fixed }, [interfaceNamed('eth0', '10.10.0.37/24'), ...fits.slice(1)])).toEqual([])
  })
})

describe('ways out', () => {
  const up = {
    ...berlin,
    tunnels: [
      { id: 'a', uplink: 'fiber' },
      { id: 'b', uplink: 'lte' },
    ],
  } as unknown as SiteConfig
  test('are the interfaces with an address and a router, by the names of the plan', () => {
    expect(waysOf([...fits, { ...interfaceNamed('lo', '127.0.0.1/8'), router: '' }], berlin).map((way) => way.name)).toEqual([
      'fiber (eth0)',
      'lte (wwan0)',
      'eth1',
    ])
  })
  test('are one by IPv4 and one by IPv6 where the interface has both', () => {
    const eth0 = { name: 'eth0', up: true, addresses: ['fe80::1/64', '2001:db8::2/64', '100.64.1.2/24'], router: '100.64.1.1', mtu: 1500 }
    expect(waysOf([eth0], berlin).map((way) => way.localAddress)).toEqual(['100.64.1.2', '2001:db8::2'])
  })
  const heard = (up: readonly string[], down: readonly string[]) => ({
    isHeard: (tunnel: string) => up.includes(tunnel),
    isDown: (tunnel: string) => down.includes(tunnel),
  })
  test('whose paths are all down are tried last, unless all are down', () => {
    expect(waysOf(fits, up, heard(['b'], ['a'])).map((way) => way.doubtful)).toEqual([true, false, false])
    expect(waysOf(fits, up, heard([], ['a', 'b'])).map((way) => way.doubtful)).toEqual([false, false, false])
  })
  test('with a dead path are tried last although a metered standby is still called UP', () => {
    const mixed = { ...up, tunnels: [...up.tunnels, { id: 'metered', uplink: 'fiber' }] } as unknown as SiteConfig
    expect(waysOf(fits, mixed, heard(['b'], ['a'])).map((way) => way.doubtful)).toEqual([true, false, false])
    expect(waysOf(fits, mixed, heard(['b'], [])).map((way) => way.doubtful)).toEqual([false, false, false])
  })
})

describe('A10: a box without the rights', () => {
  const can = { wireguard: 'kernel', nftables: true, nexthops: true, ipsec: 'none' } as const
  test.each([
    [{ wireguard: 'none' }, /Can't create network interfaces/],
    [{ nftables: false }, /Can't set the firewall/],
    [{ nexthops: false }, /Can't set routes/],
  ] as const)('%o', (lacks, says) => {
    expect(() => checkRights({ ...can, ...lacks })).toThrow(says)
    expect(() => checkRights(can)).not.toThrow()
  })
})

describe('A09: UDP is blocked', () => {
  const endpoint = { address: '192.0.2.10', port: 51820 }
  const ready = (id: string, uplink: string) => ({ id, uplink, remote: 'frankfurt', peer: { endpoint } })
  const config = { ...berlin, tunnels: [ready('a', 'fiber'), ready('b', 'lte')] } as unknown as SiteConfig
  const path = (tunnel: string, state: 'UP' | 'DOWN', since: number) => ({
    tunnel,
    state,
    since: new Date(since).toISOString(),
    rttMs: null,
    jitterMs: null,
    loss: null,
    classes: [],
  })
  test('on an uplink with an address, none of whose tunnels has been up for 15 s', () => {
    const silent = (lte: 'UP' | 'DOWN', since: number, has = fits) =>
      silentUplinks(config, has, [path('a', 'UP', 0), path('b', lte, since)], 60_000).map((one) => one.id)
    expect(silent('DOWN', 40_000)).toEqual(['lte'])
    expect(silent('DOWN', 50_000)).toEqual([])
    expect(silent('UP', 0)).toEqual([])
    expect(silent('DOWN', 0, [fits[0]!])).toEqual([])
  })
  test('says which ports, and from whom', () => {
    expect(udpBlocked(config, berlin.uplinks[1]!, 443).says).toBe(
      'Enrolled, but lte gets no reply on udp/51820 from frankfurt (443/tcp works). The carrier or firewall drops UDP',
    )
  })
})

describe('A45: a line without an address of a family that it is said to have', () => {
  const line = (...families: readonly (4 | 6)[]) =>
    ({ uplinks: [{ id: 'fiber', interface: 'eth0', endpoint: { kind: 'dynamic', families } }] }) as unknown as SiteConfig
  const eth0 = (...addresses: readonly string[]) => [{ name: 'eth0', up: true, addresses, router: '', mtu: 1500 }]
  test('says which, and what to do', () => {
    expect(missingFamilies(line(4, 6), eth0('100.64.1.2/24', 'fe80::1/64'))).toEqual([
      {
        code: 'A45',
        says: 'fiber (eth0) has no IPv6 address, and the plan says that its provider gives one: nothing goes over IPv6 there',
        instead: "Switch IPv6 on at the provider's router, or tell the engineer to write family: ipv4 at fiber",
      },
    ])
    expect(missingFamilies(line(4), eth0('2001:db8::2/64'))[0]!.says).toContain('no IPv4 address')
  })
  test('is silent where it has all of them, and while the line is down or has none yet', () => {
    expect(missingFamilies(line(4, 6), eth0('100.64.1.2/24', '2001:db8::2/64'))).toEqual([])
    expect(missingFamilies(line(6), eth0())).toEqual([])
    expect(missingFamilies(line(6), [{ ...eth0('100.64.1.2/24')[0]!, up: false }])).toEqual([])
  })
})
