/** A third party joined through the whole product: what its owner is told is what its gateway needs, and a new key is a matter of two commands. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { networkFiles, openWorld, until, type World } from './world.ts'

const files: Readonly<Record<string, string>> = {
  ...networkFiles([]),
  'network.yaml': `network: small
hubs: frankfurt
segments: inference
allow:
  - partner/inference -> frankfurt/inference tcp/8443 icmp
  - frankfurt/inference -> partner/inference tcp/8000
expect:
  - { reach: partner/inference -> frankfurt/inference, survives: [uplink, tunnel, connection] }
`,
  // One line has IPv6, the other IPv4, and the third party both.
  'frankfurt.yaml': `site: frankfurt
role: core
uplinks:
  isp-a: { interface: eth0, address: "2001:db8:2::10/64", router: "fe80::1", rate: 1G }
  isp-b: { interface: eth1, address: 198.51.100.10/28, router: 198.51.100.1, rate: 1G }
segments:
  inference: { interface: eth2, prefixes: 10.10.0.0/16 }
`,
  'partner.yaml': `peer: partner
address: [203.0.113.200, "2001:db8:200::200"]
segments: { inference: { prefixes: 172.20.0.0/16 } }
inside: [169.254.100.0/24, "fd5c:1a2b:3c4d::/64"]
`,
}

let world: World
const status = async () => (await world.cli('peer', 'status', 'partner')).stdout
const isUp = async (tunnels: number) => (await status()).includes(`${tunnels}/2 tunnels`)
/** As its owner does: with the text that he was given, from the pipe. */
async function ownerSets(): Promise<string> {
  const told = await world.cli('peer', 'config', 'partner', '--secret')
  expect(told.code, told.stderr).toBe(0)
  const set = await world.launch(['lab', 'peer', 'partner'], { stdin: told.stdout }).ended
  expect(set.code, set.stdout + set.stderr).toBe(0)
  return set.stdout
}
const answers = async () =>
  Number(/(\d+) received/.exec((await world.lab.exec('partner-inference', ['ping', '-i', '0.05', '-c', '20', '10.10.0.10'])).stdout)?.[1] ?? 0)

beforeAll(async () => {
  world = await openWorld([], files)
  const applied = await world.cli('apply', '--yes')
  expect(applied.code, applied.stdout + applied.stderr).toBe(0)
  await world.onboard('frankfurt')
}, 240_000)
afterAll(async () => {
  await world?.close()
})

it('waits for its owner, who has the text, the key and two tunnels', async () => {
  expect(await status()).toContain('0/2 tunnels  pre-shared key version 1, not shown yet')
  expect(await ownerSets()).toBe('partner waits for its 2 tunnels. Look: causeway peer status partner\n')
  await until('both tunnels are up', 40, () => isUp(2))
  expect(await status()).toMatch(
    /isp-a--partner\.1 +to 2001:db8:200::200 [^]*isp-b--partner\.0 +to 203\.0\.113\.200 +inside 169\.254\.100\.\d+\/30, fd5c:\S+\/126 /,
  )
  expect(await answers()).toBeGreaterThan(18)
  // Shown once: whoever asks again has to make another.
  expect((await world.cli('peer', 'config', 'partner', '--secret')).code).not.toBe(0)
})

it('passes what is allowed, both ways, and nothing else', async () => {
  const said = (box: string, to: string) => world.lab.exec(box, ['sh', '-c', `echo hello | socat -t 1 - TCP:${to},connect-timeout=2`])
  expect(await said('frankfurt-inference', '172.20.0.10:8000')).toMatchObject({ code: 0, stdout: 'hello\n' })
  expect((await said('frankfurt-inference', '172.20.0.10:8001')).stderr).not.toContain('refused')
  expect((await world.lab.exec('frankfurt-inference', ['ping', '-c', '2', '-W', '1', '172.20.0.10'])).code).not.toBe(0)
})

it('goes on by the other tunnel when a line is cut, and comes back', async () => {
  await world.lab.line('frankfurt.isp-a', { cut: 'all' })
  await until('one tunnel is down', 20, () => isUp(1))
  await until('its gateway has noticed', 10, async () => (await answers()) === 20)
  await world.lab.heal('frankfurt.isp-a')
  await until('both tunnels are up', 40, () => isUp(2))
})

it('has a new key, and is up again when both ends have it', async () => {
  const made = await world.cli('peer', 'secret', 'partner', '--new')
  expect(made.stdout).toContain('partner has pre-shared key version 2; its tunnels are down until both ends have it.')
  await until('the old key is no good', 60, () => isUp(0))
  await ownerSets()
  await until('both tunnels are up', 40, () => isUp(2))
  expect(await answers()).toBeGreaterThan(18)
})

it('says what the lab can not do', async () => {
  const asked = (peer: string, stdin: string) => world.launch(['lab', 'peer', peer], { stdin }).ended
  expect(await asked('partnr', '')).toMatchObject({ code: 2, stderr: expect.stringContaining('there is no peer "partnr" in the lab') as string })
  expect(await asked('partner', 'site: berlin\n')).toMatchObject({
    code: 2,
    stderr:
      'error  that is no configuration for partner: it has no tunnels\n       give it what this prints: causeway peer config partner --secret\n',
  })
  const { stdout } = await world.cli('peer', 'config', 'partner')
  expect(await asked('partner', stdout.replaceAll('203.0.113.200', '203.0.113.201'))).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('its tunnels are those of 203.0.113.201') as string,
  })
  expect(await isUp(2)).toBe(true)
})
