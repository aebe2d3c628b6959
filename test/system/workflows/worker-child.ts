/**
 * A worker as a process of its own; it begins when it is told to, and ends with who started it. With BOUNDARIES it kills itself, by SIGKILL, the first time that it comes to a
 * boundary (before or after an activity, by workflow and activity type) that the file does not name yet.
 */
import { once } from 'node:events'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { Context } from '@temporalio/activity'
import { openVault } from '#src/controller/pki/vault.ts'
import { openStore, secrets } from '#src/controller/store/index.ts'
import { startWorker } from '#workflows/worker.ts'
import { fakeProvider } from './fake-provider.ts'
import { model } from './model.ts'

const { DATABASE_URL = '', TEMPORAL_ADDRESS = '', BOUNDARIES, KILL_AT = '', FAKE_CLOUD, KEK = '' } = process.env
process.once('disconnect', () => process.exit())
await once(process, 'message')

const fatal = new RegExp(KILL_AT)
const crossed = new Set(BOUNDARIES !== undefined && existsSync(BOUNDARIES) ? readFileSync(BOUNDARIES, 'utf8').split('\n') : [])
function cross(boundary: string): void {
  if (BOUNDARIES === undefined || crossed.has(boundary) || !fatal.test(boundary)) return
  appendFileSync(BOUNDARIES, `${boundary}\n`)
  process.kill(process.pid, 'SIGKILL')
}

const store = openStore(DATABASE_URL)
const provider = FAKE_CLOUD === undefined ? undefined : fakeProvider(FAKE_CLOUD, (call) => cross(`${Context.current().info.activityType} ${call}`))
const vault = await openVault(Buffer.from(KEK, 'hex'), secrets.rows(store.db))
const worker = await startWorker({
  address: TEMPORAL_ADDRESS,
  namespace: 'default',
  // As world.ts has it: a hub that is cut off from its region must be noticed soon.
  deps: { store, model, offlineAfter: FAKE_CLOUD === undefined ? 30_000 : 3_000, clouds: async () => provider, vault },
  log: (level, message, meta) => console.log(level, message, JSON.stringify(meta)),
  interceptors: [
    ({ info: { workflowType, activityType } }) => ({
      inbound: {
        execute: async (input, next) => {
          cross(`${workflowType} ${activityType} before`)
          const result = await next(input)
          cross(`${workflowType} ${activityType} after`)
          return result
        },
      },
    }),
  ],
})
await worker.done
