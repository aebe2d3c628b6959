import { expect, test } from 'vitest'
import { isEnrolled, isInService, isInWindow, nextState, siteStates, type SiteEvent, type SiteState } from '#workflows/lifecycle.ts'

const events: readonly SiteEvent[] = [
  'declared',
  'invited',
  'expired',
  'claimed',
  'enrolled',
  'doubted',
  'provisioning',
  'provisioned',
  'unprovisioned',
  'changing',
  'changed',
  'held',
  'draining',
  'drained',
  'undrained',
  'replacing',
  'replaced',
  'kept',
  'decommissioning',
  'retired',
]

const life = (...events: readonly SiteEvent[]): readonly (SiteState | null)[] => {
  const states: (SiteState | null)[] = []
  let state: SiteState = 'DECLARED'
  for (const event of events) {
    const next = nextState(state, event)
    states.push(next)
    state = next ?? state
  }
  return states
}

test('an edge, from its declaration to its end', () => {
  expect(
    life('invited', 'claimed', 'enrolled', 'provisioning', 'provisioned', 'changing', 'changed', 'decommissioning', 'retired', 'declared'),
  ).toEqual(['INVITED', 'CLAIMED', 'ENROLLED', 'PROVISIONING', 'ACTIVE', 'CHANGING', 'ACTIVE', 'DECOMMISSIONING', 'RETIRED', 'DECLARED'])
})

test('a token that ends unused is replaced by another; nothing is torn down', () => {
  expect(life('invited', 'expired', 'invited', 'claimed')).toEqual(['INVITED', 'EXPIRED', 'INVITED', 'CLAIMED'])
})

test('a service window: drained, serviced, and back; or back before it was drained', () => {
  const from = (...events: readonly SiteEvent[]) => life('invited', 'claimed', 'enrolled', 'provisioning', 'provisioned', ...events).slice(5)
  expect(from('draining', 'drained', 'undrained')).toEqual(['DRAINING', 'MAINTENANCE', 'ACTIVE'])
  expect(from('draining', 'undrained')).toEqual(['DRAINING', 'ACTIVE'])
})

test('another box takes over, or the site keeps the one that it has; a newer token starts over', () => {
  const from = (...events: readonly SiteEvent[]) => life('invited', 'claimed', 'enrolled', 'provisioning', 'provisioned', ...events).slice(5)
  expect(from('replacing', 'replacing', 'replaced')).toEqual(['REPLACING', 'REPLACING', 'ACTIVE'])
  expect(from('replacing', 'kept')).toEqual(['REPLACING', 'ACTIVE'])
  expect(isEnrolled('REPLACING') && isInService('REPLACING')).toBe(true)
  expect(siteStates.filter((state) => nextState(state, 'replacing') !== null)).toEqual(['ACTIVE', 'REPLACING'])
})

test('a window begins at rest, and what comes meanwhile does not end it', () => {
  expect(siteStates.filter((state) => nextState(state, 'draining') !== null)).toEqual(['ACTIVE'])
  const inWindow = siteStates.filter(isInWindow)
  expect(inWindow).toEqual(['DRAINING', 'MAINTENANCE'])
  for (const state of inWindow) {
    expect(isEnrolled(state) && isInService(state)).toBe(true)
    expect((['changing', 'changed', 'held', 'invited', 'claimed'] as const).filter((event) => nextState(state, event) !== null)).toEqual([])
  }
})

test('a failed provisioning keeps the enrolment and starts again', () => {
  expect(life('invited', 'claimed', 'enrolled', 'provisioning', 'unprovisioned', 'provisioning', 'provisioned')).toEqual([
    'INVITED',
    'CLAIMED',
    'ENROLLED',
    'PROVISIONING',
    'ENROLLED',
    'PROVISIONING',
    'ACTIVE',
  ])
})

test('quarantine ends by a new token only', () => {
  const from: SiteState = 'QUARANTINED'
  expect(nextState(from, 'claimed')).toBeNull()
  expect(nextState(from, 'enrolled')).toBeNull()
  expect(nextState(from, 'invited')).toBe('INVITED')
})

test('a site that has a box takes no token', () => {
  expect(siteStates.filter((state) => isEnrolled(state) && nextState(state, 'invited') !== null)).toEqual([])
})

test('every enrolled site can be taken out, and what is leaving only leaves', () => {
  expect(siteStates.filter((state) => nextState(state, 'decommissioning') === null)).toEqual(['DECOMMISSIONING', 'RETIRED'])
  expect(events.filter((event) => nextState('DECOMMISSIONING', event) !== null)).toEqual(['retired'])
})

test('every state can be reached', () => {
  const reached = new Set<SiteState>(['DECLARED'])
  for (const state of reached) for (const event of events) reached.add(nextState(state, event) ?? state)
  expect([...reached].sort()).toEqual([...siteStates].sort())
})
