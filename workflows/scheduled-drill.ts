/** What a schedule starts: has the drill of an uplink commanded by the system, and waits for its end, so that none overlaps. */
import { executeChild, log, ParentClosePolicy, workflowInfo } from '@temporalio/workflow'
import { drillWorkflowId, type ScheduledDrillInput } from './contract.ts'
import type { drill as Drill } from './drill.ts'
import { rows, workflowTaskTimeout } from './proxies.ts'

export async function scheduledDrill({ site, uplink, patience }: ScheduledDrillInput): Promise<void> {
  const commanded = await rows.commandDrill({ site, uplink, run: workflowInfo().runId })
  if (commanded === null) return
  const { drill, command } = commanded
  await executeChild<typeof Drill>('drill', {
    workflowId: drillWorkflowId(drill),
    workflowTaskTimeout,
    parentClosePolicy: ParentClosePolicy.ABANDON,
    args: [{ drill, command, patience }],
  }).catch((error: unknown) => log.info(`drill/${drill} runs already, or failed`, { error: String(error) }))
}
