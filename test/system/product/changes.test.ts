/** Changes that would strand a site, and a network without its controller: what keeps carrying traffic, and what goes back. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openWorld, type SiteDetail, until, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld(['berlin'])
  const applied = await world.cli('apply', '--yes')
  expect(applied.code, applied.stderr).toBe(0)
  await world.onboard('frankfurt', 'berlin')
  await until('the network is green', 30, async () => (await world.cli('status')).code === 0)
})
afterAll(async () => world?.close())

const site = (name: string) => world.read<SiteDetail>('site', 'status', name)
const generations = async () => (await world.read<{ number: number }[]>('generation', 'list')).length
const network = () => join(world.sites, 'frankfurt.yaml')
/**
 * The controller's own addresses as a LAN of frankfurt's: a gateway takes a packet from them that comes over an uplink
 * for a forgery, and so loses its controller. Nothing in the intent says where the controller is, so it can't be refused.
 */
const strand = () => writeFileSync(network(), readFileSync(network(), 'utf8').replace('prefixes: 10.10.0.0/16', 'prefixes: [10.10.0.0/16, 203.0.113.0/24]'))
const mend = () => writeFileSync(network(), readFileSync(network(), 'utf8').replace('prefixes: [10.10.0.0/16, 203.0.113.0/24]', 'prefixes: 10.10.0.0/16'))
/** What frankfurt's kernel lets in and where it sends it; which of the hops, peers decide from second to second. */
const rules = async () => (await world.lab.exec('frankfurt', ['sh', '-c', "nft -s list table inet causeway; ip -4 addr show dev eth2; ip nexthop show | cut -d ' ' -f 1,2; ip route show table all proto 67; ip rule show"])).stdout
/** Applies and comes back as soon as frankfurt tries the change. */
const tryIt = async () => {
  const applied = world.launch(['apply', '--yes'])
  await until('frankfurt tries it', 30, async () => world.status('frankfurt').state.commit.state === 'pending' && (await rules()).includes('203.0.113.0/24'))
  return applied
}
const pings = (box: string, count: number) => world.lab.exec(box, ['ping', '-i', '0.02', '-c', String(count), '-W', '1', '10.10.0.10'], { timeoutMs: 60_000 })

describe('a change that cuts a gateway off its controller', () => {
  let before = ''
  beforeAll(async () => {
    before = await rules()
    expect(before).not.toContain('203.0.113.0/24')
    strand()
  })
  it('is put back by the gateway; the rollout stops, and a new generation has the old intent', async () => {
    const ran = await (await tryIt()).ended
    expect(ran.code, ran.stdout + ran.stderr).toBe(1)
    expect(ran.stderr).toContain('C084')
    expect(ran.stderr).toMatch(/frankfurt.*No permit before the deadline/)
    expect(await rules()).toBe(before)
    expect(await generations()).toBe(3)
    const [newest] = await world.read<{ id: string; kind: string; state: string }[]>('rollout', 'list')
    expect(newest).toMatchObject({ kind: 'apply', state: 'rolled-back' })
    const told = await world.cli('rollout', 'watch', newest!.id)
    expect(told).toMatchObject({ code: 1, stderr: expect.stringContaining('frankfurt: No permit before the deadline') })
    await until('frankfurt runs the third', 30, async () => (await site('frankfurt')).running?.generation === 3)
    expect((await site('berlin')).running?.generation).not.toBe(2)
  })
  it('is put back by the guard when the agent is killed while it waits', async () => {
    const applied = await tryIt()
    await world.lab.stop('agent-frankfurt', 'SIGKILL')
    await until('the guard has restored', 30, async () => (await rules()) === before)
    expect(readFileSync(join(world.stateOf('frankfurt'), 'guard.log'), 'utf8')).toContain('guard: restored')
    await world.agent('frankfurt')
    const ran = await applied.ended
    expect(ran.code, ran.stdout + ran.stderr).toBe(1)
    expect(ran.stderr).toMatch(/frankfurt.*the guard restored the last confirmed bundle/)
    expect(await generations()).toBe(5)
  })
  it('is put back by a boot, though neither agent nor guard lived to see it', async () => {
    const applied = await tryIt()
    await world.lab.stop('agent-frankfurt', 'SIGKILL')
    // A box that loses its power loses its guard, and what the kernel had, with it.
    const { nonce } = world.status('frankfurt').state.commit as { readonly nonce: string }
    const guards = await world.lab.exec('frankfurt', ['sh', '-c', `for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline | grep -q "causeway-guard .*${nonce}" && kill -9 \${p#/proc/} && echo killed; done; nft delete table inet causeway; ip nexthop flush`])
    expect(guards.stdout, guards.stderr).toContain('killed')
    await world.agent('frankfurt')
    const ran = await applied.ended
    expect(ran.code, ran.stdout + ran.stderr).toBe(1)
    expect(ran.stderr).toMatch(/frankfurt.*stopped before the change was confirmed/)
    expect(await rules()).toBe(before)
    mend()
    await until('frankfurt runs the seventh', 30, async () => (await site('frankfurt')).running?.generation === 7)
    await until('the network is green', 40, async () => (await world.cli('status')).code === 0)
  })
})

describe('traffic', () => {
  it('passes while an agent is killed and started again', async () => {
    const stream = pings('berlin-inference', 150)
    await sleep(500)
    const { pid } = world.status('berlin')
    await world.lab.stop('agent-berlin', 'SIGKILL')
    await sleep(500)
    await world.agent('berlin')
    await until('another agent runs', 20, () => world.status('berlin').pid !== pid && world.status('berlin').paths.some((path) => path.state === 'UP'))
    const { stdout } = await stream
    expect(stdout).toMatch(/150 packets transmitted, 150 received/)
  })
  it('fails over without a controller, also after a restart', async () => {
    const usedFor = (name: string) => world.status(name).paths.find((path) => path.classes.includes('business'))?.tunnel ?? ''
    await world.controller.stop()
    await world.lab.stop('agent-berlin', 'SIGKILL')
    await world.agent('berlin')
    await until('berlin runs from its own disk', 40, () => world.status('berlin').headlessSince !== null && world.status('berlin').paths.every((path) => path.state === 'UP'))
    expect(world.logOf('berlin')).toContain('the last confirmed bundle')
    await until('business is on fiber', 40, () => usedFor('berlin').startsWith('berlin.fiber'))
    await world.lab.line('berlin.fiber', { cut: 'all' })
    await until('business moved at both ends', 20, () => ['berlin', 'frankfurt'].every((name) => usedFor(name).startsWith('berlin.lte')))
    expect((await pings('berlin-inference', 20)).code).toBe(0)
    await world.lab.heal('all')
    await world.controller.start()
    await until('berlin is back', 60, async () => world.status('berlin').headlessSince === null && (await site('berlin')).state === 'ACTIVE')
  })
})
