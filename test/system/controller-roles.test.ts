/** `serve --role api` and `--role worker`, two of each, on a database and a Temporal of their own. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type EmbeddedPostgres, startPostgres } from '#src/controller/postgres.ts'
import { type EmbeddedTemporal, startTemporal } from '#src/controller/temporal.ts'
import { demoFiles } from '#test/contract/demo.ts'
import { killAll, type Served, serve, tokenBelow } from './controller-process.ts'

let folder: string
let postgres: EmbeddedPostgres
let temporal: EmbeddedTemporal
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cw-roles-'))
  ;[postgres, temporal] = await Promise.all([startPostgres({ folder, fsync: false }), startTemporal({ folder })])
})
afterAll(async () => {
  killAll()
  await Promise.all([postgres.stop(), temporal.stop()])
  rmSync(folder, { recursive: true, force: true })
})

const start = (name: string, role: 'api' | 'worker'): Served => {
  mkdirSync(join(folder, name), { recursive: true })
  return serve({
    folder: join(folder, name),
    admin: () => tokenBelow(folder),
    args: ['--role', role],
    env: { DATABASE_URL: postgres.url, TEMPORAL_ADDRESS: temporal.address, CAUSEWAY_VAULT_KEY: join(folder, 'vault-key') },
  })
}
async function apply(via: Served, files = demoFiles()): Promise<string> {
  const plan = await via.call('/v1/plans', { files })
  expect(plan.body).toMatchObject({ verdict: 'passed' })
  const { status, body } = await via.call(`/v1/plans/${String(plan.body['id'])}/apply`, {})
  expect(status).toBe(202)
  return body['operation'] as string
}
const state = async (via: Served, operation: string) => (await via.call(`/v1/operations/${operation}`)).body['state']
/** The same network with another comment: a generation of its own. */
const changed = (nth: number) => demoFiles((path, text) => (path === 'network.yaml' ? `${text}\n# ${nth}\n` : text))

test('two of each at once: an apply through one API is seen through the other, and a killed worker loses nothing', async () => {
  const apis = [start('api-1', 'api'), start('api-2', 'api')] as const
  const workers = [start('worker-1', 'worker'), start('worker-2', 'worker')] as const
  const ready = await Promise.all([...apis, ...workers].map((one) => one.ready()))
  expect(ready).toEqual(Array.from({ length: 4 }, () => expect.objectContaining({ type: 'ready' })))
  // Four started at once on an empty database, and there is one first administrator.
  expect(apis.filter(({ data }) => existsSync(join(data, 'admin.token')))).toHaveLength(1)
  expect([...apis, ...workers].flatMap(({ lines }) => lines.filter(({ type }) => type === 'admin'))).toHaveLength(1)

  const first = await apply(apis[0])
  await workers[0].stop('SIGKILL')
  await expect.poll(() => state(apis[1], first), { timeout: 60_000 }).toBe('succeeded')
  expect((await apis[1].call('/v1/status')).body).toMatchObject({ network: 'demo', generation: 1, sites: { total: 5 } })
  // Both can give tokens: the other one heard that the network has a name now.
  for (const [n, api] of apis.entries())
    await expect.poll(async () => (await api.call(`/v1/sites/${n === 0 ? 'berlin' : 'oslo'}/tokens`, {})).status, { timeout: 30_000 }).toBe(201)

  // With no worker at all the command stands, and the next worker carries it out.
  await workers[1].stop('SIGKILL')
  const second = await apply(apis[1], changed(2))
  expect(await state(apis[0], second)).toBe('running')
  const third = start('worker-3', 'worker')
  expect(await third.ready()).toMatchObject({ type: 'ready', role: 'worker' })
  await expect.poll(() => state(apis[0], second), { timeout: 60_000 }).toBe('succeeded')
  expect((await apis[0].call('/v1/generations')).body['generations']).toHaveLength(2)

  expect(await Promise.all([...apis, third].map((one) => one.stop()))).toEqual([0, 0, 0])
})
