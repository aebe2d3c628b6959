/**
 * A folder a case: YAML in (or `source.txt`, the folder that has it; what others own in `pulled/`), what the program says out.
 *
 * - `findings.txt`: what `causeway check` prints about the intent; none when there is nothing to say.
 * - `ok.txt`: the intent after defaults, with the line that each value comes from; none when there is an error.
 * - `expected/fabric.json`, where the folder `expected/` exists: the Fabric compiled without earlier allocations.
 * - `expected/verified.txt`, likewise: what the compiler and `verify` say about it.
 *
 * UPDATE_GOLDEN=1 writes them.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import type { Finding } from '#src/fabric/fabric.ts'
import { intentCodes } from '#src/intent/codes.ts'
import { explainAll } from '#src/intent/explain.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { renderFindings } from '#src/intent/render.ts'
import { verify } from '#src/verify/verify.ts'
import { expectGolden } from './golden.ts'

const root = import.meta.dirname
const cases = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name)
  .sort()

function run(name: string) {
  const folder = join(root, name)
  const elsewhere = join(folder, 'source.txt')
  const source = existsSync(elsewhere) ? join(folder, readFileSync(elsewhere, 'utf8').trim()) : folder
  const pulled = existsSync(join(source, 'pulled')) ? readdirSync(join(source, 'pulled'), { recursive: true, encoding: 'utf8' }) : []
  const files = [...readdirSync(source), ...pulled.map((file) => join('pulled', file))]
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(source, path), 'utf8') }))
  return { folder, files, ...parseIntent(files) }
}

describe('cases', () => {
  it.each(cases)('%s', (name) => {
    const { folder, files, intent, origins, findings } = run(name)
    expect(files.length, 'a case has YAML files').toBeGreaterThan(0)
    const text = renderFindings(findings, origins, files, { colour: false })
    expectGolden(join(folder, 'findings.txt'), text === '' ? undefined : text)
    const lines =
      intent &&
      explainAll(intent, origins).map(
        ({ path, value, at, why }) => `${path} = ${value}${at ? `  ${at.file}:${at.line}` : ''}${why === '' ? '' : `  (${why})`}`,
      )
    expectGolden(join(folder, 'ok.txt'), lines ? `${lines.join('\n')}\n` : undefined)
    if (!existsSync(join(folder, 'expected'))) return
    expect(intent, 'a case with expected/ has an intent').not.toBeNull()
    const compiled = compile(intent!, [])
    expectGolden(join(folder, 'expected', 'fabric.json'), compiled.fabric ? `${JSON.stringify(compiled.fabric, null, 2)}\n` : undefined)
    const judged: readonly Finding[] = [...compiled.findings, ...(compiled.fabric ? verify(compiled.fabric).findings : [])]
    const verdict = renderFindings(judged, origins, files, { colour: false })
    expectGolden(join(folder, 'expected', 'verified.txt'), verdict === '' ? undefined : verdict)
  })
})

describe('the cases together', () => {
  const emitted = new Map(cases.map((name) => [name, run(name).findings.map((finding) => finding.code)]))
  const all = new Set([...emitted.values()].flat())

  it.each(intentCodes.map((page) => page.code))('%s has a case that is named after it and produces it', (code) => {
    const named = cases.filter((name) => name.startsWith(`${code}-`))
    expect(named, `a folder ${code}-…`).not.toHaveLength(0)
    for (const name of named) expect(emitted.get(name)).toContain(code)
  })
  it('no code without a page', () => {
    const known = new Set<string>(intentCodes.map((page) => page.code))
    expect([...all].filter((code) => !known.has(code))).toEqual([])
  })
})
