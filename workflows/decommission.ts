/** `decommission/<site>`: the peers let go first, so that no packet is sent to a box without keys; the device is wiped last. */
import { condition, setHandler } from '@temporalio/workflow'
import { assigner } from './assign.ts'
import { reportedSignal } from './contract.ts'
import type { Command, Timing } from './contract.ts'
import { rows } from './proxies.ts'

export interface DecommissionInput {
  readonly site: string
  readonly command: Command
  readonly timing: Timing
}

export async function decommission({ site, command, timing }: DecommissionInput): Promise<void> {
  const assign = assigner(command.operationId)
  let reported = false
  setHandler(reportedSignal, () => {
    reported = true
  })
  // The facts of a site in DECOMMISSIONING are no longer joined, so the peers' next revision is without it.
  const { answers, dials } = await rows.readProvisioning({ site })
  const left = [...(await assign(dials, { generation: null, offline: 'lag' })), ...(await assign(answers, { generation: null, offline: 'lag' }))]
  const kept = left.flatMap(({ site: peer, outcome, why }) => (outcome === 'confirmed' ? [] : [`${peer} ${outcome}${why === '' ? '' : `: ${why}`}`]))

  await rows.releaseDevice({ site, command })
  const until = Date.now() + timing.wipe
  let wiped = false
  while (!wiped && Date.now() < until) {
    reported = false
    wiped = await rows.isWiped({ site })
    if (!wiped) await condition(() => reported, Math.max(1, Math.min(until - Date.now(), 5_000)))
  }
  await rows.retireSite({ site, command, wiped, kept })
}
