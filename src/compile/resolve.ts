/**
 * Selectors → places: who `edge/inference`, `same/camera-rtp` and `model-api` are in this network. That names exist and
 * selectors select something is the intent's to check; here a selector that finds nothing allows nothing.
 */
import type { ClassId, Finding, NodeId, Place, SegmentId, Service } from '#src/fabric/fabric.ts'
import { compareText } from '#src/fabric/ids.ts'
import type { Intent, IntentExpect, IntentService, Selector } from '#src/intent/intent.ts'
import { comparePrefixes, type Prefix } from '#src/net/address.ts'
import { anyPort, type PortRange } from '#src/net/ports.ts'
import { externalsOf } from './externals.ts'

/** Every place of `from` may meet every place of `to`. `same` gives one pairing per caller. */
export interface Pairing {
  readonly caller: NodeId | null
  readonly from: readonly Place[]
  readonly to: readonly Place[]
}
export interface ResolvedAllow {
  /** `edge/inference -> model-api`; with ports when they were written. */
  readonly text: string
  readonly pairings: readonly Pairing[]
  readonly ports: readonly PortRange[]
  readonly trafficClass: ClassId
}
export interface ResolvedExpect {
  readonly expect: IntentExpect
  readonly pairings: readonly Pairing[]
  readonly ports: readonly PortRange[]
}
export interface Resolved {
  readonly allows: readonly ResolvedAllow[]
  readonly expects: readonly ResolvedExpect[]
  readonly services: readonly Service[]
  readonly findings: readonly Finding[]
}

export function resolve(intent: Intent): Resolved {
  const findings: Finding[] = []
  const places = placesOf(intent)
  const services = new Map(intent.services.map((service) => [service.id, service]))
  const find = finder(intent, places, services)

  const pair = (from: Selector, to: Selector, unmet: (callers: readonly NodeId[]) => void): Pairing[] => {
    const callers = find(from, null)
    if (to.where.kind !== 'same') {
      const targets = find(to, null)
      return callers.length > 0 && targets.length > 0 ? [{ caller: null, from: callers, to: targets }] : []
    }
    const pairings: Pairing[] = []
    const without: NodeId[] = []
    for (const [caller, own] of Map.groupBy(callers, (place) => place.node)) {
      const targets = find(to, caller)
      if (targets.length > 0) pairings.push({ caller, from: own, to: targets })
      else without.push(caller)
    }
    if (without.length > 0) unmet(without)
    return pairings
  }
  // A site that calls and has nothing to be called is no mistake in an allow, but can't keep a promise.
  const unmetPromise = (index: number, expect: IntentExpect) => (sites: readonly NodeId[]) => {
    if (expect.kind === 'isolate') return
    findings.push({
      code: 'I101',
      severity: 'error',
      at: [`expect/${index}/to`, `expect/${index}`],
      says: `"${expect.to.text}" is expected at ${list(sites)}, which ${sites.length === 1 ? 'has' : 'have'} none`,
      instead: `add it there, or name the callers more closely than "${expect.from.text}"`,
      witness: [],
    })
  }

  const allows = intent.allow.map((allow): ResolvedAllow => {
    const service = allow.to.what.kind === 'service' ? services.get(allow.to.what.service) : undefined
    const ports = allow.ports.length > 0 ? allow.ports : (service?.ports ?? [anyPort])
    return {
      text: `${allow.from.text} -> ${allow.to.text}`,
      pairings: pair(allow.from, allow.to, () => {}),
      ports,
      trafficClass: service?.trafficClass ?? ('default' as ClassId),
    }
  })
  const expects = intent.expect.map((expect, index): ResolvedExpect => {
    const service = expect.to.what.kind === 'service' ? services.get(expect.to.what.service) : undefined
    return { expect, pairings: pair(expect.from, expect.to, unmetPromise(index, expect)), ports: service?.ports ?? [anyPort] }
  })
  const everywhere = (id: string): Selector => ({ where: { kind: 'any' }, what: { kind: 'service', service: id }, text: id })
  const named = [...services.values()].map(
    ({ id, ports, trafficClass }): Service => ({ id, places: find(everywhere(id), null), ports, trafficClass }),
  )
  return { allows, expects, services: named.sort((a, b) => compareText(a.id, b.id)), findings }
}

const list = (names: readonly string[]): string =>
  names.length <= 3 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`

/** One place per (node, segment), its prefixes in order; by node. */
function placesOf(intent: Intent): Map<SegmentId, readonly Place[]> {
  const all = [...intent.sites, ...externalsOf(intent)].flatMap(({ id, lans }) =>
    [...Map.groupBy<SegmentId, { readonly segment: SegmentId; readonly prefix: Prefix }>(lans, (lan) => lan.segment)].map(
      ([segment, own]): Place => ({ node: id, segment, prefixes: own.map((lan) => lan.prefix).sort(comparePrefixes) }),
    ),
  )
  return Map.groupBy(
    all.sort((a, b) => compareText(a.node, b.node)),
    (place) => place.segment,
  )
}

/** Answers a selector; what doesn't depend on the caller is computed once. */
function finder(intent: Intent, places: ReadonlyMap<SegmentId, readonly Place[]>, services: ReadonlyMap<string, IntentService>) {
  const sites = new Map<NodeId, Intent['sites'][number]>(intent.sites.map((site) => [site.id, site]))
  const peers = new Set<NodeId>(intent.peers.map((peer) => peer.id))
  const at = new Map([...places.values()].flat().map((place) => [`${place.node}/${place.segment}`, place]))
  const cache = new Map<string, readonly Place[]>()

  const matches = (place: Place, where: Selector['where']): boolean => {
    const site = sites.get(place.node)
    switch (where.kind) {
      case 'any':
        return true
      case 'role':
        return (site?.role ?? (peers.has(place.node) ? 'peer' : 'region')) === where.role
      case 'site':
        return place.node === where.site
      case 'label':
        return site?.labels.includes(where.label) ?? false
      case 'same':
        return false
      default:
        throw new TypeError(`unknown selector ${String(where satisfies never)}`)
    }
  }
  const placesOfService = (service: IntentService): readonly Place[] => {
    const found = new Map<string, Place>()
    for (const selector of service.at) for (const place of find(selector, null)) found.set(`${place.node}/${place.segment}`, place)
    return [...found].sort(([a], [b]) => compareText(a, b)).map(([, place]) => place)
  }
  const candidates = (what: Selector['what']): readonly Place[] => {
    if (what.kind === 'segment') return places.get(what.segment) ?? []
    const service = services.get(what.service)
    return service ? remember(`service ${service.id}`, () => placesOfService(service)) : []
  }
  const remember = (key: string, make: () => readonly Place[]): readonly Place[] => {
    let value = cache.get(key)
    if (!value) {
      value = make()
      cache.set(key, value)
    }
    return value
  }
  const find = (selector: Selector, caller: NodeId | null): readonly Place[] => {
    const { where, what } = selector
    if (where.kind === 'any') return candidates(what)
    const site = where.kind === 'same' ? caller : where.kind === 'site' ? where.site : undefined
    if (site === null) return []
    if (site !== undefined && what.kind === 'segment') {
      const place = at.get(`${site}/${what.segment}`)
      return place ? [place] : []
    }
    if (site !== undefined) return bySiteOf(what).get(site) ?? []
    return remember(JSON.stringify([where, what]), () => candidates(what).filter((place) => matches(place, where)))
  }
  const grouped = new Map<string, Map<NodeId, Place[]>>()
  const bySiteOf = (what: Selector['what']): ReadonlyMap<NodeId, readonly Place[]> => {
    const key = JSON.stringify(what)
    let groups = grouped.get(key)
    if (!groups) {
      groups = Map.groupBy(candidates(what), (place) => place.node)
      grouped.set(key, groups)
    }
    return groups
  }
  return find
}
