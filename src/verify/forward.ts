/**
 * What happens to packets at each node, hop by hop: the one place where the meaning of a Fabric is written down. The
 * proof follows whole sets through it, `walk` a single packet, so both can't disagree.
 *
 * Packets have their addresses in the overlay, also where hosts of a translated LAN call themselves something else: the
 * owner translates host for host, so a name here is one host there and back. What it can't tell apart is `shadow`: to its
 * hosts an address of their own LAN is a neighbour, and nobody may come through a tunnel with one.
 *
 * Order at a node, as its kernel does it: who sent it (AllowedIPs, RFC-2827-style anti-spoofing at LANs) → own LANs
 * before overlay routes (`lookup main suppress_prefixlength 0` stands before the class tables) → longest match → what is
 * outside the pool leaves to the internet, where its LAN may, by an uplink of its family → owner:
 * stateful, a deny before every allow; transit: stateless prefix pair → the group of (remote, class, arrived on mesh or not, family) → one
 * of its hops.
 */
import type { ClassId, Group, Hop, Lan, NodeId, Rule, Tunnel, TunnelId, UplinkId } from '#src/fabric/fabric.ts'
import { nodeOf } from '#src/fabric/ids.ts'
import { carries } from '#src/fabric/ipsec.ts'
import { isSameLan } from '#src/fabric/lans.ts'
import { nodesOf } from '#src/fabric/slice.ts'
import { type Answer, lookup, match, type Model, type Node, one } from './model.ts'
import { type Packet, type Packets, packetsOfOne } from './packets.ts'

/** How packets come to a node. `from` is the previous node. */
export type Arrival = { readonly kind: 'lan' } | { readonly kind: 'tunnel'; readonly tunnel: Tunnel; readonly from: NodeId }
export type Direction =
  /** Opens a connection: owners ask their rules. */
  | 'request'
  /** Belongs to an open one: owners pass it by state. */
  | 'reply'
export type Drop =
  /** No allow at the owner of the source, or of the destination. */
  | 'policy'
  /** A deny at one of them. */
  | 'denied'
  /** The source isn't behind the LAN or peer that it came from. */
  | 'spoofed'
  /** A translated LAN of this node has hosts with that very address, or with the sender's. */
  | 'shadowed'
  | 'no-route'
  /** No prefix pair at a node that only carries. */
  | 'transit'
  /** No group for the class: its table has no route. */
  | 'no-group'
  /** The group has no hop at all: every path is one that the class never uses. */
  | 'no-hop'
  /** Every hop of the group is down. */
  | 'all-down'
  /** The peer would not accept the destination (WireGuard's AllowedIPs on the sending side, the family of a cloud's tunnel). */
  | 'peer'
  /** The return route of a cloud or peer still leads into a connection that is down. */
  | 'unmoved'
  /** The node itself has failed. */
  | 'dead'
  | 'loop'
export type Decision =
  | { readonly kind: 'deliver'; readonly lan: Lan; readonly rule: Rule | null }
  | { readonly kind: 'forward'; readonly group: Group }
  /** Leaves to the internet, behind the address of one of these uplinks. */
  | { readonly kind: 'exit'; readonly uplinks: readonly UplinkId[] }
  | Dropped
export interface Dropped {
  readonly kind: 'drop'
  readonly why: Drop
  /** The id of the deny, if one did it. */
  readonly by?: string
}

/** Its marks would not be trusted: whatever comes from a cloud or peer is of the default class on its way. */
const classFrom = (node: Node, trafficClass: ClassId): ClassId => (node.of.kind !== 'site' ? ('default' as ClassId) : trafficClass)

/**
 * The classes that packets from a LAN may have, of a rule that gives `given`: where that is `default`, a LAN that is trusted
 * lets its hosts choose by their DSCP. There and back each end's own LAN says.
 */
export const classesFrom = (model: Model, lan: Lan | undefined, given: ClassId): readonly ClassId[] =>
  lan?.trust === 'dscp' && given === 'default' ? model.fabric.classes.map(({ id }) => id) : [given]

/** `packets` as they leave the LANs of `node`, each piece with the classes that it may have. */
export function marked(
  model: Model,
  node: Node,
  packets: Packets,
  given: ClassId,
): readonly { readonly packets: Packets; readonly classes: readonly ClassId[] }[] {
  if (given !== 'default' || !node.of.lans.some((lan) => lan.trust)) return [{ packets, classes: [given] }]
  const source = lookup(node.lans, packets, 'source')
  return source.kind === 'split'
    ? source.pieces.flatMap((piece) => marked(model, node, piece, given))
    : [{ packets, classes: classesFrom(model, source.value, given) }]
}

const drop = (why: Drop): Answer<Decision> => one({ kind: 'drop', why })

/** What `node` does with all of `packets`, or the pieces that it treats differently. `admitted`: the caller asked the source's rules. */
export function decide(
  model: Model,
  node: Node,
  arrival: Arrival,
  packets: Packets,
  trafficClass: ClassId,
  direction: Direction,
  admitted: boolean,
): Answer<Decision> {
  const claimed = arrival.kind === 'lan' ? node : sourceGuard(model, node, arrival)
  if (claimed) {
    const source = lookup(claimed.lans, packets, 'source')
    if (source.kind === 'split') return source
    if (source.value === undefined) return drop('spoofed')
  }
  for (const axis of arrival.kind === 'lan' ? (['destination'] as const) : (['source', 'destination'] as const)) {
    if (node.shadow[packets.family].length === 0) break
    const shadow = lookup(node.shadow, packets, axis)
    if (shadow.kind === 'split') return shadow
    if (shadow.value) return drop('shadowed')
  }
  const lan = lookup(node.lans, packets, 'destination')
  if (lan.kind === 'split') return lan
  const exit = lan.value === undefined ? leaves(node, arrival, packets) : one(null)
  if (exit.kind === 'split') return exit
  if (exit.value === 'here') return one({ kind: 'exit', uplinks: node.breakout!.uplinks[packets.family] })
  if (exit.value === 'hub') {
    // What leaves is of the default class, and the next hub on the way is as good an exit as the home hub.
    const group = node.group({ remote: node.breakout!.hub!, trafficClass: 'default' as ClassId, arrived: 'anywhere', family: packets.family })
    if (!group) return drop('no-group')
    return group.via.length === 0 ? drop('no-hop') : one({ kind: 'forward', group })
  }
  const ask = direction === 'request' && !admitted && (arrival.kind === 'lan' || lan.value !== undefined)
  let rule: Rule | null = null
  if (ask) {
    const denies = match(node.denies, packets)
    if (denies.kind === 'split') return denies
    if (denies.value.length > 0) return one({ kind: 'drop', why: 'denied', by: denies.value[0]!.id })
    const rules = match(node.rules, packets)
    if (rules.kind === 'split') return rules
    if (rules.value.length === 0) return drop('policy')
    rule = rules.value[0]!
  }
  if (lan.value !== undefined) return one({ kind: 'deliver', lan: lan.value, rule })

  const route = lookup(node.routes, packets, 'destination')
  if (route.kind === 'split') return route
  if (route.value === undefined) return drop('no-route')
  if (arrival.kind === 'tunnel') {
    const transits = match(node.transits, packets)
    if (transits.kind === 'split') return transits
    if (transits.value.length === 0) return drop('transit')
  }
  const arrived = arrival.kind === 'tunnel' && arrival.tunnel.role === 'mesh' ? 'mesh' : 'anywhere'
  const group = node.group({ remote: route.value.remote, trafficClass, arrived, family: packets.family })
  if (!group) return drop('no-group')
  return group.via.length === 0 ? drop('no-hop') : one({ kind: 'forward', group })
}

/**
 * Whether packets go to the internet: they are for nobody in the network, and come from a LAN that may leave, or from that
 * of a spoke, over a tunnel of its own and not over the mesh.
 */
function leaves(node: Node, arrival: Arrival, packets: Packets): Answer<'here' | 'hub' | null> {
  if (!node.breakout || (arrival.kind === 'tunnel' && arrival.tunnel.role !== 'spoke')) return one(null)
  const source = arrival.kind === 'lan' ? lookup(node.lans, packets, 'source') : lookup(node.breakout.guests, packets, 'source')
  if (source.kind === 'split') return source
  const way = typeof source.value === 'object' ? source.value.internet : source.value && 'local'
  if (way === undefined) return one(null)
  const inside = lookup(node.breakout.pool, packets, 'destination')
  return inside.kind === 'split' ? inside : one(inside.value === undefined ? (way === 'local' ? 'here' : 'hub') : null)
}

/** A hub's peer for an edge accepts that edge's own LANs only, a tunnel of IPsec what is behind its far end; others accept all. */
function sourceGuard(model: Model, node: Node, arrival: Extract<Arrival, { kind: 'tunnel' }>): Node | undefined {
  const { tunnel } = arrival
  const guarded = tunnel.kind === 'ipsec' ? tunnel.ends[0].site === node.id : tunnel.role === 'spoke' && tunnel.ends[1].site === node.id
  return guarded ? model.node(arrival.from) : undefined
}
/** Sending over a hub's multi-peer interface, the destination picks the peer: it must be behind that edge. */
function destinationGuard(model: Model, node: Node, tunnel: Tunnel): Node | undefined {
  return tunnel.kind === 'wireguard' && tunnel.role === 'spoke' && tunnel.ends[1].site === node.id ? model.node(tunnel.ends[0].site) : undefined
}

export type Next = { readonly kind: 'to'; readonly node: Node; readonly arrival: Arrival } | { readonly kind: 'drop'; readonly why: Drop }
/** Where `hop` takes the packets. A tunnel that one end doesn't have is down. */
export function follow(model: Model, node: Node, hop: Hop, packets: Packets): Answer<Next> {
  const tunnel = model.tunnel(hop.tunnel)
  const next = model.node(hop.next)
  if (!tunnel || !next || !joins(tunnel, node.id, next.id)) return one({ kind: 'drop', why: 'all-down' })
  if (!carries(tunnel, packets.family)) return one({ kind: 'drop', why: 'peer' })
  const guard = destinationGuard(model, node, tunnel)
  if (guard) {
    const behind = lookup(guard.lans, packets, 'destination')
    if (behind.kind === 'split') return behind
    if (behind.value === undefined) return one({ kind: 'drop', why: 'peer' })
  }
  return one({ kind: 'to', node: next, arrival: { kind: 'tunnel', tunnel, from: node.id } })
}
const joins = ({ ends }: Tunnel, a: NodeId, b: NodeId): boolean =>
  (nodeOf(ends[0]) === a && nodeOf(ends[1]) === b) || (nodeOf(ends[0]) === b && nodeOf(ends[1]) === a)

// ── Sets: a graph of everything that can happen, then asked under each failure ──

/** A node in the way of packets that are treated alike everywhere; edges are all hops that run time could choose. */
export interface Vertex {
  readonly node: NodeId
  readonly arrival: Arrival
  readonly decision: Decision
  readonly edges: readonly Edge[]
  /** A region or peer: its choice moves when it is told to or has noticed, and not with ours. */
  readonly external: boolean
}
export interface Edge {
  readonly hop: Hop
  readonly to: Vertex | { readonly why: Drop }
}
export interface Course {
  readonly packets: Packets
  readonly entry: Vertex
}

/**
 * Follows `packets` from the LAN at `from` through every hop of every group, and cuts them into the fewest pieces that
 * are treated alike all the way. Exact: the pieces are disjoint and together are `packets`.
 */
export function courses(model: Model, from: Node, packets: Packets, trafficClass: ClassId, direction: Direction): readonly Course[] {
  const done: Course[] = []
  const todo = [packets]
  for (let piece = todo.pop(); piece; piece = todo.pop()) {
    const entry = explore(model, from, { kind: 'lan' }, piece, classFrom(from, trafficClass), direction, direction === 'request', new Map())
    if (entry.kind === 'split') todo.push(...[...entry.pieces].reverse())
    else done.push({ packets: piece, entry: entry.value })
  }
  return done
}

function explore(
  model: Model,
  node: Node,
  arrival: Arrival,
  packets: Packets,
  trafficClass: ClassId,
  direction: Direction,
  admitted: boolean,
  known: Map<string, Vertex>,
): Answer<Vertex> {
  const key = arrival.kind === 'lan' ? node.id : `${node.id} ${arrival.tunnel.role} ${arrival.from}`
  const seen = known.get(key)
  if (seen) return one(seen)
  const decision = decide(model, node, arrival, packets, trafficClass, direction, admitted)
  if (decision.kind === 'split') return decision
  const edges: Edge[] = []
  const vertex: Vertex = { node: node.id, arrival, decision: decision.value, edges, external: node.of.kind !== 'site' }
  known.set(key, vertex)
  if (decision.value.kind !== 'forward') return one(vertex)
  for (const hop of decision.value.group.via) {
    const next = follow(model, node, hop, packets)
    if (next.kind === 'split') return next
    if (next.value.kind === 'drop') {
      edges.push({ hop, to: { why: next.value.why } })
      continue
    }
    const to = explore(model, next.value.node, next.value.arrival, packets, trafficClass, direction, false, known)
    if (to.kind === 'split') return to
    edges.push({ hop, to: to.value })
  }
  return one(vertex)
}

export type Down = (tunnel: TunnelId) => boolean
/**
 * `settled`: traffic has moved to the first stage that works. `held`: it may still wait out `returnAfter` on a later one.
 * `unmoved`: and a cloud or peer may still send where it sent before the failure, a matter of seconds.
 */
export type Patience = 'settled' | 'held' | 'unmoved'

/** The edges that run time may choose when the tunnels of `down` are down. Asked once a vertex for each failure: loops. */
export function choices(vertex: Vertex, down: Down, patience: Patience): readonly Edge[] {
  const alive: Edge[] = []
  for (const edge of vertex.edges) if (!missing(edge) && !down(edge.hop.tunnel)) alive.push(edge)
  const first = firstStage(alive)
  const chosen: Edge[] = []
  for (const edge of alive) if (edge.hop.stage === first || (patience !== 'settled' && edge.hop.returnAfter > 0)) chosen.push(edge)
  if (!vertex.external || patience !== 'unmoved') return chosen
  const known = vertex.edges.filter((edge) => !missing(edge))
  const before = firstStage(known)
  return [...chosen, ...known.filter(({ hop }) => hop.stage === before && down(hop.tunnel))]
}
function firstStage(edges: readonly Edge[]): number {
  let first = Number.POSITIVE_INFINITY
  for (const { hop } of edges) if (hop.stage < first) first = hop.stage
  return first
}
const missing = ({ to }: Edge): boolean => 'why' in to && to.why === 'all-down'

/** Where packets stop, and the hops that brought them there. */
export interface Stop {
  readonly node: NodeId
  readonly why: Drop
  readonly path: readonly Hop[]
  readonly vertex: Vertex
}
/**
 * Delivered whatever run time chooses? null, or the first choice that loses them. `leads`: of what leaves to the internet,
 * whether it may and by which of these exits; by default what left is lost.
 */
export function firstStop(entry: Vertex, down: Down, patience: Patience, leads: (vertex: Vertex) => boolean = () => false): Stop | null {
  const path: Hop[] = []
  // A handful: an edge, its hubs, the far end.
  const open: Vertex[] = []
  const good: Vertex[] = []
  const stop = (vertex: Vertex, why: Drop): Stop => ({ node: vertex.node, why, path: [...path], vertex })
  const visit = (vertex: Vertex): Stop | null => {
    if (vertex.decision.kind === 'deliver' || good.includes(vertex)) return null
    if (open.includes(vertex)) return stop(vertex, 'loop')
    if (vertex.decision.kind === 'drop') return stop(vertex, vertex.decision.why)
    if (vertex.decision.kind === 'exit') return leads(vertex) ? null : stop(vertex, 'no-route')
    const next = choices(vertex, down, patience)
    if (next.length === 0) return stop(vertex, 'all-down')
    open.push(vertex)
    for (const edge of next) {
      if (vertex.external && down(edge.hop.tunnel)) return stop(vertex, 'unmoved')
      if ('why' in edge.to) return stop(vertex, edge.to.why)
      path.push(edge.hop)
      const lost = visit(edge.to)
      if (lost) return lost
      path.pop()
    }
    open.pop()
    good.push(vertex)
    return null
  }
  return visit(entry)
}

export interface Delivery {
  readonly packets: Packets
  readonly path: readonly Hop[]
  readonly at: NodeId
}
/**
 * A way on which some of `packets`, admitted at `from`, are delivered over any hops in any state; null if there is none.
 * No failure has to be tried: what fails only takes hops away. With several models each node may run any of them, which
 * is every moment of a change.
 */
export function anyDelivery(models: readonly Model[], from: NodeId, packets: Packets, given: ClassId): Delivery | null {
  const entry = first(models, (model) => model.node(from) ?? null)
  const trafficClass = entry ? classFrom(entry, given) : given
  const visit = (
    id: NodeId,
    arrivalIn: (model: Model) => Arrival | undefined,
    piece: Packets,
    path: readonly Hop[],
    passed: ReadonlySet<string>,
  ): Delivery | null => {
    const key = `${id} ${path.at(-1)?.tunnel ?? ''}`
    if (passed.has(key)) return null
    const open = new Set(passed).add(key)
    for (const model of models) {
      const node = model.node(id)
      const arrival = arrivalIn(model)
      if (!node || !arrival) continue
      const again = (pieces: readonly Packets[]): Delivery | null => first(pieces, (part) => visit(id, arrivalIn, part, path, passed))
      const decision = decide(model, node, arrival, piece, trafficClass, 'request', arrival.kind === 'lan')
      if (decision.kind === 'split') return again(decision.pieces)
      if (decision.value.kind === 'deliver') return { packets: piece, path, at: id }
      if (decision.value.kind !== 'forward') continue
      for (const hop of representatives(model, id, decision.value.group)) {
        const next = follow(model, node, hop, piece)
        if (next.kind === 'split') return again(next.pieces)
        if (next.value.kind === 'drop') continue
        const delivered = visit(hop.next, (there) => arrivalOver(there, hop, id), piece, [...path, hop], open)
        if (delivered) return delivered
      }
    }
    return null
  }
  return visit(from, () => ({ kind: 'lan' }), packets, [], new Set())
}
const arrivalOver = (model: Model, hop: Hop, from: NodeId): Arrival | undefined => {
  const tunnel = model.tunnel(hop.tunnel)
  return tunnel && { kind: 'tunnel', tunnel, from }
}
/** All tunnels of one role to one node lead to the same place: the first of each that joins the two. */
function representatives(model: Model, at: NodeId, group: Group): readonly Hop[] {
  const seen = new Set<string>()
  return group.via.filter((hop) => {
    const tunnel = model.tunnel(hop.tunnel)
    const key = `${hop.next} ${tunnel?.role ?? ''}`
    return tunnel && joins(tunnel, at, hop.next) && !seen.has(key) ? seen.add(key) : false
  })
}
function first<T, R>(of: readonly T[], find: (one: T) => R | null): R | null {
  for (const each of of) {
    const found = find(each)
    if (found !== null) return found
  }
  return null
}

/** Every tunnel that some choice could use. */
export function tunnelsOf(entry: Vertex, into: Set<TunnelId>): void {
  const seen = new Set<Vertex>()
  const visit = (vertex: Vertex): void => {
    if (seen.has(vertex)) return
    seen.add(vertex)
    for (const edge of vertex.edges) {
      into.add(edge.hop.tunnel)
      if (!('why' in edge.to)) visit(edge.to)
    }
  }
  visit(entry)
}

// ── One packet ──

export interface WalkHop {
  readonly node: NodeId
  readonly hop: Hop
  readonly next: NodeId
}
export interface Walk {
  readonly hops: readonly WalkHop[]
  readonly outcome:
    | { readonly kind: 'delivered'; readonly at: NodeId; readonly lan: Lan; readonly trafficClass: ClassId; readonly rules: readonly string[] }
    /** Left to the internet over the first of these uplinks that leads out. */
    | { readonly kind: 'left'; readonly at: NodeId; readonly uplinks: readonly UplinkId[]; readonly trafficClass: ClassId }
    /** `at` is null when the source belongs to no LAN. */
    | {
        readonly kind: 'dropped'
        readonly at: NodeId | null
        readonly why: Drop
        /** The id of the deny, if one did it. */
        readonly by?: string
        readonly trafficClass: ClassId | null
      }
}
export interface WalkOptions {
  /** The node at whose LAN the packet enters; default: the owner of its source. */
  readonly from?: NodeId
  readonly direction?: Direction
  /** Default: the class of the first rule at the source's owner that allows it. A reply needs it. */
  readonly trafficClass?: ClassId
  /** Which hop a group uses; default: the cheapest that is not down in the first stage that has one. */
  readonly choose?: (node: NodeId, group: Group, down: Down) => number | 'unreachable'
}

export function cheapestUp(_node: NodeId, group: Group, down: Down): number | 'unreachable' {
  let best: number | undefined
  for (const [i, hop] of group.via.entries()) {
    if (down(hop.tunnel)) continue
    const than = best === undefined ? undefined : group.via[best]!
    if (!than || hop.stage < than.stage || (hop.stage === than.stage && hop.cost < than.cost)) best = i
  }
  return best ?? 'unreachable'
}

/** Follows one packet. `down` says which tunnels are down now. */
export function walk(model: Model, packet: Packet, down: Down, options: WalkOptions = {}): Walk {
  const packets = packetsOfOne(packet)
  const direction = options.direction ?? 'request'
  const choose = options.choose ?? cheapestUp
  const hops: WalkHop[] = []
  const from = options.from ?? ownerOf(model, packets)
  const start = from === undefined ? undefined : model.node(from)
  if (!start) return { hops, outcome: { kind: 'dropped', at: from ?? null, why: 'spoofed', trafficClass: null } }
  let node: Node = start

  const rules: string[] = []
  let trafficClass = options.trafficClass
  const [near, far] = [ask(lookup(node.lans, packets, 'source')), ask(lookup(node.lans, packets, 'destination'))]
  // What comes to the gateway all the same, as to the router to which it is a next hop, it hands on and asks nobody.
  if (near && far && near !== far && isSameLan(near, far)) {
    trafficClass ??= ask(match(node.rules, packets))[0]?.trafficClass ?? ('default' as ClassId)
    return { hops, outcome: { kind: 'delivered', at: node.id, lan: far, trafficClass, rules } }
  }
  if (direction === 'request') {
    if (near === undefined) return { hops, outcome: { kind: 'dropped', at: node.id, why: 'spoofed', trafficClass: null } }
    const leaving = far === undefined && ask(leaves(node, { kind: 'lan' }, packets)) !== null
    if (leaving) trafficClass = 'default' as ClassId
    else {
      const [denied] = ask(match(node.denies, packets))
      if (denied) return { hops, outcome: { kind: 'dropped', at: node.id, why: 'denied', by: denied.id, trafficClass: null } }
      const admitted = ask(match(node.rules, packets))
      const first = admitted[0]
      if (!first) return { hops, outcome: { kind: 'dropped', at: node.id, why: 'policy', trafficClass: null } }
      rules.push(first.id)
      trafficClass ??= first.trafficClass
    }
  }
  const given = trafficClass ?? ('default' as ClassId)
  const used = classFrom(node, given)
  let arrival: Arrival = { kind: 'lan' }
  const visited = new Set<string>()
  for (;;) {
    const dropped = (why: Drop, by?: string): Walk => ({
      hops,
      outcome: { kind: 'dropped', at: node.id, why, ...(by === undefined ? {} : { by }), trafficClass: given },
    })
    const key = `${node.id} ${arrival.kind === 'lan' ? '' : `${arrival.tunnel.role} ${arrival.from}`}`
    if (visited.has(key)) return dropped('loop')
    visited.add(key)
    const decision: Decision = ask(decide(model, node, arrival, packets, used, direction, arrival.kind === 'lan' && direction === 'request'))
    if (decision.kind === 'exit') return { hops, outcome: { kind: 'left', at: node.id, uplinks: decision.uplinks, trafficClass: given } }
    if (decision.kind === 'drop') return dropped(decision.why, decision.by)
    if (decision.kind === 'deliver') {
      if (decision.rule) rules.push(decision.rule.id)
      return { hops, outcome: { kind: 'delivered', at: node.id, lan: decision.lan, trafficClass: given, rules } }
    }
    const index = choose(node.id, decision.group, down)
    const hop: Hop | undefined = index === 'unreachable' ? undefined : decision.group.via[index]
    if (!hop || down(hop.tunnel)) return dropped('all-down')
    const next: Next = ask(follow(model, node, hop, packets))
    if (next.kind === 'drop') return dropped(next.why)
    hops.push({ node: node.id, hop, next: next.node.id })
    node = next.node
    arrival = next.arrival
  }
}

/** The node whose LAN holds the source of all of `packets`. */
export const ownerOf = (model: Model, packets: Packets): NodeId | undefined =>
  nodesOf(model.fabric).find(({ id }) => ask(lookup(model.node(id)!.lans, packets, 'source')) !== undefined)?.id

/** A single packet is never split. */
function ask<T>(answer: Answer<T>): T {
  if (answer.kind === 'split') throw new Error('one packet was cut in two')
  return answer.value
}
