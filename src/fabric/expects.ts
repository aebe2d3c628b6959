/** What an expectation asks beside its two ends, as one would write it. */
import type { Expect, Survives, Waypoint } from './fabric.ts'
import { formatDuration, formatRate } from './quantities.ts'

export type Ways = Pick<Extract<Expect, { kind: 'path' }>, 'via' | 'not' | 'symmetric' | 'withinMs' | 'bandwidth'>
export type Asked = Ways & Pick<Extract<Expect, { kind: 'path' }>, 'survives'>

export const nothingAsked: Asked = { survives: [], via: [], not: [], symmetric: false, withinMs: 0, bandwidth: { up: 0, down: 0 } }

/** `, via fiber, not lte, symmetric, within 1000ms, bandwidth 20M`; '' when nothing is asked. */
export function waysText({ via, not, symmetric, withinMs, bandwidth }: Ways): string {
  const words = (of: readonly Waypoint[]): string => of.map((one) => one.value).join(' or ')
  return [
    via.length > 0 ? `via ${words(via)}` : '',
    not.length > 0 ? `not ${words(not)}` : '',
    symmetric ? 'symmetric' : '',
    withinMs > 0 ? `within ${formatDuration(withinMs)}` : '',
    bandwidth.up > 0 ? `bandwidth ${formatRate(bandwidth)}` : '',
  ]
    .map((part) => (part === '' ? '' : `, ${part}`))
    .join('')
}

/** In the order of the language. */
export const failures = ['uplink', 'tunnel', 'hub', 'gateway', 'connection', 'shared_risk', 'any two uplinks'] as const satisfies readonly Survives[]

/** `, survives [uplink, hub], within 1000ms`. */
export function askedText({ survives: written, ...ways }: Asked): string {
  const survives = failures.filter((one) => written.includes(one))
  const text = survives.length === 1 ? survives[0] : `[${survives.join(', ')}]`
  return `${survives.length > 0 ? `, survives ${text}` : ''}${waysText(ways)}`
}
