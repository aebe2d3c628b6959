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
  if (!match) return { ok: false, says: `"${text}" is not a port`, instead: portInstead(text) }
  const protocol = match[1] as Protocol
  if (match[2] === undefined) return { ok: true, value: { protocol, from: 0, to: 65535 } }
  if (protocol === 'icmp' || protocol === 'any') return { ok: false, says: `${protocol} has no ports`, instead: `write ${protocol} alone` }
  const from = Number(match[2])
  const to = match[3] === undefined ? from : Number(match[3])
  if (from < 1 || to > 65535) return { ok: false, says: `"${text}" is out of range`, instead: 'write ports from 1 to 65535' }
  if (to < from) return { ok: false, says: `"${text}" ends before it starts`, instead: `write ${protocol}/${to}-${from}` }
  return { ok: true, value: { protocol, from, to } }
}
function portInstead(text: string): string {
  if (/^\d{1,5}$/.test(text)) return `write its protocol too: tcp/${text} or udp/${text}`
  const several = text.split(/[,;]\s*/).filter((one) => one !== '')
  if (/[,;]/.test(text) && several.length > 0 && several.every((one) => parsePortRange(one).ok))
    return `write no comma: ${several.join(' ')}${several.length > 1 ? `, or a list under ports: [${several.join(', ')}]` : ''}`
  return 'write protocol/port like tcp/8443, a range like udp/5004-5010, or icmp'
}
/** Some packet is in both. */
export const portsOverlap = (a: PortRange, b: PortRange): boolean =>
  a.protocol === 'any' || b.protocol === 'any' || (a.protocol === b.protocol && a.from <= b.to && b.from <= a.to)
export const formatPortRange = (of: PortRange): string =>
  of.protocol === 'icmp' || of.protocol === 'any' || (of.from === 0 && of.to === 65535)
    ? of.protocol
    : `${of.protocol}/${of.from === of.to ? of.from : `${of.from}-${of.to}`}`

/** Both ends included. */
export interface Span {
  readonly low: number
  readonly high: number
}
const portCount = 65_536
/** Where each protocol begins on the line of all applications: TCP ports, UDP ports, ICMP, everything else. */
export const applicationLine = { tcp: 0, udp: portCount, icmp: 2 * portCount, other: 2 * portCount + 1 } as const
export function applicationsOf({ protocol, from, to }: PortRange): Span {
  if (protocol === 'any') return { low: 0, high: applicationLine.other }
  const start = applicationLine[protocol]
  return protocol === 'icmp' ? { low: start, high: start } : { low: start + from, high: start + to }
}
/** Spans of that line as ports; with everything else among them, as any protocol but what is missing. */
export function rangesOf(spans: readonly Span[]): readonly { readonly ports: PortRange; readonly except: readonly PortRange[] }[] {
  const merged: { low: number; high: number }[] = []
  for (const { low, high } of [...spans].sort((a, b) => a.low - b.low)) {
    const last = merged.at(-1)
    if (last && low <= last.high + 1) last.high = Math.max(last.high, high)
    else merged.push({ low, high })
  }
  if (merged.at(-1)?.high !== applicationLine.other) return merged.flatMap(cutAtProtocols).map((ports) => ({ ports, except: [] }))
  const gaps = merged.map(({ low }, n) => ({ low: n === 0 ? 0 : merged[n - 1]!.high + 1, high: low - 1 }))
  return [{ ports: anyPort, except: gaps.filter(({ low, high }) => low <= high).flatMap(cutAtProtocols) }]
}
function cutAtProtocols({ low, high }: Span): readonly PortRange[] {
  return (['tcp', 'udp'] as const)
    .flatMap((protocol): PortRange[] => {
      const start = applicationLine[protocol]
      const [from, to] = [Math.max(low, start), Math.min(high, start + portCount - 1)]
      return from > to ? [] : [{ protocol, from: from - start, to: to - start }]
    })
    .concat(low <= applicationLine.icmp && applicationLine.icmp <= high ? [{ protocol: 'icmp', from: 0, to: portCount - 1 }] : [])
}
