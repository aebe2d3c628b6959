/** All that FRR is told for the routers of LANs. Pure. */
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { bgpSettings } from './bgp.ts'
import type { Setting } from './frr-settings.ts'
import { type Duty, ospfSettings } from './ospf.ts'

/** zebra takes up nexthops of others, and puts back, as its own, what they delete: one that comes again would find its number taken. */
const noNexthopObjects: Setting = ['no zebra nexthop kernel enable']

/** [] when the site speaks to none. */
export function frrSettings(config: SiteConfig, duty: Duty): readonly Setting[] {
  const spoken = [...bgpSettings(config), ...ospfSettings(config, duty)]
  return spoken.length === 0 ? [] : [noNexthopObjects, ...spoken]
}
