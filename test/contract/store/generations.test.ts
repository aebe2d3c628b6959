/** The history of the intent: one writer wins, the loser leaves nothing, allocations and audit can't be rewritten. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { allocations, audit, events, generations, network, plans, type Store } from '#src/controller/store/index.ts'
import type { Allocation, Fabric } from '#src/fabric/fabric.ts'
import type { Intent } from '#src/intent/intent.ts'
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

const port = (owner: string, value: number) => ({ kind: 'port', owner, value }) as unknown as Allocation
const node = (owner: string, value: number) => ({ kind: 'node', owner, value }) as unknown as Allocation
async function propose(id: string, base: number, claims: readonly Allocation[], verdict: 'passed' | 'refused' = 'passed'): Promise<plans.PlanRow> {
  const made =
    verdict === 'passed'
      ? {
          intent: { network: 'acme', plan: id } as unknown as Intent,
          fabric: { network: { id: 'acme' } } as unknown as Fabric,
          fabricHash: `hash of ${id}`,
          proof: { expects: 1, held: 1, failures: 1, checks: 1 },
          plan: {},
        }
      : { intent: null, fabric: null, fabricHash: null, proof: null, plan: null }
  await plans.insert(store.db, {
    id,
    base,
    intentHash: id,
    verdict,
    findings: [],
    claims,
    compiler: '1',
    createdBy: 'a-1',
    owner: null,
    fragments: [],
    handed: [],
    ...made,
  })
  return (await plans.get(store.db, id))!
}
const commit = async (plan: plans.PlanRow) => store.transaction((tx) => generations.commit(tx, plan, {}, `op-${plan.id}`))

test('of two plans on one generation that are committed at once, one becomes the next and the other leaves nothing', async () => {
  const rivals = await Promise.all([
    propose('one', 0, [node('berlin', 1), port('berlin/a', 52_000)]),
    propose('two', 0, [node('oslo', 1), port('oslo/a', 52_000)]),
  ])
  const outcomes = await Promise.allSettled(rivals.map(commit))
  expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  const lost = outcomes.find((of) => of.status === 'rejected')!
  expect(lost.reason).toMatchObject({
    name: 'StaleBase',
    base: 0,
    head: 1,
    message: expect.stringContaining('made on generation 0, but the network is at generation 1') as string,
  })
  const winner = rivals[outcomes.findIndex(({ status }) => status === 'fulfilled')]!
  expect(await network.get(store.db)).toMatchObject({ id: 'acme', head: 1 })
  expect(await generations.list(store.db)).toEqual([
    expect.objectContaining({ number: 1, base: 0, plan_id: winner.id, fabric_hash: `hash of ${winner.id}` }),
  ])
  expect(await allocations.held(store.db)).toEqual(winner.claims)
})

test('ten writers in a row of compare-and-swaps: every number once, in order', async () => {
  const outcomes = await Promise.all(
    Array.from({ length: 10 }, async (_, n) => {
      for (;;) {
        const base = (await network.get(store.db))?.head ?? 0
        const made = await commit(await propose(`w${n}-${base}`, base, [node(`site${n}`, n)])).catch((error: unknown) => {
          if (error instanceof generations.StaleBase) return null
          throw error
        })
        if (made !== null) return made
      }
    }),
  )
  expect(outcomes.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  expect((await allocations.held(store.db)).map(({ owner }) => owner).sort()).toEqual(Array.from({ length: 10 }, (_, n) => `site${n}`))
})

test('a value that another owner took since is no longer free: the generation is not made', async () => {
  await commit(await propose('first', 0, [node('berlin', 1)]))
  await expect(commit(await propose('second', 1, [node('madrid', 2), node('oslo', 1)]))).rejects.toMatchObject({
    name: 'AllocationTaken',
    message: 'node 1 for oslo is no longer free',
  })
  expect(await network.get(store.db)).toMatchObject({ head: 1 })
  expect(await generations.list(store.db)).toHaveLength(1)
  expect(await allocations.held(store.db)).toEqual([node('berlin', 1)])
})

test('an owner keeps its value for ever; ports are unique within a site, not across', async () => {
  await commit(await propose('first', 0, [port('berlin/a', 52_000), port('oslo/a', 52_000)]))
  await expect(commit(await propose('again', 1, [port('berlin/a', 52_002)]))).rejects.toThrow('port 52002 for berlin/a is no longer free')
  await expect(commit(await propose('twice', 1, [port('berlin/b', 52_000)]))).rejects.toThrow('port 52000 for berlin/b is no longer free')
  expect(await commit(await propose('same', 1, [port('berlin/a', 52_000)]))).toBe(2)
})

test('a refused plan can not be committed, nor be stored as passed without what it proved', async () => {
  await expect(commit(await propose('bad', 0, [], 'refused'))).rejects.toThrow('plan bad was refused')
  expect(await network.get(store.db)).toBeUndefined()
  await expect(store.db.updateTable('plans').set({ verdict: 'passed' }).where('id', '=', 'bad').execute()).rejects.toThrow(/check constraint/)
})

test('a plan is taken by one operation', async () => {
  await propose('p', 0, [])
  const taken = await Promise.all(['op-1', 'op-2'].map((operation) => store.transaction((tx) => plans.take(tx, 'p', operation))))
  expect(taken.filter(Boolean)).toHaveLength(1)
  const owner = (await plans.get(store.db, 'p'))!.appliedByOperation!
  expect(await store.transaction((tx) => plans.take(tx, 'p', owner))).toBe(true)
})

const entry = (n: number) => ({ actor: `a-${n}`, action: 'apply', subject: 'network/acme', detail: { n, when: '2026-01-01' } })
const written = async (count: number) => {
  await Promise.all(Array.from({ length: count }, (_, n) => store.transaction((tx) => audit.append(tx, entry(n)))))
}

test('audit entries that are written at once form one chain', async () => {
  await written(12)
  expect(await audit.broken(store.db)).toBeNull()
  const rows = await store.db.selectFrom('audit').selectAll().orderBy('seq').execute()
  expect(rows).toHaveLength(12)
  expect(rows.slice(1).map(({ previous }) => previous)).toEqual(rows.slice(0, -1).map(({ hash }) => hash))
})

test.each([
  ['an actor is changed', (row: number) => store.db.updateTable('audit').set({ actor: 'somebody' }).where('seq', '=', row), 0],
  ['a detail is changed', (row: number) => store.db.updateTable('audit').set({ detail: '{"n":99}' }).where('seq', '=', row), 0],
  [
    'a time is changed',
    (row: number) =>
      store.db
        .updateTable('audit')
        .set({ at: new Date(0) })
        .where('seq', '=', row),
    0,
  ],
  ['a row is taken out', (row: number) => store.db.deleteFrom('audit').where('seq', '=', row), 1],
] as const)('the audit chain shows when %s', async (_what, tamper, after) => {
  await written(5)
  const rows = await store.db.selectFrom('audit').select('seq').orderBy('seq').execute()
  await tamper(rows[2]!.seq).execute()
  expect(await audit.broken(store.db)).toBe(rows[2 + after]!.seq)
})

test('events are read in order, after a number, by operation and by subject', async () => {
  const emit = (operationId: string, subject: string, text: string) => events.emit(store.db, { operationId, subject, kind: 'test', text })
  const first = await emit('op-1', 'site/berlin', 'one')
  await emit('op-2', 'site/oslo', 'two')
  await emit('op-1', 'site/oslo', 'three')
  const texts = async (...args: Parameters<typeof events.after> extends [unknown, ...infer Rest] ? Rest : never) =>
    (await events.after(store.db, ...args)).map(({ text }) => text)
  expect(await texts(0)).toEqual(['one', 'two', 'three'])
  expect(await texts(first)).toEqual(['two', 'three'])
  expect(await texts(0, { operationId: 'op-1' })).toEqual(['one', 'three'])
  expect(await texts(0, { subject: 'site/oslo', limit: 1 })).toEqual(['two'])
  expect(await events.lastSeq(store.db)).toBe(first + 2)
})
