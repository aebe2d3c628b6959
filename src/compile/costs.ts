/** What an uplink costs a class of traffic (routing rule 12): the order in which lines are taken, and which never are. */
import type { ClassId, Uplink, UplinkId } from '#src/fabric/fabric.ts'
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

/** What a gateway says of its lines. */
export interface Lines {
  readonly uplinks: readonly Uplink[]
  readonly preferences: IntentSite['preferences'] | undefined
}
/** What each of them costs a class, and its slot. */
export type Prices = ReadonlyMap<ClassId, ReadonlyMap<UplinkId, Price>>
export interface Price {
  readonly cost: number | 'never'
  readonly slot: number
}
export const pricesOf = ({ uplinks, preferences }: Lines, classes: readonly IntentClass[]): Prices =>
  new Map(
    classes.map((one) => {
      const words = wordsAt({ preferences }, one)
      return [one.id, new Map(uplinks.map((uplink) => [uplink.id, { cost: costOf(uplink, words), slot: uplink.slot }]))]
    }),
  )
/** Of classes that all of these say the same of, the first. */
export function alikeFor(classes: readonly IntentClass[], at: readonly Pick<IntentSite, 'preferences'>[]): (trafficClass: ClassId) => ClassId {
  const first = new Map<string, ClassId>()
  const said = classes.map((one) => {
    const words = JSON.stringify(at.map((each) => wordsAt(each, one)).map(({ prefer, avoid, never }) => [prefer, avoid, never]))
    if (!first.has(words)) first.set(words, one.id)
    return [one.id, first.get(words)!] as const
  })
  const of = new Map(said)
  return (trafficClass) => of.get(trafficClass)!
}
