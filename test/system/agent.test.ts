/** Two real agents in the lab, real WireGuard between them, and a small controller on the host that is taken away. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Status } from '#src/agent/status.ts'
import { startLab } from '#src/lab/client.ts'
import { createTestController, type TestController } from '../unit/agent/controller.ts'
import { files, smallFabric } from '../unit/agent/networks.ts'
import { until as untilTrue } from './until.ts'

const folder = mkdtempSync(join(tmpdir(), 'cwa-'))
const stateOf = (site: string) => join(folder, site)
const node = resolve('node_modules/node/bin/node')
const agent = (...args: string[]) => [node, resolve('bin/causeway-agent.js'), ...args]
const status = (site: string) => JSON.parse(readFileSync(join(stateOf(site), 'status.json'), 'utf8')) as Status
const logOf = (name: string) => readFileSync(join(folder, 'lab', 'logs', `${name}.log`), 'utf8')

describe('two agents in the lab', () => {
  let controller: TestController
  let running: Awaited<ReturnType<typeof startLab>>
  const up = async (site: string) =>
    running.lab.start(site, `agent-${site}`, agent('up', '--state', stateOf(site), '--deadline', '9', '--token-file', join(folder, `${site}.token`)))
  const usedFor = (site: string, trafficClass: string) => status(site).paths.find((path) => path.classes.includes(trafficClass))?.tunnel ?? ''

  /** Of what never becomes true both agents tell. */
  const until = (what: string, seconds: number, isSo: () => unknown) =>
    untilTrue(what, seconds, isSo).catch((error: unknown) => {
      throw new Error([String(error), ...['frankfurt', 'berlin'].map(told)].join('\n'))
    })
  const told = (site: string): string => {
    const own = (path: string) => (existsSync(join(stateOf(site), path)) ? readFileSync(join(stateOf(site), path), 'utf8') : '')
    const { light, findings, state } = JSON.parse(own('status.json') || '{}') as Partial<Status>
    return `${site}: ${JSON.stringify({ light, findings, state })}\n${own('guard.log')}${logOf(`agent-${site}`).slice(-3_000)}`
  }

  beforeAll(async () => {
    mkdirSync(join(folder, 'sites'))
    for (const { path, text } of files) writeFileSync(join(folder, 'sites', path), text)
    const socket = join(folder, 'agents.sock')
    controller = await createTestController('small', { socket, host: '203.0.113.250:443' })
    running = await startLab({ sites: join(folder, 'sites'), controllerSocket: socket, state: join(folder, 'lab'), detached: false })
    controller.follow(smallFabric(), 1)
    for (const site of ['frankfurt', 'berlin']) {
      writeFileSync(join(folder, `${site}.token`), controller.token(site), { mode: 0o600 })
      await up(site)
    }
  })
  afterAll(async () => {
    await running?.stop()
    await controller?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it('enrol, make their keys, and bring every path up by confirmed commits', async () => {
    // While other tests take the CPU paths come and go.
    await until('both green', 150, () => ['frankfurt', 'berlin'].every((site) => status(site).light === 'GREEN' && status(site).paths.length === 4))
    expect(controller.permits.length).toBeGreaterThanOrEqual(2)
    for (const site of ['frankfurt', 'berlin']) {
      expect(status(site).state).toMatchObject({ commit: { state: 'confirmed' }, confirmed: controller.assigned.get(site)!.triple })
      expect(logOf(`agent-${site}`)).toContain('keys made here, never leave this box')
    }
    const answer = await running.lab.exec('berlin-inference', ['ping', '-c', '1', '-W', '2', '10.10.0.10'])
    expect(answer.code, 'a ping is not in `allow`').not.toBe(0)
  })

  it('move traffic off a cut uplink, and the hub follows', async () => {
    expect(usedFor('berlin', 'business')).toContain('berlin.fiber')
    await running.lab.line('berlin.fiber', { cut: 'all' })
    await until('business moved to lte at both ends', 30, () =>
      ['berlin', 'frankfurt'].every((site) => usedFor(site, 'business').includes('berlin.lte')),
    )
    expect(status('berlin').light).toBe('YELLOW')
    await running.lab.heal('berlin.fiber')
    await until('business is back', 60, () => ['berlin', 'frankfurt'].every((site) => usedFor(site, 'business').includes('berlin.fiber')))
  })

  it('killed in the middle of a change, are put back by the guard, though nobody starts them again', async () => {
    const { config, triple } = controller.assigned.get('berlin')!
    const mtu = async () =>
      /mtu (\d+)/.exec((await running.lab.exec('berlin', ['ip', 'link', 'show', 'dev', config.interfaces[0]!.device])).stdout)?.[1]
    const before = await mtu()
    controller.answer.set('/v1/permit', () => 'cut')
    controller.assign('berlin', { ...config, network: { ...config.network, mtu: 1300 } }, { ...triple, generation: 2 })
    await until(
      'the change is applied, but not confirmed',
      20,
      async () => status('berlin').state.commit.state === 'pending' && (await mtu()) === '1300',
    )
    await running.lab.stop('agent-berlin', 'SIGKILL')
    const guardSays = () => readFileSync(join(stateOf('berlin'), 'guard.log'), 'utf8')
    await until('the guard has restored', 60, async () => (await mtu()) === before)
    // It says so when it has written that down, too; an agent that starts before would do it all again.
    await until('the guard has said so', 30, () => guardSays().includes('guard: restored'))
    controller.answer.clear()
    controller.assign('berlin', config, { ...triple, generation: 3 })
    await up('berlin')
    // A change that is taken back is tried again after 10 s, then after 20.
    await until('berlin is back', 90, () => status('berlin').light === 'GREEN' && status('berlin').state.confirmed?.generation === 3)
  })

  it('do the same with the controller away, also after a restart', async () => {
    await controller.stop()
    await running.lab.stop('agent-berlin', 'SIGKILL')
    await up('berlin')
    await until(
      'berlin runs from its own disk',
      90,
      () => status('berlin').headlessSince !== null && status('berlin').paths.every((path) => path.state === 'UP'),
    )
    await running.lab.line('berlin.fiber', { cut: 'all' })
    await until('business moved', 30, () => ['berlin', 'frankfurt'].every((site) => usedFor(site, 'business').includes('berlin.lte')))
    await running.lab.heal('all')
    await controller.start()
    await until('berlin is back', 90, () => status('berlin').headlessSince === null && status('berlin').light === 'GREEN')
    expect(logOf('agent-berlin')).toContain('; traffic goes on')
  })
})
