/** `rollout/<operation>`: hubs one after another, then a canary edge, then the other edges in waves. The first failure halts it, and people may. */
import { condition, setHandler, sleep } from '@temporalio/workflow'
import { assigner } from './assign.ts'
import { lookSignal } from './contract.ts'
import type { SiteDone, Timing } from './contract.ts'
import { rows } from './proxies.ts'

export interface RolloutInput {
  readonly operationId: string
  readonly generation: number
  /** In order; the sites of one wave move together. Only sites whose config moved and which are enrolled. */
  readonly waves: readonly Wave[]
  readonly timing: Timing
  /** People may pause and abort it between waves. A way back goes to its end; absent in what was started before there were gates. */
  readonly gated?: boolean
}
export interface Wave {
  readonly kind: 'hub' | 'canary' | 'edges'
  readonly sites: readonly string[]
  /** Of them those that are moved in a maintenance window, all in the same. Absent: none. */
  readonly held?: readonly string[]
}
export interface RolloutResult {
  readonly outcome: 'done' | 'halted'
  readonly lagging: readonly string[]
  /** Site and reason of the failure; '' if there was none. */
  readonly why: string
}

export async function rollout({ operationId, generation, waves, timing, gated = false }: RolloutInput): Promise<RolloutResult> {
  const assign = assigner(operationId)
  const lagging: string[] = []
  let look = false
  setHandler(lookSignal, () => {
    look = true
  })
  /** Waits before the wave for as long as it is paused or its window is closed; why it must not move, or null. */
  const gate = async (number: number, wave: Wave): Promise<string | null> => {
    for (;;) {
      look = false
      const gate = await rows.gateWave({ operationId, generation, number, wave })
      if (gate.kind === 'paused') await condition(() => look)
      // The activity has the clock; then it is asked again.
      else if (gate.kind === 'waiting') await condition(() => look, gate.forMs)
      else return gate.kind === 'aborted' ? gate.why : null
    }
  }
  for (const [number, wave] of waves.entries()) {
    const stopped = gated ? await gate(number, wave) : null
    if (stopped !== null) return { outcome: 'halted', lagging, why: stopped }
    const answers = await assign(wave.sites, { generation, offline: 'lag' })
    await rows.recordWave({ operationId, generation, number, wave, answers })
    lagging.push(...answers.filter((answer) => answer.outcome === 'lagging').map((answer) => answer.site))
    const failed = answers.find(isFailure)
    if (failed !== undefined) return { outcome: 'halted', lagging, why: `${failed.site}: ${failed.why}` }
    if (wave.kind === 'canary' && answers.some((answer) => answer.outcome === 'confirmed') && number + 1 < waves.length) {
      await sleep(timing.soak)
      const worse = await rows.readSoak({ sites: wave.sites, generation })
      if (worse !== null) return { outcome: 'halted', lagging, why: worse }
    }
  }
  return { outcome: 'done', lagging, why: '' }
}

/** A box that is away is no failure: it lags and takes the newest bundle when it comes back. */
const isFailure = (answer: SiteDone): boolean => answer.outcome === 'rolled-back' || answer.outcome === 'refused'
