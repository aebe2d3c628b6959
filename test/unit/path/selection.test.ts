import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ClassId, Group, Hop, NodeId, Sla, TunnelId } from '#src/fabric/fabric.ts'
import type { HopHealth, PathState } from '#src/path/path.ts'
import { follow, hysteresis, holdThroughLag, isHeld, noHold, select } from '#src/path/selection.ts'

const id = (name: string): TunnelId => name as TunnelId
const hop = (name: string, stage: number, cost: number, returnAfter = 0): Hop => ({ tunnel: id(name), next: 'x' as NodeId, stage, cost, returnAfter })
const group = (...via: readonly Hop[]): Group => ({ remote: 'frankfurt' as NodeId, trafficClass: 'default' as ClassId, arrived: 'anywhere', via })
const sla: Sla = { loss: 0.02, latencyMs: 100, jitterMs: 20 }
const up: HopHealth = {
  state: 'UP',
  rttMs: 20,
  jitterMs: 1,
  loss: 0,
  remoteState: 'UP',
  remoteDraining: false,
  upSince: Number.NEGATIVE_INFINITY,
  settledAt: Number.NEGATIVE_INFINITY,
}
const down: HopHealth = { ...up, state: 'DOWN', upSince: Number.POSITIVE_INFINITY, settledAt: Number.POSITIVE_INFINITY }
const init: HopHealth = { ...down, state: 'INIT', remoteState: 'INIT' }
const bad = (loss: number): HopHealth => ({ ...up, state: 'DEGRADED', loss })
const healthOf = (table: Readonly<Record<string, HopHealth>>) => (tunnel: TunnelId) => table[tunnel]

// Home: fiber (10) and lte (70), then the next hub's two, with a hold of 300 s.
const edge = group(hop('home.fiber', 0, 10), hop('home.lte', 0, 70), hop('next.fiber', 1, 10, 300), hop('next.lte', 1, 70, 300))
const all = (over: Readonly<Record<string, HopHealth>>) => healthOf({ 'home.fiber': up, 'home.lte': up, 'next.fiber': up, 'next.lte': up, ...over })

describe('select', () => {
  const now = 1_000_000
  test.each([
    ['the cheapest of the first stage', all({}), 'unreachable', { hop: 0, reason: 'best' }],
    ['the other uplink when fiber is cut', all({ 'home.fiber': down }), 0, { hop: 1, reason: 'best' }],
    ['lte while fiber, up again, has not settled', all({ 'home.fiber': { ...up, settledAt: now + 1 } }), 1, { hop: 1, reason: 'held' }],
    [
      'also where lte breaches its SLA: it carries, and fiber may be gone again',
      all({ 'home.fiber': { ...up, settledAt: now + 1 }, 'home.lte': bad(0.06) }),
      1,
      { hop: 1, reason: 'best-of-worst' },
    ],
    ['back to fiber as soon as it has settled', all({ 'home.fiber': { ...up, settledAt: now } }), 1, { hop: 0, reason: 'best' }],
    ['fiber at once when lte dies meanwhile', all({ 'home.fiber': { ...up, settledAt: now + 1 }, 'home.lte': down }), 1, { hop: 0, reason: 'best' }],
    ['the same hub over lte before another hub over fiber', all({ 'home.fiber': down }), 2, { hop: 1, reason: 'best' }],
    ['the next hub when all of home is down', all({ 'home.fiber': down, 'home.lte': down }), 0, { hop: 2, reason: 'best' }],
    [
      'the next hub while home is not clean for 300 s',
      all({ 'home.fiber': { ...up, upSince: now - 299_999 }, 'home.lte': down }),
      2,
      { hop: 2, reason: 'held' },
    ],
    ['home again after 300 s', all({ 'home.fiber': { ...up, upSince: now - 300_000 }, 'home.lte': down }), 2, { hop: 0, reason: 'best' }],
    [
      'home at once when the next hub dies, too',
      all({ 'home.fiber': { ...up, upSince: now }, 'next.fiber': down, 'next.lte': down }),
      2,
      { hop: 0, reason: 'best' },
    ],
    [
      'the neighbour at the next hub while home is not clean',
      all({ 'home.fiber': { ...up, upSince: now }, 'home.lte': down, 'next.fiber': down }),
      2,
      { hop: 3, reason: 'held' },
    ],
    ['what complies before what is cheap', all({ 'home.fiber': bad(0.06) }), 0, { hop: 1, reason: 'best' }],
    ['the first stage although it is degraded', all({ 'home.fiber': bad(0.06), 'home.lte': bad(0.5) }), 0, { hop: 0, reason: 'best-of-worst' }],
    ['the least bad', all({ 'home.fiber': bad(0.6), 'home.lte': bad(0.1) }), 0, { hop: 1, reason: 'best-of-worst' }],
    [
      'nothing when all are down',
      all({ 'home.fiber': down, 'home.lte': down, 'next.fiber': down, 'next.lte': down }),
      3,
      { hop: 'unreachable', reason: 'all-down' },
    ],
    [
      'a hub that does not drain, even of a later stage',
      all({ 'home.fiber': { ...up, remoteDraining: true }, 'home.lte': { ...up, remoteDraining: true } }),
      0,
      { hop: 2, reason: 'best' },
    ],
    [
      'a draining hub rather than none',
      all({ 'home.fiber': { ...up, remoteDraining: true }, 'home.lte': down, 'next.fiber': down, 'next.lte': down }),
      2,
      { hop: 0, reason: 'draining' },
    ],
    ['not what the far end calls down', all({ 'home.fiber': { ...up, remoteState: 'DOWN' } }), 0, { hop: 1, reason: 'best' }],
    [
      'the last choice while nothing is proven after a start',
      healthOf({ 'home.fiber': init, 'home.lte': init, 'next.fiber': init, 'next.lte': init }),
      1,
      { hop: 1, reason: 'unproven' },
    ],
    ['the first unproven when there was none', healthOf({ 'home.fiber': init, 'home.lte': init }), 'unreachable', { hop: 0, reason: 'unproven' }],
    ['only what has a tunnel yet', healthOf({ 'next.lte': up }), 'unreachable', { hop: 3, reason: 'best' }],
    ['nothing when no tunnel is there', healthOf({}), 'unreachable', { hop: 'unreachable', reason: 'all-down' }],
  ] as const)('%s', (_, health, current, expected) => {
    expect(select(edge, health, sla, current, now)).toEqual(expected)
  })

  test('the hop of a held stage moves to its neighbour, not home', () => {
    const health = all({ 'home.fiber': { ...up, upSince: now - 1 }, 'home.lte': down, 'next.fiber': bad(0.1) })
    expect(select(edge, health, sla, 2, now)).toEqual({ hop: 3, reason: 'held' })
  })

  test.each([
    ['within 10 % the current hop stays', 100, 110, 1],
    ['beyond 10 % it is left', 100, 111, 0],
  ])('%s', (_, best, current, expected) => {
    expect(select(group(hop('a', 0, best), hop('b', 0, current)), healthOf({ a: up, b: up }), sla, 1, 0).hop).toBe(expected)
  })

  test('an empty group is unreachable', () => {
    expect(select(group(), healthOf({}), sla, 'unreachable', 0)).toEqual({ hop: 'unreachable', reason: 'all-down' })
  })
})

const state = fc.constantFrom<PathState>('INIT', 'UP', 'DEGRADED', 'DOWN')
const health: fc.Arbitrary<HopHealth> = fc.record({
  state,
  rttMs: fc.integer({ min: 1, max: 400 }),
  jitterMs: fc.integer({ min: 0, max: 60 }),
  loss: fc.integer({ min: 0, max: 50 }).map((n) => n / 100),
  remoteState: state,
  remoteDraining: fc.boolean(),
  upSince: fc.constantFrom(Number.NEGATIVE_INFINITY, 0, 500_000, 999_000, Number.POSITIVE_INFINITY),
  settledAt: fc.constantFrom(Number.NEGATIVE_INFINITY, 999_000, 1_000_000, 1_000_001, Number.POSITIVE_INFINITY),
})
const scene = fc
  .array(fc.record({ stage: fc.nat(2), cost: fc.integer({ min: 1, max: 300 }), returnAfter: fc.constantFrom(0, 300), of: health }), {
    minLength: 1,
    maxLength: 6,
  })
  .chain((hops) =>
    fc.record({
      group: fc.constant(group(...hops.map((one, i) => hop(`t${i}`, one.stage, one.cost, one.returnAfter)))),
      table: fc.constant(hops.map((one) => one.of)),
      current: fc.option(fc.nat(hops.length - 1), { nil: 'unreachable' as const }),
    }),
  )
const lookUp = (table: readonly HopHealth[]) => (tunnel: TunnelId) => table[Number(tunnel.slice(1))]
const works = (of: HopHealth): boolean => (of.state === 'UP' || of.state === 'DEGRADED') && of.remoteState !== 'DOWN'

describe('whatever the health of the hops', () => {
  test('a hop that is down is never chosen, and one that works is whenever there is one', () => {
    fc.assert(
      fc.property(scene, ({ group: of, table, current }) => {
        const { hop: chosen } = select(of, lookUp(table), sla, current, 1_000_000)
        const right = table.some(works)
          ? chosen !== 'unreachable' && works(table[chosen]!)
          : chosen === 'unreachable' || table[chosen]!.state === 'INIT'
        expect(right).toBe(true)
      }),
    )
  })
  test('a later stage carries traffic only when the earlier are down, draining or waited for', () => {
    fc.assert(
      fc.property(scene, ({ group: of, table, current }) => {
        const { hop: chosen } = select(of, lookUp(table), sla, current, 1_000_000)
        if (chosen === 'unreachable' || !works(table[chosen]!)) return
        const here = of.via[chosen]!
        const earlier = of.via.filter(
          (one, i) => one.stage < here.stage && works(table[i]!) && (!table[i]!.remoteDraining || table[chosen]!.remoteDraining),
        )
        const waiting = current !== 'unreachable' && of.via[current]!.stage >= here.stage && of.via[current]!.returnAfter > 0
        expect(earlier.length === 0 || waiting).toBe(true)
      }),
    )
  })
  test('traffic moves to what has not settled only where nothing of that stage has', () => {
    fc.assert(
      fc.property(scene, ({ group: of, table, current }) => {
        const { hop: chosen, reason } = select(of, lookUp(table), sla, current, 1_000_000)
        if (chosen === 'unreachable' || chosen === current || !works(table[chosen]!) || table[chosen]!.settledAt <= 1_000_000) return
        const others = table.filter(
          (one, i) => of.via[i]!.stage === of.via[chosen]!.stage && works(one) && (reason === 'draining' || !one.remoteDraining),
        )
        expect(others.filter((one) => one.settledAt <= 1_000_000)).toEqual([])
      }),
    )
  })
  test('it is deterministic, and asked again it stays where it is: no flapping', () => {
    fc.assert(
      fc.property(scene, ({ group: of, table, current }) => {
        const first = select(of, lookUp(table), sla, current, 1_000_000)
        expect(select(of, lookUp(table), sla, current, 1_000_000)).toEqual(first)
        // From stage to stage it may still go back one more, never forth again.
        let hop = first.hop
        for (let i = 0; i < 3; i++) hop = select(of, lookUp(table), sla, hop, 1_000_000).hop
        expect(select(of, lookUp(table), sla, hop, 1_000_000).hop).toBe(hop)
      }),
    )
  })
  test('measures that wander within 10 % move nothing', () => {
    const wander = fc.array(
      fc.tuple(fc.double({ min: 0, max: hysteresis * 0.99, noNaN: true }), fc.double({ min: 0, max: hysteresis * 0.99, noNaN: true })),
      { minLength: 1, maxLength: 30 },
    )
    fc.assert(
      fc.property(wander, fc.nat(1), (steps, start) => {
        const two = group(hop('t0', 0, 10), hop('t1', 0, 10))
        let hopNow: number | 'unreachable' = start
        for (const [a, b] of steps) hopNow = select(two, lookUp([bad(0.1 * (1 + a)), bad(0.1 * (1 + b))]), sla, hopNow, 0).hop
        expect(hopNow).toBe(start)
      }),
    )
  })
})

describe('follow', () => {
  test('the announced tunnel is used when it works here', () => {
    expect(follow(edge, all({}), sla, 0, 0, id('home.lte'))).toEqual({ hop: 1, reason: 'followed' })
  })
  test('also when it is of another stage: the decider knows why', () => {
    expect(follow(edge, all({}), sla, 0, 0, id('next.lte'))).toEqual({ hop: 3, reason: 'followed' })
  })
  test.each([
    ['it is down here', all({ 'home.lte': down }), 'home.lte'],
    ['it is not among the hops', all({}), 'elsewhere'],
    ['nothing was announced', all({}), undefined],
  ])('this end chooses for itself when %s', (_, health, announced) => {
    expect(follow(edge, health, sla, 'unreachable', 0, announced === undefined ? undefined : id(announced))).toEqual({ hop: 0, reason: 'best' })
  })
})

describe('all paths down in one late tick', () => {
  const seen = { now: 1000, lagMs: 200, windowMs: 150, fell: 4, wereUp: 4 }
  test('the choices are kept for one probe window', () => {
    const hold = holdThroughLag(noHold, seen)
    expect(isHeld(hold, 1149)).toBe(true)
    expect(isHeld(hold, 1150)).toBe(false)
  })
  test.each([
    ['one path is still up', { ...seen, fell: 3 }],
    ['the tick was in time', { ...seen, lagMs: 149 }],
    ['none was up before', { ...seen, fell: 0, wereUp: 0 }],
  ])('not when %s', (_, other) => {
    expect(isHeld(holdThroughLag(noHold, other), 1001)).toBe(false)
  })
  test('a second late tick within the window does not lengthen it', () => {
    const hold = holdThroughLag(noHold, seen)
    expect(holdThroughLag(hold, { ...seen, now: 1100 })).toEqual(hold)
  })
})
