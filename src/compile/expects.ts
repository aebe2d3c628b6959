/** Expectations with their places; what `verify` proves. */
import type { Expect } from '#src/fabric/fabric.ts'
import { compareText } from '#src/fabric/ids.ts'
import { expectTexts } from '#src/intent/canonical.ts'
import type { Resolved } from './resolve.ts'

/**
 * `same` is one expectation per caller: each site has its own pair of places. What a line with `reach` asks of the ways
 * themselves is an expectation of its own, `…#ways`. `implied`: what
 * the network needs by itself. Sorted by id.
 */
export function expects(resolved: Resolved, implied: readonly Expect[] = []): readonly Expect[] {
  const texts = expectTexts({ expect: resolved.expects.map(({ expect }) => expect) })
  const all = resolved.expects.flatMap(({ expect, pairings, ports, byHost }, line) =>
    pairings.flatMap(({ caller, from: callers, to: answering }): Expect[] => {
      const [from, targets] = [callers.places.all, answering.places.all]
      const text = `${expect.from.text} -> ${expect.to.text}`
      const id = `${texts[line]}${caller === null ? '' : ` @${caller}`}`
      if (expect.kind === 'internet')
        return [{ kind: 'internet', id, text, from, to: [], reachable: expect.reachable, survives: [...new Set(expect.survives)].sort(compareText) }]
      if (expect.kind === 'isolate') return [{ kind: 'isolate', id, text, from, to: targets }]
      const to = byHost ? targets.flatMap((place) => place.prefixes.map((host) => ({ ...place, prefixes: [host] }))) : targets
      const ends = { id, text, from, to }
      const asked = { ...ends, ports, survives: [...new Set(expect.survives)].sort(compareText) }
      if (expect.kind === 'path') return [{ kind: 'path', ...asked, mode: 'all', ...expect.ways }]
      const reach: Expect = { kind: 'reach', ...ends, ports, mode: expect.mode, survives: asked.survives }
      return expect.ways ? [reach, { kind: 'path', ...asked, id: `${id}#ways`, mode: expect.mode, ...expect.ways }] : [reach]
    }),
  )
  // The same line written twice is one.
  return [...new Map([...all, ...implied].map((expect) => [expect.id, expect])).values()].sort((a, b) => compareText(a.id, b.id))
}
