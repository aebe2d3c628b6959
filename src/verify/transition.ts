/** What must hold while sites change one after the other: hubs first, then edges. */
import type { Expect, Fabric, Finding, NodeId, Place, Tunnel } from '#src/fabric/fabric.ts'
import { nodeOf } from '#src/fabric/ids.ts'
import { externalsOf, nodesOf } from '#src/fabric/slice.ts'
import type { PortRange } from '#src/net/ports.ts'
import { type Isolate, proveIsolate } from './isolate.ts'
import { proveReach, type Reach, type Verdict } from './reach.ts'
import type { Breaks } from './failures.ts'
import { proveInternet } from './internet.ts'
import { type Model, modelOf } from './model.ts'
import type { Shapes } from './shapes.ts'

export function duringChange(before: Fabric, after: Fabric, shapes: Shapes): readonly Verdict[] {
  const old = modelOf(before)
  const rollout = rolloutOf(before, after, old, modelOf(after))
  const known = new Map(before.expects.map((expect) => [expect.id, expect]))
  return after.expects.flatMap((expect): Verdict[] => {
    // What the old generation doesn't isolate yet can't be lost on the way: only the end, `verify(after)`, has to hold it.
    if (expect.kind === 'isolate') return leaks(old, expect, shapes) ? [] : [proveIsolate(rollout.models, expect, shapes)]
    const previous = known.get(expect.id)
    if (expect.kind === 'internet') {
      if (previous?.kind !== 'internet' || !expect.reachable || !previous.reachable) return []
      const both = { ...expect, survives: [] }
      return [proveWaves(rollout, both, (model) => proveInternet(model, noBreaks, both, shapes))]
    }
    const both = previous?.kind === 'reach' && expect.kind === 'reach' ? inBoth(previous, expect) : undefined
    return both ? [proveWaves(rollout, both, (model) => proveReach(model, noBreaks, both, shapes))] : []
  })
}

/** The first mix in which it does not hold is told, and in how many more. */
function proveWaves({ mixes }: Rollout, expect: Expect, prove: (model: Model) => Verdict): Verdict {
  let checks = 0
  const lost = mixes.flatMap(({ model, text }) => {
    const verdict = prove(model)
    checks += verdict.checks
    const found = verdict.findings.find((finding) => finding.severity === 'error')
    return found ? [{ found, text }] : []
  })
  const [first, ...others] = lost
  if (!first) return { expect, asked: [], findings: [], checks }
  const finding: Finding = {
    ...first.found,
    code: 'V042',
    says: `${first.found.says} between the waves, ${first.text}`,
    instead: 'make the change in two steps: first add, then remove',
    witness: [...first.found.witness, ...(others.length > 0 ? [`nor ${others.map(({ text }) => text).join(', nor ')}`] : [])],
  }
  return { expect, asked: [], findings: [finding], checks }
}
const noBreaks: Breaks = { all: [], of: () => [], at: () => [] }

const leaks = (model: Model, expect: Isolate, shapes: Shapes): boolean =>
  proveIsolate([model], expect, shapes).findings.some((finding) => finding.severity === 'error')

/** What is asked before and after the change, with no further failure: who is new, or a port that is, has nothing to lose yet. */
function inBoth(old: Reach, next: Reach): Reach | undefined {
  const key = (place: Place): string => JSON.stringify(place)
  const from = new Set(old.from.map(key))
  const to = new Set(old.to.map(key))
  const both = {
    ...next,
    from: next.from.filter((place) => from.has(key(place))),
    to: next.to.filter((place) => to.has(key(place))),
    ports: commonPorts(old.ports, next.ports),
    survives: [],
  }
  return both.from.length > 0 && both.to.length > 0 && both.ports.length > 0 ? both : undefined
}

/** A port that a service opens or closes with this change was not promised before, or is not any more. */
function commonPorts(old: readonly PortRange[], next: readonly PortRange[]): readonly PortRange[] {
  return next.flatMap((one) =>
    old.flatMap((other): PortRange[] => {
      if (one.protocol === 'any') return [other]
      if (other.protocol === 'any') return [one]
      const [from, to] = [Math.max(one.from, other.from), Math.min(one.to, other.to)]
      return one.protocol === other.protocol && from <= to ? [{ protocol: one.protocol, from, to }] : []
    }),
  )
}

/** What runs between two waves. */
interface Mix {
  readonly model: Model
  readonly text: string
}
interface Rollout {
  /** Either generation anywhere. */
  readonly models: readonly [Model, Model]
  readonly mixes: readonly Mix[]
}

/**
 * What each wave leaves behind. Hubs move one after another, in the order of the Fabric, and before any edge: a mix for
 * each of them, with the edges as they were. Then edges move, in any number of waves, and one that is away stays behind for
 * as long as it likes. Those mixes need not be asked: no edge is on another's way, so a packet meets the version of each end
 * and the hubs, which are new. From an end to the hubs it fares as in the last mix if that end is old, and as in the new
 * generation, which is proven by itself, if it is new; whatever the other end is. A cloud moves in its own time: each mix
 * has those that change as they were, and as they will be.
 */
function rolloutOf(before: Fabric, after: Fabric, old: Model, next: Model): Rollout {
  const isHub = new Set<NodeId>([...before.sites, ...after.sites].filter((site) => site.hub).map((site) => site.id))
  const isCloud = new Set<NodeId>(externalsOf(after).map(({ id }) => id))
  const hubs = after.sites.filter((site) => isHub.has(site.id) && moves(before, after, site.id)).map((site) => site.id)
  const clouds = [...isCloud].filter((id) => moves(before, after, id))
  const tunnels = [...new Map([...before.tunnels, ...after.tunnels].map((tunnel) => [tunnel.id, tunnel])).values()]
  /** The first `count` of the hubs that move are new. */
  const mix = (text: string, count: number, cloudsAreNew: boolean): Mix => {
    const left = new Set<NodeId>(hubs.slice(count))
    const isNew = (id: NodeId): boolean => (isCloud.has(id) ? cloudsAreNew : isHub.has(id) && !left.has(id))
    const at = (id: NodeId): Model => (isNew(id) ? next : old)
    const isUp = ({ id, ends }: Tunnel): boolean => ends.map(nodeOf).every((end) => at(end).tunnelsAt(end).has(id))
    return {
      text: clouds.length === 0 ? text : `${text}, and ${listed(clouds)} ${cloudsAreNew ? 'already' : 'not yet'}`,
      model: {
        // Only words are made from it.
        get fabric() {
          return { ...after, tunnels: tunnels.filter(isUp) }
        },
        node: (id) => at(id).node(id),
        tunnelsAt: (id) => at(id).tunnelsAt(id),
        tunnel: (id) => {
          const tunnel = next.tunnel(id) ?? old.tunnel(id)
          return tunnel && isUp(tunnel) ? tunnel : undefined
        },
      },
    }
  }
  const mixes = (clouds.length > 0 ? [true, false] : [true]).flatMap((cloudsAreNew) => [
    ...(clouds.length > 0 && cloudsAreNew ? [mix('when no hub or edge is changed yet', 0, true)] : []),
    ...hubs
      .slice(1)
      .map((hub, i) => mix(`when ${listed(hubs.slice(0, i + 1))} ${i === 0 ? 'is' : 'are'} changed and ${hub} is not yet`, i + 1, cloudsAreNew)),
    mix('when hubs are changed and edges are not yet', hubs.length, cloudsAreNew),
  ])
  return { models: [old, next], mixes }
}
const listed = (names: readonly string[]): string =>
  names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(' and ')

/** Whether a node differs from one generation to the next. */
function moves(before: Fabric, after: Fabric, id: NodeId): boolean {
  const [was, is] = [before, after].map((fabric) => nodesOf(fabric).find((node) => node.id === id))
  return was !== is && JSON.stringify(was) !== JSON.stringify(is)
}
