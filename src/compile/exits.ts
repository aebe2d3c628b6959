/** Where hosts leave to the internet, if their LAN may: over uplinks of their own site, or of its hubs. */
import type { Finding, Site, SiteId, UplinkId } from '#src/fabric/fabric.ts'
import { compareText, isSecondGateway, siteOfGateway } from '#src/fabric/ids.ts'
import { familiesOf } from '#src/fabric/uplinks.ts'
import { defaultTransport } from '#src/intent/defaults.ts'
import type { Intent, IntentLan, IntentSite } from '#src/intent/intent.ts'
import { type Family, familyOf, type Prefix, sortPrefixes } from '#src/net/address.ts'
import { familiesIn } from '#src/net/sets.ts'
import { costOf, wordsAt } from './costs.ts'
import type { List } from './list.ts'
import type { Memo } from './memo.ts'

import { sitesOf } from './sites.ts'
import type { Tunnels } from './tunnels.ts'

type Leaving = Pick<Site, 'exits' | 'exitsFor' | 'exitHub'>
export interface Exits {
  /** In the order of sites. */
  readonly sites: List<Leaving>
  /** Beside them: how hosts of each LAN leave, in the order of the intent's LANs; empty where none does. */
  readonly ways: List<readonly Way[]>
  readonly findings: readonly Finding[]
}
/** undefined: they stay inside. */
export type Way = 'local' | 'hub' | undefined

const nowhere: Leaving = {}
const nobody: readonly Prefix[] = []
const noFinding: readonly Finding[] = []
const noHub: readonly SiteId[] = []
const noExit: readonly Exit[] = []
/** Of a site whose LANs all stay inside. */
const noWay: readonly Way[] = []

/** An uplink on the internet that class `default` uses. Another transport may reach the hubs, and leads to no other host. */
interface Exit {
  readonly id: UplinkId
  readonly families: readonly Family[]
}
const carry = (exits: readonly Exit[], family: Family): boolean => exits.some(({ families }) => families.includes(family))

/** What is asked for: who has no hub, as hubs have none, is its own. */
const askedOf = ({ internet }: IntentLan, { hubs }: IntentSite): Way => (internet === 'none' ? undefined : hubs.length === 0 ? 'local' : internet)

/**
 * Each family leaves behind the address of an uplink (NAPT, RFC 3022; of IPv6 as well, for a provider takes no source but
 * the prefix that it gave, RFC 2827), so by uplinks that have one of it. IPv6 stays inside where its own site, or the home
 * hub, has none: programs fall back to IPv4 (RFC 8305). From IPv4 they fall back to nothing, and that is an error.
 */
export function exits({ sites: all, hubs, classes }: Intent, { uplinks }: Pick<Tunnels, 'uplinks'>, memo: Memo): Exits {
  const sites = sitesOf({ sites: all }, memo)
  const trafficClass = classes.find((one) => one.id === 'default')!
  const world = [JSON.stringify(trafficClass), hubs.join(' ')]
  const ownHubs = new Set<SiteId>(hubs)
  const found = memo.rows('uplinks on the internet', world, [sites, uplinks], (site, own): readonly Exit[] => {
    if (!ownHubs.has(site.id) && !site.lans.some((lan) => askedOf(lan, site) !== undefined)) return noExit
    return own
      .filter(({ transport }) => transport === defaultTransport)
      .flatMap((uplink) => {
        const cost = costOf(uplink, wordsAt(site, trafficClass))
        return cost === 'never' ? [] : [{ id: uplink.id, families: familiesOf(uplink.endpoint), slot: uplink.slot, cost }]
      })
      .sort((a, b) => a.cost - b.cost || a.slot - b.slot)
      .map(({ id, families }) => ({ id, families }))
  })
  const hubsOverSix = memo.sparse('hubs with IPv6 on the internet', [hubs.join(' ')], [sites, found], ({ id }, own) =>
    ownHubs.has(id) && carry(own, 6) ? [id] : noHub,
  )
  const ways = memo.rows('ways out', [hubsOverSix], [sites, found], (site, own): readonly Way[] => {
    const all = site.lans.map((lan) => {
      const way = askedOf(lan, site)
      const six = familyOf(lan.prefix) === 6
      return six && !(way === 'hub' ? hubsOverSix.includes(site.hubs[0]!) : carry(own, 6)) ? undefined : way
    })
    return all.some((way) => way !== undefined) ? all : noWay
  })
  // Of a pair of gateways the first speaks for the site: both have the same LANs, and leave at the same hubs.
  const atHubs = memo.sparse('LANs that leave at hubs', [], [sites, ways], (site, leaving) => {
    if (isSecondGateway(site.id)) return []
    const prefixes = site.lans.flatMap((lan, n) => (leaving[n] === 'hub' ? [lan.prefix] : []))
    return prefixes.length > 0 ? [{ hubs: site.hubs, prefixes }] : []
  })
  const leavingAt = memo.once(
    'LANs that leave at each hub',
    [atHubs, hubs.join(' ')],
    () =>
      new Map(hubs.map((hub) => [hub, sortPrefixes(atHubs.filter((one) => one.hubs.includes(hub)).flatMap(({ prefixes }) => prefixes))] as const)),
  )
  const carried = memo.rows('LANs that leave at a site', [leavingAt], [sites], ({ id }) => (leavingAt.get(id) ?? nobody).join(' '))
  const leaving = memo.rows('exits', world, [sites, found, ways, carried], (site, own, wayOf, text) => {
    const exitsFor = text === '' ? nobody : leavingAt.get(site.id)!
    const families = new Set([...familiesIn(exitsFor), ...site.lans.flatMap((lan, n) => (wayOf[n] === 'local' ? [familyOf(lan.prefix)] : []))])
    const ids = own.filter((exit) => exit.families.some((family) => families.has(family))).map(({ id }) => id)
    const [home] = site.hubs
    const at: Leaving = {
      ...(ids.length > 0 ? { exits: ids } : {}),
      ...(exitsFor.length > 0 ? { exitsFor } : {}),
      ...(wayOf.includes('hub') && home !== undefined ? { exitHub: home } : {}),
    }
    return { site, own, at: Object.keys(at).length > 0 ? at : nowhere, stuck: families.has(4) && !carry(own, 4) }
  })
  const stuck = memo.sparse('sites without an exit', [], [leaving], (one) => (one.stuck ? [one] : []))
  const kept = memo.sparse('IPv6 that stays inside', [], [sites, ways], staysInside)
  return {
    sites: memo.rows('exits of sites', [], [leaving], (one) => one.at),
    ways,
    findings: [
      ...[...stuck].sort((a, b) => compareText(a.site.id, b.site.id)).map(({ site, own }) => nothingLeads(site, own, all)),
      ...[...kept].sort((a, b) => compareText(a.at[0]!, b.at[0]!)),
    ],
  }
}

/** A note beside IPv4 that leaves, else what was asked for can't be. */
function staysInside(site: IntentSite, ways: readonly Way[]): readonly Finding[] {
  const { id, lans, hubs } = site
  const inside = lans.filter((lan, n) => askedOf(lan, site) !== undefined && ways[n] === undefined)
  if (inside.length === 0) return noFinding
  return inside.map((lan): Finding => {
    const { segment, prefix } = lan
    const place = `site/${siteOfGateway(id)}/lan/${segment}/${lans.filter((one) => one.segment === segment).indexOf(lan)}`
    const at = askedOf(lan, site) === 'hub' ? hubs[0]! : id
    const why = `no uplink of ${at} on the internet that class default uses has IPv6`
    const beside = lans.some((other, n) => other.segment === segment && ways[n] !== undefined)
    const give = `give ${at} an uplink with IPv6: family: both where its provider gives the address, else one more with an IPv6 address`
    return beside
      ? {
          code: 'I142',
          severity: 'note',
          at: [place],
          says: `hosts of ${segment} at ${id} leave to the internet over IPv4 only: ${prefix} stays inside, for ${why}`,
          instead: give,
          witness: [],
        }
      : {
          code: 'I141',
          severity: 'error',
          at: [`${place}/internet`, `internet/${segment}`],
          says: `hosts of ${segment} at ${id} are to leave to the internet${at === id ? '' : ` at hub ${at}`} from ${prefix}, and ${why}`,
          instead: `${give}, or write internet: none at the segment of ${id}`,
          witness: [],
        }
  })
}

function nothingLeads({ id, uplinks }: IntentSite, own: readonly Exit[], sites: readonly IntentSite[]): Finding {
  const all = sites
    .filter((site) => site.id === id || site.hubs.includes(id))
    .flatMap((site) => site.lans.map((lan) => ({ site, lan, way: askedOf(lan, site) })))
  const { site, lan } = all.find((one) => one.way === (one.site.id === id ? 'local' : 'hub') && familyOf(one.lan.prefix) === 4)!
  const n = site.lans.filter((one) => one.segment === lan.segment).indexOf(lan)
  const there = uplinks.some((uplink) => uplink.transport === defaultTransport && uplink.families.includes(4))
  const instead = `write internet: none at the segment of ${site.id}`
  return {
    code: 'I141',
    severity: 'error',
    at: [`site/${siteOfGateway(site.id)}/lan/${lan.segment}/${n}/internet`, `internet/${lan.segment}`],
    says: `hosts of ${lan.segment} at ${site.id} are to leave to the internet${site.id === id ? '' : ` at hub ${id}`}, and ${
      there ? `class default never uses an uplink of ${id} that is on it` : `no uplink of ${id} is on it${own.length > 0 ? ' over IPv4' : ''}`
    }`,
    instead: `${there ? 'use `avoid:` in class default' : `add an uplink of transport ${defaultTransport}`}, or ${instead}`,
    witness: [],
  }
}
