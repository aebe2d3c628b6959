/** A trace's question as people write it: `--port tcp/8443 --without frankfurt`. */
import type { Fabric, Failure, UplinkId } from '#src/fabric/fabric.ts'
import { connectionName } from '#src/fabric/ids.ts'
import { externalsOf } from '#src/fabric/slice.ts'
import { parsePortRange } from '#src/net/ports.ts'
import type { Question } from './trace.ts'

export interface WrittenQuestion {
  readonly from: string
  readonly to: string
  readonly port: string | null
  readonly without: readonly string[]
}
export type ReadQuestion =
  | { readonly ok: true; readonly question: Question }
  | { readonly ok: false; readonly says: string; readonly instead: string }

export function readQuestion(fabric: Fabric, written: WrittenQuestion): ReadQuestion {
  const port = written.port === null ? null : parsePortRange(written.port)
  if (port && !port.ok) return port
  const without: Failure[] = []
  for (const text of written.without) {
    const failure = readFailure(fabric, text)
    if (!failure) {
      const hubs = fabric.sites.filter((site) => site.hub).map((site) => site.id)
      return {
        ok: false,
        says: `"${text}" is not a hub, an uplink${externalsOf(fabric).length > 0 ? ', a connection' : ''}${fabric.risks.length > 0 ? ', a shared risk' : ''} or a tunnel of this network`,
        instead: `write a hub (${hubs.join(', ') || 'there is none'}), an uplink like ${exampleUplink(fabric)},${exampleConnection(fabric)} or a tunnel like ${fabric.tunnels[0]?.id ?? 'a.b--c.d'}`,
      }
    }
    without.push(failure)
  }
  return { ok: true, question: { from: written.from, to: written.to, port: port?.value ?? null, trafficClass: null, without } }
}

/** `frankfurt`, `berlin`, `berlin.b`, `berlin.fiber`, `frankfurt.isp-a--aws-eu-west-1`, `berlin.fiber--frankfurt.isp-a`. */
export function readFailure(fabric: Fabric, text: string): Failure | undefined {
  const tunnel = fabric.tunnels.find((one) => one.id === text)
  if (tunnel) return { kind: 'tunnel', tunnel: tunnel.id }
  for (const { id: external, connections } of externalsOf(fabric))
    for (const { id } of connections) if (connectionName(external, id) === text) return { kind: 'connection', external, connection: id }
  const hub = fabric.sites.find((site) => site.hub && site.id === text)
  if (hub) return { kind: 'hub', site: hub.id }
  const gateway = fabric.sites.find((site) => site.id === text)
  if (gateway) return { kind: 'gateway', site: gateway.id }
  const risk = fabric.risks.find((one) => one.id === text)
  if (risk) return { kind: 'shared_risk', risk: risk.id }
  const at = text.lastIndexOf('.')
  const site = fabric.sites.find((one) => one.id === text.slice(0, at))
  const uplink = site?.uplinks.find((one) => one.id === text.slice(at + 1))
  return site && uplink ? { kind: 'uplink', site: site.id, uplink: uplink.id satisfies UplinkId } : undefined
}

const exampleConnection = (fabric: Fabric): string => {
  const [first] = externalsOf(fabric)
  return first?.connections[0] ? ` a connection like ${connectionName(first.id, first.connections[0].id)},` : ''
}
const exampleUplink = (fabric: Fabric): string => {
  const site = fabric.sites.find((one) => one.uplinks.length > 0)
  return site ? `${site.id}.${site.uplinks[0]!.id}` : 'site.uplink'
}
