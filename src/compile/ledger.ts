/**
 * Who holds which number, and what newcomers get: the lowest that nobody holds. A removed owner's number comes back only
 * when its allocation is no longer held, so a running gateway never meets its predecessor's address.
 */
import type { Allocation, SiteId } from '#src/fabric/fabric.ts'
import { compareText, siteOfGateway } from '#src/fabric/ids.ts'
import type { Prefix } from '#src/net/address.ts'
import { once } from '#src/net/once.ts'
import { insideAt, insideNumber, insideScope, metadata } from './insides.ts'

export interface Owner {
  readonly owner: string
  /** A value is unique within it: the site for slots and ports, else the network. */
  readonly scope: string
}
export interface Range {
  readonly first: number
  readonly step: number
  readonly end: number
}
export type NumberKind = Exclude<Allocation['kind'], 'ula' | 'overlay' | 'first'>
function scopeOf({ kind, owner, value }: Allocation): string {
  const gateway = owner.slice(0, owner.indexOf('/')) as SiteId
  return kind === 'slot' ? siteOfGateway(gateway) : kind === 'port' ? gateway : kind === 'inside' ? insideScope(value) : ''
}
type ByKind<T> = Readonly<Record<NumberKind, T>>
const byKind = <T>(make: () => T): ByKind<T> => ({
  node: make(),
  slot: make(),
  tunnel: make(),
  inside: make(),
  port: make(),
  class: make(),
  segment: make(),
})

export interface Held {
  readonly ula: ReadonlyMap<string, Prefix>
  readonly of: ByKind<ReadonlyMap<string, number>>
  /** By scope. */
  readonly taken: ByKind<ReadonlyMap<string, ReadonlySet<number>>>
  /** Two owners hold one number. */
  readonly contradict: boolean
  /** By scope and first value, the lowest that nobody holds: looked for once. */
  readonly free: ByKind<Map<string, number>>
}
export function readHeld(held: readonly Allocation[]): Held {
  const of = byKind(() => new Map<string, number>())
  const taken = byKind(() => new Map<string, Set<number>>())
  const ula = new Map<string, Prefix>()
  let contradict = false
  taken.inside.set('', new Set(Array.from({ length: metadata.end - metadata.first }, (_, n) => metadata.first + n)))
  for (const one of held) {
    if (one.kind === 'ula') {
      ula.set(one.owner, one.value)
      continue
    }
    if (one.kind === 'overlay' || one.kind === 'first') continue
    const value = one.kind === 'inside' ? insideNumber(one.value) : one.value
    const scope = scopeOf(one)
    const values = taken[one.kind].get(scope) ?? new Set<number>()
    contradict ||= values.has(value)
    taken[one.kind].set(scope, values.add(value))
    of[one.kind].set(one.owner, value)
  }
  return { ula, of, taken, contradict, free: byKind(() => new Map<string, number>()) }
}

export interface Numbered {
  /** In the order of those who wanted one; `none` where none is left. */
  readonly values: readonly number[]
  readonly refused: readonly string[]
  /** Of whoever wanted one, or holds one. */
  readonly of: (owner: string) => number
}
export const none = -1

export type Ledger = ReturnType<typeof openLedger>
/** What is claimed on top of what is held, which stays as it is. */
export function openLedger(held: Held) {
  const claims: Allocation[] = []
  const claimed = byKind(() => new Map<string, Set<number>>())
  const claimedIn = (kind: NumberKind, scope: string): Set<number> => {
    let values = claimed[kind].get(scope)
    if (!values) claimed[kind].set(scope, (values = new Set()))
    return values
  }
  const firstFree = (kind: NumberKind, scope: string, { first, step }: Range): number => {
    const taken = held.taken[kind].get(scope)
    const start = `${scope} ${first}`
    let next = held.free[kind].get(start)
    if (next === undefined) {
      next = first
      while (taken?.has(next)) next += step
      held.free[kind].set(start, next)
    }
    return next
  }
  /** Each owner once. In the order of their names, so that the order of the input means nothing. */
  const number = (kind: NumberKind, wanted: readonly Owner[], range: Range): Numbered => {
    const known = held.of[kind]
    const values = wanted.map(({ owner }) => known.get(owner) ?? none)
    const refused: string[] = []
    const places = Array.from(wanted.keys()).filter((n) => values[n] === none)
    const byName = (a: number, b: number): number => compareText(wanted[a]!.owner, wanted[b]!.owner)
    // Scope by scope: they mostly come in the order of their names already.
    const scopes = [...Map.groupBy(places, (n) => wanted[n]!.scope)].map(([scope, own]) => ({ scope, own: own.sort(byName) }))
    for (const { scope, own } of scopes.sort((a, b) => byName(a.own[0]!, b.own[0]!))) {
      const [taken, mine] = [held.taken[kind].get(scope), claimedIn(kind, scope)]
      let next = firstFree(kind, scope, range)
      for (const n of own) {
        const { owner } = wanted[n]!
        while (taken?.has(next) || mine.has(next)) next += range.step
        if (next >= range.end) {
          refused.push(owner)
          continue
        }
        values[n] = next
        mine.add(next)
        claims.push({ kind, owner, value: kind === 'inside' ? insideAt(next, scope) : next } as Allocation)
      }
    }
    const byOwner = once(() => new Map(wanted.map(({ owner }, n) => [owner, values[n]!])))
    const of = (owner: string): number => {
      const value = known.get(owner) ?? byOwner().get(owner) ?? none
      if (value === none) throw new TypeError(`${kind} ${owner} has no number`)
      return value
    }
    return { values, refused, of }
  }
  return { claims, number }
}
