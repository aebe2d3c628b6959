/**
 * `ping` waits for the reply to its last packet no longer than its interval, or twice the longest round trip, whatever -W
 * says: on a busy machine the last one seems lost. With -w it goes on until as many were answered, and what it sends
 * beyond the count is not counted.
 */
export interface Pings {
  readonly count: number
  readonly seconds: number
  /** Other options, e.g. `-I 10.9.0.1`. */
  readonly more?: string
}

export const pingCommand = (to: string, { count, seconds, more = '' }: Pings): string =>
  `ping -n -c ${count} -i ${seconds} -w ${Math.ceil(count * seconds + 2)} ${more} ${to}`

/** Of the first `count`: how many were answered, and which were not. */
export function readPings(text: string, count: number): { readonly received: number; readonly lost: readonly number[] } {
  const answered = new Set([...text.matchAll(/icmp_seq=(\d+) ttl=/g)].map(([, sequence]) => Number(sequence)))
  const lost = Array.from({ length: count }, (_, index) => index + 1).filter((sequence) => !answered.has(sequence))
  return { received: count - lost.length, lost }
}

/** `5/5`, or `3/5 without 2, 4`. */
export function sayPings(text: string, count: number): string {
  const { received, lost } = readPings(text, count)
  return `${received}/${count}${lost.length > 0 && received > 0 ? ` without ${lost.join(', ')}` : ''}`
}
