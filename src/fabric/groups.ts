/** Groups written out, one a remote: what the agent steers and `verify` follows is read here by both. */
import type { Forwarding, Group, Hop, NodeId, SharedGroup, SiteId, TunnelId } from './fabric.ts'
import { compareText } from './ids.ts'
import { onceOf } from '#src/net/once.ts'

/** Stands for the remote in a hop of a shared group, and `*.b` for its second gateway. No node has such a name. */
export const anyRemote = '*' as SiteId
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

const writtenOnce = onceOf((groups: readonly SharedGroup[]): readonly Group[] =>
  groups
    .flatMap((shared) => shared.remotes.map((remote) => groupOf(shared, remote)))
    .sort(
      (a, b) =>
        compareText(a.remote, b.remote) ||
        compareText(a.trafficClass, b.trafficClass) ||
        compareText(a.arrived, b.arrived) ||
        (a.family ?? 0) - (b.family ?? 0),
    ),
)
/** By remote, class, where packets arrived, and family. */
export const groupsOf = ({ groups }: Pick<Forwarding, 'groups'>): readonly Group[] => writtenOnce(groups)

/** A shared group as it is for one of its remotes. */
export const groupOf = ({ via, ...name }: SharedGroup, remote: NodeId): Group => ({
  ...nameOf({ ...name, remote }),
  via: via.some(isDirect) ? via.map((hop) => (isDirect(hop) ? writtenOut(hop, remote) : hop)) : via,
})
const writtenOut = (hop: Hop, remote: NodeId): Hop => ({
  ...hop,
  tunnel: hop.tunnel.replace(anyRemote, remote) as TunnelId,
  next: hop.next.replace(anyRemote, remote) as NodeId,
})
