/**
 * The agents' own listener, apart from the API: TLS 1.3, the certificate names the network, a client certificate is asked
 * of everybody and needed for all but enrolment. The routes are those of `src/wire/messages.ts`.
 */
import { constants } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { getRequestListener, type HttpBindings } from '@hono/node-server'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { streamSSE } from 'hono/streaming'
import * as z from 'zod/mini'
import { EnrolRequest, Hint, PermitRequest, RenewRequest, Report, type ReportAnswer } from '#src/wire/messages.ts'
import { permit, signedBundle } from './bundles.ts'
import { type Enrolment, notTheDevice } from './enrolment.ts'
import { createLimiter } from './limits.ts'
import type { Notifications } from './notifications.ts'
import type { Authority } from './pki/authority.ts'
import type { Vault } from './pki/vault.ts'
import { Problem, problemDocument, problemOf } from './problem.ts'
import type { Reports } from './reports.ts'
import { sealedSecret } from './secrets.ts'
import { measureOrder } from './path-tests.ts'
import { bundles, certificates, claims, drills, pathTests, replacements, sites, type Store } from './store/index.ts'

export interface AgentsDeps {
  readonly store: Store
  readonly authority: Authority
  readonly vault: Vault
  readonly enrolment: Enrolment
  readonly reports: Reports
  readonly notifications: Notifications
  readonly now: () => Date
  readonly log: (error: unknown) => void
}
export type Listen = { readonly kind: 'port'; readonly port: number; readonly host: string } | { readonly kind: 'socket'; readonly path: string }
export interface AgentsListener {
  /** The port that was taken, or null on a UNIX socket. */
  readonly port: number | null
  close(): Promise<void>
}

const reportLimit = 256 << 10
const messageLimit = 64 << 10
const keepAliveMs = 15_000
const day = 86_400_000

interface Device {
  readonly site: string
  readonly thumbprint: string
  readonly serial: string
  readonly notAfter: Date
  /** It is to take the place of the site's box, which still runs. */
  readonly successor: boolean
}
interface Env {
  Bindings: HttpBindings
  Variables: { device: Device }
}

export function agentsApp({ store, authority, vault, enrolment, reports, notifications, now, log }: AgentsDeps): Hono<Env> {
  const app = new Hono<Env>()
  const strangers = createLimiter({ burst: 60, perSecond: 5, now: () => performance.now() })
  const devices = createLimiter({ burst: 60, perSecond: 10, now: () => performance.now() })
  const streams = new Map<string, () => void>()

  app.onError((error, c) => {
    const problem = problemOf(error, log)
    return c.json(problemDocument(problem), problem.status as 400, { 'content-type': 'application/problem+json', ...problem.headers })
  })
  app.notFound((c) => {
    const problem = new Problem(
      404,
      'C006',
      `there is nothing at ${c.req.method} ${c.req.path.slice(0, 200)}`,
      'agent and controller are of different versions',
    )
    return c.json(problemDocument(problem), 404, { 'content-type': 'application/problem+json' })
  })

  const socketOf = (c: Context<Env>): TLSSocket => c.env.incoming.socket as TLSSocket
  /** Signed by our authority; may have expired. */
  const certified = (c: Context<Env>): Omit<Device, 'successor'> & { readonly expired: boolean } => {
    const peer = authority.peer(socketOf(c), now())
    if (!peer.ok) throw new Problem(401, peer.code as 'C073', peer.says, peer.instead)
    slow(devices.take(peer.serial))
    return peer
  }
  /** And known: not revoked, and the site's present box. */
  const device: MiddlewareHandler<Env> = async (c, next) => {
    const peer = certified(c)
    if (peer.expired) throw new Problem(401, 'C055', `the certificate ended ${peer.notAfter.toISOString()}`, 'renew it first')
    const [certificate, site] = await Promise.all([certificates.get(store.db, peer.serial), sites.get(store.db, peer.site)])
    if (!certificate || certificate.revoked_at || !site) return await farewell(c, peer)
    // Until the site's entity has read the claim it names no device; the claim does.
    const speaks =
      site.device === null
        ? (await claims.ofSite(store.db, peer.site)).some(({ thumbprint, state }) => thumbprint === peer.thumbprint && state === 'enrolled')
        : site.device === peer.thumbprint
    const successor = !speaks && (await replacements.get(store.db, peer.site))?.device === peer.thumbprint
    if (!speaks && !successor) return await farewell(c, peer)
    if (!certificate.seen_at) await certificates.seen(store.db, peer.serial)
    c.set('device', { ...peer, successor })
    return await next()
  }
  /** Not the site's box. One whose place was given to another is told so, and what to do: nobody else would. */
  const farewell = async (c: Context<Env>, { site, thumbprint }: Pick<Device, 'site' | 'thumbprint'>): Promise<Response> => {
    const own = (await claims.ofSite(store.db, site)).find((claim) => claim.thumbprint === thumbprint)
    if (own?.state !== 'replaced' || c.req.path !== '/v1/report') throw notTheDevice(site)
    const answer: ReportAnswer = {
      assigned: null,
      trustVersion: authority.trustPayload.version,
      serverTime: now().toISOString(),
      reportEverySeconds: 5,
      wipe: true,
      replaced: true,
    }
    return c.json(answer)
  }

  app.post('/v1/enrol', limited(messageLimit), async (c) => {
    slow(strangers.take(socketOf(c).remoteAddress ?? ''))
    return c.json(await enrolment.enrol(await read(c, EnrolRequest)))
  })
  app.post('/v1/renew', limited(messageLimit), async (c) => c.json(await enrolment.renew(await read(c, RenewRequest), certified(c))))

  app.post('/v1/report', limited(reportLimit), device, async (c) => {
    const { site, thumbprint, successor } = c.get('device')
    const report = await read(c, Report)
    await (successor ? reports.acceptSuccessor(site, thumbprint, report) : reports.accept(site, thumbprint, report))
    const row = await sites.get(store.db, site)
    const triple = await replacements.assignedTo(store.db, site, thumbprint)
    const assigned = triple ? await bundles.get(store.db, site, triple) : undefined
    const drill = successor ? undefined : await drills.orderFor(store.db, site)
    const test = successor ? undefined : await pathTests.orderFor(store.db, site, now())
    const answer: ReportAnswer = {
      assigned: triple && assigned ? { triple, hash: assigned.hash } : null,
      trustVersion: authority.trustPayload.version,
      serverTime: now().toISOString(),
      // Spread by a tenth, or all that were cut off together would speak together ever after.
      reportEverySeconds: (row?.report_every ?? 5) * (0.9 + 0.2 * Math.random()),
      // Its peers have let go of it; until then a leaving site keeps what is assigned.
      ...(row?.state === 'DECOMMISSIONING' && row.assigned === null ? { wipe: true } : {}),
      ...(drill?.ordered ? { drill: drill.ordered } : {}),
      ...(test ? { measure: measureOrder(authority, c.get('device').thumbprint, test) } : {}),
    }
    return c.json(answer)
  })

  app.get('/v1/bundle', device, async (c) => {
    const { site, thumbprint } = c.get('device')
    const { term, generation, revision } = c.req.query()
    const triple = { term: Number(term), generation: Number(generation), revision: Number(revision) }
    if (![triple.term, triple.generation, triple.revision].every((n) => Number.isSafeInteger(n) && n >= 0 && n < 2 ** 31))
      throw new Problem(400, 'C050', 'a bundle is asked for by term, generation and revision', 'as in /v1/bundle?term=1&generation=42&revision=0')
    return c.json(await signedBundle(store, authority, { site, device: thumbprint, triple, now: now() }))
  })

  app.get('/v1/secret', device, async (c) => {
    const { site, thumbprint } = c.get('device')
    const { id = '', version } = c.req.query()
    if (id === '' || !/^\d{1,9}$/.test(version ?? ''))
      throw new Problem(400, 'C050', 'a secret is asked for by id and version', 'as in /v1/secret?id=psk/…&version=1')
    return c.json(await sealedSecret(store, vault, { network: authority.network, site, device: thumbprint, id, version: Number(version) }))
  })

  app.post('/v1/permit', limited(messageLimit), device, async (c) => {
    const { site, thumbprint } = c.get('device')
    const { triple, nonce } = await read(c, PermitRequest)
    if (nonce.length < 16 || nonce.length > 200) throw new Problem(400, 'C050', 'the nonce has to have 16 to 200 characters', 'take random bytes')
    return c.json(await permit(store, authority, { site, device: thumbprint, triple, nonce }))
  })

  app.get('/v1/trust', device, (c) => c.json(authority.trust))

  app.get('/v1/hints', device, (c) => {
    const { site, thumbprint } = c.get('device')
    return streamSSE(c, async (stream) => {
      let wake = () => {}
      let dirty = true
      const stir = () => {
        dirty = true
        wake()
      }
      // One stream a box: the one before belongs to a connection that the box has given up.
      streams.get(thumbprint)?.()
      let ended = false
      const end = () => {
        ended = true
        wake()
      }
      streams.set(thumbprint, end)
      const stop = notifications.on('assigned', (payload) => {
        if (payload === site || payload === '') stir()
      })
      stream.onAbort(end)
      let said: string | undefined
      try {
        while (!ended) {
          if (dirty) {
            dirty = false
            const [row, successor] = await Promise.all([sites.get(store.db, site), replacements.get(store.db, site)])
            if (row?.device && row.device !== thumbprint && successor?.device !== thumbprint) return
            const [assigned, test] = [await replacements.assignedTo(store.db, site, thumbprint), await pathTests.orderFor(store.db, site, now())]
            const hint: z.infer<typeof Hint> = { assigned, ...(test ? { test: test.id } : {}) }
            const data = JSON.stringify(hint)
            if (data !== said) await stream.writeSSE({ event: 'hint', data })
            said = data
            continue
          }
          const quiet = await new Promise<boolean>((resolve) => {
            const timer = setTimeout(() => resolve(true), keepAliveMs)
            wake = () => {
              clearTimeout(timer)
              resolve(false)
            }
          })
          if (quiet) await stream.write(':\n\n')
        }
      } finally {
        stop()
        if (streams.get(thumbprint) === end) streams.delete(thumbprint)
      }
    })
  })
  return app
}

const limited = (bytes: number): MiddlewareHandler =>
  bodyLimit({
    maxSize: bytes,
    onError: () => {
      throw new Problem(413, 'C004', `the message is larger than ${bytes >> 10} kB`, 'agent and controller are of different versions')
    },
  })

function slow(seconds: number): void {
  if (seconds > 0)
    throw new Problem(429, 'C014', 'too many requests', `ask again in ${Math.ceil(seconds)} s`, {
      headers: { 'retry-after': String(Math.ceil(seconds)) },
    })
}

async function read<T extends z.core.$ZodType>(c: Context<Env>, schema: T): Promise<z.output<T>> {
  const body: unknown = await c.req.json().catch(() => {
    throw new Problem(400, 'C050', 'the message is not JSON', 'agent and controller are of different versions')
  })
  const result = z.safeParse(schema, body)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw new Problem(
    400,
    'C050',
    `the message is not understood: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`,
    'agent and controller are of different versions',
  )
}

/** Listens on the port, or on the next free one after it; or on a UNIX socket. */
export async function startAgents(deps: AgentsDeps, listen: Listen): Promise<AgentsListener> {
  const app = agentsApp(deps)
  const credentials = async () => {
    const { cert, key } = await deps.authority.serverCredentials(deps.now())
    return { cert, key, ca: [...deps.authority.ca], minVersion: 'TLSv1.3' as const, secureOptions: constants.SSL_OP_NO_TICKET }
  }
  const server = createServer(
    // Refused by us with a sentence, not by TLS with an alert: enrolment has no certificate, a renewal may have an expired one.
    {
      ...(await credentials()),
      requestCert: true,
      rejectUnauthorized: false,
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      keepAliveTimeout: 75_000,
    },
    getRequestListener(app.fetch) as Parameters<typeof createServer>[1],
  )
  const renew = setInterval(() => {
    credentials().then((fresh) => server.setSecureContext(fresh), deps.log)
  }, day)
  renew.unref()
  const port = listen.kind === 'socket' ? await listenSocket(server, listen.path) : await listenPort(server, listen.port, listen.host)
  return {
    port,
    close: async () => {
      clearInterval(renew)
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function listenSocket(server: Server, path: string): Promise<null> {
  await rm(path, { force: true })
  await once(server, () => server.listen(path))
  return null
}
const tries = 100
/** Shared with the API's listener. */
export async function listenPort(
  server: Pick<Server, 'listen' | 'once' | 'removeListener' | 'address'>,
  first: number,
  host: string,
): Promise<number> {
  for (let port = first; port < first + tries && port <= 65_535; port++) {
    try {
      await once(server, () => server.listen(port, host))
      return (server.address() as AddressInfo).port
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
  const last = Math.min(65_535, first + tries - 1)
  throw new Problem(
    500,
    'C046',
    first === last ? `port ${first} is taken` : `ports ${first} to ${last} are all taken`,
    'choose another: causeway serve --port 8800',
  )
}
function once(server: Pick<Server, 'once' | 'removeListener'>, listen: () => unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => {
      server.removeListener('listening', done)
      reject(error)
    }
    const done = () => {
      server.removeListener('error', failed)
      resolve()
    }
    server.once('error', failed)
    server.once('listening', done)
    listen()
  })
}
