/**
 * Activities by timeout profile. A worker that is SIGKILLed costs one `startToCloseTimeout` or `heartbeatTimeout`, so
 * they are short; every activity is idempotent and may run again.
 */
import { proxyActivities } from '@temporalio/workflow'
import type { Activities } from './activities/index.ts'

const retry = { initialInterval: '100ms', backoffCoefficient: 1.5, maximumInterval: '5s' } as const

/** Reads and writes of a few rows. */
export const rows = proxyActivities<Activities>({ startToCloseTimeout: '2s', retry })

/** Compile and verify a whole network; heartbeats between the steps. */
export const compiling = proxyActivities<Activities>({ startToCloseTimeout: '5m', heartbeatTimeout: '5s', retry })

/** Children and entities alike: a killed worker's workflow task comes back this soon. */
export const workflowTaskTimeout = '2s'
