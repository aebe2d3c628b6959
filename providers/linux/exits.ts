/** By which uplinks hosts leave to the internet, as the kernel has it. Pure. */
import type { SiteConfig } from '#src/fabric/fabric.ts'
import type { Family } from '#src/net/address.ts'
import type { Leaving } from '../device.ts'
import type { Desired } from './desired.ts'
import type { Observed } from './observe.ts'
import { exitTable, pinnedTable } from './scheme.ts'

/** What the kernel does: an agent that starts again must not move what leaves. */
export function leavingSeen({ exits = [], uplinks }: SiteConfig, { routes }: Observed): Leaving | null {
  const devices = (table: number) =>
    routes.flatMap((route) => (route.table === table && route.target.kind === 'device' && route.target.router !== '' ? [route.target.device] : []))
  const own = uplinks.filter((uplink) => exits.includes(uplink.id))
  // An uplink of one family carries the other by another one.
  const by = own.find((uplink) => uplink.interface === devices(exitTable)[0])
  return by ? { by: by.id, open: own.filter((uplink) => devices(pinnedTable(uplink.slot)).includes(uplink.interface)).map(({ id }) => id) } : null
}
/** The devices, by family. */
export function exitDevices({ routes }: Pick<Desired, 'routes'>): Record<Family, readonly string[]> {
  const of = (family: Family) =>
    routes.flatMap((route) => (route.table === exitTable && route.family === family && route.target.kind === 'device' ? [route.target.device] : []))
  return { 4: of(4), 6: of(6) }
}
