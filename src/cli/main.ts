/** `causeway <noun> <verb> [name]`; no noun means the network. */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { check } from './commands/check.ts'
import { drill } from './commands/drill.ts'
import { completion } from './commands/completion.ts'
import { event } from './commands/event.ts'
import { doctor } from './commands/doctor.ts'
import { explain } from './commands/explain.ts'
import { exportCommand } from './commands/export.ts'
import { history } from './commands/history.ts'
import { init } from './commands/init.ts'
import { key } from './commands/key.ts'
import { lab } from './commands/lab.ts'
import { login } from './commands/login.ts'
import { path } from './commands/path.ts'
import { peer } from './commands/peer.ts'
import { planCommands } from './commands/plan.ts'
import { pull } from './commands/pull.ts'
import { cloud, region } from './commands/region.ts'
import { serve } from './commands/serve.ts'
import { site } from './commands/site.ts'
import { status } from './commands/status.ts'
import { trace } from './commands/trace.ts'
import { runProgram } from './program.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }

const program = new Command('causeway')
  .description('Sites, clouds and the tunnels between them: proven before they are pushed, proven while they run.')
  .version(version, '--version')
  .helpCommand(false)
for (const register of [
  init,
  check,
  planCommands,
  pull,
  status,
  explain,
  trace,
  exportCommand,
  serve,
  login,
  doctor,
  site,
  region,
  cloud,
  peer,
  drill,
  path,
  key,
  history,
  event,
  lab,
  completion,
])
  register(program)

await runProgram(program, process.argv)
