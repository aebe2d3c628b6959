/** Before and after → what changes, in which order, how risky and how long. A plan's id and base are the controller's. */
import type { Fabric, SiteId, SiteMaintenance } from '#src/fabric/fabric.ts'
import { secondGateway, siteOfGateway } from '#src/fabric/ids.ts'
import { type ChangeClass, differenceOf, type SiteChange, siteChanges } from './changes.ts'
import { costOf, type RegionChange, regionChanges, roundCents } from './regions.ts'
import { heldOf } from './held.ts'
import { type PeerChange, peerChanges } from './peers.ts'
import type { ReachabilityDifference } from './reachability.ts'
import { type Recorded, recordedOf } from './recorded.ts'

export type { ChangeClass, SiteChange } from './changes.ts'
export type { PeerChange } from './peers.ts'
export type { RegionChange } from './regions.ts'
export type Risk = 'none' | 'low' | 'medium' | 'high'
export interface PlanStep {
  /** From 1; steps of one number may run side by side, the next number waits for them. */
  readonly order: number
  readonly action: 'configure' | 'remove'
  readonly site: SiteId
}
export interface Plan {
  /** Sorted by site. */
  readonly changes: readonly SiteChange[]
  /** Sorted by region. */
  readonly regions: readonly RegionChange[]
  /** Sorted by peer. */
  readonly peers: readonly PeerChange[]
  readonly class: ChangeClass
  readonly steps: readonly PlanStep[]
  /** Sites that are moved in their maintenance windows. Absent: none. */
  readonly held?: readonly SiteMaintenance[]
  /** Sites whose configuration moves, of all that exist before or after. */
  readonly blastRadius: { readonly sites: readonly SiteId[]; readonly of: number }
  readonly reachability: ReachabilityDifference
  /** What no box and no cloud notices. Absent: nothing. */
  readonly recorded?: readonly Recorded[]
  /** US dollars an hour of the whole network after the change. Own gateways cost nothing, clouds do (`prices.ts`). */
  readonly costPerHour: number
  readonly expectedSeconds: number
  readonly risk: Risk
}

/** One confirmed commit: apply, probes UP, a fresh TLS connection, the permit. */
const secondsPerStep = 6

export function plan(before: Fabric | null, after: Fabric): Plan {
  const difference = differenceOf(before, after)
  const changes = siteChanges(before, after, difference)
  const regions = regionChanges(before, after, difference)
  const peers = peerChanges(before, after, difference)
  const recorded = recordedOf(before, after)
  const steps = stepsOf(changes)
  const held = before ? heldOf(changes, after) : []
  const all = new Set([...(before?.sites ?? []), ...after.sites].map((site) => site.id))
  return {
    changes,
    regions,
    peers,
    class: worst([...changes, ...regions, ...peers]),
    steps,
    ...(held.length > 0 ? { held } : {}),
    blastRadius: { sites: sitesOf(changes.map((change) => change.site)), of: sitesOf(all).length },
    reachability: difference.reachability,
    ...(recorded.length > 0 ? { recorded } : {}),
    costPerHour: roundCents(after.regions.reduce((sum, region) => sum + costOf(region), 0)),
    expectedSeconds: secondsPerStep * (steps.at(-1)?.order ?? 0),
    risk: riskOf(changes, [...regions, ...peers], all.size),
  }
}

const sitesOf = (gateways: Iterable<SiteId>): readonly SiteId[] => [...new Set([...gateways].map(siteOfGateway))]

/** How much is different at boxes and clouds. */
export const countChanges = ({ changes, regions, peers }: Pick<Plan, 'changes' | 'regions' | 'peers'>): number =>
  changes.length + regions.length + peers.length

/** Responders first: hubs one after the other, then all edges, then what leaves, edges before hubs. */
function stepsOf(changes: readonly SiteChange[]): readonly PlanStep[] {
  const stays = changes.filter((change) => change.kind !== 'remove')
  const leaves = changes.filter((change) => change.kind === 'remove')
  const isFirst = (site: SiteId): boolean => stays.some((other) => other.site === secondGateway(site))
  const waves: readonly { readonly action: PlanStep['action']; readonly sites: readonly SiteChange[] }[] = [
    ...stays.filter((change) => change.hub).map((change) => ({ action: 'configure' as const, sites: [change] })),
    // Of a pair of gateways the second, which stands by, is confirmed before the first is moved.
    { action: 'configure', sites: stays.filter((change) => !change.hub && !isFirst(change.site)) },
    { action: 'configure', sites: stays.filter((change) => !change.hub && isFirst(change.site)) },
    { action: 'remove', sites: leaves.filter((change) => !change.hub) },
    ...leaves.filter((change) => change.hub).map((change) => ({ action: 'remove' as const, sites: [change] })),
  ]
  return waves
    .filter((wave) => wave.sites.length > 0)
    .flatMap(({ action, sites }, index) => sites.map(({ site }): PlanStep => ({ order: index + 1, action, site })))
}

function worst(changes: readonly { readonly class: ChangeClass }[]): ChangeClass {
  if (changes.some((change) => change.class === 'disruptive')) return 'disruptive'
  return changes.length > 0 && changes.every((change) => change.class === 'additive') ? 'additive' : 'neutral'
}

/** high: running traffic is interrupted at a hub or at half of the network. */
function riskOf(changes: readonly SiteChange[], externals: readonly { readonly class: ChangeClass }[], of: number): Risk {
  if (changes.length + externals.length === 0) return 'none'
  const felt = changes.filter((change) => change.class === 'disruptive')
  if (felt.length === 0) return externals.some((change) => change.class === 'disruptive') ? 'medium' : 'low'
  return felt.some((change) => change.hub) || felt.length * 2 >= of ? 'high' : 'medium'
}
