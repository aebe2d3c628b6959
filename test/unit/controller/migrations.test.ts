import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'

test('migrations are numbered one after the other: two that meet in a merge would take one number', () => {
  const names = readdirSync(new URL('../../../src/controller/store/migrations/', import.meta.url)).sort()
  expect(names.map((name) => Number(/^(\d{3})-[a-z-]+\.sql$/.exec(name)?.[1]))).toEqual(names.map((_, index) => index + 1))
})
