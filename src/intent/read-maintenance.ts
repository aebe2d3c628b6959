/** When traffic of a site may be interrupted: its own word, else the network's. */
import type { Maintenance } from '#src/fabric/fabric.ts'
import type { NamedSite, Raw } from './raw.ts'
import type { Report } from './report.ts'
import type { RawMaintenance } from './schema.ts'

export const readMaintenance = (raw: Raw, report: Report): Maintenance | undefined =>
  read('maintenance', raw.network?.fields.maintenance, 'UTC', report)

/** What a site says itself. */
export const readSiteMaintenance = ({ name, fields }: NamedSite, ofNetwork: Maintenance | undefined, report: Report): Maintenance | undefined =>
  read(`site/${name.value}/maintenance`, fields.maintenance, ofNetwork?.timezone ?? 'UTC', report)

function read(key: string, written: RawMaintenance | undefined, timezone: string, report: Report): Maintenance | undefined {
  if (!written) return undefined
  report.origins.set(key, written.at)
  if (written.fields.timezone) report.origins.set(`${key}/timezone`, written.fields.timezone.at)
  const windows = (written.fields.window ?? []).map(({ value }) => value)
  return windows.length === 0 ? undefined : { timezone: written.fields.timezone?.value ?? timezone, windows }
}
