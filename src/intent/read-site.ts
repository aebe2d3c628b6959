/** One site: what its keys mean together, with defaults. Nothing of other sites but their names. */
import type { SiteId } from '#src/fabric/fabric.ts'
import { isSecondGateway } from '#src/fabric/ids.ts'
import { hostOf } from '#src/net/address.ts'
import { defaultRole } from './defaults.ts'
import type { Intent, IntentSite } from './intent.ts'
import { readOwnHubs } from './names.ts'
import { noteFields } from './places.ts'
import { gatewaysOf, type NamedSite } from './raw.ts'
import { checkGateways, lansOfPair } from './read-gateways.ts'
import { readLans } from './read-lans.ts'
import { readUplinks } from './read-uplinks.ts'
import type { Report } from './report.ts'
import type { Names } from './selector.ts'
import type { Located } from './spec.ts'

/** Its gateway, or the two of a pair, alike in all but uplinks, interfaces and what each alone has on a LAN. */
export function readSite(
  site: NamedSite,
  names: Names,
  transports: ReadonlySet<string>,
  networkHubs: readonly SiteId[],
  internet: Intent['internet'],
  report: Report,
): readonly IntentSite[] {
  const { name, fields } = site
  const id = name.value as SiteId
  const base = `site/${id}`
  report.origins.set(base, name.at)
  noteFields(base, { role: fields.role, place: fields.place, labels: fields.labels, hubs: fields.hubs }, report.origins, site.wrote)
  const hub = networkHubs.includes(id)
  checkGateways(site, hub, report)
  const gateways = gatewaysOf(site).map((gateway) => {
    const at = `site/${gateway.id}`
    if (isSecondGateway(gateway.id) && gateway.raw) report.origins.set(at, gateway.raw.at)
    const claimed = new Map<string, Located<string>>()
    return { ...gateway, claimed, uplinks: readUplinks(at, gateway.uplinks, claimed, transports, report) }
  })
  const [first] = gateways
  const shared = readLans(
    base,
    fields.segments,
    gateways.flatMap(({ raw }) => (raw?.fields.address ?? []).map(({ value }) => (value.kind === 'plain' ? value.address : hostOf(value.address)))),
    // What a LAN's interface is called at either of a pair is known later.
    first!.raw ? new Map() : first!.claimed,
    names,
    gateways.flatMap(({ uplinks }) => uplinks),
    internet,
    report,
  )
  const hubs = hub ? hubsOfHub(fields.hubs, report) : readOwnHubs(base, fields.hubs, networkHubs, names, report)
  const owned = first!.raw
    ? lansOfPair(
        id,
        shared,
        gateways.map(({ raw, claimed }) => ({ raw: raw!, claimed })),
        report,
      )
    : [shared]
  return gateways.map(({ id: gateway, uplinks }, n) => ({
    id: gateway,
    role: fields.role?.value ?? defaultRole,
    labels: [...new Set((fields.labels ?? []).map((label) => label.value))].sort(),
    place: fields.place?.value ?? '',
    hubs,
    uplinks,
    ...owned[n]!,
    // Read when the network's are known: read-classes.ts.
    classes: [],
  }))

  function hubsOfHub(own: readonly Located<string>[] | undefined, to: Report): readonly SiteId[] {
    if (own?.[0]) to.error('I061', own[0].at, `${id} is a hub and has no hubs of its own`, 'remove `hubs:` here; hubs are meshed with one another')
    return []
  }
}
