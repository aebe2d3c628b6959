import fc from 'fast-check'
import { expect, test } from 'vitest'
import { verify } from '#src/verify/verify.ts'
import { oracle } from './oracle.ts'
import { anyFabric, lined, reader } from './random.ts'

const network = fc.array(fc.nat(9_999), { minLength: 60, maxLength: 60 }).map((tape) => {
  const of = reader(tape)
  return lined(of, anyFabric(of, 4))
})
const seen = new Map<string, number>()
let shadowed = 0

test('verify and brute force agree on every expectation of two thousand small networks, sound and damaged', () => {
  fc.assert(
    fc.property(network, (fabric) => {
      const truth = oracle(fabric)
      const overloaded = verify(fabric).findings.some(({ code }) => code === 'V036')
      if (overloaded) seen.set('overloaded', (seen.get('overloaded') ?? 0) + 1)
      expect({ overloaded }).toEqual({ overloaded: truth.isOverloaded() })
      for (const one of fabric.expects) {
        const { findings } = verify({ ...fabric, expects: [one] })
        const own = findings.filter((finding) => finding.at.includes(one.id))
        if (one.kind === 'path') {
          const codes = new Set(own.flatMap(({ code }) => (code === 'V036' ? [] : code < 'V010' ? 'lost' : code)))
          const faults = truth.faultsOf(one)
          for (const code of faults.size === 0 ? ['holds'] : faults) seen.set(`path ${code}`, (seen.get(`path ${code}`) ?? 0) + 1)
          expect({ [one.id]: [...codes].sort() }).toEqual({ [one.id]: [...faults].sort() })
          continue
        }
        // Not in these networks: internet.test.ts.
        if (one.kind === 'internet') continue
        if (own.some(({ witness }) => witness.some((line) => line.includes('has hosts with the same address')))) shadowed++
        const verdict = own.some((finding) => finding.severity === 'error')
          ? 'no'
          : own.some((finding) => finding.code === 'V004')
            ? 'waiting'
            : own.some((finding) => finding.code === 'V005')
              ? 'moving'
              : 'yes'
        const fact =
          one.kind === 'isolate'
            ? truth.isolates(one)
              ? 'yes'
              : 'no'
            : !truth.reaches(one, 0)
              ? 'no'
              : !truth.reaches(one, 1)
                ? 'waiting'
                : truth.reaches(one, 2)
                  ? 'yes'
                  : 'moving'
        const key = `${one.kind} ${fact}`
        seen.set(key, (seen.get(key) ?? 0) + 1)
        expect({ [one.id]: verdict }).toEqual({ [one.id]: fact })
      }
    }),
    { numRuns: 2_000, seed: 7 },
  )
  // The property means something only if all verdicts occur.
  expect(shadowed).toBeGreaterThan(10)
  expect(
    [...seen]
      .filter(([, count]) => count > 10)
      .map(([key]) => key)
      .sort(),
  ).toEqual([
    'isolate no',
    'isolate yes',
    'overloaded',
    'path V030',
    'path V031',
    'path V032',
    'path V034',
    'path V035',
    'path holds',
    'path lost',
    'reach moving',
    'reach no',
    'reach waiting',
    'reach yes',
  ])
}, 600_000)
