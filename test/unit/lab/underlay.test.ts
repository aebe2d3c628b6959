import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseIntent } from '#src/intent/parse.ts'
import { speakerText } from '#src/lab/speaker.ts'
import { underlay } from '#src/lab/underlay.ts'
import { addressWithLength, nth, prefix } from '#src/net/address.ts'

const files = readdirSync('test/networks/branches')
  .filter((name) => name.endsWith('.yaml'))
  .map((path) => ({ path, text: readFileSync(`test/networks/branches/${path}`, 'utf8') }))
const { intent } = parseIntent(files)
const parsed = (texts: Readonly<Record<string, string>>) => {
  const read = parseIntent(Object.entries(texts).map(([path, text]) => ({ path, text })))
  if (!read.intent) throw new Error(JSON.stringify(read.findings))
  return read.intent
}
/** One hub, whose only LAN says this. */
const withOffice = (lan: string) =>
  parsed({
    'network.yaml': 'network: small\nhubs: [north]\nsegments: [office]\n',
    'north.yaml': `site: north
role: core
uplinks: { isp: { interface: eth0, address: 192.0.2.10/28, router: 192.0.2.1 } }
segments:
  office: ${lan}
`,
  })

describe('the underlay of an intent', () => {
  const { links, lans } = underlay(intent!)

  it('keeps the addresses that the YAML gives, and numbers the others', () => {
    expect(links.map(({ id, address, router }) => `${id} ${address} via ${router}`)).toEqual([
      'berlin.fiber 100.64.1.2/24 via 100.64.1.1',
      'berlin.lte 100.64.2.2/24 via 100.64.2.1',
      'dublin.isp-a 192.0.2.26/28 via 192.0.2.17',
      'dublin.isp-b 198.51.100.26/28 via 198.51.100.17',
      'frankfurt.isp-a 192.0.2.10/28 via 192.0.2.1',
      'frankfurt.isp-b 198.51.100.10/28 via 198.51.100.1',
      'madrid.fiber 100.64.3.2/24 via 100.64.3.1',
      'madrid.lte 100.64.4.2/24 via 100.64.4.1',
      'oslo.fiber 100.64.5.2/24 via 100.64.5.1',
      'oslo.lte 100.64.6.2/24 via 100.64.6.1',
    ])
  })
  it('puts LTE behind a NAT and nothing else', () => {
    expect(links.filter((link) => link.nat !== null).map((link) => link.id)).toEqual(['berlin.lte', 'madrid.lte', 'oslo.lte'])
  })
  it('has a host .10 on every LAN', () => {
    expect(lans.map(({ namespace, hosts, gateways }) => `${namespace} ${hosts.join(' ')} via ${gateways.join(' ')}`)).toContain(
      'berlin-cameras 192.168.1.10/24 via 192.168.1.1',
    )
    expect(new Set(lans.map((lan) => lan.namespace)).size).toBe(lans.length)
  })
  it('gives the one host of an interface an address in each of its prefixes', () => {
    const site = intent!.sites.find((one) => one.id === 'oslo')!
    const second = { ...site.lans[0]!, prefix: prefix('10.9.0.0/24'), address: addressWithLength('10.9.0.1/24') }
    const { lans: both } = underlay({ ...intent!, sites: [{ ...site, lans: [...site.lans, second] }] })
    expect(both.map(({ namespace, hosts }) => `${namespace} ${hosts.join(' ')}`)).toEqual([
      `oslo-inference ${site.lans[0]!.prefix.replace('.0/', '.10/')} 10.9.0.10/24`,
    ])
  })
  it('gives the second LAN of a segment a host of its own', () => {
    const site = intent!.sites.find((one) => one.id === 'oslo')!
    const second = { ...site.lans[0]!, interface: 'eth9', prefix: prefix('10.9.0.0/24'), address: addressWithLength('10.9.0.1/24') }
    const { lans } = underlay({ ...intent!, sites: [{ ...site, lans: [...site.lans, second] }] })
    expect(lans.map((lan) => `${lan.namespace} ${lan.interface} ${lan.hosts.join()}`)).toEqual([
      `oslo-inference ${site.lans[0]!.interface} ${site.lans[0]!.prefix.replace('.0/', '.10/')}`,
      'oslo-inference.2 eth9 10.9.0.10/24',
    ])
  })
  it('puts a router on a LAN that has a next hop, and what is behind it', () => {
    const site = intent!.sites.find((one) => one.id === 'oslo')!
    const [lan] = site.lans
    const behind = ['10.9.0.0/24', '10.8.0.0/24'].map((text) => ({ ...lan!, prefix: prefix(text), via: nth(lan!.prefix, 254)! }))
    const { lans, routers } = underlay({ ...intent!, sites: [{ ...site, lans: [...site.lans, ...behind] }] })
    expect(lans.map(({ namespace, hosts }) => `${namespace} ${hosts.join()}`)).toEqual([`oslo-inference ${lan!.prefix.replace('.0/', '.10/')}`])
    expect(routers).toEqual([
      {
        namespace: 'oslo-inference.r1',
        site: 'oslo',
        beside: 'oslo-inference',
        address: lan!.prefix.replace('.0/', '.254/'),
        gateway: nth(lan!.prefix, 1),
        hosts: ['10.9.0.10/32', '10.8.0.10/32'],
        speaks: null,
      },
    ])
  })
  it('gives it a router of each family', () => {
    const site = intent!.sites.find((one) => one.id === 'oslo')!
    const six = { ...site.lans[0]!, prefix: prefix('2001:db8:9::/64'), address: addressWithLength('2001:db8:9::1/64') }
    const { lans: both } = underlay({ ...intent!, sites: [{ ...site, lans: [...site.lans, six] }] })
    expect(both.map(({ hosts, gateways }) => `${hosts.at(-1)} via ${gateways.at(-1)}`)).toEqual(['2001:db8:9::a/64 via 2001:db8:9::1'])
    expect(both[0]!.gateways).toHaveLength(2)
  })
  it('has a router that speaks BGP where the intent has one, to each of a pair of gateways', () => {
    const { routers } = underlay(
      parsed({
        'network.yaml': 'network: small\nhubs: [north]\nsegments: [office]\n',
        'north.yaml': 'site: north\nrole: core\nuplinks: { isp: { interface: eth0, address: 192.0.2.10/28, router: 192.0.2.1 } }\nsegments: {}\n',
        'east.yaml': `site: east
gateways: { a: { uplinks: { fiber: { interface: eth0 } } }, b: { uplinks: { lte: { interface: wwan0 } } } }
segments:
  office: { interface: lan0, prefixes: 10.50.0.0/24, bgp: { asn: 65010, neighbor: 10.50.0.254, prefixes: [10.51.0.0/16, 10.52.0.0/16] } }
`,
      }),
    )
    expect(routers.map(({ namespace, hosts }) => [namespace, hosts])).toEqual([['east-office.r1', ['10.51.0.10/32', '10.52.0.10/32']]])
    expect(speakerText(routers[0]!.speaks!, routers[0]!)).toBe(`router bgp 65010
 bgp router-id 10.50.0.254
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast
 neighbor 10.50.0.2 remote-as 65000
 neighbor 10.50.0.2 timers connect 1
 neighbor 10.50.0.3 remote-as 65000
 neighbor 10.50.0.3 timers connect 1
 address-family ipv4 unicast
  network 10.51.0.0/16
  network 10.52.0.0/16
  neighbor 10.50.0.2 activate
  neighbor 10.50.0.3 activate
`)
  })
  it('has one that speaks OSPF likewise', () => {
    const { routers } = underlay(
      withOffice('{ interface: lan0, prefixes: 10.50.0.0/24, ospf: { neighbor: 10.50.0.254, prefixes: 10.51.0.0/16, area: 7, hello: 2s } }'),
    )
    expect(speakerText(routers[0]!.speaks!, routers[0]!)).toBe(`ip prefix-list own permit 10.51.0.0/16
route-map own permit 10
 match ip address prefix-list own
interface eth0
 ip ospf dead-interval 8
 ip ospf hello-interval 2
 ip ospf area 0.0.0.7
router ospf
 ospf router-id 10.50.0.254
 timers throttle lsa all 1000
 redistribute kernel route-map own
`)
  })
  it('has a second one for IPv6, with its link-local address alone, which it says over OSPFv3', () => {
    const { routers } = underlay(
      withOffice(`
    interface: lan0
    prefixes: [10.50.0.0/24, "2001:db8:50::/126"]
    ospf: { neighbor: [10.50.0.254, "fe80::fe"], prefixes: [10.51.0.0/16, "2001:db8:51::/48"] }`),
    )
    expect(routers.map(({ namespace, address, gateway }) => [namespace, address, gateway])).toEqual([
      ['north-office.r1', '10.50.0.254/24', '10.50.0.1'],
      ['north-office.r2', 'fe80::fe/64', '2001:db8:50::1'],
    ])
    expect(speakerText(routers[1]!.speaks!, routers[1]!)).toBe(`ipv6 prefix-list own permit 2001:db8:51::/48
route-map own permit 10
 match ipv6 address prefix-list own
interface eth0
 ipv6 ospf6 dead-interval 40
 ipv6 ospf6 hello-interval 10
 ipv6 ospf6 area 0.0.0.0
router ospf6
 ospf6 router-id 192.0.2.254
 redistribute kernel route-map own
`)
  })
  it('says when it runs out of addresses', () => {
    const site = intent!.sites.find((one) => one.id === 'berlin')!
    const many = Array.from({ length: 61 }, (_, n) => ({ ...site, id: `edge-${n}` as typeof site.id }))
    expect(() => underlay({ ...intent!, sites: many })).toThrow('the lab has addresses for 120 dynamic uplinks')
  })
})
