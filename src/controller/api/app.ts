/** The API as one Hono app; `App` types the CLI's and page's client. */
import { OpenAPIHono } from '@hono/zod-openapi'
import { Problem, problemDocument, problemOf } from '../problem.ts'
import { accessApi } from './access.ts'
import { type ApiDeps, authenticate, type Env, limit } from './context.ts'
import { docsPage } from './docs.ts'
import { drillsApi } from './drills.ts'
import { generationsApi } from './generations.ts'
import { keysApi } from './keys.ts'
import { operationsApi } from './operations.ts'
import { pathsApi } from './paths.ts'
import { plansApi } from './plans.ts'
import { peersApi } from './peers.ts'
import { regionsApi } from './regions.ts'
import { sitesApi } from './sites.ts'
import { statusApi } from './status.ts'
import { traceApi } from './trace.ts'

const usualLimit = 64 << 10

export const describe = (version: string) => ({
  openapi: '3.1.0' as const,
  info: {
    title: 'Causeway',
    version,
    description: 'Mutations answer 202 with an operation to follow. Errors are problem+json with a code that `causeway explain` knows.',
  },
  servers: [{ url: '/' }],
})

export function createApp(deps: ApiDeps) {
  const root = new OpenAPIHono<Env>()
  root.onError((error, c) => {
    const problem = problemOf(error, deps.log)
    return c.json(problemDocument(problem), problem.status as 400, { 'content-type': 'application/problem+json', ...problem.headers })
  })
  root.notFound((c) => {
    const problem = new Problem(404, 'C006', `there is nothing at ${c.req.method} ${c.req.path.slice(0, 200)}`, 'the API is described at /v1/docs')
    return c.json(problemDocument(problem), 404, { 'content-type': 'application/problem+json' })
  })
  root.openAPIRegistry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer', description: 'An access token, cwa_…' })
  root.get('/', (c) => c.redirect('/v1/docs'))
  root.get('/v1/docs', (c) => c.html(docsPage(root.getOpenAPI31Document(describe(deps.version)))))
  root.doc31('/v1/openapi.json', describe(deps.version))
  // Before the token: an endless body must not cost a look-up first.
  root.use('/v1/*', async (c, next) => (c.req.path === '/v1/plans' ? next() : limit(usualLimit)(c, next)))
  root.use('/v1/*', authenticate(deps.store))
  return root
    .route('/v1', statusApi(deps))
    .route('/v1', sitesApi(deps))
    .route('/v1', regionsApi(deps))
    .route('/v1', peersApi(deps))
    .route('/v1', drillsApi(deps))
    .route('/v1', pathsApi(deps))
    .route('/v1', keysApi(deps))
    .route('/v1', plansApi(deps))
    .route('/v1', operationsApi(deps))
    .route('/v1', generationsApi(deps))
    .route('/v1', traceApi(deps))
    .route('/v1', accessApi(deps))
}
export type App = ReturnType<typeof createApp>
