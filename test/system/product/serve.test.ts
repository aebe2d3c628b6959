/** `causeway serve` as a process: what it says when it can't start, and what is left when it ends. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTime } from '#src/controller/children.ts'
import { controllerIn, networkFiles, node, type Pointer, type Ran, serveCommand, start, until } from './world.ts'

const folder = mkdtempSync(join(tmpdir(), 'cws-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A person reads this. */
const isSentence = (ran: Ran, code: string) => {
  expect(ran.stderr).toMatch(new RegExp(`^error\\[${code}\\] \\S.*\\n {2}\\S`))
  expect(ran.stderr).not.toMatch(/^\s+at |node:internal|Error:/m)
  expect(ran.stdout).toBe('')
}
/** Pid and start time of a process and all that descend from it, wherever they are by now. */
const family = (pid: number): readonly { readonly pid: number; readonly start: string }[] => {
  const own = startTime(pid)
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number),
  )
  return [...(own === null ? [] : [{ pid, start: own }]), ...children.flatMap(family)]
}
const living = (of: ReturnType<typeof family>) =>
  of.filter(({ pid, start: since }) => startTime(pid) === since).map(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '))

describe('a controller', () => {
  const taken = createServer()
  let port = 0
  let controller: ReturnType<typeof controllerIn>
  let pointer: Pointer
  const sites = join(folder, 'sites')
  const cli = (...args: readonly string[]) =>
    start([node, resolve('bin/causeway.js'), ...args], { cwd: sites, env: { CAUSEWAY_STATE: join(folder, 'state'), CAUSEWAY_DATA: controller.data } })
      .ended

  beforeAll(async () => {
    mkdirSync(sites)
    for (const [path, text] of Object.entries(networkFiles(['berlin']))) writeFileSync(join(sites, path), text)
    await new Promise<void>((done) => taken.listen(0, '127.0.0.1', done))
    port = (taken.address() as { port: number }).port
    controller = controllerIn(folder, ['--port', String(port), '--agents-socket', join(folder, 'agents.sock')])
    pointer = await controller.start()
  })
  afterAll(async () => {
    await controller?.stop()
    taken.close()
  })

  it('takes the next port when its own is taken, and says so', async () => {
    expect(pointer.port).toBeGreaterThan(port)
    expect(readFileSync(controller.console, 'utf8')).toContain(`port ${port} is taken, this is ${pointer.port}`)
    expect(await cli('status')).toMatchObject({ code: 0 })
  })
  it('is alone in its data folder', async () => {
    const second = await start(serveCommand(controller.data)).ended
    expect(second.code).toBe(5)
    isSentence(second, 'C041')
    expect(second.stderr).toContain(`process ${pointer.pid}`)
    expect(await cli('status'), 'the first goes on').toMatchObject({ code: 0 })
  })
  it('killed in the middle of a change, leaves no process behind, and goes on at its next start', async () => {
    const applied = await cli('apply', '--yes', '--detach', '--json')
    const { operation } = JSON.parse(applied.stdout.trim().split('\n').at(-1)!) as { operation: string }
    const before = family(pointer.pid)
    expect(before.length).toBeGreaterThan(4)
    await controller.stop('SIGKILL')
    await until('all of it is gone', 20, () => living(before).length === 0).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}: ${living(before).join('; ')}`)
    })
    pointer = await controller.start()
    const watched = await cli('rollout', 'watch', operation)
    expect(watched, watched.stderr).toMatchObject({ code: 0 })
    expect((await cli('site', 'list')).stdout).toContain('berlin')
  })
  it('told to stop, stops all that it started, and says nothing bad', async () => {
    const before = family(pointer.pid)
    expect(await controller.stop('SIGTERM')).toBe(0)
    expect(living(before)).toEqual([])
    expect(readdirSync(controller.data)).not.toContain('run.json')
    expect(readFileSync(controller.console, 'utf8')).not.toMatch(/did not stop cleanly|node:internal|^\s+at /m)
    expect(await cli('status')).toMatchObject({ code: 6 })
  })
})

describe('a machine that lacks something', () => {
  /** In a mount namespace of its own, so that nobody else sees what is put over the folders. */
  const within = (mount: string, data: string, env: Readonly<Record<string, string>> = {}) =>
    start(['unshare', '-Urm', 'sh', '-ec', `${mount}; shift; exec "$@"`, 'sh', data, ...serveCommand(data)], {
      env: { TEMPORAL_ADDRESS: '', DATABASE_URL: '', ...env },
    }).ended
  const place = (name: string) => {
    const path = join(folder, name)
    mkdirSync(join(path, 'data'), { recursive: true })
    return path
  }

  it('a read-only disk', async () => {
    const at = place('read-only')
    const ran = await within(`mount -t tmpfs -o ro tmpfs ${at}`, join(at, 'data'))
    expect(ran.code, ran.stderr).toBe(10)
    isSentence(ran, 'C040')
    expect(ran.stderr).toContain("can't be written")
  })
  it('a full disk, as the database is made', async () => {
    const at = place('full')
    const ran = await within(`mount -t tmpfs -o size=4m tmpfs ${at}`, join(at, 'data'))
    expect(ran.code, ran.stderr).toBe(10)
    isSentence(ran, 'C040')
    expect(ran.stderr).toContain('is full')
  })
  it('a folder that is a file', async () => {
    writeFileSync(join(folder, 'file'), '')
    const ran = await start(serveCommand(join(folder, 'file', 'data'))).ended
    expect(ran.code).toBe(10)
    isSentence(ran, 'C040')
  })
  it('no Temporal server', async () => {
    const cache = resolve('.causeway/cache/temporal-1.9.1')
    const ran = await within(`test ! -d ${cache} || mount -t tmpfs tmpfs ${cache}`, join(place('no-temporal'), 'data'), {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    })
    expect(ran.code, ran.stderr).toBe(10)
    isSentence(ran, 'C045')
    expect(ran.stderr).toContain('npm run dev')
  })
  it('an option that is not one', async () => {
    for (const [option, value] of [
      ['--port', '0'],
      ['--agents-public', 'nowhere'],
      ['--role', 'boss'],
    ] as const) {
      const ran = await start(serveCommand(join(folder, 'never'), option, value)).ended
      expect(ran.code, option).toBe(2)
      isSentence(ran, 'C047')
    }
  })
})
