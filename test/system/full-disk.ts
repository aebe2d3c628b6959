/**
 * Run inside a mount namespace of its own (`unshare -Urm`): the controller on a disk that is full, becomes full, and can't be
 * written. Prints one JSON document with what it saw.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { demoFiles } from '#test/contract/demo.ts'
import { type Answer, type Served, serve } from './controller-process.ts'

const folder = process.argv[2]!
const mount = (options: string) => execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder])
const start = (): Served => serve({ folder, env: { CAUSEWAY_VAULT_KEY: join(folder, 'vault-key') } })
async function fails(): Promise<object> {
  const served = start()
  const line = await served.ready()
  return { line, code: await served.stop(), terminal: served.terminal() }
}
/** Until nothing more fits. */
function fill(): void {
  const file = openSync(join(folder, 'ballast'), 'w')
  for (let size = 1 << 20; size > 0; size >>= 1) {
    try {
      for (;;) if (writeSync(file, Buffer.alloc(size)) < size) break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }
  closeSync(file)
}
async function until(what: () => Promise<Answer>, status: number): Promise<Answer | { readonly status: string }> {
  for (let n = 0; n < 120; n++) {
    const answer = await what().catch(() => null)
    if (answer?.status === status) return answer
    await sleep(250)
  }
  return { status: `never ${status}` }
}

mount('size=4m,mode=700')
const full = await fails()
const leftOver = readdirSync(join(folder, 'data'))
execFileSync('mount', ['-o', 'remount,size=400m', folder])
const served = start()
const afterwards = await served.ready()
if (afterwards.type !== 'ready') throw new Error(`with space it does not start: ${JSON.stringify(afterwards)}\n${served.terminal()}`)
const plan = () => served.call('/v1/plans', { files: demoFiles() })
const before = (await plan()).status
fill()
const whileFull = await until(plan, 503)
const reading = await served.call('/v1/status').then(({ status }) => status, String)
rmSync(join(folder, 'ballast'))
const freed = (await until(plan, 201)).status
const stopped = await served.stop()
execFileSync('mount', ['-o', 'remount,ro', folder])
const readOnly = await fails()
process.stdout.write(`${JSON.stringify({ full, leftOver, afterwards: afterwards.type, before, whileFull, reading, freed, stopped, readOnly })}\n`)
