/** A plan from the controller, or an offline one that can't be applied. */
import type { Finding } from '#src/fabric/fabric.ts'
import type { Thing } from '#src/fabric/owners.ts'
import { identityOf, isPulled, readPulled } from '#src/intent/fragments.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { renderFindings } from '#src/intent/render.ts'
import { foreignChanges, type Ownership } from '#src/plan/owners.ts'
import { type Plan, plan } from '#src/plan/plan.ts'
import { renderPlan } from '#src/plan/render.ts'
import type { SourceFile } from '#src/intent/yaml.ts'
import { connection, type Connection, request } from './connection.ts'
import { findFolder, type Head, readFolder, readPulledFiles, stateFolder, writeHead } from './folder.ts'
import { type Loaded, loadFabric, locate, numberedBy, prove, refuseOnErrors, rendered } from './load.ts'
import { exit, type Output, Stop } from './output.ts'
import type { ProposedView } from './shapes.ts'

export interface Planned {
  /** null: made offline. */
  readonly id: string | null
  readonly base: number
  readonly plan: Plan
  readonly ownership: Ownership
  /** What it warns of. */
  readonly findings: readonly Finding[]
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

/**
 * Asks the controller; `offline` or nobody known → numbered by the last head, without an id. Ends with exit 3 when
 * refused, with 5 when something is another's and not among what is taken over.
 */
export async function makePlan(
  given: string | undefined,
  how: { readonly offline: boolean; readonly take: readonly Thing[] },
  output: Output,
): Promise<Planned> {
  const controller = how.offline ? null : reachable()
  if (!controller) {
    if (how.take.length > 0)
      throw new Stop(exit.unreachable, 'only a controller can hand things over', 'plan --take without --offline, and with a controller')
    return planOffline(given, output)
  }
  const folder = findFolder(given)
  const files = readFolder(folder)
  refuseEdited(readPulledFiles(folder), output)
  const body = { files, ...(how.take.length > 0 ? { take: how.take } : {}) }
  const proposed = await request<ProposedView>('/v1/plans', { method: 'POST', body }, controller).catch((error: unknown) => {
    throw error instanceof Stop ? placed(error, files, output) : error
  })
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
  await fetchHead(controller)
  const { id, base, plan: full, proof, owner, others, owners, handed, rewritten } = proposed
  const ownership = { owner, others, owners, handed, rewritten }
  return { id, base, plan: full, ownership, findings: proposed.findings, text: renderPlan(full, proof, Date.now(), ownership) }
}

/** An edit of what another wrote would be seen by `check`, and by nobody else. */
export function refuseEdited(pulled: readonly SourceFile[], output: Output): void {
  const edited = pulled.filter(({ text }) => readPulled(text) === null)
  if (edited.length === 0) return
  const { findings, origins } = parseIntent(edited)
  if (!output.json) output.line(renderFindings(findings, origins, edited, { colour: output.colour, outcome: 'nothing was asked' }))
  throw new Stop(exit.refused, 'what others own was edited here', 'see causeway explain I152', { printed: !output.json, findings })
}

/** A conflict whose findings name places, as findings are shown. */
function placed(stop: Stop, files: readonly SourceFile[], output: Output): Stop {
  const origins = new Map(
    stop.findings.flatMap(({ at }) =>
      at.flatMap((key) => {
        const [, file, line, column] = /^(.+):(\d+):(\d+)$/.exec(key) ?? []
        return file === undefined ? [] : [[key, { file, line: Number(line), column: Number(column), length: 1 }] as const]
      }),
    ),
  )
  if (origins.size === 0 || output.json) return stop
  output.line(renderFindings(stop.findings, origins, files, { colour: output.colour, outcome: 'nothing planned' }))
  return new Stop(stop.code, stop.message, stop.instead, { printed: true, findings: stop.findings })
}

/** Remembered for the next offline run. */
export async function fetchHead(controller: Connection): Promise<void> {
  const { generation } = await request<{ generation: number }>('/v1/status', {}, controller)
  if (generation === 0) return
  const { number, fabric, allocations } = await request<{ number: number } & Pick<Head, 'fabric' | 'allocations'>>(
    '/v1/generations/head',
    {},
    controller,
  )
  const head: Head = { network: fabric.network.id, generation: number, fabric, allocations, at: new Date().toISOString() }
  writeHead(stateFolder(), head)
}

function planOffline(given: string | undefined, output: Output): Planned {
  const loaded = loadFabric(given, output, 'Plan')
  const { findings: verdicts, proof } = prove(loaded.fabric)
  const findings = [...loaded.findings, ...verdicts]
  refuseOnErrors(loaded, findings, output, 'Plan')
  if (findings.length > 0 && !output.json) output.line(rendered(loaded, findings, output))
  const made = plan(loaded.head?.fabric ?? null, loaded.fabric)
  const ownership = ownershipOf(loaded, made)
  const note = `no controller asked: ${loaded.head ? 'compared with' : 'compared with an empty network,'} ${numberedBy(loaded.head)}. Such a plan has no id and can't be applied`
  const text = `${renderPlan(made, proof, Date.now(), ownership)}${note}\n`
  return { id: null, base: loaded.head?.generation ?? 0, plan: made, ownership, findings: locate(findings, loaded.origins), text }
}

/** By what was pulled. What was recorded before, only the controller knows. */
function ownershipOf({ files, declared }: Loaded, made: Plan): Ownership {
  const owner = identityOf(files)?.owner ?? null
  const pulled = new Map(files.flatMap(({ path, text }) => (isPulled(path) ? [[path, readPulled(text)?.owner ?? ''] as const] : [])))
  const owners = new Map(declared.flatMap(({ thing, file }) => (pulled.has(file) ? [[thing, pulled.get(file)!] as const] : [])))
  return {
    owner,
    others: [...new Set(pulled.values())].sort(),
    owners: owner === null ? {} : foreignChanges(made, owner, owners),
    handed: [],
    rewritten: 0,
  }
}
