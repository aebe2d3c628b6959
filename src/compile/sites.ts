/** The sites of an intent for passes that remember, and the hubs among them. */
import { compareText } from '#src/fabric/ids.ts'
import type { Intent, IntentSite } from '#src/intent/intent.ts'
import type { List } from './list.ts'
import { createMemo, type Made, type Memo, since } from './memo.ts'

/** In the order of the intent's. Every list "in the order of sites" has its chunks. */
export const sitesOf = ({ sites }: Pick<Intent, 'sites'>, memo: Memo): List<IntentSite> => memo.list('sites', sites)

/** By name. */
export function hubsOf({ hubs, sites }: Pick<Intent, 'hubs' | 'sites'>, memo: Memo = createMemo()): readonly IntentSite[] {
  const ids = new Set<string>(hubs)
  const all = sitesOf({ sites }, memo)
  const found = memo.once(`hubs ${hubs.join(' ')}`, [all], (before?: Made<ReadonlyMap<string, IntentSite>>) => {
    const { gone, come } = since(before, all)
    const left = new Map(before?.value)
    for (const { id } of gone) left.delete(id)
    for (const site of come) if (ids.has(site.id)) left.set(site.id, site)
    return left
  })
  return memo.members(
    'hubs',
    [...found.values()].sort((a, b) => compareText(a.id, b.id)),
  )
}
