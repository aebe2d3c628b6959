/** Where a key stands that was written in a map that doesn't have it. */
import { ipsec, peerBody } from './schema-peer.ts'
import { cloudSegment, regionBody } from './schema-region.ts'
import { bgp, dhcp, expectation, gateway, group, lan, networkFile, ospf, service, siteBody, sla, trafficClass, uplink } from './schema.ts'
import type { Home, Spec } from './spec.ts'

/** What a map is called, its keys, and how a key of it is written. Of two that have a key, the first is told. */
const maps: readonly {
  readonly what: string
  readonly fields: Readonly<Record<string, Spec<unknown>>>
  readonly written: (key: string) => string
}[] = [
  { what: 'an uplink', fields: uplink.fields, written: (key) => `uplinks: { fiber: { ${key} } }` },
  { what: 'a LAN', fields: lan.fields, written: (key) => `segments: { inference: { ${key} } }` },
  { what: 'the DHCP of a LAN', fields: dhcp.fields, written: (key) => `segments: { inference: { dhcp: { ${key} } } }` },
  { what: 'a class', fields: trafficClass.fields, written: (key) => `classes: { business: { ${key} } }` },
  { what: "a class's SLA", fields: sla.fields, written: (key) => `sla: { ${key} }` },
  { what: 'a group of hosts', fields: group.fields, written: (key) => `groups: { printers: { ${key} } } in network.yaml` },
  { what: 'a service', fields: service.fields, written: (key) => `services: { model-api: { ${key} } } in network.yaml` },
  { what: 'a site', fields: siteBody.fields, written: (key) => `${key} in the file of the site` },
  { what: 'a gateway of a pair', fields: gateway.fields, written: (key) => `gateways: { a: { ${key} }, b: … }` },
  { what: 'the network', fields: networkFile.fields, written: (key) => `${key} in network.yaml` },
  { what: 'an expectation', fields: expectation.fields, written: (key) => `expect: [{ ${key} }] in network.yaml` },
  { what: 'a segment of a region', fields: cloudSegment.fields, written: (key) => `segments: { inference: { ${key} } } in the file of the region` },
  { what: 'a cloud region', fields: regionBody.fields, written: (key) => `${key} in the file of the region` },
  { what: 'the IPsec of a peer', fields: ipsec.fields, written: (key) => `ipsec: { ${key} } in the file of the peer` },
  { what: 'the BGP of a LAN', fields: bgp.fields, written: (key) => `segments: { inference: { bgp: { ${key} } } }` },
  { what: 'the OSPF of a LAN', fields: ospf.fields, written: (key) => `segments: { inference: { ospf: { ${key} } } }` },
  { what: 'a peer', fields: peerBody.fields, written: (key) => `${key} in the file of the peer` },
]

export function homeOf(key: string): Home | undefined {
  const map = maps.find(({ fields }) => Object.hasOwn(fields, key))
  return map && { what: map.what, instead: `write ${map.written(`${key}: ${map.fields[key]!.example}`)}` }
}
