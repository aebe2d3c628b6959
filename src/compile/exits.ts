/** Over which uplinks hosts leave to the internet, where their LAN may: local breakout. */
import type { Finding, UplinkId } from '#src/fabric/fabric.ts'
import { compareText } from '#src/fabric/ids.ts'
import { defaultTransport } from '#src/intent/defaults.ts'
import type { Intent, IntentSite } from '#src/intent/intent.ts'
import type { Memo } from './memo.ts'
import { costOf } from './routes.ts'
import type { Tunnels } from './tunnels.ts'

export interface Exits {
  /** In the order of the intent's; [] where no LAN may leave. */
  readonly sites: readonly (readonly UplinkId[])[]
  readonly findings: readonly Finding[]
}
const none: readonly UplinkId[] = []

/**
 * Uplinks of the transport `internet`, as the class `default` prefers them: another transport may reach the hubs, and
 * then it leads to no other host of the internet.
 */
export function exits({ sites, classes }: Intent, { uplinks }: Pick<Tunnels, 'uplinks'>, memo: Memo): Exits {
  const trafficClass = classes.find((one) => one.id === 'default')!
  const all = memo.rows('exits', [JSON.stringify(trafficClass)], [sites, uplinks], (site, own) => {
    if (!mayLeave(site)) return { site, exits: none }
    const found = own
      .filter((uplink) => uplink.transport === defaultTransport)
      .flatMap(({ id, slot, ...uplink }) => {
        const cost = costOf({ id, slot, ...uplink }, trafficClass)
        return cost === 'never' ? [] : [{ id, slot, cost }]
      })
    return { site, exits: found.sort((a, b) => a.cost - b.cost || a.slot - b.slot).map(({ id }) => id) }
  })
  const stuck = all.filter((one) => one.exits.length === 0 && mayLeave(one.site)).map(({ site }) => site)
  return { sites: all.map((one) => one.exits), findings: stuck.sort((a, b) => compareText(a.id, b.id)).map(noExit) }
}
const mayLeave = ({ lans }: IntentSite): boolean => lans.some((lan) => lan.internet === 'local')

function noExit({ id, uplinks, lans }: IntentSite): Finding {
  const { segment } = lans.find((lan) => lan.internet === 'local')!
  const n = lans.filter((lan) => lan.segment === segment).findIndex((lan) => lan.internet === 'local')
  const there = uplinks.some((uplink) => uplink.transport === defaultTransport)
  return {
    code: 'I141',
    severity: 'error',
    at: [`site/${id}/lan/${segment}/${n}/internet`, `internet/${segment}`],
    says: there
      ? `hosts of ${segment} at ${id} are to leave to the internet, and class default never uses an uplink of ${id} that is on it`
      : `hosts of ${segment} at ${id} are to leave to the internet, and no uplink of ${id} is on it`,
    instead: there
      ? `use \`avoid:\` in class default, or write internet: none at the segment of ${id}`
      : `add an uplink of transport ${defaultTransport}, or write internet: none at the segment of ${id}`,
    witness: [],
  }
}
