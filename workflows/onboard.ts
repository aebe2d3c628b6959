/**
 * `onboard/<site>`: from ENROLLED to green, bounded. The first bundle makes the box create its keys; then those who answer
 * (hubs) learn them before those who dial, since a tunnel dialled too early waits 5 s for its next handshake.
 */
import { condition, setHandler } from '@temporalio/workflow'
import { assigner } from './assign.ts'
import { reportedSignal } from './contract.ts'
import type { Timing } from './contract.ts'
import { rows } from './proxies.ts'

export interface OnboardInput {
  readonly site: string
  readonly operationId: string
  readonly timing: Timing
}
export interface OnboardResult {
  readonly outcome: 'green' | 'yellow' | 'failed'
  readonly why: string
}
/** Reports come as signals; a lost one costs this, milliseconds. */
const pollEvery = 2_000

export async function onboard({ site, operationId, timing }: OnboardInput): Promise<OnboardResult> {
  const assign = assigner(operationId)
  let reported = false
  setHandler(reportedSignal, () => {
    reported = true
  })
  /** Reads until it holds or the time is up; returns the last reading. */
  const watch = async (holds: (seen: Reading) => boolean): Promise<Reading> => {
    const until = Date.now() + timing.paths
    for (;;) {
      reported = false
      const seen = await rows.readProvisioning({ site })
      const left = until - Date.now()
      if (holds(seen) || left <= 0) return seen
      await condition(() => reported, Math.min(left, pollEvery))
    }
  }
  const confirm = async (): Promise<string> => {
    const [own] = await assign([site], { generation: null, offline: 'wait' })
    if (own === undefined || own.outcome === 'confirmed') return ''
    return own.outcome === 'lagging' ? 'the gateway did not confirm its bundle in time' : own.why
  }

  let why = await confirm()
  if (why !== '') return { outcome: 'failed', why }
  const known = await watch((seen) => seen.missingKeys.length === 0)
  if (known.missingKeys.length > 0) return { outcome: 'failed', why: `the gateway reported no key for ${known.missingKeys.join(', ')}` }

  // A peer's failure is that peer's finding; what counts here is whether the paths come up.
  await assign(known.answers, { generation: null, offline: 'lag' })
  why = await confirm()
  if (why !== '') return { outcome: 'failed', why }
  await assign(known.dials, { generation: null, offline: 'lag' })

  const { expected, up } = await watch((seen) => seen.up.length === seen.expected.length)
  if (up.length === expected.length) return { outcome: 'green', why: '' }
  const missing = expected.filter((tunnel) => !up.includes(tunnel))
  const says = `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} not UP`
  return { outcome: up.length > 0 ? 'yellow' : 'failed', why: says }
}

type Reading = Awaited<ReturnType<typeof rows.readProvisioning>>
