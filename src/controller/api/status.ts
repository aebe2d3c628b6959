import { createRoute, z } from '@hono/zod-openapi'
import { siteEnds } from '#src/fabric/ids.ts'
import { drillSchedules, drills, generations, network, operations, paths, sites } from '../store/index.ts'
import { type ApiDeps, etag, json, need, problems, ProofShape, resource, security, Time, time } from './context.ts'
import { phaseOf, PhaseShape } from './operations.ts'

const Status = z
  .object({
    network: z.string().nullable(),
    generation: z.int(),
    term: z.int(),
    frozen: z.boolean(),
    version: z.string(),
    verdict: z.enum(['empty', 'green', 'degraded', 'changing']),
    sites: z.object({ total: z.int(), active: z.int(), online: z.int() }),
    tunnels: z.object({ total: z.int(), up: z.int() }),
    proof: ProofShape.nullable(),
    /** What is red or amber, most urgent first, with the next command. */
    problems: z.array(z.object({ subject: z.string(), says: z.string(), since: Time, next: z.string() })),
    operations: z.array(z.object({ id: z.string(), kind: z.string(), subject: z.string(), since: Time, phase: PhaseShape.nullable() })),
    /** The site whose last drill that held is the oldest, and the next one that is scheduled. */
    drills: z.object({
      oldest: z.object({ site: z.string(), at: Time }).nullable(),
      next: z.object({ site: z.string(), uplink: z.string(), at: Time }).nullable(),
    }),
    time: Time,
  })
  .openapi('Status')

const route = createRoute({
  method: 'get',
  path: '/status',
  operationId: 'getStatus',
  tags: ['status'],
  summary: 'What is wrong, where, since when, and the next command',
  security,
  middleware: [need('read')] as const,
  responses: { 200: json(Status, 'The network on one screen'), ...problems },
})

/** The one with the earliest time. */
function first<Of extends { readonly at: Date }>(of: readonly Of[]) {
  const [earliest] = of.toSorted((a, b) => a.at.getTime() - b.at.getTime())
  return earliest ? { ...earliest, at: time(earliest.at) } : null
}

export const statusApi = (deps: ApiDeps) =>
  resource().openapi(route, async (c) => {
    const { db } = deps.store
    const now = deps.now()
    const [named, head, rows, reported, open, drilled, held, schedules] = await Promise.all([
      network.get(db),
      generations.head(db),
      sites.list(db),
      paths.all(db),
      operations.open(db),
      drills.newest(db),
      drills.lastHeld(db),
      drillSchedules.list(db),
    ])
    const present = rows.filter(({ state }) => state !== 'RETIRED')
    const isPresent = ({ site }: { readonly site: string }) => present.some(({ id }) => id === site)
    const online = new Set(present.filter((row) => sites.isOnline(row, now)).map(({ id }) => id))
    const tunnels = head?.fabric.tunnels ?? []
    // A tunnel is up when both ends say so and can still say it.
    const up = tunnels.filter(({ id, ends }) =>
      siteEnds({ ends }).every(
        ({ site }) =>
          online.has(site) && reported.some((path) => path.tunnel === id && path.site === site && (path.state === 'UP' || path.state === 'DEGRADED')),
      ),
    )
    // Whoever services a box switches it off as well.
    const inService = new Set(present.filter(({ state }) => state === 'MAINTENANCE').map(({ id }) => id))
    const serviced = new Set<string>(tunnels.filter(({ ends }) => siteEnds({ ends }).some(({ site }) => inService.has(site))).map(({ id }) => id))
    const wrong = [
      ...present.flatMap((row) => {
        if (row.state === 'QUARANTINED')
          return [
            { subject: `site/${row.id}`, says: row.finding?.says ?? 'quarantined', since: row.state_since, next: `causeway site status ${row.id}` },
          ]
        if (row.device !== null && row.state === 'ACTIVE' && !online.has(row.id))
          return [
            { subject: `site/${row.id}`, says: 'does not report', since: row.last_seen ?? row.state_since, next: `causeway site status ${row.id}` },
          ]
        if (row.finding)
          return [{ subject: `site/${row.id}`, says: row.finding.says, since: row.state_since, next: `causeway site status ${row.id}` }]
        return []
      }),
      ...reported
        .filter(({ tunnel, site, state }) => online.has(site) && state === 'DOWN' && !serviced.has(tunnel))
        .map(({ tunnel, site, since }) => ({ subject: `path/${tunnel}`, says: `down, says ${site}`, since, next: `causeway path list ${site}` })),
      // One by hand since then that held makes up for it, and so does the end of its schedule.
      ...drilled
        .filter(
          (of) =>
            isPresent(of) &&
            of.scheduled &&
            of.outcome === 'failed' &&
            schedules.some(({ site, uplink }) => site === of.site && uplink === of.uplink),
        )
        .map((of) => ({
          subject: `drill/${of.id}`,
          says: `the scheduled drill of ${of.site}.${of.uplink} failed: ${of.findings[0]?.says ?? ''}`,
          since: of.created_at,
          next: `causeway drill show ${of.id}`,
        })),
    ]
    const active = new Set(present.filter(({ state }) => state === 'ACTIVE').map(({ id }) => id))
    // A tunnel counts once both its sites carry traffic: before that it is work under way, not damage.
    const due = tunnels.filter(({ ends }) => siteEnds({ ends }).every(({ site }) => active.has(site)))
    const whole = active.size === present.length && open.length === 0
    const sound = wrong.length === 0 && due.every((tunnel) => up.includes(tunnel))
    return c.json(
      {
        network: named?.id ?? null,
        generation: head?.number ?? 0,
        term: named?.term ?? 1,
        frozen: named?.frozen ?? false,
        version: deps.version,
        verdict: present.length === 0 ? ('empty' as const) : !sound ? ('degraded' as const) : whole ? ('green' as const) : ('changing' as const),
        sites: { total: present.length, active: active.size, online: online.size },
        tunnels: { total: tunnels.length, up: up.length },
        proof: head?.proof ?? null,
        problems: wrong.map((of) => ({ ...of, since: time(of.since) })),
        operations: open.map((row) => ({ id: row.id, kind: row.kind, subject: row.subject, since: time(row.started_at), phase: phaseOf(row) })),
        drills: {
          oldest: first(held.filter(isPresent)),
          next: first(schedules.filter(isPresent).map((of) => ({ site: of.site, uplink: of.uplink, at: drillSchedules.nextAt(of, now) }))),
        },
        time: time(now),
      },
      200,
      etag(head?.number ?? 0),
    )
  })
