/** Every single thing that can break, and what goes down with it. */
import type { Fabric, Failure, NodeId, Place, SharedRisk, Site, SiteId, Survives, TunnelId, UplinkId } from '#src/fabric/fabric.ts'
import { connectionName, isSecondGateway, secondGateway, siteEnds, siteOfGateway } from '#src/fabric/ids.ts'
import { externalsOf } from '#src/fabric/slice.ts'
import type { Down } from './forward.ts'
import { onceOf } from '#src/net/once.ts'

export interface Break {
  /** One, or any two uplinks. */
  readonly failures: readonly Failure[]
  readonly kind: Survives
  readonly down: Down
  /** The node that is gone, with its LANs. */
  readonly dead: NodeId | null
}
export interface Breaks {
  readonly all: readonly Break[]
  /** Those that take a tunnel down: a proof looks only at the failures of the tunnels that it uses. */
  readonly of: (tunnel: TunnelId) => readonly Break[]
  /** The gateways at either end. */
  readonly at: (ends: { readonly from: Place; readonly to: Place }) => readonly Break[]
}

/** Two at a time. */
export const together = (a: Break, b: Break): Break => ({
  failures: [...a.failures, ...b.failures],
  kind: 'any two uplinks',
  down: (tunnel) => a.down(tunnel) || b.down(tunnel),
  dead: null,
})

/** Each uplink, tunnel, hub, gateway, connection to a cloud or peer and shared risk, alone. An uplink takes its connections with it. */
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
  const of = (failure: Failure, tunnels: Iterable<TunnelId>, dead: NodeId | null = null) => ({ failure, tunnels: new Set(tunnels), dead })
  const all: Break[] = []
  const index = new Map<TunnelId, Break[]>()
  for (const { failure, tunnels, dead } of [
    ...fabric.sites.flatMap((site) =>
      site.uplinks.map((uplink) => of({ kind: 'uplink', site: site.id, uplink: uplink.id }, byEnd.get(`${site.id}/${uplink.id}`) ?? [])),
    ),
    ...fabric.tunnels.map((tunnel) => of({ kind: 'tunnel', tunnel: tunnel.id }, [tunnel.id])),
    ...fabric.sites.filter((site) => site.hub).map((site) => of({ kind: 'hub', site: site.id }, byEnd.get(site.id) ?? [], site.id)),
    ...gatewaysOf(fabric).map(({ id }) => of({ kind: 'gateway', site: id }, byEnd.get(id) ?? [], isAlone(fabric, id) ? id : null)),
    ...externalsOf(fabric).flatMap((external) =>
      external.connections.map(({ id, members }) =>
        of(
          { kind: 'connection', external: external.id, connection: id },
          members.map((member) => member.tunnel),
        ),
      ),
    ),
    ...fabric.risks.map((risk) => of({ kind: 'shared_risk', risk: risk.id }, tunnelsOfRisk(byEnd, risk))),
  ]) {
    const one: Break = { failures: [failure], kind: failure.kind, down: (tunnel) => tunnels.has(tunnel), dead }
    all.push(one)
    for (const tunnel of tunnels) {
      const known = index.get(tunnel)
      if (known) known.push(one)
      else index.set(tunnel, [one])
    }
  }
  const gateways = Map.groupBy(all, ({ failures: [one] }) => (one?.kind === 'gateway' ? siteOfGateway(one.site) : undefined))
  return {
    all,
    of: (tunnel) => index.get(tunnel) ?? [],
    at: ({ from, to }) => [from.node, to.node].flatMap((node) => gateways.get(node as SiteId) ?? []),
  }
}
/** Those that fail as gateways: of a pair each, and where an expectation asks, also who is alone at a site, with which it fails. */
function gatewaysOf(fabric: Fabric): readonly Site[] {
  const isAsked = fabric.expects.some((expect) => expect.kind !== 'isolate' && expect.survives.includes('gateway'))
  return fabric.sites.filter(({ id, hub }) => !hub && (isAsked || !isAlone(fabric, id)))
}
const secondsOf = onceOf((fabric: Fabric): ReadonlySet<SiteId> => new Set(fabric.sites.map((site) => site.id).filter(isSecondGateway)))
const isAlone = (fabric: Fabric, id: SiteId): boolean => !secondsOf(fabric).has(secondGateway(siteOfGateway(id)))
const tunnelsOfRisk = (byEnd: ReadonlyMap<string, ReadonlySet<TunnelId>>, { uplinks }: SharedRisk): readonly TunnelId[] =>
  uplinks.flatMap(({ site, uplink }) => [...(byEnd.get(`${site}/${uplink}`) ?? [])])

export const countFailures = (fabric: Fabric): number =>
  fabric.sites.reduce((sum, site) => sum + site.uplinks.length + (site.hub ? 1 : 0), fabric.tunnels.length + fabric.risks.length) +
  gatewaysOf(fabric).length +
  externalsOf(fabric).reduce((sum, external) => sum + external.connections.length, 0)

/** Whether one of `failures` takes the uplink down, by itself or with what it shares a risk with. */
export const isBroken = ({ risks }: Fabric, failures: readonly Failure[], site: NodeId, uplink: UplinkId): boolean =>
  failures.some(
    (failure) =>
      (failure.kind === 'uplink' && failure.site === site && failure.uplink === uplink) ||
      (failure.kind === 'shared_risk' &&
        risks.some(({ id, uplinks }) => id === failure.risk && uplinks.some((one) => one.site === site && one.uplink === uplink))),
  )

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
      case 'shared_risk': {
        const cut = fabric.risks.find((risk) => risk.id === failure.risk)?.uplinks ?? []
        for (const tunnel of fabric.tunnels)
          if (siteEnds(tunnel).some((end) => cut.some(({ site, uplink }) => site === end.site && uplink === end.uplink))) tunnels.add(tunnel.id)
        break
      }
      case 'hub':
      case 'gateway':
        if (failure.kind === 'hub' || isAlone(fabric, failure.site)) dead.add(failure.site)
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

/** `frankfurt`, `berlin.fiber`, `berlin.fiber--frankfurt.isp-a`, `frankfurt.isp-a--aws-eu-west-1`, `duct-7`: the names that `trace --without` and `lab break` take. */
export function nameOf(failure: Failure): string {
  switch (failure.kind) {
    case 'tunnel':
      return failure.tunnel
    case 'uplink':
      return `${failure.site}.${failure.uplink}`
    case 'hub':
    case 'gateway':
      return failure.site
    case 'connection':
      return connectionName(failure.external, failure.connection)
    case 'shared_risk':
      return failure.risk
    default:
      throw new TypeError(`no such failure: ${failure satisfies never}`)
  }
}
