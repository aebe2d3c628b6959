/**
 * Sites that differ in nothing but their names: what is proven for one of them holds for all.
 *
 * A Fabric is a set of facts: a tunnel, a route, a group, one prefix of a rule, one pair of a transit, one place of an
 * expectation. Exchanging two sites renames them in every fact: their ids, their tunnels, and their LANs address by
 * address. If that gives the same set of facts again, whatever was asked about the one has the same answer for the
 * other, for forwarding reads nothing but facts: the exchange is an automorphism.
 *
 * Sites have one shape when any two of them may be exchanged. That holds when
 * - facts that name only one of them are the same for each, up to its name (`alone` below), and
 * - facts that name two are there for every pair of the two shapes or for none (`together`),
 * because an exchange maps each such fact to one that is there too. Facts of three are rare (a hop through a bystander):
 * whoever is in one keeps a shape of its own, and so does whoever shares addresses with another.
 *
 * So it is enough to prove the Fabric `within` a few sites of each shape. Leaving out a site leaves out the facts that
 * name it, and they decide only about packets from it, to it or by it; nobody else's packets look them up, since LANs are
 * disjoint and every route, group and hop of a fact names the site it is about. A question names a source, a target and
 * up to two failures: with four sites of a shape each kind of choice among all is also a choice among the four, and one
 * that nothing hit is left.
 */
import type { Deny, Expect, Fabric, NodeId, Peer, Place, Region, SharedGroup, Site, Tunnel, TunnelId } from '#src/fabric/fabric.ts'
import { anyRemote } from '#src/fabric/groups.ts'
import { compareText, ipsecTunnelId, isSecondGateway, nodeOf, siteOfGateway, tunnelId } from '#src/fabric/ids.ts'
import { isSameLan } from '#src/fabric/lans.ts'
import { nodesOf } from '#src/fabric/slice.ts'
import { familiesOf } from '#src/fabric/uplinks.ts'
import { type Family, type Prefix, rangeOf } from '#src/net/address.ts'
import { formatPortRange } from '#src/net/ports.ts'
import { firstOf } from '#src/net/sorted.ts'
import { cut, type Entry, longest } from './packets.ts'
import { callerOf } from './words.ts'

export interface Shapes {
  /** The same with a shape of its own for each of `sites`. */
  readonly except: (sites: ReadonlySet<NodeId>) => Shapes
  /** Sites of its shape, itself included, for one that speaks for its shape; none for the others, which are only spoken to. */
  readonly alike: (id: NodeId) => readonly NodeId[]
  /** For how many of its shape a site stands as a target. */
  readonly weight: (id: NodeId) => number
  /** How many expectations one speaks for where each caller has its own, itself included. */
  readonly copies: (expect: Expect) => number
  /** The Fabric without the sites, and the callers' expectations, that others stand for. */
  readonly within: (fabric: Fabric) => Fabric
}

/** Source, target, and one for each of two failures. */
const enough = 4
/** Below this, finding shapes costs more than it saves. */
const worthwhile = 64

/** Every site for itself. */
export const eachItself: Shapes = { except: () => eachItself, alike: (id) => [id], weight: () => 1, copies: () => 1, within: (fabric) => fabric }

/** Shapes in all of `fabrics` at once: a site keeps its name from one generation to the next. */
export function shapesOf(fabrics: readonly Fabric[], smallest = worthwhile): Shapes {
  if (fabrics.every((fabric) => fabric.sites.length < smallest)) return eachItself
  const lands = new Lands(fabrics)
  const facts = new Facts(lands)
  for (const [i, fabric] of fabrics.entries()) facts.read(fabric, i)
  return shapesFrom(
    facts.shapes().map((shape) => shape.map((index) => lands.names[index]!)),
    (prefix) => lands.ownerOf(prefix),
  )
}

function shapesFrom(all: readonly (readonly NodeId[])[], ownerOf: (prefix: Prefix) => NodeId | undefined): Shapes {
  const members = all.filter((shape) => shape.length > enough)
  if (members.length === 0) return eachItself
  const alike = new Map<NodeId, readonly NodeId[]>()
  const weights = new Map<NodeId, number>()
  const dropped = new Set<NodeId>()
  for (const names of members) {
    for (const [i, name] of names.entries()) {
      if (i >= enough) dropped.add(name)
      else alike.set(name, i === 0 ? names : [])
    }
    weights.set(names[enough - 1]!, names.length - enough + 1)
  }
  const copies = ({ id }: Expect): number => {
    const caller = callerOf(id)
    return caller === null ? 1 : (alike.get(caller)?.length ?? 1)
  }
  return {
    except: (sites) =>
      shapesFrom(
        members.map((names) => names.filter((name) => !sites.has(name))),
        ownerOf,
      ),
    alike: (id) => alike.get(id) ?? [id],
    copies,
    weight: (id) => weights.get(id) ?? 1,
    within: (fabric) => without({ ...fabric, expects: fabric.expects.filter((expect) => copies(expect) > 0) }, dropped, ownerOf),
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

/** Sites that can be told apart in a number beside a fact. */
const sites = 2 ** 22

/** Small numbers for words and for pairs of numbers, so that a fact is compared by one number, and exactly. */
class Words {
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

/** Who owns which addresses, in all generations together. */
class Lands {
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

interface Line {
  readonly word: number
  readonly ends: readonly [NodeId, NodeId]
}
class Facts {
  readonly #lands: Lands
  readonly #words: Words
  /** What is said of one exchangeable site alone. */
  readonly #alone: number[][]
  /** What is said of it together with another: the fact's number and the other's, in one. */
  readonly #together: number[][]
  readonly #single: Set<number>
  #namesMislead = false
  readonly #self: number
  readonly #other: number

  constructor(lands: Lands) {
    this.#lands = lands
    this.#words = lands.words
    this.#alone = lands.names.map(() => [])
    this.#together = lands.names.map(() => [])
    this.#single = new Set(lands.mixed)
    this.#self = this.#words.word('@')
    this.#other = this.#words.word('@@')
  }

  /** A fact about `a` and `b`, −1 where it is about nobody exchangeable; `fact` is the rest of it, from a's side and from b's. */
  #note(a: number, b: number, fact: number, pa: number, pb: number): void {
    if (a < 0 && b < 0) return
    const words = this.#words
    const said = words.pair(words.pair(fact, pa), pb)
    if (a === b) this.#alone[a]!.push(words.pair(said, this.#self))
    else if (b < 0) this.#alone[a]!.push(said)
    else if (a < 0) this.#alone[b]!.push(words.pair(said, this.#other))
    else {
      this.#together[a]!.push(said * sites + b)
      this.#together[b]!.push(words.pair(said, this.#other) * sites + a)
    }
  }

  read(fabric: Fabric, generation: number): void {
    const words = this.#words
    const lands = this.#lands
    const index = (id: NodeId): number => lands.indexOf.get(id) ?? -1
    /** A node in a fact: exchangeable ones are named by their part in it, others by their name. */
    const named = (id: NodeId): number => (lands.indexOf.has(id) ? this.#self : words.word(id))
    const kind = (name: string): number => words.word(`${generation} ${name}`)

    const tunnels = new Map<TunnelId, Line>()
    for (const tunnel of fabric.tunnels) {
      const ends = [nodeOf(tunnel.ends[0]), nodeOf(tunnel.ends[1])] as const
      const [a, b] = [index(ends[0]), index(ends[1])]
      const word = words.word(lineOf(tunnel))
      tunnels.set(tunnel.id, { word, ends })
      // Groups know tunnels by name only.
      if (tunnel.id !== nameOf(tunnel)) this.#namesMislead = true
      this.#note(a, b, words.pair(kind('tunnel'), word), named(ends[0]), named(ends[1]))
    }

    const ways = fabric.expects.some((expect) => expect.kind === 'path')
    for (const node of nodesOf(fabric)) {
      const at = index(node.id)
      const here = named(node.id)
      // What one of two gateways can do decides for the LANs of both.
      if (isSecondGateway(node.id)) this.#keep(at, index(siteOfGateway(node.id)))
      if (at >= 0) this.#note(at, -1, kind('site'), words.word(describe(node as Site, (prefix) => lands.of(prefix).part, ways)), 0)

      this.#groups(node, at, here, kind('group'), tunnels)

      // What has two sides is as much as each prefix of either.
      const product = (text: string, ...sides: readonly (readonly Prefix[])[]): void => {
        const said = kind(text)
        this.#note(at, -1, said, here, 0)
        for (const [side, prefixes] of sides.entries()) {
          const fact = words.pair(said, side)
          for (const prefix of prefixes) {
            const land = lands.of(prefix)
            this.#note(at, land.site, fact, here, land.part)
          }
        }
      }
      const routeFact = kind('route')
      for (const route of node.routes) {
        const to = lands.of(route.to)
        const remote = index(route.remote)
        if (remote >= 0 && remote !== to.site) this.#keep(at, to.site, remote)
        this.#note(at, to.site, words.pair(routeFact, named(route.remote)), here, to.part)
      }
      this.#keepTwins(
        at,
        node.routes,
        (route) => route.to,
        (route) => lands.of(route.to).site,
      )

      const twin = counter()
      for (const { id, from, to, ports, trafficClass } of node.rules) {
        const text = `rule ${id} ${from.segment} ${to.segment} ${ports.map(formatPortRange).join()} ${trafficClass}`
        product(`${text} ${twin(`rule ${id}`)}`, from.prefixes, to.prefixes)
      }
      for (const { id, from, to, ports } of node.denies ?? []) {
        const text = `deny ${id} ${from.segment} ${to.segment} ${ports.map(formatPortRange).join()}`
        product(`${text} ${twin(`deny ${id}`)}`, from.prefixes, to.prefixes)
      }
      if (node.kind === 'site' && node.exitsFor) product('guests', node.exitsFor)
      for (const { id, a, b } of node.transits) product(`transit ${id} ${twin(`transit ${id}`)}`, a, b)
    }
    for (const { id, uplinks } of fabric.risks)
      for (const { site, uplink } of uplinks) this.#note(index(site), -1, words.word(`${generation} risk ${id}`), words.word(uplink), 0)
    this.#expects(fabric, generation)
    for (const { word, site, part } of lands.holds.splice(0)) this.#note(site, -1, kind('held'), word, part)
  }

  /** One fact a remote for all groups that list the same remotes. */
  #groups(node: Site | Region | Peer, at: number, here: number, kind: number, tunnels: ReadonlyMap<TunnelId, Line>): void {
    const words = this.#words
    const indexOf = (id: NodeId): number => this.#lands.indexOf.get(id) ?? -1
    const viaOf = ({ via, remotes }: SharedGroup): number => {
      const part = (id: NodeId): number => {
        if (id === node.id) return this.#self
        if (id === anyRemote || (remotes.length === 1 && id === remotes[0])) return this.#other
        this.#keep(indexOf(id))
        return words.word(id)
      }
      let said = words.word('via')
      for (const { tunnel, next, stage, cost, returnAfter } of via) {
        const line = tunnels.get(tunnel)
        // A tunnel's name follows from its ends, so that what it is for each remote need not be looked up.
        const over = line ? words.pair(words.pair(line.word, part(line.ends[0])), part(line.ends[1])) : words.word(`over ${tunnel}`)
        said = words.pair(words.pair(said, over), words.pair(part(next), words.pair(words.pair(stage, cost), returnAfter)))
      }
      return said
    }
    const lists = new Map<readonly NodeId[], number>()
    for (const group of node.groups) {
      const role = words.pair(words.word(group.trafficClass), words.word(group.arrived))
      lists.set(group.remotes, words.pair(lists.get(group.remotes) ?? kind, words.pair(role, viaOf(group))))
    }
    const named = new Set<NodeId>()
    let count = 0
    for (const [remotes, said] of lists) {
      count += remotes.length
      for (const remote of remotes) {
        named.add(remote)
        const index = indexOf(remote)
        this.#note(at, index, said, here, index < 0 ? words.word(remote) : this.#self)
      }
    }
    if (named.size < count) {
      const all = node.groups.flatMap(({ remotes, trafficClass, arrived }) =>
        remotes.map((remote) => ({ remote, key: `${remote} ${trafficClass} ${arrived}` })),
      )
      this.#keepTwins(
        at,
        all,
        ({ key }) => key,
        ({ remote }) => indexOf(remote),
      )
    }
  }

  #expects(fabric: Fabric, generation: number): void {
    const words = this.#words
    const lands = this.#lands
    const twin = counter()
    for (const expect of fabric.expects) {
      // `same` gives one expectation a caller: `reach cameras -> same/stream @berlin`.
      const caller = callerOf(expect.id)
      const whose = caller === null ? -1 : (lands.indexOf.get(caller) ?? -1)
      const asked = askedText(expect)
      if (expect.kind === 'path') {
        for (const { value } of [...expect.via, ...expect.not])
          this.#keep(lands.indexOf.get(value.slice(0, Math.max(0, value.lastIndexOf('.'))) as NodeId) ?? -1)
        // What callers ask of the uplinks of one place adds up.
        if (expect.bandwidth.up + expect.bandwidth.down > 0) for (const { node } of expect.to) this.#keep(lands.indexOf.get(node) ?? -1)
      }
      const text = `${generation} expect ${whose < 0 ? expect.id : expect.id.replace(` @${caller}`, ' @')} ${asked}`
      const said = words.pair(words.word(text), twin(`${text} ${whose}`))
      this.#note(whose, -1, said, this.#self, 0)
      const places = (side: number, of: readonly Place[]): void => {
        const fact = words.pair(said, side)
        for (const place of of) {
          const site = lands.indexOf.get(place.node) ?? -1
          const segment = words.word(place.segment)
          this.#note(whose, site, words.pair(fact, segment), this.#self, this.#other)
          for (const prefix of place.prefixes) {
            const land = lands.of(prefix)
            if (land.site !== site) this.#keep(whose, land.site, site)
            this.#note(whose, site, words.pair(fact, segment), this.#self, land.part)
          }
        }
      }
      places(0, expect.from)
      places(1, expect.to)
    }
  }

  /** Shapes of their own. */
  #keep(...sites: readonly number[]): void {
    for (const site of sites) if (site >= 0) this.#single.add(site)
  }
  /** Of entries with one key the last counts, which is no property of the set: whoever has two keeps a shape of its own. */
  #keepTwins<T>(at: number, of: readonly T[], keyOf: (one: T) => string, siteOf: (one: T) => number): void {
    const keys = new Set<string>()
    for (const one of of) {
      const key = keyOf(one)
      if (keys.has(key)) this.#keep(at, siteOf(one))
      keys.add(key)
    }
  }

  /** By colour refinement: sites of one shape, in order. */
  shapes(): readonly (readonly number[])[] {
    if (this.#namesMislead) return []
    const count = this.#alone.length
    const together = this.#together.map((facts) => Float64Array.from(facts).sort())
    let shape = partition(count, (site) => (this.#single.has(site) ? `only ${site}` : Float64Array.from(this.#alone[site]!).sort().join()))
    for (let round = 0; ; round++) {
      const { of, sizes } = shape
      const unequal = new Set<number>()
      const profiles = together.map((facts, site) => {
        const seen: string[] = []
        for (let from = 0; from < facts.length; ) {
          const fact = Math.floor(facts[from]! / sites)
          const counts = new Map<number, number>()
          let before = -1
          for (; from < facts.length && Math.floor(facts[from]! / sites) === fact; from++) {
            const other = facts[from]! % sites
            // A fact that stands twice is one.
            if (other === before) continue
            before = other
            const theirs = of[other]!
            counts.set(theirs, (counts.get(theirs) ?? 0) + 1)
          }
          for (const [theirs, met] of counts) {
            if (met !== sizes[theirs]! - (of[site] === theirs ? 1 : 0)) unequal.add(site)
            seen.push(`${fact}/${theirs}/${met}`)
          }
        }
        return seen.sort().join()
      })
      const finer = partition(count, (site) => `${of[site]} ${profiles[site]}`)
      const settled = finer.sizes.length === sizes.length
      if (settled && unequal.size === 0) break
      // Neither all nor none, and nothing tells them apart: pairs, rings. They are proven one by one.
      shape = settled || round >= 8 ? partition(count, (site) => (unequal.has(site) ? `only ${site}` : `${finer.of[site]}`)) : finer
    }
    const members = shape.sizes.map((): number[] => [])
    for (let site = 0; site < count; site++) members[shape.of[site]!]!.push(site)
    return members
  }
}

interface Partition {
  readonly of: readonly number[]
  readonly sizes: readonly number[]
}
function partition(count: number, keyOf: (site: number) => string): Partition {
  const numbers = new Map<string, number>()
  const sizes: number[] = []
  const of = Array.from({ length: count }, (_, site) => {
    const key = keyOf(site)
    const number = numbers.get(key) ?? numbers.size
    numbers.set(key, number)
    sizes[number] = (sizes[number] ?? 0) + 1
    return number
  })
  return { of, sizes }
}

const nameOf = ({ ends: [near, far] }: Tunnel): TunnelId =>
  'site' in far ? tunnelId(near, far) : ipsecTunnelId(near.site, near.uplink, 'region' in far ? far.region : far.peer, far.member)
/** How often a key came before. */
function counter(): (key: string) => number {
  const counts = new Map<string, number>()
  return (key) => {
    const before = counts.get(key) ?? 0
    counts.set(key, before + 1)
    return before
  }
}
/** A tunnel without its sites. */
function lineOf({ kind, role, ends: [near, far] }: Tunnel): string {
  return `${kind} ${role} ${near.uplink} ${'site' in far ? far.uplink : `${far.connection} ${far.member}`}`
}
/** What an expectation asks, without its places. */
function askedText(expect: Expect): string {
  if (expect.kind === 'isolate') return ''
  if (expect.kind === 'internet') return `internet ${expect.reachable} ${expect.survives.join()}`
  const asked = `${expect.ports.map(formatPortRange).join()} ${expect.mode} ${expect.survives.join()}`
  return expect.kind === 'reach' ? asked : `path ${asked} ${JSON.stringify({ ...expect, id: '', text: '', from: [], to: [], ports: [] })}`
}
/** All of a site that proofs read and that names nobody exchangeable. What its lines are is read by expectations of ways alone. */
const describe = (site: Site, part: (prefix: Prefix) => number, ways: boolean): string =>
  JSON.stringify([
    site.role,
    site.hubs,
    site.uplinks.map(({ id, medium, transport, tags, metered, up, down }) => (ways ? [id, medium, transport, tags, metered, up, down] : id)),
    site.lans.map((lan) => [
      lan.segment,
      part(lan.prefix),
      rangeOf(lan.prefix).family,
      lan.internet,
      lan.local,
      lan.trust,
      // With which others it is one LAN.
      ...(lan.via === undefined ? [] : [site.lans.findIndex((other) => other.via === undefined && isSameLan(lan, other))]),
    ]),
    site.exits?.map((id) => [id, site.uplinks.flatMap((uplink) => (uplink.id === id ? familiesOf(uplink.endpoint) : []))]),
    site.exitHub,
  ])

/** The Fabric without some sites and every fact that names one. `ownerOf` knows who has a prefix that is no whole LAN. */
export function without(fabric: Fabric, dropped: ReadonlySet<NodeId>, ownerOf: (prefix: Prefix) => NodeId | undefined): Fabric {
  const kept = (id: NodeId | undefined): boolean => id === undefined || !dropped.has(id)
  const gone = new Set<Prefix>()
  for (const { id, lans } of fabric.sites) if (dropped.has(id)) for (const lan of lans) gone.add(lan.prefix)
  const inKept = (prefix: Prefix): boolean => !gone.has(prefix) && kept(ownerOf(prefix))
  const part = <R extends Deny>(rules: readonly R[]): readonly R[] =>
    rules.flatMap((rule) => {
      const from = rule.from.prefixes.filter(inKept)
      const to = rule.to.prefixes.filter(inKept)
      return from.length === 0 || to.length === 0 ? [] : [{ ...rule, from: { ...rule.from, prefixes: from }, to: { ...rule.to, prefixes: to } }]
    })
  const table = <T extends Site | Region | Peer>(node: T): T => ({
    ...node,
    routes: node.routes.filter((route) => kept(route.remote) && inKept(route.to)),
    groups: node.groups.flatMap((group) => {
      const remotes = group.remotes.filter(kept)
      return remotes.length === 0 ? [] : [{ ...group, remotes }]
    }),
    transits: node.transits.flatMap((transit) => {
      const [a, b] = [transit.a.filter(inKept), transit.b.filter(inKept)]
      return a.length === 0 || b.length === 0 ? [] : [{ ...transit, a, b }]
    }),
    rules: part(node.rules),
    ...(node.denies ? { denies: part(node.denies) } : {}),
    ...(node.kind === 'site' && node.exitsFor ? { exitsFor: node.exitsFor.filter(inKept) } : {}),
  })
  const tunnels = fabric.tunnels.filter((tunnel) => tunnel.ends.every((end) => kept(nodeOf(end))))
  return {
    ...fabric,
    sites: fabric.sites.filter((site) => kept(site.id)).map(table),
    regions: fabric.regions.map(table),
    peers: fabric.peers.map(table),
    tunnels,
    risks: fabric.risks.map((risk) => ({ ...risk, uplinks: risk.uplinks.filter(({ site }) => kept(site)) })),
    expects: fabric.expects.flatMap((expect): Expect[] => {
      const from = expect.from.filter((place) => kept(place.node))
      if (expect.kind === 'internet') return from.length === 0 ? [] : [{ ...expect, from }]
      const to = expect.to.filter((place) => kept(place.node))
      return from.length === 0 || to.length === 0 ? [] : [{ ...expect, from, to }]
    }),
  }
}
