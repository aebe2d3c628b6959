/** The life of a cloud region as a table: pure, shared by the entity and by the activities that move the row. */
export type RegionState = 'DECLARED' | 'CREATING' | 'ACTIVE' | 'CHANGING' | 'FAILED' | 'DELETING' | 'RETIRED'

export type RegionEvent =
  /** A generation names the region. */
  | 'declared'
  /** Its resources are being made, for the first time or again after a failure. */
  | 'creating'
  /** It carries traffic, and its resources are being changed. */
  | 'changing'
  /** The cloud holds what it should, and a hub reports its tunnels UP. */
  | 'carrying'
  /** The cloud refused, for good; what was made stays until it is repaired or decommissioned. */
  | 'failed'
  | 'deleting'
  | 'retired'

const table: Readonly<Record<RegionState, Readonly<Partial<Record<RegionEvent, RegionState>>>>> = {
  DECLARED: { creating: 'CREATING', deleting: 'DELETING', retired: 'RETIRED' },
  CREATING: { creating: 'CREATING', carrying: 'ACTIVE', failed: 'FAILED', deleting: 'DELETING' },
  ACTIVE: { changing: 'CHANGING', carrying: 'ACTIVE', deleting: 'DELETING' },
  CHANGING: { changing: 'CHANGING', carrying: 'ACTIVE', failed: 'FAILED', deleting: 'DELETING' },
  FAILED: { creating: 'CREATING', changing: 'CHANGING', failed: 'FAILED', deleting: 'DELETING' },
  DELETING: { deleting: 'DELETING', failed: 'FAILED', retired: 'RETIRED' },
  RETIRED: { declared: 'DECLARED' },
}

/** The state after an event, or null where the event means nothing. */
export const nextRegionState = (state: RegionState, event: RegionEvent): RegionState | null => table[state][event] ?? null
export const regionStates = Object.keys(table) as readonly RegionState[]
