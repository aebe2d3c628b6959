/**
 * Proves the expectations of a Fabric over exact packet sets.
 *
 * Cost. A pair of places is followed once, over every hop of every group, into a graph of a few nodes (edge, its hubs,
 * the far end); a failure is then a question to that graph, asked only of the failures of tunnels that are in it. A site
 * has some ten of its own and shares some ten of its hubs', so 10,000 sites × 2 places are about 400,000 questions of a
 * microsecond each, and never sites² × failures. `any` follows a second place only for failures that the first does not
 * survive. Isolation looks only at rules that touch both sides and needs no failures at all: they only take hops away.
 */
import { isSameLan } from '#src/fabric/lans.ts'
import type { ClassId, Deny, Expect, Finding, NodeId, Place, Rule, Survives, TunnelId } from '#src/fabric/fabric.ts'
import { contains, type Family, type Prefix, rangeOf } from '#src/net/address.ts'
import { anyPort } from '#src/net/ports.ts'
import { familiesIn } from '#src/net/sets.ts'
import { type Break, type Breaks, nameOf, together } from './failures.ts'
import { anyDelivery, courses, type Delivery, type Down, firstStop, marked, type Patience, type Stop, tunnelsOf, type Vertex } from './forward.ts'
import { lookup, match, type Model, type Node } from './model.ts'
import { dutyOf, type Gateway, gatewaysAt, standingBy } from './pairs.ts'
import { cut, type Entry, everything, formatPacket, overlay, type Packets, packetsBetween, reversed, sample, subtractAll } from './packets.ts'
import type { Shapes } from './shapes.ts'
import { halves, lineOf, pathText, placeName, stopText } from './words.ts'

export type Reach = Extract<Expect, { kind: 'reach' }>
export type Isolate = Extract<Expect, { kind: 'isolate' }>
export interface Verdict {
  readonly expect: Expect
  /** By source. */
  readonly asked: readonly Asked[]
  readonly findings: readonly Finding[]
  /** Questions answered: one (place, target, failure) each, or one piece of traffic for isolation. */
  readonly checks: number
}

/** Traffic of one rule that is treated alike both ways. */
export interface Flow {
  readonly packets: Packets
  readonly trafficClass: ClassId
  /** Of the replies: another where one end is trusted to mark its packets. */
  readonly replyClass: ClassId
  readonly rule: Rule
  readonly there: Vertex
  readonly back: Vertex
}
export const classOf = ({ trafficClass, replyClass }: Flow, way: 'there' | 'back'): ClassId => (way === 'there' ? trafficClass : replyClass)
/** `by`: the deny, if it is one. */
interface Refused {
  readonly packets: Packets
  readonly by: Deny | null
}
export interface Pair {
  readonly from: Place
  readonly to: Place
  readonly flows: readonly Flow[]
  /** Traffic that no rule at the source's owner admits, or a deny there forbids. */
  readonly refused: Refused | null
  /** One has IPv4 addresses only, the other IPv6: nothing can be sent. */
  readonly unlike: boolean
  readonly tunnels: ReadonlySet<TunnelId>
  /** Of each end that has two gateways, both; there are flows from and to either. */
  readonly gateways: readonly (readonly Gateway[])[]
}
export type Loss =
  /** One has IPv4 addresses only, the other IPv6. */
  | { readonly kind: 'family' }
  | ({ readonly kind: 'refused' } & Refused)
  | { readonly kind: 'dead' }
  | { readonly kind: 'stopped'; readonly flow: Flow; readonly stop: Stop; readonly way: 'there' | 'back' }
/** All that an expectation asks of one source. It holds until something changes that names the source or a target. */
export interface Asked {
  readonly from: Place
  readonly checks: number
  readonly errors: readonly Case[]
  readonly waiting: readonly Case[]
  readonly moving: readonly Case[]
}
interface Case {
  readonly from: Place
  /** How many targets it is the same for. */
  readonly targets: number
  readonly broken: Break | null
  readonly losses: readonly { readonly to: Place; readonly loss: Loss }[]
}

const nothing: Down = () => false

/** `known`: what need not be asked again. */
export function proveReach(
  model: Model,
  breaks: Breaks,
  expect: Reach,
  shapes: Shapes,
  known: (from: Place) => Asked | undefined = () => undefined,
): Verdict {
  const asked = expect.from.flatMap((from) => (shapes.alike(from.node).length === 0 ? [] : [known(from) ?? ask(model, breaks, expect, shapes, from)]))
  const cases = (kind: 'errors' | 'waiting' | 'moving'): readonly Case[] => asked.flatMap((one) => one[kind])
  const findings = [
    ...reachFindings(model, expect, shapes, cases('errors'), 'lost'),
    ...reachFindings(model, expect, shapes, cases('waiting'), 'waits'),
    ...reachFindings(model, expect, shapes, cases('moving'), 'moves'),
  ]
  return { expect, asked, findings, checks: asked.reduce((sum, { from, checks }) => sum + checks * shapes.alike(from.node).length, 0) }
}

/**
 * What is at the caller's own site first: sites of one shape then ask as many questions each, where by name one of them
 * would find itself and the others would find it.
 */
const nearest = (places: readonly Place[], { node }: Place): readonly Place[] =>
  places.some((to) => to.node === node) ? [...places.filter((to) => to.node === node), ...places.filter((to) => to.node !== node)] : places

function ask(model: Model, breaks: Breaks, expect: Reach, { weight }: Shapes, from: Place): Asked {
  const errors: Case[] = []
  const waiting: Case[] = []
  const moving: Case[] = []
  let checks = 0
  const pairs = new Map<Place, Pair>()
  const pairTo = (to: Place): Pair => {
    const known = pairs.get(to)
    if (known) return known
    const made = pairOf(model, from, to, expect)
    pairs.set(to, made)
    return made
  }
  for (const targets of expect.mode === 'any' ? [nearest(expect.to, from)] : expect.to.map((to) => [to])) {
    const same = expect.mode === 'any' ? 1 : weight(targets[0]!.node)
    const probe = (broken: Break | null, patience: Patience): { readonly answers: Place | null; readonly losses: Case['losses'] } => {
      const losses: { to: Place; loss: Loss }[] = []
      for (const to of targets) {
        const loss = lossOf(pairTo(to), broken, patience)
        if (!loss) return { answers: to, losses }
        losses.push({ to, loss })
      }
      return { answers: null, losses }
    }
    /** The place that answers; undefined when none does, and then it is noted. */
    const judge = (broken: Break | null): Place | undefined => {
      checks += same
      const unmoved = probe(broken, 'unmoved')
      if (unmoved.answers) return unmoved.answers
      const held = probe(broken, 'held')
      if (held.answers) {
        moving.push({ from, targets: same, broken, losses: unmoved.losses })
        return held.answers
      }
      const settled = probe(broken, 'settled')
      ;(settled.answers ? waiting : errors).push({ from, targets: same, broken, losses: settled.answers ? held.losses : settled.losses })
      return settled.answers ?? undefined
    }
    const answers = judge(null)
    if (!answers) continue
    const seconds = new Set<string>()
    for (const broken of relevant(breaks, pairTo(answers), expect)) {
      // Nobody calls from a hub that has failed. A gateway is asked for all the same: a site may have a second one.
      if (broken.dead === from.node && broken.kind === 'hub') continue
      // In reach-all what is gone with the failed hub is left out: nothing could make it answer.
      if (expect.mode === 'all' && broken.dead === targets[0]!.node && broken.kind === 'hub') continue
      const left = judge(broken)
      if (!left || broken.kind !== 'uplink' || !expect.survives.includes('any two uplinks')) continue
      // Two uplinks: what still answers without the first is asked again without each second that it uses. Any other
      // second changes nothing for it.
      for (const second of relevant(breaks, pairTo(left), expect)) {
        if (second.kind !== 'uplink' || second === broken) continue
        const two = together(broken, second)
        const names = two.failures.map(nameOf).sort().join()
        if (seconds.has(names)) continue
        seconds.add(names)
        judge(two)
      }
    }
  }
  return { from, checks, errors, waiting, moving }
}

/** Nodes with a place that is answered in `before` and not in `after`; what ends at the node that is dead in it doesn't count. */
export function losers(model: Model, expect: Reach, before: Break, after: Break): readonly NodeId[] {
  const lost = new Set<NodeId>()
  for (const from of expect.from) {
    if (from.node === after.dead) continue
    const targets = expect.mode === 'any' ? [expect.to] : expect.to.filter((to) => to.node !== after.dead).map((to) => [to])
    const pairs = new Map(expect.to.map((to) => [to, pairOf(model, from, to, expect)]))
    const answers = (broken: Break, among: readonly Place[]): boolean => among.some((to) => lossOf(pairs.get(to)!, broken, 'settled') === null)
    if (targets.some((among) => answers(before, among) && !answers(after, among))) lost.add(from.node)
  }
  return [...lost]
}

export function relevant(breaks: Breaks, pair: Pair, expect: Pick<Reach, 'survives'>): ReadonlySet<Break> {
  const out = new Set<Break>()
  for (const tunnel of pair.tunnels) for (const broken of breaks.of(tunnel)) if (survivalOf(broken, expect)) out.add(broken)
  // Also between two LANs of a site, where no tunnel is used.
  if (expect.survives.includes('gateway')) for (const broken of breaks.at(pair)) out.add(broken)
  return out
}
/** The word of `survives` that asks for it: who survives any two uplinks survives each. */
const survivalOf = ({ kind }: Break, { survives }: Pick<Reach, 'survives'>): Survives | undefined =>
  survives.find((one) => one === kind) ?? (kind === 'uplink' ? survives.find((one) => one === 'any two uplinks') : undefined)

export function pairOf(model: Model, from: Place, to: Place, expect: Pick<Reach, 'ports'>): Pair {
  const flows: Flow[] = []
  const tunnels = new Set<TunnelId>()
  let refused: Refused | null = null
  const near = model.node(from.node)
  const far = model.node(to.node)
  const [nears, fars] = [gatewaysAt(model, from.node), gatewaysAt(model, to.node)]
  const joined = nears.flatMap((one) => fars.map((other) => [one.id, other.id] as const)).filter(([a, b]) => from.node !== to.node || a === b)
  const all = packetsBetween(from.prefixes, to.prefixes, expect.ports.length > 0 ? expect.ports : [anyPort])
  for (const wanted of all) {
    if (!near || !far) {
      refused ??= { packets: wanted, by: null }
      continue
    }
    const { admitted, denied } = admit(near, wanted)
    // A segment has no ports of its own: reach to it asks for whatever `allow` opens to it, so that at least one is.
    const anyWillDo = wanted.application.low === everything.low && wanted.application.high === everything.high
    const opened = admitted.map(({ packets }) => ({ ...packets, application: everything }))
    const closed = anyWillDo ? denied.flatMap(({ packets, by }) => subtractAll(packets, opened).map((piece) => ({ packets: piece, by }))) : denied
    refused ??= closed[0] ?? null
    for (const { packets, rule } of admitted) {
      const pieces = marked(model, near, packets, rule.trafficClass)
      for (const [a, b] of joined) {
        const asked = pieces.flatMap((piece) =>
          piece.classes.flatMap((trafficClass) =>
            courses(model, model.node(a)!, piece.packets, trafficClass, 'request').map((there) => ({ trafficClass, ...there })),
          ),
        )
        for (const { trafficClass, packets: sent, entry: there } of asked) {
          for (const { packets: answers, classes } of marked(model, far, reversed(sent), rule.trafficClass)) {
            for (const replyClass of classes) {
              for (const { packets: returned, entry: back } of courses(model, model.node(b)!, answers, replyClass, 'reply')) {
                flows.push({ packets: reversed(returned), trafficClass, replyClass, rule, there, back })
                tunnelsOf(there, tunnels)
                tunnelsOf(back, tunnels)
              }
            }
          }
        }
      }
    }
  }
  const gateways = (from.node === to.node ? [nears] : [nears, fars]).filter((one) => one.length > 1)
  // Also one that no packet passes decides who of two is on duty.
  for (const { tunnels: own } of gateways.flat()) for (const tunnel of own) tunnels.add(tunnel)
  return { from, to, flows, refused, unlike: all.length === 0, tunnels, gateways }
}

/** The flows of a pair while those gateways are on duty that may be, and what is down for them. */
export interface OnDuty {
  readonly flows: readonly Flow[]
  readonly down: Down
}
export const settledOn = (pair: Pair, down: Down): OnDuty => onDuty(pair, down, 'settled')[0]!
function onDuty(pair: Pair, down: Down, patience: Patience): readonly OnDuty[] {
  let states: readonly OnDuty[] = [{ flows: pair.flows, down }]
  for (const gateways of pair.gateways)
    states = states.flatMap((state) =>
      dutyOf(gateways, down, patience).map((one) => ({
        flows: state.flows.filter(
          ({ there, back }) => !gateways.some((other) => other !== one && (there.node === other.id || back.node === other.id)),
        ),
        down: standingBy(gateways, one, state.down),
      })),
    )
  return states
}

/** The id of the deny that did it. */
function deniedBy(loss: Loss): string | undefined {
  if (loss.kind === 'refused') return loss.by?.id
  if (loss.kind !== 'stopped') return undefined
  const { decision } = loss.stop.vertex
  return decision.kind === 'drop' ? decision.by : undefined
}

/** What the source's owner lets out, by rule; one entry for each class that the rules give. Within one LAN nobody is asked. */
function admit(
  node: Node,
  wanted: Packets,
): { readonly admitted: readonly { readonly packets: Packets; readonly rule: Rule }[]; readonly denied: readonly Refused[] } {
  const admitted: { packets: Packets; rule: Rule }[] = []
  const denied: Refused[] = []
  const todo = [wanted]
  for (let packets = todo.pop(); packets; packets = todo.pop()) {
    const source = lookup(node.lans, packets, 'source')
    const destination = lookup(node.lans, packets, 'destination')
    if (source.kind === 'split' || destination.kind === 'split') {
      todo.push(...(source.kind === 'split' ? source.pieces : destination.kind === 'split' ? destination.pieces : []))
      continue
    }
    if (source.value !== undefined && destination.value !== undefined && isSameLan(source.value, destination.value)) continue
    const denies = match(node.denies, packets)
    const rules = denies.kind === 'split' ? denies : match(node.rules, packets)
    if (denies.kind === 'split' || rules.kind === 'split') {
      todo.push(...(denies.kind === 'split' ? denies.pieces : rules.kind === 'split' ? rules.pieces : []))
      continue
    }
    const [deny] = denies.value
    if (deny || rules.value.length === 0) denied.push({ packets, by: deny ?? null })
    if (deny) continue
    for (const rule of new Map([...rules.value].reverse().map((rule) => [rule.trafficClass, rule])).values()) admitted.push({ packets, rule })
  }
  return { admitted, denied }
}

export function lossOf(pair: Pair, broken: Break | null, patience: Patience): Loss | null {
  if (broken !== null && broken.dead !== null && (broken.dead === pair.to.node || broken.dead === pair.from.node)) return { kind: 'dead' }
  if (pair.unlike) return { kind: 'family' }
  if (pair.refused) return { kind: 'refused', ...pair.refused }
  for (const { flows, down } of onDuty(pair, broken?.down ?? nothing, patience)) {
    for (const flow of flows) {
      const there = firstStop(flow.there, down, patience)
      if (there) return { kind: 'stopped', flow, stop: there, way: 'there' }
      const back = firstStop(flow.back, down, patience)
      if (back) return { kind: 'stopped', flow, stop: back, way: 'back' }
    }
  }
  return null
}

function reachFindings(
  model: Model,
  expect: Reach,
  { alike, weight }: Shapes,
  cases: readonly Case[],
  kind: 'lost' | 'waits' | 'moves',
): readonly Finding[] {
  return [cases.filter((one) => one.broken === null), cases.filter((one) => one.broken !== null)].flatMap((group): Finding[] => {
    const worst = group[0]
    if (!worst) return []
    const { from: fromText, to: toText } = halves(expect.text)
    const target = toText === '' ? worst.losses.map(({ to }) => placeName(to)).join(' or ') : toText
    const refused = worst.broken === null ? worst.losses.flatMap(({ loss }) => (loss.kind === 'refused' ? [loss] : [])) : []
    const denied = worst.losses.flatMap(({ loss }) => deniedBy(loss) ?? [])
    const name = worst.broken === null ? '' : namesOf(worst.broken)
    const others = new Set(group.flatMap((one) => alike(one.from.node)).filter((site) => site !== worst.from.node))
    const same = group.reduce((sum, one) => sum + alike(one.from.node).length * one.targets, -1)
    const rules = worst.losses.flatMap(({ loss }) => (loss.kind === 'stopped' ? [loss.flow.rule.id] : []))
    const shown = 4
    const hidden = worst.losses.reduce((sum, { to }) => sum + weight(to.node), -Math.min(shown, worst.losses.length))
    const witness = worst.losses.slice(0, shown).flatMap(({ to, loss }) => lossText(model, worst, to, loss))
    const more = [
      ...(hidden > 0 ? [`and ${hidden} more place${hidden === 1 ? '' : 's'} of ${target}`] : []),
      ...(same > 0
        ? [
            `the same in ${same} more case${same === 1 ? '' : 's'}${others.size > 0 ? `, also from ${[...others].sort().slice(0, 5).join(', ')}` : ''}`,
          ]
        : []),
    ]
    const finding = {
      at: [...new Set([expect.id, ...denied, ...rules].map(lineOf))],
      witness: [...witness, ...more],
      severity: kind === 'lost' ? ('error' as const) : ('warning' as const),
    }
    if (kind === 'moves') {
      const far = worst.losses.flatMap(({ loss }) => (loss.kind === 'stopped' ? [model.node(loss.stop.node)?.of.kind] : []))[0]
      return [
        {
          ...finding,
          code: 'V005',
          says: `${worst.from.node} loses ${target}${name === '' ? '' : ` if ${name}`} until ${far === 'peer' ? 'the peer has noticed and sends by another tunnel' : "the cloud's return route has moved"}, some seconds`,
          instead:
            far === 'peer'
              ? "let a second place answer too, or accept it: the peer's gateway learns it by dead peer detection"
              : 'let a second place answer too, or accept it: a static route is moved by a call to the cloud',
        },
      ]
    }
    if (kind === 'waits') {
      return [
        {
          ...finding,
          code: 'V004',
          says: `${worst.from.node} can lose ${target}${name === '' ? '' : ` if ${name}`} while traffic waits to return from a fallback path`,
          instead: 'give the fallback a second path',
        },
      ]
    }
    if (worst.broken === null && denied.length > 0)
      return [
        {
          ...finding,
          code: 'V006',
          says: `${worst.from.node} can't reach ${target}: it is denied`,
          instead: 'narrow the deny, which wins over every allow, or take back the expectation',
        },
      ]
    if (worst.broken === null && worst.losses.every(({ loss }) => loss.kind === 'family'))
      return [
        {
          ...finding,
          code: 'V007',
          says: `${worst.from.node} can't reach ${target}: they have no address family in common`,
          instead: `give one of them ${familiesIn(worst.from.prefixes)[0] === 4 ? 'IPv6' : 'IPv4'} prefixes too: nothing translates between the two`,
        },
      ]
    if (refused.length > 0)
      return [
        {
          ...finding,
          code: 'V001',
          says: `${worst.from.node} can't reach ${target}: no \`allow\` covers it`,
          instead: `add to allow: ${fromText} -> ${target}`,
        },
      ]
    if (worst.broken === null)
      return [
        {
          ...finding,
          code: 'V002',
          says: `${worst.from.node} can't reach ${target}`,
          instead: worst.losses.some(({ loss }) => loss.kind === 'stopped' && loss.stop.why === 'shadowed')
            ? 'write translate: always at both LANs, or change the expectation'
            : 'give it a path that its class may use, or change the expectation',
        },
      ]
    return [
      {
        ...finding,
        code: 'V003',
        says: `${worst.from.node} loses ${target} if ${name}`,
        instead: `give it a second way, or take ${survivalOf(worst.broken, expect)} out of \`survives\``,
      },
    ]
  })
}

/** `berlin.fiber fails`, `berlin.fiber and berlin.lte fail`. */
export const namesOf = ({ failures }: Break): string => `${failures.map(nameOf).join(' and ')} ${failures.length === 1 ? 'fails' : 'fail'}`

function lossText(model: Model, of: Case, to: Place, loss: Loss): readonly string[] {
  const start = `${of.broken === null ? 'with everything up' : `if ${namesOf(of.broken)}`}: ${placeName(of.from)} → ${placeName(to)}`
  switch (loss.kind) {
    case 'dead':
      return [of.broken?.dead === of.from.node ? `${start}: ${of.from.node} has no other gateway` : `${start} is gone with ${to.node}`]
    case 'family':
      return [`${start}: ${familyText(of.from)} there, ${familyText(to)} here`]
    case 'refused':
      return [
        `${start}, for example ${formatPacket(sample(loss.packets))}, stops at ${of.from.node}: ${loss.by ? `"${lineOf(loss.by.id)}" forbids it` : 'no `allow` there covers it'}`,
      ]
    case 'stopped': {
      const { flow, stop, way } = loss
      const packet = way === 'there' ? sample(flow.packets) : reply(flow.packets)
      const entry = way === 'there' ? flow.there.node : flow.back.node
      const down = of.broken?.down ?? nothing
      return [
        `${start}, for example ${formatPacket(packet)}${way === 'back' ? ' (the reply)' : ''}, class ${classOf(flow, way)}`,
        `  ${stop.path.length > 0 ? `${pathText(model, entry, stop.path)}, ` : ''}${stopText(model, stop, classOf(flow, way), down)}`,
      ]
    }
    default:
      throw new TypeError(`no such loss: ${loss satisfies never}`)
  }
}
const familyText = ({ prefixes }: Place): string =>
  familiesIn(prefixes)
    .map((family) => `IPv${family}`)
    .join(' and ')
function reply(packets: Packets) {
  const packet = sample(packets)
  return { ...packet, source: packet.destination, destination: packet.source }
}

/** No connection from any of `from` to any of `to`, whatever fails. With two models: at no moment of a change either. */
export function proveIsolate(models: readonly Model[], expect: Isolate, { alike, weight }: Shapes): Verdict {
  const findings: Finding[] = []
  let checks = 0
  const { from: fromText, to: toText } = halves(expect.text)
  const leaks = (from: readonly Place[], to: readonly Place[]): readonly Leak[] => {
    const found: Leak[] = []
    const targets = targetsOf(to)
    for (const place of from) {
      const speaksFor = alike(place.node).length
      if (speaksFor === 0) continue
      for (const model of models) {
        for (const { id } of gatewaysAt(model, place.node)) {
          const node = model.node(id)!
          for (const { packets, rule, to } of trafficBetween(node, place, targets)) {
            const pieces = speaksFor * weight(to)
            checks += pieces
            const delivery = rule === null ? { packets, path: [], at: id } : deliveryOf(models, model, node, packets, rule.trafficClass)
            if (delivery) found.push({ place, packets: delivery.packets, rule, path: delivery.path, at: id, model, pieces })
          }
          checks += speaksFor
        }
      }
    }
    return found
  }
  const [worst, ...others] = leaks(expect.from, expect.to)
  if (worst) {
    const where = `${placeName(worst.place)} → ${targetName(expect.to, worst.packets)}, for example ${formatPacket(sample(worst.packets))}`
    const rules = new Set([worst, ...others].flatMap((leak) => (leak.rule ? [leak.rule.id] : [])))
    const rest = others.reduce((sum, leak) => sum + leak.pieces, worst.pieces - 1)
    const more = rest > 0 ? [`and ${rest} more piece${rest === 1 ? '' : 's'} of traffic`] : []
    findings.push(
      worst.rule === null
        ? {
            code: 'V012',
            severity: 'error',
            at: [lineOf(expect.id)],
            says: `${fromText} and ${toText} share a LAN, where no gateway can keep them apart`,
            instead: 'give each its own segment',
            witness: [where, ...more],
          }
        : {
            code: models.length > 1 ? 'V041' : 'V011',
            severity: 'error',
            at: [...new Set([expect.id, ...rules].map(lineOf))],
            says: `${fromText} can reach ${toText}, and this line expects that it can't${models.length > 1 ? ', while the change is under way' : ''}`,
            instead: 'take back the allow, or the expectation',
            witness: [where, `  ${pathText(worst.model, worst.at, worst.path)}: delivered`, ...more],
          },
    )
    return { expect, asked: [], findings, checks }
  }
  if (models.length > 1) return { expect, asked: [], findings, checks }
  const [answered] = leaks(expect.to, expect.from)
  if (answered?.rule) {
    findings.push({
      code: 'V013',
      severity: 'warning',
      at: [lineOf(expect.id), lineOf(answered.rule.id)],
      says: `${fromText} can't open a connection to ${toText}, but answers those that ${toText} opens`,
      instead: `if that must not be either, expect it: isolate: ${toText} -> ${fromText}`,
      witness: [
        `${placeName(answered.place)} → ${targetName(expect.from, answered.packets)}, for example ${formatPacket(sample(answered.packets))}, and its replies`,
      ],
    })
  }
  return { expect, asked: [], findings, checks }
}

interface Leak {
  readonly place: Place
  readonly packets: Packets
  /** null: within one LAN. */
  readonly rule: Rule | null
  readonly path: Parameters<typeof pathText>[2]
  /** The gateway at which it begins. */
  readonly at: NodeId
  readonly model: Model
  /** As many in all that are alike. */
  readonly pieces: number
}
type Targets = Readonly<Record<Family, readonly Entry<readonly Place[]>[]>>
function targetsOf(places: readonly Place[]): Targets {
  const ranges = places.flatMap((value) => value.prefixes.map((prefix) => ({ ...rangeOf(prefix), value })))
  const of = (family: Family) => overlay(ranges.filter((range) => range.family === family))
  return { 4: of(4), 6: of(6) }
}

interface Traffic {
  readonly packets: Packets
  /** null: within one LAN. */
  readonly rule: Rule | null
  readonly to: NodeId
}
/** Traffic from the place to the targets that the node's rules let out, and what stays within one LAN. A place is not kept apart from itself. */
function* trafficBetween(node: Node, place: Place, targets: Targets): Generator<Traffic> {
  const other = (to: Place): boolean => to.node !== place.node || to.segment !== place.segment || to.prefixes.join() !== place.prefixes.join()
  const wanted = (packets: Packets): readonly Omit<Traffic, 'rule'>[] =>
    cut(targets[packets.family], packets.destination).flatMap((piece) => {
      const to = piece.value?.find(other)
      return to ? [{ packets: { ...packets, destination: { low: piece.low, high: piece.high } }, to: to.node }] : []
    })
  const mine = (prefixes: readonly Prefix[]): readonly Prefix[] =>
    prefixes.flatMap((prefix) => place.prefixes.flatMap((own) => (contains(prefix, own) ? [own] : contains(own, prefix) ? [prefix] : [])))
  for (const lan of node.of.lans) {
    const beside = node.of.lans.filter((other) => isSameLan(lan, other)).map((other) => other.prefix)
    for (const inside of packetsBetween(mine([lan.prefix]), beside, [anyPort])) for (const traffic of wanted(inside)) yield { ...traffic, rule: null }
  }
  for (const rule of node.of.rules) {
    const sources = mine(rule.from.prefixes)
    if (sources.length === 0) continue
    for (const allowed of packetsBetween(sources, rule.to.prefixes, rule.ports))
      for (const { packets, to } of wanted(allowed)) for (const rest of undenied(node, packets)) yield { packets: rest, to, rule }
  }
}

function undenied(node: Node, packets: Packets): readonly Packets[] {
  const left: Packets[] = []
  const todo = [packets]
  for (let piece = todo.pop(); piece; piece = todo.pop()) {
    const denies = match(node.denies, piece)
    if (denies.kind === 'split') todo.push(...denies.pieces)
    else if (denies.value.length === 0) left.push(piece)
  }
  return left
}

/** In whichever class their LAN lets them have. */
const deliveryOf = (models: readonly Model[], model: Model, node: Node, packets: Packets, given: ClassId): Delivery | null =>
  marked(model, node, packets, given)
    .flatMap((piece) => piece.classes.map((trafficClass) => ({ packets: piece.packets, trafficClass })))
    .reduce<Delivery | null>((found, one) => found ?? anyDelivery(models, node.id, one.packets, one.trafficClass), null)

const targetName = (places: readonly Place[], packets: Packets): string => {
  const hit = places.find((place) =>
    place.prefixes.some((prefix) => {
      const range = rangeOf(prefix)
      return range.family === packets.family && range.low <= packets.destination.low && packets.destination.low <= range.high
    }),
  )
  return hit ? placeName(hit) : 'there'
}
