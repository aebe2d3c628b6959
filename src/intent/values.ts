/** Quantities as people write them: rates, durations, percentages, DSCP names, ports of `public:`. */
import type { WeekWindow } from '#src/fabric/fabric.ts'
import { trimmed } from '#src/fabric/quantities.ts'
import { isTimezone, readWindow } from '#src/fabric/windows.ts'
import {
  type Address,
  addressBits,
  addressFromBits,
  type Family,
  familyOf,
  hostOf,
  networkOf,
  type Parsed,
  parseAddress,
  parseAddressWithLength,
  parsePrefix,
  type Prefix,
} from '#src/net/address.ts'

const refuse = (says: string, instead: string) => ({ ok: false, says, instead }) as const
const scale: Readonly<Record<string, number>> = { '': 1, K: 1e3, M: 1e6, G: 1e9, T: 1e12 }

export interface Rate {
  /** bit/s. */
  readonly down: number
  readonly up: number
}

function parseBits(text: string): number | undefined {
  const match = /^(\d{1,12}(?:\.\d{1,3})?)([KMGT]?)$/.exec(text)
  if (!match) return undefined
  const bits = Math.round(Number(match[1]) * scale[match[2]!]!)
  return bits >= 1000 && bits <= 100e12 ? bits : undefined
}

/** `500M/100M` = down/up, `300M` both ways; K, M, G, T are powers of 1000; bit/s from 1K to 100T. */
export function parseRate(text: string): Parsed<Rate> {
  const parts = text.split('/')
  const down = parseBits(parts[0]!)
  const up = parts.length === 1 ? down : parseBits(parts[1]!)
  if (parts.length > 2 || down === undefined || up === undefined) {
    return refuse(`"${text}" is not a rate`, 'write bits per second as down/up like 500M/100M, or once for both like 1G')
  }
  return { ok: true, value: { down, up } }
}

/** `120ms`, `1.5s`; milliseconds, from 1 ms to 60 s. `none` is 0: no limit. */
export function parseDuration(text: string): Parsed<number> {
  if (text === 'none') return { ok: true, value: 0 }
  const match = /^(\d{1,6}(?:\.\d{1,3})?)(ms|s)$/.exec(text)
  const ms = match ? Number(match[1]) * (match[2] === 's' ? 1000 : 1) : Number.NaN
  if (ms >= 1 && ms <= 60_000) return { ok: true, value: ms }
  const unitless = /^\d{1,6}$/.test(text)
  return refuse(
    `"${text}" is not a time${unitless ? ', its unit is missing' : ''}`,
    unitless ? `write ${text}ms, or ${text}s` : 'write a time from 1ms to 60s like 120ms, or none',
  )
}

const lifetimeUnits = { s: 1, m: 60, h: 3600 } as const
/** `8h`, `50m`, `3600s` in seconds; its range is judged where it is used. */
export function parseLifetime(text: string): Parsed<number> {
  const match = /^(\d{1,6})([smh])$/.exec(text)
  const seconds = match ? Number(match[1]) * lifetimeUnits[match[2] as keyof typeof lifetimeUnits] : 0
  return seconds > 0 ? { ok: true, value: seconds } : refuse(`"${text}" is not a lifetime`, 'write hours, minutes or seconds, like 8h, 50m or 3600s')
}
/** The inverse of `parseLifetime`. */
export const formatLifetime = (seconds: number): string =>
  seconds % 3600 === 0 ? `${seconds / 3600}h` : seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s`

/** An area of OSPF (RFC 2328, appendix C.2): dotted, or the number of 32 bits that stands for. */
export function parseArea(text: string): Parsed<Address> {
  const number = /^\d{1,10}$/.test(text) ? BigInt(text) : undefined
  if (number !== undefined && number < 1n << 32n) return { ok: true, value: addressFromBits(4, number) }
  const dotted = parseAddress(text)
  return dotted.ok && familyOf(dotted.value) === 4
    ? dotted
    : refuse(`"${text}" is not an area of OSPF`, 'write it as at the router: 0.0.0.0, or a number like 1')
}

/** `2%`, `0.5%` as a fraction 0–1; more than 0, less than 100. `none` is 0: no limit. */
export function parsePercent(text: string): Parsed<number> {
  if (text === 'none') return { ok: true, value: 0 }
  const match = /^(\d{1,2}(?:\.\d{1,4})?)%$/.exec(text)
  // Scaled by text, not by division: 0.07 % must be 0.0007 on every machine and in every hash.
  const fraction = match ? Number(`${match[1]}e-2`) : 0
  if (fraction > 0) return { ok: true, value: fraction }
  const unitless = /^\d{1,2}(\.\d+)?$/.test(text)
  return refuse(
    `"${text}" is not a percentage`,
    unitless && Number(text) > 0
      ? Number(text) < 1
        ? `write ${trimmed(Number(text) * 100)}%, or ${text}%`
        : `write ${text}%`
      : 'write more than 0% and less than 100%, like 2%, or none',
  )
}

/** A share of the line: `30` or `30%`, whole numbers from 1 to 100. */
export function parseShare(text: string): Parsed<number> {
  const match = /^(\d{1,3})%?$/.exec(text)
  const share = match ? Number(match[1]) : 0
  if (share >= 1 && share <= 100) return { ok: true, value: share }
  return refuse(`"${text}" is not a share`, 'write a whole percentage from 1 to 100, like 30%')
}

/** Names by RFC 2474 (CS), RFC 2597 (AF), RFC 3246 (EF), RFC 5865 (VA), RFC 8622 (LE). */
const codePoints: ReadonlyMap<string, number> = new Map([
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((n) => [`CS${n}`, n * 8] as const),
  ...[1, 2, 3, 4].flatMap((n) => [1, 2, 3].map((drop) => [`AF${n}${drop}`, n * 8 + drop * 2] as const)),
  ['EF', 46],
  ['VA', 44],
  ['LE', 1],
])
export function parseDscp(text: string): Parsed<number> {
  const named = codePoints.get(text.toUpperCase())
  if (named !== undefined) return { ok: true, value: named }
  if (/^\d{1,2}$/.test(text) && Number(text) <= 63) return { ok: true, value: Number(text) }
  return refuse(`"${text}" is not a DSCP`, 'write a name like EF, AF21, CS1 or LE, or a number from 0 to 63')
}

export interface PublicEndpoint {
  readonly address: Address
  /** The outside port that is forwarded to 51820; others follow by the same distance. */
  readonly base: number
}
/** `203.0.113.7`, `203.0.113.7:40000`, `[2001:db8::7]:40000`. */
export function parsePublic(text: string): Parsed<PublicEndpoint> {
  const match = /^\[([^\]]*)\](?::(\d{1,5}))?$/.exec(text) ?? /^([^:]*):(\d{1,5})$/.exec(text) ?? [text, text, undefined]
  const address = parseAddress(match[1] ?? '')
  const instead = 'write the address that others dial, like 203.0.113.7, or with its first forwarded port, like 203.0.113.7:40000'
  if (!address.ok) return refuse(`"${text}" is not a public endpoint`, instead)
  const base = match[2] === undefined ? 51820 : Number(match[2])
  if (base < 1024 || base > 65535) return refuse(`port ${base} of "${text}" is out of range`, 'write a port from 1024 to 65535')
  return { ok: true, value: { address: address.value, base } }
}

/** What an uplink without an address of its own may have. */
export const uplinkFamilies = ['ipv4', 'ipv6', 'both'] as const
export const familiesNamed: Readonly<Record<(typeof uplinkFamilies)[number], readonly Family[]>> = { ipv4: [4], ipv6: [6], both: [4, 6] }

/** Kinds of last mile that an uplink can be. Its name says it when it begins with one: `lte`, `lte2`, `fiber-b`. */
export const media = ['ethernet', 'fiber', 'cable', 'dsl', 'radio', 'lte', '5g', 'sat'] as const
export type Medium = (typeof media)[number]
export function mediumOfName(name: string): Medium {
  const first = name.replace(/-.*/, '')
  return media.find((medium) => first === medium || first.replace(/\d+$/, '') === medium) ?? 'ethernet'
}
export const meteredByDefault = (medium: string): boolean => medium === 'lte' || medium === '5g' || medium === 'sat'

/** What names look like. One hyphen at a time: tunnel ids join two ends by `--`. */
export const namePattern = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/
export const nameLimit = 40
/** `U+043E`. */
export const codePointOf = (character: string): string => `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`
/** `: "о" in it is U+043E`, of a character that looks like another, or like nothing; '' when each is of ASCII. */
export function strangeIn(text: string): string {
  const [found] = /[^\x20-\x7E]/u.exec(text) ?? []
  if (found === undefined) return ''
  const code = codePointOf(found)
  return /[\p{C}\p{Z}\p{M}]/u.test(found) ? `: it holds ${code}, which nobody sees` : `: "${found}" in it is ${code}`
}

export function parseName(text: string): Parsed<string> {
  if (namePattern.test(text) && text.length <= nameLimit) return { ok: true, value: text }
  if (text.length > nameLimit) return refuse(`the name "${text.slice(0, 16)}…" has ${text.length} characters`, `write at most ${nameLimit}`)
  const strange = strangeIn(text)
  if (strange !== '')
    return refuse(`"${text}" is not a name${strange}`, 'write lower-case letters of a to z, digits and single hyphens, a letter first')
  const fixed = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^[-0-9]+|-+$/g, '')
  return refuse(
    `"${text}" is not a name`,
    // What begins with a digit means something with it: 5g is not g.
    fixed === '' || /^\d/.test(text)
      ? 'write lower-case letters, digits and single hyphens, a letter first'
      : `write ${fixed}: lower-case letters, digits and single hyphens, a letter first`,
  )
}

/** A LAN, which is more than one host: the gateway is on it too. Its own address is what is mostly written in place of the network. */
export function parseLan(text: string): Parsed<Prefix> {
  const parsed = parsePrefix(text)
  if (parsed.ok) return parsed
  const gateway = parseAddressWithLength(text)
  if (gateway.ok)
    return { ...parsed, instead: `write ${networkOf(gateway.value)}, and address: ${hostOf(gateway.value)} if the gateway has that one` }
  const alone = parseAddress(text)
  return alone.ok ? { ...parsed, instead: `add the network's length, like ${text}/${familyOf(alone.value) === 4 ? 24 : 64}` } : parsed
}

/** A line for people, of any script. Control characters mean something to terminals, and NUL is in no text of PostgreSQL. */
export function parsePlace(text: string): Parsed<string> {
  const line = text.trim().replaceAll(/\s+/g, ' ')
  const [found] = /[\p{Cc}\p{Cs}]/u.exec(line) ?? []
  return found === undefined
    ? { ok: true, value: line }
    : refuse(`"${line}" holds ${codePointOf(found)}, which nobody sees`, 'write where it is as people say it, like Berlin, DE')
}

/** Linux: IFNAMSIZ is 16 with the closing zero. */
export function parseInterface(text: string): Parsed<string> {
  if (text.length > 15) return refuse(`interface name "${text}" has ${text.length} characters`, 'write at most 15, as Linux does')
  if (!/^[A-Za-z][A-Za-z0-9._-]*$/.test(text))
    return refuse(`"${text}" is not an interface name`, 'write it as `ip link` shows it, like eth0 or bond0.10')
  if (text === 'lo' || /^cw[hemi]\d/.test(text))
    return refuse(
      `interface "${text}" is not for traffic of a site`,
      text === 'lo' ? 'write a real interface like eth0' : 'names like this one are made by Causeway for its tunnels; rename the interface',
    )
  return { ok: true, value: text }
}

/** The inverse of `parsePercent`. */
export const formatPercent = (fraction: number): string => (fraction === 0 ? 'none' : `${trimmed(fraction * 100)}%`)

/** First and last address, of one family: `10.1.10.100-10.1.10.199`. */
export interface AddressRange {
  readonly first: Address
  readonly last: Address
}
export function parseRange(text: string): Parsed<AddressRange> {
  const [first, last, ...more] = text.split('-').map((part) => parseAddress(part.trim()))
  if (!first?.ok || !last?.ok || more.length > 0)
    return refuse(`"${text}" is not a range of addresses`, 'write its first and its last address, like 10.1.10.100-10.1.10.199')
  if (familyOf(first.value) !== familyOf(last.value) || addressBits(first.value) > addressBits(last.value))
    return refuse(`${last.value} does not come after ${first.value}`, `write the lower address first, like 10.1.10.100-10.1.10.199`)
  return { ok: true, value: { first: first.value, last: last.value } }
}

/** The inverse of `parseRange`. */
export const formatAddresses = ({ first, last }: AddressRange): string => `${first}-${last}`

const leaseUnits: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400 }
/** `30m`, `12h`, `7d`; seconds. A host that asks again each minute would be busy with nothing else. */
export function parseLease(text: string): Parsed<number> {
  const match = /^(\d{1,4})([mhd])$/.exec(text)
  const seconds = match ? Number(match[1]) * leaseUnits[match[2]!]! : 0
  if (seconds >= 300 && seconds <= 30 * 86_400) return { ok: true, value: seconds }
  return refuse(`"${text}" is not a lease time`, 'write 5m to 30d, like 12h')
}
/** The inverse of `parseLease`. */
export function formatLease(seconds: number): string {
  const unit = ['d', 'h', 'm'].find((each) => seconds % (leaseUnits[each] ?? 1) === 0) ?? 'm'
  return `${seconds / (leaseUnits[unit] ?? 1)}${unit}`
}
/** EUI-48, of one station: `02:00:5e:00:53:01`, also with hyphens. */
export function parseMac(text: string): Parsed<string> {
  const mac = text.toLowerCase().replaceAll('-', ':')
  if (/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac) && (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0 && mac !== '00:00:00:00:00:00')
    return { ok: true, value: mac }
  return refuse(`"${text}" is not the MAC address of a host`, 'write it as `ip link` shows it, like 02:00:5e:00:53:01')
}
/** RFC 1123. */
export function parseDomain(text: string): Parsed<string> {
  const domain = text.toLowerCase()
  const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?'
  if (domain.length <= 253 && new RegExp(`^${label}(\\.${label})*$`).test(domain)) return { ok: true, value: domain }
  return refuse(`"${text}" is not a domain name`, 'write labels joined by dots, like berlin.example.com')
}

/** `sun 02:00-04:00`, `mon-fri 22:00-06:00`, `daily 01:00-03:00`. */
export function parseWindow(text: string): Parsed<WeekWindow> {
  const read = readWindow(text)
  return read.ok
    ? read
    : refuse(`"${text}" is not a maintenance window`, 'write days and hours like "sun 02:00-04:00", "mon-fri 22:00-06:00" or "daily 01:00-03:00"')
}
export const parseTimezone = (text: string): Parsed<string> =>
  isTimezone(text)
    ? { ok: true, value: text }
    : refuse(`"${text}" is not a timezone`, 'write its name in the IANA database, like Europe/Berlin, or UTC')
