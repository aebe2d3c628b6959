/** The API over real HTTP and a real database; workflows are recorded instead of run. */
import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { grant } from '#src/controller/access.ts'
import { createApp } from '#src/controller/api/app.ts'
import { connect } from '#src/controller/api/client.ts'
import { type Notifications, openNotifications } from '#src/controller/notifications.ts'
import { openVault, type Vault } from '#src/controller/pki/vault.ts'
import { provideSecrets } from '#src/controller/peers.ts'
import { planner } from '#src/controller/planner.ts'
import {
  type AccessRole,
  audit,
  certificates,
  claims,
  commands,
  drills,
  events,
  facts,
  generations,
  operations,
  paths,
  pathTests,
  plans,
  replacements,
  secrets,
  sites,
  type Store,
} from '#src/controller/store/index.ts'
import type { SiteId } from '#src/fabric/fabric.ts'
import type { MeasureReport } from '#src/wire/messages.ts'
import { demoFiles } from '../demo.ts'
import { startTestDatabase, type TestDatabase } from '../store/fixture.ts'

let database: TestDatabase
let store: Store
let notifications: Notifications
let server: Server
let url: string
let tokens: Record<AccessRole, string>
let sent: { readonly name: string; readonly args: readonly unknown[] }[]
/** What workflows do with the next command. */
let away: Error | null
let again: number
let named: string | null
let vault: Vault
/** Sites whose configuration is to be made anew. */
let woken: string[]
/** A mistake of the controller's own. */
let broken: Error | null
let logged: unknown[]

beforeAll(async () => {
  database = await startTestDatabase()
}, 60_000)
afterAll(() => database.stop())
beforeEach(async () => {
  store = await database.store()
  notifications = await openNotifications(store)
  sent = []
  away = null
  again = 0
  named = null
  woken = []
  vault = await openVault(randomBytes(32), secrets.rows(store.db))
  broken = null
  logged = []
  const say =
    (name: string) =>
    async (...args: unknown[]) => {
      if (away) throw away
      sent.push({ name, args })
    }
  const app = createApp({
    store,
    notifications,
    planner,
    clouds: async () => undefined,
    vault,
    facts: async (site) => void woken.push(site),
    trust: () => null,
    commands: {
      apply: say('apply'),
      rollout: say('rollout'),
      invite: say('invite'),
      approve: say('approve'),
      replace: say('replace'),
      drain: say('drain'),
      undrain: say('undrain'),
      decommission: say('decommission'),
      drill: say('drill'),
      scheduleDrills: say('scheduleDrills'),
      repairRegion: say('repairRegion'),
      decommissionRegion: say('decommissionRegion'),
    },
    tokens: () => {
      if (broken) throw broken
      return named ? { caPin: Buffer.alloc(20, 7), host: 'ctl.acme.net:7701' } : null
    },
    named: async (network) => void (named = network),
    again: () => void again++,
    now: () => new Date(),
    version: '0.1.0',
    log: (error) => logged.push(error),
  })
  server = createServer(getRequestListener(app.fetch) as Parameters<typeof createServer>[1])
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const made = await Promise.all(
    (['viewer', 'installer', 'cloud', 'operator', 'admin'] as const).map(async (role) => [role, (await grant(store.db, role, role)).token] as const),
  )
  tokens = Object.fromEntries(made) as typeof tokens
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await notifications.close()
  await store.close()
})

interface Answer {
  readonly status: number
  readonly headers: Headers
  // The shape is what each test expects.
  readonly body: { readonly [name: string]: unknown }
}
async function call(
  method: string,
  path: string,
  body?: unknown,
  { as = 'admin', headers = {} }: { readonly as?: AccessRole | 'nobody'; readonly headers?: Record<string, string> } = {},
): Promise<Answer> {
  const answer = await fetch(`${url}${path}`, {
    method,
    redirect: 'manual',
    headers: {
      ...(as === 'nobody' ? {} : { authorization: `Bearer ${tokens[as]}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await answer.text()
  const isJson = answer.headers.get('content-type')?.includes('json') ?? false
  return { status: answer.status, headers: answer.headers, body: isJson ? (JSON.parse(text) as Answer['body']) : { text } }
}
const problem = (code: string, status: number, detail: RegExp | string, instead: RegExp | string = /./) => ({
  status,
  body: expect.objectContaining({
    code,
    status,
    type: `/v1/docs#${code}`,
    detail: expect.stringMatching(detail) as string,
    instead: expect.stringMatching(instead) as string,
  }) as unknown,
})

const planDemo = async (files = demoFiles()): Promise<string> => (await call('POST', '/v1/plans', { files })).body['id'] as string
/** What the network's workflow does with an apply. */
async function applied(files = demoFiles()): Promise<void> {
  const id = await planDemo(files)
  const { body } = await call('POST', `/v1/plans/${id}/apply`)
  const operation = body['operation'] as string
  await store.transaction(async (tx) => {
    const plan = (await plans.get(tx, id))!
    await generations.commit(tx, plan, {}, operation)
    for (const site of plan.fabric!.sites) await sites.declare(tx, site.id, site.role)
    await provideSecrets(tx, vault, plan.fabric!, 'anna')
    await operations.end(tx, operation, 'succeeded')
  })
}

test('without a token, with an unknown one, or with too small a role nothing is told', async () => {
  expect(await call('GET', '/v1/status', undefined, { as: 'nobody' })).toMatchObject(
    problem('C001', 401, 'needs an access token', 'Authorization: Bearer'),
  )
  expect(await call('GET', '/v1/status', undefined, { as: 'nobody', headers: { authorization: 'Bearer cwa_wrong' } })).toMatchObject(
    problem('C002', 401, 'not known', 'causeway login'),
  )
  expect(await call('POST', '/v1/plans', { files: demoFiles() }, { as: 'viewer' })).toMatchObject(
    problem('C003', 403, 'role viewer', 'cloud, operator, admin'),
  )
  expect(await call('POST', '/v1/sites/berlin/tokens', {}, { as: 'cloud' })).toMatchObject(problem('C003', 403, 'role cloud', 'installer'))
  expect(await call('GET', '/v1/access', undefined, { as: 'operator' })).toMatchObject(problem('C003', 403, 'role operator', 'it needs admin'))
})

test('what is not there, and what is not understood', async () => {
  expect(await call('GET', '/v1/site')).toMatchObject(problem('C006', 404, 'nothing at GET /v1/site', '/v1/docs'))
  expect(await call('POST', '/v1/plans', '{')).toMatchObject(problem('C005', 400, 'is not JSON'))
  expect(await call('POST', '/v1/plans', { files: 'network.yaml' })).toMatchObject(problem('C005', 400, /files/))
  expect(await call('GET', '/v1/plans/p-none')).toMatchObject(problem('C007', 404, 'no plan p-none', 'causeway plan'))
  expect(await call('GET', '/v1/operations/op-none')).toMatchObject(problem('C007', 404, 'no operation'))
  expect(await call('GET', '/v1/generations/7')).toMatchObject(problem('C007', 404, 'no generation 7', 'nothing was applied'))
  expect(await call('POST', '/v1/trace', { from: 'berlin', to: 'oslo' })).toMatchObject(problem('C007', 404, 'no generation'))
  await applied()
  expect(await call('GET', '/v1/sites/dubln')).toMatchObject(problem('C007', 404, 'no site "dubln"', 'did you mean "dublin"'))
  expect(await call('POST', '/v1/trace', { from: 'berlin/inferense', to: 'model-api' })).toMatchObject(problem('C034', 400, /inferense/))
})

test("regions, clouds and drills: what is not there, and what can't be done, is refused by name", async () => {
  expect(await call('GET', '/v1/trust')).toMatchObject(problem('C030', 409, 'no trust document yet'))
  await applied()
  expect(await call('GET', '/v1/regions')).toMatchObject({ status: 200, body: { regions: [] } })
  expect(await call('GET', '/v1/regions/aws-nowhere')).toMatchObject(problem('C007', 404, 'no region "aws-nowhere"', 'causeway region add'))
  await store.db.insertInto('regions').values({ id: 'aws-eu-west-1', provider: 'aws', location: 'eu-west-1', state: 'RETIRED' }).execute()
  expect(await call('GET', '/v1/regions/aws-eu-west-2')).toMatchObject(problem('C007', 404, 'no region', 'did you mean "aws-eu-west-1"'))
  expect(await call('POST', '/v1/regions/aws-eu-west-1/decommission')).toMatchObject(problem('C102', 409, 'RETIRED already'))
  expect(await call('POST', '/v1/regions/aws-eu-west-1/repair')).toMatchObject(problem('C101', 409, 'nothing to repair'))
  expect(await call('POST', '/v1/regions/aws-eu-west-1/repair', undefined, { as: 'cloud' })).toMatchObject({ status: 403 })
  expect(await call('GET', '/v1/clouds/aws/sweep')).toMatchObject(problem('C103', 409, 'no way to aws', 'docs/aws.md'))
  expect(await call('GET', '/v1/clouds/azure/permissions')).toMatchObject({ status: 400 })
  expect(await call('POST', '/v1/drills', { site: 'nowhere', uplink: 'fiber' })).toMatchObject(problem('C007', 404, 'no site "nowhere"'))
  expect(await call('POST', '/v1/drills', { site: 'berlin', uplink: 'fibre' })).toMatchObject(
    problem('C110', 404, 'berlin has no uplink "fibre"', 'it has fiber'),
  )
  expect(await call('POST', '/v1/drills', { site: 'berlin', uplink: 'fiber', seconds: 900 })).toMatchObject(
    problem('C110', 400, "can't be cut for 900 s"),
  )
  expect(await call('POST', '/v1/drills', { site: 'berlin', uplink: 'fiber' })).toMatchObject({
    status: 202,
    body: { drill: expect.stringMatching(/^d-/) as string },
  })
  expect(await call('GET', '/v1/drills/d-none')).toMatchObject(problem('C007', 404, 'no drill d-none'))
  expect(await call('GET', '/v1/evidence/ev-none')).toMatchObject(problem('C007', 404, 'no evidence ev-none'))
  expect(await call('POST', '/v1/generations/99/plan')).toMatchObject(problem('C007', 404, 'no generation 99', 'the newest is 1'))
  expect(await call('POST', '/v1/generations/1/plan')).toMatchObject({ status: 201, body: { base: 1, verdict: 'passed' } })
})

test('drills are scheduled, listed with their next time, and taken back; each is told to workflows and audited', async () => {
  await applied()
  const at = '/v1/drill-schedules/berlin/fiber'
  const week = 7 * 86_400
  const made = await call('PUT', at, { everySeconds: week, at: '02:10' })
  expect(made).toMatchObject({ status: 200, body: { site: 'berlin', uplink: 'fiber', seconds: 5, everySeconds: week } })
  const next = new Date(made.body['nextAt'] as string)
  expect(next.toISOString()).toMatch(/T02:10:00\.000Z$/)
  expect(next.getTime() - Date.now()).toBeGreaterThan(0)
  expect(next.getTime() - Date.now()).toBeLessThanOrEqual(86_400_000)
  // The second takes the first one's place.
  await call('PUT', at, { everySeconds: 3_600, seconds: 9 })
  const { schedules } = (await call('GET', '/v1/drill-schedules')).body as { schedules: readonly object[] }
  expect(schedules).toMatchObject([{ site: 'berlin', uplink: 'fiber', seconds: 9, everySeconds: 3_600 }])
  expect((await call('GET', '/v1/status')).body).toMatchObject({ drills: { oldest: null, next: { site: 'berlin', uplink: 'fiber' } } })
  expect(await call('DELETE', at)).toMatchObject({ status: 204 })
  expect(await call('DELETE', at)).toMatchObject(problem('C007', 404, 'no schedule for berlin.fiber', 'causeway drill schedule list'))
  expect(sent.filter(({ name }) => name === 'scheduleDrills')).toHaveLength(3)
  const audited = await store.db.selectFrom('audit').select(['action', 'subject']).where('action', 'like', 'drill.%').orderBy('seq').execute()
  expect(audited.map(({ action, subject }) => `${action} ${subject}`)).toEqual([
    'drill.schedule site/berlin',
    'drill.schedule site/berlin',
    'drill.unschedule site/berlin',
  ])
})

test('a schedule that workflows do not hear of stands, and is told again', async () => {
  await applied()
  away = new Error('Temporal does not answer')
  expect(await call('PUT', '/v1/drill-schedules/berlin/fiber', { everySeconds: 86_400 })).toMatchObject({ status: 200 })
  expect([again, logged]).toEqual([1, [away]])
})

test.each([
  ['/v1/drill-schedules/nowhere/fiber', { everySeconds: 86_400 }, problem('C007', 404, 'no site "nowhere"')],
  ['/v1/drill-schedules/berlin/fibre', { everySeconds: 86_400 }, problem('C110', 404, 'berlin has no uplink "fibre"', 'it has fiber')],
  ['/v1/drill-schedules/berlin/fiber', { everySeconds: 86_400, seconds: 61 }, problem('C110', 400, "can't be cut for 61 s")],
  ['/v1/drill-schedules/berlin/fiber', { everySeconds: 60 }, problem('C117', 400, "can't be drilled every 60 s", 'an hour')],
  ['/v1/drill-schedules/berlin/fiber', { everySeconds: 86_400, at: 'noon' }, problem('C117', 400, '"noon" is not a time of the day', 'UTC')],
  [
    '/v1/drill-schedules/berlin/fiber',
    { everySeconds: 129_600, at: '02:10' },
    problem('C117', 400, 'needs an interval of whole days, not 129600 s', 'leave --at out'),
  ],
])('PUT %s %j is refused, and nothing is scheduled', async (path, body, refused) => {
  await applied()
  expect(await call('PUT', path, body)).toMatchObject(refused)
  expect((await call('GET', '/v1/drill-schedules')).body).toEqual({ schedules: [] })
})

test('status tells of the oldest drill, and of scheduled ones that failed until one holds', async () => {
  await applied()
  await call('PUT', '/v1/drill-schedules/berlin/fiber', { everySeconds: 86_400 })
  const drilled = async (id: string, how: { readonly site?: string; readonly scheduled?: boolean; readonly outcome: 'succeeded' | 'failed' }) => {
    const { site = 'berlin', scheduled = false, outcome } = how
    await store.transaction(async (tx) => {
      await drills.insert(tx, { id, site, uplink: 'fiber', seconds: 5, operationId: `op-${id}`, createdBy: 'test', scheduled })
      await commands.record(tx, { id: `c-${id}`, operationId: `op-${id}`, kind: 'drill', subject: `drill/${id}`, args: {}, actor: 'test' })
      const says = 'class business has no other way to frankfurt that is UP'
      const findings = outcome === 'failed' ? [{ code: 'C112', severity: 'error' as const, at: [], says, instead: '', witness: [] }] : []
      await operations.end(tx, `op-${id}`, outcome, { findings })
    })
  }
  const status = async () => (await call('GET', '/v1/status')).body as { readonly verdict: string; readonly problems: readonly object[] }
  await drilled('d-1', { outcome: 'failed' })
  expect((await status()).problems).toEqual([])
  await drilled('d-2', { scheduled: true, outcome: 'failed' })
  expect(await status()).toMatchObject({
    verdict: 'degraded',
    problems: [
      {
        subject: 'drill/d-2',
        says: 'the scheduled drill of berlin.fiber failed: class business has no other way to frankfurt that is UP',
        next: 'causeway drill show d-2',
      },
    ],
    drills: { oldest: null },
  })
  await drilled('d-3', { site: 'madrid', outcome: 'succeeded' })
  await drilled('d-4', { outcome: 'succeeded' })
  expect(await status()).toMatchObject({ problems: [], drills: { oldest: { site: 'madrid' }, next: { site: 'berlin', uplink: 'fiber' } } })
})

test('bodies are bounded', async () => {
  expect(await call('POST', '/v1/trace', { from: 'x'.repeat(70_000), to: 'y' })).toMatchObject(problem('C004', 413, 'larger than 64 kB'))
  expect(await call('POST', '/v1/plans', { files: [{ path: 'a.yaml', text: 'x'.repeat(5 << 20) }] })).toMatchObject(
    problem('C004', 413, 'larger than 4 MB'),
  )
})

test('a rollout is paused, let go on and aborted by its network, and refused where that means nothing', async () => {
  const id = await planDemo()
  const operation = (await call('POST', `/v1/plans/${id}/apply`)).body['operation'] as string
  const steer = (verb: string, of = operation, as: AccessRole = 'operator') => call('POST', `/v1/operations/${of}/${verb}`, undefined, { as })
  expect(await steer('pause', operation, 'cloud')).toMatchObject(problem('C003', 403, 'role cloud'))
  expect(await steer('stop')).toMatchObject(problem('C005', 400, /verb/))
  expect(await steer('pause', 'op-none')).toMatchObject(problem('C007', 404, 'no operation op-none'))
  expect(await steer('resume')).toMatchObject(problem('C124', 409, 'is not paused'))
  const paused = await steer('pause')
  expect(paused).toMatchObject({ status: 202, body: { operation: expect.stringMatching(/^op-/) as string } })
  const own = paused.body['operation'] as string
  expect(await commands.ofOperation(store.db, own)).toMatchObject({
    kind: 'rollout-pause',
    subject: 'network/demo',
    args: { rollout: operation },
  })
  expect(sent.at(-1)).toMatchObject({ name: 'rollout', args: ['demo', { operationId: own, rollout: operation, verb: 'pause' }] })
  expect(await audit.broken(store.db)).toBeNull()

  await operations.end(store.db, own, 'succeeded')
  await operations.enter(store.db, operation, 'paused', 'ada')
  const phase = { is: 'paused', by: 'ada', since: expect.stringMatching(/Z$/) as string }
  expect((await call('GET', `/v1/operations/${operation}`)).body).toMatchObject({ state: 'running', phase })
  expect((await call('GET', '/v1/operations?state=running')).body).toMatchObject({ operations: [{ id: operation, phase }] })
  expect((await call('GET', '/v1/status')).body).toMatchObject({ operations: [{ id: operation, phase }] })
  expect(await steer('pause')).toMatchObject(problem('C123', 409, 'paused already, by ada', `rollout resume ${operation}`))
  expect(await steer('resume')).toMatchObject({ status: 202 })
  await operations.enter(store.db, operation, 'aborting', 'ada')
  expect(await steer('abort')).toMatchObject(problem('C122', 409, 'goes back already, by ada', 'rollout watch'))
  await operations.end(store.db, operation, 'rolled-back')
  expect(await steer('abort')).toMatchObject(problem('C121', 409, 'has ended: rolled-back'))
  expect(await steer('pause', own)).toMatchObject(problem('C120', 409, 'is rollout-pause of network/demo, not a rollout'))
})

test('the key of a peer is made with its first generation, shown once, and replaced by what its owner gives', async () => {
  const partner = { path: 'partner.yaml', text: 'peer: partner\naddress: 203.0.113.200\nsegments: { inference: { prefixes: 172.20.0.0/16 } }\n' }
  expect((await call('GET', '/v1/peers/partner')).body).toMatchObject({ code: 'C007' })
  await applied([...demoFiles(), partner])
  const psks = async () => (await facts.all(store.db)).flatMap((fact) => (fact.kind === 'psk' ? [fact] : []))
  const tunnels = (await psks()).map(({ tunnel }) => tunnel)
  expect(tunnels).toContain('frankfurt.isp-a--partner.0')
  expect((await call('GET', '/v1/peers')).body).toMatchObject({
    peers: [
      {
        id: 'partner',
        addresses: ['203.0.113.200'],
        prefixes: ['172.20.0.0/16'],
        secret: { version: 1, origin: 'made', createdBy: 'anna', shownAt: null },
      },
    ],
  })
  expect(await call('GET', '/v1/peers/partne')).toMatchObject(problem('C007', 404, 'no peer "partne"', 'did you mean "partner"'))
  // Another generation of the same peer keeps it.
  await applied([...demoFiles((path, text) => (path === 'network.yaml' ? `${text}\nmtu: 1400\n` : text)), partner])
  expect((await psks()).every(({ linkEpoch, ref }) => linkEpoch === 0 && ref.version === 1)).toBe(true)

  expect(await call('POST', '/v1/peers/partner/secret/show', undefined, { as: 'viewer' })).toMatchObject(problem('C003', 403, 'role viewer'))
  const shown = await call('POST', '/v1/peers/partner/secret/show')
  expect(shown).toMatchObject({ status: 200, body: { version: 1, secret: expect.stringMatching(/^[A-Za-z1-9._][A-Za-z0-9._]{47}$/) as string } })
  expect(shown.headers.get('cache-control')).toBe('no-store')
  expect(await call('POST', '/v1/peers/partner/secret/show')).toMatchObject(
    problem('C141', 409, /was shown to \S+ at \S+/, 'causeway peer secret partner --new'),
  )
  expect((await call('GET', '/v1/peers/partner')).body).toMatchObject({ secret: { shownAt: expect.stringContaining('T') as string } })

  const given = 'what-the-owner-gave-0123456789'
  for (const [bad, says] of [
    ['short', '5 characters, not 20 to 128'],
    ['x'.repeat(129), '129 characters'],
    ['a key with spaces in it, long', 'a space, a quote or a backslash'],
    ['ein-Schlüssel-mit-Umlaut', 'printable ASCII'],
  ] as const) {
    const refused = await call('PUT', '/v1/peers/partner/secret', { secret: bad })
    expect(refused).toMatchObject(problem('C140', 400, says))
    expect(JSON.stringify(refused.body)).not.toContain(bad)
  }
  expect(woken).toEqual([])
  expect(await call('PUT', '/v1/peers/partner/secret', { secret: given })).toMatchObject({ status: 200, body: { version: 2 } })
  expect([...woken].sort()).toEqual(['dublin', 'frankfurt'])
  const newest = (await psks()).filter(({ linkEpoch }) => linkEpoch === 1)
  expect(newest.map(({ tunnel }) => tunnel)).toEqual(tunnels)
  expect((await vault.get(newest[0]!.ref)).toString()).toBe(given)
  expect(await call('POST', '/v1/peers/partner/secret/show')).toMatchObject(problem('C142', 409, 'given by its owner'))
  expect(await call('PUT', '/v1/peers/partner/secret', {})).toMatchObject({ body: { version: 3 } })
  expect((await call('POST', '/v1/peers/partner/secret/show')).body).toMatchObject({ version: 3 })
  await store.db.deleteFrom('peer_secrets').execute()
  expect(await call('POST', '/v1/peers/partner/secret/show')).toMatchObject(problem('C143', 409, 'no pre-shared key yet'))

  // Who did it is known; what it is, nobody but the vault knows.
  const rows = await store.db.selectFrom('audit').selectAll().orderBy('seq').execute()
  expect(rows.map(({ action }) => action).filter((action) => action.startsWith('peer.'))).toEqual([
    'peer.secret-shown',
    'peer.secret',
    'peer.secret',
    'peer.secret-shown',
  ])
  const tables = ['audit', 'events', 'commands', 'operations', 'plans', 'generations', 'facts', 'secrets'] as const
  const everything = JSON.stringify(await Promise.all(tables.map((table) => store.db.selectFrom(table).selectAll().execute())))
  for (const secret of [given, String(shown.body['secret'])]) {
    expect(everything).not.toContain(secret)
    expect(everything).not.toContain(Buffer.from(secret).toString('base64'))
  }
  expect(JSON.stringify(logged)).not.toContain(given)
})

test("a plan is proven and stored; a refused one comes back with findings and can't be applied", async () => {
  const good = await call('POST', '/v1/plans', { files: demoFiles() })
  expect(good).toMatchObject({ status: 201, body: { base: 0, network: 'demo', verdict: 'passed' } })
  expect(good.headers.get('location')).toBe(`/v1/plans/${String(good.body['id'])}`)
  const bad = await call('POST', '/v1/plans', {
    files: demoFiles((path, text) => (path === 'network.yaml' ? text.replace(/hubs: \[.*\]/, 'hubs: [frankfurt, dubln]') : text)),
  })
  expect(bad).toMatchObject({ status: 201, body: { verdict: 'refused', plan: null } })
  expect(bad.body['findings']).toContainEqual(
    expect.objectContaining({ severity: 'error', where: expect.objectContaining({ file: 'network.yaml' }) as unknown }),
  )
  expect(await call('POST', `/v1/plans/${String(bad.body['id'])}/apply`)).toMatchObject(problem('C021', 409, 'was refused', 'plan again'))
  expect(sent).toEqual([])
})

test('apply writes command, audit and operation together, and repeats by its key', async () => {
  const id = await planDemo()
  const first = await call('POST', `/v1/plans/${id}/apply`, undefined, { headers: { 'idempotency-key': 'k-1', 'if-match': '"0"' } })
  const operation = first.body['operation'] as string
  expect(first.status).toBe(202)
  expect(first.headers.get('location')).toBe(`/v1/operations/${operation}`)
  const command = await commands.ofOperation(store.db, operation)
  expect(command).toMatchObject({ kind: 'apply', subject: 'network/demo', args: { planId: id } })
  expect(await audit.broken(store.db)).toBeNull()
  const second = await call('POST', `/v1/plans/${id}/apply`, undefined, { headers: { 'idempotency-key': 'k-1' } })
  expect(second.body).toEqual(first.body)
  expect(new Set(sent.map(({ args }) => (args[1] as { readonly commandId: string }).commandId))).toEqual(new Set([command!.id]))

  expect(await call('POST', `/v1/plans/${id}/apply`)).toMatchObject(problem('C022', 409, `was applied by operation ${operation}`))
  const other = await planDemo()
  expect(await call('POST', `/v1/plans/${other}/apply`, undefined, { headers: { 'idempotency-key': 'k-1' } })).toMatchObject(
    problem('C012', 409, 'was used for apply of network/demo', 'fresh key'),
  )
  expect(await call('POST', `/v1/plans/${other}/apply`, undefined, { headers: { 'idempotency-key': 'with space' } })).toMatchObject(
    problem('C013', 400, 'Idempotency-Key'),
  )
  expect(await call('POST', `/v1/plans/${other}/apply`, undefined, { headers: { 'if-match': '0' } })).toMatchObject(
    problem('C013', 400, 'If-Match', 'in quotes: "0"'),
  )
})

test('a stale plan, another network, a moved generation and a frozen network are refused', async () => {
  const early = await planDemo()
  await applied()
  expect(await call('POST', `/v1/plans/${early}/apply`)).toMatchObject(
    problem('C020', 409, 'made on generation 0, but the network is at generation 1', 'causeway plan'),
  )
  expect(await call('POST', '/v1/plans', { files: demoFiles(), base: 0 })).toMatchObject(problem('C020', 409, 'generation 1'))
  expect(await call('POST', '/v1/plans', { files: demoFiles() }, { headers: { 'if-match': '"0"' } })).toMatchObject(
    problem('C024', 412, 'at generation 1, not 0', '"1"'),
  )
  const foreign = await call('POST', '/v1/plans', { files: demoFiles((_path, text) => text.replace('network: demo', 'network: other')) })
  expect(foreign.body).toMatchObject({
    verdict: 'refused',
    findings: [expect.objectContaining({ code: 'C023', says: expect.stringContaining('for network "demo", not "other"') as string })],
  })
  const fresh = await planDemo()
  await store.db.updateTable('network').set({ frozen: true }).execute()
  expect(await call('POST', `/v1/plans/${fresh}/apply`)).toMatchObject(problem('C025', 409, 'frozen'))
})

test('what nobody foresaw says no internals: they go to the log', async () => {
  await applied()
  broken = new Error('password=hunter2 at secrets.ts:12')
  const answer = await call('POST', '/v1/sites/berlin/tokens', {})
  expect(answer).toMatchObject(problem('C009', 500, 'something unforeseen', 'log has the details'))
  expect(JSON.stringify(answer.body)).not.toContain('hunter2')
  expect(logged).toEqual([broken])
})

test('a command stands when workflows are away, and their own refusal is told', async () => {
  const id = await planDemo()
  away = new Error('nobody there')
  const { status, body } = await call('POST', `/v1/plans/${id}/apply`)
  expect(status).toBe(202)
  expect(again).toBe(1)
  expect(await events.after(store.db, 0, { operationId: body['operation'] as string })).toMatchObject([
    { kind: 'operation.waits', text: expect.stringContaining('C011') as string },
  ])
  expect(await operations.get(store.db, body['operation'] as string)).toMatchObject({ state: 'running' })
})

test('a bootstrap token is made for a site without a box, shown once, and only its hash is stored', async () => {
  expect(await call('POST', '/v1/sites/berlin/tokens', {})).toMatchObject(problem('C007', 404, 'no site'))
  await applied()
  const made = await call('POST', '/v1/sites/berlin/tokens', { hours: 2 }, { as: 'installer', headers: { 'idempotency-key': 't-1' } })
  expect(made).toMatchObject({ status: 201, body: { site: 'berlin', token: expect.stringMatching(/^cw1_/) as string } })
  const stored = JSON.stringify([
    await store.db.selectFrom('tokens').selectAll().execute(),
    await store.db.selectFrom('commands').selectAll().execute(),
    await store.db.selectFrom('audit').selectAll().execute(),
  ])
  expect(stored).not.toContain((made.body['token'] as string).slice(8, 30))
  expect(await call('POST', '/v1/sites/berlin/tokens', { hours: 2 }, { as: 'installer', headers: { 'idempotency-key': 't-1' } })).toMatchObject(
    problem('C015', 409, 'shown already', 'causeway site token berlin'),
  )
  expect(await call('POST', '/v1/sites/berlin/tokens', { hours: 100 })).toMatchObject(problem('C033', 400, '100 hours', '72 hours'))
  await store.db.updateTable('sites').set({ state: 'ACTIVE', device: 'd1' }).where('id', '=', 'berlin').execute()
  expect(await call('POST', '/v1/sites/berlin/tokens', {})).toMatchObject(problem('C030', 409, 'berlin is ACTIVE', 'causeway site replace berlin'))
})

test('before anything was applied there is nothing to put into a token', async () => {
  await store.transaction((tx) => sites.declare(tx, 'berlin', 'edge'))
  expect(await call('POST', '/v1/sites/berlin/tokens', {})).toMatchObject(problem('C030', 409, 'no generation was applied', 'causeway apply'))
})

test('approving names one waiting box; decommissioning is refused for hubs and twice', async () => {
  await applied()
  const thumbprint = 'ab'.repeat(32)
  expect(await call('POST', '/v1/sites/frankfurt/approve', { fingerprint: 'abab' })).toMatchObject(problem('C031', 409, 'too short', '16 characters'))
  expect(await call('POST', '/v1/sites/frankfurt/approve', { fingerprint: thumbprint })).toMatchObject(
    problem('C031', 409, 'no box with this fingerprint', 'causeway site token frankfurt'),
  )
  await store.transaction(async (tx) => {
    await tx
      .insertInto('tokens')
      .values({ id: 't', site: 'frankfurt', purpose: 'enrol', hash: 'h', expires_at: new Date(), created_by: 'a' })
      .execute()
    await claims.insert(tx, {
      id: 'k',
      tokenId: 't',
      site: 'frankfurt',
      thumbprint,
      sealingKey: '',
      serial: 'XJ-1',
      inventory: { serial: 'XJ-1', hostname: 'f', os: '', kernel: '', agentVersion: '', wireguard: 'none', ipsec: 'none', interfaces: [] },
      state: 'claimed',
    })
  })
  expect(await call('POST', '/v1/sites/frankfurt/approve', { fingerprint: 'cd'.repeat(32) })).toMatchObject(
    problem('C031', 409, 'no box', 'compare with the installer'),
  )
  expect(await call('POST', '/v1/sites/frankfurt/approve', { fingerprint: 'AB:AB AB:AB AB:AB AB:AB' })).toMatchObject({ status: 202 })
  expect(sent.at(-1)).toMatchObject({ name: 'approve', args: ['frankfurt', { fingerprint: thumbprint }] })
  await store.transaction((tx) => sites.setDevice(tx, 'frankfurt', thumbprint))
  expect(await call('POST', '/v1/sites/frankfurt/decommission')).toMatchObject(problem('C032', 409, 'is a hub', 'hubs:'))
  expect(await call('POST', '/v1/sites/oslo/decommission')).toMatchObject({ status: 202 })
  await store.db.updateTable('sites').set({ state: 'RETIRED' }).where('id', '=', 'oslo').execute()
  expect(await call('POST', '/v1/sites/oslo/decommission')).toMatchObject(problem('C032', 409, 'oslo is RETIRED already'))
})

test('a site at rest is drained until a time that the controller sets, and put back', async () => {
  await applied()
  const active = (state: 'ACTIVE' | 'DRAINING') => store.db.updateTable('sites').set({ state, device: 'd1' }).where('id', '=', 'frankfurt').execute()
  expect(await call('POST', '/v1/sites/frankfurt/drain', {})).toMatchObject(problem('C131', 409, "frankfurt can't be drained now: it is DECLARED"))
  await active('ACTIVE')
  for (const seconds of [9, 604_801])
    expect(await call('POST', '/v1/sites/frankfurt/drain', { seconds })).toMatchObject(
      problem('C134', 400, `${seconds} seconds`, '10 seconds to 7 days'),
    )
  expect(await call('POST', '/v1/sites/frankfurt/drain', {}, { as: 'installer' })).toMatchObject({ status: 403 })
  expect(await call('POST', '/v1/sites/franfurt/drain', {})).toMatchObject(problem('C007', 404, 'franfurt', 'did you mean "frankfurt"'))
  const once = { headers: { 'idempotency-key': 'd-1' } }
  const before = Date.now()
  const drained = await call('POST', '/v1/sites/frankfurt/drain', { seconds: 600, force: true }, once)
  expect(drained).toMatchObject({ status: 202, body: { operation: expect.stringMatching(/^op-/) as unknown } })
  const { name, args } = sent.at(-1)!
  const [site, { until }] = args as [string, { until: string }]
  expect({ name, site }).toEqual({ name: 'drain', site: 'frankfurt' })
  expect(Date.parse(until) - before).toBeGreaterThanOrEqual(600_000)
  expect(Date.parse(until) - before).toBeLessThan(610_000)
  // Sent again, it is the same window.
  expect((await call('POST', '/v1/sites/frankfurt/drain', { seconds: 600, force: true }, once)).body).toEqual(drained.body)
  expect(sent.at(-1)).toMatchObject({ name: 'drain', args: ['frankfurt', { until }] })

  expect(await call('POST', '/v1/sites/frankfurt/undrain')).toMatchObject(problem('C132', 409, 'frankfurt is ACTIVE: it is not drained'))
  await active('DRAINING')
  expect(await call('POST', '/v1/sites/frankfurt/undrain')).toMatchObject(problem('C132', 409, 'frankfurt is on its way back already'))
  await store.transaction((tx) => sites.setDrain(tx, 'frankfurt', { until, operationId: drained.body['operation'] as string }))
  await store.db
    .updateTable('sites')
    .set({ drain_report: JSON.stringify({ until, packets: 9, bytes: 900, drained: false }) })
    .where('id', '=', 'frankfurt')
    .execute()
  expect((await call('GET', '/v1/sites/frankfurt')).body['drain']).toEqual({ until, drained: false, packets: 9, bytes: 900 })
  expect((await call('GET', '/v1/sites/berlin')).body['drain']).toBeNull()
  expect(await call('POST', '/v1/sites/frankfurt/undrain')).toMatchObject({ status: 202 })
  expect(sent.at(-1)).toMatchObject({ name: 'undrain', args: ['frankfurt', {}] })
})

test('a token for another box is made for a site that has one, also anew, and says how far that one is', async () => {
  await applied()
  const as = (state: 'ACTIVE' | 'REPLACING' | 'CHANGING') =>
    store.db.updateTable('sites').set({ state, device: 'd1' }).where('id', '=', 'berlin').execute()
  expect(await call('POST', '/v1/sites/berlin/replace', {})).toMatchObject(
    problem('C135', 409, 'berlin has no box that could be replaced: it is DECLARED', 'causeway site token berlin'),
  )
  await as('CHANGING')
  expect(await call('POST', '/v1/sites/berlin/replace', {})).toMatchObject(
    problem('C135', 409, "the box of berlin can't be replaced now: it is CHANGING", 'causeway site status berlin'),
  )
  await as('ACTIVE')
  expect(await call('POST', '/v1/sites/berlin/replace', {}, { as: 'installer' })).toMatchObject({ status: 403 })
  expect(await call('POST', '/v1/sites/berlin/replace', { hours: 100 })).toMatchObject(problem('C033', 400, '100 hours', '72 hours'))
  const made = await call('POST', '/v1/sites/berlin/replace', { hours: 2 }, { headers: { 'idempotency-key': 'r-1' } })
  expect(made).toMatchObject({ status: 201, body: { site: 'berlin', token: expect.stringMatching(/^cw1_/) as unknown } })
  expect(made.headers.get('cache-control')).toBe('no-store')
  const [token] = await store.db.selectFrom('tokens').selectAll().execute()
  expect(token).toMatchObject({ site: 'berlin', purpose: 'replace' })
  expect(sent.at(-1)).toMatchObject({ name: 'replace', args: ['berlin', { tokenId: token!.id }] })
  expect(await call('POST', '/v1/sites/berlin/replace', { hours: 2 }, { headers: { 'idempotency-key': 'r-1' } })).toMatchObject(
    problem('C015', 409, 'shown already', 'causeway site replace berlin'),
  )
  await as('REPLACING')
  await store.transaction((tx) => replacements.begin(tx, 'berlin', made.body['operation'] as string))
  expect((await call('GET', '/v1/sites/berlin')).body['replacement']).toEqual({
    device: null,
    takingOver: false,
    running: null,
    lastSeen: null,
    failed: '',
  })
  expect((await call('POST', '/v1/sites/berlin/replace', {})).status).toBe(201)
  expect((await call('GET', '/v1/sites/oslo')).body['replacement']).toBeNull()
})

test('who services a box may switch it off: that is no problem of the network', async () => {
  await applied()
  const now = new Date()
  const [tunnel] = (await generations.head(store.db))!.fabric.tunnels.filter(
    ({ ends }) => ends[0].site === 'berlin' && 'site' in ends[1] && ends[1].site === 'frankfurt',
  )
  await store.db.updateTable('sites').set({ state: 'ACTIVE', device: 'd', last_seen: now }).execute()
  await paths.replace(store.db, [
    {
      site: 'berlin',
      at: now,
      paths: [{ tunnel: tunnel!.id, state: 'DOWN', since: now.toISOString(), rttMs: null, jitterMs: null, loss: null, classes: [] }],
    },
  ])
  const subjects = async () => ((await call('GET', '/v1/status')).body['problems'] as { subject: string }[]).map(({ subject }) => subject)
  expect(await subjects()).toEqual([`path/${tunnel!.id}`])
  await store.db
    .updateTable('sites')
    .set({ state: 'MAINTENANCE', last_seen: new Date(0) })
    .where('id', '=', 'frankfurt')
    .execute()
  expect(await subjects()).toEqual([])
})

test('an operation is followed as it happens, to its end, and resumed after Last-Event-ID', async () => {
  const id = await planDemo()
  const operation = (await call('POST', `/v1/plans/${id}/apply`)).body['operation'] as string
  const first = await events.emit(store.db, { operationId: operation, subject: 'site/berlin', kind: 'test', text: 'one' })
  const follow = call('GET', `/v1/operations/${operation}/events`, undefined, { headers: { 'last-event-id': String(first) } })
  await events.emit(store.db, { operationId: 'op-other', subject: 'site/oslo', kind: 'test', text: 'not ours' })
  await events.emit(store.db, { operationId: operation, subject: 'site/berlin', kind: 'test', text: 'two' })
  await store.transaction((tx) => operations.end(tx, operation, 'succeeded'))
  const text = (await follow).body['text'] as string
  expect(text).not.toContain('"one"')
  expect(text).not.toContain('not ours')
  expect(text.match(/^event: .*$/gm)).toEqual(['event: event', 'event: end'])
  expect(text).toContain('"state":"succeeded"')
})

test('status, paths, generations, trace and verify answer from the store', async () => {
  expect((await call('GET', '/v1/status')).body).toMatchObject({ verdict: 'empty', generation: 0 })
  await applied()
  expect((await call('GET', '/v1/status')).body).toMatchObject({
    network: 'demo',
    generation: 1,
    verdict: 'changing',
    sites: { total: 5, active: 0 },
  })
  const { paths: listed } = (await call('GET', '/v1/paths?site=berlin')).body as {
    paths: readonly { readonly ends: readonly { readonly state: string }[] }[]
  }
  expect(listed).toHaveLength(8)
  expect(listed.every(({ ends }) => ends.every(({ state }) => state === 'unknown'))).toBe(true)
  expect((await call('GET', '/v1/generations')).body).toMatchObject({ generations: [{ number: 1, base: 0 }] })
  expect((await call('GET', '/v1/generations/head')).body).toMatchObject({ number: 1, intent: { network: 'demo' } })
  expect(
    ((await call('GET', '/v1/generations/1/export/files')).body['files'] as readonly { readonly path: string }[]).map(({ path }) => path),
  ).toContain('sites/berlin.json')
  expect((await call('POST', '/v1/trace', { from: 'berlin/inference', to: 'model-api' })).body).toMatchObject({
    generation: 1,
    trace: { outcome: 'passes' },
  })
  expect((await call('POST', '/v1/verify')).body).toMatchObject({ generation: 1, findings: [] })
})

test('keys are listed with their age and last handshake, and no secret', async () => {
  expect((await call('GET', '/v1/keys')).body).toEqual({ keys: [] })
  await applied()
  expect(await call('GET', '/v1/keys?site=berln')).toMatchObject(problem('C007', 404, 'no site "berln"', 'did you mean "berlin"'))
  const fabric = (await generations.head(store.db))!.fabric
  const tunnel = fabric.tunnels.find(({ ends }) => ends[0].site === 'berlin')!
  const [thumbprint, sealingKey] = ['ab'.repeat(32), Buffer.alloc(32, 1).toString('base64')]
  const publicKey = (fill: number) => Buffer.alloc(32, fill).toString('base64')
  const handshakeAt = '2026-11-26T10:00:00.000Z'
  await store.transaction(async (tx) => {
    await tx.insertInto('tokens').values({ id: 't', site: 'berlin', purpose: 'enrol', hash: 'h', expires_at: new Date(), created_by: 'a' }).execute()
    await claims.insert(tx, {
      id: 'k',
      tokenId: 't',
      site: 'berlin',
      thumbprint,
      sealingKey,
      serial: 'XJ-1',
      inventory: { serial: 'XJ-1', hostname: 'f', os: '', kernel: '', agentVersion: '', wireguard: 'none', ipsec: 'none', interfaces: [] },
      state: 'enrolled',
    })
    await certificates.insert(tx, { serial: 's', site: 'berlin', thumbprint, previous: null, pem: '', notAfter: new Date('2026-12-26T00:00:00Z') })
    await sites.setDevice(tx, 'berlin', thumbprint)
    const at = { kind: 'key', site: 'berlin' as SiteId, interface: tunnel.ends[0].interface } as const
    const ref = { id: 'psk/x', version: 1, fingerprint: '0123456789abcdef' }
    await facts.put(tx, [
      { ...at, linkEpoch: 0, publicKey: publicKey(2) },
      { ...at, linkEpoch: 1, publicKey: publicKey(3) },
      { kind: 'psk', tunnel: tunnel.id, linkEpoch: 0, ref },
    ])
    const path = { tunnel: tunnel.id, state: 'UP' as const, since: handshakeAt, rttMs: 1, jitterMs: 0, loss: 0, classes: [], handshakeAt }
    await paths.replace(tx, [{ site: 'berlin', at: new Date(), paths: [path] }])
  })
  const { keys } = (await call('GET', '/v1/keys?site=berlin', undefined, { as: 'viewer' })).body as { keys: readonly object[] }
  const since = expect.stringMatching(/Z$/) as string
  const none = { until: null, lastHandshake: null }
  expect(keys).toEqual([
    {
      ...none,
      site: 'berlin',
      kind: 'tls',
      of: 'device',
      linkEpoch: null,
      shows: 'fingerprint',
      key: thumbprint,
      since,
      until: '2026-12-26T00:00:00.000Z',
    },
    { ...none, site: 'berlin', kind: 'sealing', of: 'device', linkEpoch: null, shows: 'public-key', key: sealingKey, since },
    { ...none, site: 'berlin', kind: 'wireguard', of: tunnel.ends[0].interface, linkEpoch: 0, shows: 'public-key', key: publicKey(2), since },
    {
      ...none,
      site: 'berlin',
      kind: 'wireguard',
      of: tunnel.ends[0].interface,
      linkEpoch: 1,
      shows: 'public-key',
      key: publicKey(3),
      since,
      lastHandshake: handshakeAt,
    },
    { ...none, site: 'berlin', kind: 'psk', of: tunnel.id, linkEpoch: 0, shows: 'fingerprint', key: '0123456789abcdef', since },
  ])
})

test('a path test is asked of a box that decides and reports, within bounds, and answered with what it told', async () => {
  const ask = (body: object, as: AccessRole = 'operator') => call('POST', '/v1/paths/test', body, { as })
  expect(await ask({ site: 'berlin' })).toMatchObject(problem('C007', 404, 'no site "berlin"'))
  await applied()
  expect(await ask({ site: 'berlin' }, 'cloud')).toMatchObject(problem('C003', 403, 'role cloud'))
  expect(await ask({ site: 'berln' })).toMatchObject(problem('C007', 404, 'no site "berln"', 'did you mean "berlin"'))
  expect(await ask({ site: 'berlin', uplink: 'fibre' })).toMatchObject(problem('C150', 404, 'berlin has no uplink "fibre"', 'it has fiber'))
  expect(await ask({ site: 'frankfurt' })).toMatchObject(
    problem('C150', 409, /^frankfurt only answers .* 16 paths/, /causeway path test (berlin|madrid|oslo)/),
  )
  expect(await ask({ site: 'berlin', count: 501 })).toMatchObject(problem('C154', 400, 'no 501 probes', '1 to 500'))
  expect(await ask({ site: 'berlin', count: 0 })).toMatchObject(problem('C154', 400, 'no 0 probes'))
  expect(await ask({ site: 'berlin' })).toMatchObject(problem('C151', 409, 'berlin has no box yet', 'causeway site status berlin'))
  await sites.setDevice(store.db, 'berlin', 'd1')
  expect(await ask({ site: 'berlin' })).toMatchObject(problem('C151', 409, 'berlin does not report'))

  await store.db.updateTable('sites').set({ last_seen: new Date() }).where('id', '=', 'berlin').execute()
  const answer = async (of: (tunnels: readonly string[]) => Omit<MeasureReport, 'test'>) => {
    await expect.poll(() => pathTests.orderFor(store.db, 'berlin', new Date())).toBeDefined()
    const { id, tunnels } = (await pathTests.orderFor(store.db, 'berlin', new Date()))!
    await store.transaction((tx) => pathTests.reported(tx, 'berlin', { test: id, ...of(tunnels) }))
    return tunnels
  }
  const measured = { sent: 10, received: 10, rttMs: { min: 1, median: 2, max: 3 }, jitterMs: 0.1, fullPackets: true }
  const [done, tunnels] = await Promise.all([
    ask({ site: 'berlin', uplink: 'fiber', count: 10 }),
    answer((all) => ({ paths: [{ tunnel: all[0]!, ...measured }], why: '' })),
  ])
  expect(tunnels.every((id) => id.startsWith('berlin.fiber--'))).toBe(true)
  expect(done).toMatchObject({
    status: 200,
    body: { site: 'berlin', mtu: 1360, perSecond: 50, paths: [{ tunnel: tunnels[0], ...measured }], missing: tunnels.slice(1) },
  })
  const [failed] = await Promise.all([ask({ site: 'berlin' }), answer(() => ({ paths: [], why: 'no sockets here' }))])
  expect(failed).toMatchObject(problem('C153', 409, 'berlin measured nothing: no sockets here'))
  expect(await audit.broken(store.db)).toBeNull()
})

test('access is given, listed without tokens, and taken back at once', async () => {
  const { body } = await call('POST', '/v1/access', { name: 'ci', role: 'cloud' })
  const ci = { headers: { authorization: `Bearer ${String(body['token'])}` }, as: 'nobody' as const }
  expect((await call('GET', '/v1/status', undefined, ci)).status).toBe(200)
  expect(JSON.stringify((await call('GET', '/v1/access')).body)).not.toContain(String(body['token']))
  expect((await call('DELETE', `/v1/access/${String(body['id'])}`)).status).toBe(204)
  expect(await call('GET', '/v1/status', undefined, ci)).toMatchObject(problem('C002', 401, 'not known'))
  expect(await call('DELETE', '/v1/access/a-none')).toMatchObject(problem('C007', 404, 'no access a-none'))
})

test('the documentation needs no token and nothing from elsewhere', async () => {
  expect((await call('GET', '/', undefined, { as: 'nobody' })).headers.get('location')).toBe('/v1/docs')
  const page = (await call('GET', '/v1/docs', undefined, { as: 'nobody' })).body['text'] as string
  expect(page).toContain('/v1/plans/{id}/apply')
  expect(page).not.toMatch(/<script|https?:\/\//)
})

// ── owners ──
const cloudFolder = (more: readonly { readonly path: string; readonly text: string }[] = []) => [
  { path: 'folder.yaml', text: 'folder: cloud\nof: demo\n' },
  ...more,
]
const reykjavik = {
  path: 'reykjavik.yaml',
  text: '# ours\nsite: reykjavik\nuplinks: { fiber: { interface: eth0 }, lte: { interface: wwan0 } }\nsegments: { inference: { interface: eth1, prefixes: 10.1.90.0/24 } }\n',
}
const region = { provider: 'aws', segments: { inference: { vpcs: 'vpc-0a1b2c3d4e5f60718', prefixes: ['10.96.0.0/16'] } } }
const fragments = async (number: number | 'head' = 'head') =>
  (await call('GET', `/v1/generations/${number}/fragments`)).body['fragments'] as readonly {
    readonly owner: string
    readonly path: string
    readonly declares: readonly string[]
    readonly since: number
    readonly text: string
  }[]
const owned = async (number?: number) =>
  (await fragments(number)).flatMap(({ owner, declares, since }) => declares.map((thing) => `${thing} ${owner} ${since}`))

test('a second folder adds its own sites to the network, and neither folder takes away what the other declares', async () => {
  await applied()
  expect(await owned()).toContain('site/berlin folder:demo 1')
  const planned = await call('POST', '/v1/plans', { files: cloudFolder([reykjavik]) })
  expect(planned).toMatchObject({
    status: 201,
    body: {
      verdict: 'passed',
      owner: 'folder:cloud',
      others: ['folder:demo'],
      handed: [],
      rewritten: 1,
      // The hubs get peers although they are another's.
      owners: { 'site/frankfurt': 'folder:demo', 'site/dublin': 'folder:demo' },
    },
  })
  expect((planned.body['plan'] as { changes: { kind: string; site: string }[] }).changes).toContainEqual(
    expect.objectContaining({ kind: 'add', site: 'reykjavik' }),
  )
  await applied(cloudFolder([reykjavik]))
  expect(await owned()).toEqual(expect.arrayContaining(['site/berlin folder:demo 1', 'site/reykjavik folder:cloud 2']))
  expect((await fragments()).find(({ path }) => path === 'reykjavik.yaml')).toMatchObject({ text: reykjavik.text })
  // The first folder again: its files have no Reykjavik, and nothing changes.
  expect((await call('POST', '/v1/plans', { files: demoFiles() })).body).toMatchObject({
    owner: 'folder:demo',
    others: ['folder:cloud'],
    plan: { changes: [] },
    rewritten: 0,
  })
  expect((await call('GET', '/v1/generations')).body).toMatchObject({ generations: [{ owner: 'folder:cloud' }, { owner: 'folder:demo' }] })
  // And the second without it: that is its owner's to say.
  expect((await call('POST', '/v1/plans', { files: cloudFolder() })).body).toMatchObject({
    plan: { changes: expect.arrayContaining([expect.objectContaining({ kind: 'remove', site: 'reykjavik' })]) as unknown },
  })
})

test("what is another's is refused by name, with both places, unless it is taken over; that is audited", async () => {
  await applied()
  const berlin = demoFiles().find(({ path }) => path === 'berlin.yaml')!
  const files = cloudFolder([berlin])
  const refused = await call('POST', '/v1/plans', { files })
  expect(refused).toMatchObject(problem('C160', 409, 'site "berlin" belongs to folder:demo', 'take it out here; or .* --take site/berlin'))
  expect(refused.body['findings']).toMatchObject([
    { code: 'I150', at: [expect.stringMatching(/^berlin\.yaml:\d+:\d+$/), expect.stringMatching(/^pulled\/folder-demo\/berlin\.yaml:\d+:\d+$/)] },
  ])
  expect(await call('POST', '/v1/plans', { files: cloudFolder([reykjavik]), take: ['site/berlin'] })).toMatchObject(
    problem('C162', 409, 'no file of folder:cloud declares site/berlin', 'move its file out of pulled/'),
  )
  expect(await call('POST', '/v1/plans', { files, take: ['berlin'] })).toMatchObject(problem('C005', 400, 'write it like region/aws-eu-west-1'))
  expect(await call('POST', '/v1/plans', { files: [{ path: 'pulled/folder-demo/berlin.yaml', text: berlin.text }] })).toMatchObject(
    problem('C005', 400, 'belongs to others and is not sent'),
  )

  const handed = [{ thing: 'site/berlin', from: 'folder:demo', to: 'folder:cloud' }]
  const taken = await call('POST', '/v1/plans', { files, take: ['site/berlin'] })
  expect(taken).toMatchObject({ status: 201, body: { verdict: 'passed', handed, plan: { changes: [] }, rewritten: 2 } })
  const id = taken.body['id'] as string
  expect((await call('GET', `/v1/plans/${id}`)).body).toMatchObject({ owner: 'folder:cloud', handed })
  const { body } = await call('POST', `/v1/plans/${id}/apply`)
  await store.transaction(async (tx) => void (await generations.commit(tx, (await plans.get(tx, id))!, {}, body['operation'] as string)))
  const audited = await store.db.selectFrom('audit').select('detail').where('action', '=', 'apply').orderBy('seq', 'desc').executeTakeFirstOrThrow()
  expect(audited.detail).toMatchObject({ args: { planId: id, handed } })
  expect(await owned()).toContain('site/berlin folder:cloud 2')
  // Taking what is one's own is nothing new; and now it is the former owner's turn to drop it.
  expect(await call('POST', '/v1/plans', { files, take: ['site/berlin'] })).toMatchObject({ body: { handed: [], rewritten: 0 } })
  expect(await call('POST', '/v1/plans', { files: demoFiles() })).toMatchObject(problem('C160', 409, 'site "berlin" belongs to folder:cloud'))

  // Back to the first generation: what it said, and who said it.
  const back = await call('POST', '/v1/generations/1/plan')
  expect(back.body).toMatchObject({ owner: null, handed: [{ thing: 'site/berlin', from: 'folder:cloud', to: 'folder:demo' }], rewritten: 2 })
})

test('a thing that stands in one file with others is taken with them, or first moved to a file of its own', async () => {
  const inline = demoFiles((path, text) => (path === 'network.yaml' ? `${text}\nregions:\n  aws-eu-west-1: ${JSON.stringify(region)}\n` : text))
  await applied(inline)
  const own = { path: 'aws.yaml', text: `region: aws-eu-west-1\nprovider: aws\nsegments: ${JSON.stringify(region.segments)}\n` }
  expect(await call('POST', '/v1/plans', { files: cloudFolder([own]), take: ['region/aws-eu-west-1'] })).toMatchObject(
    problem('C161', 409, 'network.yaml of folder:demo declares network/demo as well', 'have folder:demo move it'),
  )
  // Which changes nothing but the record, and then it can be taken.
  const apart = [...demoFiles(), own]
  expect((await call('POST', '/v1/plans', { files: apart })).body).toMatchObject({ plan: { changes: [], regions: [] }, rewritten: 2, handed: [] })
  await applied(apart)
  expect((await call('POST', '/v1/plans', { files: cloudFolder([own]), take: ['region/aws-eu-west-1'] })).body).toMatchObject({
    verdict: 'passed',
    handed: [{ thing: 'region/aws-eu-west-1', from: 'folder:demo', to: 'folder:cloud' }],
  })
})

test('a finding in what another wrote stands in the file that pull writes; of another network nothing is mixed', async () => {
  await applied()
  // Reykjavik in the addresses of Berlin.
  const clash = { ...reykjavik, text: reykjavik.text.replace('10.1.90.0', '10.1.10.0') }
  const refused = await call('POST', '/v1/plans', { files: cloudFolder([clash]) })
  expect(refused).toMatchObject({ status: 201, body: { verdict: 'refused', owner: 'folder:cloud' } })
  const [finding] = refused.body['findings'] as { code: string; at: string[]; where: { file: string } }[]
  expect(finding).toMatchObject({ code: 'I034', at: ['site/reykjavik/lan/inference/0', 'site/berlin/lan/inference/0'] })
  // Whoever reads it may write in the one of the two.
  expect(finding!.where.file).toBe('reykjavik.yaml')
  // What the network expects is the other's: the finding stands in the file that pull would write, and names its owner.
  const torn = cloudFolder([{ ...reykjavik, text: reykjavik.text.replace(', lte: { interface: wwan0 }', '') }])
  const broken = (await call('POST', '/v1/plans', { files: torn })).body
  expect(broken).toMatchObject({
    verdict: 'refused',
    findings: [{ code: 'V003', where: { file: 'pulled/folder-demo/network.yaml' } }, { code: 'V003' }],
  })
  const elsewhere = [{ path: 'folder.yaml', text: 'folder: cloud\nof: acme\n' }, reykjavik]
  expect((await call('POST', '/v1/plans', { files: elsewhere })).body).toMatchObject({
    verdict: 'refused',
    findings: expect.arrayContaining([
      expect.objectContaining({ code: 'C023', says: 'this controller is for network "demo", not "acme"' }),
    ]) as unknown,
  })
})

test('PUT and DELETE of a region answer a plan and change nothing; the region belongs to the name of the token', async () => {
  await applied()
  const at = '/v1/regions/aws-eu-west-1'
  expect(await call('PUT', at, region, { as: 'viewer' })).toMatchObject(problem('C003', 403, 'role viewer', 'cloud, operator, admin'))
  const first = await call('PUT', at, region, { as: 'cloud' })
  expect(first).toMatchObject({
    status: 200,
    body: { base: 1, verdict: 'passed', owner: 'api:cloud', others: ['folder:demo'], plan: { regions: [{ kind: 'add', region: 'aws-eu-west-1' }] } },
  })
  expect(first.headers.get('content-location')).toBe(`/v1/plans/${first.body['id'] as string}`)
  expect(first.headers.get('etag')).toBe('"1"')
  expect((await call('GET', '/v1/regions')).body).toEqual({ regions: [] })
  expect(sent.filter(({ name }) => name === 'apply')).toHaveLength(1)
  // The same again is the same plan under another name.
  const again = await call('PUT', at, region, { as: 'cloud' })
  expect({ ...again.body, id: '' }).toEqual({ ...first.body, id: '' })
  expect(await call('PUT', at, region, { as: 'cloud', headers: { 'if-match': '"7"' } })).toMatchObject(problem('C024', 412, 'generation 1, not 7'))

  const commit = async (of: Answer) => {
    const id = of.body['id'] as string
    const { body } = await call('POST', `/v1/plans/${id}/apply`)
    await store.transaction(async (tx) => void (await generations.commit(tx, (await plans.get(tx, id))!, {}, body['operation'] as string)))
  }
  await commit(again)
  expect(await owned()).toContain('region/aws-eu-west-1 api:cloud 2')
  expect((await fragments()).find(({ owner }) => owner === 'api:cloud')).toMatchObject({
    path: 'aws-eu-west-1.yaml',
    text: 'region: aws-eu-west-1\nprovider: aws\nsegments:\n  inference:\n    vpcs: vpc-0a1b2c3d4e5f60718\n    prefixes:\n      - 10.96.0.0/16\n',
  })
  expect((await call('PUT', at, region, { as: 'cloud' })).body).toMatchObject({ plan: { regions: [], changes: [] }, rewritten: 0 })
  // Another region of the same owner leaves the first where it is.
  const second = { provider: 'aws', segments: { inference: { vpcs: 'vpc-0b1b2c3d4e5f60718', prefixes: '10.97.0.0/16' } } }
  expect((await call('PUT', '/v1/regions/aws-eu-west-2', second, { as: 'cloud' })).body).toMatchObject({
    verdict: 'passed',
    plan: { regions: [{ kind: 'add', region: 'aws-eu-west-2' }] },
  })
  // Somebody else's token, and the folder, may not; but they may take it over.
  expect(await call('PUT', at, region, { as: 'operator' })).toMatchObject(problem('C160', 409, 'region "aws-eu-west-1" belongs to api:cloud'))
  expect((await call('PUT', `${at}?take=true`, region, { as: 'operator' })).body).toMatchObject({
    handed: [{ thing: 'region/aws-eu-west-1', from: 'api:cloud', to: 'api:operator' }],
  })
  expect(await call('DELETE', at, undefined, { as: 'operator' })).toMatchObject(
    problem('C160', 409, 'belongs to api:cloud', 'api:cloud takes it out'),
  )
  expect((await call('DELETE', at, undefined, { as: 'cloud' })).body).toMatchObject({
    verdict: 'passed',
    plan: { regions: [{ kind: 'remove', region: 'aws-eu-west-1' }] },
  })
  expect(await call('DELETE', '/v1/regions/aws-eu-west-3', undefined, { as: 'cloud' })).toMatchObject(
    problem('C007', 404, 'nobody says region/aws-eu-west-3', 'causeway region list'),
  )
})

test('a program plans a region, applies it and waits for the end with the typed client', async () => {
  await applied()
  const cw = connect({ url, token: tokens.operator })
  const plan = await cw.regions.plan('aws-eu-west-1', { provider: 'aws', segments: region.segments })
  expect(plan).toMatchObject({ ok: true, owner: 'api:operator', base: 1 })
  expect(plan.text).toContain('+ region aws-eu-west-1')
  expect(plan.text).toContain('as api:operator; what folder:demo declared stays\n')
  const op = await cw.plans.apply(plan.id, { idempotencyKey: 'a-commit' })
  expect((await cw.plans.apply(plan.id, { idempotencyKey: 'a-commit' })).id).toBe(op.id)
  expect(await op.done({ timeoutMs: 20, everyMs: 5 })).toMatchObject({ state: 'running' })
  await operations.end(store.db, op.id, 'succeeded')
  expect(await op.done()).toMatchObject({ id: op.id, state: 'succeeded' })
  const wrong = await cw.regions.plan('aws-eu-west-1', { provider: 'aws', segments: { inferense: region.segments.inference } })
  expect(wrong).toMatchObject({ ok: false, text: expect.stringMatching(/^error\[I013\] aws-eu-west-1\.yaml:4:3 {2}.*inferense/) as string })
  await expect(cw.regions.planRemoval('aws-eu-west-1')).rejects.toThrow('[C007] nobody says region/aws-eu-west-1: causeway region list')
})

test.each([
  ['a key that is none', { ...region, providr: 'aws' }, 'I005', 'providr'],
  ['a missing key', { provider: 'aws' }, 'I006', 'segments'],
  ['host bits', { ...region, segments: { inference: { vpcs: 'vpc-0a1b2c3d4e5f60718', prefixes: '10.96.0.1/16' } } }, 'I031', '10.96.0.1/16'],
  ['a number as a text', { ...region, asn: '64512' }, 'I083', '64512'],
  ['another cloud', { ...region, provider: 'azure' }, 'I008', 'azure'],
])('PUT of a region with %s is refused as its file would be, with the place in it', async (_what, body, code, says) => {
  await applied()
  expect(await call('PUT', '/v1/regions/aws-eu-west-1', body)).toMatchObject({
    status: 200,
    body: {
      verdict: 'refused',
      plan: null,
      findings: [{ code, says: expect.stringContaining(says) as string, where: { file: 'aws-eu-west-1.yaml' } }],
    },
  })
})

test('PUT of a region: what is no body of one is no plan either', async () => {
  const at = '/v1/regions/aws-eu-west-1'
  expect(await call('PUT', at, [])).toMatchObject(problem('C005', 400, /./))
  expect(await call('PUT', at, { ...region, region: 'aws-eu-west-1' })).toMatchObject(problem('C005', 400, 'its name stands in the path'))
  expect(await call('PUT', '/v1/regions/..%2Fetc', region)).toMatchObject(problem('C005', 400, 'write it like aws-eu-west-1'))
  expect(await call('PUT', at, region)).toMatchObject({ body: { verdict: 'refused', findings: [{ code: 'I003' }] } })
})

test('openapi.json is the golden one', async () => {
  const document = (await call('GET', '/v1/openapi.json', undefined, { as: 'nobody' })).body
  expect(document['openapi']).toBe('3.1.0')
  await expect(`${JSON.stringify(document, null, 2)}\n`).toMatchFileSnapshot('./expected/openapi.json')
})
