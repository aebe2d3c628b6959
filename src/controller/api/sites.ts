import { createRoute, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { confirmationCode } from '#src/wire/confirmation.ts'
import { newToken } from '../pki/tokens.ts'
import { Problem } from '../problem.ts'
import { claims, generations, paths, type Purpose, replacements, sites, type SiteState, tokens } from '../store/index.ts'
import type { ClaimRow } from '../store/claims.ts'
import type { PathRow } from '../store/paths.ts'
import type { SiteRow } from '../store/sites.ts'
import type { InviteCommand } from '#workflows/contract.ts'
import {
  type ApiDeps,
  body,
  conflicts,
  type Env,
  FindingShape,
  IdempotencyHeader,
  json,
  knownSite,
  need,
  plain,
  problems,
  resource,
  security,
  Time,
  time,
  timeOrNull,
  TripleShape,
} from './context.ts'
import { mutate } from './mutate.ts'
import { Accepted, accepted } from './operations.ts'

const states = [
  'DECLARED',
  'INVITED',
  'EXPIRED',
  'CLAIMED',
  'ENROLLED',
  'QUARANTINED',
  'PROVISIONING',
  'ACTIVE',
  'CHANGING',
  'DRAINING',
  'MAINTENANCE',
  'REPLACING',
  'DECOMMISSIONING',
  'RETIRED',
] as const satisfies readonly SiteState[]
const Site = z
  .object({
    id: z.string(),
    role: z.enum(['edge', 'core']),
    state: z.enum(states),
    stateSince: Time,
    online: z.boolean(),
    lastSeen: Time.nullable(),
    headlessSince: Time.nullable(),
    /** Thumbprint of the box's key. */
    device: z.string().nullable(),
    assigned: TripleShape.nullable(),
    running: TripleShape.nullable(),
    pending: TripleShape.nullable(),
    tunnels: z.object({ total: z.int(), up: z.int() }),
    /** Its service window; `packets` and `bytes`: what its box passed on from tunnel to tunnel since it began. */
    drain: z.object({ until: Time, drained: z.boolean(), packets: z.int(), bytes: z.int() }).nullable(),
    /** Of two gateways at a site: whether this one has its LANs, as it last said. null: it is alone. */
    carries: z.boolean().nullable(),
    finding: FindingShape.nullable(),
  })
  .openapi('Site')
const Claim = z.object({
  fingerprint: z.string(),
  serial: z.string(),
  state: z.enum(['claimed', 'enrolled', 'quarantined', 'superseded', 'replaced']),
  confirmationCode: z.string(),
  since: Time,
  hostname: z.string(),
  os: z.string(),
})
const SiteDetail = Site.extend({
  claims: z.array(Claim),
  token: z.object({ id: z.string(), expiresAt: Time, usedAt: Time.nullable(), replaced: z.boolean() }).nullable(),
  reported: z.array(z.object({ code: z.string(), severity: z.enum(['error', 'warning', 'note']), says: z.string(), instead: z.string() })),
  commit: z.object({ state: z.string(), why: z.string() }).nullable(),
  inventory: z.record(z.string(), z.unknown()).nullable(),
  /** A box that is to take over, beside the one that still runs. */
  replacement: z
    .object({
      device: z.string().nullable(),
      takingOver: z.boolean(),
      running: TripleShape.nullable(),
      lastSeen: Time.nullable(),
      failed: z.string(),
    })
    .nullable(),
}).openapi('SiteDetail')

const SiteParams = z.object({
  id: z
    .string()
    .max(63)
    .openapi({ param: { name: 'id', in: 'path' }, example: 'berlin' }),
})

const tunnelsOf = (of: readonly PathRow[]) => ({ total: of.length, up: of.filter(({ state }) => state === 'UP' || state === 'DEGRADED').length })
const drainOf = (row: SiteRow) => {
  if (row.drain === null) return null
  const said = row.drain_report?.until === row.drain.until ? row.drain_report : null
  return { until: row.drain.until, drained: said?.drained ?? false, packets: said?.packets ?? 0, bytes: said?.bytes ?? 0 }
}
const siteOf = (row: SiteRow, rows: readonly PathRow[], now: Date) => ({
  id: row.id,
  role: row.role,
  state: row.state,
  stateSince: time(row.state_since),
  online: sites.isOnline(row, now),
  lastSeen: timeOrNull(row.last_seen),
  headlessSince: timeOrNull(row.headless_since),
  device: row.device,
  assigned: row.assigned,
  running: row.running,
  pending: row.pending && row.pending.triple,
  tunnels: tunnelsOf(rows.filter(({ site }) => site === row.id)),
  drain: drainOf(row),
  carries: row.carries,
  finding: row.finding && plain([row.finding])[0]!,
})
const claimOf = (of: ClaimRow) => ({
  fingerprint: of.thumbprint,
  serial: of.serial,
  state: of.state,
  confirmationCode: confirmationCode(of.thumbprint),
  since: time(of.created_at),
  hostname: of.inventory.hostname,
  os: of.inventory.os,
})

const listRoute = createRoute({
  method: 'get',
  path: '/sites',
  operationId: 'listSites',
  tags: ['sites'],
  summary: 'Every site that a generation names',
  security,
  middleware: [need('read')] as const,
  responses: { 200: json(z.object({ sites: z.array(Site) }), 'Sorted by id'), ...problems },
})
const showRoute = createRoute({
  method: 'get',
  path: '/sites/{id}',
  operationId: 'getSite',
  tags: ['sites'],
  summary: 'One site, its boxes and what they report',
  security,
  middleware: [need('read')] as const,
  request: { params: SiteParams },
  responses: { 200: json(SiteDetail, 'The site'), ...problems },
})
const NewToken = z.object({ token: z.string(), site: z.string(), expiresAt: Time, operation: z.string() }).openapi('BootstrapToken')
const longestHours = 72
const TokenRequest = z
  .object({ hours: z.number().optional().openapi({ description: 'How long it lives, 24 by default.', example: 24 }) })
  .openapi('TokenRequest')
const tokenRoute = createRoute({
  method: 'post',
  path: '/sites/{id}/tokens',
  operationId: 'createToken',
  tags: ['sites'],
  summary: 'A bootstrap token: one use, this site only, shown once',
  security,
  middleware: [need('invite')] as const,
  request: { params: SiteParams, headers: IdempotencyHeader, ...body(TokenRequest) },
  responses: { 201: json(NewToken, 'Give it to the installer'), ...problems, ...conflicts },
})
const replaceRoute = createRoute({
  method: 'post',
  path: '/sites/{id}/replace',
  operationId: 'replaceSite',
  tags: ['sites'],
  summary: 'A token for another box: the one that runs goes on until an approved new one carries its traffic',
  security,
  middleware: [need('operate')] as const,
  request: { params: SiteParams, headers: IdempotencyHeader, ...body(TokenRequest) },
  responses: { 201: json(NewToken, 'Give it to the installer'), ...problems, ...conflicts },
})
const ApproveRequest = z
  .object({ fingerprint: z.string().min(1).max(200).openapi({ description: "Of the box's key, at least 16 characters." }) })
  .openapi('ApproveRequest')
const approveRoute = createRoute({
  method: 'post',
  path: '/sites/{id}/approve',
  operationId: 'approveSite',
  tags: ['sites'],
  summary: "Yes, this very box is the site's",
  security,
  middleware: [need('operate')] as const,
  request: { params: SiteParams, headers: IdempotencyHeader, ...body(ApproveRequest) },
  responses: { 202: accepted('The box will get its certificate when it asks again'), ...problems, ...conflicts },
})
const DrainRequest = z
  .object({
    seconds: z.int().optional().openapi({ description: 'After that it is put back by itself: 10 to 604800, 3600 by default.', example: 3600 }),
    force: z.boolean().optional().openapi({ description: 'Also if something is lost that no other hub can carry.' }),
  })
  .openapi('DrainRequest')
const drainRoute = createRoute({
  method: 'post',
  path: '/sites/{id}/drain',
  operationId: 'drainSite',
  tags: ['sites'],
  summary: 'Peers send through it last; ends when nothing passes it any more',
  security,
  middleware: [need('operate')] as const,
  request: { params: SiteParams, headers: IdempotencyHeader, ...body(DrainRequest) },
  responses: { 202: accepted('It goes on as an operation'), ...problems, ...conflicts },
})
const undrainRoute = createRoute({
  method: 'post',
  path: '/sites/{id}/undrain',
  operationId: 'undrainSite',
  tags: ['sites'],
  summary: 'Ends its service window: peers send through it as before',
  security,
  middleware: [need('operate')] as const,
  request: { params: SiteParams, headers: IdempotencyHeader },
  responses: { 202: accepted('It goes on as an operation'), ...problems, ...conflicts },
})
const decommissionRoute = createRoute({
  method: 'post',
  path: '/sites/{id}/decommission',
  operationId: 'decommissionSite',
  tags: ['sites'],
  summary: 'Drain, remove from its peers, and last wipe its keys',
  security,
  middleware: [need('operate')] as const,
  request: { params: SiteParams, headers: IdempotencyHeader },
  responses: { 202: accepted('It goes on as an operation'), ...problems, ...conflicts },
})

/** Seconds. */
const [shortestWindow, longestWindow] = [10, 7 * 86_400]

/** A token is for a site without a box; a QUARANTINED one starts over with a new one. */
const invitable: readonly SiteState[] = ['DECLARED', 'INVITED', 'EXPIRED', 'CLAIMED', 'QUARANTINED']

export const sitesApi = (deps: ApiDeps) => {
  const { db } = deps.store
  const found = (id: string) => knownSite(db, id)
  /** A token is shown in this one answer and only its hash is kept. */
  const issue = async (c: Context<Env>, row: SiteRow, hours = 24, { purpose, refuse, send }: Issue) => {
    if (!(hours >= 1 / 60 && hours <= longestHours))
      throw new Problem(400, 'C033', `a token can't live ${hours} hours`, `choose from one minute to ${longestHours} hours`)
    const material = deps.tokens()
    if (!material) throw new Problem(409, 'C030', `${row.id} takes no token yet: no generation was applied`, 'causeway apply')
    const token = newToken({ ...material, expiresAt: new Date(deps.now().getTime() + hours * 3_600_000) })
    const done = await mutate(c, deps, {
      kind: purpose === 'enrol' ? 'invite' : 'replace',
      subject: `site/${row.id}`,
      args: { hours, tokenId: token.id },
      identity: { hours },
      within: async (tx) => {
        const refusal = refuse(await sites.lock(tx, row.id))
        if (refusal) throw refusal
        await tokens.issue(tx, { id: token.id, site: row.id, purpose, hash: token.hash, expiresAt: token.expiresAt, createdBy: c.get('actor').id })
      },
      send: (ids, { tokenId }) => send(row.id, { ...ids, tokenId }),
    })
    if (done.repeated)
      throw new Problem(
        409,
        'C015',
        'this token was shown already and is not kept',
        `for another one leave the Idempotency-Key out: causeway site ${purpose === 'enrol' ? 'token' : 'replace'} ${row.id}`,
      )
    return { token: token.text, site: row.id, expiresAt: time(token.expiresAt), operation: done.operationId }
  }
  const told = (operation: string) => ({ location: `/v1/operations/${operation}`, 'cache-control': 'no-store' })
  return resource()
    .openapi(listRoute, async (c) => {
      const [rows, reported] = await Promise.all([sites.list(db), paths.all(db)])
      return c.json({ sites: rows.map((row) => siteOf(row, reported, deps.now())) }, 200)
    })
    .openapi(showRoute, async (c) => {
      const row = await found(c.req.valid('param').id)
      const [reported, boxes, token, next] = await Promise.all([
        paths.ofSite(db, row.id),
        claims.ofSite(db, row.id),
        tokens.newest(db, row.id),
        replacements.get(db, row.id),
      ])
      const why = row.commit && (row.commit.state === 'rolled-back' || row.commit.state === 'refused') ? row.commit.why : ''
      return c.json(
        {
          ...siteOf(row, reported, deps.now()),
          claims: boxes.map(claimOf),
          token: token
            ? { id: token.id, expiresAt: time(token.expires_at), usedAt: timeOrNull(token.redeemed_at), replaced: token.revoked_at !== null }
            : null,
          reported: [...row.findings],
          commit: row.commit && { state: row.commit.state, why },
          inventory: row.inventory ?? boxes[0]?.inventory ?? null,
          replacement: next
            ? {
                device: next.device,
                takingOver: next.former !== null,
                running: next.running,
                lastSeen: timeOrNull(next.last_seen),
                failed: next.failed ?? '',
              }
            : null,
        },
        200,
      )
    })
    .openapi(tokenRoute, async (c) => {
      const row = await found(c.req.valid('param').id)
      const made = await issue(c, row, c.req.valid('json').hours, {
        purpose: 'enrol',
        refuse: (now) =>
          now && invitable.includes(now.state)
            ? null
            : new Problem(
                409,
                'C030',
                `${row.id} is ${now?.state ?? 'gone'} and takes no token`,
                now?.device ? `to exchange its box: causeway site replace ${row.id}` : `causeway site status ${row.id}`,
              ),
        send: deps.commands.invite,
      })
      return c.json(made, 201, told(made.operation))
    })
    .openapi(replaceRoute, async (c) => {
      const row = await found(c.req.valid('param').id)
      const made = await issue(c, row, c.req.valid('json').hours, {
        purpose: 'replace',
        refuse: (now) => {
          if (now?.device && (now.state === 'ACTIVE' || now.state === 'REPLACING')) return null
          return now?.device
            ? new Problem(409, 'C135', `the box of ${row.id} can't be replaced now: it is ${now.state}`, `causeway site status ${row.id}`)
            : new Problem(409, 'C135', `${row.id} has no box that could be replaced: it is ${now?.state ?? 'gone'}`, `causeway site token ${row.id}`)
        },
        send: deps.commands.replace,
      })
      return c.json(made, 201, told(made.operation))
    })
    .openapi(approveRoute, async (c) => {
      const row = await found(c.req.valid('param').id)
      const { fingerprint } = c.req.valid('json')
      const claim = await claims.waiting(db, row.id, fingerprint)
      if (!claim) throw await nobodyWaits(deps, row.id, fingerprint)
      const done = await mutate(c, deps, {
        kind: 'approve',
        subject: `site/${row.id}`,
        args: { fingerprint: claim.thumbprint },
        within: async () => {},
        send: (ids) => deps.commands.approve(row.id, { ...ids, fingerprint: claim.thumbprint }),
      })
      return c.json(Accepted.parse({ operation: done.operationId }), 202, { location: `/v1/operations/${done.operationId}` })
    })
    .openapi(drainRoute, async (c) => {
      const row = await found(c.req.valid('param').id)
      const { seconds = 3_600, force = false } = c.req.valid('json')
      if (seconds < shortestWindow || seconds > longestWindow)
        throw new Problem(
          400,
          'C134',
          `a window can't last ${seconds} seconds`,
          `choose from ${shortestWindow} seconds to ${longestWindow / 86_400} days`,
        )
      const until = new Date(deps.now().getTime() + seconds * 1_000).toISOString()
      const done = await mutate(c, deps, {
        kind: 'drain',
        subject: `site/${row.id}`,
        args: { seconds, force, until },
        identity: { seconds, force },
        within: async (tx) => {
          const now = await sites.lock(tx, row.id)
          if (now?.state !== 'ACTIVE')
            throw new Problem(409, 'C131', `${row.id} can't be drained now: it is ${now?.state ?? 'gone'}`, `causeway site status ${row.id}`)
        },
        send: (ids, given) => deps.commands.drain(row.id, { ...ids, until: given.until }),
      })
      return c.json(Accepted.parse({ operation: done.operationId }), 202, { location: `/v1/operations/${done.operationId}` })
    })
    .openapi(undrainRoute, async (c) => {
      const row = await found(c.req.valid('param').id)
      const done = await mutate(c, deps, {
        kind: 'undrain',
        subject: `site/${row.id}`,
        args: {},
        within: async (tx) => {
          const now = await sites.lock(tx, row.id)
          if (now?.drain) return
          const returns = now?.state === 'DRAINING' || now?.state === 'MAINTENANCE'
          const says = returns ? `${row.id} is on its way back already` : `${row.id} is ${now?.state ?? 'gone'}: it is not drained`
          throw new Problem(409, 'C132', says, `causeway site status ${row.id}`)
        },
        send: (ids) => deps.commands.undrain(row.id, ids),
      })
      return c.json(Accepted.parse({ operation: done.operationId }), 202, { location: `/v1/operations/${done.operationId}` })
    })
    .openapi(decommissionRoute, async (c) => {
      const row = await found(c.req.valid('param').id)
      const done = await mutate(c, deps, {
        kind: 'decommission',
        subject: `site/${row.id}`,
        args: {},
        within: async (tx) => {
          const now = await sites.lock(tx, row.id)
          if (!now || now.state === 'DECOMMISSIONING' || now.state === 'RETIRED')
            throw new Problem(409, 'C032', `${row.id} is ${now?.state ?? 'gone'} already`, `causeway site status ${row.id}`)
          const head = await generations.head(tx)
          const hub = head?.fabric.sites.find((site) => site.id === row.id)?.hub ?? false
          if (hub && now.device)
            throw new Problem(409, 'C032', `${row.id} is a hub that others depend on`, 'take it out of hubs: in the intent and apply that first')
        },
        send: (ids) => deps.commands.decommission(row.id, ids),
      })
      return c.json(Accepted.parse({ operation: done.operationId }), 202, { location: `/v1/operations/${done.operationId}` })
    })
}

interface Issue {
  readonly purpose: Purpose
  /** Of the row as it is in the transaction. */
  readonly refuse: (now: SiteRow | undefined) => Problem | null
  readonly send: (site: string, command: InviteCommand) => Promise<unknown>
}

async function nobodyWaits(deps: ApiDeps, site: string, fingerprint: string): Promise<Problem> {
  if (claims.normalFingerprint(fingerprint).length < 16)
    return new Problem(409, 'C031', `"${fingerprint}" is too short to name one box`, 'give at least the first 16 characters of the fingerprint')
  const waiting = (await claims.ofSite(deps.store.db, site)).filter(({ state }) => state === 'claimed')
  return new Problem(
    409,
    'C031',
    `no box with this fingerprint waits for ${site}`,
    waiting[0]
      ? `the one that waits has ${waiting[0].thumbprint.slice(0, 16)} and code ${confirmationCode(waiting[0].thumbprint)}: compare with the installer`
      : `none waits: causeway site token ${site}, and have the installer paste it`,
  )
}
