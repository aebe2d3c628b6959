/** Secrets of a whole onboarding, looked for wherever they must not be. */
import { createPrivateKey } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { embeddedUrl } from '#src/controller/postgres.ts'
import { decodeToken } from '#src/wire/token.ts'
import { filesUnder, openWorld, until, type World } from './world.ts'

interface Canary {
  readonly what: string
  /** Where it belongs; '' = nowhere on a disk. */
  readonly file: string
  readonly forms: readonly string[]
}
let world: World
/** Every command line that any process had meanwhile. */
const seen = new Set<string>()
let watching: NodeJS.Timeout

const look = () => {
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    try {
      seen.add(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
    } catch {
      // It has ended.
    }
  }
}

/** As it may be written: raw, hex, and base64 in all its kinds and at each of the three offsets inside other bytes. */
function forms(secret: Buffer): readonly string[] {
  const offsets = [0, 1, 2].map((n) => {
    const [skip, text] = [n === 0 ? 0 : 4, Buffer.concat([Buffer.alloc(n), secret]).toString('base64')]
    // What shares a character with its neighbours is left out.
    return text.replace(/=+$/, '').slice(skip, -1)
  })
  const all = [secret.toString('hex'), secret.toString('hex').toUpperCase(), secret.toString('base64'), secret.toString('base64url'), ...offsets, ...offsets.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'))]
  return [...new Set([...all, secret.toString('latin1')])]
}
const ofText = (what: string, text: string, file = ''): Canary => ({ what, file, forms: [...new Set([text, ...forms(Buffer.from(text))])] })
const ofBytes = (what: string, bytes: Buffer, file = ''): Canary => ({ what, file, forms: forms(bytes) })

function canaries(): readonly Canary[] {
  const tokens = world.tokens.flatMap((text, index) => {
    const token = decodeToken(text)
    if (!token.ok) throw new Error(token.says)
    return [ofText(`token ${index}`, text), ofBytes(`secret of token ${index}`, token.secret)]
  })
  const keys = filesUnder(join(world.folder, 'boxes')).flatMap((file): readonly Canary[] => {
    const text = readFileSync(file, 'utf8')
    const pem = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/.exec(text)?.[0]
    if (pem) return [ofBytes(file, Buffer.from((createPrivateKey(pem).export({ format: 'jwk' }) as { readonly d: string }).d, 'base64url'), file)]
    return [...text.matchAll(/"privateKey":"([A-Za-z0-9+/]{43}=)"/g)].map(([, key], index) => ofBytes(`${file} ${index}`, Buffer.from(key!, 'base64'), file))
  })
  const { data } = world.controller
  return [
    ...tokens,
    ...keys,
    ofBytes('the vault key', Buffer.from(readFileSync(`${data}.vault-key`, 'utf8').trim(), 'hex'), `${data}.vault-key`),
    ofText('the admin token', readFileSync(join(data, 'admin.token'), 'utf8').trim(), join(data, 'admin.token')),
  ]
}

/** Which canaries stand in a haystack, by name only: a failed test must not print them. */
const found = (haystack: string, of: readonly Canary[]) => of.filter(({ forms: all }) => all.some((form) => haystack.includes(form))).map(({ what }) => what)
const read = (file: string) => readFileSync(file, 'latin1')

beforeAll(async () => {
  watching = setInterval(look, 50)
  world = await openWorld(['berlin'])
  const applied = await world.cli('apply', '--yes')
  expect(applied.code, applied.stderr).toBe(0)
  await world.onboard('frankfurt', 'berlin')
  await until('the network is green', 30, async () => (await world.cli('status')).code === 0)
  clearInterval(watching)
})
afterAll(async () => {
  clearInterval(watching)
  await world?.close()
})

describe('the secrets of an onboarding', () => {
  it('are these: tokens, the keys of both boxes, the vault key, the admin token', () => {
    const what = canaries().map((one) => one.what)
    expect(what.filter((one) => one.includes('token'))).toHaveLength(5)
    for (const box of ['frankfurt', 'berlin']) {
      const own = what.filter((one) => one.includes(`/boxes/${box}/`))
      // TLS, sealing, and a WireGuard pair for each of four interfaces.
      expect(own.length, own.join('\n')).toBeGreaterThanOrEqual(6)
    }
  })
  it('would be found: where they belong they are', () => {
    const all = canaries()
    for (const one of all.filter(({ file }) => file !== '' && !file.endsWith('.key'))) expect(found(read(one.file), [one]), one.what).toEqual([one.what])
    expect(found(`x${Buffer.from(`ab${world.tokens[0]!}`).toString('base64')}`, all)).toContain('token 0')
  })
  it('stand in no log and on no command line', () => {
    const all = canaries()
    const belongs = new Set(all.map(({ file }) => file))
    const logs = filesUnder(world.folder).filter((file) => /\.(log|json|address|pid|txt)$/.test(file) && !belongs.has(file))
    expect(logs.map((file) => file.split('/').at(-1))).toEqual(expect.arrayContaining(['controller.log', 'temporal.log', 'postgres.log', 'serve.log', 'agent-berlin.log', 'agent-frankfurt.log', 'status.json', 'run.json']))
    // The first administrator's token is shown once, to whoever starts the controller.
    const own = read(world.controller.console).split('\n').filter((line) => found(line, all).length > 0)
    expect(own.map((line) => line.split(':')[0])).toEqual(["first administrator's access token, shown once"])
    for (const file of logs.filter((one) => one !== world.controller.console)) expect(found(read(file), all), file).toEqual([])
    expect([...seen].some((line) => line.includes('causeway-agent'))).toBe(true)
    for (const line of seen) expect(found(line, all), line.split('\0')[0]).toEqual([])
  })
  it("stand in no workflow's history", () => {
    const database = join(world.controller.data, 'temporal.db')
    const raw = read(database) + (existsSync(`${database}-wal`) ? read(`${database}-wal`) : '')
    expect(raw, 'histories are in it').toContain('site/berlin')
    expect(found(raw, canaries())).toEqual([])
    // Payloads are JSON inside; what was encoded inside them is decoded.
    const decoded = (raw.match(/[A-Za-z0-9+/_-]{24,}/g) ?? []).map((text) => Buffer.from(text, 'base64').toString('latin1')).join('\n')
    expect(found(decoded, canaries())).toEqual([])
  })
  it('are not in the database, but as hashes and ciphertext', async () => {
    const db = new pg.Client({ connectionString: embeddedUrl(world.controller.data)! })
    await db.connect()
    try {
      const { rows: tables } = await db.query<{ name: string }>(`select quote_ident(table_name) as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'`)
      expect(tables.map(({ name }) => name)).toEqual(expect.arrayContaining(['tokens', 'secrets', 'access_tokens', 'audit', 'events', 'commands', 'claims', 'facts', 'bundles']))
      for (const { name } of tables) {
        const { rows } = await db.query<{ text: string }>(`select row_to_json(t)::text as text from ${name} t`)
        // bytea is written as \x and hex.
        expect(found(rows.map(({ text }) => text).join('\n'), canaries()), `table ${name}`).toEqual([])
      }
    } finally {
      await db.end()
    }
  })
  it('are readable by their owner only', () => {
    for (const { file } of canaries().filter((one) => one.file !== '')) expect(statSync(file).mode & 0o077, file).toBe(0)
  })
})
