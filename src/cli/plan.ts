/** A plan from the controller, or an offline one that can't be applied. */
import { compile } from '#src/compile/compile.ts'
import { renderFindings } from '#src/intent/render.ts'
import { type Plan, plan } from '#src/plan/plan.ts'
import { renderPlan } from '#src/plan/render.ts'
import { connection, type Connection, request } from './connection.ts'
import { findFolder, type Head, readFolder, stateFolder, writeHead } from './folder.ts'
import { loadFabric, numberedBy, prove, refuseOnErrors } from './load.ts'
import { exit, type Output, Stop } from './output.ts'
import type { ProposedView } from './shapes.ts'

export interface Planned {
  /** null: made offline. */
  readonly id: string | null
  readonly base: number
  readonly plan: Plan
  readonly text: string
}

function reachable(): Connection | null {
  try {
    return connection()
  } catch (error) {
    if (error instanceof Stop && error.code === exit.unreachable) return null
    throw error
  }
}

/** Asks the controller; `offline` or nobody known → numbered by the last head, without an id. Ends with exit 3 when refused. */
export async function makePlan(given: string | undefined, offline: boolean, output: Output): Promise<Planned> {
  const controller = offline ? null : reachable()
  if (!controller) return planOffline(given, output)
  const folder = findFolder(given)
  const files = readFolder(folder)
  const proposed = await request<ProposedView>('/v1/plans', { method: 'POST', body: { files } }, controller)
  if (proposed.findings.length > 0 && !output.json) {
    // The controller sends each place along; its keys mean nothing here.
    const origins = new Map(
      proposed.findings.flatMap((finding) =>
        finding.where && finding.at[0] !== undefined ? [[finding.at[0], { length: 1, ...finding.where }] as const] : [],
      ),
    )
    output.line(renderFindings(proposed.findings, origins, files, { colour: output.colour }))
  }
  if (proposed.verdict === 'refused' || !proposed.plan || !proposed.proof) {
    if (output.json) output.document('Plan', proposed, proposed.findings)
    throw new Stop(exit.refused, 'refused', '', { printed: true })
  }
  const head = await fetchHead(controller)
  const { intent } = loadFabric(given, output, 'Plan')
  // The controller's answer lists the changes; what opens and closes is computed here from the same two fabrics.
  const after = compile(intent, head?.allocations ?? []).fabric
  const full = after ? plan(head?.fabric ?? null, after) : proposed.plan
  return { id: proposed.id, base: proposed.base, plan: full, text: renderPlan(full, proposed.proof, Date.now()) }
}

/** Remembered for the next offline run. */
async function fetchHead(controller: Connection): Promise<Head | null> {
  const { generation } = await request<{ generation: number }>('/v1/status', {}, controller)
  if (generation === 0) return null
  const { number, fabric, allocations } = await request<{ number: number } & Pick<Head, 'fabric' | 'allocations'>>(
    '/v1/generations/head',
    {},
    controller,
  )
  const head: Head = { network: fabric.network.id, generation: number, fabric, allocations, at: new Date().toISOString() }
  writeHead(stateFolder(), head)
  return head
}

function planOffline(given: string | undefined, output: Output): Planned {
  const loaded = loadFabric(given, output, 'Plan')
  const { findings, proof } = prove(loaded.fabric)
  refuseOnErrors(loaded, findings, output, 'Plan')
  const made = plan(loaded.head?.fabric ?? null, loaded.fabric)
  const note = `no controller asked: ${loaded.head ? 'compared with' : 'compared with an empty network,'} ${numberedBy(loaded.head)}. Such a plan has no id and can't be applied`
  return { id: null, base: loaded.head?.generation ?? 0, plan: made, text: `${renderPlan(made, proof, Date.now())}${note}\n` }
}
