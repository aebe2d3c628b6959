/**
 * STAMP probes (RFC 8762, unauthenticated, stateful reflector) with TLVs in the form of RFC 8972. Inside a tunnel only,
 * so the tunnel authenticates them. The 44-byte base is the standard one and so is Extra Padding; our own TLVs have types
 * of the private-use range and carry, in both directions, what each end knows of the path.
 *
 * Hot path: encoding writes into a buffer of the caller's and allocates nothing; decoding allocates one object and one array.
 */

/** What one end tells the other about a path, in probes and replies alike. */
export interface EndView {
  /** Tunnel index (an allocation): which path this is. */
  readonly tunnel: number
  /** Generation that this end runs, 0 when none. */
  readonly generation: number
  /** This end's own verdict on the path. */
  readonly state: PathState
  /** This end is about to stop: rank its paths last. */
  readonly draining: boolean
  /** Probes received from the other end on this path, and the highest sequence number among them (modulo 2³²). */
  readonly received: number
  readonly highest: number
  /** By class index: the tunnel index over which this end sends to the other one, or `noTunnel`. */
  readonly view: readonly number[]
}
export interface Probe extends EndView {
  readonly sequence: number
  /** STAMP Session Identifier (RFC 8972 section 3), 1–65535: tells a restarted sender from the one before. */
  readonly session: number
  /** Milliseconds since 1970 on the sender's clock. */
  readonly sentAt: number
}
export interface Reply extends EndView {
  /** The reflector's own counter (stateful mode): loss is told apart by direction. */
  readonly sequence: number
  readonly session: number
  /** Milliseconds since 1970 on the reflector's clock: reply sent, probe received. */
  readonly sentAt: number
  readonly receivedAt: number
  /** Copied from the probe: its sequence number, and its time on the sender's clock. */
  readonly probeSequence: number
  readonly probeSentAt: number
  /** TTL or hop limit with which the probe arrived, 255 when the reflector can't see it. */
  readonly probeTtl: number
}
export type PathState = 'INIT' | 'UP' | 'DEGRADED' | 'DOWN'

export const stampPort = 862
/** In `view`: no tunnel of this pair of ends is used for the class. */
export const noTunnel = 0xffffffff
/** Largest class index is one less. */
export const maximumClasses = 64
/** A buffer of this size takes any probe without padding. */
export const maximumUnpadded = 44 + 16 + 12 + 4 + 4 * maximumClasses

const baseLength = 44
const tlvHeader = 4
/** Extra Padding of RFC 8972 section 4.1, and ours from its private-use range 252–254. */
const tlv = { padding: 1, path: 252, counters: 253, view: 254 } as const
// RFC 8972 section 4: the sender sets U, the reflector clears it where it understood the TLV.
const unrecognised = 0x80
const malformed = 0x40
// RFC 4656 section 4.1.2, not synchronised (S = 0), 2^(22−32) s ≈ 1 ms: the clock that a gateway has at hand.
const errorEstimate = 0x1601
const states: readonly PathState[] = ['INIT', 'UP', 'DEGRADED', 'DOWN']
const flag = { draining: 1, reply: 2 } as const

const ntpEpoch = 2_208_988_800
const era = 2 ** 32

/** NTP's 64 bits: seconds since 1900 modulo 2³², and a binary fraction (RFC 5905 section 6). */
function writeNtp(into: Buffer, at: number, ms: number): void {
  const seconds = Math.floor(ms / 1000)
  into.writeUInt32BE((((seconds + ntpEpoch) % era) + era) % era, at)
  into.writeUInt32BE(Math.min(era - 1, Math.round(((ms - seconds * 1000) / 1000) * era)), at + 4)
}
function readNtp(from: Buffer, at: number): number {
  const seconds = from.readUInt32BE(at)
  // Era 0 ends in February 2036; a first half of an era is taken as the next one (RFC 4330 section 3).
  const since1970 = seconds - ntpEpoch + (seconds < 0x80000000 ? era : 0)
  return since1970 * 1000 + (from.readUInt32BE(at + 4) / era) * 1000
}

function writeView(into: Buffer, end: EndView, reply: boolean, padTo: number): number {
  const classes = end.view.length
  if (classes > maximumClasses) throw new RangeError(`at most ${maximumClasses} classes fit into a probe, not ${classes}`)
  const flags = reply ? 0 : unrecognised
  let at = writeHeader(into, baseLength, flags, tlv.path, 12)
  into.writeUInt32BE(end.tunnel, at)
  into.writeUInt32BE(end.generation, at + 4)
  into[at + 8] = states.indexOf(end.state)
  into[at + 9] = (end.draining ? flag.draining : 0) | (reply ? flag.reply : 0)
  into.writeUInt16BE(0, at + 10)
  at = writeHeader(into, at + 12, flags, tlv.counters, 8)
  into.writeUInt32BE(end.received, at)
  into.writeUInt32BE(end.highest, at + 4)
  at = writeHeader(into, at + 8, flags, tlv.view, 4 * classes)
  for (let index = 0; index < classes; index++) at = into.writeUInt32BE(end.view[index]!, at)
  if (padTo <= at) return at
  const padding = Math.max(0, padTo - at - tlvHeader)
  at = writeHeader(into, at, flags, tlv.padding, padding)
  into.fill(0, at, at + padding)
  return at + padding
}

function writeHeader(into: Buffer, at: number, flags: number, type: number, length: number): number {
  if (at + tlvHeader + length > into.length) throw new RangeError(`a probe of ${at + tlvHeader + length} bytes does not fit into ${into.length}`)
  into[at] = flags
  into[at + 1] = type
  into.writeUInt16BE(length, at + 2)
  return at + tlvHeader
}

/**
 * Writes a Session-Sender packet and returns its length. `padTo`: length of the UDP payload to reach with Extra Padding
 * (48 bytes less than the MTU to be proved over IPv6); it may come out up to 3 bytes longer than asked for.
 * Throws RangeError when it does not fit into the buffer.
 */
export function encodeProbe(into: Buffer, probe: Probe, padTo = 0): number {
  into.fill(0, 0, baseLength)
  into.writeUInt32BE(probe.sequence, 0)
  writeNtp(into, 4, probe.sentAt)
  into.writeUInt16BE(errorEstimate, 12)
  into.writeUInt16BE(probe.session, 14)
  return writeView(into, probe, false, padTo)
}

/** Writes a Session-Reflector packet; `padTo` is the length of the probe, so that both directions carry the same size. */
export function encodeReply(into: Buffer, reply: Reply, padTo = 0): number {
  into.fill(0, 0, baseLength)
  into.writeUInt32BE(reply.sequence, 0)
  writeNtp(into, 4, reply.sentAt)
  into.writeUInt16BE(errorEstimate, 12)
  into.writeUInt16BE(reply.session, 14)
  writeNtp(into, 16, reply.receivedAt)
  into.writeUInt32BE(reply.probeSequence, 24)
  writeNtp(into, 28, reply.probeSentAt)
  into.writeUInt16BE(errorEstimate, 36)
  into[40] = reply.probeTtl
  return writeView(into, reply, true, padTo)
}

/** undefined: not a probe of ours (too short, a TLV cut or missing, or a reply: a reflector must never answer one). */
export function decodeProbe(packet: Buffer): Probe | undefined {
  const end = readView(packet, false)
  if (!end) return undefined
  return { ...end, sequence: packet.readUInt32BE(0), session: packet.readUInt16BE(14), sentAt: readNtp(packet, 4) }
}

export function decodeReply(packet: Buffer): Reply | undefined {
  const end = readView(packet, true)
  if (!end) return undefined
  return {
    ...end,
    sequence: packet.readUInt32BE(0),
    session: packet.readUInt16BE(14),
    sentAt: readNtp(packet, 4),
    receivedAt: readNtp(packet, 16),
    probeSequence: packet.readUInt32BE(24),
    probeSentAt: readNtp(packet, 28),
    probeTtl: packet[40]!,
  }
}

/** Unknown TLVs are passed over (RFC 8972 section 4), a malformed one spoils the packet. */
function readView(packet: Buffer, reply: boolean): EndView | undefined {
  let path = -1
  let counters = -1
  let view = -1
  let classes = 0
  for (let at = baseLength; at < packet.length; ) {
    if (at + tlvHeader > packet.length) return undefined
    const length = packet.readUInt16BE(at + 2)
    const value = at + tlvHeader
    // M and U are a reflector's verdicts: in a probe they say nothing.
    if (value + length > packet.length || (reply && (packet[at]! & (malformed | unrecognised)) !== 0)) return undefined
    switch (packet[at + 1]) {
      case tlv.path:
        if (length !== 12) return undefined
        path = value
        break
      case tlv.counters:
        if (length !== 8) return undefined
        counters = value
        break
      case tlv.view:
        if (length % 4 !== 0 || length > 4 * maximumClasses) return undefined
        view = value
        classes = length / 4
        break
    }
    at = value + length
  }
  if (path < 0 || counters < 0 || view < 0) return undefined
  const state = states[packet[path + 8]!]
  const flags = packet[path + 9]!
  if (state === undefined || ((flags & flag.reply) !== 0) !== reply) return undefined
  const tunnels: number[] = []
  for (let index = 0; index < classes; index++) tunnels.push(packet.readUInt32BE(view + 4 * index))
  return {
    tunnel: packet.readUInt32BE(path),
    generation: packet.readUInt32BE(path + 4),
    state,
    draining: (flags & flag.draining) !== 0,
    received: packet.readUInt32BE(counters),
    highest: packet.readUInt32BE(counters + 4),
    view: tunnels,
  }
}
