/** What an allow, a deny or an expectation is called in the Fabric: its own words, so that a line added above changes no hash. */
import { askedText, nothingAsked } from '#src/fabric/expects.ts'
import { anyPort, formatPortRange, type PortRange } from '#src/net/ports.ts'
import type { Intent, IntentExpect, IntentLine } from './intent.ts'
import type { Places } from './places.ts'
import { relaysAt } from './read-lan-services.ts'

/** The written ports, else those of the service. */
export function portsOf(intent: Pick<Intent, 'services'>, line: IntentLine): readonly PortRange[] {
  if (line.ports.length > 0) return line.ports
  const { what } = line.to
  const service = what.kind === 'service' ? intent.services.find((one) => one.id === what.service) : undefined
  return service?.ports ?? [anyPort]
}
/** `edge/inference -> model-api tcp/8443`: how the ids of its rules start, before the `#`. */
export function allowText(intent: Pick<Intent, 'services'>, line: IntentLine): string {
  const ports = portsOf(intent, line)
  const suffix = ports.length === 1 && ports[0]!.protocol === 'any' ? '' : ` ${ports.map(formatPortRange).join(',')}`
  return `${line.from.text} -> ${line.to.text}${suffix}`
}
/** `deny cameras -> training`. */
export const denyText = (intent: Pick<Intent, 'services'>, line: IntentLine): string => `deny ${allowText(intent, line)}`
/** `reach-all edge/inference -> model-api`. */
const expectText = (expect: IntentExpect): string => `${verbOf(expect)} ${expect.from.text} -> ${expect.to.text}`
/** With what it asks: `reach edge/inference -> model-api, survives hub, within 1000ms`. */
export function fullExpectText(expect: IntentExpect): string {
  const survives = 'survives' in expect ? expect.survives : []
  return `${expectText(expect)}${askedText({ ...nothingAsked, ...('ways' in expect ? expect.ways : {}), survives })}`
}
/**
 * How the ids of each line's expectations start, before the ` @`: by its ends, and by what it asks as well where several
 * lines have the same.
 */
export function expectTexts({ expect }: Pick<Intent, 'expect'>): readonly string[] {
  const lines = expect.map((one) => ({ ends: expectText(one), full: fullExpectText(one) }))
  const twins = Map.groupBy(new Map(lines.map((line) => [line.full, line])).values(), ({ ends }) => ends)
  return lines.map(({ ends, full }) => (twins.get(ends)!.length === 1 ? ends : full))
}
const verbOf = (expect: IntentExpect): string => {
  if (expect.kind === 'internet') return expect.reachable ? 'reach' : 'isolate'
  return expect.kind === 'reach' && expect.mode === 'all' ? 'reach-all' : expect.kind
}

/** What a DHCP relay needs, for all LANs of a segment that have the same server. */
export const relayText = (segment: string, server: string): string => `dhcp of ${segment} -> ${server}`

/** Findings of `verify` name lines by these texts: each gets the place of its `allow/<n>`, `deny/<n>` or `expect/<n>`. */
export function placeTexts(intent: Intent, origins: Places): void {
  const place = (text: string, key: string): void => {
    const origin = origins.get(key)
    if (origin) origins.set(text, origin)
  }
  for (const [n, allow] of intent.allow.entries()) place(allowText(intent, allow), `allow/${n}`)
  for (const [n, deny] of intent.deny.entries()) place(denyText(intent, deny), `deny/${n}`)
  for (const [n, text] of expectTexts(intent).entries()) place(text, `expect/${n}`)
  for (const site of intent.sites)
    for (const { segment, server, lan } of relaysAt(site))
      if (!origins.has(relayText(segment, server))) place(relayText(segment, server), `site/${site.id}/lan/${lan}/dhcp`)
}
