import { describe, expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import { costOf } from '#src/compile/costs.ts'
import type { Fabric, Uplink } from '#src/fabric/fabric.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { routesOf } from '#src/fabric/routes.ts'
import { verify } from '#src/verify/verify.ts'
import { allow, berlin, classId, dublin, edge, frankfurt, madrid, network, reach, site, siteId, fixed, trafficClass, uplink } from './networks.ts'

const compiled = (more: Parameters<typeof network>[0] = {}) => compile(network({ expect: [], ...more }), [])
const fabricOf = (more: Parameters<typeof network>[0] = {}): Fabric => compiled(more).fabric!
const routesAt = (fabric: Fabric, id: string) => routesOf(fabric, fabric.sites.find((one) => one.id === id)!)
/** `stage next tunnel's uplinks cost returnAfter`, one line a hop. */
const via = (fabric: Fabric, id: string, remote: string, of: string, arrived = 'anywhere') =>
  groupsOf(fabric.sites.find((one) => one.id === id)!)
    .find((group) => group.remote === remote && group.trafficClass === of && group.arrived === arrived)
    ?.via.map((hop) => `${hop.stage} ${hop.tunnel} cost ${hop.cost}${hop.returnAfter > 0 ? ` return after ${hop.returnAfter} s` : ''}`)

describe('an edge', () => {
  const fabric = fabricOf()
  test('reaches a hub directly, else by the other and its mesh; `avoid` comes last in each stage', () => {
    expect(via(fabric, 'berlin', 'frankfurt', 'business')).toEqual([
      '0 berlin.fiber--frankfurt.isp-a cost 10',
      '0 berlin.fiber--frankfurt.isp-b cost 10',
      '0 berlin.lte--frankfurt.isp-a cost 100070',
      '0 berlin.lte--frankfurt.isp-b cost 100070',
      '1 berlin.fiber--dublin.isp-a cost 10',
      '1 berlin.fiber--dublin.isp-b cost 10',
      '1 berlin.lte--dublin.isp-a cost 100070',
      '1 berlin.lte--dublin.isp-b cost 100070',
    ])
  })
  test('`never` leaves hops out', () => expect(via(fabric, 'berlin', 'frankfurt', 'bulk')!.filter((hop) => hop.includes('.lte'))).toEqual([]))
  test('reaches another edge by its home, and returns to it after five clean minutes', () => {
    const meshed = fabricOf({ allow: [allow('berlin/inference -> madrid/inference')] })
    expect(via(meshed, 'berlin', 'madrid', 'bulk')).toEqual([
      '0 berlin.fiber--frankfurt.isp-a cost 10',
      '0 berlin.fiber--frankfurt.isp-b cost 10',
      '1 berlin.fiber--dublin.isp-a cost 10 return after 300 s',
      '1 berlin.fiber--dublin.isp-b cost 10 return after 300 s',
    ])
  })
  test('has the routes of those whose rules name the same, and none to itself where it is named with them', () => {
    const meshed = fabricOf({ allow: [allow('edge/inference -> edge/inference'), allow('edge/inference -> frankfurt/inference')] })
    expect(routesAt(meshed, 'berlin').map((route) => route.remote)).toEqual(['madrid', 'oslo', 'frankfurt'])
    expect(routesAt(meshed, 'madrid').map((route) => route.remote)).toEqual(['berlin', 'oslo', 'frankfurt'])
    const calling = fabricOf({ allow: [allow('edge/inference -> frankfurt/inference')] })
    expect(routesAt(calling, 'berlin')).toBe(routesAt(calling, 'madrid'))
  })
  test('knows only whom a rule names', () => {
    expect(routesAt(fabric, 'berlin').map((route) => `${route.to} ${route.remote}`)).toEqual(['10.10.0.0/16 frankfurt', '10.11.0.0/16 dublin'])
    expect(via(fabric, 'berlin', 'madrid', 'bulk')).toBeUndefined()
  })
})

describe('a hub', () => {
  const fabric = fabricOf()
  test('knows every prefix of others', () => {
    expect(routesAt(fabric, 'dublin').map((route) => `${route.to} ${route.segment} ${route.remote}`)).toEqual([
      '10.1.10.0/24 inference berlin',
      '10.1.11.0/24 inference madrid',
      '10.1.12.0/24 inference oslo',
      '10.10.0.0/16 inference frankfurt',
      '10.20.0.0/16 training frankfurt',
      '192.168.1.0/24 cameras berlin',
    ])
  })
  test('reaches a spoke directly, else once over the mesh', () => {
    expect(via(fabric, 'dublin', 'berlin', 'bulk')).toEqual([
      '0 berlin.fiber--dublin.isp-a cost 10',
      '0 berlin.fiber--dublin.isp-b cost 10',
      '1 dublin.isp-a--frankfurt.isp-a cost 10',
      '1 dublin.isp-a--frankfurt.isp-b cost 10',
      '1 dublin.isp-b--frankfurt.isp-a cost 10',
      '1 dublin.isp-b--frankfurt.isp-b cost 10',
    ])
  })
  test('sends what came from the mesh only directly', () => {
    expect(via(fabric, 'dublin', 'berlin', 'bulk', 'mesh')).toEqual(['0 berlin.fiber--dublin.isp-a cost 10', '0 berlin.fiber--dublin.isp-b cost 10'])
    expect(via(fabric, 'dublin', 'frankfurt', 'bulk', 'mesh')).toBeUndefined()
  })
  test('that a spoke is not attached to has only the mesh to it', () => {
    const solo = edge('solo', { inference: ['10.1.20.0/24'] }, { hubs: [siteId('frankfurt')] })
    const other = fabricOf({ sites: [berlin, dublin, frankfurt, madrid, solo] })
    expect(via(other, 'dublin', 'solo', 'bulk')?.every((hop) => hop.startsWith('0 dublin.isp-'))).toBe(true)
    expect(via(other, 'dublin', 'solo', 'bulk', 'mesh')).toBeUndefined()
  })
})

describe('cost', () => {
  const line = (more: Partial<Uplink>): Uplink => ({
    id: 'x' as never,
    slot: 0,
    interface: 'eth0',
    transport: 'internet',
    medium: 'fiber',
    metered: false,
    tags: [],
    up: 0,
    down: 0,
    endpoint: { kind: 'dynamic' },
    ...more,
  })
  const plain = trafficClass('plain')
  test.each([
    ['fiber', 10],
    ['ethernet', 10],
    ['lte', 50],
    ['5g', 50],
    ['sat', 80],
    ['carrier-pigeon', 20],
  ])('of %s is %i, and 20 more when metered', (medium, cost) => {
    expect(costOf(line({ medium }), plain)).toBe(cost)
    expect(costOf(line({ medium, metered: true }), plain)).toBe(cost + 20)
  })
  test('prefer goes before medium, in its order; avoid after everything; never is out', () => {
    const picky = trafficClass('picky', {
      prefer: [
        { kind: 'tag', value: 'cheap' },
        { kind: 'transport', value: 'mpls-a' },
      ],
      avoid: [{ kind: 'medium', value: 'fiber' }],
      never: [{ kind: 'medium', value: 'sat' }],
    })
    const cheap = costOf(line({ medium: 'lte', metered: true, tags: ['cheap'] }), picky) as number
    const mpls = costOf(line({ medium: 'ethernet', transport: 'mpls-a' }), picky) as number
    const other = costOf(line({ medium: 'ethernet' }), picky) as number
    const avoided = costOf(line({ medium: 'fiber', tags: ['cheap'] }), picky) as number
    expect([cheap < mpls, mpls < other, other < avoided]).toEqual([true, true, true])
    expect(costOf(line({ medium: 'sat', tags: ['cheap'] }), picky)).toBe('never')
  })
  test('of a path is that of its worse end; equal ones go by slot', () => {
    const hub = site(
      'hub',
      'core',
      [fixed('sat', '192.0.2.10/28', '192.0.2.1', { medium: 'sat' }), fixed('fiber', '198.51.100.10/28', '198.51.100.1', { medium: 'fiber' })],
      { inference: ['10.10.0.0/16'] },
    )
    const branch = site(
      'branch',
      'edge',
      [uplink('b-fiber', { medium: 'fiber' }), uplink('a-fiber', { medium: 'fiber' })],
      { inference: ['10.1.0.0/24'] },
      { hubs: [siteId('hub')] },
    )
    const fabric = fabricOf({ hubs: [siteId('hub')], sites: [branch, hub], allow: [allow('branch/inference -> hub/inference')] })
    expect(via(fabric, 'branch', 'hub', 'default')).toEqual([
      '0 branch.a-fiber--hub.fiber cost 10',
      '0 branch.b-fiber--hub.fiber cost 10',
      '0 branch.a-fiber--hub.sat cost 80',
      '0 branch.b-fiber--hub.sat cost 80',
    ])
  })
})

test('I140: a class that may use no uplink of a site is a warning, and its group is empty', () => {
  const rural = site('rural', 'edge', [uplink('lte')], { inference: ['10.1.30.0/24'] }, { hubs: [siteId('frankfurt'), siteId('dublin')] })
  const { fabric, findings } = compiled({ sites: [berlin, dublin, frankfurt, rural] })
  expect(findings).toMatchObject([
    {
      code: 'I140',
      severity: 'warning',
      at: ['class/bulk/never', 'class/bulk'],
      says: 'class "bulk" may use no uplink of rural: its traffic is unreachable there',
    },
  ])
  expect(via(fabric!, 'rural', 'frankfurt', 'bulk')).toEqual([])
})

test('a site that prefers another line of its own is reached by it, and nobody else is moved', () => {
  const lte = [{ kind: 'medium', value: 'lte' }] as const
  const business = { id: classId('business'), prefer: lte, avoid: [], never: [] }
  const fabric = compile(network({ sites: [{ ...berlin, preferences: [business] }, dublin, frankfurt, madrid] }), []).fabric!
  /** The line of the edge, first choice first. */
  const order = (from: string, to: string, edge: string, of = 'business') => {
    const groups = groupsOf(fabric.sites.find((one) => one.id === from)!)
    const group = groups.find((one) => one.remote === to && one.trafficClass === of && one.arrived === 'anywhere')!
    return [...new Set(group.via.filter(({ stage }) => stage === 0).map(({ tunnel }) => tunnel.slice(edge.length + 1, tunnel.indexOf('--'))))]
  }
  expect(order('berlin', 'frankfurt', 'berlin')).toEqual(['lte', 'fiber'])
  expect(order('frankfurt', 'berlin', 'berlin')).toEqual(['lte', 'fiber'])
  expect(order('berlin', 'frankfurt', 'berlin', 'realtime')).toEqual(['fiber', 'lte'])
  expect(order('madrid', 'frankfurt', 'madrid')).toEqual(['fiber', 'lte'])
  expect(order('frankfurt', 'madrid', 'madrid')).toEqual(['fiber', 'lte'])
})

test('what one of many alike never uses is proven of that one', () => {
  const never = [{ kind: 'medium', value: 'fiber' } as const, { kind: 'medium', value: 'lte' } as const]
  const edges = Array.from({ length: 12 }, (_, n) => edge(`e${n}`, { inference: [`10.1.${n}.0/24`] }))
  const strict = { id: classId('business'), prefer: [], avoid: [], never }
  const sites = [dublin, frankfurt, ...edges.map((one, n) => (n === 7 ? { ...one, preferences: [strict] } : one))]
  const { findings } = verify(fabricOf({ sites, expect: [reach('edge/inference -> model-api')] }))
  expect(findings.filter(({ code }) => code === 'V002').map(({ says }) => says)).toEqual([expect.stringMatching(/^e7 can't reach /)])
})
