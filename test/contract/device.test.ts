/** What every device driver owes the agent: one suite, over a kernel in memory and over the real one. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Finding, SiteConfig } from '#src/fabric/fabric.ts'
import type { Choice, DeviceDriver } from '#providers/device.ts'
import { createLinuxDriver, DeviceError } from '#providers/linux/index.ts'
import { describe as text } from '#providers/linux/kernel.ts'
import { observe } from '#providers/linux/observe.ts'
import { reservedPorts } from '#providers/linux/reserved-ports.ts'
import { startWorld, type World } from '#test/system/linux-world.ts'
import { configOf, keysOf, realtime, tunnel } from '#test/unit/linux/network.ts'
import { createFakeKernel } from './fake-kernel.ts'

/** A box with berlin's interfaces and nothing of ours. */
interface Box {
  readonly driver: Pick<DeviceDriver, 'check' | 'set' | 'steer' | 'drift' | 'wipe' | 'inventory' | 'counters' | 'transit' | 'rehandshake'>
  state(): Promise<string>
  /** Commands that changed something since the last call. */
  printed(): readonly string[]
  /** `line` is an `ip` command of an operator. */
  ip(line: string): Promise<void>
  killTunnel(device: string): Promise<void>
  removePeers(device: string): Promise<void>
  removeDevice(device: string): Promise<void>
  tamperNft(): Promise<void>
  /** Of the kernel, by its path below /proc/sys. */
  setting(key: string): Promise<string>
  /** By another program. */
  write(key: string, value: string): Promise<void>
  stop(): Promise<void>
}

async function fakeBox(wireguard: 'kernel' | 'userspace'): Promise<Box> {
  const lines: string[] = []
  const kernel = createFakeKernel((line) => void lines.push(line), wireguard)
  for (const [device, address] of [
    ['wan0', '100.64.1.2/24'],
    ['wan1', '100.64.2.2/24'],
    ['lan0', ''],
    ['lan1', ''],
  ] as const)
    kernel.meddle.address(device, address)
  const stateDir = await mkdtemp(join(tmpdir(), 'cw-'))
  const driver = createLinuxDriver({ stateDir, run: kernel.runner, echo: (line) => void lines.push(line), follow: false })
  return {
    driver,
    state: async () => text(await observe(kernel.runner)),
    printed: () => lines.splice(0),
    ip: (line) => Promise.resolve(kernel.meddle.ip(4, line)),
    killTunnel: (device) => Promise.resolve(kernel.meddle.removeDevice(device)),
    removePeers: (device) => Promise.resolve(kernel.meddle.removePeers(device)),
    removeDevice: (device) => Promise.resolve(kernel.meddle.removeDevice(device)),
    tamperNft: () => Promise.resolve(kernel.meddle.tamperNft()),
    setting: async (key) => (await kernel.runner.readFile(`/proc/sys/${key}`)) ?? '',
    write: (key, value) => Promise.resolve(kernel.meddle.sysctl(key, value)),
    stop: async () => {
      await driver.close()
      expect(await readdir(stateDir)).not.toContain('device.json.new')
      await rm(stateDir, { recursive: true })
    },
  }
}

async function realBox(): Promise<Box> {
  const world: World = await startWorld('still')
  const run = async (command: string): Promise<void> => {
    const { code, stderr } = await world.run('berlin', command)
    expect(`${code} ${stderr}`).toBe('0 ')
  }
  const call = <T>(method: string, ...args: readonly unknown[]): Promise<T> =>
    world.call<T>('berlin', method, ...args).catch((error: Finding) => Promise.reject(new DeviceError(error)))
  return {
    driver: {
      check: (config) => call('check', config),
      inventory: () => call('inventory'),
      counters: () => call('counters'),
      transit: () => call('transit'),
      rehandshake: (of) => call('rehandshake', of),
      drift: (config) => call('drift', config),
      steer: (choices) => call('steer', choices),
      wipe: () => call('wipe'),
      async set(config, { prune, choices, keys }) {
        const pairs = await Promise.all(
          config.interfaces.map(
            async (one) => [`${one.id} ${one.linkEpoch}`, await keys.privateKey({ interface: one.id, linkEpoch: one.linkEpoch })] as const,
          ),
        )
        await call('set', config, { prune, choices, privateKeys: Object.fromEntries(pairs) })
      },
    },
    state: () => call('state'),
    printed: () => world.echoes('berlin'),
    ip: (line) => run(`ip -4 ${line}`),
    killTunnel: (device) => run(`ip link del ${device}`),
    removePeers: (device) =>
      run(
        `export D=${device}; nsenter -t $(pgrep -f "^wireguard-go $D") -m wg set $D peer $(nsenter -t $(pgrep -f "^wireguard-go $D") -m wg show $D peers) remove`,
      ),
    removeDevice: (device) => run(`ip link del ${device}`),
    tamperNft: () => run('nft add rule inet causeway forward accept'),
    setting: async (key) => (await world.run('berlin', `cat /proc/sys/${key}`)).stdout.trim(),
    write: (key, value) => run(`echo ${value} > /proc/sys/${key}`),
    stop: () => Promise.resolve(world.stop()),
  }
}

describe.each([
  ['a kernel in memory with WireGuard', () => fakeBox('kernel')],
  ['a kernel in memory with wireguard-go', () => fakeBox('userspace')],
  ['the real kernel', realBox],
] as const)('the driver over %s', (_, makeBox) => {
  let box: Box
  let bare: string
  const berlin = configOf('berlin')
  const set = (config: SiteConfig, prune = true, choices: readonly Choice[] = []): Promise<void> =>
    box.driver.set(config, { prune, choices, keys: keysOf('berlin') })
  const choice = (hop: Choice['hop']): Choice => ({ remote: 'frankfurt' as never, trafficClass: realtime, arrived: 'anywhere', hop })
  const codes = async (config = berlin): Promise<readonly string[]> => [...new Set((await box.driver.drift(config)).map((one) => one.code))].sort()
  const difference = (before: string, after: string): readonly string[] => {
    const [a, b] = [before.split('\n'), after.split('\n')]
    return [...a.filter((line) => !b.includes(line)).map((line) => `- ${line}`), ...b.filter((line) => !a.includes(line)).map((line) => `+ ${line}`)]
  }

  beforeEach(async () => {
    box = await makeBox()
    bare = await box.state()
  })
  afterEach(() => box.stop())

  it('tells what interfaces the box has', async () => {
    expect(await box.driver.inventory()).toContainEqual({ name: 'wan0', up: true, addresses: ['100.64.1.2/24'], router: '100.64.1.1', mtu: 1500 })
  })

  it('checks without touching anything', async () => {
    expect(await box.driver.check(berlin)).toEqual([])
    const missing = { ...berlin, lans: [{ ...berlin.lans[0]!, interface: 'lan7' }] }
    expect(await box.driver.check(missing)).toMatchObject([{ code: 'D005', severity: 'error', at: ['site/berlin/lan/inference/0'] }])
    expect(await box.state()).toBe(bare)
    expect(box.printed()).toEqual([])
  })

  it('makes what the config means, and a second time nothing', async () => {
    await set(berlin)
    expect(await codes()).toEqual([])
    expect(box.printed().length).toBeGreaterThan(50)
    const once = await box.state()
    await set(berlin)
    expect(box.printed()).toEqual([])
    expect(await box.state()).toBe(once)
  })

  it('applies only the difference', async () => {
    await set(berlin)
    box.printed()
    await set(configOf('berlin', { withRules: [] }))
    expect(box.printed()).toMatchObject([expect.stringMatching(/^\[#\] nft -f \S+causeway\.nft$/)])
  })

  it('makes before it breaks', async () => {
    await set(configOf('berlin', { epochs: [0] }))
    const before = await box.state()
    await set(configOf('berlin', { epochs: [1] }), false)
    expect(
      difference(before, await box.state())
        .filter((line) => line.startsWith('- '))
        .every((line) => line.includes('nexthop')),
    ).toBe(true)
    expect(await box.state()).toContain('link cwe2u0u0p0 up')
    await set(configOf('berlin', { epochs: [1] }), true)
    expect(await box.state()).not.toContain('cwe2u0u0p0')
    expect(await codes(configOf('berlin', { epochs: [1] }))).toEqual([])
  })

  it('goes back to the config before: that is a rollback', async () => {
    await set(berlin)
    const before = await box.state()
    const smaller = { ...berlin, tunnels: berlin.tunnels.slice(0, 2), groups: berlin.groups.slice(0, 2) }
    await set(smaller, false)
    await set(berlin)
    expect(await box.state()).toBe(before)
  })

  it('steers one group with one replacement, and a later set() leaves it there', async () => {
    await set(berlin)
    const before = await box.state()
    box.printed()
    await box.driver.steer([choice(1)])
    expect(box.printed()).toHaveLength(1)
    expect(difference(before, await box.state())).toMatchObject([
      expect.stringMatching(/^- -4 nexthop id \d+ dev cwe2u0u0p0 /),
      expect.stringMatching(/^\+ -4 nexthop id \d+ dev cwe2u1u0p0 /),
    ])
    await set(berlin)
    expect(box.printed()).toEqual([])
    expect(await codes()).toEqual([])
    await box.driver.steer([choice('unreachable')])
    expect(await codes()).toEqual([])
    await set(berlin, true, [choice(0)])
    expect(await box.state()).toBe(before)
  })

  it('takes nothing for drift that is steered while it looks', async () => {
    await set(berlin)
    for (const hop of [1, 0, 1, 0, 1, 0]) {
      const looked = box.driver.drift(berlin)
      await box.driver.steer([choice(hop)])
      expect(await looked).toEqual([])
    }
  })

  it('tells what is amiss, and nothing else, though it is steered all the time', async () => {
    await set(berlin)
    await box.tamperNft()
    let over = false
    const steering = (async () => {
      for (let times = 0; !over && times < 20_000; times++) await box.driver.steer([choice((times + 1) % 2)])
    })()
    expect(await codes()).toEqual(['D023'])
    over = true
    await steering
  })

  it('refuses what it can not steer, in a sentence', async () => {
    await expect(box.driver.steer([choice(0)])).rejects.toThrow('D037 nothing was applied yet')
    await set(berlin)
    await expect(box.driver.steer([choice(9)])).rejects.toThrow('D036 the way to frankfurt for class realtime has no hop 9 that is ready')
    await expect(box.driver.steer([{ ...choice(0), remote: 'oslo' as never }])).rejects.toThrow(
      'D036 there is no way to oslo for class realtime (anywhere)',
    )
    await expect(box.driver.rehandshake(tunnel('a', 'b'))).rejects.toThrow('D038 tunnel a--b is not in the configuration')
    await box.killTunnel('cwe2u1u0p0')
    const dublin: Choice = { ...choice(1), remote: 'dublin' as never }
    await expect(box.driver.steer([choice(1), dublin])).rejects.toThrow(
      /^D035 nexthop \d+ could not be pointed to cwe2u1u0p0: .*Device does not exist/,
    )
    expect(await box.state()).toMatch(/^-4 nexthop id \d+ dev cwe1u1u0p0 /m)
  })

  it('shakes hands again without changing a peer', async () => {
    await set(berlin)
    const before = await box.state()
    await box.driver.rehandshake(tunnel('berlin.fiber', 'frankfurt.isp-a'))
    expect(await box.state()).toBe(before)
    expect((await box.driver.counters()).map((one) => one.tunnel)).toEqual(berlin.tunnels.map((one) => one.id))
  })

  it('counts what is passed on from the moment that there is a policy', async () => {
    const nothing = { packets: 0, bytes: 0 }
    await box.driver.wipe()
    expect(await box.driver.transit()).toEqual(nothing)
    await set(berlin)
    expect(await box.driver.transit()).toEqual(nothing)
  })

  it('notices every kind of drift, and set() repairs it', async () => {
    await set(berlin)
    const good = await box.state()
    await box.killTunnel('cwe2u0u0p0')
    expect(await codes()).toEqual(expect.arrayContaining(['D020', 'D021', 'D022', 'D024', 'D025']))
    await set(berlin)
    await box.removePeers('cwe1u0u0p0')
    expect(await codes()).toEqual(['D021'])
    await set(berlin)
    await box.ip('route del 10.2.10.0/24 table 7901 proto 67')
    expect(await codes()).toEqual(['D022', 'D024'])
    await set(berlin)
    await box.ip('rule add priority 5 iif lan0 unreachable protocol 67')
    expect(await codes()).toEqual(['D022', 'D024'])
    await set(berlin)
    await box.tamperNft()
    expect(await codes()).toEqual(['D023'])
    await set(berlin)
    await box.write('net/ipv4/ip_forward', '0')
    expect(await codes()).toContain('D025')
    await set(berlin)
    await box.write(reservedPorts, '8080')
    expect(await codes()).toEqual(['D025'])
    await set(berlin)
    expect(await codes()).toEqual([])
    expect(await box.state()).toBe(good)
  })

  it('keeps the ports of tunnels from clients, beside what others keep, and leaves them theirs', async () => {
    await box.write(reservedPorts, '8080,53000-53999')
    await set(berlin)
    expect(await box.setting(reservedPorts)).toBe('4500,8080,51820-53999')
    await box.write(reservedPorts, '4500,9090,51820-53999')
    await set(berlin)
    expect(await codes()).toEqual([])
    await box.driver.wipe()
    expect(await box.setting(reservedPorts)).toBe('9090,53000-53999')
  })

  it('wipes all of it, twice if need be, also when an uplink was pulled out', async () => {
    await set(berlin)
    await box.removeDevice('wan1')
    bare = bare.replace(/^address .* dev wan1\n/m, '')
    await box.driver.wipe()
    expect(await box.state()).toBe(bare)
    box.printed()
    await box.driver.wipe()
    expect(box.printed()).toEqual([])
  })
})
