/** Changes that would strand a site, and a network without its controller: what goes back, what goes on, and what all of it leaves behind. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { embeddedUrl } from '#src/controller/postgres.ts'
import { canariesOf, found, read, watchCommandLines } from './canaries.ts'
import { pingCommand, readPings } from '../ping.ts'
import { filesUnder, openWorld, until, type World } from './world.ts'

const watch = watchCommandLines()
let world: World
beforeAll(async () => {
  world = await openWorld(['berlin'])
  const applied = await world.cli('apply', '--yes')
  expect(applied.code, applied.stderr).toBe(0)
  await world.onboard('frankfurt', 'berlin')
  await until('the network is green', 30, () => world.isGreen())
})
afterAll(async () => {
  watch.stop()
  await world?.close()
})

const site = (name: string) => world.site(name)
const generations = async () => (await world.read<{ number: number }[]>('generation', 'list')).length
const network = () => join(world.sites, 'frankfurt.yaml')
/**
 * The controller's own addresses as a LAN of frankfurt's: a gateway takes a packet from them that comes over an uplink
 * for a forgery, and so loses its controller. Nothing in the intent says where the controller is, so it can't be refused.
 */
const strand = () =>
  writeFileSync(network(), readFileSync(network(), 'utf8').replace('prefixes: 10.10.0.0/16', 'prefixes: [10.10.0.0/16, 203.0.113.0/24]'))
const mend = () =>
  writeFileSync(network(), readFileSync(network(), 'utf8').replace('prefixes: [10.10.0.0/16, 203.0.113.0/24]', 'prefixes: 10.10.0.0/16'))
/**
 * What frankfurt's kernel lets in and where it sends it. Which of the hops, and so the device of a route, peers decide from
 * second to second: a guard, which hears none of them, takes the first.
 */
const rules = async () =>
  (
    await world.lab.exec('frankfurt', [
      'sh',
      '-c',
      "nft -s list table inet causeway; ip -4 addr show dev eth2; ip nexthop show | cut -d ' ' -f 1,2; ip route show table all proto 67 | sed 's/ dev cw[^ ]*//'; ip rule show",
    ])
  ).stdout
/** Applies and comes back as soon as frankfurt tries the change. */
const tryIt = async () => {
  const applied = world.launch(['apply', '--yes'])
  await until(
    'frankfurt tries it',
    30,
    async () => world.status('frankfurt').state.commit.state === 'pending' && (await rules()).includes('203.0.113.0/24'),
  )
  return applied
}
const pings = (box: string, count: number) =>
  world.lab.exec(box, ['sh', '-c', pingCommand('10.10.0.10', { count, seconds: 0.02 })], { timeoutMs: 60_000 })

describe('a change that cuts a gateway off its controller', () => {
  let before = ''
  beforeAll(async () => {
    before = await rules()
    expect(before).not.toContain('203.0.113.0/24')
    strand()
  })
  it('is put back by the gateway; the rollout stops, and a new generation has the old intent', async () => {
    const ran = await (await tryIt()).ended
    expect(ran.code, ran.stdout + ran.stderr).toBe(1)
    expect(ran.stderr).toContain('C084')
    expect(ran.stderr).toMatch(/frankfurt.*No permit before the deadline/)
    expect(await rules()).toBe(before)
    expect(await generations()).toBe(3)
    const [newest] = await world.read<{ id: string; kind: string; state: string }[]>('rollout', 'list')
    expect(newest).toMatchObject({ kind: 'apply', state: 'rolled-back' })
    const told = await world.cli('rollout', 'watch', newest!.id)
    expect(told).toMatchObject({ code: 1, stderr: expect.stringContaining('frankfurt: No permit before the deadline') })
    await until('frankfurt runs the third', 30, async () => (await site('frankfurt')).running?.generation === 3)
    expect((await site('berlin')).running?.generation).not.toBe(2)
  })
  it('is put back by the guard when the agent is killed while it waits', async () => {
    const applied = await tryIt()
    await world.lab.stop('agent-frankfurt', 'SIGKILL')
    const guardSays = () => readFileSync(join(world.stateOf('frankfurt'), 'guard.log'), 'utf8')
    // Its deadline, the start of a process and the restoring itself, on a machine that is short of everything.
    await until('the guard has restored', 60, async () => (await rules()) === before).catch(async (error: unknown) => {
      throw new Error(`${String(error)}\nthe guard: ${guardSays()}\nbefore:\n${before}\nnow:\n${await rules()}`)
    })
    // The kernel is back before the guard has written that down, and an agent that starts between them would do it all again.
    await until('the guard has said so', 30, () => guardSays().includes('guard: restored'))
    await world.agent('frankfurt')
    const ran = await applied.ended
    expect(ran.code, ran.stdout + ran.stderr).toBe(1)
    expect(ran.stderr).toMatch(/frankfurt.*the guard restored the last confirmed bundle/)
    expect(await generations()).toBe(5)
  })
  it('is put back by a boot, though neither agent nor guard lived to see it', async () => {
    const applied = await tryIt()
    await world.lab.stop('agent-frankfurt', 'SIGKILL')
    // A box that loses its power loses its guard, and what the kernel had, with it.
    const { nonce } = world.status('frankfurt').state.commit as { readonly nonce: string }
    const guards = await world.lab.exec('frankfurt', [
      'sh',
      '-c',
      `for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline | grep -q "causeway-guard .*${nonce}" && kill -9 \${p#/proc/} && echo killed; done; nft delete table inet causeway; ip nexthop flush`,
    ])
    expect(guards.stdout, guards.stderr).toContain('killed')
    await world.agent('frankfurt')
    const ran = await applied.ended
    expect(ran.code, ran.stdout + ran.stderr).toBe(1)
    expect(ran.stderr).toMatch(/frankfurt.*stopped before the change was confirmed/)
    expect(await rules()).toBe(before)
    mend()
    await until('frankfurt runs the seventh', 30, async () => (await site('frankfurt')).running?.generation === 7)
    await until('the network is green', 40, () => world.isGreen())
  })
})

describe('traffic', () => {
  it('passes while an agent is killed and started again', async () => {
    const stream = pings('berlin-inference', 150)
    await sleep(500)
    const { pid } = world.status('berlin')
    await world.lab.stop('agent-berlin', 'SIGKILL')
    await sleep(500)
    await world.agent('berlin')
    await until(
      'another agent runs',
      20,
      () => world.status('berlin').pid !== pid && world.status('berlin').paths.some((path) => path.state === 'UP'),
    )
    const { stdout } = await stream
    // A data plane that went with its agent would miss the second and more that the next one needs to start.
    expect(readPings(stdout, 150).lost).toEqual([])
  })
  it('fails over without a controller, also after a restart', async () => {
    const usedFor = (name: string) => world.status(name).paths.find((path) => path.classes.includes('business'))?.tunnel ?? ''
    await world.controller.stop()
    await world.lab.stop('agent-berlin', 'SIGKILL')
    await world.agent('berlin')
    await until(
      'berlin runs from its own disk',
      40,
      () => world.status('berlin').headlessSince !== null && world.status('berlin').paths.every((path) => path.state === 'UP'),
    )
    expect(world.logOf('berlin')).toContain('the last confirmed bundle')
    await until('business is on fiber', 40, () => usedFor('berlin').startsWith('berlin.fiber'))
    await world.lab.line('berlin.fiber', { cut: 'all' })
    await until('business moved at both ends', 20, () => ['berlin', 'frankfurt'].every((name) => usedFor(name).startsWith('berlin.lte')))
    expect((await pings('berlin-inference', 20)).code).toBe(0)
    await world.lab.heal('all')
    await world.controller.start()
    await until('berlin is back', 60, async () => world.status('berlin').headlessSince === null && (await site('berlin')).state === 'ACTIVE')
  })
  it('leaves to the internet when that is written, and over the other line when the first is cut', async () => {
    const berlin = join(world.sites, 'berlin.yaml')
    const written = readFileSync(berlin, 'utf8')
    // Somebody on the internet, who tells each caller from where it seems to call.
    const somebody = ['socat', 'TCP-LISTEN:8080,bind=203.0.113.250,fork,reuseaddr', 'SYSTEM:echo $SOCAT_PEERADDR']
    const listening = world.lab.exec('internet', ['timeout', '120', ...somebody], { timeoutMs: 125_000 }).catch(() => undefined)
    const seenAs = async () =>
      (
        await world.lab.exec('berlin-inference', ['sh', '-c', 'timeout 3 socat -u TCP:203.0.113.250:8080,connect-timeout=2 - 2>/dev/null || true'])
      ).stdout.trim()
    expect(await seenAs()).toBe('')
    writeFileSync(berlin, written.replace('interface: eth1,', 'interface: eth1, internet: local,'))
    const applied = await world.cli('apply', '--yes')
    expect(applied.code, applied.stdout + applied.stderr).toBe(0)
    expect(applied.stdout + applied.stderr).toContain('opens  berlin/inference (10.1.10.0/24) -> internet')
    const fiber = await seenAs()
    expect(fiber).toMatch(/^100\.64\./)
    await world.lab.line('berlin.fiber', { cut: 'all' })
    await until('hosts leave over the other line', 20, async () => !['', fiber].includes(await seenAs()))
    await world.lab.heal('all')
    await until('and over the first again', 30, async () => (await seenAs()) === fiber)
    writeFileSync(berlin, written)
    expect((await world.cli('apply', '--yes')).code).toBe(0)
    expect(await seenAs()).toBe('')
    await world.lab.exec('internet', ['pkill', '-f', 'TCP-LISTEN:8080'])
    await listening
  })
})

describe('the secrets of all this', () => {
  it('are these: tokens, the keys of both boxes, the vault key, the admin token', () => {
    const what = canariesOf(world).map((one) => one.what)
    expect(what.filter((one) => one.includes('token'))).toHaveLength(5)
    for (const box of ['frankfurt', 'berlin']) {
      const own = what.filter((one) => one.includes(`/boxes/${box}/`))
      // TLS, sealing, and a WireGuard pair for each of four interfaces.
      expect(own.length, own.join('\n')).toBeGreaterThanOrEqual(6)
    }
  })
  it('would be found: where they belong they are', () => {
    const all = canariesOf(world)
    for (const one of all.filter(({ file }) => file !== '' && !file.endsWith('.key')))
      expect(found(read(one.file), [one]), one.what).toEqual([one.what])
    expect(found(`x${Buffer.from(`ab${world.tokens[0]!}`).toString('base64')}`, all)).toContain('token 0')
  })
  it('stand in no log and on no command line', () => {
    const all = canariesOf(world)
    const belongs = new Set(all.map(({ file }) => file))
    const logs = filesUnder(world.folder).filter((file) => /\.(log|json|address|pid|txt)$/.test(file) && !belongs.has(file))
    expect(logs.map((file) => file.split('/').at(-1))).toEqual(
      expect.arrayContaining([
        'controller.log',
        'temporal.log',
        'postgres.log',
        'serve.log',
        'agent-berlin.log',
        'agent-frankfurt.log',
        'status.json',
        'run.json',
      ]),
    )
    // The first administrator's token is shown once, to whoever starts the controller.
    const own = read(world.controller.console)
      .split('\n')
      .filter((line) => found(line, all).length > 0)
    expect(own.map((line) => line.split(':')[0])).toEqual(["first administrator's access token, shown once"])
    for (const file of logs.filter((one) => one !== world.controller.console)) expect(found(read(file), all), file).toEqual([])
    expect([...watch.seen].some((line) => line.includes('causeway-agent'))).toBe(true)
    for (const line of watch.seen) expect(found(line, all), line.split('\0')[0]).toEqual([])
  })
  it("stand in no workflow's history", () => {
    const database = join(world.controller.data, 'temporal.db')
    const raw = read(database) + (existsSync(`${database}-wal`) ? read(`${database}-wal`) : '')
    expect(raw, 'histories are in it').toContain('site/berlin')
    expect(found(raw, canariesOf(world))).toEqual([])
    // Payloads are JSON inside; what was encoded inside them is decoded.
    const decoded = (raw.match(/[A-Za-z0-9+/_-]{24,}/g) ?? []).map((text) => Buffer.from(text, 'base64').toString('latin1')).join('\n')
    expect(found(decoded, canariesOf(world))).toEqual([])
  })
  it('are not in the database, but as hashes and ciphertext', async () => {
    const db = new pg.Client({ connectionString: embeddedUrl(world.controller.data)! })
    await db.connect()
    try {
      const { rows: tables } = await db.query<{ name: string }>(
        `select quote_ident(table_name) as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'`,
      )
      expect(tables.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['tokens', 'secrets', 'access_tokens', 'audit', 'events', 'commands', 'claims', 'facts', 'bundles']),
      )
      for (const { name } of tables) {
        const { rows } = await db.query<{ text: string }>(`select row_to_json(t)::text as text from ${name} t`)
        // bytea is written as \x and hex.
        expect(found(rows.map(({ text }) => text).join('\n'), canariesOf(world)), `table ${name}`).toEqual([])
      }
    } finally {
      await db.end()
    }
  })
  it('are readable by their owner only', () => {
    for (const { file } of canariesOf(world).filter((one) => one.file !== '')) expect(statSync(file).mode & 0o077, file).toBe(0)
  })
})
