import type { Command } from 'commander'
import { readQuestion } from '#src/verify/question.ts'
import { renderTrace } from '#src/verify/render-trace.ts'
import { trace as ask } from '#src/verify/trace.ts'
import { loadFabric } from '../load.ts'
import { exit, type ExitCode, Stop } from '../output.ts'
import { command } from '../program.ts'

export function trace(program: Command): void {
  command(program, 'trace <from> <to>', 'would it pass, by which line, over which path; from and to like berlin/cameras, a service, an address')
    .option('--port <port>', 'like tcp/8443; default: what an allow opens')
    .option('--without <things>', 'taken as broken, comma-separated: a hub, berlin.fiber, or a tunnel')
    .option('--folder <dir>', 'the network; default: the one here')
    .action(({ output, args: [from = '', to = ''], options }): ExitCode => {
      const { fabric, origins } = loadFabric(options['folder'] as string | undefined, output, 'Trace')
      const read = readQuestion(fabric, {
        from,
        to,
        port: (options['port'] as string | undefined) ?? null,
        without: ((options['without'] as string | undefined) ?? '').split(',').filter(Boolean),
      })
      if (!read.ok) throw new Stop(exit.usage, read.says, read.instead)
      const traced = ask(fabric, read.question)
      if (traced.outcome === 'unknown') throw new Stop(exit.usage, traced.says, traced.instead)
      if (output.json) output.document('Trace', traced)
      else output.line(renderTrace(traced, origins).trimEnd())
      return traced.outcome === 'blocked' ? exit.failed : exit.done
    })
}
