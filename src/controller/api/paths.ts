import { createRoute, z } from '@hono/zod-openapi'
import { siteEnds } from '#src/fabric/ids.ts'
import { generations, paths, sites } from '../store/index.ts'
import { intervalMs, mostProbes, runPathTest, testable } from '../path-tests.ts'
import { Problem } from '../problem.ts'
import { type ApiDeps, body, conflicts, json, knownSite, missing, need, problems, ProblemShape, resource, security, Time, time } from './context.ts'

const End = z.object({
  site: z.string(),
  uplink: z.string(),
  /** `unknown`: this end has not reported the tunnel, or not lately. */
  state: z.enum(['INIT', 'UP', 'DEGRADED', 'DOWN', 'unknown']),
  since: Time.nullable(),
  rttMs: z.number().nullable(),
  jitterMs: z.number().nullable(),
  loss: z.number().nullable(),
  classes: z.array(z.string()),
  /** Classes whose SLA it breaches. */
  breaches: z.array(z.string()),
  /** bit/s away from the site and towards it; null until its box has told. */
  load: z.object({ up: z.number(), down: z.number() }).nullable(),
})
const Path = z.object({ tunnel: z.string(), role: z.enum(['spoke', 'mesh', 'cloud', 'peer']), ends: z.array(End) }).openapi('Path')

const route = createRoute({
  method: 'get',
  path: '/paths',
  operationId: 'listPaths',
  tags: ['paths'],
  summary: 'Every tunnel as its two ends see it',
  security,
  middleware: [need('read')] as const,
  request: { query: z.object({ site: z.string().optional().openapi({ description: 'Only the tunnels of this site.' }) }) },
  responses: { 200: json(z.object({ paths: z.array(Path) }), 'Sorted by tunnel'), ...problems },
})

const Measured = z
  .object({
    tunnel: z.string(),
    sent: z.int(),
    received: z.int(),
    rttMs: z.object({ min: z.number(), median: z.number(), max: z.number() }).nullable(),
    jitterMs: z.number().nullable().openapi({ description: 'Mean difference of neighbouring round trips (RFC 3393).' }),
    fullPackets: z.boolean().openapi({ description: 'Packets of `mtu` bytes pass.' }),
  })
  .openapi('PathMeasured')
const PathTest = z
  .object({
    site: z.string(),
    mtu: z.int().openapi({ description: 'Of the overlay.' }),
    perSecond: z.int().openapi({ description: 'Probes over each path.' }),
    paths: z.array(Measured),
    missing: z.array(z.string()).openapi({ description: 'Paths that the box does not have, for want of a key or an endpoint.' }),
  })
  .openapi('PathTest')
const PathTestRequest = z
  .object({
    site: z.string().max(80),
    uplink: z.string().max(80).optional().openapi({ description: 'All of them by default.' }),
    count: z
      .int()
      .default(100)
      .openapi({ description: `Probes over each path, 1 to ${mostProbes}.` }),
  })
  .openapi('PathTestRequest')
const testRoute = createRoute({
  method: 'post',
  path: '/paths/test',
  operationId: 'testPaths',
  tags: ['paths'],
  summary: "A burst of probes from a site's box, answered when it has told",
  security,
  middleware: [need('operate')] as const,
  request: body(PathTestRequest),
  responses: {
    200: json(PathTest, 'Loss, round trip, jitter, and whether full packets pass'),
    504: json(ProblemShape, 'The box did not tell in time'),
    ...problems,
    ...conflicts,
  },
})

type State = z.infer<typeof End>['state']

export const pathsApi = (deps: ApiDeps) =>
  resource()
    .openapi(route, async (c) => {
      const { db } = deps.store
      const wanted = c.req.valid('query').site
      const now = deps.now()
      const [head, reported, rows] = await Promise.all([generations.head(db), paths.all(db), sites.list(db)])
      if (wanted !== undefined) await knownSite(db, wanted)
      const online = new Set(rows.filter((row) => sites.isOnline(row, now)).map(({ id }) => id))
      const known = new Map(reported.map((row) => [`${row.tunnel} ${row.site}`, row]))
      const tunnels = (head?.fabric.tunnels ?? []).filter(({ ends }) => wanted === undefined || siteEnds({ ends }).some((end) => end.site === wanted))
      return c.json(
        {
          paths: tunnels.map(({ id, role, ends }) => ({
            tunnel: id,
            role,
            ends: siteEnds({ ends }).map(({ site, uplink }) => {
              const row = known.get(`${id} ${site}`)
              return {
                site,
                uplink,
                state: (row && online.has(site) ? row.state : 'unknown') as State,
                since: row ? time(row.since) : null,
                rttMs: row?.rtt_ms ?? null,
                jitterMs: row?.jitter_ms ?? null,
                loss: row?.loss ?? null,
                classes: [...(row?.active_classes ?? [])],
                breaches: [...(row?.breaches ?? [])],
                load: row?.load_up == null || row.load_down === null ? null : { up: row.load_up, down: row.load_down },
              }
            }),
          })),
        },
        200,
      )
    })
    .openapi(testRoute, async (c) => {
      const { site, uplink, count } = c.req.valid('json')
      if (count < 1 || count > mostProbes)
        throw new Problem(400, 'C154', `a test sends no ${count} probes over a path`, `choose from 1 to ${mostProbes}`)
      await knownSite(deps.store.db, site)
      const fabric = (await generations.head(deps.store.db))?.fabric
      if (!fabric) throw missing('generation', 'yet', 'causeway apply')
      const tunnels = testable(fabric, site, uplink)
      const { paths: measured, why } = await runPathTest(deps.store, deps.notifications, deps.now, { site, tunnels, count, actor: c.get('actor').id })
      if (why !== '') throw new Problem(409, 'C153', `${site} measured nothing: ${why}`, `causeway site status ${site}`)
      return c.json(
        {
          site,
          mtu: fabric.network.mtu,
          perSecond: 1000 / intervalMs,
          paths: measured.map((path) => ({ ...path })),
          missing: tunnels.filter((id) => !measured.some(({ tunnel }) => tunnel === id)),
        },
        200,
      )
    })
