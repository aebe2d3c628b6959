/**
 * A worker as a process of its own. With BOUNDARIES it kills itself, by SIGKILL, the first time that it comes to a
 * boundary (before or after an activity, by workflow and activity type) that the file does not name yet.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { openStore } from '#src/controller/store/index.ts'
import { startWorker } from '#workflows/worker.ts'
import { model } from './model.ts'

const { DATABASE_URL = '', TEMPORAL_ADDRESS = '', BOUNDARIES } = process.env
const crossed = new Set(BOUNDARIES !== undefined && existsSync(BOUNDARIES) ? readFileSync(BOUNDARIES, 'utf8').split('\n') : [])
function cross(boundary: string): void {
  if (BOUNDARIES === undefined || crossed.has(boundary)) return
  appendFileSync(BOUNDARIES, `${boundary}\n`)
  process.kill(process.pid, 'SIGKILL')
}

const worker = await startWorker({
  address: TEMPORAL_ADDRESS,
  namespace: 'default',
  deps: { store: openStore(DATABASE_URL), model, offlineAfter: 30_000 },
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
