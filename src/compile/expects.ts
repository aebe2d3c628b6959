/** Expectations with their places; what `verify` proves. */
import type { Expect } from '#src/fabric/fabric.ts'
import { compareText } from '#src/fabric/ids.ts'
import type { Resolved } from './resolve.ts'

/** `same` is one expectation per caller: each site has its own pair of places. Sorted by id. */
export function expects(resolved: Resolved): readonly Expect[] {
  const all = resolved.expects.flatMap(({ expect, pairings, ports }) =>
    pairings.map(({ caller, from: { places: from }, to: { places: to } }): Expect => {
      const text = `${expect.from.text} -> ${expect.to.text}`
      const verb = expect.kind === 'reach' && expect.mode === 'all' ? 'reach-all' : expect.kind
      const id = `${verb} ${text}${caller === null ? '' : ` @${caller}`}`
      if (expect.kind === 'isolate') return { kind: 'isolate', id, text, from, to }
      return { kind: 'reach', id, text, from, to, ports, mode: expect.mode, survives: [...new Set(expect.survives)].sort(compareText) }
    }),
  )
  return named(all)
}

/** The same line written twice is one; lines that differ only in what they survive are numbered. */
function named(all: readonly Expect[]): readonly Expect[] {
  const distinct = new Map(all.map((expect) => [`${expect.id} ${expect.kind === 'reach' ? expect.survives.join() : ''}`, expect]))
  const seen = new Map<string, number>()
  return [...distinct]
    .sort(([a], [b]) => compareText(a, b))
    .map(([, expect]) => {
      const count = (seen.get(expect.id) ?? 0) + 1
      seen.set(expect.id, count)
      return count === 1 ? expect : { ...expect, id: `${expect.id}#${count}` }
    })
    .sort((a, b) => compareText(a.id, b.id))
}
