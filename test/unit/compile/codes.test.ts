import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { compileCodes } from '#src/compile/codes.ts'

const root = join(import.meta.dirname, '../../..')
const read = (folder: string, end: string) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith(end))
    .map((name) => ({ name, text: readFileSync(join(root, folder, name), 'utf8') }))
const codes = (text: string) => [...text.matchAll(/'(I\d{3})'/g)].map((match) => match[1]!)
const emitted = new Set(
  read('src/compile', '.ts')
    .filter((file) => file.name !== 'codes.ts')
    .flatMap((file) => codes(file.text)),
)

test('every finding of the compiler has a page, and every page a finding', () => {
  expect(emitted.size).toBeGreaterThan(5)
  expect([...emitted].toSorted()).toEqual(compileCodes.map((page) => page.code))
})
test('every page says what, why and how to put it right', () => {
  const short = compileCodes.filter((page) => [page.title, page.text, page.wrong, page.right].some((text) => text.length <= 10))
  expect(short).toEqual([])
})
test('every code is in the name or the result of a test here', () => {
  const tested = read('test/unit/compile', '.test.ts')
    .filter((file) => file.name !== 'codes.test.ts')
    .map((file) => file.text)
    .join()
  expect(compileCodes.map((page) => page.code).filter((code) => !tested.includes(code))).toEqual([])
})
