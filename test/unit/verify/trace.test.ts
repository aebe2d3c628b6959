import { describe, expect, test } from 'vitest'
import type { Endpoint, Failure, RiskId, SegmentId } from '#src/fabric/fabric.ts'
import { address, addressWithLength, prefix } from '#src/net/address.ts'
import { renderTrace } from '#src/verify/render-trace.ts'
import { trace } from '#src/verify/trace.ts'
import { build, change, ports, site } from './build.ts'
import { compile } from '#src/compile/compile.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { readQuestion } from '#src/verify/question.ts'
import { cloudDemo, demo } from './demo.ts'

const { fabric, origins } = demo()
const ask = (from: string, to: string, port: string | null = null, without: readonly Failure[] = []): string =>
  renderTrace(trace(fabric, { from, to, port: port === null ? null : ports(port), trafficClass: null, without }), origins).replaceAll(
    /network\.yaml:\d+/g,
    'network.yaml:N',
  )
const fiber: Failure = { kind: 'uplink', site: site('berlin'), uplink: fabric.sites[0]!.uplinks[0]!.id }

/** A site with two gateways and two LANs of a segment, and one that is translated. */
function paired() {
  const text = `network: pair
hubs: hub
segments: [office, cameras]
allow: [office -> same/office tcp/22, edge/office -> hub/office tcp/443]
sites:
  hub: { role: core, uplinks: { isp: { interface: eth0, address: 192.0.2.2/24, router: 192.0.2.1 } }, segments: { office: { interface: eth1, prefixes: 10.10.0.0/24 } } }
  oslo:
    gateways: { a: { uplinks: { fiber: { interface: eth0 } } }, b: { uplinks: { lte: { interface: wwan0 } } } }
    segments:
      office: [{ interface: eth1, prefixes: 10.1.10.0/24 }, { interface: eth2, prefixes: 10.1.40.0/24 }]
      cameras: { interface: eth3, prefixes: 192.168.1.0/24, translate: always }
`
  const { intent, origins } = parseIntent([{ path: 'network.yaml', text }])
  return { fabric: compile(intent!, []).fabric!, origins }
}

describe('trace', () => {
  test('blocked by policy, and an expectation wants it so', () => {
    expect(ask('berlin/cameras', 'training', 'udp/5004')).toBe(
      'BLOCKED at berlin, before encryption\n  no `allow` lets cameras reach training, and network.yaml:N expects exactly that\n',
    )
  })
  test('denied, by which line', () => {
    const { fabric, origins } = demo(['expect:', 'groups: { kiosks: { hosts: 10.1.10.200/29 } }\ndeny: kiosks -> model-api\nexpect:'])
    const told = (from: string) =>
      renderTrace(trace(fabric, { from, to: 'frankfurt/model-api', port: null, trafficClass: null, without: [] }), origins)
    const line = origins.get('deny kiosks -> model-api tcp/8443')!.line
    expect(told('berlin/kiosks')).toBe(`BLOCKED at berlin, before encryption, 10.1.10.201 → 10.10.0.10 tcp/8443\n  denied by network.yaml:${line}\n`)
    expect(told('10.1.10.7')).toContain('PASSES')
  })
  describe('to the internet', () => {
    const { fabric, origins } = demo(['services:', 'internet: { cameras: local }\nservices:'])
    const line = origins.get('internet/cameras')!.line
    const told = (from: string, to: string, ...without: readonly Failure[]) =>
      renderTrace(trace(fabric, { from, to, port: ports('tcp/443'), trafficClass: null, without }), origins)
    const lte: Failure = { kind: 'uplink', site: site('berlin'), uplink: fabric.sites[0]!.uplinks[1]!.id }
    test('over the uplink that class default likes best, by the line that opens it', () => {
      expect(told('berlin/cameras', '1.1.1.1')).toBe(
        `PASSES, 192.168.1.10 → 1.1.1.1 tcp/443\n  leaves by network.yaml:${line}\n  out    berlin ─fiber→ internet\n`,
      )
    })
    test('the word stands for an address that nobody has', () => {
      expect(told('berlin/cameras', 'internet')).toContain('PASSES, 192.168.1.10 → 198.51.100.1 tcp/443')
    })
    test('over the other when that has failed, and not at all without either', () => {
      expect(told('berlin/cameras', 'internet', fiber)).toContain('berlin ─lte→ internet')
      expect(told('berlin/cameras', 'internet', fiber, lte)).toBe(
        'BLOCKED at berlin without berlin.fiber, berlin.lte\n  every uplink of berlin that leads to the internet has failed\n  192.168.1.10 → 198.51.100.1 tcp/443\n',
      )
    })
    test('at the hub, and at the next one when that has failed', () => {
      const { fabric, origins } = demo(['services:', 'internet: { cameras: hub }\nservices:'])
      const told = (...without: readonly Failure[]) =>
        renderTrace(trace(fabric, { from: 'berlin/cameras', to: 'internet', port: null, trafficClass: null, without }), origins)
      expect(told()).toContain('  out    berlin ─fiber/isp-a→ frankfurt ─isp-a→ internet\n')
      expect(told(fiber)).toContain('  out    berlin ─lte/isp-a→ frankfurt ─isp-a→ internet\n')
      expect(told({ kind: 'hub', site: site('frankfurt') })).toContain('  out    berlin ─fiber/isp-a→ dublin ─isp-a→ internet\n')
      expect(told({ kind: 'uplink', site: site('frankfurt'), uplink: 'isp-a' as never })).toContain(
        '  out    berlin ─fiber/isp-b→ frankfurt ─isp-b→ internet\n',
      )
      expect(told({ kind: 'hub', site: site('frankfurt') }, { kind: 'hub', site: site('dublin') })).toContain('BLOCKED at berlin')
    })
    test('of IPv6 over a line that has it', () => {
      const six = { segment: 'cameras' as SegmentId, interface: 'eth9', prefix: prefix('fd12::/64'), address: addressWithLength('fd12::1/64') }
      const of = (endpoint: Endpoint) =>
        change(fabric, 'berlin', ({ lans, uplinks }) => ({
          lans: lans.map((lan) => (lan.segment === 'cameras' ? { ...lan, ...six } : lan)),
          uplinks: uplinks.map((uplink) => (uplink.id === 'lte' ? { ...uplink, endpoint } : uplink)),
        }))
      const told = (endpoint: Endpoint) =>
        renderTrace(trace(of(endpoint), { from: 'berlin/cameras', to: 'internet', port: ports('tcp/443'), trafficClass: null, without: [] }), origins)
      expect(told({ kind: 'dynamic', families: [4, 6] })).toContain('PASSES, fd12::a → 2001:db8::1 tcp/443')
      expect(told({ kind: 'dynamic', families: [4, 6] })).toContain('  out    berlin ─lte→ internet\n')
      expect(told({ kind: 'dynamic' })).toContain('no uplink of berlin that leads to the internet has IPv6')
    })
    test('not from a segment that may not leave', () => {
      expect(told('berlin/inference', 'internet')).toContain(
        'BLOCKED at berlin\n  hosts of inference there may not leave to the internet (internet: none)\n',
      )
    })
    test('never what is inside the network', () => {
      expect(told('berlin/cameras', '10.10.0.10')).toContain('no `allow` lets')
      expect(told('berlin/cameras', '10.99.0.1')).toContain('10.99.0.1 is in no LAN of this network')
    })
  })
  test('to what is behind a router on the LAN: no line decides', () => {
    const { fabric, origins } = demo()
    const [berlin, ...others] = fabric.sites
    const lan = berlin!.lans.find((one) => one.segment === 'inference')!
    const behind = { ...lan, prefix: prefix('10.5.0.0/16'), via: address('10.1.10.254') }
    const routed = { ...fabric, sites: [{ ...berlin!, lans: [...berlin!.lans, behind] }, ...others] }
    const told = (from: string, to: string) => renderTrace(trace(routed, { from, to, port: null, trafficClass: null, without: [] }), origins)
    expect(told('10.1.10.7', '10.5.3.4')).toBe('PASSES\n  both are in one LAN of berlin: no gateway is between them, so nobody is asked\n')
    expect(told('berlin/cameras', '10.5.3.4')).toContain('BLOCKED at berlin')
  })
  test('within one LAN no line decides; between two of a site one does', () => {
    const within = 'PASSES\n  both are in one LAN of berlin: no gateway is between them, so nobody is asked\n'
    expect(ask('berlin/inference', 'berlin/inference')).toBe(within)
    expect(ask('10.1.10.7', '10.1.10.9', 'tcp/22')).toBe(within)
    const { fabric, origins } = paired()
    const told = (from: string, to: string) => renderTrace(trace(fabric, { from, to, port: null, trafficClass: null, without: [] }), origins)
    expect(told('oslo/office', 'oslo/office')).toBe(
      'PASSES, 10.1.10.10 → 10.1.40.10 tcp/22, class default\n  allowed by network.yaml:4\n  within oslo: no tunnel needed\n',
    )
  })
  test('a LAN of two gateways is one, by the name of its site', () => {
    const { fabric, origins } = paired()
    const told = (from: string, to: string) => renderTrace(trace(fabric, { from, to, port: null, trafficClass: null, without: [] }), origins)
    const passes = 'PASSES, 10.1.10.10 → 10.10.0.10 tcp/443, class default\n  allowed by network.yaml:4\n  there  oslo ─fiber/isp→ hub\n'
    for (const from of ['office', 'oslo/office', 'oslo.b/office', 'edge/office', '10.1.10.10']) expect(told(from, 'hub/10.10.0.10')).toContain(passes)
    expect(told('oslo/10.1.10.7', 'oslo.b/10.1.10.20')).toContain('both are in one LAN of oslo')
    expect(told('192.168.1.10', 'hub/office')).toContain('192.168.1.10 of oslo is 198.18.0.10 in the overlay')
  })
  test('about more than an allow opens: what it opens', () => {
    const { fabric, origins } = demo([
      'allow:',
      'groups: { kiosks: { hosts: 10.1.11.200/29 } }\nallow:\n  - edge/inference -> kiosks tcp/22 tcp/80\n',
    ])
    const told = (port: string | null) =>
      renderTrace(
        trace(fabric, {
          from: 'berlin/inference',
          to: 'madrid/inference',
          port: port === null ? null : ports(port),
          trafficClass: null,
          without: [],
        }),
        origins,
      )
    expect(told(null)).toMatch(
      /^PASSES, 10\.1\.10\.10 → 10\.1\.11\.201 tcp\/22, class default\n {2}allowed by network\.yaml:\d+, for no more than 10\.1\.10\.0\/24 → 10\.1\.11\.200\/29\n/,
    )
    expect(told('tcp/79-90')).toContain('10.1.11.201 tcp/80')
    expect(told('tcp/81-90')).toContain('no `allow` lets inference reach inference on tcp/81-90')
  })
  test('from a LAN whose hosts choose their class: which they would lose it by', () => {
    const { fabric, origins } = demo(['allow:', 'allow:\n  - cameras -> training\n'])
    const trusted = change(fabric, 'berlin', ({ lans }) => ({
      lans: lans.map((lan) => (lan.segment === 'cameras' ? { ...lan, trust: 'dscp' } : lan)),
    }))
    const told = (...without: readonly Failure[]) =>
      renderTrace(trace(trusted, { from: 'berlin/cameras', to: 'training', port: null, trafficClass: null, without }), origins)
    expect(told()).toMatch(/^PASSES, .*, class default\n(?!.*marked as)/)
    expect(told(fiber)).toMatch(
      /^PASSES without berlin\.fiber, .*\n {2}allowed by .*\n {2}there .*\n {2}back .*\n {2}marked as bulk by its host it is lost: every path that class bulk may use at berlin is down/,
    )
  })
  test('to what a router announces: says from whom it is learned', () => {
    const { fabric, origins } = demo()
    const [berlin, ...others] = fabric.sites
    const lan = berlin!.lans.find((one) => one.segment === 'inference')!
    const [via, other] = [address('10.1.10.253'), address('10.1.10.254')]
    const behind = { ...lan, prefix: prefix('10.5.0.0/16'), via, learned: true } as const
    const neighbors = [via, other, address('2001:db8:1:10::fe')]
    const bgp = [{ segment: lan.segment, interface: lan.interface, asn: 65_010, localAsn: 65_000, neighbors, hold: 9, maxPrefixes: 100 }]
    const routed = { ...fabric, sites: [{ ...berlin!, lans: [...berlin!.lans, behind], bgp }, ...others] }
    const told = renderTrace(trace(routed, { from: '10.1.10.7', to: '10.5.3.4', port: null, trafficClass: null, without: [] }), origins)
    expect(told).toMatch(/\n {2}10\.5\.0\.0\/16 of berlin is learned: reached while 10\.1\.10\.253 or 10\.1\.10\.254 announces it by BGP\n$/)
    const { bgp: _, ...first } = routed.sites[0]!
    const ospf = { segment: lan.segment, interface: lan.interface, area: address('0.0.0.0'), neighbors: [via], hello: 10, dead: 40 }
    const byOspf = { ...routed, sites: [{ ...first, ospf }, ...others] }
    expect(renderTrace(trace(byOspf, { from: '10.1.10.7', to: '10.5.3.4', port: null, trafficClass: null, without: [] }), origins)).toMatch(
      /reached while 10\.1\.10\.253 announces it by OSPF\n$/,
    )
  })
  test('a service with endpoints, each', () => {
    const { fabric, origins } = demo([
      'model-api: { at: core/inference,',
      'model-api: { at: core/inference, endpoints: [10.10.0.10, 10.10.0.11, 10.11.0.7],',
    ])
    const told = renderTrace(trace(fabric, { from: 'berlin/inference', to: 'model-api', port: null, trafficClass: null, without: [] }), origins)
    expect(told.split('\n').filter((line) => line.includes('PASSES'))).toEqual([
      'berlin/inference → dublin/inference (10.11.0.7): PASSES, 10.1.10.10 → 10.11.0.7 tcp/8443, class business',
      'berlin/inference → frankfurt/inference (10.10.0.10): PASSES, 10.1.10.10 → 10.10.0.10 tcp/8443, class business',
      'berlin/inference → frankfurt/inference (10.10.0.11): PASSES, 10.1.10.10 → 10.10.0.11 tcp/8443, class business',
    ])
  })
  test('a service at two places', () => {
    expect(ask('berlin/inference', 'model-api')).toBe(
      [
        'berlin/inference → dublin/inference: PASSES, 10.1.10.10 → 10.11.0.10 tcp/8443, class business',
        '  allowed by network.yaml:N',
        '  there  berlin ─fiber/isp-a→ dublin',
        '  back   dublin ─isp-a/fiber→ berlin',
        'berlin/inference → frankfurt/inference: PASSES, 10.1.10.10 → 10.10.0.10 tcp/8443, class business',
        '  allowed by network.yaml:N',
        '  there  berlin ─fiber/isp-a→ frankfurt',
        '  back   frankfurt ─isp-a/fiber→ berlin',
        '',
      ].join('\n'),
    )
  })
  test('two addresses, without the fiber', () => {
    expect(ask('10.1.10.7', '10.10.0.9', 'tcp/8443', [fiber])).toBe(
      'PASSES without berlin.fiber, 10.1.10.7 → 10.10.0.9 tcp/8443, class business\n  allowed by network.yaml:N\n  there  berlin ─lte/isp-a→ frankfurt\n  back   frankfurt ─isp-a/lte→ berlin\n',
    )
  })
  test('a class that never uses what is left', () => {
    expect(ask('10.1.10.7', 'frankfurt/inference', 'tcp/443', [fiber])).toBe(
      'BLOCKED at berlin without berlin.fiber\n  every path that class bulk may use at berlin is down; lte is up, but class bulk never uses it\n  10.1.10.7 → 10.10.0.10 tcp/443, class bulk\n',
    )
  })
  test('a hub that has failed takes its LANs with it', () => {
    expect(ask('berlin/inference', 'frankfurt/inference', 'tcp/8443', [{ kind: 'hub', site: site('frankfurt') }])).toBe(
      'BLOCKED at frankfurt without frankfurt\n  frankfurt has failed, and its LANs with it\n  10.1.10.10 → 10.10.0.10 tcp/8443, class business\n',
    )
  })
  test('within a site', () => {
    expect(ask('berlin/cameras', 'berlin/camera-rtp')).toBe(
      'PASSES, 192.168.1.10 → 10.1.10.10 udp/5004, class realtime\n  allowed by network.yaml:N\n  within berlin: no tunnel needed\n',
    )
  })
  test('several places, some of which answer', () => {
    expect(trace(fabric, { from: 'berlin/cameras', to: 'camera-rtp', port: null, trafficClass: null, without: [] }).outcome).toBe('partly')
  })
  test.each([
    ['berlim', '"berlim" is nothing in this network\n  write site/segment, an address, or one of cameras, inference, training\n'],
    ['model-api', '"model-api" is nothing in this network\n  write site/segment, an address, or one of cameras, inference, training\n'],
    [
      '172.16.0.1',
      '172.16.0.1 is in no LAN of this network\n  write an address inside one of 10.1.10.0/24, 192.168.1.0/24, 10.11.0.0/16, 10.10.0.0/16, 10.20.0.0/16, 10.1.11.0/24\n',
    ],
  ])('an unknown source: %s', (from, text) => {
    expect(ask(from, 'training')).toBe(text)
  })
  test('an unknown destination may have been a service', () => {
    expect(ask('berlin/inference', 'modelapi')).toContain(
      '"modelapi" is nothing in this network\n  write site/segment, an address, or one of cameras, inference, training, camera-rtp, model-api, registry, stream',
    )
  })
})

test('trace without what shares a risk', () => {
  const risky = {
    ...fabric,
    risks: [{ id: 'duct-7' as RiskId, uplinks: fabric.sites[0]!.uplinks.map(({ id }) => ({ site: site('berlin'), uplink: id })) }],
  }
  const read = readQuestion(risky, { from: 'berlin/inference', to: 'frankfurt/inference', port: 'tcp/8443', without: ['duct-7'] })
  expect(read.ok && renderTrace(trace(risky, read.question), origins)).toBe(
    'BLOCKED at berlin without duct-7\n  every path that class business may use at berlin is down\n  10.1.10.10 → 10.10.0.10 tcp/8443, class business\n',
  )
  expect(readQuestion(risky, { from: 'berlin', to: 'dublin', port: null, without: ['duct-8'] })).toMatchObject({
    says: '"duct-8" is not a hub, an uplink, a shared risk or a tunnel of this network',
  })
})

describe('trace to a cloud', () => {
  const cloud = cloudDemo()
  const answer = (from: string, to: string, ...without: readonly string[]): string => {
    const read = readQuestion(cloud.fabric, { from, to, port: null, without })
    return read.ok
      ? renderTrace(trace(cloud.fabric, read.question), cloud.origins).replaceAll(/network\.yaml:\d+/g, 'network.yaml:N')
      : `${read.says}; ${read.instead}`
  }
  test('over the home hub, both ways by its first connection', () => {
    expect(answer('berlin/inference', 'aws-eu-west-1')).toBe(
      'PASSES, 10.1.10.10 → 10.96.0.10 tcp/8443, class business\n  allowed by network.yaml:N\n  there  berlin ─fiber/isp-a→ frankfurt ─isp-a/ipsec→ aws-eu-west-1\n  back   aws-eu-west-1 ─ipsec/isp-a→ frankfurt ─isp-a/fiber→ berlin\n',
    )
  })
  test('without a connection over the next, without the hub over the other hub; by address too', () => {
    expect(answer('berlin/inference', 'aws-eu-west-1', 'frankfurt.isp-a--aws-eu-west-1')).toContain(
      'there  berlin ─fiber/isp-a→ frankfurt ─isp-b/ipsec→ aws-eu-west-1\n  back   aws-eu-west-1 ─ipsec/isp-b→ frankfurt ─isp-a/fiber→ berlin',
    )
    expect(answer('berlin/inference', '10.96.0.77', 'frankfurt')).toContain('there  berlin ─fiber/isp-a→ dublin ─isp-a/ipsec→ aws-eu-west-1')
  })
  test('from the cloud, and to what it may not reach', () => {
    expect(answer('region/inference', 'frankfurt/inference')).toContain('PASSES, 10.96.0.10 → 10.10.0.10 tcp/443, class bulk')
    expect(answer('aws-eu-west-1', 'frankfurt/training')).toBe(
      'BLOCKED at aws-eu-west-1, before encryption\n  no `allow` lets aws-eu-west-1 reach training, and network.yaml:N expects exactly that\n',
    )
  })
  test('names a connection when one is misspelt', () => {
    expect(answer('berlin/inference', 'aws-eu-west-1', 'frankfurt.isp-a--aws')).toBe(
      '"frankfurt.isp-a--aws" is not a hub, an uplink, a connection or a tunnel of this network; write a hub (dublin, frankfurt), an uplink like berlin.fiber, a connection like frankfurt.isp-a--aws-eu-west-1, or a tunnel like berlin.fiber--dublin.isp-a',
    )
  })
})

describe('two families', () => {
  const dual = build({
    sites: [
      { id: 'edge', uplinks: ['a'], lans: { red: '10.1.0.0/30 fd01::1:0/126', blue: 'fd01::2:0/126' } },
      { id: 'hub', hub: true, uplinks: ['a'], lans: { red: '10.0.0.0/30 fd01::/126', blue: '10.2.0.0/30' } },
    ],
    allow: [{ from: 'edge/red@10.1.0.0/30', to: 'hub/red', ports: 'tcp/22', class: 'default' }],
    expect: [],
  })
  const asked = (from: string, to: string) => trace(dual, { from, to, port: ports('tcp/22'), trafficClass: null, without: [] })
  test('one packet of each that both ends have', () => {
    expect(renderTrace(asked('edge/red', 'hub/red'), new Map())).toBe(
      [
        'edge/red → hub/red over IPv4: PASSES, 10.1.0.1 → 10.0.0.1 tcp/22, class default',
        '  allowed by edge/red@10.1.0.0/30 -> hub/red tcp/22',
        '  there  edge ─a/a→ hub',
        '  back   hub ─a/a→ edge',
        'edge/red → hub/red over IPv6: BLOCKED at edge, before encryption',
        '  no `allow` lets red reach red on tcp/22',
        '',
      ].join('\n'),
    )
    expect(asked('edge/red', 'hub/red').outcome).toBe('partly')
    expect(asked('fd01::1:2', 'hub/red').lines.map(({ packet }) => packet.destination)).toEqual(['fd01::1'])
  })
  test('none in common is said', () => {
    expect(renderTrace(asked('edge/blue', 'hub/blue'), new Map())).toBe(
      'edge/blue has IPv6 only and hub/blue IPv4: nothing can be sent\n  give one of them prefixes of the other family too; nothing translates between the two\n',
    )
  })
})

describe('trace through translation', () => {
  const sketch = build({
    sites: [
      { id: 'berlin', uplinks: ['fiber'], lans: { cameras: '192.168.1.0/24' } },
      { id: 'madrid', uplinks: ['fiber'], lans: { cameras: '198.18.0.0/24' }, local: { cameras: '192.168.1.0/24' } },
      {
        id: 'oslo',
        uplinks: ['fiber'],
        lans: { cameras: '198.18.1.0/24', office: '198.18.2.0/24' },
        local: { cameras: '192.168.2.0/24', office: '192.168.9.0/24' },
      },
      { id: 'porto', uplinks: ['fiber'], lans: { office: '198.18.3.0/24' }, local: { office: '192.168.9.0/24' } },
      { id: 'hub', hub: true, uplinks: ['isp'], lans: { office: '10.0.0.0/24' } },
    ],
    allow: [
      { from: 'berlin/cameras,madrid/cameras,oslo/cameras', to: 'hub/office', ports: 'tcp/554', class: 'default' },
      { from: 'madrid/cameras', to: 'berlin/cameras', ports: 'tcp/554', class: 'default' },
    ],
    expect: [],
  })
  const told = (from: string, to: string): string =>
    renderTrace(trace(sketch, { from, to, port: ports('tcp/554'), trafficClass: null, without: [] }), new Map())
  test('says what a host is called at home and in the overlay', () => {
    expect(told('madrid/192.168.1.10', '10.0.0.7')).toBe(
      [
        'PASSES, 198.18.0.10 → 10.0.0.7 tcp/554, class default',
        '  allowed by berlin/cameras,madrid/cameras,oslo/cameras -> hub/office tcp/554',
        '  there  madrid ─fiber/isp→ hub',
        '  back   hub ─isp/fiber→ madrid',
        '  192.168.1.10 of madrid is 198.18.0.10 in the overlay',
        '',
      ].join('\n'),
    )
    expect(told('198.18.0.10', '10.0.0.7')).toBe(told('madrid/192.168.1.10', '10.0.0.7'))
  })
  test('takes an address as the overlay calls it; else as the one LAN does that has it, and asks where two do', () => {
    expect(told('192.168.1.10', '10.0.0.7')).toContain('there  berlin ─fiber/isp→ hub')
    expect(told('192.168.2.10', '10.0.0.7')).toContain('192.168.2.10 of oslo is 198.18.1.10 in the overlay')
    expect(told('192.168.9.9', '10.0.0.7')).toBe(
      '192.168.9.9 is a host of oslo, and of porto\n  say which: oslo/192.168.9.9, or as the overlay calls it\n',
    )
    expect(told('madrid/10.0.0.7', '10.0.0.7')).toContain('10.0.0.7 is in no LAN of "madrid"')
  })
  test('a neighbour where somebody else was meant', () => {
    expect(told('madrid/192.168.1.10', 'berlin/192.168.1.20')).toBe(
      [
        'BLOCKED at madrid',
        '  a LAN of madrid has hosts with the same address, which is not translated at the other end',
        '  198.18.0.10 → 192.168.1.20 tcp/554, class default',
        '  192.168.1.10 of madrid is 198.18.0.10 in the overlay',
        '',
      ].join('\n'),
    )
  })
})
