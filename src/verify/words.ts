/** How a witness names things: the words of the YAML and the CLI. */
import type { ClassId, Fabric, Group, Hop, NodeId, Place, Tunnel } from '#src/fabric/fabric.ts'
import { nodeOf } from '#src/fabric/ids.ts'
import { carries } from '#src/fabric/ipsec.ts'
import { formatHosts } from '#src/net/address.ts'
import type { Drop, Stop, Vertex } from './forward.ts'
import type { Model } from './model.ts'

/** `berlin/cameras`; with its address when it is one host: `berlin/cameras (192.168.1.10)`. */
export function placeName({ node, segment, prefixes: [first, ...others] }: Place): string {
  const host = first !== undefined && others.length === 0 ? formatHosts(first) : undefined
  return `${node}/${segment}${host === undefined || host === first ? '' : ` (${host})`}`
}
/** Ids carry the line as written and then who it is for: `… tcp/8443#out inference>inference`, `… @berlin`. Origins know the line. */
export const lineOf = (id: string): string => id.replace(/#.*$| @.*$/, '')
/** Whose expectation it is when each caller has its own: `… @berlin`, `… @berlin#ways`. */
export const callerOf = (id: string): NodeId | null => (/ @([^#]+)/.exec(id)?.[1] as NodeId | undefined) ?? null
/** `edge/inference -> model-api` → both halves. */
export function halves(text: string): { readonly from: string; readonly to: string } {
  const [from = '', to = ''] = text.split('->')
  return { from: from.trim(), to: to.trim() }
}

/** What a line is called at one end: its uplink; a cloud or peer has no uplinks of ours, the connection is named by the other end. */
const lineAt = (end: Tunnel['ends'][number]): string => ('site' in end ? end.uplink : 'ipsec')
/** `berlin ─fiber/isp-a→ frankfurt ─isp-a/ipsec→ aws-eu-west-1`: each hop by the uplinks that it uses. */
export function pathText(model: Model, from: NodeId, path: readonly Hop[]): string {
  let text: string = from
  let at = from
  for (const hop of path) {
    const tunnel = model.tunnel(hop.tunnel)
    const near = tunnel?.ends.find((end) => nodeOf(end) === at)
    const far = tunnel?.ends.find((end) => nodeOf(end) !== at)
    text += near && far ? ` ─${lineAt(near)}/${lineAt(far)}→ ${hop.next}` : ` ─${hop.tunnel}→ ${hop.next}`
    at = hop.next
  }
  return text
}

/** `20M`, `1.5G`: bit/s as people write them, so exact that what differs is told apart. */
export function bitsText(bits: number): string {
  const [unit, scale] = bits >= 1e9 ? (['G', 1e9] as const) : bits >= 1e6 ? (['M', 1e6] as const) : (['K', 1e3] as const)
  return `${Number((bits / scale).toFixed(6))}${unit}`
}

/** Tunnels between two nodes that no hop of the group uses: those that its class never takes. */
export function neverUsed(fabric: Fabric, at: NodeId, group: Group): readonly Tunnel[] {
  const nexts = new Set<NodeId>([...group.via.map((hop) => hop.next), group.remote])
  const used = new Set(group.via.map((hop) => hop.tunnel))
  const { family } = group
  return fabric.tunnels.filter((tunnel) => {
    const nodes = tunnel.ends.map(nodeOf)
    const joins = nodes.includes(at) && nodes.some((node) => node !== at && nexts.has(node))
    return joins && !used.has(tunnel.id) && (family === undefined || carries(tunnel, family))
  })
}
/** `lte`, or `lte and sat`: the near uplinks of these tunnels. */
export function uplinksText(tunnels: readonly Tunnel[], at: NodeId): string {
  const names = [...new Set(tunnels.flatMap((tunnel) => tunnel.ends.filter((end) => nodeOf(end) === at).map(lineAt)))].sort()
  return names.length < 2 ? (names[0] ?? 'nothing') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}

/** Why packets stop, one clause without a full stop. */
export function whyText(why: Drop, at: NodeId, trafficClass: ClassId): string {
  switch (why) {
    case 'policy':
      return `no \`allow\` at ${at} covers it`
    case 'denied':
      return `a \`deny\` at ${at} covers it`
    case 'spoofed':
      return `${at} does not accept that source from where it came`
    case 'shadowed':
      return `a LAN of ${at} has hosts with the same address, which is not translated at the other end`
    case 'no-route':
      return `${at} has no route to it`
    case 'transit':
      return `${at} may not carry this pair of prefixes for others`
    case 'no-group':
      return `${at} has no path for class ${trafficClass} to it from where it came`
    case 'no-hop':
      return `class ${trafficClass} never uses any path that ${at} has`
    case 'all-down':
      return `every path that class ${trafficClass} may use at ${at} is down`
    case 'peer':
      return `the peer that ${at} would send it to does not accept that destination`
    case 'unmoved':
      return `the return route of ${at} still leads into a connection that is down`
    case 'dead':
      return `${at} itself has failed`
    case 'loop':
      return `it comes back to ${at}`
    default:
      throw new TypeError(`no such reason: ${why satisfies never}`)
  }
}

/** Where and why it stops, and the paths that are up but forbidden to its class. */
export function stopText(model: Model, stop: Stop, trafficClass: ClassId, isDown: (tunnel: Tunnel['id']) => boolean): string {
  const text = `stops at ${stop.node}: ${whyText(stop.why, stop.node, trafficClass)}`
  const forbidden = stop.why === 'all-down' || stop.why === 'no-hop' || stop.why === 'no-group' ? forbiddenAt(model, stop.vertex, isDown) : []
  return forbidden.length === 0 ? text : `${text}; ${uplinksText(forbidden, stop.node)} is up, but class ${trafficClass} never uses it`
}
const forbiddenAt = (model: Model, vertex: Vertex, isDown: (tunnel: Tunnel['id']) => boolean): readonly Tunnel[] =>
  vertex.decision.kind === 'forward' ? neverUsed(model.fabric, vertex.node, vertex.decision.group).filter((tunnel) => !isDown(tunnel.id)) : []
