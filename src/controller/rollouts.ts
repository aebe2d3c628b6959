/** What people may say to a rollout, and when not: asked by the API at once, and again by the step that carries it out. */
import type { RolloutVerb } from '#workflows/contract.ts'
import type { ControllerCode } from './codes.ts'
import type { OperationRow } from './store/operations.ts'

export interface Refusal {
  readonly code: ControllerCode
  readonly says: string
  readonly instead: string
}

export function refusalOf(verb: RolloutVerb, row: OperationRow): Refusal | null {
  const { id, kind, subject, state, phase } = row
  if (kind !== 'apply')
    return { code: 'C120', says: `${id} is ${kind} of ${subject}, not a rollout`, instead: 'causeway rollout list names those of kind apply' }
  if (state !== 'running') return { code: 'C121', says: `rollout ${id} has ended: ${state}`, instead: undo[state] ?? 'causeway rollout list' }
  if (phase === 'aborting' || phase === 'rolling-back')
    return {
      code: 'C122',
      says: `rollout ${id} goes back already${spoken(row)}; a way back is not held`,
      instead: `causeway rollout watch ${id}`,
    }
  if (verb === 'pause' && phase === 'paused')
    return { code: 'C123', says: `rollout ${id} is paused already${spoken(row)}`, instead: `causeway rollout resume ${id}` }
  if (verb === 'resume' && (phase === null || phase === 'released'))
    return { code: 'C124', says: `rollout ${id} is not paused`, instead: `causeway rollout watch ${id}` }
  return null
}

const undo: Readonly<Record<string, string>> = {
  succeeded: 'to go back: causeway generation list, causeway generation rollback NUMBER',
  'rolled-back': 'the network runs the intent from before',
}
const spoken = ({ phase_by, phase_since }: OperationRow): string =>
  `${phase_by === null ? '' : `, by ${phase_by}`}${phase_since === null ? '' : `, since ${phase_since.toISOString().slice(0, 19)}Z`}`
