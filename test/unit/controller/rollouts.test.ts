import { expect, test } from 'vitest'
import { refusalOf } from '#src/controller/rollouts.ts'
import type { OperationRow } from '#src/controller/store/operations.ts'

const running: OperationRow = {
  id: 'op-1',
  kind: 'apply',
  subject: 'network/acme',
  state: 'running',
  started_at: new Date(0),
  ended_at: null,
  result: null,
  findings: [],
  phase: null,
  phase_by: null,
  phase_since: null,
  phase_until: null,
}
const paused = { ...running, phase: 'paused', phase_by: 'ada', phase_since: new Date('2026-11-26T10:41:02.123Z') } as const
const aborting = { ...paused, phase: 'aborting' } as const
const back = { ...running, phase: 'rolling-back', phase_since: new Date('2026-11-26T10:41:02.123Z') } as const

const waiting = { ...running, phase: 'waiting', phase_since: new Date(0), phase_until: new Date(1) } as const
const released = { ...paused, phase: 'released' } as const

const verbs = ['pause', 'resume', 'abort'] as const
const said = (row: OperationRow) => verbs.map((verb) => refusalOf(verb, row)?.code ?? 'yes')

test('what may be said to a rollout, by what it does', () => {
  expect(said(running)).toEqual(['yes', 'C124', 'yes'])
  expect(said(paused)).toEqual(['C123', 'yes', 'yes'])
  // To go on outside of its window.
  expect(said(waiting)).toEqual(['yes', 'yes', 'yes'])
  expect(said(released)).toEqual(['yes', 'C124', 'yes'])
  expect(said(aborting)).toEqual(['C122', 'C122', 'C122'])
  expect(said(back)).toEqual(['C122', 'C122', 'C122'])
  expect(said({ ...running, state: 'succeeded' })).toEqual(['C121', 'C121', 'C121'])
  expect(said({ ...running, kind: 'drill' })).toEqual(['C120', 'C120', 'C120'])
})

test('each refusal says what is, and what to do instead', () => {
  expect(refusalOf('pause', paused)).toEqual({
    code: 'C123',
    says: 'rollout op-1 is paused already, by ada, since 2026-11-26T10:41:02Z',
    instead: 'causeway rollout resume op-1',
  })
  expect(refusalOf('resume', running)).toEqual({ code: 'C124', says: 'rollout op-1 is not paused', instead: 'causeway rollout watch op-1' })
  expect(refusalOf('abort', back)).toEqual({
    code: 'C122',
    says: 'rollout op-1 goes back already, since 2026-11-26T10:41:02Z; a way back is not held',
    instead: 'causeway rollout watch op-1',
  })
  expect(refusalOf('abort', { ...running, state: 'succeeded' })).toEqual({
    code: 'C121',
    says: 'rollout op-1 has ended: succeeded',
    instead: 'to go back: causeway generation list, causeway generation rollback NUMBER',
  })
  expect(refusalOf('resume', { ...running, state: 'rolled-back' })).toMatchObject({ instead: 'the network runs the intent from before' })
  expect(refusalOf('pause', { ...running, kind: 'decommission', subject: 'site/berlin' })).toEqual({
    code: 'C120',
    says: 'op-1 is decommission of site/berlin, not a rollout',
    instead: 'causeway rollout list names those of kind apply',
  })
})
