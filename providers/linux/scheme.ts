/** Every number and name that Causeway puts into a kernel, in one place; README.md explains them. */
import { createHash } from 'node:crypto'
import type { Features } from '../device.ts'
import type { ClassId, NodeId } from '#src/fabric/fabric.ts'
import { firstHubPort, portsEnd } from '#src/fabric/ids.ts'
import type { Family } from '#src/net/address.ts'

/** `protocol` of our routes, rules and nexthops: how they are told from the operating system's. Unassigned in rt_protos. */
export const protocol = 67
export const nftTable = 'causeway'
/** Of what is forwarded from tunnel to tunnel. */
export const transitCounter = 'transit'
/** All tunnel devices begin so (`cwh…`, `cwe…`, `cwm…`, `cwi…`), which lets one nft wildcard name them, old link epochs too. */
export const tunnelPrefix = 'cw'
export const meshPrefix = 'cwm'
export const cloudPrefix = 'cwi'
/** Made by charon, not by WireGuard. */
export const isIpsecDevice = (device: string): boolean => isOurs(device) && device.startsWith(cloudPrefix)
export const isOurs = (device: string): boolean => /^cw[hemi][0-9a-z]*p[01]$/.test(device) && device.length <= 15

export const uplinkTable = (slot: number): number => 7700 + slot
export const guardTable = 7710
/** Where LANs that may leave to the internet do. */
export const exitTable = 7711
/** The same for connections that left by the uplink of this slot, for as long as it leads out. */
export const pinnedTable = (slot: number): number => 7720 + slot
/** Where LANs that leave at the hub go. */
export const hubExitTable = 7712
/** What third parties state to be probed, of IPv6, through each of their tunnels. */
export const probedTable = 7730
/** What a packet that arrived on a mesh interface may use: own LANs and direct tunnels. */
export const meshTable = (classIndex: number): number => 7800 + classIndex
export const classTable = (classIndex: number): number => 7900 + classIndex
/** Priorities 100 + c end where the default class begins. */
export const highestClass = 99

export const classMask = 0xff
export const outerMask = 0xff0000
/** Of connections that left to the internet: by which uplink. Class and outer marks have their own bits. */
export const exitMask = 0xff00
export const exitMark = (slot: number): number => (slot + 1) << 8
/** What came out of a spoke's tunnel to leave here, before it has an uplink. */
export const guestMark = 0xfe00
/** fwmark of the encrypted packets of an uplink. 0 means "no uplink", so slots count from one here. */
export const outerMark = (slot: number): number => (slot + 1) << 16

export const priority = {
  outer: 10,
  uplinkSource: 15,
  /** Probes of what is behind a tunnel, by their source. */
  probed: 16,
  /** What routers of LANs announce, for what arrives on the mesh. */
  learned: 19,
  mesh: 20,
  connected: 30,
  trafficClass: (index: number): number => 100 + index,
  defaultClass: 200,
  guard: 210,
  pinned: (slot: number): number => 220 + slot,
  /** What spokes send to leave here. */
  guests: 229,
  lan: (segmentIndex: number): number => 300 + segmentIndex,
} as const

/** Behind every overlay route, so that a vanished nexthop ends in an ICMP error and never in local breakout. */
export const lastResortMetric = 4096
/** Who encrypts IPsec tunnels. */
export type Esp = Exclude<Features['ipsec'], 'none'>
/** RFC 7296: of the one charon that serves all tunnels with kernel ESP. */
export const wellKnownPorts = { ike: 500, nat: 4500 } as const
/** On which charon listens for a tunnel whose interface has this port. */
export const ikePorts = (esp: Esp, port: number): { readonly ike: number; readonly nat: number } =>
  esp === 'kernel' ? wellKnownPorts : { ike: port, nat: port + 1 }
/**
 * What a gateway may ever listen on and the kernel could give to somebody's client: those of all tunnels, whatever the
 * configuration, because who holds a port when it is reserved keeps it; charon's where the range begins below it.
 */
export const listenedPorts = `${wellKnownPorts.nat},${firstHubPort}-${portsEnd - 1}`
/**
 * Group of `lo` while routes that lead there stand in the main table for zebra alone, which announces what it finds in the
 * kernel: whatever asks that table on a packet's way passes over them (`suppress_ifgroup`).
 */
export const announcedGroup = 7713
/** RFC 4271. */
export const bgpPort = 179
/** RFC 8762. */
export const stampPort = 862

export const hex = (mark: number): string => `0x${mark.toString(16)}`

/**
 * Ids of nexthop objects depend on the group's name alone, so a site that is added renumbers nobody else's. Two names
 * that hash alike are told apart by probing in sorted order.
 */
export function nexthopIds(
  groups: readonly { readonly remote: NodeId; readonly trafficClass: ClassId; readonly arrived: string; readonly family: Family }[],
): ReadonlyMap<string, number> {
  const ids = new Map<string, number>()
  const taken = new Set<number>()
  for (const key of groups.map(nexthopKey).sort()) {
    if (ids.has(key)) continue
    let id = (createHash('sha256').update(key).digest().readUInt32BE(0) & 0x3fffffff) | 0x40000000
    while (taken.has(id)) id = id === 0x7fffffff ? 0x40000000 : id + 1
    taken.add(id)
    ids.set(key, id)
  }
  return ids
}
export const nexthopKey = (of: {
  readonly remote: NodeId
  readonly trafficClass: ClassId
  readonly arrived: string
  readonly family: Family
}): string => `${of.remote} ${of.trafficClass} ${of.arrived} ${of.family}`
