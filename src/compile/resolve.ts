/**
 * Selectors → places: who `edge/inference`, `same/camera-rtp` and `model-api` are in this network. That names exist and
 * selectors select something is the intent's to check; here a selector that finds nothing allows nothing.
 */
import type { ClassId, Finding, HostGroup, NodeId, Place, SegmentId, Service, SiteId } from '#src/fabric/fabric.ts'
import { compareText, isSecondGateway } from '#src/fabric/ids.ts'
import { portsOf } from '#src/intent/canonical.ts'
import type { Intent, IntentExpect, IntentGroup, IntentLine, IntentService, IntentSite, NodeRole, Selector } from '#src/intent/intent.ts'
import { comparePrefixes, contains, type Prefix, sortPrefixes } from '#src/net/address.ts'
import { anyPort, type PortRange } from '#src/net/ports.ts'
import { firstFrom } from '#src/net/sorted.ts'
import { type External, externalsOf } from './externals.ts'
import { List } from './list.ts'
import { along, createMemo, type Made, membersSince, type Memo, since } from './memo.ts'
import { sitesOf } from './sites.ts'
import { onceOf } from '#src/net/once.ts'

/** Every place of `from` may meet every place of `to`. `same` gives one pairing per caller. */
export interface Pairing {
  readonly caller: NodeId | null
  readonly from: Selection
  readonly to: Selection
}
/** What a selector finds, by node: the same lists while what they say is. */
export interface Selection {
  readonly name: string
  readonly located: List<Located>
  readonly places: List<Place>
}
/** A place and what is asked of its node. It stays the same object while all of it does. */
export interface Located {
  readonly place: Place
  readonly role: NodeRole
  readonly labels: readonly string[]
  /** Where its tunnels end. */
  readonly hubs: readonly SiteId[]
}
export interface ResolvedLine {
  /** `edge/inference -> model-api`, `deny cameras -> training`. */
  readonly text: string
  readonly pairings: readonly Pairing[]
  readonly ports: readonly PortRange[]
  readonly log: boolean
}
export interface ResolvedAllow extends ResolvedLine {
  readonly trafficClass: ClassId
}
export interface ResolvedExpect {
  readonly expect: IntentExpect
  readonly pairings: readonly Pairing[]
  readonly ports: readonly PortRange[]
  /** Each host that answers is a place of its own. */
  readonly byHost: boolean
}
export interface Resolved {
  readonly allows: readonly ResolvedAllow[]
  readonly denies: readonly ResolvedLine[]
  readonly expects: readonly ResolvedExpect[]
  readonly services: readonly Service[]
  readonly hostGroups: readonly HostGroup[]
  readonly findings: readonly Finding[]
}

export function resolve(intent: Intent, memo: Memo = createMemo()): Resolved {
  const { allow, deny, expect, services, groups } = intent
  const located = locatedOf(intent, memo)
  // What no line asks for leaves all of them as they are.
  return memo.once('resolved', [...located, allow, deny, expect, services, groups], () => resolveLines(intent, located, memo))
}
function resolveLines(intent: Intent, located: readonly List<readonly Located[]>[], memo: Memo): Resolved {
  const findings: Finding[] = []
  const services = new Map(intent.services.map((service) => [service.id, service]))
  const { find, candidates } = finder(intent, located, services, memo)

  /** The places that callers of `same` find at their own site, and those that find none. */
  const pair = (name: string, from: Selector, to: Selector): Paired => {
    const callers = find(from)
    const targets = find(to.where.kind === 'same' ? anywhere(to) : to)
    return memo.once(`pairings of ${name}`, [callers, targets, to.where.kind], () => {
      if (to.where.kind !== 'same')
        return { pairings: callers.places.length > 0 && targets.places.length > 0 ? [{ caller: null, from: callers, to: targets }] : [], without: [] }
      const [own, theirs] = [byNode(callers, memo), byNode(targets, memo)]
      const there = beside(`there of ${name}`, own, theirs, nodeOf, memo)
      return {
        pairings: memo.sparse(`pairs of ${name}`, [], [own, there], (from, to): Pairing[] => (to ? [{ caller: nodeOf(from), from, to }] : [])),
        without: memo.sparse(`alone in ${name}`, [], [own, there], (from, to) => (to ? [] : [nodeOf(from)])),
      }
    })
  }
  const serviceOf = ({ what }: Selector) => (what.kind === 'service' ? services.get(what.service) : undefined)
  /** Again only where the line, or what its ends choose from, is another, and the same where they choose as before. */
  const ofLine = <T extends Paired>(kind: LineKind, line: Line, make: (text: string, service: IntentService | undefined) => T): T => {
    const { from, to } = line
    const { text, names } = namesOfLine(line)
    const said = [line, serviceOf(to)]
    return memo.once(names[kind], [...said, candidates(from.what), candidates(to.what)], (before?: Made<T>) => {
      const made = make(text, serviceOf(to))
      const chosen = before?.value.pairings === made.pairings && before.value.without === made.without
      return chosen && said.every((one, n) => one === before.inputs[n]) ? before.value : made
    })
  }

  const allows = intent.allow.map((allow) =>
    // A site that calls and has nothing to be called is no mistake here.
    ofLine('allow', allow, (text, service): ResolvedAllow & Paired => {
      const trafficClass = service?.trafficClass ?? ('default' as ClassId)
      return { text, ...pair(text, allow.from, allow.to), ports: portsOf(intent, allow), log: allow.log, trafficClass }
    }),
  )
  const denies = intent.deny.map((deny) =>
    ofLine('deny', deny, (text): ResolvedLine & Paired => {
      return { text: `deny ${text}`, ...pair(text, deny.from, deny.to), ports: portsOf(intent, deny), log: deny.log }
    }),
  )
  const expects = intent.expect.map((expect, index): ResolvedExpect => {
    const { without, ...resolved } = ofLine('expect', expect, (text, service): ResolvedExpect & Paired => {
      if (expect.kind === 'internet')
        return { expect, pairings: [{ caller: null, from: find(expect.from), to: nobody }], ports: [], byHost: false, without: [] }
      return { expect, ...pair(text, expect.from, expect.to), ports: service?.ports ?? [anyPort], byHost: (service?.endpoints.length ?? 0) > 0 }
    })
    if (without.length > 0 && expect.kind !== 'isolate') findings.push(unmetPromise(index, expect, without))
    return resolved
  })
  const named = intent.services.map((service): Service => {
    const { id, ports, trafficClass } = service
    return { id, places: find(everywhere(service)).places.all, ports, trafficClass }
  })
  const hostGroups = intent.groups.map((group): HostGroup => ({ id: group.id, places: find(everyHost(group)).places.all }))
  const byId = (a: { readonly id: string }, b: { readonly id: string }) => compareText(a.id, b.id)
  return { allows, denies, expects, services: named.sort(byId), hostGroups: hostGroups.sort(byId), findings }
}
type Line = Pick<IntentLine, 'from' | 'to'>
type LineKind = 'allow' | 'deny' | 'expect'
// Lines and selectors stay the objects that they are while sites change, and are asked each time: they are named once.
const namesOfLine = onceOf(({ from, to }: Line): { readonly text: string; readonly names: Readonly<Record<LineKind, string>> } => {
  const text = `${from.text} -> ${to.text}`
  return { text, names: { allow: `allow ${text}`, deny: `deny ${text}`, expect: `expect ${text}` } }
})
const anywhere = onceOf((selector: Selector): Selector => ({ ...selector, where: { kind: 'any' } }))
const everywhere = onceOf(({ id }: IntentService): Selector => ({ where: { kind: 'any' }, what: { kind: 'service', service: id }, text: id }))
const everyHost = onceOf(({ id }: IntentGroup): Selector => ({ where: { kind: 'any' }, what: { kind: 'group', group: id }, text: id }))
/** What a selection finds at each node, by node; places follow each other so. */
function byNode({ name, located }: Selection, memo: Memo): List<Selection> {
  const alone = memo.rows(`nodes of ${name}`, [], [located], (one): Selection => selectionOf(name, [one]))
  if (memo.once(`${name} once a node`, [located], (before?: Made<boolean>) => isOnceANode(located, before))) return alone
  const grouped = [...Map.groupBy(located, ({ place }) => place.node).values()]
  return List.of(grouped.map((own) => selectionOf(name, own)))
}
const selectionOf = (name: string, located: readonly Located[]): Selection => ({
  name,
  located: List.of(located),
  places: List.of(located.map((one) => one.place)),
})
function isOnceANode(located: List<Located>, before?: Made<boolean>): boolean {
  const follows = (n: number) => located.at(n)?.place.node === located.at(n - 1)?.place.node
  if (!before?.value) {
    let previous: NodeId | undefined
    for (const { place } of located) {
      if (place.node === previous) return false
      previous = place.node
    }
    return true
  }
  const places = since(before, located).come.map((one) => located.firstFrom(one, risingPlaces))
  return !places.some((n) => (n > 0 && follows(n)) || (n + 1 < located.length && follows(n + 1)))
}
const nodeOf = ({ places }: Selection): NodeId => places.at(0)!.node
/** For each what is at the same node among the others; both are by node, each node once. */
export function beside<T>(name: string, own: List<T>, others: List<T>, nodeOf: (one: T) => NodeId, memo: Memo): List<T | undefined> {
  const rising = (a: T, b: T) => compareText(nodeOf(a), nodeOf(b))
  const at = (list: List<T>, one: T): readonly [number, T] | undefined => {
    const n = list.firstFrom(one, rising)
    const found = list.at(n)
    return found !== undefined && nodeOf(found) === nodeOf(one) ? [n, found] : undefined
  }
  const mate = (one: T): T | undefined => at(others, one)?.[1]
  return memo.once(name, [own, others], (before?: Made<List<T | undefined>>) => {
    if (!before) return mates(own, others.all, rising)
    const [ownBefore, othersBefore] = before.inputs as readonly [List<T>, List<T>]
    const { gone, come } = others.since(othersBefore)
    const places = new Map([...gone, ...come].map((one) => at(own, one)).filter((found) => found !== undefined))
    return along(before.value, ownBefore, own, mate).with([...places].map(([n, one]) => [n, mate(one)] as const))
  })
}

/** Of two lists in order, beside each of one its equal in the other. */
function mates<T>(own: List<T>, others: readonly T[], compare: (a: T, b: T) => number): List<T | undefined> {
  let n = 0
  return own.map((one) => {
    while (n < others.length && compare(others[n]!, one) < 0) n++
    const other = others[n]
    return other !== undefined && compare(other, one) === 0 ? other : undefined
  })
}

const nobody: Selection = selectionOf('internet', [])

interface Paired {
  readonly pairings: readonly Pairing[]
  readonly without: readonly NodeId[]
}

/** A promise can't be kept where there is nothing to be called. */
const unmetPromise = (index: number, expect: IntentExpect, sites: readonly NodeId[]): Finding => ({
  code: 'I101',
  severity: 'error',
  at: [`expect/${index}/to`, `expect/${index}`],
  says: `"${expect.to.text}" is expected at ${list(sites)}, which ${sites.length === 1 ? 'has' : 'have'} none`,
  instead: `add it there, or name the callers more closely than "${expect.from.text}"`,
  witness: [],
})

const list = (names: readonly string[]): string =>
  names.length <= 3 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`

/** One place per (node, segment), its prefixes in order. */
function locate(
  { id, lans }: { readonly id: NodeId; readonly lans: readonly { readonly segment: SegmentId; readonly prefix: Prefix }[] },
  of: Omit<Located, 'place'>,
  memo: Memo,
): readonly Located[] {
  return [...Map.groupBy(lans, (lan) => lan.segment)].map(([segment, own]) =>
    keepLocated('in ', { ...of, place: { node: id, segment, prefixes: sortPrefixes(own.map((lan) => lan.prefix)) } }, memo),
  )
}
/** The LANs of a pair are places once, by the name of the first. */
const locateSite = (site: IntentSite, hub: boolean, memo: Memo): readonly Located[] =>
  isSecondGateway(site.id) ? nowhere : locate(site, { role: site.role, labels: site.labels, hubs: hub ? [] : site.hubs }, memo)
const nowhere: readonly Located[] = []
const locateExternal = (external: External, memo: Memo) =>
  locate(external, { role: external.role === 'cloud' ? 'region' : external.role, labels: [], hubs: external.hubs }, memo)
/** The place by itself too: who only reads that need not hear of labels. */
function keepLocated(of: string, located: Located, memo: Memo): Located {
  const { node, segment } = located.place
  return memo.keep(`located ${of}${segment}`, { ...located, place: memo.keep(`place ${of}${segment}`, located.place, node) }, node)
}

/** Of prefixes in order, none in another, those inside `lan`: they follow each other. */
function within(lan: Prefix, hosts: readonly Prefix[]): readonly Prefix[] {
  const from = firstFrom(hosts, lan, comparePrefixes)
  let to = from
  while (to < hosts.length && contains(lan, hosts[to]!)) to++
  return hosts.slice(from, to)
}
/** The same place with those of its addresses that are among `hosts`, if any are. */
function narrowed(name: string, one: Located, hosts: readonly Prefix[], memo: Memo): readonly Located[] {
  const inside = one.place.prefixes.flatMap((lan) => within(lan, hosts))
  return inside.length === 0 ? [] : [keepLocated(`${name} `, { ...one, place: { ...one.place, prefixes: inside } }, memo)]
}
/** Two places of one node and segment: what either holds. */
const joined = (name: string, a: Located, b: Located, memo: Memo): Located =>
  keepLocated(`${name} at `, { ...a, place: { ...a.place, prefixes: outermost([...a.place.prefixes, ...b.place.prefixes]) } }, memo)
/** In order, without what another holds. Halves are not joined: LANs that lie side by side stay two. */
const outermost = (prefixes: readonly Prefix[]): readonly Prefix[] =>
  sortPrefixes(prefixes).reduce<Prefix[]>((kept, next) => (kept.length > 0 && contains(kept.at(-1)!, next) ? kept : [...kept, next]), [])

const none: List<Located> = List.of([])
type BySegment = ReadonlyMap<SegmentId, List<Located>>
/** Who is where, in every segment: the sites, and the externals. */
const locatedOf = (intent: Intent, memo: Memo): readonly List<readonly Located[]>[] => {
  const hubs = new Set(intent.hubs)
  return [
    memo.rows('places of sites', [intent.hubs.join(' ')], [sitesOf(intent, memo)], (site) =>
      memo.keep('places of a site', locateSite(site, hubs.has(site.id), memo), site.id),
    ),
    memo.rows('places of externals', [], [externalsOf(intent, memo)], (external) => locateExternal(external, memo)),
  ]
}
/** Answers a selector, and says what that is chosen from. `same` is for its caller to narrow. */
function finder(intent: Intent, located: readonly List<readonly Located[]>[], services: ReadonlyMap<string, IntentService>, memo: Memo) {
  const groups = new Map(intent.groups.map((group) => [group.id, group]))
  const bySegment = memo.once('places by segment', located, (before?: Made<BySegment>) => {
    const { gone, come } = membersSince(before, located)
    const segments = new Map(before?.value)
    const left = Map.groupBy(gone, (one) => one.place.segment)
    const joined = Map.groupBy(come, (one) => one.place.segment)
    for (const segment of new Set([...left.keys(), ...joined.keys()])) {
      const known = segments.get(segment) ?? none
      segments.set(segment, known.patched(new Set(left.get(segment)), joined.get(segment) ?? [], risingPlaces))
    }
    return segments
  })
  const matches = ({ place, role, labels }: Located, where: Selector['where']): boolean => {
    switch (where.kind) {
      case 'any':
        return true
      case 'role':
        return role === where.role
      case 'site':
        return place.node === where.site
      case 'label':
        return labels.includes(where.label)
      case 'same':
        return false
      default:
        throw new TypeError(`unknown selector ${String(where satisfies never)}`)
    }
  }
  /** Of each place the hosts that are in the group, as a place of its own. */
  const hostsOf = ({ id, hosts }: IntentGroup): List<Located> => {
    const inside = located.map((all, n) =>
      memo.sparse(`hosts of group ${id} ${n}`, [hosts.join(' ')], [all], (places) =>
        places.flatMap((one) => narrowed(`group ${id} at`, one, hosts, memo)),
      ),
    )
    return memo.once(`sorted hosts of group ${id}`, inside, () => List.of(inside.flat().sort(risingPlaces)))
  }
  const asked = new Map<string, List<Located>>()
  const remember = (key: string, make: () => List<Located>): List<Located> => {
    const known = asked.get(key) ?? make()
    asked.set(key, known)
    return known
  }
  const candidates = (what: Selector['what']): List<Located> => {
    if (what.kind === 'segment') return bySegment.get(what.segment) ?? none
    if (what.kind === 'group') {
      const group = groups.get(what.group)
      return group ? remember(`group ${group.id}`, () => hostsOf(group)) : none
    }
    if (what.kind === 'internet') return none
    const service = services.get(what.service)
    return service ? remember(`service ${service.id}`, () => servicePlaces(service)) : none
  }
  const servicePlaces = (service: IntentService): List<Located> => {
    const parts = service.at.map((selector) => select(selector))
    return memo.once(`places of service ${service.id}`, [...parts, service.endpoints.join(' ')], () => {
      const found = new Map<string, Located>()
      for (const one of parts.flatMap(({ all }) => all)) {
        const key = `${one.place.node}/${one.place.segment}`
        const other = found.get(key)
        found.set(key, other && other !== one ? joined(`service ${service.id}`, other, one, memo) : one)
      }
      const all = [...found.values()].sort(risingPlaces)
      const { id, endpoints } = service
      return List.of(endpoints.length === 0 ? all : all.flatMap((one) => narrowed(`endpoints of ${id} at`, one, endpoints, memo)))
    })
  }
  const select = (selector: Selector): List<Located> => {
    const { where, what } = selector
    const all = candidates(what)
    if (where.kind === 'any') return all
    const { name: key, places } = namesOfSelector(selector)
    const found = (before?: Made<List<Located>>): List<Located> => {
      const { gone, come } = since(before, all)
      const isMine = (one: Located) => matches(one, where)
      return (before?.value ?? none).patched(new Set([...gone].filter(isMine)), come.filter(isMine), risingPlaces)
    }
    return remember(key, () => memo.once(places, [all], found))
  }
  const find = (selector: Selector): Selection => {
    const located = select(selector)
    const { name, selection } = namesOfSelector(selector)
    return memo.once(
      selection,
      [located],
      (): Selection => ({
        name,
        located,
        places: memo.rows(`places ${name}`, [], [located], (one) => one.place),
      }),
    )
  }
  return { find, candidates }
}
/** Of those that find the same one. */
const namesOfSelector = onceOf(({ where, what }: Selector) => {
  const name = JSON.stringify([where, what])
  return { name, places: `places of ${name}`, selection: `selection ${name}` }
})
/** By node, as rules are looked up: as one text "a-b/lan" would stand before "a/lan". */
export const risingPlaces = (a: Located, b: Located): number =>
  compareText(a.place.node, b.place.node) || compareText(a.place.segment, b.place.segment)
