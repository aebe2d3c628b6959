/** Who has which addresses, and numbers for all that is said, so that what is said of two sites compares (shapes.ts). */
import type { Fabric, NodeId } from '#src/fabric/fabric.ts'
import { compareText } from '#src/fabric/ids.ts'
import { nodesOf } from '#src/fabric/slice.ts'
import { type Family, type Prefix, rangeOf } from '#src/net/address.ts'
import { firstOf } from '#src/net/sorted.ts'
import { cut, type Entry, longest } from './packets.ts'

/** Small numbers for words and for pairs of numbers, so that a fact is compared by one number, and exactly. */
export class Words {
  readonly #words = new Map<string, number>()
  readonly #pairs = new Map<number, number>()
  #next = 0
  word(text: string): number {
    const known = this.#words.get(text)
    if (known !== undefined) return known
    this.#words.set(text, this.#next)
    return this.#next++
  }
  pair(a: number, b: number): number {
    const key = a * 2 ** 26 + b
    const known = this.#pairs.get(key)
    if (known !== undefined) return known
    if (this.#next >= 2 ** 26) throw new RangeError('the network says more different things than can be numbered')
    this.#pairs.set(key, this.#next)
    return this.#next++
  }
}

/** Which part of an exchangeable site's LANs a prefix is; `site` −1: of nobody's, and then it is itself. */
interface Land {
  readonly site: number
  readonly part: number
}
interface Range {
  readonly site: number
  readonly low: bigint
  readonly high: bigint
  part: number
}

/** Who owns which addresses, in all generations together. */
export class Lands {
  readonly words = new Words()
  /** The exchangeable sites: those that are never a hub. */
  readonly names: readonly NodeId[]
  readonly indexOf: ReadonlyMap<NodeId, number>
  /** Who shares addresses with another. */
  readonly mixed = new Set<number>()
  readonly #ranges: { readonly 4: Range[]; readonly 6: Range[] } = { 4: [], 6: [] }
  readonly #known = new Map<Prefix, Land>()
  /** Shared prefixes that hold LANs of exchangeable sites. */
  readonly holds: { readonly word: number; readonly site: number; readonly part: number }[] = []

  constructor(fabrics: readonly Fabric[]) {
    const hubs = new Set(fabrics.flatMap((fabric) => fabric.sites.flatMap((site) => (site.hub ? [site.id] : []))))
    this.names = [...new Set(fabrics.flatMap((fabric) => fabric.sites.map((site) => site.id)))].filter((id) => !hubs.has(id))
    this.indexOf = new Map(this.names.map((id, index) => [id, index]))
    const known = new Set<string>()
    const lans = fabrics.flatMap((fabric) =>
      nodesOf(fabric).flatMap((node) => node.lans.map((lan) => ({ site: this.indexOf.get(node.id) ?? -1, lan }))),
    )
    const all = lans.flatMap(({ site, lan }) => {
      const key = `${site} ${lan.prefix}`
      return known.has(key) ? [] : (known.add(key), [{ site, segment: lan.segment, ...rangeOf(lan.prefix), part: 0 }])
    })
    // Prefixes nest or are disjoint. Wider ones first, so that of those that nest the outermost is met first.
    all.sort((a, b) => a.family - b.family || (a.low < b.low ? -1 : a.low > b.low ? 1 : a.high > b.high ? -1 : 1))
    const outermost: typeof all = []
    for (const range of all) {
      const outer = outermost.at(-1)
      if (!outer || outer.family !== range.family || outer.high < range.low) outermost.push(range)
      else if (outer.site !== range.site) {
        for (const site of [outer.site, range.site]) if (site >= 0) this.mixed.add(site)
      }
    }
    // Whom hosts of a translated LAN can't tell from a neighbour is not like others.
    const locals = fabrics.flatMap((fabric) =>
      nodesOf(fabric).flatMap(({ lans }) => lans.flatMap(({ local }) => (local === undefined ? [] : [rangeOf(local)]))),
    )
    if (locals.length > 0) {
      const shadows: Record<Family, readonly Entry<true>[]> = { 4: [], 6: [] }
      for (const family of [4, 6] as const)
        shadows[family] = longest(locals.filter((one) => one.family === family).map(({ low, high }) => ({ low, high, value: true as const })))
      for (const { site, family, ...span } of all) if (site >= 0 && cut(shadows[family], span).some((piece) => piece.value)) this.mixed.add(site)
    }
    // LANs of two sites correspond by segment.
    for (const own of Map.groupBy(outermost, (range) => range.site).values()) {
      const inOrder = own.sort((a, b) => compareText(a.segment, b.segment) || a.family - b.family || (a.low < b.low ? -1 : 1))
      for (const [k, range] of inOrder.entries()) range.part = k
    }
    for (const { family, ...range } of outermost) if (range.site >= 0) this.#ranges[family].push(range)
    for (const family of [4, 6] as const) this.#ranges[family].sort((a, b) => (a.low < b.low ? -1 : 1))
  }

  of(prefix: Prefix): Land {
    const known = this.#known.get(prefix)
    if (known) return known
    const made = this.#find(prefix)
    this.#known.set(prefix, made)
    return made
  }
  ownerOf(prefix: Prefix): NodeId | undefined {
    return this.names[this.of(prefix).site]
  }
  #find(prefix: Prefix): Land {
    const { family, low, high } = rangeOf(prefix)
    const ranges = this.#ranges[family]
    const from = firstOf(ranges.length, (n) => ranges[n]!.high >= low)
    const inside = ranges[from]
    if (inside && inside.low <= low && high <= inside.high)
      return { site: inside.site, part: this.words.word(`${inside.part}+${low - inside.low}:${high - low}`) }
    const word = this.words.word(prefix)
    for (let at = from; at < ranges.length && ranges[at]!.high <= high; at++)
      this.holds.push({ word, site: ranges[at]!.site, part: ranges[at]!.part })
    return { site: -1, part: word }
  }
}
