import { describe, expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import type { Fabric, LanRouters, SegmentId } from '#src/fabric/fabric.ts'
import type { Breakout, Intent, IntentExpect } from '#src/intent/intent.ts'
import { plan } from '#src/plan/plan.ts'
import { resourcesOf } from '#src/plan/regions.ts'
import { returnRoutes } from '#src/path/return-routes.ts'
import { address, prefix } from '#src/net/address.ts'
import { desired } from '#providers/aws/desired.ts'
import { diffReachability } from '#src/plan/reachability.ts'
import { isPending, renderPlan } from '#src/plan/render.ts'
import {
  allow,
  group,
  isolate,
  ports,
  reach,
  selector,
  berlin,
  cloud,
  partner,
  dualCloud,
  dualNetwork,
  dublin,
  edge,
  fixed,
  fourClasses,
  frankfurt,
  madrid,
  network,
  oslo,
  site,
  siteId,
  trafficClass,
  uplink,
} from '../compile/networks.ts'

const held = compile(network(), []).claims
const fabricOf = (more: Partial<Intent> = {}): Fabric => compile(network({ expect: [], ...more }), held).fabric!
const base = fabricOf()
const proof = { expects: 3, held: 3, failures: 40 }
/** A Thursday. */
const now = Date.parse('2026-11-26T21:00:00Z')
const text = (before: Fabric | null, after: Fabric) => renderPlan(plan(before, after), proof, now).split('\n').slice(0, -1)
/** Of whatever width the columns are. */
const loose = (before: Fabric | null, after: Fabric) => text(before, after).map((line) => line.replaceAll(/(?<=\S) {2,}/g, '  '))
const others = [dublin, frankfurt, madrid, oslo]
const withoutBerlin = fabricOf({ sites: others })

/** berlin's cameras leave to the internet so. */
const leaving = (internet: Breakout): Fabric =>
  fabricOf({
    sites: [{ ...berlin, lans: berlin.lans.map((lan) => (lan.segment === 'cameras' ? { ...lan, internet } : lan)) }, ...others],
  })

describe('a plan, as people read it', () => {
  test('a LAN may leave to the internet: nobody feels it; taken back, what was open there ends', () => {
    expect(text(base, leaving('local'))).toEqual([
      '~ site  berlin  +1 internet breakout, no interruption  low',
      '  opens  berlin/cameras (192.168.1.0/24) -> internet',
      'proved: 3 of 3 expectations under 40 single failures · blast radius 1 of 5 sites · about 6 s',
    ])
    expect(text(leaving('local'), base)).toEqual([
      '~ site  berlin  −1 internet breakout, interrupts traffic  medium',
      '  closes berlin/cameras (192.168.1.0/24) -> internet',
      'proved: 3 of 3 expectations under 40 single failures · blast radius 1 of 5 sites · about 6 s',
    ])
    expect(plan(base, leaving('local')).class).toBe('additive')
  })
  test('elsewhere than before: the hubs let out one LAN more, and its connections begin anew', () => {
    expect(text(leaving('local'), leaving('hub'))).toEqual([
      '~ site  berlin     1 internet breakout changed, interrupts traffic  medium',
      '~ site  dublin     +1 LAN let out, +2 exits, no interruption        low',
      '~ site  frankfurt  +1 LAN let out, +2 exits, no interruption        low',
      'proved: 3 of 3 expectations under 40 single failures · blast radius 3 of 5 sites · about 18 s',
    ])
  })
  test('a new network', () =>
    expect(text(null, base)).toEqual([
      '+ site  berlin     8 tunnels, 2 segments   new',
      '+ site  dublin     16 tunnels, 1 segment   new',
      '+ site  frankfurt  16 tunnels, 2 segments  new',
      '+ site  madrid     8 tunnels, 1 segment    new',
      '+ site  oslo       8 tunnels, 1 segment    new',
      'proved: 3 of 3 expectations under 40 single failures · blast radius 5 of 5 sites · about 18 s',
    ]))
  test('nothing', () =>
    expect(text(base, fabricOf())).toEqual([
      'nothing to change: the network is as it is written',
      'proved: 3 of 3 expectations under 40 single failures',
    ]))
  test('a site joins', () =>
    expect(text(withoutBerlin, base)).toEqual([
      '+ site  berlin     8 tunnels, 2 segments      new',
      '~ site  dublin     +4 peers, no interruption  low',
      '~ site  frankfurt  +4 peers, no interruption  low',
      'proved: 3 of 3 expectations under 40 single failures · blast radius 3 of 5 sites · about 18 s',
    ]))
  test('a site leaves: nobody else is interrupted', () =>
    expect(text(base, withoutBerlin).slice(0, 3)).toEqual([
      '- site  berlin     8 tunnels, 2 segments      ends',
      '~ site  dublin     −4 peers, no interruption  low',
      '~ site  frankfurt  −4 peers, no interruption  low',
    ]))
  test('an allow more, and one less', () => {
    const open = fabricOf({ allow: [...network().allow, allow('cameras -> training', 'udp/5004')] })
    expect(text(base, open)).toEqual([
      '~ site  berlin     +1 rule, no interruption     low',
      '~ site  dublin     +1 transit, no interruption  low',
      '~ site  frankfurt  +1 rule, no interruption     low',
      '  opens  berlin/cameras (192.168.1.0/24) -> frankfurt/training (10.20.0.0/16) udp/5004',
      'proved: 3 of 3 expectations under 40 single failures · blast radius 3 of 5 sites · about 18 s',
    ])
    expect(text(open, base).slice(0, 4)).toEqual([
      '~ site  berlin     −1 rule, interrupts traffic     medium',
      '~ site  dublin     −1 transit, interrupts traffic  high',
      '~ site  frankfurt  −1 rule, interrupts traffic     high',
      '  closes berlin/cameras (192.168.1.0/24) -> frankfurt/training (10.20.0.0/16) udp/5004',
    ])
  })
  test('of what is between many LANs a few are named', () => {
    const one = { sites: [...['a', 'b', 'c', 'd'].map((id, n) => edge(id, { inference: [`10.1.${n}.0/24`] })), dublin, frankfurt] }
    const rows = text(
      fabricOf({ ...one, allow: [], expect: [] }),
      fabricOf({ ...one, allow: [allow('edge/inference -> inference', 'udp/9')], expect: [] }),
    )
    expect(rows.filter((line) => line.includes('opens'))).toEqual([
      '  opens  a/inference (10.1.0.0/24), b/inference (10.1.1.0/24) and 2 more -> a/inference (10.1.0.0/24), b/inference (10.1.1.0/24) and 4 more udp/9',
    ])
  })
  test('more differences than fit are counted', () => {
    const more = Array.from({ length: 10 }, (_, n) => allow('berlin/inference -> dublin/inference', `udp/${2 * n + 1}`))
    expect(
      text(base, fabricOf({ allow: [...network().allow, ...more] }))
        .filter((line) => line.includes('opens'))
        .slice(7),
    ).toEqual(['  opens  berlin/inference (10.1.10.0/24) -> dublin/inference (10.11.0.0/16) udp/5', '  opens  2 more'])
  })
  test('who waits for a maintenance window, and when it opens', () => {
    const sunday = { timezone: 'Europe/Berlin', windows: [{ days: [0], from: 120, to: 240 }] }
    const windows = (more: Partial<Intent> = {}) =>
      fabricOf({
        ...more,
        sites: network().sites.map((one) =>
          one.id === 'dublin'
            ? { ...one, maintenance: { timezone: 'UTC', windows: [{ days: [4], from: 1200, to: 1320 }] } }
            : { ...one, maintenance: sunday },
        ),
      })
    const open = windows({ allow: [...network().allow, allow('cameras -> training', 'udp/5004')] })
    // What is added interrupts nobody.
    expect(text(windows(), open).filter((line) => line.startsWith('  waits'))).toEqual([])
    expect(text(open, windows()).filter((line) => line.startsWith('  waits'))).toEqual([
      '  waits  berlin, frankfurt for the window sun 02:00-04:00 Europe/Berlin, opens 2026-11-29 01:00 UTC',
      '  waits  dublin for the window thu 20:00-22:00 UTC, open until 2026-11-26 22:00 UTC',
    ])
    // Windows alone change no site.
    expect(plan(base, windows()).changes).toEqual([])
  })
  test('what no box notices is told all the same: promises, windows, what fails together', () => {
    const sunday = { timezone: 'UTC', windows: [{ days: [0], from: 120, to: 240 }] }
    const risky = uplink('fiber', { risks: ['duct-7' as never] })
    const promised = fabricOf({
      expect: [isolate('cameras -> training'), { ...reach('edge/inference -> model-api'), survives: ['uplink', 'hub'] } as IntentExpect],
      sites: [{ ...berlin, maintenance: sunday, uplinks: [risky, berlin.uplinks[1]!] }, ...others],
    })
    expect(text(base, promised)).toEqual([
      'no box and no cloud changes',
      '  expects isolate cameras -> training',
      '  expects reach edge/inference -> model-api, survives [uplink, hub]',
      '  window  berlin: sun 02:00-04:00 UTC',
      '  risk    duct-7: berlin.fiber',
      'proved: 3 of 3 expectations under 40 single failures',
    ])
    expect(isPending(plan(base, promised), { handed: [], rewritten: 0 })).toBe(true)
    expect(text(promised, base).slice(1, -1)).toEqual([
      '  drops   isolate cameras -> training',
      '  drops   reach edge/inference -> model-api, survives [uplink, hub]',
      '  window  berlin: any time',
      '  risk    duct-7: nothing fails together',
    ])
    // Beside what changes at boxes; what comes with a new site is not told.
    expect(text(withoutBerlin, promised).filter((line) => /^ {2}(?:expects|window|risk)/.test(line))).toEqual([
      '  expects isolate cameras -> training',
      '  expects reach edge/inference -> model-api, survives [uplink, hub]',
    ])
    // Two lines of the same ends.
    const way = (more: object) =>
      ({ kind: 'path', from: selector('edge/inference'), to: selector('model-api'), survives: [], ways: { ...ways, ...more } }) as IntentExpect
    const ways = { via: [], not: [], symmetric: false, withinMs: 0, bandwidth: { up: 0, down: 0 } }
    expect(text(base, fabricOf({ expect: [way({ symmetric: true }), way({ bandwidth: { up: 1e6, down: 1e6 } })] })).slice(1, -1)).toEqual([
      '  expects path edge/inference -> model-api, bandwidth 1M',
      '  expects path edge/inference -> model-api, symmetric',
    ])
    const less = fabricOf({ expect: [{ ...reach('edge/inference -> model-api'), survives: ['hub'] } as IntentExpect] })
    const more = fabricOf({ expect: [{ ...reach('edge/inference -> model-api'), survives: ['uplink', 'hub'] } as IntentExpect] })
    expect(text(less, more).slice(1, -1)).toEqual([
      '  expects reach edge/inference -> model-api, survives [uplink, hub]',
      '  drops   reach edge/inference -> model-api, survives hub',
    ])
  })
  test('a pair of gateways is one site, whose LANs are told once', () => {
    const paired = (internet: Breakout, lines: readonly ReturnType<typeof allow>[]) => {
      const gateway = (id: string) => ({
        ...berlin,
        id: siteId(id),
        lans: berlin.lans.map((lan) => ({ ...lan, ...(lan.segment === 'cameras' ? { internet } : {}) })),
      })
      return fabricOf({ allow: lines, sites: [gateway('berlin'), gateway('berlin.b'), ...others] })
    }
    const rows = text(paired('none', []), paired('local', [allow('inference -> dublin/inference', 'tcp/9')]))
    expect(rows.filter((line) => line.startsWith('  opens'))).toEqual([
      '  opens  berlin/inference (10.1.10.0/24), madrid/inference (10.1.11.0/24) and 2 more -> dublin/inference (10.11.0.0/16) tcp/9',
      '  opens  berlin/cameras (192.168.1.0/24) -> internet',
    ])
    expect(rows.at(-1)).toContain('blast radius 5 of 5 sites')
  })
  test('a refused one says how many expectations hold', () =>
    expect(renderPlan(plan(base, base), { ...proof, held: 2 }, now)).toContain('refused: 2 of 3 expectations'))
})

describe('a line says what moves at a site, and whether traffic feels it', () => {
  const onLan = (device: string, neighbor: string): LanRouters => ({
    segment: 'inference' as SegmentId,
    interface: device,
    neighbors: [address(neighbor)],
  })
  const berlinLine = (more: Partial<Intent>) => {
    const change = plan(base, fabricOf(more)).changes.find((one) => one.site === 'berlin')
    return change && `${change.text}: ${change.class}`
  }
  const berlinIs = (one: typeof berlin) => ({ sites: [one, ...others] })
  test.each<[string, Partial<Intent>, string | undefined]>([
    ['an uplink more', berlinIs({ ...berlin, uplinks: [...berlin.uplinks, uplink('fiber-2')] }), '+4 tunnels, +1 uplink, no interruption: additive'],
    ['an uplink less', berlinIs({ ...berlin, uplinks: berlin.uplinks.slice(0, 1) }), '−4 tunnels, −1 uplink, interrupts traffic: disruptive'],
    [
      'another cable',
      berlinIs({ ...berlin, uplinks: [uplink('fiber', { interface: 'eth9' }), uplink('lte')] }),
      '1 uplink changed, interrupts traffic: disruptive',
    ],
    [
      'another rate',
      berlinIs({ ...berlin, uplinks: [uplink('fiber', { down: 1e9 }), uplink('lte')] }),
      '1 uplink property changed, no interruption: neutral',
    ],
    [
      'an unmetered line ranks higher',
      berlinIs({ ...berlin, uplinks: [uplink('fiber'), uplink('lte', { metered: false })] }),
      '1 uplink property changed, no interruption: neutral',
    ],
    [
      'a LAN more, that nobody may reach',
      berlinIs(edge('berlin', { inference: ['10.1.10.0/24'], cameras: ['192.168.1.0/24'], training: ['10.1.99.0/24'] })),
      '+1 LAN, no interruption: additive',
    ],
    [
      'a LAN that is served and trusted',
      berlinIs({ ...berlin, lans: berlin.lans.map((lan, n) => (n === 0 ? { ...lan, ra: { dns: [], domain: '' }, trust: 'dscp' } : lan)) }),
      '+2 LAN services, no interruption: additive',
    ],
    [
      'a router that speaks BGP, and one that speaks OSPF',
      berlinIs({
        ...berlin,
        bgp: [{ ...onLan('eth1', '10.1.10.254'), asn: 65_010, localAsn: 65_000, hold: 9, maxPrefixes: 100 }],
        ospf: { ...onLan('eth2', '192.168.1.254'), area: address('0.0.0.0'), hello: 10, dead: 40 },
      }),
      '+1 BGP session, +1 OSPF neighbor, no interruption: additive',
    ],
    ['the MTU', { mtu: 1400 }, 'MTU 1360 → 1400, interrupts traffic: disruptive'],
    [
      'a share of one site',
      berlinIs({ ...berlin, classes: [{ id: fourClasses[2]!.id, share: 5, sla: fourClasses[2]!.sla }] }),
      '1 class changed, no interruption: neutral',
    ],
    ['a share', { classes: [...fourClasses.slice(0, 3), trafficClass('default', { share: 10 })] }, '1 class changed, no interruption: neutral'],
    [
      'a preference',
      { classes: [...fourClasses.slice(0, 3), trafficClass('default', { prefer: [{ kind: 'medium', value: 'lte' }] })] },
      '2 path orders changed, no interruption: neutral',
    ],
    ['a label, a place: nothing that a gateway sees', berlinIs({ ...berlin, labels: ['north'], place: 'elsewhere' }), undefined],
    ['something at madrid', { sites: [berlin, dublin, frankfurt, { ...madrid, uplinks: [uplink('fiber')] }, oslo] }, undefined],
  ])('%s', (_, more, line) => expect(berlinLine(more)).toBe(line))

  test('a hub whose address moves is felt there and dialled anew by everybody', () => {
    const moved = site('dublin', 'core', [fixed('isp-a', '192.0.2.27/28', '192.0.2.17'), dublin.uplinks[1]!], { inference: ['10.11.0.0/16'] })
    const changes = plan(base, fabricOf({ sites: [berlin, moved, frankfurt, madrid, oslo] })).changes
    expect(changes.map((change) => `${change.site}: ${change.text}`)).toEqual([
      'berlin: far ends moved, no interruption',
      'dublin: 1 uplink changed, interrupts traffic',
      'frankfurt: far ends moved, no interruption',
      'madrid: far ends moved, no interruption',
      'oslo: far ends moved, no interruption',
    ])
  })
  test('a hub that becomes a spoke', () => {
    const home = { hubs: [siteId('frankfurt')] }
    const after = fabricOf({
      ...home,
      sites: [berlin, dublin, frankfurt, madrid, oslo].map((one) => (one.id === 'frankfurt' ? one : { ...one, ...home })),
    })
    expect(plan(base, after).changes.find((one) => one.site === 'dublin')!.text).toBe(
      '−12 tunnels, 4 tunnels changed, is a hub no more, interrupts traffic',
    )
  })
})

describe('order, radius, risk', () => {
  const summary = (before: Fabric | null, after: Fabric) => {
    const { class: kind, risk, steps, expectedSeconds, blastRadius, costPerHour } = plan(before, after)
    return {
      kind,
      risk,
      steps: steps.map((step) => `${step.order} ${step.action} ${step.site}`),
      expectedSeconds,
      radius: `${blastRadius.sites.length}/${blastRadius.of}`,
      costPerHour,
    }
  }
  test('hubs first and one by one, then the edges together', () =>
    expect(summary(null, base)).toEqual({
      kind: 'additive',
      risk: 'low',
      steps: ['1 configure dublin', '2 configure frankfurt', '3 configure berlin', '3 configure madrid', '3 configure oslo'],
      expectedSeconds: 18,
      radius: '5/5',
      costPerHour: 0,
    }))
  test('what leaves goes last', () => {
    expect(summary(base, withoutBerlin)).toMatchObject({
      kind: 'disruptive',
      risk: 'medium',
      steps: ['1 configure dublin', '2 configure frankfurt', '3 remove berlin'],
      radius: '3/5',
    })
    const noHub = fabricOf({ hubs: [siteId('frankfurt')], sites: [frankfurt, { ...madrid, hubs: [siteId('frankfurt')] }] })
    expect(summary(base, noHub).steps.slice(-3)).toEqual(['3 remove berlin', '3 remove oslo', '4 remove dublin'])
  })
  test('nothing to do has no risk', () =>
    expect(summary(base, base)).toEqual({ kind: 'neutral', risk: 'none', steps: [], expectedSeconds: 0, radius: '0/5', costPerHour: 0 }))
  test('an interruption at a hub, or of half of the network, is a high risk', () =>
    expect(summary(base, fabricOf({ mtu: 1400 }))).toMatchObject({ kind: 'disruptive', risk: 'high' }))
})

describe('diffReachability', () => {
  const nothing = { opened: [], closed: [], internet: { opened: [], closed: [] } }
  const lines = (all: ReturnType<typeof diffReachability>['opened']) =>
    all.map(({ from, to, ports }) => {
      const [callers, called] = [from, to].map((ends) => ends.map(({ node, segment, prefix }) => `${node}/${segment} ${prefix}`).join(', '))
      return `${callers} > ${called} ${ports.protocol}/${ports.from}`
    })
  test('of equal fabrics is empty, of the first is everything', () => {
    expect(diffReachability(base, fabricOf())).toEqual(nothing)
    expect(lines(diffReachability(null, fabricOf({ allow: [allow('inference -> registry')] })).opened)).toEqual([
      'berlin/inference 10.1.10.0/24, madrid/inference 10.1.11.0/24, oslo/inference 10.1.12.0/24, frankfurt/inference 10.10.0.0/16, dublin/inference 10.11.0.0/16 > frankfurt/inference 10.10.0.0/16, dublin/inference 10.11.0.0/16 tcp/443',
    ])
  })
  test('a rule that is only written differently opens nothing', () => {
    const same = fabricOf({ allow: [allow('edge/inference -> core/inference', 'tcp/8443')] })
    const named = fabricOf({ allow: [allow('edge/inference -> model-api')] })
    expect(diffReachability(named, same)).toEqual(nothing)
  })
  test('what is allowed already opens nothing, whoever else says it', () => {
    const groups = [group('printers', '10.11.0.9/32')]
    const was = fabricOf({ groups, allow: [allow('berlin/inference -> dublin/inference', 'tcp/1-100')] })
    const is = fabricOf({
      groups,
      allow: [allow('berlin/inference -> dublin/inference', 'tcp/1-100'), allow('berlin/inference -> printers', 'tcp/50-150')],
    })
    const { opened, closed } = diffReachability(was, is)
    expect(lines(opened)).toEqual(['berlin/inference 10.1.10.0/24 > dublin/inference 10.11.0.9/32 tcp/101'])
    expect(closed).toEqual([])
  })
  test('a deny closes what was allowed of it, and opens it again when it goes', () => {
    const groups = [group('printers', '10.11.0.0/17')]
    const open = { groups, allow: [allow('berlin/inference -> dublin/inference')] }
    const shut = fabricOf({ ...open, deny: [allow('berlin/inference -> printers', 'tcp/22'), allow('oslo/inference -> printers')] })
    expect(lines(diffReachability(fabricOf(open), shut).closed)).toEqual(['berlin/inference 10.1.10.0/24 > dublin/inference 10.11.0.0/17 tcp/22'])
    expect(diffReachability(shut, fabricOf(open)).opened).toEqual(diffReachability(fabricOf(open), shut).closed)
    const first = diffReachability(fabricOf({ groups, allow: [] }), shut).opened
    expect(lines(first)).toEqual([
      'berlin/inference 10.1.10.0/24 > dublin/inference 10.11.0.0/17 any/0',
      'berlin/inference 10.1.10.0/24 > dublin/inference 10.11.128.0/17 any/0',
    ])
    expect(first.map(({ except }) => except)).toEqual([ports('tcp/22'), undefined])
    expect(text(fabricOf({ groups, allow: [] }), shut).join('\n')).toContain(
      '  opens  berlin/inference (10.1.10.0/24) -> dublin/inference (10.11.0.0/17) any but tcp/22',
    )
  })
  test('a deny that comes interrupts, one that goes does not', () => {
    const allowed = { allow: [allow('berlin/inference -> dublin/inference')] }
    const shut = fabricOf({ ...allowed, deny: [allow('berlin/inference -> dublin/inference', 'tcp/22')] })
    expect(text(fabricOf(allowed), shut)).toContain('~ site  berlin  +1 deny, interrupts traffic  medium')
    expect(text(shut, fabricOf(allowed))).toContain('~ site  berlin  −1 deny, no interruption  low')
  })
  test('a line said otherwise is felt nowhere, nor a wider one in its place', () => {
    const all = 'edge/inference -> frankfurt/inference'
    const was = fabricOf({ allow: [allow(all, 'tcp/443'), allow('berlin/inference -> dublin/inference', 'tcp/9')] })
    const is = fabricOf({
      allow: [
        ...['berlin', 'madrid', 'oslo'].map((id) => allow(`${id}/inference -> frankfurt/inference`, 'tcp/443')),
        allow('inference -> dublin/inference', 'tcp/1-9'),
      ],
    })
    for (const { site: id, class: kind } of plan(was, is).changes) expect({ id, kind }).not.toEqual({ id, kind: 'disruptive' })
    expect(plan(was, is).reachability.closed).toEqual([])
    expect(
      plan(is, was)
        .changes.filter((one) => one.class === 'disruptive')
        .map((one) => one.site),
    ).toEqual(['berlin', 'dublin', 'frankfurt', 'madrid', 'oslo'])
  })
  test('another port opens one and closes the other', () => {
    const was = fabricOf({ allow: [allow('berlin/inference -> dublin/inference', 'tcp/1')] })
    const is = fabricOf({ allow: [allow('berlin/inference -> dublin/inference', 'tcp/2')] })
    const { opened, closed } = diffReachability(was, is)
    expect(lines(opened)).toEqual(['berlin/inference 10.1.10.0/24 > dublin/inference 10.11.0.0/16 tcp/2'])
    expect(lines(closed)).toEqual(['berlin/inference 10.1.10.0/24 > dublin/inference 10.11.0.0/16 tcp/1'])
  })
})

describe('peers', () => {
  const open = [...network().allow, allow('edge/inference -> partner/inference', 'tcp/5432')]
  const joined = fabricOf({ peers: [partner], allow: open })
  const row = (before: Fabric, after: Fabric) => loose(before, after).find((one) => one.includes(' peer  partner'))
  test('joins: what its owner has to do too, and what it may reach', () => {
    const rows = loose(fabricOf(), joined)
    expect(rows).toContain('+ peer  partner  8 tunnels, 1 prefix  tell its owner: causeway peer config partner')
    expect(rows.find((one) => one.includes('frankfurt'))).toMatch(/^~ site {2}frankfurt {2}\+4 peers, no interruption/)
    expect(rows).toContain(
      '  opens  berlin/inference (10.1.10.0/24), madrid/inference (10.1.11.0/24), oslo/inference (10.1.12.0/24) -> partner/inference (172.20.0.0/16) tcp/5432',
    )
    expect(plan(fabricOf(), joined)).toMatchObject({ costPerHour: 0, class: 'additive', risk: 'low' })
    expect(JSON.stringify(plan(fabricOf(), joined))).not.toContain('psk')
  })
  test('a site leaves: what goes with it interrupts neither a peer nor a region', () => {
    const regions = [cloud]
    const both = [...open, allow('edge/inference -> aws-eu-west-1/inference', 'tcp/8443')]
    const was = fabricOf({ peers: [partner], regions, allow: both })
    const rows = loose(was, fabricOf({ peers: [partner], regions, allow: both, sites: others }))
    expect(rows.find((one) => one.includes(' region '))).toMatch(/^~ region aws-eu-west-1 {2}−1 route, .*no interruption/)
    expect(rows.find((one) => one.includes(' peer '))).toMatch(/^~ peer {2}partner {2}−1 route, .*no interruption/)
    const less = loose(
      was,
      fabricOf({ peers: [partner], regions, allow: [...network().allow, allow('madrid/inference -> aws-eu-west-1/inference', 'tcp/8443')] }),
    )
    expect(less.find((one) => one.includes(' region '))).toMatch(/interrupts traffic/)
  })
  test('changes and leaves: by what is taken away', () => {
    const change = (peer: Partial<typeof partner>) => row(joined, fabricOf({ peers: [{ ...partner, ...peer }], allow: open }))
    const lans = [...partner.lans, { segment: partner.lans[0]!.segment, prefix: prefix('172.21.0.0/16') }]
    expect(change({ lans })).toMatch(/^~ peer {2}partner {2}\+1 prefix.*, no interruption {2}tell its owner/)
    expect(change({ gateways: partner.gateways.slice(0, 1) })).toMatch(/−4 tunnels,.* 1 setting changed, interrupts traffic/)
    expect(change({ profile: { ...partner.profile, esp: ['aes256gcm16-ecp256'] } })).toMatch(/1 setting changed, interrupts traffic/)
    for (const pools of [[prefix('fd5c::/64')], [prefix('169.254.100.0/24'), prefix('fd5c::/64')]])
      expect(change({ pools })).toMatch(/^~ peer {2}partner {2}8 tunnels changed, interrupts traffic {2}tell its owner/)
    expect(row(joined, fabricOf())).toBe('- peer  partner  8 tunnels, 1 prefix')
    expect(plan(joined, fabricOf())).toMatchObject({ class: 'disruptive', risk: 'medium' })
    expect(loose(joined, joined)[0]).toBe('nothing to change: the network is as it is written')
  })
})

describe('cloud regions', () => {
  const open = [...network().allow, allow('edge/inference -> aws-eu-west-1/inference', 'tcp/8443')]
  const joined = fabricOf({ regions: [cloud], allow: open })
  test('joins: what is made, and what it costs', () => {
    const rows = loose(fabricOf(), joined)
    expect(rows).toContain('+ region aws-eu-west-1  4 connections, 1 VPC  26 resources  $0.45/h estimate, prices of 2026-11-01')
    expect(rows.find((row) => row.includes('frankfurt'))).toMatch(/^~ site {2}frankfurt {2}\+4 peers, no interruption/)
    expect(rows.some((row) => row.includes('opens'))).toBe(false)
    expect(rows.find((row) => row.includes('berlin'))).toBe('~ site  berlin  +1 route, +4 path orders, no interruption  low')
    expect(plan(fabricOf(), joined)).toMatchObject({ costPerHour: 0.45, class: 'additive', risk: 'low' })
  })
  test('stands in columns with sites and peers', () => {
    const all = text(fabricOf(), fabricOf({ regions: [cloud], peers: [partner], allow: open }))
    const rows = all.filter((row) => /^[+~-] /.test(row))
    expect(rows.filter((row) => / (?:region|peer {2}|frankfurt)/.test(row))).toEqual([
      '~ site  frankfurt       +8 peers, no interruption                  low',
      '+ region aws-eu-west-1  4 connections, 1 VPC                       26 resources  $0.45/h estimate, prices of 2026-11-01',
      '+ peer  partner         8 tunnels, 1 prefix                        tell its owner: causeway peer config partner',
    ])
  })
  test('leaves: hubs are not interrupted, what used it is', () => {
    const rows = loose(joined, fabricOf())
    expect(rows).toContain('- region aws-eu-west-1  4 connections, 1 VPC  26 resources  saves $0.45/h estimate, prices of 2026-11-01')
    expect(rows.find((row) => row.includes('frankfurt'))).toContain('no interruption')
    expect(plan(joined, fabricOf())).toMatchObject({ costPerHour: 0, class: 'disruptive', risk: 'medium' })
  })
  test('changes: by what is taken away', () => {
    const row = (before: Fabric, after: Fabric) => loose(before, after).find((one) => one.startsWith('~ region'))
    const wider = fabricOf({
      regions: [{ ...cloud, networks: [...cloud.networks, { id: 'vpc-0a1b2c3d4e5f60719', prefixes: [prefix('10.97.0.0/16')] }] }],
      allow: open,
    })
    expect(row(joined, wider)).toMatch(/^~ region aws-eu-west-1 {2}\+1 VPC.*, no interruption {2}\d+ resources {2}\$0\.50\/h/)
    expect(row(wider, joined)).toContain('−1 VPC')
    expect(row(wider, joined)).toContain('interrupts traffic')
    expect(row(joined, fabricOf({ regions: [{ ...cloud, asn: 64513 }], allow: open }))).toContain('1 setting changed, interrupts traffic')
    expect(row(joined, fabricOf({ regions: [{ ...cloud, hubs: [siteId('frankfurt')] }], allow: open }))).toContain('−2 connections')
    expect(loose(joined, joined)[0]).toBe('nothing to change: the network is as it is written')
    const alone = fabricOf({ regions: [{ ...cloud, networks: [{ id: 'vpc-0a1b2c3d4e5f60799', prefixes: [prefix('10.96.0.0/16')] }] }], allow: open })
    expect(loose(joined, alone)[0]).toMatch(/^~ region aws-eu-west-1 {2}\+1 −1 VPC, interrupts traffic/)
  })
  const { sites: sitesOfBoth, allow: allowBoth } = dualNetwork()
  const dual = fabricOf({ sites: sitesOfBoth, allow: allowBoth, regions: [dualCloud] })
  test('of both families: connections of each, each with its price', () => {
    expect(loose(fabricOf({ sites: sitesOfBoth }), dual).find((row) => row.includes(' region '))).toMatch(
      /^\+ region aws-eu-west-1 {2}8 connections, 4 of them for IPv6, 1 VPC {2}\d+ resources {2}\$0\.85\/h/,
    )
  })
  test('a family comes: felt at the VPC, whose attachment may take other subnets, not at the hubs', () => {
    const four = compile({ ...dualNetwork(cloud), expect: [] }, [])
    const both = compile({ ...dualNetwork(), expect: [] }, four.claims).fabric!
    const rows = loose(four.fabric, both)
    expect(rows.find((row) => row.includes('frankfurt'))).toBe('~ site  frankfurt  +4 peers, 1 rule changed, no interruption  low')
    expect(rows.find((row) => row.includes(' region '))).toMatch(/^~ region \S+ {2}\+4 connections, 1 VPC changed, .*, interrupts traffic {2}/)
  })
  test('counts what the provider makes', () => {
    const two = fabricOf({
      regions: [
        { ...cloud, networks: [...cloud.networks, { id: 'vpc-0a1b2c3d4e5f60719', prefixes: [prefix('10.97.0.0/16'), prefix('10.98.0.0/24')] }] },
      ],
      allow: open,
    })
    for (const of of [joined, two, dual, fabricOf({ regions: [cloud] })]) {
      const [region] = of.regions
      expect(resourcesOf(region!)).toBe(desired(of.network.id, region!, returnRoutes(of, region!.id, new Set())).length)
    }
  })
})
