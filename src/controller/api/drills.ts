import { randomBytes } from 'node:crypto'
import { createRoute, z } from '@hono/zod-openapi'
import { Problem } from '../problem.ts'
import { audit, drillSchedules, drills, generations } from '../store/index.ts'
import type { DrillScheduleRow } from '../store/drill-schedules.ts'
import type { DrillRow } from '../store/drills.ts'
import {
  type ApiDeps,
  body,
  conflicts,
  IdempotencyHeader,
  json,
  missing,
  need,
  problems,
  resource,
  security,
  Time,
  time,
  timeOrNull,
} from './context.ts'
import { mutate } from './mutate.ts'
import { accepted } from './operations.ts'

const states = ['GATED', 'REFUSED', 'ORDERED', 'BROKEN', 'HEALED', 'FAILED'] as const
const Record_ = z.record(z.string(), z.unknown())
const Drill = z
  .object({
    id: z.string(),
    site: z.string(),
    uplink: z.string(),
    seconds: z.int(),
    state: z.enum(states),
    operation: z.string(),
    evidence: z.string().nullable(),
    createdBy: z.string(),
    createdAt: Time,
    healedAt: Time.nullable(),
    gate: Record_.nullable(),
    measured: Record_.nullable(),
  })
  .openapi('Drill')
const drillOf = (row: DrillRow) => ({
  id: row.id,
  site: row.site,
  uplink: row.uplink,
  seconds: row.seconds,
  state: row.state,
  operation: row.operation_id,
  evidence: row.evidence,
  createdBy: row.created_by,
  createdAt: time(row.created_at),
  healedAt: timeOrNull(row.healed_at),
  gate: row.gate as Record<string, unknown> | null,
  measured: row.measured as Record<string, unknown> | null,
})
const SignedShape = z.object({ payload: z.string(), signatures: z.array(z.object({ keyId: z.string(), signature: z.string() })) }).openapi('Signed')
const longest = 60
const DrillRequest = z
  .object({
    site: z.string().max(80),
    uplink: z.string().max(80),
    seconds: z
      .int()
      .optional()
      .openapi({ description: `How long it is cut, 1 to ${longest}; 5 by default.` }),
  })
  .openapi('DrillRequest')
const Id = z.object({
  id: z
    .string()
    .max(80)
    .openapi({ param: { name: 'id', in: 'path' } }),
})

const listRoute = createRoute({
  method: 'get',
  path: '/drills',
  operationId: 'listDrills',
  tags: ['drills'],
  summary: 'Failover exercises',
  security,
  middleware: [need('read')] as const,
  responses: { 200: json(z.object({ drills: z.array(Drill) }), 'Newest first'), ...problems },
})
const showRoute = createRoute({
  method: 'get',
  path: '/drills/{id}',
  operationId: 'getDrill',
  tags: ['drills'],
  summary: 'One exercise',
  security,
  middleware: [need('read')] as const,
  request: { params: Id },
  responses: { 200: json(Drill, 'The drill'), ...problems },
})
const runRoute = createRoute({
  method: 'post',
  path: '/drills',
  operationId: 'runDrill',
  tags: ['drills'],
  summary: 'Cut one uplink for some seconds, if its standby is proved',
  security,
  middleware: [need('operate')] as const,
  request: { headers: IdempotencyHeader, ...body(DrillRequest) },
  responses: {
    202: {
      ...accepted('It goes on as an operation'),
      ...json(z.object({ operation: z.string(), drill: z.string() }).openapi('DrillAccepted'), 'It goes on as an operation'),
    },
    ...problems,
    ...conflicts,
  },
})
const evidenceRoute = createRoute({
  method: 'get',
  path: '/evidence/{id}',
  operationId: 'getEvidence',
  tags: ['drills'],
  summary: 'What a drill proved, signed',
  security,
  middleware: [need('read')] as const,
  request: { params: Id },
  responses: { 200: json(SignedShape, 'Verify it offline: causeway drill verify'), ...problems },
})
const trustRoute = createRoute({
  method: 'get',
  path: '/trust',
  operationId: 'getTrust',
  tags: ['drills'],
  summary: 'The trust document that agents have: whose signatures count',
  security,
  middleware: [need('read')] as const,
  responses: { 200: json(SignedShape, 'Keep it: evidence is checked against it'), ...problems, ...conflicts },
})

const ScheduleOf = z.object({
  site: z
    .string()
    .max(80)
    .openapi({ param: { name: 'site', in: 'path' } }),
  uplink: z
    .string()
    .max(80)
    .openapi({ param: { name: 'uplink', in: 'path' } }),
})
const [oftenest, rarest] = [3_600, 366 * 86_400]
const ScheduleRequest = z
  .object({
    everySeconds: z.int().openapi({ description: `Between two drills, from ${oftenest} to ${rarest}.` }),
    at: z.string().max(20).optional().openapi({ description: 'Time of the day, UTC, as 02:10; for whole days. One interval from now by default.' }),
    seconds: z
      .int()
      .optional()
      .openapi({ description: `How long it is cut, 1 to ${longest}; 5 by default.` }),
  })
  .openapi('DrillScheduleRequest')
const Schedule = z
  .object({ site: z.string(), uplink: z.string(), seconds: z.int(), everySeconds: z.int(), nextAt: Time, createdBy: z.string(), createdAt: Time })
  .openapi('DrillSchedule')
const scheduleOf = (row: DrillScheduleRow, now: Date) => ({
  site: row.site,
  uplink: row.uplink,
  seconds: row.seconds,
  everySeconds: row.every_seconds,
  nextAt: time(drillSchedules.nextAt(row, now)),
  createdBy: row.created_by,
  createdAt: time(row.created_at),
})
const schedulesRoute = createRoute({
  method: 'get',
  path: '/drill-schedules',
  operationId: 'listDrillSchedules',
  tags: ['drills'],
  summary: 'Uplinks that are drilled again and again',
  security,
  middleware: [need('read')] as const,
  responses: { 200: json(z.object({ schedules: z.array(Schedule) }), 'By site and uplink'), ...problems },
})
const scheduleRoute = createRoute({
  method: 'put',
  path: '/drill-schedules/{site}/{uplink}',
  operationId: 'scheduleDrill',
  tags: ['drills'],
  summary: 'Drill an uplink again and again, in the place of what was scheduled for it before',
  security,
  middleware: [need('operate')] as const,
  request: { params: ScheduleOf, ...body(ScheduleRequest) },
  responses: { 200: json(Schedule, 'What is scheduled now'), ...problems },
})
const unscheduleRoute = createRoute({
  method: 'delete',
  path: '/drill-schedules/{site}/{uplink}',
  operationId: 'unscheduleDrill',
  tags: ['drills'],
  summary: 'No more drills by themselves of an uplink',
  security,
  middleware: [need('operate')] as const,
  request: { params: ScheduleOf },
  responses: { 204: { description: 'Nothing is scheduled for it any more' }, ...problems },
})

/** Minute of the day, or null when nothing is said. */
function minuteOf(at: string | undefined, everySeconds: number): number | null {
  if (at === undefined) return null
  const [, hours, minutes] = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(at) ?? []
  if (hours === undefined) throw new Problem(400, 'C117', `"${at}" is not a time of the day`, 'write it like 02:10, in UTC')
  if (everySeconds % 86_400 !== 0)
    throw new Problem(400, 'C117', `a time of the day needs an interval of whole days, not ${everySeconds} s`, 'write --every 1d, or leave --at out')
  return Number(hours) * 60 + Number(minutes)
}
function checkSeconds(seconds: number): void {
  if (seconds < 1 || seconds > longest)
    throw new Problem(400, 'C110', `an uplink can't be cut for ${seconds} s`, `choose from 1 to ${longest} seconds`)
}

export const drillsApi = (deps: ApiDeps) => {
  const { db } = deps.store
  const checkUplink = async (site: string, uplink: string): Promise<void> => {
    const known = (await generations.head(db))?.fabric.sites.find(({ id }) => id === site)
    if (!known) throw missing('site', `"${site}"`, 'causeway site list')
    if (!known.uplinks.some(({ id }) => id === uplink))
      throw new Problem(404, 'C110', `${site} has no uplink "${uplink}"`, `it has ${known.uplinks.map(({ id }) => id).join(', ')}`)
  }
  /** The rows are what counts: Temporal is told now, or as soon as it answers. */
  const told = async (): Promise<void> => {
    await deps.commands.scheduleDrills().catch((error: unknown) => {
      deps.log(error)
      deps.again()
    })
  }
  return resource()
    .openapi(listRoute, async (c) => c.json({ drills: (await drills.list(db)).map(drillOf) }, 200))
    .openapi(showRoute, async (c) => {
      const { id } = c.req.valid('param')
      const row = await drills.get(db, id)
      if (!row) throw missing('drill', id, 'causeway drill list')
      return c.json(drillOf(row), 200)
    })
    .openapi(runRoute, async (c) => {
      const { site, uplink, seconds = 5 } = c.req.valid('json')
      checkSeconds(seconds)
      await checkUplink(site, uplink)
      const drill = `d-${randomBytes(5).toString('hex')}`
      const done = await mutate(c, deps, {
        kind: 'drill',
        subject: `drill/${drill}`,
        args: { site, uplink, seconds, drill },
        identity: { site, uplink, seconds },
        within: async (tx, { operationId }) => drills.insert(tx, { id: drill, site, uplink, seconds, operationId, createdBy: c.get('actor').id }),
        send: (ids, args) => deps.commands.drill(args.drill, ids),
      })
      return c.json({ operation: done.operationId, drill }, 202, { location: `/v1/operations/${done.operationId}` })
    })
    .openapi(schedulesRoute, async (c) => {
      const now = deps.now()
      return c.json({ schedules: (await drillSchedules.list(db)).map((row) => scheduleOf(row, now)) }, 200)
    })
    .openapi(scheduleRoute, async (c) => {
      const { site, uplink } = c.req.valid('param')
      const { everySeconds, at, seconds = 5 } = c.req.valid('json')
      checkSeconds(seconds)
      if (everySeconds < oftenest || everySeconds > rarest)
        throw new Problem(
          400,
          'C117',
          `an uplink can't be drilled every ${everySeconds} s`,
          `choose from ${oftenest} (an hour) to ${rarest} (366 days)`,
        )
      const firstAt = drillSchedules.firstAt(deps.now(), everySeconds, minuteOf(at, everySeconds))
      await checkUplink(site, uplink)
      const actor = c.get('actor').id
      const row = await deps.store.transaction(async (tx) => {
        await drillSchedules.put(tx, { site, uplink, seconds, everySeconds, firstAt, createdBy: actor })
        await audit.append(tx, {
          actor,
          action: 'drill.schedule',
          subject: `site/${site}`,
          detail: { uplink, seconds, everySeconds, firstAt: firstAt.toISOString() },
        })
        return await drillSchedules.get(tx, site, uplink)
      })
      await told()
      if (!row) throw missing('schedule', `for ${site}.${uplink}`, 'causeway drill schedule list')
      return c.json(scheduleOf(row, deps.now()), 200)
    })
    .openapi(unscheduleRoute, async (c) => {
      const { site, uplink } = c.req.valid('param')
      const removed = await deps.store.transaction(async (tx) => {
        const was = await drillSchedules.remove(tx, site, uplink)
        if (was) await audit.append(tx, { actor: c.get('actor').id, action: 'drill.unschedule', subject: `site/${site}`, detail: { uplink } })
        return was
      })
      if (!removed) throw missing('schedule', `for ${site}.${uplink}`, 'causeway drill schedule list')
      await told()
      return c.body(null, 204)
    })
    .openapi(evidenceRoute, async (c) => {
      const { id } = c.req.valid('param')
      const row = await drills.evidence(db, id)
      if (!row) throw missing('evidence', id, 'causeway drill list')
      return c.json(row.signed, 200)
    })
    .openapi(trustRoute, async (c) => {
      const trust = deps.trust()
      if (!trust) throw new Problem(409, 'C030', 'there is no trust document yet: no generation was applied', 'causeway apply')
      return c.json(trust, 200)
    })
}
