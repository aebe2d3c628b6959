/** `trace` and the proof answer alike: about each pair of places of every example network, there and back. */
import { describe, expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { sound } from '#test/fuzz/corpus.ts'
import { disagreements } from './agreement.ts'

const fabrics = sound.flatMap((files) => {
  const { intent } = parseIntent(files)
  const fabric = intent && compile(intent, []).fabric
  return fabric && fabric.sites.length > 1 ? [fabric] : []
})

describe('trace and proof agree', () => {
  test.each(fabrics.map((fabric, n) => [`${n} ${fabric.network.id}`, fabric] as const))('%s', (_, fabric) => {
    expect(disagreements(fabric)).toEqual([])
  })
})
