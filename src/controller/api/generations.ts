import { createRoute, z } from '@hono/zod-openapi'
import { access, allocations, generations } from '../store/index.ts'
import type { GenerationHead } from '../store/generations.ts'
import { type ApiDeps, etag, json, missing, need, problems, ProofShape, resource, security, Time, time } from './context.ts'

const Generation = z
  .object({
    number: z.int(),
    base: z.int(),
    plan: z.string().nullable(),
    hash: z.string(),
    compiler: z.string(),
    siteHashes: z.record(z.string(), z.string()),
    owner: z.string().nullable().openapi({ description: 'Whose change it was; null when it went back.' }),
    proof: ProofShape,
    operation: z.string(),
    createdBy: z.string(),
    createdAt: Time,
  })
  .openapi('Generation')
/** `names`: of those who may ask, by their ids. */
const generationOf = (row: GenerationHead, names: ReadonlyMap<string, string>) => ({
  number: row.number,
  base: row.base,
  plan: row.plan_id,
  hash: row.fabric_hash,
  compiler: row.compiler,
  siteHashes: { ...row.site_hashes },
  owner: row.owner,
  proof: row.proof,
  operation: row.operation_id,
  createdBy: names.get(row.created_by) ?? row.created_by,
  createdAt: time(row.created_at),
})
/** Intent, fabric and allocations whole, as the compiler knows them; for `check` offline and for exports. */
const Content = z.record(z.string(), z.unknown())
const GenerationDetail = Generation.extend({ intent: Content, fabric: Content, allocations: z.array(Content) }).openapi('GenerationDetail')

const Number_ = z.object({
  number: z
    .union([
      z.literal('head'),
      z.coerce
        .number()
        .int()
        .min(0)
        .max(2 ** 31 - 1),
    ])
    .openapi({ param: { name: 'number', in: 'path' }, type: 'string', example: 'head' }),
})
const listRoute = createRoute({
  method: 'get',
  path: '/generations',
  operationId: 'listGenerations',
  tags: ['generations'],
  summary: 'The history of the intent',
  security,
  middleware: [need('read')] as const,
  responses: { 200: json(z.object({ generations: z.array(Generation) }), 'Newest first'), ...problems },
})
const showRoute = createRoute({
  method: 'get',
  path: '/generations/{number}',
  operationId: 'getGeneration',
  tags: ['generations'],
  summary: 'One generation, or `head`, with its intent, fabric and the allocations',
  security,
  middleware: [need('read')] as const,
  request: { params: Number_ },
  responses: { 200: json(GenerationDetail, 'The generation'), ...problems },
})
const Fragment = z
  .object({
    owner: z.string(),
    path: z.string(),
    declares: z.array(z.string()),
    since: z.int().openapi({ description: 'The generation since which it is so.' }),
    text: z.string(),
  })
  .openapi('Fragment')
const fragmentsRoute = createRoute({
  method: 'get',
  path: '/generations/{number}/fragments',
  operationId: 'listFragments',
  tags: ['generations'],
  summary: 'The files that a generation was made of, as their owners wrote them',
  security,
  middleware: [need('read')] as const,
  request: { params: Number_ },
  responses: {
    200: json(z.object({ generation: z.int(), network: z.string(), fragments: z.array(Fragment) }), 'By owner and path'),
    ...problems,
  },
})
const exportRoute = createRoute({
  method: 'get',
  path: '/generations/{number}/export/{format}',
  operationId: 'exportGeneration',
  tags: ['generations'],
  summary: 'A generation as files',
  security,
  middleware: [need('read')] as const,
  request: { params: Number_.extend({ format: z.enum(['files']).openapi({ param: { name: 'format', in: 'path' } }) }) },
  responses: {
    200: json(z.object({ files: z.array(z.object({ path: z.string(), text: z.string() })) }), 'One file a site and the fabric'),
    ...problems,
  },
})

export const generationsApi = (deps: ApiDeps) => {
  const { db } = deps.store
  const found = async (number: number | 'head') => {
    const row = number === 'head' ? await generations.head(db) : await generations.get(db, number)
    if (row) return row
    const head = (await generations.head(db))?.number ?? 0
    throw missing('generation', String(number), head === 0 ? 'nothing was applied yet: causeway apply' : `the newest is ${head}`)
  }
  const names = async () => new Map((await access.list(db)).map(({ id, name }) => [id, name]))
  return resource()
    .openapi(listRoute, async (c) => {
      const known = await names()
      return c.json({ generations: (await generations.list(db)).map((row) => generationOf(row, known)) }, 200)
    })
    .openapi(showRoute, async (c) => {
      const row = await found(c.req.valid('param').number)
      const held = await allocations.held(db)
      // Spelt out: the answer's type would otherwise spell out the whole fabric for every client.
      const detail: z.infer<typeof GenerationDetail> = {
        ...generationOf(row, await names()),
        intent: { ...row.intent },
        fabric: { ...row.fabric },
        allocations: held.map((of) => ({ ...of })),
      }
      return c.json(detail, 200, etag(row.number))
    })
    .openapi(fragmentsRoute, async (c) => {
      const row = await found(c.req.valid('param').number)
      const fragments = (await generations.fragments(db, row.number)).map((of) => ({ ...of, declares: [...of.declares] }))
      return c.json({ generation: row.number, network: row.intent.network, fragments }, 200, etag(row.number))
    })
    .openapi(exportRoute, async (c) => {
      const row = await found(c.req.valid('param').number)
      const text = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`
      const files = [
        { path: 'fabric.json', text: text(row.fabric) },
        { path: 'intent.json', text: text(row.intent) },
        ...row.fabric.sites.map((site) => ({ path: `sites/${site.id}.json`, text: text(site) })),
      ]
      return c.json({ files }, 200, etag(row.number))
    })
}
