/**
 * `replacement/<site>`: another box takes a site over, bounded. It gets ready beside the one that runs; then it and its
 * peers turn at once, so that traffic stands still for a handshake; the old box is let go only when the new one carries.
 */
import { condition, setHandler, workflowInfo } from '@temporalio/workflow'
import { assigner } from './assign.ts'
import { reportedSignal } from './contract.ts'
import type { Timing } from './contract.ts'
import type { Exchange } from './activities/replacements.ts'
import { rows } from './proxies.ts'

export interface ReplacementInput {
  readonly site: string
  readonly operationId: string
  readonly timing: Timing
}
/** Reports come as signals; a lost one costs this, milliseconds. */
const pollEvery = 2_000

export async function replacement({ site, operationId, timing }: ReplacementInput): Promise<void> {
  const assign = assigner(operationId)
  let reported = false
  setHandler(reportedSignal, () => {
    reported = true
  })
  /** Reads until it holds, the box refuses, or the time is up; null when there is nothing to replace any more. */
  const watch = async (within: number, holds: (seen: Exchange) => boolean): Promise<Exchange | null> => {
    const until = Date.now() + within
    for (;;) {
      reported = false
      const seen = await rows.readReplacement({ site })
      const left = until - Date.now()
      if (seen === null || seen.refused !== '' || holds(seen) || left <= 0) return seen
      await condition(() => reported, Math.min(left, pollEvery))
    }
  }
  const peers = async () => {
    const { answers, dials } = await rows.readProvisioning({ site })
    return [...new Set([...answers, ...dials])].sort()
  }

  const { runId } = workflowInfo()
  const finish = async (why: string) => await rows.finishReplacement({ site, operationId, run: runId, why })

  const begun = await rows.readReplacement({ site })
  if (begun === null) return
  if (!begun.taken) {
    await rows.prepareReplacement({ site })
    const ready = await watch(timing.deliver, (seen) => seen.confirmed && seen.missingKeys.length === 0)
    if (ready === null) return
    const why =
      ready.refused !== ''
        ? ready.refused
        : !ready.confirmed || ready.missingKeys.length > 0
          ? 'it did not get ready in time'
          : ready.lacks.length > 0
            ? `it has no ${ready.lacks.join(', ')}`
            : ''
    if (why !== '') return await finish(why)
    await rows.takeOver({ site })
  }
  const turning = assign(await peers(), { generation: null, offline: 'lag' })
  const seen = await watch(timing.paths, (now) => now.confirmed && (now.up > 0 || now.tunnels === 0))
  if (seen === null || (seen.refused === '' && seen.confirmed && (seen.up > 0 || seen.tunnels === 0))) {
    if (seen !== null) await finish('')
    await turning
    return
  }
  const why = seen.refused !== '' ? seen.refused : seen.confirmed ? 'none of its paths came up' : 'it did not confirm in time'
  await finish(why)
  await turning
  await assign(await peers(), { generation: null, offline: 'lag' })
  // Back to a bundle without tunnels: two boxes must not dial with one site's addresses.
  await rows.prepareReplacement({ site })
}
