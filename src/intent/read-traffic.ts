/** Services, allows and denies: selectors read, canonical, sorted; and, of expectations too, that each means at least one place. */
import type { ClassId, NodeId, Origin, SegmentId } from '#src/fabric/fabric.ts'
import { contains, formatHosts, type Prefix } from '#src/net/address.ts'
import { anyPort, formatPortRange, type PortRange } from '#src/net/ports.ts'
import { defaultClass } from './defaults.ts'
import type { Intent, IntentClass, IntentGroup, IntentLine, IntentService, IntentSite, NodeRole, Selector } from './intent.ts'
import { onceOf } from '#src/net/once.ts'
import type { Raw } from './raw.ts'
import { type Land, type Lands, readHosts, reportNowhere, reportTaken } from './read-groups.ts'
import { noteFields } from './places.ts'
import type { Report } from './report.ts'
import { type Arrow, type Names, type PlacedSelector, readArrow, readSelector } from './selector.ts'
import { oneOf } from './suggest.ts'

const uniquePorts = (ports: readonly PortRange[]): readonly PortRange[] => {
  const byText = new Map(ports.map((each) => [formatPortRange(each), each]))
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each)
}

export function readServices(raw: Raw, names: Names, classes: readonly IntentClass[], report: Report): readonly IntentService[] {
  const out: IntentService[] = []
  for (const { key, value } of raw.network?.fields.services ?? []) {
    const base = `service/${key.value}`
    report.origins.set(base, key.at)
    if (!value) continue
    const { fields } = value
    noteFields(base, { ports: fields.ports, class: fields.class }, report.origins)
    const places = (fields.at ?? []).map((text) =>
      readSelector(text, { text: text.value, offset: 0 }, names, { same: false, services: false }, report),
    )
    const at = distinct(places.filter((place) => place !== undefined))
    for (const [i, place] of at.entries()) report.origins.set(`${base}/at/${i}`, place.at)
    const id = fields.class?.value ?? defaultClass
    if (!classes.some((each) => each.id === id)) {
      const ids = classes.map((each) => each.id)
      const meant = report.meant(id, ids)
      report.error(
        'I015',
        fields.class!.at,
        `class "${id}" does not exist${meant}`,
        meant === '' ? `write one of ${oneOf(ids)}, or add it to \`classes:\`` : '',
      )
    }
    out.push({
      id: key.value,
      at: at.map((place) => place.selector),
      endpoints: readHosts(`${base}/endpoints`, fields.endpoints ?? [], report),
      ports: uniquePorts((fields.ports ?? []).map((port) => port.value)),
      trafficClass: id as ClassId,
    })
  }
  return out.sort((a, b) => (a.id < b.id ? -1 : 1))
}

function distinct(places: readonly PlacedSelector[]): readonly PlacedSelector[] {
  const byText = new Map(places.map((place) => [place.selector.text, place]))
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, place]) => place)
}

export interface Placed<T> {
  readonly value: T
  readonly arrow: Arrow
  /** Canonical; the sort key. */
  readonly text: string
  readonly at: Origin
  readonly log?: Origin | undefined
}

/** Sorted by canonical text, the same line once. */
export function inOrder<T>(kind: 'allow' | 'deny' | 'expect', placed: readonly Placed<T>[], report: Report): readonly T[] {
  const out: Placed<T>[] = []
  for (const each of [...placed].sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0))) {
    const last = out.at(-1)
    if (last?.text === each.text) {
      report.warning('I072', [each.at, last.at], `"${each.text}" stands twice`, 'remove one')
      continue
    }
    const base = `${kind}/${out.length}`
    report.origins.set(base, each.at)
    report.origins.set(`${base}/from`, each.arrow.from.at)
    report.origins.set(`${base}/to`, each.arrow.to.at)
    if (each.log) report.origins.set(`${base}/log`, each.log)
    out.push(each)
  }
  return out.map((each) => each.value)
}

export function readLines(kind: 'allow' | 'deny', raw: Raw, names: Names, report: Report): readonly IntentLine[] {
  const placed: Placed<IntentLine>[] = []
  const written = raw.network?.fields[kind] ?? []
  // Of the same line twice the one that asks for more is kept, wherever it stands.
  for (const { fields } of [...written].sort((a, b) => Number(b.fields.log?.value ?? false) - Number(a.fields.log?.value ?? false))) {
    const line = fields.rule
    const arrow = line && readArrow(line, names, 'rule', report)
    if (!arrow) continue
    const log = fields.log?.value ?? false
    const ports = arrow.to.selector.what.kind === 'service' ? [] : arrow.ports.length > 0 ? uniquePorts(arrow.ports) : [anyPort]
    placed.push({
      value: { from: arrow.from.selector, to: arrow.to.selector, ports, log },
      arrow,
      text: arrow.text,
      at: line.at,
      log: fields.log?.at,
    })
  }
  return inOrder(kind, placed, report)
}

/** A site, region or peer, as selectors see it. */
interface Selectable {
  readonly id: NodeId
  readonly role: NodeRole
  readonly labels: readonly string[]
  readonly segments: readonly SegmentId[]
  /** Of two of a kind, what selects one selects the other, but by its name or for its hosts. */
  readonly kind: string
}
const selectable = (one: Omit<Selectable, 'kind'>): Selectable => ({ ...one, kind: [one.role, ...one.labels, '', ...one.segments].join(' ') })
const ofSite = onceOf(({ id, role, labels, lans }: IntentSite) => selectable({ id, role, labels, segments: lans.map((lan) => lan.segment) }))
/** By name, one of each kind first: most of what is selected is found among them. */
function inOrderOfKinds(all: readonly Selectable[]): ReadonlyMap<NodeId, Selectable> {
  const kinds = new Set<string>()
  const [firsts, others]: [Selectable[], Selectable[]] = [[], []]
  for (const one of all) {
    const of = kinds.has(one.kind) ? others : firsts
    of.push(one)
    kinds.add(one.kind)
  }
  return new Map([...firsts, ...others].map((one) => [one.id, one]))
}
/** What selectors select from, and what they do. */
interface World {
  readonly lands: Lands
  readonly nodes: ReadonlyMap<NodeId, Selectable>
  readonly services: ReadonlyMap<string, IntentService>
  readonly groups: ReadonlyMap<string, readonly Prefix[]>
  /** Nodes that have hosts of each group. */
  readonly hosts: ReadonlyMap<string, ReadonlySet<NodeId>>
  /** By canonical text: the same selector stands in many lines. */
  readonly asked: Map<string, Selects>
}
const isWhere = (where: Selector['where'], site: Selectable): boolean => {
  switch (where.kind) {
    case 'any':
    case 'same':
      return true
    case 'role':
      return where.role === site.role
    case 'site':
      return where.site === site.id
    case 'label':
      return site.labels.includes(where.label)
    default:
      return where satisfies never
  }
}
/** Whether a node is selected. */
type Selects = (node: Selectable) => boolean
function selects(selector: Selector, world: World): Selects {
  const held = world.asked.get(selector.text)
  if (held) return held
  const { where, what } = selector
  const fits = fitsOf(what, world)
  const is: Selects = (node) => isWhere(where, node) && fits(node)
  world.asked.set(selector.text, is)
  return is
}
function fitsOf(what: Selector['what'], world: World): Selects {
  if (what.kind === 'segment') return (node) => node.segments.includes(what.segment)
  if (what.kind === 'group') return (node) => world.hosts.get(what.group)?.has(node.id) ?? false
  const service = what.kind === 'service' ? world.services.get(what.service) : undefined
  if (!service) return () => false
  if (service.endpoints.length === 0) {
    const places = service.at.map((at) => selects(at, world))
    return (node) => places.some((is) => is(node))
  }
  const answering = new Set(service.endpoints.flatMap((each) => answeringAt(service, each, world).map((land) => land.node)))
  return (node) => answering.has(node.id)
}
/** Whether it selects a node, of which this is true as well. */
function isAnywhere(selector: Selector, world: World, also: Selects = () => true): boolean {
  const is = selects(selector, world)
  const { where } = selector
  const named = where.kind === 'site' ? [world.nodes.get(where.site)].filter((node) => node !== undefined) : world.nodes.values()
  for (const node of named) if (is(node) && also(node)) return true
  return false
}

/** Where an endpoint is. Of LANs with the same addresses, those where the service is said to be. */
function answeringAt({ at }: IntentService, endpoint: Prefix, world: World): readonly Land[] {
  const lands = world.lands.around(endpoint)
  return lands.length < 2 ? lands : lands.filter((land) => at.some((one) => isThere(one, land, endpoint, world)))
}
/** The LAN is one that `at` selects; of a group, the host is in it. */
function isThere({ where, what, text }: Selector, land: Land, host: Prefix, world: World): boolean {
  const node = world.nodes.get(land.node)
  if (!node || !selects({ where, what, text }, world)(node)) return false
  if (what.kind === 'segment') return what.segment === land.segment
  return what.kind === 'group' && (world.groups.get(what.group)?.some((each) => contains(each, host)) ?? false)
}
/** Each answers where the service is said to be, and wherever it is said to be one answers. */
function checkEndpoints(
  { id, at, endpoints }: IntentService,
  nowhere: readonly boolean[],
  isAt: (at: Selector, land: Land, host: Prefix) => boolean,
  lands: Lands,
  report: Report,
): void {
  if (endpoints.length === 0) return
  const found = endpoints.map((host) => ({ host, holders: lands.around(host) }))
  for (const [i, { host, holders }] of found.entries()) {
    const key = `service/${id}/endpoints/${i}`
    const [land] = holders
    const there = holders.filter((holder) => at.some((one) => isAt(one, holder, host)))
    if (!land) reportNowhere(key, host, `service "${id}"`, lands, report)
    else if (there.length > 0 && there.every((one) => lands.taken(host, one) !== undefined))
      reportTaken(key, host, `service "${id}"`, there[0]!, lands, report)
    else if (there.length === 0)
      report.error(
        'I021',
        [key, `service/${id}/at/0`],
        `${formatHosts(host)} is at ${land.node}/${land.segment}, where service "${id}" is not`,
        `write a host of ${oneOf(at.map((one) => one.text))}, or add ${land.node}/${land.segment} to \`at\``,
      )
  }
  // Who is nowhere may have been meant for there.
  if (found.some(({ holders }) => holders.length === 0)) return
  for (const [i, one] of at.entries())
    if (!nowhere[i] && !found.some(({ host, holders }) => holders.some((land) => isAt(one, land, host))))
      report.warning('I019', `service/${id}/at/${i}`, `no endpoint of service "${id}" is at "${one.text}"`, 'add one, or take it out of `at`')
}

/**
 * Selectors that select nothing. In an expectation, or with a site's own name, that is a mistake (a promise about nothing
 * always holds); in an allow or deny by role or segment it may be meant for a site to come.
 */
export function checkPlaces(
  { sites, regions, peers, services, allow, deny, expect }: Pick<Intent, 'sites' | 'regions' | 'peers' | 'services' | 'allow' | 'deny' | 'expect'>,
  groups: readonly IntentGroup[],
  lands: Lands,
  report: Report,
): void {
  const world: World = {
    lands,
    nodes: inOrderOfKinds([
      ...sites.map(ofSite),
      ...regions.map(({ id, segment }) => selectable({ id, role: 'region', labels: [], segments: [segment] })),
      ...peers.map(({ id, lans }) => selectable({ id, role: 'peer', labels: [], segments: lans.map((lan) => lan.segment) })),
    ]),
    services: new Map(services.map((service) => [service.id, service])),
    groups: new Map(groups.map(({ id, hosts }) => [id, hosts])),
    hosts: new Map(groups.map(({ id, hosts }) => [id, new Set(hosts.flatMap((each) => lands.around(each).map((land) => land.node)))])),
    asked: new Map(),
  }
  const empty = (key: string, selector: Selector, mistake: boolean): boolean => {
    if (isAnywhere(selector, world)) return false
    const { kind } = selector.what
    const says =
      kind === 'service'
        ? `service "${selector.text}" is nowhere`
        : kind === 'group'
          ? `no host of group "${selector.what.group}" is where "${selector.text}" selects`
          : `no site has a LAN that "${selector.text}" selects`
    const where = selector.where.kind === 'site' ? `site ${selector.where.site}` : 'a site'
    const instead = kind === 'group' ? `add hosts of ${where} to the group, or select another` : `add the segment to ${where}, or select another`
    if (mistake || selector.where.kind === 'site') report.error('I019', key, says, instead)
    else report.warning('I019', key, says, instead)
    return true
  }
  const lists = [
    { kind: 'allow', lines: allow },
    { kind: 'deny', lines: deny },
    { kind: 'expect', lines: expect },
  ] as const
  for (const service of services) {
    const nowhere = service.at.map((at, i) => empty(`service/${service.id}/at/${i}`, at, false))
    checkEndpoints(service, nowhere, (at, land, each) => isThere(at, land, each, world), lands, report)
  }
  for (const { kind, lines } of lists) {
    for (const [n, { from, to }] of lines.entries()) {
      const mistake = kind === 'expect'
      const nowhere =
        empty(`${kind}/${n}/from`, from, mistake) ||
        (to.what.kind !== 'service' && to.what.kind !== 'internet' && empty(`${kind}/${n}/to`, to, mistake))
      if (nowhere) continue
      // A service that is nowhere has been reported where it is declared; a promise about it is empty all the same.
      if (to.what.kind === 'service' && !isAnywhere(to, world)) {
        if (mistake || to.where.kind !== 'any') empty(`${kind}/${n}/to`, to, mistake)
        continue
      }
      if (to.where.kind === 'same' && !isAnywhere(from, world, selects(to, world))) {
        const says = `no site has both ends of "${from.text} -> ${to.text}"`
        if (mistake) report.error('I019', `${kind}/${n}/to`, says, 'select another place than same')
        else report.warning('I019', `${kind}/${n}/to`, says, 'select another place than same')
      }
    }
  }
}
