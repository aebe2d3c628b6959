/**
 * Proves what is asked of the ways themselves: what they pass, that both directions take one, what remains of them for a
 * class, and how soon traffic has left a dead one.
 *
 * A gateway's first choice is the cheapest hop of the first stage that is up; the end that decides for a path is followed
 * by the other, so both ends of a tunnel have the same. A cloud's or peer's choice is not ours: any that it may make.
 */
import type { ClassId, Expect, Finding, Hop, NodeId, Place, Tunnel, TunnelId, Uplink, Waypoint } from '#src/fabric/fabric.ts'
import { externalOf, nodeOf, siteEnds } from '#src/fabric/ids.ts'
import { counted } from '#src/fabric/plural.ts'
import { failoverMs, takeoverMs } from '#src/path/timing.ts'
import { classOf, type Flow, lossOf, type OnDuty, type Pair, pairOf, relevant, settledOn } from './flows.ts'
import { namesOf, proveReach, type Verdict } from './reach.ts'
import { type Break, type Breaks, nothingDown, together } from './failures.ts'
import { choices, type Down, type Edge, type Vertex } from './forward.ts'
import type { Model } from './model.ts'
import { formatPacket, sample } from './packets.ts'
import type { Shapes } from './shapes.ts'
import { bitsText, callerOf, halves, lineOf, pathText, placeName } from './words.ts'

export type PathExpect = Extract<Expect, { kind: 'path' }>
type Way = 'there' | 'back'

interface Fault {
  readonly code: 'V030' | 'V031' | 'V032' | 'V033' | 'V034' | 'V035'
  readonly from: Place
  readonly to: Place
  readonly broken: Break | null
  readonly says: string
  readonly instead: string
  readonly rules: readonly string[]
  readonly witness: readonly string[]
  /** As many in all that are alike. */
  readonly cases: number
}

export function provePath(model: Model, breaks: Breaks, expect: PathExpect, shapes: Shapes): Verdict {
  const { alike, weight } = shapes
  // What a line with `reach` says of the same places is not said twice.
  const isAsked = model.fabric.expects.some(
    (one) => one.kind === 'reach' && one.text === expect.text && callerOf(one.id) === callerOf(expect.id) && one.mode === expect.mode,
  )
  const { id, text, from, to, ports } = expect
  const reached = isAsked ? undefined : proveReach(model, breaks, { kind: 'reach', id, text, from, to, ports, mode: 'all', survives: [] }, shapes)
  const unreached = (reached?.findings ?? []).filter(({ severity }) => severity === 'error')
  const lines = linesOf(model)
  const faults: Fault[] = []
  let checks = reached?.checks ?? 0
  for (const from of expect.from) {
    const speaksFor = alike(from.node).length
    if (speaksFor === 0) continue
    const pairs = expect.to.flatMap((to) => {
      // Within a site no line is used.
      const pair = to.node === from.node ? undefined : pairOf(model, from, to, expect)
      return pair && !lossOf(pair, null, 'settled') ? [pair] : []
    })
    for (const pair of pairs) {
      const cases = speaksFor * weight(pair.to.node)
      const note = (fault: Found | undefined, broken: Break | null): void => {
        if (fault) faults.push({ ...fault, from, to: pair.to, broken, cases })
      }
      if (expect.not.length > 0) note(forbidden(model, lines, pair, expect), null)
      for (const broken of states(breaks, pair, expect)) {
        checks += cases
        if (broken && (broken.dead === from.node || lossOf(pair, broken, 'settled'))) continue
        const state = settledOn(pair, broken?.down ?? nothingDown)
        const start = startOf(pair, broken)
        if (expect.via.length > 0) note(astray(model, lines, state, expect, start, broken !== null), broken)
        if (expect.symmetric) note(uneven(model, state, start), broken)
        for (const fault of scarce(model, lines, state, expect, start)) note(fault, broken)
      }
    }
    if (expect.withinMs === 0) continue
    for (const among of expect.mode === 'any' ? [pairs] : pairs.map((pair) => [pair])) {
      const [first] = among
      if (!first) continue
      for (const broken of states(breaks, first, expect)) {
        if (!broken || broken.dead === from.node) continue
        checks += speaksFor
        const slow = late(model, among, expect, broken)
        if (slow) faults.push({ ...slow.found, from, to: slow.to, broken, cases: speaksFor })
      }
    }
  }
  return { expect, asked: [], findings: [...unreached, ...findingsOf(expect, shapes, faults)], checks }
}
type Found = Omit<Fault, 'from' | 'to' | 'broken' | 'cases'>

/** Everything up, each failure that the expectation names and the pair could feel, and any two uplinks of them. */
export function* states(breaks: Breaks, pair: Pair, expect: Pick<PathExpect, 'survives'>): Generator<Break | null> {
  yield null
  const single = [...relevant(breaks, pair, expect)]
  yield* single
  if (!expect.survives.includes('any two uplinks')) return
  const uplinks = single.filter(({ kind }) => kind === 'uplink')
  for (const [i, one] of uplinks.entries()) for (const other of uplinks.slice(i + 1)) yield together(one, other)
}

const startOf = ({ from, to }: Pair, broken: Break | null): string =>
  `${broken === null ? 'with everything up' : `if ${namesOf(broken)}`}: ${placeName(from)} → ${placeName(to)}`
const exampleOf = (flow: Flow, way: Way): string => {
  const { packets } = flow
  const packet = sample(packets)
  const shown = way === 'there' ? packet : { ...packet, source: packet.destination, destination: packet.source }
  return `for example ${formatPacket(shown)}${way === 'back' ? ' (the reply)' : ''}, class ${classOf(flow, way)}`
}
export const bothWays = (flow: Flow): readonly (readonly [Way, Vertex])[] => [
  ['there', flow.there],
  ['back', flow.back],
]

// ── Which ways there are ──

const leads = (edge: Edge): edge is Edge & { readonly to: Vertex } => !('why' in edge.to)

/** A gateway's cheapest hop of the first stage that is up; all that a cloud or peer may take. */
function firstChoices(vertex: Vertex, down: Down): readonly Edge[] {
  const open = choices(vertex, down, 'settled')
  if (vertex.external) return open
  return open.length === 0 ? [] : [open.reduce((best, edge) => (edge.hop.cost < best.hop.cost ? edge : best))]
}
/** Delivered ways only; the caller knows that all are. */
export function firstWays(entry: Vertex, down: Down): readonly (readonly Hop[])[] {
  const out: (readonly Hop[])[] = []
  const walk = (vertex: Vertex, path: readonly Hop[]): void => {
    if (vertex.decision.kind === 'deliver') out.push(path)
    else for (const edge of firstChoices(vertex, down)) if (leads(edge)) walk(edge.to, [...path, edge.hop])
  }
  walk(entry, [])
  return out
}
/** Every hop that `open` may lead over, with the way to it. */
function* hopsOver(entry: Vertex, open: (vertex: Vertex) => readonly Edge[]): Generator<{ readonly at: NodeId; readonly path: readonly Hop[] }> {
  const seen = new Set<Vertex>([entry])
  const todo: { readonly vertex: Vertex; readonly path: readonly Hop[] }[] = [{ vertex: entry, path: [] }]
  for (let next = todo.shift(); next; next = todo.shift()) {
    for (const edge of open(next.vertex)) {
      if (!leads(edge)) continue
      const path = [...next.path, edge.hop]
      yield { at: next.vertex.node, path }
      if (seen.has(edge.to)) continue
      seen.add(edge.to)
      todo.push({ vertex: edge.to, path })
    }
  }
}

// ── What they pass ──

type Lines = (site: NodeId, uplink: string) => Uplink
export function linesOf({ fabric }: Model): Lines {
  const known = new Map(fabric.sites.map((site) => [site.id as NodeId, site]))
  return (site, uplink) => known.get(site)!.uplinks.find((one) => one.id === uplink)!
}
const passedBy = (model: Model, lines: Lines, at: NodeId, { tunnel: id, next }: Hop, { kind, value }: Waypoint): boolean => {
  if (kind === 'hub') return at === value || next === value
  return siteEnds(model.tunnel(id)!).some(({ site, uplink }) => {
    const line = lines(site, uplink)
    switch (kind) {
      case 'uplink':
        return uplink === value || `${site}.${uplink}` === value
      case 'medium':
        return line.medium === value
      case 'transport':
        return line.transport === value
      case 'tag':
        return line.tags.includes(value)
      case 'metered':
        return line.metered
      default:
        throw new TypeError(`no such waypoint: ${kind satisfies never}`)
    }
  })
}
const wordsText = (of: readonly Waypoint[]): string => of.map((one) => one.value).join(' or ')

function forbidden(model: Model, lines: Lines, pair: Pair, { not }: PathExpect): Found | undefined {
  for (const flow of pair.flows) {
    for (const [way, entry] of bothWays(flow)) {
      for (const { at, path } of hopsOver(entry, (vertex) => vertex.edges)) {
        const hit = not.find((one) => passedBy(model, lines, at, path.at(-1)!, one))
        if (!hit) continue
        return {
          code: 'V031',
          says: `may go over ${hit.value}`,
          instead:
            hit.kind === 'hub'
              ? 'list other hubs for the site, or change the expectation'
              : `write never: ${hit.value} for class ${flow.trafficClass}`,
          rules: [flow.rule.id],
          witness: [
            `${placeName(pair.from)} → ${placeName(pair.to)}, ${exampleOf(flow, way)}, when what comes before it is down`,
            `  ${pathText(model, entry.node, path)}`,
          ],
        }
      }
    }
  }
  return undefined
}

/** What would make traffic go that way: with everything up a preference, after a failure another line. */
function otherwise(via: readonly Waypoint[], trafficClass: ClassId, isBroken: boolean): string {
  const [hubs, lines] = [via.filter(({ kind }) => kind === 'hub'), via.filter(({ kind }) => kind !== 'hub')]
  if (isBroken) return `add to via what it takes then${lines.length > 0 ? `, give it a second ${wordsText(lines)} that fails apart` : ''}`
  if (lines.length === 0) return `list ${wordsText(hubs)} before other hubs of the site`
  const ranked = lines.filter(({ kind }) => kind !== 'uplink')
  return ranked.length > 0
    ? `let class ${trafficClass} prefer ${wordsText(ranked)}`
    : `tag ${wordsText(lines)}, and let class ${trafficClass} prefer the tag`
}

function astray(model: Model, lines: Lines, { flows, down }: OnDuty, { via }: PathExpect, start: string, isBroken: boolean): Found | undefined {
  for (const flow of flows) {
    for (const [way, entry] of bothWays(flow)) {
      for (const path of firstWays(entry, down)) {
        const nodes = [entry.node, ...path.map((hop) => hop.next)]
        if (path.some((hop, i) => via.some((one) => passedBy(model, lines, nodes[i]!, hop, one)))) continue
        return {
          code: 'V030',
          says: `does not go via ${wordsText(via)}`,
          instead: `${otherwise(via, flow.trafficClass, isBroken)}, or change the expectation`,
          rules: [flow.rule.id],
          witness: [`${start}, ${exampleOf(flow, way)}`, `  ${pathText(model, entry.node, path)}`],
        }
      }
    }
  }
  return undefined
}

/** Which of a connection's tunnels is used is the far end's affair, and one line either way. */
const lineOfHop = (tunnel: Tunnel): string => (tunnel.kind === 'ipsec' ? `${tunnel.ends[1].connection} ${externalOf(tunnel)}` : tunnel.id)

function uneven(model: Model, { flows, down }: OnDuty, start: string): Found | undefined {
  const key = (path: readonly Hop[]): readonly string[] => path.map((hop) => lineOfHop(model.tunnel(hop.tunnel)!))
  for (const flow of flows) {
    const theres = firstWays(flow.there, down)
    for (const back of firstWays(flow.back, down)) {
      const wanted = key(back).toReversed().join()
      const there = theres.find((path) => key(path).join() !== wanted)
      if (!there) continue
      return {
        code: 'V032',
        says: 'goes one way and comes back another',
        instead: 'give both ends the same order of hubs, or take symmetric out',
        rules: [flow.rule.id],
        witness: [
          `${start}, ${exampleOf(flow, 'there')}`,
          `  there  ${pathText(model, flow.there.node, there)}`,
          `  back   ${pathText(model, flow.back.node, back)}`,
        ],
      }
    }
  }
  return undefined
}

// ── What remains of them ──

interface Line {
  readonly name: string
  readonly direction: 'up' | 'down'
  /** bit/s; 0 = not stated. */
  readonly rate: number
}
/** A hop leaves by one line and arrives by another; a cloud's own are not ours. */
export const linesUnder = (model: Model, lines: Lines, at: NodeId, { tunnel }: Hop): readonly Line[] =>
  siteEnds(model.tunnel(tunnel)!).map(({ site, uplink }) => {
    const direction = site === at ? 'up' : 'down'
    return { name: `${site}.${uplink}`, direction, rate: lines(site, uplink)[direction] }
  })
/** Nobody trusts the marks of what comes from a cloud or peer. */
export const classOn = (model: Model, flow: Flow, entry: Vertex): ClassId =>
  model.node(entry.node)!.of.kind === 'site' ? classOf(flow, entry === flow.there ? 'there' : 'back') : ('default' as ClassId)

function scarce(model: Model, lines: Lines, { flows, down }: OnDuty, { bandwidth }: PathExpect, start: string): readonly Found[] {
  const unknown = new Map<string, Found>()
  let least: { readonly kept: number; readonly found: Found } | undefined
  for (const flow of flows) {
    for (const [way, entry] of bothWays(flow)) {
      const needed = way === 'there' ? bandwidth.up : bandwidth.down
      if (needed === 0) continue
      const trafficClass = classOn(model, flow, entry)
      const share = model.fabric.classes.find(({ id }) => id === trafficClass)?.share ?? 0
      for (const { at, path } of hopsOver(entry, (vertex) => choices(vertex, down, 'settled'))) {
        for (const { name, direction, rate } of linesUnder(model, lines, at, path.at(-1)!)) {
          const kept = (rate * share) / 100
          const common = { rules: [flow.rule.id], witness: [`${start}, ${exampleOf(flow, way)}`, `  ${pathText(model, entry.node, path)}`] }
          if (rate === 0) {
            if (unknown.has(name)) continue
            unknown.set(name, {
              code: 'V035',
              says: `may use ${name}, whose rate is not stated`,
              instead: `write rate: at uplink ${name}`,
              ...common,
            })
          } else if (kept < needed && kept < (least?.kept ?? Number.POSITIVE_INFINITY)) {
            const sum = `class ${trafficClass} has ${share} % of the ${bitsText(rate)} ${direction} of ${name}: ${bitsText(kept)}, and ${bitsText(needed)} are needed`
            least = {
              kept,
              found: {
                code: 'V034',
                says: `may keep only ${bitsText(kept)} of ${bitsText(needed)}`,
                instead: `raise the share of class ${trafficClass} or the rate of ${name}, keep the class off it by never, or ask for less`,
                ...common,
                witness: [...common.witness, `  ${sum}`],
              },
            }
          }
        }
      }
    }
  }
  return [...(least ? [least.found] : []), ...unknown.values()]
}

// ── How soon a dead one is left ──

/**
 * How many paths that share no line are tried before one works, at each node that the way passes in the end. Whoever
 * falls silent throws doubt on all that share a line with it, so one silence tells of them all; the rest are found dead
 * only when traffic is on them. Infinity: a cloud or peer has to move its own route first.
 */
function triesOf(model: Model, entry: Vertex, down: Down): { readonly tries: number; readonly at: NodeId } {
  let most = { tries: 0, at: entry.node }
  const seen = new Set<Vertex>()
  const visit = (vertex: Vertex): void => {
    if (seen.has(vertex)) return
    seen.add(vertex)
    if (vertex.external) {
      const before = choices(vertex, nothingDown, 'settled')
      if (before.some(({ hop }) => down(hop.tunnel))) most = { tries: Number.POSITIVE_INFINITY, at: vertex.node }
    }
    const dead = new Set<TunnelId>()
    let tries = 0
    for (;;) {
      const tried = firstChoices(vertex, (tunnel) => dead.has(tunnel))
      const lost = vertex.external ? undefined : tried.find(({ hop }) => down(hop.tunnel))
      if (!lost) {
        for (const edge of tried) if (!down(edge.hop.tunnel) && leads(edge)) visit(edge.to)
        break
      }
      tries++
      for (const { hop } of vertex.edges)
        if (hop === lost.hop || (down(hop.tunnel) && sharesLine(model, vertex.node, lost.hop, hop))) dead.add(hop.tunnel)
    }
    if (tries > most.tries) most = { tries, at: vertex.node }
  }
  visit(entry)
  return most
}
/** As agents reckon it: one uplink here, or one over there; of those that this end asks, or of those that it is asked over. */
function sharesLine(model: Model, at: NodeId, one: Hop, other: Hop): boolean {
  const seen = ({ tunnel }: Hop) => {
    const { ends } = model.tunnel(tunnel)!
    const [near, far] = nodeOf(ends[0]) === at ? ends : [ends[1], ends[0]]
    const line = (end: Tunnel['ends'][number]) => ('site' in end ? `${end.site}.${end.uplink}` : null)
    return { decides: nodeOf(ends[0]) === at, near: line(near), far: line(far) }
  }
  const [a, b] = [seen(one), seen(other)]
  return a.decides === b.decides && (a.near === b.near || (a.far !== null && a.far === b.far))
}

/** The place that answers first is what counts; of one that never does, `reach` speaks. */
function late(
  model: Model,
  pairs: readonly Pair[],
  { withinMs }: PathExpect,
  broken: Break,
): { readonly to: Place; readonly found: Found } | undefined {
  let best: { readonly ms: number; readonly pair: Pair; readonly found: Found } | undefined
  for (const pair of pairs) {
    if (lossOf(pair, broken, 'settled')) continue
    let slowest: { readonly ms: number; readonly text: string; readonly flow: Flow } | undefined
    const before = settledOn(pair, nothingDown)
    const { flows, down } = settledOn(pair, broken.down)
    const [first] = flows
    const taken =
      first && [first.there, first.back].find(({ node }) => !before.flows.some(({ there, back }) => [there.node, back.node].includes(node)))
    if (first && taken) slowest = { ms: takeoverMs, text: `gateway ${taken.node} takes over after up to ${takeoverMs} ms`, flow: first }
    // Who takes over begins with ways that are up.
    for (const flow of taken ? [] : flows) {
      const each = failoverMs(model.fabric.classes.find(({ id }) => id === flow.trafficClass)?.sla.jitterMs ?? 0)
      for (const [, entry] of bothWays(flow)) {
        const { tries, at } = triesOf(model, entry, down)
        const ms = tries * each
        if (slowest && slowest.ms >= ms) continue
        const text = Number.isFinite(ms)
          ? `${at} leaves ${tries === 1 ? 'a path' : `${tries} paths that share no line, one after the other,`} after up to ${each} ms${tries === 1 ? '' : ` each: ${ms} ms`}`
          : `${at} moves its return route only when it is told or has noticed, after some seconds`
        slowest = { ms, text, flow }
      }
    }
    const ms = slowest?.ms ?? 0
    if (ms <= withinMs) return undefined
    if (best && best.ms <= ms) continue
    const { flow, text } = slowest!
    best = {
      ms,
      pair,
      found: {
        code: 'V033',
        says: `may take longer than ${withinMs} ms to be reached again`,
        instead: Number.isFinite(ms) ? `write within: ${Math.ceil(ms)}ms, or more` : 'let a second place answer too, or leave within out',
        rules: [flow.rule.id],
        witness: [`${startOf(pair, broken)}, ${exampleOf(flow, 'there')}`, `  ${text}`],
      },
    }
  }
  return best && { to: best.pair.to, found: best.found }
}

// ── Findings: one for each kind of fault ──

function findingsOf(expect: PathExpect, { alike }: Shapes, faults: readonly Fault[]): readonly Finding[] {
  return [...Map.groupBy(faults, ({ code }) => code)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, all]): Finding => {
      const worst = all.find(({ broken }) => broken === null) ?? all[0]!
      const target = halves(expect.text).to || placeName(worst.to)
      const others = new Set(all.flatMap((one) => alike(one.from.node)).filter((site) => site !== worst.from.node))
      const same = all.reduce((sum, one) => sum + one.cases, -1)
      const from = others.size > 0 ? `, also from ${[...others].sort().slice(0, 5).join(', ')}` : ''
      return {
        code,
        severity: 'error',
        at: [...new Set([expect.id, ...worst.rules].map(lineOf))],
        says: `${worst.from.node} to ${target} ${worst.says}${worst.broken === null ? '' : ` if ${namesOf(worst.broken)}`}`,
        instead: worst.instead,
        witness: [...worst.witness, ...(same > 0 ? [`the same in ${counted(same, 'more case')}${from}`] : [])],
      }
    })
}
