import { describe, expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import type { Breakout } from '#src/intent/intent.ts'
import { type RouteVector, routeVectors } from '#providers/linux/vectors.ts'
import { allow, berlin, dublin, edge, factsOf, frankfurt, madrid, network, site, siteId, uplink } from '#test/unit/compile/networks.ts'

const fabric = compile(network({ sites: [berlin, dublin, frankfurt, madrid] }), []).fabric!
const config = (at: string, of = fabric, facts = factsOf(of)): SiteConfig => configure(of, facts, siteId(at))

describe('route vectors', () => {
  const line = ({ from, source, to, trafficClass, expect: answer }: RouteVector) =>
    `${from.kind === 'lan' ? from.segment : from.tunnel} ${source} > ${to} ${trafficClass}: ${answer.kind === 'remote' ? answer.remote : answer.kind === 'lan' ? `lan ${answer.segment}` : answer.kind}`
  const vectors = (at: string, of = fabric) => routeVectors(config(at, of)).map(line)

  test('every LAN to every remote in every class, and a private address that nobody declared', () => {
    const all = vectors('berlin')
    expect(all).toHaveLength(2 * 2 * 4 + 1)
    expect(all).toContain('inference 10.1.10.2 > 10.10.0.1 bulk: frankfurt')
    expect(all).toContain('cameras 192.168.1.2 > 10.11.0.1 realtime: dublin')
    expect(all.at(-1)).toBe('inference 10.1.10.2 > 10.255.255.254 bulk: unreachable')
  })
  test('from the mesh: own LANs and spokes, never back into the mesh', () => {
    expect(vectors('dublin').filter((one) => one.startsWith('dublin.isp-a--'))).toEqual([
      'dublin.isp-a--frankfurt.isp-a 10.10.0.1 > 10.11.0.2 bulk: lan inference',
      'dublin.isp-a--frankfurt.isp-a 10.10.0.1 > 10.1.10.1 bulk: berlin',
      'dublin.isp-a--frankfurt.isp-a 10.10.0.1 > 10.10.0.1 bulk: unreachable',
    ])
  })
  test('nothing from a mesh that waits for its keys, and nothing at all before there are LANs and tunnels', () => {
    expect(routeVectors(config('dublin', fabric, [])).filter(({ from }) => from.kind === 'mesh')).toEqual([])
    expect(routeVectors({ ...config('dublin'), lans: [], tunnels: [] })).toEqual([])
  })
  test('who may leave to the internet does so by an exit or by way of the hub, and nobody else does', () => {
    const asked = (cameras: Breakout, inference: Breakout = 'none') => {
      const leaving = { ...berlin, lans: berlin.lans.map((lan) => ({ ...lan, internet: lan.segment === 'cameras' ? cameras : inference })) }
      const of = compile(network({ sites: [leaving, dublin, frankfurt, madrid] }), []).fabric!
      return vectors('berlin', of).filter((one) => one.includes(' > 192.0.2.1 '))
    }
    expect(asked('none')).toEqual([])
    expect(asked('local')).toEqual(['inference 10.1.10.2 > 192.0.2.1 default: unreachable', 'cameras 192.168.1.2 > 192.0.2.1 default: exit'])
    expect(asked('local', 'hub')).toEqual(['inference 10.1.10.2 > 192.0.2.1 default: frankfurt', 'cameras 192.168.1.2 > 192.0.2.1 default: exit'])
  })
  test('a class that may use no uplink is unreachable', () => {
    const rural = site('rural', 'edge', [uplink('lte')], { inference: ['10.1.30.0/24'] }, { hubs: [siteId('dublin')] })
    const of = compile(network({ sites: [dublin, frankfurt, rural], allow: [allow('rural/inference -> dublin/inference')], expect: [] }), []).fabric!
    expect(vectors('rural', of).slice(0, 2)).toEqual([
      'inference 10.1.30.2 > 10.11.0.1 bulk: unreachable',
      'inference 10.1.30.2 > 10.11.0.1 business: dublin',
    ])
  })
  test('at a hub of many sites remotes take turns, each asked once', () => {
    const many = Array.from({ length: 200 }, (_, i) => edge(`e${i}`, { inference: [`10.100.${i}.0/24`] }))
    const of = compile(network({ sites: [dublin, frankfurt, ...many], expect: [] }), []).fabric!
    const fromLan = routeVectors(config('frankfurt', of)).filter(({ from, expect: answer }) => from.kind === 'lan' && answer.kind === 'remote')
    expect(fromLan).toHaveLength(201)
    expect(new Set(fromLan.map((one) => one.trafficClass)).size).toBe(4)
  })
})
