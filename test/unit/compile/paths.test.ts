import { describe, expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import { paths } from '#src/compile/paths.ts'
import type { Intent } from '#src/intent/intent.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { address, type Family } from '#src/net/address.ts'
import { allow, berlin, cloud, dublin, edge, fixed, frankfurt, network, partner, site, siteId, uplink } from './networks.ts'

const ids = (intent: Intent) =>
  paths(intent, [])
    .of.all.flat()
    .map((path) => path.id)
const findings = (intent: Intent) => compile(intent, []).findings.map(({ code, severity, at, says }) => [code, severity, at[0], says])

describe('a path for every pair of uplinks that can reach each other', () => {
  test('edge to each hub, hubs among themselves, ends by name', () => {
    expect(ids(network({ sites: [berlin, dublin, frankfurt] }))).toEqual([
      'berlin.fiber--dublin.isp-a',
      'berlin.fiber--dublin.isp-b',
      'berlin.fiber--frankfurt.isp-a',
      'berlin.fiber--frankfurt.isp-b',
      'berlin.lte--dublin.isp-a',
      'berlin.lte--dublin.isp-b',
      'berlin.lte--frankfurt.isp-a',
      'berlin.lte--frankfurt.isp-b',
      'dublin.isp-a--frankfurt.isp-a',
      'dublin.isp-a--frankfurt.isp-b',
      'dublin.isp-b--frankfurt.isp-a',
      'dublin.isp-b--frankfurt.isp-b',
    ])
  })
  test('a site of its own hub list has tunnels to those only; edges never to one another', () => {
    const solo = edge('solo', { inference: ['10.1.20.0/24'] }, { hubs: [siteId('dublin')] })
    expect(ids(network({ sites: [berlin, dublin, frankfurt, solo] })).filter((id) => id.startsWith('solo.'))).toEqual([
      'solo.fiber--dublin.isp-a',
      'solo.fiber--dublin.isp-b',
      'solo.lte--dublin.isp-a',
      'solo.lte--dublin.isp-b',
    ])
  })
  test('transports keep apart, `reaches` joins in both directions', () => {
    const hub = site(
      'hub',
      'core',
      [fixed('isp', '192.0.2.10/28', '192.0.2.1'), fixed('mpls', '172.31.0.2/24', '172.31.0.1', { transport: 'mpls-a' })],
      { inference: ['10.10.0.0/16'] },
    )
    const branch = site(
      'branch',
      'edge',
      [uplink('fiber'), uplink('mpls', { transport: 'mpls-a' }), uplink('partner', { transport: 'mpls-b' })],
      { inference: ['10.1.0.0/24'] },
      { hubs: [siteId('hub')] },
    )
    const transports = (reaches: readonly string[]) => [
      { id: 'internet', reaches: [] },
      { id: 'mpls-a', reaches: [] },
      { id: 'mpls-b', reaches },
    ]
    const base = network({ hubs: [siteId('hub')], sites: [branch, hub], expect: [] })
    expect(ids({ ...base, transports: transports(['internet']) })).toEqual([
      'branch.fiber--hub.isp',
      'branch.mpls--hub.mpls',
      'branch.partner--hub.isp',
    ])
    expect(findings({ ...base, transports: transports([]) })).toEqual([
      [
        'I114',
        'warning',
        'site/branch/uplink/partner/transport',
        'uplink branch.partner carries no tunnel: nothing it could reach is on transport "mpls-b"',
      ],
    ])
  })
})

describe('refused', () => {
  const onMpls = site('dublin', 'core', [fixed('mpls', '172.31.0.2/24', '172.31.0.1', { transport: 'mpls-a' })], { inference: ['10.11.0.0/16'] })
  test('I110: hubs, or an edge and its hub, without a transport in common', () => {
    expect(findings(network({ sites: [berlin, frankfurt, onMpls] }))).toEqual([
      [
        'I110',
        'error',
        'site/frankfurt',
        'no uplink of dublin can reach one of frankfurt: they have no transport in common, or on it no address family',
      ],
      ['I110', 'error', 'site/berlin', 'no uplink of berlin can reach one of dublin: they have no transport in common, or on it no address family'],
    ])
  })
  test('I111: a spoke without hubs', () => {
    expect(findings(network({ sites: [edge('berlin', {}, { hubs: [] }), dublin, frankfurt], expect: [] }))).toEqual([
      ['I111', 'error', 'site/berlin/hubs', 'berlin has no hub, so no tunnel'],
    ])
  })
  test('a network of one site needs no hub', () => {
    const alone = compile(network({ hubs: [], sites: [edge('berlin', { inference: ['10.1.10.0/24'] }, { hubs: [] })], expect: [], allow: [] }), [])
    expect(alone.findings).toEqual([])
    expect(alone.fabric?.tunnels).toEqual([])
  })
  test('I112, I113: forwarded port ranges that overlap or end too high', () => {
    const forwarded = (id: string, at: string, base: number) =>
      fixed(id, `${at}/24`, '10.0.0.1', { public: { address: '203.0.113.7' as never, base } })
    const hub = (...bases: [number, number]) =>
      site('dublin', 'core', [forwarded('isp-a', '10.0.0.2', bases[0]), forwarded('isp-b', '10.0.0.3', bases[1])], { inference: ['10.11.0.0/16'] })
    const base = (dublinHub: typeof dublin) => network({ sites: [berlin, dublinHub, frankfurt] })
    expect(findings(base(hub(40000, 41180)))).toEqual([])
    expect(findings(base(hub(40000, 41179)))).toEqual([
      ['I112', 'error', 'site/dublin/uplink/isp-b/public', 'dublin.isp-a and dublin.isp-b are both dialled at 203.0.113.7 on the same ports'],
    ])
    expect(findings(base(hub(40000, 64356)))).toEqual([])
    expect(findings(base(hub(40000, 64357)))).toEqual([
      ['I113', 'error', 'site/dublin/uplink/isp-b/public', 'hub uplink dublin.isp-b forwards from port 64357, which leaves too few ports above it'],
    ])
  })
})

describe('the family of a line', () => {
  const lans = (n: number) => ({ inference: [`10.${n}.0.0/16`] })
  const hub = site('hub', 'core', [fixed('isp-4', '192.0.2.2/28', '192.0.2.1'), fixed('isp-6', '2001:db8:7::2/64', 'fe80::1')], lans(40))
  const at = (id: string, ...uplinks: readonly (readonly Family[])[]) =>
    edge(
      id,
      { inference: [`10.1.${id.length}.0/24`] },
      { hubs: [siteId('hub')], uplinks: uplinks.map((families, n) => uplink(`up-${n}`, { families })) },
    )
  test('is that of both ends of a path', () => {
    const sites = [hub, at('a', [4], [6]), at('bb', [4, 6])]
    expect(ids(network({ hubs: [siteId('hub')], sites }))).toEqual([
      'a.up-0--hub.isp-4',
      'a.up-1--hub.isp-6',
      'bb.up-0--hub.isp-4',
      'bb.up-0--hub.isp-6',
    ])
  })
  test('tells sites apart whose lines are alike otherwise', () => {
    const { fabric } = compile(
      network({ hubs: [siteId('hub')], sites: [hub, at('a', [4]), at('bb', [6])], allow: [allow('edge/inference -> inference')] }),
      [],
    )
    const groups = groupsOf(fabric!.sites.find(({ id }) => id === 'hub')!).filter(
      ({ trafficClass, arrived }) => trafficClass === 'default' && arrived === 'anywhere',
    )
    expect(groups.map(({ remote, via }) => `${remote} ${via.map(({ tunnel }) => tunnel).join()}`)).toEqual([
      'a a.up-0--hub.isp-4',
      'bb bb.up-0--hub.isp-6',
    ])
    expect(fabric!.sites.map(({ uplinks }) => uplinks.map(({ endpoint }) => ('families' in endpoint ? endpoint.families : endpoint.kind)))).toEqual([
      ['dynamic'],
      [[6]],
      ['fixed', 'fixed'],
    ])
  })
  test('without one in common there is no path: I110', () => {
    const only = site('hub', 'core', [fixed('isp-6', '2001:db8:7::2/64', 'fe80::1')], lans(40))
    expect(findings(network({ hubs: [siteId('hub')], sites: [only, at('a', [4])] }))[0]).toEqual([
      'I110',
      'error',
      'site/a',
      'no uplink of a can reach one of hub: they have no transport in common, or on it no address family',
    ])
  })
  test('carries no tunnel where nothing else has it: I114', () => {
    const old = site('hub', 'core', [fixed('isp-4', '192.0.2.2/28', '192.0.2.1')], lans(40))
    expect(findings(network({ hubs: [siteId('hub')], sites: [old, at('a', [4], [6])] }))[0]).toEqual([
      'I114',
      'warning',
      'site/a/uplink/up-1/transport',
      'uplink a.up-1 carries no tunnel: nothing it could reach is on transport "internet" over IPv6',
    ])
  })
  test('that only a peer has is carried by a tunnel all the same', () => {
    const six = fixed('isp-6', '2001:db8:2::10/64', 'fe80::1')
    const joint = site('hub', 'core', [fixed('isp-4', '192.0.2.2/28', '192.0.2.1'), six], lans(40))
    const alone = network({ hubs: [siteId('hub')], sites: [joint, at('a', [4])], expect: [] })
    const idle = (of: Intent) => compile(of, []).findings.flatMap(({ code, at: [where] }) => (code === 'I114' ? [where] : []))
    expect(idle(alone)).toEqual(['site/hub/uplink/isp-6/transport'])
    const gateways = [{ address: address('2001:db8:200::200'), id: 'gw.partner.example' }]
    expect(idle({ ...alone, peers: [{ ...partner, gateways, hubs: [siteId('hub')] }] })).toEqual([])
  })
  test('of clouds is IPv4: hubs join them from such a line', () => {
    const { fabric } = compile(network({ hubs: [siteId('hub')], sites: [hub, at('a', [4])], regions: [{ ...cloud, hubs: [siteId('hub')] }] }), [])
    expect(fabric!.regions[0]!.connections.map(({ id }) => id)).toEqual(['hub.isp-4'])
  })
})
