/** `drill/<id>`: proves that the standby is there, has the box cut one uplink, waits for what it saw, signs that. Heals by the kernel's own clock. */
import { sleep } from '@temporalio/workflow'
import type { DrillInput } from './contract.ts'
import { rows } from './proxies.ts'

const pollEvery = 500
/** Traffic that moves between the gate and the cut makes an order void; this often it is given anew. */
const mostOrders = 3

/** Undefined in histories from before orders were given anew. */
type Concluded = Awaited<ReturnType<typeof rows.concludeDrill>>

export async function drill({ drill, command, patience }: DrillInput): Promise<void> {
  for (let attempt = 1; attempt <= mostOrders; attempt++) {
    const ordered = await rows.gateDrill({ drill, command, patience, attempt })
    if (ordered === null) return
    const until = Date.now() + ordered.seconds * 1_000 + patience
    while (!(await rows.isDrillOver({ drill })) && Date.now() < until) await sleep(pollEvery)
    const concluded: Concluded | undefined = await rows.concludeDrill({ drill, command, last: attempt === mostOrders })
    if (concluded?.again !== true) return
  }
}
