/** A hub's tunnels to a cloud, with driver, prober and sealed keys of the agent, and strongSwan at the far ends. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type HubWorld, hubConfig, startHubWorld } from './ipsec-hub-world.ts'
import { pingCommand, sayPings } from './ping.ts'

const [a, b] = ['frankfurt.isp-a--aws.0', 'frankfurt.isp-b--aws.0']
let world: HubWorld
const paths = () => world.ask<readonly string[]>('paths')
async function until(question: () => Promise<boolean>, seconds = 60): Promise<void> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
    if (await question()) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(JSON.stringify({ paths: await paths(), findings: await world.ask('findings'), events: await world.ask('events') }, null, 1))
}
const shows = (...wanted: readonly string[]) => until(async () => JSON.stringify(await paths()) === JSON.stringify(wanted))
const reaches = async () => sayPings(await world.sh('hub', pingCommand('172.31.0.10', { count: 5, seconds: 0.05, more: '-I 10.9.0.1' })), 5)
const charons = async () =>
  (
    await world.sh(
      'hub',
      "(for p in /proc/[0-9]*; do [ \"$(cat $p/comm)\" = charon-systemd ] && cat $p/environ | tr '\\0' '\\n' | grep -q =/run/h && basename $p; done | sort -n) 2>/dev/null",
    )
  ).trim()
const run = (config = hubConfig(), headless = false) => world.ask('run', config, headless)

beforeAll(async () => {
  world = await startHubWorld()
}, 60_000)
afterAll(() => world.end())

test('both tunnels come up, the cheaper one carries, and the kernel is as configured', async () => {
  expect(await world.ask('features')).toMatchObject({ ipsec: 'userspace' })
  await run()
  await shows(`${a} UP carries`, `${b} UP`)
  expect(await reaches()).toBe('5/5')
  expect(await world.ask('drift', hubConfig())).toEqual([])
  expect(await world.ask('counters')).toMatchObject([
    { tunnel: a, endpoint: '203.0.113.1:4500' },
    { tunnel: b, endpoint: '203.0.113.2:4500' },
  ])
})

test('the same configuration again touches no tunnel', async () => {
  const before = await charons()
  expect(before.split('\n')).toHaveLength(2)
  await run()
  expect(await charons()).toBe(before)
})

test('a burst measures a tunnel beside the ping that it is judged by', async () => {
  const measured = await world.ask<{ readonly rttMs: { readonly min: number; readonly median: number } }>('burst', a)
  expect(measured).toMatchObject({ sent: 20, received: 20, fullPackets: true })
  expect(measured.rttMs.median).toBeGreaterThanOrEqual(measured.rttMs.min)
})

test('a cut uplink is left, and used again when it is back', async () => {
  await world.sh('internet', 'ip link set isp-a down')
  await shows(`${a} DOWN`, `${b} UP carries`)
  expect(await reaches()).toBe('5/5')
  await world.sh('internet', 'ip link set isp-a up')
  await shows(`${a} UP carries`, `${b} UP`)
})

test('an agent that is killed leaves the tunnels, and finds them again', async () => {
  const before = await charons()
  await world.ask('kill')
  expect(await reaches()).toBe('5/5')
  await run(hubConfig(), true)
  await shows(`${a} UP carries`, `${b} UP`)
  expect(await charons()).toBe(before)
})

test('a box that starts without its controller opens the keys that it has', async () => {
  await world.sh('hub', `kill -9 ${(await charons()).replaceAll('\n', ' ')}`)
  await world.ask('kill')
  await run(hubConfig(), true)
  await shows(`${a} UP carries`, `${b} UP`)
  expect(await reaches()).toBe('5/5')
  // Brackets: the search itself is a process, too.
  expect(
    await world.sh(
      'hub',
      "grep -rl 'forty-[t]wo characters' /run/h; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | grep -ac 'forty-[t]wo characters'",
    ),
  ).toBe('0\n')
})

test('a wrong key takes down its own tunnel only, which is named; the right one brings it back', async () => {
  const before = (await charons()).split('\n')
  await run(hubConfig({ a: 9, b: 1 }))
  await shows(`${a} DOWN`, `${b} UP carries`)
  await until(async () => (await world.ask<readonly unknown[]>('findings')).length > 0)
  expect(await world.ask('findings')).toMatchObject([
    { code: 'D044', says: expect.stringMatching(`^the IPsec tunnel ${a} to 203.0.113.1 does not come up: .*AUTH`) as string },
  ])
  expect((await charons()).split('\n'), 'a key is changed without a restart').toEqual(before)
  await run()
  await shows(`${a} UP carries`, `${b} UP`)
  expect(await world.ask('findings')).toEqual([])
})

test('a tunnel whose key is missing is left out and named; the other carries', async () => {
  await run(hubConfig({ a: 7, b: 1 }), true)
  await shows(`${a} DOWN`, `${b} UP carries`)
  await until(async () => (await world.ask<readonly unknown[]>('findings')).length > 0)
  expect(await world.ask('findings')).toMatchObject([
    { code: 'D046', says: expect.stringContaining('has no pre-shared key here: The secret "psk/a" version 7 is not on this box') as string },
  ])
  expect((await charons()).split('\n')).toHaveLength(1)
  expect(await reaches()).toBe('5/5')
  await run()
  await shows(`${a} UP carries`, `${b} UP`)
})

test('IKE is answered from the cloud and from nobody else', async () => {
  const rules = await world.sh('hub', 'nft list chain inet causeway input')
  expect(rules).toContain('ip saddr 203.0.113.1 udp dport { 52000, 52001 } accept')
  expect(rules).toContain('ip saddr 203.0.113.2 udp dport { 52002, 52003 } accept')
})

test('a wipe leaves no process, device or folder', async () => {
  await world.ask('wipe')
  expect(await charons()).toBe('')
  expect(await world.sh('hub', 'ls /sys/class/net')).not.toMatch(/cwi|ipsec/)
  expect(await world.sh('hub', 'ls /run/h/device')).toBe('')
})
