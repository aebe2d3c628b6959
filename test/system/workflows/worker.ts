/** A worker in the test's own process; those of keep-working.ts are processes that can be killed. */
import { startWorker, type RunningWorker, type WorkerOptions } from '#workflows/worker.ts'
import { model } from './model.ts'
import type { World } from './world.ts'

export const workIn = ({ temporal, store }: World, more: Partial<WorkerOptions['deps']> = {}): Promise<RunningWorker> =>
  startWorker({ address: temporal.address, namespace: 'default', deps: { store, model, offlineAfter: 2_000, ...more } })
