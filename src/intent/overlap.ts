import { compareBits, containsBits, type Prefix, prefixBits } from '#src/net/address.ts'

/**
 * Each item that shares addresses with another, paired with the widest one that covers it; of equals, the later in the
 * list with the first. In the order of prefixes, where what covers stands before what it covers.
 */
export function overlapping<T extends { readonly prefix: Prefix }>(items: readonly T[]): readonly (readonly [T, T])[] {
  const out: (readonly [T, T])[] = []
  const sorted = items.map((one) => ({ one, bits: prefixBits(one.prefix) })).sort((a, b) => compareBits(a.bits, b.bits))
  let widest = sorted[0]
  for (const each of sorted.slice(1)) {
    if (widest && containsBits(widest.bits, each.bits)) out.push([each.one, widest.one])
    else widest = each
  }
  return out
}
