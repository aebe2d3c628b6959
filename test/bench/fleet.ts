/**
 * The network that scale is measured with: N edges of two uplinks and two LANs, each with a home and a standby among four
 * hubs of two uplinks; four cloud regions, eight segments, 100 allows. As a folder, and as the Intent it is read as.
 */
import type { SegmentId, SiteId, UplinkId } from '#src/fabric/fabric.ts'
import { compareText } from '#src/fabric/ids.ts'
import type { Intent, IntentLan, IntentSite, IntentUplink } from '#src/intent/intent.ts'
import { parseIntent } from '#src/intent/parse.ts'
import type { SourceFile } from '#src/intent/yaml.ts'
import { address, addressWithLength, type AddressWithLength, prefix } from '#src/net/address.ts'

const segments = ['cameras', 'guests', 'iot', 'office', 'pos', 'stock', 'training', 'voice'] as const
const classes = ['realtime', 'business', 'bulk', 'default'] as const
const regions = ['aws-ap-southeast-1', 'aws-eu-central-1', 'aws-eu-west-1', 'aws-us-east-1'] as const
const hubs = ['hub-1', 'hub-2', 'hub-3', 'hub-4'] as const
const areas = 10
const at = <T>(of: readonly T[], n: number): T => of[n % of.length]!

interface Edge {
  readonly id: string
  readonly area: string
  readonly hubs: readonly string[]
  readonly lans: readonly { readonly segment: string; readonly interface: string; readonly prefix: string; readonly address: string }[]
}
function edge(n: number, edges: number): Edge {
  return {
    id: `edge-${String(n).padStart(5, '0')}`,
    area: `area-${Math.floor((n * areas) / edges)}`,
    hubs: [at(hubs, n), at(hubs, n + 1)],
    lans: [0, 1].map((lan) => {
      const net = `10.${Math.floor(n / 128)}.${(n % 128) * 2 + lan}`
      return { segment: at(segments, n + lan), interface: `eth${2 + lan}`, prefix: `${net}.0/24`, address: `${net}.1/24` }
    }),
  }
}

/** 100 of them: to services, to and from the clouds, within a site, from site to site, and of one area to one hub. */
function allows(): readonly string[] {
  const toServices = segments.map((segment) => `edge/${segment} -> ${segment}-api`)
  const toClouds = regions.map((region, n) => `edge/${segments[n]} -> ${region}/${segments[n]} tcp/443`)
  const fromClouds = regions.map((region, n) => `${region}/${segments[n]} -> core/${segments[n]} tcp/5432`)
  const within = segments.map((segment, n) => `${segment} -> same/${at(segments, n + 1)} tcp/9100`)
  const between = Array.from({ length: areas }, (_, n) => `area-${n}/voice -> area-${n}/voice udp/5004-5010`)
  const rest = 100 - toServices.length - toClouds.length - fromClouds.length - within.length - between.length
  const toHubs = Array.from(
    { length: rest },
    (_, n) => `area-${n % areas}/${at(segments, n)} -> ${at(hubs, n)}/${at(segments, n + 3)} tcp/${2000 + n}`,
  )
  return [...toServices, ...toClouds, ...fromClouds, ...within, ...between, ...toHubs]
}

const networkFile = (): string =>
  [
    'network: fleet',
    `hubs: [${hubs.join(', ')}]`,
    `segments: [${segments.join(', ')}]`,
    'services:',
    ...segments.map((segment, n) => `  ${segment}-api: { at: core/${segment}, ports: tcp/${8000 + n}, class: ${at(classes, n)} }`),
    'classes:',
    '  realtime: { sla: { latency: 100ms, jitter: 20ms, loss: 1% } }',
    '  business: { avoid: lte }',
    '  bulk: { never: metered }',
    'allow:',
    ...allows().map((line) => `  - ${line}`),
    'expect:',
    ...segments.map(
      (segment, n) => `  - { reach: edge/${segment} -> ${segment}-api, survives: [${at(classes, n) === 'bulk' ? 'hub' : 'uplink, hub, tunnel'}] }`,
    ),
    ...regions.map((region, n) => `  - { reach: edge/${segments[n]} -> ${region}/${segments[n]}, survives: [uplink, hub, tunnel, connection] }`),
    '  - isolate: edge/guests -> edge/pos',
    '  - isolate: edge/cameras -> edge/cameras',
    '',
  ].join('\n')

const hubFile = (id: string, n: number): string =>
  [
    `site: ${id}`,
    'role: core',
    'uplinks:',
    `  isp-a: { interface: eth0, address: 192.0.2.${n * 16 + 10}/28, router: 192.0.2.${n * 16 + 1}, rate: 10G }`,
    `  isp-b: { interface: eth1, address: 198.51.100.${n * 16 + 10}/28, router: 198.51.100.${n * 16 + 1}, rate: 10G }`,
    'segments:',
    ...segments.map((segment, lan) => `  ${segment}: { interface: eth${2 + lan}, prefixes: 10.${200 + n * segments.length + lan}.0.0/16 }`),
    '',
  ].join('\n')

const regionFile = (id: string, n: number): string =>
  `region: ${id}\nprovider: aws\nsegments:\n  ${segments[n]}: { vpcs: vpc-0a1b2c3d4e5f6071${n}, prefixes: 10.${240 + n}.0.0/16 }\n`

const edgeFile = ({ id, area, hubs: own, lans }: Edge): string =>
  [
    `site: ${id}`,
    `labels: ${area}`,
    `hubs: [${own.join(', ')}]`,
    'uplinks:',
    '  fiber: { interface: eth0, rate: 500M/100M }',
    '  lte: { interface: wwan0, rate: 50M/10M }',
    'segments:',
    ...lans.map((lan) => `  ${lan.segment}: { interface: ${lan.interface}, prefixes: ${lan.prefix} }`),
    '',
  ].join('\n')

export const fleetFiles = (edges: number): readonly SourceFile[] => [
  { path: 'network.yaml', text: networkFile() },
  ...hubs.map((id, n) => ({ path: `${id}.yaml`, text: hubFile(id, n) })),
  ...regions.map((id, n) => ({ path: `${id}.yaml`, text: regionFile(id, n) })),
  ...Array.from({ length: edges }, (_, n) => edge(n, edges)).map((one) => ({ path: `${one.id}.yaml`, text: edgeFile(one) })),
]

const uplink = (id: string, device: string, medium: string, down: number, up: number): IntentUplink => ({
  id: id as UplinkId,
  interface: device,
  transport: 'internet',
  medium,
  metered: medium === 'lte',
  risks: [],
  tags: [],
  families: [4],
  up,
  down,
  address: null,
  router: null,
  public: null,
})
const edgeSite = ({ id, area, hubs: own, lans }: Edge): IntentSite => ({
  id: id as SiteId,
  role: 'edge',
  labels: [area],
  place: '',
  hubs: own as readonly SiteId[],
  classes: [],
  uplinks: [uplink('fiber', 'eth0', 'fiber', 500e6, 100e6), uplink('lte', 'wwan0', 'lte', 50e6, 10e6)],
  lans: lans
    .map(
      (lan): IntentLan => ({
        segment: lan.segment as SegmentId,
        interface: lan.interface,
        prefix: prefix(lan.prefix),
        address: lan.address as AddressWithLength,
        internet: 'none',
      }),
    )
    .sort((a, b) => compareText(a.segment, b.segment)),
})

/** Edges the network must have at least, so that every line of it selects something. */
const fewest = 100
/** What `parseIntent(fleetFiles(edges))` gives, without writing and reading thousands of files. */
export function fleet(edges: number): Intent {
  const { intent } = parseIntent(fleetFiles(fewest))
  if (!intent) throw new TypeError('the fleet is no sound network')
  const cores = intent.sites.filter((site) => site.role === 'core')
  return { ...intent, sites: [...Array.from({ length: edges }, (_, n) => edgeSite(edge(n, edges))), ...cores] }
}

/** Hubs of one uplink and one LAN each, all joined to all. */
export function fullMesh(size: number): Intent {
  const { sites, ...rest } = fleet(fewest)
  const [like] = sites.filter((site) => site.role === 'core')
  const made = Array.from({ length: size }, (_, n): IntentSite => {
    const own = `198.18.${Math.floor(n / 250)}.${(n % 250) + 1}`
    const net = `10.${Math.floor(n / 250)}.${n % 250}`
    return {
      ...like!,
      id: `hub-${String(n).padStart(3, '0')}` as SiteId,
      uplinks: [
        {
          ...like!.uplinks[0]!,
          address: addressWithLength(`${own}/15`),
          router: address('198.19.255.254'),
          public: { address: address(own), base: 51820 },
        },
      ],
      lans: [{ ...like!.lans[0]!, prefix: prefix(`${net}.0/24`), address: addressWithLength(`${net}.1/24`) }],
    }
  })
  return { ...rest, hubs: made.map((site) => site.id), sites: made, regions: [], peers: [], services: [], allow: [], expect: [] }
}
