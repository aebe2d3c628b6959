/** Bundles that a box must not run, however they got onto the controller's end of a trusted connection. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Status } from '#src/agent/status.ts'
import { startLab } from '#src/lab/client.ts'
import { keyIdOf } from '#src/wire/bundle.ts'
import type { Signed } from '#src/wire/messages.ts'
import { createTestController, type TestController } from '../../unit/agent/controller.ts'
import { files, smallFabric } from '../../unit/agent/networks.ts'
import { agentCommand, until } from './world.ts'

const folder = mkdtempSync(join(tmpdir(), 'cwb-'))
const state = join(folder, 'frankfurt')
const status = () => JSON.parse(readFileSync(join(state, 'status.json'), 'utf8')) as Status
let controller: TestController
let running: Awaited<ReturnType<typeof startLab>>

/** All that a bundle could change; link-local addresses come by themselves. */
const kernel = async (): Promise<string> => {
  const commands = [
    'ip -o link show',
    'ip -o addr show',
    'ip rule show',
    'ip route show table all',
    'ip nexthop show',
    'nft -s list ruleset',
    'wg show all peers',
    'wg show all listen-port',
  ]
  const ran = await running.lab.exec('frankfurt', ['sh', '-c', commands.join('; ')])
  expect(ran.stdout).toContain('table inet causeway')
  return ran.stdout.replaceAll(/^.*fe80:.*\n/gm, '')
}

beforeAll(async () => {
  mkdirSync(join(folder, 'sites'))
  for (const { path, text } of files) writeFileSync(join(folder, 'sites', path), text)
  const socket = join(folder, 'agents.sock')
  controller = await createTestController('small', { socket, host: '203.0.113.250:443' })
  running = await startLab({ sites: join(folder, 'sites'), controllerSocket: socket, state: join(folder, 'lab'), detached: false })
  controller.follow(smallFabric(), 5)
  await running.lab.start('frankfurt', 'agent', agentCommand('up', '--state', state, '--deadline', '9'), {
    stdin: `${controller.token('frankfurt')}\n`,
  })
  await until('frankfurt runs its bundle', 40, () => {
    const { confirmed } = status().state
    return confirmed !== null && JSON.stringify(confirmed) === JSON.stringify(controller.assigned.get('frankfurt')!.triple)
  })
})
afterAll(async () => {
  await running?.stop()
  await controller?.stop()
  rmSync(folder, { recursive: true, force: true })
})

describe('a bundle', () => {
  it('is heard of, though the firewall was loaded under the open connection', async () => {
    const { config, triple } = controller.assigned.get('frankfurt')!
    controller.assign('frankfurt', config, { ...triple, revision: triple.revision + 1 })
    await until('frankfurt runs it', 20, () => status().state.confirmed?.revision === triple.revision + 1)
    // What the box drops stays in the queue of the far end. A connection that the box gave up is closing there.
    await until('every hint was acknowledged', 20, async () => {
      const { stdout } = await running.lab.exec('internet', ['ss', '-tnH', 'state', 'established', 'sport', '=', ':443'])
      const queues = stdout
        .trim()
        .split('\n')
        .map((line) => line.trim().split(/\s+/)[1])
      return queues.length > 0 && queues.every((bytes) => bytes === '0')
    })
  })

  const stranger = generateKeyPairSync('ed25519')
  const other = { keyId: keyIdOf(stranger.publicKey), privateKey: stranger.privateKey }
  let revision = 100
  /** Assigns a change that could be seen in the kernel, and answers with what `forge` makes of it. */
  const served = async (
    code: string,
    forge: (honest: Signed, assigned: NonNullable<ReturnType<TestController['assigned']['get']>>) => Signed,
    triple = { term: 1, generation: 5, revision: revision++ },
  ) => {
    const before = await kernel()
    const { config, triple: kept } = controller.assigned.get('frankfurt')!
    const { confirmed } = status().state
    const assigned = { config: { ...config, network: { ...config.network, mtu: 1300 } }, triple }
    controller.answer.set('/v1/bundle', () => ({ status: 200, body: forge(controller.bundle('frankfurt', assigned), assigned) }))
    controller.assign('frankfurt', assigned.config, triple)
    await until(`frankfurt reports ${code}`, 20, () => {
      const commit = controller.reports.get('frankfurt')?.commit
      return commit?.state === 'refused' && commit.code === code && JSON.stringify(commit.triple) === JSON.stringify(triple)
    })
    const reported = controller.reports.get('frankfurt')!
    expect(reported.running).toEqual(confirmed)
    expect(reported.findings.map((one) => one.code)).toContain(code)
    expect(status().state.confirmed).toEqual(confirmed)
    expect(await kernel()).toBe(before)
    controller.assigned.set('frankfurt', { config, triple: kept })
  }

  it('A20: signed by a stranger', () => served('A20', (_, assigned) => controller.bundle('frankfurt', assigned, {}, other)))
  it("A20: signed by a stranger in the signer's name", () =>
    served('A20', (_, assigned) => controller.bundle('frankfurt', assigned, {}, { ...other, keyId: controller.bundleSigner.keyId })))
  it('A20: changed after it was signed', () =>
    served('A20', (honest) => ({
      ...honest,
      payload: Buffer.from(Buffer.from(honest.payload, 'base64url').toString('utf8').replace('"mtu":1300', '"mtu":1299')).toString('base64url'),
    })))
  it('A21: of a schema that the agent does not know', () =>
    served('A21', (_, assigned) => controller.bundle('frankfurt', assigned, { schema: 2 as 1 })))
  it('A22: of another network', () => served('A22', (_, assigned) => controller.bundle('frankfurt', assigned, { network: 'staging' })))
  it('A23: of another site', () => served('A23', (_, assigned) => controller.bundle('frankfurt', assigned, { site: 'berlin' })))
  it('A24: of the box that was here before', () =>
    served('A24', (_, assigned) => controller.bundle('frankfurt', assigned, { device: 'a'.repeat(64) })))
  it('A25: whose content is not what its hash says', () =>
    served('A25', (_, assigned) => controller.bundle('frankfurt', assigned, { hash: 'b'.repeat(64) })))
  it('A26: older than what runs', () => served('A26', (honest) => honest, { term: 1, generation: 4, revision: 9 }))
  it('A26: an earlier one, replayed in the place of a newer', () =>
    served('A26', () => JSON.parse(readFileSync(join(state, 'bundles', `1-5-${status().state.confirmed!.revision}.json`), 'utf8')) as Signed))
  it('A27: kept back for too long', () =>
    served('A27', (_, assigned) => controller.bundle('frankfurt', assigned, { acceptBefore: '2026-01-01T00:00:00.000Z' })))

  it('is run when nothing is wrong with it', async () => {
    controller.answer.clear()
    const { config } = controller.assigned.get('frankfurt')!
    const triple = { term: 1, generation: 6, revision: 0 }
    controller.assign('frankfurt', { ...config, network: { ...config.network, mtu: 1300 } }, triple)
    await until('it is confirmed', 20, () => JSON.stringify(status().state.confirmed) === JSON.stringify(triple))
    expect(await kernel()).toContain('mtu 1300')
  })
})
