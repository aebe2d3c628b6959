import { comparePrefixes, contains, type Family, familyOf, type Prefix, prefixBits, prefixFromBits, width } from './address.ts'
import { onceOf } from './once.ts'

/** The two halves of a prefix, one bit longer. Not for single addresses. */
function halves(of: Prefix): readonly [Prefix, Prefix] {
  const { family, value, length } = prefixBits(of)
  const upper = value | (1n << BigInt(width(family) - length - 1))
  return [prefixFromBits(family, value, length + 1), prefixFromBits(family, upper, length + 1)]
}

/** The prefix one bit shorter whose other half is `b`; undefined when `a` and `b` are not the two halves of one. */
function joined(a: Prefix, b: Prefix): Prefix | undefined {
  const x = prefixBits(a)
  const y = prefixBits(b)
  if (x.family !== y.family || x.length !== y.length || x.length === 0) return undefined
  const bit = 1n << BigInt(width(x.family) - x.length)
  return (x.value ^ y.value) === bit ? prefixFromBits(x.family, x.value & ~bit, x.length - 1) : undefined
}

/** The same addresses in the fewest prefixes, sorted: contained ones dropped, halves joined (RFC 4632 aggregation). */
export function mergePrefixes(prefixes: readonly Prefix[]): readonly Prefix[] {
  const out: Prefix[] = []
  for (const next of [...prefixes].sort(comparePrefixes)) {
    const last = out.at(-1)
    if (last !== undefined && contains(last, next)) continue
    out.push(next)
    // Joining may complete a larger pair to the left: 10.0.0.0/25, then /26 + /26.
    while (out.length > 1) {
      const whole = joined(out.at(-2)!, out.at(-1)!)
      if (whole === undefined) break
      out.splice(-2, 2, whole)
    }
  }
  return out
}

/** What is left of `a` without `b`, in the fewest prefixes, sorted; `[a]` when they share nothing, `[]` when `b` covers `a`. */
export function subtractPrefix(a: Prefix, b: Prefix): readonly Prefix[] {
  if (contains(b, a)) return []
  if (!contains(a, b)) return [a]
  const [lower, upper] = halves(a)
  return contains(lower, b) ? [...subtractPrefix(lower, b), upper] : [lower, ...subtractPrefix(upper, b)]
}

/** What is in both of two sorted lists, sorted. Within each, no prefix holds another. */
export function commonPrefixes(these: readonly Prefix[], those: readonly Prefix[]): readonly Prefix[] {
  const out: Prefix[] = []
  for (let i = 0, j = 0; i < these.length && j < those.length; ) {
    const [a, b] = [these[i]!, those[j]!]
    if (contains(b, a)) {
      out.push(a)
      i++
    } else if (contains(a, b)) {
      out.push(b)
      j++
    } else if (comparePrefixes(a, b) < 0) i++
    else j++
  }
  return out
}

/** What is left of one sorted list without another, sorted. Within each, no prefix holds another. */
export function subtractPrefixes(these: readonly Prefix[], those: readonly Prefix[]): readonly Prefix[] {
  let from = 0
  return these.flatMap((one) => {
    while (from < those.length && comparePrefixes(those[from]!, one) < 0 && !contains(those[from]!, one)) from++
    let rest: readonly Prefix[] = [one]
    for (let at = from; at < those.length && (contains(those[at]!, one) || contains(one, those[at]!)); at++)
      rest = rest.flatMap((piece) => subtractPrefix(piece, those[at]!))
    return rest
  })
}

/** The families of a sorted list: IPv4 comes before IPv6. */
export function familiesIn(prefixes: readonly Prefix[]): readonly Family[] {
  const [first, last] = [prefixes[0], prefixes.at(-1)]
  if (first === undefined || last === undefined) return []
  const [low, high] = [familyOf(first), familyOf(last)]
  return low !== high ? both : low === 4 ? ipv4 : ipv6
}
const [ipv4, ipv6, both] = [[4], [6], [4, 6]] as const satisfies readonly (readonly Family[])[]

// Thousands of rules share a few long lists.
const byFamily = onceOf((prefixes: readonly Prefix[]): Readonly<Record<Family, readonly Prefix[]>> => {
  const first = prefixes.findIndex((one) => familyOf(one) === 6)
  return { 4: prefixes.slice(0, first), 6: prefixes.slice(first) }
})
/** Those of one family among a sorted list: the list itself where there are no others, and always the same object. */
export function ofFamily(prefixes: readonly Prefix[], family: Family): readonly Prefix[] {
  const families = familiesIn(prefixes)
  if (families.length < 2) return families[0] === family ? prefixes : []
  return byFamily(prefixes)[family]
}
/** Of two sorted lists what can meet: the families that both have. Each is itself where all of it can. */
export function meeting(a: readonly Prefix[], b: readonly Prefix[]): readonly [readonly Prefix[], readonly Prefix[]] {
  const [mine, theirs] = [familiesIn(a), familiesIn(b)]
  if (mine === theirs) return [a, b]
  const common = mine.filter((family) => theirs.includes(family))
  const part = (of: readonly Prefix[], all: readonly Family[]): readonly Prefix[] =>
    common.length === all.length ? of : common[0] === undefined ? [] : ofFamily(of, common[0])
  return [part(a, mine), part(b, theirs)]
}
