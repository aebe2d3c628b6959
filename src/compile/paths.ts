/** Who can reach whom: every pair of uplinks that becomes a tunnel (routing rules 5 and 7). Needs no number yet. */
import type { Finding, SiteId, TunnelId } from '#src/fabric/fabric.ts'
import { compareText, tunnelId } from '#src/fabric/ids.ts'
import type { Intent, IntentSite, IntentUplink } from '#src/intent/intent.ts'
import { contains, prefix } from '#src/net/address.ts'

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
        const ends = [{ site: a, uplink: own }, { site: b, uplink: far }] as const
        found.push({ id: tunnelId({ site: a.id, uplink: own.id }, { site: b.id, uplink: far.id }), role, ends })
        count++
      }
    }
    return count
  }

  for (const hub of hubs) findings.push(...unreachableUplinks(hub))
  for (const [index, low] of hubs.entries()) {
    for (const high of hubs.slice(index + 1)) {
      if (between('mesh', low, high) === 0) findings.push(noPath(low, high, `site/${high.id}`))
    }
  }
  for (const site of intent.sites) {
    if (hubIds.has(site.id)) continue
    if (site.hubs.length === 0 && intent.sites.length > 1) {
      findings.push({ code: 'I121', severity: 'error', at: [`site/${site.id}/hubs`, `site/${site.id}`, 'network'], says: `${site.id} has no hub, so no tunnel`, instead: 'list a core under `hubs:` in network.yaml', witness: [] })
    }
    for (const id of site.hubs) {
      const hub = sites.get(id)
      if (!hub || !hubIds.has(id)) {
        findings.push({ code: 'I122', severity: 'error', at: [`site/${site.id}/hubs`, `site/${site.id}`], says: `${site.id} names "${id}" as a hub, which is not listed in the network's hubs`, instead: `write one of ${[...hubIds].sort(compareText).join(', ')}`, witness: [] })
      } else if (between('spoke', site, hub) === 0) findings.push(noPath(site, hub, `site/${site.id}`))
    }
  }
  return { paths: found.sort((a, b) => compareText(a.id, b.id)), findings }
}

function transportsMeet(intent: Intent): (a: string, b: string) => boolean {
  const reaches = new Set(intent.transports.flatMap(({ id, reaches: others }) => others.flatMap((other) => [`${id} ${other}`, `${other} ${id}`])))
  return (a, b) => a === b || reaches.has(`${a} ${b}`)
}

const noPath = (a: IntentSite, b: IntentSite, key: string): Finding => ({
  code: 'I120',
  severity: 'error',
  at: [key],
  says: `no uplink of ${a.id} can reach one of ${b.id}: their transports have nothing in common`,
  instead: 'give both an uplink on the same transport, or join two by `reaches:`',
  witness: [`${a.id}: ${transportsOf(a)}`, `${b.id}: ${transportsOf(b)}`],
})
const transportsOf = (site: IntentSite): string => site.uplinks.map((uplink) => `${uplink.id} on ${uplink.transport}`).join(', ') || 'no uplink'

/** RFC 1918, RFC 6598 (carrier NAT), RFC 3927, RFC 4193: nobody can dial these from the internet. */
const unroutable = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '169.254.0.0/16', 'fc00::/7'].map(prefix)

function unreachableUplinks(hub: IntentSite): Finding[] {
  return hub.uplinks.flatMap((uplink): Finding[] => {
    const at = [`site/${hub.id}/uplink/${uplink.id}`]
    const told = { code: 'I123', severity: 'error', witness: [] } as const
    if (uplink.address === null || uplink.router === null) {
      return [{ ...told, at, says: `hub uplink ${hub.id}.${uplink.id} has no fixed address, so edges can't dial it`, instead: 'write its `address:` and `router:`, and `public:` when ports are forwarded to it' }]
    }
    const dialled = uplink.public?.address ?? uplink.address.slice(0, uplink.address.indexOf('/'))
    const inside = unroutable.find((range) => uplink.transport === 'internet' && contains(range, dialled as never))
    return inside ? [{ ...told, at: [`${at[0]}/${uplink.public ? 'public' : 'address'}`, ...at], says: `hub uplink ${hub.id}.${uplink.id} is ${dialled}, inside ${inside}, which can't be dialled over the internet`, instead: 'write the address that others dial as `public:`, or name the transport that it is on' }] : []
  })
}
