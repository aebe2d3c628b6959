import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { controllerCodes } from '#src/controller/codes.ts'

const root = new URL('../../../', import.meta.url)
const sources = (folder: string): readonly string[] =>
  readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(new URL(`${folder}/${name}`, root), 'utf8'))

test('every code that controller and workflows can say is explained, once', () => {
  const explained = controllerCodes.map(({ code }) => code)
  expect(new Set(explained).size).toBe(explained.length)
  const texts = [...sources('src/controller'), ...sources('workflows')]
  expect(texts.length).toBeGreaterThan(40)
  const said = new Set(texts.flatMap((text) => text.match(/'C\d{3}'/g) ?? []).map((code) => code.slice(1, -1)))
  expect([...said].filter((code) => !(explained as readonly string[]).includes(code)).sort()).toEqual([])
})
