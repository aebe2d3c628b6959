/** From files to a stored plan: parse, compile with what is held, verify, plan. Touches nothing but the plan's own row. */
import { randomBytes } from 'node:crypto'
import type { Allocation, Fabric, Finding, Origin, Origins } from '#src/fabric/fabric.ts'
import { contentHash } from '#src/fabric/hash.ts'
import type { Intent } from '#src/intent/intent.ts'
import type { Plan } from '#src/plan/plan.ts'
import { Problem } from './problem.ts'
import { allocations, generations, network, plans, type Proof, type Store } from './store/index.ts'

export interface IntentFile {
  readonly path: string
  readonly text: string
}
interface Verified {
  readonly findings: readonly Finding[]
  readonly proof: Proof
}
/** The pure part, from the libraries. */
export interface Planner {
  parseIntent(files: readonly IntentFile[]): { readonly intent: Intent | null; readonly origins: Origins; readonly findings: readonly Finding[] }
  compile(
    intent: Intent,
    held: readonly Allocation[],
  ): { readonly fabric: Fabric | null; readonly claims: readonly Allocation[]; readonly findings: readonly Finding[] }
  verify(fabric: Fabric): Verified
  verifyTransition(before: Fabric, after: Fabric): Verified
  plan(before: Fabric | null, after: Fabric): Plan
  readonly compilerVersion: string
}

/** A finding and where it stands in the files that were sent. */
export type LocatedFinding = Finding & { readonly where: Origin | null }
export interface Proposed {
  readonly id: string
  readonly base: number
  readonly network: string | null
  readonly verdict: 'passed' | 'refused'
  readonly findings: readonly LocatedFinding[]
  readonly plan: Plan | null
  readonly proof: Proof | null
}

export interface Proposal {
  readonly files: readonly IntentFile[]
  /** The generation that the author looked at; the newest if not given. */
  readonly base?: number
  readonly actor: string
}

/** Throws Problem C020 when `base` is not the newest generation. */
export async function propose(store: Store, planner: Planner, { files, base, actor }: Proposal): Promise<Proposed> {
  const [named, head, held] = await Promise.all([network.get(store.db), generations.head(store.db), allocations.held(store.db)])
  const newest = head?.number ?? 0
  if (base !== undefined && base !== newest) throw stale(base, newest)
  return await proposeIntent(store, planner, { ...planner.parseIntent(files), sent: files, newest, head, held, named: named?.id, actor })
}

/** The intent of an earlier generation, with the allocations of now: going back is a change like any other. */
export async function proposeAgain(
  store: Store,
  planner: Planner,
  { number, actor }: { readonly number: number; readonly actor: string },
): Promise<Proposed> {
  const [named, head, held, good] = await Promise.all([
    network.get(store.db),
    generations.head(store.db),
    allocations.held(store.db),
    generations.get(store.db, number),
  ])
  if (!good)
    throw new Problem(
      404,
      'C007',
      `there is no generation ${number}`,
      head ? `the newest is ${head.number}` : 'nothing was applied yet: causeway apply',
    )
  return await proposeIntent(store, planner, {
    intent: good.intent,
    origins: new Map(),
    findings: [],
    sent: good.intent,
    newest: head?.number ?? 0,
    head,
    held,
    named: named?.id,
    actor,
  })
}

interface Read {
  readonly intent: Intent | null
  readonly origins: Origins
  readonly findings: readonly Finding[]
  readonly sent: unknown
  readonly newest: number
  readonly head: Awaited<ReturnType<typeof generations.head>>
  readonly held: readonly Allocation[]
  readonly named: string | undefined
  readonly actor: string
}
async function proposeIntent(
  store: Store,
  planner: Planner,
  { intent, origins, findings: parsed, sent, newest, head, held, named, actor }: Read,
): Promise<Proposed> {
  const found: Finding[] = [...parsed]
  const stop = () => found.some(({ severity }) => severity === 'error')
  if (intent && named && intent.network !== named) {
    found.push({
      code: 'C023',
      severity: 'error',
      at: ['network'],
      says: `this controller is for network "${named}", not "${intent.network}"`,
      instead: `write network: ${named}, or start another controller with its own --data folder`,
      witness: [],
    })
  }
  const compiled = intent && !stop() ? planner.compile(intent, held) : null
  found.push(...(compiled?.findings ?? []))
  const fabric = stop() ? null : (compiled?.fabric ?? null)
  const verified = fabric ? planner.verify(fabric) : null
  found.push(...(verified?.findings ?? []))
  if (fabric && head && !stop()) found.push(...planner.verifyTransition(head.fabric, fabric).findings)
  const verdict = fabric && !stop() ? 'passed' : 'refused'
  const plan = fabric && verdict === 'passed' ? planner.plan(head?.fabric ?? null, fabric) : null
  const id = `p-${randomBytes(4).toString('hex')}`
  await plans.insert(store.db, {
    id,
    base: newest,
    intent,
    // Of the files when they make no intent, so that the record still says what was refused.
    intentHash: contentHash(intent ?? sent),
    plan,
    verdict,
    findings: found,
    fabric,
    fabricHash: fabric && contentHash(fabric),
    claims: compiled?.claims ?? [],
    proof: verified?.proof ?? null,
    compiler: planner.compilerVersion,
    createdBy: actor,
  })
  return {
    id,
    base: newest,
    network: intent?.network ?? null,
    verdict,
    findings: found.map((finding) => locate(finding, origins)),
    plan,
    proof: verified?.proof ?? null,
  }
}

export const locate = (finding: Finding, origins: Origins): LocatedFinding => ({
  ...finding,
  where: finding.at.map((key) => origins.get(key)).find((origin) => origin !== undefined) ?? null,
})

export const stale = (base: number, head: number): Problem =>
  new Problem(409, 'C020', `the plan is made on generation ${base}, but the network is at generation ${head}`, 'make it again: causeway plan')
