/** The command line: `causeway-agent enrol|run|up|status|wipe`, and `guard`, which only the agent itself starts. */
import { parseArgs } from 'node:util'
import { AgentError } from './trouble.ts'

export type Command = 'enrol' | 'run' | 'up' | 'status' | 'wipe' | 'guard' | 'help' | 'version'
export interface Arguments {
  readonly command: Command
  readonly state: string
  /** '' = standard input. */
  readonly tokenFile: string
  readonly json: boolean
  readonly dryRun: boolean
  readonly serial: string
  /** Seconds from PENDING to the guard. */
  readonly deadline: number
  readonly nonce: string
}

export const usage = `causeway-agent: joins this box to a Causeway network and keeps it there

  causeway-agent up     [--token-file F]   enrols if needed, then runs; the token on standard input or in a file
  causeway-agent enrol  [--token-file F]   enrols only
  causeway-agent run    [--dry-run]        runs; --dry-run prints the commands and changes nothing
  causeway-agent status [--json]           how it stands
  causeway-agent wipe                      removes tunnels, rules, keys: the box leaves the network

  --state DIR        keys, certificate and bundles (default /var/lib/causeway-agent)
  --serial TEXT      instead of the box's own serial number
  --deadline SECONDS until an unconfirmed change goes back (default 30)
  --json             one JSON object a line
`
const commands: readonly string[] = ['enrol', 'run', 'up', 'status', 'wipe', 'guard', 'help', 'version']

/** Throws A11 or A18. */
export function readArguments(argv: readonly string[]): Arguments {
  if (argv.some((one) => /cw\d+_/.test(one) || /^--token(=|$)/.test(one))) {
    throw new AgentError(
      'A11',
      'The token stands on the command line, where every user of this box can read it',
      'Give it on standard input (echo … | causeway-agent enrol) or by --token-file F. It may have been seen: ask for a new one',
    )
  }
  let parsed
  try {
    parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        state: { type: 'string', default: '/var/lib/causeway-agent' },
        'token-file': { type: 'string', default: '' },
        json: { type: 'boolean', default: false },
        'dry-run': { type: 'boolean', default: false },
        serial: { type: 'string', default: process.env['CAUSEWAY_SERIAL'] ?? '' },
        deadline: { type: 'string', default: '30' },
        nonce: { type: 'string', default: '' },
        help: { type: 'boolean', default: false },
        version: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new AgentError('A18', (error instanceof Error ? error.message : String(error)).split('.')[0]!, 'See causeway-agent help')
  }
  const { values, positionals } = parsed
  const [command = values.version ? 'version' : 'help', ...rest] = positionals
  if (!commands.includes(command) || rest.length > 0) {
    throw new AgentError('A18', `causeway-agent has no command "${positionals.join(' ')}"`, 'It has enrol, run, up, status and wipe')
  }
  const deadline = Number(values.deadline)
  if (!Number.isInteger(deadline) || deadline < 6 || deadline > 600)
    throw new AgentError('A18', `--deadline ${values.deadline} is not a number of seconds from 6 to 600`, 'Leave it out for 30')
  return {
    command: values.help ? 'help' : (command as Command),
    state: values.state,
    tokenFile: values['token-file'],
    json: values.json,
    dryRun: values['dry-run'],
    serial: values.serial,
    deadline,
    nonce: values.nonce,
  }
}
