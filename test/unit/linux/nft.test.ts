import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import type { Rule, Transit } from '#src/fabric/fabric.ts'
import { contains, prefix, prefixFromBits } from '#src/net/address.ts'
import { replacement, ruleset } from '#providers/linux/nft.ts'
import { outermost } from '#providers/linux/transit.ts'
import { configOf, inference, realtime, rules, tcp } from './network.ts'

const base = configOf('berlin')
const chain = (text: string, name: string): readonly string[] => {
  const from = text.indexOf(`chain ${name} {`)
  return text
    .slice(from, text.indexOf('\n\t}', from))
    .split('\n')
    .slice(1)
    .map((line) => line.trim())
}
const withRule = (change: Partial<Rule>): string => ruleset({ ...base, denies: [], rules: [{ ...rules[0]!, ...change }] }, [], 'userspace')

describe('translations', () => {
  const translations = [
    { local: prefix('192.168.1.0/24'), overlay: prefix('198.18.0.0/24') },
    { local: prefix('192.168.2.0/23'), overlay: prefix('198.18.2.0/23') },
    { local: prefix('192.168.9.9/32'), overlay: prefix('198.18.1.9/32') },
  ]
  it('rewrite the network and keep the host, through tunnels only, before anything else looks and after everything has', () => {
    const text = ruleset({ ...base, translations }, [], 'userspace')
    expect(chain(text, 'translate_in')).toEqual([
      'type filter hook prerouting priority -350; policy accept;',
      'iifname "cw*" ip daddr 192.168.1.0/24 counter drop',
      'iifname "cw*" ip daddr 192.168.2.0/23 counter drop',
      'iifname "cw*" ip daddr 192.168.9.9/32 counter drop',
      'iifname "cw*" ip daddr 198.18.0.0/24 ip daddr set ip daddr & 0.0.0.255 | 192.168.1.0',
      'iifname "cw*" ip daddr 198.18.2.0/23 ip daddr set ip daddr & 0.0.1.255 | 192.168.2.0',
      'iifname "cw*" ip daddr 198.18.1.9/32 ip daddr set 192.168.9.9',
    ])
    expect(chain(text, 'translate_out')).toContain('oifname "cw*" ip saddr 192.168.2.0/23 ip saddr set ip saddr & 0.0.1.255 | 198.18.2.0')
  })
  it('leave no trace where there are none', () => {
    expect(ruleset(base, [], 'userspace')).not.toContain('translate')
  })
})

describe('allows', () => {
  it('are narrowed to the pairs of which this site owns an end', () => {
    expect(chain(ruleset(base, [], 'userspace'), 'owner').find((line) => line.endsWith('accept'))).toBe(
      'ct original ip saddr 10.1.10.0/24 ct original ip daddr { 10.2.10.0/24, 10.3.10.0/24 } meta l4proto icmp accept',
    )
  })
  it.each([
    [[tcp(8443)], ['meta l4proto tcp ct original proto-dst 8443 accept']],
    [[tcp(443), tcp(8443)], ['meta l4proto tcp ct original proto-dst { 443, 8443 } accept']],
    [[{ protocol: 'udp' as const, from: 5004, to: 5010 }], ['meta l4proto udp ct original proto-dst 5004-5010 accept']],
    [[{ protocol: 'tcp' as const, from: 0, to: 65535 }], ['meta l4proto tcp accept']],
    [
      [
        { protocol: 'tcp' as const, from: 10, to: 20 },
        { protocol: 'tcp' as const, from: 15, to: 30 },
      ],
      ['meta l4proto tcp ct original proto-dst 10-30 accept'],
    ],
    [[{ protocol: 'any' as const, from: 0, to: 65535 }], ['accept']],
    [[], []],
  ])('with ports %j match %j', (ports, ends) => {
    const found = chain(withRule({ ports }), 'owner').filter((line) => line !== '')
    expect(found.map((line) => line.replace(/^.*daddr (?:\{[^}]*\}|\S+) /, ''))).toEqual(ends)
  })
  it('classify requests by where they go to and answers by where they come from', () => {
    const edge = chain(ruleset(base, [], 'userspace'), 'requests').filter((line) => line.includes('8443'))
    const core = chain(ruleset(configOf('frankfurt'), [], 'userspace'), 'replies').filter((line) => line.includes('8443'))
    expect(edge).toEqual(['ip saddr 10.1.10.0/24 ip daddr { 10.2.10.0/24, 10.3.10.0/24 } meta l4proto tcp th dport 8443 goto class1'])
    expect(core).toContain('ip saddr 10.3.10.0/24 ip daddr { 10.1.10.0/24, 10.2.10.0/24, 10.3.10.0/24 } meta l4proto tcp th sport 8443 goto class1')
  })
  it('give a reply the class of its request, whatever else may be opened the other way round', () => {
    const lines = chain(ruleset(base, [], 'userspace'), 'classify_lan')
    const order = ['ct direction reply jump replies', 'jump requests', 'jump replies', 'goto class0']
    expect(lines.filter((line) => order.includes(line))).toEqual(order)
    // Or the chain that jumped would go on, and classify once more.
    expect(
      chain(ruleset(base, [], 'userspace'), 'class1')
        .filter((line) => line !== '')
        .at(-1),
    ).toBe('accept')
  })
  it('that name no prefix of this site allow nothing here', () => {
    const elsewhere = { segment: inference, prefixes: [prefix('10.8.0.0/24')] }
    expect(chain(withRule({ from: elsewhere, to: elsewhere, trafficClass: realtime }), 'owner').filter((line) => line !== '')).toEqual([])
  })
})

const logged = (line: string): string => `ct state new limit rate 10/second burst 20 packets log prefix "causeway ${line}: " level info`
describe('denies', () => {
  const owner = (site: 'berlin' | 'dublin' | 'frankfurt') => chain(ruleset(configOf(site), [], 'userspace'), 'owner').filter((line) => line !== '')
  it('stand before every allow, narrowed to what this site owns an end of', () => {
    const lines = owner('berlin')
    expect(lines.slice(0, 3)).toEqual([
      'ct original ip saddr 10.1.10.200/29 ct original ip daddr { 10.2.10.0/24, 10.3.10.0/24 } counter drop',
      `ct original ip saddr 10.1.10.0/24 ct original ip daddr 10.2.10.9/32 meta l4proto tcp ct original proto-dst 8443 ${logged('deny one host')}`,
      'ct original ip saddr 10.1.10.0/24 ct original ip daddr 10.2.10.9/32 meta l4proto tcp ct original proto-dst 8443 counter drop',
    ])
    expect(lines.slice(3).filter((line) => !line.endsWith('accept'))).toEqual([])
    expect(owner('dublin').filter((line) => line.endsWith('drop'))).toEqual([
      'ct original ip saddr 10.1.10.200/29 ct original ip daddr 10.2.10.0/24 counter drop',
      'ct original ip saddr { 10.1.10.0/24, 10.3.10.0/24 } ct original ip daddr 10.2.10.9/32 meta l4proto tcp ct original proto-dst 8443 counter drop',
    ])
  })
  it('tell the line that logs, first packets only, a few a second, and go on to the verdict', () => {
    const [telling, verdict] = chain(
      withRule({ id: 'edge/inference -> model-api tcp/8443#out inference>inference', ports: [tcp(8443)], log: true }),
      'owner',
    )
    expect(telling).toBe(verdict!.replace(/accept$/, logged('allow edge/inference -> model-api tcp/8443')))
    const [long] = chain(withRule({ id: `${'x'.repeat(200)} -> y`, ports: [tcp(8443)], log: true }), 'owner')
    expect(/log prefix "([^"]*)"/.exec(long!)![1]!.length).toBeLessThan(127)
  })
  it('of a bundle from before there were any are none', () => {
    const { denies: _, ...old } = base
    expect(chain(ruleset(old, [], 'userspace'), 'owner').filter((line) => line.endsWith('drop'))).toEqual([])
  })
})

describe('transit', () => {
  const transits = (pairs: readonly (readonly [string, string])[]): string =>
    ruleset({ ...base, transits: pairs.map(([a, b]): Transit => ({ id: `${a} -> ${b}`, a: [prefix(a)], b: [prefix(b)] })) }, [], 'userspace')
  it('is a set of pairs, both directions', () => {
    expect(transits([['10.4.0.0/24', '10.5.0.0/24']])).toContain('elements = { 10.4.0.0/24 . 10.5.0.0/24, 10.5.0.0/24 . 10.4.0.0/24 }')
  })
  it('is counted, whichever rule lets it through, and at sites that have none too', () => {
    for (const text of [transits([['10.4.0.0/24', '10.5.0.0/24']]), transits([])]) {
      expect(text).toContain('\tcounter transit {\n\t}\n')
      const between = chain(text, 'forward').filter((line) => line.startsWith('iifname "cw*" oifname "cw*"'))
      expect(between.length).toBeGreaterThan(1)
      expect(between.filter((line) => !line.endsWith(' counter name transit accept'))).toEqual([])
    }
  })
  it('drops a pair that another one holds', () => {
    expect(
      transits([
        ['10.4.0.0/16', '10.5.0.0/16'],
        ['10.4.1.0/24', '10.5.1.0/24'],
      ]),
    ).not.toContain('10.4.1.0/24')
  })
  it('writes crossing pairs as rules, because nft refuses them in one set', () => {
    const text = transits([
      ['10.4.0.0/16', '10.5.1.0/24'],
      ['10.4.1.0/24', '10.5.0.0/16'],
    ])
    expect(chain(text, 'forward')).toContain('iifname "cw*" oifname "cw*" ip saddr 10.4.1.0/24 ip daddr 10.5.0.0/16 counter name transit accept')
    expect(chain(text, 'tunnel')).toContain('ip saddr 10.4.1.0/24 ip daddr 10.5.0.0/16 notrack accept')
  })
})

describe('transit of many', () => {
  const nets = (second: number, count: number) => Array.from({ length: count }, (_, n) => prefix(`10.${second}.${n}.0/24`))
  const many = (count: number, more: readonly Transit[] = []): string =>
    ruleset({ ...base, transits: [{ id: 'a -> b', a: nets(4, count), b: nets(5, count) }, ...more] }, [], 'userspace')
  it('is looked up by source and then by destination, and grows as its lists do', () => {
    const [short, long] = [many(30), many(60)]
    expect(short).toContain('10.4.0.0/24 : jump transit4_raw0, 10.4.1.0/24 : jump transit4_raw0,')
    expect(chain(short, 'transit4_raw0')).toEqual(['ip daddr @transit4_to0 notrack accept'])
    expect(chain(short, 'transit4_raw1')).toEqual(['ip daddr @transit4_to1 notrack accept'])
    expect(chain(short, 'tunnel')).toContain('ip saddr vmap @transit4_raw')
    expect(long.length / short.length).toBeLessThan(2)
  })
  it('passes where it was left untracked, and nothing else of IPv4 is', () => {
    const text = many(30)
    expect(chain(text, 'forward')).toContain('iifname "cw*" oifname "cw*" meta nfproto ipv4 ct state untracked counter name transit accept')
    expect(text.split('\n').filter((line) => line.includes('notrack') && !/transit/.test(line))).toEqual([])
  })
  it('gives a network inside another what both may reach', () => {
    const text = many(30, [{ id: 'c -> d', a: [prefix('10.4.7.64/26')], b: [prefix('10.6.0.0/24')] }])
    const [, inner] = /10\.4\.7\.64\/26 : jump (\w+)/.exec(text)!
    expect(chain(text, inner!)).toEqual(['ip daddr @transit4_to0 notrack accept', 'ip daddr @transit4_to2 notrack accept'])
    expect(text).toContain('10.4.7.0/26 : jump transit4_raw0, 10.4.7.128/25 : jump transit4_raw0')
  })
})

describe('the ruleset', () => {
  it('drops by default and lets nothing in or out by an uplink', () => {
    const forward = chain(ruleset(base, [], 'userspace'), 'forward')
    expect(forward.slice(0, 3)).toEqual([
      'type filter hook forward priority filter; policy drop;',
      'iifname { "wan0", "wan1" } counter drop',
      'oifname { "wan0", "wan1" } counter drop',
    ])
    expect(chain(ruleset(base, [], 'userspace'), 'input')[0]).toContain('policy drop')
  })
  it('keeps the ports of tunnels that are about to go', () => {
    expect(chain(ruleset(base, [53000, 52001, 53000], 'userspace'), 'input')).toContain(
      'iifname { "wan0", "wan1" } udp dport { 52001, 53000 } accept',
    )
  })
  it('replaces the table in one transaction that can not fail for want of an old one', () => {
    expect(replacement('table inet causeway {\n}\n')).toBe('add table inet causeway\ndelete table inet causeway\ntable inet causeway {\n}\n')
  })
})

it('outermost: the same addresses, without overlap, whatever the prefixes', () => {
  const some = fc.array(
    fc
      .record({ value: fc.bigInt(0n, 0xffffffffn), length: fc.integer({ min: 4, max: 32 }) })
      .map(({ value, length }) => prefixFromBits(4, value, length)),
    { maxLength: 30 },
  )
  fc.assert(
    fc.property(some, (prefixes) => {
      const kept = outermost(prefixes)
      for (const one of prefixes) expect(kept.some((outer) => contains(outer, one))).toBe(true)
      for (const one of kept) expect(kept.filter((outer) => contains(outer, one))).toEqual([one])
    }),
  )
})
