/** Which connection carries a cloud's return traffic: the cloud's own choice, made for it by whoever may move its routes. */
import type { ConnectionId, Fabric, NodeId, RegionId } from '#src/fabric/fabric.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { comparePrefixes, type Family, familyOf, type Prefix } from '#src/net/address.ts'

/**
 * For every overlay prefix that the region knows, the first connection of its group that isn't in `down`: the verified
 * order of the Fabric, nothing else. All down: the first, so that the route stands where it comes back.
 * By prefix, each pointing to an id of `region.connections`. Throws TypeError when the region isn't in the Fabric.
 */
export function returnRoutes(fabric: Fabric, id: RegionId, down: ReadonlySet<ConnectionId>): ReadonlyMap<Prefix, ConnectionId> {
  const region = fabric.regions.find((one) => one.id === id)
  if (!region) throw new TypeError(`no region "${id}" in network ${fabric.network.id}`)
  const connectionOf = new Map(region.connections.flatMap(({ id, members }) => members.map((member) => [member.tunnel, id] as const)))
  // A cloud knows no classes: the groups of one remote and family are the same for all.
  const keyOf = (remote: NodeId, family?: Family): string => `${remote} ${family ?? ''}`
  const orders = new Map(groupsOf(region).map(({ remote, family, via }) => [keyOf(remote, family), via.map((hop) => connectionOf.get(hop.tunnel)!)]))
  const routes = region.routes.flatMap(({ to, remote }): (readonly [Prefix, ConnectionId])[] => {
    const order = orders.get(keyOf(remote, familyOf(to))) ?? orders.get(keyOf(remote)) ?? []
    const chosen = order.find((id) => !down.has(id)) ?? order[0]
    return chosen === undefined ? [] : [[to, chosen]]
  })
  return new Map(routes.sort(([a], [b]) => comparePrefixes(a, b)))
}
