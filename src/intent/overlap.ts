import { comparePrefixes, contains, type Prefix } from '#src/net/address.ts'

/**
 * Each item that shares addresses with another, paired with the widest one that covers it; of equals, the later in the
 * list with the first. In the order of prefixes, where what covers stands before what it covers.
 */
export function overlapping<T extends { readonly prefix: Prefix }>(items: readonly T[]): readonly (readonly [T, T])[] {
  const out: (readonly [T, T])[] = []
  let widest: T | undefined
  for (const each of [...items].sort((a, b) => comparePrefixes(a.prefix, b.prefix))) {
    if (widest && contains(widest.prefix, each.prefix)) out.push([each, widest])
    else widest = each
  }
  return out
}
