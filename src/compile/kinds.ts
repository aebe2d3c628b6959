/** Which nodes are reached alike and reach others alike, so that of ten thousand spokes the lines of a few are ranked. */
import type { NodeId, SiteId, Tunnel, Uplink } from '#src/fabric/fabric.ts'
import { type Carried, compareText, isSecondGateway, secondGateway, siteOfGateway } from '#src/fabric/ids.ts'
import { familiesOf } from '#src/fabric/uplinks.ts'
import type { Intent, IntentSite } from '#src/intent/intent.ts'
import { patched } from './arrays.ts'
import { type External, externalsOf } from './externals.ts'
import type { List } from './list.ts'
import { type Made, type Memo, since } from './memo.ts'
import { sitesOf } from './sites.ts'
import type { Tunnels } from './tunnels.ts'

/** The groups of a node that either family takes the same way. */
export const eitherFamily: readonly Carried[] = [null]
/** A region with one family has no tunnel that would not carry it. */
export const familiesApart = ({ carried }: External): readonly Carried[] => (carried.length > 1 ? carried : eitherFamily)

/**
 * What decides over which tunnels a gateway and its hubs reach each other, and in which order: its hubs, its uplinks as far
 * as they count, and what it prefers. In the order of sites.
 */
export const gatewayKinds = (intent: Intent, { uplinks }: Tunnels, memo: Memo): List<string> => {
  const hubIds = new Set<NodeId>(intent.hubs)
  return memo.rows('kinds of gateways', [intent.hubs.join(' ')], [sitesOf(intent, memo), uplinks], (site, own) => {
    const shapes = own.map(({ id, slot, transport, medium, metered, tags, endpoint }) => [
      id,
      slot,
      transport,
      medium,
      metered,
      tags,
      familiesOf(endpoint),
    ])
    return JSON.stringify([hubIds.has(site.id) ? 'hub' : site.hubs, shapes, ...(site.preferences ?? [])])
  })
}

/** Nodes with prefixes that hubs reach alike: their uplinks differ in nothing that counts, and they end at the same hubs. */
export interface Kind {
  readonly name: string
  readonly sample: { readonly id: NodeId; readonly hubs: readonly SiteId[]; readonly preferences?: IntentSite['preferences'] }
  /** Where each has tunnels of its own: its groups are for one of them. `[null]`: either family takes the same. */
  readonly carried: readonly Carried[]
  /** Of the sample: one, or the two of a pair. */
  readonly gateways: readonly { readonly id: NodeId; readonly uplinks: readonly Uplink[]; readonly own: readonly Tunnel[] }[]
  /** By name. */
  readonly remotes: readonly NodeId[]
}
export function kindsOf(intent: Intent, tunnels: Tunnels, gateways: List<string>, world: readonly unknown[], memo: Memo): readonly Kind[] {
  const { paired, kinds: seconds } = kindsOfSeconds(intent, gateways, memo)
  const names = memo.rows('kinds of sites', [], [sitesOf(intent, memo), gateways, seconds], ({ id, lans }, first, second) => {
    // A pair is reached by the name of its first.
    if (lans.length === 0 || isSecondGateway(id)) return { node: id, kind: null }
    return memo.keep(`kind of ${id}`, { node: id, kind: second === undefined ? first : `${first} ${second}` })
  })
  const members = memo.once('members of kinds', [names], (before?: Made<ReadonlyMap<string, readonly SiteId[]>>) => {
    const { gone, come } = since(before, names)
    const kinds = new Map(before?.value ?? [])
    for (const kind of new Set([...gone, ...come].map((one) => one.kind))) {
      if (kind === null) continue
      const leaving = new Set([...gone].filter((one) => one.kind === kind).map((one) => one.node))
      const joining = come.filter((one) => one.kind === kind).map((one) => one.node)
      const left = patched(kinds.get(kind) ?? [], leaving, joining, compareText)
      if (left.length > 0) kinds.set(kind, left)
      else kinds.delete(kind)
    }
    return kinds
  })
  const ofSites = [...members].map(([name, remotes]) =>
    memo.once(`kind ${name}`, [remotes, world], (): Kind => {
      const ids = [remotes[0]!, ...(paired ? [secondGateway(remotes[0]!)] : [])]
      const at = ids.map((id) => intent.sites.findIndex((site) => site.id === id))
      const gateways = at.flatMap((n) => (n < 0 ? [] : [{ id: intent.sites[n]!.id, uplinks: tunnels.uplinks.at(n)!, own: tunnels.ofSpokes.at(n)! }]))
      return { name, sample: intent.sites[at[0]!]!, carried: eitherFamily, gateways, remotes }
    }),
  )
  // Every region ends the same tunnels of a hub; a peer those of its transport, as many as it has addresses.
  const ofExternals = memo.once('kinds of externals', [externalsOf(intent, memo)], () =>
    [
      ...Map.groupBy(
        externalsOf(intent, memo).filter((one) => one.lans.length > 0),
        ({ hubs, transport, members, carried }) => JSON.stringify([hubs, transport, members, carried]),
      ),
    ].map(
      ([name, same]): Kind => ({
        name,
        sample: same[0]!,
        carried: familiesApart(same[0]!),
        gateways: [{ id: same[0]!.id, uplinks: [], own: [] }],
        remotes: same.map((one) => one.id).sort(compareText),
      }),
    ),
  )
  return memo.members('kinds', [...ofSites, ...ofExternals])
}
/** Beside each first of a pair the kind of the second. */
function kindsOfSeconds(intent: Intent, gateways: List<string>, memo: Memo): { readonly paired: boolean; readonly kinds: List<string | undefined> } {
  const sites = sitesOf(intent, memo)
  const found = memo.sparse('second gateways', [], [sites, gateways], ({ id }, kind): readonly (readonly [SiteId, string])[] =>
    isSecondGateway(id) ? [[siteOfGateway(id), kind]] : [],
  )
  const seconds = new Map(found)
  return { paired: found.length > 0, kinds: memo.rows('kinds of second gateways', [found], [sites], ({ id }) => seconds.get(id)) }
}
