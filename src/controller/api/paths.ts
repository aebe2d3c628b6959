import { createRoute, z } from '@hono/zod-openapi'
import { siteEnds } from '#src/fabric/ids.ts'
import { suggest } from '#src/intent/suggest.ts'
import { generations, paths, sites } from '../store/index.ts'
import { type ApiDeps, json, missing, need, problems, resource, security, Time, time } from './context.ts'

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

type State = z.infer<typeof End>['state']

export const pathsApi = (deps: ApiDeps) =>
  resource().openapi(route, async (c) => {
    const { db } = deps.store
    const wanted = c.req.valid('query').site
    const now = deps.now()
    const [head, reported, rows] = await Promise.all([generations.head(db), paths.all(db), sites.list(db)])
    if (wanted !== undefined && !rows.some(({ id }) => id === wanted)) {
      const close = suggest(
        wanted,
        rows.map(({ id }) => id),
      )
      throw missing('site', `"${wanted}"`, close ? `did you mean "${close}"?` : 'causeway site list')
    }
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
            }
          }),
        })),
      },
      200,
    )
  })
