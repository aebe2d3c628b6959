import type { Command } from 'commander'
import { join } from 'node:path'
import { stateFolder } from '../folder.ts'
import { type ExitCode } from '../output.ts'
import { command } from '../program.ts'

export function serve(program: Command): void {
  command(program, 'serve', 'run a controller: API, workflows, database and Temporal, all on this machine unless told otherwise')
    .option('--data <dir>', 'state folder (default .causeway/data)')
    .option('--port <n>', 'API on loopback (7700, or the next free one)')
    .option('--agents-port <n>', "agents' TLS listener (7701)")
    .option('--agents-socket <path>', "agents' listener on a UNIX socket instead")
    .option('--agents-public <host:port>', 'what bootstrap tokens tell agents to dial')
    .option('--role <role>', 'all, api or worker')
    .action(async ({ output, options }): Promise<ExitCode> => {
      const { serve: run } = await import('#src/controller/main.ts')
      const text = (name: string) => options[name] as string | undefined
      const given = Object.fromEntries(
        Object.entries({
          port: text('port'),
          agentsPort: text('agentsPort'),
          agentsSocket: text('agentsSocket'),
          agentsPublic: text('agentsPublic'),
          role: text('role'),
        }).filter(([, value]) => value !== undefined),
      )
      return (await run({
        data: text('data') ?? process.env['CAUSEWAY_DATA'] ?? join(stateFolder(), 'data'),
        json: output.json,
        ...given,
      })) as ExitCode
    })
}
