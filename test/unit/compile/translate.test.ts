/** Overlaps become unique at their owners, and who was first keeps its prefix for life. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import type { Allocation, Fabric, Lan } from '#src/fabric/fabric.ts'
import { translationPools } from '#src/intent/defaults.ts'
import type { Intent, IntentSite, Translate } from '#src/intent/intent.ts'
import { lengthOf, overlaps, prefix } from '#src/net/address.ts'
import { verify } from '#src/verify/verify.ts'
import { routeVectors } from '#providers/linux/vectors.ts'
import { allow, cloud, dublin, edge, frankfurt, group, isolate, network, partner, reach, selector, siteId } from './networks.ts'

const auto = (pool = translationPools[4]): Pick<Intent, 'translate'> => ({ translate: { mode: 'auto', pools: { ...translationPools, 4: pool } } })
const branch = (id: string, cameras = '192.168.1.0/24', translate?: Translate): IntentSite => {
  const one = edge(id, { cameras: [cameras] })
  return translate ? { ...one, lans: one.lans.map((lan) => ({ ...lan, translate })) } : one
}
const of = (sites: readonly IntentSite[], more: Partial<Intent> = auto()) =>
  network({ sites: [dublin, frankfurt, ...sites], allow: [allow('cameras -> core/inference', 'udp/7000')], expect: [], ...more })
function made(intent: Intent, held: readonly Allocation[] = []) {
  const { fabric, claims, findings } = compile(intent, held)
  return { fabric: fabric!, held: [...held, ...claims], findings }
}
/** `berlin 192.168.1.0/24`, `madrid 198.18.0.0/24 = 192.168.1.0/24`. */
const named = (fabric: Fabric): readonly string[] =>
  fabric.sites
    .filter((site) => !site.hub)
    .flatMap(({ id, lans }) => lans.map((lan) => `${id} ${lan.prefix}${lan.local === undefined ? '' : ` = ${lan.local}`}`))
const codes = (findings: readonly { readonly code: string }[]) => findings.map(({ code }) => code)

describe('who keeps its prefix', () => {
  test('of two that come together the first by name; the other has the lowest of the pool', () => {
    const { fabric, findings } = made(of([branch('madrid'), branch('berlin')]))
    expect(named(fabric)).toEqual(['berlin 192.168.1.0/24', 'madrid 198.18.0.0/24 = 192.168.1.0/24'])
    expect(findings).toEqual([])
    expect(verify(fabric).findings).toEqual([])
  })
  test('the one that was there before, whatever its name', () => {
    const before = made(of([branch('madrid')]))
    expect(named(made(of([branch('berlin'), branch('madrid')]), before.held).fabric)).toEqual([
      'berlin 198.18.0.0/24 = 192.168.1.0/24',
      'madrid 192.168.1.0/24',
    ])
  })
  test('the site that was there before, where nothing was to be translated when it came', () => {
    const before = made(of([branch('madrid')], {}))
    expect(named(made(of([branch('berlin'), branch('madrid')]), before.held).fabric)[1]).toBe('madrid 192.168.1.0/24')
  })
  test('who was translated stays so when the first is gone, and the first comes back to what it was', () => {
    const both = made(of([branch('berlin'), branch('madrid')]))
    const alone = made(of([branch('madrid')]), both.held)
    expect(named(alone.fabric)).toEqual(['madrid 198.18.0.0/24 = 192.168.1.0/24'])
    expect(named(made(of([branch('berlin'), branch('madrid')]), alone.held).fabric)).toEqual(named(both.fabric))
  })
  test('who once asked to be translated stays so, until it says never', () => {
    const first = made(of([branch('berlin')]))
    const away = made(of([branch('berlin', undefined, 'always')]), first.held)
    expect(named(away.fabric)).toEqual(['berlin 198.18.0.0/24 = 192.168.1.0/24'])
    expect(named(made(of([branch('berlin')]), away.held).fabric)).toEqual(named(away.fabric))
    expect(named(made(of([branch('berlin', undefined, 'never')]), away.held).fabric)).toEqual(['berlin 192.168.1.0/24'])
  })
  test('of two that each were first while the other was gone, the one that is there', () => {
    const berlin = made(of([branch('berlin')]))
    const madrid = made(of([branch('madrid')]), berlin.held)
    const both = made(of([branch('berlin'), branch('madrid')]), madrid.held)
    expect(named(both.fabric)).toEqual(['berlin 198.18.0.0/24 = 192.168.1.0/24', 'madrid 192.168.1.0/24'])
    const again = made(of([branch('berlin')]), madrid.held)
    expect(named(made(of([branch('berlin'), branch('madrid')]), again.held).fabric)[0]).toBe('berlin 192.168.1.0/24')
  })
  test('a cloud and a third party, and a LAN that says never', () => {
    const sites = [branch('berlin', '10.96.7.0/24'), branch('madrid', '172.20.128.0/17'), branch('oslo'), branch('porto', '192.168.1.0/25', 'never')]
    expect(named(made(of(sites, { ...auto(), regions: [cloud], peers: [partner] })).fabric)).toEqual([
      'berlin 198.18.0.0/24 = 10.96.7.0/24',
      'madrid 198.18.128.0/17 = 172.20.128.0/17',
      'oslo 198.18.1.0/24 = 192.168.1.0/24',
      'porto 192.168.1.0/25',
    ])
  })
  test('a hub, which could not carry for one that is called as its own hosts are', () => {
    expect(named(made(of([branch('berlin', '10.11.0.0/24')])).fabric)).toEqual(['berlin 198.18.0.0/24 = 10.11.0.0/24'])
    const early = { ...branch('berlin', '10.11.0.0/24'), hubs: [siteId('frankfurt')] }
    const before = made(of([], { ...auto(), sites: [frankfurt, early], hubs: early.hubs }))
    const late = compile(of([early]), before.held)
    expect(late.findings).toMatchObject([
      { code: 'I126', says: 'hub dublin has hosts in 10.11.0.0/16, and carries for berlin, which is 10.11.0.0/24 in the overlay' },
    ])
    const away = compile(of([branch('berlin', '10.11.0.0/24', 'always')]), before.held)
    expect(codes(away.findings)).toEqual(['I127'])
    expect(named(away.fabric!)).toEqual(['berlin 198.18.0.0/24 = 10.11.0.0/24'])
  })
  test('nobody who is there is moved by one that comes or goes', () => {
    const sites = fc.uniqueArray(
      fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.constantFrom('192.168.0.0/16', '192.168.1.0/24', '192.168.1.128/25', '192.168.9.0/24')),
      {
        selector: ([id]) => id,
      },
    )
    fc.assert(
      fc.property(fc.array(sites, { minLength: 2, maxLength: 5 }), (steps) => {
        let held: readonly Allocation[] = []
        let was = new Map<string, Lan>()
        for (const step of steps) {
          const now = made(
            of(
              step.map(([id, lan]) => branch(id, lan)),
              auto(prefix('10.128.0.0/9')),
            ),
            held,
          )
          held = now.held
          const is = new Map<string, Lan>(
            now.fabric.sites.flatMap(({ id, lans }) => lans.map((lan) => [`${id} ${lan.local ?? lan.prefix}`, lan] as const)),
          )
          for (const [lan, before] of was) if (is.has(lan)) expect(is.get(lan)).toEqual(before)
          // Of those that are gone only the translated ones come back as they were: another may have been first meanwhile.
          was = new Map([...[...was].filter(([, lan]) => lan.local !== undefined), ...is])
          const all = now.fabric.sites.flatMap(({ lans }) => lans.map((lan) => lan.prefix))
          expect(all.some((one, i) => all.slice(i + 1).some((other) => overlaps(one, other)))).toBe(false)
          expect(verify(now.fabric).findings).toEqual([])
        }
      }),
      { numRuns: 60 },
    )
  })
})

describe('the pool', () => {
  test('gives each its own size, aligned, and is full one day', () => {
    const sites = ['a', 'b', 'c', 'd'].map((id, i) => branch(id, i === 1 ? '192.168.1.0/26' : '192.168.1.0/24', 'always'))
    const { fabric } = made(of(sites.slice(0, 3), auto(prefix('10.200.0.0/22'))))
    expect(named(fabric).map((text) => text.split(' ')[1])).toEqual(['10.200.0.0/24', '10.200.1.0/26', '10.200.2.0/24'])
    const { findings } = compile(of([...sites, branch('e', '192.168.1.0/24', 'always')], auto(prefix('10.200.0.0/22'))), [])
    expect(findings).toMatchObject([{ code: 'I125', severity: 'error', says: '10.200.0.0/22 has no room left for 192.168.1.0/24 of e' }])
    expect(codes(compile(of([branch('a', '192.168.0.0/16', 'always')], auto(prefix('10.200.0.0/22'))), []).findings)).toEqual(['I125'])
  })
  test('of another pool a LAN has another name, and the old one again afterwards', () => {
    const sites = [branch('berlin', undefined, 'always')]
    const first = made(of(sites))
    const other = made(of(sites, auto(prefix('10.200.0.0/16'))), first.held)
    expect(named(other.fabric)).toEqual(['berlin 10.200.0.0/24 = 192.168.1.0/24'])
    expect(named(made(of(sites), other.held).fabric)).toEqual(named(first.fabric))
  })
  test('of IPv6 is another: RFC 5180 keeps one as RFC 2544 does for IPv4', () => {
    const sites = [branch('berlin', 'fd00:7::/64', 'always'), branch('madrid', 'fd00:7::/64'), branch('oslo', 'fd00:7:0:0:8000::/66')]
    const { fabric } = made(of([...sites, branch('paris'), branch('rome')]))
    expect(named(fabric)).toEqual([
      'berlin 2001:2::/64 = fd00:7::/64',
      'madrid fd00:7::/64',
      'oslo 2001:2:0:1::/66 = fd00:7:0:0:8000::/66',
      'paris 192.168.1.0/24',
      'rome 198.18.0.0/24 = 192.168.1.0/24',
    ])
    const full = of(sites, { translate: { mode: 'auto', pools: { ...translationPools, 6: prefix('fd77::/64') } } })
    expect(compile(full, []).findings).toMatchObject([{ code: 'I125', says: 'fd77::/64 has no room left for fd00:7:0:0:8000::/66 of oslo' }])
  })
  test('is kept from local breakout', () => {
    expect(made(of([])).fabric.network.pool).toContain('198.18.0.0/15')
    expect(made(of([], {})).fabric.network.pool).not.toContain('198.18.0.0/15')
  })
})

describe('what is written in addresses', () => {
  test('hosts of a group, and endpoints at each site that a service is at', () => {
    const intent = of([branch('berlin', '192.168.2.0/24', 'always'), branch('madrid', undefined, 'always'), branch('oslo')], {
      ...auto(),
      groups: [group('printers', '192.168.2.16/28')],
      services: network().services.map((one) =>
        one.id === 'camera-rtp' ? { ...one, at: [selector('edge/cameras')], endpoints: [prefix('192.168.1.9/32')] } : one,
      ),
    })
    const { fabric } = made(intent)
    expect(fabric.hostGroups![0]!.places.map((place) => `${place.node} ${place.prefixes.join()}`)).toEqual(['berlin 198.18.0.16/28'])
    const [rtp] = fabric.services.filter((one) => one.id === 'camera-rtp')
    expect(rtp!.places.map((place) => `${place.node} ${place.prefixes.join()}`)).toEqual(['madrid 198.18.1.9/32', 'oslo 192.168.1.9/32'])
  })
  test('an allow between two that can not reach each other is said, and proven not to hold', () => {
    const sites = [branch('berlin'), branch('madrid')]
    const lines = { allow: [allow('cameras -> cameras')], expect: [reach('madrid/cameras -> berlin/cameras')] }
    const { fabric, findings } = made(of(sites, { ...auto(), ...lines }))
    expect(findings).toMatchObject([
      {
        code: 'I127',
        severity: 'warning',
        at: ['site/berlin/lan/cameras'],
        says: "berlin/cameras is 192.168.1.0/24 in the overlay, and madrid has those addresses on a LAN: they can't reach each other",
      },
    ])
    expect(verify(fabric).findings).toMatchObject([{ code: 'V002', instead: 'write translate: always at both LANs, or change the expectation' }])
    const one = made(of([branch('berlin', undefined, 'always'), branch('madrid')], { ...auto(), ...lines }))
    expect([...codes(one.findings), ...codes(verify(one.fabric).findings)]).toEqual(['I127', 'V002'])
    const both = made(
      of([branch('berlin', undefined, 'always'), branch('madrid', undefined, 'always')], {
        ...auto(),
        ...lines,
        expect: [...lines.expect, isolate('cameras -> training')],
      }),
    )
    expect([...both.findings, ...verify(both.fabric).findings]).toEqual([])
  })
})

describe('at home', () => {
  const lines = { allow: [allow('cameras -> cameras'), allow('cameras -> core/inference')], deny: [allow('cameras -> berlin/cameras')] }
  const { fabric } = made(of([branch('berlin'), branch('madrid'), branch('oslo')], { ...auto(), ...lines }))
  test('a gateway hears its own addresses as its hosts know them, those of others as the overlay does, and of its twins nothing', () => {
    const config = configure(fabric, [], siteId('madrid'))
    expect(config.translations).toEqual([{ local: '192.168.1.0/24', overlay: '198.18.0.0/24' }])
    expect(config.lans).toMatchObject([{ prefix: '192.168.1.0/24', address: '192.168.1.1/24' }])
    expect(config.lans[0]).not.toHaveProperty('local')
    expect(config.routes.map((route) => route.to)).toEqual(['10.10.0.0/16', '10.11.0.0/16', '198.18.1.0/24'])
    expect(config.rules.map(({ from, to }) => `${from.prefixes.join()} > ${to.prefixes.join()}`)).toEqual([
      '198.18.1.0/24 > 192.168.1.0/24',
      '192.168.1.0/24 > 198.18.1.0/24',
      '192.168.1.0/24 > 10.10.0.0/16,10.11.0.0/16',
    ])
    expect(config.denies).toEqual([])
    expect(routeVectors(config).map(({ source }) => source)).toContain('192.168.1.2')
  })
  test('of a wider network the rest is reached', () => {
    const cloudy = made(of([branch('berlin', '10.96.7.0/24')], { ...auto(), regions: [cloud], allow: [allow('cameras -> region/inference')] }))
    const config = configure(cloudy.fabric, [], siteId('berlin'))
    expect(config.routes.map((route) => route.to)).toEqual(['10.96.0.0/16'])
    const [rule] = config.rules
    expect(rule!.to.prefixes.some((one) => overlaps(one, prefix('10.96.7.0/24')))).toBe(false)
    expect(rule!.to.prefixes.reduce((sum, one) => sum + 2 ** (32 - lengthOf(one)), 0)).toBe(2 ** 16 - 2 ** 8)
  })
  test('who translates nothing hears of nothing', () => {
    expect(configure(fabric, [], siteId('berlin'))).not.toHaveProperty('translations')
  })
})
