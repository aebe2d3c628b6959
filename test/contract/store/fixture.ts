/** A real PostgreSQL for one test file: its own server in a temporary folder, an empty migrated database for each test. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { startPostgres } from '#src/controller/postgres.ts'
import { migrate, openStore, type Store } from '#src/controller/store/index.ts'

export interface TestDatabase {
  /** An empty database, migrated. Closed by `stop` if the test does not close it. */
  store(): Promise<Store>
  stop(): Promise<void>
}

export async function startTestDatabase(): Promise<TestDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'cw-test-'))
  const server = await startPostgres({ folder, fsync: false })
  const template = urlFor(server.url, 'template_causeway')
  await create(server.url, 'template_causeway', 'template1')
  const first = openStore(template)
  await migrate(first)
  await first.close()
  const stores: Store[] = []
  return {
    store: async () => {
      const name = `test_${stores.length}`
      await create(server.url, name, 'template_causeway')
      const store = openStore(urlFor(server.url, name), { max: 5 })
      stores.push(store)
      return store
    },
    stop: async () => {
      await Promise.allSettled(stores.map(async (store) => store.close()))
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const urlFor = (url: string, name: string): string => url.replace('/postgres?', `/${name}?`)

async function create(url: string, name: string, template: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(`create database ${name} template ${template}`)
  await client.end()
}
