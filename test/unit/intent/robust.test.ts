/** Whatever a file holds: an answer, findings that point somewhere, never an exception, never a long wait. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson } from '#src/fabric/hash.ts'
import { intentCodes } from '#src/intent/codes.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { renderFindings } from '#src/intent/render.ts'
import { aliasLimit, depthLimit, sizeLimit, type SourceFile } from '#src/intent/yaml.ts'
import { demo, small } from './files.ts'

const known = new Set<string>(intentCodes.map((page) => page.code))

/** The answer, and what is wrong with it as an answer, whatever was asked. */
function answer(files: readonly SourceFile[]) {
  const { intent, origins, findings } = parseIntent(files)
  const lines = new Map(files.map(({ path, text }) => [path, text.split('\n')]))
  const problems: string[] = []
  if ((intent === null) !== findings.some((finding) => finding.severity === 'error')) problems.push('an intent with errors, or none without')
  for (const finding of findings) {
    if (!known.has(finding.code) || finding.says === '') problems.push(`unknown or silent: ${finding.code}`)
    for (const key of finding.at) if (!origins.has(key)) problems.push(`${finding.code} points to ${key}, which is nowhere`)
  }
  for (const [key, { file, line, column, length }] of origins) {
    const text = lines.get(file)?.[line - 1]
    if (text === undefined || column < 1 || column > text.length + 1 || length < 1) problems.push(`${key} is outside its file`)
  }
  if ((renderFindings(findings, origins, files, { colour: false }) === '') !== (findings.length === 0)) problems.push('findings that are not shown')
  if (intent) canonicalJson(intent)
  return { findings, problems }
}

/** A change that somebody's hand, or a broken disk, makes to a text. */
const edit = fc.oneof(
  fc.record({ kind: fc.constant('delete' as const), at: fc.nat(5000), length: fc.integer({ min: 1, max: 40 }) }),
  fc.record({
    kind: fc.constant('insert' as const),
    at: fc.nat(5000),
    text: fc.oneof(
      fc.constantFrom(
        '\t',
        '\n',
        ': ',
        '- ',
        '{',
        '}',
        '[',
        ']',
        '"',
        "'",
        '&a ',
        '*a',
        '!!binary ',
        '<<: ',
        '| ',
        '>-\n',
        '# ',
        '? ',
        '%',
        '---\n',
        '...\n',
        '\0',
        '\uFEFF',
        '\u2028',
        '\uD800',
        'null',
        '~',
        '__proto__: ',
        'constructor: ',
        '0x10',
        '-0',
        '1e400',
        '.nan',
        '->',
        '/',
        '/0',
      ),
      fc.string({ unit: 'binary', maxLength: 12 }),
    ),
  }),
  fc.record({ kind: fc.constant('repeat' as const), at: fc.nat(5000), length: fc.integer({ min: 1, max: 80 }) }),
  fc.record({ kind: fc.constant('move' as const), at: fc.nat(5000), length: fc.integer({ min: 1, max: 80 }), to: fc.nat(5000) }),
)
type Edit = typeof edit extends fc.Arbitrary<infer T> ? T : never
function apply(text: string, change: Edit): string {
  const at = change.at % (text.length + 1)
  switch (change.kind) {
    case 'delete':
      return text.slice(0, at) + text.slice(at + change.length)
    case 'insert':
      return text.slice(0, at) + change.text + text.slice(at)
    case 'repeat':
      return text.slice(0, at + change.length) + text.slice(at)
    case 'move': {
      const piece = text.slice(at, at + change.length)
      const rest = text.slice(0, at) + text.slice(at + change.length)
      const to = change.to % (rest.length + 1)
      return rest.slice(0, to) + piece + rest.slice(to)
    }
    default:
      return change satisfies never
  }
}

describe('files that went wrong', () => {
  it('by a few edits anywhere in the demo', () => {
    const edits = fc.array(fc.tuple(fc.nat(demo.length - 1), edit), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(edits, (changes) => {
        const files = demo.map((file, i) => ({
          path: file.path,
          text: changes.filter(([at]) => at === i).reduce((text, [, change]) => apply(text, change), file.text),
        }))
        expect(answer(files).problems).toEqual([])
      }),
      { numRuns: 150 },
    )
  })
  it('by words of the language in the wrong places', () => {
    const word = fc.constantFrom(
      'network',
      'site',
      'region',
      'hubs',
      'segments',
      'uplinks',
      'services',
      'allow',
      'expect',
      'classes',
      'sites',
      'transports',
      'interface',
      'prefixes',
      'at',
      'ports',
      'reach',
      'isolate',
      'survives',
      'inference',
      'frankfurt',
      'berlin',
      'edge/inference',
      'a -> b',
      'inference -> inference',
      '10.1.10.0/24',
      'tcp/1',
      'lte',
      '30%',
      'none',
      '1',
    )
    const tree = fc.letrec<{ node: unknown }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 5 },
        word,
        fc.constant(null),
        fc.array(tie('node'), { maxLength: 4 }),
        fc.dictionary(word, tie('node'), { maxKeys: 5 }),
      ),
    })).node
    fc.assert(
      fc.property(fc.array(tree, { minLength: 1, maxLength: 4 }), (trees) => {
        // JSON is YAML.
        const texts = trees.map((each) => JSON.stringify(each))
        expect(answer(texts.map((text, n) => ({ path: `${n}.yaml`, text }))).problems).toEqual([])
        const [first] = trees
        const text = JSON.stringify({ network: 'acme', segments: 'inference', hubs: 'frankfurt', ...(typeof first === 'object' ? first : {}) })
        expect(answer(small({ path: 'network.yaml', text })).problems).toEqual([])
      }),
      { numRuns: 150 },
    )
  })
  it('by being anything at all', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 200 }), { maxLength: 3 }), (texts) => {
        expect(answer(texts.map((text, i) => ({ path: `${i}.yaml`, text }))).problems).toEqual([])
      }),
      { numRuns: 150 },
    )
  })
})

describe('files that want to cost', () => {
  const site = (place: string): SourceFile => ({
    path: 'berlin.yaml',
    text: `site: berlin\nuplinks: { fiber: { interface: eth0 } }\nplace: ${place}`,
  })
  const codes = (file: SourceFile) => {
    const { findings, problems } = answer(small(file))
    return [...problems, ...findings.map((finding) => finding.code)]
  }

  it.each([
    ['brackets', '['.repeat(100_000)],
    ['braces', '{'.repeat(100_000)],
    ['closed brackets', '['.repeat(50_000) + ']'.repeat(50_000)],
    ['braces with keys', '{a: '.repeat(50_000)],
    ['dashes', `\n${Array.from({ length: 400 }, (_, i) => `${' '.repeat(i + 1)}-`).join('\n')}`],
    ['dashes on a line', '- '.repeat(50_000)],
    ['explicit keys', '? '.repeat(50_000)],
    ['explicit keys on their lines', `\n${'  ? '.repeat(30_000)}`],
    ['a slip at every word', `{ ${'? '.repeat(400_000)} }`],
    ['brackets that close nothing', ']'.repeat(400_000)],
    ['maps', `\n${Array.from({ length: 400 }, (_, i) => `${' '.repeat(i + 1)}a:`).join('\n')}`],
    [
      'aliases of aliases',
      `\n  a: &a [x, x]\n${'bcdefghijklmnopqrstuvwxyz'.replaceAll(/./g, (c) => `  ${c}: &${c} [${`*${String.fromCharCode(c.charCodeAt(0) - 1)}, `.repeat(9)}]\n`)}`,
    ],
  ])('%s', (_, text) => {
    // Some are no YAML at all; what counts is an answer.
    expect(codes(site(text)).some((code) => code === 'I001' || code === 'I002')).toBe(true)
  })
  it('an alias of itself', () => {
    expect(codes(site('&a [*a]'))).toEqual(['I007'])
    expect(codes({ path: 'berlin.yaml', text: 'site: berlin\nuplinks: &u { fiber: *u }\n' })).not.toEqual([])
  })
  it('the deepest nesting and the most aliases that are allowed, and one more', () => {
    // The file's map is the first level.
    const deep = (levels: number) => site('['.repeat(levels - 1) + ']'.repeat(levels - 1))
    expect(codes(deep(depthLimit))).toEqual(['I007'])
    expect(codes(deep(depthLimit + 1))).toEqual(['I002'])
    const aliases = (n: number) => ({
      path: 'berlin.yaml',
      text: `site: &a berlin\nuplinks: { fiber: { interface: eth0 } }\nlabels: [${'*a, '.repeat(n)}]`,
    })
    expect(codes(aliases(aliasLimit))).toEqual(['I011'])
    expect(codes(aliases(aliasLimit + 1))).toEqual(['I002'])
  })
  it('a value as long as a file may be, and a file longer', () => {
    const place = (length: number) => site('x'.repeat(length))
    const around = place(0).text.length
    expect(codes(place(sizeLimit - around))).toEqual([])
    expect(codes(place(sizeLimit - around + 1))).toEqual(['I002'])
  })
  it('a name, a number or a line as long as a file may be', () => {
    for (const text of [
      `site: ${'b'.repeat(900_000)}`,
      `network: acme\nsegments: inference\nmtu: ${'9'.repeat(900_000)}`,
      `network: acme\nsegments: inference\nallow: ${'a/'.repeat(400_000)}`,
      `network: acme\nsegments: inference\nallow: ${'->'.repeat(400_000)}`,
      `network: acme\nsegments: inference\nallow: ${'- > '.repeat(200_000)}`,
    ]) {
      const { findings, problems } = answer([{ path: 'a.yaml', text }])
      expect(problems).toEqual([])
      expect(findings).not.toEqual([])
    }
  })
  it('keys by the thousand', () => {
    const keys = Array.from({ length: 5000 }, (_, i) => `k${i}: 1`).join('\n')
    const { findings, problems } = answer(small({ path: 'network.yaml', text: `network: acme\nsegments: inference\nhubs: frankfurt\n${keys}` }))
    expect(problems).toEqual([])
    expect(findings).toHaveLength(5000)
  })
  it('properties that objects have by birth are names like others', () => {
    const text =
      'network: acme\nhubs: frankfurt\nsegments: inference\nclasses:\n  constructor: { share: 1%, dscp: CS1 }\n  __proto__: { avoid: lte }\n  toString: { share: 1% }\nservices:\n  valueof: { at: inference, ports: tcp/1, class: hasOwnProperty }\n'
    const { findings } = answer(small({ path: 'network.yaml', text }))
    expect(findings.map((finding) => [finding.code, finding.says])).toEqual([
      ['I010', '"__proto__" is not a name'],
      ['I010', '"toString" is not a name'],
      ['I015', 'class "hasOwnProperty" does not exist'],
    ])
  })
})
