/** A small network with a region: one hub with two uplinks, one edge. */
import type { RegionId } from '#src/fabric/fabric.ts'
import type { Intent, IntentRegion } from '#src/intent/intent.ts'
import { prefix } from '#src/net/address.ts'
import { allow, edge, frankfurt, hubOrder, network, segmentId } from '#test/unit/compile/networks.ts'
import type { FakeCloud } from './fake-cloud.ts'

export const region = 'aws-eu-west-1'
const hubs = hubOrder.hubs.slice(0, 1)
const aws: IntentRegion = {
  id: region as RegionId,
  provider: 'aws',
  attach: 'transit-gateway',
  routing: 'static',
  location: 'eu-west-1',
  asn: 64_512,
  hubAsn: 64_600,
  hubs,
  segment: segmentId('inference'),
  networks: [{ id: 'vpc-0a1b2c3d', prefixes: [prefix('10.50.0.0/16')] }],
}

/** `more`: prefixes that berlin has as well. */
export const cloudy = ({ more = [] }: { readonly more?: readonly string[] } = {}): Intent =>
  network({
    sites: [edge('berlin', { inference: ['10.1.10.0/24', ...more] }, { hubs }), frankfurt],
    hubs,
    regions: [aws],
    services: [],
    expect: [],
    allow: [allow('inference -> inference', 'tcp/8443')],
  })

/** What the fake cloud holds for it: how many of each type, and each id once. */
export const kinds = (cloud: FakeCloud) => {
  const living = cloud.living()
  const count = (type: string) => living.filter((of) => of.type === type).length
  return { gateway: count('gateway'), connection: count('connection'), route: count('route'), ids: new Set(living.map(({ id }) => id)).size }
}
export const resourcesOf = () => ({ gateway: 1, connection: 2, route: 2, ids: 5 })
