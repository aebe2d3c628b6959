/** What `serve` says when something that it stands on is missing, wrong, full, or goes away and comes back. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { embeddedUrl, type EmbeddedPostgres, startPostgres } from '#src/controller/postgres.ts'
import { startTemporal } from '#src/controller/temporal.ts'
import { demoFiles } from '#test/contract/demo.ts'
import { killAll, recorded, type Served, serve, tokenBelow } from './controller-process.ts'

let folder: string
let postgres: EmbeddedPostgres
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cw-trouble-'))
  postgres = await startPostgres({ folder, fsync: false })
})
afterAll(async () => {
  killAll()
  await postgres.stop()
  rmSync(folder, { recursive: true, force: true })
})
const place = (name: string): string => {
  mkdirSync(join(folder, name), { recursive: true })
  return join(folder, name)
}
/** An API alone, on the test's database; its Temporal is nowhere. */
const api = (name: string, env: NodeJS.ProcessEnv = {}, args: readonly string[] = []) =>
  serve({
    folder: place(name),
    admin: () => tokenBelow(folder),
    args: ['--role', 'api', ...args],
    env: { DATABASE_URL: postgres.url, TEMPORAL_ADDRESS: '127.0.0.1:1', CAUSEWAY_VAULT_KEY: join(folder, 'vault-key'), ...env },
  })
async function refused(served: Served, exit: number, code: string, says: RegExp, instead: RegExp = /./): Promise<void> {
  expect(await served.ready()).toMatchObject({
    type: 'result',
    exit,
    code,
    says: expect.stringMatching(says) as string,
    instead: expect.stringMatching(instead) as string,
  })
  expect(await served.stop()).toBe(exit)
  expect(served.terminal()).toBe('')
}
async function apply(via: Served, files = demoFiles()) {
  const plan = await via.call('/v1/plans', { files })
  return via.call(`/v1/plans/${String(plan.body['id'])}/apply`, {})
}
const state = async (via: Served, operation: unknown) => (await via.call(`/v1/operations/${String(operation)}`)).body['state']

test("a database that is not there, refuses, or is another version's", async () => {
  await refused(api('db-away', { DATABASE_URL: 'postgresql://causeway@127.0.0.1:1/causeway' }), 6, 'C043', /database does not answer/, /DATABASE_URL/)
  await refused(
    api('db-none', { DATABASE_URL: postgres.url.replace('/postgres?', '/nowhere?') }),
    6,
    'C043',
    /database refuses: database "nowhere" does not exist/,
    /DATABASE_URL/,
  )
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  await client.query('create database newer')
  await client.end()
  const newer = postgres.url.replace('/postgres?', '/newer?')
  const other = new pg.Client({ connectionString: newer })
  await other.connect()
  await other.query(
    'create table migrations (number int primary key, name text not null, hash text not null, applied_at timestamptz not null default now())',
  )
  await other.query("insert into migrations values (900, '900-later.sql', 'x')")
  await other.end()
  await refused(api('db-newer', { DATABASE_URL: newer }), 5, 'C044', /made by a newer version.*900-later/, /^$/)
})

test('a part of a set-up with nothing beside it says what it lacks', async () => {
  await refused(
    serve({ folder: place('alone'), args: ['--role', 'api'], env: { TEMPORAL_ADDRESS: '127.0.0.1:1' } }),
    6,
    'C043',
    /no database for --role api/,
    /DATABASE_URL/,
  )
  await refused(
    serve({ folder: place('alone'), args: ['--role', 'worker'], env: { DATABASE_URL: postgres.url } }),
    6,
    'C045',
    /no Temporal for --role worker/,
    /TEMPORAL_ADDRESS/,
  )
})

test('a worker without Temporal says so once and goes on trying', async () => {
  const served = api('worker', {}, ['--role', 'worker'])
  await expect.poll(() => served.lines.map(({ type }) => type), { timeout: 60_000 }).toEqual(['waiting'])
  expect(served.lines[0]).toMatchObject({ address: '127.0.0.1:1' })
  expect(await served.stop()).toBe(0)
})

test("the vault's key: in the wrong place, open to others, damaged, unreadable, another one", async () => {
  const key = join(folder, 'vault-key')
  const first = api('vault')
  expect(await first.ready()).toMatchObject({ type: 'ready' })
  await first.stop()
  const given = (name: string, text: string, mode: number) => {
    const file = join(folder, name)
    writeFileSync(file, text)
    chmodSync(file, mode)
    return api('vault', { CAUSEWAY_VAULT_KEY: file })
  }
  await refused(given('key-other', 'ab'.repeat(32), 0o600), 10, 'C060', /vault/)
  await refused(api('vault', { CAUSEWAY_VAULT_KEY: join(folder, 'vault', 'data', 'key') }), 10, 'C064', /data folder/)
  await refused(given('key-open', readFileSync(key, 'utf8'), 0o644), 10, 'C065', /key-open/)
  await refused(given('key-damaged', 'no key', 0o600), 10, 'C066', /key-damaged/)
  await refused(api('vault', { CAUSEWAY_VAULT_KEY: join(folder, 'no', 'such', 'folder') }), 10, 'C067', /folder/)
})

test('no port is free', async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(65_535, '127.0.0.1', resolve))
  await refused(api('ports', {}, ['--port', '65535']), 10, 'C046', /port 65535 is taken/, /--port/)
  taken.close()
})

test('the database stands still in the middle: a problem that says so, and then all is as before', async () => {
  const served = api('still')
  await served.ready()
  expect((await served.call('/v1/status')).status).toBe(200)
  const client = new pg.Client({ connectionString: postgres.url })
  client.on('error', () => {})
  await client.connect()
  // The server takes no new sessions, and the ones that are open end.
  process.kill(postgres.pid()!, 'SIGSTOP')
  await client.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'causeway%'")
  const away = await served.call('/v1/status')
  expect(away).toMatchObject({
    status: 503,
    body: { code: 'C010', detail: 'the database does not answer', instead: expect.stringContaining('repeat') as string },
  })
  expect(away.headers.get('retry-after')).toBe('2')
  process.kill(postgres.pid()!, 'SIGCONT')
  await client.end()
  await expect.poll(async () => (await served.call('/v1/status')).status, { timeout: 30_000 }).toBe(200)

  process.kill(postgres.pid()!, 'SIGKILL')
  await expect.poll(async () => (await served.call('/v1/status')).status, { timeout: 30_000 }).toBe(200)
  expect(await served.stop()).toBe(0)
})

test('Temporal stands still: the command is stored and answered, and goes on when it is back', async () => {
  const served = serve({ folder: place('temporal') })
  await served.ready()
  const temporal = recorded(served.data, 'temporal').pid
  process.kill(temporal, 'SIGSTOP')
  const { status, body } = await apply(served)
  expect(status).toBe(202)
  expect(await state(served, body['operation'])).toBe('running')
  expect((await served.call('/v1/events?after=0')).body['events']).toContainEqual(
    expect.objectContaining({ kind: 'operation.waits', operation: body['operation'], text: expect.stringContaining('C011') as string }),
  )
  process.kill(temporal, 'SIGCONT')
  await expect.poll(() => state(served, body['operation']), { timeout: 60_000 }).toBe('succeeded')
  expect(await served.stop()).toBe(0)
})

test("a terminal shows the controller's own sentences only, whatever is killed under it", async () => {
  const own = /^(controller http:|first administrator|  kept for the CLI|port \d+ is taken|stopping …)/
  const sentences = (served: Served) =>
    served
      .terminal()
      .trimEnd()
      .split('\n')
      .filter((line) => !own.test(line))
  const first = serve({ folder: place('terminal'), json: false })
  await expect.poll(() => first.terminal(), { timeout: 60_000 }).toContain('controller http:')
  const { body } = await apply(first)
  process.kill(recorded(first.data, 'temporal').pid, 'SIGKILL')
  await expect.poll(() => state(first, body['operation']), { timeout: 60_000 }).toBe('succeeded')
  await first.stop('SIGKILL')
  expect(sentences(first)).toEqual([])

  const second = serve({ folder: place('terminal'), json: false })
  await expect.poll(() => second.terminal(), { timeout: 60_000 }).toContain('network demo, 5 sites')
  process.kill(recorded(second.data, 'postgres').pid, 'SIGKILL')
  await expect.poll(async () => (await second.call('/v1/status')).status, { timeout: 30_000 }).toBe(200)
  expect(await second.stop()).toBe(0)
  expect(sentences(second)).toEqual([])
  // It went somewhere: what was killed is told in the log.
  expect(readFileSync(join(second.data, 'controller.log'), 'utf8')).toMatch(/Temporal ended by SIGKILL[^]*PostgreSQL ended by SIGKILL/)
  expect(embeddedUrl(second.data)).toBeNull()
  expect(existsSync(join(second.data, 'run.json'))).toBe(false)
})

test('a Temporal that never came to answer leaves nothing that the next one trips over', async () => {
  const data = place('half-made')
  const half = new DatabaseSync(join(data, 'temporal.db'))
  half.exec('create table schema_version (version_partition int, db_name varchar(255), primary key (version_partition, db_name))')
  half.close()
  await (await startTemporal({ folder: data })).stop()
})

test('a full disk and a read-only one: a sentence, nothing half-made, and with space it goes on', async () => {
  const child = spawn('unshare', ['-Urm', process.execPath, 'test/system/full-disk.ts', place('mount')], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  expect(await once(child, 'close')).toEqual([0, null])
  const saw = JSON.parse(text) as { readonly [name: string]: unknown }
  expect(saw['full']).toMatchObject({
    code: 10,
    terminal: '',
    line: {
      type: 'result',
      exit: 10,
      code: 'C040',
      says: expect.stringContaining('disk under the data folder is full') as string,
      instead: expect.stringContaining('--data DIR') as string,
    },
  })
  for (const half of ['postgres', 'admin.token', 'run.json', 'serve.pid', 'temporal.pid']) expect(saw['leftOver']).not.toContain(half)
  expect(saw).toMatchObject({ afterwards: 'ready', before: 201 })
  expect(saw['whileFull']).toMatchObject({
    status: 503,
    body: { code: 'C010', detail: expect.stringMatching(/disk is full|does not answer/) as string },
  })
  expect(saw).toMatchObject({ freed: 201, stopped: 0 })
  expect(saw['readOnly']).toMatchObject({
    code: 10,
    terminal: '',
    line: { code: 'C040', says: expect.stringContaining("can't be written") as string },
  })
})
