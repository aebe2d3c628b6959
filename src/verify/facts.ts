/** All that Fabrics say about each site, alone and with one other, and which sites have the same said of them (shapes.ts). */
import type { Expect, Fabric, NodeId, Peer, Place, Region, Route, SharedGroup, Site, Tunnel, TunnelId } from '#src/fabric/fabric.ts'
import { anyRemote, groupKey, thisNode } from '#src/fabric/groups.ts'
import { carries } from '#src/fabric/ipsec.ts'
import { ipsecTunnelId, isSecondGateway, nodeOf, siteOfGateway, tunnelId } from '#src/fabric/ids.ts'
import { isSameLan } from '#src/fabric/lans.ts'
import { nodesOf } from '#src/fabric/slice.ts'
import { familiesOf } from '#src/fabric/uplinks.ts'
import { type Prefix, rangeOf } from '#src/net/address.ts'
import { formatPortRange } from '#src/net/ports.ts'
import type { Lands, Words } from './lands.ts'
import { callerOf } from './words.ts'

/** Sites that can be told apart in a number beside a fact. */
const sites = 2 ** 22

interface Line {
  readonly word: number
  readonly ends: readonly [NodeId, NodeId]
}
export class Facts {
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

    const routes = (of: readonly Route[], at: number, here: number): void => {
      const said = kind('route')
      for (const route of of) {
        const to = lands.of(route.to)
        const remote = index(route.remote)
        if (remote >= 0 && remote !== to.site) this.#keep(at, to.site, remote)
        this.#note(at, to.site, words.pair(said, named(route.remote)), here, to.part)
      }
      this.#keepTwins(
        at,
        of,
        (route) => route.to,
        (route) => lands.of(route.to).site,
      )
    }
    // Whichever hub has them.
    routes(fabric.routes ?? [], -1, words.word('hubs'))

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
      if (node.routes) routes(node.routes, at, here)

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
  #groups(node: Site | Region | Peer, at: number, here: number, kind: number, tunnels: Map<TunnelId, Line>): void {
    const words = this.#words
    const indexOf = (id: NodeId): number => this.#lands.indexOf.get(id) ?? -1
    // Its ends follow from a tunnel's name, so that what it is at each node and for each remote need not be looked up.
    const byName = (tunnel: TunnelId): Line => {
      const [near, far] = tunnel.split('--').map((end) => end.slice(0, end.lastIndexOf('.')) as NodeId)
      const line: Line = { word: words.word(`over ${tunnel}`), ends: [near!, far ?? near!] }
      tunnels.set(tunnel, line)
      return line
    }
    const viaOf = ({ via, remotes }: SharedGroup): number => {
      const part = (id: NodeId): number => {
        if (id === node.id || id === thisNode) return this.#self
        if (id === anyRemote || (remotes.length === 1 && id === remotes[0])) return this.#other
        this.#keep(indexOf(id))
        return words.word(id)
      }
      let said = words.word('via')
      for (const { tunnel, next, stage, cost, returnAfter } of via) {
        const line = tunnels.get(tunnel) ?? byName(tunnel)
        const over = words.pair(words.pair(line.word, part(line.ends[0])), part(line.ends[1]))
        said = words.pair(words.pair(said, over), words.pair(part(next), words.pair(words.pair(stage, cost), returnAfter)))
      }
      return said
    }
    const lists = new Map<readonly NodeId[], number>()
    for (const group of node.groups) {
      const role = words.pair(words.word(group.trafficClass), words.word(`${group.arrived}${group.family ?? ''}`))
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
      const all = node.groups.flatMap((group) => group.remotes.map((remote) => ({ remote, key: groupKey({ ...group, remote }) })))
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
  'site' in far ? tunnelId(near, far) : ipsecTunnelId(far.connection, 'region' in far ? far.region : far.peer, far.member)
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
function lineOf(tunnel: Tunnel): string {
  const {
    kind,
    role,
    ends: [near, far],
  } = tunnel
  const carried = ([4, 6] as const).filter((family) => carries(tunnel, family))
  return `${kind} ${role} ${near.uplink} ${'site' in far ? far.uplink : `${far.connection} ${far.member} ${carried.join()}`}`
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
