/**
 * Sites that differ in nothing but their names: what is proven for one of them holds for all.
 *
 * A Fabric is a set of facts: a tunnel, a route, a group, one prefix of a rule, one pair of a transit, one place of an
 * expectation. Exchanging two sites renames them in every fact: their ids, their tunnels, and their LANs address by
 * address. If that gives the same set of facts again, whatever was asked about the one has the same answer for the
 * other, for forwarding reads nothing but facts: the exchange is an automorphism.
 *
 * Sites have one shape when any two of them may be exchanged. That holds when
 * - facts that name only one of them are the same for each, up to its name (`alone` in facts.ts), and
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
import type { Expect, Fabric, NodeId } from '#src/fabric/fabric.ts'
import type { Prefix } from '#src/net/address.ts'
import { Facts } from './facts.ts'
import { Lands } from './lands.ts'
import { without } from './without.ts'
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
