/** Address for address between two prefixes of one length: the host part stays (RFC 2663 section 4.1, basic NAT). */
import { type Address, addressBits, addressFromBits, familyOf, hostOf, lengthOf, type Prefix, prefixFromBits, rangeOf } from './address.ts'

/** The same host of another network. */
export function translated(address: Address, from: Prefix, to: Prefix): Address {
  return addressFromBits(familyOf(to), addressBits(address) - rangeOf(from).low + rangeOf(to).low)
}
/** The same part of another network. */
export const transplant = (part: Prefix, from: Prefix, to: Prefix): Prefix =>
  prefixFromBits(familyOf(to), addressBits(translated(hostOf(part), from, to)), lengthOf(part))
/** The statement of nftables that does it to the source or destination of a packet: network replaced, host kept. */
export function nftRewrite(side: 'saddr' | 'daddr', from: Prefix, to: Prefix): string {
  const { family, low, high } = rangeOf(from)
  const field = `${family === 4 ? 'ip' : 'ip6'} ${side}`
  return `${field} ${from} ${field} set ${low === high ? hostOf(to) : `${field} & ${addressFromBits(family, high - low)} | ${hostOf(to)}`}`
}
