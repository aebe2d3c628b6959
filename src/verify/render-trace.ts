/** A trace as the command line prints it. */
import type { Origins } from '#src/fabric/fabric.ts'
import { familyOf, formatHosts } from '#src/net/address.ts'
import { formatPortRange } from '#src/net/ports.ts'
import { nameOf } from './failures.ts'
import { formatPacket } from './packets.ts'
import type { Trace, TraceLine } from './trace.ts'

/** Origins turn keys into `network.yaml:22`. */
export function renderTrace(of: Trace, origins: Origins): string {
  if (of.outcome === 'unknown') return `${of.says}\n  ${of.instead}\n`
  const without = of.question.without.length > 0 ? ` without ${of.question.without.map(nameOf).join(', ')}` : ''
  const dual = new Set(of.lines.map(({ packet }) => familyOf(packet.source))).size > 1
  const titleOf = (line: TraceLine): string => `${line.from} → ${line.to}${dual ? ` over IPv${familyOf(line.packet.source)}` : ''}: `
  return of.lines.map((line) => renderLine(of, line, origins, without, of.lines.length > 1 ? titleOf(line) : '')).join('')
}

function renderLine(of: Trace, line: TraceLine, origins: Origins, without: string, title: string): string {
  const names = (line.translated ?? []).map(({ node, local, overlay }) => `  ${local} of ${node} is ${overlay} in the overlay\n`).join('')
  const routers = (line.learned ?? [])
    .map(
      ({ node, prefix, by, from }) => `  ${prefix} of ${node} is learned: reached while ${from.join(' or ')} announces it by ${by.toUpperCase()}\n`,
    )
    .join('')
  return `${renderVerdict(of, line, origins, without, title)}${names}${routers}`
}
function renderVerdict(of: Trace, line: TraceLine, origins: Origins, without: string, title: string): string {
  const several = title !== ''
  const places = line.decidedBy.flatMap((key) => {
    const origin = origins.get(key)
    return origin ? [`${origin.file}:${origin.line}`] : []
  })
  const packet = `${formatPacket(line.packet)}${line.trafficClass === null ? '' : `, class ${line.trafficClass}`}`
  if (line.back === null && line.thereText !== '' && line.outcome === 'passes')
    return `${title}PASSES${without}, ${formatPacket(line.packet)}\n  leaves by ${places[0] ?? line.decidedBy[0]}\n  out    ${line.thereText}\n`
  if (line.outcome === 'passes' && line.decidedBy.length === 0)
    return `${title}PASSES${without}\n  both are in one LAN of ${line.at ?? ''}: no gateway is between them, so nobody is asked\n`
  if (line.outcome === 'passes') {
    const only = line.only ? `, for no more than ${formatHosts(line.only.from)} → ${formatHosts(line.only.to)}` : ''
    const rows = [`${title}PASSES${without}, ${packet}`, `  allowed by ${places.join(' and ') || line.decidedBy.join(' and ')}${only}`]
    if (line.there.hops.length > 0 && line.why !== 'dead') rows.push(`  there  ${line.thereText}`, `  back   ${line.backText}`)
    else rows.push(`  within ${line.at ?? ''}: no tunnel needed`)
    for (const { trafficClass, way, whyText } of line.marked ?? [])
      rows.push(`  marked as ${trafficClass} by its host ${way === 'there' ? 'it' : 'the reply'} is lost: ${whyText}`)
    return `${rows.join('\n')}\n`
  }
  const side = line.there.hops.length === 0 ? ', before encryption' : ''
  if (line.why === 'denied' && line.way === 'there')
    return `${title}BLOCKED at ${line.at ?? 'its source'}${without}${side}, ${packet}\n  denied by ${places.join(' and ') || line.decidedBy.join(' and ')}\n`
  if (line.why === 'policy' && line.way === 'there') {
    const expected = line.decidedBy.length > 0 ? `, and ${places.join(' and ') || line.decidedBy.join(' and ')} expects exactly that` : ''
    const port = of.question.port === null ? '' : ` on ${formatPortRange(of.question.port)}`
    return `${title}BLOCKED at ${line.at ?? 'its source'}${without}${side}\n  no \`allow\` lets ${shortName(several ? line.from : of.question.from)} reach ${whatOf(of.question.to, line.to)}${expected === '' ? port : expected}\n`
  }
  const rows = [
    `${title}BLOCKED at ${line.at ?? 'its source'}${without}${line.way === 'back' ? ', on the way back' : ''}`,
    `  ${line.whyText}`,
    `  ${packet}`,
  ]
  if (line.there.hops.length > 0 && line.why !== 'dead') rows.push(`  there  ${line.thereText}`)
  if (line.way === 'back') rows.push(`  back   ${line.backText}`)
  return `${rows.join('\n')}\n`
}
/** A whole site was asked about: what of it. */
const whatOf = (asked: string, place: string): string => shortName(place.startsWith(`${asked}/`) ? place : asked)
const shortName = (text: string): string => text.split('/').at(-1) ?? text
