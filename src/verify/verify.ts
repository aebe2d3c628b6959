/** Proves a Fabric before anything is touched: structure, then every expectation, with everything up and after each failure. */
import type { Expect, Fabric, Finding, NodeId } from '#src/fabric/fabric.ts'
import { nodesOf } from '#src/fabric/slice.ts'
import { overlaps, type Prefix } from '#src/net/address.ts'
import { type Capacity, proveCapacity } from './capacity.ts'
import { proveIsolate } from './isolate.ts'
import { type Asked, proveReach, type Verdict } from './reach.ts'
import { proveInternet } from './internet.ts'
import { provePath } from './ways.ts'
import { type Breaks, breaksOf, countFailures } from './failures.ts'
import { type Model, modelOf } from './model.ts'
import { eachItself, type Shapes, shapesOf } from './shapes.ts'
import { countStructure, tables, wiring } from './structure.ts'
import { lanOwners, type Touched, touchedSites } from './touched.ts'
import { duringChange } from './transition.ts'
import { without } from './without.ts'

export interface Proof {
  readonly expects: number
  readonly held: number
  /** Single failures of the network: uplinks, tunnels, hubs, connections to clouds, shared risks. */
  readonly failures: number
  /** Questions answered, those included that a site of the same shape answered. */
  readonly checks: number
}
export interface Verification {
  readonly findings: readonly Finding[]
  readonly proof: Proof
}

/** Held = no error among the findings of that expectation. Any error means: not to be pushed. */
export const verify = (fabric: Fabric, shapes: Shapes = shapesOf([fabric])): Verification => prove(fabric, shapes).verification

/**
 * `verify` for one Fabric after the other. It remembers the last, and after an edit of a few sites asks again only what
 * names them: the answers are those of `verify`, which a test compares. Made for a compiler that keeps what did not
 * change as the same objects; from another the difference is found by content, and takes longer.
 */
export function createVerifier(smallest?: number): (fabric: Fabric) => Verification {
  let last: Proven | undefined
  return (fabric) => {
    last = (last && proveEdit(last, fabric)) ?? prove(fabric, shapesOf([fabric], smallest))
    return last.verification
  }
}

interface Proven {
  readonly fabric: Fabric
  readonly shapes: Shapes
  readonly structure: readonly Finding[]
  /** By expectation; fewer than `asked` when two have one id. */
  readonly verdicts: ReadonlyMap<string, Verdict>
  readonly asked: number
  readonly verification: Verification
}

function prove(fabric: Fabric, shapes: Shapes): Proven {
  const distinct = shapes.within(fabric)
  const model = modelOf(distinct)
  const breaks = breaksOf(distinct)
  const verdicts = distinct.expects.map((expect) => proveOne(model, breaks, expect, shapes))
  return concluded(fabric, shapes, [...wiring(fabric), ...tables(distinct, shapes)], verdicts, proveCapacity(model, breaks, shapes))
}

function proveOne(model: Model, breaks: Breaks, expect: Expect, shapes: Shapes): Verdict {
  switch (expect.kind) {
    case 'reach':
      return proveReach(model, breaks, expect, shapes)
    case 'path':
      return provePath(model, breaks, expect, shapes)
    case 'internet':
      return proveInternet(model, breaks, expect, shapes)
    case 'isolate':
      return proveIsolate([model], expect, shapes)
    default:
      throw new TypeError(`no such expectation: ${expect satisfies never}`)
  }
}

function concluded(
  fabric: Fabric,
  shapes: Shapes,
  structure: readonly Finding[],
  verdicts: readonly Verdict[],
  { findings, faulty, checks }: Capacity,
): Proven {
  const held = verdicts.filter((verdict) => holds(verdict) && !faulty.has(verdict.expect.id))
  return {
    fabric,
    shapes,
    structure,
    verdicts: new Map(verdicts.map((verdict) => [verdict.expect.id, verdict])),
    asked: verdicts.length,
    verification: {
      findings: [...structure, ...verdicts.flatMap((verdict) => verdict.findings), ...findings],
      proof: {
        expects: fabric.expects.length,
        held: held.reduce((sum, verdict) => sum + shapes.copies(verdict.expect), 0),
        failures: countFailures(fabric),
        checks: countStructure(fabric) + checks + verdicts.reduce((sum, verdict) => sum + verdict.checks, 0),
      },
    },
  }
}
const holds = ({ findings }: Pick<Verdict, 'findings'>): boolean => !findings.some((finding) => finding.severity === 'error')

/** undefined: it is not the edit of a few sites, or the structure is at fault, and then all is proven anew. */
function proveEdit(last: Proven, fabric: Fabric): Proven | undefined {
  if (last.shapes === eachItself || last.structure.length > 0 || last.verdicts.size < last.asked) return undefined
  const edit = touchedSites(last.fabric, fabric)
  if (!edit || targets(fabric, edit.sites)) return undefined
  const touched = edit.sites
  const shapes = last.shapes.except(new Set([...touched, ...bystanders(fabric, touched)]))
  const distinct = shapes.within(fabric)
  // Mostly the tables that changed are those of hubs and of the touched sites, which are all in the smaller Fabric.
  const inside = [...edit.tables].every((id) => touched.has(id))
  if (misbuilt(inside ? distinct : fabric, edit)) return undefined
  const model = modelOf(distinct)
  const breaks = breaksOf(distinct)
  const verdicts = distinct.expects.map((expect): Verdict => {
    const before = last.verdicts.get(expect.id)
    // That one also depends on hubs, and costs little.
    if (before && expect.kind !== 'internet' && !concerns(expect, touched)) return { ...before, expect }
    if (expect.kind !== 'reach') return proveOne(model, breaks, expect, shapes)
    // Who has to be told apart now may have been one of many targets: then the answers spoke for others than they would now.
    const same = expect.to.every(({ node }) => shapes.weight(node) === last.shapes.weight(node))
    const known = new Map((same ? before?.asked : undefined)?.map((one): [string, Asked] => [`${one.from.node}/${one.from.segment}`, one]))
    return proveReach(model, breaks, expect, shapes, (from) => (touched.has(from.node) ? undefined : known.get(`${from.node}/${from.segment}`)))
  })
  return concluded(fabric, shapes, [], verdicts, proveCapacity(model, breaks, shapes))
}
/** Whether the structure is at fault where it changed: among hubs, and the sites whose tables or facts did. */
function misbuilt(fabric: Fabric, { sites, tables: changed }: Touched): boolean {
  const others = new Set<NodeId>(fabric.sites.filter(({ id, hub }) => !hub && !sites.has(id) && !changed.has(id)).map(({ id }) => id))
  const near = without(fabric, others, (prefix) => lanOwners(fabric).get(prefix))
  // A class without a hop is judged by what else the site reaches with it, which is not all here.
  const empty = nodesOf(near).some((node) => node.groups.some((group) => group.via.length === 0))
  return empty || wiring(near).length > 0 || tables(near, eachItself).length > 0
}
const concerns = ({ from, to }: Expect, touched: ReadonlySet<NodeId>): boolean => [...from, ...to].some((place) => touched.has(place.node))
/** Somebody's promise ends at a touched site: as many questions as there are callers. */
const targets = (fabric: Fabric, touched: ReadonlySet<NodeId>): boolean =>
  fabric.expects.some(
    ({ kind, from, to }) => kind === 'reach' && to.some((place) => touched.has(place.node)) && from.some((place) => !touched.has(place.node)),
  )

/** Whom a touched site may open connections to, or the other way round, where an isolation asks for both. */
function bystanders(fabric: Fabric, touched: ReadonlySet<NodeId>): readonly NodeId[] {
  const asked = new Set(
    fabric.expects
      .flatMap((expect) => (expect.kind === 'isolate' && concerns(expect, touched) ? [...expect.from, ...expect.to] : []))
      .map(({ node }) => node),
  )
  if (asked.size === 0) return []
  const owners = lanOwners(fabric)
  const theirs = fabric.sites.filter((site) => touched.has(site.id)).flatMap((site) => site.lans.map((lan) => lan.prefix))
  const near = new Set<string>(theirs)
  // Thousands of rules have the same list at one of their ends.
  const judged = new Map<readonly Prefix[], boolean>()
  const isNear = (prefixes: readonly Prefix[]): boolean => {
    const known = judged.get(prefixes)
    if (known !== undefined) return known
    const answer = prefixes.some((prefix) => near.has(prefix) || (!owners.has(prefix) && theirs.some((lan) => overlaps(lan, prefix))))
    judged.set(prefixes, answer)
    return answer
  }
  return fabric.sites
    .filter(({ id, rules }) => asked.has(id) && !touched.has(id) && rules.some(({ from, to }) => isNear(from.prefixes) || isNear(to.prefixes)))
    .map((site) => site.id)
}

/**
 * Proves the way from one generation to the next: isolation with each site on either of both, in any mix, and reach
 * after each wave of the rollout, for what both generations expect. The end itself is `verify(after)`.
 */
export function verifyTransition(before: Fabric, after: Fabric, shapes: Shapes = shapesOf([before, after])): Verification {
  const verdicts = duringChange(shapes.within(before), shapes.within(after), shapes)
  return {
    findings: verdicts.flatMap((verdict) => verdict.findings),
    proof: {
      expects: verdicts.reduce((sum, verdict) => sum + shapes.copies(verdict.expect), 0),
      held: verdicts.reduce((sum, verdict) => sum + (holds(verdict) ? shapes.copies(verdict.expect) : 0), 0),
      failures: 0,
      checks: verdicts.reduce((sum, verdict) => sum + verdict.checks, 0),
    },
  }
}
