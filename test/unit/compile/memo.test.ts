/** What a compiler that remembers is made of, against the plain way to say the same. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { difference, patched } from '#src/compile/arrays.ts'
import { List } from '#src/compile/list.ts'
import { createMemo } from '#src/compile/memo.ts'

const up = (a: number, b: number): number => a - b
/** A long list and the same with some left out, put in and moved. */
const pair = fc
  .record({
    list: fc.uniqueArray(fc.nat(400), { maxLength: 60 }),
    gone: fc.array(fc.nat(99), { maxLength: 4 }),
    come: fc.array(fc.tuple(fc.nat(99), fc.integer({ min: 500, max: 520 })), { maxLength: 4 }),
    moved: fc.array(fc.tuple(fc.nat(99), fc.nat(99)), { maxLength: 2 }),
  })
  .map(({ list, gone, come, moved }) => {
    let after = list.filter((_, n) => !gone.includes(n))
    for (const [at, one] of come) if (!after.includes(one)) after = after.toSpliced(at % (after.length + 1), 0, one)
    for (const [from, to] of moved) if (after.length > 0) after = after.toSpliced(to % after.length, 0, ...after.splice(from % after.length, 1))
    return { before: list, after }
  })

test('the difference of two lists is what only one of them has', () => {
  fc.assert(
    fc.property(pair, ({ before, after }) => {
      const { gone, come } = difference(before, after)
      expect([...gone].sort(up)).toEqual(before.filter((one) => !after.includes(one)).sort(up))
      expect(come).toEqual(after.filter((one) => !before.includes(one)))
    }),
  )
})
test('a patched list is the sorted whole, and itself when nothing moves', () => {
  fc.assert(
    fc.property(pair, ({ before, after }) => {
      const sorted = before.toSorted(up)
      const { gone, come } = difference(before, after)
      expect(patched(sorted, gone, come, up)).toEqual(after.toSorted(up))
    }),
  )
  const long = Array.from({ length: 100 }, (_, n) => n)
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(99), { maxLength: 3 }), fc.uniqueArray(fc.nat(99), { maxLength: 3 }), (gone, places) => {
      // In the place of one that leaves, too.
      const come = places.map((n) => n - 0.5)
      const after = [...long.filter((n) => !gone.includes(n)), ...come].sort(up)
      const all = patched(long, new Set(gone), come, up)
      expect(all).toEqual(after)
      const moved = difference(long, all)
      expect([...moved.gone].sort(up)).toEqual(gone.toSorted(up))
      expect(moved.come).toEqual(come.toSorted(up))
    }),
  )
  expect(patched(long, new Set([500]), [], up)).toBe(long)
})
test('rows are made where their key or what stands beside it is new, and only there', () => {
  fc.assert(
    fc.property(pair, fc.array(fc.nat(600)), ({ before, after }, other) => {
      const memo = createMemo()
      const [keys, beside] = [new Map<number, { readonly n: number }>(), new Map<string, object>()]
      const key = (n: number) => keys.get(n) ?? (keys.set(n, { n }), keys.get(n)!)
      const mate = (n: number, round: number) => {
        const name = other.includes(n) ? `${n} ${round}` : `${n}`
        return beside.get(name) ?? (beside.set(name, { name }), beside.get(name)!)
      }
      let made = 0
      const rows = (list: readonly number[], round: number) =>
        memo.rows('rows', [], [list.map(key), list.map((n) => mate(n, round))], (one, two) => (made++, [one, two]))
      rows(before, 0)
      made = 0
      expect(rows(after, 1).all).toEqual(after.map((n) => [key(n), mate(n, 1)]))
      const kept = before.filter((n) => after.includes(n) && !other.includes(n))
      expect(made).toBe(after.length - kept.length)
      expect(rows(after, 1)).toBe(rows([...after], 1))
    }),
  )
})
test('lists made of lists that are made of lists stay what they would be made anew', () => {
  const step = fc.record({
    gone: fc.array(fc.nat(999), { maxLength: 3 }),
    come: fc.array(fc.tuple(fc.nat(999), fc.nat(9)), { maxLength: 3 }),
    turn: fc.nat(9),
  })
  fc.assert(
    fc.property(fc.integer({ min: 30, max: 900 }), fc.array(step, { minLength: 2, maxLength: 6 }), (size, steps) => {
      const memo = createMemo()
      interface One {
        readonly n: number
      }
      let list: readonly One[] = Array.from({ length: size }, (_, n) => ({ n: n * 10 }))
      const odd = new Map<One, One>()
      let sorted = List.of<One>([])
      let array: readonly One[] = []
      let seen = List.of<One>([])
      for (const { gone, come, turn } of [{ gone: [], come: [], turn: 0 }, ...steps]) {
        list = list.filter((_, n) => !gone.includes(n))
        for (const [at, n] of come) list = list.toSpliced(at % (list.length + 1), 0, { n: n + at * 10 + 1 })
        // Beside some stands another than before.
        const mates = list.map((one) => (one.n % 7 === turn % 7 ? { n: one.n } : (odd.get(one) ?? (odd.set(one, { n: one.n }), odd.get(one)!))))
        const doubled = memo.rows('doubled', [], [list, mates], (one, mate) => ({ n: one.n + mate.n }))
        const halved = memo.rows('halved', [], [doubled, list], (both, one) => ({ n: both.n - one.n }))
        const both = memo.patchedRows('patched', [], [list, halved], ([one, half], before?: { readonly value: One }) => ({
          n: before ? before.value.n : one.n + half.n,
        }))
        // Some stand at the same place as before, of which one says something else now.
        const places: readonly (readonly [number, One])[] = [
          [turn, list[turn + 1]!],
          [size >> 2, { n: -turn }],
        ]
        const overlaid = memo.overlaid('overlaid', memo.list('list', list), places)
        const laid = memo.rows('laid', [], [overlaid], ({ n }) => ({ n }))
        expect(overlaid.all).toEqual(list.with(turn, list[turn + 1]!).with(size >> 2, { n: -turn }))
        expect(laid.all).toEqual(overlaid.all)
        const moved = halved.since(seen)
        const byNumber = (a: One, b: One) => a.n - b.n
        sorted = sorted.patched(moved.gone, moved.come, byNumber)
        array = patched(array, moved.gone, moved.come, byNumber)
        seen = halved
        const plain = list.map(({ n }) => n)
        const numbers = (of: List<One>) => of.all.map(({ n }) => n)
        expect(numbers(doubled)).toEqual(plain.map((n) => 2 * n))
        expect(numbers(halved)).toEqual(plain)
        expect(numbers(both)).toEqual(plain.map((n) => 2 * n))
        expect(numbers(sorted)).toEqual(plain.toSorted(up))
        expect(array).toEqual(sorted.all)
      }
    }),
  )
})
test('sparse rows are those that hold something, in order, and kept while none of them moves', () => {
  fc.assert(
    fc.property(pair, fc.array(fc.nat(600)), ({ before, after }, other) => {
      const memo = createMemo()
      const keys = new Map<number, { readonly n: number }>()
      const key = (n: number) => keys.get(n) ?? (keys.set(n, { n }), keys.get(n)!)
      const holds = (n: number, round: number) => (n % 3 === 0 || (round > 0 && other.includes(n)) ? [n, -n] : [])
      const sparse = (list: readonly number[], round: number) =>
        memo.sparse('sparse', [], [list.map(key), list.map((n) => holds(n, round).length)], ({ n }, _length) => holds(n, round))
      const first = sparse(before, 0)
      expect(first).toEqual(before.flatMap((n) => holds(n, 0)))
      const held = before.filter((n) => n % 3 === 0)
      expect(sparse(held, 0)).toEqual(first)
      expect(sparse(after, 1)).toEqual(after.flatMap((n) => holds(n, 1)))
      expect(sparse([...after], 1)).toBe(sparse(after, 1))
    }),
  )
  const memo = createMemo()
  const [one, other] = [{ holds: [1, 2] }, { holds: [] as number[] }]
  const all = memo.sparse('all', [], [[one, other]], ({ holds }) => holds)
  expect(memo.sparse('all', [], [[{ holds: [] }, one]], ({ holds }) => holds)).toBe(all)
})
test('a chunk of rows that all come out the same is the one before, wherever it has moved', () => {
  const memo = createMemo()
  const keys = Array.from({ length: 1_000 }, (_, n) => ({ n }))
  const beside = keys.map(() => 0)
  const rows = (from: readonly { readonly n: number }[], column: readonly number[]) =>
    memo.rows('n', [], [memo.list('keys', from), memo.list('beside', column)], ({ n }, x) => n * (x >= 0 ? 1 : -1))
  const before = rows(keys, beside)
  // A site comes at the start, and what stands beside the others is another.
  const after = rows([{ n: -1 }, ...keys], [0, ...beside.map((_, n) => n)])
  expect(after.all).toEqual([-1, ...keys.map(({ n }) => n)])
  expect(after.chunks.filter((chunk) => before.chunks.includes(chunk)).length).toBe(before.chunks.length - 1)
})
