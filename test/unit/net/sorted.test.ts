import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { inOrder } from '#src/net/sorted.ts'

describe('a list in order', () => {
  const byKey = (a: { readonly key: number }, b: { readonly key: number }) => a.key - b.key
  it('is what `sort` makes of it, equals as they stood, short or long', () => {
    const lists = fc.array(fc.nat(20), { maxLength: 60 }).map((keys) => keys.map((key, n) => ({ key, n })))
    fc.assert(
      fc.property(lists, (list) => {
        expect(inOrder([...list], byKey)).toEqual(list.toSorted(byKey))
      }),
    )
  })
})
