/** A list in chunks says what the array says that it was made of, and shares what it can with the one before. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { List } from '#src/compile/list.ts'

const up = (a: number, b: number): number => a - b
const numbers = (length: number): readonly number[] => Array.from({ length }, (_, n) => n)
/** Chunks that both have. */
const shared = (a: List<number>, b: List<number>): number => a.chunks.filter((chunk) => b.chunks.includes(chunk)).length

/** A long array, and the same with some left out, put in and moved, several times. */
const history = fc
  .tuple(
    fc.integer({ min: 0, max: 1_200 }),
    fc.array(
      fc.record({
        gone: fc.array(fc.nat(1_200), { maxLength: 5 }),
        come: fc.array(fc.tuple(fc.nat(1_200), fc.integer({ min: 2_000, max: 9_000 })), { maxLength: 5 }),
        moved: fc.array(fc.tuple(fc.nat(1_200), fc.nat(1_200)), { maxLength: 2 }),
      }),
      { minLength: 1, maxLength: 5 },
    ),
  )
  .map(([length, steps]) => {
    const versions = [numbers(length)]
    for (const { gone, come, moved } of steps) {
      let now = versions.at(-1)!.filter((_, n) => !gone.includes(n))
      for (const [at, one] of come) if (!now.includes(one)) now = now.toSpliced(at % (now.length + 1), 0, one)
      for (const [from, to] of moved) if (now.length > 0) now = now.toSpliced(to % now.length, 0, ...now.splice(from % now.length, 1))
      versions.push(now)
    }
    return versions
  })

test('whatever becomes of an array, its list follows, and tells what left and what came', () => {
  fc.assert(
    fc.property(history, (versions) => {
      let list = List.of(versions[0]!)
      let sorted = List.of(versions[0]!.toSorted(up))
      for (const [n, now] of versions.entries()) {
        const before = list
        list = list.relisted(now)
        expect(list.all).toEqual(now)
        expect([...list]).toEqual(now)
        expect(list.length).toBe(now.length)
        expect(list.chunks.every(({ length }) => length > 0)).toBe(true)
        for (const at of [0, now.length >> 1, now.length - 1, now.length]) expect(list.at(at)).toBe(now[at])
        for (const one of [now[0] ?? 0, now.at(-1) ?? 0, 9_999])
          expect(list.placesOf(one)).toEqual(now.flatMap((other, at) => (other === one ? [at] : [])))
        const { gone, come } = list.since(before)
        const was = versions[Math.max(0, n - 1)]!
        expect([...gone].sort(up)).toEqual(was.filter((one) => !now.includes(one)).sort(up))
        expect(come.toSorted(up)).toEqual(now.filter((one) => !was.includes(one)).sort(up))
        sorted = sorted.patched(gone, come, up)
        expect(sorted.all).toEqual(now.toSorted(up))
        for (const one of [-1, now[0] ?? 0, 600, 9_999]) {
          const first = sorted.all.findIndex((other) => other >= one)
          expect(sorted.firstFrom(one, up)).toBe(first < 0 ? now.length : first)
        }
      }
    }),
    { numRuns: 200 },
  )
})
test('an edit of one in thousands leaves all chunks but one', () => {
  const list = List.of(numbers(10_000))
  const others = list.chunks.length - 1
  expect(shared(list.relisted(numbers(10_000).toSpliced(5_000, 1)), list)).toBe(others)
  expect(shared(list.relisted(numbers(10_000).toSpliced(5_000, 0, -1)), list)).toBe(others)
  expect(shared(list.with([[5_000, -1]]), list)).toBe(others)
  expect(shared(list.patched(new Set([5_000]), [5_000.5], up), list)).toBe(others)
})
test('what became of a list is told of each that it is asked of', () => {
  const first = List.of([1, 2, 3])
  const second = first.relisted([1, 2, 3, 4])
  const third = second.relisted([2, 3, 4])
  const told = (of: List<number>) => ({ gone: [...third.since(of).gone], come: third.since(of).come })
  for (const _ of [1, 2]) {
    expect(told(second)).toEqual({ gone: [1], come: [] })
    expect(told(first)).toEqual({ gone: [1], come: [4] })
  }
})
test('what says the same is the same list', () => {
  const list = List.of(numbers(1_000))
  expect(list.relisted(numbers(1_000))).toBe(list)
  expect(list.with([[7, 7]])).toBe(list)
  expect(list.patched(new Set([5_000]), [], up)).toBe(list)
  expect(list.map((one) => one, list)).toBe(list)
  expect(list.since(list)).toEqual({ gone: new Set(), come: [] })
})
test('equals stand in the order in which they came, whichever chunk they are in', () => {
  interface One {
    readonly key: number
    readonly name: string
  }
  const byKey = (a: One, b: One): number => a.key - b.key
  const same = numbers(600).map((n): One => ({ key: 1, name: `${n}` }))
  const late = { key: 1, name: 'late' }
  const list = List.of(same).patched(new Set(), [late], byKey)
  expect(list.all).toEqual([...same, late])
  expect(list.patched(new Set([same[300]!]), [], byKey).all).toEqual([...same.toSpliced(300, 1), late])
})
test("edits don't wear it out", () => {
  let list = List.of(numbers(2_000))
  let now = numbers(2_000)
  for (let n = 0; n < 1_500; n++) {
    now = now.toSpliced((n * 37) % now.length, 1)
    list = list.relisted(now)
  }
  expect(list.all).toEqual(now)
  expect(list.chunks.length).toBeLessThan(40)
})
test('what left and came back again leaves no chunk of its own behind', () => {
  const all = numbers(2_000)
  let list = List.of(all)
  const { length } = list.chunks
  for (let n = 0; n < 300; n++) {
    list = list.relisted(all.toSpliced(n, 1))
    list = list.relisted(all)
    // At the end, too.
    list = list.relisted(all.slice(0, -1 - (n % 3)))
    list = list.relisted(all)
  }
  expect(list.all).toEqual(all)
  expect(list.chunks.length).toBe(length)
})
