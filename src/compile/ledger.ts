/**
 * Who holds which number, and what newcomers get: the lowest that nobody holds. A removed owner's number comes back only
 * when its allocation is no longer held, so a running gateway never meets its predecessor's address.
 */
import type { Allocation, SiteId } from '#src/fabric/fabric.ts'
import { compareText, siteOfGateway } from '#src/fabric/ids.ts'
import type { Prefix } from '#src/net/address.ts'
import { once } from '#src/net/once.ts'
import { firstOf, inOrder } from '#src/net/sorted.ts'
import { insideAt, insideNumber, insideScope, metadata } from './insides.ts'

export interface Range {
  readonly first: number
  readonly step: number
  readonly end: number
}
export type NumberKind = Exclude<Allocation['kind'], 'ula' | 'overlay' | 'first'>
/** A value is unique within it: the site for slots and ports, else the network. */
function scopeOf(kind: NumberKind, owner: string): string {
  if (kind !== 'slot' && kind !== 'port') return ''
  const gateway = owner.slice(0, owner.indexOf('/')) as SiteId
  return kind === 'slot' ? siteOfGateway(gateway) : gateway
}
type Numbering = Extract<Allocation, { readonly kind: NumberKind }>
const placeOf = (one: Numbering): { readonly scope: string; readonly value: number } =>
  one.kind === 'inside'
    ? { scope: insideScope(one.value), value: insideNumber(one.value) }
    : { scope: scopeOf(one.kind, one.owner), value: one.value }
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
    const { scope, value } = placeOf(one)
    const values = takenIn(taken[one.kind], scope)
    contradict ||= values.has(value)
    values.add(value)
    of[one.kind].set(one.owner, value)
  }
  return { ula, of, taken, contradict, free: byKind(() => new Map<string, number>()) }
}
function takenIn(scopes: Map<string, Set<number>>, scope: string): Set<number> {
  let values = scopes.get(scope)
  if (!values) scopes.set(scope, (values = new Set()))
  return values
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
  /** By scope. */
  const claimedOf = (kind: NumberKind): Map<string, Set<number>> => {
    const claimed = new Map<string, Set<number>>()
    for (let n = 0; n < claims.length; n++) {
      const one = claims[n]!
      if (one.kind !== kind) continue
      const { scope, value } = placeOf(one)
      takenIn(claimed, scope).add(value)
    }
    return claimed
  }
  const firstFree = (kind: NumberKind, scope: string, { first, step }: Range): number => {
    const taken = held.taken[kind].get(scope)
    if (!taken) return first
    const start = `${scope} ${first}`
    let next = held.free[kind].get(start)
    if (next === undefined) {
      next = first
      while (taken.has(next)) next += step
      held.free[kind].set(start, next)
    }
    return next
  }
  /** Each owner once. In the order of their names, so that the order of the input means nothing. `within`: a scope of them all. */
  const number = (kind: NumberKind, owners: readonly string[], range: Range, within?: string): Numbered => {
    const known = held.of[kind]
    const values = owners.map((owner) => known.get(owner) ?? none)
    const refused: string[] = []
    const newcomers: number[] = []
    for (let n = 0; n < values.length; n++) if (values[n] === none) newcomers.push(n)
    inOrder(newcomers, (a, b) => compareText(owners[a]!, owners[b]!))
    const claimed = once(() => claimedOf(kind))
    // Where to go on in each scope. Those of one mostly follow each other.
    const reached = new Map<string, number>()
    let [scope, next]: [string | undefined, number] = [undefined, range.end]
    newcomers.forEach((n) => {
      const owner = owners[n]!
      const own = within ?? scopeOf(kind, owner)
      if (own !== scope) {
        if (scope !== undefined) reached.set(scope, next)
        scope = own
        next = reached.get(scope) ?? firstFree(kind, scope, range)
      }
      const taken = held.taken[kind].get(scope)
      const mine = claimed().get(scope)
      while (taken?.has(next) || mine?.has(next)) next += range.step
      if (next >= range.end) {
        refused.push(owner)
        return
      }
      values[n] = next
      claims.push({ kind, owner, value: kind === 'inside' ? insideAt(next, scope) : next } as Allocation)
      next += range.step
    })
    const given = (owner: string): number => {
      const n = newcomers[firstOf(newcomers.length, (place) => owners[newcomers[place]!]! >= owner)]
      return n !== undefined && owners[n] === owner ? values[n]! : none
    }
    const of = (owner: string): number => {
      const value = known.get(owner) ?? given(owner)
      if (value === none) throw new TypeError(`${kind} ${owner} has no number`)
      return value
    }
    return { values, refused, of }
  }
  return { claims, number }
}
