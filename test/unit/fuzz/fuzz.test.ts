/** A share of `npm run fuzz`, other inputs each time; a failure names its seed: `npm run fuzz -- --seed 0 --only SEED`. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { judged } from '#test/fuzz/run.ts'

describe('networks that went wrong', () => {
  test('get an answer with places, and the same one again', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 31 - 1), (run) => {
        expect(judged(0, run).problems).toEqual([])
      }),
      { numRuns: 250 },
    )
  })
  test('come as far as a proof often enough to say something about it', () => {
    const stages = Array.from({ length: 100 }, (_, run) => judged(1, run).stage)
    expect(stages.filter((stage) => stage === 'proven').length).toBeGreaterThan(5)
    expect(stages.filter((stage) => stage === 'refused').length).toBeGreaterThan(30)
  })
})
