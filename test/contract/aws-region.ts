/** The region that the contract suite builds: two hubs' uplinks, one VPC; and the loop with which a workflow drives the provider. */
import { waves } from '#providers/aws/index.ts'
import type { CloudFact, CloudProvider, Resource, Run } from '#providers/cloud.ts'
import type { ConnectionId, NetworkId, Region, RegionId, SegmentId, SiteId, TunnelId, UplinkId, ClassId } from '#src/fabric/fabric.ts'
import { address, type Prefix, prefix } from '#src/net/address.ts'

export const network = 'acme' as NetworkId
const member = (name: string, n: number, inside: string) => ({ tunnel: `${name}--aws-eu-west-1/${n}` as TunnelId, inside: prefix(inside) })
const connection = (site: string, uplink: string, at: string, third: number): Region['connections'][number] => ({
  id: `${site}.${uplink}` as ConnectionId,
  site: site as SiteId,
  uplink: uplink as UplinkId,
  address: address(at),
  members: [member(`${site}.${uplink}`, 0, `169.254.${third}.0/30`), member(`${site}.${uplink}`, 1, `169.254.${third}.4/30`)],
})
const segment = 'inference' as SegmentId
const flow = (...prefixes: readonly string[]) => ({ segment, prefixes: prefixes.map(prefix) })

export function sampleRegion(vpc: string, vpcPrefixes: readonly Prefix[], more: Partial<Region> = {}): Region {
  return {
    kind: 'region',
    id: 'aws-eu-west-1' as RegionId,
    index: 5,
    provider: 'aws',
    attach: 'transit-gateway',
    location: 'eu-west-1',
    routing: 'static',
    asn: 64_512,
    hubAsn: 64_600,
    segment,
    networks: [{ id: vpc, prefixes: vpcPrefixes }],
    connections: [connection('frankfurt', 'isp-a', '192.0.2.10', 10), connection('dublin', 'isp-a', '198.51.100.10', 11)],
    lans: [],
    routes: ['10.1.10.0/24', '10.1.11.0/24', '10.2.10.0/24'].map((to, at) => ({
      segment,
      to: prefix(to),
      remote: (at < 2 ? 'frankfurt' : 'dublin') as SiteId,
    })),
    groups: [],
    rules: [
      {
        id: 'edges-to-model',
        from: flow('10.1.10.0/24', '10.1.11.0/24'),
        to: { segment, prefixes: vpcPrefixes },
        ports: [{ protocol: 'tcp', from: 8443, to: 8443 }],
        trafficClass: 'default' as ClassId,
      },
      {
        id: 'model-to-core',
        from: { segment, prefixes: vpcPrefixes },
        to: flow('10.2.10.0/24'),
        ports: [{ protocol: 'udp', from: 5000, to: 5010 }],
        trafficClass: 'default' as ClassId,
      },
    ],
    transits: [],
    ...more,
  }
}
/** Each overlay prefix by the connection of its own hub. */
export const sampleRoutes = (of: Region): ReadonlyMap<Prefix, ConnectionId> =>
  new Map(of.routes.map(({ to, remote }) => [to, of.connections.find((one) => one.site === remote)!.id] as const))

/** Takes steps until none is left; rejects as the first that can't be taken does, once those beside it have ended. */
export async function converge(
  provider: CloudProvider,
  of: NetworkId,
  region: Region,
  goal: readonly Resource[],
  run: Run,
): Promise<readonly CloudFact[]> {
  const facts: CloudFact[] = []
  for (let round = 0; round < 5; round++) {
    const left = provider.steps(goal, await provider.observe(of, region, run.signal))
    if (left.length === 0) return facts
    for (const group of waves(left)) {
      const ended = await Promise.allSettled(group.map((step) => provider.apply(of, region, step, run)))
      for (const one of ended) {
        if (one.status === 'rejected') throw one.reason as Error
        facts.push(...one.value)
      }
    }
  }
  throw new Error('it does not converge')
}
