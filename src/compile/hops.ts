/** Tunnels in the order in which they are tried, and the groups that are made of them. */
import type { ClassId, Hop, NodeId, SharedGroup, Tunnel, TunnelEnd, TunnelId } from '#src/fabric/fabric.ts'
import { anyRemote, isDirect, thisNode } from '#src/fabric/groups.ts'
import { type Carried, compareText } from '#src/fabric/ids.ts'
import { isSame } from './arrays.ts'
import type { Price } from './costs.ts'

export type Unnamed = Omit<SharedGroup, 'remotes'>
export type Groups = readonly Unnamed[]
export interface Alike {
  readonly remotes: readonly NodeId[]
  readonly groups: Groups
}
export const isOne = (a: Groups, b: Groups): boolean => a === b
/** Remotes whose groups come out the same share them; by the first of them. */
export function shared(all: readonly Alike[], alike: (a: Groups, b: Groups) => boolean = isSame): readonly SharedGroup[] {
  const merged: { readonly groups: Groups; readonly lists: (readonly NodeId[])[] }[] = []
  for (const { remotes, groups } of all) {
    if (remotes.length === 0) continue
    const same = merged.find((one) => alike(one.groups, groups))
    if (same) same.lists.push(remotes)
    else merged.push({ groups, lists: [remotes] })
  }
  return merged
    .map(({ groups, lists }) => ({ groups, remotes: lists.length === 1 ? lists[0]! : lists.flat().sort(compareText) }))
    .sort((a, b) => compareText(a.remotes[0]!, b.remotes[0]!))
    .flatMap(({ remotes, groups }) => groups.map((group) => ({ remotes, ...group })))
}

/** Whose tunnels are tried, one stage after the other: next node, seconds until a return, its tunnels for a class. */
export type Stage = readonly [next: NodeId, returnAfter: number, hops: (trafficClass: ClassId) => readonly RankedHop[]]
/** `alike`: of classes for whom the hops are the same always the same one, whose list the others share. */
export function groupsVia(classIds: readonly ClassId[], stages: readonly Stage[], alike = (trafficClass: ClassId): ClassId => trafficClass): Groups {
  const known = new Map<ClassId, readonly Hop[]>()
  const viaOf = (trafficClass: ClassId): readonly Hop[] => {
    const via: Hop[] = []
    for (const [stage, [next, returnAfter, hops]] of stages.entries())
      for (const hop of hops(trafficClass)) via.push({ tunnel: hop.tunnel, cost: hop.cost, next: hop.next ?? next, stage, returnAfter })
    known.set(trafficClass, via)
    return via
  }
  return classIds.map((trafficClass): Unnamed => {
    const like = alike(trafficClass)
    return { trafficClass, arrived: 'anywhere', via: known.get(like) ?? viaOf(like) }
  })
}
export const ofFamily =
  (family: Carried) =>
  (group: Unnamed): Unnamed =>
    family === null ? group : { ...group, family }
/** What came in on the mesh goes on directly or not at all (rule 10). */
export const withSplitHorizon = (group: Unnamed): Unnamed[] => [group, { ...group, arrived: 'mesh', via: group.via.filter(isDirect) }]

/** From a hub: tunnels start with the remote's name, or end there. */
export const ofAnyRemote = ({ tunnel, cost }: RankedHop, remote: NodeId): RankedHop => ({
  tunnel: (tunnel.startsWith(`${remote}.`) ? tunnel.replace(remote, anyRemote) : tunnel.replace(`--${remote}.`, `--${anyRemote}.`)) as TunnelId,
  cost,
})
/** From a spoke, with whose name its tunnels start. */
export const ofThisNode = ({ tunnel, cost }: RankedHop, node: NodeId): RankedHop => ({ tunnel: tunnel.replace(node, thisNode) as TunnelId, cost })

/** `next`: where it is not that of the stage. */
export type RankedHop = Pick<Hop, 'tunnel' | 'cost'> & Partial<Pick<Hop, 'next'>>
/** The tunnels between two nodes for a class, best first. */
export function ranked(between: readonly Tunnel[], priceAt: (end: TunnelEnd) => Price): readonly RankedHop[] {
  const hops: { readonly tunnel: TunnelId; readonly cost: number; readonly order: number }[] = []
  for (const tunnel of between) {
    const near = priceAt(tunnel.ends[0])
    const far = tunnel.kind === 'ipsec' ? { cost: near.cost, slot: tunnel.ends[1].member } : priceAt(tunnel.ends[1])
    // `never` at either end leaves the hop out; equal costs go by slot, seen the same from both ends.
    if (near.cost === 'never' || far.cost === 'never') continue
    hops.push({ tunnel: tunnel.id, cost: Math.max(near.cost, far.cost), order: near.slot * 8 + far.slot })
  }
  return hops.sort((a, b) => a.cost - b.cost || a.order - b.order || compareText(a.tunnel, b.tunnel))
}
