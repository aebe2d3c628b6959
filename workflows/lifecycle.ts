/** The life of a site as a table: pure, shared by the entity and by the activity that moves the row. */
import type { SiteState } from '#src/controller/store/database.ts'

export type { SiteState } from '#src/controller/store/database.ts'

export type SiteEvent =
  /** A generation names the site. */
  | 'declared'
  | 'invited'
  | 'expired'
  | 'claimed'
  /** An edge's claim was accepted by itself, or a core's by an operator. */
  | 'enrolled'
  /** A second key for the token, or another serial. */
  | 'doubted'
  | 'provisioning'
  /** CONFIRMED, and the paths whose other end has confirmed are UP. */
  | 'provisioned'
  | 'unprovisioned'
  /** A newer generation was assigned. */
  | 'changing'
  | 'changed'
  /** The box rolled back: it stays where it was, with a finding. */
  | 'held'
  /** Peers are to send through it last. */
  | 'draining'
  /** It passes nothing on any more: it may be serviced. */
  | 'drained'
  /** Its window ended or was closed, and its box says so no more. */
  | 'undrained'
  /** Another box is to take the place of the one that it has. */
  | 'replacing'
  | 'replaced'
  /** It came to nothing: the site keeps its box. */
  | 'kept'
  | 'decommissioning'
  | 'retired'

const table: Readonly<Record<SiteState, Readonly<Partial<Record<SiteEvent, SiteState>>>>> = {
  DECLARED: { invited: 'INVITED', decommissioning: 'DECOMMISSIONING' },
  INVITED: { invited: 'INVITED', expired: 'EXPIRED', claimed: 'CLAIMED', decommissioning: 'DECOMMISSIONING' },
  EXPIRED: { invited: 'INVITED', decommissioning: 'DECOMMISSIONING' },
  CLAIMED: { invited: 'INVITED', enrolled: 'ENROLLED', doubted: 'QUARANTINED', decommissioning: 'DECOMMISSIONING' },
  QUARANTINED: { invited: 'INVITED', decommissioning: 'DECOMMISSIONING' },
  ENROLLED: { provisioning: 'PROVISIONING', doubted: 'QUARANTINED', decommissioning: 'DECOMMISSIONING' },
  PROVISIONING: { provisioned: 'ACTIVE', unprovisioned: 'ENROLLED', doubted: 'QUARANTINED', decommissioning: 'DECOMMISSIONING' },
  ACTIVE: {
    changing: 'CHANGING',
    changed: 'ACTIVE',
    held: 'ACTIVE',
    draining: 'DRAINING',
    replacing: 'REPLACING',
    doubted: 'QUARANTINED',
    decommissioning: 'DECOMMISSIONING',
  },
  CHANGING: { changing: 'CHANGING', changed: 'ACTIVE', held: 'ACTIVE', doubted: 'QUARANTINED', decommissioning: 'DECOMMISSIONING' },
  DRAINING: { drained: 'MAINTENANCE', undrained: 'ACTIVE', doubted: 'QUARANTINED', decommissioning: 'DECOMMISSIONING' },
  MAINTENANCE: { undrained: 'ACTIVE', doubted: 'QUARANTINED', decommissioning: 'DECOMMISSIONING' },
  REPLACING: { replacing: 'REPLACING', replaced: 'ACTIVE', kept: 'ACTIVE', doubted: 'QUARANTINED', decommissioning: 'DECOMMISSIONING' },
  DECOMMISSIONING: { retired: 'RETIRED' },
  RETIRED: { declared: 'DECLARED' },
}

/** The state after an event, or null where the event means nothing. */
export const nextState = (state: SiteState, event: SiteEvent): SiteState | null => table[state][event] ?? null

/** A device holds this site's identity: it counts as a peer, and its facts are believed. */
export const isEnrolled = (state: SiteState): boolean => state === 'ENROLLED' || state === 'PROVISIONING' || isInService(state)

/** Past its onboarding: what its configuration is made of becomes a revision as soon as it moves. */
export const isInService = (state: SiteState): boolean => state === 'ACTIVE' || state === 'CHANGING' || state === 'REPLACING' || isInWindow(state)

/** Between `site drain` and its return. */
export const isInWindow = (state: SiteState): boolean => state === 'DRAINING' || state === 'MAINTENANCE'

export const siteStates = Object.keys(table) as readonly SiteState[]
export const siteEvents = [...new Set(Object.values(table).flatMap(Object.keys))] as readonly SiteEvent[]
