/** From files to a stored plan: parse, compile with what is held, verify, plan. Touches nothing but the plan's own row. */
import { randomBytes } from 'node:crypto'
import type { Allocation, Fabric, Finding, Origin, Origins } from '#src/fabric/fabric.ts'
import { contentHash } from '#src/fabric/hash.ts'
import type { Owner, Thing } from '#src/fabric/owners.ts'
import { apiOwner, type Fragment, handedOver, identityOf, ownersOf, ownFirst, renderPulled, standingOf } from '#src/intent/fragments.ts'
import type { Intent } from '#src/intent/intent.ts'
import { foreignChanges, type Ownership } from '#src/plan/owners.ts'
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
  parseIntent(files: readonly IntentFile[]): {
    readonly intent: Intent | null
    readonly origins: Origins
    readonly declared: readonly { readonly thing: Thing; readonly file: string }[]
    readonly partial: boolean
    readonly findings: readonly Finding[]
  }
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
export interface Proposed extends Ownership {
  readonly id: string
  readonly base: number
  readonly network: string | null
  readonly verdict: 'passed' | 'refused'
  readonly findings: readonly LocatedFinding[]
  readonly plan: Plan | null
  readonly proof: Proof | null
}

export interface Proposal {
  /** All that its owner says; what it said before and no longer does is gone. */
  readonly files: readonly IntentFile[]
  /** What it takes over from other owners. */
  readonly take?: readonly Thing[]
  /** The generation that the author looked at; the newest if not given. */
  readonly base?: number
  readonly actor: string
}

/** Where a plan starts. */
interface Base {
  readonly newest: number
  readonly head: Awaited<ReturnType<typeof generations.head>>
  readonly held: readonly Allocation[]
  readonly named: string | undefined
  readonly standing: readonly Fragment[]
}
async function baseOf(store: Store): Promise<Base> {
  const [named, head, held] = await Promise.all([network.get(store.db), generations.head(store.db), allocations.held(store.db)])
  const newest = head?.number ?? 0
  return { newest, head, held, named: named?.id, standing: await generations.fragments(store.db, newest) }
}

/** Throws Problem C020 when `base` is not the newest generation, C160 to C162 for what is another's. */
export async function propose(store: Store, planner: Planner, { files, take = [], base, actor }: Proposal): Promise<Proposed> {
  const now = await baseOf(store)
  if (base !== undefined && base !== now.newest) throw stale(base, now.newest)
  const identity = identityOf(files)
  // Of another network, or of none that can be read: it is refused by what it says itself.
  const owner = identity && (now.named === undefined || identity.network === now.named) ? identity.owner : null
  const written = writtenBy(planner, now, { owner, files, take })
  return await proposeIntent(store, planner, now, { ...written, owner: identity?.owner ?? null, network: identity?.network ?? null, actor })
}

export interface RegionProposal {
  readonly region: string
  /** The text of its file; null takes it away. */
  readonly text: string | null
  readonly take: boolean
  /** Of the access token: it says whose the region is. */
  readonly actor: { readonly id: string; readonly name: string }
}
/** One region as a program says it over the API, or no longer says it; its other regions stay. */
export async function proposeRegion(store: Store, planner: Planner, { region, text, take, actor }: RegionProposal): Promise<Proposed> {
  const now = await baseOf(store)
  const owner = apiOwner(actor.name)
  const thing = `region/${region}`
  if (text === null) {
    const holder = ownersOf(now.standing).get(thing)
    if (holder === undefined) throw new Problem(404, 'C007', `nobody says ${thing}`, 'causeway region list has those there are')
    if (holder !== owner)
      throw foreign([
        {
          code: 'I150',
          severity: 'error',
          at: [thing],
          says: `region "${region}" belongs to ${holder}`,
          instead: `${holder} takes it out`,
          witness: [],
        },
      ])
  }
  const mine = now.standing.filter((fragment) => fragment.owner === owner && !fragment.declares.includes(thing))
  const files = [...mine, ...(text === null ? [] : [{ path: `${region}.yaml`, text }])]
  const written = writtenBy(planner, now, { owner, files, take: take ? [thing] : [] })
  return await proposeIntent(store, planner, now, { ...written, owner, network: now.named ?? null, actor: actor.id })
}

/** The intent of an earlier generation, with the allocations of now: going back is a change like any other. */
export async function proposeAgain(
  store: Store,
  planner: Planner,
  { number, actor }: { readonly number: number; readonly actor: string },
): Promise<Proposed> {
  const [now, good] = await Promise.all([baseOf(store), generations.get(store.db, number)])
  if (!good)
    throw new Problem(
      404,
      'C007',
      `there is no generation ${number}`,
      now.head ? `the newest is ${now.head.number}` : 'nothing was applied yet: causeway apply',
    )
  return await proposeIntent(store, planner, now, {
    intent: good.intent,
    origins: new Map(),
    findings: [],
    fragments: await generations.fragments(store.db, number),
    sent: good.intent,
    owner: null,
    network: good.intent.network,
    actor,
  })
}

interface Written {
  readonly intent: Intent | null
  readonly origins: Origins
  readonly findings: readonly Finding[]
  readonly fragments: readonly Fragment[]
  /** What is hashed when it makes no intent, so that the record still says what was refused. */
  readonly sent: unknown
}
/** What `owner` sends, together with what the others said last; null: alone. */
function writtenBy(
  planner: Planner,
  { standing, newest }: Base,
  { owner, files, take }: { readonly owner: Owner | null; readonly files: readonly IntentFile[]; readonly take: readonly Thing[] },
): Written {
  const { others, torn } = owner === null ? { others: [], torn: [] } : standingOf(standing, owner, take)
  for (const { fragment, missing } of torn)
    throw new Problem(
      409,
      'C161',
      `${fragment.path} of ${fragment.owner} declares ${missing.join(', ')} as well`,
      `take that over too, or have ${fragment.owner} move it to a file of its own first`,
    )
  const { intent, origins, declared, partial, findings } = planner.parseIntent([...files, ...others.map(renderPulled)])
  const conflicts = findings.filter(({ code }) => code === 'I150')
  if (conflicts.length > 0)
    throw foreign(conflicts.map((finding) => ({ ...finding, at: finding.at.map((key) => placeText(origins.get(key)) ?? key) })))
  const things = Map.groupBy(declared, ({ file }) => file)
  const mine = files.flatMap(({ path, text }): readonly Fragment[] => {
    const declares = (things.get(path) ?? []).map(({ thing }) => thing).sort()
    if (declares.length === 0 || owner === null) return []
    const before = standing.find((fragment) => fragment.owner === owner && fragment.path === path && fragment.text === text)
    return [{ owner, path, text, declares, since: before?.since ?? newest + 1 }]
  })
  const absent = take.filter((thing) => !mine.some(({ declares }) => declares.includes(thing)))
  if (absent.length > 0 && !partial)
    throw new Problem(
      409,
      'C162',
      `no file of ${owner} declares ${absent.join(', ')}`,
      'what is taken over is declared by whoever takes it: move its file out of pulled/ first',
    )
  return { intent, origins, findings, fragments: [...others, ...mine].sort(byOwnerAndPath), sent: files.map(({ path, text }) => ({ path, text })) }
}
const byOwnerAndPath = (a: Fragment, b: Fragment): number =>
  a.owner !== b.owner ? (a.owner < b.owner ? -1 : 1) : a.path === b.path ? 0 : a.path < b.path ? -1 : 1
const placeText = (origin: Origin | undefined): string | undefined => origin && `${origin.file}:${origin.line}:${origin.column}`
const foreign = (findings: readonly Finding[]): Problem => {
  const [first, ...more] = findings
  const says = `${first!.says}${more.length > 0 ? `, and ${more.length} more` : ''}`
  return new Problem(409, 'C160', says, first!.instead, { findings })
}

interface Read extends Written {
  readonly owner: Owner | null
  /** As written; null: it can't be read. */
  readonly network: string | null
  readonly actor: string
}
async function proposeIntent(
  store: Store,
  planner: Planner,
  { newest, head, held, named, standing }: Base,
  { intent, origins, findings: parsed, fragments, sent, owner, network: written, actor }: Read,
): Promise<Proposed> {
  const found: Finding[] = [...parsed]
  const stop = () => found.some(({ severity }) => severity === 'error')
  const claimed = written ?? intent?.network
  if (claimed !== undefined && named !== undefined && claimed !== named) {
    found.push({
      code: 'C023',
      severity: 'error',
      at: ['network'],
      says: `this controller is for network "${named}", not "${claimed}"`,
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
  const handed = verdict === 'passed' ? handedOver(standing, fragments) : []
  const id = `p-${randomBytes(4).toString('hex')}`
  await plans.insert(store.db, {
    id,
    base: newest,
    intent,
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
    owner,
    fragments: verdict === 'passed' ? fragments : [],
    handed,
  })
  const others = [...new Set(fragments.map((fragment) => fragment.owner))].filter((one) => owner !== null && one !== owner)
  return {
    id,
    base: newest,
    network: intent?.network ?? null,
    verdict,
    findings: found.map((finding) => locate(finding, origins)),
    plan,
    proof: verified?.proof ?? null,
    owner,
    others,
    owners: plan && owner !== null ? foreignChanges(plan, owner, ownersOf(fragments)) : {},
    handed,
    rewritten: verdict === 'passed' ? rewrittenOf(standing, fragments) : 0,
  }
}

function rewrittenOf(before: readonly Fragment[], after: readonly Fragment[]): number {
  const keys = (of: readonly Fragment[]) => new Map(of.map(({ owner, path, text }) => [`${owner}/${path}`, text]))
  const [old, now] = [keys(before), keys(after)]
  return [...new Set([...old.keys(), ...now.keys()])].filter((key) => old.get(key) !== now.get(key)).length
}

export const locate = (finding: Finding, origins: Origins): LocatedFinding => ({
  ...finding,
  where: ownFirst(finding.at.flatMap((key) => origins.get(key) ?? []))[0] ?? null,
})

export const stale = (base: number, head: number): Problem =>
  new Problem(409, 'C020', `the plan is made on generation ${base}, but the network is at generation ${head}`, 'make it again: causeway plan')
