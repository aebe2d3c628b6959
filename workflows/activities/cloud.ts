/** What speaks to a cloud: one activity a step, heartbeating, resumable, and never twice at the same time for one resource. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity'
import { commands, events, facts, generations, network, operations, regions } from '#src/controller/store/index.ts'
import type { RegionRow, RouteRow } from '#src/controller/store/regions.ts'
import type { CloudFact, CloudProvider, Observed, Resource, ResourceId, Run, Step, Telemetry, Trouble } from '#providers/cloud.ts'
import type { ConnectionId, Finding, NetworkId, RegionId, TunnelId } from '#src/fabric/fabric.ts'
import { contentHash } from '#src/fabric/hash.ts'
import type { OrderedStep } from '../cloud-order.ts'
import type { Told } from '../return-routes.ts'
import { type Deps, finding } from './context.ts'
import { byPrefix } from './regions.ts'

/** References only: what a step writes is looked up again when it is taken. */
export interface CloudStep extends OrderedStep {
  /** What a deletion removes; null otherwise. */
  readonly cloudId: string | null
}
export type CloudPlan =
  | { readonly kind: 'planned'; readonly steps: readonly CloudStep[]; readonly findings: readonly Finding[] }
  | { readonly kind: 'refused'; readonly finding: Finding }
export type Stepped = { readonly kind: 'done'; readonly woken: boolean } | { readonly kind: 'failed'; readonly finding: Finding }

export interface StepRequest {
  readonly region: string
  readonly operationId: string
  readonly step: CloudStep
  readonly settle: number
}

export function cloudActivities(deps: Deps) {
  const { store, model } = deps
  return {
    /** What is left to do, by what the cloud says now; foreign things that stand in the way refuse it. */
    async planRegion({ region, first }: { readonly region: string; readonly first: boolean }): Promise<CloudPlan> {
      return await speaking(region, async ({ provider, row, id, signal }) => {
        if (first) {
          const foreign = await provider.preflight(id, row.config, signal)
          const wrong = foreign.find(({ severity }) => severity === 'error')
          if (wrong !== undefined) return { kind: 'refused', finding: wrong }
        }
        const wanted = await wantedOf(provider, row, id)
        const seen = await look(provider, id, row, signal)
        const steps = provider.steps(wanted, seen).map(stepOf)
        return { kind: 'planned', steps, findings: steps.length === 0 ? provider.verify(wanted, seen) : [] }
      })
    },

    /** Everything of ours in the region, whatever made it; what may have been made a moment ago is waited for. */
    async planRegionDeletion({ region, settle }: { readonly region: string; readonly settle: number }): Promise<CloudPlan> {
      return await speaking(region, async ({ provider, row, id, signal }) => {
        const making = (await regions.resources(store.db, region)).filter(({ state }) => state === 'making')
        const visibleAt = Math.max(0, ...making.map(({ begun_at }) => begun_at.getTime() + settle))
        for (;;) {
          const seen = await look(provider, id, row, signal)
          const missing = making.filter((of) => !seen.some((each) => each.id === of.id))
          if (missing.length === 0 || Date.now() >= visibleAt) return { kind: 'planned', steps: provider.steps([], seen).map(stepOf), findings: [] }
          await sleep(Math.min(250, Math.max(1, visibleAt - Date.now())), undefined, { signal })
        }
      })
    },

    async applyCloudStep({ region, operationId, step, settle }: StepRequest): Promise<Stepped> {
      await commanded(region, operationId)
      const answer = await speaking(
        region,
        async (speaker): Promise<Stepped> =>
          step.kind === 'delete' ? await remove(speaker, operationId, step) : await make(speaker, operationId, step, settle),
      )
      return answer.kind === 'refused' ? { kind: 'failed', finding: answer.finding } : answer
    },

    /** How the cloud itself sees the tunnels, for a hub that does not tell; null if it refuses to say. */
    async readTunnels({ region }: { readonly region: string }): Promise<readonly Told[] | null> {
      const answer = await speaking(region, async ({ provider, row, id, signal }) => {
        const seen = new Map((await provider.tunnels(id, row.config, signal)).map(({ tunnel, state }) => [tunnel, state]))
        const count = (of: readonly { readonly tunnel: TunnelId }[], state: Telemetry['state']) =>
          of.filter(({ tunnel }) => seen.get(tunnel) === state).length
        return {
          kind: 'told' as const,
          connections: row.config.connections.map(({ id: of, members }) => ({ id: of, up: count(members, 'up'), down: count(members, 'down') })),
        }
      })
      return answer.kind === 'refused' ? null : answer.connections
    },

    /** Orders the return routes for the connections that are down; answers the steps that move them, updates only. */
    async orderRoutes({
      region,
      down,
      silent = [],
    }: {
      readonly region: string
      readonly down: readonly string[]
      /** Hubs for which the cloud spoke. */
      readonly silent?: readonly string[]
    }): Promise<{ readonly operationId: string; readonly steps: readonly CloudStep[] } | null> {
      const provider = await providerOf(await rowOf(region))
      return await store.transaction(async (tx) => {
        const row = await regions.lock(tx, region)
        const at = await network.get(tx)
        const fabric = row?.generation == null ? undefined : (await generations.get(tx, row.generation))?.fabric
        if (row?.config == null || fabric === undefined || at === undefined || row.state === 'DELETING' || row.state === 'RETIRED') return null
        const routes: readonly RouteRow[] = [...model.returnRoutes(fabric, region as RegionId, new Set(down as readonly ConnectionId[]))].sort(
          byPrefix,
        )
        await regions.setRoutes(tx, region, routes, down)
        const id = at.id as NetworkId
        const before = new Map(provider.resources(id, row.config, new Map(row.routes)).map((of) => [of.id, contentHash(of.properties)]))
        const moved = provider.resources(id, row.config, new Map(routes)).filter((of) => before.get(of.id) !== contentHash(of.properties))
        if (moved.length === 0) return null
        const { seq } = await tx
          .selectFrom('events')
          .select((eb) => eb.fn.max<number | string | null>('seq').as('seq'))
          .executeTakeFirstOrThrow()
        const operationId = `routes-${region}-${Number(seq ?? 0) + 1}`
        await tx
          .insertInto('operations')
          .values({ id: operationId, kind: 'return-routes', subject: `region/${region}`, state: 'running' })
          .onConflict((on) => on.doNothing())
          .execute()
        const text =
          down.length === 0
            ? `return traffic of ${region} goes back: every connection is UP`
            : `return traffic of ${region} leaves ${down.join(', ')}${silent.length === 0 ? '' : `: ${silent.join(' and ')} told nothing, and the cloud sees no tunnel up`}`
        await events.emit(tx, {
          operationId,
          subject: `region/${region}`,
          kind: 'region.routes',
          text,
          data: { down, routes: routes.map(([to, via]) => `${to} via ${via}`) },
        })
        return { operationId, steps: moved.map((of) => ({ kind: 'update', id: of.id, type: of.type, after: [], cloudId: null })) }
      })
    },

    async endRoutes({
      region,
      operationId,
      cause,
    }: {
      readonly region: string
      readonly operationId: string
      readonly cause: Finding | null
    }): Promise<void> {
      await store.transaction(async (tx) => {
        if (!(await operations.end(tx, operationId, cause === null ? 'succeeded' : 'failed', { findings: cause === null ? [] : [cause] }))) return
        const row = await regions.lock(tx, region)
        if (cause !== null && row !== undefined) await regions.checked(tx, region, [cause])
        await events.emit(tx, {
          operationId,
          subject: `region/${region}`,
          kind: cause === null ? 'region.routes-moved' : 'region.routes-failed',
          text: cause === null ? `return routes of ${region} have moved` : `return routes of ${region} did not move: ${cause.says}`,
        })
      })
    },

    /** What the cloud holds against what it should: a resource changed or deleted by hand is a finding, not a change. */
    async checkRegion({ region }: { readonly region: string }): Promise<number> {
      const answer = await speaking(
        region,
        async ({ provider, row, id, signal }): Promise<{ readonly kind: 'checked'; readonly findings: readonly Finding[] }> => {
          const wanted = await wantedOf(provider, row, id)
          return { kind: 'checked', findings: provider.verify(wanted, await look(provider, id, row, signal)) }
        },
      )
      const findings = answer.kind === 'refused' ? [answer.finding] : answer.findings
      await store.transaction(async (tx) => {
        const row = await regions.lock(tx, region)
        if (row === undefined) return
        await regions.checked(tx, region, findings)
        const news = findings.filter((of) => !row.findings.some((before) => before.says === of.says))
        for (const of of news) await events.emit(tx, { subject: `region/${region}`, kind: 'region.drift', text: `${region}: ${of.says}` })
        if (findings.length === 0 && row.findings.length > 0)
          await events.emit(tx, { subject: `region/${region}`, kind: 'region.whole', text: `${region} is as it should be again` })
      })
      return findings.length
    },
  }

  // ── making and removing ──
  async function make({ provider, row, id, signal, say }: Speaker, operationId: string, step: CloudStep, settle: number): Promise<Stepped> {
    const { info } = Context.current()
    const leaseMs = leaseOf(info.heartbeatTimeoutMs)
    const holder = `${info.workflowExecution?.runId ?? ''}/${info.activityId}/${info.attempt}/${process.pid}`
    const claimed = await store.transaction((tx) => regions.claim(tx, { region: row.id, id: step.id, type: step.type, holder, operationId, leaseMs }))
    if (claimed.kind === 'held')
      throw ApplicationFailure.create({ message: `another worker acts on ${step.id}`, type: 'held', nextRetryDelay: claimed.forMs + 50 })

    const lost = new AbortController()
    const both = AbortSignal.any([signal, lost.signal])
    let resume = (info.heartbeatDetails as string | undefined) ?? claimed.resume ?? undefined
    let writing = Promise.resolve()
    // The lease's end by this process's own clock: whoever can't say that he still acts must stop before others begin.
    let until = performance.now() + leaseMs
    const renew = () => {
      writing = writing
        .then(async () => {
          const at = performance.now()
          if (await regions.renew(store.db, { region: row.id, id: step.id, fence: claimed.fence, leaseMs, resume })) until = at + leaseMs
          else lost.abort(new Fenced(step.id))
        })
        .catch(() => {})
    }
    const beat = setInterval(
      () => {
        renew()
        if (performance.now() > until) lost.abort(new Fenced(step.id))
      },
      Math.max(50, leaseMs / 4),
    )
    try {
      // After an attempt that told nothing: its create may still come to be seen.
      if (claimed.ambiguousForMs !== null && resume === undefined && step.kind === 'create')
        await appears(provider, row, id, step.id as ResourceId, settle - claimed.ambiguousForMs, both)
      const fresh = await rowOf(row.id)
      const resource = (await wantedOf(provider, fresh, id)).find((of) => of.id === step.id)
      if (resource === undefined) return { kind: 'done', woken: false }
      const known = new Map(
        (await regions.resources(store.db, row.id)).flatMap((of) =>
          of.cloud_id === null || of.state === 'gone' ? [] : [[of.id, of.cloud_id] as const],
        ),
      )
      const run: Run = {
        operation: operationId,
        signal: both,
        heartbeat: (details) => {
          if (details !== '') resume = details
          say(details)
          renew()
        },
        resume,
        psk: (tunnel) => psk(tunnel),
        cloudId: (of) => known.get(of),
      }
      const told = await provider.apply(id, fresh.config, { kind: step.kind as 'create', resource }, run)
      await writing
      return { kind: 'done', woken: await keep(row.id, step.id, claimed.fence, operationId, told, resource, step.kind) }
    } catch (error) {
      await regions.release(store.db, row.id, step.id, claimed.fence).catch(() => {})
      throw lost.signal.aborted && !signal.aborted ? ApplicationFailure.retryable(`another worker took over ${step.id}`, 'fenced') : error
    } finally {
      clearInterval(beat)
    }
  }

  /** What the cloud told is stored with the step's end; true when a hub's configuration moves by it. */
  async function keep(
    region: string,
    resource: string,
    fence: number,
    operationId: string,
    told: readonly CloudFact[],
    of: Resource,
    kind: string,
  ): Promise<boolean> {
    return await store.transaction(async (tx) => {
      const endpoints = told.flatMap((fact) =>
        fact.kind === 'cloud-endpoint' ? [{ kind: 'cloud-endpoint' as const, tunnel: fact.tunnel, address: fact.address }] : [],
      )
      const own = told.find((fact) => fact.kind === 'cloud' && fact.resource === resource)
      await regions.made(tx, region, resource, fence, own?.kind === 'cloud' ? own.cloudId : null)
      for (const fact of told)
        if (fact.kind === 'cloud' && fact.resource !== resource) await regions.observed(tx, region, [{ id: fact.resource, cloudId: fact.cloudId }])
      const changed = await facts.put(tx, endpoints)
      await events.emit(tx, {
        operationId,
        subject: `region/${region}`,
        kind: `cloud.${kind}d`,
        text: `${kind === 'create' ? 'made' : `${kind}d`} ${of.type} ${resource.slice(region.length + 1)}${own?.kind === 'cloud' ? ` (${own.cloudId})` : ''}`,
      })
      return changed.length > 0
    })
  }

  async function remove({ provider, row, id, signal, say }: Speaker, operationId: string, step: CloudStep): Promise<Stepped> {
    const cloudId = step.cloudId ?? ''
    const run: Run = {
      operation: operationId,
      signal,
      heartbeat: say,
      resume: Context.current().info.heartbeatDetails as string | undefined,
      psk,
      cloudId: () => undefined,
    }
    const deletion: Step = { kind: 'delete', id: step.id as ResourceId, type: step.type, cloudId }
    await provider.apply(id, row.config, deletion, run).catch((error: unknown) => {
      // Somebody was quicker.
      if (signal.aborted || provider.classify(error).kind !== 'missing') throw error
    })
    await store.transaction(async (tx) => {
      await regions.gone(tx, row.id, step.id, cloudId)
      await events.emit(tx, {
        operationId,
        subject: `region/${row.id}`,
        kind: 'cloud.deleted',
        text: `deleted ${step.type} ${step.id.slice(row.id.length + 1)} (${cloudId})`,
      })
    })
    return { kind: 'done', woken: false }
  }

  async function appears(
    provider: CloudProvider,
    row: Configured,
    id: NetworkId,
    resource: ResourceId,
    forMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    for (const until = Date.now() + forMs; Date.now() < until; ) {
      if ((await provider.observe(id, row.config, signal)).some((of) => of.id === resource && of.state !== 'deleting')) return
      await sleep(Math.min(500, Math.max(1, until - Date.now())), undefined, { signal })
    }
  }

  async function look(provider: CloudProvider, id: NetworkId, row: Configured, signal: AbortSignal): Promise<readonly Observed[]> {
    const seen = await provider.observe(id, row.config, signal)
    await store.transaction((tx) =>
      regions.observed(
        tx,
        row.id,
        seen.filter(({ state }) => state !== 'deleting'),
      ),
    )
    return seen
  }

  /** With the keys' fingerprints, where the provider can tell by them that a key was not applied. Never stored. */
  async function wantedOf(provider: CloudProvider, row: Configured, id: NetworkId): Promise<readonly Resource[]> {
    const wanted = provider.resources(id, row.config, new Map(row.routes))
    if (provider.keyed === undefined || deps.vault === undefined) return wanted
    const tunnels = row.config.connections.flatMap(({ members }) => members.map(({ tunnel }) => tunnel))
    return provider.keyed(wanted, new Map(await Promise.all(tunnels.map(async (tunnel) => [tunnel, await psk(tunnel)] as const))))
  }

  async function psk(tunnel: TunnelId): Promise<string> {
    const fact = (await facts.all(store.db)).find((of) => of.kind === 'psk' && of.tunnel === tunnel)
    if (fact?.kind !== 'psk' || deps.vault === undefined) throw ApplicationFailure.nonRetryable(`there is no key for ${tunnel}`, 'C104')
    return (await deps.vault.get(fact.ref)).toString()
  }

  // ── who is asked ──
  async function rowOf(region: string): Promise<Configured> {
    const row = await regions.get(store.db, region)
    if (row?.config == null) throw ApplicationFailure.nonRetryable(`${region} was never begun`, 'C082')
    return { ...row, config: row.config }
  }
  async function providerOf(row: RegionRow): Promise<CloudProvider> {
    const provider = await deps.clouds?.(row.provider)
    if (provider === undefined) throw ApplicationFailure.nonRetryable(`this controller has no way to ${row.provider}`, 'C103')
    return provider
  }
  /** A mutating step's operation must be running, and somebody's: Temporal's port would otherwise be a key to the cloud. */
  async function commanded(region: string, operationId: string): Promise<void> {
    const operation = await operations.get(store.db, operationId)
    const row = await regions.get(store.db, region)
    const command =
      operation?.kind === 'region-repair' || operation?.kind === 'region-decommission' ? await commands.ofOperation(store.db, operationId) : undefined
    const own = operation?.kind === 'region' || operation?.kind === 'return-routes' ? row?.generation != null : command?.consumed_at != null
    if (operation?.state !== 'running' || operation.subject !== `region/${region}` || !own)
      throw ApplicationFailure.nonRetryable(`nobody commanded operation ${operationId} at ${region}`, 'C082')
  }

  /** Says whose trouble it is: worth another try, or a finding for people. */
  async function speaking<T>(
    region: string,
    fn: (speaker: Speaker) => Promise<T>,
  ): Promise<T | { readonly kind: 'refused'; readonly finding: Finding }> {
    const context = Context.current()
    const row = await rowOf(region)
    const id = (await network.get(store.db))?.id as NetworkId
    const provider = await deps.clouds?.(row.provider)
    if (provider === undefined)
      return {
        kind: 'refused',
        finding: finding('C103', 'error', `this controller has no way to ${row.provider}`, 'set its credentials and start it again: docs/aws.md'),
      }
    // A silent wait would look like a dead worker.
    let said = context.info.heartbeatDetails as string | undefined
    const say = (details: string) => {
      if (details !== '') said = details
      context.heartbeat(said)
    }
    const beat = setInterval(() => context.heartbeat(said), Math.max(50, leaseOf(context.info.heartbeatTimeoutMs) / 3))
    try {
      return await fn({ provider, row, id, signal: context.cancellationSignal, say })
    } catch (error) {
      if (context.cancellationSignal.aborted) throw new CancelledFailure('cancelled')
      if (error instanceof ApplicationFailure) throw error
      const trouble = provider.classify(error)
      if (isPassing(trouble))
        throw ApplicationFailure.create({
          message: trouble.finding.says,
          type: trouble.kind,
          ...(trouble.after > 0 ? { nextRetryDelay: trouble.after } : {}),
        })
      return { kind: 'refused', finding: trouble.finding }
    } finally {
      clearInterval(beat)
    }
  }
}

/** The region as it was last begun. */
type Configured = RegionRow & { readonly config: NonNullable<RegionRow['config']> }

interface Speaker {
  readonly provider: CloudProvider
  readonly row: Configured
  readonly id: NetworkId
  readonly signal: AbortSignal
  /** Heartbeats at once, and from now on, so that another attempt can resume. */
  say(details: string): void
}

class Fenced extends Error {
  override readonly name = 'Fenced'
  constructor(resource: string) {
    super(`another worker acts on ${resource}`)
  }
}

/** A resource that is not there is a passing trouble: it was made a moment ago, or the next plan sees that it is gone. */
const isPassing = ({ kind }: Trouble): boolean => kind === 'retry' || kind === 'missing'
const leaseOf = (heartbeatTimeoutMs: number | undefined): number => heartbeatTimeoutMs ?? 15_000
const stepOf = (step: Step): CloudStep =>
  step.kind === 'delete'
    ? { kind: 'delete', id: step.id, type: step.type, after: [], cloudId: step.cloudId }
    : { kind: step.kind, id: step.resource.id, type: step.resource.type, after: step.resource.after, cloudId: null }
