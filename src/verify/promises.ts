/** What a drill is measured against. */
import type { Fabric, Place } from '#src/fabric/fabric.ts'
import { pairOf } from './flows.ts'
import { type Model, modelOf } from './model.ts'
import type { PathExpect } from './ways.ts'

/** A class on its way to a remote. */
interface Use {
  readonly trafficClass: string
  readonly remote: string
}
/**
 * How soon after the loss of an uplink each of these uses of a site is promised to go on, ms; null: nothing is promised.
 * Of several promises the strictest.
 */
export function promisedWithin(fabric: Fabric, site: string, uses: readonly Use[]): readonly (number | null)[] {
  const promises = fabric.expects.filter(
    (one): one is PathExpect =>
      one.kind === 'path' && one.withinMs > 0 && (one.survives.includes('uplink') || one.survives.includes('any two uplinks')),
  )
  const model = promises.length > 0 ? modelOf(fabric) : undefined
  return uses.map((use) => {
    const limits = promises.filter((one) => model && concerns(model, one, site, use)).map((one) => one.withinMs)
    return limits.length > 0 ? Math.min(...limits) : null
  })
}

/** Either end may be the caller: replies go the same way. */
function concerns(model: Model, expect: PathExpect, site: string, { trafficClass, remote }: Use): boolean {
  const at = (places: readonly Place[], node: string): readonly Place[] => places.filter((place) => place.node === node)
  const ends = [
    [at(expect.from, site), at(expect.to, remote)],
    [at(expect.from, remote), at(expect.to, site)],
  ] as const
  return ends.some(([from, to]) =>
    from.some((a) => to.some((b) => pairOf(model, a, b, expect).flows.some((flow) => flow.trafficClass === trafficClass))),
  )
}
