/**
 * Every shared noun of the network model, types only. Data flows one way:
 * Intent → Fabric (+ Allocations) → SiteConfig (+ Facts).
 *
 * A Fabric holds no key, cloud id, observed endpoint or file position, so it can be verified before anything has
 * enrolled and hashed without moving for a comment. Arrays are sorted by id, nothing is optional.
 */
import type { Address, AddressWithLength, Family, Prefix } from '#src/net/address.ts'
import type { PortRange } from '#src/net/ports.ts'

type Id<Kind extends string> = string & { readonly id: Kind }
export type NetworkId = Id<'network'>
export type SiteId = Id<'site'>
export type RegionId = Id<'region'>
export type PeerId = Id<'peer'>
/** Nodes without a gateway of ours: their end of a tunnel is IPsec by whatever stands there. */
export type ExternalId = RegionId | PeerId
export type NodeId = SiteId | ExternalId
/** An uplink's name, unique within its site only. */
export type UplinkId = Id<'uplink'>
/** `berlin.fiber--frankfurt.isp-a`, `frankfurt.isp-a--aws-eu-west-1.0`: the two ends in the order of `Tunnel.ends`. */
export type TunnelId = Id<'tunnel'>
/**
 * A planned tunnel interface of one site: `hub:isp-a/s0`, `edge:fiber/frankfurt.isp-a`, `mesh:isp-a/dublin.isp-b`,
 * `cloud:isp-a/aws-eu-west-1.0`, `peer:isp-a/partner.0`.
 */
export type InterfaceId = Id<'interface'>
export type SegmentId = Id<'segment'>
export type ClassId = Id<'class'>
/** A word of the intent's own, e.g. `duct-7`. */
export type RiskId = Id<'risk'>

export type Role = 'edge' | 'core'

export interface Fabric {
  readonly network: Network
  readonly sites: readonly Site[]
  readonly regions: readonly Region[]
  readonly peers: readonly Peer[]
  readonly tunnels: readonly Tunnel[]
  /** To every LAN, by prefix: what hubs know. Absent: each of them says it itself. */
  readonly routes?: readonly Route[]
  readonly segments: readonly Segment[]
  readonly classes: readonly TrafficClass[]
  /** Names for people and for `trace`; forwarding never reads them. */
  readonly services: readonly Service[]
  /** Likewise. Absent: none. */
  readonly hostGroups?: readonly HostGroup[]
  /** What fails together; forwarding never reads them. */
  readonly risks: readonly SharedRisk[]
  readonly expects: readonly Expect[]
  /** Sites at which traffic is interrupted at certain hours only; forwarding never reads it. Absent: none. */
  readonly maintenance?: readonly SiteMaintenance[]
}

/** When what interrupts traffic may be done; any of the windows. */
export interface Maintenance {
  /** IANA, `Europe/Berlin`. */
  readonly timezone: string
  readonly windows: readonly WeekWindow[]
}
/** Wall times of a week. */
export interface WeekWindow {
  /** On which it begins; 0 is Sunday; in order. */
  readonly days: readonly number[]
  /** Minutes after the midnight before; `to` is later, and more than 1440 on the next day. */
  readonly from: number
  readonly to: number
}
export interface SiteMaintenance extends Maintenance {
  readonly site: SiteId
}

export interface Network {
  readonly id: NetworkId
  /** The network's own ULA /48 (RFC 4193); tunnel insides and overlay loopbacks come from it. */
  readonly ula: Prefix
  /** One MTU for the whole overlay, bytes of the inner packet. */
  readonly mtu: number
  /** TCP MSS clamp at owners and transit: mtu − 40 and mtu − 60. */
  readonly mss: { readonly v4: number; readonly v6: number }
  /**
   * What must never leak to local breakout (ip rule 210): RFC 1918, fc00::/7 and every declared LAN prefix, merged. So
   * a new site with private prefixes changes nobody else's.
   */
  readonly pool: readonly Prefix[]
}

export interface Segment {
  readonly id: SegmentId
  readonly index: number
}

/** What `verify` reads of a node, and what its kernel is made to do. */
export interface Forwarding {
  /** LANs this node owns. */
  readonly lans: readonly Lan[]
  /** Overlay prefixes of others, each to a remote; which hop is used is the group's choice. */
  readonly routes: readonly Route[]
  /** `groupsOf` writes them out, one a remote. */
  readonly groups: readonly SharedGroup[]
  /** Allows in which this node owns an end: stateful. */
  readonly rules: readonly Rule[]
  /** Likewise, what no rule lets pass. Absent: none. */
  readonly denies?: readonly Deny[]
  /** Prefixes this node may carry for others: stateless, in both directions. */
  readonly transits: readonly Transit[]
}

/**
 * A gateway with what it owns: mostly all of a site. Of a pair each is one of its own, and both have the same LANs, rules
 * and routes; others know these by the name of the first (`siteOfGateway`), and one of the two carries their traffic.
 */
export interface Site extends Omit<Forwarding, 'routes'> {
  readonly kind: 'site'
  readonly id: SiteId
  readonly index: number
  readonly role: Role
  /** Listed in `hubs:`: terminates spokes and joins the mesh. */
  readonly hub: boolean
  /** Absent, at a hub: all of the Fabric but those to itself. `routesOf` writes them out. */
  readonly routes?: readonly Route[]
  /** In order; the first is the home. Empty at a hub. */
  readonly hubs: readonly SiteId[]
  /** Overlay loopback, source of ICMP packet-too-big. */
  readonly loopback: Address
  readonly uplinks: readonly Uplink[]
  readonly interfaces: readonly Interface[]
  /** Classes that are other than the network's here. Absent: none. */
  readonly classes?: readonly SiteClass[]
  /** Over which of its uplinks hosts leave to the internet here, in order of preference. Absent: none does. */
  readonly exits?: readonly UplinkId[]
  /** The LANs of spokes that do so, sorted; their own are told by the LAN itself. Absent: none. */
  readonly exitsFor?: readonly Prefix[]
  /** The home hub, to which its LANs send what leaves there; the next one in the way is an exit as well. Absent: none does. */
  readonly exitHub?: SiteId
  /** By interface. Absent: it speaks BGP to no router of a LAN. */
  readonly bgp?: readonly BgpLan[]
  readonly ospf?: OspfLan
}
/** Routers of a LAN, which announce parts of what is declared to be behind them: `Lan.learned`. */
export interface LanRouters {
  readonly segment: SegmentId
  readonly interface: string
  /** On connected prefixes of the interface, or link-local; in order. */
  readonly neighbors: readonly Address[]
}
/** BGP-4 (RFC 4271). */
export interface BgpLan extends LanRouters {
  /** Theirs, and the gateway's own. They differ: a session inside an AS would want all of its routers (RFC 4271 section 5.1.5). */
  readonly asn: number
  readonly localAsn: number
  /** Seconds of silence after which a session is over; keepalives come in a third of it. */
  readonly hold: number
  /** How many prefixes a neighbor may announce within the declared ones; with more its session is closed for a minute. */
  readonly maxPrefixes: number
}
/**
 * OSPFv2 (RFC 2328) with neighbors of IPv4, OSPFv3 (RFC 5340) with those of IPv6, by their link-local addresses; on one LAN of
 * a gateway: whatever it is told there it would tell on every other. What the overlay has goes into it as AS-external routes of
 * type 2.
 */
export interface OspfLan extends LanRouters {
  /** Dotted, as an address. */
  readonly area: Address
  /** Seconds: all routers of a LAN have the same, or they are no neighbors (RFC 2328 section 10.5). */
  readonly hello: number
  readonly dead: number
}
/** What a site asks of its own paths, and guarantees on its own lines. */
export type SiteClass = Pick<TrafficClass, 'id' | 'share' | 'sla'>

export interface Uplink {
  readonly id: UplinkId
  /** 0–7 within the site, allocated: routing table, mark and the slot of hub interfaces. */
  readonly slot: number
  /** The OS's interface name. */
  readonly interface: string
  readonly transport: string
  readonly medium: string
  readonly metered: boolean
  readonly tags: readonly string[]
  /** bit/s, away from the site and towards it; 0 = not stated. */
  readonly up: number
  readonly down: number
  readonly endpoint: Endpoint
}

export type Endpoint =
  /** `public` = what others dial (own address, or forwarded); ports map base + (port − 51820) when `base` is not 51820. */
  | { readonly kind: 'fixed'; readonly address: AddressWithLength; readonly router: Address; readonly public: Address; readonly base: number }
  /** `families`: what the provider gives. Absent: IPv4. */
  | { readonly kind: 'dynamic'; readonly families?: readonly Family[] }

export interface Lan {
  readonly segment: SegmentId
  /** The OS's interface name. */
  readonly interface: string
  /** In the overlay, where nobody else has it. */
  readonly prefix: Prefix
  /** The gateway's own address on it, or on the link to its next hop, as its hosts know it. */
  readonly address: AddressWithLength
  /** Of a pair, which share `address` by VRRP (RFC 9568): what this gateway alone has there. Absent: it is no pair. */
  readonly own?: AddressWithLength
  /**
   * Its hosts may open connections to whatever is outside the pool, over the exits of this site or of its hub, and behind
   * their addresses (NAPT, RFC 3022). Nothing from there opens one to them. Absent: they may not.
   */
  readonly internet?: 'local' | 'hub'
  /** The next hop, a router on a connected prefix of the same interface. Absent: the prefix is connected itself. */
  readonly via?: Address
  /** Led to only while a router of the LAN announces it or a part of it; `via` is the first of those that may. Absent: always. */
  readonly learned?: true
  /**
   * What its own hosts call it, of the same length: the owner translates host for host. A Fabric speaks of the overlay and
   * nothing else does, so rules and places say `prefix`. Absent: the same.
   */
  readonly local?: Prefix
  /** What the gateway does for hosts there that ask for an address. As its hosts know it. Absent: nothing. */
  readonly dhcp?: Dhcp
  /** Hosts make addresses of this /64 themselves, and have the gateway as their router (RFC 4861, RFC 4862). Absent: no. */
  readonly ra?: Advertisement
  /** The DSCP of its hosts chooses the class where the rule gives `default`. Absent: it is overwritten. */
  readonly trust?: 'dscp'
}
export type Dhcp = DhcpServer | DhcpRelay
/** RFC 2131. Their router is the gateway. */
export interface DhcpServer {
  readonly kind: 'server'
  /** Both ends are leased, too. */
  readonly range: { readonly first: Address; readonly last: Address }
  /** Seconds. */
  readonly lease: number
  /** Resolvers, in order. */
  readonly dns: readonly Address[]
  /** '' = none. */
  readonly domain: string
  /** By name; always the same address for a host, inside the range or beside it. */
  readonly reserved: readonly { readonly name: string; readonly mac: string; readonly address: Address }[]
}
/** RFC 2131's relay agent: packets leave from the gateway's address on the LAN, to a host in the overlay. */
export interface DhcpRelay {
  readonly kind: 'relay'
  readonly server: Address
}
/** RFC 8106. */
export interface Advertisement {
  readonly dns: readonly Address[]
  /** '' = none. */
  readonly domain: string
}

export interface Route {
  readonly segment: SegmentId
  readonly to: Prefix
  readonly remote: NodeId
}

/**
 * The ordered hops to a remote for a class: one nexthop object. Run time may choose among `via` and nothing else, so
 * whatever is steered was verified before. `arrived: 'mesh'` is what a hub does with packets that came in on a mesh
 * interface: only direct tunnels (split horizon), so micro-loops are impossible.
 */
export interface Group {
  readonly remote: NodeId
  readonly trafficClass: ClassId
  readonly arrived: 'anywhere' | 'mesh'
  /** Of its packets: a region with both has connections of each, and one may be down without the other. Absent: either. */
  readonly family?: Family
  readonly via: readonly Hop[]
}
/**
 * The groups of remotes that are reached alike, as a hub's spokes are: in `tunnel` and `next`, `*` stands for the remote.
 * A hub of ten thousand spokes has as many of them as it has kinds of spokes. In `tunnel`, `@` stands for the node that has
 * the group: spokes of a kind have the same `via`, and it is there once.
 */
export interface SharedGroup extends Omit<Group, 'remote'> {
  readonly remotes: readonly NodeId[]
}
/**
 * `stage`: stage n+1 is used only when every hop of stage n is DOWN (direct, then home hub, then the next, then mesh).
 * `returnAfter`: seconds that an earlier stage must be clean before traffic goes back to it from this one.
 * `cost`: order within a stage, from `prefer`, `avoid`, medium and metered; lower is better. `never` leaves a hop out.
 */
export interface Hop {
  readonly tunnel: TunnelId
  readonly next: NodeId
  readonly stage: number
  readonly cost: number
  readonly returnAfter: number
}

/** An allow; absence is drop, so order means nothing. Replies pass by state at the owners. */
export interface Rule {
  readonly id: string
  readonly from: Flow
  readonly to: Flow
  readonly ports: readonly PortRange[]
  readonly trafficClass: ClassId
  /** The first packet of each connection is, at most a few a second. Absent: not. */
  readonly log?: true
}
/** A connection that no allow opens, whichever there are. */
export interface Deny {
  readonly id: string
  readonly from: Flow
  readonly to: Flow
  readonly ports: readonly PortRange[]
  /** Likewise. */
  readonly log?: true
}
export interface Flow {
  readonly segment: SegmentId
  readonly prefixes: readonly Prefix[]
}
/**
 * Everything between a prefix of `a` and one of `b`. Its id is that of the allow; `#out`: who calls is behind this hub,
 * `#in`: who answers. What is denied whatever its port is left out, and then one allow may need several.
 */
export interface Transit {
  readonly id: string
  readonly a: readonly Prefix[]
  readonly b: readonly Prefix[]
}

export interface TrafficClass {
  readonly id: ClassId
  /** Allocated: nft and ip-rule mark, class table. 0 is `default`. */
  readonly index: number
  readonly dscp: number
  /** Per cent of the line. */
  readonly share: number
  readonly sla: Sla
}
/** Infinity is written as 0 = no limit. */
export interface Sla {
  /** Fraction 0–1. */
  readonly loss: number
  readonly latencyMs: number
  readonly jitterMs: number
}

export type Tunnel = WireguardTunnel | IpsecTunnel
interface TunnelBase {
  readonly id: TunnelId
  /** Allocated; names the inside addresses of WireGuard, and what probes call the tunnel. */
  readonly index: number
}
export interface WireguardTunnel extends TunnelBase {
  readonly kind: 'wireguard'
  /** `spoke`: ends[0] is the edge and initiates. `mesh`: ends[0] is the lower site id; it decides for both. */
  readonly role: 'spoke' | 'mesh'
  readonly ends: readonly [TunnelEnd, TunnelEnd]
}
/** One of the tunnels of a connection to a cloud or a third party. ends[0] is the hub; it initiates and decides. */
export type IpsecTunnel = CloudTunnel | PeerTunnel
interface IpsecBase extends TunnelBase, Insides {
  readonly kind: 'ipsec'
}
/** Where an IPsec tunnel has addresses of its own: of each prefix the far end takes the first host, the hub the second. */
export interface Insides {
  /**
   * Allocated /30 of 169.254.0.0/16, or a /30 or /126 of a peer's own pool; of a connection that carries IPv6 a /126 of the
   * network's own /48.
   */
  readonly inside: Prefix
  /** Of a peer with pools of both families: the /126, `inside` being the /30. */
  readonly alsoInside?: Prefix
}
/** Carries the family of its inside alone: a VPN connection of AWS has one (`TunnelInsideIpVersion`). See `carries`. */
export interface CloudTunnel extends IpsecBase {
  readonly role: 'cloud'
  readonly ends: readonly [TunnelEnd, CloudEnd]
  /** Names proposals and lifetimes: `ipsecProfiles` in ipsec.ts. */
  readonly profile: IpsecProfileId
}
export interface PeerTunnel extends IpsecBase {
  readonly role: 'peer'
  readonly ends: readonly [TunnelEnd, PeerEnd]
}
export type IpsecProfileId = 'strong'
export interface IpsecProfile {
  /** strongSwan's notation. IKEv2 only. */
  readonly ike: readonly string[]
  readonly esp: readonly string[]
  /** Seconds that a security association lives at the far end; the hub rekeys before. */
  readonly lifetime: { readonly ike: number; readonly esp: number }
  /** Seconds after which the hub, which initiates, makes new keys. */
  readonly rekey: { readonly ike: number; readonly esp: number }
}
export interface CloudEnd {
  readonly region: RegionId
  readonly connection: ConnectionId
  readonly member: 0 | 1
}
/** `member`: which of the peer's addresses. */
export interface PeerEnd {
  readonly peer: PeerId
  readonly connection: ConnectionId
  readonly member: 0 | 1
}
export interface TunnelEnd {
  readonly site: SiteId
  readonly uplink: UplinkId
  readonly interface: InterfaceId
}

/**
 * hub: one per (own uplink, remote slot), a peer per remote site. edge, mesh: one tunnel, AllowedIPs 0/0. cloud, peer:
 * one IPsec tunnel, `port` for IKE and `port + 1` for ESP in UDP.
 * The kernel device of WireGuard exists once per link-epoch parity: `${stem}p${linkEpoch % 2}`, at most 15 characters;
 * that of IPsec always ends in p0, for IKE rekeys by itself.
 */
export interface Interface {
  readonly id: InterfaceId
  readonly kind: 'hub' | 'edge' | 'mesh' | 'cloud' | 'peer'
  readonly uplink: UplinkId
  readonly stem: string
  /** Even; parity is added. */
  readonly port: number
}

/**
 * One a hub uplink, `frankfurt.isp-a`: two tunnels to a cloud, to a peer one for each of its addresses. To a cloud with IPv6
 * another one, `frankfurt.isp-a:v6`, so that a family that comes later leaves the other alone.
 */
export type ConnectionId = Id<'connection'>
/**
 * A cloud region's gateway. The cloud has no Causeway owner: the other end keeps state and security groups restate the
 * rules. It knows no classes and is never transit; its groups are the same for every class.
 */
export interface Region extends Forwarding {
  readonly kind: 'region'
  readonly id: RegionId
  readonly index: number
  readonly provider: 'aws'
  readonly attach: 'transit-gateway'
  /** The provider's name of it, e.g. `eu-west-1`. */
  readonly location: string
  readonly routing: 'static'
  /** The cloud's side; hubs use `hubAsn`. Both from RFC 6996's 16-bit private range. */
  readonly asn: number
  readonly hubAsn: number
  readonly segment: SegmentId
  readonly networks: readonly CloudNetwork[]
  /** In the order of preference: home hub first, then by uplink, then by family. */
  readonly connections: readonly CloudConnection[]
}
/**
 * A third party's IPsec gateway. It has no Causeway owner: the other end keeps state. How it sends back is its owner's
 * affair, so any of its tunnels that is up may be used, for every class.
 */
export interface Peer extends Forwarding {
  readonly kind: 'peer'
  readonly id: PeerId
  readonly index: number
  /** What hubs dial, one tunnel each from every hub uplink of its family, with the IKE identity that it proves. */
  readonly gateways: readonly PeerGateway[]
  readonly profile: IpsecProfile
  /** What answers ICMP behind it; null: the far inside address of each tunnel. */
  readonly probe: Address | null
  readonly connections: readonly Connection[]
}
export interface PeerGateway {
  readonly address: Address
  readonly id: string
}
/** A VPC that exists; its prefixes are stated, so that `check` works offline, and compared with what the cloud reports. */
export interface CloudNetwork {
  readonly id: string
  readonly prefixes: readonly Prefix[]
}
export interface Connection {
  readonly id: ConnectionId
  readonly site: SiteId
  readonly uplink: UplinkId
  /** The hub uplink's public address and IKE identity: to a cloud, the customer gateway. */
  readonly address: Address
  readonly members: readonly ConnectionMember[]
}
export interface CloudConnection extends Connection {
  readonly members: readonly [ConnectionMember, ConnectionMember]
}
export interface ConnectionMember extends Insides {
  readonly tunnel: TunnelId
}

export interface Place {
  readonly node: NodeId
  readonly segment: SegmentId
  readonly prefixes: readonly Prefix[]
}
export interface Service {
  readonly id: string
  readonly places: readonly Place[]
  readonly ports: readonly PortRange[]
  readonly trafficClass: ClassId
}
/** Hosts with a name: of each place, those that are in it. */
export interface HostGroup {
  readonly id: string
  readonly places: readonly Place[]
}
/** A duct, a pole, a provider's site: what takes down all of its uplinks at once. */
export interface SharedRisk {
  readonly id: RiskId
  readonly uplinks: readonly { readonly site: SiteId; readonly uplink: UplinkId }[]
}
export type Survives = 'uplink' | 'tunnel' | 'hub' | 'gateway' | 'connection' | 'shared_risk' | 'any two uplinks'
/** `text` is the canonical selector pair as written, e.g. `edge/inference -> model-api`. */
export type Expect =
  /** From every place of `from`, `mode: 'any'`: at least one place of `to` answers; `'all'`: each does. */
  | {
      readonly kind: 'reach'
      readonly id: string
      readonly text: string
      readonly from: readonly Place[]
      readonly to: readonly Place[]
      readonly ports: readonly PortRange[]
      readonly mode: 'any' | 'all'
      readonly survives: readonly Survives[]
    }
  | { readonly kind: 'isolate'; readonly id: string; readonly text: string; readonly from: readonly Place[]; readonly to: readonly Place[] }
  /** Hosts of every place of `from` may leave to the internet, or may not. There is no place `to`. */
  | {
      readonly kind: 'internet'
      readonly id: string
      readonly text: string
      readonly from: readonly Place[]
      readonly to: readonly []
      readonly reachable: boolean
      readonly survives: readonly Survives[]
    }
  /** The ways between every place of `from` and every one of `to`, there and back, as far as they reach each other. */
  | {
      readonly kind: 'path'
      readonly id: string
      readonly text: string
      readonly from: readonly Place[]
      readonly to: readonly Place[]
      readonly ports: readonly PortRange[]
      /** What `withinMs` is asked of: a place that answers, or each. */
      readonly mode: 'any' | 'all'
      readonly survives: readonly Survives[]
      /** The first choice passes one of them, with everything up and after each failure of `survives`. Empty: whatever it passes. */
      readonly via: readonly Waypoint[]
      /** No way that run time could ever choose passes one of them, whatever has failed. */
      readonly not: readonly Waypoint[]
      /** There and back over the same sites and lines. */
      readonly symmetric: boolean
      /** bit/s for its class that each caller keeps, away from it and towards it; 0 = not asked. */
      readonly bandwidth: { readonly up: number; readonly down: number }
      /** Until traffic goes another way after each failure of `survives`; 0 = not asked. */
      readonly withinMs: number
    }
/** What a way may pass. An uplink by its name at any site, `fiber`, or at one, `berlin.fiber`. */
export interface Waypoint {
  readonly kind: 'medium' | 'transport' | 'tag' | 'metered' | 'uplink' | 'hub'
  readonly value: string
}
export type Failure =
  | { readonly kind: 'uplink'; readonly site: SiteId; readonly uplink: UplinkId }
  | { readonly kind: 'tunnel'; readonly tunnel: TunnelId }
  | { readonly kind: 'hub'; readonly site: SiteId }
  /** The box at a site that is no hub, with all its uplinks and its LANs. Of a pair, one of the two. */
  | { readonly kind: 'gateway'; readonly site: SiteId }
  /** All tunnels of a connection to a cloud or a peer. */
  | { readonly kind: 'connection'; readonly external: ExternalId; readonly connection: ConnectionId }
  | { readonly kind: 'shared_risk'; readonly risk: RiskId }

// ── Allocations: we decide them, append-only and stable. `compile(intent, held) → { fabric, claims }`. ──
export type Allocation =
  | { readonly kind: 'ula'; readonly owner: NetworkId; readonly value: Prefix }
  | { readonly kind: 'node'; readonly owner: NodeId; readonly value: number }
  /** owner `site/uplink`, value 0–7, unique within the site. */
  | { readonly kind: 'slot'; readonly owner: string; readonly value: number }
  | { readonly kind: 'tunnel'; readonly owner: TunnelId; readonly value: number }
  /** Of IPsec tunnels: a /30 of 169.254.0.0/16 that no cloud reserves, or a /30 or /126 of a pool that a peer states: owner `tunnel@pool` then. */
  | { readonly kind: 'inside'; readonly owner: string; readonly value: Prefix }
  /** What a LAN is called in the overlay: owner `site/prefix@pool`. */
  | { readonly kind: 'overlay'; readonly owner: string; readonly value: Prefix }
  /** A LAN that is itself in the overlay and stays so when others come: owner `site/prefix@value`, the last of several counts. */
  | { readonly kind: 'first'; readonly owner: string; readonly value: number }
  /** owner `site/interface`, value an even port, unique within the site. Hub interfaces have computed ports and need none. */
  | { readonly kind: 'port'; readonly owner: string; readonly value: number }
  | { readonly kind: 'class'; readonly owner: ClassId; readonly value: number }
  | { readonly kind: 'segment'; readonly owner: SegmentId; readonly value: number }

// ── Facts: the world reports them; joined only by `configure`. ──
export type Fact =
  | { readonly kind: 'key'; readonly site: SiteId; readonly interface: InterfaceId; readonly linkEpoch: number; readonly publicKey: string }
  | { readonly kind: 'endpoint'; readonly tunnel: TunnelId; readonly site: SiteId; readonly address: Address; readonly port: number }
  /** The pre-shared key of an IPsec tunnel lies in the vault; a new one raises the link epoch. */
  | { readonly kind: 'psk'; readonly tunnel: TunnelId; readonly linkEpoch: number; readonly ref: SecretRef }
  /** The cloud's outside address of a tunnel, known only after the connection was made. */
  | { readonly kind: 'cloud-endpoint'; readonly tunnel: TunnelId; readonly address: Address }

// ── The lowered form: one site's own part, self-contained, hashed on its own, rendered near 1:1 by providers/linux. ──
export interface SiteConfig extends Forwarding {
  readonly kind: 'site-config'
  readonly network: Network
  readonly site: SiteId
  readonly index: number
  readonly role: Role
  readonly hub: boolean
  /** RFC 3339. Until then the agent says in its probes that it drains, and its peers rank ways through it last. Absent: it doesn't. */
  readonly drainUntil?: string
  readonly loopback: Address
  readonly uplinks: readonly Uplink[]
  /** As of the site. */
  readonly exits?: readonly UplinkId[]
  readonly exitsFor?: readonly Prefix[]
  readonly exitHub?: SiteId
  readonly bgp?: readonly BgpLan[]
  readonly ospf?: OspfLan
  readonly classes: readonly TrafficClass[]
  readonly segments: readonly Segment[]
  /**
   * LANs that the overlay calls something else. All else here speaks of the site's own addresses as its hosts do, and of
   * those of others as the overlay does; the first are translated on their way through a tunnel. Absent: none.
   */
  readonly translations?: readonly Translation[]
  /** With all their link epochs; the agent makes the private keys of those it lacks. */
  readonly interfaces: readonly ReadyInterface[]
  /** Tunnels whose both keys are known; of IPsec, those whose secret and far address are. */
  readonly tunnels: readonly ReadyTunnel[]
  /** Left out for want of a fact, e.g. the other end's key. */
  readonly waiting: readonly TunnelId[]
}
/** Of one size: host for host. */
export interface Translation {
  readonly local: Prefix
  readonly overlay: Prefix
}
export interface ReadyInterface extends Interface {
  readonly linkEpoch: number
  /** Kernel name, with parity. */
  readonly device: string
  /** With parity. */
  readonly listenPort: number
}
/** One peer of one interface, seen from this site. `role`, `probe` and `peer.kind` say the same thing of it. */
export type ReadyTunnel = ReadyWireguard | ReadyIpsec
interface ReadyBase {
  readonly id: TunnelId
  /** `Tunnel.index`: what probes call it. */
  readonly index: number
  readonly interface: InterfaceId
  readonly linkEpoch: number
  readonly uplink: UplinkId
  /** Either end's uplink is metered: as a standby it is probed rarely, and both ends must expect that. */
  readonly metered: boolean
  /** This end decides the path of each class, the other follows its TLV. */
  readonly decides: boolean
  readonly initiates: boolean
  /** Near and far, hosts. WireGuard: /128s of this link epoch. IPsec: of its /30 or /126, the second and the first. */
  readonly inside: Address
  readonly farInside: Address
}
export interface ReadyWireguard extends ReadyBase {
  readonly role: 'spoke' | 'mesh'
  readonly probe: 'stamp'
  readonly remote: SiteId
  readonly remoteUplink: UplinkId
  readonly peer: WireguardPeer
}
export interface WireguardPeer {
  readonly kind: 'wireguard'
  readonly publicKey: string
  readonly endpoint: { readonly address: Address; readonly port: number } | 'roams'
  /** Hub interfaces: the site's overlay prefixes and its inside address. Others: 0/0 and ::/0. */
  readonly allowedIps: readonly Prefix[]
}
/** Near and far, hosts of one family. */
export type InsideEnds = Pick<ReadyBase, 'inside' | 'farInside'>
/** The far end reflects no STAMP and knows no classes; this end decides and initiates. */
export interface ReadyIpsec extends ReadyBase {
  readonly role: IpsecTunnel['role']
  /** Of a tunnel that has addresses of both families: those of IPv6, `inside` being IPv4's. */
  readonly alsoInside?: InsideEnds
  readonly probe: 'icmp'
  /** What answers it, asked through this tunnel whatever the routes say, from the inside of its family. Absent: the far inside. */
  readonly probed?: Address
  readonly remote: ExternalId
  readonly connection: ConnectionId
  readonly member: 0 | 1
  readonly peer: IpsecPeer
}
export interface IpsecPeer {
  readonly kind: 'ipsec'
  /** The far outside address and the port that speaks IKE and ESP in UDP (RFC 3948). */
  readonly address: Address
  readonly port: number
  /** IKE identities: the public address of the uplink, as the cloud's customer gateway states it, and the far end's. */
  readonly localId: string
  readonly remoteId: string
  readonly psk: SecretRef
  /** strongSwan's notation. */
  readonly proposals: { readonly ike: readonly string[]; readonly esp: readonly string[] }
  /** Seconds after which this end makes new keys. Absent (in bundles from before it was said): charon's default. */
  readonly rekey?: IpsecProfile['rekey']
  /** What may come out of it: what is behind the far end. Other sources are dropped, and its DSCP is not trusted. */
  readonly prefixes: readonly Prefix[]
}

/** (term, generation, revision): term rises only by `restore`, generation is the intent's, revision the facts'. */
export interface Triple {
  readonly term: number
  readonly generation: number
  readonly revision: number
}

/** Points into the vault: plans, bundles and workflows carry this, never the secret. */
export interface SecretRef {
  readonly id: string
  readonly version: number
  /** Keyed, 16 hex digits: tells versions apart, says nothing about the secret. */
  readonly fingerprint: string
}

// ── Findings: the one error type from intent to plan. ──
export type Severity = 'error' | 'warning' | 'note'
export interface Finding {
  /** I intent, V verify, P plan, C controller, A agent and installer, L lab, D data plane; three digits. */
  readonly code: string
  readonly severity: Severity
  /** Keys into Origins, most telling first; the first gets the caret. */
  readonly at: readonly string[]
  /** What is wrong, one sentence, no full stop. */
  readonly says: string
  /** What to write or do instead; '' if there is nothing to add. */
  readonly instead: string
  /** A concrete counterexample, one line each. */
  readonly witness: readonly string[]
}
/** Key → where it stands. Kept beside the Fabric, never in it. */
export interface Origin {
  readonly file: string
  readonly line: number
  readonly column: number
  /** Characters, for the caret. */
  readonly length: number
}
export type Origins = Pick<ReadonlyMap<string, Origin>, 'get' | 'has'> & Iterable<readonly [string, Origin]>
