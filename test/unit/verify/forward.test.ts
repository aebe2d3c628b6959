import { describe, expect, test } from 'vitest'
import type { Fabric, Hop, SharedGroup } from '#src/fabric/fabric.ts'
import { address, prefix } from '#src/net/address.ts'
import { nothingDown } from '#src/verify/failures.ts'
import { decide, type Down, walk, type WalkOptions } from '#src/verify/forward.ts'
import { modelOf } from '#src/verify/model.ts'
import { type Packet, packetsOfOne } from '#src/verify/packets.ts'
import { build, change, site, trafficClass, tunnelId } from './build.ts'

const fabric = build({
  sites: [
    { id: 'berlin', uplinks: ['fiber', 'lte'], lans: { red: '10.1.0.0/24', blue: '10.1.1.0/24' } },
    { id: 'madrid', uplinks: ['fiber'], lans: { red: '10.2.0.0/24' } },
    { id: 'frankfurt', hub: true, uplinks: ['a', 'b'], lans: { red: '10.10.0.0/24' } },
    { id: 'dublin', hub: true, uplinks: ['a', 'b'], lans: { red: '10.11.0.0/24' } },
  ],
  allow: [
    { from: 'berlin/red', to: 'frankfurt/red', ports: 'tcp/443', class: 'default' },
    { from: 'berlin/red', to: 'madrid/red', ports: 'udp', class: 'default' },
    { from: 'berlin/red', to: 'berlin/blue', ports: 'any', class: 'default' },
    { from: 'frankfurt/red', to: 'berlin/red', ports: 'tcp/22', class: 'default' },
  ],
  expect: [],
})
const packet = (source: string, destination: string, protocol: Packet['protocol'] = 'tcp', port = 443): Packet => ({
  source: address(source),
  destination: address(destination),
  protocol,
  port,
})
const cut =
  (...parts: readonly string[]): Down =>
  (tunnel) =>
    parts.some((part) => tunnel.includes(part))
const go = (of: Fabric, one: Packet, down: Down = nothingDown, options: WalkOptions = {}): string => {
  const { hops, outcome } = walk(modelOf(of), one, down, options)
  const path = hops.map((hop) => `${hop.hop.tunnel} `).join('')
  if (outcome.kind === 'left') return `${path}left at ${outcome.at} over ${outcome.uplinks.join(' or ')}`
  return outcome.kind === 'delivered' ? `${path}delivered at ${outcome.at}` : `${path}dropped at ${outcome.at ?? 'nowhere'}: ${outcome.why}`
}
const everywhere = [{ id: 'everywhere', a: [prefix('10.0.0.0/8')], b: [prefix('10.0.0.0/8')] }]

describe('walk', () => {
  test.each([
    ['straight to a hub', packet('10.1.0.9', '10.10.0.9'), nothingDown, 'berlin.fiber--frankfurt.a delivered at frankfurt'],
    ['over the other uplink', packet('10.1.0.9', '10.10.0.9'), cut('berlin.fiber'), 'berlin.lte--frankfurt.a delivered at frankfurt'],
    [
      'by the other hub and the mesh',
      packet('10.1.0.9', '10.10.0.9'),
      cut('berlin.fiber--frankfurt', 'berlin.lte--frankfurt'),
      'berlin.fiber--dublin.a dublin.a--frankfurt.a delivered at frankfurt',
    ],
    [
      'edge to edge',
      packet('10.1.0.9', '10.2.0.9', 'udp', 53),
      nothingDown,
      'berlin.fiber--frankfurt.a madrid.fiber--frankfurt.a delivered at madrid',
    ],
    [
      'edge to edge over the mesh, once',
      packet('10.1.0.9', '10.2.0.9', 'udp', 53),
      cut('madrid.fiber--frankfurt'),
      'berlin.fiber--frankfurt.a dublin.a--frankfurt.a madrid.fiber--dublin.a delivered at madrid',
    ],
    ['within the site', packet('10.1.0.9', '10.1.1.9'), nothingDown, 'delivered at berlin'],
    ['a port that nobody allows', packet('10.1.0.9', '10.10.0.9', 'tcp', 80), nothingDown, 'dropped at berlin: policy'],
    ['a source in no LAN', packet('10.9.0.9', '10.10.0.9'), nothingDown, 'dropped at nowhere: spoofed'],
    ['all uplinks down', packet('10.1.0.9', '10.10.0.9'), cut('berlin.'), 'dropped at berlin: all-down'],
    [
      'split horizon: what came over the mesh does not go back',
      packet('10.1.0.9', '10.2.0.9', 'udp', 53),
      cut('madrid.'),
      'berlin.fiber--frankfurt.a dublin.a--frankfurt.a dropped at dublin: all-down',
    ],
  ])('%s', (_, one, down, expected) => {
    expect(go(fabric, one, down)).toBe(expected)
  })
  test('a reply passes by state, where no rule would let it in', () => {
    expect(go(fabric, packet('10.10.0.9', '10.1.0.9'), nothingDown)).toBe('dropped at frankfurt: policy')
    expect(go(fabric, packet('10.10.0.9', '10.1.0.9'), nothingDown, { direction: 'reply', trafficClass: trafficClass('default') })).toBe(
      'berlin.fiber--frankfurt.a delivered at berlin',
    )
  })
  test('the destination asks its own rules', () => {
    const strict = change(fabric, 'frankfurt', () => ({ rules: [] }))
    expect(go(strict, packet('10.1.0.9', '10.10.0.9'))).toBe('berlin.fiber--frankfurt.a dropped at frankfurt: policy')
  })
  test('a hub carries only its pairs', () => {
    const strict = change(fabric, 'frankfurt', () => ({ transits: [] }))
    expect(go(strict, packet('10.1.0.9', '10.2.0.9', 'udp', 53))).toBe('berlin.fiber--frankfurt.a dropped at frankfurt: transit')
  })
  test('a LAN comes before a more specific overlay route, as in the kernel', () => {
    const other = change(fabric, 'berlin', (of) => ({ routes: [...of.routes!, { ...of.routes![0]!, to: prefix('10.1.1.0/28') }] }))
    expect(go(other, packet('10.1.0.9', '10.1.1.9'))).toBe('delivered at berlin')
  })
  test('the longest prefix decides among routes', () => {
    const route = { segment: fabric.segments[0]!.id, to: prefix('10.10.0.8/29'), remote: site('dublin') }
    const other = change(fabric, 'berlin', (of) => ({ routes: [...of.routes!, route] }))
    expect(go(other, packet('10.1.0.9', '10.10.0.9'))).toBe('berlin.fiber--dublin.a dublin.a--frankfurt.a delivered at frankfurt')
    expect(go(other, packet('10.1.0.9', '10.10.0.16'))).toBe('berlin.fiber--frankfurt.a delivered at frankfurt')
  })
  test('no route, no group, no hop', () => {
    expect(
      go(
        change(fabric, 'berlin', () => ({ routes: [] })),
        packet('10.1.0.9', '10.10.0.9'),
      ),
    ).toBe('dropped at berlin: no-route')
    expect(
      go(
        change(fabric, 'berlin', () => ({ groups: [] })),
        packet('10.1.0.9', '10.10.0.9'),
      ),
    ).toBe('dropped at berlin: no-group')
    expect(
      go(
        change(fabric, 'berlin', (of) => ({ groups: of.groups.map((group) => ({ ...group, via: [] })) })),
        packet('10.1.0.9', '10.10.0.9'),
      ),
    ).toBe('dropped at berlin: no-hop')
  })
  test('a hub sends to no edge what is not behind it', () => {
    const hop: Hop = { tunnel: tunnelId('berlin.fiber--frankfurt.a'), next: site('berlin'), stage: 0, cost: 0, returnAfter: 0 }
    const astray = change(fabric, 'frankfurt', (of) => ({
      groups: of.groups.map((group): SharedGroup => (group.remotes.some((one) => one === 'madrid') ? { ...group, via: [hop] } : group)),
    }))
    expect(go(astray, packet('10.1.0.9', '10.2.0.9', 'udp', 53))).toBe('berlin.fiber--frankfurt.a dropped at frankfurt: peer')
  })
  test('packets that go round are found', () => {
    const hop = (tunnel: string, next: string): Hop => ({ tunnel: tunnelId(tunnel), next: site(next), stage: 0, cost: 0, returnAfter: 0 })
    const toMadrid = (hops: readonly Hop[]) => (of: Fabric['sites'][number]) => ({
      transits: everywhere,
      groups: of.groups.map((group): SharedGroup => (group.remotes.some((one) => one === 'madrid') ? { ...group, via: hops } : group)),
    })
    const round = change(
      change(fabric, 'frankfurt', toMadrid([hop('dublin.a--frankfurt.a', 'dublin')])),
      'dublin',
      toMadrid([hop('dublin.a--frankfurt.a', 'frankfurt')]),
    )
    expect(go(round, packet('10.1.0.9', '10.2.0.9', 'udp', 53))).toMatch(/dropped at (frankfurt|dublin): loop$/)
  })
  test('the caller may choose the hops, as an agent did', () => {
    expect(go(fabric, packet('10.1.0.9', '10.10.0.9'), nothingDown, { choose: () => 3 })).toBe('berlin.lte--frankfurt.b delivered at frankfurt')
    expect(go(fabric, packet('10.1.0.9', '10.10.0.9'), nothingDown, { choose: () => 'unreachable' })).toBe('dropped at berlin: all-down')
  })
})

test('a hub accepts from an edge only what is behind that edge', () => {
  const model = modelOf(change(fabric, 'frankfurt', () => ({ transits: everywhere })))
  const arrival = { kind: 'tunnel', tunnel: model.tunnel(tunnelId('berlin.fiber--frankfurt.a'))!, from: site('berlin') } as const
  const at = (source: string) =>
    decide(
      model,
      model.node(site('frankfurt'))!,
      arrival,
      packetsOfOne(packet(source, '10.2.0.9', 'udp', 53)),
      trafficClass('default'),
      'request',
      false,
    )
  expect(at('10.1.0.9')).toMatchObject({ value: { kind: 'forward' } })
  expect(at('10.11.0.9')).toEqual({ kind: 'one', value: { kind: 'drop', why: 'spoofed' } })
})
