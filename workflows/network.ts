/** `network/<id>`: the only writer of generations. Applies one plan at a time; a failed rollout is undone by a newer generation. */
import {
  allHandlersFinished,
  ApplicationFailure,
  condition,
  continueAsNew,
  executeChild,
  getExternalWorkflowHandle,
  log,
  ParentClosePolicy,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow'
import { applyUpdate, defaultCloudTiming, lookSignal, regionWorkflowId, rolloutUpdate, rolloutWorkflowId } from './contract.ts'
import type { ApplyCommand, NetworkInput, RegionInput, RolloutVerb, Timing } from './contract.ts'
import { compiling, rows, workflowTaskTimeout } from './proxies.ts'
import type { region as Region } from './region.ts'
import { remember } from './seen.ts'
import type { rollout as Rollout, RolloutResult } from './rollout.ts'

const queueLimit = 50
const verbs: readonly RolloutVerb[] = ['pause', 'resume', 'abort']

export async function network(input: NetworkInput): Promise<void> {
  const queue: ApplyCommand[] = [...(input.carried?.queue ?? [])]
  const seen = remember(input.carried?.seen ?? [])

  setHandler(
    applyUpdate,
    (command) => {
      if (seen.add(command.commandId)) queue.push(command)
      return { operationId: command.operationId }
    },
    {
      validator: (command) => {
        if (!command.commandId || !command.operationId || !command.planId)
          throw ApplicationFailure.nonRetryable('an apply needs a command, an operation and a plan', 'C080')
        if (queue.length >= queueLimit && !seen.has(command.commandId))
          throw ApplicationFailure.nonRetryable(`${queue.length} changes are waiting already`, 'C081')
      },
    },
  )

  setHandler(
    rolloutUpdate,
    async (command) => {
      await rows.steerRollout({ network: input.network, command })
      // One that has not begun reads the row when it does.
      await getExternalWorkflowHandle(rolloutWorkflowId(command.rollout))
        .signal(lookSignal)
        .catch(() => {})
    },
    {
      validator: ({ commandId, operationId, rollout, verb }) => {
        if (!commandId || !operationId || !rollout || !verbs.includes(verb))
          throw ApplicationFailure.nonRetryable(
            `a command to a rollout needs its id, an operation, the rollout and one of ${verbs.join(', ')}`,
            'C080',
          )
      },
    },
  )

  for (;;) {
    await condition(() => queue.length > 0 || workflowInfo().continueAsNewSuggested)
    const command = queue[0]
    if (command !== undefined) {
      // What nobody commanded is refused by its activities; the queue goes on.
      await apply(command, input).catch((error: unknown) => log.warn('the change was not carried out', { ...command, error: String(error) }))
      queue.shift()
    }
    if (workflowInfo().continueAsNewSuggested) {
      await condition(allHandlersFinished)
      await continueAsNew<typeof network>({ ...input, carried: { queue, seen: seen.all() } })
    }
  }
}

async function apply(command: ApplyCommand, { network, timing }: NetworkInput): Promise<void> {
  const made = await compiling.commitGeneration({ network, command })
  if (made.kind === 'refused') return
  // A cloud takes its time: the rollout does not wait for it, and what depends on it waits for its facts.
  await wakeRegions(made.regions, timing)
  const roll = async (generation: number, waves: typeof made.waves, back: boolean): Promise<RolloutResult> =>
    await executeChild<typeof Rollout>('rollout', {
      workflowId: `${rolloutWorkflowId(command.operationId)}${back ? '/back' : ''}`,
      workflowTaskTimeout,
      parentClosePolicy: ParentClosePolicy.TERMINATE,
      args: [{ operationId: command.operationId, generation, waves, timing, gated: !back }],
    })
  const forward = await roll(made.generation, made.waves, false)
  if (forward.outcome === 'done') {
    const completed = await rows.completeOperation({
      network,
      command,
      state: 'succeeded',
      generation: made.generation,
      lagging: forward.lagging,
      why: '',
    })
    // Histories from before it could be aborted have no answer here.
    if (completed !== false) return
  }
  const back = await compiling.commitRollback({ network, command, generation: made.generation, why: forward.why, lagging: forward.lagging })
  if (back.kind === 'refused') return
  await wakeRegions(back.regions, timing)
  const undone = await roll(back.generation, back.waves, true)
  await rows.completeOperation({
    network,
    command,
    state: 'rolled-back',
    generation: back.generation,
    lagging: undone.lagging,
    why: forward.why,
  })
}

/** Each region's entity lives on by itself; one that runs already looks at the new generation. */
async function wakeRegions(regions: readonly string[] | undefined, timing: Timing): Promise<void> {
  for (const region of regions ?? []) {
    const told = await getExternalWorkflowHandle(regionWorkflowId(region))
      .signal(lookSignal)
      .then(
        () => true,
        () => false,
      )
    if (told) continue
    const args: [RegionInput] = [{ region, timing: timing.cloud ?? defaultCloudTiming }]
    await startChild<typeof Region>('region', {
      workflowId: regionWorkflowId(region),
      workflowTaskTimeout,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      args,
    }).catch((error: unknown) => log.info(`region/${region} runs already`, { error: String(error) }))
  }
}
