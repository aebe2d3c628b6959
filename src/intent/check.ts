/** What sites mean together: hubs that can be dialled, paths that exist, addresses that are nobody else's. */
import type { SegmentId, SiteId } from '#src/fabric/fabric.ts'
import { isSecondGateway } from '#src/fabric/ids.ts'
import {
  type Address,
  comparePrefixes,
  contains,
  type Family,
  familyOf,
  formatHosts,
  hostOf,
  hostPrefix,
  networkOf,
  overlaps,
  prefix,
  type Prefix,
} from '#src/net/address.ts'
import { defaultTransport, translationPools } from './defaults.ts'
import { type Intent, type IntentLan, type IntentPeer, type IntentRegion, type IntentSite, type IntentUplink, modeOf } from './intent.ts'
import { onceOf } from '#src/net/once.ts'
import { overlapping } from './overlap.ts'
import { poolExample } from './ranges.ts'
import type { Report } from './report.ts'

/** RFC 1918, and RFC 6598 that carriers put between their NAT and the customer: nobody on the internet can dial these. */
const unreachable: readonly { readonly range: Prefix; readonly name: string }[] = [
  { range: prefix('100.64.0.0/10'), name: "behind the provider's NAT (CGNAT)" },
  { range: prefix('10.0.0.0/8'), name: 'private' },
  { range: prefix('172.16.0.0/12'), name: 'private' },
  { range: prefix('192.168.0.0/16'), name: 'private' },
  // RFC 4193.
  { range: prefix('fc00::/7'), name: 'private' },
]
const nameOf = (address: Address): string | undefined => unreachable.find(({ range }) => contains(range, address))?.name

function joinedBy(transports: Intent['transports']): (a: string, b: string) => boolean {
  const reaches = new Map(transports.map((each) => [each.id, each.reaches]))
  return (a, b) => a === b || (reaches.get(a)?.includes(b) ?? false) || (reaches.get(b)?.includes(a) ?? false)
}
function reachesInternet(transports: Intent['transports']): (transport: string) => boolean {
  const joined = joinedBy(transports)
  return (transport) => joined(transport, defaultTransport)
}

/** Those of these names. */
const named = (sites: readonly IntentSite[], ids: readonly SiteId[]): ReadonlyMap<SiteId, IntentSite> =>
  new Map(sites.filter(({ id }) => ids.includes(id)).map((site) => [site.id, site]))

/** A risk that one uplink alone names is that uplink's own failure, and mostly a slip of the pen. */
export function checkRisks(sites: readonly IntentSite[], report: Report): void {
  const named = Map.groupBy(sites.flatMap(risksAt), ({ risk }) => risk)
  for (const [risk, keys] of named) {
    if (keys.length > 1) continue
    const meant = report.meant(
      risk,
      [...named.keys()].filter((other) => other !== risk),
    )
    report.warning('I057', keys[0]!.key, `nothing shares the risk "${risk}"${meant}`, 'name it at each uplink that fails with this one, or remove it')
  }
}

const risksAt = onceOf((site: IntentSite) =>
  site.uplinks.flatMap(({ id, risks }) => risks.map((risk) => ({ risk, key: `site/${site.id}/uplink/${id}/shared_risk` }))),
)

/** Edges dial hubs, so every uplink of a hub needs an address that they can reach. */
export function checkHubs(
  sites: readonly IntentSite[],
  hubs: readonly SiteId[],
  transports: Intent['transports'],
  unread: ReadonlySet<string>,
  report: Report,
): void {
  const meetsInternet = reachesInternet(transports)
  const dialled = new Map<string, string>()
  for (const site of sites.filter((each) => hubs.includes(each.id) && each.role === 'core')) {
    for (const uplink of site.uplinks) {
      const key = `site/${site.id}/uplink/${uplink.id}`
      if (unread.has(key)) continue
      if (uplink.address === null) {
        report.error(
          'I037',
          key,
          `uplink "${uplink.id}" of hub ${site.id} has no address`,
          'add address: and router:, for the others dial it; behind a router that forwards ports, public: too',
        )
        continue
      }
      const own = hostOf(uplink.address)
      const dial = uplink.public ?? { address: own, base: 51820 }
      const name = meetsInternet(uplink.transport) ? nameOf(dial.address) : undefined
      if (name !== undefined) {
        const instead = uplink.public
          ? 'write the address that others see'
          : 'add public: with the address, or address:port, that a router in front forwards; a hub behind CGNAT can be nobody’s hub'
        report.error(
          'I038',
          uplink.public ? `${key}/public` : `${key}/address`,
          `${dial.address} of hub ${site.id} is ${name}, nobody on the internet can dial it`,
          instead,
        )
        continue
      }
      const endpoint = `${uplink.transport} ${dial.address} ${dial.base}`
      const other = dialled.get(endpoint)
      if (other)
        report.error(
          'I055',
          [uplink.public ? `${key}/public` : `${key}/address`, other],
          `two uplinks of hubs have the public address ${dial.address}`,
          'write the address of each, or another port: behind one router',
        )
      else dialled.set(endpoint, `${key}/${uplink.public ? 'public' : 'address'}`)
    }
  }
}

/** Each spoke needs one path to each of its hubs. */
export function checkPaths(sites: readonly IntentSite[], hubs: readonly SiteId[], transports: Intent['transports'], report: Report): void {
  const byId = named(sites, hubs)
  const joined = joinedBy(transports)
  /** Lines and hubs of sites that have their paths. */
  const good = new Set<string>()
  for (const site of sites) {
    const lines = linesOf(site)
    if (good.has(lines)) continue
    let isGood = true
    for (const id of site.hubs) {
      const hub = byId.get(id)
      if (!hub || hub.uplinks.length === 0 || site.uplinks.length === 0) continue
      const meets = (mine: IntentUplink, theirs: IntentUplink) => joined(mine.transport, theirs.transport)
      const alike = (mine: IntentUplink, theirs: IntentUplink) => mine.families.some((family) => theirs.families.includes(family))
      if (site.uplinks.some((mine) => hub.uplinks.some((theirs) => meets(mine, theirs) && alike(mine, theirs)))) continue
      isGood = false
      if (site.uplinks.some((mine) => hub.uplinks.some((theirs) => meets(mine, theirs)))) {
        const families = (of: IntentSite) =>
          [...new Set(of.uplinks.flatMap((uplink) => uplink.families))].map((family) => `IPv${family}`).join(' and ')
        report.error(
          'I063',
          `site/${site.id}`,
          `site "${site.id}" has no path to hub "${id}": where their transports meet, its lines have ${families(site)} and the hub's ${families(hub)}`,
          'give the hub an uplink of that family too, or say what the provider of the site gives: family: both',
        )
        continue
      }
      const list = (of: IntentSite) => [...new Set(of.uplinks.map((uplink) => uplink.transport))].join(', ')
      report.error(
        'I063',
        `site/${site.id}`,
        `site "${site.id}" has no path to hub "${id}": its transports are ${list(site)}, the hub's ${list(hub)}`,
        'add an uplink of a common transport, or let one transport reach the other (`reaches:`)',
      )
    }
    if (isGood) good.add(lines)
  }
}
const linesOf = onceOf(({ hubs, uplinks }: IntentSite) => JSON.stringify([hubs, uplinks.map(({ transport, families }) => [transport, families])]))

/** A VPC is in one region. */
export function checkClouds(regions: readonly IntentRegion[], report: Report): void {
  const vpcs = new Map<string, string>()
  for (const region of regions) {
    for (const { id } of region.networks) {
      const other = vpcs.get(id)
      if (other) report.error('I081', [`region/${region.id}/vpc/${id}`, other], `${id} is in two regions`, 'keep it in the one where it is')
      else vpcs.set(id, `region/${region.id}/vpc/${id}`)
    }
  }
}

/** Hubs dial a peer, and know it by where it answers. */
export function checkPeers(sites: readonly IntentSite[], peers: readonly IntentPeer[], transports: Intent['transports'], report: Report): void {
  if (peers.length === 0) return
  const meetsInternet = reachesInternet(transports)
  const held = new Map<Address, { readonly key: string; readonly of: string }>()
  for (const site of sites)
    for (const uplink of site.uplinks)
      for (const own of [uplink.public?.address, uplink.address === null ? undefined : hostOf(uplink.address)])
        if (own !== undefined) held.set(own, { key: `site/${site.id}/uplink/${uplink.id}`, of: `${site.id}.${uplink.id}` })
  const identities = new Map<string, string>()
  for (const peer of peers) {
    for (const id of new Set(peer.gateways.map((one) => one.id))) {
      const own = `peer/${peer.id}`
      const twin = identities.get(id)
      // One address twice is told below.
      if (twin !== undefined && !peer.gateways.some(({ address }) => address === id))
        report.error(
          'I094',
          [`${own}/ipsec/id`, `${own}/address/0`, twin],
          `peer ${peer.id} has the IKE identity of another, ${id}`,
          'write what each proves to be: the pre-shared key is found by it',
        )
      else if (twin === undefined) identities.set(id, own)
    }
    for (const [i, { address }] of peer.gateways.entries()) {
      const key = `peer/${peer.id}/address/${i}`
      const name = meetsInternet(peer.transport) ? nameOf(address) : undefined
      const other = held.get(address)
      if (name !== undefined)
        report.error(
          'I091',
          key,
          `${address} of peer ${peer.id} is ${name}, no hub can dial it`,
          'write the address that it has on the internet, or the transport on which it has this one',
        )
      else if (other)
        report.error('I091', [key, other.key], `${address} of peer ${peer.id} is also ${other.of}'s`, 'write an address that is the peer’s alone')
      else held.set(address, { key, of: peer.id })
    }
  }
}

/**
 * The far end of IPsec knows a hub uplink by its public address, so each needs one of its own, and each hub of a region or
 * peer such an uplink.
 */
export function checkExternals(
  sites: readonly IntentSite[],
  hubs: readonly SiteId[],
  regions: readonly IntentRegion[],
  peers: readonly IntentPeer[],
  transports: Intent['transports'],
  report: Report,
): void {
  const meets = joinedBy(transports)
  const byId = named(sites, hubs)
  const externals = [
    ...regions.map((one) => ({ id: one.id, own: one.hubs, kind: 'region', transport: defaultTransport, families: [4] as readonly Family[] })),
    ...peers.map((one) => {
      const { id, transport, gateways } = one
      return { id, own: one.hubs, kind: 'peer', transport, families: gateways.map(({ address }) => familyOf(address)) }
    }),
  ]
  for (const { id, own, kind, transport, families } of externals) {
    const known = new Map<Address, string>()
    const there = transport === defaultTransport ? 'the internet' : transport
    const over = (hub: SiteId, wanted: readonly Family[]): readonly IntentUplink[] =>
      byId.get(hub)?.uplinks.filter((uplink) => meets(uplink.transport, transport) && wanted.some((family) => uplink.families.includes(family))) ?? []
    const reached = own.filter((hub) => over(hub, families).length > 0)
    for (const [i, family] of families.entries())
      if (reached.length > 0 && reached.every((hub) => over(hub, [family]).length === 0))
        report.error(
          'I084',
          [`${kind}/${id}/address/${i}`, ...reached.map((hub) => `site/${hub}`)],
          `no hub of ${id} has an uplink that reaches ${there} over IPv${family}: nobody dials this address`,
          'give one of them such an uplink, or leave the address out',
        )
    for (const hub of own) {
      const uplinks = over(hub, families)
      if (uplinks.length === 0)
        report.error(
          'I084',
          [`${kind}/${id}`, `site/${hub}`],
          `no uplink of hub ${hub} reaches ${there} over ${[...new Set(families)].map((family) => `IPv${family}`).join(' or ')}, where ${id} is`,
          `give it one, or leave the hub out: hubs: in the file of the ${kind}`,
        )
      for (const uplink of uplinks) {
        const key = `site/${hub}/uplink/${uplink.id}`
        const address = uplink.public?.address ?? (uplink.address === null ? undefined : hostOf(uplink.address))
        if (address === undefined) continue
        const at = [uplink.public ? `${key}/public` : `${key}/address`, key]
        const other = known.get(address)
        if (other !== undefined)
          report.error(
            'I084',
            at,
            `${id} would know two uplinks as ${address}: ${other} and ${hub}.${uplink.id}`,
            `give each a public address of its own; a ${kind === 'peer' ? 'peer tells our' : 'cloud tells its customers'} by it`,
          )
        else known.set(address, `${hub}.${uplink.id}`)
      }
    }
  }
}

/** A prefix of somebody's. */
interface Owned {
  readonly site: string
  readonly prefix: Prefix
  readonly key: string
  /** Of a site: what is elsewhere can't be another one in the overlay. */
  readonly lan?: IntentLan
}
function numbered(base: string, lans: readonly (Pick<IntentLan, 'segment' | 'prefix'> & { readonly lan?: IntentLan })[]): readonly Owned[] {
  const counts = new Map<SegmentId, number>()
  return lans.map(({ segment, prefix: own, lan }) => {
    const i = counts.get(segment) ?? 0
    counts.set(segment, i + 1)
    return { site: base.slice(base.indexOf('/') + 1), prefix: own, key: `${base}/lan/${segment}/${i}`, ...(lan ? { lan } : {}) }
  })
}
/** Both of a pair have the same. */
const ownedAt = onceOf(({ id, lans }: IntentSite) =>
  isSecondGateway(id)
    ? []
    : numbered(
        `site/${id}`,
        lans.map((lan) => ({ segment: lan.segment, prefix: lan.prefix, lan })),
      ),
)

/** One address space: a prefix has one owner, unless it may be another one in the overlay, and nobody's are inside tunnels. */
export function checkOverlaps(
  sites: readonly IntentSite[],
  regions: readonly IntentRegion[],
  peers: readonly IntentPeer[],
  translate: Intent['translate'],
  report: Report,
): void {
  const all = [
    ...sites.flatMap(ownedAt),
    ...regions.flatMap(({ id, segment, networks }) => {
      const own = networks.flatMap((network) => network.prefixes).sort(comparePrefixes)
      return numbered(
        `region/${id}`,
        own.map((each) => ({ segment, prefix: each })),
      )
    }),
    ...peers.flatMap(({ id, lans }) => numbered(`peer/${id}`, lans)),
  ]
  const stays = ({ lan }: Owned): boolean => lan === undefined || modeOf(translate, lan) === 'never'
  for (const [each, over] of overlapping(all.filter(stays))) {
    if (over.site === each.site) continue
    const says =
      over.prefix === each.prefix
        ? `${each.prefix} is at ${over.site} and at ${each.site}`
        : `${each.prefix} at ${each.site} is part of ${over.prefix} at ${over.site}`
    report.error('I034', [each.key, over.key], says, instead([each, over]))
  }
  for (const family of [4, 6] as const)
    if (all.some((one) => !stays(one) && familyOf(one.prefix) === family))
      checkPool((translate?.pools ?? translationPools)[family], all, sites, peers, report)
  const insides = insidesOf(peers)
  const others = insides.length === 0 ? [] : [...all.map(ofSite), ...uplinkNetworks(sites), ...gatewaysOf(peers)]
  for (const { prefix: pool, key } of insides) {
    const over = others.find((one) => overlaps(one.prefix, pool))
    if (over)
      report.error(
        'I096',
        [key, over.key],
        `${pool} can't hold the addresses inside tunnels: ${formatHosts(over.prefix)} is ${over.of}`,
        `write a network that nobody has, like ${poolExample[familyOf(pool)]}`,
      )
  }
}
/** Addresses that somebody has, in words. */
interface Taken {
  readonly of: string
  readonly prefix: Prefix
  readonly key: string
}
const ofSite = ({ site, prefix, key }: Omit<Taken, 'of'> & { readonly site: string }): Taken => ({ of: `at ${site}`, prefix, key })
const uplinkNetworks = (sites: readonly IntentSite[]): readonly Taken[] =>
  sites.flatMap(({ id, uplinks }) =>
    uplinks.flatMap(({ id: uplink, address }) =>
      address === null
        ? []
        : [{ of: `the network of uplink ${id}.${uplink}`, prefix: networkOf(address), key: `site/${id}/uplink/${uplink}/address` }],
    ),
  )
const gatewaysOf = (peers: readonly IntentPeer[]): readonly Taken[] =>
  peers.flatMap(({ id, gateways }) =>
    gateways.map(({ address }, n) => ({ of: `an address of peer ${id}`, prefix: hostPrefix(address), key: `peer/${id}/address/${n}` })),
  )
const insidesOf = (peers: readonly IntentPeer[]): readonly Taken[] =>
  peers.flatMap((peer) =>
    peer.pools.map((prefix) => ({ of: `inside the tunnels of peer ${peer.id}`, prefix, key: `peer/${peer.id}/inside/${familyOf(prefix)}` })),
  )
/** Clouds and third parties keep their addresses whatever we do. */
const instead = (both: readonly { readonly key: string }[]): string =>
  both.some(({ key }) => key.startsWith('site/'))
    ? 'give one of them another network, or write translate: auto in network.yaml'
    : 'give one of them another network; what is not at a site can not be translated'

/** What LANs are called in the overlay is nobody's address already. */
function checkPool(
  pool: Prefix,
  lans: readonly { readonly site: string; readonly prefix: Prefix; readonly key: string }[],
  sites: readonly IntentSite[],
  peers: readonly IntentPeer[],
  report: Report,
): void {
  const taken = [...lans.map(ofSite), ...uplinkNetworks(sites), ...insidesOf(peers)].find((one) => overlaps(one.prefix, pool))
  if (taken)
    report.error(
      'I098',
      [`network/translate/pool/${familyOf(pool)}`, taken.key],
      `${pool} can't hold what LANs are called in the overlay: ${taken.prefix} is ${taken.of}`,
      `write a pool: that nobody has, as in translate: { mode: auto, pool: ${familyOf(pool) === 4 ? '10.192.0.0/10' : 'fd5c:1a2b:3c4d::/48'} }`,
    )
}
