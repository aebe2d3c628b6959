/**
 * Which hop of a group carries its class now. Run time chooses among `Group.via` and nothing else, so that everything
 * it can choose was verified before. Pure and deterministic; the current hop is an argument because it wins ties.
 */
import type { Group, Hop, Sla, TunnelId } from '#src/fabric/fabric.ts'
import type { HopHealth } from './path.ts'

export type Reason =
  /** Complies with the SLA, lowest cost of the first stage that has one. */
  | 'best'
  /** Complies, and within 10 % of the best: not worth a move. */
  | 'current'
  /** Something better is up again: an earlier stage not yet clean for `returnAfter`, or a path that has not settled. */
  | 'held'
  /** No hop of the stage complies: the least bad. */
  | 'best-of-worst'
  /** Every other hop is down: better a hub that drains than none. */
  | 'draining'
  /** Nothing is proven yet after a start. */
  | 'unproven'
  /** What the deciding end announced. */
  | 'followed'
  | 'all-down'
export interface Selection {
  /** Index into `via`. */
  readonly hop: number | 'unreachable'
  readonly reason: Reason
}
/** undefined: the tunnel isn't configured yet (a key is missing). */
export type HealthOf = (tunnel: TunnelId) => HopHealth | undefined

/** The current hop stays unless another is better by more than this share. */
export const hysteresis = 0.1

/**
 * Chooses by routing.md rules 8–12: the first stage with a hop that isn't DOWN (draining ones rank after all others),
 * in it the hops that meet the SLA, among them the lowest cost; none meets it: the least bad. All DOWN: unreachable.
 * `now` in ms, of the same clock as `HopHealth.upSince`.
 */
export function select(group: Group, health: HealthOf, sla: Sla, current: number | 'unreachable', now: number): Selection {
  const { via } = group
  const usable: number[] = []
  const draining: number[] = []
  const unproven: number[] = []
  for (let i = 0; i < via.length; i++) {
    const of = health(via[i]!.tunnel)
    if (of === undefined) continue
    if (isUsable(of)) (of.remoteDraining ? draining : usable).push(i)
    else if (of.state === 'INIT') unproven.push(i)
  }
  if (usable.length > 0) return inStage(via, health, sla, current, now, usable)
  if (draining.length > 0) return { ...inStage(via, health, sla, current, now, draining), reason: 'draining' }
  if (unproven.length > 0) {
    // After a restart the kernel still forwards over the last choice: leave it until the first probes are back.
    const hop = current !== 'unreachable' && unproven.includes(current) ? current : cheapest(via, firstStage(via, unproven))
    return { hop, reason: 'unproven' }
  }
  return { hop: 'unreachable', reason: 'all-down' }
}

/**
 * The end that doesn't decide (a hub towards its edges, the higher id between hubs) uses the tunnel that the decider
 * announced for the class if it works here, else chooses for itself.
 */
export function follow(
  group: Group,
  health: HealthOf,
  sla: Sla,
  current: number | 'unreachable',
  now: number,
  announced: TunnelId | undefined,
): Selection {
  const hop = announced === undefined ? -1 : group.via.findIndex((one) => one.tunnel === announced)
  if (hop >= 0) {
    const of = health(group.via[hop]!.tunnel)
    if (of !== undefined && isUsable(of)) return { hop, reason: 'followed' }
  }
  return select(group, health, sla, current, now)
}

/** Until when the last choices are kept, ms; −Infinity when nothing is held. */
export interface LagHold {
  readonly until: number
}
export const noHold: LagHold = { until: Number.NEGATIVE_INFINITY }
export interface LagObservation {
  readonly now: number
  /** How much later than planned this tick ran, ms. */
  readonly lagMs: number
  /** multiplier × interval of the fastest path, ms. */
  readonly windowMs: number
  /** Paths that went from UP to DOWN in this tick, and those that were UP before it. */
  readonly fell: number
  readonly wereUp: number
}
/**
 * All paths at once in a tick that came late says that this process slept, not that every line was cut: the last
 * choices stay for one probe window. Only once: if all are still silent then, they are DOWN.
 */
export function holdThroughLag(hold: LagHold, seen: LagObservation): LagHold {
  if (seen.now < hold.until) return hold
  const slept = seen.lagMs >= seen.windowMs
  return slept && seen.wereUp > 0 && seen.fell === seen.wereUp ? { until: seen.now + seen.windowMs } : noHold
}
export const isHeld = (hold: LagHold, now: number): boolean => now < hold.until

/** The far end's view counts as much as ours: an asymmetric black hole answers nobody there. */
const isUsable = (of: HopHealth): boolean => (of.state === 'UP' || of.state === 'DEGRADED') && of.remoteState !== 'DOWN'

function inStage(
  via: readonly Hop[],
  health: HealthOf,
  sla: Sla,
  current: number | 'unreachable',
  now: number,
  usable: readonly number[],
): Selection {
  const here = current !== 'unreachable' && usable.includes(current) ? current : undefined
  const all = current === 'unreachable' ? firstStage(via, usable) : returnStage(via, health, now, usable, current)
  // A path that comes and goes would take traffic with it each time: what stands is used as long as there is any.
  const settled = all.filter((i) => i === here || now >= health(via[i]!.tunnel)!.settledAt)
  const stage = settled.length > 0 ? settled : all
  const candidates = stage.filter((i) => health(via[i]!.tunnel)!.state === 'UP')
  const isHeldFor = (hop: number): boolean =>
    (current !== 'unreachable' && via[hop]!.stage === via[current]!.stage && usable.some((i) => via[i]!.stage < via[current]!.stage)) ||
    all.some((i) => !stage.includes(i) && health(via[i]!.tunnel)!.state === 'UP' && via[i]!.cost < via[hop]!.cost)
  if (candidates.length > 0) {
    const best = cheapest(via, candidates)
    const stays = here !== undefined && here !== best && candidates.includes(here) && via[here]!.cost <= via[best]!.cost * (1 + hysteresis)
    const hop = stays ? here : best
    return { hop, reason: isHeldFor(hop) ? 'held' : stays ? 'current' : 'best' }
  }
  let best = stage[0]!
  for (const i of stage) if (badness(health(via[i]!.tunnel)!, sla) < badness(health(via[best]!.tunnel)!, sla)) best = i
  const stays =
    here !== undefined &&
    stage.includes(here) &&
    badness(health(via[here]!.tunnel)!, sla) <= badness(health(via[best]!.tunnel)!, sla) * (1 + hysteresis)
  return { hop: stays ? here : best, reason: 'best-of-worst' }
}

/**
 * The earliest stage that traffic may move to from that of the hop `last`: an earlier one must be clean for long enough,
 * as long as anything of the present one works.
 */
function returnStage(via: readonly Hop[], health: HealthOf, now: number, usable: readonly number[], last: number): readonly number[] {
  const { stage, returnAfter } = via[last]!
  const here = usable.filter((i) => via[i]!.stage === stage)
  if (here.length === 0) return firstStage(via, usable)
  const back = usable.filter((i) => via[i]!.stage < stage && (returnAfter === 0 || now - health(via[i]!.tunnel)!.upSince >= returnAfter * 1000))
  return back.length > 0 ? firstStage(via, back) : here
}

function firstStage(via: readonly Hop[], of: readonly number[]): readonly number[] {
  let first = Number.POSITIVE_INFINITY
  for (const i of of) first = Math.min(first, via[i]!.stage)
  return of.filter((i) => via[i]!.stage === first)
}

function cheapest(via: readonly Hop[], of: readonly number[]): number {
  let best = of[0]!
  for (const i of of) if (via[i]!.cost < via[best]!.cost) best = i
  return best
}

/** How far the worst measure is beyond its limit; 1 = at the limit, 0 = no limits. */
function badness(of: HopHealth, sla: Sla): number {
  const ratio = (value: number, limit: number): number => (limit > 0 && Number.isFinite(value) ? value / limit : 0)
  return Math.max(ratio(of.loss, sla.loss), ratio(of.rttMs, sla.latencyMs), ratio(of.jitterMs, sla.jitterMs))
}
