/** What `trace` says of each pair of places of a network that the proof does not, or the other way round. */
import type { Expect, Fabric, Failure, Place } from '#src/fabric/fabric.ts'
import { isSecondGateway } from '#src/fabric/ids.ts'
import { nodesOf } from '#src/fabric/slice.ts'
import { hostPrefix } from '#src/net/address.ts'
import type { PortRange } from '#src/net/ports.ts'
import { nameOf } from '#src/verify/failures.ts'
import { formatPacket, type Packet } from '#src/verify/packets.ts'
import { trace, type TraceLine } from '#src/verify/trace.ts'
import { verify } from '#src/verify/verify.ts'

const placesOf = (fabric: Fabric): readonly Place[] =>
  nodesOf(fabric)
    .filter(({ id }) => !isSecondGateway(id))
    .flatMap(({ id: node, lans }) =>
      [...Map.groupBy(lans, ({ segment }) => segment)].map(([segment, own]) => ({ node, segment, prefixes: own.map(({ prefix }) => prefix) })),
    )
const proven = (fabric: Fabric, expectation: Expect): readonly string[] =>
  verify({ ...fabric, expects: [expectation] }).findings.flatMap(({ at, code, severity }) => (at.includes('x') && severity === 'error' ? [code] : []))
const portOf = ({ protocol, port }: Packet): PortRange =>
  protocol === 'other'
    ? { protocol: 'any', from: 0, to: 65_535 }
    : protocol === 'icmp'
      ? { protocol, from: 0, to: 65_535 }
      : { protocol, from: port, to: port }
const passesAsMarked = (line: TraceLine): boolean => line.outcome === 'passes' && line.marked === undefined
const breaks = (fabric: Fabric, kind: 'uplink' | 'tunnel'): readonly Failure[] =>
  kind === 'tunnel'
    ? fabric.tunnels.map(({ id }) => ({ kind, tunnel: id }))
    : fabric.sites.flatMap(({ id, uplinks }) => uplinks.map((uplink) => ({ kind, site: id, uplink: uplink.id })))
const ends = (from: Place, to: Place) => ({ id: 'x', text: 'a -> b', from: [from], to: [to] })

/** With everything up, and without each uplink and each tunnel. Empty: they agree. */
export function disagreements(fabric: Fabric): readonly string[] {
  const places = placesOf(fabric)
  const wrong: string[] = []
  for (const from of places) {
    for (const to of places) {
      const { lines } = trace(fabric, {
        from: `${from.node}/${from.segment}`,
        to: `${to.node}/${to.segment}`,
        port: null,
        trafficClass: null,
        without: [],
      })
      const note = (line: TraceLine | undefined, what: string) =>
        wrong.push(`${from.node}/${from.segment} → ${to.node}/${to.segment} ${line ? formatPacket(line.packet) : ''}: ${what}`)
      for (const line of lines) {
        if (line.decidedBy.length === 0 && line.outcome === 'passes') continue
        const host = (place: Place, one: Packet['source']): Place => ({ ...place, prefixes: [hostPrefix(one)] })
        const [near, far] = [host(from, line.packet.source), host(to, line.packet.destination)]
        const ports = [portOf(line.packet)]
        const lost = proven(fabric, { kind: 'reach', ...ends(near, far), ports, mode: 'all', survives: [] })
        if ((lost.length === 0) !== passesAsMarked(line)) note(line, `trace says ${line.outcome}, and the proof ${lost.join() || 'holds'}`)
        if (lost.length > 0) continue
        for (const kind of ['uplink', 'tunnel'] as const) {
          const broken = breaks(fabric, kind).filter((failure) => {
            const asked = { from: `${from.node}/${line.packet.source}`, to: `${to.node}/${line.packet.destination}`, port: ports[0]! }
            return !trace(fabric, { ...asked, trafficClass: null, without: [failure] }).lines.every(passesAsMarked)
          })
          const survives = proven(fabric, { kind: 'reach', ...ends(near, far), ports, mode: 'all', survives: [kind] }).length === 0
          if (survives !== (broken.length === 0))
            note(line, `trace loses it without ${broken.map(nameOf).join(', ') || `no ${kind}`}, and the proof ${survives ? 'holds' : 'does not'}`)
        }
      }
      const isolated = proven(fabric, { kind: 'isolate', ...ends(from, to) })
      const passes = lines.some((line) => line.outcome === 'passes' && line.decidedBy.length > 0)
      const closed = lines.every((line) => line.outcome === 'passes' || line.why === 'policy' || line.why === 'denied')
      if (passes && from !== to && !isolated.some((code) => code === 'V011' || code === 'V012')) note(lines[0], 'passes, and is isolated')
      if (!passes && closed && from !== to && isolated.includes('V011')) note(lines[0], `nothing passes, and is not isolated`)
    }
  }
  return wrong
}
