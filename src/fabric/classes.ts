/** The network's classes as they are at one site. */
import type { Site, TrafficClass } from './fabric.ts'

export function classesAt(classes: readonly TrafficClass[], { classes: own = [] }: Pick<Site, 'classes'>): readonly TrafficClass[] {
  if (own.length === 0) return classes
  const here = new Map(own.map((one) => [one.id, one]))
  return classes.map((one) => ({ ...one, ...here.get(one.id) }))
}
