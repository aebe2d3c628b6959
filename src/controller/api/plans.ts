import { createRoute, z } from '@hono/zod-openapi'
import { isPulled } from '#src/intent/fragments.ts'
import { type Proposed, propose, proposeAgain, stale } from '../generations.ts'
import { Problem } from '../problem.ts'
import { network, plans } from '../store/index.ts'
import type { PlanRow } from '../store/plans.ts'
import {
  type ApiDeps,
  body,
  conflicts,
  etag,
  FindingShape,
  IdempotencyHeader,
  json,
  limit,
  matchGeneration,
  missing,
  need,
  plain,
  problems,
  ProofShape,
  resource,
  security,
  Time,
  time,
} from './context.ts'
import { mutate } from './mutate.ts'
import { Accepted, accepted } from './operations.ts'

const Where = z.object({ file: z.string(), line: z.int(), column: z.int(), length: z.int() })
/** `Plan` of src/plan/plan.ts; what clients need not know is passed through. */
const Changes = z
  .looseObject({
    changes: z.array(
      z.looseObject({
        kind: z.enum(['add', 'change', 'remove']),
        site: z.string(),
        text: z.string(),
        class: z.enum(['additive', 'neutral', 'disruptive']),
      }),
    ),
    class: z.enum(['additive', 'neutral', 'disruptive']),
    steps: z.array(z.object({ order: z.int(), action: z.enum(['configure', 'remove']), site: z.string() })),
    blastRadius: z.object({ sites: z.array(z.string()), of: z.int() }),
    reachability: z.looseObject({}),
    costPerHour: z.number(),
    expectedSeconds: z.number(),
    risk: z.enum(['none', 'low', 'medium', 'high']),
  })
  .openapi('Changes')
const Owner = z.string().openapi({ description: 'folder:NAME, or api:NAME of an access token.', example: 'folder:acme' })
const Handover = z.object({ thing: z.string().openapi({ example: 'region/aws-eu-west-1' }), from: Owner, to: Owner }).openapi('Handover')
export const Plan = z
  .object({
    id: z.string(),
    base: z.int(),
    network: z.string().nullable(),
    verdict: z.enum(['passed', 'refused']),
    findings: z.array(FindingShape.extend({ where: Where.nullable() }).openapi('LocatedFinding')),
    plan: Changes.nullable(),
    proof: ProofShape.nullable(),
    owner: Owner.nullable().openapi({ description: 'Whose fragments it changes; null when it goes back to what all owners said.' }),
    others: z.array(Owner).openapi({ description: 'Whose fragments stay as they are.' }),
    owners: z.record(z.string(), Owner).openapi({ description: 'Of what changes, such as site/frankfurt, what is not its owner’s.' }),
    handed: z.array(Handover).openapi({ description: 'What goes from one owner to another.' }),
    rewritten: z.int().openapi({ description: 'Files recorded otherwise than they were, though the network may stay the same.' }),
  })
  .openapi('Plan')
const StoredPlan = Plan.omit({ findings: true, others: true, owners: true, rewritten: true })
  .extend({ findings: z.array(FindingShape), createdAt: Time, createdBy: z.string(), operation: z.string().nullable() })
  .openapi('StoredPlan')
const intentLimit = 4 << 20
const PlanRequest = z
  .object({
    files: z
      .array(
        z.object({
          path: z
            .string()
            .min(1)
            .max(500)
            .refine((path) => !isPulled(path), 'what is below pulled/ belongs to others and is not sent'),
          text: z.string(),
        }),
      )
      .min(1)
      .max(5000)
      .openapi({ description: 'All of the folder: what its owner said before and no longer says is gone.' }),
    take: z
      .array(z.string().regex(/^(network|site|region|peer)\/[a-z0-9-]+$/, 'write it like region/aws-eu-west-1'))
      .max(100)
      .optional()
      .openapi({ description: 'What is taken over from other owners; the files declare it.', example: ['region/aws-eu-west-1'] }),
    base: z.int().min(0).optional().openapi({ description: 'The generation that the author looked at; refused when it is not the newest.' }),
  })
  .openapi('PlanRequest')

const PlanParams = z.object({
  id: z
    .string()
    .max(80)
    .openapi({ param: { name: 'id', in: 'path' }, example: 'p-7c2f01ab' }),
})
const createPlan = createRoute({
  method: 'post',
  path: '/plans',
  operationId: 'createPlan',
  tags: ['plans'],
  summary: 'Compile, verify and plan; touches nothing',
  security,
  middleware: [limit(intentLimit), need('plan')] as const,
  request: { headers: IdempotencyHeader.pick({ 'if-match': true }), ...body(PlanRequest) },
  responses: { 201: json(Plan, 'The plan, passed or refused with its findings'), ...problems, ...conflicts },
})
const showPlan = createRoute({
  method: 'get',
  path: '/plans/{id}',
  operationId: 'getPlan',
  tags: ['plans'],
  summary: 'A plan as it was proven',
  security,
  middleware: [need('read')] as const,
  request: { params: PlanParams },
  responses: { 200: json(StoredPlan, 'The plan'), ...problems },
})
const againPlan = createRoute({
  method: 'post',
  path: '/generations/{number}/plan',
  operationId: 'planRollback',
  tags: ['plans'],
  summary: 'A plan back to the intent of an earlier generation; changes nothing',
  security,
  middleware: [need('plan')] as const,
  request: {
    params: z.object({
      number: z.coerce
        .number()
        .int()
        .min(1)
        .openapi({ param: { name: 'number', in: 'path' } }),
    }),
  },
  responses: { 201: json(Plan, 'The plan, proven or refused'), ...problems, ...conflicts },
})
const applyPlan = createRoute({
  method: 'post',
  path: '/plans/{id}/apply',
  operationId: 'applyPlan',
  tags: ['plans'],
  summary: 'Run exactly this plan',
  security,
  middleware: [need('operate')] as const,
  request: {
    params: PlanParams,
    headers: IdempotencyHeader,
    query: z.object({
      now: z
        .enum(['true', 'false'])
        .optional()
        .openapi({ param: { name: 'now', in: 'query' }, description: 'true: waits for no maintenance window.' }),
    }),
  },
  responses: { 202: accepted('It goes on as an operation'), ...problems, ...conflicts },
})

const storedOf = (row: PlanRow) => ({
  id: row.id,
  base: row.base,
  network: row.intent?.network ?? null,
  verdict: row.verdict,
  findings: plain(row.findings),
  plan: row.plan === null ? null : Changes.parse(row.plan),
  proof: row.proof,
  owner: row.owner,
  handed: [...row.handed],
  createdAt: time(row.createdAt),
  createdBy: row.createdBy,
  operation: row.appliedByOperation,
})

export const proposedView = (proposed: Proposed): z.infer<typeof Plan> => ({
  ...proposed,
  plan: proposed.plan && Changes.parse(proposed.plan),
  findings: proposed.findings.map((finding) => ({ ...plain([finding])[0]!, where: finding.where })),
  others: [...proposed.others],
  owners: { ...proposed.owners },
  handed: [...proposed.handed],
})

export const plansApi = (deps: ApiDeps) => {
  const { db } = deps.store
  const found = async (id: string): Promise<PlanRow> => {
    const row = await plans.get(db, id)
    if (!row) throw missing('plan', id, 'make one: causeway plan')
    return row
  }
  return resource()
    .openapi(createPlan, async (c) => {
      const { files, take = [], base } = c.req.valid('json')
      matchGeneration(c, (await network.get(db))?.head ?? 0)
      const proposed = await propose(deps.store, deps.planner, { files, take, actor: c.get('actor').id, ...(base === undefined ? {} : { base }) })
      return c.json(proposedView(proposed), 201, { location: `/v1/plans/${proposed.id}`, ...etag(proposed.base) })
    })
    .openapi(showPlan, async (c) => c.json(storedOf(await found(c.req.valid('param').id)), 200))
    .openapi(againPlan, async (c) => {
      const proposed = await proposeAgain(deps.store, deps.planner, { number: c.req.valid('param').number, actor: c.get('actor').id })
      return c.json(proposedView(proposed), 201, { location: `/v1/plans/${proposed.id}` })
    })
    .openapi(applyPlan, async (c) => {
      const plan = await found(c.req.valid('param').id)
      const { intent } = plan
      if (plan.verdict === 'refused' || !intent)
        throw new Problem(
          409,
          'C021',
          `plan ${plan.id} was refused: ${plan.findings.find(({ severity }) => severity === 'error')?.says ?? ''}`,
          'mend what the findings name, then plan again',
          { findings: plan.findings },
        )
      const done = await mutate(c, deps, {
        kind: 'apply',
        subject: `network/${intent.network}`,
        args: {
          planId: plan.id,
          ...(plan.handed.length > 0 ? { handed: plan.handed } : {}),
          ...(c.req.valid('query').now === 'true' ? { now: true } : {}),
        },
        within: async (tx, { operationId }) => {
          const named = await network.name(tx, intent.network)
          if (named !== intent.network)
            throw new Problem(
              409,
              'C023',
              `this controller is for network "${named}", not "${intent.network}"`,
              'use another controller: causeway serve --data DIR',
            )
          const now = await network.get(tx)
          matchGeneration(c, now?.head ?? 0)
          if (now?.frozen)
            throw new Problem(409, 'C025', 'the network is frozen since it was restored', 'look at the difference, then: causeway restore --unfreeze')
          // Before the base: a plan that was applied is stale as well, and this is the more telling of the two.
          if (!(await plans.take(tx, plan.id, operationId)))
            throw new Problem(
              409,
              'C022',
              `plan ${plan.id} was applied by operation ${(await plans.get(tx, plan.id))?.appliedByOperation}`,
              'watch it: causeway rollout watch; or plan again',
            )
          if (now?.head !== plan.base) throw stale(plan.base, now?.head ?? 0)
        },
        send: async (ids) => {
          await deps.named(intent.network)
          await deps.commands.apply(intent.network, { ...ids, planId: plan.id })
        },
      })
      return c.json(Accepted.parse({ operation: done.operationId }), 202, { location: `/v1/operations/${done.operationId}` })
    })
}
