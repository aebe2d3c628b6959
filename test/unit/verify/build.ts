/** Small Fabrics by hand: hubs in a mesh, edges with a tunnel from each uplink to each hub uplink. Tests then break them. */
import type {
  ClassId,
  Deny,
  Expect,
  Fabric,
  Group,
  Hop,
  InterfaceId,
  NetworkId,
  NodeId,
  Place,
  Route,
  Rule,
  SegmentId,
  Site,
  SiteId,
  Survives,
  Transit,
  TunnelId,
  UplinkId,
  WireguardTunnel,
} from '#src/fabric/fabric.ts'
import { address, addressWithLength, contains, nth, prefix, type Prefix } from '#src/net/address.ts'
import { parsePortRange, type PortRange } from '#src/net/ports.ts'
import type { PathExpect } from '#src/verify/ways.ts'
import { alone } from '#test/unit/fabric/alone.ts'

export const site = (id: string): SiteId => id as SiteId
export const segment = (id: string): SegmentId => id as SegmentId
export const trafficClass = (id: string): ClassId => id as ClassId
export const tunnelId = (id: string): TunnelId => id as TunnelId
export const ports = (text: string): PortRange => {
  const parsed = parsePortRange(text)
  if (!parsed.ok) throw new TypeError(parsed.says)
  return parsed.value
}

export interface SiteSketch {
  readonly id: string
  readonly hub?: boolean
  readonly uplinks: readonly string[]
  /**
   * By segment; several of one by spaces: `10.0.1.0/30`, of both families `10.0.1.0/30 fd01::1:0/126`. One that ends in `>`
   * is behind a router on the first of its family.
   */
  readonly lans: Readonly<Record<string, string>>
  /** What hosts of a LAN call it, where that is not as in the overlay. */
  readonly local?: Readonly<Record<string, string>>
  /** bit/s, up and down, of each uplink that has one. */
  readonly rates?: Readonly<Record<string, readonly [number, number]>>
}
type AskedOfWays = 'via' | 'not' | 'symmetric' | 'bandwidth' | 'withinMs'
export interface AllowSketch {
  /** `site/segment`, several by commas; hosts of it as `site/segment@10.0.1.2/32`, several of one place with `+`. */
  readonly from: string
  readonly to: string
  readonly ports: string
  readonly class: string
}
export type DenySketch = Omit<AllowSketch, 'class'>
export interface Sketch {
  readonly sites: readonly SiteSketch[]
  readonly allow: readonly AllowSketch[]
  readonly deny?: readonly DenySketch[]
  readonly expect: readonly (
    | { readonly reach: string; readonly to: string; readonly ports: string; readonly mode?: 'any' | 'all'; readonly survives?: readonly Survives[] }
    | { readonly isolate: string; readonly to: string }
    | ({ readonly path: string; readonly to: string; readonly ports: string } & Partial<Pick<PathExpect, 'mode' | 'survives' | AskedOfWays>>)
  )[]
  /** Uplinks that a class never uses. */
  readonly never?: Readonly<Record<string, readonly string[]>>
  readonly classes?: readonly string[]
}

/** Of a segment, or hosts: several by spaces or `+`. */
export const prefixesOf = (text: string): readonly Prefix[] => text.replaceAll('>', '').split(/[ +]/).map(prefix)
const lansOf = ({ lans }: SiteSketch) =>
  Object.entries(lans).flatMap(([id, all]) => {
    const texts = all.split(' ')
    return texts.map((text) => {
      const own = text.replace('>', '')
      const link = texts.find((other) => text !== own && !other.endsWith('>') && other.includes(':') === own.includes(':'))
      return { id, text: own, link: link ?? own, behind: link !== undefined }
    })
  })

export function build(sketch: Sketch): Fabric {
  const classes = sketch.classes ?? ['default']
  const hubs = sketch.sites.filter((one) => one.hub).map((one) => one.id)
  const tunnels: WireguardTunnel[] = []
  const join = (role: 'spoke' | 'mesh', a: SiteSketch, b: SiteSketch): void => {
    for (const near of a.uplinks) {
      for (const far of b.uplinks) {
        const end = (of: SiteSketch, own: string, other: SiteSketch, otherUplink: string) => ({
          site: site(of.id),
          uplink: own as UplinkId,
          interface: (role === 'mesh'
            ? `mesh:${own}/${other.id}.${otherUplink}`
            : of.hub
              ? `hub:${own}/s${other.uplinks.indexOf(otherUplink)}`
              : `edge:${own}/${other.id}.${otherUplink}`) as InterfaceId,
        })
        tunnels.push({
          id: tunnelId(`${a.id}.${near}--${b.id}.${far}`),
          kind: 'wireguard',
          index: tunnels.length + 1,
          role,
          ends: [end(a, near, b, far), end(b, far, a, near)],
        })
      }
    }
  }
  for (const [i, one] of sketch.sites.entries()) {
    for (const other of sketch.sites.slice(i + 1)) {
      if (one.hub && other.hub) join('mesh', ...([one, other].sort((a, b) => (a.id < b.id ? -1 : 1)) as [SiteSketch, SiteSketch]))
      else if (other.hub) join('spoke', one, other)
      else if (one.hub) join('spoke', other, one)
    }
  }
  const place = (text: string): Place => {
    const [lan = '', hosts] = text.trim().split('@')
    const [where = '', what = ''] = lan.split('/')
    return { node: site(where), segment: segment(what), prefixes: prefixesOf(hosts ?? sketch.sites.find((one) => one.id === where)!.lans[what]!) }
  }
  const places = (text: string): readonly Place[] => text.split(',').map(place)
  const via = (from: string, next: string, stage: number, of: string, returnAfter = 0): readonly Hop[] =>
    tunnels
      .filter((one) => one.ends.some((end) => end.site === from) && one.ends.some((end) => end.site === next))
      .filter((one) => !one.ends.some((end) => sketch.never?.[of]?.includes(end.uplink)))
      .map((one, i) => ({ tunnel: one.id, next: site(next), stage, cost: 10 + i, returnAfter }))
  const groupsOf = (from: SiteSketch): readonly Group[] =>
    sketch.sites
      .filter((one) => one.id !== from.id)
      .flatMap((remote) =>
        classes.flatMap((of): Group[] => {
          const group = (arrived: Group['arrived'], hops: readonly Hop[]): Group => ({
            remote: site(remote.id),
            trafficClass: trafficClass(of),
            arrived,
            via: hops,
          })
          const others = hubs.filter((hub) => hub !== remote.id && hub !== from.id)
          if (!from.hub) {
            const stages = remote.hub ? [remote.id, ...others] : others
            return [
              group(
                'anywhere',
                stages.flatMap((hub, i) => via(from.id, hub, i, of, !remote.hub && i > 0 ? 300 : 0)),
              ),
            ]
          }
          if (remote.hub) return [group('anywhere', via(from.id, remote.id, 0, of))]
          const direct = via(from.id, remote.id, 0, of)
          return [group('anywhere', [...direct, ...others.flatMap((hub, i) => via(from.id, hub, i + 1, of))]), group('mesh', direct)]
        }),
      )
  const flow = (text: string) => ({ segment: places(text)[0]!.segment, prefixes: places(text).flatMap((one) => one.prefixes) })
  const line = ({ from, to, ports: on }: DenySketch) => ({ id: `${from} -> ${to} ${on}#out x>y`, from: flow(from), to: flow(to), ports: [ports(on)] })
  const rules: readonly Rule[] = sketch.allow.map((allow) => ({ ...line(allow), trafficClass: trafficClass(allow.class) }))
  const denies = (sketch.deny ?? []).map((deny): Deny => ({ ...line(deny), id: `deny ${line(deny).id}` }))
  const owns = (one: SiteSketch, prefixes: readonly Prefix[]): boolean =>
    prefixes.some((each) => lansOf(one).some(({ text }) => contains(prefix(text), each)))
  const made = sketch.sites.map((one, index): Site => {
    const here = lansOf(one)
    const lans = here.map(({ id, text, link, behind }) => ({
      segment: segment(id),
      interface: `lan${here.findIndex((other) => other.text === link)}`,
      prefix: prefix(text),
      address: addressWithLength(`${nth(prefix(link), 1)}/${link.split('/')[1]}`),
      ...(behind ? { via: nth(prefix(link), 2)! } : {}),
      ...(one.local?.[id] === undefined || one.local[id] === text ? {} : { local: prefix(one.local[id]) }),
    }))
    const routes: readonly Route[] = sketch.sites
      .filter((other) => other.id !== one.id)
      .flatMap((other) => lansOf(other).map(({ id, text }) => ({ segment: segment(id), to: prefix(text), remote: site(other.id) })))
    const transits: readonly Transit[] = one.hub
      ? rules.flatMap((rule): Transit[] => {
          const [a, b] = [rule.from.prefixes, rule.to.prefixes].map((prefixes) => prefixes.filter((each) => !owns(one, [each])))
          return a!.length > 0 && b!.length > 0 ? [{ id: rule.id, a: a!, b: b! }] : []
        })
      : []
    const own = tunnels.filter((tunnel) => tunnel.ends.some((end) => end.site === one.id))
    const interfaces = [...Map.groupBy(own, (tunnel) => tunnel.ends.find((end) => end.site === one.id)!.interface)].map(([id, list], i) => ({
      id,
      kind: id.split(':')[0] as 'hub' | 'edge' | 'mesh',
      uplink: list[0]!.ends.find((end) => end.site === one.id)!.uplink,
      stem: `cw${i}`,
      port: 52_000 + 2 * i,
    }))
    return {
      kind: 'site',
      id: site(one.id),
      index: index + 1,
      role: one.hub ? 'core' : 'edge',
      hub: one.hub ?? false,
      hubs: one.hub ? [] : hubs.map(site),
      loopback: address(`fd00::${index + 1}`),
      uplinks: one.uplinks.map((id, slot) => ({
        id: id as UplinkId,
        slot,
        interface: `eth${slot}`,
        transport: 'internet',
        medium: id,
        metered: false,
        tags: [],
        up: one.rates?.[id]?.[0] ?? 0,
        down: one.rates?.[id]?.[1] ?? 0,
        endpoint: { kind: 'dynamic' },
      })),
      interfaces,
      lans,
      routes,
      groups: groupsOf(one).map(alone),
      rules: rules.filter((rule) => owns(one, rule.from.prefixes) || owns(one, rule.to.prefixes)),
      ...(denies.length > 0 ? { denies: denies.filter((deny) => owns(one, deny.from.prefixes) || owns(one, deny.to.prefixes)) } : {}),
      transits,
    }
  })
  const expects = sketch.expect.map((expect): Expect => {
    const ends = (verb: string, from: string) => ({
      id: `${verb} ${from} -> ${expect.to}`,
      text: `${from} -> ${expect.to}`,
      from: places(from),
      to: places(expect.to),
    })
    if ('isolate' in expect) return { kind: 'isolate', ...ends('isolate', expect.isolate) }
    const asked = { ports: [ports(expect.ports)], mode: expect.mode ?? 'any', survives: expect.survives ?? [] }
    if ('reach' in expect) return { kind: 'reach', ...ends('reach', expect.reach), ...asked }
    return {
      kind: 'path',
      ...ends('path', expect.path),
      ...asked,
      via: expect.via ?? [],
      not: expect.not ?? [],
      symmetric: expect.symmetric ?? false,
      bandwidth: expect.bandwidth ?? { up: 0, down: 0 },
      withinMs: expect.withinMs ?? 0,
    }
  })
  return {
    network: { id: 'test' as NetworkId, ula: prefix('fd00::/48'), mtu: 1360, mss: { v4: 1320, v6: 1300 }, pool: [prefix('10.0.0.0/8')] },
    sites: made,
    regions: [],
    peers: [],
    tunnels,
    segments: [...new Set(sketch.sites.flatMap((one) => Object.keys(one.lans)))].sort().map((id, index) => ({ id: segment(id), index })),
    classes: classes.map((id, index) => ({
      id: trafficClass(id),
      index,
      dscp: 0,
      share: 100 / classes.length,
      sla: { loss: 0, latencyMs: 0, jitterMs: 0 },
    })),
    services: [],
    risks: [],
    expects,
  }
}
/** The same Fabric with one site changed. */
export const change = (fabric: Fabric, id: string, edit: (of: Site) => Partial<Site>): Fabric => ({
  ...fabric,
  sites: fabric.sites.map((one) => (one.id === id ? { ...one, ...edit(one) } : one)),
})
export type { NodeId }
