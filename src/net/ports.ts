import type { Parsed } from './address.ts'

export type Protocol = 'tcp' | 'udp' | 'icmp' | 'any'
/** Ports of one protocol, both ends included. `icmp` and `any` always span 0-65535. */
export interface PortRange {
  readonly protocol: Protocol
  readonly from: number
  readonly to: number
}
export const anyPort: PortRange = { protocol: 'any', from: 0, to: 65535 }

/** `tcp/8443`, `udp/5004-5010`, `tcp`, `icmp`, `any`. */
export function parsePortRange(text: string): Parsed<PortRange> {
  const match = /^(tcp|udp|icmp|any)(?:\/(\d{1,5})(?:-(\d{1,5}))?)?$/.exec(text)
  const instead = 'write protocol/port like tcp/8443, a range like udp/5004-5010, or icmp'
  if (!match) return { ok: false, says: `"${text}" is not a port`, instead }
  const protocol = match[1] as Protocol
  if (match[2] === undefined) return { ok: true, value: { protocol, from: 0, to: 65535 } }
  if (protocol === 'icmp' || protocol === 'any') return { ok: false, says: `${protocol} has no ports`, instead: `write ${protocol} alone` }
  const from = Number(match[2])
  const to = match[3] === undefined ? from : Number(match[3])
  if (from < 1 || to > 65535) return { ok: false, says: `"${text}" is out of range`, instead: 'write ports from 1 to 65535' }
  if (to < from) return { ok: false, says: `"${text}" ends before it starts`, instead: `write ${protocol}/${to}-${from}` }
  return { ok: true, value: { protocol, from, to } }
}
export const formatPortRange = (of: PortRange): string =>
  of.protocol === 'icmp' || of.protocol === 'any' || (of.from === 0 && of.to === 65535)
    ? of.protocol
    : `${of.protocol}/${of.from === of.to ? of.from : `${of.from}-${of.to}`}`
