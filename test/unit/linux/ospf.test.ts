import { describe, expect, it } from 'vitest'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { address, prefix } from '#src/net/address.ts'
import { bgpSettings } from '#providers/linux/bgp.ts'
import { readSettings, settingsDifference } from '#providers/linux/frr-settings.ts'
import { programsFor } from '#providers/linux/frr.ts'
import { ruleset } from '#providers/linux/nft.ts'
import { frrSettings } from '#providers/linux/routers.ts'
import { announcedByOspf, ospfSettings } from '#providers/linux/ospf.ts'
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
const lines = (config: SiteConfig): readonly string[] => ospfSettings(config).map((one) => one.join(' | '))

describe('what FRR is told of OSPF', () => {
  it('is nothing where no LAN speaks it', () => {
    expect(ospfSettings(configOf('berlin'))).toEqual([])
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
    expect(programsFor([...bgpSettings(config), ...ospfSettings(config)])).toEqual(['zebra', 'bgpd', 'ospfd'])
    expect(programsFor(ospfSettings(config))).toEqual(['zebra', 'ospfd'])
  })
})

it('zebra keeps its hands off the nexthops of others, where it runs', () => {
  const [first, ...others] = frrSettings(speaks())
  expect(first).toEqual(['no zebra nexthop kernel enable'])
  expect(others).toEqual(ospfSettings(speaks()))
  expect(readSettings(`hostname berlin\n!\n${first![0]}\n!\nend\n`)).toEqual([first])
  expect(frrSettings(configOf('berlin'))).toEqual([])
})

describe('a change', () => {
  const written = (config: SiteConfig): string =>
    ospfSettings(config)
      .map((one) => one.map((line, depth) => ' '.repeat(depth) + line).join('\n'))
      .join('\n')
  it('is none when FRR says what it was told', () => {
    expect(settingsDifference(ospfSettings(speaks()), readSettings(written(speaks())))).toEqual({
      make: { lines: [], refresh: [] },
      prune: { lines: [], refresh: [] },
    })
  })
  it('of the area takes the first one back, for FRR has no other before', () => {
    const { make, prune } = settingsDifference(ospfSettings(speaks({ area: address('0.0.0.7') })), ospfSettings(speaks()))
    expect(make.lines).toEqual(['interface lan0', 'no ip ospf area 0.0.0.0', 'exit', 'interface lan0', 'ip ospf area 0.0.0.7', 'exit'])
    expect(prune.lines).toEqual([])
  })
  it('of the LAN leaves nothing on the one before', () => {
    const { make, prune } = settingsDifference(ospfSettings(speaks({ interface: 'lan1' })), ospfSettings(speaks()))
    expect(make.lines).toContain('interface lan1')
    expect(prune.lines.join('; ')).toContain('interface lan0; no ip ospf area 0.0.0.0')
  })
})

it('only the named routers reach ospfd, and only on their LAN', () => {
  const text = ruleset(speaks(), [], 'userspace')
  expect(
    text
      .split('\n')
      .filter((line) => line.includes('ospf'))
      .map((line) => line.trim()),
  ).toEqual(['iifname "lan0" ip saddr { 10.1.10.254 } ip protocol ospf accept'])
})
