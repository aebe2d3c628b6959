/** The kernel's own WireGuard under the driver; `test/system/linux.test.ts` is the long form, over whatever a machine has. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import type { Choice, TunnelCounters } from '#providers/device.ts'
import { pingCommand, sayPings } from '#test/system/ping.ts'
import { configOf, keysOf, type Name, realtime, tunnel } from '#test/unit/linux/network.ts'
import { startWorld, type World } from '../system/linux-world.ts'

const ends = ['frankfurt', 'berlin'] as const
let world: World

async function set(site: Name, config: SiteConfig, prune = true): Promise<void> {
  const keys = config.interfaces.map(
    async (one) => [`${one.id} ${one.linkEpoch}`, await keysOf(site).privateKey({ interface: one.id, linkEpoch: one.linkEpoch })] as const,
  )
  await world.call(site, 'set', config, { prune, choices: [], privateKeys: Object.fromEntries(await Promise.all(keys)) })
}
const run = async (namespace: string, command: string) => (await world.run(namespace, command)).stdout
/** From a host at berlin to one at frankfurt. */
const ping = async (count: number, seconds = 0.02): Promise<string> =>
  sayPings(await run('b0', pingCommand('10.3.10.10', { count, seconds, more: '-w 20' })), count)
async function until(question: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    if (await question()) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${await run('berlin', 'wg show; ip -br addr')}\n${await run('frankfurt', 'wg show; ip -br addr')}`)
}
const choice = (remote: Name, hop: Choice['hop']): Choice => ({ remote: remote as never, trafficClass: realtime, arrived: 'anywhere', hop })
const received = async (of: string): Promise<number> =>
  (await world.call<readonly TunnelCounters[]>('berlin', 'counters')).find((one) => one.tunnel === of)!.rxBytes

beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.stop())

test('interfaces and peers are the kernel’s, without a process, and as the model says', async () => {
  for (const site of ends) await set(site, configOf(site))
  await until(async () => (await ping(3)) === '3/3')
  expect(await world.call('berlin', 'features')).toMatchObject({ wireguard: 'kernel' })
  expect(await run('berlin', 'ip -br link show type wireguard | wc -l; pgrep -c wireguard-go')).toBe('4\n0\n')
  for (const site of ends) expect(await world.call(site, 'drift', configOf(site))).toEqual([])
  world.echoes('berlin')
  await set('berlin', configOf('berlin'))
  expect(world.echoes('berlin')).toEqual([])
})

test('a handover to the other uplink loses nothing', async () => {
  const lte = tunnel('berlin.lte', 'frankfurt.isp-a')
  const before = await received(lte)
  const stream = ping(150)
  await new Promise((resolve) => setTimeout(resolve, 1000))
  await world.call('berlin', 'steer', [choice('frankfurt', 1)])
  await world.call('frankfurt', 'steer', [choice('berlin', 1)])
  expect(await stream).toBe('150/150')
  expect((await received(lte)) - before).toBeGreaterThanOrEqual(30 * 84)
  for (const site of ends) await world.call(site, 'steer', [choice(site === 'berlin' ? 'frankfurt' : 'berlin', 0)])
})

test('a key is rotated beside the old one, and no packet is lost', async () => {
  await run('b0', '(ping -i 0.05 -W 3 10.3.10.10 >/run/rotation 2>&1 & echo $! >/run/rotation.pid) </dev/null')
  for (const site of ends) await set(site, configOf(site, { epochs: [0, 1] }), false)
  // What the agent's probes do: the new tunnel has answered before traffic moves to it.
  await until(async () => (await world.run('berlin', 'ping -6 -c 1 -W 1 fd42:cafe:1:1::7')).code === 0)
  for (const site of ends) await set(site, configOf(site, { epochs: [1] }), false)
  for (const site of ends) await set(site, configOf(site, { epochs: [1] }))
  await run('b0', 'kill -INT $(cat /run/rotation.pid); until grep -q transmitted /run/rotation; do sleep 0.1; done')
  const [, sent, back] = /(\d+) packets transmitted, (\d+) received/.exec(await run('b0', 'cat /run/rotation')) ?? []
  expect(Number(sent)).toBeGreaterThan(20)
  expect(back).toBe(sent)
  expect(await run('berlin', 'ls /sys/class/net')).toMatch(/cwe2u0u0p1/)
  expect(await run('berlin', 'ls /sys/class/net')).not.toMatch(/cwe2u0u0p0/)
})

test('a deleted interface is noticed and made again', async () => {
  const berlin = configOf('berlin', { epochs: [1] })
  await run('berlin', 'ip link del cwe2u0u0p1')
  const findings = await world.call<readonly { readonly code: string }[]>('berlin', 'drift', berlin)
  expect(findings.map((one) => one.code)).toEqual(expect.arrayContaining(['D020', 'D024']))
  await set('berlin', berlin)
  expect(await world.call('berlin', 'drift', berlin)).toEqual([])
  await until(async () => (await ping(3)) === '3/3')
})

test('a wipe leaves nothing of ours', async () => {
  await world.call('berlin', 'wipe')
  expect(await world.call('berlin', 'state')).toMatch(/^(address 100\.64\.\d\.2\/24 dev wan\d\n)+$/)
  expect(await run('berlin', 'ip link show type wireguard; nft list tables; ip rule | wc -l; ip -6 rule | wc -l; ls /run/state-berlin')).toBe(
    '3\n2\n',
  )
})
