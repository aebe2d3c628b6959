/** What the prefixes of a gateway's LANs are to each other. */
import { type Address, contains, familyOf, isLinkLocal, networkOf, type Prefix } from '#src/net/address.ts'
import type { Lan } from './fabric.ts'

/** The connected prefix: the LAN's own, or where the next hop to it is. */
export const linkOf = ({ address }: Pick<Lan, 'address'>): Prefix => networkOf(address)

/** A router on the link itself: of its prefix, or known by its link-local address, which is of none. */
export const isOnLink = (link: Prefix, router: Address): boolean => contains(link, router) || (familyOf(link) === 6 && isLinkLocal(router))

/**
 * Hosts that reach each other without their gateway: those of one prefix, and with them what is behind the routers on it.
 * A router sends to its own neighbours directly, so no policy of the gateway stands between them.
 */
export const isSameLan = (a: Pick<Lan, 'address' | 'via'>, b: Pick<Lan, 'address' | 'via'>): boolean =>
  a === b || ((a.via !== undefined || b.via !== undefined) && linkOf(a) === linkOf(b))
