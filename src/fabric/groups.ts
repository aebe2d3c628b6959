/** Groups written out, one a remote: what the agent steers and `verify` follows is read here by both. */
import type { Forwarding, Group, Hop, NodeId, SharedGroup, SiteId, TunnelId } from './fabric.ts'
import { compareText } from './ids.ts'
import { onceOf } from '#src/net/once.ts'

/** Stands for the remote in a hop of a shared group, and `*.b` for its second gateway. No node has such a name. */
export const anyRemote = '*' as SiteId
/** Stands in its tunnel for the node that has the group. */
export const thisNode = '@' as SiteId
/** Leads to the remote without passing another node. */
export const isDirect = ({ next }: Hop): boolean => next.startsWith(anyRemote)

/** What tells the groups of a node apart; in the order of `groupsOf`. */
export type GroupName = Pick<Group, 'remote' | 'trafficClass' | 'arrived' | 'family'>
export const groupKey = ({ remote, trafficClass, arrived, family }: GroupName): string =>
  `${remote} ${trafficClass} ${arrived}${family === undefined ? '' : ` ${family}`}`

export const nameOf = ({ remote, trafficClass, arrived, family }: GroupName): GroupName => ({
  remote,
  trafficClass,
  arrived,
  ...(family === undefined ? {} : { family }),
})

/** A node of a Fabric, or a site by its config. */
type Holder = Pick<Forwarding, 'groups'> & ({ readonly id: NodeId } | { readonly site: SiteId })
// Nodes may share them, and a config has those of its site.
const writtenOnce = onceOf<readonly SharedGroup[], Map<NodeId, readonly Group[]>>(() => new Map())
/** By remote, class, where packets arrived, and family. */
export function groupsOf(holder: Holder): readonly Group[] {
  const { groups } = holder
  const node = 'site' in holder ? holder.site : holder.id
  const written = writtenOnce(groups)
  const known = written.get(node)
  if (known) return known
  const all = groups
    .flatMap((group) => {
      const own = ownedBy(group, node)
      return own.remotes.map((remote) => towards(own, remote))
    })
    .sort(
      (a, b) =>
        compareText(a.remote, b.remote) ||
        compareText(a.trafficClass, b.trafficClass) ||
        compareText(a.arrived, b.arrived) ||
        (a.family ?? 0) - (b.family ?? 0),
    )
  written.set(node, all)
  return all
}

/** A shared group as it is at a node for one of its remotes. */
export const groupOf = (group: SharedGroup, node: NodeId, remote: NodeId): Group => towards(ownedBy(group, node), remote)
/** The hops of a shared group as they are at a node: one for each remote where they lead to it, one for all where they pass another node. */
export const hopsOf = (group: SharedGroup, node: NodeId): readonly Hop[] =>
  ownedBy(group, node).via.flatMap((hop) => (isDirect(hop) ? group.remotes.map((remote) => writtenOut(hop, remote)) : [hop]))
/** Its remotes share what the node is called in it. */
const ownedBy = (group: SharedGroup, node: NodeId): SharedGroup =>
  group.via.some(({ tunnel }) => tunnel.includes(thisNode))
    ? { ...group, via: group.via.map((hop) => ({ ...hop, tunnel: hop.tunnel.replace(thisNode, node) as TunnelId })) }
    : group
const towards = ({ via, ...name }: SharedGroup, remote: NodeId): Group => ({
  ...nameOf({ ...name, remote }),
  via: via.some(isDirect) ? via.map((hop) => (isDirect(hop) ? writtenOut(hop, remote) : hop)) : via,
})
const writtenOut = (hop: Hop, remote: NodeId): Hop => ({
  ...hop,
  tunnel: hop.tunnel.replace(anyRemote, remote) as TunnelId,
  next: hop.next.replace(anyRemote, remote) as NodeId,
})
