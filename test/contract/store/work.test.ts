/** Commands, steps, tokens, claims and facts: what may be repeated is done once. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { audit, claims, commands, facts, once, operations, permits, type Store, tokens } from '#src/controller/store/index.ts'
import type { Fact } from '#src/fabric/fabric.ts'
import type { Inventory } from '#src/wire/messages.ts'
import { startTestDatabase, type TestDatabase } from './fixture.ts'

let database: TestDatabase
let store: Store
beforeAll(async () => {
  database = await startTestDatabase()
}, 60_000)
afterAll(() => database.stop())
beforeEach(async () => {
  store = await database.store()
})

const apply = {
  id: 'c-1',
  operationId: 'op-1',
  kind: 'apply',
  subject: 'network/acme',
  args: { planId: 'p-1', hours: 2 },
  actor: 'a-1',
  idempotencyKey: 'k-1',
} as const
const record = (command: commands.NewCommand) => store.transaction((tx) => commands.record(tx, command))
const consume = (of: Partial<commands.ExpectedCommand> = {}) =>
  store.transaction((tx) => commands.consume(tx, { commandId: 'c-1', operationId: 'op-1', kind: 'apply', subject: 'network/acme', ...of }))

test('a command is consumed once, and only as what it was given', async () => {
  await record(apply)
  await expect(consume({ commandId: 'c-9' })).rejects.toThrow('no command c-9 was recorded')
  for (const other of [{ kind: 'decommission' as const }, { subject: 'network/other' }, { operationId: 'op-2' }])
    await expect(consume(other)).rejects.toThrow(/command c-1 is apply of network\/acme for operation op-1, not /)
  const both = await Promise.allSettled([consume(), consume()])
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  await expect(consume()).rejects.toMatchObject({ name: 'CommandRefused', message: expect.stringContaining('was carried out at 20') as string })
})

test('a step that fails leaves its command to be consumed by the retry', async () => {
  await record(apply)
  const step = (fails: boolean) =>
    once(store, 'op-1', 'apply', async (tx) => {
      await commands.consume(tx, { commandId: 'c-1', operationId: 'op-1', kind: 'apply', subject: 'network/acme' })
      if (fails) throw new Error('killed')
      return 'done'
    })
  await expect(step(true)).rejects.toThrow('killed')
  expect(await step(false)).toBe('done')
  expect(await step(true)).toBe('done')
})

test('command, operation and audit entry are written together or not at all', async () => {
  await record(apply)
  await expect(record({ ...apply, id: 'c-2', operationId: 'op-2' })).rejects.toThrow(/idempotency_key/)
  expect(await operations.get(store.db, 'op-2')).toBeUndefined()
  expect(await store.db.selectFrom('audit').selectAll().execute()).toHaveLength(1)
  expect(await audit.broken(store.db)).toBeNull()
})

test('an Idempotency-Key stands for one command of one actor', async () => {
  await record(apply)
  const asked = (actor: string, key: string, args: object, kind: commands.CommandKind = 'apply') =>
    store.transaction((tx) => commands.repeated(tx, actor, key, { kind, subject: 'network/acme', args }))
  expect(await asked('a-1', 'k-1', { planId: 'p-1', hours: 2 })).toMatchObject({ kind: 'same', command: { id: 'c-1' } })
  expect(await asked('a-1', 'k-1', { hours: 2 })).toMatchObject({ kind: 'same' })
  expect(await asked('a-1', 'k-1', { planId: 'p-2' })).toMatchObject({ kind: 'other' })
  expect(await asked('a-1', 'k-1', { planId: 'p-1' }, 'invite')).toMatchObject({ kind: 'other' })
  expect(await asked('a-2', 'k-1', { planId: 'p-1' })).toEqual({ kind: 'new' })
  expect(await asked('a-1', 'k-2', { planId: 'p-1' })).toEqual({ kind: 'new' })
})

test('two requests with one key at the same time record one command', async () => {
  const request = (n: number) =>
    store.transaction(async (tx) => {
      const before = await commands.repeated(tx, 'a-1', 'k-1', { kind: 'apply', subject: 'network/acme', args: apply.args })
      if (before.kind === 'new') await commands.record(tx, { ...apply, id: `c-${n}`, operationId: `op-${n}` })
      return before.kind
    })
  expect((await Promise.all([request(1), request(2), request(3)])).sort()).toEqual(['new', 'same', 'same'])
  expect(await store.db.selectFrom('commands').selectAll().execute()).toHaveLength(1)
})

test("twenty callers of one step run it once, and other steps don't wait for it", async () => {
  await record(apply)
  let runs = 0
  const step = (name: string) =>
    once(store, 'op-1', name, async () => {
      runs++
      return { name }
    })
  const answers = await Promise.all(Array.from({ length: 20 }, () => step('write')))
  expect(new Set(answers.map((answer) => JSON.stringify(answer)))).toEqual(new Set(['{"name":"write"}']))
  expect(runs).toBe(1)
  const nested = once(store, 'op-1', 'outer', async () => (await step('inner')).name)
  expect(await nested).toBe('inner')
})

test('an operation ends once', async () => {
  await record(apply)
  const ends = await Promise.all([operations.end(store.db, 'op-1', 'succeeded', { result: 1 }), operations.end(store.db, 'op-1', 'failed')])
  expect(ends.filter(Boolean)).toHaveLength(1)
  expect(await operations.open(store.db)).toEqual([])
  expect(await operations.end(store.db, 'op-9', 'failed')).toBe(false)
})

test('what people said of an operation is kept until it goes on or ends', async () => {
  await record(apply)
  await operations.enter(store.db, 'op-1', 'paused', 'ada')
  expect(await operations.get(store.db, 'op-1')).toMatchObject({ phase: 'paused', phase_by: 'ada', phase_since: expect.any(Date) as Date })
  await operations.enter(store.db, 'op-1', null, null)
  const forward = { phase: null, phase_by: null, phase_since: null }
  expect(await operations.get(store.db, 'op-1')).toMatchObject(forward)
  await operations.enter(store.db, 'op-1', 'rolling-back', null)
  expect((await operations.list(store.db, { state: 'running' })).map(({ id, phase }) => `${id} ${phase}`)).toEqual(['op-1 rolling-back'])
  await operations.end(store.db, 'op-1', 'rolled-back')
  expect(await operations.get(store.db, 'op-1')).toMatchObject({ state: 'rolled-back', ...forward })
  expect(await operations.list(store.db, { state: 'running' })).toEqual([])
})

const token = (id: string) => ({
  id,
  site: 'berlin',
  purpose: 'enrol' as const,
  hash: `hash of ${id}`,
  expiresAt: new Date(Date.now() + 3_600_000),
  createdBy: 'a-1',
})
const inventory: Inventory = {
  serial: 'XJ-1',
  hostname: 'box',
  os: 'Debian 12',
  kernel: '6.8',
  agentVersion: '0.1.0',
  wireguard: 'userspace',
  ipsec: 'userspace',
  interfaces: [],
}
const claim = (id: string, thumbprint: string, state: 'enrolled' | 'claimed' = 'enrolled') => ({
  id,
  tokenId: 't-1',
  site: 'berlin',
  thumbprint,
  sealingKey: '',
  serial: 'XJ-1',
  inventory,
  state,
})

test("a new token ends the one before it, but not one that was redeemed; a hash is one token's", async () => {
  await store.transaction((tx) => tokens.issue(tx, token('t-1')))
  await store.transaction((tx) => tokens.issue(tx, token('t-2')))
  expect(await tokens.get(store.db, 't-1')).toMatchObject({ revoked_at: expect.any(Date) as Date })
  await store.transaction((tx) => tokens.redeem(tx, 't-2', 'k-1'))
  await store.transaction((tx) => tokens.issue(tx, token('t-3')))
  expect(await tokens.get(store.db, 't-2')).toMatchObject({ revoked_at: null, claim_id: 'k-1' })
  await expect(store.transaction((tx) => tokens.issue(tx, { ...token('t-4'), hash: 'hash of t-3' }))).rejects.toThrow(/tokens_hash/)
  // Nothing of the failed one: t-3 still works.
  expect(await tokens.get(store.db, 't-3')).toMatchObject({ revoked_at: null })
})

test('a token and a key make one claim, however often it comes', async () => {
  await store.transaction((tx) => tokens.issue(tx, token('t-1')))
  const key = 'ab'.repeat(32)
  await Promise.all(['k-1', 'k-2', 'k-3'].map((id) => store.transaction((tx) => claims.insert(tx, claim(id, key)))))
  const [only, ...others] = await claims.ofSite(store.db, 'berlin')
  expect(others).toEqual([])
  expect(await claims.ofKey(store.db, 't-1', key)).toEqual(only)
  await expect(store.transaction((tx) => claims.insert(tx, { ...claim('k-9', 'cd'.repeat(32)), tokenId: 't-none' }))).rejects.toThrow(/foreign key/)
})

test('a fingerprint names one waiting box, or none', async () => {
  await store.transaction((tx) => tokens.issue(tx, token('t-1')))
  const [one, two] = ['ab'.repeat(20) + '00'.repeat(12), 'ab'.repeat(20) + 'ff'.repeat(12)]
  await store.transaction((tx) => claims.insert(tx, claim('k-1', one, 'claimed')))
  expect(await claims.waiting(store.db, 'berlin', 'AB:'.repeat(8))).toMatchObject({ id: 'k-1' })
  expect(await claims.waiting(store.db, 'berlin', one.slice(0, 15))).toBeUndefined()
  await store.transaction((tx) => claims.insert(tx, claim('k-2', two, 'claimed')))
  expect(await claims.waiting(store.db, 'berlin', one.slice(0, 16))).toBeUndefined()
  expect(await claims.waiting(store.db, 'berlin', two)).toMatchObject({ id: 'k-2' })
  await claims.setState(store.db, 'k-2', 'quarantined')
  expect(await claims.waiting(store.db, 'berlin', two)).toBeUndefined()
})

test('a fact that is reported again moves nothing; a new value moves just itself', async () => {
  const key = (linkEpoch: number, publicKey: string) =>
    ({ kind: 'key', site: 'berlin', interface: 'edge:fiber/f', linkEpoch, publicKey }) as unknown as Fact
  const seen = (port: number) => ({ kind: 'endpoint', tunnel: 't', site: 'berlin', address: '100.64.1.2', port }) as unknown as Fact
  const put = (...of: readonly Fact[]) => store.transaction((tx) => facts.put(tx, of))
  expect(await put(key(0, 'a'), key(1, 'b'), seen(1))).toHaveLength(3)
  const before = await store.db.selectFrom('facts').selectAll().orderBy('owner').execute()
  expect(await put(key(0, 'a'), key(1, 'b'), seen(1))).toEqual([])
  expect(await store.db.selectFrom('facts').selectAll().orderBy('owner').execute()).toEqual(before)
  expect(await put(key(0, 'a'), key(1, 'c'), seen(1))).toEqual([key(1, 'c')])
  // Said twice in one report: the last word holds.
  expect(await put(seen(2), seen(3))).toEqual([seen(3)])
  expect(await facts.all(store.db)).toEqual([seen(3), key(0, 'a'), key(1, 'c')])
  await facts.forget(store.db, 'berlin')
  expect(await facts.all(store.db)).toEqual([])
})

test("a permit's nonce is for one triple", async () => {
  const grant = (generation: number) => permits.grant(store.db, 'berlin', 'n-1', { term: 1, generation, revision: 0 })
  expect(await grant(1)).toBe(true)
  expect(await grant(1)).toBe(true)
  expect(await grant(2)).toBe(false)
})
