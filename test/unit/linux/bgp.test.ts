/** BGP with routers of LANs: what follows from a configuration, and what has to be said to an FRR that runs otherwise. */
import { describe, expect, it } from 'vitest'
import { bgpSettings } from '#providers/linux/bgp.ts'
import { readSettings, type Setting, settingsDifference } from '#providers/linux/frr-settings.ts'
import { ruleset } from '#providers/linux/nft.ts'
import { announced } from '#src/fabric/lan-routing.ts'
import type { BgpLan, Lan, SegmentId, SiteConfig } from '#src/fabric/fabric.ts'
import { address, addressWithLength, prefix } from '#src/net/address.ts'
import { anyPort } from '#src/net/ports.ts'
import { configOf, inference, lans, rules } from '#test/unit/linux/network.ts'

const session: BgpLan = {
  segment: inference,
  interface: 'lan0',
  asn: 65_010,
  localAsn: 65_000,
  neighbors: [address('10.1.10.254'), address('2001:db8:1:10::fe')],
  hold: 9,
  maxPrefixes: 100,
}
const six: Lan = { segment: inference, interface: 'lan0', prefix: prefix('2001:db8:1:10::/64'), address: addressWithLength('2001:db8:1:10::1/64') }
const learnedLans: readonly Lan[] = [
  { ...lans.berlin[0]!, prefix: prefix('10.5.0.0/16'), via: address('10.1.10.254'), learned: true },
  { ...six, prefix: prefix('2001:db8:5::/48'), via: address('2001:db8:1:10::fe'), learned: true },
]
const config: SiteConfig = { ...configOf('berlin'), lans: [...lans.berlin, six, ...learnedLans], bgp: [session] }
const texts = (settings: readonly Setting[]): readonly string[] => settings.map((one) => one.join(' | '))
/** As FRR 8.4 prints it. */
const running = (settings: readonly Setting[]): string => {
  let within: Setting = []
  return settings
    .flatMap((setting) => {
      const context = setting.slice(0, -1)
      const entered = context.filter((line, depth) => depth > 0 && within[depth] !== line).map((line) => ` ${line}`)
      within = context
      return [...entered, `${' '.repeat(context.length)}${setting.at(-1)!.replace(/prefix-list (\S+) permit/, 'prefix-list $1 seq 5 permit')}`, '!']
    })
    .join('\n')
}

describe('what a router is told', () => {
  it('is whom its LAN may call and by whom it is called, in the fewest prefixes', () => {
    const wider = {
      ...rules[0]!,
      from: { segment: inference, prefixes: [prefix('10.1.10.0/24')] },
      to: { segment: inference, prefixes: ['10.2.10.0/24', '10.2.11.0/24', '10.1.10.0/24'].map(prefix) },
    }
    expect(announced({ ...config, rules: [wider] }, session, 4)).toEqual({ prefixes: ['10.2.10.0/23'], passedOn: [], byDefault: false })
    const calledOnly = {
      ...rules[0]!,
      from: { segment: inference, prefixes: [prefix('10.3.10.0/24')] },
      to: { segment: inference, prefixes: [prefix('10.5.4.0/24')] },
    }
    expect(announced({ ...config, rules: [calledOnly] }, session, 4).prefixes).toEqual(['10.3.10.0/24'])
  })

  it('is nothing of other segments, and nothing that is denied whatever the port', () => {
    expect(announced({ ...config, rules: [] }, session, 4).prefixes).toEqual([])
    const own = {
      segment: inference,
      prefixes: [prefix('10.1.10.0/24'), prefix('10.5.0.0/16'), prefix('2001:db8:1:10::/64'), prefix('2001:db8:5::/48')],
    }
    const closed = { id: 'deny', from: own, to: { segment: inference, prefixes: [prefix('10.3.10.0/24')] }, ports: [anyPort] }
    const calls = { ...rules[0]!, from: own }
    expect(announced({ ...config, rules: [calls], denies: [closed] }, session, 4).prefixes).toEqual(['10.2.10.0/24'])
    const alsoClosed = { ...closed, to: { segment: inference, prefixes: [prefix('10.2.10.0/24')] } }
    expect(announced({ ...config, rules: [calls], denies: [closed, alsoClosed] }, session, 4).prefixes).toEqual([])
  })

  it('is a default route where its hosts may leave to the internet, in that family', () => {
    const leaving = { ...config, lans: config.lans.map((lan): Lan => (lan.prefix === '10.5.0.0/16' ? { ...lan, internet: 'local' } : lan)) }
    expect(announced(leaving, session, 4).byDefault).toBe(true)
    expect(announced(leaving, session, 6).byDefault).toBe(false)
    const said = texts(bgpSettings(leaving))
    expect(said).toContain('router bgp 65000 | address-family ipv4 unicast | network 0.0.0.0/0')
    expect(said).toContain('ip prefix-list announce-10.1.10.254 permit 0.0.0.0/0')
    expect(said.filter((line) => line.includes('::/0'))).toEqual([])
  })

  it('is, by each of a pair of gateways, to send to the address that both share', () => {
    const shared = { ...config, lans: lans.berlin.map((lan): Lan => ({ ...lan, own: addressWithLength('10.1.10.3/24') })).slice(0, 1) }
    const pair: SiteConfig = { ...shared, lans: [...shared.lans, learnedLans[0]!], bgp: [{ ...session, neighbors: session.neighbors.slice(0, 1) }] }
    const said = texts(bgpSettings(pair))
    expect(said).toContain('route-map announce-10.1.10.254 permit 10 | set ip next-hop 10.1.10.1')
    expect(said).toContain('router bgp 65000 | address-family ipv4 unicast | neighbor 10.1.10.254 route-map announce-10.1.10.254 out')
    expect(said).toContain('router bgp 65000 | bgp router-id 10.1.10.3')
    expect(said.filter((line) => line.includes('next-hop-self'))).toEqual([])
    const of6 = texts(
      bgpSettings({
        ...config,
        lans: [{ ...six, own: addressWithLength('2001:db8:1:10::3/64') }, learnedLans[1]!],
        bgp: [{ ...session, neighbors: session.neighbors.slice(1) }],
      }),
    )
    expect(of6.filter((line) => line.includes(' | set ') && line.includes('announce-'))).toEqual([
      'route-map announce-2001:db8:1:10::fe permit 10 | set ipv6 next-hop global 2001:db8:1:10::1',
      'route-map announce-2001:db8:1:10::fe permit 10 | set ipv6 next-hop local fe80::200:5eff:fe00:243',
    ])
    // Alone again: the map goes as a whole, and the shared address with it.
    const alone = { ...pair, lans: [...lans.berlin.slice(0, 1), learnedLans[0]!] }
    const { make, prune } = settingsDifference(bgpSettings(alone), bgpSettings(pair))
    expect(make.lines).toContain('neighbor 10.1.10.254 next-hop-self')
    expect(prune.lines.filter((line) => line.includes('announce-10.1.10.254') || line.includes('next-hop'))).toEqual([
      'no route-map announce-10.1.10.254 permit 10',
      'no neighbor 10.1.10.254 route-map announce-10.1.10.254 out',
    ])
  })

  it('is what a router of another LAN announces, for as long as it does', () => {
    const cameras = 'cameras' as SegmentId
    const second: BgpLan = { ...session, segment: cameras, interface: 'lan1', neighbors: [address('10.1.20.254')], localAsn: 65_001 }
    const far = { ...lans.berlin[1]!, prefix: prefix('10.6.0.0/16'), via: address('10.1.20.254'), learned: true } as const
    const both = { ...config, lans: [...config.lans, far], bgp: [session, second] }
    const between = {
      ...rules[0]!,
      from: { segment: inference, prefixes: [prefix('10.5.0.0/16')] },
      to: { segment: cameras, prefixes: [prefix('10.6.1.0/24')] },
    }
    expect(announced({ ...both, rules: [between] }, session, 4)).toEqual({ prefixes: [], passedOn: ['10.6.0.0/16'], byDefault: false })
    const said = texts(bgpSettings({ ...both, rules: [between] }))
    expect(said).toContain('ip prefix-list announce-10.1.10.254 permit 10.6.0.0/16 le 32')
    expect(said).toContain('router bgp 65000 | neighbor 10.1.20.254 local-as 65001 no-prepend replace-as')
    expect(said.filter((line) => line.includes(' | network '))).toEqual([])
  })
})

describe('what FRR is told', () => {
  it('is nothing where no LAN speaks BGP', () => expect(bgpSettings(configOf('berlin'))).toEqual([]))

  it('lets only declared prefixes and their parts in, each family from its own neighbor', () => {
    expect(texts(bgpSettings(config))).toEqual([
      'ip prefix-list learn-10.1.10.254 permit 10.5.0.0/16 le 32',
      'ip prefix-list announce-10.1.10.254 permit 10.2.10.0/24',
      'ip prefix-list announce-10.1.10.254 permit 10.3.10.0/24',
      'ipv6 prefix-list learn-2001:db8:1:10::fe permit 2001:db8:5::/48 le 128',
      'route-map learn permit 10',
      'route-map learn permit 10 | set ip next-hop peer-address',
      'route-map learn permit 10 | set ipv6 next-hop peer-address',
      'router bgp 65000',
      'router bgp 65000 | bgp router-id 10.1.10.1',
      'router bgp 65000 | no bgp default ipv4-unicast',
      'router bgp 65000 | no bgp network import-check',
      ...['10.1.10.254', '2001:db8:1:10::fe'].flatMap((one) => [
        `router bgp 65000 | neighbor ${one} remote-as 65010`,
        `router bgp 65000 | neighbor ${one} timers 3 9`,
        `router bgp 65000 | neighbor ${one} timers connect 5`,
      ]),
      ...['network 10.2.10.0/24', 'network 10.3.10.0/24'].map((line) => `router bgp 65000 | address-family ipv4 unicast | ${line}`),
      ...(['ipv4 10.1.10.254', 'ipv6 2001:db8:1:10::fe'] as const).flatMap((one) => {
        const [family, neighbor] = one.split(' ')
        return [
          'next-hop-self',
          `prefix-list learn-${neighbor} in`,
          `prefix-list announce-${neighbor} out`,
          'route-map learn in',
          'maximum-prefix 100 restart 1',
          'activate',
        ].map((words) => `router bgp 65000 | address-family ${family} unicast | neighbor ${neighbor} ${words}`)
      }),
    ])
  })

  it('is heard back as it was said: then nothing is left to say', () => {
    const want = bgpSettings(config)
    const have = readSettings(`Building configuration...\n!\nfrr version 8.4.4\nhostname vm\nno ip forwarding\n!\n${running(want)}\nend\n`)
    expect([...texts(have)].sort()).toEqual([...texts(want)].sort())
    expect(settingsDifference(want, have)).toEqual({ make: { lines: [], refresh: [] }, prune: { lines: [], refresh: [] } })
  })

  it('is only what is new, and what is left over once the change is confirmed', () => {
    const have = bgpSettings(config)
    const want = bgpSettings({
      ...config,
      lans: config.lans.map((lan) => (lan.prefix === '10.5.0.0/16' ? { ...lan, prefix: prefix('10.6.0.0/16') } : lan)),
    })
    expect(settingsDifference(want, have)).toEqual({
      make: { lines: ['ip prefix-list learn-10.1.10.254 permit 10.6.0.0/16 le 32'], refresh: ['10.1.10.254'] },
      prune: { lines: ['no ip prefix-list learn-10.1.10.254 permit 10.5.0.0/16 le 32'], refresh: ['10.1.10.254'] },
    })
  })

  it('replaces a value in place, and lets a neighbor go with all that was said of it', () => {
    const have = bgpSettings(config)
    const slower = bgpSettings({ ...config, bgp: [{ ...session, hold: 30 }] })
    expect(settingsDifference(slower, have)).toEqual({
      make: {
        lines: ['router bgp 65000', 'neighbor 10.1.10.254 timers 10 30', 'neighbor 2001:db8:1:10::fe timers 10 30', 'exit'],
        refresh: [],
      },
      prune: { lines: [], refresh: [] },
    })
    const alone = bgpSettings({
      ...config,
      lans: config.lans.filter((lan) => lan !== learnedLans[1]),
      bgp: [{ ...session, neighbors: [session.neighbors[0]!] }],
    })
    expect(settingsDifference(alone, have)).toEqual({
      make: { lines: [], refresh: [] },
      prune: {
        lines: [
          'router bgp 65000',
          'no neighbor 2001:db8:1:10::fe',
          'exit',
          'no ipv6 prefix-list learn-2001:db8:1:10::fe permit 2001:db8:5::/48 le 128',
        ],
        refresh: [],
      },
    })
  })

  it('starts anew where the gateway gets another AS', () => {
    const { lines } = settingsDifference(bgpSettings({ ...config, bgp: [{ ...session, localAsn: 65_001 }] }), bgpSettings(config)).make
    expect(lines.slice(0, 2)).toEqual(['no router bgp 65000', 'router bgp 65001'])
    expect(lines).toContain('neighbor 10.1.10.254 remote-as 65010')
  })
})

it('only the neighbors of a LAN reach bgpd, and only there', () => {
  const accepted = ruleset(config, [], 'kernel')
    .split('\n')
    .filter((line) => line.includes('dport 179'))
    .map((line) => line.trim())
  expect(accepted).toEqual([
    'iifname "lan0" ip saddr 10.1.10.254 tcp dport 179 accept',
    'iifname "lan0" ip6 saddr 2001:db8:1:10::fe tcp dport 179 accept',
  ])
})
