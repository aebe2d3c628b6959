/** What the hosts of a LAN are served with, and what happens when that can't be. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Dhcp, Lan, SiteConfig, SiteId } from '#src/fabric/fabric.ts'
import { address, addressWithLength, prefix } from '#src/net/address.ts'
import { missingLanServices } from '#providers/linux/check.ts'
import { observeDaemons, startDaemon, type WantedDaemon } from '#providers/linux/daemons.ts'
import { wantedDnsmasq } from '#providers/linux/dnsmasq.ts'
import { wantedRadvd } from '#providers/linux/radvd.ts'
import { ruleset } from '#providers/linux/nft.ts'
import { createRunner, type Runner } from '#providers/linux/run.ts'
import { configOf } from './network.ts'

const berlin = configOf('berlin')
const [office, cameras] = berlin.lans as readonly [Lan, Lan]
const server: Dhcp = {
  kind: 'server',
  range: { first: address('10.1.10.100'), last: address('10.1.10.199') },
  lease: 43_200,
  dns: [address('10.3.10.53'), address('10.2.10.53')],
  domain: 'berlin.example.com',
  reserved: [{ name: 'printer', mac: '02:00:5e:00:53:01', address: address('10.1.10.20') }],
}
const relay: Dhcp = { kind: 'relay', server: address('10.3.10.5') }
const six: Lan = {
  segment: cameras.segment,
  interface: 'lan1',
  prefix: prefix('2001:db8:20::/64'),
  address: addressWithLength('2001:db8:20::1/64'),
  ra: { dns: [address('2001:db8::53')], domain: 'cams.example.com' },
}
const withLans = (...lans: readonly Lan[]): SiteConfig => ({ ...berlin, lans })

test('one dnsmasq serves all LANs: leases and relays, and answers no names', () => {
  const want = wantedDnsmasq(withLans({ ...office, dhcp: server }, { ...cameras, dhcp: relay }, six))!
  expect(want.settings.split('\n').slice(1)).toEqual([
    'port=0',
    'no-resolv',
    'no-hosts',
    'log-facility=-',
    'quiet-dhcp',
    'interface=lan0',
    'interface=lan1',
    'except-interface=lo',
    'dhcp-authoritative',
    'dhcp-lease-max=101',
    'dhcp-range=set:lan0,10.1.10.100,10.1.10.199,255.255.255.0,43200',
    'dhcp-option=tag:lan0,option:router,10.1.10.1',
    'dhcp-option=tag:lan0,option:dns-server,10.3.10.53,10.2.10.53',
    'dhcp-option=tag:lan0,option:domain-name,berlin.example.com',
    'dhcp-host=02:00:5e:00:53:01,10.1.10.20,printer',
    'dhcp-relay=10.1.20.1,10.3.10.5',
    '',
  ])
  const at = { settings: '/s/dnsmasq/dnsmasq.conf', folder: '/s/dnsmasq' }
  expect(want.command({ ...at, users: true }).join(' ')).toBe(
    'dnsmasq --keep-in-foreground --conf-file=/s/dnsmasq/dnsmasq.conf --dhcp-leasefile=/s/dnsmasq/leases --pid-file=',
  )
  // A user namespace has no other user to become.
  expect(want.command({ ...at, users: false }).slice(-2)).toEqual(['--user=', '--group='])
})

test('one radvd advertises all LANs, and of a pair of gateways only the one that has the address that both share', () => {
  expect(wantedRadvd(berlin)).toBeUndefined()
  const more: Lan = { ...six, prefix: prefix('2001:db8:21::/64'), address: addressWithLength('2001:db8:21::1/64') }
  const want = wantedRadvd(withLans(office, six, more))!
  expect(want.settings).toBe(`# Made by Causeway; changes here are undone.
interface lan1 {
  AdvSendAdvert on;
  IgnoreIfMissing on;
  MaxRtrAdvInterval 600;
  AdvDefaultLifetime 1800;
  prefix 2001:db8:20::/64 {
    AdvValidLifetime 7200;
    AdvPreferredLifetime 7200;
  };
  prefix 2001:db8:21::/64 {
    AdvValidLifetime 7200;
    AdvPreferredLifetime 7200;
  };
  RDNSS 2001:db8::53 { };
  DNSSL cams.example.com { };
};
`)
  expect(want.command({ settings: '/s/radvd/radvd.conf', folder: '/s/radvd', users: true }).join(' ')).toBe(
    'radvd --nodaemon --logmethod=stderr --config=/s/radvd/radvd.conf --pidfile=/s/radvd/pid',
  )
  const shared = wantedRadvd(withLans({ ...six, own: addressWithLength('2001:db8:20::2/64') }))!
  expect(shared.settings).toContain('  AdvRASrcAddress { fe80::200:5eff:fe00:243; };\n')
})

test('of a pair of gateways both serve, the second after a while, and each relays as itself', () => {
  const shared = (last: number) => [office, cameras].map((lan, n): Lan => ({ ...lan, own: addressWithLength(`10.1.${n + 1}0.${last}/24`) }))
  const at = (site: string, last: number): string => {
    const [first, second] = shared(last) as [Lan, Lan]
    return wantedDnsmasq({ ...withLans({ ...first, dhcp: server }, { ...second, dhcp: relay }), site: site as SiteId })!.settings
  }
  expect(at('berlin', 2)).not.toContain('dhcp-reply-delay')
  expect(at('berlin.b', 3)).toContain('dhcp-authoritative\ndhcp-lease-max=101\ndhcp-reply-delay=4\n')
  expect(at('berlin', 2)).toContain('dhcp-relay=10.1.20.2,10.3.10.5')
  expect(at('berlin.b', 3)).toContain('dhcp-relay=10.1.20.3,10.3.10.5')
  // The router of hosts is the address that both share.
  expect(at('berlin.b', 3)).toContain('option:router,10.1.10.1')
})
test('a box whose LANs ask for nothing runs none', () => {
  expect(wantedDnsmasq(berlin)).toBeUndefined()
})

test('the policy lets DHCP in from the LANs that are served, and from no other', () => {
  const input = (config: SiteConfig) =>
    ruleset(config, [], 'userspace')
      .split('\n')
      .flatMap((line) => (/udp dport (67|547)/.test(line) && line.includes('iifname') ? [line.trim()] : []))
  expect(input(berlin)).toEqual([])
  expect(input(withLans({ ...office, dhcp: server }, six))).toEqual(['iifname "lan0" udp dport 67 accept'])
  expect(input(withLans({ ...office, dhcp: server }, { ...cameras, dhcp: relay }))).toEqual(['iifname { "lan0", "lan1" } udp dport 67 accept'])
})
test('a host that is trusted chooses a class by its DSCP, where the rule gives the default class', () => {
  const chain = (config: SiteConfig, name: string) =>
    new RegExp(`chain ${name} \\{\\n([^}]*)\\}`)
      .exec(ruleset(config, [], 'userspace'))?.[1]
      ?.split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
  const trusting = withLans({ ...office, trust: 'dscp' }, cameras)
  expect(chain(trusting, 'class0')![0]).toBe('iifname "lan0" jump marked')
  expect(chain(trusting, 'marked')).toEqual(['ip dscp 46 goto class1', 'ip6 dscp 46 goto class1'])
  expect(chain(trusting, 'class1')).toEqual(chain(berlin, 'class1'))
  expect(chain(berlin, 'class0')![0]).toBe('meta mark set 0x0')
  expect(chain(berlin, 'marked')).toBeUndefined()
})

test('a box without dnsmasq or radvd refuses the configuration before anything is touched, and says what to install', async () => {
  const without = { read: async () => ({ code: 127, stdout: '', stderr: '' }) } as unknown as Runner
  const says = async (config: SiteConfig) => (await missingLanServices(without, config)).map((one) => `${one.code} ${one.says}; ${one.instead}`)
  expect(await says(withLans({ ...office, dhcp: server }))).toEqual([
    'D017 this box has no dnsmasq, and lan0 is to be served by DHCP; apt-get install dnsmasq-base',
  ])
  expect(await says(withLans(six))).toEqual(['D017 this box has no radvd, and lan1 is to be served by router advertisements; apt-get install radvd'])
  expect(await says(berlin)).toEqual([])
  expect(await missingLanServices({ read: async () => ({ code: 0, stdout: '', stderr: '' }) } as unknown as Runner, withLans(six))).toEqual([])
})

test('a daemon that ends at once tells its last words; one that runs is found by the kernel, and replaced', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'cw-daemon-'))
  try {
    const runner = createRunner({ echo: () => {} })
    // Any program that has the name: the daemon itself is tried in the system tests.
    const named = (script: string): WantedDaemon => ({
      name: 'dnsmasq',
      settings: script,
      command: ({ settings }) => ['bash', '-c', `printf dnsmasq > /proc/$$/comm; ${script}; : "$0"`, `--conf-file=${settings}`],
    })
    expect(await startDaemon(runner, stateDir, named('echo first; echo "address already in use" >&2; exit 2'), undefined)).toBe(
      'first; address already in use',
    )
    expect(await observeDaemons(runner, stateDir)).toEqual([])
    expect(await startDaemon(runner, stateDir, named('exit 2'), undefined)).toBe('it ended without a word')
    expect(await startDaemon(runner, stateDir, named('read < <(:); sleep 20'), undefined)).toBe('')
    const [one] = await observeDaemons(runner, stateDir)
    expect(one).toMatchObject({ name: 'dnsmasq', settings: 'read < <(:); sleep 20' })
    expect(await startDaemon(runner, stateDir, named('exit 3'), one)).toBe('it ended without a word')
    expect(await runner.startTime(one!.process.pid)).toBeUndefined()

    // One with a helper of the same name, as radvd has it, is one daemon.
    expect(await startDaemon(runner, stateDir, named('(read -t 20 < <(sleep 20); :) & wait; :'), undefined)).toBe('')
    const family = await observeDaemons(runner, stateDir)
    expect(family).toHaveLength(1)
    const { pid } = family[0]!.process
    expect(process.kill(-pid, 'SIGKILL')).toBe(true)
  } finally {
    await rm(stateDir, { recursive: true, force: true })
  }
})
