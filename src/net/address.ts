/**
 * IP addresses and prefixes as branded canonical strings. Only the parsers here make them, so a value of
 * type `Address` or `Prefix` anywhere else is known to be well formed (RFC 4291, RFC 5952 text for IPv6).
 */
import { inOrder } from './sorted.ts'

export type Family = 4 | 6
export type Address = string & { readonly brand: 'address' }
/** Network/length with no host bits set, e.g. `10.1.10.0/24`, `fd00:1::/64`. */
export type Prefix = string & { readonly brand: 'prefix' }
/** An interface address, e.g. `192.0.2.10/28`: the host and the length of the link's prefix. */
export type AddressWithLength = string & { readonly brand: 'address-with-length' }

/** Why a text is not what was asked for, and what to write instead. */
export interface ParseFailure {
  readonly ok: false
  /** Set where the caller may want to treat one failure apart. */
  readonly reason?: 'host-bits'
  readonly says: string
  readonly instead: string
}
export type Parsed<T> = { readonly ok: true; readonly value: T } | ParseFailure

interface Bits {
  readonly family: Family
  readonly value: bigint
}
interface PrefixBits extends Bits {
  readonly length: number
  /** Of IPv4: sorts by address, then the shorter first, without the cost of big numbers. */
  readonly order: number
  /** Of IPv6, 16 bits each. */
  readonly groups: readonly number[]
  /** Its first host and its last address, once somebody has asked for them. */
  host?: Address
  high?: bigint
  /** Likewise what its addresses begin with, of IPv6 and a /64 or wider: those numbered below 2^16, and from there to 2^32. */
  heads?: readonly [string, string]
}

export const width = (family: Family): 32 | 128 => (family === 4 ? 32 : 128)

function parseV4(text: string): bigint | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  let value = 0
  for (const part of parts) {
    const byte = Number(part)
    // No leading zeros: some resolvers read 010 as octal 8, and a config that two tools read differently is an outage.
    if (!(byte >= 0 && byte <= 255) || `${byte}` !== part) return undefined
    value = value * 256 + byte
  }
  return BigInt(value)
}

function parseV6(text: string): bigint | undefined {
  if (!/^[0-9a-fA-F:.]+$/.test(text)) return undefined
  let rest = text
  let tail: bigint | undefined
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  if (dotted) {
    tail = parseV4(dotted[2]!)
    if (tail === undefined) return undefined
    rest = `${dotted[1]}0:0`
  } else if (text.includes('.')) return undefined
  const halves = rest.split('::')
  if (halves.length > 2) return undefined
  const groups = (half: string | undefined): number[] | undefined => {
    if (half === undefined || half === '') return []
    const out: number[] = []
    for (const group of half.split(':')) {
      if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined
      out.push(Number.parseInt(group, 16))
    }
    return out
  }
  const head = groups(halves[0])
  const end = groups(halves[1])
  if (!head || !end) return undefined
  const missing = 8 - head.length - end.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined
  let value = 0n
  for (const group of [...head, ...Array<number>(missing).fill(0), ...end]) value = (value << 16n) | BigInt(group)
  return tail === undefined ? value : value | tail
}

function format(family: Family, value: bigint): string {
  if (family === 4) {
    const number = Number(value)
    return `${number >>> 24}.${(number >>> 16) & 255}.${(number >>> 8) & 255}.${number & 255}`
  }
  return formatGroups(Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn)))
}
function formatGroups(groups: readonly number[]): string {
  // RFC 5952: the longest run of two or more zero groups, the first of equals, becomes `::`.
  let [start, longest] = [-1, 1]
  for (let at = 0; at < 8; at++) {
    let length = 0
    while (at + length < 8 && groups[at + length] === 0) length++
    if (length > longest) [start, longest] = [at, length]
    at += length
  }
  let text = ''
  for (let at = 0; at < 8; at++) {
    if (at === start) {
      text += '::'
      at += longest - 1
    } else text += at === 0 || at === start + longest ? groups[at]!.toString(16) : `:${groups[at]!.toString(16)}`
  }
  return text
}

function readAddress(text: string): Bits | undefined {
  const v4 = parseV4(text)
  if (v4 !== undefined) return { family: 4, value: v4 }
  const v6 = text.includes(':') ? parseV6(text) : undefined
  return v6 === undefined ? undefined : { family: 6, value: v6 }
}

const maskOf = (family: Family, length: number): bigint => {
  const bits = width(family)
  return ((1n << BigInt(length)) - 1n) << BigInt(bits - length)
}

export function parseAddress(text: string): Parsed<Address> {
  const bits = readAddress(text)
  if (!bits)
    return { ok: false, says: `"${text}" is not an IP address`, instead: 'write four numbers 0-255 like 192.0.2.10, or IPv6 like fd00:1::10' }
  return { ok: true, value: format(bits.family, bits.value) as Address }
}

function readLength(text: string): { bits: Bits; length: number } | ParseFailure {
  const [host = '', lengthText, ...more] = text.split('/')
  const bits = readAddress(host)
  if (!bits || more.length > 0)
    return { ok: false, says: `"${text}" is not a prefix`, instead: 'write network/length like 10.1.10.0/24 or fd00:1::/64' }
  if (lengthText === undefined)
    return {
      ok: false,
      says: `"${text}" has no length`,
      instead: `write ${text}/${width(bits.family)} for this one host, or add the network's length`,
    }
  if (!/^(0|[1-9]\d{0,2})$/.test(lengthText) || Number(lengthText) > width(bits.family)) {
    return { ok: false, says: `"/${lengthText}" is not a prefix length`, instead: `write a number from 0 to ${width(bits.family)}` }
  }
  return { bits, length: Number(lengthText) }
}

export function parsePrefix(text: string): Parsed<Prefix> {
  const read = readLength(text)
  if ('ok' in read) return read
  const { bits, length } = read
  const network = bits.value & maskOf(bits.family, length)
  const canonical = `${format(bits.family, network)}/${length}`
  if (network !== bits.value) {
    const host = `${format(bits.family, bits.value)}/${width(bits.family)}`
    return { ok: false, reason: 'host-bits', says: `prefix ${text} has host bits set`, instead: `write ${canonical}, or ${host} for this one host` }
  }
  return { ok: true, value: canonical as Prefix }
}

export function parseAddressWithLength(text: string): Parsed<AddressWithLength> {
  const read = readLength(text)
  if ('ok' in read) return { ...read, instead: 'write address/length like 192.0.2.10/28' }
  return { ok: true, value: `${format(read.bits.family, read.bits.value)}/${read.length}` as AddressWithLength }
}

function must<T>(parsed: Parsed<T>): T {
  if (!parsed.ok) throw new TypeError(parsed.says)
  return parsed.value
}
/** For literals in code and tests: throws TypeError on text that isn't one. */
export const address = (text: string): Address => must(parseAddress(text))
export const prefix = (text: string): Prefix => must(parsePrefix(text))
export const addressWithLength = (text: string): AddressWithLength => must(parseAddressWithLength(text))

export const familyOf = (of: Address | Prefix | AddressWithLength): Family => (of.includes(':') ? 6 : 4)
export const addressBits = (of: Address): bigint => readAddress(of)!.value
export const addressFromBits = (family: Family, value: bigint): Address => format(family, value) as Address

// Prefixes are few and looked at often (routes, rules, verification): read each text once.
const cache = new Map<string, PrefixBits>()
const cacheLimit = 200_000
export function prefixBits(of: Prefix): PrefixBits {
  let bits = cache.get(of)
  if (!bits) {
    const at = of.indexOf('/')
    const host = readAddress(of.slice(0, at))!
    const length = Number(of.slice(at + 1))
    const { family, value } = host
    const groups = family === 4 ? [] : Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn))
    bits = { family, value, length, order: family === 4 ? Number(value) * 64 + length : 0, groups }
    if (cache.size >= cacheLimit) cache.clear()
    cache.set(of, bits)
  }
  return bits
}
/** The prefix of `length` bits that holds `value`; host bits are cleared. */
export const prefixFromBits = (family: Family, value: bigint, length: number): Prefix =>
  `${format(family, value & maskOf(family, length))}/${length}` as Prefix

/** The prefix itself, then each that holds it, the narrowest first. */
export function* enclosing(of: Prefix): Generator<Prefix> {
  yield of
  const { family, value, length } = prefixBits(of)
  for (let shorter = length - 1; shorter >= 0; shorter--) yield prefixFromBits(family, value, shorter)
}

/** First and last address as numbers, both included. */
export function rangeOf(of: Prefix): { readonly family: Family; readonly low: bigint; readonly high: bigint } {
  const bits = prefixBits(of)
  return { family: bits.family, low: bits.value, high: highOf(bits) }
}
const highOf = (bits: PrefixBits): bigint => (bits.high ??= bits.value | ((1n << BigInt(width(bits.family) - bits.length)) - 1n))

/** RFC 5952 section 6: `192.0.2.1:51820`, `[2001:db8::1]:51820`. */
export const endpointText = (of: Address, port: number): string => (familyOf(of) === 6 ? `[${of}]:${port}` : `${of}:${port}`)
export const hostPrefix = (of: Address): Prefix => `${of}/${width(familyOf(of))}` as Prefix
/** An address where the prefix holds only one, as people write hosts. */
export const formatHosts = (of: Prefix): string => (lengthOf(of) === width(familyOf(of)) ? hostOf(of) : of)
export const hostOf = (of: AddressWithLength | Prefix): Address => of.slice(0, of.indexOf('/')) as Address
export const lengthOf = (of: AddressWithLength | Prefix): number => Number(of.slice(of.indexOf('/') + 1))
/** The link's prefix of an interface address: `192.0.2.10/28` → `192.0.2.0/28`. */
export const networkOf = (of: AddressWithLength): Prefix => prefixFromBits(familyOf(of), addressBits(hostOf(of)), lengthOf(of))
export const contains = (outer: Prefix, inner: Prefix | Address): boolean => {
  const of = inner.includes('/') ? (inner as Prefix) : hostPrefix(inner as Address)
  return containsBits(prefixBits(outer), prefixBits(of))
}
export function containsBits(wide: PrefixBits, narrow: PrefixBits): boolean {
  if (wide.family !== narrow.family || wide.length > narrow.length) return false
  // Of IPv4 without the cost of big numbers.
  if (wide.family === 4) return Math.floor(wide.order / 64 / 2 ** (32 - wide.length)) === Math.floor(narrow.order / 64 / 2 ** (32 - wide.length))
  return wide.value <= narrow.value && highOf(narrow) <= highOf(wide)
}
export const overlaps = (a: Prefix, b: Prefix): boolean => contains(a, b) || contains(b, a)
/** The n-th address of a prefix, 0 being the network itself; undefined past its end. */
export function nth(of: Prefix, n: number): Address | undefined {
  const bits = prefixBits(of)
  const { family, value: low, length, order, groups } = bits
  // Of an IPv4 prefix or one with room for any number, without the cost of big ones.
  if (family === 4) {
    if (n >= 2 ** (32 - length)) return undefined
    const value = Math.floor(order / 64) + n
    return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}` as Address
  }
  if (length <= 64) {
    if (n > 0 && n < 2 ** 32) {
      bits.heads ??= [formatGroups([...groups.slice(0, 4), 0, 0, 0, 1]).slice(0, -1), formatGroups([...groups.slice(0, 4), 0, 0, 1, 1]).slice(0, -3)]
      return (
        n < 2 ** 16 ? `${bits.heads[0]}${n.toString(16)}` : `${bits.heads[1]}${(n >>> 16).toString(16)}:${(n & 0xffff).toString(16)}`
      ) as Address
    }
    const [upper, lower] = [Math.floor(n / 2 ** 32), n >>> 0]
    return formatGroups([...groups.slice(0, 4), upper >>> 16, upper & 0xffff, lower >>> 16, lower & 0xffff]) as Address
  }
  const { high } = rangeOf(of)
  const value = low + BigInt(n)
  return value > high ? undefined : addressFromBits(family, value)
}
/** The address after the network's own; a single address has no second. */
export function firstHost(of: Prefix): Address {
  const bits = prefixBits(of)
  bits.host ??= nth(of, 1) ?? hostOf(of)
  return bits.host
}
/** Whether a host of this link may have the address. */
export const isHostOf = (link: Prefix, host: Address): boolean => {
  const { family, low, high } = rangeOf(link)
  const bits = addressBits(host)
  // Both addresses of a point-to-point link are hosts (RFC 3021, RFC 6164). IPv6 has no broadcast, and its first address is
  // that of all routers there (RFC 4291 section 2.6.1).
  return contains(link, host) && (width(family) - lengthOf(link) <= 1 || (bits !== low && (family === 6 || bits !== high)))
}
const linkLocal = prefix('fe80::/10')
/** Of IPv6 (RFC 4291 section 2.5.6): how routers on a link know each other. */
export const isLinkLocal = (of: Address): boolean => contains(linkLocal, of)
/** IPv4 before IPv6, then by number, then the shorter length first. */
export const comparePrefixes = (a: Prefix, b: Prefix): number => compareBits(prefixBits(a), prefixBits(b))
export function compareBits(x: PrefixBits, y: PrefixBits): number {
  if (x.family !== y.family) return x.family - y.family
  if (x.family === 4) return x.order - y.order
  if (x.value !== y.value) return x.value < y.value ? -1 : 1
  return x.length - y.length
}
/** In the order of `comparePrefixes`, each text read once. */
export function sortPrefixes(prefixes: readonly Prefix[]): Prefix[] {
  if (prefixes.length < 2) return [...prefixes]
  const keyed = prefixes.map((prefix) => ({ prefix, bits: prefixBits(prefix) }))
  return inOrder(keyed, (a, b) => compareBits(a.bits, b.bits)).map(({ prefix }) => prefix)
}

/** RFC 1918, RFC 4193. */
export const privateSpace: readonly Prefix[] = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'].map(prefix)
