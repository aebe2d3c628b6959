/** Which addresses may be whose. */
import { type Family, prefix, type Prefix } from '#src/net/address.ts'

/** Not for hosts: this network, loopback, IPv4 in IPv6, link-local, the site-local of old, multicast and reserved (RFC 6890, RFC 4291). */
export const special: readonly Prefix[] = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3', '::/8', 'fe80::/9', 'ff00::/8'].map(prefix)
/** The largest LAN, or network behind a peer: of IPv6, what a registry hands to the largest of providers. */
export const largest: Readonly<Record<Family, number>> = { 4: 8, 6: 16 }
/** What a peer may write for the addresses inside its tunnels. */
export const poolExample: Readonly<Record<Family, string>> = { 4: '169.254.100.0/24', 6: 'fd7e:19c3:5a20::/64' }
