/**
 * The intent after parsing and defaults: what the YAML says, nothing resolved. `compile/resolve.ts` turns selectors
 * into places. Arrays are sorted by id, so file order and folder layout never matter.
 *
 * Origin keys (see Origins): `network`, `hubs/<i>`, `segment/<id>`, `group/<id>[/hosts/<i>]` (hosts in order),
 * `internet/<segment>`, `class/<id>[/field]`, `service/<id>[/at/<i>|/endpoints/<i>]`,
 * `allow/<n>[/from|/to|/log]`, `deny/<n>[/from|/to|/log]`, `expect/<n>[/from|/to]`, `site/<id>[/field]`, `site/<id>/uplink/<id>[/field]`,
 * `site/<id>/gateway/<a|b>[/address]` (the second of a pair is a site `<id>.b` of its own),
 * `site/<id>/hubs/<i>`, `site/<id>/class/<id>[/share|/prefer|/avoid|/never|/sla/<field>]`, `site/<id>/lan/<segment>`,
 * `site/<id>/lan/<segment>/<i>[/interface|/address|/internet]` (prefixes in order, of all LANs of the segment),
 * `region/<id>[/field]`, `region/<id>/hubs/<i>`, `region/<id>/lan/<segment>`, `region/<id>/lan/<segment>/<i>` (prefixes in
 * order), `region/<id>/vpc/<vpc id>`, `peer/<id>[/field]`, `peer/<id>/hubs/<i>`, `peer/<id>/address/<i>`,
 * `peer/<id>/ipsec/<field>`, `peer/<id>/lan/<segment>`, `peer/<id>/lan/<segment>/<i>` (prefixes in order),
 * `transport/<id>`, `network/mtu`, `maintenance[/timezone]`, `site/<id>/maintenance[/timezone]`, `network/translate[/pool/<family>]`, `site/<id>/lan/<segment>/<i>/translate`, `class/<id>/sla/<field>`; n counts in sorted order of the canonical text. A field has
 * a key only when it was written. Findings may also point to `<file>:<line>:<column>`, which is a key of its own.
 */
import type {
  BgpLan,
  OspfLan,
  Advertisement,
  ClassId,
  Dhcp,
  IpsecProfile,
  Maintenance,
  NetworkId,
  NodeId,
  PeerGateway,
  PeerId,
  RegionId,
  RiskId,
  Role,
  SegmentId,
  SiteClass,
  SiteId,
  Sla,
  Survives,
  UplinkId,
  Waypoint,
} from '#src/fabric/fabric.ts'
import { type Address, type AddressWithLength, type Family, type Prefix } from '#src/net/address.ts'
import type { PortRange } from '#src/net/ports.ts'

export interface Intent {
  readonly network: NetworkId
  readonly mtu: number
  /** Absent: an overlap is an error, and where a LAN is to be translated all the same its addresses come from the usual pools. */
  readonly translate?: { readonly mode: Translate; readonly pools: Readonly<Record<Family, Prefix>> }
  readonly hubs: readonly SiteId[]
  readonly segments: readonly SegmentId[]
  /** What the network says of segments, by name; unsaid: none. A LAN may say otherwise. */
  readonly internet: readonly { readonly segment: SegmentId; readonly breakout: Breakout }[]
  /** Names; two uplinks form a path when their transports are the same or one `reaches` the other. */
  readonly transports: readonly { readonly id: string; readonly reaches: readonly string[] }[]
  readonly sites: readonly IntentSite[]
  readonly regions: readonly IntentRegion[]
  readonly peers: readonly IntentPeer[]
  readonly groups: readonly IntentGroup[]
  readonly services: readonly IntentService[]
  readonly classes: readonly IntentClass[]
  readonly allow: readonly IntentLine[]
  /** Wins over every allow. */
  readonly deny: readonly IntentLine[]
  readonly expect: readonly IntentExpect[]
  /** Of sites that say nothing themselves. Absent: at any time. */
  readonly maintenance?: Maintenance
}
/** A gateway: of a pair there are two, alike in all but uplinks, interfaces and their own addresses. */
export interface IntentSite {
  readonly id: SiteId
  readonly role: Role
  readonly labels: readonly string[]
  readonly place: string
  /** In order; [] at hubs. Default: the network's `hubs`. */
  readonly hubs: readonly SiteId[]
  readonly uplinks: readonly IntentUplink[]
  readonly lans: readonly IntentLan[]
  /** By interface. Absent: it speaks BGP to no router of a LAN. */
  readonly bgp?: readonly BgpLan[]
  readonly ospf?: OspfLan
  /** What differs from the network's classes here, by name, complete. */
  readonly classes: readonly SiteClass[]
  /** Where its own lines are wanted otherwise than the network says, by class, complete. Absent: nowhere. */
  readonly preferences?: readonly Preference[]
  /** Its own or the network's. Absent: at any time. */
  readonly maintenance?: Maintenance
}
export interface IntentUplink {
  readonly id: UplinkId
  readonly interface: string
  readonly transport: string
  readonly medium: string
  readonly metered: boolean
  readonly tags: readonly string[]
  /** What it fails together with: every uplink that names the same. */
  readonly risks: readonly RiskId[]
  readonly up: number
  readonly down: number
  /** That of its address; without one what the provider gives, in order. */
  readonly families: readonly Family[]
  readonly address: AddressWithLength | null
  readonly router: Address | null
  readonly public: { readonly address: Address; readonly base: number } | null
}
/** `auto`: where it overlaps what was there before. */
export type Translate = 'auto' | 'always' | 'never'
/** Of a LAN of a site: what clouds and third parties have can't be translated. */
export const modeOf = (translate: Intent['translate'], lan: Pick<IntentLan, 'translate'>): Translate => lan.translate ?? translate?.mode ?? 'never'
/** One prefix of a LAN. A segment may have several at a site, each on an interface of its own with one prefix or more. */
export interface IntentLan {
  readonly segment: SegmentId
  readonly interface: string
  readonly prefix: Prefix
  /** The gateway's own, on the link. */
  readonly address: AddressWithLength
  /** Of a pair, which share `address`: what this gateway alone has on the link. Absent: it is no pair. */
  readonly own?: AddressWithLength
  /** How its hosts leave to the internet. */
  readonly internet: Breakout
  /** `next_hop`: the router on the link, behind which the prefix is; the first neighbor of `bgp`. Absent: connected. */
  readonly via?: Address
  /** Of `bgp`: routed while a neighbor announces it. */
  readonly learned?: true
  /** Absent: as the network says. */
  readonly translate?: Translate
  /** What its hosts call it, once the compiler has made `prefix` what it is in the overlay. Absent: the same. */
  readonly local?: Prefix
  /** As in the Fabric, and absent when not written. */
  readonly dhcp?: Dhcp
  readonly ra?: Advertisement
  readonly trust?: 'dscp'
}
/** `local`: at their own site, over its uplinks. `hub`: over those of its hub, so at a hub the same. */
export type Breakout = 'none' | 'local' | 'hub'
/** A cloud region that hubs join by IPsec. One segment; the rest is refused with "not yet". */
export interface IntentRegion {
  readonly id: RegionId
  readonly provider: 'aws'
  readonly attach: 'transit-gateway'
  readonly routing: 'static'
  /** `eu-west-1`. */
  readonly location: string
  /** The cloud's side and the hubs', which all regions share. */
  readonly asn: number
  readonly hubAsn: number
  /** In order of preference. Default: the network's `hubs`. */
  readonly hubs: readonly SiteId[]
  readonly segment: SegmentId
  /** Sorted by id, their prefixes in order. */
  readonly networks: readonly { readonly id: string; readonly prefixes: readonly Prefix[] }[]
}
/** A third party's IPsec gateway that hubs join. */
export interface IntentPeer {
  readonly id: PeerId
  /** One or two; their order is that of the tunnels of a connection. */
  readonly gateways: readonly PeerGateway[]
  readonly transport: string
  /** In order of preference. Default: the network's `hubs`. */
  readonly hubs: readonly SiteId[]
  /** What is behind it; by segment, then in order. */
  readonly lans: readonly { readonly segment: SegmentId; readonly prefix: Prefix }[]
  /** null: the far inside address of each tunnel. */
  readonly probe: Address | null
  /** Where the addresses inside its tunnels come from, one of a family, IPv4 first; none: where those of clouds do. */
  readonly pools: readonly Prefix[]
  readonly profile: IpsecProfile
}
/** `[where/]what`. `any`: no where was written. `same`: the caller's own node. `site` is an exact id of a site, region or peer. */
export interface Selector {
  readonly where:
    | { readonly kind: 'any' }
    | { readonly kind: 'same' }
    | { readonly kind: 'role'; readonly role: NodeRole }
    | { readonly kind: 'site'; readonly site: NodeId }
    | { readonly kind: 'label'; readonly label: string }
  readonly what:
    | { readonly kind: 'segment'; readonly segment: SegmentId }
    | { readonly kind: 'group'; readonly group: string }
    | { readonly kind: 'service'; readonly service: string }
    /** Behind the arrow of an expectation. */
    | { readonly kind: 'internet' }
  /** As written, canonical. */
  readonly text: string
}
/** What selectors call kinds of nodes. */
export type NodeRole = Role | 'region' | 'peer'
/** Hosts with a name, at any sites: each prefix is inside one LAN, none inside another, in order. */
export interface IntentGroup {
  readonly id: string
  readonly hosts: readonly Prefix[]
}
export interface IntentService {
  readonly id: string
  /** Selectors of segments and groups only. */
  readonly at: readonly Selector[]
  /** The hosts there that answer, in order, each a place of its own; [] = any, and a place is what a node has. */
  readonly endpoints: readonly Prefix[]
  readonly ports: readonly PortRange[]
  readonly trafficClass: ClassId
}
/** Which uplinks: by medium, transport, tag, or `metered`. */
export interface UplinkSelector {
  readonly kind: 'medium' | 'transport' | 'tag' | 'metered'
  readonly value: string
}
export interface IntentClass {
  readonly id: ClassId
  readonly dscp: number
  readonly share: number
  readonly sla: Sla
  readonly prefer: readonly UplinkSelector[]
  readonly avoid: readonly UplinkSelector[]
  readonly never: readonly UplinkSelector[]
}
/** Which uplinks a class takes. */
export type Preference = Pick<IntentClass, 'id' | 'prefer' | 'avoid' | 'never'>
/** A line of `allow` or `deny`. */
export interface IntentLine {
  readonly from: Selector
  readonly to: Selector
  /** Empty when `to` is a service: the service's ports. Else [any] unless written. */
  readonly ports: readonly PortRange[]
  /** The first packet of each connection, at its owners. */
  readonly log: boolean
}
export type IntentExpect =
  | {
      readonly kind: 'reach'
      readonly from: Selector
      readonly to: Selector
      readonly mode: 'any' | 'all'
      readonly survives: readonly Survives[]
      /** Absent: nothing is asked of the ways. */
      readonly ways?: IntentWays
    }
  | { readonly kind: 'isolate'; readonly from: Selector; readonly to: Selector }
  | { readonly kind: 'internet'; readonly from: Selector; readonly to: Selector; readonly reachable: boolean; readonly survives: readonly Survives[] }
  | { readonly kind: 'path'; readonly from: Selector; readonly to: Selector; readonly survives: readonly Survives[]; readonly ways: IntentWays }
/** What is asked of the ways themselves; as in the Fabric. */
export interface IntentWays {
  readonly via: readonly Waypoint[]
  readonly not: readonly Waypoint[]
  readonly symmetric: boolean
  readonly bandwidth: { readonly up: number; readonly down: number }
  readonly withinMs: number
}
