import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'

test('migrations are numbered one after another, for a number is run once', () => {
  const folder = new URL('../../../src/controller/store/migrations/', import.meta.url)
  const numbers = readdirSync(folder)
    .sort()
    .map((name) => Number(/^(\d{3})-[a-z-]+\.sql$/.exec(name)?.[1]))
  expect(numbers.length).toBeGreaterThan(5)
  expect(numbers).toEqual(numbers.map((_, index) => index + 1))
})
