/** What every resource of the API shares: its dependencies, who asks, limits, and the shapes of errors. */
import { type Hook, OpenAPIHono, z } from '@hono/zod-openapi'
import type { Context, MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { Finding } from '#src/fabric/fabric.ts'
import { suggest } from '#src/intent/suggest.ts'
import type { Signed } from '#src/wire/messages.ts'
import type { Clouds } from '#providers/cloud.ts'
import type { ApplyCommand, ApproveCommand, Command, DrainCommand, InviteCommand, RolloutCommand } from '#workflows/contract.ts'
import { type Actor, actorOf, may, type Permission, rolesFor } from '../access.ts'
import type { Planner } from '../generations.ts'
import type { Notifications } from '../notifications.ts'
import type { Vault } from '../pki/vault.ts'
import { Problem } from '../problem.ts'
import { type Db, sites, type Store } from '../store/index.ts'
import type { SiteRow } from '../store/sites.ts'

/** What the API asks of workflows; `createCommands` makes it. */
export interface ApiCommands {
  apply(network: string, command: ApplyCommand): Promise<unknown>
  rollout(network: string, command: RolloutCommand): Promise<unknown>
  invite(site: string, command: InviteCommand): Promise<unknown>
  approve(site: string, command: ApproveCommand): Promise<unknown>
  replace(site: string, command: InviteCommand): Promise<unknown>
  drain(site: string, command: DrainCommand): Promise<unknown>
  undrain(site: string, command: Command): Promise<unknown>
  decommission(site: string, command: Command): Promise<unknown>
  drill(drill: string, command: Command): Promise<unknown>
  /** The rows of drill schedules changed. */
  scheduleDrills(): Promise<unknown>
  repairRegion(region: string, command: Command): Promise<unknown>
  decommissionRegion(region: string, command: Command): Promise<unknown>
}
export interface ApiDeps {
  readonly store: Store
  readonly commands: ApiCommands
  readonly planner: Planner
  readonly clouds: Clouds
  readonly vault: Vault
  /** What is known of the site has changed: its configuration is made anew. */
  readonly facts: (site: string) => Promise<void>
  /** What agents trust; null until a network is named. */
  readonly trust: () => Signed | null
  readonly notifications: Notifications
  /** What bootstrap tokens carry; null until a network is named. */
  readonly tokens: () => { readonly caPin: Buffer; readonly host: string } | null
  /** The first applied plan named the network: the agents' listener can start. */
  readonly named: (network: string) => Promise<void>
  /** Workflows did not take a command now: send it again until they do. */
  readonly again: () => void
  readonly now: () => Date
  readonly version: string
  readonly log: (error: unknown) => void
}

export interface Env {
  Variables: { actor: Actor }
}
export type Api = OpenAPIHono<Env>

/** Validation failures of any route, one finding a field. */
const refuseInvalid: Hook<unknown, Env, string, unknown> = (result) => {
  if (result.success) return
  const findings = result.error.issues.map(
    ({ path, message }): Finding => ({
      code: 'C005',
      severity: 'error',
      at: [path.join('.')],
      says: `${path.length > 0 ? path.join('.') : `the ${result.target}`}: ${message}`,
      instead: 'see /v1/docs',
      witness: [],
    }),
  )
  throw new Problem(
    400,
    'C005',
    `the request's ${result.target === 'json' ? 'body' : result.target} is not understood: ${findings[0]?.says ?? ''}`,
    'see /v1/docs',
    { findings },
  )
}
export const resource = (): Api => new OpenAPIHono<Env>({ defaultHook: refuseInvalid })

/** Reads the bearer token once for the whole API. */
export const authenticate =
  (store: Store): MiddlewareHandler<Env> =>
  async (c, next) => {
    const header = c.req.header('authorization')
    const token = /^Bearer ([A-Za-z0-9_.~+/=-]{1,200})$/i.exec(header ?? '')?.[1]
    const challenge = { headers: { 'www-authenticate': 'Bearer realm="causeway"' } }
    if (!header)
      throw new Problem(
        401,
        'C001',
        'this needs an access token',
        "send the header Authorization: Bearer cwa_…; on the controller's machine the CLI finds one by itself",
        challenge,
      )
    const actor = token && (await actorOf(store.db, token))
    if (!actor) throw new Problem(401, 'C002', 'the access token is not known here', 'causeway login, with a token of this controller', challenge)
    c.set('actor', actor)
    await next()
  }
export const need =
  (permission: Permission): MiddlewareHandler<Env> =>
  async (c, next) => {
    const actor = c.get('actor')
    if (!may(actor, permission)) {
      const roles = rolesFor(permission)
      throw new Problem(403, 'C003', `role ${actor.role} may not do this`, `it needs ${roles.length > 1 ? `one of ${roles.join(', ')}` : roles[0]}`)
    }
    await next()
  }

export const limit = (bytes: number): MiddlewareHandler =>
  bodyLimit({
    maxSize: bytes,
    onError: () => {
      throw new Problem(
        413,
        'C004',
        `the request is larger than ${bytes >= 1 << 20 ? `${bytes >> 20} MB` : `${bytes >> 10} kB`}`,
        'send only what the documentation asks for',
      )
    },
  })

// ── headers ──
export function idempotencyKey(c: Context): string | undefined {
  const key = c.req.header('idempotency-key')
  if (key === undefined) return undefined
  if (!/^[\x21-\x7e]{1,200}$/.test(key))
    throw new Problem(400, 'C013', 'the Idempotency-Key is malformed', 'send 1 to 200 printable characters without spaces, such as a UUID')
  return key
}
/** If-Match names a generation; 412 when that is not the newest. */
export function matchGeneration(c: Context, head: number): void {
  const header = c.req.header('if-match')
  if (header === undefined || header === '*') return
  const named = /^"(\d{1,9})"$/.exec(header)?.[1]
  if (named === undefined)
    throw new Problem(400, 'C013', `If-Match: ${header.slice(0, 40)} is not a generation`, `write its number in quotes: "${head}"`)
  if (Number(named) !== head)
    throw new Problem(412, 'C024', `the network is at generation ${head}, not ${named}`, `read again, then repeat with If-Match: "${head}"`)
}
export const etag = (generation: number): Record<string, string> => ({ etag: `"${generation}"` })

// ── shapes ──
export const FindingShape = z
  .object({
    code: z.string(),
    severity: z.enum(['error', 'warning', 'note']),
    at: z.array(z.string()),
    says: z.string(),
    instead: z.string(),
    witness: z.array(z.string()),
  })
  .openapi('Finding')
export const ProblemShape = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string(),
    detail: z.string(),
    instead: z.string(),
    findings: z.array(FindingShape),
  })
  .openapi('Problem')
export const TripleShape = z.object({ term: z.int(), generation: z.int(), revision: z.int() }).openapi('Triple')
export const ProofShape = z.object({ expects: z.int(), held: z.int(), failures: z.int(), checks: z.int() }).openapi('Proof')
export const Time = z.iso.datetime().openapi({ example: '2026-11-23T09:12:00.000Z' })
export const time = (date: Date): string => date.toISOString()
export const timeOrNull = (date: Date | null): string | null => date && date.toISOString()

/** Findings as JSON wants them: mutable arrays. */
export const plain = (findings: readonly Finding[]) =>
  findings.map(({ code, severity, at, says, instead, witness }) => ({ code, severity, at: [...at], says, instead, witness: [...witness] }))

const problem = (description: string) => ({ description, content: { 'application/problem+json': { schema: ProblemShape } } })
/** Every route can answer these. */
export const problems = {
  400: problem('The request is not understood'),
  401: problem('No or unknown access token'),
  403: problem('The role does not allow it'),
  404: problem('No such thing'),
  503: problem('Database or workflows are away'),
} as const
export const conflicts = { 409: problem("It can't be done now"), 412: problem('If-Match names an older generation') } as const
export const json = <T extends z.ZodType>(schema: T, description: string) => ({ description, content: { 'application/json': { schema } } })
export const body = <T extends z.ZodType>(schema: T) => ({ body: { required: true, content: { 'application/json': { schema } } } })
export const security = [{ bearer: [] }]
export const IdempotencyHeader = z.object({
  'idempotency-key': z.string().optional().openapi({ description: 'Repeating a command with its key answers as the first time.' }),
  'if-match': z.string().optional().openapi({ description: 'A generation in quotes; 412 when it is not the newest.' }),
})

/** The site's row, or a refusal that suggests what was meant. */
export async function knownSite(db: Db, id: string): Promise<SiteRow> {
  const row = await sites.get(db, id)
  if (row) return row
  const close = suggest(
    id,
    (await sites.list(db)).map((site) => site.id),
  )
  throw missing('site', `"${id}"`, close ? `did you mean "${close}"?` : 'name it in the intent and apply that first')
}
export const missing = (what: string, name: string, instead: string): Problem => new Problem(404, 'C007', `there is no ${what} ${name}`, instead)
