/** `causeway serve` as a process: it survives SIGKILL, keeps one controller a folder, and leaves nothing behind. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { alive } from '#src/controller/children.ts'
import { demoFiles } from '#test/contract/demo.ts'

let folder: string
const running = new Set<ChildProcess>()
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cw-serve-'))
})
afterAll(async () => {
  for (const child of running) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

interface Ready {
  readonly child: ChildProcess
  readonly lines: readonly { readonly type: string; readonly [name: string]: unknown }[]
}
const data = () => join(folder, 'data')
/** Until it is ready, or has ended. */
async function serve(...args: readonly string[]): Promise<Ready> {
  const child = spawn(process.execPath, ['src/controller/main.ts', '--data', data(), '--agents-socket', join(folder, 'agents'), '--json', ...args], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, DATABASE_URL: '', TEMPORAL_ADDRESS: '' } })
  running.add(child)
  child.once('exit', () => running.delete(child))
  const lines: Ready['lines'][number][] = []
  let text = ''
  for await (const chunk of child.stdout) {
    text += String(chunk)
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      lines.push(JSON.parse(text.slice(0, end)) as Ready['lines'][number])
      text = text.slice(end + 1)
    }
    if (lines.some(({ type }) => type === 'ready')) break
  }
  return { child, lines }
}
async function call(path: string, body?: unknown): Promise<{ readonly [name: string]: unknown }> {
  const { url } = JSON.parse(readFileSync(join(data(), 'run.json'), 'utf8')) as { readonly url: string }
  const token = readFileSync(join(data(), 'admin.token'), 'utf8').trim()
  const answer = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }) })
  return (await answer.json()) as { readonly [name: string]: unknown }
}
const recorded = (name: string) => {
  const [pid, start] = readFileSync(join(data(), `${name}.pid`), 'utf8').trim().split(' ')
  return { pid: Number(pid), start: start! }
}
const state = async (operation: unknown) => (await call(`/v1/operations/${String(operation)}`))['state']

test('a change that was accepted just before SIGKILL is finished by the next start, and nothing is left over', async () => {
  const first = await serve()
  expect(first.lines.map(({ type }) => type)).toContain('admin')
  const second = await serve()
  expect(second.lines.at(-1)).toMatchObject({ type: 'result', exit: 5, code: 'C041', says: expect.stringContaining(`process ${first.child.pid}`) as string })

  const plan = await call('/v1/plans', { files: demoFiles() })
  const { operation } = await call(`/v1/plans/${String(plan['id'])}/apply`, {})
  const servers = [recorded('postgres'), recorded('temporal')]
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')
  await expect.poll(() => servers.some(alive)).toBe(false)

  const third = await serve()
  expect(third.lines.map(({ type }) => type)).not.toContain('admin')
  await expect.poll(() => state(operation), { timeout: 30_000 }).toBe('succeeded')
  expect(await call('/v1/status')).toMatchObject({ network: 'demo', generation: 1, sites: { total: 5 } })

  const last = [recorded('postgres'), recorded('temporal')]
  third.child.kill('SIGTERM')
  expect(await once(third.child, 'exit')).toEqual([0, null])
  expect(last.some(alive)).toBe(false)
  expect(['serve.pid', 'postgres.pid', 'temporal.pid', 'run.json', 'postgres.socket'].filter((name) => existsSync(join(data(), name)))).toEqual([])
})

test('Temporal loses everything, and what is open goes on', async () => {
  const { child } = await serve()
  const plan = await call('/v1/plans', { files: demoFiles((path, text) => (path === 'oslo.yaml' ? `${text}\n# moved\n` : text)) })
  const { operation } = await call(`/v1/plans/${String(plan['id'])}/apply`, {})
  const temporal = recorded('temporal')
  process.kill(temporal.pid, 'SIGKILL')
  for (const suffix of ['', '-wal', '-shm']) rmSync(join(data(), `temporal.db${suffix}`), { force: true })
  await expect.poll(() => state(operation), { timeout: 60_000 }).toBe('succeeded')
  child.kill('SIGTERM')
  await once(child, 'exit')
})

test('a taken port is followed by the next free one, and said', async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const { port } = taken.address() as { readonly port: number }
  const { child, lines } = await serve('--port', String(port))
  expect(lines.find(({ type }) => type === 'port')).toMatchObject({ wanted: port, port: expect.any(Number) as number })
  expect(lines.find(({ type }) => type === 'ready')!['url']).not.toBe(`http://127.0.0.1:${port}`)
  taken.close()
  child.kill('SIGTERM')
  await once(child, 'exit')
})
