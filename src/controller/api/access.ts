import { createRoute, z } from '@hono/zod-openapi'
import { grant } from '../access.ts'
import { access, type AccessRole, audit } from '../store/index.ts'
import { type ApiDeps, body, json, missing, need, problems, resource, security, Time, time, timeOrNull } from './context.ts'

const roles = ['viewer', 'installer', 'cloud', 'operator', 'admin'] as const satisfies readonly AccessRole[]
const Access = z.object({ id: z.string(), name: z.string(), role: z.enum(roles), createdAt: Time, revokedAt: Time.nullable() }).openapi('Access')
const AccessRequest = z.object({ name: z.string().min(1).max(100), role: z.enum(roles) }).openapi('AccessRequest')

const listRoute = createRoute({
  method: 'get',
  path: '/access',
  operationId: 'listAccess',
  tags: ['access'],
  summary: 'Who has access',
  security,
  middleware: [need('administer')] as const,
  responses: { 200: json(z.object({ access: z.array(Access) }), 'Oldest first; never the tokens'), ...problems },
})
const createRoute_ = createRoute({
  method: 'post',
  path: '/access',
  operationId: 'createAccess',
  tags: ['access'],
  summary: 'A token for a person or program, shown once',
  security,
  middleware: [need('administer')] as const,
  request: body(AccessRequest),
  responses: { 201: json(z.object({ id: z.string(), token: z.string() }).openapi('AccessToken'), 'Shown once'), ...problems },
})
const revokeRoute = createRoute({
  method: 'delete',
  path: '/access/{id}',
  operationId: 'revokeAccess',
  tags: ['access'],
  summary: 'Take a token back',
  security,
  middleware: [need('administer')] as const,
  request: {
    params: z.object({
      id: z
        .string()
        .max(80)
        .openapi({ param: { name: 'id', in: 'path' } }),
    }),
  },
  responses: { 204: { description: 'It no longer works' }, ...problems },
})

export const accessApi = (deps: ApiDeps) =>
  resource()
    .openapi(listRoute, async (c) => {
      const rows = await access.list(deps.store.db)
      return c.json(
        {
          access: rows.map(({ id, name, role, created_at, revoked_at }) => ({
            id,
            name,
            role,
            createdAt: time(created_at),
            revokedAt: timeOrNull(revoked_at),
          })),
        },
        200,
      )
    })
    .openapi(createRoute_, async (c) => {
      const { name, role } = c.req.valid('json')
      const made = await deps.store.transaction(async (tx) => {
        const given = await grant(tx, name, role)
        await audit.append(tx, { actor: c.get('actor').id, action: 'access.create', subject: `access/${given.id}`, detail: { name, role } })
        return given
      })
      return c.json(made, 201, { 'cache-control': 'no-store' })
    })
    .openapi(revokeRoute, async (c) => {
      const { id } = c.req.valid('param')
      if (!(await access.list(deps.store.db)).some((row) => row.id === id)) throw missing('access', id, 'causeway access list')
      await deps.store.transaction(async (tx) => {
        await access.revoke(tx, id)
        await audit.append(tx, { actor: c.get('actor').id, action: 'access.revoke', subject: `access/${id}`, detail: {} })
      })
      return c.body(null, 204)
    })
