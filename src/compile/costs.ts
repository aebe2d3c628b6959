/** What an uplink costs a class of traffic (routing rule 12): the order in which lines are taken, and which never are. */
import type { Uplink } from '#src/fabric/fabric.ts'
import type { IntentClass, IntentSite, UplinkSelector } from '#src/intent/intent.ts'

const mediumCost: Readonly<Record<string, number>> = { fiber: 10, ethernet: 10, lte: 50, '5g': 50, sat: 80 }
const unknownMediumCost = 20
const meteredCost = 20
/** More than medium and metered can add up to, so a preference always decides first. */
const preferStep = 200
/** More than any preference: avoided is used when nothing else is left. */
const avoidTier = 100_000

/** More than any line of the first gateway of a pair: the second is taken when the first can't be, or says that it stands by. */
export const secondTier = 1_000_000

export type Words = Pick<IntentClass, 'prefer' | 'avoid' | 'never'>
/** What a site says of its own lines, else the network. */
export const wordsAt = ({ preferences }: { readonly preferences?: IntentSite['preferences'] | undefined }, trafficClass: IntentClass): Words =>
  preferences?.find(({ id }) => id === trafficClass.id) ?? trafficClass

/** Lower is better; `never` is hard (rule 12). */
export function costOf(uplink: Uplink, trafficClass: Words): number | 'never' {
  const selected = (selector: UplinkSelector) => selects(selector, uplink)
  if (trafficClass.never.some(selected)) return 'never'
  const preferred = trafficClass.prefer.findIndex(selected)
  const rank = preferred < 0 ? trafficClass.prefer.length : preferred
  return (
    (mediumCost[uplink.medium] ?? unknownMediumCost) +
    (uplink.metered ? meteredCost : 0) +
    rank * preferStep +
    (trafficClass.avoid.some(selected) ? avoidTier : 0)
  )
}

function selects({ kind, value }: UplinkSelector, uplink: Uplink): boolean {
  switch (kind) {
    case 'medium':
      return uplink.medium === value
    case 'transport':
      return uplink.transport === value
    case 'tag':
      return uplink.tags.includes(value)
    case 'metered':
      return uplink.metered
    default:
      throw new TypeError(`unknown uplink selector ${String(kind satisfies never)}`)
  }
}
