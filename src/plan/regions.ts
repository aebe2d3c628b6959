/** What a change means for each cloud region: how much is made there, what it costs, and whether traffic feels it. */
import type { ConnectionId, Fabric, NodeId, Region, RegionId } from '#src/fabric/fabric.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { counted } from '#src/fabric/plural.ts'
import { regionHash, regionOf } from '#src/fabric/slice.ts'
import { type Family, familyOf } from '#src/net/address.ts'
import { mergePrefixes } from '#src/net/sets.ts'
import { always, byId, type ChangeClass, delta, type Difference, type Judged, judged, policyDeltas, routesDelta } from './changes.ts'
import { awsPrices } from './prices.ts'

export interface RegionChange {
  readonly kind: 'add' | 'change' | 'remove'
  readonly region: RegionId
  /** In the cloud, after the change; before it when the region is removed. */
  readonly resources: number
  /** US dollars an hour of those resources. */
  readonly costPerHour: number
  /** `4 connections, 1 VPC`, `+1 route`. */
  readonly text: string
  readonly class: ChangeClass
}

export function regionChanges(before: Fabric | null, after: Fabric, difference: Difference): readonly RegionChange[] {
  const here = after.regions.flatMap((region): RegionChange[] => {
    const was = before ? regionOf(before, region.id) : undefined
    if (!before || !was) return [{ kind: 'add', ...sizeOf(region), text: partsOf(region), class: 'additive' }]
    if (regionHash(before, region.id) === regionHash(after, region.id)) return []
    return [{ kind: 'change', ...sizeOf(region), ...changeOf(was, region, difference) }]
  })
  const gone = (before?.regions ?? [])
    .filter((region) => !regionOf(after, region.id))
    .map((region): RegionChange => ({ kind: 'remove', ...sizeOf(region), text: partsOf(region), class: 'disruptive' }))
  return [...here, ...gone].sort((a, b) => (a.region < b.region ? -1 : 1))
}

const sizeOf = (region: Region) => ({ region: region.id, resources: resourcesOf(region), costPerHour: costOf(region) })
function partsOf({ connections, networks }: Region): string {
  const six = connections.filter(({ members: [{ inside }] }) => familyOf(inside) === 6).length
  const apart = six > 0 && six < connections.length ? `, ${six} of them for IPv6` : ''
  return `${counted(connections.length, 'connection')}${apart}, ${counted(networks.length, 'VPC')}`
}

/**
 * Everything that is made for a region behind a transit gateway: the gateway and its two route tables; for each VPC a
 * security group, an attachment and its association; for each connection itself and its association, for each address a
 * customer gateway; and the routes, neighbouring prefixes of one way as one.
 */
export function resourcesOf(region: Region): number {
  const { networks, connections, routes } = region
  const connectionOf = new Map(connections.flatMap(({ id, members }) => members.map((member) => [member.tunnel, id] as const)))
  const keyOf = (remote: NodeId, family?: Family): string => `${remote} ${family ?? ''}`
  const first = new Map(groupsOf(region).map(({ remote, family, via }) => [keyOf(remote, family), connectionOf.get(via[0]!.tunnel)]))
  const byConnection = Map.groupBy(
    routes,
    ({ remote, to }): ConnectionId | undefined => first.get(keyOf(remote, familyOf(to))) ?? first.get(keyOf(remote)),
  )
  const toHubs = [...byConnection].flatMap(([id, all]) => (id === undefined ? [] : mergePrefixes(all.map(({ to }) => to))))
  const toNetworks = networks.flatMap((network) => mergePrefixes(network.prefixes))
  const inNetworks = networks.length * mergePrefixes(routes.map(({ to }) => to)).length
  const customerGateways = new Set(connections.map(({ address }) => address)).size
  return 3 + 3 * networks.length + 2 * connections.length + customerGateways + toHubs.length + toNetworks.length + inNetworks
}
/** Connections and VPCs are attachments of the transit gateway; the gateway itself costs nothing. */
export const costOf = ({ connections, networks }: Region): number =>
  roundCents(connections.length * awsPrices.vpnConnection + (connections.length + networks.length) * awsPrices.transitGatewayAttachment)
export const roundCents = (dollars: number): number => Math.round(dollars * 100) / 100

/** Whatever is taken away interrupts what used it; a connection more, a prefix more and a wider allow do not. */
const changeOf = (was: Region, is: Region, difference: Difference): Judged =>
  judged(
    [
      delta('connection', was.connections, is.connections, byId, ({ site }) => !difference.gone.nodes.has(site)),
      delta('VPC', was.networks, is.networks, byId, always),
      routesDelta(was.routes, is.routes, difference.gone),
      ...policyDeltas(was, is, difference),
      delta('setting', [settingsOf(was)], [settingsOf(is)], () => '', always),
    ],
    'order of connections',
  )
const settingsOf = ({ provider, attach, location, routing, asn, hubAsn, segment }: Region) => ({
  provider,
  attach,
  location,
  routing,
  asn,
  hubAsn,
  segment,
})
