/** Expectations with their places; what `verify` proves. */
import type { Expect } from '#src/fabric/fabric.ts'
import { compareText } from '#src/fabric/ids.ts'
import type { Resolved } from './resolve.ts'

/** `same` is one expectation per caller: each site has its own pair of places. */
export const expects = (resolved: Resolved): readonly Expect[] =>
  resolved.expects
    .flatMap(({ expect, pairings, ports }) =>
      pairings.map(({ caller, from, to }): Expect => {
        const text = `${expect.from.text} -> ${expect.to.text}`
        const id = `${expect.kind === 'reach' && expect.mode === 'all' ? 'reach-all' : expect.kind} ${text}${caller === null ? '' : ` @${caller}`}`
        return expect.kind === 'reach'
          ? {
              kind: 'reach',
              id,
              text: `${expect.from.text} -> ${expect.to.text}`,
              from,
              to,
              ports,
              mode: expect.mode,
              survives: [...new Set(expect.survives)].sort(compareText),
            }
          : { kind: 'isolate', id, text: `${expect.from.text} -> ${expect.to.text}`, from, to }
      }),
    )
    .sort((a, b) => compareText(a.id, b.id))
