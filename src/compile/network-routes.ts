/** Every declared prefix of the network with the node that owns it. */
import type { Route } from '#src/fabric/fabric.ts'
import { isSecondGateway } from '#src/fabric/ids.ts'
import type { Intent } from '#src/intent/intent.ts'
import { comparePrefixes, overlaps } from '#src/net/address.ts'
import { externalsOf } from './externals.ts'
import { createMemo, membersMoved, type Made, type Memo, patched } from './memo.ts'

export interface NetworkRoutes {
  /** By prefix. */
  readonly all: readonly Route[]
  /** An address stands in two of them. */
  readonly overlap: boolean
}

export function networkRoutes(intent: Intent, memo: Memo = createMemo()): NetworkRoutes {
  const toSites = memo.rows('routes to sites', [], [intent.sites], ({ id, lans }) =>
    memo.keep(
      `routes to ${id}`,
      // Those of a pair are known by the name of the first.
      (isSecondGateway(id) ? [] : lans).map((lan): Route => ({ segment: lan.segment, to: lan.prefix, remote: id })),
    ),
  )
  const toExternals = memo.rows('routes to externals', [], [externalsOf(intent, memo)], ({ id, lans }) =>
    lans.map(({ segment, prefix }): Route => ({ segment, to: prefix, remote: id })),
  )
  return memo.once('routes of the network', [toSites, toExternals], (before?: Made<NetworkRoutes>) => {
    const { gone, come: fresh } = membersMoved<Route>(before?.inputs, [toSites, toExternals])
    const all = patched(before?.value.all ?? [], gone, fresh, (a, b) => comparePrefixes(a.to, b.to))
    // Nested or equal prefixes are neighbours once sorted, so only newcomers can have brought an overlap.
    if (before && !before.value.overlap && fresh.length === 0) return { all, overlap: false }
    const asked = before && !before.value.overlap ? new Set(fresh) : null
    let overlap = false
    for (let n = 1; n < all.length && !overlap; n++) {
      const [one, next] = [all[n - 1]!, all[n]!]
      overlap = (asked === null || asked.has(one) || asked.has(next)) && overlaps(one.to, next.to)
    }
    return { all, overlap }
  })
}
