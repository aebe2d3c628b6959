/** From what is to what must be. Pure, so that any crash point can be tried: observe again, and these steps are what is left. */
import type { Observed, Resource, ResourceId, Step } from '../cloud.ts'
import { difference, refsOf } from './difference.ts'
import { isAwsType, traits } from './scheme.ts'

/** What stands for each resource, and what is left over: duplicates and what nobody wants. */
export interface Match {
  readonly chosen: ReadonlyMap<ResourceId, Observed>
  readonly surplus: readonly Observed[]
}
const alive = (of: Observed): boolean => of.state !== 'deleting'
const stateOrder: Readonly<Record<Observed['state'], number>> = { ready: 0, pending: 1, failed: 2, deleting: 3 }

/** Of two with one id the one that others hang on stays, then the readier, then the lower cloud id: every worker decides alike. */
export function match(wanted: readonly Resource[], observed: readonly Observed[]): Match {
  const linked = new Set(observed.filter(alive).flatMap((of) => Object.values(of.properties).filter((value) => typeof value === 'string')))
  const order = (a: Observed, b: Observed): number =>
    Number(linked.has(b.cloudId)) - Number(linked.has(a.cloudId)) || stateOrder[a.state] - stateOrder[b.state] || (a.cloudId < b.cloudId ? -1 : 1)
  const ids = new Set(wanted.map((of) => of.id))
  const groups = Map.groupBy(observed.filter(alive), (of) => of.id)
  const chosen = new Map<ResourceId, Observed>()
  const surplus: Observed[] = []
  for (const [id, candidates] of groups) {
    const [best, ...others] = candidates.toSorted(order)
    if (best && ids.has(id)) chosen.set(id, best)
    else if (best) surplus.push(best)
    surplus.push(...others)
  }
  return { chosen, surplus }
}

const remove = (of: Observed): Step => ({ kind: 'delete', id: of.id, type: of.type, cloudId: of.cloudId })
const teardown = (type: string): number => (isAwsType(type) ? traits[type].teardown : 0)
const byTeardown = (a: Observed, b: Observed): number => teardown(a.type) - teardown(b.type) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

/**
 * First the deletions that a replacement forces, then what is made and changed in the order of `wanted`, at last what
 * nobody wants, in reverse: return routes have moved before the connection that they left goes away.
 */
export function steps(wanted: readonly Resource[], observed: readonly Observed[]): readonly Step[] {
  const { chosen, surplus } = match(wanted, observed)
  const resolve = (id: ResourceId): string => chosen.get(id)?.cloudId ?? ''
  const renewed = new Set<ResourceId>()
  const roots = new Set<ResourceId>()
  const changed = new Set<ResourceId>()
  for (const of of wanted) {
    const seen = chosen.get(of.id)
    if (!seen || !isAwsType(of.type)) continue
    const { fixed, follows } = traits[of.type]
    const gone = refsOf(of).some(([key, to]) => renewed.has(to) && !follows.includes(key))
    const keys = difference(of, seen, resolve).map(({ key }) => key)
    const forced = seen.state === 'failed' || keys.some((key) => fixed.includes(key))
    if (gone || forced) renewed.add(of.id)
    if (forced && !gone) roots.add(of.id)
    if (keys.length > 0 || refsOf(of).some(([, to]) => renewed.has(to))) changed.add(of.id)
  }
  // A root that something else hangs on is taken down after that; alone it is replaced in one step.
  const hangsOn = (id: ResourceId): boolean => wanted.some((of) => renewed.has(of.id) && of.id !== id && refsOf(of).some(([, to]) => to === id))
  const replaced = new Set([...roots].filter((id) => !hangsOn(id)))
  const early = [...renewed].filter((id) => !replaced.has(id)).map((id) => chosen.get(id)!)

  const made = wanted.flatMap((of): readonly Step[] => {
    const seen = chosen.get(of.id)
    if (replaced.has(of.id)) return [{ kind: 'replace', resource: of }]
    if (!seen || renewed.has(of.id) || seen.state === 'pending') return [{ kind: 'create', resource: of }]
    return changed.has(of.id) ? [{ kind: 'update', resource: of }] : []
  })
  return [...early.sort(byTeardown).map(remove), ...made, ...[...surplus].sort(byTeardown).map(remove)]
}

/**
 * The steps in groups: those of one group don't wait for one another. The groups keep the order of `steps`, so walking
 * them one after the other is always right; walking `Resource.after` itself is faster by what one group waits for its slowest.
 */
export function waves(of: readonly Step[]): readonly (readonly Step[])[] {
  const result: Step[][] = []
  let phase: Step[] = []
  const flush = (): void => {
    result.push(...(phase[0]?.kind === 'delete' ? groupDeletions(phase) : groupCreations(phase)))
    phase = []
  }
  for (const step of of) {
    if (phase.length > 0 && (phase[0]?.kind === 'delete') !== (step.kind === 'delete')) flush()
    phase.push(step)
  }
  flush()
  return result
}
function groupDeletions(phase: readonly Step[]): readonly Step[][] {
  const ranks = Map.groupBy(phase, (step) => (step.kind === 'delete' ? teardown(step.type) : 0))
  return [...ranks].sort(([a], [b]) => a - b).map(([, group]) => group)
}
function groupCreations(phase: readonly Step[]): readonly Step[][] {
  const level = new Map<ResourceId, number>()
  const groups: Step[][] = []
  for (const step of phase) {
    if (step.kind === 'delete') continue
    const at = Math.max(0, ...step.resource.after.map((id) => (level.get(id) ?? -1) + 1))
    level.set(step.resource.id, at)
    ;(groups[at] ??= []).push(step)
  }
  return groups
}
