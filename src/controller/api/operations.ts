import { createRoute, z } from '@hono/zod-openapi'
import { streamSSE } from 'hono/streaming'
import { events, operations, type OperationState } from '../store/index.ts'
import type { EventRow } from '../store/events.ts'
import type { OperationRow } from '../store/operations.ts'
import type { RolloutVerb } from '#workflows/contract.ts'
import { Problem } from '../problem.ts'
import { refusalOf } from '../rollouts.ts'
import {
  type ApiDeps,
  conflicts,
  FindingShape,
  IdempotencyHeader,
  json,
  missing,
  need,
  plain,
  problems,
  resource,
  security,
  Time,
  time,
  timeOrNull,
} from './context.ts'
import { mutate } from './mutate.ts'

const states = ['running', 'succeeded', 'failed', 'rolled-back', 'cancelled'] as const satisfies readonly OperationState[]
export const Accepted = z.object({ operation: z.string() }).openapi('Accepted')
export const accepted = (description: string) => ({
  ...json(Accepted, description),
  headers: z.object({ location: z.string().openapi({ example: '/v1/operations/op-0f3a9c21b7de' }) }),
})

export const PhaseShape = z
  .object({
    is: z.enum(['paused', 'waiting', 'released', 'aborting', 'rolling-back']).openapi({
      description: 'waiting: for a maintenance window. released: it goes on outside of windows, for somebody said so.',
    }),
    by: z.string().nullable().openapi({ description: 'Who asked for it, by name; null of a way back after a failed wave.' }),
    since: Time,
    until: Time.nullable().openapi({ description: 'When the window opens for which it waits.' }),
  })
  .openapi('OperationPhase')
export const phaseOf = ({ phase, phase_by, phase_since, phase_until }: OperationRow) =>
  phase && phase_since && { is: phase, by: phase_by, since: time(phase_since), until: timeOrNull(phase_until) }
const Operation = z
  .object({
    id: z.string(),
    kind: z.string(),
    subject: z.string(),
    state: z.enum(states),
    startedAt: Time,
    endedAt: Time.nullable(),
    /** Of a rollout that does not simply go forward: it holds before its next wave, or goes back. */
    phase: PhaseShape.nullable(),
    findings: z.array(FindingShape),
    result: z.record(z.string(), z.unknown()).nullable(),
  })
  .openapi('Operation')
export const Event = z
  .object({
    seq: z.int(),
    at: Time,
    operation: z.string().nullable(),
    subject: z.string(),
    kind: z.string(),
    text: z.string(),
    data: z.record(z.string(), z.unknown()),
  })
  .openapi('Event')

const record = (value: unknown): Record<string, unknown> | null =>
  value === null || value === undefined ? null : typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : { value }
const operationOf = (row: OperationRow) => ({
  id: row.id,
  kind: row.kind,
  subject: row.subject,
  state: row.state,
  startedAt: time(row.started_at),
  endedAt: timeOrNull(row.ended_at),
  phase: phaseOf(row),
  findings: plain(row.findings),
  result: record(row.result),
})
export const eventOf = (row: EventRow) => ({
  seq: row.seq,
  at: time(row.at),
  operation: row.operation_id,
  subject: row.subject,
  kind: row.kind,
  text: row.text,
  data: record(row.data) ?? {},
})

const OperationParams = z.object({
  id: z
    .string()
    .max(80)
    .openapi({ param: { name: 'id', in: 'path' }, example: 'op-0f3a9c21b7de' }),
})
const listRoute = createRoute({
  method: 'get',
  path: '/operations',
  operationId: 'listOperations',
  tags: ['operations'],
  summary: 'The newest 50',
  security,
  middleware: [need('read')] as const,
  request: { query: z.object({ state: z.enum(states).optional() }) },
  responses: { 200: json(z.object({ operations: z.array(Operation) }), 'Newest first'), ...problems },
})
const showRoute = createRoute({
  method: 'get',
  path: '/operations/{id}',
  operationId: 'getOperation',
  tags: ['operations'],
  summary: 'How far it is',
  security,
  middleware: [need('read')] as const,
  request: { params: OperationParams },
  responses: { 200: json(Operation, 'The operation'), ...problems },
})
const verbs = ['pause', 'resume', 'abort'] as const satisfies readonly RolloutVerb[]
const steerRoute = createRoute({
  method: 'post',
  path: '/operations/{id}/{verb}',
  operationId: 'steerRollout',
  tags: ['operations'],
  summary: 'Hold a rollout before its next wave, let it go on, or have it go back',
  security,
  middleware: [need('operate')] as const,
  request: {
    params: OperationParams.extend({ verb: z.enum(verbs).openapi({ param: { name: 'verb', in: 'path' }, example: 'pause' }) }),
    headers: IdempotencyHeader,
  },
  responses: { 202: accepted('A wave that moves is let finish: no confirmed commit is cut short'), ...problems, ...conflicts },
})
const followRoute = createRoute({
  method: 'get',
  path: '/operations/{id}/events',
  operationId: 'followOperation',
  tags: ['operations'],
  summary: 'Its events as they happen; resumes after Last-Event-ID',
  security,
  middleware: [need('read')] as const,
  request: { params: OperationParams, query: z.object({ after: z.coerce.number().int().min(0).optional() }) },
  responses: {
    200: {
      description: 'Server-sent events named `event` (an Event) and last `end` (the Operation)',
      content: { 'text/event-stream': { schema: z.string() } },
    },
    ...problems,
  },
})
const eventsRoute = createRoute({
  method: 'get',
  path: '/events',
  operationId: 'listEvents',
  tags: ['operations'],
  summary: 'What happened after a number, oldest first',
  security,
  middleware: [need('read')] as const,
  request: {
    query: z.object({
      after: z.coerce.number().int().min(0).default(0),
      subject: z.string().optional(),
      limit: z.coerce.number().int().min(1).max(1000).default(200),
    }),
  },
  responses: { 200: json(z.object({ events: z.array(Event), last: z.int() }), '`last` is the next `after`'), ...problems },
})

/** A comment line this often keeps proxies from closing a quiet stream. */
const keepAliveMs = 15_000

export const operationsApi = (deps: ApiDeps) => {
  const { db } = deps.store
  const there = (row: OperationRow | undefined, id: string): OperationRow => {
    if (!row) throw missing('operation', id, 'causeway rollout list')
    return row
  }
  const found = async (id: string): Promise<OperationRow> => there(await operations.get(db, id), id)
  return resource()
    .openapi(listRoute, async (c) => c.json({ operations: (await operations.list(db, c.req.valid('query'))).map(operationOf) }, 200))
    .openapi(showRoute, async (c) => c.json(operationOf(await found(c.req.valid('param').id)), 200))
    .openapi(steerRoute, async (c) => {
      const { id, verb } = c.req.valid('param')
      const { subject } = await found(id)
      const done = await mutate(c, deps, {
        kind: `rollout-${verb}`,
        subject,
        args: { rollout: id },
        within: async (tx) => {
          const refusal = refusalOf(verb, there(await operations.lock(tx, id), id))
          if (refusal) throw new Problem(409, refusal.code, refusal.says, refusal.instead)
        },
        send: (ids, { rollout }) => deps.commands.rollout(subject.replace(/^network\//, ''), { ...ids, rollout, verb }),
      })
      return c.json(Accepted.parse({ operation: done.operationId }), 202, { location: `/v1/operations/${done.operationId}` })
    })
    .openapi(followRoute, async (c) => {
      const { id } = await found(c.req.valid('param').id)
      const from = c.req.header('last-event-id') ?? String(c.req.valid('query').after ?? 0)
      let seq = /^\d{1,15}$/.test(from) ? Number(from) : 0
      return streamSSE(c, async (stream) => {
        let wake = () => {}
        let woken = true
        const stir = () => {
          woken = true
          wake()
        }
        const stops = [
          deps.notifications.on('events', (payload) => {
            if (payload === '' || payload.includes(`"${id}"`)) stir()
          }),
          deps.notifications.on('operations', (payload) => {
            if (payload === '' || payload === id) stir()
          }),
        ]
        stream.onAbort(stir)
        try {
          while (!stream.aborted) {
            woken = false
            // Its state first: an event that is written after this read is heard, and one before its end is not lost.
            const operation = await operations.get(db, id)
            for (const row of await events.after(db, seq, { operationId: id })) {
              seq = row.seq
              await stream.writeSSE({ event: 'event', id: String(row.seq), data: JSON.stringify(eventOf(row)) })
            }
            if (!operation || operation.state !== 'running') {
              if (operation) await stream.writeSSE({ event: 'end', data: JSON.stringify(operationOf(operation)) })
              return
            }
            if (woken) continue
            const quiet = await new Promise<boolean>((resolve) => {
              const timer = setTimeout(() => resolve(true), keepAliveMs)
              wake = () => {
                clearTimeout(timer)
                resolve(false)
              }
            })
            if (quiet) await stream.write(': still running\n\n')
          }
        } finally {
          for (const stop of stops) stop()
        }
      })
    })
    .openapi(eventsRoute, async (c) => {
      const { after, subject, limit } = c.req.valid('query')
      const rows = await events.after(db, after, { limit, ...(subject === undefined ? {} : { subject }) })
      return c.json({ events: rows.map(eventOf), last: rows.at(-1)?.seq ?? after }, 200)
    })
}
