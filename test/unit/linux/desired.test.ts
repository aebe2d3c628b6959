/** Config in, readable kernel state out. `vitest -u` rewrites the goldens: read the difference. */
import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import type { NodeId, SiteConfig, UplinkId } from '#src/fabric/fabric.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { addressWithLength, nth, prefix } from '#src/net/address.ts'
import { choicesBy, chosenDevice, type Desired, desired, type Situation } from '#providers/linux/desired.ts'
import { describe as text } from '#providers/linux/kernel.ts'
import { nexthopIds } from '#providers/linux/scheme.ts'
import { cameras, configOf, type Name, publicKeyFor, realtime, usual } from './network.ts'

const os = (name: string, addresses: readonly string[] = [], router = '') => ({ name, up: true, addresses, router, mtu: 1500 })
export const situations: Record<Name, Pick<Situation, 'interfaces' | 'defaults'>> = {
  berlin: {
    interfaces: [os('wan0', ['100.64.1.2/24'], '100.64.1.1'), os('wan1', ['100.64.2.2/24'], '100.64.2.1'), os('lan0'), os('lan1')],
    defaults: [
      { family: 4, device: 'wan0', router: '100.64.1.1', metric: 100 },
      { family: 4, device: 'wan1', router: '100.64.2.1', metric: 200 },
    ],
  },
  dublin: { interfaces: [os('wan0', ['198.51.100.10/24'], '198.51.100.1'), os('lan0')], defaults: [] },
  frankfurt: { interfaces: [os('wan0', ['192.0.2.10/24'], '192.0.2.1'), os('lan0')], defaults: [] },
}
function wanted(site: Name, config: SiteConfig = configOf(site), more: Partial<Situation> = {}): Desired {
  const publicKeys = new Map(config.interfaces.map((one) => [one.device, publicKeyFor(site, { interface: one.id, linkEpoch: one.linkEpoch })]))
  return desired(config, {
    ...situations[site],
    tentative: [],
    publicKeys,
    esp: 'userspace',
    choices: new Map(),
    leaving: null,
    keptPorts: [],
    ...more,
  })
}
/** Keys are random: named by who holds them. */
function readable(site: Name, state: Desired): string {
  let out = text(state)
  for (const name of ['berlin', 'dublin', 'frankfurt'] as const) {
    for (const one of configOf(name, { epochs: [0, 1] }).interfaces)
      out = out.replaceAll(publicKeyFor(name, { interface: one.id, linkEpoch: one.linkEpoch }), `<${name} ${one.device}>`)
  }
  return `# ${site}\n${out}\n${state.sysctls.map(({ key, value }) => `sysctl ${key} = ${value}\n`).join('')}\n${state.nft}`
}
const routesOf = (state: Desired, table: number | 'main'): readonly string[] =>
  text({ ...state, links: [], xfrm: [], addresses: [], nexthops: [], rules: [], routes: state.routes.filter((route) => route.table === table) })
    .trim()
    .split('\n')

describe('the wanted kernel', () => {
  it.each(['berlin', 'frankfurt'] as const)('of %s is this', async (site) => {
    await expect(readable(site, wanted(site))).toMatchFileSnapshot(`expected/${site}.txt`)
  })

  it('is the same for the same config, and names every object once', () => {
    const [once, again] = [wanted('frankfurt'), wanted('frankfurt')]
    expect(again).toEqual(once)
    const lines = text(once)
      .trim()
      .split('\n')
      .filter((line) => !line.startsWith('  peer'))
    expect(new Set(lines).size).toBe(lines.length)
  })
})

describe('a LAN that may leave to the internet', () => {
  const exits = ['fiber', 'lte'] as UplinkId[]
  const leaving = {
    ...configOf('berlin'),
    exits,
    lans: configOf('berlin').lans.map((lan) => ({ ...lan, ...(lan.segment === cameras ? { internet: 'local' as const } : {}) })),
  }
  const cameraLan = configOf('berlin').lans.find((lan) => lan.segment === cameras)!
  const unreachable = (table: number) => `-4 route unreachable 0.0.0.0/0 metric 4096 table ${table} proto 67`
  const lead = (table: number, device: string, router: string) => `-4 route 0.0.0.0/0 via ${router} dev ${device} onlink table ${table} proto 67`
  const v4 = (state: Desired, table: number) => routesOf(state, table).filter((line) => line.startsWith('-4'))

  it('is sent out by its own interface only, behind the guard', () => {
    const rules = text({ ...wanted('berlin', leaving), links: [], xfrm: [], addresses: [], nexthops: [], routes: [] }).split('\n')
    expect(rules).toContain('-4 rule priority 300 iif lan1 lookup 7711 protocol 67')
    expect(rules).toContain('-4 rule priority 301 iif lan0 unreachable protocol 67')
    expect(rules).toContain('-4 rule priority 220 fwmark 0x100/0xff00 lookup 7720 protocol 67')
  })
  it('does so over IPv4 only, with a prefix of IPv6 on the same interface', () => {
    const both = {
      ...leaving,
      lans: [...leaving.lans, { ...cameraLan, prefix: prefix('2001:db8:7::/64'), address: addressWithLength('2001:db8:7::1/64') }],
    }
    const rules = text({ ...wanted('berlin', both), links: [], xfrm: [], addresses: [], nexthops: [], routes: [] }).split('\n')
    expect(rules).toContain('-4 rule priority 300 iif lan1 lookup 7711 protocol 67')
    expect(rules).toContain('-6 rule priority 300 iif lan1 unreachable protocol 67')
  })
  it('leaves by the first exit that has a router as long as nobody says otherwise', () => {
    expect(v4(wanted('berlin', leaving), 7711)).toEqual([lead(7711, 'wan0', '100.64.1.1'), unreachable(7711)])
    const without = { ...situations.berlin, defaults: situations.berlin.defaults.filter(({ device }) => device !== 'wan0') }
    expect(v4(wanted('berlin', leaving, without), 7711)).toEqual([lead(7711, 'wan1', '100.64.2.1'), unreachable(7711)])
    expect(v4(wanted('berlin', leaving, { ...without, defaults: [] }), 7711)).toEqual([unreachable(7711)])
  })
  it('keeps what is open on an exit that leads out, and sends it with the others when it does not', () => {
    const both = wanted('berlin', leaving, { leaving: { by: exits[1]!, open: exits } })
    expect(v4(both, 7711)).toEqual([lead(7711, 'wan1', '100.64.2.1'), unreachable(7711)])
    expect(v4(both, 7720)).toEqual([lead(7720, 'wan0', '100.64.1.1'), unreachable(7720)])
    const one = wanted('berlin', leaving, { leaving: { by: exits[1]!, open: [exits[1]!] } })
    expect(v4(one, 7720)).toEqual([lead(7720, 'wan1', '100.64.2.1'), unreachable(7720)])
  })
  it('has this ruleset, beside that of the others', async () => {
    await expect(wanted('berlin', leaving).nft).toMatchFileSnapshot('expected/berlin-breakout.txt')
  })
})

describe('uplinks', () => {
  it('without a lease have only the unreachable, so that tunnels never leave by another uplink', () => {
    const state = wanted('berlin', undefined, { interfaces: [os('wan0'), os('wan1', ['100.64.2.2/24'], '100.64.2.1'), os('lan0'), os('lan1')] })
    expect(routesOf(state, 7700)).toEqual([
      '-4 route unreachable 0.0.0.0/0 metric 4096 table 7700 proto 67',
      '-6 route unreachable ::/0 metric 4096 table 7700 proto 67',
    ])
  })

  it('on a point-to-point link have a default route without a router', () => {
    const state = wanted('berlin', undefined, { defaults: [{ family: 4, device: 'wan1', router: '', metric: 0 }] })
    expect(routesOf(state, 7701)).toContain('-4 route 0.0.0.0/0 dev wan1 table 7701 proto 67')
  })

  it('keep a NAT mapping open only where this end dials from behind one', () => {
    const keepalives = (site: Name): readonly number[] => wanted(site).links.flatMap((link) => link.peers.map((peer) => peer.keepalive))
    expect(keepalives('berlin')).toEqual([15, 15, 15, 15])
    expect(keepalives('frankfurt')).toEqual([0, 0, 0])
  })
})

describe('a group', () => {
  const config = configOf('berlin')
  const group = groupsOf(config).find((one) => one.remote === ('frankfurt' as NodeId) && one.trafficClass === realtime)!

  it('starts on its first hop that is ready', () => {
    expect(chosenDevice(config, group, choicesBy([]))).toBe('cwe2u0u0p0')
    const waiting = { ...config, tunnels: config.tunnels.filter((one) => one.id !== group.via[0]!.tunnel) }
    expect(chosenDevice(waiting, group, choicesBy([]))).toBe('cwe2u1u0p0')
  })
  it('goes where it is steered, or nowhere', () => {
    expect(chosenDevice(config, group, choicesBy([{ ...group, hop: 1 }]))).toBe('cwe2u1u0p0')
    expect(chosenDevice(config, group, choicesBy([{ ...group, hop: 'unreachable' }]))).toBe('')
    expect(chosenDevice(config, group, choicesBy([{ ...group, trafficClass: usual, hop: 1 }]))).toBe('cwe2u0u0p0')
  })
  it('stays on the older link epoch until the config drops it', () => {
    expect(chosenDevice(configOf('berlin', { epochs: [0, 1] }), group, choicesBy([]))).toBe('cwe2u0u0p0')
    expect(chosenDevice(configOf('berlin', { epochs: [1] }), group, choicesBy([]))).toBe('cwe2u0u0p1')
  })
  it('that `never` has emptied is unreachable', () => {
    expect(chosenDevice(config, { ...group, via: [] }, choicesBy([]))).toBe('')
  })
  it('has an id that another site does not move', () => {
    const key = (remote: string) => ({ remote: remote as NodeId, trafficClass: usual, arrived: 'anywhere', family: 4 as const })
    const [few, many] = [nexthopIds([key('oslo')]), nexthopIds([key('oslo'), key('aachen'), key('zurich')])]
    expect(many.get('oslo default anywhere 4')).toBe(few.get('oslo default anywhere 4'))
  })
  it('never shares an id, whatever the names', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }), { maxLength: 200 }), (names) => {
        const ids = nexthopIds(names.map((name) => ({ remote: name as NodeId, trafficClass: usual, arrived: 'anywhere', family: 4 })))
        expect(new Set(ids.values()).size).toBe(names.length)
        for (const id of ids.values()) expect(id).toBeGreaterThan(0x3fffffff)
      }),
    )
  })
})

describe('a LAN', () => {
  const six = prefix('2001:db8:10::/64')
  const config = configOf('berlin')
  const dual = {
    ...config,
    lans: [...config.lans, { ...config.lans[0]!, prefix: six, address: addressWithLength('2001:db8:10::1/64') }],
    routes: [...config.routes, { ...config.routes[0]!, to: prefix('2001:db8:20::/64') }],
  }
  it('of IPv6 has rules, routes and sets of its own, and a DHCPv6 server there is heard', () => {
    const state = wanted('berlin', dual)
    const lines = text(state)
    expect(lines).toMatch(/-6 route 2001:db8:20::\/64 nhid \d+ src 2001:db8:10::1 table 7900 proto 67/)
    expect(lines).toContain('-6 route unreachable 2001:db8:20::/64 metric 4096 table 7900 proto 67')
    expect(lines).toMatch(/-6 rule priority 30\d iif lan0 unreachable protocol 67/)
    expect(lines).toContain('-6 route unreachable 2001:db8:10::/64 metric 4096 table 7710 proto 67')
    expect(state.sysctls).toContainEqual({ key: 'net/ipv6/conf/lan0/disable_ipv6', value: '0' })
    expect(state.nft).toContain('ip6 saddr 2001:db8:10::/64 accept')
    // Hosts make their IPv6 addresses themselves: nobody here speaks DHCPv6.
    expect(state.nft).not.toContain('dport 547')
  })
  it('whose IPv6 address is tentative is nobody’s source yet', () => {
    const state = wanted('berlin', dual, { tentative: [{ device: 'lan0', address: '2001:db8:10::1/64' }] })
    const sources = state.routes.filter(({ to, table }) => to === '2001:db8:20::/64' && table === 7900).map(({ source }) => source)
    expect(sources).toEqual([config.loopback, ''])
    expect(wanted('berlin', dual, { tentative: [{ device: 'lan1', address: '2001:db8:10::1/64' }] }).routes).toContainEqual(
      expect.objectContaining({ to: '2001:db8:20::/64', source: '2001:db8:10::1' }),
    )
  })
  it('whose interface is gone takes nothing else with it', () => {
    const { interfaces } = situations.berlin
    const state = wanted('berlin', undefined, { interfaces: interfaces.filter((one) => one.name !== 'lan1') })
    expect(state.addresses.some((one) => one.device === 'lan1')).toBe(false)
    expect(state.nexthops).toEqual(wanted('berlin').nexthops)
    expect(state.nft).toBe(wanted('berlin').nft)
  })
  describe('with a router on it', () => {
    const routed = (site: Name): SiteConfig => {
      const config = configOf(site)
      const [lan, ...others] = config.lans
      const behind = { ...lan!, prefix: prefix('10.5.0.0/16'), via: nth(lan!.prefix, 254)! }
      return { ...config, lans: [lan!, behind, ...others] }
    }
    it('has a route to what is behind it, and one address', () => {
      const state = wanted('berlin', routed('berlin'))
      expect(routesOf(state, 'main')).toContain('-4 route 10.5.0.0/16 via 10.1.10.254 dev lan0 onlink table main proto 67')
      expect(state.addresses).toEqual(wanted('berlin').addresses)
    })
    it('is asked for a way out of the mesh as well', () => {
      expect(routesOf(wanted('frankfurt', routed('frankfurt')), 7800)).toContain(
        '-4 route 10.5.0.0/16 via 10.3.10.254 dev lan0 onlink table 7800 proto 67',
      )
    })
    it('waits for its link', () => {
      const interfaces = situations.berlin.interfaces.map((one) => (one.name === 'lan0' ? { ...one, up: false } : one))
      expect(routesOf(wanted('berlin', routed('berlin'), { interfaces }), 'main').filter((line) => line.includes('10.5.0.0'))).toEqual([])
    })
    it('lets both be sources there, and hands on between the two', () => {
      const { nft } = wanted('berlin', routed('berlin'))
      expect(nft).toContain('ip saddr { 10.1.10.0/24, 10.5.0.0/16 } accept')
      expect(nft).toContain('iifname "lan0" oifname "lan0" ip saddr { 10.1.10.0/24, 10.5.0.0/16 } ip daddr { 10.1.10.0/24, 10.5.0.0/16 } accept')
      expect(wanted('berlin').nft).not.toContain('iifname "lan0" oifname "lan0"')
    })
  })
  it("of another segment is not the source of a segment's own packets", () => {
    const state = wanted('berlin')
    expect(configOf('berlin').lans[1]!.segment).toBe(cameras)
    expect(
      routesOf(state, 7901)
        .filter((line) => line.includes('nhid'))
        .every((line) => line.includes('src 10.1.10.1 ')),
    ).toBe(true)
  })
})
