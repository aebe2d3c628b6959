/**
 * What a hub may carry for others, in nft's words. A few pairs are pairs in a set. Where they would be many, what a source
 * may reach is looked up by the source and then by the destination: as long as the lists, and not as their product.
 */
import type { Transit } from '#src/fabric/fabric.ts'
import { comparePrefixes, contains, type Family, familyOf, type Prefix } from '#src/net/address.ts'
import { subtractPrefix } from '#src/net/sets.ts'

export interface TransitTable {
  /** Sets, maps and chains, each with its head. */
  readonly blocks: readonly { readonly head: string; readonly lines: readonly string[] }[]
  /** Rules that do `action` with what may pass: `notrack accept`. `when` comes first in each. */
  readonly rules: (action: Action, when?: string) => readonly string[]
}
/** In `raw`, and in `filter`. */
export type Action = typeof untracking | `counter name ${string} accept`
export const untracking = 'notrack accept'

/** A small hub's rules are read by people. */
const fewPairs = 512
const word = (family: Family): 'ip' | 'ip6' => (family === 4 ? 'ip' : 'ip6')
const elements = (all: readonly string[]): readonly string[] => (all.length > 0 ? [`elements = { ${all.join(', ')} }`] : [])

export function transitTable(transits: readonly Transit[], family: Family, actions: readonly Action[]): TransitTable {
  const sides = transits.flatMap((transit): readonly Side[] => {
    const [a, b] = [transit.a, transit.b].map((prefixes) => prefixes.filter((one) => familyOf(one) === family)) as [Prefix[], Prefix[]]
    return a.length === 0 || b.length === 0
      ? []
      : [
          { from: a, to: b },
          { from: b, to: a },
        ]
  })
  const pairs = sides.reduce((sum, { from, to }) => sum + from.length * to.length, 0)
  return pairs > fewPairs ? bySource(sides, family, actions) : byPair(sides, family)
}

interface Side {
  readonly from: readonly Prefix[]
  readonly to: readonly Prefix[]
}
interface Pair {
  readonly a: Prefix
  readonly b: Prefix
}
/** Pairs that overlap without one holding the other can't stand in one interval set: they become rules. */
function byPair(sides: readonly Side[], family: Family): TransitTable {
  const both = sides.flatMap(({ from, to }) => from.flatMap((a) => to.map((b): Pair => ({ a, b }))))
  const distinct = [...new Map(both.map((pair) => [`${pair.a} . ${pair.b}`, pair])).entries()].sort(
    ([, x], [, y]) => comparePrefixes(x.a, y.a) || comparePrefixes(x.b, y.b),
  )
  const holds = (x: Pair, y: Pair): boolean => x !== y && contains(x.a, y.a) && contains(x.b, y.b)
  const outer = distinct.filter(([, pair]) => !distinct.some(([, other]) => holds(other, pair)))
  const meets = (x: Prefix, y: Prefix): boolean => contains(x, y) || contains(y, x)
  const set: [string, Pair][] = []
  const single: string[] = []
  for (const [text, pair] of outer) {
    if (set.some(([, other]) => meets(other.a, pair.a) && meets(other.b, pair.b)))
      single.push(`${word(family)} saddr ${pair.a} ${word(family)} daddr ${pair.b}`)
    else set.push([text, pair])
  }
  const type = `ipv${family}_addr`
  const matches = [`${word(family)} saddr . ${word(family)} daddr @transit${family}`, ...single]
  return {
    blocks: [{ head: `set transit${family}`, lines: [`type ${type} . ${type}`, 'flags interval', ...elements(set.map(([text]) => text))] }],
    rules: (action, when = '') => matches.map((match) => `${when}${match} ${action}`),
  }
}

/** Sources that may reach the same have one chain; each list of destinations is one set, whoever may reach it. */
function bySource(sides: readonly Side[], family: Family, actions: readonly Action[]): TransitTable {
  const type = `ipv${family}_addr`
  const lists = new Map<string, { readonly name: string; readonly members: readonly Prefix[] }>()
  const reach = new Map<Prefix, Set<string>>()
  for (const { from, to } of sides) {
    const members = outermost(to)
    const key = members.join()
    const { name } = lists.get(key) ?? { name: `transit${family}_to${lists.size}` }
    lists.set(key, { name, members })
    for (const one of from) reach.set(one, (reach.get(one) ?? new Set<string>()).add(name))
  }
  const classes = new Map<string, { readonly number: number; readonly lists: readonly string[] }>()
  const sources = disjoint(reach).map(({ prefix, names }) => {
    const key = names.join()
    const found = classes.get(key) ?? { number: classes.size, lists: names }
    classes.set(key, found)
    return { prefix, number: found.number }
  })
  // What may pass was told in `raw` and left untracked there, and nothing else of IPv4 is. Of IPv6 the kernel itself leaves
  // neighbour discovery untracked, so `filter` looks it up again.
  const asked = family === 4 ? actions.filter((action) => action === untracking) : actions
  const nameOf = (action: Action): string => `transit${family}_${action === untracking ? 'raw' : 'forward'}`
  return {
    blocks: [
      ...[...lists.values()].map(({ name, members }) => ({ head: `set ${name}`, lines: [`type ${type}`, 'flags interval', ...elements(members)] })),
      ...asked.flatMap((action) => [
        ...[...classes.values()].map(({ number, lists: own }) => ({
          head: `chain ${nameOf(action)}${number}`,
          lines: own.map((name) => `${word(family)} daddr @${name} ${action}`),
        })),
        {
          head: `map ${nameOf(action)}`,
          lines: [
            `type ${type} : verdict`,
            'flags interval',
            ...elements(sources.map(({ prefix, number }) => `${prefix} : jump ${nameOf(action)}${number}`)),
          ],
        },
      ]),
    ],
    rules: (action, when = '') => [
      asked.includes(action)
        ? `${when}${word(family)} saddr vmap @${nameOf(action)}`
        : `${when}meta nfproto ipv${family} ct state untracked ${action}`,
    ],
  }
}

/** Sorted, without what another member already holds: nft refuses overlapping intervals. */
export function outermost(prefixes: readonly Prefix[]): readonly Prefix[] {
  const kept: Prefix[] = []
  for (const prefix of [...new Set(prefixes)].sort(comparePrefixes)) {
    const last = kept.at(-1)
    if (last === undefined || !contains(last, prefix)) kept.push(prefix)
  }
  return kept
}

/** Prefixes that hold others give them all that they may reach themselves, and keep the rest of their addresses. */
function disjoint(reach: ReadonlyMap<Prefix, ReadonlySet<string>>): readonly { readonly prefix: Prefix; readonly names: readonly string[] }[] {
  interface Open {
    readonly prefix: Prefix
    readonly names: ReadonlySet<string>
    readonly inner: Prefix[]
  }
  const all: Open[] = []
  const open: Open[] = []
  for (const prefix of [...reach.keys()].sort(comparePrefixes)) {
    while (open.length > 0 && !contains(open.at(-1)!.prefix, prefix)) open.pop()
    const outer = open.at(-1)
    outer?.inner.push(prefix)
    const one: Open = { prefix, names: new Set([...(outer?.names ?? []), ...reach.get(prefix)!]), inner: [] }
    all.push(one)
    open.push(one)
  }
  return all.flatMap(({ prefix, names, inner }) => {
    const rest = inner.reduce<readonly Prefix[]>((left, hole) => left.flatMap((piece) => subtractPrefix(piece, hole)), [prefix])
    return rest.map((piece) => ({ prefix: piece, names: [...names].sort() }))
  })
}
