/** Kernel ESP for real: the driver, prober and keys of a hub, and strongSwan at the far ends, on a kernel that has it. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { type HubWorld, hubConfig, startHubWorld } from '../system/ipsec-hub-world.ts'
import { pingCommand, sayPings } from '../system/ping.ts'

const [a, b] = ['frankfurt.isp-a--aws.0', 'frankfurt.isp-b--aws.0']
const far = { a: '169.254.10.1', b: '169.254.10.5' }
const devices = { a: 'cwi0u0m0p0', b: 'cwi0u1m0p0' }
const charonSocket = '/run/h/device/ipsec/charon/vici'
let world: HubWorld

/** As one AWS connection: both tunnels over the uplink isp-a. */
function onOneUplink(versions?: Parameters<typeof hubConfig>[0]): SiteConfig {
  const config = hubConfig(versions)
  const uplink = config.uplinks[0]!.id
  return {
    ...config,
    interfaces: config.interfaces.map((one) => ({ ...one, uplink })),
    tunnels: config.tunnels.map((one) => ({ ...one, uplink })),
  }
}
const run = (config: SiteConfig) => world.ask('run', config, false)
const hub = (command: string) => world.sh('hub', command)
const paths = () => world.ask<readonly string[]>('paths')
async function until(question: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 45_000; Date.now() < end; ) {
    if (await question()) return
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  throw new Error(JSON.stringify({ paths: await paths(), findings: await world.ask('findings'), xfrm: await hub('ip xfrm state') }, null, 1))
}
const shows = (...wanted: readonly string[]) => until(async () => JSON.stringify(await paths()) === JSON.stringify(wanted))
const ping = async (to: string, count: number, more = ''): Promise<string> =>
  sayPings(await hub(pingCommand(to, { count, seconds: 0.01, more: `-w 20 ${more}` })), count)
const associations = async (): Promise<readonly string[]> => (await hub('ip xfrm state')).match(/spi 0x\S+/g)?.sort() ?? []
/** Packets of ESP in UDP that leave the hub while something is done, by uplink and mark. */
async function leaving(work: () => Promise<void>): Promise<Readonly<Record<string, number>>> {
  const read = async () =>
    new Map(
      [...(await hub('nft list table inet watch')).matchAll(/packets (\d+) bytes \d+ comment "([^"]+)"/g)].map(([, count, name]) => [
        name!,
        Number(count),
      ]),
    )
  const before = await read()
  await work()
  return Object.fromEntries([...(await read())].map(([name, count]) => [name, count - before.get(name)!]))
}

beforeAll(async () => {
  world = await startHubWorld()
  // The box's own default route leads to isp-b: only the mark makes a tunnel leave by isp-a.
  await hub('ip route add default via 198.51.100.1 dev wan1')
  const ways = ['wan0', 'wan1'].flatMap((device) => ['0x10000', '0x20000'].map((mark) => ({ device, mark })))
  const rules = ways.flatMap(({ device, mark }) =>
    ['ip dscp ef', ''].map(
      (more) => `oifname "${device}" udp dport 4500 meta mark ${mark} ${more} counter comment "${`${device} ${mark} ${more}`.trim()}"`,
    ),
  )
  expect(await hub(`nft 'table inet watch { chain outer { type filter hook postrouting priority 0; ${rules.join('; ')}; }; }'`)).toBe('')
})
afterAll(() => world.end())

test('the kernel is found to have ESP and WireGuard', async () => {
  expect(await world.ask('features')).toEqual({ wireguard: 'kernel', nftables: true, nexthops: true, ipsec: 'kernel' })
})

test('two tunnels on one uplink come up with one charon, an interface each, and no route of charon’s', async () => {
  await run(onOneUplink())
  await shows(`${a} UP carries`, `${b} UP`)
  expect(await world.ask('drift', onOneUplink())).toEqual([])
  expect(await hub('ip -d -br link show type xfrm | wc -l; ls /run/h/device/ipsec; ip rule | grep -c 220')).toBe(
    '2\ncharon\ncwi0u0m0p0\ncwi0u1m0p0\n0\n',
  )
  expect(await hub('ip xfrm state')).toMatch(/replay_window 1024/)
})

test('they carry traffic apart, without loss', async () => {
  type Counters = readonly { readonly rxBytes: number; readonly txBytes: number }[]
  const before = await world.ask<Counters>('counters')
  expect(await Promise.all([ping(far.a, 200), ping(far.b, 100)])).toEqual(['200/200', '100/100'])
  const after = await world.ask<Counters>('counters')
  const grown = after.map((one, index) => [one.txBytes - before[index]!.txBytes, one.rxBytes - before[index]!.rxBytes] as const)
  // Inner packets of 84 bytes; probes come on top.
  for (const [index, least] of [200 * 84, 100 * 84].entries()) for (const bytes of grown[index]!) expect(bytes).toBeGreaterThanOrEqual(least)
  expect(await ping('172.31.0.10', 20, '-I 10.9.0.1')).toBe('20/20')
})

test('each leaves by its uplink, whatever the box’s default route says', async () => {
  const bothPing = async () => expect(await Promise.all([ping(far.a, 20), ping(far.b, 20)])).toEqual(['20/20', '20/20'])
  const together = await leaving(bothPing)
  expect(together).toMatchObject({ 'wan0 0x20000': 0, 'wan1 0x10000': 0, 'wan1 0x20000': 0 })
  expect(together['wan0 0x10000']).toBeGreaterThanOrEqual(40)
  await run(hubConfig())
  await shows(`${a} UP carries`, `${b} UP`)
  const apart = await leaving(bothPing)
  expect(apart).toMatchObject({ 'wan0 0x20000': 0, 'wan1 0x10000': 0 })
  expect(apart['wan0 0x10000']).toBeGreaterThanOrEqual(20)
  expect(apart['wan1 0x20000']).toBeGreaterThanOrEqual(20)
})

test('the outer packet has the inner one’s DSCP, and the overlay’s MTU fits', async () => {
  const counted = await leaving(async () => expect(await ping(far.a, 20, '-Q 0xb8 -M do -s 1332')).toBe('20/20'))
  expect(counted['wan0 0x10000 ip dscp ef']).toBeGreaterThanOrEqual(20)
})

test('rekeying both associations loses nothing', async () => {
  const before = await associations()
  const stream = ping(far.a, 300)
  await hub(
    `sleep 0.5; swanctl --rekey --child ${devices.a} --uri unix://${charonSocket}; sleep 0.5; swanctl --rekey --ike ${devices.a} --uri unix://${charonSocket}`,
  )
  expect(await stream).toBe('300/300')
  await until(async () => (await associations()).filter((one) => before.includes(one)).length === before.length / 2)
})

test('a wrong key takes down its own tunnel only, and is named', async () => {
  await run(hubConfig({ a: 9, b: 1 }))
  await shows(`${a} DOWN`, `${b} UP carries`)
  await until(async () => (await world.ask<readonly unknown[]>('findings')).length > 0)
  expect(await world.ask('findings')).toMatchObject([
    { code: 'D044', says: expect.stringMatching(`^the IPsec tunnel ${a} to 203.0.113.1 does not come up: .*AUTH`) as string },
  ])
  expect(await ping(far.b, 50)).toBe('50/50')
  await run(hubConfig())
  await shows(`${a} UP carries`, `${b} UP`)
})

test('an interface that is deleted comes back without a new association', async () => {
  const before = await associations()
  await hub(`ip link del ${devices.a}`)
  expect(await world.ask<readonly string[]>('drift', hubConfig())).toContain(`D020 interface ${devices.a} is missing`)
  await run(hubConfig())
  await shows(`${a} UP carries`, `${b} UP`)
  expect(await associations()).toEqual(before)
  expect(await ping(far.a, 20)).toBe('20/20')
})

test('an agent that is killed leaves the tunnels; a charon that is killed is noticed, and all of it made again', async () => {
  const before = await associations()
  await world.ask('kill')
  expect(await ping(far.a, 20)).toBe('20/20')
  await run(hubConfig())
  await shows(`${a} UP carries`, `${b} UP`)
  expect(await associations()).toEqual(before)
  await hub('kill -9 $(pgrep -x charon-systemd --ns $$ --nslist net)')
  expect(await world.ask<readonly string[]>('drift', hubConfig())).toContain('D026 no charon runs for the IPsec tunnels')
  await run(hubConfig())
  await shows(`${a} UP carries`, `${b} UP`)
  expect(await ping(far.a, 20)).toBe('20/20')
  expect(await associations()).toHaveLength(4)
})

test('a cut uplink is left, and used again when it is back', async () => {
  await world.sh('internet', 'ip link set isp-a down')
  await shows(`${a} DOWN`, `${b} UP carries`)
  expect(await ping('172.31.0.10', 20, '-I 10.9.0.1')).toBe('20/20')
  await world.sh('internet', 'ip link set isp-a up')
  await shows(`${a} UP carries`, `${b} UP`)
})

test('a wipe leaves no process, interface, association or policy', async () => {
  await world.ask('wipe')
  const left = 'ip -br link show type xfrm; ip xfrm state; ip xfrm policy list nosock; ls /run/h/device; pgrep -x charon-systemd --ns $$ --nslist net'
  expect(await hub(left)).toBe('')
})
