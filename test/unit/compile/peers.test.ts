import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import type { Allocation, Fabric, Fact, PeerId, ReadyIpsec, SecretRef } from '#src/fabric/fabric.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { connectionId, externalOf, ipsecTunnelId } from '#src/fabric/ids.ts'
import { insidesOf, ipsecProfiles, tunnelsToPeer } from '#src/fabric/ipsec.ts'
import { siteHash } from '#src/fabric/slice.ts'
import type { Intent, IntentPeer } from '#src/intent/intent.ts'
import { address, contains, prefix, prefixFromBits } from '#src/net/address.ts'
import { trace } from '#src/verify/trace.ts'
import { verify } from '#src/verify/verify.ts'
import { allow, cloud, fixed, frankfurt, isolate, network, partner, ports, reach, segmentId, siteId, uplinkId } from './networks.ts'

const withPeer = (peer: Partial<IntentPeer> = {}, more: Partial<Intent> = {}): Intent =>
  network({
    peers: [{ ...partner, ...peer }],
    allow: [...network().allow, allow('edge/inference -> partner/inference', 'tcp/5432'), allow('peer/inference -> model-api')],
    ...more,
  })
const made = (intent: Intent, held: readonly Allocation[] = []): Fabric => compile(intent, held).fabric!
const fabric = made(withPeer())
const [peer] = fabric.peers
const site = (id: string, of = fabric) => of.sites.find((one) => one.id === id)!
const tunnel = ipsecTunnelId(connectionId(siteId('frankfurt'), uplinkId('isp-a')), partner.id, 1)
const ref: SecretRef = { id: 'psk/peer/partner', version: 1, fingerprint: '0123456789abcdef' }

describe('a peer', () => {
  test('is joined as a cloud is, by one tunnel each a hub uplink and address', () => {
    expect(peer!.connections.map(({ id, address: of, members }) => [id, of, ...members.map((one) => one.tunnel)])).toEqual([
      ['frankfurt.isp-a', '192.0.2.10', 'frankfurt.isp-a--partner.0', 'frankfurt.isp-a--partner.1'],
      ['frankfurt.isp-b', '198.51.100.10', 'frankfurt.isp-b--partner.0', 'frankfurt.isp-b--partner.1'],
      ['dublin.isp-a', '192.0.2.26', 'dublin.isp-a--partner.0', 'dublin.isp-a--partner.1'],
      ['dublin.isp-b', '198.51.100.26', 'dublin.isp-b--partner.0', 'dublin.isp-b--partner.1'],
    ])
    const single = made(withPeer({ gateways: partner.gateways.slice(0, 1) })).peers[0]!
    expect(single.connections.map(({ members }) => members.length)).toEqual([1, 1, 1, 1])
    expect(
      site('frankfurt')
        .interfaces.filter(({ kind }) => kind === 'peer')
        .map(({ id, stem }) => `${id} ${stem}`),
    ).toEqual(['peer:isp-a/partner.0 cwi5u0m0', 'peer:isp-a/partner.1 cwi5u0m1', 'peer:isp-b/partner.0 cwi5u1m0', 'peer:isp-b/partner.1 cwi5u1m1'])
  })
  const [four] = partner.gateways
  const six = { address: address('2001:db8:200::200'), id: '2001:db8:200::200' }
  const hub = { ...frankfurt, uplinks: [...frankfurt.uplinks, fixed('isp-v6', '2001:db8:2::10/64', 'fe80::1')] }
  const dialledAt = (...gateways: IntentPeer['gateways']): Intent =>
    withPeer({ gateways, hubs: [hub.id] }, { sites: network().sites.map((one) => (one.id === hub.id ? hub : one)) })
  test('with IPv6 is joined by the uplinks that have it, each tunnel with the number of its address', () => {
    const tunnels = (...gateways: IntentPeer['gateways']) => {
      const of = made(dialledAt(...gateways))
      expect(verify(of).findings.filter(({ severity }) => severity === 'error')).toEqual([])
      return { of, lines: tunnelsToPeer(of.peers[0]!).map((one) => `${one.tunnel} ${one.hub} ${one.gateway.address}`) }
    }
    expect(tunnels(six).lines).toEqual(['frankfurt.isp-v6--partner.0 2001:db8:2::10 2001:db8:200::200'])
    const both = tunnels(four!, six)
    expect(both.lines).toEqual([
      'frankfurt.isp-a--partner.0 192.0.2.10 203.0.113.200',
      'frankfurt.isp-b--partner.0 198.51.100.10 203.0.113.200',
      'frankfurt.isp-v6--partner.1 2001:db8:2::10 2001:db8:200::200',
    ])
    const id = ipsecTunnelId(connectionId(hub.id, uplinkId('isp-v6')), partner.id, 1)
    const facts: Fact[] = [{ kind: 'psk', tunnel: id, linkEpoch: 0, ref }]
    const [ready] = configure(both.of, facts, hub.id).tunnels
    expect(ready).toMatchObject({
      id,
      inside: expect.stringMatching(/^169\.254\./) as string,
      peer: { address: six.address, localId: '2001:db8:2::10', remoteId: six.id, port: 4500 },
    })
  })
  test('that gets an IPv6 address beside the other keeps its tunnels as they are', () => {
    const { fabric: before, claims } = compile(dialledAt(four!), [])
    const known = made(dialledAt(four!, six), claims).tunnels
    for (const one of before!.tunnels) expect(known).toContainEqual(one)
    expect(known).toHaveLength(before!.tunnels.length + 1)
  })
  test('is named by selectors like a region, and its rules are what its owner should let pass', () => {
    expect(peer!.rules.map(({ id }) => id)).toEqual([
      'edge/inference -> partner/inference tcp/5432#in inference>inference',
      'inference -> registry tcp/443#out inference>inference',
      'peer/inference -> model-api tcp/8443#out inference>inference',
    ])
    expect(peer!.routes.map(({ to, remote }) => `${to} ${remote}`)).toEqual([
      '10.1.10.0/24 berlin',
      '10.1.11.0/24 madrid',
      '10.1.12.0/24 oslo',
      '10.10.0.0/16 frankfurt',
      '10.11.0.0/16 dublin',
    ])
    const carried = site('dublin').transits.find(({ id }) => id.startsWith('edge/inference -> partner/inference'))
    expect(carried).toMatchObject({ a: ['10.1.10.0/24', '10.1.11.0/24', '10.1.12.0/24'], b: ['172.20.0.0/16'] })
  })
  test('sends back by any of its tunnels: which one is its owner’s choice', () => {
    const back = groupsOf(peer!).find((group) => group.remote === 'berlin')!.via
    expect(back).toHaveLength(8)
    expect(new Set(back.map(({ stage, returnAfter }) => `${stage} ${returnAfter}`))).toEqual(new Set(['0 0']))
  })
  test('may have several segments', () => {
    const two = made(
      withPeer(
        { lans: [...partner.lans, { segment: segmentId('training'), prefix: prefix('172.21.0.7/32') }] },
        { allow: [allow('partner/training -> core/training', 'tcp/22')], expect: [isolate('partner/inference -> training')] },
      ),
    )
    expect(two.peers[0]!.lans.map(({ segment, prefix: of }) => `${segment} ${of}`)).toEqual(['inference 172.20.0.0/16', 'training 172.21.0.7/32'])
    expect(verify(two).findings.filter(({ severity }) => severity === 'error')).toEqual([])
  })
  test('beside a cloud: both have their own addresses and devices, and nothing of the cloud moves', () => {
    const before = made(network({ regions: [cloud] }))
    const { claims } = compile(network({ regions: [cloud] }), [])
    const single = { ...partner, id: 'single' as PeerId, gateways: [{ address: address('203.0.113.210'), id: '203.0.113.210' }], lans: [] }
    const both = made(
      withPeer(
        {},
        { regions: [cloud], peers: [partner, { ...single, lans: [{ segment: segmentId('inference'), prefix: prefix('172.22.0.0/16') }] }] },
      ),
      claims,
    )
    expect(both.regions[0]!.connections).toEqual(before.regions[0]!.connections)
    const insides = both.tunnels.flatMap((one) => (one.kind === 'ipsec' ? [one.inside] : []))
    expect(new Set(insides).size).toBe(20)
    // Each has the tunnels that it ends, also where groups are shared.
    const direct = (remote: string) =>
      groupsOf(site('frankfurt', both)).find((group) => group.remote === remote && group.trafficClass === 'default' && group.arrived === 'mesh')!.via
    expect(direct('single').map((hop) => hop.tunnel)).toEqual(['frankfurt.isp-a--single.0', 'frankfurt.isp-b--single.0'])
    expect(direct('partner')).toHaveLength(4)
    expect(direct(cloud.id)).toHaveLength(4)
    expect(verify(both).findings.filter(({ severity }) => severity === 'error')).toEqual([])
    expect(siteHash(both, siteId('berlin'))).not.toBe(siteHash(before, siteId('berlin')))
  })
})

describe('the addresses inside', () => {
  const insides = (of: Fabric) => of.tunnels.flatMap((one) => (one.kind === 'ipsec' ? [one.inside] : []))
  const pool = prefix('169.254.100.0/27')
  test('come from the pool that it states, and a change of the pool moves them without taking another’s', () => {
    const first = compile(withPeer(), [])
    expect(insides(first.fabric!)[0]).toBe('169.254.128.0/30')
    const stated = compile(withPeer({ pools: [pool] }), first.claims)
    expect(insides(stated.fabric!)).toEqual([0, 4, 8, 12, 16, 20, 24, 28].map((n) => `169.254.100.${n}/30`))
    const held = [...first.claims, ...stated.claims]
    expect(insides(compile(withPeer(), held).fabric!)).toEqual(insides(first.fabric!))
    expect(compile(withPeer(), held).claims).toEqual([])
    const other = { ...partner, id: 'second' as PeerId, gateways: [{ address: address('203.0.113.210'), id: '203.0.113.210' }], lans: [] }
    const shared = compile(network({ peers: [partner, { ...other, pools: [prefix('169.254.100.0/26')] }] }), [...held])
    expect(new Set(insides(shared.fabric!)).size).toBe(12)
    expect(insides(shared.fabric!).filter((one) => one.startsWith('169.254.100.'))).toEqual([32, 36, 40, 44].map((n) => `169.254.100.${n}/30`))
  })
  test('are too few: which tunnel has none', () => {
    const { fabric: none, findings } = compile(withPeer({ pools: [prefix('169.254.100.0/28')] }), [])
    expect(none).toBeNull()
    expect(findings[0]).toMatchObject({
      code: 'I124',
      at: ['peer/partner/inside/4', 'peer/partner'],
      says: 'tunnel frankfurt.isp-a--partner.0 is one too many for the addresses of 169.254.100.0/28',
    })
  })
})

describe('IPv6 inside', () => {
  const insides = (of: Fabric) => of.tunnels.flatMap((one) => (one.kind === 'ipsec' ? [insidesOf(one)] : []))
  const four = prefix('169.254.100.0/27')
  const six = prefix('fd5c:1a2b:3c4d::/64')
  const other = { ...partner, id: 'second' as PeerId, gateways: [{ address: address('203.0.113.210'), id: '203.0.113.210' }], lans: [] }
  const numbered = (n: number, text: (at: number) => string) => Array.from({ length: n }, (_, i) => text(4 * i))
  const sixes = numbered(8, (at) => prefix(`fd5c:1a2b:3c4d::${at.toString(16)}/126`))
  const fours = numbered(8, (at) => `169.254.100.${at}/30`)

  test('alone, or beside IPv4: what a tunnel has of one pool stays when the other comes, goes and comes back', () => {
    let held: readonly Allocation[] = []
    const made = (peer: Partial<IntentPeer>): Fabric => {
      const { fabric: of, claims } = compile(withPeer(peer), held)
      held = [...held, ...claims]
      return of!
    }
    expect(insides(made({ pools: [six] }))).toEqual(sixes.map((one) => [one]))
    const both = made({ pools: [four, six] })
    expect(insides(both)).toEqual(fours.map((one, n) => [one, sixes[n]]))
    expect(new Set(both.peers[0]!.connections.flatMap(({ members }) => members.map(insidesOf)))).toEqual(new Set(insides(both)))
    expect(insides(made({ pools: [four] }))).toEqual(fours.map((one) => [one]))
    expect(insides(made({ pools: [prefix('fd5c:1a2b:3c4d:1::/64')] }))).toEqual(
      numbered(8, (at) => prefix(`fd5c:1a2b:3c4d:1::${at.toString(16)}/126`)).map((one) => [one]),
    )
    expect(insides(made({}))[0]).toEqual(['169.254.128.0/30'])
    const before = held.length
    expect(insides(made({ pools: [four, six] }))).toEqual(insides(both))
    expect(held).toHaveLength(before)
  })
  test('a peer that comes, goes or is renamed takes nobody’s, in a pool that both state or one within the other’s', () => {
    for (const pool of [six, prefix('fd5c:1a2b:3c4d::/120'), prefix('fd5c::/16')]) {
      const first = compile(withPeer({ pools: [six] }), [])
      const [alone, beside] = [partner, { ...other, pools: [pool] }]
      const second = compile(network({ peers: [{ ...alone, pools: [six] }, beside] }), first.claims)
      const all = insides(second.fabric!).flat()
      expect(new Set(all).size).toBe(12)
      expect(all).toEqual(expect.arrayContaining(sixes))
      const renamed = compile(network({ peers: [{ ...alone, pools: [six], id: 'renamed' as PeerId }] }), [...first.claims, ...second.claims])
      expect(
        insides(renamed.fabric!)
          .flat()
          .filter((one) => all.includes(one)),
      ).toEqual([])
      const back = compile(withPeer({ pools: [six] }), [...first.claims, ...second.claims, ...renamed.claims])
      expect(insides(back.fabric!).flat()).toEqual(sixes)
      expect(back.claims).toEqual([])
    }
  })
  test('of any pools: each its own, of its peer’s, and what is held is never another’s', () => {
    const pool = fc
      .record({ length: fc.integer({ min: 16, max: 121 }), bits: fc.bigInt({ min: 0n, max: (1n << 112n) - 1n }), low: fc.boolean() })
      // Some are within each other, whatever their lengths.
      .map(({ length, bits, low }) => prefixFromBits(6, (0xfd5cn << 112n) | (low ? bits & 0xfffn : bits), length))
    const states = fc.record({ pool, beside: fc.boolean(), gone: fc.boolean() })
    fc.assert(
      fc.property(fc.array(fc.tuple(states, states), { minLength: 1, maxLength: 5 }), (edits) => {
        const given = new Map<string, string>()
        let held: readonly Allocation[] = []
        for (const edit of edits) {
          const peers = [partner, other].flatMap((one, n) => {
            const { pool: own, beside, gone } = edit[n]!
            return gone ? [] : [{ ...one, ...(beside ? { pools: [prefix('10.254.0.0/16'), own] } : { pools: [own] }) }]
          })
          const { fabric: of, claims } = compile(network({ peers }), held)
          held = [...held, ...claims]
          for (const one of of!.tunnels) {
            if (one.kind !== 'ipsec') continue
            const stated = peers.find(({ id }) => id === externalOf(one))!.pools
            for (const [n, inside] of insidesOf(one).entries()) {
              expect(contains(stated[n]!, inside)).toBe(true)
              expect(given.get(inside) ?? one.id).toBe(one.id)
              given.set(inside, one.id)
            }
          }
        }
      }),
      { numRuns: 60 },
    )
  })
  test('at the far end of the address space, too', () => {
    const pool = prefix('fd5c:ffff:ffff:ffff:ffff:ffff:ffff:ffe0/123')
    expect(
      insides(made(withPeer({ pools: [pool] })))
        .flat()
        .at(-1),
    ).toBe('fd5c:ffff:ffff:ffff:ffff:ffff:ffff:fffc/126')
  })
  test('too few: which tunnel has none, of which network', () => {
    const { fabric: none, findings } = compile(withPeer({ pools: [four, prefix('fd5c:1a2b:3c4d::/124')] }), [])
    expect(none).toBeNull()
    expect(findings.map(({ code, says }) => `${code} ${says}`)).toEqual(
      ['isp-a--partner.0', 'isp-a--partner.1', 'isp-b--partner.0', 'isp-b--partner.1'].map(
        (one) => `I124 tunnel frankfurt.${one} is one too many for the addresses of fd5c:1a2b:3c4d::/124`,
      ),
    )
    expect(findings[0]!.at).toEqual(['peer/partner/inside/6', 'peer/partner'])
  })
  test('a hub’s configuration has both ends of each, and is asked for nothing new where there is one', () => {
    const fact: Fact = { kind: 'psk', tunnel, linkEpoch: 0, ref }
    const ready = (peer: Partial<IntentPeer>) => configure(made(withPeer(peer)), [fact], siteId('frankfurt')).tunnels[0] as ReadyIpsec
    const ofSix = { inside: 'fd5c:1a2b:3c4d::16', farInside: 'fd5c:1a2b:3c4d::15' }
    expect(ready({ pools: [six] })).toMatchObject(ofSix)
    expect(ready({ pools: [six] })).not.toHaveProperty('alsoInside')
    expect(ready({ pools: [four, six] })).toMatchObject({ inside: '169.254.100.22', farInside: '169.254.100.21', alsoInside: ofSix })
  })
  test('changes nothing of what is proven and traced', () => {
    const of = made(withPeer({ pools: [six] }))
    expect(verify(of).findings).toEqual(verify(fabric).findings)
    const query = { from: 'berlin/inference', to: 'partner/inference', port: ports('tcp/5432')[0]!, trafficClass: null, without: [] }
    expect(trace(of, query)).toEqual(trace(fabric, query))
  })
})

describe('a hub’s configuration', () => {
  const psk: Fact = { kind: 'psk', tunnel, linkEpoch: 0, ref }
  const ready = (of: Fabric) => configure(of, [psk], siteId('frankfurt')).tunnels.find((one) => one.id === tunnel) as ReadyIpsec
  test('waits for the secret only, for the address is stated', () => {
    expect(configure(fabric, [], siteId('frankfurt')).waiting).toContain(tunnel)
    expect(ready(fabric)).toMatchObject({
      role: 'peer',
      probe: 'icmp',
      remote: 'partner',
      decides: true,
      initiates: true,
      peer: {
        kind: 'ipsec',
        address: '203.0.113.201',
        port: 4500,
        localId: '192.0.2.10',
        remoteId: 'gw.partner.example',
        psk: ref,
        proposals: { ike: ipsecProfiles.strong.ike, esp: ipsecProfiles.strong.esp },
        rekey: { ike: 24_000, esp: 3_000 },
        prefixes: ['172.20.0.0/16'],
      },
    })
    expect(ready(fabric)).not.toHaveProperty('probed')
    expect(configure(fabric, [psk], siteId('berlin')).tunnels).toEqual([])
  })
  test('has what the peer states: probe, proposals, lifetimes', () => {
    const profile = {
      ike: ['aes256-sha256-modp2048'],
      esp: ['aes256-sha256-modp2048'],
      lifetime: { ike: 7200, esp: 1200 },
      rekey: { ike: 6000, esp: 1000 },
    }
    expect(ready(made(withPeer({ probe: address('172.20.0.1'), profile })))).toMatchObject({
      probed: '172.20.0.1',
      peer: { proposals: { ike: profile.ike, esp: profile.esp }, rekey: profile.rekey },
    })
  })
})

describe('proved and traced', () => {
  const both = (more: readonly ('uplink' | 'tunnel' | 'hub' | 'connection')[]) =>
    withPeer(
      {},
      {
        expect: [
          { ...reach('edge/inference -> partner/inference'), survives: more },
          { ...reach('partner/inference -> model-api'), survives: more },
        ] as never,
      },
    )
  test('under the failure of any tunnel, connection, uplink and hub, in both directions', () => {
    const proved = verify(made(both(['uplink', 'tunnel', 'hub', 'connection'])))
    expect(proved.findings.filter(({ severity }) => severity === 'error')).toEqual([])
    // Until the peer's gateway has noticed: a warning, for that is its owner's affair.
    expect(proved.findings.map(({ code, says }) => `${code} ${says}`).join('\n')).toMatch(
      /V005 berlin loses partner\/inference if \S+ fails until the peer has noticed and sends by another tunnel, some seconds/,
    )
    const one = made(
      withPeer({ hubs: [siteId('dublin')] }, { expect: [{ ...reach('edge/inference -> partner/inference'), survives: ['hub'] }] as never }),
    )
    expect(verify(one).findings.map(({ says }) => says)).toContain('berlin loses partner/inference if dublin fails')
  })
  test('hop by hop, also without a connection', () => {
    const ask = (without: never[]) =>
      trace(fabric, { from: 'berlin/inference', to: 'partner/inference', port: ports('tcp/5432')[0]!, trafficClass: null, without })
    expect(ask([]).lines[0]).toMatchObject({ outcome: 'passes' })
    const cut = ask([{ kind: 'connection', external: partner.id, connection: 'frankfurt.isp-a' }] as never)
    expect(cut.lines[0]).toMatchObject({ outcome: 'passes' })
    expect(JSON.stringify(cut.lines[0])).toContain('isp-b/ipsec→ partner')
  })
})
