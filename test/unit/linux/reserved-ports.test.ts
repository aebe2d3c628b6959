import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { reservedWith, reservedWithout } from '#providers/linux/reserved-ports.ts'

const ours = '4500,51820-53999'

describe('reserved ports', () => {
  it.each([
    ['', ours],
    ['8080', '4500,8080,51820-53999'],
    ['4000-4600', '4000-4600,51820-53999'],
    ['4499,51000-51819', '4499-4500,51000-53999'],
    ['53000-60000', '4500,51820-60000'],
    [ours, ours],
  ])('"%s" and ours are "%s"', (others, all) => expect(reservedWith(others, ours)).toBe(all))

  it.each([
    ['4500,51820-53999', '', ''],
    ['4500,8080,51820-53999', '8080', '8080'],
    ['4500,51820-60000', '53000-60000', '53000-60000'],
    // Others come and go while ours stand.
    ['4500,8080,51820-53999', '', '8080'],
    ['4500,51820-53999', '8080', ''],
    ['', '', ''],
  ])('"%s" where there was "%s" leaves "%s"', (now, before, left) => expect(reservedWithout(now, ours, before)).toBe(left))

  it('come and go without a trace, whatever others have', () => {
    const port = fc.nat({ max: 65535 })
    const list = fc.array(
      fc.oneof(
        port.map(String),
        fc.tuple(port, fc.nat({ max: 300 })).map(([a, n]) => `${a}-${Math.min(65535, a + n)}`),
      ),
      { maxLength: 5 },
    )
    fc.assert(
      fc.property(list, (some) => {
        const others = reservedWith('', some.join(','))
        expect(reservedWithout(reservedWith(others, ours), ours, others)).toBe(others)
      }),
      { numRuns: 200 },
    )
  })
})
