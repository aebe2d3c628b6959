/** IPsec that AWS, Azure and strongSwan all accept; both ends of a tunnel are made from the same entry. */
import type { IpsecProfileId } from './fabric.ts'

export interface IpsecProfile {
  /** strongSwan's notation. IKEv2 only. */
  readonly ike: readonly string[]
  readonly esp: readonly string[]
  /** Seconds that a security association lives at the cloud's end; the hub rekeys before. */
  readonly lifetime: { readonly ike: number; readonly esp: number }
  /** Seconds after which the hub, which initiates, makes new keys. */
  readonly rekey: { readonly ike: number; readonly esp: number }
}
export const ipsecProfiles: Readonly<Record<IpsecProfileId, IpsecProfile>> = {
  strong: {
    ike: ['aes256gcm16-prfsha384-ecp384'],
    esp: ['aes256gcm16-ecp384'],
    lifetime: { ike: 28_800, esp: 3_600 },
    rekey: { ike: 24_000, esp: 3_000 },
  },
}
/** IKE and ESP in UDP on one port (RFC 3948): what a charon of its own can speak behind NAT and beside others. */
export const natTraversalPort = 4500
