/**
 * `region/<id>`: one long-lived entity a cloud region. Whatever is made, changed or deleted there happens here; a worker
 * that dies is replaced in the middle of a step, which then finds out what became of it. It holds nothing that the store
 * does not, so it can be started again from rows.
 */
import {
  ActivityCancellationType,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  proxyActivities,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow'
import type { Finding } from '#src/fabric/fabric.ts'
import type { Activities } from './activities/index.ts'
import type { CloudPlan, CloudStep } from './activities/cloud.ts'
import type { RegionView } from './activities/regions.ts'
import { needsOf } from './cloud-order.ts'
import { decommissionRegionUpdate, defaultCloudTiming, factsSignal, lookSignal, repairRegionUpdate, siteWorkflowId } from './contract.ts'
import type { Command, RegionInput } from './contract.ts'
import { lock } from './lock.ts'
import { rows } from './proxies.ts'
import { askAgainIn, carries, downConnections, type Told, witnessed } from './return-routes.ts'
import { remember } from './seen.ts'

/** A plan is made again after its steps were taken, until nothing is left: this often. */
const rounds = 5
const failedPause = 1_000

export async function region({ region, timing, carried }: RegionInput): Promise<void> {
  const cloud = proxyActivities<Activities>({
    startToCloseTimeout: '60m',
    scheduleToCloseTimeout: '3h',
    heartbeatTimeout: timing.heartbeat,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '250ms', backoffCoefficient: 1.5, maximumInterval: '20s' },
  })
  // Asked again soon anyway, and a hub that tells again makes the answer worthless.
  const asked = proxyActivities<Activities>({
    startToCloseTimeout: '30s',
    scheduleToCloseTimeout: '1m',
    heartbeatTimeout: timing.heartbeat,
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '10s' },
  })
  const serially = lock()
  const seen = remember(carried?.seen ?? [])
  const healedAt = new Map<string, number>()
  let look = true
  let view: RegionView = { state: 'DECLARED', due: false, made: false, connections: [], down: [], degraded: false, leaving: null, repair: null }
  /** Building, checking or moving routes; a decommissioning cancels the first. */
  let building: CancellationScope | null = null
  let checking = false
  let moving = false
  let leaving = false
  let asking = false
  /** Hubs that tell nothing, and what the cloud said of the tunnels instead. */
  let silence: { readonly hubs: string; told: readonly Told[]; times: number; nextAt: number } = { hubs: '', told: [], times: 0, nextAt: 0 }
  let madeAt: number | null = null
  let driftAt = carried?.driftAt ?? nextDrift()

  setHandler(lookSignal, () => {
    look = true
  })
  const validator = (given: Command) => {
    if (!given.commandId || !given.operationId) throw ApplicationFailure.nonRetryable('a command needs an id and an operation', 'C080')
  }
  setHandler(
    repairRegionUpdate,
    async (command) => {
      await serially(() => rows.repairRegion({ region, command }))
      seen.add(command.commandId)
      look = true
      return { operationId: command.operationId }
    },
    { validator },
  )
  setHandler(
    decommissionRegionUpdate,
    async (command) => {
      await serially(() => rows.beginRegionDecommission({ region, command }))
      seen.add(command.commandId)
      look = true
      return { operationId: command.operationId }
    },
    { validator },
  )

  function nextDrift(): number {
    return Date.now() + timing.drift * (1 + Math.random() / 5)
  }
  const wake = async (hubs: readonly string[]) => {
    // A hub that nobody has invited yet has no entity, and reads its facts when it is provisioned.
    for (const hub of hubs)
      await getExternalWorkflowHandle(siteWorkflowId(hub))
        .signal(factsSignal)
        .catch(() => {})
  }

  /** Takes the steps, each as soon as what it needs is done; the first refusal lets those that run end, and starts no other. */
  const take = async (operationId: string, steps: readonly CloudStep[], hubs: readonly string[]): Promise<Finding | null> => {
    const needs = needsOf(steps)
    let refused: Finding | null = null
    const running: Promise<void>[] = []
    for (const [index, step] of steps.entries()) {
      running.push(
        (async () => {
          await Promise.all((needs[index] ?? []).map((at) => running[at] ?? Promise.resolve()))
          if (refused !== null) return
          const done = await cloud.applyCloudStep({ region, operationId, step, settle: timing.settle })
          if (done.kind === 'failed') refused ??= done.finding
          else if (done.woken) await wake(hubs)
        })(),
      )
    }
    const ended = await Promise.allSettled(running)
    const broken = ended.find((of) => of.status === 'rejected')
    if (broken !== undefined) throw broken.reason
    return refused
  }
  const untilNothingIsLeft = async (
    operationId: string,
    hubs: readonly string[],
    plan: (round: number) => Promise<CloudPlan>,
  ): Promise<{ readonly refused: Finding } | { readonly findings: readonly Finding[] }> => {
    for (let round = 0; round < rounds; round += 1) {
      const planned = await plan(round)
      if (planned.kind === 'refused') return { refused: planned.finding }
      if (planned.steps.length === 0) return { findings: planned.findings }
      const refused = await take(operationId, planned.steps, hubs)
      if (refused !== null) return { refused }
    }
    return { refused: unsettled(region) }
  }

  const build = async (repair: Command | null) => {
    const { operationId, hubs } = await rows.beginRegion({ region, repair })
    try {
      await rows.makeKeys({ region })
      const result = await untilNothingIsLeft(operationId, hubs, async (round) => await cloud.planRegion({ region, first: round === 0 }))
      if ('refused' in result) return await rows.failRegion({ region, operationId, cause: result.refused, cancelled: false })
      await rows.reachRegion({ region, operationId, findings: result.findings })
      madeAt = Date.now()
      driftAt = nextDrift()
      await wake(hubs)
    } catch (error) {
      const cancelled = isCancellation(error)
      await CancellationScope.nonCancellable(async () => await rows.failRegion({ region, operationId, cause: broke(region, error), cancelled }))
    }
  }
  const startBuilding = (repair: Command | null) => {
    building = new CancellationScope()
    void building
      .run(async () => await build(repair))
      .catch((error: unknown) => log.warn('the region was not begun', { error: String(error) }))
      .finally(() => {
        building = null
        look = true
      })
  }

  const move = async (down: readonly string[]) => {
    moving = true
    try {
      const silent = silentHubs().filter((hub) => view.connections.some((of) => of.hub === hub && down.includes(of.id)))
      const ordered = await cloud.orderRoutes(silent.length === 0 ? { region, down } : { region, down, silent })
      if (ordered !== null) {
        const cause = await take(ordered.operationId, ordered.steps, [])
        await rows.endRoutes({ region, operationId: ordered.operationId, cause })
      }
    } finally {
      moving = false
      look = true
    }
  }
  const ask = async () => {
    asking = true
    const about = silence
    try {
      about.told = (await asked.readTunnels({ region })) ?? about.told
    } finally {
      about.times += 1
      about.nextAt = Date.now() + askAgainIn(about.times, timing.ask ?? defaultCloudTiming.ask)
      asking = false
      look = true
    }
  }
  const check = async () => {
    checking = true
    try {
      await cloud.checkRegion({ region })
    } finally {
      checking = false
      driftAt = nextDrift()
      look = true
    }
  }

  const leave = async (command: Command) => {
    leaving = true
    try {
      building?.cancel()
      await condition(() => building === null && !moving && !checking)
      const hubs = await rows.releaseRegion({ region, command })
      await wake(hubs)
      const result = await untilNothingIsLeft(command.operationId, [], async () => await cloud.planRegionDeletion({ region, settle: timing.settle }))
      if ('refused' in result) await rows.failRegion({ region, operationId: command.operationId, cause: result.refused, cancelled: false })
      else await rows.retireRegion({ region, command })
    } catch (error) {
      await rows.failRegion({ region, operationId: command.operationId, cause: broke(region, error), cancelled: false })
    } finally {
      leaving = false
      look = true
    }
  }

  const step = async () => {
    look = false
    view = await rows.readRegion({ region })
    if (leaving) return
    if (view.leaving !== null) return background(leave(view.leaving))
    if (building === null && !checking && (view.due || view.repair !== null)) return startBuilding(view.repair)
    const hubs = silentHubs().join()
    if (hubs !== silence.hubs) silence = { hubs, told: [], times: 0, nextAt: 0 }
    if (hubs !== '' && !asking && Date.now() >= silence.nextAt) background(ask())
    const carried = carries(connections())
    if (building === null && view.made && (view.state === 'CREATING' || view.degraded) && carried === 'whole') {
      await rows.noteRegion({ region, carried })
      look = true
    } else if (
      building === null &&
      view.made &&
      view.state === 'CREATING' &&
      carried === 'part' &&
      Date.now() >= (madeAt ??= Date.now()) + timing.paths
    ) {
      await rows.noteRegion({ region, carried })
      look = true
    }
    if (view.made && !moving) {
      const { down } = judged()
      if (down.join() !== view.down.join()) background(move(down))
    }
    if (view.made && building === null && !moving && !checking && Date.now() >= driftAt) background(check())
  }
  const silentHubs = () => (view.made && view.state !== 'RETIRED' ? (view.silent ?? []) : [])
  const connections = () => witnessed(view.connections, silentHubs(), silence.told)
  const judged = () => downConnections(connections(), view.down, healedAt, Date.now(), timing.hold)
  const background = (work: Promise<void>) => {
    void work.catch(async (error: unknown) => {
      log.warn('the region has trouble', { error: String(error) })
      await sleep(failedPause)
      look = true
    })
  }
  const idle = () => building === null && !moving && !checking && !leaving
  const due = (): number | null => {
    if (!view.made || leaving) return null
    const times = [
      judged().next,
      idle() ? driftAt : null,
      silence.hubs !== '' && !asking ? silence.nextAt : null,
      view.state === 'CREATING' && carries(connections()) === 'part' && madeAt !== null ? madeAt + timing.paths : null,
    ]
    const first = Math.min(...times.map((time) => time ?? Number.POSITIVE_INFINITY))
    return Number.isFinite(first) ? first : null
  }

  for (;;) {
    await serially(step).catch(async (error: unknown) => {
      log.warn('the step failed', { error: String(error) })
      await sleep(failedPause)
      look = true
    })
    if (view.state === 'RETIRED' && idle() && !asking && !look) {
      await condition(allHandlersFinished)
      return
    }
    const renew = () => workflowInfo().continueAsNewSuggested && idle() && !asking
    const wakes = () => look || renew()
    const at = due()
    if (at === null) await condition(wakes)
    else if (at > Date.now()) await condition(wakes, at - Date.now())
    if (renew() && !look) {
      await condition(allHandlersFinished)
      await continueAsNew<(input: RegionInput) => Promise<void>>({ region, timing, carried: { seen: seen.all(), driftAt } })
    }
  }
}

const failure = (code: string, says: string, instead: string): Finding => ({ code, severity: 'error', at: [], says, instead, witness: [] })
const unsettled = (region: string) =>
  failure(
    'C105',
    `the cloud still differs from what ${region} should be after ${rounds} rounds`,
    `see what differs: causeway region status ${region}`,
  )

function broke(region: string, error: unknown): Finding {
  if (isCancellation(error)) return failure('C102', `the work on ${region} was cancelled`, `causeway region status ${region}`)
  let cause = error
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause
  const says = cause instanceof Error ? cause.message : String(cause)
  return failure(
    cause instanceof ApplicationFailure && /^C\d{3}$/.test(cause.type ?? '') ? (cause.type ?? 'C107') : 'C107',
    `${region}: ${says}`,
    `try again: causeway region repair ${region}`,
  )
}
