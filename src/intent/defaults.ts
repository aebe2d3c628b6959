/** What holds where the files say nothing. */
import type { Sla } from '#src/fabric/fabric.ts'
import { address, type Family, type Prefix, prefix } from '#src/net/address.ts'

/** Seconds: half a day, so that who comes in the morning keeps its address, and one who left is forgotten by the next. */
export const defaultLease = 43_200
export const defaultMtu = 1360
/** RFC 2544 and RFC 5180 keep them for measurements between networks: nobody has hosts in them, and no provider routes them. */
export const translationPools: Readonly<Record<Family, Prefix>> = { 4: prefix('198.18.0.0/15'), 6: prefix('2001:2::/48') }
export const defaultTransport = 'internet'
export const defaultRole = 'edge'
/** RFC 6996: AS numbers of 16 bits that nobody owns. */
export const privateAsns = { first: 64_512, last: 65_534 } as const
/** The hubs' side towards every cloud, and what clouds take by default. */
export const hubAsn = 65_000
export const defaultCloudAsn = 64_512
/** BGP with routers of LANs: the gateway has the AS of the hubs; a dead router is left after nine seconds. */
export const bgpDefaults = { localAsn: hubAsn, hold: 9, maxPrefixes: 100 } as const
/** RFC 2328, appendix C.3 and D: what routers have when nobody says otherwise. */
export const ospfDefaults = { area: address('0.0.0.0'), hello: 10, dead: 40 } as const
export const defaultClass = 'default'

export interface ClassDefaults {
  readonly dscp: number
  readonly share: number
  readonly sla: Sla
}
const noLimit: Sla = { loss: 0, latencyMs: 0, jitterMs: 0 }
/**
 * Marks by RFC 4594 and RFC 8622; realtime's limits are those of a good conversation (ITU-T G.114), business's those of
 * an application that people wait for. `default` takes the share that the others leave.
 */
export const classDefaults: Readonly<Record<'realtime' | 'business' | 'bulk' | 'default', ClassDefaults>> = {
  realtime: { dscp: 46, share: 30, sla: { loss: 0.01, latencyMs: 150, jitterMs: 30 } },
  business: { dscp: 18, share: 40, sla: { loss: 0.02, latencyMs: 300, jitterMs: 0 } },
  bulk: { dscp: 10, share: 10, sla: noLimit },
  default: { dscp: 0, share: 20, sla: noLimit },
}
