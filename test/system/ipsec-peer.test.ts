/**
 * A hub's tunnels to a third party: declared, compiled and configured as ever, and at the other end plain strongSwan with
 * the very text that `causeway peer config` prints. Its owner does by hand what that text says in its comments: inside
 * addresses, routes, and a script that tracks which tunnel is up.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { compile } from '#src/compile/compile.ts'
import { configure } from '#src/compile/configure.ts'
import type { Fabric, Fact, SiteConfig, SiteId } from '#src/fabric/fabric.ts'
import { espProposals, ikeProposals } from '#src/fabric/ipsec.ts'
import { parseIntent } from '#src/intent/parse.ts'
import type { Address } from '#src/net/address.ts'
import { verify } from '#src/verify/verify.ts'
import { peerConfig } from '#providers/export/peer.ts'
import { charonText, folderOf, portRules, readPeerText, trackText } from '#src/lab/peer.ts'
import { type HubWorld, startHubWorld } from './ipsec-hub-world.ts'
import { pingCommand, sayPings } from './ping.ts'

const secret = 'what-partner-and-we-agreed-on-2026'
const [a, b] = ['frankfurt.isp-a--partner.0', 'frankfurt.isp-b--partner.0']
const files = (ipsec: string) => [
  {
    path: 'network.yaml',
    text: `network: acme
hubs: frankfurt
segments: inference
# A path that has come back is as good as before: here nobody waits for its loss to be forgotten.
classes:
  realtime: { sla: { latency: none, jitter: none, loss: none } }
  business: { sla: { latency: none, jitter: none, loss: none } }
allow: [frankfurt/inference -> partner/inference, partner/inference -> frankfurt/inference]
expect:
  - { reach: frankfurt/inference -> partner/inference, survives: [uplink, tunnel, connection] }
  - { reach: partner/inference -> frankfurt/inference, survives: [uplink, tunnel, connection] }
`,
  },
  {
    path: 'frankfurt.yaml',
    text: `site: frankfurt
role: core
uplinks:
  isp-a: { interface: wan0, medium: fiber, address: 192.0.2.10/24, router: 192.0.2.1 }
  isp-b: { interface: wan1, medium: radio, address: 198.51.100.10/24, router: 198.51.100.1 }
segments: { inference: { interface: lan0, prefixes: [10.9.0.0/24, "fd09::/64"] } }
`,
  },
  {
    path: 'partner.yaml',
    text: `peer: partner
address: 203.0.113.200
segments: { inference: { prefixes: [172.20.0.0/16, "fd20::/64"] } }
probe: 172.20.0.10
inside: 169.254.100.0/28
ipsec: ${ipsec}
`,
  },
]
function networkWith(ipsec = '{ id: gw.partner.example }'): Fabric {
  const { intent, findings } = parseIntent(files(ipsec))
  if (!intent) throw new Error(JSON.stringify(findings))
  return compile(intent, []).fabric!
}
/** `version`: of the pre-shared key; a new one is a new link epoch. */
function configOf(fabric: Fabric, version = 1): SiteConfig {
  const facts = fabric.tunnels.map(({ id }): Fact => {
    const ref = { id: 'psk/peer/partner', version, fingerprint: String(version).padStart(16, '0') }
    return { kind: 'psk', tunnel: id, linkEpoch: version - 1, ref }
  })
  return configure(fabric, facts, 'frankfurt' as SiteId)
}

let world: HubWorld
const fabric = networkWith()
const paths = () => world.ask<readonly string[]>('paths')
/** How it stands at both ends, for whoever reads a failure. */
async function scene(): Promise<string> {
  const told = { paths: await paths(), findings: await world.ask('findings'), events: await world.ask('events') }
  const partner = await world.sh('partner', 'ip addr; ip route; nft list ruleset; tail -n 30 /run/tunnel*/log')
  return `${JSON.stringify(told, null, 1)}\n${partner}\n${await world.sh('hub', 'ip addr; ip rule; tail -n 20 /run/h/device/ipsec/*/log')}`
}
async function until(question: () => Promise<boolean>, seconds = 30): Promise<void> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
    if (await question()) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(await scene())
}
const shows = (...wanted: readonly string[]) => until(async () => JSON.stringify(await paths()) === JSON.stringify(wanted))
const received = async (namespace: string, from: string, to: string) =>
  sayPings(await world.sh(namespace, pingCommand(to, { count: 5, seconds: 0.05, more: `-I ${from}` })), 5)
const bothWays = async () => [await received('hub', '10.9.0.1', '172.20.0.10'), await received('partner', '172.20.0.10', '10.9.0.1')]
const run = (of: Fabric = fabric, version = 1, key = secret) => world.ask('run', configOf(of, version), false, key)

/** By which of its tunnels the owner's gateway sends to us, as its script has it now. */
const sendsBy = async () =>
  [...(await world.sh('partner', 'ip route show 10.9.0.0/24')).matchAll(/metric 10(\d)/g)].map(([, metric]) => metric).join(' ')

/** A process a tunnel, for without ESP in the kernel all tunnels of one would share a device; each reads the whole text. */
async function ownersStart(): Promise<void> {
  const hubs = ['192.0.2.10', '198.51.100.10'] as Address[]
  await world.sh('partner', 'ip addr add fd20::10/128 dev lo nodad')
  for (const i of hubs.keys()) {
    const folder = folderOf(i)
    await world.sh(
      'partner',
      `mkdir -p ${folder} && cat > ${folder}/strongswan.conf <<'E'
${charonText(i)}E
STRONGSWAN_CONF=${folder}/strongswan.conf charon-systemd >${folder}/log 2>&1 </dev/null &
for n in $(seq 100); do [ -S ${folder}/vici ] && ip link show ipsec${i} >/dev/null 2>&1 && break; sleep 0.05; done
ip link set ipsec${i} mtu 1400 up`,
    )
  }
  await world.sh('partner', `nft -f - <<'E'\n${portRules(hubs.map((hub) => ({ hub, gateway: '203.0.113.200' as Address })))}E`)
}
async function ownersLoad(of: Fabric): Promise<string> {
  const text = peerConfig(of, of.peers[0]!, secret)
  const loads = [0, 1].map(
    (i) => `cat > ${folderOf(i)}/swanctl.conf <<'E'\n${text}E\nSWANCTL_DIR=${folderOf(i)} swanctl --load-all --uri unix://${folderOf(i)}/vici`,
  )
  return await world.sh('partner', loads.join('\n'))
}
/** What the comments of the text say, typed in. */
async function ownersRoutes(text: string): Promise<void> {
  const { tunnels, routes } = readPeerText(text)
  expect(tunnels).toEqual([
    { gateway: '203.0.113.200', hub: '192.0.2.10', inside: '169.254.100.1/30', hubInside: '169.254.100.2' },
    { gateway: '203.0.113.200', hub: '198.51.100.10', inside: '169.254.100.5/30', hubInside: '169.254.100.6' },
  ])
  expect(routes).toEqual(['10.9.0.0/24', 'fd09::/64'])
  for (const [i, { inside }] of tunnels.entries()) await world.sh('partner', `ip address add ${inside} dev ipsec${i}`)
  await world.sh('partner', `(${trackText(tunnels, routes)}) >/dev/null 2>&1 </dev/null &`)
}

beforeAll(async () => {
  world = await startHubWorld('partner')
  await ownersStart()
  expect(await ownersLoad(fabric)).toMatch(/successfully loaded 2 connections/)
  await ownersRoutes(peerConfig(fabric, fabric.peers[0]!, secret))
}, 60_000)
afterAll(() => world.end())

test('what is declared is proven: any tunnel may break, in both directions', () => {
  expect(verify(fabric).findings.filter(({ severity }) => severity === 'error')).toEqual([])
})

test('tunnels come up to what `causeway peer config` prints, probed by the host that the peer states; traffic passes both ways', async () => {
  await run()
  await shows(`${a} UP carries`, `${b} UP`)
  await until(async () => (await sendsBy()) === '1 2')
  expect(await bothWays()).toEqual(['5/5', '5/5'])
  expect(await world.ask('drift', configOf(fabric))).toEqual([])
  const pings = await world.sh('hub', 'for p in /proc/[0-9]*; do tr "\\0" " " < $p/cmdline; echo; done 2>/dev/null | grep "^ping"')
  expect(pings).toMatch(/-I cwi\S+ -I 169\.254\.100\.2 172\.20\.0\.10/)
  expect(pings).toMatch(/-I cwi\S+ -I 169\.254\.100\.6 172\.20\.0\.10/)
})

test('IPv6 passes the same tunnels, out of which no other source comes', async () => {
  const six = async () => [await received('hub', 'fd09::1', 'fd20::10'), await received('partner', 'fd20::10', 'fd09::1')]
  expect(await six()).toEqual(['5/5', '5/5'])
  await world.sh('partner', 'ip addr add fd21::10/128 dev lo nodad')
  expect(await received('partner', 'fd21::10', 'fd09::1')).toBe('0/5')
  await world.sh('partner', 'ip addr del fd21::10/128 dev lo')
})

test('a cut uplink: the other tunnel takes over, out at once and back when the owner’s gateway has noticed', async () => {
  await world.sh('internet', 'ip link set isp-a down')
  await shows(`${a} DOWN`, `${b} UP carries`)
  await until(async () => (await sendsBy()) === '2')
  expect(await bothWays()).toEqual(['5/5', '5/5'])
  await world.sh('internet', 'ip link set isp-a up')
  await shows(`${a} UP carries`, `${b} UP`)
  await until(async () => (await sendsBy()) === '1 2')
  expect(await bothWays()).toEqual(['5/5', '5/5'])
})

test('a peer whose host does not answer is DOWN, though its tunnel is up', async () => {
  await world.sh('partner', 'ip addr del 172.20.0.10/32 dev lo')
  await shows(`${a} DOWN`, `${b} DOWN`)
  expect(await received('hub', '169.254.100.2', '169.254.100.1')).toBe('5/5')
  await world.sh('partner', 'ip addr add 172.20.0.10/32 dev lo')
  await shows(`${a} UP carries`, `${b} UP`)
})

test('a wrong pre-shared key is named, and the right one brings both back; it is nowhere in clear', async () => {
  await run(fabric, 2, 'not-what-we-agreed-on-in-any-year')
  await shows(`${a} DOWN`, `${b} DOWN`)
  await until(async () => (await world.ask<readonly unknown[]>('findings')).length > 0)
  expect(await world.ask('findings')).toMatchObject([
    { code: 'D044', says: expect.stringMatching(`^the IPsec tunnel ${a} to 203.0.113.200 does not come up: .*AUTH`) as string },
    { code: 'D044' },
  ])
  await run(fabric, 3)
  await shows(`${a} UP carries`, `${b} UP`)
  // Brackets: the search itself is a process, too.
  const where = `grep -rl 'we-[a]greed-on' /run/h; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | grep -ac 'we-[a]greed-on'`
  expect(await world.sh('hub', where)).toBe('0\n')
})

test.each(ikeProposals.map((ike, i) => [ike, espProposals[i]!] as const))('%s with %s comes up at both ends, and carries', async (ike, esp) => {
  const other = networkWith(`{ id: gw.partner.example, ike: ${ike}, esp: ${esp}, lifetime: { ike: 2h, esp: 20m } }`)
  // From nothing, so that what comes up is this one.
  await world.ask('wipe')
  await until(async () => (await sendsBy()) === '')
  expect(await ownersLoad(other)).toMatch(/successfully loaded 2 connections/)
  await run(other, 3)
  await shows(`${a} UP carries`, `${b} UP`)
  await until(async () => (await sendsBy()) === '1 2')
  const carried = await received('hub', '10.9.0.1', '172.20.0.10')
  if (carried !== '5/5') throw new Error(`${carried}\n${await scene()}`)
  expect(await world.sh('partner', 'swanctl --list-sas --uri unix:///run/tunnel0/vici')).toContain(esp.includes('gcm') ? 'AES_GCM_16' : 'AES_CBC-256')
})

test('proposals that the two have not in common are named', async () => {
  const weak = networkWith('{ id: gw.partner.example, ike: aes128gcm16-prfsha256-ecp256 }')
  await world.ask('wipe')
  await run(weak, 3)
  await shows(`${a} DOWN`, `${b} DOWN`)
  await until(async () => (await world.ask<readonly unknown[]>('findings')).length > 0)
  expect(await world.ask('findings')).toMatchObject([{ code: 'D044', says: expect.stringMatching(/NO_PROP/) as string }, { code: 'D044' }])
})
