/**
 * Which gateway of a pair carries the traffic of its LANs. By VRRP the first has them while it can, which is while it is
 * there and one of its tunnels is up; else the second. Peers send to whoever says in its probes that it doesn't stand by, so
 * nothing passes the other: its tunnels count as down.
 *
 * Owners keep state, and the two share none. Replies count as passing by state at whoever is on duty, which is true of a
 * connection that was opened since, and of an older one from the next packet of who opened it (conntrack picks it up).
 */
import type { NodeId, SiteId, TunnelId } from '#src/fabric/fabric.ts'
import { secondGateway } from '#src/fabric/ids.ts'
import type { Down, Patience } from './forward.ts'
import type { Model } from './model.ts'

export interface Gateway {
  readonly id: NodeId
  /** Those that end there. */
  readonly tunnels: ReadonlySet<TunnelId>
}
/** Behind which a place is: the first one first. */
export function gatewaysAt(model: Model, site: NodeId): readonly Gateway[] {
  const nodes = [model.node(site), model.node(secondGateway(site as SiteId))].filter((node) => node !== undefined)
  return nodes.map(({ id }) => ({ id, tunnels: nodes.length > 1 ? model.tunnelsAt(id) : none }))
}
const none: ReadonlySet<TunnelId> = new Set()

/**
 * Who may be on duty: when all has settled, the first that can; before that whoever can, for the first waits until it is
 * sure before it takes over again. Where none can it is the first.
 */
export function dutyOf(gateways: readonly Gateway[], down: Down, patience: Patience): readonly Gateway[] {
  const able = gateways.filter(({ tunnels }) => tunnels.values().some((tunnel) => !down(tunnel)))
  if (able.length === 0) return gateways.slice(0, 1)
  return patience === 'settled' ? able.slice(0, 1) : able
}
/** What is down for all others while `one` is on duty. */
export function standingBy(gateways: readonly Gateway[], one: Gateway, down: Down): Down {
  const others = gateways.filter((other) => other !== one)
  return (tunnel) => down(tunnel) || others.some(({ tunnels }) => tunnels.has(tunnel))
}
