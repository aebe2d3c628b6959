/** Which way a node sends what is for others. */
import { onceOf } from '#src/net/once.ts'
import type { Fabric, NodeId, Peer, Region, Route, Site } from './fabric.ts'

// By hub. Fabrics with the same routes have the same list.
const ofHubs = onceOf<readonly Route[], Map<NodeId, readonly Route[]>>(() => new Map())
/** Its own, or as a hub all of the network but those to itself. By prefix. */
export function routesOf(
  { routes: all = none }: Pick<Fabric, 'routes'>,
  { id, routes }: Pick<Site | Region | Peer, 'id' | 'routes'>,
): readonly Route[] {
  if (routes) return routes
  const known = ofHubs(all)
  const made = known.get(id) ?? all.filter(({ remote }) => remote !== id)
  known.set(id, made)
  return made
}
const none: readonly Route[] = []
