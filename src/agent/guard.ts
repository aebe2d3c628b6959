/**
 * The detached guard of a confirmed commit. While it waits it is a shell of a megabyte in a session of its own, which
 * outlives the agent; only when the deadline passes does it start a second agent, which restores the last confirmed
 * bundle by the driver. Deadlines are in boot time, which nobody can set.
 */
import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import type { DeviceDriver } from '#providers/device.ts'
import type { Clock } from './clock.ts'
import type { Disk } from './disk.ts'
import { holderOf, type Lock, startedAt, takeLock } from './lock.ts'
import { AgentError, why } from './trouble.ts'

export interface Guard {
  disarm(): void
}
export interface ArmOptions {
  readonly state: string
  /** Absolute path of the decision about this change's nonce. */
  readonly decision: string
  /** Seconds since boot. */
  readonly deadlineBoot: number
  /** What restores: an agent with `guard --state … --nonce …`. */
  readonly command: readonly string[]
}

const script = `
deadline=$1 decision=$2; shift 2
while IFS=' .' read -r up rest < /proc/uptime && [ "$up" -lt "$deadline" ]; do
  if [ -e "$decision" ] && read -r verdict < "$decision" || [ -n "$verdict" ]; then [ "$verdict" = confirmed ] && exit 0; fi
  sleep 0.5
done
exec "$@"
`

export function armGuard(of: ArmOptions): Guard {
  const log = openSync(join(of.state, 'guard.log'), 'a', 0o600)
  const child = spawn('/bin/sh', ['-c', script, 'causeway-guard', String(Math.ceil(of.deadlineBoot)), of.decision, ...of.command], {
    detached: true,
    stdio: ['ignore', log, log],
    cwd: '/',
  })
  closeSync(log)
  const { pid } = child
  if (pid === undefined) throw new AgentError('A34', 'The guard of the change could not be started', 'Nothing was changed')
  const started = startedAt(pid)
  child.on('error', () => {})
  child.unref()
  return {
    disarm() {
      // The whole session, with its sleep: but only if it is still ours.
      if (started !== null && startedAt(pid) === started) process.kill(-pid, 'SIGKILL')
    },
  }
}

export interface FireOptions {
  readonly state: string
  readonly nonce: string
  readonly openDisk: () => Promise<Disk>
  readonly driver: DeviceDriver
  readonly clock: Clock
  /** Brings the kernel to the last confirmed bundle, or to nothing when there is none. */
  readonly restore: (disk: Disk) => Promise<void>
  readonly say: (text: string) => void
}

/** The deadline has passed. Whoever holds the agent's lock now had five seconds to give up by itself: it hangs. */
export async function fireGuard(of: FireOptions): Promise<'restored' | 'confirmed' | 'nothing'> {
  let disk = await of.openDisk()
  const pending = disk.state().commit
  if (pending.state !== 'pending' || pending.nonce !== of.nonce) return 'nothing'
  if ((await disk.decide(of.nonce, 'rolled-back')) === 'confirmed') return 'confirmed'
  const lock = await takeFrom(of.state, of.clock)
  try {
    disk = await of.openDisk()
    const now = disk.state().commit
    // An agent that started meanwhile has done it all.
    if (now.state !== 'pending' || now.nonce !== of.nonce) return 'nothing'
    of.say(`the change was not confirmed in time: restoring the last confirmed bundle`)
    await restorePersistently(of, disk)
    await disk.rolledBack(now.triple, 'A35', 'the agent did not confirm the change in time, and the guard restored the last confirmed bundle')
    return 'restored'
  } finally {
    lock?.release()
  }
}

/** Nobody comes after the guard: what a busy kernel refuses now it takes a moment later. An agent that starts waits for longer. */
async function restorePersistently({ restore, clock, say }: FireOptions, disk: Disk): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await restore(disk)
    } catch (error) {
      if (tries === restoreTries) throw error
      say(`it could not be restored, trying again: ${why(error)}`)
      await clock.wait(1_000)
    }
  }
}
const restoreTries = 5

async function takeFrom(state: string, clock: Clock): Promise<Lock | null> {
  const until = clock.boot() + 10
  for (;;) {
    const lock = takeLock(state)
    if (lock) return lock
    const holder = holderOf(state)
    if (holder && holder.pid !== process.pid && clock.boot() > until - 8) process.kill(holder.pid, 'SIGKILL')
    if (clock.boot() > until) return null
    await clock.wait(200)
  }
}
