/** IPsec with kernel ESP, by the whole driver over a kernel and a charon in memory. `npm run test:uml` has real ones. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import type { KeyStore } from '#providers/device.ts'
import { createLinuxDriver, type LinuxDriver } from '#providers/linux/index.ts'
import { describe as text } from '#providers/linux/kernel.ts'
import { observe } from '#providers/linux/observe.ts'
import { wrongSecret } from '../../contract/fake-charon.ts'
import { createFakeKernel, type FakeKernel } from '../../contract/fake-kernel.ts'
import { hubConfig } from '../../system/ipsec-hub-world.ts'

const [a, b] = ['cwi0u0m0p0', 'cwi0u1m0p0'] as const
let state: string
let printed: string[]
let kernel: FakeKernel
let driver: LinuxDriver
let secretOf: (id: string, version: number) => string
const keys: KeyStore = {
  privateKey: () => Promise.reject(new Error('no WireGuard here')),
  secret: async ({ id, version }) => Buffer.from(secretOf(id, version)),
}
const set = (config: SiteConfig = hubConfig(), prune = true): Promise<void> => driver.set(config, { prune, choices: [], keys })
const withoutFirst = (): SiteConfig => {
  const config = hubConfig()
  return { ...config, interfaces: config.interfaces.slice(1), tunnels: config.tunnels.slice(1) }
}
const xfrm = async (): Promise<readonly string[]> => text(await observe(kernel.runner)).match(/^xfrm .*$/gm) ?? []
const drift = async (config = hubConfig()): Promise<readonly string[]> => (await driver.drift(config)).map((one) => `${one.code} ${one.says}`)

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'cw-'))
  printed = []
  secretOf = (id, version) => `the key ${id} ${version}`
  kernel = createFakeKernel((line) => void printed.push(line), 'kernel', { esp: true })
  kernel.meddle.address('wan0', '192.0.2.10/24')
  kernel.meddle.address('wan1', '198.51.100.10/24')
  kernel.meddle.address('lan0', '10.9.0.1/24')
  driver = createLinuxDriver({ stateDir: state, run: kernel.runner, echo: (line) => void printed.push(line), follow: false })
})
afterEach(async () => {
  await driver.close()
  await kernel.meddle.killCharon()
  await rm(state, { recursive: true })
})

test('one charon has all tunnels, each with an xfrm interface and the mark of its uplink', async () => {
  expect(await driver.features()).toMatchObject({ ipsec: 'kernel' })
  await set()
  expect(await xfrm()).toEqual([`xfrm ${a} up mtu 1360 if_id 52000`, `xfrm ${b} up mtu 1360 if_id 52002`])
  expect(printed.filter((line) => line.includes('charon-systemd'))).toHaveLength(1)
  const charon = kernel.charon()!
  expect([...charon.established].sort()).toEqual([a, b])
  expect(charon.connections.get(b)).toMatchObject({
    local_addrs: ['198.51.100.10'],
    local_port: '4500',
    children: { [b]: { if_id_in: '52002', if_id_out: '52002', set_mark_out: '0x20000/0xff0000', copy_dscp: 'out', remote_ts: ['0.0.0.0/0'] } },
  })
  expect(await drift()).toEqual([])
  expect(await driver.counters()).toMatchObject([
    { tunnel: 'frankfurt.isp-a--aws.0', rxBytes: 84, txBytes: 168, endpoint: '203.0.113.1:4500' },
    { tunnel: 'frankfurt.isp-b--aws.0', endpoint: '203.0.113.2:4500' },
  ])
  expect(printed.join('\n')).not.toContain('the key')
})

test('the same again, or by an agent that was started again, changes nothing', async () => {
  await set()
  printed = []
  await set()
  const again = createLinuxDriver({ stateDir: state, run: kernel.runner, echo: (line) => void printed.push(line), follow: false })
  await again.set(hubConfig(), { prune: true, choices: [], keys })
  await again.close()
  expect(printed).toEqual([])
  expect(kernel.charon()!.heard.filter((line) => line.startsWith('load-conn'))).toHaveLength(2)
})

test('another version of a key touches that tunnel only', async () => {
  await set()
  const before = kernel.charon()!.heard.length
  await set(hubConfig({ a: 2, b: 1 }))
  expect(kernel.charon()!.heard.slice(before)).toEqual([`terminate ${a}`, `load-shared ${a}`, `load-conn ${a}`, `initiate ${a}`])
  expect(kernel.charon()!.secrets.get(a)).toBe('the key psk/a 2')
})

test('a tunnel that fails says why, and its neighbour stands', async () => {
  secretOf = (id) => (id === 'psk/a' ? wrongSecret : 'right')
  await set()
  expect([...kernel.charon()!.established]).toEqual([b])
  await expect(driver.rehandshake('frankfurt.isp-a--aws.0' as never)).rejects.toThrow(
    'D044 the IPsec tunnel frankfurt.isp-a--aws.0 to 203.0.113.1 does not come up: received AUTHENTICATION_FAILED notify error',
  )
})

test('a tunnel that waits for its far end has no device, and nothing is set at one', async () => {
  const config = hubConfig()
  await set({ ...config, tunnels: config.tunnels.slice(1) })
  expect(await xfrm()).toEqual([`xfrm ${b} up mtu 1360 if_id 52002`])
  expect(printed.filter((line) => line.includes(a))).toEqual([])
})

test('a tunnel that is no longer named stays until the commit is confirmed, then goes alone', async () => {
  await set()
  await set(withoutFirst(), false)
  expect([...kernel.charon()!.established].sort()).toEqual([a, b])
  await set(withoutFirst())
  expect(await xfrm()).toEqual([`xfrm ${b} up mtu 1360 if_id 52002`])
  expect([...kernel.charon()!.connections.keys()]).toEqual([b])
  expect([...kernel.charon()!.secrets.keys()]).toEqual([b])
  expect(await drift(withoutFirst())).toEqual([])
})

test('another MTU is the interface’s business, and touches no association', async () => {
  await set()
  const before = kernel.charon()!.heard.length
  const config = hubConfig()
  await set({ ...config, network: { ...config.network, mtu: 1300 } })
  expect(await xfrm()).toEqual([`xfrm ${a} up mtu 1300 if_id 52000`, `xfrm ${b} up mtu 1300 if_id 52002`])
  expect(kernel.charon()!.heard.length).toBe(before)
})

test('what is killed or deleted is said and made again, and nothing else is touched', async () => {
  await set()
  kernel.meddle.removeDevice(a)
  expect(await drift()).toContain(`D020 interface ${a} is missing`)
  const before = kernel.charon()!.heard.length
  await set()
  expect(kernel.charon()!.heard.length).toBe(before)
  expect(await drift()).toEqual([])

  await kernel.meddle.killCharon()
  expect(await drift()).toEqual(['D026 no charon runs for the IPsec tunnels', `D026 ${a}: no charon has it`, `D026 ${b}: no charon has it`])
  printed = []
  await set()
  expect([...kernel.charon()!.established].sort()).toEqual([a, b])
  expect(printed).toEqual(['[#] charon-systemd &'])
})

test('an interface of that name with another id is replaced', async () => {
  kernel.meddle.ip(6, `link add dev ${a} type xfrm if_id 42`)
  await set()
  expect(await xfrm()).toEqual([`xfrm ${a} up mtu 1360 if_id 52000`, `xfrm ${b} up mtu 1360 if_id 52002`])
  expect(await drift()).toEqual([])
})

test('a wipe leaves no process, interface or folder, also after charon was killed', async () => {
  await set()
  await driver.wipe()
  expect([await xfrm(), kernel.charon(), await readdir(state)]).toEqual([[], undefined, []])
  await set()
  await kernel.meddle.killCharon()
  await driver.wipe()
  expect([await xfrm(), await readdir(state)]).toEqual([[], []])
})

test('what a charon that was killed left in the kernel goes before the next one starts, and nothing of others', async () => {
  const state = (spi: string, ifId: string) =>
    `src 192.0.2.10 dst 203.0.113.1\n\tproto esp spi ${spi} reqid 1 mode tunnel\n\treplay-window 0 flag af-unspec\n\toutput-mark 0x10000/0xff0000\n\tif_id ${ifId}\n`
  const policy = (direction: string, ifId: string) =>
    `src 0.0.0.0/0 dst 0.0.0.0/0 \n\tdir ${direction} priority 399999 \n\ttmpl src 192.0.2.10 dst 203.0.113.1\n\t\tproto esp reqid 1 mode tunnel\n\tif_id ${ifId}\n`
  kernel.meddle.associations({
    state: state('0xc1', '0xcb20') + state('0xc2', '0x2a'),
    policy: `${policy('out', '0xcb20')}${policy('in', '0x2a')}src 0.0.0.0/0 dst 0.0.0.0/0 \n\tsocket in priority 0 \n`,
  })
  await set()
  const cleared = [
    '[#] ip xfrm policy delete src 0.0.0.0/0 dst 0.0.0.0/0 dir out if_id 0xcb20',
    '[#] ip xfrm state delete src 192.0.2.10 dst 203.0.113.1 proto esp spi 0xc1',
  ]
  expect(printed.filter((line) => line.includes('xfrm') && line.includes('delete'))).toEqual(cleared)
  expect(printed.indexOf(cleared[1]!)).toBeLessThan(printed.indexOf('[#] charon-systemd &'))
})

test('another program on the IKE ports is named, before anything is started', async () => {
  kernel.meddle.listen(4500)
  await expect(set()).rejects.toThrow("D047 another program listens on udp/4500, which the charon of this box's IPsec tunnels needs")
  expect(kernel.charon()).toBeUndefined()
})

test('a tunnel over IPv6 is refused where the kernel has its ESP in UDP for IPv4 alone', async () => {
  const six = (address: string): SiteConfig => {
    const config = hubConfig()
    const [first, second] = config.tunnels
    return { ...config, tunnels: [first!, { ...second!, peer: { ...second!.peer, address } as never }] }
  }
  const refused = async (on: LinuxDriver, config: SiteConfig) => (await on.check(config)).filter(({ code }) => code === 'D018')
  expect(await refused(driver, six('2001:db8:c::200'))).toEqual([])

  kernel = createFakeKernel((line) => void printed.push(line), 'kernel', { esp: true, espOverSix: false })
  const old = createLinuxDriver({ stateDir: state, run: kernel.runner, echo: (line) => void printed.push(line), follow: false })
  expect(await old.features()).toMatchObject({ ipsec: 'kernel' })
  expect(await refused(old, hubConfig())).toEqual([])
  expect(await refused(old, six('2001:db8:c::200'))).toMatchObject([
    {
      severity: 'error',
      at: ['frankfurt.isp-b--aws.0'],
      says: 'the kernel of this box has no ESP in UDP over IPv6, and IPsec tunnel frankfurt.isp-b--aws.0 runs over IPv6',
      instead: 'use a kernel of 5.8 or newer with ESP for IPv6 (esp6), or give the peer an IPv4 address',
    },
  ])
  await old.close()
})
