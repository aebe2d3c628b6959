import type { Command } from 'commander'
import type { Fabric } from '#src/fabric/fabric.ts'
import { counted } from '#src/fabric/plural.ts'
import { plan } from '#src/plan/plan.ts'
import { isPending, renderPlan } from '#src/plan/render.ts'
import { request } from '../connection.ts'
import { followOperation, phaseText } from '../operation.ts'
import { exit, type Output, Stop } from '../output.ts'
import { command } from '../program.ts'
import type { OperationView, ProposedView } from '../shapes.ts'
import { ago, columns, when } from '../table.ts'

interface GenerationView {
  readonly number: number
  readonly plan: string | null
  readonly hash: string
  readonly proof: { readonly expects: number; readonly held: number; readonly failures: number }
  readonly operation: string
  readonly createdBy: string
  readonly owner: string | null
  readonly createdAt: string
}

/** Changes in flight, and those that were. */
export function history(program: Command): void {
  const rollouts = program.command('rollout').description('changes in flight')
  command(rollouts, 'list', 'the newest operations').action(async ({ output }) => {
    const operations = await listOperations()
    if (output.json) return output.document('Operations', operations)
    if (operations.length === 0) return output.line('nothing was changed yet. Next: causeway apply')
    output.line(columns(operations.map((one) => [one.id, one.kind, one.subject, stateOf(one, output), `${ago(one.startedAt)} ago`])))
  })
  command(rollouts, 'watch [operation]', 'follow one to its end; without a name, the newest that runs').action(async ({ output, args: [given] }) => {
    if (given !== undefined) return followOperation(given, output)
    const [running] = await listOperations('?state=running')
    const newest = running ?? (await listOperations())[0]
    if (!newest) throw new Stop(exit.done, 'nothing was changed yet', 'causeway apply')
    return followOperation(newest.id, output)
  })
  steer(rollouts, 'pause', 'hold it before its next wave; a wave that moves is let finish', (id) => [
    `${id} holds before its next wave; a wave that moves is let finish`,
    `let it go on: causeway rollout resume ${id}, or back: causeway rollout abort ${id}`,
  ])
  steer(rollouts, 'resume', 'let it go on', (id) => [`${id} goes on`, `follow: causeway rollout watch ${id}`])
  steer(rollouts, 'abort', 'have it go back: the former intent as a new generation, as when a wave fails', (id) => [
    `${id} goes back once the wave that moves has finished`,
    `follow: causeway rollout watch ${id}`,
  ])

  const generations = program.command('generation').description('the history of the network')
  command(generations, 'list', 'every generation: when, by whom, what it proved').action(async ({ output }) => {
    const all = (await request<{ generations: GenerationView[] }>('/v1/generations')).generations
    if (output.json) return output.document('Generations', all)
    if (all.length === 0) return output.line('no generation yet. Next: causeway apply')
    const several = new Set(all.flatMap(({ owner }) => owner ?? [])).size > 1
    output.line(
      columns(
        all.map((one) => [
          String(one.number),
          one.hash.slice(0, 12),
          `proved ${one.proof.held} of ${one.proof.expects} under ${counted(one.proof.failures, 'failure')}`,
          one.createdBy,
          ...(several ? [one.owner ?? '-'] : []),
          when(one.createdAt),
          one.operation,
        ]),
      ),
    )
  })

  command(generations, 'diff <from> [to]', 'what changed between two generations; without the second, up to the newest').action(
    async ({ output, args: [from = '', to = 'head'] }) => {
      const [before, after] = [await readGeneration(from), await readGeneration(to)]
      const changes = plan(before.fabric, after.fabric)
      if (output.json) return output.document('Diff', { from: before.number, to: after.number, plan: changes })
      output.line(
        !isPending(changes, { handed: [], rewritten: 0 })
          ? `generations ${before.number} and ${after.number} are the same`
          : renderPlan(changes, after.proof, Date.now()).trimEnd(),
      )
    },
  )
  command(generations, 'rollback <number>', 'back to the intent of an earlier generation, as a new one, with the keys and addresses of now')
    .option('--yes', 'do not ask')
    .action(async ({ output, args: [given = ''], options }) => {
      const number = numberOf(given)
      if (!options['yes'] && !output.interactive)
        throw new Stop(exit.usage, 'nobody is there to agree to the plan', `say so: causeway generation rollback ${number} --yes`)
      const proposed = await request<ProposedView>(`/v1/generations/${number}/plan`, { method: 'POST' })
      if (proposed.plan === null || proposed.proof === null)
        throw new Stop(exit.refused, `generation ${number} is no way to go now`, 'mend what the findings name, and plan', {
          findings: proposed.findings,
        })
      if (output.json) output.event({ type: 'plan', id: proposed.id, base: proposed.base, plan: proposed.plan })
      else output.line(renderPlan(proposed.plan, proposed.proof, Date.now(), proposed).trimEnd())
      if (!options['yes']) {
        const { confirm } = await import('@clack/prompts')
        if ((await confirm({ message: `Go back to the intent of generation ${number}?` })) !== true)
          throw new Stop(exit.done, `nothing was changed; the plan stays: causeway apply ${proposed.id}`)
      }
      const accepted = await request<{ operation: string }>(`/v1/plans/${proposed.id}/apply`, {
        method: 'POST',
        headers: { 'idempotency-key': `apply-${proposed.id}` },
      })
      return followOperation(accepted.operation, output)
    })
}

const listOperations = async (query = '') => (await request<{ operations: OperationView[] }>(`/v1/operations${query}`)).operations

function stateOf({ state, phase }: OperationView, output: Output): string {
  if (phase !== null) return output.style('yellow', phaseText(phase))
  return state === 'running' ? state : output.style(state === 'succeeded' ? 'green' : 'red', state)
}

/** `rollout pause`, `resume` and `abort`: of the one that moves, unless another is named. */
function steer(group: Command, verb: 'pause' | 'resume' | 'abort', does: string, says: (id: string) => readonly [string, string]): void {
  command(group, `${verb} [operation]`, `${does}; without a name, the one that runs`).action(async ({ output, args: [given] }) => {
    // The others wait for the first that was begun.
    const id = given ?? (await listOperations('?state=running')).findLast(({ kind }) => kind === 'apply')?.id
    if (id === undefined) throw new Stop(exit.conflict, `no rollout runs that one could ${verb}`, 'causeway rollout list has those that ran')
    const accepted = await request<{ operation: string }>(`/v1/operations/${encodeURIComponent(id)}/${verb}`, { method: 'POST' })
    const { state } = await request<OperationView>(`/v1/operations/${accepted.operation}`)
    if (output.json) return output.document('Accepted', { ...accepted, rollout: id, state })
    if (state === 'running')
      return output.line(`it is stored, and done as soon as workflows answer. Follow: causeway rollout watch ${accepted.operation}`)
    const [text, next] = says(id)
    output.line(text)
    output.progress(next)
  })
}

function numberOf(given: string): number {
  if (!/^[1-9]\d{0,8}$/.test(given)) throw new Stop(exit.usage, `"${given}" is not the number of a generation`, 'causeway generation list has them')
  return Number(given)
}
const readGeneration = (given: string) =>
  request<{ readonly number: number; readonly fabric: Fabric; readonly proof: ProposedView['proof'] & object }>(
    `/v1/generations/${given === 'head' ? given : numberOf(given)}`,
  )
