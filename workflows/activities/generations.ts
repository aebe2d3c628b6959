/** The network's own steps: a plan becomes a generation, a failed one is undone by a newer, an operation ends. */
import { ApplicationFailure, heartbeat } from '@temporalio/activity'
import { refusalOf } from '#src/controller/rollouts.ts'
import {
  access,
  allocations,
  certificates,
  events,
  generations,
  network,
  once,
  operations,
  plans,
  regions,
  sites,
  tokens,
} from '#src/controller/store/index.ts'
import type { OperationState, Tx } from '#src/controller/store/index.ts'
import type { GenerationRow } from '#src/controller/store/generations.ts'
import type { OperationRow } from '#src/controller/store/operations.ts'
import type { PlanRow } from '#src/controller/store/plans.ts'
import type { Fabric, Finding, SiteMaintenance } from '#src/fabric/fabric.ts'
import { formatMaintenance, isOpen, nextOpening } from '#src/fabric/windows.ts'
import { handedOver } from '#src/intent/fragments.ts'
import { heldSites } from '#src/plan/held.ts'
import { contentHash } from '#src/fabric/hash.ts'
import { siteHash } from '#src/fabric/slice.ts'
import type { ApplyCommand, RolloutCommand, SiteDone } from '../contract.ts'
import { isEnrolled } from '../lifecycle.ts'
import type { Wave } from '../rollout.ts'
import { wavesOf } from '../waves.ts'
import { carryOut, type Deps, finding, further, Refused } from './context.ts'
import { moveRegion, regionsOf } from './regions.ts'
import { supersede } from './sites.ts'
import { provideSecrets } from '#src/controller/peers.ts'

export interface Made {
  readonly kind: 'made'
  readonly generation: number
  readonly waves: readonly Wave[]
  /** Regions that the generation names; absent in histories from before there were any. */
  readonly regions?: readonly string[]
}

export type Gate =
  | { readonly kind: 'open' }
  | { readonly kind: 'paused' }
  /** For a maintenance window. */
  | { readonly kind: 'waiting'; readonly forMs: number }
  | { readonly kind: 'aborted'; readonly why: string }

export function generationActivities(deps: Deps) {
  const { store, model } = deps

  return {
    /** Compiles and verifies the plan again and makes exactly it the next generation, or ends the operation as failed. */
    async commitGeneration({ network: id, command }: NetworkCommand): Promise<Made | { readonly kind: 'refused' }> {
      const commanded = { command, kind: 'apply', subject: `network/${id}` } as const
      try {
        return await carryOut(deps, commanded, async (tx, row) => {
          const { planId, now = false } = row.args as { readonly planId?: string; readonly now?: boolean }
          if (planId !== command.planId)
            throw ApplicationFailure.nonRetryable(`command ${command.commandId} is for plan ${planId}, not ${command.planId}`, 'C082')
          const plan = await plans.get(tx, command.planId)
          if (plan === undefined) throw new Refused(finding('C007', 'error', `there is no plan ${command.planId}`, 'make one: causeway plan'))
          if (!(await plans.take(tx, plan.id, command.operationId)))
            throw new Refused(
              finding('C022', 'error', `plan ${plan.id} was applied by operation ${plan.appliedByOperation}`, 'make a new one: causeway plan'),
            )
          const operation = await operations.lock(tx, command.operationId)
          if (operation?.phase === 'aborting')
            throw new Refused(finding('C125', 'error', `${operation.phase_by} aborted it before it began`, 'plan again: causeway plan'))
          const at = await network.get(tx)
          if (at?.frozen) throw new Refused(finding('C025', 'error', 'the network is frozen after a restore', 'compare and unfreeze it first'))
          if ((at?.head ?? 0) !== plan.base) throw stale(plan.base, at?.head ?? 0)
          const { fabric } = await proved(tx, plan)
          const before = await generations.head(tx)
          if (before !== undefined) {
            const union = model.verifyTransition(before.fabric, fabric)
            if (union.findings.some(isError)) throw new Refused(...union.findings.filter(isError))
            heartbeat()
          }
          if (now) await operations.enter(tx, command.operationId, 'released', await access.nameOf(tx, row.actor))
          return await make(tx, { ...plan, fabric }, command.operationId, command.operationId, heldSites(before?.fabric ?? null, fabric))
        })
      } catch (error) {
        // The operation has ended with its findings; the queue goes on.
        if (error instanceof ApplicationFailure && error.nonRetryable) return { kind: 'refused' }
        throw error
      }
    },

    /** The old intent with the *current* allocations as a newer generation: re-pushing N−1 would bring back what is gone. */
    async commitRollback(rollback: Rollback): Promise<Made | { readonly kind: 'refused' }> {
      const { network: id, command, generation } = rollback
      const commanded = { command, kind: 'apply', subject: `network/${id}` } as const
      const goBack = async (tx: Tx): Promise<Made> => {
        const failed = await generations.get(tx, generation)
        const good = failed === undefined ? undefined : await generations.get(tx, failed.base)
        if (failed === undefined || good === undefined)
          throw new Refused(finding('C083', 'error', `generation ${generation} has nothing before it to go back to`))
        const { fabric, claims } = model.compile(good.intent, await allocations.held(tx))
        heartbeat()
        if (fabric === null) throw new Refused(finding('C083', 'error', `generation ${good.number} no longer compiles`))
        const { proof } = model.verify(fabric)
        heartbeat()
        const back = `${command.operationId}-back`
        const fragments = await generations.fragments(tx, good.number)
        await plans.insert(tx, {
          id: back,
          base: failed.number,
          intent: good.intent,
          intentHash: contentHash(good.intent),
          plan: { rollback: good.number },
          verdict: 'passed',
          findings: [],
          fabric,
          fabricHash: contentHash(fabric),
          claims,
          proof,
          compiler: model.compilerVersion,
          createdBy: failed.created_by,
          owner: null,
          fragments,
          handed: handedOver(await generations.fragments(tx, failed.number), fragments),
        })
        const plan = await plans.get(tx, back)
        const before = await operations.lock(tx, command.operationId)
        await operations.enter(tx, command.operationId, 'rolling-back', before?.phase === 'aborting' ? before.phase_by : null)
        return await make(tx, { ...(plan as PlanRow), fabric }, command.operationId, back)
      }
      try {
        return await further(deps, commanded, 'rollback', goBack)
      } catch (error) {
        if (!(error instanceof Refused)) throw error
        await further(deps, commanded, 'no rollback', async (tx) => await stay(tx, rollback, error))
        return { kind: 'refused' }
      }
    },

    /** Pause, resume or abort: the row says so from now on, and the rollout reads it before its next wave. */
    async steerRollout({ network: id, command }: { readonly network: string; readonly command: RolloutCommand }): Promise<void> {
      const { rollout, verb, operationId } = command
      await carryOut(deps, { command, kind: `rollout-${verb}`, subject: `network/${id}` }, async (tx, { args, actor }) => {
        if ((args as { readonly rollout?: string }).rollout !== rollout)
          throw ApplicationFailure.nonRetryable(`command ${command.commandId} is not for rollout ${rollout}`, 'C082')
        const row = await operations.lock(tx, rollout)
        if (row === undefined) throw new Refused(finding('C007', 'error', `there is no operation ${rollout}`, 'causeway rollout list'))
        const refusal = refusalOf(verb, row)
        if (refusal !== null) throw new Refused(finding(refusal.code, 'error', refusal.says, refusal.instead))
        const by = await access.nameOf(tx, actor)
        const { phase, text } = verb === 'resume' && row.phase === 'waiting' ? released : said[verb]
        await operations.enter(tx, rollout, phase, phase === null ? null : by)
        await events.emit(tx, {
          operationId: rollout,
          subject: `operation/${rollout}`,
          kind: `rollout.${verb}`,
          text: `${text} by ${by}`,
          data: { commandId: command.commandId },
        })
        await operations.end(tx, operationId, 'succeeded', { result: { rollout } })
        return null
      })
    },

    async recordWave({ operationId, generation, number, wave, answers }: WaveRecord): Promise<void> {
      await once(store, operationId, `wave ${generation}/${number}`, async (tx) => {
        const told = answers.map(({ site, outcome }) => `${site} ${outcome}`).join(', ')
        await events.emit(tx, {
          operationId,
          subject: `operation/${operationId}`,
          kind: 'rollout.wave',
          text: `${nameOf(wave, number)}: ${told}`,
          data: { generation, answers },
        })
        return null
      })
    },

    /** Whether the next wave may move: the row has what people said, also after Temporal was lost. */
    async gateWave({ operationId, generation, number, wave }: Omit<WaveRecord, 'answers'>): Promise<Gate> {
      const row = await operations.get(store.db, operationId)
      if (row?.phase === 'aborting') return { kind: 'aborted', why: `aborted by ${row.phase_by}` }
      if (row?.phase !== 'paused') return await windowBefore({ operationId, generation, number, wave }, row)
      await once(store, operationId, `held ${generation}/${number} ${row.phase_since?.toISOString()}`, async (tx) => {
        await events.emit(tx, {
          operationId,
          subject: `operation/${operationId}`,
          kind: 'rollout.held',
          text: `holds before ${nameOf(wave, number)} (${wave.sites.join(', ')}), paused by ${row.phase_by}`,
          data: { generation },
        })
        return null
      })
      return { kind: 'paused' }
    },

    /** Null while the canary is well, else what is wrong with it. */
    async readSoak({ sites: canaries, generation }: { readonly sites: readonly string[]; readonly generation: number }): Promise<string | null> {
      for (const id of canaries) {
        const row = await sites.get(store.db, id)
        if (row?.commit?.state === 'rolled-back' && row.commit.triple.generation >= generation) return `${id}: ${row.commit.why}`
      }
      return null
    },

    /** False when somebody aborted it after its last wave began: it has to go back yet. */
    async completeOperation({ network: id, command, state, generation, lagging, why }: Completion): Promise<boolean> {
      return await further(deps, { command, kind: 'apply', subject: `network/${id}` }, `complete ${state}`, async (tx) => {
        const operation = await operations.lock(tx, command.operationId)
        // The first generation moves no site, and has nothing before it to go back to.
        if (state === 'succeeded' && operation?.phase === 'aborting' && generation > 1) return false
        const by = abortedBy(operation)
        const reason = why || `aborted by ${by}`
        const findings: readonly Finding[] =
          state === 'succeeded'
            ? []
            : [finding(by === null ? 'C084' : 'C125', 'error', reason, 'the network runs the intent from before; see causeway rollout watch')]
        await operations.end(tx, command.operationId, state, { result: { generation, lagging }, findings })
        const text =
          state === 'succeeded'
            ? `generation ${generation} runs${lagging.length > 0 ? `; lagging: ${lagging.join(', ')}` : ''}`
            : `rolled back by generation ${generation}: ${reason}`
        await events.emit(tx, {
          operationId: command.operationId,
          subject: `operation/${command.operationId}`,
          kind: `rollout.${state}`,
          text,
          data: { generation, lagging },
        })
        return true
      })
    },
  }

  /** What is begun in a window goes to its end; nobody is held whom somebody let go on. */
  async function windowBefore({ operationId, generation, number, wave }: Omit<WaveRecord, 'answers'>, row: OperationRow | undefined): Promise<Gate> {
    if (wave.held === undefined || row === undefined || row.phase === 'released') return { kind: 'open' }
    const windows = (await generations.get(store.db, generation))?.fabric.maintenance ?? []
    const now = Date.now()
    const opens = wave.held.flatMap((site) => {
      const own = windows.find((one) => one.site === site)
      const opening = own && nextOpening(own, now)
      return opening && !isOpen(opening, now) ? [opening.opens] : []
    })
    const until = opens.length === 0 ? null : new Date(Math.max(...opens))
    await store.transaction(async (tx) => {
      // Unless somebody has said something meanwhile.
      const { phase } = (await operations.lock(tx, operationId))!
      if (phase === 'waiting' || (phase === null && until !== null)) await operations.enter(tx, operationId, until && 'waiting', null, until)
    })
    if (until === null) return { kind: 'open' }
    await once(store, operationId, `waits ${generation}/${number} ${until.toISOString()}`, async (tx) => {
      await events.emit(tx, {
        operationId,
        subject: `operation/${operationId}`,
        kind: 'rollout.waits',
        text: `waits before ${nameOf(wave, number)} (${wave.sites.join(', ')}) for the maintenance window at ${until.toISOString().slice(0, 16)}Z; at once: causeway rollout resume ${operationId}`,
        data: { generation, until: until.toISOString() },
      })
      return null
    })
    return { kind: 'waiting', forMs: until.getTime() - now }
  }

  /** A failed change that can't be undone: whoever confirmed it keeps it, the others run what they ran. */
  async function stay(tx: Tx, { command, generation, why = '', lagging = [] }: Rollback, refusal: Refused): Promise<null> {
    const by = abortedBy(await operations.lock(tx, command.operationId))
    const text = `the network stays at generation ${generation}: ${refusal.message}`
    await operations.end(tx, command.operationId, 'failed', {
      result: { generation, lagging },
      findings: [
        finding(by === null ? 'C084' : 'C125', 'error', why || `aborted by ${by}`, 'see causeway rollout watch'),
        finding('C083', 'error', text, 'mend the intent and apply it'),
      ],
    })
    await events.emit(tx, {
      operationId: command.operationId,
      subject: `operation/${command.operationId}`,
      kind: 'rollout.failed',
      text,
      data: { generation, lagging },
    })
    return null
  }

  async function proved(tx: Tx, plan: PlanRow): Promise<{ readonly fabric: Fabric }> {
    if (plan.verdict !== 'passed' || plan.intent === null)
      throw new Refused(finding('C021', 'error', `plan ${plan.id} was refused by verification`, 'put its findings right and plan again'))
    const { fabric, findings } = model.compile(plan.intent, await allocations.held(tx))
    heartbeat()
    if (fabric === null || findings.some(isError)) throw new Refused(...findings.filter(isError))
    if (contentHash(fabric) !== plan.fabricHash)
      throw new Refused(
        finding('C020', 'error', `plan ${plan.id} no longer compiles to what was proved: the compiler or the allocations moved`, 'plan again'),
      )
    const checked = model.verify(fabric)
    heartbeat()
    if (checked.findings.some(isError)) throw new Refused(...checked.findings.filter(isError))
    return { fabric }
  }

  async function make(
    tx: Tx,
    plan: PlanRow & { readonly fabric: Fabric },
    operationId: string,
    key: string,
    windows: readonly SiteMaintenance[] = [],
  ): Promise<Made> {
    const hashes: Readonly<Record<string, string>> = Object.fromEntries(plan.fabric.sites.map(({ id }) => [id, siteHash(plan.fabric, id)]))
    const rows = await sites.list(tx)
    const gone = rows.filter((row) => row.state !== 'RETIRED' && row.state !== 'DECOMMISSIONING' && hashes[row.id] === undefined)
    const held = gone.filter((row) => row.device !== null)
    if (held.length > 0)
      throw new Refused(
        ...held.map(({ id }) =>
          finding(
            'C085',
            'error',
            `the plan no longer names ${id}, whose gateway is enrolled`,
            `decommission it first: causeway site decommission ${id}`,
          ),
        ),
      )
    const clouds = regionsOf(plan.fabric)
    const left = (await regions.list(tx)).filter((row) => row.state !== 'RETIRED' && !clouds.some(({ id }) => id === row.id))
    const standing = left.filter(({ state }) => state !== 'DECLARED')
    if (standing.length > 0)
      throw new Refused(
        ...standing.map(({ id }) =>
          finding(
            'C108',
            'error',
            `the plan no longer names ${id}, whose resources are in the cloud`,
            `decommission it first: causeway region decommission ${id}`,
          ),
        ),
      )
    const number = await generations.commit(tx, plan, hashes, key).catch((error: unknown) => {
      if (error instanceof generations.StaleBase) throw stale(error.base, error.head)
      throw error
    })
    for (const { id, state } of gone) {
      await sites.transition(tx, id, state, 'DECOMMISSIONING')
      await sites.transition(tx, id, 'DECOMMISSIONING', 'RETIRED')
      await tokens.revokeAll(tx, id)
      await certificates.revokeAll(tx, id)
      await supersede(tx, id, null)
    }
    for (const row of left) await moveRegion(tx, row, 'retired', null, operationId)
    for (const region of clouds) await regions.declare(tx, region)
    if (plan.fabric.peers.length > 0) {
      if (deps.vault === undefined) throw ApplicationFailure.nonRetryable('no vault for the keys of peers', 'C104')
      await provideSecrets(tx, deps.vault, plan.fabric, plan.createdBy)
    }
    for (const site of plan.fabric.sites) await sites.declare(tx, site.id, site.role)
    await events.emit(tx, {
      operationId,
      subject: `network/${plan.fabric.network.id}`,
      kind: 'generation.made',
      text: [`generation ${number} is proved and committed`, ...plan.handed.map(({ thing, from, to }) => `${thing} goes from ${from} to ${to}`)].join(
        '; ',
      ),
      data: { generation: number, ...(plan.handed.length > 0 ? { handed: plan.handed } : {}) },
    })
    const moved = new Set<string>()
    const known = new Map<number, GenerationRow['site_hashes']>()
    for (const row of rows) {
      if (row.assigned === null || !isEnrolled(row.state)) continue
      const old = known.get(row.assigned.generation) ?? (await generations.get(tx, row.assigned.generation))?.site_hashes ?? {}
      known.set(row.assigned.generation, old)
      if (old[row.id] !== hashes[row.id]) moved.add(row.id)
    }
    const touched = plan.fabric.sites.filter((site) => moved.has(site.id))
    return {
      kind: 'made',
      generation: number,
      waves: wavesOf(
        touched.filter((site) => site.hub).map((site) => site.id),
        touched.filter((site) => !site.hub).map((site) => site.id),
        new Map(windows.map((one) => [one.site, formatMaintenance(one)])),
      ),
      regions: clouds.map(({ id }) => id),
    }
  }
}

/** `verb`: what the row says then, and what people read. */
const said = {
  pause: { phase: 'paused', text: 'paused' },
  resume: { phase: null, text: 'let go on' },
  abort: { phase: 'aborting', text: 'aborted' },
} as const

/** Of one that waits for a window. */
const released = { phase: 'released', text: 'let go on outside of maintenance windows' } as const
const abortedBy = (row: OperationRow | undefined): string | null => (row?.phase === 'aborting' || row?.phase === 'rolling-back' ? row.phase_by : null)

const nameOf = (wave: Wave, number: number): string => (wave.kind === 'edges' ? `wave ${number + 1}` : wave.kind)

interface WaveRecord {
  readonly operationId: string
  readonly generation: number
  readonly number: number
  readonly wave: Wave
  readonly answers: readonly SiteDone[]
}
interface NetworkCommand {
  readonly network: string
  readonly command: ApplyCommand
}
interface Rollback extends NetworkCommand {
  /** That failed. */
  readonly generation: number
  /** Of the way forward; absent in histories from before a way back could be refused. */
  readonly why?: string
  readonly lagging?: readonly string[]
}
interface Completion extends NetworkCommand {
  readonly state: Exclude<OperationState, 'running'>
  readonly generation: number
  readonly lagging: readonly string[]
  /** What failed; '' if it was not that. */
  readonly why: string
}

const isError = (of: Finding): boolean => of.severity === 'error'
const stale = (base: number, head: number) =>
  new Refused(finding('C020', 'error', `the plan is made on generation ${base}, but the network is at generation ${head}`, 'plan again'))
