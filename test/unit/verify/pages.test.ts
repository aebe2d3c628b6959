/** `causeway explain CODE`: what stands as wrong gives that code, and what stands as right does not. */
import { describe, expect, test } from 'vitest'
import { parseDocument } from 'yaml'
import { compileCodes } from '#src/compile/codes.ts'
import { compile } from '#src/compile/compile.ts'
import { parseIntent } from '#src/intent/parse.ts'
import type { SourceFile } from '#src/intent/yaml.ts'
import { verifyCodes } from '#src/verify/codes.ts'
import { verify } from '#src/verify/verify.ts'
import { beyondFiles } from '../../cases/beyond-files.ts'
import { demo } from '../intent/files.ts'

/**
 * The example network with the keys of the page in place of its own, and nothing expected but what the page expects.
 * `# berlin.yaml` begins a file; before it, the network's.
 */
function networkOf(example: string): readonly SourceFile[] {
  const [network = '', ...parts] = example.split(/^# (\S+\.yaml).*\n/m)
  const pieces = [{ path: 'network.yaml', text: network }, ...parts.flatMap((path, i) => (i % 2 === 0 ? [{ path, text: parts[i + 1]! }] : []))]
  const files = new Map(demo.map(({ path, text }) => [path, text]))
  for (const { path, text } of pieces) {
    const whole = parseDocument(files.get(path) ?? `site: ${path.replace('.yaml', '')}\n`)
    const part = parseDocument(text).toJS() as Record<string, unknown> | null
    if (path === 'network.yaml') whole.set('expect', [])
    for (const [key, value] of Object.entries(part ?? {}))
      if (value === null) whole.delete(key)
      else whole.set(key, value)
    files.set(path, whole.toString())
  }
  return [...files].map(([path, text]) => ({ path, text }))
}
function codesOf(example: string) {
  const { intent, findings } = parseIntent(networkOf(example))
  const compiled = intent ? compile(intent, []) : { fabric: null, findings: [] }
  const all = [...findings, ...compiled.findings, ...(compiled.fabric ? verify(compiled.fabric).findings : [])]
  return { codes: all.map(({ code }) => code), errors: all.filter(({ severity }) => severity === 'error').map(({ code, says }) => `${code} ${says}`) }
}

/** More files than an example has room for; its case has them. */
const inCase = new Set(['I124'])
const pages = [...compileCodes, ...verifyCodes].filter(({ code }) => !beyondFiles.has(code) && !inCase.has(code))

describe('pages of causeway explain, of the compiler and of verification', () => {
  test.each(pages.map((page) => [page.code, page] as const))('%s', (code, { wrong, right }) => {
    expect(codesOf(wrong).codes).toContain(code)
    expect(codesOf(right)).toEqual({ codes: expect.not.arrayContaining([code]), errors: [] })
  })
})
