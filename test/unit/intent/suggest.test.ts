import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { didYouMean, distance, oneOf, suggest } from '#src/intent/suggest.ts'

describe('suggestions', () => {
  it.each([
    ['dubln', ['frankfurt', 'dublin'], 'dublin'],
    ['interfce', ['interface', 'rate'], 'interface'],
    // Neighbours swapped are one slip.
    ['ports', ['prots'], 'prots'],
    ['Business', ['business', 'bulk'], 'business'],
    ['lted', ['lte', 'metered'], 'lte'],
    ['warehouse', ['hub', 'branch'], undefined],
    ['x', ['a'], undefined],
    ['', ['a'], undefined],
    ['anything', [], undefined],
  ])('%s in %j: %s', (wrong, known, meant) => {
    expect(suggest(wrong, known)).toBe(meant)
    expect(didYouMean(wrong, known)).toBe(meant === undefined ? '' : `; did you mean "${meant}"?`)
  })
  it('take the first of equals', () => {
    expect(suggest('lan-c', ['lan-b', 'lan-a'])).toBe('lan-b')
  })
  it('cost nothing on a huge word', () => {
    expect(suggest('x'.repeat(1_000_000), ['xx'])).toBeUndefined()
  })
  it('list what there is, not for ever', () => {
    expect(oneOf(['a'])).toBe('a')
    expect(oneOf(['a', 'b', 'c'])).toBe('a, b or c')
    expect(oneOf('abcdefghijklmn')).toBe('a, b, c, d, e, f, g, h, i, j, k, l, …')
  })
})

describe('edit distance', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 6 })
  it('is a distance: 0 for equals only, symmetric, never more than the longer word', () => {
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(distance(a, b, 9) === 0).toBe(a === b)
        expect(distance(a, b, 9)).toBe(distance(b, a, 9))
        expect(distance(a, b, 9)).toBeLessThanOrEqual(Math.max(a.length, b.length))
      }),
    )
  })
  it('is 1 after one edit', () => {
    fc.assert(
      fc.property(word, fc.nat(6), fc.constantFrom('x', 'y'), (a, at, letter) => {
        expect(distance(a, a.slice(0, at) + letter + a.slice(at), 9)).toBe(1)
      }),
    )
  })
  it('gives up above the limit, and only there', () => {
    fc.assert(
      fc.property(word, word, fc.nat(4), (a, b, limit) => {
        const far = distance(a, b, 9)
        expect(Math.min(distance(a, b, limit), limit + 1)).toBe(Math.min(far, limit + 1))
      }),
    )
  })
})
