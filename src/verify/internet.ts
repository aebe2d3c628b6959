/**
 * What is expected of the internet: that hosts of a place may leave, also after failures, or that they may not. Everything
 * outside the pool is followed as one set: who leaves at its own site depends on that site alone, who leaves at the hub on
 * the way there, so each place has a handful of failures to ask about.
 */
import type { ClassId, Expect, Finding, Lan, NodeId, Place, TunnelId } from '#src/fabric/fabric.ts'
import { siteOfGateway } from '#src/fabric/ids.ts'
import { contains, familyOf, rangeOf, width } from '#src/net/address.ts'
import type { Verdict } from './reach.ts'
import { type Break, type Breaks, isBroken, nameOf, nothingDown, together } from './failures.ts'
import { type Course, courses, firstStop, type Patience, type Vertex } from './forward.ts'
import type { Model, Node } from './model.ts'
import { cut, everything } from './packets.ts'
import { dutyOf, type Gateway, gatewaysAt } from './pairs.ts'
import type { Shapes } from './shapes.ts'
import { halves, lineOf, placeName, stopText } from './words.ts'

export type InternetExpect = Extract<Expect, { kind: 'internet' }>

export function proveInternet(model: Model, breaks: Breaks, expect: InternetExpect, shapes: Shapes): Verdict {
  const asked = expect.from.filter(({ node }) => shapes.alike(node).length > 0)
  const bySite = breaksBySite(breaks, model)
  let checks = 0
  const cases = asked.flatMap((from): Case[] => {
    const count = shapes.alike(from.node).length
    const node = model.node(from.node)
    const lans = node?.of.lans.filter((lan) => from.prefixes.some((prefix) => contains(lan.prefix, prefix))) ?? []
    checks += count
    if (!expect.reachable) {
      const open = lans.find((lan) => lan.internet)
      return open ? [{ from, lan: open, broken: null, at: from.node, why: '', waits: false }] : []
    }
    // Of two families each that leaves is judged. IPv6 that stays inside beside IPv4 that leaves was told (I142).
    const four = lans.some(({ prefix, internet }) => familyOf(prefix) === 4 && internet)
    const judged = lans.filter(({ prefix, internet }) => !four || internet || familyOf(prefix) === 4)
    const gateways = gatewaysAt(model, from.node)
    const leaving = gateways.flatMap((gateway) => judged.map((lan) => ({ gateway, lan, ways: outwards(model, model.node(gateway.id)!, lan) })))
    const stuck = (broken: Break | null, patience: Patience): Case[] => {
      // While the first of a pair waits before it takes over again, either may have the LANs; never a box that is gone.
      const present = gateways.filter(({ id }) => gateways.length === 1 || !broken?.failures.some((one) => one.kind === 'gateway' && one.site === id))
      const duty = dutyOf(present, broken?.down ?? nothingDown, patience)
      const [first] = leaving.flatMap(({ gateway, lan, ways }) => {
        const stop = duty.includes(gateway) ? whyStuck(model, lan, gateway.id, ways, broken) : null
        return stop === null ? [] : [{ from, lan, broken, ...stop, waits: patience === 'held' }]
      })
      return first ? [first] : []
    }
    const lost = (broken: Break | null): Case[] => stuck(broken, 'settled')
    const now = lost(null)
    if (now.length > 0) return now
    const relevant = [
      ...relevantTo(
        breaks,
        bySite,
        gateways,
        leaving.flatMap(({ ways }) => ways),
      ),
    ]
    const anyTwo = expect.survives.includes('any two uplinks')
    // Of two that fail the other may be one that changes nothing.
    const asksFor = (kind: Break['kind']): boolean => expect.survives.includes(kind) || (anyTwo && kind === 'uplink')
    // Nobody calls from a hub that has failed; a gateway takes its hosts with it.
    const single = relevant.filter(({ kind, dead }) => asksFor(kind) && (dead !== from.node || kind === 'gateway'))
    const uplinks = anyTwo ? relevant.filter(({ kind }) => kind === 'uplink') : []
    const pairs = uplinks.flatMap((one, n) => uplinks.slice(n + 1).map((other) => together(one, other)))
    checks += (single.length + pairs.length) * count
    const lostBySingle = single.flatMap(lost)
    const gone = lostBySingle.length > 0 ? lostBySingle : pairs.flatMap(lost)
    const waiting = stuck(null, 'held')
    const told = new Set(gone.map(({ broken }) => broken))
    return [...gone, ...(waiting.length > 0 ? waiting : single.filter((one) => !told.has(one)).flatMap((one) => stuck(one, 'held')))]
  })
  return { expect, asked: [], findings: findingsOf(expect, cases, shapes), checks }
}

interface Case {
  readonly from: Place
  readonly lan: Lan
  readonly broken: Break | null
  /** Where it stops: at its own site, or at a hub. */
  readonly at: NodeId
  readonly why: string
  /** Only while traffic waits to return. */
  readonly waits: boolean
}

/** All that hosts of a LAN may send to whatever is outside the network, by how it is treated. */
function outwards(model: Model, node: Node, lan: Lan): readonly Course[] {
  if (!node.breakout) return []
  const { family, low, high } = rangeOf(lan.prefix)
  const last = (1n << BigInt(width(family))) - 1n
  return cut(node.breakout.pool[family], { low: 0n, high: last })
    .filter((piece) => piece.value === undefined)
    .flatMap(({ low: from, high: to }) =>
      courses(
        model,
        node,
        { family, source: { low, high }, destination: { low: from, high: to }, application: everything },
        'default' as ClassId,
        'request',
      ),
    )
}
/** Why some of it does not leave; null: all does, whatever run time chooses. */
function whyStuck(model: Model, lan: Lan, site: NodeId, ways: readonly Course[], broken: Break | null): Pick<Case, 'at' | 'why'> | null {
  if (broken?.dead === site) return { at: site, why: `${site} has no other gateway` }
  if (lan.internet === undefined) return { at: site, why: `hosts of ${lan.segment} at ${site} may not leave to the internet` }
  const [stop] = ways.flatMap(
    ({ entry }) =>
      firstStop(
        entry,
        broken?.down ?? nothingDown,
        'settled',
        ({ node, decision }) =>
          decision.kind === 'exit' && decision.uplinks.some((uplink) => !isBroken(model.fabric, broken?.failures ?? [], node, uplink)),
      ) ?? [],
  )
  if (ways.length > 0 && !stop) return null
  const at = stop?.node ?? site
  const why =
    stop === undefined || stop.vertex.decision.kind === 'exit'
      ? `no uplink of ${at} leads to the internet${familyOf(lan.prefix) === 6 ? ' over IPv6' : ''}${broken ? ' then' : ''}`
      : stopText(model, stop, 'default' as ClassId, broken?.down ?? nothingDown)
  return { at, why }
}
/** Failures of lines and hubs on the ways; an uplink without a tunnel may be an exit all the same. */
function relevantTo(
  breaks: Breaks,
  bySite: ReadonlyMap<NodeId, readonly Break[]>,
  from: readonly Gateway[],
  ways: readonly Course[],
): ReadonlySet<Break> {
  // Of a pair of gateways also one that no packet passes: it decides which of the two is on duty.
  const tunnels = new Set<TunnelId>(from.flatMap((gateway) => [...gateway.tunnels]))
  const sites = new Set(from.map(({ id }) => id))
  const visit = ({ node, edges }: Vertex): void => {
    sites.add(node)
    for (const { hop, to } of edges) {
      tunnels.add(hop.tunnel)
      if (!('why' in to) && !sites.has(to.node)) visit(to)
    }
  }
  for (const { entry } of ways) visit(entry)
  return new Set([...[...sites].flatMap((site) => bySite.get(site) ?? []), ...[...tunnels].flatMap((tunnel) => breaks.of(tunnel))])
}
/** Of uplinks, hubs and gateways by their site, of shared risks by each of theirs. */
function breaksBySite({ all }: Breaks, { fabric: { risks } }: Model): ReadonlyMap<NodeId, readonly Break[]> {
  const found = new Map<NodeId, Break[]>()
  for (const one of all) {
    for (const failure of one.failures) {
      const sites =
        failure.kind === 'uplink' || failure.kind === 'hub' || failure.kind === 'gateway'
          ? [failure.site]
          : failure.kind === 'shared_risk'
            ? new Set(risks.find(({ id }) => id === failure.risk)?.uplinks.map(({ site }) => site))
            : []
      for (const site of sites) {
        const known = found.get(site)
        if (known) known.push(one)
        else found.set(site, [one])
      }
    }
  }
  return found
}

const remedy = (at: NodeId, site: NodeId, six: boolean): string =>
  siteOfGateway(at) === site
    ? `give it a second uplink on the internet${six ? ' that has IPv6 (family: both) and' : ' that'} fails apart`
    : `give ${at}, where it is to leave then, one more uplink on the internet${six ? ' that has IPv6' : ''}`

function findingsOf(expect: InternetExpect, cases: readonly Case[], { alike }: Shapes): readonly Finding[] {
  const groups = Map.groupBy(cases, ({ broken, waits }) => (waits ? 'waits' : broken === null ? 'now' : 'failed'))
  return (['now', 'failed', 'waits'] as const).flatMap((kind): Finding[] => {
    const group = groups.get(kind) ?? []
    const [worst] = group
    if (!worst) return []
    const { from, lan, broken, at, why } = worst
    const { from: fromText } = halves(expect.text)
    const sites = [...new Set(group.flatMap((one) => alike(one.from.node)))].filter((site) => site !== from.node).sort()
    const more = sites.length > 0 ? [`the same from ${sites.slice(0, 5).join(', ')}${sites.length > 5 ? ` and ${sites.length - 5} more` : ''}`] : []
    const key = [`internet/${lan.segment}`]
    if (!expect.reachable)
      return [
        {
          code: 'V014',
          severity: 'error',
          at: [lineOf(expect.id), ...key],
          says: `${fromText} can leave to the internet, and this line expects that it can't`,
          instead: 'write internet: none for it, or take back the expectation',
          witness: [`hosts of ${placeName(from)} leave ${lan.internet === 'hub' ? 'at the hub' : `at ${from.node}`}`, ...more],
        },
      ]
    const when = broken === null ? '' : broken.failures.map(nameOf).join(' and ')
    const fails = broken === null ? '' : ` if ${when} ${broken.failures.length > 1 ? 'fail' : 'fails'}`
    if (kind === 'waits')
      return [
        {
          code: 'V004',
          severity: 'warning',
          at: [lineOf(expect.id), ...key],
          says: `${placeName(from)} can lose the internet${fails} while the second gateway still has the LAN`,
          instead: 'give the second gateway another uplink on the internet',
          witness: [why, ...more],
        },
      ]
    return [
      {
        code: broken === null ? 'V008' : 'V009',
        severity: 'error',
        at: [lineOf(expect.id), ...key],
        says: broken === null ? `${placeName(from)} can't leave to the internet` : `${placeName(from)} loses the internet${fails}`,
        instead:
          lan.internet === undefined
            ? `write internet: { ${lan.segment}: local }, or take back the expectation`
            : `${remedy(at, from.node, familyOf(lan.prefix) === 6)}, or take that kind out of \`survives\``,
        witness: [why, ...more],
      },
    ]
  })
}
