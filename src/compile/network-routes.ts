/** Every declared prefix of the network with the node that owns it. */
import type { Route } from '#src/fabric/fabric.ts'
import { isSecondGateway } from '#src/fabric/ids.ts'
import type { Intent } from '#src/intent/intent.ts'
import { comparePrefixes, overlaps } from '#src/net/address.ts'
import { externalsOf } from './externals.ts'
import { List } from './list.ts'
import { createMemo, type Made, membersSince, type Memo } from './memo.ts'
import { sitesOf } from './sites.ts'

export interface NetworkRoutes {
  /** By prefix. */
  readonly all: List<Route>
  /** An address stands in two of them. */
  readonly overlap: boolean
}

export function networkRoutes(intent: Intent, memo: Memo = createMemo()): NetworkRoutes {
  const toSites = memo.rows('routes to sites', [], [sitesOf(intent, memo)], ({ id, lans }) =>
    memo.keep(
      'routes to a site',
      // Those of a pair are known by the name of the first.
      (isSecondGateway(id) ? [] : lans).map((lan): Route => ({ segment: lan.segment, to: lan.prefix, remote: id })),
      id,
    ),
  )
  const toExternals = memo.rows('routes to externals', [], [externalsOf(intent, memo)], ({ id, lans }) =>
    lans.map(({ segment, prefix }): Route => ({ segment, to: prefix, remote: id })),
  )
  return memo.once('routes of the network', [toSites, toExternals], (before?: Made<NetworkRoutes>) => {
    const { gone, come: fresh } = membersSince(before, [toSites, toExternals])
    const all = (before?.value.all ?? none).patched(gone, fresh, byPrefix)
    // Nested or equal prefixes are neighbours once sorted, so only newcomers can have brought an overlap.
    if (before && !before.value.overlap && fresh.length === 0) return { all, overlap: false }
    const meet = (one: Route | undefined, next: Route | undefined): boolean => one !== undefined && next !== undefined && overlaps(one.to, next.to)
    if (!before || before.value.overlap) return { all, overlap: all.all.some((one, n, routes) => meet(one, routes[n + 1])) }
    const places = fresh.map((route) => all.firstFrom(route, byPrefix))
    return { all, overlap: places.some((n) => [n, n + 1].some((next) => meet(all.at(next - 1), all.at(next)))) }
  })
}
const none: List<Route> = List.of([])
const byPrefix = (a: Route, b: Route): number => comparePrefixes(a.to, b.to)
