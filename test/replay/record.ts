/**
 * Lives through everything once and keeps the histories of each workflow type under histories/<version>/.
 *   node test/replay/record.ts 0.1.0      refuses to overwrite what is there
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js'
import { sites } from '#src/controller/store/index.ts'
import { fetchHistories, type History } from '#test/system/workflows/histories.ts'
import { liveThrough } from '#test/system/workflows/life.ts'
import { model } from '#test/system/workflows/model.ts'
import { startWorld } from '#test/system/workflows/world.ts'
import { startWorker } from '#workflows/worker.ts'

const [version] = process.argv.slice(2)
if (version === undefined) throw new Error('say the version: node test/replay/record.ts 0.1.0')
const folder = join(import.meta.dirname, 'histories', version)
if (existsSync(folder)) throw new Error(`${folder} is there already; histories are added to, never edited`)

const world = await startWorld()
const worker = await startWorker({ address: world.temporal.address, namespace: 'default', deps: { store: world.store, model, offlineAfter: 30_000 } })
try {
  await liveThrough(world)
  await world.until('oslo is gone', async () => (await sites.get(world.store.db, 'oslo'))?.state === 'RETIRED')
  mkdirSync(folder, { recursive: true })
  const found = [...(await fetchHistories(world.temporal.address))].sort((a, b) => startOf(a) - startOf(b))
  const operations: string[] = []
  for (const { workflowId, type, history } of found) {
    const name = workflowId.replaceAll('/', '-').replaceAll(/o-[0-9a-f-]{36}/g, (id) => {
      if (!operations.includes(id)) operations.push(id)
      return String(operations.indexOf(id) + 1)
    })
    // Where it was recorded is nobody's business.
    const text = JSON.stringify({ workflowId, type, history: JSON.parse(historyToJSON(history)) as unknown }).replaceAll(hostname(), 'worker').replaceAll(process.cwd(), '')
    writeFileSync(join(folder, `${name}.json`), `${text}\n`)
  }
} finally {
  await worker.close()
  await world.stop()
}

function startOf({ history }: History): number {
  const { seconds, nanos } = history.events?.[0]?.eventTime ?? {}
  return Number(seconds ?? 0) * 1_000 + (nanos ?? 0) / 1_000_000
}
