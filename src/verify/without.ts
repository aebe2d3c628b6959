import type { Deny, Expect, Fabric, NodeId, Peer, Region, Route, Site } from '#src/fabric/fabric.ts'
import { nodeOf } from '#src/fabric/ids.ts'
import type { Prefix } from '#src/net/address.ts'
import { onceOf } from '#src/net/once.ts'

/** The Fabric without some sites and every fact that names one. `ownerOf` knows who has a prefix that is no whole LAN. */
export function without(fabric: Fabric, dropped: ReadonlySet<NodeId>, ownerOf: (prefix: Prefix) => NodeId | undefined): Fabric {
  const kept = (id: NodeId | undefined): boolean => id === undefined || !dropped.has(id)
  const gone = new Set<Prefix>()
  for (const { id, lans } of fabric.sites) if (dropped.has(id)) for (const lan of lans) gone.add(lan.prefix)
  const inKept = (prefix: Prefix): boolean => !gone.has(prefix) && kept(ownerOf(prefix))
  // Thousands of places have one list.
  const inKeptOf = onceOf((prefixes: readonly Prefix[]) => prefixes.filter(inKept))
  const keptOf = onceOf((nodes: readonly NodeId[]) => nodes.filter(kept))
  const routes = onceOf((of: readonly Route[]): readonly Route[] => of.filter(({ to, remote }) => kept(remote) && inKept(to)))
  const part = <R extends Deny>(rules: readonly R[]): readonly R[] =>
    rules.flatMap((rule) => {
      const [from, to] = [inKeptOf(rule.from.prefixes), inKeptOf(rule.to.prefixes)]
      return from.length === 0 || to.length === 0 ? [] : [{ ...rule, from: { ...rule.from, prefixes: from }, to: { ...rule.to, prefixes: to } }]
    })
  const table = <T extends Site | Region | Peer>(node: T): T => ({
    ...node,
    ...(node.routes ? { routes: routes(node.routes) } : {}),
    groups: node.groups.flatMap((group) => {
      const remotes = keptOf(group.remotes)
      return remotes.length === 0 ? [] : [{ ...group, remotes }]
    }),
    transits: node.transits.flatMap((transit) => {
      const [a, b] = [inKeptOf(transit.a), inKeptOf(transit.b)]
      return a.length === 0 || b.length === 0 ? [] : [{ ...transit, a, b }]
    }),
    rules: part(node.rules),
    ...(node.denies ? { denies: part(node.denies) } : {}),
    ...(node.kind === 'site' && node.exitsFor ? { exitsFor: inKeptOf(node.exitsFor) } : {}),
  })
  const tunnels = fabric.tunnels.filter((tunnel) => tunnel.ends.every((end) => kept(nodeOf(end))))
  return {
    ...fabric,
    sites: fabric.sites.filter((site) => kept(site.id)).map(table),
    regions: fabric.regions.map(table),
    peers: fabric.peers.map(table),
    tunnels,
    ...(fabric.routes ? { routes: routes(fabric.routes) } : {}),
    risks: fabric.risks.map((risk) => ({ ...risk, uplinks: risk.uplinks.filter(({ site }) => kept(site)) })),
    expects: fabric.expects.flatMap((expect): Expect[] => {
      const from = expect.from.filter((place) => kept(place.node))
      if (expect.kind === 'internet') return from.length === 0 ? [] : [{ ...expect, from }]
      const to = expect.to.filter((place) => kept(place.node))
      return from.length === 0 || to.length === 0 ? [] : [{ ...expect, from, to }]
    }),
  }
}
