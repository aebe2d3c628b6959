/**
 * Ids, update and signal names, argument types, task queues: the only file of `workflows/` that the outside imports.
 * Plain types: no zod, no secrets, references instead of configs.
 */
import { defineSignal, defineUpdate } from '@temporalio/workflow'
import type { Triple } from '#src/fabric/fabric.ts'

export const taskQueue = { workflows: 'causeway', sites: 'causeway-sites' } as const

export const networkWorkflowId = (network: string) => `network/${network}`
export const siteWorkflowId = (site: string) => `site/${site}`
export const onboardWorkflowId = (site: string) => `onboard/${site}`
export const rolloutWorkflowId = (operation: string) => `rollout/${operation}`
export const decommissionWorkflowId = (site: string) => `decommission/${site}`

/** Every command is a row in `commands`, written with its audit entry before the Update is sent. */
export interface Command {
  readonly commandId: string
  readonly operationId: string
}
export interface ApplyCommand extends Command {
  readonly planId: string
}
/** network/<id>: the only writer of generations; returns when the command is accepted, the operation goes on. */
export const applyUpdate = defineUpdate<{ readonly operationId: string }, [ApplyCommand]>('apply')

/** site/<id> commands. */
export interface InviteCommand extends Command {
  readonly tokenId: string
}
export interface ApproveCommand extends Command {
  readonly fingerprint: string
}
export const inviteUpdate = defineUpdate<void, [InviteCommand]>('invite')
export const approveUpdate = defineUpdate<void, [ApproveCommand]>('approve')
export const decommissionUpdate = defineUpdate<{ readonly operationId: string }, [Command]>('decommission')

/** A claim was stored by the enrolment endpoint; the entity reads the row. */
export const claimedSignal = defineSignal<[{ readonly claimId: string }]>('claimed')
/** Facts that touch this site's config were stored; coalesced for 500 ms into one revision. */
export const factsSignal = defineSignal<[]>('facts')
/** The agent's report moved `running`, `pending` or `confirmed`, or its paths' states; the entity reads the rows. */
export const reportedSignal = defineSignal<[]>('reported')
/** From rollout, onboard or decommission to the entity: bring the site to this generation. Answered by `siteDoneSignal`. */
export interface AssignRequest {
  readonly commandId: string
  readonly replyTo: string
  readonly generation: number
}
export const assignSignal = defineSignal<[AssignRequest]>('assign')
export interface SiteDone {
  readonly commandId: string
  readonly site: string
  readonly outcome: 'confirmed' | 'rolled-back' | 'lagging' | 'refused'
  readonly triple: Triple | null
  readonly why: string
}
export const siteDoneSignal = defineSignal<[SiteDone]>('site-done')
