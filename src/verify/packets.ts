/**
 * Exact sets of packets: a `Packets` is a box of source × destination × application ranges, and every operation gives
 * boxes again. Nothing is sampled, so a hole of one address or port is found.
 */
import { addressBits, addressFromBits, type Address, type Family, familyOf, type Prefix, rangeOf } from '#src/net/address.ts'
import { applicationLine, applicationsOf, type PortRange } from '#src/net/ports.ts'

export interface Packets {
  readonly family: Family
  readonly source: Span
  readonly destination: Span
  /** The line of all applications: TCP ports, UDP ports, ICMP, everything else. */
  readonly application: Span
}
/** Both ends included. bigint for addresses and applications alike, so that one code cuts them all. */
export interface Span {
  readonly low: bigint
  readonly high: bigint
}
/** One packet that opens a connection (or its reply, with source and destination exchanged). `port` is the service's. */
export interface Packet {
  readonly source: Address
  readonly destination: Address
  readonly protocol: 'tcp' | 'udp' | 'icmp' | 'other'
  readonly port: number
}

const portCount = 65_536n
const icmpAt = BigInt(applicationLine.icmp)
const otherAt = BigInt(applicationLine.other)
export const everything: Span = { low: 0n, high: otherAt }

export function applicationOf(of: PortRange): Span {
  const { low, high } = applicationsOf(of)
  return { low: BigInt(low), high: BigInt(high) }
}

/** undefined when the two prefixes are of different families. */
export function packetsOf(source: Prefix, destination: Prefix, ports: PortRange): Packets | undefined {
  const from = rangeOf(source)
  const to = rangeOf(destination)
  return from.family === to.family ? { family: from.family, source: from, destination: to, application: applicationOf(ports) } : undefined
}
/** Every product of the three lists that has one family. */
export function packetsBetween(sources: readonly Prefix[], destinations: readonly Prefix[], ports: readonly PortRange[]): readonly Packets[] {
  const out: Packets[] = []
  for (const source of sources) {
    for (const destination of destinations) {
      for (const range of ports) {
        const packets = packetsOf(source, destination, range)
        if (packets) out.push(packets)
      }
    }
  }
  return out
}
export const packetsOfOne = (of: Packet): Packets => {
  const point = (value: bigint): Span => ({ low: value, high: value })
  const application = of.protocol === 'icmp' ? icmpAt : of.protocol === 'other' ? otherAt : BigInt(applicationLine[of.protocol] + of.port)
  return {
    family: familyOf(of.source),
    source: point(addressBits(of.source)),
    destination: point(addressBits(of.destination)),
    application: point(application),
  }
}
export const reversed = (of: Packets): Packets => ({ ...of, source: of.destination, destination: of.source })

export const cutSpan = (a: Span, b: Span): Span | undefined => {
  const low = a.low > b.low ? a.low : b.low
  const high = a.high < b.high ? a.high : b.high
  return low <= high ? { low, high } : undefined
}
export const covers = (outer: Packets, inner: Packets): boolean =>
  outer.family === inner.family &&
  within(outer.source, inner.source) &&
  within(outer.destination, inner.destination) &&
  within(outer.application, inner.application)
export const within = (outer: Span, inner: Span): boolean => outer.low <= inner.low && inner.high <= outer.high

export function intersect(a: Packets, b: Packets): Packets | undefined {
  if (a.family !== b.family) return undefined
  const source = cutSpan(a.source, b.source)
  if (!source) return undefined
  const destination = cutSpan(a.destination, b.destination)
  if (!destination) return undefined
  const application = cutSpan(a.application, b.application)
  return application && { family: a.family, source, destination, application }
}

/** What of `a` is not in `b`: at most six disjoint boxes. */
export function subtract(a: Packets, b: Packets): readonly Packets[] {
  const common = intersect(a, b)
  if (!common) return [a]
  const out: Packets[] = []
  let rest = a
  for (const axis of ['source', 'destination', 'application'] as const) {
    const whole = rest[axis]
    const kept = common[axis]
    if (whole.low < kept.low) out.push({ ...rest, [axis]: { low: whole.low, high: kept.low - 1n } })
    if (whole.high > kept.high) out.push({ ...rest, [axis]: { low: kept.high + 1n, high: whole.high } })
    rest = { ...rest, [axis]: kept }
  }
  return out
}
export function subtractAll(a: Packets, these: readonly Packets[]): readonly Packets[] {
  let rest: readonly Packets[] = [a]
  for (const one of these) {
    if (rest.length === 0) return rest
    rest = rest.flatMap((piece) => subtract(piece, one))
  }
  return rest
}

export interface Entry<T> extends Span {
  readonly value: T
}
export interface Piece<T> extends Span {
  readonly value: T | undefined
}
/**
 * Prefixes as disjoint spans in order, each with the values of all that cover it, the narrowest last. Prefixes nest or
 * are disjoint, so a stack is enough. O(n log n) once, O(log n) a look-up.
 */
export function overlay<T>(entries: readonly Entry<T>[]): readonly Entry<readonly T[]>[] {
  const sorted = [...entries].sort((a, b) => (a.low < b.low ? -1 : a.low > b.low ? 1 : a.high > b.high ? -1 : a.high < b.high ? 1 : 0))
  const out: Entry<readonly T[]>[] = []
  const open: Entry<T>[] = []
  let at = 0n
  const emitTo = (high: bigint): void => {
    if (open.length === 0 || at > high) return
    out.push({ low: at, high, value: open.map((entry) => entry.value) })
    at = high + 1n
  }
  for (const entry of sorted) {
    for (let top = open.at(-1); top && top.high < entry.low; top = open.at(-1)) {
      emitTo(top.high)
      open.pop()
    }
    emitTo(entry.low - 1n)
    at = entry.low
    open.push(entry)
  }
  for (let top = open.at(-1); top; top = open.at(-1)) {
    emitTo(top.high)
    open.pop()
  }
  return out
}
/** Longest-prefix match: of the prefixes that cover a span, the narrowest. */
export const longest = <T>(entries: readonly Entry<T>[]): readonly Entry<T>[] =>
  overlay(entries).map((entry) => ({ ...entry, value: entry.value.at(-1)! }))

/** `span` cut where the value changes; gaps have no value. */
export function cut<T>(entries: readonly Entry<T>[], span: Span): readonly Piece<T>[] {
  // `firstOf` by hand: the proof spends a good part of its time here, and a call for each step is a tenth of it.
  let from = 0
  let to = entries.length
  while (from < to) {
    const middle = (from + to) >> 1
    if (entries[middle]!.high < span.low) from = middle + 1
    else to = middle
  }
  const out: Piece<T>[] = []
  let at = span.low
  for (; from < entries.length && entries[from]!.low <= span.high; from++) {
    const entry = entries[from]!
    if (entry.low > at) out.push({ low: at, high: entry.low - 1n, value: undefined })
    const low = entry.low > at ? entry.low : at
    const high = entry.high < span.high ? entry.high : span.high
    out.push({ low, high, value: entry.value })
    at = high + 1n
  }
  if (at <= span.high) out.push({ low: at, high: span.high, value: undefined })
  return out
}

/** A packet of the set, with addresses that look like hosts: `.10` where that is inside. */
export function sample(of: Packets): Packet {
  const host = (span: Span): Address => {
    const size = span.high - span.low
    return addressFromBits(of.family, span.low + (size >= 20n ? 10n : size >= 2n ? 1n : 0n))
  }
  const at = of.application.low
  const protocol = at < portCount ? 'tcp' : at < icmpAt ? 'udp' : at === icmpAt ? 'icmp' : 'other'
  const port = protocol === 'tcp' || protocol === 'udp' ? Number(at % portCount) : 0
  // Port 0 is legal in a range that means "any port", but nothing listens there.
  const usable = port === 0 && of.application.high > at && (protocol === 'tcp' || protocol === 'udp') ? 1 : port
  return { source: host(of.source), destination: host(of.destination), protocol, port: usable }
}
export const formatPacket = (of: Packet): string =>
  `${of.source} → ${of.destination} ${of.protocol === 'tcp' || of.protocol === 'udp' ? `${of.protocol}/${of.port}` : of.protocol}`
