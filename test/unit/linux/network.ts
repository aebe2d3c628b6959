/**
 * A small network written by hand: the edge berlin (fiber, lte), the hubs dublin and frankfurt (isp-a each) with one mesh
 * tunnel. Class realtime is 1 (EF), default 0. Segment inference everywhere, cameras at berlin only.
 */
import { generateKeyPairSync } from 'node:crypto'
import type {
  ClassId,
  Deny,
  Group,
  Interface,
  InterfaceId,
  Lan,
  NetworkId,
  ReadyInterface,
  ReadyTunnel,
  Route,
  Rule,
  SegmentId,
  SiteConfig,
  SiteId,
  TunnelId,
  Uplink,
  UplinkId,
} from '#src/fabric/fabric.ts'
import {
  deviceName,
  edgeInterfaceId,
  edgeStem,
  hubInterfaceId,
  hubPort,
  hubStem,
  insideOf,
  listenPort,
  loopbackOf,
  meshInterfaceId,
  meshStem,
  tunnelId,
} from '#src/fabric/ids.ts'
import { address, addressWithLength, hostOf, hostPrefix, type Prefix, prefix } from '#src/net/address.ts'
import type { PortRange } from '#src/net/ports.ts'
import type { KeyStore } from '#providers/device.ts'
import { alone } from '#test/unit/fabric/alone.ts'

export type Name = 'berlin' | 'dublin' | 'frankfurt'
const id = (name: string): SiteId => name as SiteId
const ula = prefix('fd42:cafe:1::/48')
export const inference = 'inference' as SegmentId
export const cameras = 'cameras' as SegmentId
export const realtime = 'realtime' as ClassId
export const usual = 'default' as ClassId

const index: Record<Name, number> = { berlin: 0, dublin: 1, frankfurt: 2 }
const lan = (segment: SegmentId, device: string, net: string, own: string): Lan => ({
  segment,
  interface: device,
  prefix: prefix(net),
  address: addressWithLength(own),
})
export const lans: Record<Name, readonly Lan[]> = {
  berlin: [lan(inference, 'lan0', '10.1.10.0/24', '10.1.10.1/24'), lan(cameras, 'lan1', '10.1.20.0/24', '10.1.20.1/24')],
  dublin: [lan(inference, 'lan0', '10.2.10.0/24', '10.2.10.1/24')],
  frankfurt: [lan(inference, 'lan0', '10.3.10.0/24', '10.3.10.1/24')],
}
const prefixesOf = (site: Name): readonly Prefix[] => lans[site].map((one) => one.prefix)

const uplink = (name: string, slot: number, device: string, medium: string, endpoint: Uplink['endpoint']): Uplink => ({
  id: name as UplinkId,
  slot,
  interface: device,
  transport: 'internet',
  medium,
  metered: medium === 'lte',
  tags: [],
  up: 0,
  down: 0,
  endpoint,
})
const fixed = (own: string, router: string): Uplink['endpoint'] => ({
  kind: 'fixed',
  address: addressWithLength(own),
  router: address(router),
  public: hostOf(addressWithLength(own)),
  base: 51820,
})
export const uplinks: Record<Name, readonly Uplink[]> = {
  berlin: [uplink('fiber', 0, 'wan0', 'fiber', { kind: 'dynamic' }), uplink('lte', 1, 'wan1', 'lte', { kind: 'dynamic' })],
  dublin: [uplink('isp-a', 0, 'wan0', 'fiber', fixed('198.51.100.10/24', '198.51.100.1'))],
  frankfurt: [uplink('isp-a', 0, 'wan0', 'fiber', fixed('192.0.2.10/24', '192.0.2.1'))],
}
const uplinkOf = (site: Name, name: string): Uplink => uplinks[site].find((one) => one.id === name)!

interface Link {
  readonly index: number
  readonly role: 'spoke' | 'mesh'
  readonly ends: readonly [{ readonly site: Name; readonly uplink: string }, { readonly site: Name; readonly uplink: string }]
}
const links: readonly Link[] = [
  {
    index: 0,
    role: 'spoke',
    ends: [
      { site: 'berlin', uplink: 'fiber' },
      { site: 'dublin', uplink: 'isp-a' },
    ],
  },
  {
    index: 1,
    role: 'spoke',
    ends: [
      { site: 'berlin', uplink: 'fiber' },
      { site: 'frankfurt', uplink: 'isp-a' },
    ],
  },
  {
    index: 2,
    role: 'spoke',
    ends: [
      { site: 'berlin', uplink: 'lte' },
      { site: 'dublin', uplink: 'isp-a' },
    ],
  },
  {
    index: 3,
    role: 'spoke',
    ends: [
      { site: 'berlin', uplink: 'lte' },
      { site: 'frankfurt', uplink: 'isp-a' },
    ],
  },
  {
    index: 4,
    role: 'mesh',
    ends: [
      { site: 'dublin', uplink: 'isp-a' },
      { site: 'frankfurt', uplink: 'isp-a' },
    ],
  },
]
type End = Link['ends'][number]
const idOf = (link: Link): TunnelId =>
  tunnelId(
    { site: id(link.ends[0].site), uplink: link.ends[0].uplink as UplinkId },
    { site: id(link.ends[1].site), uplink: link.ends[1].uplink as UplinkId },
  )
export const tunnel = (a: string, b: string): TunnelId => `${a}--${b}` as TunnelId

/** Private keys by site, interface and epoch; made once per process. */
const pairs = new Map<string, { readonly privateKey: string; readonly publicKey: string }>()
function keyPair(
  site: string,
  of: { readonly interface: InterfaceId; readonly linkEpoch: number },
): { readonly privateKey: string; readonly publicKey: string } {
  const name = `${site} ${of.interface} ${of.linkEpoch}`
  const raw = (der: Buffer): string => der.subarray(-32).toString('base64')
  let pair = pairs.get(name)
  if (!pair) {
    const made = generateKeyPairSync('x25519')
    pair = {
      privateKey: raw(made.privateKey.export({ format: 'der', type: 'pkcs8' })),
      publicKey: raw(made.publicKey.export({ format: 'der', type: 'spki' })),
    }
    pairs.set(name, pair)
  }
  return pair
}
export const keysOf = (site: Name): KeyStore => ({
  privateKey: (of) => Promise.resolve(keyPair(site, of).privateKey),
  secret: () => Promise.reject(new Error('no IPsec here')),
})
export const publicKeyFor = (site: Name, of: { readonly interface: InterfaceId; readonly linkEpoch: number }): string => keyPair(site, of).publicKey

function interfaceFor(link: Link, own: End, far: End): Interface {
  const at = uplinkOf(own.site, own.uplink)
  const there = uplinkOf(far.site, far.uplink)
  if (link.role === 'mesh') {
    return {
      id: meshInterfaceId(at.id, id(far.site), there.id),
      kind: 'mesh',
      uplink: at.id,
      stem: meshStem(index[far.site], at.slot, there.slot),
      port: 52000,
    }
  }
  return own.site === 'berlin'
    ? {
        id: edgeInterfaceId(at.id, id(far.site), there.id),
        kind: 'edge',
        uplink: at.id,
        stem: edgeStem(index[far.site], at.slot, there.slot),
        port: 53000 + 2 * link.index,
      }
    : { id: hubInterfaceId(at.id, there.slot), kind: 'hub', uplink: at.id, stem: hubStem(at.slot, there.slot), port: hubPort(at.slot, there.slot) }
}
const ends = (link: Link, site: Name): readonly [End, End, 0 | 1] | undefined =>
  link.ends[0].site === site ? [link.ends[0], link.ends[1], 0] : link.ends[1].site === site ? [link.ends[1], link.ends[0], 1] : undefined

export const tcp = (port: number): PortRange => ({ protocol: 'tcp', from: port, to: port })
/** Everybody may ask the model at the cores on tcp/8443 and ping it; cameras reach nothing. */
export const rules: readonly Rule[] = [
  {
    id: 'ask',
    from: { segment: inference, prefixes: [prefix('10.1.10.0/24'), prefix('10.2.10.0/24'), prefix('10.3.10.0/24')] },
    to: { segment: inference, prefixes: [prefix('10.2.10.0/24'), prefix('10.3.10.0/24')] },
    ports: [tcp(8443), { protocol: 'icmp', from: 0, to: 65535 }],
    trafficClass: realtime,
  },
]

/** But nobody asks a host of dublin, and berlin's kiosks nobody. */
export const denies: readonly Deny[] = [
  {
    id: 'deny kiosks',
    from: { segment: inference, prefixes: [prefix('10.1.10.200/29')] },
    to: { segment: inference, prefixes: [prefix('10.2.10.0/24'), prefix('10.3.10.0/24')] },
    ports: [{ protocol: 'any', from: 0, to: 65535 }],
  },
  {
    id: 'deny one host',
    from: { segment: inference, prefixes: [prefix('10.1.10.0/24'), prefix('10.3.10.0/24')] },
    to: { segment: inference, prefixes: [prefix('10.2.10.9/32')] },
    ports: [tcp(8443)],
    log: true,
  },
]

/** `epochs` of the link between berlin.fiber and frankfurt: [0], or [0, 1] in the middle of a rotation. */
export function configOf(
  site: Name,
  { epochs = [0], withRules = rules }: { readonly epochs?: readonly number[]; readonly withRules?: readonly Rule[] } = {},
): SiteConfig {
  const mine = links.flatMap((link) => {
    const found = ends(link, site)
    return found ? [{ link, own: found[0], far: found[1], end: found[2] }] : []
  })
  const epochsOf = (link: Link): readonly number[] => (link.index === 1 ? epochs : [0])
  const byInterface = new Map<string, { of: Interface; epochs: Set<number> }>()
  for (const { link, own, far } of mine) {
    const of = interfaceFor(link, own, far)
    const entry = byInterface.get(of.id) ?? { of, epochs: new Set() }
    for (const epoch of epochsOf(link)) entry.epochs.add(epoch)
    byInterface.set(of.id, entry)
  }
  const interfaces = [...byInterface.values()].flatMap(({ of, epochs: all }): readonly ReadyInterface[] =>
    [...all].map((linkEpoch) => ({ ...of, linkEpoch, device: deviceName(of.stem, linkEpoch), listenPort: listenPort(of.port, linkEpoch) })),
  )
  const tunnels = mine.flatMap(({ link, own, far, end }): readonly ReadyTunnel[] =>
    epochsOf(link).map((linkEpoch) => {
      const farInterface = interfaceFor(link, far, own)
      const farUplink = uplinkOf(far.site, far.uplink)
      const initiates = link.role === 'mesh' || site === 'berlin'
      const farInside = insideOf(ula, link.index, end === 0 ? 1 : 0, linkEpoch)
      return {
        id: idOf(link),
        index: link.index,
        role: link.role,
        probe: 'stamp',
        metered: uplinkOf(link.ends[0].site, link.ends[0].uplink).metered,
        interface: interfaceFor(link, own, far).id,
        linkEpoch,
        uplink: own.uplink as UplinkId,
        remote: id(far.site),
        remoteUplink: far.uplink as UplinkId,
        decides: link.role === 'mesh' ? end === 0 : site === 'berlin',
        initiates,
        inside: insideOf(ula, link.index, end, linkEpoch),
        farInside,
        peer: {
          kind: 'wireguard',
          publicKey: keyPair(far.site, { interface: farInterface.id, linkEpoch }).publicKey,
          endpoint:
            farUplink.endpoint.kind === 'fixed' ? { address: farUplink.endpoint.public, port: listenPort(farInterface.port, linkEpoch) } : 'roams',
          allowedIps:
            site !== 'berlin' && link.role === 'spoke' ? [...prefixesOf(far.site), hostPrefix(farInside)] : [prefix('0.0.0.0/0'), prefix('::/0')],
        },
      }
    }),
  )
  const others = (['berlin', 'dublin', 'frankfurt'] as const).filter((one) => one !== site)
  const routes = others.flatMap((one) => lans[one].map((each): Route => ({ segment: each.segment, to: each.prefix, remote: id(one) })))
  const hop = (tunnelOf: TunnelId, next: Name, stage: number): Group['via'][number] => ({
    tunnel: tunnelOf,
    next: id(next),
    stage,
    cost: 0,
    returnAfter: stage > 0 ? 300 : 0,
  })
  const direct = (far: Name): readonly Group['via'][number][] => mine.filter((one) => one.far.site === far).map((one) => hop(idOf(one.link), far, 0))
  const mesh = links[4]!
  const groups = others.flatMap((far) =>
    [usual, realtime].flatMap((trafficClass): readonly Group[] => {
      const viaOther: readonly Group['via'][number][] =
        site === 'berlin'
          ? direct(far === 'dublin' ? 'frankfurt' : 'dublin').map((one) => ({ ...one, stage: 1 }))
          : far === 'berlin'
            ? [hop(idOf(mesh), site === 'dublin' ? 'frankfurt' : 'dublin', 1)]
            : []
      const anywhere: Group = { remote: id(far), trafficClass, arrived: 'anywhere', via: [...direct(far), ...viaOther] }
      return site === 'berlin' || far !== 'berlin' ? [anywhere] : [anywhere, { remote: id(far), trafficClass, arrived: 'mesh', via: direct(far) }]
    }),
  )
  return {
    kind: 'site-config',
    network: {
      id: 'demo' as NetworkId,
      ula,
      mtu: 1360,
      mss: { v4: 1320, v6: 1300 },
      pool: [prefix('10.1.10.0/24'), prefix('10.1.20.0/24'), prefix('10.2.10.0/24'), prefix('10.3.10.0/24')],
    },
    site: id(site),
    index: index[site],
    role: site === 'berlin' ? 'edge' : 'core',
    hub: site !== 'berlin',
    loopback: loopbackOf(ula, index[site]),
    uplinks: uplinks[site],
    classes: [
      { id: usual, index: 0, dscp: 0, share: 50, sla: { loss: 0, latencyMs: 0, jitterMs: 0 } },
      { id: realtime, index: 1, dscp: 46, share: 50, sla: { loss: 0, latencyMs: 0, jitterMs: 0 } },
    ],
    segments: [
      { id: cameras, index: 0 },
      { id: inference, index: 1 },
    ],
    interfaces,
    tunnels,
    waiting: [],
    lans: lans[site],
    routes,
    groups: groups.map(alone),
    rules: withRules,
    denies,
    transits:
      site === 'berlin'
        ? []
        : [{ id: 'berlin -> core#out', a: [prefix('10.1.10.0/24')], b: [site === 'dublin' ? prefix('10.3.10.0/24') : prefix('10.2.10.0/24')] }],
  }
}
