/**
 * `site/<id>`: one long-lived entity a site. Whatever changes the site's rows (state, `assigned`) happens here, one thing
 * after another; everybody else signals. It holds nothing that the store does not, so it can be started again from rows.
 */
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
  sleep,
  workflowInfo,
} from '@temporalio/workflow'
import type { Triple } from '#src/fabric/fabric.ts'
import {
  approveUpdate,
  assignSignal,
  claimedSignal,
  decommissionUpdate,
  decommissionWorkflowId,
  drainUpdate,
  factsSignal,
  inviteUpdate,
  lookSignal,
  onboardWorkflowId,
  regionWorkflowId,
  replacementWorkflowId,
  replaceUpdate,
  reportedSignal,
  siteDoneSignal,
  undrainUpdate,
} from './contract.ts'
import type { AssignRequest, Command, DrainCommand, SiteDone, SiteInput } from './contract.ts'
import type { SiteView } from './activities/sites.ts'
import type { decommission as Decommission } from './decommission.ts'
import { isEnrolled, isInService, isInWindow } from './lifecycle.ts'
import { lock } from './lock.ts'
import type { onboard as Onboard, OnboardResult } from './onboard.ts'
import type { replacement as Replacement } from './replacement.ts'
import { compiling, rows, workflowTaskTimeout } from './proxies.ts'
import { remember } from './seen.ts'

const longestPause = 300_000
/** Before a revision that the box did not keep is made anew, milliseconds. */
const againEvery = 30_000

/** What was assigned and is not answered yet. */
interface Waiting {
  readonly requests: readonly AssignRequest[]
  readonly triple: Triple
  readonly until: number
}

export async function site({ site, timing, carried }: SiteInput): Promise<void> {
  const serially = lock()
  const seen = remember(carried?.seen ?? [])
  const claims: string[] = []
  const assigns: AssignRequest[] = []
  let waiting: Waiting | null = null
  let factsDue: number | null = null
  /** Read the row: at the start, and whenever something may have moved it. */
  let look = true
  let view: SiteView = {
    state: 'DECLARED',
    assigned: null,
    confirmed: null,
    failed: null,
    pendingUntil: null,
    online: false,
    tokenEnds: null,
    noted: null,
    claim: null,
    leaving: null,
  }
  let child: 'none' | 'onboard' | 'decommission' | 'replacement' = 'none'
  let onboarded: OnboardResult | null = null
  let failures = carried?.failures ?? 0
  let againAt = 0

  setHandler(claimedSignal, ({ claimId }) => {
    claims.push(claimId)
  })
  setHandler(factsSignal, () => {
    factsDue ??= Date.now() + timing.coalesce
    look = true
  })
  setHandler(reportedSignal, () => {
    look = true
  })
  setHandler(assignSignal, (request) => {
    if (seen.add(request.commandId)) assigns.push(request)
  })
  const command = { validator: (given: Command) => checkCommand(given) }
  setHandler(
    inviteUpdate,
    async (given) => {
      await serially(() => rows.inviteSite({ site, command: given }))
      look = true
    },
    command,
  )
  setHandler(
    approveUpdate,
    async (given) => {
      await serially(() => rows.approveSite({ site, command: given }))
      look = true
    },
    command,
  )
  setHandler(
    decommissionUpdate,
    async (given) => {
      await serially(() => rows.beginDecommission({ site, command: given }))
      look = true
      return { operationId: given.operationId }
    },
    command,
  )

  setHandler(
    replaceUpdate,
    async (given) => {
      await serially(() => rows.replaceSite({ site, command: given }))
      look = true
    },
    command,
  )
  setHandler(
    drainUpdate,
    async (given) => {
      const regions = await serially(() => compiling.drainSite({ site, command: given }))
      await redirect(regions)
      return { operationId: given.operationId }
    },
    {
      validator: (given) => {
        checkCommand(given)
        checkWindow(given)
      },
    },
  )
  setHandler(
    undrainUpdate,
    async (given) => {
      const regions = await serially(() => rows.undrainSite({ site, command: given }))
      await redirect(regions)
      return { operationId: given.operationId }
    },
    command,
  )

  /** The window was opened or closed: a revision says so to the box, and the regions look whether they still send to it. */
  const redirect = async (regions: readonly string[]) => {
    factsDue = Date.now()
    look = true
    for (const region of regions)
      await getExternalWorkflowHandle(regionWorkflowId(region))
        .signal(lookSignal)
        .catch(() => {})
  }

  const answer = async (requests: readonly AssignRequest[], done: Omit<SiteDone, 'commandId' | 'site'>) => {
    for (const { commandId, replyTo } of requests) {
      // Who asked may be gone (its operation was ended); nobody else waits for the answer.
      await getExternalWorkflowHandle(replyTo)
        .signal(siteDoneSignal, { ...done, commandId, site })
        .catch((error: unknown) => log.info(`no answer to ${replyTo}`, { error: String(error) }))
    }
  }
  const nudge = async () => {
    const id = child === 'onboard' ? onboardWorkflowId(site) : child === 'replacement' ? replacementWorkflowId(site) : decommissionWorkflowId(site)
    await getExternalWorkflowHandle(id)
      .signal(reportedSignal)
      .catch(() => {})
  }

  const startOnboarding = async (operationId: string) => {
    child = 'onboard'
    onboarded = await executeChild<typeof Onboard>('onboard', {
      workflowId: onboardWorkflowId(site),
      workflowTaskTimeout,
      parentClosePolicy: ParentClosePolicy.TERMINATE,
      args: [{ site, operationId, timing }],
    }).catch((error: unknown): OnboardResult => ({ outcome: 'failed', why: String(error) }))
    child = 'none'
    look = true
  }
  const startReplacement = async (operationId: string) => {
    child = 'replacement'
    await executeChild<typeof Replacement>('replacement', {
      workflowId: replacementWorkflowId(site),
      workflowTaskTimeout,
      parentClosePolicy: ParentClosePolicy.TERMINATE,
      args: [{ site, operationId, timing }],
    }).catch((error: unknown) => log.warn('the replacement starts again', { error: String(error) }))
    againAt = Date.now() + timing.again
    child = 'none'
    // Facts that came meanwhile waited.
    factsDue ??= Date.now()
    look = true
  }
  const startDecommission = async (given: Command) => {
    child = 'decommission'
    await executeChild<typeof Decommission>('decommission', {
      workflowId: decommissionWorkflowId(site),
      workflowTaskTimeout,
      parentClosePolicy: ParentClosePolicy.TERMINATE,
      args: [{ site, command: given, timing }],
    }).catch((error: unknown) => log.warn('decommissioning starts again', { error: String(error) }))
    againAt = Date.now() + timing.again
    child = 'none'
    look = true
  }

  /** The in-flight assignment: confirmed, rolled back, or out of time. Temporal never assumes: it reads what the agent reported. */
  const settle = async () => {
    if (waiting === null) return
    const { requests, triple, until } = waiting
    if (view.confirmed !== null && compare(view.confirmed, triple) >= 0) {
      waiting = null
      await answer(requests, { outcome: 'confirmed', triple: view.confirmed, why: '' })
    } else if (view.failed !== null && compare(view.failed.triple, triple) >= 0) {
      const { outcome, why } = view.failed
      waiting = null
      await answer(requests, { outcome, triple, why })
    } else if (Date.now() >= until && !isPending(view, timing.margin)) {
      waiting = null
      await answer(requests, { outcome: 'lagging', triple, why: view.online ? 'it did not confirm in time' : 'it is not connected' })
    }
  }

  /** What became of the assigned bundle, and whether the paths that were missing have come up since. */
  const note = async () => {
    const { state, assigned, confirmed, failed, noted } = view
    if (assigned === null || (state !== 'ACTIVE' && state !== 'CHANGING')) return
    const kept = confirmed !== null && compare(confirmed, assigned) >= 0
    const lost = failed !== null && compare(failed.triple, assigned) >= 0
    if (lost && (state === 'CHANGING' || noted !== 'held')) await rows.moveSite({ site, event: 'held', why: failed.why })
    else if (kept && (state === 'CHANGING' || noted === 'held')) await rows.moveSite({ site, event: 'changed', why: '' })
    else if (kept && noted === 'yellow') {
      const { expected, up } = await rows.readProvisioning({ site })
      if (up.length === expected.length) await rows.moveSite({ site, event: 'changed', why: '' })
    }
  }

  /** In a service window: on when the box is drained, back when the window is over and the box says so no more. */
  const serve = async () => {
    const { state, assigned, failed, drain = null, drained = false } = view
    if (drain === null) {
      const next = factsDue === null ? await rows.endService({ site }) : 'waits'
      if (next === 'back') look = true
      else if (next !== 'waits') factsDue = Date.now() + (next === 'again' ? againEvery : 0)
    } else if (Date.now() >= drain.until) await redirect(await rows.endWindow({ site, why: '' }))
    else if (state === 'DRAINING' && factsDue === null && failed !== null && assigned !== null && compare(failed.triple, assigned) >= 0)
      await redirect(await rows.endWindow({ site, why: failed.why }))
    else if (state === 'DRAINING' && drained) {
      await rows.finishDraining({ site })
      look = true
    }
  }

  const stage = async (requests: readonly AssignRequest[]) => {
    const wanted = requests.map((request) => request.generation).filter((generation) => generation !== null)
    const operationId = requests.at(-1)?.operationId ?? view.drain?.operationId ?? null
    factsDue = null
    const staged = await rows.stageBundle({ site, generation: wanted.length > 0 ? Math.max(...wanted) : null, operationId })
    look = true
    if (staged.kind === 'refused') return await answer(requests, { outcome: 'refused', triple: null, why: staged.why })
    const patience = view.online || requests.some((request) => request.offline === 'wait') ? timing.deliver : 0
    // A revision for facts takes the place of the triple that others wait for: it contains it.
    const earlier: readonly AssignRequest[] = waiting?.requests ?? []
    const all = [...earlier, ...requests]
    waiting = all.length > 0 ? { requests: all, triple: staged.triple, until: Math.max(Date.now() + patience, waiting?.until ?? 0) } : null
  }

  const step = async () => {
    look = false
    for (const claimId of claims.splice(0)) await rows.admitClaim({ site, claimId })
    view = await rows.readSite({ site })
    if (view.claim !== null) {
      await rows.admitClaim({ site, claimId: view.claim })
      view = await rows.readSite({ site })
    }
    if (child !== 'none') await nudge()
    await settle()
    if (view.state === 'INVITED' && view.tokenEnds !== null && view.tokenEnds <= Date.now()) {
      await rows.moveSite({ site, event: 'expired', why: '' })
      look = true
    }
    if (waiting === null && assigns.length === 0) await note()
    if (isInWindow(view.state)) await serve()
    const { replacement = null } = view
    if (replacement !== null && child === 'none') {
      if (replacement.ready && Date.now() >= againAt) void startReplacement(replacement.operationId)
      else if (!replacement.approved && view.tokenEnds !== null && view.tokenEnds <= Date.now()) {
        await rows.lapseReplacement({ site })
        look = true
      }
    }
    if (child === 'none' && view.state === 'DECOMMISSIONING' && view.leaving !== null && Date.now() >= againAt) void startDecommission(view.leaving)
    if (onboarded !== null && child === 'none') {
      const result: OnboardResult = onboarded
      onboarded = null
      await rows.finishOnboarding({ site, result })
      failures = result.outcome === 'failed' ? failures + 1 : 0
      // Facts that came meanwhile waited.
      factsDue ??= Date.now()
      againAt = Date.now() + (result.outcome === 'failed' ? Math.min(longestPause, timing.again * 2 ** (failures - 1)) : 0)
      look = true
    } else if (child === 'none' && (view.state === 'ENROLLED' || view.state === 'PROVISIONING') && Date.now() >= againAt) {
      void startOnboarding(await rows.beginOnboarding({ site }))
    }
    if (isHeld()) return
    if (assigns.length > 0) {
      const requests = assigns.splice(0)
      if (isEnrolled(view.state)) {
        await stage(requests).catch((error: unknown) => {
          // Whoever asked still waits.
          assigns.unshift(...requests)
          throw error
        })
      } else await answer(requests, { outcome: 'lagging', triple: null, why: `it is ${view.state}` })
    } else if (factsDue !== null && factsDue <= Date.now()) {
      // While it is provisioned, onboarding says when: those who answer first.
      if (view.assigned !== null && isInService(view.state)) await stage([])
      else factsDue = null
    }
  }

  /** Nothing is assigned now: a guard is armed, or the box that runs is about to go, and the next one takes what was meant for it. */
  const isHeld = () => isPending(view, timing.margin) || view.replacement?.taken === true
  const due = (): number => {
    const times = [
      waiting?.until ?? null,
      isHeld() ? null : factsDue,
      view.state === 'INVITED' || (view.replacement ?? null) !== null ? view.tokenEnds : null,
      child === 'none' && view.replacement?.ready === true ? againAt : null,
      isInWindow(view.state) ? (view.drain?.until ?? null) : null,
      child === 'none' && (view.state === 'ENROLLED' || view.state === 'DECOMMISSIONING') ? againAt : null,
    ]
    const first = Math.min(...times.map((time) => time ?? Number.POSITIVE_INFINITY))
    return view.pendingUntil !== null && isPending(view, timing.margin) ? view.pendingUntil + timing.margin : first
  }
  const idle = () => child === 'none' && waiting === null && factsDue === null && assigns.length === 0 && claims.length === 0

  for (;;) {
    // A step that fails for good (its command was never recorded) must not end the entity.
    await serially(step).catch(async (error: unknown) => {
      log.warn('the step failed', { error: String(error) })
      await sleep(timing.again)
      look = true
    })
    if (view.state === 'RETIRED' && idle()) {
      await condition(allHandlersFinished)
      return
    }
    const woken = () => look || claims.length > 0 || (assigns.length > 0 && !isHeld())
    const renew = () => workflowInfo().continueAsNewSuggested && idle()
    const left = due() - Date.now()
    const wake = () => woken() || renew()
    if (left === Number.POSITIVE_INFINITY) await condition(wake)
    else if (left > 0) await condition(wake, left)
    if (renew() && !woken()) {
      await condition(allHandlersFinished)
      await continueAsNew<(input: SiteInput) => Promise<void>>({ site, timing, carried: { seen: seen.all(), failures } })
    }
  }
}

const checkCommand = ({ commandId, operationId }: Command) => {
  if (!commandId || !operationId) throw ApplicationFailure.nonRetryable('a command needs an id and an operation', 'C080')
}

const checkWindow = ({ until }: DrainCommand) => {
  if (Number.isNaN(Date.parse(until))) throw ApplicationFailure.nonRetryable(`a window can't end at "${until}"`, 'C134')
}

/** The agent has armed its guard: `assigned` must not move until it reports, or its deadline and a margin have passed. */
const isPending = (view: SiteView, margin: number): boolean => view.pendingUntil !== null && Date.now() < view.pendingUntil + margin

const compare = (a: Triple, b: Triple): number => a.term - b.term || a.generation - b.generation || a.revision - b.revision
