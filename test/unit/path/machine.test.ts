import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Sla } from '#src/fabric/fabric.ts'
import {
  breaches,
  createPath,
  deadline,
  health,
  hearRemote,
  overall,
  type Path,
  probeAnswered,
  probeSent,
  retime,
  silentFor,
  step,
  tick,
  wilsonLower,
} from '#src/path/machine.ts'

const active = { intervalMs: 50, multiplier: 3 }
const standby = { intervalMs: 500, multiplier: 3 }
const sla: Sla = { loss: 0.02, latencyMs: 100, jitterMs: 20 }

/** A line that answers every probe after `rttMs`, except those that `lost` names. Goes on from where the path is. */
function line(path: Path, timing = active) {
  let seq = 0
  let now = 0
  retime(path, now, timing)
  const run = (ms: number, of: { rttMs?: number | (() => number); lost?: (n: number) => boolean } = {}): number => {
    const end = now + ms
    for (let n = 0; now < end; now += path.timing.intervalMs, n++) {
      tick(path, now)
      probeSent(path, now, seq)
      const rtt = typeof of.rttMs === 'function' ? of.rttMs() : (of.rttMs ?? 30)
      if (!of.lost?.(n)) probeAnswered(path, now + rtt, seq, rtt)
      seq++
    }
    tick(path, now)
    return now
  }
  return { run, now: () => now, cut: (ms: number) => run(ms, { lost: () => true }) }
}
const fresh = (slas: readonly Sla[] = [sla]): Path => createPath({ at: 0, timing: active, slas })

describe('INIT, UP, DOWN', () => {
  test('five replies make it UP', () => {
    const path = fresh()
    const wire = line(path)
    wire.run(200)
    expect(overall(path)).toBe('INIT')
    wire.run(50)
    expect(overall(path)).toBe('UP')
  })
  test('three lost probes in a row make it DOWN, two do not', () => {
    const path = fresh()
    const wire = line(path)
    wire.run(1000)
    wire.run(200, { lost: (n) => n < 2 })
    expect(overall(path)).toBe('UP')
    wire.cut(250)
    expect(overall(path)).toBe('DOWN')
  })
  test('the cut is seen 150 ms after the last reply', () => {
    const path = fresh()
    const wire = line(path)
    const cutAt = wire.run(1000)
    for (const at of [0, 50, 100, 150]) probeSent(path, cutAt + at, 100 + at)
    const silent = cutAt - 50 + 30
    expect(deadline(path)).toBe(silent + 150)
    tick(path, silent + 149)
    expect(path.alive).toBe('UP')
    tick(path, silent + 150)
    expect(path.alive).toBe('DOWN')
  })
  test('a late event loop that sent no probes proves nothing', () => {
    const path = fresh()
    const wire = line(path)
    const now = wire.run(1000)
    tick(path, now + 5000)
    expect(path.alive).toBe('UP')
    expect(deadline(path)).toBe(Number.POSITIVE_INFINITY)
  })
  test('jitter of the round trip lifts the limit: three times its mean', () => {
    const path = fresh([])
    const wire = line(path)
    let n = 0
    wire.run(20_000, { rttMs: () => (n++ % 2 === 0 ? 10 : 210) })
    expect(path.jitterMs).toBeGreaterThan(150)
    const before = path.quietFrom
    for (const seq of [9001, 9002, 9003]) probeSent(path, before + 50, seq)
    expect(overall(path)).toBe('UP')
    expect(deadline(path)).toBe(before + 3 * path.jitterMs)
  })
  test('a standby that becomes active was not silent because it was asked rarely', () => {
    const path = fresh()
    const wire = line(path, standby)
    const now = wire.run(5000)
    retime(path, now, active)
    for (const n of [0, 1, 2]) probeSent(path, now + n * 50, 100 + n)
    expect(deadline(path)).toBe(now + 150)
  })
  test('it comes back after five replies, and says since when', () => {
    const path = fresh()
    const wire = line(path)
    wire.run(1000)
    expect(health(path, 0).upSince).toBe(Number.NEGATIVE_INFINITY)
    const cutAt = wire.cut(1000)
    expect(health(path, 0).upSince).toBe(Number.POSITIVE_INFINITY)
    wire.run(300)
    expect(overall(path)).toBe('UP')
    expect(health(path, 0).upSince).toBe(cutAt + 200 + 30)
  })
  test('traffic returns 2 s after the first break, and twice as late after each one more, up to 30 s', () => {
    const path = fresh()
    const wire = line(path)
    wire.run(1000)
    expect(health(path, 0).settledAt, 'never broken').toBe(Number.NEGATIVE_INFINITY)
    const waits = Array.from({ length: 6 }, () => {
      wire.cut(1000)
      expect(health(path, 0).settledAt, 'DOWN').toBe(Number.POSITIVE_INFINITY)
      wire.run(1000)
      return health(path, 0).settledAt - health(path, 0).upSince
    })
    expect(waits).toEqual([2, 4, 8, 16, 30, 30].map((s) => s * 1000))
    wire.run(60_000)
    wire.cut(1000)
    wire.run(1000)
    expect(health(path, 0).settledAt - health(path, 0).upSince, 'quiet for a minute').toBe(2_000)
  })
  test('that the far end lost it is a break as well', () => {
    const path = fresh()
    const wire = line(path)
    const now = wire.run(1000)
    hearRemote(path, now, 'DOWN', false)
    expect(health(path, 0)).toMatchObject({ upSince: Number.POSITIVE_INFINITY, settledAt: Number.POSITIVE_INFINITY })
    hearRemote(path, now + 300, 'DOWN', false)
    hearRemote(path, now + 500, 'UP', false)
    expect(health(path, 0)).toMatchObject({ upSince: now + 500, settledAt: now + 2_500 })
  })
  test('a far end that never had it UP breaks nothing', () => {
    const path = fresh()
    hearRemote(path, 0, 'DOWN', false)
    const now = line(path).run(1000)
    expect(health(path, 0).upSince).toBe(Number.POSITIVE_INFINITY)
    hearRemote(path, now, 'UP', false)
    expect(health(path, 0)).toMatchObject({ upSince: Number.NEGATIVE_INFINITY, settledAt: Number.NEGATIVE_INFINITY })
  })
  test('replies far apart never make it UP', () => {
    const path = fresh()
    for (let n = 0; n < 50; n++) {
      probeSent(path, n * 1000, n)
      probeAnswered(path, n * 1000 + 30, n, 30)
    }
    expect(path.alive).not.toBe('UP')
  })
  test('one answer repeated is one answer', () => {
    const path = fresh()
    probeSent(path, 0, 0)
    for (let n = 0; n < 10; n++) probeAnswered(path, 30, 0, 30)
    expect(path.replies).toBe(1)
  })
  test('nobody there: DOWN after 3 s, and the silence counts up until someone answers', () => {
    const path = fresh()
    const wire = line(path)
    wire.cut(2900)
    expect(overall(path)).toBe('INIT')
    wire.cut(200)
    expect(overall(path)).toBe('DOWN')
    expect(silentFor(path, path.since + 31_000)).toBe(31_000)
    probeSent(path, 40_000, 999)
    probeAnswered(path, 40_030, 999, 30)
    expect(silentFor(path, 40_100)).toBe(0)
  })
  test('a follower sends nothing: the silence of the other end is enough', () => {
    const path = createPath({ at: 0, timing: active, slas: [], follows: true })
    for (let n = 0; n < 10; n++) probeAnswered(path, n * 50, n, 30)
    expect(overall(path)).toBe('UP')
    tick(path, 599)
    expect(overall(path)).toBe('UP')
    tick(path, 600)
    expect(overall(path)).toBe('DOWN')
  })
})

describe('DEGRADED', () => {
  test('6 % loss breaches a limit of 2 % within a few seconds', () => {
    const path = fresh()
    const wire = line(path)
    wire.run(5000)
    wire.run(4000, { lost: (n) => n % 10 === 9 })
    expect(overall(path)).toBe('DEGRADED')
  })
  test('one lost probe of twenty is not a breach, for ever', () => {
    const path = fresh()
    line(path).run(120_000, { lost: (n) => n % 20 === 7 })
    expect(overall(path)).toBe('UP')
  })
  test('one bad second of three is not a breach', () => {
    const path = fresh()
    const wire = line(path)
    for (let n = 0; n < 20; n++) {
      wire.run(1000, { lost: (k) => k % 4 === 3 })
      wire.run(2000)
    }
    expect(overall(path)).toBe('UP')
  })
  test.each([
    ['round trip', () => 130],
    [
      'jitter',
      (() => {
        let n = 0
        return () => (n++ % 2 === 0 ? 20 : 80)
      })(),
    ],
  ])('%s beyond the limit', (_, rttMs) => {
    const path = fresh()
    const wire = line(path)
    wire.run(3000)
    wire.run(8000, { rttMs })
    expect(overall(path)).toBe('DEGRADED')
  })
  test('each class judges by its own limits', () => {
    const path = fresh([sla, { loss: 0, latencyMs: 0, jitterMs: 0 }])
    const wire = line(path)
    wire.run(3000)
    wire.run(5000, { lost: (n) => n % 5 === 4 })
    expect([health(path, 0).state, health(path, 1).state]).toEqual(['DEGRADED', 'UP'])
    expect(breaches(path)).toEqual([0])
  })
  /** Seconds of a clean line until it is UP again. */
  const recovery = (wire: ReturnType<typeof line>, path: Path): number => {
    const start = wire.now()
    while (overall(path) === 'DEGRADED' && wire.now() - start < 700_000) wire.run(1000)
    return Math.round((wire.now() - start) / 1000)
  }
  const degrade = (wire: ReturnType<typeof line>): number => wire.run(5000, { lost: (n) => n % 5 === 4 })
  test('back after 30 s clean, twice as long after each flap, at most 600 s, short again after quiet hours', () => {
    const path = fresh()
    const wire = line(path)
    wire.run(3000)
    const seconds: number[] = []
    for (let flap = 0; flap < 7; flap++) {
      degrade(wire)
      expect(overall(path)).toBe('DEGRADED')
      seconds.push(recovery(wire, path))
    }
    for (const [i, limit] of [30, 60, 120, 240, 480, 600, 600].entries()) {
      expect(seconds[i]).toBeGreaterThanOrEqual(limit - 1)
      expect(seconds[i]).toBeLessThanOrEqual(limit + 4)
    }
    wire.run(8 * 3_600_000)
    degrade(wire)
    expect(recovery(wire, path)).toBeLessThanOrEqual(34)
  }, 30_000)
  test('not back while the round trip is over 80 % of the limit', () => {
    const path = fresh()
    const wire = line(path)
    wire.run(8000, { rttMs: 130 })
    wire.run(120_000, { rttMs: 90 })
    expect(overall(path)).toBe('DEGRADED')
    wire.run(40_000, { rttMs: 70 })
    expect(overall(path)).toBe('UP')
  })
})

describe('events', () => {
  test('step takes them as values, in order', () => {
    const path = fresh()
    for (let n = 0; n < 6; n++) {
      step(path, { kind: 'sent', at: n * 50, seq: n })
      step(path, { kind: 'reply', at: n * 50 + 30, seq: n, rttMs: 30 })
    }
    step(path, { kind: 'remote', at: 300, state: 'DEGRADED', draining: true })
    step(path, { kind: 'timing', at: 300, timing: standby })
    step(path, { kind: 'tick', at: 310 })
    expect(health(path, 0)).toMatchObject({ state: 'UP', rttMs: 30, jitterMs: 0, remoteState: 'DEGRADED', remoteDraining: true })
    expect(path.timing).toEqual(standby)
  })
  test('a class that the path does not know is an error', () => {
    expect(() => health(fresh(), 1)).toThrow('path has 1 classes, not 2')
  })
  test('whatever comes in whatever order: no NaN where a number is due, loss within 0 and 1, the same events give the same path', () => {
    const event = fc.record({ kind: fc.constantFrom('sent', 'reply', 'tick'), dt: fc.nat(400), back: fc.nat(40), rttMs: fc.nat(500) })
    fc.assert(
      fc.property(fc.array(event, { maxLength: 200 }), (events) => {
        const play = (): Path => {
          const path = fresh()
          let at = 0
          let seq = 0
          for (const one of events) {
            at += one.dt
            if (one.kind === 'sent') probeSent(path, at, seq++)
            else if (one.kind === 'reply' && seq > 0) probeAnswered(path, at, Math.max(0, seq - 1 - one.back), one.rttMs)
            else tick(path, at)
          }
          return path
        }
        const path = play()
        expect(play()).toEqual(path)
        expect(path.loss).toBeGreaterThanOrEqual(0)
        expect(path.loss).toBeLessThanOrEqual(1)
        expect(Number.isNaN(path.jitterMs)).toBe(false)
        expect(path.alive !== 'UP' || path.rttMs >= 0).toBe(true)
      }),
    )
  })
})

test.each([
  [0, 20, 0],
  [1, 20, 0.0089],
  [2, 20, 0.0279],
  [20, 20, 0.8389],
  [0, 0, 0],
])('Wilson lower bound of %i lost of %i', (lost, sent, expected) => {
  expect(wilsonLower(lost, sent)).toBeCloseTo(expected, 3)
})
