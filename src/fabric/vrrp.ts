/** What the two gateways of a site say on its LANs: to each other by VRRP version 3 (RFC 9568), and by OSPF to routers there. */
import type { SiteId } from './fabric.ts'
import { isSecondGateway } from './ids.ts'

export const advertisementMs = 200
export const priorities = { first: 200, second: 100 } as const
/** Master_Down_Interval of the second, section 6.1: three advertisements that don't come, and the skew of its priority. */
export const masterDownMs = 3 * advertisementMs + (advertisementMs * (256 - priorities.second)) / 256

/** By which routers tell who has the LAN. */
export interface OspfMetrics {
  readonly carries: number
  readonly standsBy: number
}
const metrics: Readonly<Record<'first' | 'second', OspfMetrics>> = {
  first: { carries: 20, standsBy: 40 },
  second: { carries: 10, standsBy: 30 },
}
/**
 * Of type 2 (RFC 2328 section 2.3): the smallest one is taken, however far its gateway is. The second that has the LAN is
 * below the first that has it, for it has it when the first is lost, and what that said last stays with routers until its dead
 * interval is over.
 */
export const ospfMetrics = (gateway: SiteId): OspfMetrics => metrics[isSecondGateway(gateway) ? 'second' : 'first']
