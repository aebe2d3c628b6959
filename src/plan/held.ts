/** Who waits for a maintenance window: sites at which what runs now would be interrupted. */
import type { Fabric, SiteId, SiteMaintenance } from '#src/fabric/fabric.ts'
import { type SiteChange, siteChanges } from './changes.ts'

/** By site. The windows are those that the change itself brings: whoever writes them down may move them. */
export const heldSites = (before: Fabric | null, after: Fabric): readonly SiteMaintenance[] =>
  before && after.maintenance ? heldOf(siteChanges(before, after), after) : []

export function heldOf(changes: readonly SiteChange[], { maintenance = [] }: Fabric): readonly SiteMaintenance[] {
  const felt = new Set<SiteId>(changes.filter((change) => change.kind === 'change' && change.class === 'disruptive').map((change) => change.site))
  return maintenance.filter(({ site }) => felt.has(site))
}
