/** The edges to the system: the runner, what is read from `wg` and `nft`, what is written to `wg`. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { batch } from '#providers/linux/apply.ts'
import { wireguardDiffers } from '#providers/linux/difference.ts'
import { createLinuxDriver, DeviceError } from '#providers/linux/index.ts'
import type { Link } from '#providers/linux/kernel.ts'
import { keep, nothing, remember, store } from '#providers/linux/memory.ts'
import { readDump, withoutCounters } from '#providers/linux/observe.ts'
import { createRunner, type Runner } from '#providers/linux/run.ts'
import { configure, publicKeyOf, settings, startUserspace } from '#providers/linux/wireguard.ts'
import { configOf, keysOf } from './network.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cw-'))
})
afterEach(() => rm(dir, { recursive: true }))

describe('the runner', () => {
  const printing = (more: { readonly dryRun?: boolean } = {}): { readonly runner: Runner; readonly lines: readonly string[] } => {
    const lines: string[] = []
    return { lines, runner: createRunner({ ...more, echo: (line) => void lines.push(line) }) }
  }
  it('prints what changes something, before it runs, and nothing else', async () => {
    const { runner, lines } = printing()
    expect((await runner.read(['echo', 'hello'])).stdout).toBe('hello\n')
    expect(lines).toEqual([])
    expect((await runner.change(['cat'], { input: 'secret', show: ['cat <key>'] })).stdout).toBe('secret')
    expect(lines).toEqual(['[#] cat <key>'])
  })
  it('prints and does nothing in a dry run', async () => {
    const { runner, lines } = printing({ dryRun: true })
    const file = join(dir, 'made')
    await runner.change(['touch', file])
    await runner.writeFile(file, '1')
    expect(await runner.daemon(['sleep', '60'], { env: { A: 'b' }, log: join(dir, 'log') })).toBe(0)
    expect(
      runner.talk(
        ['cat'],
        () => {},
        () => {},
      ),
    ).toBeNull()
    expect(lines).toEqual([`[#] touch ${file}`, `[#] echo 1 > ${file}`, '[#] A=b sleep 60 &'])
    expect(await runner.readFile(file)).toBeUndefined()
  })
  it('gives back the exit code, 127 for a program that is not there', async () => {
    expect((await printing().runner.read(['sh', '-c', 'echo no >&2; exit 3'])).code).toBe(3)
    expect(await printing().runner.read(['no-such-program'])).toMatchObject({ code: 127, stderr: expect.stringContaining('ENOENT') })
  })
  it('kills what does not end', async () => {
    await expect(printing().runner.read(['sleep', '60'], { timeoutMs: 50 })).rejects.toThrow(
      'D031 "sleep 60" did not end within 0.05 s and was killed',
    )
  })
  it('says which setting can not be written', async () => {
    await expect(printing().runner.writeFile('/proc/version', '1')).rejects.toThrow(/^D030 \/proc\/version can't be set to 1: /)
  })
  it('says which program can not be started', async () => {
    await expect(printing().runner.daemon(['no-such-program'], { env: {}, log: join(dir, 'log') })).rejects.toThrow(
      /^D032 "no-such-program" can't be started: .*; install no-such-program$/,
    )
  })
  it('ends exactly the process that it started', async () => {
    const { runner } = printing()
    const pid = await runner.daemon(['sleep', '60'], { env: {}, log: join(dir, 'log') })
    const startTime = (await runner.startTime(pid))!
    await runner.end({ pid, startTime: '1' })
    expect(await runner.startTime(pid)).toBe(startTime)
    await runner.end({ pid, startTime })
    for (let tries = 0; tries < 100 && (await runner.startTime(pid)) !== undefined; tries++) await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await runner.startTime(pid)).toBeUndefined()
  })
  it('talks by lines until the other side ends', async () => {
    const heard: string[] = []
    await new Promise<void>((resolve) => {
      const talk = printing().runner.talk(
        ['sh', '-c', 'read a; echo "got $a"; echo trouble >&2'],
        (line, from) => void heard.push(`${from} ${line}`),
        resolve,
      )
      talk?.say('one\n')
    })
    expect(heard.sort()).toEqual(['stderr trouble', 'stdout got one'])
  })
})

/** A runner whose answers are given. */
const answering = (answers: (line: string) => string | undefined, log = ''): Runner => ({
  ...createRunner({ dryRun: false, echo: () => {} }),
  read: (command) =>
    Promise.resolve(
      answers(command.join(' ')) === undefined ? { code: 0, stdout: '', stderr: '' } : { code: 1, stdout: '', stderr: answers(command.join(' '))! },
    ),
  change: (command) =>
    Promise.resolve(
      answers(command.join(' ')) === undefined ? { code: 0, stdout: '', stderr: '' } : { code: 1, stdout: '', stderr: answers(command.join(' '))! },
    ),
  daemon: () => Promise.resolve(4711),
  startTime: () => Promise.resolve(undefined),
  list: () => Promise.resolve(log === 'taken' ? ['cwe0u0u0p0.sock'] : []),
  readFile: () => Promise.resolve(log),
})

describe('failures are sentences', () => {
  it('of a batch, with the line at fault', async () => {
    const runner = answering(() => 'RTNETLINK answers: Operation not permitted\nCommand failed -:2')
    const lines = ['link set dev lo up', 'rule add priority 5'].map((line) => ({ kind: 'ip', object: 'rule', family: 4, line }) as const)
    await expect(batch(runner, lines, false)).rejects.toThrow(
      'D030 "ip -4 rule add priority 5" failed: RTNETLINK answers: Operation not permitted; run the agent as root',
    )
    await expect(
      batch(
        answering(() => 'RTNETLINK answers: No such process\nCommand failed -:1'),
        lines,
        true,
      ),
    ).resolves.toBeUndefined()
  })
  it('of wireguard-go, with its last words', async () => {
    await expect(
      startUserspace(
        answering(() => undefined, 'INFO\nERROR: Failed to create TUN device: /dev/net/tun does not exist\n'),
        'cwe0u0u0p0',
        dir,
      ),
    ).rejects.toThrow(
      'D033 wireguard-go for cwe0u0u0p0 did not come up: ERROR: Failed to create TUN device: /dev/net/tun does not exist; look whether /dev/net/tun exists',
    )
  })
  it('of a socket that another gateway has', async () => {
    await expect(
      startUserspace(
        answering(() => undefined, 'taken'),
        'cwe0u0u0p0',
        dir,
      ),
    ).rejects.toThrow('D034 /var/run/wireguard/cwe0u0u0p0.sock belongs to a wireguard-go in another network namespace')
  })
  it('of wg, without the key', async () => {
    const problem = await configure(
      answering(() => 'Unable to modify interface: Address already in use'),
      link,
      'c2VjcmV0',
    ).catch((error: unknown) => error)
    expect(problem).toBeInstanceOf(DeviceError)
    expect((problem as DeviceError).message).toBe(
      'D030 "wg syncconf cwh0s0p0" failed: Unable to modify interface: Address already in use; look whether udp/51820 is taken: ss -ulpn',
    )
  })
  it('of a box that can not carry tunnels, before anything is touched', async () => {
    const lines: string[] = []
    const driver = createLinuxDriver({ stateDir: dir, follow: false, echo: (line) => void lines.push(line), run: answering(() => 'not found') })
    await expect(driver.set(configOf('berlin'), { prune: true, choices: [], keys: keysOf('berlin') })).rejects.toThrow(
      'D001 this box has no WireGuard',
    )
    expect(lines).toEqual([])
  })
})

const link: Link = {
  name: 'cwh0s0p0',
  up: true,
  mtu: 1360,
  publicKey: 'pub',
  listenPort: 51820,
  fwmark: 0x10000,
  peers: [{ publicKey: 'peer', endpoint: '', allowedIps: ['10.1.10.0/24', 'fd00::1/128'], keepalive: 0 }],
}

describe('wg', () => {
  it('is given its settings by a pipe', () => {
    expect(settings({ ...link, peers: [{ ...link.peers[0]!, endpoint: '192.0.2.10:51820', keepalive: 15 }] }, 'c2VjcmV0')).toBe(
      '[Interface]\nPrivateKey = c2VjcmV0\nListenPort = 51820\nFwMark = 0x10000\n\n[Peer]\nPublicKey = peer\nAllowedIPs = 10.1.10.0/24, fd00::1/128\nEndpoint = 192.0.2.10:51820\nPersistentKeepalive = 15\n',
    )
  })
  it('public keys follow from private ones, as `wg pubkey` says', () => {
    expect(publicKeyOf('dwdtCnMYpX08FsFyUbJmRd9ML5LrwJkqwXf7pR25LCo=')).toBe('+KlTWi0v9gXo4UTVT071xiMTogVduyH93T/ZwpnrAV0=')
  })
  it('dump is read back', () => {
    const dump =
      'cwe0u0u0p0\tPRIV\tPUB\t53000\t0x10000\ncwe0u0u0p0\tPEER\t(none)\t[2001:db8::1]:51820\t::/0,0.0.0.0/0\t1795427660\t772\t476\t15\nwg0\t(none)\t(none)\t52021\toff\n'
    expect([...readDump(dump)]).toEqual([
      [
        'cwe0u0u0p0',
        {
          publicKey: 'PUB',
          listenPort: 53000,
          fwmark: 0x10000,
          peers: [
            {
              publicKey: 'PEER',
              endpoint: '[2001:db8::1]:51820',
              allowedIps: ['0.0.0.0/0', '::/0'],
              lastHandshake: 1795427660,
              rxBytes: 772,
              txBytes: 476,
              keepalive: 15,
            },
          ],
        },
      ],
      ['wg0', { publicKey: '', listenPort: 52021, fwmark: 0, peers: [] }],
    ])
  })
  it.each([
    ['', {}],
    ['another key', { publicKey: 'other' }],
    ['listens on 1 instead of 51820', { listenPort: 1 }],
    ['another mark', { fwmark: 0 }],
    ['peer peer is missing', { peers: [] }],
    ['peer peer has other allowed IPs or keepalive', { peers: [{ ...link.peers[0]!, allowedIps: ['10.1.10.0/24'] }] }],
    ['peer zeta does not belong there', { peers: [...link.peers, { ...link.peers[0]!, publicKey: 'zeta' }] }],
    // It roams: what WireGuard learned stays.
    ['', { peers: [{ ...link.peers[0]!, endpoint: '203.0.113.9:4711' }] }],
  ])('is written again when the kernel has "%s"', (why, change) => {
    expect(wireguardDiffers(link, { ...link, ...change })).toBe(why)
  })
  it('is written again when a fixed endpoint moved', () => {
    const at = (endpoint: string): Link => ({ ...link, peers: [{ ...link.peers[0]!, endpoint }] })
    expect(wireguardDiffers(at('192.0.2.10:51820'), at('192.0.2.11:51820'))).toBe('peer peer is at 192.0.2.11:51820 instead of 192.0.2.10:51820')
  })
})

it('an nft listing is compared without what changes by itself', () => {
  const listing = (handle: number, packets: number): string =>
    JSON.stringify({
      nftables: [{ metainfo: { version: '1' } }, { rule: { handle, expr: [{ counter: { packets, bytes: packets * 84 } }, { drop: null }] } }],
    })
  expect(withoutCounters(listing(1, 0))).toBe(withoutCounters(listing(7, 12)))
  expect(withoutCounters(listing(1, 0))).toContain('drop')
})

describe('memory', () => {
  it('comes back, private to root', async () => {
    await store(dir, { ...nothing, ulas: ['fd00::/48'] })
    expect(await remember(dir)).toEqual({ ...nothing, ulas: ['fd00::/48'] })
    expect(await readFile(join(dir, 'device.json'), 'utf8')).not.toContain('PrivateKey')
  })
  it('that is cut or of another version is none', async () => {
    await keep(dir, 'device.json', '{"version":1,"ul')
    expect(await remember(dir)).toEqual(nothing)
    await keep(dir, 'device.json', '{"version":2}')
    expect(await remember(dir)).toEqual(nothing)
  })
})
