/** Who can reach whom: every pair of uplinks that becomes a tunnel (routing rules 5 and 7). Needs no number yet. */
import type { Finding, InterfaceId, SiteId, TunnelId, UplinkId } from '#src/fabric/fabric.ts'
import { compareText, edgeInterfaceId, firstEdgePort, firstHubPort, meshInterfaceId, tunnelBetween, uplinkName } from '#src/fabric/ids.ts'
import type { Intent, IntentSite, IntentUplink } from '#src/intent/intent.ts'
import { type Address, hostOf } from '#src/net/address.ts'
import { onceOf, onceOfEach } from '#src/net/once.ts'
import { inOrder } from '#src/net/sorted.ts'
import { flatten } from './arrays.ts'
import type { ExternalPath } from './externals.ts'
import type { List } from './list.ts'
import { createMemo, type Memo } from './memo.ts'
import { hubsOf, sitesOf } from './sites.ts'

export interface PathEnd {
  readonly site: IntentSite
  readonly uplink: IntentUplink
  /** Of the uplink in the network. */
  readonly name: string
}
/** spoke: ends[0] is the edge. mesh: ends[0] is the lower site id. */
export interface Path {
  readonly id: TunnelId
  readonly role: 'spoke' | 'mesh'
  readonly ends: readonly [PathEnd, PathEnd]
}

export interface Paths {
  /** In the order of sites: those that begin there, by id. */
  readonly of: List<readonly Path[]>
  readonly findings: readonly Finding[]
}
interface Found {
  readonly paths: readonly Path[]
  readonly findings: readonly Finding[]
}

/** `joins`: what hubs hold beside them. */
export function paths(intent: Intent, joins: readonly ExternalPath[], memo: Memo = createMemo()): Paths {
  const meets = transportsMeet(intent)
  const sites = sitesOf(intent, memo)
  const hubs = hubsOf(intent, memo)
  const alone = intent.sites.length < 2
  const world = [JSON.stringify(intent.transports), alone, ...hubs]

  const meet = ({ uplink: own }: PathEnd, { uplink: far }: PathEnd) =>
    meets(own.transport, far.transport) && own.families.some((family) => far.families.includes(family))
  const between = (role: Path['role'], a: readonly PathEnd[], b: readonly PathEnd[]): readonly Path[] => {
    const found: Path[] = []
    for (const own of a) for (const far of b) if (meet(own, far)) found.push({ id: tunnelBetween(own.name, far.name), role, ends: [own, far] })
    return found
  }
  const atHubs = new Map(hubs.map((hub) => [hub.id, endsAtHub(hub)]))
  const mesh = memo.once('paths of the mesh', world, (): ReadonlyMap<SiteId, Found> => {
    return new Map(
      hubs.map((low, index) => {
        const joined = hubs.slice(index + 1).map((high) => ({ high, paths: between('mesh', atHubs.get(low.id)!, atHubs.get(high.id)!) }))
        return [
          low.id,
          {
            paths: inOrder(flatten(joined.map((one) => one.paths)), byId),
            findings: joined.filter((one) => one.paths.length === 0).map(({ high }) => noPath(low, high, `site/${high.id}`)),
          },
        ]
      }),
    )
  })
  const all = memo.rows('paths of sites', world, [sites], (site): Found => {
    const meshed = mesh.get(site.id)
    if (meshed) return meshed
    const ends = endsAt(site)
    const joined = site.hubs.map((id) => {
      const hub = hubs.find((one) => one.id === id)
      if (!hub) throw new TypeError(`${site.id} names the hub "${id}", which is no hub`)
      return { hub, paths: between('spoke', ends, atHubs.get(id)!) }
    })
    const own = inOrder(flatten(joined.map((one) => one.paths)), byId)
    return {
      paths: own,
      findings: [
        ...(site.hubs.length === 0 && !alone ? [noHub(site)] : []),
        ...joined.filter((one) => one.paths.length === 0).map(({ hub }) => noPath(site, hub, `site/${site.id}`)),
        ...(alone ? [] : idleUplinks(site, (uplink) => own.some((path) => path.ends[0].uplink === uplink))),
      ],
    }
  })
  const ofSpokes = memo.sparse('findings of paths', [mesh], [sites, all], (site, one) => (mesh.has(site.id) ? [] : one.findings))
  const used = usedAt(hubs, all, joins)
  const idleAt = (hub: IntentSite) => idleUplinks(hub, (uplink) => endsAtHub(hub).some((end) => end.uplink === uplink && used.has(end)))
  const findings = [...sharedPorts(hubs), ...[...mesh.values()].flatMap((one) => one.findings), ...ofSpokes, ...(alone ? [] : hubs.flatMap(idleAt))]
  return { of: memo.rows('paths', [], [all], (one) => one.paths), findings }
}
const endsAt = (site: IntentSite): readonly PathEnd[] => site.uplinks.map((uplink) => ({ site, uplink, name: uplinkName(site.id, uplink.id) }))
/** The same objects while the hub is. */
export const endsAtHub = onceOf(endsAt)
// Thousands of spokes have interfaces of the same names, for they end at the same uplinks.
const towards = {
  spoke: onceOf(({ site, uplink }: PathEnd) => onceOfEach((own: UplinkId) => edgeInterfaceId(own, site.id, uplink.id))),
  mesh: onceOf(({ site, uplink }: PathEnd) => onceOfEach((own: UplinkId) => meshInterfaceId(own, site.id, uplink.id))),
}
/** Of an uplink that a path leads from. */
export const interfaceTowards = (role: Path['role'], own: UplinkId, far: PathEnd): InterfaceId => towards[role](far)(own)
const byId = (a: Path, b: Path): number => compareText(a.id, b.id)

/** Which uplinks of hubs carry a tunnel; looks no further once all do. */
function usedAt(hubs: readonly IntentSite[], all: Iterable<Found>, joins: readonly ExternalPath[]): ReadonlySet<PathEnd> {
  const ends = new Set(hubs.flatMap(endsAtHub))
  const used = new Set([...ends].filter(({ site, uplink }) => joins.some((join) => join.site === site && join.uplink === uplink)))
  for (const { paths } of all) {
    for (const path of paths) for (const end of path.ends) if (ends.has(end)) used.add(end)
    if (used.size === ends.size) break
  }
  return used
}

const noHub = (site: IntentSite): Finding => ({
  code: 'I111',
  severity: 'error',
  at: [`site/${site.id}/hubs`, `site/${site.id}`, 'network'],
  says: `${site.id} has no hub, so no tunnel`,
  instead: 'list one under its own `hubs:`, or leave that out: then it has those of the network',
  witness: [],
})

export function transportsMeet(intent: Intent): (a: string, b: string) => boolean {
  const reaches = new Set(intent.transports.flatMap(({ id, reaches: others }) => others.flatMap((other) => [`${id} ${other}`, `${other} ${id}`])))
  return (a, b) => a === b || reaches.has(`${a} ${b}`)
}

const noPath = (a: IntentSite, b: IntentSite, key: string): Finding => ({
  code: 'I110',
  severity: 'error',
  at: [key],
  says: `no uplink of ${a.id} can reach one of ${b.id}: they have no transport in common, or on it no address family`,
  instead: 'give both an uplink on the same transport, or join two by `reaches:`',
  witness: [`${a.id}: ${transportsOf(a)}`, `${b.id}: ${transportsOf(b)}`],
})
const transportsOf = (site: IntentSite): string =>
  site.uplinks
    .map(
      (uplink) =>
        `${uplink.id} on ${uplink.transport}${uplink.families.includes(6) ? ` over ${uplink.families.map((family) => `IPv${family}`).join(' and ')}` : ''}`,
    )
    .join(', ') || 'no uplink'

const dialled = (uplink: IntentUplink): { readonly address: Address; readonly base: number } =>
  uplink.public ?? { address: hostOf(uplink.address!), base: firstHubPort }

/** A hub listens on 51820 and up, for spokes and mesh; forwarded ports are as many from `base`. */
const hubPorts = firstEdgePort - firstHubPort

function sharedPorts(hubs: readonly IntentSite[]): Finding[] {
  const findings: Finding[] = []
  const all = hubs
    .flatMap((hub) =>
      hub.uplinks
        .filter((uplink) => uplink.address !== null || uplink.public !== null)
        .map((uplink) => ({
          name: `${hub.id}.${uplink.id}`,
          key: `site/${hub.id}/uplink/${uplink.id}`,
          transport: uplink.transport,
          ...dialled(uplink),
        })),
    )
    .sort((a, b) => compareText(`${a.transport} ${a.address}`, `${b.transport} ${b.address}`) || a.base - b.base || compareText(a.name, b.name))
  for (const [index, one] of all.entries()) {
    const at = [`${one.key}/public`, one.key]
    if (one.base + hubPorts > 65536)
      findings.push({
        code: 'I113',
        severity: 'error',
        at,
        says: `hub uplink ${one.name} forwards from port ${one.base}, which leaves too few ports above it`,
        instead: `forward ${hubPorts} ports from ${65536 - hubPorts} or lower`,
        witness: [],
      })
    const previous = all[index - 1]
    if (previous && previous.transport === one.transport && previous.address === one.address && one.base - previous.base < hubPorts) {
      findings.push({
        code: 'I112',
        severity: 'error',
        at: [...at, previous.key],
        says: `${previous.name} and ${one.name} are both dialled at ${one.address} on the same ports`,
        instead: `forward to each from a base of its own, ${hubPorts} apart`,
        witness: [],
      })
    }
  }
  return findings
}

/** An uplink without a tunnel is paid for and protects nothing. A site without any path has been told so. */
function idleUplinks(site: IntentSite, isUsed: (uplink: IntentUplink) => boolean): Finding[] {
  const idle = site.uplinks.filter((uplink) => !isUsed(uplink))
  return idle.length === site.uplinks.length
    ? []
    : idle.map(
        (uplink): Finding => ({
          code: 'I114',
          severity: 'warning',
          at: [`site/${site.id}/uplink/${uplink.id}/transport`, `site/${site.id}/uplink/${uplink.id}`],
          says: `uplink ${site.id}.${uplink.id} carries no tunnel: nothing it could reach is on transport "${uplink.transport}"${uplink.families.includes(4) ? '' : ' over IPv6'}`,
          instead: 'name a transport that the hubs are on, or join the two by `reaches:`',
          witness: [],
        }),
      )
}
