/** What the two gateways of a site say to each other on its LANs: VRRP version 3 (RFC 9568). */

export const advertisementMs = 200
export const priorities = { first: 200, second: 100 } as const
/** Master_Down_Interval of the second, section 6.1: three advertisements that don't come, and the skew of its priority. */
export const masterDownMs = 3 * advertisementMs + (advertisementMs * (256 - priorities.second)) / 256
