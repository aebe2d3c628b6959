/** What differs between a wanted and an observed resource. Pure; steps, verify and apply share it. */
import type { Observed, Ref, Resource, ResourceId } from '../cloud.ts'
import type { ObservedTunnel, WantedTunnel } from './scheme.ts'

export interface Difference {
  readonly key: string
  readonly wanted: unknown
  readonly observed: unknown
}
/** Refs → cloud ids of what stands for them now; '' for what does not exist, which equals nothing. */
export type Resolve = (id: ResourceId) => string

export const isRef = (value: unknown): value is Ref => typeof value === 'object' && value !== null && 'ref' in value
export const refsOf = (of: Resource): readonly (readonly [string, ResourceId])[] =>
  Object.entries(of.properties).flatMap(([key, value]) => (isRef(value) ? [[key, value.ref] as const] : []))

const equal = (a: unknown, b: unknown): boolean => JSON.stringify(canonical(a)) === JSON.stringify(canonical(b))
/** Lists of AWS's are sets, in whatever order it reports them. */
function canonical(value: unknown): unknown {
  if (!Array.isArray(value)) return value
  const items = value.map(canonical)
  return items.every((item) => typeof item !== 'object') ? items.map(String).sort() : items
}

/** A key that the cloud does not report (`undefined`) is no difference: it can't be known. */
export function difference(wanted: Resource, observed: Observed, resolve: Resolve): readonly Difference[] {
  return Object.entries(wanted.properties).flatMap(([key, value]): readonly Difference[] => {
    const seen = observed.properties[key]
    if (seen === undefined) return []
    if (key === 'tunnels') return tunnelDifferences(value as readonly WantedTunnel[], seen as readonly ObservedTunnel[])
    const want = isRef(value) ? resolve(value.ref) : value
    return equal(want, seen) ? [] : [{ key, wanted: want, observed: seen }]
  })
}

/** Which of the cloud's tunnels stands for which of ours: by inside prefix, never by position; what is left over, by elimination. */
export function pairTunnels(
  wanted: readonly WantedTunnel[],
  observed: readonly ObservedTunnel[],
): readonly (readonly [WantedTunnel, ObservedTunnel | undefined])[] {
  const left = observed.filter((seen) => !wanted.some((want) => want.inside === seen.inside)).sort((a, b) => (a.outside < b.outside ? -1 : 1))
  return wanted.map((want) => [want, observed.find((seen) => seen.inside === want.inside) ?? left.shift()] as const)
}
function tunnelDifferences(wanted: readonly WantedTunnel[], observed: readonly ObservedTunnel[]): readonly Difference[] {
  return pairTunnels(wanted, observed).flatMap(([want, seen]) => {
    if (!seen) return [{ key: `${want.tunnel} inside`, wanted: want.inside, observed: 'nothing' }]
    return Object.entries(want).flatMap(([key, value]) => {
      if (key === 'tunnel') return []
      const there = (seen as unknown as Readonly<Record<string, unknown>>)[key]
      return there === undefined || equal(value, there) ? [] : [{ key: `${want.tunnel} ${key}`, wanted: value, observed: there }]
    })
  })
}
