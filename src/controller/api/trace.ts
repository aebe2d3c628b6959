import { createRoute, z } from '@hono/zod-openapi'
import type { Fabric } from '#src/fabric/fabric.ts'
import { readQuestion } from '#src/verify/question.ts'
import { trace } from '#src/verify/trace.ts'
import { Problem } from '../problem.ts'
import { generations } from '../store/index.ts'
import { type ApiDeps, body, FindingShape, json, missing, need, plain, problems, ProofShape, resource, security } from './context.ts'

const TraceRequest = z
  .object({
    from: z.string().min(1).max(200).openapi({ example: 'berlin/inference' }),
    to: z.string().min(1).max(200).openapi({ example: 'model-api' }),
    port: z.string().max(40).nullable().default(null).openapi({ example: 'tcp/8443' }),
    without: z
      .array(z.string().max(200))
      .max(20)
      .default([])
      .openapi({ description: 'Things taken to be broken: a hub, `site.uplink` or a tunnel.' }),
  })
  .openapi('TraceRequest')
const Traced = z.object({ generation: z.int(), trace: z.record(z.string(), z.unknown()) }).openapi('Traced')
const traceRoute = createRoute({
  method: 'post',
  path: '/trace',
  operationId: 'trace',
  tags: ['proof'],
  summary: 'Would it pass, by which line, over which path',
  security,
  middleware: [need('read')] as const,
  request: body(TraceRequest),
  responses: { 200: json(Traced, 'The way it takes, or where it ends'), ...problems },
})
const verifyRoute = createRoute({
  method: 'post',
  path: '/verify',
  operationId: 'verify',
  tags: ['proof'],
  summary: 'Prove the newest generation again, under every single failure',
  security,
  middleware: [need('read')] as const,
  responses: {
    200: json(z.object({ generation: z.int(), proof: ProofShape, findings: z.array(FindingShape) }).openapi('Verification'), 'The proof'),
    ...problems,
  },
})

export const traceApi = (deps: ApiDeps) => {
  const head = async (): Promise<{ readonly number: number; readonly fabric: Fabric }> => {
    const row = await generations.head(deps.store.db)
    if (!row) throw missing('generation', 'yet', 'nothing was applied: causeway apply')
    return row
  }
  return resource()
    .openapi(traceRoute, async (c) => {
      const question = c.req.valid('json')
      const { number, fabric } = await head()
      const read = readQuestion(fabric, question)
      if (!read.ok) throw new Problem(400, 'C034', read.says, read.instead)
      const traced = trace(fabric, read.question)
      if (traced.outcome === 'unknown') throw new Problem(400, 'C034', traced.says, traced.instead)
      const answer: z.infer<typeof Traced> = { generation: number, trace: { ...traced } }
      return c.json(answer, 200)
    })
    .openapi(verifyRoute, async (c) => {
      const { number, fabric } = await head()
      const { proof, findings } = deps.planner.verify(fabric)
      return c.json({ generation: number, proof, findings: plain(findings) }, 200)
    })
}
