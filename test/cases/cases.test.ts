/**
 * A folder a case: YAML in (or `source.txt`, the folder that has it; what others own in `pulled/`), what the program says out.
 *
 * - `findings.txt`: what `causeway check` prints about the intent; none when there is nothing to say.
 * - `ok.txt`: the intent after defaults, with the line that each value comes from; none when there is an error.
 * - `expected/fabric.json`, where the folder `expected/` exists: the Fabric compiled without earlier allocations.
 * - `expected/verified.txt`, likewise: what the compiler and `verify` say about it. `verified.txt`, where the case has the
 *   name of one of their codes and no such folder.
 *
 * UPDATE_GOLDEN=1 writes them.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import { compileCodes } from '#src/compile/codes.ts'
import type { Fabric, Finding } from '#src/fabric/fabric.ts'
import { intentCodes } from '#src/intent/codes.ts'
import { explainAll } from '#src/intent/explain.ts'
import type { Intent } from '#src/intent/intent.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { renderFindings } from '#src/intent/render.ts'
import { verifyCodes } from '#src/verify/codes.ts'
import { verify } from '#src/verify/verify.ts'
import { beyondFiles } from './beyond-files.ts'
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

const judgedPages = [...compileCodes, ...verifyCodes]
const isJudged = (name: string): boolean => judgedPages.some(({ code }) => name.startsWith(`${code}-`))
function judge(intent: Intent): { readonly fabric: Fabric | null; readonly judged: readonly Finding[] } {
  const { fabric, findings } = compile(intent, [])
  return { fabric, judged: [...findings, ...(fabric ? verify(fabric).findings : [])] }
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
    const whole = existsSync(join(folder, 'expected'))
    if (!whole && !isJudged(name)) return
    expect(intent, 'a case that is judged has an intent').not.toBeNull()
    const { fabric, judged } = judge(intent!)
    if (whole) expectGolden(join(folder, 'expected', 'fabric.json'), fabric ? `${JSON.stringify(fabric, null, 2)}\n` : undefined)
    const verdict = renderFindings(judged, origins, files, { colour: false })
    expectGolden(join(folder, whole ? 'expected/verified.txt' : 'verified.txt'), verdict === '' ? undefined : verdict)
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
  const judged = new Map(
    cases.map((name) => {
      const { intent } = run(name)
      return [name, intent && (isJudged(name) || existsSync(join(root, name, 'expected'))) ? judge(intent).judged.map(({ code }) => code) : []]
    }),
  )
  it.each(judgedPages.map(({ code }) => code).filter((code) => !beyondFiles.has(code)))('%s has a case that produces it', (code) => {
    expect([...judged].filter(([, codes]) => codes.includes(code)).map(([name]) => name)).not.toEqual([])
    for (const [name, codes] of judged) if (name.startsWith(`${code}-`)) expect(codes).toContain(code)
  })
  it('no code without a page', () => {
    const known = new Set<string>(intentCodes.map((page) => page.code))
    expect([...all].filter((code) => !known.has(code))).toEqual([])
  })
})
