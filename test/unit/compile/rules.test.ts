import { describe, expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import type { Fabric } from '#src/fabric/fabric.ts'
import { routesOf } from '#src/fabric/routes.ts'
import { prefix } from '#src/net/address.ts'
import { formatPortRange } from '#src/net/ports.ts'
import { allow, berlin, cloud, dublin, edge, frankfurt, group, madrid, network, partner, reach, site, siteId, fixed } from './networks.ts'

const fabricOf = (more: Parameters<typeof network>[0]): Fabric => {
  const { fabric, findings } = compile(network({ expect: [], ...more }), [])
  expect(findings).toEqual([])
  return fabric!
}
const findings = (more: Parameters<typeof network>[0]) =>
  compile(network({ expect: [], sites: [berlin, dublin, frankfurt, madrid], ...more }), []).findings.map(
    ({ code, severity, says }) => `${severity} ${code} ${says}`,
  )
const at = (fabric: Fabric, id: string) => fabric.sites.find((one) => one.id === id)!
/** `from -> to ports class`, one line a rule. */
const rules = (fabric: Fabric, id: string) =>
  at(fabric, id).rules.map(
    (rule) => `${rule.from.prefixes.join(' ')} -> ${rule.to.prefixes.join(' ')} ${rule.ports.map(formatPortRange).join(',')} ${rule.trafficClass}`,
  )
const transits = (fabric: Fabric, id: string) => at(fabric, id).transits.flatMap(({ a, b }) => a.flatMap((x) => b.map((y) => `${x} ${y}`)))

describe('an allow becomes a rule at both owners, limited to what each owns', () => {
  const fabric = fabricOf({ sites: [berlin, dublin, frankfurt, madrid], allow: [allow('edge/inference -> model-api')] })
  test('at the caller', () => expect(rules(fabric, 'berlin')).toEqual(['10.1.10.0/24 -> 10.10.0.0/16 10.11.0.0/16 tcp/8443 business']))
  test('at the service', () => expect(rules(fabric, 'dublin')).toEqual(['10.1.10.0/24 10.1.11.0/24 -> 10.11.0.0/16 tcp/8443 business']))
  test('the id says which line it came from', () =>
    expect(at(fabric, 'dublin').rules[0]!.id).toBe('edge/inference -> model-api tcp/8443#in inference>inference'))
  test('hubs carry it for others, statelessly, but nothing that they own an end of', () => {
    expect(transits(fabric, 'dublin')).toEqual(['10.1.10.0/24 10.10.0.0/16', '10.1.11.0/24 10.10.0.0/16'])
    expect(transits(fabric, 'frankfurt')).toEqual(['10.1.10.0/24 10.11.0.0/16', '10.1.11.0/24 10.11.0.0/16'])
    expect(transits(fabric, 'berlin')).toEqual([])
  })
})

test('a name that begins with another one, and a dash, hides nobody', () => {
  const sites = [edge('a', { inference: ['10.1.20.0/24'] }), edge('a-b', { inference: ['10.1.21.0/24'] }), dublin, frankfurt]
  const fabric = fabricOf({ sites, allow: [allow('frankfurt/inference -> camera-rtp')] })
  for (const [id, own] of [
    ['a', '10.1.20.0/24'],
    ['a-b', '10.1.21.0/24'],
  ] as const)
    expect(rules(fabric, id), id).toEqual([`10.10.0.0/16 -> ${own} udp/5004-5010 realtime`])
})

test('ports of an allow to a segment are its own, the class is default; several ports stay one rule', () => {
  const fabric = fabricOf({ sites: [berlin, dublin, frankfurt], allow: [allow('berlin/cameras -> frankfurt/training', 'udp/5004-5010', 'tcp/443')] })
  expect(rules(fabric, 'frankfurt')).toEqual(['192.168.1.0/24 -> 10.20.0.0/16 udp/5004-5010,tcp/443 default'])
  expect(rules(fabric, 'dublin')).toEqual([])
})

test('`same` stays within each site: local rules, no route, no transit', () => {
  const oslo = edge('oslo', { inference: ['10.1.12.0/24'], cameras: ['192.168.2.0/24'] })
  const fabric = fabricOf({ sites: [berlin, dublin, frankfurt, madrid, oslo], allow: [allow('cameras -> same/camera-rtp')] })
  expect(rules(fabric, 'berlin')).toEqual(['192.168.1.0/24 -> 10.1.10.0/24 udp/5004-5010 realtime'])
  expect(rules(fabric, 'oslo')).toEqual(['192.168.2.0/24 -> 10.1.12.0/24 udp/5004-5010 realtime'])
  expect(rules(fabric, 'madrid')).toEqual([])
  expect(routesOf(fabric, at(fabric, 'berlin'))).toEqual([])
  expect(transits(fabric, 'frankfurt')).toEqual([])
})

test('a group is its hosts: rules name them, routes lead to the LANs around them', () => {
  const fabric = fabricOf({
    sites: [berlin, dublin, frankfurt, madrid],
    groups: [group('printers', '10.1.10.20/32', '10.1.11.32/28', '192.168.1.9/32')],
    allow: [allow('core/inference -> edge/printers', 'tcp/631'), allow('madrid/printers -> model-api')],
  })
  expect(rules(fabric, 'berlin')).toEqual([
    '10.10.0.0/16 10.11.0.0/16 -> 192.168.1.9/32 tcp/631 default',
    '10.10.0.0/16 10.11.0.0/16 -> 10.1.10.20/32 tcp/631 default',
  ])
  expect(rules(fabric, 'madrid')).toEqual([
    '10.10.0.0/16 10.11.0.0/16 -> 10.1.11.32/28 tcp/631 default',
    '10.1.11.32/28 -> 10.10.0.0/16 10.11.0.0/16 tcp/8443 business',
  ])
  expect(transits(fabric, 'dublin')).toContain('10.10.0.0/16 10.1.10.20/32')
  expect(routesOf(fabric, at(fabric, 'frankfurt')).map(({ to }) => to)).toContain('10.1.11.0/24')
  const [first] = fabric.hostGroups!
  expect(first!.places.map(({ node, segment, prefixes }) => `${node}/${segment} ${prefixes.join(' ')}`)).toEqual([
    'berlin/cameras 192.168.1.9/32',
    'berlin/inference 10.1.10.20/32',
    'madrid/inference 10.1.11.32/28',
  ])
})

describe('a service with endpoints', () => {
  const services = network().services.map((one) =>
    one.id === 'model-api' ? { ...one, endpoints: ['10.10.0.10/32', '10.10.0.11/32', '10.11.0.10/32'].map(prefix) } : one,
  )
  const fabric = fabricOf({
    sites: [berlin, dublin, frankfurt],
    services,
    allow: [allow('edge/inference -> model-api')],
    expect: [reach('edge/inference -> model-api')],
  })
  test('is called there only', () => {
    expect(rules(fabric, 'berlin')).toEqual(['10.1.10.0/24 -> 10.10.0.10/32 10.10.0.11/32 10.11.0.10/32 tcp/8443 business'])
    expect(rules(fabric, 'dublin')).toEqual(['10.1.10.0/24 -> 10.11.0.10/32 tcp/8443 business'])
    expect(transits(fabric, 'dublin')).toEqual(['10.1.10.0/24 10.10.0.10/32', '10.1.10.0/24 10.10.0.11/32'])
    expect(routesOf(fabric, at(fabric, 'berlin')).map(({ to }) => to)).toEqual(['10.10.0.0/16', '10.11.0.0/16'])
  })
  test('is a place each for who expects an answer', () => {
    expect(fabric.services.find(({ id }) => id === 'model-api')!.places).toHaveLength(2)
    expect(fabric.expects[0]!.to.map(({ node, prefixes }) => `${node} ${prefixes.join()}`)).toEqual([
      'dublin 10.11.0.10/32',
      'frankfurt 10.10.0.10/32',
      'frankfurt 10.10.0.11/32',
    ])
  })
})

describe('a deny', () => {
  /** `from -> to ports`, one line a deny. */
  const denies = (fabric: Fabric, id: string) =>
    at(fabric, id).denies?.map(
      (deny) => `${deny.from.prefixes.join(' ')} -> ${deny.to.prefixes.join(' ')} ${deny.ports.map(formatPortRange).join(',')}`,
    )
  const open = { sites: [berlin, dublin, frankfurt, madrid], allow: [allow('inference -> inference')] }
  const shut = fabricOf({ ...open, deny: [allow('edge/inference -> dublin/inference'), allow('madrid/inference -> model-api')] })
  test('stands at both owners, wherever the allow stands', () => {
    expect(denies(shut, 'berlin')).toEqual(['10.1.10.0/24 -> 10.11.0.0/16 any'])
    expect(denies(shut, 'madrid')).toEqual(['10.1.11.0/24 -> 10.11.0.0/16 any', '10.1.11.0/24 -> 10.10.0.0/16 10.11.0.0/16 tcp/8443'])
    expect(denies(shut, 'frankfurt')).toEqual(['10.1.11.0/24 -> 10.10.0.0/16 tcp/8443'])
    expect(at(shut, 'dublin').denies!.map(({ id }) => id)).toEqual([
      'deny edge/inference -> dublin/inference#in inference>inference',
      'deny madrid/inference -> model-api tcp/8443#in inference>inference',
    ])
    expect(rules(shut, 'berlin')).toEqual(rules(fabricOf(open), 'berlin'))
  })
  test('whatever the port is not carried by a hub in between, but answers to the other side are', () => {
    const pairs = transits(shut, 'frankfurt')
    // The request of an edge to dublin is denied; what dublin opens to an edge goes on, and its answers.
    expect(pairs).not.toContain('10.1.10.0/24 10.11.0.0/16')
    expect(pairs).toContain('10.11.0.0/16 10.1.10.0/24')
    expect(pairs).toContain('10.1.10.0/24 10.1.11.0/24')
    expect(new Set(at(shut, 'frankfurt').transits.map(({ id }) => id)).size).toBe(at(shut, 'frankfurt').transits.length)
  })
  test('of hosts leaves the others of their LAN', () => {
    const fabric = fabricOf({ ...open, groups: [group('printers', '10.1.10.128/25')], deny: [allow('printers -> madrid/inference')] })
    expect(transits(fabric, 'dublin')).toContain('10.1.10.0/25 10.1.11.0/24')
    expect(transits(fabric, 'dublin')).not.toContain('10.1.10.128/25 10.1.11.0/24')
    expect(transits(fabric, 'frankfurt')).toContain('10.1.10.128/25 10.11.0.0/16')
  })
  test('of `same` stays within each site', () => {
    const fabric = fabricOf({ ...open, allow: [...open.allow, allow('cameras -> inference')], deny: [allow('cameras -> same/camera-rtp')] })
    expect(denies(fabric, 'berlin')).toEqual(['192.168.1.0/24 -> 10.1.10.0/24 udp/5004-5010'])
    expect(denies(fabric, 'madrid')).toBeUndefined()
    expect(transits(fabric, 'frankfurt')).toEqual(transits(fabricOf({ ...open, allow: [...open.allow, allow('cameras -> inference')] }), 'frankfurt'))
  })
  test('is logged at both owners when it says so, and so is an allow', () => {
    const log = { log: true }
    const fabric = fabricOf({
      ...open,
      allow: [{ ...open.allow[0]!, ...log }],
      deny: [{ ...allow('edge/inference -> dublin/inference', 'tcp/22'), ...log }],
    })
    for (const id of ['berlin', 'dublin'])
      expect([...at(fabric, id).rules, ...at(fabric, id).denies!].map((one) => one.log)).toEqual([...at(fabric, id).rules, 1].map(() => true))
    expect(at(shut, 'berlin').rules.every((rule) => !('log' in rule))).toBe(true)
  })
  test('that nothing allows is warned about: I102', () => {
    const idle = 'warning I102 nothing allows what "cameras -> training" denies'
    expect(findings({ allow: [allow('edge/inference -> model-api')], deny: [allow('cameras -> training')] })).toEqual([idle])
    // Other ports, and the other direction.
    expect(findings({ allow: [allow('cameras -> training', 'tcp/1')], deny: [allow('cameras -> training', 'tcp/2')] })).toHaveLength(1)
    expect(findings({ allow: [allow('training -> cameras')], deny: [allow('cameras -> training')] })).toEqual([idle])
    expect(findings({ allow: [allow('berlin/cameras -> inference')], deny: [allow('cameras -> same/camera-rtp')] })).toEqual([])
    expect(findings({ allow: [allow('cameras -> same/camera-rtp')], deny: [allow('edge/cameras -> madrid/inference')] })).toHaveLength(1)
    expect(findings({ allow: [allow('cameras -> same/camera-rtp')], deny: [allow('edge/cameras -> berlin/inference')] })).toEqual([])
  })
  test('that nobody can log is warned about, and so is an allow: I104', () => {
    const between = { ...allow('inference -> peer/inference'), log: true }
    const strangers = { regions: [cloud], peers: [partner] }
    const says = 'warning I104 nobody can log "inference -> peer/inference" between aws-eu-west-1 and partner, where no gateway of ours is'
    expect(findings({ ...strangers, allow: [between] })).toEqual([says])
    expect(findings({ ...strangers, allow: [allow('inference -> inference')], deny: [between] })).toContain(says)
    expect(findings({ ...strangers, allow: [{ ...allow('edge/inference -> peer/inference'), log: true }] })).toEqual([])
  })
  test('that no gateway can keep is warned about: I103', () => {
    const inside = { groups: [group('printers', '10.1.10.20/32')], allow: [allow('inference -> inference')], deny: [allow('printers -> inference')] }
    expect(findings(inside)).toEqual(['warning I103 "printers -> inference" keeps nobody apart within 10.1.10.0/24 of berlin'])
    expect(findings({ ...inside, deny: [allow('printers -> madrid/inference')] })).toEqual([])
    expect(findings({ ...inside, deny: [allow('inference -> inference')] })).toEqual([])
    const strangers = { regions: [cloud], peers: [partner], allow: [allow('region/inference -> peer/inference')] }
    const kept = 'between aws-eu-west-1 and partner, where no gateway of ours is'
    expect(findings({ ...strangers, deny: [allow('region/inference -> partner/inference', 'tcp/22')] })).toEqual([
      `warning I103 "region/inference -> partner/inference" can't be kept ${kept}`,
    ])
    expect(findings({ ...strangers, deny: [allow('region/inference -> partner/inference')] })).toEqual([])
    expect(
      findings({
        ...strangers,
        allow: [...strangers.allow, allow('peer/inference -> region/inference', 'tcp/1')],
        deny: [allow('region/inference -> partner/inference')],
      }),
    ).toHaveLength(1)
  })
})

test('edge to edge crosses the hubs of both', () => {
  const south = edge('south', { inference: ['10.1.20.0/24'] }, { hubs: [siteId('dublin')] })
  const fabric = fabricOf({ sites: [berlin, dublin, frankfurt, south], allow: [allow('berlin/inference -> south/inference')] })
  expect([transits(fabric, 'frankfurt'), transits(fabric, 'dublin')]).toEqual([['10.1.10.0/24 10.1.20.0/24'], ['10.1.10.0/24 10.1.20.0/24']])
})

test('several LANs of one segment at a site may talk through the gateway, a LAN alone needs no rule', () => {
  const two = site('dublin', 'core', [fixed('isp-a', '192.0.2.26/28', '192.0.2.17')], { inference: ['10.11.0.0/24', '10.11.1.0/24'] })
  const fabric = fabricOf({ sites: [two, frankfurt], allow: [allow('inference -> inference')] })
  expect(rules(fabric, 'dublin')).toEqual([
    '10.10.0.0/16 -> 10.11.0.0/24 10.11.1.0/24 any default',
    '10.11.0.0/24 10.11.1.0/24 -> 10.11.0.0/24 10.11.1.0/24 any default',
    '10.11.0.0/24 10.11.1.0/24 -> 10.10.0.0/16 any default',
  ])
  expect(rules(fabric, 'frankfurt')).toEqual([
    '10.11.0.0/24 10.11.1.0/24 -> 10.10.0.0/16 any default',
    '10.10.0.0/16 -> 10.11.0.0/24 10.11.1.0/24 any default',
  ])
})

test('an allow that selects nobody allows nothing', () => {
  expect(fabricOf({ sites: [dublin, frankfurt], allow: [allow('edge/inference -> model-api')] }).sites.flatMap((one) => one.rules)).toEqual([])
})

test('labels select', () => {
  const north = edge('oslo', { inference: ['10.1.12.0/24'] }, { labels: ['north'] })
  expect(
    rules(fabricOf({ sites: [berlin, dublin, frankfurt, north], allow: [allow('label:north/inference -> frankfurt/model-api')] }), 'frankfurt'),
  ).toEqual(['10.1.12.0/24 -> 10.10.0.0/16 tcp/8443 business'])
})

describe('expectations', () => {
  test('have places and the ports of the service', () => {
    const [first] = compile(network({ expect: [reach('edge/inference -> model-api', 'all')] }), []).fabric!.expects
    expect(first).toMatchObject({
      id: 'reach-all edge/inference -> model-api',
      text: 'edge/inference -> model-api',
      mode: 'all',
      survives: ['hub', 'tunnel', 'uplink'],
    })
    expect(first!.from.map((place) => place.node)).toEqual(['berlin', 'madrid', 'oslo'])
    expect(first!.to).toEqual([
      { node: 'dublin', segment: 'inference', prefixes: ['10.11.0.0/16'] },
      { node: 'frankfurt', segment: 'inference', prefixes: ['10.10.0.0/16'] },
    ])
  })
  test('`same` is one for each caller', () => {
    expect(
      compile(network({ expect: [reach('cameras -> same/camera-rtp')] }), []).fabric!.expects.map(({ id, from, to }) => [
        id,
        from[0]!.node,
        to[0]!.node,
      ]),
    ).toEqual([['reach cameras -> same/camera-rtp @berlin', 'berlin', 'berlin']])
  })
  test('the same line twice is one, with other failures another', () => {
    const line = reach('edge/inference -> model-api')
    const weaker = { ...line, survives: ['tunnel'] } as typeof line
    const ids = (...all: (typeof line)[]) =>
      compile(network({ expect: all }), []).fabric!.expects.map((one) => `${one.id} ${one.kind === 'reach' ? one.survives.join() : ''}`)
    expect(ids(line, line)).toEqual(['reach edge/inference -> model-api hub,tunnel,uplink'])
    expect(ids(line, weaker, line)).toEqual([
      'reach edge/inference -> model-api, survives [uplink, tunnel, hub] hub,tunnel,uplink',
      'reach edge/inference -> model-api, survives tunnel tunnel',
    ])
    expect(ids(weaker, line)).toEqual(ids(line, weaker))
  })
  test('I101: `same` at a site that has none', () => {
    const oslo = edge('oslo', { cameras: ['192.168.2.0/24'] })
    const { fabric, findings } = compile(network({ sites: [berlin, dublin, frankfurt, oslo], expect: [reach('cameras -> same/camera-rtp')] }), [])
    expect(fabric).toBeNull()
    expect(findings).toMatchObject([
      {
        code: 'I101',
        at: ['expect/0/to', 'expect/0'],
        says: '"same/camera-rtp" is expected at oslo, which has none',
        instead: 'add it there, or name the callers more closely than "cameras"',
      },
    ])
  })
})

describe('two families', () => {
  const dual = edge('dual', { inference: ['10.1.20.0/24', '2001:db8:20::/64'] })
  const six = edge('six', { inference: ['2001:db8:21::/64'] })
  const core = site('north', 'core', [fixed('isp-a', '198.51.100.2/28', '198.51.100.1')], { inference: ['10.40.0.0/16', '2001:db8:40::/48'] })
  const sites = [dual, six, berlin, core]
  const of = (...lines: Parameters<typeof allow>[0][]) =>
    fabricOf({ hubs: [siteId('north')], sites: sites.map(atNorth), allow: lines.map((line) => allow(line)) })
  const atNorth = (one: typeof berlin) => (one === core ? one : { ...one, hubs: [siteId('north')] })

  test('an owner lets out what the other end can answer', () => {
    const fabric = of('edge/inference -> north/inference')
    const target = '10.40.0.0/16 2001:db8:40::/48'
    expect(rules(fabric, 'dual')).toEqual([`10.1.20.0/24 2001:db8:20::/64 -> ${target} any default`])
    expect(rules(fabric, 'six')).toEqual(['2001:db8:21::/64 -> 2001:db8:40::/48 any default'])
    expect(rules(fabric, 'berlin')).toEqual(['10.1.10.0/24 -> 10.40.0.0/16 any default'])
    expect(rules(fabric, 'north')).toEqual([`10.1.10.0/24 10.1.20.0/24 2001:db8:20::/64 2001:db8:21::/64 -> ${target} any default`])
    // A site that speaks one of them needs no way to the other.
    expect(routesOf(fabric, at(fabric, 'berlin')).map(({ to }) => to)).toEqual(['10.40.0.0/16'])
    expect(routesOf(fabric, at(fabric, 'six')).map(({ to }) => to)).toEqual(['2001:db8:40::/48'])
  })
  test('one LAN of both is one LAN: its hosts need no rule to meet', () => {
    expect(rules(of('dual/inference -> inference'), 'dual')).toHaveLength(1)
    const two = { ...dual, lans: edge('x', { inference: ['10.1.20.0/24', '2001:db8:20::/64', '2001:db8:22::/64'] }).lans }
    const fabric = fabricOf({ hubs: [siteId('north')], sites: [atNorth(two), core], allow: [allow('dual/inference -> dual/inference')] })
    expect(rules(fabric, 'dual')).toHaveLength(1)
  })
  test('a line whose two ends have none in common is warned about: I105', () => {
    const said = (line: string, more: Parameters<typeof network>[0] = {}) =>
      findings({ hubs: [siteId('north')], sites: sites.map(atNorth), allow: [allow(line)], expect: [], ...more })
    expect(said('berlin/inference -> six/inference')).toEqual([
      'warning I105 "berlin/inference -> six/inference" meets nothing: IPv4 only on one side, IPv6 on the other',
    ])
    expect(said('edge/inference -> six/inference')).toEqual([])
    expect(said('edge/inference -> north/inference', { deny: [allow('six/inference -> berlin/inference')] })).toEqual([
      'warning I105 "six/inference -> berlin/inference" meets nothing: IPv6 only on one side, IPv4 on the other',
    ])
  })
  test('what calls a cloud that has IPv4 only calls it so', () => {
    const fabric = fabricOf({
      regions: [cloud],
      sites: [dublin, frankfurt, { ...dual, hubs: berlin.hubs }],
      allow: [allow('edge/inference -> region/inference')],
    })
    expect(fabric.regions[0]!.rules.map(({ from }) => from.prefixes)).toEqual([['10.1.20.0/24']])
    expect(fabric.regions[0]!.routes.map(({ to }) => to)).toEqual(['10.1.20.0/24'])
  })
})
