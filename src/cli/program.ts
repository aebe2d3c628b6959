/** The one way a command is declared and run: `--json` everywhere, a Stop becomes a sentence and an exit code. */
import { Command, CommanderError } from 'commander'
import { createOutput, exit, type ExitCode, type Output, Stop } from './output.ts'

export interface Run {
  readonly output: Output
  /** Positional arguments; an optional one that was not given is undefined. */
  readonly args: readonly (string | undefined)[]
  readonly options: Readonly<Record<string, unknown>>
}
export type Action = (run: Run) => void | ExitCode | Promise<void | ExitCode>

/** Declares `usage` under `parent`, e.g. `token <site>`; the default is meant where none of its parent's verbs is named. */
export function command(
  parent: Command,
  usage: string,
  description: string,
  how: { readonly isDefault?: boolean } = {},
): { option(flags: string, text: string): ReturnType<typeof command>; passThrough(): ReturnType<typeof command>; action(action: Action): void } {
  const declared = parent
    .command(usage, how)
    .description(description)
    .option('--json', 'one JSON document (reads) or an event a line (long verbs) on stdout')
  const self = {
    option: (flags: string, text: string) => {
      declared.option(flags, text)
      return self
    },
    /** What follows the first argument is another program's, options included. */
    passThrough: () => {
      for (let above: Command | null = parent; above; above = above.parent) above.enablePositionalOptions()
      declared.passThroughOptions()
      return self
    },
    action: (action: Action) => {
      declared.action(async (...given: unknown[]) => {
        const options = given[declared.registeredArguments.length] as Record<string, unknown>
        const args = given.slice(0, declared.registeredArguments.length) as (string | undefined)[]
        const output = createOutput({ json: options['json'] === true })
        process.exitCode = await finish(output, () => action({ output, args, options }))
      })
    },
  }
  return self
}

async function finish(output: Output, work: () => ReturnType<Action>): Promise<ExitCode> {
  try {
    return (await work()) ?? exit.done
  } catch (error) {
    return tell(error, output)
  }
}

/** Says what ended a command, unless it is said already. */
export function tell(error: unknown, output: Output): ExitCode {
  const stop = error instanceof Stop ? error : sentence(error)
  if (stop.printed) return stop.code
  if (output.json) output.document('Error', { exit: stop.code, says: stop.message, instead: stop.instead }, stop.findings)
  output.progress(`${output.style('red', 'error')}  ${stop.message}${stop.instead ? `\n       ${stop.instead}` : ''}`)
  if (!output.json)
    for (const finding of stop.findings) output.progress(`       ${finding.code}  ${finding.says}${finding.instead ? `: ${finding.instead}` : ''}`)
  return stop.code
}

/** What the machine refused, in words; anything else is a defect and says so, without a stack unless asked for. */
function sentence(error: unknown): Stop {
  const { code, message, path, stack } = error as NodeJS.ErrnoException
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return new Stop(exit.forbidden, `${path ?? 'a file'} may not be used by this user`, 'run as its owner, or name another place')
    case 'EROFS':
      return new Stop(exit.machine, `${path ?? 'the disk'} is read-only`, 'name a writable place, or remount it')
    case 'ENOSPC':
      return new Stop(exit.machine, 'the disk is full', 'free some space; nothing was changed')
    case 'ENOENT':
      return new Stop(exit.usage, `${path ?? message} does not exist`)
    case 'ERR_STREAM_PREMATURE_CLOSE':
    case 'EPIPE':
      return new Stop(exit.done, '', '', { printed: true })
    default:
      if (process.env['CAUSEWAY_DEBUG']) process.stderr.write(`${stack}\n`)
      return new Stop(exit.failed, `causeway failed: ${message}`, 'this is a defect; CAUSEWAY_DEBUG=1 shows where')
  }
}

export async function runProgram(program: Command, argv: readonly string[]): Promise<void> {
  // Commander's own texts go through one place, so that a typo costs exit 2 and one suggestion.
  const quiet = (each: Command) => {
    each.exitOverride().showHelpAfterError(false).showSuggestionAfterError(true)
    for (const child of each.commands) quiet(child)
  }
  quiet(program)
  // Whoever reads may stop before the end, as `head` does: then there is nobody to write for, and nothing is wrong.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(process.exitCode)
  })
  try {
    await program.parseAsync(argv)
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    process.exitCode = error.exitCode === 0 ? exit.done : exit.usage
  }
}
