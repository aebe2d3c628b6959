/** Random packets that look for disagreement: near the edges of what is allowed, and far from it. */
import fc from 'fast-check'
import type { Deny, Fabric, Lan, NodeId, Peer, Region, Site } from '#src/fabric/fabric.ts'
import { isSecondGateway, siteOfGateway } from '#src/fabric/ids.ts'
import { isSameLan } from '#src/fabric/lans.ts'
import { type Address, addressBits, addressFromBits, contains, familyOf, hostOf, overlaps, type Prefix, prefix, rangeOf } from '#src/net/address.ts'
import { lanHostName } from '#src/lab/underlay.ts'
import type { PortRange } from '#src/net/ports.ts'
import { translated } from '#src/net/translate.ts'
import type { Packet } from '#src/verify/packets.ts'
import { vpcHost } from './cloud.ts'

/** A packet at a LAN; `port` is the service's. `sourcePort` is unique among all probes of a lab, so it names the probe. */
export interface Probe extends Packet {
  /** Box that sends it. */
  readonly box: string
  readonly site: NodeId
  readonly lan: Prefix
  readonly sourcePort: number
}
export interface Host {
  readonly box: string
  readonly site: NodeId
  readonly lan: Lan
}
/** Whatever has LANs. */
export type Place = Site | Region | Peer
export const nodesOf = ({ sites, regions, peers }: Fabric): readonly Place[] => [...sites, ...regions, ...peers]
/** Of a pair of gateways the first speaks for the site. */
export const hostsOf = (fabric: Fabric): readonly Host[] =>
  nodesOf(fabric)
    .filter(({ id }) => !isSecondGateway(id))
    .flatMap((node) => node.lans.map((lan) => ({ box: boxOf(node, lan), site: node.id, lan })))
export const boxOf = (node: Place, lan: Lan): string =>
  node.kind === 'region' ? vpcHost.box : lanHostName({ ...node, id: siteOfGateway(node.id) }, lan)
/** What gateways have on the link of a LAN: the hosts' router first, then, of a pair, each its own. */
export const gatewaysOn = (fabric: Fabric, site: NodeId, lan: Lan): readonly Address[] => [
  hostOf(lan.address),
  ...fabric.sites
    .filter(({ id }) => siteOfGateway(id) === site)
    .flatMap(({ lans }) => lans.flatMap(({ own, address }) => (own !== undefined && address === lan.address ? [hostOf(own)] : []))),
]

/** A host of the overlay as hosts of a site call it: their own by their own names. */
export function calledAt(node: Place, overlay: Address): Address {
  const lan = node.lans.find(({ prefix: own }) => contains(own, overlay))
  return lan?.local === undefined ? overlay : translated(overlay, lan.prefix, lan.local)
}
/** And the other way round: whom they mean. */
function meantAt(node: Place, called: Address): Address {
  const lan = node.lans.find(({ local }) => local !== undefined && contains(local, called))
  return lan?.local === undefined ? called : translated(called, lan.local, lan.prefix)
}

/** Somebody is there, on the internet. */
export const outside = ['8.8.8.0/24', '2001:db8:ffff::/64'].map(prefix)
/** Nobody is there, and a provider would not know the way: what leaves all the same is seen. */
const undeclared = ['10.99.0.0/16', '172.19.0.0/16', '192.168.77.0/24', 'fd99:1::/64'].map(prefix).concat(outside)

/**
 * A host holds all its sources itself, spoofed ones too, so it must not find any of them where it sends or answers:
 * sources, spoofed sources and destinations differ in their last two bits. Never the gateway's own address, the
 * network's or its broadcast. A few of each prefix, from its first to its last: all namespaces of a kernel share one
 * table of 1024 neighbours.
 */
const places = 12n
const ends = { destination: 0n, source: 1n, spoofed: 3n } as const
const addressIn = (of: Prefix, end: keyof typeof ends, gateways: ReadonlySet<Address>): fc.Arbitrary<Address> => {
  const { family, low, high } = rangeOf(of)
  // A VPC gives an instance its own address and no other.
  const instance = vpcHost.addresses[family]
  if (end !== 'spoofed' && contains(of, instance)) return fc.constant(instance)
  return fc
    .bigInt({ min: 0n, max: places })
    .map((place) => addressFromBits(family, ((low + ((high - low) * place) / places) & ~3n) | ends[end]))
    .filter((address) => !gateways.has(address) && addressBits(address) > low && addressBits(address) < high)
}

/** `count` different probes; the same seed gives the same. `firstPort`: source ports count from there. */
export function probesFor(fabric: Fabric, seed: number, count: number, firstPort: number): readonly Probe[] {
  const hosts = hostsOf(fabric)
  const nodes = nodesOf(fabric)
  const nodeOf = new Map<NodeId, Place>(nodes.map((node) => [node.id, node]))
  const gateways = new Set(hosts.flatMap(({ site, lan }) => gatewaysOn(fabric, site, lan).map((one) => meantAt(nodeOf.get(site)!, one))))
  const prefixes = hosts.flatMap(({ lan }) => [lan.prefix, ...(lan.local === undefined ? [] : [lan.local])])
  const rules = nodes.flatMap((node) => node.rules)
  // What is denied is as near to the edge as what is allowed.
  const lines: readonly Deny[] = [...rules, ...nodes.flatMap((node) => node.denies ?? [])]
  const beside = ({ site, lan }: Host): readonly Prefix[] =>
    hosts.filter((other) => other.site === site && isSameLan(other.lan, lan)).map((other) => other.lan.prefix)
  const hostAt = (some: Prefix): Host | undefined => hosts.find((host) => contains(host.lan.prefix, some))

  const edges = [...new Set(lines.flatMap((rule) => rule.ports.flatMap(({ from, to }) => [from - 1, from, (from + to) >> 1, to, to + 1])))].filter(
    (port) => port >= 1 && port <= 65_535,
  )
  const application = (ports: readonly number[]): fc.Arbitrary<Pick<Packet, 'protocol' | 'port'>> =>
    fc.oneof(
      { weight: 5, arbitrary: fc.record({ protocol: fc.constantFrom('tcp' as const, 'udp' as const), port: fc.constantFrom(...ports) }) },
      { weight: 1, arbitrary: fc.record({ protocol: fc.constant('icmp' as const), port: fc.constant(0) }) },
      { weight: 1, arbitrary: fc.record({ protocol: fc.constant('other' as const), port: fc.constant(0) }) },
    )
  const allowedBy = (ports: readonly PortRange[]): fc.Arbitrary<Pick<Packet, 'protocol' | 'port'>> =>
    fc.constantFrom(...ports).chain(({ protocol, from, to }) => {
      if (protocol === 'any') return application(edges)
      if (protocol === 'icmp') return fc.constant({ protocol, port: 0 })
      return fc.constantFrom(Math.max(1, from), to).map((port) => ({ protocol, port }))
    })
  const between = (
    host: Host,
    source: Prefix,
    destination: Prefix,
    what: fc.Arbitrary<Pick<Packet, 'protocol' | 'port'>>,
    end: 'source' | 'spoofed' = 'source',
  ): fc.Arbitrary<Omit<Probe, 'sourcePort'>> =>
    fc.tuple(addressIn(source, end, gateways), addressIn(destination, 'destination', gateways), what).map(([from, to, of]) => {
      const [source, destination] = [from, to].map((one) => meantAt(nodeOf.get(host.site)!, one)) as [Address, Address]
      return { box: host.box, site: host.site, lan: host.lan.prefix, source, destination, ...of }
    })

  /** Nobody can send from one family to the other. */
  const alike = (from: readonly Prefix[], to: readonly Prefix[]) =>
    fc.constantFrom(...from.flatMap((a) => to.filter((b) => familyOf(a) === familyOf(b)).map((b) => [a, b] as const)))
  const byRule = fc.constantFrom(...lines).chain((rule) =>
    alike(rule.from.prefixes, rule.to.prefixes).chain(([from, to]) => {
      const near = rule.ports.flatMap(({ from: low, to: high }) => [low - 1, low, high, high + 1]).filter((port) => port >= 1 && port <= 65_535)
      return between(hostAt(from)!, from, to, fc.oneof({ weight: 2, arbitrary: allowedBy(rule.ports) }, { weight: 1, arbitrary: application(near) }))
    }),
  )
  const anywhere = fc
    .constantFrom(...hosts)
    .chain((host) => alike([host.lan.prefix], [...prefixes, ...undeclared]).map(([, to]) => ({ host, to })))
    .chain(({ host, to }) => between(host, host.lan.prefix, to, application(edges)))
  const isForeign = (host: Host, from: Prefix): boolean =>
    // A gateway takes what is behind a router on a LAN, of either family, from the same interface.
    !hosts.some(({ site, lan }) => site === host.site && lan.interface === host.lan.interface && contains(lan.prefix, from)) &&
    // What its own site calls so is its own.
    !hosts.some(({ site, lan: { local } }) => site === host.site && local !== undefined && overlaps(local, from))
  /** From the wrong LAN, with a source that would be let through from the right one. */
  const spoofed = fc.tuple(fc.constantFrom(...hosts), fc.constantFrom(...rules)).chain(([host, rule]) =>
    alike(
      [...rule.from.prefixes, ...undeclared.slice(0, 1), ...undeclared.slice(-1)].filter((from) => isForeign(host, from)),
      rule.to.prefixes,
    ).chain(([from, to]) => between(host, from, to, allowedBy(rule.ports), 'spoofed')),
  )
  const one = fc
    .oneof({ weight: 6, arbitrary: byRule }, { weight: 4, arbitrary: anywhere }, { weight: 1, arbitrary: spoofed })
    // Hosts of one LAN speak without their gateway; its neighbours ask it where a router on their LAN is.
    .filter(({ site, lan, destination }) => {
      const own = hosts.find((host) => host.site === site && host.lan.prefix === lan)!
      return !(own.lan.via === undefined ? [lan] : beside(own)).some((one) => contains(one, destination))
    })

  const different = new Map(
    fc
      .sample(one, { seed, numRuns: count })
      .map((probe, index) => [`${probe.source} ${probe.destination} ${probe.protocol} ${probe.port}`, { ...probe, sourcePort: firstPort + index }]),
  )
  return [...different.values()]
}
