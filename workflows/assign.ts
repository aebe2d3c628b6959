/** How a bounded workflow moves other sites: it asks their entities by signal and waits for their answers. */
import { condition, getExternalWorkflowHandle, setHandler, sleep, workflowInfo } from '@temporalio/workflow'
import { assignSignal, siteDoneSignal, siteWorkflowId } from './contract.ts'
import type { AssignRequest, SiteDone } from './contract.ts'

export type Assign = (sites: readonly string[], want: Pick<AssignRequest, 'generation' | 'offline'>) => Promise<readonly SiteDone[]>

/** Call once, at the start of the workflow: it takes the answers' signal. */
export function assigner(operationId: string): Assign {
  const { workflowId, runId } = workflowInfo()
  const answers = new Map<string, SiteDone>()
  setHandler(siteDoneSignal, (done) => {
    answers.set(done.commandId, done)
  })
  let asked = 0
  return async (sites, want) => {
    const asking = sites.map(async (site): Promise<SiteDone> => {
      asked += 1
      const commandId = `${runId}/${asked}`
      if (!(await told(site, { commandId, operationId, replyTo: workflowId, ...want })))
        return { commandId, site, outcome: 'lagging', triple: null, why: 'its workflow does not run' }
      await condition(() => answers.has(commandId))
      return answers.get(commandId) as SiteDone
    })
    return await Promise.all(asking)
  }
}

const tries = 20
/** After Temporal was lost the entities are started again one by one: the one that is asked may come a moment later. */
async function told(site: string, request: AssignRequest): Promise<boolean> {
  for (let count = 1; count <= tries; count += 1) {
    try {
      await getExternalWorkflowHandle(siteWorkflowId(site)).signal(assignSignal, request)
      return true
    } catch {
      await sleep(500)
    }
  }
  return false
}
