import { writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { request } from '../connection.ts'
import { followOperation } from '../operation.ts'
import { exit, type ExitCode, type Output, Stop } from '../output.ts'
import type { Thing } from '#src/fabric/owners.ts'
import { isPending } from '#src/plan/render.ts'
import { makePlan, type Planned } from '../plan.ts'
import { command } from '../program.ts'

export function planCommands(program: Command): void {
  command(program, 'plan [folder]', 'what would change: steps, blast radius, risk, time, plan id; touches nothing')
    .option('-o, --out <file>', 'write the plan as JSON')
    .option('--exit-code', 'exit 4 when changes are pending')
    .option('--take <things>', 'take over from other owners, comma-separated: region/aws-eu-west-1,site/berlin')
    .option('--offline', 'do not ask the controller; such a plan has no id')
    .action(async ({ output, args: [folder], options }): Promise<ExitCode> => {
      const planned = await makePlan(folder, { offline: options['offline'] === true, take: thingsOf(options['take']) }, output)
      const out = options['out'] as string | undefined
      if (out !== undefined) writeFileSync(out, `${JSON.stringify(planned, null, 2)}\n`)
      if (output.json) output.document('Plan', { id: planned.id, base: planned.base, plan: planned.plan, ...planned.ownership }, planned.findings)
      else printPlan(planned, output)
      return options['exitCode'] && isPending(planned.plan, planned.ownership) ? exit.pending : exit.done
    })

  command(program, 'apply [plan-or-folder]', 'run a plan by its id, or plan a folder, ask, and run it')
    .option('--yes', 'do not ask')
    .option('--take <things>', 'take over from other owners, comma-separated: region/aws-eu-west-1,site/berlin')
    .option('--now', 'wait for no maintenance window')
    .option('--detach', 'do not follow the operation')
    .action(async ({ output, args: [given], options }): Promise<ExitCode> => {
      const id =
        given !== undefined && /^p-[0-9a-z]+$/.test(given) ? given : await agree(given, options['yes'] === true, thingsOf(options['take']), output)
      if (id === null) return exit.done
      const accepted = await request<{ operation: string }>(`/v1/plans/${id}/apply${options['now'] === true ? '?now=true' : ''}`, {
        method: 'POST',
        headers: { 'idempotency-key': `apply-${id}` },
      })
      if (options['detach'] !== true) return followOperation(accepted.operation, output)
      if (output.json) output.event({ type: 'result', exit: exit.done, operation: accepted.operation })
      else output.line(`it goes on as ${accepted.operation}. Watch: causeway rollout watch ${accepted.operation}`)
      return exit.done
    })
}

function thingsOf(given: unknown): readonly Thing[] {
  const things = typeof given === 'string' ? given.split(',').map((one) => one.trim()) : []
  const wrong = things.find((thing) => !/^(network|site|region|peer)\/[a-z0-9-]+$/.test(thing))
  if (wrong !== undefined) throw new Stop(exit.usage, `"${wrong}" is nothing that has an owner`, 'write it like region/aws-eu-west-1 or site/berlin')
  return things
}

function printPlan(planned: Planned, output: Output): void {
  output.line(planned.text.trimEnd())
  if (planned.id !== null && isPending(planned.plan, planned.ownership))
    output.line(`plan ${planned.id} on generation ${planned.base}. Run it: causeway apply ${planned.id}`)
}

/** The id of a fresh plan that somebody agreed to; null: nothing to change, or not agreed. */
async function agree(folder: string | undefined, yes: boolean, take: readonly Thing[], output: Output): Promise<string | null> {
  if (!yes && !output.interactive) throw new Stop(exit.usage, 'nobody is there to agree to the plan', 'apply a plan by its id, or add --yes')
  const planned = await makePlan(folder, { offline: false, take }, output)
  if (planned.id === null)
    throw new Stop(
      exit.unreachable,
      'no controller is known here, so nothing can be applied',
      'start one: causeway serve, or name one: causeway login https://…',
    )
  if (output.json) output.event({ type: 'plan', id: planned.id, base: planned.base, plan: planned.plan })
  else printPlan(planned, output)
  if (!isPending(planned.plan, planned.ownership)) {
    if (output.json) output.event({ type: 'result', exit: exit.done })
    return null
  }
  if (yes) return planned.id
  const { confirm } = await import('@clack/prompts')
  if ((await confirm({ message: 'Run this plan?' })) === true) return planned.id
  output.line(`nothing was changed; the plan stays: causeway apply ${planned.id}`)
  return null
}
