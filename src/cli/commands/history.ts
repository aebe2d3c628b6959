import type { Command } from 'commander'
import { request } from '../connection.ts'
import { followOperation } from '../operation.ts'
import { exit, Stop } from '../output.ts'
import { command } from '../program.ts'
import type { OperationView } from '../shapes.ts'
import { ago, columns } from '../table.ts'

interface GenerationView {
  readonly number: number
  readonly plan: string | null
  readonly hash: string
  readonly proof: { readonly expects: number; readonly held: number; readonly failures: number }
  readonly operation: string
  readonly createdBy: string
  readonly createdAt: string
}

/** Changes in flight, and those that were. */
export function history(program: Command): void {
  const rollouts = program.command('rollout').description('changes in flight')
  command(rollouts, 'list', 'the newest operations').action(async ({ output }) => {
    const { operations } = await request<{ operations: OperationView[] }>('/v1/operations')
    if (output.json) return output.document('Operations', operations)
    if (operations.length === 0) return output.line('nothing was changed yet. Next: causeway apply')
    output.line(columns(operations.map((one) => [one.id, one.kind, one.subject, one.state, `${ago(one.startedAt)} ago`])))
  })
  command(rollouts, 'watch [operation]', 'follow one to its end; without a name, the newest that runs').action(async ({ output, args: [given] }) => {
    if (given !== undefined) return followOperation(given, output)
    const { operations } = await request<{ operations: OperationView[] }>('/v1/operations')
    const running = operations.find((one) => one.state === 'running') ?? operations[0]
    if (!running) throw new Stop(exit.done, 'nothing was changed yet', 'causeway apply')
    return followOperation(running.id, output)
  })

  const generations = program.command('generation').description('the history of the network')
  command(generations, 'list', 'every generation: when, by whom, what it proved').action(async ({ output }) => {
    const all = (await request<{ generations: GenerationView[] }>('/v1/generations')).generations
    if (output.json) return output.document('Generations', all)
    if (all.length === 0) return output.line('no generation yet. Next: causeway apply')
    output.line(columns(all.map((one) => [String(one.number), one.hash.slice(0, 12), `proved ${one.proof.held} of ${one.proof.expects} under ${one.proof.failures} failures`, one.createdBy, new Date(one.createdAt).toLocaleString(), one.operation])))
  })
}
