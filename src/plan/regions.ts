/** What a change means for each cloud region: how much is made there, what it costs, and whether traffic feels it. */
import type { ConnectionId, Fabric, NodeId, Region, RegionId } from '#src/fabric/fabric.ts'
import { groupsOf } from '#src/fabric/groups.ts'
import { contentHash } from '#src/fabric/hash.ts'
import { counted } from '#src/fabric/plural.ts'
import { regionHash, regionOf } from '#src/fabric/slice.ts'
import { type Family, familyOf } from '#src/net/address.ts'
import { mergePrefixes } from '#src/net/sets.ts'
import type { ChangeClass } from './changes.ts'
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

export function regionChanges(before: Fabric | null, after: Fabric): readonly RegionChange[] {
  const here = after.regions.flatMap((region): RegionChange[] => {
    const was = before ? regionOf(before, region.id) : undefined
    if (!before || !was) return [{ kind: 'add', ...sizeOf(region), text: partsOf(region), class: 'additive' }]
    if (regionHash(before, region.id) === regionHash(after, region.id)) return []
    return [{ kind: 'change', ...sizeOf(region), ...changeOf(was, region) }]
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
export function resourcesOf({ networks, connections, routes, groups }: Region): number {
  const connectionOf = new Map(connections.flatMap(({ id, members }) => members.map((member) => [member.tunnel, id] as const)))
  const keyOf = (remote: NodeId, family?: Family): string => `${remote} ${family ?? ''}`
  const first = new Map(groupsOf({ groups }).map(({ remote, family, via }) => [keyOf(remote, family), connectionOf.get(via[0]!.tunnel)]))
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
function changeOf(was: Region, is: Region): Pick<RegionChange, 'text' | 'class'> {
  const deltas = [
    delta('connection', was.connections, is.connections, (one) => one.id),
    delta('VPC', was.networks, is.networks, (one) => one.id),
    delta('route', was.routes, is.routes, (one) => one.to),
    delta('rule', was.rules, is.rules, (one) => one.id),
    delta('deny', was.denies ?? [], is.denies ?? [], (one) => one.id),
    delta('setting', [settingsOf(was)], [settingsOf(is)], () => ''),
  ]
  return judged(deltas, 'order of connections')
}
/** What moved, as text, and whether traffic that runs feels it. `otherwise`: what it is when none of these did. */
export function judged(deltas: readonly ReturnType<typeof delta>[], otherwise: string): Pick<RegionChange, 'text' | 'class'> {
  const moved = deltas.filter(({ added, removed, changed }) => added + removed + changed > 0)
  const text = moved.map(say).join(', ') || otherwise
  const felt = moved.some(({ noun, added, removed, changed }) =>
    noun === 'deny' ? added + changed > 0 : removed > 0 || (changed > 0 && noun !== 'rule'),
  )
  const grown = moved.length > 0 && moved.every(({ removed, changed }) => removed + changed === 0)
  return { text: `${text}, ${felt ? 'interrupts traffic' : 'no interruption'}`, class: felt ? 'disruptive' : grown ? 'additive' : 'neutral' }
}
const settingsOf = ({ provider, attach, location, routing, asn, hubAsn, segment }: Region) => ({
  provider,
  attach,
  location,
  routing,
  asn,
  hubAsn,
  segment,
})

export function delta<T>(noun: string, was: readonly T[], is: readonly T[], key: (one: T) => string) {
  const old = new Map(was.map((one) => [key(one), contentHash(one)]))
  const now = new Map(is.map((one) => [key(one), contentHash(one)]))
  return {
    noun,
    added: [...now.keys()].filter((id) => !old.has(id)).length,
    removed: [...old.keys()].filter((id) => !now.has(id)).length,
    changed: [...now].filter(([id, hash]) => old.has(id) && old.get(id) !== hash).length,
  }
}
function say({ noun, added, removed, changed }: ReturnType<typeof delta>): string {
  const parts = [
    ...(added > 0 ? [`+${counted(added, noun)}`] : []),
    ...(removed > 0 ? [`−${counted(removed, noun)}`] : []),
    ...(changed > 0 ? [`${counted(changed, noun)} changed`] : []),
  ]
  return parts.join(', ')
}
