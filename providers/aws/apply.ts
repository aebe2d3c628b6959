/**
 * One step, from wherever it was left: look by tag → make, with no retry of the SDK's → look until it is ready. A call
 * whose answer was lost is looked for long enough before another is made, since hardly any of these calls knows a token.
 */
import type { CloudFact, Observed, Resource, Run, Step } from '../cloud.ts'
import { type Difference, difference, pairTunnels, refsOf } from './difference.ts'
import { classify, CloudError, conflict, finding, isAmbiguous, isDependency, isNotFound, isTaken, trouble } from './errors.ts'
import { type Context, type Kind, unlessGone } from './kind.ts'
import { kinds } from './kinds.ts'
import { type Clock, type Timing, tooLate, until } from './poll.ts'
import { type AwsObserved, type AwsResource, type AwsType, isAwsType, type WantedProperties } from './scheme.ts'

export interface Means {
  readonly context: Context
  readonly run: Run
  readonly clock: Clock
  readonly timing: Timing
}

export async function applyStep(means: Means, step: Step): Promise<readonly CloudFact[]> {
  const type = step.kind === 'delete' ? step.type : step.resource.type
  if (!isAwsType(type)) throw conflict(finding('R009', [], `This provider knows no ${type}`, 'the plan was made by another version; plan again'))
  // The table's type is exact per key; a union of keys loses that.
  const kind = kinds[type] as unknown as Kind<AwsType>
  switch (step.kind) {
    case 'delete':
      await remove(means, kind, step.id, step.cloudId)
      return []
    case 'replace':
      await removeAll(means, kind, step.resource as AwsResource)
      return ensure(means, kind, step.resource as AwsResource)
    case 'create':
    case 'update':
      return ensure(means, kind, step.resource as AwsResource)
    default:
      return step satisfies never
  }
}

const alive = (of: readonly Observed[]): readonly Observed[] => of.filter((one) => one.state !== 'deleting')
const lowest = (of: readonly Observed[]): Observed | undefined => of.toSorted((a, b) => (a.cloudId < b.cloudId ? -1 : 1))[0]

/** What a heartbeat says, and a resumed step reads. */
const said = {
  making: (id: string) => `making ${id}`,
  made: (id: string, cloudId: string) => `made ${id} ${cloudId}`,
  deleting: (id: string, cloudId: string) => `deleting ${id} ${cloudId}`,
}

async function ensure(means: Means, kind: Kind<AwsType>, resource: AwsResource): Promise<readonly CloudFact[]> {
  const { context, run, clock, timing } = means
  const { id } = resource
  const end = clock.now() + kind.limits[0] * timing.patience
  const look = async (): Promise<readonly Observed[]> => alive(await orNothing(kind.find(context, resource)))
  let heartbeat = run.resume ?? ''
  const beat = (details = heartbeat): void => {
    heartbeat = details
    run.heartbeat(details)
  }

  let own = run.resume?.startsWith(`made ${id} `) ? run.resume.slice(said.made(id, '').length) : undefined
  let doubtful = own !== undefined || run.resume === said.making(id)
  let attempts = 0
  let there = await look()
  for (;;) {
    run.signal.throwIfAborted()
    if (there.length === 0 && doubtful) there = await lookLong(means, look, beat)
    if (there.length > 0) break
    beat(said.making(id))
    try {
      own = await kind.make(context, resource)
      beat(said.made(id, own))
      // What takes minutes is never ready at once.
      if (kind.limits[0] > 5 * 60_000) await clock.sleep(timing.poll, run.signal)
      break
    } catch (error) {
      doubtful = isAmbiguous(error) || isTaken(error)
      // "It exists already" is of ours when a look by tag then finds it, and otherwise foreign.
      if (isTaken(error) && attempts > 0) throw error
      if (doubtful ? ++attempts >= 4 : !passing(error)) throw error
      if (clock.now() >= end) throw error
      await clock.sleep(Math.min(classify(error).after, timing.poll), run.signal)
      there = await look()
    }
  }

  const adjust = createAdjuster(means, kind, resource)
  const settleEnd = clock.now() + Math.max(timing.settle, 2 * timing.poll)
  const what = `${resource.type} ${id}`
  const seen = await until({
    what,
    limit: kind.limits[0],
    clock,
    timing,
    signal: run.signal,
    beat,
    check: async () => {
      const all = there.length > 0 ? there : await look()
      there = []
      const one = all.find((candidate) => candidate.cloudId === own) ?? lowest(all)
      if (!one && clock.now() >= settleEnd) throw vanished(what)
      if (one?.state === 'failed') throw failed(what, one)
      if (one?.state !== 'ready') return undefined
      const winner = await settleDuplicates(means, kind, resource, all, one, own)
      return (await adjust(winner)) ? winner : undefined
    },
    cause: () => adjust.failed,
  })
  return factsOf(resource, seen)
}

/** Right after it was made a thing may be unknown where it is used: those failures pass. */
const passing = (error: unknown): boolean => {
  const { kind } = classify(error)
  return kind === 'retry' || isNotFound(error) || isDependency(error)
}
/** A reference that is not known yet hides nothing: what hangs on it does not exist either. */
const orNothing = async (found: Promise<readonly Observed[]>): Promise<readonly Observed[]> =>
  found.catch((error: unknown) => {
    if (isNotFound(error)) return []
    throw error
  })

async function lookLong(means: Means, look: () => Promise<readonly Observed[]>, beat: () => void): Promise<readonly Observed[]> {
  const { clock, timing, run } = means
  const end = clock.now() + timing.settle
  for (;;) {
    const found = await look()
    if (found.length > 0 || clock.now() >= end) return found
    beat()
    await clock.sleep(timing.poll, run.signal)
  }
}

/** Two workers at once may have made one each. Both choose the lower id; who made the other takes it away again. */
async function settleDuplicates(
  means: Means,
  kind: Kind<AwsType>,
  resource: AwsResource,
  all: readonly Observed[],
  one: Observed,
  own: string | undefined,
): Promise<Observed> {
  const winner = lowest(all) ?? one
  if (own === undefined || all.length < 2 || winner.cloudId === own) return own === undefined ? winner : one
  await remove(means, kind, resource.id, own)
  return winner
}

/**
 * True when nothing differs; else changes it and leaves it to a later look to tell. A report may be older than the
 * change, so the next try waits as long as that can be; what AWS does not take over in three tries it never will.
 */
interface Adjuster {
  (seen: Observed): Promise<boolean>
  failed?: unknown
}
function createAdjuster(means: Means, kind: Kind<AwsType>, resource: AwsResource): Adjuster {
  const { context, clock, timing } = means
  let tries = 0
  let next = Number.NEGATIVE_INFINITY
  const adjust: Adjuster = async (seen) => {
    const ids = new Map<string, string>()
    for (const [, to] of refsOf(resource)) ids.set(to, await context.idOf(to))
    const wanted = await withExpectedKeys(context, resource)
    const differences = difference(wanted, seen, (id) => ids.get(id) ?? '')
    if (differences.length === 0) return true
    if (clock.now() < next) return false
    if (++tries > 3) throw notApplied(resource, differences)
    try {
      await kind.change(context, resource, seen as AwsObserved, differences)
      next = clock.now() + timing.settle
    } catch (error) {
      if (!passing(error) && !isAmbiguous(error)) throw error
      adjust.failed = error
      tries--
    }
    return false
  }
  return adjust
}
function notApplied(resource: AwsResource, differences: readonly Difference[]): CloudError {
  const keys = differences.map(({ key }) => key)
  const psk = keys.find((key) => key.endsWith(' psk'))
  return conflict(
    psk === undefined
      ? finding(
          'R028',
          [resource.id],
          `AWS does not take over ${keys.join(', ')} of ${resource.id}`,
          'look at it in the console; something else may be setting it back',
        )
      : finding(
          'R025',
          [psk.slice(0, -' psk'.length)],
          `AWS reports another pre-shared key for ${psk.slice(0, -' psk'.length)} than it was given`,
          'something else may be setting it back; rotate the key',
        ),
  )
}

/** At this moment the keys are at hand: what AWS reports must have their fingerprints. */
async function withExpectedKeys(context: Context, resource: AwsResource): Promise<Resource> {
  if (resource.type !== 'vpn-connection') return resource
  const tunnels = await Promise.all(
    resource.properties.tunnels.map(async (of) => ({ ...of, psk: context.fingerprint(await context.psk(of.tunnel)) })),
  )
  return { ...resource, properties: { ...resource.properties, tunnels } }
}

function factsOf(resource: AwsResource, seen: Observed): readonly CloudFact[] {
  const facts: CloudFact[] = [{ kind: 'cloud', resource: resource.id, cloudId: seen.cloudId }]
  if (resource.type !== 'vpn-connection') return facts
  const { tunnels } = resource.properties as WantedProperties<'vpn-connection'>
  const reported = (seen as AwsObserved<'vpn-connection'>).properties.tunnels ?? []
  return [
    ...facts,
    ...pairTunnels(tunnels, reported).flatMap(([want, there]): readonly CloudFact[] =>
      there ? [{ kind: 'cloud-endpoint', tunnel: want.tunnel, address: there.outside }] : [],
    ),
  ]
}

async function removeAll(means: Means, kind: Kind<AwsType>, resource: AwsResource): Promise<void> {
  const made = means.run.resume?.startsWith(`made ${resource.id} `) || means.run.resume === said.making(resource.id)
  // What is there in a resumed replacement is the new one already.
  if (made) return
  for (const old of alive(await orNothing(kind.find(means.context, resource)))) await remove(means, kind, resource.id, old.cloudId)
}

async function remove(means: Means, kind: Kind<AwsType>, id: string, cloudId: string): Promise<void> {
  const { context, run, clock, timing } = means
  const beat = (): void => run.heartbeat(said.deleting(id, cloudId))
  const end = clock.now() + kind.limits[1] * timing.patience
  let missing = 0
  let last: unknown
  for (;;) {
    run.signal.throwIfAborted()
    beat()
    const left = await kind.left(context, cloudId)
    // Asked twice, because what is very new may not be listed yet.
    if (!left && (++missing > 1 || last !== undefined)) return
    if (left) {
      missing = 0
      if (!left.ours)
        throw conflict(finding('R022', [id], `${cloudId} does not carry this network's tag`, "it is not touched; delete it yourself if it's yours"))
      if (left.state !== 'deleting') {
        try {
          await kind.remove(context, cloudId).catch(unlessGone)
          const first = last !== 'asked'
          last = 'asked'
          // Most go at once.
          if (first) continue
        } catch (error) {
          if (!passing(error) && !isAmbiguous(error)) throw error
          last = error
        }
      } else last ??= 'asked'
    }
    if (clock.now() >= end) {
      const why = last instanceof Error ? classify(last) : undefined
      throw why ? new CloudError(why) : tooLate(`The deletion of ${id}`, kind.limits[1])
    }
    await clock.sleep(timing.poll, run.signal)
  }
}

const vanished = (what: string): CloudError =>
  new CloudError(
    trouble(
      'retry',
      finding('R027', [what], `${what} was made but is not described any more`, 'the operation looks again; was it deleted by hand?'),
      30_000,
    ),
  )
const failed = (what: string, seen: Observed): CloudError =>
  conflict(
    finding('R021', [what], `AWS reports ${what} (${seen.cloudId}) as failed`, 'plan again, it is then replaced; the console says why it failed'),
  )
