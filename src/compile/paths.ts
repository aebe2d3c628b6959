/** Who can reach whom: every pair of uplinks that becomes a tunnel (routing rules 5 and 7). Needs no number yet. */
import type { Finding, SiteId, TunnelId } from '#src/fabric/fabric.ts'
import { compareText, firstEdgePort, firstHubPort, tunnelId } from '#src/fabric/ids.ts'
import type { Intent, IntentSite, IntentUplink } from '#src/intent/intent.ts'
import { type Address, hostOf } from '#src/net/address.ts'

export interface PathEnd {
  readonly site: IntentSite
  readonly uplink: IntentUplink
}
/** spoke: ends[0] is the edge. mesh: ends[0] is the lower site id. */
export interface Path {
  readonly id: TunnelId
  readonly role: 'spoke' | 'mesh'
  readonly ends: readonly [PathEnd, PathEnd]
}

export function paths(intent: Intent): { readonly paths: readonly Path[]; readonly findings: readonly Finding[] } {
  const meets = transportsMeet(intent)
  const sites = new Map(intent.sites.map((site) => [site.id, site]))
  const hubIds = new Set<SiteId>(intent.hubs)
  const hubs = [...hubIds].sort(compareText).flatMap((id) => sites.get(id) ?? [])
  const found: Path[] = []
  const findings: Finding[] = []

  const between = (role: Path['role'], a: IntentSite, b: IntentSite): number => {
    let count = 0
    for (const own of a.uplinks) {
      for (const far of b.uplinks) {
        if (!meets(own.transport, far.transport)) continue
        const ends = [
          { site: a, uplink: own },
          { site: b, uplink: far },
        ] as const
        found.push({ id: tunnelId({ site: a.id, uplink: own.id }, { site: b.id, uplink: far.id }), role, ends })
        count++
      }
    }
    return count
  }

  findings.push(...sharedPorts(hubs))
  for (const [index, low] of hubs.entries()) {
    for (const high of hubs.slice(index + 1)) {
      if (between('mesh', low, high) === 0) findings.push(noPath(low, high, `site/${high.id}`))
    }
  }
  for (const site of intent.sites) {
    if (hubIds.has(site.id)) continue
    if (site.hubs.length === 0 && intent.sites.length > 1) {
      findings.push({
        code: 'I111',
        severity: 'error',
        at: [`site/${site.id}/hubs`, `site/${site.id}`, 'network'],
        says: `${site.id} has no hub, so no tunnel`,
        instead: 'list a core under `hubs:` in network.yaml',
        witness: [],
      })
    }
    for (const id of site.hubs) {
      const hub = sites.get(id)
      if (!hub) throw new TypeError(`${site.id} names the hub "${id}", which is no site`)
      if (between('spoke', site, hub) === 0) findings.push(noPath(site, hub, `site/${site.id}`))
    }
  }
  findings.push(...idleUplinks(intent, found))
  return { paths: found.sort((a, b) => compareText(a.id, b.id)), findings }
}

export function transportsMeet(intent: Intent): (a: string, b: string) => boolean {
  const reaches = new Set(intent.transports.flatMap(({ id, reaches: others }) => others.flatMap((other) => [`${id} ${other}`, `${other} ${id}`])))
  return (a, b) => a === b || reaches.has(`${a} ${b}`)
}

const noPath = (a: IntentSite, b: IntentSite, key: string): Finding => ({
  code: 'I110',
  severity: 'error',
  at: [key],
  says: `no uplink of ${a.id} can reach one of ${b.id}: their transports have nothing in common`,
  instead: 'give both an uplink on the same transport, or join two by `reaches:`',
  witness: [`${a.id}: ${transportsOf(a)}`, `${b.id}: ${transportsOf(b)}`],
})
const transportsOf = (site: IntentSite): string => site.uplinks.map((uplink) => `${uplink.id} on ${uplink.transport}`).join(', ') || 'no uplink'

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

/** An uplink without a tunnel is paid for and protects nothing. */
function idleUplinks(intent: Intent, found: readonly Path[]): Finding[] {
  if (intent.sites.length < 2) return []
  const used = new Set(found.flatMap((path) => path.ends.map((end) => `${end.site.id}/${end.uplink.id}`)))
  const idle = (site: IntentSite) => site.uplinks.filter((uplink) => !used.has(`${site.id}/${uplink.id}`))
  return intent.sites.flatMap((site) =>
    // A site without any path has been told so.
    idle(site).length === site.uplinks.length
      ? []
      : idle(site).map(
          (uplink): Finding => ({
            code: 'I114',
            severity: 'warning',
            at: [`site/${site.id}/uplink/${uplink.id}/transport`, `site/${site.id}/uplink/${uplink.id}`],
            says: `uplink ${site.id}.${uplink.id} carries no tunnel: nothing it could reach is on transport "${uplink.transport}"`,
            instead: 'name a transport that the hubs are on, or join the two by `reaches:`',
            witness: [],
          }),
        ),
  )
}
