/** When a change is tried, and when again. What it does is in follow.test.ts and commit.test.ts. */
import { describe, expect, test } from 'vitest'
import { createChanges, isOpen, restAfter } from '#src/agent/changes.ts'
import type { Outcome } from '#src/agent/commit.ts'
import type { Commit, State } from '#src/agent/disk.ts'
import type { Fetched } from '#src/agent/session.ts'
import type { Triple } from '#src/fabric/fabric.ts'

const triple = (generation: number): Triple => ({ term: 1, generation, revision: 0 })
const [running, next] = [triple(1), triple(2)]
const state = (commit: Commit, attempts = 0): State => ({ v: 1, commit, confirmed: running, previous: null, attempts })
const back = (of: Triple): Commit => ({ state: 'rolled-back', triple: of, code: 'A33', why: 'No path' })

describe('what is assigned is to be brought about', () => {
  test.each<[string, Triple | null, State, boolean]>([
    ['nothing is', null, state({ state: 'idle' }), false],
    ['it runs', running, state({ state: 'confirmed', triple: running }), false],
    ['it runs, and something else went back', running, state(back(next), 3), false],
    ['it is new', next, state({ state: 'confirmed', triple: running }), true],
    ['it was staged before a stop', next, state({ state: 'staged', triple: next }), true],
    ['it was refused, and the box may be another now', next, state({ state: 'refused', triple: next, code: 'A07', why: '' }), true],
    ['it went back twice', next, state(back(next), 2), true],
    ['it went back three times', next, state(back(next), 3), false],
    ['what was before it went back three times', triple(3), state(back(next), 3), true],
  ])('when %s', (_, assigned, of, open) => expect(isOpen(assigned, of)).toBe(open))
})

describe('a change rests', () => {
  const trouble = (code: string) => ({ code, says: '', instead: '' })
  test.each<[string, Outcome, number, number]>([
    ['not when it is confirmed', { kind: 'confirmed' }, 0, 0],
    ['a while when it is refused', { kind: 'refused', trouble: trouble('A07') }, 0, 15_000],
    ['after the first failure', { kind: 'rolled-back', trouble: trouble('A32') }, 1, 10_000],
    ['longer after each', { kind: 'rolled-back', trouble: trouble('A32') }, 2, 20_000],
    ['not when it was withdrawn', { kind: 'rolled-back', trouble: trouble('A36') }, 1, 0],
  ])('%s', (_, outcome, attempts, ms) => expect(restAfter(outcome, attempts)).toBe(ms))
})

/** A box whose controller answers so to what it fetches. */
function box(answer: (triple: Triple) => Promise<Fetched>) {
  let at = 0
  const [fetched, log]: [string[], string[]] = [[], []]
  let told = 0
  const commit: Commit = { state: 'confirmed', triple: running }
  const changes = createChanges({
    disk: { state: () => state(commit), refused: async () => undefined },
    session: {
      fetch(of: Triple) {
        fetched.push(`${of.generation} at ${at}`)
        return answer(of)
      },
    },
    clock: { tick: () => at },
    log: (event: string, text: string) => log.push(`${event} ${text}`),
    changed: () => told++,
    signal: new AbortController().signal,
  } as never)
  return {
    changes,
    fetched,
    log,
    told: () => told,
    async follow(assigned: Triple, ms: number) {
      at = ms
      changes.follow(assigned)
      await new Promise(setImmediate)
    },
  }
}
const none: Fetched = { kind: 'none', says: 'no such bundle' }

test('one change at a time', async () => {
  let give: (_: Fetched) => void = () => {}
  const { follow, fetched, told } = box(() => new Promise((resolve) => (give = resolve)))
  await follow(next, 0)
  await follow(next, 1)
  await follow(triple(3), 2)
  expect([fetched, told()]).toEqual([['2 at 0'], 0])
  give(none)
  await new Promise(setImmediate)
  expect(told()).toBe(1)
})
test('what does not come is asked for again after two seconds; something else at once', async () => {
  const { follow, fetched, log, changes } = box(async () => none)
  for (const ms of [0, 1_999, 2_000]) await follow(next, ms)
  expect(changes.retryAt()).toBe(4_000)
  await follow(triple(3), 2_001)
  expect(fetched).toEqual(['2 at 0', '2 at 2000', '3 at 2001'])
  expect(log[0]).toBe("bundle 1/2/0 can't be fetched: no such bundle")
})
test('what may not run is asked for again after fifteen', async () => {
  const { follow, fetched } = box(async () => ({ kind: 'refused', trouble: { code: 'A20', says: 'It is not signed', instead: '' } }))
  for (const ms of [0, 14_999, 15_000]) await follow(next, ms)
  expect(fetched).toEqual(['2 at 0', '2 at 15000'])
})
test('an error ends the attempt and not the agent', async () => {
  const { follow, fetched, log, told } = box(() => Promise.reject(new Error('the disk is full')))
  for (const ms of [0, 1_999, 2_000]) await follow(next, ms)
  expect(fetched).toEqual(['2 at 0', '2 at 2000'])
  expect([log[0], told()]).toEqual(['error [A40] the disk is full.', 2])
})
