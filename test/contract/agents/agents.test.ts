/** Agents over real TLS: enrolment, renewal, bundles, permits and hints, with real keys and a real database. */
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import { connect } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type AgentsListener, startAgents } from '#src/controller/agents.ts'
import { createEnrolment } from '#src/controller/enrolment.ts'
import { type Notifications, openNotifications } from '#src/controller/notifications.ts'
import { type Authority, loadAuthority } from '#src/controller/pki/authority.ts'
import { newToken } from '#src/controller/pki/tokens.ts'
import { openVault, type Vault } from '#src/controller/pki/vault.ts'
import { createReports } from '#src/controller/reports.ts'
import { runPathTest } from '#src/controller/path-tests.ts'
import {
  audit,
  bundles,
  certificates,
  claims,
  events,
  facts,
  operations,
  pathTests,
  replacements,
  secrets,
  sites,
  type Store,
  tokens,
} from '#src/controller/store/index.ts'
import type { Fabric, SiteConfig } from '#src/fabric/fabric.ts'
import { openSigned } from '#src/wire/bundle.ts'
import { createCsr } from '#src/wire/csr.ts'
import { checkController, thumbprint } from '#src/wire/identity.ts'
import type { Report, Signed } from '#src/wire/messages.ts'
import { openSealed, x25519Raw } from '#src/wire/seal.ts'
import { decodeToken } from '#src/wire/token.ts'
import { startTestDatabase, type TestDatabase } from '../store/fixture.ts'

let database: TestDatabase
let store: Store
let authority: Authority
let vault: Vault
let notifications: Notifications
let listener: AgentsListener
let closeReports: () => Promise<void>
let claimed: string[]
let signals: string[]
let now: Date

beforeAll(async () => {
  database = await startTestDatabase()
}, 60_000)
afterAll(() => database.stop())
beforeEach(async () => {
  store = await database.store()
  now = new Date()
  claimed = []
  signals = []
  vault = await openVault(randomBytes(32), secrets.rows(store.db))
  authority = await loadAuthority(vault, { network: 'acme', now })
  notifications = await openNotifications(store)
  const reports = createReports({
    store,
    signals: {
      facts: async (site) => void signals.push(`facts ${site}`),
      reported: async (site) => void signals.push(`reported ${site}`),
      region: async (region) => void signals.push(`region ${region}`),
    },
    now: () => now,
    log: () => {},
    collect: 5,
  })
  closeReports = reports.close
  const enrolment = createEnrolment({
    store,
    authority,
    claimed: async (site, id) => void claimed.push(`${site} ${(await claims.get(store.db, id))!.state}`),
    quarantined: async (site) => void signals.push(`quarantined ${site}`),
    now: () => now,
  })
  listener = await startAgents(
    { store, authority, vault, enrolment, reports, notifications, now: () => now, log: () => {} },
    { kind: 'port', port: 17_701, host: '127.0.0.1' },
  )
  await store.transaction(async (tx) => {
    await sites.declare(tx, 'berlin', 'edge')
    await sites.declare(tx, 'oslo', 'edge')
    await sites.declare(tx, 'frankfurt', 'core')
  })
})
afterEach(async () => {
  await listener.close()
  await closeReports()
  await notifications.close()
  await store.close()
})

interface Box {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly serial: string
  readonly thumbprint: string
  readonly sealing: { readonly privateKey: KeyObject; readonly publicKey: KeyObject }
  certificate: string | null
}
function newBox(serial: string): Box {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return { privateKey, publicKey, serial, thumbprint: thumbprint(publicKey), sealing: generateKeyPairSync('x25519'), certificate: null }
}
const inventory = (serial: string) =>
  ({
    serial,
    hostname: 'box',
    os: 'Debian 12',
    kernel: '6.8',
    agentVersion: '0.1.0',
    wireguard: 'userspace',
    ipsec: 'userspace',
    interfaces: [],
  }) as const

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: { readonly [name: string]: unknown }
}
function call(method: string, path: string, body: unknown, box?: Box): Promise<Answer> {
  const identity = box?.certificate ? { cert: box.certificate, key: box.privateKey.export({ type: 'pkcs8', format: 'pem' }) } : {}
  return new Promise((resolve, reject) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const sent = request(
      {
        host: '127.0.0.1',
        port: listener.port!,
        path,
        method,
        agent: false,
        ca: [...authority.ca],
        checkServerIdentity: checkController('acme'),
        headers: body === null ? {} : { 'content-type': 'application/json' },
        ...identity,
      },
      (response) => {
        let answer = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (answer += chunk))
        response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body: JSON.parse(answer) as Answer['body'] }))
      },
    )
    sent.on('error', reject)
    sent.end(body === null ? undefined : text)
  })
}
async function invite(site: string, hours = 24, purpose: 'enrol' | 'replace' = 'enrol'): Promise<string> {
  const token = newToken({ caPin: authority.caPin, host: 'ctl.acme.net:7701', expiresAt: new Date(now.getTime() + hours * 3_600_000) })
  await store.transaction((tx) => tokens.issue(tx, { id: token.id, site, purpose, hash: token.hash, expiresAt: token.expiresAt, createdBy: 'test' }))
  const decoded = decodeToken(token.text)
  if (!decoded.ok) throw new Error(decoded.says)
  return decoded.secret.toString('base64url')
}
const enrol = (secret: string, box: Box) =>
  call('POST', '/v1/enrol', {
    secret,
    csr: createCsr('box', box),
    sealingKey: x25519Raw(box.sealing.publicKey).toString('base64'),
    inventory: inventory(box.serial),
  })
/** An edge's box with its certificate, as the site's entity leaves it. */
async function enrolled(site = 'berlin'): Promise<Box> {
  const box = newBox(`XJ-${site}`)
  const { body } = await enrol(await invite(site), box)
  box.certificate = body['certificate'] as string
  await store.db.updateTable('sites').set({ device: box.thumbprint, state: 'ACTIVE' }).where('id', '=', site).execute()
  return box
}
const problem = (code: string, status: number, detail: string | RegExp, instead: string | RegExp = '') => ({
  status,
  body: { code, status, detail: expect.stringMatching(detail) as string, instead: expect.stringMatching(instead) as string },
})
const report = (more: Partial<Report> = {}): Report => ({
  running: null,
  commit: { state: 'idle' },
  keys: [],
  endpoints: [],
  paths: [],
  findings: [],
  headlessSince: null,
  ...more,
})

test('an edge is enrolled at once, and its box gets the same answer again', async () => {
  const secret = await invite('berlin')
  const box = newBox('XJ-1182')
  const first = await enrol(secret, box)
  expect(first).toMatchObject({
    status: 200,
    body: {
      network: 'acme',
      site: 'berlin',
      role: 'edge',
      state: 'enrolled',
      certificate: expect.stringContaining('BEGIN CERTIFICATE') as string,
      confirmationCode: expect.stringMatching(/^[A-Z]\d-[A-Z]+-\d\d$/) as string,
    },
  })
  const again = await enrol(secret, box)
  expect(again.body['certificate']).toBe(first.body['certificate'])
  await expect.poll(() => claimed).toEqual(['berlin enrolled', 'berlin enrolled'])
  expect(await claims.ofSite(store.db, 'berlin')).toHaveLength(1)
})

test('a core waits for an operator, then the same request gets the certificate', async () => {
  const secret = await invite('frankfurt')
  const box = newBox('XJ-7')
  expect((await enrol(secret, box)).body).toMatchObject({ state: 'claimed', certificate: null })
  const claim = (await claims.waiting(store.db, 'frankfurt', box.thumbprint))!
  await claims.setState(store.db, claim.id, 'enrolled')
  expect((await enrol(secret, box)).body).toMatchObject({ state: 'enrolled', certificate: expect.stringContaining('BEGIN CERTIFICATE') as string })
})

test('two boxes with one token at the same time: one is enrolled, the other is told by which serial', async () => {
  const secret = await invite('berlin')
  const answers = await Promise.all([enrol(secret, newBox('XJ-1182')), enrol(secret, newBox('XJ-1190'))])
  expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 409])
  const refused = answers.find(({ status }) => status === 409)!
  expect(refused.body).toMatchObject({
    code: 'A03',
    detail: expect.stringMatching(/already used at .* UTC by a box with serial XJ-11(82|90)\. This one is XJ-11(82|90)/) as string,
    instead: expect.stringContaining('causeway site replace berlin') as string,
  })
  expect((await claims.ofSite(store.db, 'berlin')).map(({ state }) => state).sort()).toEqual(['enrolled', 'quarantined'])
  // The enrolled one is not disturbed for what a stranger does with its spent token.
  await expect.poll(() => claimed).toEqual(['berlin enrolled'])
  expect((await events.after(store.db, 0)).map(({ kind }) => kind)).toContain('site.second-box')
})

test('a second box at an unapproved core puts the site in doubt', async () => {
  const secret = await invite('frankfurt')
  await enrol(secret, newBox('XJ-1'))
  expect(await enrol(secret, newBox('XJ-2'))).toMatchObject(problem('A03', 409, 'serial XJ-1. This one is XJ-2'))
  await expect.poll(() => claimed).toEqual(['frankfurt claimed', 'frankfurt quarantined'])
})

test('expired, unknown, replaced and out-of-place tokens', async () => {
  const secret = await invite('berlin', 1)
  now = new Date(now.getTime() + 2 * 3_600_000)
  expect(await enrol(secret, newBox('XJ-1'))).toMatchObject(
    problem('A02', 410, /This token ended .* UTC \(it is .* UTC\)/, 'causeway site token berlin'),
  )
  expect(await enrol(randomBytes(16).toString('base64url'), newBox('XJ-1'))).toMatchObject(problem('C056', 403, 'not one of this network'))
  const older = await invite('oslo')
  await invite('oslo')
  expect(await enrol(older, newBox('XJ-1'))).toMatchObject(problem('C057', 409, 'newer token for oslo', 'newest line'))
  const late = await invite('berlin')
  await store.db.updateTable('sites').set({ state: 'RETIRED' }).where('id', '=', 'berlin').execute()
  expect(await enrol(late, newBox('XJ-1'))).toMatchObject(problem('C058', 409, 'berlin takes no box now: it is RETIRED'))
  expect(await store.db.selectFrom('claims').selectAll().execute()).toEqual([])
})

test('what is not understood, too large or without certificate is refused in a sentence', async () => {
  expect(await call('POST', '/v1/enrol', '{')).toMatchObject(problem('C050', 400, 'not JSON'))
  expect(await call('POST', '/v1/enrol', { secret: 1 })).toMatchObject(problem('C050', 400, 'secret'))
  expect(await call('POST', '/v1/enrol', { secret: await invite('berlin'), csr: 'no', sealingKey: '', inventory: inventory('x') })).toMatchObject(
    problem('C070', 400, 'not PKCS#10'),
  )
  expect(await call('POST', '/v1/enrol', { secret: 'x'.repeat(70_000) })).toMatchObject(problem('C004', 413, 'larger than 64 kB'))
  expect(await call('POST', '/v1/report', report())).toMatchObject(problem('C073', 401, 'no client certificate'))
  expect(await call('GET', '/v1/nothing', null)).toMatchObject(problem('C006', 404, 'nothing at GET /v1/nothing'))
})

test('who asks too often is told when to ask again, and others are not held up', async () => {
  const box = await enrolled()
  const other = await enrolled('oslo')
  // Far more than there is room for while they are answered, however slowly that goes.
  const answers = await Promise.all(Array.from({ length: 300 }, () => call('GET', '/v1/trust', null, box)))
  const refused = answers.filter(({ status }) => status === 429)
  expect(refused.length).toBeGreaterThan(0)
  expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(60)
  expect(refused[0]).toMatchObject({
    ...problem('C014', 429, 'too many requests', /ask again in \d+ s/),
    headers: { 'retry-after': expect.stringMatching(/^[1-9]\d*$/) as string },
  })
  expect((await call('GET', '/v1/trust', null, other)).status).toBe(200)
})

test('the larger the fleet, the longer between reports; each answer is spread by a tenth', async () => {
  const box = await enrolled()
  const everySeconds = async (count: number) => {
    const number = count + 1
    const fabric = { sites: Array.from({ length: count }, (_, n) => ({ id: n === 0 ? 'berlin' : `s${n}`, interfaces: [] })), tunnels: [] }
    await store.db
      .insertInto('generations')
      .values({
        number,
        base: 0,
        intent: '{}',
        fabric: JSON.stringify(fabric),
        fabric_hash: '',
        compiler: '1',
        site_hashes: '{}',
        verdict: 'passed',
        proof: '{}',
        operation_id: `op-${number}`,
        created_by: 'a',
      })
      .execute()
    await store.db
      .insertInto('network')
      .values({ id: 'acme', head: number })
      .onConflict((at) => at.column('id').doUpdateSet({ head: number }))
      .execute()
    return (await call('POST', '/v1/report', report(), box)).body['reportEverySeconds'] as number
  }
  for (const [count, seconds] of [
    [5, 5],
    [100, 5],
    [1_000, 10],
    [10_000, 60],
    [20_000, 60],
  ] as const) {
    const told = await everySeconds(count)
    expect(told).toBeGreaterThanOrEqual(seconds * 0.9)
    expect(told).toBeLessThanOrEqual(seconds * 1.1)
    // Silence counts after three of them.
    const row = (await sites.get(store.db, 'berlin'))!
    expect(sites.isOnline(row, new Date(now.getTime() + 3_000 * seconds - 1))).toBe(true)
    expect(sites.isOnline(row, new Date(now.getTime() + 3_000 * seconds))).toBe(false)
  }
})

test('nothing older than TLS 1.3 is spoken', async () => {
  const error = await new Promise<NodeJS.ErrnoException>((resolve) =>
    connect({
      host: '127.0.0.1',
      port: listener.port!,
      ca: [...authority.ca],
      checkServerIdentity: checkController('acme'),
      maxVersion: 'TLSv1.2',
    }).once('error', resolve),
  )
  expect(error.code).toMatch(/PROTOCOL_VERSION/)
})

test('a bundle is signed for what is assigned and for this box only; a permit while it still is', async () => {
  const box = await enrolled()
  const other = await enrolled('oslo')
  const triple = { term: 1, generation: 1, revision: 0 }
  const config = { kind: 'site-config', site: 'berlin' } as unknown as SiteConfig
  await store.transaction(async (tx) => {
    await tx
      .insertInto('generations')
      .values({
        number: 1,
        base: 0,
        intent: '{}',
        fabric: '{}',
        fabric_hash: '',
        compiler: '1',
        site_hashes: '{}',
        verdict: 'passed',
        proof: '{}',
        operation_id: 'op',
        created_by: 'a',
      })
      .execute()
    await bundles.insert(tx, { site: 'berlin', triple, hash: 'h', config, operationId: null })
    await sites.assign(tx, 'berlin', triple)
  })
  expect((await call('POST', '/v1/report', report(), box)).body).toMatchObject({ assigned: { triple, hash: 'h' } })
  const path = '/v1/bundle?term=1&generation=1&revision=0'
  const opened = openSigned((await call('GET', path, null, box)).body as unknown as Signed, authority.trustPayload.bundleSigners)
  expect(opened).toMatchObject({ ok: true, payload: { site: 'berlin', device: box.thumbprint, ...triple, hash: 'h', config } })
  expect(await call('GET', path, null, other)).toMatchObject(problem('C052', 404, 'oslo has no bundle 1/1/0'))
  expect(await call('GET', '/v1/bundle?term=x', null, box)).toMatchObject(problem('C050', 400, 'term, generation and revision'))

  const nonce = randomBytes(16).toString('hex')
  const granted = openSigned(
    (await call('POST', '/v1/permit', { triple, nonce }, box)).body as unknown as Signed,
    authority.trustPayload.bundleSigners,
  )
  expect(granted).toMatchObject({ ok: true, payload: { kind: 'permit', site: 'berlin', device: box.thumbprint, triple, nonce } })
  expect(await call('POST', '/v1/permit', { triple, nonce: 'short' }, box)).toMatchObject(problem('C050', 400, '16 to 200'))
  const next = { ...triple, revision: 1 }
  await store.transaction((tx) => sites.assign(tx, 'berlin', next))
  expect(await call('POST', '/v1/permit', { triple, nonce: randomBytes(16).toString('hex') }, box)).toMatchObject(
    problem('C053', 409, '1/1/0 is not assigned to berlin any more', '1/1/1 is'),
  )
  expect(await call('GET', path, null, box)).toMatchObject(problem('C053', 409, 'not assigned'))
})

test('a revoked or replaced box does not speak for the site', async () => {
  const box = await enrolled()
  await store.db.updateTable('sites').set({ device: 'another' }).where('id', '=', 'berlin').execute()
  expect(await call('POST', '/v1/report', report(), box)).toMatchObject(problem('C051', 403, 'does not speak for berlin'))
  await store.db.updateTable('sites').set({ device: box.thumbprint }).where('id', '=', 'berlin').execute()
  await certificates.revokeAll(store.db, 'berlin')
  expect(await call('GET', '/v1/trust', null, box)).toMatchObject(problem('C051', 403, 'does not speak'))
})

describe('another box for a site', () => {
  const fabric = {
    sites: [{ id: 'berlin', interfaces: [{ id: 'edge:fiber/frankfurt.a' }] }],
    tunnels: [
      {
        id: 't1',
        ends: [
          { site: 'berlin', interface: 'edge:fiber/frankfurt.a' },
          { site: 'frankfurt', interface: 'hub:a/s0' },
        ],
      },
    ],
  }
  const triple = (revision: number) => ({ term: 1, generation: 1, revision })
  const keyOf = (publicKey: string) => ({
    interface: 'edge:fiber/frankfurt.a',
    linkEpoch: 0,
    publicKey: Buffer.alloc(32, publicKey).toString('base64'),
  })
  const keys = async () => (await facts.keysOf(store.db, 'berlin')).map((fact) => (fact.kind === 'key' ? fact.publicKey : ''))

  /** The one that runs, and one that waits for an operator, as the site's entity leaves them. */
  async function two(): Promise<{ readonly old: Box; readonly next: Box; readonly secret: string }> {
    const old = await enrolled()
    await store.db.insertInto('network').values({ id: 'acme', head: 1 }).execute()
    await store.db
      .insertInto('generations')
      .values({
        number: 1,
        base: 0,
        intent: '{}',
        fabric: JSON.stringify(fabric),
        fabric_hash: '',
        compiler: '1',
        site_hashes: '{}',
        verdict: 'passed',
        proof: '{}',
        operation_id: 'op-1',
        created_by: 'a',
      })
      .execute()
    const secret = await invite('berlin', 24, 'replace')
    const next = newBox('XJ-new')
    expect((await enrol(secret, next)).body).toMatchObject({ state: 'claimed', certificate: null, role: 'edge' })
    await store.transaction(async (tx) => {
      await tx.insertInto('operations').values({ id: 'op-r', kind: 'replace', subject: 'site/berlin', state: 'running' }).execute()
      await replacements.begin(tx, 'berlin', 'op-r')
      await tx.updateTable('sites').set({ state: 'REPLACING' }).where('id', '=', 'berlin').execute()
    })
    return { old, next, secret }
  }
  async function approved() {
    const of = await two()
    const claim = (await claims.waiting(store.db, 'berlin', of.next.thumbprint))!
    await store.transaction(async (tx) => {
      await claims.setState(tx, claim.id, 'enrolled')
      await replacements.approve(tx, 'berlin', { device: of.next.thumbprint, claimId: claim.id })
      for (const revision of [0, 1]) {
        const config = { kind: 'site-config', site: 'berlin', revision } as unknown as SiteConfig
        await bundles.insert(tx, { site: 'berlin', triple: triple(revision), hash: `h${revision}`, config, operationId: null })
      }
      await sites.assign(tx, 'berlin', triple(0))
      await replacements.assign(tx, 'berlin', triple(1))
    })
    of.next.certificate = (await enrol(of.secret, of.next)).body['certificate'] as string
    return of
  }

  test('waits for an operator, whatever the role; a second one with its token is turned away and disturbs nobody', async () => {
    const { old, secret } = await two()
    expect((await events.after(store.db, 0)).at(-1)!.text).toContain('it waits for: causeway site approve berlin')
    expect(await enrol(secret, newBox('XJ-thief'))).toMatchObject(
      problem('A03', 409, 'serial XJ-new. This one is XJ-thief', 'causeway site replace berlin'),
    )
    expect((await call('POST', '/v1/report', report(), old)).status).toBe(200)
    const first = await invite('oslo')
    await store.db.updateTable('tokens').set({ purpose: 'replace' }).where('site', '=', 'oslo').execute()
    expect(await enrol(first, newBox('XJ-1'))).toMatchObject(problem('C058', 409, 'oslo takes no box now: it is DECLARED'))
  })

  test("approved, it has a bundle, permits and reports of its own, and its keys are nobody's yet", async () => {
    const { old, next } = await approved()
    expect((await call('POST', '/v1/report', report({ keys: [keyOf('o')] }), old)).body).toMatchObject({
      assigned: { triple: triple(0), hash: 'h0' },
    })
    const said = report({
      keys: [keyOf('n')],
      running: triple(1),
      paths: [{ tunnel: 't1', state: 'UP', since: now.toISOString(), rttMs: 1, jitterMs: 0, loss: 0, classes: [] }],
    })
    expect((await call('POST', '/v1/report', said, next)).body).toMatchObject({ assigned: { triple: triple(1), hash: 'h1' } })
    const bundle = (revision: number, box: Box) => call('GET', `/v1/bundle?term=1&generation=1&revision=${revision}`, null, box)
    const opened = openSigned((await bundle(1, next)).body as unknown as Signed, authority.trustPayload.bundleSigners)
    expect(opened).toMatchObject({ ok: true, payload: { site: 'berlin', device: next.thumbprint, ...triple(1) } })
    expect(await bundle(0, next)).toMatchObject(problem('C053', 409, '1/1/0 is not assigned', '1/1/1 is'))
    expect(await bundle(1, old)).toMatchObject(problem('C053', 409, '1/1/1 is not assigned', '1/1/0 is'))
    const nonce = randomBytes(16).toString('hex')
    expect((await call('POST', '/v1/permit', { triple: triple(1), nonce }, next)).status).toBe(200)
    expect(await call('POST', '/v1/permit', { triple: triple(0), nonce: `${nonce}0` }, next)).toMatchObject(problem('C053', 409, 'not assigned'))

    expect(await keys()).toEqual([keyOf('o').publicKey])
    expect(await sites.get(store.db, 'berlin')).toMatchObject({ device: old.thumbprint, running: null })
    expect(await replacements.get(store.db, 'berlin')).toMatchObject({
      running: triple(1),
      up: ['t1'],
      keys: [{ kind: 'key', site: 'berlin', ...keyOf('n') }],
    })
    expect(signals).toContain('reported berlin')
  })

  test('from the takeover on what the old box says of its keys counts no more', async () => {
    const { old } = await approved()
    await store.transaction(async (tx) => {
      await replacements.takeOver(tx, 'berlin', [])
      await facts.replaceKeys(tx, 'berlin', [{ kind: 'key', site: 'berlin', ...keyOf('n') } as never])
    })
    expect((await call('POST', '/v1/report', report({ keys: [keyOf('o')] }), old)).status).toBe(200)
    expect(await keys()).toEqual([keyOf('n').publicKey])
  })

  test('the one before is told to remove itself as often as it asks, and nothing that it says is stored', async () => {
    const { old, next } = await approved()
    await call('POST', '/v1/report', report({ running: triple(1) }), next)
    await store.transaction(async (tx) => {
      const own = (await claims.ofSite(tx, 'berlin')).find(({ thumbprint }) => thumbprint === old.thumbprint)!
      await claims.setState(tx, own.id, 'replaced')
      await certificates.revokeOf(tx, 'berlin', old.thumbprint)
      await replacements.succeed(tx, (await replacements.lock(tx, 'berlin'))!)
    })
    for (let times = 0; times < 2; times++)
      expect(await call('POST', '/v1/report', report({ keys: [keyOf('o')] }), old)).toMatchObject({
        status: 200,
        body: { assigned: null, wipe: true, replaced: true },
      })
    expect(await call('GET', '/v1/bundle?term=1&generation=1&revision=1', null, old)).toMatchObject(problem('C051', 403, 'does not speak for berlin'))
    expect(await keys()).toEqual([])
    expect(await sites.get(store.db, 'berlin')).toMatchObject({ device: next.thumbprint, running: triple(1), assigned: triple(1) })
    expect((await call('POST', '/v1/report', report({ running: triple(1) }), next)).body).toMatchObject({ assigned: { triple: triple(1) } })
  })
})

test('a renewal repeats its answer until the new certificate is used; then a second one is a fork', async () => {
  const box = await enrolled()
  const serialOf = async () => (await certificates.lockOfKey(store.db as never, box.thumbprint))[0]!.serial
  const first = await serialOf()
  const renew = (previousSerial: string) => call('POST', '/v1/renew', { csr: createCsr('box', box), previousSerial }, box)
  const renewed = await renew(first)
  expect((await renew(first)).body['certificate']).toBe(renewed.body['certificate'])
  const old = box.certificate
  box.certificate = renewed.body['certificate'] as string
  expect((await call('GET', '/v1/trust', null, box)).status).toBe(200)
  box.certificate = old
  await store.transaction(async (tx) => {
    await tx.insertInto('operations').values({ id: 'op-d', kind: 'drain', subject: 'site/berlin', state: 'running' }).execute()
    await sites.setDrain(tx, 'berlin', { until: now.toISOString(), operationId: 'op-d' })
  })
  expect(await renew(first)).toMatchObject(problem('C054', 403, 'was renewed twice', 'quarantined'))
  expect(await sites.get(store.db, 'berlin')).toMatchObject({ state: 'QUARANTINED', finding: { code: 'C054' }, drain: null })
  expect(await operations.get(store.db, 'op-d')).toMatchObject({ state: 'failed', findings: [{ code: 'C054' }] })
  expect(signals).toContain('quarantined berlin')
})

test('an expired certificate is good for renewing only, and not for ever; another key is refused', async () => {
  const box = await enrolled()
  const first = (await certificates.lockOfKey(store.db as never, box.thumbprint))[0]!.serial
  const stranger = { ...newBox('XJ-9'), certificate: box.certificate }
  expect(await call('POST', '/v1/renew', { csr: createCsr('box', stranger), previousSerial: first }, box)).toMatchObject(
    problem('C051', 403, 'another key'),
  )
  now = new Date(now.getTime() + 30 * 86_400_000)
  expect(await call('POST', '/v1/report', report(), box)).toMatchObject(problem('C055', 401, 'certificate ended', 'renew it first'))
  expect((await call('POST', '/v1/renew', { csr: createCsr('box', box), previousSerial: first }, box)).status).toBe(200)
  now = new Date(now.getTime() + 90 * 86_400_000)
  expect(await call('POST', '/v1/renew', { csr: createCsr('box', box), previousSerial: first }, box)).toMatchObject(
    problem('C055', 403, 'more than 90 days ago'),
  )
})

test('a report is stored; keys wake both ends of their tunnels, and only what moved wakes the site', async () => {
  const box = await enrolled()
  const fabric = {
    sites: [{ id: 'berlin', interfaces: [{ id: 'edge:fiber/frankfurt.a' }] }],
    tunnels: [
      {
        id: 't1',
        ends: [
          { site: 'berlin', interface: 'edge:fiber/frankfurt.a' },
          { site: 'frankfurt', interface: 'hub:a/s0' },
        ],
      },
    ],
  } as unknown as Fabric
  await store.db.insertInto('network').values({ id: 'acme', head: 1 }).execute()
  await store.db
    .insertInto('generations')
    .values({
      number: 1,
      base: 0,
      intent: '{}',
      fabric: JSON.stringify(fabric),
      fabric_hash: '',
      compiler: '1',
      site_hashes: '{}',
      verdict: 'passed',
      proof: '{}',
      operation_id: 'op',
      created_by: 'a',
    })
    .execute()
  const key = { interface: 'edge:fiber/frankfurt.a', linkEpoch: 0, publicKey: randomBytes(32).toString('base64') }
  const path = {
    tunnel: 't1',
    state: 'UP' as const,
    since: now.toISOString(),
    rttMs: 30,
    jitterMs: 1,
    loss: 0,
    classes: ['realtime'],
  } satisfies Report['paths'][number]
  const said = report({
    keys: [key, { ...key, interface: 'hub:a/s0' }, { ...key, linkEpoch: 1, publicKey: 'no key' }],
    paths: [path],
    running: { term: 1, generation: 1, revision: 0 },
  })
  await call('POST', '/v1/report', said, box)
  expect(await facts.all(store.db)).toEqual([{ kind: 'key', site: 'berlin', ...key }])
  await closeReports()
  expect(signals.sort()).toEqual(['facts berlin', 'facts frankfurt', 'reported berlin'])
  expect(await sites.get(store.db, 'berlin')).toMatchObject({ running: said.running, confirmed: said.running })
  signals.length = 0
  await call('POST', '/v1/report', said, box)
  await closeReports()
  expect(signals).toEqual([])
})

test('a hint comes at once and whenever the assignment moves', async () => {
  const box = await enrolled()
  const heard: string[] = []
  const stream = request({
    host: '127.0.0.1',
    port: listener.port!,
    path: '/v1/hints',
    agent: false,
    ca: [...authority.ca],
    checkServerIdentity: checkController('acme'),
    cert: box.certificate!,
    key: box.privateKey.export({ type: 'pkcs8', format: 'pem' }),
  })
  stream.on('error', () => {})
  const three = new Promise<void>((resolve) => {
    stream.on('response', (response) => {
      response.setEncoding('utf8')
      response.on('error', () => {})
      response.on('data', (chunk: string) => {
        heard.push(...(chunk.match(/^data: .*$/gm) ?? []))
        if (heard.length === 1) void store.transaction((tx) => sites.assign(tx, 'berlin', { term: 1, generation: 1, revision: 0 }))
        if (heard.length === 2)
          void store.transaction((tx) =>
            pathTests.insert(tx, { id: 'pt-1', site: 'berlin', tunnels: [], count: 1, until: new Date(now.getTime() + 60_000) }),
          )
        if (heard.length === 3) resolve()
      })
    })
  })
  stream.end()
  await three
  stream.destroy()
  const triple = '{"term":1,"revision":0,"generation":1}'
  expect(heard).toEqual(['data: {"assigned":null}', `data: {"assigned":${triple}}`, `data: {"assigned":${triple},"test":"pt-1"}`])
})

test('a path test is hinted at, ordered by the answer to a report, and taken once from the site that was asked', async () => {
  const [box, oslo] = [await enrolled(), await enrolled('oslo')]
  const measured = { sent: 100, received: 99, rttMs: { min: 1, median: 2, max: 3 }, jitterMs: 0.1, fullPackets: true }
  const tunnel = 'berlin.fiber--frankfurt.isp-a'
  await call('POST', '/v1/report', report(), box)
  const asked = { site: 'berlin', tunnels: [tunnel], count: 100, actor: 'a-1' }
  const result = runPathTest(store, notifications, () => now, asked)
  await expect.poll(() => pathTests.orderFor(store.db, 'berlin', now)).toBeDefined()
  const { id } = (await pathTests.orderFor(store.db, 'berlin', now))!
  await expect(runPathTest(store, notifications, () => now, asked)).rejects.toMatchObject({ code: 'C152', message: 'a test runs at berlin already' })
  const { body } = await call('POST', '/v1/report', report(), box)
  const opened = openSigned(body['measure'] as Signed, authority.trustPayload.bundleSigners)
  expect(opened).toMatchObject({
    ok: true,
    payload: { kind: 'measure', network: 'acme', site: 'berlin', device: box.thumbprint, test: id, tunnels: [tunnel], count: 100, intervalMs: 20 },
  })
  expect((await call('POST', '/v1/report', report(), oslo)).body['measure']).toBeUndefined()
  // Another site's word about it counts for nothing.
  await call('POST', '/v1/report', report({ measured: { test: id, paths: [], why: 'mine' } }), oslo)
  const told = await call('POST', '/v1/report', report({ measured: { test: id, paths: [{ tunnel, ...measured }], why: '' } }), box)
  expect(told.body['measure']).toBeUndefined()
  expect(await result).toEqual({ test: id, paths: [{ tunnel, ...measured }], why: '' })
  await call('POST', '/v1/report', report({ measured: { test: id, paths: [], why: 'once more' } }), box)
  expect((await pathTests.get(store.db, id))?.result).toMatchObject({ why: '' })
  expect(await audit.broken(store.db)).toBeNull()

  await expect(runPathTest(store, notifications, () => now, { ...asked, count: 1 }, 200)).rejects.toMatchObject({
    status: 504,
    code: 'C153',
    message: 'berlin did not tell what it measured within 1 s',
  })
  await store.db
    .updateTable('sites')
    .set({ last_seen: new Date(now.getTime() - 600_000) })
    .where('id', '=', 'berlin')
    .execute()
  await expect(runPathTest(store, notifications, () => now, asked)).rejects.toMatchObject({
    code: 'C151',
    message: expect.stringMatching(/^berlin does not report since \d{4}-/) as string,
  })
  await expect(runPathTest(store, notifications, () => now, { ...asked, site: 'frankfurt' })).rejects.toMatchObject({
    code: 'C151',
    message: 'frankfurt has no box yet',
  })
})

test('a secret goes only to the box whose assigned bundle names it, sealed to that box', async () => {
  const [frankfurt, oslo] = [await enrolled('berlin'), await enrolled('oslo')]
  const first = await vault.put('psk/frankfurt.isp-a--aws.0', Buffer.from('the first key'))
  const second = await vault.rotate(first.id, Buffer.from('the second key'))
  await vault.put('ca/key', Buffer.from('never for a box'))
  const named = (psk: typeof first) =>
    ({ kind: 'site-config', site: 'berlin', tunnels: [{ peer: { kind: 'wireguard' } }, { peer: { kind: 'ipsec', psk } }] }) as unknown as SiteConfig
  const assign = (revision: number, config: SiteConfig) =>
    store.transaction(async (tx) => {
      await bundles.insert(tx, { site: 'berlin', triple: { term: 1, generation: 1, revision }, hash: 'h', config, operationId: null })
      await sites.assign(tx, 'berlin', { term: 1, generation: 1, revision })
    })
  await store.db
    .insertInto('generations')
    .values({
      number: 1,
      base: 0,
      intent: '{}',
      fabric: '{}',
      fabric_hash: '',
      compiler: '1',
      site_hashes: '{}',
      verdict: 'passed',
      proof: '{}',
      operation_id: 'op',
      created_by: 'a',
    })
    .execute()
  const ask = (version: number, box = frankfurt, id = first.id) =>
    call('GET', `/v1/secret?id=${encodeURIComponent(id)}&version=${version}`, null, box)
  const refused = problem('C068', 404, /names no secret/)

  expect(await ask(1)).toMatchObject(refused)
  await assign(0, named(first))
  const { status, body } = await ask(1)
  expect(status).toBe(200)
  const context = { network: 'acme', site: 'berlin', secret: { id: first.id, version: 1 } }
  expect(openSealed(body['sealed'] as string, frankfurt.sealing, context)).toEqual({ ok: true, secret: Buffer.from('the first key') })
  expect(openSealed(body['sealed'] as string, oslo.sealing, context)).toMatchObject({ ok: false, code: 'A30' })
  expect(await ask(1, oslo)).toMatchObject(refused)
  expect(await ask(2)).toMatchObject(refused)
  expect(await ask(1, frankfurt, 'ca/key')).toMatchObject(refused)
  expect(await call('GET', '/v1/secret?id=x&version=-1', null, frankfurt)).toMatchObject(problem('C050', 400, 'by id and version'))
  expect(await call('GET', `/v1/secret?id=${encodeURIComponent(first.id)}&version=1`, null)).toMatchObject(
    problem('C073', 401, 'no client certificate'),
  )

  await assign(1, named(second))
  expect(await ask(1)).toMatchObject(refused)
  expect(openSealed((await ask(2)).body['sealed'] as string, frankfurt.sealing, { ...context, secret: { id: first.id, version: 2 } })).toEqual({
    ok: true,
    secret: Buffer.from('the second key'),
  })
})

test('a taken port is followed by the next free one', async () => {
  const deps = {
    store,
    authority,
    vault,
    notifications,
    now: () => now,
    log: () => {},
    enrolment: { enrol: async () => Promise.reject(new Error('unused')), renew: async () => Promise.reject(new Error('unused')) },
    reports: { acceptSuccessor: async () => {}, accept: async () => {}, close: async () => {} },
  }
  const second = await startAgents(deps, { kind: 'port', port: listener.port!, host: '127.0.0.1' })
  expect(second.port).toBeGreaterThan(listener.port!)
  await second.close()
})
