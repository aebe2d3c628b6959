import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalJson, contentHash, fabricHash, sameContent } from '#src/fabric/hash.ts'

describe('canonical JSON', () => {
  test('sorts keys, drops what is undefined, keeps the order of arrays', () => {
    expect(canonicalJson({ b: 1, a: [3, { d: null, c: 'x' }], gone: undefined })).toBe('{"a":[3,{"c":"x","d":null}],"b":1}')
  })
  test('is JSON of the same value', () =>
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    ))
  test('does not see the order in which keys were written', () =>
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        expect(canonicalJson(Object.fromEntries(Object.entries(value).reverse()))).toBe(canonicalJson(value))
      }),
    ))
  /** One line a kind of value. */
  const simple = (value: unknown): string =>
    Array.isArray(value)
      ? `[${value.map(simple).join()}]`
      : value !== null && typeof value === 'object'
        ? `{${Object.entries(value)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([key, member]) => `${JSON.stringify(key)}:${simple(member)}`)
            .join()}}`
        : JSON.stringify(value)
  /** Not by toBe: how long texts differ takes minutes to show. */
  const isSimple = (value: unknown) => {
    const text = simple(value)
    return canonicalJson(value) === text && contentHash(value) === createHash('sha256').update(text).digest('hex')
  }
  test('holds escapes, characters of any length and objects of many keys', () =>
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.string({ unit: 'binary' }),
            fc.dictionary(fc.string({ unit: 'binary' }), fc.constantFrom(null, true, -0, 1e21, 0.1)),
            fc.uniqueArray(fc.string(), { minLength: 15, maxLength: 40 }).map((keys) => Object.fromEntries(keys.map((key) => [key, 1]))),
          ),
        ),
        isSimple,
      ),
    ))
  test.each(['a', '"', 'é', '漢', '𝄞', '\ud800'])('holds what is longer than a page: of %j', (char) => {
    const lengths = [999, 1_000, 1_001, 21_000, 22_000, 70_000]
    expect(lengths.filter((length) => !isSimple({ [char.repeat(length)]: char.repeat(length), b: char }))).toEqual([])
  })
  test('does not see where a page ends', () => {
    const nearlyFull = Array.from({ length: 72 }, () => 'a'.repeat(900))
    const wrong = Array.from({ length: 640 }, (_, n) => n).filter(
      (n) => !isSimple([...nearlyFull, 'b'.repeat(n), { key: [12, true, null, Number.NaN, '"', 'é漢𝄞'] }, {}, ['b', 345_678]]),
    )
    expect(wrong).toEqual([])
  })
  test('refuses what has no JSON form', () => expect(() => canonicalJson({ n: 1n })).toThrow('a bigint has no canonical JSON form'))
})

test('content is the same where its canonical JSON is', () => {
  // Small, so that equal ones come up.
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      fc.constantFrom(0, 1, '', '1', true, null, undefined),
      fc.array(tie('any'), { maxLength: 2 }),
      fc.dictionary(fc.constantFrom('a', 'b', '0'), tie('any'), { maxKeys: 2 }),
    ),
  })).any
  const inObject = value.map((any) => ({ any }))
  let equal = 0
  fc.assert(
    fc.property(inObject, inObject, (a, b) => {
      const same = canonicalJson(a) === canonicalJson(b)
      if (same) equal++
      expect(sameContent(a, b)).toBe(same)
      expect(sameContent(a, structuredClone(a))).toBe(true)
    }),
    { numRuns: 2_000 },
  )
  expect(equal).toBeGreaterThan(50)
})

test('hashes are SHA-256 in hex', () => {
  expect(contentHash({})).toBe('44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a')
  expect(fabricHash({ sites: [] } as never)).toBe(contentHash({ sites: [] }))
})
