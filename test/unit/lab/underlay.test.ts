import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseIntent } from '#src/intent/parse.ts'
import { underlay } from '#src/lab/underlay.ts'
import { addressWithLength, nth, prefix } from '#src/net/address.ts'

const files = readdirSync('test/networks/branches')
  .filter((name) => name.endsWith('.yaml'))
  .map((path) => ({ path, text: readFileSync(`test/networks/branches/${path}`, 'utf8') }))
const { intent } = parseIntent(files)

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
  it('says where it would need a router that speaks BGP', () => {
    const [site] = intent!.sites
    const speaks = { ...site!, bgp: [] }
    expect(() => underlay({ ...intent!, sites: [speaks] })).toThrow(`write next_hop instead of bgp at ${site!.id}, in a copy`)
  })
  it('says when it runs out of addresses', () => {
    const site = intent!.sites.find((one) => one.id === 'berlin')!
    const many = Array.from({ length: 61 }, (_, n) => ({ ...site, id: `edge-${n}` as typeof site.id }))
    expect(() => underlay({ ...intent!, sites: many })).toThrow('the lab has addresses for 120 dynamic uplinks')
  })
})
