/** What an IPsec tunnel of a configuration becomes, and when it is touched. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ipsecKind, observeTunnels, type ObservedTunnel, type WantedTunnel, wantedTunnels, workFor } from '#providers/linux/charons.ts'
import { apply, type Means } from '#providers/linux/apply.ts'
import { missingIpsec } from '#providers/linux/check.ts'
import { choicesBy, desired } from '#providers/linux/desired.ts'
import { difference, say } from '#providers/linux/difference.ts'
import { noFrr } from '#providers/linux/frr.ts'
import { connection, startTunnel, type UserspaceTunnel, userspaceSettings } from '#providers/linux/ipsec.ts'
import { routeArguments, ruleArguments } from '#providers/linux/kernel.ts'
import { nothing } from '#providers/linux/memory.ts'
import { ruleset } from '#providers/linux/nft.ts'
import type { Observed } from '#providers/linux/observe.ts'
import { createRunner, type Runner } from '#providers/linux/run.ts'
import { probedTable } from '#providers/linux/scheme.ts'
import type { ReadyIpsec, SiteConfig } from '#src/fabric/fabric.ts'
import { isIpsec } from '#src/fabric/ipsec.ts'
import { type Address, address, addressWithLength, prefix } from '#src/net/address.ts'
import { hubConfig } from '../../system/ipsec-hub-world.ts'

const wanted = wantedTunnels(hubConfig(), 'userspace')
const running = (of: WantedTunnel, made: WantedTunnel | undefined = of): ObservedTunnel => ({
  device: of.tunnel.device,
  esp: of.tunnel.esp,
  charon: { pid: 7, startTime: '1' },
  made,
})

test('each tunnel has its own ports, mark and stray table, and no secret in it', () => {
  expect(wanted.map(({ tunnel }) => [tunnel.device, tunnel.mark, tunnel.local.ports, tunnel.inside, (tunnel as UserspaceTunnel).table])).toEqual([
    ['cwi0u0m0p0', 0x10000, { ike: 52000, nat: 52001 }, '169.254.10.2/30', 152_000],
    ['cwi0u1m0p0', 0x20000, { ike: 52002, nat: 52003 }, '169.254.10.6/30', 152_002],
  ])
  expect(wanted[0]!.psk).toEqual({ id: 'psk/a', version: 1, fingerprint: '0000000000000001' })
})

test.each<readonly [string, ObservedTunnel | undefined, boolean, string]>([
  ['is missing', undefined, false, 'start'],
  ['runs as wanted', running(wanted[0]!), true, ''],
  ['runs, and its device was deleted', running(wanted[0]!), false, 'again'],
  ['was never finished', { ...running(wanted[0]!), made: undefined }, true, 'again'],
  ['has another far end', running(wanted[0]!, { ...wanted[0]!, tunnel: { ...wanted[0]!.tunnel, mtu: 1300 } }), true, 'again'],
  ['has another version of its key', running(wanted[0]!, { ...wanted[0]!, psk: { ...wanted[0]!.psk, version: 2 } }), true, 'secret'],
])('a tunnel that %s', (_what, have, present, work) => {
  expect(workFor(wanted[0]!, have, present)).toBe(work)
})

test('charons start one after another, for the TUN of each takes the first free name, and the next one though one fails', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'causeway-charons-'))
  const seen: string[] = []
  /** Charons that end before they open their sockets. */
  const runner: Runner = {
    ...createRunner(),
    read: async () => ({ code: 0, stdout: '[]', stderr: '' }),
    daemon: async (_command, { env }) => {
      seen.push(`${env['STRONGSWAN_CONF']!.split('/').at(-2)} starts`)
      return 1_000_000 + seen.length
    },
    startTime: async () => {
      await new Promise((resolve) => setImmediate(resolve))
      return undefined
    },
    list: async () => [],
    end: async () => void seen.push('ends'),
  }
  const none = new Map<string, never>()
  const secrets = new Map(wanted.map(({ tunnel }) => [tunnel.device, Buffer.from('secret')]))
  const means: Means = { runner, stateDir, wireguard: 'none', privateKeys: none, secrets, daemons: none, settled() {}, keep: async () => '' }
  try {
    const starts = wanted.map((want) => ({ kind: 'ipsec', work: 'start', want, have: undefined }) as const)
    await expect(apply(means, starts, { tolerant: false })).rejects.toMatchObject({ finding: { code: 'D042', at: ['cwi0u0m0p0'] } })
    expect(seen).toEqual(['cwi0u0m0p0 starts', 'ends', 'cwi0u1m0p0 starts', 'ends'])
  } finally {
    await rm(stateDir, { recursive: true })
  }
})

test('with kernel ESP all share the well-known ports, and an interface id tells them apart', () => {
  expect(wantedTunnels(hubConfig(), 'kernel').map(({ tunnel }) => [tunnel.device, tunnel.local.ports, 'ifId' in tunnel && tunnel.ifId])).toEqual([
    ['cwi0u0m0p0', { ike: 500, nat: 4500 }, 52_000],
    ['cwi0u1m0p0', { ike: 500, nat: 4500 }, 52_002],
  ])
})

test('a box whose kernel has learned ESP ends the charon of each tunnel before it makes the interface of that name', () => {
  const want = desired(hubConfig(), {
    interfaces: [],
    defaults: [],
    tentative: [],
    esp: 'kernel',
    publicKeys: new Map(),
    choices: new Map(),
    leaving: null,
    keptPorts: [],
  })
  const have = {
    ...want,
    charon: undefined,
    frr: noFrr,
    tunnels: [running(wanted[0]!)],
    xfrm: [],
    tuns: ['cwi0u0m0p0'],
    off: [],
    interfaces: [],
    defaults: [],
  }
  const changes = difference(want, have as unknown as Observed, {}, nothing).make.map((change) => `${change.kind} ${say(change)}`)
  expect(changes.filter((line) => /^(ipsec|create|charon)/.test(line))).toEqual([
    "ipsec-stop charon's tunnel cwi0u0m0p0 is left over",
    'create interface cwi0u0m0p0 is missing',
    'create interface cwi0u1m0p0 is missing',
    'charon no charon runs for the IPsec tunnels',
    'ipsec cwi0u0m0p0: no charon has it',
    'ipsec cwi0u1m0p0: no charon has it',
  ])
})

test('only the tunnel that changed is touched, and one that is left over ends last', () => {
  const want = desired(hubConfig({ a: 2, b: 1 }), {
    interfaces: [],
    defaults: [],
    tentative: [],
    esp: 'userspace',
    publicKeys: new Map(),
    choices: new Map(),
    leaving: null,
    keptPorts: [],
  })
  const left = { ...running(wanted[0]!), device: 'cwi9u0m0p0' }
  const have = {
    ...want,
    tunnels: [running(wanted[0]!), running(wanted[1]!), left],
    charon: undefined,
    frr: noFrr,
    xfrm: [],
    tuns: ['cwi0u0m0p0', 'cwi0u1m0p0', 'cwi9u0m0p0'],
    off: [],
    interfaces: [],
    defaults: [],
    tentative: [],
  } as unknown as Observed
  const { make, prune } = difference(want, have, {}, nothing)
  expect(make.filter((change) => change.kind === 'ipsec').map((change) => [change.want.tunnel.device, change.work])).toEqual([
    ['cwi0u0m0p0', 'secret'],
  ])
  expect(prune).toEqual([{ kind: 'ipsec-stop', have: left }])
})

test('a tunnel that is started brings its address along, an address that was lost is put back', () => {
  const want = desired(hubConfig(), {
    interfaces: [],
    defaults: [],
    tentative: [],
    esp: 'userspace',
    publicKeys: new Map(),
    choices: new Map(),
    leaving: null,
    keptPorts: [],
  })
  const have = {
    frr: noFrr,
    links: [],
    tunnels: [running(wanted[0]!)],
    charon: undefined,
    xfrm: [],
    tuns: ['cwi0u0m0p0'],
    daemons: [],
    addresses: [],
    nexthops: [],
    routes: [],
    rules: [],
    nft: '',
    off: [],
    interfaces: [],
    defaults: [],
    tentative: [],
    announces: false,
  }
  const lines = difference(want, have as Observed, {}, nothing).make.flatMap((change) =>
    change.kind === 'ip' && change.object === 'addr' ? [change.line] : [],
  )
  expect(lines.filter((line) => line.includes('cwi'))).toEqual(['addr add 169.254.10.2/30 dev cwi0u0m0p0'])
})

test('the policy lets in IKE from the cloud only, and of the tunnel only what the region has', () => {
  const text = ruleset(hubConfig(), [], 'userspace')
  expect(text).toContain('iifname { "wan0", "wan1" } ip saddr 203.0.113.1 udp dport { 52000, 52001 } accept')
  expect(text).toContain('iifname "cwi0u0m0p0" goto cloud0')
  expect(text.slice(text.indexOf('chain cloud0 {'), text.indexOf('chain cloud1 {'))).toContain('ip saddr != 172.31.0.0/16 counter drop')
  for (const word of ['ip', 'ip6']) expect(text).toContain(`iifname { "cwi0u0m0p0", "cwi0u1m0p0" } meta mark set 0x0 ${word} dscp set 0 accept`)
})

test('IPv6 passes the tunnel of who has some behind it, and no other', () => {
  const config = hubConfig()
  const [first, ...others] = config.tunnels.filter(isIpsec)
  const both: SiteConfig = {
    ...config,
    tunnels: [{ ...first!, peer: { ...first!.peer, prefixes: ['172.31.0.0/16', 'fd20::/64'].map(prefix) } }, ...others],
  }
  const text = ruleset(both, [], 'kernel')
  const chain = (n: number) => text.slice(text.indexOf(`chain cloud${n} {`)).split('\n\t}')[0]
  expect(chain(0)).toContain('ip6 saddr != fd20::/64 counter drop')
  expect(chain(1)).toContain('meta nfproto ipv6 counter drop')
  const selectors = wantedTunnels(both, 'kernel').map(({ tunnel }) => JSON.stringify(connection(tunnel)).match(/"local_ts":(\[.*?\])/)?.[1])
  expect(selectors).toEqual(['["0.0.0.0/0","::/0"]', '["0.0.0.0/0"]'])
})

test('a far end with IPv6 is dialled from the uplink’s, and let in although its address is behind it', () => {
  const config = hubConfig()
  const [first, ...others] = config.tunnels.filter(isIpsec)
  const peer = { ...first!.peer, address: address('2001:db8:c::200'), localId: '2001:db8:a::10', prefixes: [prefix('2001:db8:c::/64')] }
  const [wan0, wan1] = config.uplinks
  const endpoint = {
    ...wan0!.endpoint,
    address: addressWithLength('2001:db8:a::10/64'),
    router: address('fe80::1'),
    public: address('2001:db8:a::10'),
  }
  const six: SiteConfig = {
    ...config,
    uplinks: [{ ...wan0!, endpoint }, wan1!],
    routes: [{ ...config.routes[0]!, to: peer.prefixes[0]! }],
    tunnels: [{ ...first!, peer }, ...others],
  }
  for (const esp of ['kernel', 'userspace'] as const) {
    const { tunnel } = wantedTunnels(six, esp)[0]!
    expect(connection(tunnel)[tunnel.device]).toMatchObject({
      local_addrs: ['2001:db8:a::10'],
      remote_addrs: ['2001:db8:c::200'],
      encap: 'yes',
      local: { id: '2001:db8:a::10' },
    })
    const { ike, nat } = tunnel.local.ports
    const letIn = `iifname { "wan0", "wan1" } ip6 saddr 2001:db8:c::200 udp dport { ${ike}, ${nat} } accept`
    const text = ruleset(six, [], esp)
    for (const chain of ['chain ingress {', 'chain input {']) expect(text.slice(text.indexOf(chain)).split('\n\t}')[0]).toContain(letIn)
    expect(text.indexOf(letIn)).toBeLessThan(text.indexOf('ip6 saddr @others6 counter drop'))
  }
})

test('with kernel ESP, on the well-known ports', () => {
  expect(ruleset(hubConfig(), [], 'kernel')).toContain('iifname { "wan0", "wan1" } ip saddr 203.0.113.1 udp dport { 500, 4500 } accept')
})

test('a charon is found by the folder in its environment, and no other process is taken for it', async () => {
  const state = await mkdtemp(join(tmpdir(), 'charons-'))
  const folder = join(state, 'ipsec', 'cwi0u0m0p0')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'tunnel.json'), JSON.stringify(wanted[0]))
  const files: Readonly<Record<string, string>> = {
    '/proc/7/comm': 'charon-systemd\n',
    '/proc/7/environ': `PATH=/bin\0STRONGSWAN_CONF=${folder}/strongswan.conf\0`,
    '/proc/8/comm': 'charon-systemd\n',
    '/proc/8/environ': 'STRONGSWAN_CONF=/etc/strongswan.conf\0',
    '/proc/9/comm': 'cat\n',
    '/proc/9/environ': `STRONGSWAN_CONF=${folder}/strongswan.conf\0`,
  }
  const runner: Runner = {
    ...createRunner(),
    list: async (path) => (path === '/proc' ? ['7', '8', '9', 'self'] : ['cwi0u0m0p0']),
    readFile: async (path) => files[path],
    startTime: async () => '42',
  }
  try {
    expect(await observeTunnels(runner, state)).toEqual({
      charon: undefined,
      tunnels: [{ device: 'cwi0u0m0p0', esp: 'userspace', charon: { pid: 7, startTime: '42' }, made: wanted[0] }],
    })
  } finally {
    await rm(state, { recursive: true })
  }
})

test('without strongSwan a configuration with IPsec is refused with the packages to install', async () => {
  const lacking: Runner = { ...createRunner(), read: async () => ({ code: 127, stdout: '', stderr: '' }), list: async () => [] }
  /** `refused`: what the kernel can't make. */
  const box = (plugins: readonly string[], refused: RegExp): Runner => ({
    ...lacking,
    read: async (command) => ({ code: refused.test(command.join(' ')) ? 2 : 0, stdout: '', stderr: '' }),
    list: async (folder) => (folder === '/usr/lib/ipsec/plugins' ? plugins.map((name) => `libstrongswan-${name}.so`) : []),
  })
  const common = ['kernel-netlink', 'vici', 'openssl', 'gcm']
  expect(
    await Promise.all(
      [
        lacking,
        box([], /nothing/),
        box(common, /nothing/),
        box(common, /^ip link add .* type xfrm/),
        box([...common, 'kernel-libipsec'], /^ip link add .* type xfrm/),
        box([...common, 'kernel-libipsec'], /^ip xfrm state add .* proto esp/),
      ].map(ipsecKind),
    ),
  ).toEqual(['none', 'none', 'kernel', 'none', 'userspace', 'userspace'])
  const features = { wireguard: 'userspace', nftables: true, nexthops: true, ipsec: 'none' } as const
  expect(missingIpsec(features, hubConfig())).toMatchObject([
    { code: 'D015', instead: expect.stringMatching(/^apt-get install charon-systemd /) as string },
  ])
  expect(missingIpsec({ ...features, ipsec: 'userspace' }, hubConfig())).toEqual([])
  expect(missingIpsec(features, { ...hubConfig(), tunnels: [] })).toEqual([])
})

test('a state folder that is too deep for a socket is said so', async () => {
  const folder = join('/tmp', 'x'.repeat(110))
  await expect(
    startTunnel(wanted[0]!.tunnel as UserspaceTunnel, Buffer.from('key'), { run: createRunner({ echo: () => {} }), folder }),
  ).rejects.toMatchObject({
    finding: { code: 'D045', says: `${folder}/vici is too long for a socket: 107 bytes at most` },
  })
  expect(userspaceSettings(wanted[0]!.tunnel as UserspaceTunnel, '/x') + JSON.stringify(connection(wanted[0]!.tunnel))).not.toContain('key of')
})

describe('IPv6 inside a peer’s tunnels', () => {
  const six = { inside: address('fd5c::2'), farInside: address('fd5c::1') }
  const second = { inside: address('fd5c::6'), farInside: address('fd5c::5') }
  const withInside = (of: readonly [Partial<ReadyIpsec>, Partial<ReadyIpsec>]): SiteConfig => {
    const config = hubConfig()
    return { ...config, tunnels: config.tunnels.filter(isIpsec).map((one, n) => ({ ...one, ...of[n] })) }
  }
  const state = (config: SiteConfig, esp: 'kernel' | 'userspace' = 'userspace') =>
    desired(config, {
      interfaces: [],
      defaults: [],
      tentative: [],
      publicKeys: new Map(),
      esp,
      choices: choicesBy([]),
      leaving: null,
      keptPorts: [],
    })
  const both = withInside([{ alsoInside: six }, { alsoInside: second }])

  test('alone or beside IPv4, is on the device with a /126, and lets the far inside in', () => {
    for (const esp of ['kernel', 'userspace'] as const) {
      const { addresses, nft, tunnels } = state(withInside([six, { alsoInside: second }]), esp)
      expect(addresses.filter(({ device }) => device.startsWith('cwi')).map(({ device, address: own }) => `${device} ${own}`)).toEqual([
        'cwi0u0m0p0 fd5c::2/126',
        'cwi0u1m0p0 169.254.10.6/30',
        'cwi0u1m0p0 fd5c::6/126',
      ])
      expect(nft).toContain('\t\tip6 saddr fd5c::1 accept\n')
      expect(nft).toContain('\t\tip saddr 169.254.10.5 accept\n\t\tip6 saddr fd5c::5 accept\n')
      expect(tunnels.map(({ tunnel }) => [tunnel.inside, tunnel.alsoInside, tunnel.families])).toEqual([
        ['fd5c::2/126', undefined, [4, 6]],
        ['169.254.10.6/30', 'fd5c::6/126', [4, 6]],
      ])
    }
  })
  test('a stated host of IPv6 has a route by each tunnel, for its probes alone', () => {
    const [to, four] = [address('fd20::10'), address('172.31.0.10')]
    const probed = (host: Address) => state({ ...both, tunnels: both.tunnels.filter(isIpsec).map((one) => ({ ...one, probed: host })) })
    const of = ({ routes, rules }: ReturnType<typeof state>) => [
      ...routes.filter(({ table }) => table === probedTable).map(routeArguments),
      ...rules.filter(({ action }) => action.kind === 'lookup' && action.table === probedTable).map(ruleArguments),
    ]
    expect(of(probed(to))).toEqual([
      'fd20::10/128 dev cwi0u0m0p0 metric 52000 table 7730 proto 67',
      'fd20::10/128 dev cwi0u1m0p0 metric 52002 table 7730 proto 67',
      'priority 16 from fd5c::2 lookup 7730 protocol 67',
      'priority 16 from fd5c::6 lookup 7730 protocol 67',
    ])
    for (const none of [state(both), probed(four)]) expect(of(none)).toEqual([])
  })
})
