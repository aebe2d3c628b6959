/** `drill/<id>`: proves that the standby is there, has the box cut one uplink, waits for what it saw, signs that. Heals by the kernel's own clock. */
import { sleep } from '@temporalio/workflow'
import type { DrillInput } from './contract.ts'
import { rows } from './proxies.ts'

const pollEvery = 500

export async function drill({ drill, command, patience }: DrillInput): Promise<void> {
  const ordered = await rows.gateDrill({ drill, command, patience })
  if (ordered === null) return
  const until = Date.now() + ordered.seconds * 1_000 + patience
  while (!(await rows.isDrillOver({ drill })) && Date.now() < until) await sleep(pollEvery)
  await rows.concludeDrill({ drill, command })
}
