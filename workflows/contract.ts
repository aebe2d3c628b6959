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
export const replacementWorkflowId = (site: string) => `replacement/${site}`
export const rolloutWorkflowId = (operation: string) => `rollout/${operation}`
export const decommissionWorkflowId = (site: string) => `decommission/${site}`
export const regionWorkflowId = (region: string) => `region/${region}`
export const drillWorkflowId = (drill: string) => `drill/${drill}`
export const scheduledDrillWorkflowId = (site: string, uplink: string) => `scheduled-drill/${site}/${uplink}`
/** Schedules that begin so are ours, and none of them is without a row. */
export const drillSchedulePrefix = 'drill/'
export const drillScheduleId = (site: string, uplink: string) => `${drillSchedulePrefix}${site}/${uplink}`

/** How long workflows wait, in milliseconds; carried in the entities' input, so that tests can be impatient. */
export interface Timing {
  /** Facts that arrive within this become one revision. */
  readonly coalesce: number
  /** How long an online site may take from `assigned` to `confirmed` or rolled back before a rollout calls it lagging. */
  readonly deliver: number
  /** Added to an agent's own PENDING deadline before its silence counts. */
  readonly margin: number
  /** How long the paths of a new site may take to come UP. */
  readonly paths: number
  /** How long the canary runs before the waves follow. */
  readonly soak: number
  /** First pause before a failed onboarding is tried again; doubles up to 5 minutes. */
  readonly again: number
  /** How long a decommissioned device may take to wipe its keys. */
  readonly wipe: number
  /** Absent in what was started before there were regions. */
  readonly cloud?: CloudTiming
}
/** Milliseconds. */
export interface CloudTiming {
  /** A worker that died in the middle of a cloud call is noticed after this. */
  readonly heartbeat: number
  /** How long after an ambiguous create the cloud may still come to show what it made; nothing is made a second time before. */
  readonly settle: number
  /** How long a connection must be UP again before return traffic goes back to it. */
  readonly hold: number
  /** How long the tunnels of a new region may take to come UP before it counts as degraded. */
  readonly paths: number
  /** Between two comparisons with the cloud; up to a fifth is added at random. */
  readonly drift: number
  /** Between two questions to the cloud about the tunnels of a hub that is silent. Absent in what was started before these were asked. */
  readonly ask?: number
}
export const defaultCloudTiming = {
  heartbeat: 15_000,
  settle: 120_000,
  hold: 30_000,
  paths: 120_000,
  drift: 600_000,
  ask: 10_000,
} as const satisfies CloudTiming
export const defaultTiming: Timing = { coalesce: 500, deliver: 60_000, margin: 5_000, paths: 45_000, soak: 1_000, again: 2_000, wipe: 60_000 }

/** Input of `network/<id>` and `site/<id>`; `carried` is what continue-as-new hands on. */
export interface NetworkInput {
  readonly network: string
  readonly timing: Timing
  readonly carried?: { readonly queue: readonly ApplyCommand[]; readonly seen: readonly string[] }
}
export interface SiteInput {
  readonly site: string
  readonly timing: Timing
  readonly carried?: { readonly seen: readonly string[]; readonly failures: number }
}
export interface RegionInput {
  readonly region: string
  readonly timing: CloudTiming
  readonly carried?: { readonly seen: readonly string[]; readonly driftAt: number }
}
export interface DrillInput {
  readonly drill: string
  readonly command: Command
  /** How long the agent may take to begin, and to tell what it measured after the end, milliseconds. */
  readonly patience: number
}
export interface ScheduledDrillInput {
  readonly site: string
  readonly uplink: string
  readonly patience: number
}
/** The types of workflows, so that the client need not import their code. */
export const workflowType = {
  network: 'network',
  site: 'site',
  onboard: 'onboard',
  replacement: 'replacement',
  rollout: 'rollout',
  decommission: 'decommission',
  region: 'region',
  drill: 'drill',
  scheduledDrill: 'scheduledDrill',
} as const

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

/** What people say to a rollout under way. */
export type RolloutVerb = 'pause' | 'resume' | 'abort'
export interface RolloutCommand extends Command {
  /** The operation that applies a plan. */
  readonly rollout: string
  readonly verb: RolloutVerb
}
/** network/<id>: returns when the rollout's row says so; the rollout heeds it before its next wave. */
export const rolloutUpdate = defineUpdate<void, [RolloutCommand]>('rollout')

/** site/<id> commands. */
export interface InviteCommand extends Command {
  readonly tokenId: string
}
export interface ApproveCommand extends Command {
  readonly fingerprint: string
}
export const inviteUpdate = defineUpdate<void, [InviteCommand]>('invite')
export const replaceUpdate = defineUpdate<void, [InviteCommand]>('replace')
export const approveUpdate = defineUpdate<void, [ApproveCommand]>('approve')
export interface DrainCommand extends Command {
  /** RFC 3339: when the window ends by itself. */
  readonly until: string
}
export const drainUpdate = defineUpdate<{ readonly operationId: string }, [DrainCommand]>('drain')
export const undrainUpdate = defineUpdate<{ readonly operationId: string }, [Command]>('undrain')
export const decommissionUpdate = defineUpdate<{ readonly operationId: string }, [Command]>('decommission')

/** region/<id> commands. */
export const repairRegionUpdate = defineUpdate<{ readonly operationId: string }, [Command]>('repair-region')
export const decommissionRegionUpdate = defineUpdate<{ readonly operationId: string }, [Command]>('decommission-region')
/** To a region or a rollout: a row was written for it to read. To a region also: a generation was made that names it, a hub reported about a tunnel to it, fell silent or was heard again. */
export const lookSignal = defineSignal<[]>('look')

/** A claim was stored by the enrolment endpoint; the entity reads the row. */
export const claimedSignal = defineSignal<[{ readonly claimId: string }]>('claimed')
/** Facts that touch this site's config were stored; coalesced for 500 ms into one revision. */
export const factsSignal = defineSignal<[]>('facts')
/** The agent's report moved `running`, `pending` or `confirmed`, or its paths' states; the entity reads the rows. */
export const reportedSignal = defineSignal<[]>('reported')
/** From rollout, onboard or decommission to the entity: bring the site to this generation. Answered by `siteDoneSignal`. */
export interface AssignRequest {
  /** Unique to the run that asks: a restarted rollout asks again and is answered again. */
  readonly commandId: string
  readonly operationId: string
  readonly replyTo: string
  /** null: the one it has, or the head if it has none; only the facts moved. */
  readonly generation: number | null
  /** What to do about a site that is not connected: wait `timing.deliver` for it, or call it lagging at once. */
  readonly offline: 'wait' | 'lag'
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
