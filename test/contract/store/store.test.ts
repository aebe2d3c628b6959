import { afterAll, beforeAll, expect, test } from 'vitest'
import { events, migrate, network, once, operations, type Store } from '#src/controller/store/index.ts'
import { startTestDatabase, type TestDatabase } from './fixture.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await startTestDatabase()
}, 60_000)
afterAll(() => database.stop())

const running = async (store: Store, id: string) => {
  await store.db.insertInto('operations').values({ id, kind: 'apply', subject: 'network/acme', state: 'running' }).execute()
}

test('a second migration of the same database runs nothing', async () => {
  const store = await database.store()
  expect(await migrate(store)).toEqual([])
})

test('a step runs once and answers the same ever after, also for two workers at the same time', async () => {
  const store = await database.store()
  await running(store, 'op-1')
  let runs = 0
  const step = () =>
    once(store, 'op-1', 'write', async (tx) => {
      runs++
      await events.emit(tx, { operationId: 'op-1', subject: 'network/acme', kind: 'test', text: 'written' })
      return { at: 7 }
    })
  expect(await Promise.all([step(), step(), step()])).toEqual([{ at: 7 }, { at: 7 }, { at: 7 }])
  expect(runs).toBe(1)
  expect(await events.after(store.db, 0)).toHaveLength(1)
  expect(await operations.steps(store.db, 'op-1')).toEqual(['write'])
})

test('the database is for one network', async () => {
  const store = await database.store()
  expect(await network.name(store.db, 'acme')).toBe('acme')
  expect(await network.name(store.db, 'other')).toBe('acme')
})
