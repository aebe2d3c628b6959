import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { comparePrefixes, contains, type Family, overlaps, type Prefix, prefix, prefixBits, prefixFromBits } from '#src/net/address.ts'
import { commonPrefixes, mergePrefixes, subtractPrefix, subtractPrefixes } from '#src/net/sets.ts'
import { anyFamily, anyPrefix, smallAddresses, smallPrefix } from './arbitrary.ts'

const members = (family: Family, prefixes: readonly Prefix[]) =>
  smallAddresses(family).filter((host) => prefixes.some((each) => contains(each, host)))

describe('merging', () => {
  it.each([
    [[], []],
    [['10.1.0.0/24', '10.1.0.0/24'], ['10.1.0.0/24']],
    [['10.1.0.0/16', '10.1.7.0/24'], ['10.1.0.0/16']],
    [['10.1.1.0/24', '10.1.0.0/24'], ['10.1.0.0/23']],
    // Neighbours, but not the two halves of one prefix.
    [
      ['10.1.1.0/24', '10.1.2.0/24'],
      ['10.1.1.0/24', '10.1.2.0/24'],
    ],
    [['10.0.0.0/25', '10.0.0.192/26', '10.0.0.128/26'], ['10.0.0.0/24']],
    [
      ['128.0.0.0/1', '0.0.0.0/1', '::/1', '8000::/1'],
      ['0.0.0.0/0', '::/0'],
    ],
  ])('%j is %j', (from, to) => {
    expect(mergePrefixes(from.map(prefix))).toEqual(to)
  })
  it('keeps every address, adds none, and can be merged no further', () => {
    const worlds = anyFamily.chain((family) => fc.tuple(fc.constant(family), fc.array(smallPrefix(family), { maxLength: 24 })))
    fc.assert(
      fc.property(worlds, ([family, prefixes]) => {
        const merged = mergePrefixes(prefixes)
        expect(members(family, merged)).toEqual(members(family, prefixes))
        expect([...merged].sort(comparePrefixes)).toEqual(merged)
        for (const [i, a] of merged.entries()) {
          for (const b of merged.slice(i + 1)) {
            expect(overlaps(a, b)).toBe(false)
            expect(mergePrefixes([a, b])).toHaveLength(2)
          }
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('subtracting', () => {
  it.each([
    ['10.0.0.0/24', '10.1.0.0/24', ['10.0.0.0/24']],
    ['10.0.0.0/24', '10.0.0.0/16', []],
    ['10.0.0.0/24', '10.0.0.0/24', []],
    ['10.0.0.0/24', '10.0.0.128/26', ['10.0.0.0/25', '10.0.0.192/26']],
    ['10.0.0.0/30', '10.0.0.2/32', ['10.0.0.0/31', '10.0.0.3/32']],
    ['::/0', '10.0.0.0/8', ['::/0']],
  ])('%s without %s', (a, b, left) => {
    expect(subtractPrefix(prefix(a), prefix(b))).toEqual(left)
  })
  it('leaves exactly the addresses that are not in the other', () => {
    const pairs = anyFamily.chain((family) => fc.tuple(fc.constant(family), smallPrefix(family), smallPrefix(family)))
    fc.assert(
      fc.property(pairs, ([family, a, b]) => {
        const left = subtractPrefix(a, b)
        expect(members(family, left)).toEqual(members(family, [a]).filter((host) => !contains(b, host)))
        expect(mergePrefixes(left)).toEqual(left)
      }),
      { numRuns: 300 },
    )
  })
  it('and what was taken make the whole again', () => {
    const nested = fc.tuple(anyPrefix, fc.nat(128)).map(([inner, bits]) => {
      const { family, value, length } = prefixBits(inner)
      return [prefixFromBits(family, value, Math.max(0, length - bits)), inner] as const
    })
    fc.assert(
      fc.property(nested, ([a, b]) => {
        expect(mergePrefixes([...subtractPrefix(a, b), b])).toEqual([a])
      }),
    )
  })
})

describe('two lists', () => {
  it('have in common, and less the other, exactly those addresses', () => {
    const lists = anyFamily.chain((family) => {
      const list = fc.array(smallPrefix(family), { maxLength: 12 }).map(mergePrefixes)
      return fc.tuple(fc.constant(family), list, list)
    })
    fc.assert(
      fc.property(lists, ([family, a, b]) => {
        const [ofA, ofB] = [members(family, a), new Set(members(family, b))]
        const [common, rest] = [commonPrefixes(a, b), subtractPrefixes(a, b)]
        expect(members(family, common)).toEqual(ofA.filter((host) => ofB.has(host)))
        expect(members(family, rest)).toEqual(ofA.filter((host) => !ofB.has(host)))
        for (const list of [common, rest]) expect([...list].sort(comparePrefixes)).toEqual(list)
      }),
      { numRuns: 200 },
    )
  })
})
