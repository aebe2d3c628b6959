/** Where hosts leave to the internet, if their LAN may: over uplinks of their own site, or of its hubs. */
import type { Finding, Site, Uplink, UplinkId } from '#src/fabric/fabric.ts'
import { compareText } from '#src/fabric/ids.ts'
import { familiesOf } from '#src/fabric/uplinks.ts'
import { defaultTransport } from '#src/intent/defaults.ts'
import type { Intent, IntentLan, IntentSite } from '#src/intent/intent.ts'
import { familyOf, type Prefix, sortPrefixes } from '#src/net/address.ts'
import type { Memo } from './memo.ts'
import { costOf, wordsAt } from './routes.ts'
import type { Tunnels } from './tunnels.ts'

export interface Exits {
  /** In the order of the intent's. */
  readonly sites: readonly Pick<Site, 'exits' | 'exitsFor' | 'exitHub'>[]
  readonly findings: readonly Finding[]
}
const nowhere: Exits['sites'][number] = {}
const nobody: readonly Prefix[] = []
const noSite: readonly IntentSite[] = []

/**
 * How hosts of a LAN leave: who has no hub, as hubs have none, is its own. Over IPv6 they don't: hosts are not hidden behind
 * one address there (RFC 4864), and prefixes of providers are not handed on yet.
 */
export const breakoutOf = ({ internet, prefix }: IntentLan, { hubs }: IntentSite): 'local' | 'hub' | undefined =>
  internet === 'none' || familyOf(prefix) === 6 ? undefined : hubs.length === 0 ? 'local' : internet

/**
 * Uplinks of the transport `internet`, as the class `default` prefers them: another transport may reach the hubs, and
 * then it leads to no other host of the internet.
 */
export function exits({ sites, hubs, classes }: Intent, { uplinks }: Pick<Tunnels, 'uplinks'>, memo: Memo): Exits {
  const trafficClass = classes.find((one) => one.id === 'default')!
  const atHubs = memo.sparse('LANs that leave at hubs', [], [sites], (site) => {
    const prefixes = site.lans.filter((lan) => breakoutOf(lan, site) === 'hub').map((lan) => lan.prefix)
    return prefixes.length > 0 ? [{ hubs: site.hubs, prefixes }] : []
  })
  const leavingAt = memo.once(
    'LANs that leave at each hub',
    [atHubs, hubs.join(' ')],
    () =>
      new Map(hubs.map((hub) => [hub, sortPrefixes(atHubs.filter((one) => one.hubs.includes(hub)).flatMap(({ prefixes }) => prefixes))] as const)),
  )
  const carried = memo.rows('LANs that leave at a site', [leavingAt], [sites], ({ id }) => (leavingAt.get(id) ?? nobody).join(' '))
  const world = [JSON.stringify(trafficClass), hubs.join(' ')]
  const all = memo.rows('exits', world, [sites, uplinks, carried], (site, own, text) => {
    const ways = new Set(site.lans.map((lan) => breakoutOf(lan, site)))
    const found = own.filter(isOnInternet).flatMap((uplink) => {
      const cost = costOf(uplink, wordsAt(site, trafficClass))
      return cost === 'never' ? [] : [{ id: uplink.id, slot: uplink.slot, cost }]
    })
    const ids: readonly UplinkId[] = found.sort((a, b) => a.cost - b.cost || a.slot - b.slot).map(({ id }) => id)
    const exitsFor = text === '' ? nobody : leavingAt.get(site.id)!
    const [home] = site.hubs
    const here = ways.has('local') || exitsFor.length > 0
    const at: Exits['sites'][number] = {
      ...(here && ids.length > 0 ? { exits: ids } : {}),
      ...(exitsFor.length > 0 ? { exitsFor } : {}),
      ...(ways.has('hub') && home !== undefined ? { exitHub: home } : {}),
    }
    return { site, at: Object.keys(at).length > 0 ? at : nowhere, stuck: here && ids.length === 0 }
  })
  const stuck = memo.sparse('sites without an exit', [], [all], (one) => (one.stuck ? [one.site] : noSite))
  const kept = memo.sparse('IPv6 that stays inside', [], [sites], staysInside)
  return {
    sites: memo.rows('exits of sites', [], [all], (one) => one.at),
    findings: [
      ...[...stuck].sort((a, b) => compareText(a.id, b.id)).map((site) => noExit(site, sites)),
      ...[...kept].sort((a, b) => compareText(a.at[0]!, b.at[0]!)),
    ],
  }
}

/** Over IPv4, as all that leaves does. */
const isOnInternet = ({ transport, endpoint }: Uplink): boolean => transport === defaultTransport && familiesOf(endpoint).includes(4)

const noFinding: readonly Finding[] = []
function staysInside({ id, lans }: IntentSite): readonly Finding[] {
  const inside = lans.filter(({ internet, prefix }) => internet !== 'none' && familyOf(prefix) === 6)
  if (inside.length === 0) return noFinding
  return inside.map(({ segment, prefix }): Finding => {
    const n = lans.filter((lan) => lan.segment === segment).findIndex((lan) => lan.prefix === prefix)
    return {
      code: 'I142',
      severity: 'note',
      at: [`site/${id}/lan/${segment}/${n}`],
      says: `hosts of ${segment} at ${id} leave to the internet over IPv4 only: ${prefix} stays inside`,
      instead: '',
      witness: [],
    }
  })
}

function noExit({ id, uplinks }: IntentSite, sites: readonly IntentSite[]): Finding {
  const all = sites
    .filter((site) => site.id === id || site.hubs.includes(id))
    .flatMap((site) => site.lans.map((lan) => ({ site, lan, way: breakoutOf(lan, site) })))
  const { site, lan } = all.find((one) => one.way === (one.site.id === id ? 'local' : 'hub'))!
  const n = site.lans.filter((one) => one.segment === lan.segment).indexOf(lan)
  const there = uplinks.some((uplink) => uplink.transport === defaultTransport && uplink.families.includes(4))
  const instead = `write internet: none at the segment of ${site.id}`
  return {
    code: 'I141',
    severity: 'error',
    at: [`site/${site.id}/lan/${lan.segment}/${n}/internet`, `internet/${lan.segment}`],
    says: `hosts of ${lan.segment} at ${site.id} are to leave to the internet${site.id === id ? '' : ` at hub ${id}`}, and ${
      there ? `class default never uses an uplink of ${id} that is on it` : `no uplink of ${id} is on it`
    }`,
    instead: `${there ? 'use `avoid:` in class default' : `add an uplink of transport ${defaultTransport}`}, or ${instead}`,
    witness: [],
  }
}
