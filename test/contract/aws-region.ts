/** The region that the contract suite builds: two hubs' uplinks, one VPC; and the loop with which a workflow drives the provider. */
import { waves } from '#providers/aws/index.ts'
import type { CloudFact, CloudProvider, Resource, Run } from '#providers/cloud.ts'
import type { ConnectionId, NetworkId, Region, RegionId, SegmentId, SiteId, TunnelId, UplinkId, ClassId } from '#src/fabric/fabric.ts'
import { address, familyOf, type Prefix, prefix } from '#src/net/address.ts'
import { familiesIn } from '#src/net/sets.ts'

export const network = 'acme' as NetworkId
const member = (name: string, n: number, inside: string) => ({ tunnel: `${name}--aws-eu-west-1/${n}` as TunnelId, inside: prefix(inside) })
const connection = (site: string, uplink: string, at: string, third: number): Region['connections'][number] => ({
  id: `${site}.${uplink}` as ConnectionId,
  site: site as SiteId,
  uplink: uplink as UplinkId,
  address: address(at),
  members: [member(`${site}.${uplink}`, 0, `169.254.${third}.0/30`), member(`${site}.${uplink}`, 1, `169.254.${third}.4/30`)],
})
/** The same for IPv6. */
const sixth = (of: Region['connections'][number], subnet: number): Region['connections'][number] => ({
  ...of,
  id: `${of.id}:v6` as ConnectionId,
  members: [member(`${of.id}:v6`, 0, `fd00:6::${subnet}:0/126`), member(`${of.id}:v6`, 1, `fd00:6::${subnet}:4/126`)],
})
const segment = 'inference' as SegmentId
const flow = (...prefixes: readonly string[]) => ({ segment, prefixes: prefixes.map(prefix) })

/** In the families of the VPC. */
export function sampleRegion(vpc: string, vpcPrefixes: readonly Prefix[], more: Partial<Region> = {}): Region {
  const families = familiesIn(vpcPrefixes)
  const [near, far] = [connection('frankfurt', 'isp-a', '192.0.2.10', 10), connection('dublin', 'isp-a', '198.51.100.10', 11)]
  const overlay = [
    ['10.1.10.0/24', '10.1.11.0/24', '10.2.10.0/24'],
    families.includes(6) ? ['fd10:1:0:10::/64', 'fd10:1:0:11::/64', 'fd10:2:0:10::/64'] : [],
  ]
  const at = (...places: readonly number[]): readonly string[] => overlay.flatMap((one) => places.flatMap((place) => one[place] ?? []))
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
    connections: families.includes(6) ? [near, sixth(near, 10), far, sixth(far, 11)] : [near, far],
    lans: [],
    routes: overlay.flatMap((one) => one.map((to, place) => ({ segment, to: prefix(to), remote: (place < 2 ? 'frankfurt' : 'dublin') as SiteId }))),
    groups: [],
    rules: [
      {
        id: 'edges-to-model',
        from: flow(...at(0, 1)),
        to: { segment, prefixes: vpcPrefixes },
        ports: [{ protocol: 'tcp', from: 8443, to: 8443 }],
        trafficClass: 'default' as ClassId,
      },
      {
        id: 'model-to-core',
        from: { segment, prefixes: vpcPrefixes },
        to: flow(...at(2)),
        ports: [{ protocol: 'udp', from: 5000, to: 5010 }],
        trafficClass: 'default' as ClassId,
      },
    ],
    transits: [],
    ...more,
  }
}
/** Each overlay prefix by the connection of its own hub, in its family. */
export const sampleRoutes = (of: Region): ReadonlyMap<Prefix, ConnectionId> =>
  new Map(of.routes.map(({ to, remote }) => [to, carrying(of, to).find((one) => one.site === remote)!.id] as const))
/** Connections that carry what is for a prefix. */
export const carrying = (of: Region, to: Prefix): Region['connections'] =>
  of.connections.filter(({ members: [{ inside }] }) => familyOf(inside) === familyOf(to))

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
