/** Flows as rectangles: any of these hosts to any of those, on a span of applications. Sets of them, exactly. */
import type { Prefix } from '#src/net/address.ts'
import type { Span } from '#src/net/ports.ts'
import { commonPrefixes, subtractPrefixes } from '#src/net/sets.ts'

export interface Rectangle {
  /** Both sorted, of one family; within each no prefix holds another. */
  readonly from: readonly Prefix[]
  readonly to: readonly Prefix[]
  readonly span: Span
}

/** What is in both; undefined: nothing. */
export function common(a: Rectangle, b: Rectangle): Rectangle | undefined {
  const span = { low: Math.max(a.span.low, b.span.low), high: Math.min(a.span.high, b.span.high) }
  if (span.low > span.high) return undefined
  const from = commonPrefixes(a.from, b.from)
  if (from.length === 0) return undefined
  const to = commonPrefixes(a.to, b.to)
  return to.length === 0 ? undefined : { from, to, span }
}

/** What is left of `these` without any of `those`, disjoint where `these` are. */
export const without = (these: readonly Rectangle[], those: readonly Rectangle[]): readonly Rectangle[] =>
  those.reduce((rest, one) => rest.flatMap((each) => subtract(each, one)), these)

function subtract(whole: Rectangle, other: Rectangle): readonly Rectangle[] {
  const inner = common(whole, other)
  if (!inner) return [whole]
  const { from, to, span } = inner
  const pieces: readonly Rectangle[] = [
    { ...whole, from: subtractPrefixes(whole.from, from) },
    { ...whole, from, to: subtractPrefixes(whole.to, to) },
    { from, to, span: { low: whole.span.low, high: span.low - 1 } },
    { from, to, span: { low: span.high + 1, high: whole.span.high } },
  ]
  return pieces.filter((piece) => piece.from.length > 0 && piece.to.length > 0 && piece.span.low <= piece.span.high)
}
