import { describe, expect, it } from 'vitest'
import type { SiteConfig, SiteId } from '#src/fabric/fabric.ts'
import { type Address, address, addressWithLength, prefix } from '#src/net/address.ts'
import { bgpSettings } from '#providers/linux/bgp.ts'
import { ofThoseThatRun, readSettings, settingsDifference } from '#providers/linux/frr-settings.ts'
import { programsFor } from '#providers/linux/frr.ts'
import { ruleset } from '#providers/linux/nft.ts'
import { frrSettings } from '#providers/linux/routers.ts'
import { announcedByOspf, type Duty, dutyBy, dutyScript, dutySettings, isDutyAlone, ospfSettings } from '#providers/linux/ospf.ts'
import { configOf, inference, lans } from './network.ts'

const learned = prefix('10.5.0.0/16')
const router = address('10.1.10.254')
/** Of berlin, with a router on its LAN. */
const speaks = (more: Partial<NonNullable<SiteConfig['ospf']>> = {}, others: Partial<SiteConfig> = {}): SiteConfig => ({
  ...configOf('berlin'),
  lans: [...lans.berlin, { ...lans.berlin[0]!, prefix: learned, via: router, learned: true }],
  ospf: { segment: inference, interface: 'lan0', area: address('0.0.0.0'), neighbors: [router], hello: 10, dead: 40, ...more },
  ...others,
})
const six = {
  lan: { ...lans.berlin[0]!, prefix: prefix('2001:db8:1:10::/64'), address: addressWithLength('2001:db8:1:10::1/64') },
  router: address('fe80::fe'),
  learned: prefix('2001:db8:5::/48'),
  far: prefix('2001:db8:2:10::/64'),
}
/** The same in both families, OSPFv3 beside OSPFv2. */
const speaksBoth = (more: Partial<NonNullable<SiteConfig['ospf']>> = {}): SiteConfig => {
  const { lan, router: via, learned: behind, far } = six
  const rules = configOf('berlin').rules.map((rule) => ({
    ...rule,
    from: { ...rule.from, prefixes: [...rule.from.prefixes, lan.prefix] },
    to: { ...rule.to, prefixes: [...rule.to.prefixes, far] },
  }))
  return speaks({ neighbors: [router, via], ...more }, { lans: [...speaks().lans, lan, { ...lan, prefix: behind, via, learned: true }], rules })
}
const told = (config: SiteConfig, duty: Duty = 'carries') => ospfSettings(config, duty)
const lines = (config: SiteConfig, duty?: Duty): readonly string[] => told(config, duty).map((one) => one.join(' | '))

describe('what FRR is told of OSPF', () => {
  it('is nothing where no LAN speaks it', () => {
    expect(told(configOf('berlin'))).toEqual([])
    expect(announcedByOspf(configOf('berlin'))).toEqual([])
  })
  it('lets into the kernel what is declared, and out what allows say', () => {
    const said = lines(speaks())
    expect(said.filter((one) => one.includes('learn-ospf'))).toEqual([
      'ip prefix-list learn-ospf permit 10.5.0.0/16 le 32',
      'route-map learn-ospf permit 10',
      'route-map learn-ospf permit 10 | match ip address prefix-list learn-ospf',
      'ip protocol ospf route-map learn-ospf',
    ])
    expect(said.filter((one) => one.startsWith('ip prefix-list announce-ospf'))).toEqual(
      announcedByOspf(speaks()).map((one) => `ip prefix-list announce-ospf permit ${one}`),
    )
    expect(announcedByOspf(speaks()).length).toBeGreaterThan(0)
  })
  it('begins on the LAN last, and says of its timers only what is unusual', () => {
    const ofInterface = (config: SiteConfig) => lines(config).filter((one) => one.startsWith('interface '))
    expect(ofInterface(speaks())).toEqual(['interface lan0 | ip ospf area 0.0.0.0'])
    expect(ofInterface(speaks({ hello: 1, dead: 4, area: address('0.0.0.7') }))).toEqual([
      'interface lan0 | ip ospf dead-interval 4',
      'interface lan0 | ip ospf hello-interval 1',
      'interface lan0 | ip ospf area 0.0.0.7',
    ])
  })
  it('is a default route where the hosts of the LAN may leave', () => {
    const out = { ...lans.berlin[0]!, internet: 'local' } as const
    const config = speaks({}, { lans: [out, ...speaks().lans.slice(1)] })
    expect(lines(config)).toContain('router ospf | default-information originate always')
    expect(lines(speaks())).not.toContain('router ospf | default-information originate always')
  })
  it('announces another LAN of the site, and what is behind a next hop there, by the routes that are there', () => {
    const own = [...speaks().lans, { ...lans.berlin[1]!, prefix: prefix('10.4.0.0/24'), via: address('10.1.20.9') }]
    const rule = configOf('berlin').rules[0]!
    const to = { ...rule.to, prefixes: [lans.berlin[1]!.prefix, prefix('10.4.0.0/24'), prefix('10.2.10.0/24')] }
    const config = speaks({}, { lans: own, rules: [{ ...rule, from: { ...rule.from, prefixes: [lans.berlin[0]!.prefix] }, to }] })
    const listed = lines(config).flatMap((one) => /^ip prefix-list announce-ospf permit (\S+)/.exec(one)?.[1] ?? [])
    expect(listed.sort()).toEqual(['10.1.20.0/24', '10.2.10.0/24', '10.4.0.0/24'])
    expect(announcedByOspf(config)).toEqual(['10.2.10.0/24'])
    expect(lines(config)).toContain('router ospf | redistribute connected route-map announce-ospf')
    expect(lines(speaks()).join()).not.toContain('connected')
  })
  it('passes on what routers of another LAN announce by BGP, and tells those of what it hears', () => {
    const elsewhere = { ...lans.berlin[0]!, interface: 'lan1', prefix: prefix('10.8.0.0/16'), via: address('10.1.99.254'), learned: true } as const
    const rule = configOf('berlin').rules[0]!
    const config = speaks(
      {},
      {
        lans: [...speaks().lans, elsewhere],
        rules: [{ ...rule, from: { ...rule.from, prefixes: [lans.berlin[0]!.prefix] }, to: { ...rule.to, prefixes: [elsewhere.prefix] } }],
        bgp: [{ segment: inference, interface: 'lan1', asn: 65_010, localAsn: 65_000, neighbors: [elsewhere.via], hold: 9, maxPrefixes: 100 }],
      },
    )
    expect(lines(config)).toContain('router ospf | redistribute bgp route-map announce-ospf')
    expect(lines(config)).toContain('ip prefix-list announce-ospf permit 10.8.0.0/16 le 32')
    // It stands in the kernel already.
    expect(announcedByOspf(config)).toEqual([])
    expect(bgpSettings(config).map((one) => one.at(-1))).toContain('redistribute ospf')
    expect(programsFor([...bgpSettings(config), ...told(config)])).toEqual(['zebra', 'bgpd', 'ospfd'])
    expect(programsFor(told(config))).toEqual(['zebra', 'ospfd'])
  })
})

describe('what FRR is told of OSPFv3', () => {
  const others = (config: SiteConfig) => lines(config).filter((one) => !lines(speaks()).includes(one))
  it('is a router of its own, which learns and announces IPv6 alone', () => {
    expect(others(speaksBoth())).toEqual([
      'ipv6 prefix-list learn-ospf6 permit 2001:db8:5::/48 le 128',
      'ipv6 prefix-list announce-ospf6 permit 2001:db8:2:10::/64',
      'route-map learn-ospf6 permit 10',
      'route-map learn-ospf6 permit 10 | match ipv6 address prefix-list learn-ospf6',
      'route-map announce-ospf6 permit 10',
      'route-map announce-ospf6 permit 10 | match ipv6 address prefix-list announce-ospf6',
      'ipv6 protocol ospf6 route-map learn-ospf6',
      'router ospf6',
      'router ospf6 | ospf6 router-id 10.1.10.1',
      'router ospf6 | redistribute kernel route-map announce-ospf6',
      'interface lan0 | ipv6 ospf6 area 0.0.0.0',
    ])
    expect(announcedByOspf(speaksBoth())).toEqual([...announcedByOspf(speaks()), six.far])
  })
  it('takes the timers of the LAN', () => {
    expect(others(speaksBoth({ hello: 1, dead: 4 })).filter((one) => one.includes(' ospf6 ') && one.startsWith('interface'))).toEqual([
      'interface lan0 | ipv6 ospf6 dead-interval 4',
      'interface lan0 | ipv6 ospf6 hello-interval 1',
      'interface lan0 | ipv6 ospf6 area 0.0.0.0',
    ])
  })
  it('is alone where no router is of IPv4, and none of it where none is of IPv6', () => {
    const alone = speaksBoth({ neighbors: [six.router] })
    expect(lines(alone).filter((one) => /^(?:ip |router ospf$)|ip ospf/.test(one))).toEqual([])
    expect(announcedByOspf(alone)).toEqual([six.far])
    expect(programsFor(told(alone))).toEqual(['zebra', 'ospf6d'])
    expect(programsFor(told(speaksBoth()))).toEqual(['zebra', 'ospfd', 'ospf6d'])
    expect(lines(speaksBoth({ neighbors: [router] })).join()).not.toContain('ospf6')
  })
  it('hears of routers of another LAN by BGP of its own family', () => {
    const bgp = [
      { segment: inference, interface: 'lan1', asn: 65_010, localAsn: 65_000, neighbors: [address('2001:db8:9::fe')], hold: 9, maxPrefixes: 1 },
    ]
    const redistributes = (neighbors: readonly Address[]) =>
      bgpSettings({ ...speaksBoth({ neighbors }), bgp })
        .map((one) => one.at(-1)!)
        .filter((one) => one.startsWith('redistribute'))
    expect(redistributes([router, six.router])).toEqual(['redistribute ospf6'])
    expect(redistributes([router])).toEqual([])
  })
})

describe('what FRR is told of OSPF at one of two gateways', () => {
  const paired = (site: string, of = speaksBoth()): SiteConfig => ({
    ...of,
    site: site as SiteId,
    lans: of.lans.map((lan) => (lan.via ? lan : { ...lan, own: addressWithLength(lan.address.replace(/1\//, '2/')) })),
  })
  const out = (of: SiteConfig): SiteConfig => ({ ...of, lans: of.lans.map((lan, n) => (n === 0 ? { ...lan, internet: 'local' } : lan)) })
  it('says by its metric who has the LAN, and the second that has it comes before what a dead first said last', () => {
    const metrics = (['berlin', 'berlin.b'] as const).flatMap((site) =>
      (['carries', 'stands by'] as const).map((duty) => lines(paired(site), duty).flatMap((one) => /kernel metric (\d+)/.exec(one)?.[1] ?? [])),
    )
    expect(metrics).toEqual([
      ['20', '20'],
      ['40', '40'],
      ['10', '10'],
      ['30', '30'],
    ])
    expect(lines(paired('berlin', out(speaksBoth())))).toContain('router ospf | default-information originate always metric 20')
  })
  it('leaves it to the routers to be the designated one, and is called by its own address', () => {
    expect(lines(paired('berlin')).filter((one) => /priority|router-id/.test(one))).toEqual([
      'router ospf | ospf router-id 10.1.10.2',
      'interface lan0 | ip ospf priority 0',
      'router ospf6 | ospf6 router-id 10.1.10.2',
      'interface lan0 | ipv6 ospf6 priority 0',
    ])
  })
  it('speaks OSPFv2 from its own address: the shared one is no network of this gateway', () => {
    const areas = (config: SiteConfig) => lines(config).filter((one) => one.includes(' area '))
    expect(areas(paired('berlin'))).toEqual(['interface lan0 | ip ospf area 0.0.0.0 10.1.10.2', 'interface lan0 | ipv6 ospf6 area 0.0.0.0'])
    const more = speaks(
      {},
      { lans: [...speaks().lans, { ...lans.berlin[0]!, prefix: prefix('10.1.11.0/24'), address: addressWithLength('10.1.11.1/24') }] },
    )
    const { make, prune } = settingsDifference(told(paired('berlin', more)), told(paired('berlin', speaks())))
    expect([...make.lines, ...prune.lines].filter((one) => one.includes('ip ospf area'))).toEqual([
      'no ip ospf area 0.0.0.0 10.1.10.2',
      'ip ospf area 0.0.0.0 10.1.11.2',
      'ip ospf area 0.0.0.0 10.1.10.2',
    ])
  })
  it('learns and announces as one that is alone, whoever has the LAN', () => {
    const lists = (config: SiteConfig, duty: Duty) => lines(config, duty).filter((one) => one.includes('prefix-list'))
    for (const duty of ['carries', 'stands by'] as const) expect(lists(paired('berlin.b'), duty)).toEqual(lists(speaksBoth(), duty))
    expect(announcedByOspf(paired('berlin.b'))).toEqual(announcedByOspf(speaksBoth()))
  })
  it('follows what the kernel says of the shared address on that LAN', () => {
    const at = (name: string, ...addresses: readonly string[]) => [{ name, up: true, addresses, router: '', mtu: 1500 }]
    expect(dutyBy(paired('berlin'), at('lan0', '10.1.10.2/24', '10.1.10.1/32'))).toBe('carries')
    expect(dutyBy(paired('berlin'), at('lan0', '2001:db8:1:10::1/128'))).toBe('carries')
    expect(dutyBy(paired('berlin'), at('lan0', '10.1.10.2/24'))).toBe('stands by')
    expect(dutyBy(paired('berlin'), at('lan1', '10.1.10.1/32'))).toBe('stands by')
  })
  it('is said anew by a script of keepalived, in the words of the driver', () => {
    const script = dutyScript(paired('berlin', out(speaks())), ['vtysh', '--vty_socket', '/s/frr'])
    expect(script).toContain('if [ -n "$(ip -o addr show dev \'lan0\' to 10.1.10.1/32)" ]; then\n')
    expect(script).toContain(
      "exec 'vtysh' '--vty_socket' '/s/frr' '-c' 'configure terminal' '-c' 'router ospf' '-c' 'redistribute kernel metric 20 route-map announce-ospf' '-c' 'default-information originate always metric 20' '-c' 'exit'\n",
    )
    expect(script.split('metric 40')).toHaveLength(3)
    expect(dutyScript(speaks(), ['vtysh'])).toBe('')
    expect(dutySettings(speaks(), 'carries')).toEqual([])
    const moved = settingsDifference(told(paired('berlin'), 'stands by'), told(paired('berlin'), 'carries')).make.lines
    expect(isDutyAlone(paired('berlin'), moved)).toBe(true)
    expect([isDutyAlone(paired('berlin'), [...moved, 'router ospf']), isDutyAlone(speaks(), [])]).toEqual([false, false])
  })
  it('takes the place of what was said when it was alone, and of what it said before', () => {
    for (const [want, have] of [
      [told(paired('berlin')), told(speaksBoth())],
      [told(speaksBoth()), told(paired('berlin'))],
      [told(paired('berlin', out(speaks())), 'carries'), told(paired('berlin', out(speaks())), 'stands by')],
    ] as const) {
      const { make, prune } = settingsDifference(want, have)
      expect(make.lines.join('; ')).toContain('redistribute kernel')
      expect(prune.lines.filter((one) => /redistribute|default-information/.test(one))).toEqual([])
    }
    expect(settingsDifference(told(speaksBoth()), told(paired('berlin'))).prune.lines).toContain('no ip ospf priority 0')
  })
})

it('zebra keeps its hands off the nexthops of others, where it runs', () => {
  const [first, ...others] = frrSettings(speaks(), 'carries')
  expect(first).toEqual(['no zebra nexthop kernel enable'])
  expect(others).toEqual(told(speaks()))
  expect(readSettings(`hostname berlin\n!\n${first![0]}\n!\nend\n`)).toEqual([first])
  expect(frrSettings(configOf('berlin'), 'carries')).toEqual([])
})

describe('a change', () => {
  const written = (config: SiteConfig): string =>
    told(config)
      .map((one) => one.map((line, depth) => ' '.repeat(depth) + line).join('\n'))
      .join('\n')
  it('is none when FRR says what it was told', () => {
    for (const config of [speaks(), speaksBoth()])
      expect(settingsDifference(told(config), readSettings(written(config)))).toEqual({
        make: { lines: [], refresh: [] },
        prune: { lines: [], refresh: [] },
      })
  })
  it('of the area takes the first one back, for FRR has no other before', () => {
    const { make, prune } = settingsDifference(told(speaks({ area: address('0.0.0.7') })), told(speaks()))
    expect(make.lines).toEqual(['interface lan0', 'no ip ospf area 0.0.0.0', 'exit', 'interface lan0', 'ip ospf area 0.0.0.7', 'exit'])
    expect(prune.lines).toEqual([])
    const both = settingsDifference(told(speaksBoth({ area: address('0.0.0.7') })), told(speaksBoth()))
    expect(both.make.lines.filter((one) => one.startsWith('no '))).toEqual(['no ip ospf area 0.0.0.0', 'no ipv6 ospf6 area 0.0.0.0'])
    expect(both.prune.lines).toEqual([])
  })
  it('that ends OSPFv3 leaves OSPFv2 as it is', () => {
    const { make, prune } = settingsDifference(told(speaks()), told(speaksBoth()))
    expect(make.lines).toEqual([])
    expect(prune.lines).toContain('no router ospf6')
    expect(prune.lines.filter((one) => one.startsWith('no ') && !one.includes('ospf6'))).toEqual([])
  })
  it('that starts one more of FRR tells it the lists, and those that run nothing of their routers', () => {
    const { make } = settingsDifference(told(speaksBoth()), ofThoseThatRun(told(speaksBoth({ neighbors: [six.router] }))))
    expect(make.lines).toContain('ipv6 prefix-list learn-ospf6 permit 2001:db8:5::/48 le 128')
    expect(make.lines).toContain('router ospf')
    expect(make.lines.filter((one) => /router ospf6|ospf6 router-id|ipv6 ospf6/.test(one))).toEqual([])
  })
  it('of the LAN leaves nothing on the one before', () => {
    const { make, prune } = settingsDifference(told(speaks({ interface: 'lan1' })), told(speaks()))
    expect(make.lines).toContain('interface lan1')
    expect(prune.lines.join('; ')).toContain('interface lan0; no ip ospf area 0.0.0.0')
  })
})

it('only the named routers reach ospfd and ospf6d, and only on their LAN', () => {
  const guards = (config: SiteConfig) =>
    ruleset(config, [], 'userspace')
      .split('\n')
      .filter((line) => line.includes('ospf'))
      .map((line) => line.trim())
  const [two, three] = [
    'iifname "lan0" ip saddr { 10.1.10.254 } ip protocol ospf accept',
    'iifname "lan0" ip6 saddr { fe80::fe } ip6 nexthdr ospf accept',
  ]
  expect(guards(speaks())).toEqual([two])
  expect(guards(speaksBoth())).toEqual([two, three])
})
