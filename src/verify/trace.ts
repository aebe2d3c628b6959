/** Would it pass, by which line, over which path: one packet, and its reply, through the same model that is proven. */
import type { ClassId, Fabric, Failure, Lan, NodeId, Place } from '#src/fabric/fabric.ts'
import { speaking, type Speaking } from '#src/fabric/lan-routing.ts'
import { isSameLan } from '#src/fabric/lans.ts'
import { type Address, address, contains, type Family, familyOf, hostPrefix, type Prefix } from '#src/net/address.ts'
import { anyPort, type PortRange } from '#src/net/ports.ts'
import { translated } from '#src/net/translate.ts'
import { resolveEnd, type Unknown } from './ends.ts'
import { downWith, isBroken } from './failures.ts'
import { classesFrom, type Down, type Drop, walk, type Walk } from './forward.ts'
import { type Model, modelOf } from './model.ts'
import { intersect, packetsBetween, packetsOf, type Packet, sample } from './packets.ts'
import { dutyOf, gatewaysAt, standingBy } from './pairs.ts'
import { lineOf, neverUsed, pathText, placeName, uplinksText, whyText } from './words.ts'

export interface Question {
  /** `berlin/cameras`, `edge/inference`, `cameras`, `berlin`, an address; `to` also a service. */
  readonly from: string
  readonly to: string
  /** null: the service's, else what an allow opens, else any. */
  readonly port: PortRange | null
  /** null: the class that the allow gives. */
  readonly trafficClass: ClassId | null
  readonly without: readonly Failure[]
}
/** One pair of places, and of the families that both have. */
export interface TraceLine {
  readonly from: string
  readonly to: string
  readonly packet: Packet
  /** Hosts of the packet that call themselves something else than it does. Absent: none. */
  readonly translated?: readonly { readonly node: NodeId; readonly local: Address; readonly overlay: Address }[]
  /** What the allow opens where that is less than was asked about. Absent: all of it. */
  readonly only?: { readonly from: Prefix; readonly to: Prefix }
  /** Classes by whose mark hosts of a trusted LAN would lose it all the same. Absent: none. */
  readonly marked?: readonly {
    readonly trafficClass: ClassId
    readonly way: 'there' | 'back'
    readonly at: NodeId | null
    readonly whyText: string
  }[]
  /** Declared prefixes that it comes from or goes to and that are reached while a router announces them. Absent: none. */
  readonly learned?: readonly {
    readonly node: NodeId
    readonly prefix: Prefix
    readonly by: Speaking['protocol']
    readonly from: readonly Address[]
  }[]
  readonly outcome: 'passes' | 'blocked'
  /** Where it is delivered or leaves the network, or where it stops. */
  readonly at: NodeId | null
  readonly why: Drop | null
  /** It stops on its way there, or the reply does. */
  readonly way: 'there' | 'back'
  readonly trafficClass: ClassId | null
  /** Keys into Origins: the allow that lets it pass, the deny that does not, or the expectation that wants it blocked. */
  readonly decidedBy: readonly string[]
  readonly there: Walk
  readonly back: Walk | null
  /** `berlin ─fiber/isp-a→ frankfurt`. */
  readonly thereText: string
  readonly backText: string
  readonly whyText: string
}
export interface Trace {
  readonly question: Question
  /** blocked: no pair passes. */
  readonly outcome: 'passes' | 'blocked' | 'partly' | 'unknown'
  readonly lines: readonly TraceLine[]
  /** When a name is unknown. */
  readonly says: string
  readonly instead: string
}

export function trace(fabric: Fabric, question: Question): Trace {
  const from = resolveEnd(fabric, question.from, false)
  const to = resolveEnd(fabric, question.to, true)
  const wrong = [from, to].find((end) => 'says' in end)
  if (wrong && 'says' in wrong) return { question, outcome: 'unknown', lines: [], ...wrong }
  if ('says' in from || 'says' in to) throw new TypeError('unreachable')
  const model = modelOf(fabric)
  const lines = from.places.flatMap((source) =>
    to.outside !== undefined
      ? (to.outside === null ? familiesOf(source).map((family) => anybody(fabric, family)) : [to.outside]).flatMap((outside) =>
          tracedOut(model, question, source, outside),
        )
      : to.places.flatMap((target) => traced(model, question, source, target, to.ports)),
  )
  const [stranger] = from.places.flatMap((source) =>
    to.places.filter((target) => commonFamilies(source, target).length === 0).map((target) => ({ source, target })),
  )
  if (lines.length === 0 && stranger) return { question, outcome: 'unknown', lines, ...unlike(stranger.source, stranger.target) }
  const passing = lines.filter((line) => line.outcome === 'passes').length
  return {
    question,
    outcome: lines.length > 0 && passing === lines.length ? 'passes' : passing > 0 ? 'partly' : 'blocked',
    lines,
    says: '',
    instead: '',
  }
}

const familiesOf = ({ prefixes }: Place): readonly Family[] => ([4, 6] as const).filter((family) => prefixes.some((one) => familyOf(one) === family))
const commonFamilies = (a: Place, b: Place): readonly Family[] => familiesOf(a).filter((family) => familiesOf(b).includes(family))
const unlike = (source: Place, target: Place): Unknown => {
  const [mine, theirs] = [source, target].map((place) => `IPv${familiesOf(place)[0]}`)
  return {
    says: `${placeName(source)} has ${mine} only and ${placeName(target)} ${theirs}: nothing can be sent`,
    instead: 'give one of them prefixes of the other family too; nothing translates between the two',
  }
}

function traced(model: Model, question: Question, source: Place, target: Place, servicePorts: readonly PortRange[]): readonly TraceLine[] {
  const ports = question.port ? [question.port] : servicePorts
  return commonFamilies(source, target).flatMap((family) => {
    const asked = askedOf(model, source, target, family, ports)
    return asked ? followed(model, question, source, target, asked) : []
  })
}

/** Of what is asked about, a packet that stands for it. */
interface Asked {
  readonly packet: Packet
  /** The one in which both are. */
  readonly lan?: Lan
  readonly only?: TraceLine['only']
}
/**
 * One that a gateway decides, where there is such a one: of what some allow opens, best of all that is asked about, so that
 * a question without a port, or about more than is opened, is about something real.
 */
function askedOf(model: Model, source: Place, target: Place, family: Family, given: readonly PortRange[]): Asked | undefined {
  const ports = given.length > 0 ? given : [anyPort]
  const node = model.node(source.node)
  const of = ({ prefixes }: Place): readonly Prefix[] => prefixes.filter((one) => familyOf(one) === family)
  const lanOf = (one: Prefix): Lan | undefined => node?.of.lans.find(({ prefix }) => contains(prefix, one))
  const pairs = of(source).flatMap((from) => of(target).map((to) => ({ from, to })))
  const apart = pairs.filter(({ from, to }) => {
    const [near, far] = [lanOf(from), lanOf(to)]
    return !near || !far || !isSameLan(near, far)
  })
  const [first] = apart.length > 0 ? apart : pairs
  if (!first) return undefined
  if (apart.length === 0) return { packet: sample(packetsOf(first.from, first.to, ports[0]!)!), lan: lanOf(first.to)! }
  let part: Asked | undefined
  for (const rule of node?.of.rules ?? []) {
    for (const whole of apart) {
      const from = narrowed(whole.from, rule.from.prefixes)
      const to = from && narrowed(whole.to, rule.to.prefixes)
      const opened =
        to && ports.flatMap((port) => rule.ports.flatMap((open) => intersect(packetsOf(from, to, port)!, packetsOf(from, to, open)!) ?? []))[0]
      if (!opened) continue
      if (from === whole.from && to === whole.to) return { packet: sample(opened) }
      part ??= { packet: sample(opened), only: { from, to } }
    }
  }
  return part ?? { packet: sample(packetsOf(first.from, first.to, ports[0]!)!) }
}
/** What of `prefix` the first of `these` has that has any. */
function narrowed(prefix: Prefix, these: readonly Prefix[]): Prefix | undefined {
  const [wide, narrow] = [these.find((one) => contains(one, prefix)), these.find((one) => contains(prefix, one))]
  return wide === undefined ? narrow : prefix
}
function followed(model: Model, question: Question, source: Place, target: Place, { packet, lan, only }: Asked): readonly TraceLine[] {
  const { dead, ...broken } = downWith(model.fabric, question.without)
  const [near, far, down] = onDutyAt(model, [source.node, target.node], broken.down)
  const others = [
    ...namesOf(model, source.node, packet.source),
    ...(target.node === source.node ? [] : namesOf(model, target.node, packet.destination)),
  ]
  const routers = [...learnedAt(model, source.node, packet.source), ...learnedAt(model, target.node, packet.destination)]
  const names = {
    from: placeName(source),
    to: placeName(target),
    packet,
    ...(others.length > 0 ? { translated: others } : {}),
    ...(routers.length > 0 ? { learned: routers } : {}),
    ...(only ? { only } : {}),
  }
  if (lan) {
    const outcome = { kind: 'delivered', at: source.node, lan, trafficClass: 'default' as ClassId, rules: [] } as const
    const shared = { outcome: 'passes', at: source.node, why: null, way: 'there', trafficClass: null, decidedBy: [], back: null } as const
    return [{ ...names, ...shared, there: { hops: [], outcome }, thereText: '', backText: '', whyText: '' }]
  }
  const gone = dead.has(source.node) ? source.node : dead.has(target.node) ? target.node : undefined
  const forced = question.trafficClass === null ? {} : { trafficClass: question.trafficClass }
  const there = walk(model, packet, down, { from: near, ...forced })
  const stopped = (at: NodeId | null, why: Drop, way: 'there' | 'back', back: Walk | null, by?: string): TraceLine => ({
    ...names,
    outcome: 'blocked',
    at,
    why,
    way,
    trafficClass: there.outcome.trafficClass,
    decidedBy: by !== undefined ? [lineOf(by)] : why === 'policy' ? expectedBy(model.fabric, packet) : [],
    there,
    back,
    thereText: walkText(model, near, there),
    backText: back ? walkText(model, far, back) : '',
    whyText:
      gone === undefined
        ? reason(model, { at, why, trafficClass: there.outcome.trafficClass, packet }, way === 'there' ? target.node : source.node, broken.down)
        : `${gone} has failed, and its LANs with it`,
  })
  if (gone !== undefined) return [stopped(gone, 'dead', 'there', null)]
  if (there.outcome.kind === 'dropped') return [stopped(there.outcome.at, there.outcome.why, 'there', null, there.outcome.by)]
  // What is for a LAN of the network is in its pool.
  if (there.outcome.kind === 'left') throw new TypeError('a packet for a LAN left to the internet')
  const answer: Packet = { ...packet, source: packet.destination, destination: packet.source }
  const back = walk(model, answer, down, { from: far, direction: 'reply', trafficClass: there.outcome.trafficClass })
  if (back.outcome.kind === 'dropped') return [stopped(back.outcome.at, back.outcome.why, 'back', back)]
  const given = question.trafficClass === null ? there.outcome.trafficClass : null
  const marked = (
    [
      ['there', near, target.node, packet, 'request'],
      ['back', far, source.node, answer, 'reply'],
    ] as const
  ).flatMap(([way, from, towards, one, direction]) => {
    const own = model.node(from)?.of.lans.find(({ prefix }) => contains(prefix, one.source))
    const classes = given === null ? [] : classesFrom(model, own, given).filter((id) => id !== given)
    return classes.flatMap((trafficClass) => {
      const { outcome } = walk(model, one, down, { from, direction, trafficClass })
      if (outcome.kind !== 'dropped') return []
      return [{ trafficClass, way, at: outcome.at, whyText: reason(model, { ...outcome, trafficClass, packet: one }, towards, broken.down) }]
    })
  })
  return [
    {
      ...names,
      ...(marked.length > 0 ? { marked } : {}),
      outcome: 'passes',
      at: there.outcome.at,
      why: null,
      way: 'there',
      trafficClass: there.outcome.trafficClass,
      decidedBy: [...new Set(there.outcome.rules.map(lineOf))],
      there,
      back,
      thereText: walkText(model, near, there),
      backText: walkText(model, far, back),
      whyText: '',
    },
  ]
}

/** The gateway on duty at either site, and what is down then. */
function onDutyAt(model: Model, [from, to]: readonly [NodeId, NodeId], down: Down): readonly [NodeId, NodeId, Down] {
  const sides = [from, to].map((node) => {
    const gateways = gatewaysAt(model, node)
    return { gateways, one: dutyOf(gateways, down, 'settled')[0]! }
  })
  const [near, far] = sides.map(({ one }) => one.id)
  return [near!, far!, sides.reduce((all, { gateways, one }) => standingBy(gateways, one, all), down)]
}

/** RFC 5737 and RFC 3849: an address that nobody has stands for the internet. */
const documented: Readonly<Record<Family, readonly Address[]>> = {
  4: ['198.51.100.1', '192.0.2.1', '203.0.113.1'].map(address),
  6: ['2001:db8::1', '3fff::1'].map(address),
}
const anybody = ({ network: { pool } }: Fabric, family: Family): Address =>
  documented[family].find((one) => !pool.some((inside) => contains(inside, one)))!

/** Whether, and over which uplink, a LAN's hosts reach something outside the network. */
function tracedOut(model: Model, question: Question, source: Place, to: Address): readonly TraceLine[] {
  const packets = packetsBetween(source.prefixes, [hostPrefix(to)], [question.port ?? { protocol: 'any', from: 0, to: 65_535 }])[0]
  if (!packets) return []
  const packet = sample(packets)
  const { fabric } = model
  const { dead, ...broken } = downWith(fabric, question.without)
  const [near, , down] = onDutyAt(model, [source.node, source.node], broken.down)
  const there = walk(model, packet, down, { from: near })
  const { outcome } = there
  const own = model.node(source.node)!.of.lans.filter(({ segment }) => segment === source.segment)
  const lan = own.findIndex(({ prefix }) => contains(prefix, packet.source))
  const way = walkText(model, near, there)
  const line = {
    from: placeName(source),
    to: String(to),
    packet,
    way: 'there',
    trafficClass: null,
    decidedBy: [`site/${source.node}/lan/${source.segment}/${lan}/internet`, `internet/${source.segment}`],
    there,
    back: null,
    backText: '',
  } as const
  const blocked = (at: NodeId | null, why: Drop, whyText: string): readonly TraceLine[] => [
    { ...line, outcome: 'blocked', at, why, thereText: way, whyText },
  ]
  if (dead.has(source.node)) return blocked(source.node, 'dead', `${source.node} has failed, and its LANs with it`)
  if (outcome.kind === 'left') {
    if (outcome.uplinks.length === 0)
      return blocked(outcome.at, 'no-route', `no uplink of ${outcome.at} that leads to the internet has IPv${familyOf(packet.source)}`)
    const through = outcome.uplinks.find((uplink) => !isBroken(fabric, question.without, outcome.at, uplink))
    if (through === undefined) return blocked(outcome.at, 'all-down', `every uplink of ${outcome.at} that leads to the internet has failed`)
    const last = `${outcome.at} ─${through}→ internet`
    const thereText = there.hops.length === 0 ? last : `${way.slice(0, way.length - outcome.at.length)}${last}`
    return [{ ...line, outcome: 'passes', at: outcome.at, why: null, thereText, whyText: '' }]
  }
  if (outcome.kind === 'dropped' && outcome.why !== 'policy' && outcome.why !== 'denied')
    return blocked(outcome.at, outcome.why, reason(model, { ...outcome, packet }, outcome.at ?? source.node, down))
  const beside = familyOf(packet.source) === 6 ? own.find(({ internet }) => internet) : undefined
  const at = beside?.internet === 'hub' ? fabric.sites.find(({ id }) => id === source.node)!.exitHub : source.node
  return blocked(
    source.node,
    'no-route',
    beside
      ? `IPv6 of ${source.segment} stays inside: no uplink of ${at} that leads to the internet has IPv6`
      : `hosts of ${source.segment} there may not leave to the internet (internet: none)`,
  )
}
const walkText = (model: Model, from: NodeId, { hops }: Walk): string =>
  pathText(
    model,
    from,
    hops.map(({ hop }) => hop),
  )

function namesOf(model: Model, id: NodeId, overlay: Address): NonNullable<TraceLine['translated']> {
  const lan = model.node(id)?.of.lans.find((one) => contains(one.prefix, overlay))
  return lan?.local === undefined ? [] : [{ node: id, local: translated(overlay, lan.prefix, lan.local), overlay }]
}

function learnedAt(model: Model, id: NodeId, overlay: Address): NonNullable<TraceLine['learned']> {
  const site = model.fabric.sites.find((one) => one.id === id)
  const lan = site?.lans.find((one) => one.learned && contains(one.prefix, overlay))
  const session = site && speaking(site).find((one) => one.interface === lan?.interface)
  if (!lan || !session) return []
  return [{ node: id, prefix: lan.prefix, by: session.protocol, from: session.neighbors.filter((one) => familyOf(one) === familyOf(lan.prefix)) }]
}

const expectedBy = (fabric: Fabric, { source, destination }: Packet): readonly string[] => {
  const has = (places: readonly Place[], one: Address): boolean => places.some((place) => place.prefixes.some((prefix) => contains(prefix, one)))
  return fabric.expects
    .filter((expect) => expect.kind === 'isolate' && has(expect.from, source) && has(expect.to, destination))
    .map((expect) => lineOf(expect.id))
}

function reason(
  model: Model,
  {
    at,
    why,
    trafficClass,
    packet,
  }: { readonly at: NodeId | null; readonly why: Drop; readonly trafficClass: ClassId | null; readonly packet: Packet },
  towards: NodeId,
  down: (tunnel: never) => boolean,
): string {
  if (at === null) return 'the source is in no LAN'
  const text = whyText(why, at, trafficClass ?? ('default' as ClassId))
  const group =
    trafficClass === null ? undefined : model.node(at)?.group({ remote: towards, trafficClass, arrived: 'anywhere', family: familyOf(packet.source) })
  const forbidden =
    group && (why === 'all-down' || why === 'no-hop') ? neverUsed(model.fabric, at, group).filter((tunnel) => !down(tunnel.id as never)) : []
  return forbidden.length === 0 ? text : `${text}; ${uplinksText(forbidden, at)} is up, but class ${trafficClass} never uses it`
}
