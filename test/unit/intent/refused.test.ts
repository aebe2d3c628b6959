import { describe, expect, it } from 'vitest'
import { homeOf } from '#src/intent/homes.ts'
import { createReport } from '#src/intent/report.ts'
import { refused, type RefusedKeys } from '#src/intent/refused.ts'
import { ipsec, peerBody, peerSegment } from '#src/intent/schema-peer.ts'
import { cloudSegment, regionBody } from '#src/intent/schema-region.ts'
import {
  advertisement,
  bgp,
  ospf,
  dhcp,
  expectation,
  gateway,
  group,
  lan,
  networkFile,
  ruleMap,
  service,
  siteBody,
  siteClass,
  sla,
  trafficClass,
  uplink,
} from '#src/intent/schema.ts'
import type { ObjectSpec } from '#src/intent/spec.ts'
import { readYaml } from '#src/intent/yaml.ts'
import { check, small } from './files.ts'

const maps: Readonly<Record<keyof typeof refused, ObjectSpec<object>>> = {
  uplink,
  gateway,
  lan,
  bgp,
  ospf,
  dhcp,
  ra: advertisement,
  sla,
  siteClass,
  class: trafficClass,
  site: siteBody,
  rule: ruleMap('Who may open a connection to what'),
  group,
  service,
  expect: expectation,
  network: networkFile,
  region: regionBody,
  cloudSegment,
  peer: peerBody,
  ipsec,
  peerSegment,
}
/** The findings of a map with this one key, but for what it lacks. */
function findingsOf(map: ObjectSpec<object>, key: string) {
  const report = createReport()
  const source = readYaml({ path: 'x.yaml', text: `${key}: 1\n` }, report)!
  map.read(source.root, { at: source.at(source.root), name: 'it' }, { source, report, home: homeOf })
  return report.findings.filter((finding) => finding.code !== 'I006')
}

describe('a key that is known and not read', () => {
  const keys = Object.entries(refused as Readonly<Record<string, RefusedKeys>>).flatMap(([map, all]) =>
    Object.entries(all).map(([key, sentence]) => [map as keyof typeof refused, key, sentence] as const),
  )
  it.each(keys)('%s %s: says what is true of it', (map, key, { because, instead }) => {
    expect(findingsOf(maps[map], key)).toMatchObject([{ code: 'I008', says: `"${key}" can't be written here: ${because}`, instead }])
  })
  it.each(keys)('%s %s: in a sentence of its own, that goes on after a colon and ends without a full stop', (_, __, { because, instead }) => {
    expect(because).toMatch(/^(?:[a-z`]|IKE|LANs|VPCs).*[^.]$/)
    expect(instead).toMatch(/^(leave|write|make|dial|describe|declare|expect) .*[^.]$/)
  })
})

describe('a key that stands elsewhere', () => {
  it.each([
    ['a site', siteBody, 'prefer', '"prefer" is not a key here, it is one of a class', 'write classes: { business: { prefer: lte } }'],
    [
      'a LAN',
      lan,
      'hosts',
      '"hosts" is not a key here, it is one of a group of hosts',
      'write groups: { printers: { hosts: 10.1.10.20 } } in network.yaml',
    ],
    ['a LAN', lan, 'shared_risk', '"shared_risk" is not a key here, it is one of an uplink', 'write uplinks: { fiber: { shared_risk: duct-7 } }'],
    [
      'an uplink',
      uplink,
      'prefixes',
      '"prefixes" is not a key here, it is one of a LAN',
      'write segments: { inference: { prefixes: 10.1.10.0/24 } }',
    ],
    [
      'the network',
      networkFile,
      'uplinks',
      '"uplinks" is not a key here, it is one of a site',
      'write uplinks: { fiber: { interface: eth0 } } in the file of the site',
    ],
  ])('at %s: %s', (_, map, key, says, instead) => {
    expect(findingsOf(map, key)).toMatchObject([{ code: 'I005', says, instead }])
  })
  it('is a slip of the pen first, if it looks like one', () => {
    expect(findingsOf(siteBody, 'hub')).toMatchObject([{ says: '"hub" is not a key here; did you mean "hubs"?' }])
  })
  it('is told with its place', () => {
    expect(check(small({ path: 'berlin.yaml', text: 'site: berlin\nuplinks: { fiber: { interface: eth0 } }\npeers: { partner: {} }\n' }))).toBe(
      'error[I005] berlin.yaml:3:1  "peers" is not a key here, it is one of the network\n  3 │ peers: { partner: {} }\n    │ ^ write peers: { partner: { address: 203.0.113.200, segments: { inference: { prefixes: 172.20.0.0/16 } } } } in network.yaml\n1 error, nothing verified\n',
    )
  })
})
