import { createRoute, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { NetworkId } from '#src/fabric/fabric.ts'
import { suggest } from '#src/intent/suggest.ts'
import { regionJsonSchema, writeRegion } from '#src/intent/write.ts'
import { cloudProviders } from '../clouds.ts'
import { proposeRegion, type RegionProposal } from '../generations.ts'
import { Problem } from '../problem.ts'
import { facts, generations, network, paths, regions } from '../store/index.ts'
import type { RegionRow, ResourceRow } from '../store/regions.ts'
import {
  type ApiDeps,
  body,
  type Env,
  conflicts,
  etag,
  FindingShape,
  IdempotencyHeader,
  json,
  matchGeneration,
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
import { accepted, Accepted } from './operations.ts'
import { Plan, proposedView } from './plans.ts'

const states = ['DECLARED', 'CREATING', 'ACTIVE', 'CHANGING', 'FAILED', 'DELETING', 'RETIRED'] as const
const Region = z
  .object({
    id: z.string(),
    provider: z.string(),
    location: z.string(),
    state: z.enum(states),
    stateSince: Time,
    generation: z.int().nullable(),
    tunnels: z.object({ total: z.int(), up: z.int() }),
    resources: z.object({ total: z.int(), ready: z.int() }),
    finding: FindingShape.nullable(),
    checkedAt: Time.nullable(),
  })
  .openapi('Region')
const RegionDetail = Region.extend({
  connections: z.array(
    z.object({
      id: z.string(),
      hub: z.string(),
      carriesReturn: z.boolean(),
      tunnels: z.array(z.object({ id: z.string(), inside: z.string(), outside: z.string().nullable(), state: z.string() })),
    }),
  ),
  routes: z.array(z.object({ to: z.string(), via: z.string() })),
  resourceList: z.array(z.object({ id: z.string(), type: z.string(), cloudId: z.string().nullable(), state: z.enum(['making', 'ready', 'gone']) })),
  findings: z.array(FindingShape),
}).openapi('RegionDetail')
const Found = z
  .object({
    id: z.string(),
    type: z.string(),
    cloudId: z.string(),
    state: z.enum(['ready', 'pending', 'deleting', 'failed']),
    location: z.string(),
    known: z.boolean(),
  })
  .openapi('CloudResource')

const RegionParams = z.object({
  id: z
    .string()
    .max(80)
    .openapi({ param: { name: 'id', in: 'path' }, example: 'aws-eu-west-1' }),
})
const listRoute = createRoute({
  method: 'get',
  path: '/regions',
  operationId: 'listRegions',
  tags: ['regions'],
  summary: 'Every cloud region that a generation names',
  security,
  middleware: [need('read')] as const,
  responses: { 200: json(z.object({ regions: z.array(Region) }), 'Sorted by id'), ...problems },
})
const showRoute = createRoute({
  method: 'get',
  path: '/regions/{id}',
  operationId: 'getRegion',
  tags: ['regions'],
  summary: 'One region: connections, return routes, what was made, what differs',
  security,
  middleware: [need('read')] as const,
  request: { params: RegionParams },
  responses: { 200: json(RegionDetail, 'The region'), ...problems },
})
const RegionIntent = z
  .record(z.string(), z.unknown())
  .refine((said) => !('region' in said), 'its name stands in the path, not in the body')
  .openapi('RegionIntent', {
    ...regionJsonSchema(),
    description: "What a region's file says besides its name; judged like the file, so mistakes are findings of the plan.",
  })
const planned = {
  request: {
    params: z.object({
      id: z
        .string()
        .regex(/^[a-z][a-z0-9-]{0,62}$/, 'write it like aws-eu-west-1')
        .openapi({ param: { name: 'id', in: 'path' }, example: 'aws-eu-west-1' }),
    }),
    headers: IdempotencyHeader.pick({ 'if-match': true }),
  },
  responses: { 200: json(Plan, 'The plan, passed or refused with its findings'), ...problems, ...conflicts },
}
const planRoute = createRoute({
  method: 'put',
  path: '/regions/{id}',
  operationId: 'planRegion',
  tags: ['regions'],
  summary: 'What would change if the region were so; changes nothing. The region belongs to the name of the access token then',
  security,
  middleware: [need('plan')] as const,
  ...planned,
  request: {
    ...planned.request,
    ...body(RegionIntent),
    query: z.object({
      take: z
        .enum(['true', 'false'])
        .optional()
        .openapi({ param: { name: 'take', in: 'query' }, description: 'true: takes it over from its owner.' }),
    }),
  },
})
const planRemovalRoute = createRoute({
  method: 'delete',
  path: '/regions/{id}',
  operationId: 'planRegionRemoval',
  tags: ['regions'],
  summary: 'What would change without the region; changes nothing',
  security,
  middleware: [need('plan')] as const,
  ...planned,
})
const repairRoute = createRoute({
  method: 'post',
  path: '/regions/{id}/repair',
  operationId: 'repairRegion',
  tags: ['regions'],
  summary: 'Make it again as it should be, after a failure or a change by hand',
  security,
  middleware: [need('operate')] as const,
  request: { params: RegionParams, headers: IdempotencyHeader },
  responses: { 202: accepted('It goes on as an operation'), ...problems, ...conflicts },
})
const decommissionRoute = createRoute({
  method: 'post',
  path: '/regions/{id}/decommission',
  operationId: 'decommissionRegion',
  tags: ['regions'],
  summary: 'The hubs let go, then all that was made there is deleted',
  security,
  middleware: [need('operate')] as const,
  request: { params: RegionParams, headers: IdempotencyHeader },
  responses: { 202: accepted('It goes on as an operation'), ...problems, ...conflicts },
})
const ProviderParams = z.object({ provider: z.enum(cloudProviders).openapi({ param: { name: 'provider', in: 'path' }, example: 'aws' }) })
const permissionsRoute = createRoute({
  method: 'get',
  path: '/clouds/{provider}/permissions',
  operationId: 'getCloudPermissions',
  tags: ['regions'],
  summary: 'The least policy that all of this needs',
  security,
  middleware: [need('read')] as const,
  request: { params: ProviderParams },
  responses: { 200: json(z.record(z.string(), z.unknown()), 'An IAM policy document'), ...problems },
})
const sweepRoute = createRoute({
  method: 'get',
  path: '/clouds/{provider}/sweep',
  operationId: 'sweepCloud',
  tags: ['regions'],
  summary: 'All of ours by tag, whatever the database says',
  security,
  middleware: [need('plan')] as const,
  request: {
    params: ProviderParams,
    query: z.object({
      locations: z
        .string()
        .max(500)
        .optional()
        .openapi({ description: 'Comma-separated, such as eu-west-1,eu-central-1; by default where there is or was a region.' }),
    }),
  },
  responses: {
    200: json(z.object({ locations: z.array(z.string()), resources: z.array(Found) }), '`known`: a region that stands owns it'),
    ...problems,
    ...conflicts,
  },
})

export const regionsApi = (deps: ApiDeps) => {
  const { db } = deps.store
  const found = async (id: string): Promise<RegionRow> => {
    const row = await regions.get(db, id)
    if (row) return row
    const close = suggest(
      id,
      (await regions.list(db)).map((of) => of.id),
    )
    throw missing('region', `"${id}"`, close ? `did you mean "${close}"?` : 'name it in the intent and apply that first: causeway region add')
  }
  const tunnelsOf = async (row: RegionRow) => {
    const config = row.config ?? ((await generations.head(db))?.fabric.regions ?? []).find(({ id }) => id === row.id)
    if (config === undefined) return []
    const [reported, known, silent] = await Promise.all([paths.all(db), facts.all(db), regions.silentHubs(db, config, deps.now())])
    return config.connections.map(({ id, site, members }) => ({
      id,
      hub: site as string,
      carriesReturn: row.routes.some(([, via]) => via === id),
      tunnels: members.map(({ tunnel, inside }) => ({
        id: tunnel as string,
        inside: inside as string,
        outside: known.flatMap((fact) => (fact.kind === 'cloud-endpoint' && fact.tunnel === tunnel ? [fact.address as string] : []))[0] ?? null,
        state: (!silent.includes(site) && reported.find((path) => path.tunnel === tunnel && path.site === site)?.state) || 'unknown',
      })),
    }))
  }
  const summary = (row: RegionRow, connections: Awaited<ReturnType<typeof tunnelsOf>>, made: readonly ResourceRow[]) => {
    const tunnels = connections.flatMap((of) => of.tunnels)
    const present = made.filter(({ state }) => state !== 'gone')
    return {
      id: row.id,
      provider: row.provider,
      location: row.location,
      state: row.state,
      stateSince: time(row.state_since),
      generation: row.generation,
      tunnels: { total: tunnels.length, up: tunnels.filter(({ state }) => state === 'UP' || state === 'DEGRADED').length },
      resources: { total: present.length, ready: present.filter(({ state }) => state === 'ready').length },
      finding: row.finding && plain([row.finding])[0]!,
      checkedAt: timeOrNull(row.checked_at),
    }
  }
  const answer = async (c: Context<Env>, asked: Omit<RegionProposal, 'actor'>) => {
    matchGeneration(c, (await network.get(db))?.head ?? 0)
    const proposed = await proposeRegion(deps.store, deps.planner, { ...asked, actor: c.get('actor') })
    return c.json(proposedView(proposed), 200, { 'content-location': `/v1/plans/${proposed.id}`, ...etag(proposed.base) })
  }
  const providerOf = async (name: string) => {
    const provider = await deps.clouds(name)
    if (!provider) throw new Problem(409, 'C103', `this controller has no way to ${name}`, 'set its credentials and start it again: docs/aws.md')
    return provider
  }
  return resource()
    .openapi(listRoute, async (c) => {
      const rows = await regions.list(db)
      const all = await Promise.all(rows.map(async (row) => summary(row, await tunnelsOf(row), await regions.resources(db, row.id))))
      return c.json({ regions: all }, 200)
    })
    .openapi(showRoute, async (c) => {
      const row = await found(c.req.valid('param').id)
      const [connections, made] = await Promise.all([tunnelsOf(row), regions.resources(db, row.id)])
      const resourceList = made.map(({ id, type, cloud_id, state }) => ({ id, type, cloudId: cloud_id, state }))
      return c.json(
        {
          ...summary(row, connections, made),
          connections,
          routes: row.routes.map(([to, via]) => ({ to: to as string, via: via as string })),
          resourceList,
          findings: plain(row.findings),
        },
        200,
      )
    })
    .openapi(planRoute, async (c) => {
      const { id } = c.req.valid('param')
      return await answer(c, { region: id, text: writeRegion(id, c.req.valid('json')), take: c.req.valid('query').take === 'true' })
    })
    .openapi(planRemovalRoute, async (c) => await answer(c, { region: c.req.valid('param').id, text: null, take: false }))
    .openapi(repairRoute, async (c) => {
      const row = await found(c.req.valid('param').id)
      const done = await mutate(c, deps, {
        kind: 'region-repair',
        subject: `region/${row.id}`,
        args: {},
        within: async (tx) => {
          const now = await regions.lock(tx, row.id)
          if (!now || now.state === 'DELETING' || now.state === 'RETIRED' || now.state === 'DECLARED')
            throw new Problem(409, 'C101', `${row.id} is ${now?.state ?? 'gone'}: there is nothing to repair`, `causeway region status ${row.id}`)
        },
        send: (ids) => deps.commands.repairRegion(row.id, ids),
      })
      return c.json(Accepted.parse({ operation: done.operationId }), 202, { location: `/v1/operations/${done.operationId}` })
    })
    .openapi(decommissionRoute, async (c) => {
      const row = await found(c.req.valid('param').id)
      const done = await mutate(c, deps, {
        kind: 'region-decommission',
        subject: `region/${row.id}`,
        args: {},
        within: async (tx) => {
          const now = await regions.lock(tx, row.id)
          if (!now || now.state === 'DELETING' || now.state === 'RETIRED')
            throw new Problem(409, 'C102', `${row.id} is ${now?.state ?? 'gone'} already`, `causeway region status ${row.id}`)
        },
        send: (ids) => deps.commands.decommissionRegion(row.id, ids),
      })
      return c.json(Accepted.parse({ operation: done.operationId }), 202, { location: `/v1/operations/${done.operationId}` })
    })
    .openapi(permissionsRoute, async (c) => c.json({ ...(await providerOf(c.req.valid('param').provider)).permissions() }, 200))
    .openapi(sweepRoute, async (c) => {
      const { provider: name } = c.req.valid('param')
      const provider = await providerOf(name)
      const named = await network.get(db)
      const rows = (await regions.list(db)).filter((row) => row.provider === name)
      const given = c.req
        .valid('query')
        .locations?.split(',')
        .map((one) => one.trim())
        .filter(Boolean)
      const locations = [...new Set(given ?? rows.map(({ location }) => location))].sort()
      if (!named || locations.length === 0)
        throw new Problem(409, 'C100', 'there is no region to look in', 'name where: causeway cloud sweep --in eu-west-1')
      const seen = await provider.sweep(named.id as NetworkId, locations, c.req.raw.signal).catch((error: unknown) => {
        const { finding } = provider.classify(error)
        throw new Problem(409, 'C107', finding.says, finding.instead, { findings: [finding] })
      })
      const standing = new Set(rows.filter(({ state }) => state !== 'RETIRED' && state !== 'DECLARED').map(({ id }) => id))
      const resources = seen.map(({ id, type, cloudId, state, properties }) => ({
        id: id as string,
        type,
        cloudId,
        state,
        location: String(properties['location'] ?? locations[0]),
        known: standing.has(id.split('/')[0] ?? ''),
      }))
      return c.json({ locations, resources }, 200)
    })
}
