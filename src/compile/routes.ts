/**
 * Routes and their groups (routing rules 8 to 12). A hub knows every prefix; a spoke knows those that one of its rules
 * names, so its tables don't grow with sites it never talks to.
 */
import type { ClassId, Finding, Group, Hop, Route, SiteId, Tunnel, Uplink } from '#src/fabric/fabric.ts'
import { compareText } from '#src/fabric/ids.ts'
import type { Intent, IntentClass, IntentSite, UplinkSelector } from '#src/intent/intent.ts'
import { comparePrefixes, type Prefix } from '#src/net/address.ts'
import type { Policy } from './rules.ts'

export interface Reachability {
  readonly routes: readonly Route[]
  readonly groups: readonly Group[]
}
/** Seconds of a clean home before an edge returns to it (rule 8). */
const homeReturn = 300

export function routes(
  intent: Intent,
  tunnels: readonly Tunnel[],
  uplinksOf: ReadonlyMap<SiteId, readonly Uplink[]>,
  policyOf: (site: SiteId) => Policy,
): { readonly at: ReadonlyMap<SiteId, Reachability>; readonly findings: readonly Finding[] } {
  const sites = [...intent.sites].sort((a, b) => compareText(a.id, b.id))
  const hubs = new Set<SiteId>(intent.hubs)
  const everything: Route[] = sites
    .flatMap((site) => site.lans.map((lan): Route => ({ segment: lan.segment, to: lan.prefix, remote: site.id })))
    .sort((a, b) => comparePrefixes(a.to, b.to))
  const owner = new Map(everything.map((route) => [route.to, route]))
  const byId = new Map(sites.map((site) => [site.id, site]))
  const hopsTo = directHops(intent, tunnels, uplinksOf)
  const classIds = intent.classes.map((one) => one.id).sort(compareText)

  const at = new Map(
    sites.map((site): [SiteId, Reachability] => {
      const isHub = hubs.has(site.id)
      const known = isHub ? everything.filter((route) => route.remote !== site.id) : namedBy(policyOf(site.id), site.id, owner)
      const remotes = [...new Set(known.map((route) => route.remote as SiteId))].sort(compareText)
      const shared = new Map<string, readonly Hop[]>()
      const groups = remotes.flatMap((remote) =>
        classIds.flatMap((trafficClass): Group[] => {
          const stages = stagesTo(site, byId.get(remote)!, hubs)
          // Spokes behind the same hubs have the same hops: kept once.
          const key = `${trafficClass} ${stages.map((stage) => stage.next).join(' ')}`
          const via =
            shared.get(key) ??
            stages.flatMap(({ next, returnAfter }, stage) => hopsTo(site.id, next, trafficClass).map((hop): Hop => ({ ...hop, stage, returnAfter })))
          shared.set(key, via)
          const group: Group = { remote, trafficClass, arrived: 'anywhere', via }
          const attached = isHub && !hubs.has(remote) && stages[0]?.next === remote
          return attached ? [group, { ...group, arrived: 'mesh', via: via.filter((hop) => hop.next === remote) }] : [group]
        }),
      )
      return [site.id, { routes: known, groups }]
    }),
  )
  return { at, findings: emptyClasses(intent, uplinksOf) }
}

/** `never` may leave a class without any uplink at a site: legal, verified as unreachable, and seldom meant. */
function emptyClasses(intent: Intent, uplinksOf: ReadonlyMap<SiteId, readonly Uplink[]>): Finding[] {
  return intent.classes.flatMap((trafficClass): Finding[] => {
    const without = intent.sites
      .map((site) => site.id)
      .filter((site) => (uplinksOf.get(site) ?? []).every((uplink) => costOf(uplink, trafficClass) === 'never'))
    if (trafficClass.never.length === 0 || without.length === 0) return []
    const more = without.length > 3 ? ` and ${without.length - 3} more` : ''
    return [
      {
        code: 'I140',
        severity: 'warning',
        at: [`class/${trafficClass.id}/never`, `class/${trafficClass.id}`],
        says: `class "${trafficClass.id}" may use no uplink of ${without.sort(compareText).slice(0, 3).join(', ')}${more}: its traffic is unreachable there`,
        instead: 'use `avoid:`, which takes such an uplink when nothing else is left',
        witness: [],
      },
    ]
  })
}

function namedBy(policy: Policy, site: SiteId, owner: ReadonlyMap<Prefix, Route>): Route[] {
  const named = new Set(policy.rules.flatMap((rule) => [...rule.from.prefixes, ...rule.to.prefixes]))
  return [...named]
    .flatMap((prefix) => owner.get(prefix) ?? [])
    .filter((route) => route.remote !== site)
    .sort((a, b) => comparePrefixes(a.to, b.to))
}

/** Whose tunnels are tried, one stage after the other. */
function stagesTo(
  site: IntentSite,
  remote: IntentSite,
  hubs: ReadonlySet<SiteId>,
): readonly { readonly next: SiteId; readonly returnAfter: number }[] {
  const at = (returnAfter: number) => (next: SiteId, index: number) => ({ next, returnAfter: index === 0 ? 0 : returnAfter })
  if (hubs.has(site.id)) {
    if (hubs.has(remote.id)) return [remote.id].map(at(0))
    const direct = remote.hubs.includes(site.id) ? [remote.id] : []
    return [...direct, ...remote.hubs.filter((hub) => hub !== site.id)].map(at(0))
  }
  if (site.hubs.includes(remote.id)) return [remote.id, ...site.hubs.filter((hub) => hub !== remote.id)].map(at(0))
  return site.hubs.map(at(homeReturn))
}

type DirectHop = Pick<Hop, 'tunnel' | 'next' | 'cost'>
/** The tunnels from a site to a neighbour for a class, best first. */
function directHops(
  intent: Intent,
  tunnels: readonly Tunnel[],
  uplinksOf: ReadonlyMap<SiteId, readonly Uplink[]>,
): (site: SiteId, next: SiteId, trafficClass: ClassId) => readonly DirectHop[] {
  const uplinks = new Map([...uplinksOf].flatMap(([site, own]) => own.map((uplink) => [`${site}/${uplink.id}`, uplink] as const)))
  const between = new Map<string, Tunnel[]>()
  for (const tunnel of tunnels) {
    const [a, b] = tunnel.ends
    for (const key of [`${a.site} ${b.site}`, `${b.site} ${a.site}`]) {
      const known = between.get(key)
      if (known) known.push(tunnel)
      else between.set(key, [tunnel])
    }
  }
  const ranked = new Map<string, readonly Omit<DirectHop, 'next'>[]>()
  const rank = (trafficClass: IntentClass, all: readonly Tunnel[]) =>
    all
      .flatMap((tunnel) => {
        const ends = tunnel.ends.map((end) => uplinks.get(`${end.site}/${end.uplink}`)!)
        const costs = ends.map((uplink) => costOf(uplink, trafficClass))
        // `never` at either end leaves the hop out; equal costs go by slot, seen the same from both ends.
        return costs.includes('never')
          ? []
          : [{ tunnel: tunnel.id, cost: Math.max(...(costs as number[])), order: ends[0]!.slot * 8 + ends[1]!.slot }]
      })
      .sort((a, b) => a.cost - b.cost || a.order - b.order || compareText(a.tunnel, b.tunnel))
      .map(({ tunnel, cost }) => ({ tunnel, cost }))
  const classes = new Map(intent.classes.map((one) => [one.id, one]))
  return (site, next, id) => {
    const key = `${site < next ? `${site} ${next}` : `${next} ${site}`} ${id}`
    let hops = ranked.get(key)
    if (!hops) {
      hops = rank(classes.get(id)!, between.get(`${site} ${next}`) ?? [])
      ranked.set(key, hops)
    }
    return hops.map((hop) => ({ ...hop, next }))
  }
}

const mediumCost: Readonly<Record<string, number>> = { fiber: 10, ethernet: 10, lte: 50, '5g': 50, sat: 80 }
const unknownMediumCost = 20
const meteredCost = 20
/** More than medium and metered can add up to, so a preference always decides first. */
const preferStep = 200
/** More than any preference: avoided is used when nothing else is left. */
const avoidTier = 100_000

/** Lower is better; `never` is hard (rule 12). */
export function costOf(uplink: Uplink, trafficClass: Pick<IntentClass, 'prefer' | 'avoid' | 'never'>): number | 'never' {
  const selected = (selector: UplinkSelector) => selects(selector, uplink)
  if (trafficClass.never.some(selected)) return 'never'
  const preferred = trafficClass.prefer.findIndex(selected)
  const rank = preferred < 0 ? trafficClass.prefer.length : preferred
  return (
    (mediumCost[uplink.medium] ?? unknownMediumCost) +
    (uplink.metered ? meteredCost : 0) +
    rank * preferStep +
    (trafficClass.avoid.some(selected) ? avoidTier : 0)
  )
}

function selects({ kind, value }: UplinkSelector, uplink: Uplink): boolean {
  switch (kind) {
    case 'medium':
      return uplink.medium === value
    case 'transport':
      return uplink.transport === value
    case 'tag':
      return uplink.tags.includes(value)
    case 'metered':
      return uplink.metered
    default:
      throw new TypeError(`unknown uplink selector ${String(kind satisfies never)}`)
  }
}
