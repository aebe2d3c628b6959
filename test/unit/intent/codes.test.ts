import { describe, expect, it } from 'vitest'
import { intentCodes } from '#src/intent/codes.ts'
import { parseIntent } from '#src/intent/parse.ts'
import type { SourceFile } from '#src/intent/yaml.ts'
import { small } from './files.ts'

/** `# berlin.yaml` begins a file; a file without content is taken away. */
function filesOf(example: string): readonly SourceFile[] {
  const parts = example.split(/^# (\S+\.yaml)\n?/m).slice(1)
  const files = parts.flatMap((path, i) => (i % 2 === 0 ? [{ path, text: parts[i + 1] === '' ? null : parts[i + 1]! }] : []))
  return small(...files)
}

describe('pages of causeway explain', () => {
  it.each(intentCodes.map((page) => [page.code, page] as const))(
    '%s: the wrong example is wrong by that code alone, the right one is right',
    (code, page) => {
      const wrong = parseIntent(filesOf(page.wrong)).findings
      expect(wrong.map((finding) => finding.code)).toEqual([code])
      const right = parseIntent(filesOf(page.right))
      expect(right.findings).toEqual([])
      expect(right.intent).not.toBeNull()
    },
  )
  it('have each code once, a title without a full stop and a text of sentences', () => {
    expect(new Set(intentCodes.map((page) => page.code)).size).toBe(intentCodes.length)
    for (const { code, title, text } of intentCodes) {
      expect(code).toMatch(/^I\d{3}$/)
      expect(title).toMatch(/^[A-Z].*[^.]$/)
      expect(text).toMatch(/^[A-Z`].*\.$/)
    }
  })
})
