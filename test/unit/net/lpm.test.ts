import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { address, contains, type Family, lengthOf, type Prefix, prefix } from '#src/net/address.ts'
import { PrefixTable } from '#src/net/lpm.ts'
import { anyFamily, smallAddresses, smallPrefix } from './arbitrary.ts'

describe('longest-prefix match', () => {
  it('takes the longest, and the default last', () => {
    const table = new PrefixTable<string>()
    table.set(prefix('0.0.0.0/0'), 'default')
    table.set(prefix('10.0.0.0/8'), 'ten')
    table.set(prefix('10.1.10.0/24'), 'berlin')
    expect(table.lookup(address('10.1.10.7'))).toBe('berlin')
    expect(table.lookup(address('10.2.0.1'))).toBe('ten')
    expect(table.lookup(address('192.0.2.1'))).toBe('default')
    expect(table.lookup(address('fd00::1'))).toBeUndefined()
    expect(table.get(prefix('10.0.0.0/8'))).toBe('ten')
    expect(table.get(prefix('10.0.0.0/9'))).toBeUndefined()
  })
  it('replaces what was set', () => {
    const table = new PrefixTable<number>()
    table.set(prefix('::/0'), 1)
    table.set(prefix('::/0'), 2)
    expect(table.lookup(address('::1'))).toBe(2)
  })
  it('agrees with looking at every entry', () => {
    const worlds = anyFamily.chain((family: Family) => fc.tuple(fc.constant(family), fc.array(smallPrefix(family), { maxLength: 20 })))
    fc.assert(
      fc.property(worlds, ([family, prefixes]) => {
        const table = new PrefixTable<Prefix>()
        for (const each of prefixes) table.set(each, each)
        for (const host of smallAddresses(family)) {
          const covering = prefixes.filter((each) => contains(each, host)).sort((a, b) => lengthOf(b) - lengthOf(a))
          expect(table.lookup(host)).toBe(covering[0])
        }
      }),
      { numRuns: 50 },
    )
  })
})
