/**
 * Proves that places reach each other, over exact packet sets, also after each failure that must be survived.
 *
 * Cost. A failure is a question to the graph of a pair of places (flows.ts), asked only of the failures of tunnels that
 * are in it. A site has some ten of its own and shares some ten of its hubs', so 10,000 sites × 2 places are about
 * 400,000 questions of a microsecond each, and never sites² × failures. `any` follows a second place only for failures
 * that the first does not survive.
 */
import type { Expect, Finding, NodeId, Place } from '#src/fabric/fabric.ts'
import { counted } from '#src/fabric/plural.ts'
import { familiesIn } from '#src/net/sets.ts'
import { type Break, type Breaks, nameOf, together } from './failures.ts'
import type { Down, Patience } from './forward.ts'
import type { Model } from './model.ts'
import { formatPacket, type Packets, sample } from './packets.ts'
import type { Shapes } from './shapes.ts'
import { classOf, type Loss, lossOf, type Pair, pairOf, relevant, survivalOf } from './flows.ts'
import { halves, lineOf, pathText, placeName, stopText } from './words.ts'

export type Reach = Extract<Expect, { kind: 'reach' }>
export interface Verdict {
  readonly expect: Expect
  /** By source. */
  readonly asked: readonly Asked[]
  readonly findings: readonly Finding[]
  /** Questions answered: one (place, target, failure) each, or one piece of traffic for isolation. */
  readonly checks: number
}

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

/** The id of the deny that did it. */
function deniedBy(loss: Loss): string | undefined {
  if (loss.kind === 'refused') return loss.by?.id
  if (loss.kind !== 'stopped') return undefined
  const { decision } = loss.stop.vertex
  return decision.kind === 'drop' ? decision.by : undefined
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
      ...(hidden > 0 ? [`and ${counted(hidden, 'more place')} of ${target}`] : []),
      ...(same > 0
        ? [`the same in ${counted(same, 'more case')}${others.size > 0 ? `, also from ${[...others].sort().slice(0, 5).join(', ')}` : ''}`]
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
        instead: `give it a second ${worst.broken.dead === worst.from.node ? 'gateway' : 'way'}, or take ${survivalOf(worst.broken, expect)} out of \`survives\``,
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
