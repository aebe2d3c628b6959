/** Two gateways at one site, through the whole product: a token each, one on duty, a change that the second takes first, a service window. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { networkFiles, openWorld, until, type World } from './world.ts'

const files: Readonly<Record<string, string>> = {
  ...networkFiles([]),
  'berlin.yaml': `site: berlin
gateways:
  a:
    uplinks:
      fiber: { interface: eth0, rate: 500M/100M }
  b:
    uplinks:
      cable: { interface: eth0, rate: 200M/20M }
segments:
  inference: { interface: eth1, prefixes: 10.1.10.0/24 }
`,
}
const gateways = ['berlin', 'berlin.b'] as const

let world: World
const standsBy = (gateway: string) => world.status(gateway).says.includes('stands by')
/** Answers of the model to 40 pings in two seconds. */
const answers = async () =>
  Number(/(\d+) received/.exec((await world.lab.exec('berlin-inference', ['ping', '-i', '0.05', '-c', '40', '10.10.0.10'])).stdout)?.[1] ?? 0)

beforeAll(async () => {
  world = await openWorld(['berlin'], files)
  const applied = await world.cli('apply', '--yes')
  expect(applied.code, applied.stderr).toBe(0)
  await world.onboard('frankfurt', ...gateways)
}, 240_000)
afterAll(async () => {
  await world?.close()
})

it('each is a box of its own, and one of the two is on duty', async () => {
  await until('all is green', 30, () => world.isGreen())
  await until('the second stands by', 20, () => standsBy('berlin.b') && !standsBy('berlin'))
  expect(await answers()).toBe(40)
  const listed = await world.cli('site', 'list')
  expect(listed.stdout).toMatch(/^berlin +edge +ACTIVE/m)
  expect(listed.stdout).toMatch(/^berlin\.b +edge +ACTIVE/m)
})

it('a change is confirmed at the one that stands by before the other is touched', async () => {
  const more = files['network.yaml']!.replace('tcp/8443, icmp', 'tcp/8443, tcp/9443, icmp')
  writeFileSync(join(world.sites, 'network.yaml'), more)
  const applied = await world.cli('apply', '--yes')
  expect(applied.code, applied.stdout + applied.stderr).toBe(0)
  const at = (gateway: string) => /^(\S+) commit +1\/2\/0 confirmed/m.exec(world.logOf(gateway))![1]!
  expect(at('berlin.b') < at('berlin')).toBe(true)
})

it('the one on duty is drained: the other takes the LAN over, says so, and gives it back', async () => {
  const drained = await world.cli('site', 'drain', 'berlin', '--for', '10m')
  expect(drained.code, drained.stdout + drained.stderr).toBe(0)
  await until('the second carries', 20, () => !standsBy('berlin.b'))
  expect(await answers()).toBeGreaterThan(38)
  expect((await world.lab.exec('berlin.b', ['ip', '-4', 'addr'])).stdout).toContain('10.1.10.1/32')
  const back = await world.cli('site', 'undrain', 'berlin')
  expect(back.code, back.stdout + back.stderr).toBe(0)
  await until('the first carries again', 30, () => standsBy('berlin.b') && !standsBy('berlin'))
  await until('the controller knows', 20, async () => {
    const { stdout } = await world.cli('site', 'list')
    return /^berlin .* carries the LANs$/m.test(stdout) && /^berlin\.b .* stands by$/m.test(stdout)
  })
  expect((await world.cli('site', 'status', 'berlin.b')).stdout).toContain('\n  pair      stands by\n')
  expect(await answers()).toBeGreaterThan(38)
})

it('the box on duty dies: the other carries within seconds, and the controller says who is gone', async () => {
  await world.lab.stop('agent-berlin', 'SIGKILL')
  await until('the second carries', 20, () => !standsBy('berlin.b'))
  expect(await answers()).toBeGreaterThan(38)
  await until('the first is missed', 60, async () => /^berlin +edge .* seen .* ago/m.test((await world.cli('site', 'list')).stdout))
  expect((await world.cli('site', 'list')).stdout).toMatch(/^berlin\.b +edge .* online/m)
})
