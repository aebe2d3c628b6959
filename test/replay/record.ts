/**
 * Lives through everything once and keeps the histories of each workflow type under histories/<version>/.
 *   node test/replay/record.ts 0.1.0            refuses to overwrite what is there
 *   node test/replay/record.ts 0.2.0 region     the life of a cloud region and a drill
 *   node test/replay/record.ts 0.3.0 drill      a drill that a schedule commands
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js'
import { sites } from '#src/controller/store/index.ts'
import { startFakeCloud } from '#test/system/workflows/fake-cloud.ts'
import { fakeProvider } from '#test/system/workflows/fake-provider.ts'
import { liveThroughDrill } from '#test/system/workflows/drill-story.ts'
import { fetchHistories, type History } from '#test/system/workflows/histories.ts'
import { liveThrough } from '#test/system/workflows/life.ts'
import { model } from '#test/system/workflows/model.ts'
import { storyTiming } from '#test/system/kills/region-kills.ts'
import { liveThroughRegion } from '#test/system/workflows/region-story.ts'
import { offlineAfter, startWorld } from '#test/system/workflows/world.ts'
import { startWorker } from '#workflows/worker.ts'

const [version, story = 'sites'] = process.argv.slice(2)
if (version === undefined) throw new Error('say the version: node test/replay/record.ts 0.1.0')
const folder = join(import.meta.dirname, 'histories', version)
if (existsSync(folder)) throw new Error(`${folder} is there already; histories are added to, never edited`)

const cloud = await startFakeCloud()
const provider = fakeProvider(cloud.url)
const world = await startWorld(storyTiming)
const worker = await startWorker({
  address: world.temporal.address,
  namespace: 'default',
  deps: { store: world.store, model, offlineAfter, vault: world.vault, clouds: async () => provider },
})
try {
  if (story === 'region') await liveThroughRegion(world, cloud)
  else if (story === 'drill') await liveThroughDrill(world)
  else {
    await liveThrough(world)
    await world.until('oslo is gone', async () => (await sites.get(world.store.db, 'oslo'))?.state === 'RETIRED')
  }
  mkdirSync(folder, { recursive: true })
  const found = [...(await fetchHistories(world.temporal.address))].sort((a, b) => startOf(a) - startOf(b))
  const operations: string[] = []
  const names: string[] = []
  for (const { workflowId, type, history } of found) {
    // A schedule adds the time to the name.
    const plain = workflowId.replace(/-\d{4}-\d\d-\d\dT[\d:]+Z$/, '').replaceAll('/', '-')
    const name = plain.replaceAll(/o-[0-9a-f-]{36}/g, (id) => {
      if (!operations.includes(id)) operations.push(id)
      return String(operations.indexOf(id) + 1)
    })
    // Run again, it is another history.
    names.push(name)
    const run = names.filter((one) => one === name).length
    // Where it was recorded is nobody's business.
    const text = JSON.stringify({ workflowId, type, history: JSON.parse(historyToJSON(history)) as unknown })
      .replaceAll(hostname(), 'worker')
      .replaceAll(process.cwd(), '')
    writeFileSync(join(folder, `${name}${run > 1 ? `-${run}` : ''}.json`), `${text}\n`)
  }
} finally {
  await worker.close()
  await world.stop()
  await cloud.stop()
}

function startOf({ history }: History): number {
  const { seconds, nanos } = history.events?.[0]?.eventTime ?? {}
  return Number(seconds ?? 0) * 1_000 + (nanos ?? 0) / 1_000_000
}
