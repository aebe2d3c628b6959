import type { Finding, Origin, Severity } from '#src/fabric/fabric.ts'
import type { IntentCode } from './codes.ts'
import { Places } from './places.ts'
import { didYouMean } from './suggest.ts'

/** Where a text stands, or a key that is (or will be) in the Origins. */
export type Place = Origin | string

/** Collects the findings of one reading together with the places they point to. */
export interface Report {
  readonly origins: Places
  readonly findings: readonly Finding[]
  error(code: IntentCode, at: Place | readonly Place[], says: string, instead?: string, witness?: readonly string[]): void
  warning(code: IntentCode, at: Place | readonly Place[], says: string, instead?: string): void
  /** As `didYouMean`, for the first hundred: comparing thousands of wrong names with thousands of right ones takes minutes. */
  meant(wrong: string, known: Iterable<string>): string
}
const suggestions = 100

export function createReport(): Report {
  const origins = new Places()
  const findings: Finding[] = []
  const seen = new Set<string>()
  let left = suggestions
  const keyOf = (place: Place): string => {
    if (typeof place === 'string') return place
    const key = `${place.file}:${place.line}:${place.column}`
    // Two texts may start at one spot (a list and its first item): the caret is the same, the shorter is the more exact.
    const held = origins.get(key)
    if (!held || place.length < held.length) origins.set(key, place)
    return key
  }
  const add = (
    severity: Severity,
    code: IntentCode,
    at: Place | readonly Place[],
    says: string,
    instead: string,
    witness: readonly string[],
  ): void => {
    const keys = (Array.isArray(at) ? (at as readonly Place[]) : [at as Place]).map(keyOf)
    const cause = JSON.stringify([code, keys[0], says])
    if (seen.has(cause)) return
    seen.add(cause)
    findings.push({ code, severity, at: keys, says, instead, witness })
  }
  return {
    origins,
    findings,
    error: (code, at, says, instead = '', witness = []) => add('error', code, at, says, instead, witness),
    warning: (code, at, says, instead = '') => add('warning', code, at, says, instead, []),
    meant: (wrong, known) => (left-- > 0 ? didYouMean(wrong, known) : ''),
  }
}
