/** Small networks built by hand, as `parseIntent` would give them. */
import { compile } from '#src/compile/compile.ts'
import type { ClassId, Fabric, Fact, NetworkId, PeerId, RegionId, Role, SegmentId, SiteId, UplinkId } from '#src/fabric/fabric.ts'
import type {
  Intent,
  IntentClass,
  IntentExpect,
  IntentGroup,
  IntentLine,
  IntentPeer,
  IntentRegion,
  IntentSite,
  IntentUplink,
  Selector,
  UplinkSelector,
} from '#src/intent/intent.ts'
import { ipsecProfiles } from '#src/fabric/ipsec.ts'
import { addressWithLength, type AddressWithLength, comparePrefixes, familyOf, lengthOf, nth, prefix, address } from '#src/net/address.ts'
import { parsePortRange, type PortRange } from '#src/net/ports.ts'

export const siteId = (text: string) => text as SiteId
export const regionId = (text: string) => text as RegionId
export const uplinkId = (text: string) => text as UplinkId
export const segmentId = (text: string) => text as SegmentId
export const classId = (text: string) => text as ClassId

export const ports = (...texts: readonly string[]): PortRange[] =>
  texts.map((text) => {
    const parsed = parsePortRange(text)
    if (!parsed.ok) throw new TypeError(parsed.says)
    return parsed.value
  })

const serviceNames = ['model-api', 'stream', 'registry', 'camera-rtp', 'nowhere-api']
const groupNames = ['printers', 'admins']
export const group = (id: string, ...hosts: readonly string[]): IntentGroup => ({ id, hosts: hosts.map(prefix).sort(comparePrefixes) })
/** `edge/inference`, `same/camera-rtp`, `model-api`, `printers`, `label:north/inference`. */
export function selector(text: string): Selector {
  const [where, what] = text.includes('/') ? (text.split('/') as [string, string]) : [undefined, text]
  const kind: Selector['what'] = serviceNames.includes(what)
    ? { kind: 'service', service: what }
    : groupNames.includes(what)
      ? { kind: 'group', group: what }
      : { kind: 'segment', segment: segmentId(what) }
  const place = (): Selector['where'] => {
    if (where === undefined) return { kind: 'any' }
    if (where === 'same') return { kind: 'same' }
    if (where === 'edge' || where === 'core' || where === 'region' || where === 'peer') return { kind: 'role', role: where }
    if (where.startsWith('label:')) return { kind: 'label', label: where.slice(6) }
    return { kind: 'site', site: siteId(where) }
  }
  return { where: place(), what: kind, text }
}
const arrow = (text: string) => {
  const [from, to] = text.split(' -> ') as [string, string]
  return { from: selector(from), to: selector(to) }
}
export const allow = (text: string, ...on: readonly string[]): IntentLine => {
  const { from, to } = arrow(text)
  return { from, to, ports: on.length > 0 ? ports(...on) : to.what.kind === 'service' ? [] : ports('any'), log: false }
}
export const reach = (text: string, mode: 'any' | 'all' = 'any'): IntentExpect => ({
  kind: 'reach',
  ...arrow(text),
  mode,
  survives: ['uplink', 'tunnel', 'hub'],
})
export const isolate = (text: string): IntentExpect => ({ kind: 'isolate', ...arrow(text) })

export const uplink = (id: string, more: Partial<IntentUplink> = {}): IntentUplink => ({
  id: uplinkId(id),
  interface: `eth-${id}`,
  transport: 'internet',
  medium: id.startsWith('lte') ? 'lte' : id.startsWith('fiber') ? 'fiber' : 'ethernet',
  metered: id.startsWith('lte'),
  tags: [],
  risks: [],
  up: 0,
  down: 0,
  families: [4],
  address: null,
  router: null,
  public: null,
  ...more,
})
export const fixed = (id: string, own: string, router: string, more: Partial<IntentUplink> = {}): IntentUplink =>
  uplink(id, {
    families: [familyOf(addressWithLength(own))],
    address: addressWithLength(own),
    router: address(router),
    public: { address: own.slice(0, own.indexOf('/')) as never, base: 51820 },
    ...more,
  })

export function site(
  id: string,
  role: Role,
  uplinks: readonly IntentUplink[],
  lans: Readonly<Record<string, readonly string[]>>,
  more: Partial<IntentSite> = {},
): IntentSite {
  return {
    id: siteId(id),
    role,
    labels: [],
    place: '',
    hubs: [],
    classes: [],
    uplinks,
    lans: Object.entries(lans).flatMap(([segment, prefixes]) =>
      prefixes.map((text) => {
        const lan = prefix(text)
        return {
          segment: segmentId(segment),
          interface: `lan-${segment}`,
          internet: 'none' as const,
          prefix: lan,
          address: `${nth(lan, 1) ?? nth(lan, 0)}/${lengthOf(lan)}` as AddressWithLength,
        }
      }),
    ),
    ...more,
  }
}
const medium = (value: string): UplinkSelector => ({ kind: 'medium', value })
const noLimit = { loss: 0, latencyMs: 0, jitterMs: 0 }
export const trafficClass = (id: string, more: Partial<IntentClass> = {}): IntentClass => ({
  id: classId(id),
  dscp: 0,
  share: 25,
  sla: noLimit,
  prefer: [],
  avoid: [],
  never: [],
  ...more,
})

export const fourClasses: readonly IntentClass[] = [
  trafficClass('realtime', { dscp: 46, sla: { loss: 0.01, latencyMs: 100, jitterMs: 20 } }),
  trafficClass('business', { dscp: 18, sla: { loss: 0, latencyMs: 120, jitterMs: 0 }, avoid: [medium('lte')] }),
  trafficClass('bulk', { dscp: 10, never: [{ kind: 'metered', value: 'metered' }] }),
  trafficClass('default'),
]

export const frankfurt = site(
  'frankfurt',
  'core',
  [fixed('isp-a', '192.0.2.10/28', '192.0.2.1'), fixed('isp-b', '198.51.100.10/28', '198.51.100.1')],
  { inference: ['10.10.0.0/16'], training: ['10.20.0.0/16'] },
)
export const dublin = site('dublin', 'core', [fixed('isp-a', '192.0.2.26/28', '192.0.2.17'), fixed('isp-b', '198.51.100.26/28', '198.51.100.17')], {
  inference: ['10.11.0.0/16'],
})
export const hubOrder = { hubs: [siteId('frankfurt'), siteId('dublin')] }
export const edge = (id: string, lans: Readonly<Record<string, readonly string[]>>, more: Partial<IntentSite> = {}): IntentSite =>
  site(id, 'edge', [uplink('fiber'), uplink('lte')], lans, { ...hubOrder, ...more })
export const berlin = edge('berlin', { inference: ['10.1.10.0/24'], cameras: ['192.168.1.0/24'] })
export const madrid = edge('madrid', { inference: ['10.1.11.0/24'] })
export const oslo = edge('oslo', { inference: ['10.1.12.0/24'] })

export const cloud: IntentRegion = {
  id: regionId('aws-eu-west-1'),
  provider: 'aws',
  attach: 'transit-gateway',
  routing: 'static',
  location: 'eu-west-1',
  asn: 64512,
  hubAsn: 65000,
  hubs: hubOrder.hubs,
  segment: segmentId('inference'),
  networks: [{ id: 'vpc-0a1b2c3d4e5f60718', prefixes: [prefix('10.96.0.0/16')] }],
}

export const partner: IntentPeer = {
  id: 'partner' as PeerId,
  gateways: [
    { address: address('203.0.113.200'), id: '203.0.113.200' },
    { address: address('203.0.113.201'), id: 'gw.partner.example' },
  ],
  transport: 'internet',
  hubs: hubOrder.hubs,
  lans: [{ segment: segmentId('inference'), prefix: prefix('172.20.0.0/16') }],
  probe: null,
  pools: [],
  profile: ipsecProfiles.strong,
}

export function network(more: Partial<Intent> = {}): Intent {
  return {
    network: 'demo' as NetworkId,
    mtu: 1360,
    hubs: hubOrder.hubs,
    segments: ['cameras', 'inference', 'training'].map(segmentId),
    internet: [],
    transports: [{ id: 'internet', reaches: [] }],
    sites: [berlin, dublin, frankfurt, madrid, oslo],
    regions: [],
    peers: [],
    groups: [],
    services: [
      { id: 'camera-rtp', at: [selector('inference')], endpoints: [], ports: ports('udp/5004-5010'), trafficClass: classId('realtime') },
      { id: 'model-api', at: [selector('core/inference')], endpoints: [], ports: ports('tcp/8443'), trafficClass: classId('business') },
      { id: 'registry', at: [selector('core/inference')], endpoints: [], ports: ports('tcp/443'), trafficClass: classId('bulk') },
      { id: 'stream', at: [selector('core/inference')], endpoints: [], ports: ports('udp/7000'), trafficClass: classId('realtime') },
    ],
    classes: fourClasses,
    allow: [
      allow('cameras -> same/camera-rtp'),
      allow('edge/inference -> model-api'),
      allow('edge/inference -> stream'),
      allow('inference -> registry'),
    ],
    deny: [],
    expect: [isolate('cameras -> training'), reach('edge/inference -> model-api'), reach('edge/inference -> stream')],
    ...more,
  }
}

/** The VPC and every site that has its segment with IPv6 beside their IPv4. */
export const dualCloud: IntentRegion = {
  ...cloud,
  networks: [{ id: 'vpc-0a1b2c3d4e5f60718', prefixes: [prefix('10.96.0.0/16'), prefix('2600:1f18:1234:5600::/56')] }],
}
export function dualNetwork(region: Partial<IntentRegion> = {}): Intent {
  const sites = network().sites.map((one, n) => {
    const lan = one.lans.find(({ segment }) => segment === cloud.segment)
    const six = { prefix: prefix(`fd10:${n}::/64`), address: addressWithLength(`fd10:${n}::1/64`) }
    return lan ? { ...one, lans: [...one.lans, { ...lan, ...six }] } : one
  })
  const allows = [...network().allow, allow('edge/inference -> aws-eu-west-1/inference', 'tcp/8443')]
  return network({ sites, regions: [{ ...dualCloud, ...region }], allow: allows })
}
export const dualFabric = (): Fabric => compile(dualNetwork(), []).fabric!

/** What the world reports once everything is there, with keys that are none. */
export const factsOf = (fabric: Fabric): readonly Fact[] => [
  ...fabric.sites.flatMap((one) =>
    one.interfaces.map(({ id }): Fact => ({ kind: 'key', site: one.id, interface: id, linkEpoch: 0, publicKey: 'x'.repeat(44) })),
  ),
  ...fabric.tunnels.flatMap((tunnel): readonly Fact[] =>
    tunnel.role === 'cloud'
      ? [
          { kind: 'psk', tunnel: tunnel.id, linkEpoch: 0, ref: { id: `psk/${tunnel.id}`, version: 1, fingerprint: '0123456789abcdef' } },
          { kind: 'cloud-endpoint', tunnel: tunnel.id, address: address('203.0.113.9') },
        ]
      : [],
  ),
]
