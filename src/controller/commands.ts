/** The way from API and enrolment to the workflows: the only importer of @temporalio/client. */
import {
  Client,
  Connection,
  isGrpcServiceError,
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  type ScheduleOptions,
  WithStartWorkflowOperation,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client'
import { setTimeout as sleep } from 'node:timers/promises'
import type { UpdateDefinition } from '@temporalio/common'
import { ApplicationFailure } from '@temporalio/common'
import {
  applyUpdate,
  approveUpdate,
  claimedSignal,
  decommissionRegionUpdate,
  decommissionUpdate,
  defaultCloudTiming,
  defaultTiming,
  drillScheduleId,
  drillSchedulePrefix,
  drainUpdate,
  drillWorkflowId,
  factsSignal,
  inviteUpdate,
  lookSignal,
  networkWorkflowId,
  regionWorkflowId,
  repairRegionUpdate,
  replaceUpdate,
  reportedSignal,
  rolloutUpdate,
  scheduledDrillWorkflowId,
  siteWorkflowId,
  taskQueue,
  undrainUpdate,
  workflowType,
} from '#workflows/contract.ts'
import type {
  ApplyCommand,
  ApproveCommand,
  Command,
  DrainCommand,
  DrillInput,
  InviteCommand,
  NetworkInput,
  RegionInput,
  RolloutCommand,
  RolloutVerb,
  ScheduledDrillInput,
  SiteInput,
  Timing,
} from '#workflows/contract.ts'
import type { ControllerCode } from './codes.ts'
import { Problem } from './problem.ts'
import { commands as commandRows, drillSchedules, operations, regions, sites } from './store/index.ts'
import type { DrillScheduleRow } from './store/drill-schedules.ts'
import type { Store } from './store/index.ts'

export interface CommandsOptions {
  /** host:port of the Temporal server. */
  readonly address: string
  readonly namespace: string
  readonly timing?: Timing
}

/** Temporal or its workers are away. The command's row is stored: `reopen` sends it again. */
export class WorkflowsAway extends Error {
  override readonly name = 'WorkflowsAway'
}

/** Refusals of the workflows are Problems; everything else that is thrown is worth another try. */
export interface Commands {
  apply(network: string, command: ApplyCommand): Promise<{ readonly operationId: string }>
  rollout(network: string, command: RolloutCommand): Promise<void>
  invite(site: string, command: InviteCommand): Promise<void>
  approve(site: string, command: ApproveCommand): Promise<void>
  replace(site: string, command: InviteCommand): Promise<void>
  drain(site: string, command: DrainCommand): Promise<{ readonly operationId: string }>
  undrain(site: string, command: Command): Promise<{ readonly operationId: string }>
  decommission(site: string, command: Command): Promise<{ readonly operationId: string }>
  repairRegion(region: string, command: Command): Promise<{ readonly operationId: string }>
  decommissionRegion(region: string, command: Command): Promise<{ readonly operationId: string }>
  drill(drill: string, command: Command): Promise<void>
  /** Makes Temporal's schedules what the rows say: missing ones are made, others changed, and those without a row removed. */
  scheduleDrills(store: Store): Promise<void>
  claimed(site: string, claimId: string): Promise<void>
  facts(site: string): Promise<void>
  reported(site: string): Promise<void>
  /** A hub reported about a tunnel to the region. */
  region(region: string): Promise<void>
  /** At boot, for Temporal may have lost everything: an entity for every site that lives, a workflow for every open operation. */
  reopen(store: Store): Promise<{ readonly sites: number; readonly regions: number; readonly operations: number }>
  close(): Promise<void>
}

// An entity's tasks come back this soon when its worker is killed.
const workflowTaskTimeout = '2s'
const signalWithinMs = 5_000
/** How long a command waits for an entity whose worker died in the middle of a task, and how often it asks again. */
const updateWithinMs = 20_000
const updateAgainMs = 500
/** How long a box may take to hear of a drill, and to tell how it ended. */
const drillPatienceMs = 20_000

export async function createCommands({ address, namespace, timing = defaultTiming }: CommandsOptions): Promise<Commands> {
  const connection = await Connection.connect({ address }).catch((error: unknown) => {
    throw new WorkflowsAway(`Temporal does not answer at ${address} (${String(error)})`)
  })
  const client = new Client({ connection, namespace })

  const networkStart = (network: string) =>
    new WithStartWorkflowOperation<(input: NetworkInput) => Promise<void>>(workflowType.network, {
      workflowId: networkWorkflowId(network),
      taskQueue: taskQueue.workflows,
      workflowTaskTimeout,
      workflowIdConflictPolicy: 'USE_EXISTING',
      args: [{ network, timing }],
    })
  const siteOptions = (site: string) => ({
    workflowId: siteWorkflowId(site),
    taskQueue: taskQueue.workflows,
    workflowTaskTimeout,
    args: [{ site, timing }] as [SiteInput],
  })
  const siteStart = (site: string) =>
    new WithStartWorkflowOperation<(input: SiteInput) => Promise<void>>(workflowType.site, {
      ...siteOptions(site),
      workflowIdConflictPolicy: 'USE_EXISTING',
    })

  const regionOptions = (region: string) => ({
    workflowId: regionWorkflowId(region),
    taskQueue: taskQueue.workflows,
    workflowTaskTimeout,
    args: [{ region, timing: timing.cloud ?? defaultCloudTiming }] as [RegionInput],
  })
  const regionStart = (region: string) =>
    new WithStartWorkflowOperation<(input: RegionInput) => Promise<void>>(workflowType.region, {
      ...regionOptions(region),
      workflowIdConflictPolicy: 'USE_EXISTING',
    })

  /** The command's id is the update's: a repeated request gets the first answer. */
  const update = async <Result, Args extends Command>(
    definition: UpdateDefinition<Result, [Args]>,
    command: Args,
    start: () => ReturnType<typeof siteStart> | ReturnType<typeof networkStart> | ReturnType<typeof regionStart>,
  ): Promise<Result> => {
    const until = Date.now() + updateWithinMs
    for (;;)
      try {
        return await client.workflow.executeUpdateWithStart(definition, {
          startWorkflowOperation: start() as ReturnType<typeof siteStart>,
          updateId: command.commandId,
          args: [command],
        })
      } catch (error) {
        if (!isNotReady(error) || Date.now() > until) throw forPeople(error, address)
        await sleep(updateAgainMs)
      }
  }
  /** Whoever tells (a batch of reports) must not wait for ever: what was not heard is said again. */
  const soon = async (tell: () => Promise<unknown>): Promise<void> => {
    try {
      await client.withDeadline(Date.now() + signalWithinMs, tell)
    } catch (error) {
      throw forPeople(error, address)
    }
  }
  const signal = async (site: string, definition: Parameters<typeof client.workflow.signalWithStart>[1]['signal'], args: unknown[]): Promise<void> =>
    await soon(() => client.workflow.signalWithStart(workflowType.site, { ...siteOptions(site), signal: definition, signalArgs: args }))

  const commands: Commands = {
    apply: async (network, command) => await update(applyUpdate, command, () => networkStart(network)),
    rollout: async (network, command) => await update(rolloutUpdate, command, () => networkStart(network)),
    invite: async (site, command) => await update(inviteUpdate, command, () => siteStart(site)),
    approve: async (site, command) => await update(approveUpdate, command, () => siteStart(site)),
    replace: async (site, command) => await update(replaceUpdate, command, () => siteStart(site)),
    drain: async (site, command) => await update(drainUpdate, command, () => siteStart(site)),
    undrain: async (site, command) => await update(undrainUpdate, command, () => siteStart(site)),
    decommission: async (site, command) => await update(decommissionUpdate, command, () => siteStart(site)),
    repairRegion: async (region, command) => await update(repairRegionUpdate, command, () => regionStart(region)),
    decommissionRegion: async (region, command) => await update(decommissionRegionUpdate, command, () => regionStart(region)),
    drill: async (drill, command) => {
      const args: [DrillInput] = [{ drill, command, patience: drillPatienceMs }]
      await client.workflow
        .start(workflowType.drill, {
          workflowId: drillWorkflowId(drill),
          taskQueue: taskQueue.workflows,
          workflowTaskTimeout,
          workflowIdConflictPolicy: 'USE_EXISTING',
          args,
        })
        .catch((error: unknown) => {
          throw forPeople(error, address)
        })
    },
    scheduleDrills: async (store) => {
      const wanted = (await drillSchedules.list(store.db)).map(scheduleOf)
      try {
        for (const { scheduleId, ...schedule } of wanted) {
          await client.schedule.create({ scheduleId, ...schedule }).catch(async (error: unknown) => {
            if (!(error instanceof ScheduleAlreadyRunning)) throw error
            await client.schedule.getHandle(scheduleId).update(({ state }) => ({ ...schedule, state }))
          })
        }
        const ours = new Set(wanted.map(({ scheduleId }) => scheduleId))
        for await (const { scheduleId } of client.schedule.list()) {
          if (!scheduleId.startsWith(drillSchedulePrefix) || ours.has(scheduleId)) continue
          await client.schedule
            .getHandle(scheduleId)
            .delete()
            .catch((error: unknown) => {
              if (!(error instanceof ScheduleNotFoundError)) throw error
            })
        }
      } catch (error) {
        throw forPeople(error, address)
      }
    },
    region: async (region) =>
      await soon(() => client.workflow.signalWithStart(workflowType.region, { ...regionOptions(region), signal: lookSignal, signalArgs: [] })),
    claimed: async (site, claimId) => await signal(site, claimedSignal, [{ claimId }]),
    facts: async (site) => await signal(site, factsSignal, []),
    reported: async (site) => await signal(site, reportedSignal, []),
    reopen: async (store) => {
      const invited = new Set((await store.db.selectFrom('tokens').select('site').distinct().execute()).map(({ site }) => site))
      const living = (await sites.list(store.db)).filter(({ id, state }) => state !== 'RETIRED' && (state !== 'DECLARED' || invited.has(id)))
      for (const { id } of living) {
        await commands.reported(id)
        await commands.facts(id)
      }
      const clouds = (await regions.list(store.db)).filter(({ state }) => state !== 'RETIRED')
      for (const { id } of clouds) await commands.region(id)
      await commands.scheduleDrills(store)
      let reopened = 0
      for (const operation of await operations.open(store.db)) {
        // Their entities find them again by themselves.
        if (operation.kind === 'onboard' || operation.kind === 'region' || operation.kind === 'return-routes') continue
        const row = await commandRows.ofOperation(store.db, operation.id)
        if (row === undefined) continue
        const command: Command = { commandId: row.id, operationId: operation.id }
        const subject = operation.subject.replace(/^(site|network|region|drill)\//, '')
        reopened += 1
        // A refusal here is the operation's own end, told in its findings.
        await reissue(commands, operation.kind, subject, command, row.args).catch((error: unknown) => {
          if (!(error instanceof Problem)) throw error
        })
      }
      return { sites: living.length, regions: clouds.length, operations: reopened }
    },
    close: async () => await connection.close(),
  }
  return commands
}

/** A drill that is long overdue is better left out: the next one comes. */
const catchUpMs = 600_000
const mostJitterMs = 300_000
function scheduleOf({ site, uplink, every_seconds, first_at }: DrillScheduleRow): ScheduleOptions {
  const every = every_seconds * 1000
  return {
    scheduleId: drillScheduleId(site, uplink),
    // Intervals count from 1970.
    spec: { intervals: [{ every, offset: first_at.getTime() % every }], jitter: Math.min(mostJitterMs, every / 10) },
    policies: { overlap: 'SKIP', catchupWindow: catchUpMs },
    action: {
      type: 'startWorkflow',
      workflowType: workflowType.scheduledDrill,
      workflowId: scheduledDrillWorkflowId(site, uplink),
      taskQueue: taskQueue.workflows,
      workflowTaskTimeout,
      args: [{ site, uplink, patience: drillPatienceMs } satisfies ScheduledDrillInput],
    },
  }
}

async function reissue(commands: Commands, kind: string, subject: string, command: Command, args: unknown): Promise<void> {
  const given = args as {
    readonly planId?: string
    readonly tokenId?: string
    readonly fingerprint?: string
    readonly until?: string
    readonly rollout?: string
  }
  if (kind === 'apply') await commands.apply(subject, { ...command, planId: given.planId ?? '' })
  else if (kind.startsWith('rollout-'))
    await commands.rollout(subject, { ...command, rollout: given.rollout ?? '', verb: kind.slice('rollout-'.length) as RolloutVerb })
  else if (kind === 'invite') await commands.invite(subject, { ...command, tokenId: given.tokenId ?? '' })
  else if (kind === 'replace') await commands.replace(subject, { ...command, tokenId: given.tokenId ?? '' })
  else if (kind === 'approve') await commands.approve(subject, { ...command, fingerprint: given.fingerprint ?? '' })
  else if (kind === 'drain') await commands.drain(subject, { ...command, until: given.until ?? '' })
  else if (kind === 'undrain') await commands.undrain(subject, command)
  else if (kind === 'drill') await commands.drill(subject, command)
  else if (kind === 'region-repair') await commands.repairRegion(subject, command)
  else if (kind === 'region-decommission') await commands.decommissionRegion(subject, command)
  // A decommissioning that has begun goes on by itself: its site's entity was started above.
  else if (kind === 'decommission') await commands.decommission(subject, command)
}

/** Temporal takes no update while a workflow's task has failed a few times, as it does when its workers die one after another. */
function isNotReady(error: unknown): boolean {
  if (!isGrpcServiceError(error)) return false
  return error.metadata.get('grpc-status-details-bin').some((of) => of.includes('WorkflowNotReadyFailure'))
}

function forPeople(error: unknown, address: string): unknown {
  if (error instanceof WorkflowUpdateFailedError) {
    const cause = deepest(error.cause)
    const [instead] = cause?.details ?? []
    return new Problem(409, (cause?.type ?? 'C009') as ControllerCode, cause?.message ?? error.message, typeof instead === 'string' ? instead : '')
  }
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return new WorkflowsAway('no worker answered in time')
  if (isNotReady(error)) return new WorkflowsAway('no worker answered in time')
  if (isGrpcServiceError(error)) return new WorkflowsAway(`Temporal does not answer at ${address} (${error.details})`)
  return error
}

/** The activity's own failure, below the wrappers of update and activity. */
function deepest(error: unknown): ApplicationFailure | null {
  for (let at: unknown = error; at instanceof Error; at = at.cause) if (at instanceof ApplicationFailure) return at
  return null
}
