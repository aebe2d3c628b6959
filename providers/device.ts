/** The port to a gateway's data plane. Snapshot, guard and confirmation are the agent's: rollback is `set(previous)`. */
import type { Finding, InterfaceId, SecretRef, SegmentId, SiteConfig, TunnelId, UplinkId } from '#src/fabric/fabric.ts'
import type { GroupName } from '#src/fabric/groups.ts'
import type { Address, Prefix } from '#src/net/address.ts'

/** What the box can do, read once at start; shown by `doctor`, checked before a config is accepted. */
export interface Features {
  readonly wireguard: 'kernel' | 'userspace' | 'none'
  readonly nftables: boolean
  readonly nexthops: boolean
  readonly ipsec: 'kernel' | 'userspace' | 'none'
}
export interface KeyStore {
  /** Private key (base64, X25519) of an interface's link epoch. Never leaves the box. */
  privateKey(of: { readonly interface: InterfaceId; readonly linkEpoch: number }): Promise<string>
  /** The pre-shared key of an IPsec tunnel, opened from its sealed form for the moment that it is handed to IKE. */
  secret(ref: SecretRef): Promise<Uint8Array>
}
/** One choice of run time: the index into the group's `via`, or 'unreachable' when all are DOWN. */
export interface Choice extends GroupName {
  readonly hop: number | 'unreachable'
}
/** Over which exit new connections to the internet leave, and which exits lead out: there those that left by them stay. */
export interface Leaving {
  readonly by: UplinkId
  readonly open: readonly UplinkId[]
}
/** What the kernel says of one tunnel, from `wg show all dump`. */
export interface TunnelCounters {
  readonly tunnel: TunnelId
  /** Seconds since the epoch; 0 = never. */
  readonly lastHandshake: number
  readonly rxBytes: number
  readonly txBytes: number
  readonly endpoint: string
}
/** What was forwarded from tunnel to tunnel since the policy was loaded last. */
export interface TransitCount {
  readonly packets: number
  readonly bytes: number
}
/** What routers of LANs say. */
export interface Learning {
  readonly sessions: readonly {
    readonly protocol: 'bgp' | 'ospf'
    readonly segment: SegmentId
    readonly interface: string
    readonly neighbor: Address
    /** RFC 4271 section 8.2.2, RFC 2328 section 10.1. */
    readonly state: string
    readonly up: boolean
  }[]
  /** Declared prefixes of which no router announces anything. */
  readonly missing: readonly Prefix[]
}
export interface DeviceDriver {
  features(): Promise<Features>
  /** Uplink and LAN interfaces of the OS: name, addresses, carrier, default router. Feeds A07 and the enrolment inventory. */
  inventory(): Promise<readonly OsInterface[]>
  /** Features, interfaces, `nft -c`: touches nothing. */
  check(config: SiteConfig): Promise<readonly Finding[]>
  /**
   * Idempotent: applies only the difference between the kernel and `config`. `prune: false` keeps what the config no
   * longer names (make before break) until the commit is confirmed. `choices` are the hops each group starts on.
   */
  set(config: SiteConfig, how: { readonly prune: boolean; readonly choices: readonly Choice[]; readonly keys: KeyStore }): Promise<void>
  /** The hot path of failover: one nexthop replacement each, over a persistent `ip -batch`. */
  steer(choices: readonly Choice[]): Promise<void>
  /** Where hosts leave to the internet from now on. */
  leave(now: Leaving): Promise<void>
  /** Forces a new handshake of a tunnel (peer removed and added), for NATed ends whose hub was recreated. */
  rehandshake(tunnel: TunnelId): Promise<void>
  /**
   * Of a pair: whether this box can carry the traffic of its LANs. To be said again every second, for a box whose agent is
   * silent gives them up.
   */
  offer(able: boolean): Promise<void>
  /** Of a pair: whether it does, or the other. Cheap enough to be asked for each probe. True of a box that is no pair. */
  carries(): boolean
  counters(): Promise<readonly TunnelCounters[]>
  transit(): Promise<TransitCount>
  /** What routers of LANs announce now. Starts what speaks with them again when it died. */
  learning(): Promise<Learning>
  /** Runs the config's route vectors by `ip route get`, reads back peers: [] when the kernel does what the model says. */
  drift(config: SiteConfig): Promise<readonly Finding[]>
  /** Removes everything that is ours. */
  wipe(): Promise<void>
  close(): Promise<void>
}
export interface OsInterface {
  readonly name: string
  readonly up: boolean
  readonly addresses: readonly string[]
  readonly router: string
  readonly mtu: number
}
