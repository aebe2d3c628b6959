/**
 * Overlaps become unique at their owners: LANs that share addresses with others get another prefix in the overlay, of the
 * same length, and from here on every pass knows them by that. Routing rule 1.
 *
 * Who was first keeps its prefix. That is remembered: under `auto` every LAN that is itself in the overlay holds that, and
 * a translated one its prefix of the pool for good, so that nobody's addresses move when another comes or goes.
 */
import type { Allocation, Finding, NodeId, SegmentId, SiteId } from '#src/fabric/fabric.ts'
import { compareText, isSecondGateway, siteOfGateway } from '#src/fabric/ids.ts'
import { translationPools } from '#src/intent/defaults.ts'
import { type Intent, type IntentLan, type IntentSite, modeOf, type Translate } from '#src/intent/intent.ts'
import {
  comparePrefixes,
  contains,
  enclosing,
  type Family,
  familyOf,
  lengthOf,
  overlaps,
  type Prefix,
  prefixFromBits,
  rangeOf,
  sortPrefixes,
  width,
} from '#src/net/address.ts'
import { firstOf } from '#src/net/sorted.ts'
import { transplant } from '#src/net/translate.ts'
import { externalsOf } from './externals.ts'
import { createMemo, type Memo } from './memo.ts'
import { sitesOf } from './sites.ts'
import type { Policies } from './rules.ts'

export interface Translated {
  /** LANs by what they are in the overlay, and hosts of groups and services too. */
  readonly intent: Intent
  readonly claims: readonly Allocation[]
  readonly findings: readonly Finding[]
}

export function translate(intent: Intent, held: readonly Allocation[], memo: Memo = createMemo()): Translated {
  const asking = memo.sparse('sites that translate', [], [memo.list('sites as written', intent.sites)], ({ lans }) =>
    lans.some((lan) => (lan.translate ?? 'never') !== 'never') ? [true] : [],
  )
  if ((intent.translate?.mode ?? 'never') === 'never' && asking.length === 0) return { intent, claims: [], findings: [] }

  const known = memo.once('held translations', [held], () => readHeld(held))
  const lans = ownersOf(intent).flatMap((site) => site.lans.map((lan): Contender => contender(intent, site, lan, known)))
  const others = externalsOf(intent, memo).flatMap((external) => external.lans.map((lan) => lan.prefix))
  const moved = newcomers(lans, others)
  const { overlayOf, claims, refused } = allocate(moved, intent.translate?.pools ?? translationPools, known)
  claims.push(
    ...firsts(
      lans.filter(({ mode, owner }) => mode === 'auto' && !overlayOf.has(owner)),
      known,
    ),
  )

  const full = refused.map(
    ({ contender: { site, lan }, pool }): Finding => ({
      code: 'I125',
      severity: 'error',
      at: [`network/translate/pool/${familyOf(pool)}`, `site/${site.id}/lan/${lan.segment}`],
      says: `${pool} has no room left for ${lan.prefix} of ${site.id}`,
      instead: 'write a larger pool: in translate: of the network; prefixes of LANs that were removed count until released',
      witness: [],
    }),
  )
  const sites = memo.members(
    'sites in the overlay',
    intent.sites.map((site) =>
      site.lans.some((lan) => overlayOf.has(ownerOf(site, lan))) ? memo.keep(`${site.id} in the overlay`, inOverlay(site, overlayOf)) : site,
    ),
  )
  const inside = { ...intent, sites }
  const homes = Map.groupBy(landsOf(inside), ({ local, prefix }) => local ?? prefix)
  /** Hosts are written as their own LAN calls them. Where that is two LANs both are meant: who asks says at which sites. */
  const hosts = (of: readonly Prefix[]): readonly Prefix[] =>
    sortPrefixes(
      of.flatMap((one) => [...enclosing(one)].flatMap((local) => (homes.get(local) ?? []).map(({ prefix }) => transplant(one, local, prefix)))),
    )
  return {
    intent: {
      ...inside,
      groups: intent.groups.map((group) => ({ ...group, hosts: hosts(group.hosts) })),
      services: intent.services.map((service) => ({ ...service, endpoints: hosts(service.endpoints) })),
    },
    claims,
    findings: [...full, ...carriers(inside)],
  }
}

/** A LAN by what it is in the overlay. */
interface Land {
  readonly node: NodeId
  readonly segment: SegmentId
  readonly prefix: Prefix
  readonly local?: Prefix
  readonly key: string
}
const landsOf = (intent: Intent): readonly Land[] => [
  ...ownersOf(intent).flatMap(({ id, lans }) =>
    lans.map(
      ({ prefix, segment, local }): Land => ({
        node: id,
        segment,
        prefix,
        ...(local === undefined ? {} : { local }),
        key: `site/${id}/lan/${segment}`,
      }),
    ),
  ),
  ...externalsOf(intent).flatMap(({ id, role, lans }) =>
    lans.map(({ prefix, segment }): Land => ({ node: id, segment, prefix, key: `${role === 'cloud' ? 'region' : role}/${id}/lan/${segment}` })),
  ),
]

/** Of a pair of gateways the first: the second has the same LANs, by the same names. */
const ownersOf = ({ sites }: Intent): readonly IntentSite[] => sites.filter(({ id }) => !isSecondGateway(id))
/** `site/prefix`: a LAN that is renumbered is another. */
const ownerOf = (site: Pick<IntentSite, 'id'>, lan: Pick<IntentLan, 'prefix'>): string => `${siteOfGateway(site.id)}/${lan.prefix}`

interface Known {
  /** By owner, when it was last found to be first among those that were there. */
  readonly first: ReadonlyMap<string, number>
  /** Those of `first` of whom another that has some of their addresses was found to be first later. */
  readonly behind: ReadonlySet<string>
  /** By owner, whatever the pool was. */
  readonly translated: ReadonlySet<string>
  /** By `owner@pool`. */
  readonly overlays: ReadonlyMap<string, Prefix>
  /** What nobody else may be called: a gateway may still run with it. */
  readonly taken: readonly Prefix[]
  readonly nodes: ReadonlyMap<string, number>
}
const ownerIn = (claimed: string): string => claimed.slice(0, claimed.indexOf('@'))
const prefixIn = (owner: string): Prefix => owner.slice(owner.indexOf('/') + 1) as Prefix
function readHeld(held: readonly Allocation[]): Known {
  const first = new Map<string, number>()
  for (const one of held) if (one.kind === 'first') first.set(ownerIn(one.owner), Math.max(one.value, first.get(ownerIn(one.owner)) ?? 0))
  const overlays = new Map(held.flatMap((one) => (one.kind === 'overlay' ? [[one.owner, one.value] as const] : [])))
  return {
    first,
    behind: behindOthers(first),
    translated: new Set([...overlays.keys()].map(ownerIn)),
    overlays,
    taken: sortPrefixes([...overlays.values()]),
    nodes: new Map(held.flatMap((one) => (one.kind === 'node' ? [[one.owner as string, one.value] as const] : []))),
  }
}

function behindOthers(first: ReadonlyMap<string, number>): ReadonlySet<string> {
  const all = [...first].map(([owner, value]) => ({ owner, value, prefix: prefixIn(owner) })).sort((a, b) => comparePrefixes(a.prefix, b.prefix))
  const behind = new Set<string>()
  const open: typeof all = []
  for (const one of all) {
    while (open.length > 0 && !contains(open.at(-1)!.prefix, one.prefix)) open.pop()
    for (const outer of open) behind.add(outer.value < one.value ? outer.owner : one.owner)
    open.push(one)
  }
  return behind
}

interface Contender {
  readonly site: IntentSite
  readonly lan: IntentLan
  readonly owner: string
  readonly mode: Translate
  /** Whoever is translated stays so. */
  readonly settled: boolean
  /** The lower one keeps its prefix. */
  readonly rank: readonly number[]
}
/** Who was found to be first last, for then the others were gone; a hub, which carries for all; the older site. */
function contender(intent: Intent, site: IntentSite, lan: IntentLan, known: Known): Contender {
  const owner = ownerOf(site, lan)
  const rank = [-(known.first.get(owner) ?? 0), intent.hubs.includes(site.id) ? 0 : 1, known.nodes.get(site.id) ?? Number.POSITIVE_INFINITY]
  return { site, lan, owner, mode: modeOf(intent.translate, lan), settled: known.translated.has(owner), rank }
}
const before = (a: Contender, b: Contender): number => {
  for (const [n, own] of a.rank.entries()) if (own !== b.rank[n]) return own < b.rank[n]! ? -1 : 1
  return compareText(a.site.id, b.site.id) || comparePrefixes(a.lan.prefix, b.lan.prefix)
}

/** Those who find themselves first for the first time, or after somebody who had the same addresses. */
function firsts(kept: readonly Contender[], known: Known): readonly Allocation[] {
  const fresh = kept.filter(({ owner }) => !known.first.has(owner) || known.behind.has(owner)).sort((a, b) => compareText(a.owner, b.owner))
  const last = [...known.first.values()].reduce((most, value) => Math.max(most, value), 0)
  return fresh.map(({ owner }, n) => ({ kind: 'first', owner: `${owner}@${last + n + 1}`, value: last + n + 1 }))
}

/** Those that are called something else in the overlay. */
function newcomers(lans: readonly Contender[], others: readonly Prefix[]): readonly Contender[] {
  const moved = lans.filter(({ mode, settled }) => mode === 'always' || (mode === 'auto' && settled))
  const [stays, open] = [lans.filter(({ mode }) => mode === 'never'), lans.filter(({ mode, settled }) => mode === 'auto' && !settled)]
  const all = [
    ...[...others, ...stays.map(({ lan }) => lan.prefix)].map((prefix) => ({ prefix, contender: null })),
    ...open.map((contender) => ({ prefix: contender.lan.prefix, contender })),
  ].sort((a, b) => comparePrefixes(a.prefix, b.prefix))
  // Prefixes nest or are disjoint, and the wider comes first: what one covers follows it, and only there anybody contends.
  for (let from = 0; from < all.length; ) {
    let to = from + 1
    while (to < all.length && contains(all[from]!.prefix, all[to]!.prefix)) to++
    const group = all.slice(from, to)
    from = to
    if (group.length === 1) continue
    const kept = group.flatMap(({ prefix, contender }) => (contender === null ? [prefix] : []))
    for (const one of group.flatMap(({ contender }) => contender ?? []).sort(before)) {
      if (kept.some((prefix) => overlaps(prefix, one.lan.prefix))) moved.push(one)
      else kept.push(one.lan.prefix)
    }
  }
  return moved
}

/** The lowest of its length in the pool of its family that nobody holds, in the order of names; who holds one keeps it. */
function allocate(moved: readonly Contender[], pools: Readonly<Record<Family, Prefix>>, known: Known) {
  const overlayOf = new Map<string, Prefix>()
  const claims: Allocation[] = []
  const refused: { readonly contender: Contender; readonly pool: Prefix }[] = []
  const free = { 4: freeIn(pools[4], known.taken), 6: freeIn(pools[6], known.taken) }
  for (const contender of [...moved].sort((a, b) => compareText(a.owner, b.owner))) {
    const family = familyOf(contender.lan.prefix)
    const pool = pools[family]
    const owner = `${contender.owner}@${pool}`
    const held = known.overlays.get(owner)
    const value = held ?? free[family](lengthOf(contender.lan.prefix))
    if (value === undefined) refused.push({ contender, pool })
    else overlayOf.set(contender.owner, value)
    if (value !== undefined && held === undefined) claims.push({ kind: 'overlay', owner, value })
  }
  return { overlayOf, claims, refused }
}
/** Gives the lowest prefix of a length that is not taken, and takes it; undefined when there is none. */
function freeIn(pool: Prefix, known: readonly Prefix[]): (length: number) => Prefix | undefined {
  const family = familyOf(pool)
  const range = rangeOf(pool)
  const taken = known.filter((one) => familyOf(one) === family).map((one) => rangeOf(one))
  const next = new Map<number, bigint>()
  return (length) => {
    const size = 1n << BigInt(width(family) - length)
    let at = next.get(length) ?? range.low
    for (let n = firstFrom(taken, at); n < taken.length && taken[n]!.low < at + size; n = firstFrom(taken, at))
      at = ((taken[n]!.high + size) / size) * size
    if (length < lengthOf(pool) || at + size - 1n > range.high) return undefined
    next.set(length, at + size)
    taken.splice(firstFrom(taken, at), 0, { family, low: at, high: at + size - 1n })
    return prefixFromBits(family, at, length)
  }
}
/** Of disjoint ranges in order, the first that doesn't end before `at`. */
function firstFrom(ranges: readonly { readonly high: bigint }[], at: bigint): number {
  let [low, high] = [0, ranges.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (ranges[middle]!.high < at) low = middle + 1
    else high = middle
  }
  return low
}

const inOverlay = (site: IntentSite, overlayOf: ReadonlyMap<string, Prefix>): IntentSite => ({
  ...site,
  lans: site.lans.map((lan) => {
    const overlay = overlayOf.get(ownerOf(site, lan))
    return overlay === undefined ? lan : { ...lan, prefix: overlay, local: lan.prefix }
  }),
})

/** A hub carries what is for others: addresses of its own LAN can't be somebody else's. */
function carriers(intent: Intent): readonly Finding[] {
  const hubs = new Set<NodeId>(intent.hubs)
  const lands = landsOf(intent)
  return lands.flatMap(({ node, local, key }): readonly Finding[] => {
    const other = local === undefined || !hubs.has(node) ? undefined : lands.find(({ prefix }) => overlaps(prefix, local))
    return other === undefined
      ? []
      : [
          {
            code: 'I126',
            severity: 'error',
            at: [key, other.key],
            says: `hub ${node} has hosts in ${local}, and carries for ${other.node}, which is ${other.prefix} in the overlay`,
            instead: other.key.startsWith('site/')
              ? `write translate: always at that LAN of ${other.node}, or renumber one of the two`
              : `renumber the LAN of ${node}: what ${other.node} has can not be translated`,
            witness: [],
          },
        ]
  })
}

/**
 * Hosts of a translated LAN can't call who has their own addresses in the overlay: to them that is a neighbour. Said where
 * an allow would let them.
 */
export function strangers(intent: Intent, policies: Policies, memo: Memo = createMemo()): readonly Finding[] {
  const called = memo.sparse('LANs that have a name of their own', [], [sitesOf(intent, memo)], ({ id, lans }) => {
    const locals = lans.flatMap(({ local }) => local ?? [])
    return locals.length > 0 ? [{ id, locals }] : []
  })
  if (called.length === 0) return []
  const all = memo.sparse(
    'who cannot be called',
    [],
    [called, called.map(({ id }) => policies.of(id))],
    ({ id, locals }, { rules }): readonly Met[] => {
      const lists = new Set(rules.flatMap(({ from, to }) => [from.prefixes, to.prefixes]))
      const met = new Set([...lists].flatMap((list) => locals.flatMap((local) => meeting(list, local))))
      return [...met].map((prefix) => ({ site: id, prefix }))
    },
  )
  if (all.length === 0) return []
  const lands = landsOf(intent)
  const byOwner = Map.groupBy(all, ({ prefix }) => lands.find((land) => contains(land.prefix, prefix)))
  return [...byOwner].flatMap(([owner, met]): readonly Finding[] => {
    if (!owner) return []
    const sites = [...new Set(met.map(({ site }) => site))].sort(compareText)
    const names = sites.length > 3 ? `${sites.slice(0, 3).join(', ')} and ${sites.length - 3} more` : sites.join(' and ')
    return [
      {
        code: 'I127',
        severity: 'warning',
        at: [owner.key],
        says: `${owner.node}/${owner.segment} is ${owner.prefix} in the overlay, and ${names} ${sites.length === 1 ? 'has' : 'have'} those addresses on a LAN: they can't reach each other`,
        instead: owner.key.startsWith('site/') ? `write translate: always at that LAN of ${owner.node}` : 'renumber the LAN, or let only others meet',
        witness: [],
      },
    ]
  })
}
interface Met {
  readonly site: SiteId
  readonly prefix: Prefix
}
/** Of disjoint prefixes in order, those that share addresses with one. */
function meeting(sorted: readonly Prefix[], one: Prefix): readonly Prefix[] {
  const low = firstOf(sorted.length, (n) => comparePrefixes(sorted[n]!, one) >= 0)
  const outer = low > 0 && contains(sorted[low - 1]!, one) ? [sorted[low - 1]!] : []
  let end = low
  while (end < sorted.length && contains(one, sorted[end]!)) end++
  return [...outer, ...sorted.slice(low, end)]
}
