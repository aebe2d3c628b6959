import { Worker } from '@temporalio/worker'
import { expect, test } from 'vitest'
import { workflowType } from '#workflows/contract.ts'
import { workflowBundle } from '#workflows/worker.ts'
import { recorded } from './histories.ts'

const histories = recorded()

test('every workflow type has a history', () => {
  expect([...new Set(histories.map(({ type }) => type))].sort()).toEqual(Object.values(workflowType).sort())
})

test('the code of today goes the way of every history, without a server', async () => {
  const codePath = await workflowBundle()
  const went: string[] = []
  for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle: { codePath } }, histories)) {
    if (error !== undefined) throw new Error(`${workflowId}: ${error.message}`)
    went.push(workflowId)
  }
  expect(went.sort()).toEqual(histories.map(({ workflowId }) => workflowId).sort())
})
