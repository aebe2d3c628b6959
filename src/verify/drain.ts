/** What a network loses when one more site is taken out of service, apart from what ends at that site. */
import type { Expect, Fabric, Failure, NodeId, SiteId } from '#src/fabric/fabric.ts'
import { isSecondGateway, secondGateway, siteOfGateway } from '#src/fabric/ids.ts'
import { losers, type Reach } from './reach.ts'
import { type Break, downWith } from './failures.ts'
import { modelOf } from './model.ts'
import { halves } from './words.ts'

/**
 * One sentence each: sites and regions that are left without a hub, and expectations that hold while the sites of `away`
 * are gone, and no longer once `site` is gone too.
 */
export function drainLosses(fabric: Fabric, site: SiteId, away: readonly SiteId[]): readonly string[] {
  const model = modelOf(fabric)
  const before = without(fabric, away, null)
  // The other gateway of a pair carries on.
  const mate = isSecondGateway(site) ? siteOfGateway(site) : secondGateway(site)
  const isPaired = fabric.sites.some(({ id }) => id === mate) && !away.includes(mate)
  const after = without(fabric, [...away, site], isPaired ? null : siteOfGateway(site))
  const reach = fabric.expects.filter((expect: Expect): expect is Reach => expect.kind === 'reach')
  return [
    ...stranded(fabric, site, new Set<NodeId>(away)),
    ...reach.flatMap((expect) => {
      const from = losers(model, expect, before, after)
      return from.length === 0 ? [] : [`${halves(expect.text).to || expect.text} from ${named(from)}`]
    }),
  ]
}

function without(fabric: Fabric, sites: readonly SiteId[], dead: SiteId | null): Break {
  const failures = sites.map((site): Failure => ({ kind: 'hub', site }))
  return { failures, kind: 'hub', down: downWith(fabric, failures).down, dead }
}

/** Whoever has tunnels to this site's hub, and to no other that is there. */
function stranded(fabric: Fabric, site: SiteId, away: ReadonlySet<NodeId>): readonly string[] {
  const hubs = new Map<NodeId, Set<NodeId>>()
  const add = (of: NodeId, hub: NodeId) => hubs.set(of, (hubs.get(of) ?? new Set()).add(hub))
  for (const tunnel of fabric.tunnels) if (tunnel.kind === 'wireguard' && tunnel.role === 'spoke') add(tunnel.ends[0].site, tunnel.ends[1].site)
  for (const { id, connections } of fabric.regions) for (const connection of connections) add(id, connection.site)
  const alone = [...hubs].filter(([of, own]) => !away.has(of) && own.has(site) && [...own].every((hub) => hub === site || away.has(hub)))
  return alone.length === 0 ? [] : [`every way of ${named(alone.map(([of]) => of))}`]
}

const shown = 5
const named = (nodes: readonly NodeId[]): string => {
  const sorted = [...nodes].sort()
  return sorted.length > shown ? `${sorted.slice(0, shown).join(', ')} and ${sorted.length - shown} more` : sorted.join(', ')
}
