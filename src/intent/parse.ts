/** The files of a network → Intent. All findings at once; the intent is there when none of them is an error. */
import type { Finding, NetworkId, Origins, SiteId } from '#src/fabric/fabric.ts'
import { compareText } from '#src/fabric/ids.ts'
import { type Family, familyOf, lengthOf, overlaps, type Prefix } from '#src/net/address.ts'
import { checkClouds, checkExternals, checkHubs, checkOverlaps, checkPaths, checkPeers, checkRisks } from './check.ts'
import { placeTexts } from './canonical.ts'
import { defaultMtu, translationPools } from './defaults.ts'
import type { Intent, IntentSite } from './intent.ts'
import { readHubs, readNames, readTransports, readUplinkWords, readWaypoints, segmentsOf } from './names.ts'
import { once } from '#src/net/once.ts'
import { type Layer, noteFields } from './places.ts'
import { special } from './ranges.ts'
import { type Declared, gatewaysOf, type NamedSite, type Raw, type ReadBefore, readFiles } from './raw.ts'
import { readClasses, readPreferences, readSiteClasses } from './read-classes.ts'
import { checkGroups, landsOf, readGroups } from './read-groups.ts'
import { checkRelays } from './read-lan-services.ts'
import { readInternet } from './read-internet.ts'
import { readMaintenance, readSiteMaintenance } from './read-maintenance.ts'
import { readPeer } from './read-peer.ts'
import { readRegion } from './read-region.ts'
import { readSite } from './read-site.ts'
import { readExpects } from './read-expect.ts'
import { checkPlaces, readLines, readServices } from './read-traffic.ts'
import { createReport, type Report } from './report.ts'
import type { Located } from './spec.ts'
import { sortFindings } from './render.ts'
import type { SourceFile } from './yaml.ts'

export interface ParseResult {
  /** null: there is an error among the findings. */
  readonly intent: Intent | null
  readonly origins: Origins
  /** What each file declares, pulled ones too. */
  readonly declared: readonly Declared[]
  /** A file or a name could not be read: what it declares is unknown. */
  readonly partial: boolean
  /** Sorted by file, line and column. */
  readonly findings: readonly Finding[]
}

/** `path` is how people should see the file, below `pulled/` another owner's; `text` its content, decoded as UTF-8 by the caller. */
export const parseIntent = (files: readonly SourceFile[]): ParseResult => createParser()(files)
/** A parser that remembers: of a folder in which one file was edited, that one is read. It gives what one without memory does. */
export function createParser(): (files: readonly SourceFile[]) => ParseResult {
  const before: ReadBefore = new Map()
  let sites: SitesBefore = { world: '', of: new WeakMap() }
  return (files) => {
    const report = createReport()
    return parse(readFiles(files, report, before), report, (world) => (sites = sites.world === world ? sites : { world, of: new WeakMap() }))
  }
}

/** Sites that were read and about which there was nothing to say, by what they wrote. */
interface SitesBefore {
  /** What else reading one depends on: in another it is read again. */
  readonly world: string
  readonly of: WeakMap<NamedSite['fields'], { readonly value: readonly IntentSite[]; readonly layer: Layer }>
}

function parse(raw: Raw, report: Report, sitesBefore: (world: string) => SitesBefore): ParseResult {
  const names = readNames(raw, report)
  const hubs = readHubs(raw, names, report)
  const transports = readTransports(raw, report)
  const words = readUplinkWords(raw, transports, report)
  const transportIds = new Set(transports.map((each) => each.id))
  const classes = readClasses(raw, words, report)
  const internet = readInternet(raw, names, report)
  const maintenance = readMaintenance(raw, report)
  const whole = (site: NamedSite): readonly IntentSite[] => {
    const own = readSiteClasses(site, classes, report)
    const preferences = readPreferences(site, classes, words, report)
    const windows = readSiteMaintenance(site, maintenance, report) ?? maintenance
    return readSite(site, names, transportIds, hubs, internet, report).map((gateway) => ({
      ...gateway,
      classes: own,
      ...(preferences.length > 0 ? { preferences } : {}),
      ...(windows ? { maintenance: windows } : {}),
    }))
  }
  const before = sitesBefore(JSON.stringify([hubs, transports, segmentsOf(names), names.partial, classes, [...words], internet, maintenance]))
  const sites = raw.sites.flatMap((site) => {
    const said = report.findings.length
    const known = before.of.get(site.fields)
    const read = known ?? report.origins.apart(() => whole(site))
    const { value: gateways, layer } = read
    report.origins.lay(
      gateways.map(({ id }) => id),
      layer,
    )
    if (!known && report.findings.length === said) before.of.set(site.fields, read)
    return gateways
  })
  sites.sort((a, b) => compareText(a.id, b.id))
  const regions = raw.regions.map((region) => readRegion(region, names, hubs, report))
  const peers = raw.peers.map((peer) => readPeer(peer, names, transportIds, hubs, report))
  const groups = readGroups(raw, report)
  const services = readServices(raw, names, classes, report)
  const allow = readLines('allow', raw, names, report)
  const deny = readLines('deny', raw, names, report)
  const expect = readExpects(
    raw,
    names,
    once(() => readWaypoints(raw, words, hubs)),
    report,
  )
  const network = raw.network?.fields
  const translate = readTranslate(network?.translate, report)
  if (network?.network) report.origins.set('network', network.network.at)
  if (network) noteFields('network', { mtu: network.mtu }, report.origins)

  checkRisks(sites, report)
  checkHubs(sites, hubs, transports, unreadUplinks(raw, hubs), report)
  checkOverlaps(sites, regions, peers, translate, report)
  // Paths and places are judged only when all that they are made of could be read: else they would say what others said.
  const sound = (): boolean => !report.findings.some((finding) => finding.severity === 'error')
  if (sound()) {
    checkPaths(sites, hubs, transports, report)
    checkClouds(regions, report)
    checkPeers(sites, peers, transports, report)
    checkExternals(sites, hubs, regions, peers, transports, report)
    const lands = landsOf({ sites, regions, peers })
    checkGroups(groups, lands, report)
    checkRelays(sites, lands, report)
    if (sound()) checkPlaces({ sites, regions, peers, services, allow, deny, expect }, groups, lands, report)
  }
  const intent: Intent | null =
    network?.network && sound()
      ? {
          network: network.network.value as NetworkId,
          mtu: network.mtu?.value ?? defaultMtu,
          ...(translate ? { translate } : {}),
          hubs,
          segments: segmentsOf(names),
          internet,
          transports,
          sites,
          regions,
          peers,
          groups,
          services,
          classes,
          allow,
          deny,
          expect,
          ...(maintenance ? { maintenance } : {}),
        }
      : null
  if (intent) placeTexts(intent, report.origins)
  return { intent, origins: report.origins, declared: raw.declared, partial: raw.partial, findings: sortFindings(report.findings, report.origins) }
}

/** Uplinks of hubs whose address or endpoint was written and refused: what they lack was said already. */
function unreadUplinks(raw: Raw, hubs: readonly SiteId[]): ReadonlySet<string> {
  const out = new Set<string>()
  for (const { id, uplinks } of raw.sites.filter(({ name }) => hubs.includes(name.value as SiteId)).flatMap(gatewaysOf)) {
    for (const { key, value } of uplinks) {
      const unread = !value || (['address', 'router', 'public'] as const).some((field) => value.wrote.has(field) && !value.fields[field])
      if (unread || (value?.fields.router && !value.fields.address)) out.add(`site/${id}/uplink/${key.value}`)
    }
  }
  return out
}

function readTranslate(raw: NonNullable<Raw['network']>['fields']['translate'], report: Report): Intent['translate'] {
  const fields = raw?.fields
  if (!fields?.mode) return undefined
  noteFields('network', { translate: fields.mode }, report.origins)
  const pools = { ...translationPools }
  const written = new Map<Family, Located<Prefix>>()
  for (const pool of fields.pool ?? []) {
    const family = familyOf(pool.value)
    const { widest, narrowest } = poolLengths[family]
    const first = written.get(family)
    if (first) report.error('I098', [pool.at, first.at], `${pool.value} is a second pool for IPv${family}`, 'write one of each family, large enough')
    else if (lengthOf(pool.value) < widest || lengthOf(pool.value) > narrowest || special.some((range) => overlaps(range, pool.value)))
      report.error(
        'I098',
        pool.at,
        `${pool.value} can't hold what LANs are called in the overlay`,
        `write an IPv${family} network for hosts, of /${widest} to /${narrowest}`,
      )
    else pools[family] = pool.value
    written.set(family, first ?? pool)
    report.origins.set(`network/translate/pool/${family}`, (first ?? pool).at)
  }
  return { mode: fields.mode.value, pools }
}
/** From an operator's whole space to a few LANs of the usual size. */
const poolLengths: Readonly<Record<Family, { readonly widest: number; readonly narrowest: number }>> = {
  4: { widest: 8, narrowest: 24 },
  6: { widest: 16, narrowest: 60 },
}
