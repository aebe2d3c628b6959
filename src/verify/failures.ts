/** Every single thing that can break, and what goes down with it. */
import type { Fabric, Failure, NodeId, Survives, TunnelId } from '#src/fabric/fabric.ts'
import { connectionName, siteEnds } from '#src/fabric/ids.ts'
import { externalsOf } from '#src/fabric/slice.ts'
import type { Down } from './forward.ts'

export interface Break {
  readonly failure: Failure
  readonly kind: Survives
  readonly tunnels: ReadonlySet<TunnelId>
  /** The node that is gone, with its LANs. */
  readonly dead: NodeId | null
}
export interface Breaks {
  readonly all: readonly Break[]
  /** Those that take a tunnel down: a proof looks only at the failures of the tunnels that it uses. */
  readonly of: (tunnel: TunnelId) => readonly Break[]
}

/** Each uplink, tunnel, hub and connection to a cloud or peer, alone. An uplink takes its connections with it. */
export function breaksOf(fabric: Fabric): Breaks {
  const byEnd = new Map<string, Set<TunnelId>>()
  const add = (key: string, tunnel: TunnelId): void => {
    const known = byEnd.get(key)
    if (known) known.add(tunnel)
    else byEnd.set(key, new Set([tunnel]))
  }
  for (const tunnel of fabric.tunnels) {
    for (const end of siteEnds(tunnel)) {
      add(`${end.site}/${end.uplink}`, tunnel.id)
      add(end.site, tunnel.id)
    }
  }
  const none: ReadonlySet<TunnelId> = new Set()
  const all: Break[] = [
    ...fabric.sites.flatMap((site) =>
      site.uplinks.map(
        (uplink): Break => ({
          failure: { kind: 'uplink', site: site.id, uplink: uplink.id },
          kind: 'uplink',
          tunnels: byEnd.get(`${site.id}/${uplink.id}`) ?? none,
          dead: null,
        }),
      ),
    ),
    ...fabric.tunnels.map(
      (tunnel): Break => ({ failure: { kind: 'tunnel', tunnel: tunnel.id }, kind: 'tunnel', tunnels: new Set([tunnel.id]), dead: null }),
    ),
    ...fabric.sites
      .filter((site) => site.hub)
      .map((site): Break => ({ failure: { kind: 'hub', site: site.id }, kind: 'hub', tunnels: byEnd.get(site.id) ?? none, dead: site.id })),
    ...externalsOf(fabric).flatMap((external) =>
      external.connections.map(
        ({ id, members }): Break => ({
          failure: { kind: 'connection', external: external.id, connection: id },
          kind: 'connection',
          tunnels: new Set(members.map((member) => member.tunnel)),
          dead: null,
        }),
      ),
    ),
  ]
  const index = new Map<TunnelId, Break[]>()
  for (const one of all) {
    for (const tunnel of one.tunnels) {
      const known = index.get(tunnel)
      if (known) known.push(one)
      else index.set(tunnel, [one])
    }
  }
  return { all, of: (tunnel) => index.get(tunnel) ?? [] }
}

export const nothingDown: Down = () => false
/** What is down when all of `failures` happen at once. */
export function downWith(fabric: Fabric, failures: readonly Failure[]): { readonly down: Down; readonly dead: ReadonlySet<NodeId> } {
  const tunnels = new Set<TunnelId>()
  const dead = new Set<NodeId>()
  for (const failure of failures) {
    switch (failure.kind) {
      case 'tunnel':
        tunnels.add(failure.tunnel)
        break
      case 'uplink':
        for (const tunnel of fabric.tunnels)
          if (siteEnds(tunnel).some((end) => end.site === failure.site && end.uplink === failure.uplink)) tunnels.add(tunnel.id)
        break
      case 'hub':
        dead.add(failure.site)
        for (const tunnel of fabric.tunnels) if (siteEnds(tunnel).some((end) => end.site === failure.site)) tunnels.add(tunnel.id)
        break
      case 'connection':
        for (const external of externalsOf(fabric))
          for (const { id, members } of external.connections)
            if (external.id === failure.external && id === failure.connection) for (const member of members) tunnels.add(member.tunnel)
        break
      default:
        throw new TypeError(`no such failure: ${failure satisfies never}`)
    }
  }
  return { down: (tunnel) => tunnels.has(tunnel), dead }
}

/** `frankfurt`, `berlin.fiber`, `berlin.fiber--frankfurt.isp-a`, `frankfurt.isp-a--aws-eu-west-1`: the names that `trace --without` and `lab break` take. */
export function nameOf(failure: Failure): string {
  switch (failure.kind) {
    case 'tunnel':
      return failure.tunnel
    case 'uplink':
      return `${failure.site}.${failure.uplink}`
    case 'hub':
      return failure.site
    case 'connection':
      return connectionName(failure.external, failure.connection)
    default:
      throw new TypeError(`no such failure: ${failure satisfies never}`)
  }
}
