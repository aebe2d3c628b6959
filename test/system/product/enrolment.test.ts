/** What can go wrong between a token and a green light, with real boxes: what the installer reads, and what the engineer. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { embeddedUrl } from '#src/controller/postgres.ts'
import { decodeToken, encodeToken } from '#src/wire/token.ts'
import { agentCommand, node, openWorld, type Ran, until, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld(['berlin', 'madrid'])
  const applied = await world.cli('apply', '--yes')
  expect(applied.code, applied.stderr).toBe(0)
})
afterAll(async () => world?.close())

const site = (name: string) => world.site(name)
/** `causeway-agent enrol` in a box to its end, with a state folder of its own. */
const enrol = async (box: string, name: string, token: string, wrap: readonly string[] = []): Promise<Ran> =>
  world.lab.exec(box, ['env', `CAUSEWAY_SERIAL=LAB-${name.toUpperCase()}`, ...wrap, ...agentCommand('enrol', '--state', world.stateOf(name))], {
    stdin: token,
  })
const inBox = async (box: string, ...commands: readonly string[]) => {
  for (const command of commands) {
    const ran = await world.lab.exec(box, ['sh', '-c', command])
    expect(ran.code, `${command}: ${ran.stderr}`).toBe(0)
  }
}

describe('a token that is no good', () => {
  it('A01: the paste was cut; it is not used up', async () => {
    const token = await world.token('madrid')
    const ran = await enrol('madrid', 'cut', token.slice(0, -22))
    expect(ran.code).toBe(1)
    expect(ran.stderr).toMatch(new RegExp(`^\\[A01\\] The token is incomplete \\(${token.length - 22} of ${token.length} characters\\)`, 'm'))
    expect(ran.stderr).toContain('not used up')
    expect(await site('madrid')).toMatchObject({ state: 'INVITED', claims: [] })
  })
  it('A02: it ended; the engineer makes another, and the old one is told from it', async () => {
    const token = await world.token('madrid')
    const db = new pg.Client({ connectionString: embeddedUrl(world.controller.data)! })
    await db.connect()
    await db.query(`update tokens set expires_at = now() - interval '1 hour' where site = 'madrid' and revoked_at is null`)
    await db.end()
    const ran = await enrol('madrid', 'late', token)
    expect(ran.code).toBe(1)
    expect(ran.stderr).toMatch(
      /^\[A02\] This token ended \d{4}-.* UTC \(it is .* UTC\)\. Ask for a new one: causeway site token madrid\. Nothing else has to be redone/m,
    )
    await world.token('madrid')
    expect((await enrol('madrid', 'late', token)).stderr).toMatch(/\[C057\].*newer token for madrid/)
  })
  it('is of another controller, or of nobody', async () => {
    const token = decodeToken(await world.token('madrid'))
    if (!token.ok) throw new Error(token.says)
    const unknown = await enrol('madrid', 'unknown', encodeToken({ ...token, secret: Buffer.alloc(16, 7) }))
    expect(unknown.stderr).toMatch(/^\[C056\] This token is not one of this network/m)
    expect(await site('madrid')).toMatchObject({ state: 'INVITED', claims: [] })
  })
  it('stands on the command line', async () => {
    const token = await world.token('madrid')
    const ran = await world.lab.exec('madrid', agentCommand('enrol', token, '--state', world.stateOf('typed')))
    expect(ran.code).toBe(2)
    expect(ran.stderr).toContain('[A11]')
    expect(ran.stderr).not.toContain(token)
  })
})

describe('a box that is no good', () => {
  it('A10: a container without the right to make interfaces', async () => {
    const ran = await enrol('madrid', 'caged', await world.token('madrid'), ['setpriv', '--bounding-set', '-net_admin', '--inh-caps', '-net_admin'])
    expect(ran.code, ran.stderr).toBe(10)
    expect(ran.stderr).toMatch(/^\[A10\] Can't create network interfaces.*--cap-add NET_ADMIN --device \/dev\/net\/tun/m)
    expect(await site('madrid')).toMatchObject({ state: 'INVITED', claims: [] })
  })
  it('A04: a clock of long ago that nobody may set', async () => {
    // In the lab's user namespace the system's clock can't be set, so that the test can't move it.
    const clock = join(world.folder, 'clock.mjs')
    writeFileSync(clock, 'const off = Date.now() - Date.UTC(2020, 0, 1)\nconst now = Date.now\nDate.now = () => now() - off\n')
    await world.agent('madrid', { name: 'asleep', token: await world.token('madrid'), env: { NODE_OPTIONS: `--import=${clock}` } })
    await until('it says so', 20, () => /\[A04\] This box thinks it is Wed, 01 Jan 2020 .*sudo date -u -s "20\d\d-/.test(world.logOf('asleep')))
    await world.lab.stop('agent-asleep')
    expect(await site('madrid')).toMatchObject({ state: 'INVITED', claims: [] })
  })
})

describe('a token that two boxes used', () => {
  it('A03: quarantines a core that was not approved yet, and shows both boxes', async () => {
    const token = await world.token('frankfurt')
    await world.agent('frankfurt', { name: 'first', token })
    await until('the first box waits', 20, async () => (await site('frankfurt')).state === 'CLAIMED')
    const second = await enrol('madrid', 'second', token)
    expect(second.code).toBe(1)
    expect(second.stderr).toMatch(/^\[A03\] This token was already used at 20.* UTC by a box with serial LAB-FIRST\. This one is LAB-SECOND/m)
    await until('the site is quarantined', 20, async () => (await site('frankfurt')).state === 'QUARANTINED')
    const { claims, finding } = await site('frankfurt')
    expect(claims.map(({ serial }) => serial).sort()).toEqual(['LAB-FIRST', 'LAB-SECOND'])
    expect(finding).toMatchObject({ code: 'C086' })
    const shown = await world.cli('site', 'status', 'frankfurt')
    expect(shown.code).toBe(9)
    expect(shown.stdout).toMatch(/QUARANTINED/)
    expect(shown.stdout).toMatch(/LAB-SECOND.*ago/)
    await world.lab.stop('agent-first')
  })
  it('starts over with a new token, and the old boxes stay out', async () => {
    await world.onboard('frankfurt')
    expect((await site('frankfurt')).claims.filter(({ state }) => state === 'enrolled')).toMatchObject([{ serial: 'LAB-FRANKFURT' }])
  })
})

describe('a box among the wrong cables', () => {
  let token: string
  const log = () => world.logOf('madrid')
  it('A05: finds no way out, and goes on trying', async () => {
    const links = (await world.lab.status()).links.filter((link) => link.id.startsWith('madrid.'))
    const addresses = links.map((link) => link.address.split('/')[0]!)
    const { key, cert } = await authority('FortiGate CA')
    const server = `require('node:tls').createServer(${JSON.stringify({ key, cert })}, (socket) => socket.on('error', () => {})).on('tlsClientError', () => {}).listen(8443)`
    await world.lab.start('internet', 'intercept', [node, '-e', server])
    await inBox(
      'internet',
      `nft 'table ip intercept { chain pre { type nat hook prerouting priority dstnat; ip saddr { ${addresses.join(', ')} } tcp dport 443 redirect to :8443; }; }'`,
    )
    await inBox(
      'madrid',
      'ip -4 route save default > /run/routes',
      'ip route flush default',
      'ip link set eth1 down',
      'ip link set eth1 name lan0',
      'ip link set lan0 up',
    )
    token = await world.token('madrid')
    await world.agent('madrid', { token })
    await until('it says so', 20, () => /\[A05\] 203\.0\.113\.250 can't be reached\. this box: no route to it/.test(log()))
    expect((await site('madrid')).state).toBe('INVITED')
  })
  it('A06: finds a firewall that replaces the certificate, and sends it nothing', async () => {
    await inBox('madrid', 'ip route restore < /run/routes')
    await until('it says so', 60, () =>
      /\[A06\] Something between this box and 203\.0\.113\.250:443 replaces its certificate \(issuer "FortiGate CA"\)/.test(log()),
    )
    expect((await site('madrid')).state).toBe('INVITED')
    expect(log()).not.toContain('enrolled')
    await inBox('internet', 'nft delete table ip intercept')
    await world.lab.stop('intercept')
  })
  it('A07: has other interfaces than the plan; the engineer sees which', async () => {
    await until('the engineer sees it', 60, async () => (await site('madrid')).reported.some((one) => one.code === 'A07'))
    const shown = await world.cli('site', 'status', 'madrid')
    expect(shown.stdout).toMatch(/A07 +The plan says eth0, wwan0 and eth1; this box has .*lan0 \(cable in/)
    expect((await world.lab.exec('madrid', ['wg', 'show', 'interfaces'])).stdout.trim()).toBe('')
    expect(await site('madrid')).toMatchObject({ running: null })
  })
  it("A08: has a provider's router that uses the LAN's addresses", async () => {
    await inBox('madrid', 'ip addr add 10.2.10.37/24 dev eth0', 'ip link set lan0 down', 'ip link set lan0 name eth1', 'ip link set eth1 up')
    await until('the engineer sees it', 40, async () => (await site('madrid')).reported.some((one) => one.code === 'A08'))
    expect((await world.cli('site', 'status', 'madrid')).stdout).toMatch(
      /A08 +The provider's router gives this box 10\.2\.10\.37 on eth0, and the inference network is 10\.2\.10\.0\/24 too/,
    )
  })
  it('is green once the cables are right, with no second paste', async () => {
    await inBox('madrid', 'ip addr del 10.2.10.37/24 dev eth0')
    await until('madrid is ACTIVE', 60, async () => (await site('madrid')).state === 'ACTIVE')
    await until('the installer may leave', 20, () => /GREEN\. You can leave\. Confirmation code/.test(log()))
    expect(await site('madrid')).toMatchObject({ finding: null, reported: [] })
  })
  it("A03: another box with madrid's token is turned away, and madrid is not disturbed", async () => {
    const second = await enrol('berlin', 'thief', token)
    expect(second.code).toBe(1)
    expect(second.stderr).toMatch(/^\[A03\] .*serial LAB-MADRID\. This one is LAB-THIEF/m)
    const { state, claims } = await site('madrid')
    expect(state).toBe('ACTIVE')
    expect(claims.map(({ serial, state: of }) => [serial, of])).toContainEqual(['LAB-THIEF', 'quarantined'])
  })
  it('A09: an uplink that drops UDP is named, and the other carries the traffic', async () => {
    await world.lab.line('madrid.fiber', { cut: 'udp' })
    await until('the engineer sees it', 60, async () => (await site('madrid')).reported.some((one) => one.code === 'A09'))
    const { reported } = await site('madrid')
    expect(reported[0]!.says).toMatch(/fiber gets no reply on udp\/51\d+.* from frankfurt \(443\/tcp works\)/)
    expect(world.status('madrid').light).toBe('YELLOW')
    const ping = await world.lab.exec('madrid-inference', ['ping', '-c', '2', '-W', '2', '10.10.0.10'])
    expect(ping.code, ping.stdout).toBe(0)
    await world.lab.heal('madrid.fiber')
  })
})

/** What an inspecting firewall would present. */
async function authority(name: string): Promise<{ readonly key: string; readonly cert: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 86_400_000),
    notAfter: new Date(Date.now() + 86_400_000),
  })
  return { key: x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY'), cert: certificate.toString('pem') }
}
