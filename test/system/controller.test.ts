/** `causeway serve` as a process: it survives SIGKILL, keeps one controller a folder, and leaves nothing behind. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { alive } from '#src/controller/children.ts'
import { demoFiles } from '#test/contract/demo.ts'
import { killAll, recorded, type Served, serve } from './controller-process.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cw-serve-'))
})
afterAll(async () => {
  killAll()
  rmSync(folder, { recursive: true, force: true })
})

const started = async (...args: readonly string[]) => {
  const served = serve({ folder, args })
  await served.ready()
  return served
}
const state = async (via: Served, operation: unknown) => (await via.call(`/v1/operations/${String(operation)}`)).body['state']

async function apply(via: Served, files = demoFiles()): Promise<unknown> {
  const plan = await via.call('/v1/plans', { files })
  return (await via.call(`/v1/plans/${String(plan.body['id'])}/apply`, {})).body['operation']
}

test('a change that was accepted just before SIGKILL is finished by the next start, and nothing is left over', async () => {
  const first = await started()
  expect(first.lines.map(({ type }) => type)).toContain('admin')
  const second = await started()
  expect(second.lines.at(-1)).toMatchObject({
    type: 'result',
    exit: 5,
    code: 'C041',
    says: expect.stringContaining(`process ${first.child.pid}`) as string,
  })

  const operation = await apply(first)
  const servers = [recorded(first.data, 'postgres'), recorded(first.data, 'temporal')]
  await first.stop('SIGKILL')
  await expect.poll(() => servers.some(alive)).toBe(false)

  const third = await started()
  expect(third.lines.map(({ type }) => type)).not.toContain('admin')
  await expect.poll(() => state(third, operation), { timeout: 30_000 }).toBe('succeeded')
  expect((await third.call('/v1/status')).body).toMatchObject({ network: 'demo', generation: 1, sites: { total: 5 } })

  const last = [recorded(third.data, 'postgres'), recorded(third.data, 'temporal')]
  expect(await third.stop()).toBe(0)
  expect(last.some(alive)).toBe(false)
  expect(['serve.pid', 'postgres.pid', 'temporal.pid', 'run.json', 'postgres.socket'].filter((name) => existsSync(join(third.data, name)))).toEqual(
    [],
  )
})

test('Temporal loses everything, and what is open goes on', async () => {
  const served = await started()
  const operation = await apply(
    served,
    demoFiles((path, text) => (path === 'oslo.yaml' ? `${text}\n# moved\n` : text)),
  )
  process.kill(recorded(served.data, 'temporal').pid, 'SIGKILL')
  for (const suffix of ['', '-wal', '-shm']) rmSync(join(served.data, `temporal.db${suffix}`), { force: true })
  await expect.poll(() => state(served, operation), { timeout: 60_000 }).toBe('succeeded')
  await served.stop()
})

test('a taken port is followed by the next free one, and said', async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const { port } = taken.address() as { readonly port: number }
  const served = await started('--port', String(port))
  expect(served.lines.find(({ type }) => type === 'port')).toMatchObject({ wanted: port, port: expect.any(Number) as number })
  expect((await served.ready())['url']).not.toBe(`http://127.0.0.1:${port}`)
  taken.close()
  await served.stop()
})
