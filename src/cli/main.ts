/** `causeway <noun> <verb> [name]`; no noun means the network. */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { parts } from './parts.ts'
import { runProgram } from './program.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }

async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('causeway')
    .description('Sites, clouds and the tunnels between them: proven before they are pushed, proven while they run.')
    .version(version, '--version')
    .helpCommand(false)
    // For `lab exec`, and for the others too, as they mean the same whether it is loaded or not.
    .enablePositionalOptions()
  const named = parts.filter(({ names }) => names.includes(argv[2] ?? ''))
  for (const register of await Promise.all((named.length > 0 ? named : parts).map(({ load }) => load()))) register(program)
  await runProgram(program, argv)
}
void main(process.argv)
