/** What an expectation asks beside its two ends, as one would write it. */
import type { Expect, Waypoint } from './fabric.ts'
import { formatDuration, formatRate } from './quantities.ts'

export type Ways = Pick<Extract<Expect, { kind: 'path' }>, 'via' | 'not' | 'symmetric' | 'withinMs' | 'bandwidth'>
export type Asked = Ways & Pick<Extract<Expect, { kind: 'path' }>, 'survives'>

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

/** `, survives [hub, uplink], within 1000ms`. */
export const askedText = ({ survives, ...ways }: Asked): string =>
  `${survives.length > 0 ? `, survives ${survives.length === 1 ? survives[0] : `[${survives.join(', ')}]`}` : ''}${waysText(ways)}`
