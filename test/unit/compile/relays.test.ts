/** What a DHCP relay needs becomes an expectation, or is refused. */
import { expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import type { Dhcp } from '#src/fabric/fabric.ts'
import { address } from '#src/net/address.ts'
import { berlin, edge, frankfurt, madrid, network } from './networks.ts'

const relay: Dhcp = { kind: 'relay', server: address('10.10.0.5') }
type Site = typeof berlin
const relaying = (site: Site, more: Partial<Site['lans'][number]> = {}): Site => ({
  ...site,
  lans: site.lans.map((lan) => (lan.segment === 'inference' ? { ...lan, dhcp: relay, ...more } : lan)),
})
const hubOnly = { hubs: [frankfurt.id] }
const home = (site: Site): Site => ({ ...site, hubs: [frankfurt.id] })

test('all LANs of a segment that have the same server are one expectation, from the address of each gateway', () => {
  const { fabric, findings } = compile(network({ ...hubOnly, sites: [frankfurt, home(relaying(berlin)), home(relaying(madrid))] }), [])
  expect(findings.filter(({ severity }) => severity === 'error')).toEqual([])
  expect(fabric!.expects.filter(({ id }) => id.startsWith('dhcp'))).toEqual([
    {
      kind: 'reach',
      id: 'dhcp of inference -> 10.10.0.5',
      text: 'inference -> frankfurt/inference udp/67',
      from: [
        { node: 'berlin', segment: 'inference', prefixes: ['10.1.10.1/32'] },
        { node: 'madrid', segment: 'inference', prefixes: ['10.1.11.1/32'] },
      ],
      to: [{ node: 'frankfurt', segment: 'inference', prefixes: ['10.10.0.5/32'] }],
      ports: [{ protocol: 'udp', from: 67, to: 67 }],
      mode: 'any',
      survives: [],
    },
  ])
})

test('I106: a LAN that has other addresses in the overlay is not relayed for', () => {
  const oslo = edge('oslo', { inference: ['10.1.12.0/24'] })
  const { fabric, findings } = compile(network({ ...hubOnly, sites: [frankfurt, home(relaying(oslo, { translate: 'always' }))] }), [])
  expect(fabric).toBeNull()
  expect(findings.filter(({ code }) => code === 'I106').map(({ at, says }) => [at, says])).toEqual([
    [
      ['site/oslo/lan/inference'],
      "oslo can't relay DHCP for a LAN that has other addresses in the overlay: the server answers to the address in the request, 10.1.12.1, and nobody is reached by that there",
    ],
  ])
})
