import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { expect } from 'vitest'

/** UPDATE_GOLDEN=1 writes what the program says now; look at the difference before you commit it. */
export const updating = process.env['UPDATE_GOLDEN'] === '1'

/** `text` must be what the file holds; undefined: there must be no such file. */
export function expectGolden(path: string, text: string | undefined): void {
  if (updating) {
    mkdirSync(dirname(path), { recursive: true })
    if (text === undefined) rmSync(path, { force: true })
    else writeFileSync(path, text)
    return
  }
  expect({ path, text }).toEqual({ path, text: existsSync(path) ? readFileSync(path, 'utf8') : undefined })
}
